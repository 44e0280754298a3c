"""LLVM's arithmetic on mathematical integers: exact, and what is undefined is owed.

All numbers are from 0 to 2^W - 1. What an instruction may assume (nuw, nsw, exact, a shift below the width, a
divisor other than 0) is owed at the instruction, although LLVM only makes the result poison: code that
computes such a result and never uses it is faulted, nothing faulty is let pass.
"""

from collections.abc import Callable
from typing import Any

import z3

from .errors import Unmodelled
from .state import Site
from .values import Flag, Number, Offset, choose, conjunction, equal, negation, plain

BINARY = frozenset(
    ["add", "sub", "mul", "udiv", "urem", "sdiv", "srem", "and", "or", "xor", "shl", "lshr", "ashr"]
)
PREDICATES = frozenset(["eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge"])


def binary(site: Site, op: str, one: Any, other: Any, width: int, flags: frozenset[str]) -> Any:
    """Return ``one op other`` of iW; raises Unmodelled for masks of which nothing is known."""
    if width == 1:
        if flags:
            raise Unmodelled(f"{op} {' '.join(sorted(flags))} i1", site.place)
        return _flags(site, op, one, other)
    if op in ("and", "or", "xor"):
        return _bitwise(site, op, one, other, width)
    return _ARITHMETIC[op](site, one, other, width, flags)


def signed(site: Site, number: Number, width: int) -> Number:
    """Return the number read as two's complement: from -2^(W-1) to 2^(W-1) - 1."""
    half, whole = 1 << (width - 1), 1 << width
    low, high = site.state.bounds.of(number)
    if high < half:
        return number
    if low >= half:
        return number - whole
    return z3.If(number >= half, number - whole, number)


def unsigned(number: Number, width: int) -> Number:
    """Return a number of either sign, from -2^(W-1) up to 2^W - 1, modulo 2^W."""
    if isinstance(number, int):
        return number % (1 << width)
    return z3.If(number < 0, number + (1 << width), number)


def wrap(site: Site, number: Number, width: int) -> Number:
    """Return the number modulo 2^W; remainders within, which that makes needless, are dropped."""
    whole = 1 << width
    if isinstance(number, int):
        return number % whole
    low, high = site.state.bounds.of(number)
    if low >= 0 and high < whole:
        return number
    if number.decl().kind() == z3.Z3_OP_ITE:
        leaves = [plain(leaf) for leaf in number.children()[1:]]
        if any(isinstance(leaf, int) for leaf in leaves):
            return choose(number.arg(0), wrap(site, leaves[0], width), wrap(site, leaves[1], width))
    shorter = Offset.of(number, 1, whole).number()
    if isinstance(shorter, int):
        return shorter % whole
    low, high = site.state.bounds.of(shorter)
    if low >= 0 and high < whole:
        return shorter
    return shorter % whole


def compare(site: Site, predicate: str, one: Number, other: Number, width: int) -> Flag:
    """Return the flag of an ``icmp`` of numbers."""
    if width == 1:
        one, other = _one_bit(one), _one_bit(other)
    if predicate[0] == "s":
        one, other = signed(site, one, width), signed(site, other, width)
    flag = _compared(predicate, one, other)
    known = site.state.holds(flag)
    return flag if known is None else known


def _one_bit(flag: Flag) -> Number:
    return choose(flag, 1, 0)


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


def over(function: Callable[[Number], Any], number: Number, deep: int = 6) -> Any:
    """Return the function of a number; of a choice between numerals, the choice between its results."""
    if isinstance(number, int) or not _of_numerals(number, deep):
        return function(number)
    flag, then, otherwise = number.children()
    return choose(flag, over(function, plain(then), deep - 1), over(function, plain(otherwise), deep - 1))


def _of_numerals(number: z3.ArithRef, deep: int) -> bool:
    """Whether a term is an If whose leaves are numerals."""
    if z3.is_int_value(number):
        return True
    if not deep or not z3.is_app_of(number, z3.Z3_OP_ITE):
        return False
    return all(_of_numerals(child, deep - 1) for child in number.children()[1:])


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
    total = one + other
    if "nsw" in flags:
        plain_sum = signed(site, one, width) + signed(site, other, width)
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
    product = one * other
    if "nsw" in flags:
        both = signed(site, one, width) * signed(site, other, width)
        _signed_fits(site, both, width, f"mul nsw i{width}")
    if "nuw" in flags:
        site.oblige("no-wrap", f"mul nuw i{width}", product < 1 << width)
        return product
    return wrap(site, product, width)


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
        product = one * (1 << step)
        if "nuw" in flags:
            site.oblige("no-wrap", f"shl nuw i{width}", _if_amount(other, step, product < 1 << width))
        if "nsw" in flags:
            fits = _signed_range(site, signed(site, one, width) * (1 << step), width)
            site.oblige("no-wrap", f"shl nsw i{width}", _if_amount(other, step, fits))
        return wrap(site, product, width)

    if isinstance(other, int) and other < width:
        return _left_kept(site, one, other, width, flags)
    return _shifted(site, other, width, "shl", by)


def _left_kept(site: Site, one: Number, step: int, width: int, flags: frozenset[str]) -> Number:
    product = one * (1 << step)
    if "nsw" in flags:
        _signed_fits(site, signed(site, one, width) * (1 << step), width, f"shl nsw i{width}")
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


# Bits.


def _bitwise(site: Site, op: str, one: Number, other: Number, width: int) -> Number:
    if isinstance(one, int):
        one, other = other, one
    if isinstance(other, int):
        return over(lambda number: _masked(site, op, number, other, width), one)
    if _of_numerals(one, 6):
        one, other = other, one
    if _of_numerals(other, 6):
        return over(lambda mask: _masked(site, op, one, mask, width), other)
    bounds = site.state.bounds
    if op in ("or", "xor", "and"):
        for low, high in ((one, other), (other, one)):
            if bounds.of(low)[1] < 1 << zeros(high):
                return 0 if op == "and" else low + high
    if bounds.of(one)[1] <= 1 and bounds.of(other)[1] <= 1:
        return _one_bit(_flags(site, op, equal(one, 1), equal(other, 1)))
    both = site.environment.mask(site.state, one, other, width, site.place)
    if both is None:
        raise Unmodelled(f"{op} i{width} of two numbers of which no bit is known", site.place)
    return both if op == "and" else one + other - both * (1 if op == "or" else 2)


def zeros(number: Number) -> int:
    """Return how many of the lowest bits are seen to be 0 (64 for 0)."""
    if isinstance(number, int):
        return (number & -number).bit_length() - 1 if number else 64
    if z3.is_int_value(number):
        return zeros(int(number.as_long()))
    kind, children = number.decl().kind(), number.children()
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
    """The bits of a number that a mask keeps: for each run of ones, the bits below its end but not below it."""
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


def _flags(site: Site, op: str, one: Flag, other: Flag) -> Flag:
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
