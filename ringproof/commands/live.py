"""``ringproof live``: a verdict per clause for a running driver, over a vhost-user socket."""

import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from ..errors import BadInputError
from ..live.conducting import Conductor
from ..live.course import INJECTIONS, Course
from ..live.features import offered
from ..live.listening import Listening
from ..live.outcome import Injected, RoundOutcome
from ..live.library import MAX_PAIRS
from ..live.recipes.front_end import FrontEnd
from ..live.recipes.recipe import RECIPES, Recipe, Round, qemu_options
from ..live.recipes.recipe import recipe as find_recipe
from ..live.schedule import PHASES
from ..live.verdicts import report_on
from ..outlet import ReaderGone
from ..reporting.junit import junit
from ..reporting.page import page
from ..reporting.terminal import render
from ..validation.report import ValidationReport
from .seconds import Seconds
from .validate import _checked_places, _write, exit_code


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line asks for."""

    quick: bool
    hostile: bool
    chosen: tuple[str, ...]
    withdrawn: tuple[str, ...]
    pairs: int
    queue_size: int | None
    mtu: int
    seconds: float | None
    seed: int
    patience_ms: int
    record: Path | None
    traces: Path
    progress: Callable[[str], None] | None

    def course(self, name: str, words: str) -> Course:
        """A round as asked for. Raises BadInputError for a feature nobody knows."""
        return Course(
            name, words, offered(self.withdrawn, pairs=self.pairs), self.traces, pairs=self.pairs,
            queue_size=self.queue_size, mtu=self.mtu, seconds=self.seconds, chosen=self.chosen, quick=self.quick,
            seed=self.seed, patience_ms=self.patience_ms, record=self.record, progress=self.progress,
        )  # fmt: skip

    def recorded(self, name: str, many: bool) -> Path | None:
        """Where the recording of a round goes: of many, each has a name of its own."""
        if self.record is None or not many:
            return self.record
        return self.record.with_name(f"{self.record.stem}-{name}{self.record.suffix or '.rpl'}")


def _of_recipe(found: Recipe, one: Round, asked: _Asked, many: bool, inject: int = 0) -> Course:
    """The course of one of a recipe's rounds."""
    pairs = max(one.pairs, asked.pairs)
    withdrawn = {*one.device_features_withdrawn, *asked.withdrawn}
    return replace(
        asked.course(f"{found.name}-{one.name}", one.words),
        offered=offered(withdrawn, pairs=pairs), pairs=pairs, traffic=one.traffic, inject=inject,
        mtu=one.mtu or asked.mtu, seconds=asked.seconds or one.seconds, wait=max(30.0, 4 * one.first_frame),
        record=asked.recorded(one.name, many), chosen=asked.chosen or (("honest",) if inject else ()),
    )  # fmt: skip


def _starting(one: Round, socket: Path, workdir: Path) -> Callable[[], FrontEnd]:
    return lambda: one.start(socket, workdir)


def _run_recipe(found: Recipe, asked: _Asked, names: Sequence[str]) -> ValidationReport:
    """Run a recipe's rounds, and say what came of them. Raises Missing, BadInputError."""
    found.check()
    rounds = _chosen(found.rounds(quick=asked.quick), names, found.name)
    with tempfile.TemporaryDirectory(prefix="ringproof-live-") as folder:
        outcomes = []
        for number, one in enumerate(rounds):
            course = _of_recipe(found, one, asked, len(rounds) > 1)
            outcomes.append(_round(course, one, Path(folder) / f"round-{number}"))
        if asked.hostile:
            outcomes += _broken(found, asked, Path(folder))
    return report_on(found.version(), outcomes, hostile=asked.hostile)


def _chosen(rounds: Sequence[Round], names: Sequence[str], recipe: str) -> Sequence[Round]:
    known = {one.name: one for one in rounds}
    for name in names:
        if name not in known:
            raise BadInputError(f"recipe {recipe} has no round {name!r}; it has {', '.join(known)}")
    return [one for one in rounds if not names or one.name in names]


def _round(course: Course, one: Round, workdir: Path) -> RoundOutcome:
    workdir.mkdir()
    socket = workdir / "s"
    with Listening(socket) as listening:
        return Conductor(course, listening, _starting(one, socket, workdir)).run()


def _broken(found: Recipe, asked: _Asked, folder: Path) -> Iterator[RoundOutcome]:
    """The rounds in which the device breaks the rules: one for each way."""
    able = [one for one in found.rounds(quick=True, hostile=True) if one.hostile]
    if not able:
        return
    for code, ways in INJECTIONS.items():
        for kind, words in ways:
            one = able[0]
            course = _of_recipe(found, one, replace(asked, record=None), True, inject=kind)
            course = replace(course, name=f"{found.name}-{code}-{kind}", words=words, traffic="unknown")
            outcome = _round(course, one, folder / f"hostile-{kind}")
            outcome.injected.append(judged(code, words, outcome))
            # What it did to a device that breaks the rules says nothing of its verdict with one that does not.
            outcome.tallies.clear()
            outcome.phases.clear()
            outcome.complaints = ()
            outcome.left_out.clear()
            yield outcome


def judged(code: str, words: str, outcome: RoundOutcome) -> Injected:
    """What a driver made of a device that broke a rule."""
    done = outcome.injected_done
    fault = ""
    if outcome.complaints:
        fault = outcome.complaints[0]
    elif done and outcome.went_early:
        fault = f"it ended: {outcome.ended}"
    elif outcome.trouble and done:
        fault = outcome.trouble
    return Injected(code, words, done, fault, outcome.after)


def _serve(socket: Path | None, command: Sequence[str], asked: _Asked) -> ValidationReport:
    """Serve whoever connects to the socket, or what the command starts."""
    with tempfile.TemporaryDirectory(prefix="ringproof-live-") as folder:
        place = socket or Path(folder) / "socket"
        with Listening(place) as listening:
            if not command:
                _advise(place)
                course = replace(asked.course("run", "a front-end that was started by hand"), wait=None)
                return report_on(str(place), [Conductor(course, listening).run()])
            words = [word.replace("{socket}", str(place)) for word in command]
            course = asked.course("run", shlex.join(words))
            outcome = Conductor(course, listening, lambda: _started(words, Path(folder))).run()
            return report_on(Path(words[0]).name, [outcome])


def _started(words: Sequence[str], workdir: Path) -> FrontEnd:
    return FrontEnd(words, workdir, version=Path(words[0]).name)


def _advise(socket: Path) -> None:
    """Say what to start, ready to paste."""
    click.echo(f"waiting at {socket}; to a QEMU add:\n  {shlex.join(qemu_options(socket))}", err=True)


@click.command(context_settings={"ignore_unknown_options": False})
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    type=click.Choice(RECIPES),
    help="Start a driver that is installed here.",
)
@click.option("--round", "rounds", multiple=True, metavar="NAME", help="Of a recipe, only this round.")
@click.option("--list", "listing", is_flag=True, help="List the rounds of the recipes, and the behaviours.")
@click.option("--socket", type=click.Path(path_type=Path), metavar="PATH", help="Wait here for a front-end.")
@click.option("--quick", is_flag=True, help="A first answer: few rounds, few behaviours.")
@click.option(
    "--hostile", is_flag=True, help="Of a recipe, ask as well what it does when the device breaks the rules."
)
@click.option(
    "--behaviour", "chosen", multiple=True, metavar="NAME", help="Only this behaviour of the device."
)
@click.option("--without", "withdrawn", multiple=True, metavar="FEATURE", help="Do not offer this feature.")
@click.option(
    "--pairs", type=click.IntRange(1, MAX_PAIRS), default=1, show_default=True, help="Queue pairs offered."
)
@click.option("--queue-size", type=click.IntRange(1, 32768), metavar="N", help="The largest queue taken.")
@click.option(
    "--mtu", type=click.IntRange(68, 65535), default=1500, show_default=True, help="The device's MTU."
)
@click.option("--seconds", type=Seconds(), help="How long a round lasts, from its first frame on.")
@click.option(
    "--patience",
    type=Seconds(),
    default=2.0,
    show_default=True,
    help="Seconds after which a kick counts as lost.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option(
    "--kernel",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Of the recipe linux: the kernel's image.",
)
@click.option(
    "--modules",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Of the recipe linux: the kernel's modules.",
)
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="FILE", help="Write the whole run to a recording."
)
@click.option("--traces", type=click.Path(path_type=Path, file_okay=False), default=Path("ringproof-traces"),
              show_default=True, help="Where recordings of failures go.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document (a list for several recipes).")
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a JUnit report for CI.",
)
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path), metavar="FILE", help="Write a page for a browser."
)
@click.option("-v", "--verbose", is_flag=True, help="Show the checks that passed, too, and every clause.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def live(
    recipes: tuple[str, ...], rounds: tuple[str, ...], listing: bool, socket: Path | None, quick: bool, hostile: bool,
    chosen: tuple[str, ...], withdrawn: tuple[str, ...], pairs: int, queue_size: int | None, mtu: int,
    seconds: float | None, patience: float, seed: int, kernel: Path | None, modules: Path | None,
    record: Path | None, traces: Path, as_json: bool, junit_file: Path | None, html_file: Path | None, verbose: bool,
    command: tuple[str, ...],
) -> int:  # fmt: skip
    """Play the network device for a running driver, and give a verdict per clause of VIRTIO 1.3.

    Over vhost-user: for a driver that is installed here (--recipe), for what connects to a socket (--socket), or
    for a COMMAND after ``--``, in which {socket} stands for the socket's path.
    """
    if listing:
        return _list(recipes or RECIPES, quick, kernel, modules)
    if recipes and (command or socket):
        raise BadInputError("--recipe starts its own front-end: leave --socket and the command out")
    if not recipes and socket is None and not command:
        raise BadInputError(
            "nothing to serve: give --recipe, --socket or -- COMMAND (see ringproof live --help)"
        )
    if hostile and not recipes:
        raise BadInputError("--hostile needs a driver that can be started again and again: give --recipe")
    if rounds and not recipes:
        raise BadInputError("--round is for recipes")
    _checked_places(record, junit_file, html_file)
    narrate = sys.stderr.isatty() and not as_json
    asked = _Asked(
        quick, hostile, chosen, withdrawn, pairs, queue_size, mtu, seconds, seed, round(patience * 1000), record,
        traces, (lambda said: click.echo(f"  {said}", err=True)) if narrate else None,
    )  # fmt: skip
    _known(chosen)
    offered(withdrawn)
    console = Console(highlight=False, soft_wrap=True)
    reports = []
    for each in _work(recipes, rounds, socket, command, asked, (kernel, modules)):
        report = each()
        reports.append(report)
        if not as_json:
            with suppress(ReaderGone):
                render(report, console, verbose=verbose)
    if as_json:
        documents = [report.to_json() for report in reports]
        with suppress(ReaderGone):
            click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    if junit_file is not None:
        _write(junit_file, junit(reports))
    if html_file is not None:
        _write(html_file, page(reports))
    return exit_code(reports)


def _work(
    recipes: Sequence[str],
    rounds: Sequence[str],
    socket: Path | None,
    command: Sequence[str],
    asked: _Asked,
    linux: tuple[Path | None, Path | None],
) -> Sequence[Callable[[], ValidationReport]]:
    """What is to be run, one after the other; ``linux`` are its kernel and modules. Raises Missing."""
    if not recipes:
        return [partial(_serve, socket, command, asked)]
    found = [
        find_recipe(
            name, kernel=linux[0] if name == "linux" else None, modules=linux[1] if name == "linux" else None
        )
        for name in recipes
    ]
    for one in found:
        one.check()
    return [partial(_run_recipe, one, asked, rounds) for one in found]


def _known(chosen: Sequence[str]) -> None:
    for name in chosen:
        if name not in PHASES:
            raise BadInputError(f"no behaviour is called {name!r}; known: {', '.join(PHASES)}")


def _list(recipes: Sequence[str], quick: bool, kernel: Path | None, modules: Path | None) -> int:
    """Print the rounds of recipes, and the behaviours of the device."""
    for name in recipes:
        found = find_recipe(name, kernel=kernel, modules=modules)
        click.echo(name)
        for one in found.rounds(quick=quick):
            click.echo(f"  {one.name:24} {one.words}")
    click.echo("behaviours")
    for phase in PHASES.values():
        click.echo(f"  {phase.name:24} {phase.words}")
    return 0
