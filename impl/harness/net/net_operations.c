/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver is asked, and what came of it. */
#include "net_harness.h"

#include <stdio.h>
#include <string.h>

/* Whether an operation can be asked now; if not, why not. */
static bool askable(const struct rp_net_harness *harness, const struct rp_op *op, char *why, size_t size)
{
    static const char *const names[] = {"PROBE", "REMOVE", "SET_PAIRS", "XMIT", "INTERRUPT"};
    const struct rp_net_shared *shared = harness->shared;

    if (op->code < RP_NET_OP_PROBE || op->code > RP_NET_OP_INTERRUPT)
        (void)snprintf(why, size, "the driver has no operation with code %u", op->code);
    else if ((shared->probed != 0) == (op->code == RP_NET_OP_PROBE))
        (void)snprintf(why, size, "%s, but %s", names[op->code - RP_NET_OP_PROBE],
                       shared->probed != 0 ? "the device is probed already" : "there is no probed device");
    else if (op->code != RP_NET_OP_XMIT)
        return true;
    else if (op->a >= harness->frames.count)
        (void)snprintf(why, size, "frame %u of %u does not exist", op->a, harness->frames.count);
    else if (harness->frames.lives[op->a] == RP_NET_LIFE_IN_FLIGHT ||
             harness->frames.lives[op->a] == RP_NET_LIFE_LOST)
        (void)snprintf(why, size, "frame %u is still with the driver", op->a);
    else
        return true;
    return false;
}

static void check_return(struct rp_net_harness *harness, uint8_t code, int answer, bool holds)
{
    rp_net_check(harness, RP_NET_FIND_UNDOCUMENTED_RETURN, holds, (uint64_t)(int64_t)answer, code);
}

static void note_statistics(struct rp_net_harness *harness, uint32_t pair)
{
    struct rp_net_statistics *statistics = &harness->shared->statistics[pair];

    memset(statistics, 0, sizeof(*statistics));
    harness->driver.statistics(harness->device, pair, statistics);
}

static void note_all_statistics(struct rp_net_harness *harness)
{
    for (uint32_t pair = 0; pair < harness->shared->pairs; pair++)
        note_statistics(harness, pair);
}

/* The driver's last access found the device not reset: such a device may still write, so that its driver
 * rightly keeps everything. */
static bool gave_up(const struct rp_net_harness *harness, uint32_t accesses_before)
{
    const struct rp_net_shared *shared = harness->shared;
    const struct rp_net_access *last =
        (const struct rp_net_access *)rp_net_at(harness, shared->access_offset) + shared->access_count - 1;

    if (shared->access_count == accesses_before || last->write != 0 || last->value == 0)
        return false;
    return shared->config.transport == RP_NET_LEGACY ? last->region == RP_NET_IO && last->offset == 18
                                                     : last->region == RP_NET_COMMON && last->offset == 20;
}

/* Memory once no driver is on the device. */
static void check_memory(struct rp_net_harness *harness, bool excused)
{
    rp_net_frames_check(harness, excused);
    if (excused) {
        rp_arena_keep(&harness->arena, 0);
        rp_private_keep(&harness->privates);
    } else {
        rp_private_check_all(&harness->privates);
    }
    rp_arena_check_all(&harness->arena);
}

static int32_t probe(struct rp_net_harness *harness)
{
    struct rp_net_shared *shared = harness->shared;
    uint64_t features;
    int answer;

    harness->device = NULL;
    memset(shared->statistics, 0, sizeof(shared->statistics));
    rp_net_environment_prepare(harness);
    answer = harness->driver.probe(&harness->env, &harness->device);
    check_return(harness, RP_NET_OP_PROBE, answer, answer <= 0);
    if (answer != RP_NET_OK) {
        check_memory(harness, false);
        return answer;
    }
    memset(harness->stopped, 0, sizeof(harness->stopped));
    features = rp_net_registers_features(&shared->registers, &shared->config);
    shared->probed = 1;
    shared->in_use = 1;
    shared->pairs = (features & RP_NET_F_MQ) != 0 && (features & RP_NET_F_CTRL_VQ) != 0 &&
                            shared->config.lies_on_pairs == 0
                        ? shared->config.pairs
                        : 1;
    note_all_statistics(harness);
    return answer;
}

static int32_t remove_driver(struct rp_net_harness *harness)
{
    uint32_t accesses_before = harness->shared->access_count;

    harness->driver.remove(harness->device);
    harness->shared->probed = 0;
    check_memory(harness, gave_up(harness, accesses_before));
    return 0;
}

static int32_t set_pairs(struct rp_net_harness *harness, uint32_t pairs)
{
    int answer;

    if (harness->driver.set_pairs == NULL)
        return pairs == 1 ? RP_NET_OK : RP_NET_EINVAL;
    harness->arena.era++;
    answer = harness->driver.set_pairs(harness->device, pairs);
    if (answer == RP_NET_ETIMEDOUT) /* the device has the command's block still */
        rp_arena_keep(&harness->arena, harness->arena.era);
    check_return(harness, RP_NET_OP_SET_PAIRS, answer,
                 answer < 0 || (answer == 0 && pairs >= 1 && pairs <= harness->shared->pairs));
    if (answer == RP_NET_OK && pairs >= 1 && pairs <= harness->shared->pairs)
        harness->shared->in_use = pairs;
    return answer;
}

static int32_t interrupt(struct rp_net_harness *harness)
{
    int answer = harness->driver.interrupt(harness->device);

    check_return(harness, RP_NET_OP_INTERRUPT, answer, answer == 0 || answer == 1);
    return answer;
}

/* The words of a queue's ring, if it lies where a ring can. */
static void note_ring(const struct rp_net_harness *harness, uint32_t number, struct rp_net_result *result)
{
    const struct rp_net_queue *queue = &harness->shared->registers.queues[number];
    uint32_t size = queue->placed_size;
    const uint8_t *avail, *used;

    if (queue->placed == 0)
        return;
    avail = rp_net_memory(harness, queue->parts[1], 6u + 2u * size);
    used = rp_net_memory(harness, queue->parts[2], 6u + 8u * size);
    if (avail == NULL || used == NULL)
        return;
    memcpy(&result->avail_flags, avail, 2);
    memcpy(&result->avail_idx, avail + 2, 2);
    memcpy(&result->used_event, avail + 4 + 2 * (size_t)size, 2);
    memcpy(&result->used_idx, used + 2, 2);
}

/* The frame was published: from here on it is the device's. */
static void note_published(struct rp_net_harness *harness, uint32_t number, uint32_t queue,
                           struct rp_net_result *result)
{
    uint32_t size = harness->shared->registers.queues[queue].placed_size;
    uint16_t head;

    if (size == 0)
        return;
    rp_net_frames_published(harness, number);
    memcpy(&head, rp_net_memory(harness, harness->shared->registers.queues[queue].parts[1], 4u + 2u * size) +
                      4 + 2 * (size_t)((uint16_t)(result->avail_idx - 1) % size), sizeof(head));
    result->head = head;
}

/* Tells, by the available ring, whether the driver sent or dropped the frame it was handed. */
static void judge_transmit(struct rp_net_harness *harness, uint32_t number, uint32_t queue, uint16_t before,
                           struct rp_net_result *result)
{
    uint16_t published = (uint16_t)(result->avail_idx - before);
    bool kept = rp_net_frames_in_flight(harness, number);

    /* A frame sent to a quick device may be freed by now. */
    if (result->head != RP_NET_NO_HEAD && published == 1)
        return;
    rp_net_check(harness, RP_NET_FIND_PUBLISHED, published == kept, number + 1u, RP_PAIR(published, !kept));
    if (kept && published != 0)
        note_published(harness, number, queue, result);
}

void rp_net_operations_notified(struct rp_net_harness *harness, uint32_t queue)
{
    struct rp_net_result *result = harness->quick.result;

    if (result == NULL || queue != harness->quick.queue)
        return;
    harness->quick.result = NULL;
    note_ring(harness, queue, result);
    if ((uint16_t)(result->avail_idx - harness->quick.before) == 1)
        note_published(harness, harness->quick.number, queue, result);
    rp_process_consult(&harness->process, RP_ANSWER_NOTIFIED);
}

static int32_t transmit(struct rp_net_harness *harness, uint32_t number, bool quick,
                        struct rp_net_result *result)
{
    const struct rp_net_shared *shared = harness->shared;
    const struct rp_net_frame *frame = rp_net_frames_send(harness, number);
    uint32_t pair = 0;
    uint16_t before;

    if (frame == NULL)
        return RP_NET_ENOMEM;
    if (harness->driver.select_queue != NULL)
        pair = harness->driver.select_queue(harness->device, frame);
    result->pair = pair;
    rp_net_check(harness, RP_NET_FIND_SELECT_RANGE, pair < shared->in_use, pair, shared->in_use);
    if (pair >= shared->in_use) {
        rp_net_frames_withdraw(harness, number);
        return RP_NET_EINVAL;
    }
    note_ring(harness, 2 * pair + 1, result);
    before = result->avail_idx;
    if (harness->stopped[pair]) {
        rp_net_frames_withdraw(harness, number);
        result->status = RP_NET_EBUSY;
    } else {
        harness->quick.result = quick ? result : NULL;
        harness->quick.queue = 2 * pair + 1;
        harness->quick.number = number;
        harness->quick.before = before;
        harness->driver.transmit(harness->device, pair, frame);
        harness->quick.result = NULL;
        note_ring(harness, 2 * pair + 1, result);
        judge_transmit(harness, number, 2 * pair + 1, before, result);
    }
    note_statistics(harness, pair);
    result->num_free = shared->statistics[pair].num_free;
    return result->status;
}

static int32_t ask(struct rp_net_harness *harness, const struct rp_op *op, struct rp_net_result *result)
{
    switch (op->code) {
    case RP_NET_OP_PROBE:
        return probe(harness);
    case RP_NET_OP_REMOVE:
        return remove_driver(harness);
    case RP_NET_OP_SET_PAIRS:
        return set_pairs(harness, op->a);
    case RP_NET_OP_XMIT:
        return transmit(harness, op->a, op->b != 0, result);
    default: /* INTERRUPT: nothing else can be asked */
        return interrupt(harness);
    }
}

/* Whether the logs have room for whatever one operation may do. */
static bool make_room(struct rp_net_harness *harness)
{
    const struct rp_net_shared *shared = harness->shared;

    harness->access_limit = shared->access_count + RP_NET_MOST_ACCESSES;
    harness->event_limit = shared->event_count + 2 * shared->in_flight + RP_NET_MORE_EVENTS;
    return harness->access_limit <= RP_NET_ACCESS_CAPACITY && harness->event_limit <= RP_NET_EVENT_CAPACITY;
}

bool rp_net_operations_run(struct rp_net_harness *harness)
{
    struct rp_net_shared *shared = harness->shared;
    const struct rp_op *ops = rp_net_at(harness, shared->op_offset);
    struct rp_net_result *results = rp_net_at(harness, shared->result_offset);
    uint32_t count = shared->op_count, at;
    bool done = true;

    shared->access_count = 0;
    shared->event_count = 0;
    for (at = 0; at < count && make_room(harness); at++) {
        struct rp_net_result *result = &results[at];

        *(volatile uint32_t *)&shared->op_current = at;
        harness->log.operation = shared->total_ops;
        memset(result, 0, sizeof(*result));
        done = askable(harness, &ops[at], shared->message, sizeof(shared->message));
        if (!done)
            break;
        result->head = RP_NET_NO_HEAD;
        harness->shortage.all = (ops[at].flags & RP_OPF_FAIL_ALLOC) != 0;
        result->status = ask(harness, &ops[at], result);
        harness->shortage.all = false;
        result->accesses = shared->access_count;
        result->events = shared->event_count;
        shared->total_ops++;
        if (harness->log.failed && shared->config.stop_on_finding != 0) {
            at++;
            break;
        }
    }
    if (shared->probed != 0)
        note_all_statistics(harness);
    rp_arena_check_some(&harness->arena);
    shared->arena_used = harness->arena.bump;
    shared->op_current = at;
    return done;
}
