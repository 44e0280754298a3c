/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain device. As the monitored one it reads each word of the driver's once and checks each address, and it
 * copies each frame out, as whoever puts frames on a wire does, but it looks at nothing in them. What it must say about kicks and interrupts it says as VIRTIO 1.3 sections 2.7.7.2 and 2.7.10.2
 * demand. A chain that makes no sense is given back unread; a head or an avail_idx that makes none ends its work.
 */
#include "plain.h"
#include "frame.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_QUEUE 32768u
#define LARGEST_TABLE 32769u /* entries walked: longer chains are no use to anyone */
#define DESCRIPTOR_BYTES 16u

#define LARGEST_FRAME 65536u /* bytes copied of one chain */

#define DESCRIPTOR_NEXT 1u
#define DESCRIPTOR_WRITE 2u
#define DESCRIPTOR_INDIRECT 4u
#define NO_KICK 1u      /* used flags */
#define NO_INTERRUPT 1u /* avail flags */

struct descriptor { /* VIRTIO 1.3 section 2.7.5 */
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

struct used_entry { /* 2.7.8 */
    uint32_t id, bytes;
};

struct rpl_plain {
    struct rpl_guest      *guest;
    struct rpl_queue_setup setup;
    uint32_t               generation; /* of the guest's memory, when the pointers were made */
    int                    call;
    bool                   runs, broken, event_idx;
    bool                   asks; /* without EVENT_IDX: used flags ask for kicks */
    const uint8_t         *desc;
    uint16_t              *avail; /* flags, idx, ring, used_event */
    uint16_t              *used;  /* flags, idx, ring, avail_event */
    uint16_t               taken;     /* avail_idx up to which chains were taken */
    uint16_t               published; /* used_idx */
    uint64_t               chains;
    uint32_t               copied; /* bytes of `frame` */
    uint8_t                frame[LARGEST_FRAME];
};

struct rpl_plain *rpl_plain_new(struct rpl_guest *guest)
{
    struct rpl_plain *plain = calloc(1, sizeof *plain);

    if (!plain)
        return NULL;
    plain->guest = guest;
    plain->call = -1;
    return plain;
}

void rpl_plain_free(struct rpl_plain *plain)
{
    free(plain);
}

static uint16_t load(const uint16_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static uint16_t *used_idx(const struct rpl_plain *plain)
{
    return plain->used + 1;
}

static uint16_t *avail_event(const struct rpl_plain *plain)
{
    return plain->used + 2 + 4 * (size_t)plain->setup.size;
}

static const uint16_t *used_event(const struct rpl_plain *plain)
{
    return plain->avail + 2 + (size_t)plain->setup.size;
}

static void dirty(const struct rpl_plain *plain, const void *at, size_t bytes)
{
    if (plain->guest->log)
        rpl_guest_dirty(plain->guest, plain->setup.used + (uint64_t)((const uint8_t *)at - (uint8_t *)plain->used),
                        bytes);
}

static void store(const struct rpl_plain *plain, uint16_t *at, uint16_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
    dirty(plain, at, sizeof *at);
}

static void ask(struct rpl_plain *plain, bool kicks)
{
    store(plain, plain->used, (uint16_t)(kicks ? 0 : NO_KICK));
    plain->asks = kicks;
}

/* The front-end says where its memory is, and may say so in the middle of a run. */
static bool find_parts(struct rpl_plain *plain)
{
    const struct rpl_queue_setup *setup = &plain->setup;
    uint64_t                      event = plain->event_idx ? 2 : 0;
    uint8_t                      *avail, *used;

    plain->generation = plain->guest->generation;
    plain->desc = rpl_guest_at(plain->guest, setup->desc, (uint64_t)DESCRIPTOR_BYTES * setup->size);
    avail = rpl_guest_at(plain->guest, setup->avail, 4 + 2 * (uint64_t)setup->size + event);
    used = rpl_guest_at(plain->guest, setup->used, 4 + 8 * (uint64_t)setup->size + event);
    if (!plain->desc || !avail || !used || (uintptr_t)avail % 2 || (uintptr_t)used % 4)
        return false;
    plain->avail = (uint16_t *)(void *)avail;
    plain->used = (uint16_t *)(void *)used;
    return true;
}

bool rpl_plain_start(struct rpl_plain *plain, const struct rpl_queue_setup *setup)
{
    plain->runs = false;
    if (setup->size == 0 || setup->size > LARGEST_QUEUE || (setup->size & (setup->size - 1)))
        return false;
    plain->setup = *setup;
    plain->event_idx = setup->features & RPL_RING_EVENT_IDX;
    plain->taken = setup->base;
    plain->broken = plain->asks = false;
    if (!find_parts(plain))
        return false;
    plain->published = load(used_idx(plain));
    if (!plain->event_idx)
        ask(plain, false); /* it looks for itself before it asks for one; a receiver never asks */
    plain->runs = true;
    return true;
}

uint16_t rpl_plain_stop(struct rpl_plain *plain)
{
    plain->runs = false;
    return plain->taken;
}

void rpl_plain_set_call(struct rpl_plain *plain, int fd)
{
    plain->call = fd;
}

uint64_t rpl_plain_chains(const struct rpl_plain *plain)
{
    return plain->chains;
}

static void fetch(struct descriptor *into, const uint8_t *table, uint32_t index)
{
    memcpy(into, table + (size_t)index * DESCRIPTOR_BYTES, sizeof *into);
    __asm__ volatile("" ::: "memory"); /* else it might be read again, after it was checked */
}

static void copy_out(struct rpl_plain *plain, const struct descriptor *piece)
{
    uint32_t room = LARGEST_FRAME - plain->copied, bytes = piece->bytes < room ? piece->bytes : room;

    if (rpl_guest_read(plain->guest, piece->address, plain->frame + plain->copied, bytes))
        plain->copied += bytes;
}

/* Follows what `first` begins in `table` and checks every address; false: it leads nowhere. */
static bool walk(struct rpl_plain *plain, const uint8_t *table, uint32_t entries, uint32_t index, bool indirect)
{
    uint32_t          most = entries < LARGEST_TABLE ? entries : LARGEST_TABLE;
    struct descriptor descriptor;

    for (uint32_t step = 0; step < most; step++) {
        fetch(&descriptor, table, index);
        if (descriptor.flags & DESCRIPTOR_INDIRECT) {
            const uint8_t *inner;

            if (indirect || descriptor.bytes < DESCRIPTOR_BYTES || descriptor.bytes % DESCRIPTOR_BYTES)
                return false;
            inner = rpl_guest_at(plain->guest, descriptor.address, descriptor.bytes);
            return inner && walk(plain, inner, descriptor.bytes / DESCRIPTOR_BYTES, 0, true);
        }
        if (!rpl_guest_covers(plain->guest, descriptor.address, descriptor.bytes))
            return false;
        if (!(descriptor.flags & DESCRIPTOR_WRITE))
            copy_out(plain, &descriptor);
        if (!(descriptor.flags & DESCRIPTOR_NEXT))
            return true;
        index = descriptor.next;
        if (index >= entries)
            return false;
    }
    return false;
}

static void interrupt(const struct rpl_plain *plain, uint16_t before, bool empty)
{
    static const uint64_t one = 1;
    bool                  wanted;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (plain->event_idx)
        wanted = (uint16_t)(plain->published - load(used_event(plain)) - 1) < (uint16_t)(plain->published - before);
    else
        wanted = !(load(plain->avail) & NO_INTERRUPT);
    if (empty && (plain->setup.features & RPL_RING_NOTIFY_ON_EMPTY))
        wanted = true;
    if (wanted && plain->call >= 0 && write(plain->call, &one, sizeof one) < 0)
        return; /* its counter is full, so the driver has an interrupt to see anyway */
}

/* Takes `count` chains from where it is, and gives them back. */
static void complete(struct rpl_plain *plain, uint16_t count, bool empty)
{
    uint32_t           mask = plain->setup.size - 1;
    uint16_t           before = plain->published;
    struct used_entry *ring = (struct used_entry *)(void *)(plain->used + 2);

    for (uint16_t i = 0; i < count; i++) {
        uint16_t           head = __atomic_load_n(&plain->avail[2 + (plain->taken & mask)], __ATOMIC_RELAXED);
        struct used_entry *entry = &ring[plain->published & mask];

        if (head >= plain->setup.size) {
            plain->broken = true;
            break;
        }
        plain->copied = 0;
        (void)walk(plain, plain->desc, plain->setup.size, head, false);
        *entry = (struct used_entry){head, 0};
        dirty(plain, entry, sizeof *entry);
        plain->taken++;
        plain->published++;
        plain->chains++;
    }
    if (plain->published == before)
        return;
    store(plain, used_idx(plain), plain->published);
    interrupt(plain, before, empty);
}

/* Asks for a kick at the next entry; false if that one is there already. */
static bool rest(struct rpl_plain *plain)
{
    if (plain->event_idx)
        store(plain, avail_event(plain), plain->taken);
    else
        ask(plain, true);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (load(plain->avail + 1) == plain->taken)
        return true;
    if (plain->asks)
        ask(plain, false);
    return false;
}

bool rpl_plain_service(struct rpl_plain *plain, uint32_t limit)
{
    if (!plain->runs || plain->broken || !plain->setup.sends)
        return false;
    if (plain->generation != plain->guest->generation && !find_parts(plain)) {
        plain->runs = false;
        return false;
    }
    if (plain->asks)
        ask(plain, false);
    while (limit > 0) {
        uint16_t there = (uint16_t)(load(plain->avail + 1) - plain->taken);
        uint16_t count = there < limit ? there : (uint16_t)limit;

        if (there > plain->setup.size) {
            plain->broken = true;
            return false;
        }
        if (there == 0) {
            if (rest(plain))
                return false;
            continue;
        }
        complete(plain, count, count == there);
        if (plain->broken)
            return false;
        limit -= count;
    }
    return true;
}
