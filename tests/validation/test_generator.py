"""The generator of long runs."""

from collections import Counter
from itertools import islice

import pytest

from ringproof.impl.harness.operations import OP, RESULT, Code, Op, OpFlag, Result
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.validation.generator import Generator, packed, ring_operations, unpacked

EVENT_IDX = 1 << 29
ALL = frozenset(Code)


def _phases(size: int, seed: int, count: int = 12, features: int = EVENT_IDX) -> list[bytes]:
    return list(islice(Generator(size, ALL, seed, features).phases(), count))


def test_operations_survive_packing() -> None:
    """What is packed comes apart again."""
    operations = [Op(Code.ADD, 1, 2, 3, 4, 5), Op(Code.KICK)]
    assert unpacked(packed(*operations)) == operations


def test_rounds_count_their_steps() -> None:
    """A round is five operations, four without the kick."""
    operations = packed(
        Op(Code.KICK), Op(Code.ROUNDS, a=10), Op(Code.ROUNDS, OpFlag.NO_KICK, a=10), Op(Code.GET)
    )
    assert ring_operations(operations) == 1 + 50 + 40 + 1


def test_the_same_seed_gives_the_same_operations() -> None:
    """Runs can be repeated, and other seeds give other runs."""
    assert _phases(4, 7) == _phases(4, 7)
    assert _phases(4, 7) != _phases(4, 8)


@pytest.mark.parametrize("size", [1, 2, 4, 256])
@pytest.mark.parametrize("features", [0, EVENT_IDX, EVENT_IDX | 1 << 28])
def test_phases_end_drained(size: int, features: int) -> None:
    """After each phase everything is back, whatever was refused on the way."""
    runner = ReferenceRunner(QueueConfig(size, features, profile="virtio-1.x"))
    for phase in _phases(size, 1, features=features):
        runner.run(phase)
        assert runner.queue.num_free == size


def test_rings_of_every_size_get_exactly_full() -> None:
    """Each size sees num_free at 0, ENOSPC, and everything completed by one store."""
    for size in (1, 2, 4, 256):
        runner = ReferenceRunner(QueueConfig(size, EVENT_IDX, profile="virtio-1.x"))
        operations = b"".join(_phases(size, 3))
        results = [Result(*values) for values in RESULT.iter_unpack(runner.run(operations))]
        adds = [
            result
            for operation, result in zip(unpacked(operations), results, strict=True)
            if operation.code == Code.ADD
        ]
        assert any(result.status == 0 and result.num_free == 0 for result in adds)
        assert any(result.status == -28 for result in adds)


def test_what_a_driver_lacks_is_not_asked_for() -> None:
    """Operations that are not offered never appear."""
    offered = ALL - {Code.POLL, Code.ENABLE_CB, Code.ENABLE_CB_PREPARE, Code.INTERRUPT}
    generator = Generator(4, offered, 0, EVENT_IDX)
    codes = Counter(b"".join(islice(generator.phases(), 20))[:: OP.size])
    assert set(codes) <= {int(code) for code in offered}
    assert codes[Code.DISABLE_CB]


@pytest.mark.parametrize("size", [1, 2, 4, 64])
def test_traffic_without_kicks_never_fills_the_ring(size: int) -> None:
    """A refused add would notify, and the count of chains that await a kick would start again."""
    generator = Generator(size, ALL, 0, EVENT_IDX)
    operations = generator.unkicked(300)
    results = ReferenceRunner(QueueConfig(size, EVENT_IDX, profile="virtio-1.x")).run(operations)
    kick = next(at for at, operation in enumerate(unpacked(operations)) if operation.code == Code.KICK)
    pairs = zip(unpacked(operations)[:kick], RESULT.iter_unpack(results), strict=False)
    statuses = [values[0] for operation, values in pairs if operation.code == Code.ADD]
    assert len(statuses) >= 300
    assert set(statuses) == {0}


def test_a_driver_without_callbacks_gets_bursts_all_the_same() -> None:
    """Five operations are all a driver needs: no burst asks for one it lacks."""
    least = {Code.ADD, Code.KICK, Code.GET, Code.READ, Code.COMPLETE, Code.SET_FLAGS, Code.SET_AVAIL_EVENT}
    generator = Generator(4, least, 3, 0, pool=8)
    codes = {operation.code for operation in unpacked(generator.bursts(32))}
    assert codes <= least


def _held_by_a_driver_that_publishes_at_kick(size: int, operations: bytes) -> int:
    """Count what is left of so many chains, each of one descriptor, in a ring of ``size``."""
    added = published = read = used = 0
    for operation in unpacked(operations):
        if operation.code == Code.ADD and operation.flags & OpFlag.NULL_TOKEN == 0:
            added += added + published + read + used < size
        elif operation.code == Code.KICK:
            added, published = 0, published + added
        elif operation.code == Code.READ:
            count = min(published, operation.a or published)
            published, read = published - count, read + count
        elif operation.code == Code.COMPLETE:
            count = min(read, operation.c)
            read, used = read - count, used + count
        elif operation.code == Code.GET:
            used -= used > 0
    return added + published + read + used


@pytest.mark.parametrize("size", [1, 4, 256])
def test_a_phase_ends_with_nothing_left_whenever_a_driver_publishes(size: int) -> None:
    """Also when nothing is published before the kick that ends the phase, its drain asks often enough."""
    for phase in _phases(size, 3, count=18):
        assert _held_by_a_driver_that_publishes_at_kick(size, phase) == 0
