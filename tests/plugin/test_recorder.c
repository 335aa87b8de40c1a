/*
 * The recorder without QEMU: the test plays the vCPU threads and `vmdev record`. The queue is so small that vCPUs often
 * wait for the writer.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#define QUEUE_ITEMS 64
#include "recorder.c"

#include "check.h"
#include "control.h"
#include "database.h"
#include "trace_writer.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#define THREADS 4

static uint64_t guest_clock_ns;

static uint64_t guest_now_ns(void)
{
    return __atomic_load_n(&guest_clock_ns, __ATOMIC_RELAXED);
}

static void set_guest_clock(uint64_t t_ns)
{
    __atomic_store_n(&guest_clock_ns, t_ns, __ATOMIC_RELAXED);
}

static struct options options_for(const char *trace)
{
    return (struct options){.trace = trace, .control_fd = -1};
}

static struct options with_control(void)
{
    struct options options = options_for(TRACE);

    options.control_fd = open_control();
    return options;
}

static void start(const struct options *options)
{
    remove_trace();
    CHECK(recorder_start(options, guest_now_ns));
}

/* The trace is made first, with a condition under which SQLite refuses an exit. */
static void start_with_trigger(const struct options *options, const char *when, const char *message)
{
    struct trace_writer *writer;
    char text[512], *error;

    remove_trace();
    writer = trace_writer_open(TRACE, &error);
    CHECK(writer);
    CHECK(trace_writer_close(writer, &error));
    snprintf(text, sizeof(text),
             "CREATE TRIGGER refuse BEFORE INSERT ON exit WHEN %s BEGIN SELECT RAISE(ABORT, '%s'); END", when, message);
    sql(text);
    CHECK(recorder_start(options, guest_now_ns));
}

static struct insn *insn_at(uint64_t pc)
{
    struct insn insn = {.row = {.pc = pc, .size = 1, .bytes = {0xec}, .text = ""}};

    return insn_intern(&insn);
}

static void access_port(struct insn *insn, uint16_t port, uint64_t t_ns, uint64_t value)
{
    struct site_key key = {.insn = insn, .region = "", .address = port, .size = 1};

    recorder_access(&key, t_ns, value);
}

static void access_ports(uint64_t first_t_ns, unsigned count)
{
    struct insn *insn = insn_at(0x100);

    for (unsigned i = 0; i < count; i++) {
        access_port(insn, 0x71, first_t_ns + i, i);
    }
}

static const char *fact(const char *key)
{
    char query[128];

    snprintf(query, sizeof(query), "SELECT value FROM meta WHERE key = '%s'", key);
    return ask(query);
}

/* --- what is recorded --- */

static void accesses_become_rows_in_their_order(void)
{
    struct options options = options_for(TRACE);
    struct insn *insn = insn_at(0xfff0);

    start(&options);
    access_port(insn, 0x70, 10, 0x0a);
    access_port(insn, 0x71, 20, 0x26);
    access_port(insn, 0x70, 20, 0x0b);
    CHECK(recorder_active());
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns, address, value FROM access"), "0|10|0x70|0xa 1|20|0x71|0x26 2|20|0x70|0xb");
    CHECK_STR(ask("SELECT id FROM insn"), "0");
}

static void values_are_masked_to_the_size_of_the_access(void)
{
    struct options options = options_for(TRACE);
    struct site_key key = {.insn = insn_at(0xfff0), .region = "", .address = 0x40};

    start(&options);
    for (key.size = 1; key.size <= 8; key.size *= 2) {
        recorder_access(&key, 0, UINT64_C(0xfedcba9876543210));
    }
    recorder_finish();
    CHECK_STR(ask("SELECT printf('%x', value) FROM exit"), "10 3210 76543210 fedcba9876543210");
}

static void marks_stand_before_the_first_access_at_their_time(void)
{
    struct options options = options_for(TRACE);

    CHECK(markers_add("1001:second"));
    CHECK(markers_add("5:first"));
    CHECK(markers_add("9999:never"));
    start(&options);
    access_ports(1000, 3);
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns, vcpu, kind, detail FROM event"),
              "0|5|NULL|marker|first 1|1001|NULL|marker|second");
    CHECK_STR(fact("marks_left"), "1");
}

static void marks_after_the_limit_of_time_are_not_reached(void)
{
    struct options options = options_for(TRACE);

    options.until_ns = 1001;
    CHECK(markers_add("1001:end"));
    CHECK(markers_add("1002:never"));
    start(&options);
    access_ports(1000, 1);
    access_ports(1005, 1);
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns, detail FROM event"), "1|1001|end");
}

static void what_the_guest_writes_to_the_markers_port_is_a_marker(void)
{
    struct options options = options_for(TRACE);
    struct insn *insn = insn_at(0xfff0);
    struct site_key wide = {.insn = insn, .region = "", .address = 0x2f0, .size = 4, .direction = DIRECTION_WRITE};

    CHECK(markers_set_port("pio:0x2f0"));
    start(&options);
    access_port(insn, 0x2f0, 5, '?'); /* a read */
    recorder_access(&wide, 10, 'a' | '\n' << 8 | 'b' << 16 | 'c' << 24);
    recorder_access(&wide, 20, 'd' | '\n' << 8 | '\n' << 16 | 'e' << 24);
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns, vcpu, kind, detail FROM event"),
              "2|10|0|marker|a 3|20|0|marker|bcd 3|20|NULL|marker|e");
    CHECK_STR(fact("exits"), "3");
}

static void an_event_with_a_time_comes_after_the_marks_before_it(void)
{
    struct options options = options_for(TRACE);

    CHECK(markers_add("5:mark"));
    start(&options);
    recorder_event_at(0, 7, "serial-input", "41");
    recorder_event(-1, "note", "");
    access_ports(7, 1);
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns, kind FROM event"), "0|5|marker 0|7|serial-input 0|7|note");
}

static void *answer_request(void *unused)
{
    const char *request;

    (void)unused;
    while (!*(request = told())) {
        sleep_ms(1);
    }
    CHECK_STR(request, "map 1 2 2\n"); /* two accesses, two sites */
    CHECK(send(control, "done 1\n", 7, 0) == 7);
    return NULL;
}

static void a_snapshot_is_asked_for_before_the_access_is_recorded(void)
{
    struct options options = with_control();
    struct insn *insn = insn_at(0xfff0);
    struct site_key config = {.insn = insn, .region = "", .address = 0xcf8, .size = 4, .direction = DIRECTION_WRITE};
    pthread_t thread;

    map_watch_start(options.control_fd);
    start(&options);
    recorder_access(&config, 1, 0x80000810);
    config.address = 0xcfc;
    recorder_access(&config, 2, 0xc001); /* a base address register */
    CHECK_EQ(pthread_create(&thread, NULL, answer_request, NULL), 0);
    access_port(insn, 0x64, 3, 0);
    access_port(insn, 0x64, 4, 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    recorder_finish();
    CHECK_STR(fact("map_requests"), "1");
    CHECK_STR(ask("SELECT * FROM event"), "");
}

/* The access itself is then recorded under QEMU's lock, which a snapshot needs. */
static void a_snapshot_can_be_asked_for_beforehand(void)
{
    struct options options = with_control();
    struct insn *insn = insn_at(0xfff0);
    struct site_key key = {.insn = insn, .region = "", .address = 0xcf8, .size = 4, .direction = DIRECTION_WRITE};
    pthread_t thread;

    map_watch_start(options.control_fd);
    start(&options);
    recorder_access(&key, 1, 0x80000810);
    key.address = 0xcfc;
    recorder_access(&key, 2, 0xc001); /* a base address register */
    recorder_prepare(&key, 3);        /* another one: not yet */
    key.address = 0x64;
    CHECK_EQ(pthread_create(&thread, NULL, answer_request, NULL), 0);
    recorder_prepare(&key, 3);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    recorder_access(&key, 3, 0);
    CHECK_STR(told(), "");
    recorder_finish();
    CHECK_STR(fact("map_requests"), "1");
    CHECK_STR(ask("SELECT count(*) FROM exit"), "3");
}

static void a_snapshot_that_nobody_takes_is_noted(void)
{
    struct options options = with_control();

    map_watch_start(options.control_fd);
    map_watch_reset();
    close(control);
    start(&options);
    access_ports(5, 1);
    recorder_finish();
    CHECK_STR(ask("SELECT seq, kind, detail FROM event"), "0|snapshot-missing|no answer");
}

static void events_have_the_time_of_the_access_before_them(void)
{
    struct options options = options_for(TRACE);
    char long_detail[100];

    memset(long_detail, 'x', sizeof(long_detail));
    long_detail[99] = 0;
    start(&options);
    recorder_event(0, "reset", "");
    access_ports(1000, 2);
    recorder_event(-1, "note", long_detail);
    recorder_finish();
    CHECK_STR(ask("SELECT seq, t_ns, vcpu, kind, length(detail) FROM event"), "0|0|0|reset|0 2|1001|NULL|note|99");
}

static void the_end_writes_counters_and_facts(void)
{
    struct options options = options_for(TRACE);
    struct site_key key = {.insn = insn_at(0xfff0), .region = "", .address = 0x40, .size = 4};

    start(&options);
    recorder_set_fact("plugin_api", 4);
    recorder_set_fact("mmio_fast_misses", 1);
    recorder_set_fact_text("clock_source", "host");
    recorder_set_fact("mmio_fast_misses", 2);
    for (unsigned i = 0; i < 10; i++) { /* 1 PIO read, 2 PIO writes, 3 MMIO reads, 4 MMIO writes */
        key.space = i < 3 ? SPACE_PIO : SPACE_MMIO;
        key.direction = i == 0 || (i >= 3 && i < 6) ? DIRECTION_READ : DIRECTION_WRITE;
        recorder_access(&key, 0, 0);
    }
    recorder_finish();
    CHECK_STR(ask("SELECT key, value, typeof(value) FROM meta ORDER BY key"),
              "clock_source|host|text dropped|0|integer exits|10|integer interrupts|0|integer "
              "map_requests|0|integer marks_left|0|integer mmio_fast_misses|2|integer plugin_api|4|integer "
              "queue_waits|0|integer reads_mmio|3|integer reads_pio|1|integer serial_input_left|0|integer "
              "sites|4|integer writes_mmio|4|integer writes_pio|2|integer");
}

static void a_trace_is_readable_while_it_is_recorded(void)
{
    struct options options = options_for(TRACE);
    double began = seconds_now();

    start(&options);
    recorder_event(0, "reset", "");
    access_ports(0, 3);
    while (strcmp(ask("SELECT count(*) FROM exit"), "3") != 0) {
        CHECK(seconds_now() - began < 10);
        sleep_ms(20);
    }
    CHECK_STR(ask("SELECT count(*) FROM access"), "3");
    access_ports(3, 100); /* over what pointed to the event: if it was not freed, the leak checker sees it now */
    recorder_finish();
    CHECK_STR(ask("SELECT count(*) FROM access"), "103");
}

static void a_trace_that_cannot_be_opened_is_refused(void)
{
    struct options options = options_for("no-such-directory/trace.db");
    const char *message;

    begin_capture();
    CHECK(!recorder_start(&options, guest_now_ns));
    message = end_capture();
    CHECK_CONTAINS(message, "no-such-directory/trace.db");
    CHECK_CONTAINS(message, "unable to open database file");
}

static void the_writer_takes_no_signals(void)
{
    struct options options = options_for(TRACE);
    sigset_t all, before;

    start(&options);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    raise(SIGTERM); /* of this thread */
    kill(getpid(), SIGUSR1); /* of any thread: it would end the process */
    sleep_ms(20);
    recorder_finish();
}

/* --- limits --- */

static void the_limit_of_exits_is_exact(void)
{
    struct options options = with_control();

    options.exits = 5;
    start(&options);
    access_ports(0, 4);
    CHECK(recorder_active());
    CHECK_STR(told(), "");
    access_ports(4, 1);
    CHECK(!recorder_active());
    CHECK_STR(told(), "limit exits\n");
    access_ports(5, 100);
    recorder_event(0, "reset", "");
    recorder_finish();
    CHECK_STR(told(), "");
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1 2 3 4");
    CHECK_STR(ask("SELECT count(*) FROM event"), "0");
    CHECK_STR(fact("exits"), "5");
}

static void the_limit_of_time_ends_before_it(void)
{
    struct options options = with_control();

    options.until_ns = 1000;
    start(&options);
    access_ports(990, 20);
    CHECK(!recorder_active());
    access_ports(0, 1); /* another vCPU's, which was late */
    recorder_finish();
    CHECK_STR(told(), "limit duration\n");
    CHECK_STR(ask("SELECT max(t_ns) FROM access"), "999");
    CHECK_STR(fact("exits"), "10");
}

static void await_limit(void)
{
    double began = seconds_now();
    const char *text;

    while (!*(text = told())) {
        CHECK(seconds_now() - began < 10);
        sleep_ms(5);
    }
    CHECK_STR(text, "limit duration\n");
}

static void the_limit_of_time_ends_a_guest_that_makes_no_more_accesses(void)
{
    struct options options = with_control();

    options.until_ns = 1000;
    CHECK(markers_add("995:before"));
    CHECK(markers_add("1001:never"));
    start(&options);
    access_ports(990, 3);
    set_guest_clock(999);
    sleep_ms(3 * WRITER_TIMEOUT_MS);
    CHECK_STR(told(), "");
    set_guest_clock(1000);
    await_limit();
    recorder_finish();
    CHECK_STR(told(), "");
    CHECK_STR(fact("exits"), "3");
    CHECK_STR(ask("SELECT seq, t_ns, detail FROM event"), "3|995|before");
    CHECK_STR(fact("marks_left"), "1");
}

static void what_is_recorded_does_not_depend_on_when_the_limit_of_time_is_noticed(void)
{
    struct options options = with_control();

    options.until_ns = 1000;
    start(&options);
    access_ports(990, 1);
    set_guest_clock(2000);
    await_limit();
    access_ports(999, 1); /* was on its way */
    recorder_interrupt(0, 999, 1, 2);
    recorder_event_at(0, 999, "serial-input", "41");
    recorder_interrupt(0, 1000, 1, 2);
    recorder_event_at(0, 1000, "serial-input", "42");
    access_ports(1000, 1);
    CHECK(!recorder_active());
    recorder_finish();
    CHECK_STR(told(), "");
    CHECK_STR(ask("SELECT t_ns FROM access"), "990 999");
    CHECK_STR(ask("SELECT detail FROM event"), "41");
    CHECK_STR(fact("interrupts"), "1");
}

struct vcpu_thread {
    pthread_t thread;
    uint32_t index;
    unsigned accesses;
};

/* Every 4th access comes from a new site. */
static void *run_vcpu(void *argument)
{
    const struct vcpu_thread *vcpu = argument;

    for (unsigned i = 0; i < vcpu->accesses; i++) {
        struct site_key key = {
            .insn = insn_at(i / 4), /* shared by the vCPUs */
            .region = "",
            .vcpu = vcpu->index,
            .size = 8,
        };

        recorder_access(&key, 0, i);
    }
    return NULL;
}

static void start_vcpus(struct vcpu_thread *vcpus, unsigned accesses)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        vcpus[i] = (struct vcpu_thread){.index = i, .accesses = accesses};
        CHECK_EQ(pthread_create(&vcpus[i].thread, NULL, run_vcpu, &vcpus[i]), 0);
    }
}

static void join_vcpus(struct vcpu_thread *vcpus)
{
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(vcpus[i].thread, NULL);
    }
}

static void the_limit_of_exits_is_exact_with_several_vcpus(void)
{
    struct options options = with_control();
    struct vcpu_thread vcpus[THREADS];

    options.exits = 1000;
    start(&options);
    start_vcpus(vcpus, 1000);
    join_vcpus(vcpus);
    recorder_finish();
    CHECK_STR(told(), "limit exits\n");
    CHECK_STR(ask("SELECT count(*) FROM exit"), "1000");
    CHECK_STR(fact("exits"), "1000");
}

/* --- order --- */

/* A vCPU that waits lets others in: still no site may come after its first exit. */
static void several_vcpus_lose_nothing_and_sites_come_first(void)
{
    struct options options = options_for(TRACE);
    struct vcpu_thread vcpus[THREADS];

    start_with_trigger(&options,
                       "NOT EXISTS (SELECT * FROM site WHERE id = new.site)" /* a view, of its instruction too */,
                       "an exit before its site");
    start_vcpus(vcpus, 6000);
    join_vcpus(vcpus);
    recorder_finish();
    CHECK_STR(fact("exits"), "24000");
    CHECK_STR(ask("SELECT count(*) FROM exit"), "24000");
    CHECK_STR(ask("SELECT count(*), max(id) + 1 FROM site_packed"), "6000|6000");
    CHECK(atoi(fact("queue_waits")) > 0);
    /* Each vCPU's accesses in its own order. */
    CHECK_STR(ask("SELECT count(*) FROM (SELECT value - lag(value) OVER (PARTITION BY vcpu ORDER BY seq) AS step "
                  "FROM exit JOIN site_packed ON site_packed.id = exit.site) WHERE step <> 1"),
              "0");
}

/* QEMU may end by exit() in one thread while others run the guest. */
static void what_comes_during_the_end_is_recorded_whole_or_not_at_all(void)
{
    struct options options = options_for(TRACE);
    struct vcpu_thread vcpus[THREADS];

    start(&options);
    start_vcpus(vcpus, 100000);
    sleep_ms(20);
    recorder_finish();
    CHECK(!recorder_active());
    recorder_event(0, "late", "");
    join_vcpus(vcpus);
    CHECK_STR(ask("SELECT (SELECT count(*) FROM exit) = value FROM meta WHERE key = 'exits'"), "1");
    CHECK_STR(ask("SELECT (SELECT count(*) FROM site_packed) = value FROM meta WHERE key = 'sites'"), "1");
}

/* --- errors --- */

static void when_the_writer_fails_nobody_waits_for_it(void)
{
    struct options options = with_control();
    struct vcpu_thread vcpus[THREADS];

    start_with_trigger(&options, "new.seq = 1000", "the disk has moved");
    begin_capture();
    start_vcpus(vcpus, 10000);
    join_vcpus(vcpus);
    recorder_event(0, "reset", "");
    CHECK(!recorder_active());
    recorder_finish();
    CHECK_STR(end_capture(), "vmdev: recording stopped: cannot write to the trace: the disk has moved\n");
    CHECK_STR(told(), "error cannot write to the trace: the disk has moved\n");
    CHECK_STR(ask("SELECT count(*) FROM meta WHERE key = 'exits'"), "0"); /* nobody may take it for complete */
}

static void an_error_at_the_very_end_is_told_too(void)
{
    struct options options = with_control();

    start_with_trigger(&options, "new.seq = 2", "two are enough");
    begin_capture();
    access_ports(0, 3);
    recorder_finish(); /* most likely before the writer has looked at the queue */
    CHECK_STR(end_capture(), "vmdev: recording stopped: cannot write to the trace: two are enough\n");
    CHECK_STR(told(), "error cannot write to the trace: two are enough\n");
}

static void facts_that_cannot_be_written_are_an_error(void)
{
    struct options options = with_control();

    start_with_trigger(&options, "0", "");
    sql("CREATE TRIGGER no_facts BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'no facts'); END");
    begin_capture();
    access_ports(0, 3);
    recorder_finish();
    CHECK_STR(end_capture(), "vmdev: recording stopped: cannot write to the trace: no facts\n");
    CHECK_STR(told(), "error cannot write to the trace: no facts\n");
}

static void fail_stops_and_keeps_what_was_recorded(void)
{
    struct options options = with_control();

    start(&options);
    access_ports(0, 3);
    begin_capture();
    recorder_fail("this guest cannot be recorded");
    recorder_fail("said once");
    CHECK_STR(end_capture(), "vmdev: recording stopped: this guest cannot be recorded\n");
    CHECK_STR(told(), "error this guest cannot be recorded\n");
    CHECK(!recorder_active());
    access_ports(3, 3);
    recorder_finish();
    CHECK_STR(ask("SELECT seq FROM exit"), "0 1 2");
    CHECK_STR(ask("SELECT count(*) FROM meta WHERE key = 'exits'"), "0");
}

static void a_long_message_stays_one_line(void)
{
    struct options options = with_control();
    char message[1000];
    const char *line;

    memset(message, 'x', sizeof(message));
    message[sizeof(message) - 1] = 0;
    start(&options);
    begin_capture();
    recorder_fail(message);
    end_capture();
    line = told();
    CHECK_CONTAINS(line, "error xxx");
    CHECK(strchr(line, '\n') == line + strlen(line) - 1);
    recorder_finish();
}

static void nobody_need_listen(void)
{
    struct options options = with_control();

    signal(SIGPIPE, SIG_DFL);
    options.exits = 1;
    start(&options);
    close(control);
    access_ports(0, 2);
    recorder_finish();
    CHECK_STR(fact("exits"), "1");
}

int main(void)
{
    RUN(accesses_become_rows_in_their_order);
    RUN(values_are_masked_to_the_size_of_the_access);
    RUN(events_have_the_time_of_the_access_before_them);
    RUN(marks_stand_before_the_first_access_at_their_time);
    RUN(marks_after_the_limit_of_time_are_not_reached);
    RUN(what_the_guest_writes_to_the_markers_port_is_a_marker);
    RUN(an_event_with_a_time_comes_after_the_marks_before_it);
    RUN(a_snapshot_is_asked_for_before_the_access_is_recorded);
    RUN(a_snapshot_can_be_asked_for_beforehand);
    RUN(a_snapshot_that_nobody_takes_is_noted);
    RUN(the_end_writes_counters_and_facts);
    RUN(a_trace_is_readable_while_it_is_recorded);
    RUN(a_trace_that_cannot_be_opened_is_refused);
    RUN(the_writer_takes_no_signals);
    RUN(the_limit_of_exits_is_exact);
    RUN(the_limit_of_time_ends_before_it);
    RUN(the_limit_of_time_ends_a_guest_that_makes_no_more_accesses);
    RUN(what_is_recorded_does_not_depend_on_when_the_limit_of_time_is_noticed);
    RUN(the_limit_of_exits_is_exact_with_several_vcpus);
    RUN(several_vcpus_lose_nothing_and_sites_come_first);
    RUN(what_comes_during_the_end_is_recorded_whole_or_not_at_all);
    RUN(when_the_writer_fails_nobody_waits_for_it);
    RUN(an_error_at_the_very_end_is_told_too);
    RUN(facts_that_cannot_be_written_are_an_error);
    RUN(fail_stops_and_keeps_what_was_recorded);
    RUN(a_long_message_stays_one_line);
    RUN(nobody_need_listen);
    return 0;
}
