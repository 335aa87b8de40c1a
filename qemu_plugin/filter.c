/*
 * Which accesses are recorded. See filter.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "filter.h"

#include "numbers.h"

#include <string.h>

struct range {
    uint8_t space; /* enum space */
    uint64_t first, last;
};

static struct range addresses[FILTER_ADDRESSES_MAX];
static size_t n_addresses;
static const char *devices[FILTER_DEVICES_MAX];
static size_t n_devices;
static struct range places[FILTER_PLACES_MAX];
static size_t n_places;
static uint64_t from_ns;
static bool is_set;

/* Pages of memory whose last access that had a name was wanted, or was not; indexed by the low bits of its number. */
#define PAGE_SHIFT 12
#define PAGES 4096
static struct {
    uint64_t number; /* plus one; 0: none */
    bool is_wanted;
} pages[PAGES];

/* Moves *text behind the range. */
static bool parse_range(const char **text, struct range *range)
{
    if (strncmp(*text, "pio:", 4) == 0) {
        range->space = SPACE_PIO;
        *text += 4;
    } else if (strncmp(*text, "mmio:", 5) == 0) {
        range->space = SPACE_MMIO;
        *text += 5;
    } else {
        return false;
    }
    if (!parse_u64(text, &range->first) || *(*text)++ != '-' || !parse_u64(text, &range->last)) {
        return false;
    }
    return range->first <= range->last;
}

bool filter_add_address(const char *text)
{
    if (n_addresses == FILTER_ADDRESSES_MAX || !parse_range(&text, &addresses[n_addresses]) || *text) {
        return false;
    }
    n_addresses++;
    is_set = true;
    return true;
}

bool filter_add_device(const char *name)
{
    if (n_devices == FILTER_DEVICES_MAX || !*name) {
        return false;
    }
    devices[n_devices++] = name;
    is_set = true;
    return true;
}

bool filter_set_places(const char *text)
{
    n_places = 0;
    while (*text) {
        if (n_places == FILTER_PLACES_MAX || !parse_range(&text, &places[n_places]) || (*text && *text != ',')) {
            n_places = 0;
            return false;
        }
        n_places++;
        text += *text == ',';
    }
    return true;
}

void filter_set_from(uint64_t t_ns)
{
    from_ns = t_ns;
    is_set = true;
}

bool filter_is_set(void)
{
    return is_set;
}

bool filter_wants_time(uint64_t t_ns)
{
    return t_ns >= from_ns;
}

static bool is_in(const struct site_key *key, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (key->space == ranges[i].space && key->address >= ranges[i].first && key->address <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

static bool has_name_of_device(const char *region)
{
    for (size_t i = 0; i < n_devices; i++) {
        if (strcmp(region, devices[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_of_device(const struct site_key *key)
{
    uint64_t number = (key->address >> PAGE_SHIFT) + 1;
    size_t page = number % PAGES;

    if (*key->region) {
        pages[page].number = number;
        pages[page].is_wanted = has_name_of_device(key->region);
        return pages[page].is_wanted;
    }
    if (key->space == SPACE_MMIO && key->direction == DIRECTION_WRITE && pages[page].number == number) {
        return pages[page].is_wanted;
    }
    return is_in(key, places, n_places);
}

bool filter_wants(const struct site_key *key, uint64_t t_ns)
{
    bool of_device;

    if (!is_set) {
        return true;
    }
    if (!n_addresses && !n_devices) {
        return filter_wants_time(t_ns);
    }
    of_device = n_devices && is_of_device(key); /* it learns */
    return filter_wants_time(t_ns) && (of_device || is_in(key, addresses, n_addresses));
}
