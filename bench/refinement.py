"""How long it takes to prove of code that it does what the model does, and again where little has changed.

Parts of the claims are asked as ``ringproof prove --refinement`` does it, in two processes; which parts a
figure is about, their labels say.
"""

import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ringproof.building import c_sources
from ringproof.proofs import pool
from ringproof.proofs.cache import Cache
from ringproof.proofs.refinement.examination import Examined, Outcome, Task, attended
from ringproof.proofs.refinement.refinement import Kind, Part
from ringproof.proofs.refinement.registry import refinements
from ringproof.proofs.refinement.run import DEADLINE
from ringproof.proofs.solver import NAME

PROCESSES = 2
REMARK = "/* A line more before everything: each function is where it was not, and does what it did. */\n"


@dataclass(frozen=True)
class Measure:
    """How long some parts took: seconds of the clock, how many were asked, proved, and known from before."""

    what: str
    target: float
    seconds: float
    asked: int
    proved: int
    known: int

    @property
    def note(self) -> str:
        """What else there is to say: what was not proved is no figure."""
        said = f", {self.asked} parts"
        if self.known:
            said += f", {self.known} of them from the cache"
        return said if self.proved == self.asked else f"{said}, ONLY {self.proved} PROVED"

    @property
    def reached(self) -> bool:
        """Whether there was something to prove, all of it was, and in time."""
        return 0 < self.asked == self.proved and self.seconds < self.target


def measures() -> Iterator[Measure]:
    """Yield every figure that is held to."""
    yield measure("the Python reference at N = 8", 60.0, "reference", _of("N = 8"))
    yield measure("the C at every N, 8 among them", 60.0, "c", _of("every N"))
    with tempfile.TemporaryDirectory(prefix="ringproof-bench-") as folder:
        cache = Cache(Path(folder) / "cache", writes=True, solver=NAME)
        yield measure("all that is claimed of the C", 120.0, "c", _any, cache=cache)
        yield measure("the C once more, unchanged", 5.0, "c", _any, cache=cache)
        remarked = Path(folder) / "c"
        shutil.copytree(c_sources(), remarked)
        for source in remarked.glob("*.c"):
            source.write_text(REMARK + source.read_text())
        yield measure("the C with a remark more", 5.0, "c", _any, sources=remarked, cache=cache)


def _of(size: str) -> Callable[[Part], bool]:
    return lambda part: size in part.label


def _any(part: Part) -> bool:
    del part
    return True


def measure(
    what: str,
    target: float,
    kind: Kind,
    wanted: Callable[[Part], bool],
    *,
    sources: Path | None = None,
    cache: Cache | None = None,
) -> Measure:
    """Ask the wanted parts of all claims about code of a kind, with no more known than the cache holds."""
    examined = Examined(sources or c_sources())
    tasks = [
        Task(claim.name, (number,), examined)
        for claim in refinements().values()
        for number, part in enumerate(claim.parts)
        if claim.code == kind and wanted(part)
    ]
    work = functools.partial(attended, find=refinements, cache=cache)
    started = time.perf_counter()
    proved = known = 0
    for _, outcome in pool.run(work, tasks, PROCESSES, DEADLINE):
        if isinstance(outcome, Outcome):
            (found,) = outcome.findings
            proved += found.proved
            known += found.proved and all(entry.cached for entry in found.obligations)
    return Measure(what, target, time.perf_counter() - started, len(tasks), proved, known)
