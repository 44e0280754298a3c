/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define OUTPUT_LIMIT (UINT64_C(1) << 20) /* bytes a driver may write to any file, its output among them */

static uint64_t *fault_record;
static pid_t     worker_id;     /* what fork leaves in a child, which is not the worker */
static uint32_t  forks;         /* made by the driver */
static int       printed_to = -1; /* where output goes; a driver may close or redirect its own descriptors */

/* Notes where, then lets the signal do what it always did. */
static void note_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    *fault_record = (uint64_t)(uintptr_t)info->si_addr;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void limit(__rlimit_resource_t resource, uint64_t most)
{
    struct rlimit value = {most, most};

    (void)setrlimit(resource, &value);
}

bool rp_process_arguments(struct rp_process *process, int count, char **arguments)
{
    if (count != 6) {
        (void)fputs("the worker is started by ringproof validate\n", stderr);
        return false;
    }
    memset(process, 0, sizeof(*process));
    process->library = arguments[1];
    process->file = atoi(arguments[2]);
    process->commands = atoi(arguments[3]);
    process->answers = atoi(arguments[4]);
    process->memory_limit = strtoull(arguments[5], NULL, 10);
    return true;
}

void *rp_process_map(const struct rp_process *process, size_t bytes, uint64_t least, uint32_t magic,
                     uint32_t version)
{
    struct stat status;
    uint32_t *begin;

    if (fstat(process->file, &status) != 0 || (uint64_t)status.st_size < least || bytes > least)
        return NULL;
    begin = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, process->file, 0);
    if (begin == MAP_FAILED || begin[0] != magic || begin[1] != version)
        return NULL;
    return begin;
}

uint8_t *rp_process_map_guarded(int file, uint64_t offset, uint64_t bytes)
{
    uint8_t *reserved = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                             -1, 0);
    uint8_t *memory;

    if (reserved == MAP_FAILED)
        return NULL;
    memory = mmap(reserved + PAGE, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, (off_t)offset);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Whatever the driver starts stays in the worker's process group, which the tool ends: leaving it fails with
 * EPERM. A kernel that cannot filter calls lets it go. */
static void stay_in_group(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsid, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setpgid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(steps) / sizeof(steps[0]), .filter = steps};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void count_fork(void)
{
    (void)__atomic_fetch_add(&forks, 1, __ATOMIC_RELAXED);
}

/* The child of a driver's fork would answer in the worker's place: it ends at once. */
static void end_child(void)
{
    _exit(0);
}

/* Ends those that are alive, as the kernel lists them for each thread that started one, so that the queue that
 * comes next is not blamed for them. */
static uint32_t end_listed_children(void)
{
    glob_t lists;
    uint32_t count = 0;

    if (glob("/proc/self/task/*/children", 0, NULL, &lists) != 0)
        return 0;
    for (size_t i = 0; i < lists.gl_pathc; i++) {
        FILE *list = fopen(lists.gl_pathv[i], "re");
        int child;

        while (list != NULL && fscanf(list, "%d", &child) == 1) {
            count++;
            if (kill(child, SIGKILL) == 0)
                (void)waitpid(child, NULL, __WALL);
        }
        if (list != NULL)
            (void)fclose(list);
    }
    globfree(&lists);
    return count;
}

uint32_t rp_process_children(void)
{
    uint32_t forked = __atomic_exchange_n(&forks, 0, __ATOMIC_RELAXED), left = 0, listed;
    pid_t ended;

    while ((ended = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
        left++;
    if (ended == 0) { /* there are more, alive; a kernel need not list them */
        listed = end_listed_children();
        left += listed != 0 ? listed : 1;
    }
    return forked > left ? forked : left;
}

bool rp_process_printed(uint64_t *bytes, bool *cut)
{
    struct stat status;

    if (printed_to < 0 || fstat(printed_to, &status) != 0)
        return false;
    *bytes = (uint64_t)status.st_size;
    *cut = *bytes >= OUTPUT_LIMIT;
    return true;
}

void rp_process_restrict(const struct rp_process *process)
{
    static uint8_t stack[32768]; /* the driver's own may be what overflowed */
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action;

    fault_record = process->fault_address;
    worker_id = getpid();
    printed_to = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    (void)pthread_atfork(NULL, count_fork, end_child);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what its children start is the driver's too */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    stay_in_group();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, OUTPUT_LIMIT);
    if (process->memory_limit != 0)
        limit(RLIMIT_AS, process->memory_limit);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = note_fault;
    action.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
    (void)sigaltstack(&alternate, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    (void)sigaction(SIGBUS, &action, NULL);
}

enum rp_answer rp_process_refuse(const struct rp_process *process, const char *why)
{
    (void)snprintf(process->message, process->message_size, "%s", why);
    return RP_ANSWER_ERROR;
}

bool rp_process_answer(const struct rp_process *process, enum rp_answer answer)
{
    uint8_t byte = (uint8_t)answer;
    ssize_t written;

    do
        written = write(process->answers, &byte, 1);
    while (written < 0 && errno == EINTR);
    return written == 1;
}

void rp_process_consult(const struct rp_process *process, enum rp_answer answer)
{
    uint8_t byte;
    ssize_t got = 0;

    if (rp_process_answer(process, answer))
        do
            got = read(process->commands, &byte, 1);
        while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(1);
}

int rp_process_serve(const struct rp_process *process, rp_command_handler handler, void *context)
{
    for (;;) {
        uint8_t command = RP_CMD_QUIT;
        ssize_t got = read(process->commands, &command, 1);
        enum rp_answer answer;

        if (got < 0 && errno == EINTR)
            continue;
        if (got != 1 || command == RP_CMD_QUIT)
            return 0;
        *process->command = command;
        answer = handler(context, command);
        if (getpid() != worker_id)
            _exit(0); /* a child that came past fork */
        *process->command = 0;
        if (!rp_process_answer(process, answer))
            return 1;
    }
}
