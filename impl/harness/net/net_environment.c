/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver is given: registers, memory, and the stack above it. */
#include "net_harness.h"

static void *allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    struct rp_net_harness *harness = context;

    return rp_arena_allocate(&harness->arena, bytes, alignment, address);
}

static void release(void *context, void *memory, size_t bytes)
{
    struct rp_net_harness *harness = context;

    rp_arena_release(&harness->arena, memory, bytes);
}

static void *allocate_private(void *context, size_t bytes)
{
    struct rp_net_harness *harness = context;

    return rp_private_allocate(&harness->privates, bytes);
}

static void release_private(void *context, void *memory, size_t bytes)
{
    struct rp_net_harness *harness = context;

    rp_private_release(&harness->privates, memory, bytes);
}

/* Registers */

static void note_access(struct rp_net_harness *harness, bool write, uint32_t region, uint32_t offset,
                        uint32_t width, uint32_t value)
{
    struct rp_net_shared *shared = harness->shared;
    bool room = shared->access_count < harness->access_limit;

    rp_net_check(harness, RP_NET_FIND_ACCESS_FLOOD, room, RP_NET_MOST_ACCESSES, 0);
    if (!room)
        return;
    ((struct rp_net_access *)rp_net_at(harness, shared->access_offset))[shared->access_count] =
        (struct rp_net_access){
            .value = value,
            .offset = offset,
            .write = write,
            .region = region > UINT8_MAX ? UINT8_MAX : (uint8_t)region,
            .width = width > UINT8_MAX ? UINT8_MAX : (uint8_t)width,
        };
    shared->access_count++;
}

static void check_known(struct rp_net_harness *harness, enum rp_net_effect effect, bool write, uint32_t region,
                        uint32_t offset, uint32_t width)
{
    rp_net_check(harness, RP_NET_FIND_REGISTER_UNKNOWN, effect != RP_NET_EFFECT_UNKNOWN,
                 RP_PAIR(region, offset), RP_PAIR(write, width));
}

/* a: number of the queue, part and alignment; b: address. */
static void check_part(struct rp_net_harness *harness, uint32_t part, uint32_t alignment, uint64_t address,
                       uint64_t bytes)
{
    rp_net_check(harness, RP_NET_FIND_RING_PARTS,
                 address % alignment == 0 && rp_arena_room(&harness->arena, address) >= bytes,
                 RP_PAIR(part, alignment), address);
}

/* The queues are about to be used: they must lie in memory that the driver holds. */
static void check_queues(struct rp_net_harness *harness)
{
    const struct rp_net_registers *registers = &harness->shared->registers;

    for (uint32_t number = 0; number < RP_NET_MOST_QUEUES; number++) {
        const struct rp_net_queue *queue = &registers->queues[number];
        uint64_t size = queue->placed_size;

        if (queue->placed == 0)
            continue;
        check_part(harness, 1, 16, queue->parts[0], 16 * size);
        check_part(harness, 2, 2, queue->parts[1], 6 + 2 * size);
        check_part(harness, 3, 4, queue->parts[2], 6 + 8 * size);
    }
}

static uint32_t read_register(void *context, uint32_t region, uint32_t offset, uint32_t width)
{
    struct rp_net_harness *harness = context;
    enum rp_net_effect effect;
    uint32_t value = rp_net_registers_read(&harness->shared->registers, &harness->shared->config, region,
                                           offset, width, &effect);

    check_known(harness, effect, false, region, offset, width);
    note_access(harness, false, region, offset, width, value);
    return value;
}

static void write_register(void *context, uint32_t region, uint32_t offset, uint32_t width, uint32_t value)
{
    struct rp_net_harness *harness = context;
    struct rp_net_shared *shared = harness->shared;
    enum rp_net_effect effect;
    uint32_t queue = 0;

    if (width == 1 || width == 2)
        value &= (1u << 8 * width) - 1;
    note_access(harness, true, region, offset, width, value);
    rp_net_registers_write(&shared->registers, &shared->config, region, offset, width, value, &effect, &queue);
    check_known(harness, effect, true, region, offset, width);
    if (effect == RP_NET_EFFECT_LIVE)
        check_queues(harness);
    if (effect != RP_NET_EFFECT_NOTIFY)
        return;
    if (queue == rp_net_registers_queues(&shared->registers, &shared->config) - 1)
        rp_net_control_serve(harness);
    rp_net_operations_notified(harness, queue);
}

/* The stack */

static void note_event(struct rp_net_harness *harness, enum rp_net_event_kind kind, uint64_t value)
{
    struct rp_net_shared *shared = harness->shared;
    bool room = shared->event_count < harness->event_limit;

    rp_net_check(harness, RP_NET_FIND_EVENT_FLOOD, room, RP_NET_MORE_EVENTS, 0);
    if (!room)
        return;
    ((struct rp_net_event *)rp_net_at(harness, shared->event_offset))[shared->event_count] =
        (struct rp_net_event){.kind = kind, .value = value};
    shared->event_count++;
}

static void freed(void *context, void *token)
{
    struct rp_net_harness *harness = context;

    note_event(harness, RP_NET_EVENT_FREED, (uint64_t)(uintptr_t)token);
    rp_net_frames_freed(harness, (uint64_t)(uintptr_t)token);
}

static void orphaned(void *context, void *token)
{
    struct rp_net_harness *harness = context;

    note_event(harness, RP_NET_EVENT_ORPHANED, (uint64_t)(uintptr_t)token);
    rp_net_frames_orphaned(harness, (uint64_t)(uintptr_t)token);
}

static void set_stopped(struct rp_net_harness *harness, enum rp_net_event_kind kind, uint32_t pair,
                        bool stopped)
{
    bool known = pair < harness->shared->config.pairs;

    note_event(harness, kind, pair);
    rp_net_check(harness, RP_NET_FIND_QUEUE_UNKNOWN, known, RP_PAIR(kind, pair), harness->shared->config.pairs);
    if (known)
        harness->stopped[pair] = stopped;
}

static void stop_queue(void *context, uint32_t pair)
{
    set_stopped(context, RP_NET_EVENT_STOPPED, pair, true);
}

static void start_queue(void *context, uint32_t pair)
{
    set_stopped(context, RP_NET_EVENT_STARTED, pair, false);
}

static void wake_queue(void *context, uint32_t pair)
{
    set_stopped(context, RP_NET_EVENT_WOKEN, pair, false);
}

void rp_net_environment_prepare(struct rp_net_harness *harness)
{
    const struct rp_net_config *config = &harness->shared->config;
    struct rp_net_env env = {
        .abi_version = RP_NET_ABI_VERSION,
        .size = sizeof(struct rp_net_env),
        .context = harness,
        .transport = config->transport,
        .notify_off_multiplier = RP_NET_NOTIFY_OFF_MULTIPLIER,
        .features = config->understood & harness->driver.features,
        .read = read_register,
        .write = write_register,
        .allocate = allocate,
        .release = release,
        .allocate_private = allocate_private,
        .release_private = release_private,
        .freed = freed,
        .orphaned = orphaned,
        .stop_queue = stop_queue,
        .start_queue = start_queue,
        .wake_queue = wake_queue,
    };

    harness->env = env;
}
