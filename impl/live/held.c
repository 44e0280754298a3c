/* SPDX-License-Identifier: Apache-2.0 */
/* What must stay as it is while a chain is out, and the ring that only the device may write. */
#include "queue_state.h"

struct rplq_pieces rplq_pieces(const struct rpl_queue *queue, const struct rplq_chain *chain)
{
    return (struct rplq_pieces){queue, chain, chain->count > 0 ? chain->first : RPLQ_NO_DESCRIPTOR, 0, 0};
}

bool rplq_piece(struct rplq_pieces *pieces, struct rplq_descriptor *piece)
{
    const struct rpl_queue  *queue = pieces->queue;
    const struct rplq_chain *chain = pieces->chain;
    uint32_t                 entries = chain->table_bytes / 16;

    if (pieces->at == RPLQ_NO_DESCRIPTOR)
        return false;
    *piece = queue->copies[pieces->at];
    if ((piece->flags & RPLQ_DESC_INDIRECT) == 0) {
        pieces->at = queue->after[pieces->at];
        return true;
    }
    if (pieces->entry >= entries || pieces->steps >= entries) {
        pieces->at = RPLQ_NO_DESCRIPTOR;
        return false;
    }
    memcpy(piece, chain->table + (size_t)pieces->entry * 16, sizeof(*piece));
    pieces->steps++;
    if ((piece->flags & RPLQ_DESC_NEXT) != 0)
        pieces->entry = piece->next;
    else
        pieces->at = RPLQ_NO_DESCRIPTOR;
    return true;
}

static void tell(struct rpl_queue *queue, const struct rplq_chain *chain, uint8_t where, bool at_once, uint32_t index,
                 const void *was, const void *is, uint8_t bytes)
{
    static const enum rpl_check codes[] = {RPL_CHAIN_CHANGED, RPL_TABLE_CHANGED, 0, RPL_HEADER_CHANGED};
    struct rplq_writer          writer = {.recorder = queue->recorder};

    rpl_record_begin(queue->recorder, RPL_CHANGED, queue->number);
    RPLQ_PUT(&writer, uint64_t, chain->entry);
    RPLQ_PUT(&writer, uint8_t, where);
    RPLQ_PUT(&writer, uint8_t, at_once);
    RPLQ_PUT(&writer, uint32_t, index);
    RPLQ_PUT(&writer, uint8_t, bytes);
    rplq_put(&writer, was, bytes);
    rplq_put(&writer, is, bytes);
    rplq_end(&writer);
    rplq_check(queue, at_once ? RPL_UNSETTLED : codes[where], false, RPL_PAIR(index, chain->head), chain->entry);
}

static bool compare_table(struct rpl_queue *queue, struct rplq_chain *chain, bool at_once)
{
    const uint8_t *at = rpl_guest_at(queue->guest, chain->table_address, chain->table_bytes);
    bool           same = true;

    if (at != NULL && memcmp(at, chain->table, chain->table_bytes) == 0)
        return true;
    for (uint32_t entry = 0; entry < chain->table_bytes / 16; entry++) {
        uint8_t *held = chain->table + (size_t)entry * 16, is[16];

        if (!rpl_guest_read(queue->guest, chain->table_address + (uint64_t)entry * 16, is, sizeof(is)))
            return same; /* the memory is not there any more */
        if (memcmp(held, is, sizeof(is)) == 0)
            continue;
        same = false;
        tell(queue, chain, RPL_WHERE_TABLE, at_once, entry, held, is, sizeof(is));
        memcpy(held, is, sizeof(is));
    }
    return same;
}

/* The header's bytes as they are, however they are spread; how many could be read. */
static uint32_t gather(struct rpl_queue *queue, const struct rplq_chain *chain, uint8_t *into)
{
    struct rplq_pieces     pieces = rplq_pieces(queue, chain);
    struct rplq_descriptor piece;
    uint32_t               used = 0;

    while (used < chain->header_bytes && rplq_piece(&pieces, &piece)) {
        uint32_t here = chain->header_bytes - used;

        if ((piece.flags & RPLQ_DESC_WRITE) != 0)
            continue;
        if (here > piece.length)
            here = piece.length;
        if (!rpl_guest_read(queue->guest, piece.address, into + used, here))
            break;
        used += here;
    }
    return used;
}

static bool compare_header(struct rpl_queue *queue, struct rplq_chain *chain, bool at_once)
{
    uint8_t  is[RPLQ_HEADER];
    uint32_t bytes = chain->header_bytes;

    if (chain->header_at != NULL)
        memcpy(is, chain->header_at, bytes);
    else
        bytes = gather(queue, chain, is);
    __asm__ volatile("" : : "r"(is) : "memory"); /* compared is what was copied, not the memory again */
    if (memcmp(is, chain->header, bytes) == 0)
        return true;
    for (uint32_t i = 0; i < bytes; i++) {
        uint8_t was = chain->header[i];

        if (was == is[i])
            continue;
        chain->header[i] = is[i];
        tell(queue, chain, RPL_WHERE_HEADER, at_once, i, &was, &is[i], 1);
    }
    return false;
}

bool rplq_compare(struct rpl_queue *queue, struct rplq_chain *chain, bool at_once)
{
    bool same = true, moved = false;

    for (uint16_t at = chain->first; at != RPLQ_NO_DESCRIPTOR; at = queue->after[at]) {
        struct rplq_descriptor is = rplq_load(queue->desc + (size_t)at * 16), was = queue->copies[at];

        if (__builtin_expect(rplq_same(&is, &was), 1))
            continue;
        same = false;
        moved |= was.address != is.address || was.length != is.length || was.flags != is.flags;
        queue->copies[at] = is;
        tell(queue, chain, RPL_WHERE_DESCRIPTOR, at_once, at, &was, &is, sizeof(is));
    }
    if (chain->table != NULL)
        same &= compare_table(queue, chain, at_once);
    if (moved)
        chain->header_bytes = 0; /* what was read as its header lies elsewhere now; the change was told */
    if (queue->setup.sends && chain->header_bytes > 0)
        same &= compare_header(queue, chain, at_once);
    return same;
}

static void tell_used(struct rpl_queue *queue, uint64_t byte, uint16_t must, uint16_t is)
{
    struct rplq_writer writer = {.recorder = queue->recorder};

    rpl_record_begin(queue->recorder, RPL_USED_CHANGED, queue->number);
    RPLQ_PUT(&writer, uint32_t, byte);
    RPLQ_PUT(&writer, uint16_t, must);
    RPLQ_PUT(&writer, uint16_t, is);
    rplq_end(&writer);
    rplq_check(queue, RPL_USED_WRITTEN, false, byte, RPL_PAIR(must, is));
}

void rplq_compare_used(struct rpl_queue *queue, uint32_t first, uint32_t count)
{
    uint16_t flags = rplq_get16(queue->used), idx = rplq_get16(queue->used + 2);

    if (flags != queue->memory_flags) {
        tell_used(queue, 0, queue->memory_flags, flags);
        queue->memory_flags = flags;
    }
    if (idx != queue->used_idx) {
        tell_used(queue, 2, queue->used_idx, idx);
        rplq_set16(queue->used + 2, queue->used_idx);
    }
    if (queue->avail_event != NULL) {
        uint16_t event = rplq_get16(queue->avail_event);

        if (event != queue->memory_event && !queue->event_idx) {
            queue->avail_event = NULL; /* it isn't part of this ring after all: the driver has other use for it */
        } else if (event != queue->memory_event) {
            tell_used(queue, 4 + 8 * (uint64_t)queue->size, queue->memory_event, event);
            queue->memory_event = event;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = (first + i) & queue->mask;
        uint64_t is = rplq_get64(queue->used + 4 + 8 * (size_t)slot), must = queue->slots[slot];

        if (__builtin_expect(is == must, 1))
            continue;
        queue->slots[slot] = is;
        for (uint32_t word = 0; word < 4; word++)
            if ((uint16_t)(is >> 16 * word) != (uint16_t)(must >> 16 * word))
                tell_used(queue, 4 + 8 * (uint64_t)slot + 2 * word, (uint16_t)(must >> 16 * word),
                          (uint16_t)(is >> 16 * word));
    }
}
