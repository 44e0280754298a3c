/* SPDX-License-Identifier: Apache-2.0 */
#include "tinynet.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define ROOM 19u

bool fault_is(const char *name)
{
    const char *fault = getenv("RINGPROOF_TINYNET_FAULT");

    return fault != NULL && strcmp(fault, name) == 0;
}

static uint32_t in(const struct device *d, uint32_t offset, uint32_t width)
{
    return d->env->read(d->env->context, RP_NET_IO, offset, width);
}

static void out(const struct device *d, uint32_t offset, uint32_t width, uint32_t value)
{
    d->env->write(d->env->context, RP_NET_IO, offset, width, value);
}

static int set_up(struct device *d, uint32_t number)
{
    struct queue *q = &d->queues[number];
    size_t used_at;

    out(d, 14, 2, number);
    q->number = number;
    q->size = in(d, 12, 2);
    if (q->size == 0 || q->size > MOST_ENTRIES)
        return RP_NET_ENOENT;
    used_at = (18u * q->size + 6 + PAGE - 1) / PAGE * PAGE;
    q->bytes = used_at + 8u * q->size + 6;
    q->ring = d->env->allocate(d->env->context, q->bytes, PAGE, &q->address);
    if (q->ring == NULL)
        return RP_NET_ENOMEM;
    memset(q->ring, 0, q->bytes);
    q->desc = q->ring;
    q->avail = (volatile void *)((uint8_t *)q->ring + 16u * q->size);
    q->used = (volatile void *)((uint8_t *)q->ring + used_at);
    for (uint32_t i = 0; i < q->size; i++)
        q->desc[i].next = (uint16_t)(i + 1);
    q->num_free = q->size;
    out(d, 8, 4, (uint32_t)(q->address / PAGE) + (fault_is("ring-outside") ? 4096 : 0));
    return RP_NET_OK;
}

static void take_down(struct device *d)
{
    for (uint32_t i = 0; i < d->queue_count; i++) {
        if (d->queues[i].ring == NULL)
            continue;
        out(d, 14, 2, i);
        out(d, 8, 4, 0);
        d->env->release(d->env->context, d->queues[i].ring, d->queues[i].bytes);
    }
}

static int probe(const struct rp_net_env *env, void **device)
{
    struct device *d = env->allocate_private(env->context, sizeof(*d));
    uint64_t wanted = env->features & (UINT64_C(1) << 17 | UINT64_C(1) << 22);
    uint64_t features;
    int error = RP_NET_OK;

    if (d == NULL)
        return RP_NET_ENOMEM;
    memset(d, 0, sizeof(*d));
    d->env = env;
    out(d, 18, 1, 0);
    (void)in(d, 18, 1);
    out(d, 18, 1, 1);
    out(d, 18, 1, 3);
    misbehave_in_probe(d);
    features = in(d, 0, 4) & wanted;
    if (features != wanted)
        features = 0;
    out(d, 4, 4, (uint32_t)features);
    d->pairs = features != 0 ? in(d, 28, 2) : 1;
    d->in_use = 1;
    d->queue_count = 2 * d->pairs + (features != 0);
    for (uint32_t i = 0; i < d->queue_count && error == RP_NET_OK; i++)
        error = set_up(d, i);
    if (error != RP_NET_OK) {
        take_down(d);
        out(d, 18, 1, 0x83);
        if (!fault_is("leak-in-failed-probe"))
            env->release_private(env->context, d, sizeof(*d));
        return fault_is("probe-positive") ? 5 : error;
    }
    out(d, 18, 1, 7);
    *device = d;
    return RP_NET_OK;
}

static void publish(struct device *d, struct queue *q, uint16_t head)
{
    uint16_t idx = q->avail[1];

    q->avail[2 + idx % q->size] = head;
    __atomic_store_n(&q->avail[1], (uint16_t)(idx + 1), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if ((q->used[0] & 1) == 0)
        out(d, 16, 2, q->number);
}

/* Takes a descriptor and fills it; the chain goes on with the next free one unless it is the last. */
static uint16_t put(struct queue *q, uint64_t address, uint32_t length, bool last, uint16_t flags)
{
    uint16_t at = q->free_head;

    q->free_head = q->desc[at].next;
    q->num_free--;
    q->desc[at].address = address;
    q->desc[at].length = length;
    q->desc[at].flags = (uint16_t)(flags | (last ? 0 : 1));
    return at;
}

static void give_back(struct queue *q, uint16_t head)
{
    uint16_t at = head;

    q->num_free++;
    while ((q->desc[at].flags & 1) != 0) {
        at = q->desc[at].next;
        q->num_free++;
    }
    q->desc[at].next = q->free_head;
    q->free_head = head;
}

static void reclaim(struct device *d, struct queue *q)
{
    while (q->last_used != __atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE)) {
        uint16_t head = q->used[2 + 4 * (q->last_used % q->size)];
        const struct rp_net_frame *frame = q->frames[head];
        uint32_t length = frame->packet->length;

        q->last_used++;
        q->frames[head] = NULL;
        give_back(q, head);
        d->env->freed(d->env->context, frame->token);
        q->count.tx_packets++;
        q->count.tx_bytes += fault_is("use-after-free") ? frame->packet->length : length;
    }
}

static uint32_t count_pieces(const struct rp_net_packet *packet)
{
    uint32_t count = packet->head_length != 0;

    for (uint32_t i = 0; i < packet->fragment_count; i++)
        count += packet->fragments[i].length != 0;
    for (packet = packet->list; packet != NULL; packet = packet->next)
        count += count_pieces(packet);
    return count;
}

static void put_pieces(struct queue *q, const struct rp_net_packet *packet, uint32_t *left)
{
    if (packet->head_length != 0)
        (void)put(q, packet->head_address, packet->head_length, --*left == 0, 0);
    for (uint32_t i = 0; i < packet->fragment_count; i++)
        if (packet->fragments[i].length != 0)
            (void)put(q, packet->fragments[i].page_address + packet->fragments[i].offset,
                      packet->fragments[i].length, --*left == 0, 0);
    for (packet = packet->list; packet != NULL; packet = packet->next)
        put_pieces(q, packet, left);
}

static void stop_if_full(struct device *d, struct queue *q)
{
    bool stopped = q->num_free < (q->size < ROOM ? q->size : ROOM);

    if (stopped == q->stopped)
        return;
    q->stopped = stopped;
    if (stopped)
        d->env->stop_queue(d->env->context, q->number / 2);
    else
        d->env->wake_queue(d->env->context, q->number / 2);
}

static void transmit(void *device, uint32_t pair, const struct rp_net_frame *frame)
{
    struct device *d = device;
    struct queue *q = &d->queues[2 * pair + 1];
    uint32_t pieces = count_pieces(frame->packet);
    uint16_t head;

    reclaim(d, q);
    misbehave_in_transmit(d, frame);
    if (fault_is("keep"))
        return;
    if (1 + pieces > q->num_free || frame->gso != RP_NET_GSO_NONE || frame->checksum != 0) {
        q->count.tx_fifo_errors++;
        q->count.tx_dropped++;
        d->env->freed(d->env->context, frame->token);
        if (fault_is("free-twice"))
            d->env->freed(d->env->context, frame->token);
        return;
    }
    memset(frame->control, 0, HEADER_BYTES);
    misbehave_with_others(q);
    head = put(q, frame->control_address, HEADER_BYTES, false, 0);
    put_pieces(q, frame->packet, &pieces);
    q->frames[head] = frame;
    publish(d, q, head);
    d->env->orphaned(d->env->context, frame->token);
    stop_if_full(d, q);
    misbehave_after_transmit(d, q, frame);
    d->sent++;
}

static int interrupt(void *device)
{
    struct device *d = device;
    uint32_t isr = in(d, 19, 1);

    if (fault_is("odd-interrupt"))
        return 7;
    if (isr == 0)
        return 0;
    for (uint32_t pair = 0; pair < d->pairs; pair++) {
        reclaim(d, &d->queues[2 * pair + 1]);
        stop_if_full(d, &d->queues[2 * pair + 1]);
    }
    return 1;
}

static void remove_driver(void *device)
{
    struct device *d = device;
    const struct rp_net_env *env = d->env;

    out(d, 18, 1, 0);
    if (in(d, 18, 1) != 0)
        return; /* such a device may still write to all this */
    misbehave_in_remove(d);
    for (uint32_t pair = 0; pair < d->pairs; pair++)
        for (uint32_t i = 0; i < MOST_ENTRIES; i++)
            if (d->queues[2 * pair + 1].frames[i] != NULL && !fault_is("never-free"))
                env->freed(env->context, d->queues[2 * pair + 1].frames[i]->token);
    take_down(d);
    if (!fault_is("leak-private"))
        env->release_private(env->context, d, sizeof(*d));
}

static int set_pairs(void *device, uint32_t pairs)
{
    struct device *d = device;
    struct queue *q = &d->queues[2 * d->pairs];
    uint64_t address;
    uint8_t *block;
    uint16_t head, ack;

    if (pairs == 0 || pairs > d->pairs)
        return fault_is("odd-set-pairs") ? 0 : RP_NET_EINVAL;
    if (d->queue_count == 2 * d->pairs)
        return RP_NET_OK;
    block = d->env->allocate(d->env->context, 8, 8, &address);
    if (block == NULL)
        return RP_NET_ENOMEM;
    memcpy(block, "\4\0", 2);
    block[2] = (uint8_t)pairs;
    block[3] = 0;
    block[4] = 0xff;
    if (fault_is("control-order"))
        (void)put(q, address + 4, 1, false, 2);
    head = put(q, fault_is("control-memory") ? 0x1000 : address, 4, fault_is("control-answer"), 0);
    if (fault_is("control-order"))
        head = 0;
    if (!fault_is("control-answer"))
        (void)put(q, address + 4, 1, true, 2);
    if (fault_is("control-chain"))
        q->desc[head].next = 0xfff;
    if (fault_is("control-index"))
        q->avail[1] = (uint16_t)(q->avail[1] + 1000);
    publish(d, q, head);
    for (uint32_t i = 0; q->last_used == __atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE); i++)
        if (i == 1000)
            return RP_NET_ETIMEDOUT;
    q->last_used++;
    give_back(q, head);
    ack = block[4];
    d->env->release(d->env->context, block, 8);
    if (ack != 0)
        return RP_NET_EINVAL;
    d->in_use = pairs;
    return RP_NET_OK;
}

static uint32_t select_queue(void *device, const struct rp_net_frame *frame)
{
    const struct device *d = device;

    if (fault_is("select-range"))
        return d->in_use;
    return (frame->queue_recorded ? frame->recorded_queue : frame->cpu) % d->in_use;
}

static void statistics(void *device, uint32_t pair, struct rp_net_statistics *to)
{
    const struct device *d = device;

    *to = d->queues[2 * pair + 1].count;
    to->num_free = d->queues[2 * pair + 1].num_free;
}

const struct rp_net_driver *rp_net_driver_entry(void)
{
    static struct rp_net_driver driver = {
        .abi_version = RP_NET_ABI_VERSION,
        .size = sizeof(struct rp_net_driver),
        .name = "tinynet",
        .features = UINT64_C(1) << 17 | UINT64_C(1) << 22,
        .transports = 1u << RP_NET_LEGACY,
        .probe = probe,
        .remove = remove_driver,
        .set_pairs = set_pairs,
        .select_queue = select_queue,
        .transmit = transmit,
        .interrupt = interrupt,
        .statistics = statistics,
    };

    if (fault_is("abi-version"))
        driver.abi_version = 7;
    if (fault_is("abi-size"))
        driver.size = 16;
    if (fault_is("no-probe"))
        driver.probe = NULL;
    if (fault_is("no-remove"))
        driver.remove = NULL;
    if (fault_is("no-transmit"))
        driver.transmit = NULL;
    if (fault_is("no-interrupt"))
        driver.interrupt = NULL;
    if (fault_is("no-statistics"))
        driver.statistics = NULL;
    if (fault_is("no-transport"))
        driver.transports = 0;
    if (fault_is("no-select-queue"))
        driver.select_queue = NULL;
    if (fault_is("no-set-pairs"))
        driver.set_pairs = NULL;
    if (fault_is("crash-on-load"))
        abort();
    return fault_is("no-table") ? NULL : &driver;
}
