/*
 * A QEMU whose `vmdev record` has died. Nobody would end it: it was told not to shut down by itself.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_ORPHAN_H
#define VMDEV_ORPHAN_H

#include <stdbool.h>

/*
 * From now on, end this process in order (by SIGTERM, on which QEMU shuts down and the trace is written to its end)
 * when the other end of the socket `control_fd` closes. Returns false after a message on stderr.
 */
bool orphan_watch(int control_fd);

#endif
