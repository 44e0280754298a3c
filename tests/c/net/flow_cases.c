/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of frames: sent, dropped, copied, freed; and when queues stop and start. */
#include <string.h>

#include "bench.h"

#define PLAIN "00000000000000000000"
#define LONG  "000000000000000000000000"

/* All frames before `number` that are not completed are read by the device. */
static void read_all(uint32_t pair)
{
    static uint8_t bytes[1 << 17];
    uint32_t segments;

    while (bench.queues[2 * pair + 1].read != avail_ring(2 * pair + 1)[1])
        read_chain(2 * pair + 1, bytes, sizeof(bytes), &segments);
}

/* Sends `count` frames of two segments each. */
static void fill(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        send(frame_of(0));
    read_all(0);
    forget_log();
}

static uint16_t used_event(void)
{
    return avail_ring(1)[2 + bench.size];
}

static int interrupt(uint8_t isr)
{
    bench.isr = isr;
    return bench.driver->interrupt(bench.device);
}

void case_counts(void)
{
    struct rp_net_statistics now;

    open_device(LEGACY, 64, MRG);
    send(frame_of(0));
    send(frame_of(2));
    EXPECT_LOG("Wi16=1 O0 Wi16=1 O1");
    now = statistics(0);
    CHECK(now.tx_packets == 0 && now.tx_bytes == 0 && now.tx_dropped == 0 && now.tx_fifo_errors == 0);
    CHECK(now.num_free == 64 - 2 - 4 && now.reserved == 0);
    read_all(0);
    complete(1, 2);
    CHECK(statistics(0).tx_packets == 0); /* until the driver looks */
    send(frame_of(0));
    EXPECT_LOG("F0 F1 Wi16=1 O2");
    now = statistics(0);
    CHECK(now.tx_packets == 2);
    CHECK(now.tx_bytes == 60 + 60 + 10 + 11);
    CHECK(now.num_free == 62);
    close_device();
    /* A queue that does not exist counts nothing, and a frame for it is only freed. */
    open_device(LEGACY, 64, 0);
    CHECK(statistics(1).num_free == 0 && statistics(1).tx_packets == 0);
    bench.driver->transmit(bench.device, 1, &bench.sent[frame_of(0)].frame);
    EXPECT_LOG("F0");
    close_device();
}

void case_dropped(void)
{
    struct rp_net_statistics now;

    open_device(LEGACY, 64, 0);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t number = frame_of(0);

        bench.sent[number].frame.gso = RP_NET_GSO_UNKNOWN;
        send(number);
    }
    EXPECT_LOG("F0 F1");
    now = statistics(0);
    CHECK(now.tx_packets == 0 && now.tx_bytes == 0 && now.tx_dropped == 2 && now.tx_fifo_errors == 2);
    CHECK(now.num_free == 64);
    send(frame_of(0));
    EXPECT_LOG("Wi16=1 O2");
    EXPECT_FRAME(0, 2, 2, PLAIN);
    close_device();
}

void case_refused(void)
{
    uint32_t live;

    open_device(LEGACY, 4, 0);
    fill(2);
    CHECK(statistics(0).num_free == 0);
    send(frame_of(0));           /* which the stack would not: the queue is stopped */
    EXPECT_LOG("Wi16=1 F2");     /* a full ring is met with a notification */
    CHECK(statistics(0).tx_dropped == 1 && statistics(0).tx_fifo_errors == 1);
    for (uint32_t i = 0; i < 8; i++)
        send(frame_of(0));
    CHECK(statistics(0).tx_dropped == 9);
    complete(1, 2);
    forget_log();
    send(frame_of(0));
    EXPECT_LOG("F0 F1 Wi16=1 O11 S0");
    close_device();

    if (linux_3_11())
        return;
    open_device(MODERN, 4, 0);
    live = bench.live;
    for (uint32_t i = 0; i < 5; i++)
        send(frame_of(5));
    CHECK(bench.sent[4].freed == 1);
    CHECK(bench.live == live + 4);
    CHECK(statistics(0).tx_dropped == 1);
    close_device();
}

/* A frame with data in a packet of a packet of its list, and behind it. */
static uint32_t nested(void)
{
    struct rp_net_packet *inner = packet(5), *middle = packet(0), *outer = packet(60);

    fragment(inner, 4000, 96);
    fragment(outer, 1, 2);
    append(middle, inner);
    append(outer, middle);
    append(outer, packet(0));
    append(outer, packet(4));
    return frame(outer);
}

void case_too_long_for_ring(void)
{
    uint32_t number;

    /* Header and copy. */
    open_device(LEGACY, 4, 0);
    send(number = frame_of(2));
    EXPECT_FRAME(0, number, 4, PLAIN);
    complete(1, 1);
    send(number = frame_of(3));
    if (linux_3_11()) {
        CHECK(bench.sent[number].freed == 1);
        CHECK(statistics(0).tx_dropped == 1);
    } else {
        EXPECT_FRAME(0, number, 2, PLAIN);
        CHECK(bench.last_alignment == 64);
    }
    close_device();

    /* A table may be longer than the ring for linux-3.11 only. */
    open_device(LEGACY, 4, INDIRECT);
    send(number = frame_of(17));
    EXPECT_FRAME(0, number, linux_3_11() ? 19 : 2, PLAIN);
    CHECK(statistics(0).num_free == 3);
    close_device();

    /* All in one. */
    open_device(MODERN, 1, 0);
    send(number = frame_of(0));
    if (!linux_3_11()) {
        EXPECT_FRAME(0, number, 1, LONG);
        complete(1, 1);
        send(number = frame_of(17));
        EXPECT_FRAME(0, number, 1, LONG);
        complete(1, 1);
        send(number = nested());
        EXPECT_FRAME(0, number, 1, LONG);
    }
    CHECK(statistics(0).tx_dropped == linux_3_11());
    close_device();

    open_device(LEGACY, 2, MRG);
    send(number = frame_of(1));
    if (!linux_3_11())
        EXPECT_FRAME(0, number, 2, LONG);
    close_device();

    /* No memory: the header is there, the frame is dropped. */
    open_device(LEGACY, 4, 0);
    bench.no_memory = true;
    forget_log();
    send(number = frame_of(3));
    EXPECT_LOG("F0");
    CHECK(statistics(0).tx_dropped == 1);
    CHECK(bench.sent[number].control[0] == 0 && bench.sent[number].control[10] == 0xa5);
    close_device();
}

void case_copies(void)
{
    if (linux_3_11())
        return; /* it makes none: too_long_for_ring */
    open_device(LEGACY, 8, 0);
    bench.log_memory = true;
    send(frame_of(7)); /* 60 + 10 + ... + 16 bytes, in 2 descriptors */
    EXPECT_LOG("A151 Wi16=1 O0 S0");
    read_all(0);
    complete(1, 1);
    send(frame_of(0));
    EXPECT_LOG("D151 F0 Wi16=1 O1 S0");
    CHECK(statistics(0).tx_bytes == 151);
    send(frame_of(7));
    forget_log();
    bench.log_memory = false;
    bench.driver->set_pairs(bench.device, 1);
    bench.log_memory = true;
    CHECK(statistics(0).num_free == 4);
    send(frame_of(7));
    send(frame_of(7));
    EXPECT_LOG("A151 Wi16=1 O3 S0 A151 Wi16=1 O4 S0");
    send(frame_of(7)); /* the ring is full */
    EXPECT_LOG("A151 Wi16=1 D151 F5");
    bench.driver->remove(bench.device);
    bench.device = NULL;
    CHECK(strstr(bench.log, "F1 D151 F2 D151 F3 D151 F4") != NULL);
    check_nothing_held();

    open_device(MODERN, 8, 0);
    bench.log_memory = true;
    send(frame_of(7));
    EXPECT_LOG("A163 Wn16=1 O0 S0");
    close_device();
}

void case_stop(void)
{
    open_device(LEGACY, 64, EVENT);
    fill(22);
    CHECK(statistics(0).num_free == 20);
    send(frame_of(0));
    CHECK(statistics(0).num_free == 18);
    EXPECT_LOG("O22 S0"); /* avail_event is 0: the device wants no notification now */
    CHECK(used_event() == 17); /* three quarters of 23 */
    CHECK(avail_ring(1)[0] == 0);
    close_device();

    open_device(LEGACY, 64, 0);
    fill(21);
    send(frame_of(1));
    CHECK(statistics(0).num_free == 19);
    EXPECT_LOG("Wi16=1 O21");
    close_device();
}

void case_stop_small(void)
{
    for (uint32_t size = 2; size <= 16; size *= 2) {
        open_device(LEGACY, size, 0);
        send(frame_of(0));
        EXPECT_LOG("Wi16=1 O0 S0");
        read_all(0);
        complete(1, 1);
        CHECK(interrupt(1) == 1);
        if (linux_3_11())
            EXPECT_LOG("Ri19=1 K0");
        else
            EXPECT_LOG("Ri19=1 F0 K0");
        CHECK((avail_ring(1)[0] & 1) == 1);
        close_device();
    }
}

void case_second_look(void)
{
    open_device(LEGACY, 64, 0);
    fill(22);
    bench.eager = true;
    send(frame_of(0));
    EXPECT_LOG("Wi16=1 O22 S0 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 B0");
    CHECK(statistics(0).tx_packets == 23);
    CHECK(statistics(0).num_free == 64);
    CHECK(avail_ring(1)[0] == 1); /* no interrupt is needed */
    close_device();

    /* All is free again, but linux-3.11 wants 19 descriptors where there are 16. */
    open_device(LEGACY, 16, 0);
    bench.eager = true;
    send(frame_of(0));
    if (linux_3_11())
        EXPECT_LOG("Wi16=1 O0 S0 F0");
    else
        EXPECT_LOG("Wi16=1 O0 S0 F0 B0");
    CHECK(avail_ring(1)[0] == !linux_3_11());
    close_device();
}

void case_wake(void)
{
    open_device(LEGACY, 64, 0);
    fill(23);
    complete(1, 1);
    CHECK(interrupt(1) == 1);
    if (linux_3_11())
        EXPECT_LOG("Ri19=1 K0");
    else
        EXPECT_LOG("Ri19=1 F0 K0");
    CHECK(avail_ring(1)[0] == 1);
    CHECK(statistics(0).num_free == (linux_3_11() ? 18 : 20));
    close_device();

    open_device(MODERN, 64, 0);
    fill(23);
    complete(1, 23);
    CHECK(interrupt(1) == 1);
    CHECK(position("K0") == (linux_3_11() ? 1 : 24));
    close_device();
}

void case_wake_later(void)
{
    open_device(LEGACY, 64, 0);
    fill(22);
    send(frame_of(17));
    CHECK(statistics(0).num_free == 1);
    EXPECT_LOG("Wi16=1 O22 S0");
    read_all(0);
    complete(1, 1);
    CHECK(interrupt(1) == 1);
    if (linux_3_11()) {
        EXPECT_LOG("Ri19=1 K0");
        CHECK(avail_ring(1)[0] == 1);
    } else {
        EXPECT_LOG("Ri19=1 F0");
        CHECK(statistics(0).num_free == 3);
        CHECK(avail_ring(1)[0] == 0); /* the next interrupt will come */
        complete(1, 8);
        CHECK(interrupt(1) == 1);
        EXPECT_LOG("Ri19=1 F1 F2 F3 F4 F5 F6 F7 F8 K0");
        CHECK(statistics(0).num_free == 19);
        CHECK(avail_ring(1)[0] == 1);
    }
    close_device();

    if (linux_3_11())
        return;
    open_device(LEGACY, 64, EVENT);
    fill(22);
    send(frame_of(17));
    read_all(0);
    CHECK(used_event() == 17);
    complete(1, 3);
    forget_log();
    CHECK(interrupt(1) == 1);
    EXPECT_LOG("Ri19=1 F0 F1 F2");
    CHECK(used_event() == 3 + 15); /* three quarters of 20 */
    close_device();
}

void case_kicks(void)
{
    open_device(LEGACY, 64, 0);
    used_ring(1)[0] = 1;
    send(frame_of(0));
    EXPECT_LOG("O0");
    used_ring(1)[0] = 0;
    send(frame_of(0));
    EXPECT_LOG("Wi16=1 O1");
    close_device();

    open_device(MODERN, 64, EVENT);
    send(frame_of(0)); /* avail_event is 0 */
    EXPECT_LOG("Wn16=1 O0");
    send(frame_of(0));
    EXPECT_LOG("O1");
    used_ring(1)[2 + 4 * 64] = 2;
    send(frame_of(0));
    EXPECT_LOG("Wn16=1 O2");
    close_device();
}

void case_indirect(void)
{
    open_device(LEGACY, 64, INDIRECT);
    bench.log_memory = true;
    send(frame_of(3));
    EXPECT_LOG("A80 Wi16=1 O0");
    EXPECT_FRAME(0, 0, 5, PLAIN);
    CHECK(statistics(0).num_free == 63);
    bench.no_memory = true;
    send(frame_of(3));
    EXPECT_LOG("Wi16=1 O1");
    EXPECT_FRAME(0, 1, 5, PLAIN);
    CHECK(statistics(0).num_free == 58);
    bench.no_memory = false;
    complete(1, 1);
    send(frame_of(1));
    EXPECT_LOG("D80 F0 A48 Wi16=1 O2");
    bench.driver->remove(bench.device);
    bench.device = NULL;
    CHECK(strstr(bench.log, "D48 F2") != NULL);
    check_nothing_held();
}

void case_in_flight(void)
{
    open_device(LEGACY, 64, 0);
    fill(3);
    complete(1, 1); /* used, but nobody looked */
    bench.driver->remove(bench.device);
    bench.device = NULL;
    EXPECT_LOG("Wi18=0 Ri18=0 F0 F1 F2 Wi14=0 Wi8=0 Wi14=1 Wi8=0 Ri18=0 Wi18=1");
    check_nothing_held();

    /* By head, of one queue after the other. */
    prepare(MODERN, CTRL | MQ | INDIRECT);
    bench.max_pairs = 2;
    bench.size = 64;
    CHECK(probe() == RP_NET_OK);
    CHECK(bench.driver->set_pairs(bench.device, 2) == RP_NET_OK);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t number = frame_of(i);

        bench.sent[number].frame.cpu = i < 2;
        CHECK(send(number) == (i < 2));
    }
    forget_log();
    bench.driver->remove(bench.device);
    bench.device = NULL;
    EXPECT_LOG("Wc20=0 Rc20=0 F2 F3 F0 F1 Rc20=0 Wc20=1");
    check_nothing_held();
}

void case_remove_stuck(void)
{
    uint32_t live, live_private;

    if (linux_3_11())
        open_device(MODERN, 64, 0);
    else
        open_device(LEGACY, 64, 0);
    fill(2);
    live = bench.live;
    live_private = bench.live_private;
    bench.reset_reads = 1000;
    bench.driver->remove(bench.device);
    CHECK(position("F0") < 0 && position("Wi14=0") < 0);
    CHECK(position(linux_3_11() ? "Wc20=1" : "Wi18=1") < 0);
    CHECK(bench.sent[0].freed == 0 && bench.sent[1].freed == 0);
    CHECK(bench.live == live && bench.live_private == live_private);
    CHECK(bench.queues[1].read == 0); /* forgotten by the reset */
}
