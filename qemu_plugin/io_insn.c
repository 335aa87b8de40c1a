/*
 * Decoder of the x86 I/O instructions, and a little more. See io_insn.h.
 *
 * Source: Intel SDM volume 2: chapter 2 (prefixes), IN, INS, OUT, OUTS; appendix A (opcode maps).
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "io_insn.h"

#include <string.h>

#define REX_FIRST 0x40
#define REX_LAST 0x4f
#define REX_W 0x48

static bool is_legacy_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x66: /* operand size */
    case 0x67: /* address size */
    case 0xf0: /* LOCK: an I/O instruction with it is undefined, and raises before any access */
    case 0xf2: /* REPNE: acts as REP here */
    case 0xf3: /* REP */
    case 0x26: /* ES */
    case 0x2e: /* CS */
    case 0x36: /* SS */
    case 0x3e: /* DS */
    case 0x64: /* FS */
    case 0x65: /* GS */
        return true;
    default:
        return false;
    }
}

/* Length of the prefixes, at most size - 1. A REX outside 64-bit code is INC or DEC, an instruction of its own: then
 * the instruction ends with it, and no opcode follows within `size`. */
static size_t prefix_length(const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    while (at + 1 < size && (is_legacy_prefix(bytes[at]) || (bytes[at] >= REX_FIRST && bytes[at] <= REX_LAST))) {
        at++;
    }
    return at;
}

bool io_insn_decode(const uint8_t *bytes, size_t size, struct io_insn *out)
{
    size_t at, length;
    uint8_t opcode;
    struct io_insn io = {0};

    if (size == 0) {
        return false;
    }
    at = prefix_length(bytes, size);
    opcode = bytes[at];
    switch (opcode) {
    case 0xe4: /* IN AL, imm8 */
    case 0xe5: /* IN eAX, imm8 */
        io.kind = IO_IN;
        io.imm_port = 1;
        break;
    case 0xe6: /* OUT imm8, AL */
    case 0xe7: /* OUT imm8, eAX */
        io.kind = IO_OUT;
        io.imm_port = 1;
        break;
    case 0xec: /* IN AL, DX */
    case 0xed: /* IN eAX, DX */
        io.kind = IO_IN;
        break;
    case 0xee: /* OUT DX, AL */
    case 0xef: /* OUT DX, eAX */
        io.kind = IO_OUT;
        break;
    case 0x6c: /* INSB */
    case 0x6d: /* INSW, INSD */
        io.kind = IO_INS;
        break;
    case 0x6e: /* OUTSB */
    case 0x6f: /* OUTSW, OUTSD */
        io.kind = IO_OUTS;
        break;
    default:
        return false;
    }
    length = at + 1 + io.imm_port;
    if (length != size) {
        return false;
    }
    io.byte = !(opcode & 1);
    io.rex_w = at > 0 && (bytes[at - 1] & REX_W) == REX_W && bytes[at - 1] <= REX_LAST;
    io.port = io.imm_port ? bytes[at + 1] : 0;
    *out = io;
    return true;
}

unsigned io_insn_operand_size(const struct io_insn *io, const char *text)
{
    if (io->byte) {
        return 1;
    }
    if (io->rex_w) {
        return 4;
    }
    if (strstr(text, "%eax")) {
        return 4;
    }
    return strstr(text, "%ax") ? 2 : 0;
}

enum insn_memory insn_memory(const uint8_t *bytes, size_t size)
{
    size_t at;
    uint8_t opcode;

    if (size == 0) {
        return INSN_MEMORY_ANY;
    }
    at = prefix_length(bytes, size);
    opcode = bytes[at];
    if (opcode >= 0x50 && opcode <= 0x5f) { /* PUSH reg, POP reg */
        return INSN_MEMORY_PUSH;
    }
    if (opcode >= 0x70 && opcode <= 0x7f) { /* Jcc rel8 */
        return INSN_MEMORY_BRANCH;
    }
    switch (opcode) {
    case 0x0f: /* Jcc rel16, rel32 */
        return at + 1 < size && bytes[at + 1] >= 0x80 && bytes[at + 1] <= 0x8f ? INSN_MEMORY_BRANCH : INSN_MEMORY_ANY;
    case 0x68: /* PUSH imm */
    case 0x6a:
    case 0x9c: /* PUSHF */
    case 0x9d: /* POPF */
    case 0xc8: /* ENTER */
    case 0xc9: /* LEAVE */
        return INSN_MEMORY_PUSH;
    case 0xc2: /* RET imm16 */
    case 0xc3: /* RET */
    case 0xca: /* RETF imm16 */
    case 0xcb: /* RETF */
    case 0xcf: /* IRET */
    case 0xe8: /* CALL rel */
    case 0xe9: /* JMP rel */
    case 0xeb:
        return INSN_MEMORY_BRANCH;
    case 0xff:
        if (at + 1 < size && (bytes[at + 1] & 0xc0) == 0xc0) {
            switch (bytes[at + 1] >> 3 & 7) {
            case 2: /* CALL reg */
            case 4: /* JMP reg */
                return INSN_MEMORY_BRANCH;
            case 6: /* PUSH reg */
                return INSN_MEMORY_PUSH;
            }
        }
        return INSN_MEMORY_ANY;
    default:
        return INSN_MEMORY_ANY;
    }
}

/* Source: Arm ARM, C4.1.93, branches and system instructions. */
bool insn_is_a64_branch(const uint8_t *bytes, size_t size)
{
    uint32_t word;

    if (size != 4) {
        return false;
    }
    word = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return (word & 0x7c000000) == 0x14000000    /* B, BL */
           || (word & 0xff000000) == 0x54000000 /* B.cond */
           || (word & 0x7c000000) == 0x34000000 /* CBZ, CBNZ, TBZ, TBNZ */
           || (word & 0xfe000000) == 0xd6000000 /* BR, BLR, RET, ERET, with authentication, too */;
}

/* Of the opcodes 0F 01, by ModR/M: LMSW (/6); INVLPG (/7) of memory; VMCALL to VMXOFF; the SVM instructions. */
static bool group_7_remaps(uint8_t modrm)
{
    unsigned reg = modrm >> 3 & 7;

    if (reg == 6) {
        return true;
    }
    return modrm < 0xc0 ? reg == 7 : (modrm >= 0xc1 && modrm <= 0xc4) || reg == 3;
}

bool insn_remaps(const uint8_t *bytes, size_t size)
{
    size_t at, left;

    if (size == 0) {
        return false;
    }
    at = prefix_length(bytes, size);
    left = size - at;
    switch (bytes[at]) {
    case 0x9a: /* far CALL and JMP, RETF, INT, IRET: may switch tasks */
    case 0xea:
    case 0xca:
    case 0xcb:
    case 0xcc:
    case 0xcd:
    case 0xcf:
        return true;
    case 0xff: /* far CALL (/3), JMP (/5) */
        return left > 1 && ((bytes[at + 1] >> 3 & 7) == 3 || (bytes[at + 1] >> 3 & 7) == 5);
    case 0x0f:
        break;
    default:
        return false;
    }
    if (left < 2) {
        return false;
    }
    switch (bytes[at + 1]) {
    case 0x01:
        return left > 2 && group_7_remaps(bytes[at + 2]);
    case 0x22: /* MOV CRn */
    case 0x30: /* WRMSR */
    case 0xaa: /* RSM */
    case 0xc7: /* VMPTRLD, VMXON (/6); CMPXCHG8B costs nothing to take along */
        return true;
    case 0x38: /* INVEPT, INVVPID, INVPCID */
        return left > 2 && bytes[at + 2] >= 0x80 && bytes[at + 2] <= 0x82;
    default:
        return false;
    }
}
