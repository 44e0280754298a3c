/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver has mapped: env->map and env->unmap, for drivers that declare RP_TRAIT_MAPS. A mapping gets
 * an address in a window of its own, whose number no driver can guess from its pointers; it keeps the low
 * twelve bits of the pointer. Addresses of mappings that are gone are not used again for long, so that one that
 * is used or unmapped too late is found out.
 */
#ifndef RINGPROOF_MAPPING_H
#define RINGPROOF_MAPPING_H

#include "arena.h"

#define RP_MAP_ADDRESS UINT64_C(0x0000104000000000)
#define RP_MAP_STRIDE  (UINT64_C(2) << 20) /* between mappings, and more than the largest one */
#define RP_MAP_MOST    (1u << 20)          /* mappings at a time */

struct rp_mapping {
    const uint8_t *data;
    uint64_t       address;
    uint32_t       length;
    uint32_t       mark; /* the device's of the chain that was last seen to name it, or 0 */
    uint32_t       next; /* gone: the one that went after it, plus one */
    uint16_t       head; /* of that chain */
    bool           live;
};

struct rp_maps {
    struct rp_log      *log;
    struct rp_shortage *shortage;
    const uint8_t      *buffers; /* RP_BUFFER_BYTES that the device knows from RP_BUFFER_ADDRESS on */
    struct rp_mapping  *table;
    uint32_t            count, capacity;
    uint32_t            oldest, newest; /* of those that are gone, plus one */
    uint32_t            gone;
};

/* What unmap did wrong (MAPPING: high half of b). */
enum rp_unmapping {
    RP_UNMAPPED_NOTHING = 1,
    RP_UNMAPPED_OTHER_LENGTH = 2,
    RP_UNMAPPED_OWNED = 3,
    RP_UNMAPPED_NEVER = 4
};

void rp_maps_reset(struct rp_maps *maps);
/* 0, or below 0 when there is no room, or nothing to map. */
int rp_maps_map(struct rp_maps *maps, const void *data, uint32_t length, uint64_t *address);
/* The mapping is gone afterwards, whatever was wrong; `owned` if the device still has the chain it is for. */
void rp_maps_unmap(struct rp_maps *maps, uint64_t address, uint32_t length, bool owned);
/* Once the queue is gone: all must be unmapped. */
void rp_maps_check_all(struct rp_maps *maps);

/* The live mapping an address lies in, or null. */
static inline struct rp_mapping *rp_maps_find(const struct rp_maps *maps, uint64_t address)
{
    uint64_t slot = (address - RP_MAP_ADDRESS) / RP_MAP_STRIDE;
    struct rp_mapping *mapping;

    if (address < RP_MAP_ADDRESS || slot >= maps->count)
        return NULL;
    mapping = &maps->table[slot];
    return mapping->live && address - mapping->address < mapping->length ? mapping : NULL;
}

/* The same place as the harness knows it: in the buffers, if it was mapped there; otherwise as it is. */
static inline uint64_t rp_maps_translate(const struct rp_maps *maps, uint64_t address)
{
    const struct rp_mapping *mapping = maps != NULL ? rp_maps_find(maps, address) : NULL;
    uint64_t offset = mapping != NULL ? (uint64_t)((uintptr_t)mapping->data - (uintptr_t)maps->buffers) : 0;

    if (mapping == NULL || offset >= RP_BUFFER_BYTES)
        return address;
    return RP_BUFFER_ADDRESS + offset + (address - mapping->address);
}

#endif
