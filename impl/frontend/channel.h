/* SPDX-License-Identifier: Apache-2.0 */
/* The vhost-user connection, front-end's side: messages out, answers in (vhost-user protocol specification). Whoever
 * fails here ends the program. */
#ifndef RINGPROOF_FRONTEND_CHANNEL_H
#define RINGPROOF_FRONTEND_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fe_request {
    FE_GET_FEATURES = 1,
    FE_SET_FEATURES = 2,
    FE_SET_OWNER = 3,
    FE_SET_MEM_TABLE = 5,
    FE_SET_VRING_NUM = 8,
    FE_SET_VRING_ADDR = 9,
    FE_SET_VRING_BASE = 10,
    FE_GET_VRING_BASE = 11,
    FE_SET_VRING_KICK = 12,
    FE_SET_VRING_CALL = 13,
    FE_GET_PROTOCOL_FEATURES = 15,
    FE_SET_PROTOCOL_FEATURES = 16,
    FE_GET_QUEUE_NUM = 17,
    FE_SET_VRING_ENABLE = 18,
    FE_SET_STATUS = 39,
};

#define FE_PROTOCOL_MQ (1u << 0)
#define FE_PROTOCOL_REPLY_ACK (1u << 3)
#define FE_PROTOCOL_STATUS (1u << 16)

struct fe_vring_state {
    uint32_t index, number;
};

struct fe_vring_address {
    uint32_t index, flags;
    uint64_t desc, used, avail, log; /* the front-end's own addresses */
};

struct fe_mem_table {
    uint32_t count, padding;
    struct {
        uint64_t guest, bytes, user, offset;
    } regions[1];
};

/* A connection to the socket. Exits as bad use if there is nobody. */
int fe_channel_connect(const char *path);
/* Whether nobody is at the other side any more. */
bool fe_channel_closed(int channel);

/* `bytes` of payload, and a descriptor unless `file` is -1. */
void fe_channel_tell(int channel, enum fe_request request, const void *payload, size_t bytes, int file);
/* The same, and waits until the other side says that it did it; with `acknowledged` false it is only told. */
void fe_channel_sure(int channel, enum fe_request request, const void *payload, size_t bytes, int file,
                     bool acknowledged);
/* Asks, and fills `answer` with exactly `wanted` bytes. */
void fe_channel_ask(int channel, enum fe_request request, const void *payload, size_t bytes, void *answer,
                    size_t wanted);
/* A header that promises `promised` bytes, and `bytes` of payload, whatever that comes to. */
void fe_channel_raw(int channel, enum fe_request request, uint32_t promised, const void *payload, size_t bytes);

#endif
