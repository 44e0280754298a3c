"""What is asked of the step-wise model: that each step keeps each invariant, and claims about steps.

The model has quantifiers, so what fails is looked for in small queues, and the hypotheses of a proof are cut
to those it needs (``hints``).
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..model.steps.invariants import INVARIANTS, assumed
from ..model.steps.moment import Choice, Moment, unknown
from ..model.steps.queue import DRIVER, HANDLER, Steps
from ..model.term import Flag, Step
from .stepwise import modelled, term
from .theorem import Obligation, Query, Stage


@dataclass(frozen=True)
class Taken:
    """One step of any queue: the moment before it, what it left open, and the step."""

    queue: Steps
    before: Moment
    choice: Choice
    step: Step[Moment]

    @property
    def after(self) -> Moment:
        """The moment after the step."""
        return self.step.after


# What all obligations about one transition start from is built once for each model.


@functools.cache
def _moment() -> Moment:
    moment: Moment = unknown(Moment)
    return moment


@functools.cache
def _known(queue: Steps) -> dict[str, Any]:
    return {name: term(flag) for name, flag in assumed(queue, _moment()).items()}


@functools.cache
def _taken(queue: Steps, name: str) -> tuple[Taken, dict[str, Any]]:
    choice: Choice = unknown(Choice)
    step = queue.take(name, _moment(), choice)
    return Taken(queue, _moment(), choice, step), {**_known(queue), "guard": term(step.guard)}


def _asked(taken: Taken, hypotheses: dict[str, Any], goal: Flag) -> Query:
    queue = taken.queue
    values = {
        name: term(getattr(queue, name)) for name in ("queue_size", "event_idx", "indirect_desc", "mended")
    }
    states = {"before": taken.before, "after": taken.after}
    return Query(hypotheses, term(goal), states, values)


def keeps(*names: str) -> Iterator[Obligation]:
    """Yield that each named invariant holds initially, and after a step if all of them held before."""
    for name in names:
        words = INVARIANTS[name].words
        yield Obligation(f"made: {words}", "made", _Initially(name))
        for step in Steps.steps:
            yield Obligation(f"{step}: {words}", step, _Kept(name, step))


@dataclass(frozen=True)
class _Initially:
    invariant: str

    def __call__(self, stage: Stage) -> Query:
        queue = modelled(stage, Steps)
        initial = queue.initial()
        facts = {name: term(fact) for name, fact in queue.facts(initial).items()}
        return Query(facts, term(INVARIANTS[self.invariant].holds(queue, initial)))


@dataclass(frozen=True)
class _Kept:
    invariant: str
    step: str

    def __call__(self, stage: Stage) -> Query:
        queue = modelled(stage, Steps)
        taken, hypotheses = _taken(queue, self.step)
        return _asked(taken, hypotheses, INVARIANTS[self.invariant].holds(queue, taken.after))


def claim(label: str, step: str, formula: Callable[[Taken], Flag | tuple[Flag, Flag]]) -> Obligation:
    """Return what a step has to show beyond keeping invariants.

    The formula is the goal, or a pair: a further hypothesis and the goal.
    """

    def build(stage: Stage) -> Query:
        taken, hypotheses = _taken(modelled(stage, Steps), step)
        result = formula(taken)
        if isinstance(result, tuple):
            return _asked(taken, {**hypotheses, "given": term(result[0])}, result[1])
        return _asked(taken, hypotheses, result)

    return Obligation(f"{step}: {label}", step, build)


def every_step(
    label: str,
    formula: Callable[[Taken], Flag | tuple[Flag, Flag]],
    names: Iterable[str] = (*DRIVER, *HANDLER),
) -> tuple[Obligation, ...]:
    """Return the claim of each step of driver and handler, or of those named."""
    return tuple(claim(label, name, formula) for name in names)


def always(label: str, formula: Callable[[Steps, Moment], tuple[Flag, Flag]]) -> Obligation:
    """Return a claim about any moment: a further hypothesis and the goal."""

    def build(stage: Stage) -> Query:
        queue = modelled(stage, Steps)
        given, goal = formula(queue, _moment())
        values = {"queue_size": term(queue.queue_size)}
        return Query({**_known(queue), "given": term(given)}, term(goal), {"moment": _moment()}, values)

    return Obligation(f"always: {label}", "always", build)
