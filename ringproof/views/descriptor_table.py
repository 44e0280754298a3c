"""The descriptor table as rows, chains coloured by owner, linked by arrows; the free list as a path."""

from collections.abc import Callable, Mapping, Sequence

from .canvas import PLAIN, SMALL, Canvas
from .ownership import F_NEXT, Descriptor, FreeList, Owner

Mark = Callable[[str, int | None], str]
"""How an entry of a table is marked: of a variable at a place, "changed", "accused" or ""."""

_TITLE = 22
_HEAD = 20
_ROWS_OF_A_BLOCK = 16
_GUTTER = 46
_LANE = 9
_NODE, _STEP = 30, 46
_FREE_LINE = 34


class DescriptorTable:
    """The table of one state; ``mark`` marks entries, ``accused`` says if a whole column is marked."""

    def __init__(self, rows: Sequence[Descriptor], mark: Mark, accused: Callable[[str], bool]) -> None:
        self._rows, self._mark, self._accused = rows, mark, accused
        self._blocks = -(-len(rows) // _ROWS_OF_A_BLOCK)
        self._high = 24 if len(rows) <= 8 else 20

    def height(self) -> float:
        """How high the table is, at every width that holds it."""
        return _TITLE + _HEAD + min(len(self._rows), _ROWS_OF_A_BLOCK) * self._high

    def draw(self, canvas: Canvas, x: float, y: float, wide: float) -> None:
        """Draw it within ``wide`` pixels from (x, y) on, in blocks of 16 rows beside each other."""
        canvas.begin("descriptors", f"descriptor table of {len(self._rows)}")
        canvas.text(x, y + 14, "descriptor table", "ink bold", room=wide)
        if self._blocks == 1:
            links = self._links()
            gutter = _GUTTER if links else 0
            self._arcs(canvas, x + gutter - 2, y + _TITLE + _HEAD, links)
            self._block(canvas, x + gutter, y + _TITLE, wide - gutter, self._rows)
        else:
            each = (wide - 8 * (self._blocks - 1)) / self._blocks
            for number in range(self._blocks):
                rows = self._rows[number * _ROWS_OF_A_BLOCK :][:_ROWS_OF_A_BLOCK]
                self._block(canvas, x + number * (each + 8), y + _TITLE, each, rows)
        canvas.end()

    def _block(self, canvas: Canvas, x: float, y: float, wide: float, rows: Sequence[Descriptor]) -> None:
        parts = (("", 0.11), ("flags", 0.17), ("next", 0.16), ("token", 0.22), ("owner", 0.34))
        variables = ("", "flags", "next", "data", "")
        edges = [x]
        for _, part in parts:
            edges.append(edges[-1] + part * wide)
        for (name, _), variable, left, right in zip(parts, variables, edges, edges[1:], strict=False):
            accused = bool(variable) and self._accused(variable)
            words = f"! {name}" if accused else name
            canvas.text(
                (left + right) / 2, y + 13, words, f"middle {'red bold' if accused else 'quiet'}",
                SMALL, room=right - left,
            )  # fmt: skip
        for number, row in enumerate(rows):
            self._row(canvas, edges, y + _HEAD + number * self._high, row)

    def _row(self, canvas: Canvas, edges: Sequence[float], y: float, row: Descriptor) -> None:
        high, size = self._high, 12
        # A free descriptor's flags say nothing: the driver writes them when it takes it.
        flags = row.letters() if row.owner is not Owner.FREE or row.flags else "-"
        token = (
            str(row.token) if row.token else f"of {row.head}" if row.head not in (None, row.number) else "-"
        )
        cells = (
            (str(row.number), "", "ink bold"),
            (flags, "flags", "quiet" if row.owner is Owner.FREE or flags == "-" else "ink"),
            (str(row.next), "next", "ink" if row.owner is Owner.FREE or row.flags & F_NEXT else "quiet"),
            (token, "data", "ink bold" if row.token else "quiet"),
            (str(row.owner), "", "red bold" if row.owner in (Owner.LOST, Owner.TWICE) else "ink"),
        )
        canvas.begin("row", self._spoken(row))
        marks = []
        for (words, variable, colour), left, right in zip(cells, edges, edges[1:], strict=False):
            mark = self._mark(variable, row.number) if variable else ""
            canvas.rect(left, y, right - left, high, str(row.owner))
            shown = f"! {words}" if mark == "accused" else words
            tint = "red bold" if mark == "accused" else colour
            canvas.text(
                (left + right) / 2, y + high / 2 + 4.3, shown, f"mono middle {tint}", size, right - left
            )
            if mark:
                marks.append((left, right, mark))
        for left, right, mark in marks:
            canvas.rect(left + 1.5, y + 1.5, right - left - 3, high - 3, f"none thick {mark}")
        canvas.end()

    @staticmethod
    def _spoken(row: Descriptor) -> str:
        chain = f", in the chain of {row.head}" if row.head is not None else ""
        token = f", token {row.token}" if row.token else ""
        return f"descriptor {row.number}: {row.owner}{chain}{token}, flags {row.letters()}, next {row.next}"

    def _links(self) -> list[tuple[int, int, Owner]]:
        return [
            (row.number, row.next, row.owner)
            for row in self._rows
            if row.head is not None and row.flags & F_NEXT and 0 <= row.next < len(self._rows)
        ]

    def _arcs(self, canvas: Canvas, x: float, y: float, links: Sequence[tuple[int, int, Owner]]) -> None:
        """An arrow from each descriptor of a chain to the one it leads to, left of the table."""
        taken: list[list[tuple[float, float]]] = []
        for start, end, owner in sorted(links, key=lambda link: abs(link[1] - link[0])):
            begin, stop = y + (start + 0.68) * self._high, y + (end + 0.32) * self._high
            low, high = min(begin, stop), max(begin, stop)
            lane = next(
                (n for n, spans in enumerate(taken) if all(high < a or low > b for a, b in spans)), len(taken)
            )
            if lane == len(taken):
                taken.append([])
            taken[lane].append((low, high))
            out = x - 8 - min(lane, (_GUTTER - 14) // _LANE) * _LANE
            canvas.path([(x, begin), (out, begin), (out, stop)], f"none thick {owner}")
            canvas.arrow(out, stop, x, stop, f"thick {owner}")


def free_path(
    canvas: Canvas,
    x: float,
    y: float,
    wide: float,
    known: FreeList,
    count: int | None,
    marks: Mapping[str, str],
) -> float:
    """Draw the free list; ``marks`` are of free_head and num_free. Returns where it ends."""
    across = int((wide - 100) // _STEP)
    look = {"accused": "red bold", "changed": "teal bold"}
    canvas.begin("free-list", f"free list: {' '.join(map(str, known.path)) or 'empty'}; num_free {count}")
    sign = "! " if marks["free_head"] == "accused" else ""
    canvas.text(x, y + 5, f"{sign}free_head", f"mono {look.get(marks['free_head'], 'ink')}", 12, room=90)
    nodes = [(str(number), "free") for number in known.path]
    if known.astray is not None:
        nodes.append((f"! {known.astray}", "lost"))
    for place, (words, owner) in enumerate(nodes):
        at = x + 100 + place % across * _STEP
        down = y + place // across * _FREE_LINE
        canvas.arrow(at - (_STEP - _NODE - 2), down, at - 2, down)
        canvas.rect(at, down - 11, _NODE, 22, owner, 11)
        canvas.text(
            at + _NODE / 2,
            down + 4.3,
            words,
            f"mono middle {'red bold' if owner == 'lost' else 'ink'}",
            12,
            _NODE,
        )
    lines = max(-(-len(nodes) // across), 1)
    last = x + 100 + ((len(nodes) - 1) % across + 1) * _STEP if nodes else x + 100
    down = y + (lines - 1) * _FREE_LINE
    sign = "! " if marks["num_free"] == "accused" else ""
    said = f"{sign}num_free {count}"
    if known.astray is not None:
        said += ", and it goes astray" if known.astray not in known.path else ", and it goes round"
    if not nodes:
        canvas.arrow(last - (_STEP - _NODE - 2), down, last - 2, down)
        canvas.text(last + 4, down + 5, "empty", "quiet", PLAIN)
        last += 50
    if last + 7.4 * len(said) > x + wide:
        down, last, lines = down + _FREE_LINE, x + 100, lines + 1
    canvas.text(last + 4, down + 5, said, f"mono {look.get(marks['num_free'], 'quiet')}", 12)
    canvas.end()
    return y + lines * _FREE_LINE
