/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which an instrumented driver accesses its ring. A driver compiled with -fsanitize=thread, and
 * linked without the runtime of that, calls the functions of accesses.c before each plain access, and in the
 * place of each atomic operation and fence. Those at addresses inside the window are told, in program order.
 * A driver that is not instrumented makes no such call.
 *
 * What its inline assembly does, and what libraries do for it, is not told.
 */
#ifndef RINGPROOF_ACCESSES_H
#define RINGPROOF_ACCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rp_driver;
struct rp_device;

/* C11's memory orders as compilers number them, and one for accesses that are not atomic. */
enum rp_order {
    RP_ORDER_RELAXED = 0,
    RP_ORDER_CONSUME = 1,
    RP_ORDER_ACQUIRE = 2,
    RP_ORDER_RELEASE = 3,
    RP_ORDER_ACQ_REL = 4,
    RP_ORDER_SEQ_CST = 5,
    RP_ORDER_PLAIN = 8
};

/* Who is told. Accesses overlap the window in `begin` and its `bytes`; 0 bytes: nothing is told. */
struct rp_watch {
    uintptr_t begin;
    size_t    bytes;
    bool      pending; /* plain stores were told that had still to be made: settle is called before all else */
    void (*settle)(void);
    void (*read)(uintptr_t address, size_t bytes, enum rp_order order);
    /* An atomic store was made; a plain one is about to be. */
    void (*written)(uintptr_t address, size_t bytes, enum rp_order order);
    void (*fence)(enum rp_order order);
    /* An atomic read-modify-write was made, anywhere; after it is told as a read and a store. */
    void (*modified)(enum rp_order order);
};

/* accesses.c */

extern struct rp_watch rp_watch;
extern bool rp_accesses_called; /* an instrumented library was loaded */

/* accesses_order.c: judging a queue by it. */

/* Before anything else is done with a queue; `own_fences`: the library has fences that are not told. False when
 * there is no memory. */
bool rp_order_begin(struct rp_device *device, uint32_t traits, bool own_fences);
/* The queue's life is over: what it does from here on is not looked at. */
void rp_order_end(void);
/* It is asked for an operation, enum rp_op_code. */
void rp_order_asked(int code);
/* What this operation answered says that an interrupt will come for what is used from here on. */
void rp_order_relied(int code);
/* The driver is back from an operation, or has called its environment. */
void rp_order_settle(void);
/* It has notified the device. */
void rp_order_notified(void);
/* Its kick has returned. */
void rp_order_kicked(void);
/* It returns the token of the completion at completions_out. */
void rp_order_returned(void);

#endif
