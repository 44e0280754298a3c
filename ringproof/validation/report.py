"""The report of a validation: a verdict per check, and how it prints."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

CheckVerdict = Literal["pass", "fail", "warn", "not exercised", "not observable"]
Verdict = Literal["pass", "fail", "error"]

_COLOUR = {
    "pass": "green", "fail": "bold red", "warn": "yellow", "not exercised": "dim", "not observable": "dim",
    "error": "bold red",
}  # fmt: skip
_ORDER: dict[str, int] = {"fail": 0, "warn": 1, "not observable": 2, "not exercised": 3, "pass": 4}
_SHOWN_STEPS = 12


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: its name, the VIRTIO 1.3 clause or the document it serves, and what came of it."""

    name: str
    clause: str
    verdict: CheckVerdict
    detail: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the run: its name, how many ring operations it did and how long it took in seconds."""

    name: str
    operations: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What a validation found.

    ``network`` is the report on the whole network driver, if the library has one; ``verdict`` is the worst of
    both, everything else is about the virtqueue alone.

    ``mode`` is how the driver was compared ("byte for byte" or "by meaning"); ``steps`` are the operations
    of the shrunk failure of the check ``shows``, in words, with a mark on the one that shows it; ``trace`` is
    its document.
    """

    driver: str
    verdict: Verdict
    checks: tuple[Check, ...]
    operations: int
    seconds: float
    trace: Path | None = None
    mode: str = ""
    stages: tuple[Stage, ...] = ()
    steps: tuple[str, ...] = field(default=())
    shows: str = ""
    library: Path | None = None
    message: str = ""
    network: "ValidationReport | None" = None

    def to_json(self) -> dict[str, object]:
        """Return the report as plain JSON values; keys are part of the public interface."""
        return {
            "driver": self.driver,
            "verdict": self.verdict,
            "checks": [
                {"name": check.name, "clause": check.clause, "verdict": check.verdict, "detail": check.detail}
                for check in self.checks
            ],
            "operations": self.operations,
            "seconds": round(self.seconds, 3),
            "trace": str(self.trace) if self.trace is not None else None,
            "mode": self.mode,
            "stages": [
                {"name": stage.name, "operations": stage.operations, "seconds": round(stage.seconds, 3)}
                for stage in self.stages
            ],
            "shows": self.shows,
            "steps": list(self.steps),
            "message": self.message,
            "network": _part(self.network) if self.network is not None else None,
        }


def _part(report: ValidationReport) -> dict[str, object]:
    """Return the report on a part of a library as plain JSON values; it has no parts of its own."""
    return {key: value for key, value in report.to_json().items() if key != "network"}


def render(report: ValidationReport, console: Console, *, verbose: bool = False) -> None:
    """Print the report: failed checks first, then warnings, the others only if ``verbose``."""
    colour = _COLOUR[report.verdict]
    console.print(f"[{colour}]{report.verdict.upper()}[/]  {escape(report.driver)}", highlight=False)
    if report.network is None:
        _render_part(report, console, verbose, "ring operations")
        return
    if report.checks or report.message:
        console.print("\n[bold]the virtqueue[/]", highlight=False)
        _render_part(report, console, verbose, "ring operations")
    console.print(f"\n[bold]the whole network driver[/], {escape(report.network.driver)}", highlight=False)
    _render_part(report.network, console, verbose, "operations")


def _render_part(report: ValidationReport, console: Console, verbose: bool, unit: str) -> None:
    if report.message:
        console.print(escape(report.message), highlight=False)
    if report.checks:
        _render_checks(report, console, verbose)
    if report.steps:
        _render_steps(report, console)
    if report.operations:
        rate = report.operations / report.seconds if report.seconds else 0.0
        console.print(
            f"[dim]compared {report.mode}: {report.operations:,} {unit} in {report.seconds:.1f} s "
            f"({rate:,.0f} per second)[/]",
            highlight=False,
        )


def _render_checks(report: ValidationReport, console: Console, verbose: bool) -> None:
    loud = [check for check in report.checks if check.verdict in ("fail", "warn")]
    quiet = [check for check in report.checks if check.verdict not in ("fail", "warn")]
    for check in sorted(loud, key=lambda check: _ORDER[check.verdict]):
        mark = f"[{_COLOUR[check.verdict]}]{check.verdict}[/]"
        console.print(
            f"\n{mark}  {escape(check.name)}  [dim]{escape(check.clause)}[/]", highlight=False, soft_wrap=True
        )
        console.print(Padding(escape(check.detail), (0, 0, 0, 6)), highlight=False, soft_wrap=False)
    if loud or verbose:
        console.print("")
    for check in sorted(quiet, key=lambda check: _ORDER[check.verdict]) if verbose else ():
        mark = f"[{_COLOUR[check.verdict]}]{check.verdict:13}[/]"
        seen = f"[dim]{escape(check.clause)}: {escape(check.detail)}[/]"
        console.print(
            f"{mark} {escape(check.name):30} {seen}",
            highlight=False,
            soft_wrap=False,
            no_wrap=True,
            overflow="ellipsis" if console.is_terminal else "ignore",
            crop=console.is_terminal,
        )
    counts = {verdict: sum(check.verdict == verdict for check in report.checks) for verdict in _ORDER}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    console.print(f"{len(report.checks)} checks: {summary}", highlight=False)


def _render_steps(report: ValidationReport, console: Console) -> None:
    console.print(f"\n[bold]the shortest run found that shows {escape(report.shows)}[/]", highlight=False)
    steps = report.steps
    if len(steps) > _SHOWN_STEPS:
        half = _SHOWN_STEPS // 2
        steps = (*steps[:half], f"  ... {len(steps) - _SHOWN_STEPS} more ...", *steps[-half:])
    for step in steps:
        console.print(f"  {escape(step)}", highlight=False)
    if report.trace is not None:
        console.print(f"\ntrace:  {escape(str(report.trace))}", highlight=False, soft_wrap=True)
        console.print(
            f"replay: ringproof replay {escape(str(report.trace))} --driver {escape(str(report.library))}",
            highlight=False,
            soft_wrap=True,
        )
