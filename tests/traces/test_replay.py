"""What the search finds on the model shows on the reference that carries the same defect, and only there."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from ringproof.impl.harness.operations import Code, Op
from ringproof.proofs.mutants.unrolled import MUTANTS
from ringproof.proofs.search import Found, NotFound, Unknown, find_trace
from ringproof.proofs.search.counterexample import Counterexample
from ringproof.traces.document import TraceDocument, load
from ringproof.traces.making import NoTrace, document_of, make_trace
from ringproof.traces.replay import replay_document

QUICK = ("A1", "A2", "A5", "A13", "B1", "B13", "D3", "D14", "X2", "X3", "X4", "X6", "X7", "X9")
HARMLESS = ("X10",)


@cache
def made(mutant: str) -> TraceDocument:
    """The trace of a mutant, made once."""
    return make_trace(mutant)


@pytest.mark.parametrize(
    "mutant",
    [
        each if each in QUICK else pytest.param(each, marks=pytest.mark.slow)
        for each in MUTANTS
        if each not in HARMLESS
    ],
)
def test_every_trace_replays(mutant: str, tmp_path: Path) -> None:
    """Same part of the same property at the same step on the mutated reference, nothing on the clean one."""
    document = made(mutant)
    assert document.replayed, document.extra
    assert len(document.states) == len(document.operations) + 1
    document.save(tmp_path / "t.itf.json")
    again = load(tmp_path / "t.itf.json")
    assert again == document
    outcome = replay_document(again)
    assert outcome.confirmed
    assert outcome.clean.breaches == ()
    assert outcome.accused is not None
    found = outcome.accused.first_of(document.property, document.extra["conjunct"])
    assert found is not None
    assert found[0] == len(document.operations) - 1
    assert found[1].sentence == document.violated


def test_another_mutant_does_not_confirm() -> None:
    """A trace accuses one defect: on the reference with another it is not confirmed."""
    outcome = replay_document(replace(made("D14"), mutant="D3"))
    assert not outcome.confirmed
    assert outcome.reason == "on the reference with D3 nothing breaks"


def test_another_property_does_not_confirm() -> None:
    """The violation has to be the one that the document names."""
    outcome = replay_document(replace(made("B1"), property="bad-ring-never"))
    assert not outcome.confirmed
    assert outcome.reason == "on the reference with B1 indices-faithful breaks instead"


def test_a_later_step_does_not_confirm() -> None:
    """A document whose last operation is not the one that breaks is not confirmed."""
    document = made("B1")
    outcome = replay_document(replace(document, operations=(*document.operations, Op(Code.KICK))))
    assert not outcome.confirmed
    assert outcome.reason == "indices-faithful breaks at step 1 already, not only at 2"


def test_a_document_without_a_mutant_runs_on_the_reference() -> None:
    """A trace of somebody's driver accuses no reference: the reference runs it and nothing breaks."""
    outcome = replay_document(replace(made("B1"), mutant=None))
    assert outcome.confirmed
    assert outcome.accused is None


def test_two_traces_of_a_mutant_are_the_same() -> None:
    """Making a trace twice gives the same document to the byte."""
    assert make_trace("D14").text() == made("D14").text()


def test_a_search_that_ends_without_a_trace_says_why() -> None:
    """No counterexample within the bound and a spent budget are told apart."""
    with pytest.raises(NoTrace, match="no run of up to 1 operations shows D14") as none:
        make_trace("D14", depth=1)
    assert isinstance(none.value.result, NotFound)
    with pytest.raises(NoTrace, match="gave up") as unknown:
        make_trace("D14", budget=10)
    assert isinstance(unknown.value.result, Unknown)


def _found(mutant: str) -> Counterexample:
    """What the search finds, before it is replayed."""
    result = find_trace(mutant)
    assert isinstance(result, Found)
    return result.trace


def test_a_trace_that_did_not_replay_says_so() -> None:
    """A counterexample that the mutated reference does not show is never called replayed."""
    document = document_of(replace(_found("D14"), mutant="D3"))
    assert not document.replayed
    assert document.extra["not_replayed"] == "on the reference with D3 nothing breaks"


def test_a_model_that_differs_from_the_run_is_not_replayed() -> None:
    """Where model and run disagree on a variable the trace is not called replayed, and says where."""
    trace = _found("D14")
    last = trace.steps[-1]
    steps = (*trace.steps[:-1], replace(last, values={**last.values, "num_added": 7}))
    document = document_of(replace(trace, steps=steps))
    assert not document.replayed
    assert document.extra["not_replayed"] == "state 2: num_added is 1, 7 in the model"
