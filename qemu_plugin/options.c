/*
 * The plugin's options. See options.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool complain(const char *argument, const char *wanted)
{
    fprintf(stderr, "vmdev: plugin option '%s': %s\n", argument, wanted);
    return false;
}

static bool parse_number(const char *text, uint64_t *value)
{
    char *end;

    if (*text < '0' || *text > '9') { /* strtoull would accept space and a sign */
        return false;
    }
    errno = 0;
    *value = strtoull(text, &end, 0);
    return !*end && !errno;
}

static bool parse_mmio(const char *text, enum mmio_mode *mode)
{
    static const char *const names[] = {[MMIO_FAST] = "fast", [MMIO_FULL] = "full", [MMIO_OFF] = "off"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *mode = (enum mmio_mode)i;
            return true;
        }
    }
    return false;
}

bool options_parse(struct options *options, int argc, char **argv)
{
    memset(options, 0, sizeof(*options));
    options->control_fd = -1;
    for (int i = 0; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        const char *value = equals ? equals + 1 : "";
        size_t length = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        uint64_t number;

#define IS(name) (length == strlen(name) && strncmp(argv[i], name, length) == 0)
        if (IS("trace")) {
            options->trace = value;
        } else if (IS("mmio")) {
            if (!parse_mmio(value, &options->mmio)) {
                return complain(argv[i], "must be fast, full or off");
            }
        } else if (IS("exits")) {
            if (!parse_number(value, &options->exits)) {
                return complain(argv[i], "must be a number");
            }
        } else if (IS("until")) {
            if (!parse_number(value, &options->until_ns)) {
                return complain(argv[i], "must be a number of nanoseconds");
            }
        } else if (IS("control")) {
            if (!parse_number(value, &number) || number > 0xffff) {
                return complain(argv[i], "must be a file descriptor");
            }
            options->control_fd = (int)number;
        } else {
            return complain(argv[i], "unknown (known: trace, mmio, exits, until, control)");
        }
#undef IS
    }
    if (!options->trace || !*options->trace) {
        return complain("trace", "missing; trace=FILE says where to record to");
    }
    return true;
}
