/*
 * Decoder of the x86 I/O instructions: IN, OUT, INS, OUTS. Pure: no QEMU, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_IO_INSN_H
#define VMDEV_IO_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum io_kind { IO_NONE, IO_IN, IO_OUT, IO_INS, IO_OUTS };

struct io_insn {
    uint8_t kind;     /* enum io_kind */
    uint8_t byte;     /* 1: the operand is 8 bits; 0: 16 or 32, by the code segment's default and prefixes */
    uint8_t imm_port; /* 1: the port is the immediate `port`; 0: it is DX */
    uint8_t port;
    uint8_t rex_w;    /* 1: a REX.W prefix, which is stronger than an operand size prefix */
};

/*
 * Decode one whole instruction of `size` bytes. Returns true, and fills *out, if it is an I/O instruction whose
 * encoding takes exactly `size` bytes.
 */
bool io_insn_decode(const uint8_t *bytes, size_t size, struct io_insn *out);

/*
 * The operand size in bytes (1, 2 or 4) of an IN or OUT. Where bytes do not tell it, the name of the accumulator in the
 * AT&T disassembly does. Returns 0 if that shows neither AX nor EAX.
 */
unsigned io_insn_operand_size(const struct io_insn *io, const char *text);

/* How an instruction reaches memory, as far as it matters for seeing device accesses. */
enum insn_memory {
    INSN_MEMORY_ANY,
    INSN_MEMORY_PUSH,   /* through the stack pointer alone: PUSH and POP of registers, immediates, flags; ENTER, LEAVE */
    INSN_MEMORY_BRANCH, /* not, or through the stack pointer alone: Jcc, JMP, CALL without a memory operand, RET, IRET */
};

enum insn_memory insn_memory(const uint8_t *bytes, size_t size);

/*
 * True for the branches of A64: B, BL, BR, BLR, RET, CBZ, TBZ and their kin, none of which reaches memory. The same word
 * may be a load or a store in A32 and T32.
 */
bool insn_is_a64_branch(const uint8_t *bytes, size_t size);

/*
 * True for the instructions after which virtual addresses may lead elsewhere: writes of control registers and MSRs,
 * INVLPG and its like, RSM, and those that may switch tasks.
 */
bool insn_remaps(const uint8_t *bytes, size_t size);

#endif
