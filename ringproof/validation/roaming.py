"""Roaming stages: hypothesis and generators walk where nobody thought of going, by seeds."""

from collections.abc import Sequence

from ..impl.harness.reference_runner import QueueConfig
from .course import Course
from .directed import START
from .failure import Failure
from .generator import Generator
from .guided import explore
from .longrun import LongRun
from .machine import Search
from .shrinking import Deadline

_SAFETY = 60.0  # seconds of one search; examples are to end it


def search(
    course: Course, configs: Sequence[QueueConfig], wrapping: Sequence[QueueConfig], examples: int, steps: int
) -> None:
    """Let hypothesis choose queues and operations, one at a time."""
    pair = course.pair
    patience = min(pair.process.patience, 3.0)

    def seconds() -> float:
        return min(_SAFETY, course.seconds_left)

    while True:
        found = Search(
            pair, configs, generate=seconds(), shrink=min(2.0, seconds()), examples=examples, steps=steps,
            seed=course.seed, wrapping=wrapping, patience=patience,
        ).go()  # fmt: skip
        if found is None:
            return
        if not course.put_aside(found):
            return


def guided(course: Course, configs: Sequence[QueueConfig], seconds: float) -> None:
    """Let arrays grow that reach new places of an instrumented driver's code."""
    patience = course.pair.process.patience
    until = Deadline(min(seconds, course.seconds_left))
    while not until.passed():
        found = explore(course.pair, configs, seed=course.seed, seconds=until.left, patience=patience)
        if found is None or not course.put_aside(found):
            return


def sweep(course: Course, configs: Sequence[QueueConfig], phases: int) -> None:
    """Some phases of every kind of traffic on each queue."""
    for at, config in enumerate(configs):
        seed = course.seed + at
        generator = Generator(config.queue_size, course.pair.offered, seed, config.features, pool=64)
        course.life(config, *[generator.phase() for _ in range(phases)])


def around_the_wrap(course: Course, config: QueueConfig, runs: int) -> None:
    """Make short runs that begin just below 65536."""
    size, offered = config.queue_size, course.pair.offered
    start = course.rounds(START).pack()
    for at in range(runs):
        generator = Generator(size, offered, course.seed + at, config.features, pool=32)
        course.life(config, start + generator.bursts(12))


def long_run(course: Course, configs: Sequence[QueueConfig], operations: int) -> None:
    """Carry each queue past the wrap of its indices."""
    for config in configs:
        run: LongRun | None = None

        def go(config: QueueConfig = config) -> Failure | None:
            nonlocal run
            run = LongRun(course.pair, config, operations, course.seed, until=Deadline(course.seconds_left))
            return run.go()

        if course.attempt(go) and run is not None:
            course.carried(run.carried())
