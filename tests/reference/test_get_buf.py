"""virtqueue_get_buf, detach_buf and virtqueue_detach_unused_buf."""

import struct

import pytest

from ringproof.impl.harness.invariants import check, violations
from ringproof.impl.harness.operations import ARENA_ADDRESS, Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.impl.reference import LinkLoopError
from ringproof.impl.reference.profile import F_INDIRECT_DESC

SEGMENT = [(0x1000, 64)]


def with_chains(queue_size: int, *lengths: int, features: int = 0) -> ReferenceRunner:
    """Return a queue with chains of these lengths in flight, their tokens "a", "b", ..."""
    runner = ReferenceRunner(QueueConfig(queue_size, features))
    for token, length in zip("abcdefgh", lengths, strict=False):
        assert runner.queue.add([(0x1000 * (i + 1), 16) for i in range(length)], [], token) == 0
    runner.device.read(0)
    return runner


def store_used(runner: ReferenceRunner, slot: int, head: int, idx: int) -> None:
    """Do what no honest device does: store any id and used_idx."""
    at = runner.used - ARENA_ADDRESS
    struct.pack_into("<II", runner.arena.memory, at + 4 + 8 * slot, head, 99)
    struct.pack_into("<H", runner.arena.memory, at + 2, idx)


def test_nothing_used() -> None:
    """Nothing comes back before the device completes something."""
    runner = with_chains(4, 1)
    assert runner.queue.get_buf() is None
    assert not runner.queue.broken


def test_any_order() -> None:
    """Tokens come back in the device's order, each once, with the length written."""
    runner = ReferenceRunner(QueueConfig(8))
    for token, length in (("a", 100), ("b", 200), ("c", 300)):
        runner.queue.add(
            SEGMENT, [(0x2000, length), (0x3000, 1)], token
        ) if token != "c" else runner.queue.add(SEGMENT, [(0x2000, length)], token)
    runner.device.read(0)
    runner.device.complete(1, 0, 3)  # b, c (which took its place), a
    assert [runner.queue.get_buf() for _ in range(4)] == [("b", 201), ("c", 300), ("a", 101), None]
    assert runner.queue.num_free == 8
    check(runner)


def test_free_list_after_detach() -> None:
    """A returned chain comes first on the free list, its last descriptor linked to what was free before."""
    runner = with_chains(8, 3, 2)
    runner.device.complete(0, 0, 1)
    assert runner.queue.get_buf() == ("a", 0)
    order, i = [], runner.queue.free_head
    for _ in range(runner.queue.num_free):
        order.append(i)
        i = runner.queue.desc.next[i]
    assert order == [0, 1, 2, 5, 6, 7]
    assert [runner.queue.desc.flags[i] for i in range(3)] == [1, 1, 0], "flags stay as they were"
    check(runner)


@pytest.mark.parametrize("head", [4, 5, 0xFFFF, 0x1_0000, 0xFFFF_FFFF])
def test_id_out_of_range(head: int) -> None:
    """An id that is no descriptor breaks the queue, and it stays broken; nothing else changes."""
    runner = with_chains(4, 2)
    store_used(runner, 0, head, 1)
    assert runner.queue.get_buf() is None
    assert runner.queue.broken
    store_used(runner, 0, 0, 1)
    assert runner.queue.get_buf() is None
    assert (runner.queue.num_free, runner.queue.last_used_idx) == (2, 0)
    assert violations(runner)[0].property == "bad-ring-never"


def test_id_of_nothing() -> None:
    """An id that is no head in flight breaks the queue: inside a chain, free, or returned."""
    for head in (1, 3):
        runner = with_chains(4, 2)
        store_used(runner, 0, head, 1)
        assert runner.queue.get_buf() is None
        assert runner.queue.broken
    runner = with_chains(4, 2)
    store_used(runner, 0, 0, 1)
    assert runner.queue.get_buf() == ("a", 99)
    store_used(runner, 1, 0, 2)
    assert runner.queue.get_buf() is None
    assert runner.queue.broken


def test_broken_result() -> None:
    """As an operation, GET says -5 from the bad id on, and the interrupt is swallowed."""
    runner = with_chains(4, 2)
    store_used(runner, 0, 77, 1)
    assert runner.step(Op(Code.GET)).status == -5
    assert runner.step(Op(Code.GET)).status == -5
    interrupt = runner.step(Op(Code.INTERRUPT))
    assert (interrupt.status, interrupt.callbacks) == (1, 0)


def test_last_used_idx_wraps() -> None:
    """last_used_idx counts to 65535 and wraps to 0 with used_idx, one chain after the other."""
    runner = ReferenceRunner(QueueConfig(2))
    runner.step(Op(Code.ROUNDS, a=65535))
    for expected in (0, 1, 2):
        runner.queue.add(SEGMENT, [], "x")
        runner.device.read(0)
        runner.device.complete(0, 0, 1)
        assert runner.queue.get_buf() == ("x", 0)
        assert runner.queue.get_buf() is None
        assert runner.queue.last_used_idx == runner.queue.used.idx == expected
        check(runner)


def test_full_ring_of_completions() -> None:
    """When all N chains are completed at once, used_idx is N ahead, and all N come back."""
    runner = with_chains(4, 1, 1, 1, 1)
    runner.device.complete(0, 0, 4)
    assert sorted(str(got[0]) for got in iter(runner.queue.get_buf, None)) == ["a", "b", "c", "d"]


def test_detach_unused() -> None:
    """After a reset each chain comes back once, by head, and avail_idx steps back with each."""
    runner = with_chains(8, 3, 1, 2, features=0)
    assert runner.queue.avail.idx == 3
    assert [runner.queue.detach_unused_buf() for _ in range(4)] == ["a", "b", "c", None]
    assert (runner.queue.avail.idx, runner.queue.num_free) == (0, 8)
    assert runner.queue.data == [None] * 8


def test_detach_unused_steps_back_across_the_wrap() -> None:
    """avail_idx goes from 0 to 65535."""
    runner = ReferenceRunner(QueueConfig(2))
    runner.step(Op(Code.ROUNDS, a=65535))
    runner.queue.add(SEGMENT, [], "x")
    assert runner.queue.avail.idx == 0
    assert runner.queue.detach_unused_buf() == "x"
    assert runner.queue.avail.idx == 65535


def test_detach_unused_releases_tables() -> None:
    """Indirect tables of chains never completed are given back."""
    runner = with_chains(4, 3, 2, features=F_INDIRECT_DESC)
    assert len(runner.arena.live) == 3
    assert [runner.queue.detach_unused_buf() for _ in range(3)] == ["a", "b", None]
    assert list(runner.arena.live) == [runner.desc]


def test_links_without_end() -> None:
    """Where Linux would go round for ever, detach_buf stops with an error."""
    runner = with_chains(4, 3)
    runner.queue.desc.flags[2] = 1
    runner.queue.desc.next[2] = 0
    with pytest.raises(LinkLoopError, match="head 0 has no end"):
        runner.queue.detach_buf(0)
