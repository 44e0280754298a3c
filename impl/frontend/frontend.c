/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small vhost-user front-end: connects to a back-end's socket, shares one file of memory, and sends frames through
 * any driver behind ringproof_driver.h. `frontend --help` tells the rest.
 *
 * Reading order: traffic.c (what is done), card.c (the protocol), queue.c (the driver's surroundings).
 */
#include "report.h"
#include "traffic.h"

int main(int count, char **words)
{
    static struct fe_card card;
    struct fe_options options = fe_options(count, words);

    fe_watch(options.patience > 1000 ? options.patience : 1000);
    fe_card_open(&card, &options);
    fe_traffic(&card);
    if (fe_counts.stray > 0)
        fe_end("stray", "the driver gave back %llu times what it did not have", (unsigned long long)fe_counts.stray);
    fe_end("done", "%s", "");
}
