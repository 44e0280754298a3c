"""Headers written by hand: the right one passes, and each clause fails by the header that breaks it."""

import struct
from dataclasses import replace

import pytest

from ringproof.impl.harness.frames import Frame, Gso, Packet
from ringproof.impl.harness.net_operations import (
    F_CSUM,
    F_HOST_ECN,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_UFO,
    F_MRG_RXBUF,
    F_VERSION_1,
)
from ringproof.validation.clauses import Docket
from ringproof.validation.headers import Headers, header_size
from ringproof.validation.packets import UDP, layers, packet, pseudo_sum, stored_sum, whole

ALL = F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_UFO | F_HOST_ECN | F_VERSION_1


def tcp(payload: int = 3000, *, ipv6: bool = False, ecn: bool = False) -> Frame:
    """A TCP packet that is to be segmented."""
    data, start, offset = packet(bytes(payload), ipv6=ipv6, cwr=ecn, complete=False)
    kind = Gso.TCPV6 if ipv6 else Gso.TCPV4
    return Frame(Packet(data), True, start, offset, kind, 1448, ecn)


def plain(payload: int = 100) -> Frame:
    """A packet with its checksum complete."""
    return Frame(Packet(packet(bytes(payload))[0]))


def header(
    flags: int = 0,
    kind: int = 0,
    hdr_len: int = 0,
    size: int = 0,
    start: int = 0,
    offset: int = 0,
    buffers: int | None = 0,
) -> bytes:
    """The bytes of a header, 12 or, without ``buffers``, 10."""
    made = struct.pack("<BBHHHH", flags, kind, hdr_len, size, start, offset)
    return made + (b"" if buffers is None else struct.pack("<H", buffers))


def judged(chain: bytes, frame: Frame | None, features: int = ALL) -> Docket:
    """What the judge says of one chain."""
    judge = Headers(features)
    judge.see(chain, frame)
    return judge.docket


def failing(docket: Docket) -> set[str]:
    """The clauses broken, but for the one on hdr_len of frames that are not segmented."""
    return docket.breaches.keys() - {"5.1.6.2.1r"}


GOOD = tcp()
RIGHT = header(1, 1, 54, 1448, GOOD.csum_start, GOOD.csum_offset)


def test_packets_are_built_right() -> None:
    """Complete ones have a right checksum, others the sum of the pseudo header; both are found again."""
    for ipv6 in (False, True):
        for protocol in (6, UDP):
            for size in (0, 1, 2, 1001):
                data, start, offset = packet(bytes(range(256)) * 5, ipv6=ipv6, protocol=protocol)
                data, start, offset = packet(data[:size], ipv6=ipv6, protocol=protocol)
                found = layers(data)
                assert found is not None
                assert (found.transport, found.protocol) == (start, protocol)
                assert whole(data, found)
                data, start, offset = packet(bytes(size), ipv6=ipv6, protocol=protocol, complete=False)
                assert stored_sum(data, found) == pseudo_sum(data, found)
                assert offset == {6: 16, 17: 6}[protocol]


def test_no_headers_are_found_in_what_has_none() -> None:
    """Too short, of another kind, or a fragment."""
    data = packet(b"x")[0]
    assert layers(data[:40]) is None
    assert layers(data[:12] + b"\x08\x06" + data[14:]) is None
    assert layers(data[:20] + b"\x20\x00" + data[22:]) is None
    assert layers(b"") is None


def test_the_header_has_the_size_the_features_say() -> None:
    """12 bytes with VERSION_1 or MRG_RXBUF, else 10."""
    sizes = {0: 10, F_MRG_RXBUF: 12, F_VERSION_1: 12, F_VERSION_1 | F_MRG_RXBUF: 12}
    assert {features: header_size(features) for features in sizes} == sizes


def test_right_headers_pass() -> None:
    """Segmentation of TCP over both protocols with and without ECN, checksum alone, nothing."""
    udp, start, offset = packet(bytes(100), protocol=UDP, complete=False)
    for frame, made in (
        (GOOD, RIGHT),
        (tcp(ipv6=True), header(1, 4, 74, 1448, tcp(ipv6=True).csum_start, 16)),
        (tcp(ecn=True), header(1, 0x81, 54, 1448, GOOD.csum_start, 16)),
        (replace(GOOD, gso=Gso.NONE, gso_size=0), header(1, 0, 54, 0, GOOD.csum_start, 16)),
        (Frame(Packet(udp), True, start, offset), header(1, 0, 42, 0, start, 6)),
        (plain(), header(hdr_len=54)),
        (Frame(Packet(b"x")), header()),
    ):
        docket = judged(made + frame.data, frame)
        assert docket.breaches == {}
        assert "5.1.6/n1" in docket.held
    assert judged(header(buffers=None) + b"x", Frame(Packet(b"x")), 0).breaches == {}
    assert {"5.1.6.2.1l", "5.1.6.2.1m", "5.1.6.2/n2", "5.1.6.2.1o"} <= judged(
        RIGHT + GOOD.data, GOOD
    ).held.keys()


@pytest.mark.parametrize(
    ("made", "features", "clauses"),
    [
        (RIGHT[:10] + b"\1\0", ALL, {"5.1.6.2.1a"}),
        (RIGHT[:10], ALL, {"5.1.6/n1", "5.1.6.2.1a"}),
        (RIGHT, ALL & ~F_VERSION_1, {"5.1.6/n1"}),
        (header(3, 1, 54, 1448, 34, 16), ALL, {"5.1.6.2.1t"}),
        (header(5, 1, 54, 1448, 34, 16), ALL, {"5.1.6.2.1t"}),
        (header(0, 1, 54, 1448, 0, 0), ALL, {"5.1.6.2.1o"}),
        (header(1, 1, 54, 0, 34, 16), ALL, {"5.1.6.2.1p"}),
        (header(1, 1, 54, 1000, 34, 16), ALL, {"5.1.6.2.1p"}),
        (header(1, 2, 54, 1448, 34, 16), ALL, {"5.1.6.2/n6"}),
        (header(1, 0x83, 54, 1448, 34, 16), ALL, {"5.1.6.2/n3"}),
        (RIGHT, ALL & ~F_HOST_TSO4, {"5.1.6.2.1d"}),
        (header(1, 4, 54, 1448, 34, 16), ALL & ~F_HOST_TSO6, {"5.1.6.2.1e"}),
        (header(1, 3, 54, 1448, 34, 16), ALL & ~F_HOST_UFO, {"5.1.6.2.1f"}),
        (header(1, 5, 54, 1448, 34, 16), ALL, {"5.1.6.2.1g"}),
        (RIGHT, F_CSUM | F_VERSION_1, {"5.1.6.2.1d", "5.1.6.2.1n"}),
        (RIGHT, ALL & ~F_CSUM, {"5.1.6.2.1b"}),
        (header(1, 1, 54, 1448, 34 + 12, 16), ALL, {"5.1.6.2/n2"}),
        (header(1, 1, 54, 1448, 34, 6), ALL, {"5.1.6.2.1m"}),
        (header(1, 0, 54, 0, 34, 16), ALL, {"5.1.6.2/n5"}),
    ],
)
def test_a_header_that_breaks_a_clause(made: bytes, features: int, clauses: set[str]) -> None:
    """Of a TCP packet to be segmented, wrong in one way each."""
    assert failing(judged(made + GOOD.data, GOOD, features)) == clauses


def test_the_ecn_bit() -> None:
    """Missing though HOST_ECN was accepted; set, or CWR at all, though it was not."""
    frame = tcp(ecn=True)
    assert failing(judged(RIGHT + frame.data, frame)) == {"5.1.6.2.1i"}
    made = header(1, 0x81, 54, 1448, 34, 16)
    assert failing(judged(made + frame.data, frame, ALL & ~F_HOST_ECN)) == {"5.1.6.2/n3", "5.1.6.2.1h"}
    assert failing(judged(RIGHT + frame.data, frame, ALL & ~F_HOST_ECN)) == {"5.1.6.2.1h"}


def test_a_plain_frame_asks_for_nothing() -> None:
    """Flags or a type of segmentation where the stack asked for neither."""
    frame = plain()
    assert failing(judged(header(1, 0, 54) + frame.data, frame)) >= {"5.1.6.2/n1"}
    assert failing(judged(header(0, 1, 54, 100) + frame.data, frame)) >= {"5.1.6.2/n1"}


def test_the_length_of_the_headers_is_a_hint() -> None:
    """hdr_len below it is a warning, with an offload accepted only."""
    frame = plain()
    assert "5.1.6.2.1r" in judged(header() + frame.data, frame).breaches
    assert "5.1.6.2.1r" not in judged(header() + frame.data, frame, F_VERSION_1).breaches


def test_the_frame_arrives_whole() -> None:
    """A byte changed, one missing, one too many; of a checksum's field, its clause says so, too."""
    frame = plain()
    good = header(hdr_len=54) + frame.data
    assert failing(judged(good, frame)) == set()
    assert failing(judged(good[:-1], frame)) >= {"5.1.6/n1"}
    assert failing(judged(good + b"x", frame)) >= {"5.1.6/n1"}
    assert failing(judged(good[:70] + b"x" + good[71:], frame, F_VERSION_1)) == {"5.1.6/n1", "5.1.6.2.1c"}
    broken = bytearray(RIGHT + GOOD.data)
    broken[12 + GOOD.csum_start + 16] ^= 1
    assert failing(judged(bytes(broken), GOOD)) == {"5.1.6/n1", "5.1.6.2.1l"}
    assert failing(judged(header(), None)) == {"5.1.6/n1"}
    assert failing(judged(header() + b"x", None)) == set()


def test_mtu() -> None:
    """With MTU accepted a frame that is not segmented fits it."""
    frame = Frame(Packet(bytes(1600)))
    assert failing(judged(header() + frame.data, frame, ALL | 1 << 3)) == {"5.1.4.2c"}
    assert failing(judged(header() + frame.data, frame, ALL)) == set()
