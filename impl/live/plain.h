/* SPDX-License-Identifier: Apache-2.0 */
/* A plain device over a split queue: takes what is published and gives it back at once, judging and recording
 * nothing. It is what the monitored device is measured against. Addresses are checked all the same. */
#ifndef RINGPROOF_LIVE_PLAIN_H
#define RINGPROOF_LIVE_PLAIN_H

#include "queue.h"

struct rpl_plain; /* opaque */

struct rpl_plain *rpl_plain_new(struct rpl_guest *guest);
void rpl_plain_free(struct rpl_plain *plain);
bool rpl_plain_start(struct rpl_plain *plain, const struct rpl_queue_setup *setup);
uint16_t rpl_plain_stop(struct rpl_plain *plain);
void rpl_plain_set_call(struct rpl_plain *plain, int fd);
/* As rpl_queue_service: true if there is more to do at once. Asks for kicks before it says false. */
bool rpl_plain_service(struct rpl_plain *plain, uint32_t limit);
uint64_t rpl_plain_chains(const struct rpl_plain *plain);

#endif
