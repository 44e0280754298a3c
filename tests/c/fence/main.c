/* SPDX-License-Identifier: Apache-2.0 */
/* The device completes frames while the driver enables its callback: after it looked whether there is room,
 * and before it looks whether the callback would come too late. */
#include "bench.h"

/* At the so many-th full fence from now, 0 for never, so many frames are completed. */
static struct {
    uint32_t fence, frames;
} pending;

void at_fence(int order)
{
    if (order == __ATOMIC_SEQ_CST && pending.fence > 0 && --pending.fence == 0)
        complete(1, pending.frames);
}

static void read_all(void)
{
    static uint8_t bytes[1 << 17];
    uint32_t segments;

    while (bench.queues[1].read != avail_ring(1)[1])
        read_chain(1, bytes, sizeof(bytes), &segments);
}

static void fill(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        send(frame_of(0));
    read_all();
    forget_log();
}

static int interrupt(void)
{
    bench.isr = 1;
    return bench.driver->interrupt(bench.device);
}

/* start_xmit: fences are kick_prepare's and enable_cb_delayed's. */
static void from_transmit(void)
{
    for (uint32_t frames = 16; frames <= 18; frames++) {
        open_device(LEGACY, 64, 0);
        fill(22);
        used_ring(1)[0] = 1;
        pending.fence = 2;
        pending.frames = frames;
        send(frame_of(0));
        CHECK(pending.fence == 0);
        CHECK((position("B0") > 0) == (frames == 18)); /* more than three quarters of 23 */
        CHECK(statistics(0).tx_packets == (frames == 18 ? 18 : 0));
        CHECK(avail_ring(1)[0] == (frames == 18));
        close_device();
    }
}

/* skb_xmit_done in virtio-1.x. */
static void from_interrupt(void)
{
    for (uint32_t frames = 16; frames <= 17; frames++) {
        open_device(LEGACY, 64, 0);
        fill(22);
        send(frame_of(17));
        read_all();
        forget_log();
        complete(1, 1);
        pending.fence = 1;
        pending.frames = frames;
        CHECK(interrupt() == 1);
        CHECK(pending.fence == 0);
        CHECK(position("F0") == 1);
        CHECK((position("K0") == 1 + 18) == (frames == 17)); /* more than three quarters of 22 */
        CHECK((position("K0") > 0) == (frames == 17));
        CHECK(avail_ring(1)[0] == (frames == 17));
        if (frames == 16) { /* the interrupt that was asked for comes */
            CHECK(interrupt() == 1);
            CHECK(position("K0") > 0);
        }
        close_device();
    }
}

int main(void)
{
    from_transmit();
    if (!linux_3_11())
        from_interrupt();
    return 0;
}
