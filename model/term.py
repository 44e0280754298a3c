"""Terms with two readings: Z3's, for every value at once, and Python's own, for one value at a time.

A model written in these words is proved as it stands, and is run, step by step, as it stands. Numbers are
``z3.ArithRef`` or ``int``, flags ``z3.BoolRef`` or ``bool``; arithmetic and comparisons are the same in both.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeAlias, TypeVar

import z3

Number: TypeAlias = Any
Flag: TypeAlias = Any
S = TypeVar("S")


@dataclass(frozen=True)
class Step(Generic[S]):
    """One transition: if ``guard`` holds, to ``after``."""

    guard: Flag
    after: S


def symbols(record: type[S], mark: str = "") -> S:
    """Return a state, or whatever else has numbers and flags as fields, of which nothing is known."""
    sorts: dict[str, Callable[[str], Any]] = {"Number": z3.Int, "Flag": z3.Bool}
    return record(**{field.name: sorts[str(field.type)](field.name + mark) for field in fields(record)})  # type: ignore[arg-type]


def both(*flags: Flag) -> Flag:
    """Return whether all hold."""
    if any(flag is False for flag in flags):
        return False
    rest = [flag for flag in flags if flag is not True]
    return z3.And(rest) if rest else True


def any_of(*flags: Flag) -> Flag:
    """Return whether at least one holds."""
    if any(flag is True for flag in flags):
        return True
    rest = [flag for flag in flags if flag is not False]
    return z3.Or(rest) if rest else False


def no(flag: Flag) -> Flag:
    """Return whether it does not hold."""
    return not flag if isinstance(flag, bool) else z3.Not(flag)


def implies(premise: Flag, conclusion: Flag) -> Flag:
    """Return whether the conclusion holds if the premise does."""
    return any_of(no(premise), conclusion)


def either(flag: Flag, then: Any, otherwise: Any) -> Any:
    """Return the first if the flag holds, else the second."""
    if isinstance(flag, bool):
        return then if flag else otherwise
    if isinstance(then, bool) and isinstance(otherwise, bool):
        return (flag if then else z3.Not(flag)) if then != otherwise else then
    return z3.If(flag, then, otherwise)


def smaller(one: Number, other: Number) -> Number:
    """Return the smaller of two numbers."""
    return either(one <= other, one, other)


def one_of(number: Number, *values: int) -> Flag:
    """Return whether the number is one of the values."""
    return any_of(*(number == value for value in values))


def three_quarters(number: Number) -> Number:
    """Return three quarters of a number from 0 up, cut to a whole one."""
    return number * 3 // 4 if isinstance(number, int) else number * 3 / 4


def store(old: Callable[[Number], Any], key: Number, value: Any) -> Callable[[Number], Any]:
    """Return a map, or marks, that hold ``value`` at ``key`` and are otherwise the old ones."""
    return lambda index: either(index == key, value, old(index))


def enter(
    old: Callable[[Number, Number], Any], table: Number, index: Number, value: Any
) -> Callable[..., Any]:
    """Return entries that hold ``value`` at the table's ``index`` and are otherwise the old ones."""
    return lambda t, i: either(both(t == table, i == index), value, old(t, i))
