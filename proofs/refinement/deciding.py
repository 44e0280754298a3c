"""Deciding what code has to show: few hypotheses first, all of them last.

Most questions about code that follows the model answer themselves: code and model have built the same term.
The rest mostly follow from the path alone, or from a few invariants. What is proved from some hypotheses is
proved from all, so hypotheses are added tier by tier; only a question with all of them is ever called
refuted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import z3

from ..discharge import ObligationResult
from ..solver import Answer, refute, refute_here
from ..theorem import Query, Verdict

Hypotheses = dict[str, z3.BoolRef]

QUICK = 60_000
"""Resources for an attempt from few hypotheses."""

PATIENT = 6_000_000
"""Resources for the last attempt, from all."""

SEEDS = 3
"""How many seeds the last attempts get: what a search loses from one it mostly finds from another."""


GROUPS: tuple[tuple[str, ...], ...] = (
    ("tokens", "coming-back", "typed-surroundings"),
    ("program", "arguments", "num-free", "free-in-range"),
    ("free-head", "next-in-range", "filling", "arguments"),
    ("walking", "chain-links", "one-owner", "chain-is-taken", "coming-back", "next-in-range"),
    ("indices", "time", "slot-in-range", "slot-of-index", "queue-size"),
    ("chain-table", "table-owner", "building", "tokens", "coming-back", "typed-surroundings"),
)
"""Invariants that belong together: what a few of them prove is tried before all of them are searched."""


@dataclass(frozen=True)
class Question:
    """Something to be shown: on this path the goal holds.

    ``tiers`` are hypotheses by name, each tier beside those before it. ``show`` makes a counterexample, as
    plain data, of a model of the solver.
    """

    label: str
    path: tuple[z3.BoolRef, ...]
    goal: Any
    tiers: tuple[Hypotheses, ...] = ()
    show: Callable[[z3.ModelRef], dict[str, Any]] | None = None


def guessed(question: Question) -> bool:
    """Tell whether a guess is proved without much ado: from its path, or from a few hypotheses."""
    path = {f"path {i}": condition for i, condition in enumerate(question.path)}
    goal = question.goal if isinstance(question.goal, z3.BoolRef) else z3.BoolVal(bool(question.goal))
    tries = (few for few, budget, _ in _attempts(question, path, PATIENT) if budget == QUICK)
    return any(refute_here(Query(few, goal), QUICK).result == "unsat" for few in tries)


def decide(question: Question, *, finite: bool, patience: int = PATIENT) -> ObligationResult:
    """Return the verdict. ``finite``: hypotheses have no quantifiers, so that ``sat`` is a counterexample.

    With quantifiers an answer other than ``unsat`` is ``unknown``.
    """
    if question.goal is True or (isinstance(question.goal, z3.BoolRef) and z3.is_true(question.goal)):
        return ObligationResult(question.label, "proved", 0.0, 0)
    goal = question.goal if isinstance(question.goal, z3.BoolRef) else z3.BoolVal(bool(question.goal))
    path = {f"path {i}": condition for i, condition in enumerate(question.path)}
    seconds, spent, answer = 0.0, 0, Answer("unknown", 0.0, 0)
    for hypotheses, budget, seed in _attempts(question, path, patience):
        query = Query(hypotheses, goal)
        here = budget < patience
        answer = refute_here(query, budget) if here else refute(query, budget, seed=seed)
        seconds += answer.seconds
        spent += answer.rlimit
        if answer.result == "unsat":
            return ObligationResult(question.label, "proved", seconds, spent)
        if answer.result == "sat" and finite and hypotheses.keys() >= _all(question, path).keys():
            break
    verdict: Verdict = "refuted" if answer.result == "sat" and finite else "unknown"
    shown = None
    if verdict == "refuted" and question.show is not None and answer.model is not None:
        shown = question.show(answer.model)
    reason = "" if verdict == "refuted" else answer.reason or "nothing was found either way"
    return ObligationResult(question.label, verdict, seconds, spent, reason, shown)


def _all(question: Question, path: Hypotheses) -> Hypotheses:
    together = dict(path)
    for tier in question.tiers:
        together |= tier
    return together


def _attempts(question: Question, path: Hypotheses, patience: int) -> Iterator[tuple[Hypotheses, int, int]]:
    """Yield hypotheses, resources and seed of each attempt, the cheapest first."""
    hypotheses = dict(path)
    yield dict(hypotheses), QUICK, 0
    for place, tier in enumerate(question.tiers):
        if place:
            for group in GROUPS:
                few = {name: tier[name] for name in group if name in tier}
                if few:
                    yield hypotheses | few, QUICK, 0
        hypotheses |= tier
        yield dict(hypotheses), QUICK * 5, 0
    for seed in range(SEEDS):
        yield hypotheses, patience, seed
