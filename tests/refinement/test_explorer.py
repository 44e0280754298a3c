"""The explorer: numbers compute as Python's do, every way is run, and what can't be followed is said."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from ringproof.proofs.refinement import explorer
from ringproof.proofs.refinement.explorer import Endless, Exploration, Run, Unsteady, explore
from ringproof.proofs.refinement.symbolic_int import SymbolicBool, inspected, term_of
from ringproof.proofs.solver import refute
from ringproof.proofs.symbolic.errors import Unmodelled

NUMBERS = st.integers(-(1 << 20), 1 << 20)
WITH_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "from": lambda x, c: c - x,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "-x": lambda x, c: -x + c,
    "~x": lambda x, c: ~x & c,
    "abs": lambda x, c: abs(x) - c,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
WITH_POSITIVE: dict[str, Callable[[Any, Any], Any]] = {
    "//": lambda x, c: x // (c + 1),
    "%": lambda x, c: x % (c + 1),
    "<<": operator.lshift,
    ">>": operator.rshift,
}
OPERATIONS = WITH_NUMBERS | WITH_POSITIVE
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(WITH_NUMBERS)), NUMBERS),
        st.tuples(st.sampled_from(sorted(WITH_POSITIVE)), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=5,
)
BITS = st.integers(0, 15)


def _computed(steps: list[tuple[str, int]], value: Any) -> Any:
    for name, operand in steps:
        value = OPERATIONS[name](value, operand)
    return value


def _at(term: z3.ExprRef, values: Mapping[str, int | bool]) -> int | bool:
    pairs = [
        (z3.Bool(name), z3.BoolVal(value)) if isinstance(value, bool) else (z3.Int(name), z3.IntVal(value))
        for name, value in values.items()
    ]
    result = z3.simplify(z3.substitute(term, *pairs))
    return z3.is_true(result) if z3.is_bool(result) else int(result.as_long())


def _one(program: Callable[[Run], Any]) -> Any:
    """Return the result of a program that decides nothing."""
    found = explore(program, {})
    assert len(found.paths) == 1
    return found.paths[0].result


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, value=NUMBERS)
def test_computes_as_python_does(steps: list[tuple[str, int]], value: int) -> None:
    """Any operations with plain operands give, at any value, the number or truth value Python gives."""
    symbolic = _one(lambda run: _computed(steps, run.integer("x")))
    plain = _computed(steps, value)
    assert _at(term_of(symbolic), {"x": value}) == plain
    assert isinstance(plain, bool) <= isinstance(symbolic, SymbolicBool)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, flags=st.lists(st.booleans(), min_size=4, max_size=4))
def test_bits_compute_as_numbers(steps: list[tuple[str, int]], flags: list[bool]) -> None:
    """A number known by its bits computes as Python's number with those bits."""

    def program(run: Run) -> Any:
        word = run.word({place: z3.Bool(f"b{place}") for place in range(4)})
        return _computed(steps, word)

    plain = _computed(steps, sum(1 << place for place in range(4) if flags[place]))
    values = {f"b{place}": flag for place, flag in enumerate(flags)}
    assert _at(term_of(_one(program)), values) == plain


@settings(max_examples=40, deadline=None)
@given(one=NUMBERS, other=NUMBERS, sign=st.sampled_from(["+", "-", "*", "<", "<=", ">", ">=", "==", "!="]))
def test_two_numbers_of_any_value(one: int, other: int, sign: str) -> None:
    """Numbers of any value compute with each other as Python's do."""
    symbolic = _one(lambda run: OPERATIONS[sign](run.integer("x"), run.integer("y")))
    assert _at(term_of(symbolic), {"x": one, "y": other}) == OPERATIONS[sign](one, other)


@settings(max_examples=40, deadline=None)
@given(one=BITS, other=BITS, sign=st.sampled_from(["&", "|", "^", "+", "=="]))
def test_two_numbers_by_their_bits(one: int, other: int, sign: str) -> None:
    """Numbers known by their bits combine bit by bit."""

    def program(run: Run) -> Any:
        words = [run.word({place: z3.Bool(f"{name}{place}") for place in range(4)}) for name in "xy"]
        return OPERATIONS[sign](*words)

    values = {
        f"{name}{place}": bool(n >> place & 1) for name, n in (("x", one), ("y", other)) for place in range(4)
    }
    assert _at(term_of(_one(program)), values) == OPERATIONS[sign](one, other)


def _sorted(run: Run) -> list[Any]:
    """Sort three numbers by insertion."""
    numbers = [run.integer(name) for name in "abc"]
    for i in range(1, 3):
        while i and numbers[i] < numbers[i - 1]:
            numbers[i], numbers[i - 1] = numbers[i - 1], numbers[i]
            i -= 1
    return numbers


def _covers(found: Exploration[Any]) -> bool:
    return refute(found.coverage, 0).result == "unsat"


def test_every_way_is_run() -> None:
    """Three numbers are sorted in six ways; each way's result is in order, and there is no other way."""
    found = explore(_sorted, {})
    assert len(found.paths) == 6
    assert _covers(found)
    for path in found.paths:
        a, b, c = (term_of(number) for number in path.result or ())
        solver = z3.Solver()
        solver.add(*path.conditions, z3.Not(z3.And(a <= b, b <= c)))
        assert solver.check() == z3.unsat


def test_impossible_ways_are_left_out_and_that_is_asked_again() -> None:
    """A hypothesis leaves three ways of six; without it they would not be all there are."""
    known = {"in order": z3.Int("a") <= z3.Int("b")}
    found = explore(_sorted, known)
    assert len(found.paths) == 3
    assert _covers(found)
    assert refute(type(found.coverage)({}, found.tree), 0).result == "sat"


def test_what_the_solver_cannot_tell_is_run() -> None:
    """With no resources for the question every way counts as possible."""
    x, y, z = (z3.Int(name) for name in "xyz")
    hard = {"hard": x * x * x + y * y * y == z * z * z, "positive": z3.And(x > 0, y > 0, z > 0)}
    found = explore(lambda run: bool(run.integer("x") > 7), hard, rlimit=1)
    assert sorted(bool(path.result) for path in found.paths) == [False, True]


def test_an_error_of_the_program_is_a_way_of_its_own() -> None:
    """An exception ends its way, which keeps its conditions."""

    def program(run: Run) -> int:
        if run.integer("x") == 3:
            raise LookupError("three")
        return 0

    found = explore(program, {})
    errors = [path for path in found.paths if path.error]
    assert [str(path.error) for path in errors] == ["three"]
    assert [_at(each, {"x": 3}) for each in errors[0].conditions] == [True]
    assert _covers(found)


def test_facts_met_on_the_way_hold_from_there_on() -> None:
    """A fact assumed after a decision rules out ways behind it, and the ways still cover what it leaves."""

    def program(run: Run) -> str:
        x = run.integer("x")
        if x > 0:
            run.assume({"small": z3.Int("x") < 2})
            return "one" if x == 1 else "more"
        return "none"

    found = explore(program, {})
    assert sorted(path.result or "" for path in found.paths) == ["none", "one"]
    assert _covers(found)


def test_facts_may_take_the_place_of_what_was_known() -> None:
    """Where a fact takes the place of the hypotheses, these rule out nothing more."""

    def program(run: Run) -> str:
        run.assume({}, instead=True)
        return "high" if run.integer("x") > 0 else "low"

    found = explore(program, {"low": z3.Int("x") < 0})
    assert sorted(path.result or "" for path in found.paths) == ["high", "low"]


def test_what_has_to_be_shown_is_not_assumed() -> None:
    """A requirement is kept with its way and rules out nothing."""

    def program(run: Run) -> bool:
        run.require("x is small", z3.Int("x") < 3)
        return bool(run.integer("x") > 5)

    found = explore(program, {})
    assert [due.what for path in found.paths for due in path.due] == ["x is small"] * 2


REFUSED: dict[str, Callable[[Any], Any]] = {
    "index": lambda x: [1, 2][x],
    "range": lambda x: list(range(x)),
    "int": int,
    "float": float,
    "hash": lambda x: {x: 1},
    "member": lambda x: x in {1, 2},
    "round": round,
    "power": lambda x: x**2,
    "fraction": lambda x: x / 2,
    "with a fraction": lambda x: x < 0.5,
    "divide by": lambda x: 7 // x,
    "remainder by": lambda x: x % x,
    "negative divisor": lambda x: x % -4,
    "shift by": lambda x: 1 << x,
    "and of any": lambda x: x & (x + 1),
    "attribute": lambda x: x.bit_length(),
    "bytes": lambda x: bytes([x]),
    "caught": lambda x: _catching(lambda: int(x)),
}


def _catching(does: Callable[[], Any]) -> None:
    try:
        does()
    except Exception:
        return


@pytest.mark.parametrize("name", REFUSED)
def test_never_takes_one_value_for_all(name: str) -> None:
    """What would need one value, or has no exact meaning here, is refused by the name of its line."""
    with pytest.raises(Unmodelled, match=r"test_explorer\.py:\d+"):
        explore(lambda run: REFUSED[name](run.integer("x")), {})


@pytest.mark.parametrize("name", ["+", "&", "<", "//", "-x", "abs"])
def test_addresses_are_not_computed_with(name: str) -> None:
    """An address can be kept and compared for equality, and nothing else."""
    with pytest.raises(Unmodelled, match="an address is computed with"):
        explore(lambda run: OPERATIONS[name](run.address(z3.Int("x")), 1), {})
    same = explore(lambda run: bool(run.address(z3.Int("x")) == run.address(z3.Int("y"))), {})
    assert len(same.paths) == 2


def test_a_number_of_another_run_is_refused() -> None:
    """A number that outlived its run is not computed with."""
    kept: list[Any] = []

    def program(run: Run) -> Any:
        kept.append(run.integer("x"))
        return bool(kept[0] + kept[-1] > 0)

    with pytest.raises(Unmodelled, match="another run"):
        explore(program, {})


def test_endless_programs_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that no condition ends, and too many ways, are errors and not silence."""

    def loop(run: Run) -> None:
        x = run.integer("x")
        while x != 0:
            x = x - 1

    monkeypatch.setattr(explorer, "DECISIONS", 20)
    with pytest.raises(Endless, match="more than 20 conditions"):
        explore(loop, {})
    with pytest.raises(Endless, match="more than 5 ways"):
        explore(_sorted, {}, most=5)


def test_a_program_has_to_be_steady() -> None:
    """A program that meets other conditions when run again is found out."""
    count = iter(range(100))

    def program(run: Run) -> bool:
        return bool(run.integer("x") > next(count))

    with pytest.raises(Unsteady):
        explore(program, {})


@pytest.mark.parametrize(
    "source",
    [
        "x is True",
        "x is not y",
        "isinstance(x, int)",
        "type(x)",
        "match x:\n    case 1:\n        pass",
        "try:\n    pass\nexcept:\n    pass",
        "try:\n    pass\nexcept BaseException:\n    pass",
    ],
)
def test_source_that_asks_no_object_is_refused(source: str) -> None:
    """What would look through a symbolic number without its knowing is refused beforehand."""
    with pytest.raises(Unmodelled, match=r"code\.py:[13]"):
        inspected(source, "code.py")
    assert inspected("x is None or x is not None", "code.py")
