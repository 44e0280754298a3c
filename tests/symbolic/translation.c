/* Functions whose native behaviour the executor is compared with; see translation_corpus.py for their
 * parameters. Memory is given by pointer, so that all of it can be compared afterwards. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APART __attribute__((noinline))

struct inner {
    uint8_t  a;
    uint16_t b[3];
    int32_t  c;
};
struct outer {
    uint64_t     x;
    int8_t       tiny;
    int16_t      small;
    struct inner one;
    struct inner many[4];
    uint32_t     words[8];
    bool         flag;
};
struct node {
    struct node *next;
    uint32_t     value;
};
struct ring {
    uint16_t flags, idx;
    uint16_t cells[4];
    uint32_t event;
};

/* -- loops -- */

uint32_t sum(const uint32_t *words, uint32_t count)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < count; i++)
        total += words[i];
    return total;
}

uint32_t find(const uint32_t *words, uint32_t value)
{
    uint32_t i = 0;

    while (i < 4 && words[i] != value)
        i++;
    return i;
}

/* An inner loop as long as the outer one's round, and a way out of both. */
uint32_t triangle(const uint32_t *words, uint32_t count)
{
    uint32_t total = 1;

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j <= i; j++) {
            if (words[j] == 7)
                return total;
            total = total * 3 + words[j];
        }
    return total;
}

uint32_t by_pointer(const uint32_t *words, uint32_t count)
{
    uint32_t total = 0;

    for (const uint32_t *each = words; each != words + count; each++)
        total ^= *each & 0xff00u;
    return total >> 8;
}

void shift_down(uint32_t *words, uint32_t count)
{
    for (uint32_t i = count; i > 0; i--)
        words[i] = words[i - 1] + 1;
}

uint8_t bits_by_hand(uint8_t value)
{
    uint8_t found = 0;

#pragma clang loop unroll(disable)
    for (int i = 0; i < 8; i++)
        found = (uint8_t)(found + (value >> i & 1));
    return found;
}

/* -- jumps -- */

uint32_t days(uint8_t month, bool leap)
{
    switch (month) {
    case 4:
    case 6:
    case 9:
    case 11:
        return 30;
    case 2:
        return leap ? 29 : 28;
    case 0:
        return 0xffffffffu;
    default:
        return month > 12 ? 0 : 31;
    }
}

void steps(uint32_t *words, uint8_t from)
{
    switch (from) {
    case 3:
        words[3] += 1; /* falls through */
    case 2:
        words[2] *= 5; /* falls through */
    case 1:
        words[1] -= 9; /* falls through */
    case 0:
        words[0] = ~words[0];
        break;
    default:
        words[0] = from;
    }
}

/* Parameters are unsigned: of narrow signed ones caller and callee have to agree who extends them. */
int16_t clamp(uint16_t given, uint16_t limit)
{
    int16_t value = (int16_t)given, most = (int16_t)limit;

    if (value > most)
        return most;
    if (value < -most)
        return (int16_t)-most;
    return value;
}

/* -- memory -- */

uint64_t mix(struct outer *s, uint32_t index, uint8_t value)
{
    s->one.b[index] += value;
    s->many[index].c = (int32_t)(0u - (uint32_t)s->one.c) / 3;
    s->many[index].b[1] ^= 0x0ff0;
    s->words[2 * index + 1] = s->words[index] * 7;
    s->tiny = (int8_t)(s->tiny - 1);
    s->small = s->tiny;
    s->flag = !s->flag;
    return s->x + s->many[index].a;
}

void clear(struct outer *s)
{
    __builtin_memset(s, 0, sizeof(*s));
    s->x = 1;
    __builtin_memset(s->words, 0xab, sizeof(s->words));
}

void copy(struct outer *to, const struct outer *from)
{
    *to = *from;
    to->x += 1;
}

void copy_part(struct outer *s, uint32_t index)
{
    s->many[3] = s->one;
    __builtin_memcpy(&s->words[4], &s->words[0], 16);
    s->words[index] = 1;
}

void move(uint32_t *words)
{
    __builtin_memmove(words + 1, words, 12);
    words[0] = 5;
}

uint32_t word_of_bytes(uint8_t *bytes)
{
    uint32_t word;

    __builtin_memcpy(&word, bytes + 4, 4);
    word += 0x01020304;
    __builtin_memcpy(bytes, &word, 4);
    return word;
}

uint32_t bytes_of_word(uint32_t *words, uint8_t value)
{
    uint8_t *bytes = (uint8_t *)words;

    bytes[1] = value;
    ((uint16_t *)words)[3] = 0xbeef;
    return words[0] ^ words[1];
}

static APART void fill(uint16_t *cells, uint16_t start)
{
    for (int i = 0; i < 4; i++)
        cells[i] = (uint16_t)(start * (i + 1));
}

uint32_t local_array(uint16_t start, uint32_t index)
{
    uint16_t cells[4];
    uint32_t other[4] = {3, 1, 4, 1};
    uint32_t total = 0;

    fill(cells, start);
    other[index] = cells[index];
    for (int i = 0; i < 4; i++)
        total = total * 10 + other[i] + cells[i];
    return total;
}

uint32_t walk(const struct node *first)
{
    uint32_t total = 0;

    for (const struct node *each = first; each != NULL; each = each->next)
        total = total * 31 + each->value;
    return total;
}

uint32_t *pick(uint32_t *one, uint32_t *other, uint8_t which)
{
    uint32_t *found = which > 5 ? one : which > 2 ? other : NULL;

    if (found != NULL)
        *found += which;
    return found;
}

void relink(struct node *one, struct node *other)
{
    one->next = other;
    if (other->next == NULL)
        other->next = one;
    other->value++;
}

/* -- tables and calls -- */

static const struct {
    uint8_t  kind;
    uint32_t mask;
    int64_t  weight;
} table[] = {{1, 0xff, -5}, {9, 0xff00, INT64_C(1) << 40}, {0, 0, 0}, {255, ~0u, -1}};
static const uint16_t squares[3][2] = {{0, 1}, {4, 9}, {16, 25}};

uint64_t looked_up(uint32_t index, uint32_t value)
{
    return (value & table[index].mask) + (uint64_t)table[index].weight + table[index].kind;
}

uint16_t two_dimensions(uint32_t row, bool column)
{
    return squares[row][column];
}

static uint32_t counter = 17;

uint32_t counted(uint32_t by)
{
    uint32_t before = *(volatile uint32_t *)&counter;

    *(volatile uint32_t *)&counter = before + by;
    uint32_t after = counter;
    *(volatile uint32_t *)&counter = 17;
    return before ^ after;
}

static APART uint32_t twice(uint32_t x)
{
    return 2 * x;
}
static APART uint32_t negate(uint32_t x)
{
    return -x;
}
static uint32_t (*const operations[])(uint32_t) = {twice, negate, twice};

uint32_t indirect(uint32_t which, uint32_t value)
{
    return operations[which](value) + 1;
}

APART uint32_t ackermann_like(uint8_t depth, uint32_t value)
{
    if (depth == 0)
        return value + 1;
    return ackermann_like((uint8_t)(depth - 1), value * 3) + ackermann_like((uint8_t)(depth - 1), value ^ 1);
}

static APART void set_both(uint32_t *restrict one, uint32_t *restrict other, uint32_t value)
{
    *one = value;
    *other = value + 1;
}
static inline __attribute__((always_inline)) void add_apart(uint32_t *restrict to, const uint32_t *restrict from)
{
    to[0] += from[0];
    to[1] += from[0];
}

void restricted(uint32_t *words, uint32_t value)
{
    set_both(&words[0], &words[1], value);
    add_apart(&words[0], &words[2]);
}

/* -- as the drivers do -- */

uint64_t swapped(uint16_t a, uint32_t b, uint64_t c)
{
    return __builtin_bswap64(c) + __builtin_bswap32(b) + __builtin_bswap16(a);
}

uint16_t publish(volatile struct ring *ring, uint16_t head)
{
    uint16_t idx = __atomic_load_n(&ring->idx, __ATOMIC_RELAXED);

    __atomic_store_n(&ring->cells[idx & 3], head, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&ring->idx, (uint16_t)(idx + 1), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    ring->event = __atomic_load_n(&ring->flags, __ATOMIC_ACQUIRE) & 1u;
    return idx;
}

bool need_event(uint16_t event, uint16_t now, uint16_t before)
{
    return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

int32_t narrow(uint8_t byte, uint16_t half, int32_t c)
{
    int8_t a = (int8_t)byte;
    int16_t b = (int16_t)half;

    return (a * b >> 3) + (c % 1000) - (c / 16) + (a < b);
}

uint32_t rounded(uint32_t bytes)
{
    return (bytes + 4095u) & ~4095u;
}

uint64_t joined(uint32_t low, uint32_t high, uint8_t flags)
{
    return (uint64_t)high << 32 | low | (flags & 0x80 ? 0 : 0);
}

/* Code that clang describes to a debugger: what it says of variables is to be passed over. */
uint32_t described(uint32_t a, uint32_t b)
{
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    struct {
        uint32_t at[4];
    } kept = {{low, high, low + high, 0}};

again:
    kept.at[3] = kept.at[low & 3];
    if (low++ < high && low < 4)
        goto again;
    return kept.at[2] - kept.at[3];
}

/* What a virtqueue calls: `context` is two words. */
void told_notify(void *context, uint32_t queue_index)
{
    ((uint32_t *)context)[0] = queue_index + 1;
}

void told_callback(void *context)
{
    ((uint32_t *)context)[1] ^= 5;
}
