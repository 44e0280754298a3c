"""Frames and traffic for network drivers: of every shape, lawful where they are to be, fixed by a seed."""

from random import Random

import pytest

from ringproof.impl.harness.frames import FRAME_BYTES, FrameMemory, Gso, pieces
from ringproof.impl.harness.net_operations import (
    F_CSUM,
    F_HOST_TSO4,
    MAX_SKB_FRAGS,
    NET_FEATURES,
    NetCode,
    NetConfig,
    Op,
)
from ringproof.validation.net_configurations import Offer, probed_configs, traffic_configs
from ringproof.validation.packets import layers, pseudo_sum, stored_sum
from ringproof.validation.shapes import MOST_SEGMENTS, Cutter, Shapes, filled, lawful, pattern
from ringproof.validation.traffic import Traffic


@pytest.mark.parametrize("length", [1, 2, 60, 1514, 5000, 60000, 65550])
def test_cut_data_is_whole(length: int) -> None:
    """The pieces of a cut packet, in order, are the data; no packet has more fragments than it can."""
    cutter, data = Cutter(Random(length)), pattern(length, 3)
    for _ in range(30):
        made = cutter.cut(data)
        assert made.data == data
        waiting = [made]
        while waiting:
            packet = waiting.pop()
            assert len(packet.fragments) <= MAX_SKB_FRAGS
            waiting += packet.packets


def test_pieces_in_memory_are_those_that_hold_bytes() -> None:
    """What is counted as a segment is what memory has as one."""
    memory = memoryview(bytearray(FRAME_BYTES // 8))
    frames = Shapes(Random(1), NET_FEATURES, longest=4000).pool(60)
    for placed in FrameMemory(memory).place(frames):
        assert len(list(pieces(placed.packet))) == filled(placed.frame.packet)


@pytest.mark.parametrize("features", [0, F_CSUM, F_CSUM | F_HOST_TSO4, NET_FEATURES])
def test_lawful_frames_are_lawful(features: int) -> None:
    """None asks for what was not accepted, or has too many pieces; among others some do."""
    frames = Shapes(Random(features), features, lawful=True).pool(600)
    assert all(lawful(frame, features) and filled(frame.packet) <= MOST_SEGMENTS for frame in frames)
    others = Shapes(Random(features), features).pool(600)
    assert any(not lawful(frame, features) for frame in others)
    assert any(filled(frame.packet) > MOST_SEGMENTS for frame in others)


def test_frames_are_of_every_kind() -> None:
    """All segmentations, from one byte to 64 KiB; checksums left to the device as a stack leaves them."""
    frames = Shapes(Random(2), NET_FEATURES).pool(3000)
    assert {frame.gso for frame in frames} == set(Gso)
    lengths = [len(frame.data) for frame in frames]
    assert min(lengths) == 1
    assert max(lengths) > 65000
    left = [frame for frame in frames if frame.checksum and lawful(frame, NET_FEATURES)]
    right = 0
    for frame in left:
        found = layers(frame.data)
        if found is not None and found.transport == frame.csum_start:
            right += stored_sum(frame.data, found) == pseudo_sum(frame.data, found)
    assert right > len(left) * 0.9


def test_traffic_is_the_same_for_a_seed() -> None:
    """And another one for another; every operation of device and driver is in it."""
    config = NetConfig(features=NET_FEATURES, pairs=4)
    frames = Shapes(Random(3), NET_FEATURES, longest=200).pool(120)

    def batches(seed: int) -> list[Op]:
        traffic = Traffic(config, frames, seed)
        return [op for _ in range(24) for op in traffic.batch()] + traffic.again()

    assert batches(1) == batches(1)
    assert batches(1) != batches(2)
    assert {op.code for op in batches(1)} == set(NetCode)


def test_devices_are_of_every_kind() -> None:
    """Bad ones among those that are probed, sound ones in traffic; nothing the driver does not know."""
    offer = Offer(NET_FEATURES, ("legacy", "modern"), "virtio-1.x")
    for quick in (False, True):
        probed = list(probed_configs(offer, quick=quick))
        assert {config.transport for config in probed} == {"legacy", "modern"}
        assert any(config.refuses_features for config in probed)
        assert any(config.withhold_version_1 for config in probed)
        assert any(config.reset_reads > 1000 for config in probed)
        assert any(config.missing_queue is not None for config in probed)
        assert {0, 1, 3} <= {config.queue_size for config in probed}
        assert any(config.features & ~NET_FEATURES for config in probed)
    with_traffic = traffic_configs(offer, 1)
    chosen = [next(with_traffic) for _ in range(40)]
    assert all(not config.features & ~NET_FEATURES for config in chosen)
    assert {1, 2, 4, 16, 32, 256} <= {config.queue_size for config in chosen}
    assert {config.pairs for config in chosen} >= {1, 2, 8}
