/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder. It makes CHECKPOINT and CHECKPOINT_END itself, at the first record of a segment; its callback
 * emits what stands between them. None of these are counted, whatever the callback does.
 *
 * `bytes` says when a segment ends, not how long it may get: a buffer grows where a checkpoint is long (then the
 * segment goes on for half of `bytes` at least, so that checkpoints don't eat up the time), and where a full segment
 * must be kept and wasn't taken yet. It shrinks when it is used again. There is an end to growing (LONGEST). Beyond
 * it a record is left out as a whole. In a checkpoint CHECKPOINT_END then has a payload: u32 records left out;
 * with it the segment can only be read after the one before. Any other record left out is counted all the same, so
 * that the next CHECKPOINT's number shows a gap.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime, htole16 under -std=c11 */
#endif
#include "record.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEAST_BYTES ((size_t)4 << 20)
#define RECORD_ROOM ((size_t)2 << 20)        /* left when a segment ends */
#define LONGEST ((size_t)64 << 20)           /* of a segment; if `bytes` are more than 48 MiB, 16 MiB more than they */
#define BEHIND_CHECKPOINT ((size_t)16 << 20) /* what a checkpoint leaves of that */
#define LONGEST_STEP ((size_t)12 << 20)
#define HEAD_BYTES 8u
#define LONG_PAYLOAD 0xffffu

/* What rpl_recorder.buffers point into. */
struct segment {
    size_t   capacity;
    size_t   limit;      /* a record that would begin behind it begins another segment */
    uint32_t left_out;   /* records of its checkpoint */
    bool     whole;      /* ended by rpl_record_cut */
    bool     checkpoint; /* being made */
    bool     lost;       /* the record being put together does not fit */
    uint8_t  data[];
};

static inline struct segment *segment_of(const struct rpl_recorder *recorder, uint32_t which)
{
    return (struct segment *)(void *)(recorder->buffers[which] - offsetof(struct segment, data));
}

static struct segment *resize(struct rpl_recorder *recorder, uint32_t which, struct segment *segment, size_t capacity)
{
    struct segment *moved = realloc(segment, sizeof *moved + capacity);

    if (!moved)
        return NULL;
    moved->capacity = capacity;
    recorder->buffers[which] = moved->data;
    return moved;
}

static void empty(struct rpl_recorder *recorder, uint32_t which)
{
    struct segment *segment = segment_of(recorder, which);

    if (segment->capacity > recorder->bytes)
        (void)resize(recorder, which, segment, recorder->bytes); /* refused: it stays large */
    segment = segment_of(recorder, which);
    segment->limit = recorder->bytes - RECORD_ROOM;
    segment->left_out = 0;
    segment->whole = segment->checkpoint = segment->lost = false;
    recorder->used[which] = 0;
}

bool rpl_recorder_init(struct rpl_recorder *recorder, struct rpl_log *log, size_t bytes, bool keep,
                       void (*checkpoint)(void *, struct rpl_recorder *), void *context)
{
    struct timespec clock = {0};

    memset(recorder, 0, sizeof *recorder);
    if (bytes < LEAST_BYTES || bytes > SIZE_MAX / 2)
        return false;
    recorder->log = log;
    recorder->bytes = bytes;
    recorder->keep = keep;
    recorder->checkpoint = checkpoint;
    recorder->context = context;
    (void)clock_gettime(CLOCK_MONOTONIC, &clock);
    recorder->began = (uint64_t)clock.tv_sec * 1000000u + (uint64_t)clock.tv_nsec / 1000u;
    recorder->now = recorder->last = recorder->began;
    for (uint32_t which = 0; which < 2; which++) {
        if (!resize(recorder, which, NULL, bytes)) {
            rpl_recorder_free(recorder);
            return false;
        }
        empty(recorder, which);
    }
    return true;
}

void rpl_recorder_free(struct rpl_recorder *recorder)
{
    for (uint32_t which = 0; which < 2; which++) {
        if (recorder->buffers[which])
            free(segment_of(recorder, which));
        recorder->buffers[which] = NULL;
        recorder->used[which] = 0;
    }
}

__attribute__((noinline, cold)) static bool grow(struct rpl_recorder *recorder, size_t count)
{
    uint32_t        which = recorder->writing;
    struct segment *segment = segment_of(recorder, which);
    size_t          most = recorder->bytes + BEHIND_CHECKPOINT;
    size_t          used = recorder->used[which];
    size_t          capacity = segment->capacity;

    if (segment->lost)
        return false;
    segment->lost = true;
    if (most < LONGEST)
        most = LONGEST;
    if (segment->checkpoint)
        most -= BEHIND_CHECKPOINT;
    if (used > most || count > most - used)
        return false;
    capacity = capacity > most / 2 ? most : capacity * 2;
    if (capacity < used + count)
        capacity = used + count;
    segment = resize(recorder, which, segment, capacity);
    if (!segment)
        return false;
    segment->lost = false;
    return true;
}

/* Where the next `count` bytes go, or null. */
static inline uint8_t *room(struct rpl_recorder *recorder, size_t count)
{
    uint32_t which = recorder->writing;
    size_t   used = recorder->used[which];

    if (__builtin_expect(count > segment_of(recorder, which)->capacity - used, 0) && !grow(recorder, count))
        return NULL;
    recorder->used[which] = used + count;
    return recorder->buffers[which] + used;
}

/* `last` goes on by what was told, so what does not fit into 32 bits is told by the records that follow. */
static inline uint32_t elapsed(struct rpl_recorder *recorder)
{
    uint64_t delta;

    if (recorder->now <= recorder->last)
        return 0;
    delta = recorder->now - recorder->last;
    if (delta > UINT32_MAX)
        delta = UINT32_MAX;
    recorder->last += delta;
    return (uint32_t)delta;
}

static inline void put_head(struct rpl_recorder *recorder, enum rpl_kind kind, uint8_t queue)
{
    uint32_t delta = htole32(elapsed(recorder));
    uint8_t *at;

    recorder->open = true;
    recorder->start = recorder->used[recorder->writing];
    at = room(recorder, HEAD_BYTES);
    if (!at)
        return;
    at[0] = (uint8_t)kind;
    at[1] = queue;
    memcpy(at + 4, &delta, sizeof delta);
}

/* An empty buffer to write to, if there is one; else the segment goes on where it is. */
static void turn(struct rpl_recorder *recorder)
{
    uint32_t        other = 1 - recorder->writing;
    struct segment *segment = segment_of(recorder, recorder->writing);
    size_t          step = recorder->bytes / 2 < LONGEST_STEP ? recorder->bytes / 2 : LONGEST_STEP;

    if (recorder->used[recorder->writing] == 0)
        return;
    if (recorder->waiting) {
        segment->whole = false;
        segment->limit = recorder->used[recorder->writing] + step;
        return;
    }
    empty(recorder, other);
    recorder->writing = other;
    recorder->waiting = recorder->keep;
}

static void begin_segment(struct rpl_recorder *recorder)
{
    struct rpl_log *log = recorder->log;
    uint64_t        records = log->records;
    size_t          step = recorder->bytes / 2 < LONGEST_STEP ? recorder->bytes / 2 : LONGEST_STEP;
    struct segment *segment;
    uint32_t        left_out;

    if (recorder->now > recorder->last)
        recorder->last = recorder->now;
    segment_of(recorder, recorder->writing)->checkpoint = true;
    put_head(recorder, RPL_CHECKPOINT, 0xff);
    rpl_put64(recorder, records + 1);
    rpl_put64(recorder, recorder->last - recorder->began);
    rpl_put16(recorder, RPL_RECORD_VERSION);
    rpl_record_end(recorder);
    if (recorder->checkpoint)
        recorder->checkpoint(recorder->context, recorder);
    segment = segment_of(recorder, recorder->writing);
    left_out = segment->left_out;
    segment->checkpoint = false; /* so there is room for this one in any case */
    put_head(recorder, RPL_CHECKPOINT_END, 0xff);
    if (left_out)
        rpl_put32(recorder, left_out);
    rpl_record_end(recorder);
    log->records = records;
    segment = segment_of(recorder, recorder->writing);
    if (segment->limit < recorder->used[recorder->writing] + step)
        segment->limit = recorder->used[recorder->writing] + step;
}

void rpl_record_begin(struct rpl_recorder *recorder, enum rpl_kind kind, uint8_t queue)
{
    size_t                used = recorder->used[recorder->writing];
    const struct segment *segment = segment_of(recorder, recorder->writing);

    assert(!recorder->open);
    if (__builtin_expect(!segment->checkpoint && (used == 0 || segment->whole || used > segment->limit), 0)) {
        turn(recorder);
        if (recorder->used[recorder->writing] == 0)
            begin_segment(recorder);
    }
    put_head(recorder, kind, queue);
}

/* The u32 of a long payload is put in behind the u16. */
__attribute__((noinline, cold)) static void end_long(struct rpl_recorder *recorder, size_t bytes)
{
    uint32_t length = htole32((uint32_t)bytes);
    uint8_t *at;

    if (bytes > UINT32_MAX || !room(recorder, sizeof length)) {
        segment_of(recorder, recorder->writing)->lost = true;
        return;
    }
    at = recorder->buffers[recorder->writing] + recorder->start;
    memmove(at + 8, at + 4, bytes + 4);
    memset(at + 2, 0xff, 2);
    memcpy(at + 4, &length, sizeof length);
}

void rpl_record_end(struct rpl_recorder *recorder)
{
    uint32_t        which = recorder->writing;
    struct segment *segment = segment_of(recorder, which);
    size_t          bytes = recorder->used[which] - recorder->start - HEAD_BYTES;
    uint16_t        length;

    assert(recorder->open);
    recorder->open = false;
    if (__builtin_expect(!segment->lost, 1)) {
        length = htole16((uint16_t)bytes);
        memcpy(recorder->buffers[which] + recorder->start + 2, &length, sizeof length);
        if (__builtin_expect(bytes >= LONG_PAYLOAD, 0)) {
            end_long(recorder, bytes);
            segment = segment_of(recorder, which);
        }
    }
    recorder->log->records++; /* begin_segment takes back those of a checkpoint */
    if (__builtin_expect(segment->lost, 0)) {
        segment->lost = false;
        segment->left_out++;
        recorder->used[which] = recorder->start;
    }
}

void rpl_put(struct rpl_recorder *recorder, const void *bytes, size_t count)
{
    uint8_t *at = room(recorder, count);

    if (at && count)
        memcpy(at, bytes, count);
}

void rpl_put8(struct rpl_recorder *recorder, uint8_t value)
{
    uint8_t *at = room(recorder, sizeof value);

    if (at)
        *at = value;
}

void rpl_put16(struct rpl_recorder *recorder, uint16_t value)
{
    uint8_t *at = room(recorder, sizeof value);

    value = htole16(value);
    if (at)
        memcpy(at, &value, sizeof value);
}

void rpl_put32(struct rpl_recorder *recorder, uint32_t value)
{
    uint8_t *at = room(recorder, sizeof value);

    value = htole32(value);
    if (at)
        memcpy(at, &value, sizeof value);
}

void rpl_put64(struct rpl_recorder *recorder, uint64_t value)
{
    uint8_t *at = room(recorder, sizeof value);

    value = htole64(value);
    if (at)
        memcpy(at, &value, sizeof value);
}

void rpl_record_tallies(struct rpl_recorder *recorder)
{
    const struct rpl_tally *tally = recorder->log->tallies;

    rpl_record_begin(recorder, RPL_TALLIES, 0xff);
    for (uint16_t code = 0; code < RPL_CHECKS; code++) {
        if (tally[code].checked == 0)
            continue;
        rpl_put16(recorder, code);
        rpl_put64(recorder, tally[code].checked);
        rpl_put64(recorder, tally[code].failed);
        rpl_put64(recorder, tally[code].record);
        rpl_put64(recorder, tally[code].a);
        rpl_put64(recorder, tally[code].b);
    }
    rpl_record_end(recorder);
}

void rpl_record_phase(struct rpl_recorder *recorder, const char *json, size_t bytes)
{
    rpl_record_begin(recorder, RPL_PHASE, 0xff);
    rpl_put(recorder, json, bytes);
    rpl_record_end(recorder);
}

void rpl_record_cut(struct rpl_recorder *recorder)
{
    assert(!recorder->open);
    segment_of(recorder, recorder->writing)->whole = recorder->used[recorder->writing] > 0;
}

/* Which buffer holds the whole segment number `which`, the oldest being 0; 2: there is none. */
static uint32_t whole(const struct rpl_recorder *recorder, uint32_t which)
{
    uint32_t other = 1 - recorder->writing;

    if (recorder->used[other] > 0 && which-- == 0)
        return other;
    return segment_of(recorder, recorder->writing)->whole && which == 0 ? recorder->writing : 2;
}

const uint8_t *rpl_record_segment(struct rpl_recorder *recorder, uint32_t which, size_t *bytes)
{
    uint32_t found = whole(recorder, which);

    *bytes = found < 2 ? recorder->used[found] : 0;
    return found < 2 ? recorder->buffers[found] : NULL;
}

void rpl_record_taken(struct rpl_recorder *recorder)
{
    uint32_t found = whole(recorder, 0);

    if (found == 2)
        return;
    if (found != recorder->writing)
        recorder->waiting = false;
    empty(recorder, found);
}
