/*
 * What is kept of each vCPU. See vcpu.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "vcpu.h"

#include "after_block.h"
#include "recorder.h"

#include <dlfcn.h>
#include <string.h>
#include <time.h>

#define QEMU_CLOCK_VIRTUAL 1

struct target target;
struct vcpu *vcpus[VCPUS_MAX];
uint64_t vcpu_accesses;
const char NO_NAME[] = "";

static int64_t (*clock_get_ns)(int type); /* QEMU's own */
static int (*gdb_read_register)(void *cpu, GByteArray *buffer, int number);
static uint64_t started_ns;               /* without it: when time 0 was */

/* Of enum vcpu_register, in 64-bit and in 32-bit targets. */
static const char *const NAMES[REGISTERS][2] = {
    {"rax", "eax"}, {"rdx", "edx"}, {"rsp", "esp"}, {"cs", "cs"}, {"eflags", "eflags"}, {"cr0", "cr0"},
};

const char *clock_init(void)
{
    *(void **)&clock_get_ns = dlsym(RTLD_DEFAULT, "qemu_clock_get_ns");
    if (clock_get_ns) {
        return "qemu_clock_get_ns";
    }
    started_ns = clock_now_ns();
    return "host monotonic clock";
}

uint64_t clock_now_ns(void)
{
    struct timespec now;

    if (clock_get_ns) {
        return (uint64_t)clock_get_ns(QEMU_CLOCK_VIRTUAL);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec - started_ns;
}

void vcpu_init(unsigned int vcpu_index)
{
    struct vcpu *vcpu;
    GArray *registers;

    if (vcpu_index >= VCPUS_MAX || vcpus[vcpu_index]) {
        return;
    }
    vcpu = g_new0(struct vcpu, 1);
    vcpu->buffer = g_byte_array_new();
    registers = qemu_plugin_get_registers();
    for (guint i = 0; i < registers->len; i++) {
        const qemu_plugin_reg_descriptor *descriptor =
            (const void *)(registers->data + (size_t)i * g_array_get_element_size(registers));

        for (unsigned name = 0; name < REGISTERS; name++) {
            if (strcmp(descriptor->name, NAMES[name][0]) == 0 || strcmp(descriptor->name, NAMES[name][1]) == 0) {
                vcpu->handles[name] = descriptor->handle;
                vcpu->numbers[name] = (int)i;
            }
        }
    }
    g_array_free(registers, true);
    if (target.is_x86 && (!vcpu->handles[REGISTER_AX] || !vcpu->handles[REGISTER_DX])) {
        recorder_fail("this QEMU shows plugins no EAX and EDX");
    }
    vcpus[vcpu_index] = vcpu;
    after_block_try(vcpu_index);
}

bool vcpu_read_directly(struct vcpu *vcpu, void *cpu)
{
    *(void **)&gdb_read_register = dlsym(RTLD_DEFAULT, "gdb_read_register");
    vcpu->cpu = gdb_read_register ? cpu : NULL;
    return vcpu->cpu;
}

uint64_t vcpu_register(struct vcpu *vcpu, enum vcpu_register name)
{
    uint64_t value = 0;

    g_byte_array_set_size(vcpu->buffer, 0);
    if (vcpu->cpu) {
        gdb_read_register(vcpu->cpu, vcpu->buffer, vcpu->numbers[name]);
    } else {
        qemu_plugin_read_register(vcpu->handles[name], vcpu->buffer);
    }
    memcpy(&value, vcpu->buffer->data, vcpu->buffer->len < 8 ? vcpu->buffer->len : 8);
    return value;
}

void vcpu_access(const struct site_key *key, uint64_t t_ns, uint64_t value)
{
    __atomic_add_fetch(&vcpu_accesses, 1, __ATOMIC_RELAXED);
    recorder_access(key, t_ns, value);
}
