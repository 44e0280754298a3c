/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges the frames that come on standard input, each from memory that holds its prefix and not a byte more, and
 * writes what was counted of each: for a sanitizer to watch. A frame is u64 features, u64 bytes, u32 mtu, u32 bytes of
 * its prefix, u16 sum, u8 whole, and the prefix.
 */
#include "frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool get(void *into, size_t bytes)
{
    return fread(into, 1, bytes, stdin) == bytes;
}

int main(void)
{
    uint64_t features, bytes;
    uint32_t mtu, prefix_bytes;
    uint16_t sum;
    uint8_t  whole;

    while (get(&features, 8) && get(&bytes, 8) && get(&mtu, 4) && get(&prefix_bytes, 4) && get(&sum, 2) && get(&whole, 1)) {
        uint8_t         *prefix = malloc(prefix_bytes ? prefix_bytes : 1);
        struct rpl_log  *log = calloc(1, sizeof *log);
        struct rpl_frame frame = {prefix, prefix_bytes, bytes, sum, whole};

        if (!prefix || !log || !get(prefix, prefix_bytes))
            return 2;
        rpl_frame_judge(log, features, mtu, &frame);
        rpl_features_judge(log, features, features ^ bytes);
        for (int code = 0; code < RPL_CHECKS; code++) {
            const struct rpl_tally *tally = &log->tallies[code];

            if (tally->checked)
                printf("%d:%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 " ", code, tally->checked, tally->failed, tally->a,
                       tally->b);
        }
        printf("\n");
        free(prefix);
        free(log);
    }
    return 0;
}
