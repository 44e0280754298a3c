/* SPDX-License-Identifier: Apache-2.0 */
/* How a tiny queue begins and ends, and what it does with what it has mapped. */
#include "tiny.h"

#include <stdlib.h>
#include <string.h>

static int in_one_block(void)
{
    return faults("legacy");
}

/* The three parts in one block where the legacy layout has them, or in three. */
static void allocate_ring(struct tiny *t, const struct rp_env *env)
{
    size_t used_at = (desc_bytes(t) + avail_bytes(t) + 4095) & ~(size_t)4095;

    if (!in_one_block()) {
        t->desc = env->allocate(env->context, desc_bytes(t), 16, &t->parts.desc);
        t->avail = env->allocate(env->context, avail_bytes(t), 2, &t->parts.avail);
        t->used = env->allocate(env->context, used_bytes(t), 4, &t->parts.used);
        return;
    }
    t->desc = env->allocate(env->context, used_at + used_bytes(t), 4096, &t->parts.desc);
    if (t->desc == NULL)
        return;
    t->avail = (volatile uint16_t *)((uint8_t *)t->desc + desc_bytes(t));
    t->used = (volatile uint16_t *)((uint8_t *)t->desc + used_at);
    t->parts.avail = t->parts.desc + desc_bytes(t);
    t->parts.used = t->parts.desc + used_at;
}

static void release_ring(struct tiny *t, const struct rp_env *env)
{
    size_t used_at = (desc_bytes(t) + avail_bytes(t) + 4095) & ~(size_t)4095;

    if (in_one_block()) {
        env->release(env->context, t->desc, used_at + used_bytes(t));
        return;
    }
    env->release(env->context, t->desc, desc_bytes(t));
    if (fault("double-release"))
        env->release(env->context, t->desc, desc_bytes(t));
    if (fault("write-after-release"))
        t->desc[0].addr = 1;
    if (!fault("leak"))
        env->release(env->context, (void *)(uintptr_t)t->avail, avail_bytes(t));
    env->release(env->context, (void *)(uintptr_t)t->used, used_bytes(t) - (fault("release-size") ? 2 : 0));
}

static void release_all(struct tiny *t)
{
    const struct rp_env *env = t->env;

    release_ring(t, env);
    env->release_private(env->context, t->free_stack, t->n * sizeof(t->free_stack[0]));
    env->release_private(env->context, t->slots, t->n * sizeof(t->slots[0]));
    if (!fault("leak-private"))
        env->release_private(env->context, t, sizeof(*t));
}

int tiny_create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
    struct tiny *t;

    while (fault("hang-create"))
        ;
    call_out_of_time(env);
    t = env->allocate_private(env->context, sizeof(*t));
    if (fault("create-fails") || t == NULL)
        return RP_ENOMEM;
    t->env = env;
    t->n = env->queue_size;
    t->event = (env->features & RP_F_EVENT_IDX) != 0;
    t->in_order = (env->features & RP_F_IN_ORDER) != 0;
    t->maps = faults("map");
    allocate_ring(t, env);
    t->free_stack = env->allocate_private(env->context, t->n * sizeof(t->free_stack[0]));
    t->slots = env->allocate_private(env->context, t->n * sizeof(t->slots[0]));
    if (!t->desc || !t->avail || !t->used || !t->free_stack || !t->slots) {
        if (fault("short-is-invalid"))
            return RP_EINVAL;
        if (!fault("short-leaks"))
            release_all(t);
        return RP_ENOMEM;
    }
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
    if (!fault("null-queue"))
        *queue = t;
    misplace(t, parts);
    return RP_OK;
}

void tiny_unmap(struct tiny *t, const struct desc *d)
{
    const struct rp_env *env = t->env;

    if (!t->maps || fault("map-and-forget"))
        return;
    env->unmap(env->context, d->addr, d->len + (fault("map-and-lengthen") ? 1u : 0u));
    if (fault("map-and-unmap-twice"))
        env->unmap(env->context, d->addr, d->len);
}

void tiny_unmap_chain(struct tiny *t, uint16_t head, uint32_t count)
{
    const struct desc *table = t->slots[head].table;
    uint16_t at = head;

    for (uint32_t i = 0; t->maps && i < count; i++) {
        tiny_unmap(t, table != NULL ? &table[i] : &t->desc[at]);
        at = (uint16_t)(t->desc[at].next % t->n);
    }
}

/* Half of what is in flight may be used before the interrupt. */
int tiny_enable_cb_delayed(void *queue)
{
    struct tiny *t = queue;
    uint16_t half = (uint16_t)((uint16_t)(t->avail_idx - t->last_used) / 2);

    if (fault("delay-for-ever"))
        half = (uint16_t)((t->avail_idx - t->last_used) * 3 + 1);
    if (fault("delay-blind"))
        half = (uint16_t)(t->avail_idx - t->last_used);
    t->callbacks_on = 1;
    if (t->event)
        *used_event(t) = (uint16_t)(t->last_used + half);
    else
        t->avail[0] = fault("delay-flags");
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return t->kept_in == t->kept_out && (uint16_t)(t->used[1] - t->last_used) <= half;
}

static struct { void *token; uint32_t length; } kept[1 << 16];

void tiny_reclaim(struct tiny *t, int (*get)(void *queue, void **token, uint32_t *length))
{
    const uint32_t most = sizeof(kept) / sizeof(kept[0]);

    while (t->kept_in - t->kept_out < most &&
           get(t, &kept[t->kept_in % most].token, &kept[t->kept_in % most].length) == 1)
        t->kept_in++;
}

int tiny_kept(struct tiny *t, void **token, uint32_t *length)
{
    const uint32_t most = sizeof(kept) / sizeof(kept[0]);

    if (t->kept_in == t->kept_out)
        return 0;
    *token = kept[t->kept_out % most].token;
    *length = kept[t->kept_out++ % most].length;
    return 1;
}

void tiny_destroy(void *queue)
{
    struct tiny *t = queue;
    const struct rp_env *env = t->env;

    for (uint32_t i = 0; i < t->n; i++) {
        struct slot *slot = &t->slots[i];

        if (slot->token != NULL)
            tiny_unmap_chain(t, (uint16_t)i, slot->table != NULL ? slot->entries : slot->count);
        if (slot->table != NULL)
            env->release(env->context, slot->table, 16 * (size_t)slot->entries);
    }
    release_all(t);
    if (fault("crash-destroy"))
        abort();
    if (fault("read-after-release") && *(volatile uint32_t *)&t->n == 0)
        abort();
}
