/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A word of device-reachable memory that changes each time the driver looks at it. The driver's view of the
 * pages is closed; each access to them faults, is let through alone by single steps, and the word is changed
 * behind it. So a second look never sees what the first one saw, at every run alike.
 *
 * Only on x86-64, and only in the fenced arena: elsewhere nothing flips, and starting says so.
 */
#ifndef RINGPROOF_FLIP_H
#define RINGPROOF_FLIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The word at `word` in the driver's view is `memory` for us. It holds `first` from now on, then `second` after
 * each odd access. False when it cannot be. */
bool rp_flip_start(uint8_t *word, volatile uint32_t *memory, uint32_t first, uint32_t second);
/* How often the driver has looked; the word holds `first` again. No flip under way: 0, and nothing is done. */
uint32_t rp_flip_stop(void);

#endif
