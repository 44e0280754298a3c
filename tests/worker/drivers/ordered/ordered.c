/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that is right, and orders its accesses in one of several manners; see order.h. Macros leave out or
 * displace one thing each: NO_..., and FAULT_... below. */
#include "ringproof_driver.h"

#include "order.h"

#include <stdbool.h>
#include <string.h>

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct used_entry { uint32_t id, length; };
struct available { uint16_t flags, idx, ring[]; };
struct used { uint16_t flags, idx; struct used_entry ring[]; };
struct chain { void *token; struct descriptor *table; uint32_t count, bytes; };

struct queue {
    const struct rp_env *env;
    struct descriptor   *desc;
    struct available    *avail;
    struct used         *used;
    size_t               ring_bytes, bytes;
    uint32_t             size, free_count;
    uint16_t             free_head, idx, kicked, last_used, told;
    bool                 callbacks;
    struct chain         chains[];
};

static bool with(const struct queue *queue, uint64_t feature)
{
    return (queue->env->features & feature) != 0;
}

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **made)
{
    size_t n = env->queue_size, avail_at = 16 * n, used_at = (avail_at + 2 * n + 6 + 4095) & ~(size_t)4095;
    struct queue *queue;
    uint8_t *ring;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
    queue = env->allocate_private(env->context, sizeof(*queue) + n * sizeof(queue->chains[0]));
    if (queue == NULL)
        return RP_ENOMEM;
    queue->env = env;
    queue->size = queue->free_count = env->queue_size;
    queue->bytes = sizeof(*queue) + n * sizeof(queue->chains[0]);
    queue->ring_bytes = used_at + 8 * n + 6;
    ring = env->allocate(env->context, queue->ring_bytes, 4096, &parts->desc);
    if (ring == NULL) {
        env->release_private(env->context, queue, queue->bytes);
        return RP_ENOMEM;
    }
    memset(ring, 0, queue->ring_bytes);
    queue->desc = (void *)ring;
    queue->avail = (void *)(ring + avail_at);
    queue->used = (void *)(ring + used_at);
    for (uint32_t i = 0; i < queue->size; i++)
        queue->desc[i].next = (uint16_t)(i + 1);
    queue->callbacks = env->has_callback != 0;
    queue->avail->flags = !with(queue, RP_F_EVENT_IDX) && !queue->callbacks;
    parts->avail = parts->desc + avail_at;
    parts->used = parts->desc + used_at;
    *made = queue;
    return RP_OK;
}

static void destroy(void *made)
{
    struct queue *queue = made;
    const struct rp_env *env = queue->env;

    for (uint32_t i = 0; i < queue->size; i++)
        if (queue->chains[i].table != NULL)
            env->release(env->context, queue->chains[i].table, queue->chains[i].bytes);
    env->release(env->context, queue->desc, queue->ring_bytes);
    env->release_private(env->context, queue, queue->bytes);
}

static void put(struct descriptor *at, const struct rp_segment *segment, bool write, bool more, uint16_t next)
{
    struct descriptor descriptor = {segment->address, segment->length, 0, next};

    descriptor.flags = (uint16_t)((more ? 1 : 0) | (write ? 2 : 0));
#ifdef BY_MEMCPY
    static const volatile size_t bytes = sizeof(descriptor); /* not known to the compiler: a call */

    memcpy(at, &descriptor, bytes);
#else
    *at = descriptor;
#endif
}

/* Whether the chain went into a table of its own. */
static bool add_table(struct queue *queue, const struct rp_segment *segments, uint32_t out, uint32_t count)
{
    struct chain *chain = &queue->chains[queue->free_head];
    struct descriptor *head = &queue->desc[queue->free_head];
    uint64_t address;

    if (!with(queue, RP_F_INDIRECT_DESC) || count < 2)
        return false;
    chain->bytes = 16 * count;
    chain->table = queue->env->allocate(queue->env->context, chain->bytes, 16, &address);
    if (chain->table == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        put(&chain->table[i], &segments[i], i >= out, i + 1 < count, (uint16_t)(i + 1));
    head->address = address;
    head->length = chain->bytes;
    head->flags = 4;
    return true;
}

static void publish(struct queue *queue)
{
#if defined(FAULT_KICK_FIRST) || defined(FAULT_WORD_FIRST)
    return;
#endif
#ifdef FAULT_BACKWARDS_FOR_A_MOMENT
    if (queue->idx > 3) {
        STORE(queue->avail->idx, (uint16_t)(queue->idx - 3));
        COMPILER_BARRIER();
    }
#endif
#ifdef NO_RELEASE_ORDER /* the content is ordered, but the index is not */
    __atomic_store_n(&queue->avail->idx, queue->idx, __ATOMIC_RELAXED);
#else
    STORE(queue->avail->idx, queue->idx);
#endif
}

static int add(void *made, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct queue *queue = made;
    uint32_t count = out + in;
    uint16_t head = queue->free_head, at = head, slot = queue->idx & (uint16_t)(queue->size - 1);

    if (token == NULL || count == 0 || count > queue->size)
        return RP_EINVAL;
    if (queue->free_count == 0)
        return RP_ENOSPC;
    if (add_table(queue, segments, out, count)) {
        queue->chains[head].count = 1;
    } else {
        if (queue->free_count < count)
            return RP_ENOSPC;
        for (uint32_t i = 0; i < count; i++) {
            uint16_t next = queue->desc[at].next;

            put(&queue->desc[at], &segments[i], i >= out, i + 1 < count, next);
            at = i + 1 < count ? next : at;
        }
        queue->chains[head].count = count;
    }
    queue->free_head = queue->desc[at].next;
    queue->free_count -= queue->chains[head].count;
    queue->chains[head].token = token;
    queue->idx++;
#ifdef FAULT_DESCRIPTOR_LATE
    uint32_t length = queue->desc[head].length;
#endif
#ifdef FAULT_INDEX_FIRST
    publish(queue);
    COMPILER_BARRIER();
#endif
    queue->avail->ring[slot] = head;
    RELEASE();
#ifdef FAULT_DESCRIPTOR_LATE
    *(volatile uint32_t *)&queue->desc[head].length = 0;
    *(volatile uint32_t *)&queue->desc[head].length = length;
#endif
#ifdef FAULT_TABLE_LATE
    if (queue->chains[head].table != NULL)
        *(volatile uint32_t *)&queue->chains[head].table->length = segments[0].length;
#endif
#ifdef FAULT_SLOT_LATE
    *(volatile uint16_t *)&queue->avail->ring[slot] = head;
#endif
#ifndef FAULT_INDEX_FIRST
    publish(queue);
#endif
#ifdef FAULT_FLAGS_FOR_A_MOMENT
    *(volatile uint16_t *)&queue->avail->flags = 2;
    *(volatile uint16_t *)&queue->avail->flags = !with(queue, RP_F_EVENT_IDX) && !queue->callbacks;
#endif
#ifdef FAULT_OWNED_FOR_A_MOMENT
    {
        volatile uint32_t *length = &queue->desc[head].length;
        uint32_t kept = *length;

        *length = 1;
        *length = kept;
    }
#endif
#ifdef FAULT_SLOT_FOR_A_MOMENT
    {
        volatile uint16_t *place = &queue->avail->ring[slot];

        *place = (uint16_t)(head + 1);
        *place = head;
    }
#endif
#ifdef FAULT_USED_FOR_A_MOMENT
    {
        volatile uint32_t *id = &queue->used->ring[slot].id;
        uint32_t kept = *id;

        *id = kept + 1;
        *id = kept;
    }
#endif
    return RP_OK;
}

static uint16_t look(struct queue *queue)
{
    uint16_t *event = (uint16_t *)&queue->used->ring[queue->size];

    return with(queue, RP_F_EVENT_IDX) ? LOAD(*event) : LOAD(queue->used->flags);
}

static void kick(void *made)
{
    struct queue *queue = made;
    uint16_t from = queue->kicked, word;
    bool wanted;

#ifdef FAULT_KICK_FIRST /* the index is published by the kick, after it has notified */
    if (queue->idx != queue->kicked)
        queue->env->notify(queue->env->context, queue->env->queue_index);
    queue->kicked = queue->idx;
    STORE(queue->avail->idx, queue->idx);
    return;
#endif
#ifdef FAULT_WORD_FIRST /* the index is published by the kick, between the look and what is made of it */
    word = look(queue);
    FULL();
    STORE(queue->avail->idx, queue->idx);
    queue->kicked = queue->idx;
#else
    queue->kicked = queue->idx;
    if (with(queue, RP_F_EVENT_IDX))
        FULL_EVENT();
    else
        FULL_FLAGS();
    word = look(queue);
#endif
    wanted = with(queue, RP_F_EVENT_IDX) ? (uint16_t)(queue->idx - word - 1) < (uint16_t)(queue->idx - from)
                                         : (word & 1) == 0 && queue->idx != from;
#ifdef ALWAYS_KICK
    wanted = true;
#endif
    if (wanted)
        queue->env->notify(queue->env->context, queue->env->queue_index);
}

static int get_buf(void *made, void **token, uint32_t *length)
{
    struct queue *queue = made;
    struct used_entry *entry = &queue->used->ring[queue->last_used & (queue->size - 1)];
    struct chain *chain;
    uint32_t id;
    uint16_t last;

#ifdef FAULT_ENTRY_FIRST
    id = *(volatile uint32_t *)&entry->id;
    COMPILER_BARRIER();
#endif
#ifdef FAULT_INDEX_TOO_SELDOM /* it takes for granted that two come at a time */
    if (queue->last_used == queue->told) {
        queue->told = LOAD(queue->used->idx);
        if (queue->last_used == queue->told)
            return 0;
        ACQUIRE();
        queue->told += queue->told & 1;
    }
#elif defined(NO_ACQUIRE_AT_ALL)
    if (queue->last_used == __atomic_load_n(&queue->used->idx, __ATOMIC_RELAXED))
        return 0;
#else
    if (queue->last_used == LOAD(queue->used->idx))
        return 0;
    ACQUIRE();
#endif
#ifndef FAULT_ENTRY_FIRST
    id = entry->id;
#endif
    if (id >= queue->size || queue->chains[id].token == NULL)
        return RP_EBROKEN;
    chain = &queue->chains[id];
    *token = chain->token;
    *length = entry->length;
    chain->token = NULL;
    if (chain->table != NULL)
        queue->env->release(queue->env->context, chain->table, chain->bytes);
    chain->table = NULL;
    last = (uint16_t)id;
    for (uint32_t i = 1; i < chain->count; i++)
        last = queue->desc[last].next;
    queue->desc[last].next = queue->free_head;
    queue->free_head = (uint16_t)id;
    queue->free_count += chain->count;
    queue->last_used++;
    if (queue->callbacks && with(queue, RP_F_EVENT_IDX)) {
        STORE(queue->avail->ring[queue->size], queue->last_used);
        FULL_REARM();
    }
    return 1;
}

/* Asks for the interrupt after `more` that need none; off, used_event stays behind. */
static void tell(struct queue *queue, bool on, uint16_t more)
{
    queue->callbacks = on;
    if (!with(queue, RP_F_EVENT_IDX))
        STORE(queue->avail->flags, !on);
    else if (on)
        STORE(queue->avail->ring[queue->size], (uint16_t)(queue->last_used + more));
}

static uint16_t used_now(const struct queue *queue)
{
    return (uint16_t)(LOAD(queue->used->idx) - queue->last_used);
}

static void disable_cb(void *made) { tell(made, false, 0); }

static int enable(struct queue *queue, uint16_t more)
{
#ifdef FAULT_LOOK_FIRST
    uint16_t used = used_now(queue);
#endif
    tell(queue, true, more);
    FULL_ARM();
#ifndef FAULT_LOOK_FIRST
    uint16_t used = used_now(queue);
#endif
    return used <= more;
}

static int enable_cb(void *made) { return enable(made, 0); }

static int enable_cb_delayed(void *made)
{
    struct queue *queue = made;

    return enable(queue, (uint16_t)((uint16_t)(queue->idx - queue->last_used) / 2));
}

static uint32_t enable_cb_prepare(void *made)
{
    struct queue *queue = made;

    tell(queue, true, 0);
    return queue->last_used;
}

static int poll(void *made, uint32_t mark)
{
    struct queue *queue = made;

    FULL_ARM();
    return (uint16_t)(used_now(queue) + queue->last_used) != (uint16_t)mark;
}

static int interrupt(void *made)
{
    struct queue *queue = made;

    if (used_now(queue) == 0)
        return 0;
#ifdef PUSHES
    void *token;
    uint32_t length;

    do
        while (get_buf(queue, &token, &length) == 1)
            queue->env->completed(queue->env->context, token, length);
    while (queue->callbacks && !enable(queue, 0));
#else
    if (queue->callbacks)
        queue->env->callback(queue->env->context);
#endif
    return 1;
}

#if defined(FAULT_KICK_FIRST) || defined(FAULT_WORD_FIRST)
#define HABIT RP_TRAIT_PUBLISH_AT_KICK
#elif defined(PUSHES)
#define HABIT RP_TRAIT_PUSHES_BUFFERS
#else
#define HABIT 0u
#endif

const struct rp_driver *rp_driver_entry(void)
{
    static const struct rp_driver driver = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_driver),
        .name = "ordered",
        .features = RP_F_VERSION_1 | RP_F_INDIRECT_DESC | RP_F_EVENT_IDX,
#ifdef NO_TRAIT
        .traits = HABIT,
#else
        .traits = RP_TRAIT_C11_ORDER | HABIT,
#endif
        .create = create,
        .destroy = destroy,
        .add = add,
        .kick = kick,
#ifndef PUSHES
        .get_buf = get_buf,
#endif
        .disable_cb = disable_cb,
        .enable_cb = enable_cb,
        .enable_cb_delayed = enable_cb_delayed,
        .enable_cb_prepare = enable_cb_prepare,
        .poll = poll,
        .interrupt = interrupt,
    };

    return &driver;
}
