/* SPDX-License-Identifier: Apache-2.0 */
/* The least a driver needs to be validated: five operations. A buffer is one segment; descriptor and slot of the
 * k-th add are number k mod queue size; there are no callbacks, no indirect tables and no event index.
 *
 * Nothing is asked of a descriptor but that it is free: as buffers are completed in any order, the next one in
 * ring order may still be with the device while others are free. Then add waits, though it need not. */
#include "ringproof_driver.h"

#include <string.h>

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct used_entry { uint32_t id, length; };
struct available { uint16_t flags, idx, ring[]; };
struct used { uint16_t flags, idx; struct used_entry ring[]; };

struct queue {
    const struct rp_env        *env;
    volatile struct descriptor *desc;
    volatile struct available  *avail;
    volatile struct used       *used;
    size_t                      ring_bytes, bytes;
    uint32_t                    size;
    uint16_t                    last_used; /* free-running, like the device's index: compared, never masked */
    void                       *tokens[];  /* of buffers the device has, by descriptor; null where it has none */
};

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **made)
{
    size_t n = env->queue_size, avail_at = 16 * n, used_at, bytes;
    struct queue *queue;
    uint8_t *ring;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
    /* One block in the legacy layout, which is a modern one as well. */
    used_at = (avail_at + 2 * n + 6 + 4095) & ~(size_t)4095;
    bytes = sizeof(*queue) + n * sizeof(queue->tokens[0]);
    queue = env->allocate_private(env->context, bytes);
    if (queue == NULL)
        return RP_ENOMEM;
    ring = env->allocate(env->context, used_at + 8 * n + 6, 4096, &parts->desc);
    if (ring == NULL) {
        env->release_private(env->context, queue, bytes);
        return RP_ENOMEM;
    }
    queue->env = env;
    queue->size = env->queue_size;
    queue->bytes = bytes;
    queue->ring_bytes = used_at + 8 * n + 6;
    memset(ring, 0, queue->ring_bytes); /* its contents are arbitrary */
    queue->desc = (void *)ring;
    queue->avail = (void *)(ring + avail_at);
    queue->used = (void *)(ring + used_at);
    queue->avail->flags = 1; /* nobody waits for an interrupt: get_buf looks for itself */
    parts->avail = parts->desc + avail_at;
    parts->used = parts->desc + used_at;
    *made = queue;
    return RP_OK;
}

static void destroy(void *made)
{
    struct queue *queue = made;
    const struct rp_env *env = queue->env;

    env->release(env->context, (void *)(uintptr_t)queue->desc, queue->ring_bytes);
    env->release_private(env->context, queue, queue->bytes);
}

static int add(void *made, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct queue *queue = made;
    uint16_t idx = queue->avail->idx, at = (uint16_t)(idx & (queue->size - 1));
    volatile struct descriptor *descriptor = &queue->desc[at];

    if (token == NULL || (uint64_t)out + in != 1)
        return RP_EINVAL; /* also a chain this driver will never take */
    if (queue->tokens[at] != NULL)
        return RP_ENOSPC;
    queue->tokens[at] = token;
    descriptor->address = segments[0].address; /* the device's, not the pointer `data` */
    descriptor->length = segments[0].length;
    descriptor->flags = in > 0 ? 2 : 0; /* WRITE */
    queue->avail->ring[at] = at;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the buffer before the index that publishes it */
    queue->avail->idx = (uint16_t)(idx + 1);
    return RP_OK;
}

static void kick(void *made)
{
    struct queue *queue = made;

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the index before the device's flags */
    if ((queue->used->flags & 1) == 0)
        queue->env->notify(queue->env->context, queue->env->queue_index);
}

static int get_buf(void *made, void **token, uint32_t *length)
{
    struct queue *queue = made;
    volatile struct used_entry *entry = &queue->used->ring[queue->last_used & (queue->size - 1)];

    if (queue->last_used == queue->used->idx)
        return 0;
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the index before the entry */
    if (entry->id >= queue->size || queue->tokens[entry->id] == NULL)
        return RP_EBROKEN;
    *token = queue->tokens[entry->id];
    *length = entry->length;
    queue->tokens[entry->id] = NULL;
    queue->last_used++;
    return 1;
}

const struct rp_driver *rp_driver_entry(void)
{
    static const struct rp_driver driver = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_driver),
        .name = "minimal",
        .features = RP_F_VERSION_1,
        .create = create,
        .destroy = destroy,
        .add = add,
        .kick = kick,
        .get_buf = get_buf,
    };

    return &driver;
}
