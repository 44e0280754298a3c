/* SPDX-License-Identifier: Apache-2.0 */
/* The session's loop over the connection, the kicks and the queues. */
#define _GNU_SOURCE
#include "protocol.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#define MESSAGES_AT_ONCE 32u
#define SOCKET_EVERY_US 200u /* while queues are busy */
#define HELD_BACK_US 500u    /* between two looks whether a queue that isn't enabled is used */
#define POLL_EVERY_US 20u    /* a queue that is polled and has nothing to do */

uint64_t rpl_clock_us(void)
{
    struct timespec clock = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &clock);
    return (uint64_t)clock.tv_sec * 1000000u + (uint64_t)clock.tv_nsec / 1000u;
}

void rpl_session_tell(struct rpl_session *session, uint32_t because)
{
    session->news |= because;
}

void rpl_session_fail(struct rpl_session *session, enum rpl_trouble trouble, uint64_t a, uint64_t b)
{
    if (session->trouble != RPL_TROUBLE_NONE)
        return;
    session->trouble = trouble;
    session->trouble_a = a;
    session->trouble_b = b;
}

/* What was learnt of the front-end stays, so that it can be told. */
static void disconnect(struct rpl_session *session)
{
    (void)rpl_vrings_pause(session);
    rpl_wire_close(&session->wire);
}

static void set_closed(struct rpl_session *session)
{
    session->closed = true;
}

static void note_receipt(struct rpl_session *session, enum rpl_wire_result result)
{
    const struct rpl_message *message = &session->wire.message;
    uint64_t                  have, whole;

    switch (result) {
    case RPL_WIRE_CLOSED:
        set_closed(session);
        break;
    case RPL_WIRE_TORN:
        set_closed(session);
        rpl_wire_progress(&session->wire, &have, &whole);
        rpl_session_fail(session, RPL_TROUBLE_TORN, have, whole);
        break;
    case RPL_WIRE_TOO_LONG:
        rpl_session_fail(session, RPL_TROUBLE_TOO_LONG, message->request, message->size);
        break;
    case RPL_WIRE_ODD:
        rpl_session_fail(session, RPL_TROUBLE_VERSION, message->request, message->flags);
        break;
    case RPL_WIRE_FAILED:
        rpl_session_fail(session, RPL_TROUBLE_SOCKET, (uint64_t)session->wire.error, 0);
        break;
    case RPL_WIRE_WAIT:
    case RPL_WIRE_MESSAGE:
        break;
    }
}

static bool flush(struct rpl_session *session)
{
    if (rpl_wire_flush(&session->wire))
        return !rpl_wire_pending(&session->wire);
    if (session->wire.error == EPIPE || session->wire.error == ECONNRESET)
        set_closed(session);
    else
        rpl_session_fail(session, RPL_TROUBLE_SOCKET, (uint64_t)session->wire.error, session->wire.message.request);
    return false;
}

static bool over(const struct rpl_session *session)
{
    return session->closed || session->trouble != RPL_TROUBLE_NONE;
}

/* While an answer waits for the front-end to read, no request of it is looked at. True: no request is left. */
static bool serve_socket(struct rpl_session *session)
{
    for (uint32_t count = 0; count < MESSAGES_AT_ONCE && !over(session); count++) {
        enum rpl_wire_result result;

        if (!flush(session))
            return false;
        result = rpl_wire_receive(&session->wire);
        if (result != RPL_WIRE_MESSAGE) {
            note_receipt(session, result);
            return true;
        }
        rpl_protocol_handle(session);
        (void)flush(session);
    }
    return false;
}

static bool held_back(const struct rpl_vring *vring)
{
    return vring->runs && !vring->ever_enabled && vring->queue != NULL && vring->number % 2 == 1;
}

/* Whether a queue that is held back may be served. SET_VRING_ENABLE has no answer: a front-end goes on at once, and
 * what its driver then publishes may be seen before the message is. So the ring is looked at first, and judged only
 * when all that was sent until then is read. */
static bool may_be_served(struct rpl_session *session, struct rpl_vring *vring, uint64_t now)
{
    vring->busy = false;
    vring->due = now + HELD_BACK_US;
    if (!rpl_vring_moved(vring)) {
        rpl_vring_hear(vring);
        return false;
    }
    return serve_socket(session) && vring->runs && !over(session);
}

/* True: some queue has more to do at once. */
static bool serve_queues(struct rpl_session *session, uint64_t now)
{
    bool busy = false;

    for (uint32_t at = 0; at < session->vring_count; at++) {
        struct rpl_vring *vring = &session->vrings[at];

        if (!vring->runs || !(held_back(vring) ? may_be_served(session, vring, now) : rpl_vring_wait(vring, now) == 0))
            continue;
        rpl_vring_service(vring, now);
        busy |= vring->busy;
    }
    if (session->guest.gone)
        rpl_session_fail(session, RPL_TROUBLE_MEMORY_GONE, 0, 0);
    return busy;
}

/* Waits for the connection, for kicks and for what the queues have set themselves, but not beyond `until`. */
static void wait_for_work(struct rpl_session *session, uint64_t now, uint64_t until)
{
    struct pollfd    there[1 + RPL_VRINGS];
    struct rpl_vring *whose[1 + RPL_VRINGS] = {NULL};
    nfds_t           count = 1;
    uint64_t         wait = until - now;
    struct timespec  time;

    there[0] = (struct pollfd){.fd = session->wire.fd, .events = POLLIN};
    if (rpl_wire_pending(&session->wire))
        there[0].events = POLLOUT;
    for (uint32_t at = 0; at < session->vring_count; at++) {
        struct rpl_vring *vring = &session->vrings[at];
        uint64_t          wanted = rpl_vring_wait(vring, now);

        if (!vring->runs)
            continue;
        if (wanted == 0)
            wanted = POLL_EVERY_US;
        if (wanted < wait)
            wait = wanted;
        if (vring->kick < 0)
            continue;
        whose[count] = vring;
        there[count++] = (struct pollfd){.fd = vring->kick, .events = POLLIN};
    }
    time.tv_sec = (time_t)(wait / 1000000u);
    time.tv_nsec = (long)(wait % 1000000u * 1000u);
    if (ppoll(there, count, &time, NULL) <= 0)
        return;
    for (nfds_t at = 1; at < count; at++)
        if (there[at].revents != 0)
            whose[at]->busy = true;
}

bool rpl_session_must_wait(const struct rpl_session *session)
{
    return session->recording && session->recorder.keep && session->recorder.waiting;
}

static bool fails_anew(struct rpl_session *session)
{
    bool anew = false;

    if (session->log.failures == session->failures_told)
        return false;
    session->failures_told = session->log.failures;
    for (uint32_t code = 0; code < RPL_CHECKS; code++) {
        uint64_t bit = UINT64_C(1) << code % 64;

        if (session->log.tallies[code].failed == 0 || (session->failed_told[code / 64] & bit) != 0)
            continue;
        session->failed_told[code / 64] |= bit;
        anew = true;
    }
    return anew;
}

static uint32_t reasons(struct rpl_session *session)
{
    uint32_t because = session->news;

    session->news = 0;
    if (session->closed && session->trouble == RPL_TROUBLE_NONE)
        because |= RPL_BECAUSE_CLOSED;
    if (session->trouble != RPL_TROUBLE_NONE)
        because |= RPL_BECAUSE_TROUBLE;
    if (session->outbox.used > 0)
        because |= RPL_BECAUSE_FRAMES;
    if (rpl_session_must_wait(session))
        because |= RPL_BECAUSE_SEGMENT;
    if (fails_anew(session))
        because |= RPL_BECAUSE_FAILED;
    return because;
}

uint32_t rpl_session_run(struct rpl_session *session, uint32_t timeout_us)
{
    uint64_t now = rpl_clock_us(), until = now + timeout_us, looked = 0;
    uint32_t because;

    if (session->wire.fd < 0)
        return reasons(session) | (session->trouble == RPL_TROUBLE_NONE ? RPL_BECAUSE_CLOSED : 0);
    for (;;) {
        bool busy = false;

        if (session->recording)
            session->recorder.now = now;
        if (!rpl_session_must_wait(session))
            busy = serve_queues(session, now);
        if (!over(session) && (!busy || now - looked >= SOCKET_EVERY_US)) {
            serve_socket(session);
            looked = now;
        }
        if (over(session))
            disconnect(session);
        because = reasons(session);
        if (because != 0)
            return because;
        now = rpl_clock_us();
        if (now >= until)
            return RPL_BECAUSE_TIME;
        if (!busy)
            wait_for_work(session, now, until);
        now = rpl_clock_us();
    }
}
