"""The whole network driver of the examples, which shares no line and few habits with the project's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ringproof.building import BuildError, build_driver
from ringproof.cli import run
from ringproof.validation.campaign import Options
from ringproof.validation.library import LibraryError, entries
from ringproof.validation.net_campaign import WRAP, validate_network
from ringproof.validation.report import CheckVerdict, ValidationReport

SOURCE = Path(__file__).parents[2] / "examples" / "network" / "driver.c"
NOTIFY = "    env->write(env->context, RP_NET_NOTIFY, queue->notify_at, 2, TRANSMIT);\n"
Seeded = Callable[..., Path]

DEFECTS = [
    ("        env->wake_queue(env->context, 0);\n", "", "queue-wakes"),
    ("for (uint32_t i = 0; i < frame->pieces", "for (uint32_t i = 1; i < frame->pieces", "queue-wakes"),
    ("sizeof(header) * head, sizeof(header)", "sizeof(header) * head, 10", "clause-5.1.6/n1"),
    (
        "header->csum_start = frame->csum_start",
        "header->csum_start = (uint16_t)(frame->csum_start + 12)",
        "clause-5.1.6.2/n2",
    ),
    ("[head] = header;", "[queue->avail_idx % queue->size] = header;", "clause-5.1.6.2/n1"),
    ("        add_status(device, FAILED);\n", "", "clause-2.2.1f"),
    ("if (reset(device) != RP_NET_OK) return;", "", "clause-3.3.1b"),
    ("env->read(env->context, RP_NET_ISR, 0, 1) == 0", "0", "interrupts-acknowledged"),
    (NOTIFY, f"{NOTIFY}    env->freed(env->context, frame->token);\n", "frame-sent-or-dropped"),
    (NOTIFY, f"    if (queue->avail_idx % 4 == 0)\n    {NOTIFY}", "clause-2.7.10.1d"),
]


@pytest.fixture
def seeded(tmp_path: Path) -> Seeded:
    """Builds the driver with pieces of its text replaced; each must be there once."""

    def build(*replaced: tuple[str, str]) -> Path:
        text = SOURCE.read_text()
        for old, new in replaced:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        folder = tmp_path / "seeded"
        folder.mkdir()
        (folder / "driver.c").write_text(text)
        return build_driver(folder)

    return build


def _judged(library: Path, *, quick: bool = True) -> ValidationReport:
    return validate_network(library, options=Options(quick=quick, traces=None, shrink_seconds=0.5))


def _said(report: ValidationReport, verdict: CheckVerdict) -> set[str]:
    return {check.name for check in report.checks if check.verdict == verdict}


def test_it_passes() -> None:
    """Nothing fails; it is told that it always kicks, and that it takes no look at headers in fragments."""
    report = _judged(build_driver(SOURCE.parent))
    assert _said(report, "fail") == set()
    assert _said(report, "warn") == {"clause-2.7.10.1c", "clause-5.1.6.2.1r"}
    assert WRAP in _said(report, "not exercised")
    assert all("modern, queue size" in check.detail for check in report.checks if check.verdict == "warn")


@pytest.mark.parametrize(("old", "new", "check"), DEFECTS, ids=[f"{n}-{d[2]}" for n, d in enumerate(DEFECTS)])
def test_defects_fail(old: str, new: str, check: str, seeded: Seeded) -> None:
    """One defect, put into a copy, fails the check that speaks of it."""
    report = _judged(seeded((old, new)))
    assert report.verdict == "fail"
    assert check in _said(report, "fail")


@pytest.mark.slow
def test_indices_wrap(seeded: Seeded) -> None:
    """A driver that compares used indices by size stops for good where they wrap: seen by the long run."""
    loaded = "__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE)"
    report = _judged(seeded((f"queue->last_used != {loaded}", f"queue->last_used < {loaded}")), quick=False)
    assert _said(report, "fail") == {"queue-wakes"}
    assert {check.name: check.verdict for check in report.checks}[WRAP] == "pass"


def test_a_largest_queue_is_no_fault(seeded: Seeded) -> None:
    """A driver that declines queues other than 256 long is warned, and judged by what it takes."""
    declined = seeded(
        ("    if (queue->size & (queue->size - 1))\n", "    if (queue->size != LARGEST_QUEUE)\n"),
    )
    report = _judged(declined)
    assert report.verdict == "pass"
    assert "any-size-taken" in _said(report, "warn")
    assert "frames-in-order" in _said(report, "pass")


def test_a_driver_that_takes_nothing_fails(seeded: Seeded) -> None:
    """Declining every device is a failure."""
    report = _judged(seeded(("    if (queue->size & (queue->size - 1))\n", "    if (queue->size != 0)\n")))
    assert "probe-takes-a-sound-device" in _said(report, "fail")


def test_misspelt_entry(seeded: Seeded, capsys: pytest.CaptureFixture[str]) -> None:
    """A library with neither entry is told of both headers in one line, exit code 2."""
    library = seeded(("rp_net_driver_entry(void) {", "rp_net_driver(void) {"))
    with pytest.raises(LibraryError, match=r"rp_net_driver_entry \(ringproof_net_driver\.h\)"):
        entries(library)
    assert run(["validate", str(library)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_does_not_compile(seeded: Seeded) -> None:
    """An error of the compiler is one line with file and line number."""
    with pytest.raises(BuildError, match=r"driver\.c:\d+"):
        seeded(("static void reclaim(", "static void reclaim(("))
