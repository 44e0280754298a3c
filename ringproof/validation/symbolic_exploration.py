"""The exploration: every way that K operations can go from a start, and what is claimed on each.

Between two operations the device may use any one chain it has, and where nothing waits for a kick it moves
its suppression words before an add. Behind the K operations, if the last one gave or took a buffer, one
segment more than fits is offered, everything is used and taken back, a buffer as long as the queue is
offered, and the queue is destroyed: what was lost on the way shows there.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import z3

from ..impl.harness.operations import BUFFER_ADDRESS, Code, segment
from ..proofs.machine.errors import Missing
from ..proofs.machine.findings import Finding
from ..proofs.machine.flat import Region
from ..proofs.machine.run import Machine
from ..proofs.machine.state import State
from ..proofs.machine.words import Word, at_most, extract, no
from . import symbolic_judgement as judgement
from .symbolic_device import Device, Offer, Segment, lawful_segment
from .symbolic_findings import Findings, Lost, Suspicion, named
from .symbolic_inquiry import Inquiry, Tallies, inquire
from .symbolic_machine import AROUND, LENT_AT, OPERATION, Surrounding, around, assume, first_state, machine_of
from .symbolic_menu import NAMES, Action, menu
from .symbolic_start import Start
from .symbolic_steps import Add, Ask, Complete, Step, Tell
from .verdicts import VERDICTS

_LOWEST_DATA, _HIGHEST_DATA = 1 << 20, 1 << 46
_SEGMENT_BYTES = 24
_SEED = 0x0123_4567  # of segments that are known


@dataclass(frozen=True, slots=True)
class Node:
    """A moment between two operations, and the steps that led to it."""

    state: State
    device: Device
    steps: tuple[Step, ...] = ()


class Exploration:
    """Explores ``depth`` operations on a driver from a start, until a time on the monotonic clock."""

    def __init__(
        self, library: Path, start: Start, depth: int, segments: int, until: float, *, offered: int = 0
    ) -> None:
        """Load the driver's machine code; ``offered`` buffers of one segment come first. Raises Missing."""
        self._offered = offered
        self.found = Findings()
        self._start = start
        self._depth = depth
        self._segments = segments
        self._until = until
        self._machine: Machine = machine_of(library, start)
        self._surrounding = Surrounding(self._machine, start)
        self._tallies = Tallies()

    def go(self) -> Findings:
        """Explore everything; what was found."""
        state = first_state(self._machine, self._start)
        device = Device.at(self._start, state.memory)
        for node in self._prepared(self._told(Node(state, device)), self._offered):
            kicked = self._offered and node.device.kick_base == node.device.published
            self._below(self._told(node) if kicked else node, self._depth)
        self.found.held = self._tallies.held
        self.found.questions = self._machine.oracle.questions
        return self.found

    # The tree

    def _below(self, node: Node, left: int) -> None:
        """Take every way from here."""
        if time.monotonic() >= self._until:
            self.found.out_of_time = True
            return
        if not left:
            if self._depth == 1 or self._loses(node):
                self._settled(node)
            else:
                self.found.paths += 1
            return
        for action in menu(node.device, self._segments, odd=left == 1):
            for after in self._taken(node, action):
                self._below(after, left - 1)

    def _prepared(self, node: Node, offered: int) -> Iterator[Node]:
        """Offer so many buffers of one segment, and have them published."""
        if not offered:
            yield from self._all_kicked(node)
            return
        for after in self._added(node, (1, 0, False), known=True):
            yield from self._prepared(after, offered - 1)

    def _taken(self, node: Node, action: Action) -> Iterator[Node]:
        """Do one action; yield every moment that can come of it."""
        for ready in self._completed(node, action.pick) if action.pick >= 0 else [node]:
            if action.code != Code.ADD:
                yield from self._asked(ready, action.code)
                continue
            device = ready.device
            quiet = device.kick_base == device.published == device.offered
            moved = quiet and device.published > device.covered
            yield from self._added(self._told(ready) if moved else ready, action.shape)

    def _loses(self, node: Node) -> bool:
        """Whether the last operation gives or takes buffers, so that some may be lost in it."""
        last = node.steps[-1]
        takes = (Code.GET, Code.INTERRUPT) if self._start.pushes else (Code.GET,)
        return isinstance(last, Add) or (isinstance(last, Ask) and last.code in takes)

    def _settled(self, node: Node) -> None:
        """Let everything come back, offer as much as fits, and destroy the queue."""
        nodes = [node]
        for stage in (self._overfilled, self._all_kicked, self._all_used, self._all_taken, self._filled):
            nodes = [after for before in nodes for after in stage(before)]
        for last in nodes:
            self._destroyed(last)

    def _overfilled(self, node: Node) -> Iterator[Node]:
        """Offer one segment more than there are descriptors left."""
        n = self._start.config.queue_size
        count = n - node.device.held - sum(len(offer.segments) for offer in node.device.pending) + 1
        yield from self._added(node, (count, 0, False), known=True) if 1 < count <= n else [node]

    def _all_kicked(self, node: Node) -> Iterator[Node]:
        """Have all published, the device asking for nothing that would part the path."""
        if node.device.offered == node.device.published:
            yield node
            return
        state = node.state.fork()
        device = node.device.calm(state.memory)
        steps = (*node.steps, Tell(device.flags, device.avail_event))
        yield from self._asked(Node(state, device, steps), Code.KICK)

    def _all_used(self, node: Node) -> Iterator[Node]:
        if not node.device.outstanding:
            yield node
            return
        for after in self._completed(node, 0):
            yield from self._all_used(after)

    def _all_taken(self, node: Node) -> Iterator[Node]:
        """Take back until nothing is left; one get more sees that nothing is."""
        more = bool(node.device.waiting or node.device.pushed)
        for after in self._asked(node, Code.GET):
            if more:
                yield from self._all_taken(after)
            else:
                yield after

    def _filled(self, node: Node) -> Iterator[Node]:
        for after in self._added(node, (self._start.config.queue_size, 0, False), known=True):
            yield from self._all_kicked(after)

    # What the device does

    def _told(self, node: Node) -> Node:
        """Let the device move its suppression words."""
        state, name = node.state.fork(), f"op{len(node.steps)}"
        device, lawful = node.device.tell(state.memory, name)
        assume(state, lawful)
        return Node(state, device, (*node.steps, Tell(device.flags, device.avail_event)))

    def _completed(self, node: Node, pick: int) -> Iterator[Node]:
        """Let the device use a chain."""
        state, name = node.state.fork(), f"op{len(node.steps)}"
        before = node.device.completed
        chain = node.device.read().in_flight[pick]
        device, limits, length = node.device.complete(state.memory, pick, name)
        assume(state, *limits)
        steps = (*node.steps, Complete(pick, length, chain.writable))
        hold: Callable[[Inquiry], Device] = lambda inquiry: judgement.completed(  # noqa: E731
            inquiry, state.memory, device, before
        )
        yield from self._judged(state, steps, hold)

    # What the driver does

    def _added(self, node: Node, shape: tuple[int, int, bool], *, known: bool = False) -> Iterator[Node]:
        """Offer a buffer, of segments that are ``known`` or symbols; then, any allocation may fail."""
        out, in_, null = shape
        name = f"op{len(node.steps)}"
        state, count = node.state.fork(), out + in_
        segments = tuple(self._segment(name, at, write=at >= out, known=known) for at in range(count))
        token = 0 if null else node.device.adds + 1
        offer = Offer(token, segments)
        state.memory.map(Region("lent", LENT_AT, max(1, _SEGMENT_BYTES * count), "r"))
        for at, piece in enumerate(segments):
            place = LENT_AT + _SEGMENT_BYTES * at
            state.memory.store(place, piece.data, 8)
            state.memory.store(place + 8, piece.address, 8)
            state.memory.store(place + 16, piece.length, 4)
            state.memory.store(place + 20, 0, 4)
            if not known:
                data = piece.data
                assume(state, lawful_segment(piece), at_most(data, _HIGHEST_DATA, 64))
                assume(state, no(at_most(data, _LOWEST_DATA, 64)))
        steps = (*node.steps, Add(name, segments, out, null))
        arguments = (self._start.queue, LENT_AT, self._int(out), self._int(in_), token)
        for end, answer in self._call("add", state, node.device, steps, arguments, may_fail=not known):

            def hold(inquiry: Inquiry, end: State = end, answer: Word = answer) -> Device:
                judgement.environment(inquiry, around(end))
                device = judgement.pushed(inquiry, node.device, around(end))
                return judgement.added(inquiry, end.memory, device, around(end), offer, answer)

            yield from self._judged(end, steps, hold)

    def _segment(self, name: str, at: int, *, write: bool, known: bool) -> Segment:
        if known:
            offset, length = segment(_SEED, at)
            address = 0 if self._start.maps else BUFFER_ADDRESS + offset
            return Segment(_HIGHEST_DATA + offset, address, length, write)
        data = z3.BitVec(f"{name}!data{at}", 64)
        unknown = 0 if self._start.maps else z3.BitVec(f"{name}!address{at}", 64)
        return Segment(data, unknown, z3.BitVec(f"{name}!length{at}", 32), write)

    def _asked(self, node: Node, code: Code) -> Iterator[Node]:
        """Ask for anything but an add."""
        state, device = node.state.fork(), node.device
        steps = (*node.steps, Ask(code))
        name = NAMES[code]
        arguments: tuple[Word, ...] = (self._start.queue,)
        if code == Code.GET and self._start.pushes:
            if device.pushed:
                yield Node(state, replace(device, pushed=device.pushed - 1), steps)
                return
            name = "interrupt"
            if name not in self._start.operations:
                yield from self._judged(state, steps, lambda inquiry: judgement.nothing(inquiry, device))
                return
        elif code == Code.GET:
            state.memory.map(Region("lent", LENT_AT, 16))
            state.memory.store(LENT_AT, 0, 8)
            state.memory.store(LENT_AT + 8, 0, 8)
            arguments = (self._start.queue, LENT_AT, LENT_AT + 8)
        elif code == Code.POLL:
            assert device.mark is not None
            arguments = (self._start.queue, self._machine.argument(device.mark[0], 32))
        for end, answer in self._call(name, state, device, steps, arguments):

            def hold(inquiry: Inquiry, end: State = end, answer: Word = answer) -> Device:
                return self._heard(inquiry, code, end, device, answer)

            yield from self._judged(end, steps, hold)

    def _heard(self, inquiry: Inquiry, code: Code, end: State, device: Device, answer: Word) -> Device:
        """Judge what an operation has done."""
        now, memory, waiting = around(end), end.memory, len(device.waiting)
        judgement.environment(inquiry, now)
        device = judgement.pushed(inquiry, device, now)
        if code == Code.KICK:
            return judgement.kicked(inquiry, memory, device, now)
        if code == Code.GET:
            if self._start.pushes:
                return judgement.popped(inquiry, memory, device, now)
            token, length = memory.load(LENT_AT, 8), memory.load(LENT_AT + 8, 4)
            return judgement.got(inquiry, memory, device, now, answer, token, length)
        if code == Code.INTERRUPT:
            return judgement.interrupted(inquiry, memory, device, now, answer, waiting)
        if code in (Code.ENABLE_CB, Code.ENABLE_CB_DELAYED):
            delayed = code == Code.ENABLE_CB_DELAYED
            return judgement.enabled(inquiry, memory, device, now, answer, delayed=delayed)
        if code == Code.ENABLE_CB_PREPARE:
            return judgement.prepared(inquiry, memory, device, now, answer)
        if code == Code.POLL:
            return judgement.polled(inquiry, memory, device, now, answer)
        return judgement.disabled(inquiry, memory, device, now)

    def _destroyed(self, node: Node) -> None:
        if "destroy" not in self._start.operations:
            self.found.paths += 1
            return
        state = node.state.fork()
        for end, _ in self._call("destroy", state, node.device, node.steps, (self._start.queue,)):

            def hold(inquiry: Inquiry, end: State = end) -> Device:
                judgement.environment(inquiry, around(end))
                judgement.destroyed(inquiry, around(end))
                return node.device

            for _ in self._judged(end, node.steps, hold, counting=False):
                self.found.paths += 1

    # Running and judging

    def _call(
        self,
        name: str,
        state: State,
        device: Device,
        steps: tuple[Step, ...],
        arguments: tuple[Word, ...],
        *,
        may_fail: bool = False,
    ) -> list[tuple[State, Word]]:
        """Run an operation of the driver; the state and 32-bit answer at the end of each path."""
        machine = self._machine
        outstanding = device.outstanding if name != "destroy" else ()
        owned = (piece.words[0] for chain in outstanding for piece in (*chain.descriptors, *chain.entries))
        state.extra[AROUND] = around(state).begun(
            may_fail=may_fail, owned=(address for address in owned if isinstance(address, int))
        )
        state.extra[OPERATION] = f"op{len(steps) - 1}"
        state.events = ()
        findings, lost = len(machine.findings), len(machine.unfollowed)
        outcomes = list(machine.call(self._start.operations[name], arguments, state, self._surrounding))
        self.found.calls += 1
        for finding in machine.findings[findings:]:
            self._suspect(finding, steps)
        for missing, _ in machine.unfollowed[lost:]:
            self._lose(missing, name, steps)
        return [(outcome.state, extract(outcome.result, 0, 32)) for outcome in outcomes]

    def _judged(
        self,
        state: State,
        steps: tuple[Step, ...],
        hold: Callable[[Inquiry], Device],
        *,
        counting: bool = True,
    ) -> Iterator[Node]:
        """Hold an inquiry at the end of an operation; yield where it goes on, num_free having been asked."""
        before, ends = len(self._tallies.violations), 0
        try:
            ends_found = list(inquire(self._machine.oracle, state.path, self._tallies, hold))
        except Missing as missing:
            self._lose(missing, "what came of it", steps)
            ends_found = []
        self._note(before, steps)
        for path, device in ends_found:
            ends += 1
            after = state.fork()
            after.path = path
            after.memory.unmap("lent")
            if counting and "num_free" in self._start.operations:
                yield from self._counted(after, device, steps)
            else:
                yield Node(after, device, steps)
        if not ends:
            self.found.refuted += 1

    def _counted(self, state: State, device: Device, steps: tuple[Step, ...]) -> Iterator[Node]:
        """Ask for num_free, as the harness does after each operation."""
        for end, free in self._call("num_free", state, device, steps, (self._start.queue,)):

            def hold(inquiry: Inquiry, free: Word = free) -> Device:
                judgement.counted(inquiry, device, free)
                return device

            yield from self._judged(end, steps, hold, counting=False)

    def _note(self, before: int, steps: tuple[Step, ...]) -> None:
        for violation in self._tallies.violations[before:]:
            verdict = VERDICTS[violation.code]
            self.found.suspicions.append(
                Suspicion(verdict.name, verdict.clause, violation.seen, violation.path, steps)
            )

    def _suspect(self, finding: Finding, steps: tuple[Step, ...]) -> None:
        check, clause = named(finding)
        seen = f"{finding.what}, at {finding.place}"
        self.found.suspicions.append(Suspicion(check, clause, seen, finding.path, steps))
        self.found.refuted += 1

    def _lose(self, missing: Missing, name: str, steps: tuple[Step, ...]) -> None:
        depth = sum(isinstance(step, Add | Ask) for step in steps)
        self.found.lost.append(Lost(" ".join(str(missing).split()), name, depth))

    def _int(self, number: int) -> Word:
        """A 32-bit argument."""
        return self._machine.argument(number, 32)
