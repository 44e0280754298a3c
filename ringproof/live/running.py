"""Whole live runs: a recipe's rounds one after the other, or whoever connects to a socket."""

import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import BadInputError
from ..validation.report import RECORDING, ValidationReport
from .conducting import Conductor
from .course import INJECTIONS, Course
from .features import bits, offered
from .library import load_library
from .listening import Listening
from .outcome import Injected, RoundOutcome
from .recipes.front_end import FrontEnd
from .recipes.recipe import Recipe, Round
from .verdicts import report_on

_SHORTEST_WAIT = 30.0
_SHORTEST_SILENCE = 6.0
_TAKES = {"F9": "IN_ORDER"}
"""Ways to break the rules that there are only with a feature."""
_WAITS = 4.0
"""A front-end may take so many times as long to begin as it does on an unoccupied machine."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every round: see `Course`; ``withdrawn`` are features by name."""

    traces: Path
    quick: bool = False
    hostile: bool = False
    chosen: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    pairs: int = 1
    queue_size: int | None = None
    mtu: int = 1500
    seconds: float | None = None
    seed: int = 0
    patience_ms: int = 2000
    record: Path | None = None
    progress: Callable[[str], None] | None = None

    def course(self, name: str, words: str) -> Course:
        """A round as asked for. Raises BadInputError for a feature nobody knows."""
        return Course(
            name, words, offered(self.withdrawn, pairs=self.pairs), self.traces, pairs=self.pairs,
            queue_size=self.queue_size, mtu=self.mtu, seconds=self.seconds, chosen=self.chosen,
            quick=self.quick, seed=self.seed, patience_ms=self.patience_ms, record=self.record,
            progress=self.progress,
        )  # fmt: skip

    def recorded(self, name: str, many: bool) -> Path | None:
        """Where the recording of a round goes: of many, each has a name of its own."""
        if self.record is None or not many:
            return self.record
        return self.record.with_name(f"{self.record.stem}-{name}{self.record.suffix or RECORDING}")


def run_recipe(found: Recipe, asked: Asked, names: Sequence[str] = ()) -> ValidationReport:
    """Run a recipe's rounds, or those of these names, and say what came of them.

    Raises Missing if the driver is not there, BadInputError for a name nobody knows.
    """
    found.check()
    load_library()
    asked = replace(asked, traces=asked.traces / found.name)
    rounds = _chosen(found.rounds(quick=asked.quick and not names), names, found.name)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="ringproof-live-") as folder:
        for number, one in enumerate(rounds):
            course = _course(one, asked, many=len(rounds) > 1)
            outcomes.append(_round(course, one, Path(folder) / f"round-{number}"))
        if asked.hostile:
            outcomes += _broken(found, asked, Path(folder))
    return report_on(found.version(), outcomes, hostile=asked.hostile)


def serve(
    socket: Path | None, command: Sequence[str], asked: Asked, advise: Callable[[Path], None]
) -> ValidationReport:
    """Serve what ``command`` starts, or without one whoever connects; ``advise`` is told where.

    ``{socket}`` in a word of the command stands for the socket's path. Raises BadInputError.
    """
    load_library()  # which may have to be built: no front-end is to wait for that
    with tempfile.TemporaryDirectory(prefix="ringproof-live-") as folder:
        place = socket or Path(folder) / "socket"
        with Listening(place) as listening:
            if not command:
                advise(place)
                course = replace(asked.course("run", "a front-end that was started by hand"), wait=None)
                return report_on(str(place), [Conductor(course, listening).run()])
            words = [word.replace("{socket}", str(place)) for word in command]
            name = Path(words[0]).name
            course = asked.course("run", shlex.join(words))
            start = lambda: FrontEnd(words, Path(folder), version=name)  # noqa: E731
            return report_on(name, [Conductor(course, listening, start).run()])


def _course(one: Round, asked: Asked, *, many: bool) -> Course:
    """The course of one of a recipe's rounds."""
    pairs = max(one.pairs, asked.pairs)
    return replace(
        asked.course(one.name, one.words),
        offered=offered({*one.device_features_withdrawn, *asked.withdrawn}, pairs=pairs),
        pairs=pairs,
        traffic=one.traffic,
        fed=one.fed,
        mtu=one.mtu or asked.mtu,
        seconds=asked.seconds or one.seconds,
        wait=max(_SHORTEST_WAIT, _WAITS * one.first_frame),
        first_frame=max(_SHORTEST_SILENCE, _WAITS * one.first_frame),
        record=asked.recorded(one.name, many),
    )


def _chosen(rounds: Sequence[Round], names: Sequence[str], recipe: str) -> Sequence[Round]:
    known = {one.name: one for one in rounds}
    for name in names:
        if name not in known:
            raise BadInputError(f"recipe {recipe} has no round {name!r}; it has {', '.join(known)}")
    return [one for one in rounds if not names or one.name in names]


def _round(course: Course, one: Round, workdir: Path) -> RoundOutcome:
    workdir.mkdir()
    front = workdir / "front-end"
    front.mkdir()
    socket = workdir / "s"
    with Listening(socket) as listening:
        return Conductor(course, listening, lambda: one.start(socket, front)).run()


def round_of(one: Round, asked: Asked, workdir: Path) -> RoundOutcome:
    """One round of a recipe, in a folder that it makes."""
    return _round(_course(one, asked, many=False), one, workdir)


def _broken(found: Recipe, asked: Asked, folder: Path) -> Iterator[RoundOutcome]:
    """The rounds in which the device breaks the rules: one for each way."""
    able = [one for one in found.rounds(quick=True, hostile=True) if one.hostile]
    if not able:
        return
    for code, ways in INJECTIONS.items():
        for kind, words in ways:
            plain = replace(asked, record=None, chosen=("honest",))
            course = replace(
                _course(able[0], plain, many=True), name=f"{code}-{kind}", words=words,
                inject=kind, traffic="unknown",
            )  # fmt: skip
            outcome = _round(course, able[0], folder / f"hostile-{kind}")
            yield _apart(outcome, judged(code, words, outcome))


def judged(code: str, words: str, outcome: RoundOutcome) -> Injected:
    """What a driver made of a device that broke a rule."""
    fault = ""
    lacking = code in _TAKES and not (outcome.accepted or 0) & bits((_TAKES[code],))
    done = outcome.injected_done and not lacking
    if done:
        if outcome.complaints:
            fault = outcome.complaints[0]
        elif outcome.went_early:
            fault = f"it ended: {outcome.ended}"
        else:
            fault = outcome.trouble
    return Injected(code, words, done, fault, outcome.after, lacking)


def _apart(outcome: RoundOutcome, injected: Injected) -> RoundOutcome:
    """The outcome without what says how a driver treats a device that keeps the rules: that one did not."""
    outcome.injected.append(injected)
    outcome.tallies.clear()
    outcome.phases.clear()
    outcome.shown.clear()
    outcome.left_out.clear()
    outcome.complaints, outcome.trouble = (), ""
    return outcome
