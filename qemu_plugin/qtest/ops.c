/*
 * Replacing an accelerator's functions. See ops.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "ops.h"

#define NOWHERE ((size_t)-1)

/* The only place that has `op`. */
static size_t find(op_t *table, size_t count, op_t op)
{
    size_t found = NOWHERE;

    for (size_t at = 0; op && at < count; at++) {
        if (table[at] == op) {
            if (found != NOWHERE) {
                return NOWHERE;
            }
            found = at;
        }
    }
    return found;
}

/* The only empty place between two that have `get_clock`: the first of these. */
static size_t find_clock(op_t *table, size_t count, op_t get_clock)
{
    size_t found = NOWHERE;

    for (size_t at = 0; get_clock && at + 2 < count; at++) {
        if (table[at] == get_clock && !table[at + 1] && table[at + 2] == get_clock) {
            if (found != NOWHERE) {
                return NOWHERE;
            }
            found = at;
        }
    }
    return found;
}

bool ops_replace(op_t *table, size_t count, const struct ops_known *known, const struct ops_own *own)
{
    size_t start = find(table, count, known->start_vcpu);
    size_t kick = find(table, count, known->kick_vcpu);
    size_t clock = find_clock(table, count, known->get_clock);

    if (start == NOWHERE || kick == NOWHERE || clock == NOWHERE) {
        return false;
    }
    table[start] = own->start_vcpu;
    table[kick] = own->kick_vcpu;
    table[clock] = own->get_clock;
    table[clock + 1] = own->set_clock;
    return true;
}
