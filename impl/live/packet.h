/* SPDX-License-Identifier: Apache-2.0 */
/* The packet in a frame: Ethernet, 802.1Q tags, IPv4 or IPv6, TCP or UDP. Private to the judge of frames. */
#ifndef RINGPROOF_LIVE_PACKET_H
#define RINGPROOF_LIVE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#define RPL_ETHERNET_BYTES 14u
#define RPL_TAG_BYTES 4u
#define RPL_TCP 6u
#define RPL_UDP 17u

/* Offsets count from the frame's first byte. */
struct rpl_packet {
    uint32_t ip, transport, headers; /* headers: all of them, so where the payload begins */
    uint32_t ip_bytes;               /* from `ip` to the end of the packet, as its IP header says */
    uint8_t  version, protocol;      /* 4 or 6; RPL_TCP or RPL_UDP */
    uint8_t  tcp_flags;
};

/* Tags (at most 2 are looked at) of a frame of which `visible` bytes are there. */
uint32_t rpl_packet_tags(const uint8_t *frame, uint32_t visible);
/* False: it is no TCP or UDP packet, is a fragment, has extension headers, or its headers aren't all visible. */
bool rpl_packet_parse(struct rpl_packet *packet, const uint8_t *frame, uint32_t visible, uint32_t tags);
/* Ones' complement sum of the pseudo header that goes with a transport part of `bytes` (RFC 9293, RFC 8200), folded. */
uint16_t rpl_packet_pseudo(const struct rpl_packet *packet, const uint8_t *frame, uint64_t bytes);

static inline uint16_t rpl_big16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint16_t rpl_fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* Where the checksum is in a TCP or UDP header. */
static inline uint32_t rpl_packet_field(const struct rpl_packet *packet)
{
    return packet->protocol == RPL_TCP ? 16 : 6;
}

#endif
