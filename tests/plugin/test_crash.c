/*
 * Death and broken disks: the writer runs on a file system (an SQLite VFS around the real one) that ends the process,
 * or fails, at the n-th change, for every n. What was committed before must be there afterwards, and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "check.h"
#include "database.h"
#include "sites.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

static struct timespec clock_now = {.tv_sec = 1};

static int read_clock(struct timespec *time)
{
    *time = clock_now;
    return 0;
}

#define clock_gettime(which, time) read_clock(time)
#include "trace_writer.c"
#undef clock_gettime

#define TRANSACTIONS 2
#define EXITS 160 /* in each transaction */

/* --- the file system --- */

enum fault {
    DEATH,      /* the process ends before the change */
    TORN_DEATH, /* it ends when half of the bytes are written */
    FAULT_ONCE, /* this change fails with `code`; the others are made */
    FAULT_EVER, /* so do all that follow */
};

struct disk {
    enum fault fault;
    int code;
    unsigned left; /* changes until it happens */
};

/* What a scenario tells its parent; in memory that both see. */
struct report {
    unsigned committed; /* exits */
    bool happened;      /* the fault */
    bool failed;        /* the writer said that something was not written */
};

struct file {
    sqlite3_file base;
    sqlite3_file *real;
};

static struct disk disk;
static struct report *report;
static sqlite3_vfs *real_vfs;
static char log_of_changes[4096]; /* w: write, s: sync, d: removal, D: removal that is synced */
static size_t logged;

static void log_change(char change)
{
    if (logged < sizeof(log_of_changes) - 1 && (logged == 0 || log_of_changes[logged - 1] != change)) {
        log_of_changes[logged++] = change;
    }
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct file *)file)->real;
}

/* The next change: returns SQLITE_OK if it is to be made. */
static int next_change(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    if (disk.left > 1) {
        disk.left--;
        return SQLITE_OK;
    }
    if (disk.left == 0 && disk.fault == FAULT_ONCE) {
        return SQLITE_OK;
    }
    disk.left = 0;
    report->happened = true;
    if (disk.fault == TORN_DEATH && size > 1) {
        real_of(file)->pMethods->xWrite(real_of(file), data, size / 2, offset);
    }
    if (disk.fault == DEATH || disk.fault == TORN_DEATH) {
        _exit(0);
    }
    return disk.code;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    int status = next_change(file, data, size, offset);

    log_change('w');
    return status == SQLITE_OK ? real_of(file)->pMethods->xWrite(real_of(file), data, size, offset) : status;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int status = next_change(file, NULL, 0, 0);

    return status == SQLITE_OK ? real_of(file)->pMethods->xTruncate(real_of(file), size) : status;
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags; /* the machine does not die here, so nothing need reach the disk */
    log_change('s');
    return next_change(file, NULL, 0, 0);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_lock(sqlite3_file *file, int *locked)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), locked);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
    struct file *file = (struct file *)base;
    int status;

    (void)vfs;
    file->real = (sqlite3_file *)(file + 1);
    status = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
    base->pMethods = status == SQLITE_OK ? &methods : NULL;
    return status;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    int status = next_change(NULL, NULL, 0, 0);

    (void)vfs;
    log_change(sync_directory ? 'D' : 'd');
    return status == SQLITE_OK ? real_vfs->xDelete(real_vfs, name, 0) : status;
}

static sqlite3_vfs disk_vfs;

static void mount_disk(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    disk_vfs = *real_vfs;
    disk_vfs.zName = "faulty";
    disk_vfs.szOsFile += (int)sizeof(struct file);
    disk_vfs.xOpen = disk_open;
    disk_vfs.xDelete = disk_delete;
    CHECK_EQ(sqlite3_vfs_register(&disk_vfs, true), SQLITE_OK);
}

static void unmount_disk(void)
{
    CHECK_EQ(sqlite3_vfs_unregister(&disk_vfs), SQLITE_OK);
}

/* --- the recording --- */

/* Exit n has the value n; every 8th comes from a new site. */
static bool append_transaction(struct trace_writer *writer, unsigned first)
{
    static struct site_key key = {.region = "device", .space = SPACE_MMIO, .size = 4};

    for (unsigned n = first; n < first + EXITS; n++) {
        struct insn insn = {.row = {.pc = n / 8, .size = 1, .text = ""}};
        const struct site *site;
        struct item items[2];
        size_t count = 0;
        bool is_new;

        key.insn = insn_intern(&insn);
        site = site_find(&key, &is_new);
        if (n % 8 == 0) { /* is_new is true in the first of many recordings only */
            items[count++] = (struct item){.kind = ITEM_SITE, .site = site, .site_id = site->id};
        }
        items[count++] = (struct item){.kind = ITEM_EXIT, .t_ns = n * 1000, .site_id = site->id, .value = n};
        if (!trace_writer_append(writer, items, count)) {
            return false;
        }
    }
    clock_now.tv_sec++; /* beyond the commit interval */
    return trace_writer_tick(writer);
}

static void record_on_disk(void)
{
    char *error;
    struct trace_writer *writer;

    mount_disk();
    writer = trace_writer_open(TRACE, &error);
    if (!writer) {
        report->failed = true;
        free(error);
        unmount_disk();
        return;
    }
    for (unsigned i = 0; i < TRANSACTIONS && append_transaction(writer, i * EXITS); i++) {
        report->committed = (i + 1) * EXITS;
        /* From the second on they do not fit: pages are written before the commit. */
        sqlite3_exec(writer->db, "PRAGMA cache_size = 5", NULL, NULL, NULL);
    }
    if (!trace_writer_close(writer, &error)) {
        report->failed = true;
        CHECK_CONTAINS(error, "cannot");
        free(error);
    }
    unmount_disk();
}

static void die_on_disk(void)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        record_on_disk();
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
}

static void prepare_trace(void)
{
    char *error;
    struct trace_writer *writer;

    remove_trace();
    writer = trace_writer_open(TRACE, &error);
    CHECK(writer);
    CHECK(trace_writer_close(writer, &error));
}

/* Making a trace takes longer than what is done to it here: all begin with copies of one. */
static void copy_file(const char *from, const char *to)
{
    static char data[1 << 20];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t size;

    CHECK(in && out);
    size = fread(data, 1, sizeof(data), in);
    CHECK(size > 0 && size < sizeof(data));
    CHECK_EQ(fwrite(data, 1, size, out), size);
    fclose(in);
    CHECK_EQ(fclose(out), 0);
}

static unsigned number(const char *query)
{
    return (unsigned)strtoul(ask(query), NULL, 10);
}

/* Record with the given fault, and check what is there afterwards. */
static void check_one(struct disk with)
{
    unsigned exits;

    remove_trace();
    copy_file("empty.db", TRACE);
    disk = with;
    *report = (struct report){0};
    if (with.fault <= TORN_DEATH) {
        die_on_disk();
    } else {
        record_on_disk();
    }
    sql("SELECT count(*) FROM exit"); /* rolls back what was not committed, which a read-only connection may not */
    exits = number("SELECT count(*) FROM exit");
    CHECK_EQ(number("SELECT count(*) FROM access "
                    "WHERE seq BETWEEN 0 AND (SELECT count(*) - 1 FROM exit) AND value = printf('%#x', seq)"),
             exits);
    CHECK_STR(ask("PRAGMA integrity_check"), "ok");
    /* The process may have died between the commit and the report of it. */
    CHECK(exits == report->committed || (exits == report->committed + EXITS && report->happened));
    if (report->happened && with.fault >= FAULT_ONCE) {
        CHECK(report->failed || exits == TRANSACTIONS * EXITS); /* never silently */
    } else if (!report->happened) {
        CHECK(!report->failed);
        CHECK_EQ(exits, TRANSACTIONS * EXITS);
    }
}

static void check_all(enum fault fault, int code)
{
    unsigned at = 0;

    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(report != MAP_FAILED);
    prepare_trace();
    copy_file(TRACE, "empty.db");
    do {
        check_one((struct disk){.fault = fault, .code = code, .left = ++at});
    } while (report->happened);
    CHECK(at > 20 * TRANSACTIONS);
}

static void death_at_any_change_keeps_what_was_committed(void)
{
    check_all(DEATH, 0);
}

static void death_within_any_write_keeps_what_was_committed(void)
{
    check_all(TORN_DEATH, 0);
}

static void a_disk_full_from_any_change_on_keeps_what_was_committed(void)
{
    check_all(FAULT_EVER, SQLITE_FULL);
}

static void a_disk_failing_from_any_change_on_keeps_what_was_committed(void)
{
    check_all(FAULT_EVER, SQLITE_IOERR_WRITE);
}

static void a_single_error_at_any_change_is_never_silent(void)
{
    check_all(FAULT_ONCE, SQLITE_IOERR);
}

/* The machine's death cannot be had here; that everything is written in time to survive it can be seen. */
static void a_commit_is_on_the_disk_when_it_is_made(void)
{
    struct trace_writer *writer;
    char *error;

    report = calloc(1, sizeof(*report));
    prepare_trace();
    disk = (struct disk){.fault = FAULT_ONCE};
    mount_disk();
    writer = trace_writer_open(TRACE, &error);
    CHECK(writer);
    CHECK(append_transaction(writer, 0));
    CHECK_STR(log_of_changes, "wswswsD"); /* the journal, its header, the trace; then the journal is of no use */
    CHECK(trace_writer_close(writer, &error));
    free(report);
}

static void a_file_system_that_becomes_read_only_is_named(void)
{
    struct trace_writer *writer;
    char *error;

    report = calloc(1, sizeof(*report));
    prepare_trace();
    disk = (struct disk){.fault = FAULT_EVER, .code = SQLITE_READONLY, .left = 1};
    mount_disk();
    writer = trace_writer_open(TRACE, &error);
    CHECK(writer);
    CHECK(!append_transaction(writer, 0));
    CHECK_CONTAINS(trace_writer_error(writer), "attempt to write a readonly database");
    CHECK_CONTAINS(trace_writer_error(writer), "must stay writable");
    CHECK(!trace_writer_close(writer, &error));
    free(error);
    free(report);
}

/* SQLite would go on writing into a file that has no name any more. */
static void check_moved(void (*move)(void))
{
    struct trace_writer *writer;
    char *error;

    prepare_trace();
    writer = trace_writer_open(TRACE, &error);
    CHECK(writer);
    CHECK(append_transaction(writer, 0));
    move();
    CHECK(!append_transaction(writer, EXITS));
    CHECK_CONTAINS(trace_writer_error(writer), "deleted, renamed or replaced");
    CHECK(!trace_writer_close(writer, &error));
    free(error);
}

static void remove_it(void)
{
    CHECK_EQ(unlink(TRACE), 0);
}

static void rename_it(void)
{
    CHECK_EQ(rename(TRACE, "renamed.db"), 0);
}

static void replace_it(void)
{
    remove_it();
    prepare_trace();
}

static void a_file_that_was_removed_is_an_error(void)
{
    check_moved(remove_it);
}

static void a_file_that_was_renamed_is_an_error_and_keeps_what_was_committed(void)
{
    check_moved(rename_it);
    CHECK_EQ(rename("renamed.db", TRACE), 0);
    CHECK_EQ(number("SELECT count(*) FROM exit"), EXITS);
}

static void a_file_that_was_replaced_is_an_error_and_the_new_one_is_left_alone(void)
{
    check_moved(replace_it);
    CHECK_EQ(number("SELECT count(*) FROM exit"), 0);
}

int main(void)
{
    RUN(death_at_any_change_keeps_what_was_committed);
    RUN(death_within_any_write_keeps_what_was_committed);
    RUN(a_disk_full_from_any_change_on_keeps_what_was_committed);
    RUN(a_disk_failing_from_any_change_on_keeps_what_was_committed);
    RUN(a_single_error_at_any_change_is_never_silent);
    RUN(a_commit_is_on_the_disk_when_it_is_made);
    RUN(a_file_system_that_becomes_read_only_is_named);
    RUN(a_file_that_was_removed_is_an_error);
    RUN(a_file_that_was_renamed_is_an_error_and_keeps_what_was_committed);
    RUN(a_file_that_was_replaced_is_an_error_and_the_new_one_is_left_alone);
    return 0;
}
