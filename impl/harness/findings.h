/* SPDX-License-Identifier: Apache-2.0 */
/* The log of what was checked and what was found, kept in shared memory so that it outlives a crash. */
#ifndef RINGPROOF_FINDINGS_H
#define RINGPROOF_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

struct rp_log {
    struct rp_found *found; /* RP_FIND_COUNT of them */
    uint64_t operation;     /* the one under way, counted from create */
    bool     failed;        /* something that is more than a warning was found */
    uint64_t silent[2];     /* a bit per code that is not judged now: its checks do not count */
};

static inline bool rp_only_warns(enum rp_finding code)
{
    static const enum rp_finding warnings[] = RP_FIND_WARNINGS;
    bool found = false;

    for (unsigned i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++)
        found = found || warnings[i] == code;
    return found;
}

/* Counts one evaluation of a check; when it did not hold, keeps the numbers of the first time. */
static inline void rp_check(struct rp_log *log, enum rp_finding code, bool holds, uint64_t a, uint64_t b)
{
    struct rp_found *found = &log->found[code];

    if ((log->silent[code / 64] >> code % 64 & 1u) != 0)
        return;
    if (found->checked != UINT32_MAX)
        found->checked++;
    if (holds)
        return;
    if (found->count == 0) {
        found->first_op = log->operation > UINT32_MAX ? UINT32_MAX : (uint32_t)log->operation;
        found->a = a;
        found->b = b;
    }
    if (found->count != UINT32_MAX)
        found->count++;
    if (!rp_only_warns(code))
        log->failed = true;
}

#endif
