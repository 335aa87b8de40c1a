/*
 * Decoder of the x86 I/O instructions. See io_insn.h.
 *
 * Source: Intel SDM volume 2: chapter 2 (prefixes), IN, INS, OUT, OUTS; appendix A (opcode maps).
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "io_insn.h"

#include <string.h>

#define REX_FIRST 0x40
#define REX_LAST 0x4f

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
static size_t prefix_length(const uint8_t *bytes, size_t size, bool *rep)
{
    size_t at = 0;

    *rep = false;
    while (at + 1 < size) {
        uint8_t byte = bytes[at];

        if (is_legacy_prefix(byte)) {
            *rep |= byte == 0xf2 || byte == 0xf3;
        } else if (byte < REX_FIRST || byte > REX_LAST) {
            break;
        }
        at++;
    }
    return at;
}

bool io_insn_decode(const uint8_t *bytes, size_t size, struct io_insn *out)
{
    bool rep;
    size_t at, length;
    uint8_t opcode;
    struct io_insn io = {0};

    if (size == 0) {
        return false;
    }
    at = prefix_length(bytes, size, &rep);
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
    io.port = io.imm_port ? bytes[at + 1] : 0;
    io.rep = rep && (io.kind == IO_INS || io.kind == IO_OUTS);
    *out = io;
    return true;
}

unsigned io_insn_operand_size(const char *text)
{
    if (strstr(text, "%eax")) {
        return 4;
    }
    return strstr(text, "%ax") ? 2 : 0;
}

bool insn_is_stack_only(const uint8_t *bytes, size_t size)
{
    bool rep;
    size_t at;
    uint8_t opcode;

    if (size == 0) {
        return false;
    }
    at = prefix_length(bytes, size, &rep);
    opcode = bytes[at];
    if (opcode >= 0x50 && opcode <= 0x5f) { /* PUSH reg, POP reg */
        return true;
    }
    switch (opcode) {
    case 0x68: /* PUSH imm */
    case 0x6a:
    case 0x9c: /* PUSHF */
    case 0x9d: /* POPF */
    case 0xc2: /* RET imm16 */
    case 0xc3: /* RET */
    case 0xc8: /* ENTER */
    case 0xc9: /* LEAVE */
    case 0xca: /* RETF imm16 */
    case 0xcb: /* RETF */
    case 0xcf: /* IRET */
    case 0xe8: /* CALL rel */
    case 0xe9: /* JMP rel */
    case 0xeb:
        return true;
    case 0xff: /* CALL reg (/2), JMP reg (/4), PUSH reg (/6) */
        if (at + 1 < size && (bytes[at + 1] & 0xc0) == 0xc0) {
            unsigned operation = bytes[at + 1] >> 3 & 7;

            return operation == 2 || operation == 4 || operation == 6;
        }
        return false;
    default:
        return false;
    }
}
