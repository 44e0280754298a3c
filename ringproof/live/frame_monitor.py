"""Judges transmitted frames: the network header by its clauses, and the packet behind it.

Sources: VIRTIO 1.3 sections 5.1.6, 5.1.6.1 and 5.1.6.2. It is a function of what a CHAIN record holds, of the
features accepted and of the MTU offered.
"""

from struct import Struct

from . import negotiated as net
from .packet import ETHERNET, TAG, UDP, Packet, fold, parse, tags, word, word_sum
from .records import Frame
from .tallies import Check, Log, pair

_HEADER = Struct("<BBHHHH")
_NUM_BUFFERS = Struct("<H")
_NEEDS_CSUM = 1
_NEVER_SENT = 6
"""DATA_VALID and RSC_INFO: flags of frames that are received."""
_ECN = 0x80
_NONE, _TCPV4, _UDP_FRAGMENTS, _TCPV6, _UDP_L4 = 0, 1, 3, 4, 5
_TYPES = (_NONE, _TCPV4, _UDP_FRAGMENTS, _TCPV6, _UDP_L4)
_OF_FEATURE = (
    (net.HOST_TSO4, Check.GSO_TCPV4, _TCPV4),
    (net.HOST_TSO6, Check.GSO_TCPV6, _TCPV6),
    (net.HOST_UFO, Check.GSO_UDP, _UDP_FRAGMENTS),
    (net.HOST_USO, Check.GSO_UDP_L4, _UDP_L4),
)
_SEGMENTS = net.HOST_TSO4 | net.HOST_TSO6 | net.HOST_UFO | net.HOST_USO
_LONGEST = 1514


def header_bytes(features: int) -> int:
    """Bytes of the header before each frame."""
    if features & net.HASH_REPORT:
        return 20
    return 12 if features & (net.VERSION_1 | net.MRG_RXBUF) else 10


class FrameMonitor:
    """Judges the frames of a queue for which ``features`` were accepted."""

    def __init__(self, log: Log, features: int, mtu: int) -> None:
        self._log = log
        self._features = features
        self._mtu = mtu
        self.header_bytes = header_bytes(features)
        self._forbidden = [(code, kind) for bit, code, kind in _OF_FEATURE if not features & bit]

    def judge(self, frame: Frame) -> None:
        """Judges one frame."""
        check, header = self._log.check, self.header_bytes
        fits = frame.size >= header + ETHERNET
        check(Check.FRAME_SHORT, fits, frame.size, header)
        prefix = frame.prefix
        if not fits or not frame.whole or len(prefix) < header:
            return
        size = frame.size - header
        flags, gso_type, hdr_len, gso_size, csum_start, csum_offset = _HEADER.unpack_from(prefix)
        self._judge_header(prefix, flags, gso_type, gso_size)
        kind = gso_type & ~_ECN
        lying = prefix[header:]
        if kind == _NONE:
            self._judge_size(lying, size)
        packet = parse(lying, size)
        if flags & _NEEDS_CSUM:
            placed = csum_start + csum_offset + 2 <= size
            if packet and csum_offset != packet.checksum_at - packet.transport:
                placed = False
            check(Check.CSUM_PLACE, placed, pair(csum_start, csum_offset), size)
        if packet is None:
            return
        if flags & _NEEDS_CSUM:
            check(Check.CSUM_START, csum_start == packet.transport, csum_start, packet.transport)
        self._judge_hdr_len(kind, hdr_len, packet.headers)
        self._judge_cwr(kind, gso_type, packet)
        if kind != _NONE:
            packet.end = size
        self._judge_sums(frame, lying, size, flags, kind, packet)

    def _judge_header(self, prefix: bytes, flags: int, gso_type: int, gso_size: int) -> None:
        check, features, kind = self._log.check, self._features, gso_type & ~_ECN
        if self.header_bytes >= 12:
            num_buffers: int = _NUM_BUFFERS.unpack_from(prefix, 10)[0]
            check(Check.NUM_BUFFERS, num_buffers == 0, num_buffers)
        if not features & net.CSUM:
            check(Check.FLAGS_WITHOUT_CSUM, flags == 0, flags)
        check(Check.DATA_VALID, not flags & _NEVER_SENT, flags)
        check(Check.GSO_TYPE, kind in _TYPES, gso_type)
        for code, forbidden in self._forbidden:
            check(code, kind != forbidden, gso_type)
        if not features & _SEGMENTS:
            check(Check.GSO_WITHOUT_FEATURE, gso_type == 0, gso_type)
        if gso_type & _ECN:
            possible = kind in (_TCPV4, _TCPV6) and features & net.HOST_ECN != 0
            check(Check.ECN_PLACE, possible, gso_type)
        if kind != _NONE:
            check(Check.GSO_WITHOUT_CSUM, flags & _NEEDS_CSUM != 0, gso_type, flags)
            check(Check.GSO_SIZE, gso_size > 0, gso_type, gso_size)

    def _judge_size(self, lying: bytes, size: int) -> None:
        room = TAG * tags(lying[:size])
        if self._features & net.MTU:
            self._log.check(Check.MTU, size <= self._mtu + ETHERNET + room, size, self._mtu)
        else:
            self._log.check(Check.LONG_FRAME, size <= _LONGEST + room, size, _LONGEST)

    def _judge_hdr_len(self, kind: int, hdr_len: int, headers: int) -> None:
        if not self._features & (net.CSUM | _SEGMENTS):
            return
        if kind != _NONE and self._features & net.GUEST_HDRLEN:
            self._log.check(Check.HDR_LEN_EXACT, hdr_len == headers, hdr_len, headers)
        else:
            self._log.check(Check.HDR_LEN_SHORT, hdr_len >= headers, hdr_len, headers)

    def _judge_cwr(self, kind: int, gso_type: int, packet: Packet) -> None:
        if not packet.cwr or kind not in (_TCPV4, _TCPV6):
            return
        if self._features & net.HOST_ECN:
            self._log.check(Check.CWR_NOT_TOLD, gso_type & _ECN != 0, gso_type)
        else:
            self._log.check(Check.CWR_WITHOUT_ECN, False, gso_type)

    def _judge_sums(
        self, frame: Frame, lying: bytes, size: int, flags: int, kind: int, packet: Packet
    ) -> None:
        """The checksum: what the device must find in its field, or that it is complete."""
        end = packet.end
        beyond = size > len(lying)
        length = end - packet.transport
        if end > size or (beyond and end != size) or length < 0:
            return
        pseudo = fold(packet.pseudo + length)
        held = word(lying, packet.checksum_at)
        if flags & _NEEDS_CSUM:
            right = held == pseudo or (kind != _NONE and held == fold(packet.pseudo))
            self._log.check(Check.PSEUDO_SUM, right, held, pseudo)
            return
        if kind != _NONE or (packet.protocol == UDP and not packet.v6 and held == 0):
            return
        total = pseudo + word_sum(lying[packet.transport : end])
        if beyond:
            total += frame.sum
        total = fold(total)
        self._log.check(Check.CHECKSUM_INCOMPLETE, total == 0xFFFF, total, packet.protocol)
