"""What is owed where a function of virtqueue.c runs in surroundings of its own, without the model led along.

The surroundings owe what a claim says, in the same list as the executor owes what keeps behaviour defined;
``verdicts`` decides all of it, and shows that some path returns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import z3

from ..discharge import ObligationResult
from ..solver import satisfy
from ..symbolic.environment import Environment
from ..symbolic.errors import Unmodelled
from ..symbolic.ir import Module, Place, function_text
from ..symbolic.state import Obligation, State
from ..symbolic.values import Opaque, Pointer, equal, plain
from ..theorem import Query
from .c_virtqueue import virtqueue_ir
from .deciding import PATIENT, Hypotheses, Question, decide
from .refinement import Code, Part

ROUND = z3.Bool("in a round of the loop")
"""Stands on a path that has come through the head of a loop that is cut."""

Ends = dict[str, list[tuple[z3.BoolRef, ...]]]
Tiers = Callable[[Sequence[z3.BoolRef]], tuple[Hypotheses, ...]]


@dataclass
class Found:
    """What came of running a function: what is owed, the paths to its ends, and what is known on a path.

    ``ends`` has each end that has to be possible, by name, from the beginning.
    """

    owed: list[Obligation]
    ends: Ends
    tiers: Tiers = lambda _: ()
    finite: bool = True

    def end(self, name: str, state: State) -> None:
        """Take down that a path comes to the end of that name."""
        self.ends[name].append((*state.facts, *state.path))


class Surroundings(Environment):
    """Surroundings that owe what a claim says, beside what the executor owes."""

    def record(self, state: State, kind: str, what: str, place: Place, goal: Any) -> None:
        """Owe that the goal holds here."""
        if goal is not True:
            self.obligations.append(Obligation(kind, what, place, state.path, goal, state.facts))

    def alike(self, state: State, kind: str, what: str, place: Place, found: Any, expected: Any) -> None:
        """Owe that two contents are the same."""
        goal = same(found, expected)
        if goal is False and isinstance(plain(found), int) and isinstance(plain(expected), int):
            goal = z3.IntVal(plain(found)) == z3.IntVal(plain(expected))  # So that both are shown.
        self.record(state, kind, what, place, goal)

    def owe(self, state: State, kind: str, what: str, place: Place, goal: Any) -> None:
        """Owe that the goal holds here, and go on as if it did. Raises Ended if it can't."""
        self.record(state, kind, what, place, goal)
        state.assume(goal)


def verdicts(function: str, found: Found, *, possible: bool = True) -> list[ObligationResult]:
    """Return the verdict on all that is owed; with ``possible`` that each end can be come to."""
    asked: dict[tuple[Any, ...], Question] = {}
    for owed in found.owed:
        path = (*owed.facts, *owed.path)
        goal = owed.goal.get_id() if isinstance(owed.goal, z3.ExprRef) else owed.goal
        show = partial(counterexample, owed)
        question = Question(str(owed), path, owed.goal, found.tiers(owed.path), show)
        asked.setdefault((goal, *(each.get_id() for each in path)), question)
    results = []
    for question in asked.values():
        # What is assumed at the head of a loop is more than what comes there: no counterexample.
        through = any(each.eq(ROUND) for each in question.path)
        results.append(decide(question, finite=found.finite and not through))
    if possible:
        results += [_possible(f"{function} {name}", found, paths) for name, paths in found.ends.items()]
    return results


def _possible(what: str, found: Found, paths: Sequence[tuple[z3.BoolRef, ...]]) -> ObligationResult:
    """Show that one of the paths can be gone, with all that is assumed on it."""
    label = f"{what}, on a path that is possible"
    seconds, spent = 0.0, 0
    for path in paths:
        together = {f"path {i}": condition for i, condition in enumerate(path)}
        for tier in found.tiers(path):
            together |= tier
        answer = satisfy(Query(together, z3.BoolVal(True)), PATIENT)
        seconds, spent = seconds + answer.seconds, spent + answer.rlimit
        if answer.result == "sat":
            return ObligationResult(label, "proved", seconds, spent)
    reason = f"of {len(paths)} paths none was shown to be possible"
    return ObligationResult(label, "unknown", seconds, spent, reason)


def counterexample(owed: Obligation, model: z3.ModelRef) -> dict[str, Any]:
    """Return what a model of the solver says: where, what is owed, the values at the start, what differs."""
    values: dict[str, Any] = {}
    for symbol in model.decls():
        if symbol.arity():
            known = model[symbol]
            values[symbol.name()] = str(known.as_list() if isinstance(known, z3.FuncInterp) else known)
        elif not symbol.name().startswith("moment "):
            values[symbol.name()] = _number(model[symbol])
    shown = {"at": str(owed.place), "owed": f"{owed.kind}: {owed.what}", "values": values}
    goal = owed.goal
    if isinstance(goal, z3.BoolRef) and z3.is_implies(goal):
        goal = goal.arg(1)
    if isinstance(goal, z3.BoolRef) and z3.is_eq(goal):
        sides = [each if each.ctx == model.ctx else each.translate(model.ctx) for each in goal.children()]
        shown["found"], shown["expected"] = (_number(model.eval(s, model_completion=True)) for s in sides)
    return shown


def _number(value: Any) -> Any:
    if z3.is_int_value(value):
        return value.as_long()
    return z3.is_true(value) if z3.is_bool(value) else str(value)


def same(one: Any, other: Any) -> Any:
    """That two contents are the same; pointers have to be so at once, of an array nothing is told."""
    one, other = plain(one), plain(other)
    if isinstance(one, int | z3.ArithRef) and isinstance(other, int | z3.ArithRef):
        return equal(one, other)
    if isinstance(one, Opaque) and isinstance(other, Opaque) and one.offset == other.offset:
        return equal(one.term, other.term)
    if isinstance(one, Pointer) and isinstance(other, Pointer) and one.object is other.object:
        return equal(one.offset.number(), other.offset.number())
    return one is other or (type(one) is type(other) and not callable(one) and bool(one == other))


def is_size(number: Any) -> Any:
    """Return that a number is a power of two from 1 to 32768 (VIRTIO 1.3, 2.7)."""
    return z3.Or([number == 1 << power for power in range(16)])


def last_place(module: Module, function: str) -> Place:
    """Return the place of a function's last instruction."""
    return list(module.functions[function].blocks.values())[-1].instructions[-1].place


@dataclass(frozen=True)
class Check:
    """One part of a claim about a function of virtqueue.c: what is asked, of its IR."""

    function: str
    ask: Callable[[Module], list[ObligationResult]]

    def __call__(self, code: Code) -> list[ObligationResult]:
        """Return the verdicts. Raises Missing if the code lacks the function, or cannot be read."""
        module = virtqueue_ir(code.c)
        if self.function not in module.functions:
            what = f"virtqueue.c defines no function {self.function}"
            raise Unmodelled(what, Place(self.function, "virtqueue.c", 0))
        return self.ask(module)

    def key(self, code: Code) -> str:
        """Return the IR of the function and of all that it reaches."""
        module = virtqueue_ir(code.c)
        return (
            function_text(module, self.function)
            if self.function in module.functions
            else f"no {self.function}"
        )


def part(
    label: str, function: str, ask: Callable[..., list[ObligationResult]], *given: Any, **how: Any
) -> Part:
    """Return the part that asks this of a function."""
    check = Check(function, lambda module: ask(module, *given, **how))
    return Part(label, check.key, check)


def sized(size: int | None) -> str:
    """Return how the queue sizes are called."""
    return "every N" if size is None else f"N = {size}"
