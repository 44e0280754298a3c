"""``ringproof trace FILE`` and the views it writes: files whole or not at all, and bad input in one line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from ringproof.cli import run
from ringproof.commands.trace import names_a_file
from ringproof.traces.stepwise import make_steps_trace
from tests.views import told

Shown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """Runs ``ringproof trace`` and gives its exit code and both its outputs."""

    def ran(*arguments: object) -> tuple[int, str, str]:
        code = run(["trace", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return ran


@pytest.fixture
def leak(tmp_path: Path) -> Path:
    """A saved counterexample."""
    path = tmp_path / "leak.itf.json"
    told.leak().save(path)
    return path


def complaint(answer: tuple[int, str, str]) -> str:
    """What is said of bad input: exit code 2, nothing on the standard output, one line."""
    code, out, err = answer
    assert code == 2
    assert out == ""
    assert err.startswith("ringproof: ")
    assert err.count("\n") == 1
    return err


def test_every_kind_of_file_is_shown(shown: Shown, tmp_path: Path) -> None:
    """A trace of a search, a validation, a driver alone, a network driver: each is shown, exit code 0."""
    documents = {"search": told.leak(), "validate": told.queue(4), "alone": told.alone()}
    for name, document in documents.items():
        document.save(path := tmp_path / f"{name}.json")
        code, out, err = shown(path)
        assert (code, err) == (0, "")
        assert f"breaks {document.property}" in out
    told.network().save(path := tmp_path / "no-ending")
    code, out, err = shown(path)
    assert (code, err) == (0, "")
    assert "! frees-all: tx_packets is 1" in out


def test_a_run_of_single_statements_is_shown_from_its_file(shown: Shown, tmp_path: Path) -> None:
    """As it is shown when it is made; every theorem that it breaks stands there."""
    found = make_steps_trace("D7")
    assert found is not None
    document = found.document()
    document.save(path := tmp_path / "d7.json")
    code, out, _ = shown(path)
    assert code == 0
    assert shown("D7")[1] == out
    assert len(document.broken) > 1
    for broken in document.broken:
        assert f"! {broken.theorem}: {broken.violated}" in " ".join(out.split())
    assert "lines of the model" in shown(path, "--step", 1)[1]


def test_one_step(shown: Shown, leak: Path) -> None:
    """The whole state of a step, what it changed, and the lines of code behind it."""
    code, out, _ = shown(leak, "--step", 4)
    assert code == 0
    assert "step 4 of 4, driver: get -> token 1" in out
    assert "! num_free        0 -> 1" in out
    assert "lines of the reference" in out
    assert "the mutant's line" in out


def test_a_step_that_is_not_there(shown: Shown, leak: Path) -> None:
    """One line that says which steps there are, for a number too large or below zero."""
    assert "no step 5: the last is 4" in complaint(shown(leak, "--step", 5))
    assert "no step -1" in complaint(shown(leak, "--step", -1))
    assert "--step" in complaint(shown(leak, "--step", "x"))
    assert "steps 0 to 1" in complaint(shown("D7", "--step", 9))
    assert "no step 9" in complaint(shown(leak, "--step", 9, "--svg", leak.with_suffix(".svg")))
    assert not leak.with_suffix(".svg").exists()


def test_all_views_at_once(shown: Shown, leak: Path, tmp_path: Path) -> None:
    """Every file that was asked for is there, as its view makes it, and the trace is printed beside."""
    names = {"--html": "a.html", "--markdown": "b.md", "--vcd": "d.vcd", "--mermaid": "e.mmd", "-o": "f.json"}
    names["--svg"] = "c.svg"
    arguments = [part for option, name in names.items() for part in (option, tmp_path / name)]
    code, out, err = shown(leak, *arguments)
    assert (code, err) == (0, "")
    assert out == shown(leak)[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names.values(), "b.svg", leak.name])
    assert (tmp_path / "f.json").read_text() == leak.read_text()
    assert (tmp_path / "b.svg").read_text() == (tmp_path / "c.svg").read_text()
    summary = (tmp_path / "b.md").read_text()
    assert "](b.svg)" in summary
    assert "ringproof replay f.json" in summary
    assert str(tmp_path) not in summary
    assert (tmp_path / "e.mmd").read_text().startswith("sequenceDiagram\n")
    assert "$timescale 1 ns $end" in (tmp_path / "d.vcd").read_text()
    assert "<html" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("option", "beginning"),
    [("--svg", "<svg"), ("--markdown", "## A2"), ("--vcd", "$comment"), ("--mermaid", "sequenceDiagram")],
)
def test_a_dash_is_the_standard_output(shown: Shown, leak: Path, option: str, beginning: str) -> None:
    """The view alone is printed, so that it can be piped; a summary has no picture then."""
    code, out, _ = shown(leak, option, "-")
    assert code == 0
    assert out.startswith(beginning)
    assert "driver                               device" not in out
    assert [path.name for path in leak.parent.iterdir()] == [leak.name]


def test_json_and_a_dash_print_the_document(shown: Shown, leak: Path) -> None:
    """Both are the document, as it was saved."""
    assert shown(leak, "--json")[1] == leak.read_text()
    assert shown(leak, "-o", "-")[1] == leak.read_text()


def test_the_picture_is_of_the_step_asked_for(shown: Shown, leak: Path) -> None:
    """Of the broken step, or of --step."""
    for arguments, title in (((), "step 4 of 4"), (("--step", 1), "step 1 of 4")):
        root = ElementTree.fromstring(shown(leak, "--svg", "-", *arguments)[1])
        assert title in (root.findtext("{http://www.w3.org/2000/svg}title") or "")


def test_two_things_in_one_place_are_refused(shown: Shown, leak: Path, tmp_path: Path) -> None:
    """Two views for one file or for the standard output, and a picture over its own summary."""
    same = tmp_path / "x.svg"
    assert "-o and --svg would both be written to" in complaint(shown(leak, "-o", same, "--svg", same))
    assert "the standard output" in complaint(shown(leak, "--json", "--vcd", "-"))
    assert "the standard output" in complaint(shown(leak, "--emit", "c", "--json"))
    assert "picture" in complaint(shown(leak, "--markdown", same))
    assert "picture" in complaint(shown(leak, "--markdown", tmp_path / "x.md", "--html", same))
    assert [path.name for path in tmp_path.iterdir()] == [leak.name]
    # One picture for both is no contradiction.
    assert shown(leak, "--markdown", tmp_path / "x.md", "--svg", same)[0] == 0


def test_a_view_does_not_go_over_the_trace(shown: Shown, leak: Path, tmp_path: Path) -> None:
    """Nor over another view under another name of it; the document may go over itself."""
    kept = leak.read_bytes()
    (link := tmp_path / "link").symlink_to(leak)
    for path in (leak, link, tmp_path / "." / ".." / tmp_path.name / leak.name):
        assert "over the trace itself" in complaint(shown(leak, "--html", path))
        assert "over the trace itself" in complaint(shown(leak, "--emit", "c", "-o", path))
    other = tmp_path / ".." / tmp_path.name / "x"
    assert "would both be written" in complaint(shown(leak, "--html", tmp_path / "x", "--vcd", other))
    assert shown(leak, "-o", link)[0] == 0
    assert leak.read_bytes() == kept
    assert link.is_symlink()


@pytest.mark.parametrize("option", ["--html", "--markdown", "--svg", "--vcd", "--mermaid", "-o"])
def test_a_file_that_cannot_be_written(shown: Shown, leak: Path, tmp_path: Path, option: str) -> None:
    """A folder that is not there, or one in the file's place: a line that names it, and nothing is left."""
    absent = tmp_path / "absent" / "x.out"
    assert str(absent.parent) in complaint(shown(leak, option, absent))
    (tmp_path / "folder").mkdir()
    assert str(tmp_path / "folder") in complaint(shown(leak, option, tmp_path / "folder"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", leak.name]


def test_nothing_is_half_written(
    shown: Shown, leak: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full in the midst of writing leaves the file as it was, and no scraps."""
    target = tmp_path / "x.svg"
    target.write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    assert "No space left on device" in complaint(shown(leak, "--svg", target))
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == [leak.name, target.name]


def test_a_bad_file_is_one_line(shown: Shown, tmp_path: Path) -> None:
    """A trace that is missing, cut short, foreign or newer: file and place in one line."""
    path = tmp_path / "bad.json"
    assert str(path) in complaint(shown(path))
    whole = told.leak().text()
    for text in ("", "[]", "{}", whole[:-40], whole.replace('"ringproof": 1', '"ringproof": 99'), "\udcff"):
        path.write_text(text, errors="surrogateescape")
        assert str(path) in complaint(shown(path, "--html", tmp_path / "x.html"))
    assert not (tmp_path / "x.html").exists()


def test_what_stands_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, an ending, or a file that is there; the name of a mutant is one as long as no file has it."""
    monkeypatch.chdir(tmp_path)
    assert names_a_file("x/a2")
    assert names_a_file("a2.json")
    assert not names_a_file("a2")
    (tmp_path / "a2").mkdir()
    assert not names_a_file("a2")
    (tmp_path / "a3").touch()
    assert names_a_file("a3")


def test_a_test_is_emitted(shown: Shown, leak: Path, tmp_path: Path) -> None:
    """It is printed, or with -o written there instead of the document."""
    for language, ending in (("c", ".c"), ("pytest", ".py")):
        code, out, _ = shown(leak, "--emit", language)
        assert code == 0
        target = tmp_path / f"made{ending}"
        assert shown(leak, "--emit", language, "-o", target)[0] == 0
        assert target.read_text() == out
    assert "--emit" in complaint(shown(leak, "--emit", "cobol"))


def test_the_schema_is_printed(shown: Shown, leak: Path) -> None:
    """It needs no trace, and a saved one is valid by it."""
    code, out, err = shown("--schema")
    assert (code, err) == (0, "")
    schema = json.loads(out)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(leak.read_text()))
    assert "Missing argument" in complaint(shown())


def test_a_reader_that_has_enough_is_no_error(leak: Path) -> None:
    """A pipe that is closed early ends the output, quietly."""
    command = f"{sys.executable} -m ringproof trace {leak} --all | head -1"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert ran.stdout.startswith("A2: ")
    assert ran.stderr == ""


def test_a_long_trace_is_shown(shown: Shown, tmp_path: Path) -> None:
    """2,000 steps: cut on the terminal, in the summary and the diagram; all stays below five megabytes."""
    told.long_queue(2000).save(path := tmp_path / "long.itf.json")
    views = {name: tmp_path / name for name in ("x.md", "x.vcd", "x.mmd")}
    code, out, _ = shown(
        path, "--markdown", views["x.md"], "--vcd", views["x.vcd"], "--mermaid", views["x.mmd"]
    )
    assert code == 0
    assert "1963 steps, shown with --all" in out
    for view in views.values():
        assert view.stat().st_size < 5_000_000
