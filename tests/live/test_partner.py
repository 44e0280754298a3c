"""The traffic partner: ARP, echo, neighbour discovery, and whom it doesn't answer."""

from dataclasses import astuple
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from ringproof.live.partner import Partner, PartnerCounts
from tests.live.partner_guest import ADDRESS, BROADCAST, MAC, PARTNER_ADDRESS, PARTNER_MAC, Guest

_LINK_LOCAL = "fe80::5054:ff:fe12:3401"
_SOLICITED = ("33:33:ff:12:34:01", "ff02::1:ff12:3401")


def _who_has(target: str, asker: str = ADDRESS, to: str = BROADCAST) -> Any:
    return Ether(src=MAC, dst=to) / ARP(hwsrc=MAC, psrc=asker, pdst=target)


@pytest.mark.parametrize("asker", ["10.0.0.9", "192.168.7.3", "0.0.0.0"])
def test_arp_names_its_own_address_to_anyone(asker: str) -> None:
    """Whatever address the guest has, even none yet, it learns the partner's MAC."""
    guest = Guest()
    (answer,) = guest.ask(_who_has(PARTNER_ADDRESS, asker))
    assert answer.dst == MAC
    arp = answer[ARP]
    assert (arp.op, arp.hwsrc, arp.psrc) == (2, PARTNER_MAC, PARTNER_ADDRESS)
    assert (arp.hwdst, arp.pdst) == (MAC, asker)
    assert guest.partner.counts.arp_replies == 1


def test_arp_is_silent_about_others() -> None:
    """A request for another address, and an announcement, get nothing."""
    guest = Guest()
    assert guest.ask(_who_has("10.0.0.77")) == []
    assert guest.ask(_who_has(ADDRESS)) == []
    assert guest.partner.counts.unserved == 2


def test_it_says_nothing_unasked_to_nobody() -> None:
    """Until somebody has spoken, no time makes the partner send; frames to others are no such words."""
    guest = Guest()
    assert guest.wait(1000.0) == []
    guest.ask(Ether(src=MAC, dst="02:00:00:00:00:00") / IP(src=ADDRESS, dst="10.0.0.7") / UDP())
    assert guest.wait(1000.0) == []
    assert guest.partner.counts == PartnerCounts(frames=1, foreign=1)


def test_it_asks_now_and_then_who_is_there() -> None:
    """Once the guest has spoken, its address is asked for every five seconds, and its reply is counted."""
    guest = Guest()
    guest.ask(_who_has(PARTNER_ADDRESS))
    probes = list(guest.waits(16.0))
    assert len(probes) == 3
    for probe in probes:
        assert probe.dst == BROADCAST
        assert (probe[ARP].op, probe[ARP].pdst, probe[ARP].psrc) == (1, ADDRESS, PARTNER_ADDRESS)
    reply = ARP(op=2, hwsrc=MAC, psrc=ADDRESS, hwdst=PARTNER_MAC, pdst=PARTNER_ADDRESS)
    assert guest.ask(Ether(src=MAC, dst=PARTNER_MAC) / reply) == []
    counts = guest.partner.counts
    assert (counts.arp_probes, counts.arp_answers) == (3, 1)


@pytest.mark.parametrize("size", [0, 1, 56, 1472, 8972, 65_507])
def test_ping_gets_back_what_it_sent(size: int) -> None:
    """An echo of any size that one packet holds comes back the same."""
    data = bytes(place * 7 & 0xFF for place in range(size))
    answer = Guest().only(ICMP(id=0x1234, seq=7) / Raw(data))
    assert (answer.dst, answer[IP].dst) == (MAC, ADDRESS)
    assert (answer[ICMP].type, answer[ICMP].id, answer[ICMP].seq) == (0, 0x1234, 7)
    assert bytes(answer[ICMP].payload)[:size] == data
    assert answer[IP].len == 28 + size


def test_fragments_are_left_alone() -> None:
    """Neither the first nor a later fragment is answered, nor taken for broken."""
    guest = Guest()
    whole = ICMP(id=1) / Raw(b"x" * 800)
    for packet in (IP(flags="MF"), IP(flags="MF", frag=100), IP(frag=200)):
        packet.src, packet.dst = ADDRESS, PARTNER_ADDRESS
        assert guest.ask(Ether(src=MAC, dst=PARTNER_MAC) / packet / whole) == []
    assert guest.partner.counts == PartnerCounts(frames=3, unserved=3)


def test_wrong_sums_are_not_answered() -> None:
    """IPv4's and ICMP's own checksums must be right in any case: nothing offloads them."""
    for offloaded in (False, True):
        guest = Guest(offloaded=offloaded)
        assert guest.send(ICMP(id=1, chksum=0x1234) / b"x") == []
        bad = guest.packet(ICMP(id=1))
        bad[IP].chksum = 0x1234
        assert guest.ask(bad) == []
        assert guest.partner.counts.bad_sums == 2


@pytest.mark.parametrize("size", [0, 1, 2, 1472])
def test_udp_echo(size: int) -> None:
    """Port 7 sends a datagram back to the port it came from."""
    answer = Guest().only(UDP(sport=5000, dport=7) / Raw(b"\xa5" * size))
    assert (answer[UDP].sport, answer[UDP].dport, answer[UDP].len) == (7, 5000, 8 + size)
    assert bytes(answer[UDP].payload)[:size] == b"\xa5" * size


def test_udp_echo_of_what_is_no_packet() -> None:
    """Nothing echoes an echo, and a datagram that was to be cut into fragments isn't sent whole."""
    guest = Guest(offloaded=True)
    assert guest.send(UDP(sport=7, dport=7) / b"x") == []
    assert guest.send(UDP(sport=5000, dport=7) / Raw(bytes(1473))) == []
    assert guest.send(UDP(sport=5000, dport=9) / b"x") == []
    assert guest.partner.counts.unserved == 3


def test_an_incomplete_sum_counts_only_where_none_is_allowed() -> None:
    """An incomplete sum of UDP is taken if offloaded, and refused if not; 0 means there is none."""
    partial = UDP(sport=5000, dport=7, chksum=0x1111) / b"abc"
    assert len(Guest(offloaded=True).send(partial)) == 1
    strict = Guest(offloaded=False)
    assert strict.send(partial) == []
    assert strict.partner.counts.bad_sums == 1
    assert len(strict.send(UDP(sport=5000, dport=7, chksum=0) / b"abc")) == 1


def test_only_what_is_for_it_is_answered() -> None:
    """Other MACs, other addresses, tags, its own address as sender and groups as senders get nothing."""
    guest = Guest()
    ping = ICMP(id=1) / b"x"
    to_it = IP(src=ADDRESS, dst=PARTNER_ADDRESS)
    unanswered = [
        Ether(src=MAC, dst="52:54:00:12:34:02") / to_it / ping,
        Ether(src=MAC, dst=PARTNER_MAC) / IP(src=ADDRESS, dst="8.8.8.8") / ping,
        Ether(src=MAC, dst=PARTNER_MAC) / Dot1Q(vlan=3) / to_it / ping,
        Ether(src=MAC, dst=PARTNER_MAC) / IP(src=PARTNER_ADDRESS, dst=PARTNER_ADDRESS) / ping,
        Ether(src=MAC, dst=PARTNER_MAC) / IP(src="224.0.0.1", dst=PARTNER_ADDRESS) / ping,
        Ether(src=BROADCAST, dst=PARTNER_MAC) / to_it / ping,
        Ether(src=PARTNER_MAC, dst=PARTNER_MAC) / to_it / ping,
        Ether(src=MAC, dst=BROADCAST) / IP(src=ADDRESS, dst="255.255.255.255") / ping,
    ]
    for frame in unanswered:
        assert guest.ask(frame) == [], frame.summary()
    assert guest.partner.counts.sent == 0


def test_cut_off_packets_are_malformed() -> None:
    """Every proper beginning of a valid ping is answered by nothing, and none but whole headers are taken."""
    guest = Guest()
    whole = bytes(guest.packet(ICMP(id=1) / b"some data"))
    for length in range(len(whole)):
        assert guest.partner.receive(whole[:length], guest.now) == []
    assert guest.partner.counts.malformed == len(whole)
    assert len(guest.ask(whole)) == 1


@pytest.mark.parametrize("unnamed", [False, True])
def test_neighbour_solicitation(unnamed: bool) -> None:
    """Its link-local address is advertised to who asks, or to all if the asker has no address yet."""
    guest = Guest()
    source = "::" if unnamed else "fe80::9"
    mac, group = _SOLICITED
    ask = Ether(src=MAC, dst=mac) / IPv6(src=source, dst=group, hlim=255) / ICMPv6ND_NS(tgt=_LINK_LOCAL)
    (answer,) = guest.ask(ask)
    assert answer[IPv6].dst == ("ff02::1" if unnamed else "fe80::9")
    assert answer.dst == ("33:33:00:00:00:01" if unnamed else MAC)
    advert = answer[ICMPv6ND_NA]
    assert (advert.R, advert.S, advert.O, advert.tgt) == (0, not unnamed, 1, _LINK_LOCAL)
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == PARTNER_MAC
    other = Ether(src=MAC, dst=mac) / IPv6(src=source, dst=group, hlim=255) / ICMPv6ND_NS(tgt="fe80::7")
    assert guest.ask(other) == []


def test_echo_over_ipv6() -> None:
    """An echo to the link-local address comes back; a wrong checksum is refused unless offloaded."""
    guest = Guest()
    ask = Ether(src=MAC, dst=PARTNER_MAC) / IPv6(src="fe80::9", dst=_LINK_LOCAL)
    (answer,) = guest.ask(ask / ICMPv6EchoRequest(id=3, seq=4, data=b"six" * 400))
    reply = answer[ICMPv6EchoReply]
    assert (reply.id, reply.seq, reply.data) == (3, 4, b"six" * 400)
    wrong = ask / ICMPv6EchoRequest(id=3, cksum=1)
    assert guest.ask(wrong) == []
    guest.offloaded = True
    assert len(guest.ask(wrong)) == 1


def test_another_address() -> None:
    """MAC and address are the caller's; each frame is counted once, each answer, too."""
    partner = Partner("02:00:00:00:00:05", "192.168.3.1", probe_seconds=1.0)
    ask = Ether(src=MAC, dst=BROADCAST) / ARP(hwsrc=MAC, psrc="192.168.3.2", pdst="192.168.3.1")
    (answer,) = partner.receive(bytes(ask), 0.0)
    assert Ether(answer)[ARP].hwsrc == "02:00:00:00:00:05"
    (probe,) = partner.tick(1.0)
    assert Ether(probe)[ARP].pdst == "192.168.3.2"
    assert (partner.counts.frames, partner.counts.sent) == (1, 2)
    assert sum(astuple(partner.counts)) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"mac": "52:54:00"},
        {"mac": "53:54:00:12:34:01"},
        {"mac": "x"},
        {"ip": "10.0.0"},
        {"mtu": 500},
        {"mtu": 65_536},
        {"largest_block": 7},
        {"largest_window": 0},
        {"boot_bytes": -1},
    ],
)
def test_what_no_partner_can_have(wrong: dict[str, Any]) -> None:
    """Addresses that are none and numbers out of range are a ValueError at once."""
    with pytest.raises(ValueError, match=r"."):
        Partner(**wrong)
