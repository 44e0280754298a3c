/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define CANARY_BYTES 16u /* before and behind; keeps the payload aligned to 16 */
#define CANARY 0xC9
#define LARGE 4096u       /* from here on a block has a page to itself behind it */
#define LARGE_AT_ONCE 4096u /* the kernel allows a process only so many mappings */
#define LIMIT (UINT64_C(1) << 30)

static size_t place_of(const struct rp_privates *privates, const void *payload)
{
    uint64_t mixed = (uint64_t)(uintptr_t)payload * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(mixed >> 20) & (privates->capacity - 1);
}

static struct rp_private_block *find(struct rp_privates *privates, const void *payload)
{
    size_t i;

    if (privates->count == 0)
        return NULL;
    for (i = place_of(privates, payload); privates->table[i].payload != NULL;
         i = (i + 1) & (privates->capacity - 1))
        if (privates->table[i].payload == payload)
            return &privates->table[i];
    return NULL;
}

static void insert(struct rp_privates *privates, struct rp_private_block block)
{
    size_t i = place_of(privates, block.payload);

    while (privates->table[i].payload != NULL)
        i = (i + 1) & (privates->capacity - 1);
    privates->table[i] = block;
    privates->count++;
}

/* Empties a place and puts again what may have been pushed past it. */
static void erase(struct rp_privates *privates, struct rp_private_block *place)
{
    size_t i = (size_t)(place - privates->table);

    place->payload = NULL;
    privates->count--;
    for (;;) {
        struct rp_private_block moved;

        i = (i + 1) & (privates->capacity - 1);
        moved = privates->table[i];
        if (moved.payload == NULL)
            return;
        privates->table[i].payload = NULL;
        privates->count--;
        insert(privates, moved);
    }
}

static bool grow(struct rp_privates *privates)
{
    struct rp_privates larger = *privates;

    if (privates->count * 2 < privates->capacity)
        return true;
    larger.capacity = privates->capacity == 0 ? 64 : privates->capacity * 2;
    larger.count = 0;
    larger.table = calloc(larger.capacity, sizeof(larger.table[0]));
    if (larger.table == NULL)
        return false;
    for (size_t i = 0; i < privates->capacity; i++)
        if (privates->table[i].payload != NULL)
            insert(&larger, privates->table[i]);
    free(privates->table);
    *privates = larger;
    return true;
}

/* The bytes between the end of the payload and what is behind it, or the canary. */
static size_t tail_of(const struct rp_private_block *block)
{
    return block->mapping != NULL ? (16u - block->bytes % 16u) % 16u : CANARY_BYTES;
}

static size_t front_of(const struct rp_private_block *block)
{
    return block->mapping != NULL ? (size_t)(block->payload - block->mapping) : CANARY_BYTES;
}

static bool place_large(struct rp_private_block *block, size_t bytes)
{
    size_t pages = (bytes + 16u + PAGE - 1) / PAGE * PAGE; /* at least 16 bytes in front */

    block->mapped = pages + PAGE;
    block->mapping = mmap(NULL, block->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block->mapping == MAP_FAILED)
        return false;
    if (mprotect(block->mapping + pages, PAGE, PROT_NONE) != 0) {
        munmap(block->mapping, block->mapped);
        return false;
    }
    block->payload = block->mapping + pages - (bytes + 15u) / 16u * 16u;
    return true;
}

void *rp_private_allocate(struct rp_privates *privates, size_t bytes)
{
    struct rp_private_block block = {.bytes = bytes};

    if (privates->shortage != NULL && rp_shortage_strikes(privates->shortage))
        return NULL;
    if (bytes > LIMIT || !grow(privates))
        return NULL;
    if ((bytes >= LARGE || privates->fenced || privates->fences > 0) && privates->large < LARGE_AT_ONCE) {
        if (!place_large(&block, bytes))
            return NULL;
        privates->large++;
        privates->fences -= privates->fences > 0;
    } else {
        uint8_t *whole = calloc(1, bytes + 2 * CANARY_BYTES);

        if (whole == NULL)
            return NULL;
        block.payload = whole + CANARY_BYTES;
    }
    memset(block.payload - front_of(&block), CANARY, front_of(&block));
    memset(block.payload + bytes, CANARY, tail_of(&block));
    insert(privates, block);
    return block.payload;
}

/* a: how far from the payload's begin the first wrong byte is (two's complement); b: bytes of the block. */
static void check_canaries(struct rp_privates *privates, const struct rp_private_block *block)
{
    size_t front = front_of(block), tail = tail_of(block), i = 0;
    const uint8_t *begin = block->payload - front;

    while (i < front && begin[i] == CANARY)
        i++;
    if (i == front)
        for (i = front + block->bytes; i < front + block->bytes + tail && begin[i] == CANARY; i++)
            ;
    rp_check(privates->log, RP_FIND_CANARY, i == front + block->bytes + tail, (uint64_t)i - front,
             block->bytes);
}

static void give_back(struct rp_privates *privates, const struct rp_private_block *block)
{
    check_canaries(privates, block);
    if (block->mapping != NULL) {
        munmap(block->mapping, block->mapped);
        privates->large--;
    } else {
        memset(block->payload, RP_RELEASED_BYTE, block->bytes);
        free(block->payload - CANARY_BYTES);
    }
}

void rp_private_release(struct rp_privates *privates, void *memory, size_t bytes)
{
    struct rp_private_block *place = find(privates, memory);
    struct rp_private_block block;

    if (memory == NULL)
        return;
    rp_check(privates->log, RP_FIND_BAD_RELEASE, place != NULL && place->bytes == bytes, 0,
             RP_PAIR(bytes > UINT32_MAX ? UINT32_MAX : bytes, place != NULL ? place->bytes : 0));
    if (place == NULL)
        return;
    block = *place;
    erase(privates, place);
    give_back(privates, &block);
}

void rp_private_keep(struct rp_privates *privates)
{
    for (size_t i = 0; i < privates->capacity; i++)
        privates->table[i].kept = true;
}

void rp_private_check_all(struct rp_privates *privates)
{
    uint64_t leaked = 0, blocks = 0;

    for (size_t i = 0; i < privates->capacity; i++) {
        if (privates->table[i].payload == NULL)
            continue;
        leaked += privates->table[i].kept ? 0 : privates->table[i].bytes;
        blocks += !privates->table[i].kept;
        give_back(privates, &privates->table[i]);
        privates->table[i].payload = NULL;
    }
    privates->count = 0;
    rp_check(privates->log, RP_FIND_LEAK, blocks == 0, leaked, blocks);
}
