"""The report: as JSON, in a terminal, for CI and for a browser."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from rich.console import Console

from ringproof.reporting.junit import junit
from ringproof.reporting.page import page
from ringproof.reporting.terminal import render, replaying
from ringproof.validation.coverage import Coverage, FileCoverage
from ringproof.validation.report import Check, Exhibit, Stage, ValidationReport

FIRST = Exhibit(
    check="avail-idx-forward",
    clause="2.7.6.1a",
    expected="avail_idx only moves forward, modulo 65536.",
    seen="avail_idx went from 1 to 0 " + "and so on " * 12,
    steps=tuple(f"   step {at}" for at in range(30)),
    trace=Path("traces/some.itf.json"),
    steadiness="deterministic",
    seconds=0.25,
    stage="directed",
    passes="with `kick` before `add 1 segment` it holds",
)
SECOND = Exhibit(
    check="all-released",
    clause="oracle: memory",
    expected="destroy gives back all memory.",
    seen="64 bytes <script>alert(1)</script> left",
    steps=("-> destroy",),
    steadiness="flaky (shown 2 of 3)",
    follows="avail-idx-forward",
    seconds=2.0,
    message="no trace was kept: the disk is full",
)
REPORT = ValidationReport(
    driver="some driver [beta]",
    verdict="fail",
    checks=(
        Check("avail-idx-forward", "2.7.6.1a", "fail", "avail_idx went from 1 to 0 " + "and so on " * 12),
        Check("all-released", "oracle: memory", "fail", "64 bytes left"),
        Check("no-needless-kick", "2.7.10.1g", "warn", "one too many"),
        Check("chain-ends", "2.7.5.2b", "pass", "held"),
        Check("in-order-next", "2.7.5.2c", "not exercised", "IN_ORDER was not negotiated"),
    ),
    operations=1_000,
    seconds=0.5,
    trace=Path("traces/some.itf.json"),
    mode="by meaning",
    stages=(Stage("search", 1_000, 0.5),),
    exhibits=(FIRST, SECOND),
    library=Path("./a driver.so"),
    coverage=Coverage((FileCoverage("driver.c", (1, 2, 3, 10), (1, 2)),)),
    left_out=("the build with accesses told: cc refused",),
)
UNTESTED = ValidationReport("other.so", "error", (), 0, 0.0, message="other.so: no such file")


def _rendered(verbose: bool, report: ValidationReport = REPORT) -> str:
    out = io.StringIO()
    render(report, Console(file=out, width=80), verbose=verbose)
    return out.getvalue()


def test_json_has_the_promised_keys() -> None:
    """Checks outside the project read these keys."""
    document = json.loads(json.dumps(REPORT.to_json()))
    assert {"driver", "verdict", "checks", "operations", "seconds", "trace"} <= set(document)
    assert set(document["checks"][0]) == {"name", "clause", "verdict", "detail"}
    assert document["verdict"] == "fail"
    assert document["trace"] == "traces/some.itf.json"
    assert document["operations"] == 1_000
    assert document["first_finding"] == 0.25
    assert [each["check"] for each in document["exhibits"]] == ["avail-idx-forward", "all-released"]
    assert document["exhibits"][1]["follows"] == "avail-idx-forward"
    assert document["coverage"]["files"] == [{"path": "driver.c", "lines": 4, "uncovered": [3, 10]}]
    assert document["network"] is document["hostile"] is None


def test_no_trace_is_null() -> None:
    """A report without a trace says null."""
    assert ValidationReport("d", "pass", (), 0, 0.0).to_json()["trace"] is None


def test_failures_come_first_and_fit_the_terminal() -> None:
    """The failed checks lead, every line but a path fits 80 columns, long runs are cut in the middle."""
    text = _rendered(verbose=False)
    assert text.index("avail-idx-forward") < text.index("no-needless-kick")
    assert "chain-ends" not in text
    assert "some driver [beta]" in text
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines() if "some.itf.json" not in line)
    assert "18 more" in text
    assert "ringproof replay traces/some.itf.json --driver 'a driver.so'" in text
    assert "ringproof trace TRACE --html PAGE" in text
    assert "with `kick` before `add 1 segment` it holds" in " ".join(text.split())
    assert "expected  avail_idx only moves forward" in text
    assert "fails avail-idx-forward first" in text
    assert "flaky (shown 2 of 3)" not in text  # what only follows has no run of its own here
    assert "and 1 more; --html and --json have them all" in text
    assert "2 of 4 lines of the driver were reached (50 %)" in text
    assert "left out: the build with accesses told" in text
    assert re.search(r"of 142 clauses of VIRTIO 1.3: 1 fail, 1 warn, 1 pass", text)
    assert "fail  2.7.6.1a (MUST NOT)" in text


def test_verbose_shows_what_passed() -> None:
    """With ``verbose`` every check is there, and every clause with why it was not judged."""
    text = _rendered(verbose=True)
    assert all(check.name in text for check in REPORT.checks)
    assert "IN_ORDER was not negotiated" in text
    assert "flaky (shown 2 of 3)" in text
    assert "no driver here has the MMIO transport" in text


def test_parts_have_verdicts_of_their_own() -> None:
    """A driver that bears honest devices only fails as a whole, and the virtqueue's own verdict is a pass."""
    hostile = replace(REPORT, driver="hostile", exhibits=(), coverage=None, left_out=())
    good = replace(
        REPORT, checks=REPORT.checks[3:], exhibits=(), hostile=hostile, coverage=None, trace=None, left_out=()
    )
    text = _rendered(verbose=False, report=good)
    assert text.startswith("FAIL")
    assert "the virtqueue: pass" in text
    assert "a hostile device: fail" in text
    assert "1 fail" not in text[text.index("clauses of VIRTIO") :]


def test_an_untested_driver_says_why() -> None:
    """What could not be tested has its message and no clauses."""
    text = _rendered(verbose=False, report=UNTESTED)
    assert "no such file" in text
    assert "clauses" not in text


def test_junit_counts_and_tells() -> None:
    """Failures, errors and what was not exercised are told apart; a failure has all that helps to mend it."""
    root = ElementTree.fromstring(junit([REPORT, UNTESTED]))
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == (
        "6", "2", "1", "1",
    )  # fmt: skip
    cases = {case.get("name"): case for case in root.iter("testcase")}
    failed = cases["avail-idx-forward"].find("failure")
    assert failed is not None
    assert failed.get("type") == "2.7.6.1a"
    assert failed.text is not None
    assert "expected: avail_idx only moves forward" in failed.text
    assert "replay:   ringproof replay traces/some.itf.json" in failed.text
    assert "why:      ringproof trace traces/some.itf.json" in failed.text
    assert "else:     with `kick` before" in failed.text
    skipped = cases["in-order-next"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not exercised: IN_ORDER was not negotiated"
    assert len(cases["chain-ends"]) == 0


def test_junit_bears_any_words() -> None:
    """A driver's name and message may hold what XML cannot."""
    odd = replace(UNTESTED, driver="\x00\x1b[31m\ufffe & <b>", message="\x07")
    ElementTree.fromstring(junit([odd]))


class _Outline(HTMLParser):
    """Collects ids, links, and whatever a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and value:
                (self.links if value.startswith("#") else self.loaded).append(value)
            if name == "src" and value:
                self.loaded.append(value)
        self.scripts += tag == "script"


def test_the_page_stands_alone() -> None:
    """It loads nothing, has no script but what is text, and its links lead somewhere."""
    text = page([REPORT, UNTESTED])
    outline = _Outline()
    outline.feed(text)
    assert (outline.loaded, outline.scripts) == ([], 0)
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert "&lt;script&gt;alert(1)" in text
    for said in (
        "some driver [beta]",
        "step 29",
        "ringproof trace traces/some.itf.json --html page.html",
        "all-released",
        "no such file",
        "2.7.5.2c",
    ):
        assert said in text


def test_replaying_quotes() -> None:
    """The command can be pasted into a shell; without a trace there is none."""
    assert replaying(FIRST, Path("./a b.so")) == ("ringproof replay traces/some.itf.json --driver 'a b.so'")
    assert replaying(SECOND, Path("x.so")) == ""
