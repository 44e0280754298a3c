/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for the driver: VIRTIO 1.3 section 5.1.6.4. */
#include "queue_state.h"

#include <limits.h>

/* Writes `bytes` of what is to be received into the chain's writable pieces; how many had room in memory. */
static uint32_t fill(struct rpl_queue *queue, const struct rplq_chain *chain, const uint8_t *from, uint32_t bytes)
{
    struct rplq_pieces     pieces = rplq_pieces(queue, chain);
    struct rplq_descriptor piece;
    uint32_t               used = 0;

    while (used < bytes && rplq_piece(&pieces, &piece)) {
        uint32_t here = bytes - used;

        if ((piece.flags & RPLQ_DESC_WRITE) == 0)
            continue;
        if (here > piece.length)
            here = piece.length;
        if (!rpl_guest_write(queue->guest, piece.address, from + used, here))
            break;
        used += here;
    }
    return used;
}

bool rpl_queue_deliver(struct rpl_queue *queue, const uint8_t *frame, uint32_t bytes)
{
    struct rplq_done done[RPLQ_CHUNK];
    uint32_t         count = 0, used = 0, total;
    uint64_t         room = 0;
    bool             several = (queue->setup.features & RPL_NET_MRG_RXBUF) != 0;

    if (!queue->runs || queue->dead || queue->stalled || queue->setup.sends || !queue->enabled ||
        bytes > RPLQ_FRAME_BYTES - RPLQ_HEADER || queue->pending > 0)
        return false;
    if (queue->generation != queue->guest->generation && !rplq_bind(queue))
        return false;
    rplq_ripen(queue);
    total = bytes + queue->header;
    while (room < total && count < queue->ripe_count && count < RPLQ_CHUNK && (count == 0 || several)) {
        uint32_t number = queue->ripe[(queue->ripe_at + count) & queue->mask];

        done[count++].chain = number;
        room += queue->chains[number].writable;
    }
    if (room < total || count == 0)
        return false;
    memset(queue->frame, 0, queue->header);
    if (queue->header >= 12) {
        queue->frame[10] = (uint8_t)count;
        queue->frame[11] = (uint8_t)(count >> 8);
    }
    memcpy(queue->frame + queue->header, frame, bytes);
    for (uint32_t i = 0; i < count; i++) {
        const struct rplq_chain *chain = &queue->chains[done[i].chain];
        uint64_t                 here = total - used < chain->writable ? total - used : chain->writable;

        done[i].length = fill(queue, chain, queue->frame + used, (uint32_t)here);
        used += (uint32_t)here;
    }
    queue->ripe_at += count;
    queue->ripe_count -= count;
    queue->counts.bytes += bytes;
    rplq_publish(queue, done, count, false);
    return true;
}
