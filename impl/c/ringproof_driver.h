/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ringproof driver ABI, version 1: what a shared library offers so that `ringproof validate` can
 * drive the virtqueue code inside it, and what it is given in return.
 *
 * A library exports one function, rp_driver_entry(), which returns its table of operations. Operations a
 * driver lacks are left null: what they would have shown is then reported as not exercised, never as
 * passed. Everything runs on one thread; calls never nest, except that a driver calls its environment.
 *
 * Numbers in the ring are little endian.
 *
 * Addresses. The device of this harness sees guest-physical addresses, which differ from the pointers the
 * driver works with by a constant that no driver can guess: an address written to a descriptor without
 * being translated is found out at once.
 */
#ifndef RINGPROOF_DRIVER_H
#define RINGPROOF_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RP_ABI_VERSION 1u

/* Feature bits (VIRTIO 1.3 section 6), as masks: `features & RP_F_EVENT_IDX`. */
#define RP_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define RP_F_EVENT_IDX     (UINT64_C(1) << 29)
#define RP_F_VERSION_1     (UINT64_C(1) << 32)
/* Two that change what passes between driver and device: with IN_ORDER the device uses buffers in the order they
 * were made available, and may retire several by one used entry (section 2.7.9); with NOTIFICATION_DATA a kick
 * tells avail_idx, too (section 2.9). */
#define RP_F_IN_ORDER          (UINT64_C(1) << 35)
#define RP_F_NOTIFICATION_DATA (UINT64_C(1) << 38)

/* What operations return where they return int: 0 or a count on success, one of these below zero. */
#define RP_OK      0
#define RP_EINVAL  (-22) /* add: null token, no segment, or a chain this driver never takes, as it has more
                            segments than ever fit or writable ones. create: no such queue */
#define RP_ENOSPC  (-28) /* no room now, no memory for a table, or a segment cannot be mapped; nothing has changed */
#define RP_ENOMEM  (-12) /* create only: no memory */
#define RP_EBROKEN (-5)  /* the device broke the rules and the queue refuses to go on */

/* How the three ring parts are to be placed (create decides; the device reads it from rp_ring_parts). */
enum rp_layout {
    /* One page-aligned block: table, available ring, used ring at the next 4096. Without RP_F_VERSION_1 the
     * device looks nowhere else. */
    RP_LAYOUT_LEGACY = 0,
    RP_LAYOUT_MODERN = 1  /* each part where the driver likes, aligned to 16, 2 and 4 */
};

/* Declared habits of a driver. A trait excuses nothing that VIRTIO forbids. */
#define RP_TRAIT_LINUX_3_11      (1u << 0) /* same bytes in the ring as Linux 3.11 at every step */
#define RP_TRAIT_VIRTIO_1        (1u << 1) /* same, with ringproof's mends (its virtio-1.x profile) */
#define RP_TRAIT_PUBLISH_AT_KICK (1u << 2) /* avail_idx moves at kick, not at add */
#define RP_TRAIT_PUSHES_BUFFERS  (1u << 3) /* tokens come back through env->completed, not from get_buf */
#define RP_TRAIT_ARMS_ONCE       (1u << 4) /* callbacks come once each time they are enabled; a driver without
                                              this arms the next one, while they are on, by taking all back */
#define RP_TRAIT_ANY_QUEUE_SIZE  (1u << 5) /* create takes sizes that are no power of two */
#define RP_TRAIT_MAPS            (1u << 6) /* env->map gives the addresses of segments; theirs are 0 */
#define RP_TRAIT_C11_ORDER       (1u << 7) /* memory is ordered by C11 atomics and fences alone, for any machine */

/* One piece of a buffer: `length` bytes at `data`, which the device knows as `address`. */
struct rp_segment {
    void    *data;
    uint64_t address;
    uint32_t length;
    uint32_t reserved;
};

/* Where the driver put the three parts of its ring, as guest-physical addresses. */
struct rp_ring_parts {
    uint64_t desc;
    uint64_t avail;
    uint64_t used;
};

/* What the harness gives. It outlives the queue. Every function takes `context` first. */
struct rp_env {
    uint32_t abi_version; /* RP_ABI_VERSION of the harness */
    uint32_t size;        /* sizeof(struct rp_env) of the harness */
    void    *context;

    uint64_t features;    /* negotiated; a subset of rp_driver.features */
    uint32_t queue_size;  /* 1 to 32768, a power of two but with RP_TRAIT_ANY_QUEUE_SIZE; create is asked for others
                             too, to see it decline */
    uint16_t queue_index; /* what a kick names */
    uint16_t layout;      /* enum rp_layout */
    uint32_t has_callback; /* 1: interrupts are wanted from the start; 0: they are not, and never come */
    uint32_t reserved;

    /* Memory the device can reach: `bytes` long, aligned to `alignment` (a power of two up to 4096),
     * with its guest-physical address in *address. Contents are arbitrary. Null when there is none. */
    void *(*allocate)(void *context, size_t bytes, size_t alignment, uint64_t *address);
    /* Gives back what allocate gave; `bytes` as then. */
    void (*release)(void *context, void *memory, size_t bytes);
    /* Private memory, not visible to the device; zeroed. Null when there is none. */
    void *(*allocate_private)(void *context, size_t bytes);
    void (*release_private)(void *context, void *memory, size_t bytes);
    /* Rings the doorbell: `value` is what the driver writes to the notify register: queue_index, or, with
     * RP_F_NOTIFICATION_DATA, queue_index | avail_idx << 16. */
    void (*notify)(void *context, uint32_t value);
    /* The queue's callback, which rp_driver.interrupt calls when there is something used and callbacks are on;
     * while they are off it may. A driver that pushes need not. */
    void (*callback)(void *context);
    /* Only with RP_TRAIT_PUSHES_BUFFERS: hands back a token, oldest used first. It may be called from
     * rp_driver.interrupt and from any other operation. */
    void (*completed)(void *context, void *token, uint32_t length);

    /* Only with RP_TRAIT_MAPS: makes `length` bytes at `data` known to the device, at *address. 0; or below 0,
     * and nothing was mapped. What was mapped is unmapped once, when its buffer came back, was detached or was
     * refused by add; by destroy at the latest. */
    int (*map)(void *context, const void *data, uint32_t length, uint64_t *address);
    void (*unmap)(void *context, uint64_t address, uint32_t length);
};

/* What the driver offers. `create`, `destroy`, `add`, `kick` and (unless it pushes) `get_buf` are needed. */
struct rp_driver {
    uint32_t    abi_version; /* RP_ABI_VERSION the driver was compiled against */
    uint32_t    size;        /* sizeof(struct rp_driver) then */
    const char *name;
    uint64_t    features;    /* what it can negotiate; every subset of it will be */
    uint32_t    traits;      /* RP_TRAIT_ bits */
    uint32_t    reserved;

    /* Sets up a queue: allocates, zeroes and places its ring, says where. RP_OK, also without memory that it can
     * do without; RP_EINVAL, RP_ENOMEM. */
    int (*create)(const struct rp_env *env, struct rp_ring_parts *parts, void **queue);
    /* Gives everything back. Buffers still in flight are forgotten. */
    void (*destroy)(void *queue);

    /* Offers a chain: `out` segments the device reads, then `in` segments it writes. The segments array
     * is only lent for the call. RP_OK, RP_ENOSPC, RP_EINVAL; RP_EBROKEN once the queue was called broken. */
    int (*add)(void *queue, const struct rp_segment *segments, uint32_t out, uint32_t in, void *token);
    /* Notifies the device if it wants to know of what was added since the last kick. */
    void (*kick)(void *queue);
    /* 1 with a token and the device's written length, 0 for nothing now, RP_EBROKEN. With RP_F_IN_ORDER, the
     * length of a buffer that no used entry tells of is that of its writable bytes, or of all. */
    int (*get_buf)(void *queue, void **token, uint32_t *length);

    void (*disable_cb)(void *queue);
    /* 1: nothing was used meanwhile; 0: something was, look again, and callbacks may be on or off. */
    int (*enable_cb)(void *queue);
    /* The same for an interrupt that may be put off until all that is in flight now was used, and no longer. */
    int (*enable_cb_delayed)(void *queue);
    /* Enables callbacks and returns a mark; poll(mark) is 1 when something was used since that mark. */
    uint32_t (*enable_cb_prepare)(void *queue);
    int (*poll)(void *queue, uint32_t mark);
    /* The interrupt entry. 1: it was ours; 0: nothing used, not ours. A driver without this and without the
     * operations that enable callbacks only polls: it may suppress interrupts for good. */
    int (*interrupt)(void *queue);

    /* How many descriptors are free now; those in a reserve do not count. */
    uint32_t (*num_free)(void *queue);
    /* 1 with the token of a chain the device never completed, 0 when none is left. Only after reset. */
    int (*detach_unused)(void *queue, void **token);
};

/* The symbol a library exports. Never null. Whole network drivers have an interface of their own, which a
 * library can offer beside this one: ringproof_net_driver.h. */
const struct rp_driver *rp_driver_entry(void);

#ifdef __cplusplus
}
#endif

#endif
