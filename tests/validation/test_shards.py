"""Shards: what they add up to, what a lost one costs, and how their failures are shown."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.patching import mutated_driver
from ringproof.validation import directed
from ringproof.validation.course import Course, Habits
from ringproof.validation.failure import Found
from ringproof.validation.life import life_and_death
from ringproof.validation.options import Options
from ringproof.validation.outcome import Outcome
from ringproof.validation.pairing import Tally
from ringproof.validation.process import Process
from ringproof.validation.shards import Shard, Terms, run_shards
from ringproof.validation.showing import Stand, show
from ringproof.validation.stages import Driver, plan

Fifo = Callable[..., Path]
CONFIG = QueueConfig(4, 1 << 29, "modern", True, "virtio-1.x", 1)


def _terms(**changes: bool) -> Terms:
    now = time.monotonic()
    return Terms(now, now + 60, Habits(), **changes)


def _one_life(course: Course) -> None:
    course.life(CONFIG, [Op(Code.ADD, a=1), *directed.drained(1)])


def _dying(course: Course) -> None:
    _one_life(course)
    os.kill(os.getpid(), signal.SIGKILL)


def test_outcomes_add_up() -> None:
    """Counts are summed; of two sentences on one check that of the first failure stays."""
    first = Outcome(operations=3, compared={4: 1}, tallies={"one": Tally("c", "fail", 5, 0, "must")})
    second = Outcome(
        operations=4, compared={4: 2, 8: 1}, tallies={"one": Tally("c", "fail", 1, 1, "was not")}
    )
    first.add(second)
    first.add(Outcome(tallies={"one": Tally("c", "fail", 1, 1, "nor here")}, left_out=["a"]))
    assert (first.operations, first.compared, first.left_out) == (7, {4: 3, 8: 1}, ["a"])
    assert first.tallies["one"] == Tally("c", "fail", 7, 2, "was not")


def test_a_shard_that_dies_costs_its_own_result(own_driver: Path) -> None:
    """The others' results are whole, and it is said what was lost."""
    shards = [
        Shard("dies", own_driver, _dying),
        Shard("lives", own_driver, _one_life),
        Shard("lives", own_driver, _one_life),
    ]
    outcomes = [outcome for _, outcome in run_shards(shards, _terms(), 2)]
    assert outcomes[0].lost == outcomes[0].left_out == ["dies: its process ended by SIGKILL"]
    assert [outcome.lives for outcome in outcomes] == [0, 1, 1]
    assert outcomes[1].operations == outcomes[2].operations > 0
    assert not any(outcome.found for outcome in outcomes)


def test_the_plan_is_the_same_each_time(own_driver: Path) -> None:
    """Same driver, options and seed: the same shards in the same order, cheap ones first."""
    with Process(own_driver, patience=5) as process:
        driver = Driver.of(process, own_driver)
    first, second = (plan(driver, Options(quick=True)) for _ in range(2))
    assert [str(shard) for shard in first] == [str(shard) for shard in second]
    assert [shard.stage for shard in first].index("life and death") < 2


def test_what_only_the_end_shows_dies_without_chance() -> None:
    """A token that is not cleared at reclaim is found by detach_unused, by the deterministic stage alone."""
    shard = Shard("life and death", mutated_driver("X2"), partial(life_and_death, configs=[CONFIG]))
    outcomes = [run_shards([shard], _terms(), 1)[0][1] for _ in range(2)]
    checks = [sorted(outcome.failing()) for outcome in outcomes]
    assert checks[0] == checks[1]
    assert "token-in-used-order" in checks[0]


@pytest.mark.parametrize("defect", ["LEAK", "CRASH"])
def test_progress_finds_what_does_not_come_back(defect: str, fifo: Fifo) -> None:
    """Filled exactly and emptied in every order, a ring that loses descriptors, or crashes, is found out."""
    stages = partial(directed.progress, configs=[CONFIG])
    outcome = run_shards([Shard("progress", fifo(defect), stages)], _terms(by_meaning=True), 1)[0][1]
    expected = {"LEAK": "add-when-all-is-back", "CRASH": "no-crash"}[defect]
    assert expected in outcome.failing()


def test_a_failure_that_comes_and_goes_is_called_flaky(fifo: Fifo) -> None:
    """A driver that forgets to kick by the clock's whim: what is shown says how often it did."""
    library = fifo("FLAKY")
    shard = Shard("batches", library, partial(directed.batches, configs=[CONFIG] * 20))
    found = run_shards([shard], _terms(by_meaning=True), 1)[0][1].failing()["kick-when-event-passed"]
    stand = Stand(library, Habits(publishes_at_kick=True), 5.0)
    steadiness = set()
    for _ in range(12):
        steadiness.add(show(found, stand, 0.2).steadiness)
        if any(said.startswith("flaky (shown ") for said in steadiness):
            return
    raise AssertionError(f"never called flaky: {steadiness}")


def test_what_follows_is_said(tmp_path: Path) -> None:
    """A failure that shows only with another one put aside names it."""
    library = mutated_driver("X2")
    shard = Shard("life and death", library, partial(life_and_death, configs=[CONFIG]))
    outcome = run_shards([shard], _terms(), 1)[0][1]
    found = outcome.failing()
    later = [one for one in found.values() if one.aside]
    assert later
    stand = Stand(library, Habits(), 5.0, traces=tmp_path)
    shown = [show(one, stand, 2.0) for one in later]
    assert any(one.follows for one in shown)
    assert all(one.follows != one.failure.check for one in shown)


def test_a_steady_failure_is_called_deterministic(tmp_path: Path) -> None:
    """Shown three times of three, with its trace and its steps."""
    found: Found = next(
        iter(
            run_shards(
                [Shard("progress", mutated_driver("A5"), partial(directed.progress, configs=[CONFIG]))],
                _terms(),
                1,
            )[0][1].found
        )
    )
    shown = show(found, Stand(mutated_driver("A5"), Habits(), 5.0, traces=tmp_path), 2.0)
    assert (shown.steadiness, shown.follows) == ("deterministic", "")
    assert shown.trace is not None
    assert len(shown.steps) <= 2
