"""Terms made easier for a solver, without a change in what they mean.

The model takes remainders, by powers of two. Of a bit-vector with a sign that is Z3's ``bvsmod``, for which
a division is built; the remainder by 2^k, which has the divisor's sign, is just the k lowest bits.
"""

from typing import Any

import z3

_KEPT: dict[int, tuple[z3.ExprRef, z3.ExprRef]] = {}
_MOD = {z3.Z3_OP_BSMOD, z3.Z3_OP_BSMOD_I}
_MOST = 200_000  # terms remembered, with what they became


def eased(term: z3.ExprRef) -> Any:
    """Return an equal term in which remainders by powers of two are bits cut off."""
    found = _KEPT.get(term.get_id())
    if found is not None:
        return found[1]
    if len(_KEPT) > _MOST:
        _KEPT.clear()
    pairs: list[tuple[z3.ExprRef, z3.ExprRef]] = []
    for each in _remainders(term):
        inner = each.arg(0)
        cut = z3.substitute(inner, *pairs) if pairs else inner
        places = each.arg(1).as_long().bit_length() - 1
        low = z3.Extract(places - 1, 0, cut)
        pairs.append((each, z3.ZeroExt(each.size() - places, low)))
    done = z3.substitute(term, *pairs) if pairs else term
    _KEPT[term.get_id()] = (term, done)
    return done


def _remainders(term: z3.ExprRef) -> list[z3.BitVecRef]:
    """Return the remainders in a term that can be eased, each after those inside of it."""
    found: list[z3.BitVecRef] = []
    seen: set[int] = set()
    rest: list[tuple[z3.ExprRef, bool]] = [(term, False)]
    while rest:
        here, done = rest.pop()
        if done:
            found.append(here)
            continue
        name = here.get_id()
        if name in seen:
            continue
        seen.add(name)
        if z3.is_app(here) and here.decl().kind() in _MOD and _is_power(here.arg(1)):
            rest.append((here, True))
        rest.extend((child, False) for child in here.children())
    return found


def _is_power(term: z3.ExprRef) -> bool:
    if not z3.is_bv_value(term):
        return False
    number = term.as_long()
    return bool(1 < number < 1 << (term.size() - 1) and number & (number - 1) == 0)
