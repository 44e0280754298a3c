"""The whole path with the suite's device: any frames, any schedule, and what must hold throughout."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringproof.impl.harness.frames import Fragment, Frame, Gso, Packet
from ringproof.impl.harness.net_operations import (
    EBUSY,
    F_CSUM,
    F_CTRL_VQ,
    F_EVENT_IDX,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_UFO,
    F_INDIRECT_DESC,
    F_MQ,
    F_MRG_RXBUF,
    F_STATUS,
    F_VERSION_1,
    EventKind,
    NetCode,
    NetConfig,
    Op,
)
from ringproof.impl.harness.net_runner import NetRunner

OFFLOADS = F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_UFO | F_HOST_ECN
BITS = (F_MRG_RXBUF, F_STATUS, F_INDIRECT_DESC, F_EVENT_IDX, OFFLOADS, F_CSUM, F_CTRL_VQ | F_MQ)
ON_A_QUEUE = (NetCode.NET_READ, NetCode.NET_COMPLETE, NetCode.NET_SET_FLAGS)

FRAGMENTS = st.lists(st.builds(Fragment, st.integers(0, 4000), st.binary(max_size=96)), max_size=18).map(
    tuple
)
PACKETS = st.recursive(
    st.builds(Packet, st.binary(max_size=80), FRAGMENTS),
    lambda packets: st.builds(
        Packet, st.binary(max_size=80), FRAGMENTS, st.lists(packets, max_size=2).map(tuple)
    ),
    max_leaves=3,
).filter(lambda packet: len(packet.data) >= 2)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Draw a frame: a plain one, one with a sensible wish for offloads, or one with any wish."""
    packet = draw(PACKETS)
    recorded = draw(st.none() | st.integers(0, 20))
    kind = draw(st.sampled_from(["plain", "plain", "sensible", "any"]))
    if kind == "plain":
        return Frame(packet, recorded_queue=recorded, cpu=draw(st.integers(0, 20)))
    start = draw(st.integers(0, len(packet.data) - 2))
    offset = draw(st.integers(0, len(packet.data) - 2 - start))
    if kind == "sensible":
        gso = draw(st.sampled_from([Gso.NONE, Gso.TCPV4, Gso.TCPV6, Gso.UDP]))
        ecn = gso in (Gso.TCPV4, Gso.TCPV6) and draw(st.booleans())
        return Frame(packet, True, start, offset, gso, 1448 if gso else 0, ecn, recorded)
    wishes = draw(st.booleans()), start, offset, draw(st.sampled_from(Gso))
    return Frame(packet, *wishes, draw(st.sampled_from([0, 1, 65535])), draw(st.booleans()), recorded)


@st.composite
def configurations(draw: st.DrawFn) -> NetConfig:
    """Draw a device that can be probed in either profile."""
    transport = draw(st.sampled_from(["legacy", "modern"]))
    smallest = 0 if transport == "modern" else 1
    return NetConfig(
        queue_size=1 << draw(st.integers(smallest, 7)),
        features=sum({bit for bits in draw(st.sets(st.sampled_from(BITS))) for bit in each_bit(bits)}),
        transport=transport,
        profile=draw(st.sampled_from(["linux-3.11", "virtio-1.x"])),
        pairs=draw(st.integers(1, 3)),
    )


def each_bit(mask: int) -> list[int]:
    """Return the powers of two that a mask is made of."""
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]


def _ops(code: NetCode, **fields: st.SearchStrategy[int]) -> st.SearchStrategy[Op]:
    """Operations of one kind; the fields not named are 0, which builds() would make up."""
    return st.fixed_dictionaries(fields).map(lambda given: Op(code, **given))


def steps(count: int) -> st.SearchStrategy[Op]:
    """Draw an operation, most often a frame with a number below ``count``, reading or completing."""
    xmit = _ops(NetCode.XMIT, a=st.integers(0, count - 1), b=st.sampled_from([0, 0, 0, 1, 2]))
    queue = st.sampled_from([1, 1, 1, 3, 5])
    small = st.integers(0, 5)
    read = _ops(NetCode.NET_READ, in_=queue, a=st.sampled_from([0, 0, 1]))
    complete = _ops(NetCode.NET_COMPLETE, in_=queue, a=small, b=small, c=st.integers(1, 6))
    return st.one_of(
        xmit,
        xmit,
        read,
        complete,
        _ops(NetCode.INTERRUPT),
        _ops(NetCode.NET_SET_FLAGS, in_=queue, a=st.integers(0, 1)),
        _ops(NetCode.SET_PAIRS, a=st.integers(1, 3)),
        _ops(NetCode.RAISE, a=st.integers(0, 3)),
    )


class Books:
    """What a test keeps of a run: how many frames were handed over, which each queue took, and those freed.

    ``taken`` and ``freed`` hold frame numbers by transmit queue, in order; frames that were dropped are in
    neither.
    """

    def __init__(self) -> None:
        self.handed = 0
        self.taken: dict[int, list[int]] = {0: [], 1: [], 2: []}
        self.freed: dict[int, list[int]] = {0: [], 1: [], 2: []}
        self._pairs: dict[int, int] = {}

    def run(self, runner: NetRunner, ops: list[Op]) -> None:
        """Run operations, those that can be asked."""
        for op in ops:
            if op.code == NetCode.XMIT and op.a + 1 in runner.stack.held:
                continue
            if op.code in ON_A_QUEUE and runner.registers.placement(op.in_) is None:
                continue
            result = runner.step(op)
            self.handed += op.code == NetCode.XMIT and result.status == 0
            for kind, token in result.events:
                if kind == EventKind.ORPHANED:
                    self.taken[result.pair].append(token - 1)
                    self._pairs[token] = result.pair
                elif kind == EventKind.FREED and token in self._pairs:
                    self.freed[self._pairs.pop(token)].append(token - 1)


@settings(max_examples=100, deadline=None)
@given(configurations(), st.lists(frames(), min_size=1, max_size=6), st.data())
def test_any_schedule(config: NetConfig, given_frames: list[Frame], data: st.DataObject) -> None:
    """Frames come out whole and in order and are freed once; the counts agree; remove gives all back.

    The device and the stack look for more: chains well formed, nothing published before DRIVER_OK, no frame
    freed while it is the device's.
    """
    runner, books = NetRunner(config, given_frames), Books()
    assert runner.step(Op(NetCode.PROBE)).status == 0
    books.run(runner, data.draw(st.lists(steps(len(given_frames)), min_size=20, max_size=60)))
    statistics = [runner.statistics(pair) for pair in range(runner.info.pairs)]
    for pair in range(runner.info.pairs):
        runner.step(Op(NetCode.NET_READ, in_=2 * pair + 1))
    runner.step(Op(NetCode.REMOVE))

    longer = F_MRG_RXBUF if config.profile == "linux-3.11" else F_MRG_RXBUF | F_VERSION_1
    size = 12 if config.offered & config.understood & longer else 10
    for pair, counted in enumerate(statistics):
        out = [capture.data[size:] for capture in runner.captures if capture.queue == 2 * pair + 1]
        assert out == [given_frames[number].data for number in books.taken[pair]]
        assert counted.tx_packets == len(books.freed[pair])
        assert counted.tx_bytes == sum(len(given_frames[number].data) for number in books.freed[pair])
    dropped = sum(counted.tx_dropped for counted in statistics)
    assert dropped == sum(counted.tx_fifo_errors for counted in statistics)
    told = Counter(event.kind for event in runner.events)
    assert (told[EventKind.FREED], told[EventKind.ORPHANED]) == (books.handed, books.handed - dropped)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 7), st.sampled_from(["legacy", "modern"]), st.data())
def test_no_possible_frame_is_dropped_mended(exponent: int, transport: str, data: st.DataObject) -> None:
    """Mended, a frame with at most 18 pieces and no offload is never dropped while the queue runs.

    And the queue is never stopped for ever: by the time the device has sent everything, with only those
    interrupts that were due, it runs again.
    """
    if transport == "legacy":
        exponent = max(exponent, 1)
    shapes = data.draw(st.lists(st.sampled_from([0, 1, 6, 14, 16, 17]), min_size=20, max_size=40))
    whole = [Frame(Packet(b"h" * 20, tuple(Fragment(i, b"f") for i in range(count)))) for count in shapes]
    features = data.draw(st.sampled_from([0, F_EVENT_IDX, F_INDIRECT_DESC, F_EVENT_IDX | F_INDIRECT_DESC]))
    runner = NetRunner(NetConfig(1 << exponent, features, transport), whole)
    runner.step(Op(NetCode.PROBE))
    for number in range(len(whole)):
        while runner.step(Op(NetCode.XMIT, a=number)).status == EBUSY:
            runner.step(Op(NetCode.NET_READ, in_=1))
            pick = data.draw(st.integers(0, 5))
            completed = runner.step(Op(NetCode.NET_COMPLETE, in_=1, a=pick, c=data.draw(st.integers(1, 4))))
            assert completed.status, "the queue is stopped though the device has sent everything"
            if completed.length:
                runner.step(Op(NetCode.INTERRUPT))
    assert runner.statistics(0).tx_dropped == 0


@pytest.mark.parametrize(("profile", "transport"), [("linux-3.11", "legacy"), ("virtio-1.x", "modern")])
def test_indices_wrap(profile: str, transport: str) -> None:
    """More frames than 2^16 go through one queue of 256, in order and all of them."""
    frames = [Frame(Packet(bytes([i]) * 20)) for i in range(64)]
    runner = NetRunner(NetConfig(256, F_EVENT_IDX, transport, profile), frames)
    runner.step(Op(NetCode.PROBE))
    for start in range(0, 66_000, 64):
        for number in range(64):
            assert runner.step(Op(NetCode.XMIT, a=number)).status == 0
        runner.step(Op(NetCode.NET_READ, in_=1))
        runner.step(Op(NetCode.NET_COMPLETE, in_=1, c=64))
        assert [capture.data[-1] for capture in runner.captures] == list(range(64))
        runner.captures.clear()
        runner.info.send_queues[0].free_old_xmit_skbs()
        assert runner.statistics(0).tx_packets == start + 64
