"""A device that completes chains before a notification returns: reference and worker see the same of it."""

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.impl.harness.frames import Frame, Packet
from ringproof.impl.harness.net_operations import (
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    EventKind,
    NetCode,
    NetConfig,
    Op,
)
from ringproof.impl.harness.net_runner import NetRunner
from ringproof.patching import mutated_driver
from ringproof.validation.net_worker import NetWorker

SMALL = [Frame(Packet(b"x" * 60))] * 4
OPS = [
    Op(NetCode.PROBE),
    Op(NetCode.XMIT, a=0, b=1),
    Op(NetCode.INTERRUPT),
    Op(NetCode.XMIT, a=1),
    Op(NetCode.XMIT, a=2, b=2),
    Op(NetCode.INTERRUPT),
    Op(NetCode.XMIT, a=3, b=1),
    Op(NetCode.REMOVE),
]


@pytest.mark.parametrize("features", [0, F_EVENT_IDX, F_EVENT_IDX | F_INDIRECT_DESC])
@pytest.mark.parametrize("transport", ["legacy", "modern"])
@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_both_see_a_quick_device(profile: str, transport: str, features: int) -> None:
    """Each step of reference and C driver is the same when the device completes in the middle of it."""
    defines = {"RP_ADAPTER_LINUX_3_11": ""} if profile == "linux-3.11" else None
    config = NetConfig(queue_size=16, profile=profile, transport=transport, features=features)
    reference = NetRunner(config, SMALL)
    with NetWorker(build_driver(c_sources(), defines=defines), config, SMALL) as worker:
        for op in OPS:
            assert worker.step(op) == reference.step(op)
        assert worker.captures == reference.captures
        assert worker.findings() == []


def test_small_queue_of_linux_is_stuck() -> None:
    """Linux 3.11 on 16 descriptors: completed before the second look, a frame stops the queue for good."""
    runner = NetRunner(NetConfig(queue_size=16, profile="linux-3.11", features=F_EVENT_IDX), SMALL)
    runner.step(Op(NetCode.PROBE))
    sent = runner.step(Op(NetCode.XMIT, a=0, b=1))
    assert [event.kind for event in sent.events] == [
        EventKind.ORPHANED,
        EventKind.STOPPED,
        EventKind.FREED,
    ]
    assert runner.step(Op(NetCode.INTERRUPT)).status == 0
    assert runner.stack.stopped == {0}
    assert runner.device.queue(1) is not None
    assert not runner.stack.held


def test_second_look_is_missed() -> None:
    """Without the second look the C driver leaves its queue stopped where the reference starts it."""
    config = NetConfig(queue_size=2, features=F_EVENT_IDX)
    reference = NetRunner(config, SMALL)
    with NetWorker(mutated_driver("X14"), config, SMALL) as worker:
        for op in OPS[:2]:
            wanted, seen = reference.step(op), worker.step(op)
        assert EventKind.STARTED in [event.kind for event in wanted.events]
        assert EventKind.STARTED not in [event.kind for event in seen.events]
