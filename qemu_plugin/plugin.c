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

#include "filter.h"
#include "hazards.h"
#include "map_watch.h"
#include "mem_value.h"
#include "orphan.h"
#include "recorder.h"
#include "serial_input.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VCPUS_MAX 1024
#define QEMU_CLOCK_VIRTUAL 1
#define RESET_VECTOR 0xfffffff0u
#define PAGE_SIZE 4096u /* or a multiple: what is said of two such pages holds for halves of one page, too */
#define ELEMENT_MAX 8u  /* bytes, of a string instruction */
#define ACCESS_MAX 16u  /* bytes */

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

/* An interrupt taken right after an IN or OUT that is pending: it comes after it in the trace. */
struct held_interrupt {
    bool held;
    uint64_t t_ns, from_pc, to_pc;
};

/* Where a REP string instruction reads or writes RAM. */
struct ram_run {
    const struct insn *insn; /* NULL: it does not */
    uint64_t vaddr;          /* of the last element */
    uint64_t mapping;        /* device_accesses at that time */
};

/* What one vCPU is in the middle of. Only its own thread touches it. */
struct vcpu {
    struct qemu_plugin_register *accumulator, *dx, *cr0, *eflags, *cs;
    GByteArray *buffer;
    struct pending pending;
    struct held_interrupt interrupt;
    uint16_t string_port;  /* DX at the entry of the INS or OUTS that runs */
    bool ins_stored;       /* INS: the dummy store of this element has been seen */
    struct ram_run loads, stores;
};

/* Not known here; `vmdev record` fills it in from the region map. One object: names are compared as pointers. */
static const char NO_NAME[] = "";

static struct options options;
static bool is_x86;
static bool is_big_endian; /* the target's own byte order */
static struct vcpu *vcpus[VCPUS_MAX];
static qemu_plugin_u64 io_pending; /* per vCPU: 1 while vcpu.pending holds something, to be tested without a call */
static int64_t (*clock_get_ns)(int type);
static uint64_t started_ns; /* without clock_get_ns: when time 0 was */
static uint64_t device_accesses; /* each may have changed what is mapped where */
static uint64_t fast_misses; /* mmio=full: accesses that mmio=fast would not have seen */

static uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_get_ns) {
        return (uint64_t)clock_get_ns(QEMU_CLOCK_VIRTUAL);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - started_ns;
}

static uint64_t read_register(struct vcpu *vcpu, struct qemu_plugin_register *handle)
{
    uint64_t value = 0;

    g_byte_array_set_size(vcpu->buffer, 0);
    qemu_plugin_read_register(handle, vcpu->buffer);
    memcpy(&value, vcpu->buffer->data, vcpu->buffer->len < 8 ? vcpu->buffer->len : 8);
    return value;
}

static void count_fast_miss(void)
{
    __atomic_add_fetch(&fast_misses, 1, __ATOMIC_RELAXED);
}

static void record_access(const struct site_key *key, uint64_t t_ns, uint64_t value)
{
    __atomic_add_fetch(&device_accesses, 1, __ATOMIC_RELAXED);
    recorder_access(key, t_ns, value);
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

    record_access(&key, t_ns, value);
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

/* Nothing is pending any more. */
static void clear_pending(unsigned int vcpu_index)
{
    vcpus[vcpu_index]->pending.insn = NULL;
    qemu_plugin_u64_set(io_pending, vcpu_index, 0);
}

static void release_interrupt(unsigned int vcpu_index)
{
    struct held_interrupt *interrupt = &vcpus[vcpu_index]->interrupt;

    if (interrupt->held) {
        interrupt->held = false;
        recorder_interrupt(vcpu_index, interrupt->t_ns, interrupt->from_pc, interrupt->to_pc);
    }
}

static void forget_pending(unsigned int vcpu_index, const char *why)
{
    struct pending *pending = &vcpus[vcpu_index]->pending;
    char detail[48];

    snprintf(detail, sizeof(detail), "pc %#" PRIx64 " port %#x size %u", pending->insn->row.pc, pending->port,
             pending->insn->operand_size);
    recorder_event((int)vcpu_index, why, detail);
    clear_pending(vcpu_index);
    release_interrupt(vcpu_index);
}

/*
 * The vCPU is about to execute the instruction at `next_pc`: record what is pending. If a port access needed the
 * bitmap's permission and its instruction was not simply followed by the next one, it was refused, or an interrupt
 * came right after it; a QEMU that does not tell of interrupts leaves open which of both, and an event says so.
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
    if (vcpu->interrupt.held) {
        next_pc = vcpu->interrupt.from_pc;
    }
    if (pending->may_be_refused && next_pc != insn->row.pc + insn->row.size) {
        forget_pending(vcpu_index, "refused-io");
        return;
    }
    clear_pending(vcpu_index);
    in = insn->io.kind == IO_IN;
    record_pio(vcpu_index, insn, in ? DIRECTION_READ : DIRECTION_WRITE, pending->port, insn->operand_size, false,
               pending->t_ns, in ? read_register(vcpu, vcpu->accumulator) : pending->value);
    release_interrupt(vcpu_index);
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
    if (serial_input_due(access.t_ns)) {
        serial_input_feed(vcpu_index, access.t_ns);
    }
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
    map_watch_reset();
}

/* --- interrupts --- */

static void take_interrupt(unsigned int vcpu_index, uint64_t from_pc, uint64_t to_pc)
{
    struct vcpu *vcpu = vcpus[vcpu_index];

    if (!recorder_active()) {
        return;
    }
    release_interrupt(vcpu_index);
    vcpu->interrupt = (struct held_interrupt){true, now_ns(), from_pc, to_pc};
    if (!vcpu->pending.insn) {
        release_interrupt(vcpu_index);
    }
}

#if VMDEV_PLUGIN_API == 7
static void vcpu_discon(unsigned int vcpu_index, enum qemu_plugin_discon_type type, uint64_t from_pc, uint64_t to_pc,
                        void *userdata)
{
    (void)type, (void)userdata;
    take_interrupt(vcpu_index, from_pc, to_pc);
}
#else
static void vcpu_discon(qemu_plugin_id_t id, unsigned int vcpu_index, enum qemu_plugin_discon_type type,
                        uint64_t from_pc, uint64_t to_pc)
{
    (void)id, (void)type;
    take_interrupt(vcpu_index, from_pc, to_pc);
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

/* --- memory --- */

/* Where in the machine a byte of an access went. */
struct place {
    uint64_t phys_addr;
    const char *region;
};

/*
 * A value as the target's own byte order has it, which is how devices take and give it; an instruction may access memory
 * in the other order (MOVBE, SETEND).
 */
static struct mem_value get_value(qemu_plugin_meminfo_t info)
{
    qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
    struct mem_value found = {0};

    switch (value.type) {
    case QEMU_PLUGIN_MEM_VALUE_U8:
        found = (struct mem_value){.size = 1, .low = value.data.u8};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U16:
        found = (struct mem_value){.size = 2, .low = value.data.u16};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U32:
        found = (struct mem_value){.size = 4, .low = value.data.u32};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U64:
        found = (struct mem_value){.size = 8, .low = value.data.u64};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U128:
        found = (struct mem_value){.size = 16, .low = value.data.u128.low, .high = value.data.u128.high};
        break;
    }
    return qemu_plugin_mem_is_big_endian(info) == is_big_endian ? found : mem_value_swap(found);
}

/* A region's name; QEMU prints an unnamed region's host address ("anon" and 8 digits), which no two runs share. */
static const char *region_name(const struct qemu_plugin_hwaddr *hwaddr)
{
    const char *name = qemu_plugin_hwaddr_device_name(hwaddr);

    return strncmp(name, "anon", 4) == 0 && strspn(name + 4, "0123456789abcdef") == 8 && !name[12] ? NO_NAME : name;
}

/* Fills *place and returns true if the access to `vaddr` went to a device. */
static bool find_device(struct place *place, unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr,
                        bool store)
{
    struct qemu_plugin_hwaddr *hwaddr;

    if (store && hazards_hit(vcpu_index, vaddr, &place->phys_addr)) {
        place->region = NO_NAME;
        return true;
    }
    hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
    if (!hwaddr || !qemu_plugin_hwaddr_is_io(hwaddr)) {
        if (store && hwaddr) {
            hazards_note_ram(vaddr);
        }
        return false;
    }
    place->phys_addr = qemu_plugin_hwaddr_phys_addr(hwaddr);
    place->region = region_name(hwaddr);
    if (!hazards_note_device(vaddr, place->phys_addr, place->region)) {
        recorder_fail(HAZARDS_UNSAFE);
    }
    return true;
}

/* A memory access that is being recorded. */
struct mmio {
    struct site_key key;
    uint64_t t_ns;
    struct mem_value value;
};

/* Record bytes `start` to `end` - 1 of an access, which went to `place`. */
static void record_part(struct mmio *mmio, const struct place *place, unsigned start, unsigned end)
{
    bool is_whole = start == 0 && end == mmio->value.size;

    mmio->key.region = place->region;
    mmio->key.address = place->phys_addr;
    while (start < end) {
        unsigned left = end - start;
        unsigned size = is_whole ? left : mem_part_size(mmio->key.address, left);

        size = size > 8 ? 8 : size; /* 16 bytes are two exits of 8 */
        mmio->key.size = (uint8_t)size;
        record_access(&mmio->key, mmio->t_ns, mem_value_part(mmio->value, start, size, is_big_endian));
        mmio->key.address += size;
        start += size;
    }
}

/* Records what went to a device of an access that may cross into another page. Returns true if anything did. */
static bool record_mmio(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, struct insn *insn)
{
    bool store = qemu_plugin_mem_is_store(info);
    unsigned in_page = PAGE_SIZE - (vaddr & (PAGE_SIZE - 1)); /* bytes up to the page's end */
    struct place place, next;
    bool is_device, next_is_device = false;
    struct mmio mmio;

    if (!recorder_active()) {
        return false;
    }
    is_device = find_device(&place, vcpu_index, info, vaddr, store);
    if (in_page < ACCESS_MAX && in_page < 1u << qemu_plugin_mem_size_shift(info)) {
        next_is_device = find_device(&next, vcpu_index, info, vaddr + in_page, store);
    } else {
        in_page = ACCESS_MAX;
    }
    if (!is_device && !next_is_device) {
        return false;
    }
    mmio = (struct mmio){
        .key = {.insn = insn,
                .vcpu = vcpu_index,
                .space = SPACE_MMIO,
                .direction = store ? DIRECTION_WRITE : DIRECTION_READ},
        .t_ns = now_ns(),
        .value = get_value(info),
    };
    if (in_page >= mmio.value.size || (is_device && next_is_device && place.region == next.region &&
                                       place.phys_addr + in_page == next.phys_addr)) {
        record_part(&mmio, &place, 0, mmio.value.size);
    } else {
        if (is_device) {
            record_part(&mmio, &place, 0, in_page);
        }
        if (next_is_device) {
            record_part(&mmio, &next, in_page, mmio.value.size);
        }
    }
    if (serial_input_due(mmio.t_ns)) {
        serial_input_feed(vcpu_index, mmio.t_ns);
    }
    return true;
}

static void vcpu_mem(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    record_mmio(vcpu_index, info, vaddr, userdata);
}

/*
 * An element of a REP string instruction, of which a booting guest executes ten millions. If the element beside it in
 * the same page went to RAM, it goes to RAM as well, unless the mapping may have changed since.
 */
static void vcpu_rep_mem(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct ram_run *run = qemu_plugin_mem_is_store(info) ? &vcpu->stores : &vcpu->loads;
    uint64_t mapping = __atomic_load_n(&device_accesses, __ATOMIC_RELAXED);
    bool is_ram = run->insn == userdata && run->mapping == mapping && (vaddr ^ run->vaddr) / PAGE_SIZE == 0 &&
                  vaddr - run->vaddr + ELEMENT_MAX <= 2 * ELEMENT_MAX &&
                  (vaddr & (PAGE_SIZE - 1)) <= PAGE_SIZE - ELEMENT_MAX;

    run->vaddr = vaddr;
    if (is_ram && options.mmio == MMIO_FAST) {
        return;
    }
    if (!record_mmio(vcpu_index, info, vaddr, userdata)) {
        run->insn = userdata;
        run->mapping = mapping;
    } else if (is_ram) { /* mmio=fast would have noticed nothing, and gone on */
        count_fast_miss();
        run->mapping = __atomic_load_n(&device_accesses, __ATOMIC_RELAXED);
    }
}

/* The instruction to come may change what is mapped where. */
static void vcpu_remaps(unsigned int vcpu_index, void *userdata)
{
    (void)userdata;
    vcpus[vcpu_index]->loads.insn = NULL;
    vcpus[vcpu_index]->stores.insn = NULL;
}

/*
 * PUSH, POP and their like in a block of their own: QEMU makes such a block to access a device. Those at blocks' ends
 * have no callback, so if the stack is no RAM, mmio=fast has missed accesses, or will.
 */
static void vcpu_lone_push(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    if (record_mmio(vcpu_index, info, vaddr, userdata)) {
        if (options.mmio == MMIO_FULL) {
            count_fast_miss();
        } else {
            recorder_fail("the guest's stack is in a device, which --mmio fast does not see; use --mmio full");
        }
    }
}

/* mmio=full, at a place where mmio=fast has no callback. */
static void vcpu_mem_elsewhere(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    if (record_mmio(vcpu_index, info, vaddr, userdata)) {
        count_fast_miss();
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
    struct mem_value value;

    if (!recorder_active()) {
        return;
    }
    value = get_value(info);
    if (insn->io.kind == IO_OUTS && !store) {
        if (options.mmio != MMIO_OFF) {
            record_mmio(vcpu_index, info, vaddr, insn);
        }
        record_pio(vcpu_index, insn, DIRECTION_WRITE, vcpu->string_port, value.size, true, now_ns(), value.low);
    } else if (insn->io.kind == IO_INS && store) {
        /* QEMU stores a dummy 0 first, so that a page fault comes before the device is read. */
        if (vcpu->ins_stored) {
            record_pio(vcpu_index, insn, DIRECTION_READ, vcpu->string_port, value.size, true, now_ns(), value.low);
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
            insn.operand_size = (uint8_t)io_insn_operand_size(io, insn.row.text);
    }
    return insn_intern(&insn);
}

static size_t copy_bytes(const struct qemu_plugin_insn *handle, uint8_t *bytes)
{
    return qemu_plugin_insn_data(handle, bytes, INSN_BYTES_MAX);
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

static void instrument_memory(struct qemu_plugin_insn *handle, const uint8_t *bytes, size_t size, bool is_last,
                              bool is_alone)
{
    enum insn_memory memory = is_x86 ? insn_memory(bytes, size) : INSN_MEMORY_ANY;
    qemu_plugin_vcpu_mem_cb_t callback = vcpu_mem_elsewhere;
    bool seen_by_fast = is_last;

    switch (memory) {
    case INSN_MEMORY_ANY:
        callback = is_last ? vcpu_mem : vcpu_mem_elsewhere;
        break;
    case INSN_MEMORY_REP:
        callback = is_last ? vcpu_rep_mem : vcpu_mem_elsewhere;
        break;
    case INSN_MEMORY_PUSH:
        callback = is_alone ? vcpu_lone_push : vcpu_mem_elsewhere;
        seen_by_fast = is_alone;
        break;
    case INSN_MEMORY_BRANCH:
        seen_by_fast = false;
        break;
    }
    if (options.mmio == MMIO_FULL || (options.mmio == MMIO_FAST && seen_by_fast)) {
        qemu_plugin_register_vcpu_mem_cb(handle, callback, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                         describe(handle, bytes, size, NULL));
    }
}

/* Before the first translation: what `vmdev record` knows of the machine, once QEMU has built it. */
static void await_go(void)
{
    static char line[HAZARDS_TEXT_MAX + FILTER_PLACES_TEXT_MAX + 8];
    char *places;
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
        bool is_last = i + 1 == n;
        uint8_t bytes[INSN_BYTES_MAX];
        size_t size = is_x86 || is_last || options.mmio == MMIO_FULL ? copy_bytes(handle, bytes) : 0;

        if (is_x86) {
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
            if (options.mmio != MMIO_OFF && insn_remaps(bytes, size)) {
                qemu_plugin_register_vcpu_insn_exec_cb(handle, vcpu_remaps, QEMU_PLUGIN_CB_NO_REGS, NULL);
            }
        }
        instrument_memory(handle, bytes, size, is_last, n == 1);
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
    map_watch_start(-1); /* QEMU answers no more */
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
    is_big_endian = target_is_big_endian(info->target_name);
    is_x86 = strcmp(info->target_name, "x86_64") == 0 || strcmp(info->target_name, "i386") == 0;
    *(void **)&clock_get_ns = dlsym(RTLD_DEFAULT, "qemu_clock_get_ns");
    hazards_init(VMDEV_PLUGIN_API == 4 && options.mmio != MMIO_OFF);
    if (!clock_get_ns) {
        started_ns = now_ns();
    }
    if (!serial_input_start(options.serial_chardev)) {
        return -1;
    }
    map_watch_start(options.control_fd);
    if (!recorder_start(&options) || (options.control_fd >= 0 && !orphan_watch(options.control_fd))) {
        return -1;
    }
    recorder_set_fact("plugin_api", (uint64_t)info->version.cur);
    recorder_set_fact_text("clock_source", clock_get_ns ? "qemu_clock_get_ns" : "host monotonic clock");
    io_pending.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
    io_pending.offset = 0;
    register_callbacks(id);
    recorder_set_fact("interrupts_seen", watch_interrupts(id));
    return 0;
}
