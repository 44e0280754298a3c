/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOCKS 16384

struct bench bench;

static struct block {
    void *memory;
    size_t bytes;
    uint64_t address; /* 0: private to the driver */
} blocks[MOST_BLOCKS];
static uint32_t block_count;

_Noreturn void fail(const char *file, int line, const char *what)
{
    const char *name = strrchr(file, '/');

    printf("%s:%d: does not hold: %s\n", name != NULL ? name + 1 : file, line, what);
    printf("log: %s\n", bench.log);
    exit(1);
}

/* -- log -- */

void note(const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof(bench.log) - bench.logged;
    int length;

    va_start(arguments, format);
    if (bench.logged > 0 && room > 1)
        bench.log[bench.logged++] = ' ';
    length = vsnprintf(bench.log + bench.logged, room - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room - 1)
        fail(__FILE__, __LINE__, "the log has room");
    bench.logged += (size_t)length;
}

void forget_log(void)
{
    bench.logged = 0;
    bench.log[0] = '\0';
}

void expect_log(const char *file, int line, const char *expected)
{
    if (strcmp(bench.log, expected) != 0) {
        printf("wanted: %s\n", expected);
        fail(file, line, "the driver does what is wanted");
    }
    forget_log();
}

int position(const char *word)
{
    size_t length = strlen(word);
    int number = 0;

    for (const char *from = bench.log; *from != '\0'; number++) {
        size_t this = strcspn(from, " ");

        if (this == length && strncmp(from, word, length) == 0)
            return number;
        from += this + (from[this] == ' ');
    }
    return -1;
}

/* -- memory -- */

static struct block *find(const void *memory)
{
    for (uint32_t i = block_count; i-- > 0;)
        if (blocks[i].memory == memory)
            return &blocks[i];
    return NULL;
}

static void keep(void *memory, size_t bytes, uint64_t address)
{
    CHECK(block_count < MOST_BLOCKS);
    blocks[block_count++] = (struct block){memory, bytes, address};
}

static void drop(struct block *block)
{
    *block = blocks[--block_count];
}

uint64_t share(void *memory, size_t bytes, uint64_t alignment)
{
    uint64_t address = (bench.next_address + alignment - 1) & ~(alignment - 1);

    bench.next_address = address + bytes;
    keep(memory, bytes, address);
    return address;
}

void unshare(const void *memory)
{
    struct block *block = find(memory);

    CHECK(block != NULL);
    drop(block);
}

void *at(uint64_t address, size_t bytes)
{
    for (uint32_t i = block_count; i-- > 0;) {
        const struct block *block = &blocks[i];

        if (block->address != 0 && address >= block->address && address - block->address <= block->bytes &&
            bytes <= block->bytes - (address - block->address))
            return (uint8_t *)block->memory + (address - block->address);
    }
    fail(__FILE__, __LINE__, "the device is given memory that exists");
}

static bool fails(void)
{
    bench.allocations += 1;
    return bench.allocations == bench.fail_at;
}

static void *allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    void *memory = NULL;

    CHECK(context == &bench);
    CHECK(bytes > 0);
    CHECK(alignment > 0 && alignment <= 4096 && (alignment & (alignment - 1)) == 0);
    if (fails() || bench.no_memory)
        return NULL;
    if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes) != 0)
        return NULL;
    memset(memory, 0xa5, bytes); /* contents are arbitrary */
    *address = share(memory, bytes, alignment);
    bench.live += 1;
    bench.last_alignment = alignment;
    if (bench.log_memory)
        note("A%zu", bytes);
    return memory;
}

static void release(void *context, void *memory, size_t bytes)
{
    struct block *block = find(memory);

    CHECK(context == &bench);
    CHECK(block != NULL && block->address != 0 && block->bytes == bytes);
    drop(block);
    bench.live -= 1;
    if (bench.log_memory)
        note("D%zu", bytes);
    free(memory);
}

static void *allocate_private(void *context, size_t bytes)
{
    void *memory;

    CHECK(context == &bench);
    if (fails())
        return NULL;
    memory = calloc(1, bytes);
    CHECK(memory != NULL);
    keep(memory, bytes, 0);
    bench.live_private += 1;
    return memory;
}

static void release_private(void *context, void *memory, size_t bytes)
{
    struct block *block = find(memory);

    CHECK(context == &bench);
    CHECK(block != NULL && block->address == 0 && block->bytes == bytes);
    drop(block);
    bench.live_private -= 1;
    free(memory);
}

/* -- stack -- */

static struct sent *sent_of(void *token)
{
    struct sent *sent = token;

    CHECK(sent >= bench.sent && sent < bench.sent + bench.frames);
    return sent;
}

static void freed(void *context, void *token)
{
    struct sent *sent = sent_of(token);

    CHECK(context == &bench);
    note("F%u", (unsigned int)(sent - bench.sent));
    sent->freed += 1;
    CHECK(sent->freed == 1);
    memcpy(sent->control, sent->frame.control, sizeof(sent->control));
    if (bench.cut != NULL)
        *bench.cut = NULL;
    free_frame_memory(sent); /* a driver that still looks at it is seen by the sanitizer */
}

static void orphaned(void *context, void *token)
{
    struct sent *sent = sent_of(token);

    CHECK(context == &bench);
    CHECK(sent->freed == 0);
    sent->orphaned += 1;
    CHECK(sent->orphaned == 1);
    note("O%u", (unsigned int)(sent - bench.sent));
}

static void stop_queue(void *context, uint32_t pair)
{
    CHECK(context == &bench);
    note("S%u", pair);
}

static void start_queue(void *context, uint32_t pair)
{
    CHECK(context == &bench);
    note("B%u", pair);
}

static void wake_queue(void *context, uint32_t pair)
{
    CHECK(context == &bench);
    note("K%u", pair);
}

bool linux_3_11(void)
{
    return (rp_net_driver_entry()->traits & RP_NET_TRAIT_LINUX_3_11) != 0;
}

void prepare(uint32_t transport, uint64_t features)
{
    memset(&bench, 0, sizeof(bench));
    block_count = 0;
    bench.driver = rp_net_driver_entry();
    bench.env = (struct rp_net_env){
        .abi_version = RP_NET_ABI_VERSION,
        .size = sizeof(struct rp_net_env),
        .context = &bench,
        .transport = transport,
        .notify_off_multiplier = transport == MODERN ? 4 : 0,
        .features = bench.driver->features,
        .read = register_read,
        .write = register_write,
        .allocate = allocate,
        .release = release,
        .allocate_private = allocate_private,
        .release_private = release_private,
        .freed = freed,
        .orphaned = orphaned,
        .stop_queue = stop_queue,
        .start_queue = start_queue,
        .wake_queue = wake_queue,
    };
    bench.offers = features | (transport == MODERN ? VERSION_1 : 0);
    bench.size = 256;
    bench.missing = bench.busy = UINT32_MAX;
    bench.max_pairs = 1;
    bench.link = 1;
    bench.next_address = 0x100000;
}

int probe(void)
{
    return bench.driver->probe(&bench.env, &bench.device);
}

void open_device(uint32_t transport, uint32_t size, uint64_t features)
{
    prepare(transport, features);
    bench.size = size;
    CHECK(probe() == RP_NET_OK);
    forget_log();
}

void close_device(void)
{
    bench.driver->remove(bench.device);
    bench.device = NULL;
    check_nothing_held();
    for (uint32_t i = 0; i < bench.frames; i++)
        CHECK(bench.sent[i].freed == 1);
}

void check_nothing_held(void)
{
    CHECK(bench.device == NULL);
    CHECK(bench.live == 0);
    CHECK(bench.live_private == 0);
}
