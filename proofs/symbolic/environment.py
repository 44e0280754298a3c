"""What surrounds the code that is executed: the device, the callbacks, the loops' invariants, the solver."""

from typing import Any

import z3

from .errors import Unmodelled
from .ir import Function, Local, Place
from .state import Obligation, State
from .values import Object, Opaque, Pointer

Answers = list[tuple[State, Any]]
"""Ways on, each with a value: none ends the path, several split it. Each state is to be one of its own."""


class Environment:
    """What code meets, without surroundings: nothing is shared, no call is answered, loops are unrolled.

    Every method may change the state it is given and return it, and has to ``fork`` it for more ways on than
    one, or to keep it. ``stubs``: functions that ``call`` answers although the module defines them.
    ``unwind``: how often a block may be entered anew in a frame, and a function in itself. ``globals``:
    objects for global variables; those not named here have their initial values. ``obligations``: what is
    owed so far, in the order it was met. ``ranges``: that a number read from memory fits its cell becomes a
    fact of the path (it is taken for granted in any case), so that solvers know it, too.
    """

    def __init__(
        self,
        *,
        stubs: frozenset[str] = frozenset(),
        unwind: int = 64,
        globals_: dict[str, Object] | None = None,
        rlimit: int = 100_000,
        ranges: bool = True,
    ) -> None:
        self.stubs = stubs
        self.unwind = unwind
        self.globals: dict[str, Object] = dict(globals_ or {})
        self.rlimit = rlimit
        self.ranges = ranges
        self.obligations: list[Obligation] = []

    def load(self, state: State, made: Object, field: str, index: Any, place: Place) -> Answers | None:
        """Read a shared object; none: what is held there is read. ``index`` is none for no array."""
        del state, made, field, index, place
        return None

    def store(
        self, state: State, made: Object, field: str, index: Any, value: Any, place: Place
    ) -> list[State] | None:
        """Answer before a shared object is written; the states returned (none: this one) are then written."""
        del state, made, field, index, value, place
        return None

    def block(self, state: State, made: Object, place: Place) -> list[State]:
        """Answer before a memset or memcpy in a shared object; raises Unmodelled unless it is overridden."""
        del state
        raise Unmodelled(f"a memset or memcpy in {made.name}, which is shared", place)

    def atomic(self, state: State, made: Object, ordering: str, place: Place) -> None:
        """Hear of an access to a shared object that orders others itself, before it; its meaning is yours.

        Raises Unmodelled unless it is overridden: only fences order.
        """
        del state
        raise Unmodelled(f"an access to {made.name} with the ordering {ordering}", place)

    def call(self, state: State, callee: Any, arguments: tuple[Any, ...], place: Place) -> Answers:
        """Return what a function outside does: its name, or the pointer that is called if it has none."""
        del state, arguments
        known = isinstance(callee, str)
        raise Unmodelled(
            f"a call of {callee}" if known else "a call by a pointer of no known function", place
        )

    def loop(
        self, state: State, function: Function, header: str, values: dict[Local, Any], back: bool
    ) -> list[tuple[State, dict[Local, Any]]] | None:
        """Answer on arrival at a loop's header, where its phis will have these values.

        ``back``: from within the loop. None: go on as it is. Else each state goes on with the values given
        for the same phis; an empty list cuts the path.
        """
        del state, function, header, values, back
        return None

    def fence(self, state: State, ordering: str, place: Place) -> list[State]:
        """Return the states after a fence."""
        del ordering, place
        return [state]

    def mask(self, state: State, one: Any, other: Any, width: int, place: Place) -> Any:
        """Return the bitwise and of two numbers of iW as a term; none where nothing is known of it.

        The operands are as in the code, but for constant operands; one with ``x & (n - 1)`` in mind gets
        ``n + (2^k - 1)`` as a sum where the bounds of ``n`` tell that it doesn't wrap.
        """
        del state, one, other, width, place
        return None

    def ones(self, state: State, number: Any, width: int, place: Place) -> Any:
        """Return how many bits of a number that isn't known are 1, as a term; none: the sum of its bits."""
        del state, number, width, place
        return None

    def resolve(self, state: State, pointer: Opaque, place: Place) -> list[tuple[State, Pointer]] | None:
        """Return which objects a pointer known by a number may point to, when it is followed.

        None: those whose handles the state knows; that it is one of them is owed.
        """
        del state, pointer, place
        return None

    def feasible(self, state: State) -> bool:
        """Return whether the path can be taken; True where a small solver doesn't know."""
        if state.witnessed():
            return True
        solver = z3.Solver()
        solver.set("rlimit", self.rlimit)
        solver.add(*state.facts, *state.path)
        answer = solver.check()
        if answer == z3.sat:
            state.witness = (solver.model(), len(state.facts), len(state.path))
        return bool(answer != z3.unsat)
