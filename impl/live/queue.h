/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One split virtqueue as its device: accepts chains, judges them, completes them as it is told to, and decides
 * about notifications both ways. Everything it reads from the driver's memory is read once, recorded, then judged.
 */
#ifndef RINGPROOF_LIVE_QUEUE_H
#define RINGPROOF_LIVE_QUEUE_H

#include "findings.h"
#include "guest.h"
#include "record.h"

/* In which order chains are completed; always by availability with IN_ORDER. */
enum rpl_order { RPL_ORDER_FIFO = 0, RPL_ORDER_LIFO = 1, RPL_ORDER_RANDOM = 2 };

/* What the device says about kicks. */
enum rpl_suppress {
    RPL_SUPPRESS_HONEST = 0, /* wants none while it works, one before it sleeps */
    RPL_SUPPRESS_NEVER = 1,  /* always wants them: flags 0, avail_event at the last entry seen */
    RPL_SUPPRESS_ALWAYS = 2, /* never: flags 1, or avail_event left where it is; it polls */
    RPL_SUPPRESS_TOGGLE = 3, /* changes its mind at random times */
    RPL_SUPPRESS_FROZEN = 4, /* EVENT_IDX: avail_event stays `event`; polls. Else as ALWAYS */
    RPL_SUPPRESS_ROVING = 5, /* EVENT_IDX: avail_event at random places within and around the ring; polls */
};

enum rpl_interrupts {
    RPL_INTERRUPTS_HONEST = 0,   /* when asked for, and only then */
    RPL_INTERRUPTS_ALWAYS = 1,   /* also when suppressed */
    RPL_INTERRUPTS_SPURIOUS = 2, /* honest, and some without news */
};

/* All zero: as a well-behaved fast device. */
struct rpl_behaviour {
    uint32_t order;      /* rpl_order */
    uint32_t batch;      /* completes this many at once, once as many are out; 0: whatever is there */
    uint32_t hold_us;    /* each chain is kept at least so long */
    uint32_t keep;       /* so many are always kept back (never more than half the queue); ended by `release_us` */
    uint32_t release_us; /* what is kept back by batch or keep goes after so long; 0: 100 ms */
    uint32_t suppress;   /* rpl_suppress */
    uint32_t event;      /* of RPL_SUPPRESS_FROZEN */
    uint32_t interrupts; /* rpl_interrupts */
    uint32_t distract;   /* 1: moves the suppression word that must have no influence at random */
    uint32_t poll;       /* 1: looks for chains without waiting for kicks, whatever it says about them */
    uint32_t total;      /* 1: used lengths are total lengths (legacy only; else ignored) */
    uint32_t seed;
};

/* What breaks the rules; the codes F1 .. are those of `ringproof validate --hostile`. */
enum rpl_inject {
    RPL_INJECT_NONE = 0,
    RPL_INJECT_ID_RANGE = 1,    /* F1: used.id >= size */
    RPL_INJECT_ID_UNKNOWN = 2,  /* F2: an id that is not the head of a chain that is out */
    RPL_INJECT_ID_TWICE = 3,    /* F2: a chain completed twice */
    RPL_INJECT_IDX_JUMP = 4,    /* F3: used_idx goes further than what is out */
    RPL_INJECT_IDX_BACK = 5,    /* F3: or backwards */
    RPL_INJECT_LENGTH = 6,      /* F4: a used length where nothing was writable, or more than was */
    RPL_INJECT_DESCRIPTORS = 7, /* F5: the table rewritten: next and flags of chains that are out */
    RPL_INJECT_AVAIL = 8,       /* F5: the available ring rewritten */
    RPL_INJECT_FLIP = 9,        /* F6: a used entry changes right after used_idx was published, and back, for a while */
    RPL_INJECT_FLAGS = 10,      /* F7: used flags with all bits */
    RPL_INJECT_STALL = 11,      /* F8: no interrupt, no completion any more */
    RPL_INJECT_ORDER = 12,      /* F9: IN_ORDER accepted, completed out of it */
    RPL_INJECT_PAYLOAD = 13,    /* F14: a buffer the device may only read is overwritten */
    RPL_INJECTS = 14
};

struct rpl_queue_setup {
    uint32_t size;
    uint64_t desc, avail, used; /* guest-physical; ~0: in no region */
    uint16_t base;              /* avail_idx to begin with (0 after a reset of the driver) */
    uint64_t features;          /* accepted */
    bool     sends;             /* a transmit queue */
    uint32_t mtu;
};

struct rpl_queue; /* opaque; queue.c has it, and helpers of its own in headers of its own */

/* Counters for people; never judged. */
struct rpl_queue_counts {
    uint64_t chains, bytes, completed, kicks, interrupts, epochs, wraps;
};

struct rpl_queue *rpl_queue_new(uint8_t number, struct rpl_guest *guest, struct rpl_log *log,
                                struct rpl_recorder *recorder); /* null: no memory */
void rpl_queue_free(struct rpl_queue *queue);

/* Judges the set-up (QUEUE_START). False: its parts lie in no memory, or size is 0 or above 32768 or (though
 * judged) no power of two; then it doesn't run. A queue that runs is stopped first. */
bool rpl_queue_start(struct rpl_queue *queue, const struct rpl_queue_setup *setup);
/* No access to the guest's memory after this, until it is started again. Returns the base to answer. */
uint16_t rpl_queue_stop(struct rpl_queue *queue);
bool rpl_queue_runs(const struct rpl_queue *queue);
/* Sections 5.1.6.5.6: chains of a queue that isn't enabled are a finding (RPL_QUEUE_NOT_ENABLED), and not completed. */
void rpl_queue_enable(struct rpl_queue *queue, bool on);
/* eventfds to write to on interrupts; -1: none. Stays the caller's. */
void rpl_queue_set_call(struct rpl_queue *queue, int fd);
void rpl_queue_behave(struct rpl_queue *queue, const struct rpl_behaviour *behaviour);
void rpl_queue_inject(struct rpl_queue *queue, enum rpl_inject kind); /* at the next completion */
bool rpl_queue_injected(const struct rpl_queue *queue);               /* it was done since the start */
/* An eventfd was read: so many kicks. */
void rpl_queue_kicked(struct rpl_queue *queue, uint64_t count);
/* Looks, accepts, completes, as far as there is something to do: at most `limit` chains of each. now: microseconds,
 * CLOCK_MONOTONIC. True: there is more to do at once. patience_ms: how long a kick may take. */
bool rpl_queue_service(struct rpl_queue *queue, uint64_t now, uint32_t limit, uint32_t patience_ms);
/* Microseconds from now after which it wants rpl_queue_service again though nothing happens; 0: at once (it
 * polls); UINT32_MAX: never. */
uint32_t rpl_queue_wait(const struct rpl_queue *queue, uint64_t now);
/* Puts a frame into the driver's next buffer(s), header before it (all zero but num_buffers; several buffers
 * only with MRG_RXBUF). False: no room there, or it does not run or this queue sends. */
bool rpl_queue_deliver(struct rpl_queue *queue, const uint8_t *frame, uint32_t bytes);
/* Where whole transmitted frames go, header taken off, if they pass `wanted` (both may be null); called from service. */
void rpl_queue_sink(struct rpl_queue *queue, bool (*wanted)(void *, const uint8_t *prefix, uint32_t prefix_bytes),
                    void (*sink)(void *, struct rpl_queue *, const uint8_t *frame, uint32_t bytes), void *context);
void rpl_queue_counts(const struct rpl_queue *queue, struct rpl_queue_counts *counts);
/* QUEUE_START as it was, QUEUE_STATE and CHAINs, for a checkpoint; of one that doesn't run
 * only whether it is enabled. */
void rpl_queue_checkpoint(struct rpl_queue *queue, struct rpl_recorder *recorder);
/* Chains accepted since the start, and those out. */
uint64_t rpl_queue_published(const struct rpl_queue *queue);
uint32_t rpl_queue_outstanding(const struct rpl_queue *queue);

#endif
