"""The bounded search finds what is there, the shortest first, and nothing else."""

from functools import cache

import pytest
import z3

from ringproof.model.unrolled import Unrolled
from ringproof.proofs.mutants.catalog import CATALOG
from ringproof.proofs.mutants.unrolled import MUTANTS, UNSEEDED
from ringproof.proofs.search import Found, NotFound, Unknown, find_trace, search
from ringproof.proofs.search.counterexample import Budget, Counterexample, values
from ringproof.proofs.search.portfolio import find
from ringproof.proofs.search.properties import CONJUNCTS, EVERYTHING, PROPERTIES, conjuncts
from ringproof.proofs.search.rounds import (
    MOST_ROUNDS,
    Shape,
    Start,
    after_rounds,
    kicked_rounds,
    quiet_rounds,
    starts,
)
from ringproof.proofs.search.solving import Exhausted, Solving
from ringproof.traces.conversion import operations
from ringproof.validation.counterexamples import counterexamples

EXPECTED = {
    "A1": "no-leak-no-double-allocation",
    "A2": "no-leak-no-double-allocation",
    "A5": "num-free-exact",
    "A6": "free-list-sound",
    "A7": "token-returned-once",
    "A13": "chain-well-formed",
    "B1": "indices-faithful",
    "B3": "token-returned-once",
    "B5": "token-returned-once",
    "B6": "indices-faithful",
    "B10": "avail-slot-not-overwritten",
    "B11": "forced-kick-sufficient",
    "B13": "bad-ring-never",
    "D1": "need-event-exact",
    "D3": "callbacks-rearmed",
    "D14": "full-ring-notifies",
    "X1": "need-event-exact",
    "X2": "token-returned-once",
    "X3": "num-free-exact",
    "X4": "no-leak-no-double-allocation",
    "X5": "used-slot-not-overwritten",
    "X6": "device-reads-outstanding",
    "X7": "bad-ring-never",
    "X9": "need-event-exact",
}


@cache
def found(mutant: str) -> Counterexample:
    """The counterexample of a mutant, searched once."""
    result = find_trace(mutant)
    assert isinstance(result, Found), result
    return result.trace


QUICK = ("A1", "A2", "A5", "A13", "B1", "B13", "D3", "D14", "X2", "X3", "X4", "X6", "X7", "X9")


@pytest.mark.parametrize(
    "mutant", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in EXPECTED]
)
def test_every_mutant_is_found(mutant: str) -> None:
    """Each seeded defect has a counterexample, of the property that names what it does."""
    trace = found(mutant)
    assert trace.mutant == mutant
    assert trace.property == EXPECTED[mutant]
    assert trace.sentence
    kept = {one.mutant: (one.queue_size, one.operations) for one in counterexamples()}
    again = "what is kept is stale: python -m ringproof.validation.counterexamples"
    assert kept[mutant] == (trace.queue_size, operations(trace)), again


def test_the_mutants_of_the_catalog_are_seeded() -> None:
    """Every mutant of the catalog is seeded but for the one no queue can have, and only one is harmless."""
    assert set(CATALOG) - set(MUTANTS) == set(UNSEEDED) == {"X8"}
    assert set(MUTANTS) - set(EXPECTED) == {"X10"}
    assert set(EXPECTED) == {one.mutant for one in counterexamples()}
    with pytest.raises(LookupError, match="no power of two"):
        find_trace("X8")


@pytest.mark.slow
def test_the_harmless_mutant_is_not_found() -> None:
    """X10 changes how the driver works and breaks nothing."""
    assert isinstance(find_trace("X10"), NotFound)


def test_two_searches_give_the_same_trace() -> None:
    """The order over runs is total: nothing is left to the solver's mood."""
    again = find_trace("D3")
    assert isinstance(again, Found)
    assert again.trace == found("D3")


def test_shorter_bounds_find_nothing() -> None:
    """A trace of so many operations is the shortest: with one operation less there is none."""
    trace = found("D3")
    assert isinstance(find_trace("D3", depth=trace.operations - 1), NotFound)


@pytest.mark.slow
def test_the_unmutated_model_is_clean() -> None:
    """The portfolio that finds every mutant finds nothing in the driver as it should be."""
    result = find(Unrolled)
    assert isinstance(result, NotFound)


def test_the_unmutated_model_is_clean_at_small_depth() -> None:
    """The same on one queue, fast enough to run always."""
    assert isinstance(search(Unrolled(2), depth=5), NotFound)


def test_rounds_are_proved_on_the_model_at_hand() -> None:
    """The correct driver repeats rounds for ever; the mutants whose rounds fail are stopped where they do."""
    wanted, budget = conjuncts(EVERYTHING), Budget(10**9)
    shape, most = kicked_rounds(Unrolled(2), wanted, budget)
    assert most == MOST_ROUNDS
    # One more without a kick and add kicks by itself, which is not what a quiet round does.
    assert quiet_rounds(Unrolled(2), shape, most, wanted, budget) == 65534
    for mutant, limit in (("A5", 0), ("B1", 1), ("B3", 65535), ("B6", 65535)):
        assert kicked_rounds(MUTANTS[mutant](2), wanted, budget)[1] == limit, mutant
    assert starts(MUTANTS["A5"](2), wanted, budget) == []


def test_a_ring_of_three_loses_a_chain_at_the_wrap() -> None:
    """Why queue sizes are powers of two: 65535 and 0 are the same slot of a ring of 3."""
    model, wanted, budget = Unrolled(3), conjuncts(EVERYTHING), Budget(10**9)
    assert isinstance(search(model, depth=3), NotFound)
    result = search(model, depth=2, start=starts(model, wanted, budget)[0])
    assert isinstance(result, Found)
    assert result.trace.property == "avail-slot-not-overwritten"
    assert [batch.count for batch in result.trace.rounds] == [65535]


def test_nothing_found_says_how_far_was_looked() -> None:
    """A search asked for more than it does claims only what it did."""
    result = find(MUTANTS["D3"], properties=("full-ring-notifies",), depth=20)
    assert isinstance(result, NotFound)
    assert result.depth == 5
    assert "2 descriptors with EVENT_IDX from creation: 9 operations" in result.searched
    assert "4 descriptors with EVENT_IDX from creation: 5 operations" in result.searched
    with pytest.raises(ValueError, match="depth 64"):
        search(Unrolled(2), depth=64)


def test_a_spent_budget_is_unknown() -> None:
    """A search that may not work says that it does not know, never that there is nothing."""
    assert isinstance(find_trace("B5", budget=1000), Unknown)
    assert isinstance(search(Unrolled(2), depth=6, budget=1000), Unknown)


def test_only_what_is_asked_for_is_looked_for() -> None:
    """A search for one property passes over the others."""
    result = search(MUTANTS["B1"](2), properties=("device-reads-outstanding",), depth=6)
    assert isinstance(result, Found)
    assert result.trace.property == "device-reads-outstanding"
    assert len(result.trace.steps) == 6
    assert isinstance(search(MUTANTS["B1"](2), properties=("bad-ring-never",), depth=6), NotFound)
    with pytest.raises(ValueError, match="no property"):
        search(Unrolled(2), properties=("no-such-thing",))


def test_unknown_mutants_are_refused() -> None:
    """An id that is not in the catalog is a KeyError."""
    with pytest.raises(KeyError):
        find_trace("Z9")


def test_every_conjunct_belongs_to_a_property() -> None:
    """Ids are unique, and asking for a property asks for all of its parts."""
    assert len({c.id for c in CONJUNCTS}) == len(CONJUNCTS) == len(EVERYTHING)
    assert {c.property for c in conjuncts(PROPERTIES)} == set(PROPERTIES)
    assert len(conjuncts(PROPERTIES)) == len(CONJUNCTS)


def test_the_solver_finds_smallest_values_in_turn() -> None:
    """Earlier words are made small before later ones."""
    x, y = z3.BitVecs("x y", 16)
    solving = Solving(Budget(10**8))
    solving.add(z3.ULT(z3.BitVecVal(1000, 16), x + y), z3.ULT(x, 5000), z3.ULT(y, 900))
    model = solving.smallest([x, y])
    assert model is not None
    assert (model[x].as_long(), model[y].as_long()) == (102, 899)
    with pytest.raises(Exhausted):
        Solving(Budget(0)).satisfiable()


def test_no_rounds_is_creation() -> None:
    """The induction over rounds begins at the initial state, whatever the shape."""
    zero = z3.BitVecVal(0, 16)
    for shape in (Shape(), Shape(event_follows=False), Shape(num_added_kept=True)):
        for model in (Unrolled(2), Unrolled(4), MUTANTS["B6"](2)):
            begun = after_rounds(model, shape, zero, zero)
            assert values(begun) == values(model.initial())


def test_a_start_counts_its_batches() -> None:
    """Creation takes no operation, rounds of either kind one each."""
    word = z3.BitVec("n", 16)
    state = Unrolled(2).initial()
    assert [s.batches for s in (Start(state), Start(state, (), word), Start(state, (), word, word))] == [
        0,
        1,
        2,
    ]
