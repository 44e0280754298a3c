"""The command line: exit codes, one-line errors, and the JSON that other programs read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringproof.cli import run
from ringproof.proofs.mutants.registry import DESCRIBED, STEPS_ONLY
from ringproof.proofs.theorems import THEOREMS
from ringproof.validation.clauses import CLAUSES
from ringproof.validation.net_campaign import net_checks


def _complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Runs a command that must end with exit code 2, nothing on standard output and one line of complaint."""
    assert run([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("ringproof: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_no_verb_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a verb the help names all of them and the exit codes."""
    run(["--help"])
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in ("prove", "trace", "validate", "replay", "explain", "build", "demo"))
    assert "3 something is unknown" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("prove", "free-list-sund"), "did you mean free-list-sound?"),
        (("trace", "b1"), None),
        (("trace", "B99"), "did you mean"),
        (("build", "--mutant", "A99"), "did you mean"),
        (("explain", "num-fre-exact"), "did you mean num-free-exact?"),
    ],
)
def test_unknown_name_suggests_the_nearest(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], hint: str | None
) -> None:
    """A name nobody knows is one line with the nearest known one; case does not matter for mutants."""
    if hint is None:
        assert run([*arguments, "--json"]) == 0
    else:
        assert hint in _complaint(capsys, *arguments)


@pytest.mark.parametrize("mutant", STEPS_ONLY)
def test_a_mutant_of_the_proofs_has_no_driver(capsys: pytest.CaptureFixture[str], mutant: str) -> None:
    """What only the proofs have is told in one line, with the theorem that shows it."""
    assert "is in no driver" in _complaint(capsys, "build", "--mutant", mutant)
    assert run(["explain", mutant]) == 0
    assert "counterexample: ringproof prove" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["0", "3", "65536", "-4"])
def test_impossible_queue_sizes(capsys: pytest.CaptureFixture[str], size: str) -> None:
    """No queue has size 0, 3, 65536 or less than none; the line says which are possible."""
    line = _complaint(capsys, "validate", "--queue-size", size, "lib.so")
    assert size in line
    assert "power of two" in line


def test_usage_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown option and a missing argument are one line each, with where to read more."""
    assert "--help" in _complaint(capsys, "prove", "--fats")
    assert "--help" in _complaint(capsys, "validate")
    assert "Missing argument" in _complaint(capsys, "trace")


def test_library_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A missing file, a text file and a folder are no drivers: exit code 2, one line naming the file."""
    text = tmp_path / "notes.so"
    text.write_text("not a library")
    for path in (tmp_path / "absent.so", text, tmp_path):
        assert str(path) in _complaint(capsys, "validate", path)


def test_unusable_library_in_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With --json what could not be tested is a document of verdict error, and exit code 2."""
    assert run(["validate", "--json", str(tmp_path / "absent.so")]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "error"
    assert report["trace"] is None


def test_no_compiler(tmp_path: Path) -> None:
    """Without a C compiler, building is one line and exit code 2."""
    environment = {**os.environ, "CC": "", "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "ringproof", "build"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no C compiler" in done.stderr
    assert done.stderr.count("\n") == 1


def test_source_without_c(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A source folder that is missing, empty or does not compile is one line saying where."""
    assert "no such directory" in _complaint(capsys, "validate", "--source", tmp_path / "absent")
    assert "no C source" in _complaint(capsys, "validate", "--source", tmp_path)
    (tmp_path / "driver.c").write_text("int f(void) { return }\n")
    assert "driver.c:1" in _complaint(capsys, "validate", "--source", tmp_path)


def test_bad_traces(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A trace that is missing, no JSON, cut short or something else is one line naming the file."""
    trace = tmp_path / "trace.itf.json"
    assert str(trace) in _complaint(capsys, "replay", trace)
    for text in ("", "{", "[]", '{"#meta": {}, "vars": [], "states": []}'):
        trace.write_text(text)
        assert str(trace) in _complaint(capsys, "replay", trace)


def test_prove_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The keys of prove's JSON, and that a proof looked at its hypotheses."""
    assert run(["prove", "need-event-exact", "num-free-exact", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"theorems", "seconds", "solver"} <= report.keys()
    assert [theorem["name"] for theorem in report["theorems"]] == ["num-free-exact", "need-event-exact"]
    for theorem in report["theorems"]:
        keys = {"name", "title", "verdict", "expected", "seconds", "rlimit", "obligations", "vacuous"}
        assert keys <= theorem.keys()
        assert theorem["verdict"] == theorem["expected"] == "proved"
        assert theorem["vacuous"] is False
        assert "mutants_killed" not in theorem


def test_fast_is_honest_about_vacuity(capsys: pytest.CaptureFixture[str]) -> None:
    """A fast run does not claim to have looked whether hypotheses can hold."""
    assert run(["prove", "num-free-exact", "--fast", "--json"]) == 0
    (theorem,) = json.loads(capsys.readouterr().out)["theorems"]
    assert theorem["vacuous"] is None


def test_starved_proof_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Without resources a theorem is unknown, which is exit code 3 and never a pass."""
    assert run(["prove", "free-list-sound", "--budget", "1", "--json"]) == 3
    (theorem,) = json.loads(capsys.readouterr().out)["theorems"]
    assert theorem["verdict"] == "unknown"


def test_explain_knows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """Every theorem and every mutant can be explained, and the overview lists them."""
    assert run(["explain"]) == 0
    overview = capsys.readouterr().out
    for name in (*THEOREMS, *DESCRIBED):
        assert name in overview
        assert run(["explain", name]) == 0
        assert name in capsys.readouterr().out


def test_explain_knows_the_network_driver(capsys: pytest.CaptureFixture[str]) -> None:
    """Every check and clause of whole network drivers is explained by the name that a report gives it."""
    assert run(["explain"]) == 0
    overview = capsys.readouterr().out
    named = {name: rule.words for name, rule in net_checks().items()}
    named |= {f"clause-{clause.id}": clause.words for clause in CLAUSES.values()}
    named |= {clause.id: clause.words for clause in CLAUSES.values()}
    for name, words in named.items():
        assert name.removeprefix("clause-") in overview
        assert run(["explain", name]) == 0
        told = capsys.readouterr().out
        assert name.removeprefix("clause-") in told
        assert words in told


def test_explain_tells_levels(capsys: pytest.CaptureFixture[str]) -> None:
    """A MUST fails, a SHOULD warns, what cannot be observed says why; a section is all of its clauses."""
    for name, words in (
        ("5.1.6.2.1p", "MUST: a driver fails"),
        ("clause-2.7.10.1c", "SHOULD NOT: a warning"),
        ("2.7.13.3.1a", "the order of the driver's memory accesses"),
        ("2.7.3a", "judged  never: every guest here is little endian"),
        ("2.7.9/n1", "decided All that the device may have written"),
        ("frames-fit", "a warning where it does not hold"),
        ("2.7.10.1", "2.7.10.1g"),
        ("abi", "ringproof_net_driver.h"),
    ):
        assert run(["explain", name]) == 0
        assert words in capsys.readouterr().out
    assert "did you mean frames-taken?" in _complaint(capsys, "explain", "frame-taken")
    assert len(_complaint(capsys, "explain", "9.9.9")) < 200


def test_no_solver(tmp_path: Path) -> None:
    """Without Z3 the tool says so in one line and ends with exit code 3."""
    (tmp_path / "z3.py").write_text("raise ImportError('No module named z3')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "ringproof", "prove"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == "ringproof: cannot start: No module named z3\n"


def test_part_of_the_proof_says_what_it_rests_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A theorem proved alone names the theorems whose invariants it assumes."""
    assert run(["prove", "num-free-exact"]) == 0
    assert "not proved in this run: " in capsys.readouterr().out


def test_closed_pipe_is_no_error() -> None:
    """A reader that has seen enough (head) makes no traceback."""
    command = f"{sys.executable} -m ringproof explain | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
