/*
 * The plugin's options: key=value, as QEMU passes them.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_OPTIONS_H
#define VMDEV_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mmio_mode { MMIO_FAST, MMIO_FULL, MMIO_OFF };

struct options {
    const char *trace;     /* path of the SQLite file */
    enum mmio_mode mmio;
    uint64_t exits;        /* stop recording after so many; 0: no limit */
    uint64_t until_ns;     /* stop recording at this time of the guest's clock; 0: no limit */
    uint64_t ring;         /* keep only the last exits, so many; 0: all */
    uint64_t rotate;       /* begin another file after so many exits; 0: never. See part_path.h */
    const char *serial_chardev; /* QEMU's name of what serial-input is fed to; NULL: not given */
    int control_fd;        /* a socket to `vmdev record`; -1: none. Lines to it: see recorder.c. From it: one line
                              "go HAZARDS PLACES" before the guest starts, then the answers to map_watch.c's requests */
};

/* Returns false after a message on stderr that names the option. */
bool options_parse(struct options *options, int argc, char **argv);

#endif
