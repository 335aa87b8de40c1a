/*
 * The queue between the vCPU threads and the writer.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "exit_queue.h"

#include "check.h"

#define SOON_S 5.0 /* far below every timeout that is not expected to run out */

/* A recorder never does this: vCPUs may go on using the lock. */
static void destroy(struct exit_queue *queue)
{
    pthread_cond_destroy(&queue->not_full);
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->lock);
    free(queue->ring);
    queue->ring = NULL;
}

static struct item exit_item(uint64_t value)
{
    return (struct item){.kind = ITEM_EXIT, .value = value};
}

static void put(struct exit_queue *queue, struct item item)
{
    pthread_mutex_lock(&queue->lock);
    exit_queue_reserve(queue, 1);
    exit_queue_push(queue, item);
    pthread_mutex_unlock(&queue->lock);
}

static void put_values(struct exit_queue *queue, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(queue, exit_item(first + i));
    }
}

static size_t count_of(struct exit_queue *queue)
{
    size_t count;

    pthread_mutex_lock(&queue->lock);
    count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

static uint64_t waits_of(struct exit_queue *queue)
{
    uint64_t waits;

    pthread_mutex_lock(&queue->lock);
    waits = queue->waits;
    pthread_mutex_unlock(&queue->lock);
    return waits;
}

static void await_waits(struct exit_queue *queue, uint64_t waits)
{
    while (waits_of(queue) < waits) {
        sleep_ms(1);
    }
}

static void items_come_out_in_the_order_they_went_in(void)
{
    struct exit_queue queue;
    struct item out[8];
    uint64_t in = 0, expected = 0;
    bool closed;

    CHECK(exit_queue_init(&queue, 8));
    /* 5 at a time into 8 places: the ring wraps at every index. */
    for (unsigned round = 0; round < 16; round++) {
        size_t n;

        put_values(&queue, in, 5);
        in += 5;
        n = exit_queue_take(&queue, out, 8, 0, &closed);
        CHECK_EQ(n, 5);
        CHECK(!closed);
        for (size_t i = 0; i < n; i++) {
            CHECK_EQ(out[i].value, expected++);
        }
    }
    CHECK_EQ(queue.waits, 0);
    destroy(&queue);
}

static void take_returns_at_most_max(void)
{
    struct exit_queue queue;
    struct item out[8];
    bool closed;

    CHECK(exit_queue_init(&queue, 8));
    put_values(&queue, 0, 8);
    CHECK_EQ(exit_queue_take(&queue, out, 3, 0, &closed), 3);
    CHECK_EQ(out[2].value, 2);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 0, &closed), 5);
    CHECK_EQ(out[0].value, 3);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 0, &closed), 0);
    destroy(&queue);
}

static void take_waits_its_timeout_for_less_than_half(void)
{
    struct exit_queue queue;
    struct item out[8];
    bool closed;
    double began;

    CHECK(exit_queue_init(&queue, 8));
    put_values(&queue, 0, 3);
    began = seconds_now();
    CHECK_EQ(exit_queue_take(&queue, out, 8, 50, &closed), 3);
    CHECK(seconds_now() - began >= 0.05);
    destroy(&queue);
}

static void take_does_not_wait_when_half_is_there(void)
{
    struct exit_queue queue;
    struct item out[8];
    bool closed;
    double began = seconds_now();

    CHECK(exit_queue_init(&queue, 8));
    put_values(&queue, 0, 4);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 30000, &closed), 4);
    CHECK(seconds_now() - began < SOON_S);
    destroy(&queue);
}

struct taker {
    struct exit_queue *queue;
    struct item out[64];
    size_t taken;
    bool closed;
    double seconds;
    bool done;
};

static void *take_once(void *argument)
{
    struct taker *taker = argument;
    double began = seconds_now();

    taker->taken = exit_queue_take(taker->queue, taker->out, 64, 30000, &taker->closed);
    taker->seconds = seconds_now() - began;
    __atomic_store_n(&taker->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void writer_is_woken_at_half(void)
{
    struct exit_queue queue;
    struct taker taker = {.queue = &queue};
    pthread_t thread;

    CHECK(exit_queue_init(&queue, 64));
    pthread_create(&thread, NULL, take_once, &taker);
    sleep_ms(20);
    put_values(&queue, 0, 31);
    sleep_ms(50);
    CHECK(!__atomic_load_n(&taker.done, __ATOMIC_ACQUIRE));
    put_values(&queue, 31, 1);
    pthread_join(thread, NULL);
    CHECK_EQ(taker.taken, 32);
    CHECK(taker.seconds < SOON_S);
    destroy(&queue);
}

static void close_wakes_the_writer(void)
{
    struct exit_queue queue;
    struct taker taker = {.queue = &queue};
    pthread_t thread;

    CHECK(exit_queue_init(&queue, 64));
    pthread_create(&thread, NULL, take_once, &taker);
    sleep_ms(20);
    exit_queue_close(&queue);
    pthread_join(thread, NULL);
    CHECK_EQ(taker.taken, 0);
    CHECK(taker.closed);
    CHECK(taker.seconds < SOON_S);
    destroy(&queue);
}

static void close_drains(void)
{
    struct exit_queue queue;
    struct item out[8];
    bool closed;
    double began = seconds_now();

    CHECK(exit_queue_init(&queue, 64));
    put_values(&queue, 0, 10);
    exit_queue_close(&queue);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 30000, &closed), 8);
    CHECK(!closed);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 30000, &closed), 2);
    CHECK(closed);
    CHECK_EQ(out[1].value, 9);
    CHECK(seconds_now() - began < SOON_S);
    destroy(&queue);
}

struct producer {
    struct exit_queue *queue;
    uint32_t number;
    size_t count;
    size_t group; /* items reserved and pushed at once */
};

static void *produce(void *argument)
{
    const struct producer *producer = argument;

    for (size_t i = 0; i < producer->count; i += producer->group) {
        pthread_mutex_lock(&producer->queue->lock);
        exit_queue_reserve(producer->queue, producer->group);
        for (size_t j = 0; j < producer->group; j++) {
            struct item item = exit_item(i + j);

            item.site_id = producer->number;
            exit_queue_push(producer->queue, item);
        }
        pthread_mutex_unlock(&producer->queue->lock);
    }
    return NULL;
}

static void producer_waits_when_full(void)
{
    struct exit_queue queue;
    struct producer producer = {.queue = &queue, .count = 12, .group = 1};
    struct item out[16];
    pthread_t thread;
    bool closed;

    CHECK(exit_queue_init(&queue, 8));
    pthread_create(&thread, NULL, produce, &producer);
    await_waits(&queue, 1);
    CHECK_EQ(count_of(&queue), 8);
    sleep_ms(20);
    CHECK_EQ(count_of(&queue), 8);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 0, &closed), 8);
    pthread_join(thread, NULL);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 0, &closed), 4);
    CHECK_EQ(out[3].value, 11);
    CHECK_EQ(queue.waits, 1);
    CHECK_EQ(queue.discarded, 0);
    destroy(&queue);
}

static void one_take_frees_all_that_wait(void)
{
    struct exit_queue queue;
    struct producer producers[3];
    struct item out[8];
    pthread_t threads[3];
    bool closed;

    CHECK(exit_queue_init(&queue, 8));
    put_values(&queue, 0, 8);
    for (uint32_t i = 0; i < 3; i++) {
        producers[i] = (struct producer){.queue = &queue, .number = i, .count = 1, .group = 1};
        pthread_create(&threads[i], NULL, produce, &producers[i]);
    }
    await_waits(&queue, 3);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 0, &closed), 8);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_EQ(count_of(&queue), 3);
    destroy(&queue);
}

static void reserve_waits_for_room_for_all_that_is_asked_for(void)
{
    struct exit_queue queue;
    struct producer producer = {.queue = &queue, .count = 2, .group = 2};
    struct item out[8];
    pthread_t thread;
    bool closed;

    CHECK(exit_queue_init(&queue, 8));
    put_values(&queue, 0, 7);
    pthread_create(&thread, NULL, produce, &producer);
    await_waits(&queue, 1);
    CHECK_EQ(count_of(&queue), 7);
    CHECK_EQ(exit_queue_take(&queue, out, 1, 0, &closed), 1);
    pthread_join(thread, NULL);
    CHECK_EQ(count_of(&queue), 8);
    destroy(&queue);
}

static struct item event_item(void)
{
    return (struct item){.kind = ITEM_EVENT, .event = calloc(1, sizeof(struct event))};
}

static void discard_counts_exits_and_frees_events(void)
{
    struct exit_queue queue;
    struct item out[8];
    struct site site = {0};
    bool closed;

    CHECK(exit_queue_init(&queue, 8));
    put_values(&queue, 0, 3);
    put(&queue, event_item());
    put(&queue, (struct item){.kind = ITEM_SITE, .site = &site});
    exit_queue_discard(&queue);
    CHECK_EQ(queue.discarded, 3);
    CHECK_EQ(queue.count, 0);
    /* More than the queue could hold, and nobody takes anything. */
    put_values(&queue, 0, 20);
    put(&queue, event_item());
    CHECK_EQ(queue.discarded, 23);
    CHECK_EQ(queue.waits, 0);
    CHECK_EQ(exit_queue_take(&queue, out, 8, 0, &closed), 0);
    destroy(&queue);
}

static void discard_frees_waiting_producers(void)
{
    struct exit_queue queue;
    struct producer producers[3];
    pthread_t threads[3];

    CHECK(exit_queue_init(&queue, 8));
    for (uint32_t i = 0; i < 3; i++) {
        producers[i] = (struct producer){.queue = &queue, .number = i, .count = 100, .group = 1};
        pthread_create(&threads[i], NULL, produce, &producers[i]);
    }
    await_waits(&queue, 3);
    exit_queue_discard(&queue);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK_EQ(queue.discarded, 300);
    destroy(&queue);
}

#define PRODUCERS 4
#define ITEMS_EACH 30000

static void several_producers_lose_nothing(void)
{
    struct exit_queue queue;
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    uint64_t next[PRODUCERS] = {0};
    struct item out[10];
    size_t taken = 0;

    CHECK(exit_queue_init(&queue, 64));
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.queue = &queue, .number = i, .count = ITEMS_EACH, .group = 2};
        pthread_create(&threads[i], NULL, produce, &producers[i]);
    }
    while (taken < PRODUCERS * ITEMS_EACH) {
        bool closed;
        /* Even, so that no pair is cut in two. */
        size_t n = exit_queue_take(&queue, out, 10, 5, &closed);

        CHECK(n <= 10);
        for (size_t i = 0; i < n; i++) {
            CHECK(out[i].site_id < PRODUCERS);
            CHECK_EQ(out[i].value, next[out[i].site_id]++);
            if (i % 2 == 1) { /* what was reserved together stays together */
                CHECK_EQ(out[i].site_id, out[i - 1].site_id);
            }
        }
        taken += n;
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(next[i], ITEMS_EACH);
    }
    CHECK_EQ(queue.count, 0);
    CHECK(queue.waits > 0);
    destroy(&queue);
}

int main(void)
{
    RUN(items_come_out_in_the_order_they_went_in);
    RUN(take_returns_at_most_max);
    RUN(take_waits_its_timeout_for_less_than_half);
    RUN(take_does_not_wait_when_half_is_there);
    RUN(writer_is_woken_at_half);
    RUN(close_wakes_the_writer);
    RUN(close_drains);
    RUN(producer_waits_when_full);
    RUN(one_take_frees_all_that_wait);
    RUN(reserve_waits_for_room_for_all_that_is_asked_for);
    RUN(discard_counts_exits_and_frees_events);
    RUN(discard_frees_waiting_producers);
    RUN(several_producers_lose_nothing);
    return 0;
}
