/*
 * The value of a memory access, and the parts of it that devices see. Pure: no QEMU, no allocation.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_MEM_VALUE_H
#define VMDEV_MEM_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* A number of 1, 2, 4, 8 or 16 bytes. */
struct mem_value {
    uint64_t low;
    uint64_t high; /* of 16 bytes: the upper 8 */
    unsigned size;
};

/* The number with its bytes in the other order. */
struct mem_value mem_value_swap(struct mem_value value);

/* The number in bytes `start` to `start + size - 1` of memory, where `value` is stored; `size` is at most 8. */
uint64_t mem_value_part(struct mem_value value, unsigned start, unsigned size, bool big_endian);

/*
 * The size of the first of the accesses that QEMU makes of `size` bytes at `address`, when an access that crosses a page
 * leaves them to a device: the largest of 1, 2, 4 and 8 to which both are multiples.
 */
unsigned mem_part_size(uint64_t address, unsigned size);

#endif
