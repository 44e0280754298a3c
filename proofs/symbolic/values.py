"""What a register or a cell of memory holds: numbers and flags as terms, pointers as object and offset.

A number of iW (W > 1) is a Python int or a Z3 integer term with a value from 0 to 2^W - 1; an i1 is a bool or
a Z3 Bool. Nothing is a bit vector: arithmetic wraps by an explicit remainder, where it can wrap.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import z3

from .shapes import plain as plain
from .shapes import shape

Number: TypeAlias = Any
"""``int`` or ``z3.ArithRef``."""

Flag: TypeAlias = Any
"""``bool`` or ``z3.BoolRef``."""


@dataclass(frozen=True)
class Undefined:
    """Undef, poison, or what was never written: to compute with it is allowed, to depend on it is not."""


@dataclass(frozen=True)
class Null:
    """The null pointer."""


@dataclass(frozen=True)
class FunctionPointer:
    """The address of a function; nothing else has it, and it isn't null."""

    name: str


@dataclass(frozen=True)
class Offset:
    """A number in normal form: ``constant`` plus scaled atoms, sorted, each atom once, no scale 0.

    Two offsets with the same form are the same number. Atoms are terms that are no sums themselves.
    """

    constant: int
    terms: tuple[tuple[int, z3.ArithRef], ...] = ()

    @staticmethod
    def of(number: Number, scale: int = 1, modulus: int = 0) -> "Offset":
        """Return ``scale * number``; with a modulus, some number that is the same modulo ``scale * modulus``.

        Then remainders modulo a multiple of it are dropped, and constants taken next to 0: the form of
        ``(i + 2^64 - 1) mod 2^64`` is ``i - 1``.
        """
        if isinstance(number, int):
            if modulus:
                number = (number + modulus // 2) % modulus - modulus // 2
            return Offset(number * scale)
        form = _form(number, modulus)
        return form if scale == 1 else form.times(scale)

    def times(self, factor: int) -> "Offset":
        """Return the product."""
        if not factor:
            return ZERO
        return Offset(self.constant * factor, tuple((scale * factor, atom) for scale, atom in self.terms))

    def plus(self, other: "Offset", factor: int = 1) -> "Offset":
        """Return the sum, of ``factor`` times the other."""
        found = {atom.get_id(): (scale, atom) for scale, atom in self.terms}
        for scale, atom in other.terms:
            old = found.get(atom.get_id(), (0, atom))[0]
            found[atom.get_id()] = (old + factor * scale, atom)
        kept = sorted((key, scale, atom) for key, (scale, atom) in found.items() if scale)
        terms = tuple((scale, atom) for _, scale, atom in kept)
        return Offset(self.constant + factor * other.constant, terms)

    def divided(self, divisor: int) -> "Offset | None":
        """Return the quotient, or none if constant or a scale is no multiple of the divisor."""
        if self.constant % divisor or any(scale % divisor for scale, _ in self.terms):
            return None
        return Offset(self.constant // divisor, tuple((scale // divisor, atom) for scale, atom in self.terms))

    def number(self) -> Number:
        """Return it as a number again."""
        if not self.terms:
            return self.constant
        total: Number = None
        for scale, atom in sorted(self.terms, key=lambda term: term[0] < 0):
            piece = atom if abs(scale) == 1 else abs(scale) * atom
            if total is None:
                total = piece if scale > 0 else -piece
            else:
                total = total + piece if scale > 0 else total - piece
        if not self.constant:
            return total
        return total + self.constant if self.constant > 0 else total - -self.constant

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offset) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def key(self) -> tuple[object, ...]:
        """Return what tells it from other offsets."""
        return (self.constant, *((scale, atom.get_id()) for scale, atom in self.terms))


ZERO = Offset(0)


_FORMS: dict[tuple[int, int], tuple[z3.ArithRef, Offset]] = {}
_MOST = 100_000


def _form(number: z3.ArithRef, modulus: int) -> Offset:
    """The normal form of a term; see ``Offset.of``."""
    key = (number.ast.value, modulus)
    known = _FORMS.get(key)
    if known is not None:
        return known[1]
    found: dict[int, tuple[int, z3.ArithRef]] = {}
    constant = _collect(number, 1, modulus, found)
    if modulus:
        constant = (constant + modulus // 2) % modulus - modulus // 2
    kept = sorted((key, factor, atom) for key, (factor, atom) in found.items() if factor)
    form = Offset(constant, tuple((factor, atom) for _, factor, atom in kept))
    if len(_FORMS) >= _MOST:
        _FORMS.clear()
    _FORMS[key] = (number, form)
    return form


def _collect(number: Number, factor: int, modulus: int, found: dict[int, tuple[int, z3.ArithRef]]) -> int:
    """Add the atoms of ``factor * number`` to those found; return the constant part."""
    if isinstance(number, int):
        return factor * number
    kind, children, value = shape(number)
    if value is not None:
        return factor * int(value)
    if kind == z3.Z3_OP_ADD:
        return sum(_collect(child, factor, modulus, found) for child in children)
    if kind == z3.Z3_OP_SUB:
        first = _collect(children[0], factor, modulus, found)
        return first + sum(_collect(child, -factor, modulus, found) for child in children[1:])
    if kind == z3.Z3_OP_UMINUS:
        return _collect(children[0], -factor, modulus, found)
    if kind == z3.Z3_OP_MUL and len(children) == 2:
        for one, other in (children, children[::-1]):
            if isinstance(one, int):
                return _collect(other, factor * one, modulus, found)
    if kind == z3.Z3_OP_MOD and modulus and isinstance(children[1], int):
        divisor = children[1]
        if divisor > 0 and divisor % modulus == 0:
            return _collect(children[0], factor, modulus, found)
    old = found.get(number.get_id(), (0, number))[0]
    found[number.get_id()] = (old + factor, number)
    return 0


@dataclass(frozen=True)
class Field:
    """Cells of an object: one of ``bytes`` bytes at ``offset``, or many, ``stride`` bytes apart.

    Of many, there are those with an index from ``low`` to ``low + count - 1``; index 0 stands at ``offset``.
    ``kind`` is "int" or "pointer".
    """

    name: str
    offset: Any
    bytes: int
    stride: int = 0
    low: Number = 0
    count: Number = 1
    kind: str = "int"

    def __post_init__(self) -> None:
        if not isinstance(self.offset, Offset):
            object.__setattr__(self, "offset", Offset.of(self.offset))


@dataclass(frozen=True, eq=False)
class Object:
    """One allocation: its fields, which don't overlap where their counts allow an index.

    ``shared``: accesses are told to the environment. ``size`` in bytes, if known (an int or a term).
    ``handle``: a number that stands for its address where a map of numbers holds it: not 0, and no other
    object's; whoever makes the object answers for that. ``align``: its address is a multiple of it.
    ``constant``: never written.
    """

    name: str
    fields: tuple[Field, ...]
    shared: bool = False
    size: Number | None = None
    handle: Number | None = None
    align: int = 16
    constant: bool = False

    def __repr__(self) -> str:
        return f"Object({self.name})"

    def field(self, name: str) -> Field:
        """Return the field of that name; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"{self.name} has no field {name}")


@dataclass(frozen=True)
class Pointer:
    """An address: so many bytes from an object's start.

    ``within``: numbers of bytes from the start that have to lie within the object, both ends included, or the
    pointer is poison: what steps with ``inbounds`` passed through on the way, where it isn't plain.
    """

    object: Object
    offset: Offset = ZERO
    within: tuple[Offset, ...] = ()


@dataclass(frozen=True)
class Opaque:
    """A pointer known by a number only: its object's handle, 0 for null; ``offset`` bytes from there."""

    term: Number
    offset: Offset = ZERO
    within: tuple[Offset, ...] = ()


@dataclass(frozen=True)
class Choice:
    """One value if the flag holds, else the other, where no term can say so; a path is split on it."""

    flag: Flag
    then: Any
    otherwise: Any


@dataclass(frozen=True)
class Pieces:
    """An integer cell that was written in parts: bytes and value of each, from the lowest on."""

    parts: tuple[tuple[int, Any], ...]


NULL = Null()
UNDEFINED = Undefined()


def choose(flag: Flag, then: Any, otherwise: Any) -> Any:
    """Return the first if the flag holds, else the second; a Choice where these are not both terms."""
    if isinstance(flag, bool):
        return then if flag else otherwise
    if then is otherwise:
        return then
    for kinds in ((bool, z3.BoolRef), (int, z3.ArithRef)):
        if isinstance(then, kinds) and isinstance(otherwise, kinds):
            return _choose_terms(flag, then, otherwise)
    if not isinstance(then, z3.ExprRef) and not isinstance(otherwise, z3.ExprRef) and then == otherwise:
        return then
    return Choice(flag, then, otherwise)


def _choose_terms(flag: z3.BoolRef, then: Any, otherwise: Any) -> Any:
    if isinstance(then, bool) and isinstance(otherwise, bool):
        return then if then == otherwise else flag if then else negation(flag)
    if isinstance(then, bool):
        return z3.Or(flag, otherwise) if then else z3.And(negation(flag), otherwise)
    if isinstance(otherwise, bool):
        return z3.Or(negation(flag), then) if otherwise else z3.And(flag, then)
    if isinstance(then, int) and isinstance(otherwise, int) and then == otherwise:
        return then
    if isinstance(then, z3.ExprRef) and isinstance(otherwise, z3.ExprRef) and then.eq(otherwise):
        return then
    return z3.If(flag, then, otherwise)


def negation(flag: Flag) -> Flag:
    """Return whether it does not hold."""
    if isinstance(flag, bool):
        return not flag
    return flag.arg(0) if z3.is_not(flag) else z3.Not(flag)


def equal(one: Number, other: Number) -> Flag:
    """Return whether two numbers are the same, decided at once where their forms tell."""
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    difference = Offset.of(one).plus(Offset.of(other), -1)
    if not difference.terms:
        return difference.constant == 0
    if isinstance(one, int):
        return other == one
    return one == other


def conjunction(flags: "list[Flag]") -> Flag:
    """Return whether all hold."""
    if any(flag is False for flag in flags):
        return False
    rest = [flag for flag in flags if flag is not True]
    return True if not rest else rest[0] if len(rest) == 1 else z3.And(*rest)


def hold_at(old: Any, key: Number, value: Any) -> Any:
    """Return a map that holds ``value`` at ``key`` and is otherwise the old one."""
    return lambda index: choose(equal(index, key), value, old(index))
