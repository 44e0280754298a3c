/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver is given: memory, a doorbell, and where its callbacks go. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    struct rp_harness *harness = context;

    return rp_arena_allocate(&harness->arena, bytes, alignment, address);
}

static void release(void *context, void *memory, size_t bytes)
{
    struct rp_harness *harness = context;

    rp_arena_release(&harness->arena, memory, bytes);
}

static void *allocate_private(void *context, size_t bytes)
{
    struct rp_harness *harness = context;

    return rp_private_allocate(&harness->privates, bytes);
}

static void release_private(void *context, void *memory, size_t bytes)
{
    struct rp_harness *harness = context;

    rp_private_release(&harness->privates, memory, bytes);
}

static void notify(void *context, uint32_t value)
{
    struct rp_harness *harness = context;

    harness->notifies++;
    rp_check(&harness->log, RP_FIND_KICK_VALUE, value == harness->env.queue_index, value,
             harness->env.queue_index);
    if (harness->has_queue)
        rp_notice_kicked(&harness->device);
}

static void callback(void *context)
{
    struct rp_harness *harness = context;

    harness->callbacks++;
}

static void completed(void *context, void *token, uint32_t length)
{
    struct rp_harness *harness = context;
    struct rp_pushed *place = &harness->pushed[harness->pushed_in % RP_PUSHED];

    if (!harness->has_queue)
        return;
    rp_ledger_returned(&harness->device, (uint64_t)(uintptr_t)token, length);
    if (harness->pushed_in - harness->pushed_out == RP_PUSHED)
        harness->pushed_out++;
    place->token = (uint64_t)(uintptr_t)token;
    place->length = length;
    harness->pushed_in++;
}

bool rp_environment_init(struct rp_harness *harness)
{
    harness->buffers = mmap(NULL, RP_BUFFER_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    harness->segments = calloc(RP_SEGMENTS_MAX, sizeof(harness->segments[0]));
    harness->pushed = calloc(RP_PUSHED, sizeof(harness->pushed[0]));
    harness->privates.log = &harness->log;
    return harness->buffers != MAP_FAILED && harness->segments != NULL && harness->pushed != NULL;
}

void rp_environment_prepare(struct rp_harness *harness)
{
    const struct rp_config *config = &harness->shared->config;
    struct rp_env env = {
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_env),
        .context = harness,
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
    };

    harness->env = env;
}
