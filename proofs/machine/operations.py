"""VEX's operations on words, one by one: what pyvex says an instruction computes, made exact.

Flags are VEX's I1. Floating point, and whatever else is not in the tables here, is Unmodelled: the caller
adds where. Names as in VEX's libvex_ir.h.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from .errors import Unmodelled
from .words import (
    Flag,
    Word,
    add,
    at_most,
    below,
    bit,
    both,
    choose,
    complement,
    conjunction,
    disjunction,
    divide,
    equal,
    exclusive,
    extend,
    extend_signed,
    extract,
    is_set,
    join,
    joined,
    lanes,
    mask,
    mul,
    no,
    remainder,
    shift_left,
    shift_right,
    shift_signed,
    sub,
)

Operation = Callable[..., Any]

_PLAIN: dict[str, Callable[[Word, Word, int], Word]] = {
    "Add": add, "Sub": sub, "Mul": mul, "And": conjunction, "Or": disjunction, "Xor": exclusive,
}  # fmt: skip
_SHIFTS: dict[str, Callable[[Word, Word, int], Word]] = {
    "Shl": shift_left, "Shr": shift_right, "Sar": shift_signed,
    "ShlN": shift_left, "ShrN": shift_right, "SarN": shift_signed,
}  # fmt: skip


@cache
def operation(name: str) -> Operation:
    """Return the function of operands that an operation computes. Raises Unmodelled for an unknown one."""
    bare = name.removeprefix("Iop_")
    for pattern, make in _TABLE:
        found = re.fullmatch(pattern, bare)
        if found is not None:
            return make(*(int(text) if text.isdigit() else text for text in found.groups()))
    raise Unmodelled(f"VEX's operation {bare}")


def divisor_fits(name: str, dividend: Word, divisor: Word) -> Flag:
    """Return whether a division does not trap: the divisor is not 0, the quotient fits its half."""
    found = re.fullmatch(r"Iop_DivMod([US])(\d+)to(\d+)", name)
    if found is None:
        return True
    sign, whole, half = found[1] == "S", int(found[2]), int(found[3])
    some = no(equal(divisor, 0, half))
    if some is False or whole == half:
        return some
    if not sign:
        return both(some, below(extract(dividend, half, half), divisor, half))
    widened = extend_signed(divisor, half, whole)
    quotient = divide(dividend, choose(some, widened, 1, whole), whole, sign=True)
    least = extend_signed(1 << (half - 1), half, whole)
    fits = both(
        at_most(least, quotient, whole, sign=True), at_most(quotient, mask(half - 1), whole, sign=True)
    )
    # -2^(whole-1) / -1 comes out of the division as itself, which fits no half.
    return both(some, fits)


# Makers: each is given what its pattern matched.


def _arithmetic(name: str, width: int) -> Operation:
    done = _PLAIN[name]
    return lambda a, b: done(a, b, width)


def _shift(name: str, width: int) -> Operation:
    done = _SHIFTS[name]
    return lambda a, amount: done(a, extend(amount, 8, width) if width > 8 else amount, width)


def _not(width: int) -> Operation:
    return lambda a: complement(a, width)


def _same(sense: str, width: int) -> Operation:
    return lambda a, b: equal(a, b, width) if sense == "EQ" else no(equal(a, b, width))


def _order(name: str, width: int, sign: str) -> Operation:
    compare = below if name == "LT" else at_most
    return lambda a, b: compare(a, b, width, sign=sign == "S")


def _full_product(sign: str, width: int) -> Operation:
    widen = extend_signed if sign == "S" else extend
    return lambda a, b: mul(widen(a, width, 2 * width), widen(b, width, 2 * width), 2 * width)


def _division(sign: str, whole: int, half: int) -> Operation:
    """Return remainder above quotient; the quotient is cut to its half."""
    signed = sign == "S"
    widen = extend_signed if signed else extend

    def done(a: Word, b: Word) -> Word:
        by = widen(b, half, whole)
        high, low = remainder(a, by, whole, sign=signed), divide(a, by, whole, sign=signed)
        return join(extract(high, 0, half), half, extract(low, 0, half), half)

    return done


def _widened(width: int, sign: str, to: int) -> Operation:
    if width == 1:
        return lambda flag: choose(flag, mask(to) if sign == "S" else 1, 0, to)
    return lambda a: (extend_signed if sign == "S" else extend)(a, width, to)


def _narrowed(width: int, to: int) -> Operation:
    del width
    return (lambda a: is_set(a, 0)) if to == 1 else lambda a: extract(a, 0, to)


def _high(width: int, to: int) -> Operation:
    return lambda a: extract(a, width - to, to)


def _pair(width: int, to: int) -> Operation:
    del to
    return lambda high, low: join(high, width, low, width)


def _zeros(name: str, width: int) -> Operation:
    """Count the zero bits above the highest (Clz) or below the lowest (Ctz) bit set; ``width`` if none is."""
    places = range(width) if name == "Clz" else range(width - 1, -1, -1)

    def done(a: Word) -> Word:
        count: Word = width
        for place in places:
            count = choose(is_set(a, place), width - 1 - place if name == "Clz" else place, count, width)
        return count

    return done


def _per_lane(done: Callable[[Word, Word, int], Word], lane: int, count: int) -> Operation:
    width = lane * count
    return lambda a, b: joined(
        [done(x, y, lane) for x, y in zip(lanes(a, width, lane), lanes(b, width, lane), strict=True)], lane
    )


def _lane_arithmetic(name: str, lane: int, count: int) -> Operation:
    return _per_lane(_PLAIN[name], lane, count)


def _lane_compare(name: str, lane: int, sign: str, count: int) -> Operation:
    def done(x: Word, y: Word, width: int) -> Word:
        holds = equal(x, y, width) if name == "EQ" else below(y, x, width, sign=sign == "S")
        return choose(holds, mask(width), 0, width)

    return _per_lane(done, lane, count)


def _lane_extreme(name: str, lane: int, sign: str, count: int) -> Operation:
    def done(x: Word, y: Word, width: int) -> Word:
        first = below(x, y, width, sign=sign == "S")
        return choose(first if name == "Min" else no(first), x, y, width)

    return _per_lane(done, lane, count)


def _lane_shift(name: str, lane: int, count: int) -> Operation:
    width, done = lane * count, _SHIFTS[name]
    return lambda a, amount: joined(
        [done(x, extend(amount, 8, lane) if lane > 8 else amount, lane) for x in lanes(a, width, lane)], lane
    )


def _interleaved(half: str, lane: int, count: int) -> Operation:
    """Return lanes of the lower or upper halves in turn: of the second operand first."""

    def done(a: Word, b: Word) -> Word:
        start = 0 if half == "LO" else count // 2
        x, y = (lanes(each, 128, lane)[start : start + count // 2] for each in (a, b))
        return joined([each for pair in zip(y, x, strict=True) for each in pair], lane)

    return done


def _top_bits(lane: int, count: int) -> Operation:
    del lane
    return lambda a: joined([bit(is_set(a, 8 * i + 7)) for i in range(count)], 1)


_LANES = r"(\d+)x(\d+)"

_TABLE: tuple[tuple[str, Callable[..., Operation]], ...] = (
    (r"(Add|Sub|Mul|And|Or|Xor)(8|16|32|64)", _arithmetic),
    (r"(And|Or|Xor)V(128)", _arithmetic),
    (r"(Shl|Shr|Sar)(8|16|32|64)", _shift),
    (r"Not(8|16|32|64)", _not),
    (r"NotV(128)", _not),
    (r"(?:Cas|Exp)?Cmp(EQ|NE)(8|16|32|64)", _same),
    (r"Cmp(LT|LE)(32|64)([US])", _order),
    (r"Mull([US])(8|16|32|64)", _full_product),
    (r"DivMod([US])(64|128)to(32|64)", _division),
    (r"(1|8|16|32)([US])to(8|16|32|64)", _widened),
    (r"(32|64)(U)toV(128)", _widened),
    (r"(64|32|16|8)to(32|16|8|1)", _narrowed),
    (r"(128)to(64)", _narrowed),
    (r"V(128)to(64|32)", _narrowed),
    (r"(16|32|64|128)HIto(8|16|32|64)", _high),
    (r"V(128)HIto(64)", _high),
    (r"(8|16|32|64)HLto(16|32|64|128)", _pair),
    (r"(64)HLtoV(128)", _pair),
    (r"(Clz|Ctz)(?:Nat)?(32|64)", _zeros),
    (rf"(Add|Sub|Mul){_LANES}", _lane_arithmetic),
    (r"Cmp(EQ)(8|16|32|64)()x(\d+)", _lane_compare),
    (r"Cmp(GT)(8|16|32|64)(S)x(\d+)", _lane_compare),
    (r"(Min|Max)(8|16|32)([US])x(\d+)", _lane_extreme),
    (rf"(ShlN|ShrN|SarN){_LANES}", _lane_shift),
    (rf"Interleave(LO|HI){_LANES}", _interleaved),
    (r"GetMSBs(8)x(16)", _top_bits),
)
