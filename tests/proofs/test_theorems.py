"""The list of theorems: each proved, for its own reasons, and with hypotheses that can hold."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import z3

from ringproof.model.invariants import INVARIANTS, assumed
from ringproof.model.ring import Ring, Step
from ringproof.model.size import EverySize, OneSize
from ringproof.model.state import State, arbitrary
from ringproof.model.steps import invariants as steps_invariants
from ringproof.model.steps.queue import Steps
from ringproof.proofs import steps_induction
from ringproof.proofs.counterexample import changes
from ringproof.proofs.discharge import CHANCES, HINTED, Task, discharge, examine
from ringproof.proofs.engine import is_tried, judge
from ringproof.proofs.hints import HINTS
from ringproof.proofs.mutants.registry import DESCRIBED, MUTANTS
from ringproof.proofs.solver import refute
from ringproof.proofs.stages import stage
from ringproof.proofs.theorem import Obligation, Query, Stage, claim, every_size, keeps, lemma
from ringproof.proofs.theorems import THEOREMS

BUDGET = 4_000_000

Keeps = Callable[..., Iterator[Obligation]]


@pytest.mark.parametrize(
    ("subject", "invariants", "kept"),
    [(Ring, INVARIANTS, keeps), (Steps, steps_invariants.INVARIANTS, steps_induction.keeps)],
)
def test_each_invariant_has_one_owner(subject: type, invariants: Mapping[str, Any], kept: Keeps) -> None:
    """Every invariant that the proofs of a model assume is proved, by one theorem."""
    theorems = [theorem for theorem in THEOREMS.values() if theorem.subject is subject]
    assert sorted(name for theorem in theorems for name in theorem.owns) == sorted(invariants)
    for theorem in theorems:
        labels = {obligation.label for obligation in kept(*theorem.owns)}
        assert labels <= {obligation.label for obligation in theorem.obligations}


def test_labels_name_one_obligation() -> None:
    """Hints and reports find an obligation by its label alone."""
    labels = [(theorem.name, entry.label) for theorem in THEOREMS.values() for entry in theorem.obligations]
    assert len(labels) == len(set(labels))
    assert set(HINTS) <= {label for _, label in labels}


@pytest.mark.parametrize("name", [name for name in THEOREMS if THEOREMS[name].expected == "proved"])
def test_hints_suffice(name: str) -> None:
    """Every quantified obligation goes through from its hint, at less than half the budget for that.

    As the engine does, other seeds are tried where the first leads nowhere.
    """
    theorem = THEOREMS[name]
    for obligation in theorem.obligations:
        if obligation.every_size:
            query = obligation.build(stage(theorem.subject))
            assert obligation.label in HINTS, "run python -m ringproof.proofs.learn"
            # In the order of the query, as the engine does: the cost depends on it.
            hint = HINTS[obligation.label]
            assert hint <= query.hypotheses.keys()
            few = {entry: fact for entry, fact in query.hypotheses.items() if entry in hint}
            hinted = dataclasses.replace(query, hypotheses=few)
            answers = (refute(hinted, HINTED // 2, seed=seed).result for seed in range(1 + CHANCES))
            assert "unsat" in answers, obligation.label


def test_every_theorem_explains_itself() -> None:
    """Name, title, statement and clause are there to be read, and the mutants named exist."""
    for theorem in THEOREMS.values():
        assert theorem.title[0].isupper() or theorem.title.startswith(("num_free", "16-bit"))
        assert theorem.statement.endswith(".")
        assert theorem.clause
        assert set(theorem.broken_by) <= set(DESCRIBED)


PROVED = [name for name, theorem in THEOREMS.items() if theorem.expected == "proved"]
FINDINGS = [name for name in THEOREMS if name not in PROVED]


@pytest.mark.parametrize("name", FINDINGS)
def test_each_finding_is_refuted(name: str) -> None:
    """A finding has an obligation with a counterexample, under hypotheses that can hold."""
    theorem = THEOREMS[name]
    results = [discharge(Task(name, group)) for group in theorem.groups]
    refuted = [entry for result in results for entry in result.obligations if entry.verdict == "refuted"]
    assert refuted
    assert all(entry.counterexample for entry in refuted)
    assert [result.vacuous for result in results] == [False] * len(results)


def test_a_contradictory_hypothesis_is_vacuous_and_not_proved() -> None:
    """A claim that holds only because its case can't arise is not called proved."""

    def impossible(_: Stage, step: Step) -> tuple[z3.BoolRef, z3.BoolRef]:
        return step.before.num_free < 0, z3.BoolVal(False)

    result = examine(Task("none", "kick"), [claim("absurd", "kick", impossible)])
    assert result.obligations[0].verdict == "proved"
    assert result.vacuous is True
    assert judge(result.obligations, result.vacuous)[0] == "unknown"


def test_a_contradictory_lemma_is_vacuous() -> None:
    """The same for a lemma, whose hypotheses are looked at as they are."""
    x = z3.Int("x")
    absurd = lemma("absurd", lambda _: Query({"low": x < 0, "high": x > 0}, x == 5))
    assert examine(Task("none", "absurd"), [absurd]).vacuous is True


@pytest.mark.parametrize(
    "name", ["slot-injective", "num-free-exact", "chain-well-formed", "accelerated-round"]
)
def test_a_starved_solver_never_proves(name: str) -> None:
    """With next to no budget nothing that needs search is proved or refuted: the verdict is unknown."""
    theorem = THEOREMS[name]
    results = [discharge(Task(name, group, witness=False, budget=1)) for group in theorem.groups]
    details = [entry for result in results for entry in result.obligations]
    assert {entry.verdict for entry in details} <= {"unknown", "proved"}
    verdict, reason = judge(details, None)
    assert (verdict, bool(reason)) == ("unknown", True)


def test_a_false_claim_is_refuted_with_a_ring() -> None:
    """What does not hold comes back with a concrete ring: states by field, values by name."""
    wrong = claim("the ring is never full", "add", lambda _, step: step.after.num_free > 0)
    entry = examine(Task("none", "add"), [wrong]).obligations[0]
    assert entry.verdict == "refuted"
    shown = entry.counterexample
    assert shown is not None
    assert shown["after"]["num_free"] == 0
    assert shown["before"]["num_free"] == shown["segments"] <= shown["queue_size"]
    assert sorted(shown["before"]["gat"]) == list(range(shown["queue_size"]))


def test_a_counterexample_says_what_changes() -> None:
    """As lines, a counterexample names its values, and only the fields and cells that change."""
    shown = {
        "queue_size": 2,
        "before": {"free_head": 0, "next": [1, 0], "num_free": 2, "order": {}},
        "after": {"free_head": 1, "next": [1, 1], "num_free": 2, "order": {"7": 0}},
    }
    assert changes(shown) == ("queue_size 2", "free_head 0 -> 1", "next[1] 0 -> 1", "order[7] None -> 0")


def _proved(query: Query) -> bool:
    """Whether it is proved from all its hypotheses, as the engine does from one seed or another."""
    return any(refute(query, BUDGET, seed=seed).result == "unsat" for seed in range(1 + CHANCES))


class _AnySize(EverySize):
    """A queue size that need not be a power of two: it need not divide 2^16."""

    def facts(self, numbers: tuple[z3.ArithRef, ...]) -> dict[str, z3.BoolRef]:
        """Leave out that a slot survives the cut to 16 bits."""
        return {name: fact for name, fact in super().facts(numbers).items() if name != "slot-of-index"}


def _labelled(theorem: str, label: str) -> Obligation:
    return next(entry for entry in THEOREMS[theorem].obligations if entry.label == label)


@pytest.mark.parametrize(
    ("theorem", "label"),
    [
        ("avail-slot-not-overwritten", "add: the slot written is not still to be read"),
        ("used-slot-not-overwritten", "complete: the slot written is not still to be read"),
        ("avail-slot-not-overwritten", f"add: {INVARIANTS['avail-entries'].words}"),
        ("used-slot-not-overwritten", f"complete: {INVARIANTS['used-entries'].words}"),
    ],
)
def test_slots_need_a_power_of_two(theorem: str, label: str) -> None:
    """Without that fact the proof stops, and a ring of three slots overwrites an entry at the wrap."""
    obligation = _labelled(theorem, label)
    assert _proved(obligation.build(Stage(Ring(EverySize()))))
    assert refute(obligation.build(Stage(Ring(_AnySize()))), 1_000_000).result != "unsat"
    assert refute(obligation.build(Stage(Ring(OneSize(3)))), BUDGET).result == "sat"


def _idle() -> tuple[Ring, State, dict[str, z3.BoolRef]]:
    """Any ring of any size with nothing in flight, about to be given one descriptor."""
    ring, state = Ring(EverySize()), arbitrary()
    one = z3.And(state.published == state.last_used, ring.segments == 1, ring.token != 0)
    return ring, state, {**assumed(ring, state), "idle": one}


def test_every_step_can_be_taken_at_every_size() -> None:
    """For no queue size are the theorems empty: a ring as made goes round, and a full one refuses.

    The ring as made is idle and satisfies every invariant at every size (the ``init`` obligations).
    """
    ring, state, hypotheses = _idle()
    ring.chosen = state.free_head
    add = ring.add(state)
    read = ring.read(add.after)
    complete = ring.complete(read.after)
    get = ring.get(complete.after)
    kick = ring.kick(get.after)
    guards = z3.And([step.guard for step in (add, read, complete, get, kick)])
    assert _proved(Query(hypotheses, z3.And(guards, get.token == ring.token)))
    ring.segments = ring.queue_size
    full = ring.add(state)
    ring.segments = z3.Int("more")
    refused = ring.refuse(full.after).guard
    some = z3.And(ring.segments >= 1, ring.segments <= ring.queue_size)
    hypotheses["idle"] = z3.And(state.published == state.last_used, ring.token != 0, some)
    assert _proved(Query(hypotheses, z3.And(full.guard, refused)))


@pytest.mark.parametrize("step", ["kick", "add"])
def test_a_kick_tells_of_just_the_chains_added_since_the_last(step: str) -> None:
    """Three theorems in one: with EVENT_IDX, a kick notifies just when a chain asked for was added."""
    there = every_size()
    taken, hypotheses = there.step(step)
    s, t = taken.before, taken.after
    event = z3.And(there.ring.event_idx, s.avail_event >= 0, s.avail_event < 1 << 16)
    kicked = t.last_kick == t.published
    first = s.last_kick + (s.avail_event - s.last_kick) % (1 << 16)
    asked = z3.And(s.last_kick <= first, first < t.published)
    goal = z3.Implies(kicked, taken.notified == asked)
    assert _proved(Query({**hypotheses, "event": event}, goal))


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_breaks_just_the_theorems_it_should(mutant: str) -> None:
    """The kill table is exact: every theorem named falls with a ring to show, and every other stands."""
    broken = set()
    for theorem in (theorem for theorem in THEOREMS.values() if is_tried(mutant, theorem)):
        results = [discharge(Task(theorem.name, group, mutant)) for group in theorem.groups]
        verdicts = {entry.verdict for result in results for entry in result.obligations}
        assert "unknown" not in verdicts, theorem.name
        if "refuted" in verdicts:
            broken.add(theorem.name)
    assert broken == MUTANTS[mutant].kills


def test_every_theorem_has_a_mutant_of_its_own() -> None:
    """The mutants a theorem names break no other of its model; each mutant breaks one, and each is broken."""
    for name in PROVED:
        theorem = THEOREMS[name]
        of_model = {other.name for other in THEOREMS.values() if other.subject is theorem.subject}
        for mutant in theorem.broken_by:
            assert MUTANTS[mutant].kills & of_model == {name}
    assert set(MUTANTS) == set(DESCRIBED)
    assert set(PROVED) == {name for mutant in MUTANTS.values() for name in mutant.kills}
    assert all(mutant.kills for mutant in MUTANTS.values())


def test_a_refutation_of_a_mutant_is_an_induction_step() -> None:
    """The ring shown for a mutant satisfies what the driver assumed before, and breaks it after."""
    result = discharge(Task("num-free-exact", "add", "A5"))
    shown = result.obligations[-1].counterexample
    assert shown is not None
    assert shown["before"]["num_free"] == shown["before"]["free"]
    assert shown["after"]["num_free"] == shown["after"]["free"] - 1
    assert dataclasses.asdict(result)["task"]["mutant"] == "A5"
