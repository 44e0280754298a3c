/* SPDX-License-Identifier: Apache-2.0 */
/* A session from its beginning to its end, and what is asked of it between two turns of the loop. */
#include "protocol.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 2000u
#define MTU 1500u
#define LARGEST_QUEUE 32768u
#define SEGMENT_BYTES ((uint32_t)8 << 20)
#define STATUS_LINK_UP 1u

static bool take_options(struct rpl_session *session, const struct rpl_options *options)
{
    struct rpl_options *own = &session->options;

    *own = *options;
    own->device_features &= ~RPL_PROTOCOL_FEATURES;
    own->protocol_features &= RPL_PROTOCOL_KNOWN;
    own->patience_ms = own->patience_ms > 0 ? own->patience_ms : PATIENCE_MS;
    own->mtu = own->mtu > 0 ? own->mtu : MTU;
    own->queue_size = own->queue_size > 0 ? own->queue_size : LARGEST_QUEUE;
    own->segment_bytes = own->segment_bytes > 0 ? own->segment_bytes : SEGMENT_BYTES;
    return own->pairs > 0 && own->pairs <= RPL_MAX_PAIRS && own->mtu <= UINT16_MAX;
}

static void make_config(struct rpl_session *session)
{
    uint8_t *config = session->config;

    memcpy(config, session->options.mac, 6);
    config[6] = STATUS_LINK_UP;
    config[8] = (uint8_t)session->options.pairs;
    config[10] = (uint8_t)session->options.mtu;
    config[11] = (uint8_t)(session->options.mtu >> 8);
}

struct rpl_session *rpl_session_new(const struct rpl_options *options)
{
    struct rpl_session *session = calloc(1, sizeof *session);

    if (session == NULL)
        return NULL;
    rpl_wire_init(&session->wire);
    rpl_guest_init(&session->guest);
    session->backend_requests = session->log_event = -1;
    session->injected = -1;
    if (!take_options(session, options)) {
        rpl_session_free(session);
        return NULL;
    }
    make_config(session);
    if (!session->options.plain) {
        session->recording = rpl_recorder_init(&session->recorder, &session->log, session->options.segment_bytes,
                                               session->options.keep != 0, rpl_state_checkpoint, session);
        if (!session->recording) {
            rpl_session_free(session);
            return NULL;
        }
    }
    if (session->options.frames && !rpl_outbox_init(&session->outbox, session->options.partner)) {
        rpl_session_free(session);
        return NULL;
    }
    for (uint32_t at = 0; at < 2 * session->options.pairs; at++) {
        if (!rpl_vring_init(session, at)) {
            rpl_session_free(session);
            return NULL;
        }
        session->vring_count++;
    }
    return session;
}

void rpl_session_free(struct rpl_session *session)
{
    if (session == NULL)
        return;
    for (uint32_t at = 0; at < RPL_VRINGS; at++)
        rpl_vring_free(&session->vrings[at]);
    rpl_wire_close(&session->wire);
    rpl_guest_clear(&session->guest);
    rpl_outbox_free(&session->outbox);
    if (session->recording)
        rpl_recorder_free(&session->recorder);
    if (session->backend_requests >= 0)
        close(session->backend_requests);
    if (session->log_event >= 0)
        close(session->log_event);
    free(session);
}

bool rpl_session_connect(struct rpl_session *session, int fd)
{
    int       kind = 0;
    socklen_t bytes = sizeof kind;

    if (session->connected || fd < 0)
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &bytes) < 0 || kind != SOCK_STREAM)
        return false;
    session->wire.fd = fd;
    session->connected = true;
    return true;
}

enum rpl_trouble rpl_session_trouble(const struct rpl_session *session, uint64_t *a, uint64_t *b)
{
    *a = session->trouble_a;
    *b = session->trouble_b;
    return session->trouble;
}

static void begin_record(struct rpl_session *session)
{
    session->recorder.now = rpl_clock_us();
}

void rpl_session_behave(struct rpl_session *session, const struct rpl_behaviour *behaviour, const char *json)
{
    session->behaviour = *behaviour;
    if (session->recording) {
        begin_record(session);
        rpl_record_phase(&session->recorder, json, strlen(json));
    }
    for (uint32_t at = 0; at < session->vring_count; at++)
        rpl_vring_behave(&session->vrings[at]);
}

void rpl_session_inject(struct rpl_session *session, uint32_t kind)
{
    if (kind >= RPL_INJECTS || session->options.plain)
        return;
    session->injected = -1;
    session->injection = kind;
    for (uint32_t at = 1; at < session->vring_count; at += 2) {
        if (!session->vrings[at].runs)
            continue;
        rpl_queue_inject(session->vrings[at].queue, (enum rpl_inject)kind);
        session->injection = RPL_INJECT_NONE;
        session->injected = (int32_t)at;
        return;
    }
}

bool rpl_session_injected(const struct rpl_session *session)
{
    return session->injected >= 0 && rpl_queue_injected(session->vrings[session->injected].queue);
}

void rpl_session_stall(struct rpl_session *session, uint32_t ms, uint32_t queue)
{
    if (!session->recording)
        return;
    begin_record(session);
    rpl_record_begin(&session->recorder, RPL_STALL, (uint8_t)queue);
    rpl_put32(&session->recorder, ms);
    rpl_record_end(&session->recorder);
    rpl_check(&session->log, RPL_TRAFFIC_STALLED, false, ms, queue);
}

void rpl_session_flow(struct rpl_session *session, uint32_t queue)
{
    if (!session->recording)
        return;
    begin_record(session);
    rpl_record_begin(&session->recorder, RPL_FLOW, (uint8_t)queue);
    rpl_record_end(&session->recorder);
    rpl_check(&session->log, RPL_TRAFFIC_STALLED, true, 0, 0);
}

uint32_t rpl_session_frame(struct rpl_session *session, uint8_t *into, uint32_t size, uint32_t *pair)
{
    return rpl_outbox_take(&session->outbox, into, size, pair);
}

bool rpl_session_deliver(struct rpl_session *session, uint32_t pair, const uint8_t *frame, uint32_t bytes)
{
    struct rpl_vring *vring;

    if (pair >= session->options.pairs || session->options.plain || bytes == 0 || rpl_session_must_wait(session))
        return false;
    vring = &session->vrings[2 * pair];
    if (!vring->runs || !vring->enabled)
        return false;
    begin_record(session);
    if (!rpl_queue_deliver(vring->queue, frame, bytes))
        return false;
    vring->busy = true;
    return true;
}

uint64_t rpl_session_frames_dropped(const struct rpl_session *session)
{
    return session->outbox.dropped;
}

const struct rpl_log *rpl_session_log(const struct rpl_session *session)
{
    return &session->log;
}

const uint8_t *rpl_session_segment(struct rpl_session *session, uint32_t which, uint64_t *bytes)
{
    size_t         count = 0;
    const uint8_t *segment = session->recording ? rpl_record_segment(&session->recorder, which, &count) : NULL;

    *bytes = count;
    return segment;
}

void rpl_session_segment_taken(struct rpl_session *session)
{
    if (session->recording)
        rpl_record_taken(&session->recorder);
}

void rpl_session_cut(struct rpl_session *session)
{
    if (!session->recording)
        return;
    begin_record(session);
    rpl_record_tallies(&session->recorder);
    rpl_record_cut(&session->recorder);
}

static void view_queue(const struct rpl_vring *vring, struct rpl_queue_view *view)
{
    if (vring->queue != NULL) {
        rpl_queue_counts(vring->queue, &view->counts);
        view->published = rpl_queue_published(vring->queue);
        view->outstanding = rpl_queue_outstanding(vring->queue);
    }
    if (vring->plain != NULL)
        view->counts.chains = view->counts.completed = view->published = rpl_plain_chains(vring->plain);
    view->size = vring->size;
    view->runs = vring->runs;
    view->enabled = vring->enabled;
    view->started = vring->started;
    view->kick_fd = vring->kick >= 0;
    view->call_fd = vring->call >= 0;
}

void rpl_session_view(const struct rpl_session *session, struct rpl_view *view)
{
    memset(view, 0, sizeof *view);
    view->accepted = session->accepted;
    view->protocol_features = session->protocol_features;
    view->features_known = session->features_known;
    view->regions = session->guest.count;
    for (uint32_t at = 0; at < session->guest.count; at++)
        view->memory += session->guest.regions[at].bytes;
    view->messages = session->messages;
    view->owner = session->owner;
    view->status_known = session->status_known;
    view->status = session->status;
    view->refused = session->refused;
    for (uint32_t at = 0; at < session->vring_count; at++)
        view_queue(&session->vrings[at], &view->queues[at]);
}

uint32_t rpl_sizeof(uint32_t what)
{
    static const uint32_t sizes[] = {
        sizeof(struct rpl_options),
        sizeof(struct rpl_behaviour),
        sizeof(struct rpl_view),
        sizeof(struct rpl_tally),
    };

    return what < sizeof sizes / sizeof sizes[0] ? sizes[what] : 0;
}
