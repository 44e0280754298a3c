"""ICMP echo over IPv4 and IPv6, and neighbour discovery of IPv6 (RFC 792, 4443, 4861)."""

import struct
from typing import Any

import dpkt

from .counts import PartnerCounts
from .wire import (
    ICMP,
    ICMPV6,
    IPV6,
    Datagram,
    MalformedError,
    Station,
    SumError,
    frame_of,
    header,
    ipv4_frame,
    require_sum,
)

_ECHO_REPLY = 0
_ECHO_REQUEST = 8
_ECHO6_REQUEST = 128
_ECHO6_REPLY = 129
_SOLICIT = 135
_ADVERT = 136
_SOLICITED_OVERRIDE = 0x60000000
_TARGET_MAC = b"\x02\x01"  # option: target link-layer address, one unit of eight bytes
_UNSPECIFIED = bytes(16)
_ALL_NODES = b"\xff\x02" + bytes(13) + b"\x01"
_ALL_NODES_MAC = b"\x33\x33\x00\x00\x00\x01"


class Messages:
    """Answers echo requests with what was in them, and says whose the partner's IPv6 address is.

    That address is the link-local one of its MAC (RFC 4291, appendix A).
    """

    def __init__(self, own: Station, counts: PartnerCounts) -> None:
        self._own = own
        self._counts = counts
        tail = bytes((own.mac[0] ^ 2,)) + own.mac[1:3] + b"\xff\xfe" + own.mac[3:]
        self._own6 = Station(own.mac, b"\xfe\x80" + bytes(6) + tail)
        self._solicited = b"\xff\x02" + bytes(9) + b"\x01\xff" + tail[-3:]

    @property
    def own6(self) -> Station:
        """The partner as a station of IPv6."""
        return self._own6

    def answer(self, datagram: Datagram) -> list[bytes]:
        """To ICMP over IPv4; its checksum is no offload's business, so it has to be right."""
        icmp = header(dpkt.icmp.ICMP, datagram.payload)
        if dpkt.in_cksum(datagram.payload) != 0:
            raise SumError("ICMP")
        if icmp.type != _ECHO_REQUEST or icmp.code != 0 or datagram.destination != self._own.ip:
            self._counts.unserved += 1
            return []
        if len(icmp.data) < 4:
            raise MalformedError("an echo without identifier")
        self._counts.echo_replies += 1
        reply = dpkt.icmp.ICMP(type=_ECHO_REPLY, data=icmp.data)
        return [ipv4_frame(self._own, datagram.source, ICMP, reply)]

    def answer6(self, datagram: Datagram, offloaded: bool) -> list[bytes]:
        """To ICMPv6; its checksum includes a pseudo header, so it may be left to an offload."""
        icmp = header(dpkt.icmp6.ICMP6, datagram.payload)
        if not offloaded:
            require_sum(datagram)
        asked = (int(icmp.type), int(icmp.code))
        if asked == (_ECHO6_REQUEST, 0) and datagram.destination == self._own6.ip:
            if len(icmp.data) < 4:
                raise MalformedError("an echo without identifier")
            self._counts.echo6_replies += 1
            return [self._frame6(datagram.source, _ECHO6_REPLY, icmp.data)]
        if asked == (_SOLICIT, 0) and datagram.destination in (self._own6.ip, self._solicited):
            return self._advertise(datagram, icmp.data)
        self._counts.unserved += 1
        return []

    def _advertise(self, datagram: Datagram, asked: bytes) -> list[bytes]:
        if len(asked) < 20:
            raise MalformedError("a neighbour solicitation without target")
        if asked[4:20] != self._own6.ip:
            self._counts.unserved += 1
            return []
        unnamed = datagram.source.ip == _UNSPECIFIED
        to = Station(_ALL_NODES_MAC, _ALL_NODES) if unnamed else datagram.source
        flags = _SOLICITED_OVERRIDE & (0x20000000 if unnamed else 0xFFFFFFFF)
        advert = struct.pack(">I", flags) + self._own6.ip + _TARGET_MAC + self._own.mac
        self._counts.neighbour_adverts += 1
        return [self._frame6(to, _ADVERT, advert)]

    def _frame6(self, to: Station, kind: int, data: bytes) -> bytes:
        message: Any = dpkt.icmp6.ICMP6(type=kind, data=data)
        packet = dpkt.ip6.IP6(
            src=self._own6.ip, dst=to.ip, nxt=ICMPV6, hlim=255, plen=len(message), data=message
        )
        return frame_of(self._own, to.mac, IPV6, packet)
