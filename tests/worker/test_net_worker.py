"""The shipped network driver in its worker: the same as the reference in its runner, on every transport."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.impl.harness.frames import Fragment, Frame, Gso, OutOfRoom, Packet
from ringproof.impl.harness.net_operations import (
    EBUSY,
    F_EVENT_IDX,
    F_VERSION_1,
    NET_FEATURES,
    NetCode,
    NetConfig,
    NetResult,
    Op,
)
from ringproof.impl.harness.net_runner import NetRunner
from ringproof.impl.harness.operations import OpFlag
from ringproof.validation.net_worker import NetWorker, OperationError

ALL = NET_FEATURES | F_VERSION_1
TRANSPORTS = ("legacy", "modern")
PROFILES = ("linux-3.11", "virtio-1.x")


def _library(profile: str) -> Path:
    defines = {"RP_ADAPTER_LINUX_3_11": ""} if profile == "linux-3.11" else None
    return build_driver(c_sources(), defines=defines)


def _packet(rng: random.Random, depth: int) -> Packet:
    def data(most: int) -> bytes:
        return rng.randbytes(rng.choice([0, 1, rng.randint(1, most)]))

    fragments = tuple(
        Fragment(rng.choice([0, 1, 3000]), data(1000)) for _ in range(rng.choice([0, 0, 1, 2, 5]))
    )
    packets = tuple(_packet(rng, depth - 1) for _ in range(rng.choice([0, 0, 1, 2]) if depth else 0))
    return Packet(data(200), fragments, packets)


def _frame(rng: random.Random) -> Frame:
    packet = _packet(rng, 2)
    if not packet.data:
        packet = Packet(b"x")
    checksum = len(packet.data) > 40 and rng.random() < 0.5
    return Frame(
        packet,
        checksum,
        20 if checksum else 0,
        6 if checksum else 0,
        rng.choice([Gso.NONE, Gso.NONE, *Gso]),
        rng.choice([0, 100, 1448]),
        rng.random() < 0.2,
        rng.choice([None, 0, 1, 7]),
        rng.randint(0, 3),
    )


def _operation(rng: random.Random, frames: int) -> Op:
    queue = rng.choice([1, 1, 1, 3, 0, 4])
    kind = rng.random()
    if kind < 0.6:
        return Op(NetCode.XMIT, int(OpFlag.FAIL_ALLOC) if rng.random() < 0.1 else 0, a=rng.randrange(frames))
    if kind < 0.75:
        return Op(NetCode.NET_READ, in_=queue, a=rng.choice([0, 1, 2]))
    if kind < 0.85:
        return Op(
            NetCode.NET_COMPLETE, in_=queue, a=rng.randrange(9), b=rng.randrange(9), c=rng.choice([1, 9])
        )
    if kind < 0.90:
        return Op(NetCode.INTERRUPT)
    if kind < 0.93:
        return Op(NetCode.SET_PAIRS, a=rng.choice([0, 1, 2, 3]))
    if kind < 0.95:
        return Op(NetCode.RAISE, a=rng.choice([1, 2, 3]))
    queue = rng.choice([0, 1, 3])  # a control queue told not to notify is a test of its own
    if kind < 0.97:
        return Op(NetCode.NET_SET_FLAGS, in_=queue, a=rng.choice([0, 0, 1]))
    return Op(NetCode.NET_SET_AVAIL_EVENT, int(OpFlag.RELATIVE), queue, rng.choice([0, 1, 2]))


def _answer(side: NetRunner | NetWorker, op: Op) -> tuple[NetResult, str]:
    """Run one operation: its result, or why it cannot be asked."""
    try:
        return side.step(op), ""
    except OperationError as refusal:
        return NetResult(0), str(refusal)


def _agree(config: NetConfig, frames: Sequence[Frame], ops: Sequence[Op], library: Path) -> None:
    """Run both: results, refusals, what was logged, and every byte of memory are the same."""
    runner = NetRunner(config, frames)
    with NetWorker(library, config, frames) as worker:
        for op in ops:
            (theirs, refused), (ours, refused_too) = _answer(runner, op), _answer(worker, op)
            assert refused_too == refused
            if not op.in_ & 1:  # of other queues the driver ABI does not tell how many are free
                ours, theirs = replace(ours, num_free=0), replace(theirs, num_free=0)
            assert ours == theirs, op
        assert worker.findings() == []
        assert worker.accesses == runner.accesses
        assert worker.events == runner.events
        assert worker.captures == runner.captures
        assert worker.placed == runner.placed
        assert worker.arena_bytes() == runner.arena_bytes()
        assert bytes(worker.window()) == bytes(runner.window())
        if runner.info is not None:
            for pair in range(len(runner.info.send_queues)):
                assert worker.statistics(pair) == runner.statistics(pair)
                ours_, theirs_ = worker.ring_bytes(2 * pair + 1), runner.ring_bytes(2 * pair + 1)
                assert [bytes(part) for part in ours_] == [bytes(part) for part in theirs_]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("features", [0, ALL, ALL & ~F_EVENT_IDX])
def test_a_life_is_that_of_the_reference(profile: str, transport: str, features: int) -> None:
    """Probe, transmit, read, complete, interrupt, remove: every result, access, event and byte agrees."""
    rng = random.Random(f"{transport}{features}")
    frames = [_frame(rng) for _ in range(40)]
    config = NetConfig(32, features, transport, profile, 2)
    ops = [_operation(rng, len(frames)) for _ in range(300)]
    _agree(config, frames, [Op(NetCode.PROBE), *ops, Op(NetCode.REMOVE)], _library(profile))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_it_ends_anywhere(profile: str, transport: str) -> None:
    """Statistics and rings agree in the middle of a life, and a second life on the same device does."""
    rng = random.Random(7)
    frames = [_frame(rng) for _ in range(40)]
    config = NetConfig(64, ALL, transport, profile, 2)
    life = [Op(NetCode.PROBE), Op(NetCode.SET_PAIRS, a=2), *(_operation(rng, 40) for _ in range(80))]
    _agree(config, frames, [*life, Op(NetCode.REMOVE), *life], _library(profile))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "device",
    [
        {"missing_queue": 0},
        {"missing_queue": 3},
        {"missing_queue": 4},
        {"queue_size": 0},
        {"queue_size": 3},
        {"queue_size": 1},
        {"refuses_features": True},
        {"withhold_version_1": True},
        {"reset_reads": 5},
        {"reset_reads": 999},
        {"reset_reads": 1000},
        {"reset_reads": 5000},
        {"known_features": 0},
    ],
    ids=str,
)
def test_a_bad_device_is_met_alike(profile: str, transport: str, device: dict[str, Any]) -> None:
    """Whatever the device lacks or refuses, the answer and the accesses are those of the reference."""
    frames = [Frame(Packet(b"payload" * 9, (Fragment(5, b"page"),))) for _ in range(3)]
    given = {"queue_size": 8, "features": ALL, "pairs": 2, **device}
    config = NetConfig(**given, transport=transport, profile=profile)
    ops = [
        Op(NetCode.XMIT, a=0),
        Op(NetCode.PROBE),
        Op(NetCode.SET_PAIRS, a=2),
        Op(NetCode.XMIT, a=0),
        Op(NetCode.XMIT, a=1),
        Op(NetCode.NET_READ, in_=1),
        Op(NetCode.REMOVE),
        Op(NetCode.PROBE),
        Op(NetCode.XMIT, a=0),
        Op(NetCode.XMIT, a=2),
    ]
    _agree(config, frames, ops, _library(profile))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_no_memory_at_any_place_is_met_alike(transport: str) -> None:
    """Allocations that fail in probe, set_pairs and transmit, where a small ring needs a linear copy."""
    frames = [Frame(Packet(b"", tuple(Fragment(n, b"piece") for n in range(9)))) for _ in range(4)]
    fail = int(OpFlag.FAIL_ALLOC)
    ops = [
        Op(NetCode.PROBE, fail),
        Op(NetCode.PROBE),
        Op(NetCode.SET_PAIRS, fail, a=2),
        Op(NetCode.XMIT, fail, a=0),
        Op(NetCode.XMIT, a=1),
        Op(NetCode.NET_READ, in_=1),
        Op(NetCode.NET_COMPLETE, in_=1, c=1),
        Op(NetCode.XMIT, a=2),
        Op(NetCode.REMOVE),
    ]
    for size in (2, 4, 8):
        _agree(NetConfig(size, ALL, transport, pairs=2), frames, ops, _library("virtio-1.x"))


def test_a_control_queue_not_notified_times_out_alike() -> None:
    """With notifications off set_pairs gives up and keeps its block, which is no leak."""
    ops = [
        Op(NetCode.PROBE),
        Op(NetCode.NET_SET_FLAGS, in_=4, a=1),
        Op(NetCode.SET_PAIRS, a=2),
        Op(NetCode.NET_SET_FLAGS, in_=4, a=0),
        Op(NetCode.REMOVE),
    ]
    config = NetConfig(16, ALL & ~F_EVENT_IDX, pairs=2)
    runner = NetRunner(config)
    with NetWorker(_library("virtio-1.x"), config) as worker:
        ours, theirs = worker.run(ops), runner.run(ops)
        # Of the control queue the driver ABI does not tell how many descriptors are free.
        for one, other in zip(ours, theirs, strict=True):
            assert (one.status, one.accesses) == (other.status, other.accesses)
        assert worker.findings() == []


def test_a_batch_is_cut_and_joined() -> None:
    """Many operations in one run, with a stopped queue and refusals on the way, are those one by one."""
    frames = [Frame(Packet(bytes([n % 251]) * 100)) for n in range(6000)]
    config = NetConfig(8192, 0)
    ops = [Op(NetCode.PROBE), *(Op(NetCode.XMIT, a=n) for n in range(5000))]
    runner = NetRunner(config, frames)
    with NetWorker(_library("virtio-1.x"), config, frames) as worker:
        results = worker.run(ops)
        assert results == runner.run(ops)
        assert {result.status for result in results} == {0, EBUSY}
        sent = sum(result.status == 0 for result in results[1:])
        assert worker.step(Op(NetCode.REMOVE)).events == runner.step(Op(NetCode.REMOVE)).events
        assert len(worker.events) == len(runner.events) > 2 * sent
        worker.step(Op(NetCode.PROBE))
        with pytest.raises(OperationError, match=r"operation 5004: frame 0 is still with the driver"):
            worker.run([Op(NetCode.XMIT, a=0), Op(NetCode.XMIT, a=0), Op(NetCode.XMIT, a=1)])
        assert worker.operations == 5004


@pytest.mark.parametrize(
    ("ops", "line"),
    [
        ([Op(NetCode.XMIT)], "operation 0: XMIT, but there is no probed device"),
        ([Op(NetCode.PROBE), Op(NetCode.PROBE)], "operation 1: PROBE, but the device is probed already"),
        ([Op(NetCode.PROBE), Op(NetCode.XMIT, a=9)], "operation 1: frame 9 of 1 does not exist"),
        ([Op(NetCode.RAISE), Op(99)], "operation 1: there is no operation with code 99"),
        ([Op(NetCode.RAISE), Op(3)], "operation 1: there is no operation with code 3"),
    ],
)
def test_what_cannot_be_asked_is_one_line(ops: list[Op], line: str) -> None:
    """Operations out of turn are refused in the words of the reference's runner."""
    frames = [Frame(Packet(b"x"))]
    config = NetConfig(8)
    with NetWorker(_library("virtio-1.x"), config, frames) as worker:
        for run in (worker.run, NetRunner(config, frames).run):
            with pytest.raises(OperationError) as caught:
                run(ops)
            assert str(caught.value) == line
        with pytest.raises(OperationError, match="queue 7 is not set up"):
            worker.ring_bytes(7)
        with pytest.raises(OperationError, match="there is no transmit queue 3"):
            worker.statistics(3)


def test_frames_can_be_replaced_when_all_are_back() -> None:
    """Not while one is with the driver; then as many as fit."""
    frames = [Frame(Packet(bytes([n]) * 50)) for n in range(3)]
    with NetWorker(_library("virtio-1.x"), NetConfig(64), frames) as worker:
        worker.run([Op(NetCode.PROBE), Op(NetCode.XMIT, a=2)])
        with pytest.raises(OperationError, match="1 frames are with the driver, so they cannot be replaced"):
            worker.frames(frames)
        worker.run([Op(NetCode.NET_READ, in_=1), Op(NetCode.NET_COMPLETE, in_=1, c=1), Op(NetCode.XMIT, a=0)])
        worker.run([Op(NetCode.NET_READ, in_=1), Op(NetCode.NET_COMPLETE, in_=1, c=1), Op(NetCode.REMOVE)])
        worker.frames([Frame(Packet(b"another"))])
        worker.run([Op(NetCode.PROBE), Op(NetCode.XMIT, a=0), Op(NetCode.NET_READ, in_=1)])
        assert worker.captures[-1].data[10:] == b"another"
        assert worker.step(Op(NetCode.REMOVE)).status == 0
        with pytest.raises(OutOfRoom):
            worker.frames([Frame(Packet(b"x" * 65000))] * 2000)
        assert worker.findings() == []


def test_a_transport_the_driver_lacks_is_refused(tinynet: Path) -> None:
    """One line says so, before anything is asked of the driver."""
    with pytest.raises(ValueError, match=r"^\S+: the driver does not know modern devices$"):
        NetWorker(tinynet, NetConfig(8, transport="modern"))


def test_another_device_can_follow_in_the_same_process(tinynet: Path) -> None:
    """Nothing of the first one is left; only a driver still on it takes a new process."""
    frames = [Frame(Packet(bytes([n]) * 50)) for n in range(3)]
    life = [Op(NetCode.PROBE), Op(NetCode.XMIT, a=1), Op(NetCode.REMOVE)]
    with NetWorker(tinynet, NetConfig(64), frames) as worker:
        first, process = worker.run(life), worker.pid
        worker.begin(NetConfig(32, pairs=2), frames[:2])
        assert (worker.operations, worker.accesses, worker.events, worker.pid) == (0, [], [], process)
        assert [result.num_free for result in worker.run(life)] == [0, first[1].num_free - 32, 0]
        worker.step(Op(NetCode.PROBE))
        worker.begin(NetConfig(64), frames)
        assert worker.pid != process
        assert worker.run(life) == first
        assert worker.findings() == []


def test_a_new_process_finds_the_window_as_the_new_frames_are(tinynet: Path) -> None:
    """What longer frames left in the window before a driver was cut off is no write of the next one."""
    many = [Frame(Packet(b"y", (Fragment(0, b"z" * 4096),))) for _ in range(9)]
    with NetWorker(tinynet, NetConfig(64), many) as worker:
        worker.step(Op(NetCode.PROBE))
        worker.begin(NetConfig(64), [Frame(Packet(b"x"))])
        worker.run([Op(NetCode.PROBE), Op(NetCode.XMIT), Op(NetCode.REMOVE)])
        assert worker.findings() == []
