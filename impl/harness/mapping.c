/* SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include <stdlib.h>
#include <string.h>

#define REST 1024u /* mappings that go after one before its address is used again */

void rp_maps_reset(struct rp_maps *maps)
{
    maps->count = 0;
    maps->oldest = maps->newest = maps->gone = 0;
}

/* A mapping's place: one that is gone for long, or a new one; null when there is none. */
static struct rp_mapping *place(struct rp_maps *maps)
{
    if (maps->gone > REST) {
        struct rp_mapping *mapping = &maps->table[maps->oldest - 1];

        maps->oldest = mapping->next;
        maps->gone--;
        return mapping;
    }
    if (maps->count == maps->capacity) {
        uint32_t capacity = maps->capacity == 0 ? 4096 : maps->capacity * 2;
        void *larger = capacity <= RP_MAP_MOST ? realloc(maps->table, capacity * sizeof(maps->table[0])) : NULL;

        if (larger == NULL)
            return NULL;
        maps->table = larger;
        maps->capacity = capacity;
    }
    return &maps->table[maps->count++];
}

int rp_maps_map(struct rp_maps *maps, const void *data, uint32_t length, uint64_t *address)
{
    uint64_t inside = (uintptr_t)data & 0xfffu;
    struct rp_mapping *mapping;

    if (maps->shortage != NULL && rp_shortage_strikes(maps->shortage))
        return -1;
    mapping = data != NULL && length > 0 && length <= RP_MAP_STRIDE - 4096 ? place(maps) : NULL;
    if (mapping == NULL) {
        if (maps->shortage != NULL)
            maps->shortage->refused = true;
        return -1;
    }
    memset(mapping, 0, sizeof(*mapping));
    mapping->data = data;
    mapping->length = length;
    mapping->live = true;
    mapping->address = RP_MAP_ADDRESS + (uint64_t)(mapping - maps->table) * RP_MAP_STRIDE + inside;
    *address = mapping->address;
    return 0;
}

static void forget(struct rp_maps *maps, struct rp_mapping *mapping)
{
    uint32_t number = (uint32_t)(mapping - maps->table) + 1;

    mapping->live = false;
    mapping->next = 0;
    if (maps->gone++ == 0)
        maps->oldest = number;
    else
        maps->table[maps->newest - 1].next = number;
    maps->newest = number;
}

void rp_maps_unmap(struct rp_maps *maps, uint64_t address, uint32_t length, bool owned)
{
    struct rp_mapping *mapping = rp_maps_find(maps, address);
    uint32_t wrong = 0;

    if (mapping == NULL || mapping->address != address)
        wrong = RP_UNMAPPED_NOTHING;
    else if (mapping->length != length)
        wrong = RP_UNMAPPED_OTHER_LENGTH;
    else if (owned)
        wrong = RP_UNMAPPED_OWNED;
    rp_check(maps->log, RP_FIND_MAPPING, wrong == 0, address, RP_PAIR(wrong, length));
    if (wrong != RP_UNMAPPED_NOTHING)
        forget(maps, mapping);
}

void rp_maps_check_all(struct rp_maps *maps)
{
    const struct rp_mapping *left = NULL;

    for (uint32_t i = 0; i < maps->count && left == NULL; i++)
        if (maps->table[i].live)
            left = &maps->table[i];
    if (maps->count > 0)
        rp_check(maps->log, RP_FIND_MAPPING, left == NULL, left != NULL ? left->address : 0,
                 RP_PAIR(RP_UNMAPPED_NEVER, left != NULL ? left->length : 0));
}
