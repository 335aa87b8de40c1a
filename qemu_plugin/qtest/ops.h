/*
 * What QEMU asks of an accelerator: a table of functions, in which those of TCG are found by their values.
 *
 * The table's layout is QEMU's own business and differs between versions. So nothing is assumed about where a function
 * is: a place is known by what TCG has put there.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_QTEST_OPS_H
#define VMDEV_QTEST_OPS_H

#include <stdbool.h>
#include <stddef.h>

/* Functions as they are kept in the table. */
typedef void *op_t;

/* TCG's functions, under -icount with one thread for all vCPUs. */
struct ops_known {
    op_t start_vcpu;  /* begins a vCPU's thread */
    op_t kick_vcpu;   /* has it look up from what it does */
    op_t get_clock;   /* tells the virtual clock; and the ticks that a CPU's own counter shows */
};

/* Ours. */
struct ops_own {
    op_t start_vcpu;
    op_t kick_vcpu;
    op_t get_clock;
    op_t set_clock;
};

/*
 * Put ours in the place of TCG's. The place for setting the clock, which TCG leaves empty, is between the two of
 * the function that tells it; the first of these is the clock's.
 *
 * False if any of them is not where it can be told from all others, once; then the table is as it was.
 */
bool ops_replace(op_t *table, size_t count, const struct ops_known *known, const struct ops_own *own);

#endif
