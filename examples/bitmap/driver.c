/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue driver with a bitmap of free descriptors, which publishes at kick and completes by callback.
 *
 * A chain is made of any descriptors that are free. What is written to the ring is written to a copy first, and
 * only the copy is ever read: nothing that the device can write decides what is freed. Heads wait, in the order
 * they were added, until kick puts them all into the available ring and publishes them by one store. A chain of
 * 2 to TABLE segments goes into an indirect table, if that was negotiated: each descriptor has one, allocated
 * beforehand, so that add needs no memory. Tokens go back through env->completed, from the interrupt handler,
 * and from add where room is short. */
#include "ringproof_driver.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 }; /* flags of descriptors, VIRTIO 1.3 section 2.7.5 */
enum { NO_NOTIFY = 1, NO_INTERRUPT = 1 };   /* used.flags, avail.flags */
enum { TABLE = 16, TABLE_ENTRY = 16, LARGEST_QUEUE = 32768, BLOCKS = 7 };

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct used_entry { _Atomic uint32_t id, length; };
struct available { _Atomic uint16_t flags, idx; uint16_t ring[]; };     /* behind ring: used_event */
struct used { _Atomic uint16_t flags, idx; struct used_entry ring[]; }; /* behind ring: avail_event */

/* A descriptor table or an indirect one: what the device reads, and our copy of it. */
struct table { struct descriptor *shared, *own; uint64_t address; };

struct buffer {           /* of a head, from add to completion */
    void    *token;       /* null: not a head */
    uint16_t descriptors; /* in the chain: 1 if it goes through a table */
    uint16_t mapped;      /* segments the device knows so far */
    bool     indirect, published;
};

struct block { void *memory; size_t bytes; bool shared; };

struct queue {
    const struct rp_env *env;
    uint32_t             size;
    struct table         main, tables; /* `tables`: TABLE entries for each head, one behind the other */
    struct available    *avail;
    struct used         *used;
    struct buffer       *buffers;
    uint64_t            *free_bits;       /* bit i % 64 of word i / 64: descriptor i is free */
    uint32_t             num_free, words, cursor; /* cursor: the word to look at first */
    uint32_t             num_added, detached;     /* detached: below, no buffer is left */
    uint16_t            *added;           /* heads not published yet, oldest first */
    uint16_t             avail_idx, last_used_idx; /* free-running: masked for slots only */
    bool                 event_idx, callbacks_on, broken, out_of_memory;
    struct block         blocks[BLOCKS];
    uint32_t             block_count;
};

/* Zeroed memory that destroy gives back: the device's where its address is asked for, else private. */
static void *get_memory(struct queue *queue, size_t bytes, uint64_t *address)
{
    const struct rp_env *env = queue->env;
    void *memory = address != NULL ? env->allocate(env->context, bytes, 4096, address)
                                   : env->allocate_private(env->context, bytes);

    if (memory != NULL)
        queue->blocks[queue->block_count++] = (struct block){memset(memory, 0, bytes), bytes, address != NULL};
    queue->out_of_memory |= memory == NULL;
    return memory;
}

static uint16_t take_descriptor(struct queue *queue)
{
    uint64_t *word;
    int bit = 0;

    while (*(word = &queue->free_bits[queue->cursor]) == 0)
        queue->cursor = (queue->cursor + 1) % queue->words;
    while ((*word >> bit & 1) == 0)
        bit++;
    *word &= ~(UINT64_C(1) << bit);
    queue->num_free--;
    return (uint16_t)(64 * queue->cursor + (uint32_t)bit);
}

static void free_descriptor(struct queue *queue, uint16_t at)
{
    queue->free_bits[at / 64] |= UINT64_C(1) << at % 64;
    queue->num_free++;
}

/* The table that names a chain's segments: the head's own from entry 0, or the main one from the head on. */
static struct table table_of(const struct queue *queue, uint16_t head, uint16_t *first)
{
    size_t at = (size_t)head * TABLE;

    *first = head;
    if (!queue->buffers[head].indirect)
        return queue->main;
    *first = 0;
    return (struct table){queue->tables.shared + at, queue->tables.own + at,
                          queue->tables.address + at * TABLE_ENTRY};
}

/* Takes a chain back, whole or half made, as our copies say: unmaps its segments, frees its descriptors. */
static void take_back(struct queue *queue, uint16_t head)
{
    struct buffer *buffer = &queue->buffers[head];
    const struct rp_env *env = queue->env;
    uint16_t at, next;
    struct table table = table_of(queue, head, &at);

    for (; buffer->mapped > 0; buffer->mapped--, at = table.own[at].next)
        env->unmap(env->context, table.own[at].address, table.own[at].length);
    for (at = head; buffer->descriptors > 0; buffer->descriptors--, at = next) {
        next = queue->main.own[at].next;
        free_descriptor(queue, at);
    }
    buffer->token = NULL;
    buffer->published = false;
}

static int detach_unused(void *made, void **token)
{
    struct queue *queue = made;

    for (; queue->detached < queue->size; queue->detached++) {
        if ((*token = queue->buffers[queue->detached].token) != NULL) {
            take_back(queue, (uint16_t)queue->detached);
            return 1;
        }
    }
    return 0;
}

static void destroy(void *made)
{
    struct queue *queue = made;
    const struct rp_env *env = queue->env;
    void *forgotten;

    while (queue->buffers != NULL && detach_unused(queue, &forgotten))
        continue; /* what was in flight is unmapped all the same */
    while (queue->block_count > 0) {
        struct block block = queue->blocks[--queue->block_count];

        (block.shared ? env->release : env->release_private)(env->context, block.memory, block.bytes);
    }
    env->release_private(env->context, queue, sizeof(*queue));
}

/* Asks for an interrupt at the next completion, or for none. */
static void arm(struct queue *queue, bool on)
{
    uint16_t event = (uint16_t)(queue->last_used_idx - (on ? 0 : 1)); /* off: after 65535 more */

    queue->callbacks_on = on;
    if (queue->event_idx)
        atomic_store_explicit((_Atomic uint16_t *)&queue->avail->ring[queue->size], event, memory_order_relaxed);
    else
        atomic_store_explicit(&queue->avail->flags, on ? 0 : NO_INTERRUPT, memory_order_relaxed);
    /* The wish before another look at used_idx (2.7.14): one of the two finds what is used meanwhile. */
    atomic_thread_fence(memory_order_seq_cst);
}

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **made)
{
    size_t n = env->queue_size, avail_at = 16 * n, used_at = (avail_at + 2 * n + 6 + 4095) & ~(size_t)4095;
    size_t table_bytes = (env->features & RP_F_INDIRECT_DESC) ? n * TABLE * TABLE_ENTRY : 0;
    struct queue *queue;
    uint8_t *ring;

    if (n == 0 || n > LARGEST_QUEUE || (n & (n - 1)) != 0)
        return RP_EINVAL;
    queue = env->allocate_private(env->context, sizeof(*queue));
    if (queue == NULL)
        return RP_ENOMEM;
    queue->env = env;
    queue->size = env->queue_size;
    queue->words = (queue->size + 63) / 64;
    queue->free_bits = get_memory(queue, queue->words * sizeof(uint64_t), NULL);
    queue->buffers = get_memory(queue, n * sizeof(struct buffer), NULL);
    queue->added = get_memory(queue, n * sizeof(uint16_t), NULL);
    queue->main.own = get_memory(queue, n * sizeof(struct descriptor), NULL);
    if (table_bytes > 0) {
        queue->tables.own = get_memory(queue, table_bytes, NULL);
        queue->tables.shared = get_memory(queue, table_bytes, &queue->tables.address);
    }
    /* One block, the used ring at the next page: a legacy layout, which is a modern one as well. */
    ring = get_memory(queue, used_at + 8 * n + 6, &parts->desc);
    if (queue->out_of_memory) {
        destroy(queue);
        return RP_ENOMEM;
    }
    queue->main.shared = (void *)ring;
    queue->avail = (void *)(ring + avail_at);
    queue->used = (void *)(ring + used_at);
    parts->avail = parts->desc + avail_at;
    parts->used = parts->desc + used_at;
    for (uint32_t i = 0; i < queue->size; i++)
        free_descriptor(queue, (uint16_t)i);
    queue->event_idx = (env->features & RP_F_EVENT_IDX) != 0;
    arm(queue, env->has_callback != 0);
    *made = queue;
    return RP_OK;
}

/* Hands back the buffer of the oldest used entry that was not looked at yet; there must be one. */
static void complete(struct queue *queue)
{
    struct used_entry *entry = &queue->used->ring[queue->last_used_idx++ & (queue->size - 1)];
    uint32_t id = atomic_load_explicit(&entry->id, memory_order_relaxed); /* read once: it might change */
    uint32_t length = atomic_load_explicit(&entry->length, memory_order_relaxed);
    void *token;

    if (id >= queue->size || !queue->buffers[id].published) {
        queue->broken = true; /* no buffer the device has: it is not to be trusted any more */
        return;
    }
    token = queue->buffers[id].token;
    take_back(queue, (uint16_t)id);
    queue->env->completed(queue->env->context, token, length);
}

static bool anything_used(const struct queue *queue) /* acquire: the index before the entry it tells of */
{
    return !queue->broken &&
           atomic_load_explicit(&queue->used->idx, memory_order_acquire) != queue->last_used_idx;
}

static void reclaim(struct queue *queue)
{
    while (anything_used(queue)) {
        while (anything_used(queue))
            complete(queue);
        if (queue->event_idx && queue->callbacks_on)
            arm(queue, true);
    }
}

/* Writes the segments into the chain's table, along its links; false if one cannot be mapped. */
static bool fill(struct queue *queue, uint16_t head, const struct rp_segment *segments, uint32_t out,
                 uint32_t total)
{
    const struct rp_env *env = queue->env;
    struct buffer *buffer = &queue->buffers[head];
    uint16_t at;
    struct table table = table_of(queue, head, &at);

    for (uint32_t i = 0; i < total; i++, at = table.own[at].next) {
        struct descriptor *own = &table.own[at];

        if (env->map(env->context, segments[i].data, segments[i].length, &own->address) < 0)
            return false;
        buffer->mapped++;
        own->length = segments[i].length;
        own->flags = (uint16_t)((i >= out ? WRITE : 0) | (i + 1 < total ? NEXT : 0));
        if (buffer->indirect)
            own->next = (uint16_t)(i + 1);
        table.shared[at] = *own;
    }
    if (buffer->indirect)
        queue->main.shared[head] = (struct descriptor){table.address, total * TABLE_ENTRY, INDIRECT, 0};
    return true;
}

static int add(void *made, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct queue *queue = made;
    uint64_t total = (uint64_t)out + in;
    bool indirect = queue->tables.shared != NULL && total > 1 && total <= TABLE;
    uint32_t needed = indirect ? 1 : (uint32_t)total;
    uint16_t head, last;

    if (token == NULL || total == 0 || total > queue->size)
        return RP_EINVAL;
    if (queue->num_free < needed)
        reclaim(queue);
    if (queue->broken)
        return RP_EBROKEN;
    if (queue->num_free < needed)
        return RP_ENOSPC;
    head = last = take_descriptor(queue);
    for (uint32_t i = 1; i < needed; i++)
        last = queue->main.own[last].next = take_descriptor(queue);
    queue->buffers[head] = (struct buffer){token, (uint16_t)needed, 0, indirect, false};
    if (!fill(queue, head, segments, out, (uint32_t)total)) {
        take_back(queue, head);
        return RP_ENOSPC;
    }
    queue->added[queue->num_added++] = head;
    return RP_OK;
}

static void kick(void *made)
{
    struct queue *queue = made;
    _Atomic uint16_t *avail_event = (void *)&queue->used->ring[queue->size];
    uint16_t old = queue->avail_idx, idx = old, event;
    bool wanted;

    if (queue->num_added == 0 || queue->broken)
        return;
    for (uint32_t i = 0; i < queue->num_added; i++, idx++) {
        queue->avail->ring[idx & (queue->size - 1)] = queue->added[i];
        queue->buffers[queue->added[i]].published = true;
    }
    queue->num_added = 0;
    queue->avail_idx = idx;
    /* Descriptors and slots before the index (2.7.13.3), the index before the device's wish (2.7.13.4). */
    atomic_store_explicit(&queue->avail->idx, idx, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (queue->event_idx) {
        event = atomic_load_explicit(avail_event, memory_order_relaxed);
        wanted = (uint16_t)(idx - event - 1) < (uint16_t)(idx - old);
    } else {
        wanted = (atomic_load_explicit(&queue->used->flags, memory_order_relaxed) & NO_NOTIFY) == 0;
    }
    if (wanted)
        queue->env->notify(queue->env->context, queue->env->queue_index);
}

static int interrupt(void *made)
{
    bool ours = anything_used(made);

    reclaim(made);
    return ours;
}

static void disable_cb(void *made) { arm(made, false); }

static int enable_cb(void *made)
{
    arm(made, true);
    return !anything_used(made);
}

static uint32_t num_free(void *made) { return ((struct queue *)made)->num_free; }

const struct rp_driver *rp_driver_entry(void)
{
    static const struct rp_driver driver = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_driver),
        .name = "bitmap",
        .features = RP_F_INDIRECT_DESC | RP_F_EVENT_IDX | RP_F_VERSION_1,
        .traits = RP_TRAIT_PUBLISH_AT_KICK | RP_TRAIT_PUSHES_BUFFERS | RP_TRAIT_MAPS | RP_TRAIT_C11_ORDER,
        .create = create, .destroy = destroy, .add = add, .kick = kick,
        .disable_cb = disable_cb, .enable_cb = enable_cb, .interrupt = interrupt,
        .num_free = num_free, .detach_unused = detach_unused,
    };

    return &driver;
}
