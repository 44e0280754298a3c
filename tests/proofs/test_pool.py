"""Worker processes: every task gets an outcome, whatever becomes of the worker."""

import operator
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ringproof.proofs.pool import Failure, run

Job = Callable[[], object]


def _outcomes(tasks: list[Job], jobs: int = 2, deadline: float = 60.0) -> dict[Job, object]:
    return dict(run(operator.call, tasks, jobs, deadline))


def test_a_dead_worker_costs_its_task_alone() -> None:
    """A worker that exits in the middle leaves a reason behind, and all other tasks are done."""
    fatal: Job = partial(os._exit, 7)
    good: list[Job] = [partial(abs, -number) for number in range(6)]
    outcomes = _outcomes([good[0], fatal, *good[1:]])
    assert [outcomes[job] for job in good] == list(range(6))
    failure = outcomes[fatal]
    assert isinstance(failure, Failure)
    assert "died (exit code 7)" in failure.reason


def test_a_raising_task_is_a_failure_with_its_message() -> None:
    """An exception in a worker reaches the caller as a reason, not as a traceback."""
    broken: Job = partial(int, "seven")
    failure = _outcomes([broken], jobs=1)[broken]
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("ValueError: ")


def test_a_killed_worker_is_told_by_its_signal() -> None:
    """A worker that is killed, or a solver that aborts in it, is named by the signal that ended it."""
    killed: Job = partial(signal.raise_signal, signal.SIGKILL)
    aborted: Job = os.abort
    good: Job = partial(abs, -3)
    outcomes = _outcomes([killed, aborted, good])
    assert outcomes[good] == 3
    for job, name in ((killed, "SIGKILL"), (aborted, "SIGABRT")):
        failure = outcomes[job]
        assert isinstance(failure, Failure)
        assert failure.reason == f"the worker process died ({name})"


def test_a_worker_out_of_memory_is_a_failure() -> None:
    """Memory that runs out in a worker is a reason; the worker goes on."""
    hungry: Job = partial(bytes, 1 << 62)
    good: Job = partial(abs, -3)
    outcomes = _outcomes([hungry, good], jobs=1)
    assert outcomes[hungry] == Failure("MemoryError")
    assert outcomes[good] == 3


def test_a_stuck_worker_is_given_up() -> None:
    """A task beyond its deadline fails, its worker is ended, and the next task is still done."""
    stuck: Job = partial(time.sleep, 60)
    good: Job = partial(abs, -3)
    outcomes = _outcomes([stuck, good], jobs=1, deadline=3.0)
    assert isinstance(outcomes[stuck], Failure)
    assert outcomes[good] == 3


def _children() -> set[str]:
    tasks = Path("/proc/self/task").iterdir()
    return {child for task in tasks for child in (task / "children").read_text().split()}


def test_leaving_early_ends_all_workers() -> None:
    """No process outlives an iteration that its caller gave up."""
    before = _children()
    jobs: list[Job] = [partial(abs, -1), partial(time.sleep, 60)]
    outcomes = run(operator.call, jobs, 2, 60.0)
    next(outcomes)
    assert len(_children() - before) == 1
    outcomes.close()  # type: ignore[attr-defined]  # a generator, whatever its annotation
    assert _children() <= before
