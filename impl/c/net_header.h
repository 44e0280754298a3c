/* SPDX-License-Identifier: Apache-2.0 */
/* struct virtio_net_hdr, the header in front of every frame (VIRTIO 1.3 section 5.1.6). */
#ifndef RP_NET_HEADER_H
#define RP_NET_HEADER_H

#include <stdbool.h>

#include "ringproof_net_driver.h"

/* Feature bits of a network device (VIRTIO 1.3 section 5.1.3). */
#define RP_NET_F_CSUM      (UINT64_C(1) << 0)
#define RP_NET_F_MAC       (UINT64_C(1) << 5)
#define RP_NET_F_HOST_TSO4 (UINT64_C(1) << 11)
#define RP_NET_F_HOST_TSO6 (UINT64_C(1) << 12)
#define RP_NET_F_HOST_ECN  (UINT64_C(1) << 13)
#define RP_NET_F_HOST_UFO  (UINT64_C(1) << 14)
#define RP_NET_F_MRG_RXBUF (UINT64_C(1) << 15)
#define RP_NET_F_STATUS    (UINT64_C(1) << 16)
#define RP_NET_F_CTRL_VQ   (UINT64_C(1) << 17)
#define RP_NET_F_MQ        (UINT64_C(1) << 22)
#define RP_NET_F_VERSION_1 (UINT64_C(1) << 32)

/* Bytes of the header, 10 or 12: with num_buffers or without. */
uint32_t rp_net_header_bytes(uint64_t features, bool mended);
/* Whether a header can say what this frame asks for: RP_NET_OK or RP_NET_EINVAL. Linux 3.11 only asks
 * whether the GSO kind has a number; `mended` is for what VIRTIO 1.3 section 5.1.6.2.1 wants, too. */
int rp_net_header_check(const struct rp_net_frame *frame, uint64_t features, bool mended);
/* Writes all `bytes` of the header of a frame that passed the check. Of a linear part too long for hdr_len
 * Linux 3.11 keeps the low 16 bits; with `mended` it is the largest number there is. */
void rp_net_header_write(void *header, const struct rp_net_frame *frame, uint32_t bytes, bool mended);

#endif
