/*
 * The recorder when it leaves something out, or changes files. The test plays the vCPU threads and `vmdev record`.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#define QUEUE_ITEMS 64
#include "recorder.c"

#include "check.h"
#include "control.h"
#include "database.h"

#define PARTS 8
#define THREADS 4

static struct options new_options(void)
{
    struct options options = {.trace = TRACE};
    char name[32];

    remove_trace();
    for (unsigned i = 1; i <= PARTS; i++) {
        snprintf(name, sizeof(name), "trace.%u.db", i);
        unlink(name);
    }
    options.control_fd = open_control();
    return options;
}

/* The answer of file `part`. */
static const char *ask_part(unsigned part, const char *query)
{
    static char answer[256];
    char name[32];
    sqlite3 *db;
    sqlite3_stmt *statement;
    size_t length = 0;

    snprintf(name, sizeof(name), part ? "trace.%u.db" : TRACE, part);
    CHECK_EQ(sqlite3_open_v2(name, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, query, -1, &statement, NULL) != SQLITE_OK) {
        check_failed(name, __LINE__, query, "fails: %s", sqlite3_errmsg(db));
    }
    answer[0] = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            length += (size_t)snprintf(answer + length, sizeof(answer) - length, "%s%s", i ? "|" : length ? " " : "",
                                       (const char *)sqlite3_column_text(statement, i));
        }
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return answer;
}

static void access_port(uint64_t pc, uint16_t port, uint64_t t_ns, enum direction direction)
{
    struct insn insn = {.row = {.pc = pc, .size = 1, .bytes = {0xec}, .text = ""}};
    struct site_key key = {
        .insn = insn_intern(&insn), .region = "", .address = port, .size = 1, .direction = (uint8_t)direction};

    recorder_access(&key, t_ns, t_ns);
}

static const char *fact(const char *key)
{
    char query[128];

    snprintf(query, sizeof(query), "SELECT value FROM meta WHERE key = '%s'", key);
    return ask(query);
}

/* --- filters --- */

static void what_is_left_out_is_counted(void)
{
    struct options options = new_options();

    CHECK(filter_add_address("pio:0x71-0x71"));
    CHECK(recorder_start(&options, NULL));
    for (uint64_t i = 0; i < 10; i++) {
        access_port(0x100, 0x70 + i % 2, i, DIRECTION_READ);
    }
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns, address FROM access"), "0|1|0x71 1|3|0x71 2|5|0x71 3|7|0x71 4|9|0x71");
    CHECK_STR(ask("SELECT key, value FROM meta WHERE key IN ('exits', 'excluded', 'reads_pio', 'sites') ORDER BY key"),
              "excluded|5 exits|5 reads_pio|5 sites|1");
}

static void without_a_filter_nothing_is_said_of_it(void)
{
    struct options options = new_options();

    CHECK(recorder_start(&options, NULL));
    recorder_finish();
    CHECK_STR(ask("SELECT count(*) FROM meta WHERE key = 'excluded'"), "0");
}

static void the_limit_counts_what_is_recorded(void)
{
    struct options options = new_options();

    CHECK(filter_add_address("pio:0x71-0x71"));
    options.exits = 2;
    CHECK(recorder_start(&options, NULL));
    for (uint64_t i = 0; i < 3; i++) {
        access_port(0x100, 0x70, i, DIRECTION_READ);
    }
    CHECK(recorder_active());
    access_port(0x100, 0x71, 3, DIRECTION_READ);
    access_port(0x100, 0x71, 4, DIRECTION_READ);
    CHECK(!recorder_active());
    access_port(0x100, 0x70, 5, DIRECTION_READ);
    recorder_finish();
    CHECK_STR(told(), "limit exits\n");
    CHECK_STR(fact("exits"), "2");
    CHECK_STR(fact("excluded"), "3");
}

static void markers_are_gathered_from_what_is_left_out(void)
{
    struct options options = new_options();

    CHECK(filter_add_address("pio:0x71-0x71"));
    CHECK(markers_set_port("pio:0x2f0"));
    CHECK(markers_add("5:due"));
    CHECK(recorder_start(&options, NULL));
    access_port(0x100, 0x2f0, 'A', DIRECTION_WRITE);
    access_port(0x100, 0x2f0, '\n', DIRECTION_WRITE);
    recorder_finish();
    CHECK_STR(ask("SELECT detail FROM event"), "due A");
    CHECK_STR(fact("exits"), "0");
}

static void before_the_window_there_is_nothing_but_events(void)
{
    struct options options = new_options();

    filter_set_from(100);
    CHECK(recorder_start(&options, NULL));
    recorder_event(0, "reset", "");
    access_port(0x100, 0x70, 99, DIRECTION_READ);
    recorder_interrupt(0, 99, 1, 2);
    access_port(0x100, 0x70, 100, DIRECTION_READ);
    recorder_interrupt(0, 100, 1, 2);
    recorder_finish();
    CHECK_STR(ask("SELECT t_ns FROM access"), "100");
    CHECK_STR(ask("SELECT seq, t_ns FROM interrupt"), "1|100");
    CHECK_STR(ask("SELECT kind FROM event"), "reset");
    CHECK_STR(fact("interrupts"), "1");
    CHECK_STR(fact("excluded"), "1");
}

static void *answer_request(void *unused)
{
    (void)unused;
    while (!*told()) {
        sleep_ms(1);
    }
    CHECK(send(control, "done 1 pio:0x608-0x60b\n", 23, 0) == 23);
    return NULL;
}

static void devices_are_found_again_when_they_have_moved(void)
{
    struct options options = new_options();
    pthread_t thread;

    CHECK(filter_add_device("acpi-tmr"));
    map_watch_start(options.control_fd);
    CHECK(recorder_start(&options, NULL));
    access_port(0x100, 0x608, 1, DIRECTION_READ);
    map_watch_reset();
    CHECK_EQ(pthread_create(&thread, NULL, answer_request, NULL), 0);
    access_port(0x100, 0x608, 2, DIRECTION_READ); /* already this one */
    CHECK_EQ(pthread_join(thread, NULL), 0);
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns FROM access"), "0|2");
}

/* --- a ring --- */

static void a_ring_counts_what_it_has_dropped(void)
{
    struct options options = new_options();

    options.ring = 10;
    CHECK(recorder_start(&options, NULL));
    for (uint64_t i = 0; i < 1000; i++) {
        access_port(i, 0x70, i, DIRECTION_READ);
    }
    recorder_finish();
    CHECK_STR(ask("SELECT min(seq), max(seq) FROM exit"), "990|999");
    CHECK_STR(ask("SELECT key, value FROM meta WHERE key IN ('exits', 'first_exit', 'reads_pio', 'sites') ORDER BY 1"),
              "exits|1000 first_exit|990 reads_pio|1000 sites|1000");
}

/* --- parts --- */

static void each_file_has_so_many_exits(void)
{
    struct options options = new_options();

    options.rotate = 10;
    CHECK(recorder_start(&options, NULL));
    for (uint64_t i = 0; i < 20; i++) {
        access_port(i / 2, 0x70, i, i % 5 ? DIRECTION_READ : DIRECTION_WRITE);
    }
    recorder_event(-1, "note", "");
    recorder_interrupt(0, 19, 1, 2);
    access_port(3, 0x70, 20, DIRECTION_READ);
    recorder_finish();
    CHECK_STR(told(), "part 1\npart 2\n");
    for (unsigned part = 0; part < 3; part++) {
        static const char *const seqs[] = {"0|9|10", "10|19|10", "20|20|1"};
        static const char *const counts[] = {
            "exits|10 interrupts|0 reads_mmio|0 reads_pio|8 sites|7 writes_pio|2",
            "exits|20 interrupts|1 reads_mmio|0 reads_pio|8 sites|7 writes_pio|2",
            "exits|21 interrupts|0 reads_mmio|0 reads_pio|1 sites|1 writes_pio|0",
        };

        CHECK_STR(ask_part(part, "SELECT min(seq), max(seq), count(*) FROM access WHERE t_ns = seq"), seqs[part]);
        CHECK_STR(ask_part(part, "SELECT key, value FROM meta WHERE key IN ('exits', 'sites', 'reads_pio', "
                                 "'writes_pio', 'reads_mmio', 'interrupts') ORDER BY key"),
                  counts[part]);
        CHECK_STR(ask_part(part, "SELECT count(*), max(id) + 1 FROM site"), part < 2 ? "7|7" : "1|1");
    }
    CHECK_STR(ask_part(1, "SELECT seq FROM event"), "20");
    CHECK_STR(ask_part(2, "SELECT printf('%d', pc) FROM site"), "3"); /* first seen in the first file */
}

static void no_file_is_empty(void)
{
    struct options options = new_options();

    options.rotate = 10;
    CHECK(recorder_start(&options, NULL));
    for (uint64_t i = 0; i < 20; i++) {
        access_port(0, 0x70, i, DIRECTION_READ);
    }
    recorder_finish();
    CHECK_STR(told(), "part 1\n");
    CHECK_EQ(access("trace.2.db", F_OK), -1);
}

static void excluded_accesses_count_for_the_file_of_their_time(void)
{
    struct options options = new_options();

    CHECK(filter_add_address("pio:0x71-0x71"));
    options.rotate = 2;
    CHECK(recorder_start(&options, NULL));
    for (uint64_t i = 0; i < 9; i++) {
        access_port(0, i % 3 ? 0x71 : 0x70, i, DIRECTION_READ);
    }
    recorder_finish();
    CHECK_STR(ask_part(0, "SELECT value FROM meta WHERE key = 'excluded'"), "2");
    CHECK_STR(ask_part(1, "SELECT value FROM meta WHERE key = 'excluded'"), "1");
    CHECK_STR(ask_part(2, "SELECT value FROM meta WHERE key = 'excluded'"), "0");
}

static void *run_vcpu(void *argument)
{
    for (unsigned i = 0; i < 1000; i++) {
        access_port((uintptr_t)argument * 1000 + i / 4, 0x70, 0, DIRECTION_READ);
    }
    return NULL;
}

static void several_vcpus_lose_nothing_between_files(void)
{
    struct options options = new_options();
    pthread_t threads[THREADS];

    options.rotate = 777;
    CHECK(recorder_start(&options, NULL));
    for (uintptr_t i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, run_vcpu, (void *)i), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    recorder_finish();
    for (unsigned part = 0; part < 6; part++) {
        CHECK_STR(ask_part(part, "SELECT count(*) FROM access"), part < 5 ? "777" : "115"); /* joined with its site */
        CHECK_STR(ask_part(part, "SELECT count(*) = max(id) + 1 FROM site_packed"), "1");
    }
}

static void a_file_in_the_way_ends_the_recording(void)
{
    struct options options = new_options();
    const char *message;
    FILE *file = fopen("trace.1.db", "w");

    fclose(file);
    options.rotate = 10;
    begin_capture();
    CHECK(recorder_start(&options, NULL));
    for (uint64_t i = 0; i < 1000; i++) {
        access_port(0, 0x70, i, DIRECTION_READ);
    }
    recorder_finish();
    message = end_capture();
    CHECK_CONTAINS(message, "recording stopped: trace.1.db: cannot go on in this file: File exists\n");
    CHECK_STR(told(), "error trace.1.db: cannot go on in this file: File exists\n");
    CHECK_STR(ask("SELECT count(*) FROM exit"), "10");
    CHECK_STR(fact("exits"), ""); /* nobody may take it for complete */
}

int main(void)
{
    RUN(what_is_left_out_is_counted);
    RUN(without_a_filter_nothing_is_said_of_it);
    RUN(the_limit_counts_what_is_recorded);
    RUN(markers_are_gathered_from_what_is_left_out);
    RUN(before_the_window_there_is_nothing_but_events);
    RUN(devices_are_found_again_when_they_have_moved);
    RUN(a_ring_counts_what_it_has_dropped);
    RUN(each_file_has_so_many_exits);
    RUN(no_file_is_empty);
    RUN(excluded_accesses_count_for_the_file_of_their_time);
    RUN(several_vcpus_lose_nothing_between_files);
    RUN(a_file_in_the_way_ends_the_recording);
    return 0;
}
