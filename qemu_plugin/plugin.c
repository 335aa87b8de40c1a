/*
 * vmdev recorder: every port and MMIO access of the guest, with its value and the guest's own time, into a trace.
 *
 * Port I/O does not pass through QEMU's guest memory path. IN, OUT, INS and OUTS are found at translation and get
 * execution callbacks, which read DX and the accumulator. The value of IN exists only after the instruction: it is
 * fetched when the vCPU executes whatever comes next. The values of INS and OUTS come from their memory operand.
 *
 * MMIO is seen by memory callbacks. QEMU makes a device access only from a block's last instruction (elsewhere it
 * stops, translates that instruction as a block of its own, and executes it again), so callbacks on last instructions
 * see all of it; mmio=full puts them everywhere and counts what the rule would have missed.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "plugin_api.h"

#include "hazards.h"
#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VCPUS_MAX 1024
#define QEMU_CLOCK_VIRTUAL 1
#define RESET_VECTOR 0xfffffff0u

/* Interface version 4 is the first with qemu_plugin_mem_get_value() (QEMU 9.2). */
#define API_NEEDED 4

PLUGIN_EXPORT int qemu_plugin_version = VMDEV_PLUGIN_API == 7 ? 7 : 4;

/* An IN whose value is still to be fetched, or an IN or OUT that may have been refused. */
struct pending {
    struct insn *insn; /* NULL: none */
    uint64_t t_ns;
    uint64_t value; /* OUT */
    uint16_t port;
    bool may_be_refused; /* the I/O permission bitmap decides */
};

/* What one vCPU is in the middle of. Only its own thread touches it. */
struct vcpu {
    struct qemu_plugin_register *accumulator, *dx, *cr0, *eflags, *cs;
    GByteArray *buffer;
    struct pending pending;
    uint16_t string_port;  /* DX at the entry of the INS or OUTS that runs */
    bool ins_stored;       /* INS: the dummy store of this element has been seen */
};

/* Not known here; `vmdev record` fills it in from the region map. One object: names are compared as pointers. */
static const char NO_NAME[] = "";

static struct options options;
static bool is_x86;
static struct vcpu *vcpus[VCPUS_MAX];
static qemu_plugin_u64 io_pending; /* per vCPU: 1 while vcpu.pending holds something, to be tested without a call */
static int64_t (*clock_get_ns)(int type);
static uint64_t fast_misses; /* mmio=full: accesses that mmio=fast would not have seen */

static uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_get_ns) {
        return (uint64_t)clock_get_ns(QEMU_CLOCK_VIRTUAL);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t read_register(struct vcpu *vcpu, struct qemu_plugin_register *handle)
{
    uint64_t value = 0;

    g_byte_array_set_size(vcpu->buffer, 0);
    qemu_plugin_read_register(handle, vcpu->buffer);
    memcpy(&value, vcpu->buffer->data, vcpu->buffer->len < 8 ? vcpu->buffer->len : 8);
    return value;
}

static void record_pio(unsigned int vcpu_index, struct insn *insn, enum direction direction, uint16_t port,
                       unsigned size, bool string, uint64_t t_ns, uint64_t value)
{
    struct site_key key = {
        .insn = insn,
        .region = NO_NAME, /* the plugin interface does not name ports */
        .address = port,
        .vcpu = vcpu_index,
        .space = SPACE_PIO,
        .direction = (uint8_t)direction,
        .size = (uint8_t)size,
        .string = string,
    };

    recorder_access(&key, t_ns, value);
}

/* --- IN and OUT --- */

#define CR0_PE 0x1u
#define EFLAGS_VM 0x20000u
#define EFLAGS_IOPL(eflags) ((eflags) >> 12 & 3)
#define CS_CPL(cs) ((cs) & 3)

/* Intel SDM volume 1, 19.5: whether IN and OUT are allowed whatever the I/O permission bitmap says. */
static bool is_permitted(struct vcpu *vcpu)
{
    uint64_t eflags;

    if (!vcpu->cr0 || !vcpu->eflags || !vcpu->cs || !(read_register(vcpu, vcpu->cr0) & CR0_PE)) {
        return true;
    }
    eflags = read_register(vcpu, vcpu->eflags);
    return !(eflags & EFLAGS_VM) && CS_CPL(read_register(vcpu, vcpu->cs)) <= EFLAGS_IOPL(eflags);
}

static void forget_pending(unsigned int vcpu_index, const char *why)
{
    struct pending *pending = &vcpus[vcpu_index]->pending;
    char detail[48];

    snprintf(detail, sizeof(detail), "pc %#" PRIx64 " port %#x size %u", pending->insn->row.pc, pending->port,
             pending->insn->operand_size);
    recorder_event((int)vcpu_index, why, detail);
    pending->insn = NULL;
    qemu_plugin_u64_set(io_pending, vcpu_index, 0);
}

/*
 * The vCPU is about to execute the instruction at `next_pc`: record what is pending. If a port access needed the
 * bitmap's permission and its instruction was not simply followed by the next one, it was refused, or an interrupt
 * came right after it; which of both cannot be seen, and an event says so.
 */
static void finish_pending(unsigned int vcpu_index, uint64_t next_pc)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct pending *pending = &vcpu->pending;
    struct insn *insn = pending->insn;
    bool in;

    if (!insn) {
        return;
    }
    if (pending->may_be_refused && next_pc != insn->row.pc + insn->row.size) {
        forget_pending(vcpu_index, "refused-io");
        return;
    }
    pending->insn = NULL;
    qemu_plugin_u64_set(io_pending, vcpu_index, 0);
    in = insn->io.kind == IO_IN;
    record_pio(vcpu_index, insn, in ? DIRECTION_READ : DIRECTION_WRITE, pending->port, insn->operand_size, false,
               pending->t_ns, in ? read_register(vcpu, vcpu->accumulator) : pending->value);
}

/*
 * The vCPU executes nothing more, or starts anew. The accumulator is gone, and with it the value of a pending IN. A
 * pending OUT was made: had it been refused, the vCPU would have gone on to execute the exception's handler.
 */
static void end_pending(unsigned int vcpu_index)
{
    struct insn *insn = vcpus[vcpu_index]->pending.insn;

    if (insn && insn->io.kind == IO_IN) {
        forget_pending(vcpu_index, "unread-in");
    } else if (insn) {
        finish_pending(vcpu_index, insn->row.pc + insn->row.size);
    }
}

static void vcpu_after_io(unsigned int vcpu_index, void *userdata)
{
    finish_pending(vcpu_index, (uint64_t)(uintptr_t)userdata);
}

static void vcpu_io(unsigned int vcpu_index, void *userdata)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct insn *insn = userdata;
    bool in = insn->io.kind == IO_IN;
    struct pending access = {.insn = insn};

    finish_pending(vcpu_index, insn->row.pc); /* this callback may come before the one that follows the last IN */
    if (!recorder_active()) {
        return;
    }
    if (!insn->operand_size) {
        recorder_fail("this QEMU disassembles no x86 code (built without capstone), so operand sizes are unknown");
        return;
    }
    access.t_ns = now_ns();
    access.port = insn->io.imm_port ? insn->io.port : (uint16_t)read_register(vcpu, vcpu->dx);
    access.may_be_refused = !is_permitted(vcpu);
    if (!in) {
        access.value = read_register(vcpu, vcpu->accumulator);
        if (!access.may_be_refused) {
            record_pio(vcpu_index, insn, DIRECTION_WRITE, access.port, insn->operand_size, false, access.t_ns,
                       access.value);
            return;
        }
    }
    vcpu->pending = access;
    qemu_plugin_u64_set(io_pending, vcpu_index, 1);
}

static void vcpu_reset_vector(unsigned int vcpu_index, void *userdata)
{
    (void)userdata;
    end_pending(vcpu_index);
    recorder_event((int)vcpu_index, "reset", "");
}

/* --- memory --- */

struct access {
    uint64_t phys_addr;
    const char *region;
    unsigned size; /* bytes, up to 16 */
    uint64_t low, high;
};

static void get_value(struct access *access, qemu_plugin_meminfo_t info)
{
    qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);

    access->high = 0;
    switch (value.type) {
    case QEMU_PLUGIN_MEM_VALUE_U8:
        access->size = 1;
        access->low = value.data.u8;
        break;
    case QEMU_PLUGIN_MEM_VALUE_U16:
        access->size = 2;
        access->low = value.data.u16;
        break;
    case QEMU_PLUGIN_MEM_VALUE_U32:
        access->size = 4;
        access->low = value.data.u32;
        break;
    case QEMU_PLUGIN_MEM_VALUE_U64:
        access->size = 8;
        access->low = value.data.u64;
        break;
    case QEMU_PLUGIN_MEM_VALUE_U128:
        access->size = 16;
        access->low = value.data.u128.low;
        access->high = value.data.u128.high;
        break;
    }
}

/* A region's name; QEMU prints an unnamed region's host address ("anon" and 8 digits), which no two runs share. */
static const char *region_name(const struct qemu_plugin_hwaddr *hwaddr)
{
    const char *name = qemu_plugin_hwaddr_device_name(hwaddr);

    return strncmp(name, "anon", 4) == 0 && strspn(name + 4, "0123456789abcdef") == 8 && !name[12] ? NO_NAME : name;
}

/* Fills *access and returns true if the access went to a device. */
static bool get_device_access(struct access *access, unsigned int vcpu_index, qemu_plugin_meminfo_t info,
                              uint64_t vaddr, bool store)
{
    if (store && hazards_hit(vcpu_index, vaddr, &access->phys_addr)) {
        access->region = NO_NAME;
    } else {
        struct qemu_plugin_hwaddr *hwaddr = qemu_plugin_get_hwaddr(info, vaddr);

        if (!hwaddr || !qemu_plugin_hwaddr_is_io(hwaddr)) {
            if (store && hwaddr) {
                hazards_note_ram(vaddr);
            }
            return false;
        }
        access->phys_addr = qemu_plugin_hwaddr_phys_addr(hwaddr);
        access->region = region_name(hwaddr);
        if (!hazards_note_device(vaddr, access->phys_addr, access->region)) {
            recorder_fail(HAZARDS_UNSAFE);
        }
    }
    get_value(access, info);
    return true;
}

static bool record_mmio(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, struct insn *insn)
{
    bool store = qemu_plugin_mem_is_store(info);
    struct access access;
    struct site_key key;
    uint64_t t_ns;

    if (!recorder_active() || !get_device_access(&access, vcpu_index, info, vaddr, store)) {
        return false;
    }
    t_ns = now_ns();
    key = (struct site_key){
        .insn = insn,
        .region = access.region,
        .address = access.phys_addr,
        .vcpu = vcpu_index,
        .space = SPACE_MMIO,
        .direction = store ? DIRECTION_WRITE : DIRECTION_READ,
        .size = (uint8_t)(access.size > 8 ? 8 : access.size),
    };
    recorder_access(&key, t_ns, access.low);
    if (access.size > 8) { /* 16 bytes: recorded as two accesses of 8 */
        key.address += 8;
        recorder_access(&key, t_ns, access.high);
    }
    return true;
}

static void vcpu_mem(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    record_mmio(vcpu_index, info, vaddr, userdata);
}

/* mmio=full, at a place where mmio=fast has no callback. */
static void vcpu_mem_elsewhere(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    if (record_mmio(vcpu_index, info, vaddr, userdata)) {
        __atomic_add_fetch(&fast_misses, 1, __ATOMIC_RELAXED);
    }
}

/* --- INS and OUTS --- */

static void vcpu_string_io(unsigned int vcpu_index, void *userdata)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    const struct insn *insn = userdata;

    finish_pending(vcpu_index, insn->row.pc);
    vcpu->string_port = (uint16_t)read_register(vcpu, vcpu->dx);
    vcpu->ins_stored = false;
}

static void vcpu_string_mem(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct insn *insn = userdata;
    bool store = qemu_plugin_mem_is_store(info);
    struct access access;

    if (!recorder_active()) {
        return;
    }
    get_value(&access, info);
    if (insn->io.kind == IO_OUTS && !store) {
        if (options.mmio != MMIO_OFF) {
            record_mmio(vcpu_index, info, vaddr, insn);
        }
        record_pio(vcpu_index, insn, DIRECTION_WRITE, vcpu->string_port, access.size, true, now_ns(), access.low);
    } else if (insn->io.kind == IO_INS && store) {
        /* QEMU stores a dummy 0 first, so that a page fault comes before the device is read. */
        if (vcpu->ins_stored) {
            record_pio(vcpu_index, insn, DIRECTION_READ, vcpu->string_port, access.size, true, now_ns(), access.low);
        }
        vcpu->ins_stored = !vcpu->ins_stored;
        if (options.mmio != MMIO_OFF) {
            record_mmio(vcpu_index, info, vaddr, insn);
        }
    }
}

/* --- translation --- */

static struct insn *describe(const struct qemu_plugin_insn *handle, const uint8_t *bytes, size_t size,
                             const struct io_insn *io)
{
    struct insn insn = {.row = {.pc = qemu_plugin_insn_vaddr(handle), .size = (uint8_t)size, .text = ""}};

    memcpy(insn.row.bytes, bytes, size);
    if (io) {
        char *text = qemu_plugin_insn_disas(handle);

        insn.io = *io;
        insn.row.text = text ? text : "";
        insn.operand_size = (uint8_t)(io->byte ? 1 : io_insn_operand_size(insn.row.text));
    }
    return insn_intern(&insn);
}

static size_t copy_bytes(const struct qemu_plugin_insn *handle, uint8_t *bytes)
{
    size_t size = qemu_plugin_insn_size(handle);

    return qemu_plugin_insn_data(handle, bytes, size < INSN_BYTES_MAX ? size : INSN_BYTES_MAX);
}

static void instrument_io(struct qemu_plugin_insn *handle, struct insn *insn)
{
    switch (insn->io.kind) {
    case IO_IN:
    case IO_OUT:
        qemu_plugin_register_vcpu_insn_exec_cb(handle, vcpu_io, QEMU_PLUGIN_CB_R_REGS, insn);
        break;
    default:
        qemu_plugin_register_vcpu_insn_exec_cb(handle, vcpu_string_io, QEMU_PLUGIN_CB_R_REGS, insn);
        qemu_plugin_register_vcpu_mem_cb(handle, vcpu_string_mem, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, insn);
        break;
    }
}

static void instrument_memory(struct qemu_plugin_insn *handle, bool is_last)
{
    uint8_t bytes[INSN_BYTES_MAX];
    bool seen_by_fast = is_last;
    size_t size;

    if (options.mmio == MMIO_OFF || (options.mmio == MMIO_FAST && !is_last)) {
        return;
    }
    size = copy_bytes(handle, bytes);
    if (is_x86 && insn_is_stack_only(bytes, size)) {
        seen_by_fast = false;
        if (options.mmio == MMIO_FAST) {
            return;
        }
    }
    qemu_plugin_register_vcpu_mem_cb(handle, seen_by_fast ? vcpu_mem : vcpu_mem_elsewhere, QEMU_PLUGIN_CB_NO_REGS,
                                     QEMU_PLUGIN_MEM_RW, describe(handle, bytes, size, NULL));
}

/* Before the first translation: what `vmdev record` knows of the machine, once QEMU has built it. */
static void await_go(void)
{
    char line[HAZARDS_TEXT_MAX + 8];
    size_t length = 0;

    while (length < sizeof(line) - 1) {
        ssize_t n = read(options.control_fd, line + length, 1);

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
    if (!hazards_set(line + 3)) {
        recorder_fail(HAZARDS_UNSAFE);
    }
}

/* An instruction's address as a callback's userdata. */
static void *address_of(const struct qemu_plugin_insn *handle)
{
    return (void *)(uintptr_t)qemu_plugin_insn_vaddr(handle);
}

static void instrument_block(struct qemu_plugin_tb *tb)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t n = qemu_plugin_tb_n_insns(tb);
    bool at_reset = is_x86 && qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0)) == RESET_VECTOR;
    bool after_io = false;

    if (options.control_fd >= 0) {
        pthread_once(&once, await_go);
    }
    if (is_x86 && !at_reset) { /* vcpu_reset_vector() knows better what to do with a pending IN */
        qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, vcpu_after_io, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_COND_NE,
                                                  io_pending, 0, address_of(qemu_plugin_tb_get_insn(tb, 0)));
    }
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *handle = qemu_plugin_tb_get_insn(tb, i);

        if (is_x86) {
            uint8_t bytes[INSN_BYTES_MAX];
            size_t size = copy_bytes(handle, bytes);
            struct io_insn io;
            bool is_io = io_insn_decode(bytes, size, &io);

            if (i == 0 && at_reset) {
                qemu_plugin_register_vcpu_insn_exec_cb(handle, vcpu_reset_vector, QEMU_PLUGIN_CB_NO_REGS, NULL);
            }
            if (after_io && !is_io) {
                qemu_plugin_register_vcpu_insn_exec_cond_cb(handle, vcpu_after_io, QEMU_PLUGIN_CB_R_REGS,
                                                            QEMU_PLUGIN_COND_NE, io_pending, 0, address_of(handle));
            }
            after_io = is_io && (io.kind == IO_IN || io.kind == IO_OUT);
            if (is_io) {
                instrument_io(handle, describe(handle, bytes, size, &io));
                continue;
            }
        }
        instrument_memory(handle, i + 1 == n);
    }
}

/* --- life --- */

static void init_vcpu(unsigned int vcpu_index)
{
    struct vcpu *vcpu;
    GArray *registers;

    if (vcpu_index >= VCPUS_MAX || vcpus[vcpu_index]) {
        return;
    }
    vcpu = g_new0(struct vcpu, 1);
    vcpu->buffer = g_byte_array_new();
    registers = qemu_plugin_get_registers();
    for (guint i = 0; i < registers->len; i++) {
        const qemu_plugin_reg_descriptor *descriptor =
            (const void *)(registers->data + (size_t)i * g_array_get_element_size(registers));
        const char *name = descriptor->name;

        if (strcmp(name, "rax") == 0 || strcmp(name, "eax") == 0) {
            vcpu->accumulator = descriptor->handle;
        } else if (strcmp(name, "rdx") == 0 || strcmp(name, "edx") == 0) {
            vcpu->dx = descriptor->handle;
        } else if (strcmp(name, "cr0") == 0) {
            vcpu->cr0 = descriptor->handle;
        } else if (strcmp(name, "eflags") == 0) {
            vcpu->eflags = descriptor->handle;
        } else if (strcmp(name, "cs") == 0) {
            vcpu->cs = descriptor->handle;
        }
    }
    g_array_free(registers, true);
    if (is_x86 && (!vcpu->accumulator || !vcpu->dx)) {
        recorder_fail("this QEMU shows plugins no EAX and EDX");
    }
    vcpus[vcpu_index] = vcpu;
}

static void finish(void)
{
    for (unsigned int i = 0; i < VCPUS_MAX; i++) {
        if (vcpus[i]) {
            end_pending(i);
        }
    }
    if (options.mmio == MMIO_FULL) {
        recorder_set_fact("mmio_fast_misses", fast_misses);
    }
    recorder_finish();
}

#if VMDEV_PLUGIN_API == 7
static void vcpu_init(unsigned int vcpu_index, void *userdata)
{
    (void)userdata;
    init_vcpu(vcpu_index);
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
    qemu_plugin_register_vcpu_init_cb(id, vcpu_init, NULL);
    qemu_plugin_register_vcpu_tb_trans_cb(id, vcpu_tb_trans, NULL);
    qemu_plugin_register_atexit_cb(id, plugin_exit, NULL);
}
#else
static void vcpu_init(qemu_plugin_id_t id, unsigned int vcpu_index)
{
    (void)id;
    init_vcpu(vcpu_index);
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
    qemu_plugin_register_vcpu_init_cb(id, vcpu_init);
    qemu_plugin_register_vcpu_tb_trans_cb(id, vcpu_tb_trans);
    qemu_plugin_register_atexit_cb(id, plugin_exit, NULL);
}
#endif

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
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
    if (!options_parse(&options, argc, argv)) {
        return -1;
    }
    is_x86 = strcmp(info->target_name, "x86_64") == 0 || strcmp(info->target_name, "i386") == 0;
    *(void **)&clock_get_ns = dlsym(RTLD_DEFAULT, "qemu_clock_get_ns");
    hazards_init(VMDEV_PLUGIN_API == 4 && options.mmio != MMIO_OFF);
    if (!recorder_start(&options)) {
        return -1;
    }
    recorder_set_fact("plugin_api", (uint64_t)info->version.cur);
    recorder_set_fact_text("clock_source", clock_get_ns ? "qemu_clock_get_ns" : "host monotonic clock");
    io_pending.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
    io_pending.offset = 0;
    register_callbacks(id);
    return 0;
}
