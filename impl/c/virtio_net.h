/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio network device's transmit side, following Linux 3.11's virtio_net.c function by function over
 * virtqueue.c. Reading order: scatterlist.h, net_header.h, this file and virtio_net.c, then how the device is
 * found: virtio_pci.h, net_probe.c.
 */
#ifndef RP_VIRTIO_NET_H
#define RP_VIRTIO_NET_H

#include <stdbool.h>

#include "net_header.h"
#include "ringproof_net_driver.h"
#include "scatterlist.h"
#include "virtqueue.h"

#define RP_NET_MOST_PAIRS  8u
#define RP_NET_MOST_QUEUES (2u * RP_NET_MOST_PAIRS + 1u)

struct rp_net_device;
struct rp_pci_ops;

/* A frame in flight. */
struct rp_net_record {
    const struct rp_net_frame *frame;
    void                      *copy; /* what the device reads instead of the frame's pieces, or null */
    size_t                     copy_bytes;
    struct rp_net_record      *next; /* of those not in use */
};

/* A virtqueue and, if it transmits, struct send_queue. */
struct rp_net_queue {
    struct rp_vq          vq;
    struct rp_net_device *device;
    uint32_t              index;      /* of the virtqueue */
    uint32_t              notify_off; /* modern: in units of notify_off_multiplier */
    size_t                bytes;      /* of this allocation */

    uint32_t                 pair;
    uint32_t                 room; /* how many descriptors the next frame may need */
    struct rp_net_statistics count;
    struct rp_net_record    *unused; /* one more of them than the ring can hold */
    struct rp_sg             sg[RP_SG_ENTRIES];

    struct rp_vq_data data[]; /* as many as the ring has descriptors; then the records */
};

/* struct virtnet_info */
struct rp_net_device {
    const struct rp_net_env *env;
    const struct rp_pci_ops *pci;
    uint64_t                 features; /* accepted */
    bool                     mended;   /* the virtio-1.x profile */
    uint32_t                 header_bytes;
    uint32_t                 most_pairs;    /* how many queue pairs are set up */
    uint32_t                 pairs;         /* and how many are in use */
    uint32_t                 control_index; /* of the control queue, behind all pairs the device has */
    uint8_t                  mac[6];
    uint16_t                 link; /* the status field as last read */
    uint32_t                 queue_count;
    struct rp_net_queue     *queues[RP_NET_MOST_QUEUES];
};

static inline bool rp_net_has(const struct rp_net_device *device, uint64_t feature)
{
    return (device->features & feature) == feature;
}

static inline struct rp_net_queue *rp_net_send_queue(const struct rp_net_device *device, uint32_t pair)
{
    return device->queues[2 * pair + 1];
}

/* The control queue, or null. */
static inline struct rp_net_queue *rp_net_control_queue(const struct rp_net_device *device)
{
    return rp_net_has(device, RP_NET_F_CTRL_VQ) ? device->queues[2 * device->most_pairs] : NULL;
}

/* Bytes of a queue of `size` descriptors, records included if it transmits. */
size_t rp_net_queue_bytes(uint32_t size, bool transmits);
/* Readies a zeroed transmit queue. */
void rp_net_send_init(struct rp_net_queue *queue, uint32_t size, uint32_t pair);

/* start_xmit: takes the frame in any case. */
void rp_net_start_xmit(struct rp_net_queue *queue, const struct rp_net_frame *frame);
/* skb_xmit_done: the callback of a transmit queue, which is the context. */
void rp_net_xmit_done(void *context);
/* free_unused_bufs for one transmit queue; only after reset. Nothing is counted. */
void rp_net_free_unused(struct rp_net_queue *queue);

/* virtnet_select_queue */
uint32_t rp_net_select_queue(const struct rp_net_device *device, const struct rp_net_frame *frame);
/* virtnet_set_queues: RP_NET_OK, RP_NET_EINVAL, RP_NET_ENOMEM, RP_NET_ETIMEDOUT. */
int rp_net_set_pairs(struct rp_net_device *device, uint32_t pairs);
/* Releases commands that the device never answered; only after reset. */
void rp_net_free_commands(struct rp_net_queue *queue);

/* -- net_probe.c -- */

/* virtnet_probe, and what virtio.c and virtio_pci.c do around it. RP_NET_OK and a device, or an error and
 * nothing held. */
int rp_net_probe(const struct rp_net_env *env, bool mended, struct rp_net_device **device);
/* virtnet_remove. A device that does not let itself be reset keeps all its memory. */
void rp_net_remove(struct rp_net_device *device);
/* vp_interrupt: whether it was ours. */
bool rp_net_interrupt(struct rp_net_device *device);

#endif
