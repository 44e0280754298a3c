"""How a step of the step-wise model reads: what it changed, and what the sentence of a theorem is about."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..traces import wording
from ..traces.itf import TraceState
from ..traces.steps_document import SHAPES, StepsDocument
from ..traces.wording import Change

_TOLD_APART = frozenset(("words", "tables"))


def accused(document: StepsDocument) -> frozenset[str]:
    """The variables that the theorem's sentence names, and those that the breaking step changed.

    A sentence speaks of the whole queue mostly; then what the last step wrote is what to look at.
    """
    said = " ".join(each.sentence for each in document.broken)
    named = {name for name in SHAPES if name not in _TOLD_APART and re.search(rf"\b{name}\b", said)}
    if named or len(document.states) < 2:
        return frozenset(named)
    return frozenset(change.variable for change in changes(document.states[-2], document.states[-1]))


def action(state: TraceState) -> str:
    """What a step does, in the document's words."""
    return str(state.values["words"]) or "the queue at the start"


def changes(before: TraceState, after: TraceState) -> Iterator[Change]:
    """Every value that differs, addresses in hexadecimal, indirect tables entry by entry."""
    for change in wording.changes(_plain(before), _plain(after)):
        if change.variable == "addr" and change.old is not None:
            yield Change("addr", change.name, f"{int(change.old):#x}", f"{int(change.new):#x}")
        else:
            yield change
    earlier = {table["table"]: table for table in before.values["tables"]}
    for table in after.values["tables"]:
        yield from _table(earlier.get(table["table"]), table)


def _plain(state: TraceState) -> TraceState:
    values = {name: value for name, value in state.values.items() if name not in _TOLD_APART}
    return TraceState(state.lane, state.action, state.args, values)


def _table(before: Mapping[str, Any] | None, table: Mapping[str, Any]) -> Iterator[Change]:
    name = f"table {table['table']}"
    if table["allocated"] != (before is not None and before["allocated"]):
        told = {True: "allocated", False: "free"}
        yield Change("tables", name, told[not table["allocated"]], told[table["allocated"]])
    entries = before["entries"] if before else []
    for at, entry in enumerate(table["entries"]):
        old = entries[at] if at < len(entries) else dict.fromkeys(entry, 0)
        for part, value in entry.items():
            if value != old[part]:
                yield Change("tables", f"{name}[{at}].{part}", _shown(part, old[part]), _shown(part, value))


def _shown(part: str, value: int) -> str:
    return f"{value:#x}" if part == "addr" else wording.value(part, value)
