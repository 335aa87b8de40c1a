/*
 * Stores that change the memory map. See hazards.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "hazards.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ECAM_REGION "pcie-mmcfg-mmio"
#define ECAM_SIZE 0x10000000u /* the largest window; windows are aligned to their size */
#define PAGE_SHIFT 12
#define PAGE_MASK (~(uint64_t)0 << PAGE_SHIFT)
#define RAM_PAGES 1024

struct range {
    uint64_t first;
    uint64_t last; /* inclusive */
};

static bool needed;
/* Read by any vCPU thread; added to under the lock: a range is complete before n_ranges counts it. */
static struct range ranges[HAZARDS_MAX];
static size_t n_ranges;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

/* Internal functions of QEMU that distributions export: qemu_get_cpu(), cpu_get_phys_page_debug(). */
static void *(*get_cpu)(int index);
static uint64_t (*get_phys_page)(void *cpu, uint64_t vaddr);

/* Virtual pages whose last store went to RAM: no need to walk again. By number, plus one; indexed by its low bits. */
static __thread uint64_t ram_pages[RAM_PAGES];

void hazards_init(bool is_needed)
{
    needed = is_needed;
    *(void **)&get_cpu = dlsym(RTLD_DEFAULT, "qemu_get_cpu");
    *(void **)&get_phys_page = dlsym(RTLD_DEFAULT, "cpu_get_phys_page_debug");
}

static bool parse_range(const char **at, struct range *range)
{
    char *end;

    range->first = strtoull(*at, &end, 0);
    if (end == *at || *end != '-') {
        return false;
    }
    *at = end + 1;
    range->last = strtoull(*at, &end, 0);
    if (end == *at || (*end && *end != ':') || range->last < range->first) {
        return false;
    }
    *at = *end ? end + 1 : end;
    return true;
}

bool hazards_set(const char *text)
{
    n_ranges = 0;
    if (!needed) {
        return true;
    }
    while (*text) {
        if (n_ranges == HAZARDS_MAX || !get_cpu || !get_phys_page || !parse_range(&text, &ranges[n_ranges])) {
            return false;
        }
        n_ranges++;
    }
    return true;
}

static bool contains(uint64_t phys_addr)
{
    size_t n = __atomic_load_n(&n_ranges, __ATOMIC_ACQUIRE);

    for (size_t i = 0; i < n; i++) {
        if (phys_addr >= ranges[i].first && phys_addr <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

bool hazards_hit(unsigned int vcpu_index, uint64_t vaddr, uint64_t *phys_addr)
{
    uint64_t page = vaddr >> PAGE_SHIFT;
    uint64_t phys_page;

    if (__atomic_load_n(&n_ranges, __ATOMIC_ACQUIRE) == 0 || ram_pages[page % RAM_PAGES] == page + 1) {
        return false;
    }
    phys_page = get_phys_page(get_cpu((int)vcpu_index), vaddr & PAGE_MASK);
    *phys_addr = (phys_page & PAGE_MASK) | (vaddr & ~PAGE_MASK);
    return phys_page != ~(uint64_t)0 && contains(*phys_addr);
}

void hazards_note_ram(uint64_t vaddr)
{
    uint64_t page = vaddr >> PAGE_SHIFT;

    if (__atomic_load_n(&n_ranges, __ATOMIC_ACQUIRE) > 0) { /* nobody else asks */
        ram_pages[page % RAM_PAGES] = page + 1;
    }
}

bool hazards_note_device(uint64_t vaddr, uint64_t phys_addr, const char *region)
{
    uint64_t page = vaddr >> PAGE_SHIFT;
    uint64_t first = phys_addr & ~(uint64_t)(ECAM_SIZE - 1);
    bool room = true;

    if (ram_pages[page % RAM_PAGES] == page + 1) {
        ram_pages[page % RAM_PAGES] = 0;
    }
    if (!needed || strcmp(region, ECAM_REGION) != 0 || contains(phys_addr)) {
        return true;
    }
    if (!get_cpu || !get_phys_page) {
        return false;
    }
    pthread_mutex_lock(&adding);
    if (!contains(phys_addr)) { /* another vCPU may have been faster */
        room = n_ranges < HAZARDS_MAX;
        if (room) {
            ranges[n_ranges] = (struct range){first, first + ECAM_SIZE - 1};
            __atomic_store_n(&n_ranges, n_ranges + 1, __ATOMIC_RELEASE);
        }
    }
    pthread_mutex_unlock(&adding);
    return room;
}
