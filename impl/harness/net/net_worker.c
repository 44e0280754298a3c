/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_worker LIBRARY SHARED_FD COMMAND_FD ANSWER_FD MEMORY_LIMIT
 *
 * Runs one whole network driver, apart from the tool, as worker.c does for a queue. Commands are those of
 * net_protocol.h. MEMORY_LIMIT is in bytes of address space, 0 for none.
 */
#define _GNU_SOURCE
#include "net_harness.h"

#include <string.h>
#include <unistd.h>

static enum rp_answer refuse(struct rp_net_harness *harness, const char *why)
{
    return rp_process_refuse(&harness->process, why);
}

static enum rp_answer take_frames(struct rp_net_harness *harness)
{
    const struct rp_net_shared *shared = harness->shared;

    if (shared->in_flight + shared->lost != 0)
        return refuse(harness, "frames are with the driver, so they cannot be replaced");
    if (shared->frame_count > RP_NET_FRAME_CAPACITY || shared->window_used > RP_NET_FRAME_BYTES)
        return refuse(harness, "more frames than there is room for");
    if (!rp_net_frames_take(harness))
        return refuse(harness, "the worker has no memory left for frames");
    return RP_ANSWER_DONE;
}

/* A device nobody has touched. */
static enum rp_answer create(struct rp_net_harness *harness)
{
    struct rp_net_shared *shared = harness->shared;

    if (shared->probed != 0)
        return refuse(harness, "there is a driver on the device still");
    rp_private_check_all(&harness->privates); /* what a driver kept because the device was not quiet */
    memset(shared->found, 0, sizeof(shared->found));
    memset(&harness->log, 0, sizeof(harness->log));
    memset(shared->statistics, 0, sizeof(shared->statistics));
    harness->log.found = shared->found;
    shared->pairs = shared->in_use = 0;
    shared->in_flight = shared->lost = 0;
    shared->arena_used = 0;
    shared->access_count = shared->event_count = 0;
    shared->total_ops = 0;
    shared->message[0] = '\0';
    rp_arena_reset(&harness->arena);
    if (!rp_arena_fence(&harness->arena, shared->config.fenced != 0))
        return refuse(harness, "the worker has no memory left for fences");
    harness->privates.fenced = shared->config.fenced != 0;
    rp_net_registers_init(&shared->registers, &shared->config);
    return take_frames(harness);
}

static enum rp_answer run(struct rp_net_harness *harness)
{
    if (harness->shared->op_count > RP_NET_OP_CAPACITY)
        return refuse(harness, "more operations than there is room for");
    if (!rp_net_operations_run(harness))
        return RP_ANSWER_ERROR;
    return harness->log.failed ? RP_ANSWER_FOUND : RP_ANSWER_DONE;
}

static enum rp_answer handle(void *context, uint8_t command)
{
    struct rp_net_harness *harness = context;

    switch (command) {
    case RP_NET_CMD_CREATE:
        return create(harness);
    case RP_NET_CMD_FRAMES:
        return take_frames(harness);
    case RP_NET_CMD_RUN:
        return run(harness);
    default:
        return refuse(harness, "no such command");
    }
}

/* All but arena and window, which are mapped apart, between their guards. */
static struct rp_net_shared *map_shared(struct rp_process *process)
{
    struct rp_net_shared *shared =
        rp_process_map(process, sizeof(struct rp_net_shared), sizeof(struct rp_net_shared),
                       RP_NET_SHARED_MAGIC, RP_NET_SHARED_VERSION);

    if (shared != NULL)
        shared = rp_process_map(process, shared->arena_offset, shared->arena_offset, RP_NET_SHARED_MAGIC,
                                RP_NET_SHARED_VERSION);
    if (shared == NULL)
        return NULL;
    process->command = &shared->command;
    process->fault_address = &shared->fault_address;
    process->message = shared->message;
    process->message_size = sizeof(shared->message);
    return shared;
}

int main(int count, char **arguments)
{
    static struct rp_net_harness harness;
    struct rp_process *process = &harness.process;

    if (!rp_process_arguments(process, count, arguments))
        return 2;
    harness.shared = map_shared(process);
    if (harness.shared == NULL)
        return 2;
    harness.log.found = harness.shared->found;
    harness.privates.log = &harness.log;
    harness.shared->command = RP_CMD_LOAD;
    rp_process_restrict(process);
    if (!rp_arena_map(&harness.arena, process->file, harness.shared->arena_offset, &harness.log) ||
        !rp_net_frames_map(&harness)) {
        (void)rp_process_answer(process, refuse(&harness, "the worker has no memory"));
        return 2;
    }
    harness.arena.shortage = &harness.shortage;
    if (!rp_net_library_open(&harness, process->library)) {
        (void)rp_process_answer(process, RP_ANSWER_ERROR);
        _exit(0);
    }
    harness.shared->command = 0;
    if (!rp_process_answer(process, RP_ANSWER_DONE))
        return 1;
    _exit(rp_process_serve(process, handle, &harness));
}
