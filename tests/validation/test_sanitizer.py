"""Reports of sanitizers, as gcc's and clang's print them, in one line each."""

from pathlib import Path

import pytest

from ringproof.building import build_library, c_sources
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation.pairing import Pair
from ringproof.validation.process import Process
from ringproof.validation.sanitizer import in_one_line
from ringproof.validation.variants import build_coverage

_FIFO = Path(__file__).parent / "drivers" / "fifo.c"

_GCC_OVERFLOW = """\
it has begun
=================================================================
==5681==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x60200000001a at pc 0x55 bp 0x7f sp 0x7f
WRITE of size 8 at 0x60200000001a thread T0
    #0 0x7f48060 in __interceptor_memcpy ../../../../src/libsanitizer/sanitizer_common/interceptors.inc:827
    #1 0x55da317c0a92 in create ./driver.c:55
    #2 0x7fbb5fa25249 in main worker.c:58

0x60200000001a is located 2 bytes to the right of 8-byte region [0x602000000010,0x602000000018)
allocated by thread T0 here:
    #0 0x7fbb5fcd3bde in other other.c:7
SUMMARY: AddressSanitizer: heap-buffer-overflow ./driver.c:55 in create
==5681==ABORTING
"""
_CLANG_SEGV = """\
AddressSanitizer:DEADLYSIGNAL
=================================================================
==5797==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000001 (pc 0x5585c9fdf840 bp 0x7f sp 0x7f T0)
==5797==The signal is caused by a WRITE memory access.
==5797==Hint: address points to the zero page.
    #0 0x5585c9fdf840 in add /home/someone/driver.c:6:167
"""
_NO_SYMBOLS = """\
==9==ERROR: AddressSanitizer: attempting double-free on 0x602000000010 in thread T0:
    #0 0x7f5fffed3932 in free (/usr/lib/clang/lib/linux/libclang_rt.asan-x86_64.so+0xd3932)
    #1 0x5636f4fbb7ac in release (/tmp/libdriver.so+0x7ac)

"""
_REPORTS = {
    "overflow": (
        _GCC_OVERFLOW,
        "AddressSanitizer: heap-buffer-overflow, write of 8 bytes in create (driver.c:55)",
    ),
    "segv": (_CLANG_SEGV, "AddressSanitizer: SEGV, write in add (driver.c:6)"),
    "no symbols": (_NO_SYMBOLS, "AddressSanitizer: attempting double-free in release"),
    "bounds": (
        "x\ndir/driver.c:6:124: runtime error: index 5 out of bounds for type 'int [4]'\nSUMMARY: y\n",
        "UndefinedBehaviorSanitizer: index 5 out of bounds for type 'int [4]' (driver.c:6)",
    ),
    "thread": (
        "==\nWARNING: ThreadSanitizer: data race (pid=15)\n  Write of size 4\n",
        "ThreadSanitizer: data race",
    ),
    "libFuzzer": (
        "==7== ERROR: libFuzzer: timeout after 2 seconds\n    #0 0x1 in kick driver.c:9:1\n",
        "libFuzzer: timeout after 2 seconds in kick (driver.c:9)",
    ),
    "none": ("ERROR: the driver gave up\nand left\n", ""),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("name", _REPORTS)
def test_a_report_is_one_line(name: str) -> None:
    """Tool, what it was, and where: without addresses, which differ from run to run."""
    output, line = _REPORTS[name]
    assert in_one_line(output) == line


_OVERFLOW = """
#include "ringproof_driver.h"
#include <stdlib.h>
static int create(const struct rp_env *env, struct rp_ring_parts *parts, void **queue)
{
    volatile char *memory = malloc(8);
    (void)parts;
    (void)queue;
    memory[env->queue_size] = 1;
    free((void *)memory);
    return RP_EINVAL;
}
static void nothing(void *queue) { (void)queue; }
static int add(void *queue, const struct rp_segment *s, uint32_t out, uint32_t in, void *token)
{ (void)queue; (void)s; (void)out; (void)in; (void)token; return RP_ENOSPC; }
static void *get_buf(void *queue, uint32_t *length) { (void)queue; (void)length; return NULL; }
static const struct rp_driver driver = { .abi_version = RP_ABI_VERSION, .size = sizeof(struct rp_driver),
    .create = create, .destroy = nothing, .add = add, .kick = nothing, .get_buf = get_buf };
const struct rp_driver *rp_driver_entry(void) { return &driver; }
"""


def test_a_report_is_a_check_of_its_own(tmp_path: Path) -> None:
    """A driver that AddressSanitizer stops fails no-sanitizer-report, and the line says where."""
    (tmp_path / "overflow.c").write_text(_OVERFLOW)
    with Process(build_coverage(tmp_path).library, patience=10) as process:
        failure = Pair.of(process).begin(QueueConfig(64))
    assert failure is not None
    assert (failure.kind, failure.check, failure.clause) == (
        "crash",
        "no-sanitizer-report",
        "oracle: sanitizer",
    )
    line = "AddressSanitizer: heap-buffer-overflow, write of 1 byte in create (overflow.c:9)"
    assert failure.detail.startswith(line)


def test_a_crash_without_a_report_stays_a_crash() -> None:
    """What no sanitizer speaks of keeps the check it had."""
    library = build_library([_FIFO], include=[c_sources()], defines={"FIFO_CRASH": ""})
    with Process(library, patience=10) as process:
        pair = Pair.of(process)
        failure = pair.attempt(QueueConfig(4), [Op(Code.ADD, a=3)])
    assert failure is not None
    assert failure.check == "no-crash"
