"""A trace as one C11 file: the steps, and a small honest device that judges the driver it is linked with.

The file needs nothing but ``ringproof_driver.h``. It holds a driver to what the driver ABI and VIRTIO ask of
any, and a driver that declares the reference's bytes to the reference's numbers, which are written into it.
"""

import re
from dataclasses import replace
from importlib.resources import files

from ..errors import BadInputError
from ..impl.device.device import Violation
from ..impl.harness.operations import Code, Op, OpFlag, Result
from ..impl.harness.reference_runner import OperationError, ReferenceRunner
from ..impl.reference.layout import LARGEST_QUEUE
from ..journey.document import NetTrace
from ..traces.document import FEATURE_NAMES, TraceDocument
from ..validation.narration import in_words
from ..views.opening import Document
from .telling import by_meaning, number_of_step, story
from .text import c_comment, c_string, name_of_test

PARTS = ("memory.c", "device.c", "operations.c", "program.c")
_HERE = "ringproof.emitting"
_PROFILES = {"LINUX_3_11": "linux-3.11", "VIRTIO_1": "virtio-1.x"}

_COLUMNS = (
    *("status", "token", "length", "notifies", "callbacks", "avail_idx", "used_idx", "avail_flags"),
    *("used_event", "num_free"),
)
_ORDER = "the order of memory accesses shows in an instrumented build only"
UNSEEN = {
    "content-before-index": _ORDER,
    "index-before-suppression": _ORDER,
    "used-index-before-entry": _ORDER,
    "look-again-after-barrier": _ORDER,
    "starts-no-process": "a process that was started shows to the one that watches the driver only",
    "prints-little": "what a driver prints is counted outside of it only",
    "calls-only-in-its-time": "what a driver calls between two queues shows to the harness only",
    "no-stray-write": "memory that nobody holds is watched by the harness only",
    "private-memory-bounds": "private memory is guarded by the harness, or by an address sanitizer",
}
"""Checks of validate that an emitted file does not make, and why."""

_BYTES = re.compile(r"(desc\[|avail\.ring\[|used\.ring\[)\S+ holds ")
"""How a difference in the ring's bytes alone begins."""

_INCLUDES = """\
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringproof_driver.h\""""

_TYPES = """\
enum operation {
    ADD, KICK, GET, DISABLE_CB, ENABLE_CB, ENABLE_CB_DELAYED, ENABLE_CB_PREPARE, POLL, INTERRUPT,
    DETACH_UNUSED,
    READ, COMPLETE, SET_FLAGS, SET_AVAIL_EVENT, /* by the device */
    ROUNDS
};

/* One step. Segments are made from the seed: see segment_address. */
struct step {
    enum operation operation;
    const char *words;
    uint32_t out, in, seed;                 /* ADD; ROUNDS: seed */
    uint32_t count, pick, stride;           /* READ: at most count, all for 0; COMPLETE; ROUNDS: count */
    uint32_t value, which;                  /* SET_...; ADD: which allocation fails, all for 0 */
    bool null_token, fail_allocation, total_length, relative, no_kick;
};

/* What came of it. */
struct result {
    int status;
    uint64_t token;
    uint32_t length, notifies, callbacks;
    uint32_t avail_idx, used_idx, avail_flags, used_event, num_free;
};"""


def emit_c(document: Document, name: str) -> str:
    """A C file that runs the document's steps on the driver it is linked with; ``name`` is the test's.

    Raises BadInputError, one line, for a run that a C file cannot show.
    """
    if isinstance(document, NetTrace):
        raise BadInputError(
            "a run of a whole network driver needs a device with registers: no C file is made of it; "
            "--emit pytest does"
        )
    if not isinstance(document, TraceDocument):
        raise BadInputError("a run of the step-wise model has no operations: no test can be made of it")
    _refuse(document)
    parts = [files(_HERE).joinpath(part).read_text(encoding="utf-8").rstrip() for part in PARTS]
    pieces = [
        _head(document, name),
        _INCLUDES,
        _setting(document),
        _TYPES,
        _steps(document),
        _results(document),
    ]
    return "\n\n".join([*pieces, *parts]) + "\n"


def _refuse(document: TraceDocument) -> None:
    """Raises BadInputError unless a C file can show what the document shows."""
    instead = "use ringproof replay --driver, or --emit pytest"
    hostile = document.config.hostile or any(op.code == Code.MISCHIEF for op in document.operations)
    if hostile:
        raise BadInputError(f"its device breaks the rules, the one in a C file does not: {instead}")
    if document.config.fail_allocation:
        raise BadInputError(f"an allocation fails in create, which no C file does: {instead}")
    check = document.extra.get("check")
    if isinstance(check, str) and check in UNSEEN:
        raise BadInputError(f"no C file shows {check}: {UNSEEN[check]}; {instead}")
    if _BYTES.match(document.violated):
        raise BadInputError(f"a C file does not compare the bytes of the ring: {instead}")
    if not 1 <= document.config.queue_size <= LARGEST_QUEUE:
        raise BadInputError(f"no queue has {document.config.queue_size} descriptors: {instead}")


def _head(document: TraceDocument, name: str) -> str:
    return c_comment(
        [
            *story(document),
            "It needs ringproof_driver.h (`ringproof explain abi` prints where it is, DIR below) and your "
            "driver behind that interface: cc -std=c11 -Wall -Wextra -I DIR "
            f"{name_of_test(name)}.c driver.c -o t && ./t",
            "Exit status: 0 if the driver does as it should; 1 if not, and one line says at which step; 2 "
            "if it cannot be asked, and one line says why. ./t -v tells each step before it is done, which "
            "shows where a driver crashes or hangs.",
        ]
    )


def _setting(document: TraceDocument) -> str:
    config = document.config
    names = [name for name, bit in FEATURE_NAMES.items() if config.features & bit]
    features = " | ".join(["UINT64_C(0)", *(f"RP_F_{name}" for name in names)])
    about_flags = document.extra.get("check") == "avail-flags-0-with-event-idx"
    judges = "true" if about_flags else "((driver->traits & RP_TRAIT_LINUX_3_11) == 0)"
    about_destroy = number_of_step(document) == len(document.operations) > 0
    about_create = document.extra.get("check") == "create-succeeds"
    return "\n".join(
        [
            f"#define QUEUE_SIZE   {config.queue_size}u",
            f"#define FEATURES     ({features})",
            f"#define LAYOUT       RP_LAYOUT_{config.layout.upper()}",
            f"#define HAS_CALLBACK {int(config.has_callback)}",
            f"#define QUEUE_INDEX  {config.queue_index}u",
            f"#define ABOUT_CREATE {int(about_create)}",
            f"#define ABOUT_DESTROY {int(about_destroy)}",
            f"static const size_t STEPS = {len(document.operations)};",
            "/* Linux 3.11 writes avail.flags though EVENT_IDX was negotiated. */",
            f"#define JUDGES_AVAIL_FLAGS {judges}",
        ]
    )


def _steps(document: TraceDocument) -> str:
    rows = [_step(op) for op in document.operations] or ['    {.words = ""},']
    return "\n".join(["static const struct step steps[] = {", *rows, "};"])


def _step(op: Op) -> str:
    fields: dict[str, int] = {}
    match op.code:
        case Code.ADD:
            fields = {"out": op.a, "in": op.in_, "seed": op.b}
            if op.flags & OpFlag.FAIL_ALLOC:
                fields |= {"fail_allocation": 1, "which": op.c}
        case Code.READ:
            fields = {"count": op.a}
        case Code.COMPLETE:
            fields = {"pick": op.a, "stride": op.b, "count": op.c}
        case Code.SET_FLAGS | Code.SET_AVAIL_EVENT:
            fields = {"value": op.a & 0xFFFF}
        case Code.ROUNDS:
            fields = {"count": op.a, "seed": op.b}
        case _:
            pass
    for flag, field, code in (
        (OpFlag.NULL_TOKEN, "null_token", Code.ADD),
        (OpFlag.TOTAL_LENGTH, "total_length", Code.COMPLETE),
        (OpFlag.RELATIVE, "relative", Code.SET_AVAIL_EVENT),
        (OpFlag.NO_KICK, "no_kick", Code.ROUNDS),
    ):
        if op.flags & flag and op.code == code:
            fields[field] = 1
    said = "".join(f", .{field} = {_number(value)}" for field, value in fields.items() if value)
    return f"    {{{Code(op.code).name}, .words = {c_string(in_words(op))}{said}}},"


def _number(value: int) -> str:
    return f"{value}u" if value > 1 else f"{value}"


def _results(document: TraceDocument) -> str:
    """The reference's numbers in both profiles, for drivers that declare one; none if bytes don't count."""
    tables = {name: _reference(document, profile) for name, profile in _PROFILES.items()}
    lines = [f"/* What the reference gives: {', '.join(_COLUMNS[:5])},", f" * {', '.join(_COLUMNS[5:])}. */"]
    kept: dict[str, str] = {}
    for name, results in tables.items():
        if results is None:
            kept[name] = "((const struct result *)NULL)"
            continue
        twin = next((other for other in kept if tables[other] == results), None)
        if twin is not None:
            kept[name] = kept[twin]
            continue
        kept[name] = f"as_in_{name.lower()}"
        lines += [f"static const struct result {kept[name]}[] = {{", *map(_row, results), "};"]
    if all(results is None for results in tables.values()):
        lines = ["/* A driver's bytes do not count here, only what they mean. */"]
    return "\n".join([*lines, *(f"#define {name} {value}" for name, value in kept.items())])


def _reference(document: TraceDocument, profile: str) -> list[Result] | None:
    """What the reference gives in this profile; None where it is not to be compared, or cannot follow."""
    config = replace(document.config, profile=profile)
    if by_meaning(document) or not config.exact or not document.operations:
        return None
    runner = ReferenceRunner(config)
    try:
        return [runner.step(op) for op in document.operations]
    except (Violation, OperationError):
        return None


def _row(result: Result) -> str:
    numbers = [str(getattr(result, name)) for name in _COLUMNS]
    return (
        f"    {{{', '.join(f'{number}u' if int(number) > 0x7FFF_FFFF else number for number in numbers)}}},"
    )
