"""One task of a proof run, done in one process: the obligations of a theorem about one transition.

An obligation that the quantified proof leaves open is tried on small rings with every quantifier
spelt out: a ring found there refutes it, and nothing found leaves it ``unknown``.
"""

import functools
from dataclasses import dataclass, replace
from typing import Any

from ..model.ring import Ring
from . import counterexample
from .hints import HINTS
from .mutants.registry import MUTANTS
from .solver import Answer, refute, satisfy
from .theorem import Obligation, Query, Stage, Verdict, every_size, one_size
from .theorems import THEOREMS

BUDGET = 12_000_000
"""Resources for one obligation: six times what the dearest takes without its hint."""

HINTED = 500_000
"""Resources for the attempt from hinted hypotheses: the dearest takes less than half."""

PATIENCE = 500_000
"""Resources for the attempt on a mutant from all hypotheses, before small rings are searched."""

SMALL_SIZES = (2, 1, 4, 8)
"""The queue sizes on which a failed proof is searched for a counterexample, likeliest first."""

WITNESS_SIZE = 4
"""The queue size at which hypotheses are shown to be satisfiable.

There ``slot`` is the remainder, so a ring found also satisfies the facts that ``EverySize`` assumes of it.
One size suffices to show a claim not to be empty; some say nothing of the smallest (the second link of a
free list needs two descriptors).
"""


@dataclass(frozen=True)
class Task:
    """What one process does at a time: one theorem, one group of its obligations, one ring."""

    theorem: str
    group: str
    mutant: str | None = None
    witness: bool = True
    budget: int = BUDGET


@dataclass(frozen=True)
class ObligationResult:
    """The verdict on one obligation: what it cost, why it is unknown, or what refutes it."""

    label: str
    verdict: Verdict
    seconds: float
    rlimit: int
    reason: str = ""
    counterexample: dict[str, Any] | None = None


@dataclass(frozen=True)
class TaskResult:
    """The results of one task. ``vacuous`` is none if the hypotheses were not looked at.

    ``unchanged`` says that a mutant's obligations are, letter for letter, those of the shipped ring:
    they were not tried again.
    """

    task: Task
    obligations: tuple[ObligationResult, ...]
    vacuous: bool | None = None
    unchanged: bool = False
    seconds: float = 0.0
    rlimit: int = 0


def discharge(task: Task) -> TaskResult:
    """Try every obligation of the task; deterministic, and free of side effects but for caches."""
    theorem = THEOREMS[task.theorem]
    obligations = [entry for entry in theorem.obligations if entry.group == task.group]
    if task.mutant is None:
        return examine(task, obligations, theorem.subject)
    return _examine_mutant(task, obligations, MUTANTS[task.mutant].model, theorem.subject)


def examine(task: Task, obligations: list[Obligation], model: type = Ring) -> TaskResult:
    """Try obligations of one group on the model, and their hypotheses on a small one."""
    results = tuple(
        _verdict(obligation, model, task.budget, patience=task.budget) for obligation in obligations
    )
    vacuous, spent = _is_vacuous(obligations, model) if task.witness else (None, Answer("", 0.0, 0))
    return TaskResult(
        task,
        results,
        vacuous,
        seconds=sum(result.seconds for result in results) + spent.seconds,
        rlimit=sum(result.rlimit for result in results) + spent.rlimit,
    )


def _examine_mutant(task: Task, obligations: list[Obligation], model: type, subject: type) -> TaskResult:
    results: list[ObligationResult] = []
    for obligation in obligations:
        if not _changed(obligation, model, subject):
            continue
        results.append(_verdict(obligation, model, task.budget, patience=PATIENCE))
        if results[-1].verdict == "refuted":
            break
    return TaskResult(
        task,
        tuple(results),
        unchanged=not results,
        seconds=sum(result.seconds for result in results),
        rlimit=sum(result.rlimit for result in results),
    )


_stages: dict[tuple[int | None, type], Stage] = {}


def _stage(model: type, queue_size: int | None = None) -> Stage:
    """Return the stage for a model, each built once in a process; of what takes a size, at one or at all."""
    key = (queue_size, model)
    if key not in _stages:
        if not getattr(model, "takes_size", False):
            _stages[key] = Stage(model())
        else:
            _stages[key] = every_size(model) if queue_size is None else one_size(queue_size, model)
    return _stages[key]


@functools.cache
def _shipped_query(obligation: Obligation, subject: type) -> Query:
    return obligation.build(_stage(subject))


def _changed(obligation: Obligation, model: type, subject: type) -> bool:
    """Z3 keeps one copy of equal terms, so equal queries have identical parts."""
    shipped, mutated = _shipped_query(obligation, subject), obligation.build(_stage(model))
    return not (
        shipped.goal.eq(mutated.goal)
        and shipped.hypotheses.keys() == mutated.hypotheses.keys()
        and all(shipped.hypotheses[name].eq(mutated.hypotheses[name]) for name in shipped.hypotheses)
    )


def _verdict(obligation: Obligation, model: type, budget: int, patience: int) -> ObligationResult:
    """Prove or refute one obligation: from the hinted hypotheses, from all, on small rings, and insisting."""
    query = obligation.build(_stage(model))
    answer = _from_hint(obligation, query, min(HINTED, budget))
    result = ObligationResult(obligation.label, "unknown", answer.seconds, answer.rlimit)
    if answer.result != "unsat":
        answer = refute(query, min(patience, budget))
        result = _spent(result, answer)
    if answer.result == "unsat":
        return replace(result, verdict="proved", reason="")
    if not obligation.every_size:
        if answer.model is None:
            return result
        return replace(result, verdict="refuted", counterexample=counterexample.read(query, answer.model))
    for queue_size in SMALL_SIZES:
        small = obligation.build(_stage(model, queue_size))
        answer = refute(small, budget)
        result = replace(_spent(result, answer), reason=result.reason)
        if answer.model is not None:
            shown = counterexample.read(small, answer.model)
            return replace(result, verdict="refuted", reason="", counterexample=shown)
    if patience < budget:
        answer = refute(query, budget)
        result = _spent(result, answer)
        if answer.result == "unsat":
            return replace(result, verdict="proved", reason="")
    return result


def _from_hint(obligation: Obligation, query: Query, budget: int) -> Answer:
    """Try the few hypotheses that sufficed before: what follows from them follows from all."""
    names = HINTS.get(obligation.label)
    if names is None:
        return Answer("unknown", 0.0, 0)
    few = {name: hypothesis for name, hypothesis in query.hypotheses.items() if name in names}
    return refute(replace(query, hypotheses=few), budget)


def _spent(result: ObligationResult, answer: Answer) -> ObligationResult:
    return replace(
        result,
        seconds=result.seconds + answer.seconds,
        rlimit=result.rlimit + answer.rlimit,
        reason=answer.reason,
    )


_witnessed: dict[tuple[int, ...], tuple[Query, Answer]] = {}


def _is_vacuous(obligations: list[Obligation], model: type) -> tuple[bool, Answer]:
    """Tell whether some obligation's hypotheses could not be shown to hold together on a small ring.

    Obligations about one transition share hypotheses, which are looked at once: only then do they
    take time, but their resources count for each group, so counts don't depend on who came first.
    """
    seconds, rlimit, vacuous = 0.0, 0, False
    looked_at: set[tuple[int, ...]] = set()
    for obligation in obligations:
        stage = _stage(model, WITNESS_SIZE) if obligation.every_size else _stage(model)
        query = obligation.build(stage)
        key = tuple(hypothesis.get_id() for hypothesis in query.hypotheses.values())
        if key not in _witnessed:
            answer = satisfy(query, BUDGET)
            seconds += answer.seconds
            _witnessed[key] = query, replace(answer, model=None)
        answer = _witnessed[key][1]
        if key not in looked_at:
            looked_at.add(key)
            rlimit += answer.rlimit
        vacuous = vacuous or answer.result != "sat"
    return vacuous, Answer("", seconds, rlimit)
