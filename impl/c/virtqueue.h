/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A split virtqueue (VIRTIO 1.3 section 2.7), driver side, following the Linux 3.11 transmit path function
 * by function. Freestanding C11 with the __atomic builtins of gcc and clang: it needs memset and what
 * struct rp_vq_ops asks for, nothing else, so that a kernel or a firmware can take these files (virtqueue.c,
 * virtqueue.h, vring.h) as they are.
 *
 * One queue is used by one caller at a time; only rp_vq_interrupt may run beside it, and in its callback
 * rp_vq_disable_cb.
 *
 * Trust. Ids and indices that the device writes are checked. Descriptors are read back when a chain
 * returns, as in Linux 3.11: a device able to write to the descriptor table can lead the driver astray.
 */
#ifndef RP_VIRTQUEUE_H
#define RP_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_VQ_MAX_SIZE 32768u /* the largest queue_size (VIRTIO 1.3 section 2.7) */

#define RP_VQ_EBROKEN (-5)  /* the device returned an id that was not in flight */
#define RP_VQ_ENOMEM  (-12) /* no memory for the ring */
#define RP_VQ_EINVAL  (-22) /* a programming error; nothing was changed */
#define RP_VQ_ENOSPC  (-28) /* fewer descriptors free than needed; nothing was added */

/* Feature bits this code acts on (VIRTIO 1.3 section 6). */
#define RP_VQ_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define RP_VQ_F_EVENT_IDX     (UINT64_C(1) << 29)
#define RP_VQ_F_VERSION_1     (UINT64_C(1) << 32)

/* Which behaviour. RP_PROFILE_LINUX_3_11 has the faults of the original. RP_PROFILE_VIRTIO_1 differs so:
 * with EVENT_IDX avail.flags stays 0, without it used_event is never written; a chain longer than the ring
 * is refused even when a table could hold it (VIRTIO 1.3 section 2.7.5.3.1); and a full ring is met with a
 * kick instead of an unconditional notification. */
enum rp_vq_profile { RP_PROFILE_LINUX_3_11, RP_PROFILE_VIRTIO_1 };

/* Where the ring parts stand in their one block of memory. */
enum rp_vq_layout {
    RP_VQ_LEGACY, /* aligned to 4096; the used ring at the next multiple of 4096 (section 2.7.2) */
    RP_VQ_MODERN  /* aligned to 64; the used ring at the next multiple of 4 */
};

/* Offsets in bytes from the block's start; the descriptor table is at 0. */
struct rp_vq_placement {
    size_t avail, used, bytes, alignment;
};

/* One piece of a buffer, as the device addresses it. */
struct rp_vq_segment {
    uint64_t address;
    uint32_t length;
};

/* What the queue needs from its surroundings. Outlives the queue. */
struct rp_vq_ops {
    /* Memory the device can reach, and its address for the device; null when there is none. */
    void *(*allocate)(void *context, size_t bytes, size_t alignment, uint64_t *address);
    void (*release)(void *context, void *memory, size_t bytes);
    /* Tells the device to look at queue `queue_index`. */
    void (*notify)(void *context, uint32_t queue_index);
    /* What an interrupt calls; null when the queue has no callback. */
    void (*callback)(void *context);
    /* Translates the segment at `cursor`, an element of whatever list the caller of rp_vq_add keeps, and
     * returns the cursor of the next one. */
    const void *(*read_segment)(const void *cursor, struct rp_vq_segment *segment);
};

/* What is kept for each head in flight; a null token means that the head is not in flight. */
struct rp_vq_data {
    void  *token;
    void  *table; /* the chain's indirect table, or null */
    size_t table_bytes;
};

struct rp_vq_config {
    uint32_t           queue_size; /* a power of two, 1 to RP_VQ_MAX_SIZE */
    uint16_t           queue_index;
    enum rp_vq_layout  layout;
    enum rp_vq_profile profile;
    uint64_t           features; /* as negotiated; bits this code does not act on are ignored */
    struct rp_vq_data *data;     /* queue_size elements, kept by the caller until rp_vq_destroy */
};

struct rp_vq {
    volatile struct rp_vring_desc  *desc;
    volatile struct rp_vring_avail *avail;
    volatile struct rp_vring_used  *used;
    struct rp_vq_data              *data;

    uint32_t queue_size;
    unsigned int num_free;
    uint16_t free_head; /* any descriptor when num_free is 0 */
    uint16_t num_added; /* chains added since the last kick */
    uint16_t last_used_idx;
    uint16_t queue_index;
    bool broken;
    bool indirect, event_idx, little_endian;
    bool mended;    /* RP_PROFILE_VIRTIO_1 */
    bool callbacks; /* enabled? (RP_PROFILE_LINUX_3_11 asks avail.flags) */

    const struct rp_vq_ops *ops;
    void                   *context;
    void                   *ring;
    size_t                  ring_bytes;
    uint64_t                desc_address, avail_address, used_address; /* for the device */
};

/* Offsets for a queue_size that rp_vq_init accepts. */
struct rp_vq_placement rp_vq_place(uint32_t queue_size, enum rp_vq_layout layout);
/* Takes and zeroes the ring. 0, RP_VQ_EINVAL or RP_VQ_ENOMEM; on failure nothing is held. */
int rp_vq_init(struct rp_vq *vq, const struct rp_vq_config *config,
               const struct rp_vq_ops *ops, void *context);
/* Gives all memory back; what is in flight is forgotten. Only once the device is reset. */
void rp_vq_destroy(struct rp_vq *vq);

/* Offers `out` segments to be read, then `in` to be written. 0, RP_VQ_EINVAL, RP_VQ_ENOSPC. */
int rp_vq_add(struct rp_vq *vq, const void *segments, uint32_t out, uint32_t in, void *token);
/* True when the device wants to be notified of what was added since the last call. */
bool rp_vq_kick_prepare(struct rp_vq *vq);
void rp_vq_notify(struct rp_vq *vq);
void rp_vq_kick(struct rp_vq *vq); /* both */
/* 1 with a token and how many bytes were written, 0 for nothing, RP_VQ_EBROKEN from the first bad id on. */
int rp_vq_get_buf(struct rp_vq *vq, void **token, uint32_t *length);

void rp_vq_disable_cb(struct rp_vq *vq);
uint16_t rp_vq_enable_cb_prepare(struct rp_vq *vq);   /* a mark for rp_vq_poll */
bool rp_vq_poll(struct rp_vq *vq, uint16_t mark);     /* true: something was used since the mark */
bool rp_vq_enable_cb(struct rp_vq *vq);               /* false: something is waiting already */
bool rp_vq_enable_cb_delayed(struct rp_vq *vq);       /* false: three quarters are waiting already */
bool rp_vq_interrupt(struct rp_vq *vq);               /* false: not ours */
/* The token of a chain still in flight, which is taken back; null when none is. Only after reset. */
void *rp_vq_detach_unused_buf(struct rp_vq *vq);

#endif
