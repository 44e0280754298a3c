"""One task of a proof run, done in one process: the obligations of a theorem about one transition.

An obligation that the quantified proof leaves open is tried on small rings with every quantifier
spelt out: a ring found there refutes it, and nothing found leaves it ``unknown``.

What is proved can be kept in a cache, under the text of the question. A task of which everything was proved
leaves a note of those texts under the sources that formulas are made from: while these are the same,
``recall`` needs to build no formula.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..model.ring import Ring
from . import counterexample
from .cache import Cache
from .consulted import may_change
from .fingerprint import key, named, sources
from .hints import HINTS
from .mutants.registry import MUTANTS
from .solver import Answer, options, refute, refute_here
from .stages import question, stage
from .theorem import Obligation, Query, Verdict
from .theorems import THEOREMS
from .witness import SIZES, Shown, Witness, witness

BUDGET = 12_000_000
"""Resources for one obligation: six times what the dearest takes without its hint."""

HINTED = 500_000
"""Resources for the attempt from hinted hypotheses: the dearest takes less than half."""

CHANCES = 4
"""Other seeds that a proof from hinted hypotheses gets, before all of them are given to the solver.

What a search finds late or never from one seed it mostly finds at once from another; among all hypotheses it
is lost more easily. A mutant's obligations, most of which no search proves, get none.
"""

PATIENCE = 1_000_000
"""Resources for the attempt on a mutant from all hypotheses, before small rings are searched."""

SMALL_SIZES = (2, 1, 4, 8)
"""The queue sizes on which a failed proof is searched for a counterexample, likeliest first."""


@dataclass(frozen=True)
class Task:
    """What one process does at a time: one theorem, one group of its obligations, one ring.

    Done quickly, proofs are tried first where the formulas are; their counts then depend on each other.
    """

    theorem: str
    group: str
    mutant: str | None = None
    witness: bool = True
    budget: int = BUDGET
    quick: bool = False


@dataclass(frozen=True)
class ObligationResult:
    """The verdict on one obligation: what it cost, why it is unknown, or what refutes it.

    ``satisfiable_at`` are the queue sizes at which its hypotheses were shown to hold together: none of them
    if they were not looked at, or speak of no queue. ``cached`` tells that the verdict was known from before;
    ``seconds`` and ``rlimit`` are then what it took.
    """

    label: str
    verdict: Verdict
    seconds: float
    rlimit: int
    reason: str = ""
    counterexample: dict[str, Any] | None = None
    satisfiable_at: tuple[int, ...] = ()
    cached: bool = False


@dataclass(frozen=True)
class TaskResult:
    """The results of one task. ``vacuous`` is none if the hypotheses were not looked at.

    ``unchanged`` says that a mutant's obligations are, letter for letter, those of the shipped ring:
    they were not tried again. ``warnings`` is what a user should hear of the cache.
    """

    task: Task
    obligations: tuple[ObligationResult, ...]
    vacuous: bool | None = None
    unchanged: bool = False
    seconds: float = 0.0
    rlimit: int = 0
    warnings: tuple[str, ...] = ()


def discharge(task: Task, cache: Cache | None = None) -> TaskResult:
    """Try every obligation of the task; deterministic, and free of side effects but for caches."""
    theorem = THEOREMS[task.theorem]
    obligations = [entry for entry in theorem.obligations if entry.group == task.group]
    if task.mutant is None:
        # A finding is shown by a small ring, not by how long its proof fails.
        patience = task.budget if theorem.expected == "proved" else 0
        result = examine(task, obligations, theorem.subject, cache, patience)
    else:
        model = MUTANTS[task.mutant].model_of(theorem.subject)
        result = _examine_mutant(task, obligations, model, theorem.subject, cache)
    return result if cache is None else replace(result, warnings=cache.told())


def examine(
    task: Task,
    obligations: list[Obligation],
    model: type = Ring,
    cache: Cache | None = None,
    patience: int | None = None,
) -> TaskResult:
    """Try obligations of one group on the model, and their hypotheses on small ones."""
    results, keys = [], []
    for obligation in obligations:
        result, name = _decided(obligation, model, task, task.budget if patience is None else patience, cache)
        results.append(result)
        keys.append(name)
    found = witness(obligations, model, cache) if task.witness else None
    if found is not None:
        results = [
            replace(result, satisfiable_at=sizes(shown))
            for result, shown in zip(results, found.shown, strict=True)
        ]
    outcome = TaskResult(
        task,
        tuple(results),
        None if found is None else found.vacuous,
        seconds=sum(result.seconds for result in results) + (found.seconds if found else 0.0),
        rlimit=sum(result.rlimit for result in results) + (found.rlimit if found else 0),
    )
    if cache is not None:
        note(cache, outcome, keys, found)
    return outcome


def _examine_mutant(
    task: Task, obligations: list[Obligation], model: type, subject: type, cache: Cache | None
) -> TaskResult:
    results: list[ObligationResult] = []
    keys: list[str | None] = []
    for obligation in obligations:
        if not _changed(obligation, model, subject):
            continue
        result, name = _decided(obligation, model, task, PATIENCE, cache)
        results.append(result)
        keys.append(name)
        if result.verdict == "refuted":
            break
    outcome = TaskResult(
        task,
        tuple(results),
        unchanged=not results,
        seconds=sum(result.seconds for result in results),
        rlimit=sum(result.rlimit for result in results),
    )
    if cache is not None:
        note(cache, outcome, keys, None)
    return outcome


def _changed(obligation: Obligation, model: type, subject: type) -> bool:
    """Z3 keeps one copy of equal terms, so equal queries have identical parts."""
    if not may_change(model, subject, obligation.group):
        return False
    shipped, mutated = question(obligation, subject), question(obligation, model)
    return not (
        shipped.goal.eq(mutated.goal)
        and shipped.hypotheses.keys() == mutated.hypotheses.keys()
        and all(_same(shipped.hypotheses[name], mutated.hypotheses[name]) for name in shipped.hypotheses)
    )


_compared: dict[tuple[int, int], tuple[Any, Any, bool]] = {}


def _same(one: Any, other: Any) -> bool:
    """Compare two hypotheses; those of an invariant are the same two for thousands of obligations."""
    key = id(one), id(other)
    if key not in _compared:
        # Both are kept, too, so that their ids are not given to other terms.
        _compared[key] = one, other, one.eq(other)
    return _compared[key][2]


def _decided(
    obligation: Obligation, model: type, task: Task, patience: int, cache: Cache | None
) -> tuple[ObligationResult, str | None]:
    """Return the verdict on an obligation, from the cache if it is a proof, and the key of its question.

    The key is of the budget, too: what a larger one proves, a smaller one need not.
    """
    query = question(obligation, model)
    few = _hinted(obligation, query)
    if cache is None:
        return _verdict(obligation, query, few, model, task, patience), None
    hint = None if few is None else list(few.hypotheses)
    asked = [options(task.budget), patience, HINTED, hint]
    name = key("proof", query, asked, goal=True)
    # A proof that took its time is as good as a quick one, whose count is its own affair.
    for known_as in (name, key("proof", query, [*asked, "quick"], goal=True)) if task.quick else (name,):
        known = cache.figures("proof", known_as) if known_as else None
        if known is not None:
            return ObligationResult(obligation.label, "proved", *known, cached=True), known_as
        name = known_as
    result = _verdict(obligation, query, few, model, task, patience)
    if name and result.verdict == "proved":
        cache.write("proof", name, {"seconds": result.seconds, "rlimit": result.rlimit})
    return result, name


def _hinted(obligation: Obligation, query: Query) -> Query | None:
    """Return the query from the few hypotheses that sufficed before: what they prove, all prove."""
    names = HINTS.get(obligation.label)
    if names is None:
        return None
    few = {name: hypothesis for name, hypothesis in query.hypotheses.items() if name in names}
    return replace(query, hypotheses=few)


def _verdict(
    obligation: Obligation, query: Query, few: Query | None, model: type, task: Task, patience: int
) -> ObligationResult:
    """Prove or refute one obligation: from the hinted hypotheses, from all, on small rings, and insisting.

    A hinted proof is tried from other seeds, too, unless the proof is likely to fail (``patience``).

    Before small rings are looked at, all hypotheses get the resources of ``patience``; with none they wait.
    """
    budget, answer = task.budget, Answer("unknown", 0.0, 0)
    if task.quick:
        answer = refute_here(query if few is None else few, min(HINTED, budget))
    if few is not None and answer.result != "unsat":
        answer = refute(few, min(HINTED, budget))
    result = ObligationResult(obligation.label, "unknown", answer.seconds, answer.rlimit)
    for seed in range(1, 1 + (CHANCES if patience >= budget else 0)):
        if few is None or answer.result == "unsat":
            break
        answer = refute(few, min(HINTED, budget), seed=seed)
        result = _spent(result, answer)
    if answer.result != "unsat" and (patience or not obligation.every_size):
        answer = refute(query, min(patience or budget, budget))
        result = _spent(result, answer)
    if answer.result == "unsat":
        return replace(result, verdict="proved", reason="")
    if not obligation.every_size:
        if answer.model is None:
            return result
        return replace(result, verdict="refuted", counterexample=counterexample.read(query, answer.model))
    for queue_size in SMALL_SIZES:
        small = obligation.build(stage(model, queue_size))
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


def _spent(result: ObligationResult, answer: Answer) -> ObligationResult:
    return replace(
        result,
        seconds=result.seconds + answer.seconds,
        rlimit=result.rlimit + answer.rlimit,
        reason=answer.reason,
    )


def sizes(shown: Iterable[Shown]) -> tuple[int, ...]:
    """Return the queue sizes at which hypotheses were shown to hold, of those that speak of one."""
    return tuple(each.queue_size for each in shown if each.queue_size is not None)


def note(cache: Cache, result: TaskResult, keys: Sequence[str | None], found: Witness | None) -> None:
    """Note the keys of all questions of a task, if all were proved and none is vacuous."""
    name = _note_of(result.task)
    proved = all(entry.verdict == "proved" for entry in result.obligations)
    if name is None or not proved or result.vacuous or None in keys:
        return
    shown: Sequence[tuple[Shown, ...]] = [()] * len(keys) if found is None else found.shown
    if any(each.key is None for looks in shown for each in looks):
        return
    content = {
        "task": result.task.theorem,
        "unchanged": result.unchanged,
        "seconds": result.seconds,
        "rlimit": result.rlimit,
        "obligations": [
            [entry.label, proof, [[each.queue_size, each.key] for each in looks]]
            for entry, proof, looks in zip(result.obligations, keys, shown, strict=True)
        ],
    }
    cache.write("task", name, content)


def recall(task: Task, cache: Cache) -> TaskResult | None:
    """Return the result of a task of which everything is in the cache, or none; no formula is built."""
    name = _note_of(task)
    content = cache.read("task", name) if name else None
    if name is None or content is None:
        return None
    try:
        results = []
        for label, proof, looks in content["obligations"]:
            figures = cache.figures("proof", proof)
            if figures is None or any(cache.figures("witness", look) is None for _, look in looks):
                return None
            shown = sizes(Shown(queue_size, look) for queue_size, look in looks)
            if task.witness and not looks:
                raise ValueError("an obligation without a witness")
            results.append(ObligationResult(label, "proved", *figures, satisfiable_at=shown, cached=True))
        return TaskResult(
            task,
            tuple(results),
            vacuous=False if task.witness else None,
            unchanged=bool(content["unchanged"]),
            seconds=float(content["seconds"]),
            rlimit=int(content["rlimit"]),
        )
    except (KeyError, TypeError, ValueError):
        cache.discard(name, "is damaged")
        return None


def _note_of(task: Task) -> str | None:
    """Return the key under which a task's questions are noted, or none while sources may be changing."""
    made_from = sources()
    return None if made_from is None else named("task", made_from, asdict(task), SIZES)
