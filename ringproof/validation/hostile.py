"""The hostile profile: what a driver does when its device breaks the rules; a verdict of its own.

A driver may refuse, mark its queue broken or ignore it. It must not read or write outside its memory, release
or hand back anything twice, loop for ever or hand out a wrong token.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .hostile_course import MIXED, PATIENCE, Course, Wrong, run_injection, run_mixtures
from .hostile_runs import INJECTIONS
from .hostile_sizes import SizesReport, offer_sizes
from .options import Options
from .process import Process
from .report import Check, Stage, ValidationReport, Verdict

SECONDS = 15.0
QUICK_SECONDS = 6.0
_MIXTURES = 4  # tasks of mixtures, with a seed each
_MIXED_WEIGHT = 3.0
_MIXED_RUNS = 600  # of one such task

F11 = "hostile-F11"
_F11_WORDS = "A queue size is 0, no power of two or too large."

ORACLES = {
    "hostile-memory": (
        "oracle: memory",
        "The driver stays inside its memory and releases everything once.",
    ),
    "hostile-loops": ("oracle: process", "The driver comes back from every call."),
    "hostile-tokens": ("oracle: hostile device", "Every token that comes back is one the driver holds."),
}
"""Oracle checks by name: their clause and what they ask."""


def oracle_of(wrong: Wrong) -> str:
    """Name the oracle that a failure goes against."""
    if wrong.failure.kind == "hang":
        return "hostile-loops"
    return "hostile-tokens" if wrong.failure.check == "no-wrong-token" else "hostile-memory"


@dataclass(slots=True)
class _Gathered:
    """What came of all courses."""

    courses: dict[str, Course] = field(default_factory=dict)
    sizes: SizesReport | None = None

    def add(self, course: Course) -> None:
        """Join a course to those of the same name; what a mixture shows of one injection alone is its own."""
        ours = self.courses.setdefault(course.name, Course(course.name))
        ours.runs += course.runs
        ours.operations += course.operations
        ours.reactions.update(course.reactions)
        ours.broken_off = ours.broken_off or course.broken_off
        for wrong in course.wrong:
            self.courses.setdefault(wrong.injection, Course(wrong.injection)).wrong.append(wrong)

    @property
    def wrong(self) -> list[Wrong]:
        """Every failure, in the order of the injections."""
        order = [injection.name for injection in INJECTIONS] + [MIXED]
        return [one for name in order if name in self.courses for one in self.courses[name].wrong]


def validate_hostile(library: Path, *, options: Options | None = None) -> ValidationReport:
    """Try every injection, and mixtures of them, on the driver in a library; about 18 s at most.

    Never raises for what the driver does wrong. Raises LibraryError when the library cannot be a virtqueue
    driver at all, BuildError when the worker cannot be built.
    """
    options = options or Options()
    began = time.monotonic()
    with Process(library, patience=options.hang_seconds) as process:  # whether it can be loaded at all
        name = process.name
    gathered = _Gathered()
    for course in _courses(library, options):
        if isinstance(course, SizesReport):
            gathered.sizes = course
        else:
            gathered.add(course)
    checks = (*_injections(gathered), _sizes(gathered.sizes), *_oracles(gathered))
    verdict: Verdict = "fail" if any(check.verdict == "fail" for check in checks) else "pass"
    seconds = time.monotonic() - began
    operations = sum(course.operations for course in gathered.courses.values())
    shown = min(gathered.wrong, key=lambda one: len(one.failure.operations), default=None)
    return ValidationReport(
        driver=name,
        verdict=verdict,
        checks=checks,
        operations=operations,
        seconds=seconds,
        trace=shown.trace if shown is not None else None,
        mode="against a hostile device",
        stages=(Stage("hostile device", operations, seconds),),
        steps=shown.steps if shown is not None else (),
        shows=f"{shown.injection} ({shown.failure.check})" if shown is not None else "",
        library=library,
        message=shown.message if shown is not None else "",
    )


def _courses(library: Path, options: Options) -> Iterator[Course | SizesReport]:
    """Run all courses, side by side where there are processors."""
    jobs = options.processes
    seconds = QUICK_SECONDS if options.quick else SECONDS
    weights = [len(injection.variants) ** 0.5 for injection in INJECTIONS]
    share = seconds * jobs / (sum(weights) + _MIXTURES * _MIXED_WEIGHT)
    runs = _MIXED_RUNS // (4 if options.quick else 1)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        sizes = pool.submit(offer_sizes, library, PATIENCE)
        alone = [
            pool.submit(run_injection, library, injection, options.seed, weight * share, options.traces)
            for injection, weight in zip(INJECTIONS, weights, strict=True)
        ]
        failing = set()
        for injection, task in zip(INJECTIONS, alone, strict=True):
            if options.progress is not None:
                options.progress(injection.name)
            course = task.result()
            yield course
            if course.wrong:
                failing.add(injection.name)
        if options.progress is not None:
            options.progress(MIXED)
        mixed_share = _MIXED_WEIGHT * share
        without = frozenset(failing)  # what they do in company would be no news
        mixed = [
            pool.submit(run_mixtures, library, options.seed + at, runs, mixed_share, options.traces, without)
            for at in range(_MIXTURES)
        ]
        for task in mixed:
            yield task.result()
        yield sizes.result()


def _injections(gathered: _Gathered) -> Iterator[Check]:
    for injection in INJECTIONS:
        course = gathered.courses.get(injection.name, Course(injection.name))
        yield _check(course, injection.clause, injection.words)
    mixed = gathered.courses.get(MIXED, Course(MIXED))
    yield _check(mixed, "2.7", "Injections of several kinds come among ordinary traffic.")


def _check(course: Course, clause: str, words: str) -> Check:
    if course.wrong:
        return Check(course.name, clause, "fail", f"{words} {_failures(course.wrong)}")
    if not course.reactions:
        why = (
            "Time was up before it came to it."
            if course.broken_off
            else "This driver's queues gave no occasion."
        )
        return Check(course.name, clause, "not exercised", f"{words} {why}")
    told = ", ".join(f"{what} in {count:,}" for what, count in course.reactions.most_common())
    return Check(course.name, clause, "pass", f"{words} The driver {told} of {course.runs:,} runs.")


def _failures(wrong: Sequence[Wrong]) -> str:
    """Each kind of failure once."""
    seen: dict[str, str] = {}
    for one in wrong:
        trace = f"; trace {one.trace}" if one.trace is not None else ""
        seen.setdefault(one.failure.check, f"{one.failure.check}: {one.detail}{trace}")
    return "; ".join(seen.values())


def _sizes(report: SizesReport | None) -> Check:
    clause = "4.1.4.3.1"
    if report is None:
        return Check(F11, clause, "not exercised", _F11_WORDS)
    if report.wrong:
        told = "; ".join(f"queue size {size}: {what}" for size, what in report.wrong)
        return Check(F11, clause, "fail", f"{_F11_WORDS} {told}")
    told = f"The driver declined {', '.join(map(str, report.declined)) or 'none'}"
    if report.taken:
        told += f" and bore {', '.join(map(str, report.taken))}"
    return Check(F11, clause, "pass", f"{_F11_WORDS} {told}.")


def _oracles(gathered: _Gathered) -> Iterator[Check]:
    runs = sum(course.runs for course in gathered.courses.values())
    against: Callable[[str], list[Wrong]] = lambda name: [  # noqa: E731
        one for one in gathered.wrong if oracle_of(one) == name
    ]
    for name, (clause, words) in ORACLES.items():
        wrong = against(name)
        at_sizes = _at_sizes(gathered.sizes, name)
        if wrong:
            kinds = ", ".join(sorted({one.injection for one in wrong}))
            yield Check(name, clause, "fail", f"{words} {kinds}: {wrong[0].failure.detail}")
        elif at_sizes:
            yield Check(name, clause, "fail", f"{words} {F11}: {at_sizes}")
        else:
            yield Check(name, clause, "pass", f"{words} So it was in {runs:,} runs.")


def _at_sizes(report: SizesReport | None, oracle: str) -> str:
    """Return the first thing that went wrong with an impossible size and goes against this oracle."""
    for size, what in report.wrong if report is not None else ():
        hung = "did not come back" in what
        if oracle == ("hostile-loops" if hung else "hostile-memory"):
            return f"queue size {size}: {what}"
    return ""
