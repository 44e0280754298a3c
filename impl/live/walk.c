/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting a chain: it is read once, recorded and judged (VIRTIO 1.3 sections 2.7.4 to 2.7.6, 2.7.9). */
#include "queue_state.h"

#define SUM_BYTES (128u << 10) /* beyond, no packet's sum can be judged */
#define READABLE_PREFIX (RPLQ_HEADER + RPL_PREFIX_OF_FRAME)

struct walk {
    struct rpl_queue  *queue;
    struct rplq_chain *chain;
    uint32_t number;          /* of the chain, + 1: its descriptors' owner */
    bool     judge, whole, writable_seen;
    uint64_t pieces, sum;     /* sum: of all lengths */
    uint64_t first_writable;  /* ~0: none */
    uint32_t first_length;
    uint32_t indirect;        /* the descriptor with a table; RPLQ_NONE: none */
    const uint8_t *table;
    uint32_t table_bytes;
    uint32_t prefix_room, prefix_bytes;
    uint64_t tail_bytes;      /* readable bytes behind the prefix, in the sum */
    uint16_t tail;
    uint8_t  prefix[READABLE_PREFIX];
};

/* A failure shown by the record that is still open. */
static __attribute__((noinline)) void fail(struct walk *walk, enum rpl_check code, uint64_t a, uint64_t b)
{
    struct rpl_log   *log = walk->queue->log;
    struct rpl_tally *tally = &log->tallies[code];

    log->failures++;
    if (tally->failed++ == 0) {
        tally->record = log->records + 1;
        tally->a = a;
        tally->b = b;
    }
}

static inline bool check(struct walk *walk, enum rpl_check code, bool holds, uint64_t a, uint64_t b)
{
    if (walk->judge) {
        walk->queue->log->tallies[code].checked++;
        if (__builtin_expect(!holds, 0))
            fail(walk, code, a, b);
    }
    return holds;
}

static inline void own(struct walk *walk, uint16_t index, const struct rplq_descriptor *read)
{
    struct rpl_queue  *queue = walk->queue;
    struct rplq_chain *chain = walk->chain;
    uint32_t           owner = queue->owner[index];

    check(walk, RPL_DESCRIPTOR_REUSED, owner == 0, index,
          owner == 0 ? 0 : RPL_PAIR(chain->head, queue->chains[owner - 1].head));
    if (owner != 0)
        rplq_part(queue, &queue->chains[owner - 1], index);
    queue->owner[index] = walk->number;
    queue->copies[index] = *read;
    queue->before[index] = chain->last;
    queue->after[index] = RPLQ_NO_DESCRIPTOR;
    if (chain->last == RPLQ_NO_DESCRIPTOR)
        chain->first = index;
    else
        queue->after[chain->last] = index;
    chain->last = index;
    chain->count++;
}

static void sum(struct walk *walk, uint64_t address, uint64_t bytes)
{
    uint8_t copy[512];

    while (bytes > 0) {
        uint64_t       here = bytes;
        const uint8_t *at = rpl_guest_at(walk->queue->guest, address, bytes);

        if (at == NULL) {
            here = here > sizeof(copy) ? sizeof(copy) : here;
            if (!rpl_guest_read(walk->queue->guest, address, copy, here)) {
                walk->whole = false;
                return;
            }
            at = copy;
        }
        if (walk->tail_bytes % 2 == 0) {
            walk->tail = rpl_sum(at, here, walk->tail);
        } else {
            uint32_t odd = rpl_sum(at, here, 0);

            odd = ((odd & 0xff) << 8 | odd >> 8) + walk->tail;
            walk->tail = (uint16_t)(odd + (odd >> 16));
        }
        walk->tail_bytes += here;
        address += here;
        bytes -= here;
    }
}

/* Whether the sum of the frame is of interest: its own checksum ought to be complete. */
static bool sum_counts(const struct walk *walk)
{
    return (walk->prefix[0] & 1) == 0 && (walk->prefix[1] & 0x7f) == 0 && walk->chain->readable <= SUM_BYTES;
}

static inline void readable(struct walk *walk, const struct rplq_descriptor *piece, bool covered)
{
    struct rpl_queue  *queue = walk->queue;
    struct rplq_chain *chain = walk->chain;
    uint64_t           before = chain->readable, bytes = piece->length, here;

    chain->readable += bytes;
    if (bytes == 0 || !walk->whole || !queue->setup.sends)
        return;
    if (!covered) {
        walk->whole = false;
        return;
    }
    if (before == 0 && bytes >= queue->header)
        chain->header_at = rpl_guest_at(queue->guest, piece->address, queue->header);
    here = walk->prefix_room - walk->prefix_bytes;
    if (here > bytes)
        here = bytes;
    if (here > 0) {
        const uint8_t *at = rpl_guest_at(queue->guest, piece->address, here);

        if (at != NULL) {
            memcpy(walk->prefix + walk->prefix_bytes, at, here);
        } else if (!rpl_guest_read(queue->guest, piece->address, walk->prefix + walk->prefix_bytes, here)) {
            walk->whole = false;
            return;
        }
        walk->prefix_bytes += (uint32_t)here;
    }
    if (bytes > here && sum_counts(walk))
        sum(walk, piece->address + here, bytes - here);
}

static inline void piece(struct walk *walk, const struct rplq_descriptor *piece)
{
    uint64_t number = walk->pieces++;
    uint16_t head = walk->chain->head;
    bool     writable = (piece->flags & RPLQ_DESC_WRITE) != 0;
    bool     covered = rpl_guest_covers(walk->queue->guest, piece->address, piece->length);

    check(walk, RPL_FLAG_UNASSIGNED, (piece->flags & ~7u) == 0, piece->flags, head);
    check(walk, RPL_WRITE_BEFORE_READ, writable || !walk->writable_seen, number, head);
    check(walk, RPL_ADDRESS_UNMAPPED, covered, piece->address, piece->length);
    check(walk, RPL_ZERO_LENGTH, piece->length > 0, number, head);
    if (number == 0)
        walk->first_length = piece->length;
    walk->sum += piece->length;
    if (writable) {
        if (!walk->writable_seen)
            walk->first_writable = number;
        walk->writable_seen = true;
        walk->chain->writable += piece->length;
    } else {
        readable(walk, piece, covered);
    }
}

/* Keeps a table that was read into the scratch place, whole if there is room. */
static void keep(struct walk *walk, uint32_t bytes)
{
    struct rpl_queue  *queue = walk->queue;
    struct rplq_chain *chain = walk->chain;

    if (queue->big_used != (1u << RPLQ_BIG_TABLES) - 1) {
        uint32_t place = (uint32_t)__builtin_ctz(~queue->big_used);

        queue->big_used |= 1u << place;
        chain->big = place + 1;
        chain->table = queue->big_tables + (size_t)place * RPL_TABLE_KEPT;
    } else {
        chain->table = queue->tables + (size_t)(walk->number - 1) * RPLQ_TABLE_INLINE;
        bytes = RPLQ_TABLE_INLINE;
    }
    memcpy(chain->table, queue->scratch, bytes);
    chain->table_bytes = bytes;
}

static void walk_table(struct walk *walk, uint16_t index, const struct rplq_descriptor *read)
{
    struct rpl_queue  *queue = walk->queue;
    struct rplq_chain *chain = walk->chain;
    uint32_t           entries = read->length / 16 > 32769 ? 32769 : read->length / 16, bytes = entries * 16, entry = 0;
    uint8_t           *into;
    bool               covered = rpl_guest_covers(queue->guest, read->address, read->length);

    walk->indirect = index;
    check(walk, RPL_INDIRECT_AND_NEXT, (read->flags & RPLQ_DESC_NEXT) == 0, index, read->flags);
    check(walk, RPL_INDIRECT_LENGTH, read->length > 0 && read->length % 16 == 0 && read->length / 16 <= 65535,
          read->length, chain->head);
    check(walk, RPL_ADDRESS_UNMAPPED, covered, read->address, read->length);
    if (!covered || entries == 0)
        return;
    into = bytes <= RPLQ_TABLE_INLINE ? queue->tables + (size_t)(walk->number - 1) * RPLQ_TABLE_INLINE : queue->scratch;
    if (!rpl_guest_read(queue->guest, read->address, into, bytes))
        return;
    chain->table_address = read->address;
    if (bytes <= RPLQ_TABLE_INLINE) {
        chain->table = into;
        chain->table_bytes = bytes;
    } else {
        keep(walk, bytes);
    }
    walk->table = into;
    walk->table_bytes = bytes;
    for (uint32_t steps = 0;; steps++) {
        struct rplq_descriptor at;

        memcpy(&at, into + (size_t)entry * 16, sizeof(at));
        check(walk, RPL_INDIRECT_NESTED, (at.flags & RPLQ_DESC_INDIRECT) == 0, entry, chain->head);
        piece(walk, &at);
        if ((at.flags & RPLQ_DESC_NEXT) == 0)
            return;
        if (queue->in_order)
            check(walk, RPL_IN_ORDER_TABLE, at.next == entry + 1, RPL_PAIR(entry, at.next), chain->head);
        if (!check(walk, RPL_NEXT_RANGE, at.next < entries, RPL_PAIR(entry, at.next), entries))
            return;
        if (!check(walk, RPL_CHAIN_LOOP, steps + 1 < entries, at.next, chain->head))
            return;
        entry = at.next;
    }
}

/* From the head, whose descriptor is read already. */
static void walk_main(struct walk *walk, struct rplq_descriptor read)
{
    struct rpl_queue *queue = walk->queue;
    uint16_t          head = walk->chain->head, index = head;

    for (;;) {
        own(walk, index, &read);
        if ((read.flags & RPLQ_DESC_INDIRECT) != 0) {
            walk_table(walk, index, &read);
            return;
        }
        piece(walk, &read);
        if ((read.flags & RPLQ_DESC_NEXT) == 0)
            return;
        if (queue->in_order)
            check(walk, RPL_IN_ORDER_NEXT, read.next == ((index + 1u) & queue->mask), RPL_PAIR(index, read.next),
                  (index + 1u) & queue->mask);
        if (!check(walk, RPL_NEXT_RANGE, read.next < queue->size, RPL_PAIR(index, read.next), queue->size))
            return;
        index = read.next;
        if (!check(walk, RPL_CHAIN_LOOP, queue->owner[index] != walk->number, index, head))
            return;
        read = rplq_load(queue->desc + (size_t)index * 16);
    }
}

static void judge_whole(struct walk *walk)
{
    struct rpl_queue        *queue = walk->queue;
    const struct rplq_chain *chain = walk->chain;
    uint16_t                 head = chain->head;

    if ((queue->setup.features & RPL_RING_INDIRECT) == 0)
        check(walk, RPL_INDIRECT_UNNEGOTIATED, walk->indirect == RPLQ_NONE, walk->indirect, head);
    check(walk, RPL_CHAIN_TOO_LONG, walk->pieces <= queue->size, walk->pieces, queue->size);
    check(walk, RPL_LENGTH_SUM, walk->sum <= UINT64_C(1) << 32, walk->sum, head);
    check(walk, RPL_MANY_DESCRIPTORS, walk->pieces <= 64, walk->pieces, walk->sum);
    if (queue->in_order) {
        check(walk, RPL_IN_ORDER_HEAD, head == queue->next_head, head, queue->next_head);
        queue->next_head = (head + chain->count) & queue->mask;
    }
    check(walk, RPL_UNSETTLED, true, 0, 0);
    if (queue->setup.sends) {
        check(walk, RPL_TX_WRITABLE, !walk->writable_seen, walk->first_writable, head);
        if ((queue->setup.features & (RPL_VERSION_ONE | RPL_RING_ANY_LAYOUT)) == 0)
            check(walk, RPL_HEADER_APART, walk->first_length == queue->header, walk->first_length, queue->header);
    }
}

/* Recorded without descriptors, and never out. */
static void refuse(struct rpl_queue *queue, uint64_t entry, uint16_t slot, uint16_t head)
{
    struct rplq_writer writer = {.recorder = queue->recorder};
    struct rplq_chain  none = {.entry = entry, .slot = slot, .head = head};

    rplq_put_chain(&writer, queue, &none, 0);
    rplq_put_rest(&writer, queue, NULL, 0, 0, NULL, 0, 0, true);
    rplq_end(&writer);
}

/* Hands the whole frame to whom it may concern. */
static void hand_on(struct rpl_queue *queue, const struct walk *walk)
{
    struct rplq_pieces     pieces;
    struct rplq_descriptor piece;
    uint64_t               used = 0, bytes = walk->chain->readable;

    if (bytes <= queue->header || bytes > RPLQ_FRAME_BYTES || walk->prefix_bytes <= queue->header)
        return;
    if (queue->wanted != NULL &&
        !queue->wanted(queue->context, walk->prefix + queue->header, walk->prefix_bytes - queue->header))
        return;
    pieces = rplq_pieces(queue, walk->chain);
    while (rplq_piece(&pieces, &piece)) {
        if ((piece.flags & RPLQ_DESC_WRITE) != 0)
            continue;
        if (piece.length > bytes - used ||
            !rpl_guest_read(queue->guest, piece.address, queue->frame + used, piece.length))
            return;
        used += piece.length;
    }
    if (used == bytes)
        queue->sink(queue->context, queue, queue->frame + queue->header, (uint32_t)(bytes - queue->header));
}

void rplq_accept(struct rpl_queue *queue, uint64_t entry)
{
    uint16_t slot = (uint16_t)((queue->setup.base + entry) & queue->mask);
    uint16_t head = rplq_get16(queue->avail + 4 + 2 * (size_t)slot);
    struct rplq_descriptor read = {0};
    struct rplq_writer     writer;
    struct rpl_frame       frame;
    struct walk            walk;
    uint32_t               owner;

    rpl_record_begin(queue->recorder, RPL_CHAIN, queue->number);
    queue->pending--;
    queue->counts.chains++;
    walk.queue = queue;
    walk.judge = !queue->halted;
    if (!check(&walk, RPL_HEAD_RANGE, head < queue->size, head, queue->size)) {
        refuse(queue, entry, slot, head);
        return;
    }
    read = rplq_load(queue->desc + (size_t)head * 16);
    owner = queue->owner[head];
    if (!check(&walk, RPL_SLOT_REPEATED,
               owner == 0 || queue->chains[owner - 1].head != head || !rplq_same(&read, &queue->copies[head]),
               RPL_PAIR(slot, head), owner == 0 ? 0 : queue->chains[owner - 1].entry) ||
        queue->unused_count == 0) {
        refuse(queue, entry, slot, head);
        return;
    }
    walk.whole = true;
    walk.writable_seen = false;
    walk.pieces = walk.sum = walk.tail_bytes = 0;
    walk.first_writable = UINT64_MAX;
    walk.first_length = walk.table_bytes = walk.prefix_bytes = 0;
    walk.indirect = RPLQ_NONE;
    walk.table = NULL;
    walk.tail = 0;
    walk.prefix_room = queue->header + RPL_PREFIX_OF_FRAME;
    walk.chain = rplq_take(queue, entry, slot, head);
    walk.number = (uint32_t)(walk.chain - queue->chains) + 1;
    check(&walk, RPL_CHAIN_LOOP, true, 0, 0); /* of the head; the others are judged when they are gone to */
    walk_main(&walk, read);
    walk.chain->whole = walk.whole;
    walk.chain->header_bytes = (uint8_t)(walk.prefix_bytes < queue->header ? walk.prefix_bytes : queue->header);
    memcpy(walk.chain->header, walk.prefix, walk.chain->header_bytes);
    writer.recorder = queue->recorder;
    writer.used = 0;
    rplq_put_chain(&writer, queue, walk.chain, 0);
    rplq_put_rest(&writer, queue, walk.table, walk.table_bytes, walk.chain->readable, walk.prefix, walk.prefix_bytes,
                  walk.tail, walk.whole);
    judge_whole(&walk);
    rplq_end(&writer);
    if (queue->setup.sends) {
        queue->counts.bytes += walk.chain->readable > queue->header ? walk.chain->readable - queue->header : 0;
        if (walk.judge) {
            frame = (struct rpl_frame){walk.prefix, walk.prefix_bytes, walk.chain->readable, walk.tail, walk.whole};
            rpl_frame_judge(queue->log, queue->setup.features, queue->setup.mtu, &frame);
        }
        if (queue->sink != NULL && queue->enabled && walk.whole)
            hand_on(queue, &walk);
    }
    if (walk.judge)
        rplq_compare(queue, walk.chain, true);
}
