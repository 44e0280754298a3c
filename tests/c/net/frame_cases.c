/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes a frame becomes: its segments and its header. */
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define PLAIN "00000000000000000000"

static void passes(struct rp_net_packet *data, uint32_t segments)
{
    uint32_t number = frame(data);

    CHECK(send(number) == 0);
    CHECK(bench.sent[number].freed == 0);
    CHECK(statistics(0).num_free == bench.size - segments); /* of all others it has got rid now */
    EXPECT_FRAME(0, number, segments, PLAIN);
    complete(1, 1);
}

/* The frame is dropped, and nothing was written before. */
static void drops(uint32_t number)
{
    struct rp_net_statistics before = statistics(0);
    uint16_t avail_idx = avail_ring(1)[1];
    char expected[16];

    send(number); /* may reclaim others, too */
    snprintf(expected, sizeof(expected), "F%u", number);
    CHECK(position(expected) >= 0);
    CHECK(bench.sent[number].freed == 1);
    for (size_t i = 0; i < RP_NET_CONTROL_BYTES; i++)
        CHECK(bench.sent[number].control[i] == 0xa5);
    CHECK(avail_ring(1)[1] == avail_idx);
    CHECK(statistics(0).tx_dropped == before.tx_dropped + 1);
    CHECK(statistics(0).tx_fifo_errors == before.tx_fifo_errors + 1);
    forget_log();
}

static struct rp_net_packet *with(struct rp_net_packet *self, struct rp_net_packet *following)
{
    append(self, following);
    return self;
}

static struct rp_net_packet *fragmented(uint32_t head, uint32_t fragments)
{
    struct rp_net_packet *self = packet(head);

    for (uint32_t i = 0; i < fragments; i++)
        fragment(self, 4096 - 33 * (i + 1), 20 + i % 13);
    return self;
}

/* -- segments -- */

void case_shapes(void)
{
    struct rp_net_packet *data;

    open_device(LEGACY, 64, 0);
    passes(packet(1), 2);
    passes(fragmented(60, 1), 3);
    passes(fragmented(60, 17), 19);
    passes(fragmented(0, 3), 4);
    data = packet(14);
    fragment(data, 0, 0);
    fragment(data, 4096, 0);
    fragment(data, 7, 9);
    fragment(data, 0, 0);
    fragment(data, 0, 4096);
    fragment(data, 5, 0);
    passes(data, 4);
    /* Lists: of one, of several, nested, empty packets between and behind. */
    passes(with(packet(60), packet(61)), 3);
    passes(with(with(fragmented(60, 2), fragmented(30, 1)), packet(5)), 7);
    passes(with(packet(60), with(packet(7), with(fragmented(8, 2), packet(9)))), 7);
    passes(with(with(packet(60), with(packet(7), fragmented(0, 2))), fragmented(8, 1)), 7);
    passes(with(with(with(packet(60), packet(0)), with(packet(0), packet(0))), packet(3)), 3);
    passes(with(packet(0), with(packet(0), packet(11))), 2);
    passes(with(with(packet(1), packet(1)), packet(0)), 3);
    /* More than 17 fragments, but not in one packet. */
    passes(with(fragmented(0, 9), fragmented(0, 9)), 19);
    close_device();
}

void case_head_across_pages(void)
{
    open_device(LEGACY, 64, 0);
    bench.next_address |= 0xff0;
    passes(packet(10000), 2);
    passes(packet(65550), 2);
    close_device();
}

void case_stale_list(void)
{
    open_device(LEGACY, 64, 0);
    passes(fragmented(60, 17), 19);
    passes(fragmented(60, 2), 4);
    passes(packet(60), 2);
    passes(fragmented(60, 5), 7);
    passes(fragmented(60, 17), 19);
    close_device();
}

void case_most_pieces(void)
{
    struct rp_net_packet *data = NULL;

    open_device(LEGACY, 64, 0);
    passes(with(fragmented(60, 16), packet(1)), 19);
    drops(frame(with(fragmented(60, 17), packet(1))));
    drops(frame(with(fragmented(0, 17), with(packet(1), packet(1)))));
    drops(frame(fragmented(0, 18)));
    drops(frame(with(packet(60), with(packet(0), fragmented(0, 18)))));
    data = packet(60); /* empty fragments are fragments, too */
    for (uint32_t i = 0; i < 18; i++)
        fragment(data, 0, 0);
    drops(frame(data));
    close_device();
}

void case_deep_lists(void)
{
    struct rp_net_packet *data;
    uint32_t number;

    for (uint32_t depth = 64; depth <= 65; depth++) {
        open_device(LEGACY, 64, 0);
        data = packet(60);
        for (uint32_t i = 0; i < depth; i++)
            data = with(packet(i % 16 == 0 ? 5 : 0), data);
        if (depth == 64)
            passes(data, 6);
        else
            drops(frame(data));
        close_device();
    }

    /* Lists that come back to themselves: in depth, and in breadth. */
    for (uint32_t i = 0; i < 2; i++) {
        open_device(LEGACY, 64, 0);
        data = packet(0);
        number = frame(with(packet(60), data));
        bench.cut = i == 0 ? &data->list : &data->next;
        *bench.cut = data;
        drops(number);
        close_device();
    }
}

static void dropped_at_last(uint32_t number)
{
    send(number);
    CHECK(bench.sent[number].freed == 1);
    CHECK(statistics(0).tx_dropped == 1);
    CHECK(avail_ring(1)[1] == 0);
    close_device();
}

void case_wrong_length(void)
{
    for (uint32_t fragments = 0; fragments <= 3; fragments += 3) { /* on a ring of 4: mapped, copied */
        struct rp_net_packet *data;
        uint32_t number;

        open_device(LEGACY, 4, 0);
        data = fragmented(60, fragments);
        number = frame(data);
        data->length += 1;
        dropped_at_last(number);

        open_device(LEGACY, 4, 0);
        data = fragmented(60, fragments);
        number = frame(data);
        data->length = UINT32_MAX;
        dropped_at_last(number);

        open_device(MODERN, 4, 0);
        data = with(fragmented(60, fragments), packet(10));
        number = frame(data);
        ((struct rp_net_packet *)(uintptr_t)data->list)->length = 9;
        data->length = UINT32_MAX;
        dropped_at_last(number);

        open_device(LEGACY, 4, 0);
        data = fragmented(60, fragments);
        number = frame(data);
        data->length = 0;
        dropped_at_last(number);
    }
    open_device(LEGACY, 64, 0);
    drops(frame(with(packet(0), packet(0))));
    close_device();
}

/* -- headers -- */

void case_plain_header(void)
{
    for (uint32_t transport = LEGACY; transport <= MODERN; transport++) {
        for (uint32_t mrg = 0; mrg <= 1; mrg++) {
            bool longer = mrg || (transport == MODERN && !linux_3_11());
            uint32_t number;

            open_device(transport, 64, OFFLOADS | (mrg ? MRG : 0));
            number = frame_of(1);
            /* Without their flags these mean nothing. */
            bench.sent[number].frame.csum_start = 0x1234;
            bench.sent[number].frame.csum_offset = 0x1234;
            bench.sent[number].frame.gso_size = 0x1234;
            send(number);
            EXPECT_FRAME(0, number, 3, longer ? "000000000000000000000000" : PLAIN);
            complete(1, 1);
            /* The rest of the control block stays as it was. */
            CHECK(((uint8_t *)bench.sent[number].frame.control)[longer ? 12 : 10] == 0xa5);
            close_device();
        }
    }
}

static struct rp_net_frame *offloading(uint32_t number, uint8_t gso, uint8_t ecn)
{
    struct rp_net_frame *self = &bench.sent[number].frame;

    self->checksum = 1;
    self->csum_start = 34;
    self->csum_offset = 0x0110;
    self->gso = gso;
    self->gso_size = gso != RP_NET_GSO_NONE ? 1448 : 0;
    self->ecn = ecn;
    return self;
}

static void offloads(uint32_t head, uint8_t gso, uint8_t ecn, const char *header)
{
    uint32_t number = frame(with(packet(head), packet(3000)));

    offloading(number, gso, ecn);
    send(number);
    EXPECT_FRAME(0, number, 3, header);
    complete(1, 1);
}

void case_offload_headers(void)
{
    open_device(LEGACY, 64, OFFLOADS);
    offloads(60, RP_NET_GSO_NONE, 0, "01000000000022001001");
    offloads(54, RP_NET_GSO_TCPV4, 0, "01013600a80522001001");
    offloads(54, RP_NET_GSO_TCPV4, 1, "01813600a80522001001");
    offloads(74, RP_NET_GSO_TCPV6, 0, "01044a00a80522001001");
    offloads(74, RP_NET_GSO_TCPV6, 1, "01844a00a80522001001");
    offloads(42, RP_NET_GSO_UDP, 0, "01032a00a80522001001");
    offloads(513, RP_NET_GSO_UDP, 0, "01030102a80522001001");
    /* hdr_len has 16 bits. */
    offloads(65535, RP_NET_GSO_TCPV4, 0, "0101ffffa80522001001");
    offloads(65550, RP_NET_GSO_TCPV4, 0, linux_3_11() ? "01010e00a80522001001" : "0101ffffa80522001001");
    close_device();
    open_device(LEGACY, 64, OFFLOADS | MRG);
    offloads(54, RP_NET_GSO_TCPV4, 1, "01813600a805220010010000");
    close_device();
}

/* What virtio-1.x drops and linux-3.11 sends, with this header. */
static void unfit(uint32_t number, const char *header)
{
    if (linux_3_11()) {
        send(number);
        EXPECT_FRAME(0, number, 2, header);
        complete(1, 1);
    } else {
        drops(number);
    }
}

static void without(uint64_t feature, uint8_t gso, uint8_t ecn, const char *header)
{
    uint32_t number;

    open_device(LEGACY, 64, OFFLOADS & ~feature);
    number = frame_of(0);
    offloading(number, gso, ecn);
    unfit(number, header);
    close_device();
}

void case_unfit_offloads(void)
{
    static const uint8_t unknown[] = {RP_NET_GSO_UNKNOWN, 5, 255};
    uint32_t number;

    open_device(LEGACY, 64, OFFLOADS);
    for (size_t i = 0; i < sizeof(unknown); i++) {
        number = frame_of(0);
        offloading(number, unknown[i], 0);
        drops(number); /* in either profile */
    }
    number = frame_of(0);
    offloading(number, RP_NET_GSO_TCPV4, 0)->checksum = 0;
    unfit(number, "00013c00a80500000000");
    number = frame_of(0);
    offloading(number, RP_NET_GSO_TCPV4, 0)->gso_size = 0;
    unfit(number, "01013c00000022001001");
    number = frame_of(0);
    offloading(number, RP_NET_GSO_UDP, 1);
    unfit(number, "01833c00a80522001001");
    number = frame_of(0);
    offloading(number, RP_NET_GSO_NONE, 1);
    unfit(number, "01000000000022001001");
    close_device();

    without(CSUM, RP_NET_GSO_NONE, 0, "01000000000022001001");
    without(TSO4, RP_NET_GSO_TCPV4, 0, "01013c00a80522001001");
    without(TSO6, RP_NET_GSO_TCPV6, 0, "01043c00a80522001001");
    without(UFO, RP_NET_GSO_UDP, 0, "01033c00a80522001001");
    without(ECN, RP_NET_GSO_TCPV4, 1, "01813c00a80522001001");
}
