/*
 * When the guest may have moved a device. See map_watch.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "map_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA 0xcfcu
#define CONFIG_PORTS 8u

#define ECAM_REGION "pcie-mmcfg-mmio"
#define ECAM_ALIGN 0x10000000u /* the largest window; windows are aligned to their size */
#define WINDOWS_MAX 8

static int control_fd = -1;
static bool moved; /* something may have moved since the last snapshot; atomic */
static uint32_t config_address;
static uint64_t windows[WINDOWS_MAX]; /* the ECAM windows' first addresses; complete before n_windows counts it */
static size_t n_windows;
static uint64_t requests;
static uint64_t next_ns; /* of the guest's time: not to be asked before */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void map_watch_start(int fd)
{
    control_fd = fd;
}

void map_watch_reset(void)
{
    __atomic_store_n(&moved, true, __ATOMIC_RELAXED);
}

/* PCI 3.0, 6.1 and PCI-to-PCI bridge 1.2, 3.2: status, sizes and interrupt lines stand between what moves something. */
static bool moves_something(unsigned offset, unsigned size)
{
    for (unsigned at = offset; at < offset + size; at++) {
        bool command = at == 0x04 || at == 0x05;
        bool interrupt = at == 0x3c || at == 0x3d;

        if (command || (at >= 0x10 && at <= 0x33) || (at >= 0x38 && !interrupt)) {
            return true;
        }
    }
    return false;
}

static bool in_window(uint64_t address)
{
    size_t n = __atomic_load_n(&n_windows, __ATOMIC_ACQUIRE);

    for (size_t i = 0; i < n; i++) {
        if (windows[i] == (address & ~(uint64_t)(ECAM_ALIGN - 1))) {
            return true;
        }
    }
    return false;
}

/* Stores into ECAM may come without their region's name (hazards.h); loads never do, and come first. */
static bool is_ecam(const struct site_key *key)
{
    if (strcmp(key->region, ECAM_REGION) != 0) {
        return !*key->region && key->direction == DIRECTION_WRITE && in_window(key->address);
    }
    if (!in_window(key->address)) {
        pthread_mutex_lock(&lock);
        if (n_windows < WINDOWS_MAX && !in_window(key->address)) {
            windows[n_windows] = key->address & ~(uint64_t)(ECAM_ALIGN - 1);
            __atomic_store_n(&n_windows, n_windows + 1, __ATOMIC_RELEASE);
        }
        pthread_mutex_unlock(&lock);
    }
    return true;
}

/* Whether this is an access to configuration space; *offset is the register's, or 0. */
static bool is_config(const struct site_key *key, uint64_t value, unsigned *offset)
{
    *offset = 0;
    if (key->space == SPACE_MMIO) {
        *offset = key->address & 0xfff;
        return is_ecam(key);
    }
    if (key->address < CONFIG_ADDRESS || key->address >= CONFIG_ADDRESS + CONFIG_PORTS) {
        return false;
    }
    if (key->address >= CONFIG_DATA) {
        uint32_t address = __atomic_load_n(&config_address, __ATOMIC_RELAXED);

        *offset = (address & 0xfc) + (unsigned)(key->address - CONFIG_DATA);
    } else if (key->address == CONFIG_ADDRESS && key->size == 4 && key->direction == DIRECTION_WRITE) {
        __atomic_store_n(&config_address, (uint32_t)value, __ATOMIC_RELAXED);
    }
    return true;
}

bool map_watch_access(const struct site_key *key, uint64_t t_ns, uint64_t value)
{
    unsigned offset;
    bool due;

    if (control_fd < 0) {
        return false;
    }
    if (is_config(key, value, &offset)) {
        if (key->direction == DIRECTION_WRITE && moves_something(offset, key->size)) {
            map_watch_reset();
        }
        return false;
    }
    if (!__atomic_load_n(&moved, __ATOMIC_RELAXED)) {
        return false;
    }
    pthread_mutex_lock(&lock);
    due = moved && (requests < MAP_REQUESTS_FREE || t_ns >= next_ns);
    if (due) {
        __atomic_store_n(&moved, false, __ATOMIC_RELAXED);
        requests++;
        next_ns = t_ns + MAP_REQUEST_GAP_NS;
    }
    pthread_mutex_unlock(&lock);
    return due;
}

static int64_t host_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One line, without its newline. Returns false if none comes until `until_ms`, or none ever will. */
static bool read_line(char *line, size_t size, int64_t until_ms)
{
    size_t length = 0;

    while (length < size) {
        struct pollfd control = {.fd = control_fd, .events = POLLIN};
        int64_t left_ms = until_ms - host_ms();
        ssize_t n;

        if (left_ms <= 0) {
            return false;
        }
        if (poll(&control, 1, (int)left_ms) <= 0) {
            continue;
        }
        n = recv(control_fd, line + length, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
            control_fd = -1; /* vmdev record has gone */
            return false;
        }
        if (n == 1 && line[length] == '\n') {
            line[length] = 0;
            return true;
        }
        length += n == 1;
    }
    return false;
}

bool map_watch_ask(uint64_t seq, uint64_t sites, char *places, size_t size)
{
    static uint64_t asked;
    int64_t until_ms = host_ms() + MAP_TIMEOUT_MS;
    bool answered = false, taken = false;
    char line[64];

    pthread_mutex_lock(&lock);
    snprintf(line, sizeof(line), "map %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", ++asked, seq, sites);
    if (control_fd >= 0 && send(control_fd, line, strlen(line), MSG_NOSIGNAL) > 0) {
        while (!answered && read_line(places, size, until_ms)) {
            uint64_t number = 0;
            int rest = 0;

            taken = sscanf(places, "done %" SCNu64 " %n", &number, &rest) == 1;
            /* It may be a late answer to an earlier request. */
            answered = (taken || sscanf(places, "none %" SCNu64, &number) == 1) && number == asked;
            memmove(places, places + rest, strlen(places + rest) + 1);
        }
    }
    pthread_mutex_unlock(&lock);
    return answered && taken;
}

uint64_t map_watch_requests(void)
{
    return requests;
}
