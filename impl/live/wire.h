/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the vhost-user protocol on their stream: put together from whatever pieces arrive, answered
 * without ever blocking. Descriptors that come with a message are its, until they are taken out of it.
 */
#ifndef RINGPROOF_LIVE_WIRE_H
#define RINGPROOF_LIVE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPL_WIRE_HEADER 12u
#define RPL_WIRE_PAYLOAD 4096u /* more than any message that is known, crypto sessions included */
#define RPL_WIRE_FDS 16u       /* more than any message may carry */

#define RPL_WIRE_VERSION 1u
#define RPL_WIRE_VERSION_MASK 3u
#define RPL_WIRE_REPLY 4u
#define RPL_WIRE_NEED_REPLY 8u

struct rpl_message {
    uint32_t request, flags, size;
    uint8_t  payload[RPL_WIRE_PAYLOAD];
    int      fds[RPL_WIRE_FDS];
    uint32_t fd_count; /* in fds */
    uint32_t fds_sent; /* how many came; those beyond RPL_WIRE_FDS were closed */
};

struct rpl_wire {
    int                fd; /* -1: closed */
    struct rpl_message message; /* the one that is being put together, or was put together last */
    size_t             have;    /* bytes of it, header included */
    uint8_t            head[RPL_WIRE_HEADER];
    uint8_t            out[RPL_WIRE_HEADER + RPL_WIRE_PAYLOAD];
    size_t             out_bytes, out_sent;
    int                error; /* errno of the last failure */
};

enum rpl_wire_result {
    RPL_WIRE_WAIT,     /* nothing more for now */
    RPL_WIRE_MESSAGE,  /* wire->message is whole */
    RPL_WIRE_CLOSED,   /* by the peer, between two messages */
    RPL_WIRE_TORN,     /* by the peer, in the middle of one */
    RPL_WIRE_TOO_LONG, /* wire->message.request and size say of what */
    RPL_WIRE_ODD,      /* no request of version 1: wire->message.request and flags */
    RPL_WIRE_FAILED,   /* wire->error */
};

void rpl_wire_init(struct rpl_wire *wire);
/* Reads what is there. A message that was returned before is dropped, with the descriptors left in it. */
enum rpl_wire_result rpl_wire_receive(struct rpl_wire *wire);
/* The message's first descriptor, close-on-exec, from now on the caller's; -1 if there is none. */
int rpl_wire_take(struct rpl_message *message);
/* Answers wire->message. Only while nothing is pending. bytes <= RPL_WIRE_PAYLOAD. */
void rpl_wire_reply(struct rpl_wire *wire, const void *payload, uint32_t bytes);
/* Sends what is left of an answer; false: the peer is gone or writing failed (wire->error). */
bool rpl_wire_flush(struct rpl_wire *wire);
bool rpl_wire_pending(const struct rpl_wire *wire);
/* Bytes there are of the message being put together, and those it must have (12 if not even that is known). */
void rpl_wire_progress(const struct rpl_wire *wire, uint64_t *have, uint64_t *whole);
void rpl_wire_close(struct rpl_wire *wire); /* and all descriptors that were not taken */

#endif
