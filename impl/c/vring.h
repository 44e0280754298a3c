/* SPDX-License-Identifier: Apache-2.0 */
/* The ring's memory (VIRTIO 1.3 sections 2.7.5, 2.7.6, 2.7.8): its structure, its bytes, and the order in
 * which it is accessed. Private to virtqueue.c. */
#ifndef RP_VRING_H
#define RP_VRING_H

#include "virtqueue.h"

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u
#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY     1u

/* All of it in the device's byte order: little endian under VERSION_1, else native. */
struct rp_vring_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct rp_vring_avail {
    uint16_t flags, idx;
    uint16_t ring[]; /* queue_size heads, then used_event */
};
struct rp_vring_used_elem {
    uint32_t id, len;
};
struct rp_vring_used {
    uint16_t flags, idx;
    struct rp_vring_used_elem ring[]; /* queue_size entries, then avail_event */
};

/* Whether VERSION_1 asks for other bytes than the native ones; a test sets it to see the swaps. */
#ifndef RP_VQ_SWAP
#define RP_VQ_SWAP (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#endif

#define ORDER(bits, vq, value) (RP_VQ_SWAP && (vq)->little_endian ? __builtin_bswap##bits(value) : (value))

/* Words shared with the device are read and written once each, whole: relaxed atomics on volatile
 * pointers, ordered by the three fences below. Addresses are written before their chain is published,
 * so a plain volatile store serves where 64-bit atomics need a library. */
static inline uint16_t load16(const struct rp_vq *vq, const volatile uint16_t *word)
{
    uint16_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

    return ORDER(16, vq, value);
}

static inline uint32_t load32(const struct rp_vq *vq, const volatile uint32_t *word)
{
    uint32_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

    return ORDER(32, vq, value);
}

static inline void store16(const struct rp_vq *vq, volatile uint16_t *word, uint16_t value)
{
    __atomic_store_n(word, ORDER(16, vq, value), __ATOMIC_RELAXED);
}

static inline void store32(const struct rp_vq *vq, volatile uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, ORDER(32, vq, value), __ATOMIC_RELAXED);
}

static inline void store64(const struct rp_vq *vq, volatile uint64_t *word, uint64_t value)
{
    *word = ORDER(64, vq, value);
}

static inline void read_fence(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void write_fence(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void full_fence(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The two words that stand behind the rings proper. */
static inline volatile uint16_t *used_event(const struct rp_vq *vq)
{
    return &vq->avail->ring[vq->queue_size];
}

static inline volatile uint16_t *avail_event(const struct rp_vq *vq)
{
    return (volatile uint16_t *)&vq->used->ring[vq->queue_size];
}

#endif
