"""Worker processes that may die: each task yields a result or the reason why there is none."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

# A fresh interpreter that finds the same modules, and does not run the caller's main program again.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    f"from {__name__} import serve; serve(int(sys.argv[2]))"
)


@dataclass(frozen=True)
class Failure:
    """A task without a result: its worker raised, died, or did not answer in time."""

    reason: str


@dataclass
class _Worker(Generic[Task]):
    process: subprocess.Popen[bytes]
    connection: Connection
    task: Task
    started: float


def run(
    function: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, deadline: float
) -> Iterator[tuple[Task, Result | Failure]]:
    """Yield every task with its outcome, as outcomes come in, from ``jobs`` processes.

    The function must be importable by name. A worker that dies, or holds a task for more than
    ``deadline`` seconds, costs that task alone: another worker takes its place. Leaving the iteration
    early, by an exception too, ends all workers. Tasks are drawn one by one as workers become free, so they
    may be found while workers work.
    """
    waiting = iter(tasks)
    workers: list[_Worker[Task]] = []
    try:
        workers += (_start(function, task) for task in islice(waiting, jobs))
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
                    workers += (_start(function, task) for task in islice(waiting, 1))
                elif following := list(islice(waiting, 1)):
                    _give(worker, following[0])
                else:
                    _end(worker)
                    workers.remove(worker)
                yield done, result
    finally:
        for worker in workers:
            _end(worker)


def _start(function: Callable[[Task], Result], task: Task) -> _Worker[Task]:
    ours, theirs = socket.socketpair()
    with theirs:
        descriptor = theirs.fileno()
        # In a session of its own the worker is out of reach of Ctrl-C, which is for the parent to handle.
        process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(sys.path), str(descriptor)],
            stdin=subprocess.DEVNULL,
            pass_fds=[descriptor],
            start_new_session=True,
        )
    worker = _Worker(process, Connection(ours.detach()), task, 0.0)
    with contextlib.suppress(OSError):  # The worker has died: reading from it will say so.
        worker.connection.send(function)
    _give(worker, task)
    return worker


def _give(worker: _Worker[Task], task: Task) -> None:
    worker.task, worker.started = task, time.monotonic()
    with contextlib.suppress(OSError):
        worker.connection.send(task)


def _outcome(worker: _Worker[Task], ready: bool, deadline: float) -> tuple[Result | Failure, bool] | None:
    """Return the outcome of the worker's task and whether the worker goes on, or nothing yet."""
    if ready:
        try:
            outcome: Result | Failure = worker.connection.recv()
        except (EOFError, OSError):
            return Failure(f"the worker process died ({_end_of(worker.process)})"), False
        return outcome, True
    if time.monotonic() - worker.started > deadline:
        return Failure(f"the worker process gave no answer within {deadline:.0f} s"), False
    return None


def _end_of(process: subprocess.Popen[bytes]) -> str:
    """Return how a process came to its end: the signal's name, or the exit code."""
    code = _wait(process)
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _end(worker: _Worker[Task]) -> None:
    worker.connection.close()
    worker.process.terminate()
    _wait(worker.process)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process that should be ending, and see to it that it does."""
    try:
        return process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def serve(descriptor: int) -> None:
    """Answer tasks, in a worker process, until the other end of the socket closes."""
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, OSError):  # The parent has gone, and nobody waits for an answer.
        function: Callable[[object], object] = connection.recv()
        while True:
            task = connection.recv()
            try:
                outcome = function(task)
            except Exception as error:
                outcome = Failure(f"{type(error).__name__}: {error}".removesuffix(": "))
            connection.send(outcome)
