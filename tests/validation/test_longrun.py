"""The long run."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ringproof.impl.harness.operations import Code
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.patching import load_reference_mutant
from ringproof.validation.longrun import WRAP, LongRun
from ringproof.validation.pairing import Pair

Processes = Callable[[ModuleType | None], Any]
EVENT_IDX = 1 << 29


def _run(process: Any, size: int = 4, wanted: int = 2_000) -> LongRun:
    pair = Pair.of(process)
    config = QueueConfig(size, EVENT_IDX, profile="virtio-1.x")
    pair.probe(config)
    return LongRun(pair, config, wanted)


@pytest.mark.parametrize("size", [1, 256])
def test_it_passes_the_wrap(size: int, stand_in: Processes) -> None:
    """avail_idx really goes past 65535, all operations are run, and everything comes back."""
    run = _run(stand_in(None), size)
    assert run.go() is None
    assert run.passed_the_wrap
    assert run.advanced > WRAP
    assert run.operations >= run.wanted
    assert run.accepted == run.returned > 0
    assert not run.shortfall


@pytest.mark.parametrize("mutant", ["B3", "B6", "B11"])
def test_what_shows_only_past_the_wrap_is_found(mutant: str, stand_in: Processes) -> None:
    """Defects of 16-bit counters fail a long run, with where the arrays of operations began."""
    failure = _run(stand_in(load_reference_mutant(mutant))).go()
    assert failure is not None
    assert failure.marks
    assert 0 <= failure.step < len(failure.operations)


def test_what_does_not_come_back_is_said(stand_in: Processes) -> None:
    """A chain that is swallowed, where nothing else notices, shows in the count."""
    process = stand_in(None)
    process.offered = frozenset(Code)
    run = _run(process)
    swallowed = run.pair.run
    calls = 0

    def forgetful(operations: bytes) -> Any:
        nonlocal calls
        calls += 1
        failure = swallowed(operations)
        if calls == 2:
            run.accepted += 1
        return failure

    run.pair.run = forgetful  # type: ignore[method-assign]
    assert run.go() is None
    assert "came back" in run.shortfall
