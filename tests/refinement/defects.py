"""Copies of virtqueue.c with a defect, and what a claim's parts make of them."""

from pathlib import Path

from ringproof.building import c_sources
from ringproof.impl import reference
from ringproof.patching import patched_copy
from ringproof.proofs.discharge import ObligationResult
from ringproof.proofs.refinement.refinement import Code, Refinement

Defect = tuple[str, str] | str
"""A text of virtqueue.c and what it is replaced by, or the id of a shipped patch."""


def seeded(folder: Path, defect: Defect) -> Path:
    """Return a copy of the C sources with a defect."""
    shipped = c_sources()
    if isinstance(defect, str):
        return patched_copy(shipped, shipped / "mutants" / f"{defect}.patch", folder / "c")
    (folder / "c").mkdir()
    for header in shipped.glob("v*.h"):
        (folder / "c" / header.name).write_text(header.read_text())
    text = (shipped / "virtqueue.c").read_text()
    assert text.count(defect[0]) == 1
    (folder / "c" / "virtqueue.c").write_text(text.replace(*defect))
    return folder / "c"


def verdicts(claim: Refinement, label: str, sources: Path) -> list[ObligationResult]:
    """Return what a part of a claim says of sources."""
    (part,) = (each for each in claim.parts if each.label == label)
    return list(part.check(Code(reference, sources)))


def refuted(results: list[ObligationResult]) -> list[ObligationResult]:
    """Return those refuted; each has to say where it goes wrong, and on what."""
    found = [each for each in results if each.verdict == "refuted"]
    for each in found:
        assert each.counterexample is not None
        assert each.counterexample["at"].startswith(("virtqueue.c:", "vring.h:"))
        assert each.counterexample["owed"]
    return found
