"""One path through the code: its memory, its frames, the conditions it took; and what it owes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import z3

from .bounds import Bounds
from .ir import Block, Function, Local, Place
from .shapes import shape
from .values import Flag, Number, Object, Pointer, negation, plain

if TYPE_CHECKING:
    from .environment import Environment


class Ended(Exception):  # noqa: N818 - no error: nothing comes after
    """The path ends here: what it would need cannot hold."""


@dataclass(frozen=True)
class Obligation:
    """Something that has to hold where the path has come to, or the code's behaviour is undefined.

    ``kind``: in-bounds, null, aligned, no-wrap, range, shift, uninitialised, division, unreachable,
    unwinding, freed, constant, assume, or what an environment adds. ``path``: the conditions under which it
    is owed, in the order they were met, goals of earlier obligations among them; ``facts``: what holds on
    every path, and that numbers read from memory fit their cells.
    """

    kind: str
    what: str
    place: Place
    path: tuple[z3.BoolRef, ...]
    goal: Flag
    facts: tuple[z3.BoolRef, ...] = ()

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {self.what}"


@dataclass
class Frame:
    """A function being executed: where it stands, its registers, how often each block was entered."""

    function: Function
    block: Block
    position: int
    locals: dict[str, Any]
    result: Local | None = None
    before: str = ""
    entered: dict[str, int] = field(default_factory=dict)
    allocas: tuple[Object, ...] = ()

    def fork(self) -> "Frame":
        """Return a copy that goes its own way."""
        return Frame(
            self.function,
            self.block,
            self.position,
            dict(self.locals),
            self.result,
            self.before,
            dict(self.entered),
            self.allocas,
        )


class State:
    """A path's state. It is changed in place: ``fork`` it to keep it, and to go two ways.

    ``memory``: for each object and field a value, or a callable from index to value if the field is an array.
    ``path``: conditions; ``facts``: what holds from the start; ``extra``: the environment's own, forked
    shallowly, so keep immutable values there. ``handles``: objects known by their handle. ``witness``: a
    model of the first so many facts and conditions, for ``witnessed``.
    """

    def __init__(self, facts: tuple[z3.BoolRef, ...] = ()) -> None:
        self.memory: dict[tuple[Object, str], Any] = {}
        self.path: tuple[z3.BoolRef, ...] = ()
        self.facts: tuple[z3.BoolRef, ...] = ()
        self.extra: dict[str, Any] = {}
        self.freed: frozenset[Object] = frozenset()
        self.handles: dict[object, tuple[Any, Object]] = {}
        self.bounds = Bounds()
        self.frames: list[Frame] = []
        self.witness: tuple[z3.ModelRef, int, int] | None = None
        self._assumed: dict[int, z3.BoolRef] = {}
        for fact in facts:
            self.know(fact)

    def fork(self) -> "State":
        """Return a copy that goes its own way."""
        other = State()
        other.memory = dict(self.memory)
        other.path = self.path
        other.facts = self.facts
        other.extra = dict(self.extra)
        other.freed = self.freed
        other.handles = dict(self.handles)
        other.bounds = self.bounds.fork()
        other.frames = [frame.fork() for frame in self.frames]
        other.witness = self.witness
        other._assumed = dict(self._assumed)
        return other

    # What is known.

    def know(self, fact: Flag) -> None:
        """Add to the facts: what holds on every path. Raises Ended if it is false."""
        for each in self._new(fact):
            self.facts += (each,)

    def assume(self, flag: Flag) -> None:
        """Add a condition to the path. Raises Ended if it is false, or known not to hold."""
        for each in self._new(flag):
            self.path += (each,)

    def witnessed(self) -> bool:
        """Return whether a model found earlier on the path shows that it can be taken as far as here."""
        if self.witness is None:
            return False
        model, facts, path = self.witness
        new = [*self.facts[facts:], *self.path[path:]]
        if not all(z3.is_true(model.eval(each, model_completion=True)) for each in new):
            return False
        self.witness = (model, len(self.facts), len(self.path))
        return True

    def holds(self, flag: Flag) -> bool | None:
        """Return whether a flag holds, if it is a constant, is among the conditions, or intervals tell."""
        flag = plain(flag)
        if isinstance(flag, bool):
            return flag
        if flag.get_id() in self._assumed:
            return True
        if negation(flag).get_id() in self._assumed:
            return False
        return self._compared(flag)

    def within(self, number: Number, low: int, high: int) -> None:
        """Add the fact that a number is from low to high."""
        if not isinstance(number, int):
            self.know(number >= low)
            self.know(number <= high)

    def _new(self, flag: Flag) -> list[z3.BoolRef]:
        """Take down a flag and each part of a conjunction; return those that say something new."""
        flag = plain(flag)
        if isinstance(flag, bool):
            if not flag:
                raise Ended
            return []
        if z3.is_and(flag):
            return [each for part in flag.children() for each in self._new(part)]
        if z3.is_not(flag) and z3.is_or(flag.arg(0)):
            return [each for part in flag.arg(0).children() for each in self._new(negation(part))]
        known = self.holds(flag)
        if known is False:
            raise Ended
        new = [] if flag.get_id() in self._assumed else [flag]
        self._assumed[flag.get_id()] = flag
        self._refine(flag, True)
        return new

    # Comparisons and intervals.

    def _compared(self, flag: z3.BoolRef) -> bool | None:
        if z3.is_not(flag):
            inner = self._compared(flag.arg(0))
            return None if inner is None else not inner
        if z3.is_and(flag):
            parts = [self.holds(part) for part in flag.children()]
            return False if False in parts else None if None in parts else True
        sides = _sides(flag)
        if sides is None:
            return None
        kind, one, other = sides
        low, high = self.bounds.of(one)
        less, more = self.bounds.of(other)
        if kind == "=":
            if low > more or high < less:
                return False
            return True if low == high == less == more else None
        if kind == "<":
            return True if high < less else False if low >= more else None
        return True if high <= less else False if low > more else None

    def _refine(self, flag: z3.BoolRef, truth: bool) -> None:
        """Narrow the intervals of what is compared."""
        if z3.is_not(flag):
            return self._refine(flag.arg(0), not truth)
        sides = _sides(flag)
        if sides is None:
            return None
        kind, one, other = sides
        if not truth and kind != "=":
            kind, one, other = ("<=" if kind == "<" else "<"), other, one
        low, high = self.bounds.of(one)
        less, more = self.bounds.of(other)
        if kind == "=" and truth:
            self.bounds.note(one, less, more)
            self.bounds.note(other, low, high)
        elif kind == "=":
            for term, (a, b), (c, d) in (
                (one, (low, high), (less, more)),
                (other, (less, more), (low, high)),
            ):
                if c == d and a == c:
                    self.bounds.note(term, a + 1, b)
                if c == d and b == c:
                    self.bounds.note(term, a, b - 1)
        else:
            gap = 1 if kind == "<" else 0
            self.bounds.note(one, low, more - gap)
            self.bounds.note(other, low + gap, more)
        return None

    # Memory.

    def add(self, made: Object, contents: Mapping[str, Any] | Callable[[str], Any]) -> Pointer:
        """Put an object into memory with the contents of its fields; return its address.

        Raises KeyError if the contents name no value for a field.
        """
        for each in made.fields:
            self.memory[made, each.name] = contents(each.name) if callable(contents) else contents[each.name]
        if made.handle is not None:
            self.know_handle(made)
        return Pointer(made)

    def know_handle(self, made: Object) -> None:
        """Let numbers that are this object's handle be pointers to it."""
        handle = plain(made.handle)
        key = handle if isinstance(handle, int) else ("term", handle.get_id())
        self.handles[key] = (handle, made)

    def by_handle(self, term: Number) -> Object | None:
        """Return the object of that handle, if the very same term is one."""
        key = term if isinstance(term, int) else ("term", term.get_id())
        found = self.handles.get(key)
        return found[1] if found is not None else None

    def read(self, made: Object, name: str) -> Any:
        """Return what a field holds: a value, or a callable of an array. KeyError if there is nothing."""
        return self.memory[made, name]

    def write(self, made: Object, name: str, value: Any) -> None:
        """Let a field hold a value, or an array a callable; nothing is checked."""
        self.memory[made, name] = value


_KINDS = {
    z3.Z3_OP_EQ: ("=", False),
    z3.Z3_OP_LT: ("<", False),
    z3.Z3_OP_GT: ("<", True),
    z3.Z3_OP_LE: ("<=", False),
    z3.Z3_OP_GE: ("<=", True),
}


def _sides(flag: z3.BoolRef) -> tuple[str, Any, Any] | None:
    """A comparison of integers as kind (= < <=) and sides, or none if it is something else."""
    kind, children, _ = shape(flag)
    found = _KINDS.get(kind)
    if found is None or not isinstance(children[0], int | z3.ArithRef) or isinstance(children[0], bool):
        return None
    one, other = children
    return (found[0], other, one) if found[1] else (found[0], one, other)


class Site:
    """A place on a path, where things are owed; ``environment`` keeps what is owed."""

    def __init__(self, state: State, environment: "Environment", place: Place) -> None:
        self.state = state
        self.environment = environment
        self.place = place

    def oblige(self, kind: str, what: str, goal: Flag) -> None:
        """Owe that the goal holds here, and go on as if it does. Raises Ended if it is false."""
        goal = plain(goal)
        if self.state.holds(goal) is True:
            return
        state = self.state
        self.environment.obligations.append(Obligation(kind, what, self.place, state.path, goal, state.facts))
        state.assume(goal)
