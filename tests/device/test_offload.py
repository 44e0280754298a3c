"""What leaves a device is what scapy and dpkt, written by others, make of the same packet."""

import struct
from typing import Any

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    defragment6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from ringproof.impl.device.offload import (
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    NEEDS_CSUM,
    OffloadError,
    internet_checksum,
    wire_frames,
)

CHECKSUM_AT = {TCP: 16, UDP: 6}
FIN, PSH, CWR = 0x01, 0x08, 0x80
LINK = Ether(src="52:54:00:12:34:56", dst="52:54:00:65:43:21")
V4 = LINK / IP(src="192.0.2.1", dst="198.51.100.7", id=0xFFFE)
V6 = LINK / IPv6(src="2001:db8::1", dst="2001:db8:ffff::2")


def virtio(
    gso: int, size: int, start: int, offset: int, *, flags: int = NEEDS_CSUM, length: int = 0
) -> bytes:
    """A virtio header of 12 bytes; ``length`` is hdr_len."""
    return struct.pack("<BBHHHHH", flags, gso, length, size, start, offset, 0)


def start_of(packet: Any, kind: Any) -> int:
    """Where the header of that kind begins in a packet's bytes."""
    return len(packet) - len(packet[kind])


def asked(packet: Any, kind: Any, gso: int, size: int) -> bytes:
    """A virtio header that asks for GSO and the checksum of that packet."""
    return virtio(
        gso, size, start_of(packet, kind), CHECKSUM_AT[kind], length=min(start_of(packet, kind), 99)
    )


payloads = st.integers(0, 600).map(lambda length: bytes(i * i + length >> 3 & 0xFF for i in range(length)))
"""Data of any length alike, which st.binary does not make."""
unhurried = settings(deadline=None)
"""scapy takes its time, the more the first time."""


@st.composite
def packets(draw: st.DrawFn, kind: Any) -> Any:
    """Packets of TCP or UDP without data, over either IP, with tags and options."""
    packet = LINK
    for tag in draw(st.lists(st.integers(1, 4094), max_size=2)):
        packet = packet / Dot1Q(vlan=tag)
    if draw(st.booleans()):
        options = [IPOption_NOP()] * (4 * draw(st.integers(0, 2)))
        number, ttl = draw(st.integers(0, 0xFFFF)), draw(st.integers(1, 255))
        packet = packet / IP(src="192.0.2.1", dst="198.51.100.7", id=number, ttl=ttl, options=options)
    else:
        packet = packet / IPv6(src="2001:db8::1", dst="2001:db8:ffff::2", fl=draw(st.integers(0, 0xFFFFF)))
        for extension in (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt):
            if draw(st.booleans()):
                packet = packet / extension()
    ports = {"sport": draw(st.integers(0, 0xFFFF)), "dport": draw(st.integers(0, 0xFFFF))}
    if kind is UDP:
        return packet / UDP(**ports)
    options = draw(st.sampled_from([[], [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]]))
    sequence = draw(st.integers(0, 0xFFFF_FFFF))
    flags = draw(st.integers(0, 0xFF) | st.just(CWR | FIN | PSH))
    return packet / TCP(**ports, seq=sequence, flags=flags, options=options)


def finished(packet: Any) -> bytes:
    """A packet's bytes with every length and checksum computed by scapy."""
    packet = packet.copy()
    for layer, names in (
        (IP, ("len", "chksum")),
        (IPv6, ("plen",)),
        (TCP, ("chksum",)),
        (UDP, ("len", "chksum")),
    ):
        if layer in packet:
            for name in names:
                packet[layer].delfieldval(name)
    return bytes(packet)


def without_checksum(frame: bytes, at: int, pseudo: int = 0) -> bytes:
    """The frame as a driver leaves it: the pseudo header's sum, or anything, in place of the checksum."""
    return frame[:at] + pseudo.to_bytes(2, "big") + frame[at + 2 :]


@given(st.binary(max_size=70))
def test_checksum_is_dpkts(data: bytes) -> None:
    """The Internet checksum of any bytes is what dpkt computes; the order of bytes within a word aside."""
    assert internet_checksum(data) == dpkt.in_cksum(data)


@given(st.data(), st.sampled_from([TCP, UDP]), st.binary(max_size=200))
@unhurried
def test_completed_checksum_is_scapys(data: st.DataObject, kind: Any, payload: bytes) -> None:
    """NEEDS_CSUM makes of the pseudo header's sum what scapy computes for the whole packet."""
    packet = data.draw(packets(kind)) / payload
    expected = finished(packet)
    start = start_of(packet, kind)
    version, length = (IP, 4) if IP in packet else (IPv6, 16)
    ip = expected[start_of(packet, version) :]
    addresses = ip[12 : 12 + 2 * length] if length == 4 else ip[8 : 8 + 2 * length]
    number = {TCP: 6, UDP: 17}[kind]
    pseudo = 0xFFFF - internet_checksum(addresses + struct.pack("!II", len(expected) - start, number))
    frame = without_checksum(expected, start + CHECKSUM_AT[kind], pseudo)
    (sent,) = wire_frames(virtio(0, 0, start, CHECKSUM_AT[kind]), frame)
    assert sent == expected


@given(st.data(), payloads, st.integers(1, 7), st.booleans())
@unhurried
def test_tcp_segments_are_scapys(data: st.DataObject, payload: bytes, parts: int, ecn: bool) -> None:
    """Every segment is byte for byte the packet that scapy builds for its share of the data."""
    packet = data.draw(packets(TCP))
    gso_size = len(payload) // parts + 1
    kind = (GSO_TCPV4 if IP in packet else GSO_TCPV6) | (GSO_ECN if ecn else 0)
    frame = without_checksum(
        finished(packet / payload), start_of(packet, TCP) + 16, data.draw(st.integers(0, 9))
    )
    sent = wire_frames(asked(packet, TCP, kind, gso_size), frame)
    shares = [payload[i : i + gso_size] for i in range(0, len(payload), gso_size)] or [b""]
    expected = []
    for i, share in enumerate(shares):
        segment = packet.copy()
        flags = int(segment[TCP].flags)
        if i < len(shares) - 1:
            flags &= ~(FIN | PSH)
        if i and ecn:
            flags &= ~CWR
        segment[TCP].flags = flags
        segment[TCP].seq = (segment[TCP].seq + i * gso_size) % 2**32
        if IP in segment:
            segment[IP].id = (segment[IP].id + i) % 2**16
        expected.append(finished(segment / share))
    assert sent == expected


def test_dpkt_finds_segments_sound() -> None:
    """Segments parsed by dpkt, sums zeroed, and packed again by dpkt, are the same: all sums are right."""
    packet = V4 / TCP(flags="PAF", seq=2**32 - 5)
    frame = finished(packet / bytes(range(256)))
    sent = wire_frames(asked(packet, TCP, GSO_TCPV4, 100), frame)
    assert len(sent) == 3
    for each in sent:
        parsed = dpkt.ethernet.Ethernet(each)
        parsed.data.sum = parsed.data.data.sum = 0
        assert bytes(parsed) == each


@given(st.data(), payloads, st.integers(8, 300))
@unhurried
def test_udp_fragments_are_scapys(data: st.DataObject, payload: bytes, gso_size: int) -> None:
    """UFO over IPv4 is scapy's fragmentation to the byte; over IPv6 scapy puts it together again."""
    packet = data.draw(packets(UDP)) / payload
    expected = finished(packet)
    frame = without_checksum(expected, start_of(packet, UDP) + 6, 0x1234)
    sent = wire_frames(asked(packet, UDP, GSO_UDP, gso_size), frame)
    if IP in packet:
        whole = len(payload) + 8 <= gso_size
        assert sent == (
            [expected] if whole else [finished_ip(each) for each in fragment(Ether(expected), gso_size)]
        )
        return
    if len(sent) == 1:
        assert sent == [expected]
        return
    pieces = [Ether(each) for each in sent]
    assert len({each[IPv6ExtHdrFragment].id for each in pieces}) == 1
    assert [each[IPv6ExtHdrFragment].m for each in pieces] == [1] * (len(pieces) - 1) + [0]
    assert all(len(each[IPv6ExtHdrFragment].payload) <= gso_size for each in pieces)
    assert all(each[IPv6].plen == len(each[IPv6]) - 40 for each in pieces)
    link = expected[: start_of(packet, IPv6)]
    assert all(each.startswith(link) for each in sent)
    again = defragment6([each[IPv6] for each in pieces])
    assert link + bytes(again) == expected


def test_the_last_fragment_is_as_long_as_any() -> None:
    """All fragments but the last are of a multiple of 8 bytes, the last of gso_size at most."""
    packet = V4 / UDP() / bytes(2 * 168 - 8 + 1)
    for size, lengths in ((169, [168, 169]), (168, [168, 168, 1]), (336, [336, 1]), (337, [337])):
        sent = wire_frames(asked(packet, UDP, GSO_UDP, size), finished(packet))
        assert [len(each) - 34 for each in sent] == lengths


def test_what_every_fragment_repeats() -> None:
    """Over IPv6 each fragment repeats the headers for every hop, not the options for the destination."""
    packet = V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP() / bytes(100)
    for sent in wire_frames(asked(packet, UDP, GSO_UDP, 64), finished(packet)):
        assert [each.__name__ for each in Ether(sent).layers()[:4]] == [
            "Ether", "IPv6", "IPv6ExtHdrHopByHop", "IPv6ExtHdrFragment"
        ]  # fmt: skip
        assert Ether(sent)[IPv6ExtHdrFragment].nh == 60
    routed = (
        V6
        / IPv6ExtHdrDestOpt()
        / IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=0)
        / UDP()
        / bytes(100)
    )
    first, second = wire_frames(asked(routed, UDP, GSO_UDP, 64), finished(routed))
    assert Ether(second).layers()[3].__name__ == "IPv6ExtHdrRouting"
    assert Ether(first)[IPv6ExtHdrFragment].nh == 17


def finished_ip(packet: Any) -> bytes:
    """A fragment's bytes with the IP header's length and checksum computed by scapy."""
    packet = packet.copy()
    packet[IP].delfieldval("len")
    packet[IP].delfieldval("chksum")
    return bytes(packet)


def test_nothing_asked_nothing_changed() -> None:
    """Without NEEDS_CSUM and GSO any bytes leave as they are; leftovers in the other fields do not matter."""
    assert wire_frames(struct.pack("<BBHHHH", 0, 0, 9, 9, 9000, 9), b"any bytes") == [b"any bytes"]
    assert wire_frames(struct.pack("<BBHHHH", 6, 0, 9, 9, 9000, 9), b"") == [b""]


def test_sum_of_zero_for_udp() -> None:
    """A UDP checksum that comes out as 0 is sent as 0xFFFF, for 0 says there is none; so scapy, too."""
    packet = V4 / UDP(sport=0, dport=0)
    start = start_of(packet, UDP)
    rest = 0xFFFF - internet_checksum(
        finished(packet / b"\0\0")[start - 8 : start] + struct.pack("!II", 10, 17)
    )
    rest = 0xFFFF - internet_checksum(struct.pack("!HH", rest, 10))
    expected = finished(packet / (0xFFFF - rest).to_bytes(2, "big"))
    assert expected[start + 6 : start + 8] == b"\xff\xff"
    size = len(expected)
    assert wire_frames(virtio(GSO_UDP, size, start, 6), expected) == [expected]
    pseudo = 0xFFFF - internet_checksum(expected[start - 8 : start] + struct.pack("!II", 10, 17))
    assert wire_frames(virtio(0, 0, start, 6), without_checksum(expected, start + 6, pseudo)) == [expected]


TCP4, TCP6, UDP4 = (bytes(each / (b"x" * 40)) for each in (V4 / TCP(), V6 / TCP(), V4 / UDP()))


@pytest.mark.parametrize(
    ("header", "frame", "words"),
    [
        (b"\0" * 9, TCP4, "virtio header of 9 bytes"),
        (virtio(0, 0, len(TCP4) - 1, 0), TCP4, "beyond the frame's 94 bytes"),
        (virtio(GSO_ECN, 0, 34, 16), TCP4, "without a kind"),
        (virtio(2, 9, 34, 16), TCP4, "gso_type 0x2 is none"),
        (virtio(GSO_UDP | GSO_ECN, 9, 34, 6), UDP4, "ECN bit with UDP"),
        (virtio(GSO_TCPV4, 9, 34, 16, flags=0), TCP4, "without NEEDS_CSUM"),
        (virtio(GSO_TCPV4, 0, 34, 16), TCP4, "gso_size of 0"),
        (virtio(GSO_TCPV4, 9, 34, 16, length=95), TCP4, "hdr_len 95 is beyond"),
        (virtio(GSO_TCPV4, 9, 34, 16), UDP4, "IP protocol is 17, not 6"),
        (virtio(GSO_UDP, 9, 34, 6), TCP4, "IP protocol is 6, not 17"),
        (virtio(GSO_TCPV6, 9, 34, 16), TCP4, "the frame is IPv4"),
        (virtio(GSO_TCPV4, 9, 54, 16), TCP6, "the frame is IPv6"),
        (virtio(GSO_TCPV4, 9, 44, 16), TCP4, "is at 34 + 16"),
        (virtio(GSO_TCPV4, 9, 34, 6), TCP4, "is at 34 + 16"),
        (virtio(GSO_TCPV4, 9, 34, 16), TCP4[:53], "the TCP header goes to byte 54 of a frame of 53"),
        (virtio(GSO_TCPV4, 9, 34, 16), TCP4[:46] + b"\x40" + TCP4[47:], "length is 16 bytes"),
        (virtio(GSO_TCPV4, 9, 34, 16), TCP4[:46] + b"\xf0" + TCP4[47:80], "the TCP header goes to byte 94"),
        (virtio(GSO_TCPV4, 9, 34, 16), TCP4[:14] + b"\x44" + TCP4[15:], "IPv4 header begins with 0x44"),
        (virtio(GSO_TCPV4, 9, 34, 16), TCP4[:30], "the IPv4 header goes to byte 34"),
        (virtio(GSO_TCPV4, 9, 34, 16), TCP4[:13], "the Ethernet header goes to byte 14 of a frame of 13"),
        (virtio(GSO_TCPV6, 9, 54, 16), TCP6[:14] + b"\x45" + TCP6[15:], "IPv6 header begins with 0x45"),
        (virtio(GSO_TCPV4, 9, 34, 16), bytes(LINK / ARP()), "ethertype 0x0806 is not IP"),
        (virtio(GSO_TCPV4, 9, 34, 16), bytes(V4 / ICMP() / b"x"), "IP protocol is 1"),
        (virtio(GSO_UDP, 7, 34, 6), UDP4, "gso_size of 7 is too small"),
        (virtio(GSO_UDP, 9, 34, 6), UDP4[:41], "the UDP header goes to byte 42"),
    ],
)  # fmt: skip
def test_refusal_in_words(header: bytes, frame: bytes, words: str) -> None:
    """A header that does not fit its frame is refused with one line that says why."""
    with pytest.raises(OffloadError) as caught:
        wire_frames(header, frame)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fragments_are_not_segmented_again() -> None:
    """A fragment, or a packet that is not at its last hop's address yet, is refused."""
    v4 = LINK / IP(src="192.0.2.1", dst="198.51.100.7", frag=3) / TCP() / b"data"
    with pytest.raises(OffloadError, match="IPv4 fragment already"):
        wire_frames(virtio(GSO_TCPV4, 9, 34, 16), bytes(v4))
    v6 = V6 / IPv6ExtHdrFragment() / TCP() / b"data"
    with pytest.raises(OffloadError, match="IPv6 fragment already"):
        wire_frames(virtio(GSO_TCPV6, 9, 62, 16), bytes(v6))
    routed = V6 / IPv6ExtHdrRouting(addresses=["2001:db8::9"]) / TCP() / b"data"
    with pytest.raises(OffloadError, match="routing header with hops left"):
        wire_frames(virtio(GSO_TCPV6, 9, 78, 16), bytes(routed))


def outcome(header: bytes, frame: bytes) -> list[bytes] | str:
    """The frames sent, or why not."""
    try:
        return wire_frames(header, frame)
    except OffloadError as error:
        return str(error)


@given(st.binary(min_size=10, max_size=12), st.binary(max_size=120))
def test_any_bytes_are_frames_or_one_line(header: bytes, frame: bytes) -> None:
    """Whatever a driver writes, the device sends frames or says in one line why not."""
    sent = outcome(header, frame)
    assert sent
    assert "\n" not in sent


@given(st.data(), st.integers(0, 0xFF), st.sampled_from([1, 3, 4, 0x81, 0x84]))
@unhurried
def test_broken_packets_are_frames_or_one_line(data: st.DataObject, byte: int, gso: int) -> None:
    """A packet with any one byte changed, cut anywhere, is sent or refused in one line."""
    packet = data.draw(packets(data.draw(st.sampled_from([TCP, UDP])))) / b"twenty bytes of data"
    kind = UDP if gso == GSO_UDP else TCP
    start = start_of(packet, TCP if TCP in packet else UDP)
    frame = bytearray(bytes(packet))
    frame[data.draw(st.integers(0, len(frame) - 1))] = byte
    frame = frame[: data.draw(st.integers(len(frame) // 2, len(frame)))]
    sent = outcome(virtio(gso, 9, start, CHECKSUM_AT[kind]), bytes(frame))
    assert "\n" not in sent
    assert isinstance(sent, str) or all(len(each) > 14 for each in sent)
