"""The transmit path of both codes beside the model of a queue."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from ringproof.impl import c, reference
from ringproof.patching import patched_copy
from ringproof.proofs.refinement import (
    transmit_c,
    transmit_c_queues,
    transmit_invariants,
    transmit_reference,
    transmit_reference_queues,
)
from ringproof.proofs.refinement.deciding import Question, decide
from ringproof.proofs.refinement.examination import Examined
from ringproof.proofs.refinement.mapping_objects import module_of
from ringproof.proofs.refinement.refinement import Code

C = Path(c.__file__).parent
REFERENCE = Path(reference.__file__).parent
SHIPPED = Code(reference, C)


def _is_refuted(questions: Iterable[Question]) -> bool:
    return any(decide(each, finite=True).verdict == "refuted" for each in questions)


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


@pytest.mark.parametrize("mutant", ["E19", "G3", "X14", "X24"])
def test_a_defect_of_start_xmit_is_found(mutant: str, tmp_path: Path) -> None:
    """A seeded defect leaves the model's steps."""
    sources = patched_copy(C, C / "mutants" / f"{mutant}.patch", tmp_path / "c")
    assert _is_refuted(transmit_c.questions(module_of(sources, "virtio_net.c"), "rp_net_start_xmit", True))


def test_waking_blindly_is_found(tmp_path: Path) -> None:
    """The mended callback has to look at the room before it wakes the queue."""
    sources = patched_copy(C, C / "mutants" / "X25.patch", tmp_path / "c")
    assert _is_refuted(transmit_c.questions(module_of(sources, "virtio_net.c"), "rp_net_xmit_done", False))


@pytest.mark.parametrize("mutant", ["E10", "X22"])
def test_a_defect_of_the_queues_is_found(mutant: str, tmp_path: Path) -> None:
    """Too little room, or a queue that is not in use."""
    sources = patched_copy(C, C / "mutants" / f"{mutant}.patch", tmp_path / "c")
    found = transmit_c_queues.check(Code(reference, sources))
    assert "refuted" in {each.verdict for each in found}


def test_the_reference_takes_the_models_steps() -> None:
    """Every way through start_xmit, and through what frees what is left, is one of the model's."""
    for function in ("start_xmit", "free_unused_bufs"):
        found = transmit_reference.check(SHIPPED, function, True)
        assert len(found) > 20
        assert {each.verdict for each in found} == {"proved"}
    assert {each.verdict for each in transmit_reference_queues.check(SHIPPED)} == {"proved"}


@pytest.mark.parametrize("mutant", ["D9", "X23"])
def test_a_defect_of_the_reference_is_found(mutant: str, tmp_path: Path) -> None:
    """A seeded defect leaves the model's steps."""
    package = patched_copy(REFERENCE, REFERENCE / "mutants" / f"{mutant}.patch", tmp_path / "reference")
    assert _is_refuted(
        transmit_reference.questions(Examined(C, package).code("reference"), "start_xmit", True)
    )
