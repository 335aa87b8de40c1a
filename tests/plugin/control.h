/*
 * `vmdev record`, as the recorder's tests play it: its end of the control socket.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_CONTROL_H
#define VMDEV_CONTROL_H

#include "check.h"

#include <sys/socket.h>

static int control = -1;

/* Returns the recorder's end. */
static inline int open_control(void)
{
    int ends[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    control = ends[0];
    return ends[1];
}

/* All that the recorder has said so far. */
static inline const char *told(void)
{
    static char text[2048];
    ssize_t n = recv(control, text, sizeof(text) - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = 0;
    return text;
}

#endif
