/* SPDX-License-Identifier: Apache-2.0 */
/* What one chain must be when it is published, and must stay until it is completed. */
#include "crc32.h"
#include "device.h"

#include <stddef.h>
#include <string.h>

#define KNOWN_FLAGS (RP_DESC_NEXT | RP_DESC_WRITE | RP_DESC_INDIRECT)

/* What a walk has met so far. */
struct walk {
    struct rp_device *device;
    struct rp_chain  *chain;
    uint32_t          pieces;
    bool              writable_seen;
};

static struct rp_descriptor load(const volatile struct rp_descriptor *from)
{
    struct rp_descriptor copy = {from->address, from->length, from->flags, from->next};

    return copy;
}

static bool same(const struct rp_descriptor *a, const struct rp_descriptor *b)
{
    return a->address == b->address && a->length == b->length && a->flags == b->flags && a->next == b->next;
}

static bool overlaps(uint64_t address, uint32_t length, uint64_t part, uint64_t bytes)
{
    return address < part + bytes && part < address + length;
}

/* Data lies in the buffers or in one live block of the arena, and never in the ring itself. */
static bool reachable(const struct rp_device *device, uint64_t address, uint32_t length)
{
    uint64_t n = device->config.queue_size;

    if (address - RP_BUFFER_ADDRESS < RP_BUFFER_BYTES)
        return length <= RP_BUFFER_BYTES - (address - RP_BUFFER_ADDRESS);
    return rp_arena_room(device->arena, address) >= (length > 0 ? length : 1) &&
           !overlaps(address, length, device->config.desc_address, 16 * n) &&
           !overlaps(address, length, device->config.avail_address, 6 + 2 * n) &&
           !overlaps(address, length, device->config.used_address, 6 + 8 * n);
}

static void add_piece(struct walk *walk, const struct rp_descriptor *descriptor)
{
    struct rp_device *device = walk->device;
    bool write = (descriptor->flags & RP_DESC_WRITE) != 0;

    rp_check(device->log, RP_FIND_FLAG_UNASSIGNED, (descriptor->flags & ~KNOWN_FLAGS) == 0, descriptor->flags,
             KNOWN_FLAGS);
    rp_check(device->log, RP_FIND_WRITE_BEFORE_READ, write || !walk->writable_seen, walk->pieces,
             walk->chain->head);
    rp_check(device->log, RP_FIND_ADDRESS_UNMAPPED,
             reachable(device, descriptor->address, descriptor->length), descriptor->address,
             descriptor->length);
    walk->writable_seen = walk->writable_seen || write;
    if (write)
        walk->chain->writable += descriptor->length;
    if (walk->pieces < RP_PIECES) {
        struct rp_piece piece = {descriptor->address, descriptor->length, write};

        device->pieces[walk->pieces] = piece;
    }
    walk->pieces++;
}

/* A table's memory; only of one that was found to lie in the arena. It need not be aligned. */
static const uint8_t *table_memory(const struct rp_device *device, uint64_t address)
{
    return device->arena->memory + (address - RP_ARENA_ADDRESS);
}

/* Whether an indirect descriptor's table can be read. */
static bool table_readable(struct rp_device *device, uint64_t address, uint32_t bytes)
{
    bool whole = bytes > 0 && bytes % 16 == 0 && bytes / 16 <= 65535;
    bool mapped;

    rp_check(device->log, RP_FIND_INDIRECT_LENGTH, whole, bytes, 16);
    if (bytes < 16)
        return false;
    mapped = rp_arena_room(device->arena, address) >= bytes;
    rp_check(device->log, RP_FIND_ADDRESS_UNMAPPED, mapped, address, bytes);
    return mapped;
}

static uint64_t sum_of(const uint8_t *table, uint32_t bytes)
{
    uint64_t sum = bytes;

    for (uint32_t i = 0; i < bytes; i += 8) {
        uint64_t word;

        memcpy(&word, table + i, 8);
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    return sum;
}

static void walk_table(struct walk *walk, const struct rp_descriptor *indirect)
{
    struct rp_device *device = walk->device;
    const uint8_t *table;
    uint32_t entries = indirect->length / 16, at = 0, steps = 0;

    if (!table_readable(device, indirect->address, indirect->length))
        return;
    table = table_memory(device, indirect->address);
    if (entries > RP_PIECES)
        entries = RP_PIECES;
    walk->chain->table_address = indirect->address;
    walk->chain->table_bytes = entries * 16;
    walk->chain->table_sum = sum_of(table, entries * 16);
    for (;;) {
        struct rp_descriptor entry;

        memcpy(&entry, table + 16 * (size_t)at, sizeof(entry));
        rp_check(device->log, RP_FIND_INDIRECT_NESTED, (entry.flags & RP_DESC_INDIRECT) == 0, at,
                 walk->chain->head);
        add_piece(walk, &entry);
        if ((entry.flags & RP_DESC_NEXT) == 0)
            return;
        rp_check(device->log, RP_FIND_NEXT_RANGE, entry.next < entries, RP_PAIR(at, entry.next), entries);
        if (entry.next >= entries)
            return;
        steps++;
        rp_check(device->log, RP_FIND_CHAIN_LOOP, steps < entries, entry.next, walk->chain->head);
        if (steps >= entries)
            return;
        at = entry.next;
    }
}

/* Takes a descriptor into the device's hands; false when the chain has met itself. */
static bool take(struct walk *walk, uint32_t at)
{
    struct rp_device *device = walk->device;
    uint32_t owner = device->owners[at];

    rp_check(device->log, RP_FIND_CHAIN_LOOP, owner != walk->chain->mark, at, walk->chain->head);
    if (owner == walk->chain->mark)
        return false;
    rp_check(device->log, RP_FIND_DESCRIPTOR_REUSED, owner == 0, at, RP_PAIR(walk->chain->head, owner - 1u));
    device->owned += owner == 0;
    device->owners[at] = walk->chain->mark;
    device->shadow_desc[at] = load(&device->desc[at]);
    walk->chain->descriptors++;
    return true;
}

static void walk_chain(struct walk *walk)
{
    struct rp_device *device = walk->device;
    uint32_t n = device->config.queue_size, at = walk->chain->head;

    while (take(walk, at)) {
        const struct rp_descriptor *descriptor = &device->shadow_desc[at];
        bool indirect = (descriptor->flags & RP_DESC_INDIRECT) != 0;
        bool next = (descriptor->flags & RP_DESC_NEXT) != 0;

        if (indirect) {
            rp_check(device->log, RP_FIND_INDIRECT_UNNEGOTIATED, device->config.indirect, at, 0);
            rp_check(device->log, RP_FIND_INDIRECT_AND_NEXT, !next, at, descriptor->flags);
            walk_table(walk, descriptor);
            return;
        }
        add_piece(walk, descriptor);
        if (!next)
            return;
        rp_check(device->log, RP_FIND_NEXT_RANGE, descriptor->next < n, RP_PAIR(at, descriptor->next), n);
        if (descriptor->next >= n)
            return;
        at = descriptor->next;
    }
}

/* The segment an add must have offered; written from the docstring of operations.py. */
static struct rp_piece expected_piece(const struct rp_offer *offer, uint32_t index)
{
    uint32_t x = offer->seed + index * 0x9e3779b1u;
    struct rp_piece piece = {RP_BUFFER_ADDRESS + (x >> 8 & 0xffff0u), 1 + (x & 0x1ffffu), index >= offer->out};

    return piece;
}

static void compare(struct rp_device *device, const struct rp_offer *offer, uint32_t pieces)
{
    uint32_t segments = offer->out + offer->in;
    uint64_t a = RP_PAIR(offer->token, 0), b = RP_PAIR(RP_DIFFERS_COUNT, pieces);
    bool holds = pieces == segments;

    for (uint32_t i = 0; holds && i < pieces && i < RP_PIECES; i++) {
        struct rp_piece want = expected_piece(offer, i);
        const struct rp_piece *got = &device->pieces[i];

        if (got->address != want.address)
            b = RP_PAIR(RP_DIFFERS_ADDRESS, got->address - RP_BUFFER_ADDRESS);
        else if (got->length != want.length)
            b = RP_PAIR(RP_DIFFERS_LENGTH, got->length);
        else if (got->write != want.write)
            b = RP_PAIR(RP_DIFFERS_WRITE, got->write);
        else
            continue;
        a = RP_PAIR(offer->token, i);
        holds = false;
    }
    rp_check(device->log, RP_FIND_CHAIN_DIFFERS, holds, holds ? 0 : a, holds ? 0 : b);
}

void rp_chain_accept(struct rp_device *device, struct rp_chain *chain)
{
    uint32_t n = device->config.queue_size, slot = (uint32_t)(device->published & (n - 1));
    const struct rp_offer *offer = rp_ledger_claim(device);
    struct walk walk = {device, chain, 0, false};

    memset(chain, 0, sizeof(*chain));
    chain->token = offer != NULL ? offer->token : 0;
    chain->mark = (uint32_t)(device->published % UINT32_MAX) + 1u;
    chain->head = device->avail[2 + slot];
    chain->readable = chain->head < n;
    device->shadow_avail[slot] = chain->head;
    rp_check(device->log, RP_FIND_HEAD_RANGE, chain->readable, chain->head, n);
    if (!chain->readable)
        return;
    walk_chain(&walk);
    device->descriptors += chain->descriptors;
    rp_check(device->log, RP_FIND_CHAIN_TOO_LONG, walk.pieces <= n, walk.pieces, n);
    if (offer != NULL)
        compare(device, offer, walk.pieces);
}

static void sum_piece(uint32_t *crc, const struct rp_descriptor *descriptor)
{
    struct rp_piece piece = {descriptor->address, descriptor->length,
                             (descriptor->flags & RP_DESC_WRITE) != 0};

    _Static_assert(sizeof(piece) == 16, "a piece is summed as it lies in memory");
    *crc = rp_crc32(*crc, &piece, sizeof(piece));
}

void rp_chain_verify_table(struct rp_device *device, const struct rp_chain *chain)
{
    uint64_t sum;

    if (chain->table_address == 0)
        return;
    sum = sum_of(table_memory(device, chain->table_address), chain->table_bytes);
    rp_check(device->log, RP_FIND_TABLE_CHANGED, sum == chain->table_sum, chain->table_address,
             RP_PAIR(chain->table_bytes, chain->head));
}

static void sum_table(struct rp_device *device, const struct rp_chain *chain, uint32_t *crc)
{
    const uint8_t *table = table_memory(device, chain->table_address);
    uint32_t entries = chain->table_bytes / 16, at = 0;

    for (uint32_t steps = 0; steps < entries; steps++) {
        struct rp_descriptor entry;

        memcpy(&entry, table + 16 * (size_t)at, sizeof(entry));
        sum_piece(crc, &entry);
        if ((entry.flags & RP_DESC_NEXT) == 0 || entry.next >= entries)
            return;
        at = entry.next;
    }
}

void rp_chain_verify(struct rp_device *device, const struct rp_chain *chain, uint32_t *crc)
{
    uint32_t at = chain->head;

    for (uint32_t i = 0; i < chain->descriptors; i++) {
        const struct rp_descriptor *was = &device->shadow_desc[at];
        struct rp_descriptor is = load(&device->desc[at]);

        rp_check(device->log, RP_FIND_CHAIN_CHANGED, same(&is, was), RP_PAIR(RP_PLACE_DESCRIPTOR, at),
                 chain->head);
        if (crc != NULL && (was->flags & RP_DESC_INDIRECT) == 0)
            sum_piece(crc, was);
        at = was->next;
        if (at >= device->config.queue_size)
            break;
    }
    rp_chain_verify_table(device, chain);
    if (crc != NULL && chain->table_address != 0)
        sum_table(device, chain, crc);
}
