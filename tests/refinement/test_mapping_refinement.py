"""skb_to_sgvec of both codes beside the model's walk."""

from pathlib import Path

import pytest

from ringproof.impl import c, reference
from ringproof.patching import patched_copy
from ringproof.proofs.discharge import ObligationResult
from ringproof.proofs.refinement import mapping_c, mapping_entries, mapping_reference
from ringproof.proofs.refinement.examination import Examined
from ringproof.proofs.refinement.mapping_refinements import PACKET_REFINEMENTS
from ringproof.proofs.refinement.mapping_walk import Shape
from ringproof.proofs.refinement.refinement import Code

C = Path(c.__file__).parent
REFERENCE = Path(reference.__file__).parent
SHIPPED = Code(reference, C)
SMALL = (Shape(1), Shape(0, (Shape(),)))


@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_small_packets_are_walked_through_as_the_model_does(shape: Shape) -> None:
    """Both codes name the model's bytes, mark the last entry, and refuse what it refuses."""
    for room in (mapping_c, mapping_reference):
        found = room.check(SHIPPED, shape)
        assert len(found) > 10
        assert {each.verdict for each in found} == {"proved"}


def test_single_entries_are_what_their_comments_say() -> None:
    """Setting, marking, counting and reading entries; the pieces of a packet are counted up to the limits."""
    found = [*mapping_entries.check(SHIPPED), *mapping_c.check_limits(SHIPPED)]
    assert {each.verdict for each in found} == {"proved"}


@pytest.mark.parametrize("mutant", ["E11", "X13"])
def test_a_defect_of_c_is_found(mutant: str, tmp_path: Path) -> None:
    """A seeded defect refutes it, with a packet as counterexample."""
    sources = patched_copy(C, C / "mutants" / f"{mutant}.patch", tmp_path / "c")
    _shows_a_packet(mapping_c.check(Code(reference, sources), Shape()))


@pytest.mark.parametrize(("mutant", "shape"), [("X11", SMALL[0]), ("X12", SMALL[1])])
def test_a_defect_of_the_reference_is_found(mutant: str, shape: Shape, tmp_path: Path) -> None:
    """So it is with the Python reference."""
    package = patched_copy(REFERENCE, REFERENCE / "mutants" / f"{mutant}.patch", tmp_path / "reference")
    _shows_a_packet(mapping_reference.check(Examined(C, package).code("reference"), shape))


def _shows_a_packet(found: list[ObligationResult]) -> None:
    refuted = [each for each in found if each.verdict == "refuted"]
    assert refuted
    assert all(each.counterexample and "packet" in each.counterexample for each in refuted)


def test_each_part_knows_what_it_is_made_of() -> None:
    """The key of each part is a text; that of the C header doesn't change with the C walk."""
    keys = {part.key(SHIPPED) for claim in PACKET_REFINEMENTS for part in claim.parts}
    assert all(keys)
    assert len(keys) >= 5
