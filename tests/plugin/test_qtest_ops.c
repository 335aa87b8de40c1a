/*
 * Replacing an accelerator's functions.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "qtest/ops.h"

#include "check.h"

enum { PLACES = 12, START = 3, KICK, CLOCK = 8 };

static int functions[8];
static const struct ops_known known = {&functions[0], &functions[1], &functions[2]};
static const struct ops_own own = {&functions[3], &functions[4], &functions[5], &functions[6]};

/* As TCG fills it: the clock, a place for setting it, the ticks. */
static void fill(op_t table[PLACES])
{
    memset(table, 0, PLACES * sizeof(*table));
    table[START] = known.start_vcpu;
    table[KICK] = known.kick_vcpu;
    table[CLOCK] = known.get_clock;
    table[CLOCK + 2] = known.get_clock;
    table[PLACES - 1] = &functions[7]; /* behind the ticks, one is empty */
}

static void each_is_found_by_its_value(void)
{
    op_t table[PLACES];

    fill(table);
    CHECK(ops_replace(table, PLACES, &known, &own));
    CHECK(table[START] == own.start_vcpu);
    CHECK(table[KICK] == own.kick_vcpu);
    CHECK(table[CLOCK] == own.get_clock);
    CHECK(table[CLOCK + 1] == own.set_clock);
    CHECK(table[CLOCK + 2] == known.get_clock);
    CHECK(table[PLACES - 1] == &functions[7]);
}

static void check_refused(op_t table[PLACES])
{
    op_t before[PLACES];

    memcpy(before, table, sizeof(before));
    CHECK(!ops_replace(table, PLACES, &known, &own));
    CHECK(memcmp(before, table, sizeof(before)) == 0);
}

static void another_table_is_left_alone(void)
{
    op_t table[PLACES];

    fill(table);
    table[START] = NULL;
    check_refused(table);
    fill(table);
    table[0] = known.kick_vcpu; /* twice */
    check_refused(table);
    fill(table);
    table[CLOCK + 1] = &functions[7]; /* taken */
    check_refused(table);
    fill(table);
    table[0] = table[2] = known.get_clock; /* twice */
    check_refused(table);
    fill(table);
    table[CLOCK] = table[CLOCK + 2] = NULL;
    check_refused(table);
}

int main(void)
{
    RUN(each_is_found_by_its_value);
    RUN(another_table_is_left_alone);
    return 0;
}
