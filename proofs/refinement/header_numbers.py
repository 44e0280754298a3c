"""Bit-vectors as whole numbers: a formula on bits, said again of numbers from 0 to 2^width - 1.

The model of the header speaks of bits, code that is followed of numbers. What a formula of the model is made
of has an exact meaning in numbers; an operation that is not known here is an error. Nothing wraps that is put
together here: the model neither adds nor shifts.
"""

from collections.abc import Mapping
from typing import Any

import z3

from ..symbolic.errors import Unmodelled


def as_numbers(formula: Any, numbers: Mapping[str, z3.ArithRef]) -> Any:
    """Return a term or formula on bits as one on numbers, of the same value.

    ``numbers`` gives each bit-vector constant, by name, a number of as many bits; flags stay what they are.
    Raises Unmodelled for an operation that is not known.
    """
    return _Translation(numbers).of(formula)


class _Translation:
    def __init__(self, numbers: Mapping[str, z3.ArithRef]) -> None:
        self._numbers = numbers
        self._known: dict[int, tuple[Any, Any]] = {}

    def of(self, term: Any) -> Any:
        """Return the term in numbers; equal terms are translated once."""
        key = term.get_id()
        if key not in self._known:
            self._known[key] = term, self._translated(term)
        return self._known[key][1]

    def _translated(self, term: Any) -> Any:
        kind, parts = term.decl().kind(), term.children()
        if not isinstance(term, z3.BitVecRef) and not any(isinstance(each, z3.BitVecRef) for each in parts):
            return term.decl()(*map(self.of, parts)) if parts else term
        if kind == z3.Z3_OP_BNUM:
            return z3.IntVal(term.as_long())
        if kind == z3.Z3_OP_UNINTERPRETED and not parts:
            return self._numbers[term.decl().name()]
        if kind == z3.Z3_OP_EXTRACT:
            high, low = term.params()
            return _cut(self.of(parts[0]), low, high + 1, parts[0].size())
        if kind == z3.Z3_OP_CONCAT:
            total: Any = z3.IntVal(0)
            for part in parts:
                total = total * (1 << part.size()) + self.of(part)
            return total
        if kind == z3.Z3_OP_BOR:
            return _either_bit([self.of(part) for part in parts], term.size())
        if kind == z3.Z3_OP_ITE:
            return z3.If(*map(self.of, parts))
        if kind in _COMPARED:
            return _COMPARED[kind](*map(self.of, parts))
        raise Unmodelled(f"the operation {term.decl().name()} on bits", "the model of the header")


_COMPARED: dict[int, Any] = {
    z3.Z3_OP_EQ: lambda one, two: one == two,
    z3.Z3_OP_DISTINCT: lambda one, two: one != two,
    z3.Z3_OP_ULEQ: lambda one, two: one <= two,
    z3.Z3_OP_ULT: lambda one, two: one < two,
    z3.Z3_OP_UGEQ: lambda one, two: one >= two,
    z3.Z3_OP_UGT: lambda one, two: one > two,
}


def _cut(number: Any, low: int, high: int, width: int) -> Any:
    """Return bits ``low`` up to, not including, ``high`` of a number of ``width`` bits."""
    shifted = number / (1 << low) if low else number
    return shifted if high == width else shifted % (1 << (high - low))


def _either_bit(numbers: list[Any], width: int) -> Any:
    places = range(width)
    flags = [
        z3.Or([_cut(number, place, place + 1, width + 1) == 1 for number in numbers]) for place in places
    ]
    return z3.Sum([z3.If(flag, 1 << place, 0) for place, flag in zip(places, flags, strict=True)])


def value_of(term: Any, model: z3.ModelRef) -> Any:
    """Return a number or flag in a model of the solver, as plain data."""
    here = term if term.ctx == model.ctx else term.translate(model.ctx)
    found = model.eval(here, model_completion=True)
    return found.as_long() if z3.is_int_value(found) else z3.is_true(found)
