"""Frames for a driver that sends back what it receives: whole datagrams, with checksums as they must be."""

from functools import cache
from ipaddress import IPv4Address, IPv6Address

import dpkt

from .round import DRIVER_MAC, PARTNER_MAC, octets

_PORTS = (1024, 9)
_LENGTHS = (0, 18, 400, 1400)  # bytes of payload; all fit an MTU of 1500
_IPV4 = (IPv4Address("10.0.0.1").packed, IPv4Address("10.0.0.2").packed)
_IPV6 = (IPv6Address("fe80::1").packed, IPv6Address("fe80::2").packed)


def _datagram(protocol: int, length: int) -> dpkt.Packet:
    data = bytes(number & 0xFF for number in range(length))
    source, destination = _PORTS
    if protocol == dpkt.ip.IP_PROTO_UDP:
        return dpkt.udp.UDP(sport=source, dport=destination, ulen=8 + length, data=data)
    return dpkt.tcp.TCP(sport=source, dport=destination, seq=1, ack=1, flags=dpkt.tcp.TH_ACK, data=data)


def _frame(version: int, protocol: int, length: int) -> bytes:
    inner = _datagram(protocol, length)
    if version == 4:
        source, destination = _IPV4
        packet = dpkt.ip.IP(src=source, dst=destination, p=protocol, ttl=64, data=inner)
        packet.len = len(packet)
        kind = dpkt.ethernet.ETH_TYPE_IP
    else:
        source, destination = _IPV6
        packet = dpkt.ip6.IP6(src=source, dst=destination, nxt=protocol, hlim=64, plen=len(inner), data=inner)
        packet.extension_hdrs = {}
        kind = dpkt.ethernet.ETH_TYPE_IP6
    ether = dpkt.ethernet.Ethernet(dst=octets(DRIVER_MAC), src=octets(PARTNER_MAC), type=kind, data=packet)
    return bytes(ether).ljust(60, b"\0")


@cache
def food() -> tuple[bytes, ...]:
    """Ethernet frames from the partner to the driver: UDP and TCP over IPv4 and IPv6, from short to long."""
    protocols = (dpkt.ip.IP_PROTO_UDP, dpkt.ip.IP_PROTO_TCP)
    return tuple(
        _frame(version, protocol, length)
        for length in _LENGTHS
        for version in (4, 6)
        for protocol in protocols
    )
