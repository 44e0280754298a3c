/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's private memory: what env->allocate_private hands out. Small blocks have canaries on both
 * sides. Large ones, those of create and all when fenced end right before a page that nobody can touch, and
 * are gone once released. Nothing is believed of what a driver may have overwritten: the books are kept
 * elsewhere.
 */
#ifndef RINGPROOF_PRIVATE_H
#define RINGPROOF_PRIVATE_H

#include "arena.h"

#include <stddef.h>

struct rp_private_block {
    uint8_t *payload; /* null: this place of the table is empty */
    uint8_t *mapping; /* large blocks: what to unmap, and how much */
    size_t   mapped;
    size_t   bytes;
    bool     kept;    /* no leak, and given back when everything is */
};

struct rp_privates {
    struct rp_log           *log;
    struct rp_shortage      *shortage; /* may be null */
    struct rp_private_block *table; /* open addressing, at most half full */
    size_t                   capacity;
    size_t                   count;
    size_t                   large;
    bool                     fenced;
    uint32_t                 fences; /* how many blocks from here on are fenced all the same */
};

/* Mappings are dear: this many blocks of a create are fenced, which is more than drivers have. */
#define RP_FENCES_OF_CREATE 64u

void *rp_private_allocate(struct rp_privates *privates, size_t bytes);
void rp_private_release(struct rp_privates *privates, void *memory, size_t bytes);
/* What is not released now may stay so: it is no leak. */
void rp_private_keep(struct rp_privates *privates);
/* Once the queue is gone: canaries and leaks; frees what is left. */
void rp_private_check_all(struct rp_privates *privates);

#endif
