"""Prove what is claimed of code, on the code as it is and with defects seeded, in parallel processes.

``prove`` is the one entry. It asks nothing itself: tasks are names and paths, and the processes that serve
them read the code and ask (``examination``).
"""

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .. import pool
from ..cache import Cache
from ..discharge import ObligationResult
from ..report import ProofReport, TheoremResult
from ..solver import NAME, require_pinned
from ..theorem import Verdict
from .examination import Examined, Find, Finding, Outcome, Task, attended
from .refinement import Kind, Refinement

DEADLINE = 900.0
"""Seconds after which a worker counts as stuck: the dearest part takes less than a tenth of them."""

_IN: dict[Kind, str] = {"reference": "the reference", "c": "C", "machine code": "machine code"}

Seed = Callable[[str, Kind], Examined]
"""What makes a copy of the code with a defect: of an id, in code of a kind."""


@dataclass(frozen=True)
class Fate:
    """What became of a defect: what it breaks, what is proved in spite of it, and why others are open."""

    mutant: str
    broken: tuple[str, ...]
    spared: tuple[str, ...]
    undecided: Mapping[str, str]


def titled(refinement: Refinement) -> str:
    """Return a refinement's title, the code it is about, and the queue sizes it holds for."""
    sizes = f"N = {', '.join(map(str, refinement.sizes))}" if refinement.sizes else "every N"
    return f"{refinement.title} ({_IN[refinement.code].removeprefix('the ')}, {sizes})"


def defect(mutant: str, kind: Kind) -> str:
    """Return what a defect in code of a kind is called: the same one may be seeded into several."""
    return f"{mutant} in {_IN[kind]}"


def prove(
    names: Sequence[str],
    examined: Examined,
    find: Find,
    *,
    seed: Seed | None = None,
    jobs: int = 0,
    on_result: Callable[[TheoremResult], None] | None = None,
    on_mutant: Callable[[Fate], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    cache: Cache | None = None,
) -> ProofReport:
    """Discharge the named refinements of the code examined, and report on each as on a theorem.

    ``find`` returns all refinements by name, in their order; it is called in other processes, too. With
    ``seed`` each defect that should break one of them is tried on it; ``kills`` and ``survivors`` of the
    report go by ``defect``. ``jobs`` is the number of processes (0: one per processor).

    ``on_result`` hears each refinement in the order of ``find``, as soon as its verdict and those before are
    known, ``on_mutant`` the fate of each defect, ``on_progress`` how many parts are done,
    and of how many, ``on_warning`` what was wrong with the cache. An interrupt (Ctrl-C) ends the run, not the
    report.

    A refinement is proved if each of its parts has something to prove, and all of it is. What a part lacks
    (``Missing``) makes it unknown, with the reason. Raises ValueError for an unknown name or a negative
    number of processes, SolverMismatch if the solver is not the pinned one, and whatever ``seed`` raises.
    """
    if jobs < 0:
        raise ValueError(f"{jobs} processes: none or more are needed")
    require_pinned()
    known = find()
    for name in names:
        if name not in known:
            raise ValueError(f"no refinement is named {name!r}")
    chosen = [refinement for refinement in known.values() if refinement.name in names]
    run = _Run(chosen, seed is not None, on_result, on_mutant, on_progress)
    work = functools.partial(attended, find=find, cache=_fresh(cache))
    started = time.perf_counter()
    interrupted = False
    heard: set[str] = set()
    try:
        tasks = _tasks(chosen, examined, seed, run)
        for task, outcome in pool.run(work, tasks, jobs or os.cpu_count() or 1, DEADLINE):
            for warning in outcome.warnings if isinstance(outcome, Outcome) else ():
                if on_warning and warning not in heard:
                    heard.add(warning)
                    on_warning(warning)
            run.take(task, outcome)
        if cache is not None:
            cache.prune()
    except KeyboardInterrupt:
        interrupted = True
    return run.report(time.perf_counter() - started, interrupted)


def untried(names: Sequence[str], find: Find) -> ProofReport:
    """Return the report of a run that ended before it began: everything is unknown."""
    chosen = [refinement for refinement in find().values() if refinement.name in names]
    return _Run(chosen, False, None, None, None).report(0.0, interrupted=True)


def _fresh(cache: Cache | None) -> Cache | None:
    return None if cache is None else replace(cache, solver=NAME, warnings=[])


def _tasks(
    chosen: Sequence[Refinement], examined: Examined, seed: Seed | None, run: "_Run"
) -> Iterator[Task]:
    """Yield what is to be done, the code as it is first; copies with defects are made when they are due.

    Where one part is refuted no other is begun: what is wrong should be told soon.
    """
    for refinement in chosen:
        for number in _soonest(refinement):
            if _is_of_every_size(refinement, number):
                # Tasks are drawn before the last outcome is told: by this one, which is none, it has been.
                yield Task(refinement.name, (), examined)
            if run.refuted(refinement.name):
                run.leave(refinement.name, number)
            else:
                yield Task(refinement.name, (number,), examined)
    if seed is None:
        return
    for kind in _IN:
        concerned = [refinement for refinement in chosen if refinement.code == kind]
        for mutant in dict.fromkeys(mutant for each in concerned for mutant in each.broken_by):
            mutated = seed(mutant, kind)
            for refinement in concerned:
                if mutant in refinement.broken_by:
                    yield Task(refinement.name, _soonest(refinement), mutated, mutant, examined)


def _soonest(refinement: Refinement) -> tuple[int, ...]:
    """Return the parts by number, those of every size last: they fail by finding no proof."""
    numbers = range(len(refinement.parts))
    return tuple(sorted(numbers, key=lambda number: _is_of_every_size(refinement, number)))


def _is_of_every_size(refinement: Refinement, number: int) -> bool:
    return "every N" in refinement.parts[number].label


class _Run:
    """What is known so far, from the outcomes of tasks in any order."""

    def __init__(
        self,
        chosen: Sequence[Refinement],
        kill: bool,
        on_result: Callable[[TheoremResult], None] | None,
        on_mutant: Callable[[Fate], None] | None,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._chosen = {refinement.name: refinement for refinement in chosen}
        self._on_result, self._on_mutant, self._on_progress = on_result, on_mutant, on_progress
        self._done = 0
        self._total = sum(len(each.parts) * (1 + len(each.broken_by) * kill) for each in chosen)
        self._found: dict[str, dict[int, Finding]] = {name: {} for name in self._chosen}
        self._told: list[str] = []
        self._tried: dict[str, dict[str, Sequence[Finding]]] = {}
        self._due: dict[str, list[str]] = {}
        for kind in _IN if kill else ():
            for refinement in chosen:
                for mutant in refinement.broken_by if refinement.code == kind else ():
                    self._due.setdefault(defect(mutant, kind), []).append(refinement.name)

    def take(self, task: Task, outcome: Outcome | pool.Failure) -> None:
        """Note the outcome of a task, and tell of whatever is now complete."""
        if isinstance(outcome, pool.Failure):
            outcome = Outcome(tuple(Finding(part, missing=outcome.reason) for part in task.parts))
        if not task.mutant:
            self._found[task.refinement].update({found.part: found for found in outcome.findings})
        else:
            name = defect(task.mutant, self._chosen[task.refinement].code)
            self._tried.setdefault(name, {})[task.refinement] = outcome.findings
        self._tell(len(task.parts))

    def refuted(self, name: str) -> bool:
        """Tell whether a part of a refinement was refuted."""
        return any(found.refuted for found in self._found[name].values())

    def leave(self, name: str, part: int) -> None:
        """Note that a part is not asked, since another one was refuted."""
        self._found[name][part] = Finding(part, missing="not tried: another part was refuted")
        self._tell(1)

    def _tell(self, parts: int) -> None:
        """Tell of results in order, then of defects: what is complete waits for those before it.

        So many ``parts`` more are done.
        """
        self._done += parts
        if self._on_progress:
            self._on_progress(self._done, self._total)
        for name in list(self._chosen)[len(self._told) :]:
            if not self._complete(name):
                return
            self._told.append(name)
            if self._on_result:
                self._on_result(self._result(name))
        for mutant in list(self._due)[len(self._told) - len(self._chosen) :]:
            if len(self._tried.get(mutant, {})) < len(self._due[mutant]):
                return
            self._told.append(mutant)
            if self._on_mutant:
                self._on_mutant(self._told_of(mutant))

    def report(self, seconds: float, interrupted: bool) -> ProofReport:
        """Return everything known; a refinement that was not completed is unknown."""
        for name in self._chosen:
            # What waits for its turn has none any more: what is before it will not be complete.
            if self._on_result and self._complete(name) and name not in self._told:
                self._on_result(self._result(name))
        kills = {mutant: self._broken(mutant) for mutant in self._due}
        undecided = {
            mutant: open_
            for mutant in self._due
            if (open_ := tuple(name for name in self._due[mutant] if self._fate(mutant, name) == "unknown"))
        }
        return ProofReport(
            theorems=tuple(self._result(name, kills) for name in self._chosen),
            seconds=seconds,
            solver=NAME,
            kills=kills,
            survivors=tuple(mutant for mutant in self._due if self._survived(mutant)),
            undecided=undecided,
            interrupted=interrupted,
        )

    def _complete(self, name: str) -> bool:
        return len(self._found[name]) == len(self._chosen[name].parts)

    def _result(self, name: str, kills: dict[str, tuple[str, ...]] | None = None) -> TheoremResult:
        refinement, found = self._chosen[name], self._found[name]
        details = tuple(
            entry
            for number, part in enumerate(refinement.parts)
            for entry in _labelled(part.label or name, len(refinement.parts), found.get(number))
        )
        verdict, reason = _judged(details)
        killed = tuple(mutant for mutant, broken in kills.items() if name in broken) if kills else None
        looked = [set(entry.satisfiable_at) for entry in details]
        shown = bool(looked) and all(looked)
        return TheoremResult(
            name=name,
            title=titled(refinement),
            verdict=verdict,
            expected="proved",
            seconds=sum(each.seconds for each in found.values()),
            rlimit=sum(entry.rlimit for entry in details),
            obligations=len(details),
            vacuous=False if shown else None,
            mutants_killed=killed,
            reason=reason,
            details=details,
            satisfiable_at=tuple(sorted(set.union(*looked))) if shown else (),
        )

    def _fate(self, mutant: str, name: str) -> Verdict:
        """Return what becomes of a refinement on a defect: only what was proved can be broken by it."""
        if not self._complete(name) or self._result(name).verdict != "proved":
            return "unknown"
        return _fate(self._tried.get(mutant, {}).get(name, ()))

    def _told_of(self, mutant: str) -> Fate:
        fates = {name: self._fate(mutant, name) for name in self._due[mutant]}
        return Fate(
            mutant,
            broken=tuple(name for name, fate in fates.items() if fate == "refuted"),
            spared=tuple(name for name, fate in fates.items() if fate == "proved"),
            undecided={name: self._why(mutant, name) for name, fate in fates.items() if fate == "unknown"},
        )

    def _why(self, mutant: str, name: str) -> str:
        """Return why it is not known what becomes of a refinement on a defect."""
        if self._result(name).verdict != "proved":
            return "is not proved without it"
        parts = self._chosen[name].parts
        return next(
            f"{parts[found.part].label}: {reason}"
            for found in self._tried[mutant][name]
            if (reason := _reason(found))
        )

    def _broken(self, mutant: str) -> tuple[str, ...]:
        return tuple(name for name in self._due[mutant] if self._fate(mutant, name) == "refuted")

    def _survived(self, mutant: str) -> bool:
        """Tell whether a refinement that a defect should break is proved in spite of it."""
        return any(self._fate(mutant, name) == "proved" for name in self._due[mutant])


def _fate(findings: Sequence[Finding]) -> Verdict:
    if any(found.refuted for found in findings):
        return "refuted"
    return "proved" if findings and not any(map(_reason, findings)) else "unknown"


def _reason(found: Finding) -> str:
    """Return why a part is neither proved nor refuted, or an empty text."""
    if found.missing or found.unchanged or found.proved:
        return found.missing
    open_ = next((each for each in found.obligations if each.verdict == "unknown"), None)
    return f"{open_.label}: {open_.reason or 'no answer'}" if open_ else "nothing was asked"


def _judged(details: Sequence[ObligationResult]) -> tuple[Verdict, str]:
    """Return a refinement's verdict and, if it is unknown, the reason."""
    if any(result.verdict == "refuted" for result in details):
        return "refuted", ""
    for result in details:
        if result.verdict == "unknown":
            return "unknown", f"{result.label}: {result.reason or 'no answer'}"
    return ("proved", "") if details else ("unknown", "it has no parts: nothing was asked")


def _labelled(part: str, parts: int, found: Finding | None) -> tuple[ObligationResult, ...]:
    """Return the obligations of a part under labels that say of which; without any it is unknown."""
    if found is None:
        return (ObligationResult(part, "unknown", 0.0, 0, "not tried: the run ended early"),)
    if found.missing:
        return (ObligationResult(part, "unknown", found.seconds, 0, found.missing),)
    if not found.obligations:
        return (ObligationResult(part, "unknown", found.seconds, 0, "nothing was asked"),)
    if parts == 1:
        return found.obligations
    return tuple(
        entry if entry.label.startswith(part) else replace(entry, label=f"{part}: {entry.label}")
        for entry in found.obligations
    )
