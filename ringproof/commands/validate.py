"""``ringproof validate``: a verdict per check for drivers behind the C ABI."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from ..building import BuildError, build_driver
from ..errors import EXIT_BAD_INPUT, EXIT_HELD, EXIT_REFUTED, BadInputError
from ..impl.harness.reference_runner import QueueConfig
from ..validation.campaign import Options
from ..validation.examination import examine
from ..validation.library import LibraryError
from ..reporting.terminal import render
from ..validation.report import ValidationReport
from .seconds import Seconds


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """The queue sizes asked for. Raises BadInputError for one no virtqueue has."""
    for size in sizes:
        try:
            QueueConfig(queue_size=size)
        except ValueError as error:
            raise BadInputError(str(error)) from None
    return tuple(sizes)


def _failed(library: Path, error: Exception) -> ValidationReport:
    """The report on what could not be tested at all."""
    message = " ".join(str(error).split())
    return ValidationReport(str(library), "error", (), 0, 0.0, message=message)


def exit_code(reports: Sequence[ValidationReport]) -> int:
    """2 if a driver could not be tested, else 1 if one failed, else 0."""
    verdicts = {report.verdict for report in reports}
    if "error" in verdicts:
        return EXIT_BAD_INPUT
    return EXIT_REFUTED if "fail" in verdicts else EXIT_HELD


@click.command()
@click.argument("libraries", nargs=-1, metavar="[LIB]...", type=click.Path(path_type=Path))
@click.option("--source", type=click.Path(path_type=Path), help="Build every *.c of this folder first.")
@click.option(
    "--quick", is_flag=True, help="A first answer in seconds: small rings, and one way past the wrap."
)
@click.option("--queue-size", "sizes", type=int, multiple=True, metavar="N", help="Sizes of the long runs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--keep-going", is_flag=True, help="Go on after a failing stage.")
@click.option("--by-meaning", is_flag=True, help="Do not hold a driver to the reference's bytes.")
@click.option(
    "--traces",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("ringproof-traces"),
    show_default=True,
    help="Where traces of failures go.",
)
@click.option(
    "--timeout",
    type=Seconds(),
    default=10.0,
    show_default=True,
    help="Seconds after which a driver counts as hanging.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document (a list for several drivers).")
@click.option("-v", "--verbose", is_flag=True, help="Show the checks that passed, too.")
def validate(
    libraries: tuple[Path, ...],
    source: Path | None,
    quick: bool,
    sizes: tuple[int, ...],
    seed: int,
    keep_going: bool,
    by_meaning: bool,
    traces: Path,
    timeout: float,
    as_json: bool,
    verbose: bool,
) -> int:
    """Drive a driver in a shared library, play the device, and give a verdict per check.

    Virtqueue code behind ringproof_driver.h, a whole network driver behind ringproof_net_driver.h, or both.
    """
    if not libraries and source is None:
        raise BadInputError(
            "nothing to validate: give a library, or --source DIR (see ringproof validate --help)"
        )
    targets = [*libraries, *([build_driver(source)] if source is not None else [])]
    console = Console(highlight=False, soft_wrap=True)
    narrate = sys.stderr.isatty() and not as_json
    options = Options(
        quick=quick, keep_going=keep_going, by_meaning=by_meaning, seed=seed, hang_seconds=timeout,
        traces=traces,
        progress=(lambda stage: click.echo(f"  {stage}", err=True)) if narrate else None,
    )  # fmt: skip
    if sizes:
        options = replace(options, sizes=checked_sizes(sizes))
    reports: list[ValidationReport] = []
    for library in targets:
        try:
            report = examine(library, options=options)
        except (LibraryError, BuildError) as error:
            report = _failed(library, error)
            click.echo(f"ringproof: {report.message}", err=True)
        reports.append(report)
        if not as_json and report.verdict != "error":
            render(report, console, verbose=verbose)
    if as_json:
        documents = [report.to_json() for report in reports]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    return exit_code(reports)
