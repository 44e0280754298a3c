"""What a network stack does before a driver sees a frame: it refuses what the link cannot carry."""

import struct

from ..errors import BadInputError
from ..impl.device.offload import OffloadError, wire_frames
from ..impl.harness.frames import Frame, Gso

LEAST_MTU, MOST_MTU, DEFAULT_MTU = 68, 65535, 1500
"""Bytes of payload of an Ethernet frame; the limits are VIRTIO 1.3 section 5.1.4.1's."""
ETHERNET_HEADER = 14
_TAG = 4
_GSO_TYPES = {Gso.TCPV4: 1, Gso.UDP: 3, Gso.TCPV6: 4}
"""The device's numbers (VIRTIO 1.3 section 5.1.6)."""
_TAG_TYPES = (0x8100, 0x88A8)


def link_header(data: bytes) -> int:
    """Bytes of the Ethernet header at the start of a frame, its VLAN tags included."""
    size = ETHERNET_HEADER
    while len(data) >= size + _TAG and struct.unpack_from(">H", data, size - 2)[0] in _TAG_TYPES:
        size += _TAG
    return size


def longest_segment(frame: Frame) -> int:
    """Bytes of the longest frame that leaves when a device segments ``frame``, as its header asks."""
    data, start, size = frame.data, frame.csum_start, frame.gso_size
    if frame.gso is not Gso.UDP:
        header = start + (data[start + 12] >> 4) * 4 if len(data) > start + 12 else start
        return min(len(data), header + size)
    if len(data) - start <= size:
        return len(data)
    # Fragments hold a multiple of 8 bytes, and those of IPv6 a header more.
    six = data[link_header(data) - 2 : link_header(data)] == b"\x86\xdd"
    return start + (size & ~7) + (8 if six else 0)


def admit(frame: Frame, mtu: int, name: str) -> None:
    """Let a frame pass, or say why no stack would send it. Raises BadInputError: one line, ``name`` first.

    Without segmentation a frame has at most ``mtu`` bytes behind its Ethernet header and VLAN tags; with it,
    that goes for the segments; and the frame must be one that can be cut: what its words say must be there.
    """
    data = frame.data
    if len(data) < ETHERNET_HEADER:
        raise BadInputError(
            f"{name}: {len(data)} bytes are fewer than an Ethernet header has ({ETHERNET_HEADER})"
        )
    most = mtu + link_header(data)
    if frame.gso is Gso.NONE:
        if len(data) > most:
            raise BadInputError(
                f"{name}: {len(data)} bytes without segmentation; with an MTU of {mtu} at most {most} pass"
            )
    elif frame.checksum and frame.gso_size and frame.gso is not Gso.UNKNOWN:
        _can_be_cut(frame, name)
        longest = longest_segment(frame)
        if longest > most:
            raise BadInputError(
                f"{name}: segments of {longest} bytes; with an MTU of {mtu} at most {most} pass"
            )


def _can_be_cut(frame: Frame, name: str) -> None:
    """Refuse a frame that is not of the protocol it is to be cut by, which a stack never makes."""
    fields = (1, _GSO_TYPES[frame.gso], 0, frame.gso_size, frame.csum_start, frame.csum_offset)
    try:
        wire_frames(struct.pack("<BBHHHH", *fields), frame.data)
    except OffloadError as error:
        raise BadInputError(f"{name}: no device can do that: {error}") from None
