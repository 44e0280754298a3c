/* SPDX-License-Identifier: Apache-2.0 */
#include "net_header.h"

#define HDR_NEEDS_CSUM 1u
#define GSO_ECN        0x80u

/* Offsets of the fields. */
enum {
    FLAGS = 0,
    GSO_TYPE = 1,
    HDR_LEN = 2,
    GSO_SIZE = 4,
    CSUM_START = 6,
    CSUM_OFFSET = 8,
    NUM_BUFFERS = 10,
};

/* By enum rp_net_gso: the number in gso_type, and the feature that lets a driver use it. */
static const struct {
    uint8_t  type;
    uint64_t feature;
} kinds[] = {
    [RP_NET_GSO_TCPV4] = {1, RP_NET_F_HOST_TSO4},
    [RP_NET_GSO_TCPV6] = {4, RP_NET_F_HOST_TSO6},
    [RP_NET_GSO_UDP] = {3, RP_NET_F_HOST_UFO},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

uint32_t rp_net_header_bytes(uint64_t features, bool mended)
{
    uint64_t with_num_buffers = RP_NET_F_MRG_RXBUF;

    if (mended)
        with_num_buffers |= RP_NET_F_VERSION_1;
    return (features & with_num_buffers) != 0 ? 12 : 10;
}

int rp_net_header_check(const struct rp_net_frame *frame, uint64_t features, bool mended)
{
    bool gso = frame->gso != RP_NET_GSO_NONE;

    if (gso && frame->gso >= KINDS)
        return RP_NET_EINVAL;
    if (!mended)
        return RP_NET_OK;
    if (frame->checksum && (features & RP_NET_F_CSUM) == 0)
        return RP_NET_EINVAL;
    if (gso && (!frame->checksum || frame->gso_size == 0 || (features & kinds[frame->gso].feature) == 0))
        return RP_NET_EINVAL;
    if (frame->ecn) {
        if (frame->gso != RP_NET_GSO_TCPV4 && frame->gso != RP_NET_GSO_TCPV6)
            return RP_NET_EINVAL;
        if ((features & RP_NET_F_HOST_ECN) == 0)
            return RP_NET_EINVAL;
    }
    return RP_NET_OK;
}

static void put16(uint8_t *header, uint32_t offset, uint32_t value)
{
    header[offset] = (uint8_t)value;
    header[offset + 1] = (uint8_t)(value >> 8);
}

/* The first half of Linux 3.11's xmit_skb. */
void rp_net_header_write(void *header, const struct rp_net_frame *frame, uint32_t bytes, bool mended)
{
    uint32_t linear = frame->packet->head_length;
    uint8_t *to = header;

    if (frame->checksum) {
        to[FLAGS] = HDR_NEEDS_CSUM;
        put16(to, CSUM_START, frame->csum_start);
        put16(to, CSUM_OFFSET, frame->csum_offset);
    } else {
        to[FLAGS] = 0;
        put16(to, CSUM_START, 0);
        put16(to, CSUM_OFFSET, 0);
    }
    if (frame->gso != RP_NET_GSO_NONE) {
        to[GSO_TYPE] = kinds[frame->gso].type;
        if (frame->ecn)
            to[GSO_TYPE] |= GSO_ECN;
        put16(to, HDR_LEN, mended && linear > 0xffffu ? 0xffffu : linear);
        put16(to, GSO_SIZE, frame->gso_size);
    } else {
        to[GSO_TYPE] = 0;
        put16(to, HDR_LEN, 0);
        put16(to, GSO_SIZE, 0);
    }
    if (bytes > NUM_BUFFERS)
        put16(to, NUM_BUFFERS, 0);
}
