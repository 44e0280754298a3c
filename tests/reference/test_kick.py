"""virtqueue_kick: when the device is told, by flags and by event index, and the forced kick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringproof.impl.harness.operations import Code, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig, ReferenceRunner
from ringproof.impl.reference import PROFILES, vring_need_event
from ringproof.impl.reference.profile import F_EVENT_IDX

INDEX = st.integers(0, 0xFFFF)
SEGMENT = [(0x1000, 64)]


@given(INDEX, INDEX, st.integers(0, 0xFFFF))
def test_need_event_is_membership(event: int, old: int, added: int) -> None:
    """The event is needed exactly when it is one of the indices passed since the last time."""
    new = (old + added) & 0xFFFF
    assert vring_need_event(event, new, old) == ((event - old) & 0xFFFF < added)


@pytest.mark.parametrize("profile", PROFILES)
def test_by_flags(profile: str) -> None:
    """Without EVENT_IDX each kick notifies unless the device asked for silence; the event word is ignored."""
    runner = ReferenceRunner(QueueConfig(4, profile=profile))
    runner.device.set_avail_event(1000)
    runner.queue.kick()
    assert runner.notifications == 1
    runner.queue.add(SEGMENT, [], "x")
    runner.queue.kick()
    assert runner.notifications == 2
    runner.device.set_flags(1)
    runner.queue.add(SEGMENT, [], "x")
    runner.queue.kick()
    assert runner.notifications == 2


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("event", "notified"), [(65535, 0), (0, 1), (1, 1), (2, 1), (3, 0), (4, 0)])
def test_by_event(profile: str, event: int, notified: int) -> None:
    """With EVENT_IDX a kick of three chains notifies if the event is one of the three, whatever the flags."""
    runner = ReferenceRunner(QueueConfig(4, F_EVENT_IDX, profile=profile))
    runner.device.set_avail_event(event)
    runner.device.set_flags(1)
    for _ in range(3):
        runner.queue.add(SEGMENT, [], "x")
    runner.queue.kick()
    assert runner.notifications == notified
    assert runner.queue.num_added == 0
    runner.queue.kick()
    assert runner.notifications == notified, "nothing was added since"


def test_by_event_across_the_wrap() -> None:
    """The test keeps its meaning when avail_idx wraps between two kicks."""
    runner = ReferenceRunner(QueueConfig(4, F_EVENT_IDX))
    runner.step(Op(Code.ROUNDS, a=65534))
    kept = runner.snapshot()
    for event, notified in ((65533, 0), (65534, 1), (65535, 1), (0, 1), (1, 0)):
        runner.restore(kept)
        runner.device.set_avail_event(event)
        for _ in range(3):
            runner.queue.add(SEGMENT, [], "x")
        before = runner.notifications
        runner.queue.kick()
        assert (event, runner.notifications - before) == (event, notified)


def test_prepare_does_not_notify() -> None:
    """kick_prepare only answers; notify is what rings."""
    runner = ReferenceRunner(QueueConfig(4))
    assert runner.queue.kick_prepare() is True
    assert runner.notifications == 0
    runner.queue.notify()
    assert runner.notifications == 1


def test_notification_names_the_queue() -> None:
    """What is written to the notify register is the queue's index."""
    values: list[int] = []
    runner = ReferenceRunner(QueueConfig(4, queue_index=5))
    runner.queue._notify = values.append
    runner.queue.kick()
    assert values == [5]


@pytest.mark.parametrize("features", [0, F_EVENT_IDX])
def test_forced_kick(features: int) -> None:
    """Without any kick by the caller, the 65535th chain kicks by itself, and not one earlier."""
    runner = ReferenceRunner(QueueConfig(4, features))
    runner.device.set_avail_event(65534)
    result = runner.step(Op(Code.ROUNDS, OpFlag.NO_KICK, a=65534))
    assert (result.status, result.notifies, runner.queue.num_added) == (65534, 0, 65534)
    kept = runner.snapshot()
    assert runner.step(Op(Code.ADD, a=1)).notifies == 1
    assert runner.queue.num_added == 0

    # And it asks like any kick: a device that wants no notification gets none, but the count starts afresh.
    runner.restore(kept)
    runner.device.set_flags(1)
    runner.device.set_avail_event(65535)
    assert runner.step(Op(Code.ADD, a=1)).notifies == 0
    assert runner.queue.num_added == 0
