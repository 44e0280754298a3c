/* SPDX-License-Identifier: Apache-2.0 */
/* One function for each message of the vhost-user protocol, and what they share. */
#ifndef RINGPROOF_LIVE_MESSAGES_H
#define RINGPROOF_LIVE_MESSAGES_H

#include "protocol.h"

#include <string.h>
#include <unistd.h>

#define RPL_NO_DESCRIPTOR 0x100u /* of SET_VRING_KICK, _CALL, _ERR: bits 0 to 7 are the queue */

enum rpl_request {
    RPL_MSG_GET_FEATURES = 1,
    RPL_MSG_SET_FEATURES = 2,
    RPL_MSG_SET_OWNER = 3,
    RPL_MSG_RESET_OWNER = 4,
    RPL_MSG_SET_MEM_TABLE = 5,
    RPL_MSG_SET_LOG_BASE = 6,
    RPL_MSG_SET_LOG_FD = 7,
    RPL_MSG_SET_VRING_NUM = 8,
    RPL_MSG_SET_VRING_ADDR = 9,
    RPL_MSG_SET_VRING_BASE = 10,
    RPL_MSG_GET_VRING_BASE = 11,
    RPL_MSG_SET_VRING_KICK = 12,
    RPL_MSG_SET_VRING_CALL = 13,
    RPL_MSG_SET_VRING_ERR = 14,
    RPL_MSG_GET_PROTOCOL_FEATURES = 15,
    RPL_MSG_SET_PROTOCOL_FEATURES = 16,
    RPL_MSG_GET_QUEUE_NUM = 17,
    RPL_MSG_SET_VRING_ENABLE = 18,
    RPL_MSG_SEND_RARP = 19,
    RPL_MSG_NET_SET_MTU = 20,
    RPL_MSG_SET_BACKEND_REQ_FD = 21,
    RPL_MSG_IOTLB_MSG = 22,
    RPL_MSG_GET_CONFIG = 24,
    RPL_MSG_SET_CONFIG = 25,
    RPL_MSG_CREATE_CRYPTO_SESSION = 26,
    RPL_MSG_POSTCOPY_ADVISE = 28,
    RPL_MSG_POSTCOPY_END = 30,
    RPL_MSG_GET_INFLIGHT_FD = 31,
    RPL_MSG_RESET_DEVICE = 34,
    RPL_MSG_GET_MAX_MEM_SLOTS = 36,
    RPL_MSG_ADD_MEM_REG = 37,
    RPL_MSG_REM_MEM_REG = 38,
    RPL_MSG_SET_STATUS = 39,
    RPL_MSG_GET_STATUS = 40,
    RPL_MSG_SET_DEVICE_STATE_FD = 42,
    RPL_MSG_CHECK_DEVICE_STATE = 43,
};

enum rpl_answer {
    RPL_ANSWER_DONE,    /* an acknowledgement, if one is wanted */
    RPL_ANSWER_REPLIED, /* with what was asked for */
    RPL_ANSWER_REFUSED, /* the request makes sense, but will not be done */
    RPL_ANSWER_FAILED,  /* there is trouble */
};

static inline struct rpl_message *rpl_message_of(struct rpl_session *session)
{
    return &session->wire.message;
}

static inline enum rpl_answer rpl_answer_trouble(struct rpl_session *session, enum rpl_trouble code, uint64_t a,
                                                 uint64_t b)
{
    rpl_session_fail(session, code, a, b);
    return RPL_ANSWER_FAILED;
}

static inline enum rpl_answer rpl_wrong_size(struct rpl_session *session)
{
    const struct rpl_message *message = rpl_message_of(session);

    return rpl_answer_trouble(session, RPL_TROUBLE_SIZE, message->request, message->size);
}

static inline enum rpl_answer rpl_still_runs(struct rpl_session *session, const struct rpl_vring *vring)
{
    return rpl_answer_trouble(session, RPL_TROUBLE_STILL_RUNS, rpl_message_of(session)->request, vring->number);
}

static inline uint32_t rpl_read32(const struct rpl_session *session, uint32_t at)
{
    uint32_t value;

    memcpy(&value, session->wire.message.payload + at, sizeof value);
    return value;
}

static inline uint64_t rpl_read64(const struct rpl_session *session, uint32_t at)
{
    uint64_t value;

    memcpy(&value, session->wire.message.payload + at, sizeof value);
    return value;
}

static inline enum rpl_answer rpl_reply64(struct rpl_session *session, uint64_t value)
{
    rpl_wire_reply(&session->wire, &value, sizeof value);
    return RPL_ANSWER_REPLIED;
}

static inline void rpl_replace(int *place, int fd)
{
    if (*place >= 0)
        close(*place);
    *place = fd;
}

/* What a front-end is offered, the protocol's own bit included. */
static inline uint64_t rpl_offered(const struct rpl_session *session)
{
    return session->options.device_features | RPL_PROTOCOL_FEATURES;
}

/* ring_messages.c */
enum rpl_answer rpl_on_set_vring_num(struct rpl_session *session);
enum rpl_answer rpl_on_set_vring_addr(struct rpl_session *session);
enum rpl_answer rpl_on_set_vring_base(struct rpl_session *session);
enum rpl_answer rpl_on_get_vring_base(struct rpl_session *session);
enum rpl_answer rpl_on_set_vring_kick(struct rpl_session *session);
enum rpl_answer rpl_on_set_vring_call(struct rpl_session *session);
enum rpl_answer rpl_on_set_vring_err(struct rpl_session *session);
enum rpl_answer rpl_on_set_vring_enable(struct rpl_session *session);

/* memory_messages.c */
enum rpl_answer rpl_on_set_mem_table(struct rpl_session *session);
enum rpl_answer rpl_on_set_log_base(struct rpl_session *session);
enum rpl_answer rpl_on_set_log_fd(struct rpl_session *session);
enum rpl_answer rpl_on_get_max_mem_slots(struct rpl_session *session);
enum rpl_answer rpl_on_add_mem_reg(struct rpl_session *session);
enum rpl_answer rpl_on_rem_mem_reg(struct rpl_session *session);

/* network_messages.c */
enum rpl_answer rpl_on_send_rarp(struct rpl_session *session);
enum rpl_answer rpl_on_net_set_mtu(struct rpl_session *session);
enum rpl_answer rpl_on_get_config(struct rpl_session *session);
enum rpl_answer rpl_on_set_config(struct rpl_session *session);

#endif
