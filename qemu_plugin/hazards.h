/*
 * Stores that change the memory map.
 *
 * A memory callback runs after its access. If the access changed the memory map (a BAR written through ECAM, flash
 * leaving ROM mode), QEMU 9.2 to 10.2 look the old TLB entry up in the new map: qemu_plugin_get_hwaddr() then names
 * the wrong region, or an assertion ends QEMU. So stores into the physical ranges where this can happen, the hazards,
 * are translated by a page walk instead. `vmdev record` gives the hazards that the region map shows at the start;
 * ECAM windows, which firmware places, are learned from loads, which are safe and come first. QEMU 11 keeps the
 * region in the TLB and needs none of this.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_HAZARDS_H
#define VMDEV_HAZARDS_H

#include <stdbool.h>
#include <stdint.h>

#define HAZARDS_MAX 32
#define HAZARDS_TEXT_MAX (HAZARDS_MAX * 40)

/* What to say when a hazard cannot be avoided. */
#define HAZARDS_UNSAFE                                                                                                \
    "stores that change this machine's memory map (flash, PCI configuration space) cannot be recorded with this "     \
    "QEMU, which does not export cpu_get_phys_page_debug; use QEMU 11 or newer, or --mmio off"

/* `needed`: false makes all else here do nothing. */
void hazards_init(bool needed);

/*
 * Set the physical ranges, "FIRST-LAST[:FIRST-LAST]..." or "". Returns false if there are some and this QEMU has no
 * page walk to offer, or if the text is malformed.
 */
bool hazards_set(const char *text);

/* True if a store to `vaddr` by this vCPU falls into a hazard; *phys_addr is then its physical address. */
bool hazards_hit(unsigned int vcpu_index, uint64_t vaddr, uint64_t *phys_addr);

/* A store to `vaddr` went to RAM. */
void hazards_note_ram(uint64_t vaddr);

/* An access to `vaddr` went to the region of that name. Returns false if this is a hazard that cannot be avoided. */
bool hazards_note_device(uint64_t vaddr, uint64_t phys_addr, const char *region);

#endif
