"""A run of a whole driver that is tried, and what an observer finds wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from ..impl.harness.frames import Fragment, Frame, Gso, Packet
from ..impl.harness.net_operations import NetConfig, NetResult, Op
from ..impl.harness.net_runner import NetRunner, Violation
from ..validation.observer import Observer

LINUX, MENDED = "linux-3.11", "virtio-1.x"
HEAD = bytes(range(1, 61))
"""The linear part of a frame that asks for nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """A device, frames and operations, and where they come from, in words."""

    config: NetConfig
    frames: tuple[Frame, ...]
    operations: tuple[Op, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of a run: a result for each operation, None for one that could not be asked.

    ``wrong`` leads from check or clause to a sentence and the number of the operation, from 0. After a
    violation there are no further results.
    """

    results: Sequence[NetResult | None]
    wrong: dict[str, tuple[str, int]]


def plain_frame(segments: int, *, unfit: bool = False) -> Frame:
    """A frame of so many segments, its header's included; at least 2. No header can ask for an unfit one."""
    fragments = tuple(Fragment(0, bytes([number])) for number in range(segments - 2))
    return Frame(Packet(HEAD, fragments), gso=Gso.UNKNOWN if unfit else Gso.NONE)


def observe(config: NetConfig, run: Run, reference: ModuleType | None = None) -> Observed:
    """Play a run on the reference, or a copy of it with a defect, under an observer."""
    runner = NetRunner(config, run.frames, reference=reference)
    watch = Observer(config, run.frames)
    results: list[NetResult | None] = []
    found: dict[str, tuple[str, int]] = {}
    for step, op in enumerate(run.operations):
        if not watch.playable(op):
            results.append(None)
            continue
        before = len(runner.captures)
        try:
            result = runner.step(op)
        except Violation as violation:
            found.setdefault(violation.property, (violation.detail, step))
            break
        results.append(result)
        watch.see(
            op, result, list(zip(runner.captures[before:], runner.device.segments[before:], strict=True))
        )
        if runner.info is not None:
            for pair in range(len(runner.info.send_queues)):
                watch.count(pair, runner.statistics(pair))
        for clause, breach in watch.docket.breaches.items():
            found.setdefault(clause, (breach[1], step))
        for fault in watch.faults:
            found.setdefault(fault.check, (fault.detail, step))
    return Observed(results, found)
