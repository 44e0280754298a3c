/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "memory.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GRAIN 16u
#define CLASSES 40u /* blocks of 2^k bytes */

struct fe_memory fe_memory;

/* Kept apart from the shared memory, so that nobody else can spoil it. */
static size_t   unused;          /* from here on nothing was ever taken */
static uint8_t *class_at;        /* by offset / GRAIN: the class of a block that is taken, else 0 */
static struct stack {
    uint32_t *blocks; /* offset / GRAIN of free blocks */
    size_t    count, room;
} free_blocks[CLASSES];

void fe_memory_open(size_t bytes)
{
    bytes = (bytes + 4095) & ~(size_t)4095;
    fe_memory.file = memfd_create("ringproof-frontend", MFD_CLOEXEC);
    if (fe_memory.file < 0 || ftruncate(fe_memory.file, (off_t)bytes) != 0)
        fe_bad_use("cannot make %zu bytes of memory", bytes);
    fe_memory.base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fe_memory.file, 0);
    class_at = mmap(NULL, bytes / GRAIN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fe_memory.base == MAP_FAILED || class_at == MAP_FAILED)
        fe_bad_use("cannot map %zu bytes of memory", bytes);
    fe_memory.bytes = bytes;
    fe_memory.guest = UINT64_C(0x40000000);
    unused = 0;
}

static unsigned int class_of(size_t bytes)
{
    unsigned int class = 4;

    while (class < CLASSES && ((size_t)1 << class) < bytes)
        class++;
    return class;
}

void *fe_memory_take(size_t bytes, size_t alignment, bool soiled, uint64_t *address)
{
    unsigned int class = class_of(bytes > alignment ? bytes : alignment);
    struct stack *stack = &free_blocks[class < CLASSES ? class : 0];
    size_t block, at;

    if (class >= CLASSES || bytes == 0 || alignment > 4096)
        return NULL;
    block = (size_t)1 << class;
    if (stack->count > 0) {
        at = (size_t)stack->blocks[--stack->count] * GRAIN;
    } else {
        size_t border = block < 4096 ? block : 4096;

        at = (unused + border - 1) & ~(border - 1);
        if (at > fe_memory.bytes || fe_memory.bytes - at < block)
            return NULL;
        unused = at + block;
    }
    class_at[at / GRAIN] = (uint8_t)class;
    if (soiled)
        memset(fe_memory.base + at, 0xa5, bytes);
    *address = fe_memory.guest + at;
    return fe_memory.base + at;
}

bool fe_memory_give(void *memory)
{
    size_t at = (size_t)((uint8_t *)memory - fe_memory.base);
    unsigned int class;
    struct stack *stack;

    if ((uint8_t *)memory < fe_memory.base || at >= fe_memory.bytes || at % GRAIN != 0 || class_at[at / GRAIN] == 0)
        return false;
    class = class_at[at / GRAIN];
    class_at[at / GRAIN] = 0;
    stack = &free_blocks[class];
    if (stack->count == stack->room) {
        uint32_t *more = realloc(stack->blocks, (stack->room * 2 + 64) * sizeof(*more));

        if (more == NULL)
            return true; /* the block is lost, no more */
        stack->blocks = more;
        stack->room = stack->room * 2 + 64;
    }
    stack->blocks[stack->count++] = (uint32_t)(at / GRAIN);
    return true;
}

void *fe_memory_at(uint64_t address)
{
    if (address < fe_memory.guest || address - fe_memory.guest >= fe_memory.bytes)
        return NULL;
    return fe_memory.base + (address - fe_memory.guest);
}
