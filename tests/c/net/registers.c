/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "bench.h"

#define NOTIFY_BYTES(queue) (4u * (3u * (queue) + 1u))

static struct device_queue *selected(void)
{
    CHECK(bench.selected < MOST_QUEUES);
    return &bench.queues[bench.selected];
}

static uint32_t pairs(void)
{
    bool many = (bench.accepted & MQ) != 0 && bench.max_pairs > 0 && bench.max_pairs <= 0x8000;

    return many ? bench.max_pairs : 1;
}

static uint32_t control_queue(void)
{
    return 2 * pairs();
}

/* The device has no queue behind the last one. */
static uint32_t offered_size(void)
{
    bool control = bench.selected == control_queue() && (bench.offers & CTRL) != 0;

    if (bench.selected == bench.missing || (bench.selected >= 2 * pairs() && !control))
        return 0;
    return bench.size;
}

static uint32_t read_status(void)
{
    if (bench.stale_reads > 0) {
        bench.stale_reads -= 1;
        return bench.before_reset;
    }
    return bench.status;
}

static void write_status(uint32_t value)
{
    if (value == 0) {
        bench.before_reset = bench.status != 0 ? bench.status : 0x40;
        bench.stale_reads = bench.reset_reads;
        bench.accepted = 0;
        bench.isr = 0;
        memset(bench.queues, 0, sizeof(bench.queues));
    }
    if (bench.refuses_features)
        value &= ~8u;
    bench.status = (uint8_t)value;
}

static uint32_t read_isr(void)
{
    uint32_t value = bench.isr;

    bench.isr = 0;
    return value;
}

static uint32_t read_byte(uint32_t offset)
{
    static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

    switch (offset) {
    case 6:
    case 7:
        return ((uint32_t)bench.link >> (8 * (offset - 6))) & 0xff;
    case 8:
    case 9:
        return ((uint32_t)bench.max_pairs >> (8 * (offset - 8))) & 0xff;
    default:
        CHECK(offset < 6);
        return mac[offset];
    }
}

static uint32_t configuration(uint32_t offset, uint32_t width)
{
    CHECK(width == 1 || (width == 2 && offset >= 6 && offset % 2 == 0));
    if (bench.changes > 0) {
        bench.changes -= 1;
        bench.generation += 1;
    }
    return width == 1 ? read_byte(offset) : read_byte(offset) | read_byte(offset + 1) << 8;
}

static uint32_t legacy_read(uint32_t offset, uint32_t width)
{
    if (offset >= 20) {
        CHECK(width == 1);
        return configuration(offset - 20, 1);
    }
    switch (offset << 4 | width) {
    case 0 << 4 | 4:
        return (uint32_t)bench.offers;
    case 8 << 4 | 4:
        return bench.selected == bench.busy ? 1 : selected()->page_frame;
    case 12 << 4 | 2:
        return offered_size();
    case 18 << 4 | 1:
        return read_status();
    case 19 << 4 | 1:
        return read_isr();
    default:
        fail(__FILE__, __LINE__, "a register that can be read, of this width");
    }
}

static void place_legacy(struct device_queue *queue, uint32_t page_frame)
{
    queue->page_frame = page_frame;
    queue->size = bench.size;
    queue->desc = (uint64_t)page_frame << 12;
    queue->driver = queue->desc + UINT64_C(16) * queue->size;
    queue->device = (queue->driver + 6 + UINT64_C(2) * queue->size + 4095) & ~UINT64_C(4095);
}

/* The command is read, and answered at once. */
static void serve_control(uint32_t index)
{
    uint32_t segments;
    uint8_t answer[sizeof(bench.command)];
    uint16_t *avail = avail_ring(index);
    struct device_queue *queue = &bench.queues[index];

    while (!bench.mute && queue->read != avail[1]) {
        uint32_t bytes = read_chain(index, answer, sizeof(answer), &segments);
        struct {
            uint64_t address;
            uint32_t length;
            uint16_t flags, next;
        } desc;
        uint64_t table = queue->desc;
        uint16_t next = queue->heads[queue->held - 1];

        CHECK(segments == 3 && bytes == 5 && answer[4] == 0xff);
        memcpy(bench.command, answer, 4);
        bench.command_bytes = 4;
        do {
            memcpy(&desc, at(table + UINT64_C(16) * next, 16), 16);
            if ((desc.flags & 4) != 0) {
                table = desc.address;
                next = 0;
                continue;
            }
            CHECK(((desc.flags & 2) != 0) == ((desc.flags & 1) == 0));
            next = desc.next;
        } while ((desc.flags & (1 | 4)) != 0);
        *(uint8_t *)at(desc.address, 1) = bench.verdict;
        complete(index, 1);
    }
}

static void notified(uint32_t index)
{
    CHECK(index < MOST_QUEUES);
    if ((bench.accepted & CTRL) != 0 && index == control_queue()) {
        serve_control(index);
    } else if (bench.eager) {
        static uint8_t bytes[1 << 17];
        uint32_t segments;

        while (bench.queues[index].read != avail_ring(index)[1])
            read_chain(index, bytes, sizeof(bytes), &segments);
        complete(index, bench.queues[index].held);
    }
}

static void legacy_write(uint32_t offset, uint32_t width, uint32_t value)
{
    switch (offset << 4 | width) {
    case 4 << 4 | 4:
        bench.accepted = value;
        return;
    case 8 << 4 | 4:
        place_legacy(selected(), value);
        return;
    case 14 << 4 | 2:
        bench.selected = value;
        return;
    case 16 << 4 | 2:
        notified(value);
        return;
    case 18 << 4 | 1:
        write_status(value);
        return;
    default:
        fail(__FILE__, __LINE__, "a register that can be written, in this width");
    }
}

static uint32_t common_read(uint32_t offset, uint32_t width)
{
    switch (offset << 4 | width) {
    case 4 << 4 | 4:
        return bench.selected_features < 2 ? (uint32_t)(bench.offers >> (32 * bench.selected_features)) : 0;
    case 20 << 4 | 1:
        return read_status();
    case 21 << 4 | 1:
        return bench.generation;
    case 24 << 4 | 2:
        return offered_size();
    case 28 << 4 | 2:
        return bench.selected == bench.busy ? 1 : selected()->enabled;
    case 30 << 4 | 2:
        return 3 * bench.selected + 1;
    default:
        fail(__FILE__, __LINE__, "a register that can be read, of this width");
    }
}

static void half(uint64_t *address, bool high, uint32_t value)
{
    *address = high ? (*address & UINT32_MAX) | (uint64_t)value << 32 : (*address >> 32 << 32) | value;
}

static void common_write(uint32_t offset, uint32_t width, uint32_t value)
{
    bool high = (offset & 4) != 0;

    switch (offset << 4 | width) {
    case 0 << 4 | 4:
        bench.selected_features = value;
        return;
    case 8 << 4 | 4:
        bench.selected_driver = value;
        return;
    case 12 << 4 | 4:
        CHECK(bench.selected_driver < 2);
        half(&bench.accepted, bench.selected_driver == 1, value);
        return;
    case 20 << 4 | 1:
        write_status(value);
        return;
    case 22 << 4 | 2:
        bench.selected = value;
        return;
    case 24 << 4 | 2:
        selected()->size = value;
        return;
    case 28 << 4 | 2:
        selected()->enabled = value;
        return;
    case 32 << 4 | 4:
    case 36 << 4 | 4:
        half(&selected()->desc, high, value);
        return;
    case 40 << 4 | 4:
    case 44 << 4 | 4:
        half(&selected()->driver, (offset & 4) != 0, value);
        return;
    case 48 << 4 | 4:
    case 52 << 4 | 4:
        half(&selected()->device, high, value);
        return;
    default:
        fail(__FILE__, __LINE__, "a register that can be written, in this width");
    }
}

uint32_t register_read(void *context, uint32_t region, uint32_t offset, uint32_t width)
{
    uint32_t value;

    CHECK(context == &bench);
    CHECK(offset % width == 0);
    CHECK((region == RP_NET_IO) == (bench.env.transport == LEGACY));
    if (region == RP_NET_IO) {
        value = legacy_read(offset, width);
    } else if (region == RP_NET_COMMON) {
        value = common_read(offset, width);
    } else if (region == RP_NET_ISR) {
        CHECK(offset == 0 && width == 1);
        value = read_isr();
    } else {
        CHECK(region == RP_NET_DEVICE);
        value = configuration(offset, width);
    }
    note("R%c%u=%x", "icnsd"[region], offset, value);
    return value;
}

void register_write(void *context, uint32_t region, uint32_t offset, uint32_t width, uint32_t value)
{
    CHECK(context == &bench);
    CHECK(offset % width == 0);
    CHECK(width == 4 || value < 1u << (8 * width));
    CHECK((region == RP_NET_IO) == (bench.env.transport == LEGACY));
    CHECK(region == RP_NET_IO || region == RP_NET_COMMON || region == RP_NET_NOTIFY);
    note("W%c%u=%x", "icnsd"[region], offset, value);
    if (region == RP_NET_IO) {
        legacy_write(offset, width, value);
    } else if (region == RP_NET_COMMON) {
        common_write(offset, width, value);
    } else {
        CHECK(width == 2 && offset == NOTIFY_BYTES(value));
        notified(value);
    }
}

/* -- rings -- */

uint16_t *avail_ring(uint32_t queue)
{
    return at(bench.queues[queue].driver, 6 + 2 * bench.size);
}

uint16_t *used_ring(uint32_t queue)
{
    return at(bench.queues[queue].device, 6 + 8 * bench.size);
}

uint32_t read_chain(uint32_t index, uint8_t *to, uint32_t room, uint32_t *segments)
{
    struct device_queue *queue = &bench.queues[index];
    uint16_t *avail = avail_ring(index);
    uint64_t table = queue->desc;
    uint32_t done = 0, limit = queue->size;
    uint16_t head, next;

    CHECK(queue->read != avail[1]); /* a chain is there */
    head = next = avail[2 + queue->read % queue->size];
    queue->read = (uint16_t)(queue->read + 1);
    CHECK(queue->held < 256);
    queue->heads[queue->held++] = head;
    *segments = 0;
    for (;;) {
        struct {
            uint64_t address;
            uint32_t length;
            uint16_t flags, next;
        } desc;

        CHECK(next < limit);
        memcpy(&desc, at(table + UINT64_C(16) * next, 16), 16);
        if ((desc.flags & 4) != 0) {
            CHECK(table == queue->desc && *segments == 0 && desc.length % 16 == 0);
            table = desc.address;
            limit = desc.length / 16;
            next = 0;
            continue;
        }
        CHECK(desc.length <= room - done);
        memcpy(to + done, at(desc.address, desc.length), desc.length);
        done += desc.length;
        *segments += 1;
        if ((desc.flags & 1) == 0)
            return done;
        next = desc.next;
    }
}

void complete(uint32_t index, uint32_t count)
{
    struct device_queue *queue = &bench.queues[index];
    uint16_t *used = used_ring(index);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = used[1] % queue->size;
        uint32_t entry[2] = {queue->heads[0], 0};

        CHECK(queue->held > 0);
        queue->held -= 1;
        memmove(queue->heads, queue->heads + 1, queue->held * sizeof(queue->heads[0]));
        memcpy(&used[2 + 4 * slot], entry, sizeof(entry));
        used[1] = (uint16_t)(used[1] + 1);
    }
}
