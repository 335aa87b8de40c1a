/*
 * When the guest may have moved a device: `vmdev record` is asked to take a snapshot of the memory map before the next
 * access is recorded, so that each access can be named by the map that was in force.
 *
 * What moves devices are writes to PCI configuration space, by the ports 0xCF8-0xCFF or by an ECAM window: command,
 * base addresses, bridge windows, and the registers from 0x40 on, where chipsets keep the places of their own devices.
 * Firmware writes a hundred of them, but in runs; a snapshot is asked for at the first access that is none.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_MAP_WATCH_H
#define VMDEV_MAP_WATCH_H

#include "sites.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A PC's firmware and kernel need 10 to 40 requests. Who needs more has to wait for each next one. */
#define MAP_REQUESTS_FREE 64
#define MAP_REQUEST_GAP_NS 100000000u

/* How long `vmdev record` may take to answer. It takes milliseconds, unless QEMU's main loop is stopped. */
#define MAP_TIMEOUT_MS 10000

/* `control_fd`: the socket to `vmdev record`; -1: nobody is asked. */
void map_watch_start(int control_fd);

/* The machine was reset, which takes PCI functions off their addresses. */
void map_watch_reset(void);

/*
 * Look at an access that is about to be recorded. Returns true if a snapshot has to be taken before that: then call
 * map_watch_ask(), with no lock held.
 */
bool map_watch_access(const struct site_key *key, uint64_t t_ns, uint64_t value);

/*
 * Ask for a snapshot, after so many accesses and sites, and wait for it. Returns false if none was taken.
 * Line to `vmdev record`: "map NUMBER ACCESSES SITES"; answer: "done NUMBER PLACES" or "none NUMBER". `places` receives
 * the PLACES, see filter.h; its size must be larger than 64.
 */
bool map_watch_ask(uint64_t seq, uint64_t sites, char *places, size_t size);

/* How often it was asked for. */
uint64_t map_watch_requests(void);

#endif
