/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory the device can reach, and its allocator. The policy is fixed, so that two implementations
 * hand out the same guest-physical addresses:
 *
 * - the class of a request is the smallest power of two >= max(bytes + RP_RED_ZONE, 64, alignment);
 * - a class's released blocks are handed out again, the last one first; when there is none, the block begins
 *   at the next multiple of min(class, 4096) that was never handed out;
 * When fenced, each block instead has pages to itself, ends as near to their end as its alignment allows, and
 * the driver cannot touch the page behind it, nor its pages once it is released; no block is handed out again.
 *
 * - the payload is filled with RP_FRESH_BYTE, the RP_RED_ZONE bytes behind it with RP_RED_BYTE; a released
 *   payload with RP_RELEASED_BYTE.
 */
#ifndef RINGPROOF_ARENA_H
#define RINGPROOF_ARENA_H

#include "findings.h"

#include <stddef.h>

/* Which allocations fail; one for all kinds of memory. */
struct rp_shortage {
    uint32_t at;      /* the at-th from now on; 0: none in particular */
    bool     all;
    bool     refused; /* one failed, for whatever reason, since this was last cleared */
    bool     struck;  /* one failed because it was to */
};

/* Whether the allocation that is asked for now is to fail. */
static inline bool rp_shortage_strikes(struct rp_shortage *shortage)
{
    bool strikes = shortage->all || shortage->at == 1;

    if (shortage->at > 0)
        shortage->at--;
    shortage->struck = shortage->struck || strikes;
    shortage->refused = shortage->refused || strikes;
    return strikes;
}

struct rp_block {
    uint32_t offset;
    uint32_t size_class;
    uint32_t bytes;  /* of the payload, as last asked for */
    uint32_t next;   /* released: the next one of its class, plus one */
    bool     live;
    bool     kept;    /* rightly never released: no leak */
    uint32_t era;     /* of the arena when it was handed out */
    bool     uniform; /* always handed out with this size: what lies behind the red zone is still zero */
};

struct rp_arena {
    uint8_t         *memory; /* RP_ARENA_BYTES, with a page on either side that nobody can touch */
    uint8_t         *fenced; /* the same bytes once more, of which the driver can touch only live blocks; or null */
    uint8_t         *view;   /* what the driver is given places in: one of the two */
    int              file;   /* the shared file, and where in it the arena lies */
    uint64_t         file_offset;
    struct rp_log   *log;
    struct rp_block *blocks; /* in order of address */
    uint32_t        *owners; /* per 64 bytes: the block there plus one, or 0 */
    uint32_t         count;
    uint32_t         capacity;
    uint32_t         bump;
    uint32_t         released[32]; /* per class's logarithm: the block released last, plus one */
    uint32_t         cursor;       /* where the next partial check goes on */
    uint32_t         era;          /* for those who ask what was handed out since */
    struct rp_shortage *shortage;  /* may be null */
};

/* Maps the arena of the shared file. False when there is no memory for it. */
bool rp_arena_map(struct rp_arena *arena, int file, uint64_t file_offset, struct rp_log *log);
/* Forgets all blocks and zeroes the memory. */
void rp_arena_reset(struct rp_arena *arena);
/* Right after a reset: whether blocks are fenced from here on. False when there is no memory for it. */
bool rp_arena_fence(struct rp_arena *arena, bool fenced);

void *rp_arena_allocate(struct rp_arena *arena, size_t bytes, size_t alignment, uint64_t *address);
void rp_arena_release(struct rp_arena *arena, const void *memory, size_t bytes);

/* How many bytes from a guest-physical address on lie in the same live payload; 0 if it is in none. */
uint64_t rp_arena_room(const struct rp_arena *arena, uint64_t address);

/* What was handed out since the arena had this era, and is not released, may stay so. */
void rp_arena_keep(struct rp_arena *arena, uint32_t era);

/* Looks at the red zones of some blocks, the oldest one always among them; each call takes up where the
 * last one stopped. */
void rp_arena_check_some(struct rp_arena *arena);
/* Once the queue is gone: leaks, red zones, and every byte that nobody had been given. */
void rp_arena_check_all(struct rp_arena *arena);

#endif
