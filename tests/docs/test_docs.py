"""The documents say what is there."""

import re
from pathlib import Path

import pytest

from ringproof.proofs.mutants.registry import DESCRIBED, MUTANTS
from ringproof.proofs.theorems import THEOREMS

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "docs/abi.md",
    "docs/decisions.md",
    "docs/journey.md",
    "docs/map.md",
    "docs/mutants.md",
    "docs/validate.md",
    "examples/README.md",
)


def test_map_is_short() -> None:
    """The map stays under 100 lines."""
    assert len((ROOT / "docs/map.md").read_text().splitlines()) < 100


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_exist(name: str) -> None:
    """Every file that a document names, by a path from the root or as a link, exists."""
    text = (ROOT / name).read_text()
    rooms = r"`((?:model|proofs|impl|ringproof|docs|tests|bench)/[\w./-]*)`"
    links = {str((ROOT / name).parent / link) for link in re.findall(r"\]\(([\w./-]+)\)", text)}
    # ID stands for the id of any mutant.
    paths = {str(ROOT / path).replace("ID.patch", "A1.patch") for path in re.findall(rooms, text)} | links
    assert [path for path in sorted(paths) if not Path(path).exists()] == []


def test_mutants_page_agrees_with_the_proofs() -> None:
    """The page lists every mutant with the theorems that the kill table says it breaks."""
    rows = [line.split(" | ") for line in (ROOT / "docs/mutants.md").read_text().splitlines()]
    listed = {row[0].removeprefix("| "): set(row[2].split(", ")) for row in rows if len(row) == 5}
    del listed["id"]
    assert listed == {mutant: set(MUTANTS[mutant].kills) for mutant in DESCRIBED}


def test_readme_counts() -> None:
    """The README's numbers of theorems, obligations and mutants are those of the code."""
    text = (ROOT / "README.md").read_text()
    obligations = sum(len(theorem.obligations) for theorem in THEOREMS.values())
    findings = sum(theorem.expected == "refuted" for theorem in THEOREMS.values())
    assert f"{len(THEOREMS) - findings} theorems and {findings} findings, {obligations} obligations" in text
    assert f"{len(DESCRIBED)} seeded defects" in text
