"""Runs of Python code on integers of any value: every way it can go, with the conditions of each.

The code runs as it is. Where it asks for the truth of a condition that may be either, the run goes one way,
and the other way is run later from the start, with the decisions so far repeated. What the solver can show to
be impossible is not run; what it can't tell is. ``Exploration.coverage`` is the question whether the ways run
are all there are: answered apart, so that nothing rests on what was taken to be impossible on the way.

CrossHair follows Python code, too; on the reference it reached a verdict for the kick alone. So this is a
small explorer of our own: it searches no inputs, has no timeouts, and says so where it can't follow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NoReturn, TypeVar

import z3

from ..solver import options
from ..symbolic.errors import Missing
from ..theorem import Query
from .symbolic_int import Address, Flag, SymbolicBool, SymbolicInt

T = TypeVar("T")

PATHS = 4000
"""How many ways a program may have."""

DECISIONS = 400
"""How many conditions may be met on one way: more is taken for a loop without end."""

GLANCE = 400_000
"""Resources for the question whether a way is possible."""


class Endless(Missing):
    """A program has more ways, or a way more conditions, than are followed."""


class Unsteady(Missing):
    """A program that was run again met other conditions than before: more than its inputs decides."""


class _Impossible(BaseException):
    """No state takes this way. Not an Exception, so that no code catches it."""


@dataclass(frozen=True)
class Due:
    """What has to be shown on a way, and what it says in words."""

    what: str
    goal: z3.BoolRef


@dataclass(frozen=True)
class Path(Generic[T]):
    """One way through a program: its conditions and the facts met on it, in order; result or error.

    ``known`` are the hypotheses in force at its end. ``due`` is to be shown under all of these.
    """

    known: Mapping[str, z3.BoolRef]
    conditions: tuple[z3.BoolRef, ...]
    due: tuple[Due, ...]
    result: T | None
    error: Exception | None

    @property
    def hypotheses(self) -> dict[str, z3.BoolRef]:
        """What is known at its end: the hypotheses in force, and what was decided and assumed on the way."""
        return {**self.known, **{f"on the way {i}": each for i, each in enumerate(self.conditions)}}


@dataclass
class _Mark:
    """One place on a way: a condition and how it was decided, or a fact that was assumed there."""

    condition: z3.BoolRef
    kind: Literal["both", "one", "fact"]
    taken: bool = True


@dataclass(frozen=True)
class _Start:
    marks: tuple[_Mark, ...]
    model: z3.ModelRef | None


class Run:
    """One run of a program: makes inputs, decides conditions, and keeps what has to be shown."""

    def __init__(self, hypotheses: Mapping[str, z3.BoolRef], start: _Start, rlimit: int) -> None:
        self._known = dict(hypotheses)
        self._start = start
        self._rlimit = rlimit
        self._model = start.model if not start.marks else None
        self.marks: list[_Mark] = []
        self.due: list[Due] = []
        self.left: list[_Start] = []
        self.refused: Missing | None = None
        self._names: dict[str, int] = {}
        self._atoms: dict[int, tuple[z3.BoolRef, bool]] = {}  # The term is kept, and with it its number.

    # -- inputs -------------------------------------------------------------------------------------

    def integer(self, name: str) -> SymbolicInt:
        """Return any integer, known by this name."""
        return SymbolicInt(self, z3.Int(name))

    def boolean(self, name: str) -> SymbolicBool:
        """Return any truth value, known by this name."""
        return SymbolicBool(self, z3.Bool(name))

    def number(self, term: Any) -> SymbolicInt:
        """Return the number of a term."""
        return SymbolicInt(self, z3.IntVal(term) if isinstance(term, int) else term)

    def truth(self, flag: Flag) -> SymbolicBool:
        """Return the truth value of a term."""
        return SymbolicBool(self, flag)

    def word(self, bits: Mapping[int, Flag]) -> SymbolicInt:
        """Return the number of which each power of two, by its exponent, is there or not."""
        return SymbolicInt(self, bits=bits)

    def address(self, term: Any) -> Address:
        """Return the address of a term: a number that nobody computes with."""
        return Address(self, z3.IntVal(term) if isinstance(term, int) else term)

    def fresh(self, name: str) -> str:
        """Return a name like this one, new to this run, and the same in each run that comes this way."""
        self._names[name] = count = self._names.get(name, 0) + 1
        return f"{name}'{count}"

    # -- what is known, and what is to be shown ------------------------------------------------------

    @property
    def conditions(self) -> tuple[z3.BoolRef, ...]:
        """What was decided and assumed so far."""
        return tuple(_said(mark) for mark in self.marks)

    def require(self, what: str, goal: Flag) -> None:
        """Note what has to be shown on this way, wherever it leads. It is not assumed."""
        if goal is not True:
            self.due.append(Due(what, _flag(goal)))

    def assume(self, facts: Mapping[str, Flag], *, instead: bool = False) -> None:
        """Take something to be known from here on: it is on whoever says so. ``instead`` forgets what was."""
        terms = {name: fact for name, fact in facts.items() if fact is not True}
        terms = {
            name: each if isinstance(each, z3.BoolRef) else z3.BoolVal(each) for name, each in terms.items()
        }
        if instead:
            self._known = {}
        else:
            terms = {self.fresh(name): fact for name, fact in terms.items()}
        self._known.update(terms)
        fact = z3.And(list(terms.values()))
        place = len(self.marks)
        if place < len(self._start.marks):
            self._same(self._start.marks[place], fact)
        self.marks.append(_Mark(fact, "fact"))
        self._model = None

    def refuse(self, error: Missing) -> NoReturn:
        """Give up the exploration with this error, even if the program catches it."""
        self.refused = error
        raise error

    # -- decisions ----------------------------------------------------------------------------------

    def decide(self, condition: Flag) -> bool:
        """Return the truth of a condition on this run; where it may be either, the other way is run later."""
        if isinstance(condition, bool):
            return condition
        simple = z3.simplify(condition)
        if z3.is_true(simple) or z3.is_false(simple):
            return bool(z3.is_true(simple))
        negated = bool(z3.is_not(simple))
        atom = simple.arg(0) if negated else simple
        if atom.get_id() not in self._atoms:
            self._atoms[atom.get_id()] = atom, self._met(condition) != negated
        return self._atoms[atom.get_id()][1] != negated

    def settle(self, condition: Flag) -> bool:
        """Return the truth of a condition, deciding one by one those it is made of as far as need be."""
        known = self.known(condition)
        if known is not None:
            return known
        if z3.is_not(condition):
            return not self.settle(condition.arg(0))
        if z3.is_and(condition):
            return all(self.settle(each) for each in condition.children())
        if z3.is_or(condition):
            return any(self.settle(each) for each in condition.children())
        if z3.is_implies(condition):
            return not self.settle(condition.arg(0)) or self.settle(condition.arg(1))
        if z3.is_app_of(condition, z3.Z3_OP_ITE):
            return self.settle(condition.arg(1 if self.settle(condition.arg(0)) else 2))
        return self.decide(condition)

    def known(self, condition: Flag) -> bool | None:
        """Return the truth of a condition if it was decided before as it stands, else None."""
        if isinstance(condition, bool):
            return condition
        simple = z3.simplify(condition)
        if z3.is_true(simple) or z3.is_false(simple):
            return bool(z3.is_true(simple))
        negated = bool(z3.is_not(simple))
        atom = simple.arg(0) if negated else simple
        found = self._atoms.get(atom.get_id())
        return None if found is None else found[1] != negated

    def _met(self, condition: z3.BoolRef) -> bool:
        """Decide a condition that is met for the first time on this way."""
        place = len(self.marks)
        if place < len(self._start.marks):
            mark = self._start.marks[place]
            self._same(mark, condition)
            self.marks.append(mark)
            if place + 1 == len(self._start.marks):
                self._model = self._start.model
            return mark.taken
        if place >= DECISIONS:
            self.refuse(Endless(f"more than {DECISIONS} conditions are met on one way"))
        return self._decided(condition)

    def _decided(self, condition: z3.BoolRef) -> bool:
        negation = z3.Not(condition)
        way: bool | None = None
        if self._model is not None:
            value = self._model.eval(condition, model_completion=True)
            way = True if z3.is_true(value) else False if z3.is_false(value) else None
        yes = (True, self._model) if way is True else self._possible(condition)
        no = (True, self._model) if way is False else self._possible(negation)
        if not yes[0] and not no[0]:
            self.marks.append(_Mark(condition, "one", True))
            raise _Impossible
        if yes[0] and no[0]:
            before = tuple(self.marks)
            self.left.append(_Start((*before, _Mark(condition, "both", False)), no[1]))
            self.marks.append(_Mark(condition, "both", True))
        else:
            self.marks.append(_Mark(condition, "one", yes[0]))
        self._model = yes[1] if yes[0] else no[1]
        return yes[0]

    def _possible(self, condition: z3.BoolRef) -> tuple[bool, z3.ModelRef | None]:
        """Tell whether a condition may hold here, and a state where it does, if one was found."""
        solver = z3.Solver()
        for name, value in options(self._rlimit).items():
            solver.set(name, value)
        solver.add(*self._known.values(), *self.conditions, condition)
        answer = solver.check()
        return answer != z3.unsat, solver.model() if answer == z3.sat else None

    def _same(self, mark: _Mark, condition: z3.BoolRef) -> None:
        if not mark.condition.eq(condition):
            self.refuse(Unsteady(f"a run again meets {condition} where it met {mark.condition}"))


@dataclass(frozen=True)
class Exploration(Generic[T]):
    """All the ways of a program. ``tree`` is a formula that fails just where none of them is taken."""

    hypotheses: Mapping[str, z3.BoolRef]
    paths: tuple[Path[T], ...]
    tree: z3.BoolRef

    @property
    def coverage(self) -> Query:
        """The question whether every state takes one of the ways."""
        return Query(dict(self.hypotheses), self.tree)


def explore(
    program: Callable[[Run], T],
    hypotheses: Mapping[str, z3.BoolRef],
    *,
    most: int = PATHS,
    rlimit: int = GLANCE,
) -> Exploration[T]:
    """Run the program on every way there is from a start of which the hypotheses are known.

    The program makes its inputs from the run it is given and does nothing that outlives it. What it returns
    is a path's result; an Exception of its is the path's error. Raises Endless for more than ``most`` ways,
    Unmodelled for what can't be followed (also if the program catches it), Unsteady for a program that does
    different things on the same way.
    """
    waiting = [_Start((), None)]
    paths: list[Path[T]] = []
    ways: list[tuple[list[_Mark], bool]] = []
    while waiting:
        if len(ways) >= most:
            raise Endless(f"there are more than {most} ways")
        run = Run(hypotheses, waiting.pop(), rlimit)
        result, error, possible = None, None, True
        try:
            result = program(run)
        except Missing:
            raise
        except _Impossible:
            possible = False
        except Exception as raised:
            error = raised
        if run.refused is not None:
            raise run.refused
        if possible and len(run.marks) < len(run._start.marks):
            raise Unsteady("a run again ends before it comes to where it parted from another")
        waiting += run.left
        ways.append((run.marks, possible))
        if possible:
            paths.append(Path(dict(run._known), run.conditions, tuple(run.due), result, error))
    return Exploration(dict(hypotheses), tuple(paths), _tree(ways, 0))


def _tree(ways: Sequence[tuple[list[_Mark], bool]], depth: int) -> z3.BoolRef:
    """Return where the ways, which are one up to ``depth``, are taken."""
    marks, possible = ways[0]
    if depth == len(marks):
        if len(ways) > 1:
            raise Unsteady("two runs went the same way")
        return z3.BoolVal(possible)
    mark = marks[depth]
    if mark.kind == "fact":
        return z3.Implies(mark.condition, _tree(ways, depth + 1))
    if mark.kind == "one":
        return z3.And(_said(mark), _tree(ways, depth + 1))
    there = [way for way in ways if way[0][depth].taken]
    elsewhere = [way for way in ways if not way[0][depth].taken]
    return z3.If(mark.condition, _tree(there, depth + 1), _tree(elsewhere, depth + 1))


def _flag(value: Flag) -> z3.BoolRef:
    return value if isinstance(value, z3.BoolRef) else z3.BoolVal(bool(value))


def _said(mark: _Mark) -> z3.BoolRef:
    return mark.condition if mark.taken else z3.Not(mark.condition)
