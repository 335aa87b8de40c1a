/*
 * A call when a vCPU has executed the block that it is in, before it executes anything else.
 *
 * The plugin interface has none. QEMU's own way to have something done between two blocks is to queue work for a vCPU,
 * which makes it leave its loop after the block: an interrupt or an exception may have changed its program counter and
 * its stack by then, but no instruction of a handler has run. Distributions export what that needs.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_AFTER_BLOCK_H
#define VMDEV_AFTER_BLOCK_H

#include "plugin_api.h"

/*
 * Before the first vCPU exists: `call` is what is to be called, in the vCPU's thread, under QEMU's lock. It may read
 * registers.
 */
void after_block_start(void (*call)(unsigned int vcpu_index));

/* Once vcpus[vcpu_index] has been made, which is told of in a callback: try whether it works. */
void after_block_try(unsigned int vcpu_index);

/* Whether it works; known before the first translation. */
bool after_block_works(void);

/* Call after the block that the vCPU executes. In its thread. */
void after_block_call(unsigned int vcpu_index);

#endif
