/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue that takes descriptors in the order in which they came back: the numbers of the free ones stand in a
 * private ring, taken from at one end and put back at the other. Where the device uses buffers in order
 * (IN_ORDER), that is the order of the table by itself.
 *
 * It believes the device nothing. Of each descriptor and each entry of the available ring it has a shadow in private
 * memory, and never reads the shared ones; of used entries it takes what can be true and refuses the rest. */
#include "ringproof_driver.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 }; /* descriptor flags */
enum { NO_INTERRUPT = 1, NO_NOTIFY = 1 };   /* avail.flags, used.flags */
enum { TABLE = 8 }; /* entries of the indirect table that each descriptor has for its own */
#define MOST_BYTES (UINT64_C(1) << 32) /* in a chain, VIRTIO 1.3 section 2.7.5.2 */

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct used_entry { _Atomic uint32_t id, length; };
struct available { _Atomic uint16_t flags, idx, ring[]; }; /* used_event is ring[size] */
struct used { _Atomic uint16_t flags, idx; struct used_entry ring[]; };

/* All that is known of a descriptor. The last three are of a chain, and said of its head. */
struct shadow {
    uint16_t next, count; /* descriptors of the chain */
    uint32_t writable;    /* bytes the device can write */
    void    *token;       /* null: this is not the head of a chain in flight */
};

struct queue {
    const struct rp_env *env;
    struct descriptor   *desc, *tables; /* without tables, all chains are direct */
    struct available    *avail;
    struct used         *used;
    _Atomic uint16_t    *used_event, *avail_event;
    struct shadow       *shadow;
    uint16_t            *free_ring, *heads; /* heads: what the slots of the available ring were given */
    uint64_t             tables_address;
    size_t               bytes, ring_bytes, tables_bytes;
    uint32_t             size, free_at, num_free;
    uint32_t             added;                   /* since kick last looked; can be 65536 and more */
    uint16_t             avail_idx, last_used;    /* free-running */
    uint16_t             batch;                   /* chains of an IN_ORDER batch still to be handed out */
    uint32_t             batch_length;            /* what the device said of the last of them */
    bool                 broken;                  /* the device said what cannot be, once */
};

static bool has(const struct queue *queue, uint64_t feature) { return (queue->env->features & feature) != 0; }

static void destroy(void *opaque)
{
    struct queue *queue = opaque;
    const struct rp_env *env = queue->env;

    if (queue->tables != NULL)
        env->release(env->context, queue->tables, queue->tables_bytes);
    if (queue->desc != NULL)
        env->release(env->context, queue->desc, queue->ring_bytes);
    env->release_private(env->context, queue, queue->bytes);
}

/* One block: table, available ring, and the used ring behind it, on a page of its own in the legacy layout. */
static bool place_ring(struct queue *queue, struct rp_ring_parts *parts)
{
    const struct rp_env *env = queue->env;
    size_t n = queue->size, alignment = env->layout == RP_LAYOUT_LEGACY ? 4096 : 4;
    size_t avail_at = 16 * n, used_at = (avail_at + 4 + 2 * n + 2 + alignment - 1) & ~(alignment - 1);
    uint8_t *ring;

    queue->ring_bytes = used_at + 4 + 8 * n + 2;
    ring = env->allocate(env->context, queue->ring_bytes, 4096, &parts->desc);
    if (ring == NULL)
        return false;
    memset(ring, 0, queue->ring_bytes);
    parts->avail = parts->desc + avail_at;
    parts->used = parts->desc + used_at;
    queue->desc = (void *)ring;
    queue->avail = (void *)(ring + avail_at);
    queue->used = (void *)(ring + used_at);
    queue->used_event = &queue->avail->ring[n];
    queue->avail_event = (void *)&queue->used->ring[n];
    return true;
}

/* Tells whether interrupts are wanted. With EVENT_IDX flags stay 0: an event that has gone by stands for no. */
static void tell(struct queue *queue, int event, uint16_t flags)
{
    if (has(queue, RP_F_EVENT_IDX))
        atomic_store_explicit(queue->used_event, (uint16_t)(queue->last_used + event), memory_order_relaxed);
    else
        atomic_store_explicit(&queue->avail->flags, flags, memory_order_relaxed);
}

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **made)
{
    uint32_t n = env->queue_size;
    size_t bytes = sizeof(struct queue) + n * (sizeof(struct shadow) + 2 * sizeof(uint16_t));
    struct queue *queue;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
    queue = env->allocate_private(env->context, bytes);
    if (queue == NULL)
        return RP_ENOMEM;
    queue->env = env;
    queue->bytes = bytes;
    queue->size = queue->num_free = n;
    queue->shadow = (void *)(queue + 1);
    queue->free_ring = (void *)(queue->shadow + n);
    queue->heads = queue->free_ring + n;
    if (!place_ring(queue, parts)) {
        destroy(queue);
        return RP_ENOMEM;
    }
    queue->tables_bytes = n * TABLE * sizeof(struct descriptor);
    if (has(queue, RP_F_INDIRECT_DESC)) /* a queue without memory for tables works without them */
        queue->tables = env->allocate(env->context, queue->tables_bytes, 16, &queue->tables_address);
    for (uint32_t i = 0; i < n; i++)
        queue->free_ring[i] = (uint16_t)i;
    if (!env->has_callback)
        tell(queue, -1, NO_INTERRUPT);
    *made = queue;
    return RP_OK;
}

static uint16_t take(struct queue *queue)
{
    uint16_t id = queue->free_ring[queue->free_at];

    queue->free_at = (queue->free_at + 1) & (queue->size - 1);
    queue->num_free--;
    return id;
}

static void give_back(struct queue *queue, uint16_t id)
{
    queue->free_ring[(queue->free_at + queue->num_free) & (queue->size - 1)] = id;
    queue->num_free++;
}

/* Describes `count` segments from descriptor `at` on: along entries of `table`, or, where that is null, along
 * descriptors taken as they are needed. Each is written once its successor is known. */
static void describe(struct queue *queue, struct descriptor *table, uint16_t at, const struct rp_segment *segments,
                     uint32_t out, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        uint16_t next = k + 1 == count ? 0 : table != NULL ? (uint16_t)(k + 1) : take(queue);
        uint16_t flags = (uint16_t)((k + 1 < count ? NEXT : 0) | (k < out ? 0 : WRITE));

        *(table != NULL ? &table[at] : &queue->desc[at]) =
            (struct descriptor){segments[k].address, segments[k].length, flags, next};
        if (table == NULL)
            queue->shadow[at].next = next;
        at = next;
    }
}

/* Makes a chain of one descriptor, which points to its table, or of as many as there are segments; gives its head. */
static uint16_t make_chain(struct queue *queue, const struct rp_segment *segments, uint32_t out, uint32_t count,
                           bool indirect)
{
    uint16_t head = take(queue);
    uint64_t at = head * TABLE * sizeof(struct descriptor);

    if (indirect) {
        queue->desc[head] = (struct descriptor){queue->tables_address + at, 16 * count, INDIRECT, 0};
        describe(queue, &queue->tables[head * TABLE], 0, segments, out, count);
    } else {
        describe(queue, NULL, head, segments, out, count);
    }
    queue->shadow[head].count = (uint16_t)(indirect ? 1 : count);
    return head;
}

static int add(void *opaque, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct queue *queue = opaque;
    uint32_t count = out + in, slot = queue->avail_idx & (queue->size - 1);
    bool indirect = queue->tables != NULL && count > 1 && count <= TABLE;
    uint64_t readable = 0, writable = 0; /* bytes */
    uint16_t head;

    if (queue->broken)
        return RP_EBROKEN;
    for (uint32_t k = 0; k < count; k++)
        *(k < out ? &readable : &writable) += segments[k].length;
    if (token == NULL || count == 0 || count > queue->size || readable + writable > MOST_BYTES)
        return RP_EINVAL;
    if (queue->num_free < (indirect ? 1 : count))
        return RP_ENOSPC;
    head = make_chain(queue, segments, out, count, indirect);
    queue->shadow[head].token = token;
    queue->shadow[head].writable = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;
    queue->heads[slot] = head;
    atomic_store_explicit(&queue->avail->ring[slot], head, memory_order_relaxed);
    queue->avail_idx++;
    atomic_store_explicit(&queue->avail->idx, queue->avail_idx, memory_order_release);
    queue->added++;
    return RP_OK;
}

static void kick(void *opaque)
{
    struct queue *queue = opaque;
    uint32_t value = queue->env->queue_index;
    bool due = queue->added > 0;

    atomic_thread_fence(memory_order_seq_cst); /* avail_idx first, then what the device says of it */
    if (has(queue, RP_F_EVENT_IDX)) {
        /* Is the entry that the device waits for among the last `added`? From 65536 on, all numbers are. */
        uint16_t event = atomic_load_explicit(queue->avail_event, memory_order_relaxed);

        due = (uint16_t)(queue->avail_idx - 1 - event) < queue->added;
    } else if (atomic_load_explicit(&queue->used->flags, memory_order_relaxed) & NO_NOTIFY) {
        due = false;
    }
    queue->added = 0;
    if (has(queue, RP_F_NOTIFICATION_DATA))
        value |= (uint32_t)queue->avail_idx << 16; /* section 2.9 */
    if (due)
        queue->env->notify(queue->env->context, value);
}

/* Reads the next used entry, once, and believes it if it names a chain in flight that can hold so much. */
static bool read_entry(struct queue *queue, uint16_t *head, uint32_t *length)
{
    struct used_entry *entry = &queue->used->ring[queue->last_used & (queue->size - 1)];
    uint32_t id = atomic_load_explicit(&entry->id, memory_order_relaxed);

    *length = atomic_load_explicit(&entry->length, memory_order_relaxed);
    if (id >= queue->size || queue->shadow[id].token == NULL)
        return false;
    *head = (uint16_t)id;
    if (*length <= queue->shadow[id].writable)
        return true;
    *length = queue->shadow[id].writable; /* legacy devices count what they read, too (section 2.7.8.1) */
    return !has(queue, RP_F_VERSION_1);
}

/* With IN_ORDER one entry retires all chains up to the one it names: the first of the batch is next. What the
 * device says of the last is all that it says; the others count as wholly written (section 2.7.9). */
static bool next_in_order(struct queue *queue, uint16_t waiting, uint16_t *head, uint32_t *length)
{
    uint16_t last, oldest = queue->heads[queue->last_used & (queue->size - 1)];

    if (queue->batch == 0) {
        if (!read_entry(queue, &last, &queue->batch_length))
            return false;
        do {
            if (queue->batch == waiting)
                return false; /* it names a chain that used_idx does not tell of */
            *head = queue->heads[(queue->last_used + queue->batch++) & (queue->size - 1)];
        } while (*head != last);
    }
    *head = oldest;
    *length = --queue->batch == 0 ? queue->batch_length : queue->shadow[oldest].writable;
    return true;
}

static void take_back(struct queue *queue, uint16_t head)
{
    uint16_t id = head;

    for (uint16_t left = queue->shadow[head].count; left > 0; left--, id = queue->shadow[id].next)
        give_back(queue, id);
    queue->shadow[head].token = NULL;
}

static int get_buf(void *opaque, void **token, uint32_t *length)
{
    struct queue *queue = opaque;
    uint16_t used_idx = atomic_load_explicit(&queue->used->idx, memory_order_acquire);
    uint16_t waiting = (uint16_t)(used_idx - queue->last_used), head = 0;

    if (queue->broken || waiting > (uint16_t)(queue->avail_idx - queue->last_used))
        goto broken;
    if (waiting == 0)
        return 0;
    if (has(queue, RP_F_IN_ORDER) ? !next_in_order(queue, waiting, &head, length) : !read_entry(queue, &head, length))
        goto broken;
    *token = queue->shadow[head].token;
    take_back(queue, head);
    queue->last_used++;
    return 1;
broken:
    queue->broken = true;
    return RP_EBROKEN;
}

static void disable_cb(void *opaque) { tell(opaque, -1, NO_INTERRUPT); }

/* Asks for an interrupt at the next used buffer. The caller looks again, by poll, before it goes to sleep. */
static uint32_t enable_cb_prepare(void *opaque)
{
    tell(opaque, 0, 0);
    return ((const struct queue *)opaque)->last_used;
}

static int poll(void *opaque, uint32_t mark)
{
    const struct queue *queue = opaque;

    atomic_thread_fence(memory_order_seq_cst); /* after what enable_cb_prepare told the device */
    return atomic_load_explicit(&queue->used->idx, memory_order_acquire) != mark;
}

static int interrupt(void *opaque)
{
    struct queue *queue = opaque;

    if (queue->broken || atomic_load_explicit(&queue->used->idx, memory_order_acquire) == queue->last_used)
        return 0;
    queue->env->callback(queue->env->context);
    return 1;
}

static uint32_t num_free(void *opaque) { return ((const struct queue *)opaque)->num_free; }

static const struct rp_driver driver = {
    .abi_version = RP_ABI_VERSION, .size = sizeof(struct rp_driver), .name = "fifo",
    .features = RP_F_INDIRECT_DESC | RP_F_EVENT_IDX | RP_F_VERSION_1 | RP_F_IN_ORDER | RP_F_NOTIFICATION_DATA,
    .traits = RP_TRAIT_ARMS_ONCE | RP_TRAIT_C11_ORDER,
    .create = create, .destroy = destroy, .add = add, .kick = kick, .get_buf = get_buf,
    .disable_cb = disable_cb, .enable_cb_prepare = enable_cb_prepare, .poll = poll, .interrupt = interrupt,
    .num_free = num_free,
};

const struct rp_driver *rp_driver_entry(void) { return &driver; }
