"""Prove the theorems, on the shipped ring and on its mutants, in parallel processes.

``prove`` is the one entry. It builds no formula itself: tasks are names, and the processes that
serve them build and ask (``discharge``).
"""

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from . import pool
from .cache import Cache
from .discharge import BUDGET, ObligationResult, Task, TaskResult, discharge, recall
from .mutants.registry import MUTANTS
from .report import ProofReport, TheoremResult
from .solver import NAME, SolverMismatch, require_pinned
from .theorem import Theorem, Verdict
from .theorems import PREMISES, THEOREMS

__all__ = ["SolverMismatch", "UnknownMutantError", "UnknownTheoremError", "is_tried", "judge", "prove"]

DEADLINE = 300.0
"""Seconds after which a worker counts as stuck; the budget usual for it ends it long before."""


class UnknownTheoremError(ValueError):
    """A name that is no theorem's."""


class UnknownMutantError(ValueError):
    """An id that is no mutant's of the parametric model."""


def prove(
    names: Sequence[str] | None = None,
    *,
    kill: bool = False,
    mutants: Sequence[str] | None = None,
    fast: bool = False,
    jobs: int = 0,
    on_result: Callable[[TheoremResult], None] | None = None,
    on_mutant: Callable[[str, tuple[str, ...]], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    budget: int = BUDGET,
    cache: Cache | None = None,
) -> ProofReport:
    """Discharge the named theorems, or all of them, and report on each.

    ``kill`` also tries the mutants, all or those whose ids are given, ``fast`` leaves the hypotheses
    unexamined (``vacuous`` is none then), ``jobs`` is the number of processes (0: one per processor),
    ``budget`` the solver's resources per obligation. ``on_result`` hears each theorem as soon as its
    verdict is known, ``on_mutant`` each mutant with the theorems it breaks, ``on_progress`` how
    many obligations are done, and of how many (with those of mutants). An interrupt (Ctrl-C) ends the run,
    not the report.

    With a ``cache`` what was proved before is not proved again, and what is proved is kept, if it may be
    written; ``on_warning`` hears what was wrong with it, a line at a time. Only proofs are taken from there.

    Raises UnknownTheoremError, UnknownMutantError, ValueError if ``jobs`` is negative, and SolverMismatch
    if the solver is not the pinned one.
    """
    if jobs < 0:
        raise ValueError(f"{jobs} processes: none or more are needed")
    for mutant in mutants or ():
        if mutant not in MUTANTS:
            raise UnknownMutantError(f"no mutant of the parametric model is called {mutant!r}")
    require_pinned()
    theorems = _named(names)
    tried = (tuple(MUTANTS) if mutants is None else tuple(mutants)) if kill else ()
    run = _Run(theorems, tried, on_result, on_mutant)
    tasks = [
        Task(theorem.name, group, witness=not fast, budget=budget, quick=fast)
        for theorem in theorems
        for group in theorem.groups
    ]
    tasks += [
        Task(theorem.name, group, mutant, witness=False, budget=budget)
        for mutant in tried
        for theorem in theorems
        if is_tried(mutant, theorem)
        for group in theorem.groups
    ]
    started = time.perf_counter()
    interrupted = False
    progress = _Progress(tasks, on_progress)
    heard: set[str] = set()
    try:
        for task, outcome in _outcomes(tasks, jobs or os.cpu_count() or 1, cache):
            for warning in outcome.warnings if isinstance(outcome, TaskResult) else ():
                if on_warning and warning not in heard:
                    heard.add(warning)
                    on_warning(warning)
            run.take(task, outcome)
            progress.done(task)
        if cache is not None:
            cache.prune()
    except KeyboardInterrupt:
        interrupted = True
    return run.report(time.perf_counter() - started, interrupted)


def _outcomes(
    tasks: Sequence[Task], jobs: int, cache: Cache | None
) -> Iterator[tuple[Task, TaskResult | pool.Failure]]:
    """Yield every task with its outcome: first what is known from before, then what has to be worked out."""
    if cache is None:
        yield from pool.run(discharge, tasks, jobs, DEADLINE)
        return
    cache = replace(cache, solver=NAME, warnings=[])
    known: list[tuple[Task, TaskResult]] = []

    def unknown() -> Iterator[Task]:
        # A finding is never known from before: workers are busy with these while the rest is looked up.
        yield from (task for task in tasks if _is_finding(task))
        for task in tasks:
            outcome = None if _is_finding(task) else recall(task, cache)
            if outcome is not None:
                known.append((task, replace(outcome, warnings=cache.told())))
            elif not _is_finding(task):
                yield task

    fresh = functools.partial(discharge, cache=replace(cache, warnings=[]))
    for task, worked_out in pool.run(fresh, unknown(), jobs, DEADLINE):
        yield from known
        known.clear()
        if isinstance(worked_out, TaskResult):
            worked_out = replace(worked_out, warnings=(*cache.told(), *worked_out.warnings))
        yield task, worked_out
    yield from known


def _is_finding(task: Task) -> bool:
    return task.mutant is None and THEOREMS[task.theorem].expected == "refuted"


class _Progress:
    """How many obligations are done; a task counts for as many as it has."""

    def __init__(self, tasks: Sequence[Task], on_progress: Callable[[int, int], None] | None) -> None:
        self._on_progress = on_progress
        self._sizes = {
            (theorem.name, group): sum(entry.group == group for entry in theorem.obligations)
            for theorem in {task.theorem: THEOREMS[task.theorem] for task in tasks}.values()
            for group in theorem.groups
        }
        self._done, self._total = 0, sum(self._sizes[task.theorem, task.group] for task in tasks)

    def done(self, task: Task) -> None:
        """Note that a task is done, and tell."""
        self._done += self._sizes[task.theorem, task.group]
        if self._on_progress:
            self._on_progress(self._done, self._total)


def _named(names: Sequence[str] | None) -> tuple[Theorem, ...]:
    if names is None:
        return tuple(THEOREMS.values())
    for name in names:
        if name not in THEOREMS:
            raise UnknownTheoremError(f"no theorem is named {name!r}")
    return tuple(theorem for theorem in THEOREMS.values() if theorem.name in names)


class _Run:
    """What is known so far, from the outcomes of tasks in any order."""

    def __init__(
        self,
        theorems: Sequence[Theorem],
        mutants: Sequence[str],
        on_result: Callable[[TheoremResult], None] | None,
        on_mutant: Callable[[str, tuple[str, ...]], None] | None,
    ) -> None:
        self._theorems = theorems
        self._mutants = mutants
        self._on_result, self._on_mutant = on_result, on_mutant
        self._outcomes: dict[tuple[str | None, str], dict[str, TaskResult | pool.Failure]] = {
            (mutant, theorem.name): {}
            for mutant in (None, *self._mutants)
            for theorem in theorems
            if mutant is None or is_tried(mutant, theorem)
        }

    def take(self, task: Task, outcome: TaskResult | pool.Failure) -> None:
        """Note the outcome of a task, and tell of a theorem or mutant that is now complete."""
        self._outcomes[task.mutant, task.theorem][task.group] = outcome
        theorem = THEOREMS[task.theorem]
        if task.mutant is None:
            if self._on_result and self._complete(None, theorem):
                self._on_result(self._result(theorem))
        elif self._on_mutant and all(self._complete(task.mutant, each) for each in self._tried(task.mutant)):
            self._on_mutant(task.mutant, self._broken(task.mutant))

    def report(self, seconds: float, interrupted: bool) -> ProofReport:
        """Return everything known; a theorem that was not completed is unknown."""
        kills = {mutant: self._broken(mutant) for mutant in self._mutants}
        undecided = {
            mutant: names
            for mutant in self._mutants
            if (names := tuple(each.name for each in self._tried(mutant) if self._undecided(mutant, each)))
        }
        results = tuple(self._result(theorem, kills) for theorem in self._theorems)
        return ProofReport(
            theorems=results,
            seconds=seconds,
            solver=NAME,
            kills=kills,
            survivors=tuple(mutant for mutant in kills if self._survives(mutant)),
            undecided=undecided,
            interrupted=interrupted,
            assumed=self._assumed({result.name for result in results if result.verdict == "proved"}),
        )

    def _assumed(self, proved: set[str]) -> tuple[str, ...]:
        """Return the theorems on which those of this run rest, and which this run did not prove."""
        subjects = dict.fromkeys(
            theorem.subject
            for theorem in self._theorems
            if any(entry.every_size for entry in theorem.obligations)
        )
        premises = dict.fromkeys(name for subject in subjects for name in PREMISES.get(subject, ()))
        return tuple(name for name in premises if name not in proved)

    def _survives(self, mutant: str) -> bool:
        """Tell whether a mutant that should break one of the theorems at hand breaks none of them."""
        due = [each for each in self._tried(mutant) if each.name in MUTANTS[mutant].kills]
        fates = [self._fate(mutant, each) for each in due]
        return bool(due) and all(fate == "proved" for fate in fates)

    def _complete(self, mutant: str | None, theorem: Theorem) -> bool:
        return len(self._outcomes[mutant, theorem.name]) == len(theorem.groups)

    def _result(self, theorem: Theorem, kills: dict[str, tuple[str, ...]] | None = None) -> TheoremResult:
        outcomes = self._outcomes[None, theorem.name]
        done = [outcome for outcome in outcomes.values() if isinstance(outcome, TaskResult)]
        by_label = {result.label: result for outcome in done for result in outcome.obligations}
        details = tuple(
            by_label.get(obligation.label) or _missing(obligation.label, outcomes.get(obligation.group))
            for obligation in theorem.obligations
        )
        vacuous = _vacuous(outcomes, theorem)
        verdict, reason = judge(details, vacuous)
        killed = (
            tuple(mutant for mutant, broken in kills.items() if theorem.name in broken) if kills else None
        )
        return TheoremResult(
            name=theorem.name,
            title=theorem.title,
            verdict=verdict,
            expected=theorem.expected,
            seconds=sum(outcome.seconds for outcome in done),
            rlimit=sum(outcome.rlimit for outcome in done),
            obligations=len(theorem.obligations),
            vacuous=vacuous,
            mutants_killed=killed,
            reason=reason,
            details=details,
            satisfiable_at=_satisfiable_at(details),
        )

    def _fate(self, mutant: str, theorem: Theorem) -> Verdict:
        """Return what becomes of a theorem on a mutant: refuted means that the theorem kills it."""
        outcomes = self._outcomes[mutant, theorem.name]
        done = [outcome for outcome in outcomes.values() if isinstance(outcome, TaskResult)]
        shipped = self._result(theorem)
        if shipped.verdict != "proved":
            return "unknown"
        if any(result.verdict == "refuted" for outcome in done for result in outcome.obligations):
            return "refuted"
        tried = all(result.verdict == "proved" for outcome in done for result in outcome.obligations)
        return "proved" if tried and len(done) == len(theorem.groups) else "unknown"

    def _undecided(self, mutant: str, theorem: Theorem) -> bool:
        return self._fate(mutant, theorem) == "unknown"

    def _broken(self, mutant: str) -> tuple[str, ...]:
        return tuple(each.name for each in self._tried(mutant) if self._fate(mutant, each) == "refuted")

    def _tried(self, mutant: str) -> list[Theorem]:
        return [theorem for theorem in self._theorems if is_tried(mutant, theorem)]


def is_tried(mutant: str, theorem: Theorem) -> bool:
    """A mutant is tried on the theorems of its subject; a finding is broken without it."""
    return theorem.expected == "proved" and MUTANTS[mutant].concerns(theorem.subject)


def judge(details: Sequence[ObligationResult], vacuous: bool | None) -> tuple[Verdict, str]:
    """Return a theorem's verdict and, if it is unknown, the reason."""
    if any(result.verdict == "refuted" for result in details):
        return "refuted", ""
    for result in details:
        if result.verdict == "unknown":
            return "unknown", f"{result.label}: {result.reason or 'no answer'}"
    if vacuous:
        return "unknown", "the hypotheses were not shown to be satisfiable"
    return "proved", ""


def _missing(label: str, outcome: TaskResult | pool.Failure | None) -> ObligationResult:
    reason = "not tried: the run ended early"
    if isinstance(outcome, pool.Failure):
        reason = f"{NAME}: {outcome.reason}"
    return ObligationResult(label, "unknown", 0.0, 0, reason)


def _satisfiable_at(details: Sequence[ObligationResult]) -> tuple[int, ...]:
    """Return the queue sizes that all obligations that speak of any have in common."""
    looked = [set(entry.satisfiable_at) for entry in details if entry.satisfiable_at]
    return tuple(sorted(set.intersection(*looked))) if looked else ()


def _vacuous(outcomes: dict[str, TaskResult | pool.Failure], theorem: Theorem) -> bool | None:
    looked = [outcome.vacuous for outcome in outcomes.values() if isinstance(outcome, TaskResult)]
    if any(looked):
        return True
    return False if len(looked) == len(theorem.groups) and None not in looked else None
