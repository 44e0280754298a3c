/* SPDX-License-Identifier: Apache-2.0 */
/* A stack, a memory and a network device moved by hand, for cases that drive the C network driver through its
 * ABI. Everything the driver does is written to one log, in words:
 *   Ri18=3     read of the register at 18: i I/O, c common, s ISR, d configuration; the value is hexadecimal
 *   Wn16=1     write, here to a notify address
 *   F0 O0      frame 0 was freed, orphaned
 *   S1 B1 K1   transmit queue 1 was stopped, started (begun again), woken
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>

#include "ringproof_net_driver.h"

#define CSUM      (UINT64_C(1) << 0)
#define MAC       (UINT64_C(1) << 5)
#define TSO4      (UINT64_C(1) << 11)
#define TSO6      (UINT64_C(1) << 12)
#define ECN       (UINT64_C(1) << 13)
#define UFO       (UINT64_C(1) << 14)
#define MRG       (UINT64_C(1) << 15)
#define STATUS    (UINT64_C(1) << 16)
#define CTRL      (UINT64_C(1) << 17)
#define MQ        (UINT64_C(1) << 22)
#define INDIRECT  (UINT64_C(1) << 28)
#define EVENT     (UINT64_C(1) << 29)
#define VERSION_1 (UINT64_C(1) << 32)
#define OFFLOADS  (CSUM | TSO4 | TSO6 | ECN | UFO)

#define LEGACY RP_NET_LEGACY
#define MODERN RP_NET_MODERN

#define MOST_QUEUES 64
#define MOST_FRAMES 64

/* Ends the program with the place and the expression when it does not hold. */
#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))
_Noreturn void fail(const char *file, int line, const char *what);

/* A virtqueue as its device knows it. */
struct device_queue {
    uint32_t page_frame, enabled;
    uint64_t desc, driver, device; /* guest-physical */
    uint32_t size;                 /* as written by the driver; legacy: as offered */
    uint16_t read;                 /* chains taken from the available ring */
    uint16_t heads[256];           /* of those not completed, oldest first */
    uint32_t held;
};

struct bench {
    const struct rp_net_driver *driver;
    struct rp_net_env env;
    void *device; /* the driver's, once probed */
    char log[1 << 17];
    size_t logged;

    /* How the device is. */
    uint64_t offers;
    uint32_t size;          /* of every queue */
    uint32_t missing;       /* a queue of size 0 */
    uint32_t busy;          /* a queue that seems to be in use already */
    uint16_t max_pairs;
    uint32_t reset_reads;   /* so often status still reads as before a reset */
    uint32_t changes;       /* so often the configuration changes while it is read */
    bool refuses_features;
    bool mute;              /* the control queue is never served */
    bool eager;             /* whatever is in a transmit queue when it is notified is completed at once */
    uint8_t verdict;        /* what it answers to commands */

    /* Its registers. */
    uint8_t status, before_reset, isr, generation;
    uint32_t stale_reads;
    uint32_t selected_features, selected_driver, selected;
    uint64_t accepted;
    uint16_t link;
    struct device_queue queues[MOST_QUEUES];
    uint8_t command[64]; /* the last one on the control queue, without its answer */
    uint32_t command_bytes;

    /* Memory. */
    uint64_t next_address;
    uint32_t live, live_private; /* allocations not released */
    uint32_t allocations, fail_at; /* the latter one fails, counted from 1 */
    bool no_memory;                /* that the device can reach */
    bool log_memory;               /* A100: 100 bytes were allocated for the device; D100: released */
    size_t last_alignment;

    /* Frames. */
    uint32_t frames;
    bool reuse;                       /* the numbers of frames that were freed */
    const struct rp_net_packet **cut; /* a link to take out before a frame's memory can be freed */
    struct sent {
        struct rp_net_frame frame;
        uint8_t *data;
        uint32_t length;
        uint32_t freed, orphaned;
        uint8_t control[RP_NET_CONTROL_BYTES]; /* what it held when the frame was freed */
    } sent[MOST_FRAMES];
};

extern struct bench bench;

/* -- bench.c: the stack and memory -- */

bool linux_3_11(void);
/* A fresh bench: a device with queues of 256 that offers `features` (and VERSION_1 if modern). */
void prepare(uint32_t transport, uint64_t features);
int probe(void);
/* prepare, and a probe that must succeed; the log is empty then. */
void open_device(uint32_t transport, uint32_t size, uint64_t features);
/* Removes the device: nothing may stay allocated, and every frame sent must have been freed once. */
void close_device(void);
/* Nothing is allocated and the device of a failed probe is null. */
void check_nothing_held(void);

void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The log since the last call is exactly this. */
#define EXPECT_LOG(expected) expect_log(__FILE__, __LINE__, expected)
void expect_log(const char *file, int line, const char *expected);
/* Whether the log holds this word, and as how many-th (from 0); -1 if not. */
int position(const char *word);
void forget_log(void);

/* Memory of the device from then on, at an address of its own. */
uint64_t share(void *memory, size_t bytes, uint64_t alignment);
void unshare(const void *memory);
/* The memory behind a guest-physical address; all `bytes` must lie in one shared block. */
void *at(uint64_t address, size_t bytes);

/* -- registers.c: the device -- */

uint32_t register_read(void *context, uint32_t region, uint32_t offset, uint32_t width);
void register_write(void *context, uint32_t region, uint32_t offset, uint32_t width, uint32_t value);
uint16_t *avail_ring(uint32_t queue); /* flags, idx, ring, used_event */
uint16_t *used_ring(uint32_t queue);  /* flags, idx, ring, avail_event */
/* Reads the next chain: all its bytes to `to`, which holds `room`; how many segments and bytes. */
uint32_t read_chain(uint32_t queue, uint8_t *to, uint32_t room, uint32_t *segments);
/* Completes the `count` oldest chains read. */
void complete(uint32_t queue, uint32_t count);

/* -- frames.c -- */

struct rp_net_packet *packet(uint32_t head_length);
void fragment(struct rp_net_packet *packet, uint32_t offset, uint32_t length);
void append(struct rp_net_packet *packet, struct rp_net_packet *following);
/* A frame of this packet; its number. */
uint32_t frame(struct rp_net_packet *packet);
/* A frame of a head of 60 bytes and `fragments` fragments. */
uint32_t frame_of(uint32_t fragments);
/* Hands a frame to the queue that the driver chooses; which one. */
uint32_t send(uint32_t number);
/* The device finds this frame next in the transmit queue, in so many segments, behind a header of these bytes
 * in hexadecimal. */
#define EXPECT_FRAME(pair, number, segments, header) \
    expect_frame(__FILE__, __LINE__, pair, number, segments, header)
void expect_frame(const char *file, int line, uint32_t pair, uint32_t number, uint32_t segments,
                  const char *header);
struct rp_net_statistics statistics(uint32_t pair);
void free_frame_memory(struct sent *sent);

#endif
