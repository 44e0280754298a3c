"""The report."""

import io
import json
from pathlib import Path

from rich.console import Console

from ringproof.validation.report import Check, Stage, ValidationReport, render

REPORT = ValidationReport(
    driver="some driver [beta]",
    verdict="fail",
    checks=(
        Check("avail-idx-forward", "2.7.6.1a", "fail", "avail_idx went from 1 to 0 " + "and so on " * 12),
        Check("no-needless-kick", "2.7.10.1g", "warn", "one too many"),
        Check("chain-ends", "2.7.5.2b", "pass", "held"),
        Check("leak", "oracle: memory", "not exercised", ""),
    ),
    operations=1_000,
    seconds=0.5,
    trace=Path("traces/some.itf.json"),
    mode="by meaning",
    stages=(Stage("search", 1_000, 0.5),),
    steps=tuple(f"   step {at}" for at in range(30)),
)


def _rendered(verbose: bool) -> str:
    out = io.StringIO()
    render(REPORT, Console(file=out, width=80), verbose=verbose)
    return out.getvalue()


def test_json_has_the_promised_keys() -> None:
    """Checks outside the project read these keys."""
    document = json.loads(json.dumps(REPORT.to_json()))
    assert {"driver", "verdict", "checks", "operations", "seconds", "trace"} <= set(document)
    assert set(document["checks"][0]) == {"name", "clause", "verdict", "detail"}
    assert document["verdict"] == "fail"
    assert document["trace"] == "traces/some.itf.json"
    assert document["operations"] == 1_000


def test_no_trace_is_null() -> None:
    """A report without a trace says null."""
    assert ValidationReport("d", "pass", (), 0, 0.0).to_json()["trace"] is None


def test_failures_come_first_and_fit_the_terminal() -> None:
    """The failed check leads, every line but a path fits 80 columns, long runs are cut in the middle."""
    text = _rendered(verbose=False)
    assert text.index("avail-idx-forward") < text.index("no-needless-kick")
    assert "chain-ends" not in text
    assert "some driver [beta]" in text
    assert all(len(line) <= 80 for line in text.splitlines() if "some.itf.json" not in line)
    assert "18 more" in text
    assert "ringproof replay traces/some.itf.json" in text


def test_verbose_shows_what_passed() -> None:
    """With ``verbose`` every check is there."""
    text = _rendered(verbose=True)
    assert all(check.name in text for check in REPORT.checks)
    assert all(len(line) <= 80 for line in text.splitlines() if "some.itf.json" not in line)
