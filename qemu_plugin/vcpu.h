/*
 * What is kept of each vCPU, and what all the callbacks share.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_VCPU_H
#define VMDEV_VCPU_H

#include "options.h"
#include "plugin_api.h"
#include "sites.h"

#define VCPUS_MAX 1024

/* An IN whose value is still to be fetched, or an IN or OUT that may have been refused. */
struct pending {
    struct insn *insn; /* NULL: none */
    uint64_t t_ns;
    uint64_t value; /* OUT */
    uint64_t stack, cs, eflags; /* if it may be refused */
    uint16_t port;
    bool may_be_refused; /* the I/O permission bitmap decides */
    bool ends_block;     /* and the end of the block is to be told, see after_block.h */
};

/* An interrupt taken right after an IN or OUT that is pending: it comes after it in the trace. */
struct held_interrupt {
    bool held;
    uint64_t t_ns, from_pc, to_pc;
};

/* An instruction that has loaded from, or stored to, RAM. */
struct ram_seen {
    const struct insn *insn;
    uint64_t page;    /* of virtual addresses */
    uint64_t changes; /* vcpu_changes() at that time */
};

#define RAM_SEEN_MAX 64u

/* Registers of x86. */
enum vcpu_register { REGISTER_AX, REGISTER_DX, REGISTER_SP, REGISTER_CS, REGISTER_FLAGS, REGISTER_CR0, REGISTERS };

/* What one vCPU is in the middle of. Only its own thread touches it. */
struct vcpu {
    struct qemu_plugin_register *handles[REGISTERS]; /* NULL: not shown by this QEMU */
    int numbers[REGISTERS];                          /* in QEMU's own list */
    GByteArray *buffer;
    void *cpu; /* QEMU's own; NULL: the plugin interface reads its registers */
    struct pending pending;
    struct held_interrupt interrupt;
    uint16_t string_port;  /* DX at the entry of the INS or OUTS that runs */
    bool ins_stored;       /* INS: the dummy store of this element has been seen */
    struct ram_seen loads[RAM_SEEN_MAX], stores[RAM_SEEN_MAX];
    uint64_t remaps; /* instructions that may have changed what is mapped where */
};

/* What is recorded of which target. Set before the first callback. */
struct target {
    struct options options;
    bool is_x86;
    bool is_aarch64;    /* its vCPUs may run A32 and T32 code, too */
    bool is_big_endian; /* its own byte order */
    bool has_one_vcpu;
};

extern struct target target;
extern struct vcpu *vcpus[VCPUS_MAX];
extern uint64_t vcpu_accesses; /* how many accesses vCPUs have made */

/* A region that the plugin interface does not name; `vmdev record` does. One object: names are compared as pointers. */
extern const char NO_NAME[];

/* Make vcpus[vcpu_index], once, in the vCPU's own thread. */
void vcpu_init(unsigned int vcpu_index);

/* Only in callbacks that asked for registers, and as after_block.h says. */
uint64_t vcpu_register(struct vcpu *vcpu, enum vcpu_register name);

/*
 * Since QEMU 10.1 the plugin interface shows registers only in callbacks: have `cpu`, which is QEMU's own, read by
 * QEMU's internal function instead; NULL: not any more. Returns false if there is no such function.
 */
bool vcpu_read_directly(struct vcpu *vcpu, void *cpu);

/* Look for the guest's clock, before anybody asks for the time. Returns its name. */
const char *clock_init(void);

/* The guest's clock, or the host's since clock_init(). */
uint64_t clock_now_ns(void);

/* A number that is another one once what is mapped where may have changed for this vCPU. */
static inline uint64_t vcpu_changes(const struct vcpu *vcpu)
{
    return __atomic_load_n(&vcpu_accesses, __ATOMIC_RELAXED) + vcpu->remaps;
}

/* Record an access of a vCPU, which may have changed what is mapped where. */
void vcpu_access(const struct site_key *key, uint64_t t_ns, uint64_t value);

#endif
