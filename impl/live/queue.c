/* SPDX-License-Identifier: Apache-2.0 */
/* A queue's life: VIRTIO 1.3 sections 2.7 to 2.7.3, 3.1.1. */
#include "queue_state.h"

#include <stdlib.h>

#define AT_THE_END 4096u /* chains accepted at most when a queue stops */

/* Bytes of the three parts as section 2.7 has them; the event words only with EVENT_IDX. */
static void parts(const struct rpl_queue_setup *setup, uint64_t address[3], uint64_t bytes[3])
{
    uint64_t words = (setup->features & RPL_RING_EVENT_IDX) != 0 ? 6 : 4, size = setup->size;

    address[0] = setup->desc;
    address[1] = setup->avail;
    address[2] = setup->used;
    bytes[0] = 16 * size;
    bytes[1] = words + 2 * size;
    bytes[2] = words + 8 * size;
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    return a - b < b_bytes || b - a < a_bytes;
}

static void judge_parts(struct rpl_queue *queue)
{
    static const uint32_t alignment[3] = {16, 2, 4};
    const struct rpl_queue_setup *setup = &queue->setup;
    uint64_t address[3], bytes[3], avail, used;
    bool     there[3];

    parts(setup, address, bytes);
    rplq_check(queue, RPL_QUEUE_SIZE,
               setup->size >= 1 && setup->size <= RPLQ_MAX_SIZE && (setup->size & (setup->size - 1)) == 0, setup->size,
               0);
    for (uint32_t i = 0; i < 3; i++)
        rplq_check(queue, RPL_PARTS_ALIGNED, address[i] % alignment[i] == 0, i + 1, address[i]);
    for (uint32_t i = 0; i < 3; i++) {
        there[i] = rpl_guest_covers(queue->guest, address[i], bytes[i]);
        rplq_check(queue, RPL_PARTS_PLACED, there[i], i + 1, address[i]);
    }
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t other = (i + 1) % 3;

        if (there[i] && there[other])
            rplq_check(queue, RPL_PARTS_PLACED, !overlap(address[i], bytes[i], address[other], bytes[other]),
                       RPL_PAIR(i + 1, other + 1), address[other]);
    }
    if ((setup->features & RPL_VERSION_ONE) == 0) {
        avail = setup->desc + 16 * (uint64_t)setup->size;
        used = (setup->avail + 6 + 2 * (uint64_t)setup->size + 4095) & ~UINT64_C(4095);
        rplq_check(queue, RPL_LEGACY_LAYOUT, setup->avail == avail, 2, setup->avail);
        rplq_check(queue, RPL_LEGACY_LAYOUT, setup->used == used, 3, setup->used);
    }
    if (queue->found) {
        uint16_t idx = queue->start_words.avail_idx;

        rplq_check(queue, RPL_USED_FLAGS_START, queue->start_used[0] == 0, queue->start_used[0], 0);
        rplq_check(queue, RPL_AVAIL_IDX_START, (uint16_t)(idx - setup->base) <= setup->size, idx, setup->base);
    }
}

bool rplq_bind(struct rpl_queue *queue)
{
    const struct rpl_queue_setup *setup = &queue->setup;
    uint64_t address[3], bytes[3], word;

    queue->generation = queue->guest->generation;
    for (uint32_t number = queue->oldest; number != RPLQ_NONE; number = queue->chains[number].next)
        queue->chains[number].header_at = NULL;
    parts(setup, address, bytes);
    queue->desc = rpl_guest_at(queue->guest, address[0], bytes[0]);
    queue->avail = rpl_guest_at(queue->guest, address[1], bytes[1]);
    queue->used = rpl_guest_at(queue->guest, address[2], bytes[2]);
    queue->used_event = queue->avail_event = NULL;
    if (queue->desc == NULL || queue->avail == NULL || queue->used == NULL) {
        queue->halted = queue->dead = true;
        return false;
    }
    if (rpl_guest_at(queue->guest, address[1], 6 + 2 * (uint64_t)setup->size) != NULL)
        queue->used_event = queue->avail + 4 + 2 * (size_t)setup->size;
    /* Without EVENT_IDX the word belongs to the ring all the same (section 2.7), if it lies in no other part. */
    word = setup->used + 4 + 8 * (uint64_t)setup->size;
    if (rpl_guest_at(queue->guest, address[2], 6 + 8 * (uint64_t)setup->size) != NULL &&
        (queue->event_idx || (!overlap(word, 2, address[0], bytes[0]) && !overlap(word, 2, address[1], bytes[1]))))
        queue->avail_event = queue->used + 4 + 8 * (size_t)setup->size;
    return true;
}

static void record_start(struct rpl_queue *queue, struct rpl_recorder *recorder)
{
    const struct rpl_queue_setup *setup = &queue->setup;
    struct rplq_writer            writer = {.recorder = recorder};

    rpl_record_begin(recorder, RPL_QUEUE_START, queue->number);
    RPLQ_PUT(&writer, uint32_t, setup->size);
    RPLQ_PUT(&writer, uint64_t, setup->desc);
    RPLQ_PUT(&writer, uint64_t, setup->avail);
    RPLQ_PUT(&writer, uint64_t, setup->used);
    RPLQ_PUT(&writer, uint16_t, setup->base);
    RPLQ_PUT(&writer, uint8_t, setup->sends);
    RPLQ_PUT(&writer, uint8_t, queue->found);
    if (queue->found) {
        RPLQ_PUT(&writer, uint16_t, queue->start_words.avail_idx);
        RPLQ_PUT(&writer, uint16_t, queue->start_words.flags);
        rplq_put(&writer, queue->start_used, sizeof(queue->start_used));
    }
    rplq_end(&writer);
}

struct rpl_queue *rpl_queue_new(uint8_t number, struct rpl_guest *guest, struct rpl_log *log,
                                struct rpl_recorder *recorder)
{
    struct rpl_queue *queue = calloc(1, sizeof(*queue));

    if (queue == NULL)
        return NULL;
    queue->number = number;
    queue->guest = guest;
    queue->log = log;
    queue->recorder = recorder;
    queue->call = -1;
    queue->oldest = queue->newest = queue->first_unripe = RPLQ_NONE;
    return queue;
}

static void free_chains(struct rpl_queue *queue)
{
    free(queue->slots);
    free(queue->chains);
    free(queue->unused);
    free(queue->ripe);
    free(queue->copies);
    free(queue->owner);
    free(queue->after);
    free(queue->before);
    free(queue->tables);
    free(queue->big_tables);
    free(queue->scratch);
    free(queue->frame);
    queue->slots = NULL;
    queue->chains = NULL;
    queue->unused = queue->ripe = queue->owner = NULL;
    queue->copies = NULL;
    queue->after = queue->before = NULL;
    queue->tables = queue->big_tables = queue->scratch = queue->frame = NULL;
    queue->oldest = queue->newest = queue->first_unripe = RPLQ_NONE;
}

static bool get_chains(struct rpl_queue *queue)
{
    size_t size = queue->size;

    queue->slots = calloc(size, sizeof(*queue->slots));
    queue->chains = calloc(size, sizeof(*queue->chains));
    queue->unused = calloc(size, sizeof(*queue->unused));
    queue->ripe = calloc(size, sizeof(*queue->ripe));
    queue->copies = calloc(size, sizeof(*queue->copies));
    queue->owner = calloc(size, sizeof(*queue->owner));
    queue->after = calloc(size, sizeof(*queue->after));
    queue->before = calloc(size, sizeof(*queue->before));
    queue->tables = calloc(size, RPLQ_TABLE_INLINE);
    queue->big_tables = calloc(RPLQ_BIG_TABLES, RPL_TABLE_KEPT);
    queue->scratch = calloc(1, RPL_TABLE_KEPT);
    queue->frame = calloc(1, RPLQ_FRAME_BYTES);
    if (queue->slots == NULL || queue->chains == NULL || queue->unused == NULL || queue->ripe == NULL ||
        queue->copies == NULL || queue->owner == NULL || queue->after == NULL || queue->before == NULL ||
        queue->tables == NULL || queue->big_tables == NULL || queue->scratch == NULL || queue->frame == NULL) {
        free_chains(queue);
        return false;
    }
    for (uint32_t i = 0; i < size; i++)
        queue->unused[i] = (uint32_t)size - 1 - i;
    queue->unused_count = (uint32_t)size;
    return true;
}

void rpl_queue_free(struct rpl_queue *queue)
{
    if (queue == NULL)
        return;
    free_chains(queue);
    free(queue);
}

/* Forgets all that was since the last start. What was asked of it, and where it belongs, stays. */
static void reset(struct rpl_queue *queue, const struct rpl_queue_setup *setup)
{
    struct rpl_queue fresh = {
        .number = queue->number, .guest = queue->guest, .log = queue->log, .recorder = queue->recorder,
        .setup = *setup, .enabled = queue->enabled, .ever_enabled = queue->enabled,
        .event_idx = (setup->features & RPL_RING_EVENT_IDX) != 0,
        .in_order = (setup->features & RPL_RING_IN_ORDER) != 0,
        .size = setup->size, .mask = setup->size - 1, .header = rpl_header_bytes(setup->features),
        .lost_at = UINT64_MAX, .complete_at = UINT64_MAX,
        .oldest = RPLQ_NONE, .newest = RPLQ_NONE, .first_unripe = RPLQ_NONE,
        .behaviour = queue->behaviour, .random = queue->random, .now = queue->now, .patience = queue->patience,
        .awake = true, .restate = true, .fresh = true, .call = queue->call, .inject = queue->inject,
        .wanted = queue->wanted, .sink = queue->sink, .context = queue->context, .counts = queue->counts,
    };

    *queue = fresh;
}

bool rpl_queue_start(struct rpl_queue *queue, const struct rpl_queue_setup *setup)
{
    if (queue->runs)
        rpl_queue_stop(queue);
    free_chains(queue);
    reset(queue, setup);
    queue->seen.avail_idx = setup->base;
    queue->found = rplq_bind(queue);
    queue->halted = queue->dead = false;
    if (queue->found) {
        queue->start_words.avail_idx = rplq_get16(queue->avail + 2);
        queue->start_words.flags = queue->seen.flags = rplq_get16(queue->avail);
        queue->seen.used_event = queue->used_event != NULL ? rplq_get16(queue->used_event) : 0;
        queue->start_used[0] = queue->used_flags = queue->memory_flags = rplq_get16(queue->used);
        queue->start_used[1] = queue->used_idx = rplq_get16(queue->used + 2);
        queue->start_used[2] = queue->avail_event != NULL ? rplq_get16(queue->avail_event) : 0;
        queue->used_avail_event = queue->memory_event = queue->start_used[2];
    }
    record_start(queue, queue->recorder);
    judge_parts(queue);
    if (!queue->found || setup->size == 0 || setup->size > RPLQ_MAX_SIZE || (setup->size & queue->mask) != 0 ||
        !get_chains(queue))
        return false;
    for (uint32_t slot = 0; slot < setup->size; slot++)
        queue->slots[slot] = rplq_get64(queue->used + 4 + 8 * (size_t)slot);
    if (queue->random == 0)
        rpl_queue_behave(queue, &queue->behaviour);
    queue->runs = true;
    return true;
}

/* Gives back what is held, if the driver's memory is still to be had. */
static void settle_accounts(struct rpl_queue *queue)
{
    uint32_t limit = AT_THE_END;

    if (queue->dead || (queue->generation != queue->guest->generation && !rplq_bind(queue)))
        return;
    if (!rplq_settle(queue, &limit) || queue->dead)
        return;
    rplq_finish(queue);
    if (!rplq_settle(queue, &limit) || queue->dead)
        return;
    rplq_complete_all(queue);
    if (!queue->halted)
        rplq_compare_used(queue, 0, queue->size);
}

uint16_t rpl_queue_stop(struct rpl_queue *queue)
{
    uint16_t base = queue->setup.base;

    if (!queue->runs)
        return base;
    settle_accounts(queue);
    base = (uint16_t)(base + queue->published - queue->pending - queue->outstanding);
    rpl_record_begin(queue->recorder, RPL_QUEUE_STOP, queue->number);
    rpl_put16(queue->recorder, base);
    rpl_record_end(queue->recorder);
    if (!queue->halted)
        rplq_judge_epoch(queue);
    queue->runs = false;
    queue->counts.wraps += (queue->setup.base + queue->published) >> 16;
    free_chains(queue);
    queue->published = queue->completed = queue->pending = 0;
    queue->outstanding = 0;
    queue->setup.base = base;
    queue->desc = queue->avail = queue->used = queue->avail_event = NULL;
    queue->used_event = NULL;
    return base;
}

bool rpl_queue_runs(const struct rpl_queue *queue)
{
    return queue->runs;
}

void rpl_queue_enable(struct rpl_queue *queue, bool on)
{
    rpl_record_begin(queue->recorder, RPL_QUEUE_ENABLE, queue->number);
    rpl_put8(queue->recorder, on);
    rpl_record_end(queue->recorder);
    queue->enabled = on;
    queue->ever_enabled |= on;
    queue->more = true;
}

void rpl_queue_set_call(struct rpl_queue *queue, int fd)
{
    queue->call = fd;
}

void rpl_queue_behave(struct rpl_queue *queue, const struct rpl_behaviour *behaviour)
{
    uint32_t sorted = 0;

    queue->behaviour = *behaviour;
    queue->random = (behaviour->seed + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
    queue->random ^= (uint64_t)(queue->number + 1u) << 40;
    queue->restate = queue->awake = queue->more = true;
    queue->next_change = queue->next_distraction = queue->next_spurious = 0;
    if (!queue->runs)
        return;
    /* What was picked at random so far leaves those that are due out of order. */
    queue->ripe_at = 0;
    for (uint32_t number = queue->oldest; number != RPLQ_NONE && queue->chains[number].ripe;
         number = queue->chains[number].next)
        queue->ripe[sorted++] = number;
}

void rpl_queue_inject(struct rpl_queue *queue, enum rpl_inject kind)
{
    if (kind > RPL_INJECT_NONE && kind < RPL_INJECTS)
        queue->inject = kind;
}

bool rpl_queue_injected(const struct rpl_queue *queue)
{
    return queue->injected;
}

void rpl_queue_kicked(struct rpl_queue *queue, uint64_t count)
{
    if (queue->runs)
        queue->kicks += count;
}

void rpl_queue_sink(struct rpl_queue *queue, bool (*wanted)(void *, const uint8_t *prefix, uint32_t prefix_bytes),
                    void (*sink)(void *, struct rpl_queue *, const uint8_t *frame, uint32_t bytes), void *context)
{
    queue->wanted = wanted;
    queue->sink = sink;
    queue->context = context;
}

void rpl_queue_counts(const struct rpl_queue *queue, struct rpl_queue_counts *counts)
{
    *counts = queue->counts;
    if (queue->runs)
        counts->wraps += (queue->setup.base + queue->published) >> 16;
}

void rpl_queue_checkpoint(struct rpl_queue *queue, struct rpl_recorder *recorder)
{
    struct rplq_writer writer = {.recorder = recorder};

    if (!queue->runs) { /* it may have been enabled before it starts: QUEUE_STATE can't say so yet */
        if (queue->enabled) {
            rpl_record_begin(recorder, RPL_QUEUE_ENABLE, queue->number);
            rpl_put8(recorder, true);
            rpl_record_end(recorder);
        }
        return;
    }
    record_start(queue, recorder);
    rpl_record_begin(recorder, RPL_QUEUE_STATE, queue->number);
    RPLQ_PUT(&writer, uint64_t, queue->published);
    RPLQ_PUT(&writer, uint64_t, queue->completed);
    RPLQ_PUT(&writer, uint16_t, queue->used_idx);
    RPLQ_PUT(&writer, uint16_t, queue->used_flags);
    RPLQ_PUT(&writer, uint16_t, queue->used_avail_event);
    rplq_put(&writer, &queue->seen, sizeof(queue->seen));
    RPLQ_PUT(&writer, uint64_t, queue->armed);
    RPLQ_PUT(&writer, uint32_t, queue->next_head);
    RPLQ_PUT(&writer, uint8_t, queue->obliged);
    RPLQ_PUT(&writer, uint8_t, queue->credit);
    RPLQ_PUT(&writer, uint8_t, queue->distracting);
    RPLQ_PUT(&writer, uint8_t, queue->distracted_kick);
    RPLQ_PUT(&writer, uint8_t, queue->halted);
    RPLQ_PUT(&writer, uint8_t, queue->enabled | queue->ever_enabled << 1); /* now; at some time since it started */
    RPLQ_PUT(&writer, uint64_t, queue->epoch_kicks);
    RPLQ_PUT(&writer, uint64_t, queue->epoch_wanted);
    RPLQ_PUT(&writer, uint64_t, queue->lost_at);
    RPLQ_PUT(&writer, uint64_t, queue->owed_since);
    rplq_end(&writer);
    for (uint32_t number = queue->oldest; number != RPLQ_NONE; number = queue->chains[number].next)
        rplq_carry(queue, recorder, &queue->chains[number]);
}

uint64_t rpl_queue_published(const struct rpl_queue *queue)
{
    return queue->published;
}

uint32_t rpl_queue_outstanding(const struct rpl_queue *queue)
{
    return queue->outstanding;
}
