"""The report in a terminal: failures first, each with what shows it; then what became of the clauses."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from ..validation.registry import DEMANDS, ids
from ..validation.report import ORDER, Check, CheckVerdict, Exhibit, ValidationReport
from ..validation.standing import counted, standings

_COLOUR = {
    "pass": "green", "fail": "bold red", "warn": "yellow", "not exercised": "dim", "not observable": "dim",
    "error": "bold red", "incomplete": "bold yellow",
}  # fmt: skip
_SHOWN_STEPS = 12
_SHOWN_RUNS = 5
_SHOWN_LEFT_OUT = 3
_LOOK = """step by step, and why:      ringproof trace TRACE
as a page to step through:  ringproof trace TRACE --html PAGE
as a test (or in c):        ringproof trace TRACE --emit pytest -o FILE"""
_REPLAY = "judged anew, and told:      ringproof replay RECORDING"
_UNITS = {"the whole network driver": "operations"}


def render(report: ValidationReport, console: Console, *, verbose: bool = False) -> None:
    """Print the report: failed checks first, then warnings, the others only if ``verbose``."""
    colour = _COLOUR[report.verdict]
    _line(console, f"[{colour}]{report.verdict.upper()}[/]  {escape(report.driver)}")
    parts = report.parts
    for name, part in parts:
        if len(parts) > 1:
            _line(console, f"\n[bold]{name}[/]: [{_COLOUR[part.verdict]}]{_verdict(part)}[/]")
        _render_part(part, report, console, verbose, part.unit or _UNITS.get(name, "ring operations"))
    _render_clauses(report, console, verbose)
    kept = [exhibit for _, part in parts for exhibit in part.exhibits if exhibit.trace is not None]
    if any(exhibit.recorded for exhibit in kept):
        _line(console, f"\n{_REPLAY}")
    elif kept or any(part.trace is not None for _, part in parts):
        _line(console, f"\n{_LOOK}")


def _verdict(part: ValidationReport) -> str:
    """The verdict on a part alone; that of the whole is the worst of all."""
    if any(check.verdict == "fail" for check in part.checks):
        return "fail"
    short = any(check.name == "campaign-complete" and check.verdict != "pass" for check in part.checks)
    return "incomplete" if short and part.verdict == "incomplete" else "pass"


def _render_part(
    part: ValidationReport, whole: ValidationReport, console: Console, verbose: bool, unit: str
) -> None:
    if part.message:
        _line(console, escape(part.message))
    _render_left_out(part.left_out, console, verbose)
    if part.checks:
        _render_checks(part, console, verbose)
    _render_runs(part, whole.library, console, verbose)
    if part.coverage is not None:
        _render_coverage(part, console)
    if part.operations:
        rate = part.operations / part.seconds if part.seconds else 0.0
        how = f"compared {part.mode}: " if part.mode else ""
        _line(
            console,
            f"[dim]{how}{part.operations:,} {unit} in {part.seconds:.1f} s ({rate:,.0f} per second)[/]",
        )


def _render_left_out(left_out: Sequence[str], console: Console, verbose: bool) -> None:
    shown = left_out if verbose or len(left_out) <= _SHOWN_LEFT_OUT else left_out[:1]
    for said in shown:
        _line(console, f"[yellow]left out:[/] {escape(said)}")
    if len(shown) < len(left_out):
        _line(console, f"[yellow]left out:[/] {len(left_out) - 1} other parts; --verbose lists them")


def _render_checks(part: ValidationReport, console: Console, verbose: bool) -> None:
    loud = [check for check in part.checks if check.verdict in ("fail", "warn")]
    exhibits = {exhibit.check: exhibit for exhibit in part.exhibits}
    for check in sorted(loud, key=lambda check: (ORDER[check.verdict], _follows(exhibits.get(check.name)))):
        _render_loud(check, exhibits.get(check.name), console)
    if loud or verbose:
        console.print("")
    if verbose:
        quiet = [check for check in part.checks if check.verdict not in ("fail", "warn")]
        for check in sorted(quiet, key=lambda check: ORDER[check.verdict]):
            _render_quiet(check, console)
    counts = counted(check.verdict for check in part.checks)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    _line(console, f"{len(part.checks)} checks: {summary}")


def _follows(exhibit: Exhibit | None) -> bool:
    """What only follows from another failure comes last; mending that one may be all."""
    return exhibit is not None and bool(exhibit.follows)


def _render_loud(check: Check, exhibit: Exhibit | None, console: Console) -> None:
    mark = f"[{_COLOUR[check.verdict]}]{check.verdict}[/]"
    _line(console, f"\n{mark}  {escape(check.name)}  [dim]{escape(_source(check.clause))}[/]")
    if exhibit is None:
        _told(console, escape(check.detail))
        return
    if exhibit.expected:
        _told(console, f"[dim]expected[/]  {escape(exhibit.expected)}")
    _told(console, f"[dim]seen    [/]  {escape(exhibit.seen)}")
    if exhibit.follows:
        _told(console, f"[dim]the same run fails {escape(exhibit.follows)} first: mend that before this[/]")


def _source(clause: str) -> str:
    """What a check serves, with the level of the first clause it names."""
    levels = [DEMANDS[one].strength for one in ids(clause)]
    return f"{clause}  {levels[0]}" if levels else clause


def _render_quiet(check: Check, console: Console) -> None:
    mark = f"[{_COLOUR[check.verdict]}]{check.verdict:14}[/]"
    console.print(
        f"{mark} {escape(check.name):30} [dim]{escape(check.clause)}: {escape(check.detail)}[/]",
        highlight=False,
        soft_wrap=False,
        no_wrap=True,
        overflow="ellipsis" if console.is_terminal else "ignore",
        crop=console.is_terminal,
    )


def _render_runs(part: ValidationReport, library: Path | None, console: Console, verbose: bool) -> None:
    roots = part.exhibits if verbose else [one for one in part.exhibits if not one.follows] or part.exhibits
    for exhibit in roots[:_SHOWN_RUNS]:
        _render_run(exhibit, library, console)
    more = len(part.exhibits) - len(roots[:_SHOWN_RUNS])
    if more:
        _line(console, f"\nand {more} more; --html and --json have them all")
    if not part.exhibits and part.steps:
        _render_run(Exhibit(part.shows, "", "", "", part.steps, part.trace), library, console)


def _render_run(exhibit: Exhibit, library: Path | None, console: Console) -> None:
    steady = f"  [dim]{escape(exhibit.steadiness)}[/]" if exhibit.steadiness else ""
    _line(console, f"\n[bold]{_showing(exhibit)} {escape(exhibit.check)}[/]{steady}")
    for step in shortened(exhibit.steps):
        _line(console, f"  {escape(step)}")
    if exhibit.passes:
        _told(console, escape(exhibit.passes))
    if exhibit.message:
        _line(console, f"  [yellow]{escape(exhibit.message)}[/]")
    if exhibit.trace is not None:
        _line(console, f"\ntrace:  {escape(str(exhibit.trace))}")
        _line(console, f"replay: {escape(replaying(exhibit, library))}")


def _showing(exhibit: Exhibit) -> str:
    return (
        "what was seen around the first failure of"
        if exhibit.recorded
        else "the shortest run found that shows"
    )


def replaying(exhibit: Exhibit, library: Path | None) -> str:
    """The command that runs an exhibit's trace again on the driver; empty where there is no trace."""
    if exhibit.trace is None:
        return ""
    if exhibit.recorded:
        return shlex.join(["ringproof", "replay", str(exhibit.trace)])
    return shlex.join(["ringproof", "replay", str(exhibit.trace), "--driver", str(library)])


def looking(exhibit: Exhibit) -> str:
    """The command that shows an exhibit's trace step by step; empty where there is no trace."""
    if exhibit.trace is None:
        return ""
    return shlex.join(["ringproof", "replay" if exhibit.recorded else "trace", str(exhibit.trace)])


def shortened(steps: Sequence[str]) -> Sequence[str]:
    """Steps with the middle left out when they are many."""
    if len(steps) <= _SHOWN_STEPS:
        return steps
    half = _SHOWN_STEPS // 2
    return (*steps[:half], f"  ... {len(steps) - _SHOWN_STEPS} more ...", *steps[-half:])


def _render_coverage(part: ValidationReport, console: Console) -> None:
    coverage = part.coverage
    assert coverage is not None
    if not coverage.lines:
        return
    share = f" ({100 * coverage.covered / coverage.lines:.0f} %)" if coverage.whole else ""
    _line(console, f"\n{coverage.covered} of {coverage.lines} lines of the driver were reached{share}")
    for file in coverage.files:
        if file.uncovered:
            _told(console, f"[dim]not reached in[/] {escape(file.path)}: {escape(file.uncovered_in_words)}")


def _render_clauses(report: ValidationReport, console: Console, verbose: bool) -> None:
    if not any(part.checks for _, part in report.parts):
        return
    every = standings(report)
    counts = counted(standing.verdict for standing in every)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if verdict != "not observable")
    hidden = counts.get("not observable", 0)
    console.print(
        f"\nof {len(every)} clauses of VIRTIO 1.3: {told}; {hidden} do not show at this border",
        highlight=False,
    )
    for verdict in ("fail", "warn"):
        named = [standing.demand for standing in every if standing.verdict == verdict]
        if named:
            listed = ", ".join(f"{demand.id} ({demand.strength})" for demand in named)
            console.print(
                Padding(f"[{_COLOUR[verdict]}]{verdict}[/]  {listed}", (0, 0, 0, 2)), highlight=False
            )
    if not verbose:
        return
    shown: tuple[CheckVerdict, ...] = ("pass", "not exercised", "not observable")
    for standing in sorted(every, key=lambda standing: ORDER[standing.verdict]):
        if standing.verdict in shown:
            _render_quiet(
                Check(standing.demand.id, standing.demand.strength, standing.verdict, standing.detail),
                console,
            )


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _told(console: Console, text: str) -> None:
    console.print(Padding(text, (0, 0, 0, 6)), highlight=False, soft_wrap=False)
