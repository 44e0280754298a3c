/* SPDX-License-Identifier: Apache-2.0 */
/* One driver under test, the device on the other side of its queue, and the memory between them. */
#ifndef RINGPROOF_HARNESS_H
#define RINGPROOF_HARNESS_H

#include "arena.h"
#include "device.h"
#include "mischief.h"
#include "private.h"
#include "process.h"
#include "protocol.h"
#include "ringproof_driver.h"

#define RP_SEGMENTS_MAX 65536u /* of one ADD: twice the largest queue */

struct rp_pushed {
    uint64_t token;
    uint32_t length;
};

/* What one queue is given. It outlives the queue by some further ones, so that a driver that goes on calling is
 * found out by the context it calls with. */
struct rp_tie {
    struct rp_env      env;
    struct rp_harness *harness;
    uint64_t           life; /* the queue's number */
};

#define RP_TIES 8u

/* Which of its environment's functions a driver called when it should not have (LATE_CALL: a). */
enum rp_call {
    RP_CALL_NOTIFY = 1,
    RP_CALL_CALLBACK = 2,
    RP_CALL_COMPLETED = 3,
    RP_CALL_ALLOCATE = 4,
    RP_CALL_RELEASE = 5,
    RP_CALL_MAP = 6,
    RP_CALL_UNMAP = 7
};

struct rp_harness {
    struct rp_process  process;
    struct rp_shared  *shared;
    struct rp_log      log;
    struct rp_arena    arena;
    struct rp_privates privates;
    uint8_t           *buffers; /* RP_BUFFER_BYTES: what segments lie in */
    struct rp_maps     maps;
    struct rp_shortage shortage;
    struct rp_driver   driver;  /* a copy of the library's table */
    struct rp_tie      ties[RP_TIES];
    const struct rp_env *env;   /* of the queue created last */
    uint64_t           life;    /* its number */
    bool               calls_allowed; /* from its create to the end of its destroy */
    uint32_t           late;    /* enum rp_call: what was called since, or 0 */
    struct rp_device   device;
    struct rp_hostile  hostile;
    bool               has_queue;
    void              *queue;
    struct rp_segment *segments;

    uint64_t adds; /* since create: the tokens */
    uint32_t mark; /* of the last enable_cb_prepare */
    uint32_t notifies, callbacks; /* during this operation */

    /* interrupts without news: see operations.c */
    bool     quiet;   /* the last GET found nothing, and nothing was used since */
    bool     alarmed; /* there was one, and neither a GET nor something used since */
    bool     alarmed_quiet; /* it found the queue quiet */
    uint64_t alarmed_at; /* chains completed then */

    /* tokens of a driver that pushes them, until a GET asks; slot k mod capacity */
    struct rp_pushed *pushed;
    uint64_t          pushed_in, pushed_out;
};

#define RP_PUSHED 131072u

/* environment.c: what the driver is given. */

/* False when there is no memory. */
bool rp_environment_init(struct rp_harness *harness);
/* Fills in env for the queue that shared->config describes. */
void rp_environment_prepare(struct rp_harness *harness);

/* operations.c: what the driver is asked. */

/* Runs shared->op_count operations; leaves in op_current how many were run. */
void rp_operations_run(struct rp_harness *harness, const struct rp_op *ops, struct rp_result *results);
/* A bit for each driver's operation that can be asked for. */
uint32_t rp_operations_offered(const struct rp_driver *driver);

/* library.c: the shared library. */

/* Opens it and copies its table. False with shared->message set. */
bool rp_library_open(struct rp_harness *harness, const char *path);

#endif
