"""And, or and xor of integers: exact where bits of one operand are known, or the environment says."""

import z3

from .errors import Unmodelled
from .shapes import shape
from .state import Site
from .values import Flag, Number, Offset, choose, conjunction, equal, negation
from .wrapping import of_numerals, over, wrap


def bitwise(site: Site, op: str, one: Number, other: Number, width: int) -> Number:
    """Return ``one op other`` of iW, W > 1; raises Unmodelled where no bit of either is known.

    ``or`` and ``xor`` are sums less what both have; ``and`` with a constant is a sum of runs of bits, with
    numbers that are few a choice; else the environment's ``mask`` is asked.
    """
    if isinstance(one, int):
        one, other = other, one
    if isinstance(other, int):
        return over(lambda number: _masked(site, op, number, other, width), one)
    if of_numerals(one):
        one, other = other, one
    if of_numerals(other):
        return over(lambda mask: _masked(site, op, one, mask, width), other)
    bounds = site.state.bounds
    if op in ("or", "xor", "and"):
        for low, high in ((one, other), (other, one)):
            if bounds.of(low)[1] < 1 << zeros(high):
                return 0 if op == "and" else Offset.of(low).plus(Offset.of(high)).number()
    if bounds.of(one)[1] <= 1 and bounds.of(other)[1] <= 1:
        return one_bit(flags(site, op, equal(one, 1), equal(other, 1)))
    both = site.environment.mask(site.state, one, other, width, site.place)
    if both is None:
        raise Unmodelled(f"{op} i{width} of two numbers of which no bit is known", site.place)
    return both if op == "and" else one + other - both * (1 if op == "or" else 2)


def zeros(number: Number) -> int:
    """Return how many of the lowest bits are seen to be 0 (64 for 0)."""
    if isinstance(number, int):
        return (number & -number).bit_length() - 1 if number else 64
    known = _ZEROS.get(number.ast.value)
    if known is not None:
        return known[1]
    found = _zeros(number)
    if len(_ZEROS) >= _MOST:
        _ZEROS.clear()
    _ZEROS[number.ast.value] = (number, found)
    return found


_ZEROS: dict[int, tuple[z3.ArithRef, int]] = {}
_MOST = 100_000


def _zeros(number: z3.ArithRef) -> int:
    kind, children, value = shape(number)
    if value is not None:
        return zeros(value)
    if kind in (z3.Z3_OP_ADD, z3.Z3_OP_SUB):
        return min(zeros(child) for child in children)
    if kind == z3.Z3_OP_MUL:
        return min(64, sum(zeros(child) for child in children))
    if kind == z3.Z3_OP_MOD:
        return min(zeros(child) for child in children)
    if kind == z3.Z3_OP_ITE:
        return min(zeros(child) for child in children[1:])
    return 0


def _masked(site: Site, op: str, number: Number, mask: int, width: int) -> Number:
    if isinstance(number, int):
        return {"and": number & mask, "or": number | mask, "xor": number ^ mask}[op]
    whole = (1 << width) - 1
    if op == "xor" and mask == whole:
        return whole - number
    if op == "or" and mask == whole:
        return whole
    if mask == 0:
        return 0 if op == "and" else number
    both = _kept(site, number, mask, width)
    if op == "and":
        return both
    return Offset.of(number).plus(Offset(mask)).plus(Offset.of(both), -1 if op == "or" else -2).number()


def _kept(site: Site, number: z3.ArithRef, mask: int, width: int) -> Number:
    """The bits of a number that a mask keeps: of each run of ones, those below its end but not its start."""
    total: Number = 0
    start = 0
    while mask >> start:
        if not mask >> start & 1:
            start += 1
            continue
        end = start
        while mask >> end & 1:
            end += 1
        upper = number if end == width else _low_bits(site, number, end)
        lower = _low_bits(site, number, start) if start else 0
        run = Offset.of(upper).plus(Offset.of(lower), -1).number()
        total = run if isinstance(total, int) and total == 0 else total + run
        start = end
    return total


def _low_bits(site: Site, number: z3.ArithRef, count: int) -> Number:
    if zeros(number) >= count:
        return 0
    return wrap(site, number, count)


def one_bit(flag: Flag) -> Number:
    """Return 1 if the flag holds, else 0."""
    return choose(flag, 1, 0)


def flags(site: Site, op: str, one: Flag, other: Flag) -> Flag:
    """Return ``one op other`` of i1."""
    if op == "and" or op == "mul":
        return conjunction([one, other])
    if op == "or":
        return (
            negation(conjunction([negation(one), negation(other)]))
            if isinstance(one, bool) or isinstance(other, bool)
            else z3.Or(one, other)
        )
    if op in ("xor", "add", "sub"):
        if isinstance(one, bool):
            return negation(other) if one else other
        if isinstance(other, bool):
            return negation(one) if other else one
        return z3.Xor(one, other)
    raise Unmodelled(f"{op} i1", site.place)
