/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: the network header (VIRTIO 1.3 section 5.1.6) and what follows it. */
#ifndef RINGPROOF_FRONTEND_FRAME_H
#define RINGPROOF_FRONTEND_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* Feature bits that this program knows; those of drivers are in ringproof_driver.h. */
#define FE_BIT(bit) (UINT64_C(1) << (bit))
#define FE_NET_CSUM FE_BIT(0)
#define FE_NET_MTU FE_BIT(3)
#define FE_NET_MAC FE_BIT(5)
#define FE_NET_MRG_RXBUF FE_BIT(15)
#define FE_NET_STATUS FE_BIT(16)
#define FE_NET_CTRL_VQ FE_BIT(17)
#define FE_NET_MQ FE_BIT(22)
#define FE_ANY_LAYOUT FE_BIT(27)
#define FE_PROTOCOL_FEATURES FE_BIT(30)
#define FE_VERSION_1 FE_BIT(32)
#define FE_PACKED FE_BIT(34)
#define FE_NET_GUEST_HDRLEN FE_BIT(59)

/* What a buffer is: memory that holds one frame, header first. A driver's token is a pointer to this. */
struct fe_frame {
    uint8_t *data;
    uint64_t address;
    uint32_t room;  /* bytes at data */
    uint32_t bytes; /* of header and frame together, as sent */
    bool     out;   /* the driver has it */
};

/* 12 with VERSION_1 or MRG_RXBUF, else 10. */
uint32_t fe_header_bytes(uint64_t features);

/* Writes all of a frame to a discarding UDP port that stays the same however often it is sent. */
void fe_frame_prepare(struct fe_frame *frame, uint64_t features);
/* Makes it number `number`, `bytes` long without its header, with sums that are right; with CSUM accepted, `partial`
 * leaves the UDP sum to the device. */
void fe_frame_number(struct fe_frame *frame, uint64_t features, uint64_t number, uint32_t bytes, bool partial);
/* A question to the partner: for its hardware address, or for an ICMP echo. */
void fe_frame_arp(struct fe_frame *frame, uint64_t features, uint64_t number);
void fe_frame_echo(struct fe_frame *frame, uint64_t features, uint64_t number, uint32_t bytes);

enum fe_seen {
    FE_SEEN_OTHER,   /* something else */
    FE_SEEN_OURS,    /* one of our own UDP frames, or a question of ours, came back */
    FE_SEEN_ARP,     /* the answer to the ARP question */
    FE_SEEN_ECHO,    /* the answer to an echo; *number is its question's (16 bits) */
    FE_SEEN_DAMAGED, /* a sum is wrong, or it is cut off */
};
/* What was received, `bytes` long with its header. */
enum fe_seen fe_frame_seen(const struct fe_frame *frame, uint64_t features, uint32_t bytes, uint64_t *number);

#endif
