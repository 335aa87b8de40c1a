/*
 * A call between two blocks. See after_block.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "after_block.h"

#include "vcpu.h"

#include <dlfcn.h>
#include <string.h>

/* Internal functions of QEMU. The last argument is a union of eight bytes there, which is passed in the same way. */
typedef void (*work_t)(void *cpu, uint64_t data);
static void *(*get_cpu)(int index);
static void (*run_on_cpu)(void *cpu, work_t work, uint64_t data);

static void (*call_back)(unsigned int vcpu_index);
static bool works;

struct trial {
    struct vcpu *vcpu;
    struct qemu_plugin_register *handle;
    uint64_t value;
};

static bool find_function(const char *name, void *function)
{
    void *found = dlsym(RTLD_DEFAULT, name);

    memcpy(function, &found, sizeof(found));
    return found;
}

void after_block_start(void (*call)(unsigned int vcpu_index))
{
    if (find_function("qemu_get_cpu", &get_cpu) && find_function("async_run_on_cpu", &run_on_cpu)) {
        call_back = call;
    }
}

static void work(void *cpu, uint64_t vcpu_index)
{
    (void)cpu;
    call_back((unsigned int)vcpu_index);
}

static void try(void *cpu, uint64_t data)
{
    struct trial *trial = (void *)(uintptr_t)data;

    works = trial->value != 0 && (vcpu_register(trial->vcpu, trial->handle) == trial->value ||
                                  (vcpu_read_directly(trial->vcpu, cpu) &&
                                   vcpu_register(trial->vcpu, trial->handle) == trial->value));
    if (!works) {
        vcpu_read_directly(trial->vcpu, NULL);
    }
    g_free(trial);
}

void after_block_try(unsigned int vcpu_index, struct qemu_plugin_register *handle)
{
    struct vcpu *vcpu = vcpus[vcpu_index];
    struct trial trial = {vcpu, handle, vcpu_register(vcpu, handle)};

    if (call_back) {
        run_on_cpu(get_cpu((int)vcpu_index), try, (uintptr_t)g_memdup2(&trial, sizeof(trial)));
    }
}

bool after_block_works(void)
{
    return works;
}

void after_block_call(unsigned int vcpu_index)
{
    run_on_cpu(get_cpu((int)vcpu_index), work, vcpu_index);
}
