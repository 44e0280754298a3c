/* SPDX-License-Identifier: Apache-2.0 */
/* The faults that lie beside the driver's own work. */
#define _GNU_SOURCE
#include "tiny.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *chosen(void)
{
    static const char *name;

    if (name == NULL)
        name = getenv("RINGPROOF_TINY_FAULT");
    if (name == NULL)
        name = "none";
    return name;
}

int fault(const char *name)
{
    return strcmp(chosen(), name) == 0;
}

int faults(const char *beginning)
{
    return strncmp(chosen(), beginning, strlen(beginning)) == 0;
}

static uint64_t noise(struct tiny *t)
{
    t->noise = t->noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return t->noise >> 16;
}

void misplace(struct tiny *t, struct rp_ring_parts *parts)
{
    if (fault("parts-outside"))
        parts->avail += UINT64_C(1) << 40;
    if (fault("parts-host-pointers"))
        parts->desc = (uint64_t)(uintptr_t)t->desc;
    if (fault("parts-misaligned"))
        parts->desc += 8;
    if (fault("parts-overlap"))
        parts->used = parts->desc;
    if (fault("parts-unset"))
        memset(parts, 0, sizeof(*parts));
    if (fault("ring-not-zero"))
        t->used[0] = 1;
    if (fault("idx-not-zero"))
        t->avail[1] = 1;
}

void call_out_of_time(const struct rp_env *env)
{
    static const struct rp_env *before;

    if (fault("late-call") && before != NULL)
        before->notify(before->context, before->queue_index);
    if (fault("kick-early"))
        env->notify(env->context, env->queue_index);
    before = env;
}

/* As fork, of which the worker hears. */
static long cloned(void)
{
    return syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
}

void misbehave(struct tiny *t)
{
    volatile uintptr_t nowhere = 0x18;

    if (t->adds != 3)
        return;
    if (fault("crash"))
        *(volatile int *)nowhere = 1;
    if (fault("exit"))
        exit(7);
    if (fault("close-files"))
        for (int file = 3; file < 64; file++)
            close(file);
    if (fault("overflow-stack"))
        misbehave(t), t->noise++;
    for (int i = 0; fault("print") && i < 100000; i++)
        printf("a line of fifty characters, one of a great many.\n"), fflush(stdout);
    if ((fault("fork") || fault("fork-and-leave")) && cloned() == 0) {
        if (fault("fork-and-leave"))
            (void)setsid();
        for (;;)
            pause();
    }
    if (fault("spawn") && system("sleep 60 & exit 0") != 0)
        abort();
    if (fault("beyond-arena"))
        ((uint8_t *)t->desc)[64 << 20] = 1;
    if (fault("private-page"))
        t->free_stack[t->n + 16] = 0;
    if (fault("read-past-private"))
        t->noise += *(volatile uint32_t *)&t->slots[t->n].count;
}

uint32_t split(const struct rp_segment *segments, uint32_t count, struct rp_segment *pieces, uint32_t most)
{
    uint32_t made = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct rp_segment left = segments[i];

        while (left.length > 0 && made < most) {
            uint32_t room = 4096 - (uint32_t)(left.address % 4096);
            uint32_t bytes = left.length < room ? left.length : room;

            pieces[made] = left;
            pieces[made++].length = bytes;
            left.data = (char *)left.data + bytes;
            left.address += bytes;
            left.length -= bytes;
        }
    }
    return made;
}

void scribble(struct tiny *t, uint16_t head)
{
    struct desc *d = &t->desc[head];
    struct desc *table = t->slots[head].table;

    if (fault("red-zone"))
        t->desc[t->n].len = 1;
    if (fault("stray"))
        memset((uint8_t *)t->desc + (3 << 20), 1, 8);
    if (fault("stray-between") && t->n == 256)
        ((uint8_t *)t->desc)[6000] = 1;
    if (fault("length-sum") && (d->flags & NEXT) != 0)
        d->len = t->desc[d->next].len = 0xffffffff;
    if (fault("canary")) {
        uint8_t *block = t->env->allocate_private(t->env->context, 24);

        if (block != NULL)
            block[24] = 0;
        t->env->release_private(t->env->context, block, 24);
    }
    if (fault("canary-before"))
        ((uint8_t *)t->slots)[-1] = 0;
    if (fault("used-flags"))
        t->used[0] = 1;
    if (fault("used-idx"))
        t->used[1]++;
    if (fault("used-entry"))
        t->used[2 + 4 * (t->n - 1)] = 77;
    if (fault("avail-event"))
        *avail_event(t) = 5;
    if (fault("head-range"))
        t->avail[2 + (t->avail_idx % t->n)] = (uint16_t)t->n;
    if (fault("next-range"))
        d->flags = NEXT, d->next = (uint16_t)(t->n + 3);
    if (fault("loop"))
        d->flags = NEXT, d->next = head;
    if (fault("unassigned-flag"))
        d->flags |= 0x80;
    if (fault("host-address"))
        d->addr = (uint64_t)(uintptr_t)t;
    if (fault("address-in-ring"))
        d->addr = t->parts.avail;
    if (fault("length"))
        d->len++;
    if (fault("write-flag"))
        d->flags ^= WRITE;
    if (fault("indirect-unnegotiated"))
        d->flags = INDIRECT;
    if (fault("indirect-and-next") && table != NULL)
        d->flags |= NEXT;
    if (fault("indirect-length") && table != NULL)
        d->len -= 8;
    if (fault("indirect-empty") && table != NULL)
        d->len = 0;
    if (fault("indirect-nested") && table != NULL)
        table[1].flags |= INDIRECT;
    if (fault("table-loop") && table != NULL)
        table[0].next = 0;
    if (fault("table-next-range") && table != NULL)
        table[0].next = 999;
    if (fault("table-outside") && table != NULL)
        d->addr += 1 << 20;
    if (fault("table-odd-address") && table != NULL)
        d->addr += 1;
    if (fault("avail-flags"))
        t->avail[0] = 2;
    if (fault("noise")) {
        uint8_t *at[] = {(uint8_t *)t->desc, (uint8_t *)(uintptr_t)t->avail};
        size_t bytes[] = {desc_bytes(t), avail_bytes(t)};

        for (int part = 0; part < 2; part++)
            for (size_t i = 0; i < bytes[part]; i++)
                if (noise(t) % 8 == 0)
                    at[part][i] = (uint8_t)noise(t);
        t->avail_idx = (uint16_t)(t->avail_idx + noise(t) % 3);
        for (uint32_t i = 0; i < t->n; i++) {
            t->desc[i].flags &= 7;
            if (noise(t) % 4 != 0)
                t->desc[i].next %= (uint16_t)t->n, t->desc[i].addr = t->parts.desc + noise(t) % 64;
            if (noise(t) % 4 != 0)
                t->avail[2 + i] %= (uint16_t)t->n;
        }
    }
}
