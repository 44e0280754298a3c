/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that kicks only when it must, in a thread of its own, against the plain device, which sleeps whenever it says
 * it may: `race FRAMES EVENT_IDX`. Exit 1: nobody moves any more, so a kick or an interrupt was lost. The driver's
 * side is written from VIRTIO 1.3 sections 2.7.7.1 and 2.7.10.1. With no FRAMES (0) there is one, and it is published in
 * the very moment in which the device, having seen an empty ring, says that it wants a kick: its store is caught.
 */
#define _GNU_SOURCE
#include "frame.h"
#include "plain.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 16u
#define PATIENCE_MS 10000

static uint8_t          *memory;
static struct rpl_guest  guest;
static struct rpl_plain *plain;
static int               kick, call, stopped;
static bool              event_idx;
static uint64_t          device_slept, device_woken;

static uint16_t *word(uint32_t at)
{
    return (uint16_t *)(void *)(memory + at);
}

/* Where things are: the table at 0, the available ring at 4096, the used ring at 8192, buffers behind. */
static uint16_t *avail(uint32_t index)
{
    return word(4096) + index;
}

static uint16_t *used(uint32_t index)
{
    return word(8192) + index;
}

static uint16_t look(uint16_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static bool sleep_on(int fd)
{
    struct pollfd wait = {fd, POLLIN, 0};
    uint64_t      count;

    return poll(&wait, 1, PATIENCE_MS) == 1 && read(fd, &count, sizeof count) == sizeof count;
}

static void wake(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof one) < 0)
        abort();
}

static void *serve(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&stopped, __ATOMIC_ACQUIRE)) {
        if (rpl_plain_service(plain, 7))
            continue;
        device_slept++;
        if (!sleep_on(kick)) {
            printf("the device waits for a kick: avail_idx %u\n", look(avail(1)));
            exit(1);
        }
        device_woken++;
    }
    return NULL;
}

static bool crosses(uint16_t event, uint16_t before, uint16_t now)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static bool kick_wanted(uint16_t before, uint16_t now)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return event_idx ? crosses(look(used(2 + 4 * SIZE)), before, now) : !(look(used(0)) & 1);
}

/* Waits until used_idx is no more what it was. */
static void wait_for_used(uint16_t seen)
{
    if (event_idx)
        __atomic_store_n(avail(2 + SIZE), seen, __ATOMIC_RELEASE);
    else
        __atomic_store_n(avail(0), 0, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    while (look(used(1)) == seen)
        if (!sleep_on(call)) {
            printf("the driver waits for an interrupt: used_idx %u\n", seen);
            exit(1);
        }
    if (!event_idx)
        __atomic_store_n(avail(0), 1, __ATOMIC_RELEASE);
}

/* The device stores to the used ring for the first time: the driver is just before it, once. */
static void just_before(int number)
{
    (void)number;
    *avail(2) = 0;
    __atomic_store_n(avail(1), 1, __ATOMIC_RELEASE);
    if (kick_wanted(0, 1))
        wake(kick);
    (void)mprotect(rpl_guest_at(&guest, 8192, 1), 4096, PROT_READ | PROT_WRITE);
}

static int publish_late(void)
{
    struct sigaction action = {.sa_handler = just_before};
    uint64_t         kicks = 0;

    if (event_idx)
        *used(2 + 4 * SIZE) = 0x8000; /* no kick at the first entry, as long as this stands */
    if (sigaction(SIGSEGV, &action, NULL) || mprotect(rpl_guest_at(&guest, 8192, 1), 4096, PROT_READ))
        return 2;
    while (rpl_plain_service(plain, 7))
        ;
    if (rpl_plain_chains(plain) != 1 && read(kick, &kicks, sizeof kicks) < 0) {
        printf("the device sleeps, a chain is there, and no kick comes\n");
        return 1;
    }
    return kicks ? 3 : 0;
}

int main(int count, char **words)
{
    int                    fd = memfd_create("race", 0);
    struct rpl_queue_setup setup = {SIZE, 0, 4096, 8192, 0, RPL_VERSION_ONE, true, 1500};
    uint32_t               random = 12345;
    uint64_t               sent = 0, kicks = 0, most;
    pthread_t              device;
    uint16_t               now = 0, done = 0;

    if (count != 3 || fd < 0 || ftruncate(fd, 65536))
        return 2;
    event_idx = words[2][0] == '1';
    memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    rpl_guest_init(&guest);
    plain = rpl_plain_new(&guest);
    if (memory == MAP_FAILED || !plain || rpl_guest_add(&guest, 0, 0, 65536, 0, fd) != RPL_GUEST_OK)
        return 2;
    for (uint64_t i = 0; i < SIZE; i++) {
        uint64_t address = 16384 + 128 * i;
        uint32_t bytes = 72;

        memcpy(memory + 16 * i, &address, 8);
        memcpy(memory + 16 * i + 8, &bytes, 4);
    }
    *avail(0) = 1;
    if (event_idx)
        setup.features |= RPL_RING_EVENT_IDX;
    most = strtoull(words[1], NULL, 10);
    kick = eventfd(0, most ? 0 : EFD_NONBLOCK);
    call = eventfd(0, 0);
    rpl_plain_set_call(plain, call);
    if (!rpl_plain_start(plain, &setup))
        return 2;
    if (most == 0)
        return publish_late();
    if (pthread_create(&device, NULL, serve, NULL))
        return 2;
    while (sent < most) {
        uint16_t before = now, room;

        done = look(used(1));
        room = (uint16_t)(SIZE - (uint16_t)(now - done));
        if (room == 0) {
            wait_for_used(done);
            continue;
        }
        random = random * 1103515245u + 12345u;
        for (uint32_t more = 1 + (random >> 16) % room % 4; more > 0; more--, now++, sent++)
            *avail(2 + now % SIZE) = now % SIZE;
        __atomic_store_n(avail(1), now, __ATOMIC_RELEASE);
        if (kick_wanted(before, now)) {
            kicks++;
            wake(kick);
        }
        if ((random >> 20) % 8 == 0) /* let the device come to rest */
            while ((done = look(used(1))) != now)
                wait_for_used(done);
    }
    while ((done = look(used(1))) != now)
        wait_for_used(done);
    __atomic_store_n(&stopped, 1, __ATOMIC_RELEASE);
    wake(kick);
    pthread_join(device, NULL);
    printf("%llu sent, %llu taken, %llu kicks, %llu sleeps\n", (unsigned long long)sent,
           (unsigned long long)rpl_plain_chains(plain), (unsigned long long)kicks, (unsigned long long)device_slept);
    if (rpl_plain_chains(plain) != sent || rpl_plain_stop(plain) != now || kicks >= sent)
        return 3;
    rpl_plain_free(plain);
    rpl_guest_clear(&guest);
    munmap(memory, 65536);
    close(fd);
    close(kick);
    close(call);
    return 0;
}
