/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ringproof network driver ABI, version 1: a whole driver, from probing a PCI device's registers to
 * transmitting frames, behind one shared library. It is offered beside or instead of rp_driver_entry
 * (ringproof_driver.h, whose rules on addresses hold here too) by exporting rp_net_driver_entry().
 *
 * Everything runs on one thread, as if under the transmit lock; calls never nest, except that a driver calls
 * its environment. What the harness gives outlives the device; a frame, with all its structures and data,
 * lives from transmit until it is freed.
 *
 * The device does its work between calls, or while it is notified: to wait for a chain inside a call is to
 * wait for ever. Only a reset and a control command are worth polling for. Transmit queues are numbered by
 * pair, from 0 (queue 2 * pair + 1 of the device); after probe all of them are started. Nothing is received:
 * receive queues may be set up and left empty.
 *
 * Numbers in the ring, in headers and in registers are little endian.
 */
#ifndef RINGPROOF_NET_DRIVER_H
#define RINGPROOF_NET_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RP_NET_ABI_VERSION 1u

/* What operations return where they return int: 0 or a count on success, one of these below zero. */
#define RP_NET_OK        0
#define RP_NET_ENOENT    (-2)   /* probe: a queue that must be there is not */
#define RP_NET_ENOMEM    (-12)
#define RP_NET_ENODEV    (-19)  /* probe: not a device this driver can run */
#define RP_NET_EINVAL    (-22)
#define RP_NET_ETIMEDOUT (-110) /* the device did not answer in the end */

enum rp_net_transport {
    RP_NET_LEGACY = 0, /* PCI I/O space, VIRTIO 1.3 section 4.1.4.10; no MSI-X */
    RP_NET_MODERN = 1  /* PCI capabilities, section 4.1.4; no MSI-X */
};

/* Where a register lies: the legacy transport has one region, the modern one four. */
enum rp_net_region {
    RP_NET_IO = 0,     /* legacy: common registers, then at 20 the device's configuration */
    RP_NET_COMMON = 1, /* modern: section 4.1.4.3 */
    RP_NET_NOTIFY = 2, /* modern: queue_notify_off * notify_off_multiplier */
    RP_NET_ISR = 3,    /* modern: one byte, cleared by reading */
    RP_NET_DEVICE = 4  /* modern: struct virtio_net_config */
};

#define RP_NET_TRAIT_LINUX_3_11 (1u << 0) /* accesses, bytes and calls of ringproof's linux-3.11 */
#define RP_NET_TRAIT_VIRTIO_1   (1u << 1) /* the same of its virtio-1.x profile */

/* Kinds of segmentation the stack can ask for. */
enum rp_net_gso {
    RP_NET_GSO_NONE = 0,
    RP_NET_GSO_TCPV4 = 1,
    RP_NET_GSO_TCPV6 = 2,
    RP_NET_GSO_UDP = 3,
    RP_NET_GSO_UNKNOWN = 4 /* one that no virtio header can express */
};

#define RP_NET_MOST_FRAGMENTS 17u /* MAX_SKB_FRAGS with pages of 4096 bytes */
#define RP_NET_CONTROL_BYTES  48u

/* Data in a page of its own; offset + length <= 4096. May be empty. */
struct rp_net_fragment {
    void    *page;
    uint64_t page_address; /* guest-physical */
    uint32_t offset;
    uint32_t length;
};

/* The data of a frame: head, then fragments, then the packets of the list, each by the same rule; lists are
 * nested at most 64 deep. */
struct rp_net_packet {
    void    *head;
    uint64_t head_address;
    uint32_t head_length;
    uint32_t fragment_count; /* more than RP_NET_MOST_FRAGMENTS is the caller's mistake */
    const struct rp_net_fragment *fragments;
    const struct rp_net_packet   *list; /* the first packet of the list, or null */
    const struct rp_net_packet   *next; /* the next one in the list this packet is in, or null */
    uint32_t length; /* of all the data, fragments and list included */
    uint32_t reserved;
};

/* A frame to transmit. */
struct rp_net_frame {
    const struct rp_net_packet *packet;
    void    *token; /* never null; freed exactly once, through env->freed */
    /* RP_NET_CONTROL_BYTES that the device can read, the driver's from transmit until it frees the frame
     * (where Linux has sk_buff.cb). What they hold is arbitrary. */
    void    *control;
    uint64_t control_address;
    /* What the features accepted do not allow to ask for is the driver's to drop. */
    uint8_t  checksum;       /* 1: the device is to compute it */
    uint8_t  gso;            /* enum rp_net_gso */
    uint8_t  ecn;            /* 1: GSO of TCP with CWR set */
    uint8_t  queue_recorded; /* 1: recorded_queue holds the receive queue it came from */
    uint16_t csum_start;     /* bytes from the frame's first */
    uint16_t csum_offset;    /* bytes from csum_start */
    uint16_t gso_size;
    uint16_t recorded_queue;
    uint32_t cpu;            /* the processor that transmits */
};

struct rp_net_statistics { /* of one transmit queue since probe */
    uint64_t tx_packets; /* counted when the device has sent them */
    uint64_t tx_bytes;   /* of frames, without headers of virtio */
    uint64_t tx_fifo_errors;
    uint64_t tx_dropped;
    uint32_t num_free;   /* descriptors free now */
    uint32_t reserved;
};

/* What the harness gives. Every function takes `context` first. */
struct rp_net_env {
    uint32_t abi_version; /* RP_NET_ABI_VERSION of the harness */
    uint32_t size;        /* sizeof(struct rp_net_env) of the harness */
    void    *context;
    uint32_t transport;   /* enum rp_net_transport */
    uint32_t notify_off_multiplier; /* bytes; modern only */
    uint64_t features;    /* those the driver may accept: a subset of rp_net_driver.features */

    /* Registers: `width` is 1, 2 or 4 bytes, `offset` a multiple of it. */
    uint32_t (*read)(void *context, uint32_t region, uint32_t offset, uint32_t width);
    void (*write)(void *context, uint32_t region, uint32_t offset, uint32_t width, uint32_t value);

    /* Memory, as in struct rp_env. */
    void *(*allocate)(void *context, size_t bytes, size_t alignment, uint64_t *address);
    void (*release)(void *context, void *memory, size_t bytes);
    void *(*allocate_private)(void *context, size_t bytes);
    void (*release_private)(void *context, void *memory, size_t bytes);

    /* The stack. A frame is freed when the device has used its chain, when it is dropped, and when it is
     * still there at remove; not sooner, even if the driver has copied it. Orphaned: nobody else needs to
     * wait for it (Linux skb_orphan, nf_reset); that need not be told. */
    void (*freed)(void *context, void *token);
    void (*orphaned)(void *context, void *token);
    /* The stack hands no frame to a stopped queue. Waking is starting from an interrupt. */
    void (*stop_queue)(void *context, uint32_t pair);
    void (*start_queue)(void *context, uint32_t pair);
    void (*wake_queue)(void *context, uint32_t pair);
};

/* What the driver offers. All of it is needed, but for select_queue and set_pairs (one queue then). */
struct rp_net_driver {
    uint32_t    abi_version; /* RP_NET_ABI_VERSION the driver was compiled against */
    uint32_t    size;        /* sizeof(struct rp_net_driver) then */
    const char *name;
    uint64_t    features;    /* what it understands, on either transport */
    uint32_t    traits;      /* RP_NET_TRAIT_ bits */
    uint32_t    transports;  /* bit per enum rp_net_transport: 1 << RP_NET_LEGACY, 1 << RP_NET_MODERN */

    /* Resets the device and makes it ready to transmit, or gives everything back and says why not. Status may
     * take 64 reads to become 0. A driver with a largest or smallest queue says RP_NET_ENODEV to others, but
     * 256 descriptors are to be enough for any. */
    int (*probe)(const struct rp_net_env *env, void **device);
    /* Resets the device, sees that status reads 0, then frees every frame still held and gives everything
     * back. A device that is never seen reset may still write: then its memory and frames may be kept. */
    void (*remove)(void *device);
    /* How many transmit queues to use from now on, 1 to what the device has. RP_NET_OK, RP_NET_EINVAL,
     * RP_NET_ENOMEM, RP_NET_ETIMEDOUT. */
    int (*set_pairs)(void *device, uint32_t pairs);
    /* The transmit queue of a frame, from 0. */
    uint32_t (*select_queue)(void *device, const struct rp_net_frame *frame);
    /* Takes a frame, always: before it returns it has published one chain for it, and keeps the frame, or
     * none, and has freed it. Nobody comes later to flush a batch: what is published is also notified, unless
     * the device asks not to be. `pair` is what select_queue said. */
    void (*transmit)(void *device, uint32_t pair, const struct rp_net_frame *frame);
    /* The interrupt handler: reads ISR, which ends the interrupt. 1: it was ours; 0: not ours. It may be
     * called though no chain was used, and with the configuration bit of ISR set. */
    int (*interrupt)(void *device);
    void (*statistics)(void *device, uint32_t pair, struct rp_net_statistics *statistics);
};

/* The symbol a library exports. Never null. */
const struct rp_net_driver *rp_net_driver_entry(void);

#ifdef __cplusplus
}
#endif

#endif
