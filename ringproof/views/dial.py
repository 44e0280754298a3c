"""A ring as a circle: its slots, and a hand for each 16-bit index that goes round it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

from .canvas import PLAIN, SMALL, Canvas, around, cut

MOST_SLOTS = 64
LEGEND_ROW = 19
_TITLE = 22
_BADGE = 9


@dataclass(frozen=True, slots=True)
class Slot:
    """An entry of a ring: what stands there, and how it is drawn (classes of the canvas)."""

    text: str
    look: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Hand:
    """A 16-bit index: the letter on its hand, its name, its value, what it was if this step changed it."""

    letter: str
    name: str
    value: int
    was: str | None = None
    accused: bool = False


@dataclass(frozen=True, slots=True)
class Ring:
    """What a dial shows. ``slots`` is empty where the entries are not known; ``held`` is drawn then.

    ``held`` are a first index, how many follow, and the look of the arc.
    """

    title: str
    size: int
    slots: Sequence[Slot]
    hands: Sequence[Hand]
    accused: bool = False
    held: tuple[int, int, str] = (0, 0, "free")


def dial_height(radius: float, hands: int) -> float:
    """How high a dial is, with its title and the list of its hands."""
    return _TITLE + 2 * radius + 38 + hands * LEGEND_ROW


def dial(canvas: Canvas, x: float, y: float, wide: float, radius: float, ring: Ring) -> None:
    """Draw a ring within ``wide`` pixels from (x, y) on, :func:`dial_height` high."""
    canvas.begin("ring", _spoken(ring))
    title = f"! {ring.title}" if ring.accused else ring.title
    canvas.text(x + wide / 2, y + 14, title, f"bold middle {'red' if ring.accused else 'ink'}", room=wide)
    cx, cy = x + wide / 2, y + _TITLE + radius + 16
    inner = radius * (0.72 if len(ring.slots) <= 16 else 0.86)
    if ring.slots:
        _slots(canvas, cx, cy, (inner, radius), ring.slots)
    else:
        _bare(canvas, cx, cy, (inner, radius), ring)
    _hands(canvas, cx, cy, inner, ring)
    top = cy + radius + 34
    for number, hand in enumerate(ring.hands):
        _named(canvas, x, top + number * LEGEND_ROW, wide, hand, ring.size)
    canvas.end()


def _spoken(ring: Ring) -> str:
    hands = ", ".join(f"{hand.name} {hand.value}" for hand in ring.hands)
    entries = " ".join(slot.text or "-" for slot in ring.slots)
    return f"{ring.title}: {hands}" + (f"; entries {entries}" if entries else "")


def _slots(canvas: Canvas, x: float, y: float, radii: tuple[float, float], slots: Sequence[Slot]) -> None:
    inner, outer = radii
    count = len(slots)
    arc = 2 * pi * (inner + outer) / 2 / count
    size = PLAIN if count <= 16 else min(SMALL, int(arc / 1.3))
    numbered = count <= 16
    # Plain slots first and marks last, so that no neighbour covers the edge of one that stands out.
    for place, slot in sorted(enumerate(slots), key=lambda each: each[1].look != "cell"):
        canvas.sector(x, y, radii, (place / count, (place + 1) / count), slot.look)
    for place, slot in enumerate(slots):
        if slot.mark:
            edges = (place / count, (place + 1) / count)
            canvas.sector(x, y, (inner + 1.5, outer - 1.5), edges, f"none thick {slot.mark}")
    for place, slot in enumerate(slots):
        turn = (place + 0.5) / count
        at, down = around(x, y, (inner + outer) / 2, turn)
        shown = cut(slot.text, 5 if count <= 8 else 3)
        look = "red bold" if slot.mark == "accused" else "quiet" if slot.look.startswith("cell") else "ink"
        canvas.text(at, down + size * 0.36, shown, f"mono middle {look}", size)
        if numbered or place % 8 == 0:
            at, down = around(x, y, outer + 10, turn)
            canvas.text(at, down + 3.5, str(place), "mono middle quiet", 10)


def _bare(canvas: Canvas, x: float, y: float, radii: tuple[float, float], ring: Ring) -> None:
    """A ring whose entries are not known: quarters, and an arc for what is between two indices."""
    inner, outer = radii
    canvas.sector(x, y, radii, (0, 1), "cell")
    first, count, look = ring.held
    if count and ring.size:
        begin = first % ring.size / ring.size
        canvas.sector(x, y, radii, (begin, begin + max(min(count / ring.size, 1), 0.004)), look)
    for quarter in range(4):
        ax, ay = around(x, y, inner, quarter / 4)
        bx, by = around(x, y, outer, quarter / 4)
        canvas.line(ax, ay, bx, by, "line")
        tx, ty = around(x, y, outer + (12 if quarter in (0, 2) else 16), quarter / 4)
        canvas.text(tx, ty + 3.5, str(quarter * ring.size // 4), "mono middle quiet", 10)


def _hands(canvas: Canvas, x: float, y: float, inner: float, ring: Ring) -> None:
    """Each hand points from its lettered knob to the middle of its slot; knobs never cover each other."""
    if not ring.hands or not ring.size:
        return
    shift = 0.5 if ring.slots else 0.0
    turns = [(hand.value % ring.size + shift) / ring.size for hand in ring.hands]
    at = inner - _BADGE - 12
    places = _apart(turns, (2 * _BADGE + 3) / (2 * pi * at))
    for hand, turn, place in zip(ring.hands, turns, places, strict=True):
        kx, ky = around(x, y, at, place)
        # The tips of several hands on one slot are kept a little apart, too.
        aside = (place - turn + 0.5) % 1 - 0.5
        tx, ty = around(x, y, inner - 1, turn + aside * 0.25)
        look = "accused" if hand.accused else "changed" if hand.was is not None else "line"
        canvas.line(kx, ky, tx, ty, f"{look} thick")
        canvas.circle(kx, ky, _BADGE, f"hand {look}" + (" thick" if look != "line" else ""))
        canvas.text(kx, ky + 4, hand.letter, "mono middle bold onhand", SMALL)


def _apart(turns: Sequence[float], least: float) -> list[float]:
    """Places near ``turns`` that are ``least`` turns apart; evenly spread if there is no room."""
    order = sorted(range(len(turns)), key=lambda each: (turns[each], each))
    count = len(order)
    least = min(least, 1 / max(count, 1))
    # Cut the circle where the gap is largest, so that nothing has to be moved across the cut.
    gaps = [
        ((turns[order[(i + 1) % count]] - turns[order[i]]) % 1 or float(count == 1), -i) for i in range(count)
    ]
    start = (-max(gaps)[1] + 1) % count
    order = order[start:] + order[:start]
    first = turns[order[0]]
    wanted = [(turns[each] - first) % 1 for each in order]
    groups: list[list[float]] = []  # sum of wanted places less their offsets, count
    for place in wanted:
        groups.append([place, 1])
        while len(groups) > 1 and _middle(groups[-1], least, 0) < _middle(groups[-2], least, 1) + least:
            total, number = groups.pop()
            held, size = groups[-1]
            groups[-1] = [held + total, size + number]
    placed = [0.0] * count
    number = 0
    for total, size in groups:
        begin = total / size - (size - 1) * least / 2
        for each in range(int(size)):
            placed[order[number]] = first + begin + each * least
            number += 1
    return placed


def _middle(group: Sequence[float], least: float, side: int) -> float:
    """The first (side 0) or last (side 1) place of a group that is laid out around its mean."""
    total, size = group
    return total / size + (size - 1) * least / 2 * (1 if side else -1)


def _named(canvas: Canvas, x: float, y: float, wide: float, hand: Hand, size: int) -> None:
    look = "accused" if hand.accused else "changed" if hand.was is not None else "line"
    canvas.circle(x + 10, y - 4, _BADGE - 1, f"hand {look}")
    canvas.text(x + 10, y - 0.5, hand.letter, "mono middle bold onhand", 10)
    sign = "! " if hand.accused else ""
    moved = f"{hand.was} → " if hand.was is not None else ""
    slot = f" · slot {hand.value % size}" if size else ""
    said = f"{sign}{hand.name} {moved}{hand.value}{slot}"
    colour = "red bold" if hand.accused else "teal bold" if hand.was is not None else "ink"
    canvas.text(x + 25, y, said, f"mono {colour}", 12, room=wide - 25)
