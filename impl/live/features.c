/* SPDX-License-Identifier: Apache-2.0 */
/* Which features go together (VIRTIO 1.3 sections 2.2, 2.2.1, 5.1.3 and 6). */
#include "frame.h"

/* Feature bits that only this file needs. */
#define NET_GUEST_USO4 54u
#define NET_GUEST_USO6 55u
#define NET_RSC_EXT 61u

/* These belong to the protocol between front-end and device, not to the driver. */
#define PROTOCOLS (RPL_PROTOCOL_FEATURES | RPL_RING_LOG_ALL)

#define BITS(first, last) ((~UINT64_C(0) << (first)) & (~UINT64_C(0) >> (63 - (last))))

/* Those of a network device (5.1.3 and, for bit 6, 5.1.3.2), then the reserved ones (6, and 6.3 for 24 and 27). */
#define DEFINED (BITS(0, 3) | BITS(5, 23) | BITS(50, 57) | BITS(59, 63) | RPL_F(24) | BITS(27, 29) | BITS(32, 41))

static const struct {
    uint32_t bit;
    uint64_t one_of;
} requirements[] = {
    /* 5.1.3.1, in ascending order of bits. What requires CTRL_VQ is not among them: the front-end serves the
     * control queue, and some take its bit out of what they pass on. */
    {7, RPL_NET_GUEST_CSUM},
    {8, RPL_NET_GUEST_CSUM},
    {9, RPL_NET_GUEST_TSO4 | RPL_NET_GUEST_TSO6},
    {10, RPL_NET_GUEST_CSUM},
    {11, RPL_NET_CSUM},
    {12, RPL_NET_CSUM},
    {13, RPL_NET_HOST_TSO4 | RPL_NET_HOST_TSO6},
    {14, RPL_NET_CSUM},
    {NET_GUEST_USO4, RPL_NET_GUEST_CSUM},
    {NET_GUEST_USO6, RPL_NET_GUEST_CSUM},
    {56, RPL_NET_CSUM},
    {NET_RSC_EXT, RPL_NET_HOST_TSO4 | RPL_NET_HOST_TSO6},
};

void rpl_features_judge(struct rpl_log *log, uint64_t offered, uint64_t accepted)
{
    offered &= ~PROTOCOLS;
    accepted &= ~PROTOCOLS;
    rpl_check(log, RPL_FEATURE_UNOFFERED, (accepted & ~offered) == 0, accepted & ~offered, offered);
    for (uint32_t i = 0; i < sizeof requirements / sizeof *requirements; i++)
        if (accepted & RPL_F(requirements[i].bit))
            rpl_check(log, RPL_FEATURE_REQUIRES, (accepted & requirements[i].one_of) != 0, requirements[i].bit,
                      requirements[i].one_of);
    rpl_check(log, RPL_FEATURE_UNDEFINED, (accepted & ~DEFINED) == 0, accepted & ~DEFINED, 0);
    if (accepted & RPL_VERSION_ONE)
        rpl_check(log, RPL_VERSION_1, true, accepted, 0);
    else if (offered & RPL_RING_ANY_LAYOUT)
        rpl_check(log, RPL_ANY_LAYOUT, (accepted & RPL_RING_ANY_LAYOUT) != 0, accepted, 0);
    /* Front-ends leave these two out of what they offer as they like: that one is not accepted says nothing. */
    if (accepted & RPL_NET_MTU)
        rpl_check(log, RPL_MTU_FEATURE, true, accepted, 0);
    if (accepted & RPL_NET_GUEST_HDRLEN)
        rpl_check(log, RPL_HDRLEN_FEATURE, true, accepted, 0);
}
