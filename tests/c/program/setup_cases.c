/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "environment.h"

void case_layout(void)
{
    /* Computed by hand: available ring, used ring, whole block. */
    static const struct {
        uint32_t queue_size;
        enum rp_layout layout;
        uint32_t avail, used, bytes;
    } rows[] = {
        {1, RP_LAYOUT_LEGACY, 16, 4096, 4110},
        {2, RP_LAYOUT_LEGACY, 32, 4096, 4118},
        {4, RP_LAYOUT_LEGACY, 64, 4096, 4134},
        {128, RP_LAYOUT_LEGACY, 2048, 4096, 5126},
        {256, RP_LAYOUT_LEGACY, 4096, 8192, 10246},
        {32768, RP_LAYOUT_LEGACY, 524288, 593920, 856070},
        {1, RP_LAYOUT_MODERN, 16, 24, 38},
        {2, RP_LAYOUT_MODERN, 32, 44, 66},
        {4, RP_LAYOUT_MODERN, 64, 80, 118},
        {256, RP_LAYOUT_MODERN, 4096, 4616, 6670},
        {32768, RP_LAYOUT_MODERN, 524288, 589832, 851982},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        prepare(rows[i].queue_size, 0, rows[i].layout);
        open_queue(rows[i].queue_size, 0);
        CHECK(bench.parts.avail - bench.parts.desc == rows[i].avail);
        CHECK(bench.parts.used - bench.parts.desc == rows[i].used);
        CHECK(bench.first_bytes == rows[i].bytes);
        CHECK(bench.parts.desc % (rows[i].layout == RP_LAYOUT_LEGACY ? 4096 : 64) == 0);
        CHECK(bench.driver->num_free(bench.queue) == rows[i].queue_size);
        close_queue();
    }
}

static void check_zero_but(uint32_t queue_size, uint16_t flags)
{
    const uint8_t *bytes = (const uint8_t *)bench.desc;
    size_t avail = bench.parts.avail - bench.parts.desc;

    CHECK(avail_flags() == flags);
    for (uint32_t i = 0; i < queue_size; i++)
        CHECK(bench.desc[i].next == (i + 1 < queue_size ? i + 1 : 0));
    for (size_t i = 0; i < bench.first_bytes; i++) {
        bool next = i < 16 * queue_size && i % 16 >= offsetof(struct desc, next);

        if (!next && i != avail)
            CHECK(bytes[i] == 0);
    }
}

void case_initial_bytes(void)
{
    for (uint32_t n = 1; n <= 64; n *= 8) {
        for (uint64_t features = 0; features <= EVENT; features += EVENT) {
            open_queue(n, features);
            check_zero_but(n, 0);
            close_queue();

            prepare(n, features, RP_LAYOUT_MODERN);
            bench.env.has_callback = 0;
            open_queue(n, features);
            check_zero_but(n, linux_3_11() || features == 0 ? 1 : 0);
            close_queue();
        }
    }
}

static void refused(int error)
{
    CHECK(bench.driver->create(&bench.env, &bench.parts, &bench.queue) == error);
    CHECK(bench.queue == NULL);
    CHECK(bench.live == 0);
    CHECK(bench.live_private == 0);
}

void case_bad_arguments(void)
{
    static const uint32_t sizes[] = {0, 3, 6, 65536, 65535, 0x80000000u, 0xffffffffu};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        prepare(sizes[i], 0, RP_LAYOUT_LEGACY);
        refused(RP_EINVAL);
    }
    prepare(4, UINT64_C(1) << 34, RP_LAYOUT_LEGACY);
    refused(RP_EINVAL);
    prepare(4, 1, RP_LAYOUT_LEGACY);
    refused(RP_EINVAL);
    prepare(4, 0, RP_LAYOUT_LEGACY);
    bench.env.layout = 2;
    refused(RP_EINVAL);
    prepare(4, 0, RP_LAYOUT_LEGACY);
    bench.env.abi_version = RP_ABI_VERSION + 1;
    refused(RP_EINVAL);
    prepare(4, 0, RP_LAYOUT_LEGACY);
    bench.env.size -= 1;
    refused(RP_EINVAL);
    prepare(4, 0, RP_LAYOUT_LEGACY);
    CHECK(bench.driver->create(NULL, &bench.parts, &bench.queue) == RP_EINVAL);
    CHECK(bench.driver->create(&bench.env, NULL, &bench.queue) == RP_EINVAL);
    CHECK(bench.driver->create(&bench.env, &bench.parts, NULL) == RP_EINVAL);
}

static void *no_private(void *context, size_t bytes)
{
    (void)context;
    (void)bytes;
    return NULL;
}

void case_no_memory(void)
{
    prepare(8, 0, RP_LAYOUT_LEGACY);
    bench.out_of_memory = true;
    refused(RP_ENOMEM);
    prepare(8, 0, RP_LAYOUT_LEGACY);
    bench.env.allocate_private = no_private;
    refused(RP_ENOMEM);
}
