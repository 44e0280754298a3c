"""What passes in a step as a small picture of lanes: who does what, and what goes to whom."""

from collections.abc import Sequence

from .canvas import PLAIN, SMALL, Canvas, width
from .exchange import PARTIES, Happening

_ROW = 26
_TOP = 26
_MOST = 24


def lanes(canvas: Canvas, x: float, y: float, wide: float, told: Sequence[Happening]) -> float:
    """Draw the happenings between the parties that take part; returns where it ends.

    More than 24 are cut, and the picture says how many are left out.
    """
    taking = {party for each in told for party in (each.source, each.target)}
    parties = [party for party in PARTIES if party in taking or party in ("driver", "device")]
    apart = wide / len(parties)
    middle = {party: x + (place + 0.5) * apart for place, party in enumerate(parties)}
    shown = told[:_MOST]
    bottom = y + _TOP + len(shown) * _ROW + 6
    for party in parties:
        canvas.rect(middle[party] - 50, y - 8, 100, 24, "head", 5)
        canvas.text(middle[party], y + 8.5, party, "ink bold middle", PLAIN, room=96)
        canvas.line(middle[party], y + 16, middle[party], bottom, "faint dashed")
    canvas.begin("lanes", "; ".join(f"{each.source} to {each.target}: {each.words}" for each in shown))
    for number, each in enumerate(shown):
        _happening(canvas, middle, y + _TOP + number * _ROW + 16, each, (x, wide))
    canvas.end()
    if len(told) > len(shown):
        canvas.text(x, bottom + 16, f"… and {len(told) - len(shown)} more", "quiet", SMALL)
        bottom += 20
    return bottom


def _happening(
    canvas: Canvas, middle: dict[str, float], y: float, each: Happening, room: tuple[float, float]
) -> None:
    start, end = middle[each.source], middle[each.target]
    words = f"! {each.words}" if each.bad else each.words
    colour = "red bold" if each.bad else "ink"
    x, wide = room
    if each.source == each.target:
        canvas.circle(start, y - 3, 3.5, "head")
        canvas.text(start + 10, y + 1, words, colour, SMALL, room=min(x + wide - start - 12, wide / 2))
        return
    canvas.arrow(start, y, end, y, f"line{' dashed' if each.answer else ''}")
    left, right = min(start, end), max(start, end)
    if width(words, SMALL, bold=each.bad) <= right - left - 16:
        canvas.text((left + right) / 2, y - 5, words, f"{colour} middle", SMALL)
    else:  # Too long for the arrow: it may run on to the edge of the picture, over lanes but no words.
        space = x + wide - left - 8
        canvas.text(left + 8, y - 5, words, colour, SMALL, room=space)
