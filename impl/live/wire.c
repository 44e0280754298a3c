/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void drop_descriptors(struct rpl_message *message)
{
    for (uint32_t at = 0; at < message->fd_count; at++)
        if (message->fds[at] >= 0)
            close(message->fds[at]);
    message->fd_count = 0;
    message->fds_sent = 0;
}

void rpl_wire_init(struct rpl_wire *wire)
{
    memset(wire, 0, sizeof *wire);
    wire->fd = -1;
}

static void keep_descriptors(struct rpl_message *message, struct msghdr *received)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(received); part != NULL; part = CMSG_NXTHDR(received, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t at = 0; at < count; at++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + at * sizeof fd, sizeof fd);
            message->fds_sent++;
            if (message->fd_count < RPL_WIRE_FDS)
                message->fds[message->fd_count++] = fd;
            else
                close(fd);
        }
    }
    if (received->msg_flags & MSG_CTRUNC) /* more than there is room for: the kernel has closed them */
        message->fds_sent++;
}

/* Reads at most `bytes` more; how many came, 0 at the end, -1 with wire->error. */
static ssize_t read_some(struct rpl_wire *wire, void *into, size_t bytes)
{
    union {
        char           bytes[CMSG_SPACE(RPL_WIRE_FDS * sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec  piece = {.iov_base = into, .iov_len = bytes};
    struct msghdr received = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;

    do
        got = recvmsg(wire->fd, &received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        wire->error = errno;
    else
        keep_descriptors(&wire->message, &received);
    return got;
}

static enum rpl_wire_result judge_header(struct rpl_wire *wire)
{
    struct rpl_message *message = &wire->message;

    memcpy(&message->request, wire->head, 4);
    memcpy(&message->flags, wire->head + 4, 4);
    memcpy(&message->size, wire->head + 8, 4);
    if ((message->flags & (RPL_WIRE_VERSION_MASK | RPL_WIRE_REPLY)) != RPL_WIRE_VERSION)
        return RPL_WIRE_ODD;
    return message->size > RPL_WIRE_PAYLOAD ? RPL_WIRE_TOO_LONG : RPL_WIRE_MESSAGE;
}

enum rpl_wire_result rpl_wire_receive(struct rpl_wire *wire)
{
    struct rpl_message *message = &wire->message;

    if (wire->have >= RPL_WIRE_HEADER && wire->have == RPL_WIRE_HEADER + (size_t)message->size) {
        drop_descriptors(message);
        wire->have = 0;
    }
    for (;;) {
        bool    header = wire->have < RPL_WIRE_HEADER;
        size_t  behind = header ? 0 : wire->have - RPL_WIRE_HEADER;
        size_t  wanted = header ? RPL_WIRE_HEADER - wire->have : message->size - behind;
        uint8_t *into = header ? wire->head + wire->have : message->payload + behind;
        ssize_t got = read_some(wire, into, wanted);

        if (got < 0 && (wire->error == EAGAIN || wire->error == EWOULDBLOCK))
            return RPL_WIRE_WAIT;
        if (got == 0 || (got < 0 && wire->error == ECONNRESET))
            return wire->have > 0 ? RPL_WIRE_TORN : RPL_WIRE_CLOSED;
        if (got < 0)
            return RPL_WIRE_FAILED;
        wire->have += (size_t)got;
        if (wire->have < RPL_WIRE_HEADER)
            continue;
        if (header) {
            enum rpl_wire_result verdict = judge_header(wire);

            if (verdict != RPL_WIRE_MESSAGE)
                return verdict;
        }
        if (wire->have == RPL_WIRE_HEADER + (size_t)message->size)
            return RPL_WIRE_MESSAGE;
    }
}

int rpl_wire_take(struct rpl_message *message)
{
    for (uint32_t at = 0; at < message->fd_count; at++) {
        int fd = message->fds[at];

        if (fd < 0)
            continue;
        message->fds[at] = -1;
        return fd;
    }
    return -1;
}

void rpl_wire_reply(struct rpl_wire *wire, const void *payload, uint32_t bytes)
{
    uint32_t flags = RPL_WIRE_VERSION | RPL_WIRE_REPLY;

    memcpy(wire->out, &wire->message.request, 4);
    memcpy(wire->out + 4, &flags, 4);
    memcpy(wire->out + 8, &bytes, 4);
    if (bytes > 0)
        memcpy(wire->out + RPL_WIRE_HEADER, payload, bytes);
    wire->out_bytes = RPL_WIRE_HEADER + bytes;
    wire->out_sent = 0;
}

bool rpl_wire_flush(struct rpl_wire *wire)
{
    while (wire->out_sent < wire->out_bytes) {
        ssize_t sent = send(wire->fd, wire->out + wire->out_sent, wire->out_bytes - wire->out_sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0) {
            if (errno == EINTR)
                continue;
            wire->error = errno;
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
        wire->out_sent += (size_t)sent;
    }
    return true;
}

bool rpl_wire_pending(const struct rpl_wire *wire)
{
    return wire->out_sent < wire->out_bytes;
}

void rpl_wire_progress(const struct rpl_wire *wire, uint64_t *have, uint64_t *whole)
{
    *have = wire->have;
    *whole = RPL_WIRE_HEADER + (wire->have < RPL_WIRE_HEADER ? 0 : (uint64_t)wire->message.size);
}

void rpl_wire_close(struct rpl_wire *wire)
{
    drop_descriptors(&wire->message);
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
    wire->have = 0;
    wire->out_bytes = 0;
    wire->out_sent = 0;
}
