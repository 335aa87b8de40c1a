/*
 * Rows into the SQLite file. See trace_writer.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "trace_writer.h"

#include "schema.sql.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A crash loses at most what arrived since the last commit. */
#define COMMIT_INTERVAL_NS 400000000u
#define BUSY_TIMEOUT_MS 10000

struct trace_writer {
    sqlite3 *db;
    sqlite3_stmt *insert_exit;
    sqlite3_stmt *insert_site;
    sqlite3_stmt *insert_insn;
    sqlite3_stmt *insert_region;
    sqlite3_stmt *insert_event;
    sqlite3_stmt *insert_meta;
    uint64_t next_seq;
    uint64_t begun_ns; /* host time at which the open transaction began; 0: none is open */
    char *error;
};

static uint64_t host_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool fail(struct trace_writer *writer, const char *doing)
{
    if (!writer->error) {
        char *message = sqlite3_mprintf("%s: %s", doing, sqlite3_errmsg(writer->db));

        writer->error = message;
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

/* In one transaction: there is never half a schema, which nobody could append to. */
static bool create(struct trace_writer *writer)
{
    static const char doing[] = "cannot create the trace";

    return execute(writer, "BEGIN IMMEDIATE", doing) && execute(writer, vmdev_schema_sql, doing) &&
           execute(writer, "COMMIT", doing);
}

static bool open_database(struct trace_writer *writer, const char *path)
{
    uint64_t tables;

    if (sqlite3_open_v2(path, &writer->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK) {
        return fail(writer, "cannot open the trace");
    }
    sqlite3_busy_timeout(writer->db, BUSY_TIMEOUT_MS);
    if (!integer_of(writer, "SELECT count(*) FROM sqlite_schema", &tables)) {
        return false;
    }
    if (tables == 0 && !create(writer)) {
        return false;
    }
    return integer_of(writer, "SELECT coalesce(max(seq) + 1, 0) FROM exit", &writer->next_seq) &&
           prepare(writer, "INSERT INTO exit VALUES (?, ?, ?, ?)", &writer->insert_exit) &&
           prepare(writer,
                   "INSERT INTO site_packed VALUES "
                   "(?, ?, (SELECT id FROM region_name WHERE name = ?), ?, ?, ?, ?, ?, ?)",
                   &writer->insert_site) &&
           prepare(writer, "INSERT INTO insn VALUES (?, ?, ?, ?)", &writer->insert_insn) &&
           prepare(writer, "INSERT OR IGNORE INTO region_name (name) VALUES (?)", &writer->insert_region) &&
           prepare(writer, "INSERT INTO event VALUES (?, ?, ?, ?, ?)", &writer->insert_event) &&
           prepare(writer, "INSERT OR REPLACE INTO meta VALUES (?, ?)", &writer->insert_meta);
}

static void release(struct trace_writer *writer)
{
    sqlite3_finalize(writer->insert_exit);
    sqlite3_finalize(writer->insert_site);
    sqlite3_finalize(writer->insert_insn);
    sqlite3_finalize(writer->insert_region);
    sqlite3_finalize(writer->insert_event);
    sqlite3_finalize(writer->insert_meta);
    sqlite3_close(writer->db);
    sqlite3_free(writer->error);
    free(writer);
}

struct trace_writer *trace_writer_open(const char *path, char **error)
{
    struct trace_writer *writer = calloc(1, sizeof(*writer));

    *error = NULL;
    if (!writer) {
        *error = strdup("out of memory");
        return NULL;
    }
    if (!open_database(writer, path)) {
        *error = strdup(writer->error ? writer->error : "cannot open the trace");
        release(writer);
        return NULL;
    }
    return writer;
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

static bool commit(struct trace_writer *writer)
{
    if (!writer->begun_ns) {
        return true;
    }
    writer->begun_ns = 0;
    return execute(writer, "COMMIT", "cannot write to the trace");
}

static bool run(struct trace_writer *writer, sqlite3_stmt *statement)
{
    bool done = sqlite3_step(statement) == SQLITE_DONE;

    sqlite3_reset(statement);
    return done || fail(writer, "cannot write to the trace");
}

static bool append_exit(struct trace_writer *writer, const struct item *item)
{
    sqlite3_stmt *statement = writer->insert_exit;

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)writer->next_seq);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)item->t_ns);
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

static bool append_site(struct trace_writer *writer, const struct site *site)
{
    sqlite3_stmt *statement = writer->insert_site;

    if (site->insn_is_new && !append_insn(writer, site->insn)) {
        return false;
    }
    if (*site->region && !append_region(writer, site->region)) {
        return false;
    }
    sqlite3_bind_int64(statement, 1, site->id);
    sqlite3_bind_int64(statement, 2, site->insn->id);
    sqlite3_bind_text(statement, 3, site->region, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, site->vcpu);
    sqlite3_bind_int(statement, 5, site->space);
    sqlite3_bind_int(statement, 6, site->direction);
    sqlite3_bind_int64(statement, 7, (sqlite3_int64)site->address);
    sqlite3_bind_int(statement, 8, site->size);
    sqlite3_bind_int(statement, 9, site->string);
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

bool trace_writer_append(struct trace_writer *writer, const struct item *items, size_t count)
{
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
            done = append_site(writer, item->site);
            break;
        case ITEM_EVENT:
            done = append_event(writer, item->event);
            break;
        }
        if (!done) {
            return false;
        }
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
