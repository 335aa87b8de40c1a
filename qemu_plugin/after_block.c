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
    uint64_t values[REGISTERS];
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

/* After a reset many registers are 0, but DX says which model it is. */
static bool agrees(const struct trial *trial)
{
    bool agree = trial->values[REGISTER_DX] != 0;

    for (unsigned name = 0; name < REGISTERS; name++) {
        agree = agree && vcpu_register(trial->vcpu, name) == trial->values[name];
    }
    return agree;
}

static void try(void *cpu, uint64_t data)
{
    struct trial *trial = (void *)(uintptr_t)data;

    works = agrees(trial) || (vcpu_read_directly(trial->vcpu, cpu) && agrees(trial));
    if (!works) {
        vcpu_read_directly(trial->vcpu, NULL);
    }
    g_free(trial);
}

void after_block_try(unsigned int vcpu_index)
{
    struct trial trial = {.vcpu = vcpus[vcpu_index]};

    for (unsigned name = 0; name < REGISTERS; name++) {
        if (!call_back || !trial.vcpu->handles[name]) {
            return;
        }
        trial.values[name] = vcpu_register(trial.vcpu, name);
    }
    run_on_cpu(get_cpu((int)vcpu_index), try, (uintptr_t)g_memdup2(&trial, sizeof(trial)));
}

bool after_block_works(void)
{
    return works;
}

void after_block_call(unsigned int vcpu_index)
{
    run_on_cpu(get_cpu((int)vcpu_index), work, vcpu_index);
}
