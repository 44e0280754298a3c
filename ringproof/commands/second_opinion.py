"""What ``prove`` does with other solvers: ``--export DIR`` writes questions, ``--cross-check`` asks them."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..errors import (
    EXIT_DISAGREE,
    EXIT_HELD,
    EXIT_INTERRUPTED,
    EXIT_UNKNOWN,
    BadInputError,
)
from ..proofs.export import INDEX, ExportRefusedError, export, write_file
from ..proofs.second_solver import (
    PINNED,
    Budget,
    CrossCheckReport,
    Opinion,
    Task,
    opinion,
)
from ..proofs.second_solver import cross_check as decide_again
from ..proofs.theorem import Theorem
from ..proofs.theorems import THEOREMS

_COLOUR = {"agrees": "green", "disagrees": "red", "undecided": "yellow"}


def export_obligations(names: Sequence[str], directory: Path, *, jobs: int = 0, as_json: bool = False) -> int:
    """Write the obligations of the named theorems, or of all, as SMT-LIB files with an index.

    ``names`` must be theorems'; ``jobs`` 0 means a process per core. Returns 0, 3 if some obligation could
    not be written (each is named), or 130. Raises BadInputError for a folder that holds something else,
    OSError, and SolverMismatch, since of findings the claimed verdict is Z3's own.
    """
    try:
        report = export(_named(names), directory, jobs or os.cpu_count() or 1)
    except ExportRefusedError as error:
        raise BadInputError(str(error)) from None
    count = len(report.entries)
    if as_json:
        missing = [{"theorem": each[0], "obligation": each[1]} for each in report.missing]
        click.echo(
            json.dumps({"index": str(directory / INDEX), "files": count, "missing": missing}, indent=2)
        )
    else:
        things = f"{count} obligation{'s' if count != 1 else ''}"
        click.echo(f"{things} written to {directory}, listed in {directory / INDEX}")
    for (theorem, obligation), reason in report.missing.items():
        _complain(f"not written: {theorem}, {obligation!r}: {reason}")
    if report.interrupted:
        _complain(f"interrupted: {directory / INDEX} says that the export is not complete")
        return EXIT_INTERRUPTED
    return EXIT_UNKNOWN if report.missing else EXIT_HELD


def cross_check(
    names: Sequence[str],
    *,
    as_json: bool = False,
    jobs: int = 0,
    console: Console | None = None,
    budget: Budget | None = None,
    disagreements: Path = Path("ringproof-disagreements"),
    decide: Callable[[Task], Opinion] = opinion,
) -> int:
    """Have the obligations of the named theorems, or of all, decided again by cvc5 and bitwuzla.

    Prints a line per theorem as its last answer comes in, and a summary, or one JSON document. Of a
    disagreement the file to look at is written to the folder ``disagreements``. Returns 0 if all answers
    agree, 4 if one disagrees, 3 if one is missing, 130 if interrupted. Raises SolverMismatch if a solver is
    missing or not the pinned one.
    """
    out = console or Console(highlight=False, soft_wrap=True)
    report = decide_again(
        _named(names),
        jobs or os.cpu_count() or 1,
        budget=budget,
        on_theorem=None if as_json else lambda theorem, found: out.print(theorem_line(theorem, found)),
        decide=decide,
    )
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        out.print(f"[bold]{summary(report)}[/]")
    for each in report.of("disagrees"):
        _complain(disagreement(each, _kept(each, disagreements)))
    return exit_code(report)


def _kept(found: Opinion, directory: Path) -> str:
    """Write the file to look at, and say where it is; that it can't be written hides no disagreement."""
    path = directory / found.file
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_file(path, found.text)
    except OSError as error:
        return f"a file that cannot be written ({path}: {error.strerror or error}); --export DIR writes it"
    return str(path)


def _named(names: Sequence[str]) -> tuple[Theorem, ...]:
    return tuple(theorem for name, theorem in THEOREMS.items() if not names or name in names)


def _complain(message: str) -> None:
    click.echo("ringproof: " + " ".join(message.split()), err=True)


def theorem_line(theorem: Theorem, found: Sequence[Opinion]) -> str:
    """What other solvers say of one theorem as rich markup; answers not as claimed on lines of their own."""
    outcomes = {each.outcome for each in found}
    outcome = next((name for name in ("disagrees", "undecided") if name in outcomes), "agrees")
    cost = f"{len(found):3d} {sum(each.seconds for each in found):6.2f} s"
    lines = [f"[{_COLOUR[outcome]}]{outcome:9}[/][dim]{cost}[/]  {escape(theorem.title)}"]
    for each in found:
        if each.outcome == "disagrees":
            lines.append(f"          [red]{escape(each.obligation)}: {answers(each)}[/]")
        elif each.outcome == "undecided":
            lines.append(f"          [yellow]{escape(each.obligation)}: {escape(each.reason)}[/]")
    return "\n".join(lines)


def answers(found: Opinion) -> str:
    """What is claimed of an obligation, and what each solver said last: ``claimed unsat, cvc5 says sat``."""
    last = {each.solver: each.answer for each in found.said}
    return ", ".join(
        [f"claimed {found.claimed}", *(f"{name} says {answer}" for name, answer in last.items())]
    )


def disagreement(found: Opinion, file: str) -> str:
    """The error line of a disagreement: theorem, obligation, all answers, and the file to look at."""
    return f"solvers disagree: {found.theorem}, {found.obligation!r}: {answers(found)}; see {file}"


def summary(report: CrossCheckReport) -> str:
    """The last line: how many obligations each second solver decided as is claimed, and how long it took."""
    parts = []
    for name, pinned in PINNED.items():
        asked, same = report.answered(name)
        if asked:
            parts.append(f"{name} {pinned} agrees on {same} of {asked}")
    count = len(report.opinions)
    text = f"{count} obligation{'s' if count != 1 else ''}: {', '.join(parts) or 'no second solver answered'}"
    for outcome in ("disagrees", "undecided"):
        found = report.of(outcome)
        if found:
            text += f"; {len(found)} {'disagree' if outcome == 'disagrees' else outcome}"
    return f"{text}; {report.seconds:.1f} s"


def exit_code(report: CrossCheckReport) -> int:
    """130 if interrupted, else 4 for a disagreement, 3 for anything undecided, 0 if all agree."""
    if report.interrupted:
        return EXIT_INTERRUPTED
    if report.of("disagrees"):
        return EXIT_DISAGREE
    return EXIT_UNKNOWN if report.of("undecided") or not report.opinions else EXIT_HELD
