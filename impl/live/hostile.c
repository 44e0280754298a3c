/* SPDX-License-Identifier: Apache-2.0 */
/* What a device must not do, done on purpose: how a driver takes it is seen from outside. */
#include "queue_state.h"

#define FLIPPED_COMPLETIONS 64u
#define FLIPS 2000u
#define WAIT_US 200000u

static void record(struct rpl_queue *queue, uint64_t a, uint64_t b)
{
    rpl_record_begin(queue->recorder, RPL_INJECT, queue->number);
    rpl_put8(queue->recorder, (uint8_t)queue->inject);
    rpl_put64(queue->recorder, a);
    rpl_put64(queue->recorder, b);
    rpl_record_end(queue->recorder);
    queue->halted = true;
    queue->injected = true;
}

static uint32_t oldest_ripe(const struct rpl_queue *queue)
{
    return queue->ripe[queue->ripe_at & queue->mask];
}

/* Completes the oldest chain, rightly but for its length. */
static uint16_t complete_one(struct rpl_queue *queue, uint32_t length)
{
    struct rplq_done done = {oldest_ripe(queue), length};
    uint16_t         head = queue->chains[done.chain].head;

    queue->ripe_at++;
    queue->ripe_count--;
    rplq_publish(queue, &done, 1, false);
    return head;
}

/* One used entry that stands for no chain. */
static void publish_id(struct rpl_queue *queue, uint32_t id)
{
    rplq_store_used(queue, queue->used_idx, id, 0);
    rplq_store_used_idx(queue, (uint16_t)(queue->used_idx + 1));
    rplq_interrupt(queue, 0);
}

static uint32_t unknown_id(struct rpl_queue *queue)
{
    uint32_t id = (uint32_t)rplq_random(queue) & queue->mask;

    for (uint32_t i = 0; i < queue->size; i++, id = (id + 1) & queue->mask)
        if (queue->owner[id] == 0 || queue->chains[queue->owner[id] - 1].head != id)
            return id;
    return id; /* all are out, each one descriptor long: it is completed twice */
}

/* NEXT flipped and next moved in the descriptors of all chains that are out. */
static void rewrite_table(struct rpl_queue *queue)
{
    for (uint32_t number = queue->oldest; number != RPLQ_NONE; number = queue->chains[number].next)
        for (uint16_t at = queue->chains[number].first; at != RPLQ_NO_DESCRIPTOR; at = queue->after[at]) {
            rplq_set16(queue->desc + (size_t)at * 16 + 12, queue->copies[at].flags ^ RPLQ_DESC_NEXT);
            rplq_set16(queue->desc + (size_t)at * 16 + 14, (uint16_t)rplq_random(queue));
        }
    rpl_guest_dirty(queue->guest, queue->setup.desc, 16 * (uint64_t)queue->size);
}

static void rewrite_avail(struct rpl_queue *queue)
{
    for (uint32_t slot = 0; slot < queue->size; slot++)
        rplq_set16(queue->avail + 4 + 2 * (size_t)slot, (uint16_t)rplq_random(queue));
    rpl_guest_dirty(queue->guest, queue->setup.avail, 4 + 2 * (uint64_t)queue->size);
}

static void overwrite(struct rpl_queue *queue)
{
    struct rplq_pieces     pieces = rplq_pieces(queue, &queue->chains[oldest_ripe(queue)]);
    struct rplq_descriptor piece;
    uint8_t                bytes[256];

    memset(bytes, 0xa5, sizeof(bytes));
    while (rplq_piece(&pieces, &piece))
        if ((piece.flags & RPLQ_DESC_WRITE) == 0)
            rpl_guest_write(queue->guest, piece.address, bytes,
                            piece.length < sizeof(bytes) ? piece.length : sizeof(bytes));
}

/* Two chains, the newer first. */
static void disorder(struct rpl_queue *queue)
{
    uint32_t        *first = &queue->ripe[queue->ripe_at & queue->mask];
    uint32_t        *last = &queue->ripe[(queue->ripe_at + queue->ripe_count - 1) & queue->mask];
    struct rplq_done done[2] = {{*last, 0}, {*first, 0}};

    if (first == last) {
        complete_one(queue, 0);
        return;
    }
    queue->ripe_at++;
    queue->ripe_count -= 2;
    rplq_publish(queue, done, 2, false);
}

void rplq_flip(struct rpl_queue *queue, uint32_t slot)
{
    volatile uint8_t *at = queue->used + 4 + 8 * (size_t)(slot & queue->mask);
    uint64_t          right = queue->slots[slot & queue->mask];

    queue->flips--;
    for (uint32_t i = 0; i < FLIPS; i++)
        rplq_set64(at, i % 2 == 0 ? right ^ 0x8001 : right);
    rplq_set64(at, right);
}

bool rplq_inject(struct rpl_queue *queue)
{
    const struct rplq_chain *oldest = &queue->chains[oldest_ripe(queue)];
    uint64_t                 number;

    switch (queue->inject) {
    case RPL_INJECT_ID_RANGE:
        number = queue->size + rplq_random(queue) % 65536;
        record(queue, number, queue->size);
        publish_id(queue, (uint32_t)number);
        return true;
    case RPL_INJECT_ID_UNKNOWN:
        number = unknown_id(queue);
        record(queue, number, 0);
        publish_id(queue, (uint32_t)number);
        return true;
    case RPL_INJECT_ID_TWICE:
        record(queue, oldest->head, oldest->entry);
        publish_id(queue, complete_one(queue, 0));
        return true;
    case RPL_INJECT_IDX_JUMP:
        number = queue->outstanding + 1 + rplq_random(queue) % queue->size;
        record(queue, queue->used_idx, (uint16_t)(queue->used_idx + number));
        rplq_store_used_idx(queue, (uint16_t)(queue->used_idx + number));
        rplq_interrupt(queue, 0);
        return true;
    case RPL_INJECT_IDX_BACK:
        number = 1 + rplq_random(queue) % queue->size;
        record(queue, queue->used_idx, (uint16_t)(queue->used_idx - number));
        rplq_store_used_idx(queue, (uint16_t)(queue->used_idx - number));
        rplq_interrupt(queue, 0);
        return true;
    case RPL_INJECT_LENGTH:
        number = 0x10000 + rplq_random(queue) % 0x10000;
        record(queue, number, oldest->writable);
        complete_one(queue, (uint32_t)number);
        return true;
    case RPL_INJECT_DESCRIPTORS:
        record(queue, queue->outstanding, 0);
        rewrite_table(queue);
        complete_one(queue, 0);
        return true;
    case RPL_INJECT_AVAIL:
        record(queue, queue->size, 0);
        rewrite_avail(queue);
        complete_one(queue, 0);
        return true;
    case RPL_INJECT_FLIP:
        record(queue, oldest->head, oldest->head ^ 0x8001u);
        queue->flips = FLIPPED_COMPLETIONS;
        complete_one(queue, 0);
        rplq_flip(queue, (uint32_t)queue->used_idx - 1u);
        return true;
    case RPL_INJECT_FLAGS:
        record(queue, queue->memory_flags, 0xffff);
        queue->memory_flags = 0xffff;
        rplq_set16(queue->used, 0xffff);
        complete_one(queue, 0);
        return true;
    case RPL_INJECT_STALL:
        record(queue, queue->outstanding, 0);
        queue->stalled = true;
        return true;
    case RPL_INJECT_ORDER:
        if (queue->ripe_count < 2 && oldest->since + WAIT_US > queue->now)
            return false;
        record(queue, oldest->head, queue->ripe_count);
        disorder(queue);
        return true;
    case RPL_INJECT_PAYLOAD:
        record(queue, oldest->head, oldest->readable);
        overwrite(queue);
        complete_one(queue, 0);
        return true;
    default:
        return true;
    }
}
