/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker process and the tool that watches it share: one file mapped by both, and one byte each way
 * on a pipe. The file begins with struct rp_shared; operations, results and the arena lie at the offsets it
 * names. Because the arena is shared, the tool can read the ring at any time, also after a crash.
 *
 * The numbers here are mirrored in operations.py and in the validation package's verdicts.py and shared.py;
 * a test compares them.
 */
#ifndef RINGPROOF_PROTOCOL_H
#define RINGPROOF_PROTOCOL_H

#include <stdint.h>

#define RP_SHARED_MAGIC 0x52504d45u
#define RP_SHARED_VERSION 2u

/* Guest-physical windows. Ring parts and indirect tables live in the arena, packets in the buffers. */
#define RP_ARENA_ADDRESS  UINT64_C(0x0000004100000000)
#define RP_ARENA_BYTES    (UINT64_C(64) << 20)
#define RP_BUFFER_ADDRESS UINT64_C(0x0000008200000000)
#define RP_BUFFER_BYTES   (UINT64_C(2) << 20)

/* Every block of the arena is followed by this many bytes that nobody may write. */
#define RP_RED_ZONE 32u
#define RP_FRESH_BYTE    0xA5 /* what a block holds when it is handed out */
#define RP_RED_BYTE      0xBD
#define RP_RELEASED_BYTE 0x5A /* what it holds once it is given back */

/* Commands, one byte from the tool. Each but QUIT is answered by one byte; so is being started. */
enum rp_command {
    RP_CMD_LOAD = 'L',    /* not sent: what the worker does first, of its own accord */
    RP_CMD_CREATE = 'C',  /* create a queue as rp_shared.config says, replacing none; `found` starts afresh */
    RP_CMD_RUN = 'R',     /* run operations 0 .. op_count - 1; op_current is then how many were run */
    RP_CMD_DESTROY = 'D', /* destroy the queue, check for leaks and stray writes */
    RP_CMD_QUIT = 'Q'
};

enum rp_answer {
    RP_ANSWER_DONE = 'k',  /* done, and nothing was found that fails since create */
    RP_ANSWER_FOUND = 'f', /* done, and something was found */
    RP_ANSWER_NOTIFIED = 'n', /* net_worker, before it is done: the tool's device acts, then sends any byte */
    RP_ANSWER_ERROR = 'e'  /* not done; `message` says why. LOAD: the library cannot be used. CREATE: there
                              is no queue, and `found` says whose fault it is */
};

enum rp_op_code {
    /* what the driver is asked to do */
    RP_OP_ADD = 1, /* a: out segments, in: in segments, b: seed of the segments */
    RP_OP_KICK = 2,
    RP_OP_GET = 3,
    RP_OP_DISABLE_CB = 4,
    RP_OP_ENABLE_CB = 5,
    RP_OP_ENABLE_CB_DELAYED = 6,
    RP_OP_ENABLE_CB_PREPARE = 7, /* the mark is kept for POLL */
    RP_OP_POLL = 8,
    RP_OP_INTERRUPT = 9,
    RP_OP_DETACH_UNUSED = 10, /* ends the device: only further DETACH_UNUSED may follow */
    /* what the device does */
    RP_OP_READ = 16,            /* a: at most so many chains, 0 for all there are */
    RP_OP_COMPLETE = 17,        /* a: pick, b: stride, c: count; see operations.py */
    RP_OP_SET_FLAGS = 18,       /* a: used.flags, 0 or 1 */
    RP_OP_SET_AVAIL_EVENT = 19, /* a: avail_event; with RP_OPF_RELATIVE counted from avail_idx */
    RP_OP_MISCHIEF = 20,        /* a: which kind, enum rp_mischief; b and c: its numbers. Hostile queues only */
    /* both, many times */
    RP_OP_ROUNDS = 32 /* a: rounds of ADD(1 out, seed b + i), KICK, READ(1), COMPLETE(0, 0, 1), GET */
};

#define RP_OPF_FAIL_ALLOC (1u << 0) /* ADD: what it allocates or maps fails: the c-th, from 1; all if c is 0 */
#define RP_OPF_NULL_TOKEN (1u << 1) /* ADD: the token is null */
#define RP_OPF_RELATIVE   (1u << 2) /* SET_AVAIL_EVENT */
#define RP_OPF_NO_KICK    (1u << 3) /* ROUNDS: leave out the KICK */
#define RP_OPF_TOTAL_LENGTH (1u << 4) /* COMPLETE, legacy device: the used length counts readable bytes, too */

struct rp_op { /* 16 bytes, little endian like all of this file on the machines it runs on */
    uint8_t  code;
    uint8_t  flags;
    uint16_t in;
    uint32_t a;
    uint32_t b;
    uint32_t c;
};

/* What a device that breaks the rules does (MISCHIEF); impl/device/mischief.h says how b and c count. */
enum rp_mischief {
    RP_MISCHIEF_ID_RANGE = 1,       /* a used id that is no descriptor */
    RP_MISCHIEF_ID_NOT_HEAD = 2,    /* one that is no outstanding head: never issued, mid-chain, or used twice */
    RP_MISCHIEF_USED_IDX = 3,       /* used_idx past all that is outstanding, or backwards */
    RP_MISCHIEF_LENGTH = 4,         /* a used length that nothing could have written */
    RP_MISCHIEF_REWRITE = 5,        /* descriptors or the available ring rewritten */
    RP_MISCHIEF_DOUBLE_FETCH = 6,   /* a used entry that changes while the driver looks */
    RP_MISCHIEF_FLAGS = 7,          /* used.flags that no device may set */
    RP_MISCHIEF_SILENCE = 8,        /* no interrupt and no completion for long, then all at once */
    RP_MISCHIEF_IN_ORDER = 9,       /* IN_ORDER: out of order, or a batch that was never offered */
    RP_MISCHIEF_INTERRUPT = 10,     /* an interrupt before anything was set up, or with the device gone */
    RP_MISCHIEF_PAYLOAD = 14        /* readable buffers and indirect tables rewritten */
};

#define RP_STATUS_UNSUPPORTED (-1000) /* the driver lacks this operation */
#define RP_NUM_FREE_UNKNOWN 0xffffffffu

struct rp_result { /* 40 bytes */
    int32_t  status;
    uint32_t notifies;  /* notifications during this operation */
    uint64_t token;     /* GET, DETACH_UNUSED: the token returned; ADD: the token offered */
    uint32_t length;    /* GET: length returned; COMPLETE: 1 if an interrupt is due */
    uint32_t crc;       /* READ, ROUNDS: of what the chains held */
    uint16_t avail_idx; /* these five: what memory holds, and num_free says, after the operation */
    uint16_t used_idx;
    uint16_t avail_flags;
    uint16_t used_event;
    uint32_t num_free;
    uint32_t callbacks; /* calls of the queue's callback during this operation */
};

/* What the harness can find. verdicts.py gives each its clause and its level. */
enum rp_finding {
    RP_FIND_HEAD_RANGE = 1,
    RP_FIND_NEXT_RANGE = 2,
    RP_FIND_CHAIN_LOOP = 3,
    RP_FIND_DESCRIPTOR_REUSED = 4,
    RP_FIND_TOO_MANY_OUTSTANDING = 5,
    RP_FIND_AVAIL_BACKWARDS = 6,
    RP_FIND_WRITE_BEFORE_READ = 7,
    RP_FIND_INDIRECT_UNNEGOTIATED = 8,
    RP_FIND_INDIRECT_NESTED = 9,
    RP_FIND_CHAIN_TOO_LONG = 10,
    RP_FIND_INDIRECT_AND_NEXT = 11,
    RP_FIND_INDIRECT_LENGTH = 12,
    RP_FIND_ADDRESS_UNMAPPED = 13,
    RP_FIND_CHAIN_DIFFERS = 14,
    RP_FIND_CHAIN_UNKNOWN = 15,
    RP_FIND_CHAIN_CHANGED = 16,
    RP_FIND_TABLE_CHANGED = 17,
    RP_FIND_USED_WRITTEN = 18,
    RP_FIND_AVAIL_FLAGS = 19,
    RP_FIND_AVAIL_FLAGS_EVENT = 20,
    RP_FIND_KICK_LOST_FLAGS = 21,
    RP_FIND_KICK_LOST_EVENT = 22,
    RP_FIND_TOKEN_WRONG = 23,
    RP_FIND_TOKEN_MISSING = 24,
    RP_FIND_REFUSED_THOUGH_FREE = 25,
    RP_FIND_RED_ZONE = 26,
    RP_FIND_BAD_RELEASE = 27,
    RP_FIND_LEAK = 28,
    RP_FIND_STRAY_WRITE = 29,
    RP_FIND_FLAG_UNASSIGNED = 30,
    RP_FIND_KICK_VALUE = 31,
    RP_FIND_RING_PARTS = 32,
    RP_FIND_RING_NOT_ZERO = 33,
    RP_FIND_KICK_UNWANTED = 34,
    RP_FIND_BROKEN = 35,
    RP_FIND_UNDOCUMENTED_RETURN = 36,
    RP_FIND_INTERRUPT_NOT_WANTED = 37,
    RP_FIND_CREATE_FAILED = 38,
    RP_FIND_REFUSED_WHEN_EMPTY = 39,
    RP_FIND_ENABLE_MISSED = 40,
    RP_FIND_INTERRUPT_MISSED = 41,
    RP_FIND_CHAIN_MISSING = 42,
    RP_FIND_CANARY = 43,
    RP_FIND_CHAIN_DECLINED = 44,
    RP_FIND_NUM_FREE = 45,
    RP_FIND_LENGTH_SUM = 46,
    RP_FIND_MANY_DESCRIPTORS = 47,
    RP_FIND_IN_ORDER_NEXT = 48,
    RP_FIND_IN_ORDER_HEAD = 49,
    RP_FIND_IN_ORDER_TABLE = 50,
    RP_FIND_AVAIL_IDX_START = 51,
    RP_FIND_SLOT_REPEATED = 52,
    RP_FIND_KICK_DATA = 53,
    RP_FIND_EVENT_WORD_HEEDED = 54,
    RP_FIND_FLAGS_HEEDED = 55,
    RP_FIND_SPURIOUS_INTERRUPT = 56,
    RP_FIND_USED_LENGTH = 57,
    RP_FIND_BATCH_RETIRED = 58,
    RP_FIND_ORDER_PUBLISH = 59,
    RP_FIND_ORDER_KICK = 60,
    RP_FIND_ORDER_USED = 61,
    RP_FIND_MAPPING = 62,
    RP_FIND_LATE_CALL = 63,
    RP_FIND_KICK_EARLY = 64,
    RP_FIND_HOSTILE_TOKEN = 65,
    RP_FIND_CHILDREN = 66,
    RP_FIND_OUTPUT = 67,
    RP_FIND_ORDER_ARM = 68,
    RP_FIND_COUNT = 96
};

/* Those that are no more than a warning, for an array: RUN goes on after them. */
#define RP_FIND_WARNINGS                                                                              \
    {RP_FIND_REFUSED_THOUGH_FREE, RP_FIND_FLAG_UNASSIGNED, RP_FIND_KICK_UNWANTED,                     \
     RP_FIND_CHAIN_DECLINED, RP_FIND_MANY_DESCRIPTORS, RP_FIND_USED_LENGTH, RP_FIND_OUTPUT}

/* How a and b of some findings hold more than one number: two halves, the first one the higher. */
#define RP_PAIR(high, low) (((uint64_t)(high) << 32) | ((uint64_t)(low) & 0xffffffffu))
#define RP_SEEN_LENGTH (UINT64_C(1) << 63) /* TOKEN_WRONG: a and b are lengths, the token was right */

#define RP_PLACED_LEGACY 1u /* RING_PARTS, in the place of an alignment: not where the legacy layout has it */

/* How an accepted chain can differ from what add was given (CHAIN_DIFFERS: high half of b). */
enum rp_difference {
    RP_DIFFERS_COUNT = 1,   /* low half of b: segments seen */
    RP_DIFFERS_ADDRESS = 2, /* low half of b: address seen, less RP_BUFFER_ADDRESS */
    RP_DIFFERS_LENGTH = 3,  /* low half of b: length seen */
    RP_DIFFERS_WRITE = 4    /* low half of b: 1 if seen device-writable */
};

/* Where an outstanding chain was seen to change (CHAIN_CHANGED: high half of a; the low half says which). */
enum rp_place {
    RP_PLACE_DESCRIPTOR = 1,
    RP_PLACE_AVAIL_SLOT = 2
};

struct rp_found {
    uint32_t checked; /* how often the check was made */
    uint32_t count;   /* how often it failed */
    uint32_t first_op; /* operations since create, counted from 0 */
    uint32_t reserved;
    uint64_t a; /* what was seen, per code */
    uint64_t b; /* what was expected */
};

struct rp_config {
    uint64_t features;
    uint32_t queue_size;
    uint16_t queue_index;
    uint16_t layout;
    uint32_t has_callback;
    uint32_t stop_on_finding; /* a bit per code would not fit: 1 stops RUN after any finding that fails */
    uint32_t fail_allocation; /* in create the k-th allocation, of either kind, fails; 0: none does */
    uint32_t hostile;         /* 1: MISCHIEF may come, and what depends on an honest device is not judged */
};

/* What rp_shared.instrumented can say: which calls the compiler put into the driver. */
#define RP_INSTRUMENTED_COVERAGE (1u << 0) /* -fsanitize-coverage: each edge or block */
#define RP_INSTRUMENTED_ACCESSES (1u << 1) /* -fsanitize=thread: each access, atomic operation and fence */

struct rp_shared {
    uint32_t magic;
    uint32_t version;
    uint64_t op_offset;
    uint64_t result_offset;
    uint64_t arena_offset;
    uint32_t op_capacity;
    uint32_t op_count;
    uint32_t op_current; /* which operation of this RUN is under way */
    uint32_t command;    /* which command is under way, 0 for none */
    uint64_t total_ops;  /* operations since create, ROUNDS being one */
    struct rp_config config;
    /* filled by create */
    uint64_t driver_features;
    uint32_t driver_traits;
    uint32_t driver_has; /* bit per rp_op_code below 32: the driver offers it */
    char     driver_name[64];
    uint64_t desc_address;
    uint64_t avail_address;
    uint64_t used_address;
    uint64_t fault_address; /* where a memory fault happened, or 0 */
    char     message[256]; /* why a command could not be done, one line */
    struct rp_found found[RP_FIND_COUNT];
    /* what instrumented drivers tell: places in the code that were reached since the worker was started, in the
     * order of first being reached, each a 64-bit offset from where the library was loaded */
    uint64_t coverage_offset;
    uint32_t coverage_capacity;
    uint32_t coverage_count;
    uint32_t instrumented; /* RP_INSTRUMENTED_ bits */
    uint32_t own_fences; /* from the tool: 1 if the driver has fences that no instrumentation shows */
    uint32_t struck;       /* create: 1 if the allocation that was to fail was asked for, and did */
};

#endif
