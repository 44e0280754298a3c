"""The virtqueue's machine code does what the model does, and code with a defect does not."""

from pathlib import Path

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.patching import mutated_driver
from ringproof.proofs.machine.errors import Missing
from ringproof.proofs.machine.layout import layouts
from ringproof.proofs.machine.replay import replay
from ringproof.proofs.machine.virtqueue import MACHINE_REFINEMENTS, examine
from ringproof.proofs.refinement.refinement import Code


@pytest.fixture(scope="module")
def shipped() -> Path:
    """The shipped driver, built."""
    return build_driver(c_sources())


@pytest.mark.parametrize("name", ["rp_vq_poll", "rp_vq_kick_prepare"])
def test_machine_code_takes_the_models_steps(shipped: Path, name: str) -> None:
    """Whatever state the invariants allow, at queue size 4, and whatever the device writes meanwhile."""
    results = examine(shipped, name)
    assert {result.verdict for result in results} == {"proved"}, results
    assert "the paths together are all there are" in [result.label for result in results]


def test_a_defect_is_found_and_shown_by_the_processor(shipped: Path) -> None:
    """A kick that does not count anew: refuted, and the counterexample run natively shows the word."""
    library = mutated_driver("X1")
    refuted = [result for result in examine(library, "rp_vq_kick_prepare") if result.verdict == "refuted"]
    shown = refuted[0].counterexample
    assert shown is not None
    assert shown["word"]["name"] == "vq.num_added"
    assert replay(library, shown)["word"] == shown["word"]["found"] != shown["word"]["expected"]
    assert replay(shipped, shown)["word"] == shown["word"]["expected"]


def test_a_run_that_dies_is_told(shipped: Path) -> None:
    """A replay that the processor cannot finish says how it ended, and takes nobody along."""
    memory = [{"name": "vq.desc", "address": 0x10, "size": 8, "value": 0}]
    shown = {"function": "rp_vq_poll", "arguments": [0, 0], "memory": memory, "no_notify": False,
             "used_idx": 0, "used_ring": [], "avail_event": 0, "segments": [], "table": 0}  # fmt: skip
    assert list(replay(shipped, shown)) == ["died"]


def test_fields_lie_where_the_compiler_says(shipped: Path) -> None:
    """Offsets come from the debug information; a struct without a field that is needed is named."""
    assert layouts(shipped, {"rp_vq_segment": ("address", "length")})["rp_vq_segment"]["length"] == (8, 4)
    with pytest.raises(Missing, match="struct rp_vq has no field tail"):
        layouts(shipped, {"rp_vq": ("tail",)})


def test_there_is_a_claim_for_each_function_and_none_without_a_library() -> None:
    """Claims name their function and size; without a library they say so in one line."""
    assert len({claim.name for claim in MACHINE_REFINEMENTS}) == 11
    import ringproof.impl.reference as reference

    for claim in MACHINE_REFINEMENTS:
        assert (claim.code, claim.sizes, len(claim.parts)) == ("machine code", (4,), 1)
        with pytest.raises(Missing, match="no shared library"):
            claim.parts[0].check(Code(reference, c_sources()))
