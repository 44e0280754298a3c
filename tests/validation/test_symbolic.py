"""Machine code followed along every way: what fails is shown by the driver, what is unknown never passes."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ringproof.building import build_driver, build_library, c_sources
from ringproof.commands.symbolic import exit_code
from ringproof.commands.validate import validate
from ringproof.errors import BadInputError
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.patching import patched_copy
from ringproof.validation.options import Options
from ringproof.validation.pairing import Pair
from ringproof.validation.process import Process
from ringproof.validation.symbolic_campaign import explore
from ringproof.validation.symbolic_exploration import Exploration
from ringproof.validation.symbolic_native import tried
from ringproof.validation.symbolic_start import take_start

pytest.importorskip("pyvex", reason="the extra ringproof[binary] is not installed")

EXAMPLES = Path(__file__).parents[2] / "examples"
Build = Callable[..., Path]


@pytest.fixture
def minimal(tmp_path: Path) -> Build:
    """Builds the smallest example, with some of its text replaced by other."""

    def build(*changes: tuple[str, str]) -> Path:
        text = (EXAMPLES / "minimal" / "driver.c").read_text()
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        source = tmp_path / "driver.c"
        source.write_text(text)
        return build_library([source], include=[c_sources()])

    return build


def _options(tmp_path: Path) -> Options:
    return Options(traces=tmp_path / "traces", sizes=(1,), jobs=2, shrink_seconds=1.0)


def test_a_clean_driver_holds(minimal: Build, tmp_path: Path) -> None:
    """Every path from every start is followed, and every claim holds, those about the ring among them."""
    report = explore(minimal(), 1, options=_options(tmp_path))
    assert report.verdict == "pass"
    assert (report.failures, report.unreproduced, report.lost, report.left_out) == ((), (), (), ())
    assert all(start.followed and not start.lost for start in report.starts)
    held = {obligation.name: obligation.held for obligation in report.obligations}
    for check in (
        "chain-is-what-was-added",
        "outstanding-unchanged",
        "token-in-used-order",
        "kick-when-flags-ask",
    ):
        assert held[check], check


def test_a_mutant_is_shown_by_the_driver(tmp_path: Path) -> None:
    """A defect that takes a chain of two to see (its tail does not come back) fails, and a run shows it."""
    lifo = EXAMPLES / "lifo"
    library = build_driver(patched_copy(lifo, lifo / "mutants" / "A2.patch", tmp_path / "lifo"))
    with Process(library, patience=10.0) as process:
        pair = Pair.of(process)
        start = take_start(library, QueueConfig(2, profile=process.profile), 0)
        findings = Exploration(library, start, 1, 2, time.monotonic() + 60.0).go()
        trials = tried(findings.suspicions, start, "fresh", pair, 0.0)
    assert [(trial.check, trial.found and trial.found.failure.check) for trial in trials] == [
        ("add-when-all-is-back", "add-when-all-is-back")
    ]


def test_what_is_unknown_is_no_pass(minimal: Build, tmp_path: Path) -> None:
    """What no run of the driver shows, and what has no model, are told of apart; neither fails nor passes."""
    library = minimal(
        ("static void kick(void *made)", "extern long random(void);\n\nstatic void kick(void *made)"),
        ("if ((queue->used->flags & 1) == 0)", "if ((queue->used->flags & 1) == 0 && random() >= 0)"),
        ("void                       *tokens[];", "const struct rp_segment *lent; void *tokens[];"),
        ("queue->tokens[at] = token;", "queue->tokens[at] = token;\n    queue->lent = segments;"),
        (
            "if (queue->last_used == ",
            "if ((queue->lent && queue->lent->reserved == 7) || queue->last_used == ",
        ),
    )
    report = explore(library, 1, options=_options(tmp_path))
    assert report.verdict == "incomplete"
    assert exit_code(report) == 3
    assert {one.check for one in report.unreproduced} == {"no-stray-read"}
    assert "the driver passes the run" in report.unreproduced[0].why
    assert any("random" in what and what.startswith("kick") for what, _ in report.lost)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--symbolic", "0"], "0 is not in the range"),
        (["--symbolic", "1", "--quick"], "--symbolic goes without --quick"),
        (["--symbolic", "1", "--queue-size", "128"], "up to 64"),
    ],
)
def test_bad_input(minimal: Build, arguments: list[str], said: str) -> None:
    """What makes no sense is bad input, in one line that says what."""
    run = CliRunner().invoke(validate, [str(minimal()), *arguments], standalone_mode=False)
    assert isinstance(run.exception, BadInputError | click.UsageError)
    assert said in str(run.exception)
    assert "\n" not in str(run.exception)


def test_no_driver(tmp_path: Path) -> None:
    """What is no driver is bad input, too, and says so in one line."""
    (tmp_path / "driver.so").write_text("no library")
    run = CliRunner().invoke(
        validate, [str(tmp_path / "driver.so"), "--symbolic", "1"], standalone_mode=False
    )
    assert run.return_value == 2
    assert run.stderr.count("\n") == 1


def test_without_the_extra(minimal: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what reads machine code the extra is named, and nothing is known."""
    monkeypatch.setitem(sys.modules, "pyvex", None)
    run = CliRunner().invoke(validate, [str(minimal()), "--symbolic", "1"], standalone_mode=False)
    assert run.return_value == 3
    assert "ringproof[binary]" in run.stderr


def test_what_shows_at_the_wrap_alone(minimal: Build, tmp_path: Path) -> None:
    """Indices compared by < fail at 2^16 and nowhere else; the JSON document says where, and has the run."""
    library = minimal(("queue->last_used == queue->used->idx", "queue->last_used >= queue->used->idx"))
    arguments = [str(library), "--symbolic", "1", "--queue-size", "1", "--json", "--traces", str(tmp_path)]
    run = CliRunner().invoke(validate, arguments, standalone_mode=False)
    assert run.return_value == 1
    document = json.loads(run.stdout)
    assert (document["verdict"], document["symbolic"], document["route"]) == ("fail", 1, "machine code")
    assert document["paths"]["explored"] >= document["paths"]["completed"] > 0
    assert {one["shows"] for one in document["failures"]} == {"token-not-withheld"}
    assert all("wrap" in one["start"] for one in document["failures"])
    assert Path(document["failures"][0]["trace"]).is_file()
    assert "get_buf" in document["failures"][0]["steps"][-1]
