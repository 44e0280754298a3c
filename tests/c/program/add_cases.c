/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "environment.h"

static void check_desc(const struct desc *desc, uint32_t segment, uint16_t flags, uint16_t next)
{
    CHECK(desc->addr == segment_address(segment));
    CHECK(desc->len == segment_length(segment));
    CHECK(desc->flags == flags);
    CHECK(desc->next == next);
}

void case_direct(void)
{
    open_queue(8, 0);
    CHECK(add(2, 1, 77) == RP_OK);
    check_desc(&bench.desc[0], 0, NEXT, 1);
    check_desc(&bench.desc[1], 1, NEXT, 2);
    check_desc(&bench.desc[2], 2, WRITE, 3);
    CHECK(add(0, 2, 78) == RP_OK);
    check_desc(&bench.desc[3], 0, NEXT | WRITE, 4);
    check_desc(&bench.desc[4], 1, WRITE, 5);
    CHECK(add(3, 0, 79) == RP_OK);
    check_desc(&bench.desc[7], 2, 0, 0);
    CHECK(avail_idx() == 3);
    CHECK(avail_head(0) == 0);
    CHECK(avail_head(1) == 3);
    CHECK(avail_head(2) == 5);
    CHECK(bench.driver->num_free(bench.queue) == 0);
    CHECK(bench.notified == 0);
    complete(3, 9);
    complete(0, 0);
    expect(78, 9);
    expect(77, 0);
    expect_none(0);
    CHECK(bench.driver->num_free(bench.queue) == 5);
    close_queue();

    /* A segment of length zero is passed on as it is. */
    open_queue(4, 0);
    struct rp_segment empty = {.address = 42, .length = 0};
    CHECK(bench.driver->add(bench.queue, &empty, 1, 0, &empty) == RP_OK);
    CHECK(bench.desc[0].addr == 42);
    CHECK(bench.desc[0].len == 0);
    CHECK(bench.desc[0].flags == 0);
    close_queue();
}

void case_indirect(void)
{
    const struct desc *table;
    unsigned int ring;

    open_queue(4, INDIRECT);
    ring = bench.live;
    CHECK(add(1, 0, 1) == RP_OK); /* one segment needs no table */
    CHECK(bench.live == ring);
    check_desc(&bench.desc[0], 0, 0, 1);
    CHECK(add(2, 2, 2) == RP_OK);
    CHECK(bench.live == ring + 4 * 16);
    CHECK(bench.desc[1].flags == TABLE);
    CHECK(bench.desc[1].len == 4 * 16);
    CHECK(bench.desc[1].next == 2);
    CHECK(bench.desc[1].addr % 16 == 0);
    table = at(bench.desc[1].addr);
    check_desc(&table[0], 0, NEXT, 1);
    check_desc(&table[1], 1, NEXT, 2);
    check_desc(&table[2], 2, NEXT | WRITE, 3);
    check_desc(&table[3], 3, WRITE, 0);
    CHECK(add(3, 0, 3) == RP_OK);
    table = at(bench.desc[2].addr);
    check_desc(&table[2], 2, 0, 0);
    CHECK(bench.driver->num_free(bench.queue) == 1);
    complete(2, 0);
    complete(1, 5);
    expect(3, 0);
    CHECK(bench.live == ring + 4 * 16);
    expect(2, 5);
    CHECK(bench.live == ring);
    CHECK(bench.driver->num_free(bench.queue) == 3);
    CHECK(add(2, 0, 4) == RP_OK); /* still in flight when the queue is closed */
    CHECK(avail_head(3) == 1);
    close_queue();
}

void case_indirect_fallback(void)
{
    open_queue(4, INDIRECT);
    bench.out_of_memory = true;
    CHECK(add(2, 1, 1) == RP_OK);
    check_desc(&bench.desc[0], 0, NEXT, 1);
    check_desc(&bench.desc[1], 1, NEXT, 2);
    check_desc(&bench.desc[2], 2, WRITE, 3);
    CHECK(bench.driver->num_free(bench.queue) == 1);
    CHECK(add(2, 0, 2) == RP_ENOSPC);
    bench.out_of_memory = false;
    CHECK(add(2, 0, 2) == RP_OK);
    CHECK(bench.driver->num_free(bench.queue) == 0);
    complete(0, 0);
    expect(1, 0);
    CHECK(bench.driver->num_free(bench.queue) == 3);
    close_queue();
}

void case_indirect_in_a_full_ring(void)
{
    unsigned int allocations;

    open_queue(2, INDIRECT);
    CHECK(add(2, 0, 1) == RP_OK);
    CHECK(add(2, 0, 2) == RP_OK);
    allocations = bench.allocations;
    CHECK(add(2, 0, 3) == RP_ENOSPC);
    CHECK(bench.allocations == allocations);
    CHECK(bench.driver->num_free(bench.queue) == 0);
    close_queue();
}

static void unchanged_by(uint32_t out, uint32_t in, uintptr_t token, int result)
{
    uint8_t before[8192], *ring = (uint8_t *)bench.desc;
    uint32_t num_free = bench.driver->num_free(bench.queue);
    unsigned int live = bench.live;

    CHECK(bench.first_bytes <= sizeof(before));
    memcpy(before, ring, bench.first_bytes);
    CHECK(add(out, in, token) == result);
    CHECK(memcmp(before, ring, bench.first_bytes) == 0);
    CHECK(bench.driver->num_free(bench.queue) == num_free);
    CHECK(bench.live == live);
}

void case_programming_errors(void)
{
    struct rp_segment segment = {.address = 42, .length = 1};

    open_queue(4, 0);
    unchanged_by(1, 0, 0, RP_EINVAL);
    unchanged_by(0, 0, 5, RP_EINVAL);
    unchanged_by(5, 0, 5, RP_EINVAL);
    unchanged_by(2, 3, 5, RP_EINVAL);
    CHECK(add(3, 0, 5) == RP_OK);
    unchanged_by(5, 0, 6, RP_EINVAL); /* not for lack of room: it never fits */
    CHECK(bench.driver->add(bench.queue, &segment, 0xffffffffu, 2, &segment) == RP_EINVAL);
    CHECK(bench.notified == 0);
    close_queue();
}

void case_longer_than_ring(void)
{
    open_queue(4, INDIRECT);
    if (linux_3_11()) {
        CHECK(add(5, 4, 1) == RP_OK);
        CHECK(bench.desc[0].len == 9 * 16);
        bench.out_of_memory = true;
    }
    unchanged_by(5, 4, 2, RP_EINVAL);
    close_queue();
}

void case_no_room(void)
{
    for (uint64_t features = 0; features <= EVENT; features += EVENT) {
        open_queue(4, features);
        CHECK(add(3, 0, 1) == RP_OK);
        unchanged_by(0, 2, 2, RP_ENOSPC); /* nothing to read: nobody is told */
        CHECK(bench.notified == 0);
        unchanged_by(1, 1, 2, RP_ENOSPC); /* event 0 or no NO_NOTIFY: wanted */
        CHECK(bench.notified == 1);
        CHECK(bench.last_notified == 3);
        unchanged_by(2, 0, 2, RP_ENOSPC);
        /* Nothing was added since, so a kick has nothing to tell under EVENT_IDX. */
        CHECK(bench.notified == (linux_3_11() || features == 0 ? 2 : 1));
        bench.notified = 0;
        bench.used[0] = 1; /* NO_NOTIFY */
        unchanged_by(2, 0, 2, RP_ENOSPC);
        CHECK(bench.notified == (linux_3_11() ? 1 : 0));
        if (linux_3_11()) { /* the notification was no kick: what was added is still to be told */
            bench.used[0] = 0;
            bench.driver->kick(bench.queue);
            CHECK(bench.notified == 2);
        }
        close_queue();
    }
}
