/* SPDX-License-Identifier: Apache-2.0 */
#include "environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_OFFSET UINT64_C(0x5a0000000000) /* guest-physical address minus pointer */
#define MAX_SEGMENTS 600

struct bench bench;

static struct rp_segment segments[MAX_SEGMENTS];

_Noreturn void fail(const char *file, int line, const char *what)
{
    const char *name = strrchr(file, '/');

    printf("%s:%d: does not hold: %s\n", name != NULL ? name + 1 : file, line, what);
    exit(1);
}

void *at(uint64_t address)
{
    return (void *)(uintptr_t)(address - GUEST_OFFSET);
}

static void *allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    void *memory = NULL;

    CHECK(context == &bench);
    if (bench.out_of_memory)
        return NULL;
    if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes) != 0)
        return NULL;
    memset(memory, 0xa5, bytes); /* contents are arbitrary */
    if (bench.allocations == 0)
        bench.first_bytes = (uint32_t)bytes;
    bench.allocations += 1;
    bench.live += (unsigned int)bytes;
    *address = (uint64_t)(uintptr_t)memory + GUEST_OFFSET;
    return memory;
}

static void release(void *context, void *memory, size_t bytes)
{
    CHECK(context == &bench);
    bench.live -= (unsigned int)bytes;
    free(memory);
}

static void *allocate_private(void *context, size_t bytes)
{
    CHECK(context == &bench);
    bench.live_private += (unsigned int)bytes;
    return calloc(1, bytes);
}

static void release_private(void *context, void *memory, size_t bytes)
{
    CHECK(context == &bench);
    bench.live_private -= (unsigned int)bytes;
    free(memory);
}

static void notify(void *context, uint32_t value)
{
    CHECK(context == &bench);
    bench.notified += 1;
    bench.last_notified = value;
}

static void callback(void *context)
{
    CHECK(context == &bench);
    bench.called_back += 1;
}

bool linux_3_11(void)
{
    return (rp_driver_entry()->traits & RP_TRAIT_LINUX_3_11) != 0;
}

void prepare(uint32_t queue_size, uint64_t features, enum rp_layout layout)
{
    memset(&bench, 0, sizeof(bench));
    bench.driver = rp_driver_entry();
    bench.env = (struct rp_env){
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_env),
        .context = &bench,
        .features = features,
        .queue_size = queue_size,
        .queue_index = 3,
        .layout = (uint16_t)layout,
        .has_callback = 1,
        .allocate = allocate,
        .release = release,
        .allocate_private = allocate_private,
        .release_private = release_private,
        .notify = notify,
        .callback = callback,
    };
}

void open_queue(uint32_t queue_size, uint64_t features)
{
    if (bench.env.queue_size != queue_size || bench.env.features != features || bench.queue != NULL)
        prepare(queue_size, features, RP_LAYOUT_LEGACY);
    CHECK(bench.driver->create(&bench.env, &bench.parts, &bench.queue) == RP_OK);
    bench.desc = at(bench.parts.desc);
    bench.avail = at(bench.parts.avail);
    bench.used = at(bench.parts.used);
}

void close_queue(void)
{
    bench.driver->destroy(bench.queue);
    bench.queue = NULL;
    CHECK(bench.live == 0);
    CHECK(bench.live_private == 0);
    memset(&bench, 0, sizeof(bench));
}

uint32_t segment_length(uint32_t index)
{
    return 100 + index;
}

uint64_t segment_address(uint32_t index)
{
    return UINT64_C(0x1234567800) + UINT64_C(0x1000) * index;
}

int add(uint32_t out, uint32_t in, uintptr_t token)
{
    uint32_t total = out + in;
    struct rp_segment *lent;
    int result;

    CHECK(total <= MAX_SEGMENTS);
    for (uint32_t i = 0; i < total; i++)
        segments[i] = (struct rp_segment){.address = segment_address(i), .length = segment_length(i)};
    /* An array of its own, of exactly this size: a driver that reads on is seen by the sanitizer. */
    lent = malloc(total * sizeof(*lent) + 1);
    CHECK(lent != NULL);
    memcpy(lent, segments, total * sizeof(*lent));
    result = bench.driver->add(bench.queue, lent, out, in, (void *)token);
    free(lent);
    return result;
}

uint16_t *used_event(void)
{
    return &bench.avail[2 + bench.env.queue_size];
}

uint16_t *avail_event(void)
{
    return &bench.used[2 + 4 * bench.env.queue_size];
}

uint16_t avail_flags(void)
{
    return bench.avail[0];
}

uint16_t avail_idx(void)
{
    return bench.avail[1];
}

uint16_t avail_head(uint16_t index)
{
    return bench.avail[2 + index % bench.env.queue_size];
}

void complete(uint32_t id, uint32_t length)
{
    uint32_t slot = bench.used[1] % bench.env.queue_size;

    memcpy(&bench.used[2 + 4 * slot], &id, sizeof(id));
    memcpy(&bench.used[4 + 4 * slot], &length, sizeof(length));
    bench.used[1] = (uint16_t)(bench.used[1] + 1);
}

void expect(uintptr_t token, uint32_t length)
{
    void *got = NULL;
    uint32_t written = 0;

    CHECK(bench.driver->get_buf(bench.queue, &got, &written) == 1);
    CHECK((uintptr_t)got == token);
    CHECK(written == length);
}

void expect_none(int result)
{
    void *got = NULL;
    uint32_t written = 0;

    CHECK(bench.driver->get_buf(bench.queue, &got, &written) == result);
    CHECK(got == NULL);
}

void turn(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        uint16_t index = avail_idx();

        CHECK(add(1, 0, 1 + i) == RP_OK);
        bench.driver->kick(bench.queue);
        CHECK((uint16_t)(index + 1) == avail_idx());
        complete(avail_head(index), 0);
        expect(1 + i, 0);
    }
}
