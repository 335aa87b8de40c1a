/*
 * Instructions and sites, each kept once however often QEMU translates or executes it.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_SITES_H
#define VMDEV_SITES_H

#include "exit_record.h"
#include "io_insn.h"

#include <stddef.h>

/* An instruction that may access a device. Lives as long as the recorder. */
struct insn {
    struct insn_row row;  /* row.id is given with its first site */
    struct io_insn io;
    uint8_t operand_size; /* bytes, of IN and OUT; 0 if the disassembly did not tell */
    struct site *last;    /* the site that it reached last, nearly always the next one too; NULL: none yet */
};

/* What distinguishes the sites of one instruction. */
struct site_key {
    struct insn *insn;
    const char *region; /* compared as a pointer: QEMU interns the names */
    uint64_t address;
    uint32_t vcpu;
    uint8_t space;
    uint8_t direction;
    uint8_t size;
    uint8_t string;
};

/* Returns the one copy of *insn, which takes over row.text if it is new and frees it otherwise. Thread-safe. */
struct insn *insn_intern(const struct insn *insn);

/*
 * Returns the site of *key; *is_new tells whether the file that is written to has none yet; then it has just been given
 * its number in it. The caller serialises calls.
 */
const struct site *site_find(const struct site_key *key, bool *is_new);

/* How many sites the file has. */
size_t site_count(void);

/* Another file begins: sites are numbered anew. The caller serialises calls. */
void sites_begin_file(void);

#endif
