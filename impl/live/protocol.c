/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages, one function each. What a message says is checked before anything is changed; what cannot be
 * done is refused by a reply where one is due, and else is trouble.
 */
#include "messages.h"

/* ---- features ---- */

static enum rpl_answer get_features(struct rpl_session *session)
{
    return rpl_reply64(session, rpl_offered(session));
}

/* What was accepted is judged first: it is a finding about the driver as well. */
static enum rpl_answer set_features(struct rpl_session *session)
{
    uint64_t accepted = rpl_read64(session, 0), before = session->accepted;
    bool     runs;

    if (!session->features_known) /* what runs without any begins anew with them */
        (void)rpl_vrings_pause(session);
    runs = rpl_vrings_run(session);
    rpl_state_features(session, accepted);
    session->accepted = accepted;
    session->features_known = true;
    rpl_session_tell(session, RPL_BECAUSE_STARTED);
    if ((accepted & ~(rpl_offered(session) | RPL_RING_LOG_ALL)) != 0)
        return rpl_answer_trouble(session, RPL_TROUBLE_FEATURES, accepted, rpl_offered(session));
    for (uint32_t at = 0; runs && at < session->vring_count; at++)
        if (session->vrings[at].runs && rpl_features_differ(before, accepted))
            return rpl_still_runs(session, &session->vrings[at]);
    for (uint32_t at = 0; at < session->vring_count; at++)
        rpl_vring_try(&session->vrings[at]);
    return RPL_ANSWER_DONE;
}

static enum rpl_answer get_protocol_features(struct rpl_session *session)
{
    return rpl_reply64(session, session->options.protocol_features);
}

static enum rpl_answer set_protocol_features(struct rpl_session *session)
{
    uint64_t accepted = rpl_read64(session, 0), odd = accepted & ~session->options.protocol_features;

    if (odd != 0)
        return rpl_answer_trouble(session, RPL_TROUBLE_REQUEST, RPL_MSG_SET_PROTOCOL_FEATURES, odd);
    session->protocol_features = accepted;
    return RPL_ANSWER_DONE;
}

/* ---- the session ---- */

static enum rpl_answer set_owner(struct rpl_session *session)
{
    session->owner = true;
    return RPL_ANSWER_DONE;
}

/* Deprecated; a back-end may take it as a request to disable all rings. */
static enum rpl_answer reset_owner(struct rpl_session *session)
{
    (void)rpl_vrings_pause(session);
    session->owner = false;
    return RPL_ANSWER_DONE;
}

static void set_status_to(struct rpl_session *session, uint8_t status)
{
    /* QEMU makes most of it up, and DPDK leaves out what comes before FEATURES_OK: a status that does not begin as
     * a driver's must is not the driver's, and says nothing of it. */
    if (session->status == 0 && status > RPL_STATUS_ACKNOWLEDGE)
        session->status_in_part = true;
    session->status_known = !session->status_in_part;
    if (session->status_known)
        rpl_state_status(session, session->status, status);
    session->status = status;
}

/* All but what concerns the connection: memory, protocol features and the owner stay. */
static enum rpl_answer reset_device(struct rpl_session *session)
{
    (void)rpl_vrings_pause(session);
    for (uint32_t at = 0; at < session->vring_count; at++) {
        struct rpl_vring *vring = &session->vrings[at];

        if (vring->enabled)
            rpl_vring_enable(vring, false);
        rpl_vring_set_call(vring, -1);
        rpl_vring_set_err(vring, -1);
        rpl_replace(&vring->kick, -1);
        vring->kickable = vring->sized = vring->addressed = vring->based = false;
        vring->size = 0;
        vring->base = 0;
    }
    if (session->status_known && session->status != 0)
        set_status_to(session, 0);
    session->features_known = false;
    return RPL_ANSWER_DONE;
}

static enum rpl_answer set_status(struct rpl_session *session)
{
    uint64_t status = rpl_read64(session, 0);

    if (status > 0xff)
        return RPL_ANSWER_REFUSED;
    set_status_to(session, (uint8_t)status);
    return RPL_ANSWER_DONE;
}

static enum rpl_answer get_status(struct rpl_session *session)
{
    return rpl_reply64(session, session->status);
}

static enum rpl_answer get_queue_num(struct rpl_session *session)
{
    return rpl_reply64(session, session->options.pairs);
}

static enum rpl_answer set_backend_req_fd(struct rpl_session *session)
{
    rpl_replace(&session->backend_requests, rpl_wire_take(rpl_message_of(session)));
    return RPL_ANSWER_DONE;
}

/* ---- all of them ---- */

#define ANY_SIZE 0xffffu
#define ANY_FDS 0xffu

static const struct row {
    enum rpl_answer (*handle)(struct rpl_session *);
    uint16_t bytes; /* of its payload */
    uint8_t  fds;   /* that come with it */
    uint64_t needs; /* protocol features, which must have been offered */
} rows[] = {
    [RPL_MSG_GET_FEATURES] = {get_features, 0, 0, 0},
    [RPL_MSG_SET_FEATURES] = {set_features, 8, 0, 0},
    [RPL_MSG_SET_OWNER] = {set_owner, 0, 0, 0},
    [RPL_MSG_RESET_OWNER] = {reset_owner, 0, 0, 0},
    [RPL_MSG_SET_MEM_TABLE] = {rpl_on_set_mem_table, ANY_SIZE, ANY_FDS, 0},
    [RPL_MSG_SET_LOG_BASE] = {rpl_on_set_log_base, ANY_SIZE, ANY_FDS, RPL_PROTOCOL_LOG_SHMFD},
    [RPL_MSG_SET_LOG_FD] = {rpl_on_set_log_fd, ANY_SIZE, 1, 0},
    [RPL_MSG_SET_VRING_NUM] = {rpl_on_set_vring_num, 8, 0, 0},
    [RPL_MSG_SET_VRING_ADDR] = {rpl_on_set_vring_addr, 40, 0, 0},
    [RPL_MSG_SET_VRING_BASE] = {rpl_on_set_vring_base, 8, 0, 0},
    [RPL_MSG_GET_VRING_BASE] = {rpl_on_get_vring_base, 8, 0, 0},
    [RPL_MSG_SET_VRING_KICK] = {rpl_on_set_vring_kick, 8, ANY_FDS, 0},
    [RPL_MSG_SET_VRING_CALL] = {rpl_on_set_vring_call, 8, ANY_FDS, 0},
    [RPL_MSG_SET_VRING_ERR] = {rpl_on_set_vring_err, 8, ANY_FDS, 0},
    [RPL_MSG_GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, 0, 0},
    [RPL_MSG_SET_PROTOCOL_FEATURES] = {set_protocol_features, 8, 0, 0},
    [RPL_MSG_GET_QUEUE_NUM] = {get_queue_num, 0, 0, RPL_PROTOCOL_MQ},
    [RPL_MSG_SET_VRING_ENABLE] = {rpl_on_set_vring_enable, 8, 0, 0},
    [RPL_MSG_SEND_RARP] = {rpl_on_send_rarp, 8, 0, RPL_PROTOCOL_RARP},
    [RPL_MSG_NET_SET_MTU] = {rpl_on_net_set_mtu, 8, 0, RPL_PROTOCOL_NET_MTU},
    [RPL_MSG_SET_BACKEND_REQ_FD] = {set_backend_req_fd, ANY_SIZE, 1, RPL_PROTOCOL_BACKEND_REQ},
    [RPL_MSG_GET_CONFIG] = {rpl_on_get_config, ANY_SIZE, 0, RPL_PROTOCOL_CONFIG},
    [RPL_MSG_SET_CONFIG] = {rpl_on_set_config, ANY_SIZE, 0, RPL_PROTOCOL_CONFIG},
    [RPL_MSG_RESET_DEVICE] = {reset_device, 0, 0, RPL_PROTOCOL_RESET_DEVICE},
    [RPL_MSG_GET_MAX_MEM_SLOTS] = {rpl_on_get_max_mem_slots, 0, 0, RPL_PROTOCOL_MEM_SLOTS},
    [RPL_MSG_ADD_MEM_REG] = {rpl_on_add_mem_reg, 40, 1, RPL_PROTOCOL_MEM_SLOTS},
    [RPL_MSG_REM_MEM_REG] = {rpl_on_rem_mem_reg, 40, ANY_FDS, RPL_PROTOCOL_MEM_SLOTS},
    [RPL_MSG_SET_STATUS] = {set_status, 8, 0, RPL_PROTOCOL_STATUS},
    [RPL_MSG_GET_STATUS] = {get_status, 0, 0, RPL_PROTOCOL_STATUS},
};

/* Requests of what is not offered that wait for an answer all the same get the one that says no. */
static bool refuse_in_kind(struct rpl_session *session)
{
    struct rpl_message *message = rpl_message_of(session);
    static const uint8_t nothing[24]; /* an inflight description: a size of 0 bytes */

    switch (message->request) {
    case RPL_MSG_IOTLB_MSG:
    case RPL_MSG_POSTCOPY_END:
    case RPL_MSG_CHECK_DEVICE_STATE:
        (void)rpl_reply64(session, 1);
        return true;
    case RPL_MSG_SET_DEVICE_STATE_FD:
        (void)rpl_reply64(session, 1 | RPL_NO_DESCRIPTOR);
        return true;
    case RPL_MSG_CREATE_CRYPTO_SESSION: /* the session's number comes first; a negative one is none */
        if (message->size < 8)
            return false;
        memset(message->payload, 0xff, 8);
        rpl_wire_reply(&session->wire, message->payload, message->size);
        return true;
    case RPL_MSG_GET_INFLIGHT_FD:
        rpl_wire_reply(&session->wire, nothing, message->size < sizeof nothing ? message->size : sizeof nothing);
        return true;
    case RPL_MSG_POSTCOPY_ADVISE: /* the descriptor that is wanted is missing */
    case RPL_MSG_GET_CONFIG:
        rpl_wire_reply(&session->wire, NULL, 0);
        return true;
    default:
        return false;
    }
}

static enum rpl_answer dispatch(struct rpl_session *session, const struct row *row)
{
    const struct rpl_message *message = rpl_message_of(session);

    if (row->bytes != ANY_SIZE && message->size != row->bytes)
        return rpl_wrong_size(session);
    if (row->fds != ANY_FDS && message->fds_sent != row->fds)
        return rpl_answer_trouble(session, RPL_TROUBLE_FDS, message->request, RPL_PAIR(row->fds, message->fds_sent));
    return row->handle(session);
}

void rpl_protocol_handle(struct rpl_session *session)
{
    const struct rpl_message *message = rpl_message_of(session);
    bool        acknowledge = (session->protocol_features & RPL_PROTOCOL_REPLY_ACK) != 0 &&
                       (message->flags & RPL_WIRE_NEED_REPLY) != 0;
    const struct row *row = message->request < sizeof rows / sizeof rows[0] ? &rows[message->request] : NULL;
    bool        known = row != NULL && row->handle != NULL &&
                 (row->needs & ~session->options.protocol_features) == 0;
    enum rpl_answer answer;

    session->messages++;
    if (!known && refuse_in_kind(session)) {
        session->refused++;
        return;
    }
    answer = known ? dispatch(session, row) : RPL_ANSWER_REFUSED;
    if (session->trouble != RPL_TROUBLE_NONE && answer != RPL_ANSWER_REPLIED) /* found by a queue that was about to start */
        answer = RPL_ANSWER_FAILED;
    if (answer == RPL_ANSWER_REPLIED)
        return;
    if (answer == RPL_ANSWER_REFUSED && !acknowledge && !known)
        rpl_session_fail(session, RPL_TROUBLE_REQUEST, message->request, 0);
    if (answer != RPL_ANSWER_DONE && (acknowledge || known))
        session->refused++;
    if (acknowledge)
        (void)rpl_reply64(session, answer != RPL_ANSWER_DONE);
}
