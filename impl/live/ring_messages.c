/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about one queue each. */
#define _GNU_SOURCE
#include "messages.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Null, with trouble, if there is no such queue. */
static struct rpl_vring *vring_of(struct rpl_session *session, uint32_t number)
{
    if (number < session->vring_count)
        return &session->vrings[number];
    rpl_session_fail(session, RPL_TROUBLE_QUEUE, rpl_message_of(session)->request, number);
    return NULL;
}

enum rpl_answer rpl_on_set_vring_num(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, rpl_read32(session, 0));
    uint32_t          size = rpl_read32(session, 4);

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    if (vring->runs && size != vring->size)
        return rpl_still_runs(session, vring);
    /* Sizes that no queue may have are the driver's fault, and judged when it starts. */
    if (size <= 32768 && size > session->options.queue_size)
        return rpl_answer_trouble(session, RPL_TROUBLE_QUEUE_SIZE, vring->number, size);
    vring->size = size;
    vring->sized = true;
    rpl_vring_try(vring);
    return RPL_ANSWER_DONE;
}

enum rpl_answer rpl_on_set_vring_addr(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, rpl_read32(session, 0));
    uint64_t          desc = rpl_read64(session, 8), used = rpl_read64(session, 16), avail = rpl_read64(session, 24);

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    /* While it runs it may come again, to turn logging on or off. */
    if (vring->runs && (desc != vring->desc || avail != vring->avail || used != vring->used))
        return rpl_still_runs(session, vring);
    vring->desc = desc;
    vring->used = used;
    vring->avail = avail;
    vring->addressed = true;
    rpl_vring_try(vring);
    return RPL_ANSWER_DONE;
}

enum rpl_answer rpl_on_set_vring_base(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, rpl_read32(session, 0));
    uint32_t          base = rpl_read32(session, 4);

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    if (vring->runs)
        return rpl_still_runs(session, vring);
    if (base > 0xffff)
        return rpl_answer_trouble(session, RPL_TROUBLE_REQUEST, RPL_MSG_SET_VRING_BASE, base);
    vring->base = (uint16_t)base;
    vring->based = true;
    rpl_vring_try(vring);
    return RPL_ANSWER_DONE;
}

/* Stops it, until it is given a descriptor for kicks again. */
enum rpl_answer rpl_on_get_vring_base(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, rpl_read32(session, 0));
    uint32_t          state[2];

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    rpl_vring_stop(vring);
    rpl_replace(&vring->kick, -1);
    vring->kickable = false;
    state[0] = vring->number;
    state[1] = vring->base;
    rpl_wire_reply(&session->wire, state, sizeof state);
    return RPL_ANSWER_REPLIED;
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

/* The queue of RPL_MSG_SET_VRING_KICK, _CALL or _ERR, and the descriptor, -1 if there is to be none. */
static struct rpl_vring *vring_event(struct rpl_session *session, int *fd)
{
    struct rpl_message *message = rpl_message_of(session);
    uint64_t            word = rpl_read64(session, 0);
    uint32_t            needed = word & RPL_NO_DESCRIPTOR ? 0 : 1;
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

enum rpl_answer rpl_on_set_vring_kick(struct rpl_session *session)
{
    int               fd = -1;
    struct rpl_vring *vring = vring_event(session, &fd);

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    rpl_vring_set_kick(vring, fd);
    return RPL_ANSWER_DONE;
}

enum rpl_answer rpl_on_set_vring_call(struct rpl_session *session)
{
    int               fd = -1;
    struct rpl_vring *vring = vring_event(session, &fd);

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    rpl_vring_set_call(vring, fd);
    return RPL_ANSWER_DONE;
}

enum rpl_answer rpl_on_set_vring_err(struct rpl_session *session)
{
    int               fd = -1;
    struct rpl_vring *vring = vring_event(session, &fd);

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    rpl_vring_set_err(vring, fd);
    return RPL_ANSWER_DONE;
}

enum rpl_answer rpl_on_set_vring_enable(struct rpl_session *session)
{
    struct rpl_vring *vring = vring_of(session, rpl_read32(session, 0));

    if (vring == NULL)
        return RPL_ANSWER_FAILED;
    rpl_vring_enable(vring, rpl_read32(session, 4) != 0);
    return RPL_ANSWER_DONE;
}
