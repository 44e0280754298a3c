/* ---- An honest device, which looks at all that the driver publishes ------------------------------------- */

#define NEXT     1u
#define WRITE    2u
#define INDIRECT 4u

/* A chain that add took: what it was given, and where the driver put it. */
struct chain {
    struct chain *next;
    uint64_t token;
    uint32_t seed, out, in;
    uint32_t head, slot, held; /* known once published; held: descriptors of the table */
    uint32_t writable, length; /* bytes the device may write; what its used entry says */
    bool has_entry;
};

/* First in, first out. */
struct list {
    struct chain *first, *last;
    uint32_t count;
};

static struct list added, published, used_up, pushed; /* a chain's way, but for in_flight before used_up */
static struct chain **in_flight;
static uint32_t in_flight_count, descriptors_held;
static struct chain **owner; /* of each descriptor: the chain that has it, until the device completes it */
static unsigned char *desc, *avail, *used, *used_kept; /* used_kept: the used ring as the device left it */
static uint16_t seen_idx, used_idx;
static uint64_t since_kick;  /* chains published since the device was last told */
static uint16_t told_idx;    /* avail_idx then */
static bool reset;           /* the device does nothing any more; the ring is the driver's alone */
static uint64_t in_order_next; /* with IN_ORDER: where the next chain begins */

#define USED_BYTES (6 + 8 * (size_t)QUEUE_SIZE)
#define HAS(feature) ((FEATURES & (feature)) != 0)

static void append(struct list *list, struct chain *chain)
{
    chain->next = NULL;
    if (list->count++ == 0)
        list->first = chain;
    else
        list->last->next = chain;
    list->last = chain;
}

static struct chain *take(struct list *list)
{
    struct chain *chain = list->first;

    list->first = chain->next;
    list->count--;
    return chain;
}

static uint64_t segment_address(uint32_t seed, uint32_t index)
{
    return BUFFER_ADDRESS + ((seed + index * UINT32_C(0x9E3779B1)) >> 8 & 0xFFFF0);
}

static uint32_t segment_length(uint32_t seed, uint32_t index)
{
    return 1 + ((seed + index * UINT32_C(0x9E3779B1)) & 0x1FFFF);
}

/* One descriptor that must be segment number `index` of the chain. */
static void look_at_segment(struct chain *chain, uint32_t index, const unsigned char *descriptor)
{
    uint64_t address = load64(descriptor);
    uint32_t length = load32(descriptor + 8), flags = load16(descriptor + 12);
    bool writable = index >= chain->out;

    if (index >= chain->out + chain->in)
        fail("the chain at head %" PRIu32 " goes on after the %" PRIu32 " segments that were added", chain->head,
             chain->out + chain->in);
    if (address != segment_address(chain->seed, index) || length != segment_length(chain->seed, index))
        fail("segment %" PRIu32 " of the chain at head %" PRIu32 " is 0x%" PRIx64 ", %" PRIu32
             " bytes; added was 0x%" PRIx64 ", %" PRIu32 " bytes",
             index, chain->head, address, length, segment_address(chain->seed, index),
             segment_length(chain->seed, index));
    if (((flags & WRITE) != 0) != writable)
        fail("segment %" PRIu32 " of the chain at head %" PRIu32 " is for the device to %s", index, chain->head,
             writable ? "read; it was added to be written" : "write; it was added to be read");
    if ((driver->traits & RP_TRAIT_MAPS) != 0 && !is_mapped(address, length))
        fail("segment %" PRIu32 " of the chain at head %" PRIu32 " is not mapped, or no more", index, chain->head);
    if (writable)
        chain->writable += length;
    chain->length += length;
}

static uint32_t follow_table(struct chain *chain, const unsigned char *descriptor)
{
    uint64_t address = load64(descriptor);
    uint32_t bytes = load32(descriptor + 8), entries = bytes / 16, at = 0, seen = 0;
    const unsigned char *table = reach(address, bytes);

    if (!HAS(RP_F_INDIRECT_DESC))
        fail("head %" PRIu32 " is INDIRECT, which was not negotiated", chain->head);
    if ((load16(descriptor + 12) & NEXT) != 0)
        fail("head %" PRIu32 " is INDIRECT and NEXT", chain->head);
    if (bytes == 0 || bytes % 16 != 0 || table == NULL)
        fail("head %" PRIu32 " has a table of %" PRIu32 " bytes at 0x%" PRIx64
             ", which the driver does not hold",
             chain->head, bytes, address);
    for (;;) {
        const unsigned char *entry = table + 16 * (size_t)at;
        uint32_t flags = load16(entry + 12), next = load16(entry + 14);

        if ((flags & INDIRECT) != 0)
            fail("entry %" PRIu32 " of the table of head %" PRIu32 " is INDIRECT itself", at, chain->head);
        look_at_segment(chain, seen++, entry);
        if ((flags & NEXT) == 0)
            return seen;
        if (next >= entries)
            fail("the table of head %" PRIu32 " goes on at entry %" PRIu32 " of %" PRIu32, chain->head, next,
                 entries);
        if (HAS(RP_F_IN_ORDER) && next != at + 1)
            fail("entry %" PRIu32 " of the table of head %" PRIu32 " goes on at %" PRIu32
                 ", though IN_ORDER was negotiated",
                 at, chain->head, next);
        at = next;
    }
}

/* Goes along a chain from its head: it must be what was added, in descriptors that are nobody else's. */
static void follow(struct chain *chain)
{
    uint32_t at = chain->head, seen = 0, held = 0;

    chain->writable = chain->length = 0;
    for (;;) {
        const unsigned char *descriptor;
        uint32_t flags, next;

        if (at >= QUEUE_SIZE)
            fail("the chain at head %" PRIu32 " has descriptor %" PRIu32 ", the queue only %u", chain->head, at,
                 (unsigned)QUEUE_SIZE);
        if (owner[at] != NULL && owner[at] != chain)
            fail("descriptor %" PRIu32 " is in the chains at heads %" PRIu32 " and %" PRIu32 " at once", at,
                 owner[at]->head, chain->head);
        owner[at] = chain;
        held++;
        descriptor = desc + 16 * (size_t)at;
        flags = load16(descriptor + 12);
        next = load16(descriptor + 14);
        if ((flags & INDIRECT) != 0) {
            seen += follow_table(chain, descriptor);
            break;
        }
        look_at_segment(chain, seen++, descriptor);
        if ((flags & NEXT) == 0)
            break;
        if (HAS(RP_F_IN_ORDER) && next != (at + 1) % QUEUE_SIZE)
            fail("descriptor %" PRIu32 " goes on at %" PRIu32 ", though IN_ORDER was negotiated", at, next);
        at = next;
    }
    if (seen != chain->out + chain->in)
        fail("the chain at head %" PRIu32 " has %" PRIu32 " segments, %" PRIu32 " were added", chain->head, seen,
             chain->out + chain->in);
    descriptors_held += held - chain->held;
    chain->held = held;
}

/* Looks at a chain once more: it must be as it was published. */
static void follow_again(struct chain *chain)
{
    uint32_t held = chain->held;

    follow(chain);
    if (chain->held != held)
        fail("the chain at head %" PRIu32 " changed while it was with the device", chain->head);
}

static uint32_t slot_holds(uint32_t slot)
{
    return load16(avail + 4 + 2 * (size_t)slot);
}

/* Looks at the ring after the driver had its turn. */
static void observe(void)
{
    uint16_t idx = load16(avail + 2);

    if ((uint16_t)(idx - seen_idx) > added.count)
        fail("avail_idx went from %u to %u, though only %" PRIu32 " chains wait to be published",
             (unsigned)seen_idx, (unsigned)idx, added.count);
    while (seen_idx != idx) {
        struct chain *chain = take(&added);

        chain->slot = seen_idx % QUEUE_SIZE;
        chain->head = slot_holds(chain->slot);
        if (chain->head < QUEUE_SIZE && owner[chain->head] != NULL && owner[chain->head]->head == chain->head)
            fail("head %" PRIu32 " is published in slot %" PRIu32 ", though it is with the device already",
                 chain->head, chain->slot);
        if (HAS(RP_F_IN_ORDER) && chain->head != in_order_next % QUEUE_SIZE)
            fail("the chain's head is %" PRIu32 ", though IN_ORDER was negotiated and %" PRIu32 " is next",
                 chain->head, (uint32_t)(in_order_next % QUEUE_SIZE));
        follow(chain);
        in_order_next += chain->held;
        append(&published, chain);
        seen_idx++;
        since_kick++;
    }
    if (load16(used) != load16(used_kept) || load16(used + 2) != used_idx)
        fail("the driver wrote to the used ring");
}

/* Looks at what takes longer. */
static void observe_all(void)
{
    red_zones_whole();
    if (reset)
        return;
    observe();
    if (memcmp(used, used_kept, USED_BYTES) != 0)
        fail("the driver wrote to the used ring");
}

static void store_used(size_t offset, uint32_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        used[offset + i] = used_kept[offset + i] = (unsigned char)(value >> 8 * i);
}

/* The device reads up to `limit` chains, all for 0; how many. */
static uint32_t device_read(uint32_t limit)
{
    uint32_t count = 0;

    while (published.count > 0 && (limit == 0 || count < limit)) {
        struct chain *chain = take(&published);

        if (slot_holds(chain->slot) != chain->head)
            fail("slot %" PRIu32 " of the available ring held %" PRIu32 " and now %" PRIu32
                 ", before the device has read it",
                 chain->slot, chain->head, slot_holds(chain->slot));
        follow_again(chain);
        in_flight[in_flight_count++] = chain;
        count++;
    }
    return count;
}

static bool interrupt_due(uint16_t old)
{
    if (HAS(RP_F_EVENT_IDX)) {
        uint16_t event = load16(avail + 4 + 2 * (size_t)QUEUE_SIZE);

        return (uint16_t)(used_idx - event - 1) < (uint16_t)(used_idx - old);
    }
    return (load16(avail) & 1) == 0;
}

static void complete_one(uint32_t at, uint32_t slot, bool writes_entry, bool total)
{
    struct chain *chain = in_flight[at];

    follow_again(chain);
    in_flight_count--;
    if (HAS(RP_F_IN_ORDER))
        memmove(&in_flight[at], &in_flight[at + 1], (in_flight_count - at) * sizeof(*in_flight));
    else
        in_flight[at] = in_flight[in_flight_count];
    if (!total)
        chain->length = chain->writable;
    chain->has_entry = writes_entry;
    if (writes_entry) {
        store_used(4 + 8 * (size_t)slot, chain->head, 4);
        store_used(8 + 8 * (size_t)slot, chain->length, 4);
    }
    for (uint32_t i = 0; i < QUEUE_SIZE && chain->held > 0; i++)
        if (owner[(chain->head + i) % QUEUE_SIZE] == chain) {
            owner[(chain->head + i) % QUEUE_SIZE] = NULL;
            chain->held--;
            descriptors_held--;
        }
    append(&used_up, chain);
}

/* The device completes up to `count` chains and publishes them by one store of used_idx. */
static uint32_t device_complete(uint32_t pick, uint32_t stride, uint32_t count, bool total, bool *due)
{
    uint16_t old = used_idx;

    *due = false;
    if (count > in_flight_count)
        count = in_flight_count;
    for (uint32_t j = 0; j < count; j++) {
        uint32_t at = HAS(RP_F_IN_ORDER) ? 0 : (uint32_t)((pick + (uint64_t)j * stride) % in_flight_count);

        /* With IN_ORDER, one used entry stands for the whole batch: it names the last chain (2.7.9). */
        if (HAS(RP_F_IN_ORDER))
            complete_one(at, old % QUEUE_SIZE, j + 1 == count, total);
        else
            complete_one(at, (uint32_t)((old + j) & 0xFFFF) % QUEUE_SIZE, true, total);
    }
    if (count > 0) {
        used_idx = (uint16_t)(old + count);
        store_used(2, used_idx, 2);
        *due = interrupt_due(old);
    }
    return count;
}

/* Whether the device asked to be told of what was published since it was last told. */
static bool kick_due(void)
{
    uint16_t event = load16(used + 4 + 8 * (size_t)QUEUE_SIZE), fresh = (uint16_t)(seen_idx - told_idx);

    if (since_kick == 0)
        return false;
    if (!HAS(RP_F_EVENT_IDX))
        return (load16(used) & 1) == 0;
    return since_kick > 0xFFFF || (uint16_t)(seen_idx - event - 1) < fresh;
}
