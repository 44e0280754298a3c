/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records, cuts and takes at random, for a sanitizer to watch: `stress SEED STEPS KEEP`. Each segment it takes is read
 * through: it begins with a checkpoint, its records fill it exactly, and with KEEP none is missing.
 */
#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t any(uint32_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % below;
}

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

static void carry(void *context, struct rpl_recorder *recorder)
{
    static uint8_t bytes[600000];

    (void)context;
    for (uint32_t i = any(4) == 0 ? any(20) : 1; i > 0; i--) {
        rpl_record_begin(recorder, RPL_QUEUE_STATE, 1);
        rpl_put(recorder, bytes, any(sizeof bytes));
        rpl_record_end(recorder);
    }
}

/* The number of its last record, 0 if it is no segment; *first that of its first. */
static uint64_t read_segment(const uint8_t *at, size_t bytes, uint64_t *first)
{
    size_t   place = 0;
    uint64_t number = 0;
    bool     inside = false;

    while (place + 8 <= bytes) {
        size_t length = get(at + place + 2, 2), head = 8;

        if (length == 0xffff) {
            length = get(at + place + 4, 4);
            head = 12;
        }
        if (length > bytes - place - head || (place == 0) != (at[place] == RPL_CHECKPOINT))
            return 0;
        if (place == 0) {
            *first = number = get(at + head, 8);
            inside = true;
        } else if (at[place] == RPL_CHECKPOINT_END) {
            inside = false;
        } else if (!inside) {
            number++;
        }
        place += head + length;
    }
    return place == bytes && !inside ? number - 1 : 0;
}

int main(int count, char **words)
{
    static struct rpl_log log;
    static uint8_t        bytes[1100000];
    struct rpl_recorder   recorder;
    bool                  keep;
    uint64_t              expected = 1, first = 0, last;
    uint32_t              segments = 0;

    if (count != 4)
        return 2;
    state = strtoull(words[1], NULL, 10);
    keep = words[3][0] == '1';
    if (!rpl_recorder_init(&recorder, &log, (size_t)4 << 20, keep, carry, NULL))
        return 2;
    for (long step = strtol(words[2], NULL, 10); step > 0; step--) {
        recorder.now += any(5);
        rpl_record_begin(&recorder, (enum rpl_kind)(RPL_STATUS + any(12)), (uint8_t)any(16));
        rpl_put64(&recorder, any(1000));
        if (any(3) == 0)
            rpl_put(&recorder, bytes, any(any(40) == 0 ? sizeof bytes : 300));
        rpl_record_end(&recorder);
        if (any(200) == 0)
            rpl_record_cut(&recorder);
        if (any(keep ? 20 : 300) == 0) {
            const uint8_t *segment;
            size_t         size;

            while ((segment = rpl_record_segment(&recorder, 0, &size))) {
                last = read_segment(segment, size, &first);
                if (last == 0 || (keep && first != expected) || first < expected) {
                    printf("segment %u: records %llu to %llu, not from %llu\n", segments, (unsigned long long)first,
                           (unsigned long long)last, (unsigned long long)expected);
                    return 1;
                }
                expected = last + 1;
                segments++;
                rpl_record_taken(&recorder);
            }
        }
    }
    printf("%u segments, %llu records\n", segments, (unsigned long long)log.records);
    rpl_recorder_free(&recorder);
    return segments > 2 ? 0 : 3;
}
