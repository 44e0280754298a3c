/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recording: everything a verdict rests on, in the order in which the device saw and did it.
 *
 * Records go into segments. Each segment begins with a checkpoint, from which the monitor's whole state can be
 * made again, so any run of segments can be read without those before. All numbers are little endian, nothing is
 * aligned. A record is: u8 kind, u8 queue (0xff: none), u16 bytes of its payload (0xffff: a u32 with them
 * follows), u32 microseconds since the record before (in a segment's first: 0), payload.
 * ringproof/live/recording.py reads it; docs/live.md describes it to others.
 */
#ifndef RINGPROOF_LIVE_RECORD_H
#define RINGPROOF_LIVE_RECORD_H

#include "findings.h"

#include <stddef.h>

enum rpl_kind {
    /* u64 record number of the next record, u64 microseconds since the session began, u16 RPL_RECORD_VERSION.
     * Then, as records of their own: OPTIONS, FEATURES (if known), MEMORY, and for each queue that runs a
     * QUEUE_START (as it was), QUEUE_STATE, and a CHAIN, flag CARRIED, for each chain that is out, or for one that
     * is enabled and doesn't run a QUEUE_ENABLE; TALLIES;
     * CHECKPOINT_END. What stands between CHECKPOINT and CHECKPOINT_END counts for no tally. */
    RPL_CHECKPOINT = 1,
    /* Nothing; or, if the checkpoint was too long, a u32: so many of its records were left out, and nothing can
     * be read from here on without what stands before. */
    RPL_CHECKPOINT_END = 2,
    /* u64 offered device features, u32 patience in ms, u16 mtu */
    RPL_OPTIONS = 3,
    RPL_FEATURES = 4, /* u64 accepted; u8 whether a queue runs. Judges RPL_FEATURE_*, RPL_VERSION_1 .. */
    RPL_MEMORY = 5,   /* for each region: u64 guest address, u64 bytes */
    RPL_STATUS = 6,   /* u8 before, u8 after */
    /* u32 size, u64 desc, avail, used (guest addresses; ~0: in no region), u16 base, u8 direction (0 the driver
     * receives, 1 it sends), u8 whether all three parts were found in memory; if so: u16 avail_idx, avail
     * flags, used flags, used_idx, avail_event as found */
    RPL_QUEUE_START = 7,
    RPL_QUEUE_STOP = 8,   /* u16 base answered. All chains are forgotten. */
    RPL_QUEUE_ENABLE = 9, /* u8 */
    /* A look at the driver's words: u16 avail_idx, u16 avail flags, u16 used_event. Emitted when one differs
     * from the last look (a SAMPLE, USED or SUPPRESS record, or QUEUE_START), before the CHAINs that it brings */
    RPL_SAMPLE = 10,
    /* One chain accepted: u64 entry (0 for the first since the queue started), u16 slot, u16 head, u8 flags
     * (RPL_CHAIN_*), u16 main descriptors visited, each u16 index and 16 bytes as they lie in the table (in
     * the order of the walk; none if head is out of range or SLOT_REPEATED), u32 bytes kept of an indirect table
     * and those bytes (as it lies in memory, whole entries, at most RPL_TABLE_KEPT), then of a queue that sends:
     * u64 readable bytes, u16 bytes of prefix, the prefix (the first readable bytes: at most header + 128),
     * u16 sum (ones' complement sum of 16-bit big-endian words of the frame behind the prefix, if the prefix
     * ends at an even byte of the frame; 0 if there is nothing), u8 whether all its bytes could be read */
    RPL_CHAIN = 11,
    RPL_KICK = 12,     /* u64 count */
    /* The device moved its suppression words and looked again: u16 used flags, u16 avail_event, u16 avail_idx
     * (seen after a full barrier), u16 avail flags, u16 used_event. A new epoch begins. */
    RPL_SUPPRESS = 13,
    /* Chains were completed: u16 old used_idx, u16 new, u8 flags (RPL_USED_*), u16 count, each u64 entry, u32 id,
     * u32 length as published; then u16 avail flags, u16 used_event as read behind a full barrier after that.
     * Each of them was compared before with what it was when accepted (CHANGED records stand before this one). */
    RPL_USED = 14,
    RPL_INTERRUPT = 15, /* u8: 0 one that was asked for, 1 suppressed but sent, 2 without news */
    /* u64 entry, u8 where (RPL_WHERE_*), u8 1 if seen at once after acceptance, u32 index (descriptor, table
     * entry, byte of the readable bytes), u8 n, n bytes as they were, n bytes as they are. Told once; from then on
     * the new bytes are what is held against memory. */
    RPL_CHANGED = 16,
    /* u32 byte of the used ring, u16 what it must hold, u16 what it holds; put right in the device's copy */
    RPL_USED_CHANGED = 17,
    RPL_QUIET = 18,  /* u32 ms without kick or new chain while one was owed. Judges RPL_KICK_LOST_* and *_HEEDED */
    RPL_PHASE = 19,  /* JSON, UTF-8: what the device does from now on, for people */
    RPL_INJECT = 20, /* u8 kind (RPL_INJECT_* of queue.h), u64, u64 numbers of it. The queue isn't judged any more */
    RPL_STALL = 21,  /* u32 ms. Judges RPL_TRAFFIC_STALLED: fails; */
    RPL_FLOW = 22,   /* nothing: the traffic that was waited for came. Judges RPL_TRAFFIC_STALLED: holds */
    /* for each code with checked > 0: u16 code, u64 checked, failed, record, a, b. What the live monitor has counted */
    RPL_TALLIES = 23,
    /* State of a queue for checkpoints, as u64 published, used; u16 used_idx, used flags, avail_event, last
     * seen avail_idx, avail flags, used_event; u64 armed; u32 next_head; u8 obliged, credit, distracting,
     * distracted_kick, halted, enabled (1: now; 2: at some time since the start); u64 epoch_kicks, epoch_wanted,
     * lost_at (~0: none), owed_since */
    RPL_QUEUE_STATE = 24,
};

#define RPL_RECORD_VERSION 1
#define RPL_TABLE_KEPT (32769u * 16u)
#define RPL_PREFIX_OF_FRAME 128u

#define RPL_CHAIN_CARRIED 1u

#define RPL_USED_INTERRUPT 1u /* an interrupt follows */
#define RPL_USED_BATCH 2u     /* IN_ORDER: one used entry, the last, stands for all of count */
#define RPL_USED_TOTAL 4u     /* its lengths are total lengths, as legacy devices tell them */

#define RPL_WHERE_DESCRIPTOR 0u
#define RPL_WHERE_TABLE 1u
#define RPL_WHERE_HEADER 3u

/* Two buffers of `bytes` each; one is written while the other waits to be taken, or is kept as the past. */
struct rpl_recorder {
    struct rpl_log *log;
    uint8_t *buffers[2];
    size_t   bytes, used[2];
    uint32_t writing;
    bool     keep;    /* full buffers must be taken (a file is written); else the older is overwritten */
    bool     waiting; /* buffers[1 - writing] is full and not taken */
    bool     open;    /* a record is being put together */
    uint64_t began, last; /* microseconds, CLOCK_MONOTONIC */
    uint64_t now;         /* set by the session's loop before a round of work; records carry it */
    size_t   start;       /* of the record being put together */
    void   (*checkpoint)(void *context, struct rpl_recorder *recorder); /* emits what stands in one */
    void    *context;
};

/* bytes >= 4 MiB. False: no memory. */
bool rpl_recorder_init(struct rpl_recorder *recorder, struct rpl_log *log, size_t bytes, bool keep,
                       void (*checkpoint)(void *, struct rpl_recorder *), void *context);
void rpl_recorder_free(struct rpl_recorder *recorder);

/* A record is begun, filled by rpl_put*, and ended, which counts it. No room: a new segment begins by itself
 * at rpl_record_begin when fewer than 2 MiB are left (so no record may be longer than that, nor a checkpoint). */
void rpl_record_begin(struct rpl_recorder *recorder, enum rpl_kind kind, uint8_t queue);
void rpl_record_end(struct rpl_recorder *recorder);
void rpl_put(struct rpl_recorder *recorder, const void *bytes, size_t count);
void rpl_put8(struct rpl_recorder *recorder, uint8_t value);
void rpl_put16(struct rpl_recorder *recorder, uint16_t value);
void rpl_put32(struct rpl_recorder *recorder, uint32_t value);
void rpl_put64(struct rpl_recorder *recorder, uint64_t value);

/* A TALLIES record of all that was counted. */
void rpl_record_tallies(struct rpl_recorder *recorder);
/* A PHASE record. */
void rpl_record_phase(struct rpl_recorder *recorder, const char *json, size_t bytes);
/* Ends the segment being written; the next record begins another. */
void rpl_record_cut(struct rpl_recorder *recorder);
/* The oldest segment that is there and whole (after a cut: also the newest), or null; with `take` it is
 * given up. */
const uint8_t *rpl_record_segment(struct rpl_recorder *recorder, uint32_t which, size_t *bytes);
void rpl_record_taken(struct rpl_recorder *recorder);

#endif
