/* SPDX-License-Identifier: Apache-2.0 */
/* A small environment and a device moved by hand, for cases that drive the C virtqueue through its ABI. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <stdbool.h>

#include "ringproof_driver.h"

#define EVENT    RP_F_EVENT_IDX
#define INDIRECT RP_F_INDIRECT_DESC

#define NEXT  1u
#define WRITE 2u
#define TABLE 4u /* the INDIRECT flag of a descriptor */

/* Ends the program with the place and the expression when it does not hold. */
#define CHECK(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))
_Noreturn void fail(const char *file, int line, const char *what);

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

/* The queue under test: one at a time. */
struct bench {
    struct rp_env env;
    const struct rp_driver *driver;
    void *queue;
    struct rp_ring_parts parts;
    struct desc *desc;
    uint16_t *avail; /* flags, idx, ring, used_event */
    uint16_t *used;  /* flags, idx, ring, avail_event */
    unsigned int notified, called_back, allocations, live, live_private;
    uint32_t last_notified; /* the value of the last notification */
    uint32_t first_bytes;   /* size of the first allocation: the ring */
    bool out_of_memory;
};

extern struct bench bench;

/* True when the driver is the linux-3.11 one. */
bool linux_3_11(void);
/* Fills bench.env for a queue without creating it. */
void prepare(uint32_t queue_size, uint64_t features, enum rp_layout layout);
/* prepare, then create, which must succeed. */
void open_queue(uint32_t queue_size, uint64_t features);
/* Destroys the queue; nothing may be left allocated. */
void close_queue(void);

/* The memory behind an address the driver gave the device. */
void *at(uint64_t address);

/* Adds out and in segments of lengths 100, 101, ...; the token is the number itself. */
int add(uint32_t out, uint32_t in, uintptr_t token);
/* The length of the segment at `index` of the last add, and its address. */
uint32_t segment_length(uint32_t index);
uint64_t segment_address(uint32_t index);

uint16_t *used_event(void);
uint16_t *avail_event(void);
uint16_t avail_flags(void);
uint16_t avail_idx(void);
/* The head in the slot of sequence number `index`. */
uint16_t avail_head(uint16_t index);
/* Puts an entry in the used ring. */
void complete(uint32_t id, uint32_t length);
/* One get_buf that must give this token and length. */
void expect(uintptr_t token, uint32_t length);
/* One get_buf that must give this result and no token. */
void expect_none(int result);
/* Adds, completes and gets one buffer `rounds` times, kicking each time. */
void turn(uint32_t rounds);

#endif
