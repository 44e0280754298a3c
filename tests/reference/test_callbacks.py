"""Switching callbacks, the delayed callback, and the interrupt entry, in both profiles."""

from errno import EINVAL, ENOSPC
from functools import cache

import pytest

from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner, Snapshot
from ringproof.impl.reference import PROFILES
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC

SEGMENT = [(0x1000, 64)]


@cache
def _rounds(profile: str, count: int) -> Snapshot:
    runner = ReferenceRunner(QueueConfig(8, F_EVENT_IDX, profile=profile))
    runner.step(Op(Code.ROUNDS, a=count))
    return runner.snapshot()


def after_rounds(profile: str, count: int) -> ReferenceRunner:
    """Return an empty queue of 8 whose indices are all at ``count``."""
    kept = _rounds(profile, count)
    runner = ReferenceRunner(kept.config)
    runner.restore(kept)
    return runner


def turn(runner: ReferenceRunner, chains: int, completed: int = 0) -> None:
    """Put chains in flight and complete some of them."""
    for _ in range(chains):
        assert runner.queue.add(SEGMENT, [], "x") == 0
    runner.device.read(0)
    runner.device.complete(0, 0, completed)


@pytest.mark.parametrize("features", [0, F_EVENT_IDX])
def test_linux_switches_flags_always(features: int) -> None:
    """Linux 3.11 switches avail.flags and moves used_event whatever was negotiated."""
    runner = ReferenceRunner(QueueConfig(4, features))
    runner.queue.disable_cb()
    assert runner.queue.avail.flags == 1
    turn(runner, 2, 2)
    runner.queue.get_buf()
    assert runner.queue.avail.used_event == 0, "disabled: not re-armed"
    assert runner.queue.enable_cb_prepare() == 1
    assert (runner.queue.avail.flags, runner.queue.avail.used_event) == (0, 1)
    runner.queue.get_buf()
    assert runner.queue.avail.used_event == 2, "enabled: get_buf re-arms"


def test_mended_driver_leaves_flags_alone_with_event_idx() -> None:
    """The mended driver never writes avail.flags when EVENT_IDX was negotiated, and still re-arms."""
    runner = ReferenceRunner(QueueConfig(4, F_EVENT_IDX, profile="virtio-1.x"))
    turn(runner, 3, 3)
    runner.queue.get_buf()
    assert runner.queue.avail.used_event == 1
    runner.queue.disable_cb()
    runner.queue.get_buf()
    assert (runner.queue.avail.flags, runner.queue.avail.used_event) == (0, 1)
    assert runner.queue.enable_cb() is False
    assert (runner.queue.avail.flags, runner.queue.avail.used_event) == (0, 2)
    runner.queue.get_buf()
    assert runner.queue.avail.used_event == 3
    assert runner.queue.enable_cb_delayed() is True


def test_mended_driver_leaves_used_event_alone_without_event_idx() -> None:
    """The mended driver switches flags and never writes used_event when EVENT_IDX was not negotiated."""
    runner = ReferenceRunner(QueueConfig(4, profile="virtio-1.x"))
    turn(runner, 3, 2)
    runner.queue.get_buf()
    runner.queue.disable_cb()
    assert runner.queue.avail.flags == 1
    assert runner.queue.enable_cb_prepare() == 1
    assert runner.queue.avail.flags == 0
    runner.queue.disable_cb()
    runner.queue.enable_cb_delayed()
    assert runner.queue.avail.flags == 0
    assert runner.queue.avail.used_event == 0


@pytest.mark.parametrize(("profile", "flags"), [("linux-3.11", 1), ("virtio-1.x", 0)])
def test_no_callback_with_event_idx(profile: str, flags: int) -> None:
    """A queue without a callback starts disabled; the mended driver says so to itself alone."""
    runner = ReferenceRunner(QueueConfig(4, F_EVENT_IDX, profile=profile, has_callback=False))
    assert runner.queue.avail.flags == flags
    turn(runner, 1, 1)
    runner.queue.get_buf()
    assert runner.queue.avail.used_event == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_enable_cb_sees_what_was_used(profile: str) -> None:
    """enable_cb is false exactly when something waits to be taken; poll compares with the mark."""
    runner = ReferenceRunner(QueueConfig(4, F_EVENT_IDX, profile=profile))
    assert runner.queue.enable_cb() is True
    turn(runner, 2, 0)
    mark = runner.queue.enable_cb_prepare()
    assert runner.queue.poll(mark) is False
    runner.device.complete(0, 0, 1)
    assert runner.queue.poll(mark) is True
    assert runner.queue.enable_cb() is False
    runner.queue.get_buf()
    assert runner.queue.poll(mark) is True, "the mark is older than what was taken"
    assert runner.queue.enable_cb() is True


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("start", [0, 65530, 65535])
@pytest.mark.parametrize(("in_flight", "quarters"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (5, 3), (8, 6)])
def test_delayed_callback(profile: str, start: int, in_flight: int, quarters: int) -> None:
    """The event is put three quarters of the way through what is in flight, also across the wrap."""
    runner = after_rounds(profile, start)
    turn(runner, in_flight)
    for completed in range(in_flight + 1):
        if completed:
            runner.device.complete(0, 0, 1)
        assert runner.queue.enable_cb_delayed() is (completed <= quarters)
        assert runner.queue.avail.used_event == (start + quarters) & 0xFFFF
        assert runner.queue.avail.flags == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_interrupt(profile: str) -> None:
    """Nothing used: not ours. Something used: the callback runs, once per interrupt until it is taken."""
    runner = ReferenceRunner(QueueConfig(4, profile=profile))
    turn(runner, 1)
    assert runner.queue.interrupt() is False
    assert runner.callbacks == 0
    runner.device.complete(0, 0, 1)
    assert [runner.queue.interrupt(), runner.queue.interrupt()] == [True, True]
    assert runner.callbacks == 2
    runner.queue.get_buf()
    assert runner.queue.interrupt() is False
    assert runner.callbacks == 2


def test_interrupt_without_callback_or_broken() -> None:
    """An interrupt for a queue without a callback, or a broken one, is ours and does nothing."""
    runner = ReferenceRunner(QueueConfig(4, has_callback=False))
    turn(runner, 1, 1)
    assert runner.queue.interrupt() is True
    runner = ReferenceRunner(QueueConfig(4))
    turn(runner, 1, 1)
    runner.queue.broken = True
    assert runner.queue.interrupt() is True
    assert runner.callbacks == 0


def test_profiles_differ_on_long_chains_and_full_rings() -> None:
    """Only Linux puts more segments than the queue has into a table, and rings at a full ring unasked."""
    linux, mended = (ReferenceRunner(QueueConfig(2, F_INDIRECT_DESC, profile=name)) for name in PROFILES)
    assert linux.queue.add(SEGMENT * 3, [], "x") == 0
    assert mended.queue.add(SEGMENT * 3, [], "x") == -EINVAL
    for runner in (linux, mended):
        while runner.queue.add(SEGMENT, [], "x") == 0:
            pass
        notifications = runner.notifications
        runner.device.set_flags(1)
        assert runner.queue.add(SEGMENT, [], "x") == -ENOSPC
        assert runner.notifications - notifications == (runner is linux)
    assert (linux.queue.num_added, mended.queue.num_added) == (2, 0)
