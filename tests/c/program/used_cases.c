/* SPDX-License-Identifier: Apache-2.0 */
#include "environment.h"

void case_free_list(void)
{
    open_queue(8, 0);
    CHECK(add(2, 0, 1) == RP_OK); /* 0 1 */
    CHECK(add(3, 0, 2) == RP_OK); /* 2 3 4 */
    CHECK(add(1, 0, 3) == RP_OK); /* 5, leaving 6 7 */
    complete(2, 0);
    complete(0, 0);
    expect(2, 0);
    CHECK(bench.desc[4].next == 6);
    CHECK(bench.driver->num_free(bench.queue) == 5);
    expect(1, 0);
    CHECK(bench.desc[1].next == 2);
    CHECK(bench.driver->num_free(bench.queue) == 7);
    /* Flags are not cleared. */
    CHECK(bench.desc[0].flags == NEXT);
    CHECK(add(7, 0, 4) == RP_OK);
    CHECK(avail_head(3) == 0);
    CHECK(bench.desc[0].next == 1 && bench.desc[1].next == 2 && bench.desc[2].next == 3);
    CHECK(bench.desc[3].next == 4 && bench.desc[4].next == 6 && bench.desc[6].next == 7);
    CHECK(bench.desc[7].flags == 0);
    CHECK(bench.driver->num_free(bench.queue) == 0);
    complete(0, 0);
    complete(5, 0);
    expect(4, 0);
    expect(3, 0);
    CHECK(bench.driver->num_free(bench.queue) == 8);
    CHECK(bench.desc[5].next == 0); /* also when nothing is left in flight */
    close_queue();
}

/* What used_event is after one buffer went round from a fresh queue. */
static uint16_t event_after_one(uint64_t features, bool has_callback, bool disabled)
{
    uint16_t event;

    prepare(4, features, RP_LAYOUT_LEGACY);
    bench.env.has_callback = has_callback;
    open_queue(4, features);
    if (disabled)
        bench.driver->disable_cb(bench.queue);
    turn(1);
    event = *used_event();
    close_queue();
    return event;
}

void case_rearm(void)
{
    CHECK(event_after_one(EVENT, true, false) == 1);
    CHECK(event_after_one(EVENT, true, true) == 0);
    CHECK(event_after_one(EVENT, false, false) == 0);
    CHECK(event_after_one(0, true, false) == (linux_3_11() ? 1 : 0));
    CHECK(event_after_one(0, true, true) == 0);
    open_queue(4, EVENT);
    turn(65535);
    CHECK(*used_event() == 65535);
    turn(1);
    CHECK(*used_event() == 0);
    close_queue();
}

void case_switches(void)
{
    for (uint64_t features = 0; features <= EVENT; features += EVENT) {
        bool flagged = linux_3_11() || features == 0;
        bool evented = linux_3_11() || features == EVENT;

        open_queue(4, features);
        turn(6);
        CHECK(avail_flags() == 0);
        CHECK(*used_event() == (evented ? 6 : 0));
        bench.driver->disable_cb(bench.queue);
        CHECK(avail_flags() == (flagged ? 1 : 0));
        turn(3);
        CHECK(*used_event() == (evented ? 6 : 0));
        CHECK(bench.driver->enable_cb_prepare(bench.queue) == 9);
        CHECK(avail_flags() == 0);
        CHECK(*used_event() == (evented ? 9 : 0));
        turn(1);
        CHECK(*used_event() == (evented ? 10 : 0));
        bench.driver->disable_cb(bench.queue);
        CHECK(add(1, 0, 1) == RP_OK);
        CHECK(bench.driver->enable_cb(bench.queue) == 1);
        CHECK(avail_flags() == 0);
        bench.driver->disable_cb(bench.queue);
        complete(avail_head(10), 0);
        CHECK(bench.driver->enable_cb(bench.queue) == 0);
        CHECK(avail_flags() == 0);
        expect(1, 0);
        CHECK(bench.driver->enable_cb(bench.queue) == 1);
        CHECK(*used_event() == (evented ? 11 : 0));
        close_queue();
    }
}

void case_poll_mark(void)
{
    open_queue(4, EVENT);
    turn(65535);
    uint32_t mark = bench.driver->enable_cb_prepare(bench.queue);

    CHECK(mark == 65535);
    CHECK(bench.driver->poll(bench.queue, mark) == 0);
    CHECK(add(1, 0, 1) == RP_OK);
    CHECK(bench.driver->poll(bench.queue, mark) == 0);
    complete(avail_head(65535), 0);
    CHECK(bench.driver->poll(bench.queue, mark) == 1);
    expect(1, 0);
    CHECK(bench.driver->poll(bench.queue, mark) == 1);
    mark = bench.driver->enable_cb_prepare(bench.queue);
    CHECK(mark == 0);
    CHECK(bench.driver->poll(bench.queue, mark) == 0);
    close_queue();
}

void case_delayed(void)
{
    /* In flight, and three quarters of it, rounded down. */
    static const uint16_t rows[][2] = {{0, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 3}, {5, 3}, {8, 6}, {16, 12}};

    for (uint64_t features = 0; features <= EVENT; features += EVENT) {
        for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            uint16_t start = 65530, bufs = rows[i][1];

            open_queue(16, features);
            turn(start);
            bench.driver->disable_cb(bench.queue);
            *used_event() = 0x5555;
            for (uint16_t k = 0; k < rows[i][0]; k++)
                CHECK(add(1, 0, 1) == RP_OK);
            for (uint16_t k = 0; k <= rows[i][0]; k++) {
                CHECK(bench.driver->enable_cb_delayed(bench.queue) == (k <= bufs ? 1 : 0));
                CHECK(avail_flags() == 0);
                if (linux_3_11() || features == EVENT)
                    CHECK(*used_event() == (uint16_t)(start + bufs));
                else
                    CHECK(*used_event() == 0x5555);
                if (k < rows[i][0])
                    complete(avail_head((uint16_t)(start + k)), 0);
            }
            close_queue();
        }
    }
}

static void breaks(uint32_t id)
{
    open_queue(4, 0);
    CHECK(add(2, 0, 1) == RP_OK);
    complete(id, 0);
    expect_none(RP_EBROKEN);
    CHECK(bench.driver->num_free(bench.queue) == 2);
    complete(0, 0);
    expect_none(RP_EBROKEN);
    CHECK(bench.driver->interrupt(bench.queue) == 1); /* swallowed */
    CHECK(bench.called_back == 0);
    close_queue();
}

void case_broken(void)
{
    breaks(1); /* in use, but no head */
    breaks(2);
    breaks(4);
    breaks(0x10000);
    breaks(0xffffffffu);
    /* Returned twice. */
    open_queue(4, 0);
    CHECK(add(1, 0, 1) == RP_OK);
    complete(0, 0);
    complete(0, 0);
    expect(1, 0);
    expect_none(RP_EBROKEN);
    close_queue();
}

void case_interrupts(void)
{
    open_queue(4, 0);
    CHECK(bench.driver->interrupt(bench.queue) == 0);
    CHECK(add(1, 0, 1) == RP_OK);
    CHECK(bench.driver->interrupt(bench.queue) == 0);
    complete(0, 0);
    CHECK(bench.driver->interrupt(bench.queue) == 1);
    CHECK(bench.called_back == 1);
    expect(1, 0);
    CHECK(bench.driver->interrupt(bench.queue) == 0);
    CHECK(bench.called_back == 1);
    close_queue();

    prepare(4, 0, RP_LAYOUT_LEGACY);
    bench.env.has_callback = 0;
    open_queue(4, 0);
    CHECK(add(1, 0, 1) == RP_OK);
    complete(0, 0);
    CHECK(bench.driver->interrupt(bench.queue) == 1);
    CHECK(bench.called_back == 0);
    close_queue();
}

static void detach(uintptr_t token, uint16_t idx_after, uint32_t num_free_after)
{
    void *got = &bench;

    CHECK(bench.driver->detach_unused(bench.queue, &got) == (token != 0));
    CHECK((uintptr_t)got == token);
    CHECK(avail_idx() == idx_after);
    CHECK(bench.driver->num_free(bench.queue) == num_free_after);
}

void case_detach_unused(void)
{
    open_queue(8, INDIRECT);
    CHECK(add(1, 0, 1) == RP_OK); /* 0 */
    CHECK(add(2, 0, 2) == RP_OK); /* 1 */
    bench.out_of_memory = true;
    CHECK(add(3, 0, 3) == RP_OK); /* 2 3 4 */
    complete(0, 0);
    expect(1, 0);
    CHECK(add(1, 0, 4) == RP_OK); /* 0 again */
    detach(4, 3, 4);
    detach(2, 2, 5);
    detach(3, 1, 8);
    detach(0, 1, 8);
    close_queue();
}
