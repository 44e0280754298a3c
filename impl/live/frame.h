/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge of frames: the network header by its clauses, and the packet behind it (VIRTIO 1.3 sections 5.1.6 and
 * 5.1.6.2). It is a function of what a CHAIN record holds, and of nothing else.
 */
#ifndef RINGPROOF_LIVE_FRAME_H
#define RINGPROOF_LIVE_FRAME_H

#include "findings.h"

/* Bits of VIRTIO_NET_F_* and of the ring, where this device has anything to do with them. */
#define RPL_F(bit) (UINT64_C(1) << (bit))
#define RPL_NET_CSUM RPL_F(0)
#define RPL_NET_GUEST_CSUM RPL_F(1)
#define RPL_NET_MTU RPL_F(3)
#define RPL_NET_MAC RPL_F(5)
#define RPL_NET_GUEST_TSO4 RPL_F(7)
#define RPL_NET_GUEST_TSO6 RPL_F(8)
#define RPL_NET_GUEST_ECN RPL_F(9)
#define RPL_NET_GUEST_UFO RPL_F(10)
#define RPL_NET_HOST_TSO4 RPL_F(11)
#define RPL_NET_HOST_TSO6 RPL_F(12)
#define RPL_NET_HOST_ECN RPL_F(13)
#define RPL_NET_HOST_UFO RPL_F(14)
#define RPL_NET_MRG_RXBUF RPL_F(15)
#define RPL_NET_STATUS RPL_F(16)
#define RPL_NET_CTRL_VQ RPL_F(17)
#define RPL_NET_MQ RPL_F(22)
#define RPL_RING_NOTIFY_ON_EMPTY RPL_F(24)
#define RPL_RING_LOG_ALL RPL_F(26)
#define RPL_RING_ANY_LAYOUT RPL_F(27)
#define RPL_RING_INDIRECT RPL_F(28)
#define RPL_RING_EVENT_IDX RPL_F(29)
#define RPL_PROTOCOL_FEATURES RPL_F(30)
#define RPL_VERSION_ONE RPL_F(32)
#define RPL_RING_PACKED RPL_F(34)
#define RPL_RING_IN_ORDER RPL_F(35)
#define RPL_NET_HOST_USO RPL_F(56)
#define RPL_NET_GUEST_HDRLEN RPL_F(59)

struct rpl_frame {
    const uint8_t *prefix; /* the chain's first readable bytes: header, then frame */
    uint32_t       prefix_bytes;
    uint64_t       bytes;  /* readable bytes of the chain, header included */
    uint16_t       sum;    /* of the frame behind the prefix (record.h: CHAIN) */
    bool           whole;  /* all bytes could be read */
};

/* 10, 12 or (HASH_REPORT) 20: sections 5.1.6 and 5.1.6.1. */
uint32_t rpl_header_bytes(uint64_t features);
/* Judges one transmitted chain, RPL_FRAME_SHORT .. RPL_MTU, except RPL_TX_WRITABLE and RPL_HEADER_APART. */
void rpl_frame_judge(struct rpl_log *log, uint64_t features, uint32_t mtu, const struct rpl_frame *frame);
/* Judges what was accepted: RPL_FEATURE_* .. RPL_HDRLEN_FEATURE. */
void rpl_features_judge(struct rpl_log *log, uint64_t offered, uint64_t accepted);
/* Ones' complement sum of big-endian 16-bit words (an odd last byte is its high half), folded, `start` added. */
uint16_t rpl_sum(const uint8_t *bytes, uint64_t count, uint16_t start);

#endif
