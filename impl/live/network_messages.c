/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about the network device: its MTU, its configuration space. */
#include "messages.h"

#define CONFIG_HEAD 12u
#define CONFIG_SPACE 256u
#define MIGRATION 1u /* flag of SET_CONFIG */
#define LEAST_MTU 68u

/* There is nobody to whom a move would have to be announced. */
enum rpl_answer rpl_on_send_rarp(struct rpl_session *session)
{
    (void)session;
    return RPL_ANSWER_DONE;
}

enum rpl_answer rpl_on_net_set_mtu(struct rpl_session *session)
{
    uint64_t mtu = rpl_read64(session, 0);

    if (mtu < LEAST_MTU || mtu > UINT16_MAX)
        return RPL_ANSWER_REFUSED;
    if (mtu == session->options.mtu)
        return RPL_ANSWER_DONE;
    if (rpl_vrings_run(session)) /* what the driver was told holds until it starts again */
        return RPL_ANSWER_REFUSED;
    session->options.mtu = (uint32_t)mtu;
    session->config[10] = (uint8_t)mtu;
    session->config[11] = (uint8_t)(mtu >> 8);
    rpl_state_options(session);
    return RPL_ANSWER_DONE;
}

/* Whether the message names a part of the configuration space; some front-ends ask without room for the answer. */
static bool names_config(const struct rpl_session *session, bool with_bytes)
{
    const struct rpl_message *message = &session->wire.message;
    uint64_t                  offset, bytes;

    if (message->size < CONFIG_HEAD)
        return false;
    offset = rpl_read32(session, 0);
    bytes = rpl_read32(session, 4);
    if (bytes == 0 || offset + bytes > CONFIG_SPACE)
        return false;
    return message->size == CONFIG_HEAD + bytes || (!with_bytes && message->size == CONFIG_HEAD);
}

/* An answer without payload says that there is none. */
enum rpl_answer rpl_on_get_config(struct rpl_session *session)
{
    uint8_t  answer[CONFIG_HEAD + CONFIG_SPACE] = {0};
    uint32_t offset, bytes;

    if (rpl_message_of(session)->size < CONFIG_HEAD)
        return rpl_wrong_size(session);
    if (!names_config(session, false)) {
        session->refused++;
        rpl_wire_reply(&session->wire, NULL, 0);
        return RPL_ANSWER_REPLIED;
    }
    offset = rpl_read32(session, 0);
    bytes = rpl_read32(session, 4);
    memcpy(answer, rpl_message_of(session)->payload, CONFIG_HEAD);
    for (uint32_t at = 0; at < bytes && offset + at < RPL_CONFIG_BYTES; at++)
        answer[CONFIG_HEAD + at] = session->config[offset + at];
    rpl_wire_reply(&session->wire, answer, CONFIG_HEAD + bytes);
    return RPL_ANSWER_REPLIED;
}

/* The MAC address may be written by legacy drivers (VIRTIO 1.3 section 5.1.4), and all of it by a migration. */
enum rpl_answer rpl_on_set_config(struct rpl_session *session)
{
    uint32_t offset, bytes;
    bool     legacy = session->features_known && !(session->accepted & RPL_VERSION_ONE);

    if (rpl_message_of(session)->size < CONFIG_HEAD)
        return rpl_wrong_size(session);
    if (!names_config(session, true))
        return RPL_ANSWER_REFUSED;
    offset = rpl_read32(session, 0);
    bytes = rpl_read32(session, 4);
    if (!(rpl_read32(session, 8) & MIGRATION) && !(legacy && offset + bytes <= 6))
        return RPL_ANSWER_REFUSED;
    for (uint32_t at = 0; at < bytes && offset + at < 6; at++)
        session->config[offset + at] = rpl_message_of(session)->payload[CONFIG_HEAD + at];
    return RPL_ANSWER_DONE;
}
