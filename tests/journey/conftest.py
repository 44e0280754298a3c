"""Pcap files made on the spot, by scapy: another library than the one that reads them."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, wrpcap


def link(**fields: int) -> Ether:
    """An Ethernet header with addresses: without them scapy would ask the network for some."""
    return Ether(src="52:54:00:12:34:56", dst="52:54:00:12:34:99", **fields)


def varied_packets(count: int, seed: int = 1) -> list[Ether]:
    """Frames of many kinds and lengths, the shortest and the longest of an MTU of 1500 among them."""
    chance = random.Random(seed)
    kinds: list[Callable[[], Ether]] = [
        lambda: link() / ARP(psrc="192.0.2.1", pdst="192.0.2.2"),
        lambda: link() / IP(src="192.0.2.1", dst="192.0.2.2") / TCP(dport=80, seq=chance.getrandbits(32)),
        lambda: link() / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(dport=53),
        lambda: link() / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(dport=53),
        lambda: link() / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(dport=443, flags="PA"),
        lambda: link() / Dot1Q(vlan=7) / IP(src="192.0.2.1", dst="192.0.2.2") / ICMP(),
    ]
    packets = [link(type=0x88B5), link(type=0x88B5) / Raw(bytes(1500))]
    while len(packets) < count:
        packet = chance.choice(kinds)()
        room = 1514 - len(packet)
        packet = packet / Raw(chance.randbytes(chance.choice([0, 1, 46, chance.randrange(room), room])))
        packet.time = 1_700_000_000 + len(packets) * 0.001234
        packets.append(packet)
    return packets


@pytest.fixture
def varied_pcap(tmp_path: Path) -> Path:
    """A pcap file of forty varied frames."""
    path = tmp_path / "varied.pcap"
    wrpcap(str(path), varied_packets(40))
    return path
