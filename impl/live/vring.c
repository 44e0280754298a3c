/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and stopping queues: when all is there that one needs, and not before. */
#define _GNU_SOURCE
#include "protocol.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NOWHERE UINT64_MAX
#define NEVER UINT64_MAX
#define POLL_EVERY_US 20u /* a plain queue without kicks */
#define LIMIT 128u /* chains per turn: the queues take turns, and messages come in between */

static void replace(int *place, int fd)
{
    if (*place >= 0)
        close(*place);
    *place = fd;
}

static bool wanted(void *context, const uint8_t *prefix, uint32_t bytes)
{
    const struct rpl_vring *vring = context;

    return rpl_outbox_wants(&vring->session->outbox, prefix, bytes);
}

static void sink(void *context, struct rpl_queue *queue, const uint8_t *frame, uint32_t bytes)
{
    struct rpl_vring *vring = context;

    (void)queue;
    rpl_outbox_put(&vring->session->outbox, vring->number / 2, frame, bytes);
}

bool rpl_vring_init(struct rpl_session *session, uint32_t number)
{
    struct rpl_vring *vring = &session->vrings[number];

    memset(vring, 0, sizeof *vring);
    vring->session = session;
    vring->number = number;
    vring->kick = vring->call = vring->err = -1;
    if (session->options.plain) {
        vring->plain = rpl_plain_new(&session->guest);
        return vring->plain != NULL;
    }
    vring->queue = rpl_queue_new((uint8_t)number, &session->guest, &session->log, &session->recorder);
    if (vring->queue == NULL)
        return false;
    if (session->options.frames && number % 2 == 1)
        rpl_queue_sink(vring->queue, wanted, sink, vring);
    return true;
}

void rpl_vring_free(struct rpl_vring *vring)
{
    if (vring->session == NULL)
        return;
    if (vring->queue != NULL)
        rpl_queue_free(vring->queue);
    if (vring->plain != NULL)
        rpl_plain_free(vring->plain);
    replace(&vring->kick, -1);
    replace(&vring->call, -1);
    replace(&vring->err, -1);
    memset(vring, 0, sizeof *vring);
}

void rpl_vring_enable(struct rpl_vring *vring, bool on)
{
    vring->enabled = on;
    vring->ever_enabled |= on;
    vring->busy = true;
    if (vring->queue != NULL)
        rpl_queue_enable(vring->queue, on);
}

/* Without a descriptor for kicks there will be none: the device says that it wants none, and looks for itself. */
void rpl_vring_behave(struct rpl_vring *vring)
{
    struct rpl_behaviour behaviour = vring->session->behaviour;

    if (vring->queue == NULL)
        return;
    if (vring->kickable && vring->kick < 0) {
        behaviour.suppress = RPL_SUPPRESS_ALWAYS;
        behaviour.poll = 1;
    }
    rpl_queue_behave(vring->queue, &behaviour);
    vring->busy = true;
}

void rpl_vring_set_kick(struct rpl_vring *vring, int fd)
{
    replace(&vring->kick, fd);
    vring->kickable = true;
    vring->busy = true;
    if (vring->runs)
        rpl_vring_behave(vring);
    else
        rpl_vring_try(vring);
}

/* The queue forgets the old one before it is closed: its number may be another's at once. */
void rpl_vring_set_call(struct rpl_vring *vring, int fd)
{
    if (vring->queue != NULL)
        rpl_queue_set_call(vring->queue, fd);
    if (vring->plain != NULL)
        rpl_plain_set_call(vring->plain, fd);
    replace(&vring->call, fd);
}

void rpl_vring_set_err(struct rpl_vring *vring, int fd)
{
    replace(&vring->err, fd);
}

struct part {
    uint64_t user, guest, bytes, left;
};

static struct part find_part(const struct rpl_session *session, uint64_t user, uint64_t bytes)
{
    struct part part = {.user = user, .bytes = bytes};

    part.guest = rpl_guest_from_user(&session->guest, user, &part.left);
    if (part.guest == NOWHERE)
        part.left = 0;
    return part;
}

/* A queue that was judged, and does not run: why. */
static void tell_refusal(struct rpl_vring *vring, const struct part parts[3])
{
    for (uint32_t at = 0; at < 3; at++) {
        if (parts[at].left < parts[at].bytes) {
            rpl_session_fail(vring->session, RPL_TROUBLE_ADDRESS, RPL_PAIR(vring->number, at + 1), parts[at].user);
            return;
        }
    }
    if (vring->size == 0 || vring->size > 32768 || (vring->size & (vring->size - 1)) != 0)
        rpl_session_fail(vring->session, RPL_TROUBLE_QUEUE_SIZE, vring->number, vring->size);
    else
        rpl_session_fail(vring->session, RPL_TROUBLE_ADDRESS, RPL_PAIR(vring->number, 1), parts[0].user);
}

static void start(struct rpl_vring *vring)
{
    struct rpl_session *session = vring->session;
    uint64_t            size = vring->size, words = session->accepted & RPL_RING_EVENT_IDX ? 6 : 4;
    struct part         parts[3] = {
        find_part(session, vring->desc, 16 * size),
        find_part(session, vring->avail, 2 * size + words),
        find_part(session, vring->used, 8 * size + words),
    };
    struct rpl_queue_setup setup = {
        .size = vring->size,
        .desc = parts[0].guest,
        .avail = parts[1].guest,
        .used = parts[2].guest,
        .base = vring->base,
        .features = session->accepted,
        .sends = vring->number % 2 == 1,
        .mtu = session->options.mtu,
    };

    if (!(session->accepted & RPL_PROTOCOL_FEATURES) && !vring->enabled)
        rpl_vring_enable(vring, true);
    vring->ever_enabled = vring->enabled;
    rpl_vring_behave(vring);
    vring->runs =
        vring->queue != NULL ? rpl_queue_start(vring->queue, &setup) : rpl_plain_start(vring->plain, &setup);
    if (!vring->runs) {
        tell_refusal(vring, parts);
        return;
    }
    vring->busy = true;
    vring->started++;
    rpl_session_tell(session, RPL_BECAUSE_STARTED);
    if (session->injection != RPL_INJECT_NONE && setup.sends && vring->queue != NULL) {
        rpl_queue_inject(vring->queue, (enum rpl_inject)session->injection);
        session->injection = RPL_INJECT_NONE;
        session->injected = (int32_t)vring->number;
    }
}

void rpl_vring_try(struct rpl_vring *vring)
{
    struct rpl_session *session = vring->session;

    if (vring->runs || session->trouble != RPL_TROUBLE_NONE)
        return;
    /* Features need not have been told: DPDK tells none of a driver that has not accepted VERSION_1. */
    if (!vring->kickable || !vring->addressed || !vring->sized || !vring->based)
        return;
    if (session->guest.count == 0)
        rpl_session_fail(session, RPL_TROUBLE_NOT_SHARED, vring->number, 0);
    else
        start(vring);
}

void rpl_vring_stop(struct rpl_vring *vring)
{
    if (!vring->runs)
        return;
    vring->base = vring->queue != NULL ? rpl_queue_stop(vring->queue) : rpl_plain_stop(vring->plain);
    vring->runs = false;
    rpl_session_tell(vring->session, RPL_BECAUSE_STARTED);
}

uint32_t rpl_vrings_pause(struct rpl_session *session)
{
    uint32_t paused = 0;

    for (uint32_t at = 0; at < session->vring_count; at++) {
        if (!session->vrings[at].runs)
            continue;
        paused |= UINT32_C(1) << at;
        rpl_vring_stop(&session->vrings[at]);
    }
    return paused;
}

void rpl_vrings_resume(struct rpl_session *session, uint32_t paused)
{
    for (uint32_t at = 0; at < session->vring_count; at++)
        if (paused >> at & 1)
            rpl_vring_try(&session->vrings[at]);
}

bool rpl_vrings_run(const struct rpl_session *session)
{
    for (uint32_t at = 0; at < session->vring_count; at++)
        if (session->vrings[at].runs)
            return true;
    return false;
}

/* Never waits, whatever its owner does to the descriptor meanwhile. */
static uint64_t read_kicks(struct rpl_vring *vring)
{
    uint64_t     count = 0;
    struct iovec piece = {.iov_base = &count, .iov_len = sizeof count};
    ssize_t      got = preadv2(vring->kick, &piece, 1, -1, RWF_NOWAIT);

    if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) { /* Linux before 5.8 */
        struct pollfd there = {.fd = vring->kick, .events = POLLIN};

        if (poll(&there, 1, 0) <= 0)
            return 0;
        got = read(vring->kick, &count, sizeof count);
    }
    if (got == (ssize_t)sizeof count)
        return count;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    rpl_session_fail(vring->session, RPL_TROUBLE_NOT_AN_EVENTFD, 12 /* SET_VRING_KICK */, got < 0 ? (uint64_t)errno : 0);
    return 0;
}

bool rpl_vring_moved(const struct rpl_vring *vring)
{
    struct rpl_guest *guest = &vring->session->guest;
    uint64_t          left = 0, idx = rpl_guest_from_user(guest, vring->avail + 2, &left);
    uint8_t           words[2];

    return left >= sizeof words && rpl_guest_read(guest, idx, words, sizeof words) &&
           (words[0] | words[1] << 8) != vring->base;
}

void rpl_vring_hear(struct rpl_vring *vring)
{
    uint64_t kicks = vring->kick >= 0 ? read_kicks(vring) : 0;

    if (kicks > 0 && vring->queue != NULL)
        rpl_queue_kicked(vring->queue, kicks);
}

void rpl_vring_service(struct rpl_vring *vring, uint64_t now)
{
    const struct rpl_options *options = &vring->session->options;
    uint32_t                  wait;

    if (!vring->runs)
        return;
    rpl_vring_hear(vring);
    if (vring->plain != NULL) {
        vring->busy = rpl_plain_service(vring->plain, LIMIT);
        vring->due = vring->kick >= 0 ? NEVER : now + POLL_EVERY_US;
        return;
    }
    vring->busy = rpl_queue_service(vring->queue, now, LIMIT, options->patience_ms);
    wait = rpl_queue_wait(vring->queue, now);
    vring->due = wait < UINT32_MAX ? now + wait : NEVER;
}

uint64_t rpl_vring_wait(const struct rpl_vring *vring, uint64_t now)
{
    if (!vring->runs)
        return NEVER;
    if (vring->busy || vring->due <= now)
        return 0;
    return vring->due - now;
}
