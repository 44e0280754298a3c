"""``ringproof live``: a verdict per clause for a running driver, over a vhost-user socket."""

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from ..errors import EXIT_HELD, BadInputError
from ..live.features import BITS, OFFERED, offered
from ..live.library import MAX_PAIRS
from ..live.recipes.own import Own
from ..live.recipes.recipe import RECIPES, Recipe, qemu_options
from ..live.recipes.recipe import recipe as find_recipe
from ..live.running import Asked, run_recipe, serve
from ..live.schedule import PHASES, phases
from ..outlet import ReaderGone
from ..reporting.terminal import render
from ..validation.report import ValidationReport
from .reported import checked_places, told
from .seconds import Seconds

_RECIPES = ("own", *RECIPES)


@dataclass(frozen=True, slots=True)
class _Given:
    """What some recipes can be given: a library with a driver, a kernel's image and its modules."""

    driver: Path | None
    kernel: Path | None
    modules: Path | None


def _advise(socket: Path) -> None:
    """Say what to start, ready to paste."""
    click.echo(f"waiting at {socket}; to a QEMU add:\n  {shlex.join(qemu_options(socket))}", err=True)


@click.command(context_settings={"ignore_unknown_options": False})
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    type=click.Choice(_RECIPES),
    help="Start a driver that is installed here, or (own) one behind ringproof_driver.h.",
)
@click.option("--round", "rounds", multiple=True, metavar="NAME", help="Of a recipe, only this round.")
@click.option(
    "--list",
    "listing",
    is_flag=True,
    help="List the recipes' rounds, the features offered, and the behaviours.",
)
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
    "--driver",
    type=click.Path(path_type=Path),
    metavar="LIB",
    help="Of the recipe own: the library with the driver.",
)
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
    recipes: tuple[str, ...], rounds: tuple[str, ...], listing: bool, socket: Path | None, quick: bool,
    hostile: bool,
    chosen: tuple[str, ...], withdrawn: tuple[str, ...], pairs: int, queue_size: int | None, mtu: int,
    seconds: float | None, patience: float, seed: int, driver: Path | None, kernel: Path | None,
    modules: Path | None,
    record: Path | None, traces: Path, as_json: bool, junit_file: Path | None, html_file: Path | None,
    verbose: bool,
    command: tuple[str, ...],
) -> int:  # fmt: skip
    """Play the network device for a running driver, and give a verdict per clause of VIRTIO 1.3.

    Over vhost-user: for a driver that is installed here (--recipe), for what connects to a socket (--socket),
    or for a COMMAND after ``--``, in which {socket} stands for the socket's path.
    """
    given = _Given(driver, kernel, modules)
    _fitting(given, recipes)
    if listing:
        return _list(recipes or _RECIPES, quick, given)
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
    checked_places(record, junit_file, html_file)
    narrate = sys.stderr.isatty() and not as_json
    asked = Asked(
        traces, quick, hostile, chosen, withdrawn, pairs, queue_size, mtu, seconds, seed,
        round(patience * 1000), record,
        (lambda said: click.echo(f"  {said}", err=True)) if narrate else None,
    )  # fmt: skip
    phases(0, chosen=chosen)
    offered(withdrawn)
    console = Console(highlight=False, soft_wrap=True)
    reports = []
    for each in _work(recipes, rounds, socket, command, asked, given):
        report = each()
        reports.append(report)
        if not as_json:
            with suppress(ReaderGone):
                render(report, console, verbose=verbose)
    return told(reports, as_json=as_json, junit_file=junit_file, html_file=html_file)


def _found(name: str, given: _Given) -> Recipe:
    """A recipe by name, with what was given for it. Raises BadInputError for what is for another one."""
    if name == "own":
        return Own(given.driver)
    if name == "linux":
        return find_recipe(name, kernel=given.kernel, modules=given.modules)
    return find_recipe(name)


def _work(
    recipes: Sequence[str],
    rounds: Sequence[str],
    socket: Path | None,
    command: Sequence[str],
    asked: Asked,
    given: _Given,
) -> Sequence[Callable[[], ValidationReport]]:
    """What is to be run, one after the other. Raises Missing."""
    if not recipes:
        return [partial(serve, socket, command, asked, _advise)]
    found = [_found(name, given) for name in recipes]
    for one in found:
        one.check()
    return [partial(run_recipe, one, asked, rounds) for one in found]


def _fitting(given: _Given, recipes: Sequence[str]) -> None:
    if given.driver is not None and "own" not in recipes:
        raise BadInputError("--driver is of the recipe own: give --recipe own with it")
    if (given.kernel is not None or given.modules is not None) and "linux" not in recipes:
        raise BadInputError("--kernel and --modules are of the recipe linux: give --recipe linux with them")


def _list(recipes: Sequence[str], quick: bool, given: _Given) -> int:
    """Print the rounds of recipes, and the behaviours of the device."""
    for name in recipes:
        found = _found(name, given)
        click.echo(name)
        for one in found.rounds(quick=quick):
            click.echo(f"  {one.name:24} {one.words}")
    click.echo("features\n  " + " ".join(sorted(OFFERED, key=BITS.__getitem__)))
    click.echo("behaviours")
    for phase in PHASES.values():
        click.echo(f"  {phase.name:24} {phase.words}")
    return EXIT_HELD
