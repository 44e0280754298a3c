"""Sending frames through drivers to a device that does its work promptly, many at a time.

The stack hands frames over in bursts and keeps back what is for a stopped queue; the device reads everything
published, sends it, completes all of it with one store of used_idx, and interrupts if it is asked to. With
EVENT_IDX it asks to be told of the next chain each time it has read all there were.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ..impl.device.device import Violation
from ..impl.harness.frames import Frame, OutOfRoom
from ..impl.harness.net_operations import (
    EBUSY,
    F_EVENT_IDX,
    Event,
    EventKind,
    NetCode,
    NetConfig,
    NetResult,
    Op,
    Statistics,
)
from ..impl.harness.operations import OpFlag
from .lockstep import Lockstep

BURST = 16
"""Frames handed over before the device's turn comes."""
BATCH = 256
"""Frames laid out in memory at once; of the first so many, memory is compared after each step."""
_EVERY_CHAIN = 0xFFFF


class ProbeRefused(Exception):  # noqa: N818 - what a driver says of a device
    """The driver cannot run the device: ``status`` is the error, below zero."""

    def __init__(self, status: int) -> None:
        super().__init__(f"probe failed: {status}")
        self.status = status


class SettingRefused(Exception):  # noqa: N818 - as above
    """The driver does not use as many pairs of queues as it was asked to: ``status`` is the error."""

    def __init__(self, pairs: int, status: int) -> None:
        super().__init__(f"set_pairs {pairs} failed: {status}")
        self.pairs = pairs
        self.status = status


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a frame: its number, and the chain that the device read; None if it was dropped."""

    number: int
    frame: Frame
    chain: bytes | None


@dataclass(slots=True)
class Totals:
    """Sums over a whole run. ``counted`` is what the driver's statistics say, its queues together."""

    frames: int = 0
    bytes: int = 0
    sent: int = 0
    dropped: int = 0
    held_back: int = 0
    """How many frames the stack kept back for a while because their queue was stopped."""
    kicks: int = 0
    interrupts: int = 0
    probes: int = 0
    accesses: int = 0
    freed_by_remove: int = 0
    counted: Statistics = field(default_factory=lambda: Statistics(0, 0, 0, 0, 0))


class Watcher:
    """Is told what a sender does; this one does not care."""

    def alone(self, number: int) -> bool:
        """Whether the frame of this number goes in a burst of its own."""
        return number < 0

    def coming(self) -> None:
        """A frame that goes alone comes next."""

    def ran(self, ops: Sequence[Op]) -> None:
        """Operations were run."""

    def loaded(self, first: int) -> None:
        """Other frames were laid out; the first of them has this number."""


@dataclass(slots=True)
class Sender:
    """Sends frames in lockstep; frames are numbered from 0 over all batches."""

    config: NetConfig
    lockstep: Lockstep
    pairs: int = 1
    """Pairs of queues to use."""
    watcher: Watcher = field(default_factory=Watcher)
    totals: Totals = field(default_factory=Totals)
    _first: int = 0
    _held: set[int] = field(default_factory=set)
    _stopped: set[int] = field(default_factory=set)
    _kept: set[int] = field(default_factory=set)
    _size: int = BURST
    _flight: dict[int, deque[int]] = field(default_factory=dict)

    def send(self, frames: Iterable[Frame]) -> Iterator[list[Fate]]:
        """Send frames, and yield what became of them, a batch at a time; then remove the driver.

        Raises Difference and Violation for drivers, ProbeRefused, SettingRefused, and what ``frames`` raises.
        """
        batches = self._batches(iter(frames))
        batch = next(batches, None)
        self._probe()
        while batch:
            yield self._send(batch)
            self._settle()
            batch = next(batches, None)
        self._remove()

    # -- batches -----------------------------------------------------------------------------------------

    def _batches(self, frames: Iterator[Frame]) -> Iterator[list[Frame]]:
        """As many frames at once as BATCH and memory allow, laid out."""
        waiting: list[Frame] = []
        while True:
            waiting += islice(frames, BATCH - len(waiting))
            if not waiting:
                return
            count = self._lay_out(waiting)
            batch, waiting = waiting[:count], waiting[count:]
            yield batch
            self._first += count

    def _lay_out(self, frames: list[Frame]) -> int:
        """Put as many frames into memory as fit; how many."""
        try:
            self._load(frames)
        except OutOfRoom as full:
            if not full.placed:
                raise
            self._load(frames[: full.placed])
            return full.placed
        return len(frames)

    def _load(self, frames: list[Frame]) -> None:
        self.lockstep.reference.frames(frames)
        if self.lockstep.driver is not None:
            self.lockstep.driver.frames(frames)
        self.lockstep.first_frame = self._first
        self.lockstep.whole = not self._first
        self.watcher.loaded(self._first)

    def _settle(self) -> None:
        """Have the driver give every frame back, so that others can take their places.

        Linux 3.11 frees a frame that was sent only when the next one comes: then it takes a removal.
        """
        if self._held:
            self._run([Op(NetCode.RAISE, a=1), Op(NetCode.INTERRUPT)])
        last = Op(NetCode.INTERRUPT)
        self.lockstep.compare_all(last, self._pairs_there())
        if self._held:
            self._remove()
            self._probe()

    # -- the driver's life -------------------------------------------------------------------------------

    def _pairs_there(self) -> int:
        return len(self._transmit_queues())

    def _transmit_queues(self) -> list[int]:
        return [2 * pair + 1 for pair in range(max(self.pairs, 1))]

    def _probe(self) -> None:
        (result,) = self._run([Op(NetCode.PROBE)])
        if result.status:
            raise ProbeRefused(result.status)
        self.totals.probes += 1
        if self.pairs > 1:
            (result,) = self._run([Op(NetCode.SET_PAIRS, a=self.pairs)])
            if result.status:
                raise SettingRefused(self.pairs, result.status)
        self._stopped.clear()

    def _remove(self) -> None:
        for pair in range(self._pairs_there()):
            counted = self.lockstep.reference.statistics(pair)
            self.totals.counted = Statistics(*map(sum, zip(self.totals.counted, counted, strict=True)))
        self.totals.freed_by_remove += len(self._held)
        self._run([Op(NetCode.REMOVE)], queues=())
        self._flight.clear()

    def _run(self, ops: Sequence[Op], queues: Sequence[int] = ()) -> list[NetResult]:
        results = self.lockstep.run(ops, queues)
        for result in results:
            self.totals.accesses += len(result.accesses)
            for event in result.events:
                self._note(event)
        self.watcher.ran(ops)
        return results

    def _note(self, event: Event) -> None:
        match event.kind:
            case EventKind.FREED:
                self._held.discard(event.value - 1)
            case EventKind.STOPPED:
                self._stopped.add(event.value)
            case EventKind.STARTED | EventKind.WOKEN:
                self._stopped.discard(event.value)

    # -- a batch -----------------------------------------------------------------------------------------

    def _send(self, batch: list[Frame]) -> list[Fate]:
        chains: dict[int, bytes | None] = {}
        waiting = list(range(len(batch)))
        self._kept.clear()
        while waiting:
            burst = self._burst(waiting)
            kept = self._hand_over(burst, batch, chains)
            waiting = kept + waiting[len(burst) :]
            if not self._serve(chains) and len(kept) == len(burst):
                raise Violation(
                    "queue-wakes",
                    f"transmit queues {sorted(self._stopped)} are stopped with nothing under way",
                )
        return [Fate(self._first + at, frame, chains[at]) for at, frame in enumerate(batch)]

    def _burst(self, waiting: list[int]) -> list[int]:
        """The frames to hand over next: those before one that goes alone, or that one."""
        for at, number in enumerate(waiting[: self._size]):
            if self.watcher.alone(self._first + number):
                if at:
                    return waiting[:at]
                self.watcher.coming()
                return waiting[:1]
        return waiting[: self._size]

    def _hand_over(self, burst: list[int], batch: list[Frame], chains: dict[int, bytes | None]) -> list[int]:
        """Hand frames over; returns those that a stopped queue has kept back."""
        queues = self._transmit_queues()
        ops = [Op(NetCode.XMIT, a=number) for number in burst]
        # Memory is compared after each run: with the first frames after each step.
        runs = [ops] if self._first else [[op] for op in ops]
        results = [result for run in runs for result in self._run(run, queues)]
        kept: list[int] = []
        for number, result in zip(burst, results, strict=True):
            if result.status == EBUSY:
                kept.append(number)
                continue
            self.totals.frames += 1
            self.totals.bytes += len(batch[number].data)
            self.totals.kicks += sum(access.write for access in result.accesses)
            if Event(EventKind.FREED, number + 1) in result.events:
                self.totals.dropped += 1
                chains[number] = None
            else:
                self.totals.sent += 1
                self._held.add(number)
                self._flight.setdefault(2 * result.pair + 1, deque()).append(number)
        self.totals.held_back += len(set(kept) - self._kept)
        self._kept.update(kept)
        # Where queues stop soon there is no point in coming with many frames again and again.
        self._size = min(BURST, 2 * (len(burst) - len(kept))) or 1
        return kept

    def _serve(self, chains: dict[int, bytes | None]) -> bool:
        """The device's turn: read all there is, complete it, and interrupt if that is wanted.

        Whether there was anything.
        """
        served = False
        for queue, flight in self._flight.items():
            if not flight:
                continue
            served = True
            ops = [Op(NetCode.NET_READ, in_=queue)]
            if self.config.offered & self.config.understood & F_EVENT_IDX:
                ops.append(Op(NetCode.NET_SET_AVAIL_EVENT, OpFlag.RELATIVE, queue))
            ops.append(Op(NetCode.NET_COMPLETE, in_=queue, c=_EVERY_CHAIN))
            results = self._run(ops, (queue,))
            self._take_chains(queue, flight, chains)
            if results[-1].length:
                self._run([Op(NetCode.INTERRUPT)], self._transmit_queues())
                self.totals.interrupts += 1
            pair = queue // 2
            if pair in self._stopped:
                raise Violation(
                    "queue-wakes",
                    f"transmit queue {pair} is stopped, and stays so: the device has used every chain of it"
                    + ("" if results[-1].length else ", for which no interrupt was asked"),
                )
        return served

    def _take_chains(self, queue: int, flight: deque[int], chains: dict[int, bytes | None]) -> None:
        captures = self.lockstep.reference.captures
        for capture in captures:
            if capture.queue == queue and flight:
                chains[flight.popleft()] = capture.data
        if flight:
            raise Violation(
                "device-reads-outstanding", f"{len(flight)} chains of queue {queue} did not get to the device"
            )
        self.lockstep.forget()
