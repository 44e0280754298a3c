/* @NAME@: an adapter, through which `ringproof validate` drives a virtqueue.
 *
 * It works as it is: `make check` builds it and gets a verdict on a tiny queue, of one descriptor per buffer, that
 * only polls. Put your driver in its place, piece by piece: each is marked TODO. What the operations have to do and
 * may return is said in ringproof_driver.h. (Little-endian machines: numbers in the ring are little endian.) */
#include "ringproof_driver.h"

#include <string.h>

/* TODO: your driver: its headers instead of these, and its sources in the Makefile. */
struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct element { uint32_t id, length; };
struct slot { void *token; uint16_t free; };

/* What the adapter keeps of a queue. */
struct adapter {
    const struct rp_env *env; /* outlives the queue */
    size_t ring_bytes;
    /* TODO: your driver: its queue instead of the rest. */
    volatile struct descriptor *desc;
    volatile uint16_t *avail, *used; /* flags, idx, ring */
    uint16_t size, num_free, avail_idx, last_used_idx;
    struct slot slots[]; /* [d].token: whose buffer descriptor d has; [0 to num_free - 1].free: those with none */
};

/* Sets up a queue of env->queue_size descriptors: RP_EINVAL for sizes that your driver does not take. */
static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
    size_t n = env->queue_size, used_at = (18 * n + 6 + 4095) / 4096 * 4096, ring_bytes = used_at + 6 + 8 * n;
    size_t bytes = sizeof(struct adapter) + n * sizeof(struct slot);
    struct adapter *a;
    unsigned char *ring;

    if (n == 0 || n > 32768 || (n & (n - 1)) != 0)
        return RP_EINVAL;
    a = env->allocate_private(env->context, bytes); /* zeroed */
    if (a == NULL)
        return RP_ENOMEM;
    /* TODO: your driver: let it allocate its ring through env->allocate, or hand it this one. */
    ring = env->allocate(env->context, ring_bytes, 4096, &parts->desc);
    if (ring == NULL) {
        env->release_private(env->context, a, bytes);
        return RP_ENOMEM;
    }
    memset(ring, 0, ring_bytes);           /* its contents are arbitrary */
    parts->avail = parts->desc + 16 * n;   /* where the device sees the parts, which is not where they are for us */
    parts->used = parts->desc + used_at;
    a->env = env;
    a->ring_bytes = ring_bytes;
    a->desc = (void *)ring;
    a->avail = (void *)(ring + 16 * n);
    a->used = (void *)(ring + used_at);
    a->avail[0] = 1; /* NO_INTERRUPT, as it only polls */
    for (a->size = (uint16_t)n; a->num_free < n; a->num_free++)
        a->slots[a->num_free].free = a->num_free;
    *queue = a;
    return RP_OK;
}

/* Gives back all that was allocated; buffers still in flight are forgotten. */
static void destroy(void *queue)
{
    struct adapter *a = queue;

    a->env->release(a->env->context, (void *)(uintptr_t)a->desc, a->ring_bytes); /* TODO: your driver */
    a->env->release_private(a->env->context, a, sizeof *a + a->size * sizeof(struct slot));
}

/* Offers `out` segments to be read, then `in` to be written: one chain, whose token get_buf returns in the end. */
static int add(void *queue, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    struct adapter *a = queue;
    uint16_t d;

    if (token == NULL || (uint64_t)out + in != 1)
        return RP_EINVAL; /* TODO: your driver: what it would never take; this one takes no longer chains */
    if (a->num_free == 0)
        return RP_ENOSPC;
    /* TODO: your driver. It offers `address`, which is the device's; at `data` you find the same bytes. */
    d = a->slots[--a->num_free].free;
    a->slots[d].token = token;
    a->desc[d].address = segments->address;
    a->desc[d].length = segments->length;
    a->desc[d].flags = in > 0 ? 2 : 0; /* WRITE */
    a->avail[2 + (a->avail_idx & (a->size - 1))] = d;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the buffer before the index that publishes it */
    a->avail[1] = ++a->avail_idx;
    return RP_OK;
}

/* Notifies the device, if it wants to know of what was added since the last kick. */
static void kick(void *queue)
{
    struct adapter *a = queue;

    /* TODO: your driver, with env->notify where it writes its doorbell. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the index before the device's flags */
    if ((a->used[0] & 1) == 0) /* NO_NOTIFY */
        a->env->notify(a->env->context, a->env->queue_index);
}

/* Takes back a completed buffer: 1 with token and length written, 0 for none, RP_EBROKEN if the device lies. */
static int get_buf(void *queue, void **token, uint32_t *length)
{
    struct adapter *a = queue;
    struct element used;

    /* TODO: your driver. */
    if (a->last_used_idx == a->used[1])
        return 0;
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the index before the element */
    used = ((volatile struct element *)(a->used + 2))[a->last_used_idx & (a->size - 1)];
    if (used.id >= a->size || a->slots[used.id].token == NULL)
        return RP_EBROKEN;
    *token = a->slots[used.id].token;
    *length = used.length;
    a->slots[used.id].token = NULL;
    a->slots[a->num_free++].free = (uint16_t)used.id;
    a->last_used_idx++;
    return 1;
}

static const struct rp_driver driver = {
    .abi_version = RP_ABI_VERSION, .size = sizeof(struct rp_driver), .name = "@NAME@",
    .features = RP_F_VERSION_1, /* TODO: what yours can: | RP_F_EVENT_IDX | RP_F_INDIRECT_DESC ... */
    .traits = 0,                /* TODO: its habits, as RP_TRAIT_ bits */
    .create = create, .destroy = destroy, .add = add, .kick = kick, .get_buf = get_buf,
    /* TODO: what else yours has, of: disable_cb, enable_cb, enable_cb_delayed, enable_cb_prepare, poll, interrupt
     * (then callbacks are on from the start, if env->has_callback), num_free, detach_unused. What is left out is null,
     * and what it would show is reported as not exercised. */
};

const struct rp_driver *rp_driver_entry(void) { return &driver; }
