/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "traffic.h"
#include "fault.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#define SLICE_US 50000u  /* the longest single wait */
#define GLANCE 32u       /* rounds between two looks at the call eventfds, as long as there is other work */
#define FOREVER UINT64_MAX

struct course {
    struct fe_card *card;
    uint64_t until;     /* sending ends then */
    uint64_t pause_until; /* FE_PACED */
    uint64_t moved_at;  /* when something was sent or came back */
    uint64_t moved;     /* frames sent, come back and received until then */
    uint64_t measured;  /* completed when the clock was started */
    uint64_t strikes_at; /* frames sent, or ~0 */
    uint64_t strikes_when; /* microseconds, or ~0 */
    bool     sending;
    bool     holding;   /* nothing is sent until all is back: then the fault strikes */
};

/* -- What comes back -- */

static void sent_back(struct fe_queue *queue, struct fe_frame *frame, uint32_t length)
{
    (void)queue;
    (void)frame;
    (void)length;
    fe_counts.completed++;
}

static void received(struct fe_queue *queue, struct fe_frame *frame, uint32_t length)
{
    struct fe_card *card = queue->owner;
    struct fe_pair *pair = &card->pairs[queue->index / 2];
    uint64_t number;
    enum fe_seen seen = fe_frame_seen(frame, queue->features, length, &number);

    fe_counts.received++;
    if (seen == FE_SEEN_DAMAGED)
        fe_counts.damaged++;
    if (!pair->waiting)
        return;
    /* A back-end that only sends back what it gets is a partner, too. */
    if (seen == FE_SEEN_OURS || (seen == FE_SEEN_ARP && !pair->echo) ||
        (seen == FE_SEEN_ECHO && pair->echo && number == (pair->asked & 0xffff))) {
        pair->waiting = false;
        fe_counts.replies++;
    }
}

/* -- What is sent -- */

static uint32_t between(struct fe_card *card, uint32_t low, uint32_t high)
{
    return low == high ? low : low + fe_card_random(card) % (high - low + 1);
}

/* False: there was no room for it. */
static bool send_one(struct course *course, struct fe_pair *pair)
{
    struct fe_card *card = course->card;
    const struct fe_options *options = card->options;
    uint32_t segments = between(card, options->least_segments, options->most_segments);
    uint32_t bytes = between(card, options->least_bytes, options->most_bytes);
    uint32_t most = pair->send.size - (pair->send.header_apart && pair->send.size > 1);
    struct fe_frame *frame;

    if (segments > most) /* VIRTIO 1.3 section 2.7.5.3.1: no chain is longer than the queue */
        segments = most;
    if (!options->overfill && !fe_queue_room(&pair->send, segments))
        return false;
    frame = fe_queue_frame(&pair->send);
    if (frame == NULL)
        return false;
    if (options->mode == FE_PINGPONG) {
        pair->echo = pair->number % 16 != 0;
        pair->asked = pair->number;
        if (pair->echo)
            fe_frame_echo(frame, card->features, pair->number, bytes);
        else
            fe_frame_arp(frame, card->features, pair->number);
    } else {
        bool partial = (card->features & FE_NET_CSUM) != 0 && pair->number % 2 != 0;

        fe_frame_number(frame, card->features, pair->number, bytes, partial);
    }
    if (!fe_queue_add(&pair->send, frame, segments))
        return false;
    pair->number++;
    if (pair->left != FOREVER)
        pair->left--;
    fe_counts.sent++;
    return true;
}

/* One round of a transmit queue; true if there may be more to do at once. */
static bool step_send(struct course *course, struct fe_pair *pair)
{
    struct fe_card *card = course->card;
    const struct fe_options *options = card->options;
    struct fe_queue *queue = &pair->send;
    uint32_t got, added = 0, burst = 1;
    bool may = course->sending && !course->holding && !pair->waiting;

    if (queue->asleep)
        return false;
    if (options->mode != FE_PINGPONG)
        burst = between(card, options->least_batch, options->most_batch);
    got = fe_queue_reclaim(queue, UINT32_MAX);
    if (queue->broken)
        fe_end("broken", "queue %u: the driver calls its queue broken", queue->index);
    while (may && added < burst && pair->left > 0 && send_one(course, pair))
        added++;
    if (added > 0) {
        pair->waiting = options->mode == FE_PINGPONG && pair->receives;
        fe_queue_kick(queue);
    }
    if (options->mode == FE_PACED && added == burst) {
        if (!queue->polls && fe_card_random(card) % 2 == 0)
            fe_queue_arm(queue, fe_card_random(card));
        return false;
    }
    if (added > 0 || got > 0)
        return true;
    /* The ring is full, or all is sent: nothing to do until something comes back. */
    if (queue->polls || queue->outstanding == 0)
        return false;
    if (fe_queue_arm(queue, fe_card_random(card))) {
        queue->asleep = true;
        return false;
    }
    fe_queue_quiet(queue);
    return true;
}

static bool step_receive(struct fe_pair *pair)
{
    struct fe_queue *queue = &pair->receive;
    uint32_t got;

    if (!pair->receives || queue->asleep)
        return false;
    got = fe_queue_reclaim(queue, UINT32_MAX);
    if (queue->broken)
        fe_end("broken", "queue %u: the driver calls its queue broken", queue->index);
    if (got > 0 || queue->outstanding < pair->filled) { /* those that push have done so in their interrupt */
        fe_card_fill(pair);
        return true;
    }
    if (!queue->polls)
        queue->asleep = fe_queue_arm(queue, 5);
    return !queue->polls && !queue->asleep;
}

/* -- Waiting -- */

/* At most so long for an interrupt; lets the drivers have those that there are. */
static void wait_for(struct fe_card *card, uint64_t microseconds)
{
    struct timespec time = {.tv_sec = (time_t)(microseconds / 1000000u),
                            .tv_nsec = (long)(microseconds % 1000000u) * 1000};
    struct pollfd look[2 * FE_MOST_PAIRS + 1];
    uint32_t count = 2 * card->options->pairs;

    for (uint32_t i = 0; i < count; i++) {
        const struct fe_pair *pair = &card->pairs[i / 2];

        look[i] = (struct pollfd){.fd = i % 2 == 0 ? pair->receive.call : pair->send.call, .events = POLLIN};
    }
    look[count] = (struct pollfd){.fd = card->channel};
    if (ppoll(look, count + 1, &time, NULL) <= 0)
        return;
    if (look[count].revents != 0)
        fe_end("closed", "the back-end has closed the connection");
    for (uint32_t i = 0; i < count; i++)
        if (look[i].revents != 0)
            fe_queue_interrupted(i % 2 == 0 ? &card->pairs[i / 2].receive : &card->pairs[i / 2].send,
                                 fe_card_random(card));
}

static uint32_t all_out(const struct fe_card *card)
{
    uint32_t out = 0;

    for (uint32_t k = 0; k < card->options->pairs; k++)
        out += card->pairs[k].send.outstanding + card->pairs[k].waiting;
    return out;
}

static void stalled(const struct fe_card *card)
{
    for (uint32_t k = 0; k < card->options->pairs; k++) {
        const struct fe_pair *pair = &card->pairs[k];

        if (pair->send.outstanding > 0 || pair->left > 0)
            fe_end("stalled", "queue %u: nothing moves for %u ms; %u frames are out, and it %s", pair->send.index,
                   card->options->patience, pair->send.outstanding,
                   pair->send.asleep ? "waits for an interrupt" : "has no room for more");
        if (pair->waiting)
            fe_end("stalled", "queue %u: no answer for %u ms", pair->receive.index, card->options->patience);
    }
    fe_end("stalled", "nothing moves for %u ms", card->options->patience);
}

/* -- The course -- */

static void fault_or_not(struct course *course, uint64_t now)
{
    struct fe_card *card = course->card;

    if (fe_counts.sent < course->strikes_at && now < course->strikes_when)
        return;
    course->holding = fe_fault_waits(card->options);
    if (course->holding && all_out(card) > 0)
        return;
    course->holding = false;
    course->strikes_at = course->strikes_when = FOREVER;
    fe_fault_strike(card);
}

static void clock_and_watch(struct course *course, uint64_t now)
{
    struct fe_card *card = course->card;
    uint64_t moved = fe_counts.sent + fe_counts.completed + fe_counts.received;

    fe_alive();
    if (moved != course->moved || (all_out(card) == 0 && now < course->pause_until)) {
        course->moved = moved;
        course->moved_at = now;
        if (course->measured != FOREVER)
            fe_counts.ended = now;
    }
    if (course->measured == FOREVER && fe_counts.sent >= card->options->before) {
        course->measured = fe_counts.completed;
        fe_counts.began = fe_counts.ended = now;
    }
    if (course->measured != FOREVER)
        fe_counts.timed = fe_counts.completed - course->measured;
    if (now - course->moved_at > (uint64_t)card->options->patience * 1000u)
        stalled(card);
}

static bool pairs_left(const struct fe_card *card)
{
    for (uint32_t k = 0; k < card->options->pairs; k++)
        if (card->pairs[k].left > 0)
            return true;
    return false;
}

/* Sends what the pairs have left, at most until `until`; with `drain`, until all of it has come back. */
static void run(struct course *course, bool drain)
{
    struct fe_card *card = course->card;
    const struct fe_options *options = card->options;
    uint32_t idle = 0;

    course->sending = true;
    course->moved_at = fe_now();
    for (uint32_t round = 0;; round++) {
        uint64_t now = fe_now();
        bool more = false, burst = options->mode != FE_PACED || now >= course->pause_until;

        clock_and_watch(course, now);
        fault_or_not(course, now);
        if (now >= course->until || fe_stopping || !pairs_left(card))
            course->sending = false;
        if (!course->sending && (!drain || all_out(card) == 0))
            return;
        for (uint32_t k = 0; k < options->pairs; k++) {
            if (burst || !course->sending)
                more |= step_send(course, &card->pairs[k]);
            more |= step_receive(&card->pairs[k]);
        }
        if (options->mode == FE_PACED && burst && course->sending)
            course->pause_until = now + between(card, 0, 2 * options->pause);
        if (more) {
            idle = 0;
            if (round % GLANCE == 0)
                wait_for(card, 0);
        } else if (options->mode == FE_PACED && course->sending) {
            wait_for(card, course->pause_until > now ? course->pause_until - now : 0);
        } else if (!options->polls && !card->pairs[0].send.polls) {
            wait_for(card, SLICE_US);
        } else if (++idle % 64 == 0) { /* whoever has to share a processor with the device gives it its turn */
            sched_yield();
            if (idle % 16384 == 0)
                wait_for(card, 0);
        }
    }
}

void fe_traffic(struct fe_card *card)
{
    const struct fe_options *options = card->options;
    uint64_t frames = options->frames > 0 ? options->before + options->frames : 0, begin = fe_now();
    uint64_t lasts = (uint64_t)(options->seconds * 1e6);
    struct course course = {.card = card, .measured = FOREVER, .strikes_at = FOREVER, .strikes_when = FOREVER};

    if (fe_fault_comes(options)) {
        course.strikes_at = frames > 0 ? frames / 2 : FOREVER;
        course.strikes_when = lasts > 0 ? begin + lasts / 2 : FOREVER;
    }
    for (uint32_t k = 0; k < options->pairs; k++) {
        card->pairs[k].send.back = sent_back;
        card->pairs[k].receive.back = received;
    }
    for (uint32_t part = 0; part <= options->restarts && !(part > 0 && fe_stopping); part++) {
        uint32_t parts = options->restarts + 1;
        /* Odd stops come in the middle of traffic. */
        bool last = part == options->restarts, drain = last || part % 2 == 0;

        for (uint32_t k = 0; k < options->pairs; k++) {
            uint64_t share = frames / options->pairs + (k < frames % options->pairs);

            card->pairs[k].left = frames == 0 ? FOREVER : share / parts + (last ? share % parts : 0);
            card->pairs[k].waiting = false;
        }
        course.until = lasts > 0 ? begin + lasts / parts * (part + 1) : FOREVER;
        fe_card_start(card);
        run(&course, drain);
        fe_card_stop(card, drain);
        if (!last)
            fe_counts.restarts++;
    }
}
