"""Frames come out of capture files as they went in, and what is no whole frame is one line with its place."""

import struct
from pathlib import Path

import dpkt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.all import Raw, RawPcapNgReader, RawPcapReader, raw, wrpcap, wrpcapng

from ringproof.errors import BadInputError
from ringproof.journey.pcap import PcapFormat, PcapReader, PcapWriter

from .conftest import link, varied_packets

FRAME = bytes(range(60))
HEADER = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
EPB, SPB, IDB, SHB = 6, 3, 1, 0x0A0D0D0A


def record(data: bytes, length: int | None = None, caplen: int | None = None) -> bytes:
    """A little-endian record, with lengths that may lie."""
    length = len(data) if length is None else length
    return struct.pack("<IIII", 7, 8, len(data) if caplen is None else caplen, length) + data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """A section header."""
    return block(SHB, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(linktype: int = 1, snaplen: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    """An interface description."""
    return block(IDB, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(
    data: bytes, number: int = 0, ticks: int = 0, length: int | None = None, order: str = "<"
) -> bytes:
    """An enhanced packet block."""
    length = len(data) if length is None else length
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length)
    return block(EPB, head + data, order)


def frames(path: Path, data: bytes) -> list[bytes]:
    """The frames of a file with these bytes."""
    path.write_bytes(data)
    with PcapReader(path) as reader:
        return [each.data for each in reader]


def complaint(path: Path, data: bytes) -> str:
    """The line about a file with these bytes."""
    with pytest.raises(BadInputError) as caught:
        frames(path, data)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_pcap_of_scapy_comes_out_whole(tmp_path: Path, endianness: str, nano: bool) -> None:
    """Frames and times of a file that scapy wrote, in every form of the format."""
    path, packets = tmp_path / "a.pcap", varied_packets(40)
    wrpcap(str(path), packets, endianness=endianness, nano=nano)
    with PcapReader(path) as reader:
        records = list(reader)
    assert [each.data for each in records] == [raw(packet) for packet in packets]
    assert [each.number for each in records] == list(range(1, 41))
    written = [(m.sec * 10**9 + m.usec * (1 if nano else 1000)) for _, m in RawPcapReader(str(path))]
    assert [each.nanoseconds for each in records] == written


def test_pcapng_of_scapy_comes_out_whole(tmp_path: Path) -> None:
    """The same of a pcapng file, times included."""
    path, packets = tmp_path / "a.pcapng", varied_packets(40)
    wrpcapng(str(path), packets)
    with PcapReader(path) as reader:
        records = list(reader)
    assert [each.data for each in records] == [raw(packet) for packet in packets]
    written = [m.tshigh << 32 | m.tslow for _, m in RawPcapNgReader(str(path))]
    assert [each.nanoseconds for each in records] == [ticks * 1000 for ticks in written]


def test_what_is_written_equals_what_was_read(tmp_path: Path, varied_pcap: Path) -> None:
    """A file read and written again in its own form is the same file."""
    out = tmp_path / "out.pcap"
    with PcapReader(varied_pcap) as reader, PcapWriter(out, reader.format) as writer:
        for each in reader:
            writer.write([(each.nanoseconds, each.data)])
    assert out.read_bytes() == varied_pcap.read_bytes()
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["out.pcap", "varied.pcap"]


def test_writing_is_exact_to_the_nanosecond(tmp_path: Path) -> None:
    """Times are cut to what the file can hold, never rounded; dpkt's own reader finds the frames."""
    path, when = tmp_path / "a.pcap", 4_000_000_000 * 10**9 + 999_999_999
    with PcapWriter(path, PcapFormat(nano=True)) as writer:
        writer.write([(when, FRAME)])
    with PcapReader(path) as reader:
        assert [(each.nanoseconds, each.data) for each in reader] == [(when, FRAME)]
    with PcapWriter(path) as writer:
        writer.write([(when, FRAME), (when + (1 << 32) * 10**9, FRAME)])
    with PcapReader(path) as reader:
        assert [each.nanoseconds for each in reader] == [when - 999] * 2
    with path.open("rb") as file:
        assert [data for _, data in dpkt.pcap.Reader(file)] == [FRAME] * 2


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    """A file that was not finished does not appear, and one that was there stays."""
    path = tmp_path / "a.pcap"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), PcapWriter(path) as writer:
        writer.write((1 // number, FRAME) for number in (1, 0))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(BadInputError, match="cannot be written"):
        PcapWriter(tmp_path / "no" / "a.pcap")


def test_records_are_read_one_at_a_time(tmp_path: Path) -> None:
    """A first record comes out before a later one is looked at: nothing is read ahead."""
    path = tmp_path / "a.pcap"
    path.write_bytes(HEADER + record(FRAME) + record(FRAME, length=61))
    with PcapReader(path) as reader:
        records = iter(reader)
        assert next(records).data == FRAME
        with pytest.raises(BadInputError, match=r"record 2: only 60 of the frame's 61 bytes"):
            next(records)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"hello, world", "neither a pcap nor a pcapng file"),
        (HEADER[:20], "the file ends within its header, after 20 of 24 bytes"),
        (HEADER[:20] + struct.pack("<I", 113), "link type 113 (LINUX SLL); only Ethernet (1) can be sent"),
        (HEADER[:20] + struct.pack("<I", 9999), "link type 9999 (unknown here)"),
        (HEADER[:20] + struct.pack("<I", 1 | 0x24000000), "its frames end in frame check sequences"),
        (HEADER + record(FRAME)[:9], "record 1: the file ends within its header, after 9 of 16 bytes"),
        (HEADER + record(FRAME)[:-1], "record 1: the file ends within it, after 59 of 60 bytes"),
        (HEADER + record(FRAME) + record(FRAME, 1500), "record 2: only 60 of the frame's 1500 bytes were"),
        (HEADER + record(FRAME, 59), "record 1: 60 bytes were captured of a frame of 59"),
        (HEADER + record(b""), "record 1: a frame of no bytes cannot be sent"),
        (HEADER + record(FRAME[:13]), "record 1: 13 bytes are fewer than an Ethernet header has (14)"),
        (HEADER + record(bytes(65551)), "record 1: 65551 bytes; the longest frame there is has 65550"),
        (HEADER + record(b"", 0xFFFFFFFF, 0xFFFFFFFF), "record 1: 4294967295 bytes; the longest frame"),
    ],
)
def test_bad_pcap_files(tmp_path: Path, data: bytes, message: str) -> None:
    """What is wrong with a pcap file is said with the number of the record."""
    assert complaint(tmp_path / "a.pcap", data).startswith(message)


TIMED = struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HHq", 14, 8, 100) + struct.pack("<HH", 0, 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (section()[:6], "a block of 8 bytes"),
        (section()[:20], "the file ends within a block, after 20 of 28 bytes"),
        (block(SHB, b"abcd" + bytes(12)), "a section whose byte order cannot be told"),
        (block(SHB, struct.pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), "version 2.0 of pcapng"),
        (section() + enhanced(FRAME), "record 1: it names interface 0 of 0"),
        (section() + interface(105) + enhanced(FRAME), "record 1: link type 105 (IEEE802 11)"),
        (section() + interface() + enhanced(FRAME, 1), "record 1: it names interface 1 of 1"),
        (section() + interface() + enhanced(FRAME, length=61), "record 1: only 60 of the frame's 61"),
        (section() + interface() + enhanced(b""), "record 1: a frame of no bytes"),
        (section() + interface() + enhanced(FRAME) * 2 + b"\x06\0\0", "a block of 8 bytes"),
        (section() + interface() + enhanced(FRAME)[:-4] + b"\x0c\0\0\0", "record 1: a block says another"),
        (section() + interface() + block(EPB, bytes(8)), "record 1: cannot be understood"),
        (section() + interface() + block(SPB, b""), "record 1: a block of 12 bytes cannot hold a packet"),
        (
            section() + interface(snaplen=20) + block(SPB, struct.pack("<I", 60) + FRAME[:20]),
            "record 1: only 20",
        ),
        (
            section() + interface() + block(SPB, struct.pack("<I", 600) + FRAME),
            "record 1: a block of 76 bytes",
        ),
        (section() + struct.pack("<II", 5, 0xFFFFFFF0), "a block of 4294967280 bytes, which none has"),
        (
            section() + interface() + block(EPB, struct.pack("<IIIII", 0, 0, 0, 400, 400) + FRAME),
            "record 1: ",
        ),
        (
            section()
            + interface()
            + block(EPB, enhanced(FRAME)[8:-4] + struct.pack("<HH", 1, 4) + b"\xff" * 4),
            "record 1: cannot be understood",
        ),
    ],
)
def test_bad_pcapng_files(tmp_path: Path, data: bytes, message: str) -> None:
    """So it is for pcapng, whose packets are counted and whose other blocks are not."""
    text = complaint(tmp_path / "a.pcapng", data)
    assert message in text


def test_pcapng_sections_interfaces_and_simple_packets(tmp_path: Path) -> None:
    """A second section in the other byte order, times from an offset, packets in each kind of block."""
    simple = block(SPB, struct.pack("<I", 60) + FRAME)
    data = section() + interface() + interface(options=TIMED) + block(0xBAD, b"abcd")
    data += (
        simple
        + enhanced(FRAME, number=1, ticks=5)
        + block(2, struct.pack("<HHIIII", 0, 0, 0, 7, 60, 60) + FRAME)
    )
    data += section(">") + interface(order=">") + enhanced(FRAME[::-1], ticks=3, order=">")
    path = tmp_path / "a.pcapng"
    assert frames(path, data) == [FRAME, FRAME, FRAME, FRAME[::-1]]
    with PcapReader(path) as reader:
        assert [each.nanoseconds for each in reader] == [0, 100 * 10**9 + 5, 7000, 3000]


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_every_truncation_is_noticed(tmp_path: Path, suffix: str) -> None:
    """A file cut anywhere but between records is refused, and cut there gives the frames before."""
    if suffix == "pcap":
        data, start, size = HEADER + record(FRAME) * 3, len(HEADER), len(record(FRAME))
    else:
        start, size = len(section() + interface()), len(enhanced(FRAME))
        data = section() + interface() + enhanced(FRAME) * 3
    path = tmp_path / f"a.{suffix}"
    ends = {start + size * count: count for count in range(4)}
    if suffix == "pcapng":
        ends[len(section())] = 0
    for length in range(1, len(data)):
        if length in ends:
            assert len(frames(path, data[:length])) == ends[length]
        else:
            complaint(path, data[:length])


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are one line."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BadInputError, match="cannot be read"):
            PcapReader(path)


def test_scapy_reads_what_is_written(tmp_path: Path) -> None:
    """Another library finds the same frames in a file written here."""
    path = tmp_path / "a.pcap"
    packets = [raw(packet) for packet in varied_packets(10)] + [raw(link() / Raw(bytes(65000)))]
    with PcapWriter(path) as writer:
        writer.write((at, data) for at, data in enumerate(packets))
    assert [data for data, _ in RawPcapReader(str(path))] == packets


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), max_size=4))
def test_damage_is_one_line(tmp_path: Path, plain: bool, damage: list[tuple[int, bytes]]) -> None:
    """Whatever bytes of a file are overwritten or lost, frames come out, or one line."""
    data = bytearray(
        HEADER + record(FRAME) * 3
        if plain
        else section() + interface(options=TIMED) + enhanced(FRAME) * 2 + block(SPB, b"<\0\0\0" + FRAME)
    )
    for at, change in damage:
        at %= len(data)
        data[at : at + 4 if change else at + 1] = change
    message = ""
    try:
        frames(tmp_path / "a.pcap", bytes(data))
    except BadInputError as error:
        message = str(error)
    assert message.count("\n") == 0
