"""``ringproof clauses``: what VIRTIO 1.3 demands of a driver, and by which check each demand is judged."""

import json
from collections import Counter
from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

from ..errors import EXIT_HELD, unknown_name
from ..validation.decisions import decided
from ..validation.registry import DEMANDS, MOMENTS, Demand
from ..validation.standing import judging, why_none

_ID, _LEVEL, _NARROWEST = 13, 14, 30
"""Columns of the first two fields, and the fewest that the last one has."""


def chosen(names: Sequence[str]) -> list[Demand]:
    """The clauses of these ids, sections or chapters ("2.7" is all of 2.7), all if none is named.

    Raises BadInputError for a name that no clause has.
    """
    for name in names:
        if not any(_names(name, demand) for demand in DEMANDS.values()):
            raise unknown_name("clause or section", name, list(DEMANDS))
    return [demand for demand in DEMANDS.values() if not names or any(_names(name, demand) for name in names)]


def _names(name: str, demand: Demand) -> bool:
    return name == demand.id or demand.section == name or demand.section.startswith(f"{name}.")


def to_json(demand: Demand, checks: Sequence[str]) -> dict[str, object]:
    """A clause as plain JSON values; keys are part of the public interface."""
    return {
        "id": demand.id,
        "level": demand.level,
        "observed": demand.observed,
        "when": MOMENTS[demand.when],
        "words": demand.words,
        "checks": list(checks),
        "why_none": "" if checks else why_none(demand),
        "decisions": [decision.name for decision in decided(demand.id)],
    }


def _lines(demand: Demand, checks: Sequence[str], verbose: bool) -> list[Text]:
    lines = [Text(demand.words)]
    if not checks:
        lines.append(Text(f"not judged: {why_none(demand)}", style="yellow"))
    elif verbose:
        lines.append(Text(f"judged by {', '.join(checks)}; {MOMENTS[demand.when]}", style="dim"))
    if verbose:
        lines += [
            Text(f"decided ({decision.name}): {decision.decision}", style="cyan")
            for decision in decided(demand.id)
        ]
    return lines


def _summary(demands: Sequence[Demand], checks: dict[str, tuple[str, ...]]) -> str:
    judged = sum(bool(checks[demand.id]) for demand in demands)
    permissions = sum(demand.level == "MAY" for demand in demands)
    levels = Counter(demand.strength for demand in demands)
    told = ", ".join(f"{count} {level}" for level, count in levels.items())
    return (
        f"{len(demands)} clause{'' if len(demands) == 1 else 's'} ({told}): {judged} judged, "
        f"{len(demands) - judged - permissions} not observable, {permissions} permissions"
    )


@click.command()
@click.argument("names", nargs=-1, metavar="[CLAUSE|SECTION]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-v", "--verbose", is_flag=True, help="Show what judges each clause, and how it is read.")
def clauses(names: tuple[str, ...], as_json: bool, verbose: bool) -> int:
    """List the demands of VIRTIO 1.3 on a driver with split rings and a transmit path.

    Sections count, too: 2.7.5 is all of 2.7.5 and below. For one of them at length: ringproof explain CLAUSE.
    """
    demands, checks = chosen(names), judging()
    if as_json:
        click.echo(json.dumps([to_json(demand, checks[demand.id]) for demand in demands], indent=2))
        return EXIT_HELD
    console = Console(highlight=False)
    for demand in demands:
        title = Text(demand.id.ljust(_ID), style="bold")
        title.append(demand.strength.ljust(_LEVEL), style="not bold dim")
        for line in _lines(demand, checks[demand.id], verbose):
            for part in line.wrap(console, max(console.width - _ID - _LEVEL, _NARROWEST)):
                title.append_text(part).rstrip()
                console.print(title, soft_wrap=True)
                title = Text(" " * (_ID + _LEVEL))
    console.print(Text(_summary(demands, checks), style="bold"))
    return EXIT_HELD
