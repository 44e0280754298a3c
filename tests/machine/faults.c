/* Functions that do what must not be done; each is given two words and a pointer to 64 bytes. */
#include <stdint.h>
#include <string.h>

uint64_t null_write(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)m; *(volatile uint64_t *)(b & 8) = a; return 0; }
uint64_t beyond(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)b; return m[a & 127]; }
uint64_t anywhere(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)b, (void)m; return *(volatile uint8_t *)a; }
uint64_t unset(uint64_t a, uint64_t b, volatile uint8_t *m)
{
    volatile uint8_t room[16];

    room[a & 7] = 1;
    if (room[b & 15] > 5)
        m[0] = 1;
    return 0;
}
uint64_t by_zero(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)m; return a / (b & 7); }
uint64_t endless(uint64_t a, uint64_t b, volatile uint8_t *m) { while (m[0] != 1) a += b; return a; }
uint64_t in_code(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)a, (void)b, (void)m; *(volatile uint8_t *)(uintptr_t)&by_zero = 1; return 0; }
double floating(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)m; return (double)a / (double)b; }
extern uint64_t elsewhere(uint64_t a);
uint64_t outside(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)b, (void)m; return elsewhere(a) + 1; }
uint64_t __attribute__((noinline)) trapped(uint64_t a, uint64_t b, volatile uint8_t *m) { (void)b, (void)m; if (a == 3) __builtin_trap(); return a; }
