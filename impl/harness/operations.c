/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver is asked to do, step by step, and what is made of its answers. */
#include "accesses.h"
#include "harness.h"

#include "crc32.h"

#include <string.h>

static bool pushes_buffers(const struct rp_harness *harness)
{
    return (harness->driver.traits & RP_TRAIT_PUSHES_BUFFERS) != 0;
}

/* An answer must be among those the ABI names; a: the answer, b: the operation. */
static void check_answer(struct rp_harness *harness, bool documented, int answer, enum rp_op_code code)
{
    rp_check(&harness->log, RP_FIND_UNDOCUMENTED_RETURN, documented, (uint64_t)(int64_t)answer,
             (uint64_t)code);
}

/* The device was honest: a queue that calls it broken is wrong. It may give up only at a length that says of a
 * readable buffer how long that is, as legacy devices do; to do so is unwise enough. */
static void check_broken(struct rp_harness *harness, int answer, enum rp_op_code code)
{
    const struct rp_completion *oldest = rp_ledger_oldest(&harness->device);

    if (answer == RP_EBROKEN && harness->device.gave_up)
        return;
    if (answer == RP_EBROKEN && oldest != NULL && (oldest->kind & RP_COMPLETED_TOTAL) != 0) {
        rp_check(&harness->log, RP_FIND_USED_LENGTH, false, oldest->length, (uint64_t)code);
        harness->device.gave_up = true;
        return;
    }
    if (answer == RP_EBROKEN)
        rp_hostile_refused(&harness->hostile);
    rp_check(&harness->log, RP_FIND_BROKEN, answer != RP_EBROKEN, (uint64_t)code, 0);
}

/* The segments of an ADD, after operations.py. */
static void make_segments(struct rp_harness *harness, uint32_t seed, uint32_t count)
{
    uint64_t base = (harness->driver.traits & RP_TRAIT_MAPS) != 0 ? 0 : RP_BUFFER_ADDRESS;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t x = seed + i * 0x9e3779b1u, offset = x >> 8 & 0xffff0u;
        struct rp_segment segment = {harness->buffers + offset, base != 0 ? base + offset : 0,
                                     1 + (x & 0x1ffffu), 0};

        harness->segments[i] = segment;
    }
}

/* Whether ENOSPC can be the answer to so many segments: what no empty ring takes either is EINVAL, or its
 * caller would wait for ever. */
static bool may_be_full(const struct rp_harness *harness, uint64_t segments)
{
    return segments <= harness->env->queue_size || !harness->device.offered_to_empty ||
           harness->shortage.refused;
}

/* What of its memory an ADD does not get: the `number`-th piece, or none at all if that is 0. */
static void withhold(struct rp_harness *harness, bool some, uint32_t number)
{
    harness->shortage.all = some && number == 0;
    harness->shortage.at = some ? number : 0;
}

static int add(struct rp_harness *harness, uint32_t out, uint32_t in, uint32_t seed, uint8_t flags,
               uint32_t failing, uint64_t *token)
{
    uint64_t count = (uint64_t)out + in;
    bool sensible = count > 0 && (flags & RP_OPF_NULL_TOKEN) == 0;
    struct rp_offer offer;
    int answer;

    *token = ++harness->adds;
    if ((flags & RP_OPF_NULL_TOKEN) != 0)
        *token = 0;
    offer.token = *token;
    offer.seed = seed;
    offer.out = out;
    offer.in = in;
    make_segments(harness, seed, (uint32_t)count);
    rp_ledger_offer(&harness->device, offer);
    if (harness->hostile.device != NULL)
        rp_hostile_offer(&harness->hostile, *token);
    withhold(harness, (flags & RP_OPF_FAIL_ALLOC) != 0, failing);
    harness->shortage.refused = false;
    answer = harness->driver.add(harness->queue, harness->segments, out, in, (void *)(uintptr_t)*token);
    withhold(harness, false, 0);
    /* The array was only lent. */
    memset(harness->segments, RP_RELEASED_BYTE, (size_t)count * sizeof(harness->segments[0]));
    rp_ledger_offered(&harness->device, answer == RP_OK);
    rp_device_observe(&harness->device);
    if (harness->hostile.device != NULL)
        rp_hostile_offered(&harness->hostile, *token, answer == RP_OK);
    check_broken(harness, answer, RP_OP_ADD);
    if (sensible)
        check_answer(harness, answer == RP_OK || answer == RP_EBROKEN ||
                     (answer == RP_ENOSPC && may_be_full(harness, count)) ||
                     (answer == RP_EINVAL && rp_ledger_declined(&harness->device, count, in > 0)),
                     answer, RP_OP_ADD);
    else
        check_answer(harness, answer == RP_EINVAL || answer == RP_EBROKEN, answer, RP_OP_ADD);
    if (answer == RP_ENOSPC && sensible && !harness->shortage.refused)
        rp_ledger_refused(&harness->device, count);
    return answer;
}

static void kick(struct rp_harness *harness)
{
    harness->driver.kick(harness->queue);
    rp_order_kicked();
    rp_notice_kick_end(&harness->device);
}

/* A driver that pushes is asked for what it has pushed, and given an interrupt when that is nothing. */
static int pop(struct rp_harness *harness, uint64_t *token, uint32_t *length)
{
    const struct rp_pushed *place;

    if (harness->pushed_out == harness->pushed_in && harness->driver.interrupt != NULL) {
        rp_order_asked(RP_OP_INTERRUPT);
        (void)harness->driver.interrupt(harness->queue);
        rp_notice_drained(&harness->device);
        rp_order_relied(RP_OP_INTERRUPT);
    }
    rp_device_observe(&harness->device);
    if (harness->pushed_out == harness->pushed_in) {
        rp_ledger_nothing(&harness->device);
        return 0;
    }
    place = &harness->pushed[harness->pushed_out++ % RP_PUSHED];
    *token = place->token;
    *length = place->length;
    return 1;
}

static int get(struct rp_harness *harness, uint64_t *token, uint32_t *length)
{
    void *given = NULL;
    uint32_t written = 0;
    int answer;

    *token = 0;
    *length = 0;
    if (pushes_buffers(harness))
        return pop(harness, token, length);
    rp_order_asked(RP_OP_GET);
    answer = harness->driver.get_buf(harness->queue, &given, &written);
    rp_device_observe(&harness->device);
    check_broken(harness, answer, RP_OP_GET);
    check_answer(harness, answer == 0 || answer == 1 || answer == RP_EBROKEN, answer, RP_OP_GET);
    if (answer == 1) {
        *token = (uint64_t)(uintptr_t)given;
        *length = written;
        if (harness->hostile.device != NULL)
            rp_hostile_returned(&harness->hostile, *token);
        rp_order_returned();
        rp_ledger_returned(&harness->device, *token, written);
        rp_notice_taken(&harness->device);
    } else if (answer == 0) {
        rp_ledger_nothing(&harness->device);
        rp_notice_idle(&harness->device);
        rp_order_relied(RP_OP_GET);
    }
    return answer;
}

static int enable(struct rp_harness *harness, enum rp_op_code code, int (*ask)(void *queue))
{
    int answer = ask(harness->queue);

    rp_device_observe(&harness->device);
    check_answer(harness, answer == 0 || answer == 1, answer, code);
    if (code == RP_OP_ENABLE_CB)
        rp_notice_enabled(&harness->device, answer == 1);
    else
        rp_notice_enabled_delayed(&harness->device, answer == 1);
    if (answer == 1)
        rp_order_relied(code);
    return answer;
}

static int poll(struct rp_harness *harness)
{
    int answer = harness->driver.poll(harness->queue, harness->mark);

    rp_device_observe(&harness->device);
    check_answer(harness, answer == 0 || answer == 1, answer, RP_OP_POLL);
    rp_notice_polled(&harness->device, answer != 0);
    if (answer == 0)
        rp_order_relied(RP_OP_POLL);
    return answer;
}

/*
 * Interrupts without news (section 2.7.7.1). They are harmless if nothing comes of them and what is asked next
 * goes right. What goes wrong after one is only held against it when the same had gone right before: a GET that
 * returned nothing, then the interrupt, then a GET that returns something though nothing was used meanwhile.
 */
static void note_alarm(struct rp_harness *harness, uint64_t pushed)
{
    if (pushed > 0)
        rp_check(&harness->log, RP_FIND_SPURIOUS_INTERRUPT, false, pushed, RP_OP_INTERRUPT);
    harness->alarmed = true;
    harness->alarmed_quiet = harness->quiet;
    harness->alarmed_at = harness->device.completed_count;
}

static void judge_alarm(struct rp_harness *harness, uint8_t code, int32_t status, bool failed_before)
{
    bool idle = harness->device.completed_count == harness->alarmed_at;
    bool invented = code == RP_OP_GET && status == 1 && idle;
    bool broken = status == RP_EBROKEN && !harness->device.gave_up;

    if (harness->alarmed_quiet && (invented || broken))
        rp_check(&harness->log, RP_FIND_SPURIOUS_INTERRUPT, false, (uint64_t)(int64_t)status, code);
    else if (harness->log.failed == failed_before)
        rp_check(&harness->log, RP_FIND_SPURIOUS_INTERRUPT, true, 0, 0);
    harness->alarmed = idle && code != RP_OP_GET;
}

static int interrupt(struct rp_harness *harness)
{
    uint64_t waiting = rp_ledger_waiting(&harness->device), pushed_before = harness->pushed_in;
    int answer = harness->driver.interrupt(harness->queue);
    uint32_t reactions = harness->callbacks + (uint32_t)(harness->pushed_in - pushed_before);

    rp_device_observe(&harness->device);
    check_answer(harness, answer == 0 || answer == 1, answer, RP_OP_INTERRUPT);
    rp_notice_interrupted(&harness->device, answer == 1, reactions, waiting);
    if (waiting == 0)
        note_alarm(harness, harness->pushed_in - pushed_before);
    if (pushes_buffers(harness)) {
        rp_notice_drained(&harness->device);
        rp_order_relied(RP_OP_INTERRUPT);
    }
    return answer;
}

static int detach(struct rp_harness *harness, uint64_t *token)
{
    void *given = NULL;
    int answer;

    rp_order_end();
    rp_ledger_detaching(&harness->device);
    answer = harness->driver.detach_unused(harness->queue, &given);
    check_answer(harness, answer == 0 || answer == 1, answer, RP_OP_DETACH_UNUSED);
    *token = answer == 1 ? (uint64_t)(uintptr_t)given : 0;
    if (answer == 1 && harness->hostile.device != NULL)
        rp_hostile_detached(&harness->hostile, *token);
    rp_ledger_detached(&harness->device, answer == 1, *token);
    return answer;
}

/* What no honest device does; interrupts among it, which also come when the device is gone. */
static int mischief(struct rp_harness *harness, const struct rp_op *op, uint64_t *token)
{
    uint32_t id = 0, times = op->b > 0 ? op->b : 1;
    int answer = RP_STATUS_UNSUPPORTED;

    if (op->a == RP_MISCHIEF_INTERRUPT && harness->driver.interrupt != NULL) {
        for (uint32_t i = 0; i < times; i++)
            answer = harness->driver.interrupt(harness->queue);
        rp_device_observe(&harness->device);
    } else if (op->a != RP_MISCHIEF_INTERRUPT && !harness->device.over) {
        answer = rp_mischief(&harness->hostile, op, &id);
    }
    *token = id;
    return answer;
}

/* Whether the ring index would run past 65535: then slots of a size that is no power of two do not follow each
 * other any more, and such a queue has had its time. */
static bool worn_out(const struct rp_harness *harness)
{
    uint32_t n = harness->device.config.queue_size;

    return (n & (n - 1)) != 0 && harness->adds >= 65535;
}

static void rounds(struct rp_harness *harness, const struct rp_op *op, struct rp_result *result)
{
    for (uint32_t i = 0; i < op->a; i++) {
        uint64_t offered;
        uint32_t crc;
        bool due;

        if (worn_out(harness) || add(harness, 1, 0, op->b + i, op->flags, 0, &offered) != RP_OK)
            return;
        if ((op->flags & RP_OPF_NO_KICK) == 0)
            kick(harness);
        if (rp_device_read(&harness->device, 1, &crc) != 1)
            return;
        result->crc = rp_crc32(result->crc, &crc, sizeof(crc));
        (void)rp_device_complete(&harness->device, 0, 0, 1, false, &due);
        if (get(harness, &result->token, &result->length) != 1)
            return;
        result->status++;
        if (harness->shared->config.stop_on_finding != 0 && harness->log.failed)
            return;
    }
}

uint32_t rp_operations_offered(const struct rp_driver *driver)
{
    bool pushes = (driver->traits & RP_TRAIT_PUSHES_BUFFERS) != 0;
    uint32_t has = 0;

    has |= (uint32_t)(driver->add != NULL) << RP_OP_ADD;
    has |= (uint32_t)(driver->kick != NULL) << RP_OP_KICK;
    has |= (uint32_t)(driver->get_buf != NULL || pushes) << RP_OP_GET;
    has |= (uint32_t)(driver->disable_cb != NULL) << RP_OP_DISABLE_CB;
    has |= (uint32_t)(driver->enable_cb != NULL) << RP_OP_ENABLE_CB;
    has |= (uint32_t)(driver->enable_cb_delayed != NULL) << RP_OP_ENABLE_CB_DELAYED;
    has |= (uint32_t)(driver->enable_cb_prepare != NULL) << RP_OP_ENABLE_CB_PREPARE;
    has |= (uint32_t)(driver->poll != NULL) << RP_OP_POLL;
    has |= (uint32_t)(driver->interrupt != NULL) << RP_OP_INTERRUPT;
    has |= (uint32_t)(driver->detach_unused != NULL) << RP_OP_DETACH_UNUSED;
    has |= 1u << RP_OP_READ | 1u << RP_OP_COMPLETE | 1u << RP_OP_SET_FLAGS | 1u << RP_OP_SET_AVAIL_EVENT;
    return has;
}

static bool offered(const struct rp_harness *harness, uint8_t code)
{
    if (code == RP_OP_MISCHIEF)
        return harness->hostile.device != NULL;
    if (harness->device.over && code != RP_OP_DETACH_UNUSED)
        return false;
    if (code == RP_OP_ADD && worn_out(harness))
        return false;
    return code == RP_OP_ROUNDS || (code < 32 && (harness->shared->driver_has >> code & 1u) != 0);
}

static void run(struct rp_harness *harness, const struct rp_op *op, struct rp_result *result)
{
    struct rp_device *device = &harness->device;
    bool due = false;

    rp_order_asked(op->code);
    switch (op->code) {
    case RP_OP_ADD:
        result->status = add(harness, op->a, op->in, op->b, op->flags, op->c, &result->token);
        break;
    case RP_OP_KICK:
        kick(harness);
        break;
    case RP_OP_GET:
        result->status = get(harness, &result->token, &result->length);
        break;
    case RP_OP_DISABLE_CB:
        harness->driver.disable_cb(harness->queue);
        rp_device_observe(device);
        rp_notice_disabled(device);
        break;
    case RP_OP_ENABLE_CB:
        result->status = enable(harness, RP_OP_ENABLE_CB, harness->driver.enable_cb);
        break;
    case RP_OP_ENABLE_CB_DELAYED:
        result->status = enable(harness, RP_OP_ENABLE_CB_DELAYED, harness->driver.enable_cb_delayed);
        break;
    case RP_OP_ENABLE_CB_PREPARE:
        harness->mark = harness->driver.enable_cb_prepare(harness->queue);
        result->status = (int32_t)harness->mark;
        rp_device_observe(device);
        rp_notice_prepared(device);
        break;
    case RP_OP_POLL:
        result->status = poll(harness);
        break;
    case RP_OP_INTERRUPT:
        result->status = interrupt(harness);
        break;
    case RP_OP_DETACH_UNUSED:
        result->status = detach(harness, &result->token);
        break;
    case RP_OP_READ:
        result->status = (int32_t)rp_device_read(device, op->a, &result->crc);
        break;
    case RP_OP_COMPLETE:
        result->status = (int32_t)rp_device_complete(device, op->a, op->b, op->c,
                                                     (op->flags & RP_OPF_TOTAL_LENGTH) != 0, &due);
        result->length = due;
        break;
    case RP_OP_SET_FLAGS:
        rp_notice_set_flags(device, (uint16_t)op->a);
        break;
    case RP_OP_SET_AVAIL_EVENT:
        rp_notice_set_avail_event(device, (uint16_t)((op->flags & RP_OPF_RELATIVE) != 0
                                                         ? rp_avail_idx(device) + op->a : op->a));
        break;
    case RP_OP_MISCHIEF:
        result->status = mischief(harness, op, &result->token);
        break;
    default: /* RP_OP_ROUNDS: nothing else is offered */
        rounds(harness, op, result);
        break;
    }
}

static void note_memory(struct rp_harness *harness, struct rp_result *result)
{
    const struct rp_device *device = &harness->device;

    result->notifies = harness->notifies;
    result->callbacks = harness->callbacks;
    result->avail_idx = rp_avail_idx(device);
    result->used_idx = device->used[1];
    result->avail_flags = device->avail[0];
    result->used_event = rp_used_event(device);
    result->num_free = RP_NUM_FREE_UNKNOWN;
    if (harness->driver.num_free == NULL)
        return;
    result->num_free = harness->driver.num_free(harness->queue);
    if (!device->over)
        rp_check(&harness->log, RP_FIND_NUM_FREE,
                 (uint64_t)result->num_free + device->owned <= device->config.queue_size, result->num_free,
                 RP_PAIR(device->owned, device->config.queue_size));
}

/* One operation, and what only shows over several. */
static void step(struct rp_harness *harness, const struct rp_op *op, struct rp_result *result)
{
    bool failed_before = harness->log.failed;

    if (op->code >= RP_OP_DETACH_UNUSED)
        rp_mischief_settle();
    run(harness, op, result);
    if (op->code == RP_OP_GET || op->code == RP_OP_INTERRUPT)
        rp_mischief_settle();
    if (harness->alarmed && (op->code == RP_OP_ADD || op->code == RP_OP_GET))
        judge_alarm(harness, op->code, result->status, failed_before);
    if (op->code == RP_OP_GET)
        harness->quiet = result->status == 0 && rp_ledger_waiting(&harness->device) == 0;
    else if (op->code == RP_OP_COMPLETE || op->code == RP_OP_ROUNDS)
        harness->quiet = false;
}

void rp_operations_run(struct rp_harness *harness, const struct rp_op *ops, struct rp_result *results)
{
    struct rp_shared *shared = harness->shared;
    uint32_t count = shared->op_count, at = 0;

    while (at < count) {
        struct rp_result *result = &results[at];

        *(volatile uint32_t *)&shared->op_current = at;
        harness->log.operation = shared->total_ops;
        harness->notifies = 0;
        harness->callbacks = 0;
        memset(result, 0, sizeof(*result));
        if (offered(harness, ops[at].code))
            step(harness, &ops[at], result);
        else
            result->status = RP_STATUS_UNSUPPORTED;
        rp_order_settle();
        note_memory(harness, result);
        shared->total_ops++;
        at++;
        if (harness->log.failed && shared->config.stop_on_finding != 0)
            break;
    }
    rp_mischief_settle();
    rp_device_check(&harness->device, false);
    rp_arena_check_some(&harness->arena);
    shared->op_current = at;
}
