"""What leaves a device is judged rightly: right frames pass, and a change anywhere in them is noticed."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.all import IP, TCP, UDP, Ether, IPv6, Raw, defragment

from ringproof.impl.device.offload import wire_frames
from ringproof.impl.harness.frames import Frame
from ringproof.journey.described import described
from ringproof.journey.wire import faults

OFFLOADED = (
    "tcp4 len=4000 gso=1448 csum",
    "tcp4 len=20001 gso=999 csum ecn vlan=3",
    "tcp6 len=9000 csum gso=1428 ecn vlan=9",
    "udp4 len=4000 csum gso=1480",
    "udp6 len=4001 csum gso=1452",
    "udp6 len=401 csum gso=1452",
    "udp4 len=200 csum",
    "udp6 len=201 csum",
    "tcp4 len=91 csum",
    "tcp6 len=1514 csum",
    "hex=" + bytes(range(60)).hex() + " csum=20+8",
)


def left(frame: Frame) -> list[bytes]:
    """What the device of this project sends for a frame whose header asks for what the stack wants."""
    kind = {0: 0, 1: 1, 2: 4, 3: 3}[frame.gso] | (0x80 if frame.ecn else 0)
    header = struct.pack(
        "<BBHHHH", int(frame.checksum), kind, len(frame.packet.head) & 0xFFFF, frame.gso_size,
        frame.csum_start, frame.csum_offset,
    )  # fmt: skip
    return wire_frames(header, frame.data)


@pytest.mark.parametrize("text", [*OFFLOADED, "tcp4", "udp6 len=99", "eth len=14"])
def test_what_should_leave_passes(text: str) -> None:
    """The device's frames are found right, and one too few, one too many, or two swapped are not."""
    frame = described(text)[0]
    sent = left(frame)
    assert faults(frame, sent) == []
    assert faults(frame, sent[:-1])
    assert faults(frame, [*sent, sent[0]])
    if len(sent) > 1:
        assert faults(frame, sent[::-1])


@pytest.mark.parametrize("text", [*OFFLOADED, "tcp4", "udp6 len=99", "eth len=14"])
def test_a_change_of_any_byte_is_noticed(text: str) -> None:
    """Wherever one bit of what left is turned, something is found wrong."""
    frame = described(text)[0]
    sent = left(frame)
    for number, data in enumerate(sent[:3]):
        for at in [*range(min(len(data), 100)), *range(100, len(data), 97)]:
            changed = bytearray(data)
            changed[at] ^= 0x10
            assert faults(frame, [*sent[:number], bytes(changed), *sent[number + 1 :]]), (number, at)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(OFFLOADED), st.lists(st.binary(max_size=80), max_size=3))
def test_anything_can_be_judged(text: str, sent: list[bytes]) -> None:
    """Bytes that are no frames are found wrong, never more than that."""
    assert faults(described(text)[0], sent)


@pytest.mark.parametrize("text", [text for text in OFFLOADED if "gso" in text])
def test_scapy_agrees_on_segments(text: str) -> None:
    """Scapy finds the same lengths and checksums in every segment, and the same payload in all of them."""
    frame = described(text)[0]
    sent = left(frame)
    for data in sent:
        packet = Ether(data)
        for layer, names in ((IP, ("chksum", "len")), (IPv6, ("plen",)), (TCP, ("chksum",))):
            for name in names if layer in packet else ():
                delattr(packet[layer], name)
        assert bytes(packet) == data
    if "tcp" in text:
        assert b"".join(bytes(Ether(data)[TCP].payload) for data in sent) == bytes(
            Ether(frame.data)[TCP].payload
        )
    elif "udp4" in text:
        (whole,) = defragment([Ether(data)[IP] for data in sent])
        assert bytes(whole[UDP].payload) == bytes(Ether(frame.data)[UDP].payload)
        checked = whole.copy()
        del checked[UDP].chksum
        assert bytes(checked[UDP]) == bytes(whole[UDP])
    assert Raw in Ether(sent[0])
