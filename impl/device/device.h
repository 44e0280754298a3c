/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The honest device over a split ring in guest memory, and the ledger by which it judges the driver.
 *
 * The device reads published chains, completes them in any order and in batches, and moves its suppression
 * words. The ledger follows every chain from its offer (an add that succeeded) through publication
 * (avail_idx passed it: from here on its descriptors are the device's), reading, completion (its
 * descriptors are the driver's again before the used entry is published) to the return of its token.
 * Whatever a driver writes is judged, never trusted: nothing here leaves the arena or loops.
 *
 * All entries of the available ring are numbered from 0 in 64 bits; entry k lies in slot k mod N.
 */
#ifndef RINGPROOF_DEVICE_H
#define RINGPROOF_DEVICE_H

#include "mapping.h"

/* A split ring's descriptor (VIRTIO 1.3 section 2.7.5), little endian as the machines this runs on. */
struct rp_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct rp_used_entry {
    uint32_t id;
    uint32_t length;
};

/* One data segment of a chain, tables flattened. */
struct rp_piece {
    uint64_t address;
    uint32_t length;
    uint32_t write; /* 1: for the device to write */
};

/* What an add offers: its token and what its segments are made from (operations.py: segment). */
struct rp_offer {
    uint64_t token;
    uint32_t seed;
    uint32_t out;
    uint32_t in;
};

/* A published chain that was not completed yet. */
struct rp_chain {
    uint64_t token;
    uint64_t table_address; /* 0: no indirect table */
    uint64_t table_sum;
    uint32_t table_bytes;
    uint32_t mark;        /* what owners[] says of its descriptors */
    uint32_t descriptors; /* of the main table */
    uint32_t writable;    /* bytes for the device to write, 32-bit sum */
    uint64_t bytes;       /* of all its pieces */
    uint16_t head;
    bool     readable;    /* false: its head was out of range, there is nothing to read or complete */
    bool     parted;      /* its pieces are those of what was added, cut or joined: what that was */
    uint32_t seed, out, in;
};

/* A completed chain whose token was not returned yet. */
struct rp_completion {
    uint64_t token;
    uint32_t length;
    uint32_t total; /* bytes, those the device reads as well */
    uint32_t descriptors;
    uint32_t kind;  /* RP_COMPLETED_ bits */
};

#define RP_COMPLETED_BATCH   (1u << 0) /* with others, by one used entry */
#define RP_COMPLETED_SKIPPED (1u << 1) /* which was not its own */
#define RP_COMPLETED_TOTAL   (1u << 2) /* its entry tells the total length, as legacy devices do */

struct rp_device_config {
    uint32_t queue_size;
    bool     event_idx;
    bool     indirect;
    bool     in_order; /* chains are used as they were made available, a batch by one used entry */
    bool     hostile;  /* what depends on an honest device is not judged */
    bool     has_callback;
    bool     arms_once; /* callbacks come once each time they are enabled */
    bool     legacy; /* the device was told one page, and finds the other parts from there */
    uint64_t desc_address;
    uint64_t avail_address;
    uint64_t used_address;
    struct rp_maps *maps; /* where all data lies, or null: then it lies in the buffers */
};

struct rp_device {
    struct rp_device_config config;
    struct rp_log         *log;
    const struct rp_arena *arena;

    volatile struct rp_descriptor *desc;
    volatile uint16_t             *avail; /* flags, idx, ring, used_event */
    volatile uint16_t             *used;  /* flags, idx, ring as rp_used_entry, avail_event */

    /* what memory must still hold */
    struct rp_descriptor *shadow_desc;  /* of owned descriptors, as published */
    uint16_t             *shadow_avail; /* of slots not read yet */
    struct rp_used_entry *shadow_used;
    uint16_t              shadow_flags, shadow_used_idx, shadow_avail_event;

    /* entries: 0 <= read_count <= published; those between are unread[k mod N] */
    uint64_t         published;
    uint64_t         read_count;
    uint64_t         completed_count;
    struct rp_chain *unread;
    struct rp_chain *in_flight;
    uint32_t         in_flight_count;
    uint32_t        *owners;      /* per descriptor: the mark of its chain, or 0 */
    uint8_t         *heads;       /* per descriptor: 1 if it is an outstanding chain's head */
    uint32_t         next_head;   /* IN_ORDER: where the next chain must begin */
    uint32_t         descriptors; /* of chains published and not returned */
    uint32_t         owned;       /* descriptors that have an owner */
    uint32_t         table_cursor;

    /* offers: the k-th entry is the k-th offer; slot k mod RP_OFFERS */
    struct rp_offer *offers;
    uint64_t         offered;
    bool             offering; /* an add is under way; its offer stands at `offered` */
    uint64_t         offered_segments; /* of offers not yet published */
    bool             offered_to_empty; /* the last offer found no descriptor taken */
    uint32_t         longest_taken[2]; /* segments of the longest chain taken: all readable, or not all */

    /* completions, oldest first; slot k mod RP_COMPLETIONS */
    struct rp_completion *completions;
    uint64_t              completions_in, completions_out;
    bool                  after_batch; /* the token returned last was of a batch */
    bool                  gave_up;     /* the driver did, at a length that only legacy devices report */

    /* notification ledger: see notification.c */
    uint64_t covered;
    uint64_t kick_base;
    uint64_t offered_at_kick;
    bool     distracting; /* the suppression word that must have no influence was moved */
    bool     undistracted; /* and a kick came though it spoke against it */
    bool     callbacks_on; /* for sure */
    bool     asleep;
    uint64_t due_by; /* with so many completed, an interrupt put off must have come; 0: none was put off */
    bool     taken_partly; /* since then some was taken back, and not all that was used */
    bool     mark_valid;
    uint64_t mark_completed;

    struct rp_piece *pieces; /* of the chain being walked */
    uint64_t        *detached;
    uint32_t         detached_count;
    bool             over; /* DETACH_UNUSED came: the queue is no longer live */
};

#define RP_OFFERS 131072u
#define RP_COMPLETIONS 131072u
#define RP_PIECES 65537u /* of one chain at most; beyond, it is too long anyway */

#define RP_DESC_NEXT 1u
#define RP_DESC_WRITE 2u
#define RP_DESC_INDIRECT 4u

/* device.c: life, reading and completing. */

/* False when the parts do not lie, aligned and apart, in live blocks of the arena, or memory is short. */
bool rp_device_create(struct rp_device *device, const struct rp_device_config *config,
                      const struct rp_arena *arena, struct rp_log *log);
void rp_device_destroy(struct rp_device *device);
/* Looks at what the driver may have changed: publications, flags, and the words that are not its own. */
void rp_device_observe(struct rp_device *device);
/* Reads up to `limit` chains (0: all); returns how many, and the CRC of what they held. */
uint32_t rp_device_read(struct rp_device *device, uint32_t limit, uint32_t *crc);
/* Completes as operations.py says; *due is whether an interrupt is. With `total`, used entries tell the total
 * length. With IN_ORDER the oldest `count` are completed, by one used entry, whatever `pick` and `stride` are. */
uint32_t rp_device_complete(struct rp_device *device, uint32_t pick, uint32_t stride, uint32_t count,
                            bool total, bool *due);
/* Compares all outstanding memory with what it must hold; `tables` too, or only some of them. */
void rp_device_check(struct rp_device *device, bool tables);

/* chain.c: what one chain must be. */

/* Walks and judges entry `device->published`, which the caller then counts. */
void rp_chain_accept(struct rp_device *device, struct rp_chain *chain);
/* Compares an outstanding chain with what was published; goes on with *crc over its pieces unless null. */
void rp_chain_verify(struct rp_device *device, const struct rp_chain *chain, uint32_t *crc);
void rp_chain_verify_table(struct rp_device *device, const struct rp_chain *chain);

/* ledger.c: offers and tokens. */

void rp_ledger_offer(struct rp_device *device, struct rp_offer offer);
/* The add returned; `taken` if with success. */
void rp_ledger_offered(struct rp_device *device, bool taken);
/* The offer behind the entry being published; null, with a finding, when there is none. */
const struct rp_offer *rp_ledger_claim(struct rp_device *device);
/* Add said ENOSPC for so many segments. */
void rp_ledger_refused(struct rp_device *device, uint64_t segments);
/* Add said EINVAL to a chain of so many segments: whether it may. A driver need not take chains as long as the
 * queue, nor writable segments, but a chain it has no use for once it must never have taken before. */
bool rp_ledger_declined(struct rp_device *device, uint64_t segments, bool writable);
/* `kind` are RP_COMPLETED_ bits, `length` what its used entry tells, or would. */
void rp_ledger_completed(struct rp_device *device, const struct rp_chain *chain, uint32_t length,
                         uint32_t kind);
/* The oldest completed chain whose token is still to be returned; null if there is none. */
const struct rp_completion *rp_ledger_oldest(const struct rp_device *device);
/* Completed chains whose tokens are still to be returned. */
uint64_t rp_ledger_waiting(const struct rp_device *device);
void rp_ledger_returned(struct rp_device *device, uint64_t token, uint32_t length);
void rp_ledger_nothing(struct rp_device *device);
/* After DETACH_UNUSED: `token` was given back, or (found false) none is left. */
/* Before the driver is asked: from now on the device is gone, and what it had may be unmapped. */
void rp_ledger_detaching(struct rp_device *device);
void rp_ledger_detached(struct rp_device *device, bool found, uint64_t token);

/* notification.c: who owes whom a signal. */

void rp_notice_kicked(struct rp_device *device);
void rp_notice_kick_end(struct rp_device *device);
void rp_notice_set_flags(struct rp_device *device, uint16_t flags);
void rp_notice_set_avail_event(struct rp_device *device, uint16_t avail_event);
/* Whether moving used_idx from `old` to `new` asks for an interrupt; judges the answer. */
bool rp_notice_completion(struct rp_device *device, uint16_t old, uint16_t new);
void rp_notice_disabled(struct rp_device *device);
/* enable_cb returned `quiet`. */
void rp_notice_enabled(struct rp_device *device, bool quiet);
/* enable_cb_delayed did. */
void rp_notice_enabled_delayed(struct rp_device *device, bool quiet);
void rp_notice_prepared(struct rp_device *device);
/* poll returned `news`. */
void rp_notice_polled(struct rp_device *device, bool news);
/* A token was returned. */
void rp_notice_taken(struct rp_device *device);
/* get_buf found nothing. */
void rp_notice_idle(struct rp_device *device);
/* The interrupt entry of a driver that pushes has returned: what it left behind it must not have armed for. */
void rp_notice_drained(struct rp_device *device);
/* The interrupt entry returned `handled`, having called back (or pushed tokens) so often; before it,
 * `waiting` buffers were used and not returned. */
void rp_notice_interrupted(struct rp_device *device, bool handled, uint32_t callbacks, uint64_t waiting);

/* The slot of entry k in a ring; sizes that are no power of two never get as far as index 65536. */
static inline uint32_t rp_slot(const struct rp_device *device, uint64_t entry)
{
    uint32_t n = device->config.queue_size;

    return (n & (n - 1)) == 0 ? (uint32_t)entry & (n - 1) : (uint32_t)(entry % n);
}

/* Whether a chain is still the device's: by its head, and the mark its descriptors have. */
static inline bool rp_device_owns(const struct rp_device *device, uint16_t head, uint32_t mark)
{
    return mark != 0 && head < device->config.queue_size && device->owners[head] == mark;
}

static inline uint16_t rp_avail_idx(const struct rp_device *device)
{
    return __atomic_load_n(&device->avail[1], __ATOMIC_ACQUIRE);
}

static inline uint16_t rp_used_event(const struct rp_device *device)
{
    return device->avail[2 + device->config.queue_size];
}

/* The index in 16-bit words of avail_event within the used ring. */
static inline uint32_t rp_avail_event_at(const struct rp_device *device)
{
    return 2 + 4 * device->config.queue_size;
}

#endif
