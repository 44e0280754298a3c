"""The offline monitor on frames, features and status: each check fails on one, and holds on its neighbour."""

import struct
from dataclasses import dataclass

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from ringproof.live.packet import fold, parse, tags, word_sum
from ringproof.live.tallies import Check, Tally, pair
from tests.live.recording_maker import (
    ANY_LAYOUT,
    BUFFERS,
    CSUM,
    GUEST_HDRLEN,
    HOST_ECN,
    HOST_TSO4,
    MTU,
    START,
    VERSION_1,
    Maker,
    begun,
    descriptor,
)
from tests.live.test_monitor import judged

SENT = START + 2
MODERN = VERSION_1 | CSUM | HOST_TSO4
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FOUR, SIX = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2")
BODY = Raw(b"some words of odd length!")


def built(*layers: Packet) -> bytes:
    """The layers as one frame, its sums right."""
    made = ETHER
    for layer in layers:
        made = made / layer
    return bytes(made)


TCP_FRAME = built(FOUR, TCP(), BODY)
UDP_FRAME = built(FOUR, UDP(), BODY)
CWR_FRAME = built(FOUR, TCP(flags="CA"), BODY)
SIX_FRAME = built(SIX, UDP(), BODY)


def unfinished(frame: bytes, length: int | None = None) -> bytes:
    """The frame with the pseudo header's sum in its checksum field, of that length or the right one."""
    packet = parse(frame, len(frame))
    assert packet is not None
    length = len(frame) - packet.transport if length is None else length
    value = struct.pack(">H", fold(packet.pseudo + length))
    at = packet.checksum_at
    return frame[:at] + value + frame[at + 2 :]


def sent(
    frame: bytes,
    accepted: int = MODERN,
    *,
    flags: int = 0,
    gso_type: int = 0,
    hdr_len: int = 200,
    gso_size: int = 100,
    start: int = 34,
    offset: int = 16,
    buffers: int = 0,
    mtu: int = 1500,
    whole: bool = True,
) -> Maker:
    """A run in which that frame is sent."""
    fields = struct.pack("<BBHHHHH", flags, gso_type, hdr_len, gso_size, start, offset, buffers)
    header = fields if accepted & VERSION_1 else fields[:10]
    data = header + frame
    lying = [(0, descriptor(BUFFERS, len(data)))]
    kept = len(header) + 128
    rest = word_sum(data[kept:])
    maker = begun(accepted, mtu=mtu).sample(1)
    return maker.chain(0, 0, lying, frame=(len(data), data[:kept]), sum_behind=rest, whole=whole)


@dataclass(frozen=True)
class Case:
    """``bad`` fails with these numbers, ``good`` is judged, and holds."""

    bad: Maker
    a: int
    b: int
    good: Maker


GSO = sent(unfinished(TCP_FRAME), flags=1, gso_type=1)
FRAMES = {
    Check.FRAME_SHORT: Case(sent(bytes(13)), 25, 12, sent(bytes(14))),
    Check.NUM_BUFFERS: Case(sent(TCP_FRAME, buffers=3), 3, 0, sent(TCP_FRAME)),
    Check.FLAGS_WITHOUT_CSUM: Case(sent(TCP_FRAME, VERSION_1, flags=1), 1, 0, sent(TCP_FRAME, VERSION_1)),
    Check.CHECKSUM_INCOMPLETE: Case(
        sent(unfinished(UDP_FRAME)),
        fold(word_sum(UDP_FRAME[34:40] + UDP_FRAME[42:]) + 2 * word_sum(UDP_FRAME[26:34] + b"\0\x11\0\x21")),
        17,
        sent(UDP_FRAME),
    ),
    Check.GSO_TCPV4: Case(
        sent(TCP_FRAME, VERSION_1 | CSUM, flags=1, gso_type=1), 1, 0, sent(TCP_FRAME, VERSION_1)
    ),
    Check.GSO_TCPV6: Case(sent(TCP_FRAME, flags=1, gso_type=4), 4, 0, GSO),
    Check.GSO_UDP: Case(sent(TCP_FRAME, flags=1, gso_type=3), 3, 0, GSO),
    Check.GSO_UDP_L4: Case(sent(TCP_FRAME, flags=1, gso_type=5), 5, 0, GSO),
    Check.CWR_NOT_TOLD: Case(
        sent(unfinished(CWR_FRAME), MODERN | HOST_ECN, flags=1, gso_type=1), 1, 0,
        sent(unfinished(CWR_FRAME), MODERN | HOST_ECN, flags=1, gso_type=0x81),
    ),
    Check.PSEUDO_SUM: Case(
        sent(TCP_FRAME, flags=1), int.from_bytes(TCP_FRAME[50:52], "big"),
        int.from_bytes(unfinished(TCP_FRAME)[50:52], "big"), sent(unfinished(TCP_FRAME), flags=1),
    ),
    Check.CSUM_PLACE: Case(
        sent(unfinished(TCP_FRAME), flags=1, offset=6), pair(34, 6), len(TCP_FRAME),
        sent(unfinished(TCP_FRAME), flags=1),
    ),
    Check.CSUM_START: Case(
        sent(unfinished(TCP_FRAME), flags=1, start=20), 20, 34, sent(unfinished(TCP_FRAME), flags=1)
    ),
    Check.GSO_WITHOUT_FEATURE: Case(
        sent(TCP_FRAME, VERSION_1, gso_type=0x80), 0x80, 0, sent(TCP_FRAME, VERSION_1)
    ),
    Check.GSO_WITHOUT_CSUM: Case(sent(TCP_FRAME, gso_type=1), 1, 0, GSO),
    Check.GSO_SIZE: Case(sent(unfinished(TCP_FRAME), gso_size=0, flags=1, gso_type=1), 1, 0, GSO),
    Check.HDR_LEN_EXACT: Case(
        sent(unfinished(TCP_FRAME), MODERN | GUEST_HDRLEN, hdr_len=55, flags=1, gso_type=1), 55, 54,
        sent(unfinished(TCP_FRAME), MODERN | GUEST_HDRLEN, hdr_len=54, flags=1, gso_type=1),
    ),
    Check.HDR_LEN_SHORT: Case(sent(TCP_FRAME, hdr_len=53), 53, 54, sent(TCP_FRAME, hdr_len=54)),
    Check.DATA_VALID: Case(sent(TCP_FRAME, flags=2), 2, 0, sent(TCP_FRAME)),
    Check.ECN_PLACE: Case(
        sent(unfinished(TCP_FRAME), flags=1, gso_type=0x81), 0x81, 0,
        sent(unfinished(TCP_FRAME), MODERN | HOST_ECN, flags=1, gso_type=0x81),
    ),
    Check.GSO_TYPE: Case(sent(TCP_FRAME, flags=1, gso_type=2), 2, 0, GSO),
    Check.LONG_FRAME: Case(sent(bytes(1515)), 1515, 1514, sent(bytes(1514))),
    Check.MTU: Case(
        sent(bytes(115), MODERN | MTU, mtu=100), 115, 100, sent(bytes(114), MODERN | MTU, mtu=100)
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", FRAMES, ids=lambda code: code.name)
def test_each_check_of_frames_fails_and_holds(code: Check) -> None:
    """A frame that breaks a rule is told with its numbers; its neighbour is judged, and clean."""
    case = FRAMES[code]
    assert judged(case.bad).tallies[code] == Tally(1, 1, SENT, case.a, case.b)
    assert judged(case.good).tallies[code] == Tally(1)


def test_congestion_told_where_nobody_can_hear_it() -> None:
    """A segmented packet with CWR set without HOST_ECN is a failure; one without it is not judged."""
    bad = judged(sent(unfinished(CWR_FRAME), flags=1, gso_type=1)).tallies[Check.CWR_WITHOUT_ECN]
    assert bad == Tally(1, 1, SENT, 1, 0)
    for good in (GSO, sent(CWR_FRAME), sent(unfinished(CWR_FRAME), MODERN | HOST_ECN, flags=1, gso_type=1)):
        assert not judged(good).tallies[Check.CWR_WITHOUT_ECN].checked


@pytest.mark.parametrize(
    ("frame", "tagged"),
    [(built(FOUR, TCP(), Raw(bytes(count))), 0) for count in (0, 1, 300, 301)]
    + [(SIX_FRAME, 0), (built(SIX, TCP(), Raw(bytes(255))), 0), (TCP_FRAME + bytes(6), 0)]
    + [(built(Dot1Q(), Dot1Q(), FOUR, UDP(), BODY), 2)],
)  # fmt: skip
def test_sums_by_another_program_are_right(frame: bytes, tagged: int) -> None:
    """Frames whose sums scapy made hold, long or short, tagged or not; one changed byte is found."""
    assert tags(frame) == tagged
    tallies = judged(sent(frame)).tallies
    assert tallies[Check.CHECKSUM_INCOMPLETE] == Tally(1)
    assert not [code for code, tally in tallies.items() if tally.failed]
    place = 37 + 4 * tagged + (20 if frame[12:14] == b"\x86\xdd" else 0)
    changed = frame[:place] + bytes([frame[place] ^ 1]) + frame[place + 1 :]
    assert judged(sent(changed)).tallies[Check.CHECKSUM_INCOMPLETE].failed == 1


def test_what_cannot_be_summed_is_not_judged() -> None:
    """No sum is asked of what is not all there, of fragments, and of UDP over IPv4 that has none."""
    unsummed = UDP_FRAME[:40] + bytes(2) + UDP_FRAME[42:]
    longer = built(FOUR, UDP(), Raw(bytes(300))) + bytes(4)
    cut = TCP_FRAME[:-1]
    fragment = built(IP(src="10.0.0.1", dst="10.0.0.2", flags="MF"), UDP(), BODY)
    for frame in (unsummed, longer, cut, fragment, bytes(60)):
        assert not judged(sent(frame)).tallies[Check.CHECKSUM_INCOMPLETE].checked
    six = SIX_FRAME[:60] + bytes(2) + SIX_FRAME[62:]
    assert judged(sent(six)).tallies[Check.CHECKSUM_INCOMPLETE].failed == 1
    torn = judged(sent(UDP_FRAME, whole=False)).tallies
    assert torn[Check.FRAME_SHORT] == Tally(1)
    assert not torn[Check.NUM_BUFFERS].checked


def test_segments_may_hold_the_sum_without_a_length() -> None:
    """For segmentation both sums of the pseudo header are right, with the packet's length and with none."""
    for length, failed in ((None, 0), (0, 0), (5, 1)):
        made = sent(unfinished(TCP_FRAME, length), flags=1, gso_type=1)
        assert judged(made).tallies[Check.PSEUDO_SUM].failed == failed
    whole = sent(unfinished(TCP_FRAME, 0), flags=1)
    assert judged(whole).tallies[Check.PSEUDO_SUM].failed == 1


def accepting(offered: int, accepted: int) -> Maker:
    """A run in which nothing but features is settled."""
    return Maker().options(offered).end().features(accepted)


FEATURES = {
    Check.FEATURE_UNOFFERED: Case(accepting(1, 3), 2, 1, accepting(3, 3 | 1 << 26 | 1 << 30)),
    Check.FEATURE_REQUIRES: Case(accepting(0x801, 0x800), 11, 1, accepting(0x801, 0x801)),
    Check.FEATURE_UNDEFINED: Case(accepting(1 << 4, 1 << 4), 1 << 4, 0, accepting(1 << 28, 1 << 28)),
    Check.ANY_LAYOUT: Case(accepting(ANY_LAYOUT, 1), 1, 0, accepting(ANY_LAYOUT, ANY_LAYOUT)),
    Check.FEATURES_LATE: Case(
        accepting(7, 1).features(3, running=True), 1, 3, accepting(7, 1).features(1 | 1 << 26, running=True)
    ),
    Check.STATUS_CLEARED: Case(Maker().end().status(3, 1), 3, 1, Maker().end().status(3, 0)),
    Check.STATUS_AFTER_FAILED: Case(
        Maker().end().status(0x83, 0x8B), 0x83, 0x8B, Maker().end().status(0x83, 0x83).status(0x83, 0)
    ),
    Check.STATUS_ORDER: Case(Maker().end().status(0, 2), 0, 2, Maker().end().status(1, 3).status(3, 7)),
}  # fmt: skip


@pytest.mark.parametrize("code", FEATURES, ids=lambda code: code.name)
def test_each_check_of_negotiation_fails_and_holds(code: Check) -> None:
    """What is settled wrongly is told with its numbers; its neighbour is judged, and clean."""
    case = FEATURES[code]
    tally = judged(case.bad).tallies[code]
    assert (tally.failed, tally.a, tally.b) == (1, case.a, case.b)
    good = judged(case.good).tallies[code]
    assert good.checked > 0
    assert not good.failed


def test_modern_drivers_say_features_ok() -> None:
    """DRIVER_OK without FEATURES_OK is wrong as soon as VERSION_1 is known to be accepted."""
    made = Maker().options(VERSION_1).end().features(VERSION_1).status(3, 7)
    assert judged(made).tallies[Check.STATUS_ORDER].failed == 1
    assert judged(made).tallies[Check.VERSION_1] == Tally(1)
    assert not judged(accepting(VERSION_1, 0)).tallies[Check.VERSION_1].checked
