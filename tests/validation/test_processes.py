"""Processes of the tool: results, and what becomes of those that die, raise or take too long."""

import os
import signal
import time
from functools import partial
from pathlib import Path

from ringproof.validation.processes import Lost, Task, in_processes


def _product(left: int, right: int) -> int:
    return left * right


def _killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _raising() -> int:
    raise ValueError("no such thing")


def _slow(place: Path) -> int:
    place.write_text(str(os.getpid()))
    time.sleep(60)
    return 0


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_every_task_has_its_result() -> None:
    """More tasks than processes; each comes back with what it made."""
    tasks = [Task(f"{number} squared", partial(_product, number, number), 10, number) for number in range(7)]
    done = {task.number: result for task, result in in_processes(tasks, 2)}
    assert done == {number: number * number for number in range(7)}


def test_one_that_dies_costs_only_its_own_result() -> None:
    """Killed or failing, it is said which and how; the others are not touched."""
    tasks = [
        Task("killed", _killed, 10, 0),
        Task("raising", _raising, 10, 1),
        Task("sound", partial(_product, 2, 3), 10, 2),
    ]
    done = {task.number: result for task, result in in_processes(tasks, 3)}
    assert done[2] == 6
    assert isinstance(done[0], Lost)
    assert done[0].why == "killed: its process ended by SIGKILL"
    assert isinstance(done[1], Lost)
    assert done[1].why == "raising: ValueError: no such thing"


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """Its time is up, it is gone, and the next one has its turn."""
    tasks = [Task("slow", partial(_slow, tmp_path / "pid"), 0.5), Task("next", partial(_product, 1, 1), 10)]
    results = [result for _, result in in_processes(tasks, 1)]
    assert isinstance(results[0], Lost)
    assert "not done within" in results[0].why
    assert results[1] == 1
    assert _gone(int((tmp_path / "pid").read_text()))


def test_leaving_early_ends_all(tmp_path: Path) -> None:
    """As an interrupt does: nothing is left behind."""
    tasks = [Task("first", partial(_product, 1, 1), 10), Task("slow", partial(_slow, tmp_path / "pid"), 60)]
    for _ in in_processes(tasks, 2):
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        time.sleep(0.05)
        break
    assert _gone(int((tmp_path / "pid").read_text()))
