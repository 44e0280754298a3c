"""LLVM's arithmetic on mathematical integers: exact, and what is undefined is owed.

All numbers are from 0 to 2^W - 1. What an instruction may assume (nuw, nsw, exact, a shift below the width, a
divisor other than 0) is owed at the instruction, although LLVM only makes the result poison: code that
computes such a result and never uses it is faulted, nothing faulty is let pass.
"""

from collections.abc import Callable
from typing import Any

import z3

from .bits import bitwise, one_bit
from .bits import flags as of_flags
from .errors import Unmodelled
from .state import Site
from .values import Flag, Number, Offset, choose, conjunction, equal, negation, plain
from .wrapping import over, signed, unsigned, wrap

BINARY = frozenset(
    ["add", "sub", "mul", "udiv", "urem", "sdiv", "srem", "and", "or", "xor", "shl", "lshr", "ashr"]
)
PREDICATES = frozenset(["eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge"])


def binary(site: Site, op: str, one: Any, other: Any, width: int, flags: frozenset[str]) -> Any:
    """Return ``one op other`` of iW; raises Unmodelled for masks of which nothing is known."""
    if width == 1:
        if flags:
            raise Unmodelled(f"{op} {' '.join(sorted(flags))} i1", site.place)
        return of_flags(site, op, one, other)
    if op in ("and", "or", "xor"):
        return bitwise(site, op, one, other, width)
    return _ARITHMETIC[op](site, one, other, width, flags)


def compare(site: Site, predicate: str, one: Number, other: Number, width: int) -> Flag:
    """Return the flag of an ``icmp`` of numbers."""
    if width == 1:
        one, other = one_bit(one), one_bit(other)
    if predicate[0] == "s":
        one, other = signed(site, one, width), signed(site, other, width)
    flag = _compared(predicate, one, other)
    known = site.state.holds(flag)
    return flag if known is None else known


def _compared(predicate: str, one: Number, other: Number) -> Flag:
    if predicate == "ne":
        return negation(_compared("eq", one, other))
    order = predicate[1:]
    if order in ("gt", "ge"):
        one, other, order = other, one, "l" + order[1]
    compare_: Callable[[Number, Number], Flag]
    if predicate == "eq":
        compare_ = equal
    elif order == "lt":
        compare_ = _less
    else:
        compare_ = _at_most
    return over(lambda a: over(lambda b: compare_(a, b), other), one)


def _less(one: Number, other: Number) -> Flag:
    if isinstance(one, int) and not isinstance(other, int):
        return other > one
    return one < other


def _at_most(one: Number, other: Number) -> Flag:
    if isinstance(one, int) and not isinstance(other, int):
        return other >= one
    return one <= other


# Sums and products.


def _signed_fits(site: Site, number: Number, width: int, what: str) -> None:
    site.oblige("no-wrap", what, _signed_range(site, number, width))


def _signed_range(site: Site, number: Number, width: int) -> Flag:
    """Whether a number of either sign is from -2^(W-1) to 2^(W-1) - 1."""
    half = 1 << (width - 1)
    if isinstance(number, int):
        return -half <= number < half
    low, high = site.state.bounds.of(number)
    return conjunction([low >= -half or number >= -half, high < half or number < half])


def _sum(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    whole, half = 1 << width, 1 << (width - 1)
    total = Offset.of(one).plus(Offset.of(other)).number()
    if "nsw" in flags:
        plain_sum = Offset.of(signed(site, one, width)).plus(Offset.of(signed(site, other, width))).number()
        _signed_fits(site, plain_sum, width, f"add nsw i{width}")
        low = min(site.state.bounds.of(one)[0], site.state.bounds.of(other)[0])
        high = max(site.state.bounds.of(one)[1], site.state.bounds.of(other)[1])
        if low >= 0 and high < half:
            return total
    if "nuw" in flags:
        site.oblige("no-wrap", f"add nuw i{width}", total < whole)
        return total
    for number, constant in ((one, other), (other, one)):
        if isinstance(constant, int) and constant >= half:
            return _difference(site, number, whole - constant, width, frozenset())
    return wrap(site, total, width)


def _difference(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    difference = Offset.of(one).plus(Offset.of(other), -1).number()
    if "nsw" in flags:
        apart = signed(site, one, width) - signed(site, other, width)
        _signed_fits(site, apart, width, f"sub nsw i{width}")
    if "nuw" in flags:
        site.oblige("no-wrap", f"sub nuw i{width}", _at_most(other, one))
        return difference
    if site.state.holds(_at_most(other, one)) is True:
        return difference
    return wrap(site, difference, width)


def _multiply(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    product = _times(one, other)
    if "nsw" in flags:
        both = _times(signed(site, one, width), signed(site, other, width))
        _signed_fits(site, both, width, f"mul nsw i{width}")
    if "nuw" in flags:
        site.oblige("no-wrap", f"mul nuw i{width}", product < 1 << width)
        return product
    return wrap(site, product, width)


def _times(one: Number, other: Number) -> Number:
    if isinstance(one, int):
        one, other = other, one
    return Offset.of(one, other).number() if isinstance(other, int) else one * other


def _divide(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    site.oblige("division", f"udiv i{width}", negation(equal(other, 0)))
    quotient = _floor(one, other)
    if "exact" in flags:
        site.oblige("no-wrap", f"udiv exact i{width}", equal(quotient * other, one))
    return quotient


def _remainder(site: Site, one: Number, other: Number, width: int, _: frozenset[str]) -> Number:
    site.oblige("division", f"urem i{width}", negation(equal(other, 0)))
    if site.state.holds(_less(one, other)) is True:
        return one
    return one % other


def _floor(one: Number, other: Number) -> Number:
    """The quotient, rounded down, of a number by one above 0."""
    return one // other if isinstance(one, int) and isinstance(other, int) else _term(one) / other


def _term(number: Number) -> z3.ArithRef:
    return z3.IntVal(number) if isinstance(number, int) else number


def _cut(site: Site, one: Number, other: Number, width: int) -> tuple[Number, Number, Number, Number]:
    """Signs and sizes for a signed division; the one quotient that does not fit is owed away."""
    site.oblige("division", f"division i{width}", negation(equal(other, 0)))
    a, b = signed(site, one, width), signed(site, other, width)
    least = equal(one, 1 << (width - 1))
    all_ones = equal(other, (1 << width) - 1)
    site.oblige("no-wrap", f"division i{width}", negation(conjunction([least, all_ones])))
    return a, b, _size(a), _size(b)


def _size(number: Number) -> Number:
    return abs(number) if isinstance(number, int) else z3.If(number < 0, -number, number)


def _negative(number: Number) -> Flag:
    return plain(number < 0)


def _signed_divide(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    a, b, size, by = _cut(site, one, other, width)
    quotient = _floor(size, by)
    if "exact" in flags:
        site.oblige("no-wrap", f"sdiv exact i{width}", equal(quotient * by, size))
    opposite = choose(_negative(a), negation(_negative(b)), _negative(b))
    result = choose(opposite, -quotient, quotient)
    return unsigned(result, width)


def _signed_remainder(site: Site, one: Number, other: Number, width: int, _: frozenset[str]) -> Number:
    a, _b, size, by = _cut(site, one, other, width)
    rest = size % by
    return unsigned(choose(_negative(a), -rest, rest), width)


# Shifts.


def _shifted(site: Site, amount: Number, width: int, what: str, by: Callable[[int], Number]) -> Number:
    """The result of ``by`` for a shift known or unknown, which has to be below the width."""
    site.oblige("shift", f"{what} i{width}", _less(amount, width))
    if isinstance(amount, int):
        return by(amount)
    low, high = site.state.bounds.of(amount)
    steps = range(int(max(low, 0)), int(min(high, width - 1)) + 1)
    result = by(steps[-1])
    for step in reversed(steps[:-1]):
        result = choose(equal(amount, step), by(step), result)
    return result


def _left(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    def by(step: int) -> Number:
        product = _times(one, 1 << step)
        if "nuw" in flags:
            site.oblige("no-wrap", f"shl nuw i{width}", _if_amount(other, step, product < 1 << width))
        if "nsw" in flags:
            fits = _signed_range(site, _times(signed(site, one, width), 1 << step), width)
            site.oblige("no-wrap", f"shl nsw i{width}", _if_amount(other, step, fits))
        return wrap(site, product, width)

    if isinstance(other, int) and other < width:
        return _left_kept(site, one, other, width, flags)
    return _shifted(site, other, width, "shl", by)


def _left_kept(site: Site, one: Number, step: int, width: int, flags: frozenset[str]) -> Number:
    product = _times(one, 1 << step)
    if "nsw" in flags:
        _signed_fits(site, _times(signed(site, one, width), 1 << step), width, f"shl nsw i{width}")
    if "nuw" in flags:
        site.oblige("no-wrap", f"shl nuw i{width}", product < 1 << width)
        return product
    return wrap(site, product, width)


def _right(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    def by(step: int) -> Number:
        if "exact" in flags and step:
            goal = equal(one % (1 << step), 0)
            site.oblige("no-wrap", f"lshr exact i{width}", _if_amount(other, step, goal))
        return _halved(site, one, step)

    return _shifted(site, other, width, "lshr", by)


def _arithmetic_right(site: Site, one: Number, other: Number, width: int, flags: frozenset[str]) -> Number:
    value = signed(site, one, width)

    def by(step: int) -> Number:
        if "exact" in flags and step:
            goal = equal(one % (1 << step), 0)
            site.oblige("no-wrap", f"ashr exact i{width}", _if_amount(other, step, goal))
        return unsigned(_floor(value, 1 << step), width) if step else one

    return _shifted(site, other, width, "ashr", by)


def _if_amount(amount: Number, step: int, goal: Flag) -> Flag:
    is_step = equal(amount, step)
    return goal if is_step is True else z3.Implies(is_step, goal)


def _halved(site: Site, number: Number, times: int) -> Number:
    """The number without its lowest bits."""
    if not times:
        return number
    if site.state.bounds.of(number)[1] < 1 << times:
        return 0
    return _floor(number, 1 << times)


_ARITHMETIC: dict[str, Callable[..., Number]] = {
    "add": _sum,
    "sub": _difference,
    "mul": _multiply,
    "udiv": _divide,
    "urem": _remainder,
    "sdiv": _signed_divide,
    "srem": _signed_remainder,
    "shl": _left,
    "lshr": _right,
    "ashr": _arithmetic_right,
}
