"""The file format of recordings: what is read, what is refused, and in which words."""

import re
import struct
import tracemalloc
import zlib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringproof.errors import BadInputError
from ringproof.live.decoding import MalformedError, records_of
from ringproof.live.monitor import Monitor
from ringproof.live.offline import judge
from ringproof.live.recording import MOST, Recording, RecordingError, RecordingWriter
from ringproof.live.records import (
    Chain,
    Checkpoint,
    Kick,
    Kind,
    Phase,
    QueueState,
    Sample,
    Tallies,
    Used,
)
from ringproof.live.tallies import Check, Tally
from tests.live.recording_maker import PLAIN, START, Maker, begun, descriptor, record

HEADERS = Path(__file__).parents[2] / "impl" / "live"


def _enum(header: str, prefix: str, name: str) -> dict[str, int]:
    """The members of one C enum, without their prefix."""
    text = (HEADERS / header).read_text()
    body = re.search(rf"enum {name} \{{(.*?)\n\}};", text, re.DOTALL)
    assert body
    found = re.findall(rf"\b{prefix}(\w+)\s*=\s*(\d+)", re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL))
    return {member: int(number) for member, number in found}


def test_codes_are_those_of_the_header() -> None:
    """The Python names and numbers of checks and records are those of the C side."""
    checks = _enum("findings.h", "RPL_", "rpl_check")
    assert checks.pop("CHECKS") == 96
    assert checks == {code.name: code.value for code in Check}
    assert _enum("record.h", "RPL_", "rpl_kind") == {kind.name: kind.value for kind in Kind}


def test_every_record_is_read() -> None:
    """Each kind of record comes back with the numbers that were put in."""
    chain = [(3, descriptor(0x10000, 60, 1, 4)), (4, descriptor(0x11000, 16))]
    made = (
        begun()
        .sample(1, 1, 65535)
        .chain(0, 3, chain, table=bytes(32), frame=(76, PLAIN[:20]), sum_behind=7, whole=False)
        .kick(2)
        .suppress(1, 2, 3, 0, 5)
        .used(9, 10, (0, 3, 0), flags=1, avail_flags=1)
        .put(15, b"\2", 1)
        .changed(0, 1, 5, b"ab", b"cd", at_once=True)
        .used_changed(2, 3, 4)
        .quiet(77)
        .phase('{"order": "lifo"}')
        .inject(6)
        .stall(5)
        .flow()
        .tallies((Check.CHAIN_LOOP, 5, 2, 9, 1, 2))
        .stop(base=10)
    )
    records = made.records()
    numbers = [entry.number for entry in records]
    assert numbers == [0, 0, 0, *range(1, len(records) - 2)]
    by_type = {type(entry): entry for entry in records}
    read = by_type[Chain]
    assert isinstance(read, Chain)
    assert read.frame is not None
    assert (read.entry, read.slot, read.head, read.carried) == (0, 0, 3, False)
    assert read.descriptors == tuple(chain)
    assert read.table == bytes(32)
    assert (read.frame.size, read.frame.prefix, read.frame.sum, read.frame.whole) == (
        76,
        PLAIN[:20],
        7,
        False,
    )
    assert by_type[Sample] == Sample(8, 0, 1, 1, 1, 65535)
    assert by_type[Used] == Used(12, 0, 1, 9, 10, 1, ((0, 3, 0),), 1, 0)
    told = by_type[Tallies]
    assert isinstance(told, Tallies)
    assert told.tallies == {Check.CHAIN_LOOP: Tally(5, 2, 9, 1, 2)}
    phase = by_type[Phase]
    assert isinstance(phase, Phase)
    assert phase.text == '{"order": "lifo"}'
    assert len(by_type) == 24 - 1  # all but QUEUE_STATE
    state = Maker().state(published=7, armed=5, halted=1, lost_at=3).end().records()[1]
    assert isinstance(state, QueueState)
    assert (state.published, state.armed, state.halted, state.lost_at, state.credit) == (7, 5, True, 3, False)
    with pytest.raises(FrozenInstanceError):
        state.used = 1  # type: ignore[misc]


def test_a_checkpoint_may_lack_records() -> None:
    """A checkpoint of which records were left out says so; it can be gone on from, and not begun with."""
    again = Maker(START + 1).put(2, struct.pack("<I", 3)).kick()
    monitor = Monitor()
    for entry in [*begun().records(), *again.records()]:
        monitor.see(entry)
    assert monitor.records == START + 1
    with pytest.raises(RecordingError, match="no beginning"):
        _all(again.data)


def test_times_add_up() -> None:
    """A record's time counts from the session's beginning, over all before it in the segment."""
    made = Maker(at=1_000).put(2, delta=5).put(12, struct.pack("<Q", 1), 1, delta=7)
    checkpoint, _, kick = made.records()
    assert (checkpoint.at, kick.at, kick.number) == (1_000, 1_012, 1)


def test_a_long_record_is_read() -> None:
    """A payload of more than 65,534 bytes has its length in 32 bits; a short one may have, too."""
    text = "x" * 70_000
    assert isinstance(phase := Maker().end().phase(text).records()[-1], Phase)
    assert phase.text == text
    made = Maker().end()
    made.data += record(12, struct.pack("<Q", 3), 1, long=True)
    assert made.records()[-1] == Kick(1, 0, 1, 3)


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_written_is_read(tmp_path: Path, compress: bool) -> None:
    """Segments come back as they were, compressed or not."""
    path = tmp_path / "a.rpl"
    first, second = begun().sample(1).sent(0, 0), Maker(number=10).end().kick()
    with RecordingWriter(path, compress) as writer:
        writer.add(first.data)
        writer.add(second.data)
    recording = Recording(path)
    assert [segment for _, segment in recording.segments()] == [first.data, second.data]
    assert [entry.number for entry in recording.records()][-4:] == [9, 0, 0, 10]
    assert recording.torn == 0
    last = recording.last_segment()
    assert last is not None
    assert last[1] == second.data


def test_a_torn_file_is_read_to_its_last_whole_segment(tmp_path: Path) -> None:
    """Whatever byte a killed run's file ends at, the whole segments before it are there."""
    path, torn = tmp_path / "a.rpl", tmp_path / "torn.rpl"
    ends = [8]
    with RecordingWriter(path) as writer:
        for number in (1, 11, 21):
            made = Maker(number=number).end()
            for _ in range(10):
                made.kick()
            writer.add(made.data)
            ends.append(path.stat().st_size)
    data = path.read_bytes()
    for length in range(len(data) + 1):
        torn.write_bytes(data[:length])
        whole = sum(end <= length for end in ends) - 1
        if length < 8:
            with pytest.raises(RecordingError, match="byte 0: no recording"):
                Recording(torn)
            continue
        recording = Recording(torn)
        if not whole:
            with pytest.raises(RecordingError, match="no whole segment"):
                list(recording.records())
            continue
        assert sum(isinstance(entry, Kick) for entry in recording.records()) == 10 * whole
        assert recording.torn == length - ends[whole]
        assert judge(torn).records == 10 * whole


def _file(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"RPLIVE01" + b"".join(parts))
    return path


def _segment(data: bytes, flags: int = 0, size: int | None = None, crc: int | None = None) -> bytes:
    raw = len(data) if size is None else size
    return struct.pack("<IIII", flags, raw, len(data), zlib.crc32(data) if crc is None else crc) + data


GOOD = Maker().end().data
REFUSED = {
    "flags": (_segment(GOOD, flags=2), "byte 8: a segment with the flags 0x2"),
    "nothing": (_segment(b""), "byte 8: a segment of 0 bytes"),
    "size": (_segment(GOOD, size=MOST + 1), "byte 8: a segment of 67108865 bytes"),
    "stored": (_segment(GOOD, size=5), "byte 8: a segment of 5 bytes, stored as they are in"),
    "long": (struct.pack("<IIII", 1, 100, 1 << 31, 0), "byte 8: a segment stored in 2147483648 bytes"),
    "crc": (_segment(GOOD, crc=1), "byte 8: the segment that begins here was damaged"),
    "zlib": (_segment(b"nonsense", flags=1, size=100), "byte 8: a segment that can't be decompressed"),
    "announced": (_segment(zlib.compress(GOOD), flags=1, size=10), "doesn't decompress to the 10 bytes"),
    "less": (_segment(zlib.compress(GOOD), flags=1, size=1000), "doesn't decompress to the 1000 bytes"),
    "behind": (_segment(zlib.compress(GOOD) + b"x", flags=1, size=len(GOOD)), "doesn't decompress"),
    "second": (_segment(GOOD) + _segment(GOOD, flags=4), "byte 58: a segment with the flags 0x4"),
    "record": (
        _segment(GOOD + record(99)),
        "byte 8: in the segment that begins here, byte 34: a record of kind 99",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_files_are_refused(tmp_path: Path, name: str) -> None:
    """One line says what is wrong with a file, and at which byte."""
    data, words = REFUSED[name]
    with pytest.raises(RecordingError, match=re.escape(words)) as raised:
        list(Recording(_file(tmp_path / "bad.rpl", data)).records())
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, BadInputError)


MALFORMED = {
    "empty": (b"", 0, "without records"),
    "no checkpoint": (record(12, bytes(8), 1), 0, "begins without a checkpoint"),
    "second checkpoint": (GOOD + Maker().data, 34, "a checkpoint that is not at the segment's beginning"),
    "version": (record(1, struct.pack("<QQH", 1, 0, 9)), 25, "version 9, this program reads version 1"),
    "number": (record(1, struct.pack("<QQH", 0, 0, 1)), 25, "the number 0"),
    "unended": (Maker().data, 26, "ends within its checkpoint"),
    "ended twice": (GOOD + record(2), 34, "a checkpoint ends that didn't begin"),
    "cut head": (GOOD + b"\x0c", 34, "1 bytes left where 4 are due"),
    "cut payload": (GOOD + record(12, bytes(8))[:-1], 34, "a KICK record of 8 bytes, but 7 are left"),
    "short": (GOOD + record(12, bytes(7)), 42, "a KICK record: it has 7 bytes left where 8 are due"),
    "long": (GOOD + record(12, bytes(9)), 50, "a KICK record: 1 bytes too many"),
    "direction": (GOOD + record(7, bytes(30) + b"\2\0"), 73, "a QUEUE_START record: 2 is no direction"),
    "memory": (GOOD + record(5, bytes(17)), 42, "not a multiple of 16"),
    "chain flags": (GOOD + record(11, bytes(12) + b"\2\0\0"), 56, "a chain with the flags 0x2"),
    "table": (GOOD + record(11, bytes(15) + struct.pack("<I", 8)), 60, "no whole entries"),
    "huge table": (GOOD + record(11, bytes(15) + struct.pack("<I", 1 << 31)), 60, "more than are ever kept"),
    "prefix": (GOOD + record(11, bytes(19) + struct.pack("<QH", 1, 2)), 70, "a prefix of 2 bytes of"),
    "where": (GOOD + record(16, bytes(8) + b"\2" + bytes(6)), 56, "a change at a place of kind 2"),
    "interrupt": (GOOD + record(15, b"\3"), 42, "3 is no reason"),
    "utf-8": (GOOD + record(19, b"a\xff"), 43, "not UTF-8"),
    "code": (GOOD + record(23, struct.pack("<HQQQQQ", 24, 0, 0, 0, 0, 0)), 42, "a tally of 24, which"),
    "twice": (GOOD + record(23, 2 * struct.pack("<HQQQQQ", 1, 0, 0, 0, 0, 0)), 84, "two tallies of"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_segments_are_refused(name: str) -> None:
    """One line says what is wrong with a record, and at which byte of the segment."""
    data, byte, words = MALFORMED[name]
    with pytest.raises(MalformedError, match=re.escape(words)) as raised:
        list(records_of(data))
    assert raised.value.byte == byte


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A segment that would unpack to far more than it announces needs no memory for that."""
    bomb = zlib.compress(bytes(200 << 20), 9)
    path = _file(tmp_path / "bomb.rpl", _segment(bomb, flags=1, size=1_000))
    tracemalloc.start()
    with pytest.raises(RecordingError, match="doesn't decompress to the 1000 bytes"):
        list(Recording(path).records())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_memory_is_that_of_a_segment_or_two(tmp_path: Path) -> None:
    """A recording of many segments needs no more memory than one of few."""
    path = tmp_path / "long.rpl"
    peaks = []
    for count in (2, 12):
        with RecordingWriter(path) as writer:
            for place in range(count):
                made = Maker(number=1 + 100 * place).end()
                made.data += 100 * record(19, b'"' + bytes(2_000))
                writer.add(made.data)
        tracemalloc.start()
        assert sum(1 for _ in Recording(path).records()) == 102 * count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """A file that is not there, a folder, and a place that can't be written: one line each."""
    with pytest.raises(RecordingError, match=r"none\.rpl: can't be read: No such file"):
        Recording(tmp_path / "none.rpl")
    with pytest.raises(RecordingError, match="can't be read: Is a directory"):
        Recording(tmp_path)
    with pytest.raises(RecordingError, match="can't be written: No such file"):
        RecordingWriter(tmp_path / "no" / "a.rpl")
    with (
        pytest.raises(RecordingError, match="can't be written: No space left"),
        RecordingWriter(Path("/dev/full")),
    ):
        pass
    with RecordingWriter(tmp_path / "a.rpl") as writer, pytest.raises(ValueError, match="1 to 67108864"):
        writer.add(b"")


def _told(error: Exception) -> None:
    """One line."""
    assert "\n" not in str(error)


def _all(data: bytes) -> None:
    """Reads and judges whatever it is."""
    monitor = Monitor()
    for entry in records_of(data):
        monitor.see(entry)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_records_or_an_error(data: bytes) -> None:
    """No bytes make the reader or the monitor fail otherwise than by saying what is wrong."""
    for before in (b"", GOOD):
        try:
            _all(before + data)
        except (MalformedError, RecordingError) as error:
            _told(error)


WELL = (
    begun(1 << 32 | 1 << 29 | 1 << 28)
    .sample(1)
    .chain(0, 2, [(2, descriptor(0x20000, 32, 4))], table=2 * descriptor(0x10000, 40), frame=(40, bytes(40)))
    .kick()
    .suppress(0, 1, 2)
    .sent(1, 3)
    .used(0, 1, (0, 2, 0))
    .quiet()
    .tallies((1, 1, 0, 0, 0, 0))
    .stop()
    .data
)


@given(st.lists(st.tuples(st.integers(0, len(WELL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=500, deadline=None)
def test_damaged_recordings_are_judged_or_refused(damage: list[tuple[int, int]]) -> None:
    """A good segment with some bytes changed is judged, or refused in one line."""
    data = bytearray(WELL)
    for place, value in damage:
        data[place] = value
    try:
        _all(bytes(data))
    except (MalformedError, RecordingError) as error:
        _told(error)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_files_are_read_or_refused(tmp_path: Path, data: bytes, segmented: bool) -> None:
    """A file of random bytes, also behind a right beginning, is read or refused in one line."""
    path = tmp_path / "random.rpl"
    path.write_bytes((b"RPLIVE01" + _segment(GOOD) if segmented else b"") + data)
    try:
        for entry in Recording(path).records():
            assert isinstance(entry, Checkpoint) or entry.number >= 0
    except RecordingError as error:
        _told(error)
