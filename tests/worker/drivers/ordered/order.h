/* SPDX-License-Identifier: Apache-2.0 */
/* How the driver beside this orders its accesses: a manner (MANNER_...) and what is left out of it (NO_...). */
#ifndef ORDER_H
#define ORDER_H

#include <stdint.h>

#ifdef MANNER_SEQ_CST /* no fences: each access of a word the device accesses, too, is sequentially consistent */
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_SEQ_CST)
#define STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_SEQ_CST)
#define RELEASE() ((void)0)
#define ACQUIRE() ((void)0)
#define FULL() ((void)0)

#elif defined(MANNER_RELEASE_STORE) /* the index is stored with release and loaded with acquire */
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)
#define RELEASE() ((void)0)
#define ACQUIRE() ((void)0)
#define FULL() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#elif defined(MANNER_SYNC) /* the oldest of the builtins, on volatile words */
#define LOAD(word) (*(volatile uint16_t *)&(word))
#define STORE(word, value) ((void)(*(volatile uint16_t *)&(word) = (value)))
#define RELEASE() __sync_synchronize()
#define ACQUIRE() __sync_synchronize()
#define FULL() __sync_synchronize()

#elif defined(MANNER_EXCHANGE) /* the full barrier is a read-modify-write of a word of its own */
static uint32_t barrier_word;
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELEASE)
#define RELEASE() ((void)0)
#define ACQUIRE() ((void)0)
#define FULL() ((void)__atomic_fetch_add(&barrier_word, 0, __ATOMIC_SEQ_CST))

#elif defined(MANNER_X86) || defined(MANNER_X86_LOCK) /* for one machine: nothing of this is C11 */
#define NO_TRAIT
#define LOAD(word) (*(volatile uint16_t *)&(word))
#define STORE(word, value) ((void)(*(volatile uint16_t *)&(word) = (value)))
#define RELEASE() __asm__ volatile("" ::: "memory")
#define ACQUIRE() __asm__ volatile("" ::: "memory")
#ifdef MANNER_X86
#define FULL() __asm__ volatile("mfence" ::: "memory")
#else
#define FULL() __asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc")
#endif

#else /* relaxed accesses and fences */
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELAXED)
#define RELEASE() __atomic_thread_fence(__ATOMIC_RELEASE)
#define ACQUIRE() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define FULL() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

#define COMPILER_BARRIER() __asm__ volatile("" ::: "memory")

#ifdef NO_RELEASE
#undef RELEASE
#define RELEASE() COMPILER_BARRIER()
#ifdef MANNER_RELEASE_STORE
#undef STORE
#define STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELAXED)
#endif
#endif
#ifdef NO_ACQUIRE
#undef ACQUIRE
#define ACQUIRE() COMPILER_BARRIER()
#ifdef MANNER_RELEASE_STORE
#undef LOAD
#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#endif
#endif
#ifdef NO_FULL
#undef FULL
#define FULL() COMPILER_BARRIER()
#endif
#ifdef NO_FULL_ARM
#define FULL_ARM() COMPILER_BARRIER()
#else
#define FULL_ARM() FULL()
#endif
#ifdef NO_FULL_REARM
#define FULL_REARM() COMPILER_BARRIER()
#else
#define FULL_REARM() FULL()
#endif
#ifdef NO_FULL_FLAGS
#define FULL_FLAGS() COMPILER_BARRIER()
#else
#define FULL_FLAGS() FULL()
#endif
#ifdef NO_FULL_EVENT
#define FULL_EVENT() COMPILER_BARRIER()
#else
#define FULL_EVENT() FULL()
#endif

#endif
