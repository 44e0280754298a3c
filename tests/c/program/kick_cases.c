/* SPDX-License-Identifier: Apache-2.0 */
#include "environment.h"

/* Adds, completes and gets one buffer without a kick. */
static void pass_one(void)
{
    uint16_t index = avail_idx();

    CHECK(add(1, 0, 1) == RP_OK);
    complete(avail_head(index), 0);
    expect(1, 0);
}

void case_forced_kick(void)
{
    for (uint64_t features = 0; features <= EVENT; features += EVENT) {
        open_queue(2, features);
        turn(5);
        bench.notified = 0;
        *avail_event() = 5;
        for (uint32_t i = 1; i < 65535; i++) {
            pass_one();
            CHECK(bench.notified == 0);
        }
        pass_one();
        CHECK(bench.notified == 1);
        /* That kick started the count anew. */
        for (uint32_t i = 1; i < 65535; i++)
            pass_one();
        CHECK(bench.notified == 1);
        pass_one();
        CHECK(bench.notified == 2);
        close_queue();
    }
    /* Forced, but still a kick: the device that wants none gets none. */
    open_queue(2, 0);
    bench.used[0] = 1;
    for (uint32_t i = 0; i < 65536; i++)
        pass_one();
    CHECK(bench.notified == 0);
    close_queue();
}

void case_kick_by_flags(void)
{
    open_queue(4, 0);
    *avail_event() = 0x7777; /* means nothing here */
    CHECK(add(1, 0, 1) == RP_OK);
    bench.driver->kick(bench.queue);
    CHECK(bench.notified == 1);
    CHECK(bench.last_notified == 3);
    bench.used[0] = 1;
    CHECK(add(1, 0, 2) == RP_OK);
    bench.driver->kick(bench.queue);
    CHECK(bench.notified == 1);
    bench.used[0] = 0;
    bench.driver->kick(bench.queue); /* even with nothing new, as flags say */
    CHECK(bench.notified == 2);
    close_queue();
}

/* Kicks after every number of adds from 0 to 8, with the event at every distance from -12 to 12. */
static void kick_around(void)
{
    for (uint16_t added = 0; added <= 8; added++) {
        for (int event = -12; event <= 12; event++) {
            unsigned int wanted = event >= 0 && event < added ? 1 : 0;
            uint16_t start = avail_idx();

            bench.notified = 0;
            bench.used[0] = (uint16_t)wanted; /* means nothing here */
            *avail_event() = (uint16_t)(start + event);
            for (uint16_t i = 0; i < added; i++)
                CHECK(add(1, 0, 1u + i) == RP_OK);
            bench.driver->kick(bench.queue);
            CHECK(bench.notified == wanted);
            bench.driver->kick(bench.queue); /* nothing new */
            CHECK(bench.notified == wanted);
            for (uint16_t i = 0; i < added; i++) {
                complete(avail_head((uint16_t)(start + i)), 0);
                expect(1u + i, 0);
            }
        }
    }
}

void case_kick_by_event(void)
{
    open_queue(8, EVENT);
    kick_around();
    while (avail_idx() != 0x7e00) /* 900 chains a time: across the change of sign, and across the wrap */
        turn(1);
    kick_around();
    CHECK(avail_idx() > 0x8000);
    while (avail_idx() != 0xfe00)
        turn(1);
    kick_around();
    CHECK(avail_idx() < 0x7e00);
    close_queue();
}
