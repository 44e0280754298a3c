"""The shards of a campaign: independent pieces, each run on a worker of its own in a process of its own."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from .course import Course, CourseOver, Habits
from .outcome import OUT_OF_TIME, Outcome
from .pairing import Pair
from .process import Process
from .processes import Lost, Task, in_processes

Work = Callable[[Course], None]

SHORT_PATIENCE = 1.0
"""Seconds for an array of operations once the driver has hung in another shard."""
_MOST_HUNG = 6  # shards in which the driver hung before the others are not begun
_GRACE = 30.0  # seconds a shard may go on past the time nothing new is to be begun


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of a campaign: what to do on which library, from which seed.

    ``work`` is a function of a module with its arguments, so that a shard can be sent to another process.
    ``patience`` is how long an array of operations may take, in seconds; ``variant`` names the build.
    """

    stage: str
    library: Path
    work: Work
    seed: int = 0
    patience: float = 10.0
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all shards of a campaign have in common.

    ``began`` is when the validation did and ``until`` when nothing new is begun, on the monotonic clock.
    """

    began: float
    until: float
    habits: Habits
    by_meaning: bool = False
    fail_fast: bool = False


def run_shard(shard: Shard, terms: Terms) -> Outcome:
    """Run a shard on a worker of its own. Raises LibraryError, BuildError."""
    with Process(shard.library, patience=shard.patience) as process:
        if terms.by_meaning:
            process.follows_the_reference = False
        pair = Pair.of(process)
        terms.habits.tell(pair)
        course = Course(
            pair, shard.stage, seed=shard.seed, began=terms.began, until=terms.until,
            fail_fast=terms.fail_fast, variant=shard.variant,
        )  # fmt: skip
        try:
            shard.work(course)
        except CourseOver as over:
            if str(over):
                course.leave_out(str(over))
        return course.outcome()


def run_shards(
    shards: Sequence[Shard], terms: Terms, jobs: int, *, told: Callable[[str], None] | None = None
) -> list[tuple[Shard, Outcome]]:
    """Run shards in ``jobs`` processes; every shard with its outcome, in the order given.

    A shard whose process died, or that took far too long, has an outcome that says so. With ``fail_fast``
    none is begun after the first failure; after the deadline none is begun either.
    """
    outcomes: dict[int, Outcome] = {}
    hung = 0
    failed = False
    stages: list[str] = []

    def tasks() -> Iterator[Task[Outcome]]:
        for at, shard in enumerate(shards):
            if failed and terms.fail_fast:
                return
            if told is not None and shard.stage not in stages:
                stages.append(shard.stage)
                told(shard.stage)
            left = terms.until - time.monotonic()
            if left <= 0 or hung >= _MOST_HUNG:
                why = OUT_OF_TIME if left <= 0 else "the driver hung too often"
                outcomes[at] = Outcome(left_out=[f"{shard.stage}: not begun, {why}"])
                continue
            patience = min(shard.patience, SHORT_PATIENCE) if hung else shard.patience
            work = partial(run_shard, replace(shard, patience=patience), terms)
            yield Task(shard.stage, work, left + _GRACE, number=at)

    for task, result in in_processes(tasks(), jobs):
        at = task.number
        outcome = Outcome(left_out=[result.why], lost=[result.why]) if isinstance(result, Lost) else result
        outcomes[at] = outcome
        failed = failed or bool(outcome.found)
        hung += any(one.failure.kind == "hang" for one in outcome.found)
    return [(shard, outcomes[at]) for at, shard in enumerate(shards) if at in outcomes]
