/* SPDX-License-Identifier: Apache-2.0 */
/* What the tiny driver is made of, and the faults it can be asked to have. */
#ifndef TINY_H
#define TINY_H

#include "ringproof_driver.h"

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

struct slot {
    void       *token;
    struct desc *table;
    uint32_t    entries;
    uint32_t    count;
    uint32_t    writable; /* bytes */
};

struct tiny {
    const struct rp_env *env;
    uint32_t n;
    struct desc *desc;
    volatile uint16_t *avail, *used;
    struct rp_ring_parts parts;
    uint16_t *free_stack;
    uint32_t free_count;
    struct slot *slots;
    uint16_t avail_idx, kicked, last_used;
    int event, callbacks_on, maps;
    /* IN_ORDER: descriptors are taken and come back in ring order, several by one used entry */
    int in_order, in_batch;
    uint16_t next_free, oldest, batch_end;
    uint32_t batch_length;
    int idle; /* the last get_buf found nothing */
    uint32_t kept_in, kept_out; /* habit "reclaims": taken back within add, returned by get_buf */
    uint32_t adds, gets;
    uint64_t noise;
};

static inline size_t desc_bytes(const struct tiny *t) { return 16 * (size_t)t->n; }
static inline size_t avail_bytes(const struct tiny *t) { return 6 + 2 * (size_t)t->n; }
static inline size_t used_bytes(const struct tiny *t) { return 6 + 8 * (size_t)t->n; }

static inline volatile uint16_t *avail_event(struct tiny *t) { return &t->used[2 + 4 * t->n]; }
static inline volatile uint16_t *used_event(struct tiny *t) { return &t->avail[2 + t->n]; }

int tiny_create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue);
void tiny_destroy(void *queue);
void tiny_unmap(struct tiny *t, const struct desc *d);
/* Takes back what the first `count` segments of the chain at `head` were mapped for. */
void tiny_unmap_chain(struct tiny *t, uint16_t head, uint32_t count);

int tiny_enable_cb_delayed(void *queue);

/* Keeps what `get` gives, for tiny_kept to give later. */
void tiny_reclaim(struct tiny *t, int (*get)(void *queue, void **token, uint32_t *length));
int tiny_kept(struct tiny *t, void **token, uint32_t *length);

/* Whether the fault of this name was asked for; or one whose name begins so. */
int fault(const char *name);
int faults(const char *beginning);
/* Says the ring is where it is not, or spoils it before it is handed over. */
void misplace(struct tiny *t, struct rp_ring_parts *parts);
/* Calls when it must not: in create, or with the environment of a queue that is gone. */
void call_out_of_time(const struct rp_env *env);
/* Parts segments at the ends of pages, as a driver may; how many pieces there are, `most` at the most. */
uint32_t split(const struct rp_segment *segments, uint32_t count, struct rp_segment *pieces, uint32_t most);
/* Ends, hangs, prints: what befalls the process rather than the ring. Acts at the third add. */
void misbehave(struct tiny *t);
/* Writes where it must not, now that the chain at `head` stands. */
void scribble(struct tiny *t, uint16_t head);

#endif
