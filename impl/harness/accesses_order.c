/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is made of an instrumented driver's accesses.
 *
 * The device looks at once when a word that it reads was stored, as it may at any time: what is in the ring only
 * for a moment is judged like what stays. Beyond that, four rules are about order alone:
 *
 * - ORDER_PUBLISH: stores to a chain (descriptors, table entries, its slot) are followed by a release before the
 *   store of avail_idx that publishes it, or that store is one.
 * - ORDER_KICK: who declines to notify has read the suppression word after the last store of avail_idx, with a
 *   full barrier between. Who notifies owes none.
 * - ORDER_USED: what a token was returned for was read after a read of used_idx that tells of it, with an acquire
 *   between.
 *
 * - ORDER_ARM: who says that nothing was used, and that an interrupt will come, has read used_idx after the store
 *   that asked for it (one that changed used_event, or cleared avail.flags), with a full barrier between.
 *
 * The first is judged only if the driver declares that all its order is by C11 means, as is the acquire of the
 * third; for machines there are other ways, which the instrumentation does not show.
 */
#include "accesses.h"

#include "device.h"
#include "protocol.h"
#include "ringproof_driver.h"

#include <stdlib.h>
#include <string.h>

#define STORES 4096u   /* remembered since the last release; more are forgotten, and not judged */
#define CHAINS_MAX 256u /* published at once by one store, and judged */

/* As in the findings: which part, and a number within it. */
enum part { PART_DESCRIPTOR = 1, PART_SLOT = 2, PART_TABLE = 3, PART_FLAGS = 4, PART_EVENT = 5 };

struct store {
    enum part part;
    uint32_t  at; /* descriptor or slot; of what may be a table: bytes from the arena's begin */
};

/* The last read of an entry of the used ring, its id and its length apart. */
struct used_read {
    uint64_t entry[2]; /* which one, counted from 1; 0 for none */
    uint8_t  wrong[2]; /* 0: rightly ordered; 1: no acquire; 2: used_idx had not told of it */
};

static struct order {
    struct rp_device *device;
    bool     c11, fences_told;
    uint32_t n;

    /* plain stores that are about to be made */
    bool           stored_words; /* avail_idx or avail_flags among them */
    enum rp_order  idx_order;
    uint32_t       first_desc, end_desc, first_slot, end_slot; /* owned by the device */
    uint32_t       first_used, end_used; /* bytes */

    struct store *stores;
    uint32_t      store_count;
    uint64_t      judged; /* available entries */

    bool     unnotified; /* avail_idx was stored since the last notification */
    bool     fenced, idx_seq_cst; /* since that store; that store */
    bool     word_read, word_ordered; /* since that store */
    bool     word_seen; /* since create */
    uint16_t idx;

    int      operation;    /* under way */
    bool     stored_event; /* as stored_words: used_event */
    bool     armed;        /* the word that asks for interrupts was stored */
    int      armed_by;     /* in this operation */
    bool     arm_seq_cst, arm_fenced; /* that store; since then */
    bool     looked, looked_ordered;  /* used_idx was read since then */
    uint16_t arm_word;

    uint64_t          used_told, used_acquired; /* entries, by the last read of used_idx */
    bool              used_idx_seen;
    struct used_read *used_reads;
} order;

static bool acquires(enum rp_order how)
{
    return how == RP_ORDER_CONSUME || how == RP_ORDER_ACQUIRE || how == RP_ORDER_ACQ_REL ||
           how == RP_ORDER_SEQ_CST;
}

static bool releases(enum rp_order how)
{
    return how == RP_ORDER_RELEASE || how == RP_ORDER_ACQ_REL || how == RP_ORDER_SEQ_CST;
}

static bool overlap(uintptr_t address, size_t bytes, const volatile void *part, size_t part_bytes)
{
    return address < (uintptr_t)part + part_bytes && (uintptr_t)part < address + bytes;
}

/* The elements of an array that an access touches: *first up to, without, the one returned. */
static uint32_t elements(uintptr_t address, size_t bytes, const volatile void *array, uint32_t count,
                         uint32_t size, uint32_t *first)
{
    uintptr_t begin = (uintptr_t)array, end = begin + (uintptr_t)count * size, last = address + bytes;

    *first = 0;
    if (address >= end || last <= begin)
        return 0;
    *first = address > begin ? (uint32_t)((address - begin) / size) : 0;
    return last >= end ? count : (uint32_t)((last - begin + size - 1) / size);
}

static void remember(enum part part, uint32_t at)
{
    struct store store = {part, at};

    if (order.store_count > 0 && order.stores[order.store_count - 1].part == part &&
        order.stores[order.store_count - 1].at == at)
        return;
    if (order.store_count == STORES) {
        memmove(order.stores, order.stores + STORES / 2, STORES / 2 * sizeof(store));
        order.store_count = STORES / 2;
    }
    order.stores[order.store_count++] = store;
}

/* Whether the store was to an unread chain that was published as one of the entries from `from` on. */
static bool is_of(const struct store *store, uint64_t from, uint64_t *place)
{
    const struct rp_device *device = order.device;

    *place = RP_PAIR(store->part, store->at);
    for (uint64_t entry = from; entry < device->published; entry++) {
        uint32_t slot = (uint32_t)(entry % order.n);
        const struct rp_chain *chain = &device->unread[slot];
        uint64_t address = RP_ARENA_ADDRESS + store->at;

        if (store->part == PART_SLOT ? store->at == slot
            : store->part == PART_DESCRIPTOR
                ? chain->readable && device->owners[store->at] == chain->mark
                : chain->readable && address - chain->table_address < chain->table_bytes) {
            if (store->part == PART_TABLE)
                *place = RP_PAIR(PART_TABLE, (address - chain->table_address) / 16);
            return true;
        }
    }
    return false;
}

/* avail_idx has been stored, and the device has looked. a: avail_idx; b: the first store that was not ordered. */
static void judge_publication(enum rp_order how)
{
    const struct rp_device *device = order.device;
    uint64_t from = order.judged, place = 0;
    bool holds = true;

    order.judged = device->published;
    if (from < device->read_count)
        from = device->read_count;
    if (from >= device->published || !order.c11)
        return;
    if (device->published - from > CHAINS_MAX)
        from = device->published - CHAINS_MAX;
    for (uint32_t i = 0; i < order.store_count && holds && !releases(how); i++)
        holds = !is_of(&order.stores[i], from, &place);
    rp_check(device->log, RP_FIND_ORDER_PUBLISH, holds, order.idx, place);
}

static void publish(void)
{
    const struct rp_device *device = order.device;
    uint16_t idx = device->avail[1];

    if (idx == order.idx)
        return;
    order.idx = idx;
    if (releases(order.idx_order))
        order.store_count = 0;
    judge_publication(order.idx_order);
    order.unnotified = true;
    order.fenced = false;
    order.idx_seq_cst = order.idx_order == RP_ORDER_SEQ_CST;
    order.word_read = false;
}

static uint16_t arming_word(const struct rp_device *device)
{
    return device->config.event_idx ? rp_used_event(device) : device->avail[0];
}

/* The words that ask for interrupts may have been stored. To store what is there already asks for nothing. */
static void arm(void)
{
    uint16_t word = arming_word(order.device);

    if (word == order.arm_word)
        return;
    order.arm_word = word;
    order.armed = order.device->config.event_idx || (word & 1) == 0;
    order.armed_by = order.operation;
    order.arm_seq_cst = order.idx_order == RP_ORDER_SEQ_CST;
    order.arm_fenced = order.looked = order.looked_ordered = false;
}

static void check_owned(void)
{
    struct rp_device *device = order.device;

    for (uint32_t i = order.first_desc; i < order.end_desc; i++)
        if (device->owners[i] != 0)
            rp_check(device->log, RP_FIND_CHAIN_CHANGED,
                     memcmp((const void *)(uintptr_t)&device->desc[i], &device->shadow_desc[i], 16) == 0,
                     RP_PAIR(RP_PLACE_DESCRIPTOR, i), 0);
    for (uint32_t slot = order.first_slot; slot < order.end_slot; slot++) {
        uint64_t entry = device->read_count + (slot + order.n - device->read_count % order.n) % order.n;
        uint16_t head = device->avail[2 + slot];

        if (entry < device->published)
            rp_check(device->log, RP_FIND_CHAIN_CHANGED, head == device->shadow_avail[slot],
                     RP_PAIR(RP_PLACE_AVAIL_SLOT, slot), RP_PAIR(head, device->shadow_avail[slot]));
    }
}

/* Of the used ring but its two first words and the last one, which the device looks at itself. */
static void check_used(void)
{
    struct rp_device *device = order.device;

    for (uint32_t at = order.first_used & ~3u; at < order.end_used; at += 4) {
        uint32_t seen, expected;

        if (at < 4 || at >= 4 + 8 * order.n)
            continue;
        memcpy(&seen, (const uint8_t *)(uintptr_t)device->used + at, 4);
        memcpy(&expected, (const uint8_t *)device->shadow_used + (at - 4), 4);
        rp_check(device->log, RP_FIND_USED_WRITTEN, seen == expected, at, RP_PAIR(seen, expected));
    }
}

static void settle(void)
{
    rp_watch.pending = false;
    check_owned();
    check_used();
    if (order.stored_words || order.first_used < order.end_used)
        rp_device_observe(order.device);
    if (order.stored_words)
        publish();
    if (order.stored_words || order.stored_event)
        arm();
    order.stored_words = order.stored_event = false;
    order.first_desc = order.end_desc = order.first_slot = order.end_slot = 0;
    order.first_used = order.end_used = 0;
}

static void write_table(uintptr_t address, size_t bytes)
{
    const struct rp_device *device = order.device;
    uint32_t first, end = elements(address, bytes, device->desc, order.n, 16, &first);

    for (uint32_t i = first; i < end; i++) {
        rp_watch.pending = rp_watch.pending || device->owners[i] != 0;
        if (order.c11)
            remember(PART_DESCRIPTOR, i);
    }
    order.first_desc = first;
    order.end_desc = end;
}

static void write_available(uintptr_t address, size_t bytes, enum rp_order how)
{
    const struct rp_device *device = order.device;
    uint32_t first, end = elements(address, bytes, &device->avail[2], order.n, 2, &first);

    for (uint32_t i = first; i < end && order.c11; i++)
        remember(PART_SLOT, i);
    order.first_slot = first;
    order.end_slot = end;
    order.stored_words = overlap(address, bytes, device->avail, 4);
    order.stored_event = overlap(address, bytes, &device->avail[2 + order.n], 2);
    order.idx_order = how;
    rp_watch.pending = true;
}

static void write_other(uintptr_t address, size_t bytes)
{
    uint32_t at = (uint32_t)(address - rp_watch.begin);

    for (size_t done = 0; done < bytes && order.c11; done += 16)
        remember(PART_TABLE, at + (uint32_t)done);
}

static void written(uintptr_t address, size_t bytes, enum rp_order how)
{
    const struct rp_device *device = order.device;
    size_t n = order.n;
    bool known = false;

    if (overlap(address, bytes, device->desc, 16 * n)) {
        write_table(address, bytes);
        known = true;
    }
    if (overlap(address, bytes, device->avail, 6 + 2 * n)) {
        write_available(address, bytes, how);
        known = true;
    }
    if (overlap(address, bytes, device->used, 6 + 8 * n)) {
        uintptr_t begin = (uintptr_t)device->used;

        order.first_used = address > begin ? (uint32_t)(address - begin) : 0;
        order.end_used = (uint32_t)(address + bytes - begin);
        rp_watch.pending = true;
        known = true;
    }
    if (!known)
        write_other(address, bytes);
}

static void read_entries(uintptr_t address, size_t bytes)
{
    const struct rp_device *device = order.device;
    uint64_t total = device->completions_in;
    uint32_t first, end = elements(address, bytes, &device->used[2], 2 * order.n, 4, &first);

    for (uint32_t word = first; word < end; word++) {
        uint32_t slot = word / 2;
        struct used_read *read = &order.used_reads[slot];
        uint64_t entry;

        if (slot >= total)
            continue; /* nothing was ever there */
        entry = total - 1 - (total - 1 - slot) % order.n;
        read->entry[word % 2] = entry + 1;
        read->wrong[word % 2] = entry >= order.used_told ? 2 : entry >= order.used_acquired ? 1 : 0;
    }
}

static void read(uintptr_t address, size_t bytes, enum rp_order how)
{
    const struct rp_device *device = order.device;
    const volatile uint16_t *word = device->config.event_idx ? &device->used[rp_avail_event_at(device)]
                                                             : &device->used[0];

    if (!overlap(address, bytes, device->used, 6 + 8 * (size_t)order.n))
        return;
    if (overlap(address, bytes, word, 2)) {
        order.word_seen = true;
        order.word_read = order.unnotified;
        order.word_ordered = order.fenced || (order.idx_seq_cst && how == RP_ORDER_SEQ_CST);
    }
    if (overlap(address, bytes, &device->used[1], 2)) {
        order.used_idx_seen = order.looked = true;
        order.looked_ordered |= order.arm_fenced || (order.arm_seq_cst && how == RP_ORDER_SEQ_CST);
        order.used_told = device->completions_in;
        if (acquires(how))
            order.used_acquired = order.used_told;
    }
    read_entries(address, bytes);
}

static void fence(enum rp_order how)
{
    if (releases(how))
        order.store_count = 0;
    if (acquires(how))
        order.used_acquired = order.used_told;
    if (how == RP_ORDER_SEQ_CST)
        order.fenced = order.arm_fenced = true;
}

static void modified(enum rp_order how)
{
    if (how == RP_ORDER_SEQ_CST)
        order.fenced = order.arm_fenced = true;
}

bool rp_order_begin(struct rp_device *device, uint32_t traits, bool own_fences)
{
    rp_order_end();
    memset(&order, 0, sizeof(order));
    order.device = device;
    order.n = device->config.queue_size;
    order.c11 = (traits & RP_TRAIT_C11_ORDER) != 0;
    order.fences_told = order.c11 || !own_fences;
    order.judged = device->published;
    order.idx = device->avail[1];
    order.arm_word = arming_word(device);
    order.stores = calloc(STORES, sizeof(order.stores[0]));
    order.used_reads = calloc(order.n, sizeof(order.used_reads[0]));
    if (order.stores == NULL || order.used_reads == NULL) {
        rp_order_end();
        return false;
    }
    rp_watch.settle = settle;
    rp_watch.read = read;
    rp_watch.written = written;
    rp_watch.fence = fence;
    rp_watch.modified = modified;
    rp_watch.begin = (uintptr_t)device->arena->memory;
    rp_watch.bytes = RP_ARENA_BYTES;
    return true;
}

void rp_order_end(void)
{
    memset(&rp_watch, 0, sizeof(rp_watch));
    free(order.stores);
    free(order.used_reads);
    order.stores = NULL;
    order.used_reads = NULL;
}

void rp_order_settle(void)
{
    if (rp_watch.pending)
        settle();
}

void rp_order_asked(int code)
{
    order.operation = code;
}

/* Poll speaks of what enable_cb_prepare stored; get_buf and interrupt promise nothing unless they stored it
 * themselves, and leave the driver asleep.
 * a: the operation, and the word that asks for interrupts; b: which one that is, and if used_idx was read. */
void rp_order_relied(int code)
{
    const struct rp_device *device = order.device;

    if (rp_watch.bytes == 0)
        return;
    rp_order_settle();
    if (!order.armed || !order.fences_told || !order.used_idx_seen || !device->config.has_callback)
        return;
    if (code == RP_OP_POLL && order.armed_by != RP_OP_ENABLE_CB_PREPARE)
        return;
    if ((code == RP_OP_GET || code == RP_OP_INTERRUPT) &&
        (order.armed_by != code || !device->asleep || device->config.arms_once))
        return;
    rp_check(device->log, RP_FIND_ORDER_ARM, order.looked_ordered, RP_PAIR(code, order.arm_word),
             RP_PAIR(device->config.event_idx ? PART_EVENT : PART_FLAGS, order.looked));
}

void rp_order_notified(void)
{
    rp_order_settle();
    if (rp_watch.bytes > 0 && order.unnotified && order.fences_told && order.word_read && order.word_ordered)
        rp_check(order.device->log, RP_FIND_ORDER_KICK, true, order.idx, 0);
    order.unnotified = order.word_read = false;
}

/* a: avail_idx; b: the suppression word. A driver whose reads of it were seen before has made none that is not. */
void rp_order_kicked(void)
{
    rp_order_settle();
    if (rp_watch.bytes > 0 && order.unnotified && order.fences_told && order.word_seen)
        rp_check(order.device->log, RP_FIND_ORDER_KICK, order.word_read && order.word_ordered, order.idx,
                 RP_PAIR(order.device->config.event_idx ? PART_EVENT : PART_FLAGS, 0));
    order.unnotified = order.word_read = false;
}

/* a: which entry of the used ring; b: whether used_idx had told of it, at all. */
void rp_order_returned(void)
{
    const struct used_read *read;
    uint64_t entry;

    if (rp_watch.bytes == 0)
        return;
    rp_order_settle();
    entry = order.device->completions_out;
    read = &order.used_reads[entry % order.n];
    for (unsigned i = 0; i < 2; i++) {
        if (read->entry[i] != entry + 1)
            continue;
        if (order.c11 || (read->wrong[i] == 2 && order.used_idx_seen))
            rp_check(order.device->log, RP_FIND_ORDER_USED, read->wrong[i] == 0, entry % order.n,
                     read->wrong[i] == 2);
    }
}
