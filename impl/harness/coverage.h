/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which places of an instrumented driver were reached: it was built with -fsanitize-coverage=trace-pc or
 * trace-pc-guard, and calls the worker at each. A place is where such a call returns to, as an offset from where
 * the library was loaded; each is told once, in the order of first being reached.
 */
#ifndef RINGPROOF_COVERAGE_H
#define RINGPROOF_COVERAGE_H

#include <stdint.h>

struct rp_coverage {
    const char *library;      /* the path it is loaded by; places in other libraries are not told */
    uint64_t   *places;       /* room for `capacity` offsets */
    uint32_t    capacity;
    uint32_t   *count;        /* how many there are; those for which there is no room are left out */
    uint32_t   *instrumented; /* RP_INSTRUMENTED_COVERAGE is set at the first call */
};

/* From here on places are told. What `coverage` points to is copied. */
void rp_coverage_begin(const struct rp_coverage *coverage);

#endif
