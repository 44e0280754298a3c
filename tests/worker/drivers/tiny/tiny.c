/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small driver of its own make (a stack of free descriptors, three allocations for the ring) that goes
 * wrong in the way the environment variable RINGPROOF_TINY_FAULT names, and is correct without it. Three
 * names are no faults but habits: "publish-at-kick", "push" and "rearm-once".
 */
#include "tiny.h"

#include <stdlib.h>
#include <string.h>

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
    struct tiny *t = env->allocate_private(env->context, sizeof(*t));

    if (fault("create-fails"))
        return RP_ENOMEM;
    t->env = env;
    t->n = env->queue_size;
    t->event = (env->features & RP_F_EVENT_IDX) != 0;
    t->desc = env->allocate(env->context, desc_bytes(t), 16, &t->parts.desc);
    t->avail = env->allocate(env->context, avail_bytes(t), 2, &t->parts.avail);
    t->used = env->allocate(env->context, used_bytes(t), 4, &t->parts.used);
    t->free_stack = env->allocate_private(env->context, t->n * sizeof(t->free_stack[0]));
    t->slots = env->allocate_private(env->context, t->n * sizeof(t->slots[0]));
    if (!t->desc || !t->avail || !t->used || !t->free_stack || !t->slots)
        return RP_ENOMEM;
    memset(t->desc, 0, desc_bytes(t));
    memset((void *)(uintptr_t)t->avail, 0, avail_bytes(t));
    memset((void *)(uintptr_t)t->used, 0, used_bytes(t));
    for (uint32_t i = 0; i < t->n; i++)
        t->free_stack[i] = (uint16_t)(t->n - 1 - i);
    t->free_count = t->n;
    t->callbacks_on = env->has_callback != 0;
    if (!t->callbacks_on && !t->event)
        t->avail[0] = 1;
    *parts = t->parts;
    *queue = t;
    misplace(t, parts);
    return RP_OK;
}

static void destroy(void *queue)
{
    struct tiny *t = queue;
    const struct rp_env *env = t->env;

    for (uint32_t i = 0; i < t->n; i++)
        if (t->slots[i].table != NULL)
            env->release(env->context, t->slots[i].table, 16 * (size_t)t->slots[i].entries);
    env->release(env->context, t->desc, desc_bytes(t));
    if (fault("double-release"))
        env->release(env->context, t->desc, desc_bytes(t));
    if (fault("write-after-release"))
        t->desc[0].addr = 1;
    if (!fault("leak"))
        env->release(env->context, (void *)(uintptr_t)t->avail, avail_bytes(t));
    env->release(env->context, (void *)(uintptr_t)t->used, used_bytes(t) - (fault("release-size") ? 2 : 0));
    env->release_private(env->context, t->free_stack, t->n * sizeof(t->free_stack[0]));
    env->release_private(env->context, t->slots, t->n * sizeof(t->slots[0]));
    if (!fault("leak-private"))
        env->release_private(env->context, t, sizeof(*t));
    if (fault("crash-destroy"))
        abort();
}

static void fill(struct desc *d, const struct rp_segment *segment, int write, int next)
{
    d->addr = segment->address;
    d->len = segment->length;
    d->flags = (uint16_t)((write ? WRITE : 0) | (next ? NEXT : 0));
}

static uint16_t pop(struct tiny *t)
{
    return t->free_stack[--t->free_count];
}

static uint16_t place_direct(struct tiny *t, const struct rp_segment *segments, uint32_t out, uint32_t total)
{
    uint16_t head = pop(t), at = head;

    for (uint32_t i = 0; i < total; i++) {
        int writable = fault("write-first") ? i < total - out : i >= out;

        fill(&t->desc[at], &segments[i], writable, i + 1 < total);
        if (i + 1 < total)
            at = t->desc[at].next = pop(t);
    }
    t->slots[head].count = total;
    return head;
}

static uint16_t place_table(struct tiny *t, const struct rp_segment *segments, uint32_t out, uint32_t total,
                            struct desc *table, uint64_t address)
{
    uint16_t head = pop(t);

    for (uint32_t i = 0; i < total; i++) {
        fill(&table[i], &segments[i], i >= out, i + 1 < total);
        table[i].next = (uint16_t)(i + 1 < total ? i + 1 : 0);
    }
    t->desc[head].addr = address;
    t->desc[head].len = 16 * total;
    t->desc[head].flags = INDIRECT;
    t->slots[head].table = table;
    t->slots[head].entries = total;
    t->slots[head].count = 1;
    return head;
}

/* Moves avail_idx, or does what it should not with it. */
static void publish(struct tiny *t)
{
    t->avail_idx++;
    if (fault("publish-nothing") || fault("publish-at-kick"))
        return;
    if (fault("publish-twice") && t->adds == 2)
        t->avail_idx++;
    if (fault("publish-backwards") && t->adds == 2)
        t->avail_idx -= 2;
    if (fault("publish-modulo"))
        t->avail_idx &= (uint16_t)(t->n - 1);
    if (fault("publish-far"))
        t->avail_idx = (uint16_t)(t->avail_idx + t->n);
    __atomic_store_n(&t->avail[1], t->avail_idx, __ATOMIC_RELEASE);
}

static int add(void *queue, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct tiny *t = queue;
    uint32_t total = out + in, needed = total;
    struct desc *table = NULL;
    uint64_t address = 0;
    uint16_t head;

    t->adds++;
    if (fault("hang") && t->adds == 3)
        for (;;)
            ;
    misbehave(t);
    if (fault("nonsense-add"))
        return 42;
    if (fault("null-accepted") && token == NULL)
        return RP_OK;
    if (fault("too-long-is-full") && total > t->n)
        return RP_ENOSPC;
    if (token == NULL || total == 0 || (total > t->n && !fault("chain-too-long")))
        return RP_EINVAL;
    if (fault("decline-long") && total > 2)
        return RP_EINVAL;
    if (fault("decline-at-times") && t->adds % 4 == 3)
        return RP_EINVAL;
    if (fault("refuse-always"))
        return RP_ENOSPC;
    if (fault("refuse") && t->free_count < t->n)
        return RP_ENOSPC;
    if ((t->env->features & RP_F_INDIRECT_DESC) != 0 && total > 1 && t->free_count > 0)
        table = t->env->allocate(t->env->context, 16 * (size_t)total, 16, &address);
    if (table != NULL)
        needed = 1;
    if (t->free_count < needed && !fault("noise")) {
        if (table != NULL)
            t->env->release(t->env->context, table, 16 * (size_t)total);
        return RP_ENOSPC;
    }
    if (t->free_count < needed)
        t->free_count = t->n;
    head = table != NULL ? place_table(t, segments, out, total, table, address)
                         : place_direct(t, segments, out, total);
    if (fault("reuse") && t->free_count > 0)
        t->free_stack[t->free_count - 1] = head;
    t->slots[head].token = token;
    t->avail[2 + (t->avail_idx & (t->n - 1))] = head;
    scribble(t, head);
    if (fault("change-outstanding") && t->adds == 2)
        t->desc[head ^ 1].len ^= 1;
    if (fault("change-slot") && t->adds == 2)
        t->avail[2]++;
    publish(t);
    if (fault("refused-but-published"))
        return RP_ENOSPC;
    return RP_OK;
}

static void kick(void *queue)
{
    struct tiny *t = queue;
    uint16_t old = t->kicked;
    int needed;

    if (fault("publish-at-kick"))
        __atomic_store_n(&t->avail[1], t->avail_idx, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    t->kicked = t->avail_idx;
    if (t->event)
        needed = (uint16_t)(t->avail_idx - *avail_event(t) - 1) < (uint16_t)(t->avail_idx - old);
    else
        needed = (t->used[0] & 1) == 0;
    if (fault("kick-never"))
        needed = 0;
    if (fault("kick-always"))
        needed = 1;
    if (fault("change-table"))
        for (uint32_t i = 0; i < t->n; i++)
            if (t->slots[i].table != NULL)
                t->slots[i].table[0].len++;
    if (needed)
        t->env->notify(t->env->context, t->env->queue_index + (fault("kick-value") ? 1u : 0u));
}

static int more(struct tiny *t)
{
    return __atomic_load_n(&t->used[1], __ATOMIC_ACQUIRE) != t->last_used;
}

static void free_chain(struct tiny *t, uint16_t head)
{
    struct slot *slot = &t->slots[head];
    uint32_t count = slot->count;

    if (slot->table != NULL)
        t->env->release(t->env->context, slot->table, 16 * (size_t)slot->entries);
    memset(slot, 0, sizeof(*slot));
    for (uint16_t at = head; count > 0 && t->free_count < t->n; count--) {
        uint16_t next = t->desc[at].next;

        if (!fault("leak-descriptors") || count == 1)
            t->free_stack[t->free_count++] = at;
        at = (uint16_t)(next & (t->n - 1));
    }
}

static int get_buf(void *queue, void **token, uint32_t *length)
{
    struct tiny *t = queue;
    volatile uint16_t *entry;
    uint16_t head;

    if (fault("nonsense-get"))
        return -77;
    if (fault("broken"))
        return RP_EBROKEN;
    if (!more(t) || fault("withhold"))
        return 0;
    entry = &t->used[2 + 4 * (t->last_used & (t->n - 1))];
    head = (uint16_t)(entry[0] & (t->n - 1));
    *token = t->slots[head].token;
    *length = (uint32_t)entry[2] | (uint32_t)entry[3] << 16;
    if (fault("wrong-token"))
        *token = (char *)*token + 1;
    if (fault("wrong-length"))
        ++*length;
    free_chain(t, head);
    t->last_used++;
    t->gets++;
    if (fault("return-twice") && t->gets == 1)
        t->last_used--;
    if (t->event && t->callbacks_on && !fault("event-stale") && !fault("rearm-once"))
        *used_event(t) = t->last_used;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return 1;
}

static void disable_cb(void *queue)
{
    struct tiny *t = queue;

    t->callbacks_on = 0;
    if (!t->event || fault("avail-flags-event"))
        t->avail[0] = 1;
}

static uint32_t enable_cb_prepare(void *queue)
{
    struct tiny *t = queue;

    t->callbacks_on = 1;
    if (t->event)
        *used_event(t) = t->last_used;
    else if (!fault("flags-left"))
        t->avail[0] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return t->last_used;
}

static int poll(void *queue, uint32_t mark)
{
    struct tiny *t = queue;

    return !fault("poll-blind") && t->used[1] != (uint16_t)mark;
}

static int enable_cb(void *queue)
{
    return !poll(queue, enable_cb_prepare(queue));
}

static int pushes(void)
{
    return fault("push") || fault("push-one");
}

static int interrupt(void *queue)
{
    struct tiny *t = queue;

    if (!more(t) || fault("interrupt-missed"))
        return 0;
    if (pushes()) {
        void *token;
        uint32_t length;

        while (get_buf(t, &token, &length) == 1) {
            t->env->completed(t->env->context, token, length);
            if (fault("push-one"))
                break;
        }
    } else if (t->env->has_callback) {
        t->env->callback(t->env->context);
    }
    return 1;
}

static uint32_t num_free(void *queue)
{
    struct tiny *t = queue;

    return fault("num-free-fixed") ? t->n : t->free_count;
}

static int detach_unused(void *queue, void **token)
{
    struct tiny *t = queue;

    for (uint32_t i = 0; i < t->n; i++) {
        if (t->slots[i].token == NULL || fault("detach-none"))
            continue;
        *token = t->slots[i].token;
        if (fault("detach-twice"))
            return 1;
        free_chain(t, (uint16_t)i);
        return 1;
    }
    return 0;
}

const struct rp_driver *rp_driver_entry(void)
{
    static struct rp_driver driver = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_driver),
        .name = "tiny",
        .features = RP_F_INDIRECT_DESC | RP_F_EVENT_IDX | RP_F_VERSION_1,
        .create = create,
        .destroy = destroy,
        .add = add,
        .kick = kick,
        .get_buf = get_buf,
        .disable_cb = disable_cb,
        .enable_cb = enable_cb,
        .enable_cb_prepare = enable_cb_prepare,
        .poll = poll,
        .interrupt = interrupt,
        .num_free = num_free,
        .detach_unused = detach_unused,
    };

    if (fault("rearm-once"))
        driver.traits |= RP_TRAIT_ARMS_ONCE;
    if (pushes()) {
        driver.traits |= RP_TRAIT_PUSHES_BUFFERS;
        driver.get_buf = NULL;
    }
    if (fault("publish-at-kick"))
        driver.traits |= RP_TRAIT_PUBLISH_AT_KICK;
    if (fault("abi-version"))
        driver.abi_version = 7;
    if (fault("abi-size"))
        driver.size = 16;
    if (fault("no-table"))
        return NULL;
    if (fault("no-add"))
        driver.add = NULL;
    if (fault("crash-on-load"))
        abort();
    if (fault("hang-on-load"))
        for (;;)
            ;
    return &driver;
}
