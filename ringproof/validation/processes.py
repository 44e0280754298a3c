"""Processes of the tool itself: each task runs in one of its own, and yields a result or why there is none.

They are forked, so that a task begins within milliseconds, and each runs one task only: what it leaves behind
is gone with it. A process that dies, raises or takes too long costs its own result alone.
"""

import contextlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Generic, TypeVar

Result = TypeVar("Result")

_FORK = multiprocessing.get_context("fork")
_GRACE = 2.0  # seconds between being asked to end and being made to


@dataclass(frozen=True)
class Task(Generic[Result]):
    """Something to be done in a process of its own, in ``seconds`` at most.

    ``name`` is for messages, ``number`` for whoever wants to know it again. The result may not be None.
    """

    name: str
    work: Callable[[], Result]
    seconds: float
    number: int = 0


@dataclass(frozen=True)
class Lost:
    """A task without a result, and why."""

    why: str


@dataclass
class _Running(Generic[Result]):
    task: Task[Result]
    process: ForkProcess
    answers: Connection
    until: float


def in_processes(tasks: Iterable[Task[Result]], jobs: int) -> Iterator[tuple[Task[Result], Result | Lost]]:
    """Yield every task with its result, as results come in, from ``jobs`` processes at a time.

    Tasks are drawn one by one as processes become free. Leaving the iteration early, by an exception too,
    ends all processes, and with them their workers.
    """
    waiting = iter(tasks)
    running: list[_Running[Result]] = []
    try:
        while True:
            while len(running) < jobs and (task := next(waiting, None)) is not None:
                running.append(_started(task))
            if not running:
                return
            left = min(one.until for one in running) - time.monotonic()
            # At its end a process closes its side of the pipe, whatever ended it.
            wait([one.answers for one in running], timeout=max(0.0, left))
            for one in list(running):
                result = _ended(one)
                if result is not None:
                    running.remove(one)
                    yield one.task, result
    finally:
        for one in running:
            _end(one.process)
            one.answers.close()


def _started(task: Task[Result]) -> _Running[Result]:
    answers, give = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_run, args=(task, give), daemon=False)
    # An interrupt between fork and the moment the new process ignores it would end that with a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    give.close()
    return _Running(task, process, answers, time.monotonic() + task.seconds)


def _run(task: Task[Result], give: Connection) -> None:
    """Do a task and give its result back; in the new process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one from the terminal is the first process's affair
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, _leave)
    try:
        result: Result | Lost = task.work()
    except Exception as error:  # the tool's own fault: it must not take the other results along
        said = " ".join(str(error).split())
        result = Lost(f"{task.name}: {type(error).__name__}: {said}" if said else type(error).__name__)
    give.send(result)
    give.close()


def _leave(_number: int, _frame: object) -> None:
    sys.unraisablehook = _swallowed
    raise SystemExit(1)  # so that workers are ended on the way out


def _swallowed(_ignored: object) -> None:
    """Ask to leave once more, and say nothing: a destructor or the collector's callback had been asked."""
    signal.signal(signal.SIGALRM, _leave)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _ended(one: _Running[Result]) -> Result | Lost | None:
    """Return what came of a process, None while it runs."""
    if one.answers.poll():
        result: Result | Lost
        try:
            result = one.answers.recv()
        except (EOFError, OSError):
            result = Lost(f"{one.task.name}: its process ended {_how(one.process)}")
        except Exception as error:  # what cannot be read is no result
            result = Lost(f"{one.task.name}: its result cannot be read: {type(error).__name__}")
    elif time.monotonic() >= one.until:
        result = Lost(f"{one.task.name}: not done within {one.task.seconds:.0f} s")
    else:
        return None
    _end(one.process)
    one.answers.close()
    return result


def _how(process: ForkProcess) -> str:
    process.join(_GRACE)
    status = process.exitcode
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
    return f"with status {status}"


def _end(process: ForkProcess) -> None:
    process.join(0.05)
    if process.is_alive():
        process.terminate()
        process.join(_GRACE)
    if process.is_alive():
        process.kill()
        process.join()
