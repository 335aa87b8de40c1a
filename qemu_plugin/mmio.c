/*
 * Memory-mapped I/O. See mmio.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "mmio.h"

#include "hazards.h"
#include "recorder.h"
#include "serial_input.h"

#include <dlfcn.h>
#include <string.h>

#define PAGE_SIZE 4096u /* or a multiple: what is said of two such pages holds for halves of one page, too */
#define ACCESS_MAX 16u   /* bytes */
#define INSN_SIZE_A64 4u

static bool (*read_memory)(uint64_t vaddr, GByteArray *bytes, size_t size);
static uint64_t fast_misses;

static void count_fast_miss(void)
{
    __atomic_add_fetch(&fast_misses, 1, __ATOMIC_RELAXED);
}

uint64_t mmio_fast_misses(void)
{
    return __atomic_load_n(&fast_misses, __ATOMIC_RELAXED);
}

/* Where in the machine a byte of an access went. */
struct place {
    uint64_t phys_addr;
    const char *region;
};

struct mem_value mmio_value(qemu_plugin_meminfo_t info)
{
    qemu_plugin_mem_value value = qemu_plugin_mem_get_value(info);
    struct mem_value found = {0};

    switch (value.type) {
    case QEMU_PLUGIN_MEM_VALUE_U8:
        found = (struct mem_value){.size = 1, .low = value.data.u8};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U16:
        found = (struct mem_value){.size = 2, .low = value.data.u16};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U32:
        found = (struct mem_value){.size = 4, .low = value.data.u32};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U64:
        found = (struct mem_value){.size = 8, .low = value.data.u64};
        break;
    case QEMU_PLUGIN_MEM_VALUE_U128:
        found = (struct mem_value){.size = 16, .low = value.data.u128.low, .high = value.data.u128.high};
        break;
    }
    return qemu_plugin_mem_is_big_endian(info) == target.is_big_endian ? found : mem_value_swap(found);
}

/* A region's name; QEMU prints an unnamed region's host address ("anon" and 8 digits), which no two runs share. */
static const char *region_name(const struct qemu_plugin_hwaddr *hwaddr)
{
    const char *name = qemu_plugin_hwaddr_device_name(hwaddr);

    return strncmp(name, "anon", 4) == 0 && strspn(name + 4, "0123456789abcdef") == 8 && !name[12] ? NO_NAME : name;
}

/* Fills *place and returns true if the access to `vaddr` went to a device. */
static bool find_device(struct place *place, unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr,
                        bool store)
{
    struct qemu_plugin_hwaddr *hwaddr;

    if (store && hazards_hit(vcpu_index, vaddr, &place->phys_addr)) {
        place->region = NO_NAME;
        return true;
    }
    hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
    if (!hwaddr || !qemu_plugin_hwaddr_is_io(hwaddr)) {
        if (store && hwaddr) {
            hazards_note_ram(vaddr);
        }
        return false;
    }
    place->phys_addr = qemu_plugin_hwaddr_phys_addr(hwaddr);
    place->region = region_name(hwaddr);
    if (!hazards_note_device(vaddr, place->phys_addr, place->region)) {
        recorder_fail(HAZARDS_UNSAFE);
    }
    return true;
}

/* A memory access that is being recorded. */
struct mmio {
    struct site_key key;
    uint64_t t_ns;
    struct mem_value value;
};

/* Record bytes `start` to `end` - 1 of an access, which went to `place`. */
static void record_part(struct mmio *mmio, const struct place *place, unsigned start, unsigned end)
{
    bool is_whole = start == 0 && end == mmio->value.size;

    mmio->key.region = place->region;
    mmio->key.address = place->phys_addr;
    while (start < end) {
        unsigned left = end - start;
        unsigned size = is_whole ? left : mem_part_size(mmio->key.address, left);

        size = size > 8 ? 8 : size; /* 16 bytes are two exits of 8 */
        mmio->key.size = (uint8_t)size;
        vcpu_access(&mmio->key, mmio->t_ns, mem_value_part(mmio->value, start, size, target.is_big_endian));
        mmio->key.address += size;
        start += size;
    }
}

/* A64 or A32, whose instructions have 4 bytes. QEMU would have thrown the block away, had they changed. */
static struct insn *insn_at(uint64_t pc)
{
    struct insn insn = {.row = {.pc = pc, .size = INSN_SIZE_A64, .text = ""}};
    GByteArray *bytes = g_byte_array_new();

    if (read_memory(pc, bytes, INSN_SIZE_A64)) {
        memcpy(insn.row.bytes, bytes->data, INSN_SIZE_A64);
    } else {
        recorder_fail("QEMU cannot read the instruction that made an access");
    }
    g_byte_array_free(bytes, true);
    return insn_intern(&insn);
}

/* As mmio_record(); the instruction is `insn`, or if that is NULL the one at `pc`. */
static bool record_of(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, struct insn *insn,
                      uint64_t pc)
{
    bool store = qemu_plugin_mem_is_store(info);
    unsigned in_page = PAGE_SIZE - (vaddr & (PAGE_SIZE - 1)); /* bytes up to the page's end */
    struct place place, next;
    bool is_device, next_is_device = false;
    struct mmio mmio;

    if (!recorder_active()) {
        return false;
    }
    is_device = find_device(&place, vcpu_index, info, vaddr, store);
    if (in_page < ACCESS_MAX && in_page < 1u << qemu_plugin_mem_size_shift(info)) {
        next_is_device = find_device(&next, vcpu_index, info, vaddr + in_page, store);
    } else {
        in_page = ACCESS_MAX;
    }
    if (!is_device && !next_is_device) {
        return false;
    }
    mmio = (struct mmio){
        .key = {.insn = insn ? insn : insn_at(pc),
                .vcpu = vcpu_index,
                .space = SPACE_MMIO,
                .direction = store ? DIRECTION_WRITE : DIRECTION_READ},
        .t_ns = clock_now_ns(),
        .value = mmio_value(info),
    };
    if (in_page >= mmio.value.size || (is_device && next_is_device && place.region == next.region &&
                                       place.phys_addr + in_page == next.phys_addr)) {
        record_part(&mmio, &place, 0, mmio.value.size);
    } else {
        if (is_device) {
            record_part(&mmio, &place, 0, in_page);
        }
        if (next_is_device) {
            record_part(&mmio, &next, in_page, mmio.value.size);
        }
    }
    if (serial_input_due(mmio.t_ns)) {
        serial_input_feed(vcpu_index, mmio.t_ns);
    }
    return true;
}

bool mmio_record(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, struct insn *insn)
{
    return record_of(vcpu_index, info, vaddr, insn, 0);
}

void mmio_any_at(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *pc)
{
    record_of(vcpu_index, info, vaddr, NULL, (uintptr_t)pc);
}

bool mmio_reads_code(void)
{
    *(void **)&read_memory = dlsym(RTLD_DEFAULT, "qemu_plugin_read_memory_vaddr");
    return read_memory;
}

void mmio_any(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    mmio_record(vcpu_index, info, vaddr, userdata);
}

static struct ram_seen *seen_by(struct ram_seen *seen, const struct insn *insn)
{
    return &seen[(uintptr_t)insn / sizeof(*insn) % RAM_SEEN_MAX];
}

/* An access that reaches into the next page does not count: of most accesses, less is known here than their size. */
static bool still_ram(const struct ram_seen *seen, const struct insn *insn, uint64_t vaddr, uint64_t changes)
{
    return seen->insn == insn && seen->page == vaddr / PAGE_SIZE && seen->changes == changes &&
           vaddr % PAGE_SIZE <= PAGE_SIZE - ACCESS_MAX;
}

/* Of an x86 instruction. `seen` is where it is to stand that RAM is there. */
static __attribute__((noinline)) void look(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr,
                                           struct insn *insn, struct ram_seen *seen)
{
    uint64_t changes = vcpu_changes(vcpus[vcpu_index]);
    bool passed_over = still_ram(seen, insn, vaddr, changes); /* by mmio=fast */

    if (!mmio_record(vcpu_index, info, vaddr, insn)) {
        *seen = (struct ram_seen){insn, vaddr / PAGE_SIZE, changes};
    } else if (passed_over) { /* mmio=fast would have noticed nothing, and gone on */
        count_fast_miss();
        seen->changes = vcpu_changes(vcpus[vcpu_index]);
    }
}

/*
 * Most accesses that come here, and the elements of REP MOVS and STOS above all, of which a booting guest executes ten
 * millions, go where the one before went. If an instruction has found RAM in a page, that is RAM as long as no
 * instruction has changed mappings and nothing has accessed a device, unless the guest relies on a stale TLB.
 */
void mmio_load(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct ram_seen *seen = seen_by(vcpu->loads, insn);

    if (target.options.mmio != MMIO_FAST || !still_ram(seen, insn, vaddr, vcpu_changes(vcpu))) {
        look(vcpu_index, info, vaddr, insn, seen);
    }
}

void mmio_store(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *insn)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct ram_seen *seen = seen_by(vcpu->stores, insn);

    if (target.options.mmio != MMIO_FAST || !still_ram(seen, insn, vaddr, vcpu_changes(vcpu))) {
        look(vcpu_index, info, vaddr, insn, seen);
    }
}

void mmio_remaps(unsigned int vcpu_index, void *userdata)
{
    (void)userdata;
    vcpus[vcpu_index]->remaps++;
}

/*
 * PUSH, POP and their like in a block of their own: QEMU makes such a block to access a device. Those at blocks' ends
 * have no callback, so if the stack is no RAM, mmio=fast has missed accesses, or will.
 */
void mmio_lone_push(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    if (mmio_record(vcpu_index, info, vaddr, userdata)) {
        if (target.options.mmio == MMIO_FULL) {
            count_fast_miss();
        } else {
            recorder_fail("the guest's stack is in a device, which --mmio fast does not see; use --mmio full");
        }
    }
}

void mmio_elsewhere(unsigned int vcpu_index, qemu_plugin_meminfo_t info, uint64_t vaddr, void *userdata)
{
    if (mmio_record(vcpu_index, info, vaddr, userdata)) {
        count_fast_miss();
    }
}
