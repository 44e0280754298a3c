"""A step of a trace as a still picture: an SVG of the ring, the indices, who owns what, and what changed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..traces.wording import value as in_words
from .canvas import LARGE, PLAIN, SMALL, Canvas, folded
from .descriptor_table import DescriptorTable, free_path
from .dial import MOST_SLOTS, Hand, Ring, Slot, dial, dial_height
from .excerpt import has_step, numbered
from .exchange import Happening, happenings
from .lanes import lanes
from .ownership import OWNER_WORDS, Owner, descriptors, free_list, integer, table, window
from .scene import Scene, Step

WIDTH = 960
_MARGIN = 24
_ROOM = WIDTH - 2 * _MARGIN
_ROW = 19
_GAP = 22
_SIDE_BY_SIDE = 16
"""Up to this many descriptors the table stands beside the rings."""
_MOST_CHANGES = 18
_INDEX = re.compile(r"(?P<name>\w+)\[(?P<place>\d+)\]\Z")

_RINGS = (
    (
        "avail ring", "avail_ring", "avail_idx", Owner.AVAILABLE,
        (("A", "avail_idx"), ("R", "read_idx"), ("E", "avail_event")),
    ),
    (
        "used ring", "used_ring", "used_idx", Owner.USED,
        (("U", "used_idx"), ("L", "last_used_idx"), ("E", "used_event")),
    ),
)  # fmt: skip
"""Each ring with the hands on it. An event index is a place on the ring whose index it waits for: used_event
lies behind the avail ring, but is about entries of the used ring, and avail_event the other way round."""
_ON_DIALS = frozenset(name for ring in _RINGS for _, name in ring[4])
_TABLES = frozenset(("next", "flags", "data", "avail_ring", "used_ring"))
_TOLD_ELSEWHERE = frozenset(
    ("result", "expected", "observed", "registers", "events", "journey", "queues", "statistics", "words")
)


def draw(scene: Scene, number: int) -> str:
    """The picture of step ``number``: a whole SVG, which needs no script, font or file beside it.

    It follows the reader's choice of light or dark, and is readable on either, as it brings its own ground.
    Raises IndexError for a step that the scene does not have.
    """
    if not has_step(scene, number):
        there = f"from {scene.steps[0].number} to {scene.steps[-1].number}" if scene.steps else "there"
        raise IndexError(f"step {number} is not {there}")
    return _Drawing(scene, scene.at(number)).svg()


class _Drawing:
    """One step, drawn from top to bottom; ``_down`` is where the next thing goes."""

    def __init__(self, scene: Scene, step: Step) -> None:
        self._scene, self._step, self._values = scene, step, step.values
        self._broken = step.number == scene.broken
        self._marked = scene.marked if self._broken else frozenset[str]()
        self._was = {change.name: change.old for change in step.changes if change.old is not None}
        self._size = scene.queue_size
        self._canvas = Canvas(WIDTH, self._title(), self._description())
        self._down = float(_MARGIN)

    # -- words ---------------------------------------------------------------------------------------------

    def _title(self) -> str:
        return f"{self._scene.title}: {numbered(self._scene, self._step.number)}"

    def _acted(self) -> str:
        step = self._step
        lane = {"init": "creation", "both": "driver and device"}.get(step.lane, step.lane)
        return f"{lane}: {step.words}" + (f" → {step.outcome}" if step.outcome else "")

    def _description(self) -> str:
        said = [self._acted()]
        if self._step.changes:
            told = [
                f"{each.name} {each.new if each.old is None else f'{each.old} to {each.new}'}"
                for each in self._step.changes[:_MOST_CHANGES]
            ]
            said.append(f"changed: {', '.join(told)}")
        if self._broken:
            said.append(f"breaks {self._scene.property}: {self._scene.violated}")
        return ". ".join(said)

    def _mark(self, variable: str, place: int | None = None) -> str:
        """How a value is marked: "accused", "changed", or "" if this step left it alone."""
        name = variable if place is None else f"{variable}[{place}]"
        if name not in self._was:
            return "accused" if place is None and variable in self._marked else ""
        return "accused" if variable in self._marked else "changed"

    def _still_accused(self, variable: str) -> bool:
        """Whether a table is accused though this step changed none of its entries."""
        changed = any((found := _INDEX.match(name)) and found["name"] == variable for name in self._was)
        return variable in self._marked and not changed

    # -- the whole -----------------------------------------------------------------------------------------

    def svg(self) -> str:
        self._caption()
        rows = descriptors(self._values)
        small = 0 < len(rows) <= MOST_SLOTS
        rings = [ring for each in _RINGS if (ring := self._ring(*each)).hands]
        if small and len(rows) <= _SIDE_BY_SIDE and rings:
            self._beside(DescriptorTable(rows, self._mark, self._still_accused), rings)
        else:
            if small:
                whole = DescriptorTable(rows, self._mark, self._still_accused)
                whole.draw(self._canvas, _MARGIN, self._down, _ROOM)
                self._down += whole.height() + _GAP
            if rings:
                self._stacked(rings)
            self._registers(_MARGIN, _ROOM, 3)
        if small:
            self._free_path()
            self._legend()
        told = tuple(happenings(self._step, self._scene.kind))
        if not rings and told:
            self._lanes(told)
        self._queues()
        self._changes()
        return self._canvas.document(self._down + 4)

    def _caption(self) -> None:
        canvas, step, scene = self._canvas, self._step, self._scene
        y = self._down + 6
        canvas.text(_MARGIN, y, numbered(scene, step.number).capitalize(), "quiet bold", PLAIN, room=150)
        canvas.text(_MARGIN + 150, y, scene.title, "quiet", PLAIN, room=_ROOM - 150)
        y += 26
        for line in folded(self._acted(), _ROOM, 2, LARGE, bold=True):
            canvas.text(_MARGIN, y, line, "ink bold", LARGE)
            y += 24
        if scene.setting:
            canvas.text(_MARGIN, y - 3, scene.setting, "quiet", SMALL, room=_ROOM)
            y += 18
        if self._broken:
            y = self._violation(y)
        for difference in step.differences[:3]:
            canvas.text(_MARGIN, y + 4, f"! {difference}", "red bold", PLAIN, room=_ROOM)
            y += 20
        self._down = y + 10

    def _violation(self, y: float) -> float:
        scene = self._scene
        clause = f" (VIRTIO: {scene.clause})" if scene.clause else ""
        lines = folded(scene.violated, _ROOM - 48, 4)
        high = 30 + 19 * len(lines)
        self._canvas.rect(_MARGIN, y - 6, _ROOM, high, "alarm", 6)
        self._canvas.text(_MARGIN + 14, y + 15, "!", "red bold", 16)
        head = f"breaks {scene.what_broke()}{clause}"
        self._canvas.text(_MARGIN + 32, y + 14, head, "red bold", PLAIN, room=_ROOM - 48)
        for number, line in enumerate(lines):
            self._canvas.text(_MARGIN + 32, y + 33 + 19 * number, line, "ink", PLAIN)
        return y + high + 4

    # -- the queue -----------------------------------------------------------------------------------------

    def _beside(self, whole: DescriptorTable, rings: Sequence[Ring]) -> None:
        """The table left, the rings right; the registers go where there is more room left."""
        top, left = self._down, 372
        right = _ROOM - left - 28
        at = _MARGIN + left + 28
        radius = 92.0
        whole.draw(self._canvas, _MARGIN, top, left)
        below = top + whole.height()
        beside = self._rings(at, top, right, radius, rings)
        if below <= beside:
            self._down = below + _GAP
            self._registers(_MARGIN, left, 1 if len(self._plain()) <= 5 else 2)
            self._down = max(self._down, beside + _GAP)
        else:
            self._down = beside + _GAP
            self._registers(at, right, 2)
            self._down = max(self._down, below + _GAP)

    def _stacked(self, rings: Sequence[Ring]) -> None:
        most = max(len(ring.slots) for ring in rings)
        radius = 180.0 if most > 32 else 140.0 if most else 110.0
        self._down = self._rings(_MARGIN, self._down, _ROOM, radius, rings) + _GAP

    def _rings(self, x: float, y: float, wide: float, radius: float, rings: Sequence[Ring]) -> float:
        each = (wide - 20 * (len(rings) - 1)) / len(rings)
        for number, ring in enumerate(rings):
            dial(self._canvas, x + number * (each + 20), y, each, radius, ring)
        return y + dial_height(radius, max(len(ring.hands) for ring in rings))

    def _ring(
        self, title: str, entries: str, end: str, owner: Owner, hands: Sequence[tuple[str, str]]
    ) -> Ring:
        values = self._values
        found = [
            Hand(letter, name, value, self._was.get(name), name in self._marked)
            for letter, name in hands
            if (value := integer(values, name)) is not None and self._size
        ]
        first = "read_idx" if owner is Owner.AVAILABLE else "last_used_idx"
        begin, last = integer(values, first), integer(values, end)
        indices = window(begin, last, self._size)
        ring = table(values, entries)
        slots: list[Slot] = []
        if ring and len(ring) == self._size <= MOST_SLOTS:
            live = {index % self._size for index in indices}
            slots = [
                Slot(str(head), str(owner) if place in live else "cell", self._mark(entries, place))
                for place, head in enumerate(ring)
            ]
        held = (begin or 0, len(indices), str(owner))
        return Ring(title, self._size, slots, found, self._still_accused(entries), held)

    def _plain(self) -> list[str]:
        """The variables that have no place on a dial or in a table."""
        known = _TOLD_ELSEWHERE | (_ON_DIALS if self._size else frozenset())
        if descriptors(self._values):
            known = known | _TABLES
        return [name for name in self._values if name not in known]

    def _registers(self, x: float, wide: float, across: int) -> None:
        """Every other variable with its value, and what it was before, in so many columns."""
        names = self._plain()
        if not names:
            return
        self._heading(x, "registers of driver and device" if self._size else "state")
        rows = -(-len(names) // across)
        each = wide / across
        for number, name in enumerate(names):
            at, y = x + number // rows * each, self._down + number % rows * _ROW
            self._value(at, y, each - 10, name)
        self._down += rows * _ROW + 6

    def _value(self, x: float, y: float, wide: float, name: str) -> None:
        mark = self._mark(name) or (
            "changed" if any(each.startswith(f"{name}[") for each in self._was) else ""
        )
        shown = in_words(name, _flat(self._values[name]))
        was = self._was.get(name)
        said = f"{was} → {shown}" if was is not None else shown
        colour = {"accused": "red bold", "changed": "teal bold"}.get(mark, "ink")
        sign = "! " if mark == "accused" else ""
        label = max(min(wide * 0.57, 130), min(7.8 * len(sign + name), wide * 0.68))
        self._canvas.text(x, y, f"{sign}{name}", f"mono {colour if mark else 'quiet'}", 12, room=label)
        self._canvas.text(x + label + 4, y, said, f"mono {colour}", 12, room=wide - label - 4)

    def _free_path(self) -> None:
        self._heading(_MARGIN, "free list")
        known = free_list(self._values)
        count = integer(self._values, "num_free")
        marks = {name: self._mark(name) for name in ("free_head", "num_free")}
        self._down = free_path(self._canvas, _MARGIN, self._down, _ROOM, known, count, marks) + 12

    def _legend(self) -> None:
        shown = {row.owner for row in descriptors(self._values)}
        x = float(_MARGIN)
        entries = [(str(owner), OWNER_WORDS[owner]) for owner in Owner if owner in shown]
        marks = [("changed", "changed in this step")] if self._was else []
        marks += [("accused", "what broke")] if self._marked else []
        for look, words in [*entries, *((f"cell thick {look}", words) for look, words in marks)]:
            need = 22 + 5.9 * len(words) + 12
            if x + need > WIDTH - _MARGIN:
                x, self._down = float(_MARGIN), self._down + 20
            self._canvas.rect(x, self._down - 10, 14, 12, look, 2)
            self._canvas.text(x + 20, self._down, words, "quiet", SMALL)
            x += need
        self._down += 30

    # -- beside the ring -----------------------------------------------------------------------------------

    def _lanes(self, told: Sequence[Happening]) -> None:
        self._heading(_MARGIN, "what passed")
        self._down = lanes(self._canvas, _MARGIN, self._down, _ROOM, told) + _GAP

    def _queues(self) -> None:
        """Tables of what has several of a kind: transmit queues and statistics of a network driver."""
        for name in ("queues", "statistics"):
            rows = self._values.get(name)
            if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
                continue
            self._heading(_MARGIN, {"queues": "transmit queues"}.get(name, name))
            fields = list(rows[0])[:10]
            each = _ROOM / max(len(fields), 6)
            before = self._before_rows(name)
            for column, field in enumerate(fields):
                self._canvas.text(_MARGIN + column * each, self._down, field, "mono quiet", 10, room=each - 6)
            self._down += _ROW
            for number, row in enumerate(rows[:8]):
                for column, field in enumerate(fields):
                    value = row.get(field)
                    moved = before is not None and number < len(before) and before[number].get(field) != value
                    self._canvas.text(
                        _MARGIN + column * each, self._down, in_words(field, _flat(value)),
                        f"mono {'teal bold' if moved else 'ink'}", 12, room=each - 6,
                    )  # fmt: skip
                self._down += _ROW
            if len(rows) > 8:
                self._canvas.text(_MARGIN, self._down, f"… and {len(rows) - 8} more", "quiet", SMALL)
                self._down += _ROW
            self._down += 8

    def _before_rows(self, name: str) -> list[Mapping[str, Any]] | None:
        if not has_step(self._scene, self._step.number - 1):
            return None
        rows = self._scene.at(self._step.number - 1).values.get(name)
        return rows if isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows) else None

    def _changes(self) -> None:
        """What this step changed, old and new, as a list; tables entry by entry."""
        changed = [change for change in self._step.changes if change.old is not None]
        if not changed:
            return
        self._heading(_MARGIN, "changed in this step")
        across = 3 if all(len(f"{c.name}{c.old}{c.new}") < 34 for c in changed) else 1
        shown = changed if len(changed) <= _MOST_CHANGES else changed[: _MOST_CHANGES - 1]
        rows = -(-len(shown) // across)
        each = _ROOM / across
        for number, change in enumerate(shown):
            at, y = _MARGIN + number // rows * each, self._down + number % rows * _ROW
            accused = change.variable in self._marked
            said = f"{'! ' if accused else ''}{change.said}"
            self._canvas.text(at, y, said, f"mono {'red bold' if accused else 'teal'}", 12, room=each - 12)
        self._down += rows * _ROW
        if len(shown) < len(changed):
            self._canvas.text(_MARGIN, self._down, f"… and {len(changed) - len(shown)} more", "quiet", SMALL)
            self._down += _ROW
        self._down += 6

    def _heading(self, x: float, words: str) -> None:
        self._canvas.text(x, self._down + 8, words, "quiet bold", SMALL)
        self._down += 30


def _flat(value: Any) -> Any:
    """A value that can be said in one line: records by their fields."""
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_flat(each)}" for name, each in value.items()) or "-"
    if isinstance(value, list):
        return [_flat(each) for each in value]
    return value
