"""Text for a terminal: folded at a width, and without what would move its cursor."""

import textwrap
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text


def printable(text: str) -> str:
    """Text without what would move a cursor, change colours or end a line: such characters become "?"."""
    return "".join(char if char.isprintable() else "?" for char in text)


def folded(text: str, at: int, edge: int, style: str, *, hang: int = 0) -> Iterator[Text]:
    """``text`` from column ``at`` on, folded before ``edge``; further lines ``hang`` columns deeper."""
    clean = printable(text)
    room = max(edge - at, 16)
    if cell_len(clean) != len(clean):  # Characters of two columns: half as many are sure to fit.
        room = max(room // 2, 8)
    for part in textwrap.wrap(clean, room, subsequent_indent=" " * hang, replace_whitespace=False) or [""]:
        yield Text(" " * at).append(part, style=style)


def show(lines: Iterable[Text], console: Console) -> None:
    """Print lines that are folded already, as they are."""
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False, highlight=False, soft_wrap=True)
