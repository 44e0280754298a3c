/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "flip.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__x86_64__)
#include <ucontext.h>

#define PAGE 4096u
#define TRAP_FLAG 0x100

static struct {
    uint8_t           *page; /* of the driver's view; null: no flip is under way */
    uint8_t           *word;
    volatile uint32_t *memory;
    uint32_t           values[2];
    uint32_t           looks;
    bool               looking; /* the access under way is to the word */
    struct sigaction   fault_before, trap_before;
} flip;

static void on_fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;
    uint8_t *address = info->si_addr;

    (void)number;
    if (address < flip.page || address >= flip.page + PAGE) {
        /* It is the driver's own: the one who was there before shall see it again. */
        (void)sigaction(SIGSEGV, &flip.fault_before, NULL);
        return;
    }
    flip.looking = address >= flip.word && address < flip.word + 4;
    (void)mprotect(flip.page, PAGE, PROT_READ | PROT_WRITE);
    machine->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;

    (void)number;
    (void)info;
    machine->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    if (flip.looking)
        *flip.memory = flip.values[++flip.looks & 1u];
    (void)mprotect(flip.page, PAGE, PROT_NONE);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), struct sigaction *before)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    (void)sigaction(number, &action, before);
}

bool rp_flip_start(uint8_t *word, volatile uint32_t *memory, uint32_t first, uint32_t second)
{
    (void)rp_flip_stop();
    flip.word = word;
    flip.memory = memory;
    flip.values[0] = first;
    flip.values[1] = second;
    flip.looks = 0;
    *memory = first;
    flip.page = word - (uintptr_t)word % PAGE;
    handle(SIGSEGV, on_fault, &flip.fault_before);
    handle(SIGTRAP, on_step, &flip.trap_before);
    if (mprotect(flip.page, PAGE, PROT_NONE) == 0)
        return true;
    (void)rp_flip_stop();
    return false;
}

uint32_t rp_flip_stop(void)
{
    if (flip.page == NULL)
        return 0;
    (void)mprotect(flip.page, PAGE, PROT_READ | PROT_WRITE);
    (void)sigaction(SIGSEGV, &flip.fault_before, NULL);
    (void)sigaction(SIGTRAP, &flip.trap_before, NULL);
    flip.page = NULL;
    *flip.memory = flip.values[0];
    return flip.looks;
}

#else

bool rp_flip_start(uint8_t *word, volatile uint32_t *memory, uint32_t first, uint32_t second)
{
    (void)word;
    (void)memory;
    (void)first;
    (void)second;
    return false;
}

uint32_t rp_flip_stop(void)
{
    return 0;
}

#endif
