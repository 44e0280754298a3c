"""The course of one injection: its scenes on every queue, what the driver did, and what fails."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from random import Random

from ..impl.harness.operations import EBROKEN, Code, Mischief, Op, Result
from ..impl.harness.reference_runner import QueueConfig
from ..traces.document import TraceError
from .alone import Alone
from .configurations import described
from .evidence import keep_alone, steps_in_words
from .failure import Failure
from .generator import unpacked_results
from .hostile_runs import INJECTIONS, Injection, configurations, mixture, possible, scenes
from .process import Process
from .shrinking import reduced

MIXED = "hostile-mixed"
PATIENCE = 1.5
"""Seconds for a run of some hundred operations: what takes longer goes round in a loop."""
_MUCH_PATIENCE = 4.0
_SHRINKING_PATIENCE = 0.5
_SHRINKING_SECONDS = 3.0
_TIMES = 3
_MOST_KINDS = 3  # of failures of one injection
_MOST_HANGS = 3
_LEAST_RUNS = 24
"""Of one injection, however long they take: on a slow or busy machine it shall have had its occasion, too."""

Scene = tuple[QueueConfig, list[Op]]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A failure under an injection: shrunk, with its trace, and how often it showed when it was run again."""

    injection: str
    failure: Failure
    steps: tuple[str, ...]
    shown: int
    trace: Path | None
    message: str = ""

    @property
    def detail(self) -> str:
        """One sentence: what happened, on which queue, and how steadily."""
        steady = "deterministic" if self.shown == _TIMES else f"flaky: shown {self.shown} times of {_TIMES}"
        many = len(self.failure.operations)
        count = f"{many} operation{'' if many == 1 else 's'}"
        return f"{self.failure.detail} ({described(self.failure.config)}; {count}; {steady})"


@dataclass(slots=True)
class Course:
    """What came of the runs under one injection, or under a mixture of all.

    ``reactions`` counts runs by what the driver did: "refused it", "marked itself broken", "ignored it"; runs
    in which the device found no occasion are not among them. ``broken_off`` says that time was up first.
    """

    name: str
    runs: int = 0
    operations: int = 0
    reactions: Counter[str] = field(default_factory=Counter)
    wrong: list[Wrong] = field(default_factory=list)
    broken_off: bool = False


def reaction(operations: Sequence[Op], results: Sequence[Result]) -> str:
    """Say what a driver made of the first injection that was done: "" when none was."""
    answers = []
    done = False
    for operation, result in zip(operations, results, strict=False):
        if operation.code == Code.MISCHIEF:
            done = done or result.status == 1 or (operation.a == Mischief.INTERRUPT and result.status >= 0)
        elif done and operation.code in (Code.ADD, Code.GET):
            answers.append((operation.code, result.status))
    if not done:
        return ""
    first = next((at for at, (_, status) in enumerate(answers) if status == EBROKEN), None)
    if first is None:
        return "ignored it"
    gets = [status for code, status in answers[first:] if code == Code.GET]
    return "marked itself broken" if all(status == EBROKEN for status in gets) else "refused it"


def run_injection(
    library: Path, injection: Injection, seed: int, seconds: float, traces: Path | None
) -> Course:
    """Go through an injection's scenes on every queue; about ``seconds``, without what shrinking takes.

    ``seed`` chooses their order: where time does not suffice for all, it is spent on some of every kind.
    """

    def prepare(alone: Alone) -> Iterator[Scene]:
        random = Random(seed)
        queues = configurations(alone.process.features, alone.process.profile)
        rows = []
        for config in queues:
            if possible(injection, config):
                row = list(scenes(injection, config, alone.offered))
                random.shuffle(row)
                rows.append((config, row))
        for column in zip_longest(*(row for _, row in rows)):
            for (config, _), scene in zip(rows, column, strict=True):
                if scene is not None:
                    yield config, scene

    return _go(library, injection.name, prepare, seconds, traces)


def run_mixtures(
    library: Path, seed: int, runs: int, seconds: float, traces: Path | None, without: frozenset[str]
) -> Course:
    """Go through random mixtures of all injections but those ``without``, which fail by themselves."""

    def prepare(alone: Alone) -> Iterator[Scene]:
        random = Random(seed)
        queues = configurations(alone.process.features, alone.process.profile)
        for _ in range(runs):
            config = random.choice(queues)
            fitting = [one for one in INJECTIONS if possible(one, config) and one.name not in without]
            some = random.sample(fitting, min(len(fitting), 1 + random.randrange(4)))
            yield config, mixture(config, some, alone.offered, random)

    return _go(library, MIXED, prepare, seconds, traces)


def _go(
    library: Path,
    name: str,
    prepare: Callable[[Alone], Iterable[Scene]],
    seconds: float,
    traces: Path | None,
) -> Course:
    course = Course(name)
    found: dict[tuple[str, str], Failure] = {}
    declined: set[QueueConfig] = set()
    hangs = 0
    with Process(library, patience=PATIENCE) as process:
        until = time.monotonic() + seconds
        alone = Alone(process)
        for config, scene in prepare(alone):
            if course.runs >= _LEAST_RUNS and time.monotonic() > until:
                course.broken_off = True
                break
            if config in declined:
                continue
            operations = [op for op in scene if op.code in alone.offered or op.code >= Code.READ]
            failure = alone.attempt(config, operations)
            if failure is not None and failure.check in ("create-succeeds", "ring-created"):
                declined.add(config)  # the honest campaign has its verdict on that
                continue
            course.runs += 1
            course.operations += len(operations)
            results = unpacked_results(alone.results)
            what = reaction(operations, results)
            if what:
                course.reactions[what] += 1
            if failure is None:
                continue
            kind = (failure.kind, failure.check)
            if kind not in found and failure.kind == "hang" and not _hangs(failure, alone):
                continue  # a busy machine
            hangs += failure.kind == "hang"
            found.setdefault(kind, failure)
            if len(found) >= _MOST_KINDS or hangs >= _MOST_HANGS:
                course.broken_off = True
                break
        course.wrong = [_presented(name, failure, alone, traces) for failure in found.values()]
    return course


def _presented(name: str, failure: Failure, alone: Alone, traces: Path | None) -> Wrong:
    process = alone.process
    process.patience = _SHRINKING_PATIENCE
    small = reduced(failure, alone.attempt, _SHRINKING_SECONDS)
    process.patience = PATIENCE
    shown = _shown(small, alone)
    if not shown:  # shrinking was led astray, as by a busy machine
        small = failure.cut()
        shown = _shown(small, alone)
    if name == MIXED:
        name = _only_one(small) or name
    trace, message = None, ""
    if traces is not None:
        try:
            trace = keep_alone(small, alone, traces, injection=name)
        except TraceError as error:
            message = f"no trace was kept: {error}"
    return Wrong(name, replace(small, marks=()), steps_in_words(small), shown, trace, message)


def _shown(failure: Failure, alone: Alone) -> int:
    """Run it again; how often it fails in the same way."""
    return sum(failure.like(alone.attempt(failure.config, failure.operations)) for _ in range(_TIMES))


def _hangs(failure: Failure, alone: Alone) -> bool:
    """Whether it hangs too when it is given more time."""
    alone.process.patience = _MUCH_PATIENCE
    again = alone.attempt(failure.config, failure.operations)
    alone.process.patience = PATIENCE
    return failure.like(again)


def _only_one(failure: Failure) -> str:
    """Name the injection of a run that has only one; "" otherwise."""
    manners = {op.a for op in failure.operations if op.code == Code.MISCHIEF}
    names = [one.name for one in INJECTIONS if one.manner in manners]
    return names[0] if len(names) == 1 else ""
