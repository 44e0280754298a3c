"""Worker processes that may die: each task yields a result or the reason why there is none."""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Failure:
    """A task without a result: its worker raised, died, or did not answer in time."""

    reason: str


@dataclass
class _Worker(Generic[Task]):
    process: SpawnProcess
    connection: Connection
    task: Task
    started: float


def run(
    function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, deadline: float
) -> Iterator[tuple[Task, Result | Failure]]:
    """Yield every task with its outcome, as outcomes come in, from ``jobs`` processes.

    The function must be importable by name. A worker that dies, or holds a task for more than
    ``deadline`` seconds, costs that task alone: another worker takes its place. Leaving the iteration
    early, by an exception too, ends all workers.
    """
    waiting = deque(tasks)
    workers: list[_Worker[Task]] = []
    try:
        while waiting and len(workers) < jobs:
            workers.append(_start(function, waiting.popleft()))
        while workers:
            ready = wait([worker.connection for worker in workers], timeout=1.0)
            for worker in list(workers):
                outcome = _outcome(worker, worker.connection in ready, deadline)
                if outcome is None:
                    continue
                done, result, alive = worker.task, *outcome
                if not alive:
                    _end(worker)
                    workers.remove(worker)
                    if waiting:
                        workers.append(_start(function, waiting.popleft()))
                elif waiting:
                    _give(worker, waiting.popleft())
                else:
                    _end(worker)
                    workers.remove(worker)
                yield done, result
    finally:
        for worker in workers:
            _end(worker)


def _start(function: Callable[[Task], Result], task: Task) -> _Worker[Task]:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs, function), daemon=True)
    # A worker must not see an interrupt before it can ignore it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    theirs.close()
    worker = _Worker(process, ours, task, 0.0)
    _give(worker, task)
    return worker


def _give(worker: _Worker[Task], task: Task) -> None:
    worker.task, worker.started = task, time.monotonic()
    try:
        worker.connection.send(task)
    except OSError:
        return  # The worker has died: reading from it will say so.


def _outcome(worker: _Worker[Task], ready: bool, deadline: float) -> tuple[Result | Failure, bool] | None:
    """Return the outcome of the worker's task and whether the worker goes on, or nothing yet."""
    if ready:
        try:
            outcome: Result | Failure = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(timeout=5)
            return Failure(f"the worker process died (exit code {worker.process.exitcode})"), False
        return outcome, True
    if time.monotonic() - worker.started > deadline:
        return Failure(f"the worker process gave no answer within {deadline:.0f} s"), False
    return None


def _end(worker: _Worker[Task]) -> None:
    worker.connection.close()
    worker.process.terminate()
    worker.process.join(timeout=5)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _serve(connection: Connection, function: Callable[[Task], Result]) -> None:
    """Answer tasks until the other end closes; the parent alone handles an interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            outcome: Result | Failure = function(task)
        except Exception as error:  # whatever went wrong, the parent must learn of it
            outcome = Failure(f"{type(error).__name__}: {error}")
        connection.send(outcome)
