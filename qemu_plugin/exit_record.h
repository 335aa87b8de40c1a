/*
 * What passes from the vCPU threads to the writer.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_EXIT_RECORD_H
#define VMDEV_EXIT_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

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
    uint32_t id; /* within the file that is written to; the vCPUs', the writer looks at its item */
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
    const char *detail; /* of the recorder's: in the same piece of memory */
};

/* A row of the table `interrupt`. */
struct interrupt {
    uint64_t t_ns;
    uint64_t from_pc; /* virtual address of the instruction that would have been next */
    uint64_t to_pc;   /* virtual address of the handler */
    uint32_t vcpu;
};

/* What was counted until a file of the recording was full. */
struct counters {
    uint64_t exits; /* of all files up to this one; the others are this file's */
    uint64_t sites;
    uint64_t kinds[2][2]; /* exits by space and direction */
    uint64_t interrupts;
    uint64_t excluded;
};

enum item_kind { ITEM_EXIT, ITEM_SITE, ITEM_EVENT, ITEM_INTERRUPT, ITEM_PART };

/* One element of the queue. */
struct item {
    uint64_t t_ns;
    union {
        uint64_t value;              /* ITEM_EXIT: masked to the access's size */
        const struct site *site;     /* ITEM_SITE: lives as long as the recorder */
        struct event *event;         /* ITEM_EVENT: freed by the writer */
        struct interrupt *interrupt; /* ITEM_INTERRUPT: freed by the writer */
        struct counters *counters;   /* ITEM_PART: what follows goes into the next file; freed by the writer */
    };
    uint32_t site_id; /* ITEM_EXIT, ITEM_SITE: number of the site within its file */
    uint32_t kind;
};

/* Free what the item owns. */
static inline void item_release(const struct item *item)
{
    if (item->kind == ITEM_EVENT) {
        free(item->event);
    } else if (item->kind == ITEM_INTERRUPT) {
        free(item->interrupt);
    } else if (item->kind == ITEM_PART) {
        free(item->counters);
    }
}

#endif
