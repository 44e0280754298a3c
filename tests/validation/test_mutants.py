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


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [id for id in mutant_ids(c_sources()) if id not in UNSEEN])
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
