/*
 * Bytes for the guest's serial port, at times of the guest's clock.
 *
 * A byte is handed to the character device's frontend, the UART, from within a device access of the guest: the first
 * one at or after its time at which the UART has room. The vCPU stands still meanwhile, so under icount the guest sees
 * it at the same instruction in every run. QEMU's own way, its main loop polling a socket, cannot promise that: a byte
 * for which the UART has no room would be taken whenever the main loop looks again.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_SERIAL_INPUT_H
#define VMDEV_SERIAL_INPUT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Between two bytes: a line of 9600 baud, the slowest still in common use, brings one each 1.04 ms. No guest is
 * surprised by that, and at 2^5 ns an instruction it has 31,000 of them to take a byte.
 */
#define SERIAL_INPUT_GAP_NS 1000000u

/* Add "T_NS:FILE", by time: the file's bytes, from T_NS on. Returns what is wrong with it, or NULL. */
const char *serial_input_add(const char *text);

/*
 * `chardev`: QEMU's name of the character device; NULL: that of the first serial port. Returns false after a message
 * on stderr if there are bytes to be fed and this QEMU does not export what that takes.
 */
bool serial_input_start(const char *chardev);

/* Read by any vCPU: nothing is to be fed before. */
extern uint64_t serial_input_due_ns;

static inline bool serial_input_due(uint64_t t_ns)
{
    return t_ns >= __atomic_load_n(&serial_input_due_ns, __ATOMIC_RELAXED);
}

/*
 * Feed the byte that is due, if the UART has room for it, and record the event "serial-input". To be called where the
 * guest's clock may be read and the vCPU may raise an interrupt: before an IN or OUT, or in the memory callback of a
 * device access. `t_ns` is that access's time.
 */
void serial_input_feed(unsigned int vcpu_index, uint64_t t_ns);

/* How many bytes have not been fed. */
uint64_t serial_input_left(void);

#endif
