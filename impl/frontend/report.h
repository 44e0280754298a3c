/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of the front-end comes to: one JSON object on standard output, and an exit status. */
#ifndef RINGPROOF_FRONTEND_REPORT_H
#define RINGPROOF_FRONTEND_REPORT_H

#include <stdbool.h>
#include <stdint.h>

/* Counted since the first start; what ran before the clock was started (--start-index) is counted, too. */
struct fe_counts {
    uint64_t    offered, accepted; /* features; accepted ones of the last start */
    uint64_t    sent, completed;   /* frames given to the driver, and come back from it */
    uint64_t    timed;             /* of those completed: while the clock ran */
    uint64_t    received, replies, damaged; /* frames received: all; answers to ours; with a sum that is wrong */
    uint64_t    kicks, interrupts; /* kicks written; interrupts read */
    uint64_t    refused;           /* adds that found no room */
    uint64_t    stray;             /* tokens that came back though they were not out: the driver is at fault */
    uint64_t    restarts;
    uint64_t    began, ended;      /* microseconds: the clock's start; the last completion */
    const char *driver;
    const char *second;            /* what became of a second connection, or null */
};

extern struct fe_counts fe_counts;

/* Whether the driver is being called: a signal, or the watchdog's time, is its fault then. */
extern volatile int fe_in_driver;

/* SIGTERM has come: nothing more is sent, and what is out is waited for. */
extern volatile int fe_stopping;

/* Microseconds, CLOCK_MONOTONIC. */
uint64_t fe_now(void);
/* Exit status 2 and one line on standard error: the command line, the library or the socket is of no use. */
_Noreturn void fe_bad_use(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The JSON object; exit status 0 if `outcome` is "done", else 1 with one line on standard error. */
_Noreturn void fe_end(const char *outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* From here on a crash is reported like any other end, and so is a driver that does not return for
 * `patience_ms` of processor time, unless fe_alive() is called meanwhile. */
void fe_watch(uint32_t patience_ms);
void fe_alive(void);

#endif
