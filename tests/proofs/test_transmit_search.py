"""The explicit search of the transmit queue: it finds the findings, and nothing where all is proved."""

import pytest

from ringproof.model.term import both
from ringproof.model.transmit import Choice, Transmit
from ringproof.proofs.mutants.transmit import MUTANTS
from ringproof.proofs.search.transmit import (
    CASES,
    FINDINGS,
    PROMISES,
    Case,
    Clean,
    Explorer,
    Pace,
    Promise,
    Run,
    find,
    operations,
)
from ringproof.proofs.transmit_claims import FREED, ORDER, ROOM, SETTLED, WAKING
from ringproof.proofs.transmit_runs import SCRIPTS


def _found(case: Case, model: type[Transmit] = Transmit) -> Run:
    run = find(case, model)
    assert isinstance(run, Run)
    return run


def _small(*, linux: bool, event_idx: bool, queue_size: int = 4) -> Transmit:
    return Transmit(queue_size, linux=linux, event_idx=event_idx, version_1=False, longest=2)


@pytest.mark.parametrize("event_idx", [False, True])
def test_no_promise_of_the_mended_driver_is_broken_in_any_interleaving(event_idx: bool) -> None:
    """virtio-1.x on a small queue, every state there is, with interrupts without news and frames unfit."""
    model = _small(linux=False, event_idx=event_idx)
    result = Explorer(model, pieces=(1,), unfit=True).search(list(PROMISES.values()))
    assert isinstance(result, Clean)
    assert result.complete
    assert result.states > 1000


@pytest.mark.parametrize("event_idx", [False, True])
def test_linux_is_never_stuck_on_a_queue_with_room(event_idx: bool) -> None:
    """linux-3.11 on a queue no smaller than its longest chain: all but the fit of frames holds."""
    model = _small(linux=True, event_idx=event_idx)
    promises = [promise for name, promise in PROMISES.items() if name != "frame-fits"]
    result = Explorer(model, pieces=(1,), unfit=True).search(promises)
    assert isinstance(result, Clean)
    assert result.complete


def test_every_step_is_taken_and_every_invariant_holds_where_it_is_proved() -> None:
    """Every transition can be taken from a state that is reached, and all these satisfy the invariants."""
    taken: set[str] = set()
    invariants = {each.name: each for each in (*ROOM, *WAKING, *FREED, ORDER, *SETTLED)}
    always = [
        Promise(name, "", lambda model, _, step, each=each: bool(each.holds(model, step.after)))  # type: ignore[misc]
        for name, each in invariants.items()
    ]
    for linux in (False, True):
        model = _small(linux=linux, event_idx=True, queue_size=2)
        result = Explorer(model, pieces=(1,)).search(always)
        assert isinstance(result, Clean)
        assert result.complete
        taken |= result.taken
    assert taken == set(Transmit.steps)


def test_numbers_and_symbols_are_read_alike() -> None:
    """A model on numbers computes plain values: no solver's term, and guards that are true or false."""
    model = _small(linux=True, event_idx=True)
    nothing = Choice(mine=False, pieces=1, unfit=False, indirect=False, length=1, size=60)
    for name in Transmit.steps:
        step = model.take(name, model.initial(), nothing)
        assert isinstance(step.guard, bool), name
        assert all(isinstance(value, int) for value in vars(step.after).values()), name
    assert both(True, model.facts()) is True


@pytest.mark.parametrize("name", FINDINGS)
def test_each_finding_is_found_as_the_proof_tells_it(name: str) -> None:
    """The shortest run on a queue of 32 or 16 is the very script that refutes the theorem."""
    run = _found(FINDINGS[name])
    names = run.names[:-1] if run.names[-1] == "drop" else run.names
    assert " ".join(names) == SCRIPTS[name]
    assert run.profile == "linux-3.11"


def test_findings_as_operations() -> None:
    """The runs, as a harness plays them."""
    two, fourteen, nineteen = (("xmit", {"segments": number}) for number in (2, 14, 19))
    complete = [("read", {}), ("complete", {"which": 0})]
    early = [two, fourteen, *complete, ("interrupt", {}), nineteen]
    spurious = [two, fourteen, *complete, ("raise", {"bits": 1}), ("interrupt", {}), nineteen]
    delayed = [two, two, *complete, fourteen, *complete, ("interrupt", {}), nineteen]
    stuck = [("xmit", {"segments": 2, "completed_at_kick": 1}), ("interrupt", {})]
    told = {name: operations(_found(case)) for name, case in FINDINGS.items()}
    assert told == {
        "early-interrupt": early,
        "interrupt-without-news": spurious,
        "delayed-interrupt": delayed,
        "small-queue": [nineteen],
        "small-queue-stuck": stuck,
    }


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_is_found_where_the_shipped_driver_is_clean(mutant: str) -> None:
    """A run breaks the promise that the mutant's theorem makes; G3 needs Linux 3.11's own fault."""
    case = CASES[mutant]
    run = _found(case, MUTANTS[mutant].model)
    assert run.promise in MUTANTS[mutant].kills
    played = operations(run)
    assert played
    assert {name for name, _ in played} <= {"xmit", "read", "complete", "raise", "interrupt", "remove"}
    shipped = Explorer(
        Transmit(case.queue_size, linux=case.linux, event_idx=case.event_idx, version_1=True),
        pieces=case.pieces, pace=Pace.OPERATIONS, quiet=case.quiet, unfit=case.unfit,
    ).search([PROMISES[case.promise]], most=5_000)  # fmt: skip
    assert isinstance(shipped, Clean)


def test_a_refused_frame_can_be_ignored_unnoticed_in_the_mended_driver() -> None:
    """In virtio-1.x add refuses nothing, so G3 changes nothing: all states of a small queue are clean."""
    model = MUTANTS["G3"].model(4, linux=False, event_idx=True, version_1=False, longest=2)
    result = Explorer(model, pieces=(1,), unfit=True).search(list(PROMISES.values()))
    assert isinstance(result, Clean)
    assert result.complete


def test_a_race_is_no_list_of_operations() -> None:
    """A run in which the device acts in the middle of start_xmit is refused, not misrepresented."""
    model = _small(linux=True, event_idx=True)
    run = Explorer(model, pieces=(1,)).search([PROMISES["frame-fits"]])
    assert isinstance(run, Run)
    with pytest.raises(ValueError, match="while start_xmit is at work"):
        operations(run)
