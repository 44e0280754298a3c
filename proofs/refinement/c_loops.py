"""A loop over the descriptors of a queue of every size, cut at its head."""

from collections.abc import Callable, Iterator
from typing import Any

import z3

from ...model.size import LARGEST
from ..symbolic.ir import Function, Local, Place
from ..symbolic.state import State
from ..symbolic.values import Object, plain
from .c_questions import ROUND, Surroundings, same


class Looping(Surroundings):
    """Cuts loops that pass the descriptors in order, of a queue of every size.

    ``cell`` is the array the rounds write, ``passed(k)`` what it holds when k descriptors are behind,
    ``ahead`` how many at least are not, at the head.
    """

    def __init__(self, size: Any, ahead: int) -> None:
        super().__init__()
        self.size = size
        self.ahead = ahead
        self.cell: tuple[Object, str] | None = None
        self.passed: Callable[[Any], Callable[[Any], Any]] = lambda _: lambda _: 0

    def round_over(self, state: State, k: Any, place: Place) -> None:
        """Owe what a round has to have done for descriptor k."""

    def loop(
        self, state: State, function: Function, header: str, values: dict[Local, Any], back: bool
    ) -> list[tuple[State, dict[Local, Any]]] | None:
        """Cut the loop if the size is a symbol."""
        if isinstance(self.size, int):
            return None
        place = function.blocks[header].instructions[0].place
        if back:
            self._again(state, header, values, place)
            return []
        starts = [value for value in values.values() if isinstance(value, int)]
        if self.cell is None or not starts or "cut" in state.extra:
            self.record(state, "loop", "one loop, over the descriptors", place, False)
            return []
        first = min(starts)
        self._stands(state, first, place, "at first")
        k = z3.Int("passed")
        state.write(*self.cell, self.passed(k))
        for condition in (ROUND, k >= first, k + self.ahead <= self.size, k <= LARGEST):
            state.assume(condition)
        fresh = {v: k + (at - first) if isinstance(at, int) else at for v, at in values.items()}
        state.extra["cut"] = (header, k, fresh, dict(state.memory))
        return [(state, fresh)]

    def _stands(self, state: State, k: Any, place: Place, when: str) -> None:
        assert self.cell is not None
        d = z3.Int("descriptor")
        now, right = plain(state.read(*self.cell)(d)), plain(self.passed(k)(d))
        goal = z3.Implies(z3.And(d >= 0, d < self.size), now == right)
        self.record(state, "loop", f"{self.cell[0].name}.{self.cell[1]} {when}", place, goal)
        self.record(state, "loop", f"descriptors are left {when}", place, k + self.ahead <= self.size)

    def _again(self, state: State, header: str, values: dict[Local, Any], place: Place) -> None:
        cut, k, fresh, memory = state.extra["cut"]
        self.record(state, "loop", "a loop's head is reached from within that loop", place, cut == header)
        self.round_over(state, k, place)
        for variable, value in values.items():
            kept = fresh[variable]
            moved = isinstance(kept, z3.ArithRef) and any(same(k, each) for each in _atoms(kept))
            goal = same(value, kept + 1 if moved else kept)
            self.record(state, "loop", f"{variable.name} after a round", place, goal)
        self._stands(state, k + 1, place, "after a round")
        for at, held in memory.items():
            if at != self.cell and state.memory.get(at) is not held:
                what = f"a round leaves {at[0].name}.{at[1]} alone"
                self.record(state, "loop", what, place, same(state.memory.get(at), held))


def _atoms(term: z3.ArithRef) -> Iterator[z3.ExprRef]:
    yield term
    for child in term.children():
        yield from _atoms(child)
