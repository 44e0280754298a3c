/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "coverage.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "protocol.h"

#define SLOTS (UINT32_C(1) << 17) /* of the set; a power of two, twice as many as places can be told */
#define LONGEST_PROBE 64u

static struct rp_coverage into;

/* The addresses met, whoever's they are; 0 where there is none. Drivers may have threads. */
static _Atomic(uintptr_t) met[SLOTS];

static void tell(uintptr_t address)
{
    Dl_info where;
    uint32_t at;

    if (into.count == NULL)
        return;
    __atomic_fetch_or(into.instrumented, RP_INSTRUMENTED_COVERAGE, __ATOMIC_RELAXED);
    /* While its constructors run, dlopen has not returned yet: the loader knows better where it lies. */
    if (dladdr((const void *)address, &where) == 0 || where.dli_fname == NULL ||
        strcmp(where.dli_fname, into.library) != 0)
        return;
    at = __atomic_load_n(into.count, __ATOMIC_RELAXED);
    do {
        if (at >= into.capacity)
            return;
    } while (!__atomic_compare_exchange_n(into.count, &at, at + 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    into.places[at] = address - (uintptr_t)where.dli_fbase;
}

static inline void reached(uintptr_t address)
{
    uint32_t slot = (uint32_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 47);

    for (uint32_t i = 0; i < LONGEST_PROBE; i++, slot = (slot + 1) & (SLOTS - 1)) {
        uintptr_t held = atomic_load_explicit(&met[slot], memory_order_relaxed);

        if (held == address)
            return;
        if (held == 0) {
            if (atomic_compare_exchange_strong(&met[slot], &held, address)) {
                tell(address);
                return;
            }
            if (held == address)
                return;
        }
    }
}

void rp_coverage_begin(const struct rp_coverage *coverage)
{
    into = *coverage;
}

/* What the compiler calls; named by it, so declared here only. */
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc_guard(uint32_t *guard);
void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop);
void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop);

void __sanitizer_cov_trace_pc(void)
{
    reached((uintptr_t)__builtin_return_address(0));
}

void __sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
    (void)guard;
    reached((uintptr_t)__builtin_return_address(0));
}

void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop)
{
    (void)start;
    (void)stop;
}

void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop)
{
    (void)start;
    (void)stop;
}
