/*
 * When the guest may have moved a device. `vmdev record` is played by the test.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "check.h"

#include "map_watch.h"
#undef MAP_TIMEOUT_MS
#define MAP_TIMEOUT_MS 300
#include "map_watch.c"

#include <pthread.h>

#define MS 1000000u

static int record = -1; /* its end of the control socket */

static void start(void)
{
    int ends[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    record = ends[0];
    map_watch_start(ends[1]);
}

static bool port_access(enum direction direction, unsigned port, unsigned size, uint64_t t_ns, uint64_t value)
{
    struct site_key key = {.region = "",
                           .address = port,
                           .space = SPACE_PIO,
                           .direction = (uint8_t)direction,
                           .size = (uint8_t)size};

    return map_watch_access(&key, t_ns, value);
}

static bool memory_access(enum direction direction, uint64_t address, const char *region, unsigned size)
{
    struct site_key key = {.region = region,
                           .address = address,
                           .space = SPACE_MMIO,
                           .direction = (uint8_t)direction,
                           .size = (uint8_t)size};

    return map_watch_access(&key, 0, 0);
}

/* Write to a configuration register of function 0:3.0. */
static void write_config(unsigned offset, unsigned size)
{
    CHECK(!port_access(DIRECTION_WRITE, 0xcf8, 4, 0, 0x80001800u | (offset & 0xfc)));
    CHECK(!port_access(DIRECTION_WRITE, 0xcfc + (offset & 3), size, 0, 0));
}

static bool is_asked(void)
{
    return port_access(DIRECTION_READ, 0x64, 1, 0, 0);
}

static void nothing_is_asked_before_something_may_have_moved(void)
{
    start();
    CHECK(!is_asked());
    CHECK(!port_access(DIRECTION_READ, 0xcfc, 4, 0, 0));
    CHECK(!is_asked());
    CHECK_EQ(map_watch_requests(), 0);
}

static void one_request_follows_a_run_of_writes(void)
{
    start();
    write_config(0x10, 4);
    write_config(0x14, 4);
    CHECK(!port_access(DIRECTION_READ, 0xcfc, 4, 0, 0));
    CHECK(is_asked());
    CHECK(!is_asked());
    CHECK_EQ(map_watch_requests(), 1);
}

static void only_what_moves_something_counts(void)
{
    static const struct {
        unsigned offset, size;
        bool moves;
    } cases[] = {
        {0x00, 4, false}, {0x04, 1, true},  {0x05, 1, true},  {0x04, 2, true},  {0x06, 2, false}, {0x0c, 4, false},
        {0x10, 4, true},  {0x1c, 2, true},  {0x24, 4, true},  {0x30, 4, true},  {0x34, 1, false}, {0x38, 4, true},
        {0x3c, 1, false}, {0x3d, 1, false}, {0x3e, 2, true},  {0x3c, 4, true},  {0x40, 4, true},  {0xfc, 4, true},
    };

    start();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        write_config(cases[i].offset, cases[i].size);
        CHECK_EQ(is_asked() << 16 | cases[i].offset, cases[i].moves << 16 | cases[i].offset);
    }
}

static void ecam_stores_count_with_and_without_their_name(void)
{
    static const char device[] = "virtio", ecam[] = ECAM_REGION;

    start();
    CHECK(!memory_access(DIRECTION_WRITE, 0xb0018010, "", 4)); /* nothing is known of a window yet */
    CHECK(!memory_access(DIRECTION_READ, 0xfe000000, device, 4));
    CHECK(!memory_access(DIRECTION_READ, 0xb0018000, ecam, 4));
    CHECK(!memory_access(DIRECTION_WRITE, 0xb0018010, "", 4)); /* as QEMU 10 has it */
    CHECK(memory_access(DIRECTION_READ, 0xfe000000, device, 4));
    CHECK(!memory_access(DIRECTION_WRITE, 0xb0018010, ecam, 4)); /* as QEMU 11 has it */
    CHECK(memory_access(DIRECTION_READ, 0xfe000000, device, 4));
    CHECK(!memory_access(DIRECTION_WRITE, 0xb001803c, ecam, 1));
    CHECK(!memory_access(DIRECTION_READ, 0xfe000000, device, 4));
    CHECK(!memory_access(DIRECTION_WRITE, 0xc0000010, "", 4)); /* another window */
    CHECK(!memory_access(DIRECTION_READ, 0xfe000000, device, 4));
}

static void a_reset_moves_everything(void)
{
    start();
    map_watch_reset();
    CHECK(is_asked());
    CHECK(!is_asked());
}

static void many_requests_come_apart(void)
{
    start();
    for (unsigned i = 0; i < MAP_REQUESTS_FREE; i++) {
        map_watch_reset();
        CHECK(is_asked());
    }
    map_watch_reset();
    CHECK(!is_asked());
    CHECK(!port_access(DIRECTION_READ, 0x64, 1, MAP_REQUEST_GAP_NS - 1, 0));
    CHECK(port_access(DIRECTION_READ, 0x64, 1, MAP_REQUEST_GAP_NS, 0)); /* put off, not forgotten */
    map_watch_reset();
    CHECK(!port_access(DIRECTION_READ, 0x64, 1, 2 * MAP_REQUEST_GAP_NS - 1, 0));
}

static void without_vmdev_record_nobody_is_asked(void)
{
    map_watch_start(-1);
    map_watch_reset();
    CHECK(!is_asked());
}

static void *answer(void *lines)
{
    char request[64];
    ssize_t n = recv(record, request, sizeof(request) - 1, 0);

    request[n > 0 ? n : 0] = 0;
    CHECK_STR(request, "map 1 1000 20\n");
    CHECK(send(record, lines, strlen(lines), 0) > 0);
    return NULL;
}

static char places[256]; /* what the answer says of what is where */

static bool ask(const char *answers)
{
    pthread_t thread;
    bool taken;

    start();
    CHECK_EQ(pthread_create(&thread, NULL, answer, (void *)(uintptr_t)answers), 0);
    taken = map_watch_ask(1000, 20, places, sizeof(places));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return taken;
}

static void the_answer_tells_whether_a_snapshot_was_taken(void)
{
    CHECK(ask("done 1\n"));
    CHECK_STR(places, "");
}

static void the_answer_may_tell_what_is_where(void)
{
    CHECK(ask("done 1 mmio:0xb0000000-0xbfffffff\n"));
    CHECK_STR(places, "mmio:0xb0000000-0xbfffffff");
}

static void none_may_have_been_taken(void)
{
    CHECK(!ask("none 1\n"));
}

static void late_answers_to_earlier_requests_are_passed_over(void)
{
    CHECK(!ask("done 0\nnone 1\n"));
}

static void an_answer_that_does_not_come_is_not_awaited_for_ever(void)
{
    double before = seconds_now();

    start();
    CHECK(!map_watch_ask(1, 1, places, sizeof(places)));
    CHECK(seconds_now() - before >= 0.29);
}

static void who_has_gone_is_not_waited_for(void)
{
    start();
    close(record);
    CHECK(!map_watch_ask(1, 1, places, sizeof(places)));
    map_watch_reset();
    CHECK(!is_asked() || !map_watch_ask(1, 1, places, sizeof(places)));
}

int main(void)
{
    RUN(nothing_is_asked_before_something_may_have_moved);
    RUN(one_request_follows_a_run_of_writes);
    RUN(only_what_moves_something_counts);
    RUN(ecam_stores_count_with_and_without_their_name);
    RUN(a_reset_moves_everything);
    RUN(many_requests_come_apart);
    RUN(without_vmdev_record_nobody_is_asked);
    RUN(the_answer_tells_whether_a_snapshot_was_taken);
    RUN(the_answer_may_tell_what_is_where);
    RUN(none_may_have_been_taken);
    RUN(late_answers_to_earlier_requests_are_passed_over);
    RUN(an_answer_that_does_not_come_is_not_awaited_for_ever);
    RUN(who_has_gone_is_not_waited_for);
    return 0;
}
