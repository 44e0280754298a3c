"""TCP segments, read and built (RFC 9293, 7323)."""

import struct
from dataclasses import dataclass

import dpkt

from .wire import TCP, Datagram, MalformedError, Station, header, ipv4_frame

FIN = dpkt.tcp.TH_FIN
SYN = dpkt.tcp.TH_SYN
RST = dpkt.tcp.TH_RST
PUSH = dpkt.tcp.TH_PUSH
ACK = dpkt.tcp.TH_ACK
_LARGEST_SHIFT = 14
_HEADERS = 40  # of IPv4 and TCP, both without options


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of the guest; ``mss`` and ``shift`` (of the window) only if its options have them."""

    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    data: bytes
    mss: int | None
    shift: int | None


def read(datagram: Datagram) -> Segment:
    """The segment in a datagram. Raises MalformedError if its header doesn't lie in it."""
    octets = datagram.payload
    tcp = header(dpkt.tcp.TCP, octets)
    head = tcp.off * 4
    if not 20 <= head <= len(octets):
        raise MalformedError("a TCP header that isn't there")
    mss = shift = None
    if tcp.flags & SYN:
        for option in dpkt.tcp.parse_opts(octets[20:head]):
            match option:
                case (dpkt.tcp.TCP_OPT_MSS, value) if len(value) == 2:
                    mss = int.from_bytes(value, "big")
                case (dpkt.tcp.TCP_OPT_WSCALE, value) if len(value) == 1:
                    shift = min(value[0], _LARGEST_SHIFT)
                case (dpkt.tcp.TCP_OPT_EOL, _):
                    break
    return Segment(tcp.sport, tcp.dport, tcp.seq, tcp.ack, tcp.flags, tcp.win, octets[head:], mss, shift)


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a connection, from the partner's side."""

    own: Station
    own_port: int
    peer: Station
    peer_port: int

    def frame(
        self, flags: int, seq: int, ack: int, window: int, *, data: bytes = b"", options: bytes = b""
    ) -> bytes:
        """A frame with one segment to the peer; numbers are taken modulo 2^32, options fill whole words."""
        tcp = dpkt.tcp.TCP(
            sport=self.own_port,
            dport=self.peer_port,
            seq=seq & 0xFFFFFFFF,
            ack=ack & 0xFFFFFFFF,
            off=5 + len(options) // 4,
            flags=flags,
            win=window,
            opts=options,
            data=data,
        )
        return ipv4_frame(self.own, self.peer, TCP, tcp)


def greeting(mtu: int, shift: int | None) -> bytes:
    """The options of a SYN, ACK: the largest segment taken, and the window's scale if there is one."""
    options = struct.pack(">BBH", dpkt.tcp.TCP_OPT_MSS, 4, mtu - _HEADERS)
    if shift is not None:
        options += struct.pack(">BBBB", dpkt.tcp.TCP_OPT_NOP, dpkt.tcp.TCP_OPT_WSCALE, 3, shift)
    return options
