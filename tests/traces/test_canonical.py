"""A trace is the shortest and plainest of those that show the same, whichever of them was found."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import pytest

from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC
from ringproof.patching import load_reference_mutant
from ringproof.proofs.mutants.unrolled import MUTANTS
from ringproof.proofs.search import Found, find_trace
from ringproof.proofs.search.rerun import rerun
from ringproof.traces.canonical import Canonical, Fault, canonical
from ringproof.traces.conversion import choices, model_states, operations
from ringproof.traces.document import TraceDocument
from ringproof.traces.exploration import Allowance, Explorer
from ringproof.traces.making import make_trace
from ringproof.traces.replay import run_reference
from ringproof.validation.counterexamples import Counterexample, counterexamples

QUICK = ("A1", "A2", "D3", "D14", "X4", "X6", "X9")
KEPT = {one.mutant: one for one in counterexamples()}
PARTS = {
    "A1": ("no-leak-no-double-allocation", "takes-only-free"),
    "A13": ("chain-well-formed", "reads-back"),
    "A2": ("no-leak-no-double-allocation", "none-lost"),
    "A5": ("num-free-exact", "counts-free"),
    "A6": ("free-list-sound", "holds-only-free"),
    "A7": ("token-returned-once", "right-token"),
    "B1": ("indices-faithful", "avail_idx"),
    "B10": ("avail-slot-not-overwritten", "unread-in-place"),
    "B13": ("bad-ring-never", "not-broken"),
    "B5": ("token-returned-once", "due-token-comes"),
    "D14": ("full-ring-notifies", "refusal-notifies"),
    "D3": ("callbacks-rearmed", "used_event-follows"),
    "X2": ("token-returned-once", "returned-is-forgotten"),
    "X3": ("num-free-exact", "counts-free"),
    "X4": ("no-leak-no-double-allocation", "none-lost"),
    "X5": ("used-slot-not-overwritten", "untaken-in-place"),
    "X6": ("device-reads-outstanding", "in-flight"),
    "X7": ("bad-ring-never", "not-broken"),
    "X9": ("need-event-exact", "no-kick-lost"),
}
"""Which part each run breaks; those that begin with 65535 rounds take seconds each and are left out."""


@cache
def plain(mutant: str) -> Canonical:
    """The canonical run of a mutant, from the one the search found."""
    return _canonical(mutant, KEPT[mutant])


def _canonical(mutant: str, run: Counterexample) -> Canonical:
    config = QueueConfig(run.queue_size, features=run.features)
    return canonical(config, run.operations, _fault(mutant))


def _fault(mutant: str) -> Fault:
    return Fault(*PARTS[mutant], load_reference_mutant(mutant))


def test_all_are_looked_at() -> None:
    """Every counterexample but those with rounds."""
    assert {one.mutant for one in counterexamples() if one.operations[0].code != Code.ROUNDS} == set(PARTS)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", PARTS)
def test_any_run_that_shows_it_leads_to_the_same(mutant: str) -> None:
    """From what the search found, and from runs with other values, order, size and features."""
    assert plain(mutant).whole
    for other in _others(mutant):
        assert _canonical(mutant, other) == plain(mutant)


def test_there_are_other_runs_to_begin_with() -> None:
    """Of most mutants, so that the test above compares something."""
    assert sum(any(True for _ in _others(mutant)) for mutant in PARTS) >= 14


def _others(mutant: str) -> Iterator[Counterexample]:
    """Up to two other runs of the same length that show it, made at random from the one that was found."""
    kept, fault, rng = KEPT[mutant], _fault(mutant), random.Random(mutant)
    made = 0
    for _ in range(400):
        ops = list(kept.operations)
        at = rng.randrange(len(ops))
        match rng.randrange(3):
            case 0 if ops[at].code == Code.ADD:
                ops[at] = Op(Code.ADD, a=rng.randint(1, kept.queue_size))
            case 1 if at:
                ops[at - 1], ops[at] = ops[at], ops[at - 1]
            case _ if ops[at].code == Code.COMPLETE:
                ops[at] = Op(Code.COMPLETE, a=rng.randrange(2), c=1)
            case _:
                pass
        other = kept._replace(
            queue_size=kept.queue_size * (rng.choice((1, 2)) if len(ops) < 4 else 1),
            features=kept.features | rng.choice((0, F_INDIRECT_DESC if len(ops) < 4 else 0)),
            operations=tuple(ops),
        )
        if other != kept and _shows(fault, other):
            yield other
            made += 1
        if made == 2 or len(ops) > 4:  # long ones take seconds
            return


def _shows(fault: Fault, run: Counterexample) -> bool:
    """Whether a run breaks the part at its last operation and not before, and is clean without the defect."""
    config = QueueConfig(run.queue_size, features=run.features)
    accused = run_reference(config, run.operations, reference=fault.reference)
    found = accused.first_of(fault.property, fault.conjunct)
    clean = run_reference(config, run.operations)
    return found is not None and found[0] == len(run.operations) - 1 and clean.first is None


@pytest.mark.parametrize("mutant", QUICK)
def test_it_shows_the_same_and_nothing_shorter_does(mutant: str) -> None:
    """The same part breaks at the last operation; no operation can be left out."""
    found, fault = plain(mutant), _fault(mutant)
    run = Counterexample(mutant, found.config.queue_size, found.config.features, found.operations)
    assert _shows(fault, run)
    for at in range(len(found.operations)):
        shorter = found.operations[:at] + found.operations[at + 1 :]
        explorer = Explorer(found.config, fault.reference, Allowance(100))
        broken = explorer.run(shorter)
        assert (fault.property, fault.conjunct) not in {(one.property, one.conjunct) for _, one in broken}


def test_queue_and_features_are_the_least_that_do() -> None:
    """One descriptor where one shows it; EVENT_IDX only where it takes that."""
    assert {name: (plain(name).config.queue_size, plain(name).config.features) for name in QUICK} == {
        "A1": (2, 0),
        "A2": (2, 0),
        "D3": (1, F_EVENT_IDX),
        "D14": (1, 0),
        "X4": (4, 0),
        "X6": (2, 0),
        "X9": (1, F_EVENT_IDX),
    }


def test_a_needlessly_large_run_is_brought_down() -> None:
    """A larger queue, more features, more operations and larger numbers lead to the same run."""
    ops = (Op(Code.ADD, a=3), Op(Code.READ, a=1), Op(Code.KICK), Op(Code.COMPLETE, c=1), Op(Code.GET))
    big = canonical(QueueConfig(4, features=F_EVENT_IDX | F_INDIRECT_DESC), ops, _fault("A2"))
    assert big == plain("A2")


def test_without_leave_to_try_the_run_stays() -> None:
    """When the steps run out the run is as it was found, and is not called canonical."""
    kept = KEPT["A2"]
    config = QueueConfig(kept.queue_size, features=kept.features)
    assert canonical(config, kept.operations, _fault("A2"), most=20) == Canonical(
        config, kept.operations, False
    )


def test_operations_no_search_uses_are_left_alone() -> None:
    """A run with other operations is not one of those that are walked."""
    ops = (Op(Code.ADD, a=2), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1), Op(Code.POLL), Op(Code.GET))
    assert canonical(QueueConfig(2), ops, _fault("A2")) == Canonical(QueueConfig(2), ops, False)


def test_the_model_tells_the_canonical_run_anew() -> None:
    """Run with constants the model shows the same at the same step, with every variable as the reference."""
    result = find_trace("A2")
    assert isinstance(result, Found)
    told = rerun(MUTANTS["A2"](2, event_idx=False), result.trace, choices(plain("A2").operations))
    assert told is not None
    assert operations(told) == plain("A2").operations
    assert told.sentence == "descriptors 1 are in no chain and not on the free list"
    assert [state["num_free"] for state in model_states(told)] == [2, 0, 0, 0, 1]
    model = MUTANTS["A2"](2, event_idx=False)
    assert rerun(model, result.trace, [("add", 1)]) is None
    assert rerun(model, result.trace, [("complete", 0)]) is None


@cache
def made(mutant: str) -> TraceDocument:
    """The document of a mutant."""
    return make_trace(mutant)


def test_documents_are_canonical_and_say_so() -> None:
    """What make_trace gives is the canonical run, replayed, and explained."""
    document = made("D14")
    assert document.replayed
    assert document.extra["canonical"] is True
    assert (document.config, document.operations) == (plain("D14").config, plain("D14").operations)
    assert {"parts", "unavoidable", "variant"} <= document.extra["explanation"].keys()


def test_documents_are_the_same_in_another_process_with_another_seed() -> None:
    """Byte for byte, whatever the solver's and the hashes' seeds."""
    program = (
        "import sys, z3; z3.set_param('smt.random_seed', 7); z3.set_param('sat.random_seed', 7); "
        "from ringproof.traces.making import make_trace; sys.stdout.write(make_trace('D14').text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout == made("D14").text()
    assert json.loads(done.stdout)["#meta"]["canonical"] is True
