"""Bytes of cells: parts of numbers cut out, and put together again, little endian."""

from typing import Any

import z3

from .errors import Unmodelled
from .state import Site
from .values import UNDEFINED, Null, Undefined


def sliced(cell: tuple[tuple[int, Any], ...], skip: int, size: int, site: Site) -> list[tuple[int, Any]]:
    """Bytes of a cell: ``size`` of them from ``skip`` on."""
    found: list[tuple[int, Any]] = []
    start = 0
    for length, value in cell:
        low, high = max(skip, start), min(skip + size, start + length)
        if low < high:
            found.append((high - low, _cut(value, low - start, high - low, length, site)))
        start += length
    return found


def _cut(value: Any, skip: int, size: int, length: int, site: Site) -> Any:
    if size == length or isinstance(value, Undefined):
        return value
    if isinstance(value, Null):
        return 0
    if isinstance(value, int):
        return (value >> 8 * skip) & ((1 << 8 * size) - 1)
    if not z3.is_int(value):
        raise Unmodelled(f"{size} of the {length} bytes of what is no integer", site.place)
    shifted = value / (1 << 8 * skip) if skip else value
    return shifted if skip + size == length else shifted % (1 << 8 * size)


def joined(parts: tuple[tuple[int, Any], ...], site: Site) -> Any:
    """Return the number that its parts, lowest first, make; Undefined if a part is."""
    if len(parts) == 1:
        return parts[0][1]
    total: Any = 0
    shift = 0
    for size, value in parts:
        if isinstance(value, Undefined):
            return UNDEFINED
        number = 0 if isinstance(value, Null) else value
        if not isinstance(number, int) and not z3.is_int(number):
            raise Unmodelled("part of a number that is no integer", site.place)
        total = total + number * (1 << shift) if shift else number
        shift += 8 * size
    return total
