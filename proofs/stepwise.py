"""Inductions over a model that takes one small step at a time: what is asked of each step.

Such a model has no quantifiers: its obligations are decided as they stand.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, ClassVar, Protocol, TypeVar

import z3

from ..model.term import Flag, Number, Step, both, no, symbols
from .theorem import Obligation, Query, Stage


class Stepwise(Protocol):
    """A model with named steps, and two records: its state, and what a step leaves open.

    ``words`` names the kinds of the state's numbers that stand for words, ``asks`` what each step reads of
    what is left open.
    """

    steps: ClassVar[tuple[str, ...]]
    state: ClassVar[type[Any]]
    choice: ClassVar[type[Any]]
    words: ClassVar[dict[str, type[IntEnum]]]
    asks: ClassVar[dict[str, tuple[str, ...]]]

    def setting(self) -> dict[str, Any]:
        """Return what does not change, by name."""

    def facts(self) -> Flag:
        """Return what is known of the setting."""

    def initial(self) -> Any:
        """Return the first state."""

    def take(self, name: str, s: Any, choice: Any, /) -> Step[Any]:
        """Return the transition of that name."""


M = TypeVar("M")


@dataclass(frozen=True)
class Invariant:
    """One invariant: its name, what it says, and the formula for a model and one of its states."""

    name: str
    words: str
    holds: Callable[[Any, Any], Flag]


def modelled(stage: Stage, subject: type[M]) -> M:
    """Return the stage's model; raises TypeError if it is none of the subject."""
    if not isinstance(stage.model, subject):
        raise TypeError(f"{type(stage.model).__name__} is no {subject.__name__}")
    return stage.model


def induction(
    subject: Any,
    invariants: Sequence[Invariant],
    given: Callable[[Any], Flag] = lambda _: True,
) -> Iterator[Obligation]:
    """Yield that the invariants hold initially, and after each step if all of them held before.

    ``given`` narrows down the settings of which this is claimed.
    """

    def initially(stage: Stage) -> Query:
        model = modelled(stage, subject)
        s = model.initial()
        kept = holding(model, invariants, s)
        states = {"initial": readable(model, s)}
        return ask(model, {"given": given(model)}, both(*kept.values()), states, _broken(kept))

    def keeps(name: str) -> Callable[[Stage], Query]:
        def build(stage: Stage) -> Query:
            model = modelled(stage, subject)
            moment, step, states = _taken(model, name)
            kept = holding(model, invariants, step.after)
            hypotheses = {"given": given(model), **_assumed(model, invariants), "guard": step.guard}
            values = {**_left_open(model, name, moment.choice), **_broken(kept)}
            return ask(model, hypotheses, both(*kept.values()), states, values)

        return build

    yield Obligation("init: the invariants hold", "init", initially, every_size=False)
    for name in subject.steps:
        yield Obligation(f"{name}: the invariants are kept", name, keeps(name), every_size=False)


def claim(
    subject: Any,
    label: str,
    name: str,
    invariants: Sequence[Invariant],
    formula: Callable[[Any, Any, Any, Any], Flag],
) -> Obligation:
    """Return what a step has to show beyond keeping invariants: of model, state, choice and state after."""

    def build(stage: Stage) -> Query:
        model = modelled(stage, subject)
        moment, step, states = _taken(model, name)
        hypotheses = {**_assumed(model, invariants), "guard": step.guard}
        goal = formula(model, moment.state, moment.choice, step.after)
        return ask(model, hypotheses, goal, states, _left_open(model, name, moment.choice))

    return Obligation(f"{name}: {label}", name, build, every_size=False)


def between(
    subject: Any,
    label: str,
    invariants: Sequence[Invariant],
    formula: Callable[[Any, Any, Any], tuple[Flag, Flag]],
) -> Obligation:
    """Return a claim about any moment: of model, state and choice, a further hypothesis and the goal."""

    def build(stage: Stage) -> Query:
        model = modelled(stage, subject)
        moment = _any_moment(model)
        given, goal = formula(model, moment.state, moment.choice)
        hypotheses = {**_assumed(model, invariants), "given": given}
        states = {"state": readable(model, moment.state)}
        return ask(model, hypotheses, goal, states, _left_open(model, "between", moment.choice))

    return Obligation(f"between: {label}", "between", build, every_size=False)


@dataclass(frozen=True)
class _Moment:
    state: Any
    choice: Any


# What several theorems ask about is built once for each model; a model is equal to itself alone.


@functools.cache
def _any_moment(model: Any) -> _Moment:
    return _Moment(symbols(model.state), symbols(model.choice))


@functools.cache
def _taken(model: Any, name: str) -> tuple[_Moment, Step[Any], dict[str, Any]]:
    """Return any moment, the step taken then, and the states before and after it, readable."""
    moment = _any_moment(model)
    step = model.take(name, moment.state, moment.choice)
    states = {"before": readable(model, moment.state), "after": readable(model, step.after)}
    return moment, step, states


@functools.cache
def _holds(model: Any, invariant: Invariant) -> Flag:
    return invariant.holds(model, _any_moment(model).state)


def _assumed(model: Any, invariants: Sequence[Invariant]) -> dict[str, Flag]:
    return {invariant.name: _holds(model, invariant) for invariant in invariants}


def holding(model: Any, invariants: Sequence[Invariant], s: Any) -> dict[str, Flag]:
    """Return what the invariants say of a state, by name."""
    return {invariant.name: invariant.holds(model, s) for invariant in invariants}


def ask(
    model: Any,
    hypotheses: Mapping[str, Flag],
    goal: Flag,
    states: Mapping[str, Any],
    values: Mapping[str, Any],
) -> Query:
    """Return the query; ``states`` are readable ones."""
    facts = {"setting of the model": term(model.facts()), **{n: term(f) for n, f in hypotheses.items()}}
    return Query(
        facts,
        term(goal),
        dict(states),
        {name: term(value) for name, value in {**model.setting(), **values}.items()},
    )


def _left_open(model: Any, step: str, choice: Any) -> dict[str, Any]:
    return {name: getattr(choice, name) for name in model.asks.get(step, ())}


def term(value: Any) -> z3.ExprRef:
    """Return a number or flag as a solver's term."""
    if isinstance(value, bool):
        return z3.BoolVal(value)
    return z3.IntVal(int(value)) if isinstance(value, int) else value


def _broken(kept: Mapping[str, Flag]) -> dict[str, z3.BoolRef]:
    return {f"{name} is broken": term(no(flag)) for name, flag in kept.items()}


_words: dict[type[IntEnum], dict[int, z3.ExprRef]] = {}
_named: dict[tuple[type[IntEnum], int], tuple[z3.ExprRef, z3.ExprRef]] = {}


def _word(kind: type[IntEnum], number: Number) -> z3.ExprRef:
    """Return the name of a member as a term."""
    if kind not in _words:
        _, members = z3.EnumSort(
            kind.__qualname__ + kind.__module__, [member.name.lower() for member in kind]
        )
        _words[kind] = dict(zip((int(member) for member in kind), members, strict=True))
    words = _words[kind]
    if isinstance(number, int):
        return words[int(number)]
    key = kind, number.get_id()
    if key not in _named:
        result = words[min(words)]
        for value, word in words.items():
            result = z3.If(number == value, word, result)
        # The number is kept, too, so that its id is not given to another term.
        _named[key] = number, result
    return _named[key][1]


def readable(model: Any, s: Any) -> Any:
    """Return a state whose fields are all terms, with names in place of numbers that stand for words."""
    terms = {field.name: term(getattr(s, field.name)) for field in fields(s)}
    words = {name: _word(kind, getattr(s, name)) for name, kind in model.words.items()}
    return replace(s, **{**terms, **words})
