/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at the driver's words, kicks, and the words that ask for them: VIRTIO 1.3 sections 2.7.7 and 2.7.10. */
#include "queue_state.h"

bool rplq_polls(const struct rpl_queue *queue)
{
    return queue->behaviour.poll != 0 || queue->behaviour.suppress >= RPL_SUPPRESS_ALWAYS;
}

static struct rplq_words look(const struct rpl_queue *queue)
{
    struct rplq_words words;

    words.avail_idx = rplq_get16(queue->avail + 2);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    words.flags = rplq_get16(queue->avail);
    words.used_event = queue->used_event != NULL ? rplq_get16(queue->used_event) : 0;
    return words;
}

static bool halt(struct rpl_queue *queue)
{
    queue->halted = true;
    queue->dead = true;
    return false;
}

/* Judges a look that was recorded; false: the queue is served no more. *growth: entries it brings. */
static bool judge(struct rpl_queue *queue, const struct rplq_words *words, uint32_t *growth)
{
    *growth = (uint16_t)(words->avail_idx - queue->seen.avail_idx);
    if (queue->event_idx)
        rplq_check(queue, RPL_AVAIL_FLAGS_EVENT, words->flags == 0, words->flags, 0);
    else
        rplq_check(queue, RPL_AVAIL_FLAGS, (words->flags & ~1u) == 0, words->flags, 0);
    if (*growth == 0)
        return true;
    if (queue->injected && (*growth > queue->size || queue->outstanding + *growth > queue->size))
        return halt(queue); /* what came of an injection is not judged, and cannot be followed any further */
    rplq_check(queue, RPL_AVAIL_BACKWARDS, *growth <= queue->size, queue->seen.avail_idx, words->avail_idx);
    if (*growth > queue->size)
        return halt(queue);
    rplq_check(queue, RPL_TOO_MANY_OUTSTANDING, queue->outstanding + *growth <= queue->size, queue->outstanding,
               *growth);
    if (queue->outstanding + *growth > queue->size)
        return halt(queue);
    if (queue->setup.sends) {
        rplq_check(queue, RPL_QUEUE_NOT_ENABLED, queue->ever_enabled, queue->number, *growth);
        if (!queue->ever_enabled)
            return halt(queue);
    }
    return true;
}

/* What a SAMPLE that brings growth, or none, means for the kicks that are owed. */
static void account(struct rpl_queue *queue, uint32_t growth)
{
    uint16_t from = (uint16_t)(queue->setup.base + queue->published);

    if (growth > 0 && (queue->event_idx ? rplq_crosses(queue->used_avail_event, from, growth)
                                        : (queue->used_flags & RPLQ_NO_NOTIFY) == 0)) {
        queue->epoch_wanted++;
        if (queue->credit) {
            rplq_check(queue, queue->event_idx ? RPL_KICK_LOST_EVENT : RPL_KICK_LOST_FLAGS, true, 0, 0);
            if (queue->distracting) {
                rplq_check(queue, queue->event_idx ? RPL_FLAGS_HEEDED : RPL_EVENT_WORD_HEEDED, true, 0, 0);
                queue->distracted_kick = true;
            }
        } else if (!queue->obliged) {
            queue->obliged = true;
            queue->owed_since = queue->published;
            queue->obliged_at = queue->now;
        }
    }
    queue->credit = false;
}

static void grow(struct rpl_queue *queue, uint32_t growth)
{
    queue->published += growth;
    queue->pending += growth;
    if (growth > 0)
        queue->last_growth = queue->now;
}

void rplq_sample(struct rpl_queue *queue, bool always)
{
    struct rplq_words  words = look(queue);
    struct rplq_writer writer = {.recorder = queue->recorder};
    uint32_t           growth;

    if (!always && memcmp(&words, &queue->seen, sizeof(words)) == 0)
        return;
    rpl_record_begin(queue->recorder, RPL_SAMPLE, queue->number);
    RPLQ_PUT(&writer, uint16_t, words.avail_idx);
    RPLQ_PUT(&writer, uint16_t, words.flags);
    RPLQ_PUT(&writer, uint16_t, words.used_event);
    rplq_end(&writer);
    if (!judge(queue, &words, &growth))
        return;
    account(queue, growth);
    queue->seen = words;
    grow(queue, growth);
    if (growth > 0 && (rplq_polls(queue) || !queue->obliged))
        queue->awake = true;
}

void rplq_kick(struct rpl_queue *queue, uint64_t count)
{
    rpl_record_begin(queue->recorder, RPL_KICK, queue->number);
    rpl_put64(queue->recorder, count);
    rpl_record_end(queue->recorder);
    queue->counts.kicks += count;
    queue->epoch_kicks += count;
    if (queue->obliged) {
        queue->obliged = false;
        queue->awake = true;
        rplq_check(queue, queue->event_idx ? RPL_KICK_LOST_EVENT : RPL_KICK_LOST_FLAGS, true, 0, 0);
        if (queue->distracting) {
            rplq_check(queue, queue->event_idx ? RPL_FLAGS_HEEDED : RPL_EVENT_WORD_HEEDED, true, 0, 0);
            queue->distracted_kick = true;
        }
    } else {
        queue->credit = true;
    }
    if (queue->lost_at == queue->published) {
        struct rpl_tally *tally = &queue->log->tallies[queue->lost_code];

        if (!queue->halted && tally->failed > 0 && --tally->failed == 0)
            tally->record = tally->a = tally->b = 0;
        queue->lost_at = UINT64_MAX;
    }
    rplq_sample(queue, true);
}

void rplq_quiet(struct rpl_queue *queue)
{
    uint64_t ms = (queue->now - queue->obliged_at) / 1000, since = queue->published - queue->armed;
    uint16_t idx = (uint16_t)(queue->setup.base + queue->published);

    rpl_record_begin(queue->recorder, RPL_QUIET, queue->number);
    rpl_put32(queue->recorder, ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms);
    rpl_record_end(queue->recorder);
    if (!queue->obliged)
        return;
    if (queue->distracting && !queue->distracted_kick)
        queue->lost_code = queue->event_idx ? RPL_FLAGS_HEEDED : RPL_EVENT_WORD_HEEDED;
    else
        queue->lost_code = queue->event_idx ? RPL_KICK_LOST_EVENT : RPL_KICK_LOST_FLAGS;
    switch (queue->lost_code) {
    case RPL_KICK_LOST_EVENT:
        rplq_check(queue, RPL_KICK_LOST_EVENT, false, idx, RPL_PAIR(since, queue->used_avail_event));
        break;
    case RPL_KICK_LOST_FLAGS:
        rplq_check(queue, RPL_KICK_LOST_FLAGS, false, idx, since);
        break;
    case RPL_FLAGS_HEEDED:
        rplq_check(queue, RPL_FLAGS_HEEDED, false, idx, queue->used_flags);
        break;
    default:
        rplq_check(queue, RPL_EVENT_WORD_HEEDED, false, idx, queue->used_avail_event);
    }
    queue->obliged = false;
    queue->lost_at = queue->published;
}

void rplq_judge_epoch(struct rpl_queue *queue)
{
    if ((queue->event_idx || (queue->used_flags & RPLQ_NO_NOTIFY) != 0) && queue->epoch_kicks > 0)
        rplq_check(queue, queue->event_idx ? RPL_KICK_UNWANTED_EVENT : RPL_KICK_UNWANTED_FLAGS,
                   queue->epoch_kicks <= queue->epoch_wanted + 3, queue->epoch_kicks, queue->epoch_wanted);
}

/* The record of a move, with a look behind a full barrier after it. */
static void finish(struct rpl_queue *queue)
{
    struct rplq_writer writer = {.recorder = queue->recorder};
    struct rplq_words  words;
    uint32_t           growth;

    queue->moving = false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    words = look(queue);
    rpl_record_begin(queue->recorder, RPL_SUPPRESS, queue->number);
    RPLQ_PUT(&writer, uint16_t, queue->moving_flags);
    RPLQ_PUT(&writer, uint16_t, queue->moving_event);
    RPLQ_PUT(&writer, uint16_t, words.avail_idx);
    RPLQ_PUT(&writer, uint16_t, words.flags);
    RPLQ_PUT(&writer, uint16_t, words.used_event);
    rplq_end(&writer);
    if (!judge(queue, &words, &growth))
        return;
    rplq_judge_epoch(queue);
    queue->used_flags = queue->moving_flags;
    queue->used_avail_event = queue->moving_event;
    queue->seen = words;
    grow(queue, growth);
    queue->obliged = queue->credit = queue->distracted_kick = false;
    queue->epoch_kicks = queue->epoch_wanted = 0;
    queue->lost_at = UINT64_MAX;
    queue->armed = queue->published;
    queue->distracting = queue->event_idx ? (queue->used_flags & RPLQ_NO_NOTIFY) != 0
                                          : queue->used_avail_event != words.avail_idx;
    queue->counts.epochs++;
    if (growth > 0)
        queue->awake = true;
}

void rplq_suppress(struct rpl_queue *queue, uint16_t flags, uint16_t event)
{
    if (flags != queue->memory_flags) {
        rplq_set16(queue->used, flags);
        rpl_guest_dirty(queue->guest, queue->setup.used, 2);
    }
    if (queue->avail_event == NULL)
        event = queue->memory_event;
    if (event != queue->memory_event) {
        rplq_set16(queue->avail_event, event);
        rpl_guest_dirty(queue->guest, queue->setup.used + 4 + 8 * (uint64_t)queue->size, 2);
    }
    queue->memory_flags = queue->moving_flags = flags;
    queue->memory_event = queue->moving_event = event;
    queue->moving = true;
    if (queue->event_idx || (flags & RPLQ_NO_NOTIFY) == 0 || (queue->used_flags & RPLQ_NO_NOTIFY) != 0)
        finish(queue);
}

void rplq_finish(struct rpl_queue *queue)
{
    if (queue->moving)
        finish(queue);
}

bool rplq_settle(struct rpl_queue *queue, uint32_t *limit)
{
    while (queue->pending > 0 && !queue->dead) {
        if (*limit == 0)
            return false;
        --*limit;
        rplq_accept(queue, queue->published - queue->pending);
    }
    return true;
}
