"""``ringproof validate --symbolic K``: every way that K operations can go, in a driver's machine code."""

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..errors import EXIT_BAD_INPUT, EXIT_HELD, EXIT_REFUTED, EXIT_UNKNOWN, BadInputError
from ..outlet import ReaderGone
from ..proofs.machine.errors import LifterMissing
from ..validation.library import ENTRY, LibraryError, entries
from ..validation.options import Options
from ..validation.symbolic_campaign import QUEUE_SIZE, SEGMENTS, explore, require_lifter
from ..validation.symbolic_report import Failing, SymbolicReport, SymbolicVerdict, Unreproduced

HELP = (
    "Instead of all else, follow the machine code along every way that K operations can go, with symbolic "
    f"buffers and device decisions: queues of {QUEUE_SIZE}, or of --queue-size, fresh, about to wrap at 2^16 "
    f"and (nearly) full; buffers of up to {SEGMENTS} segments, with K = 1 as many as fit. What fails is run "
    "natively before it is reported. Needs ringproof[binary], and no source."
)
_COLOUR: dict[SymbolicVerdict, str] = {"pass": "green", "fail": "bold red", "incomplete": "bold yellow"}
_MOST_LINES = 8
_LARGEST_QUEUE = 64


def symbolic(
    libraries: Sequence[Path],
    depth: int,
    options: Options,
    *,
    as_json: bool,
    others: Sequence[str],
    verbose: bool,
) -> int:
    """Explore ``depth`` operations on each library and print what came of it; the exit code.

    ``others`` are options that were given and mean nothing here. Raises BadInputError.
    """
    if others:
        raise BadInputError(f"--symbolic goes without {' and '.join(others)}")
    large = [size for size in options.sizes or () if size > _LARGEST_QUEUE]
    if large:
        raise BadInputError(f"--symbolic explores queues of up to {_LARGEST_QUEUE}, not of {large[0]}")
    try:
        require_lifter()
    except LifterMissing as missing:
        click.echo(f"ringproof: {missing}", err=True)
        return EXIT_UNKNOWN
    codes, documents = list[int](), list[dict[str, object]]()
    console = Console(highlight=False, soft_wrap=True)
    for library in libraries:
        try:
            if ENTRY not in entries(library):
                raise LibraryError(f"{library}: no virtqueue code behind ringproof_driver.h to explore")
            report = explore(library, depth, options=options)
        except LibraryError as error:
            click.echo(f"ringproof: {error}", err=True)
            codes.append(EXIT_BAD_INPUT)
            documents.append({"library": str(library), "verdict": "error", "message": str(error)})
            continue
        codes.append(exit_code(report))
        documents.append(report.to_json())
        if not as_json:
            with suppress(ReaderGone):
                render(report, console, verbose=verbose)
    if as_json:
        with suppress(ReaderGone):
            click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    worst = (EXIT_BAD_INPUT, EXIT_REFUTED, EXIT_UNKNOWN)
    return next((code for code in worst if code in codes), EXIT_HELD)


def exit_code(report: SymbolicReport) -> int:
    """0 if all paths were followed and held, 1 if the driver itself has failed, 3 for all that is unknown."""
    return {"pass": EXIT_HELD, "fail": EXIT_REFUTED, "incomplete": EXIT_UNKNOWN}[report.verdict]


def render(report: SymbolicReport, console: Console, *, verbose: bool = False) -> None:
    """Print the report: the verdict, what fails, what is unknown, and what was claimed."""
    colour = _COLOUR[report.verdict]
    console.print(f"[{colour}]{report.verdict.upper()}[/]  {escape(report.driver)}", end="")
    console.print(f"  every way of {_counted(report.depth, 'operation')}, followed in machine code")
    for failure in report.failures:
        _failure(failure, console)
    if report.unreproduced:
        console.print("\nfound symbolically, not reproduced natively (unknown, no failure):")
    for one in report.unreproduced:
        _unreproduced(one, console)
    if report.lost or report.left_out:
        console.print("\nnot followed (unknown, never passed):")
    for what, times in report.lost[:_MOST_LINES]:
        console.print(f"  {escape(what)} ({_counted(times, 'path')})")
    if len(report.lost) > _MOST_LINES:
        console.print(f"  and {len(report.lost) - _MOST_LINES} more; --json tells all")
    for why in report.left_out:
        console.print(f"  {escape(why)}")
    console.print()
    for start in report.starts:
        told = f"{_counted(start.followed, 'path')} completed, {start.ended} ended in what may fail, "
        told += f"{start.lost} not followed; {_counted(start.calls, 'call')}, {start.seconds:.1f} s"
        console.print(f"  {escape(start.start)}: {told}")
    if report.not_explored:
        console.print(f"  never asked for: {escape(', '.join(report.not_explored))}")
    held = sum(one.held for one in report.obligations)
    console.print(f"  {_counted(held, 'obligation')} held in {_counted(len(report.obligations), 'check')}")
    if verbose:
        for obligation in report.obligations:
            fails = f", may fail on {_counted(obligation.failing, 'path')}" if obligation.failing else ""
            line = f"{obligation.name} ({obligation.clause}): held {obligation.held} times{fails}"
            console.print(f"    {escape(line)}")


def _failure(failure: Failing, console: Console) -> None:
    console.print(f"\n[bold red]FAIL[/]  {escape(f'{failure.check} ({failure.clause})')}")
    console.print(f"  formulas say: {escape(failure.found)}, on {_counted(failure.paths, 'path')}")
    named = "" if failure.shows == failure.check else f" {failure.shows} ({failure.shows_clause}):"
    console.print(f"  the driver shows:{escape(named)} {escape(failure.seen)}")
    for step in failure.steps:
        console.print(f"    {escape(step)}")
    if failure.trace is not None:
        console.print(f"  ringproof trace {escape(shlex.quote(str(failure.trace)))}")
    if failure.message:
        console.print(f"  {escape(failure.message)}")


def _unreproduced(one: Unreproduced, console: Console) -> None:
    console.print(f"  {escape(f'{one.check} ({one.clause})')}: {escape(one.found)}")
    console.print(f"    on {_counted(one.paths, 'path')} from {escape(one.start)}; {escape(one.why)}")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
