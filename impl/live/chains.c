/* SPDX-License-Identifier: Apache-2.0 */
/* The chains that are out: where they are kept, and how they are recorded. */
#include "queue_state.h"

void rplq_part(struct rpl_queue *queue, struct rplq_chain *chain, uint16_t index)
{
    uint16_t after = queue->after[index], before = queue->before[index];

    if (before == RPLQ_NO_DESCRIPTOR)
        chain->first = after;
    else
        queue->after[before] = after;
    if (after == RPLQ_NO_DESCRIPTOR)
        chain->last = before;
    else
        queue->before[after] = before;
    chain->count--;
}

struct rplq_chain *rplq_take(struct rpl_queue *queue, uint64_t entry, uint16_t slot, uint16_t head)
{
    uint32_t           number = queue->unused[--queue->unused_count];
    struct rplq_chain *chain = &queue->chains[number];

    chain->entry = entry;
    chain->since = queue->now;
    chain->readable = chain->writable = 0;
    chain->header_at = NULL;
    chain->table = NULL;
    chain->table_bytes = chain->big = 0;
    chain->previous = queue->newest;
    chain->next = RPLQ_NONE;
    chain->head = head;
    chain->first = chain->last = RPLQ_NO_DESCRIPTOR;
    chain->count = 0;
    chain->slot = slot;
    chain->header_bytes = 0;
    chain->ripe = false;
    if (queue->newest == RPLQ_NONE)
        queue->oldest = number;
    else
        queue->chains[queue->newest].next = number;
    queue->newest = number;
    if (queue->first_unripe == RPLQ_NONE)
        queue->first_unripe = number;
    queue->outstanding++;
    return chain;
}

void rplq_forget(struct rpl_queue *queue, uint32_t number)
{
    struct rplq_chain *chain = &queue->chains[number];

    for (uint16_t at = chain->first; at != RPLQ_NO_DESCRIPTOR; at = queue->after[at])
        queue->owner[at] = 0;
    if (chain->big > 0)
        queue->big_used &= ~(1u << (chain->big - 1));
    if (chain->previous == RPLQ_NONE)
        queue->oldest = chain->next;
    else
        queue->chains[chain->previous].next = chain->next;
    if (chain->next == RPLQ_NONE)
        queue->newest = chain->previous;
    else
        queue->chains[chain->next].previous = chain->previous;
    if (queue->first_unripe == number)
        queue->first_unripe = chain->next;
    queue->unused[queue->unused_count++] = number;
    queue->outstanding--;
}

/* What a CHAIN record holds from its entry on, to the end of the descriptors. */
void rplq_put_chain(struct rplq_writer *writer, const struct rpl_queue *queue, const struct rplq_chain *chain,
                    uint8_t flags)
{
    RPLQ_PUT(writer, uint64_t, chain->entry);
    RPLQ_PUT(writer, uint16_t, chain->slot);
    RPLQ_PUT(writer, uint16_t, chain->head);
    RPLQ_PUT(writer, uint8_t, flags);
    RPLQ_PUT(writer, uint16_t, chain->count);
    for (uint16_t at = chain->count > 0 ? chain->first : RPLQ_NO_DESCRIPTOR; at != RPLQ_NO_DESCRIPTOR;
         at = queue->after[at]) {
        RPLQ_PUT(writer, uint16_t, at);
        rplq_put(writer, &queue->copies[at], 16);
    }
}

void rplq_put_rest(struct rplq_writer *writer, const struct rpl_queue *queue, const uint8_t *table,
                   uint32_t table_bytes, uint64_t bytes, const uint8_t *prefix, uint32_t prefix_bytes, uint16_t sum,
                   bool whole)
{
    RPLQ_PUT(writer, uint32_t, table_bytes);
    if (table_bytes > 0)
        rplq_put(writer, table, table_bytes);
    if (!queue->setup.sends)
        return;
    RPLQ_PUT(writer, uint64_t, bytes);
    RPLQ_PUT(writer, uint16_t, prefix_bytes);
    if (prefix_bytes > 0)
        rplq_put(writer, prefix, prefix_bytes);
    RPLQ_PUT(writer, uint16_t, sum);
    RPLQ_PUT(writer, uint8_t, whole);
}

/* A chain that is out, for a checkpoint: what is held of it. Of what it can read the header is held only. */
void rplq_carry(struct rpl_queue *queue, struct rpl_recorder *recorder, const struct rplq_chain *chain)
{
    struct rplq_writer writer = {.recorder = recorder};

    rpl_record_begin(recorder, RPL_CHAIN, queue->number);
    rplq_put_chain(&writer, queue, chain, RPL_CHAIN_CARRIED);
    rplq_put_rest(&writer, queue, chain->table, chain->table_bytes, chain->readable, chain->header,
                  chain->header_bytes, 0, chain->whole);
    rplq_end(&writer);
}
