/* SPDX-License-Identifier: Apache-2.0 */
/* One whole network driver under test, the device it finds, the stack above it, and the memory between. */
#ifndef RINGPROOF_NET_HARNESS_H
#define RINGPROOF_NET_HARNESS_H

#include "arena.h"
#include "net_protocol.h"
#include "private.h"
#include "process.h"
#include "registers.h"

#define RP_NET_QUARANTINE 256u

enum rp_net_life {
    RP_NET_LIFE_NEW = 0, /* never handed over */
    RP_NET_LIFE_IN_FLIGHT,
    RP_NET_LIFE_FREED,
    RP_NET_LIFE_LOST /* a driver keeps it for ever, as the device would not be reset */
};

/* What a frame is made of while the driver has it: one block of memory. */
struct rp_net_parts {
    struct rp_net_frame *frame;
    size_t               bytes;
};

struct rp_net_frames {
    uint8_t             *window; /* RP_NET_FRAME_BYTES, with a page on either side that nobody can touch */
    uint8_t             *copy;   /* what the window must hold, but for control blocks of frames in flight */
    uint64_t             used;   /* bytes of it */
    uint32_t             count;
    uint8_t             *lives;  /* enum rp_net_life per frame */
    uint8_t              life_before; /* of the frame sent last */
    struct rp_net_parts *parts;  /* per frame */
    struct rp_net_parts  released[RP_NET_QUARANTINE]; /* scribbled over, and not handed out again for a while */
    uint32_t             released_at;
};

struct rp_net_harness {
    struct rp_process     process;
    struct rp_net_shared *shared;
    struct rp_log         log;
    struct rp_arena       arena;
    struct rp_shortage    shortage;
    struct rp_privates    privates;
    struct rp_net_frames  frames;
    struct rp_net_driver  driver; /* a copy of the library's table */
    struct rp_net_env     env;
    void                 *device; /* the driver's */

    /* of the XMIT under way, if the device is to act at its notification */
    struct {
        struct rp_net_result *result; /* null: it is not, or has */
        uint32_t              queue, number;
        uint16_t              before; /* avail_idx */
    } quick;

    bool     stopped[RP_NET_MOST_PAIRS];
    uint32_t access_limit, event_limit; /* what the logs may hold at this operation's end */
};

/* What lies at an offset of the shared file. */
static inline void *rp_net_at(const struct rp_net_harness *harness, uint64_t offset)
{
    return (uint8_t *)harness->shared + offset;
}

static inline void rp_net_check(struct rp_net_harness *harness, enum rp_net_finding code, bool holds,
                                uint64_t a, uint64_t b)
{
    rp_check(&harness->log, (enum rp_finding)(int)code, holds, a, b);
}

/* net_frames.c: frames and their memory. */

/* Maps the window. False when there is no memory. */
bool rp_net_frames_map(struct rp_net_harness *harness);
/* Takes the table as it is now; there must be no frame in flight. False when there is no memory. */
bool rp_net_frames_take(struct rp_net_harness *harness);
/* Makes the frame's structures: it is in flight. Null when there is no memory. */
const struct rp_net_frame *rp_net_frames_send(struct rp_net_harness *harness, uint32_t number);
/* Takes back the frame sent last, which the driver was not given after all. */
void rp_net_frames_withdraw(struct rp_net_harness *harness, uint32_t number);
bool rp_net_frames_in_flight(const struct rp_net_harness *harness, uint32_t number);
/* The driver frees, or orphans, whatever it calls a token; judged. */
void rp_net_frames_freed(struct rp_net_harness *harness, uint64_t token);
void rp_net_frames_orphaned(struct rp_net_harness *harness, uint64_t token);
/* The frame handed over last was published, as far as the available ring tells. */
void rp_net_frames_published(struct rp_net_harness *harness, uint32_t number);
/* After remove: frames left, which are lost if that is `excused`, and writes to what is not the driver's. */
void rp_net_frames_check(struct rp_net_harness *harness, bool excused);

/* control.c: the device's side of the control queue. */

/* Answers all that the driver has published. */
void rp_net_control_serve(struct rp_net_harness *harness);
/* Memory of the arena as the device sees it, or null when not all of it is there. */
uint8_t *rp_net_memory(const struct rp_net_harness *harness, uint64_t address, uint64_t bytes);

/* net_environment.c: what the driver is given. */

/* Fills in env for the device that shared->config describes. */
void rp_net_environment_prepare(struct rp_net_harness *harness);

/* net_operations.c: what the driver is asked. */

/* Runs shared->op_count operations; leaves in op_current how many were run. False with shared->message set
 * when the next one cannot be asked. */
bool rp_net_operations_run(struct rp_net_harness *harness);
/* The driver has notified a queue: a quick device acts now. */
void rp_net_operations_notified(struct rp_net_harness *harness, uint32_t queue);

/* net_library.c: the shared library. */

/* Opens it and copies its table. False with shared->message set. */
bool rp_net_library_open(struct rp_net_harness *harness, const char *path);

#endif
