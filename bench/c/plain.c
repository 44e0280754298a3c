/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain LIBRARY OPERATIONS FEATURES QUEUE_SIZE SECONDS
 *
 * Drives a driver with the operations of a file, again and again, as the worker does, but with a device that looks
 * at nothing it need not: it walks chains, completes them and keeps the suppression words. What the worker takes
 * longer for the same operations is the cost of the monitor. Prints operations and seconds.
 */
#define _GNU_SOURCE
#include "protocol.h"
#include "ringproof_driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct used_entry { uint32_t id, length; };

static uint8_t *arena;
static size_t arena_used;
static uint32_t queue_size;
static volatile struct descriptor *table;
static volatile uint16_t *avail, *used;
static uint16_t seen, done, *flight;
static uint32_t in_flight, written;
static uint64_t sum, adds;

static void *allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    size_t at = (arena_used + alignment - 1) / alignment * alignment;

    (void)context;
    arena_used = at + bytes;
    if (arena_used > RP_ARENA_BYTES)
        return NULL;
    *address = RP_ARENA_ADDRESS + at;
    return arena + at;
}

static void release(void *context, void *memory, size_t bytes)
{
    (void)context, (void)memory, (void)bytes;
}

static void *allocate_private(void *context, size_t bytes)
{
    (void)context;
    return calloc(1, bytes);
}

static void release_private(void *context, void *memory, size_t bytes)
{
    (void)context, (void)bytes;
    free(memory);
}

static void notify(void *context, uint32_t value)
{
    (void)context, (void)value;
}

static void callback(void *context)
{
    (void)context;
}

static void *part(uint64_t address)
{
    return arena + (address - RP_ARENA_ADDRESS);
}

static void walk(uint16_t at)
{
    for (;;) {
        volatile struct descriptor *place = &table[at];

        sum += place->address + place->length;
        written += (place->flags & 2u) != 0 ? place->length : 0;
        if ((place->flags & 1u) == 0)
            return;
        at = place->next;
    }
}

static void take(uint32_t most)
{
    uint16_t idx = __atomic_load_n(&avail[1], __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; seen != idx && (most == 0 || i < most); i++) {
        uint16_t head = avail[2 + seen++ % queue_size];

        walk(head);
        flight[in_flight++] = head;
    }
}

static void complete(const struct rp_op *op)
{
    uint32_t count;

    for (count = 0; count < op->c && in_flight > 0; count++) {
        uint32_t at = (uint32_t)((op->a + (uint64_t)count * op->b) % in_flight);
        volatile struct used_entry *entry =
            (volatile struct used_entry *)(volatile void *)&used[2 + 4 * (done++ % queue_size)];

        written = 0;
        walk(flight[at]);
        entry->id = flight[at];
        entry->length = written;
        flight[at] = flight[--in_flight];
    }
    __atomic_store_n(&used[1], done, __ATOMIC_RELEASE);
}

static void run(const struct rp_driver *driver, void *queue, const struct rp_op *op)
{
    static struct rp_segment segments[65536];
    void *token;
    uint32_t length;

    switch (op->code) {
    case RP_OP_ADD:
        for (uint32_t i = 0; i < op->a + op->in; i++) {
            uint32_t x = op->b + i * 0x9e3779b1u, offset = x >> 8 & 0xffff0u;
            struct rp_segment segment = {NULL, RP_BUFFER_ADDRESS + offset, 1 + (x & 0x1ffffu), 0};

            segments[i] = segment;
        }
        adds++;
        (void)driver->add(queue, segments, op->a, op->in,
                          (op->flags & RP_OPF_NULL_TOKEN) != 0 ? NULL : (void *)(uintptr_t)adds);
        break;
    case RP_OP_KICK: driver->kick(queue); break;
    case RP_OP_GET: (void)driver->get_buf(queue, &token, &length); break;
    case RP_OP_DISABLE_CB: driver->disable_cb(queue); break;
    case RP_OP_ENABLE_CB: (void)driver->enable_cb(queue); break;
    case RP_OP_ENABLE_CB_DELAYED: (void)driver->enable_cb_delayed(queue); break;
    case RP_OP_ENABLE_CB_PREPARE: (void)driver->enable_cb_prepare(queue); break;
    case RP_OP_INTERRUPT: (void)driver->interrupt(queue); break;
    case RP_OP_READ: take(op->a); break;
    case RP_OP_COMPLETE: complete(op); break;
    case RP_OP_SET_FLAGS: used[0] = (uint16_t)op->a; break;
    case RP_OP_SET_AVAIL_EVENT:
        used[2 + 4 * queue_size] = (uint16_t)((op->flags & RP_OPF_RELATIVE) != 0 ? avail[1] + op->a : op->a);
        break;
    default: break;
    }
}

int main(int count, char **arguments)
{
    static struct rp_op operations[1 << 20];
    const struct rp_driver *(*entry)(void);
    const struct rp_driver *driver;
    struct rp_ring_parts parts;
    struct timespec begin, now;
    struct rp_env env = {.abi_version = RP_ABI_VERSION, .size = sizeof(env), .layout = RP_LAYOUT_MODERN,
                         .has_callback = 1, .allocate = allocate, .release = release,
                         .allocate_private = allocate_private, .release_private = release_private,
                         .notify = notify, .callback = callback};
    void *queue, *symbol, *library = count == 6 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    FILE *file = library != NULL ? fopen(arguments[2], "rb") : NULL;
    size_t there, ran = 0;
    double seconds;

    if (file == NULL)
        return 2;
    there = fread(operations, sizeof(operations[0]), 1 << 20, file);
    symbol = dlsym(library, "rp_driver_entry");
    memcpy(&entry, &symbol, sizeof(entry));
    driver = entry();
    env.features = strtoull(arguments[3], NULL, 0);
    env.queue_size = queue_size = (uint32_t)atoi(arguments[4]);
    arena = aligned_alloc(4096, RP_ARENA_BYTES);
    flight = calloc(queue_size, sizeof(flight[0]));
    if (arena == NULL || flight == NULL || driver->create(&env, &parts, &queue) != RP_OK)
        return 2;
    table = part(parts.desc);
    avail = part(parts.avail);
    used = part(parts.used);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        for (size_t i = 0; i < there; i++)
            run(driver, queue, &operations[i]);
        ran += there;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        seconds = (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
    } while (seconds < atof(arguments[5]));
    (void)printf("%zu %f %llu\n", ran, seconds, (unsigned long long)sum);
    return 0;
}
