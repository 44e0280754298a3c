"""virtqueue_add: direct, indirect, refused; checked in the bytes of the ring."""

import struct
from errno import EINVAL, ENOSPC

import pytest

from ringproof.impl.harness.invariants import check
from ringproof.impl.harness.operations import ARENA_ADDRESS, Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.impl.reference import PROFILES
from ringproof.impl.reference.profile import F_INDIRECT_DESC

OUT = [(0x8000_0001_0000, 10), (0x8000_0002_0000, 20)]
IN = [(0x8000_0003_0000, 30)]


def descriptor(runner: ReferenceRunner, i: int) -> tuple[int, int, int, int]:
    """Address, length, flags and next of a descriptor, as the device would read them."""
    addr, length, flags, following = struct.unpack_from("<QIHH", runner.desc_bytes(), 16 * i)
    return addr, length, flags, following


def table(runner: ReferenceRunner, address: int, count: int) -> list[tuple[int, ...]]:
    """Return the entries of an indirect table."""
    offset = address - ARENA_ADDRESS
    return [struct.unpack_from("<QIHH", runner.arena.memory, offset + 16 * i) for i in range(count)]


def test_creation() -> None:
    """A new queue is all zeros but for the links of the free list."""
    runner = ReferenceRunner(QueueConfig(4))
    assert [descriptor(runner, i) for i in range(4)] == [
        (0, 0, 0, 1),
        (0, 0, 0, 2),
        (0, 0, 0, 3),
        (0, 0, 0, 0),
    ]
    assert bytes(runner.avail_bytes()) == bytes(14)
    assert bytes(runner.used_bytes()) == bytes(38)
    assert (runner.queue.free_head, runner.queue.num_free, runner.queue.num_added) == (0, 4, 0)


def test_no_callback_means_no_interrupts() -> None:
    """A queue without a callback asks for no interrupts from the start."""
    assert ReferenceRunner(QueueConfig(4, has_callback=False)).queue.avail.flags == 1
    assert ReferenceRunner(QueueConfig(4, has_callback=True)).queue.avail.flags == 0


def test_direct_chain() -> None:
    """Out segments come first, then in ones with WRITE; NEXT on all but the last; links stay."""
    runner = ReferenceRunner(QueueConfig(4))
    assert runner.queue.add(OUT, IN, "packet") == 0
    assert [descriptor(runner, i) for i in range(3)] == [(*OUT[0], 1, 1), (*OUT[1], 1, 2), (*IN[0], 2, 3)]
    assert (runner.queue.num_free, runner.queue.free_head, runner.queue.num_added) == (1, 3, 1)
    assert runner.queue.data == ["packet", None, None, None]
    assert bytes(runner.avail_bytes()) == struct.pack("<7H", 0, 1, 0, 0, 0, 0, 0)
    assert runner.notifications == 0


def test_direct_after_reuse_follows_the_free_list() -> None:
    """A chain takes descriptors in the order they came back, and its links stay as they were."""
    runner = ReferenceRunner(QueueConfig(4))
    for _ in range(4):
        assert runner.queue.add([(1, 1)], [], "x") == 0
    runner.device.read(0)
    runner.device.complete(1, 0, 2)  # heads 1, then 3, which took its place
    assert runner.queue.get_buf() == ("x", 0)
    assert runner.queue.get_buf() == ("x", 0)
    assert runner.queue.free_head == 3
    assert runner.queue.add([(5, 5), (6, 6)], [], "y") == 0
    assert descriptor(runner, 3) == (5, 5, 1, 1)
    assert descriptor(runner, 1)[:3] == (6, 6, 0)
    assert runner.queue.avail.ring[0] == 3
    check(runner)


def test_indirect_chain() -> None:
    """Several segments go into a table behind one descriptor that says INDIRECT alone."""
    runner = ReferenceRunner(QueueConfig(2, F_INDIRECT_DESC))
    assert runner.queue.add(OUT, IN, "packet") == 0
    address, length, flags, _ = descriptor(runner, 0)
    assert (length, flags) == (48, 4)
    assert table(runner, address, 3) == [(*OUT[0], 1, 1), (*OUT[1], 1, 2), (*IN[0], 2, 0)]
    assert (runner.queue.num_free, runner.queue.free_head) == (1, 1)


def test_indirect_ends_without_write_when_all_is_out() -> None:
    """A table of out segments only ends with flags 0 and next 0."""
    runner = ReferenceRunner(QueueConfig(2, F_INDIRECT_DESC))
    runner.queue.add(OUT, [], "packet")
    assert table(runner, descriptor(runner, 0)[0], 2) == [(*OUT[0], 1, 1), (*OUT[1], 0, 0)]


def test_single_segment_stays_direct() -> None:
    """One segment needs no table, even where tables were negotiated."""
    runner = ReferenceRunner(QueueConfig(2, F_INDIRECT_DESC))
    runner.queue.add([], IN, "packet")
    assert descriptor(runner, 0) == (*IN[0], 2, 1)
    assert len(runner.arena.live) == 1


def test_failed_allocation_falls_back_to_direct() -> None:
    """Without memory for a table the chain goes into the descriptor table itself."""
    runner = ReferenceRunner(QueueConfig(4, F_INDIRECT_DESC))
    runner.arena.fail = True
    assert runner.queue.add(OUT, IN, "packet") == 0
    assert [descriptor(runner, i)[2] for i in range(3)] == [1, 1, 2]
    assert runner.queue.num_free == 1
    assert runner.queue.add(OUT, IN, "packet") == -ENOSPC
    runner.arena.fail = False
    assert runner.queue.add(OUT, IN, "packet") == 0
    assert descriptor(runner, 3)[2] == 4
    check(runner)


def test_table_given_back_with_its_chain() -> None:
    """get_buf releases the table, and the next one takes its place."""
    runner = ReferenceRunner(QueueConfig(2, F_INDIRECT_DESC))
    runner.queue.add(OUT, IN, "packet")
    first = descriptor(runner, 0)[0]
    runner.device.read(0)
    runner.device.complete(0, 0, 1)
    assert runner.queue.get_buf() == ("packet", 30)
    assert list(runner.arena.live) == [runner.desc]
    runner.queue.add(OUT, IN, "packet")
    assert descriptor(runner, 0)[0] == first


@pytest.mark.parametrize("profile", PROFILES)
def test_programming_errors(profile: str) -> None:
    """A null token, no segments and more segments than descriptors are refused and change nothing."""
    runner = ReferenceRunner(QueueConfig(2, profile=profile))
    before = runner.snapshot()
    assert runner.queue.add(OUT, [], None) == -EINVAL
    assert runner.queue.add([], [], "packet") == -EINVAL
    assert runner.queue.add(OUT, IN, "packet") == -EINVAL
    assert runner.snapshot() == before


@pytest.mark.parametrize(("out", "in_", "notified"), [(OUT, [], 1), (OUT, IN, 1), ([], IN + IN, 0)])
def test_full_ring(out: list[tuple[int, int]], in_: list[tuple[int, int]], notified: int) -> None:
    """A full ring changes nothing and notifies the device if there is anything for it to read."""
    runner = ReferenceRunner(QueueConfig(4, queue_index=7))
    runner.queue.add(OUT, IN, "first")
    runner.device.set_flags(1)  # even a device that asked for silence is told
    before = runner.snapshot()
    assert runner.queue.add(out, in_, "second") == -ENOSPC
    assert runner.notifications == notified
    runner.notifications = 0
    assert runner.snapshot() == before


def test_full_ring_with_indirect() -> None:
    """With tables the ring is full when the last descriptor is gone, and the device is told."""
    runner = ReferenceRunner(QueueConfig(2, F_INDIRECT_DESC))
    assert [runner.queue.add(OUT, [], "packet") for _ in range(3)] == [0, 0, -ENOSPC]
    assert runner.notifications == 1
    assert len(runner.arena.live) == 3


def test_linux_takes_a_full_ring_for_a_programming_error() -> None:
    """A chain that only a table can hold is accepted, and on a full ring an error."""
    runner = ReferenceRunner(QueueConfig(2, F_INDIRECT_DESC))
    assert [runner.queue.add(OUT, IN, "packet") for _ in range(3)] == [0, 0, -EINVAL]


def test_chain_as_long_as_the_queue() -> None:
    """A chain may take every descriptor, and comes back whole."""
    runner = ReferenceRunner(QueueConfig(4))
    assert runner.queue.add([(i, 1) for i in range(4)], [], "all") == 0
    assert runner.queue.num_free == 0
    check(runner)
    assert runner.device.read(0)[0] == 1
    runner.device.complete(0, 0, 1)
    assert runner.queue.get_buf() == ("all", 0)
    assert runner.queue.num_free == 4
    check(runner)


def test_avail_idx_wraps_at_two_to_the_sixteenth() -> None:
    """avail_idx counts past the queue size and wraps at 65536, at each step in the slot it names."""
    runner = ReferenceRunner(QueueConfig(2))
    assert runner.step(Op(Code.ROUNDS, a=65535)).status == 65535
    assert runner.queue.avail.idx == 65535
    runner.queue.add([(1, 1)], [], "a")
    assert runner.queue.avail.idx == 0
    runner.queue.add([(1, 1)], [], "b")
    assert runner.queue.avail.idx == 1
    assert list(runner.queue.avail.ring[:2]) == [1, 0]
    check(runner)
