"""Where two runs of the same operations part: the step, and both sides of it field by field."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rich.table import Table
from rich.text import Text

from . import wording
from .folding import printable
from .itf import TraceState

_APART, _QUIET = "bold red", "dim"
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One field as text on both sides, NOTHING where a side has none; ``apart`` marks it."""

    name: str
    here: str
    there: str
    apart: bool


@dataclass(frozen=True, slots=True)
class Parting:
    """The step at which two runs part: its number (0 is the creation), in words, and the fields after it.

    ``sides`` are the names of the two.
    """

    step: int
    words: str
    sides: tuple[str, str]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values: step, words, sides, the fields as pairs of texts, and which are apart."""
        return {
            "step": self.step,
            "words": self.words,
            "sides": list(self.sides),
            "fields": {row.name: [row.here, row.there] for row in self.rows},
            "apart": [row.name for row in self.rows if row.apart],
        }

    def table(self) -> Table:
        """As a table for the terminal; what is apart is marked."""
        table = Table(box=None, pad_edge=False, show_edge=False, header_style=_QUIET)
        table.add_column("", no_wrap=True)
        table.add_column("after this step", no_wrap=True)
        for side in self.sides:
            table.add_column(Text(printable(side)), overflow="fold")
        for row in self.rows:
            style = _APART if row.apart else ""
            cells = (printable(row.name), printable(row.here), printable(row.there))
            table.add_row("!" if row.apart else "", *(Text(cell, style=style) for cell in cells), style=style)
        return table


def parting(
    step: int,
    words: str,
    sides: tuple[str, str],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    *,
    marked: Collection[str] | None = None,
) -> Parting:
    """Two sides of a step. Lists are told entry by entry, where they differ; other fields all.

    Only a field that both sides have can be apart, and of those only the ones in ``marked``, if given.
    """
    rows: list[Row] = []
    for name in dict.fromkeys([*there, *here]):
        both = name in here and name in there
        counts = both and (marked is None or name in marked)
        mine, other = here.get(name), there.get(name)
        if both and _is_list(mine) and _is_list(other):
            rows += [
                Row(f"{name}[{at}]", _text(name, one), _text(name, two), counts)
                for at, (one, two) in enumerate(zip_longest(mine or (), other or ()))
                if one != two
            ]
            continue
        rows.append(Row(name, _told(here, name), _told(there, name), counts and mine != other))
    return Parting(step, words, sides, tuple(rows))


def first_parting(
    here: Sequence[TraceState], there: Sequence[TraceState], sides: tuple[str, str]
) -> Parting | None:
    """The first step after which two runs of the same operations differ in any variable, None if none is."""
    for number, (one, two) in enumerate(zip(here, there, strict=False)):
        if one.values != two.values:
            return parting(number, wording.action(two), sides, _flat(one.values), _flat(two.values))
    return None


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a state, those of its result under their own names."""
    result = values.get("result")
    inside = dict(result) if isinstance(result, Mapping) else {}
    others = {name: value for name, value in values.items() if name not in ("result", "registers")}
    return {**inside, **others}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _told(side: Mapping[str, Any], name: str) -> str:
    return _text(name, side[name]) if name in side else NOTHING


def _text(name: str, value: Any) -> str:
    return NOTHING if value is None else wording.value(name, value)
