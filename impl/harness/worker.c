/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker LIBRARY SHARED_FD COMMAND_FD ANSWER_FD MEMORY_LIMIT
 *
 * Runs one driver under test, apart from the tool, so that a crash or a hang takes nothing along. Commands
 * and answers are those of protocol.h. MEMORY_LIMIT is in bytes of address space, 0 for none.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_LIMIT (UINT64_C(1) << 20) /* bytes a driver may write to any file, its output among them */

static struct rp_shared *fault_record;

/* Notes where, then lets the signal do what it always did. */
static void note_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    fault_record->fault_address = (uint64_t)(uintptr_t)info->si_addr;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void limit(__rlimit_resource_t resource, uint64_t most)
{
    struct rlimit value = {most, most};

    (void)setrlimit(resource, &value);
}

static void restrict_process(uint64_t memory_limit)
{
    static uint8_t stack[32768]; /* the driver's own may be what overflowed */
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, OUTPUT_LIMIT);
    if (memory_limit != 0)
        limit(RLIMIT_AS, memory_limit);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = note_fault;
    action.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
    (void)sigaltstack(&alternate, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    (void)sigaction(SIGBUS, &action, NULL);
}

static void forget_queue(struct rp_harness *harness)
{
    harness->has_queue = false;
    rp_device_destroy(&harness->device);
}

static enum rp_answer refuse(struct rp_harness *harness, const char *why)
{
    (void)snprintf(harness->shared->message, sizeof(harness->shared->message), "%s", why);
    return RP_ANSWER_ERROR;
}

/* A driver that neither takes interrupts nor enables them looks for itself, and may suppress them for good. */
static bool only_polls(const struct rp_driver *driver)
{
    return driver->interrupt == NULL && driver->enable_cb == NULL && driver->enable_cb_delayed == NULL &&
           driver->enable_cb_prepare == NULL;
}

static struct rp_device_config device_config(const struct rp_harness *harness,
                                              const struct rp_ring_parts *parts)
{
    struct rp_device_config config = {
        .queue_size = harness->env.queue_size,
        .event_idx = (harness->env.features & RP_F_EVENT_IDX) != 0,
        .indirect = (harness->env.features & RP_F_INDIRECT_DESC) != 0,
        .has_callback = harness->env.has_callback != 0 && !only_polls(&harness->driver),
        .arms_once = (harness->driver.traits & RP_TRAIT_ARMS_ONCE) != 0,
        .legacy = harness->env.layout == RP_LAYOUT_LEGACY && (harness->env.features & RP_F_VERSION_1) == 0,
        .desc_address = parts->desc,
        .avail_address = parts->avail,
        .used_address = parts->used,
    };

    return config;
}

static enum rp_answer create(struct rp_harness *harness)
{
    struct rp_shared *shared = harness->shared;
    struct rp_ring_parts parts = {0, 0, 0};
    struct rp_device_config config;
    int answer;

    if (harness->has_queue)
        return refuse(harness, "there is a queue already");
    memset(shared->found, 0, sizeof(shared->found));
    memset(&harness->log, 0, sizeof(harness->log));
    harness->log.found = shared->found;
    harness->adds = 0;
    harness->mark = 0;
    harness->pushed_in = harness->pushed_out = 0;
    harness->queue = NULL;
    shared->total_ops = 0;
    shared->message[0] = '\0';
    rp_arena_reset(&harness->arena);
    rp_environment_prepare(harness);
    answer = harness->driver.create(&harness->env, &parts, &harness->queue);
    rp_check(&harness->log, RP_FIND_CREATE_FAILED, answer == RP_OK, (uint64_t)(int64_t)answer, 0);
    if (answer != RP_OK) {
        (void)snprintf(shared->message, sizeof(shared->message), "the driver's create returned %d", answer);
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
        rp_private_check_all(&harness->privates);
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

static enum rp_answer destroy(struct rp_harness *harness)
{
    if (!harness->has_queue)
        return refuse(harness, "there is no queue to destroy");
    harness->log.operation = harness->shared->total_ops;
    rp_device_check(&harness->device, true);
    forget_queue(harness);
    harness->driver.destroy(harness->queue);
    rp_arena_check_all(&harness->arena);
    rp_private_check_all(&harness->privates);
    return harness->log.failed ? RP_ANSWER_FOUND : RP_ANSWER_DONE;
}

static bool send(int answers, enum rp_answer answer)
{
    uint8_t byte = (uint8_t)answer;
    ssize_t written;

    do
        written = write(answers, &byte, 1);
    while (written < 0 && errno == EINTR);
    return written == 1;
}

static int serve(struct rp_harness *harness, int commands, int answers)
{
    for (;;) {
        uint8_t command = RP_CMD_QUIT;
        ssize_t got = read(commands, &command, 1);
        enum rp_answer answer;

        if (got < 0 && errno == EINTR)
            continue;
        if (got != 1 || command == RP_CMD_QUIT)
            return 0;
        harness->shared->command = command;
        if (command == RP_CMD_CREATE)
            answer = create(harness);
        else if (command == RP_CMD_RUN)
            answer = run(harness);
        else if (command == RP_CMD_DESTROY)
            answer = destroy(harness);
        else
            answer = refuse(harness, "no such command");
        harness->shared->command = 0;
        if (!send(answers, answer))
            return 1;
    }
}

static struct rp_shared *map_shared(int file)
{
    struct stat status;
    struct rp_shared *shared;

    if (fstat(file, &status) != 0 || status.st_size < (off_t)sizeof(struct rp_shared))
        return NULL;
    shared = mmap(NULL, sizeof(struct rp_shared), PROT_READ, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED || shared->magic != RP_SHARED_MAGIC || shared->version != RP_SHARED_VERSION)
        return NULL;
    /* Header, operations and results; the arena is mapped apart, between its guards. */
    shared = mmap(NULL, shared->arena_offset, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return shared == MAP_FAILED ? NULL : shared;
}

int main(int count, char **arguments)
{
    static struct rp_harness harness;
    int file, commands, answers;

    if (count != 6) {
        (void)fputs("the worker is started by ringproof validate\n", stderr);
        return 2;
    }
    file = atoi(arguments[2]);
    commands = atoi(arguments[3]);
    answers = atoi(arguments[4]);
    harness.shared = map_shared(file);
    if (harness.shared == NULL)
        return 2;
    fault_record = harness.shared;
    harness.log.found = harness.shared->found;
    harness.shared->command = RP_CMD_LOAD;
    restrict_process(strtoull(arguments[5], NULL, 10));
    if (!rp_arena_map(&harness.arena, file, harness.shared->arena_offset, &harness.log) ||
        !rp_environment_init(&harness)) {
        (void)send(answers, refuse(&harness, "the worker has no memory"));
        return 2;
    }
    if (!rp_library_open(&harness, arguments[1])) {
        (void)send(answers, RP_ANSWER_ERROR);
        _exit(0);
    }
    harness.shared->command = 0;
    if (!send(answers, RP_ANSWER_DONE))
        return 1;
    _exit(serve(&harness, commands, answers));
}
