/* ---- What a test stands on: how it fails, and the memory it gives the driver ---------------------------- */

#define ARENA_ADDRESS  UINT64_C(0x4100000000)
#define ARENA_BYTES    ((size_t)64 << 20)
#define BUFFER_ADDRESS UINT64_C(0x8200000000)
#define BUFFER_BYTES   ((size_t)2 << 20)
#define RED_ZONE       32u
#define FRESH_BYTE     0xA5
#define RED_BYTE       0xBD
#define RELEASED_BYTE  0x5A

static const struct rp_driver *driver;
static size_t at_step;              /* of steps[]; STEPS when those are done */
static const char *doing = "create"; /* besides the steps */
static bool told;                   /* whether to tell each step before it is done */

static void place(void)
{
    if (at_step < STEPS)
        printf("step %zu (%s): ", at_step + 1, steps[at_step].words);
    else
        printf("%s: ", doing);
}

/* Says what went wrong, and where, and ends the program. */
static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;

    place();
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    exit(1);
}

static void *checked(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "no memory for the test itself\n");
        exit(2);
    }
    return memory;
}

/* Memory the device can reach: one arena, whose guest-physical addresses are not its pointers. */
struct block {
    size_t start, bytes, room;
    bool held;
};

static unsigned char *arena;
static size_t arena_top;
static struct block *blocks;
static size_t blocks_known, blocks_room;
static unsigned char buffers[BUFFER_BYTES];

static size_t private_held;

/* What the driver has mapped: only with RP_TRAIT_MAPS. */
struct mapping {
    uint64_t address;
    uint32_t length;
};

static struct mapping *mappings;
static size_t mapped, mappings_room;
static uint32_t failing;         /* which allocation or mapping fails next, counted from 1; ALL; 0 for none */
#define ALL UINT32_MAX

static bool fails_now(void)
{
    if (failing == ALL)
        return true;
    return failing > 0 && --failing == 0;
}

static void red_zone_whole(const struct block *block)
{
    for (size_t i = 0; i < RED_ZONE; i++)
        if (arena[block->start + block->bytes + i] != RED_BYTE)
            fail("the driver wrote %zu bytes behind the end of an allocation of %zu bytes", i, block->bytes);
}

static void red_zones_whole(void)
{
    for (size_t i = 0; i < blocks_known; i++)
        if (blocks[i].held)
            red_zone_whole(&blocks[i]);
}

static struct block *new_block(size_t bytes, size_t alignment)
{
    size_t start = (arena_top + alignment - 1) / alignment * alignment;

    for (size_t i = 0; i < blocks_known; i++)
        if (!blocks[i].held && blocks[i].start % alignment == 0 && blocks[i].room >= bytes &&
            blocks[i].room / 2 <= bytes)
            return &blocks[i];
    if (bytes > ARENA_BYTES || start + bytes + RED_ZONE > ARENA_BYTES)
        return NULL;
    if (blocks_known == blocks_room) {
        blocks_room = 2 * blocks_room + 64;
        blocks = checked(realloc(blocks, blocks_room * sizeof(*blocks)));
    }
    blocks[blocks_known].start = start;
    blocks[blocks_known].room = bytes;
    arena_top = start + bytes + RED_ZONE;
    return &blocks[blocks_known++];
}

static void *env_allocate(void *context, size_t bytes, size_t alignment, uint64_t *address)
{
    struct block *block;

    (void)context;
    if (alignment == 0 || alignment > 4096 || (alignment & (alignment - 1)) != 0)
        fail("the driver asked for memory aligned to %zu", alignment);
    block = fails_now() ? NULL : new_block(bytes, alignment);
    if (block == NULL)
        return NULL;
    block->bytes = bytes;
    block->held = true;
    memset(arena + block->start, FRESH_BYTE, bytes);
    memset(arena + block->start + bytes, RED_BYTE, RED_ZONE);
    *address = ARENA_ADDRESS + block->start;
    return arena + block->start;
}

static void env_release(void *context, void *memory, size_t bytes)
{
    (void)context;
    for (size_t i = 0; i < blocks_known; i++) {
        if (!blocks[i].held || arena + blocks[i].start != memory)
            continue;
        if (blocks[i].bytes != bytes)
            fail("the driver released %zu bytes of an allocation of %zu", bytes, blocks[i].bytes);
        red_zone_whole(&blocks[i]);
        memset(memory, RELEASED_BYTE, bytes);
        blocks[i].held = false;
        return;
    }
    fail("the driver released memory that it did not hold");
}

static void *env_allocate_private(void *context, size_t bytes)
{
    void *memory;

    (void)context;
    memory = fails_now() ? NULL : calloc(1, bytes > 0 ? bytes : 1);
    private_held += memory != NULL;
    return memory;
}

static void env_release_private(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes;
    if (private_held == 0)
        fail("the driver released private memory that it did not hold");
    private_held--;
    free(memory);
}

static int env_map(void *context, const void *data, uint32_t length, uint64_t *address)
{
    uintptr_t offset = (uintptr_t)data - (uintptr_t)buffers;

    (void)context;
    if (offset > BUFFER_BYTES || length > BUFFER_BYTES - offset)
        fail("the driver mapped %" PRIu32 " bytes that are no segment", length);
    if (fails_now())
        return RP_ENOMEM;
    if (mapped == mappings_room) {
        mappings_room = 2 * mappings_room + 64;
        mappings = checked(realloc(mappings, mappings_room * sizeof(*mappings)));
    }
    *address = BUFFER_ADDRESS + offset;
    mappings[mapped].address = *address;
    mappings[mapped++].length = length;
    return 0;
}

static void env_unmap(void *context, uint64_t address, uint32_t length)
{
    (void)context;
    for (size_t i = 0; i < mapped; i++)
        if (mappings[i].address == address && mappings[i].length == length) {
            mappings[i] = mappings[--mapped];
            return;
        }
    fail("the driver unmapped %" PRIu32 " bytes at 0x%" PRIx64 ", which are not mapped", length, address);
}

static bool is_mapped(uint64_t address, uint32_t length)
{
    for (size_t i = 0; i < mapped; i++)
        if (mappings[i].address == address && mappings[i].length == length)
            return true;
    return false;
}

/* The bytes at a guest-physical address, if the driver holds all of them. */
static unsigned char *reach(uint64_t address, uint64_t bytes)
{
    for (size_t i = 0; i < blocks_known; i++) {
        uint64_t start = ARENA_ADDRESS + blocks[i].start;

        if (blocks[i].held && address >= start && bytes <= blocks[i].bytes &&
            address - start <= blocks[i].bytes - bytes)
            return arena + (address - ARENA_ADDRESS);
    }
    return NULL;
}

static uint16_t load16(const unsigned char *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static uint32_t load32(const unsigned char *from)
{
    return load16(from) | (uint32_t)load16(from + 2) << 16;
}

static uint64_t load64(const unsigned char *from)
{
    return load32(from) | (uint64_t)load32(from + 4) << 32;
}
