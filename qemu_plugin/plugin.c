/*
 * vmdev recorder: every port and MMIO access of the guest, with its value and the guest's own time, into a trace.
 *
 * This file is what QEMU calls: it decides at translation which instructions get which callbacks of port_io.h and mmio.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "plugin_api.h"

#include "after_block.h"
#include "filter.h"
#include "hazards.h"
#include "map_watch.h"
#include "mmio.h"
#include "orphan.h"
#include "port_io.h"
#include "recorder.h"
#include "serial_input.h"
#include "vcpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESET_VECTOR 0xfffffff0u

/* Interface version 4 is the first with qemu_plugin_mem_get_value() (QEMU 9.2). */
#define API_NEEDED 4

PLUGIN_EXPORT int qemu_plugin_version = VMDEV_PLUGIN_API == 7 ? 7 : 4;

/*
 * Nearly all blocks of an aarch64 guest end with a branch, which never calls back in A64. The plugin interface does not
 * tell A64 from A32 and T32, so there is a callback for the case; but it has nothing to keep of the instruction.
 */
static bool names_by_address;

static void vcpu_reset_vector(unsigned int vcpu_index, void *userdata)
{
    (void)userdata;
    port_io_end(vcpu_index);
    mmio_remaps(vcpu_index, NULL);
    recorder_event((int)vcpu_index, "reset", "");
    map_watch_reset();
}

/* --- translation --- */

/* An instruction's address as a callback's userdata. */
static void *address_of(const struct qemu_plugin_insn *handle)
{
    return (void *)(uintptr_t)qemu_plugin_insn_vaddr(handle);
}

static struct insn *describe(const struct qemu_plugin_insn *handle, const uint8_t *bytes, size_t size,
                             const struct io_insn *io)
{
    struct insn insn = {.row = {.pc = qemu_plugin_insn_vaddr(handle), .size = (uint8_t)size, .text = ""}};

    memcpy(insn.row.bytes, bytes, size);
    if (io) {
        char *text = qemu_plugin_insn_disas(handle);

        insn.io = *io;
        insn.row.text = text ? text : "";
        insn.operand_size = (uint8_t)io_insn_operand_size(io, insn.row.text);
    }
    return insn_intern(&insn);
}

static size_t copy_bytes(const struct qemu_plugin_insn *handle, uint8_t *bytes)
{
    return qemu_plugin_insn_data(handle, bytes, INSN_BYTES_MAX);
}

static void instrument_io(struct qemu_plugin_insn *handle, struct insn *insn, bool is_last)
{
    switch (insn->io.kind) {
    case IO_IN:
    case IO_OUT:
        qemu_plugin_register_vcpu_insn_exec_cb(handle, is_last ? port_io_last : port_io_single, QEMU_PLUGIN_CB_R_REGS, insn);
        break;
    default:
        qemu_plugin_register_vcpu_insn_exec_cb(handle, port_io_string, QEMU_PLUGIN_CB_R_REGS, insn);
        qemu_plugin_register_vcpu_mem_cb(handle, port_io_string_mem, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, insn);
        break;
    }
}

static void instrument_memory(struct qemu_plugin_insn *handle, const uint8_t *bytes, size_t size, bool is_last,
                              bool is_alone)
{
    qemu_plugin_vcpu_mem_cb_t on_load = mmio_elsewhere, on_store = mmio_elsewhere;
    bool seen_by_fast = is_last;
    struct insn *insn;

    if (is_last && names_by_address && insn_is_a64_branch(bytes, size)) {
        qemu_plugin_register_vcpu_mem_cb(handle, mmio_any_at, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                         address_of(handle));
        return;
    }
    switch (target.is_x86 ? insn_memory(bytes, size) : INSN_MEMORY_ANY) {
    case INSN_MEMORY_ANY:
        if (is_last) {
            on_load = target.is_x86 ? mmio_load : mmio_any;
            on_store = target.is_x86 ? mmio_store : mmio_any;
        }
        break;
    case INSN_MEMORY_PUSH:
        on_load = on_store = is_alone ? mmio_lone_push : mmio_elsewhere;
        seen_by_fast = is_alone;
        break;
    case INSN_MEMORY_BRANCH:
        seen_by_fast = false;
        break;
    }
    if (target.options.mmio == MMIO_FULL || (target.options.mmio == MMIO_FAST && seen_by_fast)) {
        insn = describe(handle, bytes, size, NULL);
        qemu_plugin_register_vcpu_mem_cb(handle, on_load, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_R, insn);
        qemu_plugin_register_vcpu_mem_cb(handle, on_store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W, insn);
    }
}

/* Before the first translation: what `vmdev record` knows of the machine, once QEMU has built it. */
static void await_go(void)
{
    static char line[HAZARDS_TEXT_MAX + FILTER_PLACES_TEXT_MAX + 8];
    char *places;
    size_t length = 0;

    while (length < sizeof(line) - 1) {
        ssize_t n = read(target.options.control_fd, line + length, 1);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 || line[length] == '\n') {
            break;
        }
        length++;
    }
    line[length] = 0;
    if (strncmp(line, "go ", 3) != 0) {
        recorder_fail("vmdev record has gone");
        return;
    }
    /* Ctrl-C in a terminal is for all its programs; vmdev record asks for the final memory map, then ends QEMU. */
    signal(SIGINT, SIG_IGN);
    places = strchr(line + 3, ' ');
    if (places) {
        *places++ = 0;
        if (!filter_set_places(places)) {
            recorder_fail("vmdev record did not say where the devices are");
        }
    }
    if (!hazards_set(line + 3)) {
        recorder_fail(HAZARDS_UNSAFE);
    }
}

static void instrument_block(struct qemu_plugin_tb *tb)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t n = qemu_plugin_tb_n_insns(tb);
    bool at_reset = target.is_x86 && qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0)) == RESET_VECTOR;
    bool after_io = false;

    if (target.options.control_fd >= 0) {
        pthread_once(&once, await_go);
    }
    if (target.is_x86 && !at_reset && !after_block_works()) { /* vcpu_reset_vector() knows better what to do with a pending IN */
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, port_io_after, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_COND_NE,
                                                  io_pending, 0, address_of(qemu_plugin_tb_get_insn(tb, 0)));
    }
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *handle = qemu_plugin_tb_get_insn(tb, i);
        bool is_last = i + 1 == n;
        uint8_t bytes[INSN_BYTES_MAX];
        size_t size = target.is_x86 || is_last || target.options.mmio == MMIO_FULL ? copy_bytes(handle, bytes) : 0;

        if (target.is_x86) {
            struct io_insn io;
            bool is_io = io_insn_decode(bytes, size, &io);

            if (i == 0 && at_reset) {
                qemu_plugin_register_vcpu_insn_exec_cb(handle, vcpu_reset_vector, QEMU_PLUGIN_CB_NO_REGS, NULL);
            }
            if (after_io && !is_io) {
                qemu_plugin_register_vcpu_insn_exec_cond_cb(handle, port_io_after, QEMU_PLUGIN_CB_R_REGS,
                                                            QEMU_PLUGIN_COND_NE, io_pending, 0, address_of(handle));
            }
            after_io = is_io && (io.kind == IO_IN || io.kind == IO_OUT);
            if (is_io) {
                instrument_io(handle, describe(handle, bytes, size, &io), is_last);
                continue;
            }
            if (target.options.mmio != MMIO_OFF && insn_remaps(bytes, size)) {
                qemu_plugin_register_vcpu_insn_exec_cb(handle, mmio_remaps, QEMU_PLUGIN_CB_NO_REGS, NULL);
            }
        }
        instrument_memory(handle, bytes, size, is_last, n == 1);
    }
}

/* --- life --- */

#if VMDEV_PLUGIN_API == 7
static void vcpu_discon(unsigned int vcpu_index, enum qemu_plugin_discon_type type, uint64_t from_pc, uint64_t to_pc,
                        void *userdata)
{
    (void)type, (void)userdata;
    port_io_interrupt(vcpu_index, from_pc, to_pc);
}
#else
static void vcpu_discon(qemu_plugin_id_t id, unsigned int vcpu_index, enum qemu_plugin_discon_type type,
                        uint64_t from_pc, uint64_t to_pc)
{
    (void)id, (void)type;
    port_io_interrupt(vcpu_index, from_pc, to_pc);
}
#endif

/* Returns false if this QEMU does not tell of interrupts. */
static bool watch_interrupts(qemu_plugin_id_t id)
{
#if VMDEV_PLUGIN_API == 7
    qemu_plugin_register_vcpu_discon_cb(id, QEMU_PLUGIN_DISCON_INTERRUPT, vcpu_discon, NULL);
#else
    register_discon_cb_t register_discon_cb;

    *(void **)&register_discon_cb = dlsym(RTLD_DEFAULT, "qemu_plugin_register_vcpu_discon_cb");
    if (!register_discon_cb) {
        return false;
    }
    register_discon_cb(id, QEMU_PLUGIN_DISCON_INTERRUPT, vcpu_discon);
#endif
    return true;
}

static void finish(void)
{
    map_watch_start(-1); /* QEMU answers no more */
    for (unsigned int i = 0; i < VCPUS_MAX; i++) {
        if (vcpus[i]) {
            port_io_end(i);
        }
    }
    if (target.options.mmio == MMIO_FULL) {
        recorder_set_fact("mmio_fast_misses", mmio_fast_misses());
    }
    recorder_finish();
}

#if VMDEV_PLUGIN_API == 7
static void on_vcpu_init(unsigned int vcpu_index, void *userdata)
{
    (void)userdata;
    vcpu_init(vcpu_index);
}

static void vcpu_tb_trans(struct qemu_plugin_tb *tb, void *userdata)
{
    (void)userdata;
    instrument_block(tb);
}

static void plugin_exit(void *userdata)
{
    (void)userdata;
    finish();
}

static void register_callbacks(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init, NULL);
    qemu_plugin_register_vcpu_tb_trans_cb(id, vcpu_tb_trans, NULL);
    qemu_plugin_register_atexit_cb(id, plugin_exit, NULL);
}
#else
static void on_vcpu_init(qemu_plugin_id_t id, unsigned int vcpu_index)
{
    (void)id;
    vcpu_init(vcpu_index);
}

static void vcpu_tb_trans(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    instrument_block(tb);
}

static void plugin_exit(qemu_plugin_id_t id, void *userdata)
{
    (void)id, (void)userdata;
    finish();
}

static void register_callbacks(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu_init);
    qemu_plugin_register_vcpu_tb_trans_cb(id, vcpu_tb_trans);
    qemu_plugin_register_atexit_cb(id, plugin_exit, NULL);
}
#endif

static bool target_is_big_endian(const char *name)
{
    static const char *const names[] = {"hppa",  "m68k",  "microblaze", "mips", "mips64", "or1k",
                                        "ppc",   "ppc64", "s390x",      "sh4eb", "sparc", "sparc64", "xtensaeb"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    const char *clock;

    if (!info->system_emulation) {
        fprintf(stderr, "vmdev: only whole-system emulation has devices to record\n");
        return -1;
    }
    if (info->version.cur < API_NEEDED) {
        fprintf(stderr, "vmdev: this QEMU's plugin interface has version %d; %d (QEMU 9.2) is needed\n",
                info->version.cur, API_NEEDED);
        return -1;
    }
    if (info->system.max_vcpus > VCPUS_MAX) {
        fprintf(stderr, "vmdev: at most %d CPUs can be recorded, not %d\n", VCPUS_MAX, info->system.max_vcpus);
        return -1;
    }
    if (!options_parse(&target.options, argc, argv)) {
        return -1;
    }
    target.is_big_endian = target_is_big_endian(info->target_name);
    target.is_x86 = strcmp(info->target_name, "x86_64") == 0 || strcmp(info->target_name, "i386") == 0;
    target.is_aarch64 = strcmp(info->target_name, "aarch64") == 0;
    names_by_address = target.is_aarch64 && target.options.mmio == MMIO_FAST && mmio_reads_code();
    target.has_one_vcpu = info->system.max_vcpus == 1;
    clock = clock_init();
    hazards_init(VMDEV_PLUGIN_API == 4 && target.options.mmio != MMIO_OFF);
    if (!serial_input_start(target.options.serial_chardev)) {
        return -1;
    }
    map_watch_start(target.options.control_fd);
    if (!recorder_start(&target.options, clock_now_ns)) {
        return -1;
    }
    if (target.options.control_fd >= 0 && !orphan_watch(target.options.control_fd)) {
        return -1;
    }
    recorder_set_fact("plugin_api", (uint64_t)info->version.cur);
    recorder_set_fact_text("clock_source", clock);
    port_io_start();
    register_callbacks(id);
    recorder_set_fact("interrupts_seen", watch_interrupts(id));
    return 0;
}
