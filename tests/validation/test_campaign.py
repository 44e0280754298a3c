"""Whole validations of real libraries."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ringproof.building import build_driver
from ringproof.impl.harness.operations import Code
from ringproof.traces.document import load
from ringproof.validation.campaign import Options, validate
from ringproof.validation.evidence import replay_on_driver
from ringproof.validation.library import LibraryError
from ringproof.validation.report import Check, ValidationReport
from ringproof.validation.throughput import c_alone, differential

Fifo = Callable[..., Path]


def _quick(library: Path, tmp_path: Path) -> ValidationReport:
    return validate(library, options=Options(quick=True, traces=tmp_path / "traces"))


def _failed(report: ValidationReport) -> dict[str, Check]:
    return {check.name: check for check in report.checks if check.verdict == "fail"}


def test_the_shipped_driver_passes(own_driver: Path, tmp_path: Path) -> None:
    """The virtio-1.x build is the reference's equal in every byte, and no trace is left."""
    report = _quick(own_driver, tmp_path)
    assert (report.verdict, report.mode, report.trace) == ("pass", "byte for byte", None)
    assert not (tmp_path / "traces").exists()
    verdicts = {check.name: check.verdict for check in report.checks}
    assert verdicts["agrees-with-reference/4"] == "pass"
    assert verdicts["indices-past-the-wrap/4"] == "pass"
    assert verdicts["everything-comes-back/4"] == "pass"
    # What a quick run leaves out is not called passed.
    assert verdicts["indices-past-the-wrap/32768"] == "not exercised"
    assert report.operations > 100_000
    json.dumps(report.to_json())


def test_the_linux_build_agrees_but_breaks_clauses(linux_driver: Path, tmp_path: Path) -> None:
    """Going on after failures: its bytes are the linux-3.11 reference's, and two clauses fail, honestly."""
    report = _quick(linux_driver, tmp_path)
    assert report.verdict == "fail"
    assert {check.clause for check in _failed(report).values()} == {"2.7.7.1c", "2.7.5.3.1c"}
    agreements = [check for check in report.checks if check.name.startswith("agrees-with-reference/")]
    assert all(check.verdict in ("pass", "not exercised") for check in agreements)
    assert sum(check.verdict == "pass" for check in agreements) >= 5
    assert all("linux-3.11" in check.clause for check in agreements)


def test_a_driver_with_habits_of_its_own_passes(fifo: Fifo, tmp_path: Path) -> None:
    """Another free list and publishing at kick are compared by meaning and are no failure."""
    report = _quick(fifo(), tmp_path)
    assert _failed(report) == {}
    assert (report.verdict, report.mode) == ("pass", "by meaning")
    assert not [check for check in report.checks if check.verdict == "warn"]


def test_a_driver_that_pushes_tokens_passes(fifo: Fifo, tmp_path: Path) -> None:
    """Tokens may come back from the interrupt instead of get_buf."""
    report = _quick(fifo("PUSH"), tmp_path)
    assert _failed(report) == {}
    assert report.verdict == "pass"


def test_a_driver_may_decline_queues(fifo: Fifo, tmp_path: Path) -> None:
    """One for modern queues of 4 to 256 is tested on those, with a warning; the rest is not passed."""
    report = _quick(fifo("PICKY"), tmp_path)
    assert report.verdict == "pass"
    verdicts = {check.name: check.verdict for check in report.checks}
    assert verdicts["creates-every-queue"] == "warn"
    assert verdicts["agrees-with-reference/1"] == "not exercised"
    assert verdicts["agrees-with-reference/4"] == "pass"


def test_a_driver_that_creates_no_queue_fails(fifo: Fifo, tmp_path: Path) -> None:
    """Declining everything is no way to pass."""
    failed = _failed(_quick(fifo("NEVER"), tmp_path))
    assert {"creates-every-queue", "create-succeeds"} <= failed.keys()


def test_the_smallest_driver_passes(tmp_path: Path) -> None:
    """Five operations, single segments, interrupts off for good: two true warnings, no failure."""
    library = build_driver(Path(__file__).parents[2] / "examples" / "minimal")
    report = _quick(library, tmp_path)
    assert _failed(report) == {}
    warned = {check.name for check in report.checks if check.verdict == "warn"}
    assert warned == {"takes-any-chain", "add-when-it-fits"}
    verdicts = {check.name: check.verdict for check in report.checks}
    assert verdicts["look-again-after-enable"] == "not exercised"
    assert verdicts["add-when-all-is-back"] == "pass"


@pytest.mark.parametrize(
    ("defects", "check"),
    [
        (("LEAK",), "add-when-all-is-back"),
        (("PUSH", "LEAK"), "add-when-all-is-back"),
        (("EVENT",), "kick-when-event-passed"),
    ],
)
def test_its_mutants_fail(defects: tuple[str, ...], check: str, fifo: Fifo, tmp_path: Path) -> None:
    """A leak and an event test not cut to 16 bits fail by the check that names them, shown shortly."""
    library = fifo(*defects)
    report = _quick(library, tmp_path)
    assert report.verdict == "fail"
    assert check in _failed(report)
    assert report.trace is not None
    document = load(report.trace)
    assert len(document.operations) <= 12
    again = replay_on_driver(document.operations, document.config, library)
    assert again.differs
    assert again.check == check
    assert not replay_on_driver(document.operations, document.config, fifo()).differs


def test_a_crash_is_a_failure_with_the_operation_named(fifo: Fifo, tmp_path: Path) -> None:
    """The signal and the operation are in the report, and one operation is left to show it."""
    report = _quick(fifo("CRASH"), tmp_path)
    assert report.verdict == "fail"
    said = _failed(report)["no-crash"].detail
    assert "SIG" in said
    assert "add 3 out, 0 in" in said
    assert report.trace is not None
    assert load(report.trace).operations[-1].code == Code.ADD
    assert report.steps == ("-> add 3 out, 0 in",)


def test_a_hang_is_a_failure_with_the_operation_named(fifo: Fifo, tmp_path: Path) -> None:
    """A driver that does not come back is ended, and named with the operation."""
    report = validate(
        fifo("HANG"), options=Options(quick=True, hang_seconds=1.0, shrink_seconds=4.0, traces=tmp_path)
    )
    assert report.verdict == "fail"
    assert "(get_buf)" in _failed(report)["no-hang"].detail
    assert report.trace is not None
    again = replay_on_driver(
        load(report.trace).operations, load(report.trace).config, fifo("HANG"), hang_seconds=0.5
    )
    assert again.differs
    assert again.check == "no-hang"


def test_a_trace_that_cannot_be_written_costs_no_report(fifo: Fifo, tmp_path: Path) -> None:
    """Where traces should go lies a file: the report says so and is otherwise whole."""
    (tmp_path / "traces").write_text("in the way")
    report = _quick(fifo("CRASH"), tmp_path)
    assert report.verdict == "fail"
    assert report.trace is None
    assert "no trace was kept" in report.message


@pytest.mark.parametrize("content", [b"", b"not a library", b"\x7fELF"])
def test_bad_libraries_are_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    """What is no library is an error, not a failure of a driver."""
    library = tmp_path / "bad.so"
    library.write_bytes(content)
    with pytest.raises(LibraryError) as caught:
        _quick(library, tmp_path)
    assert "\n" not in str(caught.value)
    assert "bad.so" in str(caught.value)


def test_a_missing_library_is_refused(tmp_path: Path) -> None:
    """The name is in the message."""
    with pytest.raises(LibraryError, match="absent"):
        _quick(tmp_path / "absent.so", tmp_path)


def test_the_same_seed_finds_the_same(fifo: Fifo, tmp_path: Path) -> None:
    """Two validations with one seed fail the same check."""
    first, second = (_quick(fifo("LEAK"), tmp_path) for _ in range(2))
    assert set(_failed(first)) == set(_failed(second))


def test_throughput_is_measured(own_driver: Path) -> None:
    """Both figures exist; the driver alone is faster than with the reference."""
    assert 0 < differential(own_driver, 0.5) < c_alone(own_driver, 0.5)


@pytest.mark.slow
def test_nothing_fails_in_the_full_campaign(own_driver: Path) -> None:
    """What of it there is time for here; ``make bench`` goes through all. What is left out is said."""
    report = validate(own_driver, options=Options(traces=None, deadline=25.0))
    assert _failed(report) == {}
    assert report.verdict == ("incomplete" if report.left_out else "pass")
    assert report.operations > 1_000_000
