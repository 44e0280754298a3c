/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u
#define GUARDED (4u * RPL_REGIONS)

/* What the guard answers for: whole mappings of all guests. `begin` 0: free; it is written last, and cleared
 * first, so the handler sees an entry whole or not at all. */
struct guarded {
    uintptr_t         begin, end;
    struct rpl_guest *guest;
};

static struct guarded   guarded[GUARDED];
static pthread_mutex_t  guard_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before_guard;
static bool             guard_installed;

/* A page behind the end of its file: zeros take its place. Huge pages can only be replaced whole. */
static bool replace(uintptr_t at, const struct guarded *entry)
{
    static const uintptr_t sizes[] = {PAGE, 2u << 20, 1u << 30};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uintptr_t begin = at & ~(sizes[i] - 1);

        if (begin < entry->begin || begin + sizes[i] > entry->end)
            continue;
        if (mmap((void *)begin, sizes[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
            MAP_FAILED)
            return true;
    }
    return false;
}

static void guard(int signal_number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;
    int       kept = errno;

    for (size_t i = 0; i < GUARDED; i++) {
        uintptr_t begin = __atomic_load_n(&guarded[i].begin, __ATOMIC_ACQUIRE);

        if (begin == 0 || at < begin || at >= guarded[i].end)
            continue;
        if (!replace(at, &guarded[i]))
            break;
        guarded[i].guest->gone = true;
        errno = kept;
        return;
    }
    errno = kept;
    if ((before_guard.sa_flags & SA_SIGINFO) != 0 && before_guard.sa_sigaction != NULL) {
        before_guard.sa_sigaction(signal_number, info, context);
    } else if (before_guard.sa_handler != SIG_DFL && before_guard.sa_handler != SIG_IGN) {
        before_guard.sa_handler(signal_number);
    } else {
        signal(signal_number, SIG_DFL); /* the access is repeated when we return, and ends the process */
    }
}

static bool guard_add(struct rpl_guest *guest, void *mapping, size_t bytes)
{
    bool done = false;

    pthread_mutex_lock(&guard_lock);
    if (!guard_installed) {
        struct sigaction action = {0};

        action.sa_sigaction = guard;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        guard_installed = sigaction(SIGBUS, &action, &before_guard) == 0;
    }
    for (size_t i = 0; guard_installed && i < GUARDED && !done; i++) {
        if (guarded[i].begin != 0)
            continue;
        guarded[i].end = (uintptr_t)mapping + bytes;
        guarded[i].guest = guest;
        __atomic_store_n(&guarded[i].begin, (uintptr_t)mapping, __ATOMIC_RELEASE);
        done = true;
    }
    pthread_mutex_unlock(&guard_lock);
    return done;
}

static void guard_remove(const void *mapping)
{
    pthread_mutex_lock(&guard_lock);
    for (size_t i = 0; i < GUARDED; i++)
        if (guarded[i].begin == (uintptr_t)mapping)
            __atomic_store_n(&guarded[i].begin, (uintptr_t)0, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&guard_lock);
}

/* Maps bytes [offset, offset + bytes) of fd; *mapping and *mapped are what unmap needs, *host the first byte. */
static enum rpl_guest_error map(struct rpl_guest *guest, uint64_t bytes, uint64_t offset, int fd, void **mapping,
                                size_t *mapped, uint8_t **host)
{
    struct stat stat;
    uint64_t    unit = PAGE, begin, length;
    void       *at;

    if (bytes == 0)
        return RPL_GUEST_EMPTY;
    if (offset > (uint64_t)INT64_MAX || bytes > (uint64_t)INT64_MAX - offset)
        return RPL_GUEST_WRAPS;
    if (fstat(fd, &stat) != 0)
        return RPL_GUEST_UNMAPPABLE;
    if (S_ISREG(stat.st_mode) && (stat.st_size < 0 || (uint64_t)stat.st_size < offset + bytes))
        return RPL_GUEST_SHORT;
    /* Files of huge pages are mapped in whole ones; they say so by the size of their blocks. */
    if (stat.st_blksize > (blksize_t)PAGE && (stat.st_blksize & (stat.st_blksize - 1)) == 0)
        unit = (uint64_t)stat.st_blksize;
    begin = offset & ~(unit - 1);
    length = offset - begin + bytes;
    if (length > (uint64_t)INT64_MAX - unit)
        return RPL_GUEST_UNMAPPABLE;
    length = (length + unit - 1) & ~(unit - 1);
    at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)begin);
    if (at == MAP_FAILED)
        return RPL_GUEST_UNMAPPABLE;
    if (!guard_add(guest, at, length)) {
        munmap(at, length);
        return RPL_GUEST_FULL;
    }
    madvise(at, length, MADV_DONTDUMP);
    *mapping = at;
    *mapped = length;
    *host = (uint8_t *)at + (offset - begin);
    return RPL_GUEST_OK;
}

static void unmap(void *mapping, size_t mapped)
{
    guard_remove(mapping);
    munmap(mapping, mapped);
}

/* Whether [address, address + bytes) ends at or below 2^64; bytes > 0. */
static bool fits(uint64_t address, uint64_t bytes)
{
    return bytes - 1 <= UINT64_MAX - address;
}

void rpl_guest_init(struct rpl_guest *guest)
{
    memset(guest, 0, sizeof(*guest));
}

enum rpl_guest_error rpl_guest_add(struct rpl_guest *guest, uint64_t address, uint64_t user, uint64_t bytes,
                                   uint64_t offset, int fd)
{
    struct rpl_region    region = {.guest = address, .user = user, .bytes = bytes};
    enum rpl_guest_error error;

    if (bytes == 0)
        return RPL_GUEST_EMPTY;
    if (!fits(address, bytes) || !fits(user, bytes))
        return RPL_GUEST_WRAPS;
    for (uint32_t i = 0; i < guest->count; i++) {
        const struct rpl_region *other = &guest->regions[i];

        if (address - other->guest < other->bytes || other->guest - address < bytes)
            return RPL_GUEST_OVERLAPS;
    }
    if (guest->count >= RPL_REGIONS)
        return RPL_GUEST_FULL;
    error = map(guest, bytes, offset, fd, &region.mapping, &region.mapped, &region.host);
    if (error != RPL_GUEST_OK)
        return error;
    guest->regions[guest->count++] = region;
    guest->generation++;
    return RPL_GUEST_OK;
}

enum rpl_guest_error rpl_guest_remove(struct rpl_guest *guest, uint64_t address, uint64_t user, uint64_t bytes)
{
    for (uint32_t i = 0; i < guest->count; i++) {
        struct rpl_region *region = &guest->regions[i];

        if (region->guest != address || region->user != user || region->bytes != bytes)
            continue;
        unmap(region->mapping, region->mapped);
        *region = guest->regions[--guest->count];
        guest->last = 0;
        guest->generation++;
        return RPL_GUEST_OK;
    }
    return RPL_GUEST_UNKNOWN;
}

static void drop_log(struct rpl_guest *guest)
{
    if (guest->log_mapping != NULL)
        unmap(guest->log_mapping, guest->log_mapped);
    guest->log_mapping = NULL;
    guest->log = NULL;
    guest->log_bytes = 0;
    guest->log_mapped = 0;
}

void rpl_guest_clear(struct rpl_guest *guest)
{
    while (guest->count > 0) {
        guest->count--;
        unmap(guest->regions[guest->count].mapping, guest->regions[guest->count].mapped);
    }
    drop_log(guest);
    guest->last = 0;
    guest->generation++;
}

enum rpl_guest_error rpl_guest_set_log(struct rpl_guest *guest, uint64_t bytes, uint64_t offset, int fd)
{
    void                *mapping;
    size_t               mapped;
    uint8_t             *host;
    enum rpl_guest_error error = map(guest, bytes, offset, fd, &mapping, &mapped, &host);

    if (error != RPL_GUEST_OK)
        return error;
    drop_log(guest);
    guest->log = host;
    guest->log_bytes = bytes;
    guest->log_mapping = mapping;
    guest->log_mapped = mapped;
    return RPL_GUEST_OK;
}

/* The region that holds the byte at `address`, or null. */
static const struct rpl_region *find(struct rpl_guest *guest, uint64_t address)
{
    const struct rpl_region *region = &guest->regions[guest->last];

    if (guest->last < guest->count && address - region->guest < region->bytes)
        return region;
    for (uint32_t i = 0; i < guest->count; i++) {
        region = &guest->regions[i];
        if (address - region->guest < region->bytes) {
            guest->last = i;
            return region;
        }
    }
    return NULL;
}

uint8_t *rpl_guest_at(struct rpl_guest *guest, uint64_t address, uint64_t bytes)
{
    const struct rpl_region *region = find(guest, address);

    if (region == NULL || bytes > region->bytes - (address - region->guest))
        return NULL;
    return region->host + (address - region->guest);
}

/* Memory at `address`, and in *bytes how much of the wanted bytes its region holds from there on; null: none. */
static uint8_t *part(struct rpl_guest *guest, uint64_t address, uint64_t *bytes)
{
    const struct rpl_region *region = find(guest, address);
    uint64_t                 left;

    if (region == NULL)
        return NULL;
    left = region->bytes - (address - region->guest);
    if (*bytes > left)
        *bytes = left;
    return region->host + (address - region->guest);
}

bool rpl_guest_covers(struct rpl_guest *guest, uint64_t address, uint64_t bytes)
{
    if (bytes == 0)
        return find(guest, address) != NULL;
    if (!fits(address, bytes))
        return false;
    while (bytes > 0) {
        uint64_t here = bytes;

        if (part(guest, address, &here) == NULL)
            return false;
        address += here;
        bytes -= here;
    }
    return true;
}

bool rpl_guest_read(struct rpl_guest *guest, uint64_t address, void *into, uint64_t bytes)
{
    uint8_t *to = into;

    if (bytes > 0 && !fits(address, bytes))
        return false;
    while (bytes > 0) {
        uint64_t       here = bytes;
        const uint8_t *from = part(guest, address, &here);

        if (from == NULL)
            return false;
        memcpy(to, from, here);
        to += here;
        address += here;
        bytes -= here;
    }
    return true;
}

bool rpl_guest_write(struct rpl_guest *guest, uint64_t address, const void *from, uint64_t bytes)
{
    const uint8_t *next = from;

    if (bytes > 0 && !fits(address, bytes))
        return false;
    while (bytes > 0) {
        uint64_t here = bytes;
        uint8_t *to = part(guest, address, &here);

        if (to == NULL)
            return false;
        memcpy(to, next, here);
        rpl_guest_dirty(guest, address, here);
        next += here;
        address += here;
        bytes -= here;
    }
    return true;
}

uint64_t rpl_guest_from_user(const struct rpl_guest *guest, uint64_t user, uint64_t *bytes_left)
{
    for (uint32_t i = 0; i < guest->count; i++) {
        const struct rpl_region *region = &guest->regions[i];

        if (user - region->user < region->bytes) {
            if (bytes_left != NULL)
                *bytes_left = region->bytes - (user - region->user);
            return region->guest + (user - region->user);
        }
    }
    if (bytes_left != NULL)
        *bytes_left = 0;
    return UINT64_MAX;
}

void rpl_guest_dirty(struct rpl_guest *guest, uint64_t address, uint64_t bytes)
{
    uint64_t page, last;

    if (guest->log == NULL || bytes == 0 || !fits(address, bytes))
        return;
    last = (address + (bytes - 1)) / PAGE;
    for (page = address / PAGE; page <= last && page / 8 < guest->log_bytes; page++)
        __atomic_fetch_or(&guest->log[page / 8], (uint8_t)(1u << (page % 8)), __ATOMIC_RELAXED);
}
