"""The symbolic campaign: explorations from several starts, suspicions run natively, and a verdict."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1
from ..proofs.machine.errors import LifterMissing, Missing
from .configurations import described, feature_names
from .course import Habits
from .failure import Found, Shown
from .library import inspect_library
from .narration import in_words
from .options import Options
from .pairing import Pair
from .process import Process
from .processes import Lost as LostProcess
from .processes import Task, in_processes
from .showing import Stand, show, unshrunk
from .symbolic_exploration import Exploration
from .symbolic_findings import Lost
from .symbolic_native import Trial, tried
from .symbolic_report import Explored, Obligation, SymbolicReport, Unreproduced, failing
from .symbolic_start import WRAP_AT, StartError, take_start
from .verdicts import VERDICTS, FindingCode

QUEUE_SIZE = 4
"""Of the queues that are explored, unless others are asked for."""
SEGMENTS = 2
"""Of a buffer that is offered, at most; with one operation, as many as the queue takes."""
_FEATURES = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1
_LONGEST = 3600.0  # seconds, unless a deadline is given
_GRACE = 60.0  # seconds for a process to end that has been told when to
_MOST_SHOWN = 4  # failures that are shrunk and traced


@dataclass(frozen=True, slots=True)
class _Place:
    """A queue, how many rounds have gone through it, and how many buffers are in flight then."""

    config: QueueConfig
    rounds: int
    offered: int = 0

    @property
    def name(self) -> str:
        """It in words."""
        where = f"avail_idx {self.rounds}, about to wrap" if self.rounds else "fresh"
        if self.offered:
            where = f"across the wrap with {self.offered} in flight"
        return f"{described(self.config)}; {where}"


@dataclass(frozen=True, slots=True)
class _Came:
    """What came of one exploration, fit to be sent from one process to another."""

    place: _Place
    explored: Explored
    held: Counter[FindingCode]
    trials: tuple[Trial, ...]
    lost: tuple[tuple[Lost, int], ...]
    left_out: str = ""


def require_lifter() -> None:
    """Raise LifterMissing, one line that names the extra, where what reads machine code is missing."""
    try:
        import archinfo  # noqa: F401
        import pyvex  # noqa: F401
    except ImportError:
        raise LifterMissing from None


def explore(library: Path, depth: int, *, options: Options) -> SymbolicReport:
    """Explore ``depth`` operations on the virtqueue code in a library, from every start.

    Raises LibraryError when there is no driver, BuildError when no worker can be built, LifterMissing without
    the extra.
    """
    require_lifter()
    inspect_library(library)
    began = time.monotonic()
    until = began + (options.deadline if options.deadline is not None else _LONGEST)
    with Process(library, patience=options.hang_seconds) as process:
        name, habits = process.name, None
        places = list(_places(process, options.sizes or (QUEUE_SIZE,)))
        pair = Pair.of(process)
        if places:
            pair.probe(places[0].config)
            habits = Habits.of(pair)
        beyond = feature_names(process.features & ~_FEATURES)
        if Code.DETACH_UNUSED in process.offered:
            beyond.append("detach_unused")
        by_meaning = options.by_meaning or not process.follows_the_reference
    stand = Stand(library, habits or Habits(), options.hang_seconds, by_meaning, options.traces)
    came = list(_explored(library, places, depth, stand, began, until, options))
    report = _reported(library, name, depth, came, stand, began, options)
    return replace(report, not_explored=tuple(beyond))


def _places(process: Process, sizes: Iterable[int]) -> Iterator[_Place]:
    """The queues, with all features that are followed here and with none.

    Each fresh and about to wrap; with features full and nearly so, too.
    """
    most = process.features & _FEATURES
    for size, features, rounds in product(sizes, dict.fromkeys((most, 0)), (0, WRAP_AT)):
        layout = "modern" if features & F_VERSION_1 else "legacy"
        config = QueueConfig(size, features, layout, True, process.profile, queue_index=1)
        if not (size & (size - 1) and rounds):
            yield _Place(config, rounds)
            if rounds and features == most:
                near = WRAP_AT + 1 - (size + 1) // 2
                yield from (
                    _Place(config, near, offered) for offered in dict.fromkeys((size - 1, size)) if offered
                )


def _explored(
    library: Path,
    places: list[_Place],
    depth: int,
    stand: Stand,
    began: float,
    until: float,
    options: Options,
) -> Iterator[_Came]:
    tasks = (
        Task(
            place.name,
            partial(_went, library, place, depth, stand, began, until),
            max(1.0, until - time.monotonic()) + _GRACE,
            at,
        )
        for at, place in enumerate(places)
    )
    for task, result in in_processes(tasks, options.processes):
        if options.progress is not None:
            options.progress(task.name)
        if isinstance(result, LostProcess):
            place = places[task.number]
            yield _Came(place, Explored(place.name), Counter(), (), (), f"{place.name}: {result.why}")
        else:
            yield result


def _went(library: Path, place: _Place, depth: int, stand: Stand, began: float, until: float) -> _Came:
    """Explore from one start, and run on the driver what is said to fail."""
    begun = time.monotonic()
    trials = list[Trial]()
    with stand.pair() as pair:
        rounds = [Op(Code.ROUNDS, a=place.rounds)] if place.rounds else []
        failure = pair.attempt(replace(place.config, profile=pair.profile), rounds)
        if failure is not None:
            found = Found(failure, frozenset(), f"symbolic, on the way to: {place.name}", begun - began)
            trial = Trial(failure.check, failure.clause, failure.detail, 1, place.name, found)
            return _Came(place, Explored(place.name), Counter(), (trial,), ())
        try:
            start = take_start(library, place.config, place.rounds)
            # With a queue that is full or nearly so, the device can go on in many ways from the beginning.
            deep = max(1, depth - 1) if place.offered else depth
            segments = _segments(depth, place)
            exploration = Exploration(library, start, deep, segments, until, offered=place.offered)
        except (StartError, Missing) as error:
            return _Came(place, Explored(place.name), Counter(), (), (), f"{place.name}: {error}")
        findings = exploration.go()
        trials = tried(findings.suspicions, start, place.name, pair, time.monotonic() - began)
    lost = Counter(findings.lost)
    explored = Explored(
        place.name,
        followed=findings.paths,
        ended=findings.refuted,
        lost=len(findings.lost),
        calls=findings.calls,
        questions=findings.questions,
        seconds=time.monotonic() - begun,
    )
    left_out = f"{place.name}: the time was up" if findings.out_of_time else ""
    return _Came(place, explored, findings.held, tuple(trials), tuple(lost.items()), left_out)


def _segments(depth: int, place: _Place) -> int:
    return place.config.queue_size if depth == 1 and not place.offered else SEGMENTS


# -- the report -----------------------------------------------------------------------------------------


def _reported(
    library: Path,
    name: str,
    depth: int,
    came: list[_Came],
    stand: Stand,
    began: float,
    options: Options,
) -> SymbolicReport:
    came = sorted(came, key=lambda one: (one.place.rounds, one.place.offered, one.place.name))
    trials = [trial for one in came for trial in one.trials]  # those with short runs come first
    held = sum((one.held for one in came), Counter[FindingCode]())
    shown = _shown(trials, stand, options)
    lost: Counter[Lost] = Counter()
    for one in came:
        for each, times in one.lost:
            lost[each] += times
    return SymbolicReport(
        driver=name,
        library=library,
        depth=depth,
        starts=tuple(one.explored for one in came),
        obligations=tuple(_obligations(held, trials)),
        failures=tuple(
            failing(trial, shown[trial.found.failure.check]) for trial in _first(trials) if trial.found
        ),
        unreproduced=tuple(
            Unreproduced(
                trial.check, trial.clause, trial.seen, trial.paths, trial.start, trial.why,
                tuple(in_words(operation) for operation in trial.operations),
            )
            for trial in trials
            if trial.found is None
        ),
        lost=tuple(
            (f"{each.operation}, operation {each.depth}: {each.why}", times) for each, times in lost.items()
        ),
        left_out=tuple(one.left_out for one in came if one.left_out),
        not_explored=(),
        seconds=time.monotonic() - began,
    )  # fmt: skip


def _first(trials: list[Trial]) -> list[Trial]:
    """Those that were reproduced, one for each check that formulas name and check that the run fails."""
    found: dict[tuple[str, str], Trial] = {}
    for trial in trials:
        if trial.found is not None:
            found.setdefault((trial.check, trial.found.failure.check), trial)
    return list(found.values())


def _shown(trials: list[Trial], stand: Stand, options: Options) -> dict[str, Shown]:
    """Show each failure that a run has, by its check: shrunk, and with a trace."""
    shown: dict[str, Shown] = {}
    for trial in _first(trials):
        assert trial.found is not None
        check = trial.found.failure.check
        if check in shown:
            continue
        if len(shown) < _MOST_SHOWN:
            shown[check] = show(trial.found, stand, min(options.shrink_seconds, 6.0))
        else:
            shown[check] = unshrunk(trial.found, "the first failures say enough")
    return shown


def _obligations(held: Counter[FindingCode], trials: list[Trial]) -> Iterator[Obligation]:
    """Yield what was claimed, in the order of the codes, and what only the processor has found behind it."""
    paths: Counter[str] = Counter()
    for trial in trials:
        paths[trial.check] += trial.paths
    known = {VERDICTS[code].name for code in FindingCode}
    for code in FindingCode:
        verdict = VERDICTS[code]
        if held[code] or paths[verdict.name]:
            yield Obligation(verdict.name, verdict.clause, verdict.sentence, held[code], paths[verdict.name])
    for check in dict.fromkeys(trial.check for trial in trials):
        if check not in known:
            clause = next(trial.clause for trial in trials if trial.check == check)
            yield Obligation(check, clause, "", 0, paths[check])
