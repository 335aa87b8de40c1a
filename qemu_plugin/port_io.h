/*
 * Port I/O: the callbacks of IN, OUT, INS and OUTS, and what decides when they have come to an end.
 *
 * Port I/O does not pass through QEMU's guest memory path. Execution callbacks read DX and the accumulator. The value of
 * IN exists only after the instruction: it is fetched when the vCPU executes whatever comes next. The values of INS and
 * OUTS come from their memory operand.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_PORT_IO_H
#define VMDEV_PORT_IO_H

#include "vcpu.h"

/* Per vCPU: 1 while vcpu.pending holds something, to be tested without a call. */
extern qemu_plugin_u64 io_pending;

/* Before the first callback. */
void port_io_start(void);

/* IN, OUT; `insn` is a struct insn. Need registers. The second one is for a block's last instruction. */
void port_io_single(unsigned int vcpu_index, void *insn);
void port_io_last(unsigned int vcpu_index, void *insn);

/* INS, OUTS, and their memory operand. The first needs registers. */
void port_io_string(unsigned int vcpu_index, void *insn);
void port_io_string_mem(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn);

/* Something is pending, and the vCPU is about to execute the instruction at the address `next_pc`. Needs registers. */
void port_io_after(unsigned int vcpu_index, void *next_pc);

/* The vCPU takes an interrupt: it was to go on at `from_pc`, and does at `to_pc`. */
void port_io_interrupt(unsigned int vcpu_index, uint64_t from_pc, uint64_t to_pc);

/* The vCPU executes nothing more, or starts anew. */
void port_io_end(unsigned int vcpu_index);

#endif
