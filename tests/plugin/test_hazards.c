/*
 * Stores that change the memory map. QEMU's page walk is played by the test: see `cpus`.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>

static void *find_symbol(void *handle, const char *name);
#define dlsym find_symbol
#include "hazards.c"
#undef dlsym

#define UNMAPPED UINT64_MAX

/* Each vCPU maps all its virtual pages with one offset; except for one page. */
struct cpu {
    uint64_t to_phys;
    uint64_t hole; /* virtual page that is not mapped */
};

static struct cpu cpus[] = {{0, UNMAPPED}, {0x100000000, UNMAPPED}};
static unsigned walks;
static bool qemu_exports_them = true;

static void *fake_get_cpu(int index)
{
    return &cpus[index];
}

static uint64_t fake_get_phys_page(void *opaque, uint64_t vaddr)
{
    const struct cpu *cpu = opaque;

    __atomic_add_fetch(&walks, 1, __ATOMIC_RELAXED);
    CHECK_EQ(vaddr & 0xfff, 0);
    return vaddr == cpu->hole ? UNMAPPED : vaddr + cpu->to_phys;
}

static void *find_symbol(void *handle, const char *name)
{
    void *(*get)(int) = fake_get_cpu;
    uint64_t (*walk)(void *, uint64_t) = fake_get_phys_page;

    CHECK(handle == RTLD_DEFAULT);
    if (!qemu_exports_them) {
        return NULL;
    }
    if (strcmp(name, "qemu_get_cpu") == 0) {
        return *(void **)&get;
    }
    CHECK_STR(name, "cpu_get_phys_page_debug");
    return *(void **)&walk;
}

static bool hit(unsigned vcpu_index, uint64_t vaddr, uint64_t want_phys_addr)
{
    uint64_t phys_addr;

    if (!hazards_hit(vcpu_index, vaddr, &phys_addr)) {
        return false;
    }
    CHECK_EQ(phys_addr, want_phys_addr);
    return true;
}

static bool misses(uint64_t vaddr)
{
    return !hit(0, vaddr, 0);
}

static void with_no_hazard_nothing_is_walked(void)
{
    hazards_init(true);
    CHECK(hazards_set(""));
    CHECK(misses(0xffc00000));
    CHECK_EQ(walks, 0);
}

static void a_store_into_a_range_hits(void)
{
    hazards_init(true);
    CHECK(hazards_set("0xffc00000-0xffc83fff:0xe0000000-0xefffffff"));
    CHECK(misses(0xffbfffff));
    CHECK(hit(0, 0xffc00000, 0xffc00000));
    CHECK(hit(0, 0xffc83fff, 0xffc83fff)); /* inclusive */
    CHECK(misses(0xffc84000));
    CHECK(hit(0, 0xe0000cf8, 0xe0000cf8));
}

static void the_walk_is_of_the_vcpu_that_stores(void)
{
    hazards_init(true);
    CHECK(hazards_set("0x1e0000000-0x1efffffff"));
    CHECK(!hit(0, 0xe0000cf8, 0));
    CHECK(hit(1, 0xe0000cf8, 0x1e0000cf8));
}

static void an_unmapped_page_does_not_hit(void)
{
    hazards_init(true);
    CHECK(hazards_set("0-0xffffffffffffffff"));
    cpus[0].hole = 0x5000;
    CHECK(misses(0x5123));
    CHECK(hit(0, 0x6123, 0x6123));
}

static void a_page_known_as_ram_is_not_walked_again(void)
{
    hazards_init(true);
    CHECK(hazards_set("0xe0000000-0xefffffff"));
    CHECK(misses(0x7c00));
    hazards_note_ram(0x7c00);
    walks = 0;
    CHECK(misses(0x7ffc));
    CHECK_EQ(walks, 0);
    CHECK(misses(0x8000)); /* another page */
    CHECK_EQ(walks, 1);
    hazards_note_ram(0x7c00 + ((uint64_t)RAM_PAGES << PAGE_SHIFT)); /* takes its place in the cache */
    CHECK(misses(0x7c00));
    CHECK_EQ(walks, 2);
}

static void a_page_on_which_a_device_answers_is_ram_no_more(void)
{
    hazards_init(true);
    CHECK(hazards_set("0xe0000000-0xefffffff"));
    hazards_note_ram(0xe0000000);
    CHECK(misses(0xe0000010));
    CHECK(hazards_note_device(0xe0000004, 0xe0000004, "some-device"));
    CHECK(hit(0, 0xe0000010, 0xe0000010));
}

static void an_ecam_window_is_learned_from_a_load(void)
{
    hazards_init(true);
    CHECK(hazards_set(""));
    CHECK(hazards_note_device(0xb0000000, 0xb0000000, "vga-lowmem"));
    CHECK(misses(0xb0008000));
    CHECK(hazards_note_device(0xb0008000, 0xb0008000, "pcie-mmcfg-mmio"));
    CHECK(hit(0, 0xb0000000, 0xb0000000));
    CHECK(hit(0, 0xbfffffff, 0xbfffffff));
    CHECK(misses(0xc0000000));
    CHECK(misses(0xafffffff));
}

static void a_window_is_added_once(void)
{
    hazards_init(true);
    CHECK(hazards_set(""));
    for (uint64_t i = 0; i < 4 * HAZARDS_MAX; i++) {
        CHECK(hazards_note_device(0xb0000000 + i, 0xb0000000 + i, "pcie-mmcfg-mmio"));
    }
    CHECK_EQ(n_ranges, 1);
}

static void more_windows_than_there_is_room_for_are_refused(void)
{
    hazards_init(true);
    CHECK(hazards_set(""));
    for (uint64_t i = 0; i < HAZARDS_MAX; i++) {
        CHECK(hazards_note_device(i * ECAM_SIZE, i * ECAM_SIZE, "pcie-mmcfg-mmio"));
    }
    CHECK(!hazards_note_device(0, (uint64_t)HAZARDS_MAX * ECAM_SIZE, "pcie-mmcfg-mmio"));
}

static void without_the_page_walk_hazards_are_refused(void)
{
    qemu_exports_them = false;
    hazards_init(true);
    CHECK(hazards_set(""));
    CHECK(misses(0xe0000000));
    CHECK(!hazards_set("0xe0000000-0xefffffff"));
    CHECK(!hazards_note_device(0xe0000000, 0xe0000000, "pcie-mmcfg-mmio"));
    CHECK(hazards_note_device(0xfee00000, 0xfee00000, "apic-msi"));
}

static void where_none_is_needed_nothing_is_done(void)
{
    hazards_init(false);
    CHECK(hazards_set("0xe0000000-0xefffffff"));
    CHECK(misses(0xe0000000));
    CHECK(hazards_note_device(0xe0000000, 0xe0000000, "pcie-mmcfg-mmio"));
    CHECK(misses(0xe0000000));
    CHECK_EQ(walks, 0);
}

static void malformed_text_is_refused(void)
{
    static const char *const malformed[] = {"x", "1", "1-", "-1", "1-2,3-4", "1-2x", "2-1", ":1-2", "1-2::3-4"};

    hazards_init(true);
    for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
        if (hazards_set(malformed[i])) {
            check_failed(__FILE__, __LINE__, malformed[i], "is accepted");
        }
    }
}

static void only_so_many_ranges_fit(void)
{
    char text[HAZARDS_TEXT_MAX + 64] = "0x1000-0x1fff";

    hazards_init(true);
    for (unsigned i = 1; i < HAZARDS_MAX; i++) {
        strcat(text, ":0x1000-0x1fff");
    }
    CHECK(hazards_set(text));
    strcat(text, ":0x1000-0x1fff");
    CHECK(!hazards_set(text));
}

static pthread_barrier_t all_ready;

static void *learn(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < 8; i++) {
        uint64_t address = i * ECAM_SIZE;

        pthread_barrier_wait(&all_ready);
        CHECK(hazards_note_device(address, address, "pcie-mmcfg-mmio"));
        CHECK(hit(0, address + 1, address + 1));
    }
    return NULL;
}

static void vcpus_may_learn_at_the_same_time(void)
{
    pthread_t threads[4];

    pthread_barrier_init(&all_ready, NULL, 4);
    hazards_init(true);
    for (unsigned round = 0; round < 100; round++) {
        CHECK(hazards_set(""));
        for (unsigned i = 0; i < 4; i++) {
            pthread_create(&threads[i], NULL, learn, NULL);
        }
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        CHECK_EQ(n_ranges, 8);
    }
}

int main(void)
{
    RUN(with_no_hazard_nothing_is_walked);
    RUN(a_store_into_a_range_hits);
    RUN(the_walk_is_of_the_vcpu_that_stores);
    RUN(an_unmapped_page_does_not_hit);
    RUN(a_page_known_as_ram_is_not_walked_again);
    RUN(a_page_on_which_a_device_answers_is_ram_no_more);
    RUN(an_ecam_window_is_learned_from_a_load);
    RUN(a_window_is_added_once);
    RUN(more_windows_than_there_is_room_for_are_refused);
    RUN(without_the_page_walk_hazards_are_refused);
    RUN(where_none_is_needed_nothing_is_done);
    RUN(malformed_text_is_refused);
    RUN(only_so_many_ranges_fit);
    RUN(vcpus_may_learn_at_the_same_time);
    return 0;
}
