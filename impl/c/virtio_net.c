/* SPDX-License-Identifier: Apache-2.0 */
/* Each function says which function of Linux 3.11's virtio_net.c it follows. */
#include "virtio_net.h"

#define COPY_ALIGNMENT 64u

/* The command that sets how many pairs are in use (VIRTIO 1.3 section 5.1.6.5.5), in one block of memory:
 * class and command, the number, the device's answer. */
#define COMMAND_BYTES     8u
#define COMMAND_NUMBER    2u
#define COMMAND_ANSWER    4u
#define CLASS_MQ          4u
#define MQ_VQ_PAIRS_SET   0u
#define ANSWER_OK         0u
#define ANSWER_NONE       0xffu
#define MOST_ANSWER_LOOKS 1000u

/* -- records -- */

size_t rp_net_queue_bytes(uint32_t size, bool transmits)
{
    size_t bytes = sizeof(struct rp_net_queue) + size * sizeof(struct rp_vq_data);

    return transmits ? bytes + (size + 1) * sizeof(struct rp_net_record) : bytes;
}

void rp_net_send_init(struct rp_net_queue *queue, uint32_t size, uint32_t pair)
{
    struct rp_net_record *records = (void *)&queue->data[size];

    queue->pair = pair;
    queue->room = RP_SG_ENTRIES;
    if (queue->device->mended && queue->room > size)
        queue->room = size; /* more can never be free, and longer frames are copied into fewer pieces */
    for (uint32_t i = 0; i <= size; i++) {
        records[i].next = queue->unused;
        queue->unused = &records[i];
    }
    rp_sg_init(queue->sg, RP_SG_ENTRIES);
}

/* A chain takes a descriptor at least, and there is a record more than descriptors. */
static struct rp_net_record *take_record(struct rp_net_queue *queue, const struct rp_net_frame *frame)
{
    struct rp_net_record *record = queue->unused;

    if (record != NULL) {
        queue->unused = record->next;
        record->frame = frame;
        record->copy = NULL;
    }
    return record;
}

static void give_back(struct rp_net_queue *queue, struct rp_net_record *record)
{
    const struct rp_net_env *env = queue->device->env;

    if (record->copy != NULL)
        env->release(env->context, record->copy, record->copy_bytes);
    record->next = queue->unused;
    queue->unused = record;
}

/* dev_kfree_skb */
static void free_frame(struct rp_net_queue *queue, const struct rp_net_frame *frame)
{
    const struct rp_net_env *env = queue->device->env;

    env->freed(env->context, frame->token);
}

/* -- transmit -- */

/* free_old_xmit_skbs */
static void free_old_xmit_skbs(struct rp_net_queue *queue)
{
    uint32_t written;
    void *token;

    while (rp_vq_get_buf(&queue->vq, &token, &written) == 1) {
        struct rp_net_record *record = token;
        const struct rp_net_frame *frame = record->frame;

        queue->count.tx_packets += 1;
        queue->count.tx_bytes += frame->packet->length;
        give_back(queue, record);
        free_frame(queue, frame);
    }
}

/* skb_linearize: a frame of more pieces than the ring has descriptors becomes one, with its header in front
 * where VERSION_1 lets header and data share a descriptor (VIRTIO 1.3 section 2.7.4). */
static int linearize(struct rp_net_queue *queue, struct rp_net_record *record)
{
    const struct rp_net_env *env = queue->device->env;
    const struct rp_net_packet *packet = record->frame->packet;
    uint32_t header = rp_net_has(queue->device, RP_NET_F_VERSION_1) ? queue->device->header_bytes : 0;
    struct rp_sg *sg = &queue->sg[header > 0 ? 0 : 1];
    uint64_t address = 0;
    uint8_t *copy;

    if (packet->length > UINT32_MAX - header)
        return RP_SG_EMSGSIZE;
    record->copy_bytes = (size_t)header + packet->length;
    record->copy = env->allocate(env->context, record->copy_bytes, COPY_ALIGNMENT, &address);
    if (record->copy == NULL)
        return RP_NET_ENOMEM;
    copy = record->copy;
    __builtin_memcpy(copy, record->frame->control, header);
    rp_sg_set(sg, address, (uint32_t)record->copy_bytes);
    rp_sg_mark_end(sg);
    return rp_skb_copy(packet, copy + header, packet->length);
}

static int map_frame(struct rp_net_queue *queue, struct rp_net_record *record, uint32_t pieces)
{
    const struct rp_net_frame *frame = record->frame;
    int used;

    rp_sg_set(&queue->sg[0], frame->control_address, queue->device->header_bytes);
    if (queue->device->mended && 1 + pieces > queue->vq.queue_size)
        return linearize(queue, record);
    used = rp_skb_to_sgvec(frame->packet, &queue->sg[1], RP_SG_ENTRIES - 1, 0, frame->packet->length);
    return used < 0 ? used : RP_NET_OK;
}

/* xmit_skb */
static int xmit_skb(struct rp_net_queue *queue, const struct rp_net_frame *frame)
{
    const struct rp_net_device *device = queue->device;
    struct rp_net_record *record;
    int pieces = rp_skb_pieces(frame->packet);
    int error;

    if (pieces < 0)
        return pieces;
    if (frame->packet->length == 0)
        return RP_NET_EINVAL;
    error = rp_net_header_check(frame, device->features, device->mended);
    if (error != RP_NET_OK)
        return error;
    record = take_record(queue, frame);
    if (record == NULL)
        return RP_VQ_ENOSPC;
    rp_net_header_write(frame->control, frame, device->header_bytes, device->mended);
    error = map_frame(queue, record, (uint32_t)pieces);
    if (error == RP_NET_OK)
        error = rp_vq_add(&queue->vq, queue->sg, rp_sg_count(queue->sg, RP_SG_ENTRIES), 0, record);
    if (error != RP_NET_OK)
        give_back(queue, record);
    return error;
}

static bool has_room(const struct rp_net_queue *queue)
{
    return queue->vq.num_free >= queue->room;
}

/* start_xmit */
void rp_net_start_xmit(struct rp_net_queue *queue, const struct rp_net_frame *frame)
{
    const struct rp_net_env *env = queue->device->env;

    free_old_xmit_skbs(queue);
    if (xmit_skb(queue, frame) != RP_NET_OK) {
        queue->count.tx_fifo_errors += 1;
        queue->count.tx_dropped += 1;
        free_frame(queue, frame);
        return;
    }
    rp_vq_kick(&queue->vq);
    env->orphaned(env->context, frame->token);

    if (has_room(queue))
        return;
    env->stop_queue(env->context, queue->pair);
    if (!rp_vq_enable_cb_delayed(&queue->vq)) {
        /* More were used just then; no interrupt may come for them. */
        free_old_xmit_skbs(queue);
        if (has_room(queue)) {
            env->start_queue(env->context, queue->pair);
            rp_vq_disable_cb(&queue->vq);
        }
    }
}

/* skb_xmit_done. The original wakes the queue whatever is free. */
void rp_net_xmit_done(void *context)
{
    struct rp_net_queue *queue = context;
    const struct rp_net_env *env = queue->device->env;

    rp_vq_disable_cb(&queue->vq);
    if (!queue->device->mended) {
        env->wake_queue(env->context, queue->pair);
        return;
    }
    free_old_xmit_skbs(queue);
    if (has_room(queue)) {
        env->wake_queue(env->context, queue->pair);
    } else if (!rp_vq_enable_cb_delayed(&queue->vq)) {
        free_old_xmit_skbs(queue);
        if (has_room(queue)) {
            env->wake_queue(env->context, queue->pair);
            rp_vq_disable_cb(&queue->vq);
        }
    }
}

/* free_unused_bufs */
void rp_net_free_unused(struct rp_net_queue *queue)
{
    struct rp_net_record *record = rp_vq_detach_unused_buf(&queue->vq);

    while (record != NULL) {
        const struct rp_net_frame *frame = record->frame;

        give_back(queue, record);
        free_frame(queue, frame);
        record = rp_vq_detach_unused_buf(&queue->vq);
    }
}

/* virtnet_select_queue */
uint32_t rp_net_select_queue(const struct rp_net_device *device, const struct rp_net_frame *frame)
{
    uint32_t queue = frame->queue_recorded ? frame->recorded_queue : frame->cpu;

    return queue % device->pairs;
}

/* -- control -- */

/* virtnet_send_command waits without an end; here the device has MOST_ANSWER_LOOKS. An earlier command that
 * it answers only now is released. */
static bool await_answer(struct rp_net_queue *queue, const void *command)
{
    const struct rp_net_env *env = queue->device->env;
    uint32_t written;
    void *token;

    for (uint32_t looks = 0; looks < MOST_ANSWER_LOOKS; looks++) {
        if (rp_vq_get_buf(&queue->vq, &token, &written) != 1)
            continue;
        if (token == command)
            return true;
        env->release(env->context, token, COMMAND_BYTES);
    }
    return false;
}

/* virtnet_set_queues */
int rp_net_set_pairs(struct rp_net_device *device, uint32_t pairs)
{
    const struct rp_net_env *env = device->env;
    struct rp_net_queue *queue = rp_net_control_queue(device);
    struct rp_sg sg[3];
    volatile uint8_t *command;
    uint64_t address = 0;
    void *block;
    uint8_t answer;

    if (pairs == 0 || pairs > device->most_pairs)
        return RP_NET_EINVAL;
    if (queue == NULL || !rp_net_has(device, RP_NET_F_MQ))
        return pairs == 1 ? RP_NET_OK : RP_NET_EINVAL;

    block = env->allocate(env->context, COMMAND_BYTES, COMMAND_BYTES, &address);
    if (block == NULL)
        return RP_NET_ENOMEM;
    command = block;
    command[0] = CLASS_MQ;
    command[1] = MQ_VQ_PAIRS_SET;
    command[COMMAND_NUMBER] = (uint8_t)pairs;
    command[COMMAND_NUMBER + 1] = (uint8_t)(pairs >> 8);
    command[COMMAND_ANSWER] = ANSWER_NONE;
    rp_sg_set(&sg[0], address, COMMAND_NUMBER);
    rp_sg_set(&sg[1], address + COMMAND_NUMBER, COMMAND_ANSWER - COMMAND_NUMBER);
    rp_sg_set(&sg[2], address + COMMAND_ANSWER, 1);
    if (rp_vq_add(&queue->vq, sg, 2, 1, block) != 0) {
        env->release(env->context, block, COMMAND_BYTES);
        return RP_NET_EINVAL;
    }
    rp_vq_kick(&queue->vq);
    if (!await_answer(queue, block))
        return RP_NET_ETIMEDOUT; /* the device may still write the answer: the memory stays its own */
    answer = command[COMMAND_ANSWER];
    env->release(env->context, block, COMMAND_BYTES);
    if (answer != ANSWER_OK)
        return RP_NET_EINVAL;
    device->pairs = pairs;
    return RP_NET_OK;
}

void rp_net_free_commands(struct rp_net_queue *queue)
{
    const struct rp_net_env *env = queue->device->env;
    void *command = rp_vq_detach_unused_buf(&queue->vq);

    while (command != NULL) {
        env->release(env->context, command, COMMAND_BYTES);
        command = rp_vq_detach_unused_buf(&queue->vq);
    }
}
