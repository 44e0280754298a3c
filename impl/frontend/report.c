/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct fe_counts fe_counts;
volatile int fe_in_driver, fe_stopping;

static volatile sig_atomic_t alive;

uint64_t fe_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* One write, and no stream: it serves in a signal handler, too. */
static void put_line(int file, const char *line, int length)
{
    if (length > 0 && write(file, line, (size_t)length) != length)
        _exit(1);
}

static void put_result(const char *outcome)
{
    static char line[2048];
    double seconds = (double)(fe_counts.ended - fe_counts.began) / 1e6;

    if (fe_counts.began == 0 || fe_counts.ended < fe_counts.began)
        seconds = 0;
    put_line(STDOUT_FILENO, line, snprintf(line, sizeof(line),
        "{\"outcome\": \"%s\", \"stalled\": %s, \"driver\": \"%s\", \"offered\": \"0x%" PRIx64 "\", "
        "\"accepted\": \"0x%" PRIx64 "\", \"sent\": %" PRIu64 ", \"completed\": %" PRIu64 ", \"timed\": %" PRIu64
        ", \"seconds\": %.6f, \"received\": %" PRIu64 ", \"replies\": %" PRIu64 ", \"damaged\": %" PRIu64
        ", \"kicks\": %" PRIu64 ", \"interrupts\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"stray\": %" PRIu64
        ", \"restarts\": %" PRIu64 ", \"second\": \"%s\"}\n",
        outcome, strcmp(outcome, "stalled") == 0 ? "true" : "false", fe_counts.driver ? fe_counts.driver : "",
        fe_counts.offered, fe_counts.accepted, fe_counts.sent, fe_counts.completed, fe_counts.timed, seconds,
        fe_counts.received, fe_counts.replies, fe_counts.damaged, fe_counts.kicks, fe_counts.interrupts,
        fe_counts.refused, fe_counts.stray, fe_counts.restarts, fe_counts.second ? fe_counts.second : ""));
}

static void put_words(const char *format, va_list words)
{
    static char line[1024];
    int begun = snprintf(line, sizeof(line), "frontend: ");
    int length = begun + vsnprintf(line + begun, sizeof(line) - (size_t)begun - 1, format, words);

    if (length > (int)sizeof(line) - 2)
        length = (int)sizeof(line) - 2;
    for (int i = 0; i < length; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[length] = '\n';
    put_line(STDERR_FILENO, line, length + 1);
}

void fe_bad_use(const char *format, ...)
{
    va_list words;

    va_start(words, format);
    put_words(format, words);
    va_end(words);
    _exit(2);
}

void fe_end(const char *outcome, const char *format, ...)
{
    va_list words;

    if (strcmp(outcome, "done") == 0) {
        put_result(outcome);
        _exit(0);
    }
    va_start(words, format);
    put_words(format, words);
    va_end(words);
    put_result(outcome);
    _exit(1);
}

static void crashed(int number)
{
    fe_end("crashed", "%s crashed: signal %d", fe_in_driver ? "the driver" : "the front-end", number);
}

static void stop(int number)
{
    (void)number;
    fe_stopping = 1;
}

static void looked(int number)
{
    static sig_atomic_t seen = -1;

    (void)number;
    if (seen == alive)
        fe_end("hung", "%s does not come back", fe_in_driver ? "the driver" : "the front-end");
    seen = alive;
}

void fe_alive(void)
{
    alive = (alive + 1) & 0xffff;
}

void fe_watch(uint32_t patience_ms)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    static char stack[1 << 16]; /* a driver may have used up the other one */
    stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_NODEFER};
    struct itimerval timer = {.it_interval = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000}};

    sigaltstack(&other, NULL);
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        sigaction(crashes[i], &action, NULL);
    action.sa_handler = looked;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(SIGPROF, &action, NULL);
    action.sa_handler = stop;
    sigaction(SIGTERM, &action, NULL);
    timer.it_value = timer.it_interval;
    setitimer(ITIMER_PROF, &timer, NULL);
    signal(SIGPIPE, SIG_IGN);
}
