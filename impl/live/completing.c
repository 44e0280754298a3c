/* SPDX-License-Identifier: Apache-2.0 */
/* Giving chains back, in the order and at the time that is asked for: VIRTIO 1.3 sections 2.7.7 to 2.7.9. */
#include "queue_state.h"

#include <errno.h>
#include <unistd.h>

#define RELEASE_US 100000u
#define WHOLE_RING_EVERY 1024u

void rplq_store_used(struct rpl_queue *queue, uint32_t slot, uint32_t id, uint32_t length)
{
    uint64_t value = (uint64_t)length << 32 | id;

    slot &= queue->mask;
    rplq_set64(queue->used + 4 + 8 * (size_t)slot, value);
    queue->slots[slot] = value;
    if (queue->guest->log != NULL)
        rpl_guest_dirty(queue->guest, queue->setup.used + 4 + 8 * (uint64_t)slot, 8);
}

void rplq_store_used_idx(struct rpl_queue *queue, uint16_t used_idx)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
    rplq_set16(queue->used + 2, used_idx);
    queue->used_idx = used_idx;
    if (queue->guest->log != NULL)
        rpl_guest_dirty(queue->guest, queue->setup.used + 2, 2);
}

void rplq_interrupt(struct rpl_queue *queue, uint8_t why)
{
    static const uint64_t one = 1;

    if (queue->stalled)
        return;
    rpl_record_begin(queue->recorder, RPL_INTERRUPT, queue->number);
    rpl_put8(queue->recorder, why);
    rpl_record_end(queue->recorder);
    queue->counts.interrupts++;
    while (queue->call >= 0 && write(queue->call, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

/* Whether the driver asked for an interrupt when used_idx went from `old` to where it is now. */
static bool asked(const struct rpl_queue *queue, const struct rplq_words *words, uint16_t old)
{
    if ((queue->setup.features & RPL_RING_NOTIFY_ON_EMPTY) != 0 && queue->outstanding == 0)
        return true;
    if (queue->event_idx)
        return rplq_crosses(words->used_event, old, (uint16_t)(queue->used_idx - old));
    return (words->flags & RPLQ_NO_INTERRUPT) == 0;
}

static void judge(struct rpl_queue *queue, uint16_t flags, uint32_t count, uint32_t tables)
{
    struct rpl_tally *tallies = queue->log->tallies;

    if (queue->halted)
        return;
    if (queue->event_idx)
        rpl_check(queue->log, RPL_AVAIL_FLAGS_EVENT, flags == 0, flags, 0);
    else
        rpl_check(queue->log, RPL_AVAIL_FLAGS, (flags & ~1u) == 0, flags, 0);
    tallies[RPL_USED_WRITTEN].checked++;
    tallies[RPL_CHAIN_CHANGED].checked += count;
    tallies[RPL_TABLE_CHANGED].checked += tables;
    if (queue->setup.sends)
        tallies[RPL_HEADER_CHANGED].checked += count;
}

void rplq_publish(struct rpl_queue *queue, const struct rplq_done *done, uint32_t count, bool batch)
{
    uint64_t           entries[RPLQ_CHUNK];
    uint16_t           heads[RPLQ_CHUNK], old = queue->used_idx;
    uint32_t           tables = 0;
    uint8_t            flags = 0;
    bool               wanted;
    struct rplq_words  words;
    struct rplq_writer writer = {.recorder = queue->recorder};

    batch = batch && count > 1;
    if (!queue->halted) {
        for (uint32_t i = 0; i < count; i++)
            rplq_compare(queue, &queue->chains[done[i].chain], false);
        if (++queue->used_records % WHOLE_RING_EVERY == 0)
            rplq_compare_used(queue, 0, queue->size);
        else
            rplq_compare_used(queue, old, batch ? 1 : count);
    }
    rpl_record_begin(queue->recorder, RPL_USED, queue->number);
    for (uint32_t i = 0; i < count; i++) {
        const struct rplq_chain *chain = &queue->chains[done[i].chain];

        entries[i] = chain->entry;
        heads[i] = chain->head;
        tables += chain->table != NULL;
        if (!batch)
            rplq_store_used(queue, old + i, chain->head, done[i].length);
        rplq_forget(queue, done[i].chain);
    }
    if (batch)
        rplq_store_used(queue, old, heads[count - 1], done[count - 1].length);
    queue->completed += count;
    queue->counts.completed += count;
    rplq_store_used_idx(queue, (uint16_t)(old + count));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    words.flags = rplq_get16(queue->avail);
    words.used_event = queue->used_event != NULL ? rplq_get16(queue->used_event) : 0;
    wanted = asked(queue, &words, old);
    if (!queue->stalled && (wanted || queue->behaviour.interrupts == RPL_INTERRUPTS_ALWAYS))
        flags |= RPL_USED_INTERRUPT;
    if (batch)
        flags |= RPL_USED_BATCH;
    if (queue->behaviour.total != 0 && (queue->setup.features & RPL_VERSION_ONE) == 0)
        flags |= RPL_USED_TOTAL;
    RPLQ_PUT(&writer, uint16_t, old);
    RPLQ_PUT(&writer, uint16_t, queue->used_idx);
    RPLQ_PUT(&writer, uint8_t, flags);
    RPLQ_PUT(&writer, uint16_t, count);
    for (uint32_t i = 0; i < count; i++) {
        RPLQ_PUT(&writer, uint64_t, entries[i]);
        RPLQ_PUT(&writer, uint32_t, heads[i]);
        RPLQ_PUT(&writer, uint32_t, done[i].length);
    }
    RPLQ_PUT(&writer, uint16_t, words.flags);
    RPLQ_PUT(&writer, uint16_t, words.used_event);
    rplq_end(&writer);
    queue->seen.flags = words.flags;
    queue->seen.used_event = words.used_event;
    judge(queue, words.flags, count, tables);
    if ((flags & RPL_USED_INTERRUPT) != 0)
        rplq_interrupt(queue, wanted ? 0 : 1);
}

static uint64_t release(const struct rpl_queue *queue)
{
    return queue->behaviour.release_us != 0 ? queue->behaviour.release_us : RELEASE_US;
}

void rplq_ripen(struct rpl_queue *queue)
{
    bool waits = queue->obliged && !rplq_polls(queue);

    while (queue->first_unripe != RPLQ_NONE) {
        uint32_t           number = queue->first_unripe;
        struct rplq_chain *chain = &queue->chains[number];

        if ((queue->setup.sends && chain->since + queue->behaviour.hold_us > queue->now) ||
            (waits && chain->entry >= queue->owed_since))
            return;
        chain->ripe = true;
        queue->ripe[(queue->ripe_at + queue->ripe_count++) & queue->mask] = number;
        queue->first_unripe = chain->next;
    }
}

static uint32_t pick(struct rpl_queue *queue)
{
    uint32_t *first = &queue->ripe[queue->ripe_at & queue->mask], *other, chain;

    queue->ripe_count--;
    if (queue->behaviour.order == RPL_ORDER_LIFO && !queue->in_order)
        return queue->ripe[(queue->ripe_at + queue->ripe_count) & queue->mask];
    if (queue->behaviour.order == RPL_ORDER_RANDOM && !queue->in_order) {
        other = &queue->ripe[(queue->ripe_at + rplq_random(queue) % (queue->ripe_count + 1)) & queue->mask];
        chain = *other;
        *other = *first;
        *first = chain;
    }
    queue->ripe_at++;
    return *first;
}

/* How many may go now. */
static uint32_t due(struct rpl_queue *queue, uint32_t *batch)
{
    uint32_t keep = queue->behaviour.keep < queue->size / 2 ? queue->behaviour.keep : queue->size / 2;
    uint32_t count = queue->ripe_count;

    *batch = queue->behaviour.batch < queue->size ? queue->behaviour.batch : queue->size;
    if ((keep == 0 && *batch == 0) || count == 0)
        return count;
    if (queue->chains[queue->oldest].since + queue->behaviour.hold_us + release(queue) <= queue->now) {
        *batch = 0;
        return count;
    }
    count -= count < keep ? count : keep;
    return *batch != 0 ? count / *batch * *batch : count;
}

static void complete(struct rpl_queue *queue, uint32_t count)
{
    struct rplq_done done[RPLQ_CHUNK];
    bool             total = queue->behaviour.total != 0 && (queue->setup.features & RPL_VERSION_ONE) == 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct rplq_chain *chain;

        done[i].chain = pick(queue);
        chain = &queue->chains[done[i].chain];
        done[i].length = total ? (uint32_t)(chain->readable + chain->writable) : 0;
    }
    rplq_publish(queue, done, count, queue->in_order);
}

bool rplq_complete(struct rpl_queue *queue, uint32_t limit)
{
    uint32_t batch, count;

    queue->complete_at = UINT64_MAX;
    if (!queue->setup.sends || !queue->enabled || queue->stalled)
        return false;
    rplq_ripen(queue);
    if (queue->inject != RPL_INJECT_NONE && queue->ripe_count > 0) {
        if (rplq_inject(queue))
            queue->inject = RPL_INJECT_NONE;
        else
            queue->complete_at = queue->now + 1000;
        return queue->inject == RPL_INJECT_NONE;
    }
    for (count = due(queue, &batch); count > 0 && limit > 0;) {
        uint32_t now = batch != 0 && batch < count ? batch : count;

        if (now > RPLQ_CHUNK)
            now = RPLQ_CHUNK;
        if (now > limit && batch == 0)
            now = limit;
        complete(queue, now);
        count -= now;
        limit -= now < limit ? now : limit;
        if (queue->flips > 0)
            rplq_flip(queue, (uint32_t)queue->used_idx - 1u);
    }
    if (queue->first_unripe != RPLQ_NONE && !(queue->obliged && !rplq_polls(queue)))
        queue->complete_at = queue->chains[queue->first_unripe].since + queue->behaviour.hold_us;
    if (queue->ripe_count > 0) {
        uint64_t at = queue->chains[queue->oldest].since + queue->behaviour.hold_us + release(queue);

        if (at < queue->complete_at)
            queue->complete_at = at;
    }
    return count > 0;
}

void rplq_complete_all(struct rpl_queue *queue)
{
    if (!queue->setup.sends || !queue->enabled || queue->stalled)
        return;
    while (queue->first_unripe != RPLQ_NONE) {
        uint32_t number = queue->first_unripe;

        if (queue->obliged && queue->chains[number].entry >= queue->owed_since)
            break;
        queue->chains[number].ripe = true;
        queue->ripe[(queue->ripe_at + queue->ripe_count++) & queue->mask] = number;
        queue->first_unripe = queue->chains[number].next;
    }
    while (queue->ripe_count > 0)
        complete(queue, queue->ripe_count < RPLQ_CHUNK ? queue->ripe_count : RPLQ_CHUNK);
}
