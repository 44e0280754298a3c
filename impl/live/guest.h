/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory a front-end shares: regions, each a part of a file, known by two addresses.
 *
 * Nothing that a front-end says is believed: a region is taken only if it can be mapped and overlaps none; an
 * access names an address and a length and gets memory only if one region holds it all. A file may be made
 * shorter while it is mapped: the page that is gone is replaced by zeros, and `gone` says so.
 */
#ifndef RINGPROOF_LIVE_GUEST_H
#define RINGPROOF_LIVE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPL_REGIONS 64u

struct rpl_region {
    uint64_t guest; /* guest-physical address */
    uint64_t user;  /* the front-end's own address */
    uint64_t bytes;
    uint8_t *host;
    void    *mapping; /* what munmap needs; begins at or before host */
    size_t   mapped;
    uint32_t again; /* how often it was added once more, as a front-end with several pairs of queues may */
};

struct rpl_guest {
    struct rpl_region regions[RPL_REGIONS];
    uint32_t          count;
    uint32_t          last;   /* the region found last: most accesses stay in one */
    uint32_t          generation; /* grows with each change: addresses kept are worth nothing then */
    uint8_t          *log;    /* dirty pages, 4096 bytes a bit; null: not asked for */
    uint64_t          log_bytes;
    void             *log_mapping;
    size_t            log_mapped;
    volatile bool     gone;
};

enum rpl_guest_error {
    RPL_GUEST_OK = 0,
    RPL_GUEST_EMPTY,     /* no bytes */
    RPL_GUEST_WRAPS,     /* an end lies beyond 2^64 */
    RPL_GUEST_OVERLAPS,  /* guest addresses of another region */
    RPL_GUEST_FULL,      /* RPL_REGIONS there are already */
    RPL_GUEST_SHORT,     /* the file ends before the region does */
    RPL_GUEST_UNMAPPABLE, /* mmap refuses (no file, not sharable) */
    RPL_GUEST_UNKNOWN,   /* no such region to remove */
};

void rpl_guest_init(struct rpl_guest *guest);
/* Takes a region of `fd` from byte `offset`; fd stays the caller's. The SIGBUS guard is installed by the first. */
enum rpl_guest_error rpl_guest_add(struct rpl_guest *guest, uint64_t address, uint64_t user, uint64_t bytes,
                                   uint64_t offset, int fd);
enum rpl_guest_error rpl_guest_remove(struct rpl_guest *guest, uint64_t address, uint64_t user, uint64_t bytes);
void rpl_guest_clear(struct rpl_guest *guest); /* regions and log */
enum rpl_guest_error rpl_guest_set_log(struct rpl_guest *guest, uint64_t bytes, uint64_t offset, int fd);

/* Memory of [address, address + bytes), guest-physical, if one region holds all of it; else null. bytes > 0. */
uint8_t *rpl_guest_at(struct rpl_guest *guest, uint64_t address, uint64_t bytes);
/* Whether regions that follow each other hold all of it; length 0 asks for the address alone. */
bool rpl_guest_covers(struct rpl_guest *guest, uint64_t address, uint64_t bytes);
/* Copies out of, or into, regions that may follow each other; false, with nothing more than a part copied,
 * where it isn't covered. rpl_guest_write marks pages as dirty. */
bool rpl_guest_read(struct rpl_guest *guest, uint64_t address, void *into, uint64_t bytes);
bool rpl_guest_write(struct rpl_guest *guest, uint64_t address, const void *from, uint64_t bytes);
/* The guest-physical address behind one of the front-end's own, with *bytes_left of its region; ~0 if none. */
uint64_t rpl_guest_from_user(const struct rpl_guest *guest, uint64_t user, uint64_t *bytes_left);
void rpl_guest_dirty(struct rpl_guest *guest, uint64_t address, uint64_t bytes);

#endif
