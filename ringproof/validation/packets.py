"""Packets as they go over a wire: Ethernet, IPv4 or IPv6, TCP or UDP; built, and taken apart again."""

import struct
from dataclasses import dataclass

_ETHERNET = bytes.fromhex("525400123456 525400abcdef")
_IPV4, _IPV6, _VLAN = 0x0800, 0x86DD, 0x8100
TCP, UDP = 6, 17
CWR = 0x80
CHECKSUM_AT = {TCP: 16, UDP: 6}
"""Where the checksum lies in a header of transport, in bytes from its first."""


@dataclass(frozen=True, slots=True)
class Layers:
    """Where the headers of a packet are, in bytes from its first: network, transport, and the payload.

    ``protocol`` is TCP or UDP; ``addresses`` are both of the network's; ``cwr`` says that TCP's CWR is set.
    """

    network: int
    transport: int
    payload: int
    protocol: int
    addresses: bytes
    cwr: bool


def checksum(data: bytes, start: int = 0) -> int:
    """Return the sum of 16-bit big-endian words in ones' complement, ``start`` added; not complemented."""
    if len(data) % 2:
        data += b"\0"
    total: int = start + sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def layers(data: bytes) -> Layers | None:
    """Find the headers of a packet; None when it is not TCP or UDP over IP, or cut short, or a fragment."""
    try:
        at, kind = 14, int.from_bytes(data[12:14], "big")
        while kind == _VLAN:
            kind, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        if kind == _IPV4 and data[at] >> 4 == 4:
            if int.from_bytes(data[at + 6 : at + 8], "big") & 0x3FFF:
                return None
            transport, protocol = at + 4 * (data[at] & 15), data[at + 9]
            addresses = data[at + 12 : at + 20]
        elif kind == _IPV6 and data[at] >> 4 == 6:
            transport, protocol = at + 40, data[at + 6]
            addresses = data[at + 8 : at + 40]
        else:
            return None
        if protocol == TCP:
            payload, cwr = transport + 4 * (data[transport + 12] >> 4), bool(data[transport + 13] & CWR)
        elif protocol == UDP:
            payload, cwr = transport + 8, False
        else:
            return None
    except IndexError:
        return None
    return Layers(at, transport, payload, protocol, addresses, cwr) if payload <= len(data) else None


def pseudo_sum(data: bytes, found: Layers) -> int:
    """Return the sum of the pseudo header, with the length of transport header and payload as they are."""
    return checksum(found.addresses, found.protocol + len(data) - found.transport)


def stored_sum(data: bytes, found: Layers) -> int:
    """Return what the transport's checksum field holds."""
    at = found.transport + CHECKSUM_AT[found.protocol]
    return int.from_bytes(data[at : at + 2], "big")


def whole(data: bytes, found: Layers) -> bool:
    """Whether the transport's checksum is right as the packet stands."""
    return checksum(data[found.transport :], pseudo_sum(data, found)) == 0xFFFF


def packet(
    payload: bytes,
    *,
    protocol: int = TCP,
    ipv6: bool = False,
    cwr: bool = False,
    options: int = 0,
    complete: bool = True,
) -> tuple[bytes, int, int]:
    """Build a packet and return its bytes, where its transport header starts, and where its checksum lies.

    ``options`` are 32-bit words of TCP options, 0 to 10. Unless ``complete`` the checksum's field holds the
    sum of the pseudo header, as a stack leaves it for the device to go on with.
    """
    if protocol == TCP:
        flags = (5 + options) << 12 | 0x18 | (CWR if cwr else 0)
        transport = struct.pack(">HHIIHHHH", 40000, 80, 1, 1, flags, 65535, 0, 0) + b"\x01" * (4 * options)
    else:
        transport = struct.pack(">HHHH", 40000, 53, (8 + len(payload)) & 0xFFFF, 0)
    length = len(transport) + len(payload)
    if ipv6:
        hosts = bytes.fromhex("fd000000000000000000000000000001 fd000000000000000000000000000002")
        network = struct.pack(">IHBB", 0x60000000, length & 0xFFFF, protocol, 64) + hosts
        kind = _IPV6
    else:
        hosts = bytes([10, 0, 0, 1, 10, 0, 0, 2])
        total = (20 + length) & 0xFFFF
        network = struct.pack(">BBHHHBBH", 0x45, 0, total, 7, 0x4000, 64, protocol, 0) + hosts
        own = struct.pack(">H", 0xFFFF - checksum(network))
        network = network[:10] + own + network[12:]
        kind = _IPV4
    headers = _ETHERNET + struct.pack(">H", kind) + network
    start, offset = len(headers), CHECKSUM_AT[protocol]
    total_sum = checksum(hosts, protocol + length)
    if complete:
        total_sum = 0xFFFF - checksum(transport + payload, total_sum)
        if protocol == UDP and not total_sum:
            total_sum = 0xFFFF
    field = struct.pack(">H", total_sum)
    transport = transport[:offset] + field + transport[offset + 2 :]
    return headers + transport + payload, start, offset
