"""A scene on the terminal: step by step, the driver's lane left, the device's right, only what changed."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from ..journey.terminal import step_details
from ..traces import wording
from ..traces.folding import folded, show
from ..traces.wording import Change
from .excerpt import excerpt, has_step, numbered
from .reasons import unavoidable, variant
from .scene import Explanation, Scene, Source, Step

NETWORK = "network"
_NUMBER = 5
_NAME_WIDTH, _LONG_NAME = 15, 22
_ACTION, _CHANGED, _BROKEN, _QUIET = "bold", "cyan", "bold red", "dim"
_NOT_STATE = frozenset(("result", "expected", "observed", "registers", "words"))


class _Lanes(NamedTuple):
    """Columns where the lanes begin; 0 for the device's where there is no room beside the driver's."""

    driver: int
    device: int
    width: int

    def of(self, step: Step) -> tuple[int, int]:
        """Where a step's lines begin and end."""
        right = step.lane == "device"
        at = self.device if right and self.device else self.driver
        edge = self.width if right or not self.device or step.lane != "driver" else self.device - 1
        return at, edge


def render(scene: Scene, console: Console, *, all: bool = False, step: int | None = None) -> None:
    """Print a scene: what it is, what broke and why, then each step.

    ``all`` shows every variable and every step; with ``step`` only that one is shown, with its whole state
    and the lines of code that took part. Fits any width from 40 columns on; colours only where the console
    has them. Raises IndexError for a step that the scene does not have.
    """
    shown = lines(scene, console.width, all=all) if step is None else step_lines(scene, step, console.width)
    show(shown, console)


def lines(scene: Scene, width: int, *, all: bool = False) -> Iterator[Text]:
    """The lines that :func:`render` prints of a whole scene, each at most ``width`` columns (40 at least)."""
    width = max(width, 40)
    yield from _header(scene, width)
    lanes = _lanes(scene, width)
    if lanes.device:
        heading = Text(" " * lanes.driver, style=_QUIET)
        heading.append("driver".ljust(lanes.device - lanes.driver) + "device")
        yield Text("")
        yield heading
    every: Iterator[int | range] = (step.number for step in scene.steps) if all else excerpt(scene)
    for each in every:
        if isinstance(each, range):
            yield Text(f"{'...':>{_NUMBER - 1}} {len(each)} steps, shown with --all", style=_QUIET)
        else:
            yield from _step(scene, scene.at(each), lanes, all=all)
    if scene.property and len(scene.steps) > 1:
        yield Text("")
        yield from folded(f"! {scene.property}: {scene.violated}", 0, width, _BROKEN, hang=2)


def step_lines(scene: Scene, number: int, width: int) -> Iterator[Text]:
    """One step: its whole state, what it changed, what broke, and the lines of code that took part.

    Raises IndexError for a step that the scene does not have.
    """
    if not has_step(scene, number):
        raise IndexError(f"there is no step {number}")
    step, width = scene.at(number), max(width, 40)
    yield from folded(scene.title, 0, width, _ACTION, hang=4)
    yield from folded(scene.setting, 2, width, _QUIET)
    yield Text("")
    who = {"init": "", "both": "driver and device: "}.get(step.lane, f"{step.lane}: ")
    came = f" -> {step.outcome}" if step.outcome else ""
    said = f"{numbered(scene, number)}, {who}{step.words}{came}"
    yield from folded(said, 0, width, _ACTION, hang=2)
    for difference in step.differences:
        yield from folded(f"! {difference}", 2, width, _BROKEN, hang=2)
    broken = number == scene.broken
    if broken:
        yield from _breaks(scene, width)
    marked = scene.marked if broken else frozenset[str]()
    yield Text("")
    yield Text("state in the reference" if step.differences else "state", style=_QUIET)
    if scene.kind == NETWORK:
        yield from _network_state(step, marked, width)
    else:
        yield from _state(step, marked, width)
    yield from _sources(step, width)


def _lanes(scene: Scene, width: int) -> _Lanes:
    if scene.kind == NETWORK:  # The driver has more to say: its register accesses.
        return _Lanes(_NUMBER, width * 5 // 8 if width >= 72 else 0, width)
    return _Lanes(_NUMBER, _NUMBER + (width - _NUMBER) // 2 if width >= 60 else 0, width)


# -- what it is ------------------------------------------------------------------------------------------


def _header(scene: Scene, width: int) -> Iterator[Text]:
    yield from folded(scene.title, 0, width, _ACTION, hang=4)
    if scene.setting:
        yield from folded(scene.setting, 2, width, _QUIET)
    if scene.window:
        yield from folded(scene.window, 2, width, _QUIET)
    if scene.property:
        yield Text("")
        yield from _breaks(scene, width)
    if scene.standing:
        open_question = scene.kind == "search" and scene.standing.startswith("not replayed")
        yield from folded(scene.standing, 2, width, _BROKEN if open_question else _QUIET, hang=2)


def _breaks(scene: Scene, width: int) -> Iterator[Text]:
    yield from folded(f"breaks {scene.what_broke()}", 0, width, _BROKEN, hang=4)
    yield from folded(scene.violated, 2, width, "")
    if scene.clause:
        yield from folded(f"clause of VIRTIO: {scene.clause}", 2, width, _QUIET, hang=2)
    yield from _why(scene.explanation, scene.violated, width)


def _why(explanation: Explanation, violated: str, width: int) -> Iterator[Text]:
    """The parts that fail, from where on it had to, and the choice with which it would not have."""
    failing = [part for part in explanation.parts if not part.holds]
    for part in failing:
        sentence = f": {part.sentence}" if part.sentence and part.sentence != violated else ""
        style = _BROKEN if part.key or len(failing) == 1 else ""
        yield from folded(f"! fails: {part.words or part.name}{sentence}", 2, width, style, hang=4)
    holding = len(explanation.parts) - len(failing)
    if failing and holding:
        parts = "other part holds" if holding == 1 else f"other {holding} parts hold"
        yield from folded(f"the {parts}", 4, width, _QUIET)
    for said in (unavoidable(explanation), variant(explanation)):
        if said:
            yield from folded(said, 2, width, "", hang=2)


# -- step by step ----------------------------------------------------------------------------------------


def _step(scene: Scene, step: Step, lanes: _Lanes, *, all: bool) -> Iterator[Text]:
    network = scene.kind == NETWORK
    at, edge = lanes.of(step)
    words = step.words
    if not lanes.device and step.lane in ("driver", "device"):
        words = f"{step.lane}: {words}"
    # What came of a network driver's step follows line by line; an error belongs to its first line.
    came = _error(step) if network else step.outcome
    block = list(folded(f"{words} -> {came}" if came else words, at, edge, _ACTION, hang=2))
    first = Text(f"{step.number:>{_NUMBER - 2}}  ", style=_QUIET)
    first.append_text(block[0][_NUMBER:])
    if step.number and all:
        yield Text("")
    yield first
    yield from block[1:]
    for difference in step.differences:
        yield from folded(f"! {difference}", at + 2, edge, _BROKEN, hang=2)
    marked = scene.marked if step.number == scene.broken else frozenset[str]()
    if network:
        yield from _details(step, at, edge, all=all)
        moved = [change for change in step.changes if change.variable != "registers"]
        for change in moved:
            mark = "! " if change.variable in marked else "  "
            style = _BROKEN if change.variable in marked else _CHANGED
            value = change.new if change.old is None else f"{change.old} -> {change.new}"
            yield from folded(f"{mark}{change.name} {value}", at, edge, style, hang=4)
        return
    shown = _shown(step, marked, all=all)
    if step.differences and shown:
        yield from folded("in the reference:", at + 4, edge, _QUIET)
    for change in shown:
        yield from _change(change, change.variable in marked, at + 2, edge)


def _error(step: Step) -> str:
    result = step.values.get("result")
    status = result.get("status") if isinstance(result, dict) else None
    return step.outcome.split(",")[0] if isinstance(status, int) and status < 0 else ""


def _details(step: Step, at: int, edge: int, *, all: bool) -> Iterator[Text]:
    """What happened in a step of a network driver, beside the words of queues that it changed."""
    if not step.number:
        return
    for line in step_details(step.values, all=all):
        yield from folded(line.text, at + 2 + line.depth, edge, line.style, hang=4)


def _shown(step: Step, marked: frozenset[str], *, all: bool) -> list[Change]:
    """What to print: what changed, then what is marked though it did not; with ``all`` every variable."""
    moved = {change.variable for change in step.changes}
    if not all:
        return [*step.changes, *(each for each in _everything(step) if each.variable in marked - moved)]
    return [*step.changes, *(each for each in _everything(step) if each.variable not in moved)]


def _everything(step: Step) -> Iterator[Change]:
    for name, item in step.values.items():
        if name not in _NOT_STATE:
            yield Change(name, name, None, wording.value(name, _plain(item)))


def _plain(value: Any) -> Any:
    """A value that can be said in one line: records by their fields."""
    if isinstance(value, dict):
        return " ".join(f"{name} {wording.value(name, _plain(each))}" for name, each in value.items()) or "-"
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _change(
    change: Change, broken: bool, at: int, edge: int, name_width: int = _NAME_WIDTH
) -> Iterator[Text]:
    mark = "! " if broken else "  "
    value = change.new if change.old is None else f"{change.old} -> {change.new}"
    style = _BROKEN if broken else _CHANGED if change.old is not None else _QUIET
    yield from folded(f"{mark}{change.name:<{name_width}} {value}", at, edge, style, hang=4)


# -- one step --------------------------------------------------------------------------------------------


def _state(step: Step, marked: frozenset[str], width: int) -> Iterator[Text]:
    """Every variable; of what changed old and new, of tables the entries that changed below the whole."""
    changed: dict[str, list[Change]] = {}
    for change in step.changes:
        changed.setdefault(change.variable, []).append(change)
    for each in _everything(step):
        broken = each.variable in marked
        moved = changed.get(each.variable, [])
        if len(moved) == 1 and moved[0].name == each.name:
            yield from _change(moved[0], broken, 0, width)
            continue
        yield from _change(each, broken, 0, width)
        for entry in moved:
            yield from _change(entry, broken, 2, width)


def _network_state(step: Step, marked: frozenset[str], width: int) -> Iterator[Text]:
    changed = {change.name: change for change in step.changes if change.old is not None}
    for variable, noun in (("queues", "queue"), ("statistics", "pair")):
        for record in step.values.get(variable, ()):
            for name, value in record.items():
                if name != noun:
                    full = f"{noun} {record.get(noun)} {name}"
                    change = changed.pop(full, Change(name, full, None, wording.value(name, value)))
                    yield from _change(change, name in marked, 0, width, _LONG_NAME)
    for change in changed.values():
        yield from _change(change, change.variable in marked, 0, width, _LONG_NAME)
    for change in step.changes:
        if change.variable == "header":
            yield from _change(change, "header" in marked, 0, width, _LONG_NAME)
    if step.number:
        yield Text("")
        yield Text("what happened", style=_QUIET)
        yield from _details(step, 0, width, all=True)


def _sources(step: Step, width: int) -> Iterator[Text]:
    """The lines of code that took part, those the mutant put there or changed marked."""
    sides = list(dict.fromkeys(source.side for source in step.sources))
    for side in sides:
        yield Text("")
        yield Text({"c": "lines of the C implementation"}.get(side, f"lines of the {side}"), style=_QUIET)
        here = ""
        for source in step.sources:
            if source.side != side:
                continue
            place = f"{source.file}, {source.function}"
            if place != here:
                yield from folded(place, 2, width, _QUIET, hang=2)
                here = place
            yield from _source(source, width)


def _source(source: Source, width: int) -> Iterator[Text]:
    mark = "! " if source.seeded else "  "
    style = _BROKEN if source.seeded else _CHANGED if source.variables else ""
    yield from folded(f"{mark}{source.line:>5}  {source.text}", 2, width, style, hang=11)
    said = [f"changes {', '.join(source.variables)}"] if source.variables else []
    said += ["the mutant's line"] if source.seeded else []
    if said:
        yield from folded("; ".join(said), 13, width, _QUIET)
