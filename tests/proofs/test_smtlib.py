"""Obligations as SMT-LIB: a file says what Z3 was asked, in words that every solver reads."""

import hashlib
import json
from pathlib import Path

import pytest
import z3

from ringproof.proofs import smtlib
from ringproof.proofs.export import (
    INDEX,
    ExportRefusedError,
    claimed,
    export,
    file_name,
)
from ringproof.proofs.smtlib import NotExpressibleError, write
from ringproof.proofs.theorem import Query
from ringproof.proofs.theorems import THEOREMS

SOME = ("need-event-exact", "callbacks-rearmed", "chain-well-formed", "header-written-whole")


def _text(goal: z3.BoolRef, **hypotheses: z3.BoolRef) -> smtlib.Text:
    return write(Query(hypotheses, goal), "unknown", {})


def _read(text: str) -> list[z3.BoolRef]:
    """The assertions that Z3 reads in a file, as terms of the context that obligations are built in."""
    return list(z3.parse_smt2_string(text))


def _plain(term: z3.ExprRef) -> z3.ExprRef:
    """A conjunction or disjunction of one thing as that thing, of nothing as what it means."""
    while (z3.is_and(term) or z3.is_or(term)) and term.num_args() < 2:
        term = term.arg(0) if term.num_args() else z3.BoolVal(z3.is_and(term))
    return term


def _is_named(one: z3.FuncDeclRef, other: z3.FuncDeclRef) -> bool:
    """Whether the first is the second under the name that it has in a file."""
    if one == other:
        return True
    sorts = [(each.range(), *(each.domain(n) for n in range(each.arity()))) for each in (one, other)]
    kinds = {one.kind(), other.kind()}
    return (
        kinds == {z3.Z3_OP_UNINTERPRETED}
        and sorts[0] == sorts[1]
        and one.name() == smtlib.symbol(other.name()).strip("|")
    )


def _same(one: z3.ExprRef, other: z3.ExprRef) -> bool:
    """Whether two formulas are the same but for the names of bound variables and how numbers are written."""
    pairs, seen = [(one, other)], set()
    while pairs:
        one, other = map(_plain, pairs.pop())
        key = one.get_id(), other.get_id()
        if key in seen or one.eq(other):
            continue
        seen.add(key)
        if z3.is_quantifier(one) and z3.is_quantifier(other):
            count = one.num_vars()
            if one.is_forall() != other.is_forall() or count != other.num_vars():
                return False
            if any(one.var_sort(each) != other.var_sort(each) for each in range(count)):
                return False
            pairs.append((one.body(), other.body()))
        elif z3.is_app(one) and z3.is_app(other) and _is_named(one.decl(), other.decl()):
            if one.num_args() != other.num_args():
                return False
            pairs += zip(one.children(), other.children(), strict=True)
        elif not z3.simplify(one).eq(z3.simplify(other)):
            return False
    return True


_known: dict[int, z3.BoolRef] = {}


def _reads_back(theorem: str, label: str) -> None:
    """Read back the hypotheses that were not read before, and the goal."""
    query = claimed(theorem, label).query
    fresh = {name: each for name, each in query.hypotheses.items() if each.get_id() not in _known}
    written = [*fresh.values(), z3.Not(query.goal)]
    found = _read(write(Query(fresh, query.goal), "unknown", {}).content)
    assert len(found) == len(written)
    for one, other in zip(found, written, strict=True):
        assert _same(one, other), (theorem, label, one, other)
    _known.update({each.get_id(): each for each in fresh.values()})


@pytest.mark.parametrize("name", SOME)
def test_z3_reads_back_the_formulas_written(name: str) -> None:
    """Each assertion of a file is, to Z3, the hypothesis or negated goal that it was written from."""
    for obligation in THEOREMS[name].obligations:
        _reads_back(name, obligation.label)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in THEOREMS if name not in SOME])
def test_z3_reads_back_all_formulas(name: str) -> None:
    """So it is of every obligation of every theorem."""
    for obligation in THEOREMS[name].obligations:
        _reads_back(name, obligation.label)


def test_a_file_says_what_it_is_of() -> None:
    """Theorem, obligation, verdict, logic and every hypothesis by name stand in the file."""
    claim = claimed("callbacks-rearmed", THEOREMS["callbacks-rearmed"].obligations[0].label)
    lines = claim.text().content.splitlines()
    assert lines[0] == "(set-info :smt-lib-version 2.6)"
    assert '(set-info :theorem "callbacks-rearmed")' in lines
    assert f'(set-info :obligation "{claim.obligation}")' in lines
    assert "(set-info :status unsat)" in lines
    assert lines[-2:] == ["(check-sat)", "(exit)"]
    for name in claim.query.hypotheses:
        assert f"  :named |hypothesis {name}|))" in lines
    assert "  :named |negated goal|))" in lines


def test_quotes_in_a_label_do_not_end_it() -> None:
    """A label with quotation marks or line ends stays one string."""
    text = write(Query({}, z3.BoolVal(True)), "unsat", {"obligation": 'says "no"\ntwice'})
    assert '(set-info :obligation "says ""no"" twice")' in text.content
    assert len(_read(text.content)) == 1


def test_names_that_are_words_of_the_standard_are_changed() -> None:
    """A name that some solver takes for its own, or that is no plain symbol, still is declared and read."""
    names = ("select", "let", "bvadd", "a b", "?x.1", "$1", "~x", "x!0", "été", "")
    terms = [z3.Bool(name) for name in names]
    text = _text(z3.And(terms)).content
    assert len({smtlib.symbol(name) for name in names}) == len(names)
    (found,) = _read(text)
    assert len({str(each) for each in found.arg(0).children()}) == len(names)


def test_a_bound_variable_captures_nothing() -> None:
    """Constants and variables of one name, and quantifiers in quantifiers, keep apart."""
    x, y = z3.Ints("x y")
    f = z3.Function("f", z3.IntSort(), z3.IntSort())
    inner = z3.Exists([x], z3.And(f(x) > y, f(x) < f(y), f(y) != f(f(y))))
    goal = z3.And(x > 0, z3.ForAll([y], z3.Implies(f(y) > x, inner)), f(x) + f(x) > f(f(x)))
    (found,) = _read(_text(goal).content)
    assert _same(found, z3.Not(goal))


def test_patterns_are_kept() -> None:
    """A quantifier's patterns are written with it."""
    x = z3.Int("x")
    f = z3.Function("f", z3.IntSort(), z3.IntSort())
    text = _text(z3.ForAll([x], f(x) > x, patterns=[f(x)])).content
    assert ":pattern ((f ?x.1))" in text


def test_shared_terms_are_written_once() -> None:
    """A term doubled sixty times makes a file of a few thousand characters."""
    term = z3.Int("x")
    for _ in range(60):
        term = term + term * 2
    text = _text(term > 0).content
    assert len(text) < 10_000
    assert _same(_read(text)[0], z3.Not(term > 0))


def test_deep_terms_are_written() -> None:
    """Terms nested deeper than Python's stack are no trouble."""
    term = z3.Int("x")
    for number in range(3000):
        term = z3.If(z3.Bool(f"b{number}"), term, z3.IntVal(number))
    assert "b2999" in _text(term > 0).content


def test_bit_vectors_are_written_in_the_standards_words() -> None:
    """Constants, widths and operations of bit-vectors read back as they were."""
    x, y = z3.BitVecs("x y", 16)
    b = z3.BitVec("b", 3)
    parts = (
        z3.URem(x + y * 3 - 1, z3.BitVecVal(7, 16)) == z3.UDiv(x, y | 1) ^ ~y,
        z3.ULE(z3.Extract(7, 0, x), z3.Concat(z3.BitVecVal(5, 5), b)),
        z3.ZeroExt(13, b) << 2 < z3.SignExt(13, b) >> 1,
        z3.LShR(x, 3) == y,
        z3.SRem(x, y) == x % y,
    )
    text = _text(z3.And(parts))
    assert text.is_pure_bit_vector
    assert "#b101" not in text.content.replace("#b00101", "")
    assert _read(text.content)[0].eq(z3.Not(z3.And(parts)))


def test_one_and_no_arguments_are_no_conjunctions() -> None:
    """``and`` of nothing or one thing, which the standard has not, is written as what it means."""
    x = z3.Bool("x")
    text = _text(z3.And(z3.And([]), z3.Or([x]), z3.Or([]))).content
    assert "(and true x false)" in text


def test_the_logic_is_the_narrowest() -> None:
    """The logic named covers what occurs, and no more; division is in none of the linear logics."""
    i, j = z3.Ints("i j")
    f = z3.Function("f", z3.IntSort(), z3.IntSort())
    v = z3.BitVec("v", 8)
    a = z3.Array("a", z3.IntSort(), z3.IntSort())
    logics = {
        "QF_UF": z3.Bool("p"),
        "QF_LIA": 3 * i < j,
        "QF_NIA": i * j == i / j,
        "QF_UFLIA": f(i) > -5,
        "LIA": z3.ForAll([i], i < j),
        "UFNIA": z3.ForAll([i], f(i) != i * j),
        "QF_BV": v > 3,
        "QF_ALIA": a[i] == z3.Store(a, j, 1)[i],
        "ALL": z3.And(v > 3, i > 3),
    }
    assert {logic: _text(goal).logic for logic, goal in logics.items()} == {each: each for each in logics}
    assert _text(i % 65536 == j).logic == "ALL"
    assert _text(i % 0 == j).logic == "QF_NIA"


def test_an_enumeration_is_declared() -> None:
    """Words of an enumeration are read back as such."""
    colour, (red, _) = z3.EnumSort("colour of the test", ("red", "dark green"))
    x = z3.Const("x", colour)
    text = _text(x == red).content
    assert "(declare-datatype |colour of the test| ((red) (|dark green|)))" in text
    solver = z3.Solver(ctx=z3.Context())
    solver.from_string(text)
    assert solver.check() == z3.sat


@pytest.mark.parametrize(
    "goal",
    [
        z3.BVMulNoOverflow(z3.BitVec("x", 8), z3.BitVec("y", 8), signed=False),
        z3.Select(z3.Lambda([z3.Int("i")], z3.Int("i") > 0), z3.Int("i")),
        z3.ToReal(z3.Int("i")) > 0,
        z3.BV2Int(z3.BitVec("x", 8)) > 0,
        z3.PbLe([(z3.Bool("p"), 2)], 1),
        z3.Bool("a|b"),
        z3.And(z3.Bool("x"), z3.Int("x") > 0),
    ],
    ids=["overflow", "lambda", "real", "conversion", "pseudo-boolean", "bar", "two sorts"],
)
def test_what_only_z3_understands_is_refused(goal: z3.BoolRef) -> None:
    """A term outside the standard, or outside what is written here, is an error and not a file."""
    with pytest.raises(NotExpressibleError):
        _text(goal)


def test_two_hypotheses_may_not_give_one_name_two_sorts() -> None:
    """A name that means one thing here and another there is refused, too."""
    with pytest.raises(NotExpressibleError, match="x is declared twice"):
        _text(z3.Bool("x"), other=z3.Int("x") > 0)


def test_file_names_are_stable_and_differ() -> None:
    """A file's name depends on theorem and obligation alone, and no two are the same."""
    names = [
        file_name(name, each.label) for name, theorem in THEOREMS.items() for each in theorem.obligations
    ]
    assert len(set(names)) == len(names)
    assert file_name("a-theorem", "get: num_free <= 3") == "a-theorem.get-num-free-3.4d2798cf.smt2"


def test_an_export_is_files_and_an_index(tmp_path: Path) -> None:
    """Every obligation has a file, the index tells of each and has its sum; a second is the same."""
    theorems = [THEOREMS["need-event-exact"], THEOREMS["hdr-len-linux-3.11"]]
    folder = tmp_path / "a" / "b"
    report = export(theorems, folder, 2)
    assert not report.missing
    index = json.loads((folder / INDEX).read_text())
    assert index["complete"] is True
    assert index["solver"] == "z3 5.4.0"
    rows = index["obligations"]
    assert [row["theorem"] for row in rows] == ["need-event-exact"] * 4 + ["hdr-len-linux-3.11"]
    assert [row["claimed"] for row in rows] == ["unsat"] * 4 + ["sat"]
    for row in rows:
        content = (folder / row["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert f"(set-info :status {row['claimed']})".encode() in content
        assert f"(set-logic {row['logic']})".encode() in content
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {INDEX, *(row["file"] for row in rows)}
    export(theorems, folder, 2)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_later_export_leaves_no_file_of_an_earlier_one(tmp_path: Path) -> None:
    """What the index of an earlier export named is removed, and nothing else is."""
    export([THEOREMS["need-event-exact"]], tmp_path, 1)
    (tmp_path / "notes.txt").write_text("mine")
    export([THEOREMS["hdr-len-linux-3.11"]], tmp_path, 1)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 3
    assert {INDEX, "notes.txt"} < left
    assert not any(name.startswith("need-event-exact") for name in left)


@pytest.mark.parametrize(
    "index", [None, "{", '{"format": "other"}', "[]", '{"format": "ringproof obligations 1", "files": 7}']
)
def test_a_folder_of_something_else_is_refused(tmp_path: Path, index: str | None) -> None:
    """A folder that is not empty, and has no index of ours, is left as it is."""
    (tmp_path / "precious").write_text("x")
    if index is not None:
        (tmp_path / INDEX).write_text(index)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    with pytest.raises(ExportRefusedError, match="not made by an export"):
        export([THEOREMS["hdr-len-linux-3.11"]], tmp_path, 1)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """To export into a file is refused."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportRefusedError, match="no folder"):
        export([THEOREMS["hdr-len-linux-3.11"]], tmp_path / "file", 1)


def test_an_index_names_no_file_elsewhere(tmp_path: Path) -> None:
    """A forged index can't make an export remove a file outside its folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "out.smt2").write_text("x")
    forged = {"format": "ringproof obligations 1", "files": ["../out.smt2", str(tmp_path / "out.smt2")]}
    (folder / INDEX).write_text(json.dumps(forged))
    export([THEOREMS["hdr-len-linux-3.11"]], folder, 1)
    assert (tmp_path / "out.smt2").exists()


def test_an_obligation_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The rest is written, and the index says that it is not complete."""
    theorem = THEOREMS["need-event-exact"]
    with pytest.MonkeyPatch.context() as patch:
        module = tmp_path / "modules" / "failing_writer.py"
        module.parent.mkdir()
        module.write_text(_FAILING)
        patch.syspath_prepend(str(module.parent))
        import failing_writer  # type: ignore[import-not-found]

        report = export([theorem], tmp_path / "out", 1, write=failing_writer.write)
    assert list(report.missing) == [(theorem.name, theorem.obligations[0].label)]
    assert "ValueError: no" in report.missing[theorem.name, theorem.obligations[0].label]
    assert json.loads((tmp_path / "out" / INDEX).read_text())["complete"] is False
    assert export([theorem], tmp_path / "out", 1).missing == {}


_FAILING = """
from ringproof.proofs.export import entry
from ringproof.proofs.theorems import THEOREMS


def write(task):
    if task[1] == THEOREMS["need-event-exact"].obligations[0].label:
        raise ValueError("no")
    return entry(task)
"""
