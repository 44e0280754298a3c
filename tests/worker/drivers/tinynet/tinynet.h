/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network driver as small as can be: legacy devices, direct descriptors, no offloads. It is right unless
 * RINGPROOF_TINYNET_FAULT names a fault.
 */
#ifndef TINYNET_H
#define TINYNET_H

#include "ringproof_net_driver.h"

#include <stdbool.h>

#define MOST_QUEUES 17u
#define MOST_ENTRIES 1024u
#define HEADER_BYTES 10u

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct queue {
    uint32_t           number;
    uint32_t           size;
    void              *ring;
    uint64_t           address;
    size_t             bytes;
    struct descriptor *desc;
    volatile uint16_t *avail; /* flags, idx, ring, used_event */
    volatile uint16_t *used;  /* flags, idx, ring as two 32-bit words, avail_event */
    uint16_t           last_used;
    uint16_t           free_head;
    uint32_t           num_free;
    bool               stopped;
    const struct rp_net_frame *frames[MOST_ENTRIES]; /* by head */
    struct rp_net_statistics   count;
};

struct device {
    const struct rp_net_env *env;
    uint32_t pairs;
    uint32_t in_use;
    uint32_t queue_count;
    struct queue queues[MOST_QUEUES];
    void   *extra; /* of some faults */
    uint64_t extra_address;
    uint32_t sent;
};

bool fault_is(const char *name);

/* faults.c: what can go wrong at each place; all of them do nothing without a fault. */
void misbehave_in_probe(struct device *device);
void misbehave_in_transmit(struct device *device, const struct rp_net_frame *frame);
void misbehave_with_others(struct queue *queue);
void misbehave_after_transmit(struct device *device, struct queue *queue, const struct rp_net_frame *frame);
void misbehave_in_remove(struct device *device);

#endif
