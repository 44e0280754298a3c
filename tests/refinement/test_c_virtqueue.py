"""The shipped virtqueue.c takes the model's steps, and what is guessed of its loops can fail."""

from pathlib import Path

import pytest

from ringproof.building import c_sources
from ringproof.model.steps.queue import Steps
from ringproof.proofs.refinement import c_virtqueue
from ringproof.proofs.refinement.c_following import Claim, Readings
from ringproof.proofs.refinement.c_memory import Memory
from ringproof.proofs.refinement.c_operations import OPERATIONS, Operation
from ringproof.proofs.refinement.c_virtqueue import C_REFINEMENTS, examine, run
from ringproof.proofs.refinement.refinement import Code
from ringproof.proofs.symbolic.errors import Unmodelled
from ringproof.proofs.symbolic.ir import Module

WITHOUT_LOOPS = (
    "kick_prepare", "notify", "kick", "disable_cb", "enable_cb_prepare", "poll",
    "enable_cb", "enable_cb_delayed", "interrupt",
)  # fmt: skip


def _module() -> Module:
    return c_virtqueue.virtqueue_ir(c_sources())


def _operation(function: str) -> Operation:
    return next(each for each in OPERATIONS if each.function == f"rp_vq_{function}")


@pytest.mark.parametrize("function", WITHOUT_LOOPS)
def test_functions_without_loops_are_the_model(function: str) -> None:
    """Of every queue size, all that the function owes is proved."""
    results = examine(_module(), _operation(function), None)
    assert results
    assert {result.verdict for result in results} == {"proved"}


def test_a_loop_is_the_model_on_one_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reset the scan for chains, both its loops cut, is the model's; what fails is struck off."""
    asked: list[set[tuple[str, str, str]]] = []

    def noted(module: Module, operation: Operation, model: Steps, readings: Readings) -> c_virtqueue.Run:
        found = run(module, operation, model, readings)
        asked.append({(each.loop, each.variable, each.reading) for each in found.claims})
        return found

    monkeypatch.setattr(c_virtqueue, "run", noted)
    results = examine(_module(), _operation("detach_unused_buf"), 1)
    assert {result.verdict for result in results} == {"proved"}
    assert any(": loop: " in result.label for result in results)
    assert "some path returns" in results[-1].label
    kept = asked[-1]
    assert kept
    assert set().union(*asked) > kept
    assert not (asked[0] - asked[1]) & kept


def test_without_guesses_nothing_is_proved_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all guesses struck off the same question fails: the loops' proofs rest on them."""

    def fails(memory: Memory, claim: Claim, known: object) -> bool:
        del memory, claim, known
        return False

    monkeypatch.setattr(c_virtqueue, "_holds", fails)
    results = examine(_module(), _operation("detach_unused_buf"), 1)
    assert any(result.verdict != "proved" for result in results)


def test_a_function_that_is_not_there_is_missing(tmp_path: Path) -> None:
    """Sources without the function are named as such, never proved."""
    (tmp_path / "virtqueue.c").write_text("int nothing(void) { return 0; }\n")
    part = C_REFINEMENTS[0].parts[0]
    code = Code(reference=c_virtqueue, c=tmp_path)
    assert part.key(code) == "no rp_vq_add"
    with pytest.raises(Unmodelled, match=r"virtqueue\.c defines no function rp_vq_add"):
        part.check(code)
