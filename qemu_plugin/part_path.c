/*
 * The names of a rotated recording's files. cli/parts.py knows the same rule.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "part_path.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *part_path(const char *trace, uint64_t part)
{
    const char *slash = strrchr(trace, '/');
    const char *name = slash ? slash + 1 : trace;
    const char *dot = strrchr(name, '.');
    size_t size = strlen(trace) + 24;
    char *path = malloc(size);

    if (!dot || dot == name) { /* no suffix, or a hidden file's name */
        dot = name + strlen(name);
    }
    if (path) {
        snprintf(path, size, "%.*s.%" PRIu64 "%s", (int)(dot - trace), trace, part, dot);
    }
    return path;
}
