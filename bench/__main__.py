"""``make bench``: measures each figure once, beside the target, and says where a target is missed.

Timings on shared machines vary twofold; resource counts of the solver do not, and are printed with them.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringproof.building import build_driver, c_sources
from ringproof.journey.described import described
from ringproof.journey.pcap import PcapWriter
from ringproof.model.ring import Ring
from ringproof.model.steps.queue import Steps
from ringproof.proofs.theorem import Theorem
from ringproof.proofs.theorems import THEOREMS
from ringproof.validation.examination import examine
from ringproof.validation.net_throughput import differential_rate
from ringproof.validation.options import Options
from ringproof.validation.throughput import c_alone, differential

from .growth import table
from .kills import SOON
from .kills import table as table_of_kills
from .live import measures as live_measures
from .monitor import cost
from .refinement import measures
from .seeded import EXAMPLES, kill, seeded

TRACED = ("A1", "A2", "A5", "A6", "A7", "B1", "B3", "B5", "B11", "D1")
_MIB = 1024
CLEAN = ("minimal", "lifo", "fifo", "bitmap")
SEEDS = 20


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, the target in words, and whether it was reached."""

    what: str
    measured: str
    target: str
    reached: bool


def _run(*arguments: str, cache: str | None = None) -> tuple[float, dict[str, Any]]:
    """Runs ``ringproof ARGUMENTS --json`` in a process of its own; its seconds and its document.

    ``cache`` is a folder for what this machine keeps, instead of the usual one.
    """
    started = time.perf_counter()
    command = [sys.executable, "-m", "ringproof", *arguments, "--json"]
    environment = {**os.environ, "XDG_CACHE_HOME": cache} if cache else None
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return time.perf_counter() - started, json.loads(done.stdout)


def _seconds(what: str, seconds: float, target: float, note: str = "") -> Figure:
    return Figure(what, f"{seconds:.1f} s{note}", f"under {target:g} s", seconds < target)


def _proofs() -> list[Figure]:
    figures = []
    stepwise = [name for name, theorem in THEOREMS.items() if theorem.subject is Steps]
    for what, arguments, target in (
        ("step-wise theorems, cold", ("prove", "--no-cache", *stepwise), 60.0),
        ("all theorems, cold", ("prove", "--no-cache"), 60.0),
        ("all theorems, cold, --fast", ("prove", "--no-cache", "--fast"), 10.0),
    ):
        seconds, report = _run(*arguments)
        work = sum(theorem["rlimit"] for theorem in report["theorems"]) / 1e6
        figures.append(_seconds(what, seconds, target, f", {work:.1f} M resources"))
    with tempfile.TemporaryDirectory(prefix="ringproof-bench-") as folder:
        _run("prove", "--cache", cache=folder)
        figures.append(_seconds("all theorems, from the cache", _run("prove", cache=folder)[0], 2.0))
    seconds, report = _run("prove", "--cross-check")
    figures.append(_seconds("all theorems decided again by cvc5", seconds, 300.0))
    return [*figures, _growth()]


def _growth() -> Figure:
    """One queue size at a time against all at once; reached if the latter costs less than the largest."""
    rows = table()
    costs = ", ".join(
        f"{what} {spent / 1e6:.2f} M" + (f" ({undecided} of {asked} undecided)" if undecided else "")
        for what, asked, undecided, spent in rows
    )
    cheap = rows[0][2] == 0 and rows[0][3] < rows[-1][3]
    return Figure("some obligations at one size after another", costs, "every size below the largest", cheap)


def _refinements() -> list[Figure]:
    """The claims about code, at one size and at all, and again where nothing has changed."""
    return [
        Figure(each.what, f"{each.seconds:.1f} s{each.note}", f"under {each.target:g} s", each.reached)
        for each in measures()
    ]


def _traces() -> list[Figure]:
    return [_seconds(f"trace {mutant}", _run("trace", mutant)[0], 10.0) for mutant in TRACED]


def _rates(library: Path) -> list[Figure]:
    figures = []
    for what, measure, target in (
        ("driver against the Python reference", differential, 50_000),
        ("C driver with the honest device alone", c_alone, 1_000_000),
    ):
        rate = measure(library)
        figures.append(Figure(what, f"{rate:,.0f} operations/s", f"at least {target:,}", rate >= target))
    return figures


def _validation(library: Path) -> list[Figure]:
    seconds, report = _run("validate", str(library))
    figure = _seconds("validate, all of it", seconds, 120.0, f", {report['operations']:,} operations")
    if report["verdict"] != "pass":
        figure = Figure(figure.what, "the driver failed", figure.target, False)
    operations = report["operations"]
    enough = Figure("ring operations of it", f"{operations:,}", "at least 5,000,000", operations >= 5_000_000)
    return [figure, enough, *_monitor(library), *_kills()]


def _monitor(library: Path) -> list[Figure]:
    """The cost of judging: against a device that looks at nothing, and as part of a validation."""
    plain, judged = cost(library)
    beside = differential(library)
    # A validation has the Python reference beside it; without the monitor it would take so much less.
    without = 1 / beside - (1 / judged - 1 / plain)
    share = 1 / beside / without
    return [
        Figure(
            "a validation with the monitor, against one without", f"{share:.2f} x", "under 2 x", share < 2
        ),
        Figure(
            "the C worker alone, against a device that looks at nothing",
            f"{plain / judged:.2f} x",
            "under 2 x",
            plain < 2 * judged,
        ),
    ]


def _kills() -> list[Figure]:
    """The table of seeded defects, and how many of them were found how soon."""
    found = [kill(defect) for defect in seeded() if not defect.lawful]
    print("".join(table_of_kills(found)))
    died = sum(each.died for each in found)
    soon = sum(each.died and each.seconds is not None and each.seconds < SOON for each in found)
    share = soon / len(found)
    clean = [
        examine(build_driver(EXAMPLES / driver), options=Options(quick=True, seed=seed, traces=None)).verdict
        for driver in CLEAN
        for seed in range(SEEDS)
    ]
    passed = clean.count("pass")
    return [
        Figure(
            f"{SEEDS} seeds each of {len(CLEAN)} drivers without defect",
            f"{passed} of {len(clean)} pass",
            "all",
            passed == len(clean),
        ),
        Figure("seeded defects of the examples found", f"{died} of {len(found)}", "all", died == len(found)),
        Figure(f"of them within {SOON:g} s", f"{100 * share:.0f} %", "at least 90 %", share >= 0.9),
    ]


def _is_of_frames(theorem: Theorem) -> bool:
    """Whether a theorem is of the path around the virtqueue."""
    return theorem.subject not in (Ring, Steps)


def _frames(library: Path) -> list[Figure]:
    """The path from sk_buff to doorbell: its theorems, frames compared, a capture of 10,000 sent."""
    names = [name for name, theorem in THEOREMS.items() if _is_of_frames(theorem)]
    seconds, report = _run("prove", *names)
    work = sum(theorem["rlimit"] for theorem in report["theorems"]) / 1e6
    figures = [_seconds("theorems of the whole path, cold", seconds, 30.0, f", {work:.1f} M resources")]
    rate = differential_rate(5.0, 2, library)
    figures.append(
        Figure(
            "whole frames, driver against the reference",
            f"{rate:,.0f} frames/s",
            "at least 10,000",
            rate >= 10_000,
        )
    )
    with tempfile.TemporaryDirectory(prefix="ringproof-bench-") as folder:
        capture = Path(folder) / "frames.pcap"
        with PcapWriter(capture) as pcap:
            pcap.write((0, described(f"udp4 len={60 + number % 1455}")[0].data) for number in range(10_000))
        figures.append(
            _seconds("xmit of a pcap of 10,000 frames", _run("xmit", "--pcap", str(capture))[0], 5.0)
        )
    return figures


def _memory() -> Figure:
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Figure(
        "largest process of all of these", f"{peak / _MIB:.0f} MiB", "under 1024 MiB", peak < 1024 * _MIB
    )


def main() -> int:
    """Measures everything; 0 when every target was reached."""
    library = build_driver(c_sources())
    figures = [
        *_proofs(),
        *_frames(library),
        *_refinements(),
        *_traces(),
        *_rates(library),
        *_validation(library),
        *(Figure(one.what, one.measured, one.target, one.reached) for one in live_measures()),
        _memory(),
    ]
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        mark = "" if figure.reached else "   MISSED"
        print(f"{figure.what:{width}}  {figure.measured:32}  {figure.target}{mark}")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
