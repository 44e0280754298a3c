"""The transmit path of both codes beside the model of a queue."""

from pathlib import Path

import pytest

from ringproof.impl import c, reference
from ringproof.patching import patched_copy
from ringproof.proofs.refinement import transmit_c, transmit_c_queues, transmit_invariants
from ringproof.proofs.refinement.refinement import Code

C = Path(c.__file__).parent
SHIPPED = Code(reference, C)


def test_what_it_starts_from_is_kept_by_every_step() -> None:
    """The invariants that are assumed hold in every setting."""
    found = transmit_invariants.check()
    assert len(found) > 20
    assert {each.verdict for each in found} == {"proved"}


@pytest.mark.parametrize("function", transmit_c.FUNCTIONS)
def test_linux_takes_the_models_steps(function: str) -> None:
    """Every way through the function is one of the model's, at every queue size."""
    found = transmit_c.check(SHIPPED, function, True)
    assert {each.verdict for each in found} == {"proved"}


def test_queues_are_made_ready() -> None:
    """Records, room and table of a queue, the bytes it needs, and which one a frame goes to."""
    found = transmit_c_queues.check(SHIPPED)
    assert len(found) > 50
    assert {each.verdict for each in found} == {"proved"}


@pytest.mark.parametrize("mutant", ["D9", "E19", "G3", "X14", "X23", "X24"])
def test_a_defect_of_start_xmit_is_found(mutant: str, tmp_path: Path) -> None:
    """A seeded defect leaves the model's steps."""
    sources = patched_copy(C, C / "mutants" / f"{mutant}.patch", tmp_path / "c")
    found = transmit_c.check(Code(reference, sources), "rp_net_start_xmit", True)
    assert "refuted" in {each.verdict for each in found}


def test_waking_blindly_is_found(tmp_path: Path) -> None:
    """The mended callback has to look at the room before it wakes the queue."""
    sources = patched_copy(C, C / "mutants" / "X25.patch", tmp_path / "c")
    found = transmit_c.check(Code(reference, sources), "rp_net_xmit_done", False)
    assert "refuted" in {each.verdict for each in found}


@pytest.mark.parametrize("mutant", ["E10", "X22"])
def test_a_defect_of_the_queues_is_found(mutant: str, tmp_path: Path) -> None:
    """Too little room, or a queue that is not in use."""
    sources = patched_copy(C, C / "mutants" / f"{mutant}.patch", tmp_path / "c")
    found = transmit_c_queues.check(Code(reference, sources))
    assert "refuted" in {each.verdict for each in found}
