"""A compiled queue's beginning and end: where the ring's parts stand, what init makes, what destroy frees.

Of every queue size: the size is a symbol, and a loop is cut at its head. What is known there of the one array
that its rounds write is said outright, by the number ``passed`` of descriptors behind it; a round from any
such state has to lead to the next one, and to leave all else alone. Beside that, queues of 4, 2 and 1
descriptors are followed round by round: there a fault is a concrete ring.

What init leaves is compared with the model's initial moment (``c_contents``), so that the proofs about the
other functions, which start from any moment the invariants allow, have where to start from. That the parts
the functions use are apart, as they take for granted, is shown here: they stand in one block, one behind
the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import z3

from ...model.size import LARGEST
from ...model.steps.moment import Choice, Moment, Pc, unknown
from ...model.steps.queue import Steps
from ...model.term import either
from ..discharge import ObligationResult
from ..symbolic.execution import execute
from ..symbolic.ir import Module, Place
from ..symbolic.memory import locate, put, typed_object
from ..symbolic.state import Site, State
from ..symbolic.values import NULL, Field, FunctionPointer, Null, Object, Offset, Opaque, Pointer, plain
from .c_contents import contents, has_table, queue_index, setting, virtual, word
from .c_loops import Looping
from .c_memory import Memory, structs_of
from .c_questions import Found, Surroundings, is_size, last_place, part, same, sized, verdicts
from .c_virtqueue import size_of_queue
from .deciding import Question, decide
from .refinement import Refinement

EINVAL, ENOMEM = (1 << 32) - 22, (1 << 32) - 12
PAGE, WORD64 = 4096, 1 << 64
LAYOUTS = {"legacy": 0, "modern": 1}
SMALL = (4, 2, 1)


@cache
def few_ones() -> ObligationResult:
    """Show which numbers have fewer than two bits that are 1: what init asks of a size."""
    number = z3.BitVec("number", 32)
    bits = [z3.ZeroExt(31, z3.Extract(bit, bit, number)) for bit in range(32)]
    few = z3.ULT(sum(bits[1:], bits[0]), 2)
    goal = few == z3.Or(number == 0, *(number == 1 << power for power in range(32)))
    label = "of 32 bits, fewer than two are 1 in 0 and in the powers of two"
    return decide(Question(label, (), goal), finite=True)


@dataclass(frozen=True)
class Placement:
    """Where VIRTIO 1.3, 2.7 and 2.7.2, has the parts of a ring, in bytes from its start."""

    avail: Any
    used: Any
    bytes: Any
    alignment: int
    known: tuple[z3.BoolRef, ...] = ()


def placement(size: Any, layout: int) -> Placement:
    """Return the placement of a queue; ``known`` says of ``used`` that it is the next multiple."""
    apart = PAGE if layout == LAYOUTS["legacy"] else 4
    end = 16 * size + 6 + 2 * size
    used: Any = -(-end // apart) * apart if isinstance(size, int) else z3.Int("used_at")
    alignment = PAGE if layout == LAYOUTS["legacy"] else 64
    known = () if isinstance(size, int) else (used % apart == 0, used >= end, used < end + apart)
    return Placement(16 * size, used, used + 6 + 8 * size, alignment, known)


# rp_vq_place


def _place(module: Module, layout: int, size: int | None) -> list[ObligationResult]:
    n: Any = z3.Int("queue_size") if size is None else size
    surroundings, state, place = Surroundings(), State(), last_place(module, "rp_vq_place")
    if size is None:
        state.within(n, 1, LARGEST)
        state.know(is_size(n))
    struct = structs_of(module)["struct.rp_vq_placement"]
    names = {str(i): name for i, name in enumerate(("avail", "used", "bytes", "alignment"))}
    made = typed_object("place", struct, names=names)
    right = placement(n, layout)
    for fact in right.known:
        state.know(fact)
    at = state.add(made, lambda name: z3.Int(f"{name} before"))
    found = Found(surroundings.obligations, {"returns": []})
    for outcome in execute(module, "rp_vq_place", [at, n, layout], state, surroundings):
        there = outcome.state
        found.end("returns", there)
        wanted = {
            "avail": right.avail,
            "used": right.used,
            "bytes": right.bytes,
            "alignment": right.alignment,
        }
        for name, value in wanted.items():
            what = f"the placement's {name}"
            surroundings.alike(there, "result", what, place, there.read(made, name), value)
        for name, multiple in (("alignment", 16), ("avail", 2), ("used", 4)):
            goal = there.read(made, name) % multiple == 0
            surroundings.record(there, "result", f"{name} is a multiple of {multiple}", place, goal)
    return verdicts("rp_vq_place", found)


# rp_vq_init


class _Init(Looping):
    """The allocator, and a queue not yet made."""

    def __init__(self, module: Module, layout: int, size: int | None, *, callback: bool) -> None:
        self.model = Steps(size_of_queue(size))
        self.n = plain(self.model.queue_size)
        super().__init__(self.n, ahead=2)
        self.passed = lambda k: lambda d: either(plain(d < k), d + 1, 0)
        self.layout = layout
        self.place = placement(self.n, layout)
        self.ring: Object | None = None
        memory = Memory(module, self.model)
        self.vq = replace(memory.vq, shared=False, size=structs_of(module)["struct.rp_vq"].size)
        self.ops, self.data = memory.ops, replace(memory.data, size=24 * self.n)
        config = structs_of(module)["struct.rp_vq_config"]
        names = ("queue_size", "queue_index", "layout", "profile", "features", "data")
        self.config = typed_object(
            "config", config, names={str(i): name for i, name in enumerate(names)}, constant=True
        )
        self.callback: Any = FunctionPointer("callback") if callback else NULL

    def start(self) -> State:
        """Return a state in which anything is in memory that init is to write."""
        state, model = State(), self.model
        features, profile = z3.Int("features"), z3.Int("profile")
        state.within(features, 0, WORD64 - 1)
        state.within(profile, 0, 1)
        state.within(queue_index, 0, (1 << 16) - 1)
        if not isinstance(self.n, int):
            state.within(self.n, 0, (1 << 32) - 1)
        for flag, bit in ((model.indirect_desc, 28), (model.event_idx, 29), (z3.Bool("version_1"), 32)):
            state.know(flag == (features / (1 << bit) % 2 == 1))
        state.know(model.mended == (profile == 1))
        state.add(self.vq, lambda name: _anything(self.vq.field(name)))
        state.add(self.data, lambda name: z3.Function(f"data.{name} before", z3.IntSort(), z3.IntSort()))
        calls = {each.name: FunctionPointer(each.name) for each in self.ops.fields}
        state.add(self.ops, {**calls, "callback": self.callback})
        given = {"queue_size": self.n, "queue_index": queue_index, "layout": self.layout}
        state.add(
            self.config, {**given, "profile": profile, "features": features, "data": Pointer(self.data)}
        )
        state.extra["before"] = dict(state.memory)
        return state

    def arguments(self) -> list[Any]:
        """Return what init is called with."""
        return [Pointer(self.vq), Pointer(self.config), Pointer(self.ops), Opaque(z3.Int("context"))]

    def ones(self, state: State, number: Any, width: int, place: Place) -> Any:
        """Name how many bits of a number are 1: fewer than 2 in 0 and in the powers of two (few_ones)."""
        del place
        count = z3.Function("ones", z3.IntSort(), z3.IntSort())(number)
        state.within(count, 0, width)
        powers = z3.Or(number == 0, *(number == 1 << power for power in range(width)))
        state.know((count < 2) == powers)
        return count

    def call(self, state: State, callee: Any, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        """Hand out a block for the ring, or none."""
        if callee != "allocate" or self._made(state):
            self.record(state, "call", f"one block is asked for, and nothing else: {callee}", place, False)
            return []
        context, size, alignment, address = args
        if not isinstance(self.n, int):
            self.owe(state, "size", "a power of two from 1 to 32768", place, is_size(self.n))
            state.within(self.n, 1, LARGEST)
        for fact in self.place.known:
            state.know(fact)
        self.record(
            state, "argument", "the caller's context", place, same(context, Opaque(z3.Int("context")))
        )
        self.owe(state, "argument", "as many bytes as the parts take", place, plain(size == self.place.bytes))
        self.alike(state, "argument", "as aligned as the layout asks", place, alignment, self.place.alignment)
        refused = state.fork()
        refused.extra["refused"] = True
        self.ring = self._block(size)
        at = z3.Int("address")
        state.within(at, 0, WORD64 - 1)
        state.know(at + self.place.bytes <= WORD64)
        before = {
            f.name: z3.Function(f"{f.name} before", z3.IntSort(), z3.IntSort()) for f in self.ring.fields
        }
        contents_ = {f.name: before[f.name] if f.stride else before[f.name](0) for f in self.ring.fields}
        pointer = state.add(self.ring, contents_)
        self.cell = (self.ring, "next")
        state.extra["made"] = True
        site = Site(state, self, place)
        put(site, address.object, locate(site, address, 8, 8), at)
        return [(refused, NULL), (state, pointer)]

    def _made(self, state: State) -> bool:
        return "made" in state.extra or "refused" in state.extra

    def _block(self, size: Any) -> Object:
        """Return the ring: its parts where they are placed, and the bytes between them."""
        n, place = self.n, self.place
        desc = (("addr", 0, 8), ("len", 8, 4), ("flags", 12, 2), ("next", 14, 2))
        fields = [Field(name, at, wide, 16, 0, n) for name, at, wide in desc]
        fields += [
            Field("avail.flags", place.avail, 2),
            Field("avail.idx", place.avail + 2, 2),
            Field("avail.ring", place.avail + 4, 2, 2, 0, n + 1),
            Field("used.flags", place.used, 2),
            Field("used.idx", place.used + 2, 2),
            Field("used.id", place.used + 4, 4, 8, 0, n),
            Field("used.len", place.used + 8, 4, 8, 0, n),
            Field("avail_event", place.used + 4 + 8 * n, 2),
        ]
        gap = place.used - (place.avail + 6 + 2 * n)
        fields.append(Field("between", place.avail + 6 + 2 * n, 1, 1, 0, gap))
        return Object("ring", tuple(fields), size=size, align=self.place.alignment)

    def returned(self, state: State, result: Any, place: Place) -> None:
        """Owe what init has to leave: nothing if it refuses, else the model's first moment."""
        if "made" not in state.extra:
            refused = "refused" in state.extra
            right = ENOMEM if refused else EINVAL
            self.alike(state, "result", "why nothing was made", place, result, right)
            if not refused:
                goal = z3.Not(is_size(self.n)) if not isinstance(self.n, int) else False
                self.record(state, "result", "what is refused is no queue size", place, goal)
            for at, held in state.extra["before"].items():
                what = f"{at[0].name}.{at[1]} is left alone"
                self.alike(state, "memory", what, place, state.memory[at], held)
            return
        self.alike(state, "result", "0 for a queue", place, result, 0)
        for (name, cell), right in self._first(state, place).items():
            made = {"vq": self.vq, "data": self.data}.get(name, self.ring)
            assert made is not None
            key = {"avail": f"avail.{cell}", "used": f"used.{cell}"}.get(name, cell)
            actual, kind = state.read(made, key), made.field(key)
            if kind.stride:
                d = z3.Int(f"at {key}")
                goal = same(actual(d), right(d))
                if goal is not True:
                    goal = z3.Implies(z3.And(d >= 0, d < kind.count), goal)
                self.record(state, "memory", f"{made.name}.{key} at return", place, goal)
            else:
                self.alike(state, "memory", f"{made.name}.{key} at return", place, actual, right)

    def _first(self, state: State, place: Place) -> dict[tuple[str, str], Any]:
        """Return what memory has to hold, by object and field: the model's first moment, and the pointers."""
        moment = self.model.initial()
        if self.callback == NULL:
            step = self.model.take("disable_cb", moment, unknown(Choice))
            self.record(state, "step", "callbacks can be switched off", place, step.guard)
            moment = step.after
        assert self.ring is not None
        at, parts = z3.Int("address"), self.place
        pointers = {
            "desc": Pointer(self.ring),
            "avail": Pointer(self.ring, Offset.of(parts.avail)),
            "used": Pointer(self.ring, Offset.of(parts.used)),
            "data": Pointer(self.data),
            "ops": Pointer(self.ops),
            "context": Opaque(z3.Int("context")),
            "ring": Pointer(self.ring),
            "ring_bytes": parts.bytes,
            "desc_address": at,
            "avail_address": at + parts.avail,
            "used_address": at + parts.used,
        }
        device = {
            ("used", "flags"): word(moment.no_notify, 1),
            ("used", "idx"): moment.used_idx,
            ("used", "id"): moment.used_ring,
            ("used", "len"): lambda _: 0,
            ("ring", "avail_event"): moment.avail_event,
        }
        made = {("vq", name): value for name, value in pointers.items()}
        none = {("data", "table_bytes"): lambda _: 0}
        return {**contents(self.model, moment), **setting(self.model), **made, **device, **none}


def _anything(cell: Field) -> Any:
    value = z3.Int(f"vq.{cell.name} before")
    return Opaque(value) if cell.kind == "pointer" else value


def _init(module: Module, layout: int, callback: bool, size: int | None) -> list[ObligationResult]:
    surroundings = _Init(module, layout, size, callback=callback)
    state, place = surroundings.start(), last_place(module, "rp_vq_init")
    ends = ("makes a queue", "is refused memory", *(("refuses a size",) if size is None else ()))
    found = Found(surroundings.obligations, {end: [] for end in ends})
    for outcome in execute(module, "rp_vq_init", surroundings.arguments(), state, surroundings):
        surroundings.returned(outcome.state, outcome.result, place)
        how = [end for at, end in zip(("made", "refused"), ends, strict=False) if at in outcome.state.extra]
        if size is None or how:
            found.end(how[0] if how else ends[-1], outcome.state)
    return [few_ones(), *verdicts("rp_vq_init", found)]


# rp_vq_destroy


class _Destroy(Looping):
    """What takes memory back, and a queue at any moment after the device was reset."""

    def __init__(self, module: Module, size: int | None) -> None:
        model = Steps(size_of_queue(size))
        self.memory = Memory(module, model)
        super().__init__(self.memory.size, ahead=1)
        self.moment: Moment = replace(unknown(Moment), pc=Pc.IDLE, live=False)
        self.cell = (self.memory.data, "table")

    def start(self) -> State:
        """Return the state in which destroy is called."""
        state = self.memory.start(self.moment)
        state.extra["released"] = ()
        before = state.read(self.memory.data, "table")
        self.passed = lambda k: lambda d: either(plain(d < k), 0, before(d))
        return state

    def call(self, state: State, callee: Any, args: Sequence[Any], place: Place) -> list[tuple[State, Any]]:
        """Take memory back."""
        if (callee.name if isinstance(callee, FunctionPointer) else callee) != "release":
            self.record(state, "call", f"memory is released, and nothing else: {callee}", place, False)
            return []
        context, memory, size = args
        self.record(state, "argument", "the queue's context", place, same(context, Opaque(z3.Int("context"))))
        state.extra["released"] += ((memory, size),)
        return [(state, None)]

    def round_over(self, state: State, k: Any, place: Place) -> None:
        """Owe that the table of chain k, if it has one, and nothing else was released."""
        self._released(state, [k], state.extra["released"], place)
        state.extra["released"] = ()

    def returned(self, state: State, place: Place) -> None:
        """Owe that everything was released: the tables first, the ring last."""
        *tables, ring = state.extra["released"] or ((None, 0),)
        vq = self.memory.vq
        self.alike(state, "released", "the ring, at last", place, ring[0], state.read(vq, "ring"))
        self.alike(state, "released", "with its size", place, ring[1], state.read(vq, "ring_bytes"))
        d = z3.Int("descriptor")
        forgotten = same(state.read(self.memory.data, "table")(d), 0)
        if forgotten is not True:
            forgotten = z3.Implies(z3.And(d >= 0, d < self.size), forgotten)
        self.record(state, "released", "no table is remembered", place, forgotten)
        if isinstance(self.size, int):
            self._released(state, list(range(self.size)), tables, place)
            return
        if "cut" not in state.extra:
            self.record(state, "released", "the chains are passed", place, False)
            return
        k = state.extra["cut"][1]
        self.record(state, "released", "no chain is left", place, k == self.size - 1)
        self._released(state, [k], tables, place)

    def _released(self, state: State, heads: list[Any], tables: Sequence[Any], place: Place) -> None:
        """Owe that of these heads those that have a table, and only they, had it released, once."""
        s = self.moment
        own = [has_table(s, h) for h in heads]
        count = z3.Sum([z3.If(flag, 1, 0) for flag in own])
        self.record(state, "released", "as many tables as chains have", place, count == len(tables))
        for h, flag in zip(heads, own, strict=True):
            times = [
                z3.If(z3.And(_number_of(at) == virtual(s.addr(h)), size == 16 * s.size(s.addr(h))), 1, 0)
                for at, size in tables
            ]
            goal = z3.Implies(flag, z3.Sum(times) == 1 if times else False)
            self.record(state, "released", f"the table of chain {h}, once, with its size", place, goal)

    def apart(self, state: State, place: Place) -> None:
        """Owe that no two chains share a table, so that what is released once a chain is released once."""
        g, h = z3.Ints("one other")
        s, size = self.moment, self.memory.model.queue_size
        two = z3.And(g >= 0, h >= 0, g < size, h < size, g != h, has_table(s, g), has_table(s, h))
        goal = z3.Implies(two, s.addr(g) != s.addr(h))
        self.record(state, "released", "two chains have two tables", place, goal)


def _number_of(pointer: Any) -> Any:
    if isinstance(pointer, Opaque) and pointer.offset == Offset(0):
        return pointer.term
    return 0 if isinstance(pointer, Null) else -1


def _destroy(module: Module, size: int | None) -> list[ObligationResult]:
    surroundings = _Destroy(module, size)
    state, place = surroundings.start(), last_place(module, "rp_vq_destroy")
    s = surroundings.moment
    for h in range(size or 0):
        for g in range(h):
            one, other = s.addr(z3.IntVal(g)), s.addr(z3.IntVal(h))
            state.know(z3.Implies(one != other, virtual(one) != virtual(other)))
    surroundings.apart(state, place)
    tiers = surroundings.memory.hypotheses
    found = Found(surroundings.obligations, {"returns": []}, tiers, finite=size is not None)
    for outcome in execute(module, "rp_vq_destroy", [Pointer(surroundings.memory.vq)], state, surroundings):
        surroundings.returned(outcome.state, place)
        found.end("returns", outcome.state)
    return verdicts("rp_vq_destroy", found, possible=size is not None)


# The claims.

_SIZES = (None, *SMALL)

LIFETIME_REFINEMENTS: tuple[Refinement, ...] = (
    Refinement(
        name="c-place",
        title="rp_vq_place puts the parts of a ring where they belong",
        statement="In both layouts: offsets, size and alignment of VIRTIO 1.3, 2.7 and 2.7.2.",
        clause="vring_init, vring_size",
        code="c",
        sizes=(),
        parts=tuple(
            part(f"{name}, {sized(size)}", "rp_vq_place", _place, layout, size)
            for name, layout in LAYOUTS.items()
            for size in (None, 1)
        ),
        broken_by=(),
    ),
    Refinement(
        name="c-init",
        title="rp_vq_init makes the queue the model begins with",
        statement="Of any features, in any memory; or it says why not, and changes nothing.",
        clause="vring_new_virtqueue",
        code="c",
        sizes=(),
        parts=tuple(
            part(
                f"{name}, {'a' if callback else 'no'} callback, {sized(size)}",
                "rp_vq_init",
                _init,
                layout,
                callback,
                size,
            )
            for name, layout in LAYOUTS.items()
            for callback in (True, False)
            for size in _SIZES
        ),
        broken_by=("X8",),
    ),
    Refinement(
        name="c-destroy",
        title="rp_vq_destroy gives all memory back",
        statement="The table of each chain in flight once, then the ring, each with its size; nothing else.",
        clause="vring_del_virtqueue",
        code="c",
        sizes=(),
        parts=tuple(part(sized(size), "rp_vq_destroy", _destroy, size) for size in (None, 2, 1)),
        broken_by=(),
    ),
)
"""Where a queue's memory stands, how it begins and how it ends."""
