/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "options.h"
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const modes[] = {"flood", "paced", "pingpong"};
static const char *const faults[] = {
    "none", "torn-message", "wrong-size", "no-memory", "packed", "never-start", "twice", "loop-chain",
    "bad-descriptor", "write-used", "backwards", "truncate", "die",
};

static const char usage[] =
    "usage: frontend SOCKET LIBRARY [options]\n"
    "Connects to a vhost-user back-end and sends frames through the driver in LIBRARY.\n"
    "  --frames N           frames to send (100000 unless --seconds is given)\n"
    "  --seconds S          time to send for\n"
    "  --queue-size N       descriptors of each queue (256)\n"
    "  --features HEX       accept these of the features offered, if driver and front-end know them (all)\n"
    "  --pairs K            queue pairs, 1 to 8 (1)\n"
    "  --segments A[-B]     segments of a frame (1)\n"
    "  --batch A[-B]        frames between two kicks (32)\n"
    "  --bytes A[-B]        bytes of a frame (64)\n"
    "  --mode flood|paced|pingpong\n"
    "  --pause US           microseconds between bursts when paced, on average (300)\n"
    "  --poll-completions   spin, and want no interrupts\n"
    "  --overfill           go on adding when the ring is known to be full\n"
    "  --restart K          stop all queues and set them up again so many times\n"
    "  --start-index I      run so many frames before the clock is started\n"
    "  --seed S             of all that is random (1)\n"
    "  --patience MS        time without progress that is a stall (3000)\n"
    "  --fault WHICH        misbehave: torn-message, wrong-size, no-memory, packed, never-start, twice,\n"
    "                       loop-chain, bad-descriptor, write-used, backwards, truncate, die\n"
    "SIGTERM ends the sending. Prints one JSON object. Exit status: 0 done; 1 stalled, crashed or cut off; 2 bad use.\n";

static uint64_t number(const char *name, const char *text, int base, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, base);
    if (end == text || *end != '\0' || errno != 0 || strchr(text, '-') != NULL || value < least || value > most)
        fe_bad_use("--%s %s: not a number from %llu to %llu", name, text, (unsigned long long)least,
                   (unsigned long long)most);
    return value;
}

/* "A" or "A-B". */
static void range(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *low, uint32_t *high)
{
    char first[16];
    const char *dash = strchr(text, '-');
    size_t length = dash != NULL ? (size_t)(dash - text) : strlen(text);

    if (length >= sizeof(first))
        fe_bad_use("--%s %s: neither a number nor two with a dash between", name, text);
    memcpy(first, text, length);
    first[length] = '\0';
    *low = (uint32_t)number(name, first, 10, least, most);
    *high = dash != NULL ? (uint32_t)number(name, dash + 1, 10, *low, most) : *low;
}

static int choice(const char *name, const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], text) == 0)
            return (int)i;
    fe_bad_use("--%s %s: there is none of this name (frontend --help lists them)", name, text);
}

static double seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value > 0 && value < 1e6))
        fe_bad_use("--seconds %s: not a time", text);
    return value;
}

static void take(struct fe_options *options, const char *name, const char *text)
{
    if (strcmp(name, "frames") == 0)
        options->frames = number(name, text, 10, 1, UINT64_MAX / 2);
    else if (strcmp(name, "seconds") == 0)
        options->seconds = seconds(text);
    else if (strcmp(name, "queue-size") == 0)
        options->queue_size = (uint32_t)number(name, text, 10, 1, 32768);
    else if (strcmp(name, "features") == 0)
        options->features = number(name, text, 16, 0, UINT64_MAX);
    else if (strcmp(name, "pairs") == 0)
        options->pairs = (uint32_t)number(name, text, 10, 1, FE_MOST_PAIRS);
    else if (strcmp(name, "segments") == 0)
        range(name, text, 1, FE_MOST_SEGMENTS, &options->least_segments, &options->most_segments);
    else if (strcmp(name, "batch") == 0)
        range(name, text, 1, 65535, &options->least_batch, &options->most_batch);
    else if (strcmp(name, "bytes") == 0)
        range(name, text, 60, FE_MOST_BYTES, &options->least_bytes, &options->most_bytes);
    else if (strcmp(name, "mode") == 0)
        options->mode = (enum fe_mode)choice(name, text, modes, sizeof(modes) / sizeof(modes[0]));
    else if (strcmp(name, "pause") == 0)
        options->pause = (uint32_t)number(name, text, 10, 0, 10000000);
    else if (strcmp(name, "poll-completions") == 0)
        options->polls = true;
    else if (strcmp(name, "overfill") == 0)
        options->overfill = true;
    else if (strcmp(name, "restart") == 0)
        options->restarts = (uint32_t)number(name, text, 10, 0, 100000);
    else if (strcmp(name, "start-index") == 0)
        options->before = number(name, text, 10, 0, UINT64_MAX / 2);
    else if (strcmp(name, "seed") == 0)
        options->seed = number(name, text, 10, 0, UINT64_MAX);
    else if (strcmp(name, "patience") == 0)
        options->patience = (uint32_t)number(name, text, 10, 50, 1000000);
    else if (strcmp(name, "fault") == 0)
        options->fault = (enum fe_fault)choice(name, text, faults, sizeof(faults) / sizeof(faults[0]));
}

struct fe_options fe_options(int count, char **words)
{
    static const struct option known[] = {
        {"frames", 1, NULL, 'o'}, {"seconds", 1, NULL, 'o'}, {"queue-size", 1, NULL, 'o'},
        {"features", 1, NULL, 'o'}, {"pairs", 1, NULL, 'o'}, {"segments", 1, NULL, 'o'},
        {"batch", 1, NULL, 'o'}, {"bytes", 1, NULL, 'o'}, {"mode", 1, NULL, 'o'}, {"pause", 1, NULL, 'o'},
        {"poll-completions", 0, NULL, 'o'}, {"overfill", 0, NULL, 'o'}, {"restart", 1, NULL, 'o'},
        {"start-index", 1, NULL, 'o'}, {"seed", 1, NULL, 'o'}, {"patience", 1, NULL, 'o'},
        {"fault", 1, NULL, 'o'}, {"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0},
    };
    struct fe_options options = {
        .queue_size = 256, .features = UINT64_MAX, .pairs = 1, .least_segments = 1, .most_segments = 1,
        .least_batch = 32, .most_batch = 32, .least_bytes = 64, .most_bytes = 64, .pause = 300, .seed = 1, .patience = 3000,
    };
    int which, said;

    opterr = 0;
    while ((said = getopt_long(count, words, "", known, &which)) != -1) {
        if (said == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (said == '?')
            fe_bad_use("%s: no such option, or its value is missing or too much (frontend --help lists them)",
                       words[optind - 1]);
        take(&options, known[which].name, optarg);
    }
    if (count - optind != 2)
        fe_bad_use("a socket and a library are needed, and nothing else (frontend --help tells more)");
    options.socket = words[optind];
    options.library = words[optind + 1];
    if (options.frames == 0 && options.seconds == 0.0)
        options.frames = options.mode == FE_PINGPONG ? 100 : 100000;
    return options;
}
