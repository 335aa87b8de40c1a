/*
 * The bounded queue between the vCPU threads and the writer thread. See exit_queue.h.
 *
 * The writer is woken when the queue is half full, when it is closed, and otherwise by its own timeout: a wake-up per
 * exit would cost more than the exit.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "exit_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool exit_queue_init(struct exit_queue *queue, size_t capacity)
{
    pthread_condattr_t attr;

    memset(queue, 0, sizeof(*queue));
    queue->ring = calloc(capacity, sizeof(*queue->ring));
    if (!queue->ring) {
        return false;
    }
    queue->capacity = capacity;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->not_full, &attr);
    pthread_cond_init(&queue->not_empty, &attr);
    pthread_condattr_destroy(&attr);
    return true;
}

static void forget(struct exit_queue *queue, struct item item)
{
    if (item.kind == ITEM_EXIT) {
        queue->discarded++;
    }
    item_release(&item);
}

static bool must_wait(const struct exit_queue *queue, size_t items)
{
    return queue->capacity - queue->count < items && !queue->discarding;
}

void exit_queue_reserve(struct exit_queue *queue, size_t items)
{
    if (must_wait(queue, items)) {
        queue->waits++;
        while (must_wait(queue, items)) {
            pthread_cond_wait(&queue->not_full, &queue->lock);
        }
    }
}

void exit_queue_push(struct exit_queue *queue, struct item item)
{
    size_t last;

    if (queue->discarding) {
        forget(queue, item);
        return;
    }
    assert(queue->count < queue->capacity);
    last = queue->first + queue->count;
    if (last >= queue->capacity) {
        last -= queue->capacity;
    }
    queue->ring[last] = item;
    queue->count++;
    if (queue->count == queue->capacity / 2) {
        pthread_cond_signal(&queue->not_empty);
    }
}

size_t exit_queue_take(struct exit_queue *queue, struct item *out, size_t max, unsigned timeout_ms, bool *closed)
{
    struct timespec until;
    size_t taken;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&queue->lock);
    while (queue->count < queue->capacity / 2 && !queue->closed) {
        if (pthread_cond_timedwait(&queue->not_empty, &queue->lock, &until) != 0) {
            break;
        }
    }
    taken = queue->count < max ? queue->count : max;
    for (size_t i = 0; i < taken; i++) {
        out[i] = queue->ring[queue->first];
        queue->first = queue->first + 1 == queue->capacity ? 0 : queue->first + 1;
    }
    queue->count -= taken;
    *closed = queue->closed && queue->count == 0;
    if (taken > 0) {
        pthread_cond_broadcast(&queue->not_full);
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

void exit_queue_close(struct exit_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}

void exit_queue_discard(struct exit_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->discarding = true;
    while (queue->count > 0) {
        forget(queue, queue->ring[queue->first]);
        queue->first = queue->first + 1 == queue->capacity ? 0 : queue->first + 1;
        queue->count--;
    }
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
}
