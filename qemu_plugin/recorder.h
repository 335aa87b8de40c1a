/*
 * The recorder: takes accesses and events from any vCPU thread, gives them one order, and has a thread of its own
 * write them to the trace. Knows nothing of QEMU.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_RECORDER_H
#define VMDEV_RECORDER_H

#include "options.h"
#include "sites.h"

/*
 * Opens the trace and starts the writer. Returns false after a message on stderr. If there is a limit of time, `now_ns`
 * tells the guest's, in the writer's thread.
 */
bool recorder_start(const struct options *options, uint64_t (*now_ns)(void));

/* Record one access. `value` is masked to key->size. */
void recorder_access(const struct site_key *key, uint64_t t_ns, uint64_t value);

/*
 * Do before an access what recorder_access() may have to wait for, if that will be called with a lock held which those
 * need that it waits for.
 */
void recorder_prepare(const struct site_key *key, uint64_t t_ns);

/*
 * Record an event, at the time of the access before it: where events happen the guest's clock cannot always be read
 * (under icount QEMU ends with "Bad icount read"). `kind` is a literal.
 */
void recorder_event(int vcpu, const char *kind, const char *detail);

/* The same where the time is known. */
void recorder_event_at(int vcpu, uint64_t t_ns, const char *kind, const char *detail);

/* Record that a vCPU has taken an interrupt: its next instruction was to be at `from_pc`, and is at `to_pc`. */
void recorder_interrupt(unsigned int vcpu, uint64_t t_ns, uint64_t from_pc, uint64_t to_pc);

/* Stop recording because of an error, and say so to `vmdev record` and on stderr. The guest goes on. */
void recorder_fail(const char *message);

/* False once a limit is reached or recording has failed: nothing more needs to be looked at. */
bool recorder_active(void);

/* Set a row of `meta` that is written at the end; until then the strings must live. */
void recorder_set_fact(const char *key, uint64_t value);
void recorder_set_fact_text(const char *key, const char *value);

/* Write what is left and the counters, and close the trace. Accesses that other threads still make are forgotten. */
void recorder_finish(void);

#endif
