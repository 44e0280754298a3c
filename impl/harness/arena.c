/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "arena.h"
#include "process.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define GRANULE 64u
#define BLOCKS_PER_CHECK 512u
#define CHEAP_TO_CLEAR (UINT32_C(256) << 10)

bool rp_arena_map(struct rp_arena *arena, int file, uint64_t file_offset, struct rp_log *log)
{
    memset(arena, 0, sizeof(*arena));
    arena->memory = rp_process_map_guarded(file, file_offset, RP_ARENA_BYTES);
    arena->owners = calloc(RP_ARENA_BYTES / GRANULE, sizeof(arena->owners[0]));
    arena->file = file;
    arena->file_offset = file_offset;
    arena->log = log;
    arena->view = arena->memory;
    return arena->memory != NULL && arena->owners != NULL;
}

void rp_arena_reset(struct rp_arena *arena)
{
    if (arena->bump <= CHEAP_TO_CLEAR) {
        memset(arena->memory, 0, arena->bump);
        memset(arena->owners, 0, arena->bump / GRANULE * sizeof(arena->owners[0]));
    } else {
        (void)madvise(arena->memory, RP_ARENA_BYTES, MADV_REMOVE);
        memset(arena->owners, 0, RP_ARENA_BYTES / GRANULE * sizeof(arena->owners[0]));
    }
    /* What a driver wrote beyond what it was given goes as well. */
    off_t begin = (off_t)(arena->file_offset + (arena->bump + PAGE - 1) / PAGE * PAGE);
    off_t stray = lseek(arena->file, begin, SEEK_DATA);

    if (stray >= 0 && (uint64_t)stray < arena->file_offset + RP_ARENA_BYTES)
        (void)madvise(arena->memory, RP_ARENA_BYTES, MADV_REMOVE);
    arena->count = 0;
    arena->bump = 0;
    arena->cursor = 0;
    arena->era = 0;
    memset(arena->released, 0, sizeof(arena->released));
}

bool rp_arena_fence(struct rp_arena *arena, bool fenced)
{
    arena->view = arena->memory;
    if (!fenced)
        return true;
    if (arena->fenced == NULL)
        arena->fenced = rp_process_map_guarded(arena->file, arena->file_offset, RP_ARENA_BYTES);
    if (arena->fenced == NULL || mprotect(arena->fenced, RP_ARENA_BYTES, PROT_NONE) != 0)
        return false;
    arena->view = arena->fenced;
    return true;
}

static bool is_fenced(const struct rp_arena *arena)
{
    return arena->view != arena->memory;
}

static uint64_t address_of(const struct rp_block *block)
{
    return RP_ARENA_ADDRESS + block->offset;
}

/* The first of `bytes` bytes that is not `value`, or null. */
static const uint8_t *first_other(const uint8_t *memory, size_t bytes, uint8_t value)
{
    if (bytes == 0 || (memory[0] == value && memcmp(memory, memory + 1, bytes - 1) == 0))
        return NULL;
    while (*memory == value)
        memory++;
    return memory;
}

/* Finds what was written to bytes that nobody may write. a: where; b: value seen and block size. */
static void check_untouched(struct rp_arena *arena, enum rp_finding code, uint32_t begin, uint32_t end,
                            uint8_t value, uint32_t block_bytes)
{
    const uint8_t *other;

    if (begin >= end)
        return;
    other = first_other(arena->memory + begin, end - begin, value);
    rp_check(arena->log, code, other == NULL,
             other != NULL ? RP_ARENA_ADDRESS + (uint64_t)(other - arena->memory) : 0,
             RP_PAIR(other != NULL ? *other : 0, block_bytes));
}

static void check_red_zone(struct rp_arena *arena, const struct rp_block *block)
{
    uint32_t end = block->offset + block->bytes;

    check_untouched(arena, RP_FIND_RED_ZONE, end, end + RP_RED_ZONE, RP_RED_BYTE, block->bytes);
}

static void check_gap(struct rp_arena *arena, const struct rp_block *block)
{
    if (block->uniform)
        check_untouched(arena, RP_FIND_STRAY_WRITE, block->offset + block->bytes + RP_RED_ZONE,
                        block->offset + block->size_class, 0, block->bytes);
}

static void check_released(struct rp_arena *arena, const struct rp_block *block)
{
    check_untouched(arena, RP_FIND_STRAY_WRITE, block->offset, block->offset + block->bytes, RP_RELEASED_BYTE,
                    block->bytes);
}

/* Notes a new block, from `offset` to `end`, in what was never handed out; null when there is no memory. */
static struct rp_block *note(struct rp_arena *arena, uint32_t offset, uint32_t end)
{
    struct rp_block *block;

    if (arena->count == arena->capacity) {
        uint32_t capacity = arena->capacity == 0 ? 1024 : arena->capacity * 2;
        void *larger = realloc(arena->blocks, capacity * sizeof(arena->blocks[0]));

        if (larger == NULL)
            return NULL;
        arena->blocks = larger;
        arena->capacity = capacity;
    }
    block = &arena->blocks[arena->count++];
    memset(block, 0, sizeof(*block));
    block->offset = offset;
    block->size_class = end - offset;
    arena->bump = end;
    for (uint32_t granule = offset / GRANULE; granule < end / GRANULE; granule++)
        arena->owners[granule] = arena->count;
    return block;
}

/* Cuts a new block from what was never handed out; null when nothing is left. */
static struct rp_block *cut(struct rp_arena *arena, uint32_t size_class)
{
    uint32_t step = size_class < PAGE ? size_class : PAGE;
    uint32_t offset = (arena->bump + step - 1) & ~(step - 1);
    struct rp_block *block;

    if (size_class > RP_ARENA_BYTES || offset > RP_ARENA_BYTES - size_class)
        return NULL;
    block = note(arena, offset, offset + size_class);
    if (block != NULL)
        block->uniform = true;
    return block;
}

/* Cuts a fenced block: whole pages of which the driver may touch all, and one it may not. */
static struct rp_block *cut_fenced(struct rp_arena *arena, uint32_t bytes, uint32_t alignment)
{
    uint32_t begin = (arena->bump + PAGE - 1) & ~(PAGE - 1);
    uint32_t pages = bytes == 0 ? PAGE : (bytes + PAGE - 1) & ~(PAGE - 1);
    uint32_t slack = (pages - bytes) & ~((alignment == 0 ? 1 : alignment) - 1);

    if (begin > RP_ARENA_BYTES - PAGE || pages > RP_ARENA_BYTES - PAGE - begin)
        return NULL;
    if (mprotect(arena->fenced + begin, pages, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    return note(arena, begin + slack, begin + pages + PAGE);
}

static void *refuse(struct rp_arena *arena)
{
    if (arena->shortage != NULL)
        arena->shortage->refused = true;
    return NULL;
}

void *rp_arena_allocate(struct rp_arena *arena, size_t bytes, size_t alignment, uint64_t *address)
{
    struct rp_block *block;
    uint32_t size_class = 64;
    unsigned logarithm = 6;

    if (arena->shortage != NULL && rp_shortage_strikes(arena->shortage))
        return NULL;
    if (bytes > RP_ARENA_BYTES || alignment > PAGE || (alignment & (alignment - 1)) != 0)
        return refuse(arena);
    while (size_class < bytes + RP_RED_ZONE || size_class < alignment) {
        size_class *= 2;
        logarithm++;
    }
    if (is_fenced(arena)) {
        block = cut_fenced(arena, (uint32_t)bytes, (uint32_t)alignment);
        if (block == NULL)
            return NULL;
    } else if (arena->released[logarithm] != 0) {
        block = &arena->blocks[arena->released[logarithm] - 1];
        arena->released[logarithm] = block->next;
        check_released(arena, block);
        block->uniform = block->uniform && block->bytes == bytes;
    } else {
        block = cut(arena, size_class);
        if (block == NULL)
            return refuse(arena);
    }
    block->bytes = (uint32_t)bytes;
    block->live = true;
    block->kept = false;
    block->era = arena->era;
    memset(arena->memory + block->offset, RP_FRESH_BYTE, bytes);
    memset(arena->memory + block->offset + bytes, RP_RED_BYTE, RP_RED_ZONE);
    if (address != NULL)
        *address = address_of(block);
    return arena->view + block->offset;
}

void rp_arena_release(struct rp_arena *arena, const void *memory, size_t bytes)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)arena->view;
    uint32_t owner = offset < RP_ARENA_BYTES ? arena->owners[offset / GRANULE] : 0;
    struct rp_block *block = owner != 0 ? &arena->blocks[owner - 1] : NULL;
    bool known;
    unsigned logarithm;

    if (memory == NULL)
        return;
    known = block != NULL && block->live && block->offset == offset && block->bytes == bytes;
    rp_check(arena->log, RP_FIND_BAD_RELEASE, known,
             offset < RP_ARENA_BYTES ? RP_ARENA_ADDRESS + offset : 0,
             RP_PAIR(bytes > UINT32_MAX ? UINT32_MAX : bytes,
                     block != NULL && block->live && block->offset == offset ? block->bytes : 0));
    if (!known)
        return;
    check_red_zone(arena, block);
    memset(arena->memory + block->offset, RP_RELEASED_BYTE, bytes);
    block->live = false;
    if (is_fenced(arena)) {
        uint32_t begin = block->offset & ~(PAGE - 1);

        (void)mprotect(arena->fenced + begin, block->offset + block->size_class - begin, PROT_NONE);
        return;
    }
    logarithm = 31u - (unsigned)__builtin_clz(block->size_class);
    block->next = arena->released[logarithm];
    arena->released[logarithm] = owner;
}

uint64_t rp_arena_room(const struct rp_arena *arena, uint64_t address)
{
    uint64_t offset = address - RP_ARENA_ADDRESS;
    const struct rp_block *block;

    if (offset >= RP_ARENA_BYTES || arena->owners[offset / GRANULE] == 0)
        return 0;
    block = &arena->blocks[arena->owners[offset / GRANULE] - 1];
    if (!block->live || offset - block->offset >= block->bytes)
        return 0;
    return block->bytes - (offset - block->offset);
}

void rp_arena_keep(struct rp_arena *arena, uint32_t era)
{
    for (uint32_t i = 0; i < arena->count; i++)
        if (arena->blocks[i].live && arena->blocks[i].era >= era)
            arena->blocks[i].kept = true;
}

void rp_arena_check_some(struct rp_arena *arena)
{
    uint32_t some = arena->count < BLOCKS_PER_CHECK ? arena->count : BLOCKS_PER_CHECK;

    if (arena->count == 0)
        return;
    if (arena->blocks[0].live)
        check_red_zone(arena, &arena->blocks[0]);
    check_gap(arena, &arena->blocks[0]);
    for (uint32_t i = 0; i < some; i++) {
        const struct rp_block *block = &arena->blocks[arena->cursor++ % arena->count];

        if (block->live)
            check_red_zone(arena, block);
        else
            check_released(arena, block);
    }
}

/* Pages behind the last block were never touched, unless by someone who should not have. */
static void check_beyond(struct rp_arena *arena)
{
    uint64_t end = arena->file_offset + RP_ARENA_BYTES;
    uint64_t at = arena->file_offset + (arena->bump + PAGE - 1) / PAGE * PAGE;
    uint32_t begin = (uint32_t)(at - arena->file_offset);

    check_untouched(arena, RP_FIND_STRAY_WRITE, arena->bump, begin, 0, 0);
    while (at < end) {
        off_t data = lseek(arena->file, (off_t)at, SEEK_DATA);
        off_t hole;

        if (data < 0 || (uint64_t)data >= end)
            return;
        hole = lseek(arena->file, data, SEEK_HOLE);
        at = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole;
        check_untouched(arena, RP_FIND_STRAY_WRITE, (uint32_t)((uint64_t)data - arena->file_offset),
                        (uint32_t)(at - arena->file_offset), 0, 0);
    }
}

void rp_arena_check_all(struct rp_arena *arena)
{
    uint64_t leaked = 0, blocks = 0;
    uint32_t end = 0;

    for (uint32_t i = 0; i < arena->count; i++) {
        const struct rp_block *block = &arena->blocks[i];

        check_untouched(arena, RP_FIND_STRAY_WRITE, end, block->offset, 0, 0);
        end = block->offset + block->size_class;
        check_gap(arena, block);
        if (block->live) {
            check_red_zone(arena, block);
            leaked += block->kept ? 0 : block->bytes;
            blocks += !block->kept;
        } else {
            check_released(arena, block);
        }
    }
    check_beyond(arena);
    rp_check(arena->log, RP_FIND_LEAK, blocks == 0, leaked, blocks);
}
