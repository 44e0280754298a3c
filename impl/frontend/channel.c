/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "channel.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define VERSION 1u
#define REPLY 4u
#define NEED_REPLY 8u
#define ANSWER_MS 10000 /* for which an answer is waited */

struct header {
    uint32_t request, flags, bytes;
};

int fe_channel_connect(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(name.sun_path))
        fe_bad_use("%s: the path is too long for a socket", path);
    memcpy(name.sun_path, path, strlen(path) + 1);
    if (channel < 0 || connect(channel, (struct sockaddr *)&name, sizeof(name)) != 0)
        fe_bad_use("%s: cannot connect: %s", path, strerror(errno));
    return channel;
}

bool fe_channel_closed(int channel)
{
    struct pollfd look = {.fd = channel, .events = POLLIN};
    char byte;

    if (poll(&look, 1, 0) != 1)
        return false;
    return (look.revents & (POLLHUP | POLLERR)) != 0 || recv(channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void send_all(int channel, const void *bytes, size_t count, int file)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (file >= 0) {
        struct cmsghdr *passed;

        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        passed = CMSG_FIRSTHDR(&message);
        passed->cmsg_level = SOL_SOCKET;
        passed->cmsg_type = SCM_RIGHTS;
        passed->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(passed), &file, sizeof(int));
    }
    while (piece.iov_len > 0) {
        ssize_t sent = sendmsg(channel, &message, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            fe_end("closed", "the back-end has closed the connection");
        message.msg_control = NULL;
        message.msg_controllen = 0;
        piece.iov_base = (char *)piece.iov_base + sent;
        piece.iov_len -= (size_t)sent;
    }
}

static void receive_all(int channel, void *into, size_t count, enum fe_request request)
{
    char *to = into;

    while (count > 0) {
        struct pollfd look = {.fd = channel, .events = POLLIN};
        ssize_t got;
        int ready = poll(&look, 1, ANSWER_MS);

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            fe_end("unanswered", "the back-end does not answer request %d", (int)request);
        got = recv(channel, to, count, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            fe_end("closed", "the back-end has closed the connection instead of answering request %d", (int)request);
        to += got;
        count -= (size_t)got;
    }
}

static void tell(int channel, enum fe_request request, uint32_t flags, uint32_t promised, const void *payload,
                 size_t bytes, int file)
{
    char message[sizeof(struct header) + 256];
    struct header header = {.request = (uint32_t)request, .flags = VERSION | flags, .bytes = promised};

    if (bytes > sizeof(message) - sizeof(header))
        bytes = sizeof(message) - sizeof(header);
    memcpy(message, &header, sizeof(header));
    if (bytes > 0)
        memcpy(message + sizeof(header), payload, bytes);
    send_all(channel, message, sizeof(header) + bytes, file);
}

static void answer_to(int channel, enum fe_request request, void *answer, size_t wanted)
{
    struct header header;

    receive_all(channel, &header, sizeof(header), request);
    if (header.request != (uint32_t)request || (header.flags & REPLY) == 0 || header.bytes != wanted)
        fe_end("answered-wrongly", "the back-end answers request %d with request %u, flags %u, %u bytes", (int)request,
               header.request, header.flags, header.bytes);
    receive_all(channel, answer, wanted, request);
}

void fe_channel_tell(int channel, enum fe_request request, const void *payload, size_t bytes, int file)
{
    tell(channel, request, 0, (uint32_t)bytes, payload, bytes, file);
}

void fe_channel_sure(int channel, enum fe_request request, const void *payload, size_t bytes, int file,
                     bool acknowledged)
{
    uint64_t failed = 0;

    tell(channel, request, acknowledged ? NEED_REPLY : 0, (uint32_t)bytes, payload, bytes, file);
    if (!acknowledged)
        return;
    answer_to(channel, request, &failed, sizeof(failed));
    if (failed != 0)
        fe_end("refused", "the back-end refuses request %d", (int)request);
}

void fe_channel_ask(int channel, enum fe_request request, const void *payload, size_t bytes, void *answer,
                    size_t wanted)
{
    tell(channel, request, 0, (uint32_t)bytes, payload, bytes, -1);
    answer_to(channel, request, answer, wanted);
}

void fe_channel_raw(int channel, enum fe_request request, uint32_t promised, const void *payload, size_t bytes)
{
    tell(channel, request, 0, promised, payload, bytes, -1);
}
