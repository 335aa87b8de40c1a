/*
 * Rows into the SQLite file. See trace_writer.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "trace_writer.h"

#include "schema.sql.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long another program may keep the file locked: the guest waits meanwhile, once the queue is full. */
#define BUSY_TIMEOUT_MS 10000

/*
 * An exit's time is stored as its offset from its epoch's. An offset within two bytes is cheap, and a row for a new
 * epoch costs as much as some that are not. Of the simple rules this one came close to the best on boots of PCs, also
 * with several CPUs, and of aarch64 and riscv64 boards.
 */
#define EPOCH_WIDE_MAX 4 /* exits further off, before a new epoch is cheaper */

/* Exits beyond those to keep, before they are deleted in the middle of a transaction: the file grows by 1 MB. */
#ifndef RING_SLACK /* the tests' one is small */
#define RING_SLACK (1u << 16)
#endif

struct epoch {
    bool open;
    int64_t t_ns;
    uint64_t first; /* seq of its first exit */
    unsigned wide;  /* exits with an offset of more than two bytes */
};

struct trace_writer {
    sqlite3 *db;
    sqlite3_stmt *insert_exit;
    sqlite3_stmt *insert_epoch;
    sqlite3_stmt *insert_site;
    sqlite3_stmt *insert_insn;
    sqlite3_stmt *insert_region;
    sqlite3_stmt *insert_event;
    sqlite3_stmt *insert_interrupt;
    sqlite3_stmt *insert_meta;
    uint64_t next_seq;
    uint64_t first_seq; /* of the exits that are held */
    uint64_t keep;      /* exits to hold; 0: all */
    bool is_part;       /* its instructions may be in an earlier file */
    struct epoch epoch;
    uint64_t begun_ns; /* host time at which the open transaction began; 0: none is open */
    char *error;
};

static uint64_t host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What SQLite's last error means for somebody who records, and the way out. Allocated by SQLite. */
static char *explain(sqlite3 *db)
{
    int code = sqlite3_extended_errcode(db);

    if (code == SQLITE_READONLY_DBMOVED) {
        return sqlite3_mprintf("the file was deleted, renamed or replaced; leave it alone while it is recorded to");
    }
    switch (code & 0xff) {
    case SQLITE_FULL:
        return sqlite3_mprintf("the disk is full; make room, or record to another one");
    case SQLITE_BUSY:
        return sqlite3_mprintf("another program kept the file locked for %d s; end that program, or let it read a copy",
                               BUSY_TIMEOUT_MS / 1000);
    case SQLITE_IOERR: /* SQLite does not always keep the system's own error */
        return sqlite3_mprintf("%s; check the disk, and the largest size that a file may have (ulimit -f)",
                               sqlite3_errmsg(db));
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return sqlite3_mprintf("%s; the trace and its folder must stay writable", sqlite3_errmsg(db));
    default:
        return sqlite3_mprintf("%s", sqlite3_errmsg(db));
    }
}

static bool fail(struct trace_writer *writer, const char *doing)
{
    if (!writer->error) {
        char *why = explain(writer->db);

        writer->error = sqlite3_mprintf("%s: %s", doing, why ? why : "out of memory");
        sqlite3_free(why);
    }
    return false;
}

static bool execute(struct trace_writer *writer, const char *sql, const char *doing)
{
    return sqlite3_exec(writer->db, sql, NULL, NULL, NULL) == SQLITE_OK || fail(writer, doing);
}

static bool prepare(struct trace_writer *writer, const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(writer->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) == SQLITE_OK ||
           fail(writer, "cannot use the trace");
}

static bool integer_of(struct trace_writer *writer, const char *sql, uint64_t *value)
{
    sqlite3_stmt *statement;
    bool row;

    if (!prepare(writer, sql, &statement)) {
        return false;
    }
    row = sqlite3_step(statement) == SQLITE_ROW;
    *value = row ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return row || fail(writer, "cannot read the trace");
}

/* What is known of the guest before it ends. */
#define COPY                                                                                                          \
    "INSERT INTO meta SELECT * FROM before.meta WHERE key NOT IN ('part', 'first_exit');"                             \
    "INSERT INTO region SELECT * FROM before.region;"                                                                 \
    "INSERT INTO meta VALUES ('part', %" PRIu64 "), ('first_exit', %" PRIu64 ")"

/* In one transaction: there is never half a schema, which nobody could append to. */
static bool create(struct trace_writer *writer, uint64_t part)
{
    static const char doing[] = "cannot create the trace";
    char copy[sizeof(COPY) + 40] = "";

    if (writer->is_part) {
        snprintf(copy, sizeof(copy), COPY, part, writer->first_seq);
    }
    return execute(writer, "BEGIN IMMEDIATE", doing) && execute(writer, vmdev_schema_sql, doing) &&
           execute(writer, copy, doing) && execute(writer, "COMMIT", doing);
}

/* Make the file that goes on where `before` has come to. */
static bool create_part(struct trace_writer *writer, const struct trace_writer *before, uint64_t part)
{
    static const char doing[] = "cannot read the part before";
    sqlite3_stmt *attach;

    writer->is_part = true;
    writer->first_seq = writer->next_seq = before->next_seq;
    if (!prepare(writer, "ATTACH ? AS before", &attach)) {
        return false;
    }
    sqlite3_bind_text(attach, 1, sqlite3_db_filename(before->db, "main"), -1, SQLITE_STATIC);
    sqlite3_step(attach);
    return (sqlite3_finalize(attach) == SQLITE_OK || fail(writer, doing)) && create(writer, part) &&
           execute(writer, "DETACH before", doing);
}

static bool open_database(struct trace_writer *writer, const char *path)
{

    if (sqlite3_open_v2(path, &writer->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK) {
        return fail(writer, "cannot open the trace");
    }
    sqlite3_busy_timeout(writer->db, BUSY_TIMEOUT_MS);
    /* If the machine dies, what was committed is on the disk. EXTRA: the removal of the journal, too, which would undo
       the last transaction if it came back. That is a few fsyncs each interval, and no vCPU waits for them. */
    return execute(writer, "PRAGMA synchronous = EXTRA", "cannot use the trace");
}

static bool prepare_all(struct trace_writer *writer)
{
    return prepare(writer, "INSERT INTO exit VALUES (?, ?, ?, ?)", &writer->insert_exit) &&
           prepare(writer, "INSERT INTO epoch VALUES (?, ?, ?)", &writer->insert_epoch) &&
           prepare(writer,
                   "INSERT INTO site_packed VALUES "
                   "(?, ?, (SELECT id FROM region_name WHERE name = ?), ?, ?, ?)",
                   &writer->insert_site) &&
           prepare(writer, "INSERT OR IGNORE INTO insn VALUES (?, ?, ?, ?)", &writer->insert_insn) &&
           prepare(writer, "INSERT OR IGNORE INTO region_name (name) VALUES (?)", &writer->insert_region) &&
           prepare(writer, "INSERT INTO event VALUES (?, ?, ?, ?, ?)", &writer->insert_event) &&
           prepare(writer, "INSERT INTO interrupt VALUES (?, ?, ?, ?, ?)", &writer->insert_interrupt) &&
           prepare(writer, "INSERT OR REPLACE INTO meta VALUES (?, ?)", &writer->insert_meta);
}

static void release(struct trace_writer *writer)
{
    sqlite3_finalize(writer->insert_exit);
    sqlite3_finalize(writer->insert_epoch);
    sqlite3_finalize(writer->insert_site);
    sqlite3_finalize(writer->insert_insn);
    sqlite3_finalize(writer->insert_region);
    sqlite3_finalize(writer->insert_event);
    sqlite3_finalize(writer->insert_interrupt);
    sqlite3_finalize(writer->insert_meta);
    sqlite3_close(writer->db);
    sqlite3_free(writer->error);
    free(writer);
}

static bool open_first(struct trace_writer *writer, const char *path)
{
    uint64_t tables;

    return open_database(writer, path) && integer_of(writer, "SELECT count(*) FROM sqlite_schema", &tables) &&
           (tables > 0 || create(writer, 0)) &&
           integer_of(writer, "SELECT coalesce(max(seq) + 1, 0) FROM exit", &writer->next_seq) && prepare_all(writer);
}

/* The writer if it has been opened, else NULL and why. */
static struct trace_writer *opened(struct trace_writer *writer, bool done, char **error)
{
    *error = NULL;
    if (!done) {
        *error = strdup(writer->error ? writer->error : "cannot open the trace");
        release(writer);
        return NULL;
    }
    return writer;
}

struct trace_writer *trace_writer_open(const char *path, char **error)
{
    struct trace_writer *writer = calloc(1, sizeof(*writer));

    if (!writer) {
        *error = strdup("out of memory");
        return NULL;
    }
    return opened(writer, open_first(writer, path), error);
}

static bool begin(struct trace_writer *writer)
{
    if (writer->begun_ns) {
        return true;
    }
    if (!execute(writer, "BEGIN IMMEDIATE", "cannot write to the trace")) {
        return false;
    }
    writer->begun_ns = host_ns();
    return true;
}

static bool run(struct trace_writer *writer, sqlite3_stmt *statement)
{
    bool done = sqlite3_step(statement) == SQLITE_DONE;

    sqlite3_reset(statement);
    return done || fail(writer, "cannot write to the trace");
}

static bool is_wide(int64_t offset)
{
    return offset < INT16_MIN || offset > INT16_MAX;
}

static bool end_epoch(struct trace_writer *writer)
{
    sqlite3_stmt *statement = writer->insert_epoch;

    if (!writer->epoch.open) {
        return true;
    }
    writer->epoch.open = false;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)writer->epoch.first);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)writer->next_seq - 1);
    sqlite3_bind_int64(statement, 3, writer->epoch.t_ns);
    return run(writer, statement);
}

/* Delete what is older than the exits to keep. */
static bool forget_old(struct trace_writer *writer)
{
    static const char delete[] = "DELETE FROM exit WHERE seq < %1$" PRIu64 ";"
                                 "DELETE FROM epoch WHERE last < %1$" PRIu64 ";"
                                 "UPDATE epoch SET first = %1$" PRIu64 " WHERE first < %1$" PRIu64 ";"
                                 "DELETE FROM event WHERE seq < %1$" PRIu64 ";"
                                 "DELETE FROM interrupt WHERE seq < %1$" PRIu64 ";"
                                 "INSERT OR REPLACE INTO meta VALUES ('first_exit', %1$" PRIu64 ")";
    char sql[sizeof(delete) + 7 * 20];

    if (!writer->keep || writer->next_seq - writer->first_seq <= writer->keep) {
        return true;
    }
    writer->first_seq = writer->next_seq - writer->keep;
    if (writer->epoch.open && writer->epoch.first < writer->first_seq) {
        writer->epoch.first = writer->first_seq;
    }
    snprintf(sql, sizeof(sql), delete, writer->first_seq);
    return execute(writer, sql, "cannot write to the trace");
}

/* No exit is committed without its epoch. */
static bool commit(struct trace_writer *writer)
{
    if (!writer->begun_ns) {
        return true;
    }
    writer->begun_ns = 0;
    return end_epoch(writer) && forget_old(writer) && execute(writer, "COMMIT", "cannot write to the trace");
}

struct trace_writer *trace_writer_open_part(const char *path, struct trace_writer *before, uint64_t part, char **error)
{
    struct trace_writer *writer;
    int file;

    if (!commit(before)) {
        *error = strdup(before->error);
        return NULL;
    }
    file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    writer = file < 0 ? NULL : calloc(1, sizeof(*writer));
    if (!writer) {
        *error = strdup(strerror(errno));
        return NULL;
    }
    close(file);
    writer = opened(
        writer, open_database(writer, path) && create_part(writer, before, part) && prepare_all(writer), error);
    if (!writer) {
        unlink(path);
    }
    return writer;
}

void trace_writer_keep(struct trace_writer *writer, uint64_t exits)
{
    writer->keep = exits;
}

static bool begin_epoch(struct trace_writer *writer, int64_t t_ns)
{
    /* Times rise: the first exit has the lowest offset of two bytes. */
    int64_t base = t_ns <= INT64_MAX + INT16_MIN ? t_ns - INT16_MIN : INT64_MAX;

    if (!end_epoch(writer)) {
        return false;
    }
    writer->epoch = (struct epoch){.open = true, .t_ns = base, .first = writer->next_seq};
    return true;
}

static bool append_exit(struct trace_writer *writer, const struct item *item)
{
    sqlite3_stmt *statement = writer->insert_exit;
    const struct epoch *epoch = &writer->epoch;
    int64_t t_ns = (int64_t)item->t_ns;

    if (!epoch->open || (epoch->wide == EPOCH_WIDE_MAX && is_wide(t_ns - epoch->t_ns))) {
        if (!begin_epoch(writer, t_ns)) {
            return false;
        }
    }
    writer->epoch.wide += is_wide(t_ns - epoch->t_ns);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)writer->next_seq);
    sqlite3_bind_int64(statement, 2, t_ns - epoch->t_ns);
    sqlite3_bind_int64(statement, 3, item->site_id);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)item->value);
    if (!run(writer, statement)) {
        return false;
    }
    writer->next_seq++;
    return true;
}

static bool append_insn(struct trace_writer *writer, const struct insn_row *insn)
{
    sqlite3_stmt *statement = writer->insert_insn;

    sqlite3_bind_int64(statement, 1, insn->id);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)insn->pc);
    sqlite3_bind_blob(statement, 3, insn->bytes, insn->size, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, insn->text, -1, SQLITE_STATIC);
    return run(writer, statement);
}

static bool append_region(struct trace_writer *writer, const char *name)
{
    sqlite3_bind_text(writer->insert_region, 1, name, -1, SQLITE_STATIC);
    return run(writer, writer->insert_region);
}

static bool append_site(struct trace_writer *writer, const struct site *site, uint32_t id)
{
    sqlite3_stmt *statement = writer->insert_site;

    if ((site->insn_is_new || writer->is_part) && !append_insn(writer, site->insn)) {
        return false;
    }
    if (*site->region && !append_region(writer, site->region)) {
        return false;
    }
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, site->insn->id);
    sqlite3_bind_text(statement, 3, site->region, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, site->vcpu);
    sqlite3_bind_int(statement, 5, site->size | site->space << 4 | site->direction << 5 | site->string << 6);
    sqlite3_bind_int64(statement, 6, (sqlite3_int64)site->address);
    return run(writer, statement);
}

static bool append_event(struct trace_writer *writer, const struct event *event)
{
    sqlite3_stmt *statement = writer->insert_event;

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)writer->next_seq);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)event->t_ns);
    if (event->vcpu >= 0) {
        sqlite3_bind_int(statement, 3, event->vcpu);
    } else {
        sqlite3_bind_null(statement, 3);
    }
    sqlite3_bind_text(statement, 4, event->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 5, event->detail, -1, SQLITE_STATIC);
    return run(writer, statement);
}

static bool append_interrupt(struct trace_writer *writer, const struct interrupt *interrupt)
{
    sqlite3_stmt *statement = writer->insert_interrupt;

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)writer->next_seq);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)interrupt->t_ns);
    sqlite3_bind_int64(statement, 3, interrupt->vcpu);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)interrupt->from_pc);
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)interrupt->to_pc);
    return run(writer, statement);
}

bool trace_writer_append(struct trace_writer *writer, const struct item *items, size_t count)
{
    uint64_t held;

    if (writer->error || (count > 0 && !begin(writer))) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct item *item = &items[i];
        bool done = false;

        switch (item->kind) {
        case ITEM_EXIT:
            done = append_exit(writer, item);
            break;
        case ITEM_SITE:
            done = append_site(writer, item->site, item->site_id);
            break;
        case ITEM_EVENT:
            done = append_event(writer, item->event);
            break;
        case ITEM_INTERRUPT:
            done = append_interrupt(writer, item->interrupt);
            break;
        }
        if (!done) {
            return false;
        }
    }
    held = writer->next_seq - writer->first_seq;
    if (held > RING_SLACK && held - RING_SLACK > writer->keep && !forget_old(writer)) {
        return false;
    }
    return trace_writer_tick(writer);
}

bool trace_writer_tick(struct trace_writer *writer)
{
    if (writer->begun_ns && host_ns() - writer->begun_ns >= COMMIT_INTERVAL_NS) {
        return commit(writer);
    }
    return true;
}

bool trace_writer_meta(struct trace_writer *writer, const char *key, uint64_t value)
{
    if (!begin(writer)) {
        return false;
    }
    sqlite3_bind_text(writer->insert_meta, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(writer->insert_meta, 2, (sqlite3_int64)value);
    return run(writer, writer->insert_meta);
}

bool trace_writer_meta_text(struct trace_writer *writer, const char *key, const char *value)
{
    if (!begin(writer)) {
        return false;
    }
    sqlite3_bind_text(writer->insert_meta, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(writer->insert_meta, 2, value, -1, SQLITE_STATIC);
    return run(writer, writer->insert_meta);
}

const char *trace_writer_error(const struct trace_writer *writer)
{
    return writer->error;
}

bool trace_writer_close(struct trace_writer *writer, char **error)
{
    bool done = !writer->error && commit(writer);

    *error = done ? NULL : strdup(writer->error ? writer->error : "cannot write to the trace");
    release(writer);
    return done;
}
