/*
 * Markers: texts that stand in the trace as events "marker". Some are given to `vmdev record` with the time at which
 * they are due; others the guest writes itself, byte by byte, to a port or an address that was chosen for it.
 *
 * Locking is the caller's.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_MARKERS_H
#define VMDEV_MARKERS_H

#include "sites.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one marker. Longer texts become several, cut between characters. */
#define MARKER_MAX 4096

/* Add "T_NS:TEXT", in any order. Returns false if it is malformed. */
bool markers_add(const char *text);

/* Where the guest writes markers: "pio:ADDRESS" or "mmio:ADDRESS". Returns false if it is malformed. */
bool markers_set_port(const char *text);

/* The next text that is due at `t_ns`, and when it was due; NULL: none. */
const char *markers_next(uint64_t t_ns, uint64_t *due_ns);

/* How many texts were not due yet. */
size_t markers_left(void);

/* Whether this access writes to the markers' port. */
bool markers_take(const struct site_key *key);

/*
 * A byte that the guest wrote there. Returns the text that it ended (a newline or NUL does) or filled, or NULL; the
 * next call uses the same memory. What is not printable UTF-8 comes as \xNN, and a backslash twice: nothing is lost.
 */
const char *markers_gather(uint8_t byte);

/* What the guest began and did not end, or NULL. */
const char *markers_rest(void);

#endif
