/*
 * Numbers in the texts that `vmdev record` sends.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_NUMBERS_H
#define VMDEV_NUMBERS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* Read a number, decimal or 0x…, and move *text behind it. Returns false if there is none or it is too large. */
static inline bool parse_u64(const char **text, uint64_t *value)
{
    char *end;

    if (**text < '0' || **text > '9') { /* strtoull would accept space and a sign */
        return false;
    }
    errno = 0;
    *value = strtoull(*text, &end, 0);
    *text = end;
    return !errno;
}

#endif
