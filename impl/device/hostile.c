/* SPDX-License-Identifier: Apache-2.0 */
/* Whose token came back: what a driver may hand out when its device lies. */
#include "mischief.h"

#include <stdlib.h>
#include <string.h>

#define NAMINGS (1u << 16)

enum state { UNKNOWN, OFFERED, HELD, RETURNED };

/* These stand whatever the device does; HOSTILE_TOKEN takes the place of what is said of honest tokens. */
static const enum rp_finding judged[] = {
    RP_FIND_RED_ZONE, RP_FIND_BAD_RELEASE, RP_FIND_LEAK, RP_FIND_STRAY_WRITE, RP_FIND_CREATE_FAILED,
    RP_FIND_RING_PARTS, RP_FIND_CANARY, RP_FIND_MAPPING, RP_FIND_LATE_CALL, RP_FIND_KICK_EARLY,
    RP_FIND_HOSTILE_TOKEN, RP_FIND_CHILDREN, RP_FIND_OUTPUT,
};

static void silence(struct rp_log *log)
{
    log->silent[0] = log->silent[1] = UINT64_MAX;
    for (unsigned i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
        log->silent[judged[i] / 64] &= ~(UINT64_C(1) << judged[i] % 64);
}

bool rp_hostile_begin(struct rp_hostile *hostile, struct rp_device *device, uint8_t *buffers)
{
    memset(hostile, 0, sizeof(*hostile));
    hostile->device = device;
    hostile->log = device->log;
    hostile->buffers = buffers;
    hostile->namings = calloc(NAMINGS, sizeof(hostile->namings[0]));
    if (hostile->namings == NULL)
        return false;
    silence(device->log);
    return true;
}

void rp_hostile_end(struct rp_hostile *hostile)
{
    struct rp_log *log = hostile->log;

    if (hostile->gave_up) {
        log->silent[RP_FIND_LEAK / 64] |= UINT64_C(1) << RP_FIND_LEAK % 64;
        log->silent[RP_FIND_MAPPING / 64] |= UINT64_C(1) << RP_FIND_MAPPING % 64;
    }
    free(hostile->states);
    free(hostile->heads);
    free(hostile->namings);
    memset(hostile, 0, sizeof(*hostile));
}

static bool room_for(struct rp_hostile *hostile, uint64_t token)
{
    uint64_t more = hostile->tokens == 0 ? 1024 : hostile->tokens;
    void *states, *heads;

    while (more <= token)
        more *= 2;
    if (more == hostile->tokens)
        return true;
    states = realloc(hostile->states, more * sizeof(hostile->states[0]));
    if (states != NULL)
        hostile->states = states;
    heads = realloc(hostile->heads, more * sizeof(hostile->heads[0]));
    if (heads != NULL)
        hostile->heads = heads;
    if (states == NULL || heads == NULL)
        return false;
    memset(hostile->states + hostile->tokens, 0, (more - hostile->tokens) * sizeof(hostile->states[0]));
    memset(hostile->heads + hostile->tokens, 0, (more - hostile->tokens) * sizeof(hostile->heads[0]));
    hostile->tokens = more;
    return true;
}

static void name(struct rp_hostile *hostile, uint64_t position, uint32_t id)
{
    uint32_t kept = 0;

    if (hostile->blurred)
        return;
    if (hostile->count == NAMINGS) {
        for (uint32_t i = 0; i < hostile->count; i++)
            if (hostile->namings[i].position >= hostile->cursor)
                hostile->namings[kept++] = hostile->namings[i];
        hostile->count = kept;
        hostile->blurred = kept > NAMINGS / 2;
    }
    hostile->namings[hostile->count].position = position;
    hostile->namings[hostile->count++].id = id;
}

void rp_hostile_catch_up(struct rp_hostile *hostile)
{
    const struct rp_device *device = hostile->device;
    uint32_t n = device->config.queue_size;
    uint16_t more = (uint16_t)(device->shadow_used_idx - (uint16_t)hostile->exposed);

    for (; hostile->published < device->published; hostile->published++) {
        const struct rp_chain *chain = &device->unread[rp_slot(device, hostile->published)];

        if (chain->readable && chain->token != 0 && chain->token < hostile->tokens)
            hostile->heads[chain->token] = chain->head + 1u;
    }
    if (more > n) { /* each slot is exposed more than once, and holds what it holds */
        hostile->exposed += more - n;
        more = (uint16_t)n;
    }
    for (; more > 0; more--, hostile->exposed++)
        name(hostile, hostile->exposed, device->shadow_used[rp_slot(device, (uint16_t)hostile->exposed)].id);
}

void rp_hostile_named(struct rp_hostile *hostile, uint32_t id)
{
    rp_hostile_catch_up(hostile);
    name(hostile, hostile->exposed - 1, id);
}

void rp_hostile_offer(struct rp_hostile *hostile, uint64_t token)
{
    if (token == 0 || !room_for(hostile, token))
        return;
    hostile->states[token] = OFFERED;
}

void rp_hostile_offered(struct rp_hostile *hostile, uint64_t token, bool taken)
{
    rp_hostile_catch_up(hostile);
    if (token == 0 || token >= hostile->tokens)
        return;
    if (!taken)
        rp_check(hostile->log, RP_FIND_HOSTILE_TOKEN, hostile->states[token] != RETURNED, token,
                 RP_TOKEN_NOT_HELD);
    if (hostile->states[token] == OFFERED)
        hostile->states[token] = taken ? HELD : UNKNOWN;
}

/* Whether an exposed entry names this head; if so, those before it no longer count. An entry that was written
 * over while it was exposed is what stands in its slot now: it counts as the oldest one of that slot. */
static bool named(struct rp_hostile *hostile, uint32_t head)
{
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < hostile->count; i++) {
        const struct rp_naming *naming = &hostile->namings[i];
        uint64_t ahead = naming->position - hostile->cursor;

        if (naming->id == head && naming->position >= hostile->cursor &&
            ahead % hostile->device->config.queue_size < first)
            first = ahead % hostile->device->config.queue_size;
    }
    if (first != UINT64_MAX)
        hostile->cursor += first + 1;
    return first != UINT64_MAX;
}

/* Whether the oldest entry that still counts names a chain whose token the driver holds. */
static bool names_another(const struct rp_hostile *hostile)
{
    for (uint32_t i = 0; i < hostile->count; i++) {
        if (hostile->namings[i].position != hostile->cursor)
            continue;
        for (uint64_t token = 1; token < hostile->tokens; token++)
            if (hostile->states[token] == HELD && hostile->heads[token] == hostile->namings[i].id + 1u)
                return true;
    }
    return false;
}

static bool holds(const struct rp_hostile *hostile, uint64_t token)
{
    if (token == 0 || token >= hostile->tokens)
        return false;
    return hostile->states[token] == OFFERED || hostile->states[token] == HELD;
}

void rp_hostile_returned(struct rp_hostile *hostile, uint64_t token)
{
    bool held = holds(hostile, token), due = true;
    uint64_t why = RP_TOKEN_NOT_HELD;

    rp_hostile_catch_up(hostile);
    if (held) {
        hostile->states[token] = RETURNED;
        /* With IN_ORDER, entries need not be looked at: the order says whose they are. */
        if (hostile->heads[token] != 0 && !hostile->device->config.in_order && !hostile->blurred)
            due = named(hostile, hostile->heads[token] - 1u);
        if (!due)
            why = names_another(hostile) ? RP_TOKEN_OF_ANOTHER : RP_TOKEN_NAMELESS;
    }
    rp_check(hostile->log, RP_FIND_HOSTILE_TOKEN, held && due, token, why);
}

void rp_hostile_detached(struct rp_hostile *hostile, uint64_t token)
{
    bool held = holds(hostile, token);

    rp_check(hostile->log, RP_FIND_HOSTILE_TOKEN, held, token, RP_TOKEN_NOT_HELD);
    if (held)
        hostile->states[token] = RETURNED;
}

void rp_hostile_refused(struct rp_hostile *hostile)
{
    hostile->gave_up = true;
}
