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
    uint32_t          entries; /* of its table */
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

/* The mapping an address lies in, if the driver maps; noting which chain named it. */
static const struct rp_mapping *mapped(const struct rp_device *device, const struct rp_chain *chain,
                                       uint64_t address)
{
    struct rp_mapping *mapping = device->config.maps != NULL ? rp_maps_find(device->config.maps, address) : NULL;

    if (mapping != NULL && chain != NULL) {
        mapping->mark = chain->mark;
        mapping->head = chain->head;
    }
    return mapping;
}

/* Data lies in the buffers, or in what the driver has mapped, or in one live block of the arena, and never in
 * the ring itself. */
static bool reachable(const struct rp_device *device, const struct rp_chain *chain, uint64_t address,
                      uint32_t length)
{
    uint64_t n = device->config.queue_size;

    if (address - RP_BUFFER_ADDRESS < RP_BUFFER_BYTES && device->config.maps == NULL)
        return length <= RP_BUFFER_BYTES - (address - RP_BUFFER_ADDRESS);
    if (address >= RP_MAP_ADDRESS) {
        const struct rp_mapping *mapping = mapped(device, chain, address);

        return mapping != NULL && length <= mapping->length - (address - mapping->address);
    }
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
             reachable(device, walk->chain, descriptor->address, descriptor->length), descriptor->address,
             descriptor->length);
    walk->chain->bytes += descriptor->length;
    walk->writable_seen = walk->writable_seen || write;
    if (write)
        walk->chain->writable += descriptor->length;
    if (walk->pieces < RP_PIECES) {
        struct rp_piece piece = {rp_maps_translate(device->config.maps, descriptor->address),
                                 descriptor->length, write};

        device->pieces[walk->pieces] = piece;
    }
    walk->pieces++;
}

/* A table's memory; only of one that was found to be reachable. It need not be aligned. Null if it was mapped
 * and is no more. */
static const uint8_t *table_memory(const struct rp_device *device, uint64_t address)
{
    if (address >= RP_MAP_ADDRESS) {
        const struct rp_mapping *mapping = mapped(device, NULL, address);

        return mapping != NULL ? mapping->data + (address - mapping->address) : NULL;
    }
    return device->arena->memory + (address - RP_ARENA_ADDRESS);
}

/* Whether an indirect descriptor's table can be read. */
static bool table_readable(struct rp_device *device, const struct rp_chain *chain, uint64_t address,
                           uint32_t bytes)
{
    bool whole = bytes > 0 && bytes % 16 == 0 && bytes / 16 <= 65535;
    const struct rp_mapping *mapping;
    bool there;

    rp_check(device->log, RP_FIND_INDIRECT_LENGTH, whole, bytes, 16);
    if (bytes < 16)
        return false;
    mapping = mapped(device, chain, address);
    there = mapping != NULL ? bytes <= mapping->length - (address - mapping->address)
                            : rp_arena_room(device->arena, address) >= bytes;
    rp_check(device->log, RP_FIND_ADDRESS_UNMAPPED, there, address, bytes);
    return there;
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

    if (!table_readable(device, walk->chain, indirect->address, indirect->length))
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
        walk->entries++;
        if ((entry.flags & RP_DESC_NEXT) == 0)
            return;
        if (device->config.in_order)
            rp_check(device->log, RP_FIND_IN_ORDER_TABLE, entry.next == at + 1, RP_PAIR(at, entry.next),
                     walk->chain->head);
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
        if (device->config.in_order)
            rp_check(device->log, RP_FIND_IN_ORDER_NEXT, descriptor->next == (at + 1 < n ? at + 1 : 0),
                     RP_PAIR(at, descriptor->next), at + 1 < n ? at + 1 : 0);
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

/* Whether the pieces name, in order, just the bytes that the segments do: a driver may part a segment, at the
 * end of a page say, or join two that follow each other in memory. */
static bool same_bytes(const struct rp_device *device, const struct rp_offer *offer, uint32_t pieces)
{
    uint32_t segments = offer->out + offer->in, at = 0;
    uint64_t done = 0; /* of segment `at` */

    for (uint32_t i = 0; i < pieces; i++) {
        const struct rp_piece *got = &device->pieces[i];
        uint64_t seen = 0;

        if (got->length == 0)
            return false;
        while (seen < got->length) {
            struct rp_piece want = expected_piece(offer, at);
            uint64_t left = got->length - seen, step = want.length - done < left ? want.length - done : left;

            if (at == segments || got->write != want.write || got->address + seen != want.address + done)
                return false;
            seen += step;
            done += step;
            if (done == want.length) {
                done = 0;
                at++;
            }
        }
    }
    return at == segments;
}

static void compare(struct rp_device *device, struct rp_chain *chain, const struct rp_offer *offer,
                    uint32_t pieces)
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
    if (!holds && pieces <= RP_PIECES && same_bytes(device, offer, pieces)) {
        holds = chain->parted = true;
        chain->seed = offer->seed;
        chain->out = offer->out;
        chain->in = offer->in;
    }
    rp_check(device->log, RP_FIND_CHAIN_DIFFERS, holds, holds ? 0 : a, holds ? 0 : b);
}

/* How many descriptors a chain may have without giving rise to a question: two for each segment, as a segment
 * may lie across the end of a page, and one for each page that a driver has reason to part it at (a segment of
 * so many bytes lies on no more than two pages more than it fills); two more for an indirect table and a header.
 * A driver that needs more writes descriptors for less than the pages of its data. */
static uint64_t reasonable(const struct rp_offer *offer)
{
    uint32_t segments = offer->out + offer->in;
    uint64_t most = 2 * (uint64_t)segments + 2;

    for (uint32_t i = 0; i < segments; i++)
        most += expected_piece(offer, i).length / 4096u;
    return most;
}

static void count_descriptors(struct walk *walk, const struct rp_offer *offer)
{
    uint64_t all = (uint64_t)walk->chain->descriptors + walk->entries;
    uint64_t segments = (uint64_t)offer->out + offer->in;

    rp_check(walk->device->log, RP_FIND_MANY_DESCRIPTORS, all <= 2 * segments + 2 || all <= reasonable(offer),
             all, segments);
}

/* The head that is already out, in a slot that was published anew: the slot was skipped, if the chain there is
 * still the old one. (A new chain in descriptors that were not free is another fault: DESCRIPTOR_REUSED.) */
static bool repeated(struct rp_device *device, uint16_t head)
{
    struct rp_descriptor now;

    if (device->heads[head] == 0)
        return false;
    now = load(&device->desc[head]);
    return same(&now, &device->shadow_desc[head]);
}

static void check_head(struct rp_device *device, const struct rp_chain *chain)
{
    uint32_t n = device->config.queue_size;

    if (!device->config.in_order)
        return;
    rp_check(device->log, RP_FIND_IN_ORDER_HEAD, chain->head == device->next_head, chain->head,
             device->next_head);
    device->next_head = (chain->head + chain->descriptors) % n;
}

void rp_chain_accept(struct rp_device *device, struct rp_chain *chain)
{
    uint32_t n = device->config.queue_size, slot = rp_slot(device, device->published);
    const struct rp_offer *offer = rp_ledger_claim(device);
    struct walk walk = {device, chain, 0, 0, false};
    bool again;

    memset(chain, 0, sizeof(*chain));
    chain->token = offer != NULL ? offer->token : 0;
    chain->mark = (uint32_t)(device->published % UINT32_MAX) + 1u;
    chain->head = device->avail[2 + slot];
    chain->readable = chain->head < n;
    device->shadow_avail[slot] = chain->head;
    rp_check(device->log, RP_FIND_HEAD_RANGE, chain->readable, chain->head, n);
    if (!chain->readable)
        return;
    again = repeated(device, chain->head);
    rp_check(device->log, RP_FIND_SLOT_REPEATED, !again, RP_PAIR(slot, chain->head),
             device->owners[chain->head] - 1u);
    if (again) {
        chain->readable = false;
        return;
    }
    walk_chain(&walk);
    if (!device->config.indirect && chain->table_address == 0)
        rp_check(device->log, RP_FIND_INDIRECT_UNNEGOTIATED, true, 0, 0);
    device->heads[chain->head] = 1;
    device->descriptors += chain->descriptors;
    check_head(device, chain);
    rp_check(device->log, RP_FIND_CHAIN_TOO_LONG, walk.pieces <= n, walk.pieces, n);
    /* What is no more than n pieces of what add is given never is as long as that. */
    if (walk.pieces <= n)
        rp_check(device->log, RP_FIND_LENGTH_SUM, chain->bytes <= UINT64_C(1) << 32, chain->bytes, chain->head);
    if (offer != NULL) {
        compare(device, chain, offer, walk.pieces);
        count_descriptors(&walk, offer);
    }
}

static void sum_piece(const struct rp_device *device, uint32_t *crc, const struct rp_descriptor *descriptor)
{
    struct rp_piece piece = {rp_maps_translate(device->config.maps, descriptor->address), descriptor->length,
                             (descriptor->flags & RP_DESC_WRITE) != 0};

    _Static_assert(sizeof(piece) == 16, "a piece is summed as it lies in memory");
    *crc = rp_crc32(*crc, &piece, sizeof(piece));
}

void rp_chain_verify_table(struct rp_device *device, const struct rp_chain *chain)
{
    const uint8_t *table;
    uint64_t sum;

    if (chain->table_address == 0)
        return;
    table = table_memory(device, chain->table_address);
    if (table == NULL)
        return; /* MAPPING was found */
    sum = sum_of(table, chain->table_bytes);
    rp_check(device->log, RP_FIND_TABLE_CHANGED, sum == chain->table_sum, chain->table_address,
             RP_PAIR(chain->table_bytes, chain->head));
}

static void sum_table(struct rp_device *device, const struct rp_chain *chain, uint32_t *crc)
{
    const uint8_t *table = table_memory(device, chain->table_address);
    uint32_t entries = chain->table_bytes / 16, at = 0;

    for (uint32_t steps = 0; table != NULL && steps < entries; steps++) {
        struct rp_descriptor entry;

        memcpy(&entry, table + 16 * (size_t)at, sizeof(entry));
        sum_piece(device, crc, &entry);
        if ((entry.flags & RP_DESC_NEXT) == 0 || entry.next >= entries)
            return;
        at = entry.next;
    }
}

/* Of a chain that was cut otherwise than what was added: as if it had not been. */
static void sum_parted(const struct rp_chain *chain, uint32_t *crc)
{
    struct rp_offer offer = {.seed = chain->seed, .out = chain->out, .in = chain->in};

    for (uint32_t i = 0; i < offer.out + offer.in; i++) {
        struct rp_piece piece = expected_piece(&offer, i);

        *crc = rp_crc32(*crc, &piece, sizeof(piece));
    }
}

void rp_chain_verify(struct rp_device *device, const struct rp_chain *chain, uint32_t *crc)
{
    uint32_t at = chain->head;

    if (crc != NULL && chain->parted) {
        sum_parted(chain, crc);
        crc = NULL;
    }

    for (uint32_t i = 0; i < chain->descriptors; i++) {
        const struct rp_descriptor *was = &device->shadow_desc[at];
        struct rp_descriptor is = load(&device->desc[at]);

        rp_check(device->log, RP_FIND_CHAIN_CHANGED, same(&is, was), RP_PAIR(RP_PLACE_DESCRIPTOR, at),
                 chain->head);
        if (crc != NULL && (was->flags & RP_DESC_INDIRECT) == 0)
            sum_piece(device, crc, was);
        at = was->next;
        if (at >= device->config.queue_size)
            break;
    }
    rp_chain_verify_table(device, chain);
    if (crc != NULL && chain->table_address != 0)
        sum_table(device, chain, crc);
}
