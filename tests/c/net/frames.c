/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MOST_BYTES (1u << 18)

/* Never twice the same bytes in a row. */
static void fill(uint8_t *bytes, uint32_t length)
{
    static uint32_t state = 1;

    for (uint32_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(state >> 24);
    }
}

static void *shared(size_t bytes, size_t alignment, uint64_t *address)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);

    CHECK(memory != NULL);
    *address = share(memory, bytes, alignment);
    return memory;
}

struct rp_net_packet *packet(uint32_t head_length)
{
    struct rp_net_packet *self = calloc(1, sizeof(*self));

    CHECK(self != NULL);
    bench.next_address += 6;
    self->head = shared(head_length, 2, &self->head_address);
    self->head_length = head_length;
    fill(self->head, head_length);
    return self;
}

void fragment(struct rp_net_packet *self, uint32_t offset, uint32_t length)
{
    uint32_t count = self->fragment_count;
    struct rp_net_fragment *all = malloc((count + 1) * sizeof(*all));

    CHECK(all != NULL);
    CHECK(offset + length <= 4096);
    if (count > 0)
        memcpy(all, self->fragments, count * sizeof(*all));
    all[count].page = shared(4096, 4096, &all[count].page_address);
    all[count].offset = offset;
    all[count].length = length;
    fill(all[count].page, 4096);
    free((void *)(uintptr_t)self->fragments);
    self->fragments = all;
    self->fragment_count = count + 1;
}

void append(struct rp_net_packet *self, struct rp_net_packet *following)
{
    const struct rp_net_packet **end = &self->list;

    while (*end != NULL)
        end = &((struct rp_net_packet *)(uintptr_t)*end)->next;
    *end = following;
}

static uint32_t set_length(struct rp_net_packet *self)
{
    self->length = self->head_length;
    for (uint32_t i = 0; i < self->fragment_count; i++)
        self->length += self->fragments[i].length;
    for (const struct rp_net_packet *each = self->list; each != NULL; each = each->next)
        self->length += set_length((struct rp_net_packet *)(uintptr_t)each);
    return self->length;
}

/* Gathers all data from the packet on; where it ends. */
static uint8_t *gather(const struct rp_net_packet *self, uint8_t *to)
{
    memcpy(to, self->head, self->head_length);
    to += self->head_length;
    for (uint32_t i = 0; i < self->fragment_count; i++) {
        const struct rp_net_fragment *each = &self->fragments[i];

        memcpy(to, (const uint8_t *)each->page + each->offset, each->length);
        to += each->length;
    }
    for (const struct rp_net_packet *each = self->list; each != NULL; each = each->next)
        to = gather(each, to);
    return to;
}

uint32_t frame(struct rp_net_packet *self)
{
    uint32_t number = bench.frames;
    struct sent *sent;

    for (uint32_t i = 0; i < bench.frames && bench.reuse; i++)
        if (bench.sent[i].freed == 1)
            number = i;
    CHECK(number < MOST_FRAMES);
    if (number == bench.frames)
        bench.frames += 1;
    sent = &bench.sent[number];
    memset(sent, 0, sizeof(*sent));
    sent->length = set_length(self);
    sent->data = malloc(sent->length + 1);
    CHECK(sent->data != NULL);
    gather(self, sent->data);
    sent->frame.packet = self;
    sent->frame.token = sent;
    sent->frame.control = shared(RP_NET_CONTROL_BYTES, 64, &sent->frame.control_address);
    memset(sent->frame.control, 0xa5, RP_NET_CONTROL_BYTES);
    return number;
}

uint32_t frame_of(uint32_t fragments)
{
    struct rp_net_packet *self = packet(60);

    for (uint32_t i = 0; i < fragments; i++)
        fragment(self, 100 * i, 10 + i);
    return frame(self);
}

static void free_packet(const struct rp_net_packet *self)
{
    for (const struct rp_net_packet *each = self->list; each != NULL;) {
        const struct rp_net_packet *next = each->next;

        free_packet(each);
        each = next;
    }
    for (uint32_t i = 0; i < self->fragment_count; i++) {
        unshare(self->fragments[i].page);
        free(self->fragments[i].page);
    }
    unshare(self->head);
    free(self->head);
    free((void *)(uintptr_t)self->fragments);
    free((void *)(uintptr_t)self);
}

void free_frame_memory(struct sent *sent)
{
    free_packet(sent->frame.packet);
    unshare(sent->frame.control);
    free(sent->frame.control);
    free(sent->data);
    memset(&sent->frame, 0, sizeof(sent->frame));
    sent->data = NULL;
}

uint32_t send(uint32_t number)
{
    const struct rp_net_frame *self = &bench.sent[number].frame;
    uint32_t pair = bench.driver->select_queue(bench.device, self);

    bench.driver->transmit(bench.device, pair, self);
    return pair;
}

void expect_frame(const char *file, int line, uint32_t pair, uint32_t number, uint32_t segments,
                  const char *header)
{
    static uint8_t bytes[MOST_BYTES];
    const struct sent *sent = &bench.sent[number];
    char text[2 * 12 + 1];
    uint32_t header_bytes = (uint32_t)strlen(header) / 2;
    uint32_t got_segments;
    uint32_t got = read_chain(2 * pair + 1, bytes, sizeof(bytes), &got_segments);

    for (uint32_t i = 0; i < header_bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    if (got_segments != segments)
        fail(file, line, "the frame has so many segments");
    if (strcmp(text, header) != 0) {
        printf("header: %s\n", text);
        fail(file, line, "the header has these bytes");
    }
    if (sent->data == NULL || got != header_bytes + sent->length ||
        memcmp(bytes + header_bytes, sent->data, sent->length) != 0)
        fail(file, line, "the device reads header and frame, and no more");
}

struct rp_net_statistics statistics(uint32_t pair)
{
    struct rp_net_statistics now;

    memset(&now, 0xff, sizeof(now));
    bench.driver->statistics(bench.device, pair, &now);
    return now;
}
