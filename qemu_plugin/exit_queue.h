/*
 * The bounded queue between the vCPU threads and the writer thread. When it is full the vCPU waits: nothing is ever
 * dropped. Locking is the caller's: one mutex orders sites, exits and events of all vCPUs.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_EXIT_QUEUE_H
#define VMDEV_EXIT_QUEUE_H

#include "exit_record.h"

#include <pthread.h>
#include <stddef.h>

struct exit_queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full;
    pthread_cond_t not_empty;
    struct item *ring;
    size_t capacity; /* items */
    size_t first;    /* index of the oldest item */
    size_t count;    /* items waiting */
    bool closed;     /* no more items will come */
    bool discarding; /* the reader has given up: what is pushed is counted in `discarded` and forgotten */
    uint64_t waits;  /* how often a vCPU found the queue full */
    uint64_t discarded;
};

/* Returns false if there is no memory for `capacity` items. */
bool exit_queue_init(struct exit_queue *queue, size_t capacity);

/*
 * Wait until `items` more fit; with the lock held. Waiting releases the lock: decide what to push afterwards. What is
 * then pushed before the lock is released stays together.
 */
void exit_queue_reserve(struct exit_queue *queue, size_t items);

/* Append an item; with the lock held, and its place reserved. */
void exit_queue_push(struct exit_queue *queue, struct item item);

/*
 * Move up to `max` of the oldest items to `out`, waiting at most `timeout_ms` for the first one. Takes the lock.
 * Returns their number; 0 with *closed set means that all has been taken.
 */
size_t exit_queue_take(struct exit_queue *queue, struct item *out, size_t max, unsigned timeout_ms, bool *closed);

/* Nothing follows. Takes the lock. */
void exit_queue_close(struct exit_queue *queue);

/* The reader gives up: let no vCPU wait for it. Takes the lock. */
void exit_queue_discard(struct exit_queue *queue);

#endif
