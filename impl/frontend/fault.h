/* SPDX-License-Identifier: Apache-2.0 */
/* Misbehaviour in the middle of traffic. */
#ifndef RINGPROOF_FRONTEND_FAULT_H
#define RINGPROOF_FRONTEND_FAULT_H

#include "card.h"

/* Whether the fault asked for is one that strikes when half of the traffic has passed, and whether only when
 * nothing is out. */
bool fe_fault_comes(const struct fe_options *options);
bool fe_fault_waits(const struct fe_options *options);
/* Does it; comes back only if traffic is to go on. */
void fe_fault_strike(struct fe_card *card);

#endif
