/* SPDX-License-Identifier: Apache-2.0 */
/* Built with RP_VQ_SWAP set: the driver then behaves as on a machine of the other byte order, where VERSION_1
 * asks for swapped words and a legacy ring does not. */
#include <string.h>

#include "environment.h"

static uint16_t swapped16(uint16_t word)
{
    return (uint16_t)(word << 8 | word >> 8);
}

static uint32_t swapped32(uint32_t word)
{
    return (uint32_t)swapped16((uint16_t)word) << 16 | swapped16((uint16_t)(word >> 16));
}

static uint64_t swapped64(uint64_t word)
{
    return (uint64_t)swapped32((uint32_t)word) << 32 | swapped32((uint32_t)(word >> 32));
}

int main(void)
{
    uint32_t id = swapped32(0), length = swapped32(0x01020304);

    open_queue(8, RP_F_VERSION_1 | EVENT);
    CHECK(bench.desc[0].next == swapped16(1));
    CHECK(add(1, 2, 1) == RP_OK);
    CHECK(add(1, 0, 2) == RP_OK);
    CHECK(bench.desc[0].addr == swapped64(segment_address(0)));
    CHECK(bench.desc[1].len == swapped32(segment_length(1)));
    CHECK(bench.desc[1].flags == swapped16(NEXT | WRITE));
    CHECK(bench.avail[2] == 0);
    CHECK(bench.avail[3] == swapped16(3));
    CHECK(avail_idx() == swapped16(2));
    *avail_event() = swapped16(1);
    bench.driver->kick(bench.queue);
    CHECK(bench.notified == 1);
    *avail_event() = swapped16(2);
    bench.driver->kick(bench.queue);
    CHECK(bench.notified == 1);
    memcpy(&bench.used[2], &id, sizeof(id));
    memcpy(&bench.used[4], &length, sizeof(length));
    bench.used[1] = swapped16(1);
    expect(1, 0x01020304);
    CHECK(*used_event() == swapped16(1));
    CHECK(bench.driver->num_free(bench.queue) == 7);
    CHECK(bench.desc[2].next == swapped16(4));
    expect_none(0);
    close_queue();

    open_queue(8, EVENT);
    CHECK(bench.desc[0].next == 1);
    CHECK(add(1, 0, 1) == RP_OK);
    CHECK(avail_idx() == 1);
    CHECK(bench.desc[0].addr == segment_address(0));
    close_queue();
    return 0;
}
