/* SPDX-License-Identifier: Apache-2.0 */
/* The ringproof network driver ABI over virtio_net.c: the virtio-1.x profile, or the linux-3.11 one when
 * RP_ADAPTER_LINUX_3_11 is defined. */
#include "ringproof_net_driver.h"
#include "virtio_net.h"

#ifdef RP_ADAPTER_LINUX_3_11
#define MENDED false
#define TRAITS RP_NET_TRAIT_LINUX_3_11
#define NAME   "ringproof linux-3.11"
#else
#define MENDED true
#define TRAITS RP_NET_TRAIT_VIRTIO_1
#define NAME   "ringproof virtio-1.x"
#endif

#define OFFLOADS                                                                                         \
    (RP_NET_F_CSUM | RP_NET_F_HOST_TSO4 | RP_NET_F_HOST_TSO6 | RP_NET_F_HOST_ECN | RP_NET_F_HOST_UFO)
#define FEATURES                                                                                         \
    (OFFLOADS | RP_NET_F_MAC | RP_NET_F_MRG_RXBUF | RP_NET_F_STATUS | RP_NET_F_CTRL_VQ | RP_NET_F_MQ |   \
     RP_VQ_F_INDIRECT_DESC | RP_VQ_F_EVENT_IDX | RP_VQ_F_VERSION_1)

_Static_assert(RP_VQ_EINVAL == RP_NET_EINVAL && RP_VQ_ENOMEM == RP_NET_ENOMEM,
               "error numbers are passed on as they are");
_Static_assert(RP_VQ_F_VERSION_1 == RP_NET_F_VERSION_1, "so are features");
_Static_assert(RP_NET_CONTROL_BYTES >= 12, "a header finds room in the control block");

static bool complete(const struct rp_net_env *env)
{
    return env->read != NULL && env->write != NULL && env->allocate != NULL && env->release != NULL &&
           env->allocate_private != NULL && env->release_private != NULL && env->freed != NULL &&
           env->orphaned != NULL && env->stop_queue != NULL && env->start_queue != NULL &&
           env->wake_queue != NULL;
}

static int probe(const struct rp_net_env *env, void **device)
{
    struct rp_net_device *found;
    int error;

    if (env == NULL || device == NULL)
        return RP_NET_EINVAL;
    if (env->abi_version != RP_NET_ABI_VERSION || env->size < sizeof(*env) || !complete(env))
        return RP_NET_EINVAL;
    if (env->transport != RP_NET_LEGACY && env->transport != RP_NET_MODERN)
        return RP_NET_EINVAL;
    if ((env->features & ~FEATURES) != 0)
        return RP_NET_EINVAL;
    error = rp_net_probe(env, MENDED, &found);
    if (error == RP_NET_OK)
        *device = found;
    return error;
}

static void remove(void *device)
{
    rp_net_remove(device);
}

static int set_pairs(void *device, uint32_t pairs)
{
    return rp_net_set_pairs(device, pairs);
}

static uint32_t select_queue(void *device, const struct rp_net_frame *frame)
{
    return rp_net_select_queue(device, frame);
}

/* Null for a number that select_queue never says. */
static struct rp_net_queue *send_queue(const struct rp_net_device *device, uint32_t pair)
{
    return pair < device->most_pairs ? rp_net_send_queue(device, pair) : NULL;
}

static void transmit(void *device, uint32_t pair, const struct rp_net_frame *frame)
{
    struct rp_net_queue *queue = send_queue(device, pair);
    const struct rp_net_env *env = ((struct rp_net_device *)device)->env;

    if (queue != NULL)
        rp_net_start_xmit(queue, frame);
    else
        env->freed(env->context, frame->token);
}

static int interrupt(void *device)
{
    return rp_net_interrupt(device);
}

static void statistics(void *device, uint32_t pair, struct rp_net_statistics *to)
{
    const struct rp_net_queue *queue = send_queue(device, pair);

    __builtin_memset(to, 0, sizeof(*to));
    if (queue != NULL) {
        *to = queue->count;
        to->num_free = queue->vq.num_free;
    }
}

const struct rp_net_driver *rp_net_driver_entry(void)
{
    static const struct rp_net_driver driver = {
        .abi_version = RP_NET_ABI_VERSION,
        .size = sizeof(struct rp_net_driver),
        .name = NAME,
        .features = FEATURES,
        .traits = TRAITS,
        .transports = 1u << RP_NET_LEGACY | 1u << RP_NET_MODERN,
        .probe = probe,
        .remove = remove,
        .set_pairs = set_pairs,
        .select_queue = select_queue,
        .transmit = transmit,
        .interrupt = interrupt,
        .statistics = statistics,
    };

    return &driver;
}
