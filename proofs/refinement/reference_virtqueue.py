"""What is claimed of the reference's virtqueue: each operation takes the step-wise model's steps.

From every state that the model's invariants allow, with either profile and with or without INDIRECT_DESC and
EVENT_IDX: state and result are the model's after. The device completes what it holds; of a device that does
not, it is shown that an id that names no chain in flight breaks the queue and changes nothing else. Tables
are numbered as in the model of one size, one more than there can be, and code can't compute with their
addresses. Memory for them may be had or not; the allocator itself is not looked at.

What is trusted is that Python's integers, lists and attributes do what they are taken to do here, and Z3.
Interrupts come between two operations, or while the device has its turn; weak memory is not looked at.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..discharge import ObligationResult
from .reference_object import source, sources
from .reference_operations import Call, calls
from .reference_proof import prove, title, witness
from .reference_replay import construction
from .refinement import Code, Part, Refinement

SIZES = (1, 2, 4, 8)

_SPLITS = 8
"""How many calls of add one part makes: the parts of a size go to several processes."""


@dataclass(frozen=True)
class _Calls:
    """The calls of one part, on a queue of one size."""

    queue_size: int
    calls: tuple[Call, ...]

    def __call__(self, code: Code) -> Sequence[ObligationResult]:
        sources(code.reference)
        results: list[ObligationResult] = []
        for call in self.calls:
            found = prove(call, self.queue_size, code.reference)
            shown = (self.queue_size,) if witness(call, self.queue_size) else ()
            if not shown:
                label = f"{title(call)}: some state allows it"
                found.append(ObligationResult(label, "unknown", 0.0, 0, "no state was found"))
            results += [replace(each, satisfiable_at=shown) for each in found]
            if any(each.verdict == "refuted" for each in found):
                break
        return results


@dataclass(frozen=True)
class _Made:
    """The construction of a queue of one size: nothing in it is any value, so every case is run."""

    queue_size: int

    def __call__(self, code: Code) -> Sequence[ObligationResult]:
        results = []
        names = ("mended", "event", "indirect", "callback")
        for layout, flags in itertools.product(
            ("modern", "legacy"), itertools.product((False, True), repeat=len(names))
        ):
            given = dict(zip(names, flags, strict=True))
            label = ", ".join([layout, *(name for name, flag in given.items() if flag)])
            try:
                wrong = construction(code.reference, self.queue_size, layout, *flags)
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
            result = ObligationResult(f"made ({label})", "proved", 0.0, 0, satisfiable_at=(self.queue_size,))
            if wrong is not None:
                shown = {
                    "operation": "construction",
                    "queue_size": self.queue_size,
                    "arguments": {"layout": layout, **given},
                    "wrong": [wrong],
                }
                result = replace(result, verdict="refuted", counterexample=shown)
            results.append(result)
        return results


def _key(code: Code) -> str:
    """Return the source of the modules that are followed, and of the allocator that construction runs on."""
    return sources(code.reference) + source(code.reference, "arena")


def _parts(chosen: Callable[[Call], bool]) -> Iterator[Part]:
    for queue_size in SIZES:
        found = [call for call in calls(queue_size) if chosen(call)]
        # Dear and cheap calls are dealt out in turn, so that all parts take about as long.
        count = -(-len(found) // _SPLITS)
        for nth in range(count):
            label = f"N = {queue_size}" + (f", {nth + 1} of {count}" if count > 1 else "")
            yield Part(label, _key, _Calls(queue_size, tuple(found[nth::count])))


def _refinement(
    name: str, words: str, clause: str, operations: tuple[str, ...], broken_by: tuple[str, ...]
) -> Refinement:
    return Refinement(
        name=f"reference-{name}",
        title=f"{words} as the model",
        statement=(
            f"From every state that the invariants allow, {clause} of the Python reference ends in the state "
            "and with the result that the step-wise model's steps lead to; no index is out of range, no "
            "number too large for its word, and memory is the model's whenever the device may look."
        ),
        clause=clause,
        code="reference",
        sizes=SIZES,
        parts=tuple(_parts(lambda call: call.name in operations)),
        broken_by=broken_by,
    )


_CONSTRUCTION = Refinement(
    name="reference-construction",
    title="A queue is made as the model",
    statement=(
        "vring_new_virtqueue of the Python reference makes the model's first state, whatever memory held, in "
        "either layout, for either profile and any choice of features, and asks for no interrupts without a "
        "callback."
    ),
    clause="vring_new_virtqueue",
    code="reference",
    sizes=SIZES,
    parts=tuple(Part(f"N = {queue_size}", _key, _Made(queue_size)) for queue_size in SIZES),
    broken_by=(),
)

REFERENCE_REFINEMENTS: tuple[Refinement, ...] = (
    _CONSTRUCTION,
    _refinement(
        "add",
        "Buffers are added",
        "virtqueue_add",
        ("add", "add without a token"),
        ("A1", "A13", "A5", "B1", "B10", "B11", "D14", "X4", "X6"),
    ),
    _refinement(
        "kick-prepare",
        "Whether to kick is decided",
        "virtqueue_kick_prepare",
        ("kick_prepare",),
        ("D1", "X1", "X9"),
    ),
    _refinement("notify", "The device is notified", "virtqueue_notify", ("notify",), ()),
    _refinement("kick", "The device is kicked", "virtqueue_kick", ("kick",), ("D1", "X1", "X9")),
    _refinement(
        "get-buf",
        "Completed buffers are taken back",
        "virtqueue_get_buf",
        ("get_buf", "get_buf of any id", "get_buf of a broken queue"),
        ("A2", "A6", "A7", "B13", "B3", "B5", "B6", "D3", "X10", "X2", "X3", "X5", "X7"),
    ),
    _refinement(
        "detach-unused-buf",
        "After a reset buffers are taken back",
        "virtqueue_detach_unused_buf",
        ("detach_unused_buf",),
        ("A2", "A6", "X2", "X3"),
    ),
    _refinement("disable-cb", "Callbacks are switched off", "virtqueue_disable_cb", ("disable_cb",), ()),
    _refinement(
        "enable-cb-prepare",
        "Callbacks are asked for",
        "virtqueue_enable_cb_prepare",
        ("enable_cb_prepare",),
        (),
    ),
    _refinement("poll", "The used index is polled", "virtqueue_poll", ("poll",), ()),
    _refinement("enable-cb", "Callbacks are switched on", "virtqueue_enable_cb", ("enable_cb",), ()),
    _refinement(
        "enable-cb-delayed",
        "Callbacks are switched on for later",
        "virtqueue_enable_cb_delayed",
        ("enable_cb_delayed",),
        (),
    ),
    _refinement("interrupt", "An interrupt is taken", "vring_interrupt", ("interrupt",), ()),
)
"""Every operation of the reference's virtqueue."""
