/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the live monitor can find out about a driver, and the tallies in which it keeps it.
 *
 * A tally is touched only while a record (record.h) is emitted, and only by what that record and earlier ones
 * say: whoever reads a recording can come to the same tallies. ringproof/live/checks.py has the words.
 */
#ifndef RINGPROOF_LIVE_FINDINGS_H
#define RINGPROOF_LIVE_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

/* In each line: a; b. RPL_PAIR(high, low) joins two 32-bit numbers. */
enum rpl_check {
    /* Accepting entry k of the available ring. */
    RPL_HEAD_RANGE = 1,        /* head; queue size */
    RPL_NEXT_RANGE = 2,        /* pair(descriptor, next); entries of its table */
    RPL_CHAIN_LOOP = 3,        /* descriptor met again; head */
    RPL_DESCRIPTOR_REUSED = 4, /* descriptor; pair(head, head of the chain that has it) */
    RPL_TOO_MANY_OUTSTANDING = 5, /* chains outstanding before; new ones */
    RPL_AVAIL_BACKWARDS = 6,   /* avail_idx before; avail_idx seen */
    RPL_WRITE_BEFORE_READ = 7, /* piece; head */
    RPL_INDIRECT_UNNEGOTIATED = 8, /* descriptor; head */
    RPL_INDIRECT_NESTED = 9,   /* entry of the table; head */
    RPL_CHAIN_TOO_LONG = 10,   /* pieces; queue size */
    RPL_INDIRECT_AND_NEXT = 11, /* descriptor; flags */
    RPL_INDIRECT_LENGTH = 12,  /* bytes; head */
    RPL_ADDRESS_UNMAPPED = 13, /* address; length */
    RPL_LENGTH_SUM = 14,       /* bytes; head */
    RPL_FLAG_UNASSIGNED = 15,  /* flags; head. SHOULD-like: a warning */
    RPL_MANY_DESCRIPTORS = 16, /* pieces; bytes. A warning */
    RPL_IN_ORDER_NEXT = 17,    /* pair(descriptor, next); what next must be */
    RPL_IN_ORDER_HEAD = 18,    /* head; what it must be */
    RPL_IN_ORDER_TABLE = 19,   /* pair(entry, next); head */
    RPL_SLOT_REPEATED = 20,    /* pair(slot, head); entry number of the chain that is still out */
    RPL_ZERO_LENGTH = 21,      /* piece; head. A warning */

    /* As long as a chain is out. */
    RPL_CHAIN_CHANGED = 22,    /* pair(descriptor, head); entry number */
    RPL_TABLE_CHANGED = 23,    /* pair(entry of the table, head); entry number */
    RPL_UNSETTLED = 25,        /* as CHAIN_CHANGED, but seen at once after the chain was read */
    RPL_HEADER_CHANGED = 26,   /* pair(byte, head); entry number */
    RPL_USED_WRITTEN = 27,     /* byte of the used ring; pair(what it must hold, what it holds), 16-bit words */
    RPL_AVAIL_FLAGS = 28,      /* avail flags without EVENT_IDX; 0 */
    RPL_AVAIL_FLAGS_EVENT = 29, /* avail flags with EVENT_IDX; 0 */

    /* Kicks. */
    RPL_KICK_LOST_FLAGS = 30,  /* avail_idx; entries since the device last looked for itself */
    RPL_KICK_LOST_EVENT = 31,  /* avail_idx; pair(entries since the device last looked for itself, avail_event) */
    RPL_KICK_UNWANTED_FLAGS = 32, /* kicks in the epoch; kicks that were asked for. A warning */
    RPL_KICK_UNWANTED_EVENT = 33, /* the same */
    RPL_EVENT_WORD_HEEDED = 34, /* as KICK_LOST_FLAGS; the word that must have no influence */
    RPL_FLAGS_HEEDED = 35,     /* as KICK_LOST_EVENT's a; used flags */

    /* When a queue starts. */
    RPL_QUEUE_SIZE = 40,       /* size; 0 */
    RPL_PARTS_ALIGNED = 41,    /* part (1 table, 2 available ring, 3 used ring); address */
    RPL_PARTS_PLACED = 42,     /* part, or pair(part, part that it overlaps); address */
    RPL_USED_FLAGS_START = 43, /* used flags; 0 */
    RPL_AVAIL_IDX_START = 44,  /* avail_idx; base */
    RPL_LEGACY_LAYOUT = 45,    /* part; address */
    RPL_QUEUE_NOT_ENABLED = 46, /* queue; chains published though it was never enabled, or no more */

    /* Frames. */
    RPL_FRAME_SHORT = 50,      /* bytes readable; bytes of a header */
    RPL_TX_WRITABLE = 51,      /* piece; head */
    RPL_HEADER_APART = 52,     /* length of the first piece; bytes of a header */
    RPL_NUM_BUFFERS = 53,      /* num_buffers; 0 */
    RPL_FLAGS_WITHOUT_CSUM = 54, /* flags; 0 */
    RPL_CHECKSUM_INCOMPLETE = 55, /* sum over packet and pseudo header, 0xffff if right; protocol */
    RPL_GSO_TCPV4 = 56,        /* gso_type; 0. Likewise the next three */
    RPL_GSO_TCPV6 = 57,
    RPL_GSO_UDP = 58,
    RPL_GSO_UDP_L4 = 59,
    RPL_CWR_WITHOUT_ECN = 60,  /* gso_type; 0 */
    RPL_CWR_NOT_TOLD = 61,     /* gso_type; 0 */
    RPL_PSEUDO_SUM = 62,       /* what the field holds; what it must */
    RPL_CSUM_PLACE = 63,       /* pair(csum_start, csum_offset); bytes of the frame */
    RPL_CSUM_START = 64,       /* csum_start; where the transport header is */
    RPL_GSO_WITHOUT_FEATURE = 65, /* gso_type; 0 */
    RPL_GSO_WITHOUT_CSUM = 66, /* gso_type; flags */
    RPL_GSO_SIZE = 67,         /* gso_type; gso_size */
    RPL_HDR_LEN_EXACT = 68,    /* hdr_len; bytes of the headers */
    RPL_HDR_LEN_SHORT = 69,    /* the same. A warning */
    RPL_DATA_VALID = 70,       /* flags; 0 */
    RPL_ECN_PLACE = 71,        /* gso_type; 0 */
    RPL_GSO_TYPE = 72,         /* gso_type; 0 */
    RPL_LONG_FRAME = 73,       /* bytes of the frame; 1514 */
    RPL_MTU = 74,              /* bytes of the frame; mtu */

    /* What is accepted. */
    RPL_FEATURE_UNOFFERED = 80, /* accepted bits that were not offered; offered */
    RPL_FEATURE_REQUIRES = 81, /* bit accepted; bits of which it needs one */
    RPL_FEATURE_UNDEFINED = 82, /* accepted bits that mean nothing; 0 */
    RPL_VERSION_1 = 83,        /* accepted; 0 */
    RPL_ANY_LAYOUT = 84,       /* accepted; 0 */
    RPL_MTU_FEATURE = 85,      /* accepted; 0. Never fails: what a front-end has offered is not known */
    RPL_HDRLEN_FEATURE = 86,   /* the same */
    RPL_FEATURES_LATE = 87,    /* accepted before; accepted now, while a queue runs */

    /* The status register, for front-ends that pass it on. */
    RPL_STATUS_CLEARED = 90,   /* before; after */
    RPL_STATUS_AFTER_FAILED = 91, /* before; after */
    RPL_STATUS_ORDER = 92,     /* before; after */

    /* What is left to tell: a run that goes on. */
    RPL_TRAFFIC_STALLED = 95,  /* ms of silence; queue. Judged on STALL records only */

    RPL_CHECKS = 96
};

#define RPL_PAIR(high, low) ((uint64_t)(uint32_t)(high) << 32 | (uint32_t)(low))

/* a and b are those of the first failure, at which `record` records had been emitted since the session began. */
struct rpl_tally {
    uint64_t checked, failed, record, a, b;
};

struct rpl_log {
    struct rpl_tally tallies[RPL_CHECKS];
    uint64_t records;  /* emitted since the session began */
    uint64_t failures; /* of all checks, ever counted; says cheaply that something is new */
};

static inline void rpl_check(struct rpl_log *log, enum rpl_check code, bool holds, uint64_t a, uint64_t b)
{
    struct rpl_tally *tally = &log->tallies[code];

    tally->checked++;
    if (__builtin_expect(holds, 1))
        return;
    log->failures++;
    if (tally->failed++ == 0) {
        tally->record = log->records;
        tally->a = a;
        tally->b = b;
    }
}

#endif
