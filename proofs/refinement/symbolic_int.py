"""Integers that stand for all values at once: Python's own arithmetic over Z3's mathematical integers.

Every operation here is exact for Python's unbounded integers, negative ones too; what has no exact meaning
raises Unmodelled and names the line of the code that did it. A comparison is a ``SymbolicBool``; only where
code asks Python for its truth (``if``, ``while``, ``and``, ``or``, ``not``) is it decided, by the run it
belongs to.

What Python does without asking the object can't be followed: ``is``, ``isinstance`` and ``type``.
``inspected`` refuses source that does such things, but for comparisons with None.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeAlias

import z3

from ..symbolic.errors import Unmodelled

Flag: TypeAlias = Any
"""A truth value: Z3's, or Python's own where it is known."""

_HERE = Path(__file__).parent
_ASKS_NOBODY = frozenset(
    {"isinstance", "issubclass", "type", "id", "eval", "exec", "vars", "globals", "locals"}
)


class Deciding(Protocol):
    """Who says which way a run goes where code asks for the truth of a condition."""

    def decide(self, condition: Flag) -> bool:
        """Return the truth of the condition on this run."""

    def refuse(self, error: Unmodelled) -> NoReturn:
        """Raise the error, and remember it even if the code that is followed catches it."""


class SymbolicInt:
    """An integer known by a term, or by its bits: a sum of distinct powers of two, each there or not."""

    __slots__ = ("_term", "bits", "run")

    def __init__(
        self, run: Deciding, term: z3.ArithRef | None = None, bits: Mapping[int, Flag] | None = None
    ) -> None:
        """``bits`` gives each power's exponent (0 or more) a flag; without them ``term`` is the number."""
        if (term is None) == (bits is None):
            raise ValueError("a number is known by its term or by its bits")
        self.run = run
        self._term = term
        self.bits: dict[int, Flag] | None = None
        if bits is not None:
            self.bits = {place: flag for place, flag in sorted(bits.items()) if flag is not False}

    @property
    def term(self) -> z3.ArithRef:
        """The number as a term."""
        if self._term is None:
            self._term = _sum(self.bits or {})
        return self._term

    # -- arithmetic ---------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: one + two)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: two + one)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: one - two)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: two - one)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: one * two)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, lambda one, two: two * one)

    def __neg__(self) -> SymbolicInt:
        return SymbolicInt(self.run, -self.term)

    def __pos__(self) -> SymbolicInt:
        return SymbolicInt(self.run, self.term)

    def __invert__(self) -> SymbolicInt:
        return SymbolicInt(self.run, -self.term - 1)

    def __abs__(self) -> SymbolicInt:
        return SymbolicInt(self.run, z3.If(self.term >= 0, self.term, -self.term))

    def __floordiv__(self, other: Any) -> Any:
        return self._divided(other, "//", lambda one, two: one / two)

    def __mod__(self, other: Any) -> Any:
        return self._divided(other, "%", _modulo)

    def __lshift__(self, other: Any) -> Any:
        count = self._known(other, "<<")
        if count < 0:
            raise ValueError("negative shift count")
        if self.bits is not None:
            return SymbolicInt(self.run, bits={place + count: flag for place, flag in self.bits.items()})
        return SymbolicInt(self.run, self.term * (1 << count))

    def __rshift__(self, other: Any) -> Any:
        count = self._known(other, ">>")
        if count < 0:
            raise ValueError("negative shift count")
        if self.bits is not None:
            kept = {place - count: flag for place, flag in self.bits.items() if place >= count}
            return SymbolicInt(self.run, bits=kept)
        return SymbolicInt(self.run, self.term / (1 << count))

    # -- bits ---------------------------------------------------------------------------------------

    def __and__(self, other: Any) -> Any:
        return self._bitwise(other, "&")

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return self._bitwise(other, "|")

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return self._bitwise(other, "^")

    __rxor__ = __xor__

    # -- comparisons --------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        if self.bits is not None and _is_whole(other) and isinstance(other, int):
            return SymbolicBool(self.run, _bits_equal(self.bits, int(other)))
        return self._compared(other, lambda one, two: one == two)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else SymbolicBool(self.run, _negated(equal.flag))

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, lambda one, two: one < two)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, lambda one, two: one <= two)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, lambda one, two: one > two)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, lambda one, two: one >= two)

    def __bool__(self) -> bool:
        if self.bits is not None:
            return self.run.decide(_any(self.bits.values()))
        return self.run.decide(self.term != 0)

    # -- what would need one value ------------------------------------------------------------------

    def __index__(self) -> int:
        return self._refused("used as an index, a length or a count of rounds")

    def __int__(self) -> int:
        return self._refused("turned into a plain integer")

    def __float__(self) -> float:
        return self._refused("turned into a float")

    def __hash__(self) -> int:
        return self._refused("hashed, as in a set or as a key")

    def __round__(self, *_: Any) -> int:
        return self._refused("rounded")

    def __pow__(self, _: Any, __: Any = None) -> Any:
        return self._refused("taken to a power")

    __rpow__ = __pow__

    def __truediv__(self, _: Any) -> Any:
        return self._refused("divided to a fraction")

    __rtruediv__ = __truediv__

    def __rfloordiv__(self, _: Any) -> Any:
        return self._refused("divided by")

    __rmod__ = __rfloordiv__

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    __rdivmod__ = __rfloordiv__

    def __rlshift__(self, _: Any) -> Any:
        return self._refused("shifted by")

    __rrshift__ = __rlshift__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # What Python looks for on its own: it does without.
            raise AttributeError(name)
        self.run.refuse(Unmodelled(f"a number of any value is asked for its {name}", _place()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.term})"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)

    # -- how ----------------------------------------------------------------------------------------

    def _with(self, other: Any, operation: Any) -> Any:
        if not _is_whole(other):
            return self._foreign(other)
        return SymbolicInt(self.run, operation(self.term, self._term_of(other)))

    def _compared(self, other: Any, operation: Any) -> Any:
        if not _is_whole(other):
            return self._foreign(other)
        return SymbolicBool(self.run, operation(self.term, self._term_of(other)))

    def _divided(self, other: Any, sign: str, operation: Any) -> Any:
        divisor = self._known(other, sign)
        if divisor == 0:
            raise ZeroDivisionError("integer division or modulo by zero")
        if divisor < 0:
            self._refused(f"operand of {sign} with a negative number")
        return SymbolicInt(self.run, operation(self.term, z3.IntVal(divisor)))

    def _bitwise(self, other: Any, sign: str) -> Any:
        if not _is_whole(other):
            return self._foreign(other)
        if isinstance(other, SymbolicInt):
            self._term_of(other)
            if self.bits is None or other.bits is None:
                self._refused(f"operand of {sign} with another of any value")
            return _known_bits(self.run, _combined(self.bits, other.bits, sign), self, other)
        mask = int(other)
        if self.bits is not None:
            if mask >= 0:
                places = dict.fromkeys(_places(mask), True)
                return _known_bits(self.run, _combined(self.bits, places, sign), self, other)
            if sign == "&":
                kept = {place: flag for place, flag in self.bits.items() if mask >> place & 1}
                return _known_bits(self.run, kept, self, other)
        kept = self._masked(mask)
        if sign == "&":
            return SymbolicInt(self.run, kept)
        shared = kept if sign == "|" else 2 * kept
        return SymbolicInt(self.run, self.term + mask - shared)

    def _masked(self, mask: int) -> Any:
        """Return the term of ``self & mask``; with a negative mask what is masked out is taken away."""
        if mask < 0:
            return self.term - self._masked(~mask)
        parts = [
            _modulo(self.term / (1 << low) if low else self.term, z3.IntVal(1 << count)) * (1 << low)
            if low
            else _modulo(self.term, z3.IntVal(1 << count))
            for low, count in _runs(mask)
        ]
        if not parts:
            return z3.IntVal(0)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _term_of(self, other: Any) -> Any:
        """Return a whole number's term."""
        if isinstance(other, SymbolicInt):
            if other.run is not self.run:
                self._refused("met with one of another run")
            return other.term
        return z3.IntVal(int(other))

    def _known(self, other: Any, sign: str) -> int:
        if isinstance(other, SymbolicInt) or not _is_whole(other):
            self._refused(f"operand of {sign} with {type(other).__name__}")
        return int(other)

    def _foreign(self, other: Any) -> Any:
        """Leave what is no number to Python, but don't let a fraction in."""
        if isinstance(other, float | complex):
            self._refused(f"met with a {type(other).__name__}")
        return NotImplemented

    def _refused(self, what: str) -> NoReturn:
        self.run.refuse(Unmodelled(f"a number of any value is {what}", _place()))


class SymbolicBool(SymbolicInt):
    """A truth value; as a number 0 or 1."""

    __slots__ = ("flag",)

    def __init__(self, run: Deciding, flag: Flag) -> None:
        super().__init__(run, bits={0: flag})
        self.flag = flag

    def __bool__(self) -> bool:
        return self.run.decide(self.flag)


class Address(SymbolicInt):
    """A number that names a place in memory and that code has no business to compute with.

    It can be kept, handed on, and compared for equality; anything else raises Unmodelled. So what is shown of
    code with some addresses is shown of it with any other.
    """

    __slots__ = ()

    def _opaque(self, *_: Any) -> NoReturn:
        self.run.refuse(Unmodelled("an address is computed with", _place()))

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __mod__ = _opaque
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _opaque
    __neg__ = __pos__ = __invert__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _opaque

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Address) and other is not None:
            self._opaque()
        return super().__eq__(other)

    __hash__ = SymbolicInt.__hash__


def inspected(source: str, name: str) -> str:
    """Return the source if symbolic numbers can go through it unnoticed.

    Raises Unmodelled, naming the line, for a comparison by ``is`` with anything but None, for a question
    about a type, for a match, and for a handler of everything.
    """
    node: Any
    for node in ast.walk(ast.parse(source, name)):
        if isinstance(node, ast.Compare):
            for operator, right in zip(node.ops, node.comparators, strict=True):
                none = isinstance(right, ast.Constant) and right.value is None
                if isinstance(operator, ast.Is | ast.IsNot) and not none:
                    raise Unmodelled("a comparison by identity", f"{name}:{node.lineno}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ASKS_NOBODY:
            raise Unmodelled(f"a call of {node.func.id}", f"{name}:{node.lineno}")
        if isinstance(node, ast.Match):
            raise Unmodelled("a match", f"{name}:{node.lineno}")
        everything = isinstance(node, ast.ExceptHandler) and (
            node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "BaseException")
        )
        if everything:
            raise Unmodelled("a handler of everything", f"{name}:{node.lineno}")
    return source


def term_of(value: Any) -> Any:
    """Return a number or truth value of code as a term: numbers as integers, truth values as such."""
    if isinstance(value, SymbolicBool):
        return value.flag if isinstance(value.flag, z3.BoolRef) else z3.BoolVal(value.flag)
    if isinstance(value, SymbolicInt):
        return value.term
    if isinstance(value, bool):
        return z3.BoolVal(value)
    if isinstance(value, int):
        return z3.IntVal(value)
    raise TypeError(f"{value!r} is no number and no truth value")


def _known_bits(run: Deciding, bits: Mapping[int, Flag], one: Any, other: Any) -> SymbolicInt:
    """Return the number; of truth values alone it is one."""
    if all(isinstance(each, SymbolicBool | bool) for each in (one, other)):
        return SymbolicBool(run, bits.get(0, False))
    return SymbolicInt(run, bits=bits)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | SymbolicInt)


def _modulo(number: Any, divisor: Any) -> Any:
    """Return the remainder by a positive number, without what a remainder of the same number did before."""
    if z3.is_app_of(number, z3.Z3_OP_MOD) and z3.is_int_value(number.arg(1)):
        inner, outer = number.arg(1).as_long(), divisor.as_long()
        if inner > 0 and outer % inner == 0:
            return number
        if inner > 0 and inner % outer == 0:
            number = number.arg(0)
    return number % divisor


def _sum(bits: Mapping[int, Flag]) -> Any:
    known = sum(1 << place for place, flag in bits.items() if flag is True)
    total: Any = z3.IntVal(known)
    parts = [z3.If(flag, 1 << place, 0) for place, flag in bits.items() if flag is not True]
    for part in parts:
        total = part if z3.is_int_value(total) and total.as_long() == 0 else total + part
    return total


def _places(mask: int) -> list[int]:
    return [place for place in range(mask.bit_length()) if mask >> place & 1]


def _runs(mask: int) -> list[tuple[int, int]]:
    """Return the neighbouring ones of a mask from 0 up: the lowest's place and how many there are."""
    runs: list[tuple[int, int]] = []
    for place in _places(mask):
        if runs and sum(runs[-1]) == place:
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((place, 1))
    return runs


def _combined(one: Mapping[int, Flag], two: Mapping[int, Flag], sign: str) -> dict[int, Flag]:
    places = sorted(one.keys() | two.keys())
    return {place: _bit(one.get(place, False), two.get(place, False), sign) for place in places}


def _bit(one: Flag, two: Flag, sign: str) -> Flag:
    if sign == "^":
        if isinstance(one, bool):
            return _negated(two) if one else two
        if isinstance(two, bool):
            return _negated(one) if two else one
        return z3.Xor(one, two)
    if sign == "|":
        return _any((one, two))
    return _negated(_any((_negated(one), _negated(two))))


def _negated(flag: Flag) -> Flag:
    if isinstance(flag, bool):
        return not flag
    return flag.arg(0) if z3.is_not(flag) else z3.Not(flag)


def _any(flags: Any) -> Flag:
    rest = []
    for flag in flags:
        if flag is True:
            return True
        if flag is not False:
            rest.append(flag)
    if len(rest) < 2:
        return rest[0] if rest else False
    return z3.Or(rest)


def _bits_equal(bits: Mapping[int, Flag], number: int) -> Flag:
    if number < 0 or any(place not in bits for place in _places(number)):
        return False
    wrong = [_negated(flag) if number >> place & 1 else flag for place, flag in bits.items()]
    return _negated(_any(wrong))


def _place() -> str:
    """Return file and line of the code that is being followed, as far as it is known."""
    frame = sys._getframe(1)
    while Path(frame.f_code.co_filename).parent == _HERE:
        if frame.f_back is None:
            break
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} ({frame.f_code.co_name})"
