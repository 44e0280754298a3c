/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* be16toh under -std=c11 */
#endif
#include "packet.h"
#include "frame.h"

#include <endian.h>
#include <string.h>

#define TYPE_TAG 0x8100u         /* 802.1Q */
#define TYPE_SERVICE_TAG 0x88a8u /* 802.1ad */
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define IPV4_BYTES 20u
#define IPV6_BYTES 40u
#define TCP_BYTES 20u
#define UDP_BYTES 8u
#define IPV4_FRAGMENT 0x3fffu /* more fragments, or an offset */

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/*
 * Adds the words as they lie in memory, 32 bits at a time: ones' complement sums don't depend on the byte order but
 * for the order of the two bytes of the result (RFC 1071). 2^32 words can be added before anything is lost.
 */
uint16_t rpl_sum(const uint8_t *bytes, uint64_t count, uint16_t start)
{
    uint64_t low = 0, high = 0;
    uint32_t word;
    uint16_t half;
    uint8_t  last[2];

    for (; count >= 32; count -= 32, bytes += 32) {
        uint64_t a = load64(bytes), b = load64(bytes + 8), c = load64(bytes + 16), d = load64(bytes + 24);

        low += (a & UINT32_MAX) + (b & UINT32_MAX) + (c & UINT32_MAX) + (d & UINT32_MAX);
        high += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
    }
    for (; count >= 8; count -= 8, bytes += 8) {
        uint64_t a = load64(bytes);

        low += a & UINT32_MAX;
        high += a >> 32;
    }
    if (count & 4) {
        memcpy(&word, bytes, sizeof word);
        low += word;
        bytes += sizeof word;
    }
    if (count & 2) {
        memcpy(&half, bytes, sizeof half);
        low += half;
        bytes += sizeof half;
    }
    if (count & 1) {
        last[0] = *bytes;
        last[1] = 0;
        memcpy(&half, last, sizeof half);
        low += half;
    }
    half = rpl_fold((uint64_t)rpl_fold(low) + rpl_fold(high));
    return rpl_fold((uint64_t)be16toh(half) + start);
}

static inline bool is_tag(const uint8_t *frame, uint32_t at, uint32_t visible)
{
    uint16_t type;

    if (visible < at + 2)
        return false;
    type = rpl_big16(frame + at);
    return type == TYPE_TAG || type == TYPE_SERVICE_TAG;
}

uint32_t rpl_packet_tags(const uint8_t *frame, uint32_t visible)
{
    uint32_t first = RPL_ETHERNET_BYTES - 2;

    if (!is_tag(frame, first, visible))
        return 0;
    return is_tag(frame, first + RPL_TAG_BYTES, visible) ? 2 : 1;
}

static bool parse_ipv4(struct rpl_packet *packet, const uint8_t *at, uint32_t visible)
{
    uint32_t bytes;

    if (visible < IPV4_BYTES || at[0] >> 4 != 4)
        return false;
    bytes = (at[0] & 15u) * 4;
    if (bytes < IPV4_BYTES || bytes > visible || (rpl_big16(at + 6) & IPV4_FRAGMENT))
        return false;
    packet->version = 4;
    packet->protocol = at[9];
    packet->ip_bytes = rpl_big16(at + 2);
    packet->transport = packet->ip + bytes;
    return true;
}

static bool parse_ipv6(struct rpl_packet *packet, const uint8_t *at, uint32_t visible)
{
    if (visible < IPV6_BYTES || at[0] >> 4 != 6)
        return false;
    packet->version = 6;
    packet->protocol = at[6];
    packet->ip_bytes = IPV6_BYTES + rpl_big16(at + 4);
    packet->transport = packet->ip + IPV6_BYTES;
    return true;
}

bool rpl_packet_parse(struct rpl_packet *packet, const uint8_t *frame, uint32_t visible, uint32_t tags)
{
    uint32_t       ip = RPL_ETHERNET_BYTES + RPL_TAG_BYTES * tags, left, bytes;
    const uint8_t *at;
    uint16_t       type;

    if (visible < ip)
        return false;
    packet->ip = ip;
    type = rpl_big16(frame + ip - 2);
    if (type == TYPE_IPV4 ? !parse_ipv4(packet, frame + ip, visible - ip)
                          : type != TYPE_IPV6 || !parse_ipv6(packet, frame + ip, visible - ip))
        return false;
    at = frame + packet->transport;
    left = visible - packet->transport;
    packet->tcp_flags = 0;
    if (packet->protocol == RPL_UDP) {
        bytes = UDP_BYTES;
    } else if (packet->protocol == RPL_TCP && left >= TCP_BYTES) {
        bytes = (at[12] >> 4) * 4u;
        packet->tcp_flags = at[13];
        if (bytes < TCP_BYTES)
            return false;
    } else {
        return false;
    }
    packet->headers = packet->transport + bytes;
    return bytes <= left;
}

uint16_t rpl_packet_pseudo(const struct rpl_packet *packet, const uint8_t *frame, uint64_t bytes)
{
    uint16_t start = rpl_fold(packet->protocol + bytes);

    return packet->version == 4 ? rpl_sum(frame + packet->ip + 12, 8, start)
                                : rpl_sum(frame + packet->ip + 8, 32, start);
}
