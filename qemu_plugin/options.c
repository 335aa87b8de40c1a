/*
 * The plugin's options. See options.h.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "options.h"

#include "filter.h"
#include "markers.h"
#include "serial_input.h"

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
        } else if (IS("address")) {
            if (!filter_add_address(value)) {
                return complain(argv[i], "must be pio:FIRST-LAST or mmio:FIRST-LAST, at most 256 of them");
            }
        } else if (IS("device")) {
            if (!filter_add_device(value)) {
                return complain(argv[i], "must be the name of a region, at most 64 of them");
            }
        } else if (IS("from")) {
            if (!parse_number(value, &number)) {
                return complain(argv[i], "must be a number of nanoseconds");
            }
            filter_set_from(number);
        } else if (IS("ring")) {
            if (!parse_number(value, &options->ring)) {
                return complain(argv[i], "must be a number");
            }
        } else if (IS("rotate")) {
            if (!parse_number(value, &options->rotate)) {
                return complain(argv[i], "must be a number");
            }
        } else if (IS("mark")) {
            if (!markers_add(value)) {
                return complain(argv[i], "must be a number of nanoseconds, ':' and a text");
            }
        } else if (IS("mark-port")) {
            if (!markers_set_port(value)) {
                return complain(argv[i], "must be pio:PORT or mmio:ADDRESS");
            }
        } else if (IS("serial-input")) {
            const char *wrong = serial_input_add(value);

            if (wrong) {
                return complain(argv[i], wrong);
            }
        } else if (IS("serial-chardev")) {
            options->serial_chardev = value;
        } else if (IS("control")) {
            if (!parse_number(value, &number) || number > 0xffff) {
                return complain(argv[i], "must be a file descriptor");
            }
            options->control_fd = (int)number;
        } else {
            return complain(argv[i], "unknown (known: trace, mmio, exits, until, control, address, device, from, "
                                     "ring, rotate, mark, mark-port, serial-input, serial-chardev)");
        }
#undef IS
    }
    if (!options->trace || !*options->trace) {
        return complain("trace", "missing; trace=FILE says where to record to");
    }
    if (options->ring && options->rotate) {
        return complain("ring", "not with rotate");
    }
    return true;
}
