/*
 * What passes from the vCPU threads to the writer.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_EXIT_RECORD_H
#define VMDEV_EXIT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#define INSN_BYTES_MAX 16

enum space { SPACE_PIO, SPACE_MMIO };
enum direction { DIRECTION_READ, DIRECTION_WRITE };

/* An instruction that accessed a device: a row of the table `insn`. */
struct insn_row {
    uint32_t id;
    uint64_t pc; /* virtual address */
    uint8_t size;
    uint8_t bytes[INSN_BYTES_MAX];
    const char *text; /* disassembly, or "" */
};

/* Where an access comes from: a row of the table `site_packed`. */
struct site {
    uint32_t id;
    uint32_t vcpu;
    const struct insn_row *insn;
    bool insn_is_new;   /* the first site of its instruction: the instruction's row goes first */
    const char *region; /* name, or "" */
    uint64_t address;   /* port, or guest physical address */
    uint8_t space;      /* enum space */
    uint8_t direction;  /* enum direction */
    uint8_t size;       /* bytes: 1, 2, 4, 8 */
    uint8_t string;     /* 1: an element of INS or OUTS */
};

/* A row of the table `event`. */
struct event {
    uint64_t t_ns;
    int vcpu; /* -1: none */
    const char *kind;
    char detail[48];
};

enum item_kind { ITEM_EXIT, ITEM_SITE, ITEM_EVENT };

/* One element of the queue. */
struct item {
    uint64_t t_ns;
    union {
        uint64_t value;           /* ITEM_EXIT: masked to the access's size */
        const struct site *site;  /* ITEM_SITE: lives as long as the recorder */
        struct event *event;      /* ITEM_EVENT: freed by the writer */
    };
    uint32_t site_id; /* ITEM_EXIT */
    uint32_t kind;
};

#endif
