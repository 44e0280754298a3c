/* SPDX-License-Identifier: Apache-2.0 */
/* Random work with a device that completes in any order and checks each chain as it finds it. */
#include <stdlib.h>

#include "environment.h"

#define OPERATIONS 20000u
#define START      65000u /* the wrap comes soon */

struct flight {
    uint32_t head, out, in, taken; /* taken: descriptors of the ring */
    uintptr_t token;
};

static struct flight flights[256];
static uint32_t in_flight, taken;
static uint64_t state = 88172645463325252u;

static uint32_t random_below(uint32_t bound) /* xorshift64 */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % bound;
}

/* Walks a chain as the device does and returns how many ring descriptors it takes. */
static uint32_t walk(uint32_t head, uint32_t out, uint32_t in)
{
    const struct desc *table = bench.desc;
    uint32_t index = head, limit = bench.env.queue_size, total = out + in;
    bool indirect = bench.desc[head].flags == TABLE;

    if (indirect) {
        CHECK(bench.desc[head].len == 16 * total);
        table = at(bench.desc[head].addr);
        index = 0;
        limit = total;
    }
    for (uint32_t i = 0; i < total; i++) {
        uint16_t flags = (uint16_t)((i + 1 < total ? NEXT : 0) | (i < out ? 0 : WRITE));

        CHECK(index < limit);
        CHECK(table[index].flags == flags);
        CHECK(table[index].addr == segment_address(i));
        CHECK(table[index].len == segment_length(i));
        index = table[index].next;
    }
    return indirect ? 1 : total;
}

static void add_some(uintptr_t token)
{
    uint32_t n = bench.env.queue_size;
    uint32_t most = n < 12 ? n : 12;
    uint32_t total = 1 + random_below(most), in = random_below(total + 1), needed;
    struct flight *flight = &flights[in_flight];
    uint16_t index = avail_idx();
    bool table;

    bench.out_of_memory = random_below(4) == 0;
    table = (bench.env.features & INDIRECT) != 0 && total > 1 && !bench.out_of_memory && taken < n;
    needed = table ? 1 : total;
    if (n - taken < needed) {
        CHECK(add(total - in, in, token) == RP_ENOSPC);
        CHECK(avail_idx() == index);
        return;
    }
    CHECK(add(total - in, in, token) == RP_OK);
    CHECK(avail_idx() == (uint16_t)(index + 1));
    *flight = (struct flight){avail_head(index), total - in, in, needed, token};
    for (uint32_t i = 0; i < in_flight; i++)
        CHECK(flights[i].head != flight->head);
    CHECK(walk(flight->head, flight->out, flight->in) == needed);
    in_flight += 1;
    taken += needed;
}

static void complete_one(void)
{
    uint32_t chosen = random_below(in_flight);
    struct flight flight = flights[chosen];

    CHECK(walk(flight.head, flight.out, flight.in) == flight.taken);
    complete(flight.head, flight.head + 7);
    expect(flight.token, flight.head + 7);
    expect_none(0);
    in_flight -= 1;
    taken -= flight.taken;
    flights[chosen] = flights[in_flight];
}

void case_long_run(void)
{
    static const uint32_t sizes[] = {1, 2, 4, 64, 256};
    static const uint64_t features[] = {0, INDIRECT, EVENT, INDIRECT | EVENT | RP_F_VERSION_1};

    for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (unsigned int f = 0; f < sizeof(features) / sizeof(features[0]); f++) {
            uint32_t added = 0;

            prepare(sizes[s], features[f], f % 2 == 0 ? RP_LAYOUT_LEGACY : RP_LAYOUT_MODERN);
            open_queue(sizes[s], features[f]);
            in_flight = taken = 0;
            turn(START);
            for (uint32_t i = 0; i < OPERATIONS; i++) {
                uint16_t before = avail_idx();

                if (random_below(2) == 0)
                    add_some(i + 1);
                else if (in_flight > 0)
                    complete_one();
                if (random_below(8) == 0)
                    bench.driver->kick(bench.queue);
                added += (uint16_t)(avail_idx() - before);
                CHECK(bench.driver->num_free(bench.queue) == bench.env.queue_size - taken);
            }
            CHECK(START + added > 65536);
            while (in_flight > 0)
                complete_one();
            CHECK(bench.driver->num_free(bench.queue) == bench.env.queue_size);
            close_queue();
        }
    }
}
