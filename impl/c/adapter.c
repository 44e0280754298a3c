/* SPDX-License-Identifier: Apache-2.0 */
/* The ringproof driver ABI over virtqueue.c: the virtio-1.x profile, or the linux-3.11 one when
 * RP_ADAPTER_LINUX_3_11 is defined. */
#include "ringproof_driver.h"
#include "virtqueue.h"

#ifdef RP_ADAPTER_LINUX_3_11
#define PROFILE RP_PROFILE_LINUX_3_11
#define TRAITS  (RP_TRAIT_LINUX_3_11 | RP_TRAIT_C11_ORDER)
#define NAME    "ringproof linux-3.11"
#else
#define PROFILE RP_PROFILE_VIRTIO_1
#define TRAITS  (RP_TRAIT_VIRTIO_1 | RP_TRAIT_C11_ORDER)
#define NAME    "ringproof virtio-1.x"
#endif
#define FEATURES (RP_F_INDIRECT_DESC | RP_F_EVENT_IDX | RP_F_VERSION_1)

_Static_assert(RP_VQ_EINVAL == RP_EINVAL && RP_VQ_ENOSPC == RP_ENOSPC && RP_VQ_ENOMEM == RP_ENOMEM &&
               RP_VQ_EBROKEN == RP_EBROKEN, "error numbers are passed on as they are");
_Static_assert(RP_VQ_F_INDIRECT_DESC == RP_F_INDIRECT_DESC && RP_VQ_F_EVENT_IDX == RP_F_EVENT_IDX &&
               RP_VQ_F_VERSION_1 == RP_F_VERSION_1, "so are features");

/* One private allocation holds all of it. */
struct adapter {
    struct rp_vq         vq;
    struct rp_vq_ops     ops;
    const struct rp_env *env;
    size_t               bytes;
    struct rp_vq_data    data[];
};

static struct rp_vq *vq_of(void *queue)
{
    return &((struct adapter *)queue)->vq;
}

static const void *read_segment(const void *cursor, struct rp_vq_segment *segment)
{
    const struct rp_segment *from = cursor;

    segment->address = from->address;
    segment->length = from->length;
    return from + 1;
}

static int check(const struct rp_env *env)
{
    uint32_t n = env->queue_size;

    if (env->abi_version != RP_ABI_VERSION || env->size < sizeof(*env))
        return RP_EINVAL;
    if (n == 0 || n > RP_VQ_MAX_SIZE || (n & (n - 1)) != 0)
        return RP_EINVAL;
    if ((env->features & ~FEATURES) != 0)
        return RP_EINVAL;
    if (env->layout != RP_LAYOUT_LEGACY && env->layout != RP_LAYOUT_MODERN)
        return RP_EINVAL;
    return RP_OK;
}

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
    struct rp_vq_config config;
    struct adapter *self;
    size_t bytes;
    int error;

    if (env == NULL || parts == NULL || queue == NULL)
        return RP_EINVAL;
    error = check(env);
    if (error != RP_OK)
        return error;
    bytes = sizeof(*self) + env->queue_size * sizeof(self->data[0]);
    self = env->allocate_private(env->context, bytes);
    if (self == NULL)
        return RP_ENOMEM;
    self->env = env;
    self->bytes = bytes;
    self->ops.allocate = env->allocate;
    self->ops.release = env->release;
    self->ops.notify = env->notify;
    self->ops.callback = env->has_callback ? env->callback : NULL;
    self->ops.read_segment = read_segment;

    config.queue_size = env->queue_size;
    config.queue_index = env->queue_index;
    config.layout = env->layout == RP_LAYOUT_LEGACY ? RP_VQ_LEGACY : RP_VQ_MODERN;
    config.profile = PROFILE;
    config.features = env->features;
    config.data = self->data;
    error = rp_vq_init(&self->vq, &config, &self->ops, env->context);
    if (error != RP_OK) {
        env->release_private(env->context, self, bytes);
        return error;
    }
    parts->desc = self->vq.desc_address;
    parts->avail = self->vq.avail_address;
    parts->used = self->vq.used_address;
    *queue = self;
    return RP_OK;
}

static void destroy(void *queue)
{
    struct adapter *self = queue;

    rp_vq_destroy(&self->vq);
    self->env->release_private(self->env->context, self, self->bytes);
}

static int add(void *queue, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token)
{
    return rp_vq_add(vq_of(queue), segments, out, in, token);
}

static void kick(void *queue)
{
    rp_vq_kick(vq_of(queue));
}

static int get_buf(void *queue, void **token, uint32_t *length)
{
    return rp_vq_get_buf(vq_of(queue), token, length);
}

static void disable_cb(void *queue)
{
    rp_vq_disable_cb(vq_of(queue));
}

static int enable_cb(void *queue)
{
    return rp_vq_enable_cb(vq_of(queue));
}

static int enable_cb_delayed(void *queue)
{
    return rp_vq_enable_cb_delayed(vq_of(queue));
}

static uint32_t enable_cb_prepare(void *queue)
{
    return rp_vq_enable_cb_prepare(vq_of(queue));
}

static int poll(void *queue, uint32_t mark)
{
    return rp_vq_poll(vq_of(queue), (uint16_t)mark);
}

static int interrupt(void *queue)
{
    return rp_vq_interrupt(vq_of(queue));
}

static uint32_t num_free(void *queue)
{
    return vq_of(queue)->num_free;
}

static int detach_unused(void *queue, void **token)
{
    *token = rp_vq_detach_unused_buf(vq_of(queue));
    return *token != NULL;
}

const struct rp_driver *rp_driver_entry(void)
{
    static const struct rp_driver driver = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_driver),
        .name = NAME,
        .features = FEATURES,
        .traits = TRAITS,
        .create = create,
        .destroy = destroy,
        .add = add,
        .kick = kick,
        .get_buf = get_buf,
        .disable_cb = disable_cb,
        .enable_cb = enable_cb,
        .enable_cb_delayed = enable_cb_delayed,
        .enable_cb_prepare = enable_cb_prepare,
        .poll = poll,
        .interrupt = interrupt,
        .num_free = num_free,
        .detach_unused = detach_unused,
    };

    return &driver;
}
