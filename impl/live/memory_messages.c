/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about memory: regions, and the log of dirty pages. */
#include "messages.h"

#define TABLE_REGIONS 8u /* most of SET_MEM_TABLE */

struct memory_region {
    uint64_t guest, bytes, user, offset;
};

static struct memory_region region_at(const struct rpl_session *session, uint32_t at)
{
    return (struct memory_region){
        .guest = rpl_read64(session, at),
        .bytes = rpl_read64(session, at + 8),
        .user = rpl_read64(session, at + 16),
        .offset = rpl_read64(session, at + 24),
    };
}

/* The region that was shared before in just these words; null: none. */
static struct rpl_region *known_region(struct rpl_guest *guest, const struct memory_region *region)
{
    for (uint32_t at = 0; at < guest->count; at++) {
        struct rpl_region *known = &guest->regions[at];

        if (known->guest == region->guest && known->user == region->user && known->bytes == region->bytes)
            return known;
    }
    return NULL;
}

static enum rpl_answer add_region(struct rpl_session *session, const struct memory_region *region, uint32_t number)
{
    int                  fd = rpl_wire_take(rpl_message_of(session));
    enum rpl_guest_error error =
        rpl_guest_add(&session->guest, region->guest, region->user, region->bytes, region->offset, fd);

    close(fd);
    if (error == RPL_GUEST_OK)
        return RPL_ANSWER_DONE;
    return rpl_answer_trouble(session, RPL_TROUBLE_MEMORY, RPL_PAIR(number, error), region->guest);
}

/* Regions go one by one, so that a log stays. */
static void remove_regions(struct rpl_guest *guest)
{
    while (guest->count > 0) {
        struct rpl_region region = guest->regions[guest->count - 1];

        if (rpl_guest_remove(guest, region.guest, region.user, region.bytes) != RPL_GUEST_OK) {
            rpl_guest_clear(guest);
            return;
        }
    }
}

/* After a change, queues that have waited for memory, or stood still for the change, go on. */
static enum rpl_answer memory_changed(struct rpl_session *session)
{
    rpl_state_memory(session);
    for (uint32_t at = 0; at < session->vring_count; at++)
        rpl_vring_try(&session->vrings[at]);
    return session->trouble == RPL_TROUBLE_NONE ? RPL_ANSWER_DONE : RPL_ANSWER_FAILED;
}

enum rpl_answer rpl_on_set_mem_table(struct rpl_session *session)
{
    const struct rpl_message *message = rpl_message_of(session);
    uint32_t                  count;

    if (message->size < 8)
        return rpl_wrong_size(session);
    count = rpl_read32(session, 0);
    if (count == 0 || count > TABLE_REGIONS)
        return rpl_answer_trouble(session, RPL_TROUBLE_REGIONS, count, TABLE_REGIONS);
    if (message->size != 8 + count * sizeof(struct memory_region))
        return rpl_wrong_size(session);
    if (message->fds_sent != count)
        return rpl_answer_trouble(session, RPL_TROUBLE_FDS, RPL_MSG_SET_MEM_TABLE, RPL_PAIR(count, message->fds_sent));
    (void)rpl_vrings_pause(session);
    remove_regions(&session->guest);
    for (uint32_t at = 0; at < count; at++) {
        struct memory_region region = region_at(session, 8 + at * (uint32_t)sizeof region);

        if (add_region(session, &region, at) != RPL_ANSWER_DONE)
            return RPL_ANSWER_FAILED;
    }
    return memory_changed(session);
}

/* What runs may run on: a region more makes none of the others invalid. */
enum rpl_answer rpl_on_add_mem_reg(struct rpl_session *session)
{
    struct memory_region region = region_at(session, 8);
    struct rpl_region   *known = known_region(&session->guest, &region);

    if (known != NULL) { /* QEMU shares its memory once for each pair of queues */
        known->again++;
        close(rpl_wire_take(rpl_message_of(session)));
        return RPL_ANSWER_DONE;
    }
    if (add_region(session, &region, session->guest.count) != RPL_ANSWER_DONE)
        return RPL_ANSWER_FAILED;
    return memory_changed(session);
}

enum rpl_answer rpl_on_rem_mem_reg(struct rpl_session *session)
{
    const struct rpl_message *message = rpl_message_of(session);
    struct memory_region      region = region_at(session, 8);
    struct rpl_region        *known = known_region(&session->guest, &region);
    enum rpl_guest_error      error;

    if (message->fds_sent > 1) /* one is an old mistake of some front-ends, and is closed */
        return rpl_answer_trouble(session, RPL_TROUBLE_FDS, RPL_MSG_REM_MEM_REG, RPL_PAIR(0, message->fds_sent));
    if (known != NULL && known->again > 0) {
        known->again--;
        return RPL_ANSWER_DONE;
    }
    (void)rpl_vrings_pause(session);
    error = rpl_guest_remove(&session->guest, region.guest, region.user, region.bytes);
    if (error != RPL_GUEST_OK)
        return rpl_answer_trouble(session, RPL_TROUBLE_MEMORY, RPL_PAIR(session->guest.count, error), region.guest);
    return memory_changed(session);
}

enum rpl_answer rpl_on_get_max_mem_slots(struct rpl_session *session)
{
    return rpl_reply64(session, RPL_REGIONS);
}

enum rpl_answer rpl_on_set_log_base(struct rpl_session *session)
{
    const struct rpl_message *message = rpl_message_of(session);
    enum rpl_guest_error      error;
    int                       fd;

    if (message->size != 16) /* a bare address, without LOG_SHMFD, is of no use in another process */
        return message->size == 8 ? RPL_ANSWER_REFUSED : rpl_wrong_size(session);
    if (message->fds_sent != 1)
        return rpl_answer_trouble(session, RPL_TROUBLE_FDS, RPL_MSG_SET_LOG_BASE, RPL_PAIR(1, message->fds_sent));
    fd = rpl_wire_take(rpl_message_of(session));
    error = rpl_guest_set_log(&session->guest, rpl_read64(session, 0), rpl_read64(session, 8), fd);
    close(fd);
    if (error != RPL_GUEST_OK)
        session->refused++;
    return rpl_reply64(session, error != RPL_GUEST_OK);
}

enum rpl_answer rpl_on_set_log_fd(struct rpl_session *session)
{
    rpl_replace(&session->log_event, rpl_wire_take(rpl_message_of(session)));
    return RPL_ANSWER_DONE;
}
