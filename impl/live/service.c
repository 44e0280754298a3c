/* SPDX-License-Identifier: Apache-2.0 */
/* What a queue does when it has its turn, and when it wants the next. */
#include "queue_state.h"

#define IDLE_US 200u       /* polling goes on without a pause for so long after a chain came */
#define IDLE_PAUSE_US 50u

/* The word that must have no influence: where it does no harm, or anywhere. */
static void distract(struct rpl_queue *queue, uint16_t *flags, uint16_t *event)
{
    uint64_t random;

    if (queue->behaviour.distract == 0) {
        if (queue->event_idx)
            *flags = 0;
        else
            *event = queue->seen.avail_idx;
        return;
    }
    random = rplq_random(queue);
    if (queue->event_idx)
        *flags = (random >> 32) & 1;
    else
        *event = (uint16_t)(queue->seen.avail_idx + random % (3 * queue->size) - queue->size);
}

static void say(struct rpl_queue *queue, bool wanted, uint16_t event)
{
    uint16_t flags = wanted ? 0 : RPLQ_NO_NOTIFY;

    queue->wants = wanted;
    distract(queue, &flags, &event);
    rplq_suppress(queue, flags, event);
    queue->restate = false;
    queue->next_distraction = queue->now + 1000 + rplq_random(queue) % 20000;
}

/* A place within and around the ring, seen from the last entry. */
static uint16_t place(struct rpl_queue *queue)
{
    uint64_t random = rplq_random(queue);

    switch (random >> 60 & 3) {
    case 0: return (uint16_t)(queue->seen.avail_idx + random % 4 - 1);
    case 1: return (uint16_t)random;
    default: return (uint16_t)(queue->seen.avail_idx + random % (3 * queue->size) - queue->size);
    }
}

/* What the words are to be while there is work. */
static void say_awake(struct rpl_queue *queue)
{
    uint16_t event = queue->memory_event;
    bool     wanted;

    switch (queue->behaviour.suppress) {
    case RPL_SUPPRESS_NEVER:
        say(queue, true, queue->seen.avail_idx);
        return;
    case RPL_SUPPRESS_TOGGLE:
        wanted = rplq_random(queue) >> 63 != 0;
        say(queue, wanted, wanted ? queue->seen.avail_idx : event);
        queue->next_change = queue->now + 50 + rplq_random(queue) % 5000;
        return;
    case RPL_SUPPRESS_FROZEN:
        say(queue, false, queue->event_idx ? (uint16_t)queue->behaviour.event : event);
        return;
    case RPL_SUPPRESS_ROVING:
        say(queue, false, queue->event_idx ? place(queue) : event);
        queue->next_change = queue->now + 20 + rplq_random(queue) % 2000;
        return;
    default:
        say(queue, false, event);
    }
}

/* A kick was told as lost and may still come, which takes that back: as long the words stay as they are. */
static bool forgiving(const struct rpl_queue *queue)
{
    return queue->lost_at == queue->published && queue->now < queue->quiet_until;
}

static bool distraction_due(const struct rpl_queue *queue)
{
    return queue->behaviour.distract != 0 && queue->now >= queue->next_distraction;
}

/* Moves the words if the behaviour has a mind to. Never while a kick is owed: that would let it off. */
static void consider(struct rpl_queue *queue)
{
    if (queue->obliged || forgiving(queue))
        return;
    if (queue->restate) {
        say_awake(queue);
        return;
    }
    switch (queue->behaviour.suppress) {
    case RPL_SUPPRESS_HONEST:
        if (queue->awake && queue->event_idx)
            queue->wants = false; /* the word stays where it is, and is passed */
        break;
    case RPL_SUPPRESS_NEVER:
        if (queue->event_idx && queue->memory_event != queue->seen.avail_idx)
            say_awake(queue);
        break;
    case RPL_SUPPRESS_TOGGLE:
        if (queue->now >= queue->next_change)
            say_awake(queue);
        else if (queue->event_idx && queue->wants && queue->memory_event != queue->seen.avail_idx)
            say(queue, true, queue->seen.avail_idx);
        break;
    case RPL_SUPPRESS_ROVING:
        if (queue->event_idx && queue->now >= queue->next_change)
            say_awake(queue);
        break;
    default:
        break;
    }
    if (!queue->moving && queue->pending == 0 && distraction_due(queue)) {
        uint16_t event = queue->behaviour.suppress == RPL_SUPPRESS_NEVER ? queue->seen.avail_idx : queue->memory_event;

        /* A device that sleeps asks from where it is: the words it sleeps by are made new. */
        if (queue->wants)
            event = queue->seen.avail_idx;
        say(queue, queue->wants, event);
    }
}

/* Nothing was found to do: asks for a kick, and looks once more. */
static void fall_asleep(struct rpl_queue *queue)
{
    bool says;

    switch (queue->behaviour.suppress) {
    case RPL_SUPPRESS_HONEST:
        says = !queue->wants || (queue->event_idx && queue->memory_event != queue->seen.avail_idx);
        break;
    case RPL_SUPPRESS_NEVER:
        says = queue->event_idx && queue->memory_event != queue->seen.avail_idx;
        break;
    default:
        return;
    }
    queue->awake = false;
    queue->next_peek = queue->now + queue->patience / 4;
    if (says)
        say(queue, true, queue->seen.avail_idx); /* growth that its look brings wakes it again */
}

/* Kicks, and what follows from their missing; false: the turn is over. */
static bool hear(struct rpl_queue *queue, uint32_t *limit)
{
    if (queue->kicks > 0) {
        uint64_t count;

        /* All that they were sent for is there by now. Seen behind the record of the kick it would be owed another. */
        rplq_sample(queue, false);
        if (!rplq_settle(queue, limit) || queue->dead)
            return false;
        count = queue->kicks;
        queue->kicks = 0;
        rplq_kick(queue, count);
    } else if (queue->obliged && !queue->moving && queue->now - queue->obliged_at >= queue->patience) {
        rplq_quiet(queue);
        queue->awake = true;
        queue->quiet_until = queue->now + queue->patience;
    }
    if (!rplq_settle(queue, limit) || queue->dead)
        return false;
    rplq_finish(queue);
    return rplq_settle(queue, limit) && !queue->dead;
}

/* A look, and words; false: the turn is over. */
static bool look_around(struct rpl_queue *queue, uint32_t *limit)
{
    /* What was published before the device had said anything is owed no kick. Later a look stands before each move
     * of the words, so that a kick owed under the old ones isn't forgotten by it. */
    if (queue->fresh) {
        queue->fresh = false;
        say_awake(queue);
    } else if (queue->behaviour.suppress == RPL_SUPPRESS_HONEST && queue->awake && queue->wants && !queue->event_idx &&
               !queue->obliged && !forgiving(queue)) {
        say_awake(queue); /* its look was just now, with the kick; another would find a busy driver owing the next */
    } else {
        if (queue->awake || rplq_polls(queue) || queue->restate || distraction_due(queue)) {
            rplq_sample(queue, false);
        } else if (queue->now >= queue->next_peek) {
            rplq_sample(queue, false);
            queue->next_peek = queue->now + queue->patience / 4;
        }
        if (!rplq_settle(queue, limit) || queue->dead)
            return false;
        consider(queue);
    }
    return !queue->moving && rplq_settle(queue, limit) && !queue->dead;
}

bool rpl_queue_service(struct rpl_queue *queue, uint64_t now, uint32_t limit, uint32_t patience_ms)
{
    uint32_t accepting = limit;
    uint64_t before;

    if (!queue->runs || queue->dead)
        return false;
    if (queue->generation != queue->guest->generation && !rplq_bind(queue))
        return false;
    queue->now = now;
    queue->patience = (uint64_t)patience_ms * 1000;
    queue->more = true;
    if (!rplq_settle(queue, &accepting) || !hear(queue, &accepting) || !look_around(queue, &accepting))
        return !queue->dead;
    queue->more = rplq_complete(queue, limit);
    if (queue->behaviour.interrupts == RPL_INTERRUPTS_SPURIOUS && now >= queue->next_spurious) {
        if (queue->next_spurious != 0 && queue->enabled)
            rplq_interrupt(queue, 2);
        queue->next_spurious = now + 1000 + rplq_random(queue) % 20000;
    }
    if (queue->more || !queue->awake || queue->obliged || forgiving(queue))
        return queue->more;
    before = queue->published;
    rplq_sample(queue, false);
    if (queue->dead)
        return false;
    if (queue->published == before)
        fall_asleep(queue);
    queue->more = queue->published != before || queue->moving;
    return queue->more && !queue->dead;
}

static void sooner(uint64_t *wait, uint64_t at, uint64_t now)
{
    uint64_t left = at > now ? at - now : 0;

    if (at != UINT64_MAX && left < *wait)
        *wait = left;
}

uint32_t rpl_queue_wait(const struct rpl_queue *queue, uint64_t now)
{
    uint64_t wait = UINT32_MAX;

    if (!queue->runs || queue->dead)
        return UINT32_MAX;
    if (queue->more || queue->pending > 0 || queue->moving || queue->kicks > 0 || queue->restate)
        return 0;
    if (queue->awake || rplq_polls(queue))
        wait = now - queue->last_growth < IDLE_US ? 0 : IDLE_PAUSE_US;
    else
        sooner(&wait, queue->next_peek, now);
    if (queue->obliged)
        sooner(&wait, queue->obliged_at + queue->patience, now);
    if (queue->behaviour.distract != 0)
        sooner(&wait, queue->next_distraction, now);
    if (queue->behaviour.interrupts == RPL_INTERRUPTS_SPURIOUS)
        sooner(&wait, queue->next_spurious, now);
    sooner(&wait, queue->complete_at, now);
    return (uint32_t)wait;
}
