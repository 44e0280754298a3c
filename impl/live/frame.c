/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include "packet.h"

/* struct virtio_net_hdr, VIRTIO 1.3 section 5.1.6: little endian, and so is the native order of legacy drivers here. */
#define SHORTEST_HEADER 10u
#define HEADER_WITH_BUFFERS 12u
#define HEADER_WITH_HASH 20u
#define NET_HASH_REPORT RPL_F(57)

#define NEEDS_CSUM 1u
#define DATA_VALID 2u
#define RSC_INFO 4u

#define GSO_TCPV4 1u
#define GSO_UDP 3u
#define GSO_TCPV6 4u
#define GSO_UDP_L4 5u
#define GSO_ECN 0x80u
#define GSO_KINDS (1u << 0 | 1u << GSO_TCPV4 | 1u << GSO_UDP | 1u << GSO_TCPV6 | 1u << GSO_UDP_L4)

#define ANY_GSO (RPL_NET_HOST_TSO4 | RPL_NET_HOST_TSO6 | RPL_NET_HOST_UFO | RPL_NET_HOST_USO)
#define TCP_CWR 0x80u
#define LONGEST_PLAIN 1514u

struct header {
    uint8_t  flags, gso_type, kind; /* kind: gso_type without GSO_ECN */
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

/* The frame behind the header. */
struct body {
    const uint8_t *at;
    uint32_t       visible; /* bytes of it in the prefix */
    uint64_t       bytes;
    uint16_t       sum;     /* of what is not visible */
};

static inline uint16_t little16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

uint32_t rpl_header_bytes(uint64_t features)
{
    if (features & NET_HASH_REPORT)
        return HEADER_WITH_HASH;
    return features & (RPL_VERSION_ONE | RPL_NET_MRG_RXBUF) ? HEADER_WITH_BUFFERS : SHORTEST_HEADER;
}

static inline bool is_tcp_gso(uint8_t kind)
{
    return kind == GSO_TCPV4 || kind == GSO_TCPV6;
}

static inline void judge_gso(struct rpl_log *log, uint64_t features, const struct header *header)
{
    uint8_t type = header->gso_type, kind = header->kind;

    rpl_check(log, RPL_GSO_TYPE, kind < 32 && (GSO_KINDS >> kind & 1), type, 0);
    if (!(features & RPL_NET_HOST_TSO4))
        rpl_check(log, RPL_GSO_TCPV4, kind != GSO_TCPV4, type, 0);
    if (!(features & RPL_NET_HOST_TSO6))
        rpl_check(log, RPL_GSO_TCPV6, kind != GSO_TCPV6, type, 0);
    if (!(features & RPL_NET_HOST_UFO))
        rpl_check(log, RPL_GSO_UDP, kind != GSO_UDP, type, 0);
    if (!(features & RPL_NET_HOST_USO))
        rpl_check(log, RPL_GSO_UDP_L4, kind != GSO_UDP_L4, type, 0);
    if (!(features & ANY_GSO))
        rpl_check(log, RPL_GSO_WITHOUT_FEATURE, type == 0, type, 0);
    if (type & GSO_ECN)
        rpl_check(log, RPL_ECN_PLACE, is_tcp_gso(kind) && (features & RPL_NET_HOST_ECN), type, 0);
    if (kind) {
        rpl_check(log, RPL_GSO_WITHOUT_CSUM, header->flags & NEEDS_CSUM, type, header->flags);
        rpl_check(log, RPL_GSO_SIZE, header->gso_size > 0, type, header->gso_size);
    }
}

/* The checksum field, or with none left to the device the sum over all that it covers. */
static inline void judge_sums(struct rpl_log *log, const struct header *header, const struct rpl_packet *packet,
                              const struct body *body)
{
    uint64_t end = header->kind ? body->bytes : packet->ip + (uint64_t)packet->ip_bytes;
    uint32_t seen;
    uint16_t field = rpl_big16(body->at + packet->transport + rpl_packet_field(packet));
    uint16_t sum;

    if (end > body->bytes || end < packet->transport)
        return;
    if (body->bytes > body->visible && (end != body->bytes || body->visible % 2))
        return;
    sum = rpl_packet_pseudo(packet, body->at, end - packet->transport);
    if (header->flags & NEEDS_CSUM) {
        rpl_check(log, RPL_PSEUDO_SUM,
                  field == sum || (header->kind && field == rpl_packet_pseudo(packet, body->at, 0)), field, sum);
        return;
    }
    if (header->kind || (packet->protocol == RPL_UDP && packet->version == 4 && field == 0))
        return;
    seen = (uint32_t)(end < body->visible ? end : body->visible);
    sum = rpl_sum(body->at + packet->transport, seen - packet->transport, sum);
    if (end > body->visible)
        sum = rpl_fold((uint64_t)sum + body->sum);
    rpl_check(log, RPL_CHECKSUM_INCOMPLETE, sum == 0xffff, sum, packet->protocol);
}

static inline void judge_packet(struct rpl_log *log, uint64_t features, const struct header *header,
                                const struct rpl_packet *packet, const struct body *body)
{
    if (header->flags & NEEDS_CSUM)
        rpl_check(log, RPL_CSUM_START, header->csum_start == packet->transport, header->csum_start, packet->transport);
    if (features & (RPL_NET_CSUM | ANY_GSO)) {
        if (header->kind && (features & RPL_NET_GUEST_HDRLEN))
            rpl_check(log, RPL_HDR_LEN_EXACT, header->hdr_len == packet->headers, header->hdr_len, packet->headers);
        else
            rpl_check(log, RPL_HDR_LEN_SHORT, header->hdr_len >= packet->headers, header->hdr_len, packet->headers);
    }
    if (packet->protocol == RPL_TCP && is_tcp_gso(header->kind) && (packet->tcp_flags & TCP_CWR)) {
        if (features & RPL_NET_HOST_ECN)
            rpl_check(log, RPL_CWR_NOT_TOLD, header->gso_type & GSO_ECN, header->gso_type, 0);
        else
            rpl_check(log, RPL_CWR_WITHOUT_ECN, false, header->gso_type, 0);
    }
    judge_sums(log, header, packet, body);
}

void rpl_frame_judge(struct rpl_log *log, uint64_t features, uint32_t mtu, const struct rpl_frame *frame)
{
    uint32_t          header_bytes = rpl_header_bytes(features);
    const uint8_t    *at = frame->prefix;
    bool              there = frame->bytes >= header_bytes + RPL_ETHERNET_BYTES;
    struct header     header;
    struct body       body;
    struct rpl_packet packet;
    uint32_t          tags;
    bool              parsed;

    rpl_check(log, RPL_FRAME_SHORT, there, frame->bytes, header_bytes);
    if (!there || !frame->whole || frame->prefix_bytes < header_bytes)
        return;
    header = (struct header){
        .flags = at[0],
        .gso_type = at[1],
        .kind = at[1] & (uint8_t)~GSO_ECN,
        .hdr_len = little16(at + 2),
        .gso_size = little16(at + 4),
        .csum_start = little16(at + 6),
        .csum_offset = little16(at + 8),
    };
    body.at = at + header_bytes;
    body.bytes = frame->bytes - header_bytes;
    body.visible = frame->prefix_bytes - header_bytes;
    if (body.visible > body.bytes)
        body.visible = (uint32_t)body.bytes;
    body.sum = frame->sum;

    if (header_bytes >= HEADER_WITH_BUFFERS)
        rpl_check(log, RPL_NUM_BUFFERS, little16(at + 10) == 0, little16(at + 10), 0);
    if (!(features & RPL_NET_CSUM))
        rpl_check(log, RPL_FLAGS_WITHOUT_CSUM, header.flags == 0, header.flags, 0);
    rpl_check(log, RPL_DATA_VALID, !(header.flags & (DATA_VALID | RSC_INFO)), header.flags, 0);
    judge_gso(log, features, &header);

    tags = rpl_packet_tags(body.at, body.visible);
    if (header.kind == 0) {
        if (features & RPL_NET_MTU)
            rpl_check(log, RPL_MTU, body.bytes <= (uint64_t)mtu + RPL_ETHERNET_BYTES + RPL_TAG_BYTES * tags,
                      body.bytes, mtu);
        else
            rpl_check(log, RPL_LONG_FRAME, body.bytes <= LONGEST_PLAIN + RPL_TAG_BYTES * tags, body.bytes,
                      LONGEST_PLAIN);
    }
    parsed = rpl_packet_parse(&packet, body.at, body.visible, tags);
    if (header.flags & NEEDS_CSUM)
        rpl_check(log, RPL_CSUM_PLACE,
                  (uint32_t)header.csum_start + header.csum_offset + 2 <= body.bytes &&
                      (!parsed || header.csum_offset == rpl_packet_field(&packet)),
                  RPL_PAIR(header.csum_start, header.csum_offset), body.bytes);
    if (parsed)
        judge_packet(log, features, &header, &packet, &body);
}
