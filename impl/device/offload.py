"""What a device does with a transmit chain to put it on the wire: checksums and segmentation.

The header is ``struct virtio_net_hdr`` (VIRTIO 1.3 section 5.1.6), little endian. A frame without GSO leaves
as it is, with its checksum completed if asked. TCP over IPv4 or IPv6 becomes segments of at most gso_size
bytes of payload: identification and sequence number go on, FIN and PSH are on the last one only, CWR on the
first one only if the header has the ECN bit; without that bit it is repeated like other flags. A UDP datagram
becomes IP fragments (UFO) of at most gso_size bytes, all but the last a multiple of 8; IPv4 headers are
repeated whole, without DF. The frame's end is taken for the packet's end, whatever its length fields say.
hdr_len is a hint here: it must lie in the frame, headers are found by reading them.
"""

import struct
from typing import NamedTuple
from zlib import crc32

NEEDS_CSUM = 1
GSO_NONE = 0
GSO_TCPV4 = 1
GSO_UDP = 3
GSO_TCPV6 = 4
GSO_ECN = 0x80
_GSO_NAMES = {GSO_TCPV4: "TCPV4", GSO_UDP: "UDP", GSO_TCPV6: "TCPV6"}

_HEADER = struct.Struct("<BBHHHH")
_VLAN = (0x8100, 0x88A8)
_IPV4 = 0x0800
_IPV6 = 0x86DD
_TCP = 6
_UDP = 17
_HOP_BY_HOP = 0
_ROUTING = 43
_FRAGMENT = 44
_DESTINATION = 60
_NAMES = {_TCP: "TCP", _UDP: "UDP"}
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}
"""Where the checksum is in the header of each protocol."""
_FIN, _PSH, _CWR = 0x01, 0x08, 0x80
_MORE_FRAGMENTS = 0x2000
_FRAGMENT_OFFSET = 0x1FFF


class OffloadError(ValueError):
    """A virtio header that does not fit its frame: one line that says why."""


class _Layers(NamedTuple):
    """Where a packet's parts are in its frame, in bytes: the IP header, and TCP or UDP, its ``payload``.

    ``fragmentable`` is where the part begins that IPv6 fragments share out; ``naming`` is the byte that names
    the first header of that part.
    """

    version: int
    ip: int
    payload: int
    protocol: int
    fragmentable: int
    naming: int


def wire_frames(header: bytes, frame: bytes) -> list[bytes]:
    """Return the frames that leave for a frame with that virtio header, in order.

    ``header`` is of 10 bytes or more, of which the first 10 count. Raises OffloadError.
    """
    if len(header) < _HEADER.size:
        raise OffloadError(f"a virtio header of {len(header)} bytes is shorter than {_HEADER.size}")
    flags, gso_type, hdr_len, gso_size, csum_start, csum_offset = _HEADER.unpack_from(header)
    kind = gso_type & ~GSO_ECN
    if kind == GSO_NONE:
        if gso_type & GSO_ECN:
            raise OffloadError("gso_type has the ECN bit without a kind of segmentation")
        if not flags & NEEDS_CSUM:
            return [bytes(frame)]
        return [_checksummed(frame, csum_start, csum_offset)]
    name = _GSO_NAMES.get(kind)
    if name is None:
        raise OffloadError(f"gso_type {gso_type:#x} is none this device knows")
    if gso_type & GSO_ECN and kind == GSO_UDP:
        raise OffloadError("gso_type has the ECN bit with UDP")
    if not flags & NEEDS_CSUM:
        raise OffloadError(f"gso_type {name} without NEEDS_CSUM")
    if not gso_size:
        raise OffloadError(f"gso_type {name} with a gso_size of 0")
    if hdr_len > len(frame):
        raise OffloadError(f"hdr_len {hdr_len} is beyond the frame's {len(frame)} bytes")
    layers = _parse(frame)
    protocol = _UDP if kind == GSO_UDP else _TCP
    if layers.protocol != protocol:
        raise OffloadError(
            f"gso_type {name}, but the frame's IP protocol is {layers.protocol}, not {protocol}"
        )
    if (kind, layers.version) in ((GSO_TCPV4, 6), (GSO_TCPV6, 4)):
        raise OffloadError(f"gso_type {name}, but the frame is IPv{layers.version}")
    expected = layers.payload, _CHECKSUM_AT[protocol]
    if (csum_start, csum_offset) != expected:
        raise OffloadError(
            f"csum_start {csum_start} and csum_offset {csum_offset}, but the {_NAMES[protocol]} checksum of "
            f"this frame is at {expected[0]} + {expected[1]}"
        )
    if protocol == _TCP:
        return _segments(frame, layers, gso_size, bool(gso_type & GSO_ECN))
    return _fragments(frame, layers, gso_size)


def internet_checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) over ``data``, padded to 16 bits with a zero byte."""
    # Adding 16-bit words with end-around carry is arithmetic modulo 0xFFFF, where 0xFFFF stands for 0
    # unless all is 0.
    number = int.from_bytes(data, "big") << 8 * (len(data) & 1)
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))


def _checksummed(frame: bytes, start: int, offset: int) -> bytes:
    """Complete a checksum whose field holds the sum of the pseudo header, as for any protocol.

    A sum of 0 is stored as 0xFFFF where UDP has its field: there 0 would say there is no checksum.
    """
    at = start + offset
    if at + 2 > len(frame):
        raise OffloadError(
            f"csum_start {start} and csum_offset {offset} are beyond the frame's {len(frame)} bytes"
        )
    value = internet_checksum(frame[start:])
    if not value and offset == _CHECKSUM_AT[_UDP]:
        value = 0xFFFF
    return b"".join((frame[:at], value.to_bytes(2, "big"), frame[at + 2 :]))


def _parse(frame: bytes) -> _Layers:
    """Find a frame's headers. Raises OffloadError if it is no whole IP packet, or a fragment of one."""
    at = 12
    while (kind := _word(frame, at, "the Ethernet header")) in _VLAN:
        at += 4
    ip = at + 2
    if kind == _IPV4:
        return _parse_ipv4(frame, ip)
    if kind == _IPV6:
        return _parse_ipv6(frame, ip)
    raise OffloadError(f"a frame of ethertype {kind:#06x} is not IP, so it cannot be segmented")


def _parse_ipv4(frame: bytes, ip: int) -> _Layers:
    _need(frame, ip + 20, "the IPv4 header")
    length = (frame[ip] & 15) * 4
    if frame[ip] >> 4 != 4 or length < 20:
        raise OffloadError(f"the IPv4 header begins with {frame[ip]:#04x}")
    _need(frame, ip + length, "the IPv4 header")
    if _word(frame, ip + 6, "the IPv4 header") & (_MORE_FRAGMENTS | _FRAGMENT_OFFSET):
        raise OffloadError("the frame is an IPv4 fragment already")
    return _Layers(4, ip, ip + length, frame[ip + 9], ip + length, ip + 9)


def _parse_ipv6(frame: bytes, ip: int) -> _Layers:
    at = ip + 40
    _need(frame, at, "the IPv6 header")
    if frame[ip] >> 4 != 6:
        raise OffloadError(f"the IPv6 header begins with {frame[ip]:#04x}")
    names = ip + 6
    fragmentable, naming = at, names
    while (following := frame[names]) in (_HOP_BY_HOP, _ROUTING, _DESTINATION):
        _need(frame, at + 8, "an IPv6 extension header")
        if following == _ROUTING and frame[at + 3]:
            raise OffloadError("the frame has an IPv6 routing header with hops left")
        names, at = at, at + 8 * (frame[at + 1] + 1)
        _need(frame, at, "an IPv6 extension header")
        if following != _DESTINATION:
            # What comes before a routing header is for each hop, too (RFC 8200 section 4.5).
            fragmentable, naming = at, names
    if following == _FRAGMENT:
        raise OffloadError("the frame is an IPv6 fragment already")
    return _Layers(6, ip, at, following, fragmentable, naming)


def _segments(frame: bytes, layers: _Layers, gso_size: int, ecn: bool) -> list[bytes]:
    """Cut a TCP packet into segments."""
    tcp = layers.payload
    _need(frame, tcp + 20, "the TCP header")
    data = tcp + (frame[tcp + 12] >> 4) * 4
    if data < tcp + 20:
        raise OffloadError(f"the TCP header's length is {data - tcp} bytes")
    _need(frame, data, "the TCP header")
    sequence = int.from_bytes(frame[tcp + 4 : tcp + 8], "big")
    made = []
    starts = range(data, max(len(frame), data + 1), gso_size)
    for i, start in enumerate(starts):
        segment = bytearray(frame[:data])
        segment += frame[start : start + gso_size]
        segment[tcp + 4 : tcp + 8] = (sequence + start - data & 0xFFFF_FFFF).to_bytes(4, "big")
        if i < len(starts) - 1:
            segment[tcp + 13] &= ~(_FIN | _PSH)
        if i and ecn:
            segment[tcp + 13] &= ~_CWR
        _finish_ip(segment, layers, i)
        _finish_transport(segment, layers)
        made.append(bytes(segment))
    return made


def _fragments(frame: bytes, layers: _Layers, gso_size: int) -> list[bytes]:
    """Cut a UDP datagram into IP fragments."""
    _need(frame, layers.payload + 8, "the UDP header")
    datagram = bytearray(frame)
    _finish_ip(datagram, layers, 0)
    _finish_transport(datagram, layers)
    start = layers.fragmentable
    if len(frame) - start <= gso_size:
        return [bytes(datagram)]
    size = gso_size & ~7
    if not size:
        raise OffloadError(f"a gso_size of {gso_size} is too small for fragments, which are 8 bytes at least")
    identification = crc32(frame).to_bytes(4, "big")
    made = []
    at = start
    while at < len(frame):
        more = len(frame) - at > gso_size
        fragment = datagram[:start]
        if layers.version == 4:
            word = (at - start) // 8 | (_MORE_FRAGMENTS if more else 0)
            fragment[layers.ip + 6 : layers.ip + 8] = word.to_bytes(2, "big")
        else:
            named, fragment[layers.naming] = fragment[layers.naming], _FRAGMENT
            fragment += struct.pack("!BBH", named, 0, at - start | more) + identification
        end = at + size if more else len(frame)
        fragment += datagram[at:end]
        at = end
        _finish_ip(fragment, layers, 0)
        made.append(bytes(fragment))
    return made


def _finish_ip(packet: bytearray, layers: _Layers, number: int) -> None:
    """Set the length of an IP packet; for IPv4, count identification on by ``number`` and sum the header."""
    ip = layers.ip
    if layers.version == 6:
        packet[ip + 4 : ip + 6] = _length(len(packet) - ip - 40)
        return
    packet[ip + 2 : ip + 4] = _length(len(packet) - ip)
    identification = int.from_bytes(packet[ip + 4 : ip + 6], "big") + number
    packet[ip + 4 : ip + 6] = (identification & 0xFFFF).to_bytes(2, "big")
    packet[ip + 10 : ip + 12] = b"\0\0"
    packet[ip + 10 : ip + 12] = internet_checksum(bytes(packet[ip : layers.payload])).to_bytes(2, "big")


def _finish_transport(packet: bytearray, layers: _Layers) -> None:
    """Compute the checksum of TCP or UDP over the pseudo header and the rest of the packet."""
    ip = layers.ip
    addresses = packet[ip + 12 : ip + 20] if layers.version == 4 else packet[ip + 8 : ip + 40]
    at = layers.payload + _CHECKSUM_AT[layers.protocol]
    packet[at : at + 2] = b"\0\0"
    length = len(packet) - layers.payload
    pseudo = bytes(addresses) + struct.pack("!II", length, layers.protocol)
    value = internet_checksum(pseudo + packet[layers.payload :])
    if not value and layers.protocol == _UDP:
        value = 0xFFFF
    packet[at : at + 2] = value.to_bytes(2, "big")


def _length(length: int) -> bytes:
    if length > 0xFFFF:
        raise OffloadError(f"a packet of {length} bytes is too long for the length field of IP")
    return length.to_bytes(2, "big")


def _word(frame: bytes, at: int, what: str) -> int:
    _need(frame, at + 2, what)
    return int.from_bytes(frame[at : at + 2], "big")


def _need(frame: bytes, end: int, what: str) -> None:
    if end > len(frame):
        raise OffloadError(f"{what} goes to byte {end} of a frame of {len(frame)} bytes")
