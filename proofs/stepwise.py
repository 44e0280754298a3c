"""Inductions over a model that takes one small step at a time: what is asked of each step.

Such a model has no quantifiers: its obligations are decided as they stand.
"""

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
        return ask(model, {"given": given(model)}, both(*kept.values()), {"initial": s}, _broken(kept))

    def keeps(name: str) -> Callable[[Stage], Query]:
        def build(stage: Stage) -> Query:
            model, s, choice = moment(stage, subject)
            step = model.take(name, s, choice)
            kept = holding(model, invariants, step.after)
            hypotheses = {"given": given(model), **holding(model, invariants, s), "guard": step.guard}
            values = {**_left_open(model, name, choice), **_broken(kept)}
            return ask(model, hypotheses, both(*kept.values()), {"before": s, "after": step.after}, values)

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
        model, s, choice = moment(stage, subject)
        step = model.take(name, s, choice)
        hypotheses = {**holding(model, invariants, s), "guard": step.guard}
        goal = formula(model, s, choice, step.after)
        states = {"before": s, "after": step.after}
        return ask(model, hypotheses, goal, states, _left_open(model, name, choice))

    return Obligation(f"{name}: {label}", name, build, every_size=False)


def between(
    subject: Any,
    label: str,
    invariants: Sequence[Invariant],
    formula: Callable[[Any, Any, Any], tuple[Flag, Flag]],
) -> Obligation:
    """Return a claim about any moment: of model, state and choice, a further hypothesis and the goal."""

    def build(stage: Stage) -> Query:
        model, s, choice = moment(stage, subject)
        given, goal = formula(model, s, choice)
        hypotheses = {**holding(model, invariants, s), "given": given}
        return ask(model, hypotheses, goal, {"state": s}, _left_open(model, "between", choice))

    return Obligation(f"between: {label}", "between", build, every_size=False)


def moment(stage: Stage, subject: Any) -> tuple[Any, Any, Any]:
    """Return the model with any state and any choice."""
    model = modelled(stage, subject)
    return model, symbols(model.state), symbols(model.choice)


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
    """Return the query, with all that makes its counterexample readable."""
    facts = {"setting of the model": term(model.facts()), **{n: term(f) for n, f in hypotheses.items()}}
    return Query(
        facts,
        term(goal),
        {name: _readable(state, model.words) for name, state in states.items()},
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


def _readable(s: Any, kinds: Mapping[str, type[IntEnum]]) -> Any:
    """Return a state whose fields are all terms, with names in place of the numbers of the given kinds."""
    terms = {field.name: term(getattr(s, field.name)) for field in fields(s)}
    return replace(s, **{**terms, **{name: _word(kind, getattr(s, name)) for name, kind in kinds.items()}})
