"""What proofs cost is recorded, the same on every run, and a drift is told with the way to accept it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ringproof.proofs import pool, resources, solver
from ringproof.proofs.discharge import Task, TaskResult
from ringproof.proofs.engine import prove
from ringproof.proofs.pool import Failure
from ringproof.proofs.resources import ACCEPT, FLOOR, BadRecordError, Figures, Measured, drifts, measure, read
from ringproof.proofs.theorems import THEOREMS

SOME = ["slot-injective", "bad-ring-never", "header-size-linux-3.11", "need-event-exact"]


def _figures(names: list[str], jobs: int = 2) -> dict[str, Figures]:
    return {each.name: each.figures for each in measure(names, jobs=jobs)}


def _with(figures: Figures, figure: str, count: int) -> Figures:
    """The figures with one of them falsified."""
    return Figures(**{**asdict(figures), figure: count})


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_cost_has_drifted() -> None:
    """Each theorem is proved, and not vacuously, each finding refuted, at most at twice its cost."""
    found = list(measure())
    assert {each.name for each in found} == THEOREMS.keys()
    assert [each.surprise for each in found if each.surprise] == []
    told = drifts({each.name: each.figures for each in found}, read())
    assert not told, "\n".join(told)


def test_no_sampled_cost_has_drifted() -> None:
    """Some theorems, proved afresh, cost what is recorded."""
    record = read()
    told = drifts(_figures(SOME), {name: record[name] for name in SOME if name in record})
    assert not told, "\n".join(told)


def test_every_theorem_is_recorded() -> None:
    """A theorem that nobody has recorded fails with the instruction that a drift fails with."""
    record = read()
    missing = {name: Figures(0, 0, 0, "") for name in THEOREMS if name not in record}
    told = drifts(missing, {name: record[name] for name in record if name not in THEOREMS})
    assert not told, "\n".join(told)


def test_costs_do_not_depend_on_processes_or_the_hash_seed() -> None:
    """One process, two, or one with another hash seed: every figure is exactly the same."""
    one = _figures(SOME, jobs=1)
    assert _figures(SOME, jobs=2) == one
    script = (
        "from ringproof.proofs.resources import measure\n"
        f"print(sorted(repr((each.name, each.figures)) for each in measure({SOME!r}, jobs=1)))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == str(sorted(repr(entry) for entry in one.items()))


def test_costs_are_those_that_prove_reports() -> None:
    """Proof and witness add up to the resources of a proof run, and the dearest obligation is its dearest."""
    figures = _figures(SOME)
    for result in prove(SOME, jobs=2).theorems:
        mine = figures[result.name]
        assert mine.proof + mine.witness == result.rlimit
        assert mine.dearest == max(entry.rlimit for entry in result.details)
        assert mine.obligation in {entry.label for entry in result.details if entry.rlimit == mine.dearest}


@pytest.mark.parametrize("figure", ["proof", "witness", "dearest"])
@pytest.mark.parametrize(("times", "complaint"), [(0.45, "2.2 times as much"), (2.2, "2.2 times less")])
def test_a_doctored_record_is_told(figure: str, times: float, complaint: str) -> None:
    """A recorded figure of less than half, or more than twice, the true one is a drift; others are not."""
    (name,) = {"proof": ["slot-injective"], "dearest": ["slot-injective"], "witness": ["bad-ring-never"]}[
        figure
    ]
    present = _figures([name], jobs=1)
    true = getattr(present[name], figure)
    assert true > 4 * FLOOR
    (line,) = drifts(present, {name: _with(present[name], figure, int(true * times))})
    assert f"{true:,}" in line
    assert f"{int(true * times):,}" in line
    assert complaint in line
    assert line.startswith(f"{name}: ")
    assert line.endswith(f"{ACCEPT} {name}")
    for within in (0.6, 1.0, 1.9):
        assert drifts(present, {name: _with(present[name], figure, int(true * within))}) == ()


def test_tiny_costs_do_not_drift() -> None:
    """Below the floor a factor says nothing; across it, it does."""
    small, large = Figures(10, 0, 10, "x"), Figures(FLOOR - 1, FLOOR, FLOOR - 2, "y")
    assert drifts({"bad-ring-never": large}, {"bad-ring-never": small}) == ()
    grown = replace(large, proof=2 * FLOOR + 1)
    (line,) = drifts({"bad-ring-never": grown}, {"bad-ring-never": small})
    assert "the proof costs 20,001, and 10 is recorded" in line


def test_a_theorem_without_record_and_a_record_without_theorem_are_told() -> None:
    """Neither a new theorem nor one that has gone passes unnoticed; both lines say what to do."""
    figures = Figures(1, 2, 1, "x")
    new, gone = drifts({"bad-ring-never": figures}, {"no-such-thing": figures})
    assert new == f"bad-ring-never: no cost is recorded; to record it: {ACCEPT} bad-ring-never"
    assert gone == f"no-such-thing: there is a record, but no such theorem; to drop it: {ACCEPT}"


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD",
        "[]",
        "{}",
        '{"solver": "z3 4.8.5", "theorems": {}}',
        '{"solver": "z3 5.4.0", "theorems": []}',
        '{"solver": "z3 5.4.0", "theorems": {"x": {"proof": 1}}}',
        '{"solver": "z3 5.4.0", "theorems": '
        '{"x": {"proof": "1", "witness": 1, "dearest": 1, "obligation": "y"}}}',
    ],
)
def test_a_damaged_record_is_one_clear_line(tmp_path: Path, text: str) -> None:
    """What is no record, or another solver's, is named together with the command that writes it anew."""
    place = tmp_path / "resources.json"
    place.write_text(text)
    with pytest.raises(BadRecordError) as told:
        read(place)
    assert str(place) in str(told.value)
    assert str(told.value).endswith(ACCEPT)
    assert "\n" not in str(told.value)


def test_no_record_at_all_is_one_clear_line(tmp_path: Path) -> None:
    """A file that is missing is named, too."""
    with pytest.raises(BadRecordError, match="no record of costs"):
        read(tmp_path / "resources.json")


def test_accepting_makes_a_drift_go_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A doctored record fails with exit code 1 and the command; that command repairs just the one entry."""
    place = tmp_path / "resources.json"
    monkeypatch.setattr(resources, "RECORD", place)
    true = _figures(["bad-ring-never", "slot-injective"])
    resources.write({name: replace(entry, proof=entry.proof * 9) for name, entry in true.items()})
    assert resources.main(["bad-ring-never"]) == 1
    said = capsys.readouterr().out.strip()
    assert said.endswith(f"{ACCEPT} bad-ring-never")
    assert resources.main([*said.split(ACCEPT)[1].split(), "--accept"]) == 0
    assert resources.main(["bad-ring-never"]) == 0
    assert read()["bad-ring-never"] == true["bad-ring-never"]
    assert read()["slot-injective"].proof == 9 * true["slot-injective"].proof
    assert json.loads(place.read_text())["solver"] == solver.NAME


def test_what_is_not_proved_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A theorem that is unknown, its worker dead, leaves the record as it is: exit code 3 and the reason."""
    place = tmp_path / "resources.json"
    monkeypatch.setattr(resources, "RECORD", place)
    resources.write({"bad-ring-never": Figures(3, 2, 1, "x")})
    before = place.read_text()

    def run(_: object, tasks: list[Task], *__: object) -> list[tuple[Task, TaskResult | Failure]]:
        return [(task, Failure("the worker process died (exit code -9)")) for task in tasks]

    monkeypatch.setattr(pool, "run", run)
    assert resources.main(["--accept", "bad-ring-never"]) == 3
    assert "bad-ring-never is unknown, not proved (the worker process died" in capsys.readouterr().err
    assert place.read_text() == before


def test_a_surprise_is_told_whatever_it_costs() -> None:
    """A theorem refuted against its announcement is no cost to be accepted."""
    assert Measured("bad-ring-never", Figures(1, 1, 1, ""), "refuted").surprise == (
        "bad-ring-never is refuted, not proved"
    )
    assert Measured("header-size-linux-3.11", Figures(1, 1, 1, ""), "refuted").surprise == ""


def test_the_command_line_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name nobody knows is exit code 2, another solver 3."""
    with pytest.raises(SystemExit) as left:
        resources.main(["no-such-thing"])
    assert left.value.code == 2
    assert "no theorem is named no-such-thing" in capsys.readouterr().err
    monkeypatch.setattr(solver, "PINNED", "4.8.5")
    assert resources.main(["bad-ring-never"]) == 3
    assert "needs z3-solver 4.8.5.0" in capsys.readouterr().err
