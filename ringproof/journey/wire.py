"""Whether what left a device is what the stack wanted sent, looked at with dpkt.

The device that did the work (``impl/device/offload.py``) is a program of this project, too; so its frames
are taken apart by a library that knows nothing of it.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dpkt
from dpkt import ethernet, ip, ip6, tcp

from ..impl.harness.frames import Frame, Gso
from .stack import link_header

_PROTOCOLS = {Gso.TCPV4: ip.IP_PROTO_TCP, Gso.TCPV6: ip.IP_PROTO_TCP, Gso.UDP: ip.IP_PROTO_UDP}
_LAST_ONLY = tcp.TH_FIN | tcp.TH_PUSH


@dataclass(frozen=True, slots=True)
class _Packet:
    """An IP packet as dpkt reads it: its header, and the bytes behind header and extension headers."""

    ip: Any
    payload: bytes
    protocol: int
    headers: bytes
    """The bytes of the frame in front of ``payload``."""

    @property
    def six(self) -> bool:
        return isinstance(self.ip, ip6.IP6)

    @property
    def steady(self) -> bytes:
        """What each segment repeats of the headers: all but lengths, fragmentation and checksum of IP."""
        if self.six:
            at = link_header(self.headers)
            return self.headers[: at + 4] + self.headers[at + 7 : at + 40]
        at = link_header(self.headers)
        return self.headers[: at + 2] + self.headers[at + 8 : at + 10] + self.headers[at + 12 :]

    @property
    def fragment(self) -> Any:
        """Of an IPv6 packet: its fragment header, if it has one."""
        return self.ip.extension_hdrs.get(ip.IP_PROTO_FRAGMENT) if self.six else None


def faults(frame: Frame, sent: Sequence[bytes]) -> list[str]:
    """What is wrong with the frames that left for ``frame``, a line each; nothing if nothing is.

    Without offload the frame itself must leave, byte for byte. With a checksum it must differ in nothing but
    the checksum, which must be right. With segmentation each segment must be a packet that is right in
    itself, and together they must hold the frame's payload, in order, once.
    """
    try:
        return list(_faults(frame, [bytes(each) for each in sent]))
    except (dpkt.Error, struct.error, IndexError, AttributeError) as error:
        return [f"dpkt cannot read what left: {type(error).__name__} {error}".strip()]


def _faults(frame: Frame, sent: list[bytes]) -> Iterator[str]:
    if frame.gso is not Gso.NONE:
        yield from _segmented(frame, sent)
    elif len(sent) != 1:
        yield f"{len(sent)} frames left instead of one"
    elif not frame.checksum:
        if sent[0] != frame.data:
            yield f"what left differs from the frame at byte {_first_difference(sent[0], frame.data)}"
    else:
        yield from _summed(frame, sent[0])


def _first_difference(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def _summed(frame: Frame, sent: bytes) -> Iterator[str]:
    """A frame whose checksum the device has finished."""
    data, at = frame.data, frame.csum_start + frame.csum_offset
    if len(sent) != len(data) or sent[:at] != data[:at] or sent[at + 2 :] != data[at + 2 :]:
        yield "what left differs from the frame elsewhere than in its checksum"
        return
    # The field holds the sum of the pseudo-header, so that summing over it all gives the checksum.
    wanted = dpkt.in_cksum(data[frame.csum_start :])
    (stored,) = struct.unpack_from(">H", sent, at)
    if stored != wanted and {stored, wanted} != {0, 0xFFFF}:
        yield f"the checksum is {stored:#06x}, and {wanted:#06x} by dpkt"
    packet = _packet(sent)
    # A frame in other words than ours may have left something else in the field: then it is not a checksum
    # of TCP or UDP.
    if packet and len(packet.headers) == frame.csum_start and _holds_pseudo_sum(packet, data, at):
        yield from _transport(packet, "the frame")


def _holds_pseudo_sum(packet: _Packet, data: bytes, at: int) -> bool:
    (field,) = struct.unpack_from(">H", data, at)
    return bool(field == ~dpkt.in_cksum(_pseudo(packet, len(packet.payload))) & 0xFFFF)


def _segmented(frame: Frame, sent: list[bytes]) -> Iterator[str]:
    original = _packet(frame.data)
    if original is None:
        yield "segments were made of a frame that is not IP"
        return
    packets = []
    for number, data in enumerate(sent):
        packet = _packet(data)
        if packet is None:
            yield f"segment {number + 1} is not IP"
            return
        yield from _network(packet, data, f"segment {number + 1}")
        if packet.steady != original.steady:
            yield f"segment {number + 1} has other headers than the frame"
        # Behind extension headers the protocol is that of the next one, and not to be compared.
        if packet.protocol != original.protocol and not (original.six and original.ip.all_extension_headers):
            yield f"segment {number + 1} is of protocol {packet.protocol}, not {original.protocol}"
        packets.append(packet)
    if frame.gso is Gso.UDP:
        yield from _fragments(frame, original, packets)
    else:
        yield from _tcp(frame, original, packets)


def _tcp(frame: Frame, original: _Packet, packets: Sequence[_Packet]) -> Iterator[str]:
    whole = tcp.TCP(original.payload)
    sequence, parts = whole.seq, []
    for number, packet in enumerate(packets):
        name, segment = f"segment {number + 1}", tcp.TCP(packet.payload)
        yield from _transport(packet, name)
        if len(segment.data) > frame.gso_size:
            yield f"{name} has {len(segment.data)} bytes of payload, {frame.gso_size} at most were asked for"
        elif len(segment.data) < frame.gso_size and number < len(packets) - 1:
            yield f"{name} has only {len(segment.data)} bytes of payload, though others follow"
        if segment.seq != sequence & 0xFFFF_FFFF:
            yield f"{name} has sequence number {segment.seq} where {sequence & 0xFFFF_FFFF} comes next"
        expected = whole.flags
        if number < len(packets) - 1:
            expected &= ~_LAST_ONLY
        if number and frame.ecn:
            expected &= ~tcp.TH_CWR
        if segment.flags != expected:
            yield f"{name} has the TCP flags {segment.flags:#x} instead of {expected:#x}"
        if (segment.sport, segment.dport, segment.ack, segment.opts) != (
            whole.sport,
            whole.dport,
            whole.ack,
            whole.opts,
        ):
            yield f"{name} has another TCP header than the frame"
        if not packet.six and packet.ip.id != original.ip.id + number & 0xFFFF:
            yield f"{name} has identification {packet.ip.id}, not one more than the one before"
        if (segment.win, segment.urp) != (whole.win, whole.urp):
            yield f"{name} has another window or urgent pointer than the frame"
        sequence += len(segment.data)
        parts.append(bytes(segment.data))
    if b"".join(parts) != bytes(whole.data):
        yield "the segments together do not hold the frame's payload"


def _fragments(frame: Frame, original: _Packet, packets: Sequence[_Packet]) -> Iterator[str]:
    datagram = b"".join(packet.payload for packet in packets)
    if len(packets) > 1:
        at, names = 0, set()
        for number, packet in enumerate(packets):
            name = f"fragment {number + 1}"
            offset, more, identification = _placed(packet)
            names.add(identification)
            if packet.fragment is not None and packet.headers[-7] | packet.headers[-5] & 6:
                yield f"{name} has reserved bits set in its fragment header"
            if offset != at:
                yield f"{name} says it begins at byte {offset} where {at} comes next"
            if more != (number < len(packets) - 1):
                yield f"{name} says that {'more' if more else 'nothing'} follows"
            if len(packet.payload) > frame.gso_size:
                yield f"{name} has {len(packet.payload)} bytes, {frame.gso_size} at most were asked for"
            at += len(packet.payload)
        if len(names) > 1:
            yield "the fragments do not share one identification"
    elif len(datagram) > frame.gso_size:
        yield f"one fragment of {len(datagram)} bytes, {frame.gso_size} at most were asked for"
    # Extension headers behind IPv6's fragment header are shared out with the datagram.
    shared, datagram = _split(datagram, len(original.payload))
    whole = _Packet(original.ip, datagram, ip.IP_PROTO_UDP, original.headers)
    yield from _transport(whole, "the datagram")
    together = shared + datagram[:6] + datagram[8:]
    headers = original.headers[len(original.headers) - len(shared) :]
    if together != headers + original.payload[:6] + original.payload[8:]:
        yield "the fragments together do not hold the frame's datagram"


def _split(data: bytes, last: int) -> tuple[bytes, bytes]:
    """The bytes before the ``last`` ones, and those."""
    at = max(len(data) - last, 0)
    return data[:at], data[at:]


def _placed(packet: _Packet) -> tuple[int, bool, int]:
    """Offset in bytes, whether more follow, and identification of a fragment."""
    if not packet.six:
        return packet.ip.offset * 8, bool(packet.ip.mf), packet.ip.id
    header = packet.fragment
    if header is None:
        return -1, False, -1
    return header.frag_off * 8, bool(header.m_flag), header.id


def _packet(data: bytes) -> _Packet | None:
    """The IP packet in a frame, or None if it has none."""
    inner = ethernet.Ethernet(data).data
    start = link_header(data)
    if isinstance(inner, ip.IP):
        size, protocol = inner.hl * 4, inner.p
    elif isinstance(inner, ip6.IP6):
        size, protocol = 40, inner.nxt
        for header in inner.all_extension_headers:
            size, protocol, kind = size + header.length, header.nxt, protocol
            if kind == ip.IP_PROTO_FRAGMENT:
                break
    else:
        return None
    return _Packet(inner, data[start + size :], protocol, data[: start + size])


def _network(packet: _Packet, data: bytes, name: str) -> Iterator[str]:
    """The IP header: its length, and for IPv4 its checksum."""
    behind = len(data) - link_header(data)
    said = packet.ip.plen + 40 if packet.six else packet.ip.len
    if said != behind:
        yield f"{name} says it has {said} bytes of IP, and has {behind}"
    if not packet.six and dpkt.in_cksum(packet.headers[link_header(data) :]):
        yield f"{name} has a wrong checksum of its IP header"


def _pseudo(packet: _Packet, length: int) -> bytes:
    return bytes(packet.ip.src + packet.ip.dst + struct.pack(">II", length, packet.protocol))


def _transport(packet: _Packet, name: str) -> Iterator[str]:
    """The checksum of TCP or UDP, over pseudo-header and all."""
    if dpkt.in_cksum(_pseudo(packet, len(packet.payload)) + packet.payload):
        yield f"{name} has a wrong checksum"
