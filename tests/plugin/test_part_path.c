/*
 * The names of a rotated recording's files.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "part_path.h"

#include "check.h"

static void check_part(const char *trace, uint64_t part, const char *wanted)
{
    char *path = part_path(trace, part);

    CHECK_STR(path, wanted);
    free(path);
}

/* tests/unit/cli/test_parts.py has the same. */
static void the_number_stands_before_the_suffix(void)
{
    check_part("/tmp/trace.db", 1, "/tmp/trace.1.db");
    check_part("/tmp/trace.db", 12, "/tmp/trace.12.db");
    check_part("trace.db", UINT64_MAX, "trace.18446744073709551615.db");
    check_part("/tmp/a.b/trace", 1, "/tmp/a.b/trace.1");
    check_part("/tmp/boot.2026.db", 1, "/tmp/boot.2026.1.db");
    check_part("/tmp/.trace", 1, "/tmp/.trace.1");
    check_part("/tmp/.trace.db", 1, "/tmp/.trace.1.db");
    check_part("/tmp/trace.", 1, "/tmp/trace.1.");
}

int main(void)
{
    RUN(the_number_stands_before_the_suffix);
    return 0;
}
