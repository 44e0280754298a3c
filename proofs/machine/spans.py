"""Which values a term can have, by its shape alone: a few, or too many to tell.

Never too few: a value that is not listed the term cannot have. One that is listed may be kept from it by
conditions that the shape does not show.
"""

from __future__ import annotations

from collections.abc import Callable

import z3

from .words import mask

MOST = 64
_FEW_BITS = 4  # of a symbol all of whose values are listed

Span = frozenset[int]


class Spans:
    """Remembers what it found of each term."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[z3.ExprRef, Span | None]] = {}

    def of(self, term: z3.BitVecRef) -> Span | None:
        """Return all values that a bit-vector can have, and maybe some more; none if they may be many."""
        found = self._known.get(term.get_id())
        if found is None:
            span = self._found(term)
            found = self._known[term.get_id()] = (
                term,
                span if span is not None and len(span) <= MOST else None,
            )
        return found[1]

    def _found(self, term: z3.BitVecRef) -> Span | None:
        width, kind = term.size(), term.decl().kind()
        if z3.is_bv_value(term):
            return frozenset({term.as_long()})
        if kind == z3.Z3_OP_UNINTERPRETED and term.num_args() == 0:
            return frozenset(range(1 << width)) if width <= _FEW_BITS else None
        if kind == z3.Z3_OP_ITE:
            then, otherwise = self.of(term.arg(1)), self.of(term.arg(2))
            return None if then is None or otherwise is None else then | otherwise
        if kind == z3.Z3_OP_ZERO_EXT:
            return self.of(term.arg(0))
        if kind == z3.Z3_OP_EXTRACT:
            high, low = term.params()
            inner = self.of(term.arg(0))
            if inner is None:
                return frozenset(range(1 << width)) if width <= _FEW_BITS else None
            return frozenset((value >> low) & mask(high - low + 1) for value in inner)
        if kind == z3.Z3_OP_CONCAT:
            return self._joined(term)
        done = _FOLDS.get(kind)
        if done is None:
            return None
        spans = [self.of(child) for child in term.children()]
        whole = spans[0]
        for span in spans[1:]:
            if whole is None or span is None or len(whole) * len(span) > MOST * MOST:
                return None
            whole = frozenset(done(x, y) & mask(width) for x in whole for y in span)
            if len(whole) > MOST:
                return None
        return whole

    def _joined(self, term: z3.BitVecRef) -> Span | None:
        whole: Span = frozenset({0})
        for part in term.children():
            span = self.of(part)
            if span is None or len(whole) * len(span) > MOST:
                return None
            whole = frozenset(x << part.size() | y for x in whole for y in span)
        return whole


_FOLDS: dict[int, Callable[[int, int], int]] = {
    z3.Z3_OP_BADD: lambda x, y: x + y,
    z3.Z3_OP_BSUB: lambda x, y: x - y,
    z3.Z3_OP_BMUL: lambda x, y: x * y,
    z3.Z3_OP_BAND: lambda x, y: x & y,
    z3.Z3_OP_BOR: lambda x, y: x | y,
    z3.Z3_OP_BSHL: lambda x, y: x << y if y < 512 else 0,
}
