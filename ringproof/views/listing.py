"""Listings of the shipped sources: where functions begin, what statement a line is of, what is seeded."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

_C_DEFINITION = re.compile(r"^[a-z][\w\s*]*?\b(\w+)\((?:[^;{}()]|\([^;{}]*?\))*\)\s*\{", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, of a compound one the head: its first line from 1, its function, its text on one line."""

    line: int
    function: str
    text: str


class Listing:
    """A Python file's statements by line; names of methods stand with their class, as ``Virtqueue.add``."""

    def __init__(self, text: str) -> None:
        """Raises SyntaxError for what is no Python."""
        self.lines = text.splitlines()
        self.statements: dict[int, Statement] = {}
        self.definitions: dict[str, Statement] = {}
        """Each function's first line by its name."""
        self._ends: dict[int, int] = {}
        self._walk(ast.parse(text), "", "")

    def _walk(self, node: ast.AST, within: str, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            name, inside = function, within
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = inside = f"{within}{child.name}"
            elif isinstance(child, ast.ClassDef):
                inside = f"{within}{child.name}."
            if isinstance(child, ast.stmt):
                found = self._statement(child, name)
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    self.definitions[name] = found
                    inside += "."
            self._walk(child, inside, name)

    def _statement(self, node: ast.stmt, function: str) -> Statement:
        body = getattr(node, "body", None)
        last = node.end_lineno or node.lineno
        if isinstance(body, list) and body:
            last = max(node.lineno, body[0].lineno - 1)
        text = " ".join(line.strip() for line in self.lines[node.lineno - 1 : last])
        found = Statement(node.lineno, function, text)
        for line in range(node.lineno, last + 1):
            self.statements[line] = found
        return found

    def after(self, line: int) -> Statement | None:
        """Return the first statement from ``line`` on, or the one before where the function ends there."""
        before = next((self.statements[at] for at in range(line - 1, 0, -1) if at in self.statements), None)
        for at in range(line, len(self.lines) + 1):
            found = self.statements.get(at)
            if found is not None:
                return found if before is None or found.function == before.function else before
        return before


@cache
def listing(path: Path) -> Listing:
    """Return the listing of a file, read once. Raises OSError, SyntaxError."""
    return Listing(path.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of a file in a mutated copy, by the copy's lines from 1.

    ``shipped`` leads from a line to the one it is, or stands for, in the file as shipped, where that is
    another; ``seeded`` are the first lines of statements that are new or changed, or before which something
    was taken out.
    """

    shipped: dict[int, int]
    seeded: frozenset[int]


@cache
def comparison(shipped: Path, copy: Path) -> Comparison:
    """Compare a file as shipped with its mutated copy. Raises OSError, SyntaxError."""
    if shipped == copy or shipped.read_bytes() == copy.read_bytes():
        return Comparison({}, frozenset())
    old, new = listing(shipped), listing(copy)
    places: dict[int, int] = {}
    seeded: set[int] = set()
    matcher = SequenceMatcher(None, old.lines, new.lines, autojunk=False)
    for kind, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        for at in range(new_from, new_to):
            place = old_from + at - new_from
            places[at + 1] = 1 + (place if kind == "equal" else max(old_from, min(place, old_to - 1)))
        touched: Iterator[Statement | None] = iter(())
        if kind == "delete":
            touched = iter((new.after(new_from + 1),))
        elif kind != "equal":
            touched = (new.statements.get(at + 1) for at in range(new_from, new_to))
        seeded |= {statement.line for statement in touched if statement is not None}
    return Comparison({at: place for at, place in places.items() if at != place}, frozenset(seeded))


@cache
def c_definitions(path: Path) -> dict[str, tuple[int, str]]:
    """Return the line and text where each function of a C file begins. Raises OSError."""
    text = path.read_text(encoding="utf-8")
    found: dict[str, tuple[int, str]] = {}
    for match in _C_DEFINITION.finditer(text):
        first = match.group().splitlines()[0]
        found[match.group(1)] = text.count("\n", 0, match.start()) + 1, first.strip()
    return found
