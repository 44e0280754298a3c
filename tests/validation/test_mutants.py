"""Every seeded defect of the C implementation dies in a quick validation."""

from pathlib import Path

import pytest

from ringproof.building import c_sources
from ringproof.patching import mutant_ids, mutated_driver
from ringproof.traces.document import load
from ringproof.validation.campaign import Options, validate
from ringproof.validation.evidence import replay_on_driver

# The harness promises a driver queue sizes that are powers of two, so this one is out of its reach.
UNSEEN = frozenset({"X8"})
BY_A_CLAUSE = {
    "A1": "2.7.13/n1",
    "A13": "2.7.5.2b",
    "B1": "2.7.6.1a",
    "X5": "2.7/n3",
    "X6": "2.7.13.1/n1",
}
# No clause forbids them: a full ring met in silence, and another order of the free list.
LAWFUL = frozenset({"D14", "X10"})
BY_MEANING = {"B11": "2.7.10.1f", "D1": "2.7.10.1f", "D3": "2.7.7.1d", "X1": "2.7.10.1f", "X9": "2.7.10.1f"}
MUTANTS = [id for id in mutant_ids(c_sources()) if id not in UNSEEN]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_dies(mutant: str, own_driver: Path, tmp_path: Path) -> None:
    """It fails, its trace replays on it, fails there again, and is clean on the driver without the defect."""
    library = mutated_driver(mutant)
    report = validate(library, options=Options(quick=True, traces=tmp_path))
    assert report.verdict == "fail"
    failed = {check.clause for check in report.checks if check.verdict == "fail"}
    assert BY_A_CLAUSE.get(mutant, next(iter(failed))) in failed
    assert report.trace is not None
    document = load(report.trace)
    assert len(document.operations) <= 25
    again = replay_on_driver(document.operations, document.config, library)
    assert again.differs
    assert again.step == len(document.operations) - 1
    assert not replay_on_driver(document.operations, document.config, own_driver).differs


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_dies_by_meaning(mutant: str, tmp_path: Path) -> None:
    """Compared like a driver that follows no reference, it fails by a clause or an oracle of the device."""
    library = mutated_driver(mutant)
    report = validate(library, options=Options(quick=True, by_meaning=True, traces=tmp_path))
    assert report.mode == "by meaning"
    failed = {check.clause for check in report.checks if check.verdict == "fail"}
    if mutant in LAWFUL:
        assert not failed
        return
    assert BY_MEANING.get(mutant, next(iter(failed), "nothing")) in failed
    assert report.trace is not None
    assert len(load(report.trace).operations) <= 25
