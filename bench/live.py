"""What a live run costs: frames a second with all clauses on, beside a plain device, and memory in time."""

import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ringproof.building import build_driver, c_sources
from ringproof.live.checks import LIVE_CHECKS
from ringproof.live.features import offered
from ringproof.live.frontend import run_frontend
from ringproof.live.listening import Listening
from ringproof.live.outcome import RoundOutcome
from ringproof.live.recipes.missing import Missing
from ringproof.live.recipes.recipe import recipe
from ringproof.live.running import Asked, round_of
from ringproof.live.session import Because, Options, Session
from ringproof.live.tallies import Check
from tests.live.fuzzing import fuzzer_compiler, run_fuzzer

_RATE = 500_000
_SHARE = 0.5
_FRAMES = 4_000_000
_TIMES = 7
_LONG = 10_000_000
_SAMPLE = 500_000
_KERNEL = 150_000
_MESSAGES = 1_000_000
_FORWARD = {"poll_completions": True, "batch": 64, "queue_size": 1024}
"""How the front-end floods: it looks for what came back by itself, and wants no interrupts."""


@dataclass(frozen=True)
class Served:
    """A run of the project's front-end: frames a second, failures of checks, and the memory seen meanwhile.

    ``memory`` are samples of this process's resident bytes, one for every 500,000 frames.
    """

    rate: float
    frames: int
    failed: tuple[str, ...]
    memory: tuple[int, ...]


def resident() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def served(frames: int, *, plain: bool) -> Served:
    """Serve the front-end, which floods with this project's C driver, until so many frames have come."""
    library = build_driver(c_sources())
    with tempfile.TemporaryDirectory(prefix="ringproof-bench-") as folder:
        path = Path(folder) / "s"
        with (
            Listening(path) as listening,
            run_frontend(path, library, frames=frames, **_FORWARD) as front_end,
            Session(Options(device_features=offered(), plain=plain)) as session,
        ):
            session.connect(_connected(listening).detach())
            memory, due = list[int](), 0
            while not session.run(50_000) & (Because.CLOSED | Because.TROUBLE):
                chains = session.view().queues[1].counts.chains
                if chains >= due:
                    memory.append(resident())
                    due += _SAMPLE
            failed = () if plain else _failed(session)
            result = front_end.result()
    if result.outcome != "done":
        raise SystemExit(f"the front-end ended otherwise: {result.outcome}")
    return Served(result.rate, result.completed, failed, tuple(memory))


def _connected(listening: Listening) -> socket.socket:
    connection = listening.accept(30.0)
    if connection is None:
        raise SystemExit("the front-end did not connect")
    return connection


def _failed(session: Session) -> tuple[str, ...]:
    return tuple(LIVE_CHECKS[code].name for code, tally in session.tallies().items() if tally.failed)


@dataclass(frozen=True)
class Measure:
    """A figure that is held to: what, how much, the target in words, whether it was reached."""

    what: str
    measured: str
    target: str
    reached: bool


def measures() -> Iterator[Measure]:
    """Yield every figure of live runs."""
    plain, watched = list[float](), list[float]()
    failed = list[str]()
    for _ in range(_TIMES):  # one after the other: what else the machine does concerns both
        plain.append(served(_FRAMES, plain=True).rate)
        one = served(_FRAMES, plain=False)
        watched.append(one.rate)
        failed += one.failed
    rate, share = median(watched), median(watched) / median(plain)
    said = f", FAILED {', '.join(failed)}" if failed else ""
    yield Measure(
        "live: frames a second, all clauses on", f"{rate:,.0f} frames/s{said}", "at least 500,000",
        rate >= _RATE and not failed,
    )  # fmt: skip
    yield Measure(
        "live: of a plain device's, same front-end", f"{share:.2f} of {median(plain):,.0f} frames/s",
        "at least 0.5", share >= _SHARE,
    )  # fmt: skip
    yield _flat()
    yield _fuzzed()
    yield from _linux()


def _flat() -> Measure:
    """Ten million frames: the memory of the last half is that of the first."""
    long = served(_LONG, plain=False)
    half = len(long.memory) // 2
    grown = max(long.memory[half:]) - max(long.memory[1:half])
    return Measure(
        "live: memory grown over 10,000,000 frames",
        f"{grown / 1024:,.0f} KiB after the first half, {max(long.memory) >> 20} MiB in all",
        "under 1 MiB", grown < 1 << 20 and not long.failed and long.frames >= _LONG,
    )  # fmt: skip


def _fuzzed() -> Measure:
    """A million messages of a fuzzer that coverage guides, under AddressSanitizer."""
    what, target = "live: protocol fuzzed", f"{_MESSAGES:,} messages, no crash or leak"
    compiler = fuzzer_compiler()
    if compiler is None:
        return Measure(what, "not run: there is no clang with libFuzzer", target, False)
    with tempfile.TemporaryDirectory(prefix="ringproof-bench-") as folder:
        report = run_fuzzer(Path(folder), _MESSAGES, compiler=compiler, limit=1200)
    said = f"{report.messages:,} messages, {report.started:,} queues started, {report.chains:,} chains"
    return Measure(
        what, f"{said}, CRASH" if report.crash else said, target,
        report.messages >= _MESSAGES and not report.crash,
    )  # fmt: skip


def _linux() -> Iterator[Measure]:
    """Linux's pktgen, where there is a kernel: all its frames, and no kick lost."""
    what, target = "live: Linux pktgen frames, kicks lost", f"{_KERNEL:,}, none"
    found = recipe("linux")
    try:
        found.check()
    except Missing as missing:
        yield Measure(what, f"not run: {missing}", target, False)
        return
    with tempfile.TemporaryDirectory(prefix="ringproof-bench-") as folder:
        one = next(one for one in found.rounds() if one.name == "pktgen")
        began = time.perf_counter()
        outcome = round_of(one, Asked(Path(folder), chosen=("honest",)), Path(folder) / "round")
        seconds = time.perf_counter() - began
    lost = lost_kicks(outcome)
    yield Measure(
        what, f"{outcome.transmitted:,} chains, {lost} lost, {seconds:.0f} s", target,
        outcome.transmitted >= _KERNEL and lost == 0 and not outcome.trouble,
    )  # fmt: skip


def lost_kicks(outcome: RoundOutcome) -> int:
    """How many kicks a round found lost."""
    codes = (Check.KICK_LOST_FLAGS, Check.KICK_LOST_EVENT)
    return sum(outcome.tallies[code].failed for code in codes if code in outcome.tallies)
