"""A trace on the terminal: step by step, the driver's lane left, the device's right, only what changed."""

import textwrap
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from . import wording
from .document import TraceDocument, TraceState
from .variables import describe
from .wording import Change

_NUMBER = 5
_NARROW = 60
_SHOWN_FIRST, _SHOWN_LAST = 6, 30
_NAME_WIDTH = 15
_ACTION, _CHANGED, _BROKEN, _QUIET = "bold", "cyan", "bold red", "dim"


def render(document: TraceDocument, console: Console, all: bool = False) -> None:
    """Print a trace: what it is, what broke, then each step. ``all`` shows every variable and every step.

    Fits any width from 40 columns on; colours only where the console has them.
    """
    for line in lines(document, console.width, all=all):
        console.print(line, no_wrap=True, overflow="ignore", crop=False, highlight=False, soft_wrap=True)


def lines(document: TraceDocument, width: int, *, all: bool = False) -> Iterator[Text]:
    """The lines that :func:`render` prints, each at most ``width`` columns (40 at least)."""
    width = max(width, 40)
    yield from _header(document, width)
    driver, device = _lanes(width)
    if device:
        heading = Text(" " * driver, style=_QUIET)
        heading.append("driver".ljust(device - driver) + "device")
        yield Text("")
        yield heading
    last = len(document.states) - 1
    # A validation may go on after the operation that failed, and says which one it was.
    step = document.extra.get("step")
    broken = step + 1 if isinstance(step, int) and 0 <= step < last else last
    hidden = range(0) if all else range(_SHOWN_FIRST + 1, last - _SHOWN_LAST)
    for number, state in enumerate(document.states):
        if number in hidden:
            if number == hidden.start:
                yield Text(f"{'...':>{_NUMBER - 1}} {len(hidden)} steps, shown with --all", style=_QUIET)
            continue
        before = document.states[number - 1] if number else None
        marked = wording.accused(document) if number == broken else frozenset()
        yield from _step(number, before, state, marked, width, all=all)
    if document.states and last:
        yield Text("")
        yield from _folded(f"! {document.property}: {document.violated}", 0, width, _BROKEN, hang=2)


def _lanes(width: int) -> tuple[int, int]:
    """Columns where the driver's and the device's lane begin; 0 for the device's when there is no room."""
    return _NUMBER, (_NUMBER + (width - _NUMBER) // 2 if width >= _NARROW else 0)


def _header(document: TraceDocument, width: int) -> Iterator[Text]:
    title = document.description or document.property
    yield from _folded(title, 0, width, _ACTION, hang=4)
    yield from _folded(describe(document.config), 2, width, _QUIET)
    conjunct = document.extra.get("conjunct")
    part = f", part {conjunct}" if isinstance(conjunct, str) and conjunct else ""
    yield Text("")
    yield from _folded(f"breaks {document.property}{part}", 0, width, _BROKEN, hang=4)
    yield from _folded(document.violated, 2, width, "")
    if document.kind == "search":
        if document.replayed:
            said = f"replayed: the reference carrying {document.mutant} breaks it at the same step"
        else:
            said = f"not replayed: {document.extra.get('not_replayed', 'nobody has run it')}"
        yield from _folded(said, 2, width, _QUIET if document.replayed else _BROKEN)


def _step(
    number: int,
    before: TraceState | None,
    state: TraceState,
    marked: frozenset[str],
    width: int,
    *,
    all: bool,
) -> Iterator[Text]:
    driver, device = _lanes(width)
    right = state.lane == "device"
    at = device if right and device else driver
    edge = width if right or not device or state.lane != "driver" else device - 1
    words = wording.action(state)
    if not device and state.lane in ("driver", "device"):
        words = f"{state.lane}: {words}"
    came = wording.outcome(state)
    block = list(_folded(f"{words} -> {came}" if came else words, at, edge, _ACTION, hang=2))
    first = Text(f"{number:>{_NUMBER - 2}}  ", style=_QUIET)
    first.append_text(block[0][_NUMBER:])
    yield Text("") if number and all else first
    if number and all:
        yield first
    yield from block[1:]
    for difference in wording.differences(state):
        yield from _folded(f"! {difference}", at + 2, edge, _BROKEN, hang=2)
    shown = _shown(before, state, marked, all=all)
    for change in shown:
        yield from _change(change, change.variable in marked, at + 2, edge)


def _shown(
    before: TraceState | None, state: TraceState, marked: frozenset[str], *, all: bool
) -> Iterable[Change]:
    """What to print: what changed, then what is marked though it did not; with ``all`` every variable."""
    changed = list(wording.changes(before, state)) if before is not None else []
    if not all:
        moved = {change.variable for change in changed}
        still = [c for c in wording.everything(state) if c.variable in marked - moved]
        return [*changed, *still]
    whole = {change.name for change in changed}
    moved = {change.variable for change in changed}
    rest = [c for c in wording.everything(state) if c.name not in whole and c.variable not in moved]
    return [*changed, *rest]


def _change(change: Change, broken: bool, at: int, edge: int) -> Iterator[Text]:
    mark = "! " if broken else "  "
    value = change.new if change.old is None else f"{change.old} -> {change.new}"
    style = _BROKEN if broken else _CHANGED if change.old is not None else _QUIET
    yield from _folded(f"{mark}{change.name:<{_NAME_WIDTH}} {value}", at, edge, style, hang=4)


def _folded(text: str, at: int, edge: int, style: str, *, hang: int = 0) -> Iterator[Text]:
    """``text`` from column ``at`` on, folded before ``edge``; further lines ``hang`` columns deeper."""
    # Control characters of a foreign document must not reach the terminal.
    clean = "".join(char if char.isprintable() else "?" for char in text)
    room = max(edge - at, 16)
    parts = textwrap.wrap(
        clean, room, subsequent_indent=" " * hang, drop_whitespace=True, replace_whitespace=False
    )
    for part in parts or [""]:
        yield Text(" " * at).append(part, style=style)
