/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that means ill: rings full of random and half-sensible bytes, changed by a second thread while the queue
 * works on them. Run under sanitizers; ends with 0 if nothing was found. Arguments: seed, rounds.
 */
#define _GNU_SOURCE
#include "queue.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY (4u << 20)
#define ADDRESS UINT64_C(0x100000)

static struct rpl_guest    guest;
static struct rpl_log      found;
static struct rpl_recorder recorder;
static struct rpl_queue   *queue;
static uint8_t            *memory;
static volatile bool       over;
static uint64_t            state;
static uint32_t            size;
static uint64_t            desc, avail, used;

static uint64_t next(uint64_t *from)
{
    *from ^= *from << 13;
    *from ^= *from >> 7;
    *from ^= *from << 17;
    return *from;
}

static uint32_t below(uint64_t *from, uint32_t end)
{
    return (uint32_t)(next(from) >> 20) % end;
}

static void checkpoint(void *context, struct rpl_recorder *into)
{
    (void)context;
    if (queue != NULL)
        rpl_queue_checkpoint(queue, into);
    rpl_record_tallies(into);
}

static void put(uint64_t at, const void *bytes, size_t count)
{
    if (at >= ADDRESS && at - ADDRESS <= MEMORY - count)
        memcpy(memory + (at - ADDRESS), bytes, count);
}

/* Sensible nine times out of ten. */
static void descriptor(uint64_t *from, uint64_t at, uint32_t entries)
{
    uint64_t address = ADDRESS + below(from, MEMORY);
    uint32_t length = below(from, 3000);
    uint16_t flags = (uint16_t)(below(from, 3) == 0), following = (uint16_t)below(from, entries);

    switch (below(from, 24)) {
    case 0: address = next(from); break;
    case 1: length = (uint32_t)next(from); break;
    case 2: flags = (uint16_t)next(from); break;
    case 3: following = (uint16_t)next(from); break;
    case 4: flags |= 2; break;
    case 5: flags = 4; length &= ~15u; break;
    case 6: flags = 4; length = (uint32_t)next(from) & 0x1ffff0; break;
    case 7: length = 0; break;
    default: break;
    }
    put(at, &address, 8);
    put(at + 8, &length, 4);
    put(at + 12, &flags, 2);
    put(at + 14, &following, 2);
}

static void *scribble(void *context)
{
    uint64_t own = state ^ 0x5555;

    (void)context;
    while (!over) {
        uint16_t word = (uint16_t)below(&own, size * 2);

        switch (below(&own, 6)) {
        case 0: put(avail + 4 + 2 * (uint64_t)below(&own, size), &word, 2); break;
        case 1: descriptor(&own, ADDRESS + 16 * (uint64_t)below(&own, MEMORY / 16), size); break;
        case 2: put(used + 2 * (uint64_t)below(&own, size), &word, 2); break;
        default: descriptor(&own, desc + 16 * (uint64_t)below(&own, size), size); break;
        }
    }
    return NULL;
}

static void set_up(struct rpl_queue_setup *setup)
{
    size = 1u << below(&state, 11);
    desc = ADDRESS + 16 * (uint64_t)below(&state, 1000);
    avail = desc + 16 * (uint64_t)size + 2 * (uint64_t)below(&state, 9);
    used = avail + 6 + 2 * (uint64_t)size + below(&state, 64);
    if (below(&state, 8) == 0)
        used = ADDRESS + below(&state, MEMORY - 8 * size - 64);
    *setup = (struct rpl_queue_setup){
        .size = size, .desc = desc, .avail = avail, .used = used, .base = (uint16_t)next(&state),
        .sends = below(&state, 4) != 0, .mtu = 1500,
        .features = next(&state) & (UINT64_C(1) << 28 | UINT64_C(1) << 29 | UINT64_C(1) << 32 | UINT64_C(1) << 35 |
                                    UINT64_C(1) << 15 | 1),
    };
    if (below(&state, 16) == 0)
        setup->size = below(&state, 70000);
    if (below(&state, 16) == 0)
        setup->avail = next(&state);
}

static void behave(void)
{
    struct rpl_behaviour behaviour = {
        .order = below(&state, 3), .batch = below(&state, 3) == 0 ? below(&state, 40) : 0,
        .hold_us = below(&state, 3) == 0 ? below(&state, 500) : 0,
        .keep = below(&state, 3) == 0 ? below(&state, 40) : 0,
        .release_us = below(&state, 2000), .suppress = below(&state, 6), .event = below(&state, 65536),
        .interrupts = below(&state, 3), .distract = below(&state, 2), .poll = below(&state, 2),
        .total = below(&state, 2), .seed = below(&state, 1000),
    };

    rpl_queue_behave(queue, &behaviour);
}

static void round_of(uint64_t *now)
{
    static const uint8_t   frame[1500] = {0};
    struct rpl_queue_setup setup;
    uint16_t               idx;

    set_up(&setup);
    idx = setup.base;
    for (uint32_t i = 0; i < size; i++)
        descriptor(&state, desc + 16 * (uint64_t)i, size);
    put(avail + 2, &idx, 2);
    behave();
    rpl_queue_start(queue, &setup);
    for (uint32_t turn = 0; turn < 40; turn++) {
        uint32_t growth = below(&state, 16) == 0 ? below(&state, 65536) : below(&state, 6);

        for (uint32_t i = 0; i < growth && i < size; i++) {
            uint16_t head = (uint16_t)below(&state, size + (below(&state, 8) == 0));

            put(avail + 4 + 2 * ((idx + i) & (size - 1)), &head, 2);
            descriptor(&state, desc + 16 * (uint64_t)head, size);
        }
        idx = (uint16_t)(idx + growth);
        put(avail + 2, &idx, 2);
        rpl_queue_kicked(queue, below(&state, 3));
        for (uint32_t i = 0; i < 8 && rpl_queue_service(queue, *now, 64, 5); i++)
            *now += below(&state, 100);
        if (rpl_queue_wait(queue, *now) > 100)
            *now += below(&state, 3000);
        rpl_queue_deliver(queue, frame, 60 + below(&state, 1400));
        if (below(&state, 40) == 0)
            rpl_queue_inject(queue, (enum rpl_inject)below(&state, RPL_INJECTS));
        if (below(&state, 40) == 0)
            rpl_queue_enable(queue, below(&state, 2) != 0);
        if (below(&state, 40) == 0)
            behave();
        if (below(&state, 60) == 0)
            rpl_record_cut(&recorder);
    }
    rpl_queue_stop(queue);
    for (uint32_t which = 0; which < RPL_CHECKS; which++)
        if (found.tallies[which].failed > found.tallies[which].checked)
            abort();
}

int main(int count, char **words)
{
    uint64_t  now = 1000000;
    uint32_t  rounds = count > 2 ? (uint32_t)atoi(words[2]) : 100;
    pthread_t other;
    int       file = memfd_create("guest", 0);

    state = UINT64_C(0x9e3779b97f4a7c15) * (count > 1 ? (uint64_t)atoi(words[1]) + 1 : 1);
    size = 1;
    if (file < 0 || ftruncate(file, MEMORY) != 0)
        return 2;
    memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    rpl_guest_init(&guest);
    if (memory == MAP_FAILED || rpl_guest_add(&guest, ADDRESS, 0, MEMORY / 2, 0, file) != RPL_GUEST_OK ||
        rpl_guest_add(&guest, ADDRESS + MEMORY / 2, MEMORY, MEMORY / 2, MEMORY / 2, file) != RPL_GUEST_OK ||
        !rpl_recorder_init(&recorder, &found, 4 << 20, false, checkpoint, NULL))
        return 2;
    queue = rpl_queue_new(1, &guest, &found, &recorder);
    rpl_queue_enable(queue, true);
    if (pthread_create(&other, NULL, scribble, NULL) != 0)
        return 2;
    for (uint32_t i = 0; i < rounds; i++)
        round_of(&now);
    over = true;
    pthread_join(other, NULL);
    printf("%llu records, %llu failures\n", (unsigned long long)found.records, (unsigned long long)found.failures);
    rpl_queue_free(queue);
    rpl_recorder_free(&recorder);
    rpl_guest_clear(&guest);
    munmap(memory, MEMORY);
    close(file);
    return 0;
}
