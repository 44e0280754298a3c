/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include "options.h"

#include <string.h>

/* Where things are in a frame, from its Ethernet header on. */
#define ETHERTYPE 12u
#define IP 14u
#define IP_BYTES 16u
#define IP_ID 18u
#define IP_SUM 24u
#define L4 34u
#define UDP_BYTES 38u
#define UDP_SUM 40u
#define ICMP_SUM 36u
#define ICMP_ID 38u
#define ICMP_NUMBER 40u
#define PAYLOAD 42u /* of UDP and ICMP alike */
#define PATTERN 50u /* behind the 8 bytes of the frame's number */

#define FLAG_NEEDS_CSUM 1u
#define PROTOCOL_ICMP 1u
#define PROTOCOL_UDP 17u

static const uint8_t own_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
static const uint8_t partner_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x01};
static const uint8_t nobodys_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x09};
static const uint8_t own_ip[4] = {10, 0, 0, 2}, partner_ip[4] = {10, 0, 0, 1}, nobodys_ip[4] = {10, 0, 0, 9};

static uint32_t pattern_sums[FE_MOST_BYTES + 1]; /* of the pattern's first bytes; [0] is 0 */
static uint32_t constant_ip, constant_udp;       /* sums of what never changes */

uint32_t fe_header_bytes(uint64_t features)
{
    return (features & (FE_VERSION_1 | FE_NET_MRG_RXBUF)) != 0 ? 12 : 10;
}

static void put16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *from)
{
    return (uint32_t)from[0] << 8 | from[1];
}

static void put16_little(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static uint32_t sum(const uint8_t *bytes, uint32_t count, uint32_t start)
{
    uint64_t total = start;

    for (uint32_t i = 0; i + 1 < count; i += 2)
        total += get16(bytes + i);
    if (count % 2 != 0)
        total += (uint32_t)bytes[count - 1] << 8;
    while (total >> 16 != 0)
        total = (total & 0xffff) + (total >> 16);
    return (uint32_t)total;
}

static uint32_t fold(uint32_t total)
{
    total = (total & 0xffff) + (total >> 16);
    return (total & 0xffff) + (total >> 16);
}

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)(at * 7 + 3);
}

static void ethernet(uint8_t *to, const uint8_t destination[6], uint32_t type)
{
    memcpy(to, destination, 6);
    memcpy(to + 6, own_mac, 6);
    put16(to + ETHERTYPE, type);
}

static void internet(uint8_t *to, const uint8_t destination[4], uint32_t protocol)
{
    memset(to + IP, 0, 20);
    to[IP] = 0x45;
    to[IP + 6] = 0x40; /* don't fragment */
    to[IP + 8] = 64;
    to[IP + 9] = (uint8_t)protocol;
    memcpy(to + IP + 12, own_ip, 4);
    memcpy(to + IP + 16, destination, 4);
}

static void internet_finish(uint8_t *to, uint32_t bytes, uint32_t number)
{
    put16(to + IP_BYTES, bytes - IP);
    put16(to + IP_ID, number);
    put16(to + IP_SUM, 0);
    put16(to + IP_SUM, 0xffffu ^ sum(to + IP, 20, 0));
}

void fe_frame_prepare(struct fe_frame *frame, uint64_t features)
{
    uint32_t header = fe_header_bytes(features);
    uint8_t *to = frame->data + header;

    if (pattern_sums[1] == 0)
        for (uint32_t i = 0; i < FE_MOST_BYTES; i++)
            pattern_sums[i + 1] = fold(pattern_sums[i] + (i % 2 == 0 ? (uint32_t)pattern(i) << 8 : pattern(i)));
    memset(frame->data, 0, frame->room);
    if ((features & (FE_NET_CSUM | FE_NET_GUEST_HDRLEN)) != 0)
        put16_little(frame->data + 2, PAYLOAD);
    ethernet(to, nobodys_mac, 0x0800);
    internet(to, nobodys_ip, PROTOCOL_UDP);
    put16(to + L4, 9000);
    put16(to + L4 + 2, 9); /* discard */
    for (uint32_t i = PATTERN; header + i < frame->room; i++)
        to[i] = pattern(i - PATTERN);
    constant_ip = sum(to + IP, 20, 0);
    constant_udp = sum(to + IP + 12, 8, sum(to + L4, 4, PROTOCOL_UDP));
}

void fe_frame_number(struct fe_frame *frame, uint64_t features, uint64_t number, uint32_t bytes, bool partial)
{
    uint32_t header = fe_header_bytes(features), udp = bytes - L4, total;
    uint8_t *to = frame->data + header;

    frame->bytes = header + bytes;
    put16(to + IP_BYTES, bytes - IP);
    put16(to + IP_ID, (uint32_t)number & 0xffff);
    put16(to + IP_SUM, 0xffffu ^ fold(constant_ip + bytes - IP + ((uint32_t)number & 0xffff)));
    put16(to + UDP_BYTES, udp);
    for (uint32_t i = 0; i < 4; i++)
        put16(to + PAYLOAD + 2 * i, (uint32_t)(number >> (48 - 16 * i)) & 0xffff);
    if ((features & FE_NET_CSUM) != 0) {
        frame->data[0] = partial ? FLAG_NEEDS_CSUM : 0;
        put16_little(frame->data + 6, partial ? L4 : 0);
        put16_little(frame->data + 8, partial ? UDP_SUM - L4 : 0);
    }
    if (partial) {
        put16(to + UDP_SUM, sum(to + IP + 12, 8, PROTOCOL_UDP + udp)); /* of the pseudo header alone */
        return;
    }
    total = constant_udp + 2 * udp + sum(to + PAYLOAD, 8, 0) + pattern_sums[bytes - PATTERN];
    total = 0xffffu ^ fold(total);
    put16(to + UDP_SUM, total == 0 ? 0xffff : total);
}

/* The network header of a frame that asks for nothing. */
static uint8_t *plain(struct fe_frame *frame, uint64_t features, uint32_t bytes, uint32_t headers)
{
    uint32_t header = fe_header_bytes(features);

    memset(frame->data, 0, header + bytes);
    if ((features & (FE_NET_CSUM | FE_NET_GUEST_HDRLEN)) != 0)
        put16_little(frame->data + 2, headers);
    frame->bytes = header + bytes;
    return frame->data + header;
}

void fe_frame_arp(struct fe_frame *frame, uint64_t features, uint64_t number)
{
    static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t *to = plain(frame, features, 60, 0);

    (void)number;
    ethernet(to, everybody, 0x0806);
    put16(to + 14, 1);
    put16(to + 16, 0x0800);
    to[18] = 6;
    to[19] = 4;
    put16(to + 20, 1); /* a request */
    memcpy(to + 22, own_mac, 6);
    memcpy(to + 28, own_ip, 4);
    memcpy(to + 38, partner_ip, 4);
}

void fe_frame_echo(struct fe_frame *frame, uint64_t features, uint64_t number, uint32_t bytes)
{
    uint8_t *to = plain(frame, features, bytes, L4);

    ethernet(to, partner_mac, 0x0800);
    internet(to, partner_ip, PROTOCOL_ICMP);
    internet_finish(to, bytes, (uint32_t)number & 0xffff);
    to[L4] = 8;
    put16(to + ICMP_ID, 0x5250);
    put16(to + ICMP_NUMBER, (uint32_t)number & 0xffff);
    for (uint32_t i = PAYLOAD; i < bytes; i++)
        to[i] = pattern(i);
    put16(to + ICMP_SUM, 0xffffu ^ sum(to + L4, bytes - L4, 0));
}

enum fe_seen fe_frame_seen(const struct fe_frame *frame, uint64_t features, uint32_t bytes, uint64_t *number)
{
    uint32_t header = fe_header_bytes(features), ip, protocol;
    const uint8_t *from = frame->data + header;

    *number = 0;
    if (bytes < header + 14 || bytes > frame->room)
        return FE_SEEN_DAMAGED;
    bytes -= header;
    if (get16(from + ETHERTYPE) == 0x0806) {
        if (bytes < 42)
            return FE_SEEN_DAMAGED;
        if (get16(from + 20) == 1)
            return memcmp(from + 22, own_mac, 6) == 0 ? FE_SEEN_OURS : FE_SEEN_OTHER;
        return get16(from + 20) == 2 && memcmp(from + 28, partner_ip, 4) == 0 ? FE_SEEN_ARP : FE_SEEN_OTHER;
    }
    if (get16(from + ETHERTYPE) != 0x0800 || bytes < PATTERN || from[IP] != 0x45)
        return FE_SEEN_OTHER;
    ip = get16(from + IP_BYTES);
    protocol = from[IP + 9];
    if (sum(from + IP, 20, 0) != 0xffff || ip > bytes - IP || ip < PATTERN - IP)
        return FE_SEEN_DAMAGED;
    if (protocol == PROTOCOL_UDP && (frame->data[0] & FLAG_NEEDS_CSUM) == 0 && get16(from + UDP_SUM) != 0 &&
        sum(from + L4, ip - 20, sum(from + IP + 12, 8, PROTOCOL_UDP + ip - 20)) != 0xffff)
        return FE_SEEN_DAMAGED;
    if (protocol == PROTOCOL_UDP)
        return get16(from + L4 + 2) == 9 ? FE_SEEN_OURS : FE_SEEN_OTHER;
    if (protocol != PROTOCOL_ICMP)
        return FE_SEEN_OTHER;
    if (sum(from + L4, ip - 20, 0) != 0xffff)
        return FE_SEEN_DAMAGED;
    *number = get16(from + ICMP_NUMBER);
    if (from[L4] == 8)
        return FE_SEEN_OURS;
    return from[L4] == 0 && get16(from + ICMP_ID) == 0x5250 ? FE_SEEN_ECHO : FE_SEEN_OTHER;
}
