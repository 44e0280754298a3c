/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses and fences of each function, in program order, against the order the transmit path needs. */
#include <stdio.h>
#include <string.h>

#include "access_log.h"
#include "environment.h"

static char text[4096];

static void note(const char *word)
{
    size_t used = strlen(text), length = strlen(word);
    bool same = used >= length && strcmp(text + used - length, word) == 0;

    CHECK(used + length + 2 < sizeof(text));
    if (!same) /* once for many descriptor words */
        strcat(strcat(text, used > 0 ? " " : ""), word);
}

void log_access(char kind, const volatile void *word)
{
    uintptr_t place = (uintptr_t)word, n = bench.env.queue_size;
    uintptr_t avail = (uintptr_t)bench.avail, used = (uintptr_t)bench.used;
    const char *name = "desc"; /* the table, or an indirect one */
    char line[32];

    if (bench.avail == NULL)
        return; /* set-up */
    if (place >= used && place < used + 6 + 8 * n)
        name = place == used ? "used.flags" : place == used + 2 ? "used.idx"
               : word == avail_event() ? "avail_event" : (place - used) % 8 == 4 ? "used.id" : "used.len";
    else if (place >= avail && place < avail + 6 + 2 * n)
        name = place == avail ? "avail.flags" : place == avail + 2 ? "avail.idx"
               : word == used_event() ? "used_event" : "avail.ring";
    snprintf(line, sizeof(line), "%c:%s", kind, name);
    note(line);
}

void log_fence(int order)
{
    note(order == __ATOMIC_SEQ_CST ? "FULL" : order == __ATOMIC_RELEASE ? "WRITE"
         : order == __ATOMIC_ACQUIRE ? "READ" : "?");
}

static void expect_order(const char *what, const char *expected)
{
    if (strcmp(text, expected) != 0) {
        printf("%s:\n  is        %s\n  should be %s\n", what, text, expected);
        fail(__FILE__, __LINE__, what);
    }
    text[0] = '\0';
}

static void check_add(uint64_t features)
{
    open_queue(4, features);
    CHECK(add(2, 1, 1) == RP_OK);
    expect_order("add", (features & INDIRECT) != 0
                            ? "w:desc r:desc r:avail.idx w:avail.ring WRITE w:avail.idx"
                            : "w:desc r:desc w:desc r:desc w:desc r:desc w:desc r:avail.idx w:avail.ring "
                              "WRITE w:avail.idx");
    bench.driver->kick(bench.queue);
    expect_order("kick", (features & EVENT) != 0 ? "FULL r:avail.idx r:avail_event"
                                                 : "FULL r:avail.idx r:used.flags");
    close_queue();
}

static void check_get_buf(void)
{
    open_queue(4, EVENT);
    expect_none(0);
    expect_order("get_buf of nothing", "r:used.idx");
    CHECK(add(1, 0, 1) == RP_OK);
    complete(0, 0);
    text[0] = '\0';
    expect(1, 0);
    expect_order("get_buf", linux_3_11()
                                ? "r:used.idx READ r:used.id r:used.len r:desc w:desc r:avail.flags "
                                  "w:used_event FULL"
                                : "r:used.idx READ r:used.id r:used.len r:desc w:desc w:used_event FULL");
    close_queue();
}

static void check_callbacks(void)
{
    open_queue(4, EVENT);
    (void)bench.driver->enable_cb(bench.queue);
    expect_order("enable_cb", linux_3_11() ? "w:avail.flags w:used_event FULL r:used.idx"
                                           : "w:used_event FULL r:used.idx");
    (void)bench.driver->enable_cb_delayed(bench.queue);
    expect_order("enable_cb_delayed", linux_3_11() ? "r:avail.idx w:avail.flags w:used_event FULL r:used.idx"
                                                   : "r:avail.idx w:used_event FULL r:used.idx");
    (void)bench.driver->poll(bench.queue, 0);
    expect_order("poll", "FULL r:used.idx");
    close_queue();
    open_queue(4, 0);
    (void)bench.driver->enable_cb(bench.queue);
    expect_order("enable_cb by flags", linux_3_11() ? "w:avail.flags w:used_event FULL r:used.idx"
                                                    : "w:avail.flags FULL r:used.idx");
    close_queue();
}

int main(void)
{
    check_add(0);
    check_add(EVENT);
    check_add(INDIRECT);
    check_get_buf();
    check_callbacks();
    return 0;
}
