/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_BYTES_PER_CHECK (256u << 10)

static bool part_fits(const struct rp_arena *arena, uint64_t address, uint64_t bytes, uint64_t alignment)
{
    return address % alignment == 0 && rp_arena_room(arena, address) >= bytes;
}

static bool apart(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    return a + a_bytes <= b || b + b_bytes <= a;
}

/* Where a device that was told only the table's page looks for the other two parts. */
static bool check_legacy(const struct rp_device_config *config, struct rp_log *log)
{
    uint64_t n = config->queue_size, avail = config->desc_address + 16 * n;
    uint64_t used = (avail + 6 + 2 * n + 4095) & ~UINT64_C(4095);
    bool page = config->desc_address % 4096 == 0;
    bool good = page && config->avail_address == avail && config->used_address == used;

    rp_check(log, RP_FIND_RING_PARTS, page, RP_PAIR(1, 4096), config->desc_address);
    if (page) {
        rp_check(log, RP_FIND_RING_PARTS, config->avail_address == avail, RP_PAIR(2, RP_PLACED_LEGACY),
                 config->avail_address);
        rp_check(log, RP_FIND_RING_PARTS, config->used_address == used, RP_PAIR(3, RP_PLACED_LEGACY),
                 config->used_address);
    }
    return good;
}

/* VIRTIO 1.3 section 2.7.1: alignment; section 2.7: three parts of their own. a: which part (1 to 3) and
 * its alignment, or which two overlap and 0, or which
 * is not where section 2.7.2 has it and RP_PLACED_LEGACY; b: the address. */
static bool check_parts(const struct rp_device_config *config, const struct rp_arena *arena,
                        struct rp_log *log)
{
    uint64_t n = config->queue_size;
    const uint64_t address[3] = {config->desc_address, config->avail_address, config->used_address};
    const uint64_t bytes[3] = {16 * n, 6 + 2 * n, 6 + 8 * n};
    const uint64_t alignment[3] = {16, 2, 4};
    bool good = true;

    for (unsigned i = 0; i < 3; i++) {
        bool fits = part_fits(arena, address[i], bytes[i], alignment[i]);
        unsigned other = (i + 1) % 3;

        rp_check(log, RP_FIND_RING_PARTS, fits, RP_PAIR(i + 1, alignment[i]), address[i]);
        good = good && fits;
        if (fits) {
            bool free_of = apart(address[i], bytes[i], address[other], bytes[other]);

            rp_check(log, RP_FIND_RING_PARTS, free_of, RP_PAIR(i + 1, 0), address[other]);
            good = good && free_of;
        }
    }
    return good && (!config->legacy || check_legacy(config, log));
}

/* The driver hands over a used ring that is all zero (a: where; b: what is there) and an avail_idx of 0. */
static void check_zero(struct rp_device *device)
{
    uint32_t words = rp_avail_event_at(device) + 1, at = 0;
    uint16_t idx = device->avail[1];

    while (at < words && device->used[at] == 0)
        at++;
    rp_check(device->log, RP_FIND_RING_NOT_ZERO, at == words, RP_PAIR(3, 2 * at),
             at < words ? device->used[at] : 0);
    rp_check(device->log, RP_FIND_AVAIL_IDX_START, idx == 0, idx, 0);
}

static void *part_memory(const struct rp_arena *arena, uint64_t address)
{
    return arena->memory + (address - RP_ARENA_ADDRESS);
}

static void copy_used(struct rp_device *device)
{
    device->shadow_flags = device->used[0];
    device->shadow_used_idx = device->used[1];
    memcpy(device->shadow_used, (const void *)(uintptr_t)&device->used[2],
           device->config.queue_size * sizeof(device->shadow_used[0]));
    device->shadow_avail_event = device->used[rp_avail_event_at(device)];
}

bool rp_device_create(struct rp_device *device, const struct rp_device_config *config,
                      const struct rp_arena *arena, struct rp_log *log)
{
    uint32_t n = config->queue_size;

    memset(device, 0, sizeof(*device));
    device->config = *config;
    device->arena = arena;
    device->log = log;
    if (!check_parts(config, arena, log))
        return false;
    device->desc = part_memory(arena, config->desc_address);
    device->avail = part_memory(arena, config->avail_address);
    device->used = part_memory(arena, config->used_address);
    device->shadow_desc = calloc(n, sizeof(device->shadow_desc[0]));
    device->shadow_avail = calloc(n, sizeof(device->shadow_avail[0]));
    device->shadow_used = calloc(n, sizeof(device->shadow_used[0]));
    device->unread = calloc(n, sizeof(device->unread[0]));
    device->in_flight = calloc(n, sizeof(device->in_flight[0]));
    device->owners = calloc(n, sizeof(device->owners[0]));
    device->heads = calloc(n, sizeof(device->heads[0]));
    device->offers = calloc(RP_OFFERS, sizeof(device->offers[0]));
    device->completions = calloc(RP_COMPLETIONS, sizeof(device->completions[0]));
    device->pieces = calloc(RP_PIECES, sizeof(device->pieces[0]));
    if (!device->shadow_desc || !device->shadow_avail || !device->shadow_used || !device->unread ||
        !device->in_flight || !device->owners || !device->heads || !device->offers || !device->completions ||
        !device->pieces)
        return false;
    check_zero(device);
    copy_used(device);
    device->callbacks_on = config->has_callback;
    device->asleep = config->has_callback;
    rp_device_observe(device);
    return true;
}

void rp_device_destroy(struct rp_device *device)
{
    free(device->shadow_desc);
    free(device->shadow_avail);
    free(device->shadow_used);
    free(device->unread);
    free(device->in_flight);
    free(device->owners);
    free(device->heads);
    free(device->offers);
    free(device->completions);
    free(device->pieces);
    free(device->detached);
    memset(device, 0, sizeof(*device));
}

/* a: byte offset in the used ring; b: seen and expected. */
static void check_used_word(struct rp_device *device, uint32_t at, uint32_t seen, uint32_t expected)
{
    rp_check(device->log, RP_FIND_USED_WRITTEN, seen == expected, at, RP_PAIR(seen, expected));
}

static void check_words(struct rp_device *device)
{
    uint16_t flags = device->avail[0];
    uint32_t event_at = rp_avail_event_at(device);

    if (device->config.event_idx)
        rp_check(device->log, RP_FIND_AVAIL_FLAGS_EVENT, flags == 0, flags, 0);
    else
        rp_check(device->log, RP_FIND_AVAIL_FLAGS, (flags & ~1u) == 0, flags, 1);
    check_used_word(device, 0, device->used[0], device->shadow_flags);
    check_used_word(device, 2, device->used[1], device->shadow_used_idx);
    check_used_word(device, 2 * event_at, device->used[event_at], device->shadow_avail_event);
}

void rp_device_observe(struct rp_device *device)
{
    uint32_t n = device->config.queue_size;
    uint16_t idx, new;
    uint64_t outstanding;

    if (device->over)
        return;
    check_words(device);
    idx = rp_avail_idx(device);
    new = (uint16_t)(idx - (uint16_t)device->published);
    if (new == 0)
        return;
    if (device->config.hostile && new > device->offered + device->offering - device->published)
        return; /* the device's own doing: it must not lead itself astray */
    outstanding = device->published - device->completed_count + new;
    rp_check(device->log, RP_FIND_AVAIL_BACKWARDS, new <= 32768, idx, device->published & 0xffffu);
    if (new > 32768)
        return;
    rp_check(device->log, RP_FIND_TOO_MANY_OUTSTANDING, outstanding <= n, outstanding, n);
    if (outstanding > n)
        return; /* no device could make sense of this; it waits for better days */
    for (; new > 0; new--) {
        rp_chain_accept(device, &device->unread[rp_slot(device, device->published)]);
        device->published++;
    }
}

uint32_t rp_device_read(struct rp_device *device, uint32_t limit, uint32_t *crc)
{
    uint32_t count = 0;

    *crc = 0;
    rp_device_observe(device);
    while (device->read_count < device->published && (limit == 0 || count < limit)) {
        uint32_t slot = rp_slot(device, device->read_count++);
        const struct rp_chain *chain = &device->unread[slot];
        uint16_t head = device->avail[2 + slot];

        rp_check(device->log, RP_FIND_CHAIN_CHANGED, head == device->shadow_avail[slot],
                 RP_PAIR(RP_PLACE_AVAIL_SLOT, slot), RP_PAIR(head, device->shadow_avail[slot]));
        if (!chain->readable) {
            device->completed_count++; /* nothing can come of it */
            continue;
        }
        rp_chain_verify(device, chain, crc);
        device->in_flight[device->in_flight_count++] = *chain;
        count++;
    }
    return count;
}

/* Gives a chain's descriptors back, before anyone can see that it is used. */
static void disown(struct rp_device *device, const struct rp_chain *chain)
{
    uint32_t at = chain->head;

    device->heads[at] = 0;
    for (uint32_t i = 0; i < chain->descriptors && at < device->config.queue_size; i++) {
        if (device->owners[at] == chain->mark) {
            device->owners[at] = 0;
            device->owned--;
        }
        at = device->shadow_desc[at].next;
    }
}

/* Writes the used entry at `idx` that retires this chain. */
static void enter(struct rp_device *device, const struct rp_chain *chain, uint16_t idx, uint32_t length)
{
    uint32_t slot = rp_slot(device, idx);
    volatile struct rp_used_entry *entry =
        (volatile struct rp_used_entry *)(volatile void *)&device->used[2 + 4 * slot];
    struct rp_used_entry *shadow = &device->shadow_used[slot];

    check_used_word(device, 4 + 8 * slot, entry->id, shadow->id);
    check_used_word(device, 8 + 8 * slot, entry->length, shadow->length);
    shadow->id = chain->head;
    shadow->length = length;
    entry->id = shadow->id;
    entry->length = shadow->length;
}

static uint32_t length_of(const struct rp_chain *chain, uint32_t kind)
{
    return (kind & RP_COMPLETED_TOTAL) != 0 ? (uint32_t)chain->bytes : chain->writable;
}

/* The device is done with a chain: it is the driver's again, and its token may come back. */
static void retire(struct rp_device *device, const struct rp_chain *chain, uint32_t kind)
{
    rp_chain_verify(device, chain, NULL);
    disown(device, chain);
    rp_ledger_completed(device, chain, length_of(chain, kind), kind);
}

/* Section 2.7.9: the entry of the last one, at the first one's slot, retires all. */
static void retire_batch(struct rp_device *device, uint32_t count, uint16_t idx, uint32_t kind)
{
    kind |= count > 1 ? RP_COMPLETED_BATCH : 0;
    for (uint32_t i = 0; i + 1 < count; i++)
        retire(device, &device->in_flight[i], kind | RP_COMPLETED_SKIPPED);
    if (count > 0) {
        const struct rp_chain *last = &device->in_flight[count - 1];

        retire(device, last, kind);
        enter(device, last, idx, length_of(last, kind));
    }
    device->in_flight_count -= count;
    memmove(device->in_flight, device->in_flight + count,
            device->in_flight_count * sizeof(device->in_flight[0]));
}

uint32_t rp_device_complete(struct rp_device *device, uint32_t pick, uint32_t stride, uint32_t count,
                            bool total, bool *due)
{
    uint16_t old = device->shadow_used_idx, new;
    uint32_t done, kind = total && device->config.legacy ? RP_COMPLETED_TOTAL : 0;

    rp_device_observe(device);
    done = count < device->in_flight_count ? count : device->in_flight_count;
    if (device->config.in_order) {
        retire_batch(device, done, old, kind);
    } else {
        for (uint32_t i = 0; i < done; i++) {
            uint32_t at = (uint32_t)((pick + (uint64_t)i * stride) % device->in_flight_count);
            const struct rp_chain *chain = &device->in_flight[at];

            retire(device, chain, kind);
            enter(device, chain, (uint16_t)(old + i), length_of(chain, kind));
            device->in_flight[at] = device->in_flight[--device->in_flight_count];
        }
    }
    new = (uint16_t)(old + done);
    device->completed_count += done;
    device->shadow_used_idx = new;
    __atomic_store_n(&device->used[1], new, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *due = rp_notice_completion(device, old, new);
    return done;
}

static void check_used_ring(struct rp_device *device)
{
    const uint8_t *ring = (const uint8_t *)(uintptr_t)&device->used[2];
    uint32_t bytes = device->config.queue_size * (uint32_t)sizeof(device->shadow_used[0]), at = 0;
    uint32_t seen = 0, expected = 0;

    if (memcmp(ring, device->shadow_used, bytes) == 0) {
        check_used_word(device, 4, 0, 0);
        return;
    }
    for (; at < bytes && seen == expected; at += 4) {
        memcpy(&seen, ring + at, 4);
        memcpy(&expected, (const uint8_t *)device->shadow_used + at, 4);
    }
    check_used_word(device, at, seen, expected); /* `at` is 4 too far; the ring begins at 4 */
}

static void check_descriptors(struct rp_device *device)
{
    const uint8_t *table = (const uint8_t *)(uintptr_t)device->desc;

    for (uint32_t i = 0; i < device->config.queue_size; i++)
        if (device->owners[i] != 0)
            rp_check(device->log, RP_FIND_CHAIN_CHANGED,
                     memcmp(table + 16 * (size_t)i, &device->shadow_desc[i], 16) == 0,
                     RP_PAIR(RP_PLACE_DESCRIPTOR, i), 0);
}

void rp_device_check(struct rp_device *device, bool tables)
{
    uint32_t budget = tables ? UINT32_MAX : TABLE_BYTES_PER_CHECK;

    if (device->over)
        return;
    rp_device_observe(device);
    check_used_ring(device);
    check_descriptors(device);
    for (uint64_t entry = device->read_count; entry < device->published; entry++) {
        uint32_t slot = rp_slot(device, entry);
        uint16_t head = device->avail[2 + slot];

        rp_check(device->log, RP_FIND_CHAIN_CHANGED, head == device->shadow_avail[slot],
                 RP_PAIR(RP_PLACE_AVAIL_SLOT, slot), RP_PAIR(head, device->shadow_avail[slot]));
    }
    for (uint32_t i = 0; i < device->in_flight_count && budget > 0; i++) {
        const struct rp_chain *chain = &device->in_flight[device->table_cursor++ % device->in_flight_count];

        rp_chain_verify_table(device, chain);
        budget -= chain->table_bytes < budget ? chain->table_bytes : budget;
    }
}
