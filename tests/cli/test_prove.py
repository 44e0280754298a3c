"""``ringproof prove`` on a bad day: no solver, a solver that dies, an interrupt, a doubtful cache."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringproof.cli import run
from ringproof.commands import prove as command
from ringproof.proofs import engine
from ringproof.proofs.discharge import Task, TaskResult

PROVE = [sys.executable, "-m", "ringproof", "prove"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test, and no CI."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path / "ringproof" / "proofs"


def _dies(task: Task) -> TaskResult:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(task)


def test_a_dead_solver_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A solver that is killed is named with its theorem, which is unknown."""
    monkeypatch.setattr(engine, "discharge", _dies)
    assert run(["prove", "need-event-exact", "--no-cache", "--jobs", "2"]) == 3
    out = capsys.readouterr().out
    assert "z3 5.4.0: the worker process died (SIGKILL)" in out
    assert "0 of 1 theorems proved" in out


def test_no_solver_is_one_line(tmp_path: Path) -> None:
    """Without Z3 nothing starts: one line, exit code 3."""
    (tmp_path / "z3.py").write_text("raise ImportError('No module named z3')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(PROVE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("ringproof: cannot start: ")
    assert done.stderr.count("\n") == 1


def test_a_solver_of_another_version_is_one_line(tmp_path: Path) -> None:
    """A Z3 that is not the pinned one is named with both versions, and decides nothing."""
    (tmp_path / "sitecustomize.py").write_text("import z3\nz3.get_version_string = lambda: '4.8.5'\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(PROVE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "needs z3-solver 5.4.0.0" in done.stderr
    assert "4.8.5" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_cache_is_told_of(capsys: pytest.CaptureFixture[str], own_cache: Path) -> None:
    """The second run says how much it knew; --no-cache knows nothing; CI reads and does not write."""
    assert run(["prove", "need-event-exact"]) == 0
    assert "from the cache" not in capsys.readouterr().out
    assert run(["prove", "need-event-exact"]) == 0
    assert "4 of 4 obligations from the cache" in capsys.readouterr().out
    assert run(["prove", "need-event-exact", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cached"] == 4
    assert run(["prove", "need-event-exact", "--json", "--no-cache"]) == 0
    assert json.loads(capsys.readouterr().out)["cached"] == 0
    for entry in own_cache.iterdir():
        entry.write_text("?")
    assert run(["prove", "need-event-exact"]) == 0
    captured = capsys.readouterr()
    assert "from the cache" not in captured.out
    assert all(line.startswith("ringproof: cache entry ") for line in captured.err.splitlines())
    assert str(own_cache) in captured.err


def test_a_cache_is_not_written_in_ci(
    capsys: pytest.CaptureFixture[str], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With CI=true nothing is kept unless --cache asks for it."""
    monkeypatch.setenv("CI", "true")
    assert run(["prove", "need-event-exact"]) == 0
    assert not own_cache.exists()
    assert run(["prove", "need-event-exact", "--cache"]) == 0
    assert any(own_cache.iterdir())
    capsys.readouterr()
    assert run(["prove", "need-event-exact"]) == 0
    assert "4 of 4 obligations from the cache" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupt_prints_what_was_decided(own_cache: Path) -> None:
    """Ctrl-C: the theorems decided, a summary, exit code 130, no traceback; and what was proved is kept."""
    command_line = [*PROVE, "--jobs", "1", "--kill"]
    process = subprocess.Popen(
        command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = next(line for line in process.stdout if line.startswith("proved"))
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    assert process.returncode == 130
    assert "obligations" not in first
    assert "interrupted with " in out.splitlines()[-2] + out.splitlines()[-1]
    assert "Traceback" not in err
    assert any(own_cache.iterdir())


def test_lines_of_progress_are_few(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal a line comes at most every few seconds, says what is left, and goes to stderr."""
    now = [100.0]
    monkeypatch.setattr("ringproof.commands.prove.time.monotonic", lambda: now[0])
    tell = command._Plain()
    for done in range(1, 31):
        now[0] += 1.0
        tell(done, 30)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "ringproof: 10 of 30 obligations, about 20 s left",
        "ringproof: 20 of 30 obligations, about 10 s left",
    ]
