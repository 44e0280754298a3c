/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts, several queues, the control queue; and all together for long. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define PLAIN "00000000000000000000"

static int interrupt(uint8_t isr)
{
    bench.isr = isr;
    return bench.driver->interrupt(bench.device);
}

static void open_pairs(uint16_t pairs, uint32_t size, uint64_t features)
{
    prepare(LEGACY, CTRL | MQ | features);
    bench.max_pairs = pairs;
    bench.size = size;
    CHECK(probe() == RP_NET_OK);
    forget_log();
}

void case_interrupts(void)
{
    open_device(LEGACY, 64, STATUS);
    CHECK(interrupt(0) == 0);
    EXPECT_LOG("Ri19=0");
    CHECK(interrupt(1) == 0); /* without news */
    EXPECT_LOG("Ri19=1");
    CHECK(interrupt(2) == 1);
    EXPECT_LOG("Ri19=2 Ri26=1 Ri27=0");
    send(frame_of(0));
    EXPECT_FRAME(0, 0, 2, PLAIN);
    complete(1, 1);
    forget_log();
    CHECK(interrupt(0) == 0); /* not ours, whatever was used */
    EXPECT_LOG("Ri19=0");
    bench.link = 0;
    CHECK(interrupt(3) == 1);
    CHECK(strncmp(bench.log, "Ri19=3 Ri26=0 Ri27=0 ", 21) == 0 && position("K0") > 0);
    close_device();

    open_device(MODERN, 64, 0);
    CHECK(interrupt(2) == 1); /* there is no status to read */
    EXPECT_LOG("Rs0=2");
    close_device();
    open_device(MODERN, 64, STATUS);
    bench.changes = 1;
    CHECK(interrupt(2) == 1);
    EXPECT_LOG("Rs0=2 Rc21=0 Rd6=1 Rc21=1 Rc21=1 Rd6=1 Rc21=1");
    bench.changes = 2000; /* it never gets a word it can trust, and goes on */
    CHECK(interrupt(2) == 1);
    bench.changes = 0;
    close_device();

    /* A device that returns what it was never given: the queue is broken, and the interrupt still its own. */
    open_device(LEGACY, 64, 0);
    send(frame_of(0));
    EXPECT_FRAME(0, 0, 2, PLAIN);
    used_ring(1)[2] = 63;
    used_ring(1)[1] = 1;
    CHECK(interrupt(1) == 1);
    CHECK(interrupt(1) == 1);
    CHECK(bench.sent[0].freed == 0);
    send(frame_of(0));
    CHECK(bench.sent[1].freed == 0);
    close_device();

    /* The same on a receive queue, which has nothing to return. */
    open_device(LEGACY, 64, 0);
    used_ring(0)[1] = 1;
    CHECK(interrupt(1) == 1);
    EXPECT_LOG("Ri19=1");
    close_device();
}

void case_set_pairs(void)
{
    static const uint8_t three[] = {4, 0, 3, 0};

    open_pairs(4, 4, 0);
    bench.log_memory = true;
    CHECK(bench.driver->set_pairs(bench.device, 3) == RP_NET_OK);
    EXPECT_LOG("A8 Wi16=8 D8");
    CHECK(bench.last_alignment == 8);
    CHECK(bench.command_bytes == 4 && memcmp(bench.command, three, 4) == 0);
    CHECK(bench.driver->set_pairs(bench.device, 0) == RP_NET_EINVAL);
    CHECK(bench.driver->set_pairs(bench.device, 5) == RP_NET_EINVAL);
    EXPECT_LOG("");
    bench.verdict = 1; /* the device declines: 3 remain */
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_EINVAL);
    EXPECT_LOG("A8 Wi16=8 D8");
    uint32_t number = frame_of(0);

    bench.sent[number].frame.cpu = 5;
    CHECK(send(number) == 2);
    bench.log_memory = false;
    close_device();

    open_device(MODERN, 4, CTRL);
    CHECK(bench.driver->set_pairs(bench.device, 1) == RP_NET_OK);
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_EINVAL);
    EXPECT_LOG("");
    close_device();
    open_device(LEGACY, 4, MQ);
    CHECK(bench.driver->set_pairs(bench.device, 1) == RP_NET_OK);
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_EINVAL);
    EXPECT_LOG("");
    close_device();

    /* A table of three. */
    open_pairs(2, 4, INDIRECT);
    bench.log_memory = true;
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_OK);
    EXPECT_LOG("A8 A48 Wi16=4 D48 D8");
    bench.log_memory = false;
    close_device();
}

void case_set_pairs_fails(void)
{
    uint32_t live;

    open_pairs(2, 8, 0);
    live = bench.live;
    bench.no_memory = true;
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_ENOMEM);
    EXPECT_LOG("");
    bench.no_memory = false;
    bench.mute = true;
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_ETIMEDOUT);
    CHECK(bench.live == live + 1); /* the device may still answer */
    bench.mute = false;
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_OK); /* it answers both */
    CHECK(bench.live == live);
    bench.mute = true;
    CHECK(bench.driver->set_pairs(bench.device, 1) == RP_NET_ETIMEDOUT);
    CHECK(bench.driver->set_pairs(bench.device, 1) == RP_NET_ETIMEDOUT);
    CHECK(bench.live == live + 2);
    CHECK(bench.driver->set_pairs(bench.device, 1) == RP_NET_EINVAL); /* three descriptors are too many */
    CHECK(bench.live == live + 2);
    close_device(); /* with nothing left */

    open_pairs(2, 2, 0);
    live = bench.live;
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_EINVAL);
    CHECK(bench.live == live);
    close_device();
}

static uint32_t selected(uint32_t cpu, int recorded)
{
    struct rp_net_frame frame = {.cpu = cpu};

    if (recorded >= 0) {
        frame.queue_recorded = 1;
        frame.recorded_queue = (uint16_t)recorded;
    }
    return bench.driver->select_queue(bench.device, &frame);
}

void case_select(void)
{
    open_pairs(4, 4, 0);
    CHECK(selected(3, -1) == 0); /* one queue until set_pairs */
    CHECK(selected(0, 3) == 0);
    CHECK(bench.driver->set_pairs(bench.device, 3) == RP_NET_OK);
    CHECK(selected(2, -1) == 2);
    CHECK(selected(3, -1) == 0);
    CHECK(selected(UINT32_MAX, -1) == UINT32_MAX % 3);
    CHECK(selected(1, 0) == 0);
    CHECK(selected(0, 2) == 2);
    CHECK(selected(2, 3) == 0);
    CHECK(selected(0, 65534) == 65534 % 3);
    CHECK(bench.driver->set_pairs(bench.device, 1) == RP_NET_OK);
    CHECK(selected(2, 2) == 0);
    close_device();
}

void case_queues_apart(void)
{
    open_pairs(2, 4, 0);
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_OK);
    forget_log();
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t number = frame_of(0);

        bench.sent[number].frame.cpu = i > 0;
        CHECK(send(number) == (i > 0));
        EXPECT_FRAME(i > 0, number, 2, PLAIN);
    }
    EXPECT_LOG("Wi16=1 O0 S0 Wi16=3 O1 S1 Wi16=3 O2 S1");
    complete(3, 2);
    CHECK(interrupt(1) == 1);
    if (linux_3_11())
        EXPECT_LOG("Ri19=1 K1");
    else
        EXPECT_LOG("Ri19=1 F1 F2 K1");
    CHECK(statistics(0).tx_packets == 0 && statistics(0).num_free == 2);
    if (!linux_3_11())
        CHECK(statistics(1).tx_packets == 2 && statistics(1).num_free == 4);
    close_device();
}

/* -- long run -- */

static uint32_t next_random(uint32_t below)
{
    static uint32_t state = 2463534242u;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

static bool stopped(bool was)
{
    for (const char *at = bench.log; *at != '\0'; at++)
        if (at[1] == '0' && (at == bench.log || at[-1] == ' '))
            was = *at == 'S' ? true : *at == 'B' || *at == 'K' ? false : was;
    forget_log();
    return was;
}

static void long_run(uint32_t transport, uint32_t size, uint64_t features)
{
    uint32_t waiting[MOST_FRAMES], count = 0, sent = 0;
    uint64_t bytes = 0, dropped = 0;
    bool still = false;

    open_device(transport, size, features);
    bench.reuse = true;
    bench.verdict = 0;
    while (sent < 70000) {
        uint32_t choice = next_random(4);

        if (choice < 2 && !still && count < MOST_FRAMES - 1) {
            uint32_t number = frame_of(next_random(8) == 0 ? next_random(18) : next_random(3));
            uint32_t length = bench.sent[number].length;

            send(number);
            if (bench.sent[number].freed == 0) {
                waiting[count++] = number;
                bytes += length;
            } else {
                dropped += 1;
            }
            sent += 1;
        } else if (choice == 2) {
            struct device_queue *queue = &bench.queues[1];

            while (queue->read != avail_ring(1)[1]) {
                static uint8_t chain[1 << 17];
                const struct sent *first = &bench.sent[waiting[queue->held]];
                uint32_t segments, length = read_chain(1, chain, sizeof(chain), &segments);

                CHECK(segments <= size || (linux_3_11() && (features & INDIRECT) != 0));
                CHECK(length == 10 + first->length || length == 12 + first->length);
                CHECK(memcmp(chain + length - first->length, first->data, first->length) == 0);
            }
            if (queue->held > 0) {
                uint32_t done = 1 + next_random(queue->held);

                complete(1, done);
                count -= done;
                memmove(waiting, waiting + done, count * sizeof(waiting[0]));
            }
        } else if (choice == 3 && (avail_ring(1)[0] & 1) == 0) {
            CHECK(interrupt(1) >= 0);
        }
        still = stopped(still);
    }
    CHECK(avail_ring(1)[1] < 40000); /* it has wrapped */
    CHECK(statistics(0).tx_dropped == dropped);
    CHECK(statistics(0).tx_bytes <= bytes);
    CHECK(statistics(0).tx_packets + dropped <= sent);
    CHECK(dropped == 0 || linux_3_11());
    close_device();
}

void case_long_run(void)
{
    long_run(LEGACY, 64, 0);
    long_run(MODERN, 16, INDIRECT);
}
