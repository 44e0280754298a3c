"""Verdicts do not hang on the solver's seed, on names, or on the order in which things are written."""

import inspect
from collections.abc import Iterator
from dataclasses import replace

import pytest
import z3

from ringproof.proofs import pool, solver, stability
from ringproof.proofs.pool import Failure
from ringproof.proofs.renaming import Renaming, UnknownTermError, renamed
from ringproof.proofs.solver import core, options, refute, satisfy
from ringproof.proofs.stability import VARIATIONS, Outcome, Task, TheoremStability, Trial, Variation, vary
from ringproof.proofs.theorem import Query, Stage, every_size, one_size
from ringproof.proofs.theorems import THEOREMS

SAMPLE = [
    "slot-injective",
    "chain-well-formed",
    "bad-ring-never",
    "need-event-exact",
    "frame-fits-linux-3.11",
]
BUDGET = 12_000_000
MIXED = Variation("seed 7, reordered", 7, renaming=2, operands=True)


def _query(theorem: str, label: str) -> Query:
    """One obligation's question for every size."""
    (found,) = [entry for entry in THEOREMS[theorem].obligations if entry.label == label]
    return found.build(every_size())


def _get() -> Query:
    return _query("token-returned-once", "get: the token is that of the chain completed, and is forgotten")


def _symbols(term: z3.ExprRef) -> Iterator[str]:
    """Every name that a term has: of constants, functions, bound variables and sorts."""
    if z3.is_quantifier(term):
        yield from (term.var_name(index) for index in range(term.num_vars()))
    elif z3.is_app(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
        yield term.decl().name()
    if term.sort().kind() == z3.Z3_UNINTERPRETED_SORT:
        yield term.sort().name()
    for inner in term.children():
        yield from _symbols(inner)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_verdict_is_the_same_from_another_seed_and_in_other_words() -> None:
    """No obligation of any theorem is decided otherwise; ``make stability`` asks in twelve ways."""
    found = list(vary(variations=(VARIATIONS[0], MIXED)))
    assert sum(len(theorem.trials) for theorem in found) == sum(
        len(theorem.obligations) for theorem in THEOREMS.values()
    )
    assert [line for theorem in found for line in stability.lines(theorem) if line.startswith(" ")] == []
    assert stability.exit_code(found) == 0


def test_sampled_verdicts_are_the_same_from_every_seed_and_in_other_words() -> None:
    """Theorems of each kind, the costliest obligations and a refuted one among them, are decided alike."""
    found = {theorem.name: theorem for theorem in vary(SAMPLE, jobs=2)}
    assert found.keys() == set(SAMPLE)
    for name, theorem in found.items():
        assert (theorem.differing, theorem.undecided) == ([], [])
        assert {trial.label for trial in theorem.trials} == {
            entry.label for entry in THEOREMS[name].obligations
        }
        for trial in theorem.trials:
            assert trial.outcomes.keys() == {variation.name for variation in VARIATIONS}
        usual = {trial.usual for trial in theorem.trials}
        assert ("refuted" in usual) == (THEOREMS[name].expected == "refuted")
    assert stability.exit_code(list(found.values())) == 0


def test_there_are_ten_seeds_and_the_first_way_is_the_default() -> None:
    """What the others are compared with is how a theorem is proved; the seeds are ten."""
    assert VARIATIONS[0] == Variation("seed 0", 0)
    assert len({each.seed for each in VARIATIONS if each.renaming is None}) == 10
    assert [each.operands for each in VARIATIONS if each.renaming is not None] == [False, True]


def test_other_seeds_and_words_are_other_searches() -> None:
    """The variations reach the solver: a costly proof takes another number of resources in almost each."""
    theorem = next(iter(vary(["bad-ring-never"], jobs=1)))
    counts = [outcome.rlimit for outcome in theorem.trials[0].outcomes.values()]
    assert len(set(counts)) > len(VARIATIONS) // 2


def test_a_verdict_that_hangs_on_the_seed_is_told() -> None:
    """With resources that suffice from one seed only, the report names the obligation and the seed."""
    label = "masks: all sizes up to 32768, all 16-bit indices"
    query = _query("slot-injective", label)
    costs = {seed: refute(query, BUDGET, seed=seed).rlimit for seed in range(10)}
    cheap, dear = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
    assert costs[cheap] < costs[dear]
    group = next(entry.group for entry in THEOREMS["slot-injective"].obligations if entry.label == label)
    seeds = (Variation("cheap", cheap), Variation("dear", dear))
    trials = stability.examine(Task("slot-injective", group, seeds, (costs[cheap] + costs[dear]) // 2))
    theorem = TheoremStability("slot-injective", list(trials))
    assert [trial.label for trial in theorem.differing] == [label]
    said = "\n".join(stability.lines(theorem))
    assert said.startswith("DIFFERS")
    assert f"{label}: proved, but unknown when dear" in said
    assert stability.exit_code([theorem]) == 1


def test_what_is_never_decided_is_no_agreement() -> None:
    """Ten times unknown, or a lost worker, is exit code 3 and says why."""
    trials = stability.examine(Task("need-event-exact", _words(), VARIATIONS[:2], budget=1))
    starved = TheoremStability("need-event-exact", list(trials))
    assert starved.differing == []
    assert any("never decided" in line for line in stability.lines(starved))
    assert stability.exit_code([starved]) == 3
    lost = TheoremStability("bad-ring-never", failures=["between: the worker process died"])
    assert "the worker process died" in "\n".join(stability.lines(lost))
    assert stability.exit_code([lost]) == 3


def _words() -> str:
    return THEOREMS["need-event-exact"].groups[0]


def test_a_lost_task_reaches_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's failure is part of the theorem's result, which is complete all the same."""

    def run(_: object, tasks: list[Task], *__: object) -> Iterator[tuple[Task, Failure]]:
        yield from ((task, Failure("out of memory")) for task in tasks)

    monkeypatch.setattr(pool, "run", run)
    (theorem,) = vary(["bad-ring-never"])
    assert theorem.undecided == ["between: out of memory"]


def test_fragile_theorems_come_first() -> None:
    """Of two theorems that whose cost varies more is listed first, with its extremes and where they are."""
    steady = TheoremStability(
        "a", [Trial("x", {"seed 0": Outcome("proved", 50_000), "seed 1": Outcome("proved", 51_000)})]
    )
    wild = TheoremStability(
        "b",
        [
            Trial("y", {"seed 0": Outcome("proved", 9_000), "seed 1": Outcome("proved", 90_000)}),
            Trial("z", {"seed 0": Outcome("proved", 10), "seed 1": Outcome("proved", 1_000)}),
        ],
    )
    said = list(stability.fragile([steady, wild]))
    assert [line.split()[-1] for line in said if not line.startswith("        ")] == ["b", "a"]
    assert "y: 9,000 (seed 0) to 90,000 (seed 1)" in said[1]
    assert wild.ratios["seed 1"] == pytest.approx(91_000 / 9_010)
    assert steady.trials[0].spread == pytest.approx(1.02)


def test_the_command_line_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name nobody knows is exit code 2, another solver 3, each with one clear line."""
    with pytest.raises(SystemExit) as left:
        stability.main(["no-such-thing"])
    assert left.value.code == 2
    assert "no theorem is named no-such-thing" in capsys.readouterr().err
    monkeypatch.setattr(solver, "PINNED", "4.8.5")
    assert stability.main(["bad-ring-never"]) == 3
    assert "needs z3-solver 4.8.5.0" in capsys.readouterr().err


def test_a_renamed_question_has_no_name_in_common() -> None:
    """Constants, functions and bound variables all have new names, of many lengths; hypotheses move."""
    query = _get()
    other = renamed(query, Renaming(1))
    old = {name for term in (*query.hypotheses.values(), query.goal) for name in _symbols(term)}
    new = {name for term in (*other.hypotheses.values(), other.goal) for name in _symbols(term)}
    assert {"free_head", "slot", "d"} <= old
    assert not old & new
    assert len({len(name) for name in new}) > 5
    assert list(other.hypotheses) != list(query.hypotheses)
    assert set(other.hypotheses) == set(query.hypotheses)


@pytest.mark.parametrize("operands", [False, True])
def test_a_renamed_question_means_the_same(operands: bool) -> None:
    """With the old names put back, each formula is equivalent to what it was; without, it is not."""
    query = _get()
    renaming = Renaming(3, operands=operands)
    other = renamed(query, renaming)
    back = [(new, _applied(old)) for old, new in renaming.functions.items()]
    for name, hypothesis in query.hypotheses.items():
        restored = z3.substitute_funs(other.hypotheses[name], *back)
        assert refute(Query({}, restored == hypothesis), BUDGET).result == "unsat"
    assert refute(Query({}, z3.substitute_funs(other.goal, *back) == query.goal), BUDGET).result == "unsat"
    assert refute(Query({}, other.goal == query.goal), BUDGET).result != "unsat"


def _applied(declaration: z3.FuncDeclRef) -> z3.ExprRef:
    """The term that is to stand in a function's place: another function of the same arguments."""
    variables = [z3.Var(index, declaration.domain(index)) for index in range(declaration.arity())]
    return declaration(*variables)


def test_a_renamed_question_can_be_refuted_and_starved() -> None:
    """Renaming proves nothing: what has a counterexample keeps it, with all hypotheses or without."""
    (refuted,) = [
        entry for entry in THEOREMS["small-queue-fits-linux-3.11"].obligations if not entry.every_size
    ]
    query = refuted.build(Stage(THEOREMS["small-queue-fits-linux-3.11"].subject()))
    assert refute(renamed(query, Renaming(1, operands=True)), BUDGET).result == "sat"
    (owed,) = [
        entry
        for entry in THEOREMS["token-returned-once"].obligations
        if entry.label.startswith("get: the token is")
    ]
    small = owed.build(one_size(2))
    assert refute(renamed(small, Renaming(1)), BUDGET).result == "unsat"
    assert refute(renamed(replace(small, hypotheses={}), Renaming(1)), BUDGET).result == "sat"


def test_sorts_patterns_and_nested_quantifiers_are_renamed() -> None:
    """A sort of one's own, patterns, weights and a quantifier inside another survive, with other names."""
    thing = z3.DeclareSort("Thing")
    x, y = z3.Consts("x y", thing)
    f = z3.Function("f", thing, thing, z3.IntSort())
    inner = z3.Exists(x, f(x, y) == 2)
    formula = z3.ForAll([x, y], z3.And(z3.If(x == y, x, y) == x, inner), weight=3, patterns=[f(x, y)])
    other = Renaming(1, operands=True).formula(formula)
    assert not {"Thing", "x", "y", "f"} & set(_symbols(other))
    assert (other.num_patterns(), other.weight(), other.is_forall()) == (1, 3, True)
    assert "exists" in other.sexpr()


def test_a_term_that_cannot_be_renamed_is_refused() -> None:
    """A sort with constructors is named in an error, and nothing is left as it was in silence."""
    colour, (red, _) = z3.EnumSort("Colour", ["red", "blue"])
    with pytest.raises(UnknownTermError, match="Colour"):
        Renaming(1).formula(z3.Const("c", colour) == red)


def test_options_say_all_that_is_set() -> None:
    """Seed and bound are what is set; what Z3 would take for another number is refused."""
    assert options(5) == {"random_seed": 0, "rlimit": 5}
    assert options(5, 7) == {"random_seed": 7, "rlimit": 5}
    for rlimit, seed in ((-1, 0), (1 << 32, 0), (1, -1), (1, 1 << 32)):
        with pytest.raises(ValueError, match=r"has to be from 0 to 4294967295"):
            options(rlimit, seed)


def test_every_question_takes_a_seed() -> None:
    """refute, satisfy and core answer from another seed, and without one just as from seed 0."""
    query = _query("bad-ring-never", THEOREMS["bad-ring-never"].obligations[0].label)
    for ask in (refute, satisfy, core):
        assert inspect.signature(ask).parameters["seed"].default == 0
    assert refute(query, BUDGET, seed=3).result == "unsat"
    assert core(query, BUDGET, seed=3) is not None
    small = THEOREMS["bad-ring-never"].obligations[0].build(one_size(2))
    assert satisfy(small, BUDGET, seed=3).result == "sat"
