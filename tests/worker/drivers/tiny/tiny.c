/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small driver of its own make (a stack of free descriptors, three allocations for the ring) that goes
 * wrong in the way the environment variable RINGPROOF_TINY_FAULT names, and is correct without it. Some names
 * are no faults but habits: "publish-at-kick", "push", "rearm-once", "maps", "splits",
 * "any-size", "no-delay", "reclaims" and "legacy".
 */
#include "tiny.h"

#include <stdlib.h>
#include <string.h>

/* 0, or below 0 when the segment cannot be mapped. */
static int fill(struct tiny *t, struct desc *d, const struct rp_segment *segment, int write, int next)
{
    d->addr = segment->address;
    d->len = segment->length;
    d->flags = (uint16_t)((write ? WRITE : 0) | (next ? NEXT : 0));
    return t->maps ? t->env->map(t->env->context, segment->data, segment->length, &d->addr) : 0;
}

static uint16_t pop(struct tiny *t)
{
    uint16_t at = t->next_free;

    t->free_count--;
    if (!t->in_order)
        return t->free_stack[t->free_count];
    t->next_free = (uint16_t)((at + 1) % t->n);
    return at;
}

/* Puts back what pop gave last. */
static void push(struct tiny *t, uint16_t at)
{
    if (t->in_order)
        t->next_free = at;
    else
        t->free_stack[t->free_count] = at;
    t->free_count++;
}

/* Descriptors that name nothing, at the end of a chain. */
static void lengthen(struct tiny *t, uint16_t head, uint16_t at)
{
    while (t->slots[head].count < 60 && t->free_count > 0) {
        t->desc[at].flags |= NEXT;
        at = t->desc[at].next = pop(t);
        t->desc[at].len = t->desc[at].flags = 0;
        t->slots[head].count++;
    }
}

/* The head, or -1 when a segment cannot be mapped: then nothing has changed. */
static int32_t place_direct(struct tiny *t, const struct rp_segment *segments, uint32_t out, uint32_t total)
{
    uint16_t head = pop(t), at = head;

    for (uint32_t i = 0; i < total; i++) {
        int writable = fault("write-first") ? i < total - out : i >= out;

        if (fill(t, &t->desc[at], &segments[i], writable, i + 1 < total) != 0) {
            tiny_unmap_chain(t, head, i);
            t->next_free = head;
            for (uint16_t back = head;; back = t->desc[back].next) {
                push(t, back);
                if (back == at)
                    break;
            }
            t->next_free = head;
            return -1;
        }
        if (fault("in-order-next") && i + 1 < total && t->free_count >= total - i)
            (void)pop(t);
        if (i + 1 < total)
            at = t->desc[at].next = pop(t);
    }
    t->slots[head].count = total;
    if (fault("many-descriptors"))
        lengthen(t, head, at);
    return head;
}

/* Where in a table the i-th segment lies. */
static uint32_t entry_of(uint32_t i, uint32_t total)
{
    return fault("in-order-table") && total > 2 && (i == 1 || i == 2) ? 3 - i : i;
}

static int32_t place_table(struct tiny *t, const struct rp_segment *segments, uint32_t out, uint32_t total,
                           struct desc *table, uint64_t address)
{
    uint16_t head;

    for (uint32_t i = 0; i < total; i++) {
        uint32_t at = entry_of(i, total);

        table[at].next = (uint16_t)(i + 1 < total ? entry_of(i + 1, total) : 0);
        if (fill(t, &table[at], &segments[i], i >= out, i + 1 < total) == 0)
            continue;
        while (i-- > 0)
            tiny_unmap(t, &table[entry_of(i, total)]);
        return -1;
    }
    head = pop(t);
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
        t->avail_idx %= (uint16_t)t->n;
    if (fault("publish-far"))
        t->avail_idx = (uint16_t)(t->avail_idx + t->n);
    __atomic_store_n(&t->avail[1], t->avail_idx, __ATOMIC_RELEASE);
}

static int get_used(void *queue, void **token, uint32_t *length);

static int add(void *queue, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct tiny *t = queue;
    uint32_t total = out + in, needed = total;
    struct desc *table = NULL;
    uint64_t address = 0;
    int32_t placed;
    uint16_t head, slot;

    if (fault("splits")) {
        static struct rp_segment pieces[1024];
        uint32_t pieces_out = split(segments, out, pieces, 512);

        in = split(segments + out, in, pieces + pieces_out, 512);
        out = pieces_out;
        segments = pieces;
        needed = total = out + in;
    }
    t->adds++;
    if (fault("reclaims"))
        tiny_reclaim(t, get_used);
    if (fault("hang") && t->adds == 3)
        for (;;)
            ;
    misbehave(t);
    for (uint32_t i = 0; i < t->n && fault("map-and-unmap-early"); i++)
        if (t->slots[i].token != NULL && t->adds == 3)
            tiny_unmap_chain(t, (uint16_t)i, t->slots[i].table != NULL ? t->slots[i].entries : t->slots[i].count);
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
    if (fault("in-order-head") && t->adds == 5 && t->free_count > needed)
        (void)pop(t);
    placed = table != NULL ? place_table(t, segments, out, total, table, address)
                           : place_direct(t, segments, out, total);
    if (placed < 0) {
        if (table != NULL)
            t->env->release(t->env->context, table, 16 * (size_t)total);
        return RP_ENOSPC;
    }
    head = (uint16_t)placed;
    t->slots[head].writable = 0;
    for (uint32_t i = out; i < total; i++)
        t->slots[head].writable += segments[i].length;
    if (fault("reuse") && t->free_count > 0)
        t->free_stack[t->free_count - 1] = head;
    t->slots[head].token = token;
    slot = (uint16_t)(t->avail_idx % t->n);
    if (fault("skip-slot") && t->slots[t->avail[2 + slot] % t->n].token != NULL)
        slot = (uint16_t)((slot + 1) % t->n);
    t->avail[2 + slot] = head;
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

static uint32_t kick_value(const struct tiny *t)
{
    uint32_t value = t->env->queue_index + (fault("kick-value") ? 1u : 0u);

    if ((t->env->features & RP_F_NOTIFICATION_DATA) != 0)
        value |= (uint32_t)(uint16_t)(t->avail_idx - (fault("kick-data") ? 1 : 0)) << 16;
    return value;
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
    if (fault("heeds-event-word") && *avail_event(t) != 0)
        needed = needed && (uint16_t)(t->avail_idx - *avail_event(t) - 1) < (uint16_t)(t->avail_idx - old);
    if (fault("heeds-flags"))
        needed = needed && (t->used[0] & 1) == 0;
    if (fault("kick-never"))
        needed = 0;
    if (fault("kick-always"))
        needed = 1;
    if (fault("change-table"))
        for (uint32_t i = 0; i < t->n; i++)
            if (t->slots[i].table != NULL)
                t->slots[i].table[0].len++;
    if (needed)
        t->env->notify(t->env->context, kick_value(t));
}

static int news(struct tiny *t)
{
    return __atomic_load_n(&t->used[1], __ATOMIC_ACQUIRE) != t->last_used;
}

static int more(struct tiny *t)
{
    return t->kept_in != t->kept_out || news(t);
}

static void free_chain(struct tiny *t, uint16_t head)
{
    struct slot *slot = &t->slots[head];
    uint32_t count = slot->count;

    tiny_unmap_chain(t, head, slot->table != NULL ? slot->entries : slot->count);
    if (slot->table != NULL)
        t->env->release(t->env->context, slot->table, 16 * (size_t)slot->entries);
    memset(slot, 0, sizeof(*slot));
    if (t->in_order) {
        t->free_count += count;
        return;
    }
    for (uint16_t at = head; count > 0 && t->free_count < t->n; count--) {
        uint16_t next = t->desc[at].next;

        if (!fault("leak-descriptors") || count == 1)
            t->free_stack[t->free_count++] = at;
        at = (uint16_t)(next % t->n);
    }
}

/* The chain that comes back next, and its length: of the used entry, or of the next one in a batch. */
static uint16_t used_next(struct tiny *t, uint32_t *length)
{
    const volatile uint16_t *entry = &t->used[2 + 4 * (t->last_used % t->n)];
    uint16_t head = (uint16_t)(entry[0] % t->n);

    *length = (uint32_t)entry[2] | (uint32_t)entry[3] << 16;
    if (!t->in_order || fault("batch-ignored"))
        return head;
    if (!t->in_batch) {
        t->in_batch = 1;
        t->batch_end = head;
        t->batch_length = *length;
    }
    head = t->oldest;
    t->oldest = (uint16_t)((head + t->slots[head].count) % t->n);
    *length = head == t->batch_end ? t->batch_length : t->slots[head].writable;
    if (head == t->batch_end)
        t->in_batch = 0;
    return head;
}

static int get_used(void *queue, void **token, uint32_t *length)
{
    struct tiny *t = queue;
    uint32_t written;
    uint16_t head;

    if (fault("nonsense-get"))
        return -77;
    if (fault("broken"))
        return RP_EBROKEN;
    t->idle = !news(t);
    if (t->idle || fault("withhold"))
        return 0;
    head = used_next(t, &written);
    if (fault("legacy-length-judged") && written > t->slots[head].writable)
        return RP_EBROKEN;
    *token = t->slots[head].token;
    *length = written;
    if (fault("wrong-token") || fault("hostile-wrong-token"))
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

static int get_buf(void *queue, void **token, uint32_t *length)
{
    return tiny_kept(queue, token, length) ? 1 : get_used(queue, token, length);
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

    if (fault("nonsense-poll"))
        return -1;
    return !fault("poll-blind") && (t->kept_in != t->kept_out || t->used[1] != (uint16_t)mark);
}

static int enable_cb(void *queue)
{
    return fault("nonsense-enable") ? 9 : !poll(queue, enable_cb_prepare(queue));
}

static int pushes(void)
{
    return fault("push") || fault("push-one");
}

static int interrupt(void *queue)
{
    struct tiny *t = queue;

    if (fault("nonsense-interrupt"))
        return 1 << 30;
    if (fault("spurious-interrupt") && !more(t) && t->idle && t->gets > 0)
        t->last_used--;
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
    } else if (t->env->has_callback && t->callbacks_on) {
        t->env->callback(t->env->context);
    }
    return 1;
}

static uint32_t num_free(void *queue)
{
    struct tiny *t = queue;

    if (fault("num-free-negative"))
        return (uint32_t)-1;
    if (fault("num-free-huge"))
        return 70000;
    if (fault("num-free-loses") && t->gets > 9 && t->free_count == t->n)
        return 0;
    return fault("num-free-fixed") ? t->n : t->free_count;
}

static int detach_unused(void *queue, void **token)
{
    struct tiny *t = queue;

    if (fault("nonsense-detach"))
        return 5;
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
        .features = RP_F_INDIRECT_DESC | RP_F_EVENT_IDX | RP_F_VERSION_1 | RP_F_IN_ORDER |
                    RP_F_NOTIFICATION_DATA,
        .create = tiny_create,
        .destroy = tiny_destroy,
        .add = add,
        .kick = kick,
        .get_buf = get_buf,
        .disable_cb = disable_cb,
        .enable_cb = enable_cb,
        .enable_cb_delayed = tiny_enable_cb_delayed,
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
    if (faults("map"))
        driver.traits |= RP_TRAIT_MAPS;
    if (fault("any-size"))
        driver.traits |= RP_TRAIT_ANY_QUEUE_SIZE;
    if (fault("publish-at-kick"))
        driver.traits |= RP_TRAIT_PUBLISH_AT_KICK;
    if (fault("abi-version"))
        driver.abi_version = 7;
    if (fault("abi-size"))
        driver.size = 16;
    if (fault("no-table"))
        return NULL;
    if (fault("no-delay"))
        driver.enable_cb_delayed = NULL;
    if (fault("no-add"))
        driver.add = NULL;
    if (fault("crash-on-load"))
        abort();
    if (fault("hang-on-load"))
        for (;;)
            ;
    return &driver;
}
