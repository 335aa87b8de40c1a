/*
 * Port I/O. See port_io.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "port_io.h"

#include "after_block.h"
#include "mmio.h"
#include "recorder.h"
#include "serial_input.h"

#include <inttypes.h>
#include <stdio.h>

qemu_plugin_u64 io_pending;

static struct site_key pio_key(unsigned int vcpu_index, struct insn *insn, enum direction direction, uint16_t port,
                               unsigned size, bool string)
{
    return (struct site_key){
        .insn = insn,
        .region = NO_NAME, /* the plugin interface does not name ports */
        .address = port,
        .vcpu = vcpu_index,
        .space = SPACE_PIO,
        .direction = (uint8_t)direction,
        .size = (uint8_t)size,
        .string = string,
    };
}

static void record_pio(unsigned int vcpu_index, struct insn *insn, enum direction direction, uint16_t port,
                       unsigned size, bool string, uint64_t t_ns, uint64_t value)
{
    struct site_key key = pio_key(vcpu_index, insn, direction, port, size, string);

    vcpu_access(&key, t_ns, value);
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

    if (!vcpu->handles[REGISTER_CR0] || !vcpu->handles[REGISTER_FLAGS] || !vcpu->handles[REGISTER_CS] || !(vcpu_register(vcpu, REGISTER_CR0) & CR0_PE)) {
        return true;
    }
    eflags = vcpu_register(vcpu, REGISTER_FLAGS);
    return !(eflags & EFLAGS_VM) && CS_CPL(vcpu_register(vcpu, REGISTER_CS)) <= EFLAGS_IOPL(eflags);
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

/* Record what is pending, if the vCPU has gone on to the next instruction or the bitmap had nothing to say. */
static void finish_pending(unsigned int vcpu_index, bool has_gone_on)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct pending *pending = &vcpu->pending;
    struct insn *insn = pending->insn;
    bool in = insn->io.kind == IO_IN;

    if (pending->may_be_refused && !has_gone_on) {
        forget_pending(vcpu_index, "refused-io");
        return;
    }
    clear_pending(vcpu_index);
    record_pio(vcpu_index, insn, in ? DIRECTION_READ : DIRECTION_WRITE, pending->port, insn->operand_size, false,
               pending->t_ns, in ? vcpu_register(vcpu, REGISTER_AX) : pending->value);
    release_interrupt(vcpu_index);
}

/*
 * The vCPU is about to execute the instruction at `next_pc`. If a port access needed the bitmap's permission and its
 * instruction was not simply followed by the next one, it was refused, or an interrupt came right after it; a QEMU that
 * does not tell of interrupts leaves open which of both, and an event says so.
 */
static void finish_before(unsigned int vcpu_index, uint64_t next_pc)
{
    const struct vcpu *vcpu = vcpus[vcpu_index];
    const struct insn *insn = vcpu->pending.insn;

    if (insn && vcpu->pending.ends_block) {
        recorder_fail("QEMU did not say when a port access was made");
        clear_pending(vcpu_index);
    } else if (insn) {
        next_pc = vcpu->interrupt.held ? vcpu->interrupt.from_pc : next_pc;
        finish_pending(vcpu_index, next_pc == insn->row.pc + insn->row.size);
    }
}

/*
 * The vCPU has executed the block that ended with a port access, and nothing else. Its program counter is relative to
 * a base that the plugin interface does not show; but an exception or interrupt would have pushed where it came from.
 */
static void finish_after_block(unsigned int vcpu_index)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    const struct pending *pending = &vcpu->pending;
    const struct insn *insn = pending->insn;
    bool has_gone_on = true;

    if (!insn) {
        return;
    }
    if (vcpu->interrupt.held) {
        has_gone_on = vcpu->interrupt.from_pc == insn->row.pc + insn->row.size;
    } else if (pending->may_be_refused) {
        has_gone_on = vcpu_register(vcpu, REGISTER_SP) == pending->stack &&
                      vcpu_register(vcpu, REGISTER_CS) == pending->cs &&
                      !((vcpu_register(vcpu, REGISTER_FLAGS) ^ pending->eflags) & EFLAGS_VM);
    }
    finish_pending(vcpu_index, has_gone_on);
}

/*
 * A reset comes from the guest's own OUT as a rule, and is requested after the block that made it: so a
 * pending OUT was made: had it been refused, the vCPU would have gone on to execute the exception's handler.
 */
void port_io_end(unsigned int vcpu_index)
{
    struct insn *insn = vcpus[vcpu_index]->pending.insn;

    if (insn && insn->io.kind == IO_IN) {
        forget_pending(vcpu_index, "unread-in");
    } else if (insn) {
        finish_pending(vcpu_index, true);
    }
}

void port_io_after(unsigned int vcpu_index, void *userdata)
{
    finish_before(vcpu_index, (uint64_t)(uintptr_t)userdata);
}

void port_io_start(void)
{
    io_pending.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
    io_pending.offset = 0;
    if (target.has_one_vcpu) {
        after_block_start(finish_after_block);
    }
}

static void single(unsigned int vcpu_index, struct insn *insn, bool is_last)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    bool in = insn->io.kind == IO_IN;
    struct pending access = {.insn = insn};

    finish_before(vcpu_index, insn->row.pc); /* this callback may come before the one that follows the last IN */
    if (!recorder_active()) {
        return;
    }
    if (!insn->operand_size) {
        recorder_fail("this QEMU disassembles no x86 code (built without capstone), so operand sizes are unknown");
        return;
    }
    access.t_ns = clock_now_ns();
    if (serial_input_due(access.t_ns)) {
        serial_input_feed(vcpu_index, access.t_ns);
    }
    access.port = insn->io.imm_port ? insn->io.port : (uint16_t)vcpu_register(vcpu, REGISTER_DX);
    access.may_be_refused = !is_permitted(vcpu);
    if (!in) {
        access.value = vcpu_register(vcpu, REGISTER_AX);
        if (!access.may_be_refused) {
            record_pio(vcpu_index, insn, DIRECTION_WRITE, access.port, insn->operand_size, false, access.t_ns,
                       access.value);
            return;
        }
    }
    if (access.may_be_refused) {
        access.stack = vcpu_register(vcpu, REGISTER_SP);
        access.cs = vcpu_register(vcpu, REGISTER_CS);
        access.eflags = vcpu_register(vcpu, REGISTER_FLAGS);
    }
    access.ends_block = is_last && after_block_works();
    vcpu->pending = access;
    qemu_plugin_u64_set(io_pending, vcpu_index, 1);
    if (access.ends_block || (access.may_be_refused && after_block_works())) {
        struct site_key key = pio_key(vcpu_index, insn, DIRECTION_READ, access.port, insn->operand_size, false);

        recorder_prepare(&key, access.t_ns);
        after_block_call(vcpu_index);
    }
}

void port_io_single(unsigned int vcpu_index, void *insn)
{
    single(vcpu_index, insn, false);
}

void port_io_last(unsigned int vcpu_index, void *insn)
{
    single(vcpu_index, insn, true);
}

void port_io_interrupt(unsigned int vcpu_index, uint64_t from_pc, uint64_t to_pc)
{
    struct vcpu *vcpu = vcpus[vcpu_index];

    if (!recorder_active()) {
        return;
    }
    release_interrupt(vcpu_index);
    vcpu->interrupt = (struct held_interrupt){true, clock_now_ns(), from_pc, to_pc};
    if (!vcpu->pending.insn) {
        release_interrupt(vcpu_index);
    }
}

/* --- INS and OUTS --- */

void port_io_string(unsigned int vcpu_index, void *userdata)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    const struct insn *insn = userdata;

    finish_before(vcpu_index, insn->row.pc);
    vcpu->string_port = (uint16_t)vcpu_register(vcpu, REGISTER_DX);
    vcpu->ins_stored = false;
}

void port_io_string_mem(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct insn *insn = userdata;
    bool store = qemu_plugin_mem_is_store(info);
    struct mem_value value;

    if (!recorder_active()) {
        return;
    }
    value = mmio_value(info);
    if (insn->io.kind == IO_OUTS && !store) {
        if (target.options.mmio != MMIO_OFF) {
            mmio_record(vcpu_index, info, vaddr, insn);
        }
        record_pio(vcpu_index, insn, DIRECTION_WRITE, vcpu->string_port, value.size, true, clock_now_ns(), value.low);
    } else if (insn->io.kind == IO_INS && store) {
        /* QEMU stores a dummy 0 first, so that a page fault comes before the device is read. */
        if (vcpu->ins_stored) {
            record_pio(vcpu_index, insn, DIRECTION_READ, vcpu->string_port, value.size, true, clock_now_ns(), value.low);
        }
        vcpu->ins_stored = !vcpu->ins_stored;
        if (target.options.mmio != MMIO_OFF) {
            mmio_record(vcpu_index, info, vaddr, insn);
        }
    }
}
