/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session is made of, and the messages that change it.
 *
 * loop.c serves the connection, protocol.c and *_messages.c the messages, vring.c starts and stops queues,
 * statements.c records what concerns the whole device.
 *
 * Source: the vhost-user protocol specification.
 */
#ifndef RINGPROOF_LIVE_PROTOCOL_H
#define RINGPROOF_LIVE_PROTOCOL_H

#include "frame.h"
#include "outbox.h"
#include "plain.h"
#include "session.h"
#include "wire.h"

#define RPL_VRINGS (2 * RPL_MAX_PAIRS)
#define RPL_NO_QUEUE 0xffu /* of records that concern none */
#define RPL_STATUS_ACKNOWLEDGE 1u /* VIRTIO 1.3 section 2.1: what a driver sets first */
#define RPL_CONFIG_BYTES 12u /* of virtio_net_config: mac, status, max_virtqueue_pairs, mtu */

/* One queue as messages describe it; addresses are the front-end's own. */
struct rpl_vring {
    struct rpl_session *session;
    struct rpl_queue   *queue; /* one of the two */
    struct rpl_plain   *plain;
    uint32_t            number;
    uint32_t            size;
    uint64_t            desc, avail, used;
    uint16_t            base;
    bool                sized, addressed, based;
    bool                kickable; /* SET_VRING_KICK has come since it was stopped, be it without a descriptor */
    bool                enabled, runs;
    bool                ever_enabled; /* since it was started, or when it was */
    bool                busy;     /* has more to do at once */
    uint64_t            due;      /* when it wants to work though nothing happens */
    int                 kick, call, err;
    uint32_t            started;
};

struct rpl_session {
    struct rpl_options   options;
    struct rpl_wire      wire;
    struct rpl_guest     guest;
    struct rpl_log       log;
    struct rpl_recorder  recorder;
    struct rpl_outbox    outbox;
    struct rpl_behaviour behaviour;
    struct rpl_vring     vrings[RPL_VRINGS];
    uint32_t             vring_count;
    uint64_t             accepted, protocol_features;
    bool                 features_known, recording, connected, closed, owner, status_known, status_in_part;
    uint8_t              status;
    uint8_t              config[RPL_CONFIG_BYTES];
    int                  backend_requests; /* SET_BACKEND_REQ_FD; nothing is ever asked */
    int                  log_event;        /* SET_LOG_FD */
    uint64_t             messages;
    uint32_t             refused;
    uint32_t             news; /* RPL_BECAUSE_* to be told */
    enum rpl_trouble     trouble;
    uint64_t             trouble_a, trouble_b;
    uint32_t             injection; /* waits for a transmit queue to run */
    int32_t              injected;  /* the vring it was given to; -1: none */
    uint64_t             failures_told;
    uint64_t             failed_told[(RPL_CHECKS + 63) / 64];
};

#define RPL_PROTOCOL_MQ RPL_F(0)
#define RPL_PROTOCOL_LOG_SHMFD RPL_F(1)
#define RPL_PROTOCOL_RARP RPL_F(2)
#define RPL_PROTOCOL_REPLY_ACK RPL_F(3)
#define RPL_PROTOCOL_NET_MTU RPL_F(4)
#define RPL_PROTOCOL_BACKEND_REQ RPL_F(5)
#define RPL_PROTOCOL_CONFIG RPL_F(9)
#define RPL_PROTOCOL_RESET_DEVICE RPL_F(13)
#define RPL_PROTOCOL_MEM_SLOTS RPL_F(15)
#define RPL_PROTOCOL_STATUS RPL_F(16)
#define RPL_PROTOCOL_KNOWN                                                                                          \
    (RPL_PROTOCOL_MQ | RPL_PROTOCOL_LOG_SHMFD | RPL_PROTOCOL_RARP | RPL_PROTOCOL_REPLY_ACK | RPL_PROTOCOL_NET_MTU | \
     RPL_PROTOCOL_BACKEND_REQ | RPL_PROTOCOL_CONFIG | RPL_PROTOCOL_RESET_DEVICE | RPL_PROTOCOL_MEM_SLOTS |          \
     RPL_PROTOCOL_STATUS)

/* protocol.c */
void rpl_protocol_handle(struct rpl_session *session); /* session->wire.message, which is whole */

/* loop.c */
uint64_t rpl_clock_us(void); /* CLOCK_MONOTONIC */
/* Notes what is wrong; the first trouble is the one that is told. */
void rpl_session_fail(struct rpl_session *session, enum rpl_trouble trouble, uint64_t a, uint64_t b);
void rpl_session_tell(struct rpl_session *session, uint32_t because);
/* A full segment must be taken before anything more is recorded. */
bool rpl_session_must_wait(const struct rpl_session *session);

/* vring.c */
bool rpl_vring_init(struct rpl_session *session, uint32_t number); /* false: no memory */
void rpl_vring_free(struct rpl_vring *vring);
/* Starts it if all that it needs is there. May find trouble. */
void rpl_vring_try(struct rpl_vring *vring);
/* Stops it, if it runs; its base is what it goes on from. */
void rpl_vring_stop(struct rpl_vring *vring);
void rpl_vring_enable(struct rpl_vring *vring, bool on);
void rpl_vring_behave(struct rpl_vring *vring);
void rpl_vring_set_kick(struct rpl_vring *vring, int fd); /* -1: it is polled */
void rpl_vring_set_call(struct rpl_vring *vring, int fd);
void rpl_vring_set_err(struct rpl_vring *vring, int fd);
/* All that run stop; the mask of those. What has stopped so is started again by rpl_vrings_resume. */
uint32_t rpl_vrings_pause(struct rpl_session *session);
void rpl_vrings_resume(struct rpl_session *session, uint32_t paused);
bool rpl_vrings_run(const struct rpl_session *session);
/* A queue that sends and was never enabled: whether the driver has published something all the same. */
bool rpl_vring_moved(const struct rpl_vring *vring);
/* Reads its kicks, for when it works next. */
void rpl_vring_hear(struct rpl_vring *vring);
/* Reads its kicks and lets it work. */
void rpl_vring_service(struct rpl_vring *vring, uint64_t now);
/* Microseconds until it wants to work though nothing happens; ~0: never. */
uint64_t rpl_vring_wait(const struct rpl_vring *vring, uint64_t now);

/* statements.c: records, judged where they are; nothing happens in a session that records nothing. */
void rpl_state_options(struct rpl_session *session);
void rpl_state_memory(struct rpl_session *session);
/* Before session->accepted is changed: a checkpoint may stand before the record. */
void rpl_state_features(struct rpl_session *session, uint64_t accepted);
/* Whether they do in what is the driver's: LOG_ALL and PROTOCOL_FEATURES are the front-end's. */
bool rpl_features_differ(uint64_t before, uint64_t after);
void rpl_state_status(struct rpl_session *session, uint8_t before, uint8_t after);
void rpl_state_checkpoint(void *session, struct rpl_recorder *recorder);

#endif
