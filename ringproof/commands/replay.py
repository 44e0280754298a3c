"""``ringproof replay``: a recorded trace run again, on the reference, the C implementation or a driver."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..building import build_driver, c_sources
from ..errors import EXIT_HELD, EXIT_REFUTED, EXIT_UNKNOWN, BadInputError
from ..journey.document import NetTrace
from ..journey.replay import NetReplay
from ..journey.replay import replay_on_driver as replay_net_driver
from ..journey.replay import replay_on_reference as replay_net_reference
from ..patching import UnknownMutant
from ..traces.document import TraceDocument
from ..traces.itf import shown
from ..traces.parting import Parting, first_parting
from ..traces.replay import replay_document
from ..traces.steps_document import StepsDocument
from ..validation.evidence import DriverReplay, replay_on_driver
from ..validation.net_evidence import follows_a_profile, net_parting, replay_net
from ..views.opening import broken_step, load_any
from ..views.staging import scene_of
from ..views.terminal import render
from .build import build_shipped
from .recording import is_recording, replay_recording


def _show_parting(parting: Parting | None, console: Console) -> None:
    """Both sides of the step at which two runs part."""
    if parting is None:
        return
    console.print()
    console.print(
        f"they part at step {parting.step}: {parting.words}", style="bold", markup=False, soft_wrap=True
    )
    console.print(parting.table())
    console.print()


def _show_driver(outcome: DriverReplay, console: Console) -> None:
    for number, line in enumerate(outcome.lines):
        mark = "[bold red]->[/]" if outcome.differs and number == outcome.step else "  "
        console.print(f"{mark} {number + 1:3}  {escape(line)}")
    for reason in outcome.untaken:
        console.print(f"not asked: {reason}", style="yellow", markup=False)
    if outcome.differs:
        inside = 0 <= outcome.step < len(outcome.lines)
        where = f"step {outcome.step + 1}" if inside else "set-up or the end"
        check = f"{outcome.check} ({outcome.clause})" if outcome.clause else outcome.check
        _show_parting(outcome.both, console)
        console.print(f"[bold red]{escape(outcome.driver)} fails at {where}[/]: {escape(check)}")
        console.print(escape(outcome.detail))
    else:
        console.print(f"[green]{escape(outcome.driver)}[/]: {escape(outcome.detail)}")


def _on_driver(document: TraceDocument, library: Path, as_json: bool) -> int:
    check = document.extra.get("check")
    broken = broken_step(document, len(document.operations) + 1)
    outcome = replay_on_driver(
        document.operations,
        document.config,
        library,
        by_meaning=document.extra.get("compared") == "by meaning",
        alone=document.alone(),
        check=check if isinstance(check, str) else "",
        broken=None if broken is None else broken - 1,
    )
    return _told(outcome, as_json)


def _told(outcome: DriverReplay, as_json: bool) -> int:
    """Show what a driver did with a failure that validate has kept."""
    if as_json:
        answer = {
            "driver": outcome.driver,
            "judged": outcome.judged,
            "differs": outcome.differs,
            "check": outcome.check,
            "clause": outcome.clause,
            "step": outcome.step + 1,
            "detail": outcome.detail,
            "untaken": list(outcome.untaken),
            "both": _both(outcome.both),
        }
        click.echo(json.dumps(answer, indent=2))
    elif outcome.judged:
        _show_driver(outcome, Console(highlight=False, soft_wrap=True))
    if not outcome.judged:
        return _not_judged(f"{outcome.driver}: {outcome.detail}", as_json)
    return EXIT_REFUTED if outcome.differs else EXIT_HELD


def _not_judged(reason: str, as_json: bool) -> int:
    if not as_json:
        click.echo(f"ringproof: not judged: {reason}", err=True)
    return EXIT_UNKNOWN


def _both(parting: Parting | None) -> dict[str, object] | None:
    return None if parting is None else parting.to_json()


@contextmanager
def _on_behalf_of(document: TraceDocument | NetTrace, file: Path, reference: bool) -> Iterator[None]:
    """Names the file, and the place in it, if the ``reference`` is to run the document and cannot."""
    try:
        yield
    except UnknownMutant:
        name = shown(document.mutant)
        said = f"the reference carries no defect that is called {name}"
        raise BadInputError(f"{file}: #meta.mutant: {said}") from None
    except BadInputError as error:
        if not reference:
            raise
        said = str(error)
        raise BadInputError(said if said.startswith(f"{file}: ") else f"{file}: {said}") from None


def _on_reference(document: TraceDocument, everything: bool, as_json: bool) -> int:
    outcome = replay_document(document)
    run = outcome.accused or outcome.clean
    if as_json:
        answer = {
            "mutant": document.mutant,
            "property": document.property,
            "confirmed": outcome.confirmed,
            "violated": run.first is not None,
            "step": run.first[0] + 1 if run.first else None,
            "detail": outcome.reason,
            "both": _both(outcome.parting()),
        }
        click.echo(json.dumps(answer, indent=2))
    else:
        console = Console(highlight=False)
        render(scene_of(document, sources=False), console, all=everything)
        _show_parting(outcome.parting(), console)
        console.print(escape(outcome.reason))
    return EXIT_HELD if run.first is None and outcome.confirmed else EXIT_REFUTED


def _whole_driver(
    document: NetTrace, name: str, driver: Path | None, on_c: bool, everything: bool, as_json: bool
) -> int:
    """Replay the trace of a network driver."""
    if driver is not None:
        by_meaning = document.extra.get("compared") == "by meaning"
        try:
            # A driver that promises nobody's bytes is judged by what it does.
            if "check" in document.extra or not follows_a_profile(document, driver):
                return _told(replay_net(document, driver, by_meaning=by_meaning), as_json)
        except ValueError as error:
            return _untaken(str(error), as_json)
    if driver is None and on_c:
        driver = build_shipped(None, profile=document.config.profile)
    if driver is not None:
        outcome = replay_net_driver(document, driver, name=name)
    else:
        outcome = replay_net_reference(document, name)
    both = _net_both(document, outcome, driver)
    # What xmit found wrong was the driver's doing; a finding or a defect is the reference's own.
    accused = document.mutant is not None or "origin" in document.extra
    violated = driver is None and outcome.step is None and accused and bool(document.violated)
    if as_json:
        answer = {
            "mutant": document.mutant,
            "property": document.property,
            "violated": violated,
            "differs": outcome.step is not None,
            "step": outcome.step,
            "detail": outcome.reason,
            "both": _both(both),
        }
        click.echo(json.dumps(answer, indent=2))
    else:
        console = Console(highlight=False)
        render(scene_of(document, sources=False), console, all=everything)
        _show_parting(both, console)
        where = f"step {outcome.step}: " if outcome.step is not None else ""
        shows = f", and breaks {document.property}" if violated else ""
        console.print(escape(where + outcome.reason + shows), soft_wrap=True)
    return EXIT_REFUTED if violated or outcome.step is not None else EXIT_HELD


def _net_both(document: NetTrace, outcome: NetReplay, driver: Path | None) -> Parting | None:
    """Both sides of the step at which a network driver, or the reference, does not go on as it should."""
    if outcome.step is None:
        return None
    if driver is not None:
        return net_parting(document, driver, outcome.step)
    return first_parting(outcome.states, document.states, ("now", "in the trace"))


def _untaken(reason: str, as_json: bool) -> int:
    """Say that a driver cannot be asked for anything in a trace."""
    if as_json:
        click.echo(json.dumps({"judged": False, "differs": False, "detail": reason, "both": None}, indent=2))
    return _not_judged(reason, as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--driver", type=click.Path(path_type=Path), help="Run it on the driver in this library.")
@click.option("--c", "on_c", is_flag=True, help="Run it on the C implementation of this project.")
@click.option(
    "--all", "everything", is_flag=True, help="Show every variable at every step, not only what changed."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def replay(file: Path, driver: Path | None, on_c: bool, everything: bool, as_json: bool) -> int:
    """Run the operations of a trace again.

    On the reference, with the trace's mutant seeded into it if the trace names one; with --driver or --c on
    a driver beside the reference. Where the two part, both sides of that step are shown. Exit code 0 when
    nothing is violated, 1 when something is, 3 when nothing can be judged: the driver declines the queue, or
    lacks a feature or the operation that the trace is about, or no implementation carries the run.

    The recording of a live run is judged anew by the monitor written in Python, and what was seen around each
    failure is told; exit code 4 if the compiled monitor counted something else.
    """
    if is_recording(file):
        if driver is not None or on_c:
            raise BadInputError(f"{file}: the recording of a live run, which no driver is run on")
        return replay_recording(file, as_json)
    document = load_any(file)
    if isinstance(document, StepsDocument):
        return _untaken(
            f"{file}: a run of the step-wise model, whose single statements no implementation carries; "
            "ringproof trace shows it",
            as_json,
        )
    if isinstance(document, NetTrace):
        with _on_behalf_of(document, file, driver is None and not on_c):
            return _whole_driver(document, str(file), driver, on_c, everything, as_json)
    if driver is None and on_c:
        driver = build_driver(c_sources())
    if driver is not None:
        return _on_driver(document, driver, as_json)
    with _on_behalf_of(document, file, True):
        return _on_reference(document, everything, as_json)
