/*
 * Bytes for the guest's serial port. See serial_input.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "serial_input.h"

#include "numbers.h"
#include "recorder.h"

#include <dlfcn.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

struct input {
    uint64_t t_ns;
    char *bytes;
    gsize size;
};

uint64_t serial_input_due_ns = UINT64_MAX;

/* Under QEMU's lock once the guest runs. */
static GArray *inputs; /* of struct input; NULL: none */
static guint current;
static gsize fed; /* of the current one */
static const char *chardev_name;
static void *chardev;

/* Internal functions of QEMU that distributions export. A chardev's "be" functions are those that its backend calls. */
static void *(*chr_find)(const char *name);
static int (*chr_be_can_write)(void *chr);
static void (*chr_be_write)(void *chr, const uint8_t *bytes, int size);
static bool (*bql_locked)(void);
static void (*bql_lock)(const char *file, int line);
static void (*bql_unlock)(void);

/* The next byte comes `gap_ns` after `t_ns`, but not before its file's own time. */
static void find_next(uint64_t t_ns, uint64_t gap_ns)
{
    uint64_t due_ns = UINT64_MAX;

    while (inputs && current < inputs->len && fed == g_array_index(inputs, struct input, current).size) {
        current++;
        fed = 0;
    }
    if (inputs && current < inputs->len) {
        due_ns = MAX(t_ns + gap_ns, g_array_index(inputs, struct input, current).t_ns);
    }
    __atomic_store_n(&serial_input_due_ns, due_ns, __ATOMIC_RELAXED);
}

const char *serial_input_add(const char *text)
{
    struct input input;

    if (!parse_u64(&text, &input.t_ns) || *text != ':' || !text[1]) {
        return "must be a number of nanoseconds, ':' and a file";
    }
    if (!g_file_get_contents(text + 1, &input.bytes, &input.size, NULL)) {
        return "the file cannot be read";
    }
    inputs = inputs ? inputs : g_array_new(false, false, sizeof(struct input));
    if (inputs->len > 0 && g_array_index(inputs, struct input, inputs->len - 1).t_ns > input.t_ns) {
        g_free(input.bytes);
        return "must not come before the one before it";
    }
    g_array_append_val(inputs, input);
    return NULL;
}

static bool find_function(const char *name, void *function)
{
    void *found = dlsym(RTLD_DEFAULT, name);

    memcpy(function, &found, sizeof(found));
    if (!found) {
        fprintf(stderr, "vmdev: this QEMU does not export %s, so nothing can be fed to its serial port\n", name);
    }
    return found;
}

bool serial_input_start(const char *name)
{
    if (!inputs) {
        return true;
    }
    chardev_name = g_strdup(name ? name : "serial0");
    find_next(0, 0);
    return find_function("qemu_chr_find", &chr_find) && find_function("qemu_chr_be_can_write", &chr_be_can_write) &&
           find_function("qemu_chr_be_write", &chr_be_write) && find_function("bql_locked", &bql_locked) &&
           find_function("bql_lock_impl", &bql_lock) && find_function("bql_unlock", &bql_unlock);
}

static void feed(unsigned int vcpu_index, uint64_t t_ns)
{
    const struct input *input;
    uint8_t byte;
    char detail[64];

    if (!serial_input_due(t_ns)) { /* another vCPU was faster */
        return;
    }
    chardev = chardev ? chardev : chr_find(chardev_name);
    if (!chardev) {
        __atomic_store_n(&serial_input_due_ns, UINT64_MAX, __ATOMIC_RELAXED);
        recorder_fail("QEMU has no character device for the serial input");
        return;
    }
    if (chr_be_can_write(chardev) <= 0) {
        return;
    }
    input = &g_array_index(inputs, struct input, current);
    byte = (uint8_t)input->bytes[fed++];
    snprintf(detail, sizeof(detail), "%.48s %02x", chardev_name, byte);
    recorder_event_at((int)vcpu_index, t_ns, "serial-input", detail); /* first: another vCPU may read it at once */
    chr_be_write(chardev, &byte, 1);
    find_next(t_ns, SERIAL_INPUT_GAP_NS);
}

void serial_input_feed(unsigned int vcpu_index, uint64_t t_ns)
{
    bool locked = bql_locked();

    if (!locked) {
        bql_lock(__FILE__, __LINE__);
    }
    feed(vcpu_index, t_ns);
    if (!locked) {
        bql_unlock();
    }
}

uint64_t serial_input_left(void)
{
    uint64_t left = 0;

    for (guint i = current; inputs && i < inputs->len; i++) {
        left += g_array_index(inputs, struct input, i).size;
    }
    return left - fed;
}
