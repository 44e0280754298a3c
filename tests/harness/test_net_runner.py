"""Whole frames through the reference's driver: what arrives, what is refused, and which faults are found."""

from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringproof.impl import reference
from ringproof.impl.device.device import Violation
from ringproof.impl.harness.frames import FRAME_ADDRESS, Fragment, Frame, OutOfRoom, Packet
from ringproof.impl.harness.net_operations import (
    EBUSY,
    EINVAL,
    ENODEV,
    ENOENT,
    ENOMEM,
    ETIMEDOUT,
    F_CSUM,
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_INDIRECT_DESC,
    F_MAC,
    F_MQ,
    F_MRG_RXBUF,
    F_STATUS,
    Access,
    Event,
    EventKind,
    NetCode,
    NetConfig,
    NetResult,
    Op,
    Statistics,
)
from ringproof.impl.harness.net_runner import NetRunner, OperationError
from ringproof.impl.harness.operations import ARENA_ADDRESS, OpFlag

PROBE, REMOVE, INTERRUPT = Op(NetCode.PROBE), Op(NetCode.REMOVE), Op(NetCode.INTERRUPT)
FREED, ORPHANED, STOPPED, STARTED, WOKEN = EventKind
MQ = F_MQ | F_CTRL_VQ
FEATURES = (F_CSUM, F_MAC, F_MRG_RXBUF, F_STATUS, F_CTRL_VQ, F_MQ, F_INDIRECT_DESC, F_EVENT_IDX)
BYTES = bytes(range(251)) * 20
FRAMES = [Frame(Packet(BYTES[i : i + 60])) for i in range(40)]


def xmit(number: int, flags: int = 0) -> Op:
    """Transmit a frame."""
    return Op(NetCode.XMIT, flags, 0, number)


def read(queue: int = 1, limit: int = 0) -> Op:
    """Let the device read."""
    return Op(NetCode.NET_READ, 0, queue, limit)


def complete(queue: int = 1, count: int = 99) -> Op:
    """Let the device complete."""
    return Op(NetCode.NET_COMPLETE, 0, queue, 0, 0, count)


def probed(config: NetConfig, frames: list[Frame] = FRAMES, package: ModuleType | None = None) -> NetRunner:
    """A runner whose driver has found the device."""
    runner = NetRunner(config, frames, reference=package)
    assert runner.step(PROBE).status == 0
    return runner


@st.composite
def packets(draw: st.DrawFn, depth: int = 2) -> Packet:
    """Packets of all shapes, some with empty pieces, some with many, some with a list."""
    start = draw(st.integers(0, 200))
    fragments = []
    for length in draw(st.lists(st.integers(0, 90), max_size=draw(st.sampled_from([0, 2, 17])))):
        offset = draw(st.integers(0, 4096 - length) | st.just(4096 - length))
        fragments.append(Fragment(offset, BYTES[start + length : start + 2 * length]))
    following = draw(st.lists(packets(depth=depth - 1), max_size=3)) if depth else []
    return Packet(BYTES[start : start + draw(st.integers(0, 200))], tuple(fragments), tuple(following))


configurations = st.builds(
    NetConfig,
    queue_size=st.integers(1, 9).map(lambda power: 1 << power),
    features=st.sets(st.sampled_from(FEATURES)).map(sum),
    transport=st.sampled_from(["legacy", "modern"]),
    profile=st.sampled_from(["linux-3.11", "virtio-1.x"]),
    pairs=st.integers(1, 3),
)


@settings(deadline=None, max_examples=60)
@given(configurations, st.lists(packets().filter(lambda packet: bool(packet.data)), min_size=1, max_size=6))
def test_frames_of_all_shapes_arrive(config: NetConfig, given_packets: list[Packet]) -> None:
    """Every frame arrives byte for byte behind its header, or is counted as dropped, and comes back once."""
    frames = [Frame(packet, cpu=i) for i, packet in enumerate(given_packets)]
    runner = probed(config, frames)
    assert runner.step(Op(NetCode.SET_PAIRS, a=config.pairs)).status in (0, EINVAL)
    mended = config.profile == "virtio-1.x"
    twelve = config.features & F_MRG_RXBUF or (mended and config.transport == "modern")
    size = 12 if twelve else 10
    sent: list[bytes] = []
    pairs = set()
    tried = 0
    for i, frame in enumerate(frames):
        result = runner.step(xmit(i))
        pairs.add(result.pair)
        if result.status == EBUSY:
            assert not result.events
            continue
        assert result.status == 0
        tried += 1
        queue = 2 * result.pair + 1
        got = runner.step(read(queue))
        assert got.status == (
            not any(event.kind == FREED and event.value == i + 1 for event in result.events)
        )
        if got.status:
            sent.append(frame.data)
            length = size + len(frame.data)
            header = runner.captures[-1].data[:size]
            assert header == bytes(size)
            assert got.crc == crc32(header + frame.data, crc32(length.to_bytes(4, "little")))
        runner.step(complete(queue))
        runner.step(INTERRUPT)
    assert [capture.data[size:] for capture in runner.captures] == sent
    dropped = sum(runner.statistics(pair).tx_dropped for pair in pairs)
    orphaned = [event.value for event in runner.events if event.kind == ORPHANED]
    assert len(orphaned) == len(sent)
    assert dropped + len(sent) == tried
    runner.step(REMOVE)
    freed = Counter(event.value for event in runner.events if event.kind == FREED)
    assert len(freed) == dropped + len(sent)
    assert set(freed.values()) <= {1}
    assert not runner.arena.live


@pytest.mark.parametrize("transport", ["legacy", "modern"])
@pytest.mark.parametrize("profile", ["linux-3.11", "virtio-1.x"])
def test_results_of_one_frame(transport: str, profile: str) -> None:
    """One frame, sent, read, completed and reclaimed: every result, access and event on the way."""
    runner = probed(NetConfig(transport=transport, profile=profile, features=F_EVENT_IDX))
    notification = Access(True, *((0, 16) if transport == "legacy" else (2, 64)), 2, 1)
    isr = Access(False, *((0, 19) if transport == "legacy" else (3, 0)), 1, 1)
    assert runner.step(xmit(0)) == NetResult(
        0, avail_idx=1, num_free=254, accesses=(notification,), events=(Event(ORPHANED, 1),)
    )
    twelve = transport == "modern" and profile == "virtio-1.x"
    chain = bytes(12 if twelve else 10) + FRAMES[0].data
    crc = crc32(chain, crc32(len(chain).to_bytes(4, "little")))
    assert runner.step(read()) == NetResult(1, crc=crc, avail_idx=1, num_free=254)
    assert runner.step(complete()) == NetResult(1, length=1, avail_idx=1, used_idx=1, num_free=254)
    freed = (Event(FREED, 1),) if profile == "virtio-1.x" else ()
    assert runner.step(INTERRUPT) == NetResult(1, accesses=(isr,), events=(*freed, Event(WOKEN, 0)))
    assert runner.step(INTERRUPT).status == 0
    expected = Statistics(1, 60, 0, 0, 256) if freed else Statistics(0, 0, 0, 0, 254)
    assert runner.statistics(0) == expected
    removed = runner.step(REMOVE)
    assert removed.events == (() if freed else ((FREED, 1),))
    assert runner.accesses[-1] == removed.accesses[-1]
    assert runner.events[0] == Event(ORPHANED, 1)


def test_stopped_queues() -> None:
    """A stopped queue gets no frame until it is started or woken; the driver is only asked which queue."""
    runner = probed(NetConfig(queue_size=4))
    assert runner.step(xmit(0)).events == ((ORPHANED, 1), (STOPPED, 0))
    before = len(runner.accesses)
    busy = runner.step(xmit(1))
    assert (busy.status, busy.pair, busy.avail_idx, busy.num_free, busy.events) == (EBUSY, 0, 1, 2, ())
    assert len(runner.accesses) == before
    runner.run([read(), complete()])
    assert (WOKEN, 0) in runner.step(INTERRUPT).events
    assert (STOPPED, 0) in runner.step(xmit(1)).events
    runner.run([REMOVE, PROBE])
    assert runner.step(xmit(1)).status == 0


def test_device_operations_without_a_device() -> None:
    """Before PROBE, after REMOVE and on a queue there is not, the device's operations say -ENODEV."""
    ops = [
        Op(code, 0, queue, 1)
        for code in (
            NetCode.NET_READ, NetCode.NET_COMPLETE, NetCode.NET_SET_FLAGS, NetCode.NET_SET_AVAIL_EVENT
        )
        for queue in (0, 1, 3, 99)
    ]  # fmt: skip
    runner = NetRunner(NetConfig(), FRAMES)
    nothing = NetResult(ENODEV)
    assert runner.run(ops) == [nothing] * 16
    runner.step(PROBE)
    assert [result.status for result in runner.run(ops)] == [0, 0, ENODEV, ENODEV] * 4
    runner.step(REMOVE)
    assert runner.run(ops) == [nothing] * 16
    assert runner.step(Op(NetCode.RAISE, a=1)) == NetResult(0)
    assert runner.registers.isr == 1


def test_words_stored_by_the_device() -> None:
    """NET_SET_FLAGS and NET_SET_AVAIL_EVENT keep the driver from notifying."""
    runner = probed(NetConfig())
    runner.step(Op(NetCode.NET_SET_FLAGS, 0, 1, 1))
    assert runner.step(xmit(0)).accesses == ()
    runner = probed(NetConfig(features=F_EVENT_IDX))
    assert len(runner.step(xmit(9)).accesses) == 1
    assert runner.step(Op(NetCode.NET_SET_AVAIL_EVENT, OpFlag.RELATIVE, 1, 1)).avail_idx == 1
    assert [len(runner.step(xmit(i)).accesses) for i in range(3)] == [0, 1, 0]


@pytest.mark.parametrize(
    ("ops", "words"),
    [
        ([REMOVE], "operation 0: REMOVE, but there is no probed device"),
        ([xmit(0)], "operation 0: XMIT, but there is no probed device"),
        ([PROBE, PROBE], "operation 1: PROBE, but the device is probed already"),
        ([PROBE, REMOVE, INTERRUPT], "operation 2: INTERRUPT, but there is no"),
        ([PROBE, xmit(40)], "operation 1: frame 40 of 40 does not exist"),
        ([PROBE, xmit(3), xmit(3)], "operation 2: frame 3 is still with the driver"),
        ([Op(3)], "operation 0: there is no operation with code 3"),
        ([Op(79)], "operation 0: there is no operation with code 79"),
    ],
)
def test_what_cannot_be_asked(ops: list[Op], words: str) -> None:
    """An operation that makes no sense is refused with one line that says which and why."""
    runner = NetRunner(NetConfig(), FRAMES)
    runner.run(ops[:-1])
    with pytest.raises(OperationError) as caught:
        runner.step(ops[-1])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"missing_queue": 1}, ENOENT),
        ({"missing_queue": 2, "features": F_CTRL_VQ}, ENOENT),
        ({"queue_size": 12}, EINVAL),
        ({"queue_size": 1}, EINVAL),
        ({"transport": "modern", "refuses_features": True}, ENODEV),
        ({"transport": "modern", "withhold_version_1": True}, ENODEV),
    ],
)
def test_bad_devices(fields: dict[str, Any], status: int) -> None:
    """A device that cannot be run fails the probe, after which everything is given back."""
    runner = NetRunner(NetConfig(**fields), FRAMES)
    assert runner.step(PROBE).status == status
    assert runner.info is None
    assert not runner.arena.live
    assert runner.accesses[-1].value & 0x80


def test_allocations_can_fail() -> None:
    """FAIL_ALLOC concerns one operation: probe, set_pairs, or the copy of a frame too long for the queue."""
    frame = Frame(Packet(b"a" * 30, tuple([Fragment(0, b"b")] * 4)))
    runner = NetRunner(NetConfig(queue_size=4, features=MQ, pairs=2), [frame])
    assert runner.step(Op(NetCode.PROBE, OpFlag.FAIL_ALLOC)).status == ENOMEM
    assert runner.step(PROBE).status == 0
    assert runner.step(Op(NetCode.SET_PAIRS, OpFlag.FAIL_ALLOC, 0, 2)).status == ENOMEM
    assert runner.step(Op(NetCode.SET_PAIRS, 0, 0, 2)).status == 0
    assert runner.step(xmit(0, OpFlag.FAIL_ALLOC)).events == ((FREED, 1),)
    assert runner.statistics(0).tx_dropped == 1
    assert runner.step(xmit(0)).events[0] == (ORPHANED, 1)


def test_a_device_that_is_not_reset_in_time() -> None:
    """When the reset at REMOVE does not end, everything stays allocated and the frames stay lost."""
    runner = probed(NetConfig(reset_reads=2000, transport="modern"))
    runner.step(xmit(0))
    removed = runner.step(REMOVE)
    assert removed.status == 0
    assert removed.events == ()
    assert runner.arena.live
    assert runner.step(PROBE).status == ETIMEDOUT
    with pytest.raises(OperationError, match="1 frames are with the driver"):
        runner.frames(FRAMES)


def test_a_command_without_an_answer() -> None:
    """When a command is not answered in time its memory is kept, for the device may still write to it."""
    runner = probed(NetConfig(features=MQ, pairs=2))
    before = set(runner.arena.live)
    runner.step(Op(NetCode.NET_SET_FLAGS, 0, 4, 1))
    assert runner.step(Op(NetCode.SET_PAIRS, 0, 0, 2)).status == ETIMEDOUT
    assert len(set(runner.arena.live) - before) == 1
    assert runner.step(REMOVE).status == 0
    assert not runner.arena.live


def test_queues_in_use() -> None:
    """Frames go to the queues in use only; asking for more than there are changes nothing."""
    frames = [Frame(Packet(b"x" * 20), cpu=cpu) for cpu in range(4)]
    runner = probed(NetConfig(features=MQ, pairs=3), frames)
    assert [runner.step(xmit(i)).pair for i in range(4)] == [0, 0, 0, 0]
    runner.run([read(), complete(), INTERRUPT])
    assert [runner.step(Op(NetCode.SET_PAIRS, 0, 0, n)).status for n in (3, 4, 0)] == [0, EINVAL, EINVAL]
    assert runner.device.pairs == 3
    assert [runner.step(xmit(i)).pair for i in range(4)] == [0, 1, 2, 0]
    assert runner.step(read(5)).status == 1
    assert runner.captures[-1].queue == 5


def test_frames_can_be_replaced() -> None:
    """Once all frames are back, others can take their place; too many do not fit."""
    runner = probed(NetConfig())
    runner.step(xmit(0))
    with pytest.raises(OperationError, match="1 frames are with the driver, so they cannot be replaced"):
        runner.frames([])
    runner.run([read(), complete(), INTERRUPT])
    runner.frames([Frame(Packet(b"another"))])
    runner.run([xmit(0), read()])
    assert runner.captures[-1].data.endswith(b"another")
    runner.run([complete(), Op(NetCode.RAISE, a=1), INTERRUPT])
    with pytest.raises(OutOfRoom):
        runner.frames([Frame(Packet(b"", tuple([Fragment(0, b"x")] * 4000)))] * 5)
    with pytest.raises(OperationError, match="frame 0 of 0"):
        runner.step(xmit(0))


def test_memory_can_be_looked_at() -> None:
    """Rings, the window of frames and the arena are there to be looked at, and lists to be emptied."""
    runner = probed(NetConfig(queue_size=64))
    runner.step(xmit(0))
    runner.step(read())
    desc, avail, used = runner.ring_bytes(1)
    assert (len(desc), len(avail), len(used)) == (1024, 134, 518)
    assert avail[:4].tobytes() == b"\0\0\1\0"
    placed = runner.placed[0]
    assert int.from_bytes(desc[:8], "little") == placed.control
    at = placed.packet.head - FRAME_ADDRESS
    assert runner.window()[at : at + 60] == FRAMES[0].data
    where = runner.registers.placement(1)
    assert where is not None
    at = where.avail - ARENA_ADDRESS
    assert runner.arena_bytes()[at : at + 134] == avail
    runner.captures.clear()
    runner.accesses.clear()
    runner.events.clear()
    result = runner.step(xmit(1))
    assert len(result.accesses) == len(runner.accesses) == 1
    assert len(result.events) == 1
    for queue in (3, -1):
        with pytest.raises(OperationError, match=f"queue {queue} is not set up"):
            runner.ring_bytes(queue)
    with pytest.raises(OperationError, match="there is no transmit queue 1"):
        runner.statistics(1)


Fault = Callable[[Any, Any, Any], None]


def faulty(change: Fault) -> ModuleType:
    """The reference with a driver that ``change`` alters: it is given the device, the arena and the stack."""
    package = ModuleType("faulty")
    vars(package).update({name: getattr(reference, name) for name in reference.__all__})

    def virtnet_probe(registers: Any, arena: Any, memory: Any, stack: Any, **fields: Any) -> Any:
        info = reference.virtnet_probe(registers, arena, memory, stack, **fields)
        change(info, arena, stack)
        return info

    vars(package)["virtnet_probe"] = virtnet_probe
    return package


def frees_before(info: Any, _arena: Any, stack: Any) -> None:
    """Frees a frame as soon as it was sent."""
    send = info.start_xmit
    info.start_xmit = lambda skb, pair: (send(skb, pair), stack.freed(skb.token))


def frees_twice(info: Any, _arena: Any, stack: Any) -> None:
    """Frees a frame instead of sending it, twice."""
    info.start_xmit = lambda skb, _pair: (stack.freed(skb.token), stack.freed(skb.token))


def forgets(info: Any, _arena: Any, _stack: Any) -> None:
    """Neither sends nor frees."""
    info.start_xmit = lambda _skb, _pair: None


def orphans_after(info: Any, _arena: Any, stack: Any) -> None:
    """Orphans what it has freed."""
    info.start_xmit = lambda skb, _pair: (stack.freed(skb.token), stack.orphaned(skb.token))


def keeps(info: Any, _arena: Any, _stack: Any) -> None:
    """Frees nothing at remove."""
    for sq in info.send_queues:
        sq.free_unused_bufs = lambda: None


def leaks(_info: Any, arena: Any, _stack: Any) -> None:
    """Keeps a block."""
    arena.allocate(100, 64)


def raises(info: Any, _arena: Any, _stack: Any) -> None:
    """Fails in its own code."""
    info.start_xmit = lambda _skb, _pair: [][1]


def chooses(info: Any, _arena: Any, _stack: Any) -> None:
    """Takes a queue there is not."""
    info.select_queue = lambda _skb: 1


def releases(info: Any, arena: Any, _stack: Any) -> None:
    """Gives memory back that is not there."""
    info.start_xmit = lambda _skb, _pair: arena.release(ARENA_ADDRESS, 5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (frees_before, "frame-freed-once: frame 0 was freed by the driver, which published 1 chains for it"),
        (frees_twice, "frame-freed-once: frame 0 was freed, but it was not with the driver"),
        (forgets, "frame-freed-once: frame 0 was kept by the driver, which published 0 chains for it"),
        (orphans_after, "frame-freed-once: frame 0 was orphaned, but it was not with the driver"),
        (keeps, "frame-freed-once: 1 frames, frame 0 first, were not freed by remove"),
        (leaks, "no-leak-no-double-allocation: 1 blocks, the first at address"),
        (raises, "driver-runs: the driver failed in XMIT: IndexError: list index out of range"),
        (chooses, "queue-in-use: transmit queue 1 was chosen for frame 0, of 1 in use"),
        (releases, "no-leak-no-double-allocation: the driver failed in XMIT: ArenaError: no live block"),
    ],
)
def test_faults_are_violations(change: Fault, words: str) -> None:
    """What a driver must not do with frames, memory and queues is a violation that names the operation."""
    runner = probed(NetConfig(), package=faulty(change))
    with pytest.raises(Violation) as caught:
        runner.run([xmit(0), REMOVE])
    assert str(caught.value).startswith(words)
    assert caught.value.operation == (2 if change in (keeps, leaks) else 1)


def test_freeing_what_the_device_still_reads() -> None:
    """A frame must not be freed before the device has completed its chain; after it, it may be."""

    def frees_in_interrupt(info: Any, _arena: Any, stack: Any) -> None:
        info.interrupt = lambda: stack.freed(1)

    package = faulty(frees_in_interrupt)
    runner = probed(NetConfig(), package=package)
    runner.run([xmit(0), read()])
    with pytest.raises(Violation, match="frame 0 was freed before the device was done with it"):
        runner.step(INTERRUPT)
    runner = probed(NetConfig(), package=package)
    runner.run([xmit(0), read(), complete()])
    assert runner.step(INTERRUPT).events == ((FREED, 1),)


def test_a_failed_probe_gives_everything_back() -> None:
    """Memory kept by a probe that fails is a violation."""
    package = faulty(leaks)

    def virtnet_probe(*args: Any, **fields: Any) -> Any:
        args[1].allocate(8, 8)
        return reference.virtnet_probe(*args, **fields)

    vars(package)["virtnet_probe"] = virtnet_probe
    with pytest.raises(Violation, match=r"1 blocks, the first at .* by a probe that failed"):
        NetRunner(NetConfig(missing_queue=0), reference=package).step(PROBE)
