"""The objects virtqueue.c works on, as the executor of LLVM IR knows them, and what they hold at a moment."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import z3

from ...model.steps.invariants import assumed
from ...model.steps.moment import Moment, Pc
from ...model.steps.queue import Steps
from ..symbolic.errors import Missing
from ..symbolic.ir import IntType, Module, PointerType, StructType, size_of
from ..symbolic.state import Ended, State
from ..symbolic.values import NULL, Field, FunctionPointer, Object, Opaque, Pointer, plain
from .c_contents import (
    Contents,
    contents,
    has_table,
    setting,
    surroundings,
    table_contents,
    typed,
    virtual,
)
from .deciding import Hypotheses

_VQ = (
    "desc", "avail", "used", "data", "queue_size", "num_free", "free_head", "num_added", "last_used_idx",
    "queue_index", "broken", "indirect", "event_idx", "little_endian", "mended", "callbacks", "ops",
    "context", "ring", "ring_bytes", "desc_address", "avail_address", "used_address",
)  # fmt: skip
_DATA = ("token", "table", "table_bytes")
_OPS = ("allocate", "release", "notify", "callback", "read_segment")

_DESC = (("addr", 0, 8), ("len", 8, 4), ("flags", 12, 2), ("next", 14, 2))
"""Field, offset and size in bytes of a descriptor (VIRTIO 1.3, 2.7.5)."""

QUICK = 30_000
"""Resources to find that a path cannot be."""


class LayoutChanged(Missing):
    """A struct of the C sources has not the fields this proof knows; the message is one line."""


class Memory:
    """The objects, the model they are compared with, and the moments the invariants are assumed of.

    A moment that is known is named by a flag among a path's conditions: what the model's invariants say of it
    joins the hypotheses of whatever has to be shown there.
    """

    def __init__(self, module: Module, model: Steps, *, callback: bool = True) -> None:
        self.model = model
        self.callback = callback
        self.moments: dict[str, Moment] = {}
        self._tiers: dict[tuple[str, ...], tuple[Hypotheses, ...]] = {}
        self._facts: dict[str, tuple[Hypotheses, Hypotheses, Hypotheses]] = {}
        size = plain(model.queue_size)
        self.size = size
        structs = structs_of(module)
        self.desc = Object("desc", _entries(size), shared=True, size=_times(16, size))
        ring = (Field("flags", 0, 2), Field("idx", 2, 2), Field("ring", 4, 2, 2, 0, size + 1))
        self.avail = Object("avail", ring, shared=True)
        used = (
            Field("flags", 0, 2),
            Field("idx", 2, 2),
            Field("id", 4, 4, 8, 0, size),
            Field("len", 8, 4, 8, 0, size),
            Field("avail_event", 4, 2, 8, size, 1),
        )
        self.used = Object("used", used, shared=True)
        data = _array("struct.rp_vq_data", structs, _DATA, size)
        self.data = Object("data", data)
        self.ops = Object("ops", _record("struct.rp_vq_ops", structs, _OPS), constant=True)
        self.vq = Object("vq", _record("struct.rp_vq", structs, _VQ), shared=True)
        self.ring = Object("ring", (), handle=z3.Int("ring"))
        self._objects = {
            made.name: made for made in (self.desc, self.avail, self.used, self.data, self.ops, self.vq)
        }

    def field(self, at: tuple[str, str]) -> tuple[Object, str]:
        """Return the object and the field's name that contents speak of."""
        return self._objects[at[0]], at[1]

    def start(self, moment: Moment) -> State:
        """Return the state of a path that begins at a moment of which the invariants are assumed."""
        state = State()
        size = self.size
        if not isinstance(size, int):
            state.within(size, 1, 1 << 15)
        now = contents(self.model, moment)
        for made in self._objects.values():
            state.add(made, partial(self._first, now, made))
        self.learn(state, moment)
        return state

    def learn(self, state: State, moment: Moment) -> None:
        """Let the invariants be assumed of a moment from here on."""
        name = f"moment {len(self.moments)}"
        self.moments[name] = moment
        state.assume(z3.Bool(name))

    def fill(self, state: State, moment: Moment, table: Object | None) -> None:
        """Let memory hold what a moment says."""
        for at, content in contents(self.model, moment).items():
            state.write(*self.field(at), _raw(content))
        if table is not None:
            for name, content in table_contents(moment).items():
                state.write(table, name, _raw(content))

    def make_table(self, state: State, moment: Moment, entries: Any) -> tuple[Object, Pointer]:
        """Put an indirect table into memory, whose bytes are what they were."""
        made = Object(
            "table", _entries(entries), shared=True, size=_times(16, entries), handle=virtual(moment.table)
        )
        now = table_contents(moment)
        return made, state.add(made, lambda name: _raw(now[name]))

    def differences(self, state: State, moment: Moment, table: Object | None) -> Iterator[tuple[str, Any]]:
        """Yield what has to hold for memory to be what a moment says, by object and field."""
        for at, content in contents(self.model, moment).items():
            made, name = self.field(at)
            yield from self._different(state, made, name, content, moment)
        if table is not None:
            for name, content in table_contents(moment).items():
                yield from self._different(state, table, name, content, moment)
        for at, content in setting(self.model).items():
            yield from self._different(state, *self.field(at), content, moment)

    def _different(
        self, state: State, made: Object, name: str, content: Any, moment: Moment
    ) -> Iterator[tuple[str, Any]]:
        field, actual = made.field(name), state.read(made, name)
        if not callable(content):
            goal = _equal(actual, content)
        else:
            d = z3.Int(f"at {made.name}.{name}")
            goal = _equal(actual(d), content(d))
            if goal is not True:
                inside = [d >= field.low, d < field.low + field.count]
                if (made.name, name) == ("data", "table_bytes"):
                    inside.append(has_table(moment, d))
                goal = z3.Implies(z3.And(inside), goal)
        if goal is not True:
            yield f"{made.name}.{name}", goal

    def assume(self, state: State, conditions: Sequence[z3.BoolRef]) -> bool:
        """Add conditions to the path; false if it then cannot be."""
        try:
            for condition in conditions:
                state.assume(condition)
        except Ended:
            return False
        return self.feasible(state.path)

    def feasible(self, path: Sequence[z3.BoolRef]) -> bool:
        """Tell whether a path may be, as far as its conditions alone tell within a little time."""
        solver = z3.Solver()
        solver.set("rlimit", QUICK)
        solver.add(*path)
        return bool(solver.check() != z3.unsat)

    def hypotheses(self, path: Sequence[z3.BoolRef]) -> tuple[Hypotheses, ...]:
        """Return what is known on a path, in tiers.

        First what needs no search: bounds of numbers, at every moment. Then the last moment's words and
        invariants, then all.
        """
        flags = (flag.decl().name() for flag in path if z3.is_const(flag))
        names = tuple(reversed([name for name in flags if name in self.moments]))
        if names not in self._tiers:
            bounds: Hypotheses = {}
            near: Hypotheses = {**surroundings()}
            far: Hypotheses = {}
            for place, name in enumerate(names):
                mark = "" if place == 0 else f" before {place}"
                lemmas, words, facts = self._known(name)
                bounds |= {key + mark: fact for key, fact in lemmas.items()}
                near |= {key + mark: fact for key, fact in words.items()}
                (near if place == 0 else far).update({key + mark: fact for key, fact in facts.items()})
            self._tiers[names] = (bounds, near, far)
        return self._tiers[names]

    def _known(self, name: str) -> tuple[Hypotheses, Hypotheses, Hypotheses]:
        if name not in self._facts:
            moment = self.moments[name]
            facts = {
                key: fact if isinstance(fact, z3.BoolRef) else z3.BoolVal(fact)
                for key, fact in assumed(self.model, moment).items()
                if fact is not True
            }
            self._facts[name] = lemmas(self.model, moment), typed(self.model, moment), facts
        return self._facts[name]

    def lemmas(self) -> Iterator[tuple[str, Hypotheses, z3.BoolRef]]:
        """Yield what has to follow from the invariants of each moment for its bounds to be known."""
        for name, moment in self.moments.items():
            bounds, words, facts = self._known(name)
            for key, goal in bounds.items():
                yield f"{key} at pc {Pc(int(moment.pc)).name}", {**words, **facts}, goal

    def _first(self, now: Contents, made: Object, name: str) -> Any:
        """What a field holds as a function is called."""
        at = (made.name, name)
        if at in now:
            return _raw(now[at])
        fixed = setting(self.model)
        if at in fixed:
            return plain(fixed[at])
        match at:
            case "vq", "desc" | "avail" | "used" | "data" | "ops":
                return Pointer(self._objects[name])
            case "vq", "context":
                return Opaque(z3.Int("context"))
            case "vq", "ring":
                return Opaque(z3.Int("ring"))
            case "ops", "callback" if not self.callback:
                return NULL
            case "ops", _:
                return FunctionPointer(name)
            case "used", _:
                return _device_owned
        return z3.Int(f"{made.name}.{name}")


def lemmas(model: Steps, s: Moment) -> Hypotheses:
    """Return bounds that follow from the invariants, by name; that they do is shown apart, once a moment."""
    most = model.queue_size - 1 if s.pc == Pc.WALK else model.queue_size
    return {"num-free-bounded": z3.And(s.num_free >= 0, s.num_free <= most)}


def structs_of(module: Module) -> dict[str, StructType]:
    """Return the named structs that a module's instructions step over."""
    return {
        instruction.source_type.name: instruction.source_type
        for function in module.functions.values()
        for block in function.blocks.values()
        for instruction in block.instructions
        if isinstance(instruction.source_type, StructType)
    }


def _device_owned(index: Any) -> Any:
    raise AssertionError(f"the device's words are read by event, not from memory ({index})")


def _entries(count: Any) -> tuple[Field, ...]:
    return tuple(Field(name, offset, size, 16, 0, count) for name, offset, size in _DESC)


def _fields(
    name: str, structs: dict[str, StructType], names: Sequence[str]
) -> Iterator[tuple[str, int, Any]]:
    struct = structs.get(name)
    if struct is None or len(struct.fields) != len(names):
        raise LayoutChanged(f"{name} has not the {len(names)} fields it is known by: {', '.join(names)}")
    for field, (offset, type_) in zip(names, struct.fields, strict=True):
        if not isinstance(type_, IntType | PointerType):
            raise LayoutChanged(f"{name}: {field} is neither a number nor a pointer")
        yield field, offset, type_


def _record(name: str, structs: dict[str, StructType], names: Sequence[str]) -> tuple[Field, ...]:
    return tuple(
        Field(field, offset, size_of(type_), kind="pointer" if isinstance(type_, PointerType) else "int")
        for field, offset, type_ in _fields(name, structs, names)
    )


def _array(name: str, structs: dict[str, StructType], names: Sequence[str], count: Any) -> tuple[Field, ...]:
    return tuple(
        Field(
            field,
            offset,
            size_of(type_),
            structs[name].size,
            0,
            count,
            "pointer" if isinstance(type_, PointerType) else "int",
        )
        for field, offset, type_ in _fields(name, structs, names)
    )


def _times(factor: int, number: Any) -> Any:
    return factor * number


def _raw(content: Any) -> Any:
    """A content as the executor keeps it: numerals as Python's."""
    if callable(content) and not isinstance(content, z3.ExprRef):
        return lambda index: plain(content(index))
    return plain(content)


def _equal(actual: Any, expected: Any) -> Any:
    """That two contents are the same, true at once where they are one term."""
    actual = actual.term if isinstance(actual, Opaque) else plain(actual)
    expected = plain(expected)
    if isinstance(actual, int) and isinstance(expected, int):
        return actual == expected
    if not isinstance(actual, int | z3.ExprRef):
        return False
    if isinstance(actual, z3.ExprRef) and isinstance(expected, z3.ExprRef) and actual.eq(expected):
        return True
    return actual == expected
