/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "fault.h"
#include "channel.h"
#include "memory.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESC_NEXT 1u
#define LINGER_US 400000u /* so long the back-end has to find out */

/* The ring as VIRTIO 1.3 section 2.7 lays it out; nothing here knows of the driver's own account of it. */
struct desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
struct avail {
    uint16_t flags, idx, ring[];
};
struct used {
    uint16_t flags, idx;
    struct {
        uint32_t id, length;
    } ring[];
};

bool fe_fault_comes(const struct fe_options *options)
{
    return options->fault >= FE_FAULT_TWICE;
}

bool fe_fault_waits(const struct fe_options *options)
{
    return options->fault >= FE_FAULT_LOOP_CHAIN && options->fault <= FE_FAULT_BACKWARDS;
}

static void ring_bell(const struct fe_queue *queue)
{
    uint64_t one = 1;

    if (write(queue->kick, &one, sizeof(one)) != sizeof(one))
        fe_end("misbehaved", "a kick cannot be written");
}

static _Noreturn void linger(struct fe_card *card, const char *what)
{
    uint64_t until = fe_now() + LINGER_US;

    ring_bell(&card->pairs[0].send);
    while (fe_now() < until && !fe_channel_closed(card->channel)) {
        poll(NULL, 0, 5);
        fe_alive();
    }
    fe_end("misbehaved", "%s", what);
}

/* Publishes chain 0, made of descriptors that the driver believes to be free. */
static void publish(const struct fe_queue *queue, uint64_t address, uint16_t flags)
{
    volatile struct desc *desc = fe_memory_at(queue->parts.desc);
    volatile struct avail *avail = fe_memory_at(queue->parts.avail);
    uint16_t idx = avail->idx;

    desc[0].address = address;
    desc[0].length = 76;
    desc[0].flags = flags;
    desc[0].next = (uint16_t)(1 % queue->size);
    desc[1 % queue->size].address = address;
    desc[1 % queue->size].length = 64;
    desc[1 % queue->size].flags = flags;
    desc[1 % queue->size].next = 0;
    avail->ring[idx & (queue->size - 1)] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    avail->idx = (uint16_t)(idx + 1);
}

static void connect_again(struct fe_card *card)
{
    struct pollfd look = {.events = POLLIN};
    char bytes[20];
    int answered;

    card->second = fe_channel_connect(card->options->socket);
    fe_channel_tell(card->second, FE_GET_FEATURES, NULL, 0, -1);
    look.fd = card->second;
    answered = poll(&look, 1, 500);
    if (answered == 0)
        fe_counts.second = "ignored";
    else if (recv(card->second, bytes, sizeof(bytes), 0) <= 0)
        fe_counts.second = "closed";
    else
        fe_counts.second = "answered";
}

void fe_fault_strike(struct fe_card *card)
{
    const struct fe_queue *queue = &card->pairs[0].send;
    volatile struct avail *avail = fe_memory_at(queue->parts.avail);
    volatile struct used *used = fe_memory_at(queue->parts.used);

    switch (card->options->fault) {
    case FE_FAULT_TWICE:
        connect_again(card);
        return;
    case FE_FAULT_LOOP_CHAIN:
        publish(queue, queue->frames[0].address, DESC_NEXT);
        linger(card, "published a chain that runs in a circle");
    case FE_FAULT_BAD_DESCRIPTOR:
        publish(queue, UINT64_C(0xdead00000000), 0);
        linger(card, "published a descriptor of memory that is not shared");
    case FE_FAULT_BACKWARDS:
        avail->idx = (uint16_t)(avail->idx - 5);
        linger(card, "moved avail_idx backwards");
    case FE_FAULT_WRITE_USED:
        used->ring[(used->idx + 2u) & (queue->size - 1)].id = 0xdeadbeef;
        return;
    case FE_FAULT_TRUNCATE:
        /* This side's own view of it first: it would not survive to touch what is gone. */
        if (mmap(fe_memory.base, fe_memory.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) == MAP_FAILED ||
            ftruncate(fe_memory.file, 4096) != 0)
            fe_end("misbehaved", "cannot make the memory shorter");
        linger(card, "made the memory shorter");
    case FE_FAULT_DIE:
        raise(SIGKILL);
        return;
    default:
        return;
    }
}
