"""A lemma's terms as a circuit: Boolean and bit-vector terms, and integers that can have only few values.

What is translated is the terms as the lemma builds them, before any solver has touched them. A lemma with
anything else in it (a quantifier, an integer that may be any number) has no circuit, and so no certificate.
"""

from collections.abc import Callable, Iterable
from functools import partial, reduce
from itertools import product
from typing import TypeAlias

import z3

from .certificates_circuit import FALSE, TRUE, Circuit, Literal, Word, inverted, number

Choices: TypeAlias = dict[int, Literal]
"""An integer: of the literals of its possible values just one is true."""

Bits: TypeAlias = Literal | Word | Choices


class NoCircuitError(ValueError):
    """A term is none of those that become circuits; the message names it."""


class Translation:
    """The circuit of some terms. ``inputs`` holds the bits of each symbol, by its name."""

    def __init__(self) -> None:
        self.circuit = Circuit()
        self.inputs: dict[str, Word] = {}
        self._declared: dict[str, int] = {}
        self._done: dict[int, Bits] = {}
        self._kept: list[z3.ExprRef] = []  # so that Z3 gives none of their numbers to another term

    def require(self, term: z3.BoolRef) -> None:
        """Demand that a Boolean term is true. Raises NoCircuitError for what is beyond this module."""
        self.circuit.require(_literal(self.bits(term)))

    def values(self, model: Iterable[Literal]) -> dict[str, int]:
        """Return the numbers that true literals give to the symbols; a truth value is 0 or 1."""
        true = set(model)
        words = self.inputs.items()
        return {
            name: sum(1 << place for place, bit in enumerate(word) if bit in true) for name, word in words
        }

    def bits(self, term: z3.ExprRef) -> Bits:
        """Return a term's bits, each term's once."""
        pending = [term]
        while pending:
            top = pending[-1]
            missing = [child for child in _children(top) if child.get_id() not in self._done]
            if missing:
                pending += missing
                continue
            pending.pop()
            if top.get_id() not in self._done:
                self._kept.append(top)
                self._done[top.get_id()] = self._translated(top)
        return self._done[term.get_id()]

    def _translated(self, term: z3.ExprRef) -> Bits:
        kind = term.decl().kind()
        if kind == z3.Z3_OP_UNINTERPRETED:
            return self._symbol(term)
        if z3.is_bv_value(term):
            return number(term.as_long(), term.size())
        if z3.is_int_value(term):
            return {term.as_long(): TRUE}
        arguments = [self._done[child.get_id()] for child in term.children()]
        if kind in (z3.Z3_OP_EQ, z3.Z3_OP_DISTINCT) and len(arguments) == 2:
            same = self._equal(*arguments)
            return same if kind == z3.Z3_OP_EQ else -same
        if kind == z3.Z3_OP_ITE:
            return self._chosen(*arguments)
        circuit = self.circuit
        if kind in _ON_INTEGERS:
            return self._compared(_ON_INTEGERS[kind], *map(_choices, arguments))
        if kind in _ON_LITERALS:
            return _ON_LITERALS[kind](circuit, *map(_literal, arguments))
        if kind in _ON_WORDS:
            # Of more than two, from left to right, as SMT-LIB has it.
            return reduce(partial(_ON_WORDS[kind], circuit), map(_word, arguments))
        if kind in _ON_TWO_WORDS and len(arguments) == 2:
            a, b = map(_word, arguments)
            return _ON_TWO_WORDS[kind](circuit, a, b)
        if kind in _ON_ONE_WORD:
            (word,) = map(_word, arguments)
            return _ON_ONE_WORD[kind](word, term.params())
        if kind == z3.Z3_OP_CONCAT:
            return tuple(bit for argument in reversed(arguments) for bit in _word(argument))
        raise _beyond(term)

    def _symbol(self, term: z3.ExprRef) -> Bits:
        """Return the bits of a symbol, or of a function's value at each of the few places it is asked for."""
        name, arguments = (
            term.decl().name(),
            [_choices(self._done[each.get_id()]) for each in term.children()],
        )
        result: Bits | None = None
        for place in product(*arguments):
            there = self.circuit.every(values[at] for values, at in zip(arguments, place, strict=True))
            value = self._input(f"{name}({', '.join(map(str, place))})" if place else name, term)
            result = value if result is None else self._chosen(there, value, result)
        assert result is not None
        return result

    def _input(self, name: str, term: z3.ExprRef) -> Bits:
        is_bool = z3.is_bool(term)
        if not is_bool and not z3.is_bv(term):
            raise _beyond(term)
        if self._declared.setdefault(name, term.decl().get_id()) != term.decl().get_id():
            raise NoCircuitError(f"two symbols are called {name}")
        if name not in self.inputs:
            self.inputs[name] = self.circuit.word(1 if is_bool else term.size())
        return self.inputs[name][0] if is_bool else self.inputs[name]

    def _equal(self, a: Bits, b: Bits) -> Literal:
        if isinstance(a, dict) and isinstance(b, dict):
            return self._compared(int.__eq__, a, b)
        if isinstance(a, int) and isinstance(b, int):
            return -self.circuit.differ(a, b)
        return self.circuit.equal(_word(a), _word(b))

    def _compared(self, test: Callable[[int, int], bool], a: Choices, b: Choices) -> Literal:
        true = (self.circuit.both(a[m], b[n]) for m, n in product(a, b) if test(m, n))
        return self.circuit.some(true)

    def _chosen(self, condition: Bits, a: Bits, b: Bits) -> Bits:
        literal, choice = _literal(condition), self.circuit.choice
        if isinstance(a, int) and isinstance(b, int):
            return choice(literal, a, b)
        if isinstance(a, dict) and isinstance(b, dict):
            values = dict.fromkeys([*a, *b])
            return {value: choice(literal, a.get(value, FALSE), b.get(value, FALSE)) for value in values}
        return self.circuit.choose(literal, _word(a), _word(b))


def _children(term: z3.ExprRef) -> list[z3.ExprRef]:
    if not z3.is_app(term):
        raise NoCircuitError("it has a quantifier")
    return list(term.children())


def _beyond(term: z3.ExprRef) -> NoCircuitError:
    if z3.is_int(term) and term.num_args() == 0:
        return NoCircuitError(f"it has integers that may be any number: {term.decl().name()}")
    return NoCircuitError(f"it has {term.decl().name()!r} of {term.sort()}")


def _literal(bits: Bits) -> Literal:
    assert isinstance(bits, int)
    return bits


def _word(bits: Bits) -> Word:
    assert isinstance(bits, tuple)
    return bits


def _choices(bits: Bits) -> Choices:
    if not isinstance(bits, dict):
        raise NoCircuitError("a function is asked for something other than integers")
    return bits


_ON_INTEGERS: dict[int, Callable[[int, int], bool]] = {
    z3.Z3_OP_LE: int.__le__,
    z3.Z3_OP_LT: int.__lt__,
    z3.Z3_OP_GE: int.__ge__,
    z3.Z3_OP_GT: int.__gt__,
}

_ON_LITERALS: dict[int, Callable[..., Literal]] = {
    z3.Z3_OP_TRUE: lambda _: TRUE,
    z3.Z3_OP_FALSE: lambda _: FALSE,
    z3.Z3_OP_NOT: lambda _, a: -a,
    z3.Z3_OP_AND: lambda circuit, *all_of: circuit.every(all_of),
    z3.Z3_OP_OR: lambda circuit, *one_of: circuit.some(one_of),
    z3.Z3_OP_XOR: lambda circuit, *odd_of: reduce(circuit.differ, odd_of),
    z3.Z3_OP_IMPLIES: lambda circuit, a, b: circuit.some((-a, b)),
}

_ON_WORDS: dict[int, Callable[[Circuit, Word, Word], Word]] = {
    z3.Z3_OP_BADD: Circuit.add,
    z3.Z3_OP_BMUL: Circuit.multiply,
    z3.Z3_OP_BAND: Circuit.bitwise_and,
    z3.Z3_OP_BOR: Circuit.bitwise_or,
    z3.Z3_OP_BXOR: Circuit.bitwise_xor,
}

_ON_TWO_WORDS: dict[int, Callable[[Circuit, Word, Word], Bits]] = {
    z3.Z3_OP_BSUB: Circuit.subtract,
    z3.Z3_OP_BUDIV: lambda circuit, a, b: circuit.divide(a, b)[0],
    z3.Z3_OP_BUREM: lambda circuit, a, b: circuit.divide(a, b)[1],
    z3.Z3_OP_BSHL: Circuit.shift_left,
    z3.Z3_OP_BLSHR: Circuit.shift_right,
    z3.Z3_OP_UGEQ: Circuit.at_least,
    z3.Z3_OP_ULEQ: lambda circuit, a, b: circuit.at_least(b, a),
    z3.Z3_OP_ULT: lambda circuit, a, b: -circuit.at_least(a, b),
    z3.Z3_OP_UGT: lambda circuit, a, b: -circuit.at_least(b, a),
    z3.Z3_OP_SGEQ: Circuit.signed_at_least,
    z3.Z3_OP_SLEQ: lambda circuit, a, b: circuit.signed_at_least(b, a),
    z3.Z3_OP_SLT: lambda circuit, a, b: -circuit.signed_at_least(a, b),
    z3.Z3_OP_SGT: lambda circuit, a, b: -circuit.signed_at_least(b, a),
}

_ON_ONE_WORD: dict[int, Callable[[Word, list[int]], Word]] = {
    z3.Z3_OP_BNOT: lambda word, _: inverted(word),
    z3.Z3_OP_EXTRACT: lambda word, ends: word[ends[1] : ends[0] + 1],
    z3.Z3_OP_ZERO_EXT: lambda word, more: word + number(0, more[0]),
    z3.Z3_OP_SIGN_EXT: lambda word, more: word + word[-1:] * more[0],
}
