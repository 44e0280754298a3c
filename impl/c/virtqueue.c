/* SPDX-License-Identifier: Apache-2.0 */
/* Each function says which function of Linux 3.11's virtio_ring.c it follows. Reading order: vring.h,
 * set-up, add, kick, get_buf, callbacks. */
#include "vring.h"

#define TABLE_ALIGNMENT 16u

/* vring_init, vring_size */
struct rp_vq_placement rp_vq_place(uint32_t queue_size, enum rp_vq_layout layout)
{
    size_t n = queue_size;
    size_t used_alignment = layout == RP_VQ_LEGACY ? 4096 : 4;
    struct rp_vq_placement place = {.avail = 16 * n, .alignment = layout == RP_VQ_LEGACY ? 4096 : 64};

    place.used = (place.avail + 6 + 2 * n + used_alignment - 1) & ~(used_alignment - 1);
    place.bytes = place.used + 6 + 8 * n;
    return place;
}

/* vring_new_virtqueue */
int rp_vq_init(struct rp_vq *vq, const struct rp_vq_config *config,
               const struct rp_vq_ops *ops, void *context)
{
    uint32_t n = config->queue_size;
    struct rp_vq_placement place;
    uint64_t address = 0;
    char *ring;

    if (n == 0 || n > RP_VQ_MAX_SIZE || (n & (n - 1)) != 0)
        return RP_VQ_EINVAL;
    place = rp_vq_place(n, config->layout);
    ring = ops->allocate(context, place.bytes, place.alignment, &address);
    if (ring == NULL)
        return RP_VQ_ENOMEM;

    __builtin_memset(ring, 0, place.bytes);
    __builtin_memset(config->data, 0, n * sizeof(*config->data));
    __builtin_memset(vq, 0, sizeof(*vq));
    vq->desc = (void *)ring;
    vq->avail = (void *)(ring + place.avail);
    vq->used = (void *)(ring + place.used);
    vq->data = config->data;
    vq->queue_size = n;
    vq->num_free = n;
    vq->queue_index = config->queue_index;
    vq->indirect = (config->features & RP_VQ_F_INDIRECT_DESC) != 0;
    vq->event_idx = (config->features & RP_VQ_F_EVENT_IDX) != 0;
    vq->little_endian = (config->features & RP_VQ_F_VERSION_1) != 0;
    vq->mended = config->profile == RP_PROFILE_VIRTIO_1;
    vq->callbacks = true;
    vq->ops = ops;
    vq->context = context;
    vq->ring = ring;
    vq->ring_bytes = place.bytes;
    vq->desc_address = address;
    vq->avail_address = address + place.avail;
    vq->used_address = address + place.used;

    for (uint32_t i = 0; i + 1 < n; i++)
        store16(vq, &vq->desc[i].next, (uint16_t)(i + 1));
    if (ops->callback == NULL)
        rp_vq_disable_cb(vq);
    return 0;
}

static void release_table(struct rp_vq *vq, uint32_t head)
{
    struct rp_vq_data *data = &vq->data[head];

    if (data->table != NULL)
        vq->ops->release(vq->context, data->table, data->table_bytes);
    data->table = NULL;
}

/* vring_del_virtqueue */
void rp_vq_destroy(struct rp_vq *vq)
{
    for (uint32_t head = 0; head < vq->queue_size; head++)
        release_table(vq, head);
    vq->ops->release(vq->context, vq->ring, vq->ring_bytes);
}

/* -- add -- */

static const void *fill(const struct rp_vq *vq, volatile struct rp_vring_desc *desc, const void *cursor,
                        unsigned int flags)
{
    struct rp_vq_segment segment;

    cursor = vq->ops->read_segment(cursor, &segment);
    store64(vq, &desc->addr, segment.address);
    store32(vq, &desc->len, segment.length);
    store16(vq, &desc->flags, (uint16_t)flags);
    return cursor;
}

/* vring_add_indirect: false when there is no memory for the table. */
static bool add_indirect(struct rp_vq *vq, const void *cursor, uint32_t out, uint32_t total)
{
    volatile struct rp_vring_desc *head = &vq->desc[vq->free_head];
    struct rp_vq_data *data = &vq->data[vq->free_head];
    size_t bytes = (size_t)total * sizeof(struct rp_vring_desc);
    volatile struct rp_vring_desc *table;
    uint64_t address = 0;

    data->table = vq->ops->allocate(vq->context, bytes, TABLE_ALIGNMENT, &address);
    if (data->table == NULL)
        return false;
    data->table_bytes = bytes;
    table = data->table;
    for (uint32_t i = 0; i < total; i++) {
        cursor = fill(vq, &table[i], cursor, i < out ? DESC_NEXT : DESC_NEXT | DESC_WRITE);
        store16(vq, &table[i].next, (uint16_t)(i + 1));
    }
    store16(vq, &table[total - 1].flags, out == total ? 0 : DESC_WRITE);
    store16(vq, &table[total - 1].next, 0);

    store64(vq, &head->addr, address);
    store32(vq, &head->len, (uint32_t)bytes);
    store16(vq, &head->flags, DESC_INDIRECT);
    vq->free_head = load16(vq, &head->next);
    vq->num_free -= 1;
    return true;
}

/* The links of the free list become the links of the chain. */
static void add_direct(struct rp_vq *vq, const void *cursor, uint32_t out, uint32_t total)
{
    volatile struct rp_vring_desc *desc = &vq->desc[vq->free_head];
    uint16_t next = vq->free_head;

    vq->num_free -= total;
    for (uint32_t i = 0; i < total; i++) {
        desc = &vq->desc[next];
        cursor = fill(vq, desc, cursor, i < out ? DESC_NEXT : DESC_NEXT | DESC_WRITE);
        next = load16(vq, &desc->next);
    }
    store16(vq, &desc->flags, out == total ? 0 : DESC_WRITE);
    vq->free_head = next;
}

/* virtqueue_add */
int rp_vq_add(struct rp_vq *vq, const void *segments, uint32_t out, uint32_t in, void *token)
{
    uint32_t total = out + in;
    uint16_t head = vq->free_head;
    uint16_t avail_idx;

    if (token == NULL || total == 0 || total < out)
        return RP_VQ_EINVAL;
    if (vq->mended && total > vq->queue_size)
        return RP_VQ_EINVAL;

    /* A table's next fields have 16 bits too. */
    bool indirect = vq->indirect && total > 1 && total <= 65536 && vq->num_free > 0;
    if (!indirect || !add_indirect(vq, segments, out, total)) {
        if (total > vq->queue_size)
            return RP_VQ_EINVAL;
        if (vq->num_free < total) {
            /* The device had better hurry: no later kick may come before the next try. */
            if (out > 0 && vq->mended)
                rp_vq_kick(vq);
            else if (out > 0)
                rp_vq_notify(vq);
            return RP_VQ_ENOSPC;
        }
        add_direct(vq, segments, out, total);
    }

    vq->data[head].token = token;
    avail_idx = load16(vq, &vq->avail->idx);
    store16(vq, &vq->avail->ring[avail_idx & (vq->queue_size - 1)], head);
    write_fence(); /* the device must not see the index before the entry and the chain */
    store16(vq, &vq->avail->idx, (uint16_t)(avail_idx + 1));
    vq->num_added = (uint16_t)(vq->num_added + 1);
    /* One more and kick_prepare could no longer tell how many were added. */
    if (vq->num_added == UINT16_MAX)
        rp_vq_kick(vq);
    return 0;
}

/* -- kick -- */

/* vring_need_event: is `event` one of the indices old, ..., new - 1? */
static bool need_event(uint16_t event, uint16_t new, uint16_t old)
{
    return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* virtqueue_kick_prepare */
bool rp_vq_kick_prepare(struct rp_vq *vq)
{
    uint16_t new, old;

    full_fence(); /* publish avail.idx before asking whether the device sleeps */
    new = load16(vq, &vq->avail->idx);
    old = (uint16_t)(new - vq->num_added);
    vq->num_added = 0;
    if (vq->event_idx)
        return need_event(load16(vq, avail_event(vq)), new, old);
    return (load16(vq, &vq->used->flags) & USED_NO_NOTIFY) == 0;
}

/* virtqueue_notify */
void rp_vq_notify(struct rp_vq *vq)
{
    vq->ops->notify(vq->context, vq->queue_index);
}

/* virtqueue_kick */
void rp_vq_kick(struct rp_vq *vq)
{
    if (rp_vq_kick_prepare(vq))
        rp_vq_notify(vq);
}

/* -- get_buf -- */

/* detach_buf: the chain goes on top of the free list, in its own order. */
static void detach_buf(struct rp_vq *vq, uint32_t head)
{
    uint16_t last = (uint16_t)head;

    vq->data[head].token = NULL;
    release_table(vq, head);
    while ((load16(vq, &vq->desc[last].flags) & DESC_NEXT) != 0) {
        last = load16(vq, &vq->desc[last].next);
        vq->num_free += 1;
    }
    store16(vq, &vq->desc[last].next, vq->free_head);
    vq->free_head = (uint16_t)head;
    vq->num_free += 1;
}

static bool writes_used_event(const struct rp_vq *vq)
{
    return vq->event_idx || !vq->mended;
}

static bool callbacks_enabled(const struct rp_vq *vq)
{
    return vq->mended ? vq->callbacks : (load16(vq, &vq->avail->flags) & AVAIL_NO_INTERRUPT) == 0;
}

/* virtqueue_get_buf */
int rp_vq_get_buf(struct rp_vq *vq, void **token, uint32_t *length)
{
    volatile struct rp_vring_used_elem *entry;
    uint32_t id, len;

    if (vq->broken)
        return RP_VQ_EBROKEN;
    if (vq->last_used_idx == load16(vq, &vq->used->idx))
        return 0;
    read_fence(); /* look at the entry only after the index that announces it */

    entry = &vq->used->ring[vq->last_used_idx & (vq->queue_size - 1)];
    id = load32(vq, &entry->id);
    len = load32(vq, &entry->len);
    if (id >= vq->queue_size || vq->data[id].token == NULL) {
        vq->broken = true;
        return RP_VQ_EBROKEN;
    }
    *token = vq->data[id].token;
    *length = len;
    detach_buf(vq, id);
    vq->last_used_idx = (uint16_t)(vq->last_used_idx + 1);

    if (callbacks_enabled(vq) && writes_used_event(vq)) {
        store16(vq, used_event(vq), vq->last_used_idx);
        full_fence(); /* arm the interrupt before the next look at used.idx */
    }
    return 1;
}

/* -- callbacks -- */

static void set_callbacks(struct rp_vq *vq, bool enabled)
{
    vq->callbacks = enabled;
    if (!vq->mended || !vq->event_idx) /* VIRTIO 1.3 section 2.7.7.1: avail.flags is 0 under EVENT_IDX */
        store16(vq, &vq->avail->flags, (uint16_t)(enabled ? 0 : AVAIL_NO_INTERRUPT));
}

/* virtqueue_disable_cb */
void rp_vq_disable_cb(struct rp_vq *vq)
{
    set_callbacks(vq, false);
}

/* virtqueue_enable_cb_prepare */
uint16_t rp_vq_enable_cb_prepare(struct rp_vq *vq)
{
    set_callbacks(vq, true);
    if (writes_used_event(vq))
        store16(vq, used_event(vq), vq->last_used_idx);
    return vq->last_used_idx;
}

/* virtqueue_poll */
bool rp_vq_poll(struct rp_vq *vq, uint16_t mark)
{
    full_fence(); /* enable the interrupt before looking whether it would come too late */
    return load16(vq, &vq->used->idx) != mark;
}

/* virtqueue_enable_cb */
bool rp_vq_enable_cb(struct rp_vq *vq)
{
    return !rp_vq_poll(vq, rp_vq_enable_cb_prepare(vq));
}

/* virtqueue_enable_cb_delayed */
bool rp_vq_enable_cb_delayed(struct rp_vq *vq)
{
    uint16_t in_flight = (uint16_t)(load16(vq, &vq->avail->idx) - vq->last_used_idx);
    uint16_t bufs = (uint16_t)(in_flight * 3u / 4u);

    set_callbacks(vq, true);
    if (writes_used_event(vq))
        store16(vq, used_event(vq), (uint16_t)(vq->last_used_idx + bufs));
    full_fence(); /* as in rp_vq_poll */
    return (uint16_t)(load16(vq, &vq->used->idx) - vq->last_used_idx) <= bufs;
}

/* vring_interrupt */
bool rp_vq_interrupt(struct rp_vq *vq)
{
    if (vq->last_used_idx == load16(vq, &vq->used->idx))
        return false;
    if (!vq->broken && vq->ops->callback != NULL)
        vq->ops->callback(vq->context);
    return true;
}

/* virtqueue_detach_unused_buf */
void *rp_vq_detach_unused_buf(struct rp_vq *vq)
{
    for (uint32_t head = 0; head < vq->queue_size; head++) {
        void *token = vq->data[head].token;

        if (token != NULL) {
            detach_buf(vq, head);
            store16(vq, &vq->avail->idx, (uint16_t)(load16(vq, &vq->avail->idx) - 1));
            return token;
        }
    }
    return NULL;
}
