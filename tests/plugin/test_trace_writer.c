/*
 * Rows into the SQLite file. The test holds the clock, and has less patience with a locked database.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "check.h"
#include "database.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

static struct timespec clock_now = {.tv_sec = 1};

static int read_clock(struct timespec *time)
{
    *time = clock_now;
    return 0;
}

#define clock_gettime(which, time) read_clock(time)
#define sqlite3_busy_timeout(db, ms) sqlite3_busy_timeout(db, (ms) / 100)
#include "trace_writer.c"
#undef clock_gettime
#undef sqlite3_busy_timeout

static void advance_clock(uint64_t ns)
{
    uint64_t now = (uint64_t)clock_now.tv_nsec + ns;

    clock_now.tv_sec += (time_t)(now / 1000000000);
    clock_now.tv_nsec = (long)(now % 1000000000);
}

static struct trace_writer *open_trace(void)
{
    char *error;
    struct trace_writer *writer = trace_writer_open(TRACE, &error);

    if (!writer) {
        check_failed(__FILE__, __LINE__, "trace_writer_open", "fails: %s", error);
    }
    CHECK(!error);
    return writer;
}

static void close_trace(struct trace_writer *writer)
{
    char *error;

    if (!trace_writer_close(writer, &error)) {
        check_failed(__FILE__, __LINE__, "trace_writer_close", "fails: %s", error);
    }
    CHECK(!error);
}

static struct trace_writer *open_new(void)
{
    remove_trace();
    return open_trace();
}

static void check_open_fails(const char *path, const char *why)
{
    char *error;

    CHECK(!trace_writer_open(path, &error));
    CHECK_CONTAINS(error, why);
    free(error);
}

static void check_close_fails(struct trace_writer *writer, const char *why)
{
    char *error;

    CHECK(!trace_writer_close(writer, &error));
    CHECK_CONTAINS(error, why);
    free(error);
}

static bool append(struct trace_writer *writer, struct item item)
{
    return trace_writer_append(writer, &item, 1);
}

static struct item exit_item(uint64_t t_ns, uint32_t site_id, uint64_t value)
{
    return (struct item){.kind = ITEM_EXIT, .t_ns = t_ns, .site_id = site_id, .value = value};
}

static bool append_exits(struct trace_writer *writer, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!append(writer, exit_item(i, 0, i))) {
            return false;
        }
    }
    return true;
}

static bool append_site_item(struct trace_writer *writer, const struct site *site)
{
    return append(writer, (struct item){.kind = ITEM_SITE, .site = site, .site_id = site->id});
}

static void commit_now(struct trace_writer *writer)
{
    advance_clock(COMMIT_INTERVAL_NS);
    CHECK(trace_writer_tick(writer));
}

/* --- opening --- */

static void check_is_empty_trace(void)
{
    CHECK_STR(ask("PRAGMA application_id"), "1986880630"); /* 'vmdv' */
    CHECK_STR(ask("PRAGMA user_version"), "2");
    CHECK_STR(ask("SELECT count(*) FROM access"), "0"); /* a view of nearly all tables */
    CHECK_STR(ask("SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM interrupt)"), "0");
    CHECK_STR(ask("SELECT count(*) FROM meta"), "0");
}

static void a_missing_trace_is_created(void)
{
    close_trace(open_new());
    check_is_empty_trace();
}

static void an_empty_file_becomes_a_trace(void)
{
    remove_trace();
    fclose(fopen(TRACE, "w"));
    close_trace(open_trace());
    check_is_empty_trace();
}

static void a_prepared_trace_is_filled(void)
{
    struct trace_writer *writer;

    close_trace(open_new());
    sql("INSERT INTO meta VALUES ('machine', 'pc'); INSERT INTO region_name VALUES (7, 'rtc')");
    writer = open_trace();
    CHECK(append_exits(writer, 2));
    close_trace(writer);
    CHECK_STR(ask("SELECT value FROM meta"), "pc");
    CHECK_STR(ask("SELECT * FROM region_name"), "7|rtc");
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1");
}

static void seq_continues_after_the_exits_that_are_there(void)
{
    struct trace_writer *writer = open_new();
    struct event event = {.kind = "reset", .detail = ""};

    CHECK(append_exits(writer, 3));
    close_trace(writer);
    writer = open_trace();
    CHECK(append(writer, (struct item){.kind = ITEM_EVENT, .event = &event}));
    CHECK(append_exits(writer, 2));
    close_trace(writer);
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1 2 3 4");
    CHECK_STR(ask("SELECT seq FROM event"), "3");
}

static void what_is_no_database_is_refused_and_left_alone(void)
{
    static const char text[] = "Dear diary, today I was nearly overwritten by a recorder.\n";
    char found[sizeof(text)] = "";
    FILE *file;

    remove_trace();
    file = fopen(TRACE, "w");
    fputs(text, file);
    fclose(file);
    check_open_fails(TRACE, "not a database");
    file = fopen(TRACE, "r");
    CHECK_EQ(fread(found, 1, sizeof(found), file), sizeof(text) - 1);
    CHECK_STR(found, text);
    fclose(file);
}

static void a_database_of_somebody_else_is_refused_and_left_alone(void)
{
    remove_trace();
    sql("CREATE TABLE recipe (name TEXT)");
    check_open_fails(TRACE, "no such table: exit");
    CHECK_STR(ask("SELECT name FROM sqlite_schema"), "recipe");
}

static void where_nothing_can_be_opened_the_message_says_so(void)
{
    check_open_fails("no-such-directory/" TRACE, "unable to open database file");
    check_open_fails(".", "unable to open database file");
}

static void a_read_only_directory_is_refused(void)
{
    uid_t user = geteuid();

    mkdir("read-only", 0555);
    if (user == 0) { /* whom permissions do not stop */
        CHECK_EQ(seteuid(65534), 0);
    }
    check_open_fails("read-only/" TRACE, "unable to open database file");
    CHECK_EQ(seteuid(user), 0); /* the leak checker needs it */
}

/* --- rows --- */

/* Numbers and times of all exits that have an epoch. */
static const char *times(void)
{
    return ask("SELECT seq, t_ns + dt_ns FROM epoch JOIN exit ON seq BETWEEN first AND last ORDER BY seq");
}

static void exits_become_rows(void)
{
    struct trace_writer *writer = open_new();
    const struct item items[] = {exit_item(100, 0, 0x26), exit_item(100, 3, 0), exit_item(250, 0, 0xffffffff)};

    CHECK(trace_writer_append(writer, items, 3));
    CHECK(trace_writer_append(writer, items, 0));
    close_trace(writer);
    CHECK_STR(ask("SELECT seq, site, value FROM exit"), "0|0|38 1|3|0 2|0|4294967295");
    CHECK_STR(times(), "0|100 1|100 2|250");
}

static void a_site_becomes_rows_of_its_instruction_and_region_too(void)
{
    struct trace_writer *writer = open_new();
    const struct insn_row in = {.id = 0, .pc = 0xffff0, .size = 2, .bytes = {0xe4, 0x71}, .text = "inb $0x71, %al"};
    const struct insn_row load = {.id = 1, .pc = 0x7c00, .size = 1, .bytes = {0xa0}, .text = ""};
    const struct site sites[] = {
        {.id = 0, .insn = &in, .insn_is_new = true, .region = "", .address = 0x71, .size = 1},
        {.id = 1, .insn = &load, .insn_is_new = true, .region = "hpet", .address = 0xfed00000, .space = SPACE_MMIO,
         .size = 4},
        {.id = 2, .insn = &load, .region = "hpet", .address = 0xfed000f0, .space = SPACE_MMIO,
         .direction = DIRECTION_WRITE, .size = 8, .vcpu = 3, .string = 1},
    };

    for (unsigned i = 0; i < 3; i++) {
        CHECK(append_site_item(writer, &sites[i]));
    }
    CHECK(append(writer, exit_item(5, 2, 0xabc)));
    close_trace(writer);
    CHECK_STR(ask("SELECT id, pc, hex(bytes), text FROM insn"), "0|1048560|E471|inb $0x71, %al 1|31744|A0|");
    CHECK_STR(ask("SELECT name FROM region_name"), "hpet");
    CHECK_STR(ask("SELECT id, vcpu, pc, space, direction, address, size, string, region FROM site"),
              "0|0|1048560|pio|r|113|1|0| "
              "1|0|31744|mmio|r|4275044352|4|0|hpet "
              "2|3|31744|mmio|w|4275044592|8|1|hpet");
    CHECK_STR(ask("SELECT region FROM site_packed WHERE id = 0"), "NULL"); /* not known: not the region named '' */
    CHECK_STR(ask("SELECT pc, address, value, region FROM access"), "0x7c00|0xfed000f0|0xabc|hpet");
}

static void numbers_have_64_bits(void)
{
    struct trace_writer *writer = open_new();
    const struct insn_row insn = {.pc = UINT64_C(0xffffffff81000000), .size = 1, .text = ""};
    const struct site site = {.insn = &insn, .insn_is_new = true, .region = "", .address = UINT64_MAX, .size = 8};

    CHECK(append_site_item(writer, &site));
    CHECK(append(writer, exit_item(INT64_MAX, 0, UINT64_MAX)));
    CHECK(append(writer, exit_item(0, 0, UINT64_C(0x8000000000000001))));
    close_trace(writer);
    CHECK_STR(times(), "0|9223372036854775807 1|0");
    CHECK_STR(ask("SELECT printf('%x', value) FROM exit"), "ffffffffffffffff 8000000000000001");
    CHECK_STR(ask("SELECT printf('%x', pc), printf('%x', address) FROM site"), "ffffffff81000000|ffffffffffffffff");
}

static void an_event_has_the_number_of_the_exit_after_it(void)
{
    struct trace_writer *writer = open_new();
    struct event reset = {.t_ns = 7, .vcpu = 0, .kind = "reset", .detail = ""};
    struct event note = {.t_ns = 8, .vcpu = -1, .kind = "note", .detail = "port 0x71 size 1"};

    CHECK(append(writer, (struct item){.kind = ITEM_EVENT, .event = &reset}));
    CHECK(append_exits(writer, 2));
    CHECK(append(writer, (struct item){.kind = ITEM_EVENT, .event = &note}));
    close_trace(writer);
    CHECK_STR(ask("SELECT * FROM event"), "0|7|0|reset| 2|8|NULL|note|port 0x71 size 1");
}

static void an_interrupt_has_the_number_of_the_exit_after_it(void)
{
    struct trace_writer *writer = open_new();
    struct interrupt interrupt = {.t_ns = 9, .vcpu = 1, .from_pc = 0x7c00, .to_pc = UINT64_MAX};

    CHECK(append_exits(writer, 2));
    CHECK(append(writer, (struct item){.kind = ITEM_INTERRUPT, .interrupt = &interrupt}));
    CHECK(append_exits(writer, 1));
    close_trace(writer);
    CHECK_STR(ask("SELECT * FROM interrupt"), "2|9|1|31744|-1");
}

static void meta_rows_replace_earlier_ones(void)
{
    struct trace_writer *writer = open_new();

    CHECK(trace_writer_meta(writer, "exits", 1));
    CHECK(trace_writer_meta(writer, "exits", 2));
    CHECK(trace_writer_meta_text(writer, "clock", "virtual"));
    close_trace(writer);
    CHECK_STR(ask("SELECT key, value, typeof(value) FROM meta ORDER BY key"), "clock|virtual|text exits|2|integer");
}

/* --- epochs --- */

static bool append_times(struct trace_writer *writer, const uint64_t *t_ns, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!append(writer, exit_item(t_ns[i], 0, 0))) {
            return false;
        }
    }
    return true;
}

static void times_that_fit_two_bytes_share_an_epoch(void)
{
    static const uint64_t t_ns[] = {1000, 1000 + 65535, 1001, 1000};
    struct trace_writer *writer = open_new();

    CHECK(append_times(writer, t_ns, 4));
    close_trace(writer);
    CHECK_STR(ask("SELECT * FROM epoch"), "0|3|33768");
    CHECK_STR(ask("SELECT dt_ns FROM exit"), "-32768 32767 -32767 -32768");
    CHECK_STR(times(), "0|1000 1|66535 2|1001 3|1000");
}

static void an_epoch_ends_when_more_times_than_four_are_far_off(void)
{
    static const uint64_t t_ns[] = {50, 100000, 51, 0, 100001, 100002, 52, 165538, 100003};
    struct trace_writer *writer = open_new();

    CHECK(append_times(writer, t_ns, 9));
    close_trace(writer);
    CHECK_STR(ask("SELECT * FROM epoch"), "0|6|32818 7|8|198306");
    CHECK_STR(times(), "0|50 1|100000 2|51 3|0 4|100001 5|100002 6|52 7|165538 8|100003");
}

static void times_may_be_as_far_apart_as_they_can(void)
{
    static const uint64_t t_ns[] = {
        0, INT64_MAX, 0, INT64_MAX, 0, INT64_MAX, 0, INT64_MAX, 0, INT64_MAX, INT64_MAX - 1,
    };
    struct trace_writer *writer = open_new();

    CHECK(append_times(writer, t_ns, 11));
    close_trace(writer);
    CHECK_STR(ask("SELECT * FROM epoch"), "0|8|32768 9|10|9223372036854775807");
    CHECK_STR(ask("SELECT count(*) FROM access"), "0"); /* there is no site 0 */
    CHECK_CONTAINS(times(), "8|0 9|9223372036854775807 10|9223372036854775806");
}

static void a_commit_ends_the_epoch(void)
{
    static const uint64_t t_ns[] = {5, 6};
    struct trace_writer *writer = open_new();

    CHECK(append_times(writer, t_ns, 2));
    commit_now(writer);
    CHECK_STR(times(), "0|5 1|6"); /* a reader beside the recorder sees whole epochs */
    CHECK(append_times(writer, t_ns, 1));
    CHECK_STR(times(), "0|5 1|6");
    commit_now(writer);
    commit_now(writer); /* with nothing to commit */
    CHECK(trace_writer_meta(writer, "exits", 3));
    commit_now(writer); /* with no exit to commit */
    close_trace(writer);
    CHECK_STR(ask("SELECT * FROM epoch"), "0|1|32773 2|2|32773");
}

static void an_epoch_that_cannot_be_written_takes_its_exits_with_it(void)
{
    struct trace_writer *writer;

    close_trace(open_new());
    sql("CREATE TRIGGER full BEFORE INSERT ON epoch WHEN new.first = 2 BEGIN SELECT RAISE(ABORT, 'no epoch'); END");
    writer = open_trace();
    CHECK(append_exits(writer, 2));
    commit_now(writer);
    CHECK(append_exits(writer, 2));
    advance_clock(COMMIT_INTERVAL_NS);
    CHECK(!trace_writer_tick(writer));
    check_close_fails(writer, "no epoch");
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1");
    CHECK_STR(times(), "0|0 1|1");
}

/* --- transactions --- */

static void rows_are_committed_after_the_interval(void)
{
    struct trace_writer *writer = open_new();

    CHECK(trace_writer_tick(writer)); /* with nothing to commit */
    CHECK(append_exits(writer, 2));
    advance_clock(COMMIT_INTERVAL_NS - 1);
    CHECK(trace_writer_tick(writer));
    CHECK_STR(ask("SELECT count(*) FROM exit"), "0");
    advance_clock(1);
    CHECK(trace_writer_tick(writer));
    CHECK_STR(ask("SELECT count(*) FROM exit"), "2");
    CHECK(append_exits(writer, 1)); /* begins anew */
    advance_clock(COMMIT_INTERVAL_NS);
    CHECK_STR(ask("SELECT count(*) FROM exit"), "2");
    CHECK(append_exits(writer, 1)); /* commits by itself */
    CHECK_STR(ask("SELECT count(*) FROM exit"), "4");
    close_trace(writer);
}

static void close_commits(void)
{
    struct trace_writer *writer = open_new();

    CHECK(append_exits(writer, 2));
    CHECK_STR(ask("SELECT count(*) FROM exit"), "0");
    close_trace(writer);
    CHECK_STR(ask("SELECT count(*) FROM exit"), "2");
}

static void after_an_error_what_was_committed_stays(void)
{
    struct trace_writer *writer;

    close_trace(open_new());
    sql("CREATE TRIGGER full BEFORE INSERT ON exit WHEN new.seq = 5 BEGIN SELECT RAISE(ABORT, 'five is enough'); END");
    writer = open_trace();
    CHECK(!trace_writer_error(writer));
    CHECK(append_exits(writer, 3));
    commit_now(writer);
    CHECK(append_exits(writer, 2));
    CHECK(!append_exits(writer, 1));
    CHECK_CONTAINS(trace_writer_error(writer), "five is enough");
    check_close_fails(writer, "five is enough");
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1 2");
}

static void the_first_error_ends_all_writing(void)
{
    struct trace_writer *writer;

    close_trace(open_new());
    sql("CREATE TRIGGER full BEFORE INSERT ON exit WHEN new.value = 1 BEGIN SELECT RAISE(ABORT, 'one refused'); END");
    writer = open_trace();
    CHECK(append(writer, exit_item(0, 0, 0)));
    CHECK(!append(writer, exit_item(0, 0, 1)));
    CHECK(!append(writer, exit_item(0, 0, 2))); /* it would be in the wrong place */
    trace_writer_meta(writer, "exits", 3);
    CHECK_CONTAINS(trace_writer_error(writer), "one refused");
    check_close_fails(writer, "one refused");
    CHECK_STR(ask("SELECT count(*) FROM exit"), "0");
    CHECK_STR(ask("SELECT count(*) FROM meta"), "0");
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_an_error_and_what_was_committed_stays(void)
{
    struct trace_writer *writer = open_new();
    struct stat status;
    unsigned appended = 0;
    char want[32];

    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(stat(TRACE, &status), 0);
    limit_file_size((rlim_t)status.st_size + 65536);
    while (append_exits(writer, 100)) {
        appended += 100;
        advance_clock(COMMIT_INTERVAL_NS);
        if (!trace_writer_tick(writer)) {
            appended -= 100;
            break;
        }
    }
    CHECK(appended >= 1000);
    CHECK(trace_writer_error(writer));
    limit_file_size(RLIM_INFINITY);
    check_close_fails(writer, "cannot write to the trace: ");
    snprintf(want, sizeof(want), "%u|%u", appended, appended - 1);
    CHECK_STR(ask("SELECT count(*), max(seq) FROM exit"), want);
    CHECK_STR(ask("PRAGMA integrity_check"), "ok");
}

static sqlite3 *lock(void)
{
    sqlite3 *db;

    CHECK_EQ(sqlite3_open(TRACE, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void a_locked_database_cannot_be_opened(void)
{
    sqlite3 *db;

    close_trace(open_new());
    db = lock();
    check_open_fails(TRACE, "another program kept the file locked");
    sqlite3_close(db);
}

static void a_database_locked_later_is_an_error(void)
{
    struct trace_writer *writer = open_new();
    sqlite3 *db;

    CHECK(append_exits(writer, 2));
    commit_now(writer);
    db = lock();
    CHECK(!append_exits(writer, 1));
    CHECK_CONTAINS(trace_writer_error(writer), "cannot write to the trace: another program kept the file locked");
    sqlite3_close(db);
    CHECK(!append_exits(writer, 1)); /* the exit before it is lost */
    check_close_fails(writer, "another program kept the file locked");
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1");
}

static void a_reader_that_does_not_end_fails_the_commit(void)
{
    struct trace_writer *writer = open_new();
    sqlite3_stmt *statement;
    sqlite3 *db;

    CHECK(append_exits(writer, 2));
    commit_now(writer);
    CHECK(append_exits(writer, 2));
    CHECK_EQ(sqlite3_open(TRACE, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_prepare_v2(db, "SELECT * FROM exit", -1, &statement, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_step(statement), SQLITE_ROW);
    check_close_fails(writer, "another program kept the file locked");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1");
}

static void *release_soon(void *db)
{
    sleep_ms(30);
    sqlite3_close(db);
    return NULL;
}

static void a_short_lock_is_waited_for(void)
{
    struct trace_writer *writer = open_new();
    pthread_t thread;

    pthread_create(&thread, NULL, release_soon, lock());
    CHECK(append_exits(writer, 2));
    pthread_join(thread, NULL);
    close_trace(writer);
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1");
}

int main(void)
{
    RUN(a_missing_trace_is_created);
    RUN(an_empty_file_becomes_a_trace);
    RUN(a_prepared_trace_is_filled);
    RUN(seq_continues_after_the_exits_that_are_there);
    RUN(what_is_no_database_is_refused_and_left_alone);
    RUN(a_database_of_somebody_else_is_refused_and_left_alone);
    RUN(where_nothing_can_be_opened_the_message_says_so);
    RUN(a_read_only_directory_is_refused);
    RUN(exits_become_rows);
    RUN(a_site_becomes_rows_of_its_instruction_and_region_too);
    RUN(numbers_have_64_bits);
    RUN(an_event_has_the_number_of_the_exit_after_it);
    RUN(an_interrupt_has_the_number_of_the_exit_after_it);
    RUN(meta_rows_replace_earlier_ones);
    RUN(times_that_fit_two_bytes_share_an_epoch);
    RUN(an_epoch_ends_when_more_times_than_four_are_far_off);
    RUN(times_may_be_as_far_apart_as_they_can);
    RUN(a_commit_ends_the_epoch);
    RUN(an_epoch_that_cannot_be_written_takes_its_exits_with_it);
    RUN(rows_are_committed_after_the_interval);
    RUN(close_commits);
    RUN(after_an_error_what_was_committed_stays);
    RUN(the_first_error_ends_all_writing);
    RUN(a_full_disk_is_an_error_and_what_was_committed_stays);
    RUN(a_locked_database_cannot_be_opened);
    RUN(a_database_locked_later_is_an_error);
    RUN(a_reader_that_does_not_end_fails_the_commit);
    RUN(a_short_lock_is_waited_for);
    return 0;
}
