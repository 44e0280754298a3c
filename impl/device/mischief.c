/* SPDX-License-Identifier: Apache-2.0 */
#include "mischief.h"

#include "flip.h"

#include <string.h>

#define DONE 1
#define NOTHING 0

static volatile struct rp_used_entry *entry_at(const struct rp_device *device, uint16_t idx)
{
    return (volatile struct rp_used_entry *)(volatile void *)&device->used[2 + 4 * rp_slot(device, idx)];
}

static void set_used_idx(struct rp_device *device, uint16_t idx)
{
    device->shadow_used_idx = idx;
    __atomic_store_n(&device->used[1], idx, __ATOMIC_RELEASE);
}

static void write_entry(struct rp_device *device, uint16_t idx, uint32_t id, uint32_t length)
{
    struct rp_used_entry value = {id, length};

    device->shadow_used[rp_slot(device, idx)] = value;
    entry_at(device, idx)->id = id;
    entry_at(device, idx)->length = length;
}

/* One more entry, as if a chain had been completed. */
static int put(struct rp_device *device, uint32_t id, uint32_t *told)
{
    *told = id;
    write_entry(device, device->shadow_used_idx, id, 0);
    set_used_idx(device, (uint16_t)(device->shadow_used_idx + 1));
    return DONE;
}

static const struct rp_chain *chain_at(const struct rp_device *device, uint32_t pick)
{
    return device->in_flight_count > 0 ? &device->in_flight[pick % device->in_flight_count] : NULL;
}

/* Completes a chain honestly; false when the device has read none. The id it used is in *id. */
static bool complete(struct rp_device *device, uint32_t pick, uint32_t *id)
{
    bool due;

    if (rp_device_complete(device, pick, 0, 1, false, &due) != 1)
        return false;
    *id = device->shadow_used[rp_slot(device, (uint16_t)(device->shadow_used_idx - 1))].id;
    return true;
}

static int id_range(struct rp_device *device, uint32_t which, uint32_t pick, uint32_t *id)
{
    const struct rp_chain *chain = chain_at(device, pick);
    uint32_t n = device->config.queue_size, head = chain != NULL ? chain->head : pick % n;

    switch (which) {
    case 0:
        return put(device, n, id);
    case 1:
        return put(device, n + 1, id);
    case 2:
        return put(device, UINT32_C(0x10000) + head, id);
    case 3:
        return put(device, UINT32_MAX, id);
    case 4:
        return put(device, UINT32_C(0x80000000) + head, id);
    case 5:
        return head == 0 ? NOTHING : put(device, __builtin_bswap32(head), id);
    default:
        return NOTHING;
    }
}

static int use_free(struct rp_device *device, uint32_t from, uint32_t *id)
{
    uint32_t n = device->config.queue_size;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)(((uint64_t)from + i) % n);

        if (device->owners[at] == 0)
            return put(device, at, id);
    }
    return NOTHING;
}

static int use_middle(struct rp_device *device, uint32_t pick, uint32_t *id)
{
    for (uint32_t i = 0; i < device->in_flight_count; i++) {
        const struct rp_chain *chain = chain_at(device, pick % device->in_flight_count + i);

        if (chain->descriptors > 1)
            return put(device, device->shadow_desc[chain->head].next, id);
    }
    return NOTHING;
}

static int id_not_head(struct rp_device *device, uint32_t which, uint32_t pick, uint32_t *id)
{
    switch (which) {
    case 0:
        return use_free(device, pick, id);
    case 1:
        return use_middle(device, pick, id);
    case 2:
        return complete(device, pick, id) ? put(device, *id, id) : NOTHING;
    case 3:
        *id = device->shadow_used[rp_slot(device, (uint16_t)(device->shadow_used_idx - 1))].id;
        return put(device, *id, id);
    default:
        return NOTHING;
    }
}

static int used_idx(struct rp_device *device, uint32_t which, uint32_t number)
{
    const uint32_t steps[] = {device->config.queue_size + 1, 32768, UINT32_MAX, 0u - number, number};

    if (which >= sizeof(steps) / sizeof(steps[0]) || (uint16_t)steps[which] == 0)
        return NOTHING;
    set_used_idx(device, (uint16_t)(device->shadow_used_idx + steps[which]));
    return DONE;
}

static int length(struct rp_device *device, uint32_t which, uint32_t pick, uint32_t *id)
{
    const struct rp_chain *chain = chain_at(device, pick);
    const uint32_t lengths[] = {UINT32_MAX, chain != NULL ? chain->writable + 1 : 0, UINT32_C(0x80000000)};

    if (which >= sizeof(lengths) / sizeof(lengths[0]) || !complete(device, pick, id))
        return NOTHING;
    write_entry(device, (uint16_t)(device->shadow_used_idx - 1), *id, lengths[which]);
    return DONE;
}

/* Spoils one descriptor of a chain, in the manner that REWRITE's b says. */
static void spoil(struct rp_device *device, uint32_t which, uint32_t number, uint32_t at, bool first, bool last)
{
    volatile struct rp_descriptor *descriptor = &device->desc[at];
    uint32_t n = device->config.queue_size;

    if (which == 0 || which == 8 || which == 12)
        descriptor->address = UINT64_MAX;
    if (which == 1 || which == 8 || which == 12)
        descriptor->length = UINT32_MAX;
    if (which == 2)
        descriptor->next = (uint16_t)n;
    if (which == 3 || which == 7)
        descriptor->next = (uint16_t)at;
    if (which == 6 || which == 8 || which == 12)
        descriptor->next = UINT16_MAX;
    if (which == 8 || which == 12)
        descriptor->flags = UINT16_MAX;
    if (which == 3)
        descriptor->flags |= RP_DESC_NEXT;
    if ((which == 4 && last) || (which == 5 && first))
        descriptor->flags ^= RP_DESC_NEXT;
    if (which == 13 && first)
        descriptor->flags ^= RP_DESC_INDIRECT;
    if (which == 15)
        descriptor->next = (uint16_t)(number % n);
}

static int spoil_chain(struct rp_device *device, uint32_t which, uint32_t number)
{
    const struct rp_chain *chain = chain_at(device, number);
    uint32_t at;

    if (chain == NULL)
        return NOTHING;
    at = chain->head;
    for (uint32_t i = 0; i < chain->descriptors && at < device->config.queue_size; i++) {
        spoil(device, which, number, at, i == 0, i + 1 == chain->descriptors);
        at = device->shadow_desc[at].next;
    }
    return DONE;
}

static int rewrite(struct rp_device *device, uint32_t which, uint32_t number)
{
    uint32_t n = device->config.queue_size;

    switch (which) {
    case 6:
    case 7:
    case 8:
        for (uint32_t at = 0; at < n; at++)
            if (device->owners[at] == 0)
                spoil(device, which, number, at, false, false);
        return DONE;
    case 9:
        device->avail[1] = (uint16_t)(device->avail[1] + number);
        return DONE;
    case 10:
        for (uint32_t slot = 0; slot < n; slot++)
            device->avail[2 + slot] = UINT16_MAX;
        return DONE;
    case 11:
        device->avail[0] = UINT16_MAX;
        return DONE;
    case 14:
        memset((void *)(uintptr_t)device->desc, 0, 16 * (size_t)n);
        return DONE;
    case 16:
        device->avail[2 + n] = (uint16_t)number;
        return DONE;
    default:
        return which > 16 ? NOTHING : spoil_chain(device, which, number);
    }
}

static int double_fetch(struct rp_hostile *hostile, uint32_t which, uint32_t pick, uint32_t *id)
{
    struct rp_device *device = hostile->device;
    uint32_t n = device->config.queue_size, second;
    volatile struct rp_used_entry *entry;
    volatile uint32_t *word;
    uint8_t *seen;

    if (device->arena->fenced == NULL)
        return RP_STATUS_UNSUPPORTED;
    if (which > 4 || !complete(device, pick, id))
        return NOTHING;
    entry = entry_at(device, (uint16_t)(device->shadow_used_idx - 1));
    word = which == 4 ? &entry->length : &entry->id;
    seen = device->arena->fenced + ((uintptr_t)word - (uintptr_t)device->arena->memory);
    second = which == 1 ? n : which == 2 ? (*id + 1) % n : which == 3 ? *id + UINT32_C(0x10000) : UINT32_MAX;
    if (which != 4)
        rp_hostile_named(hostile, second);
    return rp_flip_start(seen, word, *word, second) ? DONE : RP_STATUS_UNSUPPORTED;
}

static int silence_broken(struct rp_device *device)
{
    uint32_t crc;
    bool due;

    (void)rp_device_read(device, 0, &crc);
    return rp_device_complete(device, 0, 0, UINT32_MAX, false, &due) > 0 ? DONE : NOTHING;
}

static int out_of_order(struct rp_device *device, uint32_t which, uint32_t more, uint32_t *id)
{
    uint32_t count = device->in_flight_count, n = device->config.queue_size, at = 0;
    uint16_t idx = device->shadow_used_idx;

    if (!device->config.in_order)
        return RP_STATUS_UNSUPPORTED;
    if (count == 0 || which > 2)
        return NOTHING;
    *id = device->in_flight[count - 1].head;
    while (which == 2 && at < n && device->owners[at] != 0)
        at++;
    if (which == 2)
        *id = at; /* n, if none is free */
    write_entry(device, idx, *id, 0);
    if (which == 1)
        count += more;
    set_used_idx(device, (uint16_t)(idx + (which == 0 ? 1 : count)));
    return DONE;
}

static void spoil_table(struct rp_device *device, const struct rp_chain *chain, uint32_t which)
{
    uint8_t *table = device->arena->memory + (chain->table_address - RP_ARENA_ADDRESS);

    if (rp_arena_room(device->arena, chain->table_address) < chain->table_bytes)
        return; /* it is no more, or is not the arena's */
    for (uint32_t at = 0; at < chain->table_bytes / 16; at++) {
        struct rp_descriptor entry;

        memcpy(&entry, table + 16 * (size_t)at, sizeof(entry));
        entry.next = (uint16_t)at;
        entry.flags |= RP_DESC_NEXT;
        if (which != 2)
            memset(&entry, which == 1 ? 0xff : 0, sizeof(entry));
        memcpy(table + 16 * (size_t)at, &entry, sizeof(entry));
    }
}

static int payload(struct rp_hostile *hostile, uint32_t which, uint32_t value)
{
    struct rp_device *device = hostile->device;
    int done = NOTHING;

    if (which == 0) {
        memset(hostile->buffers, (int)(value & 0xff), RP_BUFFER_BYTES);
        return DONE;
    }
    for (uint32_t i = 0; which <= 3 && i < device->in_flight_count; i++) {
        if (device->in_flight[i].table_address == 0)
            continue;
        spoil_table(device, &device->in_flight[i], which);
        done = DONE;
    }
    return done;
}

static int act(struct rp_hostile *hostile, const struct rp_op *op, uint32_t *id)
{
    struct rp_device *device = hostile->device;

    switch (op->a) {
    case RP_MISCHIEF_ID_RANGE:
        return id_range(device, op->b, op->c, id);
    case RP_MISCHIEF_ID_NOT_HEAD:
        return id_not_head(device, op->b, op->c, id);
    case RP_MISCHIEF_USED_IDX:
        return used_idx(device, op->b, op->c);
    case RP_MISCHIEF_LENGTH:
        return length(device, op->b, op->c, id);
    case RP_MISCHIEF_REWRITE:
        return rewrite(device, op->b, op->c);
    case RP_MISCHIEF_DOUBLE_FETCH:
        return double_fetch(hostile, op->b, op->c, id);
    case RP_MISCHIEF_FLAGS:
        device->used[0] = device->shadow_flags = (uint16_t)op->b;
        return DONE;
    case RP_MISCHIEF_SILENCE:
        return silence_broken(device);
    case RP_MISCHIEF_IN_ORDER:
        return out_of_order(device, op->b, op->c, id);
    case RP_MISCHIEF_PAYLOAD:
        return payload(hostile, op->b, op->c);
    default:
        return RP_STATUS_UNSUPPORTED;
    }
}

int rp_mischief(struct rp_hostile *hostile, const struct rp_op *op, uint32_t *id)
{
    int status;

    *id = 0;
    rp_device_observe(hostile->device);
    rp_hostile_catch_up(hostile);
    status = act(hostile, op, id);
    rp_hostile_catch_up(hostile);
    return status;
}

void rp_mischief_settle(void)
{
    (void)rp_flip_stop();
}
