/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of the control queue (VIRTIO 1.3 section 5.1.6.5), answered as soon as it is notified:
 * VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET (class 4, command 0) with as many pairs as there are, or fewer, is
 * acknowledged with 0, everything else with 1. Nothing the driver wrote is believed.
 */
#include "net_harness.h"

#include <string.h>

#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define NO_INTERRUPT 1u
#define ISR_QUEUE 1u
#define COMMAND_BYTES 4u /* class, command, and a count of pairs */

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct ring {
    const struct rp_net_queue *queue;
    uint32_t size;
    bool     event_idx;
    bool     indirect;
    const struct descriptor *desc;
    volatile uint16_t *avail; /* flags, idx, ring, used_event */
    volatile uint16_t *used;  /* flags, idx, ring as two 32-bit words, avail_event */
};

struct request {
    uint8_t  command[COMMAND_BYTES];
    uint64_t readable; /* bytes, all of them */
    uint8_t *ack;      /* the last writable byte */
    uint32_t writable;
};

uint8_t *rp_net_memory(const struct rp_net_harness *harness, uint64_t address, uint64_t bytes)
{
    uint64_t offset = address - RP_ARENA_ADDRESS;

    if (bytes > RP_ARENA_BYTES || offset > RP_ARENA_BYTES - bytes)
        return NULL;
    return harness->arena.memory + offset;
}

static bool find_ring(const struct rp_net_harness *harness, uint32_t number, struct ring *ring)
{
    const struct rp_net_queue *queue = &harness->shared->registers.queues[number];
    uint64_t features = rp_net_registers_features(&harness->shared->registers, &harness->shared->config);

    if (queue->placed == 0 || queue->placed_size == 0 || queue->parts[0] % 16 != 0 ||
        queue->parts[1] % 2 != 0 || queue->parts[2] % 4 != 0)
        return false;
    ring->queue = queue;
    ring->size = queue->placed_size;
    ring->event_idx = (features & RP_NET_F_EVENT_IDX) != 0;
    ring->indirect = (features & RP_NET_F_INDIRECT_DESC) != 0;
    ring->desc = (const void *)rp_net_memory(harness, queue->parts[0], 16u * ring->size);
    ring->avail = (volatile void *)rp_net_memory(harness, queue->parts[1], 6u + 2u * ring->size);
    ring->used = (volatile void *)rp_net_memory(harness, queue->parts[2], 6u + 8u * ring->size);
    return ring->desc != NULL && ring->avail != NULL && ring->used != NULL;
}

/* Takes one segment into the request; 0 or enum rp_net_malformed. */
static uint64_t take(const struct rp_net_harness *harness, const struct descriptor *segment,
                     struct request *request)
{
    uint8_t *memory = rp_net_memory(harness, segment->address, segment->length);

    if (memory == NULL || segment->length > rp_arena_room(&harness->arena, segment->address))
        return RP_NET_MALFORMED_MEMORY;
    if ((segment->flags & DESC_WRITE) != 0) {
        if (segment->length != 0)
            request->ack = memory + segment->length - 1;
        request->writable += segment->length;
        return 0;
    }
    if (request->writable != 0)
        return RP_NET_MALFORMED_ORDER;
    for (uint32_t i = 0; i < segment->length && request->readable + i < COMMAND_BYTES; i++)
        request->command[request->readable + i] = memory[i];
    request->readable += segment->length;
    return 0;
}

/* Follows a chain in a table of `size` entries, and into one indirect table. */
static uint64_t walk(const struct rp_net_harness *harness, const struct ring *ring,
                     const struct descriptor *table, uint32_t size, uint32_t at, bool main_table,
                     struct request *request)
{
    for (uint32_t steps = 0; steps < size; steps++) {
        struct descriptor entry;
        uint64_t wrong;

        if (at >= size)
            return RP_NET_MALFORMED_CHAIN;
        memcpy(&entry, &table[at], sizeof(entry));
        if ((entry.flags & DESC_INDIRECT) != 0) {
            uint64_t room = rp_arena_room(&harness->arena, entry.address);

            if (!main_table || !ring->indirect || (entry.flags & DESC_NEXT) != 0 || entry.length == 0 ||
                entry.length % sizeof(entry) != 0)
                return RP_NET_MALFORMED_CHAIN;
            if (entry.length > room)
                return RP_NET_MALFORMED_MEMORY;
            return walk(harness, ring, (const void *)rp_net_memory(harness, entry.address, entry.length),
                        entry.length / (uint32_t)sizeof(entry), 0, false, request);
        }
        wrong = take(harness, &entry, request);
        if (wrong != 0)
            return wrong;
        if ((entry.flags & DESC_NEXT) == 0)
            return 0;
        at = entry.next;
    }
    return RP_NET_MALFORMED_CHAIN;
}

static uint8_t answer(struct rp_net_harness *harness, const struct request *request)
{
    struct rp_net_registers *registers = &harness->shared->registers;
    uint32_t most = rp_net_registers_queues(registers, &harness->shared->config) / 2;
    uint32_t pairs = request->command[2] | (uint32_t)request->command[3] << 8;

    if (request->readable != COMMAND_BYTES || request->command[0] != 4 || request->command[1] != 0 ||
        pairs < 1 || pairs > most)
        return 1;
    registers->control_pairs = (uint16_t)pairs;
    return 0;
}

static void complete(struct rp_net_harness *harness, const struct ring *ring, uint16_t head, uint32_t length)
{
    struct rp_net_registers *registers = &harness->shared->registers;
    uint32_t slot = registers->control_used % ring->size;
    uint16_t used_event;
    bool due;

    ring->used[2 + 4 * slot] = head;
    ring->used[3 + 4 * slot] = 0;
    ring->used[4 + 4 * slot] = (uint16_t)length;
    ring->used[5 + 4 * slot] = (uint16_t)(length >> 16);
    registers->control_used++;
    __atomic_store_n(&ring->used[1], registers->control_used, __ATOMIC_RELEASE);
    used_event = ring->avail[2 + ring->size];
    due = ring->event_idx ? (uint16_t)(registers->control_used - used_event - 1) < 1
                          : (ring->avail[0] & NO_INTERRUPT) == 0;
    if (due)
        registers->isr |= ISR_QUEUE;
}

static void serve_one(struct rp_net_harness *harness, const struct ring *ring, uint16_t head)
{
    struct request request = {.readable = 0};
    uint64_t wrong = walk(harness, ring, ring->desc, ring->size, head, true, &request);

    if (wrong == 0 && request.ack == NULL)
        wrong = RP_NET_MALFORMED_ANSWER;
    rp_net_check(harness, RP_NET_FIND_CONTROL_MALFORMED, wrong == 0, head, wrong);
    if (wrong != 0)
        return; /* never answered */
    *request.ack = answer(harness, &request);
    complete(harness, ring, head, request.writable);
}

void rp_net_control_serve(struct rp_net_harness *harness)
{
    struct rp_net_registers *registers = &harness->shared->registers;
    uint32_t queues = rp_net_registers_queues(registers, &harness->shared->config);
    struct ring ring;
    uint16_t idx, pending;

    if ((registers->status & RP_NET_STATUS_DRIVER_OK) == 0 || !find_ring(harness, queues - 1, &ring))
        return;
    idx = __atomic_load_n(&ring.avail[1], __ATOMIC_ACQUIRE);
    pending = (uint16_t)(idx - registers->control_avail);
    rp_net_check(harness, RP_NET_FIND_CONTROL_MALFORMED, pending <= ring.size, idx, RP_NET_MALFORMED_INDEX);
    if (pending > ring.size)
        return;
    for (; pending != 0; pending--)
        serve_one(harness, &ring, ring.avail[2 + registers->control_avail++ % ring.size]);
    if (ring.event_idx) /* the next command is notified, too */
        ring.used[2 + 4 * ring.size] = registers->control_avail;
}
