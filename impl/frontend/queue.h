/* SPDX-License-Identifier: Apache-2.0 */
/* One virtqueue with the driver under test behind it, and the buffers that it is given. */
#ifndef RINGPROOF_FRONTEND_QUEUE_H
#define RINGPROOF_FRONTEND_QUEUE_H

#include "frame.h"
#include "options.h"
#include "ringproof_driver.h"

struct fe_queue {
    uint32_t             index;   /* 2k: receives; 2k + 1: sends */
    uint32_t             size;
    const struct rp_driver *driver; /* of a copy of the library: the ABI lets one queue live at a time */
    struct rp_env        env;
    struct rp_ring_parts parts;   /* guest-physical */
    void                *queue;   /* the driver's; null while there is none */
    uint64_t             features; /* accepted, of the device; env.features has what the driver is told */
    int                  kick, call; /* eventfds; -1 while there is none */
    bool                 polls;   /* interrupts are not wanted, or the driver has no means for them */
    bool                 asleep;  /* callbacks are on and nothing is done before the call eventfd says so */
    bool                 called;  /* the driver has called back */
    bool                 listens; /* callbacks are on, as far as we have said */
    bool                 broken;  /* get_buf said so */
    bool                 header_apart;

    struct fe_frame     *frames;  /* all of them; `free` has those that are not out */
    struct fe_frame    **free;
    uint32_t             count, free_count, outstanding;
    uint64_t             added;   /* since it was set up */
    /* What came back; called with the frame no longer out, before it is among the free ones. */
    void               (*back)(struct fe_queue *queue, struct fe_frame *frame, uint32_t length);
    void                *owner;
};

/* Loads a copy of the library of its own for `queue`. Exits as bad use if it is no driver. */
void fe_queue_load(struct fe_queue *queue, const char *library);
/* Makes `count` frames of `room` bytes each. Exits as bad use if there is no memory. */
void fe_queue_provide(struct fe_queue *queue, uint32_t count, uint32_t room);
/* Creates the driver's queue with what is in index, size, features, polls; takes a new pair of eventfds. */
void fe_queue_create(struct fe_queue *queue);
/* After the device has forgotten it: takes back what is out, and destroys it. */
void fe_queue_destroy(struct fe_queue *queue);

/* A frame that isn't out, which is the caller's until it is added or put back; null if all are out. */
struct fe_frame *fe_queue_frame(struct fe_queue *queue);
void fe_queue_put_back(struct fe_queue *queue, struct fe_frame *frame);
/* Whether the driver says that a frame of so many segments fits; true if it does not say. */
bool fe_queue_room(const struct fe_queue *queue, uint32_t segments);
/* Adds a frame in so many segments at most, to be read, or (receives) to be written. False: refused, and put back. */
bool fe_queue_add(struct fe_queue *queue, struct fe_frame *frame, uint32_t segments);
void fe_queue_kick(struct fe_queue *queue);
/* Takes back what was used, at most `most`; returns how many. */
uint32_t fe_queue_reclaim(struct fe_queue *queue, uint32_t most);
/* Nothing is left to take back: switches callbacks on, or leaves them on where that is enough (`how` chooses); true if
 * it may sleep now. */
bool fe_queue_arm(struct fe_queue *queue, uint32_t how);
/* The call eventfd is readable: reads it and lets the driver have its interrupt. If that wakes the queue, callbacks
 * are switched off, or (`how` chooses) stay on. */
void fe_queue_interrupted(struct fe_queue *queue, uint32_t how);
/* No more interrupts for now. */
void fe_queue_quiet(struct fe_queue *queue);

#endif
