"""Large queues: counts that have eight bits only are found out, and nothing else is."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation import directed
from ringproof.validation.course import Habits
from ringproof.validation.outcome import Outcome
from ringproof.validation.shards import Shard, Terms, run_shards

INDIRECT, EVENT_IDX, VERSION_1 = 1 << 28, 1 << 29, 1 << 32


def _large(library: Path, sizes: tuple[int, ...], features: int) -> Outcome:
    configs = [QueueConfig(size, features, "modern", True, "virtio-1.x", 1) for size in sizes]
    now = time.monotonic()
    shards = [Shard("large queues", library, partial(directed.large, configs=configs))]
    [(_, outcome)] = run_shards(shards, Terms(now, now + 60, Habits()), 1)
    return outcome


@pytest.mark.parametrize("features", [0, INDIRECT | EVENT_IDX | VERSION_1])
def test_the_shipped_driver_keeps_count(own_driver: Path, features: int) -> None:
    """Nothing is found of queues of 256 and 1024, and all of it was gone through."""
    outcome = _large(own_driver, (256, 1024), features)
    assert [found.failure.check for found in outcome.found] == []
    assert (outcome.lost, outcome.left_out, outcome.lives) == ([], [], 2)
    assert outcome.operations > 10_000


@pytest.mark.parametrize(
    ("defect", "check"),
    [
        (None, None),
        ("BYTE_SEGMENTS", "add-when-all-is-back"),
        ("BYTE_PENDING", "kick-when-event-passed"),
    ],
)
def test_a_count_of_eight_bits_is_found(
    fifo: Callable[..., Path], defect: str | None, check: str | None
) -> None:
    """Of the segments of a chain, or of the chains since the last kick: the check that names it fails."""
    outcome = _large(fifo(*([defect] if defect else [])), (256,), EVENT_IDX | VERSION_1)
    assert bool(outcome.found) is (defect is not None)
    if defect is not None:
        assert check in {found.failure.check for found in outcome.found}
