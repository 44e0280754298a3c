/* Code to run twice, natively and in the executor. Each function is given two words and 64 bytes of memory. */
#include <stdint.h>
#include <stddef.h>
#include <string.h>

typedef uint64_t word;
#define ARGUMENTS word a, word b, unsigned char *m

/* One instruction and the flags it defines, after others that leave all flags to what `b` says. */
#define FLAGS(name, mask, text)                                                                        \
    word name(ARGUMENTS)                                                                               \
    {                                                                                                  \
        word f, r = a;                                                                                 \
        __asm__ volatile("mov %3, %%rcx\n\tmov %3, %%rax\n\tlea (%%rcx,%%rcx), %%rdx\n\t"               \
                         "cmp %%rcx, %0\n\t" text "\n\tpushfq\n\tpop %1"                                \
                         : "+r"(r), "=r"(f) : "r"(m), "r"(b) : "rcx", "rax", "rdx", "cc", "memory");    \
        memcpy(m, &r, 8);                                                                              \
        return f & (mask);                                                                             \
    }
#define ALL 0x8D5
#define LOGIC 0x8C5
#define SHIFTS 0x0C5
#define TURNS 0x0D5
#define PRODUCTS 0x801

#define WIDTHS(name, mask, op)                                                                         \
    FLAGS(name##_8, mask, op "b %%cl, %b0") FLAGS(name##_16, mask, op "w %%cx, %w0")                    \
    FLAGS(name##_32, mask, op "l %%ecx, %k0") FLAGS(name##_64, mask, op "q %%rcx, %q0")
#define ALONE(name, mask, op)                                                                          \
    FLAGS(name##_8, mask, op "b %b0") FLAGS(name##_16, mask, op "w %w0")                                \
    FLAGS(name##_32, mask, op "l %k0") FLAGS(name##_64, mask, op "q %q0")
#define BY_CL(name, mask, op)                                                                          \
    FLAGS(name##_8, mask, op "b %%cl, %b0") FLAGS(name##_16, mask, op "w %%cl, %w0")                    \
    FLAGS(name##_32, mask, op "l %%cl, %k0") FLAGS(name##_64, mask, op "q %%cl, %q0")
#define BY_THREE(name, mask, op)                                                                       \
    FLAGS(name##_8, mask, op "b $3, %b0") FLAGS(name##_16, mask, op "w $3, %w0")                        \
    FLAGS(name##_32, mask, op "l $3, %k0") FLAGS(name##_64, mask, op "q $3, %q0")

WIDTHS(add, ALL, "add") WIDTHS(sub, ALL, "sub") WIDTHS(cmp, ALL, "cmp") WIDTHS(adc, ALL, "adc") WIDTHS(sbb, ALL, "sbb")
WIDTHS(and, LOGIC, "and") WIDTHS(or, LOGIC, "or") WIDTHS(xor, LOGIC, "xor") WIDTHS(test, LOGIC, "test")
ALONE(inc, ALL, "inc") ALONE(dec, ALL, "dec") ALONE(neg, ALL, "neg") ALONE(not, ALL, "not")
BY_CL(shl, SHIFTS, "shl") BY_CL(shr, SHIFTS, "shr") BY_CL(sar, SHIFTS, "sar")
BY_THREE(shl3, SHIFTS, "shl") BY_THREE(shr3, SHIFTS, "shr") BY_THREE(sar3, SHIFTS, "sar")
BY_CL(rol, TURNS, "rol") BY_CL(ror, TURNS, "ror") BY_THREE(rol3, TURNS, "rol") BY_THREE(ror3, TURNS, "ror")
FLAGS(mul_8, PRODUCTS, "mulb %b0\n\tmovzwl %%ax, %k0") FLAGS(mul_16, PRODUCTS, "mulw %w0\n\tmov %%edx, %k0")
FLAGS(mul_32, PRODUCTS, "mull %k0\n\tmov %%rdx, %0") FLAGS(mul_64, PRODUCTS, "mulq %0\n\tmov %%rdx, %0")
FLAGS(imul_8, PRODUCTS, "imulb %b0\n\tmovzwl %%ax, %k0") FLAGS(imul_16, PRODUCTS, "imulw %%cx, %w0")
FLAGS(imul_32, PRODUCTS, "imull %%ecx, %k0") FLAGS(imul_64, PRODUCTS, "imulq %%rcx, %0")
FLAGS(bt, 1, "bt %%ecx, %k0") FLAGS(xchg_add, ALL, "xadd %%rcx, %0")
FLAGS(shld, 0x0C4, "shld $5, %%rcx, %0") FLAGS(bswap, ALL, "bswap %0")

/* Every condition that is defined, of flags left by a subtraction, an increment, a shift by a number unknown, an addition. */
#define ON(name, before, cc)                                                                           \
    word name##_##cc(ARGUMENTS)                                                                        \
    {                                                                                                  \
        word r = a, set = 0;                                                                           \
        (void)m;                                                                                       \
        __asm__("mov %2, %%rcx\n\t" before "\n\tset" #cc " %b1" : "+r"(r), "+r"(set) : "r"(b) : "rcx", "cc"); \
        return set;                                                                                    \
    }
#define UNSIGNED(name, before)                                                                         \
    ON(name, before, b) ON(name, before, ae) ON(name, before, e) ON(name, before, ne) ON(name, before, be)  \
    ON(name, before, a) ON(name, before, s) ON(name, before, ns) ON(name, before, p) ON(name, before, np)
#define CONDITIONS(name, before)                                                                       \
    UNSIGNED(name, before)                                                                             \
    ON(name, before, o) ON(name, before, no) ON(name, before, l) ON(name, before, ge) ON(name, before, le)  \
    ON(name, before, g)
CONDITIONS(if_sub, "sub %%rcx, %0") CONDITIONS(if_cmp, "cmp %%cx, %w0") CONDITIONS(if_test, "test %%cl, %b0")
CONDITIONS(if_inc, "cmp %%rcx, %0\n\tincl %k0") CONDITIONS(if_add, "add %%ecx, %k0")
UNSIGNED(if_shift, "cmp %%rcx, %0\n\tshr %%cl, %0")

/* One instruction on vectors: of the first and second 16 bytes, into the third. */
#define VECTOR(name, text)                                                                             \
    word name(ARGUMENTS)                                                                               \
    {                                                                                                  \
        word r = 0;                                                                                    \
        (void)a, (void)b;                                                                              \
        __asm__ volatile("movdqu (%1), %%xmm0\n\tmovdqu 16(%1), %%xmm1\n\t" text "\n\tmovdqu %%xmm0, 32(%1)" \
                         : "+r"(r) : "r"(m) : "xmm0", "xmm1", "memory");                                \
        return r;                                                                                      \
    }
#define TWO(op) VECTOR(v_##op, #op " %%xmm1, %%xmm0")
#define BY(op, count) VECTOR(v_##op, #op " $" #count ", %%xmm0")
TWO(paddb) TWO(paddw) TWO(paddd) TWO(paddq) TWO(psubb) TWO(psubw) TWO(psubd) TWO(psubq) TWO(pmullw)
TWO(pcmpeqb) TWO(pcmpeqw) TWO(pcmpeqd) TWO(pcmpgtb) TWO(pcmpgtw) TWO(pcmpgtd)
TWO(pminub) TWO(pmaxub) TWO(pminsw) TWO(pmaxsw) TWO(pand) TWO(por) TWO(pxor) TWO(pandn) TWO(xorps)
TWO(punpcklbw) TWO(punpcklwd) TWO(punpckldq) TWO(punpcklqdq)
TWO(punpckhbw) TWO(punpckhwd) TWO(punpckhdq) TWO(punpckhqdq)
TWO(pmuludq) TWO(movss) TWO(movsd) TWO(movaps) TWO(movlhps) TWO(movhlps)
BY(psllw, 5) BY(pslld, 5) BY(psllq, 5) BY(psrlw, 5) BY(psrld, 5) BY(psrlq, 5) BY(psraw, 5) BY(psrad, 5)
BY(pslldq, 5) BY(psrldq, 5)
VECTOR(v_pshufd, "pshufd $0x4e, %%xmm1, %%xmm0") VECTOR(v_shufps, "shufps $0x93, %%xmm1, %%xmm0")
VECTOR(v_pmovmskb, "pmovmskb %%xmm1, %k0") VECTOR(v_movd, "movd %%xmm1, %k0") VECTOR(v_movq, "movq %%xmm1, %0")
VECTOR(v_movd_in, "mov (%1), %k0\n\tmovd %k0, %%xmm0") VECTOR(v_zero, "pxor %%xmm0, %%xmm0")
VECTOR(v_ones, "pcmpeqd %%xmm0, %%xmm0") VECTOR(v_movhps, "movhps (%1), %%xmm0\n\tmovlps 8(%1), %%xmm0")

/* What compilers make of C. */
word divided(ARGUMENTS) { (void)m; return (a / (b | 1)) ^ (a % (b | 1)); }
word divided_signed(ARGUMENTS) { (void)m; return (word)((int64_t)a / ((int64_t)(b & 0xffff) + 3)); }
word divided_32(ARGUMENTS) { (void)m; return (uint32_t)a / ((uint32_t)b | 1) + (uint32_t)((int32_t)a % ((int32_t)(b & 0xff) + 1)); }
word product(ARGUMENTS) { (void)m; return (word)(((unsigned __int128)a * b) >> 64) ^ (word)(((__int128)(int64_t)a * (int64_t)b) >> 64); }
word leading(ARGUMENTS) { (void)m; return (word)__builtin_clzll(a | 1) + (word)__builtin_ctz((uint32_t)b | 0x80000000u) * 100; }
word ordered(ARGUMENTS)
{
    (void)m;
    return (word)((int64_t)a < (int64_t)b) | (word)(a <= b) << 1 | (word)((int32_t)a > (int32_t)b) << 2 |
           (word)((int16_t)a >= (int16_t)b) << 3 | (word)((uint8_t)a < (uint8_t)b) << 4;
}
word chosen(ARGUMENTS)
{
    (void)m;
    switch (a & 7) {
    case 0: return b + 1;
    case 1: return b * 5;
    case 2: return b ^ 0x55;
    case 3: return b >> 3;
    case 4: return ~b;
    case 6: return b & 0xf0;
    default: return b - a;
    }
}
word summed(ARGUMENTS)
{
    word sum = b;

    for (unsigned i = 0; i < (a & 7); i++)
        sum = sum * 3 + m[(i * 7 + b) & 63];
    return sum;
}
struct piece { uint64_t address; uint32_t length; uint16_t flags, next; void *owner; unsigned char more[24]; };
word copied(ARGUMENTS)
{
    struct piece piece;

    memcpy(&piece, m, sizeof piece);
    memset(m, (int)a, sizeof piece);
    piece.flags = (uint16_t)(piece.flags + 1);
    piece.next ^= (uint16_t)b;
    *(struct piece *)m = piece;
    return piece.length;
}
word moved(ARGUMENTS)
{
    memmove(m + (a & 7), m + (b & 7), 40);
    memset(m + 50, 0, a & 3);
    return (word)(memcmp(m, m + 32, 8) == 0);
}
static word twice(word a) { return a * 2; }
static word thrice(word a) { return a * 3; }
static word (*const table[2])(word) = {twice, thrice};
word through(ARGUMENTS) { (void)m; return table[b & 1](a); }
word table_of(ARGUMENTS) { static const uint16_t known[8] = {7, 1, 65535, 3, 0, 9, 11, 1024}; (void)m; return known[a & 7] + known[b & 7]; }
word exchanged(ARGUMENTS)
{
    word *cell = (word *)m;
    word old = __atomic_fetch_add(cell, a, __ATOMIC_SEQ_CST);

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return old ^ __atomic_exchange_n(cell + 1, b, __ATOMIC_SEQ_CST);
}
__attribute__((noinline)) static word deep(word a, unsigned depth) { return depth == 0 ? a : deep(a * 31 + depth, depth - 1) ^ a; }
word recursive(ARGUMENTS) { (void)m; return deep(a, (unsigned)(b & 3)); }
word halved(ARGUMENTS) { m[b & 63] = (unsigned char)a; m[a & 63] ^= 0x80; uint16_t *h = (uint16_t *)m; h[b & 15] += (uint16_t)a; return h[a & 15]; }
