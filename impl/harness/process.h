/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every worker process does, whichever kind of driver runs in it: maps the file it shares with the
 * tool, limits itself, notes where a memory fault happened, and serves commands of one byte.
 */
#ifndef RINGPROOF_PROCESS_H
#define RINGPROOF_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* How a worker is started: PROGRAM LIBRARY SHARED_FD COMMAND_FD ANSWER_FD MEMORY_LIMIT. */
struct rp_process {
    const char *library;
    int         file;
    int         commands;
    int         answers;
    uint64_t    memory_limit; /* bytes of address space, 0 for none */

    /* in shared memory; set by whoever maps it */
    uint32_t *command;       /* which one is under way, 0 for none */
    uint64_t *fault_address; /* where a memory fault happened */
    char     *message;       /* why a command could not be done, one line */
    size_t    message_size;
};

typedef enum rp_answer (*rp_command_handler)(void *context, uint8_t command);

/* False, with a line on standard error, when it was not started by the tool. */
bool rp_process_arguments(struct rp_process *process, int count, char **arguments);
/* Maps the file's first `bytes`; null unless it begins with these two numbers and is as long as `least`. */
void *rp_process_map(const struct rp_process *process, size_t bytes, uint64_t least, uint32_t magic,
                     uint32_t version);
/* Maps `bytes` of a file from `offset` on with a page on either side that nobody can touch; null on failure. */
uint8_t *rp_process_map_guarded(int file, uint64_t offset, uint64_t bytes);
/* From here on the process dies with the tool, and its faults are noted. */
void rp_process_restrict(const struct rp_process *process);
/* How many processes the driver has forked since this was asked last, or started in another way and left behind;
 * those are ended. */
uint32_t rp_process_children(void);
/* How many bytes the process has printed, and whether more were cut off; false when that is not known. */
bool rp_process_printed(uint64_t *bytes, bool *cut);
/* Sets the message; always RP_ANSWER_ERROR. */
enum rp_answer rp_process_refuse(const struct rp_process *process, const char *why);
bool rp_process_answer(const struct rp_process *process, enum rp_answer answer);
/* Lets the tool act in the middle of a command, and waits until it has. Ends the process if it is gone. */
void rp_process_consult(const struct rp_process *process, enum rp_answer answer);
/* Handles commands until QUIT or until the tool is gone; the process's exit status. */
int rp_process_serve(const struct rp_process *process, rp_command_handler handler, void *context);

#endif
