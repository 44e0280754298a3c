"""Arithmetic on integers is LLVM's, bit for bit, and owes just what LLVM leaves undefined."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import z3

from ringproof.proofs.symbolic.environment import Environment
from ringproof.proofs.symbolic.errors import Unmodelled
from ringproof.proofs.symbolic.ir import Place
from ringproof.proofs.symbolic.numbers import PREDICATES, binary, compare
from ringproof.proofs.symbolic.state import Ended, Site, State
from ringproof.proofs.symbolic.values import Offset, plain
from ringproof.proofs.symbolic.wrapping import signed, unsigned, wrap

HERE = Place("f", "numbers.c", 1)
X, Y = z3.Ints("x y")
WIDTH = 3
NUMBERS = range(1 << WIDTH)
FLAGS = {
    "add": ("", "nuw", "nsw", "nuw nsw"),
    "sub": ("", "nuw", "nsw", "nuw nsw"),
    "mul": ("", "nuw", "nsw", "nuw nsw"),
    "shl": ("", "nuw", "nsw", "nuw nsw"),
    "udiv": ("", "exact"),
    "sdiv": ("", "exact"),
    "lshr": ("", "exact"),
    "ashr": ("", "exact"),
    "urem": ("",),
    "srem": ("",),
    "and": ("",),
    "or": ("",),
    "xor": ("",),
}

FLAGLESS = ("and", "or", "xor")


def site(width: int = WIDTH, *numbers: z3.ArithRef) -> Site:
    """A place on a path where these numbers are registers of a width."""
    state = State()
    for number in numbers:
        state.bounds.note_type(number, width)
    return Site(state, Environment(), HERE)


def minus(number: int, width: int) -> int:
    """Two's complement."""
    return number - (1 << width) if number >> (width - 1) else number


def expected(op: str, flags: str, x: int, y: int, width: int) -> int | None:
    """What the language reference says: the result, or none if it is poison or undefined."""
    a, b, whole = minus(x, width), minus(y, width), 1 << width
    if op in ("udiv", "urem", "sdiv", "srem") and y == 0:
        return None
    if op in ("shl", "lshr", "ashr") and y >= width:
        return None
    if op in ("sdiv", "srem") and a == -whole // 2 and b == -1:
        return None
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) if b else 0
    exact: dict[str, tuple[int, int]] = {  # the result unsigned and signed, before it is wrapped
        "add": (x + y, a + b),
        "sub": (x - y, a - b),
        "mul": (x * y, a * b),
        "shl": (x << y, a << y),
        "udiv": (x // y if y else 0, 0),
        "urem": (x % y if y else 0, 0),
        "sdiv": (quotient, quotient),
        "srem": (a - b * quotient, 0),
        "lshr": (x >> y, 0),
        "ashr": (a >> y, 0),
        "and": (x & y, 0),
        "or": (x | y, 0),
        "xor": (x ^ y, 0),
    }
    result, with_sign = exact[op]
    if "nuw" in flags and not 0 <= result < whole:
        return None
    if "nsw" in flags and not -whole // 2 <= with_sign < whole // 2:
        return None
    if "exact" in flags:
        left = {"udiv": result * y != x, "sdiv": result * b != a}.get(op, bool(x & ((1 << y) - 1)))
        if left:
            return None
    return result % whole


def at(term: Any, **values: int) -> Any:
    """A term's value where numbers have these values."""
    if not isinstance(term, z3.ExprRef):
        return term
    pairs = [(z3.Int(name), z3.IntVal(value)) for name, value in values.items()]
    return plain(z3.simplify(z3.substitute(term, pairs)))


def done(place: Site, op: str, one: Any, other: Any, flags: frozenset[str]) -> Callable[..., Any]:
    """What an operation gives for values of x and y: none where something owed does not hold."""
    try:
        result = binary(place, op, one, other, WIDTH, flags)
    except Ended:
        result = None
    owed = [obligation.goal for obligation in place.environment.obligations]

    def value(**values: int) -> Any:
        return at(result, **values) if all(at(goal, **values) for goal in owed) else None

    return value


def operations() -> Iterator[tuple[str, str]]:
    """Every operation with the flags it can have."""
    for op, choices in FLAGS.items():
        for flags in choices:
            yield op, flags


@pytest.mark.parametrize(("op", "flags"), list(operations()))
def test_operations_of_known_and_unknown_numbers(op: str, flags: str) -> None:
    """Each result is the reference's, and poison just where something owed fails: all numbers of i3."""
    marks = frozenset(flags.split())
    for x, y in product(NUMBERS, NUMBERS):
        assert done(site(), op, x, y, marks)() == expected(op, flags, x, y, WIDTH), (x, y)
    for known in NUMBERS:
        by, of = done(site(WIDTH, X), op, X, known, marks), done(site(WIDTH, Y), op, known, Y, marks)
        for number in NUMBERS:
            assert by(x=number) == expected(op, flags, number, known, WIDTH), (number, known)
            assert of(y=number) == expected(op, flags, known, number, WIDTH), (known, number)


@pytest.mark.parametrize(
    ("op", "flags"), [(op, f) for op, f in operations() if op not in ("and", "or", "xor")]
)
def test_operations_of_two_unknown_numbers(op: str, flags: str) -> None:
    """The same where neither operand is known."""
    value = done(site(WIDTH, X, Y), op, X, Y, frozenset(flags.split()))
    for x, y in product(NUMBERS, NUMBERS):
        assert value(x=x, y=y) == expected(op, flags, x, y, WIDTH), (x, y)


def test_masks_of_unknown_numbers_are_refused() -> None:
    """Nothing is known of the bits of either operand: the environment is asked, and knows nothing."""
    for op in FLAGLESS:
        with pytest.raises(Unmodelled, match=rf"{op} i3 of two numbers .*numbers\.c:1 \(f\)"):
            binary(site(WIDTH, X, Y), op, X, Y, WIDTH, frozenset())


@pytest.mark.parametrize("op", ["and", "or", "xor"])
def test_bits_apart_and_flags_as_numbers(op: str) -> None:
    """Numbers with bits apart, numbers of 0 and 1, and choices between numerals need no environment."""
    place = site(2, X)
    place.state.bounds.note_type(Y, 1)
    choice = z3.If(Y == 1, z3.IntVal(5), z3.IntVal(2))
    whole = {"and": int.__and__, "or": int.__or__, "xor": int.__xor__}[op]
    apart = binary(place, op, X, 4 * Y, WIDTH, frozenset())
    chosen = binary(place, op, X, choice, WIDTH, frozenset())
    place.state.bounds.note(X, 0, 1)
    single = binary(place, op, X, Y, WIDTH, frozenset())
    for x, y in product(range(4), range(2)):
        assert at(apart, x=x, y=y) == whole(x, 4 * y)
        assert at(chosen, x=x, y=y) == whole(x, 5 if y else 2)
        if x < 2:
            assert at(single, x=x, y=y) == whole(x, y)


@pytest.mark.parametrize("predicate", sorted(PREDICATES))
def test_comparisons(predicate: str) -> None:
    """Every predicate, of numbers known and unknown, with and without a sign."""
    order: dict[str, Callable[[int, int], bool]] = {
        "eq": lambda a, b: a == b,
        "ne": lambda a, b: a != b,
        "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b,
        "gt": lambda a, b: a > b,
        "ge": lambda a, b: a >= b,
    }
    both = compare(site(WIDTH, X, Y), predicate, X, Y, WIDTH)
    for x, y in product(NUMBERS, NUMBERS):
        a, b = (minus(x, WIDTH), minus(y, WIDTH)) if predicate[0] == "s" else (x, y)
        wanted = order[predicate[-2:]](a, b)
        assert compare(site(), predicate, x, y, WIDTH) is wanted
        assert at(both, x=x, y=y) is wanted
        assert at(compare(site(WIDTH, X), predicate, X, y, WIDTH), x=x) is wanted
        assert at(compare(site(WIDTH, Y), predicate, x, Y, WIDTH), y=y) is wanted


def test_signs_and_widths() -> None:
    """Reading with a sign, back again, and wrapping sums that were wrapped before."""
    place = site(WIDTH, X)
    for x in NUMBERS:
        assert at(signed(place, X, WIDTH), x=x) == minus(x, WIDTH)
        assert at(unsigned(signed(place, X, WIDTH), WIDTH), x=x) == x
        assert at(wrap(place, (X + 7) % 16 - 3, 2), x=x) == ((x + 7) % 16 - 3) % 4
        assert at(wrap(place, z3.If(X == 1, z3.IntVal(9), X * 3), 2), x=x) == (9 if x == 1 else 3 * x) % 4


def test_intervals_leave_out_what_cannot_wrap() -> None:
    """A sum that fits is a sum; a difference that is known to be none is one; and only on this path."""
    place = site(16, X)
    other = Site(place.state.fork(), place.environment, HERE)
    assert binary(place, "add", X, 1, 32, frozenset()).eq(X + 1)
    assert binary(place, "sub", X, 1, 32, frozenset()).eq((X - 1) % (1 << 32))
    place.state.assume(z3.Not(X == 0))
    assert binary(place, "sub", X, 1, 32, frozenset()).eq(X - 1)
    assert binary(other, "sub", X, 1, 32, frozenset()).eq((X - 1) % (1 << 32))
    assert binary(place, "add", X, (1 << 32) - 1, 32, frozenset()).eq(X - 1)


def test_offsets_have_one_form() -> None:
    """Sums are the same offset however they are written; a wrapped index is taken nearest to 0."""
    assert Offset.of(2 * (X + 3) - Y) == Offset.of(6 - Y + X + X)
    assert Offset.of((X + (1 << 64) - 1) % (1 << 64), 16, 1 << 64) == Offset.of(16 * X - 16)
    assert Offset.of(X - X + 4) == Offset(4)
    assert Offset.of(8 * X + 4).divided(4) == Offset.of(2 * X + 1)
    assert Offset.of(8 * X + 2).divided(4) is None
    assert at(Offset.of(3 - 2 * X + Y).number(), x=5, y=1) == -6
