/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owes whom a signal.
 *
 * Kicks. Entries below `covered` need no notification any more: one came after they were published, or the
 * device looked for itself, as an honest one does after changing its suppression words. Entries from
 * `covered` on must have caused one by the end of the kick after them, if used.flags (without EVENT_IDX) or
 * avail_event (with it) asks for it. From `kick_base` on, entries are new to the driver's next kick.
 *
 * Interrupts. The driver is `asleep` when it has enabled callbacks and seen that nothing is left: then the
 * next completion must find an interrupt asked for. So it is when callbacks are on and it has taken all back,
 * unless it declared that enabling is what arms them. After an enable_cb that returned 0 nobody knows if they
 * are on, and nothing is asked of them until the driver is told again.
 *
 * An interrupt put off by enable_cb_delayed is due at the latest when all that was in flight then is used. To
 * take back some of what is used, and leave some, may move it to a place that has gone by: who does that is not
 * waiting, and is only held to it once nothing is left. To be interrupted ends it.
 */
#include "device.h"

static bool crosses(uint16_t event, uint64_t from, uint64_t to)
{
    uint64_t distance = to - from;

    return distance > 65535 || (uint16_t)(event - (uint16_t)from) < distance;
}

static enum rp_finding lost_code(const struct rp_device *device)
{
    return device->config.event_idx ? RP_FIND_KICK_LOST_EVENT : RP_FIND_KICK_LOST_FLAGS;
}

/* Whether entries published since `from` ask for a notification. */
static bool asked_for(const struct rp_device *device, uint64_t from)
{
    if (device->config.event_idx)
        return crosses(device->shadow_avail_event, from, device->published);
    return (device->shadow_flags & 1u) == 0 && device->published > from;
}

/* How many entries are new, and the suppression word: the two halves of b. */
static uint64_t suppression(const struct rp_device *device, uint64_t from)
{
    return RP_PAIR(device->published - from, device->config.event_idx ? device->shadow_avail_event
                                                                      : device->shadow_flags);
}

static enum rp_finding heeded_code(const struct rp_device *device)
{
    return device->config.event_idx ? RP_FIND_FLAGS_HEEDED : RP_FIND_EVENT_WORD_HEEDED;
}

/* Whether the word that must have no influence was moved, and speaks against the driver's next kick. */
static bool distracted(const struct rp_device *device)
{
    if (!device->distracting)
        return false;
    if (device->config.event_idx)
        return (device->shadow_flags & 1u) != 0;
    return !crosses(device->shadow_avail_event, device->kick_base, device->published);
}

/* A kick that was asked for came. */
static void kick_kept(struct rp_device *device)
{
    rp_check(device->log, lost_code(device), true, 0, 0);
    if (distracted(device)) {
        rp_check(device->log, heeded_code(device), true, 0, 0);
        device->undistracted = true;
    }
}

/* A kick that was asked for did not come. A driver that has kicked against the other word before does not heed
 * it now: something else is wrong. */
static void kick_lost(struct rp_device *device)
{
    uint64_t idx = device->published & 0xffffu;

    if (!distracted(device) || device->undistracted)
        rp_check(device->log, lost_code(device), false, idx, suppression(device, device->covered));
    else
        rp_check(device->log, heeded_code(device), false, idx,
                 device->config.event_idx ? RP_PAIR(device->shadow_flags, device->shadow_avail_event)
                                          : device->shadow_avail_event);
}

void rp_notice_kicked(struct rp_device *device)
{
    bool wanted;

    rp_device_observe(device);
    if (asked_for(device, device->covered)) {
        kick_kept(device);
        wanted = true;
    } else if (device->config.event_idx) {
        wanted = asked_for(device, device->kick_base);
    } else {
        wanted = (device->shadow_flags & 1u) == 0; /* superfluous perhaps, but nobody asked for silence */
    }
    rp_check(device->log, RP_FIND_KICK_UNWANTED, wanted, device->published & 0xffffu,
             suppression(device, device->kick_base));
    device->covered = device->published;
}

void rp_notice_kick_end(struct rp_device *device)
{
    rp_device_observe(device);
    if (device->offered > device->offered_at_kick)
        rp_check(device->log, RP_FIND_CHAIN_MISSING, device->published >= device->offered,
                 device->published, device->offered);
    device->offered_at_kick = device->offered;
    if (device->published > device->covered) {
        if (asked_for(device, device->covered))
            kick_lost(device);
        else
            rp_check(device->log, RP_FIND_KICK_UNWANTED, true, 0, 0);
    }
    device->kick_base = device->published;
}

void rp_notice_set_flags(struct rp_device *device, uint16_t flags)
{
    device->used[0] = flags;
    device->shadow_flags = flags;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    rp_device_observe(device);
    if (!device->config.event_idx)
        device->covered = device->published;
    else
        device->distracting = true;
}

void rp_notice_set_avail_event(struct rp_device *device, uint16_t avail_event)
{
    device->used[rp_avail_event_at(device)] = avail_event;
    device->shadow_avail_event = avail_event;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    rp_device_observe(device);
    if (device->config.event_idx)
        device->covered = device->published;
    else
        device->distracting = true;
}

bool rp_notice_completion(struct rp_device *device, uint16_t old, uint16_t new)
{
    uint16_t used_event = rp_used_event(device), flags = device->avail[0];
    bool due;

    if (new == old)
        return false;
    if (device->config.event_idx)
        due = (uint16_t)(new - used_event - 1) < (uint16_t)(new - old);
    else
        due = (flags & 1u) == 0;
    if (device->asleep && !device->gave_up && device->config.has_callback)
        rp_check(device->log, RP_FIND_INTERRUPT_NOT_WANTED, due,
                 device->config.event_idx ? used_event : flags, RP_PAIR(old, new));
    device->asleep = false;
    if (device->due_by > 0 && (due || device->completed_count >= device->due_by)) {
        if (!device->taken_partly && !device->gave_up && device->config.has_callback)
            rp_check(device->log, RP_FIND_INTERRUPT_NOT_WANTED, due,
                     RP_PAIR(1, device->config.event_idx ? used_event : flags), RP_PAIR(old, new));
        device->due_by = 0;
    }
    return due;
}

/* The driver was told anew what interrupts it is to ask for. */
static void told(struct rp_device *device, bool on)
{
    device->callbacks_on = on;
    device->asleep = false;
    device->due_by = 0;
}

void rp_notice_disabled(struct rp_device *device)
{
    told(device, false);
}

void rp_notice_enabled(struct rp_device *device, bool quiet)
{
    uint64_t waiting = rp_ledger_waiting(device);

    told(device, quiet);
    if (quiet && !device->gave_up)
        rp_check(device->log, RP_FIND_ENABLE_MISSED, waiting == 0, waiting, 0);
    device->asleep = quiet && waiting == 0;
}

void rp_notice_enabled_delayed(struct rp_device *device, bool quiet)
{
    uint64_t waiting = rp_ledger_waiting(device);

    told(device, false); /* interrupts before the one put off may be taken or not */
    if (!quiet)
        return;
    if (device->offered > device->completed_count)
        device->due_by = device->offered;
    else if (!device->gave_up) /* all is used: nothing is left that could interrupt */
        rp_check(device->log, RP_FIND_ENABLE_MISSED, waiting == 0, waiting, 3);
    device->taken_partly = false;
}

void rp_notice_prepared(struct rp_device *device)
{
    told(device, true);
    device->mark_valid = true;
    device->mark_completed = device->completed_count;
}

void rp_notice_polled(struct rp_device *device, bool news)
{
    uint64_t since = device->completed_count - device->mark_completed;

    if (!device->mark_valid || since > 65535 || device->gave_up)
        return;
    if (!news)
        rp_check(device->log, RP_FIND_ENABLE_MISSED, since == 0, since, 1);
    if (device->callbacks_on)
        device->asleep = !news && rp_ledger_waiting(device) == 0;
}

void rp_notice_taken(struct rp_device *device)
{
    device->taken_partly = rp_ledger_waiting(device) > 0;
}

void rp_notice_idle(struct rp_device *device)
{
    if (!device->config.arms_once && device->callbacks_on && rp_ledger_waiting(device) == 0)
        device->asleep = true;
}

void rp_notice_drained(struct rp_device *device)
{
    uint64_t waiting = rp_ledger_waiting(device);
    uint16_t oldest = (uint16_t)(device->shadow_used_idx - waiting);
    bool armed;

    if (device->config.event_idx)
        armed = (uint16_t)(rp_used_event(device) - oldest) < waiting;
    else
        armed = (device->avail[0] & 1u) == 0;
    if (armed && !device->gave_up)
        rp_check(device->log, RP_FIND_ENABLE_MISSED, waiting == 0, waiting, 2);
    device->due_by = 0;
    rp_notice_idle(device);
}

void rp_notice_interrupted(struct rp_device *device, bool handled, uint32_t callbacks, uint64_t waiting)
{
    if (waiting > 0 && !device->gave_up)
        rp_check(device->log, RP_FIND_INTERRUPT_MISSED,
                 handled && (callbacks > 0 || !device->config.has_callback || !device->callbacks_on), waiting,
                 RP_PAIR(handled, callbacks));
    if (waiting > 0)
        device->due_by = 0;
}
