"""Numbers of fixed width as circuits, and circuits as clauses: what a lemma on bit-vectors becomes for SAT.

Knows nothing of Z3, and is written to be read: with the walk over a lemma's terms in ``certificates_terms``
it is what a certificate rests on besides its checker. A literal is a number that is not 0, and its negation
the number's own; variable 1 is true. There are two gates, each with the clauses of its truth table (Tseitin's
encoding), and all else is built of them. A word is a tuple of literals, the lowest bit first; the meaning of
each operation is that of SMT-LIB's theory of fixed-size bit-vectors.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Literal: TypeAlias = int
Word: TypeAlias = tuple[Literal, ...]
Clause: TypeAlias = tuple[Literal, ...]

TRUE: Literal = 1
FALSE: Literal = -1


class Circuit:
    """Gates over variables, and what is demanded of them."""

    def __init__(self) -> None:
        self.variables = 1
        self._required: list[Literal] = [TRUE]
        self._gates: dict[tuple[str, Literal, Literal], Literal] = {}
        self._meaning: dict[Literal, tuple[Clause, ...]] = {}

    def variable(self) -> Literal:
        """Return a new variable, of which nothing is known."""
        self.variables += 1
        return self.variables

    def word(self, width: int) -> Word:
        """Return a word of new variables."""
        return tuple(self.variable() for _ in range(width))

    def require(self, literal: Literal) -> None:
        """Demand that a literal is true."""
        self._required.append(literal)

    def clauses(self) -> list[Clause]:
        """Return what is required, and what each gate yields on which that depends.

        Gates on which nothing depends are left out: fewer clauses are a weaker demand, so if these cannot
        all be met, all could not.
        """
        result: list[Clause] = [(literal,) for literal in self._required]
        pending, seen = [abs(literal) for literal in self._required], set[Literal]()
        while pending:
            if (variable := pending.pop()) in seen:
                continue
            seen.add(variable)
            for clause in self._meaning.get(variable, ()):
                result.append(clause)
                pending += map(abs, clause)
        return result

    # The two gates.

    def both(self, a: Literal, b: Literal) -> Literal:
        """Return whether a and b are true."""
        if FALSE in (a, b) or a == -b:
            return FALSE
        if a in (TRUE, b):
            return b
        if b == TRUE:
            return a
        a, b = sorted((a, b))
        if (gate := self._gates.get(("both", a, b))) is None:
            gate = self._gates["both", a, b] = self.variable()
            self._meaning[gate] = (-gate, a), (-gate, b), (gate, -a, -b)
        return gate

    def differ(self, a: Literal, b: Literal) -> Literal:
        """Return whether just one of a and b is true."""
        if a == b:
            return FALSE
        if a == -b:
            return TRUE
        for one, other in ((a, b), (b, a)):
            if abs(one) == TRUE:
                return -other if one == TRUE else other
        a, b = sorted((a, b))
        if (gate := self._gates.get(("differ", a, b))) is None:
            gate = self._gates["differ", a, b] = self.variable()
            self._meaning[gate] = (-gate, a, b), (-gate, -a, -b), (gate, -a, b), (gate, a, -b)
        return gate

    # Truth values.

    def every(self, literals: Iterable[Literal]) -> Literal:
        """Return whether all are true."""
        result = TRUE
        for literal in literals:
            result = self.both(result, literal)
        return result

    def some(self, literals: Iterable[Literal]) -> Literal:
        """Return whether at least one is true."""
        return -self.every(-literal for literal in literals)

    def choice(self, condition: Literal, a: Literal, b: Literal) -> Literal:
        """Return a if the condition is true, else b."""
        return self.some((self.both(condition, a), self.both(-condition, b)))

    # Words. Where there are two, they have one width.

    def choose(self, condition: Literal, a: Word, b: Word) -> Word:
        """Return a if the condition is true, else b."""
        return tuple(self.choice(condition, x, y) for x, y in zip(a, b, strict=True))

    def bitwise_and(self, a: Word, b: Word) -> Word:
        """Return the bits set in both."""
        return tuple(self.both(x, y) for x, y in zip(a, b, strict=True))

    def bitwise_xor(self, a: Word, b: Word) -> Word:
        """Return the bits set in just one."""
        return tuple(self.differ(x, y) for x, y in zip(a, b, strict=True))

    def bitwise_or(self, a: Word, b: Word) -> Word:
        """Return the bits set in at least one."""
        return inverted(self.bitwise_and(inverted(a), inverted(b)))

    def equal(self, a: Word, b: Word) -> Literal:
        """Return whether the two are the same number."""
        return -self.some(self.bitwise_xor(a, b))

    def _sum(self, a: Word, b: Word, carry: Literal) -> tuple[Word, Literal]:
        """Return a + b + carry cut to the width, and the carry that was cut off."""
        bits = []
        for x, y in zip(a, b, strict=True):
            odd = self.differ(x, y)
            bits.append(self.differ(odd, carry))
            carry = self.some((self.both(x, y), self.both(odd, carry)))
        return tuple(bits), carry

    def add(self, a: Word, b: Word) -> Word:
        """Return a + b."""
        return self._sum(a, b, FALSE)[0]

    def subtract(self, a: Word, b: Word) -> Word:
        """Return a - b."""
        return self._sum(a, inverted(b), TRUE)[0]

    def multiply(self, a: Word, b: Word) -> Word:
        """Return a * b."""
        width = len(a)
        result = number(0, width)
        for place, bit in enumerate(b):
            shifted = number(0, place) + a[: width - place]
            result = self.add(result, self.bitwise_and(shifted, (bit,) * width))
        return result

    def at_least(self, a: Word, b: Word) -> Literal:
        """Return whether a >= b, both without sign: a - b cuts off a carry just then."""
        return self._sum(a, inverted(b), TRUE)[1]

    def signed_at_least(self, a: Word, b: Word) -> Literal:
        """Return whether a >= b, both in two's complement: turned sign bits make it the other order."""
        return self.at_least((*a[:-1], -a[-1]), (*b[:-1], -b[-1]))

    def divide(self, a: Word, b: Word) -> tuple[Word, Word]:
        """Return quotient and remainder, without sign, by long division from the highest bit.

        The remainder is never more than the bits of a brought down so far, so the width suffices. Division
        by 0 yields all ones and a, as SMT-LIB has it.
        """
        remainder = number(0, len(a))
        quotient: list[Literal] = []
        for bit in reversed(a):
            remainder = (bit, *remainder[:-1])
            fits = self.at_least(remainder, b)
            remainder = self.choose(fits, self.subtract(remainder, b), remainder)
            quotient.insert(0, fits)
        return tuple(quotient), remainder

    def shift_left(self, a: Word, by: Word) -> Word:
        """Return a * 2^by; 0 if by is the width or more."""
        for place, bit in enumerate(by):
            zeros = min(1 << place, len(a))
            a = self.choose(bit, number(0, zeros) + a[: len(a) - zeros], a)
        return a

    def shift_right(self, a: Word, by: Word) -> Word:
        """Return a / 2^by without sign, rounded down; 0 if by is the width or more."""
        return self.shift_left(a[::-1], by)[::-1]


def inverted(word: Sequence[Literal]) -> Word:
    """Return the word with every bit turned."""
    return tuple(-bit for bit in word)


def number(value: int, width: int) -> Word:
    """Return a constant, cut to its width."""
    return tuple(TRUE if value >> place & 1 else FALSE for place in range(width))


def dimacs(variables: int, clauses: Sequence[Clause]) -> str:
    """Return clauses in the text format that every SAT solver and proof checker reads."""
    lines = [f"p cnf {variables} {len(clauses)}"]
    lines += [" ".join(map(str, (*clause, 0))) for clause in clauses]
    return "\n".join(lines) + "\n"
