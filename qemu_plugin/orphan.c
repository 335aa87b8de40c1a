/*
 * A QEMU whose `vmdev record` has died. See orphan.h.
 *
 * The socket tells it, not PR_SET_PDEATHSIG: QEMU's parent may be a wrapper script.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#include "orphan.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *watch(void *control_fd)
{
    /* Not for input: that is for others to read. */
    struct pollfd control = {.fd = (int)(intptr_t)control_fd, .events = POLLRDHUP};

    while (poll(&control, 1, -1) < 0 && errno == EINTR) {
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

bool orphan_watch(int control_fd)
{
    sigset_t all, before;
    pthread_t thread;
    int status;

    sigfillset(&all); /* signals are QEMU's business, in QEMU's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = pthread_create(&thread, NULL, watch, (void *)(intptr_t)control_fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        fprintf(stderr, "vmdev: cannot watch for the end of vmdev record: %s\n", strerror(status));
        return false;
    }
    pthread_detach(thread);
    return true;
}
