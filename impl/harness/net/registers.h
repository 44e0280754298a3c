/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of a virtio-net device on both transports, as net_operations.py has them: legacy, one region
 * of I/O space (VIRTIO 1.3 section 4.1.4.10), modern, four regions (4.1.4.3 to 4.1.4.6). Their state lies in
 * shared memory. The device takes every access and logs it; what is no register reads as all ones.
 */
#ifndef RINGPROOF_NET_REGISTERS_H
#define RINGPROOF_NET_REGISTERS_H

#include "net_protocol.h"

#include <stdbool.h>

#define RP_NET_F_MQ (UINT64_C(1) << 22)
#define RP_NET_F_CTRL_VQ (UINT64_C(1) << 17)
#define RP_NET_F_EVENT_IDX (UINT64_C(1) << 29)
#define RP_NET_F_INDIRECT_DESC (UINT64_C(1) << 28)

#define RP_NET_STATUS_DRIVER_OK 4u
#define RP_NET_STATUS_FEATURES_OK 8u

/* What an access did besides. */
enum rp_net_effect {
    RP_NET_EFFECT_NONE,
    RP_NET_EFFECT_UNKNOWN, /* there is no such register */
    RP_NET_EFFECT_NOTIFY,  /* a queue was notified */
    RP_NET_EFFECT_LIVE     /* DRIVER_OK was set */
};

/* A device that was never reset yet. */
void rp_net_registers_init(struct rp_net_registers *registers, const struct rp_net_config *config);
uint32_t rp_net_registers_read(struct rp_net_registers *registers, const struct rp_net_config *config,
                               uint32_t region, uint32_t offset, uint32_t width, enum rp_net_effect *effect);
/* `value` has no bits beyond `width` bytes. *queue is the number of a queue notified. */
void rp_net_registers_write(struct rp_net_registers *registers, const struct rp_net_config *config,
                            uint32_t region, uint32_t offset, uint32_t width, uint32_t value,
                            enum rp_net_effect *effect, uint32_t *queue);

/* Features accepted, of those offered. */
uint64_t rp_net_registers_features(const struct rp_net_registers *registers,
                                   const struct rp_net_config *config);
/* Queues there are with the features accepted so far; the last one is the control queue. */
uint32_t rp_net_registers_queues(const struct rp_net_registers *registers, const struct rp_net_config *config);

#endif
