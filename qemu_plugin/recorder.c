/*
 * The recorder. See recorder.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "recorder.h"

#include "exit_queue.h"
#include "filter.h"
#include "map_watch.h"
#include "markers.h"
#include "part_path.h"
#include "serial_input.h"
#include "trace_writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/*
 * A crash loses what is not committed: at most what was recorded in the last 0.5 s. An access waits up to one timeout
 * in the queue; then its transaction grows to the commit interval, which is noticed within another timeout. When vCPUs
 * are faster than the writer the queue is full: 65,536 accesses are a tenth of a second's work of the writer.
 */
#ifndef QUEUE_ITEMS /* the tests' one is small */
#define QUEUE_ITEMS (1u << 16)
#endif
#define BATCH_ITEMS 8192
#define WRITER_TIMEOUT_MS 50
_Static_assert(2 * WRITER_TIMEOUT_MS + COMMIT_INTERVAL_NS / 1000000 <= 400, "0.1 s remain for the commit itself");
#define FACTS_MAX 16

struct fact {
    const char *key;
    const char *text; /* NULL: the number counts */
    uint64_t number;
};

static struct {
    struct options options;
    uint64_t (*now_ns)(void); /* the guest's clock */
    struct exit_queue queue;
    struct trace_writer *writer;
    pthread_t thread;
    /* Under queue.lock: */
    struct counters counters;
    uint64_t part_end;  /* when so many exits are recorded, the next one goes into another file; 0: never */
    uint64_t last_t_ns; /* of the last access */
    bool limit_told;
    struct fact facts[FACTS_MAX];
    size_t n_facts;
    /* Read without the lock; only ever set: */
    bool stopped;
    bool failed;
} recorder;

/*
 * Tell `vmdev record`. Lines: "limit exits", "limit duration", "part NUMBER" (of a file that was begun),
 * "error MESSAGE"; see also map_watch.c.
 */
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

/* With the lock held. */
static struct counters counters_now(void)
{
    struct counters counters = recorder.counters;

    counters.sites = site_count();
    return counters;
}

static void write_counters(const struct counters *counters)
{
    struct trace_writer *writer = recorder.writer;

    trace_writer_meta(writer, "exits", counters->exits);
    trace_writer_meta(writer, "sites", counters->sites);
    trace_writer_meta(writer, "reads_pio", counters->kinds[SPACE_PIO][DIRECTION_READ]);
    trace_writer_meta(writer, "writes_pio", counters->kinds[SPACE_PIO][DIRECTION_WRITE]);
    trace_writer_meta(writer, "reads_mmio", counters->kinds[SPACE_MMIO][DIRECTION_READ]);
    trace_writer_meta(writer, "writes_mmio", counters->kinds[SPACE_MMIO][DIRECTION_WRITE]);
    trace_writer_meta(writer, "interrupts", counters->interrupts);
    if (filter_is_set()) {
        trace_writer_meta(writer, "excluded", counters->excluded);
    }
}

static void write_facts(void)
{
    struct trace_writer *writer = recorder.writer;

    pthread_mutex_lock(&recorder.queue.lock); /* if QEMU ends by exit(), vCPUs go on */
    trace_writer_meta(writer, "dropped", recorder.queue.discarded);
    trace_writer_meta(writer, "queue_waits", recorder.queue.waits);
    trace_writer_meta(writer, "map_requests", map_watch_requests());
    trace_writer_meta(writer, "marks_left", markers_left());
    trace_writer_meta(writer, "serial_input_left", serial_input_left());
    for (size_t i = 0; i < recorder.n_facts; i++) {
        const struct fact *fact = &recorder.facts[i];

        if (fact->text) {
            trace_writer_meta_text(writer, fact->key, fact->text);
        } else {
            trace_writer_meta(writer, fact->key, fact->number);
        }
    }
    pthread_mutex_unlock(&recorder.queue.lock);
}

/* The file is full: go on in the next one. Returns false after saying why. */
static bool begin_part(const struct counters *counters)
{
    static uint64_t part;
    struct trace_writer *next;
    bool done;
    char number[24], message[512], *path = part_path(recorder.options.trace, ++part), *error = NULL;

    next = path ? trace_writer_open_part(path, recorder.writer, part, &error) : NULL;
    if (!next) {
        snprintf(message, sizeof(message), "%s: cannot go on in this file: %s", path ? path : recorder.options.trace,
                 error ? error : "out of memory");
        stop_on_error(message);
        free(error);
        free(path);
        return false;
    }
    free(path);
    snprintf(number, sizeof(number), "%" PRIu64, part);
    tell("part", number);
    write_counters(counters);
    write_facts();
    done = trace_writer_close(recorder.writer, &error);
    recorder.writer = next;
    if (!done) {
        stop_on_error(error);
        free(error);
    }
    return done;
}

static bool write_batch(const struct item *batch, size_t n)
{
    size_t written = 0;

    for (size_t i = 0; recorder.options.rotate && i < n; i++) {
        if (batch[i].kind == ITEM_PART) {
            if (!trace_writer_append(recorder.writer, batch + written, i - written) ||
                !begin_part(batch[i].counters)) {
                return false;
            }
            written = i + 1;
        }
    }
    return trace_writer_append(recorder.writer, batch + written, n - written);
}

/* With the lock held. The first limit is why the recording ends. */
static void tell_limit(const char *which)
{
    if (!recorder.limit_told) {
        recorder.limit_told = true;
        tell("limit", which);
    }
}

/* With the lock held. */
static void reach_limit(const char *which)
{
    __atomic_store_n(&recorder.stopped, true, __ATOMIC_RELAXED);
    tell_limit(which);
}

static bool in_time(uint64_t t_ns)
{
    return recorder.options.until_ns == 0 || t_ns < recorder.options.until_ns;
}

/*
 * A guest need not make an access after the limit of time for its recording to end. Only `vmdev record` is told: an
 * access from before the limit may still be on its way here, and is recorded whatever the host's timing.
 */
static void watch_time(void)
{
    if (recorder.options.until_ns && !in_time(recorder.now_ns())) {
        pthread_mutex_lock(&recorder.queue.lock);
        if (recorder_active()) {
            tell_limit("duration");
        }
        pthread_mutex_unlock(&recorder.queue.lock);
    }
}

/* All of SQLite's work is done here, where signals are blocked: a file beyond `ulimit -f` is an error, not SIGXFSZ. */
static void *write_all(void *unused)
{
    static struct item batch[BATCH_ITEMS];
    bool closed = false;
    char *error;

    (void)unused;
    while (!closed) {
        size_t n = exit_queue_take(&recorder.queue, batch, BATCH_ITEMS, WRITER_TIMEOUT_MS, &closed);
        bool done = n > 0 ? write_batch(batch, n) : trace_writer_tick(recorder.writer);

        for (size_t i = 0; i < n; i++) {
            item_release(&batch[i]);
        }
        if (!done) {
            stop_on_error(trace_writer_error(recorder.writer));
            exit_queue_discard(&recorder.queue);
            break;
        }
        if (!closed) {
            watch_time();
        }
    }
    if (!__atomic_load_n(&recorder.failed, __ATOMIC_RELAXED)) {
        struct counters counters;

        pthread_mutex_lock(&recorder.queue.lock);
        counters = counters_now();
        pthread_mutex_unlock(&recorder.queue.lock);
        write_counters(&counters);
        write_facts();
    }
    if (!trace_writer_close(recorder.writer, &error)) {
        stop_on_error(error);
        free(error);
    }
    return NULL;
}

bool recorder_start(const struct options *options, uint64_t (*now_ns)(void))
{
    sigset_t all, before;
    char *error;
    int status;

    recorder.options = *options;
    recorder.now_ns = now_ns;
    recorder.part_end = options->rotate;
    recorder.writer = trace_writer_open(options->trace, &error);
    if (!recorder.writer) {
        fprintf(stderr, "vmdev: %s: %s\n", options->trace, error);
        free(error);
        return false;
    }
    trace_writer_keep(recorder.writer, options->ring);
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

/* With the lock held, and the place reserved. */
static void push_event(int vcpu, uint64_t t_ns, const char *kind, const char *detail)
{
    size_t size = strlen(detail) + 1;
    struct event *event;

    if (!recorder_active()) {
        return;
    }
    event = malloc(sizeof(*event) + size);
    if (!event) {
        stop_on_error("out of memory");
        return;
    }
    *event = (struct event){.t_ns = t_ns, .vcpu = vcpu, .kind = kind, .detail = memcpy(event + 1, detail, size)};
    recorder.last_t_ns = t_ns;
    exit_queue_push(&recorder.queue, (struct item){.kind = ITEM_EVENT, .event = event});
}

/* The marks that are due before what happens at `t_ns`. With the lock held. */
static void push_marks(uint64_t t_ns)
{
    uint64_t due_ns;
    const char *text;

    while ((text = markers_next(t_ns, &due_ns))) {
        exit_queue_reserve(&recorder.queue, 1);
        push_event(-1, due_ns, "marker", text);
    }
}

/* What the guest has written to the markers' port. With the lock held, and places for size events reserved. */
static void gather_marker(const struct site_key *key, uint64_t t_ns, uint64_t value)
{
    for (unsigned i = 0; i < key->size; i++) {
        const char *text = markers_gather((uint8_t)(value >> 8 * i));

        if (text) {
            push_event((int)key->vcpu, t_ns, "marker", text);
        }
    }
}

/* With the lock held. */
static void push_unfinished_marker(void)
{
    const char *text = markers_rest();

    if (text) {
        exit_queue_reserve(&recorder.queue, 1);
        push_event(-1, recorder.last_t_ns, "marker", text);
    }
}

/* Also where the devices that are asked for are now. The lock `asking` keeps answers in their order. */
static void ask_for_snapshot(void)
{
    static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;
    static char places[FILTER_PLACES_TEXT_MAX];
    struct counters counters;
    bool taken;

    pthread_mutex_lock(&asking);
    pthread_mutex_lock(&recorder.queue.lock);
    counters = counters_now();
    pthread_mutex_unlock(&recorder.queue.lock);
    taken = map_watch_ask(counters.exits, counters.sites, places, sizeof(places));
    if (taken) {
        pthread_mutex_lock(&recorder.queue.lock);
        taken = filter_set_places(places);
        pthread_mutex_unlock(&recorder.queue.lock);
    }
    pthread_mutex_unlock(&asking);
    if (!taken) {
        recorder_event(-1, "snapshot-missing", "no answer");
    }
}

/* The file has the number of exits that was asked for. With the lock held, and the place reserved. */
static void push_part(void)
{
    struct counters *counters = malloc(sizeof(*counters));

    if (!counters) {
        stop_on_error("out of memory");
        return;
    }
    *counters = counters_now();
    exit_queue_push(&recorder.queue, (struct item){.kind = ITEM_PART, .counters = counters});
    recorder.counters = (struct counters){.exits = counters->exits};
    recorder.part_end += recorder.options.rotate;
    sites_begin_file();
}

/* With the lock held, and places for an exit, its site and a part reserved. */
static void push_exit(const struct site_key *key, uint64_t t_ns, uint64_t value)
{
    const struct site *site;
    bool is_new;

    if (recorder.part_end && recorder.counters.exits == recorder.part_end) {
        push_part();
    }
    site = site_find(key, &is_new);
    if (is_new) {
        exit_queue_push(&recorder.queue, (struct item){.kind = ITEM_SITE, .site = site, .site_id = site->id});
    }
    if (key->size < 8) {
        value &= (UINT64_C(1) << 8 * key->size) - 1;
    }
    recorder.counters.exits++;
    recorder.counters.kinds[key->space][key->direction]++;
    exit_queue_push(&recorder.queue,
                    (struct item){.kind = ITEM_EXIT, .t_ns = t_ns, .value = value, .site_id = site->id});
}

void recorder_prepare(const struct site_key *key, uint64_t t_ns)
{
    struct site_key read = *key;

    read.direction = DIRECTION_READ; /* which moves nothing */
    if (map_watch_access(&read, t_ns, 0) && in_time(t_ns) && recorder_active()) {
        ask_for_snapshot();
    }
}

void recorder_access(const struct site_key *key, uint64_t t_ns, uint64_t value)
{
    const struct options *options = &recorder.options;
    bool to_marker = markers_take(key);

    if (map_watch_access(key, t_ns, value) && in_time(t_ns) && recorder_active()) {
        ask_for_snapshot();
    }
    pthread_mutex_lock(&recorder.queue.lock);
    push_marks(in_time(t_ns) ? t_ns : options->until_ns);
    /* A new site and its first exit must not be parted. */
    exit_queue_reserve(&recorder.queue, 3 + (to_marker ? key->size : 0));
    if (recorder_active() && !in_time(t_ns)) {
        reach_limit("duration");
    }
    if (recorder_active()) {
        recorder.last_t_ns = t_ns;
        if (filter_wants(key, t_ns)) {
            push_exit(key, t_ns, value);
        } else {
            recorder.counters.excluded++;
        }
        if (to_marker) {
            gather_marker(key, t_ns, value);
        }
        if (options->exits && recorder.counters.exits == options->exits) {
            reach_limit("exits");
        }
    }
    pthread_mutex_unlock(&recorder.queue.lock);
}

void recorder_event_at(int vcpu, uint64_t t_ns, const char *kind, const char *detail)
{
    pthread_mutex_lock(&recorder.queue.lock);
    if (in_time(t_ns)) {
        push_marks(t_ns);
        exit_queue_reserve(&recorder.queue, 1);
        push_event(vcpu, t_ns, kind, detail);
    }
    pthread_mutex_unlock(&recorder.queue.lock);
}

void recorder_event(int vcpu, const char *kind, const char *detail)
{
    pthread_mutex_lock(&recorder.queue.lock);
    exit_queue_reserve(&recorder.queue, 1);
    push_event(vcpu, recorder.last_t_ns, kind, detail);
    pthread_mutex_unlock(&recorder.queue.lock);
}

void recorder_interrupt(unsigned int vcpu, uint64_t t_ns, uint64_t from_pc, uint64_t to_pc)
{
    struct interrupt *interrupt = malloc(sizeof(*interrupt));

    if (!interrupt) {
        stop_on_error("out of memory");
        return;
    }
    *interrupt = (struct interrupt){.t_ns = t_ns, .vcpu = vcpu, .from_pc = from_pc, .to_pc = to_pc};
    pthread_mutex_lock(&recorder.queue.lock);
    exit_queue_reserve(&recorder.queue, 1);
    if (recorder_active() && in_time(t_ns) && filter_wants_time(t_ns)) {
        exit_queue_push(&recorder.queue, (struct item){.kind = ITEM_INTERRUPT, .interrupt = interrupt});
        recorder.counters.interrupts++;
    } else {
        free(interrupt);
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

void recorder_finish(void)
{
    /* If QEMU ends by exit(), vCPU threads still run: nothing of theirs may follow, and they go on using the lock, so
       the queue is not destroyed. */
    pthread_mutex_lock(&recorder.queue.lock);
    if (recorder.limit_told && recorder.options.until_ns && recorder_active()) { /* by watch_time() */
        push_marks(recorder.options.until_ns);
    }
    push_unfinished_marker();
    __atomic_store_n(&recorder.stopped, true, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&recorder.queue.lock);
    exit_queue_close(&recorder.queue);
    pthread_join(recorder.thread, NULL);
}
