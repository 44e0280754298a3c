/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver is given: memory, a doorbell, and where its callbacks go. */
#define _GNU_SOURCE
#include "accesses.h"
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The harness behind a context; null, with a finding, when the queue it was made for is not there (any more). */
static struct rp_harness *behind(void *context, enum rp_call call)
{
    struct rp_tie *tie = context;
    struct rp_harness *harness = tie->harness;
    bool timely = harness->calls_allowed && tie->life == harness->life;

    if (timely)
        return harness;
    harness->late = call;
    rp_check(&harness->log, RP_FIND_LATE_CALL, false, call, 0);
    return NULL;
}

static void *allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    struct rp_harness *harness = behind(context, RP_CALL_ALLOCATE);

    return harness != NULL ? rp_arena_allocate(&harness->arena, bytes, alignment, address) : NULL;
}

static void release(void *context, void *memory, size_t bytes)
{
    struct rp_harness *harness = behind(context, RP_CALL_RELEASE);

    if (harness != NULL)
        rp_arena_release(&harness->arena, memory, bytes);
}

static void *allocate_private(void *context, size_t bytes)
{
    struct rp_harness *harness = behind(context, RP_CALL_ALLOCATE);

    return harness != NULL ? rp_private_allocate(&harness->privates, bytes) : NULL;
}

static void release_private(void *context, void *memory, size_t bytes)
{
    struct rp_harness *harness = behind(context, RP_CALL_RELEASE);

    if (harness != NULL)
        rp_private_release(&harness->privates, memory, bytes);
}

/* Sections 2.9 and 4.1.5.2.1: the queue's number, and behind it, if that was negotiated, avail_idx as it is. */
static void check_kick(struct rp_harness *harness, uint32_t value)
{
    uint32_t index = harness->env->queue_index;

    if ((harness->env->features & RP_F_NOTIFICATION_DATA) == 0) {
        rp_check(&harness->log, RP_FIND_KICK_VALUE, value == index, value, index);
        return;
    }
    rp_check(&harness->log, RP_FIND_KICK_VALUE, (value & 0xffffu) == index, value & 0xffffu, index);
    if (harness->has_queue)
        rp_check(&harness->log, RP_FIND_KICK_DATA, value >> 16 == rp_avail_idx(&harness->device), value >> 16,
                 rp_avail_idx(&harness->device));
}

static void notify(void *context, uint32_t value)
{
    struct rp_harness *harness = behind(context, RP_CALL_NOTIFY);

    if (harness == NULL)
        return;
    harness->notifies++;
    check_kick(harness, value);
    rp_order_notified();
    if (harness->has_queue)
        rp_notice_kicked(&harness->device);
}

static void callback(void *context)
{
    struct rp_harness *harness = behind(context, RP_CALL_CALLBACK);

    if (harness != NULL)
        harness->callbacks++;
}

static void completed(void *context, void *token, uint32_t length)
{
    struct rp_harness *harness = behind(context, RP_CALL_COMPLETED);
    struct rp_pushed *place;

    if (harness == NULL || !harness->has_queue)
        return;
    place = &harness->pushed[harness->pushed_in % RP_PUSHED];
    rp_order_returned();
    rp_ledger_returned(&harness->device, (uint64_t)(uintptr_t)token, length);
    if (harness->hostile.device != NULL)
        rp_hostile_returned(&harness->hostile, (uint64_t)(uintptr_t)token);
    if (harness->pushed_in - harness->pushed_out == RP_PUSHED)
        harness->pushed_out++;
    place->token = (uint64_t)(uintptr_t)token;
    place->length = length;
    harness->pushed_in++;
}

static int map(void *context, const void *data, uint32_t length, uint64_t *address)
{
    struct rp_harness *harness = behind(context, RP_CALL_MAP);

    return harness != NULL ? rp_maps_map(&harness->maps, data, length, address) : -1;
}

static void unmap(void *context, uint64_t address, uint32_t length)
{
    struct rp_harness *harness = behind(context, RP_CALL_UNMAP);
    const struct rp_mapping *mapping;

    if (harness == NULL)
        return;
    mapping = rp_maps_find(&harness->maps, address);
    rp_maps_unmap(&harness->maps, address, length,
                  mapping != NULL && harness->has_queue && !harness->device.over &&
                      !harness->device.config.hostile &&
                      rp_device_owns(&harness->device, mapping->head, mapping->mark));
}

bool rp_environment_init(struct rp_harness *harness)
{
    harness->buffers = mmap(NULL, RP_BUFFER_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    harness->segments = calloc(RP_SEGMENTS_MAX, sizeof(harness->segments[0]));
    harness->pushed = calloc(RP_PUSHED, sizeof(harness->pushed[0]));
    harness->privates.log = &harness->log;
    harness->arena.shortage = harness->privates.shortage = harness->maps.shortage = &harness->shortage;
    harness->maps.log = &harness->log;
    harness->maps.buffers = harness->buffers;
    return harness->buffers != MAP_FAILED && harness->segments != NULL && harness->pushed != NULL;
}

void rp_environment_prepare(struct rp_harness *harness)
{
    const struct rp_config *config = &harness->shared->config;
    struct rp_tie *tie = &harness->ties[++harness->life % RP_TIES];
    struct rp_env env = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_env),
        .context = tie,
        .features = config->features,
        .queue_size = config->queue_size,
        .queue_index = config->queue_index,
        .layout = config->layout,
        .has_callback = config->has_callback,
        .allocate = allocate,
        .release = release,
        .allocate_private = allocate_private,
        .release_private = release_private,
        .notify = notify,
        .callback = callback,
        .completed = completed,
        .map = map,
        .unmap = unmap,
    };

    tie->env = env;
    tie->harness = harness;
    tie->life = harness->life;
    harness->env = &tie->env;
}
