/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <stdlib.h>
#include <string.h>

#define ETHERNET 14u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_ARP 0x0806u
#define ETHERTYPE_IPV6 0x86ddu
#define ICMP 1u
#define TCP 6u
#define UDP 17u
#define ICMPV6 58u
#define HOP_BY_HOP 0u /* stands before the multicast listener reports of ICMPv6 */
#define IPV6_HEADER 40u

bool rpl_outbox_init(struct rpl_outbox *outbox, const uint8_t partner[6])
{
    memset(outbox, 0, sizeof *outbox);
    memcpy(outbox->partner, partner, sizeof outbox->partner);
    outbox->bytes = malloc(RPL_OUTBOX_BYTES);
    return outbox->bytes != NULL;
}

void rpl_outbox_free(struct rpl_outbox *outbox)
{
    free(outbox->bytes);
    outbox->bytes = NULL;
}

static uint32_t word(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static bool wanted_transport(uint32_t protocol, const uint8_t *transport, size_t bytes)
{
    uint32_t port;

    if (protocol == ICMP || protocol == ICMPV6 || protocol == TCP)
        return true;
    if (protocol != UDP || bytes < 4)
        return false;
    port = word(transport + 2);
    return port == 67 || port == 69 || (port >= 30000 && port <= 30999);
}

static bool wanted_ipv4(const uint8_t *packet, size_t bytes)
{
    size_t header;

    if (bytes < 20 || packet[0] >> 4 != 4)
        return false;
    header = (size_t)(packet[0] & 15) * 4;
    if (header < 20 || header > bytes)
        return false;
    if (packet[9] == UDP && (word(packet + 6) & 0x1fff) != 0) /* a later fragment has no ports */
        return false;
    return wanted_transport(packet[9], packet + header, bytes - header);
}

static bool wanted_ipv6(const uint8_t *packet, size_t bytes)
{
    uint32_t next;
    size_t   at = IPV6_HEADER;

    if (bytes < IPV6_HEADER || packet[0] >> 4 != 6)
        return false;
    next = packet[6];
    if (next == HOP_BY_HOP && bytes >= at + 8) {
        next = packet[at];
        at += (size_t)(packet[at + 1] + 1) * 8;
    }
    return at <= bytes && wanted_transport(next, packet + at, bytes - at);
}

bool rpl_outbox_wants(const struct rpl_outbox *outbox, const uint8_t *frame, size_t bytes)
{
    uint32_t kind;

    if (outbox->bytes == NULL || bytes < ETHERNET)
        return false;
    if (!(frame[0] & 1) && memcmp(frame, outbox->partner, sizeof outbox->partner) != 0)
        return false;
    kind = word(frame + 12);
    if (kind == ETHERTYPE_ARP)
        return true;
    if (kind == ETHERTYPE_IPV4)
        return wanted_ipv4(frame + ETHERNET, bytes - ETHERNET);
    return kind == ETHERTYPE_IPV6 && wanted_ipv6(frame + ETHERNET, bytes - ETHERNET);
}

/* The bytes go around: what does not fit before the end stands at the beginning. */
static void copy_in(struct rpl_outbox *outbox, const void *from, size_t bytes)
{
    size_t at = (outbox->first + outbox->used) % RPL_OUTBOX_BYTES;
    size_t before = RPL_OUTBOX_BYTES - at < bytes ? RPL_OUTBOX_BYTES - at : bytes;

    memcpy(outbox->bytes + at, from, before);
    memcpy(outbox->bytes, (const uint8_t *)from + before, bytes - before);
    outbox->used += bytes;
}

static void copy_out(struct rpl_outbox *outbox, void *into, size_t bytes)
{
    size_t at = outbox->first;
    size_t before = RPL_OUTBOX_BYTES - at < bytes ? RPL_OUTBOX_BYTES - at : bytes;

    if (into != NULL) {
        memcpy(into, outbox->bytes + at, before);
        memcpy((uint8_t *)into + before, outbox->bytes, bytes - before);
    }
    outbox->first = (at + bytes) % RPL_OUTBOX_BYTES;
    outbox->used -= bytes;
}

void rpl_outbox_put(struct rpl_outbox *outbox, uint32_t pair, const uint8_t *frame, uint32_t bytes)
{
    uint32_t head[2] = {pair, bytes};

    if (outbox->bytes == NULL || bytes == 0)
        return;
    if (RPL_OUTBOX_BYTES - outbox->used < sizeof head + (size_t)bytes) {
        outbox->dropped++;
        return;
    }
    copy_in(outbox, head, sizeof head);
    copy_in(outbox, frame, bytes);
}

uint32_t rpl_outbox_take(struct rpl_outbox *outbox, uint8_t *into, uint32_t size, uint32_t *pair)
{
    uint32_t head[2];

    while (outbox->used > 0) {
        copy_out(outbox, head, sizeof head);
        if (head[1] > size) {
            copy_out(outbox, NULL, head[1]);
            outbox->dropped++;
            continue;
        }
        copy_out(outbox, into, head[1]);
        *pair = head[0];
        return head[1];
    }
    return 0;
}
