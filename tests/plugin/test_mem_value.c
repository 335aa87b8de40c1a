/*
 * Values of memory accesses and their parts.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "mem_value.h"

#include "check.h"

static const struct mem_value eight = {.low = 0x1122334455667788, .size = 8};
static const struct mem_value sixteen = {.low = 0x1122334455667788, .high = 0x99aabbccddeeff00, .size = 16};

static void bytes_change_their_order(void)
{
    CHECK_EQ(mem_value_swap((struct mem_value){.low = 0x12, .size = 1}).low, 0x12);
    CHECK_EQ(mem_value_swap((struct mem_value){.low = 0x1234, .size = 2}).low, 0x3412);
    CHECK_EQ(mem_value_swap((struct mem_value){.low = 0x12345678, .size = 4}).low, 0x78563412);
    CHECK_EQ(mem_value_swap(eight).low, 0x8877665544332211);
    CHECK_EQ(mem_value_swap(sixteen).low, 0x00ffeeddccbbaa99);
    CHECK_EQ(mem_value_swap(sixteen).high, 0x8877665544332211);
    CHECK_EQ(mem_value_swap(sixteen).size, 16);
}

static void a_part_is_what_stands_at_its_address(void)
{
    CHECK_EQ(mem_value_part(eight, 0, 8, false), 0x1122334455667788);
    CHECK_EQ(mem_value_part(eight, 0, 8, true), 0x1122334455667788);
    CHECK_EQ(mem_value_part(eight, 1, 2, false), 0x6677);
    CHECK_EQ(mem_value_part(eight, 1, 2, true), 0x2233);
    CHECK_EQ(mem_value_part(eight, 7, 1, false), 0x11);
    CHECK_EQ(mem_value_part(eight, 7, 1, true), 0x88);
    CHECK_EQ(mem_value_part(sixteen, 0, 8, false), 0x1122334455667788);
    CHECK_EQ(mem_value_part(sixteen, 0, 8, true), 0x99aabbccddeeff00);
    CHECK_EQ(mem_value_part(sixteen, 8, 8, false), 0x99aabbccddeeff00);
    CHECK_EQ(mem_value_part(sixteen, 8, 8, true), 0x1122334455667788);
    CHECK_EQ(mem_value_part(sixteen, 6, 4, false), 0xff001122);
    CHECK_EQ(mem_value_part(sixteen, 6, 4, true), 0xff001122);
}

static void parts_are_aligned_to_their_size(void)
{
    CHECK_EQ(mem_part_size(0xbfffd, 3), 1);
    CHECK_EQ(mem_part_size(0xbfffe, 2), 2);
    CHECK_EQ(mem_part_size(0xa0000, 3), 1);
    CHECK_EQ(mem_part_size(0xa0000, 2), 2);
    CHECK_EQ(mem_part_size(0xa0000, 4), 4);
    CHECK_EQ(mem_part_size(0xa0000, 6), 2);
    CHECK_EQ(mem_part_size(0xa0000, 8), 8);
    CHECK_EQ(mem_part_size(0xa0008, 8), 8);
}

int main(void)
{
    RUN(bytes_change_their_order);
    RUN(a_part_is_what_stands_at_its_address);
    RUN(parts_are_aligned_to_their_size);
    return 0;
}
