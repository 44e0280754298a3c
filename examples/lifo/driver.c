/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue that keeps its free list in place, as drivers did when memory was dear: a free descriptor's `next`, in
 * the table shared with the device, is the link to the free descriptor below it. The list is a stack, and ends
 * with END. As links stay where they are, taking k descriptors from the top makes a chain of them: only flags,
 * addresses and lengths are to be written. What comes back is pushed on top in one piece.
 *
 * The price: the table is read back when a chain returns, so this driver trusts its device (README.md). */
#include "ringproof_driver.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 }; /* descriptor flags */
enum { NO_INTERRUPT = 1, NO_NOTIFY = 1 };   /* avail.flags, used.flags */
enum { END = 0xffff };   /* what lies below the lowest free descriptor; no descriptor has this number */
enum { TABLE_FROM = 3 }; /* segments; shorter chains do without an indirect table while there is room */

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct used_entry { uint32_t id, length; };
struct available { _Atomic uint16_t flags, idx, ring[]; }; /* used_event is ring[size] */
struct used { _Atomic uint16_t flags, idx; struct used_entry ring[]; };

struct block { void *memory; size_t bytes; }; /* what allocate gave */
struct buffer { void *token; struct block table; };

struct queue {
    const struct rp_env *env;
    struct descriptor   *desc;
    struct available    *avail;
    struct used         *used;
    _Atomic uint16_t    *used_event, *avail_event;
    struct block         ring;
    size_t               bytes;
    uint32_t             size, num_free, searched;
    uint16_t             free_head;
    uint16_t             avail_idx, last_used, kicked; /* free-running; kicked: avail_idx when kick last looked */
    bool                 callbacks, event_idx, indirect;
    struct buffer        buffers[]; /* by head; the token is null where there is none */
};

static void *take_block(struct queue *queue, struct block *block, size_t bytes, size_t alignment, uint64_t *address)
{
    const struct rp_env *env = queue->env;

    block->memory = env->allocate(env->context, bytes, alignment, address);
    block->bytes = bytes;
    if (block->memory != NULL)
        memset(block->memory, 0, bytes); /* its contents are arbitrary */
    return block->memory;
}

static void give_block(struct queue *queue, struct block *block)
{
    if (block->memory != NULL)
        queue->env->release(queue->env->context, block->memory, block->bytes);
    block->memory = NULL;
}

static void destroy(void *opaque)
{
    struct queue *queue = opaque;

    for (uint32_t head = 0; head < queue->size; head++)
        give_block(queue, &queue->buffers[head].table);
    give_block(queue, &queue->ring);
    queue->env->release_private(queue->env->context, queue, queue->bytes);
}

/* One block for all three parts, as legacy devices want it (VIRTIO 1.3 section 2.7.2); others do not mind. */
static bool place_ring(struct queue *queue, struct rp_ring_parts *parts)
{
    size_t n = queue->size, avail_at = 16 * n, used_at = (avail_at + 2 * n + 6 + 4095) & ~(size_t)4095;
    uint8_t *ring = take_block(queue, &queue->ring, used_at + 8 * n + 6, 4096, &parts->desc);

    if (ring == NULL)
        return false;
    parts->avail = parts->desc + avail_at;
    parts->used = parts->desc + used_at;
    queue->desc = (void *)ring;
    queue->avail = (void *)(ring + avail_at);
    queue->used = (void *)(ring + used_at);
    queue->used_event = &queue->avail->ring[n];
    queue->avail_event = (void *)&queue->used->ring[n];
    return true;
}

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **made)
{
    uint32_t n = env->queue_size;
    size_t bytes = sizeof(struct queue) + n * sizeof(struct buffer);
    struct queue *queue;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
    queue = env->allocate_private(env->context, bytes);
    if (queue == NULL)
        return RP_ENOMEM;
    queue->env = env;
    queue->bytes = bytes;
    queue->size = queue->num_free = n;
    queue->event_idx = (env->features & RP_F_EVENT_IDX) != 0;
    queue->indirect = (env->features & RP_F_INDIRECT_DESC) != 0;
    queue->callbacks = env->has_callback != 0;
    if (!place_ring(queue, parts)) {
        destroy(queue);
        return RP_ENOMEM;
    }
    for (uint32_t i = 0; i < n - 1; i++)
        queue->desc[i].next = (uint16_t)(i + 1);
    queue->desc[n - 1].next = END;
    if (!queue->callbacks && !queue->event_idx)
        queue->avail->flags = NO_INTERRUPT;
    *made = queue;
    return RP_OK;
}

/* Looks at the list itself, so that it cannot be wrong about it: as many steps as there are descriptors wanted. */
static bool has_room(const struct queue *queue, uint32_t wanted)
{
    uint16_t i = queue->free_head;

    for (; wanted > 0 && i != END; wanted--)
        i = queue->desc[i].next;
    return wanted == 0;
}

static bool is_sound(const struct queue *queue, const struct rp_segment *segments, uint32_t count)
{
    uint64_t bytes = 0;

    if (count == 0 || count > queue->size)
        return false;
    for (uint32_t i = 0; i < count; bytes += segments[i++].length)
        if (segments[i].length == 0)
            return false; /* lawful, but devices choke on it */
    return bytes <= UINT64_C(1) << 32; /* section 2.7.5.2 */
}

/* Fills descriptors along their links, from number `i` of a table on; returns what lies behind the last one. */
static uint16_t fill(struct descriptor *table, uint16_t i, const struct rp_segment *segments, uint32_t out,
                     uint32_t count)
{
    struct descriptor *last = NULL;

    for (uint32_t k = 0; k < count; k++) {
        last = &table[i];
        last->address = segments[k].address;
        last->length = segments[k].length;
        last->flags = k < out ? NEXT : NEXT | WRITE;
        i = last->next;
    }
    last->flags &= (uint16_t)~NEXT;
    return i;
}

static bool fill_table(struct queue *queue, struct block *block, const struct rp_segment *segments, uint32_t out,
                       uint32_t count)
{
    uint64_t address;
    struct descriptor *table = take_block(queue, block, count * sizeof(*table), sizeof(*table), &address);
    struct descriptor *desc = &queue->desc[queue->free_head];

    if (table == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        table[i].next = (uint16_t)(i + 1);
    fill(table, 0, segments, out, count);
    desc->address = address;
    desc->length = (uint32_t)block->bytes;
    desc->flags = INDIRECT;
    queue->free_head = desc->next;
    return true;
}

static void kick(void *opaque)
{
    struct queue *queue = opaque;
    uint16_t now = queue->avail_idx, before = queue->kicked, event;
    bool wanted;

    queue->kicked = now;
    if (now == before)
        return;
    atomic_thread_fence(memory_order_seq_cst); /* avail_idx is seen before we look (section 2.7.13.4.1) */
    if (queue->event_idx) {
        event = atomic_load_explicit(queue->avail_event, memory_order_relaxed);
        wanted = (uint16_t)(now - event - 1) < (uint16_t)(now - before);
    } else {
        wanted = (atomic_load_explicit(&queue->used->flags, memory_order_relaxed) & NO_NOTIFY) == 0;
    }
    if (wanted)
        queue->env->notify(queue->env->context, queue->env->queue_index);
}

static int add(void *opaque, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct queue *queue = opaque;
    uint32_t count = out + in, taken = count;
    uint16_t head = queue->free_head;
    bool fits = has_room(queue, count);

    if (token == NULL || !is_sound(queue, segments, count))
        return RP_EINVAL;
    if (queue->indirect && count > 1 && (count >= TABLE_FROM || !fits) && has_room(queue, 1)
        && fill_table(queue, &queue->buffers[head].table, segments, out, count))
        taken = 1;
    else if (fits)
        queue->free_head = fill(queue->desc, head, segments, out, count);
    else
        return RP_ENOSPC;
    queue->num_free -= taken;
    queue->buffers[head].token = token;
    atomic_store_explicit(&queue->avail->ring[queue->avail_idx & (queue->size - 1)], head, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* chain and slot are seen before the index (section 2.7.13.3.1) */
    atomic_store_explicit(&queue->avail->idx, ++queue->avail_idx, memory_order_relaxed);
    if ((uint16_t)(queue->avail_idx - queue->kicked) == 0xffff)
        kick(queue); /* one more, and it would seem that none was added */
    return RP_OK;
}

static uint16_t read_used_idx(const struct queue *queue)
{
    uint16_t idx = atomic_load_explicit(&queue->used->idx, memory_order_relaxed);

    atomic_thread_fence(memory_order_acquire); /* before the entries it tells of are read */
    return idx;
}

/* Pushes the chain of `head` onto the free list and returns its token. */
static void *recycle(struct queue *queue, uint16_t head)
{
    struct buffer *buffer = &queue->buffers[head];
    void *token = buffer->token;
    uint16_t tail = head;

    give_block(queue, &buffer->table);
    buffer->token = NULL;
    for (queue->num_free++; queue->desc[tail].flags & NEXT; queue->num_free++)
        tail = queue->desc[tail].next;
    queue->desc[tail].next = queue->free_head;
    queue->free_head = head;
    return token;
}

static int get_buf(void *opaque, void **token, uint32_t *length)
{
    struct queue *queue = opaque;
    const struct used_entry *entry = &queue->used->ring[queue->last_used & (queue->size - 1)];

    if (read_used_idx(queue) == queue->last_used)
        return 0;
    *length = entry->length;
    *token = recycle(queue, (uint16_t)entry->id);
    queue->last_used++;
    if (queue->callbacks && queue->event_idx) {
        atomic_store_explicit(queue->used_event, queue->last_used, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst); /* before the next call looks for more */
    }
    return 1;
}

/* With EVENT_IDX avail.flags stays 0 (section 2.7.7.1): used_event is left behind, and is passed once. */
static void disable_cb(void *opaque)
{
    struct queue *queue = opaque;

    queue->callbacks = false;
    if (!queue->event_idx)
        atomic_store_explicit(&queue->avail->flags, NO_INTERRUPT, memory_order_relaxed);
}

/* Asks for an interrupt once more than `more` buffers are used, and says whether no more than that are. */
static int arm(struct queue *queue, uint16_t more)
{
    queue->callbacks = true;
    if (queue->event_idx)
        atomic_store_explicit(queue->used_event, (uint16_t)(queue->last_used + more), memory_order_relaxed);
    else
        atomic_store_explicit(&queue->avail->flags, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* what was used before the device saw that is ours to find */
    return (uint16_t)(read_used_idx(queue) - queue->last_used) <= more;
}

static int enable_cb(void *opaque) { return arm(opaque, 0); }

static int enable_cb_delayed(void *opaque)
{
    struct queue *queue = opaque;

    return arm(queue, (uint16_t)((uint16_t)(queue->avail_idx - queue->last_used) * 3u / 4));
}

static int interrupt(void *opaque)
{
    struct queue *queue = opaque;

    if (read_used_idx(queue) == queue->last_used)
        return 0;
    if (queue->callbacks)
        queue->env->callback(queue->env->context);
    return 1;
}

static uint32_t num_free(void *opaque) { return ((const struct queue *)opaque)->num_free; }

static int detach_unused(void *opaque, void **token)
{
    struct queue *queue = opaque;

    while (queue->searched < queue->size && queue->buffers[queue->searched].token == NULL)
        queue->searched++;
    if (queue->searched == queue->size)
        return 0;
    *token = recycle(queue, (uint16_t)queue->searched);
    return 1;
}

static const struct rp_driver driver = {
    .abi_version = RP_ABI_VERSION, .size = sizeof(struct rp_driver), .name = "lifo",
    .features = RP_F_INDIRECT_DESC | RP_F_EVENT_IDX | RP_F_VERSION_1,
    .traits = RP_TRAIT_C11_ORDER,
    .create = create, .destroy = destroy, .add = add, .kick = kick, .get_buf = get_buf,
    .disable_cb = disable_cb, .enable_cb = enable_cb, .enable_cb_delayed = enable_cb_delayed,
    .interrupt = interrupt, .num_free = num_free, .detach_unused = detach_unused,
};

const struct rp_driver *rp_driver_entry(void) { return &driver; }
