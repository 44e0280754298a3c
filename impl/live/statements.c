/* SPDX-License-Identifier: Apache-2.0 */
/* Records of what concerns the whole device, and what they judge. */
#include "frame.h"
#include "protocol.h"

#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u
#define STATUS_FAILED 0x80u
#define NOT_THE_DRIVERS (RPL_RING_LOG_ALL | RPL_PROTOCOL_FEATURES)

static void put_options(const struct rpl_session *session, struct rpl_recorder *recorder)
{
    rpl_record_begin(recorder, RPL_OPTIONS, RPL_NO_QUEUE);
    rpl_put64(recorder, session->options.device_features);
    rpl_put32(recorder, session->options.patience_ms);
    rpl_put16(recorder, (uint16_t)session->options.mtu);
    rpl_record_end(recorder);
}

static void put_memory(const struct rpl_session *session, struct rpl_recorder *recorder)
{
    rpl_record_begin(recorder, RPL_MEMORY, RPL_NO_QUEUE);
    for (uint32_t at = 0; at < session->guest.count; at++) {
        rpl_put64(recorder, session->guest.regions[at].guest);
        rpl_put64(recorder, session->guest.regions[at].bytes);
    }
    rpl_record_end(recorder);
}

static void put_features(const struct rpl_session *session, struct rpl_recorder *recorder, uint64_t accepted)
{
    rpl_record_begin(recorder, RPL_FEATURES, RPL_NO_QUEUE);
    rpl_put64(recorder, accepted);
    rpl_put8(recorder, rpl_vrings_run(session));
    rpl_record_end(recorder);
}

void rpl_state_options(struct rpl_session *session)
{
    if (session->recording)
        put_options(session, &session->recorder);
}

void rpl_state_memory(struct rpl_session *session)
{
    if (session->recording)
        put_memory(session, &session->recorder);
}

bool rpl_features_differ(uint64_t before, uint64_t after)
{
    return ((before ^ after) & ~NOT_THE_DRIVERS) != 0;
}

void rpl_state_features(struct rpl_session *session, uint64_t accepted)
{
    struct rpl_log *log = &session->log;
    uint64_t        before = session->accepted;
    bool            late = rpl_vrings_run(session) && rpl_features_differ(before, accepted);

    if (!session->recording)
        return;
    put_features(session, &session->recorder, accepted);
    rpl_features_judge(log, session->options.device_features, accepted);
    rpl_check(log, RPL_FEATURES_LATE, !late, before, accepted);
}

void rpl_state_status(struct rpl_session *session, uint8_t before, uint8_t after)
{
    struct rpl_log *log = &session->log;
    bool            modern = session->features_known && (session->accepted & RPL_VERSION_ONE) != 0;
    bool            ordered;

    if (!session->recording)
        return;
    rpl_record_begin(&session->recorder, RPL_STATUS, RPL_NO_QUEUE);
    rpl_put8(&session->recorder, before);
    rpl_put8(&session->recorder, after);
    rpl_record_end(&session->recorder);
    rpl_check(log, RPL_STATUS_CLEARED, after == 0 || (before & ~after & 0xff) == 0, before, after);
    rpl_check(log, RPL_STATUS_AFTER_FAILED, !(before & STATUS_FAILED) || after == 0 || after == before, before,
              after);
    ordered = (!(after & STATUS_DRIVER) || (after & RPL_STATUS_ACKNOWLEDGE)) &&
              (!(after & STATUS_FEATURES_OK) || (after & STATUS_DRIVER)) &&
              (!(after & STATUS_DRIVER_OK) ||
               ((after & STATUS_DRIVER) && (!modern || (after & STATUS_FEATURES_OK))));
    rpl_check(log, RPL_STATUS_ORDER, ordered, before, after);
}

void rpl_state_checkpoint(void *context, struct rpl_recorder *recorder)
{
    struct rpl_session *session = context;

    put_options(session, recorder);
    if (session->features_known)
        put_features(session, recorder, session->accepted);
    put_memory(session, recorder);
    for (uint32_t at = 0; at < session->vring_count; at++)
        if (session->vrings[at].queue != NULL)
            rpl_queue_checkpoint(session->vrings[at].queue, recorder);
    rpl_record_tallies(recorder);
}
