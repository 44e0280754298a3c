"""``ringproof prove --certify``: proofs that other programs have checked, one line each."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from ..errors import EXIT_HELD, EXIT_REFUTED, EXIT_UNKNOWN, BadInputError, unknown_name
from ..proofs.certificates import PINNED, SOLVER, Certificate, MissingCheckerError, certificates
from ..proofs.theorems import THEOREMS

_COLOUR = {"certified": "green", "rejected": "red", "false": "red", "none": "yellow"}


def certify(names: tuple[str, ...], as_json: bool, directory: Path | None = None) -> int:
    """Certify what can be of the theorems named, or of all; print it; return the exit code.

    0 if all that can be certified was; 1 if a proof was rejected or a lemma is false; 3 if a package is
    missing, the SAT solver gave up, or an obligation of a theorem that was named has no certificate. With a
    directory, clauses and proofs are written there for other checkers, with an index. Raises BadInputError
    for a name nobody knows and for a directory that cannot be written to.
    """
    for name in names:
        if name not in THEOREMS:
            raise unknown_name("theorem", name, THEOREMS)
    console = Console(highlight=False, soft_wrap=True)
    if directory is not None:
        _made(directory)
    results: list[Certificate] = []
    try:
        for result in certificates(names):
            results.append(result)
            if not as_json and (names or result.verdict != "none"):
                console.print(certificate_line(result))
    except MissingCheckerError as error:
        click.echo(f"ringproof: {error}", err=True)
        return EXIT_UNKNOWN
    if directory is not None:
        write(directory, results)
    if as_json:
        document = {
            "solver": SOLVER,
            "packages": PINNED,
            "certificates": [each.to_json() for each in results],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        console.print(f"[bold]{summary(results)}[/]")
        # Of a theorem that was named each obligation has been told of.
        for reason, number in () if names else _reasons(results).items():
            console.print(f"[dim]without a certificate: {number}, for {escape(reason)}[/]")
    return exit_code(results, bool(names))


def certificate_line(result: Certificate) -> str:
    """One obligation as rich markup: verdict, clauses, steps of the proof, who accepted it, what it is."""
    colour, name = _COLOUR[result.verdict], f"{escape(result.theorem)}: {escape(result.label)}"
    if result.evidence is None:
        values = ", ".join(f"{name} {value}" for name, value in result.values.items())
        said = escape(f"{result.reason}: {values}" if values else result.reason)
        return f"[{colour}]{result.verdict:9}[/]  {name}\n           [dim]{said}[/]"
    counts = f"{len(result.evidence.clauses):5d} clauses {len(result.evidence.added):5d} steps"
    accepted = "+".join(checker for checker, words in result.checkers.items() if words == "accepted")
    line = f"[{colour}]{result.verdict:9}[/]  [dim]{counts} {result.seconds:6.2f} s  {accepted:12}[/]  {name}"
    return f"{line}\n           [red]{escape(result.reason)}[/]" if result.reason else line


def exit_code(results: Iterable[Certificate], by_name: bool) -> int:
    """Return 1 for a proof rejected or a lemma false; 3 for none where one might be, or was asked for."""
    kinds = {result.verdict for result in results}
    if kinds & {"rejected", "false"}:
        return EXIT_REFUTED
    undecided = any(result.gave_up for result in results)
    return (
        EXIT_UNKNOWN if undecided or "certified" not in kinds or (by_name and "none" in kinds) else EXIT_HELD
    )


def summary(results: Iterable[Certificate]) -> str:
    """Return the last line: how many obligations have a certificate, whose, and how many have none."""
    results = list(results)
    count = Counter[str](result.verdict for result in results)
    said = Counter(
        checker for result in results for checker, words in result.checkers.items() if words == "accepted"
    )
    by = ", ".join(f"{checker} {PINNED[checker]} accepted {accepted}" for checker, accepted in said.items())
    text = f"{count['certified']} of {len(results)} obligations certified" + (f" ({by})" if by else "")
    for verdict, words in (("rejected", "rejected"), ("false", "false"), ("none", "without a certificate")):
        text += f", {count[verdict]} {words}" if count[verdict] else ""
    return text


def _reasons(results: Iterable[Certificate]) -> Counter[str]:
    """Count obligations by why they have no certificate, whatever symbol it was."""
    return Counter(result.reason.partition(":")[0] for result in results if result.verdict == "none")


def write(directory: Path, results: Iterable[Certificate]) -> None:
    """Write clauses (.cnf, DIMACS) and proof (.drup) of all that have them, and index.json of these.

    Any DRUP or DRAT checker can be run on the files: ``drat-trim NAME.cnf NAME.drup``.
    """
    numbers: Counter[str] = Counter()
    index = []
    for result in results:
        if result.evidence is None:
            continue
        numbers[result.theorem] += 1
        name = f"{result.theorem}-{numbers[result.theorem]}"
        (directory / f"{name}.cnf").write_text(result.evidence.cnf())
        (directory / f"{name}.drup").write_text(result.evidence.drup())
        index.append(result.to_json() | {"cnf": f"{name}.cnf", "proof": f"{name}.drup"})
    (directory / "index.json").write_text(json.dumps(index, indent=2) + "\n")


def _made(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "index.json").touch()
    except OSError as error:
        raise BadInputError(f"cannot write to {directory}: {error.strerror}") from error
