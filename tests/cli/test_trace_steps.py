"""``ringproof trace`` of what is seeded into the step-wise model alone: a run of it, in words and as JSON."""

import json
from pathlib import Path

import pytest

from ringproof.cli import run
from ringproof.commands.trace import mutant_named
from ringproof.model.steps.queue import Steps
from ringproof.proofs.mutants.registry import DESCRIBED, MUTANTS, STEPS_ONLY
from ringproof.traces import stepwise
from ringproof.traces.steps_document import from_json, load
from ringproof.traces.stepwise import broken_theorems, make_steps_trace

SHOWN = [mutant for mutant in STEPS_ONLY if broken_theorems(mutant)]


def test_a_run_is_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """What the defect is, that nothing replayed the run, the queue, its steps, and the theorems broken."""
    assert run(["trace", "d7"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[:2] == [f"D7: {DESCRIBED['D7'].title}", "  queue of 1, profile linux-3.11"]
    text = " ".join(shown.out.split())
    assert "not replayed: a run of the step-wise model" in text
    assert DESCRIBED["D7"].change in text
    assert "  1  switch callbacks on" in lines
    assert "       ! callbacks       yes -> no" in lines
    broken = {line.split(":")[0].removeprefix("! ") for line in lines if line.startswith("! ")}
    assert len(broken) > 1
    assert broken <= MUTANTS["D7"].kills


def test_a_run_as_json_and_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What --json prints is what -o writes: setting, each step in words, and what the last one broke."""
    path = tmp_path / "run.json"
    assert run(["trace", "A15", "--json", "-o", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown == path.read_text()
    document = load(path)
    assert document.text() == shown
    assert (document.mutant, document.property) == ("A15", "full-ring-refuses-cleanly")
    assert document.change == DESCRIBED["A15"].change
    assert document.states[-1].action == "add_refused"
    assert document.states[-1].values["words"].endswith("the ring is full")
    assert [each.theorem for each in document.broken] == ["full-ring-refuses-cleanly"]
    assert "refused only for want of descriptors" in document.violated


def test_a_file_that_cannot_be_written_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A folder that is not there is named, and exit code 2."""
    path = tmp_path / "absent" / "run.json"
    assert run(["trace", "A15", "-o", str(path)]) == 2
    complaint = capsys.readouterr().err
    assert str(path) in complaint
    assert complaint.count("\n") == 1


def test_no_run_found_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that ends without a run proves nothing: exit code 3, and what does show the defect."""
    monkeypatch.setattr(stepwise, "find", lambda *_: None)
    assert run(["trace", "X30"]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "ringproof prove table-filled-as-asked --kill" in shown.err


def test_what_breaks_no_step_wise_theorem_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A defect of creation, say, is in another model: one line with the theorem it breaks."""
    for mutant in [each for each in STEPS_ONLY if each not in SHOWN]:
        assert not MUTANTS[mutant].concerns(Steps)
        assert run(["trace", mutant]) == 2
        complaint = capsys.readouterr().err
        assert "breaks no theorem of the step-wise model" in complaint
        assert "ringproof prove" in complaint
        assert complaint.count("\n") == 1


def test_a_theorem_stands_for_what_an_implementation_carries_if_there_is_such_a_mutant() -> None:
    """A run that is replayed says more; else one of the step-wise model is shown."""
    assert mutant_named("token-once-never-early") == "X2"
    assert mutant_named("walks-end") not in STEPS_ONLY
    assert mutant_named("flags-stay-zero") == "X31"


@pytest.mark.slow
@pytest.mark.parametrize("mutant", SHOWN)
def test_every_mutant_of_single_statements_has_a_run(mutant: str) -> None:
    """A run is found, and what its last step breaks is of theorems that the kill table names."""
    found = make_steps_trace(mutant)
    assert found is not None
    assert {theorem.name for theorem, _ in found.broken()} <= MUTANTS[mutant].kills
    document = found.document()
    assert document.broken
    assert from_json(json.loads(document.text()), mutant) == document
