/*
 * The names of a rotated recording's files.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_PART_PATH_H
#define VMDEV_PART_PATH_H

#include <stdint.h>

/* The allocated path of part `part` (from 1 on) of the recording that begins in `trace`: trace.db, trace.1.db, … */
char *part_path(const char *trace, uint64_t part);

#endif
