/*
 * Which accesses are recorded.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "filter.h"

#include "check.h"

static bool wants_port(uint64_t port, uint64_t t_ns)
{
    struct site_key key = {.region = "", .address = port, .space = SPACE_PIO, .size = 4};

    return filter_wants(&key, t_ns);
}

static bool wants_memory(const char *region, uint64_t address)
{
    struct site_key key = {.region = region, .address = address, .space = SPACE_MMIO, .size = 4};

    return filter_wants(&key, 0);
}

static void without_filters_everything_is_wanted(void)
{
    CHECK(!filter_is_set());
    CHECK(wants_port(0, 0));
    CHECK(wants_memory("", UINT64_MAX));
    CHECK(filter_wants_time(0));
}

static void an_access_belongs_to_its_first_byte(void)
{
    CHECK(filter_add_address("pio:0x70-0x71"));
    CHECK(filter_is_set());
    CHECK(!wants_port(0x6f, 0)); /* its 4 bytes reach 0x72 */
    CHECK(wants_port(0x70, 0));
    CHECK(wants_port(0x71, 0));
    CHECK(!wants_port(0x72, 0));
    CHECK(!wants_memory("", 0x70));
}

static void addresses_add_up(void)
{
    CHECK(filter_add_address("mmio:0xfed00000-0xfed003ff"));
    CHECK(filter_add_address("pio:1016-1016"));
    CHECK(filter_add_address("mmio:0xffffffffffffffff-0xffffffffffffffff"));
    CHECK(wants_port(0x3f8, 0));
    CHECK(!wants_port(0x3f9, 0));
    CHECK(wants_memory("hpet", 0xfed003ff));
    CHECK(wants_memory("", UINT64_MAX));
    CHECK(!wants_memory("hpet", 0xfed00400));
}

static void a_device_is_known_by_its_name_where_there_is_one(void)
{
    char name[] = "hpet"; /* not the same pointer */

    CHECK(filter_add_device("hpet"));
    CHECK(filter_add_device("ioapic"));
    CHECK(filter_set_places("mmio:0xfed00000-0xfed003ff"));
    CHECK(wants_memory(name, 0x1000)); /* wherever it has been moved to */
    CHECK(wants_memory("ioapic", 0));
    CHECK(!wants_memory("hpet2", 0xfed00000));
    CHECK(!wants_memory("vga", 0xfed00000)); /* that moved there since */
}

static void and_by_its_place_where_there_is_none(void)
{
    CHECK(filter_add_device("rtc"));
    CHECK(!wants_port(0x71, 0));
    CHECK(filter_set_places("pio:0x71-0x71,pio:0x608-0x60b,mmio:0xb0000000-0xbfffffff"));
    CHECK(wants_port(0x71, 0));
    CHECK(wants_port(0x60b, 0));
    CHECK(wants_memory("", 0xb0000000));
    CHECK(!wants_memory("", 0x71));
    CHECK(filter_set_places("pio:0x72-0x72")); /* it has moved */
    CHECK(!wants_port(0x71, 0));
    CHECK(wants_port(0x72, 0));
    CHECK(filter_set_places(""));
    CHECK(!wants_port(0x72, 0));
}

static bool wants_store(const char *region, uint64_t address, uint64_t t_ns)
{
    struct site_key key = {
        .region = region, .address = address, .space = SPACE_MMIO, .direction = DIRECTION_WRITE, .size = 4};

    return filter_wants(&key, t_ns);
}

static void stores_without_a_name_follow_the_loads(void)
{
    CHECK(filter_add_device("pcie-mmcfg-mmio"));
    CHECK(filter_add_address("pio:0x80-0x80"));
    CHECK(!wants_store("", 0xb0008010, 0));
    CHECK(wants_memory("pcie-mmcfg-mmio", 0xb0008000)); /* the guest has placed it; no snapshot was taken yet */
    CHECK(wants_store("", 0xb0008010, 0));
    CHECK(!wants_memory("", 0xb0008010)); /* a load that has no name does not */
    CHECK(!wants_store("", 0xb0009010, 0)); /* of another page */
    CHECK(!wants_store("", 0xb0008010 + (4096 << 12), 0));
    CHECK(filter_set_places("mmio:0xb0000000-0xbfffffff"));
    CHECK(wants_store("", 0xb0009010, 0));
    CHECK(!wants_memory("vga", 0xb0009000)); /* the window has gone, and the map is old */
    CHECK(!wants_store("", 0xb0009010, 0));
}

static void what_loads_tell_is_learned_before_its_time(void)
{
    CHECK(filter_add_device("pcie-mmcfg-mmio"));
    filter_set_from(1000);
    CHECK(!wants_memory("pcie-mmcfg-mmio", 0xb0008000)); /* at 0 */
    CHECK(!wants_store("", 0xb0008010, 999));
    CHECK(wants_store("", 0xb0008010, 1000));
}

static void an_address_or_a_device_is_enough(void)
{
    CHECK(filter_add_address("pio:0x80-0x80"));
    CHECK(filter_add_device("rtc"));
    CHECK(filter_set_places("pio:0x71-0x71"));
    CHECK(wants_port(0x80, 0));
    CHECK(wants_port(0x71, 0));
    CHECK(!wants_port(0x70, 0));
}

static void nothing_is_wanted_before_its_time(void)
{
    filter_set_from(1000);
    CHECK(filter_is_set());
    CHECK(!filter_wants_time(999));
    CHECK(filter_wants_time(1000));
    CHECK(!wants_port(0x80, 999));
    CHECK(wants_port(0x80, 1000));
    CHECK(filter_add_address("pio:0x70-0x70"));
    CHECK(!wants_port(0x80, 1000)); /* both must hold */
    CHECK(!wants_port(0x70, 999));
    CHECK(wants_port(0x70, 1000));
}

static void malformed_ranges_are_refused(void)
{
    static const char *const malformed[] = {
        "", "pio:", "0x70-0x71", "io:0x70-0x71", "pio:0x70", "pio:0x70-", "pio:-0x71", "pio:0x71-0x70",
        "pio:0x70-0x71x", "pio: 1-2", "pio:0x10000000000000000-0x10000000000000000",
    };

    for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
        if (filter_add_address(malformed[i])) {
            check_failed(__FILE__, __LINE__, malformed[i], "is accepted");
        }
    }
    CHECK(!filter_add_address("pio:1-2,pio:3-4"));
    CHECK(!filter_add_device(""));
    CHECK(!filter_is_set());
    CHECK(filter_set_places("pio:1-2"));
    CHECK(!filter_set_places("pio:1-2,pio:3"));
    CHECK(!filter_set_places("pio:1-2;pio:3-4"));
    CHECK(filter_add_device("rtc"));
    CHECK(!wants_port(1, 0)); /* what is not understood leaves no place */
}

static void there_is_room_for_so_many(void)
{
    static char places[FILTER_PLACES_TEXT_MAX + 64];
    size_t length = 0;

    for (unsigned i = 0; i < FILTER_ADDRESSES_MAX; i++) {
        CHECK(filter_add_address("pio:1-1"));
    }
    CHECK(!filter_add_address("pio:1-1"));
    for (unsigned i = 0; i < FILTER_DEVICES_MAX; i++) {
        CHECK(filter_add_device("rtc"));
    }
    CHECK(!filter_add_device("rtc"));
    for (unsigned i = 0; i < FILTER_PLACES_MAX; i++) {
        length += (size_t)sprintf(places + length, "%smmio:0xffffffffffff%04x-0xffffffffffff%04x", i ? "," : "", i, i);
    }
    CHECK(length < FILTER_PLACES_TEXT_MAX);
    CHECK(filter_set_places(places));
    CHECK(wants_memory("", 0xffffffffffff00ff));
    strcpy(places + length, ",pio:1-1");
    CHECK(!filter_set_places(places));
}

int main(void)
{
    RUN(without_filters_everything_is_wanted);
    RUN(an_access_belongs_to_its_first_byte);
    RUN(addresses_add_up);
    RUN(a_device_is_known_by_its_name_where_there_is_one);
    RUN(and_by_its_place_where_there_is_none);
    RUN(stores_without_a_name_follow_the_loads);
    RUN(what_loads_tell_is_learned_before_its_time);
    RUN(an_address_or_a_device_is_enough);
    RUN(nothing_is_wanted_before_its_time);
    RUN(malformed_ranges_are_refused);
    RUN(there_is_room_for_so_many);
    return 0;
}
