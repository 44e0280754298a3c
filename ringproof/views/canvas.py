"""The canvas a drawing is made on: shapes and text of an SVG, text always escaped and never too long."""

from collections.abc import Iterable, Sequence
from math import cos, pi, sin
from xml.sax.saxutils import escape, quoteattr

from rich.cells import cell_len, set_cell_size

from ..traces.folding import printable

SMALL, PLAIN, LARGE = 11, 13, 18
"""Sizes of text in pixels."""
_MONO, _WIDE_CELL = 0.61, 1.05
_NARROW, _BROAD = frozenset("ijlftrI.,:;'|!`()[]{}/\\- "), frozenset("mwMW@%")
"""Letters that take much less, or more, than others."""

_LIGHT = {
    "page": "fill:#ffffff;stroke:#d0d7de", "ink": "fill:#1f2328", "quiet": "fill:#59636e",
    "red": "fill:#b3131d", "line": "stroke:#8c959f", "faint": "stroke:#d0d7de",
    "cell": "fill:#ffffff;stroke:#c3cad1", "head": "fill:#f0f3f6;stroke:#c3cad1",
    "free": "fill:#eceff2;stroke:#8c959f", "available": "fill:#cfe4ff;stroke:#0a5cb8",
    "device": "fill:#ffe0b8;stroke:#9a5b00", "used": "fill:#e4d9ff;stroke:#6a3fc0",
    "kept": "fill:#ffffff;stroke:#59636e", "lost": "fill:#ffd5d6;stroke:#b3131d",
    "twice": "fill:#ffd5d6;stroke:#b3131d", "changed": "stroke:#0b7285", "accused": "stroke:#cf222e",
    "teal": "fill:#0b6273", "alarm": "fill:#fff0f0;stroke:#cf222e", "hand": "fill:#1f2328",
    "onhand": "fill:#ffffff",
}  # fmt: skip
_DARK = {
    "page": "fill:#0d1117;stroke:#30363d", "ink": "fill:#e6edf3", "quiet": "fill:#b1bac4",
    "red": "fill:#ff8a85", "line": "stroke:#7d8590", "faint": "stroke:#30363d",
    "cell": "fill:#0d1117;stroke:#3d444d", "head": "fill:#1c2128;stroke:#3d444d",
    "free": "fill:#262c34;stroke:#7d8590", "available": "fill:#123a68;stroke:#6cb0ff",
    "device": "fill:#573a0d;stroke:#f0a94a", "used": "fill:#3f2d70;stroke:#b79cff",
    "kept": "fill:#0d1117;stroke:#9aa4af", "lost": "fill:#64191f;stroke:#ff8a85",
    "twice": "fill:#64191f;stroke:#ff8a85", "changed": "stroke:#3fc5da", "accused": "stroke:#ff6b66",
    "teal": "fill:#56d4e8", "alarm": "fill:#2d1214;stroke:#ff6b66", "hand": "fill:#e6edf3",
    "onhand": "fill:#0d1117",
}  # fmt: skip
_FONTS = (
    'text{font-family:system-ui,"Segoe UI",Helvetica,Arial,sans-serif}'
    ".mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}"
    ".bold{font-weight:600}.middle{text-anchor:middle}.right{text-anchor:end}"
    ".none{fill:none!important}.thick{stroke-width:2.5}.dashed{stroke-dasharray:4 3}"
)


def width(text: str, size: int = PLAIN, *, mono: bool = False, bold: bool = False) -> float:
    """How many pixels ``text`` takes, on the safe side for common fonts."""
    cells = cell_len(text)
    if mono:
        return cells * size * _MONO
    wide = cells - len(text)
    ems = sum(_em(char) for char in text) + wide * (_WIDE_CELL - 0.72)
    return ems * size * (1.12 if bold else 1)


def _em(char: str) -> float:
    """The width of a character in parts of its size."""
    if char in _NARROW:
        return 0.42
    if char in _BROAD:
        return 1.0
    return 0.62 if char.islower() or char in '_"' else 0.65 if char.isdigit() else 0.72


def fitted(text: str, room: float, size: int = PLAIN, *, mono: bool = False, bold: bool = False) -> str:
    """``text`` in at most ``room`` pixels, with an ellipsis if something is missing."""
    text = printable(text)
    if width(text, size, mono=mono, bold=bold) <= room:
        return text
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits with its ellipsis
        middle = (low + high + 1) // 2
        if width(text[:middle] + "…", size, mono=mono, bold=bold) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def cut(text: str, most: int) -> str:
    """``text`` in at most ``most`` columns, with an ellipsis if something is missing."""
    text = printable(text)
    if cell_len(text) <= most:
        return text
    return set_cell_size(text, max(most - 1, 0)).rstrip() + "…"


def folded(text: str, room: float, lines: int, size: int = PLAIN, *, bold: bool = False) -> list[str]:
    """``text`` in lines of at most ``room`` pixels, at most ``lines`` of them; the last is cut if need be."""
    found: list[str] = []
    for word in printable(text).split(" "):
        longer = f"{found[-1]} {word}" if found else word
        if found and (len(found) == lines or width(longer, size, bold=bold) <= room):
            found[-1] = longer
        else:
            found.append(word)
    return [fitted(line, room, size, bold=bold) for line in found or [""]]


def around(x: float, y: float, radius: float, turn: float) -> tuple[float, float]:
    """The point ``turn`` turns clockwise from the top of a circle."""
    return x + radius * sin(2 * pi * turn), y - radius * cos(2 * pi * turn)


class Canvas:
    """Collects shapes; ``width`` is fixed, the height comes last."""

    def __init__(self, width: int, title: str, description: str) -> None:
        self.width = width
        self._title = printable(title)
        self._description = printable(description)
        self._parts: list[str] = []

    def text(
        self, x: float, y: float, words: str, classes: str = "ink", size: int = PLAIN, room: float = 0.0
    ) -> None:
        """Text whose baseline begins at a point, cut if it would take more than ``room`` pixels."""
        looks = classes.split()
        mono, bold = "mono" in looks, "bold" in looks
        shown = fitted(words, room, size, mono=mono, bold=bold) if room else printable(words)
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" class="{classes}">{escape(shown)}</text>'
        )

    def rect(self, x: float, y: float, wide: float, high: float, classes: str, radius: float = 0) -> None:
        """A rectangle."""
        rounded = f' rx="{radius:g}"' if radius else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"{rounded} '
            f'class="{classes}"/>'
        )

    def line(self, x: float, y: float, x2: float, y2: float, classes: str = "line") -> None:
        """A straight line."""
        self._parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{classes}"/>')

    def circle(self, x: float, y: float, radius: float, classes: str) -> None:
        """A circle."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{classes}"/>')

    def path(self, points: Sequence[tuple[float, float]], classes: str, *, closed: bool = False) -> None:
        """Straight lines from point to point."""
        steps = "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<path d="M{steps}{"Z" if closed else ""}" class="{classes}"/>')

    def arrow(self, x: float, y: float, x2: float, y2: float, classes: str = "line") -> None:
        """A level or upright line with a head at its end, drawn with lines alone so that it takes colours."""
        self.line(x, y, x2, y2, classes)
        dx, dy = _sign(x2 - x), _sign(y2 - y)
        back = [
            (x2 - 5 * dx - 3.5 * dy, y2 - 5 * dy - 3.5 * dx),
            (x2 - 5 * dx + 3.5 * dy, y2 - 5 * dy + 3.5 * dx),
        ]
        self.path([back[0], (x2, y2), back[1]], f"none {classes}")

    def sector(
        self, x: float, y: float, radii: tuple[float, float], turns: tuple[float, float], classes: str
    ) -> None:
        """A piece of a ring between two radii, from one turn to another, less than a whole one."""
        (inner, outer), (begin, end) = radii, turns
        if end - begin >= 1:  # a whole ring: an arc from a point to itself would vanish
            end = begin + 0.9999
        large = int(end - begin > 0.5)
        ax, ay = around(x, y, outer, begin)
        bx, by = around(x, y, outer, end)
        cx, cy = around(x, y, inner, end)
        dx, dy = around(x, y, inner, begin)
        self._parts.append(
            f'<path d="M{ax:.1f},{ay:.1f}A{outer:.1f},{outer:.1f} 0 {large} 1 {bx:.1f},{by:.1f}'
            f"L{cx:.1f},{cy:.1f}A{inner:.1f},{inner:.1f} 0 {large} 0 {dx:.1f},{dy:.1f}Z"
            f'" class="{classes}"/>'
        )

    def begin(self, name: str, words: str = "") -> None:
        """Begin a group that screen readers call ``words``."""
        label = f' role="img" aria-label={quoteattr(printable(words))}' if words else ""
        self._parts.append(f'<g class="{name}"{label}>')

    def end(self) -> None:
        """End the group begun last."""
        self._parts.append("</g>")

    def document(self, height: float) -> str:
        """The whole SVG."""
        tall = round(height)
        light = _rules(_LIGHT.items())
        dark = _rules(_DARK.items())
        style = f"{_FONTS}{light}@media(prefers-color-scheme:dark){{{dark}}}"
        body = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {tall}" '
            f'width="{self.width}" height="{tall}" role="img" aria-labelledby="title desc">\n'
            f'<title id="title">{escape(self._title)}</title>\n'
            f'<desc id="desc">{escape(self._description)}</desc>\n'
            f"<style>{style}</style>\n"
            f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{tall - 1}" rx="8" class="page"/>\n'
            f"{body}\n</svg>\n"
        )


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def _rules(looks: Iterable[tuple[str, str]]) -> str:
    return "".join(f".{name}{{{look}}}" for name, look in looks)
