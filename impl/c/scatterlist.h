/* SPDX-License-Identifier: Apache-2.0 */
/* A frame as a list of segments: Linux 3.11's struct scatterlist and skb_to_sgvec. */
#ifndef RP_SCATTERLIST_H
#define RP_SCATTERLIST_H

#include <stdbool.h>

#include "ringproof_net_driver.h"
#include "virtqueue.h"

/* Of the list each transmit queue keeps: the header, the linear part, and the most fragments. */
#define RP_SG_ENTRIES (2u + RP_NET_MOST_FRAGMENTS)

/* The caller's tree of packets may be this deep and this large; then recursion and time are bounded. A level
 * takes about 100 bytes of stack, and a kernel's whole stack may have 8 KiB. */
#define RP_SG_MOST_DEPTH   65u
#define RP_SG_MOST_PACKETS 65536u

#define RP_SG_EMSGSIZE (-90) /* too many pieces, or too large a tree */

/* A segment. Bit 1 of page_link is the end mark: what is offered to the device ends with the first entry
 * that carries it. A segment may reach into the pages that follow. */
struct rp_sg {
    uint64_t page_link; /* guest-physical address of the page, and the mark */
    uint32_t offset;    /* bytes from there */
    uint32_t length;
};

/* sg_init_table: all empty, the last one of `entries` marked. */
void rp_sg_init(struct rp_sg *sg, uint32_t entries);
/* sg_set_buf, without a mark. */
void rp_sg_set(struct rp_sg *sg, uint64_t address, uint32_t length);
void rp_sg_mark_end(struct rp_sg *sg);
/* How many entries there are up to the marked one, or `most` if none of that many is marked. */
uint32_t rp_sg_count(const struct rp_sg *sg, uint32_t most);
/* struct rp_vq_ops.read_segment over these entries. */
const void *rp_sg_read(const void *cursor, struct rp_vq_segment *segment);

/* How many pieces with data a packet and those of its list have, at most RP_SG_ENTRIES - 1. RP_SG_EMSGSIZE
 * if more, if one of the packets has more than RP_NET_MOST_FRAGMENTS, or if the tree is too large. The
 * functions below are for packets of which this was asked. */
int rp_skb_pieces(const struct rp_net_packet *packet);
/* skb_to_sgvec: the segments of `length` bytes from byte `offset` on, at most `room`, the last one marked.
 * How many there are, RP_SG_EMSGSIZE if more, RP_NET_EINVAL if there are fewer bytes. */
int rp_skb_to_sgvec(const struct rp_net_packet *packet, struct rp_sg *sg, uint32_t room, uint32_t offset,
                    uint32_t length);
/* skb_copy_bits from byte 0 on. RP_NET_OK, or RP_NET_EINVAL if there are fewer than `length` bytes. */
int rp_skb_copy(const struct rp_net_packet *packet, void *to, uint32_t length);

#endif
