/* SPDX-License-Identifier: Apache-2.0 */
/* Offers become published chains, completed chains become returned tokens: both first in, first out. */
#include "device.h"

#include <stdlib.h>

void rp_ledger_offer(struct rp_device *device, struct rp_offer offer)
{
    device->offers[device->offered % RP_OFFERS] = offer;
    device->offering = true;
    device->offered_to_empty = device->descriptors + device->offered_segments == 0;
}

static uint64_t segments_of(const struct rp_offer *offer)
{
    return (uint64_t)offer->out + offer->in;
}

/* The offer stands: the next entry is its, or was already (a driver may kick within add). */
static void keep(struct rp_device *device)
{
    if (device->published <= device->offered)
        device->offered_segments += segments_of(&device->offers[device->offered % RP_OFFERS]);
    device->offered++;
}

void rp_ledger_offered(struct rp_device *device, bool taken)
{
    bool published = device->published > device->offered;

    device->offering = false;
    if (taken) {
        const struct rp_offer *offer = &device->offers[device->offered % RP_OFFERS];
        uint32_t *longest = &device->longest_taken[offer->in > 0];

        if (segments_of(offer) > *longest)
            *longest = (uint32_t)segments_of(offer);
        if (device->offered_to_empty)
            rp_check(device->log, RP_FIND_REFUSED_WHEN_EMPTY, true, 0, 0);
        keep(device);
    } else if (published) {
        /* An add that was refused has published a chain all the same; counting it keeps the two in step. */
        rp_check(device->log, RP_FIND_CHAIN_UNKNOWN, false, device->published, device->offered);
        device->offered++;
    }
}

const struct rp_offer *rp_ledger_claim(struct rp_device *device)
{
    uint64_t entry = device->published;
    const struct rp_offer *offer = &device->offers[entry % RP_OFFERS];
    bool known = entry < device->offered + (device->offering ? 1 : 0);

    rp_check(device->log, RP_FIND_CHAIN_UNKNOWN, known, entry + 1, device->offered);
    if (!known) {
        device->offered = entry + 1;
        return NULL;
    }
    if (entry + RP_OFFERS < device->offered) {
        device->offered_segments = 0; /* so far behind that its offer was overwritten; nothing is known */
        return NULL;
    }
    if (entry < device->offered && segments_of(offer) <= device->offered_segments)
        device->offered_segments -= segments_of(offer);
    return offer;
}

void rp_ledger_refused(struct rp_device *device, uint64_t segments)
{
    uint64_t taken = device->descriptors + device->offered_segments, n = device->config.queue_size;
    uint64_t free_count = taken < n ? n - taken : 0;

    if (taken == 0)
        rp_check(device->log, RP_FIND_REFUSED_WHEN_EMPTY, segments > n, segments, n);
    else
        rp_check(device->log, RP_FIND_REFUSED_THOUGH_FREE, segments > free_count, segments, free_count);
}

bool rp_ledger_declined(struct rp_device *device, uint64_t segments, bool writable)
{
    uint64_t n = device->config.queue_size;

    if (segments > n)
        return true;
    if (segments <= device->longest_taken[writable] || (segments == 1 && !writable))
        return false;
    rp_check(device->log, RP_FIND_CHAIN_DECLINED, false, RP_PAIR(writable, segments), n);
    return true;
}

void rp_ledger_completed(struct rp_device *device, const struct rp_chain *chain, uint32_t length,
                         uint32_t kind)
{
    struct rp_completion completion = {chain->token, length, (uint32_t)chain->bytes, chain->descriptors, kind};

    if (device->completions_in - device->completions_out == RP_COMPLETIONS)
        device->completions_out++;
    /* Any number may wait: a driver is free to take them off the ring before it is asked for them. */
    device->completions[device->completions_in++ % RP_COMPLETIONS] = completion;
}

uint64_t rp_ledger_waiting(const struct rp_device *device)
{
    return device->completions_in - device->completions_out;
}

const struct rp_completion *rp_ledger_oldest(const struct rp_device *device)
{
    return rp_ledger_waiting(device) > 0 ? &device->completions[device->completions_out % RP_COMPLETIONS] : NULL;
}

/* Whether a driver may return a chain with this length. What it says of one whose entry tells more than was
 * written has no meaning, and of a buffer without an entry it may as well say how long it is. */
static bool length_fits(const struct rp_completion *expected, uint32_t length)
{
    return length == expected->length || (expected->kind & RP_COMPLETED_TOTAL) != 0 ||
           ((expected->kind & RP_COMPLETED_SKIPPED) != 0 && length == expected->total);
}

void rp_ledger_returned(struct rp_device *device, uint64_t token, uint32_t length)
{
    struct rp_completion expected = {0, 0, 0, 0, 0};
    bool right, of_batch;

    if (rp_ledger_waiting(device) > 0) {
        expected = device->completions[device->completions_out++ % RP_COMPLETIONS];
        device->descriptors -= expected.descriptors;
    }
    right = token == expected.token && token != 0;
    of_batch = (expected.kind & RP_COMPLETED_BATCH) != 0 || (expected.token == 0 && device->after_batch);
    if (of_batch)
        rp_check(device->log, RP_FIND_BATCH_RETIRED, right, token, expected.token);
    if ((expected.kind & RP_COMPLETED_TOTAL) != 0)
        rp_check(device->log, RP_FIND_USED_LENGTH, right, expected.length, RP_OP_GET);
    if (right)
        rp_check(device->log, RP_FIND_TOKEN_WRONG, length_fits(&expected, length), RP_SEEN_LENGTH | length,
                 RP_SEEN_LENGTH | expected.length);
    else if (!of_batch) /* the one finding says it all */
        rp_check(device->log, RP_FIND_TOKEN_WRONG, false, token & ~RP_SEEN_LENGTH, expected.token);
    device->after_batch = of_batch;
}

void rp_ledger_nothing(struct rp_device *device)
{
    const struct rp_completion *oldest = rp_ledger_oldest(device);

    if (oldest != NULL && (oldest->kind & RP_COMPLETED_TOTAL) != 0)
        rp_check(device->log, RP_FIND_USED_LENGTH, false, oldest->length, RP_OP_GET);
    if (oldest == NULL && device->after_batch)
        rp_check(device->log, RP_FIND_BATCH_RETIRED, true, 0, 0);
    if (oldest != NULL && (oldest->kind & RP_COMPLETED_BATCH) != 0)
        rp_check(device->log, RP_FIND_BATCH_RETIRED, false, 0, oldest->token);
    else
        rp_check(device->log, RP_FIND_TOKEN_MISSING, oldest == NULL, rp_ledger_waiting(device),
                 oldest != NULL ? oldest->token : 0);
}

static int ascending(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

/* Writes down which tokens the driver still holds, doubled, plus one for those of completed chains, which it
 * may or may not give back; in ascending order. */
static void list_detachable(struct rp_device *device)
{
    uint32_t n = device->config.queue_size;
    uint64_t entry;

    device->over = true;
    device->detached_count = 0;
    device->detached = calloc((size_t)n * 2 + RP_OFFERS + RP_COMPLETIONS, sizeof(device->detached[0]));
    if (device->detached == NULL)
        return;
    for (uint32_t i = 0; i < device->in_flight_count; i++)
        device->detached[device->detached_count++] = device->in_flight[i].token << 1;
    for (entry = device->read_count; entry < device->published; entry++)
        if (device->unread[rp_slot(device, entry)].readable)
            device->detached[device->detached_count++] = device->unread[rp_slot(device, entry)].token << 1;
    for (entry = device->published; entry < device->offered && entry - device->published < RP_OFFERS; entry++)
        device->detached[device->detached_count++] = device->offers[entry % RP_OFFERS].token << 1;
    for (entry = device->completions_out; entry < device->completions_in; entry++)
        device->detached[device->detached_count++] =
            device->completions[entry % RP_COMPLETIONS].token << 1 | 1;
    qsort(device->detached, device->detached_count, sizeof(device->detached[0]), ascending);
}

static uint64_t *find_detachable(struct rp_device *device, uint64_t token)
{
    for (uint64_t optional = 0; optional < 2; optional++) {
        uint64_t key = token << 1 | optional;
        uint64_t *found = bsearch(&key, device->detached, device->detached_count, sizeof(key), ascending);

        if (found != NULL)
            return found;
    }
    return NULL;
}

void rp_ledger_detaching(struct rp_device *device)
{
    if (!device->over)
        list_detachable(device);
}

void rp_ledger_detached(struct rp_device *device, bool found, uint64_t token)
{
    uint64_t *place, left = 0, first = 0;

    if (device->detached == NULL)
        return;
    if (found) {
        place = token != 0 ? find_detachable(device, token) : NULL;
        rp_check(device->log, RP_FIND_TOKEN_WRONG, place != NULL, token & ~RP_SEEN_LENGTH, 0);
        if (place != NULL) {
            size_t behind = (size_t)(device->detached + device->detached_count - (place + 1));

            for (size_t i = 0; i < behind; i++)
                place[i] = place[i + 1];
            device->detached_count--;
        }
        return;
    }
    for (uint32_t i = 0; i < device->detached_count; i++) {
        if ((device->detached[i] & 1) == 0 && device->detached[i] != 0) {
            first = left++ == 0 ? device->detached[i] >> 1 : first;
        }
    }
    rp_check(device->log, RP_FIND_TOKEN_MISSING, left == 0, left, first);
}
