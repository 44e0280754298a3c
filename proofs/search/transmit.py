"""Explicit search of a transmit queue's runs: the shortest that breaks a promise, step by step.

It runs the model that is proved, on numbers (``model.term``). Besides the model's state it keeps the length
of each chain in flight, so a run found is exact: what the proofs leave open of lengths is known here. Chains
come back in the order in which they were added.

``Pace.OPERATIONS`` explores what a harness plays most easily: start_xmit and the handler run without
interruption. With ``Pace.AT_KICK`` the device may also complete, and interrupt, before the write to the
notify register returns. ``Pace.ANY`` explores every interleaving, but for a device that completes a third
chain before it tests whether to interrupt.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ...model.transmit import Choice, Frame, Handler, Place, State, Transmit
from ..transmit_claims import is_stuck

Operation = tuple[str, dict[str, int]]
"""An operation on a network driver: its name, and its arguments by name."""

FRAME_SIZE = 60


class Pace(Enum):
    """Who may act between two steps of another."""

    OPERATIONS = "operations"
    AT_KICK = "at kick"
    ANY = "any"


@dataclass(frozen=True)
class Taken:
    """One step of a run: its name, the state after it, and the segments of the frame it sent, if any."""

    name: str
    after: State
    segments: int = 0
    unfit: bool = False


@dataclass(frozen=True)
class Run:
    """A run that breaks a promise, from the queue as probe leaves it."""

    queue_size: int
    profile: str
    event_idx: bool
    promise: str
    sentence: str
    steps: tuple[Taken, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The steps by name."""
        return tuple(step.name for step in self.steps)


@dataclass(frozen=True)
class Clean:
    """No run breaks a promise, of those looked at: all of them, unless ``complete`` is false."""

    states: int
    complete: bool
    seconds: float
    taken: frozenset[str]


@dataclass(frozen=True)
class Promise:
    """What a run must not break: a test of the state before a step, the step and the state after."""

    theorem: str
    sentence: str
    holds: Callable[[Transmit, State, Taken], bool]


def _fits(model: Transmit, s: State, step: Taken) -> bool:
    del model, s
    return step.name != "drop" or step.unfit


def _awake(model: Transmit, s: State, step: Taken) -> bool:
    del s
    return not is_stuck(model, step.after)


def _once(model: Transmit, s: State, step: Taken) -> bool:
    del model, s
    return bool(step.after.times_freed <= 1)


def _kept(model: Transmit, s: State, step: Taken) -> bool:
    del model, s
    return not (step.after.frame == Frame.HANDED and step.after.at == Place.KICK)


def _counted(model: Transmit, s: State, step: Taken) -> bool:
    del model, s
    t = step.after
    sent = t.tx_packets == t.last_used and t.tx_bytes == t.sent_bytes
    return bool(sent and t.tx_dropped == t.dropped == t.tx_fifo_errors)


PROMISES = {
    promise.theorem: promise
    for promise in (
        Promise("frame-fits", "a frame is dropped for want of room though the queue was not stopped", _fits),
        Promise(
            "no-lost-wake-up",
            "the queue is stopped, nothing is in flight and no interrupt is to come",
            _awake,
        ),
        Promise("frame-freed-once", "a frame was freed twice", _once),
        Promise("no-frame-lost", "a frame was refused, and neither published nor freed", _kept),
        Promise("statistics-exact", "a counter differs from what it counts", _counted),
    )
}
"""The theorems as tests of one step, by theorem."""


_HERE: dict[int, tuple[str, ...]] = {
    Place.IDLE: ("begin", "remove"),
    Place.RECLAIM: ("get", "got_all"),
    Place.REARM: ("rearm",),
    Place.XMIT: ("xmit", "drop"),
    Place.KICK: ("kick",),
    Place.ROOM: ("test_room",),
    Place.WAKE: (),
    Place.ENABLE: ("enable",),
    Place.DELAY: ("delay",),
    Place.LOOK: ("look",),
    Place.RECLAIM_AGAIN: ("get", "got_all"),
    Place.REARM_AGAIN: ("rearm",),
    Place.RESTART: ("restart",),
    Place.DISABLE: ("disable",),
    Place.REMOVED: ("detach",),
}
"""The steps worth trying at a place; guards decide."""


@dataclass(frozen=True)
class _Node:
    state: State
    chains: tuple[int, ...]  # lengths of the chains in flight, oldest first


class Explorer:
    """All runs of one model, breadth first.

    ``pieces`` are the data segments that a frame may have; ``quiet`` leaves out interrupts without news,
    ``unfit`` allows frames that xmit_skb cannot send.
    """

    def __init__(
        self,
        model: Transmit,
        *,
        pieces: Sequence[int],
        pace: Pace = Pace.ANY,
        quiet: bool = False,
        unfit: bool = False,
    ) -> None:
        self.model, self.pieces, self.pace, self.quiet, self.unfit = model, tuple(pieces), pace, quiet, unfit

    def search(self, promises: Sequence[Promise], most: int = 400_000) -> Run | Clean:
        """Return the shortest run that breaks one of the promises, or that there is none.

        After ``most`` states the search ends, and what it returns is not complete.
        """
        began = time.monotonic()
        root = _Node(self.model.initial(), ())
        queue = deque([root])
        came: dict[Any, tuple[_Node, Taken] | None] = {_key(root): None}
        taken: set[str] = set()
        while queue:
            node = queue.popleft()
            for step, after in self._successors(node):
                taken.add(step.name)
                for promise in promises:
                    if not promise.holds(self.model, node.state, step):
                        return self._run(promise, [*_path(came, node), step])
                key = _key(after)
                if key not in came:
                    came[key] = node, step
                    queue.append(after)
            if len(came) > most:
                return Clean(len(came), False, time.monotonic() - began, frozenset(taken))
        return Clean(len(came), True, time.monotonic() - began, frozenset(taken))

    def _run(self, promise: Promise, steps: list[Taken]) -> Run:
        model = self.model
        profile = "linux-3.11" if model.linux else "virtio-1.x"
        return Run(
            model.queue_size, profile, model.event_idx, promise.theorem, promise.sentence, tuple(steps)
        )

    def _successors(self, node: _Node) -> Iterator[tuple[Taken, _Node]]:
        s = node.state
        for name in self._names(s):
            for choice in self._choices(name, node):
                step = self.model.take(name, s, choice)
                if step.guard is not True and not bool(step.guard):
                    continue
                chains, segments = node.chains, 0
                if name in ("get", "detach"):
                    chains = chains[1:]
                if name in ("xmit", "drop"):
                    segments = self.model.segments(choice)
                if name == "xmit":
                    chains = (*chains, self.model.taken(choice))
                yield Taken(name, step.after, segments, choice.unfit), _Node(step.after, chains)

    def _names(self, s: State) -> Sequence[str]:
        """Return the steps that the pace lets be tried."""
        names = [
            name
            for name in (*_HERE[s.at], *self.model.interrupt_handler, *self.model.device)
            # A device that never tested again would make the state grow without bound.
            if not (name == "complete" and s.used - s.tested >= 2)
            and not (name == "interrupt_without_news" and (self.quiet or s.interrupt))
        ]
        if self.pace is Pace.ANY:
            return names
        if s.tested < s.used and s.at != Place.REMOVED:
            return ("test",)
        device = ("complete", "test")
        if s.at == Place.ROOM and self.pace is Pace.AT_KICK:
            return [name for name in names if name == "test_room" or name in device]
        if s.handler != Handler.NONE:
            return [name for name in self.model.interrupt_handler if name != "answer"]
        if s.at not in (Place.IDLE, Place.REMOVED):
            return [name for name in names if name in self.model.start_xmit or name in ("wake",)]
        return names

    def _choices(self, name: str, node: _Node) -> Iterator[Choice]:
        plain = Choice(mine=False, pieces=0, unfit=False, indirect=False, length=0, size=FRAME_SIZE)
        if name == "begin":
            yield plain
            yield replace(plain, mine=True)
        elif name in ("get", "detach") and node.chains:
            yield from (replace(plain, length=node.chains[0], mine=mine) for mine in (False, True))
        elif name == "xmit":
            yield from (replace(plain, pieces=pieces) for pieces in self.pieces)
        elif name == "drop":
            yield from (replace(plain, pieces=pieces) for pieces in self.pieces)
            if self.unfit:
                yield replace(plain, pieces=self.pieces[0], unfit=True)
        else:
            yield plain


def _key(node: _Node) -> Any:
    """Return what the future depends on: indices relative to last_used, counters to what they count."""
    s = node.state
    stale = s.used_event < min(s.tested, s.last_used)
    return (
        int(s.at), s.callback, int(s.handler), s.stopped, s.num_free, s.no_interrupt, s.interrupt,
        s.published - s.last_used, s.used - s.last_used, s.used - s.tested,
        None if stale else s.used_event - s.last_used, int(s.frame), s.times_freed,
        s.tx_packets - s.last_used, s.tx_bytes - s.sent_bytes, s.tx_dropped - s.dropped,
        s.tx_fifo_errors - s.dropped, node.chains,
    )  # fmt: skip


def _path(came: Mapping[Any, tuple[_Node, Taken] | None], node: _Node) -> list[Taken]:
    steps: list[Taken] = []
    entry = came[_key(node)]
    while entry is not None:
        node, step = entry
        steps.append(step)
        entry = came[_key(node)]
    return steps[::-1]


def operations(run: Run) -> list[Operation]:
    """Return a run that is not of ``Pace.ANY`` as operations on a network driver, after probe.

    ``xmit`` has the ``segments`` of the frame, header included, ``unfit`` 1 if it is one that xmit_skb cannot
    send, and ``completed_at_kick`` if the device reads and completes so many chains before the write to the
    notify register returns. ``read`` takes all that is published; ``complete`` completes the oldest chain and
    interrupts if that is wanted; ``raise`` sets bits of ISR; ``interrupt`` calls the handler.
    Raises ValueError for a run in which more than that happens at once.
    """
    played: list[Operation] = []
    at, unread, sending = int(Place.IDLE), 0, False
    for step in run.steps:
        inside = at not in (Place.IDLE, Place.REMOVED)
        sending = step.name == "begin" or (sending and step.name not in ("xmit", "drop"))
        if step.name in ("xmit", "drop"):
            unread += step.name == "xmit"
            played.append(("xmit", {"segments": step.segments} | ({"unfit": 1} if step.unfit else {})))
        elif step.name == "complete" and at == Place.ROOM:
            arguments = played[-1][1]
            arguments["completed_at_kick"] = arguments.get("completed_at_kick", 0) + 1
            unread = 0
        elif step.name in ("complete", "interrupt_without_news", "answer") and inside:
            raise ValueError(f"{step.name} while start_xmit is at work: no operation says that")
        elif step.name == "complete":
            if unread:
                played.append(("read", {}))
            unread = 0
            played.append(("complete", {"which": 0}))
        elif step.name == "interrupt_without_news":
            played.append(("raise", {"bits": 1}))
        elif step.name == "answer":
            played.append(("interrupt", {}))
        elif step.name == "remove":
            played.append(("remove", {}))
        at = int(step.after.at)
    return [*played, ("xmit", {"segments": 2})] if sending else played


@dataclass(frozen=True)
class Case:
    """What to look for on which queue: the shortest run of a finding or of a mutant."""

    promise: str
    linux: bool = False
    event_idx: bool = True
    queue_size: int = 32
    pieces: tuple[int, ...] = (1, 13, 18)
    quiet: bool = False
    unfit: bool = False


FINDINGS = {
    "early-interrupt": Case("frame-fits", linux=True, event_idx=False, quiet=True),
    "interrupt-without-news": Case("frame-fits", linux=True),
    "delayed-interrupt": Case("frame-fits", linux=True, quiet=True),
    "small-queue": Case("frame-fits", linux=True, queue_size=16),
    "small-queue-stuck": Case("no-lost-wake-up", linux=True, queue_size=16, pieces=(1,)),
}
"""What Linux 3.11 gets wrong, and a queue on which it shows."""

CASES = {
    "E10": Case("frame-fits", queue_size=32, pieces=(1, 12, 18)),
    "E19": Case("statistics-exact", pieces=(1,)),
    "D9": Case("no-lost-wake-up", pieces=(1, 18)),
    "G3": Case("no-frame-lost", linux=True),
    "X14": Case("no-lost-wake-up", pieces=(1, 18)),
    "X23": Case("statistics-exact", pieces=(1,), unfit=True),
    "X24": Case("frame-freed-once", pieces=(1,), unfit=True),
    "X25": Case("frame-fits"),
}
"""Where each mutant shows. G3 shows on Linux 3.11 alone: in virtio-1.x add refuses no frame (frame-fits)."""


def find(case: Case, model: type[Transmit] = Transmit) -> Run | Clean:
    """Search a model, shipped or mutated, for a case: first where nothing happens at the kick."""
    queue = model(case.queue_size, linux=case.linux, event_idx=case.event_idx, version_1=True)
    result: Run | Clean = Clean(0, True, 0.0, frozenset())
    for pace in (Pace.OPERATIONS, Pace.AT_KICK):
        explorer = Explorer(queue, pieces=case.pieces, pace=pace, quiet=case.quiet, unfit=case.unfit)
        result = explorer.search([PROMISES[case.promise]])
        if isinstance(result, Run):
            break
    return result
