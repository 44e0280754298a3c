"""virtio_net_hdr: every byte of it, for every feature set, on poisoned memory."""

import struct
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringproof.impl.reference import (
    LINUX_3_11,
    PROFILES,
    VIRTIO_1_X,
    Frag,
    SkBuff,
    virtio_net_hdr,
    virtio_net_hdr_possible,
    virtio_net_hdr_size,
)

from .machine import CSUM, ECN, MRG_RXBUF, TSO4, TSO6, UFO, VERSION_1, Machine

NONE, TCPV4, TCPV6, UDP, UNKNOWN = range(5)
OFFLOADS = CSUM | TSO4 | TSO6 | ECN | UFO
SUMMED: dict[str, Any] = {"checksum": True, "csum_start": 34, "csum_offset": 16}


def skb(**wants: Any) -> SkBuff:
    """Return a frame of a linear part of 66 bytes and a fragment."""
    return SkBuff((0x1000, 66), [Frag(0x2000, 0, 3000)], (), 0x3000, **wants)


def header(frame: SkBuff, size: int = 10, poison: int = 0xA5) -> bytes:
    """Return the header of a frame, and see that nothing behind it was written."""
    memory = bytearray([poison]) * 16
    virtio_net_hdr(frame, memoryview(memory)[:size])
    assert memory[size:] == bytes([poison]) * (16 - size)
    return bytes(memory[:size])


@pytest.mark.parametrize(
    ("wants", "fields"),
    [
        ({}, "0000 0000 0000 0000 0000"),
        ({"gso_size": 1448, "csum_start": 34, "csum_offset": 16}, "0000 0000 0000 0000 0000"),
        (SUMMED, "0100 0000 0000 2200 1000"),
        ({**SUMMED, "gso": TCPV4, "gso_size": 1448}, "0101 4200 a805 2200 1000"),
        ({**SUMMED, "gso": TCPV6, "gso_size": 1428}, "0104 4200 9405 2200 1000"),
        ({**SUMMED, "gso": UDP, "gso_size": 1480}, "0103 4200 c805 2200 1000"),
        ({**SUMMED, "gso": TCPV4, "gso_size": 1448, "ecn": True}, "0181 4200 a805 2200 1000"),
        ({**SUMMED, "gso": TCPV6, "gso_size": 1448, "ecn": True}, "0184 4200 a805 2200 1000"),
        ({"gso": TCPV4, "gso_size": 0}, "0001 4200 0000 0000 0000"),
        ({"gso": UDP, "gso_size": 0xFFFF, "ecn": True}, "0083 4200 ffff 0000 0000"),
        ({"ecn": True}, "0000 0000 0000 0000 0000"),
    ],
)
@pytest.mark.parametrize("size", [10, 12])
@pytest.mark.parametrize("poison", [0x00, 0xA5, 0xFF])
def test_every_byte(wants: dict[str, Any], fields: str, size: int, poison: int) -> None:
    """The bytes are those of the frame, whatever memory held; num_buffers is 0 where there is one."""
    expected = bytes.fromhex(fields) + bytes(size - 10)
    assert header(skb(**wants), size, poison) == expected


def test_length_of_a_long_linear_part() -> None:
    """hdr_len keeps the low 16 bits of a linear part of more than 65535 bytes."""
    long = SkBuff((0x1000, 65546), (), (), 0, True, 34, 16, TCPV4, 1448)
    assert struct.unpack_from("<H", header(long), 2) == (10,)


@given(
    checksum=st.booleans(),
    start=st.integers(0, 65535),
    offset=st.integers(0, 65535),
    gso=st.sampled_from([NONE, TCPV4, TCPV6, UDP]),
    size=st.integers(0, 65535),
    ecn=st.booleans(),
    long=st.booleans(),
)
def test_fields_in_reverse(
    checksum: bool, start: int, offset: int, gso: int, size: int, ecn: bool, long: bool
) -> None:
    """Reading any header back gives what was asked for, and zero for what was not."""
    frame = skb(checksum=checksum, csum_start=start, csum_offset=offset, gso=gso, gso_size=size, ecn=ecn)
    written = header(frame, 12 if long else 10)
    flags, kind, hdr_len, gso_size, csum_start, csum_offset = struct.unpack_from("<BBHHHH", written)
    assert (flags, csum_start, csum_offset) == ((1, start, offset) if checksum else (0, 0, 0))
    assert kind & 0x7F == {NONE: 0, TCPV4: 1, TCPV6: 4, UDP: 3}[gso]
    assert bool(kind & 0x80) == (ecn and gso != NONE)
    assert (hdr_len, gso_size) == ((66, size) if gso else (0, 0))
    assert not any(written[10:])


@pytest.mark.parametrize("others", [0, OFFLOADS])
def test_size(others: int) -> None:
    """12 bytes with MRG_RXBUF; with VERSION_1 too, which Linux 3.11 does not know; else 10."""
    sizes = {
        (profile.name, features): virtio_net_hdr_size(features | others, profile)
        for profile in PROFILES.values()
        for features in (0, MRG_RXBUF, VERSION_1, MRG_RXBUF | VERSION_1)
    }
    assert [size for (name, _), size in sizes.items() if name == "linux-3.11"] == [10, 12, 10, 12]
    assert [size for (name, _), size in sizes.items() if name == "virtio-1.x"] == [10, 12, 12, 12]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
@pytest.mark.parametrize("gso", [UNKNOWN, 5, 255])
def test_unknown_segmentation(profile: Any, gso: int) -> None:
    """A kind of segmentation without a number is impossible in either profile."""
    assert not virtio_net_hdr_possible(skb(**SUMMED, gso=gso, gso_size=100), ~0, profile)


FEATURE_SETS = [
    sum(bit for bit, on in zip((CSUM, TSO4, TSO6, UFO, ECN), chosen, strict=True) if on)
    for chosen in product((False, True), repeat=5)
]


@pytest.mark.parametrize("features", FEATURE_SETS)
def test_what_may_be_asked(features: int) -> None:
    """Mended, exactly what was negotiated and makes sense may be asked for; Linux 3.11 asks for anything."""
    needed = {TCPV4: TSO4, TCPV6: TSO6, UDP: UFO}
    either = (False, True)
    for checksum, gso, size, ecn in product(either, (NONE, TCPV4, TCPV6, UDP), (0, 1448), either):
        frame = skb(checksum=checksum, gso=gso, gso_size=size, ecn=ecn)
        assert virtio_net_hdr_possible(frame, features, LINUX_3_11)
        faults = [
            checksum and not features & CSUM,
            gso and not checksum,
            gso and not size,
            gso and not features & needed[gso],
            ecn and gso in (NONE, UDP),
            ecn and not features & ECN,
        ]
        assert virtio_net_hdr_possible(frame, features, VIRTIO_1_X) == (not any(faults))


@pytest.mark.parametrize("transport", ["legacy", "modern"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("merging", [0, MRG_RXBUF])
def test_header_before_the_frame(transport: str, profile: str, merging: int) -> None:
    """On the way to the device the header lies at the control block and is followed by the frame."""
    machine = Machine(transport, profile, offered=OFFLOADS | merging)
    info = machine.probe()
    frame = machine.skb(bytes(range(66)), [(100, b"x" * 3000)], **SUMMED, gso=TCPV4, gso_size=1448, ecn=True)
    info.start_xmit(frame, 0)
    long = merging or (transport == "modern" and profile == "virtio-1.x")
    expected = bytes.fromhex("0181 4200 a805 2200 1000") + (bytes(2) if long else b"")
    (chain,) = machine.take()
    assert chain.data == expected + bytes(range(66)) + b"x" * 3000
    assert chain.segments[0][:2] == (frame.control, len(expected))
    assert machine.view(frame.control, 64)[len(expected) :] == b"\xa5" * (64 - len(expected))
