/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile front-end made of arbitrary bytes: messages right and wrong, torn and flooded; memory that shrinks;
 * rings that start and then hold anything. What is looked for are crashes, accesses beyond what is shared, undefined
 * behaviour, leaks of memory and of descriptors, and waiting for longer than was asked for.
 *
 * At its end it prints how many messages sessions have taken, how many queues were started, how many chains accepted.
 */
#define _GNU_SOURCE
#include "front.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What a byte of the input means, modulo OPS; tests/live/fuzzing.py makes seeds of them. */
enum op {
    OP_SET_UP,    /* u8: queues 0 and 1 or 2 and 3, their size, features: all messages until they run */
    OP_MESSAGE,   /* u8 request, u8 shape: one message about as it should be */
    OP_RAW,       /* u8 count, bytes as they are */
    OP_HEADER,    /* u32 request, u8 flags, u16 size, u8 descriptors */
    OP_DESCRIPTOR, /* u8 queue, u8 index, u8 flags, u8 next, u16 address, u16 length */
    OP_PUBLISH,   /* u8 queue, u8 count, u8 first head */
    OP_KICK,      /* u8 queue */
    OP_POKE,      /* u16 place, u16 value */
    OP_RUN,
    OP_BEHAVE,    /* 8 bytes */
    OP_INJECT,    /* u8 kind */
    OP_DELIVER,   /* u8 pair, u16 bytes */
    OP_SHRINK,    /* u8 pages left */
    OP_FLOOD,     /* u8 count: requests that are answered, and no answer is read */
    OP_CLOSE,
    OP_CUT,
    OPS
};

static uint64_t messages, starts, chains, inputs;

static void run(struct world *world)
{
    struct timespec before, after;
    uint8_t         answers[4096];
    uint64_t        bytes = 0;
    uint32_t        because, pair;
    static uint8_t  frame[1 << 17];

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    because = rpl_session_run(world->session, 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    if (after.tv_sec - before.tv_sec > 5) {
        fprintf(stderr, "one turn took %ld s\n", (long)(after.tv_sec - before.tv_sec));
        abort();
    }
    if ((because & RPL_BECAUSE_SEGMENT) != 0) {
        (void)rpl_session_segment(world->session, 0, &bytes);
        rpl_session_segment_taken(world->session);
    }
    while ((because & RPL_BECAUSE_FRAMES) != 0 && rpl_session_frame(world->session, frame, sizeof frame, &pair) > 0)
        if (pair >= PAIRS)
            abort();
    while (world->reads && world->peer >= 0 && recv(world->peer, answers, sizeof answers, MSG_DONTWAIT) > 0)
        continue;
}

static void set_up(struct world *world)
{
    static const uint64_t accepted[] = {
        UINT64_C(1) << 32 | UINT64_C(1) << 30,
        UINT64_C(1) << 32 | UINT64_C(1) << 29 | UINT64_C(1) << 28 | UINT64_C(1) << 30 | 1,
        UINT64_C(1) << 35 | UINT64_C(1) << 32 | UINT64_C(1) << 28 | UINT64_C(1) << 30 | 1 << 15,
        0,
    };
    struct input nothing = {(const uint8_t *)"\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377", 16};
    uint8_t      how = take8(&world->input);
    uint32_t     first = how & 1 ? 2 : 0;
    uint64_t     features = accepted[how >> 1 & 3];
    uint16_t     size = (uint16_t)(1u << (how >> 3 & 7));

    message64(world, 16, 0x1ffff & ~UINT64_C(0x7dc0));
    message64(world, 2, features);
    mem_table(world, &nothing);
    for (uint32_t queue = first; queue < first + 2; queue++) {
        uint64_t word = queue;

        nothing.left = 16;
        nothing.bytes = (const uint8_t *)"\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377";
        world->size[queue] = size > 64 ? 64 : size;
        world->avail_idx[queue] = 0;
        vring_state(world, 8, queue, world->size[queue]);
        vring_state(world, 10, queue, 0);
        vring_addr(world, &nothing, queue);
        message(world, 13, 8, &word, 8, world->event, 1);
        message(world, 12, 8, &word, 8, world->event, 1);
        vring_state(world, 18, queue, 1);
    }
    run(world);
}

/* One of each kind, about as it should be. */
static void one_message(struct world *world)
{
    struct input *input = &world->input;
    uint32_t      request = take8(input) % 46, flags = take8(input);
    uint32_t      queue = take8(input) % (2 * PAIRS + 1);
    uint64_t      payload[36] = {0};
    uint32_t      head[3] = {take8(input), take8(input), take8(input) & 1};

    switch (request) {
    case 2:
    case 16:
    case 19:
    case 20:
    case 39:
        payload[0] = odd64(input, request == 20 ? 1400 : request == 39 ? take8(input) : 0);
        message(world, request, flags & 8, payload, 8, -1, 0);
        break;
    case 5:
        mem_table(world, input);
        break;
    case 6:
        payload[0] = odd64(input, REGION);
        payload[1] = odd64(input, 0);
        message(world, request, flags & 8, payload, 16, world->memory, 1);
        break;
    case 8:
    case 10:
    case 11:
    case 18:
        vring_state(world, request, queue, (uint32_t)odd64(input, take8(input)));
        break;
    case 9:
        vring_addr(world, input, queue);
        break;
    case 12:
    case 13:
    case 14:
        payload[0] = queue | (flags & 1 ? 0x100 : 0);
        message(world, request, flags & 8, payload, 8, flags & 2 ? world->memory : world->event, flags & 1 ? 0 : 1);
        break;
    case 7:
    case 21:
        message(world, request, flags & 8, payload, 0, world->event, 1);
        break;
    case 24:
    case 25:
        memcpy(payload, head, sizeof head);
        message(world, request, flags & 8, payload, flags & 1 ? 12 : 12 + head[1], -1, 0);
        break;
    case 37:
    case 38:
        put_region(input, payload + 1, flags >> 1 & 3);
        message(world, request, flags & 8, payload, 40, world->memory, request == 37 ? 1 : flags & 1);
        break;
    default:
        message(world, request, flags & 8, payload, flags & 1 ? 40 : 0, world->event, flags >> 1 & 1);
        break;
    }
}

static void raw_header(struct world *world)
{
    struct input *input = &world->input;
    uint32_t      head[3];
    int           fds[MESSAGE_FDS];
    size_t        count;

    head[0] = take32(input);
    head[1] = take8(input);
    head[2] = take16(input);
    count = take8(input) % (MESSAGE_FDS + 1);
    for (size_t at = 0; at < count; at++)
        fds[at] = at & 1 ? world->event : world->memory;
    transmit(world, head, sizeof head, fds, count);
}

static void poke(struct world *world, uint64_t place, const void *bytes, size_t count)
{
    if (place + count <= MEMORY)
        (void)!pwrite(world->memory, bytes, count, (off_t)place);
}

static void descriptor(struct world *world)
{
    struct input *input = &world->input;
    uint32_t      queue = take8(input) % (2 * PAIRS), index = take8(input) % 64;
    uint16_t      flags = take8(input) & 15, next = take8(input), place, bytes;
    uint64_t      address;
    struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } entry;

    place = take16(input);
    bytes = take16(input);
    address = GUEST + (uint64_t)place * 2;
    entry.address = place == 0xffff ? UINT64_MAX - bytes : address;
    entry.length = flags & 4 ? bytes & 0xfff0u : bytes;
    if (bytes == 0xffff)
        entry.length = UINT32_MAX;
    entry.flags = flags & 8 ? flags : flags & 7;
    entry.next = next & 0x80 ? (uint16_t)(next << 8) : next & 63;
    poke(world, queue * RING + index * 16u, &entry, sizeof entry);
}

static void publish(struct world *world)
{
    struct input *input = &world->input;
    uint32_t      queue = take8(input) % (2 * PAIRS), count = take8(input) % 70;
    uint16_t      head = take8(input), size = world->size[queue] ? world->size[queue] : 1;

    for (uint32_t at = 0; at < count; at++) {
        uint16_t entry = head >= 250 ? head : (uint16_t)((head + at) % size);

        poke(world, queue * RING + 0x800 + 4 + 2 * (world->avail_idx[queue] % size), &entry, sizeof entry);
        world->avail_idx[queue]++;
    }
    poke(world, queue * RING + 0x802, &world->avail_idx[queue], 2);
}

static void behave(struct world *world)
{
    struct input        *input = &world->input;
    struct rpl_behaviour behaviour = {0};

    behaviour.order = take8(input) % 3;
    behaviour.batch = take8(input) % 40;
    behaviour.hold_us = take8(input) & 1 ? 1 : 0;
    behaviour.keep = take8(input) % 20;
    behaviour.release_us = 1 + take8(input);
    behaviour.suppress = take8(input) % 6;
    behaviour.interrupts = take8(input) % 3;
    behaviour.distract = take8(input) & 1;
    behaviour.poll = take8(input) & 1;
    behaviour.total = behaviour.poll;
    behaviour.event = behaviour.seed = take8(input);
    rpl_session_behave(world->session, &behaviour, "{}");
}

static void flood(struct world *world)
{
    uint32_t count = take8(&world->input);

    for (uint32_t at = 0; at < count; at++) {
        message(world, 1, 0, NULL, 0, -1, 0);
        if (at % 64 == 63)
            run(world);
    }
    world->reads = false;
}

static void deliver(struct world *world)
{
    static const uint8_t frame[65536];
    uint32_t             pair = take8(&world->input) % (PAIRS + 1);

    (void)rpl_session_deliver(world->session, pair, frame, take16(&world->input));
}

static void step(struct world *world, enum op op)
{
    struct input *input = &world->input;
    uint64_t      one = 1;
    uint16_t      place, value;
    uint8_t       count;

    switch (op) {
    case OP_SET_UP:
        set_up(world);
        break;
    case OP_MESSAGE:
        one_message(world);
        break;
    case OP_RAW:
        count = take8(input);
        count = count < input->left ? count : (uint8_t)input->left;
        transmit(world, input->bytes, count, NULL, 0);
        input->bytes += count;
        input->left -= count;
        break;
    case OP_HEADER:
        raw_header(world);
        break;
    case OP_DESCRIPTOR:
        descriptor(world);
        break;
    case OP_PUBLISH:
        publish(world);
        break;
    case OP_KICK:
        (void)!write(world->event, &one, sizeof one);
        break;
    case OP_POKE:
        place = take16(input);
        value = take16(input);
        poke(world, place, &value, sizeof value);
        break;
    case OP_RUN:
        run(world);
        break;
    case OP_BEHAVE:
        behave(world);
        break;
    case OP_INJECT:
        rpl_session_inject(world->session, take8(input) % (RPL_INJECTS + 1));
        break;
    case OP_DELIVER:
        deliver(world);
        break;
    case OP_SHRINK:
        (void)!ftruncate(world->memory, (off_t)(take8(input) % 33) * 4096);
        break;
    case OP_FLOOD:
        flood(world);
        break;
    case OP_CLOSE:
        if (world->peer >= 0)
            close(world->peer);
        world->peer = -1;
        break;
    case OP_CUT:
        rpl_session_cut(world->session);
        break;
    case OPS:
        break;
    }
}

static int lowest_free(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

static void say(void)
{
    fprintf(stderr, "session fuzz: %llu inputs, %llu messages, %llu queues started, %llu chains\n",
            (unsigned long long)inputs, (unsigned long long)messages, (unsigned long long)starts,
            (unsigned long long)chains);
}

static void count_up(const struct world *world)
{
    struct rpl_view view;

    rpl_session_view(world->session, &view);
    inputs++;
    messages += view.messages;
    for (uint32_t queue = 0; queue < 2 * PAIRS; queue++) {
        starts += view.queues[queue].started;
        chains += view.queues[queue].counts.chains;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct world       world = {.input = {bytes, count}, .reads = true};
    uint8_t            how = take8(&world.input);
    struct rpl_options options = {
        .device_features = UINT64_MAX & ~(UINT64_C(1) << 34 | UINT64_C(1) << 33),
        .protocol_features = UINT64_MAX,
        .pairs = PAIRS,
        .patience_ms = 1,
        .plain = (how & 7) == 7,
        .keep = how >> 3 & 1,
        .segment_bytes = 4 << 20,
        .frames = 1,
    };
    int ends[2], before = lowest_free();

    if (inputs == 0)
        atexit(say);
    world.session = rpl_session_new(&options);
    if (world.session == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
    world.peer = ends[1];
    if (!rpl_session_connect(world.session, ends[0]))
        abort();
    world.memory = memfd_create("fuzz", MFD_CLOEXEC);
    world.event = eventfd(0, EFD_CLOEXEC);
    if (world.memory < 0 || world.event < 0 || ftruncate(world.memory, MEMORY) < 0)
        abort();
    while (world.input.left > 0)
        step(&world, (enum op)(take8(&world.input) % OPS));
    run(&world);
    run(&world);
    rpl_session_cut(world.session);
    count_up(&world);
    rpl_session_free(world.session);
    close(world.memory);
    close(world.event);
    if (world.peer >= 0)
        close(world.peer);
    if (lowest_free() != before) {
        fprintf(stderr, "a descriptor was left open\n");
        abort();
    }
    return 0;
}
