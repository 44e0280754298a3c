"""Machine code of the virtqueue beside the model: each access that others can tell is a step of the model.

Before each read of a word that others write, these have had their turn: their fields are new, and the
invariants, which every step of theirs keeps, are assumed of the moment anew. Where others could look (before
avail.idx is written, the device is notified, the callback is called) and where the code returns, memory has
to be what the model's moment says. The processor keeps stores in order, and loads; a store and a later load
only fences keep apart, and these are asked for where the model relies on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import z3

from ...model.steps.invariants import assumed
from ...model.steps.moment import Choice, Moment
from ...model.steps.queue import Steps
from ..refinement.follower import Arrival, Event, Follower, Point
from .contents import AVAIL, CALLS, NAMES, TABLE, USED, VQ, Cell, Contents, cut, extend
from .flat import Region
from .moments import NUMBER, BitSize, interfered
from .run import Machine
from .state import Access, Call, Environment, Fence, State
from .words import Flag, Word, boolean, both, choose, equal, no

CURSOR = 0x7A_0000_0000
"""The pointer to segment k of the list being added is this number and k."""


@dataclass(frozen=True)
class Owed:
    """Something that has to hold on a path; if it is about a word of memory, which, and what it holds."""

    label: str
    path: tuple[z3.BoolRef, ...]
    goal: Flag
    cell: Cell | None = None
    found: Word = None


@dataclass(frozen=True)
class Together:
    """What a path carries: where the model is; ``begun``: nothing was asked yet, ``fences``: which have come.

    ``late`` is what poll is to return, ``refused`` that no memory was had for a table, ``building``
    that it was.
    """

    point: Point
    begun: bool = True
    fences: frozenset[str] = frozenset()
    late: Flag = False
    refused: bool = False
    building: bool = False


class Lockstep(Environment):
    """The surroundings of the virtqueue, with the model led along. What has to hold gathers in ``owed``."""

    def __init__(
        self, machine: Machine, model: Steps, contents: Contents, follower: Follower, start: Moment
    ) -> None:
        self.machine = machine
        self.start = start
        self.model = model
        self.size: BitSize = contents.size
        self.contents = contents
        self.follower = follower
        self.choice: Choice = follower.choice
        self.owed: list[Owed] = []
        self.assumed: list[z3.BoolRef] = []  # of later moments, what paths carry
        self.further: list[z3.BoolRef] = []  # and all that holds of them
        self._marks = 0

    # What is owed, and what is carried.

    def owe(self, state: State, label: str, goal: Flag, cell: Cell | None = None, found: Word = None) -> None:
        """Record that something has to hold here."""
        if goal is not True:
            self.owed.append(Owed(label, state.path, goal, cell, found))

    def together(self, state: State) -> Together:
        """Return what the path carries."""
        found: Together = state.extra["together"]
        return found

    def carry(self, state: State, **changes: Any) -> None:
        """Change what the path carries."""
        state.extra["together"] = replace(self.together(state), **changes)

    def same(self, state: State, when: str, *, shared: bool = False) -> None:
        """Owe that memory is what the model's moment says; or just what is shared with the device."""
        together = self.together(state)
        s = together.point.moment
        cells: Iterable[Cell] = self.contents.cells(s)
        if together.building:
            entries = (
                state.memory.named("table").size // 16
            )  # as many as the chain has segments, on this path
            cells = [*cells, *self.contents.table_cells(s, entries)]
        for cell in [*cells, *self.contents.fixed(self.model, callback=True)]:
            private = cell.name.startswith(("vq.", "data.", "ops."))
            if cell.name == "ops.callback" or (shared and private):
                continue
            found = state.memory.load(cell.address, cell.size)
            held = equal(found, cell.value, 8 * cell.size)
            if held is not True:
                goal = held if cell.compared is True else z3.Implies(boolean(cell.compared), boolean(held))
                self.owe(state, f"{cell.name} {when}", goal, cell, found)

    # The model's way.

    def arrive(
        self, state: State, what: str, wanted: Callable[[Arrival], bool]
    ) -> list[tuple[State, Arrival]]:
        """Lead the model on; return the ways on which it arrives as wanted, and owe that they are all."""
        before = len(state.path)
        start = replace(self.together(state).point, path=state.path)
        arrivals = [each for each in self.follower.lead(start) if wanted(each)]
        reached = [both(*each.point.path[before:]) for each in arrivals]
        if not any(each is True for each in reached):
            self.owe(state, what, z3.Or(reached) if reached else False)
        found = []
        for each in arrivals:
            if self.machine.oracle.possible(each.point.path):
                there = state.fork(*each.point.path[before:])
                self.carry(there, point=replace(each.point, path=()))
                found.append((there, each))
        return found

    def at_event(self, state: State, event: Event) -> list[tuple[State, Arrival]]:
        """Lead the model to the step that makes an event, after others have had their turn if it reads."""
        if event.name.startswith("READ"):
            self.interfere(state)
        return self.arrive(
            state, f"the model comes to where {event.value}", lambda arrival: arrival.event is event
        )

    def take(self, state: State, arrival: Arrival) -> list[State]:
        """Let the model take the step it has arrived at."""
        before = len(state.path)
        start = replace(self.together(state).point, path=state.path)
        found = []
        for after in self.follower.take(start, arrival.name):
            there = state.fork(*after.path[before:])
            self.carry(there, point=replace(after, path=()))
            found.append(there)
        return found

    def interfere(self, state: State) -> None:
        """Let device and interrupt handler have their turn; at first they have had it."""
        together = self.together(state)
        s = together.point.moment
        fresh = together.begun and not together.point.taken
        if not fresh and s.live is not False:
            self._marks += 1
            s = interfered(self.size, s, f"!{self._marks}")
            self.carry(state, point=replace(together.point, moment=s))
            near = known(self.model, s, BETWEEN)
            self.assumed += near
            self.further += known(self.model, s)
            state.path = (*state.path, *near)
            self.refresh(state, s)
        self.carry(state, begun=False)

    def refresh(self, state: State, s: Moment) -> None:
        """Let memory hold what the interrupt handler may have written."""
        for cell in self.contents.cells(s):
            if cell.name in ("vq.callbacks", "avail.flags"):
                state.memory.store(cell.address, cell.value, cell.size)

    # Reads and writes.

    def on_load(self, state: State, access: Access, value: Word) -> list[tuple[State, Word]]:
        """Answer reads of what others write, and let the model take the step that reads."""
        offsets = [each - access.region.address for each in access.values]
        name = access.region.name
        if name == "vq" and offsets[0] == self.contents.vq["callbacks"][0]:
            return self._reads(
                state, Event.READ_WANTED, lambda _, there: there.memory.load(offsets[0] + VQ, 1)
            )
        if name == "avail" and offsets == [0]:
            return self._reads(state, Event.READ_WANTED, lambda _, there: there.memory.load(AVAIL, 2))
        if name != "used":
            return [(state, value)]
        n = self.contents.n
        if (offsets, access.size) == ([2], 2):
            return self._reads(state, Event.READ_USED_IDX, lambda s, _: cut(s.used_idx, 2))
        if (offsets, access.size) == ([0], 2):
            return self._wish(state, lambda s: choose(s.no_notify, 1, 0, 16) | _beside())
        if (offsets, access.size) == ([4 + 8 * n], 2):
            return self._wish(state, lambda s: cut(s.avail_event, 2))
        inside = all(4 <= each < 4 + 8 * n for each in offsets) and access.size == 4
        if inside and all(each % 8 == 4 for each in offsets):
            return self._element(state, access)
        if inside and all(each % 8 == 0 for each in offsets):
            lengths = self.contents.used_lengths
            return [(state, self._entry(access, lambda i: lengths[i.as_long()]))]
        self.machine.findings.report(
            state,
            "torn",
            f"reads {access.size} bytes of the used ring at once, from {offsets[0]} on",
            access.place,
        )
        return []

    def _element(self, state: State, access: Access) -> list[tuple[State, Word]]:
        """Answer with the id that the driver reads: by the invariants, that of the chain whose turn it is.

        That the entry read holds this is owed; the word given in its stead has fewer bits.
        """
        found = []
        for there, arrival in self.at_event(state, Event.READ_ELEMENT):
            s = arrival.point.moment
            ring = s.used_ring
            read = self._entry(access, lambda i, ring=ring: cut(ring(i), 4))  # type: ignore[misc]
            head = cut(s.order(s.last_used), 4)
            self.owe(there, "the element read is the next completed chain's", equal(read, head, 32))
            found += [(after, head) for after in self.take(there, arrival)]
        return found

    def _entry(self, access: Access, value: Callable[[Any], Word]) -> Word:
        """Return an entry's value, by the slot that the address names."""
        found: Word = None
        for each in reversed(access.values):
            one = value(z3.BitVecVal((each - USED - 4) // 8, NUMBER))
            found = one if found is None else choose(equal(access.address, each, 64), one, found, 32)
        return found

    def _wish(self, state: State, value: Callable[[Moment], Word]) -> list[tuple[State, Word]]:
        if "full" not in self.together(state).fences:
            self.owe(state, "a full fence between avail.idx and what the device asks for", False)
        return self._reads(state, Event.READ_WISH, lambda s, _: value(s))

    def _reads(
        self, state: State, event: Event, value: Callable[[Moment, State], Word]
    ) -> list[tuple[State, Word]]:
        found = []
        for there, arrival in self.at_event(state, event):
            s = arrival.point.moment
            word = value(s, there)
            if arrival.name == "poll":
                if "armed" not in self.together(there).fences:
                    self.owe(there, "a full fence between switching callbacks on and used.idx", False)
                self.carry(there, late=self.model.is_late(s))
            found += [(after, word) for after in self.take(there, arrival)]
        return found

    def on_store(self, state: State, access: Access, value: Word) -> list[State]:
        """Let the model take the step that writes, where others can tell."""
        del value
        offsets = [each - access.region.address for each in access.values]
        if access.region.name == "used":
            self.machine.findings.report(state, "trespass", "writes to the used ring", access.place)
            return []
        if access.region.name != "avail":
            return [state]
        n = self.contents.n
        known_words = {(0, 2): "flags", (2, 2): "idx", (4 + 2 * n, 2): "used_event"}
        word = known_words.get((offsets[0], access.size)) if len(offsets) == 1 else None
        if word == "idx":
            found = []
            for there, arrival in self.at_event(state, Event.WRITE_AVAIL_IDX):
                if arrival.name == "publish":
                    self.same(there, "as avail.idx is written", shared=True)
                found += self.take(there, arrival)
            return self._unordered(found, "full")
        if word is not None:
            event = Event.WRITE_AVAIL_FLAGS if word == "flags" else Event.WRITE_USED_EVENT
            found = [
                after for there, arrival in self.at_event(state, event) for after in self.take(there, arrival)
            ]
            return self._unordered(found, "armed")
        if access.size == 2 and all(4 <= each < 4 + 2 * n for each in offsets):
            return [state]
        what = f"writes {access.size} bytes of the available ring at once, at {offsets[0]}"
        self.machine.findings.report(state, "torn", what, access.place)
        return []

    def on_fence(self, state: State, fence: Fence) -> list[State]:
        """Take a fence down. Each that x86 has for stores before and loads after is a full one."""
        if fence.kind in ("mfence", "lock"):
            self.carry(state, fences=self.together(state).fences | {"full", "armed"})
        return [state]

    def _unordered(self, states: list[State], fence: str) -> list[State]:
        for state in states:
            self.carry(state, fences=self.together(state).fences - {fence})
        return states

    # Calls.

    def on_call(self, call: Call, state: State) -> list[tuple[State, Word | None]] | None:
        """Answer a call of what surrounds the queue."""
        index, rest = divmod(call.address - CALLS, 16)
        if rest or not 0 <= index < len(NAMES):
            return None
        if NAMES[index] != "read_segment":
            self.owe(
                state,
                f"the context is given to {NAMES[index]}",
                equal(call.arguments[0], self.contents.context, 64),
            )
        answers = (self._allocate, self._release, self._notify, self._call_back, self._read_segment)
        return list(answers[index](state, call))

    def _allocate(self, state: State, call: Call) -> Iterator[tuple[State, Word | None]]:
        # The allocator gives what is nobody's, of the sizes that there are; whether it does, a symbol says,
        # so that both ways have to be among those that are gone.
        s, chosen = self.together(state).point.moment, self.choice
        fresh = both(no(s.allocated(chosen.table)), self.size.admits_table(chosen.table, chosen.segments))
        self._marks += 1
        given = both(z3.Bool(f"granted!{self._marks}"), fresh)
        refused = state.fork(no(given))
        self.carry(refused, refused=True)
        yield refused, 0
        if not self.machine.oracle.possible(state.path, given):
            return
        granted = state.fork(given)
        for there, arrival in self.at_event(granted, Event.ALLOCATE):
            for after in self.take(there, arrival):
                s = self.together(after).point.moment
                bytes_ = s.segments * 16
                self.owe(
                    after,
                    "a table has one entry a segment",
                    equal(extend(cut(bytes_, 4)), call.arguments[1], 64),
                )
                self.owe(after, "a table is aligned to 16 bytes", equal(call.arguments[2], 16, 64))
                for entries in self.machine.oracle.values(s.segments, after.path, self.contents.n + 2):
                    one = after.fork(equal(s.segments, entries, NUMBER))
                    one.memory.map(Region("table", TABLE, 16 * entries, shared=True, fresh=True))
                    self.carry(one, building=True)
                    self._lend(one, call.arguments[3], s.table, 8, call)
                    yield one, TABLE

    def _release(self, state: State, call: Call) -> Iterator[tuple[State, Word | None]]:
        for there, arrival in self.at_event(state, Event.RELEASE):
            s = arrival.point.moment
            table = s.addr(s.head)
            pointer = self.contents.virtual(table)
            self.owe(there, "the chain's own table is released", equal(call.arguments[1], pointer, 64))
            size = extend(cut(s.size(table), 4)) * 16
            self.owe(there, "a table is released with its size", equal(call.arguments[2], size, 64))
            for after in self.take(there, arrival):
                yield after, None

    def _notify(self, state: State, call: Call) -> Iterator[tuple[State, Word | None]]:
        for there, arrival in self.at_event(state, Event.NOTIFY):
            told = equal(cut(call.arguments[1], 4), extend(self.contents.queue_index, 32), 32)
            self.owe(there, "the queue's index is told", told)
            self.same(there, "as the device is notified")
            for after in self.take(there, arrival):
                yield after, None

    def _call_back(self, state: State, call: Call) -> Iterator[tuple[State, Word | None]]:
        del call
        for there, arrival in self.at_event(state, Event.CALL_BACK):
            self.same(there, "as the callback is called")
            for after in self.take(there, arrival):
                self.refresh(after, self.together(after).point.moment)
                yield after, None

    def _read_segment(self, state: State, call: Call) -> Iterator[tuple[State, Word | None]]:
        cursor = call.arguments[0]
        if not isinstance(cursor, int):
            self.owe(state, "segments are read in order", False)
            return
        index = z3.BitVecVal(cursor - CURSOR, NUMBER)
        self.owe(
            state, "no segment beyond the list is read", both(cursor >= CURSOR, index < self.choice.segments)
        )
        out = call.arguments[1]
        at = {name: offset for name, (offset, _) in self.contents.segment.items()}
        self._lend(state, out + at["address"], self.choice.segment_addr(index), 8, call)
        self._lend(state, out + at["length"], cut(self.choice.segment_len(index), 4), 4, call)
        yield state, cursor + 1

    def _lend(self, state: State, address: Word, value: Word, size: int, call: Call) -> None:
        """Write where the code has lent memory: on its stack."""
        if not isinstance(address, int) or state.memory.region(address, size) is None:
            self.machine.findings.report(
                state, "wild", f"{call.name} is given no place to write to", call.place
            )
            return
        state.memory.store(address, value, size)


NEAR = frozenset({
    "tables", "tables-differ", "free-in-range", "has-position", "has-descriptor", "taken-is-owned",
    "chain-is-taken", "one-owner", "free-head", "next-in-range", "free-links", "num-free", "chain-links",
    "tokens", "callbacks", "indices", "time", "used-entries", "coming-back", "chain-table", "table-owner",
    "adds-since-kick", "numbers-are-chains", "chains-are-numbers", "delaying", "program",
})  # fmt: skip
"""The invariants that proofs about the driver's code are first tried with, of the moment where it starts."""

BETWEEN = frozenset({
    "callbacks", "indices", "time", "used-entries", "coming-back", "numbers-are-chains", "program",
})  # fmt: skip
"""Those that they are first tried with of later moments, after others have had their turn."""


def known(model: Steps, s: Moment, names: frozenset[str] | None = None) -> list[z3.BoolRef]:
    """Return that the invariants hold at a moment, or those of these names, as one condition."""
    facts = [
        fact
        for name, fact in assumed(model, s).items()
        if fact is not True and (names is None or name in names)
    ]
    return [z3.And([boolean(fact) for fact in facts])]


def _beside() -> z3.BitVecRef:
    """The bits of used.flags above NO_NOTIFY, which mean nothing."""
    return z3.Concat(z3.BitVec("used_flags_beside", 15), z3.BitVecVal(0, 1))


__all__ = ["CURSOR", "Lockstep", "Owed", "Together", "known"]
