/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a vhost-user front-end: its messages, its memory, its queues. This is what Python loads
 * (ringproof/live/session.py); nothing here needs anything but a C library and Linux.
 *
 * Sources: the vhost-user protocol specification; VIRTIO 1.3.
 */
#ifndef RINGPROOF_LIVE_SESSION_H
#define RINGPROOF_LIVE_SESSION_H

#include "queue.h"

#define RPL_MAX_PAIRS 8u

struct rpl_options {
    uint64_t device_features;   /* offered; without RPL_PROTOCOL_FEATURES, which is added */
    uint64_t protocol_features; /* offered; those this code does not know are left out */
    uint32_t pairs;             /* 1 to RPL_MAX_PAIRS; queue 2k the driver receives from, on 2k + 1 it sends */
    uint32_t patience_ms;       /* how long a kick may take; 0: 2000 */
    uint32_t mtu;               /* of the configuration, and of NET_F_MTU if offered; 0: 1500 */
    uint32_t queue_size;        /* largest that is taken; 0: 32768 */
    uint32_t plain;             /* 1: the plain device; no monitor, no recording */
    uint32_t keep;              /* 1: each segment must be taken, nothing is lost; the device waits for that */
    uint32_t segment_bytes;     /* of a segment; 0: 8 MiB */
    uint8_t  mac[6];            /* of the driver's card */
    uint8_t  partner[6];        /* of the traffic partner: frames to it, and broadcast, may be handed out */
    uint32_t frames;            /* 1: frames that the partner may want are handed out */
};

/* Why rpl_session_run came back; several may be set. */
#define RPL_BECAUSE_TIME 1u     /* the time given was over */
#define RPL_BECAUSE_CLOSED 2u   /* the front-end has closed the connection, or died */
#define RPL_BECAUSE_TROUBLE 4u  /* it broke the protocol; see rpl_session_trouble. The connection is of no use any more */
#define RPL_BECAUSE_FRAMES 8u   /* frames wait for the partner */
#define RPL_BECAUSE_SEGMENT 16u /* a segment is full, and is to be taken (with keep) */
#define RPL_BECAUSE_FAILED 32u  /* a check failed that had not failed before */
#define RPL_BECAUSE_STARTED 64u /* a queue was started or stopped, or features were accepted */

/* What is wrong with a front-end; a, b as said. */
enum rpl_trouble {
    RPL_TROUBLE_NONE = 0,
    RPL_TROUBLE_TORN = 1,           /* closed in the middle of a message: bytes there; bytes it should have */
    RPL_TROUBLE_SIZE = 2,           /* a message of the wrong size: request; size */
    RPL_TROUBLE_TOO_LONG = 3,       /* a size no message has: request; size */
    RPL_TROUBLE_VERSION = 4,        /* flags without version 1: request; flags */
    RPL_TROUBLE_FDS = 5,            /* not as many descriptors as the message needs: request; pair(needed, got) */
    RPL_TROUBLE_REQUEST = 6,        /* a request nobody knows, or that was not offered, and needs an answer: request; 0 */
    RPL_TROUBLE_QUEUE = 7,          /* there is no such queue: request; queue */
    RPL_TROUBLE_REGIONS = 8,        /* too many regions, or none: count; most */
    RPL_TROUBLE_MEMORY = 9,         /* a region cannot be taken: pair(region, rpl_guest_error); address */
    RPL_TROUBLE_NOT_SHARED = 10,    /* queues were set up without any memory: queue; 0 */
    RPL_TROUBLE_ADDRESS = 11,       /* a ring part lies in no region: pair(queue, part); address */
    RPL_TROUBLE_QUEUE_SIZE = 12,    /* queue; size */
    RPL_TROUBLE_FEATURES = 13,      /* features accepted that were not offered: accepted; offered. Packed rings show here */
    RPL_TROUBLE_STILL_RUNS = 14,    /* a queue's words changed while it runs: request; queue */
    RPL_TROUBLE_MEMORY_GONE = 15,   /* the shared file was made shorter: 0; 0 */
    RPL_TROUBLE_NO_MEMORY = 16,     /* of this process: request; 0 */
    RPL_TROUBLE_SOCKET = 17,        /* reading or writing failed: errno; request */
    RPL_TROUBLE_NOT_AN_EVENTFD = 18, /* a kick or call descriptor that can't be read or written as one: request; errno */
};

struct rpl_session;

struct rpl_session *rpl_session_new(const struct rpl_options *options); /* null: no memory, or options no one may have */
void rpl_session_free(struct rpl_session *session);                    /* closes every descriptor it has got */
/* A connected SOCK_STREAM socket, from now on the session's. */
bool rpl_session_connect(struct rpl_session *session, int fd);
/* Serves the connection and all queues for `timeout_us`, or until one of RPL_BECAUSE_* is to be told. Never blocks longer. */
uint32_t rpl_session_run(struct rpl_session *session, uint32_t timeout_us);
enum rpl_trouble rpl_session_trouble(const struct rpl_session *session, uint64_t *a, uint64_t *b);
void rpl_session_behave(struct rpl_session *session, const struct rpl_behaviour *behaviour, const char *json);
/* On the transmit queue of the first pair that runs, at its next completion. */
void rpl_session_inject(struct rpl_session *session, uint32_t kind);
bool rpl_session_injected(const struct rpl_session *session);
/* Says that traffic was waited for, in vain or not (STALL, FLOW records). */
void rpl_session_stall(struct rpl_session *session, uint32_t ms, uint32_t queue);
void rpl_session_flow(struct rpl_session *session, uint32_t queue);
/* The next frame for the partner, into `into` (65,536 bytes at least): its bytes, 0 if there is none. */
uint32_t rpl_session_frame(struct rpl_session *session, uint8_t *into, uint32_t size, uint32_t *pair);
bool rpl_session_deliver(struct rpl_session *session, uint32_t pair, const uint8_t *frame, uint32_t bytes);
uint64_t rpl_session_frames_dropped(const struct rpl_session *session); /* wanted, but there was no room */
const struct rpl_log *rpl_session_log(const struct rpl_session *session);
/* Segments: see record.h. */
const uint8_t *rpl_session_segment(struct rpl_session *session, uint32_t which, uint64_t *bytes);
void rpl_session_segment_taken(struct rpl_session *session);
void rpl_session_cut(struct rpl_session *session); /* a TALLIES record, then ends the segment */

/* What is known, for people. */
struct rpl_queue_view {
    struct rpl_queue_counts counts;
    uint64_t published;
    uint32_t size, outstanding;
    uint32_t runs, enabled, started; /* started: how often */
    uint64_t kick_fd, call_fd;       /* whether there are any */
};
struct rpl_view {
    uint64_t accepted, protocol_features;
    uint32_t features_known, regions;
    uint64_t memory;       /* bytes */
    uint64_t messages;     /* of the front-end */
    uint32_t owner, status_known, status;
    uint32_t refused;      /* requests that were refused by a reply that says so */
    struct rpl_queue_view queues[2 * RPL_MAX_PAIRS];
};
void rpl_session_view(const struct rpl_session *session, struct rpl_view *view);
uint32_t rpl_sizeof(uint32_t what); /* 0: options, 1: behaviour, 2: view, 3: tally: Python compares them */

#endif
