"""Every clause of the split virtqueue is mapped to theorems, or says why not."""

import pytest

from ringproof.proofs.clause_table import CLAUSE_TABLE
from ringproof.proofs.theorems import THEOREMS
from ringproof.validation.clauses import CLAUSES

IDS = [
    "2.7/n1", "2.7/n2", "2.7/n3", "2.7.1a", "2.7.2a", "2.7.2b", "2.7.2c",
    "2.7.3a", "2.7.4.2a", "2.7.4.2b", "2.7.5/n1", "2.7.5/n2", "2.7.5/n3", "2.7.5/n4",
    "2.7.5.2a", "2.7.5.2b", "2.7.5.2c", "2.7.5.3/n1", "2.7.5.3/n2", "2.7.5.3.1a", "2.7.5.3.1b",
    "2.7.5.3.1c", "2.7.5.3.1d", "2.7.5.3.1e", "2.7.6/n1", "2.7.6/n2", "2.7.6.1a", "2.7.7.1a",
    "2.7.7.1b", "2.7.7.1c", "2.7.7.1d", "2.7.7.1e", "2.7.8.3a", "2.7.8.3b", "2.7.9/n1",
    "2.7.10.1a", "2.7.10.1b", "2.7.10.1c", "2.7.10.1d", "2.7.10.1e", "2.7.10.1f", "2.7.10.1g",
    "2.7.13/n1", "2.7.13/n2", "2.7.13/n3", "2.7.13/n4", "2.7.13.1/n1", "2.7.13.3/n1", "2.7.13.3.1a",
    "2.7.13.4.1a", "2.7.14/n1", "2.7.14/n2",
]  # fmt: skip
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY", "desc"}


def test_every_clause_is_there() -> None:
    """The table has the 52 clauses of sections 2.7 to 2.7.14, and no others, each once and by its own id."""
    assert list(CLAUSE_TABLE) == IDS
    assert len(IDS) == len(set(IDS)) == 52
    assert all(row.id == clause for clause, row in CLAUSE_TABLE.items())


def test_theorems_or_a_reason() -> None:
    """Each clause has theorems or a reason why not, never neither or both; only theorems leave something."""
    for row in CLAUSE_TABLE.values():
        assert bool(row.theorems) != bool(row.reason), row.id
        assert row.theorems or not row.note, row.id
        assert len(set(row.theorems)) == len(row.theorems), row.id


def test_theorems_exist() -> None:
    """Every theorem named is one that is there."""
    named = {name for row in CLAUSE_TABLE.values() for name in row.theorems}
    assert named - THEOREMS.keys() == set()


def test_findings_come_with_what_holds() -> None:
    """Where a finding says that Linux 3.11 breaks a clause, some theorem says who keeps it."""
    for row in CLAUSE_TABLE.values():
        findings = {name for name in row.theorems if THEOREMS[name].expected == "refuted"}
        assert not findings or set(row.theorems) - findings, row.id


@pytest.mark.parametrize("name", [name for name, theorem in THEOREMS.items() if theorem.clause[:3] == "2.7"])
def test_a_theorems_own_clause_lists_it(name: str) -> None:
    """A theorem that cites a clause of section 2.7 is listed with that clause."""
    assert name in CLAUSE_TABLE[THEOREMS[name].clause].theorems


def test_levels() -> None:
    """Every level is one there is, a permission is never proved, and validate has the same levels."""
    for row in CLAUSE_TABLE.values():
        assert row.level in LEVELS, row.id
        assert ("/n" in row.id) <= (row.level in ("desc", "MAY")), row.id
        assert row.level != "MAY" or not row.theorems, row.id
        assert row.id not in CLAUSES or CLAUSES[row.id].level == row.level, row.id


def test_words_are_sentences() -> None:
    """The words of each clause are one sentence; reasons and notes are parts of one."""
    for row in CLAUSE_TABLE.values():
        assert row.words.endswith("."), row.id
        assert not (row.reason + row.note).endswith("."), row.id
