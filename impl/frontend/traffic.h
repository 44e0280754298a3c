/* SPDX-License-Identifier: Apache-2.0 */
/* The traffic: what is sent when, what is waited for, and when nothing moves any more. */
#ifndef RINGPROOF_FRONTEND_TRAFFIC_H
#define RINGPROOF_FRONTEND_TRAFFIC_H

#include "card.h"

/* Runs all that the options ask for on a card that is open, with its starts and stops. Ends the program if the
 * traffic stalls. */
void fe_traffic(struct fe_card *card);

#endif
