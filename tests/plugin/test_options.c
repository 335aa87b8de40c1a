/*
 * The plugin's options.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "options.h"

#include "filter.h"
#include "markers.h"

#include "check.h"

static struct options options;

static bool parse(const char *const *arguments)
{
    int count = 0;

    while (arguments[count]) {
        count++;
    }
    return options_parse(&options, count, (char **)(uintptr_t)arguments);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

/* The message must name the argument and say what is wrong with it. */
static void check_refused(const char *argument, const char *why)
{
    const char *const arguments[] = {"trace=t.db", argument, NULL};
    const char *message;
    bool accepted;

    begin_capture();
    accepted = parse(arguments);
    message = end_capture();
    if (accepted) {
        check_failed(__FILE__, __LINE__, argument, "is accepted");
    }
    CHECK_CONTAINS(message, argument);
    CHECK_CONTAINS(message, why);
    CHECK_EQ(message[strlen(message) - 1], '\n');
}

static void trace_alone_gives_the_defaults(void)
{
    CHECK(PARSE("trace=t.db"));
    CHECK_STR(options.trace, "t.db");
    CHECK_EQ(options.mmio, MMIO_FAST);
    CHECK_EQ(options.exits, 0);
    CHECK_EQ(options.until_ns, 0);
    CHECK_EQ(options.control_fd, -1);
}

static void all_options_are_read(void)
{
    CHECK(PARSE("mmio=full", "exits=12", "until=18446744073709551615", "control=5", "trace=a=b.db"));
    CHECK_STR(options.trace, "a=b.db");
    CHECK_EQ(options.mmio, MMIO_FULL);
    CHECK_EQ(options.exits, 12);
    CHECK_EQ(options.until_ns, UINT64_MAX);
    CHECK_EQ(options.control_fd, 5);
}

static void mmio_has_three_modes(void)
{
    CHECK(PARSE("trace=t.db", "mmio=off"));
    CHECK_EQ(options.mmio, MMIO_OFF);
    CHECK(PARSE("trace=t.db", "mmio=fast"));
    CHECK_EQ(options.mmio, MMIO_FAST);
    check_refused("mmio=some", "fast, full or off");
    check_refused("mmio=", "fast, full or off");
    check_refused("mmio", "fast, full or off");
}

static void a_number_must_be_a_number(void)
{
    check_refused("exits=", "number");
    check_refused("exits=many", "number");
    check_refused("exits=12x", "number");
    check_refused("exits=-1", "number");
    check_refused("exits= 1", "number");
    check_refused("exits=18446744073709551616", "number");
    check_refused("until=1s", "nanoseconds");
    check_refused("control=-1", "file descriptor");
    check_refused("control=65536", "file descriptor");
}

static void stimulus_is_read(void)
{
    uint64_t due_ns;

    CHECK(PARSE("mark=7:a,b=c", "mark=5:d", "mark-port=pio:0x2f0", "serial-chardev=com", "trace=t.db"));
    CHECK_STR(markers_next(9, &due_ns), "d");
    CHECK_STR(markers_next(9, &due_ns), "a,b=c");
    CHECK_STR(options.serial_chardev, "com");
    check_refused("mark=text", "nanoseconds");
    check_refused("mark-port=0x2f0", "pio:PORT");
    check_refused("serial-input=0:no/such/file", "cannot be read");
}

static void filters_and_limits_are_read(void)
{
    CHECK(PARSE("ring=9", "trace=t.db"));
    CHECK_EQ(options.ring, 9);
    CHECK_EQ(options.rotate, 0);
    CHECK(!filter_is_set());
    CHECK(PARSE("rotate=7", "address=pio:0x70-0x71", "device=a,b", "from=5", "trace=t.db"));
    CHECK_EQ(options.ring, 0);
    CHECK_EQ(options.rotate, 7);
    CHECK(filter_is_set());
    CHECK(!filter_wants_time(4));
    CHECK(filter_wants_time(5));
    check_refused("address=0x70-0x71", "pio:FIRST-LAST");
    check_refused("device=", "name of a region");
    check_refused("from=1s", "nanoseconds");
    check_refused("ring=many", "number");
    check_refused("rotate=-1", "number");
    begin_capture();
    CHECK(!PARSE("ring=1", "rotate=1", "trace=t.db"));
    CHECK_CONTAINS(end_capture(), "not with rotate");
}

static void an_unknown_option_is_refused(void)
{
    check_refused("exit=1", "unknown");
    check_refused("exitss=1", "unknown");
    check_refused("=1", "unknown");
    check_refused("", "unknown");
}

static void a_trace_is_needed(void)
{
    begin_capture();
    CHECK(!PARSE("exits=1"));
    CHECK_CONTAINS(end_capture(), "trace=FILE");
    begin_capture();
    CHECK(!PARSE("trace="));
    CHECK_CONTAINS(end_capture(), "trace=FILE");
    begin_capture();
    CHECK(!options_parse(&options, 0, NULL));
    CHECK_CONTAINS(end_capture(), "trace=FILE");
}

int main(void)
{
    RUN(trace_alone_gives_the_defaults);
    RUN(all_options_are_read);
    RUN(mmio_has_three_modes);
    RUN(a_number_must_be_a_number);
    RUN(stimulus_is_read);
    RUN(filters_and_limits_are_read);
    RUN(an_unknown_option_is_refused);
    RUN(a_trace_is_needed);
    return 0;
}
