"""Frames with real Ethernet, IP, TCP and UDP headers, put together by dpkt.

They go between addresses set aside for documentation (RFC 5737, RFC 3849). TCP carries the timestamp option,
as it does between two Linux hosts: so a segment of 1448 bytes of payload fills an MTU of 1500.
"""

import struct
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any

import dpkt
from dpkt import ethernet, ip, ip6, tcp, udp

from ..impl.harness.frames import LONGEST

KINDS = ("tcp4", "tcp6", "udp4", "udp6", "eth")
DEFAULT_LENGTH = 128

_SOURCE, _DESTINATION = b"\x52\x54\x00\x12\x34\x56", b"\x52\x54\x00\x12\x34\x99"
_SOURCE_4, _DESTINATION_4 = b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02"
_NET_6 = b"\x20\x01\x0d\xb8" + bytes(11)
_SOURCE_6, _DESTINATION_6 = _NET_6 + b"\x01", _NET_6 + b"\x02"
_EXPERIMENTAL = 0x88B5
"""An EtherType for local experiments (IEEE 802)."""
_TIMESTAMPS = b"\x01\x01\x08\x0a" + struct.pack(">II", 1000, 900)


@dataclass(frozen=True, slots=True)
class Headers:
    """A frame's bytes, and where its TCP or UDP checksum is: csum_start, csum_offset; None without one."""

    data: bytes
    checksum: tuple[int, int] | None


def built(
    kind: str, length: int | None, *, tags: Sequence[int] = (), partial: bool = False, ecn: bool = False
) -> Headers:
    """A frame of ``kind`` (one of KINDS) and ``length`` bytes in all, with 802.1Q ``tags`` of these IDs.

    ``partial`` leaves the sum of the pseudo-header in the checksum's place, which is what a device expects
    that is to finish it; otherwise the checksum is right. ``ecn`` sets CWR in a TCP header. Raises
    ValueError, one line, when the headers do not fit, or when IP cannot say so great a length.
    """
    transport, version = (kind[:3], kind[3:]) if kind != "eth" else ("", "")
    link = 14 + 4 * len(tags)
    network = {"4": 20, "6": 40, "": 0}[version]
    least = link + network + {"tcp": 20 + len(_TIMESTAMPS), "udp": 8, "": 0}[transport]
    length = max(DEFAULT_LENGTH, least) if length is None else length
    if length < least:
        raise ValueError(f"the headers of {kind} alone have {least} bytes")
    limit = LONGEST if not version else link + 0xFFFF + (40 if version == "6" else 0)
    if length > min(limit, LONGEST):
        raise ValueError(f"a frame of {kind} has at most {min(limit, LONGEST)} bytes")
    payload = bytes((at ^ at >> 8) & 0xFF for at in range(length - least))
    if not version:
        return Headers(_link(tags, _EXPERIMENTAL) + payload, None)
    segment, offset = _segment(transport, payload, ecn)
    packet = _packet(version, segment, transport)
    before = link + network
    _store_sum(packet, segment, offset, partial)
    data = _link(tags, ethernet.ETH_TYPE_IP if version == "4" else ethernet.ETH_TYPE_IP6) + packet
    data = data[:before] + bytes(segment)
    return Headers(data, (before, offset))


def _link(tags: Sequence[int], kind: int) -> bytes:
    return (
        _DESTINATION
        + _SOURCE
        + b"".join(struct.pack(">HH", ethernet.ETH_TYPE_8021Q, tag) for tag in tags)
        + struct.pack(">H", kind)
    )


def _segment(transport: str, payload: bytes, ecn: bool) -> tuple[bytearray, int]:
    """TCP or UDP header and payload, the checksum 0; and where the checksum is in it."""
    if transport == "udp":
        return bytearray(bytes(udp.UDP(sport=49152, dport=9, ulen=8 + len(payload), data=payload))), 6
    flags = tcp.TH_ACK | tcp.TH_PUSH | (tcp.TH_CWR if ecn else 0)
    header = tcp.TCP(
        sport=49152, dport=80, seq=1_000_000, ack=2_000_000, flags=flags, win=64240, opts=_TIMESTAMPS
    )
    header.off = (20 + len(_TIMESTAMPS)) // 4
    header.data = payload
    return bytearray(bytes(header)), 16


def _packet(version: str, segment: Sized, transport: str) -> bytes:
    """The IP header alone, its own checksum right."""
    protocol = ip.IP_PROTO_TCP if transport == "tcp" else ip.IP_PROTO_UDP
    if version == "6":
        header: Any = ip6.IP6(
            plen=len(segment), nxt=protocol, hlim=64, src=_SOURCE_6, dst=_DESTINATION_6, data=b""
        )
        return bytes(header)
    header = ip.IP(
        len=20 + len(segment), id=0x1234, df=int(transport == "tcp"), ttl=64, p=protocol,
        src=_SOURCE_4, dst=_DESTINATION_4, data=b"",
    )  # fmt: skip
    packed = bytearray(header.pack_hdr())
    struct.pack_into(">H", packed, 10, dpkt.in_cksum(bytes(packed)))
    return bytes(packed)


def _store_sum(packet: bytes, segment: bytearray, offset: int, partial: bool) -> None:
    """Store the checksum, or with ``partial`` the sum over the pseudo-header."""
    six = packet[0] >> 4 == 6
    addresses, protocol = (packet[8:40], packet[6]) if six else (packet[12:20], packet[9])
    pseudo = addresses + struct.pack(">II", len(segment), protocol)
    total = dpkt.in_cksum_add(0, pseudo)
    if partial:
        # Folded, and not complemented: the device adds the rest and complements it all.
        value = ~dpkt.in_cksum_done(total) & 0xFFFF
    else:
        value = dpkt.in_cksum_done(dpkt.in_cksum_add(total, bytes(segment)))
        value = value or 0xFFFF if protocol == ip.IP_PROTO_UDP else value
    struct.pack_into(">H", segment, offset, value)
