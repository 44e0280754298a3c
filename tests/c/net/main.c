/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the case named by the first argument; without one, lists all. */
#include <stdio.h>
#include <string.h>

#include "cases.h"

#define DECLARE(name, what) void case_##name(void);
#define ENTRY(name, what) {#name, what, case_##name},

CASES(DECLARE)

static const struct {
    const char *name, *what;
    void (*run)(void);
} cases[] = {CASES(ENTRY)};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (argc < 2) {
            printf("%s\t%s\n", cases[i].name, cases[i].what);
        } else if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}
