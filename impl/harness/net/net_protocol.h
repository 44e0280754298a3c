/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker process for whole network drivers and the tool that watches it share. As with protocol.h:
 * one file mapped by both, and one byte each way on a pipe; answers and fill bytes are those of protocol.h.
 * The file begins with struct rp_net_shared; everything else lies at the offsets it names, the arena and
 * the window of frames last. Only the driver acts here; the device's operations are the tool's, over the
 * same memory: registers, arena and frames.
 *
 * The numbers here are mirrored in net_operations.py, frames.py and in the validation package's
 * net_shared.py and net_findings.py; a test compares them.
 */
#ifndef RINGPROOF_NET_PROTOCOL_H
#define RINGPROOF_NET_PROTOCOL_H

#include "protocol.h"
#include "ringproof_net_driver.h"

#define RP_NET_SHARED_MAGIC 0x4e504d45u
#define RP_NET_SHARED_VERSION 1u

#define RP_NET_FRAME_ADDRESS UINT64_C(0x000000c300000000)
#define RP_NET_FRAME_BYTES   (UINT64_C(64) << 20)

#define RP_NET_MOST_PAIRS 8u
#define RP_NET_MOST_QUEUES (2u * RP_NET_MOST_PAIRS + 1u)
#define RP_NET_NOTIFY_OFF_MULTIPLIER 16u
#define RP_NET_NOTIFY_SPREAD 3u
#define RP_NET_NO_QUEUE 0xffffffffu /* rp_net_config.missing_queue: none is */

#define RP_NET_OP_CAPACITY 4096u
/* One operation may make so many accesses; a run ends early where the log has not room for as many. */
#define RP_NET_MOST_ACCESSES 32768u
#define RP_NET_ACCESS_CAPACITY 131072u
/* One operation may tell the stack so much more than twice the frames in flight. */
#define RP_NET_MORE_EVENTS 4096u
#define RP_NET_EVENT_CAPACITY (UINT32_C(1) << 21)
/* The table: no more of each find room in the window. */
#define RP_NET_FRAME_CAPACITY    (UINT32_C(1) << 19)
#define RP_NET_PACKET_CAPACITY   (UINT32_C(1) << 20)
#define RP_NET_FRAGMENT_CAPACITY (UINT32_C(1) << 14)

/* Commands, one byte from the tool. */
enum rp_net_command {
    RP_NET_CMD_CREATE = 'C', /* a device as `config` says, no driver on it; everything starts afresh */
    RP_NET_CMD_FRAMES = 'F', /* take the table and the window's first window_used bytes as they are now */
    RP_NET_CMD_RUN = 'R'     /* run operations 0 .. op_count - 1; op_current is then how many were run. The
                              * answer is RP_ANSWER_ERROR if the next one cannot be asked */
};

enum rp_net_op_code {
    RP_NET_OP_PROBE = 64,
    RP_NET_OP_REMOVE = 65,
    RP_NET_OP_SET_PAIRS = 66, /* a: how many */
    RP_NET_OP_XMIT = 67,      /* a: number of the frame */
    RP_NET_OP_INTERRUPT = 68
};

#define RP_NET_EBUSY (-16) /* XMIT: the queue is stopped */

struct rp_net_result { /* 32 bytes */
    int32_t  status;
    uint32_t pair;
    uint16_t avail_idx; /* these five: of the transmit queue of an XMIT, else 0 */
    uint16_t used_idx;
    uint16_t avail_flags;
    uint16_t used_event;
    uint32_t num_free;
    uint32_t accesses; /* how many the log holds at the operation's end */
    uint32_t events;
    uint32_t head; /* of the chain that an XMIT published, RP_NET_NO_HEAD for none */
};

#define RP_NET_NO_HEAD 0xffffffffu

struct rp_net_access { /* 12 bytes */
    uint32_t value;
    uint32_t offset;
    uint8_t  write;
    uint8_t  region;
    uint8_t  width;
    uint8_t  reserved;
};

enum rp_net_event_kind {
    RP_NET_EVENT_FREED = 1,
    RP_NET_EVENT_ORPHANED = 2,
    RP_NET_EVENT_STOPPED = 3,
    RP_NET_EVENT_STARTED = 4,
    RP_NET_EVENT_WOKEN = 5
};

struct rp_net_event { /* 16 bytes */
    uint32_t kind;
    uint32_t reserved;
    uint64_t value;
};

/* The table of frames. A frame has consecutive packets, its outermost one first, and consecutive fragments;
 * list and next are counted from its first packet, plus one, 0 for none. */
struct rp_net_frame_entry { /* 40 bytes */
    uint64_t control; /* guest-physical, like all addresses */
    uint32_t packets;
    uint32_t packet_count;
    uint32_t fragments;
    uint32_t fragment_count;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t gso_size;
    uint16_t recorded_queue;
    uint8_t  checksum;
    uint8_t  gso;
    uint8_t  ecn;
    uint8_t  queue_recorded;
    uint32_t cpu;
};

struct rp_net_packet_entry { /* 32 bytes */
    uint64_t head;
    uint32_t head_length;
    uint32_t length;
    uint32_t fragments; /* counted from the frame's first */
    uint32_t fragment_count;
    uint32_t list;
    uint32_t next;
};

struct rp_net_fragment_entry { /* 16 bytes */
    uint64_t page;
    uint32_t offset;
    uint32_t length;
};

/* What the harness can find. Those on memory have the numbers of enum rp_finding. */
enum rp_net_finding {
    RP_NET_FIND_RED_ZONE = RP_FIND_RED_ZONE,
    RP_NET_FIND_BAD_RELEASE = RP_FIND_BAD_RELEASE,
    RP_NET_FIND_LEAK = RP_FIND_LEAK,
    RP_NET_FIND_STRAY_WRITE = RP_FIND_STRAY_WRITE,
    RP_NET_FIND_RING_PARTS = RP_FIND_RING_PARTS,
    RP_NET_FIND_UNDOCUMENTED_RETURN = RP_FIND_UNDOCUMENTED_RETURN,
    RP_NET_FIND_CANARY = RP_FIND_CANARY,
    RP_NET_FIND_REGISTER_UNKNOWN = 72, /* a: region, offset; b: write, width */
    RP_NET_FIND_ACCESS_FLOOD = 73,     /* a: the limit */
    RP_NET_FIND_EVENT_FLOOD = 74,      /* a: the limit */
    RP_NET_FIND_FREED_TWICE = 75,      /* a: token */
    RP_NET_FIND_FREED_UNKNOWN = 76,    /* a: token */
    RP_NET_FIND_NEVER_FREED = 77,      /* a: the first one's token; b: how many */
    RP_NET_FIND_ORPHANED_UNKNOWN = 78, /* a: token */
    RP_NET_FIND_QUEUE_UNKNOWN = 79,    /* a: event kind, queue; b: how many there are */
    RP_NET_FIND_SELECT_RANGE = 80,     /* a: queue; b: how many are in use */
    RP_NET_FIND_FRAME_WRITTEN = 81,    /* a: address; b: token, byte seen */
    RP_NET_FIND_WINDOW_WRITTEN = 82,   /* a: address; b: byte seen, byte expected */
    RP_NET_FIND_CONTROL_MALFORMED = 83, /* a: head; b: enum rp_net_malformed */
    RP_NET_FIND_FREED_EARLY = 84,      /* a: token */
    RP_NET_FIND_PUBLISHED = 85,        /* a: token; b: chains published by its transmit, whether it was freed */
    /* The tool's: it compares what its device read of a chain with what is there when it completes it. */
    RP_NET_FIND_CHAIN_CHANGED = 86,    /* a: head; b: number of the descriptor in the chain, from 0 */
    RP_NET_FIND_HEADER_CHANGED = 87    /* a: address; b: head, byte seen */
};

/* What a control queue's chain can be like. */
enum rp_net_malformed {
    RP_NET_MALFORMED_INDEX = 1,  /* avail_idx moved by more than the queue's size */
    RP_NET_MALFORMED_CHAIN = 2,  /* a descriptor out of range, or a chain without end */
    RP_NET_MALFORMED_MEMORY = 3, /* an address outside the driver's memory */
    RP_NET_MALFORMED_ORDER = 4,  /* something readable behind something writable */
    RP_NET_MALFORMED_ANSWER = 5  /* no byte to write the answer to */
};

/* A virtqueue's registers, and where the device finds it: three addresses each, of the descriptor table, the
 * available ring and the used ring. */
struct rp_net_queue { /* 64 bytes */
    uint64_t addresses[3]; /* as the modern registers hold them */
    uint64_t parts[3];     /* as the driver set the queue up */
    uint32_t page_frame;   /* legacy */
    uint16_t size;
    uint16_t enabled;      /* modern */
    uint16_t placed;       /* 1: it is set up, and so many entries long: */
    uint16_t placed_size;
    uint32_t reserved;
};

/* The device's registers, which the tool reads too, and whose ISR it sets. */
struct rp_net_registers {
    uint64_t driver_features; /* as written, offered or not */
    uint32_t device_feature_select;
    uint32_t driver_feature_select;
    uint32_t epoch;        /* resets so far */
    uint32_t reads_before; /* how often status still reads as before the last one */
    uint16_t queue_select;
    uint8_t  status;
    uint8_t  status_before;
    uint8_t  isr;
    uint8_t  reserved;
    uint16_t control_avail; /* the control queue: entries read */
    uint16_t control_used;  /* and chains completed */
    uint16_t control_pairs; /* as the last command accepted has it */
    uint8_t  more[4];
    struct rp_net_queue queues[RP_NET_MOST_QUEUES];
};

struct rp_net_config {
    uint64_t offered;    /* features of the device */
    uint64_t understood; /* features the driver may accept */
    uint32_t transport;
    uint32_t queue_size;
    uint32_t pairs;
    uint32_t reset_reads;
    uint32_t missing_queue;
    uint16_t refuses_features;
    uint16_t stop_on_finding;
    uint8_t  mac[6];
    /* a device that breaks the rules */
    uint8_t  fenced;          /* each block of the driver's memory ends at a page that it cannot touch */
    uint8_t  early_interrupt; /* bits of ISR that are set after each reset */
    uint16_t told_pairs;      /* max_virtqueue_pairs as it is told, if lies_on_pairs; the driver may use one */
    uint16_t mtu;             /* what is told where MTU is offered */
    uint16_t lies_on_pairs;
    uint16_t reserved;
};

struct rp_net_shared {
    uint32_t magic;
    uint32_t version;
    uint64_t op_offset;
    uint64_t result_offset;
    uint64_t access_offset;
    uint64_t event_offset;
    uint64_t frame_offset; /* the table's three parts */
    uint64_t packet_offset;
    uint64_t fragment_offset;
    uint64_t owner_offset; /* per frame 32 bits: 0, or registers.epoch + 1 while the device has its chain; the
                            * worker sets it, the tool clears it */
    uint64_t arena_offset;
    uint64_t window_offset;
    uint32_t op_count;
    uint32_t op_current;   /* which operation of this RUN is under way */
    uint32_t command;      /* which command is under way, 0 for none */
    uint32_t access_count; /* since this RUN began */
    uint32_t event_count;
    uint32_t frame_count;
    uint64_t window_used;
    uint64_t total_ops; /* operations since create */
    struct rp_net_config config;
    /* the worker's */
    uint64_t driver_features;
    uint32_t driver_traits;
    uint32_t driver_transports;
    char     driver_name[64];
    uint32_t probed;
    uint32_t pairs;     /* that the driver set up */
    uint32_t in_use;    /* transmit queues, as set_pairs last said */
    uint32_t in_flight; /* frames */
    uint32_t lost;      /* frames a driver will never give back */
    uint32_t reserved;
    uint64_t arena_used; /* bytes of the arena that were ever handed out */
    uint64_t fault_address;
    char     message[256];
    struct rp_net_registers  registers;
    struct rp_net_statistics statistics[RP_NET_MOST_PAIRS];
    struct rp_found found[RP_FIND_COUNT];
};

#endif
