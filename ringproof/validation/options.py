"""The options of a validation: how much is tried, in how many processes, and for how long."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

_MOST_PATIENCE = 3.0
MOST_JOBS = 4
"""Processes side by side unless more are asked for: each has a worker process of its own."""


class VariantLike(Protocol):
    """The same driver built in another way, as ``variants.Variant`` is."""

    @property
    def kind(self) -> Literal["accesses", "coverage"]:
        """What the build makes visible."""

    @property
    def library(self) -> Path:
        """Its shared library."""

    @property
    def remark(self) -> str:
        """What it lacks, such as sanitizers."""


def usual_jobs() -> int:
    """As many processes as there are processors, four at most."""
    return min(os.cpu_count() or 1, MOST_JOBS)


def busy() -> float:
    """How many times longer than usual things take, as others use this machine too: 1 to 3."""
    try:
        waiting = os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 1.0
    return min(max(waiting, 1.0), _MOST_PATIENCE)


@dataclass(frozen=True, slots=True)
class Options:
    """How a campaign is run.

    ``quick`` leaves most out; ``fail_fast`` stops after the first failing part, otherwise each failing check
    is put aside and the campaign goes on. ``by_meaning`` compares by meaning even if the driver declares to
    follow the reference; ``second_look`` asks, when a driver only parts from the reference, whether it breaks
    a clause too. ``sizes`` are the queue sizes of the long runs and ``operations`` how many each has at
    least, None for the usual ones; ``hang_seconds`` is how long an array of operations may take.
    ``shrink_seconds`` are for the first failure, others get less; ``deadline`` is when nothing new is begun,
    in seconds from the start, None for the usual one, which is later on a busy machine. ``jobs`` are the
    processes side by side. ``variants`` are the driver built in other ways. ``traces`` is where failures are
    kept, None for nowhere; ``progress`` is told of each stage.
    """

    quick: bool = False
    fail_fast: bool = False
    by_meaning: bool = False
    second_look: bool = True
    seed: int = 0
    sizes: tuple[int, ...] | None = None
    operations: int | None = None
    hang_seconds: float = 10.0
    shrink_seconds: float = 20.0
    deadline: float | None = None
    jobs: int | None = None
    variants: tuple[VariantLike, ...] = ()
    traces: Path | None = Path("ringproof-traces")
    progress: Callable[[str], None] | None = None

    @property
    def keep_going(self) -> bool:
        """Whether a failing check is put aside and the campaign goes on."""
        return not self.fail_fast

    @property
    def processes(self) -> int:
        """How many processes run side by side."""
        return max(1, self.jobs) if self.jobs is not None else usual_jobs()

    @property
    def seconds(self) -> float:
        """After how many seconds nothing new is begun."""
        return self.deadline if self.deadline is not None else busy() * (60.0 if self.quick else 100.0)
