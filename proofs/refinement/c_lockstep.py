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
from dataclasses import replace
from typing import Any

import z3

from ...model.steps.moment import Moment
from ..symbolic.errors import Unmodelled
from ..symbolic.ir import Place
from ..symbolic.memory import locate, put
from ..symbolic.state import Site, State
from ..symbolic.values import NULL, FunctionPointer, Object, Offset, Opaque, Pointer, equal
from .c_contents import flags_beside, queue_index, used_length, virtual, word
from .c_cutting import CURSOR, Cutting
from .follower import Event

NO_MEMORY = z3.Bool("no memory for a table")
"""Marks the paths on which the allocator has none; says nothing else."""


class Lockstep(Cutting):
    """The surroundings of virtqueue.c, with the model led along."""

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
        if not isinstance(name, str) or name not in answers:
            whom = name if isinstance(name, str) else "what no known pointer points to"
            raise Unmodelled(f"a call of {whom}", place)
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
