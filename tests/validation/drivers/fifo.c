/* SPDX-License-Identifier: Apache-2.0 */
/* A driver with habits of its own, for the tests: whatever descriptor was free longest is taken first, avail_idx
 * moves at kick, there are no indirect tables. FIFO_PUSH makes it hand tokens back from its interrupt, FIFO_PICKY
 * and FIFO_NEVER make it decline some queues, or all; the other
 * FIFO_ macros each seed a defect. */
#define _POSIX_C_SOURCE 199309L
#include "ringproof_driver.h"

#include <string.h>
#include <time.h>

struct descriptor { uint64_t addr; uint32_t len; uint16_t flags, next; };
struct element { uint32_t id, len; };
struct chain { void *token; uint32_t length; uint16_t order; };

struct queue {
    const struct rp_env *env;
    volatile struct descriptor *desc;
    volatile uint16_t *avail, *used; /* as 16-bit words */
    size_t bytes, private;
    uint32_t n, first, free;         /* the free ones are chain[first ..].order, in a circle */
    uint16_t next, published, taken; /* chains written, made visible, taken back */
    int event, wanted;               /* EVENT_IDX was negotiated; callbacks are on */
    int moody;                       /* FIFO_FLAKY: this queue never kicks, by the clock's whim */
    struct chain chain[];
};

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
    uint32_t n = env->queue_size;
    size_t align = env->layout == RP_LAYOUT_LEGACY ? 4096 : 64;
    size_t used_at = (16ul * n + 6 + 2ul * n + align - 1) & ~(align - 1);
    size_t private = sizeof(struct queue) + n * sizeof(struct chain);
    struct queue *q;
    uint8_t *ring;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
#ifdef FIFO_PICKY
    if (env->layout == RP_LAYOUT_LEGACY || n < 4 || n > 256)
        return RP_EINVAL;
#endif
#ifdef FIFO_NEVER
    return RP_EINVAL;
#endif
    q = env->allocate_private(env->context, private);
    ring = env->allocate(env->context, used_at + 6 + 8ul * n, align, &parts->desc);
    if (q == NULL || ring == NULL) {
        if (ring != NULL)
            env->release(env->context, ring, used_at + 6 + 8ul * n);
        if (q != NULL)
            env->release_private(env->context, q, private);
        return RP_ENOMEM;
    }
    q->bytes = used_at + 6 + 8ul * n;
    memset(ring, 0, q->bytes);
    q->env = env;
    q->private = private;
    q->n = q->free = n;
    q->desc = (void *)ring;
    q->avail = (void *)(ring + 16ul * n);
    q->used = (void *)(ring + used_at);
    q->event = (env->features & RP_F_EVENT_IDX) != 0;
    q->wanted = env->has_callback != 0;
#ifdef FIFO_FLAKY
    {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        q->moody = (int)(now.tv_nsec >> 10 & 1);
    }
#endif
    for (uint32_t i = 0; i < n; i++)
        q->chain[i].order = (uint16_t)i;
    q->avail[0] = !q->wanted && !q->event;
    parts->avail = parts->desc + 16ul * n;
    parts->used = parts->desc + used_at;
    *queue = q;
    return RP_OK;
}

static void destroy(void *queue)
{
    struct queue *q = queue;
    const struct rp_env *env = q->env;

    env->release(env->context, (void *)(uintptr_t)q->desc, q->bytes);
    env->release_private(env->context, q, q->private);
}

static int add(void *queue, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct queue *q = queue;
    uint16_t head = q->chain[q->first].order, i = head;

    if (token == NULL || out + in == 0 || out + in > q->n)
        return RP_EINVAL;
    if (out + in > q->free)
        return RP_ENOSPC;
#ifdef FIFO_CRASH
    if (out == 3)
        __builtin_trap();
#endif
    for (uint32_t k = 0; k < out + in; k++) {
        i = q->chain[(q->first + k) % q->n].order;
        q->desc[i].addr = segments[k].address;
        q->desc[i].len = segments[k].length;
        q->desc[i].flags = (uint16_t)((k >= out ? 2 : 0) | (k + 1 < out + in));
        q->desc[i].next = q->chain[(q->first + k + 1) % q->n].order;
    }
    q->first = (q->first + out + in) % q->n;
    q->free -= out + in;
    q->chain[head].token = token;
#ifdef FIFO_BYTE_SEGMENTS
    q->chain[head].length = (uint8_t)(out + in);
#else
    q->chain[head].length = out + in;
#endif
    q->avail[2 + q->next++ % q->n] = head;
    return RP_OK;
}

static void kick(void *queue)
{
    struct queue *q = queue;
    uint16_t old = q->published, event;

    __atomic_thread_fence(__ATOMIC_RELEASE);
    q->avail[1] = q->published = q->next;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    event = q->used[2 + 4 * q->n];
    if (q->moody)
        return;
#ifdef FIFO_BYTE_PENDING
    old = (uint16_t)(q->next - (uint8_t)(q->next - old));
#endif
#ifdef FIFO_EVENT
    if (q->event ? q->next > event && old <= event : !(q->used[0] & 1))
#else
    if (q->event ? (uint16_t)(q->next - event - 1) < (uint16_t)(q->next - old) : !(q->used[0] & 1))
#endif
        q->env->notify(q->env->context, q->env->queue_index);
}

static int get_buf(void *queue, void **token, uint32_t *length)
{
    struct queue *q = queue;
    volatile struct element *entry = (volatile struct element *)(q->used + 2) + q->taken % q->n;
    uint16_t i;

    if (q->taken == q->used[1])
        return 0;
#ifdef FIFO_HANG
    while (q->free == 0 && q->n == 2)
        ;
#endif
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    i = (uint16_t)entry->id;
    *token = q->chain[i].token;
    *length = entry->len;
#ifdef FIFO_LEAK
    q->chain[i].length = 1;
#endif
    for (uint32_t left = q->chain[i].length; left > 0; left--, i = q->desc[i].next)
        q->chain[(q->first + q->free++) % q->n].order = i;
    q->taken++;
    if (q->event && q->wanted)
        q->avail[2 + q->n] = q->taken;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return 1;
}

static int callbacks(struct queue *q, int wanted)
{
    q->wanted = wanted;
    if (!q->event)
        q->avail[0] = !wanted;
    else if (wanted)
        q->avail[2 + q->n] = q->taken;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return q->used[1] == q->taken;
}

#ifdef FIFO_PUSH
static int interrupt(void *queue)
{
    struct queue *q = queue;
    uint32_t length;
    void *token;
    int ours = 0;

    for (; get_buf(queue, &token, &length) == 1; ours = 1)
        q->env->completed(q->env->context, token, length);
    return ours;
}
#define TAKES_BACK .interrupt = interrupt
#define TRAITS     (RP_TRAIT_PUBLISH_AT_KICK | RP_TRAIT_PUSHES_BUFFERS)
#else
#define TAKES_BACK .get_buf = get_buf
#define TRAITS     RP_TRAIT_PUBLISH_AT_KICK
#endif

static void disable_cb(void *queue) { callbacks(queue, 0); }
static int enable_cb(void *queue) { return callbacks(queue, 1); }
static uint32_t num_free(void *queue) { return ((struct queue *)queue)->free; }

const struct rp_driver *rp_driver_entry(void)
{
    static const struct rp_driver driver = {
        RP_ABI_VERSION, sizeof(driver), "fifo", RP_F_EVENT_IDX | RP_F_VERSION_1, TRAITS, 0,
        .create = create, .destroy = destroy, .add = add, .kick = kick, TAKES_BACK,
        .disable_cb = disable_cb, .enable_cb = enable_cb, .num_free = num_free,
    };

    return &driver;
}
