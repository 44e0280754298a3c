"""Frames as bytes, and what is in them: one layer at a time.

dpkt's own constructors go on into the payload, as deep as it says there is something: right for captures,
not for what a hostile guest sends. So packets are read header by header with ``header``; packets that are
sent are built of dpkt's objects, which know lengths and checksums.
"""

import struct
from dataclasses import dataclass
from typing import Any

import dpkt

ARP = dpkt.ethernet.ETH_TYPE_ARP
IPV4 = dpkt.ethernet.ETH_TYPE_IP
IPV6 = dpkt.ethernet.ETH_TYPE_IP6
ICMP = dpkt.ip.IP_PROTO_ICMP
TCP = dpkt.ip.IP_PROTO_TCP
UDP = dpkt.ip.IP_PROTO_UDP
ICMPV6 = dpkt.ip.IP_PROTO_ICMP6

BROADCAST_MAC = b"\xff" * 6
BROADCAST_IP = b"\xff" * 4
NO_IP = bytes(4)
ETHER_BYTES = 14
LEAST_FRAME = 60  # Ethernet's least frame without its check sequence
LARGEST_FRAME = ETHER_BYTES + 8 + 65_575  # two tags, and an IPv6 packet whose length field is full


class MalformedError(Exception):
    """Bytes that say they are a packet, and are none."""


class SumError(Exception):
    """A packet whose checksum is wrong."""


@dataclass(frozen=True, slots=True)
class Station:
    """A host: its ``mac`` (6 bytes) and its ``ip`` (4 bytes, or 16 of IPv6)."""

    mac: bytes
    ip: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """What a whole IP packet carries, who sent it, and the address it was sent to."""

    source: Station
    destination: bytes
    protocol: int
    payload: bytes


def header(kind: Any, octets: bytes) -> Any:
    """The fixed header of ``kind`` (a class of dpkt), and what follows it as ``data``, unread.

    Raises MalformedError if there are fewer bytes than the header has.
    """
    packet = kind.__new__(kind)  # its constructor would fill in what is overwritten here, at twice the cost
    try:
        dpkt.Packet.unpack(packet, octets)
    except struct.error as short:
        raise MalformedError(f"{len(octets)} bytes are no {kind.__name__}") from short
    return packet


def read_ipv4(mac: bytes, octets: bytes) -> Datagram | None:
    """The datagram of an IPv4 packet sent by ``mac``; none if it is a fragment.

    A total length of 0 means to the end of the frame, as some have it that are still to be cut. Raises
    MalformedError, and SumError if the header's own checksum, which is never offloaded, is wrong.
    """
    ip = header(dpkt.ip.IP, octets)
    head = ip.hl * 4
    end = ip.len or len(octets)
    if ip.v != 4 or head < 20 or not head <= end <= min(len(octets), 65_535):
        raise MalformedError("lengths of an IPv4 packet")
    if dpkt.in_cksum(octets[:head]) != 0:
        raise SumError("IPv4 header")
    if ip.mf or ip.offset:
        return None
    return Datagram(Station(mac, bytes(ip.src)), bytes(ip.dst), int(ip.p), octets[head:end])


def read_ipv6(mac: bytes, octets: bytes) -> Datagram:
    """The datagram of an IPv6 packet sent by ``mac``; its protocol is what follows the fixed header."""
    ip = header(dpkt.ip6.IP6, octets)
    end = 40 + ip.plen
    if ip.v != 6 or end > len(octets):
        raise MalformedError("lengths of an IPv6 packet")
    return Datagram(Station(mac, bytes(ip.src)), bytes(ip.dst), int(ip.nxt), octets[40:end])


def require_sum(datagram: Datagram) -> None:
    """Raises SumError unless the sum over pseudo header and payload comes out even (RFC 1071)."""
    fields = (datagram.source.ip, datagram.destination, bytes(3), bytes((datagram.protocol,)))
    length = struct.pack(">I", len(datagram.payload))
    if dpkt.in_cksum(b"".join((*fields, length, datagram.payload))) != 0:
        raise SumError(f"protocol {datagram.protocol}")


def frame_of(own: Station, to: bytes, kind: int, packet: Any) -> bytes:
    """An Ethernet frame to the address ``to``, padded to the least size there is."""
    whole = bytes(dpkt.ethernet.Ethernet(dst=to, src=own.mac, type=kind, data=packet))
    return whole.ljust(LEAST_FRAME, b"\0")


def ipv4_frame(own: Station, to: Station, protocol: int, transport: Any) -> bytes:
    """A frame with one IPv4 packet from ``own`` to ``to``, checksums filled in."""
    return frame_of(own, to.mac, IPV4, dpkt.ip.IP(src=own.ip, dst=to.ip, p=protocol, df=1, data=transport))


def udp_frame(own: Station, to: Station, sport: int, dport: int, data: bytes) -> bytes:
    """A frame with one UDP datagram."""
    udp = dpkt.udp.UDP(sport=sport, dport=dport, ulen=8 + len(data), data=data)
    return ipv4_frame(own, to, UDP, udp)
