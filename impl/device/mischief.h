/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device that breaks the rules, and what a driver may make of it. It may refuse, call the queue broken or
 * look away; but every token it hands back must be one it holds, and, as far as a used entry is what it goes
 * by, one that an entry exposed to it has named.
 *
 * How b and c of a MISCHIEF count, for each manner a of enum rp_mischief. "Chain c" is number c mod in flight of
 * the chains the device has read; "completes" means honestly, but for what is said. The result's status is 1
 * when it was done, 0 when there was nothing to do it with, RP_STATUS_UNSUPPORTED when this queue or machine
 * cannot; token is the id that was used.
 *
 *   ID_RANGE      uses an id, length 0: b = 0: N; 1: N + 1; 2: 0x10000 + the head of chain c; 3: 0xffffffff;
 *                 4: 0x80000000 + that head; 5: that head with its bytes reversed (head c mod N if none is read)
 *   ID_NOT_HEAD   b = 0: a descriptor of no outstanding chain, the first from c mod N on; 1: the second descriptor
 *                 of chain c or of the next one that has more; 2: completes chain c by two entries alike; 3: the
 *                 id used last once more
 *   USED_IDX      used_idx, but no entry: b = 0: + N + 1; 1: + 32768; 2: - 1; 3: - c; 4: + c
 *   LENGTH        completes chain c with length: b = 0: 0xffffffff; 1: writable bytes + 1; 2: 0x80000000
 *   REWRITE       chain c: b = 0: addr; 1: len; 2: next = N; 3: next = itself, with NEXT; 4: NEXT of the last
 *                 one flipped; 5: NEXT of the first one flipped; 12: all 0xff; 13: INDIRECT of the first one
 *                 flipped; 15: next = c mod N. Free descriptors: b = 6: next = 0xffff; 7: next = itself; 8: all
 *                 0xff. Others: 9: avail_idx + c; 10: the available ring = 0xffff; 11: avail.flags = 0xffff;
 *                 14: the whole table 0; 16: used_event = c
 *   DOUBLE_FETCH  completes chain c; until the next GET or INTERRUPT is over, or the device acts, its entry changes
 *                 at each look between the truth and: b = 0: id 0xffffffff; 1: id N; 2: the id next to it; 3: id
 *                 + 0x10000; 4: length 0xffffffff
 *   FLAGS         used.flags = b
 *   SILENCE       reads and completes everything by one store
 *   IN_ORDER      with that feature: b = 0: completes the newest chain alone; 1: one entry for all chains and
 *                 c more; 2: one entry for all, naming a descriptor of no chain
 *   INTERRUPT     the driver's interrupt entry is called, b times or once; this also after DETACH_UNUSED
 *   PAYLOAD       b = 0: every byte of the buffers = c; indirect tables of chains in flight: 1: all 0xff;
 *                 2: next = itself, with NEXT; 3: all 0
 */
#ifndef RINGPROOF_MISCHIEF_H
#define RINGPROOF_MISCHIEF_H

#include "device.h"

/* Why a token was wrong (HOSTILE_TOKEN: low half of b; a: the token). */
enum rp_hostile_token {
    RP_TOKEN_NOT_HELD = 1,
    RP_TOKEN_NAMELESS = 2, /* no exposed entry names its chain, and the next one names none */
    RP_TOKEN_OF_ANOTHER = 3 /* and the next one names another */
};

/* An entry exposed to the driver: the used entry number `position` held this id. */
struct rp_naming {
    uint64_t position;
    uint32_t id;
};

struct rp_hostile {
    struct rp_device *device; /* null: the queue's device is honest */
    struct rp_log    *log;
    uint8_t          *states; /* per token: offered, held or returned */
    uint32_t         *heads;  /* per token: its chain's head plus one, or 0 while it is not published */
    uint64_t          tokens; /* room for so many */
    struct rp_naming *namings;
    uint32_t          count;
    uint64_t          published; /* entries whose heads are written down */
    uint64_t          exposed;   /* used entries the driver could see */
    uint64_t          cursor;    /* of these, the oldest that may still count */
    bool              blurred;   /* too many to tell: only what the driver holds is judged */
    bool              gave_up;   /* it has said that the queue is broken */
    uint8_t          *buffers;
};

/* At create: what assumes an honest device is no longer judged. False when there is no memory. */
bool rp_hostile_begin(struct rp_hostile *hostile, struct rp_device *device, uint8_t *buffers);
/* The driver has destroyed its queue: from one that gave up nothing is asked back. */
void rp_hostile_end(struct rp_hostile *hostile);

void rp_hostile_offer(struct rp_hostile *hostile, uint64_t token);
void rp_hostile_offered(struct rp_hostile *hostile, uint64_t token, bool taken);
void rp_hostile_returned(struct rp_hostile *hostile, uint64_t token);
void rp_hostile_detached(struct rp_hostile *hostile, uint64_t token);
/* The driver said RP_EBROKEN. */
void rp_hostile_refused(struct rp_hostile *hostile);

/* Writes down which heads were published and which entries exposed since the last time: to be called before and
 * after used_idx is moved as no honest device does. One that goes back goes on by nearly 65536 for whoever looks. */
void rp_hostile_catch_up(struct rp_hostile *hostile);
/* The entry exposed last held this id, too. */
void rp_hostile_named(struct rp_hostile *hostile, uint32_t id);

/* Does what MISCHIEF says, but INTERRUPT; returns the status, *id is the id used. */
int rp_mischief(struct rp_hostile *hostile, const struct rp_op *op, uint32_t *id);
/* A word that changes at each look does so no longer. */
void rp_mischief_settle(void);

#endif
