"""``ringproof prove --clauses``: what VIRTIO 1.3 demands of a driver's rings, and which theorem shows it."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ..errors import EXIT_HELD, unknown_name
from ..proofs.clause_table import CLAUSE_TABLE, ClauseRow
from ..proofs.theorem import Verdict
from ..proofs.theorems import THEOREMS
from ..validation.standing import judging

_COLOUR = {"proved": "green", "refuted": "red", "unknown": "yellow"}
_ID, _LEVEL, _DEEPER, _NARROWEST = 13, 12, 2, 30
"""Columns of a line, and the fewest that its last one has."""


def clause_table(as_json: bool, names: Collection[str], verdicts: Mapping[str, Verdict] | None = None) -> int:
    """Print the table of clauses 2.7 to 2.7.14, or of those that ``names``, theorems or clauses, speak of.

    With ``verdicts``, theorem to verdict of a run, each theorem is printed with its own. Returns EXIT_HELD:
    what a run decided is for its own exit code. Raises BadInputError for a name nobody knows.
    """
    chosen = rows(names)
    if as_json:
        click.echo(json.dumps(_to_json(chosen, verdicts), indent=2))
        return EXIT_HELD
    console = Console(highlight=False)
    for row in chosen:
        for line in _laid_out(row, verdicts, console):
            line.rstrip()
            console.print(line, soft_wrap=True)
    console.print(Text(_summary(chosen, verdicts), style="bold"))
    return EXIT_HELD


def checks_of(clause: str) -> tuple[str, ...]:
    """The checks of ``ringproof validate`` that judge drivers by a clause, by name."""
    return judging()[clause]


def is_finding(name: str) -> bool:
    """Whether a theorem is a finding, announced to be refuted."""
    return THEOREMS[name].expected == "refuted"


def rows(names: Collection[str]) -> Sequence[ClauseRow]:
    """The clauses that theorems or clauses of these names speak of; all if none is named."""
    for name in names:
        if name not in THEOREMS and name not in CLAUSE_TABLE:
            raise unknown_name("theorem or clause", name, [*THEOREMS, *CLAUSE_TABLE])
    every = CLAUSE_TABLE.values()
    return [row for row in every if not names or row.id in names or set(row.theorems) & set(names)]


def _laid_out(row: ClauseRow, verdicts: Mapping[str, Verdict] | None, console: Console) -> Iterator[Text]:
    """A clause as lines: id, level and words, and below them, indented, what else there is to say."""
    title = Text(row.id.ljust(_ID), style="bold").append(row.level.ljust(_LEVEL), style="not bold dim")
    for at, line in [(0, Text(row.words)), *((_DEEPER, line) for line in _lines(row, verdicts))]:
        for part in line.wrap(console, max(console.width - _ID - _LEVEL - at, _NARROWEST)):
            yield title.append(" " * at).append_text(part)
            title = Text(" " * (_ID + _LEVEL))


def _lines(row: ClauseRow, verdicts: Mapping[str, Verdict] | None) -> Iterator[Text]:
    """What shows a clause, or why nothing does."""
    for name in row.theorems:
        line = Text().append(name, style="cyan")
        if verdicts is not None:
            verdict = verdicts.get(name)
            line.append(f"  {verdict or 'not decided in this run'}", style=_style(name, verdict))
        if is_finding(name):
            line.append("  a finding: Linux 3.11 breaks it", style="dim")
        yield line
    if row.note:
        yield Text(f"in part; not shown: {row.note}", style="yellow")
    if not row.theorems:
        yield Text(f"no theorem: {row.reason}", style="yellow")
        checks = checks_of(row.id)
        if checks:
            yield Text(f"drivers are tested for it: {', '.join(checks)}", style="dim")


def _style(name: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return "dim"
    return "green" if verdict == THEOREMS[name].expected else _COLOUR[verdict]


def _counts(rows: Sequence[ClauseRow], verdicts: Mapping[str, Verdict] | None) -> dict[str, int]:
    covered = [row for row in rows if row.theorems]
    counts = {
        "clauses": len(rows),
        "with_theorems": len(covered),
        "in_part": sum(bool(row.note) for row in covered),
        "without_theorem": len(rows) - len(covered),
    }
    if verdicts is not None:
        counts["as_announced"] = sum(
            all(verdicts.get(name) == THEOREMS[name].expected for name in row.theorems) for row in covered
        )
    return counts


def _summary(rows: Sequence[ClauseRow], verdicts: Mapping[str, Verdict] | None) -> str:
    counts = _counts(rows, verdicts)
    clauses = f"{counts['clauses']} clause{'' if counts['clauses'] == 1 else 's'}"
    text = (
        f"{clauses}: {counts['with_theorems']} with theorems, {counts['in_part']} of them in part; "
        f"{counts['without_theorem']} without, with the reason"
    )
    if verdicts is not None:
        text += f"; of {counts['as_announced']} all theorems were decided as announced"
    return text


def _to_json(rows: Sequence[ClauseRow], verdicts: Mapping[str, Verdict] | None) -> dict[str, Any]:
    def theorem(name: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": name, "expected": THEOREMS[name].expected}
        return entry if verdicts is None else {**entry, "verdict": verdicts.get(name)}

    return {
        "clauses": [
            {
                "id": row.id,
                "level": row.level,
                "words": row.words,
                "theorems": [theorem(name) for name in row.theorems],
                "reason": row.reason,
                "note": row.note,
                "checks": list(checks_of(row.id)),
            }
            for row in rows
        ],
        "counts": _counts(rows, verdicts),
    }
