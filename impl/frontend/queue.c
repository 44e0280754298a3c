/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "queue.h"
#include "memory.h"
#include "report.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* -- What the driver is given -- */

static void *allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    struct fe_queue *queue = context;

    return fe_memory_take(bytes, alignment, queue->queue == NULL, address);
}

static void release(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    if (!fe_memory_give(memory))
        fe_counts.stray++;
}

static void *allocate_private(void *context, size_t bytes)
{
    (void)context;
    return calloc(1, bytes);
}

static void release_private(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(memory);
}

static void notify(void *context, uint32_t value)
{
    struct fe_queue *queue = context;
    uint64_t one = 1;

    (void)value;
    fe_counts.kicks++;
    if (queue->kick >= 0 && write(queue->kick, &one, sizeof(one)) != sizeof(one))
        fe_end("closed", "a kick cannot be written");
}

static void callback(void *context)
{
    struct fe_queue *queue = context;

    queue->called = true;
}

static void completed(void *context, void *token, uint32_t length)
{
    struct fe_queue *queue = context;
    struct fe_frame *frame = token;
    uintptr_t past = (uintptr_t)token - (uintptr_t)queue->frames;

    if (past >= queue->count * sizeof(*frame) || past % sizeof(*frame) != 0 || !frame->out) {
        fe_counts.stray++;
        return;
    }
    frame->out = false;
    queue->outstanding--;
    queue->back(queue, frame, length);
    queue->free[queue->free_count++] = frame;
}

static int map(void *context, const void *data, uint32_t length, uint64_t *address)
{
    (void)context;
    (void)length;
    *address = fe_memory_address(data);
    return 0;
}

static void unmap(void *context, uint64_t address, uint32_t length)
{
    (void)context;
    (void)length;
    if (fe_memory_at(address) == NULL)
        fe_counts.stray++;
}

/* -- The library -- */

/* The loader knows a library by its file: only another file is another instance, with data of its own. */
static void *load_copy(const char *library)
{
    int from = open(library, O_RDONLY | O_CLOEXEC), into = memfd_create("driver", MFD_CLOEXEC);
    char name[64];
    off_t bytes = from >= 0 ? lseek(from, 0, SEEK_END) : -1, at = 0;
    void *handle;

    if (bytes < 0 || into < 0)
        fe_bad_use("%s: cannot be read", library);
    while (at < bytes)
        if (sendfile(into, from, &at, (size_t)(bytes - at)) <= 0)
            fe_bad_use("%s: cannot be read", library);
    close(from);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", into);
    handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror(), *named = strstr(why, name);

        fe_bad_use("%s: cannot be loaded%s", library, named != NULL ? named + strlen(name) : why);
    }
    close(into);
    return handle;
}

void fe_queue_load(struct fe_queue *queue, const char *library)
{
    void *handle = load_copy(library);
    const struct rp_driver *(*entry)(void);
    const struct rp_driver *driver;
    bool can_wake;

    *(void **)&entry = dlsym(handle, "rp_driver_entry");
    if (entry == NULL)
        fe_bad_use("%s: does not export rp_driver_entry, so it is no driver", library);
    fe_in_driver = 1;
    driver = entry();
    fe_in_driver = 0;
    if (driver == NULL || driver->abi_version != RP_ABI_VERSION)
        fe_bad_use("%s: of another version of the driver ABI", library);
    if (driver->create == NULL || driver->destroy == NULL || driver->add == NULL || driver->kick == NULL ||
        (driver->get_buf == NULL && (driver->traits & RP_TRAIT_PUSHES_BUFFERS) == 0))
        fe_bad_use("%s: lacks an operation that every driver needs", library);
    queue->driver = driver;
    fe_counts.driver = driver->name != NULL ? driver->name : "(unnamed)";
    can_wake = driver->interrupt != NULL || driver->enable_cb != NULL || driver->enable_cb_delayed != NULL ||
               driver->enable_cb_prepare != NULL;
    if (!can_wake)
        queue->polls = true;
}

void fe_queue_provide(struct fe_queue *queue, uint32_t count, uint32_t room)
{
    queue->frames = calloc(count, sizeof(*queue->frames));
    queue->free = calloc(count, sizeof(struct fe_frame *));
    if (queue->frames == NULL || queue->free == NULL)
        fe_bad_use("there is no memory for %u frames", count);
    queue->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct fe_frame *frame = &queue->frames[i];

        frame->data = fe_memory_take(room, 64, false, &frame->address);
        frame->room = room;
        if (frame->data == NULL)
            fe_bad_use("there is no memory for %u frames", count);
    }
}

void fe_queue_create(struct fe_queue *queue)
{
    int made;

    queue->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    queue->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->kick < 0 || queue->call < 0)
        fe_bad_use("there are no more file descriptors");
    queue->header_apart = (queue->features & (FE_VERSION_1 | FE_ANY_LAYOUT)) == 0;
    queue->env = (struct rp_env){
        .abi_version = RP_ABI_VERSION,
        .size = sizeof(struct rp_env),
        .context = queue,
        .features = queue->features & queue->driver->features,
        .queue_size = queue->size,
        .queue_index = (uint16_t)queue->index,
        .layout = (queue->features & RP_F_VERSION_1) != 0 ? RP_LAYOUT_MODERN : RP_LAYOUT_LEGACY,
        .has_callback = !queue->polls,
        .allocate = allocate,
        .release = release,
        .allocate_private = allocate_private,
        .release_private = release_private,
        .notify = notify,
        .callback = callback,
        .completed = completed,
        .map = map,
        .unmap = unmap,
    };
    queue->asleep = queue->called = queue->broken = false;
    queue->free_count = queue->outstanding = 0;
    queue->added = 0;
    queue->listens = !queue->polls;
    for (uint32_t i = 0; i < queue->count; i++) {
        queue->frames[i].out = false;
        queue->free[queue->free_count++] = &queue->frames[queue->count - 1 - i];
    }
    fe_in_driver = 1;
    made = queue->driver->create(&queue->env, &queue->parts, &queue->queue);
    fe_in_driver = 0;
    if (made != RP_OK) {
        queue->queue = NULL;
        fe_bad_use("the driver makes no queue of %u descriptors: %d", queue->size, made);
    }
    if (fe_memory_at(queue->parts.desc) == NULL || fe_memory_at(queue->parts.avail) == NULL ||
        fe_memory_at(queue->parts.used) == NULL)
        fe_end("misplaced", "the driver places its ring outside the memory that it was given");
}

void fe_queue_destroy(struct fe_queue *queue)
{
    void *token;

    if (queue->queue == NULL)
        return;
    fe_in_driver = 1;
    for (uint32_t i = 0; queue->driver->detach_unused != NULL && i <= queue->size; i++) {
        if (queue->driver->detach_unused(queue->queue, &token) != 1)
            break;
    }
    queue->driver->destroy(queue->queue);
    fe_in_driver = 0;
    queue->queue = NULL;
    close(queue->kick);
    close(queue->call);
    queue->kick = queue->call = -1;
}

/* -- Buffers -- */

struct fe_frame *fe_queue_frame(struct fe_queue *queue)
{
    return queue->free_count > 0 ? queue->free[--queue->free_count] : NULL;
}

void fe_queue_put_back(struct fe_queue *queue, struct fe_frame *frame)
{
    queue->free[queue->free_count++] = frame;
}

bool fe_queue_room(const struct fe_queue *queue, uint32_t segments)
{
    uint32_t needed = segments + (queue->header_apart ? 1 : 0);

    if ((queue->features & RP_F_INDIRECT_DESC) != 0)
        needed = 1;
    return queue->driver->num_free == NULL || queue->driver->num_free(queue->queue) >= needed;
}

/* The header, where it must lie apart, then the rest in pieces of about the same size. */
static uint32_t cut(const struct fe_queue *queue, const struct fe_frame *frame, uint32_t bytes, uint32_t segments,
                    struct rp_segment *into)
{
    uint32_t first = queue->header_apart ? fe_header_bytes(queue->features) : 0, count = 0, at = 0, piece;
    bool maps = (queue->driver->traits & RP_TRAIT_MAPS) != 0;

    if (segments > (bytes - first) / 2)
        segments = (bytes - first) / 2;
    piece = (bytes - first) / segments;
    while (at < bytes) {
        uint32_t length = count == 0 && first > 0 ? first : piece;

        if (count + 1 == segments + (first > 0))
            length = bytes - at;
        into[count++] = (struct rp_segment){
            .data = frame->data + at, .address = maps ? 0 : frame->address + at, .length = length};
        at += length;
    }
    return count;
}

bool fe_queue_add(struct fe_queue *queue, struct fe_frame *frame, uint32_t segments)
{
    struct rp_segment pieces[FE_MOST_SEGMENTS + 1];
    bool sends = queue->index % 2 != 0;
    uint32_t count = cut(queue, frame, sends ? frame->bytes : frame->room, segments, pieces);
    int added;

    frame->out = true; /* before the call: whatever comes back in it may be this */
    queue->outstanding++;
    fe_in_driver = 1;
    added = queue->driver->add(queue->queue, pieces, sends ? count : 0, sends ? 0 : count, frame);
    fe_in_driver = 0;
    if (added == RP_OK) {
        queue->added++;
        return true;
    }
    if (added == RP_EBROKEN)
        queue->broken = true;
    fe_counts.refused++;
    frame->out = false;
    queue->outstanding--;
    fe_queue_put_back(queue, frame);
    return false;
}

void fe_queue_kick(struct fe_queue *queue)
{
    fe_in_driver = 1;
    queue->driver->kick(queue->queue);
    fe_in_driver = 0;
}

uint32_t fe_queue_reclaim(struct fe_queue *queue, uint32_t most)
{
    const struct rp_driver *driver = queue->driver;
    uint32_t before = queue->outstanding, count = 0;

    fe_in_driver = 1;
    if ((driver->traits & RP_TRAIT_PUSHES_BUFFERS) != 0) {
        if (driver->interrupt != NULL)
            driver->interrupt(queue->queue);
        fe_in_driver = 0;
        return before > queue->outstanding ? before - queue->outstanding : 0;
    }
    while (count < most && !queue->broken) {
        uint32_t length = 0;
        void *token = NULL;
        int got = driver->get_buf(queue->queue, &token, &length);

        if (got != 1) {
            queue->broken = got < 0;
            break;
        }
        completed(queue, token, length);
        count++;
    }
    fe_in_driver = 0;
    return count;
}

/* -- Interrupts -- */

bool fe_queue_arm(struct fe_queue *queue, uint32_t how)
{
    const struct rp_driver *driver = queue->driver;
    bool sleep = true;

    queue->called = false;
    /* Taking all back arms the next one as long as callbacks are on. */
    if (queue->listens && how / 3 % 2 == 0 && (driver->traits & RP_TRAIT_ARMS_ONCE) == 0)
        return true;
    queue->listens = true;
    fe_in_driver = 1;
    if (how % 3 == 0 && driver->enable_cb_delayed != NULL)
        sleep = driver->enable_cb_delayed(queue->queue) != 0;
    else if ((how % 3 == 1 || driver->enable_cb == NULL) && driver->enable_cb_prepare != NULL && driver->poll != NULL)
        sleep = driver->poll(queue->queue, driver->enable_cb_prepare(queue->queue)) == 0;
    else if (driver->enable_cb != NULL)
        sleep = driver->enable_cb(queue->queue) != 0;
    fe_in_driver = 0;
    return sleep;
}

void fe_queue_quiet(struct fe_queue *queue)
{
    if (queue->driver->disable_cb == NULL)
        return;
    queue->listens = false;
    fe_in_driver = 1;
    queue->driver->disable_cb(queue->queue);
    fe_in_driver = 0;
}

void fe_queue_interrupted(struct fe_queue *queue, uint32_t how)
{
    uint64_t count;

    if (read(queue->call, &count, sizeof(count)) != sizeof(count))
        return;
    fe_counts.interrupts++;
    if (queue->driver->interrupt == NULL) {
        queue->called = true;
    } else {
        fe_in_driver = 1;
        queue->driver->interrupt(queue->queue);
        fe_in_driver = 0;
    }
    /* One that brings no news wakes nobody, unless the driver pushes and need not call back. */
    if (queue->called || (queue->driver->traits & RP_TRAIT_PUSHES_BUFFERS) != 0) {
        queue->called = false;
        if (queue->asleep && how % 4 != 0)
            fe_queue_quiet(queue);
        queue->asleep = false;
    }
}
