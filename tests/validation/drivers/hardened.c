/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that believes nothing the device writes: descriptors are never read back, an id must be that of a
 * chain in flight, used_idx may not run past what is outstanding, each word of a used entry is read once. Each
 * HARDENED_ switch takes one of these away, as it was missing in some driver once.
 */
#include "ringproof_driver.h"

#include <stdbool.h>
#include <string.h>

#define FEATURES (RP_F_INDIRECT_DESC | RP_F_EVENT_IDX | RP_F_VERSION_1 | RP_F_IN_ORDER)

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

/* What is known of a descriptor without looking at it. */
struct shadow {
    uint64_t address; /* as mapped */
    uint32_t length;
    uint16_t next; /* of the chain, or the descriptor itself at its end */
};

/* What is known of a chain, by its head; the token is null when it is not in flight. */
struct chain {
    void              *token;
    struct descriptor *table; /* or null */
    struct shadow     *mapped; /* of a table: its segments */
    uint32_t           descriptors, segments, writable;
};

struct queue {
    const struct rp_env *env;
    uint32_t n;
    volatile struct descriptor *desc;
    volatile uint16_t *avail, *used;
    void *memory[3];
    size_t bytes[3];
    struct shadow *shadow;
    struct chain *chains;
    uint16_t *free_ring, *order; /* free descriptors; heads as they were added */
    uint32_t free_first, free_count, order_first, in_flight, batch;
    uint16_t avail_idx, last_used, kicked;
    bool event_idx, indirect, in_order, callbacks, broken;
};

static void *take(const struct rp_env *env, size_t bytes)
{
    return env->allocate_private(env->context, bytes);
}

static void drop(const struct rp_env *env, void *memory, size_t bytes)
{
    if (memory != NULL)
        env->release_private(env->context, memory, bytes);
}

static void destroy_parts(struct queue *q)
{
    const struct rp_env *env = q->env;

    for (int i = 0; i < 3; i++)
        if (q->memory[i] != NULL)
            env->release(env->context, q->memory[i], q->bytes[i]);
    drop(env, q->shadow, q->n * sizeof(*q->shadow));
    drop(env, q->chains, q->n * sizeof(*q->chains));
    drop(env, q->free_ring, q->n * sizeof(*q->free_ring));
    drop(env, q->order, q->n * sizeof(*q->order));
    drop(env, q, sizeof(*q));
}

static bool allocate_parts(struct queue *q, struct rp_ring_parts *parts)
{
    const struct rp_env *env = q->env;
    size_t n = q->n, used = (16 * n + 6 + 2 * n + 4095) & ~(size_t)4095;

    q->shadow = take(env, n * sizeof(*q->shadow));
    q->chains = take(env, n * sizeof(*q->chains));
    q->free_ring = take(env, n * sizeof(*q->free_ring));
    q->order = take(env, n * sizeof(*q->order));
    if (env->layout == RP_LAYOUT_LEGACY) {
        q->bytes[0] = used + 6 + 8 * n;
        q->memory[0] = env->allocate(env->context, q->bytes[0], 4096, &parts->desc);
        parts->avail = parts->desc + 16 * n;
        parts->used = parts->desc + used;
        q->desc = q->memory[0];
        q->avail = (void *)((char *)q->memory[0] + 16 * n);
        q->used = (void *)((char *)q->memory[0] + used);
    } else {
        q->desc = q->memory[0] = env->allocate(env->context, q->bytes[0] = 16 * n, 16, &parts->desc);
        q->avail = q->memory[1] = env->allocate(env->context, q->bytes[1] = 6 + 2 * n, 2, &parts->avail);
        q->used = q->memory[2] = env->allocate(env->context, q->bytes[2] = 6 + 8 * n, 4, &parts->used);
        if (q->memory[1] == NULL || q->memory[2] == NULL)
            return false;
    }
    return q->memory[0] != NULL && q->shadow != NULL && q->chains != NULL && q->free_ring != NULL &&
           q->order != NULL;
}

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
    uint32_t n = env->queue_size;
    struct queue *q;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
    q = take(env, sizeof(*q));
    if (q == NULL)
        return RP_ENOMEM;
    q->env = env;
    q->n = n;
    if (!allocate_parts(q, parts)) {
        destroy_parts(q);
        return RP_ENOMEM;
    }
    for (int i = 0; i < 3; i++)
        if (q->memory[i] != NULL)
            memset(q->memory[i], 0, q->bytes[i]);
    for (uint32_t i = 0; i < n; i++)
        q->free_ring[i] = (uint16_t)i;
    q->free_count = n;
    q->event_idx = (env->features & RP_F_EVENT_IDX) != 0;
    q->indirect = (env->features & RP_F_INDIRECT_DESC) != 0;
    q->in_order = (env->features & RP_F_IN_ORDER) != 0;
    q->callbacks = env->has_callback != 0;
    if (!q->callbacks && !q->event_idx)
        q->avail[0] = 1;
    *queue = q;
    return RP_OK;
}

static uint16_t take_free(struct queue *q)
{
    uint16_t at = q->free_ring[q->free_first];

    q->free_first = (q->free_first + 1) % q->n;
    q->free_count--;
    return at;
}

static void give_free(struct queue *q, uint16_t at)
{
    q->free_ring[(q->free_first + q->free_count) % q->n] = at;
    q->free_count++;
}

static void unmap_all(struct queue *q, uint16_t head)
{
    const struct rp_env *env = q->env;
    struct chain *chain = &q->chains[head];

    if (chain->mapped == NULL)
        return;
    for (uint32_t i = 0; i < chain->segments; i++) {
        uint64_t address = chain->mapped[i].address;
        uint32_t length = chain->mapped[i].length;

#ifdef HARDENED_H6
        if (chain->table != NULL)
            address = chain->table[i].address, length = chain->table[i].length;
        else if (i == 0)
            address = q->desc[head].address, length = q->desc[head].length;
#endif
        env->unmap(env->context, address, length);
    }
    drop(env, chain->mapped, chain->segments * sizeof(*chain->mapped));
    chain->mapped = NULL;
}

/* A chain is the driver's again: its mappings, its table and its descriptors. */
static void retire(struct queue *q, uint16_t head)
{
    const struct rp_env *env = q->env;
    struct chain *chain = &q->chains[head];
    uint16_t at = head;

    unmap_all(q, head);
    if (chain->table != NULL)
        env->release(env->context, chain->table, chain->segments * sizeof(*chain->table));
    chain->table = NULL;
#ifdef HARDENED_H2
    while ((q->desc[at].flags & DESC_NEXT) != 0) {
        uint16_t next = q->desc[at].next;

        give_free(q, at);
        at = next;
    }
    give_free(q, at);
#else
    for (uint32_t i = 0; i < chain->descriptors; i++) {
        give_free(q, at);
        at = q->shadow[at].next;
    }
#endif
#ifndef HARDENED_H3
    chain->token = NULL;
#endif
    q->in_flight--;
}

static bool map_all(struct queue *q, struct chain *chain, const struct rp_segment *segments)
{
    const struct rp_env *env = q->env;
    uint32_t total = chain->segments;

    chain->mapped = take(env, total * sizeof(*chain->mapped));
    if (chain->mapped == NULL)
        return false;
    for (uint32_t i = 0; i < total; i++) {
        chain->mapped[i].length = segments[i].length;
        if (env->map(env->context, segments[i].data, segments[i].length, &chain->mapped[i].address) == 0)
            continue;
        while (i-- > 0)
            env->unmap(env->context, chain->mapped[i].address, chain->mapped[i].length);
        drop(env, chain->mapped, total * sizeof(*chain->mapped));
        chain->mapped = NULL;
        return false;
    }
    return true;
}

static void write_chain(struct queue *q, const struct chain *chain, uint16_t head, uint64_t table, uint32_t out)
{
    uint32_t total = chain->segments;
    uint16_t at = head;

    for (uint32_t i = 0; i < total; i++) {
        bool last = i + 1 == total;
        uint16_t flags = (uint16_t)((last ? 0 : DESC_NEXT) | (i >= out ? DESC_WRITE : 0));
        struct descriptor entry = {chain->mapped[i].address, chain->mapped[i].length, flags, 0};

        if (chain->table != NULL) {
            entry.next = (uint16_t)(last ? 0 : i + 1);
            chain->table[i] = entry;
            continue;
        }
        if (!last)
            q->shadow[at].next = take_free(q);
        entry.next = last ? 0 : q->shadow[at].next;
        q->desc[at].address = entry.address;
        q->desc[at].length = entry.length;
        q->desc[at].flags = entry.flags;
        q->desc[at].next = entry.next;
        at = last ? at : entry.next;
    }
    if (chain->table == NULL)
        return;
    q->desc[head].address = table;
    q->desc[head].length = total * 16;
    q->desc[head].flags = DESC_INDIRECT;
    q->desc[head].next = 0;
}

static int add(void *queue, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct queue *q = queue;
    uint32_t total = out + in;
    struct chain chain = {.token = token, .segments = total, .descriptors = total};
    uint64_t table = 0;
    uint16_t head;

    if (token == NULL || total == 0 || total > q->n)
        return RP_EINVAL;
    if (q->broken)
        return RP_EBROKEN;
    if (q->free_count == 0 || !map_all(q, &chain, segments))
        return RP_ENOSPC;
    if (q->indirect && total > 1)
        chain.table = q->env->allocate(q->env->context, total * sizeof(*chain.table), 16, &table);
    if (chain.table != NULL)
        chain.descriptors = 1;
    head = q->free_ring[q->free_first];
    if (q->free_count < chain.descriptors) {
        chain.token = q->chains[head].token;
        q->chains[head] = chain;
        for (uint32_t i = 0; i < total; i++)
            q->env->unmap(q->env->context, chain.mapped[i].address, chain.mapped[i].length);
        drop(q->env, chain.mapped, total * sizeof(*chain.mapped));
        q->chains[head].mapped = NULL;
        return RP_ENOSPC;
    }
    (void)take_free(q);
    for (uint32_t i = out; i < total; i++)
        chain.writable += segments[i].length;
    q->chains[head] = chain;
    write_chain(q, &chain, head, table, out);
    q->order[(q->order_first + q->in_flight) % q->n] = head;
    q->in_flight++;
    q->avail[2 + (q->avail_idx & (q->n - 1))] = head;
    __atomic_store_n(&q->avail[1], ++q->avail_idx, __ATOMIC_RELEASE);
    return RP_OK;
}

static void kick(void *queue)
{
    struct queue *q = queue;
    uint16_t fresh = (uint16_t)(q->avail_idx - q->kicked), old = q->kicked;
    bool wanted;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    q->kicked = q->avail_idx;
    if (q->event_idx)
        wanted = (uint16_t)(q->used[2 + 4 * q->n] - old) < fresh;
    else
        wanted = (q->used[0] & 1u) == 0;
    if (wanted && !q->broken)
        q->env->notify(q->env->context, q->env->queue_index);
}

static void arm(struct queue *q)
{
    if (q->event_idx && q->callbacks)
        q->avail[2 + q->n] = q->last_used;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static int broken(struct queue *q)
{
    q->broken = true;
    return RP_EBROKEN;
}

static bool known(const struct queue *q, uint32_t id)
{
#if defined(HARDENED_H1)
    return q->chains[id].token != NULL || id >= q->n;
#elif defined(HARDENED_H5)
    return id <= q->n && q->chains[id].token != NULL;
#else
    return id < q->n && q->chains[id].token != NULL;
#endif
}

/* With IN_ORDER an entry retires all chains up to the one it names: how many, 0 if it names none of the next. */
static uint32_t batch_to(const struct queue *q, uint32_t id, uint32_t most)
{
    for (uint32_t i = 0; i < q->in_flight && i < most; i++)
        if (q->order[(q->order_first + i) % q->n] == id)
            return i + 1;
    return 0;
}

static int get_buf(void *queue, void **token, uint32_t *length)
{
    struct queue *q = queue;
    uint16_t pending = (uint16_t)(__atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE) - q->last_used);
    volatile uint32_t *entry = (volatile uint32_t *)(volatile void *)&q->used[2 + 4 * (q->last_used & (q->n - 1))];
    uint32_t id = entry[0], written = entry[1];

    if (q->broken)
        return RP_EBROKEN;
    if (pending == 0)
        return 0;
#ifndef HARDENED_H3
    if (pending > q->in_flight)
        return broken(q);
#endif
#ifdef HARDENED_H7
    id = (uint16_t)id;
#endif
    if (q->in_order && q->batch == 0)
        q->batch = batch_to(q, id, pending);
    if (q->in_order && q->batch == 0)
        return broken(q);
    if (q->in_order) {
        written = q->batch == 1 ? written : 0;
        id = q->order[q->order_first];
        q->batch--;
    } else if (!known(q, id)) {
        return broken(q);
    }
#ifdef HARDENED_F6
    id = q->in_order ? id : entry[0];
#endif
    *token = q->chains[id].token;
    *length = written <= q->chains[id].writable ? written : q->chains[id].writable;
    retire(q, (uint16_t)id);
    if (q->in_order)
        q->order_first = (q->order_first + 1) % q->n;
    q->last_used++;
    arm(q);
    return 1;
}

static void disable_cb(void *queue)
{
    struct queue *q = queue;

    q->callbacks = false;
    if (!q->event_idx)
        q->avail[0] = 1;
}

static int enable_cb(void *queue)
{
    struct queue *q = queue;

    q->callbacks = true;
    if (!q->event_idx)
        q->avail[0] = 0;
    arm(q);
    return __atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE) == q->last_used;
}

static int interrupt(void *queue)
{
    struct queue *q = queue;

    if (q->broken || __atomic_load_n(&q->used[1], __ATOMIC_ACQUIRE) == q->last_used)
        return 0;
    if (q->env->has_callback)
        q->env->callback(q->env->context);
    return 1;
}

static uint32_t num_free(void *queue)
{
    return ((struct queue *)queue)->free_count;
}

static int detach_unused(void *queue, void **token)
{
    struct queue *q = queue;

    for (uint32_t head = 0; head < q->n; head++) {
        if (q->chains[head].mapped == NULL)
            continue;
        *token = q->chains[head].token;
        retire(q, (uint16_t)head);
        return 1;
    }
    return 0;
}

static void destroy(void *queue)
{
    struct queue *q = queue;

    for (uint32_t head = 0; head < q->n; head++)
        if (q->chains[head].mapped != NULL)
            retire(q, (uint16_t)head);
    destroy_parts(q);
}

const struct rp_driver *rp_driver_entry(void)
{
    static const struct rp_driver driver = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_driver),
        .name = "hardened",
        .features = FEATURES,
        .traits = RP_TRAIT_MAPS,
        .create = create,
        .destroy = destroy,
        .add = add,
        .kick = kick,
        .get_buf = get_buf,
        .disable_cb = disable_cb,
        .enable_cb = enable_cb,
        .interrupt = interrupt,
        .num_free = num_free,
        .detach_unused = detach_unused,
    };

    return &driver;
}
