"""The theorems of the transmit queue and of the transports: proved, findings refuted, mutants killed."""

from collections.abc import Mapping

import pytest
import z3

from ringproof.model.term import Flag, Step
from ringproof.model.transmit import Choice, State, Transmit
from ringproof.model.transport import Choice as Luck
from ringproof.model.transport import State as Probe
from ringproof.model.transport import Transport
from ringproof.proofs.counterexample import changes
from ringproof.proofs.discharge import Task, discharge, examine
from ringproof.proofs.engine import prove
from ringproof.proofs.mutants import transmit, transport
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG
from ringproof.proofs.mutants.mutation import Mutation
from ringproof.proofs.theorem import Theorem
from ringproof.proofs.transmit_theorems import TRANSMIT_THEOREMS
from ringproof.proofs.transport_theorems import TRANSPORT_THEOREMS

ALL = {theorem.name: theorem for theorem in (*TRANSMIT_THEOREMS, *TRANSPORT_THEOREMS)}
PROVED = {name: theorem for name, theorem in ALL.items() if theorem.expected == "proved"}
FINDINGS = {name: theorem for name, theorem in ALL.items() if theorem.expected == "refuted"}
MUTANTS: Mapping[str, Mutation] = {**transmit.MUTANTS, **transport.MUTANTS}


@pytest.mark.parametrize("name", PROVED)
def test_each_theorem_is_proved(name: str) -> None:
    """Every obligation goes through, cheaply, and from hypotheses that can hold."""
    theorem = PROVED[name]
    results = [discharge(Task(name, group)) for group in theorem.groups]
    verdicts = {entry.label: entry.verdict for result in results for entry in result.obligations}
    assert verdicts == {obligation.label: "proved" for obligation in theorem.obligations}
    assert [result.vacuous for result in results] == [False] * len(results)
    assert sum(result.rlimit for result in results) < 2_000_000


@pytest.mark.parametrize("name", FINDINGS)
def test_each_finding_is_refuted_by_a_run_that_can_happen(name: str) -> None:
    """A finding is refuted, obligation by obligation, each with hypotheses that can hold."""
    for group in FINDINGS[name].groups:
        result = discharge(Task(name, group))
        assert [entry.verdict for entry in result.obligations] == ["refuted"]
        assert result.vacuous is False
    assert name.endswith("-linux-3.11")


def test_the_engine_tells_findings_from_failures() -> None:
    """In a run of the engine every verdict is the one announced, no proof rests on a theorem left out."""
    some = ["frame-fits", "initialisation-order", "frame-fits-linux-3.11", "no-early-kick"]
    report = prove(some, kill=True, mutants=["X25", "X21"], jobs=2)
    assert all(result.as_expected for result in report.theorems)
    assert report.kills == {"X25": ("frame-fits",), "X21": ("no-early-kick",)}
    assert (report.survivors, report.undecided, report.assumed) == ((), {}, ())


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_mutant_breaks_just_the_theorems_it_should(mutant: str) -> None:
    """The kill table is exact: each theorem named falls with a counterexample, and every other stands."""
    broken = set()
    for theorem in PROVED.values():
        if MUTANTS[mutant].concerns(theorem.subject):
            results = [discharge(Task(theorem.name, group, mutant)) for group in theorem.groups]
            details = [entry for result in results for entry in result.obligations]
            assert {entry.verdict for entry in details} <= {"proved", "refuted"}
            if refuted := [entry for entry in details if entry.verdict == "refuted"]:
                assert all(entry.counterexample for entry in refuted)
                broken.add(theorem.name)
    assert broken == MUTANTS[mutant].kills


def test_every_theorem_has_a_mutant() -> None:
    """Each theorem falls to some mutant of the catalog, and those it names break it alone."""
    for theorem in PROVED.values():
        assert any(theorem.name in mutation.kills for mutation in MUTANTS.values()), theorem.name
        assert all(MUTANTS[mutant].kills == {theorem.name} for mutant in theorem.broken_by)
    assert set(MUTANTS) <= set(FRAME_CATALOG)


def test_every_theorem_explains_itself() -> None:
    """Title, statement and clause are there to be read, and no two theorems share a name."""
    assert len(ALL) == len(TRANSMIT_THEOREMS) + len(TRANSPORT_THEOREMS)
    for theorem in ALL.values():
        assert theorem.title[0].isupper() or theorem.title.startswith("tx_")
        assert theorem.statement.endswith(".")
        assert theorem.clause
        labels = [obligation.label for obligation in theorem.obligations]
        assert len(labels) == len(set(labels))


def _shown(name: str, number: int = 0) -> tuple[str, ...]:
    (entry,) = discharge(Task(name, ALL[name].groups[number])).obligations
    assert entry.counterexample is not None
    return changes(entry.counterexample)


def test_the_finding_on_waking_reads_as_a_story() -> None:
    """The run shows two frames, the wake-up with too little free, and the frame that does not fit."""
    lines = _shown("frame-fits-linux-3.11")
    assert "queue_size 32" in lines[0]
    assert "segments of frame 3 19" in lines[0]
    assert "stopped True -> False" in lines
    last = [line for line in lines if line.startswith("num_free")][-1]
    assert int(last.split()[-1]) < 19
    assert lines[-1] == "at reclaim -> xmit"


def test_the_finding_on_a_stuck_queue_ends_with_an_unheard_interrupt() -> None:
    """The queue ends stopped, with nothing in flight, and its interrupt is taken for another's."""
    lines = _shown("small-queue-wakes-linux-3.11")
    assert "stopped False -> True" in lines
    assert "stopped True -> False" not in lines
    assert lines[-1] == "handler asked -> none"


def test_the_finding_on_features_names_them() -> None:
    """Some feature is shown as accepted whose prerequisite is shown as not accepted."""
    (entry,) = discharge(
        Task("feature-prerequisites-linux-3.11", ALL["feature-prerequisites-linux-3.11"].groups[0])
    ).obligations
    shown = entry.counterexample
    assert shown is not None
    assert shown["linux_3_11"] is True
    needs = {"HOST_TSO4": "CSUM", "HOST_TSO6": "CSUM", "HOST_UFO": "CSUM", "MQ": "CTRL_VQ"}
    accepted = {key.removesuffix(" is accepted") for key, value in shown.items() if value is True}
    lacks = [one for one, need in needs.items() if one in accepted and need not in accepted]
    assert lacks or ("HOST_ECN" in accepted and not accepted & {"HOST_TSO4", "HOST_TSO6"})


def test_the_finding_on_removal_frees_a_live_ring() -> None:
    """The watched ring is freed while the device was not seen reset."""
    lines = _shown("rings-outlive-device-linux-3.11")
    assert "live False -> True" in lines
    assert "live True -> False" not in lines
    assert lines[-1] == "allocated True -> False"


def test_a_broken_invariant_is_named() -> None:
    """The counterexample for a mutant says where it is, by name, and which invariant fell."""
    entry = discharge(Task("no-lost-wake-up", "look", "X14")).obligations[-1]
    assert entry.counterexample is not None
    assert entry.counterexample["due is broken"] is True
    assert (entry.counterexample["before"]["at"], entry.counterexample["after"]["at"]) == ("look", "idle")


# No part of a theorem holds whatever the model does: what the catalog's mutants leave whole, these break.


class _NoisyDrop(Transmit):
    """A drop stops the queue."""

    def drop(self, s: State, choice: Choice) -> Step[State]:
        """Stop the queue, too."""
        step = super().drop(s, choice)
        return Step(step.guard, State(**vars(step.after) | {"stopped": True}))


class _StopsEarly(Transmit):
    """The queue is stopped long before it has to be."""

    def room(self) -> int:
        """Want more than a frame takes."""
        return 2 * self.longest


class _ForgetsToReset(Transport):
    """Rings are freed whether or not the device was reset."""

    def waits_at_removal(self) -> Flag:
        """Wait for nothing."""
        return False


class _SkipsQueues(Transport):
    """Probe is content with one queue less."""

    def set_driver_ok(self, s: Probe, choice: Luck) -> Step[Probe]:
        """Set DRIVER_OK already before the last queue is selected."""
        step = super().set_driver_ok(s, choice)
        early = z3.And(s.at == 8, s.queue + 1 == self.queues)
        return Step(z3.Or(step.guard, early), step.after)


@pytest.mark.parametrize(
    ("name", "label", "model"),
    [
        ("no-frame-lost", "drop: the queue is as it was, and the frame is freed", _NoisyDrop),
        ("frame-fits", "test_room: stopped only for want of room", _StopsEarly),
        ("rings-outlive-device", "see_removed: the invariants are kept", _ForgetsToReset),
        ("initialisation-order", "set_driver_ok: every queue was set up, and DRIVER_OK is new", _SkipsQueues),
        ("queue-enabled-last", "set_driver_ok: every queue is enabled", _SkipsQueues),
    ],
)
def test_parts_that_no_mutant_breaks_can_be_broken(name: str, label: str, model: type) -> None:
    """Further defects, each refuting the very obligation that speaks of it."""
    theorem: Theorem = ALL[name]
    (obligation,) = [entry for entry in theorem.obligations if entry.label == label]
    result = examine(Task(name, obligation.group), [obligation], model)
    assert result.obligations[0].verdict == "refuted"
    assert (
        examine(Task(name, obligation.group), [obligation], theorem.subject).obligations[0].verdict
        == "proved"
    )
