/* SPDX-License-Identifier: Apache-2.0 */
/* The hostile front-end's means: numbers out of arbitrary bytes, and messages made of them. */
#ifndef RINGPROOF_TESTS_LIVE_FUZZ_FRONT_H
#define RINGPROOF_TESTS_LIVE_FUZZ_FRONT_H

#include "session.h"

#include <string.h>
#include <sys/socket.h>

#define REGION 0x10000u
#define MEMORY (2 * REGION)
#define GUEST UINT64_C(0x100000)
#define USER UINT64_C(0x7f0000000000)
#define PAIRS 2u
#define RING 0x2000u /* of memory for each queue */
#define MESSAGE_FDS 20u

struct input {
    const uint8_t *bytes;
    size_t         left;
};

struct world {
    struct rpl_session *session;
    struct input        input;
    int                 peer, memory, event;
    bool                reads; /* answers are read */
    uint16_t            avail_idx[2 * PAIRS];
    uint16_t            size[2 * PAIRS];
};

static inline uint8_t take8(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->bytes++;
}

static inline uint16_t take16(struct input *input)
{
    uint16_t low = take8(input);

    return (uint16_t)(low | take8(input) << 8);
}

static inline uint32_t take32(struct input *input)
{
    uint32_t low = take16(input);

    return low | (uint32_t)take16(input) << 16;
}

/* Now and then a number that is beyond everything. */
static inline uint64_t odd64(struct input *input, uint64_t usual)
{
    switch (take8(input) & 31) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return usual + take16(input);
    case 3:
        return usual - take8(input);
    case 4:
        return (uint64_t)take32(input) << 32 | take32(input);
    default:
        return usual;
    }
}

static inline void transmit(struct world *world, const void *bytes, size_t count, const int *fds, size_t fd_count)
{
    union {
        char           bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
        struct cmsghdr aligned;
    } control = {{0}};
    struct iovec  piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (world->peer < 0 || count == 0)
        return;
    if (fd_count > 0) {
        struct cmsghdr *part;

        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
    }
    (void)!sendmsg(world->peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* At most MESSAGE_FDS descriptors, all the same or not. */
static inline void message(struct world *world, uint32_t request, uint32_t flags, const void *payload, uint32_t bytes,
                    int fd, size_t fd_count)
{
    uint8_t  whole[12 + 512];
    int      fds[MESSAGE_FDS];
    uint32_t head[3] = {request, 1 | flags, bytes};

    memcpy(whole, head, sizeof head);
    if (bytes > 0)
        memcpy(whole + sizeof head, payload, bytes);
    for (size_t at = 0; at < fd_count; at++)
        fds[at] = fd;
    transmit(world, whole, sizeof head + bytes, fds, fd_count);
}

static inline void message64(struct world *world, uint32_t request, uint64_t value)
{
    message(world, request, 8, &value, sizeof value, -1, 0);
}

static inline void vring_state(struct world *world, uint32_t request, uint32_t queue, uint32_t number)
{
    uint32_t state[2] = {queue, number};

    message(world, request, 8, state, sizeof state, -1, 0);
}

static inline void put_region(struct input *input, uint64_t *at, uint32_t which)
{
    at[0] = odd64(input, GUEST + which * REGION);
    at[1] = odd64(input, REGION);
    at[2] = odd64(input, USER + which * 2u * REGION);
    at[3] = odd64(input, which * REGION);
}

static inline void mem_table(struct world *world, struct input *input)
{
    uint64_t payload[9] = {2};

    put_region(input, payload + 1, 0);
    put_region(input, payload + 5, 1);
    message(world, 5, 8, payload, sizeof payload, world->memory, 2);
}

static inline uint64_t ring_address(uint32_t queue)
{
    return USER + queue * RING;
}

static inline void vring_addr(struct world *world, struct input *input, uint32_t queue)
{
    uint64_t payload[5] = {queue};

    payload[1] = odd64(input, ring_address(queue));
    payload[2] = odd64(input, ring_address(queue) + 0x1000);
    payload[3] = odd64(input, ring_address(queue) + 0x800);
    message(world, 9, 8, payload, sizeof payload, -1, 0);
}

#endif
