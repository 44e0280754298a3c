"""`ringproof live`: a driver judged over a socket, one that is broken caught, and every bad use one line."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringproof.cli import run
from ringproof.commands.build import build_shipped
from ringproof.live.frontend import run_frontend

BAD_USES = {
    (): "nothing to serve: give --recipe, --socket or -- COMMAND",
    ("--hostile", "--socket", "s"): "--hostile needs a driver that can be started again",
    ("--recipe", "own", "--socket", "s"): "--recipe starts its own front-end",
    ("--recipe", "own", "--", "true"): "--recipe starts its own front-end",
    ("--round", "flood", "--socket", "s"): "--round is for recipes",
    ("--recipe", "own", "--round", "flod"): "has no round 'flod'",
    ("--recipe", "own", "--behaviour", "honst"): "no behaviour is called 'honst'; did you mean honest?",
    ("--recipe", "own", "--without", "EVENT_IX"): "no feature is called 'EVENT_IX'; did you mean EVENT_IDX?",
    ("--recipe", "dpdk", "--driver", "x.so"): "--driver is of the recipe own",
    ("--recipe", "own", "--kernel", "x"): "--kernel and --modules are of the recipe linux",
    ("--recipe", "own", "--driver", "no/such.so"): "no/such.so",
    ("--recipe", "own", "--record", "no/such/file"): "cannot be written",
}


@pytest.mark.parametrize("words", BAD_USES, ids=" ".join)
def test_a_bad_use_is_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be is said before anything is started, with exit code 2."""
    assert run(["live", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert BAD_USES[words] in captured.err


@pytest.mark.parametrize("recipe", ["dpdk", "linux", "ovmf"])
def test_a_recipe_without_its_packages_says_what_to_install(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is fetched: one line names what is missing and the packages that have it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["live", "--recipe", recipe]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "apt-get install" in said


def test_the_rounds_and_behaviours_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """--list needs nothing installed, and runs nothing."""
    assert run(["live", "--list"]) == 0
    listed = capsys.readouterr().out
    for word in ("own", "dpdk", "linux", "ovmf", "flood", "roving", "behaviours"):
        assert word in listed


@pytest.mark.slow
def test_a_sound_driver_passes_and_its_recording_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our C driver over our front-end: no failure, and the second monitor counts the same."""
    kept = tmp_path / "run.rpl"
    words = ["live", "--recipe", "own", "--round", "paced", "--quick", "--seconds", "2.5", "--json"]
    assert run([*words, "--record", str(kept), "--traces", str(tmp_path)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "pass"
    assert report["operations"] > 1000
    verdicts = {check["name"]: check["verdict"] for check in report["checks"]}
    assert verdicts["kick-when-event-passed"] == "pass"
    assert verdicts["bears-spurious"] == "pass"
    assert run(["replay", str(kept), "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert judged["agree"]
    assert judged["records"] > 1000


@pytest.mark.slow
def test_a_broken_driver_is_caught_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A driver that wraps its index wrongly fails live, with a recording that shows where."""
    library = build_shipped(tmp_path / "b1.so", mutant="B1")
    words = ["live", "--recipe", "own", "--driver", str(library), "--round", "flood", "--behaviour", "honest"]
    page, junit = tmp_path / "page.html", tmp_path / "junit.xml"
    code = run(
        [*words, "--seconds", "3", "--traces", str(tmp_path), "--html", str(page), "--junit", str(junit)]
    )
    told = capsys.readouterr().out
    assert code == 1, told
    assert "FAIL" in told
    recordings = list((tmp_path / "own").glob("*.rpl"))
    assert recordings
    assert f"ringproof replay {recordings[0].parent}" in told
    assert "<html" in page.read_text()
    assert "failure" in junit.read_text()
    codes = {run(["replay", str(one)]) for one in recordings}
    assert codes == {1}
    assert "the monitor that ran live counted the same" in capsys.readouterr().out
    assert run(["replay", str(recordings[0]), "--c"]) == 2
    assert "which no driver is run on" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupt_ends_a_run_with_its_report(tmp_path: Path) -> None:
    """Whoever serves a socket by hand stops it when he has seen enough, and is told what that was."""
    path = tmp_path / "s"
    words = ["live", "--socket", str(path), "--seconds", "600", "--traces", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-m", "ringproof", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as served:
        assert served.stderr is not None
        said = served.stderr.readline() + served.stderr.readline()
        assert f"waiting at {path}" in said
        assert "share=on" in said
        with run_frontend(path, build_shipped(None), mode="paced", seconds=60):
            time.sleep(3)
            served.send_signal(signal.SIGINT)
            out, _ = served.communicate(timeout=30)
    assert served.returncode == 3
    assert "left out: run: interrupted" in out
    assert not path.exists()
