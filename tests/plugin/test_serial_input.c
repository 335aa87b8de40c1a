/*
 * Bytes for the guest's serial port. QEMU's UART and lock are played by the test.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "check.h"

#include <dlfcn.h>
#include <stdint.h>

static void *find_symbol(void *handle, const char *name);
static void note_event(int vcpu, uint64_t t_ns, const char *kind, const char *detail);
#define dlsym find_symbol
#define recorder_event_at note_event
#include "serial_input.c"
#undef dlsym
#undef recorder_event_at

#define FILE_NAME "input.bin"
#define MS 1000000u

static const char *missing = ""; /* a function that QEMU does not export */
static bool is_locked, vcpu_has_lock;
static unsigned locks;
static unsigned room = 1; /* bytes that the UART takes */
static char received[64], noted[512];
static int uart;

static void *fake_find(const char *name)
{
    return strcmp(name, "serial0") == 0 ? &uart : NULL;
}

static int fake_can_write(void *chr)
{
    CHECK(chr == &uart && is_locked);
    return (int)room;
}

static void fake_write(void *chr, const uint8_t *bytes, int size)
{
    CHECK(chr == &uart && is_locked && room > 0);
    CHECK_EQ(size, 1);
    strncat(received, (const char *)bytes, 1);
}

static bool fake_locked(void)
{
    return vcpu_has_lock;
}

static void fake_lock(const char *file, int line)
{
    CHECK(file && line > 0 && !is_locked);
    is_locked = true;
    locks++;
}

static void fake_unlock(void)
{
    CHECK(is_locked);
    is_locked = false;
}

static void *find_symbol(void *handle, const char *name)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } exported[] = {
        {"qemu_chr_find", (void (*)(void))fake_find},   {"qemu_chr_be_can_write", (void (*)(void))fake_can_write},
        {"qemu_chr_be_write", (void (*)(void))fake_write}, {"bql_locked", (void (*)(void))fake_locked},
        {"bql_lock_impl", (void (*)(void))fake_lock},   {"bql_unlock", (void (*)(void))fake_unlock},
    };
    void *found = NULL;

    CHECK(handle == RTLD_DEFAULT);
    for (size_t i = 0; i < sizeof(exported) / sizeof(*exported); i++) {
        if (strcmp(name, exported[i].name) == 0 && strcmp(name, missing) != 0) {
            memcpy(&found, &exported[i].function, sizeof(found));
        }
    }
    return found;
}

static void note_event(int vcpu, uint64_t t_ns, const char *kind, const char *detail)
{
    size_t length = strlen(noted);

    snprintf(noted + length, sizeof(noted) - length, "%d@%llu %s %s;", vcpu, (unsigned long long)t_ns, kind, detail);
}

static void add(const char *t_ns, const char *content)
{
    char option[64];

    CHECK(g_file_set_contents(FILE_NAME, content, -1, NULL));
    snprintf(option, sizeof(option), "%s:" FILE_NAME, t_ns);
    CHECK(!serial_input_add(option));
}

static void access_at(uint64_t t_ns)
{
    if (serial_input_due(t_ns)) {
        serial_input_feed(0, t_ns);
    }
    CHECK(!is_locked);
}

static void a_byte_is_fed_at_the_first_access_at_its_time(void)
{
    add("5000", "A");
    CHECK(serial_input_start("serial0"));
    access_at(4999);
    CHECK_STR(received, "");
    CHECK_EQ(locks, 0); /* what is not due costs no lock */
    access_at(5001);
    CHECK_STR(received, "A");
    CHECK_STR(noted, "0@5001 serial-input serial0 41;");
    CHECK_EQ(serial_input_left(), 0);
    access_at(UINT64_MAX - 1);
    CHECK_STR(received, "A");
}

static void bytes_come_a_gap_apart(void)
{
    add("0", "abc");
    CHECK(serial_input_start("serial0"));
    access_at(10);
    access_at(9 + MS);
    CHECK_STR(received, "a");
    access_at(12 + MS);
    access_at(11 + 2 * MS);
    CHECK_STR(received, "ab");
    CHECK_EQ(serial_input_left(), 1);
    access_at(50 * MS);
    CHECK_STR(received, "abc");
}

static void a_byte_waits_for_room(void)
{
    add("0", "ab");
    CHECK(serial_input_start("serial0"));
    room = 0;
    access_at(10);
    access_at(3 * MS);
    CHECK_STR(received, "");
    CHECK_STR(noted, "");
    CHECK_EQ(serial_input_left(), 2);
    room = 1;
    access_at(4 * MS);
    CHECK_STR(received, "a");
    CHECK_STR(noted, "0@4000000 serial-input serial0 61;");
    access_at(4 * MS + 1);
    CHECK_STR(received, "a");
}

static void each_file_has_its_time(void)
{
    add("0", "a");
    add("10000000", "");
    add("20000000", "b");
    CHECK(serial_input_start("serial0"));
    CHECK_EQ(serial_input_left(), 2);
    access_at(0);
    access_at(20 * MS - 1);
    CHECK_STR(received, "a");
    access_at(20 * MS);
    CHECK_STR(received, "ab");
}

static void a_lock_that_the_vcpu_has_is_left_to_it(void)
{
    add("0", "a");
    CHECK(serial_input_start("serial0"));
    vcpu_has_lock = is_locked = true;
    serial_input_feed(0, 0);
    CHECK(is_locked);
    CHECK_EQ(locks, 0);
    CHECK_STR(received, "a");
}

static void without_input_qemu_need_not_export_anything(void)
{
    missing = "qemu_chr_find";
    CHECK(serial_input_start("serial0"));
    CHECK(!serial_input_due(UINT64_MAX - 1));
    CHECK_EQ(serial_input_left(), 0);
}

static void a_function_that_is_missing_is_named(void)
{
    missing = "bql_lock_impl";
    add("0", "a");
    begin_capture();
    CHECK(!serial_input_start("serial0"));
    CHECK_CONTAINS(end_capture(), "does not export bql_lock_impl");
}

static void malformed_input_is_refused(void)
{
    CHECK_CONTAINS(serial_input_add("file"), "nanoseconds");
    CHECK_CONTAINS(serial_input_add("5:"), "nanoseconds");
    CHECK_CONTAINS(serial_input_add("5:no/such/file"), "cannot be read");
    add("5", "a");
    CHECK_CONTAINS(serial_input_add("4:" FILE_NAME), "before");
}

int main(void)
{
    RUN(a_byte_is_fed_at_the_first_access_at_its_time);
    RUN(bytes_come_a_gap_apart);
    RUN(a_byte_waits_for_room);
    RUN(each_file_has_its_time);
    RUN(a_lock_that_the_vcpu_has_is_left_to_it);
    RUN(without_input_qemu_need_not_export_anything);
    RUN(a_function_that_is_missing_is_named);
    RUN(malformed_input_is_refused);
    return 0;
}
