/*
 * Makes QEMU's TCG stand still, as the accelerator "qtest" does: no vCPU runs, and the virtual clock shows what the
 * client of the qtest protocol set it to.
 *
 * For builds of QEMU that have the qtest server but not that accelerator, as Debian's. There, the server takes accesses
 * but neither clock_step nor clock_set, and nothing sets the clock. What is needed of QEMU besides its plugin interface
 * are functions that such builds export for their loadable modules; a build without them has no such modules, and then
 * it has the accelerator.
 *
 * QEMU has to be started with -icount and -accel tcg,thread=single: that fills the places by which the table of the
 * accelerator's functions is recognised (ops.h). TCG fills it after plugins are loaded and before there are CPUs, by a
 * function that is the only one in the table before; that one is wrapped.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "ops.h"

#include "plugin_api.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every class of QEMU's object model begins with is not looked at: at least so many words. */
#define CLASS_WORDS 12

#if VMDEV_PLUGIN_API == 4
PLUGIN_EXPORT int qemu_plugin_version = 2;
#else
PLUGIN_EXPORT int qemu_plugin_version = VMDEV_PLUGIN_API;
#endif

/* Of QEMU. */
static void (*start_dummy_vcpu)(void *cpu);
static void (*kick_thread)(void *cpu);
static void (*fill_table)(void *argument);
static bool *qtest_allowed;
static void **current_cpu; /* of the thread that asks: QEMU's main one, which makes the protocol's accesses */
static struct ops_known known;

static op_t *table;
static size_t table_words;

static int64_t clock_ns;

/* The CPUs that have a thread. Before, they cannot be kicked. */
static pthread_mutex_t started_lock = PTHREAD_MUTEX_INITIALIZER;
static GPtrArray *started;

static int64_t get_clock(void)
{
    return __atomic_load_n(&clock_ns, __ATOMIC_SEQ_CST);
}

static void set_clock(int64_t ns)
{
    __atomic_store_n(&clock_ns, ns, __ATOMIC_SEQ_CST);
}

/*
 * A thread that does nothing but what other threads ask of it. The accesses of the protocol are made as the first CPU's:
 * its local APIC is then there, and a device that interrupts the CPU that accesses it finds one.
 */
static void start_vcpu(void *cpu)
{
    start_dummy_vcpu(cpu);
    if (!*current_cpu) {
        *current_cpu = cpu;
    }
    pthread_mutex_lock(&started_lock);
    g_ptr_array_add(started, cpu);
    pthread_mutex_unlock(&started_lock);
}

static void kick_vcpu(void *cpu)
{
    bool has_thread;

    pthread_mutex_lock(&started_lock);
    has_thread = g_ptr_array_find(started, cpu, NULL);
    pthread_mutex_unlock(&started_lock);
    if (has_thread) {
        kick_thread(cpu);
    }
}

static void complain(const char *what)
{
    fprintf(stderr, "vmdev-qtest: %s\n", what);
}

/* Instead of what fills the table. */
static void fill(void *argument)
{
    const struct ops_own own = {
        .start_vcpu = (op_t)start_vcpu,
        .kick_vcpu = (op_t)kick_vcpu,
        .get_clock = (op_t)get_clock,
        .set_clock = (op_t)set_clock,
    };

    fill_table(argument);
    if (!ops_replace(table, table_words, &known, &own)) {
        complain("this QEMU's accelerator is not as expected, and cannot be made to stand still");
        exit(EXIT_FAILURE);
    }
    *qtest_allowed = true;
}

static bool look_up(void *into, const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);

    memcpy(into, &found, sizeof(found));
    if (!found) {
        fprintf(stderr, "vmdev-qtest: this QEMU has no function %s\n", name);
    }
    return found;
}

/* Put `fill` where TCG has its function that fills the table: all else is still empty. */
static bool wrap_filler(void)
{
    op_t *filler = NULL;

    for (size_t at = CLASS_WORDS; at < table_words; at++) {
        if (table[at]) {
            if (filler) {
                return false;
            }
            filler = &table[at];
        }
    }
    if (!filler) {
        return false;
    }
    memcpy(&fill_table, filler, sizeof(*filler));
    *filler = (op_t)fill;
    return true;
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    op_t *(*find_class)(const char *name);

    (void)id;
    (void)info;
    (void)argc;
    (void)argv;
    if (!look_up(&find_class, "object_class_by_name") || !look_up(&qtest_allowed, "qtest_allowed") ||
        !look_up(&current_cpu, "current_cpu") ||
        !look_up(&start_dummy_vcpu, "dummy_start_vcpu_thread") || !look_up(&kick_thread, "cpus_kick_thread") ||
        !look_up(&known.start_vcpu, "rr_start_vcpu_thread") || !look_up(&known.kick_vcpu, "rr_kick_vcpu_thread") ||
        !look_up(&known.get_clock, "icount_get")) {
        return -1;
    }
    table = find_class("tcg-accel-ops");
    table_words = table ? malloc_usable_size(table) / sizeof(*table) : 0;
    if (!wrap_filler()) {
        complain("this QEMU's accelerator is not as expected: what sets it up was not found");
        return -1;
    }
    started = g_ptr_array_new();
    return 0;
}
