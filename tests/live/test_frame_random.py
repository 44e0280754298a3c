"""The C judge of frames on whatever bytes there may be: no crash, no dependence on chance, no false alarm."""

import ctypes
import struct
import subprocess
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from ringproof.building import build_program

from .judging import CODES, CSUM, SOURCES, VERSION_1, WARNINGS, Frame, Log, Shot, library, word_sum

_BITS = (0, 3, 11, 12, 13, 14, 15, 32, 56, 57, 59)
_FEATURES = st.sets(st.sampled_from(_BITS)).map(lambda bits: sum(1 << bit for bit in bits))
_STARTS = (
    b"\x08\x00\x45\x00",
    b"\x86\xdd\x60\x00",
    b"\x81\x00\x00\x01\x08\x00\x46\x00",
    b"\x88\xa8\0\0\x81\0\0\0\x86\xdd\x60",
)


@st.composite
def _frames(draw: st.DrawFn) -> tuple[int, int, int, int, bool, bytes]:
    """Features, bytes, mtu, sum, whole and prefix: noise, or noise that begins as a packet does."""
    prefix = bytearray(draw(st.binary(max_size=170)))
    features = draw(_FEATURES)
    if draw(st.booleans()):
        head = library().rpl_header_bytes(features)
        kind = draw(st.sampled_from([6, 17]))
        start = draw(st.sampled_from(_STARTS))
        prefix[head + 12 : head + 12 + len(start)] = start
        if len(prefix) > head + 24:
            prefix[head + 20 if b"\x86\xdd" in start else head + 23] = kind
    longer = draw(st.sampled_from([0, 0, 1, 1386, 65535, 1 << 32, (1 << 64) - 400]))
    return (features, len(prefix) + longer, draw(st.integers(0, 65535)), draw(st.integers(0, 65535)),
            draw(st.integers(0, 9)) > 0, bytes(prefix))  # fmt: skip


@cache
def _program() -> Path:
    own = Path(__file__).parent / "frames" / "arbitrary.c"
    return build_program(
        [own, *(SOURCES / name for name in ("frame.c", "features.c", "packet.c"))],
        include=(SOURCES,),
        sanitize=("address", "undefined"),
        extra_flags=WARNINGS,
    )


def _counted(log: Log) -> str:
    words = []
    for code in range(CODES["CHECKS"]):
        tally = log.tallies[code]
        if tally.checked:
            words.append(f"{code}:{tally.checked}:{tally.failed}:{tally.a}:{tally.b} ")
    return "".join(words)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_frames(), min_size=1, max_size=40))
def test_no_bytes_are_too_strange(frames: list[tuple[int, int, int, int, bool, bytes]]) -> None:
    """Sanitizers see no wrong access, and the optimised judge counts the same as the watched one."""
    written, expected = [], []
    for features, size, mtu, total, whole, prefix in frames:
        written.append(struct.pack("<QQIIHB", features, size, mtu, len(prefix), total, whole) + prefix)
        log = Log()
        frame = Frame(prefix, len(prefix), size, total, whole)
        library().rpl_frame_judge(ctypes.byref(log), features, mtu, ctypes.byref(frame))
        library().rpl_features_judge(ctypes.byref(log), features, features ^ size)
        expected.append(_counted(log))
    done = subprocess.run([_program()], input=b"".join(written), capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert done.stdout.decode().splitlines() == expected


@settings(max_examples=100, deadline=None)
@given(
    body=st.binary(max_size=400),
    six=st.booleans(),
    tcp=st.booleans(),
    tagged=st.booleans(),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    at=st.integers(0, 399),
    bit=st.integers(0, 7),
)
def test_a_complete_sum_passes_and_a_changed_bit_does_not(
    body: bytes, six: bool, tcp: bool, tagged: bool, ports: tuple[int, int], at: int, bit: int
) -> None:
    """Any packet by scapy is clean; one bit of its payload turned is found."""
    made = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
    if tagged:
        made = made / Dot1Q(vlan=7)
    made = made / (IPv6(src="fd00::1", dst="fd00::2") if six else IP(src="10.0.0.1", dst="10.0.0.2"))
    made = made / (TCP if tcp else UDP)(sport=ports[0], dport=ports[1])
    frame = bytes(made / Raw(body))
    assert Shot(frame).judge().failed() == set()
    if body:
        place = len(frame) - 1 - at % len(body)
        turned = frame[:place] + bytes([frame[place] ^ 1 << bit]) + frame[place + 1 :]
        assert Shot(turned).judge().failed() == {"CHECKSUM_INCOMPLETE"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 65535), st.integers(0, 15))
def test_sums_are_those_of_the_plain_rule(data: bytes, start: int, skip: int) -> None:
    """Whatever the length and place, the fast sum is the slow one, with `start` added."""
    data = data[skip:]
    assert library().rpl_sum(data, len(data), start) == word_sum(start.to_bytes(2, "big") + data)


def test_a_long_sum_loses_no_carry() -> None:
    """As many bytes as a chain may have in a region, all ones, and all but."""
    for data in (b"\xff" * 300001, b"\xff\xfe" * 150000, b"\0" * 7):
        assert library().rpl_sum(data, len(data), 0xFFFF) == word_sum(b"\xff\xff" + data)


@settings(max_examples=100, deadline=None)
@given(offered=st.integers(0, (1 << 64) - 1), accepted=st.integers(0, (1 << 64) - 1))
def test_features_that_were_not_offered_are_named(offered: int, accepted: int) -> None:
    """All of them, but for the protocol's two."""
    log = Log()
    library().rpl_features_judge(ctypes.byref(log), offered, accepted)
    extra = accepted & ~offered & ~(1 << 30 | 1 << 26)
    assert log["FEATURE_UNOFFERED"].failed == (extra != 0)
    assert log["FEATURE_UNOFFERED"].a == extra


def test_header_words_reach_the_judge_as_they_lie() -> None:
    """Little endian, whatever the machine: each word of the header is told as it was put in."""
    shot = Shot(
        bytes(60), VERSION_1 | CSUM, flags=1, csum_start=0x1234, csum_offset=0x5678, num_buffers=0xABCD
    )
    log = shot.judge()
    assert log["CSUM_PLACE"].a == 0x1234 << 32 | 0x5678
    assert log["NUM_BUFFERS"].a == 0xABCD
