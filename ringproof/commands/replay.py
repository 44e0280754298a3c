"""``ringproof replay``: a recorded trace run again, on the reference, the C implementation or a driver."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..building import build_driver, c_sources
from ..errors import EXIT_HELD, EXIT_REFUTED, BadInputError
from ..journey.document import NetTrace, is_net_trace
from ..journey.document import from_json as net_trace
from ..journey.replay import replay_on_driver as replay_net_driver
from ..journey.replay import replay_on_reference as replay_net_reference
from ..journey.terminal import render_trace
from ..traces import itf
from ..traces.document import TraceDocument, from_json
from ..traces.replay import replay_document
from ..traces.terminal import render
from ..validation.evidence import DriverReplay, replay_on_driver
from ..validation.net_evidence import follows_a_profile, replay_net
from .build import build_shipped


def _show_driver(outcome: DriverReplay, console: Console) -> None:
    for number, line in enumerate(outcome.lines):
        mark = "[bold red]->[/]" if outcome.differs and number == outcome.step else "  "
        console.print(f"{mark} {number + 1:3}  {escape(line)}")
    if outcome.differs:
        where = (
            f"operation {outcome.step + 1}" if 0 <= outcome.step < len(outcome.lines) else "set-up or the end"
        )
        check = f"{outcome.check} ({outcome.clause})" if outcome.clause else outcome.check
        console.print(f"[bold red]{escape(outcome.driver)} fails at {where}[/]: {escape(check)}")
        console.print(escape(outcome.detail))
    else:
        console.print(f"[green]{escape(outcome.driver)}[/]: {escape(outcome.detail)}")


def _on_driver(document: TraceDocument, library: Path, as_json: bool) -> int:
    by_meaning = document.extra.get("compared") == "by meaning"
    outcome = replay_on_driver(
        document.operations, document.config, library, by_meaning=by_meaning, alone=document.alone()
    )
    return _told(outcome, as_json)


def _told(outcome: DriverReplay, as_json: bool) -> int:
    """Show what a driver did with a failure that validate has kept."""
    if as_json:
        answer = {
            "driver": outcome.driver,
            "differs": outcome.differs,
            "check": outcome.check,
            "clause": outcome.clause,
            "step": outcome.step + 1,
            "detail": outcome.detail,
        }
        click.echo(json.dumps(answer, indent=2))
    else:
        _show_driver(outcome, Console(highlight=False, soft_wrap=True))
    return EXIT_REFUTED if outcome.differs else EXIT_HELD


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
        }
        click.echo(json.dumps(answer, indent=2))
    else:
        console = Console(highlight=False)
        render(document, console, all=everything)
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
            raise BadInputError(str(error)) from None
    if driver is None and on_c:
        driver = build_shipped(None, profile=document.config.profile)
    if driver is not None:
        outcome = replay_net_driver(document, driver, name=name)
    else:
        outcome = replay_net_reference(document, name)
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
        }
        click.echo(json.dumps(answer, indent=2))
    else:
        console = Console(highlight=False)
        render_trace(document, console, all=everything)
        where = f"step {outcome.step}: " if outcome.step is not None else ""
        shows = f", and breaks {document.property}" if violated else ""
        console.print(escape(where + outcome.reason + shows), soft_wrap=True)
    return EXIT_REFUTED if violated or outcome.step is not None else EXIT_HELD


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
    a driver beside the reference. Exit code 0 when nothing is violated, 1 when something is.
    """
    value = itf.read(file)
    if is_net_trace(value):
        whole = net_trace(value, str(file))
        return _whole_driver(whole, str(file), driver, on_c, everything, as_json)
    document = from_json(value, str(file))
    if driver is None and on_c:
        driver = build_driver(c_sources())
    if driver is not None:
        return _on_driver(document, driver, as_json)
    return _on_reference(document, everything, as_json)
