"""skb_to_sgvec of both codes beside the model's walk."""

from pathlib import Path

import pytest

from ringproof.impl import c, reference
from ringproof.patching import patched_copy
from ringproof.proofs.refinement import mapping_c, mapping_entries, mapping_reference
from ringproof.proofs.refinement.examination import Examined
from ringproof.proofs.refinement.mapping_refinements import PACKET_REFINEMENTS
from ringproof.proofs.refinement.mapping_walk import Shape
from ringproof.proofs.refinement.refinement import Code

C = Path(c.__file__).parent
REFERENCE = Path(reference.__file__).parent
SHIPPED = Code(reference, C)
SMALL = (Shape(1), Shape(0, (Shape(),)))
FOUND_BY = {"E11": SMALL[0], "X11": SMALL[0], "X12": SMALL[1], "X13": Shape()}


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


@pytest.mark.parametrize("mutant", FOUND_BY)
def test_a_defect_is_found(mutant: str, tmp_path: Path) -> None:
    """A seeded defect refutes both, with a packet as counterexample."""
    sources = patched_copy(C, C / "mutants" / f"{mutant}.patch", tmp_path / "c")
    package = patched_copy(REFERENCE, REFERENCE / "mutants" / f"{mutant}.patch", tmp_path / "reference")
    code = Examined(sources, package).code("reference")
    for room in (mapping_c, mapping_reference):
        found = [each for each in room.check(code, FOUND_BY[mutant]) if each.verdict == "refuted"]
        assert found
        assert all(each.counterexample and "packet" in each.counterexample for each in found)


def test_each_part_knows_what_it_is_made_of() -> None:
    """The key of each part is a text; that of the C header doesn't change with the C walk."""
    keys = {part.key(SHIPPED) for claim in PACKET_REFINEMENTS for part in claim.parts}
    assert all(keys)
    assert len(keys) >= 5
