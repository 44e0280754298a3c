"""Every defect seeded into an example driver is found by a check that names it; without one none is."""

import re
from pathlib import Path

import pytest

from bench.kills import ELSEWHERE
from bench.seeded import EXAMPLES, Seeded, kill, seeded
from ringproof.building import build_driver
from ringproof.validation import hostile
from ringproof.validation.examination import examine
from ringproof.validation.options import Options
from ringproof.validation.registry import DEMANDS
from ringproof.validation.standing import judging

ROWS = list(seeded())
DEFECTS = [row for row in ROWS if not row.lawful]
HOSTILE_SECONDS = 1.5  # enough here: each injection is made some times however long it takes


def _name(row: Seeded) -> str:
    return f"{row.driver}-{row.id}"


def _chosen(id: str) -> Seeded:
    """One of the rows of a defect, not always of the same driver."""
    rows = [row for row in DEFECTS if row.id == id]
    return rows[IDS.index(id) % len(rows)]


IDS = sorted({row.id for row in DEFECTS})
CHOSEN = {id: _chosen(id) for id in IDS}
FIRST = {CHOSEN[id].caught[0]: id for id in reversed(IDS)}
"""By check, the first defect that it is to notice before any other."""


@pytest.mark.slow
@pytest.mark.parametrize("id", sorted(FIRST.values()))
def test_a_seeded_defect_dies(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick validation up to the first failure fails a check that the table names.

    For each check one defect, in one of the drivers that it is seeded into; ``make kills`` tries all of them
    in all drivers, and fails if one survives.
    """
    defect = CHOSEN[id]
    monkeypatch.setattr(hostile, "QUICK_SECONDS", HOSTILE_SECONDS)
    found = kill(defect)
    assert found.died, f"{found.failed} failed, none of {defect.caught}"


@pytest.mark.slow
def test_a_driver_without_defect_passes() -> None:
    """Nothing fails, from another seed than usual; ``make bench`` tries many of them, and every driver."""
    library = build_driver(EXAMPLES / "minimal")
    report = examine(library, options=Options(quick=True, seed=1, traces=None))
    assert [check for check in report.checks if check.verdict == "fail"] == []
    assert report.verdict == "pass"


def test_the_table_names_checks_that_exist() -> None:
    """What is to catch a defect is a clause, or the name of a check."""
    known = {name for names in judging().values() for name in names} | DEMANDS.keys()
    text = "\n".join(
        path.read_text() for path in Path(EXAMPLES.parent, "ringproof", "validation").glob("*.py")
    )
    for row in DEFECTS:
        for name in row.caught:
            assert name in known or re.search(rf'"{re.escape(name)}"', text), (_name(row), name)
    assert not ELSEWHERE.keys() & {row.id for row in DEFECTS}


def test_each_defect_has_a_patch_and_each_lawful_row_a_reason() -> None:
    """Patches and rows belong together."""
    patches = {f"{path.parents[1].name}-{path.stem}" for path in EXAMPLES.glob("*/mutants/*.patch")}
    assert patches == {_name(row) for row in DEFECTS}
    assert all(row.caught and row.title for row in DEFECTS)
