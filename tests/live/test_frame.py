"""The C judge of frames: packets by scapy; each code has one that raises it and one like it that doesn't."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, in4_pseudoheader
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop, in6_pseudoheader
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import checksum

from ringproof.building import build_library, find_compiler

from .judging import (
    CSUM,
    ECN,
    HASH_REPORT,
    HDRLEN,
    MRG,
    MTU,
    SOURCES,
    TSO4,
    TSO6,
    UFO,
    USO,
    VERSION_1,
    WARNINGS,
    Shot,
    library,
)

ETHER = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
FOUR = IP(src="10.0.2.15", dst="10.0.2.2")
SIX = IPv6(src="fd00::15", dst="fd00::2")
OFFLOADS = CSUM | TSO4 | TSO6 | UFO | USO


def packet(*layers: Any, body: bytes = b"x" * 30) -> bytes:
    """Return Ethernet, the layers, and a body."""
    made = ETHER
    for layer in layers:
        made = made / layer
    return bytes(made / Raw(body))


def pseudo(frame: bytes, length: int) -> int:
    """Return the sum of the pseudo header by scapy, with that length of the transport part."""
    parsed = Ether(frame)
    six = parsed.getlayer(IPv6)
    kind = 6 if TCP in parsed else 17
    if six:
        words = bytes(in6_pseudoheader(kind, six, length))
    else:
        four = IP(src=parsed[IP].src, dst=parsed[IP].dst)  # without a length of its own, which would count
        words = in4_pseudoheader(kind, four, length)
    return 0xFFFF - int(checksum(words))


def with_sum(frame: bytes, value: int, at: int) -> bytes:
    """Return the frame with these two bytes in it."""
    return frame[:at] + value.to_bytes(2, "big") + frame[at + 2 :]


def offloaded(frame: bytes, start: int, headers: int, **fields: Any) -> Shot:
    """Return it as one whose checksum is left to the device, all its words right."""
    offset = 16 if frame[start - 20 + 9] == 6 or frame[start - 40 + 6] == 6 else 6
    frame = with_sum(frame, pseudo(frame, len(frame) - start), start + offset)
    shot = Shot(frame, VERSION_1 | OFFLOADS, flags=1, hdr_len=headers, csum_start=start, csum_offset=offset)
    return shot.but(**fields)


UDP4 = packet(FOUR, UDP(sport=1, dport=2))
TCP4 = packet(FOUR, TCP(sport=1, dport=2, flags="A"))
UDP6 = packet(SIX, UDP(sport=1, dport=2))
TCP6 = packet(SIX, TCP(sport=1, dport=2, flags="A"))
BIG4 = packet(FOUR, TCP(flags="A"), body=b"y" * 4000)
BIG6 = packet(SIX, TCP(flags="A"), body=b"y" * 4000)
BIG_UDP = packet(FOUR, UDP(), body=b"y" * 4000)
CWR4 = packet(FOUR, TCP(flags="AC"), body=b"y" * 4000)

PLAIN = Shot(UDP4)
CHECKED = offloaded(TCP4, 34, 54)
CHECKED6 = offloaded(UDP6, 54, 62)
TSO = offloaded(BIG4, 34, 54, gso_type=1, gso_size=1448)
TSO_6 = offloaded(BIG6, 54, 74, gso_type=4, gso_size=1428)
UDP_GSO = offloaded(BIG_UDP, 34, 42, gso_type=5, gso_size=1400)
TSO_ECN = offloaded(CWR4, 34, 54, gso_type=0x81, gso_size=1448, features=VERSION_1 | OFFLOADS | ECN)
WITHOUT = VERSION_1 | CSUM
SMALL = CHECKED.but(features=WITHOUT)
WITH_MTU = VERSION_1 | MTU
SHORT_ARP = packet(ARP(), body=b"")[:42]

# What raises it (and a, b), what doesn't though it is judged, and what else fails of necessity.
CASES: dict[str, tuple[Shot, int, int, Shot, set[str]]] = {
    "FRAME_SHORT": (Shot(b"z" * 13), 25, 12, Shot(b"z" * 14), set()),
    "NUM_BUFFERS": (PLAIN.but(num_buffers=1), 1, 0, PLAIN, set()),
    "FLAGS_WITHOUT_CSUM": (PLAIN.but(flags=8), 8, 0, PLAIN, set()),
    "CHECKSUM_INCOMPLETE": (
        Shot(with_sum(TCP4, 0, 50)), 0xFFFF - int.from_bytes(TCP4[50:52], "big"), 6, Shot(TCP4), set(),
    ),
    "GSO_TCPV4": (TSO.but(features=VERSION_1 | OFFLOADS & ~TSO4), 1, 0, SMALL, set()),
    "GSO_TCPV6": (TSO_6.but(features=VERSION_1 | OFFLOADS & ~TSO6), 4, 0, SMALL, set()),
    "GSO_UDP": (
        UDP_GSO.but(features=VERSION_1 | OFFLOADS & ~UFO, gso_type=3), 3, 0, SMALL, set(),
    ),
    "GSO_UDP_L4": (UDP_GSO.but(features=VERSION_1 | OFFLOADS & ~USO), 5, 0, SMALL, set()),
    "CWR_NOT_TOLD": (TSO_ECN.but(gso_type=1), 1, 0, TSO_ECN, set()),
    "PSEUDO_SUM": (
        CHECKED.but(frame=TCP4), int.from_bytes(TCP4[50:52], "big"), pseudo(TCP4, 50), CHECKED, set(),
    ),
    "CSUM_PLACE": (CHECKED.but(csum_offset=6), 34 << 32 | 6, len(TCP4), CHECKED, set()),
    "CSUM_START": (CHECKED.but(csum_start=46), 46, 34, CHECKED, set()),
    "GSO_WITHOUT_FEATURE": (TSO.but(features=WITHOUT), 1, 0, SMALL, {"GSO_TCPV4"}),
    "GSO_WITHOUT_CSUM": (TSO.but(flags=0), 1, 0, TSO, set()),
    "GSO_SIZE": (TSO.but(gso_size=0), 1, 0, TSO.but(gso_size=1), set()),
    "HDR_LEN_EXACT": (TSO.but(hdr_len=55, features=TSO.features | HDRLEN), 55, 54,
                      TSO.but(features=TSO.features | HDRLEN), set()),
    "HDR_LEN_SHORT": (TSO.but(hdr_len=53), 53, 54, TSO.but(hdr_len=55), set()),
    "DATA_VALID": (CHECKED.but(flags=3), 3, 0, CHECKED, set()),
    "ECN_PLACE": (UDP_GSO.but(gso_type=0x85, features=TSO_ECN.features), 0x85, 0, TSO_ECN, set()),
    "GSO_TYPE": (TSO.but(gso_type=2), 2, 0, TSO, set()),
    "LONG_FRAME": (Shot(SHORT_ARP + bytes(1473)), 1515, 1514, Shot(SHORT_ARP + bytes(1472)), set()),
    "MTU": (Shot(bytes(415), WITH_MTU, mtu=400), 415, 400, Shot(bytes(414), WITH_MTU, mtu=400), set()),
}  # fmt: skip


@pytest.mark.parametrize("code", CASES)
def test_a_code_is_raised_by_its_fault_alone(code: str) -> None:
    """The fault fails that check and no other that it doesn't imply; its neighbour is judged, and clean."""
    bad, a, b, good, also = CASES[code]
    log = bad.judge()
    assert log.failed() == {code} | also
    tally = log[code]
    assert (tally.checked, tally.failed, tally.record, tally.a, tally.b) == (1, 1, 7, a, b)
    clean = good.judge()
    assert clean.failed() == set()
    assert clean[code].checked == 1


def test_cwr_without_ecn_is_judged_where_it_fails() -> None:
    """A TCP segmentation request with CWR fails without HOST_ECN, and is not counted otherwise."""
    log = TSO_ECN.but(gso_type=1, features=VERSION_1 | OFFLOADS).judge()
    assert log.failed() == {"CWR_WITHOUT_ECN"}
    assert log["CWR_WITHOUT_ECN"].a == 1
    assert log["CWR_NOT_TOLD"].checked == 0
    for other in (TSO, TSO_ECN, Shot(CWR4, WITHOUT)):
        assert other.judge()["CWR_WITHOUT_ECN"].checked == 0


@pytest.mark.parametrize("shot", [PLAIN, CHECKED, CHECKED6, TSO, TSO_6, UDP_GSO, TSO_ECN])
def test_right_frames_pass(shot: Shot) -> None:
    """What a good driver sends fails nothing, and its sum is looked at."""
    log = shot.judge()
    assert log.failed() == set()
    assert log["PSEUDO_SUM" if shot.flags else "CHECKSUM_INCOMPLETE"].checked == 1


def test_ecn_without_its_feature_is_out_of_place() -> None:
    """GSO_ECN needs HOST_ECN, on a TCP type, too."""
    assert "ECN_PLACE" in TSO_ECN.but(features=VERSION_1 | OFFLOADS).judge().failed()
    assert "ECN_PLACE" in PLAIN.but(gso_type=0x80).judge().failed()


@pytest.mark.parametrize("shot", [TSO, TSO_6, UDP_GSO])
def test_the_pseudo_sum_of_a_gso_packet_may_leave_the_length_out(shot: Shot) -> None:
    """Both conventions for the length pass for a packet to be cut; a third does not."""
    field = shot.csum_start + shot.csum_offset
    without = with_sum(shot.frame, pseudo(shot.frame, 0), field)
    assert shot.but(frame=without).judge().failed() == set()
    assert shot.but(frame=with_sum(shot.frame, pseudo(shot.frame, 1), field)).judge().failed() == {
        "PSEUDO_SUM"
    }
    small = CHECKED.but(frame=with_sum(CHECKED.frame, pseudo(TCP4, 0), 50))
    assert small.judge().failed() == {"PSEUDO_SUM"}


@pytest.mark.parametrize("tags", [(), (Dot1Q(vlan=3),), (Dot1AD(vlan=3), Dot1Q(vlan=4))])
@pytest.mark.parametrize("below", [FOUR, SIX, IP(src="1.2.3.4", dst="5.6.7.8", options=b"\1\1\1\0")])
@pytest.mark.parametrize("transport", [UDP(), TCP(options=[("MSS", 1460), ("NOP", None), ("NOP", None)])])
def test_sums_are_found_behind_tags_and_options(tags: tuple[Any, ...], below: Any, transport: Any) -> None:
    """Each shape passes as scapy makes it, and one changed bit anywhere behind the addresses is seen."""
    for length in (0, 1, 47, 48, 200, 333):
        frame = packet(*tags, below, transport, body=bytes(n % 251 for n in range(length)))
        log = Shot(frame).judge()
        assert log.failed() == set()
        assert log["CHECKSUM_INCOMPLETE"].checked == 1
        for at in (len(frame) - 1, len(frame) - length // 2 - 1):
            broken = frame[:at] + bytes([frame[at] ^ 0x10]) + frame[at + 1 :]
            assert Shot(broken).judge().failed() == {"CHECKSUM_INCOMPLETE"}


def test_tags_lengthen_what_may_be_sent() -> None:
    """Four bytes for each tag, at most two, with and without an MTU."""
    for tags, slack in ((0, 0), (1, 4), (2, 8), (3, 8)):
        start = bytes(12) + b"\x81\0\0\1" * tags + b"\x88\xb5"
        for features, most in ((VERSION_1, 1514), (VERSION_1 | MTU, 1014)):
            shot = Shot(start.ljust(most + slack, b"\0"), features, mtu=1000)
            assert shot.judge().failed() == set()
            assert shot.but(frame=shot.frame + b"\0").judge().failed() == {
                "MTU" if features & MTU else "LONG_FRAME"
            }


def test_padding_behind_the_packet_is_no_part_of_it() -> None:
    """Ethernet padding is not summed; a packet that says it is longer than its frame is not judged."""
    short = packet(FOUR, TCP(flags="A"), body=b"")
    assert Shot(short + b"\xff" * 6).judge().failed() == set()
    assert Shot(short + b"\xff" * 6).judge()["CHECKSUM_INCOMPLETE"].checked == 1
    assert Shot(UDP4[:-1]).judge()["CHECKSUM_INCOMPLETE"].checked == 0
    beyond = packet(FOUR, UDP(), body=b"q" * 200)
    assert Shot(beyond).judge()["CHECKSUM_INCOMPLETE"].checked == 1
    assert Shot(beyond + b"\0").judge()["CHECKSUM_INCOMPLETE"].checked == 0
    lying = UDP4[:16] + b"\0\5" + UDP4[18:]
    assert Shot(lying).judge()["CHECKSUM_INCOMPLETE"].checked == 0


def test_udp_may_go_without_a_sum_over_ipv4() -> None:
    """Zero means none over IPv4 only."""
    assert Shot(with_sum(UDP4, 0, 40)).judge()["CHECKSUM_INCOMPLETE"].checked == 0
    assert Shot(with_sum(UDP6, 0, 60)).judge().failed() == {"CHECKSUM_INCOMPLETE"}


@pytest.mark.parametrize(
    "frame",
    [
        packet(ARP()),
        packet(IP(flags="MF"), UDP()),
        packet(IP(frag=3), UDP()),
        packet(IP(proto=1)),
        packet(IPv6(), IPv6ExtHdrHopByHop(), UDP()),
        b"".join((UDP4[:14], b"\x55", UDP4[15:])),
        b"".join((UDP4[:14], b"\x44", UDP4[15:])),
        b"".join((UDP4[:14], b"\x4f", UDP4[15:])),
        b"".join((UDP6[:14], b"\x40", UDP6[15:])),
        b"".join((TCP4[:46], b"\x40", TCP4[47:])),
        UDP4[:41],
        TCP4[:53],
        UDP6[:61],
    ],
)
def test_what_is_no_packet_has_no_sum_to_judge(frame: bytes) -> None:
    """Other protocols, fragments, extension headers, wrong versions and cut headers are left alone."""
    log = Shot(frame, WITHOUT).judge()
    assert log.failed() == set()
    assert not log.checked() & {"CHECKSUM_INCOMPLETE", "HDR_LEN_SHORT"}
    placed = Shot(frame, WITHOUT, flags=1, csum_start=20, csum_offset=3).judge()
    assert placed.failed() == set()
    assert placed["CSUM_PLACE"].checked == 1
    assert placed["CSUM_START"].checked == 0


def test_headers_behind_the_prefix_are_not_judged() -> None:
    """A frame is parsed only as far as it was kept."""
    assert PLAIN.but(keep=42).judge()["CHECKSUM_INCOMPLETE"].checked == 1
    assert PLAIN.but(keep=40).judge()["CHECKSUM_INCOMPLETE"].checked == 0


@pytest.mark.parametrize("start", [len(TCP4) - 17, len(TCP4), 65535])
def test_a_sum_behind_the_frame_is_out_of_place(start: int) -> None:
    """csum_start and csum_offset must name two bytes of the frame."""
    assert "CSUM_PLACE" in CHECKED.but(csum_start=start).judge().failed()
    assert (
        "CSUM_PLACE" not in Shot(bytes(60), WITHOUT, flags=1, csum_start=42, csum_offset=16).judge().failed()
    )


def test_what_could_not_be_read_is_not_judged() -> None:
    """Without all its bytes, or without its header, only the length of a frame is judged."""
    assert TSO.but(whole=False, gso_type=7, num_buffers=4).judge().checked() == {"FRAME_SHORT"}
    assert Shot(b"").judge().checked() == {"FRAME_SHORT"}


def test_headers_are_as_long_as_features_make_them() -> None:
    """10 bytes for a legacy driver, 12 with MRG_RXBUF or VERSION_1, 20 with HASH_REPORT."""
    sizes = {0: 10, CSUM: 10, MRG: 12, VERSION_1: 12, VERSION_1 | MRG: 12, VERSION_1 | HASH_REPORT: 20}
    assert {features: library().rpl_header_bytes(features) for features in sizes} == sizes
    for features in sizes:
        log = Shot(UDP4, features, num_buffers=1, hdr_len=42).judge()
        assert log["CHECKSUM_INCOMPLETE"].checked == 1
        assert log.failed() == (set() if sizes[features] == 10 else {"NUM_BUFFERS"})


def test_offload_checks_need_an_offload_feature() -> None:
    """hdr_len is judged with CSUM or one of the HOST_ features, and not without."""
    for features in (CSUM, TSO4, TSO6, UFO, USO):
        assert PLAIN.but(features=VERSION_1 | features).judge().failed() == {"HDR_LEN_SHORT"}
    assert PLAIN.but(features=VERSION_1 | ECN | HDRLEN).judge()["HDR_LEN_SHORT"].checked == 0
    assert PLAIN.but(features=VERSION_1 | CSUM | HDRLEN).judge().failed() == {"HDR_LEN_SHORT"}


@pytest.mark.parametrize("compiler", [name for name in ("gcc", "clang") if shutil.which(name)][1:])
def test_it_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    """The second compiler is content, too, with the recorder, the judges and the plain device."""
    sources = [SOURCES / f"{name}.c" for name in ("record", "frame", "features", "packet", "plain")]
    assert build_library(
        sources, tmp_path / "x.so", extra_flags=WARNINGS, compiler=find_compiler(compiler)
    ).is_file()
