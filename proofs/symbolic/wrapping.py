"""Numbers of a width: wrapped to it, read with a sign; and functions of numbers that are few."""

from collections.abc import Callable
from typing import Any

import z3

from .shapes import shape
from .state import Site
from .values import Number, Offset, choose


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
    kind, children, _ = shape(number)
    if kind == z3.Z3_OP_ITE and any(isinstance(leaf, int) for leaf in children[1:]):
        return choose(children[0], wrap(site, children[1], width), wrap(site, children[2], width))
    shorter = Offset.of(number, 1, whole).number()
    if isinstance(shorter, int):
        return shorter % whole
    low, high = site.state.bounds.of(shorter)
    if low >= 0 and high < whole:
        return shorter
    return shorter % whole


def over(function: Callable[[Number], Any], number: Number, deep: int = 6) -> Any:
    """Return the function of a number; of a choice between numerals, the choice between its results."""
    if isinstance(number, int) or not of_numerals(number, deep):
        return function(number)
    flag, then, otherwise = shape(number).children
    return choose(flag, over(function, then, deep - 1), over(function, otherwise, deep - 1))


def of_numerals(number: Number, deep: int = 6) -> bool:
    """Return whether a term is a numeral, or an If whose leaves are."""
    if isinstance(number, int):
        return True
    kind, children, value = shape(number)
    if value is not None:
        return True
    return deep > 0 and kind == z3.Z3_OP_ITE and all(of_numerals(child, deep - 1) for child in children[1:])
