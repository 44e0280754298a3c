"""virtqueue.c beside the model: each access others can tell is a step of the model, in the model's order.

The code runs, in the executor of LLVM IR, from any moment of the model that the invariants allow, its
memory being what ``contents`` says of that moment. Where the code makes an event the model is led there;
memory has to be what the model's moment says wherever somebody could look: before avail.idx is written,
before a notification or a callback, at the head of every loop, and when the code returns.

Loops are cut at their heads. The model stands in a loop of its own there: what a round may change becomes
anything that the invariants allow, and after one round code and model have to meet again. So nothing is
unrolled, and the number of rounds is that of the model, whose loops end (theorem walks-end).

Before each read of a word that others write, these have had their turn (``interfered``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import z3

from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import Steps
from ..symbolic.environment import Environment
from ..symbolic.ir import Function, Local, Place
from ..symbolic.memory import locate, put
from ..symbolic.state import Obligation, Site, State
from ..symbolic.values import NULL, FunctionPointer, Object, Offset, Opaque, Pointer, equal, plain
from .c_contents import contents, flags_beside, queue_index, used_length, virtual, word
from .c_memory import Memory
from .follower import (
    LOOPS,
    Arrival,
    Event,
    Follower,
    Point,
    changed_by,
    interfered,
    renewed,
    round_of,
    theirs,
)

CURSOR = 1
"""The pointer to segment k of the list being added is the number k + CURSOR."""

NO_MEMORY = z3.Bool("no memory for a table")
"""Marks the paths on which the allocator has none; says nothing else."""


Readings: TypeAlias = dict[tuple[str, str], tuple[str, ...]]
"""What is guessed of each variable of each loop, by names of terms; of the loop itself under no variable."""


@dataclass(frozen=True)
class Together:
    """What a path carries: where the model is, and what has happened on the way.

    ``begun``: the first moment, of which nothing was asked yet. ``ordered``: which fences have come since
    what they order. ``cut``: the loop the path is in, the moment at its head, and its variables there.
    ``late``: what poll is to return. ``table``: the indirect table of the chain being added. ``refused``:
    no memory was had for one.
    """

    point: Point
    begun: bool = True
    ordered: frozenset[str] = frozenset()
    cut: tuple[str, Moment, tuple[tuple[str, Any], ...]] | None = None
    late: Any = None
    table: Object | None = None
    refused: bool = False


@dataclass(frozen=True)
class Claim:
    """What is claimed of a variable of a loop, and has to hold each time its head is reached."""

    loop: str
    variable: str
    reading: str
    owed: Obligation


class Lockstep(Environment):
    """The surroundings of virtqueue.c, with the model led along.

    What the variables of a loop are in terms of the model is guessed: ``readings`` holds the guesses, by
    loop and variable, ``claims`` what has to hold for each. The caller strikes off those that don't, and
    starts again. ``turns`` and ``cuts`` tell, by the name of a moment, what it was before others had their
    turn, and before a loop was cut.
    """

    def __init__(self, memory: Memory, follower: Follower, readings: Readings) -> None:
        super().__init__()
        self.memory = memory
        self.model: Steps = memory.model
        self.choice: Choice = follower.choice
        self.follower = follower
        self.readings = readings
        self.claims: list[Claim] = []
        self.turns: dict[str, tuple[Moment, Moment]] = {}
        self.cuts: dict[str, tuple[Moment, Moment]] = {}
        self._marks = 0

    # What is owed.

    def owe(self, state: State, kind: str, what: str, place: Place, goal: Any) -> None:
        """Record that the goal has to hold here, and go on as if it did."""
        self.record(state, kind, what, place, goal)
        if not isinstance(goal, bool):
            self.memory.assume(state, (goal,))

    def record(self, state: State, kind: str, what: str, place: Place, goal: Any) -> None:
        """Record that the goal has to hold here. One about all of memory is large, and not worth assuming."""
        if goal is not True:
            self.obligations.append(self._owed(state, kind, what, place, goal))

    def _owed(self, state: State, kind: str, what: str, place: Place, goal: Any) -> Obligation:
        return Obligation(kind, what, place, state.path, goal, state.facts)

    def together(self, state: State) -> Together:
        """Return what the path carries."""
        found: Together = state.extra["together"]
        return found

    def carry(self, state: State, **changes: Any) -> None:
        """Change what the path carries."""
        state.extra["together"] = replace(self.together(state), **changes)

    # The model's way.

    def arrive(
        self, state: State, place: Place, what: str, wanted: Callable[[Arrival], bool], **how: Any
    ) -> list[tuple[State, Arrival]]:
        """Lead the model on, and return the ways on which it arrives as wanted.

        That there is no other way is owed.
        """
        before = len(state.path)
        start = replace(self.together(state).point, path=state.path)
        arrivals = [each for each in self.follower.lead(start, **how) if wanted(each)]
        reached = [z3.And(list(each.point.path[before:])) for each in arrivals]
        if not any(len(each.point.path) == before for each in arrivals):
            self.record(state, "step", what, place, z3.Or(reached) if reached else False)
        found = []
        for each in arrivals:
            there = state.fork()
            if self.memory.assume(there, each.point.path[before:]):
                self.carry(there, point=replace(each.point, path=()))
                found.append((there, each))
        return found

    def at_event(self, state: State, place: Place, event: Event) -> list[tuple[State, Arrival]]:
        """Lead the model to the step that makes an event, after others have had their turn if it reads."""
        if event.name.startswith("READ"):
            self.interfere(state)
        return self.arrive(
            state,
            place,
            f"the model comes to where {event.value}",
            lambda arrival: arrival.event is event,
        )

    def take(self, state: State, arrival: Arrival) -> list[State]:
        """Let the model take the step it has arrived at."""
        before = len(state.path)
        point = replace(self.together(state).point, path=state.path)
        found = []
        for after in self.follower.take(point, arrival.name):
            there = state.fork()
            if self.memory.assume(there, after.path[before:]):
                self.carry(there, point=replace(after, path=()))
                found.append(there)
        return found

    def interfere(self, state: State) -> None:
        """Let device and interrupt handler have their turn; at first they have had it."""
        together = self.together(state)
        if not together.begun and together.point.moment.live is not False:
            moment = interfered(together.point.moment, self._mark())
            self.carry(state, point=replace(together.point, moment=moment))
            self.memory.learn(state, moment)
            self.turns[list(self.memory.moments)[-1]] = together.point.moment, moment
            self.refresh(state, moment)
        self.carry(state, begun=False)

    def _mark(self) -> str:
        self._marks += 1
        return f"!{self._marks}"

    def refresh(self, state: State, moment: Moment) -> None:
        """Let memory hold what the interrupt handler may have written."""
        now = contents(self.model, moment)
        for at in (("avail", "flags"), ("vq", "callbacks")):
            state.write(*self.memory.field(at), plain(now[at]))

    def same(self, state: State, place: Place, when: str) -> None:
        """Owe that memory is what the model's moment says."""
        together = self.together(state)
        for what, goal in self.memory.differences(state, together.point.moment, together.table):
            self.record(state, "memory", f"{what} {when}", place, goal)

    # Reads.

    def load(
        self, state: State, made: Object, name: str, index: Any, place: Place
    ) -> list[tuple[State, Any]] | None:
        """Answer reads of what others write, and let the model take the step that reads."""
        match made.name, name:
            case "used", "idx":
                return self._reads(state, place, Event.READ_USED_IDX, lambda s: s.used_idx)
            case "used", "id":
                self.ordered(state, place, "acquire", "a read fence between used.idx and the element")
                return self._reads(state, place, Event.READ_ELEMENT, lambda s: s.used_ring(index))
            case "used", "len":
                return [(state, used_length(index))]
            case "used", "flags":
                self.ordered(state, place, "full", "a full fence between avail.idx and used.flags")
                wish = lambda s: word(s.no_notify, 1) + 2 * flags_beside  # noqa: E731
                return self._reads(state, place, Event.READ_WISH, wish)
            case "used", "avail_event":
                self.ordered(state, place, "full", "a full fence between avail.idx and avail_event")
                return self._reads(state, place, Event.READ_WISH, lambda s: s.avail_event)
            case ("avail", "flags") | ("vq", "callbacks"):
                return self._reads(state, place, Event.READ_WANTED, None, (made, name))
        return None

    def _reads(
        self,
        state: State,
        place: Place,
        event: Event,
        value: Callable[[Moment], Any] | None,
        cell: tuple[Object, str] | None = None,
    ) -> list[tuple[State, Any]]:
        found: list[tuple[State, Any]] = []
        for there, arrival in self.at_event(state, place, event):
            moment = arrival.point.moment
            read = value(moment) if value is not None else there.read(*cell) if cell else None
            if arrival.name == "poll":
                what = "a full fence between asking for interrupts and used.idx"
                self.ordered(there, place, "armed", what)
                self.carry(there, late=self.model.is_late(moment))
            for after in self.take(there, arrival):
                if event is Event.READ_USED_IDX:
                    self._unordered(after, "acquire")
                found.append((after, read))
        return found

    # Writes.

    def store(
        self, state: State, made: Object, name: str, index: Any, value: Any, place: Place
    ) -> list[State] | None:
        """Let the model take the step that writes, where others can tell."""
        del value
        match made.name, name:
            case "avail", "idx":
                found = self._writes(state, place, Event.WRITE_AVAIL_IDX)
                for each in found:
                    self._unordered(each, "full")
                return found
            case "avail", "flags":
                found = self._writes(state, place, Event.WRITE_AVAIL_FLAGS)
                for each in found:
                    self._unordered(each, "armed")
                return found
            case "avail", "ring":
                if equal(index, self.model.queue_size) is True:
                    found = self._writes(state, place, Event.WRITE_USED_EVENT)
                    for each in found:
                        self._unordered(each, "armed")
                    return found
                self.owe(state, "in-bounds", "a head goes into a slot", place, index < self.model.queue_size)
                self._unordered(state, "release")
                return [state]
            case "used", _:
                self.record(state, "step", "the used ring is the device's", place, False)
                return []
            case (("desc" | "table"), _):
                self._unordered(state, "release")
                return [state]
        return None

    def _writes(self, state: State, place: Place, event: Event) -> list[State]:
        found: list[State] = []
        for there, arrival in self.at_event(state, place, event):
            if arrival.name == "publish":
                self.ordered(there, place, "release", "a write fence between the chain and avail.idx")
            if event is Event.WRITE_AVAIL_IDX:
                self.same(there, place, f"as {event.value}")
            found += self.take(there, arrival)
        return found

    # Fences.

    def fence(self, state: State, ordering: str, place: Place) -> list[State]:
        """Take a fence down."""
        del place
        kinds = {"acquire": {"acquire"}, "release": {"release"}, "acq_rel": {"acquire", "release"}}
        come = kinds.get(ordering, {"acquire", "release", "full", "armed"})
        self.carry(state, ordered=self.together(state).ordered | come)
        return [state]

    def _unordered(self, state: State, fence: str) -> None:
        self.carry(state, ordered=self.together(state).ordered - {fence})

    def ordered(self, state: State, place: Place, fence: str, what: str) -> None:
        """Owe that a fence has come since what it orders."""
        if fence not in self.together(state).ordered:
            self.record(state, "fence", what, place, False)

    # Calls.

    def call(self, state: State, callee: Any, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        """Answer a call of what surrounds the queue."""
        name = callee.name if isinstance(callee, FunctionPointer) else callee
        answers = {
            "allocate": self._allocate,
            "release": self._release,
            "notify": self._notify,
            "callback": self._call_back,
            "read_segment": self._read_segment,
        }
        return answers[name](state, args, place)

    def _allocate(self, state: State, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        _, size, alignment, address = args
        refused = state.fork()
        self.carry(refused, refused=True)
        refused.assume(NO_MEMORY)
        found: list[tuple[State, Any]] = [(refused, NULL)]
        # Memory that is handed out is nobody's.
        nobodys = z3.Not(self.together(state).point.moment.allocated(self.choice.table))
        admitted = self.model.size.admits_table(self.choice.table, self.choice.segments)
        if not self.memory.assume(state, (nobodys, admitted)):
            return found
        for there, arrival in self.at_event(state, place, Event.ALLOCATE):
            for after in self.take(there, arrival):
                segments = self.choice.segments
                self.owe(after, "argument", "a table of one entry a segment", place, size == 16 * segments)
                self.owe(after, "argument", "a table aligned to 16 bytes", place, alignment >= 16)
                moment = self.together(after).point.moment
                table, pointer = self.memory.make_table(after, moment, segments)
                self.carry(after, table=table)
                self.write_out(after, address, self.choice.table, place)
                found.append((after, pointer))
        return found

    def _release(self, state: State, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        _, memory, size = args
        found: list[tuple[State, Any]] = []
        for there, arrival in self.at_event(state, place, Event.RELEASE):
            s = arrival.point.moment
            table = s.addr(s.head)
            handle = memory.term if isinstance(memory, Opaque) else 0
            self.owe(there, "argument", "the chain's own table is released", place, handle == virtual(table))
            self.owe(there, "argument", "with its size", place, size == 16 * s.size(table))
            found += [(after, None) for after in self.take(there, arrival)]
        return found

    def _notify(self, state: State, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        found: list[tuple[State, Any]] = []
        for there, arrival in self.at_event(state, place, Event.NOTIFY):
            self.owe(there, "argument", "the queue's index is told", place, args[1] == queue_index)
            self.same(there, place, "as the device is notified")
            found += [(after, None) for after in self.take(there, arrival)]
        return found

    def _call_back(self, state: State, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        del args
        found: list[tuple[State, Any]] = []
        for there, arrival in self.at_event(state, place, Event.CALL_BACK):
            self.same(there, place, "as the callback is called")
            for after in self.take(there, arrival):
                self.refresh(after, self.together(after).point.moment)
                found.append((after, None))
        return found

    def _read_segment(self, state: State, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        cursor, out = args
        position = cursor.term - CURSOR
        self.owe(state, "argument", "a segment of the list is read", place, position >= 0)
        self.owe(state, "argument", "no segment beyond the list", place, position < self.choice.segments)
        address, length = self.choice.segment_addr(position), self.choice.segment_len(position)
        self.write_out(state, out, address, place)
        self.write_out(state, replace(out, offset=out.offset.plus(Offset(8))), length, place, size=4)
        return [(state, Opaque(position + 1 + CURSOR))]

    def write_out(self, state: State, to: Pointer, value: Any, place: Place, size: int = 8) -> None:
        """Write to memory that the code has lent."""
        site = Site(state, self, place)
        put(site, to.object, locate(site, to, size, size), value)

    def mask(self, state: State, one: Any, other: Any, width: int, place: Place) -> Any:
        """Return the slot of an index: of a power of two, ``queue_size - 1`` masks out the remainder.

        That the mask is this, as far as the index has bits, and that the index has 16, is owed; that
        masking is the remainder then is the lemma mask-is-slot, shown apart.
        """
        del width
        size = self.model.queue_size
        for index, bits in ((one, other), (other, one)):
            if self._mentions(bits, size) and not self._mentions(index, size):
                self.owe(state, "mask", "an index has 16 bits", place, z3.And(index >= 0, index < 1 << 16))
                self.owe(state, "mask", "its mask is queue_size - 1", place, bits % (1 << 16) == size - 1)
                return self.model.size.slot(index)
        return None

    def _mentions(self, term: Any, symbol: z3.ExprRef) -> bool:
        if not isinstance(term, z3.ExprRef):
            return False
        return term.eq(symbol) or any(self._mentions(child, symbol) for child in term.children())

    # Loops.

    def loop(
        self, state: State, function: Function, header: str, values: dict[Local, Any], back: bool
    ) -> list[tuple[State, dict[Local, Any]]] | None:
        """Cut the loop: meet the model at its head, go round once from any moment, and meet it again."""
        place = function.blocks[header].instructions[0].place
        if back:
            self._meet_again(state, f"{function.name}:{header}", values, place)
            return []
        found = []
        cut = self.together(state).cut
        others = [pc for pc in LOOPS if cut is None or pc != cut[1].pc]
        for there, _ in self.arrive(
            state,
            place,
            "the model comes to a loop",
            lambda arrival: arrival.event is None and arrival.point.moment.pc in others,
            stop=others,
        ):
            self.same(there, place, "at the head of the loop")
            found.append(self._cut(there, f"{function.name}:{header}", values, place))
        return found

    def _cut(
        self, state: State, loop: str, values: dict[Local, Any], place: Place
    ) -> tuple[State, dict[Local, Any]]:
        together = self.together(state)
        before = together.point.moment
        self._claim(state, loop, values, before, place, "at first")

        mark = self._mark()
        rounds = round_of(Pc(int(before.pc)))
        changed = {*changed_by(self.model, before, self.choice, rounds)}
        moment = renewed(before, sorted(changed | (set() if before.live is False else set(theirs()))), mark)
        fresh = {variable: _any_like(value, f"{variable.name}{mark}") for variable, value in values.items()}
        self.memory.learn(state, moment)
        self.cuts[list(self.memory.moments)[-1]] = before, moment
        self.memory.fill(state, moment, together.table)
        self.carry(
            state,
            point=replace(together.point, moment=moment),
            begun=False,
            cut=(loop, moment, tuple((variable.name, value) for variable, value in fresh.items())),
        )
        for variable, value in fresh.items():
            for reading in self.readings.get((loop, variable.name), ()):
                claim = _reads(value, _terms(self.model, moment)[reading])
                if claim is not None:
                    self.memory.assume(state, (claim,))
        for reading in self.readings[loop, ""]:
            self.memory.assume(state, (self._ahead(moment)[reading],))
        return state, fresh

    def _meet_again(self, state: State, loop: str, values: dict[Local, Any], place: Place) -> None:
        cut = self.together(state).cut
        if cut is None or cut[0] != loop:
            self.record(state, "loop", "a loop's head is reached from within that loop", place, False)
            return
        _, moment, fresh = cut
        pc = Pc(int(moment.pc))
        for there, _ in self.arrive(
            state,
            place,
            "the model goes round once",
            lambda arrival: arrival.event is None and arrival.point.moment.pc is pc,
            stop=(pc,),
            least=1,
        ):
            self.same(there, place, "after a round of the loop")
            for variable, value in values.items():
                kept = dict(fresh)[variable.name]
                if not isinstance(kept, z3.ExprRef | Opaque) and kept != value:
                    self.record(there, "loop", f"{variable.name} stays what it is", place, False)
            self._claim(there, loop, values, self.together(there).point.moment, place, "again")

    def _claim(
        self, state: State, loop: str, values: dict[Local, Any], moment: Moment, place: Place, when: str
    ) -> None:
        """Claim what is guessed of a loop's variables."""
        terms = _terms(self.model, moment)
        for variable, value in values.items():
            for reading in self.readings.setdefault((loop, variable.name), tuple(terms)):
                goal = _reads(value, terms[reading])
                if goal is not None:
                    what = f"{variable.name} is {reading} {when}"
                    owed = self._owed(state, "loop", what, place, goal)
                    self.claims.append(Claim(loop, variable.name, reading, owed))
        ahead = self._ahead(moment)
        for reading in self.readings.setdefault((loop, ""), tuple(ahead)):
            owed = self._owed(state, "loop", f"{reading} {when}", place, ahead[reading])
            self.claims.append(Claim(loop, "", reading, owed))

    def _ahead(self, s: Moment) -> dict[str, z3.BoolRef]:
        """Return what may be known at a loop's head of the rounds ahead, by name."""
        pc = Pc(int(s.pc))
        again = [self.model.take(name, s, self.choice).guard for name in round_of(pc)]
        ahead = {"another round comes": z3.Or(again)}
        if pc is Pc.SCAN:
            ahead["a descriptor is left"] = s.cursor < self.model.queue_size
        return ahead


def _any_like(value: Any, name: str) -> Any:
    if isinstance(value, Opaque):
        return Opaque(z3.Int(name))
    if isinstance(value, bool | z3.BoolRef):
        return z3.Bool(name)
    return z3.Int(name) if isinstance(value, int | z3.ArithRef) else value


def _terms(model: Steps, s: Moment) -> dict[str, Any]:
    """Return what a variable of a loop may be, in terms of the model, by name."""
    del model
    return {
        "count": s.count,
        "cursor": s.cursor,
        "num_free": s.num_free,
        "previous": s.previous,
        "a pointer to the next segment": s.count + CURSOR,
        "count + 1": s.count + 1,
        "segments - count": s.segments - s.count,
    }


def _reads(value: Any, term: Any) -> Any:
    """Return that a loop's variable is what it is taken for; none if it is no number."""
    number = value.term if isinstance(value, Opaque) else value
    if isinstance(number, bool | z3.BoolRef) or not isinstance(number, int | z3.ArithRef):
        return None
    return number == term
