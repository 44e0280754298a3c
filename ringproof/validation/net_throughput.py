"""How fast whole frames are checked: the driver and the reference in lockstep, in several processes."""

import multiprocessing
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from ..building import build_driver, c_sources
from ..impl.harness.net_operations import NET_FEATURES, NetCode, NetConfig, Op
from .net_pair import NetPair
from .shapes import Shapes
from .throughput import DriverFailed
from .traffic import Traffic

_POOL = 512
_BURST = 60  # frames sent, and the device's turn: together they cross over at once
_SHORTEST = 0.5


@dataclass(frozen=True, slots=True)
class _Share:
    """What one process measures: how many frames were checked in how many seconds, or what failed."""

    frames: int
    seconds: float
    failed: str = ""


def differential_rate(seconds: float = 3.0, jobs: int = 2, library: Path | None = None) -> float:
    """Return whole frames per second checked byte for byte against the reference, by ``jobs`` processes.

    Each frame is transmitted, read, completed and freed on both sides; results, registers, events, chains,
    control blocks and rings are compared, and the clauses judged. ``library`` is the shipped driver unless
    given. It takes about ``seconds`` and what starting takes. Raises DriverFailed, LibraryError, BuildError.
    """
    library = library if library is not None else build_driver(c_sources())
    if jobs == 1:
        shares = [_measure(library, seconds, 0)]
    else:
        # Not forked: that would copy what other threads are in the middle of.
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            shares = pool.starmap(_measure, [(library, seconds, seed) for seed in range(jobs)])
    for share in shares:
        if share.failed:
            raise DriverFailed(share.failed)
    return sum(share.frames / share.seconds for share in shares)


def _measure(library: Path, seconds: float, seed: int) -> _Share:
    with NetPair(library, exact=True, patience=60.0) as pair:
        config = NetConfig(features=NET_FEATURES, transport="modern", profile="virtio-1.x")
        drawn = Shapes(Random(seed), config.offered & config.understood, longest=1514).pool(_POOL)
        # A queue recorded as 65535 says nothing of a driver's speed, but a lot of the original's loop.
        frames = [replace(frame, recorded_queue=None) for frame in drawn]
        traffic = Traffic(config, frames, seed)
        failure = pair.begin(config, frames) or pair.play([Op(NetCode.PROBE)])
        before, at = pair.sent, 0
        began = time.monotonic()
        while failure is None and time.monotonic() - began < max(seconds, _SHORTEST):
            failure = pair.play(traffic.bulk([(at + step) % _POOL for step in range(_BURST)]))
            at += _BURST
        taken = time.monotonic() - began
        sent = pair.sent - before
        failure = failure or pair.count(1) or pair.end()
        failed = f"{failure.check}: {failure.detail}" if failure is not None else ""
        return _Share(sent, taken, failed)
