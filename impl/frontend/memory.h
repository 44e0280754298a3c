/* SPDX-License-Identifier: Apache-2.0 */
/* The one file of memory that is shared with the back-end, and who has which part of it. Its guest-physical
 * addresses differ from the pointers by a constant. */
#ifndef RINGPROOF_FRONTEND_MEMORY_H
#define RINGPROOF_FRONTEND_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fe_memory {
    uint8_t *base;
    size_t   bytes;
    uint64_t guest; /* guest-physical address of base */
    int      file;
};

extern struct fe_memory fe_memory;

/* Makes it, `bytes` long. Ends the program if there is no such memory. */
void fe_memory_open(size_t bytes);
/* `bytes` aligned to `alignment` (a power of two up to 4096), with the guest-physical address; null if there is no
 * room. What is in it is arbitrary; with `soiled`, surely not zeros. */
void *fe_memory_take(size_t bytes, size_t alignment, bool soiled, uint64_t *address);
/* Gives back what was taken; false if `memory` was not. */
bool fe_memory_give(void *memory);
/* Of a pointer into it. */
static inline uint64_t fe_memory_address(const void *memory)
{
    return fe_memory.guest + (uint64_t)((const uint8_t *)memory - fe_memory.base);
}
/* The pointer, null if the address is not of this memory. */
void *fe_memory_at(uint64_t address);

#endif
