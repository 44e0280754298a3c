/* SPDX-License-Identifier: Apache-2.0 */
#include "tinynet.h"

#include <stdlib.h>
#include <string.h>

static void write_byte(const void *where, ptrdiff_t offset)
{
    *((volatile uint8_t *)(uintptr_t)where + offset) = 0x77;
}

void misbehave_in_probe(struct device *d)
{
    const struct rp_net_env *env = d->env;

    if (fault_is("hang"))
        for (volatile uint32_t i = 0;; i++)
            ;
    if (fault_is("hang-in-registers"))
        for (;;)
            (void)env->read(env->context, RP_NET_IO, 18, 1);
    if (fault_is("crash-in-probe"))
        write_byte(NULL, 0);
    if (fault_is("wild-read"))
        (void)env->read(env->context, RP_NET_IO, 13, 2);
    if (fault_is("wild-write"))
        env->write(env->context, RP_NET_COMMON, 20, 1, 1);
    if (fault_is("wild-width"))
        (void)env->read(env->context, RP_NET_IO, 0, 3);
    if (fault_is("flood-registers"))
        for (uint32_t i = 0; i < 1000000; i++)
            env->write(env->context, RP_NET_IO, 14, 2, i);
    if (fault_is("leak"))
        (void)env->allocate(env->context, 100, 8, NULL);
    if (fault_is("canary"))
        write_byte(env->allocate_private(env->context, 100), 100);
    if (fault_is("red-zone") || fault_is("double-release") || fault_is("stray"))
        d->extra = env->allocate(env->context, 100, 8, &d->extra_address);
}

void misbehave_in_transmit(struct device *d, const struct rp_net_frame *frame)
{
    const struct rp_net_env *env = d->env;

    if (fault_is("crash") && d->sent == 2)
        write_byte(NULL, 0);
    if (fault_is("exit") && d->sent == 2)
        exit(7);
    if (fault_is("write-data"))
        write_byte(frame->packet->head, frame->packet->head_length - 1);
    if (fault_is("write-fragment") && frame->packet->fragment_count != 0)
        write_byte(frame->packet->fragments[0].page, frame->packet->fragments[0].offset);
    if (fault_is("write-margin"))
        write_byte(frame->control, RP_NET_CONTROL_BYTES);
    if (fault_is("write-behind-fragment") && frame->packet->fragment_count != 0)
        write_byte(frame->packet->fragments[0].page,
                   frame->packet->fragments[0].offset + frame->packet->fragments[0].length);
    if (fault_is("write-beyond"))
        write_byte(frame->control, 5 << 20);
    if (fault_is("write-before-window") && d->sent == 2)
        write_byte(frame->control, -(ptrdiff_t)(frame->control_address - UINT64_C(0xc300000000)) - 1);
    if (fault_is("write-other-control"))
        write_byte(frame->packet->head, frame->packet->head_length + 60); /* of the next frame */
    if (fault_is("free-unknown"))
        env->freed(env->context, (void *)(uintptr_t)0x12345678);
    if (fault_is("free-next"))
        env->freed(env->context, (void *)((uintptr_t)frame->token + 1));
    if (fault_is("orphan-unknown"))
        env->orphaned(env->context, (void *)((uintptr_t)frame->token + 1));
    if (fault_is("stop-unknown"))
        env->stop_queue(env->context, 3);
    if (fault_is("flood-events"))
        for (uint32_t i = 0; i < 1000000; i++)
            env->start_queue(env->context, 0);
    if (fault_is("red-zone"))
        write_byte(d->extra, 100);
    if (fault_is("double-release") || fault_is("stray"))
        env->release(env->context, d->extra, 100);
    if (fault_is("stray"))
        write_byte(d->extra, 5);
}

void misbehave_with_others(struct queue *q)
{
    for (uint32_t head = 0; head < q->size; head++) {
        if (q->frames[head] == NULL)
            continue;
        if (fault_is("change-chain"))
            q->desc[q->desc[head].next].length--;
        if (fault_is("change-header"))
            write_byte(q->frames[head]->control, 3);
    }
}

void misbehave_after_transmit(struct device *d, struct queue *q, const struct rp_net_frame *frame)
{
    const struct rp_net_env *env = d->env;

    if (fault_is("free-published"))
        env->freed(env->context, frame->token);
    if (fault_is("publish-twice"))
        q->avail[1] = (uint16_t)(q->avail[1] + 1);
    if (fault_is("free-early") && d->sent == 1)
        env->freed(env->context, (void *)((uintptr_t)frame->token - 1));
}

void misbehave_in_remove(struct device *d)
{
    const struct rp_net_env *env = d->env;

    if (fault_is("crash-in-remove"))
        abort();
    if (fault_is("red-zone"))
        env->release(env->context, d->extra, 100);
}
