"""Words as circuits mean what SMT-LIB says, and a lemma's terms what Z3 says."""

import random
from collections.abc import Callable, Iterator
from itertools import product

import pytest
import z3
from pysat.solvers import Solver

from ringproof.proofs.certificates import translated
from ringproof.proofs.certificates_circuit import FALSE, TRUE, Circuit, Word, inverted, number
from ringproof.proofs.certificates_terms import NoCircuitError, Translation
from ringproof.proofs.theorem import Obligation, Query, Stage, every_size
from ringproof.proofs.theorems import THEOREMS

WIDTHS = (1, 2, 3, 4)


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def _flag(literal: int) -> Word:
    return (literal,)


# What SMT-LIB says: of two numbers a and b of so many bits, cut to as many.
OPERATIONS: dict[str, tuple[Callable[[Circuit, Word, Word], Word], Callable[[int, int, int], int]]] = {
    "add": (Circuit.add, lambda a, b, _: a + b),
    "subtract": (Circuit.subtract, lambda a, b, _: a - b),
    "multiply": (Circuit.multiply, lambda a, b, _: a * b),
    "quotient": (lambda c, a, b: c.divide(a, b)[0], lambda a, b, _: a // b if b else -1),
    "remainder": (lambda c, a, b: c.divide(a, b)[1], lambda a, b, _: a % b if b else a),
    "and": (Circuit.bitwise_and, lambda a, b, _: a & b),
    "or": (Circuit.bitwise_or, lambda a, b, _: a | b),
    "xor": (Circuit.bitwise_xor, lambda a, b, _: a ^ b),
    "not": (lambda _, a, __: inverted(a), lambda a, _, __: ~a),
    "shift left": (Circuit.shift_left, lambda a, b, _: a << b),
    "shift right": (Circuit.shift_right, lambda a, b, _: a >> b),
    "equal": (lambda c, a, b: _flag(c.equal(a, b)), lambda a, b, _: a == b),
    "at least": (lambda c, a, b: _flag(c.at_least(a, b)), lambda a, b, _: a >= b),
    "signed at least": (
        lambda c, a, b: _flag(c.signed_at_least(a, b)),
        lambda a, b, width: _signed(a, width) >= _signed(b, width),
    ),
    "choose": (lambda c, a, b: c.choose(a[0], a, b), lambda a, b, _: a if a & 1 else b),
}


def _watched(circuit: Circuit, word: Word) -> Word:
    """Return new variables that are demanded to be equal to the word's bits, so that its gates are needed."""
    outputs = circuit.word(len(word))
    for output, bit in zip(outputs, word, strict=True):
        circuit.require(-circuit.differ(output, bit))
    return outputs


def _assumed(word: Word, value: int) -> list[int]:
    return [bit if value >> place & 1 else -bit for place, bit in enumerate(word)]


def _value(true: set[int], word: Word) -> int:
    return sum(1 << place for place, bit in enumerate(word) if bit in true)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_smtlibs_on_all_numbers(name: str, width: int) -> None:
    """For all pairs of numbers the clauses can be met, with the right result, and with no other."""
    operation, meaning = OPERATIONS[name]
    circuit = Circuit()
    a, b = circuit.word(width), circuit.word(width)
    result = _watched(circuit, operation(circuit, a, b))
    with Solver(name="minisat22", bootstrap_with=[list(clause) for clause in circuit.clauses()]) as solver:
        for x, y in product(range(1 << width), repeat=2):
            inputs = _assumed(a, x) + _assumed(b, y)
            right = meaning(x, y, width)
            assert len(result) == (1 if isinstance(right, bool) else width)
            right &= (1 << len(result)) - 1
            assert solver.solve(inputs)
            assert _value(set(solver.get_model()), result) == right
            for literal in _assumed(result, right):
                assert not solver.solve([*inputs, -literal])


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_on_constants_is_a_constant(name: str) -> None:
    """Gates of constants are worked out at once, to the same results, and add no clause."""
    operation, meaning = OPERATIONS[name]
    for width, x, y in ((w, m, n) for w in WIDTHS for m, n in product(range(1 << w), repeat=2)):
        circuit = Circuit()
        result = operation(circuit, number(x, width), number(y, width))
        assert set(result) <= {TRUE, FALSE}
        assert _value({TRUE}, result) == meaning(x, y, width) & ((1 << len(result)) - 1)
        assert circuit.clauses() == [(TRUE,)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_with_one_constant(name: str, width: int) -> None:
    """Half known, as a mask or a divisor in a lemma is, results are the same."""
    operation, meaning = OPERATIONS[name]
    for y in range(1 << width):
        circuit = Circuit()
        a = circuit.word(width)
        result = _watched(circuit, operation(circuit, a, number(y, width)))
        with Solver(
            name="minisat22", bootstrap_with=[list(clause) for clause in circuit.clauses()]
        ) as solver:
            for x in range(1 << width):
                assert solver.solve(_assumed(a, x))
                found = _value(set(solver.get_model()), result)
                assert found == meaning(x, y, width) & ((1 << len(result)) - 1)


# Terms, against Z3's own evaluation.

_BITS = z3.BitVecs("a b c", 8)
_FLAGS = z3.Bools("p q")
_NARROW = z3.BitVec("n", 3)
_MEMORY = z3.Function("memory", z3.IntSort(), z3.BitVecSort(8))


def _random_word(pick: random.Random, depth: int) -> z3.BitVecRef:
    if depth == 0 or pick.random() < 0.1:
        at = z3.If(pick.choice(_FLAGS), z3.IntVal(pick.randrange(2)), z3.IntVal(2))
        return pick.choice(
            [*_BITS, z3.BitVecVal(pick.randrange(256), 8), z3.ZeroExt(5, _NARROW), _MEMORY(at)]
        )
    a, b = _random_word(pick, depth - 1), _random_word(pick, depth - 1)
    low = pick.randrange(8)
    return pick.choice(
        [
            a + b, a - b, a * b, a & b, a | b, a ^ b, ~a, z3.URem(a, b), z3.UDiv(a, b), a << b, z3.LShR(a, b),
            z3.If(_random_flag(pick, depth - 1), a, b),
            z3.Concat(z3.Extract(low, 0, a), z3.Extract(7, low + 1, b)) if low < 7 else a,
            z3.SignExt(7 - low, z3.Extract(low, 0, a)), z3.ZeroExt(7 - low, z3.Extract(low, 0, b)),
        ]
    )  # fmt: skip


def _random_flag(pick: random.Random, depth: int) -> z3.BoolRef:
    if depth == 0:
        return pick.choice([*_FLAGS, z3.BoolVal(True), z3.BoolVal(False)])
    a, b = _random_word(pick, depth - 1), _random_word(pick, depth - 1)
    p, q = _random_flag(pick, depth - 1), _random_flag(pick, depth - 1)
    m, n = (z3.If(flag, z3.IntVal(pick.randrange(4)), z3.IntVal(pick.randrange(4))) for flag in (p, q))
    return pick.choice(
        [
            a == b, a != b, z3.ULT(a, b), z3.ULE(a, b), z3.UGT(a, b), z3.UGE(a, b),
            a < b, a <= b, a > b, a >= b,
            z3.And(p, q), z3.Or(p, q, a == b), z3.Not(p), z3.Implies(p, q), z3.Xor(p, q), p == q,
            z3.If(p, q, a == b), m == n, m < n, m <= n, m > n, m >= n,
        ]
    )  # fmt: skip


def _evaluated(term: z3.ExprRef, values: dict[z3.ExprRef, z3.ExprRef], cells: list[z3.ExprRef]) -> int:
    """Return what Z3's simplifier makes of a term whose symbols have these values, and memory these cells."""
    read = cells[-1]
    for address, cell in enumerate(cells[:-1]):
        read = z3.If(z3.Var(0, z3.IntSort()) == address, cell, read)
    filled = z3.substitute_funs(term, (_MEMORY, read)) if cells else term
    result = z3.simplify(z3.substitute(filled, *values.items()))
    return int(z3.is_true(result)) if z3.is_bool(result) else int(result.as_long())


def _symbols(terms: list[z3.ExprRef]) -> Iterator[z3.ExprRef]:
    """Yield the constants without a value in the terms."""
    pending, seen = list(terms), set[int]()
    while pending:
        term = pending.pop()
        if term.get_id() not in seen:
            seen.add(term.get_id())
            pending += term.children()
            if z3.is_const(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                yield term


def _agrees(terms: list[z3.ExprRef], pick: random.Random, rounds: int, cells: int) -> None:
    """Demand that the circuit of the terms yields what Z3 does, for random values of their symbols."""
    translation = Translation()
    outputs = []
    for term in terms:
        bits = translation.bits(term)
        outputs.append(_watched(translation.circuit, bits if isinstance(bits, tuple) else _flag(bits)))  # type: ignore[arg-type]
    symbols = {str(symbol): symbol for symbol in _symbols(terms)}
    clauses = [list(clause) for clause in translation.circuit.clauses()]
    with Solver(name="minisat22", bootstrap_with=clauses) as solver:
        for _ in range(rounds):
            near = pick.randrange(1 << 32)
            numbers = {
                name: (pick.choice((near, near + 1, pick.randrange(1 << 32), pick.randrange(8), -1)))
                & ((1 << len(word)) - 1)
                for name, word in translation.inputs.items()
            }
            memory = [z3.BitVecVal(numbers.get(f"memory({at})", 0), 8) for at in range(cells)]
            values = {
                symbol: z3.BoolVal(bool(numbers[name]))
                if z3.is_bool(symbol)
                else z3.BitVecVal(numbers[name], symbol.size())
                for name, symbol in symbols.items()
                if name in numbers
            }
            inputs = [
                bit for name, word in translation.inputs.items() for bit in _assumed(word, numbers[name])
            ]
            assert solver.solve(inputs)
            true = set(solver.get_model())
            assert translation.values(true) == numbers
            for term, output in zip(terms, outputs, strict=True):
                assert _value(true, output) == _evaluated(term, values, memory)


@pytest.mark.parametrize("seed", range(12))
def test_random_terms_mean_what_z3_says(seed: int) -> None:
    """Circuits of random terms of every kind that is translated yield what Z3's simplifier does."""
    pick = random.Random(seed)
    for _ in range(10):
        _agrees([_random_flag(pick, 3), _random_word(pick, 3)], pick, rounds=12, cells=3)


def _lemmas() -> Iterator[tuple[str, Obligation]]:
    for theorem in THEOREMS.values():
        for obligation in theorem.obligations:
            if not obligation.every_size and theorem.name in _WITH_CERTIFICATES:
                yield theorem.name, obligation


_WITH_CERTIFICATES = (
    "slot-injective",
    "need-event-exact",
    "header-written-whole",
    "header-size-by-feature",
    "checksum-request-right",
    "segmentation-request-right",
)


def query(name: str, obligation: Obligation) -> Query:
    """Return what an obligation of a theorem asks, of the shipped model."""
    subject = THEOREMS[name].subject
    return obligation.build(
        every_size(subject) if getattr(subject, "takes_size", False) else Stage(subject())
    )


@pytest.mark.slow
def test_each_lemmas_circuit_means_what_z3_says() -> None:
    """Every hypothesis and goal that is certified is, as a circuit, true and false just where Z3 says."""
    pick = random.Random(1)
    tried = 0
    for name, obligation in _lemmas():
        asked = query(name, obligation)
        try:
            translated(asked)
        except NoCircuitError:
            continue
        tried += 1
        _agrees([*asked.hypotheses.values(), asked.goal], pick, rounds=10, cells=12)
    assert tried >= 32


def test_what_has_no_circuit_is_refused() -> None:
    """Quantifiers, unbounded integers, other sorts, two symbols of one name: named, never guessed at."""
    i, x = z3.Int("i"), z3.BitVec("x", 8)
    beyond = {
        "quantifier": z3.ForAll([x], x == x),
        "any number: i": i == 3,
        "'sdiv'|bvsdiv": x / 3 == 1,
        "Real": z3.Real("r") == 1,
        "two symbols": z3.And(x == 1, z3.Bool("x")),
        "asked for": z3.Function("f", z3.BitVecSort(8), z3.BoolSort())(x),
        "'distinct'": z3.Distinct(x, x + 1, x + 2),
    }
    for words, term in beyond.items():
        with pytest.raises(NoCircuitError, match=words):
            Translation().require(term)
