/*
 * The recorder. See recorder.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "recorder.h"

#include "exit_queue.h"
#include "trace_writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef QUEUE_ITEMS /* the tests' one is small */
#define QUEUE_ITEMS (1u << 18)
#endif
#define BATCH_ITEMS 8192
#define WRITER_TIMEOUT_MS 100
#define FACTS_MAX 16

struct fact {
    const char *key;
    const char *text; /* NULL: the number counts */
    uint64_t number;
};

static struct {
    struct options options;
    struct exit_queue queue;
    struct trace_writer *writer;
    pthread_t thread;
    /* Under queue.lock: */
    uint64_t accesses;
    uint64_t last_t_ns; /* of the last access */
    uint64_t counts[2][2]; /* by space and direction */
    struct fact facts[FACTS_MAX];
    size_t n_facts;
    /* Read without the lock; only ever set: */
    bool stopped;
    bool failed;
} recorder;

/* Tell `vmdev record`. Lines: "limit exits", "limit duration", "error MESSAGE". */
static void tell(const char *what, const char *detail)
{
    char line[512];
    int length;
    ssize_t written;

    if (recorder.options.control_fd < 0) {
        return;
    }
    length = snprintf(line, sizeof(line), "%s %s\n", what, detail);
    if (length >= (int)sizeof(line)) {
        length = sizeof(line) - 1;
        line[length - 1] = '\n';
    }
    written = send(recorder.options.control_fd, line, (size_t)length, MSG_NOSIGNAL);
    (void)written; /* nobody listens any more: nothing to tell */
}

static void stop_on_error(const char *message)
{
    if (!__atomic_exchange_n(&recorder.failed, true, __ATOMIC_RELAXED)) {
        __atomic_store_n(&recorder.stopped, true, __ATOMIC_RELAXED);
        fprintf(stderr, "vmdev: recording stopped: %s\n", message);
        tell("error", message);
    }
}

static void *write_all(void *unused)
{
    static struct item batch[BATCH_ITEMS];
    bool closed = false;

    (void)unused;
    while (!closed) {
        size_t n = exit_queue_take(&recorder.queue, batch, BATCH_ITEMS, WRITER_TIMEOUT_MS, &closed);
        bool done = n > 0 ? trace_writer_append(recorder.writer, batch, n) : trace_writer_tick(recorder.writer);

        for (size_t i = 0; i < n; i++) {
            if (batch[i].kind == ITEM_EVENT) {
                free(batch[i].event);
            }
        }
        if (!done) {
            stop_on_error(trace_writer_error(recorder.writer));
            exit_queue_discard(&recorder.queue);
            break;
        }
    }
    return NULL;
}

bool recorder_start(const struct options *options)
{
    sigset_t all, before;
    char *error;
    int status;

    recorder.options = *options;
    recorder.writer = trace_writer_open(options->trace, &error);
    if (!recorder.writer) {
        fprintf(stderr, "vmdev: %s: %s\n", options->trace, error);
        free(error);
        return false;
    }
    if (!exit_queue_init(&recorder.queue, QUEUE_ITEMS)) {
        fprintf(stderr, "vmdev: out of memory\n");
        return false;
    }
    sigfillset(&all); /* signals are QEMU's business, in QEMU's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = pthread_create(&recorder.thread, NULL, write_all, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        fprintf(stderr, "vmdev: cannot start the writer: %s\n", strerror(status));
        return false;
    }
    return true;
}

static void reach_limit(const char *which)
{
    __atomic_store_n(&recorder.stopped, true, __ATOMIC_RELAXED);
    tell("limit", which);
}

void recorder_access(const struct site_key *key, uint64_t t_ns, uint64_t value)
{
    const struct options *options = &recorder.options;
    const struct site *site;
    bool is_new;

    pthread_mutex_lock(&recorder.queue.lock);
    exit_queue_reserve(&recorder.queue, 2); /* a new site and its first exit must not be parted */
    if (recorder_active() && options->until_ns && t_ns >= options->until_ns) {
        reach_limit("duration");
    }
    if (recorder_active()) {
        site = site_find(key, &is_new);
        if (is_new) {
            exit_queue_push(&recorder.queue, (struct item){.kind = ITEM_SITE, .site = site});
        }
        if (key->size < 8) {
            value &= (UINT64_C(1) << 8 * key->size) - 1;
        }
        recorder.accesses++;
        recorder.last_t_ns = t_ns;
        recorder.counts[key->space][key->direction]++;
        exit_queue_push(&recorder.queue,
                        (struct item){.kind = ITEM_EXIT, .t_ns = t_ns, .value = value, .site_id = site->id});
        if (recorder.accesses == options->exits) {
            reach_limit("exits");
        }
    }
    pthread_mutex_unlock(&recorder.queue.lock);
}

void recorder_event(int vcpu, const char *kind, const char *detail)
{
    struct event *event;

    if (!recorder_active()) {
        return;
    }
    event = calloc(1, sizeof(*event));
    if (!event) {
        stop_on_error("out of memory");
        return;
    }
    event->vcpu = vcpu;
    event->kind = kind;
    snprintf(event->detail, sizeof(event->detail), "%s", detail);
    pthread_mutex_lock(&recorder.queue.lock);
    exit_queue_reserve(&recorder.queue, 1);
    if (recorder_active()) {
        event->t_ns = recorder.last_t_ns;
        exit_queue_push(&recorder.queue, (struct item){.kind = ITEM_EVENT, .event = event});
    } else {
        free(event);
    }
    pthread_mutex_unlock(&recorder.queue.lock);
}

void recorder_fail(const char *message)
{
    stop_on_error(message);
}

bool recorder_active(void)
{
    return !__atomic_load_n(&recorder.stopped, __ATOMIC_RELAXED);
}

static void set_fact(struct fact fact)
{
    size_t i = 0;

    pthread_mutex_lock(&recorder.queue.lock);
    while (i < recorder.n_facts && strcmp(recorder.facts[i].key, fact.key) != 0) {
        i++;
    }
    if (i < FACTS_MAX) {
        recorder.facts[i] = fact;
        recorder.n_facts = i == recorder.n_facts ? i + 1 : recorder.n_facts;
    }
    pthread_mutex_unlock(&recorder.queue.lock);
}

void recorder_set_fact(const char *key, uint64_t value)
{
    set_fact((struct fact){.key = key, .number = value});
}

void recorder_set_fact_text(const char *key, const char *value)
{
    set_fact((struct fact){.key = key, .text = value});
}

static void write_facts(void)
{
    struct trace_writer *writer = recorder.writer;

    trace_writer_meta(writer, "exits", recorder.accesses);
    trace_writer_meta(writer, "sites", site_count());
    trace_writer_meta(writer, "reads_pio", recorder.counts[SPACE_PIO][DIRECTION_READ]);
    trace_writer_meta(writer, "writes_pio", recorder.counts[SPACE_PIO][DIRECTION_WRITE]);
    trace_writer_meta(writer, "reads_mmio", recorder.counts[SPACE_MMIO][DIRECTION_READ]);
    trace_writer_meta(writer, "writes_mmio", recorder.counts[SPACE_MMIO][DIRECTION_WRITE]);
    trace_writer_meta(writer, "dropped", recorder.queue.discarded);
    trace_writer_meta(writer, "queue_waits", recorder.queue.waits);
    for (size_t i = 0; i < recorder.n_facts; i++) {
        const struct fact *fact = &recorder.facts[i];

        if (fact->text) {
            trace_writer_meta_text(writer, fact->key, fact->text);
        } else {
            trace_writer_meta(writer, fact->key, fact->number);
        }
    }
}

void recorder_finish(void)
{
    char *error;

    /* If QEMU ends by exit(), vCPU threads still run: nothing of theirs may follow, and they go on using the lock, so
       the queue is not destroyed. */
    pthread_mutex_lock(&recorder.queue.lock);
    __atomic_store_n(&recorder.stopped, true, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&recorder.queue.lock);
    exit_queue_close(&recorder.queue);
    pthread_join(recorder.thread, NULL);
    if (!__atomic_load_n(&recorder.failed, __ATOMIC_RELAXED)) {
        write_facts();
    }
    if (!trace_writer_close(recorder.writer, &error)) {
        stop_on_error(error);
        free(error);
    }
    recorder.writer = NULL;
}
