/*
 * The recorder's memory does not grow with the recording: what it keeps is one copy of each instruction and site.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "recorder.h"

#include "check.h"
#include "database.h"

#include <malloc.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc has no header for it */
#define allocated_bytes() __sanitizer_get_current_allocated_bytes()
#else
static size_t allocated_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}
#endif

#define SITES 64
#define WARM_UP 300000 /* until SQLite's page cache is full */
#define EXITS 1000000
#define GROWTH_MAX (1u << 18)

static void access_devices(unsigned count)
{
    static uint64_t t_ns;

    for (unsigned i = 0; i < count; i++) {
        struct insn insn = {.row = {.pc = 0x1000 + i % SITES, .size = 1, .text = ""}};
        struct site_key key = {.insn = insn_intern(&insn), .region = "uart", .address = 0x3f8, .size = 4};

        t_ns += 1000;
        recorder_access(&key, t_ns, i);
        if (i % 100 == 0) {
            recorder_event(0, "reset", "");
        }
    }
}

static void a_million_accesses_need_no_memory(void)
{
    struct options options = {.trace = TRACE, .control_fd = -1};
    size_t before, after;

    remove_trace();
    CHECK(recorder_start(&options, NULL));
    access_devices(WARM_UP);
    sleep_ms(500); /* the writer is done: its events are freed, its caches filled */
    before = allocated_bytes();
    access_devices(EXITS);
    sleep_ms(500);
    after = allocated_bytes();
    recorder_finish();
    CHECK_STR(ask("SELECT count(*) FROM exit"), "1300000");
    if (after > before + GROWTH_MAX) {
        check_failed(__FILE__, __LINE__, "memory", "grew by %zu bytes", after - before);
    }
}

int main(void)
{
    RUN(a_million_accesses_need_no_memory);
    return 0;
}
