"""What a term is at its top: read once from Z3, which is slow at being asked."""

from typing import Any, NamedTuple

import z3

_MOST = 200_000


class Shape(NamedTuple):
    """A term's kind (a ``Z3_OP`` number) and its children; numerals among them are ints, truths bools.

    ``value`` is the term's own value, if it is a numeral or a truth.
    """

    kind: int
    children: tuple[Any, ...]
    value: Any = None


_SEEN: dict[int, tuple[z3.ExprRef, Shape]] = {}
"""By the address of Z3's own node, which is that node's as long as the term is kept here."""


def plain(value: Any) -> Any:
    """Return a numeral as int, true and false as bool, all else as it is."""
    if isinstance(value, z3.ArithRef):
        if z3.Z3_is_numeral_ast(value.ctx_ref(), value.as_ast()) and z3.is_int_value(value):
            return int(value.as_long())
    elif isinstance(value, z3.BoolRef):
        known = z3.Z3_get_bool_value(value.ctx_ref(), value.as_ast())
        if known != z3.Z3_L_UNDEF:
            return bool(known == z3.Z3_L_TRUE)
    return value


def shape(term: z3.ExprRef) -> Shape:
    """Return what a term is at its top; of a bound variable or a quantifier, that it has no parts."""
    key = term.ast.value
    seen = _SEEN.get(key)
    if seen is not None:
        return seen[1]
    value = plain(term)
    if not isinstance(value, z3.ExprRef):
        found = Shape(z3.Z3_OP_ANUM, (), value)
    elif z3.is_app(term):
        found = Shape(term.decl().kind(), tuple(plain(child) for child in term.children()))
    else:
        found = Shape(z3.Z3_OP_UNINTERPRETED, ())
    if len(_SEEN) >= _MOST:
        _SEEN.clear()
    _SEEN[key] = (term, found)
    return found
