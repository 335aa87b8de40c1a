/*
 * Memory-mapped I/O: the callbacks of instructions that may access a device.
 *
 * QEMU makes a device access only from a block's last instruction (elsewhere it stops, translates that instruction as a
 * block of its own, and executes it again), so callbacks on last instructions see all of it; mmio=full puts them
 * everywhere, and counts what the rule would have missed.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_MMIO_H
#define VMDEV_MMIO_H

#include "mem_value.h"
#include "vcpu.h"

/* Callbacks; `insn` is a struct insn. */
void mmio_any(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn);
/* the same for x86, where it is known which instructions change mappings */
void mmio_load(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn);
void mmio_store(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn);
/* of an instruction of which the address alone is known, as userdata; where mmio_reads_code() */
void mmio_any_at(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *pc);
/* of PUSH, POP and their like in a block of their own */
void mmio_lone_push(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn);
/* at a place where mmio=fast has none */
void mmio_elsewhere(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn);

/* Whether this QEMU lets a callback read the guest's code. */
bool mmio_reads_code(void);

/* The instruction to come may change what is mapped where. */
void mmio_remaps(unsigned int vcpu_index, void *unused);

/* Record what went to a device of an access that may cross into another page. Returns true if anything did. */
bool mmio_record(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, struct insn *insn);

/*
 * A value as the target's own byte order has it, which is how devices take and give it; an instruction may access memory
 * in the other order (MOVBE, SETEND).
 */
struct mem_value mmio_value(qemu_plugin_meminfo_t info);

/* mmio=full: accesses that mmio=fast would not have seen. */
uint64_t mmio_fast_misses(void);

#endif
