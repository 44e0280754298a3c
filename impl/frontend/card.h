/* SPDX-License-Identifier: Apache-2.0 */
/* The whole network card as its back-end sees it: features accepted, memory shared, queues set up in the order in
 * which DPDK's virtio-user does it, and stopped. */
#ifndef RINGPROOF_FRONTEND_CARD_H
#define RINGPROOF_FRONTEND_CARD_H

#include "queue.h"

struct fe_pair {
    struct fe_queue receive, send;
    bool     receives;      /* the driver takes buffers to be written */
    uint32_t filled;        /* how many were out when it was last filled */
    uint64_t number;        /* of the next frame */
    uint64_t left;          /* frames still to be sent until the next stop; ~0: no limit */
    /* FE_PINGPONG */
    bool     waiting, echo; /* for an answer; it is an echo's */
    uint64_t asked;         /* which number */
};

struct fe_card {
    const struct fe_options *options;
    int            channel, second;
    uint64_t       protocol_features, features;
    struct fe_pair pairs[FE_MOST_PAIRS];
    uint64_t       random;
};

/* Connects, loads the driver, makes memory and frames. */
void fe_card_open(struct fe_card *card, const struct fe_options *options);
/* From the first message to enabled queues, with receive buffers in them. */
void fe_card_start(struct fe_card *card);
/* Gives the receive queue all the buffers that it takes, and kicks; false if it took none. */
bool fe_card_fill(struct fe_pair *pair);
/* Takes the queues from the device, politely (disabled first) or not, and destroys them. */
void fe_card_stop(struct fe_card *card, bool politely);
/* The next random number. */
uint32_t fe_card_random(struct fe_card *card);

#endif
