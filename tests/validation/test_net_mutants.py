"""Every seeded defect of the C network driver dies in a quick validation."""

from pathlib import Path

import pytest

from bench.seeded import seeded
from ringproof.journey.document import load
from ringproof.patching import mutated_driver
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG
from ringproof.validation.campaign import Options
from ringproof.validation.net_campaign import AGREEMENT, validate_network
from ringproof.validation.net_evidence import replay_net
from ringproof.validation.observer import ORACLES
from ringproof.validation.report import ValidationReport

# Refused is an add only where a queue was woken without room: in the linux-3.11 profile.
OF_LINUX = frozenset({"G3"})
BY_NAME = {
    "E2": "clause-5.1.6/n1",
    "E3": "clause-5.1.6/n1",
    "E19": "statistics-true",
    "D9": "queue-wakes",
    "G3": "frame-sent-or-dropped",
    "X11": "clause-5.1.6/n1",
    "X13": "chain-well-formed",
    "X14": "queue-wakes",
    "X15": "clause-5.1.6.2/n2",
    "X16": "clause-5.1.6.2.1i",
    "X17": "clause-3.1.2a",
    "X18": "clause-2.2.1a",
    "X19": "clause-4.1.4.3.2d",
    "X20": "clause-2.1.1b",
    "X21": "clause-3.1.1g",
    "X22": "queue-in-use",
    "X23": "statistics-true",
    "X24": "frame-freed-once",
    "X26": "clause-3.1.1d",
}
# No clause forbids them: what fields hold that mean nothing; stopping late, waking early (frames are dropped,
# which is a warning).
LAWFUL = frozenset({"E6", "E10", "X25"})
MUTANTS = list(FRAME_CATALOG)
# Seeded into the example driver, too, which is only ever compared by meaning (test_kill_table).
ELSEWHERE = {row.id for row in seeded("network") if not row.lawful} - LAWFUL


def failed(report: ValidationReport) -> set[str]:
    """The names of the checks that failed."""
    return {check.name for check in report.checks if check.verdict == "fail"}


def test_the_names_are_known() -> None:
    """Every exception is about a mutant that there is."""
    assert OF_LINUX | LAWFUL | BY_NAME.keys() <= set(FRAME_CATALOG)
    assert set(ORACLES) >= {name for name in BY_NAME.values() if name in ORACLES}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_dies(mutant: str, own_driver: Path, linux_driver: Path, tmp_path: Path) -> None:
    """It fails shortly, fails again from its document, and the driver without the defect does not."""
    linux = mutant in OF_LINUX
    library, clean = mutated_driver(mutant, linux_3_11=linux), linux_driver if linux else own_driver
    report = validate_network(
        library, options=Options(quick=True, fail_fast=True, shrink_seconds=6.0, traces=tmp_path)
    )
    assert report.verdict == "fail"
    assert {BY_NAME.get(mutant, AGREEMENT)} <= failed(report)
    assert report.trace is not None
    document = load(report.trace)
    assert len(document.operations) <= 12
    assert replay_net(document, library).check == report.shows
    if not linux:  # the original fails clauses of its own
        assert not replay_net(document, clean).differs


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [each for each in MUTANTS if each not in OF_LINUX | ELSEWHERE])
def test_a_mutant_dies_by_meaning(mutant: str) -> None:
    """Without the reference beside it, by a clause or an oracle, but for those that are lawful."""
    library = mutated_driver(mutant)
    options = Options(quick=True, by_meaning=True, fail_fast=True, traces=None, shrink_seconds=1.0)
    names = failed(validate_network(library, options=options))
    if mutant in LAWFUL:
        assert not names
    else:
        assert BY_NAME.get(mutant, next(iter(names), "nothing")) in names
