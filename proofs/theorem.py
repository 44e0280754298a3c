"""Theorems, their obligations, and the stage on which an obligation becomes a question to the solver."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import z3

from ..model.invariants import INVARIANTS, assumed
from ..model.ring import Ring, Step
from ..model.size import EverySize, OneSize
from ..model.state import State

Verdict = Literal["proved", "refuted", "unknown"]


@dataclass(frozen=True)
class Query:
    """A question to the solver: whether the goal follows from the hypotheses.

    Hypotheses go by name: an invariant's, a fact's on slots, or what the obligation calls them.
    ``states`` names the states that a counterexample is read from, in order of time; ``values``
    names further numbers and flags worth showing.
    """

    hypotheses: dict[str, z3.BoolRef]
    goal: z3.BoolRef
    states: dict[str, Any] = field(default_factory=dict)
    values: dict[str, z3.ExprRef] = field(default_factory=dict)


class Stage:
    """One model, shipped or mutated: what obligations are built from.

    The model is a ring, at one size or all, or whatever else a theorem's ``subject`` is.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._steps: dict[str, tuple[Step, dict[str, z3.BoolRef]]] = {}

    @property
    def ring(self) -> Ring:
        """The model of a theorem whose subject is the ring."""
        if not isinstance(self.model, Ring):
            raise TypeError(f"{type(self.model).__name__} is no ring")
        return self.model

    @cached_property
    def initial(self) -> State:
        """The ring as made."""
        return self.ring.initial()

    def step(self, name: str) -> tuple[Step, dict[str, z3.BoolRef]]:
        """Return a transition and its hypotheses: everything known of a state in which it may happen."""
        if name not in self._steps:
            step = self.ring.take(name)
            self._steps[name] = step, {**assumed(self.ring, step.before), "guard": step.guard}
        return self._steps[name]


@dataclass(frozen=True)
class Obligation:
    """One thing a theorem has to show.

    ``group`` names what happens (``init``, a transition, or the lemma itself): obligations of one
    group share their hypotheses. ``every_size`` is false for a lemma without quantifiers, of which
    the solver's ``sat`` is already a refutation.
    """

    label: str
    group: str
    build: Callable[[Stage], Query]
    every_size: bool = True


@dataclass(frozen=True)
class Theorem:
    """A claim about the ring: what a driver author reads, and what the solver is asked.

    ``clause`` is a VIRTIO 1.3 section, with the letter of the requirement (``2.7.10.1f``) or, where the
    text has no keyword, ``n`` and a number (``2.7.13/n1``), or it is a function of Linux 3.11.
    ``broken_by`` names the mutants that break this theorem and no other. ``subject`` is the class of
    the model it speaks of, ``book`` that model's invariants by name; a mutant is tried on the theorems of
    its own subject. A theorem ``expected`` to
    be refuted is a finding about a driver that shipped.
    """

    name: str
    title: str
    statement: str
    clause: str
    obligations: tuple[Obligation, ...]
    broken_by: tuple[str, ...]
    owns: tuple[str, ...] = ()
    book: Mapping[str, Any] = field(default_factory=lambda: INVARIANTS, compare=False, repr=False)
    expected: Verdict = "proved"
    subject: type = Ring

    @property
    def invariants(self) -> tuple[str, ...]:
        """The words of the invariants that this theorem owns."""
        return tuple(self.book[name].words for name in self.owns)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of its obligations, in order."""
        return tuple(dict.fromkeys(obligation.group for obligation in self.obligations))


def every_size(model: Callable[[Any], Any] = Ring) -> Stage:
    """Return the stage on which a proof of a model that takes a size holds for every queue size."""
    return Stage(model(EverySize()))


def one_size(queue_size: int, model: Callable[[Any], Any] = Ring) -> Stage:
    """Return the stage on which a failed proof shows a concrete ring."""
    return Stage(model(OneSize(queue_size)))


def keeps(*names: str) -> Iterator[Obligation]:
    """Yield that each named invariant holds initially, and after a transition if all held before."""
    for name in names:
        yield Obligation(f"init: {INVARIANTS[name].words}", "init", _Initially(name))
        for step in Ring.steps:
            yield Obligation(f"{step}: {INVARIANTS[name].words}", step, _Kept(name, step))


@dataclass(frozen=True)
class _Initially:
    invariant: str

    def __call__(self, stage: Stage) -> Query:
        goal = INVARIANTS[self.invariant].holds(stage.ring, stage.initial)
        return Query(stage.ring.facts(stage.initial), goal, {"initial": stage.initial})


@dataclass(frozen=True)
class _Kept:
    invariant: str
    step: str

    def __call__(self, stage: Stage) -> Query:
        step, hypotheses = stage.step(self.step)
        return asked(stage, step, hypotheses, INVARIANTS[self.invariant].holds(stage.ring, step.after))


def asked(stage: Stage, step: Step, hypotheses: dict[str, z3.BoolRef], goal: z3.BoolRef) -> Query:
    """Return the query about one transition, with all that makes its counterexample readable."""
    values = {
        "queue_size": stage.ring.queue_size,
        "head": step.head,
        "token": step.token,
        "segments": stage.ring.segments,
        "event_idx": stage.ring.event_idx,
        "notified": step.notified,
    }
    return Query(hypotheses, goal, {"before": step.before, "after": step.after}, values)


def claim(
    label: str, group: str, formula: Callable[[Stage, Step], z3.BoolRef | tuple[z3.BoolRef, z3.BoolRef]]
) -> Obligation:
    """Return what a transition has to show beyond keeping invariants.

    The formula is the goal, or a pair: a further hypothesis and the goal.
    """

    def build(stage: Stage) -> Query:
        step, hypotheses = stage.step(group)
        result = formula(stage, step)
        if isinstance(result, tuple):
            return asked(stage, step, {**hypotheses, "given": result[0]}, result[1])
        return asked(stage, step, hypotheses, result)

    return Obligation(f"{group}: {label}", group, build)


def lemma(label: str, build: Callable[[Stage], Query]) -> Obligation:
    """Return a statement without quantifiers and about no transition."""
    return Obligation(label, label, build, every_size=False)
