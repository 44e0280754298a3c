"""One obligation as a file of SMT-LIB 2.6: complete, and in the words of the standard alone.

Every term is written from a closed list of operators, so that nothing only Z3 understands can slip into a
file that other solvers are to read: what is not on the list raises NotExpressibleError.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import z3

from .theorem import Query

_SAME = {
    z3.Z3_OP_TRUE: "true",
    z3.Z3_OP_FALSE: "false",
    z3.Z3_OP_EQ: "=",
    z3.Z3_OP_DISTINCT: "distinct",
    z3.Z3_OP_ITE: "ite",
    z3.Z3_OP_NOT: "not",
    z3.Z3_OP_IMPLIES: "=>",
    z3.Z3_OP_XOR: "xor",
    z3.Z3_OP_SUB: "-",
    z3.Z3_OP_UMINUS: "-",
    z3.Z3_OP_MUL: "*",
    z3.Z3_OP_IDIV: "div",
    z3.Z3_OP_MOD: "mod",
    z3.Z3_OP_LT: "<",
    z3.Z3_OP_LE: "<=",
    z3.Z3_OP_GT: ">",
    z3.Z3_OP_GE: ">=",
    z3.Z3_OP_BNEG: "bvneg",
    z3.Z3_OP_BSUB: "bvsub",
    z3.Z3_OP_BUDIV: "bvudiv",
    z3.Z3_OP_BUREM: "bvurem",
    z3.Z3_OP_BSDIV: "bvsdiv",
    z3.Z3_OP_BSREM: "bvsrem",
    z3.Z3_OP_BSMOD: "bvsmod",
    z3.Z3_OP_BNOT: "bvnot",
    z3.Z3_OP_BCOMP: "bvcomp",
    z3.Z3_OP_BSHL: "bvshl",
    z3.Z3_OP_BLSHR: "bvlshr",
    z3.Z3_OP_BASHR: "bvashr",
    z3.Z3_OP_ULEQ: "bvule",
    z3.Z3_OP_ULT: "bvult",
    z3.Z3_OP_UGEQ: "bvuge",
    z3.Z3_OP_UGT: "bvugt",
    z3.Z3_OP_SLEQ: "bvsle",
    z3.Z3_OP_SLT: "bvslt",
    z3.Z3_OP_SGEQ: "bvsge",
    z3.Z3_OP_SGT: "bvsgt",
    z3.Z3_OP_SELECT: "select",
    z3.Z3_OP_STORE: "store",
}
_ANY_NUMBER = {z3.Z3_OP_AND: ("and", "true"), z3.Z3_OP_OR: ("or", "false"), z3.Z3_OP_ADD: ("+", "0")}
_IN_PAIRS = {
    z3.Z3_OP_BADD: "bvadd",
    z3.Z3_OP_BMUL: "bvmul",
    z3.Z3_OP_BAND: "bvand",
    z3.Z3_OP_BOR: "bvor",
    z3.Z3_OP_BXOR: "bvxor",
    z3.Z3_OP_CONCAT: "concat",
}
_INDEXED = {
    z3.Z3_OP_EXTRACT: "extract",
    z3.Z3_OP_ZERO_EXT: "zero_extend",
    z3.Z3_OP_SIGN_EXT: "sign_extend",
    z3.Z3_OP_REPEAT: "repeat",
    z3.Z3_OP_ROTATE_LEFT: "rotate_left",
    z3.Z3_OP_ROTATE_RIGHT: "rotate_right",
}
_DIVISIONS = (z3.Z3_OP_IDIV, z3.Z3_OP_MOD)

_LOGICS = (
    "QF_UF QF_BV QF_UFBV QF_ABV QF_AUFBV QF_LIA QF_NIA QF_UFLIA QF_UFNIA QF_ALIA QF_ANIA QF_AUFLIA "
    "QF_AUFNIA QF_AX UF BV UFBV ABV AUFBV LIA NIA UFLIA UFNIA ALIA ANIA AUFLIA AUFNIA"
)

# Words of the standard, of its theories, and those that one of the solvers takes for its own.
_RESERVED = (
    "_ ! as assert let exists forall match par and or not xor distinct ite true false if iff implies "
    "BINARY DECIMAL HEXADECIMAL NUMERAL STRING Bool Int Real Array BitVec Float16 Float32 Float64 Float128 "
    "FloatingPoint RoundingMode RNE RNA RTP RTN RTZ String RegLan Seq Set Bag Tuple Relation Table UnitTuple "
    "abs div mod rem select store concat extract repeat zero_extend sign_extend rotate_left rotate_right is "
    "update const lambda to_real to_int is_int divisible iand piand int2bv nat2bv bv2nat bv2int int_to_bv "
    "ubv_to_int sbv_to_int bit2bool exp sin cos tan csc sec cot arcsin arccos arctan sqrt pi euler sep pto "
    "wand union intersection setminus subset complement "
    "bag ff set-has-size as-array"
)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_+*=%&^<>/!-]*")
_PREFIXED = re.compile(r"(bv|fp\.|to_fp|str\.|re\.|seq\.|set\.|bag\.|int\.|real\.|rel\.|tuple\.|table\.)")


_RESERVED_WORDS = frozenset(_RESERVED.split())


class NotExpressibleError(ValueError):
    """A term that is not in SMT-LIB 2.6, or is not one this module writes; the message names it."""


@dataclass(frozen=True)
class Text:
    """An obligation as SMT-LIB: its logic, and all that stands in the file."""

    logic: str
    content: str

    @property
    def is_pure_bit_vector(self) -> bool:
        """Whether the obligation is in quantifier-free bit-vectors and nothing else."""
        return self.logic == "QF_BV"


def write(query: Query, status: str, notes: Mapping[str, str]) -> Text:
    """Return the file that asks for a counterexample to the query: ``unsat`` means the goal follows.

    ``status`` is the verdict claimed: unsat, sat or unknown. ``notes`` go into the head, as the values of
    the attributes named; a name is letters and hyphens. Every hypothesis is an assertion of its own, named
    ``hypothesis NAME``, and the goal's negation one named ``negated goal``.

    Raises NotExpressibleError.
    """
    if status not in {"unsat", "sat", "unknown"}:
        raise ValueError(f"{status!r} is no status of SMT-LIB")
    parts = {
        **{f"hypothesis {name}": _rendered(formula) for name, formula in query.hypotheses.items()},
        "negated goal": _rendered(z3.Not(query.goal)),
    }
    logic = _logic(frozenset().union(*(part.features for part in parts.values())))
    lines = ["(set-info :smt-lib-version 2.6)"]
    lines += [f"(set-info :{name} {_string(value)})" for name, value in notes.items()]
    lines += [f"(set-info :status {status})", f"(set-logic {logic})"]
    lines += _merged(part.sorts for part in parts.values()).values()
    lines += _merged(part.symbols for part in parts.values()).values()
    for name, part in parts.items():
        lines.append(f"(assert (!\n  {part.term}\n  :named {_bars(name)}))")
    lines += ["(check-sat)", "(exit)", ""]
    return Text(logic, "\n".join(lines))


def _merged(maps: Iterable[dict[str, str]]) -> dict[str, str]:
    """Return all declarations, each once. Raises NotExpressibleError if one name has two."""
    merged: dict[str, str] = {}
    for declarations in maps:
        for name, line in declarations.items():
            if merged.setdefault(name, line) != line:
                raise NotExpressibleError(f"{name} is declared twice: {merged[name]} and {line}")
    return merged


def _logic(features: frozenset[str]) -> str:
    """Return the narrowest standard logic that has these features, else ALL.

    Division by a number is ALL: the linear logics of the standard have no division, and a solver told that
    terms are nonlinear uses what is much slower on these.
    """
    if "datatypes" in features:
        return "ALL"
    name = "" if "quantifiers" in features else "QF_"
    name += "A" if "arrays" in features else ""
    name += "UF" if "functions" in features else ""
    name += "BV" if "bit-vectors" in features else ""
    if "integers" in features:
        name += "NIA" if "nonlinear" in features else "?" if "division" in features else "LIA"
    if name == "QF_":
        return "QF_UF"
    if name == "QF_A":
        return "QF_AX"
    return name if name in _LOGICS.split() else "ALL"


@dataclass
class _Rendered:
    """A formula as text, with what must be declared before it, by name."""

    term: str = ""
    symbols: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, str] = field(default_factory=dict)
    features: frozenset[str] = frozenset()


# Hypotheses recur in many obligations. Each formula is kept, so that its id is not given to another.
_known: dict[int, tuple[z3.BoolRef, _Rendered]] = {}


def _rendered(formula: z3.BoolRef) -> _Rendered:
    key = formula.get_id()
    if formula.ctx != z3.main_ctx():
        return _Writer().write(formula)
    if key not in _known:
        _known[key] = formula, _Writer().write(formula)
    return _known[key][1]


def _string(value: str) -> str:
    return '"' + " ".join(value.split()).replace('"', '""') + '"'


def _bars(name: str) -> str:
    """Return a symbol between bars. Raises NotExpressibleError for what may not stand there."""
    if "|" in name or "\\" in name or not name.isprintable():
        raise NotExpressibleError(f"SMT-LIB has no symbol {name!r}")
    return f"|{name}|"


def symbol(name: str) -> str:
    """Return a declared name as a symbol; different names make different symbols, and none a reserved one."""
    if name in _RESERVED_WORDS or _PREFIXED.match(name) or name.startswith("~"):
        name = f"~{name}"
    return name if _PLAIN.fullmatch(name) else _bars(name)


class _Writer:
    """Writes one formula: a term met several times is written once, under a name of its own."""

    def __init__(self) -> None:
        self._result = _Rendered()
        self._features: set[str] = set()
        self._counted = {"$": 0, "?": 0}

    def write(self, formula: z3.BoolRef) -> _Rendered:
        self._result.term = self._scope(formula, ())
        self._result.features = frozenset(self._features)
        return self._result

    def _fresh(self, kind: str, name: str = "") -> str:
        """Return a name for a shared term ($) or a bound variable (?); no declared symbol begins like it."""
        self._counted[kind] += 1
        tail = name if re.fullmatch(r"\w+", name, re.ASCII) else "v"
        return f"{kind}{self._counted[kind]}" if kind == "$" else f"?{tail}.{self._counted[kind]}"

    def _scope(self, root: z3.ExprRef, bound: tuple[str, ...]) -> str:
        """Write a formula, or a quantifier's body; ``bound`` names the variables bound, the inmost last."""
        order, uses = _postorder(root)
        texts: dict[int, str] = {}
        depths: dict[int, int] = {}
        lets: dict[int, list[str]] = {}
        for term in order:
            key = term.get_id()
            parts = [] if z3.is_quantifier(term) else term.children()
            text = self._compose(term, [texts[part.get_id()] for part in parts], bound)
            depths[key] = max((depths[part.get_id()] for part in parts), default=0)
            if uses[key] > 1 and text.startswith("("):
                name = self._fresh("$")
                lets.setdefault(depths[key], []).append(f"({name} {text})")
                depths[key] += 1
                text = name
            texts[key] = text
        text = texts[root.get_id()]
        for depth in sorted(lets, reverse=True):
            text = f"(let ({' '.join(lets[depth])})\n  {text})"
        return text

    def _compose(self, term: z3.ExprRef, parts: list[str], bound: tuple[str, ...]) -> str:
        """Write one term from its arguments, already written."""
        if z3.is_quantifier(term):
            return self._quantified(term, bound)
        if z3.is_var(term):
            return bound[-1 - int(z3.get_var_index(term))]
        self._note(term.sort())
        if z3.is_int_value(term):
            return _numeral(term.as_long())
        if z3.is_bv_value(term):
            width = term.size()
            return f"#b{term.as_long():0{width}b}" if width % 4 else f"#x{term.as_long():0{width // 4}x}"
        declaration = term.decl()
        kind = declaration.kind()
        if kind == z3.Z3_OP_UNINTERPRETED:
            return self._applied(declaration, parts)
        if kind == z3.Z3_OP_DT_CONSTRUCTOR and not parts:
            return symbol(declaration.name())
        if kind in (z3.Z3_OP_DT_IS, z3.Z3_OP_DT_RECOGNISER):
            return f"((_ is {symbol(declaration.params()[0].name())}) {parts[0]})"
        if kind == z3.Z3_OP_MUL and sum(not z3.is_int_value(part) for part in term.children()) > 1:
            self._features.add("nonlinear")
        if kind in _DIVISIONS:
            divisor = term.arg(1)
            linear = z3.is_int_value(divisor) and divisor.as_long() != 0
            self._features.add("division" if linear else "nonlinear")
        return _operation(declaration, parts)

    def _quantified(self, term: z3.QuantifierRef, bound: tuple[str, ...]) -> str:
        if term.is_lambda():
            raise NotExpressibleError("SMT-LIB 2.6 has no lambda")
        self._features.add("quantifiers")
        names = [self._fresh("?", term.var_name(each)) for each in range(term.num_vars())]
        sorts = [self._sort(term.var_sort(each)) for each in range(term.num_vars())]
        inner = (*bound, *names)
        body = self._scope(term.body(), inner)
        patterns = [
            f":pattern ({' '.join(self._scope(part, inner) for part in term.pattern(each).children())})"
            for each in range(term.num_patterns())
        ]
        if patterns:
            body = f"(! {body} {' '.join(patterns)})"
        variables = " ".join(f"({name} {sort})" for name, sort in zip(names, sorts, strict=True))
        return f"({'forall' if term.is_forall() else 'exists'} ({variables}) {body})"

    def _applied(self, declaration: z3.FuncDeclRef, parts: list[str]) -> str:
        name = symbol(declaration.name())
        if parts:
            self._features.add("functions")
        domain = " ".join(self._sort(declaration.domain(each)) for each in range(declaration.arity()))
        line = f"(declare-fun {name} ({domain}) {self._sort(declaration.range())})"
        if self._result.symbols.setdefault(name, line) != line:
            raise NotExpressibleError(f"{name} is declared twice: {self._result.symbols[name]} and {line}")
        return f"({name} {' '.join(parts)})" if parts else name

    def _note(self, sort: z3.SortRef) -> None:
        if sort.kind() not in (z3.Z3_BOOL_SORT, z3.Z3_INT_SORT):
            self._sort(sort)
        elif sort.kind() == z3.Z3_INT_SORT:
            self._features.add("integers")

    def _sort(self, sort: z3.SortRef) -> str:
        kind = sort.kind()
        if kind == z3.Z3_BOOL_SORT:
            return "Bool"
        if kind == z3.Z3_INT_SORT:
            self._features.add("integers")
            return "Int"
        if kind == z3.Z3_BV_SORT:
            self._features.add("bit-vectors")
            return f"(_ BitVec {sort.size()})"
        if kind == z3.Z3_ARRAY_SORT:
            self._features.add("arrays")
            return f"(Array {self._sort(sort.domain())} {self._sort(sort.range())})"
        name = symbol(sort.name())
        if kind == z3.Z3_UNINTERPRETED_SORT:
            self._features.add("functions")
            self._result.sorts[name] = f"(declare-sort {name} 0)"
            return name
        if kind == z3.Z3_DATATYPE_SORT:
            self._features.add("datatypes")
            makers = [sort.constructor(each) for each in range(sort.num_constructors())]
            if any(maker.arity() for maker in makers):
                raise NotExpressibleError(f"{sort} is more than an enumeration")
            words = " ".join(f"({symbol(maker.name())})" for maker in makers)
            self._result.sorts[name] = f"(declare-datatype {name} ({words}))"
            return name
        raise NotExpressibleError(f"terms of the sort {sort} are not written")


def _postorder(root: z3.ExprRef) -> tuple[list[z3.ExprRef], dict[int, int]]:
    """Return subterms, arguments first, and how often each is used; not those under quantifiers."""
    order: list[z3.ExprRef] = []
    uses: dict[int, int] = {}
    stack: list[tuple[z3.ExprRef, bool]] = [(root, False)]
    while stack:
        term, done = stack.pop()
        if done:
            order.append(term)
            continue
        key = term.get_id()
        uses[key] = uses.get(key, 0) + 1
        if uses[key] == 1:
            stack.append((term, True))
            if not z3.is_quantifier(term):
                stack += [(part, False) for part in reversed(term.children())]
    return order, uses


def _numeral(value: int) -> str:
    return str(value) if value >= 0 else f"(- {-value})"


def _operation(declaration: z3.FuncDeclRef, parts: list[str]) -> str:
    """Write an operation of the standard. Raises NotExpressibleError for any other."""
    kind = declaration.kind()
    if kind in _ANY_NUMBER:
        word, neutral = _ANY_NUMBER[kind]
        return f"({word} {' '.join(parts)})" if len(parts) > 1 else (parts or [neutral])[0]
    if kind in _IN_PAIRS:
        text = parts[0]
        for part in parts[1:]:
            text = f"({_IN_PAIRS[kind]} {text} {part})"
        return text
    if kind in _INDEXED:
        return f"((_ {_INDEXED[kind]} {' '.join(map(str, declaration.params()))}) {' '.join(parts)})"
    if kind not in _SAME:
        raise NotExpressibleError(
            f"Z3's operation {declaration.name()} is not one of SMT-LIB 2.6 written here"
        )
    return f"({_SAME[kind]} {' '.join(parts)})" if parts else _SAME[kind]
