/*
 * The C tests' frame. A test is a function; RUN() executes it in a process of its own, because the recorder lives once
 * a process. A failed CHECK ends that process; so does a test that hangs. Silence is success.
 *
 * SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
 */
#ifndef VMDEV_CHECK_H
#define VMDEV_CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_TIMEOUT_S 60

#define CHECK(condition)                                                                                              \
    do {                                                                                                              \
        if (!(condition)) {                                                                                           \
            check_failed(__FILE__, __LINE__, #condition, "is false");                                                 \
        }                                                                                                             \
    } while (0)

/* Both as 64-bit integers. */
#define CHECK_EQ(have, want)                                                                                          \
    do {                                                                                                              \
        unsigned long long check_have = (unsigned long long)(have), check_want = (unsigned long long)(want);          \
        if (check_have != check_want) {                                                                               \
            check_failed(__FILE__, __LINE__, #have, "is %llu (%#llx), not %llu (%#llx)", check_have, check_have,      \
                         check_want, check_want);                                                                     \
        }                                                                                                             \
    } while (0)

#define CHECK_STR(have, want) check_text(__FILE__, __LINE__, #have, have, want, false)
#define CHECK_CONTAINS(have, want) check_text(__FILE__, __LINE__, #have, have, want, true)

#define RUN(test) check_run(#test, test)

__attribute__((format(printf, 4, 5))) static inline _Noreturn void check_failed(const char *file, int line,
                                                                                const char *what, const char *why, ...)
{
    va_list arguments;

    printf("%s:%d: %s ", file, line, what); /* stderr may be captured */
    va_start(arguments, why);
    vprintf(why, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(NULL);
    _exit(1);
}

static inline void check_text(const char *file, int line, const char *what, const char *have, const char *want,
                              bool anywhere)
{
    if (!have || (anywhere ? !strstr(have, want) : strcmp(have, want) != 0)) {
        check_failed(file, line, what, "is \"%s\"; wanted%s \"%s\"", have ? have : "(null)", anywhere ? " in it" : "",
                     want);
    }
}

static inline void check_run(const char *name, void (*test)(void))
{
    int status;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        alarm(TEST_TIMEOUT_S);
        test();
        exit(0); /* not _exit: the leak check comes at exit */
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror(name);
        exit(1);
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "%s: ended by signal %d (%s)\n", name, WTERMSIG(status), strsignal(WTERMSIG(status)));
        exit(1);
    }
    if (WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s: failed\n", name);
        exit(1);
    }
}

static inline void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static inline double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What is written to stderr between these two calls is returned by the second. */
static int check_stderr = -1;

static inline void begin_capture(void)
{
    FILE *file = tmpfile();

    CHECK(file);
    check_stderr = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    fclose(file);
}

static inline const char *end_capture(void)
{
    static char text[4096];
    ssize_t n;

    n = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    dup2(check_stderr, STDERR_FILENO);
    close(check_stderr);
    return text;
}

#endif
