"""Two drivers asked the same, and held to the same: results, accesses, events, memory, statistics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..impl.device.network import NetDevice
from ..impl.harness.frames import CONTROL_BYTES, FRAME_ADDRESS, Frame, PlacedFrame
from ..impl.harness.net_operations import (
    Access,
    Capture,
    Event,
    EventKind,
    NetCode,
    NetResult,
    Op,
    Statistics,
)
from ..impl.harness.net_runner import OperationError
from .registers import register_name

_WORDS = (
    "status", "length", "pair", "crc", "avail_idx", "used_idx", "avail_flags", "used_event", "num_free",
)  # fmt: skip
_PARTS = ("descriptor table", "available ring", "used ring")


class Side(Protocol):
    """A driver and its device: what NetRunner and NetWorker have in common."""

    placed: list[PlacedFrame]

    @property
    def device(self) -> NetDevice:
        """The device's side of all queues."""

    def run(self, ops: Sequence[Op]) -> list[NetResult]:
        """Run operations in order."""

    def statistics(self, pair: int) -> Statistics:
        """What the driver counts for a transmit queue."""

    @property
    def captures(self) -> list[Capture]:
        """The chains read from transmit queues; may be emptied, as the next two."""

    @property
    def accesses(self) -> list[Access]:
        """Every access to a register."""

    @property
    def events(self) -> list[Event]:
        """Everything the driver told the stack."""

    def ring_bytes(self, queue: int) -> tuple[memoryview, memoryview, memoryview]:
        """Descriptor table, available ring and used ring of a virtqueue."""

    def window(self) -> memoryview:
        """The window in which frames and their headers lie."""

    def arena_bytes(self) -> memoryview:
        """What the driver's allocator ever handed out."""

    def frames(self, frames: Sequence[Frame]) -> None:
        """Lay out other frames."""


class Difference(Exception):  # noqa: N818 - a verdict about a driver, not an error of this program
    """The two sides part: ``operation`` is the number of the operation, from 0, and ``op`` what it was.

    ``sentence`` says what differs, the driver's first.
    """

    def __init__(self, operation: int, op: Op, sentence: str, first_frame: int = 0) -> None:
        super().__init__(f"{describe(op, first_frame)}: {sentence}")
        self.operation = operation
        self.op = op
        self.sentence = sentence


@dataclass(slots=True)
class Checks:
    """How much was compared."""

    steps: int = 0
    accesses: int = 0
    memory_bytes: int = 0
    chains: int = 0


def describe(op: Op, first_frame: int = 0) -> str:
    """An operation in words: "XMIT of frame 3", "NET_READ of queue 1"; frame 0 is called ``first_frame``."""
    code = NetCode(op.code)
    if code is NetCode.XMIT:
        return f"XMIT of frame {op.a + first_frame}"
    if code in (NetCode.SET_PAIRS, NetCode.RAISE):
        return f"{code.name} {op.a}"
    return f"{code.name} of queue {op.in_}" if code >= NetCode.NET_READ else code.name


class Lockstep:
    """Runs operations on a reference, and on a driver if there is one, and compares what can be seen.

    ``stepping`` stands in for the reference's ``run``, such as a recorder's. Only so much is remembered of
    the past as the count of operations. ``first_frame`` is what frame 0 is called in messages.
    """

    def __init__(self, reference: Side, driver: Side | None) -> None:
        """Both have been given the same configuration and frames."""
        self.reference = reference
        self.driver = driver
        self.checks = Checks()
        self.operations = 0
        self.first_frame = 0
        self.whole = False
        """Whether all that the driver allocated is compared after every run, not the rings alone."""
        self.stepping: Callable[[Sequence[Op]], list[NetResult]] | None = None

    def run(self, ops: Sequence[Op], queues: Sequence[int] = ()) -> list[NetResult]:
        """Run operations; the memory of ``queues`` and the headers of frames sent are compared at the end.

        Raises Difference, and what the two sides raise.
        """
        results = (self.stepping or self.reference.run)(ops)
        if self.driver is not None:
            seen = self.driver.run(ops)
            self._compare_results(ops, results, seen)
            last = len(ops) - 1
            self._compare_captures(ops[last], last)
            self._compare_memory(ops, queues)
        self.operations += len(ops)
        return results

    def _differ(self, at: int, op: Op, sentence: str) -> Difference:
        return Difference(self.operations + at, op, sentence, self.first_frame)

    def _compare_results(self, ops: Sequence[Op], wanted: list[NetResult], seen: list[NetResult]) -> None:
        for at, (op, one, other) in enumerate(zip(ops, wanted, seen, strict=False)):
            self.checks.steps += 1
            self.checks.accesses += len(one.accesses)
            if one != other:
                raise self._differ(at, op, result_difference(one, other, self.first_frame))
        if len(seen) != len(wanted):
            raise self._differ(len(seen), ops[len(seen)], "the driver gave no result")

    def _compare_captures(self, op: Op, at: int) -> None:
        if self.driver is None:
            return
        wanted, seen = self.reference.captures, self.driver.captures
        self.checks.chains += len(wanted)
        for one, other in zip(wanted, seen, strict=False):
            if one != other:
                raise self._differ(at, op, _capture_difference(one, other))
        if len(wanted) != len(seen):
            raise self._differ(at, op, f"the device read {len(seen)} chains, of the reference {len(wanted)}")

    def _compare_memory(self, ops: Sequence[Op], queues: Sequence[int]) -> None:
        if self.driver is None:
            return
        last = len(ops) - 1
        for queue in queues:
            wanted, seen = _ring(self.reference, queue), _ring(self.driver, queue)
            if len(wanted) != len(seen):
                raise self._differ(
                    last, ops[last], f"queue {queue} is {_set_up(seen)}, of the reference {_set_up(wanted)}"
                )
            for part, one, other in zip(_PARTS, wanted, seen, strict=False):
                self._compare_bytes(ops[last], last, f"the {part} of queue {queue}", one, other)
        if self.whole:
            one, other = self.reference.arena_bytes(), self.driver.arena_bytes()
            self._compare_bytes(ops[last], last, "the driver's memory", one, other)
        one, other = self.reference.window(), self.driver.window()
        for at, op in enumerate(ops):
            if op.code == NetCode.XMIT:
                start = self.reference.placed[op.a].control - FRAME_ADDRESS
                here = slice(start, start + CONTROL_BYTES)
                self._compare_bytes(
                    op, at, f"the header of frame {op.a + self.first_frame}", one[here], other[here]
                )

    def forget(self) -> None:
        """Empty what both sides keep of the past: chains read, register accesses, events."""
        for side in (self.reference, self.driver):
            if side is not None:
                forget(side)

    def compare_all(self, op: Op, pairs: int) -> None:
        """Compare all memory that drivers can write to, and the statistics of ``pairs`` transmit queues.

        ``op`` is the last operation. Raises Difference.
        """
        if self.driver is None:
            return
        used = frames_bytes(self.reference.placed)
        one, other = self.reference.window()[:used], self.driver.window()[:used]
        self._compare_bytes(op, -1, "the memory of frames", one, other)
        one, other = self.reference.arena_bytes(), self.driver.arena_bytes()
        self._compare_bytes(op, -1, "the driver's memory", one, other)
        for pair in range(pairs):
            wanted, seen = self.reference.statistics(pair), self.driver.statistics(pair)
            for name, left, right in zip(Statistics._fields, seen, wanted, strict=True):
                if left != right:
                    raise self._differ(
                        -1, op, f"{name} of transmit queue {pair} is {left}, the reference has {right}"
                    )

    def _compare_bytes(self, op: Op, at: int, what: str, wanted: memoryview, seen: memoryview) -> None:
        one, other = bytes(wanted), bytes(seen)
        self.checks.memory_bytes += len(one)
        if one == other:
            return
        if len(one) != len(other):
            raise self._differ(at, op, f"{what} has {len(other)} bytes, the reference {len(one)}")
        where = next(i for i, (left, right) in enumerate(zip(one, other, strict=True)) if left != right)
        raise self._differ(
            at, op, f"byte {where} of {what} is {other[where]:#04x}, the reference has {one[where]:#04x}"
        )


def _ring(side: Side, queue: int) -> tuple[memoryview, ...]:
    """The parts of a ring; none of one that is not set up."""
    try:
        return side.ring_bytes(queue)
    except OperationError:
        return ()


def _set_up(ring: tuple[memoryview, ...]) -> str:
    return "set up" if ring else "not set up"


def forget(side: Side) -> None:
    """Empty what a side keeps of the past: chains read, register accesses, events."""
    for kept in (side.captures, side.device.segments, side.accesses, side.events):
        kept.clear()


def frames_bytes(placed: Sequence[PlacedFrame]) -> int:
    """How many bytes from the window's start on hold these frames, the last one's margin left out."""
    return max((_end(each) for each in placed), default=FRAME_ADDRESS) - FRAME_ADDRESS


def _end(placed: PlacedFrame) -> int:
    """An address behind everything of a frame but its margins."""
    end = placed.control + CONTROL_BYTES
    waiting = [placed.packet]
    while waiting:
        packet = waiting.pop()
        end = max(end, packet.head + packet.head_length)
        for fragment in packet.fragments:
            end = max(end, fragment.page + fragment.offset + fragment.length)
        waiting += packet.packets
    return end


def result_difference(wanted: NetResult, seen: NetResult, first_frame: int = 0) -> str:
    """In what two results of one operation differ, the first such thing: the driver's, then the reference's.

    ``first_frame`` is what the frame with token 1 is called.
    """
    for at in range(max(len(wanted.accesses), len(seen.accesses))):
        one, other = wanted.accesses[at : at + 1], seen.accesses[at : at + 1]
        if one != other:
            return f"access {at + 1} is {_access(other)}, of the reference {_access(one)}"
    for at in range(max(len(wanted.events), len(seen.events))):
        left, right = wanted.events[at : at + 1], seen.events[at : at + 1]
        if left != right:
            said = _event(right, first_frame), _event(left, first_frame)
            return f"event {at + 1} is {said[0]}, of the reference {said[1]}"
    for name in _WORDS:
        first, second = getattr(wanted, name), getattr(seen, name)
        if first != second:
            return f"{name} is {second}, the reference has {first}"
    return "nothing differs"


def _access(accesses: Sequence[Access]) -> str:
    if not accesses:
        return "none"
    access = accesses[0]
    name = register_name(access.region, access.offset)
    verb = "a write of" if access.write else "a read of"
    return f"{verb} {name} ({8 * access.width} bits, {access.value:#x})"


def _event(events: Sequence[tuple[int, int]], first_frame: int) -> str:
    if not events:
        return "none"
    kind, value = events[0]
    if kind in (EventKind.FREED, EventKind.ORPHANED):
        return f"{EventKind(kind).name} of frame {value - 1 + first_frame}"
    return f"{EventKind(kind).name} of transmit queue {value}"


def _capture_difference(wanted: Capture, seen: Capture) -> str:
    if (wanted.queue, wanted.head) != (seen.queue, seen.head):
        return (
            f"the device read head {seen.head} of queue {seen.queue}, "
            f"of the reference {wanted.head} of {wanted.queue}"
        )
    if len(wanted.data) != len(seen.data):
        return (
            f"the chain at head {seen.head} has {len(seen.data)} bytes, of the reference {len(wanted.data)}"
        )
    where = next(
        i for i, (left, right) in enumerate(zip(wanted.data, seen.data, strict=True)) if left != right
    )
    return (
        f"byte {where} of the chain at head {seen.head} is {seen.data[where]:#04x}, "
        f"of the reference {wanted.data[where]:#04x}"
    )
