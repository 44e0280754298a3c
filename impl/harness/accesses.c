/* SPDX-License-Identifier: Apache-2.0 */
/* What code compiled by gcc or clang with -fsanitize=thread calls, but for what only starts and ends threads. */
#include "accesses.h"

#include <string.h>

struct rp_watch rp_watch;
bool rp_accesses_called;

/* Compilers set bits beyond the order for some machines. */
#define ORDER(order) ((enum rp_order)((order) & 7))

typedef uint64_t __attribute__((may_alias)) rp_u64;
typedef uint32_t __attribute__((may_alias)) rp_u32;
typedef uint16_t __attribute__((may_alias)) rp_u16;
typedef uint8_t rp_u8;

static inline void settle(void)
{
    if (rp_watch.pending)
        rp_watch.settle();
}

static inline bool watched(const volatile void *address, size_t bytes)
{
    uintptr_t at = (uintptr_t)address;

    return at - rp_watch.begin < rp_watch.bytes && bytes > 0;
}

static inline void will_read(const volatile void *address, size_t bytes, enum rp_order order)
{
    settle();
    if (watched(address, bytes))
        rp_watch.read((uintptr_t)address, bytes, order);
}

static inline void will_write(const volatile void *address, size_t bytes)
{
    settle();
    if (watched(address, bytes))
        rp_watch.written((uintptr_t)address, bytes, RP_ORDER_PLAIN);
}

static inline void has_written(const volatile void *address, size_t bytes, enum rp_order order)
{
    if (watched(address, bytes))
        rp_watch.written((uintptr_t)address, bytes, order);
    settle();
}

static inline void has_modified(enum rp_order order)
{
    if (rp_watch.bytes > 0)
        rp_watch.modified(order);
}

#define HOOK(name, ...) \
    void name(__VA_ARGS__); \
    void name(__VA_ARGS__)

#define PLAIN(kind, bytes) \
    HOOK(__tsan_##kind##read##bytes, void *address) { will_read(address, bytes, RP_ORDER_PLAIN); } \
    HOOK(__tsan_##kind##write##bytes, void *address) { will_write(address, bytes); } \
    HOOK(__tsan_##kind##read_write##bytes, void *address) \
    { \
        will_read(address, bytes, RP_ORDER_PLAIN); \
        will_write(address, bytes); \
    }

PLAIN(, 1)
PLAIN(, 2)
PLAIN(, 4)
PLAIN(, 8)
PLAIN(, 16)
PLAIN(volatile_, 1)
PLAIN(volatile_, 2)
PLAIN(volatile_, 4)
PLAIN(volatile_, 8)
PLAIN(volatile_, 16)
PLAIN(unaligned_, 1)
PLAIN(unaligned_, 2)
PLAIN(unaligned_, 4)
PLAIN(unaligned_, 8)
PLAIN(unaligned_, 16)
PLAIN(unaligned_volatile_, 1)
PLAIN(unaligned_volatile_, 2)
PLAIN(unaligned_volatile_, 4)
PLAIN(unaligned_volatile_, 8)
PLAIN(unaligned_volatile_, 16)

HOOK(__tsan_read_range, void *address, size_t bytes) { will_read(address, bytes, RP_ORDER_PLAIN); }
HOOK(__tsan_write_range, void *address, size_t bytes) { will_write(address, bytes); }
HOOK(__tsan_vptr_read, void **place) { will_read(place, sizeof(*place), RP_ORDER_PLAIN); }
HOOK(__tsan_vptr_update, void **place, void *value)
{
    (void)value;
    will_write(place, sizeof(*place));
}

HOOK(__tsan_init, void) { rp_accesses_called = true; }
HOOK(__tsan_func_entry, void *caller)
{
    (void)caller;
    settle();
}
HOOK(__tsan_func_exit, void) { settle(); }
HOOK(__tsan_ignore_thread_begin, void) {}
HOOK(__tsan_ignore_thread_end, void) {}

HOOK(__tsan_atomic_thread_fence, int order)
{
    settle();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (rp_watch.bytes > 0)
        rp_watch.fence(ORDER(order));
}

/* The compiler has obeyed it; no machine is asked to. */
HOOK(__tsan_atomic_signal_fence, int order)
{
    (void)order;
    settle();
}

/* A read-modify-write, by what the compiler has for it. */
#define MODIFY(bits, name, builtin) \
    rp_u##bits __tsan_atomic##bits##_##name(volatile rp_u##bits *at, rp_u##bits value, int order); \
    rp_u##bits __tsan_atomic##bits##_##name(volatile rp_u##bits *at, rp_u##bits value, int order) \
    { \
        rp_u##bits old; \
\
        will_read(at, sizeof(old), ORDER(order)); \
        old = builtin(at, value, __ATOMIC_SEQ_CST); \
        has_written(at, sizeof(old), ORDER(order)); \
        has_modified(ORDER(order)); \
        return old; \
    }

#define ATOMIC(bits) \
    rp_u##bits __tsan_atomic##bits##_load(const volatile rp_u##bits *at, int order); \
    rp_u##bits __tsan_atomic##bits##_load(const volatile rp_u##bits *at, int order) \
    { \
        will_read(at, sizeof(*at), ORDER(order)); \
        return __atomic_load_n(at, __ATOMIC_SEQ_CST); \
    } \
    HOOK(__tsan_atomic##bits##_store, volatile rp_u##bits *at, rp_u##bits value, int order) \
    { \
        settle(); \
        __atomic_store_n(at, value, __ATOMIC_SEQ_CST); \
        has_written(at, sizeof(*at), ORDER(order)); \
    } \
    MODIFY(bits, exchange, __atomic_exchange_n) \
    MODIFY(bits, fetch_add, __atomic_fetch_add) \
    MODIFY(bits, fetch_sub, __atomic_fetch_sub) \
    MODIFY(bits, fetch_and, __atomic_fetch_and) \
    MODIFY(bits, fetch_or, __atomic_fetch_or) \
    MODIFY(bits, fetch_xor, __atomic_fetch_xor) \
    MODIFY(bits, fetch_nand, __atomic_fetch_nand) \
    static bool exchanged##bits(volatile rp_u##bits *at, rp_u##bits *expected, rp_u##bits value, int order, \
                                int failed) \
    { \
        bool done; \
\
        settle(); \
        done = __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        will_read(at, sizeof(*at), ORDER(done ? order : failed)); \
        if (done) { \
            has_written(at, sizeof(*at), ORDER(order)); \
            has_modified(ORDER(order)); \
        } \
        return done; \
    } \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile rp_u##bits *at, rp_u##bits *expected, \
                                                      rp_u##bits value, int order, int failed); \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile rp_u##bits *at, rp_u##bits *expected, \
                                                      rp_u##bits value, int order, int failed) \
    { \
        return exchanged##bits(at, expected, value, order, failed); \
    } \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile rp_u##bits *at, rp_u##bits *expected, \
                                                    rp_u##bits value, int order, int failed); \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile rp_u##bits *at, rp_u##bits *expected, \
                                                    rp_u##bits value, int order, int failed) \
    { \
        return exchanged##bits(at, expected, value, order, failed); \
    } \
    rp_u##bits __tsan_atomic##bits##_compare_exchange_val(volatile rp_u##bits *at, rp_u##bits expected, \
                                                          rp_u##bits value, int order, int failed); \
    rp_u##bits __tsan_atomic##bits##_compare_exchange_val(volatile rp_u##bits *at, rp_u##bits expected, \
                                                          rp_u##bits value, int order, int failed) \
    { \
        (void)exchanged##bits(at, &expected, value, order, failed); \
        return expected; \
    }

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

/* No word of a ring has 128 bits, so these need be no more than right on one thread. */

__extension__ typedef unsigned __int128 rp_u128;

rp_u128 __tsan_atomic128_load(const volatile rp_u128 *at, int order);
rp_u128 __tsan_atomic128_load(const volatile rp_u128 *at, int order)
{
    will_read(at, sizeof(*at), ORDER(order));
    return *at;
}

HOOK(__tsan_atomic128_store, volatile rp_u128 *at, rp_u128 value, int order)
{
    settle();
    *at = value;
    has_written(at, sizeof(*at), ORDER(order));
}

static bool exchange128(volatile rp_u128 *at, rp_u128 *expected, rp_u128 value, int order, int failed)
{
    bool done = *at == *expected;

    settle();
    *expected = *at;
    will_read(at, sizeof(*at), ORDER(done ? order : failed));
    if (done) {
        *at = value;
        has_written(at, sizeof(*at), ORDER(order));
        has_modified(ORDER(order));
    }
    return done;
}

#define MODIFY128(name, change) \
    rp_u128 __tsan_atomic128_##name(volatile rp_u128 *at, rp_u128 value, int order); \
    rp_u128 __tsan_atomic128_##name(volatile rp_u128 *at, rp_u128 value, int order) \
    { \
        rp_u128 old = *at; \
\
        (void)exchange128(at, &(rp_u128){old}, change, order, order); \
        return old; \
    }

MODIFY128(exchange, value)
MODIFY128(fetch_add, old + value)
MODIFY128(fetch_sub, old - value)
MODIFY128(fetch_and, old & value)
MODIFY128(fetch_or, old | value)
MODIFY128(fetch_xor, old ^ value)
MODIFY128(fetch_nand, ~(old & value))

#define COMPARE128(name, type, at_expected, answer) \
    type __tsan_atomic128_compare_exchange_##name(volatile rp_u128 *at, rp_u128 at_expected, rp_u128 value, \
                                                  int order, int failed); \
    type __tsan_atomic128_compare_exchange_##name(volatile rp_u128 *at, rp_u128 at_expected, rp_u128 value, \
                                                  int order, int failed) \
    { \
        answer; \
    }

COMPARE128(strong, int, *expected, return exchange128(at, expected, value, order, failed))
COMPARE128(weak, int, *expected, return exchange128(at, expected, value, order, failed))
COMPARE128(val, rp_u128, expected, (void)exchange128(at, &expected, value, order, failed); return expected)

/* With `--wrap` the linker of an instrumented library leads these three here: the compiler has not looked into
 * them. */

void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memmove(void *to, const void *from, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);
void *__tsan_memcpy(void *to, const void *from, size_t bytes);
void *__tsan_memmove(void *to, const void *from, size_t bytes);
void *__tsan_memset(void *to, int byte, size_t bytes);

void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
    will_read(from, bytes, RP_ORDER_PLAIN);
    will_write(to, bytes);
    return memmove(to, from, bytes);
}

void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
    will_read(from, bytes, RP_ORDER_PLAIN);
    will_write(to, bytes);
    return memcpy(to, from, bytes);
}

void *__tsan_memset(void *to, int byte, size_t bytes)
{
    will_write(to, bytes);
    return memset(to, byte, bytes);
}

void *__wrap_memmove(void *to, const void *from, size_t bytes)
{
    return __tsan_memmove(to, from, bytes);
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
    return __tsan_memcpy(to, from, bytes);
}

void *__wrap_memset(void *to, int byte, size_t bytes)
{
    return __tsan_memset(to, byte, bytes);
}
