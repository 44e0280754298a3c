"""The same question in other words: every name another, every list in another order.

A verdict that hangs on how things are called, or on which hypothesis was written first, is luck. What is
renamed here means what it meant, so whatever the solver then says otherwise is the solver's doing.
"""

import random
import string
from collections.abc import Iterable

import z3

from .theorem import Query

_ORDERLESS = frozenset(
    {
        z3.Z3_OP_AND,
        z3.Z3_OP_OR,
        z3.Z3_OP_XOR,
        z3.Z3_OP_EQ,
        z3.Z3_OP_DISTINCT,
        z3.Z3_OP_ADD,
        z3.Z3_OP_MUL,
        z3.Z3_OP_BADD,
        z3.Z3_OP_BMUL,
        z3.Z3_OP_BAND,
        z3.Z3_OP_BOR,
        z3.Z3_OP_BXOR,
    }
)
"""The operators whose operands may stand in any order."""

_PLAIN = frozenset({z3.Z3_BOOL_SORT, z3.Z3_INT_SORT, z3.Z3_REAL_SORT, z3.Z3_BV_SORT})


class UnknownTermError(ValueError):
    """A term of a kind that cannot be renamed; the message names it."""


class Renaming:
    """A one-to-one renaming of constants, functions, sorts and bound variables, drawn from a seed.

    Two terms renamed by one object share their new names. With ``operands`` those of operators that do not
    care are put into another order, too.
    """

    def __init__(self, seed: int, *, operands: bool = False) -> None:
        self._random = random.Random(seed)
        self._operands = operands
        self._taken: set[str] = set()
        self._done: dict[int, tuple[z3.ExprRef, z3.ExprRef]] = {}
        self.functions: dict[z3.FuncDeclRef, z3.FuncDeclRef] = {}
        self.sorts: dict[z3.SortRef, z3.SortRef] = {}

    def formula(self, formula: z3.ExprRef) -> z3.ExprRef:
        """Return a term renamed; raises UnknownTermError where it has a sort or operator not foreseen."""
        waiting: list[tuple[z3.ExprRef, list[z3.ExprRef] | None]] = [(formula, None)]
        while waiting:
            term, inner = waiting.pop()
            if term.get_id() in self._done:
                continue
            if inner is None:
                inner = _inner(term)
                waiting.append((term, inner))
                waiting += [(each, None) for each in inner]
            else:
                # The term is kept, too, so that its id is not given to another.
                self._done[term.get_id()] = term, self._built(term, [self._renamed(each) for each in inner])
        return self._renamed(formula)

    def name(self) -> str:
        """Return a name not drawn before, from 3 to 28 characters long."""
        while True:
            length = self._random.randrange(3, 29)
            name = "".join(self._random.choices(string.ascii_letters, k=length))
            if name not in self._taken:
                self._taken.add(name)
                return name

    def shuffled(self, names: Iterable[str]) -> list[str]:
        """Return names in another order."""
        return self._random.sample(order := list(names), len(order))

    def _renamed(self, term: z3.ExprRef) -> z3.ExprRef:
        return self._done[term.get_id()][1]

    def _built(self, term: z3.ExprRef, inner: list[z3.ExprRef]) -> z3.ExprRef:
        if z3.is_app(term):
            declaration = term.decl()
            kind = declaration.kind()
            if kind == z3.Z3_OP_UNINTERPRETED:
                return self._function(declaration)(*inner)
            if self._operands and kind in _ORDERLESS:
                self._random.shuffle(inner)
            return self._applied(kind, term, inner)
        if z3.is_quantifier(term):
            return self._quantifier(term)
        if z3.is_var(term):
            return z3.Var(z3.get_var_index(term), self._sort(term.sort()))
        raise UnknownTermError(f"cannot rename {term.sexpr()}")

    def _applied(self, kind: int, term: z3.ExprRef, arguments: list[z3.ExprRef]) -> z3.ExprRef:
        """Return an operator applied; once sorts have new names, one on their terms is another operator."""
        if not arguments:
            return term
        if not self.sorts or all(each.sort().kind() in _PLAIN for each in (term, *arguments)):
            return term.update(*arguments)
        if kind == z3.Z3_OP_EQ:
            return arguments[0] == arguments[1]
        if kind == z3.Z3_OP_DISTINCT:
            return z3.Distinct(*arguments)
        if kind == z3.Z3_OP_ITE:
            return z3.If(*arguments)
        if kind == z3.Z3_OP_SELECT:
            return z3.Select(*arguments)
        if kind == z3.Z3_OP_STORE:
            return z3.Store(*arguments)
        if kind == z3.Z3_OP_CONST_ARRAY:
            return z3.K(self._sort(term.sort().domain()), arguments[0])
        raise UnknownTermError(f"cannot rename the operator {term.decl().name()} of {term.sort().sexpr()}")

    def _quantifier(self, term: z3.QuantifierRef) -> z3.ExprRef:
        count = term.num_vars()
        variables = [z3.Const(self.name(), self._sort(term.var_sort(index))) for index in range(count)]
        # In a quantifier's body the variable bound last has number 0.
        meant = variables[::-1]
        body = z3.substitute_vars(self._renamed(term.body()), *meant)
        if term.is_lambda():
            return z3.Lambda(variables, body)
        patterns = [
            z3.MultiPattern(
                *(z3.substitute_vars(self._renamed(part), *meant) for part in _parts(term.pattern(index)))
            )
            for index in range(term.num_patterns())
        ]
        if term.num_no_patterns():
            raise UnknownTermError("cannot rename a quantifier with a pattern excluded")
        kind = z3.ForAll if term.is_forall() else z3.Exists
        return kind(variables, body, weight=term.weight(), patterns=patterns)

    def _function(self, declaration: z3.FuncDeclRef) -> z3.FuncDeclRef:
        if declaration not in self.functions:
            domain = [self._sort(declaration.domain(index)) for index in range(declaration.arity())]
            self.functions[declaration] = z3.Function(self.name(), *domain, self._sort(declaration.range()))
        return self.functions[declaration]

    def _sort(self, sort: z3.SortRef) -> z3.SortRef:
        if sort.kind() in _PLAIN:
            return sort
        if sort.kind() == z3.Z3_ARRAY_SORT:
            return z3.ArraySort(self._sort(sort.domain()), self._sort(sort.range()))
        if sort.kind() != z3.Z3_UNINTERPRETED_SORT:
            raise UnknownTermError(f"cannot rename the sort {sort.sexpr()}")
        if sort not in self.sorts:
            self.sorts[sort] = z3.DeclareSort(self.name())
        return self.sorts[sort]


def _inner(term: z3.ExprRef) -> list[z3.ExprRef]:
    """Return the terms of which a term is made."""
    if not z3.is_quantifier(term):
        return list(term.children())
    patterns = [part for index in range(term.num_patterns()) for part in _parts(term.pattern(index))]
    return [term.body(), *patterns]


def _parts(pattern: z3.PatternRef) -> list[z3.ExprRef]:
    return [pattern.arg(index) for index in range(pattern.num_args())]


def renamed(query: Query, renaming: Renaming) -> Query:
    """Return the query renamed, its hypotheses in another order.

    Hypotheses keep what they are called outside their formulas. States and values are left out: no
    counterexample is to be read from this. Raises UnknownTermError.
    """
    names = renaming.shuffled(query.hypotheses)
    hypotheses = {name: renaming.formula(query.hypotheses[name]) for name in names}
    return Query(hypotheses, renaming.formula(query.goal))
