"""The shortest run of the whole driver that shows a finding about its rings: all are tried, shorter first.

Runs of a small alphabet are played on the reference: frames of the fewest segments, of as many as the queue
has descriptors and of one more, given back at their kick or not; the device reads, completes, interrupts, and
asks for silence. An operation that has no effect is not tried, for a shorter run does the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..impl.harness.frames import Frame
from ..impl.harness.net_operations import (
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    MAX_SKB_FRAGS,
    NetCode,
    NetConfig,
    NetResult,
    Op,
)
from ..validation.clauses import CLAUSES
from .recording import notifies
from .run import LINUX, MENDED, Observed, Run, observe, plain_frame

_TRANSMITQ = 1
_SIZES = (2, 4, 8, 16, 32)
_LONGEST = 7
_MOST_SEGMENTS = 2 + MAX_SKB_FRAGS
_SILENCE = Op(NetCode.NET_SET_FLAGS, in_=_TRANSMITQ, a=1)
_ORIGIN = "the shortest run of the whole driver, and of those the one with the smallest queue"


@dataclass(frozen=True, slots=True)
class RingFinding:
    """A finding about the rings: what the device may offer, and the clauses it may break, each with why.

    ``full`` asks for a breach by a frame of which nothing was published; ``quick`` tries devices, too, that
    give a chain back before its kick returns.
    """

    features: tuple[int, ...]
    clauses: dict[str, str]
    full: bool = False
    quick: bool = True


RING_FINDINGS = {
    "flags-stay-zero-linux-3.11": RingFinding(
        (F_EVENT_IDX,),
        {"2.7.7.1c": "virtqueue_disable_cb writes NO_INTERRUPT there though EVENT_IDX was accepted"},
    ),
    "chain-fits-queue-linux-3.11": RingFinding(
        (F_INDIRECT_DESC,),
        {"2.7.5.3.1c": "for an indirect table one free descriptor is enough, however many its own are"},
        quick=False,  # the device reads the chain in a step of its own, which shows it
    ),
    "full-ring-kick-linux-3.11": RingFinding(
        (0,),  # with EVENT_IDX, against 2.7.10.1g, it takes longer to get there
        {"2.7.10.1c": "used.flags is 1, but virtqueue_add, without room, notified and published nothing"},
        full=True,
    ),
}
"""By theorem: the findings whose run is searched here."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A run that shows a finding in its last operation, the clause broken, and a sentence on how."""

    run: Run
    clause: str
    said: str


@dataclass(slots=True)
class _Device:
    """A device, and the runs on it that are to be made longer."""

    config: NetConfig
    runs: list[Run]


def shortest(name: str) -> Shown | int:
    """The shortest run that shows a finding of RING_FINDINGS; if there is none, how many were tried.

    Linux 3.11 goes wrong in its last operation; virtio-1.x, doing the same, breaks none of the clauses.
    Raises KeyError for another name.
    """
    finding = RING_FINDINGS[name]
    devices = []
    for size in _SIZES:
        for features in finding.features:
            config = NetConfig(queue_size=size, features=features, profile=LINUX)
            devices.append(_Device(config, [Run(config, (), (Op(NetCode.PROBE),), _ORIGIN)]))
    tried = 0
    for _ in range(_LONGEST - 1):
        for device in devices:
            shorter, device.runs = device.runs, []
            for run in (run for each in shorter for run in _longer(each, quick=finding.quick)):
                tried += 1
                seen = observe(run.config, run)
                if not _acted(run, seen):
                    continue
                shown = _shown(finding, run, seen)
                if shown is not None:
                    return shown
                device.runs.append(run)
    return tried


def _longer(run: Run, *, quick: bool) -> Iterator[Run]:
    """The run with one operation more."""
    size, frames = run.config.queue_size, run.frames

    def then(op: Op, frames: tuple[Frame, ...] = frames) -> Run:
        return replace(run, frames=frames, operations=(*run.operations, op))

    for segments in sorted({min(count, _MOST_SEGMENTS) for count in (2, size, size + 1)}):
        for given_back in (0, 1) if quick else (0,):
            op = Op(NetCode.XMIT, a=len(frames), b=given_back)
            yield then(op, (*frames, plain_frame(segments)))
    yield then(Op(NetCode.NET_READ, in_=_TRANSMITQ))
    yield then(Op(NetCode.NET_COMPLETE, in_=_TRANSMITQ, c=1))
    yield then(Op(NetCode.INTERRUPT))
    # With EVENT_IDX, used.flags stays 0.
    if not run.config.features & F_EVENT_IDX and _SILENCE not in run.operations:
        yield then(_SILENCE)


def _acted(run: Run, seen: Observed) -> bool:
    """Whether the last operation had an effect."""
    op, result = run.operations[-1], seen.results[-1]
    if len(seen.results) < len(run.operations) or result is None:
        return False
    if op.code == NetCode.XMIT:
        return result.status == 0 and (not op.b or _notified(result))
    return result.status > 0 or op.code == NetCode.NET_SET_FLAGS


def _notified(result: NetResult) -> bool:
    return any(notifies(access.region, access.offset, access.write) for access in result.accesses)


def _shown(finding: RingFinding, run: Run, seen: Observed) -> Shown | None:
    broken = [clause for clause in finding.clauses if clause in seen.wrong]
    if not broken or (finding.full and _published(seen)):
        return None
    sound = observe(replace(run.config, profile=MENDED), run)
    if any(clause in sound.wrong for clause in finding.clauses):
        return None
    clause = CLAUSES[broken[0]]
    said = f"{seen.wrong[clause.id][0]}: {finding.clauses[clause.id]} ({clause.id}, a {clause.level})"
    return Shown(run, clause.id, said)


def _published(seen: Observed) -> bool:
    """Whether the last operation, which sent a frame, published a chain."""
    *before, last = [result.avail_idx if result else 0 for result in seen.results]
    # Not every result has the ring's words; avail_idx is 0 in those, and else never goes back here.
    return last != max(before)
