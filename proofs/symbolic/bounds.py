"""What is known of the size of terms: an interval for each, so that what cannot wrap is not wrapped."""

import math
from typing import TypeAlias

import z3

from .shapes import shape
from .values import Number

Interval: TypeAlias = tuple[float, float]
"""From, to; both included; ints, or infinite."""

UNKNOWN: Interval = (-math.inf, math.inf)
_DEEP = 24


class Bounds:
    """Intervals noted for terms on one path, and what follows from a term's shape.

    What is noted has to hold wherever the path goes on: it is a fact or a condition of the path, or the
    range of a register's type.
    """

    def __init__(self) -> None:
        self._noted: dict[int, tuple[z3.ExprRef, float, float]] = {}
        self._found: dict[int, tuple[z3.ExprRef, float, float]] = {}

    def fork(self) -> "Bounds":
        """Return a copy that goes its own way."""
        other = Bounds()
        other._noted = dict(self._noted)
        other._found = dict(self._found)
        return other

    def note(self, term: Number, low: float, high: float) -> None:
        """Take down that the term is from low to high."""
        if isinstance(term, int):
            return
        key = term.ast.value
        _, old_low, old_high = self._noted.get(key, (term, *UNKNOWN))
        if low > old_low or high < old_high:
            self._noted[key] = (term, max(low, old_low), min(high, old_high))
            self._found.clear()

    def note_type(self, term: Number, bits: int) -> None:
        """Take down that a register of iW holds the term."""
        if not isinstance(term, int):
            low, high = self.of(term)
            if low < 0 or high >= 1 << bits:
                self.note(term, 0, (1 << bits) - 1)

    def of(self, term: Number) -> Interval:
        """Return an interval the term lies in."""
        return self._of(term, _DEEP)

    def _of(self, term: Number, deep: int) -> Interval:
        if isinstance(term, int):
            return term, term
        key = term.ast.value
        known = self._found.get(key)
        if known is not None:
            return known[1:]
        low, high = self._shape(term, deep - 1) if deep else UNKNOWN
        noted = self._noted.get(key)
        if noted is not None:
            low, high = max(low, noted[1]), min(high, noted[2])
        if deep:
            self._found[key] = (term, low, high)
        return low, high

    def _shape(self, term: z3.ExprRef, deep: int) -> Interval:
        kind, children, value = shape(term)
        if value is not None:
            return value, value
        if kind == z3.Z3_OP_ADD:
            parts = [self._of(child, deep) for child in children]
            return sum(low for low, _ in parts), sum(high for _, high in parts)
        if kind == z3.Z3_OP_SUB:
            low, high = self._of(children[0], deep)
            for child in children[1:]:
                less, more = self._of(child, deep)
                low, high = low - more, high - less
            return low, high
        if kind == z3.Z3_OP_UMINUS:
            low, high = self._of(children[0], deep)
            return -high, -low
        if kind == z3.Z3_OP_ITE:
            one, other = self._of(children[1], deep), self._of(children[2], deep)
            return min(one[0], other[0]), max(one[1], other[1])
        if kind == z3.Z3_OP_MUL and len(children) == 2:
            return _product(self._of(children[0], deep), self._of(children[1], deep))
        if kind in (z3.Z3_OP_MOD, z3.Z3_OP_IDIV) and isinstance(children[1], int):
            divisor = children[1]
            low, high = self._of(children[0], deep)
            if divisor > 0 and kind == z3.Z3_OP_MOD:
                return (low, high) if low >= 0 and high < divisor else (0, divisor - 1)
            if divisor > 0:
                return _quotient(low, divisor), _quotient(high, divisor)
        elif kind == z3.Z3_OP_MOD:
            low, high = self._of(children[1], deep)
            if low >= 1:
                return 0, high - 1
        return UNKNOWN


def _quotient(number: float, divisor: int) -> float:
    return number // divisor if isinstance(number, int) else number


def _product(one: Interval, other: Interval) -> Interval:
    corners = [0 if not a or not b else a * b for a in one for b in other]
    return min(corners), max(corners)
