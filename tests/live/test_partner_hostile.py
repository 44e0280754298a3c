"""The partner among hostile frames: it answers or is silent, within bounds, and goes on serving."""

import pickle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.tftp import TFTP, TFTP_ACK, TFTP_RRQ, TFTP_Option, TFTP_Options
from scapy.packet import Raw
from scapy.utils import mac2str

from ringproof.live.partner import Partner
from tests.live.partner_guest import ADDRESS, MAC, PARTNER_ADDRESS, PARTNER_MAC, Guest, checked

_ETHER = Ether(src=MAC, dst=PARTNER_MAC)
_IP = _ETHER / IP(src=ADDRESS, dst=PARTNER_ADDRESS)
_WISHES = {"blksize": "9", "tsize": "0"}
_OPTIONS = TFTP_Options(options=[TFTP_Option(oname=name, value=value) for name, value in _WISHES.items()])
_DHCP = [("message-type", 1), ("vendor_class_id", b"PXEClient"), ("requested_addr", "10.0.0.8"), "end"]
_VALID: list[bytes] = [
    bytes(frame)
    for frame in (
        _ETHER / ARP(hwsrc=MAC, psrc=ADDRESS, pdst=PARTNER_ADDRESS),
        _IP / ICMP(id=1) / Raw(b"ping"),
        _IP / UDP(sport=1_000, dport=7) / Raw(b"echo"),
        _IP / UDP(sport=1_000, dport=69) / TFTP() / TFTP_RRQ(filename="boot", mode="octet") / _OPTIONS,
        _IP / UDP(sport=1_000, dport=30_000) / TFTP() / TFTP_ACK(block=1),
        _IP / UDP(sport=68, dport=67) / BOOTP(op=1, chaddr=mac2str(MAC)) / DHCP(options=_DHCP),
        _IP / TCP(sport=1_000, dport=19, flags="S", seq=1, options=[("MSS", 1_460), ("WScale", 3)]),
        _IP / TCP(sport=1_000, dport=19, flags="A", seq=2, ack=0xFFFF_8001),
        _IP / TCP(sport=1_000, dport=7, flags="S", seq=1),
        _IP / TCP(sport=1_000, dport=7, flags="PA", seq=2, ack=0xFFFF_8001) / Raw(b"x" * 40),
        _IP / TCP(sport=1_000, dport=19, flags="FA", seq=2, ack=0xFFFF_8001),
        _ETHER / IPv6(src="fe80::9", dst="fe80::5054:ff:fe12:3401") / ICMPv6EchoRequest(data=b"six"),
        _ETHER / IPv6(src="fe80::9", dst="ff02::1") / ICMPv6ND_NS(tgt="fe80::5054:ff:fe12:3401"),
    )
]


@st.composite
def _frames(draw: st.DrawFn) -> bytes:
    """A valid frame, some of its bytes changed, cut or made longer; IPv4's own sum mostly made right."""
    frame = bytearray(draw(st.sampled_from(_VALID)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(12, len(frame) - 1))
        frame[at] = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFE, 0xFF)) | st.integers(0, 255))
    if draw(st.booleans()):
        del frame[draw(st.integers(14, len(frame))) :]
    frame += draw(st.binary(max_size=40))
    if draw(st.booleans()) and len(frame) >= 34 and frame[12:14] == b"\x08\x00":
        packet = IP(bytes(frame[14:34]))
        packet.len, packet.ihl = len(frame) - 14, 5
        del packet.chksum
        frame[14:34] = bytes(packet)[:20]
    return bytes(frame)


def _serves(partner: Partner, now: float) -> None:
    """It still answers a ping and takes a connection."""
    guest = Guest(partner, now=now)
    assert guest.only(ICMP(id=9) / Raw(b"there?"))[ICMP].type == 0
    assert guest.only(TCP(sport=9_999, dport=80, flags="S"))[TCP].flags == "SA"


def _asked(partner: Partner, frames: list[Any], offloaded: bool) -> None:
    """Each frame gets few answers, no answer is larger than what may be sent, and time goes on."""
    now = 1.0
    for frame in frames:
        answers = partner.receive(frame, now, offloaded)
        assert len(answers) <= 16
        assert all(len(answer) <= max(1_514, len(frame), 342 + len(frame)) for answer in answers)
        for answer in answers:
            checked(answer)
        now += 0.4
        assert len(partner.tick(now)) <= 200
    assert partner.counts.frames == len(frames)
    _serves(partner, now)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=8), st.booleans())
def test_any_bytes(frames: list[bytes], offloaded: bool) -> None:
    """Arbitrary bytes bring about neither exceptions nor floods."""
    _asked(Partner(), frames, offloaded)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((0x0800, 0x86DD, 0x0806)), st.binary(max_size=120)), max_size=8),
    st.booleans(),
)
def test_any_bytes_of_its_protocols(frames: list[tuple[int, bytes]], offloaded: bool) -> None:
    """Neither do arbitrary bytes that say they are IPv4, IPv6 or ARP, to it."""
    start = mac2str(PARTNER_MAC) + mac2str(MAC)
    _asked(Partner(), [start + kind.to_bytes(2, "big") + rest for kind, rest in frames], offloaded)


@settings(max_examples=120, deadline=None)
@given(st.lists(_frames(), min_size=1, max_size=8), st.booleans())
def test_almost_valid_frames(frames: list[bytes], offloaded: bool) -> None:
    """Neither do valid frames with some bytes changed, in any order."""
    _asked(Partner(), frames, offloaded)


def test_frames_of_every_length() -> None:
    """The largest frames there are, and larger ones, are answered or refused: 64 KiB of each protocol."""
    partner = Partner()
    for frame in _VALID:
        for size in (1_514, 65_549, 65_550, 65_597, 65_598, 200_000):
            large = bytearray(frame.ljust(size, b"\0"))
            if large[12:14] == b"\x08\x00":
                large[16:18] = bytes(2)  # to the end of the frame
                packet = IP(bytes(large[14:34]))
                del packet.chksum
                large[14:34] = bytes(packet)[:20]
            assert len(partner.receive(bytes(large), 1.0)) <= 16
    _serves(partner, 1.0)


def test_what_it_keeps_is_bounded() -> None:
    """After hundreds of connections, transfers and clients it holds no more than a few megabytes."""
    partner = Partner()
    guest = Guest(partner, offloaded=True)
    syn, data, request, lease = (
        bytearray(bytes(frame))
        for frame in (
            _IP / TCP(sport=1, dport=7, flags="S", seq=1),
            _IP / TCP(sport=1, dport=7, flags="PA", seq=2) / Raw(bytes(60_000)),
            _IP / UDP(sport=1, dport=69) / TFTP() / TFTP_RRQ(filename="boot", mode="octet"),
            Ether(_VALID[5]),
        )
    )
    for number in range(500):
        port = (1_024 + number).to_bytes(2, "big")
        syn[34:36] = data[34:36] = request[34:36] = port
        lease[74:76] = port  # of the client's hardware address
        (answer,) = partner.receive(bytes(syn), guest.now)
        if number % 10 == 0:
            data[42:46] = (int.from_bytes(answer[38:42], "big") + 1 & 0xFFFF_FFFF).to_bytes(4, "big")
            partner.receive(bytes(data), guest.now)
        partner.receive(bytes(request), guest.now)
        partner.receive(bytes(lease), guest.now)
    assert partner.counts.dhcp_offers == 500
    assert partner.counts.tftp_requests == 500
    assert partner.counts.tcp_taken == 50 * 60_000
    assert len(pickle.dumps(partner)) < 8 << 20
    assert len(partner.tick(guest.now + 1.0)) <= 1 + 32 + 64
