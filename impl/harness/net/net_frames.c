/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: their structures, made anew each time one is handed over, and the memory they lie in. */
#define _GNU_SOURCE
#include "net_harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

bool rp_net_frames_map(struct rp_net_harness *harness)
{
    struct rp_net_frames *frames = &harness->frames;

    frames->window = rp_process_map_guarded(harness->process.file, harness->shared->window_offset,
                                            RP_NET_FRAME_BYTES);
    frames->copy = mmap(NULL, RP_NET_FRAME_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return frames->window != NULL && frames->copy != MAP_FAILED;
}

static const struct rp_net_frame_entry *entry_of(const struct rp_net_harness *harness, uint32_t number)
{
    return (const struct rp_net_frame_entry *)rp_net_at(harness, harness->shared->frame_offset) + number;
}

bool rp_net_frames_take(struct rp_net_harness *harness)
{
    struct rp_net_frames *frames = &harness->frames;
    const struct rp_net_shared *shared = harness->shared;

    for (uint32_t number = 0; number < frames->count; number++)
        free(frames->parts[number].frame);
    free(frames->lives);
    free(frames->parts);
    frames->count = 0;
    frames->lives = calloc(shared->frame_count + 1u, sizeof(frames->lives[0]));
    frames->parts = calloc(shared->frame_count + 1u, sizeof(frames->parts[0]));
    if (frames->lives == NULL || frames->parts == NULL)
        return false;
    frames->count = shared->frame_count;
    memset(rp_net_at(harness, shared->owner_offset), 0, frames->count * sizeof(uint32_t));
    /* What earlier frames have left behind it must stay as well. */
    if (frames->used < shared->window_used)
        frames->used = (shared->window_used + PAGE - 1) / PAGE * PAGE;
    memcpy(frames->copy, frames->window, frames->used);
    return true;
}

static void *window_at(const struct rp_net_frames *frames, uint64_t address)
{
    return frames->window + (address - RP_NET_FRAME_ADDRESS);
}

static void fill_packets(const struct rp_net_harness *harness, const struct rp_net_frame_entry *entry,
                         struct rp_net_packet *packets, const struct rp_net_fragment *fragments)
{
    const struct rp_net_packet_entry *from =
        (const struct rp_net_packet_entry *)rp_net_at(harness, harness->shared->packet_offset) + entry->packets;

    for (uint32_t i = 0; i < entry->packet_count; i++) {
        packets[i].head = window_at(&harness->frames, from[i].head);
        packets[i].head_address = from[i].head;
        packets[i].head_length = from[i].head_length;
        packets[i].fragment_count = from[i].fragment_count;
        packets[i].fragments = from[i].fragment_count != 0 ? fragments + from[i].fragments : NULL;
        packets[i].list = from[i].list != 0 ? &packets[from[i].list - 1] : NULL;
        packets[i].next = from[i].next != 0 ? &packets[from[i].next - 1] : NULL;
        packets[i].length = from[i].length;
        packets[i].reserved = 0;
    }
}

static void fill_fragments(const struct rp_net_harness *harness, const struct rp_net_frame_entry *entry,
                           struct rp_net_fragment *fragments)
{
    const struct rp_net_fragment_entry *from =
        (const struct rp_net_fragment_entry *)rp_net_at(harness, harness->shared->fragment_offset) +
        entry->fragments;

    for (uint32_t i = 0; i < entry->fragment_count; i++) {
        fragments[i].page = window_at(&harness->frames, from[i].page);
        fragments[i].page_address = from[i].page;
        fragments[i].offset = from[i].offset;
        fragments[i].length = from[i].length;
    }
}

const struct rp_net_frame *rp_net_frames_send(struct rp_net_harness *harness, uint32_t number)
{
    struct rp_net_frames *frames = &harness->frames;
    const struct rp_net_frame_entry *entry = entry_of(harness, number);
    size_t bytes = sizeof(struct rp_net_frame) + entry->packet_count * sizeof(struct rp_net_packet) +
                   entry->fragment_count * sizeof(struct rp_net_fragment);
    struct rp_net_frame *frame = malloc(bytes);
    struct rp_net_packet *packets = (struct rp_net_packet *)(void *)(frame + 1);
    struct rp_net_fragment *fragments = (struct rp_net_fragment *)(void *)(packets + entry->packet_count);

    if (frame == NULL)
        return NULL;
    fill_fragments(harness, entry, fragments);
    fill_packets(harness, entry, packets, fragments);
    *frame = (struct rp_net_frame){
        .packet = packets,
        .token = (void *)(uintptr_t)(number + 1u),
        .control = window_at(frames, entry->control),
        .control_address = entry->control,
        .checksum = entry->checksum,
        .gso = entry->gso,
        .ecn = entry->ecn,
        .queue_recorded = entry->queue_recorded,
        .csum_start = entry->csum_start,
        .csum_offset = entry->csum_offset,
        .gso_size = entry->gso_size,
        .recorded_queue = entry->recorded_queue,
        .cpu = entry->cpu,
    };
    frames->parts[number].frame = frame;
    frames->parts[number].bytes = bytes;
    frames->life_before = frames->lives[number];
    frames->lives[number] = RP_NET_LIFE_IN_FLIGHT;
    harness->shared->in_flight++;
    return frame;
}

void rp_net_frames_withdraw(struct rp_net_harness *harness, uint32_t number)
{
    struct rp_net_frames *frames = &harness->frames;

    if (!rp_net_frames_in_flight(harness, number))
        return; /* select_queue freed it, which is none of its business: a finding when it is freed again */
    frames->lives[number] = frames->life_before;
    free(frames->parts[number].frame);
    frames->parts[number].frame = NULL;
    harness->shared->in_flight--;
}

bool rp_net_frames_in_flight(const struct rp_net_harness *harness, uint32_t number)
{
    return harness->frames.lives[number] == RP_NET_LIFE_IN_FLIGHT;
}

/* Compares a piece of the window with what it must hold. a: where; b: token, byte seen. */
static void check_piece(struct rp_net_harness *harness, uint32_t number, uint64_t address, uint32_t bytes)
{
    struct rp_net_frames *frames = &harness->frames;
    uint64_t at = address - RP_NET_FRAME_ADDRESS, end = at + bytes;
    bool same = memcmp(frames->window + at, frames->copy + at, bytes) == 0;

    while (!same && at < end && frames->window[at] == frames->copy[at])
        at++;
    rp_net_check(harness, RP_NET_FIND_FRAME_WRITTEN, same, RP_NET_FRAME_ADDRESS + at,
                 same ? 0 : RP_PAIR(number + 1, frames->window[at]));
    if (!same) /* told once */
        memcpy(frames->copy + (address - RP_NET_FRAME_ADDRESS),
               frames->window + (address - RP_NET_FRAME_ADDRESS), bytes);
}

static void check_data(struct rp_net_harness *harness, uint32_t number)
{
    const struct rp_net_frame_entry *entry = entry_of(harness, number);
    const struct rp_net_packet_entry *packet =
        (const struct rp_net_packet_entry *)rp_net_at(harness, harness->shared->packet_offset) + entry->packets;
    const struct rp_net_fragment_entry *fragment =
        (const struct rp_net_fragment_entry *)rp_net_at(harness, harness->shared->fragment_offset) +
        entry->fragments;

    for (uint32_t i = 0; i < entry->packet_count; i++)
        check_piece(harness, number, packet[i].head, packet[i].head_length);
    for (uint32_t i = 0; i < entry->fragment_count; i++)
        check_piece(harness, number, fragment[i].page + fragment[i].offset, fragment[i].length);
}

/* From here on the control block must stay as it is. */
static void keep_control(struct rp_net_frames *frames, const struct rp_net_frame_entry *entry)
{
    uint64_t at = entry->control - RP_NET_FRAME_ADDRESS;

    memcpy(frames->copy + at, frames->window + at, RP_NET_CONTROL_BYTES);
}

/* Whoever looks at the structures of a frame freed sees at once that they are gone. The token stays, so that
 * freeing it twice is seen as what it is. */
static void put_away(struct rp_net_frames *frames, struct rp_net_parts *parts)
{
    struct rp_net_parts *place = &frames->released[frames->released_at++ % RP_NET_QUARANTINE];
    void *token = parts->frame->token;

    memset(parts->frame, RP_RELEASED_BYTE, parts->bytes);
    parts->frame->token = token;
    free(place->frame);
    *place = *parts;
    parts->frame = NULL;
}

static uint32_t *owner_of(const struct rp_net_harness *harness, uint32_t number)
{
    return (uint32_t *)rp_net_at(harness, harness->shared->owner_offset) + number;
}

void rp_net_frames_published(struct rp_net_harness *harness, uint32_t number)
{
    *owner_of(harness, number) = harness->shared->registers.epoch + 1;
}

void rp_net_frames_freed(struct rp_net_harness *harness, uint64_t token)
{
    struct rp_net_frames *frames = &harness->frames;
    uint8_t life = token != 0 && token <= frames->count ? frames->lives[token - 1] : RP_NET_LIFE_NEW;
    bool known = life == RP_NET_LIFE_IN_FLIGHT || life == RP_NET_LIFE_FREED;
    uint32_t number = (uint32_t)token - 1;

    rp_net_check(harness, RP_NET_FIND_FREED_UNKNOWN, known, token, 0);
    if (!known)
        return;
    rp_net_check(harness, RP_NET_FIND_FREED_TWICE, life == RP_NET_LIFE_IN_FLIGHT, token, 0);
    if (life != RP_NET_LIFE_IN_FLIGHT)
        return;
    rp_net_check(harness, RP_NET_FIND_FREED_EARLY,
                 *owner_of(harness, number) != harness->shared->registers.epoch + 1, token, 0);
    *owner_of(harness, number) = 0;
    check_data(harness, number);
    keep_control(frames, entry_of(harness, number));
    put_away(frames, &frames->parts[number]);
    frames->lives[number] = RP_NET_LIFE_FREED;
    harness->shared->in_flight--;
}

void rp_net_frames_orphaned(struct rp_net_harness *harness, uint64_t token)
{
    struct rp_net_frames *frames = &harness->frames;

    rp_net_check(harness, RP_NET_FIND_ORPHANED_UNKNOWN,
                 token != 0 && token <= frames->count && frames->lives[token - 1] == RP_NET_LIFE_IN_FLIGHT,
                 token, 0);
}

/* Frames nobody gave back: a finding, or lost for good. Either way they are not looked for again. */
static void give_up(struct rp_net_harness *harness, bool excused)
{
    struct rp_net_frames *frames = &harness->frames;
    uint64_t left = 0, first = 0;

    for (uint32_t number = 0; harness->shared->in_flight != 0 && number < frames->count; number++) {
        if (!rp_net_frames_in_flight(harness, number))
            continue;
        first = left++ == 0 ? number + 1u : first;
        check_data(harness, number);
        keep_control(frames, entry_of(harness, number));
        frames->lives[number] = RP_NET_LIFE_LOST;
        harness->shared->in_flight--;
        harness->shared->lost++;
    }
    rp_net_check(harness, RP_NET_FIND_NEVER_FREED, left == 0 || excused, first, left);
}

/* Pages behind the frames hold nothing, if there are any at all. Sets *at to one that does otherwise. */
static bool untouched_from(const struct rp_net_harness *harness, uint64_t *at)
{
    const struct rp_net_frames *frames = &harness->frames;
    uint64_t begin = harness->shared->window_offset, next = frames->used;

    while (next < RP_NET_FRAME_BYTES) {
        off_t data = lseek(harness->process.file, (off_t)(begin + next), SEEK_DATA);

        if (data < 0 || (uint64_t)data >= begin + RP_NET_FRAME_BYTES)
            return true;
        next = (uint64_t)data - begin;
        if (memcmp(frames->window + next, frames->copy + next, PAGE) != 0) {
            *at = next;
            return false;
        }
        next += PAGE;
    }
    return true;
}

void rp_net_frames_check(struct rp_net_harness *harness, bool excused)
{
    struct rp_net_frames *frames = &harness->frames;
    uint64_t at = 0;
    bool same;

    give_up(harness, excused);
    same = memcmp(frames->window, frames->copy, frames->used) == 0;
    if (same)
        same = untouched_from(harness, &at);
    while (!same && frames->window[at] == frames->copy[at])
        at++;
    rp_net_check(harness, RP_NET_FIND_WINDOW_WRITTEN, same, RP_NET_FRAME_ADDRESS + at,
                 same ? 0 : RP_PAIR(frames->window[at], frames->copy[at]));
    if (!same) { /* told once */
        uint64_t begin = at / PAGE * PAGE, end = at < frames->used ? frames->used : begin + PAGE;

        memcpy(frames->copy + begin, frames->window + begin, end - begin);
    }
}
