/*
 * Which accesses are recorded, where that is not all of them: those to some addresses or devices, from some time on.
 *
 * An access belongs to where its first byte is, as QEMU decodes it. A device is known by the name of its region. QEMU's
 * plugin interface names memory, but no ports, and stores that may change the memory map come without the name, too
 * (hazards.h). Such a store belongs to where the last access to its page went that had a name; all else is known by its
 * place in the region map, which `vmdev record` tells at the start and whenever it has changed.
 *
 * Locking is the caller's.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_FILTER_H
#define VMDEV_FILTER_H

#include "sites.h"

#include <stdbool.h>
#include <stdint.h>

#define FILTER_ADDRESSES_MAX 256
#define FILTER_DEVICES_MAX 64
#define FILTER_PLACES_MAX 256
#define FILTER_PLACES_TEXT_MAX (FILTER_PLACES_MAX * 48)

/* Record accesses to an address: "pio:FIRST-LAST" or "mmio:FIRST-LAST". Returns false if malformed or one too many. */
bool filter_add_address(const char *text);

/* Record accesses to regions of this name, which must live on. Returns false if it is empty or one too many. */
bool filter_add_device(const char *name);

/*
 * Where the regions of these names are: ranges as above, separated by commas; this replaces what was known. Returns
 * false, and then knows none, if the text is malformed or has too many ranges.
 */
bool filter_set_places(const char *text);

/* Record nothing that is earlier. */
void filter_set_from(uint64_t t_ns);

/* Whether anything may be left out. */
bool filter_is_set(void);

bool filter_wants_time(uint64_t t_ns);

/* Whether an access is to be recorded. */
bool filter_wants(const struct site_key *key, uint64_t t_ns);

#endif
