/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on their way to the traffic partner: those it may want, as many as there is room for. */
#ifndef RINGPROOF_LIVE_OUTBOX_H
#define RINGPROOF_LIVE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPL_OUTBOX_BYTES ((size_t)4 << 20)

struct rpl_outbox {
    uint8_t *bytes; /* RPL_OUTBOX_BYTES; null: nothing is ever kept */
    size_t   first, used;
    uint64_t dropped;
    uint8_t  partner[6];
};

bool rpl_outbox_init(struct rpl_outbox *outbox, const uint8_t partner[6]); /* false: no memory */
void rpl_outbox_free(struct rpl_outbox *outbox);
/* Whether the partner may answer a frame that begins so: to it, or to many; ARP, ICMP, ICMPv6, TCP, and UDP to
 * the ports of DHCP, TFTP and TFTP's transfers. `frame` may be cut: what cannot be seen is not wanted. */
bool rpl_outbox_wants(const struct rpl_outbox *outbox, const uint8_t *frame, size_t bytes);
/* Keeps a frame, or counts it as dropped. */
void rpl_outbox_put(struct rpl_outbox *outbox, uint32_t pair, const uint8_t *frame, uint32_t bytes);
/* Moves the oldest out: its bytes; 0: none. One longer than `size` is dropped, and the next is taken. */
uint32_t rpl_outbox_take(struct rpl_outbox *outbox, uint8_t *into, uint32_t size, uint32_t *pair);

#endif
