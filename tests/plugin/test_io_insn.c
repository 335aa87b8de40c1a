/*
 * The decoder, on buffers of exactly an instruction's size: for the address sanitizer. What it must decode is checked
 * by test_io_insn.py, which has a disassembler for a judge.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "io_insn.h"

#include "check.h"

#include <stdlib.h>

static void decode_exactly(const uint8_t *bytes, size_t size)
{
    uint8_t *block = calloc(1, size + 1), *insn = block + 1; /* ends where the block ends */
    struct io_insn io;

    memcpy(insn, bytes, size);
    io_insn_decode(insn, size, &io);
    insn_memory(insn, size);
    insn_remaps(insn, size);
    free(block);
}

static void nothing_behind_the_instruction_is_read(void)
{
    static const uint8_t prefixes[] = {0x26, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x48};
    uint8_t bytes[16] = {0};

    decode_exactly(bytes, 0);
    for (size_t n = 0; n <= 14; n++) { /* prefixes */
        for (size_t which = 0; which < sizeof(prefixes); which++) {
            memset(bytes, prefixes[which], n);
            for (unsigned opcode = 0; opcode < 256; opcode++) {
                bytes[n] = (uint8_t)opcode;
                bytes[n + 1] = 0xe0;
                decode_exactly(bytes, n + 1);
                decode_exactly(bytes, n + 2);
            }
            decode_exactly(bytes, n);
        }
    }
}

static void what_is_no_io_instruction_leaves_out_alone(void)
{
    struct io_insn io = {.kind = 0xaa, .port = 0xbb};

    CHECK(!io_insn_decode((const uint8_t *)"\x90", 1, &io));
    CHECK_EQ(io.kind, 0xaa);
    CHECK_EQ(io.port, 0xbb);
}

int main(void)
{
    RUN(nothing_behind_the_instruction_is_read);
    RUN(what_is_no_io_instruction_leaves_out_alone);
    return 0;
}
