/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages, one function each. What a message says is checked before anything is changed; what cannot be
 * done is refused by a reply where one is due, and else is trouble.
 */
#define _GNU_SOURCE
#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NO_DESCRIPTOR 0x100u /* of SET_VRING_KICK, _CALL, _ERR: bits 0 to 7 are the queue */
#define TABLE_REGIONS 8u     /* most of SET_MEM_TABLE */
#define CONFIG_HEAD 12u
#define CONFIG_SPACE 256u
#define MIGRATION 1u /* flag of SET_CONFIG */
#define LEAST_MTU 68u

enum request {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    RESET_OWNER = 4,
    SET_MEM_TABLE = 5,
    SET_LOG_BASE = 6,
    SET_LOG_FD = 7,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    SET_VRING_ERR = 14,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
    SEND_RARP = 19,
    NET_SET_MTU = 20,
    SET_BACKEND_REQ_FD = 21,
    IOTLB_MSG = 22,
    GET_CONFIG = 24,
    SET_CONFIG = 25,
    CREATE_CRYPTO_SESSION = 26,
    POSTCOPY_ADVISE = 28,
    POSTCOPY_END = 30,
    GET_INFLIGHT_FD = 31,
    RESET_DEVICE = 34,
    GET_MAX_MEM_SLOTS = 36,
    ADD_MEM_REG = 37,
    REM_MEM_REG = 38,
    SET_STATUS = 39,
    GET_STATUS = 40,
    SET_DEVICE_STATE_FD = 42,
    CHECK_DEVICE_STATE = 43,
};

enum answer {
    DONE,    /* an acknowledgement, if one is wanted */
    REPLIED, /* with what was asked for */
    REFUSED, /* the request makes sense, but will not be done */
    FAILED,  /* there is trouble */
};

struct memory_region {
    uint64_t guest, bytes, user, offset;
};

static struct rpl_message *message_of(struct rpl_session *session)
{
    return &session->wire.message;
}

static enum answer trouble(struct rpl_session *session, enum rpl_trouble code, uint64_t a, uint64_t b)
{
    rpl_session_fail(session, code, a, b);
    return FAILED;
}

static enum answer wrong_size(struct rpl_session *session)
{
    const struct rpl_message *message = message_of(session);

    return trouble(session, RPL_TROUBLE_SIZE, message->request, message->size);
}

static uint32_t read32(const struct rpl_session *session, uint32_t at)
{
    uint32_t value;

    memcpy(&value, session->wire.message.payload + at, sizeof value);
    return value;
}

static uint64_t read64(const struct rpl_session *session, uint32_t at)
{
    uint64_t value;

    memcpy(&value, session->wire.message.payload + at, sizeof value);
    return value;
}

static enum answer reply64(struct rpl_session *session, uint64_t value)
{
    rpl_wire_reply(&session->wire, &value, sizeof value);
    return REPLIED;
}

/* Null, with trouble, if there is no such queue. */
static struct rpl_vring *vring_of(struct rpl_session *session, uint32_t number)
{
    if (number < session->vring_count)
        return &session->vrings[number];
    rpl_session_fail(session, RPL_TROUBLE_QUEUE, message_of(session)->request, number);
    return NULL;
}

static enum answer still_runs(struct rpl_session *session, const struct rpl_vring *vring)
{
    return trouble(session, RPL_TROUBLE_STILL_RUNS, message_of(session)->request, vring->number);
}

static void replace(int *place, int fd)
{
    if (*place >= 0)
        close(*place);
    *place = fd;
}

/* ---- features ---- */

static uint64_t offered(const struct rpl_session *session)
{
    return session->options.device_features | RPL_PROTOCOL_FEATURES;
}

static enum answer get_features(struct rpl_session *session)
{
    return reply64(session, offered(session));
}

/* What was accepted is judged first: it is a finding about the driver as well. */
static enum answer set_features(struct rpl_session *session)
{
    uint64_t accepted = read64(session, 0), before = session->accepted;
    bool     runs = rpl_vrings_run(session);

    rpl_state_features(session, accepted);
    session->accepted = accepted;
    session->features_known = true;
    rpl_session_tell(session, RPL_BECAUSE_STARTED);
    if ((accepted & ~(offered(session) | RPL_RING_LOG_ALL)) != 0)
        return trouble(session, RPL_TROUBLE_FEATURES, accepted, offered(session));
    for (uint32_t at = 0; runs && at < session->vring_count; at++)
        if (session->vrings[at].runs && rpl_features_differ(before, accepted))
            return still_runs(session, &session->vrings[at]);
    for (uint32_t at = 0; at < session->vring_count; at++)
        rpl_vring_try(&session->vrings[at]);
    return DONE;
}

static enum answer get_protocol_features(struct rpl_session *session)
{
    return reply64(session, session->options.protocol_features);
}

static enum answer set_protocol_features(struct rpl_session *session)
{
    uint64_t accepted = read64(session, 0), odd = accepted & ~session->options.protocol_features;

    if (odd != 0)
        return trouble(session, RPL_TROUBLE_REQUEST, SET_PROTOCOL_FEATURES, odd);
    session->protocol_features = accepted;
    return DONE;
}

/* ---- the session ---- */

static enum answer set_owner(struct rpl_session *session)
{
    session->owner = true;
    return DONE;
}

/* Deprecated; a back-end may take it as a request to disable all rings. */
static enum answer reset_owner(struct rpl_session *session)
{
    (void)rpl_vrings_pause(session);
    session->owner = false;
    return DONE;
}

static void set_status_to(struct rpl_session *session, uint8_t status)
{
    rpl_state_status(session, session->status, status);
    session->status = status;
    session->status_known = true;
}

/* All but what concerns the connection: memory, protocol features and the owner stay. */
static enum answer reset_device(struct rpl_session *session)
{
    (void)rpl_vrings_pause(session);
    for (uint32_t at = 0; at < session->vring_count; at++) {
        struct rpl_vring *vring = &session->vrings[at];

        if (vring->enabled)
            rpl_vring_enable(vring, false);
        rpl_vring_set_call(vring, -1);
        rpl_vring_set_err(vring, -1);
        replace(&vring->kick, -1);
        vring->kickable = vring->sized = vring->addressed = vring->based = false;
        vring->size = 0;
        vring->base = 0;
    }
    if (session->status_known && session->status != 0)
        set_status_to(session, 0);
    session->features_known = false;
    return DONE;
}

static enum answer set_status(struct rpl_session *session)
{
    uint64_t status = read64(session, 0);

    if (status > 0xff)
        return REFUSED;
    set_status_to(session, (uint8_t)status);
    return DONE;
}

static enum answer get_status(struct rpl_session *session)
{
    return reply64(session, session->status);
}

static enum answer get_queue_num(struct rpl_session *session)
{
    return reply64(session, session->options.pairs);
}

static enum answer set_backend_req_fd(struct rpl_session *session)
{
    replace(&session->backend_requests, rpl_wire_take(message_of(session)));
    return DONE;
}

/* ---- memory ---- */

static struct memory_region region_at(const struct rpl_session *session, uint32_t at)
{
    return (struct memory_region){
        .guest = read64(session, at),
        .bytes = read64(session, at + 8),
        .user = read64(session, at + 16),
        .offset = read64(session, at + 24),
    };
}

static enum answer add_region(struct rpl_session *session, const struct memory_region *region, uint32_t number)
{
    int                  fd = rpl_wire_take(message_of(session));
    enum rpl_guest_error error =
        rpl_guest_add(&session->guest, region->guest, region->user, region->bytes, region->offset, fd);

    close(fd);
    if (error == RPL_GUEST_OK)
        return DONE;
    return trouble(session, RPL_TROUBLE_MEMORY, RPL_PAIR(number, error), region->guest);
}

/* Regions go one by one, so that a log stays. */
static void remove_regions(struct rpl_guest *guest)
{
    while (guest->count > 0) {
        struct rpl_region region = guest->regions[guest->count - 1];

        if (rpl_guest_remove(guest, region.guest, region.user, region.bytes) != RPL_GUEST_OK) {
            rpl_guest_clear(guest);
            return;
        }
    }
}

/* After a change, queues that have waited for memory, or stood still for the change, go on. */
static enum answer memory_changed(struct rpl_session *session)
{
    rpl_state_memory(session);
    for (uint32_t at = 0; at < session->vring_count; at++)
        rpl_vring_try(&session->vrings[at]);
    return session->trouble == RPL_TROUBLE_NONE ? DONE : FAILED;
}

static enum answer set_mem_table(struct rpl_session *session)
{
    const struct rpl_message *message = message_of(session);
    uint32_t                  count;

    if (message->size < 8)
        return wrong_size(session);
    count = read32(session, 0);
    if (count == 0 || count > TABLE_REGIONS)
        return trouble(session, RPL_TROUBLE_REGIONS, count, TABLE_REGIONS);
    if (message->size != 8 + count * sizeof(struct memory_region))
        return wrong_size(session);
    if (message->fds_sent != count)
        return trouble(session, RPL_TROUBLE_FDS, SET_MEM_TABLE, RPL_PAIR(count, message->fds_sent));
    (void)rpl_vrings_pause(session);
    remove_regions(&session->guest);
    for (uint32_t at = 0; at < count; at++) {
        struct memory_region region = region_at(session, 8 + at * (uint32_t)sizeof region);

        if (add_region(session, &region, at) != DONE)
            return FAILED;
    }
    return memory_changed(session);
}

/* What runs may run on: a region more makes none of the others invalid. */
static enum answer add_mem_reg(struct rpl_session *session)
{
    struct memory_region region = region_at(session, 8);

    if (add_region(session, &region, session->guest.count) != DONE)
        return FAILED;
    return memory_changed(session);
}

static enum answer rem_mem_reg(struct rpl_session *session)
{
    const struct rpl_message *message = message_of(session);
    struct memory_region      region = region_at(session, 8);
    enum rpl_guest_error      error;

    if (message->fds_sent > 1) /* one is an old mistake of some front-ends, and is closed */
        return trouble(session, RPL_TROUBLE_FDS, REM_MEM_REG, RPL_PAIR(0, message->fds_sent));
    (void)rpl_vrings_pause(session);
    error = rpl_guest_remove(&session->guest, region.guest, region.user, region.bytes);
    if (error != RPL_GUEST_OK)
        return trouble(session, RPL_TROUBLE_MEMORY, RPL_PAIR(session->guest.count, error), region.guest);
    return memory_changed(session);
}

static enum answer get_max_mem_slots(struct rpl_session *session)
{
    return reply64(session, RPL_REGIONS);
}

static enum answer set_log_base(struct rpl_session *session)
{
    const struct rpl_message *message = message_of(session);
    enum rpl_guest_error      error;
    int                       fd;

    if (message->size != 16) /* a bare address, without LOG_SHMFD, is of no use in another process */
        return message->size == 8 ? REFUSED : wrong_size(session);
    if (message->fds_sent != 1)
        return trouble(session, RPL_TROUBLE_FDS, SET_LOG_BASE, RPL_PAIR(1, message->fds_sent));
    fd = rpl_wire_take(message_of(session));
    error = rpl_guest_set_log(&session->guest, read64(session, 0), read64(session, 8), fd);
    close(fd);
    if (error != RPL_GUEST_OK)
        session->refused++;
    return reply64(session, error != RPL_GUEST_OK);
}

static enum answer set_log_fd(struct rpl_session *session)
{
    replace(&session->log_event, rpl_wire_take(message_of(session)));
    return DONE;
}

/* ---- queues ---- */

static enum answer set_vring_num(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, read32(session, 0));
    uint32_t          size = read32(session, 4);

    if (vring == NULL)
        return FAILED;
    if (vring->runs && size != vring->size)
        return still_runs(session, vring);
    /* Sizes that no queue may have are the driver's fault, and judged when it starts. */
    if (size <= 32768 && size > session->options.queue_size)
        return trouble(session, RPL_TROUBLE_QUEUE_SIZE, vring->number, size);
    vring->size = size;
    vring->sized = true;
    rpl_vring_try(vring);
    return DONE;
}

static enum answer set_vring_addr(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, read32(session, 0));
    uint64_t          desc = read64(session, 8), used = read64(session, 16), avail = read64(session, 24);

    if (vring == NULL)
        return FAILED;
    /* While it runs it may come again, to turn logging on or off. */
    if (vring->runs && (desc != vring->desc || avail != vring->avail || used != vring->used))
        return still_runs(session, vring);
    vring->desc = desc;
    vring->used = used;
    vring->avail = avail;
    vring->addressed = true;
    rpl_vring_try(vring);
    return DONE;
}

static enum answer set_vring_base(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, read32(session, 0));
    uint32_t          base = read32(session, 4);

    if (vring == NULL)
        return FAILED;
    if (vring->runs)
        return still_runs(session, vring);
    if (base > 0xffff)
        return trouble(session, RPL_TROUBLE_REQUEST, SET_VRING_BASE, base);
    vring->base = (uint16_t)base;
    vring->based = true;
    rpl_vring_try(vring);
    return DONE;
}

/* Stops it, until it is given a descriptor for kicks again. */
static enum answer get_vring_base(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, read32(session, 0));
    uint32_t          state[2];

    if (vring == NULL)
        return FAILED;
    rpl_vring_stop(vring);
    replace(&vring->kick, -1);
    vring->kickable = false;
    state[0] = vring->number;
    state[1] = vring->base;
    rpl_wire_reply(&session->wire, state, sizeof state);
    return REPLIED;
}

/* Whether it is an eventfd; true where that cannot be told. */
static bool is_eventfd(int fd)
{
    char        link[64], path[32];
    size_t      at = sizeof path;
    unsigned    rest = (unsigned)fd;
    ssize_t     length;
    struct stat kind;

    if (fstat(fd, &kind) < 0 || (kind.st_mode & S_IFMT) != 0) /* kinds of files; an eventfd has none */
        return false;
    path[--at] = 0;
    do
        path[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    at -= sizeof "/proc/self/fd/" - 1;
    memcpy(path + at, "/proc/self/fd/", sizeof "/proc/self/fd/" - 1);
    length = readlink(path + at, link, sizeof link - 1);
    if (length < 0)
        return true;
    link[length] = 0;
    return strcmp(link, "anon_inode:[eventfd]") == 0;
}

/* The queue of SET_VRING_KICK, _CALL or _ERR, and the descriptor, -1 if there is to be none. */
static struct rpl_vring *vring_event(struct rpl_session *session, int *fd)
{
    struct rpl_message *message = message_of(session);
    uint64_t            word = read64(session, 0);
    uint32_t            needed = word & NO_DESCRIPTOR ? 0 : 1;
    struct rpl_vring   *vring = vring_of(session, word & 0xff);
    int                 flags;

    if (vring == NULL)
        return NULL;
    if (message->fds_sent != needed) {
        rpl_session_fail(session, RPL_TROUBLE_FDS, message->request, RPL_PAIR(needed, message->fds_sent));
        return NULL;
    }
    *fd = -1;
    if (needed == 0)
        return vring;
    if (!is_eventfd(message->fds[0])) {
        rpl_session_fail(session, RPL_TROUBLE_NOT_AN_EVENTFD, message->request, 0);
        return NULL;
    }
    flags = fcntl(message->fds[0], F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        (void)fcntl(message->fds[0], F_SETFL, flags | O_NONBLOCK); /* writing to a full one must not wait */
    *fd = rpl_wire_take(message);
    return vring;
}

static enum answer set_vring_kick(struct rpl_session *session)
{
    int               fd = -1;
    struct rpl_vring *vring = vring_event(session, &fd);

    if (vring == NULL)
        return FAILED;
    rpl_vring_set_kick(vring, fd);
    return DONE;
}

static enum answer set_vring_call(struct rpl_session *session)
{
    int               fd = -1;
    struct rpl_vring *vring = vring_event(session, &fd);

    if (vring == NULL)
        return FAILED;
    rpl_vring_set_call(vring, fd);
    return DONE;
}

static enum answer set_vring_err(struct rpl_session *session)
{
    int               fd = -1;
    struct rpl_vring *vring = vring_event(session, &fd);

    if (vring == NULL)
        return FAILED;
    rpl_vring_set_err(vring, fd);
    return DONE;
}

static enum answer set_vring_enable(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, read32(session, 0));

    if (vring == NULL)
        return FAILED;
    rpl_vring_enable(vring, read32(session, 4) != 0);
    return DONE;
}

/* ---- the network device ---- */

/* There is nobody to whom a move would have to be announced. */
static enum answer send_rarp(struct rpl_session *session)
{
    (void)session;
    return DONE;
}

static enum answer net_set_mtu(struct rpl_session *session)
{
    uint64_t mtu = read64(session, 0);

    if (mtu < LEAST_MTU || mtu > UINT16_MAX)
        return REFUSED;
    if (mtu == session->options.mtu)
        return DONE;
    if (rpl_vrings_run(session)) /* what the driver was told holds until it starts again */
        return REFUSED;
    session->options.mtu = (uint32_t)mtu;
    session->config[10] = (uint8_t)mtu;
    session->config[11] = (uint8_t)(mtu >> 8);
    rpl_state_options(session);
    return DONE;
}

/* Whether the message names a part of the configuration space; some front-ends ask without room for the answer. */
static bool names_config(const struct rpl_session *session, bool with_bytes)
{
    const struct rpl_message *message = &session->wire.message;
    uint64_t                  offset, bytes;

    if (message->size < CONFIG_HEAD)
        return false;
    offset = read32(session, 0);
    bytes = read32(session, 4);
    if (bytes == 0 || offset + bytes > CONFIG_SPACE)
        return false;
    return message->size == CONFIG_HEAD + bytes || (!with_bytes && message->size == CONFIG_HEAD);
}

/* An answer without payload says that there is none. */
static enum answer get_config(struct rpl_session *session)
{
    uint8_t  answer[CONFIG_HEAD + CONFIG_SPACE] = {0};
    uint32_t offset, bytes;

    if (message_of(session)->size < CONFIG_HEAD)
        return wrong_size(session);
    if (!names_config(session, false)) {
        session->refused++;
        rpl_wire_reply(&session->wire, NULL, 0);
        return REPLIED;
    }
    offset = read32(session, 0);
    bytes = read32(session, 4);
    memcpy(answer, message_of(session)->payload, CONFIG_HEAD);
    for (uint32_t at = 0; at < bytes && offset + at < RPL_CONFIG_BYTES; at++)
        answer[CONFIG_HEAD + at] = session->config[offset + at];
    rpl_wire_reply(&session->wire, answer, CONFIG_HEAD + bytes);
    return REPLIED;
}

/* The MAC address may be written by legacy drivers (VIRTIO 1.3 section 5.1.4), and all of it by a migration. */
static enum answer set_config(struct rpl_session *session)
{
    uint32_t offset, bytes;
    bool     legacy = session->features_known && !(session->accepted & RPL_VERSION_ONE);

    if (message_of(session)->size < CONFIG_HEAD)
        return wrong_size(session);
    if (!names_config(session, true))
        return REFUSED;
    offset = read32(session, 0);
    bytes = read32(session, 4);
    if (!(read32(session, 8) & MIGRATION) && !(legacy && offset + bytes <= 6))
        return REFUSED;
    for (uint32_t at = 0; at < bytes && offset + at < 6; at++)
        session->config[offset + at] = message_of(session)->payload[CONFIG_HEAD + at];
    return DONE;
}

/* ---- all of them ---- */

#define ANY_SIZE 0xffffu
#define ANY_FDS 0xffu

static const struct row {
    enum answer (*handle)(struct rpl_session *);
    uint16_t bytes; /* of its payload */
    uint8_t  fds;   /* that come with it */
    uint64_t needs; /* protocol features, which must have been offered */
} rows[] = {
    [GET_FEATURES] = {get_features, 0, 0, 0},
    [SET_FEATURES] = {set_features, 8, 0, 0},
    [SET_OWNER] = {set_owner, 0, 0, 0},
    [RESET_OWNER] = {reset_owner, 0, 0, 0},
    [SET_MEM_TABLE] = {set_mem_table, ANY_SIZE, ANY_FDS, 0},
    [SET_LOG_BASE] = {set_log_base, ANY_SIZE, ANY_FDS, RPL_PROTOCOL_LOG_SHMFD},
    [SET_LOG_FD] = {set_log_fd, ANY_SIZE, 1, 0},
    [SET_VRING_NUM] = {set_vring_num, 8, 0, 0},
    [SET_VRING_ADDR] = {set_vring_addr, 40, 0, 0},
    [SET_VRING_BASE] = {set_vring_base, 8, 0, 0},
    [GET_VRING_BASE] = {get_vring_base, 8, 0, 0},
    [SET_VRING_KICK] = {set_vring_kick, 8, ANY_FDS, 0},
    [SET_VRING_CALL] = {set_vring_call, 8, ANY_FDS, 0},
    [SET_VRING_ERR] = {set_vring_err, 8, ANY_FDS, 0},
    [GET_PROTOCOL_FEATURES] = {get_protocol_features, 0, 0, 0},
    [SET_PROTOCOL_FEATURES] = {set_protocol_features, 8, 0, 0},
    [GET_QUEUE_NUM] = {get_queue_num, 0, 0, RPL_PROTOCOL_MQ},
    [SET_VRING_ENABLE] = {set_vring_enable, 8, 0, 0},
    [SEND_RARP] = {send_rarp, 8, 0, RPL_PROTOCOL_RARP},
    [NET_SET_MTU] = {net_set_mtu, 8, 0, RPL_PROTOCOL_NET_MTU},
    [SET_BACKEND_REQ_FD] = {set_backend_req_fd, ANY_SIZE, 1, RPL_PROTOCOL_BACKEND_REQ},
    [GET_CONFIG] = {get_config, ANY_SIZE, 0, RPL_PROTOCOL_CONFIG},
    [SET_CONFIG] = {set_config, ANY_SIZE, 0, RPL_PROTOCOL_CONFIG},
    [RESET_DEVICE] = {reset_device, 0, 0, RPL_PROTOCOL_RESET_DEVICE},
    [GET_MAX_MEM_SLOTS] = {get_max_mem_slots, 0, 0, RPL_PROTOCOL_MEM_SLOTS},
    [ADD_MEM_REG] = {add_mem_reg, 40, 1, RPL_PROTOCOL_MEM_SLOTS},
    [REM_MEM_REG] = {rem_mem_reg, 40, ANY_FDS, RPL_PROTOCOL_MEM_SLOTS},
    [SET_STATUS] = {set_status, 8, 0, RPL_PROTOCOL_STATUS},
    [GET_STATUS] = {get_status, 0, 0, RPL_PROTOCOL_STATUS},
};

/* Requests of what is not offered that wait for an answer all the same get the one that says no. */
static bool refuse_in_kind(struct rpl_session *session)
{
    struct rpl_message *message = message_of(session);
    static const uint8_t nothing[24]; /* an inflight description: a size of 0 bytes */

    switch (message->request) {
    case IOTLB_MSG:
    case POSTCOPY_END:
    case CHECK_DEVICE_STATE:
        (void)reply64(session, 1);
        return true;
    case SET_DEVICE_STATE_FD:
        (void)reply64(session, 1 | NO_DESCRIPTOR);
        return true;
    case CREATE_CRYPTO_SESSION: /* the session's number comes first; a negative one is none */
        if (message->size < 8)
            return false;
        memset(message->payload, 0xff, 8);
        rpl_wire_reply(&session->wire, message->payload, message->size);
        return true;
    case GET_INFLIGHT_FD:
        rpl_wire_reply(&session->wire, nothing, message->size < sizeof nothing ? message->size : sizeof nothing);
        return true;
    case POSTCOPY_ADVISE: /* the descriptor that is wanted is missing */
    case GET_CONFIG:
        rpl_wire_reply(&session->wire, NULL, 0);
        return true;
    default:
        return false;
    }
}

static enum answer dispatch(struct rpl_session *session, const struct row *row)
{
    const struct rpl_message *message = message_of(session);

    if (row->bytes != ANY_SIZE && message->size != row->bytes)
        return wrong_size(session);
    if (row->fds != ANY_FDS && message->fds_sent != row->fds)
        return trouble(session, RPL_TROUBLE_FDS, message->request, RPL_PAIR(row->fds, message->fds_sent));
    return row->handle(session);
}

void rpl_protocol_handle(struct rpl_session *session)
{
    const struct rpl_message *message = message_of(session);
    bool        acknowledge = (session->protocol_features & RPL_PROTOCOL_REPLY_ACK) != 0 &&
                       (message->flags & RPL_WIRE_NEED_REPLY) != 0;
    const struct row *row = message->request < sizeof rows / sizeof rows[0] ? &rows[message->request] : NULL;
    bool        known = row != NULL && row->handle != NULL &&
                 (row->needs & ~session->options.protocol_features) == 0;
    enum answer answer;

    session->messages++;
    if (!known && refuse_in_kind(session)) {
        session->refused++;
        return;
    }
    answer = known ? dispatch(session, row) : REFUSED;
    if (session->trouble != RPL_TROUBLE_NONE && answer != REPLIED) /* found by a queue that was about to start */
        answer = FAILED;
    if (answer == REPLIED)
        return;
    if (answer == REFUSED && !acknowledge && !known)
        rpl_session_fail(session, RPL_TROUBLE_REQUEST, message->request, 0);
    if (answer != DONE && (acknowledge || known))
        session->refused++;
    if (acknowledge)
        (void)reply64(session, answer != DONE);
}
