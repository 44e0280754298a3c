/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker LIBRARY SHARED_FD COMMAND_FD ANSWER_FD MEMORY_LIMIT
 *
 * Runs one driver under test, apart from the tool, so that a crash or a hang takes nothing along. Commands
 * and answers are those of protocol.h. MEMORY_LIMIT is in bytes of address space, 0 for none.
 */
#define _GNU_SOURCE
#include "harness.h"

#include "accesses.h"
#include "coverage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void forget_queue(struct rp_harness *harness)
{
    harness->has_queue = false;
    rp_order_end();
    rp_device_destroy(&harness->device);
}

static enum rp_answer refuse(struct rp_harness *harness, const char *why)
{
    return rp_process_refuse(&harness->process, why);
}

/* A driver that neither takes interrupts nor enables them looks for itself, and may suppress them for good. */
static bool only_polls(const struct rp_driver *driver)
{
    return driver->interrupt == NULL && driver->enable_cb == NULL && driver->enable_cb_delayed == NULL &&
           driver->enable_cb_prepare == NULL;
}

static struct rp_device_config device_config(struct rp_harness *harness,
                                              const struct rp_ring_parts *parts)
{
    struct rp_device_config config = {
        .queue_size = harness->env->queue_size,
        .event_idx = (harness->env->features & RP_F_EVENT_IDX) != 0,
        .indirect = (harness->env->features & RP_F_INDIRECT_DESC) != 0,
        .in_order = (harness->env->features & RP_F_IN_ORDER) != 0,
        .hostile = harness->shared->config.hostile != 0,
        .has_callback = harness->env->has_callback != 0 && !only_polls(&harness->driver),
        .arms_once = (harness->driver.traits & RP_TRAIT_ARMS_ONCE) != 0,
        .legacy = harness->env->layout == RP_LAYOUT_LEGACY && (harness->env->features & RP_F_VERSION_1) == 0,
        .desc_address = parts->desc,
        .avail_address = parts->avail,
        .used_address = parts->used,
        .maps = (harness->driver.traits & RP_TRAIT_MAPS) != 0 ? &harness->maps : NULL,
    };

    return config;
}

/* The queue is gone, or never came to be: the driver must have given everything back, and must not call. */
static void close_books(struct rp_harness *harness)
{
    harness->calls_allowed = false;
    rp_arena_check_all(&harness->arena);
    rp_private_check_all(&harness->privates);
    rp_maps_check_all(&harness->maps);
}

static void start_afresh(struct rp_harness *harness)
{
    struct rp_shared *shared = harness->shared;

    memset(shared->found, 0, sizeof(shared->found));
    memset(&harness->log, 0, sizeof(harness->log));
    harness->log.found = shared->found;
    if (harness->late != 0) /* after everyone had looked for findings of the queue before */
        rp_check(&harness->log, RP_FIND_LATE_CALL, false, harness->late, 0);
    else
        rp_check(&harness->log, RP_FIND_LATE_CALL, true, 0, 0);
    harness->late = 0;
    harness->adds = 0;
    harness->mark = 0;
    harness->pushed_in = harness->pushed_out = 0;
    harness->quiet = harness->alarmed = false;
    harness->notifies = harness->callbacks = 0;
    harness->queue = NULL;
    shared->total_ops = 0;
    shared->message[0] = '\0';
    rp_arena_reset(&harness->arena);
    rp_maps_reset(&harness->maps);
}

/* Has the driver create its queue, one allocation failing if that is wanted; its answer, judged. */
static int ask_for_queue(struct rp_harness *harness, struct rp_ring_parts *parts)
{
    struct rp_shared *shared = harness->shared;
    struct rp_shortage shortage = {.at = shared->config.fail_allocation};
    int answer;

    harness->shortage = shortage;
    harness->calls_allowed = true;
    harness->privates.fences = RP_FENCES_OF_CREATE;
    answer = harness->driver.create(harness->env, parts, &harness->queue);
    harness->privates.fences = 0;
    shared->struck = harness->shortage.struck;
    memset(&harness->shortage, 0, sizeof(harness->shortage));
    rp_check(&harness->log, RP_FIND_KICK_EARLY, harness->notifies == 0, harness->notifies, 0);
    if (shared->struck != 0)
        rp_check(&harness->log, RP_FIND_UNDOCUMENTED_RETURN, answer == RP_OK || answer == RP_ENOMEM,
                 (uint64_t)(int64_t)answer, 0);
    if (shared->struck == 0 || (answer == RP_OK && harness->queue == NULL))
        rp_check(&harness->log, RP_FIND_CREATE_FAILED, answer == RP_OK && harness->queue != NULL,
                 (uint64_t)(int64_t)answer, 0);
    return answer;
}

static enum rp_answer create(struct rp_harness *harness)
{
    struct rp_shared *shared = harness->shared;
    struct rp_ring_parts parts = {0, 0, 0};
    struct rp_device_config config;
    int answer;

    if (harness->has_queue)
        return refuse(harness, "there is a queue already");
    start_afresh(harness);
    harness->privates.fenced = shared->config.hostile != 0;
    if (!rp_arena_fence(&harness->arena, shared->config.hostile != 0))
        return refuse(harness, "the worker has no memory for fences");
    rp_environment_prepare(harness);
    answer = ask_for_queue(harness, &parts);
    if (answer != RP_OK || harness->queue == NULL) {
        close_books(harness);
        (void)snprintf(shared->message, sizeof(shared->message), "the driver's create returned %d%s", answer,
                       answer == RP_OK ? " and no queue" : "");
        return RP_ANSWER_ERROR;
    }
    shared->desc_address = parts.desc;
    shared->avail_address = parts.avail;
    shared->used_address = parts.used;
    config = device_config(harness, &parts);
    if (!rp_device_create(&harness->device, &config, &harness->arena, &harness->log)) {
        (void)snprintf(shared->message, sizeof(shared->message),
                       harness->log.failed ? "the driver placed its ring where no ring can be"
                                           : "the worker has no memory left for its device");
        rp_device_destroy(&harness->device);
        harness->driver.destroy(harness->queue);
        close_books(harness);
        return RP_ANSWER_ERROR;
    }
    if (config.hostile && !rp_hostile_begin(&harness->hostile, &harness->device, harness->buffers))
        return refuse(harness, "the worker has no memory left for its device");
    if (rp_accesses_called && shared->config.hostile == 0 &&
        !rp_order_begin(&harness->device, shared->driver_traits, shared->own_fences != 0)) {
        (void)snprintf(shared->message, sizeof(shared->message), "the worker has no memory left");
        rp_device_destroy(&harness->device);
        harness->driver.destroy(harness->queue);
        return RP_ANSWER_ERROR;
    }
    harness->has_queue = true;
    return harness->log.failed ? RP_ANSWER_FOUND : RP_ANSWER_DONE;
}

static enum rp_answer run(struct rp_harness *harness)
{
    struct rp_shared *shared = harness->shared;
    uint8_t *base = (uint8_t *)shared;

    if (!harness->has_queue)
        return refuse(harness, "there is no queue to run operations on");
    if (shared->op_count > shared->op_capacity)
        return refuse(harness, "more operations than there is room for");
    for (uint32_t i = 0; i < shared->op_count; i++) {
        const struct rp_op *op = (const struct rp_op *)(void *)(base + shared->op_offset) + i;

        if (op->code == RP_OP_ADD && (uint64_t)op->a + op->in > RP_SEGMENTS_MAX)
            return refuse(harness, "an ADD has more segments than any queue takes");
    }
    rp_operations_run(harness, (const struct rp_op *)(void *)(base + shared->op_offset),
                      (struct rp_result *)(void *)(base + shared->result_offset));
    return harness->log.failed ? RP_ANSWER_FOUND : RP_ANSWER_DONE;
}

static void check_process(struct rp_harness *harness)
{
    uint32_t children = rp_process_children();
    uint64_t bytes;
    bool cut;

    rp_check(&harness->log, RP_FIND_CHILDREN, children == 0, children, 0);
    if (rp_process_printed(&bytes, &cut))
        rp_check(&harness->log, RP_FIND_OUTPUT, !cut, bytes, 0);
}

static enum rp_answer destroy(struct rp_harness *harness)
{
    if (!harness->has_queue)
        return refuse(harness, "there is no queue to destroy");
    harness->log.operation = harness->shared->total_ops;
    rp_device_check(&harness->device, true);
    forget_queue(harness);
    harness->driver.destroy(harness->queue);
    if (harness->hostile.device != NULL)
        rp_hostile_end(&harness->hostile);
    close_books(harness);
    check_process(harness);
    return harness->log.failed ? RP_ANSWER_FOUND : RP_ANSWER_DONE;
}

static enum rp_answer handle(void *context, uint8_t command)
{
    struct rp_harness *harness = context;

    switch (command) {
    case RP_CMD_CREATE:
        return create(harness);
    case RP_CMD_RUN:
        return run(harness);
    case RP_CMD_DESTROY:
        return destroy(harness);
    default:
        return refuse(harness, "no such command");
    }
}

/* Header, operations and results; the arena is mapped apart, between its guards. */
static struct rp_shared *map_shared(struct rp_process *process)
{
    struct rp_shared *shared =
        rp_process_map(process, sizeof(struct rp_shared), sizeof(struct rp_shared), RP_SHARED_MAGIC,
                       RP_SHARED_VERSION);

    if (shared != NULL)
        shared = rp_process_map(process, shared->arena_offset, shared->arena_offset, RP_SHARED_MAGIC,
                                RP_SHARED_VERSION);
    if (shared == NULL)
        return NULL;
    process->command = &shared->command;
    process->fault_address = &shared->fault_address;
    process->message = shared->message;
    process->message_size = sizeof(shared->message);
    return shared;
}

static void begin_coverage(const struct rp_harness *harness)
{
    struct rp_shared *shared = harness->shared;
    struct rp_coverage coverage = {
        .library = harness->process.library,
        .places = (uint64_t *)(void *)((uint8_t *)shared + shared->coverage_offset),
        .capacity = shared->coverage_capacity,
        .count = &shared->coverage_count,
        .instrumented = &shared->instrumented,
    };

    rp_coverage_begin(&coverage);
}

int main(int count, char **arguments)
{
    static struct rp_harness harness;
    struct rp_process *process = &harness.process;

    if (!rp_process_arguments(process, count, arguments))
        return 2;
    harness.shared = map_shared(process);
    if (harness.shared == NULL)
        return 2;
    harness.log.found = harness.shared->found;
    harness.shared->command = RP_CMD_LOAD;
    rp_process_restrict(process);
    if (!rp_arena_map(&harness.arena, process->file, harness.shared->arena_offset, &harness.log) ||
        !rp_environment_init(&harness)) {
        (void)rp_process_answer(process, refuse(&harness, "the worker has no memory"));
        return 2;
    }
    begin_coverage(&harness);
    if (!rp_library_open(&harness, process->library)) {
        (void)rp_process_answer(process, RP_ANSWER_ERROR);
        _exit(0);
    }
    harness.shared->command = 0;
    if (!rp_process_answer(process, RP_ANSWER_DONE))
        return 1;
    _exit(rp_process_serve(process, handle, &harness));
}
