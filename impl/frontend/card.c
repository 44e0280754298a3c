/* SPDX-License-Identifier: Apache-2.0 */
#include "card.h"
#include "channel.h"
#include "memory.h"
#include "report.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define RECEIVE_BYTES 2048u
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u

/* Feature bits that this program can do with, whatever the driver knows. With CTRL_VQ comes a queue that vhost-user
 * back-ends never see. */
#define UNDERSTOOD (FE_NET_CSUM | FE_NET_MTU | FE_NET_MAC | FE_NET_MRG_RXBUF | FE_NET_STATUS | FE_ANY_LAYOUT | \
                    FE_VERSION_1 | FE_NET_GUEST_HDRLEN | FE_NET_CTRL_VQ | FE_NET_MQ)

uint32_t fe_card_random(struct fe_card *card)
{
    uint64_t z = card->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

void fe_card_open(struct fe_card *card, const struct fe_options *options)
{
    size_t frames = (size_t)options->queue_size + 16, room = 12 + options->most_bytes, block = 64;

    card->options = options;
    card->random = options->seed;
    card->second = -1;
    while (block < room)
        block *= 2;
    /* Rings and tables: the file is sparse, what is not touched is not there. */
    fe_memory_open(options->pairs * (frames * (block + RECEIVE_BYTES) + ((size_t)options->queue_size << 12) + (16u << 20)));
    for (uint32_t k = 0; k < options->pairs; k++) {
        struct fe_pair *pair = &card->pairs[k];

        pair->receive.index = 2 * k;
        pair->send.index = 2 * k + 1;
        pair->receive.size = pair->send.size = options->queue_size;
        pair->receive.polls = pair->send.polls = options->polls;
        pair->receive.kick = pair->receive.call = pair->send.kick = pair->send.call = -1;
        pair->receive.owner = pair->send.owner = card;
        fe_queue_load(&pair->receive, options->library);
        fe_queue_load(&pair->send, options->library);
        fe_queue_provide(&pair->receive, (uint32_t)frames, RECEIVE_BYTES);
        fe_queue_provide(&pair->send, (uint32_t)frames, (uint32_t)room);
    }
    card->channel = fe_channel_connect(options->socket);
}

static uint64_t ask64(struct fe_card *card, enum fe_request request)
{
    uint64_t answer;

    fe_channel_ask(card->channel, request, NULL, 0, &answer, sizeof(answer));
    return answer;
}

static void set_status(struct fe_card *card, uint64_t status)
{
    if ((card->protocol_features & FE_PROTOCOL_STATUS) != 0)
        fe_channel_tell(card->channel, FE_SET_STATUS, &status, sizeof(status), -1);
}

/* Everything up to the features, which it decides. */
static void negotiate(struct fe_card *card)
{
    const struct fe_options *options = card->options;
    uint64_t offered, accepted, queues;

    fe_channel_tell(card->channel, FE_SET_OWNER, NULL, 0, -1);
    offered = fe_counts.offered = ask64(card, FE_GET_FEATURES);
    if (options->fault == FE_FAULT_TORN_MESSAGE) {
        fe_channel_raw(card->channel, FE_SET_FEATURES, 8, "\1\2\3", 3);
        fe_end("misbehaved", "closed the connection in the middle of a message");
    }
    card->protocol_features = 0;
    if ((offered & FE_PROTOCOL_FEATURES) != 0) {
        card->protocol_features = ask64(card, FE_GET_PROTOCOL_FEATURES);
        card->protocol_features &= FE_PROTOCOL_MQ | FE_PROTOCOL_REPLY_ACK | FE_PROTOCOL_STATUS;
        fe_channel_tell(card->channel, FE_SET_PROTOCOL_FEATURES, &card->protocol_features, 8, -1);
    }
    if (options->pairs > 1) {
        queues = (card->protocol_features & FE_PROTOCOL_MQ) != 0 ? ask64(card, FE_GET_QUEUE_NUM) : 1;
        if (queues < options->pairs)
            fe_bad_use("--pairs %u: the back-end has %llu", options->pairs, (unsigned long long)queues);
    }
    accepted = offered & options->features & (UNDERSTOOD | card->pairs[0].send.driver->features);
    if ((card->pairs[0].send.driver->features & FE_VERSION_1) == 0)
        accepted &= ~FE_VERSION_1;
    if (options->pairs > 1 && (~accepted & (FE_NET_MQ | FE_NET_CTRL_VQ)) != 0)
        fe_bad_use("--pairs %u: MQ and CTRL_VQ are not offered, or not to be accepted", options->pairs);
    /* VIRTIO 1.3 section 5.1.3.1; and one pair needs neither. */
    if (options->pairs == 1)
        accepted &= ~(FE_NET_CTRL_VQ | FE_NET_MQ);
    accepted |= offered & FE_PROTOCOL_FEATURES;
    if (options->fault == FE_FAULT_PACKED)
        accepted |= FE_PACKED;
    card->features = fe_counts.accepted = accepted;
}

static void share_memory(struct fe_card *card)
{
    struct fe_mem_table table = {
        .count = 1,
        .regions[0] = {.guest = fe_memory.guest, .bytes = fe_memory.bytes, .user = (uintptr_t)fe_memory.base},
    };

    fe_channel_sure(card->channel, FE_SET_MEM_TABLE, &table, sizeof(table), fe_memory.file,
                    (card->protocol_features & FE_PROTOCOL_REPLY_ACK) != 0);
}

/* Nothing more comes from this side, until the other one has had enough of it or the time is over. */
static _Noreturn void idle(struct fe_card *card)
{
    double wanted = card->options->seconds > 0 ? card->options->seconds : 60;
    uint64_t until = fe_now() + (uint64_t)(wanted * 1e6);

    while (fe_now() < until && !fe_stopping && !fe_channel_closed(card->channel)) {
        poll(NULL, 0, 10);
        fe_alive();
    }
    fe_end("misbehaved", "started no queue");
}

static void call_of(struct fe_card *card, const struct fe_queue *queue)
{
    uint64_t index = queue->index;

    fe_channel_tell(card->channel, FE_SET_VRING_CALL, &index, sizeof(index), queue->call);
}

static void set_up(struct fe_card *card, const struct fe_queue *queue)
{
    struct fe_vring_state size = {queue->index, queue->size}, base = {queue->index, 0};
    struct fe_vring_address address = {
        .index = queue->index,
        .desc = (uintptr_t)fe_memory_at(queue->parts.desc),
        .used = (uintptr_t)fe_memory_at(queue->parts.used),
        .avail = (uintptr_t)fe_memory_at(queue->parts.avail),
    };
    uint64_t index = queue->index;

    if (card->options->fault == FE_FAULT_WRONG_SIZE) {
        fe_channel_raw(card->channel, FE_SET_VRING_NUM, 4, &size, 4);
        idle(card);
    }
    fe_channel_tell(card->channel, FE_SET_VRING_NUM, &size, sizeof(size), -1);
    fe_channel_tell(card->channel, FE_SET_VRING_BASE, &base, sizeof(base), -1);
    fe_channel_tell(card->channel, FE_SET_VRING_ADDR, &address, sizeof(address), -1);
    fe_channel_tell(card->channel, FE_SET_VRING_KICK, &index, sizeof(index), queue->kick);
}

static void enable(struct fe_card *card, bool on)
{
    for (uint32_t k = 0; k < 2 * card->options->pairs && (card->features & FE_PROTOCOL_FEATURES) != 0; k++) {
        struct fe_vring_state state = {k, on};

        fe_channel_tell(card->channel, FE_SET_VRING_ENABLE, &state, sizeof(state), -1);
    }
}

bool fe_card_fill(struct fe_pair *pair)
{
    struct fe_frame *frame;
    uint32_t count = 0;

    while (fe_queue_room(&pair->receive, 1) && (frame = fe_queue_frame(&pair->receive)) != NULL) {
        if (!fe_queue_add(&pair->receive, frame, 1))
            break;
        count++;
    }
    pair->filled = pair->receive.outstanding;
    if (count > 0)
        fe_queue_kick(&pair->receive);
    return count > 0;
}

void fe_card_start(struct fe_card *card)
{
    const struct fe_options *options = card->options;

    set_status(card, 0);
    negotiate(card);
    set_status(card, STATUS_ACKNOWLEDGE);
    set_status(card, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    for (uint32_t k = 0; k < options->pairs; k++) {
        struct fe_pair *pair = &card->pairs[k];

        pair->receive.features = pair->send.features = card->features;
        fe_queue_create(&pair->receive);
        fe_queue_create(&pair->send);
        for (uint32_t i = 0; i < pair->send.count; i++)
            fe_frame_prepare(&pair->send.frames[i], card->features);
        call_of(card, &pair->receive);
        call_of(card, &pair->send);
    }
    fe_channel_tell(card->channel, FE_SET_FEATURES, &card->features, sizeof(card->features), -1);
    set_status(card, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    if (options->fault != FE_FAULT_NO_MEMORY)
        share_memory(card);
    if (options->fault == FE_FAULT_NEVER_START)
        idle(card);
    for (uint32_t k = 0; k < options->pairs; k++) {
        set_up(card, &card->pairs[k].receive);
        set_up(card, &card->pairs[k].send);
    }
    enable(card, true);
    set_status(card, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    for (uint32_t k = 0; k < options->pairs; k++)
        card->pairs[k].receives = fe_card_fill(&card->pairs[k]);
}

void fe_card_stop(struct fe_card *card, bool politely)
{
    if (politely)
        enable(card, false);
    for (uint32_t k = 0; k < 2 * card->options->pairs; k++) {
        struct fe_vring_state state = {k, 0}, answer;

        fe_channel_ask(card->channel, FE_GET_VRING_BASE, &state, sizeof(state), &answer, sizeof(answer));
    }
    for (uint32_t k = 0; k < card->options->pairs; k++) {
        fe_queue_destroy(&card->pairs[k].receive);
        fe_queue_destroy(&card->pairs[k].send);
    }
}
