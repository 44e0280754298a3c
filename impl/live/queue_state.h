/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a queue knows. Only the files of the queue itself include this: queue.c (its life), service.c (what is done
 * when), notice.c (looks, kicks, words), walk.c (accepting), chains.c (those out), held.c (what must not change),
 * completing.c, delivering.c, hostile.c.
 *
 * A record is begun before the state that it tells of changes: a segment may begin there, and its checkpoint
 * then tells the state before.
 */
#ifndef RINGPROOF_LIVE_QUEUE_STATE_H
#define RINGPROOF_LIVE_QUEUE_STATE_H

#include "frame.h"
#include "queue.h"

#include <string.h>

#define RPLQ_NONE UINT32_MAX
#define RPLQ_NO_DESCRIPTOR 0xffffu
#define RPLQ_MAX_SIZE 32768u
#define RPLQ_HEADER 20u       /* bytes of the longest network header */
#define RPLQ_TABLE_INLINE 512u /* bytes of a table that each chain has room for */
#define RPLQ_BIG_TABLES 8u    /* longer ones kept whole at a time; of the others the first entries are kept */
#define RPLQ_FRAME_BYTES 65568u /* of the longest frame handed on */

#define RPLQ_DESC_NEXT 1u
#define RPLQ_DESC_WRITE 2u
#define RPLQ_DESC_INDIRECT 4u
#define RPLQ_NO_INTERRUPT 1u
#define RPLQ_NO_NOTIFY 1u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are read as they lie in memory");

struct rplq_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct rplq_chain {
    uint64_t entry, since; /* since: microseconds, when accepted */
    uint64_t readable, writable; /* bytes */
    const uint8_t *header_at; /* where its header lies in one piece; null: it doesn't, or not known any more */
    uint8_t *table;        /* as accepted; null: it has none */
    uint32_t table_bytes;  /* kept of it */
    uint32_t big;          /* 1 + its place among the big tables; 0: none */
    uint64_t table_address;
    uint32_t previous, next; /* of those out, by entry */
    uint16_t head, first, last; /* first, last: of the descriptors it has, in the order of its walk */
    uint16_t count;
    uint16_t slot;
    uint8_t  header_bytes; /* kept */
    uint8_t  header[RPLQ_HEADER];
    bool     whole, ripe;
};

struct rplq_words {
    uint16_t avail_idx, flags, used_event;
};

struct rpl_queue {
    uint8_t              number;
    struct rpl_guest    *guest;
    struct rpl_log      *log;
    struct rpl_recorder *recorder;

    /* Since it started. */
    struct rpl_queue_setup setup;
    bool     runs, found, enabled, ever_enabled;
    bool     halted; /* not judged any more */
    bool     dead;   /* nor served */
    bool     event_idx, in_order;
    uint32_t size, mask, header, generation;
    volatile uint8_t *desc, *avail, *used, *avail_event;
    const volatile uint8_t *used_event;
    struct rplq_words start_words;
    uint16_t start_used[3]; /* used flags, used_idx, avail_event as found */

    /* The ledger; record.h: QUEUE_STATE. */
    uint64_t published, completed, armed, epoch_kicks, epoch_wanted, lost_at, owed_since;
    struct rplq_words seen;
    uint16_t used_idx, used_flags, used_avail_event; /* the two last: in force since the last SUPPRESS */
    uint32_t next_head;
    bool     obliged, credit, distracting, distracted_kick;
    enum rpl_check lost_code; /* what the failure was that a kick after all would withdraw */

    /* What lies in the used ring. */
    uint16_t memory_flags, memory_event;
    uint64_t *slots;
    uint32_t used_records;

    /* Chains. */
    uint64_t pending;  /* entries published and not yet accepted */
    uint32_t outstanding;
    struct rplq_chain *chains;
    uint32_t *unused, unused_count;
    uint32_t oldest, newest, first_unripe; /* by entry */
    uint32_t *ripe, ripe_at, ripe_count;   /* a ring of `size` places */
    struct rplq_descriptor *copies;
    uint32_t *owner;               /* chain + 1; 0: none */
    uint16_t *after, *before;      /* in the order of its chain */
    uint8_t  *tables, *big_tables, *scratch;
    uint32_t  big_used;            /* a bit each */
    uint8_t  *frame;

    /* What it does. */
    struct rpl_behaviour behaviour;
    uint64_t random;
    uint64_t now, patience;        /* microseconds */
    uint64_t obliged_at, next_peek, quiet_until, last_growth, next_change, next_distraction, next_spurious;
    uint64_t complete_at;          /* when completing has something to do again; ~0: no one knows */
    uint64_t kicks;                /* told, not yet recorded */
    bool     awake, restate, moving, wants, more;
    bool     fresh; /* started, and nothing said yet */
    uint16_t moving_flags, moving_event;
    int      call;

    /* Injections. */
    enum rpl_inject inject;
    bool     injected, stalled;
    uint32_t flips;

    bool (*wanted)(void *, const uint8_t *, uint32_t);
    void (*sink)(void *, struct rpl_queue *, const uint8_t *, uint32_t);
    void *context;
    struct rpl_queue_counts counts;
};

/* Words of any alignment, each read or written once. */
typedef uint16_t rplq_word16 __attribute__((aligned(1), may_alias));
typedef uint64_t rplq_word64 __attribute__((aligned(1), may_alias));

static inline uint16_t rplq_get16(const volatile uint8_t *at)
{
    return *(const volatile rplq_word16 *)at;
}

static inline void rplq_set16(volatile uint8_t *at, uint16_t value)
{
    *(volatile rplq_word16 *)at = value;
}

static inline uint64_t rplq_get64(const volatile uint8_t *at)
{
    return *(const volatile rplq_word64 *)at;
}

static inline void rplq_set64(volatile uint8_t *at, uint64_t value)
{
    *(volatile rplq_word64 *)at = value;
}

static inline struct rplq_descriptor rplq_load(const volatile uint8_t *at)
{
    uint64_t               words[2] = {rplq_get64(at), rplq_get64(at + 8)};
    struct rplq_descriptor read;

    memcpy(&read, words, sizeof(read));
    return read;
}

static inline bool rplq_same(const struct rplq_descriptor *a, const struct rplq_descriptor *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static inline uint64_t rplq_random(struct rpl_queue *queue)
{
    queue->random ^= queue->random << 13;
    queue->random ^= queue->random >> 7;
    queue->random ^= queue->random << 17;
    return queue->random;
}

/* Judges, unless the queue isn't judged any more. */
static inline void rplq_check(struct rpl_queue *queue, enum rpl_check code, bool holds, uint64_t a, uint64_t b)
{
    if (__builtin_expect(!queue->halted, 1))
        rpl_check(queue->log, code, holds, a, b);
}

/* Whether crossing from `from` to `to` (entries; base included in both) passes `event`. */
static inline bool rplq_crosses(uint16_t event, uint16_t from, uint64_t growth)
{
    return (uint16_t)(event - from) < growth;
}

/* Puts a record together before it is handed over. */
struct rplq_writer {
    struct rpl_recorder *recorder;
    uint32_t             used;
    uint8_t              bytes[512];
};

static inline void rplq_put(struct rplq_writer *writer, const void *bytes, uint32_t count)
{
    if (count == 0) /* then there need not be any bytes to point to */
        return;
    if (writer->used + count > sizeof(writer->bytes)) {
        rpl_put(writer->recorder, writer->bytes, writer->used);
        writer->used = 0;
        if (count > sizeof(writer->bytes)) {
            rpl_put(writer->recorder, bytes, count);
            return;
        }
    }
    memcpy(writer->bytes + writer->used, bytes, count);
    writer->used += count;
}

#define RPLQ_PUT(writer, type, value)                    \
    do {                                                 \
        type rplq_value = (type)(value);                 \
        rplq_put((writer), &rplq_value, sizeof(rplq_value)); \
    } while (0)

static inline void rplq_end(struct rplq_writer *writer)
{
    rpl_put(writer->recorder, writer->bytes, writer->used);
    rpl_record_end(writer->recorder);
}

/* The pieces of a chain that is out, as they are held: descriptors without INDIRECT, and entries of its table. */
struct rplq_pieces {
    const struct rpl_queue  *queue;
    const struct rplq_chain *chain;
    uint16_t at;            /* RPLQ_NO_DESCRIPTOR: no more */
    uint32_t entry, steps;  /* in the table; steps 0: not there yet */
};

struct rplq_pieces rplq_pieces(const struct rpl_queue *queue, const struct rplq_chain *chain);
bool rplq_piece(struct rplq_pieces *pieces, struct rplq_descriptor *piece);

/* queue.c */
/* Finds the rings again after the regions changed; false: they are no more. */
bool rplq_bind(struct rpl_queue *queue);

/* notice.c */
void rplq_sample(struct rpl_queue *queue, bool always);
void rplq_kick(struct rpl_queue *queue, uint64_t count); /* KICK, and the SAMPLE after it */
void rplq_quiet(struct rpl_queue *queue);
/* Moves the words. Where that ends the wish for kicks, it is recorded (by rplq_finish) in the next turn only: whoever
 * calls reads the kicks before each turn, so all that were sent under the old words are counted with them. */
void rplq_suppress(struct rpl_queue *queue, uint16_t flags, uint16_t event);
void rplq_finish(struct rpl_queue *queue); /* of a move that is not recorded yet; nothing must be pending */
bool rplq_settle(struct rpl_queue *queue, uint32_t *limit); /* accepts what is pending; false: it is more than *limit */
void rplq_judge_epoch(struct rpl_queue *queue); /* RPL_KICK_UNWANTED_* at its end */
bool rplq_polls(const struct rpl_queue *queue);

/* walk.c */
void rplq_accept(struct rpl_queue *queue, uint64_t entry);

/* chains.c */
struct rplq_chain *rplq_take(struct rpl_queue *queue, uint64_t entry, uint16_t slot, uint16_t head); /* a new one */
void rplq_part(struct rpl_queue *queue, struct rplq_chain *chain, uint16_t index); /* from a descriptor it has */
void rplq_forget(struct rpl_queue *queue, uint32_t chain); /* it is out no more */
/* What a CHAIN record holds from its entry on: first to the end of the descriptors, then the rest. */
void rplq_put_chain(struct rplq_writer *writer, const struct rpl_queue *queue, const struct rplq_chain *chain,
                    uint8_t flags);
void rplq_put_rest(struct rplq_writer *writer, const struct rpl_queue *queue, const uint8_t *table,
                   uint32_t table_bytes, uint64_t bytes, const uint8_t *prefix, uint32_t prefix_bytes, uint16_t sum,
                   bool whole);
/* One that is out, for a checkpoint: what is held of it. Of what it can read only the header is. */
void rplq_carry(struct rpl_queue *queue, struct rpl_recorder *recorder, const struct rplq_chain *chain);

/* held.c */
/* CHANGED records for all that is not as it was accepted; true: nothing. at_once: UNSETTLED. */
bool rplq_compare(struct rpl_queue *queue, struct rplq_chain *chain, bool at_once);
void rplq_compare_used(struct rpl_queue *queue, uint32_t first, uint32_t count); /* words and slots: USED_CHANGED */

/* completing.c */
void rplq_ripen(struct rpl_queue *queue);
bool rplq_complete(struct rpl_queue *queue, uint32_t limit);
void rplq_complete_all(struct rpl_queue *queue);
/* Publishes `count` chains with their lengths, and interrupts. */
#define RPLQ_CHUNK 512u
struct rplq_done {
    uint32_t chain, length;
};
void rplq_publish(struct rpl_queue *queue, const struct rplq_done *done, uint32_t count, bool batch);
void rplq_interrupt(struct rpl_queue *queue, uint8_t why);
void rplq_store_used(struct rpl_queue *queue, uint32_t slot, uint32_t id, uint32_t length);
void rplq_store_used_idx(struct rpl_queue *queue, uint16_t used_idx);

/* hostile.c */
/* The injection that is due, in place of, or around, one completion; false: it could not be done yet. */
bool rplq_inject(struct rpl_queue *queue);
void rplq_flip(struct rpl_queue *queue, uint32_t slot);

#endif
