/*
 * Markers.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "markers.h"

#include "check.h"

/* The last text that the bytes of `bytes` end, or NULL. */
static const char *gather(const char *bytes, size_t size)
{
    const char *text = NULL;

    for (size_t i = 0; i < size; i++) {
        const char *ended = markers_gather((uint8_t)bytes[i]);

        text = ended ? ended : text;
    }
    return text;
}

#define GATHER(literal) gather(literal, sizeof(literal) - 1)

static void marks_come_in_the_order_of_their_times(void)
{
    uint64_t due_ns = 0;

    CHECK(markers_add("20:late"));
    CHECK(markers_add("10:a:b"));
    CHECK(markers_add("20:later"));
    CHECK(!markers_next(9, &due_ns));
    CHECK_STR(markers_next(10, &due_ns), "a:b");
    CHECK_EQ(due_ns, 10);
    CHECK(!markers_next(19, &due_ns));
    CHECK_EQ(markers_left(), 2);
    CHECK_STR(markers_next(1000, &due_ns), "late");
    CHECK_EQ(due_ns, 20);
    CHECK_STR(markers_next(1000, &due_ns), "later");
    CHECK(!markers_next(UINT64_MAX, &due_ns));
    CHECK_EQ(markers_left(), 0);
}

static void a_malformed_mark_is_refused(void)
{
    CHECK(!markers_add(""));
    CHECK(!markers_add("10"));
    CHECK(!markers_add("10:"));
    CHECK(!markers_add(":text"));
    CHECK(!markers_add("-1:text"));
    CHECK(!markers_add("18446744073709551616:text"));
    CHECK_EQ(markers_left(), 0);
}

static void a_long_mark_is_cut_between_characters(void)
{
    char text[3 + 5000 * 2 + 1] = "7:x";
    uint64_t due_ns;
    const char *piece;
    size_t total = 0;

    for (unsigned i = 0; i < 5000; i++) {
        memcpy(text + 3 + 2 * i, "\xc3\xa9", 3); /* U+00E9: from an odd place on, so that 4096 falls into one */
    }
    CHECK(markers_add(text));
    CHECK_EQ(markers_left(), 3);
    while ((piece = markers_next(7, &due_ns))) {
        CHECK(strlen(piece) <= MARKER_MAX);
        CHECK((piece[0] & 0xc0) != 0x80);
        CHECK(memcmp(piece, text + 2 + total, strlen(piece)) == 0);
        total += strlen(piece);
    }
    CHECK_EQ(total, 1 + 5000 * 2);
}

static void the_port_is_one_address_and_writes_only(void)
{
    struct site_key key = {.address = 0x2f0, .space = SPACE_PIO, .direction = DIRECTION_WRITE, .size = 1};

    CHECK(!markers_take(&key));
    CHECK(markers_set_port("pio:0x2f0"));
    CHECK(markers_take(&key));
    key.direction = DIRECTION_READ;
    CHECK(!markers_take(&key));
    key.direction = DIRECTION_WRITE;
    key.space = SPACE_MMIO;
    CHECK(!markers_take(&key));
    CHECK(markers_set_port("mmio:0x2f0"));
    CHECK(markers_take(&key));
    key.address++;
    CHECK(!markers_take(&key));
}

static void a_malformed_port_is_refused(void)
{
    CHECK(!markers_set_port("0x2f0"));
    CHECK(!markers_set_port("pio:"));
    CHECK(!markers_set_port("pio:0x10000"));
    CHECK(!markers_set_port("pio:1x"));
    CHECK(!markers_set_port("mmio:18446744073709551616"));
    CHECK(markers_set_port("mmio:18446744073709551615"));
}

static void newline_and_nul_end_a_text(void)
{
    CHECK(!GATHER("abc"));
    CHECK_STR(GATHER("d\n"), "abcd");
    CHECK(!GATHER("\n\0"));
    CHECK_STR(GATHER("e\0"), "e");
    CHECK(!markers_rest());
}

static void what_was_not_ended_is_not_lost(void)
{
    CHECK(!GATHER("half"));
    CHECK_STR(markers_rest(), "half");
    CHECK(!markers_rest());
}

static void bytes_that_are_no_text_are_written_out(void)
{
    CHECK_STR(GATHER("a\r\t\n"), "a\\x0d\\x09");
    CHECK_STR(GATHER("c:\\d\n"), "c:\\\\d");
    CHECK_STR(GATHER("\xc3\xa9\n"), "\xc3\xa9");
    CHECK_STR(GATHER("\xc3\n"), "\\xc3");           /* not all of it */
    CHECK_STR(GATHER("\xff\x80z\n"), "\\xff\\x80z");
    CHECK_STR(GATHER("\xed\xa0\x80\n"), "\\xed\\xa0\\x80"); /* a surrogate */
    CHECK_STR(GATHER("\xc0\x80\n"), "\\xc0\\x80");          /* overlong */
}

static void a_long_text_is_cut_between_characters(void)
{
    for (unsigned i = 0; i < MARKER_MAX - 1; i++) {
        CHECK(!markers_gather('x'));
    }
    CHECK_EQ(strlen(markers_gather(0xc3)), MARKER_MAX - 1);
    CHECK_STR(GATHER("\xa9\n"), "\xc3\xa9");
}

static void a_long_text_of_no_characters_fits(void)
{
    for (unsigned i = 0; i < MARKER_MAX - 1; i++) {
        CHECK(!markers_gather(0xff));
    }
    CHECK_EQ(strlen(markers_gather(0xff)), 4 * MARKER_MAX);
    CHECK(!markers_rest());
}

int main(void)
{
    RUN(marks_come_in_the_order_of_their_times);
    RUN(a_malformed_mark_is_refused);
    RUN(a_long_mark_is_cut_between_characters);
    RUN(the_port_is_one_address_and_writes_only);
    RUN(a_malformed_port_is_refused);
    RUN(newline_and_nul_end_a_text);
    RUN(what_was_not_ended_is_not_lost);
    RUN(bytes_that_are_no_text_are_written_out);
    RUN(a_long_text_is_cut_between_characters);
    RUN(a_long_text_of_no_characters_fits);
    return 0;
}
