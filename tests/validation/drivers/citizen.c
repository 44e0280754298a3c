/* SPDX-License-Identifier: Apache-2.0 */
/* A driver in good order (examples/minimal, linked in under another name) that behaves badly towards the process
 * it runs in, in the manner that a macro CITIZEN_... names; with none of them it is a good citizen. */
#define _GNU_SOURCE
#undef rp_driver_entry
#include "ringproof_driver.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const struct rp_driver *good_driver_entry(void);

static struct rp_driver driver;
static uint32_t kicks; /* since create */

static void misbehave(void)
{
#if defined CITIZEN_FORKS
    if (fork() == 0)
        return; /* the child goes on in the worker's place */
#elif defined CITIZEN_FORKS_AND_WAITS
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    (void)waitpid(child, NULL, 0);
#elif defined CITIZEN_DETACHES
    (void)system("sleep 60 & exit 0");
#elif defined CITIZEN_PRINTS_MUCH
    static char line[1 << 16];

    memset(line, 'x', sizeof(line) - 1);
    (void)puts(line);
    (void)fflush(stdout);
#elif defined CITIZEN_PRINTS_FOR_EVER
    for (;;)
        (void)puts("and again");
#elif defined CITIZEN_CLOSES_FILES
    for (int file = 0; file < 1024; file++)
        (void)close(file);
#elif defined CITIZEN_EXITS
    exit(0);
#elif defined CITIZEN_EXITS_AT_ONCE
    _exit(3);
#elif defined CITIZEN_ABORTS
    abort();
#elif defined CITIZEN_BLOCKS_SIGNALS
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    *(volatile int *)8 = 1;
#elif defined CITIZEN_IGNORES_SIGNALS
    for (int number = 1; number < 65; number++)
        (void)signal(number, SIG_IGN);
    for (;;)
        (void)pause();
#elif defined CITIZEN_STOPS
    (void)raise(SIGSTOP);
#elif defined CITIZEN_ALLOCATES
    for (;;) {
        volatile char *more = malloc(1 << 20);

        *more = 1; /* null is what it does not ask for */
    }
#elif defined CITIZEN_OVERFLOWS_STACK
    volatile char much[1 << 16];

    memset((char *)much, 1, sizeof(much));
    misbehave();
    much[0] = 2;
#elif defined CITIZEN_LEAVES_GROUP
    (void)setsid();
    for (;;)
        (void)pause();
#endif
}

#if defined CITIZEN_THREAD_SCRIBBLES || defined CITIZEN_THREAD_SPINS || defined CITIZEN_THREAD_CRASHES
static uint8_t *volatile scribbled;

static void *thread(void *context)
{
    (void)context;
    for (;;) {
#if defined CITIZEN_THREAD_SCRIBBLES
        if (scribbled != NULL)
            memset(scribbled, 0x77, 16);
#elif defined CITIZEN_THREAD_CRASHES
        if (scribbled != NULL)
            *(volatile int *)8 = 1;
#endif
    }
    return NULL;
}

static void begin(uint8_t *memory)
{
    static pthread_t started;

    scribbled = memory;
    if (started == 0 && pthread_create(&started, NULL, thread, NULL) != 0)
        abort();
}
#else
static void begin(uint8_t *memory)
{
    (void)memory;
}
#endif

static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
#if defined CITIZEN_CREATE_HANGS
    for (;;)
        (void)pause();
#elif defined CITIZEN_SIZES_CRASH_AND_HANG
    if (env->queue_size == 0)
        abort();
    while (env->queue_size == 3)
        (void)pause();
#endif
    {
        int answer = good_driver_entry()->create(env, parts, queue);

        kicks = 0;
        if (answer == RP_OK)
            begin(*queue);
        return answer;
    }
}

static void destroy(void *queue)
{
#if defined CITIZEN_DESTROY_HANGS
    for (;;)
        (void)pause();
#elif defined CITIZEN_DESTROY_FORKS
    (void)fork();
#endif
    good_driver_entry()->destroy(queue);
}

static void kick(void *queue)
{
    good_driver_entry()->kick(queue);
    if (kicks++ == 0)
        misbehave();
}

#if defined CITIZEN_CONSTRUCTOR_HANGS
__attribute__((constructor)) static void begin_to_live(void)
{
    for (;;)
        (void)pause();
}
#elif defined CITIZEN_CONSTRUCTOR_EXITS
__attribute__((constructor)) static void begin_to_live(void)
{
    exit(0);
}
#endif

const struct rp_driver *rp_driver_entry(void)
{
#if defined CITIZEN_ENTRY_HANGS
    for (;;)
        (void)pause();
#elif defined CITIZEN_ENTRY_CRASHES
    abort();
#endif
    driver = *good_driver_entry();
    driver.create = create;
    driver.destroy = destroy;
    driver.kick = kick;
    return &driver;
}
