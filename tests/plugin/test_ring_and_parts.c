/*
 * Recordings that do not stay in one file, or do not keep all of it.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#define RING_SLACK 100
#include "trace_writer.c"

#include "check.h"
#include "database.h"

#include <sys/stat.h>

#define NEXT "trace.1.db"

static struct trace_writer *open_new(void)
{
    char *error;
    struct trace_writer *writer;

    remove_trace();
    unlink(NEXT);
    writer = trace_writer_open(TRACE, &error);
    CHECK(writer);
    return writer;
}

static void close_trace(struct trace_writer *writer)
{
    char *error;

    CHECK(trace_writer_close(writer, &error));
}

/* Times are 10 ns apart, and 50 ms after each 7 exits: there are several epochs. */
static void append_exits(struct trace_writer *writer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t t_ns = writer->next_seq * 10 + writer->next_seq / 7 * 50000000;
        struct item item = {.kind = ITEM_EXIT, .t_ns = t_ns, .value = writer->next_seq};

        CHECK(trace_writer_append(writer, &item, 1));
    }
}

static void note(struct trace_writer *writer)
{
    struct event event = {.vcpu = -1, .kind = "marker", .detail = ""};
    struct interrupt interrupt = {.t_ns = 0};

    CHECK(trace_writer_append(writer, &(struct item){.kind = ITEM_EVENT, .event = &event}, 1));
    CHECK(trace_writer_append(writer, &(struct item){.kind = ITEM_INTERRUPT, .interrupt = &interrupt}, 1));
}

/* --- the ring --- */

static void check_ring(const char *range)
{
    CHECK_STR(ask("SELECT min(seq), max(seq) FROM exit"), range);
    CHECK_STR(ask("SELECT min(first), max(last) FROM epoch"), range);
    CHECK_STR(ask("SELECT count(*) = max(seq) - min(seq) + 1 FROM exit"), "1");
    CHECK_STR(ask("SELECT sum(last - first + 1) = (SELECT count(*) FROM exit) FROM epoch"), "1");
    CHECK_STR(ask("SELECT count(*) FROM exit JOIN epoch ON seq BETWEEN first AND last "
                  "WHERE t_ns + dt_ns <> seq * 10 + seq / 7 * 50000000 OR value <> seq"),
              "0");
}

static void fewer_exits_than_a_ring_keeps_stay(void)
{
    struct trace_writer *writer = open_new();

    trace_writer_keep(writer, 30);
    note(writer);
    append_exits(writer, 30);
    close_trace(writer);
    check_ring("0|29");
    CHECK_STR(ask("SELECT count(*) FROM meta"), "0");
    CHECK_STR(ask("SELECT count(*) FROM event"), "1");
}

static void each_commit_leaves_the_last_exits(void)
{
    struct trace_writer *writer = open_new();

    trace_writer_keep(writer, 30);
    append_exits(writer, 31);
    CHECK(commit(writer));
    check_ring("1|30");
    CHECK_STR(ask("SELECT * FROM meta"), "first_exit|1");
    append_exits(writer, 10);
    CHECK(commit(writer));
    check_ring("11|40");
    append_exits(writer, 1000);
    close_trace(writer);
    check_ring("1011|1040");
    CHECK_STR(ask("SELECT * FROM meta"), "first_exit|1011");
}

static void what_happened_between_them_stays(void)
{
    struct trace_writer *writer = open_new();

    trace_writer_keep(writer, 10);
    for (unsigned i = 0; i < 20; i++) {
        note(writer);
        append_exits(writer, 1);
    }
    note(writer);
    close_trace(writer);
    CHECK_STR(ask("SELECT min(seq), max(seq), count(*) FROM event"), "10|20|11");
    CHECK_STR(ask("SELECT min(seq), max(seq), count(*) FROM interrupt"), "10|20|11");
}

static void in_the_middle_of_a_transaction_there_are_few_more(void)
{
    struct trace_writer *writer = open_new();
    uint64_t rows;

    trace_writer_keep(writer, 30);
    for (unsigned i = 0; i < 1000; i++) {
        append_exits(writer, 1);
        CHECK(integer_of(writer, "SELECT count(*) FROM exit", &rows));
        CHECK(rows <= 30 + RING_SLACK);
    }
    close_trace(writer);
    check_ring("970|999");
}

static void the_file_does_not_grow(void)
{
    struct trace_writer *writer = open_new();
    struct stat before, after;

    trace_writer_keep(writer, 10000);
    append_exits(writer, 20000);
    CHECK(commit(writer));
    CHECK_EQ(stat(TRACE, &before), 0);
    for (unsigned i = 0; i < 20; i++) {
        append_exits(writer, 10000);
        CHECK(commit(writer));
    }
    close_trace(writer);
    CHECK_EQ(stat(TRACE, &after), 0);
    CHECK(after.st_size <= before.st_size + 4 * 4096);
    check_ring("210000|219999");
}

static void if_it_cannot_be_deleted_the_exits_before_stay(void)
{
    struct trace_writer *writer = open_new();
    char *error;

    trace_writer_keep(writer, 30);
    append_exits(writer, 30);
    CHECK(commit(writer));
    sql("CREATE TRIGGER refuse BEFORE DELETE ON exit BEGIN SELECT RAISE(ABORT, 'no'); END");
    append_exits(writer, 10);
    CHECK(!trace_writer_close(writer, &error));
    CHECK_CONTAINS(error, "cannot write to the trace: no");
    free(error);
    check_ring("0|29");
}

/* --- parts --- */

static struct trace_writer *open_next(struct trace_writer *before)
{
    char *error;
    struct trace_writer *writer = trace_writer_open_part(NEXT, before, 1, &error);

    if (!writer) {
        check_failed(__FILE__, __LINE__, "trace_writer_open_part", "fails: %s", error);
    }
    close_trace(before);
    return writer;
}

/* The answer of the next part. */
static const char *ask_next(const char *query)
{
    const char *answer;

    CHECK_EQ(rename(TRACE, "aside.db"), 0);
    CHECK_EQ(rename(NEXT, TRACE), 0);
    answer = ask(query);
    CHECK_EQ(rename(TRACE, NEXT), 0);
    CHECK_EQ(rename("aside.db", TRACE), 0);
    return answer;
}

static void a_part_knows_what_the_first_one_knew(void)
{
    struct trace_writer *writer = open_new();

    CHECK(trace_writer_meta_text(writer, "machine", "pc"));
    CHECK(trace_writer_meta(writer, "part", 0));
    CHECK(commit(writer));
    sql("INSERT INTO region VALUES (0, 0, 'pio', 112, 112, 'rtc-index', 'i/o', 0, 0)");
    append_exits(writer, 5);
    writer = open_next(writer);
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1 2 3 4"); /* committed */
    CHECK_STR(ask_next("SELECT * FROM meta ORDER BY key"), "first_exit|5 machine|pc part|1");
    CHECK_STR(ask_next("SELECT name FROM region"), "rtc-index");
    CHECK_STR(ask_next("SELECT count(*) FROM exit"), "0");
    CHECK_STR(ask_next("PRAGMA user_version"), "2");
    close_trace(writer);
}

static void a_part_goes_on_with_the_numbers_of_exits(void)
{
    struct trace_writer *writer = open_new();

    append_exits(writer, 5);
    writer = open_next(writer);
    note(writer);
    append_exits(writer, 3);
    close_trace(writer);
    CHECK_STR(ask_next("SELECT seq FROM exit"), "5 6 7");
    CHECK_STR(ask_next("SELECT first, last FROM epoch"), "5|7");
    CHECK_STR(ask_next("SELECT seq FROM event"), "5");
    CHECK_STR(ask("SELECT max(seq) FROM exit"), "4");
}

static void a_part_has_its_own_sites_instructions_and_regions(void)
{
    static const struct insn_row insn = {.id = 7, .pc = 0x100, .size = 1, .bytes = {0xec}, .text = ""};
    static const struct site site = {.insn = &insn, .region = "hpet", .size = 4, .space = SPACE_MMIO};
    const struct item items[] = {
        {.kind = ITEM_SITE, .site = &site, .site_id = 0},
        {.kind = ITEM_SITE, .site = &site, .site_id = 1},
    };
    struct trace_writer *writer = open_next(open_new());

    CHECK(trace_writer_append(writer, items, 2)); /* of one instruction that the first file has */
    close_trace(writer);
    CHECK_STR(ask_next("SELECT id, pc, region FROM site"), "0|256|hpet 1|256|hpet");
    CHECK_STR(ask("SELECT count(*) FROM insn"), "0");
}

static void a_file_that_is_there_is_left_alone(void)
{
    struct trace_writer *writer = open_new();
    FILE *file = fopen(NEXT, "w");
    char found[16] = "", *error;

    fputs("precious", file);
    fclose(file);
    CHECK(!trace_writer_open_part(NEXT, writer, 1, &error));
    CHECK_STR(error, "File exists");
    free(error);
    append_exits(writer, 1); /* the file before is not affected */
    close_trace(writer);
    file = fopen(NEXT, "r");
    CHECK(fgets(found, sizeof(found), file));
    fclose(file);
    CHECK_STR(found, "precious");
}

static void what_cannot_be_made_leaves_no_file(void)
{
    struct trace_writer *writer = open_new();
    char *error;

    CHECK(trace_writer_meta_text(writer, "machine", "pc"));
    CHECK(commit(writer));
    sql("ALTER TABLE meta RENAME TO facts");
    CHECK(!trace_writer_open_part(NEXT, writer, 1, &error));
    CHECK_CONTAINS(error, "no such table: before.meta");
    free(error);
    CHECK_EQ(access(NEXT, F_OK), -1);
    trace_writer_close(writer, &error);
    free(error);
}

int main(void)
{
    RUN(fewer_exits_than_a_ring_keeps_stay);
    RUN(each_commit_leaves_the_last_exits);
    RUN(what_happened_between_them_stays);
    RUN(in_the_middle_of_a_transaction_there_are_few_more);
    RUN(the_file_does_not_grow);
    RUN(if_it_cannot_be_deleted_the_exits_before_stay);
    RUN(a_part_knows_what_the_first_one_knew);
    RUN(a_part_goes_on_with_the_numbers_of_exits);
    RUN(a_part_has_its_own_sites_instructions_and_regions);
    RUN(a_file_that_is_there_is_left_alone);
    RUN(what_cannot_be_made_leaves_no_file);
    return 0;
}
