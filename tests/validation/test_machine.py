"""The state machine."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ringproof.impl.harness.operations import Code
from ringproof.patching import load_reference_mutant
from ringproof.validation.configurations import search_configs
from ringproof.validation.machine import Search
from ringproof.validation.pairing import Pair
from ringproof.validation.shrinking import reduced

Processes = Callable[[ModuleType | None], Any]


def _search(pair: Pair, **how: Any) -> Search:
    configs = search_configs(pair.process.features, pair.profile)
    return Search(pair, configs, **{"generate": 20.0, "shrink": 10.0, "examples": 60, "steps": 25} | how)


def test_the_reference_agrees_with_itself(stand_in: Processes) -> None:
    """No failure is invented, and the examples are really tried."""
    search = _search(Pair.of(stand_in(None)), examples=30)
    assert search.go() is None
    assert search.tried >= 30


@pytest.mark.parametrize(
    ("mutant", "most"), [("A5", 1), ("A2", 4), ("B1", 5), ("B5", 7), ("B13", 1), ("X1", 3)]
)
def test_hypothesis_finds_and_shrinks_a_mutant(mutant: str, most: int, stand_in: Processes) -> None:
    """A seeded defect is found; hypothesis's run is short, and what is left of it no longer than need be."""
    pair = Pair.of(stand_in(load_reference_mutant(mutant)))
    failure = _search(pair).go()
    assert failure is not None
    assert len(failure.cut().operations) <= 30
    assert len(reduced(failure, pair.attempt, 10).operations) <= most


def test_a_failure_comes_again(stand_in: Processes) -> None:
    """What the machine found fails the same check when it is run from a new queue."""
    pair = Pair.of(stand_in(load_reference_mutant("A6")))
    failure = _search(pair).go()
    assert failure is not None
    assert failure.like(pair.attempt(failure.config, failure.operations))


def test_time_is_kept(stand_in: Processes) -> None:
    """With no time to generate, nothing is tried and nothing is found."""
    search = _search(Pair.of(stand_in(None)), generate=0.0)
    assert search.go() is None
    assert search.tried <= 1


def test_nothing_is_left_behind(stand_in: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's directory stays as it was."""
    monkeypatch.chdir(tmp_path)
    _search(Pair.of(stand_in(None)), examples=3).go()
    assert not list(tmp_path.iterdir())


def test_what_a_driver_lacks_is_not_asked_for(stand_in: Processes) -> None:
    """Operations that are not offered are left out of every sequence."""
    process = stand_in(None)
    process.offered = frozenset(Code) - {Code.POLL, Code.DETACH_UNUSED, Code.INTERRUPT}
    asked: set[int] = set()
    run = process.run

    def watched(operations: bytes) -> bytes:
        asked.update(operations[::16])
        result: bytes = run(operations)
        return result

    process.run = watched
    _search(Pair.of(process), examples=30).go()
    assert asked
    assert asked <= {int(code) for code in process.offered}
