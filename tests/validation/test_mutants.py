"""Every seeded defect of the C virtqueue dies in a quick validation; test_net_mutants has the other ones."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.seeded import seeded
from ringproof.patching import mutated_driver
from ringproof.proofs.mutants.catalog import CATALOG
from ringproof.traces.document import load
from ringproof.validation.campaign import Options, validate
from ringproof.validation.evidence import replay_on_driver

# No run shows it: it is in create, and has a test of its own.
IN_CREATE = frozenset({"X8"})
BY_A_CLAUSE = {
    "A1": "2.7.13/n1",
    "A13": "2.7.13.1/n1",
    "B1": "2.7.6.1a",
    "X5": "2.7/n3",
    "X6": "2.7.13.1/n1",
}
# No clause forbids them: a full ring met in silence, and another order of the free list.
LAWFUL = frozenset({"D14", "X10"})
BY_MEANING = {
    "B11": "2.7.10.1f",
    "D1": "2.7.10.1f",
    "D3": "oracle: interrupts",
    "X1": "2.7.10.1f",
    "X9": "2.7.10.1e",
}
MUTANTS = [id for id in CATALOG if id not in IN_CREATE]
# Seeded into drivers of other designs, too, which are only ever compared by meaning (test_kill_table).
ELSEWHERE = {row.id for row in seeded() if not row.lawful} - BY_MEANING.keys() - LAWFUL


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_dies(mutant: str, own_driver: Path, tmp_path: Path) -> None:
    """It fails, its trace replays on it, fails there again, and is clean on the driver without the defect."""
    library = mutated_driver(mutant)
    options = Options(quick=True, fail_fast=True, traces=tmp_path, second_look=mutant in BY_A_CLAUSE)
    report = validate(library, options=options)
    assert report.verdict == "fail"
    failed = {check.clause for check in report.checks if check.verdict == "fail"}
    assert BY_A_CLAUSE.get(mutant, next(iter(failed))) in failed
    assert report.trace is not None
    document = load(report.trace)
    assert len(document.operations) <= 25
    by_meaning = document.extra["compared"] == "by meaning"
    again = replay_on_driver(document.operations, document.config, library, by_meaning=by_meaning)
    assert again.differs
    assert again.step == len(document.operations) - 1
    assert not replay_on_driver(document.operations, document.config, own_driver).differs


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [each for each in MUTANTS if each not in ELSEWHERE])
def test_a_mutant_dies_by_meaning(mutant: str, tmp_path: Path) -> None:
    """Compared like a driver that follows no reference, it fails by a clause or an oracle of the device."""
    library = mutated_driver(mutant)
    options = Options(quick=True, by_meaning=True, fail_fast=True, traces=tmp_path)
    report = validate(library, options=options)
    assert report.mode == "by meaning"
    failed = {check.clause for check in report.checks if check.verdict == "fail"}
    if mutant in LAWFUL:
        assert not failed
        return
    assert BY_MEANING.get(mutant, next(iter(failed), "nothing")) in failed
    assert report.trace is not None
    assert len(load(report.trace).operations) <= 25


def test_an_impossible_size_is_refused(own_driver: Path) -> None:
    """A driver that creates a queue of 3 fails, by the clause; the shipped one declines 0, 3 and 65536."""
    broken = validate(mutated_driver("X8"), options=Options(quick=True, traces=None))
    failed = [check for check in broken.checks if check.verdict == "fail"]
    assert [(check.name, check.clause) for check in failed] == [("impossible-sizes-refused", "2.7/n1")]
    assert "a queue of 3" in failed[0].detail
    shipped = validate(own_driver, options=Options(quick=True, traces=None))
    assert {check.verdict for check in shipped.checks if check.name == failed[0].name} == {"pass"}


def test_a_second_look_names_the_clause(tmp_path: Path) -> None:
    """Where the bytes part first, the report says too which clause that breaks, and shows that run."""
    library = mutated_driver("D1")
    options = Options(quick=True, fail_fast=True, traces=tmp_path)
    told = validate(library, options=options)
    assert "2.7.10.1f" in {check.clause for check in told.checks if check.verdict == "fail"}
    assert any(
        check.name.startswith("agrees-with-reference") for check in told.checks if check.verdict == "fail"
    )
    assert told.trace is not None
    assert load(told.trace).extra["clause"] == "2.7.10.1f"
    brief = validate(library, options=replace(options, second_look=False))
    assert {check.clause for check in brief.checks if check.verdict == "fail"} == {
        "oracle: virtio-1.x reference"
    }
