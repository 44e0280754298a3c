"""The compiled virtqueue and any device at all: what its functions do whatever they read.

Elsewhere the device is honest, as the model's is. Here it is not, and the queue need not be in a state the
model knows: every cell of memory holds anything, but for the pointers and the queue's size, and each read of
a word of the device's (or of anything in the ring, which it can write) gives anything, each time.
What is proved of that holds beside every device.

rp_vq_get_buf is followed up to the test of the id: an id that is none in flight is found out, and nothing is
changed but ``broken``; past the test descriptors are read back, as Linux 3.11 does, and a device that writes
those is trusted (virtqueue.h says so). The functions that take no id do not need that: all they do is shown
to be defined, and to touch nothing but what they are for.

Of every queue size, which is a symbol; no loop is met.
"""

from collections.abc import Sequence
from typing import Any

import z3

from ...model.size import LARGEST
from ...model.steps.queue import Steps
from ..discharge import ObligationResult
from ..symbolic.execution import execute
from ..symbolic.ir import Function, Local, Module, Place
from ..symbolic.state import State
from ..symbolic.values import NULL, Field, FunctionPointer, Object, Opaque, Pointer, plain
from .c_contents import queue_index
from .c_memory import Memory
from .c_operations import EBROKEN
from .c_questions import Found, Surroundings, is_size, last_place, part, same, sized, verdicts
from .c_virtqueue import mask_is_slot, size_of_queue
from .refinement import Refinement

FLAGS = ("broken", "indirect", "event_idx", "little_endian", "mended", "callbacks")
RING = ("desc", "avail", "used")


class AnyDevice(Surroundings):
    """A queue in any state, beside a device that writes anything anywhere in the ring.

    ``reads`` in a state are the values read of used.idx, and the ids; ``called`` what was called.
    """

    def __init__(self, module: Module, size: int | None, *, callback: bool) -> None:
        super().__init__()
        self.memory = Memory(module, Steps(size_of_queue(size)), callback=callback)
        self.size = self.memory.size
        self.callback = callback
        made = self.memory
        self.objects = (made.desc, made.avail, made.used, made.data, made.ops, made.vq)
        self._reads = 0

    def start(self) -> State:
        """Return a state in which memory holds anything of its width."""
        state = State()
        if not isinstance(self.size, int):
            state.within(self.size, 1, LARGEST)
            state.know(is_size(self.size))
        state.within(queue_index, 0, (1 << 16) - 1)
        named = {made.name: made for made in self.objects}
        fixed: dict[str, Any] = {name: Pointer(named[name]) for name in (*RING, "data", "ops")}
        fixed |= {"queue_size": self.size, "queue_index": queue_index, "context": Opaque(z3.Int("context"))}
        for made in self.objects:
            state.add(made, {cell.name: self._cell(state, made, cell, fixed) for cell in made.fields})
        state.extra |= {"before": dict(state.memory), "called": (), "idx": None, "id": None, "slot": None}
        return state

    def _cell(self, state: State, made: Object, cell: Field, fixed: dict[str, Any]) -> Any:
        if made is self.memory.vq and cell.name in fixed:
            return fixed[cell.name]
        if made is self.memory.ops:
            return NULL if cell.name == "callback" and not self.callback else FunctionPointer(cell.name)
        if cell.stride:
            return z3.Function(f"{made.name}.{cell.name}", z3.IntSort(), z3.IntSort())
        value = z3.Int(f"{made.name}.{cell.name}")
        flag = made is self.memory.vq and cell.name in FLAGS
        state.within(value, 0, 1 if flag else (1 << 8 * cell.bytes) - 1)
        return Opaque(value) if cell.kind == "pointer" else value

    def load(
        self, state: State, made: Object, field: str, index: Any, place: Place
    ) -> list[tuple[State, Any]] | None:
        """Let the device have written anything, wherever it can write; and take down what is asked of it."""
        del place
        if made.name not in RING:
            return None
        self._reads += 1
        value = z3.Int(f"{made.name}.{field} read ({self._reads})")
        state.within(value, 0, (1 << 8 * made.field(field).bytes) - 1)
        if made is self.memory.used and field in ("idx", "id") and state.extra[field] is None:
            state.extra[field] = value
            state.extra["slot"] = index if field == "id" else None
        return [(state, value)]

    def store(
        self, state: State, made: Object, field: str, index: Any, value: Any, place: Place
    ) -> list[State] | None:
        """Owe that the device's own part of the ring is not written."""
        del index, value
        if made is self.memory.used:
            self.record(state, "written", f"used.{field} is the device's", place, False)
        return None

    def call(self, state: State, callee: Any, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        """Take down what is called."""
        name = callee.name if isinstance(callee, FunctionPointer) else callee
        context = same(args[0], Opaque(z3.Int("context")))
        self.record(state, "argument", "the caller's context", place, context)
        if name == "notify":
            self.alike(state, "argument", "the queue's index", place, args[1], queue_index)
        state.extra["called"] += (name,)
        return [(state, None)]

    def mask(self, state: State, one: Any, other: Any, width: int, place: Place) -> Any:
        """Return the slot of an index masked by ``queue_size - 1`` (lemma mask_is_slot)."""
        del width
        size = self.memory.model.queue_size
        for index, bits in ((one, other), (other, one)):
            if _mentions(bits, size) and not _mentions(index, size):
                self.owe(state, "mask", "an index has 16 bits", place, z3.And(index >= 0, index < 1 << 16))
                self.owe(state, "mask", "its mask is queue_size - 1", place, bits % (1 << 16) == size - 1)
                slot = self.memory.model.size.slot(index)
                state.know(z3.And(slot >= 0, slot < size))
                return slot
        return None

    def loop(
        self, state: State, function: Function, header: str, values: dict[Local, Any], back: bool
    ) -> list[tuple[State, dict[Local, Any]]] | None:
        """Owe that no loop is come to: what it does depends on what the device writes."""
        del values, back
        place = function.blocks[header].instructions[0].place
        self.record(state, "loop", "no loop depends on the device", place, False)
        return []

    def unchanged(self, state: State, place: Place, *but: str) -> None:
        """Owe that all cells are what they were, but for those named."""
        for (made, name), held in state.extra["before"].items():
            what = f"{made.name}.{name}"
            now = state.memory[made, name]
            if what not in but and now is not held:
                self.alike(state, "memory", f"{what} is left alone", place, now, held)


def _mentions(term: Any, symbol: z3.ExprRef) -> bool:
    if not isinstance(term, z3.ExprRef):
        return False
    return term.eq(symbol) or any(_mentions(child, symbol) for child in term.children())


def _flag(result: Any) -> Any:
    return result if isinstance(result, bool | z3.BoolRef) else result == 1


# rp_vq_get_buf


_ENDS = ("says at once that it is broken", "finds nothing", "finds a bad id", "accepts an id")


class _AnyId(AnyDevice):
    """Follows get_buf to where it has accepted an id: to its first write of anything but ``broken``."""

    def __init__(self, module: Module, size: int | None) -> None:
        super().__init__(module, size, callback=True)
        # Of a slot little is known but at one size: what fails of every size is no counterexample.
        self.found = Found(self.obligations, {end: [] for end in _ENDS}, finite=size is not None)
        self.token = Object("token", (Field("value", 0, 8, kind="pointer"),), shared=True)
        self.length = Object("length", (Field("value", 0, 4),), shared=True)

    def arguments(self, state: State) -> list[Any]:
        """Return what get_buf is called with."""
        at_token = state.add(self.token, lambda _: Opaque(z3.Int("token before")))
        at_length = state.add(self.length, lambda _: z3.Int("length before"))
        state.within(z3.Int("length before"), 0, (1 << 32) - 1)
        state.extra["before"] = dict(state.memory)
        return [Pointer(self.memory.vq), at_token, at_length]

    def store(
        self, state: State, made: Object, field: str, index: Any, value: Any, place: Place
    ) -> list[State] | None:
        """Owe that the id is one in flight before anything is written, and go no further."""
        if (made.name, field) == ("vq", "broken"):
            return None
        self._accepted(state, place, made, index, value)
        return []

    def call(self, state: State, callee: Any, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        """Owe the same before anything is called."""
        del callee, args
        self._accepted(state, place, None, None, None)
        return []

    def _accepted(self, state: State, place: Place, made: Object | None, index: Any, value: Any) -> None:
        del index
        self.found.end(_ENDS[3], state)
        self.unchanged(state, place)
        self.record(state, "accepted", "only an id in flight is", place, self.good(state))
        self.record(state, "accepted", "while the queue is not broken", place, state.extra["broken"] == 0)
        if state.extra["id"] is None:
            return
        last = z3.Int("vq.last_used_idx")
        slot = last % self.size if isinstance(self.size, int) else self.memory.model.size.slot(last)
        self.alike(state, "accepted", "the next element's", place, state.extra["slot"], slot)
        if made is self.token:
            token = state.read(self.memory.data, "token")(state.extra["id"])
            self.alike(state, "accepted", "the token given is the id's", place, value, Opaque(token))

    def good(self, state: State) -> Any:
        """Return that there is a used element, and its id is that of a chain in flight."""
        idx = state.extra["idx"] if state.extra["idx"] is not None else z3.Int("used.idx not read")
        read = state.extra["id"] if state.extra["id"] is not None else z3.Int("used.id not read")
        token = state.extra["before"][self.memory.data, "token"]
        return z3.And(idx != z3.Int("vq.last_used_idx"), read < self.size, token(read) != 0)

    def returned(self, state: State, result: Any, place: Place) -> None:
        """Owe what get_buf returns before it has accepted an id."""
        broken = state.extra["broken"]
        last, idx, read = z3.Int("vq.last_used_idx"), state.extra["idx"], state.extra["id"]
        self.found.end(_ENDS[0 if idx is None else 1 if read is None else 2], state)
        if idx is None:
            self.record(state, "result", "only a broken queue is not looked at", place, broken == 1)
            self.alike(state, "result", "a broken queue says so", place, result, EBROKEN)
            self.unchanged(state, place)
        elif read is None:
            self.alike(state, "result", "nothing", place, result, 0)
            self.record(state, "result", "if nothing was used", place, idx == last)
            self.unchanged(state, place)
        else:
            self.alike(state, "result", "a bad id is told", place, result, EBROKEN)
            self.record(state, "result", "and is one", place, z3.Not(self.good(state)))
            self.alike(state, "memory", "broken", place, state.read(self.memory.vq, "broken"), 1)
            self.unchanged(state, place, "vq.broken")


def _get_buf(module: Module, size: int | None) -> list[ObligationResult]:
    surroundings = _AnyId(module, size)
    state, place = surroundings.start(), last_place(module, "rp_vq_get_buf")
    arguments = surroundings.arguments(state)
    state.extra["broken"] = state.read(surroundings.memory.vq, "broken")
    for outcome in execute(module, "rp_vq_get_buf", arguments, state, surroundings):
        surroundings.returned(outcome.state, outcome.result, place)
    return [mask_is_slot(), *verdicts("rp_vq_get_buf", surroundings.found)]


# Functions that take no id.


def _interrupt(module: Module, callback: bool, size: int | None) -> list[ObligationResult]:
    surroundings = AnyDevice(module, size, callback=callback)
    state, place = surroundings.start(), last_place(module, "rp_vq_interrupt")
    vq = surroundings.memory.vq
    found = Found(surroundings.obligations, {"returns": []})
    for outcome in execute(module, "rp_vq_interrupt", [Pointer(vq)], state, surroundings):
        there = outcome.state
        found.end("returns", there)
        idx = there.extra["idx"]
        if idx is None:
            surroundings.record(there, "result", "used.idx is read", place, False)
            continue
        ours = idx != z3.Int("vq.last_used_idx")
        surroundings.record(there, "result", "true if it is ours", place, _flag(outcome.result) == ours)
        due = z3.And(ours, z3.Int("vq.broken") == 0) if callback else z3.BoolVal(False)
        called = {(): z3.BoolVal(False), ("callback",): z3.BoolVal(True)}.get(there.extra["called"])
        goal = False if called is None else called == due
        surroundings.record(there, "called", "the callback, if there is one and the queue works", place, goal)
        surroundings.unchanged(there, place)
    return verdicts("rp_vq_interrupt", found)


_WRITES: dict[str, tuple[str, ...]] = {
    "rp_vq_kick_prepare": ("vq.num_added",),
    "rp_vq_notify": (),
    "rp_vq_kick": ("vq.num_added",),
    "rp_vq_disable_cb": ("vq.callbacks", "avail.flags"),
    "rp_vq_enable_cb_prepare": ("vq.callbacks", "avail.flags", "avail.ring"),
    "rp_vq_poll": (),
    "rp_vq_enable_cb": ("vq.callbacks", "avail.flags", "avail.ring"),
    "rp_vq_enable_cb_delayed": ("vq.callbacks", "avail.flags", "avail.ring"),
}
"""What each function may write. Of avail.ring that is used_event, the entry behind the queue's own."""


def _any_words(module: Module, function: str, size: int | None) -> list[ObligationResult]:
    surroundings = AnyDevice(module, size, callback=True)
    state, place = surroundings.start(), last_place(module, function)
    arguments: list[Any] = [Pointer(surroundings.memory.vq)]
    if function == "rp_vq_poll":
        mark = z3.Int("mark")
        state.within(mark, 0, (1 << 16) - 1)
        arguments.append(mark)
    notifies = {"rp_vq_notify": ((("notify",)),), "rp_vq_kick": ((), ("notify",))}.get(function, ((),))
    found = Found(surroundings.obligations, {"returns": []})
    for outcome in execute(module, function, arguments, state, surroundings):
        there = outcome.state
        found.end("returns", there)
        surroundings.unchanged(there, place, *_WRITES[function])
        entry, n = z3.Int("entry"), surroundings.size
        avail = surroundings.memory.avail
        before, now = there.extra["before"][avail, "ring"], there.read(avail, "ring")
        if now is not before:
            goal = z3.Implies(z3.And(entry >= 0, entry < n), plain(now(entry)) == plain(before(entry)))
            surroundings.record(there, "memory", "no entry of the available ring", place, goal)
        calls = there.extra["called"] in notifies
        surroundings.record(there, "called", "nothing, but notify where that is meant", place, calls)
    return verdicts(function, found)


HOSTILE_REFINEMENTS: tuple[Refinement, ...] = (
    Refinement(
        name="c-get-buf-any-id",
        title="rp_vq_get_buf finds an id out that is none in flight",
        statement="Whatever the device writes; then the queue is broken, and nothing else is changed.",
        clause="virtqueue_get_buf",
        code="c",
        sizes=(),
        parts=tuple(part(sized(size), "rp_vq_get_buf", _get_buf, size) for size in (None, 2, 1)),
        broken_by=("A7", "B3", "B13", "X7"),
    ),
    Refinement(
        name="c-interrupt-without-callback",
        title="rp_vq_interrupt calls no callback of a broken queue, or if there is none",
        statement="Whatever the device writes; it says whether something was used, and changes nothing.",
        clause="vring_interrupt",
        code="c",
        sizes=(),
        parts=tuple(
            part(
                f"{'a' if callback else 'no'} callback, {sized(size)}",
                "rp_vq_interrupt",
                _interrupt,
                callback,
                size,
            )
            for callback in (True, False)
            for size in (None, 1)
        ),
        broken_by=(),
    ),
    Refinement(
        name="c-any-words",
        title="What takes no id is defined whatever the device writes",
        statement="And writes nothing but what it is for: kick, its parts, poll, disable_cb, enable_cb.",
        clause="virtqueue_kick_prepare and others",
        code="c",
        sizes=(),
        parts=tuple(
            part(f"{function}, {sized(size)}", function, _any_words, function, size)
            for function in _WRITES
            for size in (None, 1)
        ),
        broken_by=(),
    ),
)
"""What holds beside any device."""
