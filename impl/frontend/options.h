/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line asks for. */
#ifndef RINGPROOF_FRONTEND_OPTIONS_H
#define RINGPROOF_FRONTEND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define FE_MOST_PAIRS 8u
#define FE_MOST_SEGMENTS 64u
#define FE_MOST_BYTES 9000u

enum fe_mode {
    FE_FLOOD,    /* as fast as the ring takes them */
    FE_PACED,    /* bursts, with pauses between them in which the device goes to sleep */
    FE_PINGPONG, /* ARP and ICMP echo to the partner, each waited for */
};

/* How the front-end misbehaves; the last group does so when half of its traffic has passed. */
enum fe_fault {
    FE_FAULT_NONE,
    FE_FAULT_TORN_MESSAGE, /* closes the connection in the middle of a message */
    FE_FAULT_WRONG_SIZE,   /* a message that is shorter than its kind */
    FE_FAULT_NO_MEMORY,    /* shares no memory */
    FE_FAULT_PACKED,       /* accepts packed rings, offered or not */
    FE_FAULT_NEVER_START,  /* sets nothing up after its memory */
    FE_FAULT_TWICE,        /* connects twice */
    FE_FAULT_LOOP_CHAIN,   /* publishes a chain that runs in a circle, behind the driver's back */
    FE_FAULT_BAD_DESCRIPTOR, /* publishes a descriptor of memory that is not shared */
    FE_FAULT_WRITE_USED,   /* writes into the used ring */
    FE_FAULT_BACKWARDS,    /* moves avail_idx backwards */
    FE_FAULT_TRUNCATE,     /* makes the file of its memory shorter */
    FE_FAULT_DIE,          /* kills itself */
};

struct fe_options {
    const char *socket, *library;
    uint64_t frames;      /* to be sent by all pairs together; 0: no such limit */
    uint64_t before;      /* frames that run before the clock is started (--start-index) */
    double   seconds;     /* 0: no such limit */
    uint32_t queue_size;
    uint64_t features;    /* accepted at most */
    uint32_t pairs;
    uint32_t least_segments, most_segments; /* of a frame, its header's not counted where that must lie apart */
    uint32_t least_batch, most_batch; /* frames between two kicks */
    uint32_t least_bytes, most_bytes; /* of a frame, without the network header */
    enum fe_mode mode;
    uint32_t pause;       /* microseconds between bursts, on average */
    bool     polls;       /* --poll-completions: wants no interrupts */
    bool     overfill;    /* tries to add to a ring that is full */
    uint32_t restarts;
    uint64_t seed;
    uint32_t patience;    /* milliseconds without progress that are called a stall */
    enum fe_fault fault;
};

/* Exits with status 2 and one line where it makes no sense; with 0 after --help. */
struct fe_options fe_options(int count, char **words);

#endif
