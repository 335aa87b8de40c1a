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
    uint8_t rep;      /* 1: a REP or REPNE prefix */
};

/*
 * Decode one whole instruction of `size` bytes. Returns true, and fills *out, if it is an I/O instruction whose
 * encoding takes exactly `size` bytes.
 */
bool io_insn_decode(const uint8_t *bytes, size_t size, struct io_insn *out);

/*
 * The operand size in bytes (2 or 4) of an IN or OUT that is not a byte one, from its AT&T disassembly, in which the
 * accumulator's name tells it. Returns 0 if the text shows neither AX nor EAX.
 */
unsigned io_insn_operand_size(const char *text);

/*
 * True for the instructions that end blocks and reach memory through the stack pointer only: CALL and JMP without a
 * memory operand, RET, IRET, PUSH and POP of registers and immediates, ENTER, LEAVE, PUSHF, POPF.
 */
bool insn_is_stack_only(const uint8_t *bytes, size_t size);

#endif
