/* SPDX-License-Identifier: Apache-2.0 */
/* A whole network driver for a small kernel: modern transport only, one pair of queues, transmit side.
 *
 * Its ways are its own. Free descriptors wait in a FIFO and chains are remembered in shadow descriptors, so nothing
 * is ever read back from memory the device could write. Headers lie in a pool allocated once, one for each head.
 * Every frame is notified at once; what was sent is reclaimed in the interrupt handler and nowhere else. There are
 * no indirect tables and no event index. What has more pieces than descriptors are free, and what no header can
 * say, is dropped. */
#include "ringproof_net_driver.h"

#include <string.h>

enum { /* struct virtio_pci_common_cfg, by offset (VIRTIO 1.3 section 4.1.4.3) */
    DEVICE_FEATURE_SELECT = 0, DEVICE_FEATURE = 4, DRIVER_FEATURE_SELECT = 8, DRIVER_FEATURE = 12,
    DEVICE_STATUS = 20, QUEUE_SELECT = 22, QUEUE_SIZE = 24, QUEUE_ENABLE = 28, QUEUE_NOTIFY_OFF = 30,
    QUEUE_DESC = 32, QUEUE_DRIVER = 40, QUEUE_DEVICE = 48
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, FAILED = 128 };
enum { NEXT = 1 };
enum { RECEIVE, TRANSMIT, QUEUES };
enum { LARGEST_QUEUE = 256, PATIENCE = 10000, USUAL_PIECES = 2 + RP_NET_MOST_FRAGMENTS };

#define F_CSUM      (UINT64_C(1) << 0)
#define F_HOST_TSO4 (UINT64_C(1) << 11)
#define F_HOST_TSO6 (UINT64_C(1) << 12)
#define F_HOST_ECN  (UINT64_C(1) << 13)
#define F_VERSION_1 (UINT64_C(1) << 32)
#define UNDERSTOOD  (F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN | F_VERSION_1)

struct header { /* struct virtio_net_hdr, section 5.1.6 */
    uint8_t  flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct available { uint16_t flags, idx, ring[]; };
struct used_entry { uint32_t id, length; };
struct used { uint16_t flags, idx; struct used_entry ring[]; };

struct block { void *memory; size_t bytes; uint64_t address; };

struct shadow { /* of a descriptor; the token and the bytes of a frame are kept with its head */
    void    *token;
    uint32_t bytes;
    uint16_t next, pieces;
};

struct queue {
    struct block ring[3], headers; /* ring: descriptors, available, used */
    uint32_t size, notify_at;
    uint16_t avail_idx, last_used;
    /* Free descriptors: `free_count` of the FIFO's entries, from `free_first` on. */
    uint16_t fifo[LARGEST_QUEUE], free_first;
    uint32_t free_count;
    struct shadow shadow[LARGEST_QUEUE];
};

struct device {
    const struct rp_net_env *env;
    uint64_t features;
    int stopped;
    struct rp_net_statistics statistics;
    struct queue queues[QUEUES];
};

static uint32_t get(const struct device *device, uint32_t offset, uint32_t width)
{
    return device->env->read(device->env->context, RP_NET_COMMON, offset, width);
}

static void put(const struct device *device, uint32_t offset, uint32_t width, uint32_t value)
{
    device->env->write(device->env->context, RP_NET_COMMON, offset, width, value);
}

static void put_address(const struct device *device, uint32_t offset, uint64_t address)
{
    put(device, offset, 4, (uint32_t)address);
    put(device, offset + 4, 4, (uint32_t)(address >> 32));
}

static void add_status(const struct device *device, uint32_t bit)
{
    put(device, DEVICE_STATUS, 1, get(device, DEVICE_STATUS, 1) | bit);
}

static int reset(const struct device *device)
{
    put(device, DEVICE_STATUS, 1, 0);
    for (int tries = 0; tries < PATIENCE; tries++)
        if (get(device, DEVICE_STATUS, 1) == 0)
            return RP_NET_OK;
    return RP_NET_ETIMEDOUT;
}

static int allocate(const struct device *device, struct block *block, size_t bytes, size_t alignment)
{
    block->memory = device->env->allocate(device->env->context, bytes, alignment, &block->address);
    block->bytes = bytes;
    if (block->memory == NULL)
        return RP_NET_ENOMEM;
    memset(block->memory, 0, bytes);
    return RP_NET_OK;
}

static void give_back(struct device *device)
{
    const struct rp_net_env *env = device->env;

    for (struct queue *queue = device->queues; queue < device->queues + QUEUES; queue++) {
        struct block *blocks[] = {&queue->ring[0], &queue->ring[1], &queue->ring[2], &queue->headers};

        for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
            if (blocks[i]->memory != NULL)
                env->release(env->context, blocks[i]->memory, blocks[i]->bytes);
    }
    env->release_private(env->context, device, sizeof(*device));
}

static int negotiate(struct device *device)
{
    uint64_t offered;

    put(device, DEVICE_FEATURE_SELECT, 4, 1);
    offered = (uint64_t)get(device, DEVICE_FEATURE, 4) << 32;
    put(device, DEVICE_FEATURE_SELECT, 4, 0);
    offered |= get(device, DEVICE_FEATURE, 4);
    device->features = offered & UNDERSTOOD & device->env->features;
    if (!(device->features & F_VERSION_1))
        return RP_NET_ENODEV;
    if (!(device->features & F_CSUM)) /* segmentation rests on it (section 5.1.3.1) */
        device->features &= ~(F_HOST_TSO4 | F_HOST_TSO6);
    if (!(device->features & (F_HOST_TSO4 | F_HOST_TSO6)))
        device->features &= ~F_HOST_ECN;
    put(device, DRIVER_FEATURE_SELECT, 4, 1); /* the high word first */
    put(device, DRIVER_FEATURE, 4, (uint32_t)(device->features >> 32));
    put(device, DRIVER_FEATURE_SELECT, 4, 0);
    put(device, DRIVER_FEATURE, 4, (uint32_t)device->features);
    add_status(device, FEATURES_OK);
    return get(device, DEVICE_STATUS, 1) & FEATURES_OK ? RP_NET_OK : RP_NET_ENODEV;
}

static int set_up(struct device *device, uint32_t number)
{
    struct queue *queue = &device->queues[number];
    int status;

    put(device, QUEUE_SELECT, 2, number);
    queue->size = get(device, QUEUE_SIZE, 2);
    if (queue->size == 0)
        return RP_NET_ENOENT;
    if (queue->size & (queue->size - 1))
        return RP_NET_ENODEV;
    if (queue->size > LARGEST_QUEUE) {
        queue->size = LARGEST_QUEUE;
        put(device, QUEUE_SIZE, 2, queue->size);
    }
    if ((status = allocate(device, &queue->ring[0], 16 * queue->size, 16)) != RP_NET_OK ||
        (status = allocate(device, &queue->ring[1], 2 * queue->size + 6, 2)) != RP_NET_OK ||
        (status = allocate(device, &queue->ring[2], 8 * queue->size + 6, 4)) != RP_NET_OK)
        return status;
    if (number == TRANSMIT &&
        (status = allocate(device, &queue->headers, sizeof(struct header) * queue->size, 4)) != RP_NET_OK)
        return status;
    for (uint32_t i = 0; i < queue->size; i++)
        queue->fifo[i] = (uint16_t)i;
    queue->free_count = queue->size;
    queue->notify_at = get(device, QUEUE_NOTIFY_OFF, 2) * device->env->notify_off_multiplier;
    put_address(device, QUEUE_DESC, queue->ring[0].address);
    put_address(device, QUEUE_DRIVER, queue->ring[1].address);
    put_address(device, QUEUE_DEVICE, queue->ring[2].address);
    return RP_NET_OK;
}

static int bring_up(struct device *device)
{
    int status = reset(device);

    if (status != RP_NET_OK)
        return status;
    add_status(device, ACKNOWLEDGE);
    add_status(device, DRIVER);
    if ((status = negotiate(device)) != RP_NET_OK)
        return status;
    for (uint32_t number = 0; number < QUEUES; number++)
        if ((status = set_up(device, number)) != RP_NET_OK)
            return status;
    for (uint32_t number = 0; number < QUEUES; number++) {
        put(device, QUEUE_SELECT, 2, number);
        put(device, QUEUE_ENABLE, 2, 1);
    }
    add_status(device, DRIVER_OK);
    return RP_NET_OK;
}

static int probe(const struct rp_net_env *env, void **made)
{
    struct device *device = env->allocate_private(env->context, sizeof(*device));
    int status;

    if (device == NULL)
        return RP_NET_ENOMEM;
    memset(device, 0, sizeof(*device));
    device->env = env;
    status = bring_up(device);
    if (status != RP_NET_OK) {
        add_status(device, FAILED);
        give_back(device);
        return status;
    }
    env->start_queue(env->context, 0);
    *made = device;
    return RP_NET_OK;
}

static void remove_device(void *made)
{
    struct device *device = made;
    struct queue *queue = &device->queues[TRANSMIT];

    if (reset(device) != RP_NET_OK) return; /* it may still read frames and write to rings: they are lost */
    for (uint32_t head = 0; head < queue->size; head++)
        if (queue->shadow[head].token != NULL)
            device->env->freed(device->env->context, queue->shadow[head].token);
    give_back(device);
}

/* Whether a header can say what this frame asks for; then it does. */
static int describe(const struct device *device, const struct rp_net_frame *frame, struct header *header)
{
    static const uint64_t needed[] = {0, F_HOST_TSO4, F_HOST_TSO6};
    static const uint8_t types[] = {0, 1, 4};

    memset(header, 0, sizeof(*header));
    header->hdr_len = (uint16_t)(frame->packet->head_length < 65535 ? frame->packet->head_length : 65535);
    if (frame->checksum) {
        if (!(device->features & F_CSUM))
            return 0;
        header->flags = 1; /* NEEDS_CSUM */
        header->csum_start = frame->csum_start;
        header->csum_offset = frame->csum_offset;
    }
    if (frame->gso == RP_NET_GSO_NONE)
        return 1;
    if (frame->gso > RP_NET_GSO_TCPV6 || !(device->features & needed[frame->gso]) || !frame->checksum)
        return 0;
    if (frame->ecn && !(device->features & F_HOST_ECN))
        return 0;
    header->gso_type = (uint8_t)(types[frame->gso] | (frame->ecn ? 0x80 : 0));
    header->gso_size = frame->gso_size;
    return 1;
}

static uint32_t count(const struct rp_net_packet *packet)
{
    uint32_t pieces = packet->head_length != 0;

    for (uint32_t i = 0; i < packet->fragment_count; i++)
        pieces += packet->fragments[i].length != 0;
    for (const struct rp_net_packet *each = packet->list; each != NULL; each = each->next)
        pieces += count(each);
    return pieces;
}

/* Appends a descriptor to the chain whose last one is `*last`; an empty piece needs none. */
static void append(struct queue *queue, uint16_t *last, uint64_t address, uint32_t length)
{
    volatile struct descriptor *table = queue->ring[0].memory;
    uint16_t taken;

    if (length == 0)
        return;
    taken = queue->fifo[queue->free_first];
    queue->free_first = (uint16_t)((queue->free_first + 1) % queue->size);
    queue->free_count--;
    table[taken].address = address;
    table[taken].length = length;
    table[taken].flags = 0;
    table[*last].next = queue->shadow[*last].next = taken;
    table[*last].flags = NEXT;
    *last = taken;
}

static void append_packet(struct queue *queue, uint16_t *last, const struct rp_net_packet *packet)
{
    append(queue, last, packet->head_address, packet->head_length);
    for (uint32_t i = 0; i < packet->fragment_count; i++)
        append(queue, last, packet->fragments[i].page_address + packet->fragments[i].offset,
               packet->fragments[i].length);
    for (const struct rp_net_packet *each = packet->list; each != NULL; each = each->next)
        append_packet(queue, last, each);
}

static void transmit(void *made, uint32_t pair, const struct rp_net_frame *frame)
{
    struct device *device = made;
    struct queue *queue = &device->queues[TRANSMIT];
    const struct rp_net_env *env = device->env;
    struct available *available = queue->ring[1].memory;
    uint32_t pieces = 1 + count(frame->packet);
    struct header header;
    uint16_t head, last;

    if (pieces > queue->free_count || !describe(device, frame, &header)) {
        device->statistics.tx_dropped++;
        device->statistics.tx_fifo_errors += pieces > queue->free_count;
        env->freed(env->context, frame->token);
        return;
    }
    head = last = queue->fifo[queue->free_first];
    ((struct header *)queue->headers.memory)[head] = header;
    append(queue, &last, queue->headers.address + sizeof(header) * head, sizeof(header));
    append_packet(queue, &last, frame->packet);
    queue->shadow[head] = (struct shadow){frame->token, frame->packet->length, queue->shadow[head].next,
                                          (uint16_t)pieces};
    available->ring[queue->avail_idx % queue->size] = head;
    __atomic_store_n(&available->idx, ++queue->avail_idx, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    env->write(env->context, RP_NET_NOTIFY, queue->notify_at, 2, TRANSMIT);
    if (queue->free_count < USUAL_PIECES && queue->free_count < queue->size) {
        device->stopped = 1;
        env->stop_queue(env->context, pair);
    }
}

static void reclaim(struct device *device)
{
    struct queue *queue = &device->queues[TRANSMIT];
    const struct rp_net_env *env = device->env;
    struct used *used = queue->ring[2].memory;

    while (queue->last_used != __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE)) {
        uint32_t head = used->ring[queue->last_used++ % queue->size].id;
        struct shadow *frame;
        uint16_t each = (uint16_t)head;
        void *token;

        if (head >= queue->size || queue->shadow[head].token == NULL)
            continue; /* not one of ours: a broken device */
        frame = &queue->shadow[head];
        device->statistics.tx_packets++;
        device->statistics.tx_bytes += frame->bytes;
        for (uint32_t i = 0; i < frame->pieces; i++, each = queue->shadow[each].next)
            queue->fifo[(queue->free_first + queue->free_count++) % queue->size] = each;
        token = frame->token;
        frame->token = NULL;
        env->freed(env->context, token);
    }
}

static int interrupt(void *made)
{
    struct device *device = made;
    const struct rp_net_env *env = device->env;
    struct queue *queue = &device->queues[TRANSMIT];

    if (env->read(env->context, RP_NET_ISR, 0, 1) == 0)
        return 0;
    reclaim(device);
    if (device->stopped && (queue->free_count >= USUAL_PIECES || queue->free_count == queue->size)) {
        device->stopped = 0;
        env->wake_queue(env->context, 0);
    }
    return 1;
}

static void statistics(void *made, uint32_t pair, struct rp_net_statistics *filled)
{
    struct device *device = made;

    (void)pair;
    *filled = device->statistics;
    filled->num_free = device->queues[TRANSMIT].free_count;
}

static const struct rp_net_driver driver = {
    .abi_version = RP_NET_ABI_VERSION,
    .size = sizeof(struct rp_net_driver),
    .name = "fifo",
    .features = UNDERSTOOD,
    .transports = 1u << RP_NET_MODERN,
    .probe = probe,
    .remove = remove_device,
    .transmit = transmit,
    .interrupt = interrupt,
    .statistics = statistics,
};

const struct rp_net_driver *rp_net_driver_entry(void) { return &driver; }
