/* SPDX-License-Identifier: Apache-2.0 */
#include "scatterlist.h"

#define PAGE     4096u
#define END_MARK UINT64_C(2)

/* -- entries -- */

void rp_sg_init(struct rp_sg *sg, uint32_t entries)
{
    __builtin_memset(sg, 0, entries * sizeof(*sg));
    rp_sg_mark_end(&sg[entries - 1]);
}

void rp_sg_set(struct rp_sg *sg, uint64_t address, uint32_t length)
{
    sg->page_link = address & ~(uint64_t)(PAGE - 1);
    sg->offset = (uint32_t)(address & (PAGE - 1));
    sg->length = length;
}

void rp_sg_mark_end(struct rp_sg *sg)
{
    sg->page_link |= END_MARK;
}

uint32_t rp_sg_count(const struct rp_sg *sg, uint32_t most)
{
    uint32_t count = 1;

    while (count < most && (sg[count - 1].page_link & END_MARK) == 0)
        count++;
    return count;
}

const void *rp_sg_read(const void *cursor, struct rp_vq_segment *segment)
{
    const struct rp_sg *sg = cursor;

    segment->address = (sg->page_link & ~(uint64_t)(PAGE - 1)) + sg->offset;
    segment->length = sg->length;
    return sg + 1;
}

/* -- pieces -- */

struct tally {
    uint32_t pieces, packets;
};

static bool count(const struct rp_net_packet *packet, uint32_t depth, struct tally *tally)
{
    tally->packets += 1;
    if (depth > RP_SG_MOST_DEPTH || tally->packets > RP_SG_MOST_PACKETS)
        return false;
    if (packet->fragment_count > RP_NET_MOST_FRAGMENTS)
        return false;
    tally->pieces += packet->head_length > 0;
    for (uint32_t i = 0; i < packet->fragment_count; i++)
        tally->pieces += packet->fragments[i].length > 0;
    if (tally->pieces > RP_SG_ENTRIES - 1)
        return false;
    for (const struct rp_net_packet *each = packet->list; each != NULL; each = each->next)
        if (!count(each, depth + 1, tally))
            return false;
    return true;
}

int rp_skb_pieces(const struct rp_net_packet *packet)
{
    struct tally tally = {0, 0};

    return count(packet, 1, &tally) ? (int)tally.pieces : RP_SG_EMSGSIZE;
}

/* -- skb_to_sgvec -- */

/* What is still to be mapped of one packet, and where the walk through it stands: all in bytes from the
 * packet's first. */
struct walk {
    uint64_t start;  /* of the piece at hand */
    uint64_t offset; /* of the first byte still to be mapped: not before start */
    uint64_t length; /* of what is still to be mapped */
};

/* Steps over a piece of `size` bytes. True if some of it is to be mapped: `take` bytes from `skip` on. */
static bool step(struct walk *walk, uint64_t size, uint64_t *skip, uint64_t *take)
{
    uint64_t start = walk->start;
    uint64_t end = start + size;

    walk->start = end;
    if (walk->length == 0 || end <= walk->offset)
        return false;
    *skip = walk->offset - start;
    *take = end - walk->offset;
    if (*take > walk->length)
        *take = walk->length;
    walk->offset += *take;
    walk->length -= *take;
    return true;
}

/* The segments being written. */
struct sgvec {
    struct rp_sg *sg;
    uint32_t room, used;
};

static int put(struct sgvec *vec, uint64_t address, uint64_t length)
{
    if (vec->used == vec->room)
        return RP_SG_EMSGSIZE;
    rp_sg_set(&vec->sg[vec->used], address, (uint32_t)length);
    vec->used += 1;
    return RP_NET_OK;
}

/* __skb_to_sgvec */
static int map(const struct rp_net_packet *packet, struct sgvec *vec, uint64_t offset, uint64_t length)
{
    struct walk walk = {0, offset, length};
    uint64_t skip, take;
    int error = RP_NET_OK;

    if (step(&walk, packet->head_length, &skip, &take))
        error = put(vec, packet->head_address + skip, take);
    for (uint32_t i = 0; i < packet->fragment_count && error == RP_NET_OK; i++) {
        const struct rp_net_fragment *fragment = &packet->fragments[i];

        if (step(&walk, fragment->length, &skip, &take))
            error = put(vec, fragment->page_address + fragment->offset + skip, take);
    }
    for (const struct rp_net_packet *each = packet->list; each != NULL; each = each->next)
        if (error == RP_NET_OK && step(&walk, each->length, &skip, &take))
            error = map(each, vec, skip, take);
    if (error == RP_NET_OK && walk.length > 0)
        error = RP_NET_EINVAL;
    return error;
}

int rp_skb_to_sgvec(const struct rp_net_packet *packet, struct rp_sg *sg, uint32_t room, uint32_t offset,
                    uint32_t length)
{
    struct sgvec vec = {sg, room, 0};
    int error = map(packet, &vec, offset, length);

    if (error != RP_NET_OK)
        return error;
    if (vec.used > 0)
        rp_sg_mark_end(&sg[vec.used - 1]);
    return (int)vec.used;
}

/* -- skb_copy_bits -- */

/* How many bytes were copied: `room`, unless there are fewer. */
static uint32_t copy(const struct rp_net_packet *packet, uint8_t *to, uint32_t room)
{
    uint32_t done = packet->head_length < room ? packet->head_length : room;

    if (done > 0)
        __builtin_memcpy(to, packet->head, done);
    for (uint32_t i = 0; i < packet->fragment_count && done < room; i++) {
        const struct rp_net_fragment *fragment = &packet->fragments[i];
        uint32_t take = fragment->length < room - done ? fragment->length : room - done;

        if (take > 0)
            __builtin_memcpy(to + done, (const uint8_t *)fragment->page + fragment->offset, take);
        done += take;
    }
    for (const struct rp_net_packet *each = packet->list; each != NULL && done < room; each = each->next)
        done += copy(each, to + done, room - done);
    return done;
}

int rp_skb_copy(const struct rp_net_packet *packet, void *to, uint32_t length)
{
    return copy(packet, to, length) == length ? RP_NET_OK : RP_NET_EINVAL;
}
