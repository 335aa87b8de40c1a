/*
 * The value of a memory access. See mem_value.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "mem_value.h"

__extension__ typedef unsigned __int128 uint128;

struct mem_value mem_value_swap(struct mem_value value)
{
    struct mem_value swapped = {.size = value.size};

    if (value.size == 16) {
        swapped.low = __builtin_bswap64(value.high);
        swapped.high = __builtin_bswap64(value.low);
    } else {
        swapped.low = __builtin_bswap64(value.low) >> 8 * (8 - value.size);
    }
    return swapped;
}

uint64_t mem_value_part(struct mem_value value, unsigned start, unsigned size, bool big_endian)
{
    uint128 whole = (uint128)value.high << 64 | value.low;
    unsigned below = big_endian ? value.size - start - size : start; /* bytes of less weight */

    return (uint64_t)(whole >> 8 * below) & UINT64_MAX >> 8 * (8 - size);
}

unsigned mem_part_size(uint64_t address, unsigned size)
{
    uint64_t all = address | size | 8;

    return (unsigned)(all & -all);
}
