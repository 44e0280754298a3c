"""The recorder: segments that can be read alone, of which nothing is lost that must be kept."""

import ctypes
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringproof.building import build_library, build_program

from .judging import SOURCES, WARNINGS, Log

MIB = 1 << 20
KINDS = dict(re.findall(r"^    RPL_(\w+) = (\d+),", (SOURCES / "record.h").read_text(), re.MULTILINE))
CHECKPOINT, END, TALLIES, PHASE, CHAIN, KICK, STATE = (
    int(KINDS[name])
    for name in ("CHECKPOINT", "CHECKPOINT_END", "TALLIES", "PHASE", "CHAIN", "KICK", "QUEUE_STATE")
)


class _Recorder(ctypes.Structure):
    """struct rpl_recorder."""


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Recorder))
_Recorder._fields_ = [
    ("log", ctypes.POINTER(Log)), ("buffers", ctypes.c_void_p * 2), ("bytes", ctypes.c_size_t),
    ("used", ctypes.c_size_t * 2), ("writing", ctypes.c_uint32), ("keep", ctypes.c_bool),
    ("waiting", ctypes.c_bool), ("open", ctypes.c_bool), ("began", ctypes.c_uint64),
    ("last", ctypes.c_uint64), ("now", ctypes.c_uint64), ("start", ctypes.c_size_t),
    ("checkpoint", _CALLBACK), ("context", ctypes.c_void_p),
]  # fmt: skip


@cache
def _library() -> Any:
    library = ctypes.CDLL(str(build_library([SOURCES / "record.c"], extra_flags=WARNINGS)))
    library.rpl_recorder_init.restype = ctypes.c_bool
    library.rpl_recorder_init.argtypes = (
        ctypes.c_void_p, ctypes.POINTER(Log), ctypes.c_size_t, ctypes.c_bool, _CALLBACK, ctypes.c_void_p,
    )  # fmt: skip
    library.rpl_record_segment.restype = ctypes.c_void_p
    library.rpl_put.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    library.rpl_put64.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
    return library


class Record(NamedTuple):
    """One record as it lies in a segment."""

    kind: int
    queue: int
    delta: int
    payload: bytes


def records(segment: bytes) -> Iterator[Record]:
    """Read a segment, by its description in record.h alone."""
    at = 0
    while at < len(segment):
        kind, queue, length = struct.unpack_from("<BBH", segment, at)
        at += 4
        if length == 0xFFFF:
            (length,) = struct.unpack_from("<I", segment, at)
            at += 4
        (delta,) = struct.unpack_from("<I", segment, at)
        at += 4 + length
        assert at <= len(segment)
        yield Record(kind, queue, delta, segment[at - length : at])


def checkpoint(segment: bytes) -> tuple[int, int, int, list[Record], bytes, list[Record]]:
    """Number, time and version of the checkpoint, what stands in it, its end's payload; and the rest."""
    first, *rest = records(segment)
    assert (first.kind, first.queue, first.delta) == (CHECKPOINT, 0xFF, 0)
    end = next(place for place, record in enumerate(rest) if record.kind == END)
    number, time, version = struct.unpack("<QQH", first.payload)
    return number, time, version, rest[:end], rest[end].payload, rest[end + 1 :]


class Recorder:
    """A recorder with its log; `inside` emits what stands in its checkpoints."""

    def __init__(
        self, keep: bool = False, size: int = 4 * MIB, inside: "Callable[[Recorder], None] | None" = None
    ) -> None:
        self.log = Log()
        self.inner = _Recorder()
        self.at = ctypes.addressof(self.inner)
        self._callback = _CALLBACK(lambda _context, _recorder: inside(self) if inside else None)
        self.made = _library().rpl_recorder_init(
            self.at, ctypes.byref(self.log), size, keep, self._callback, None
        )

    def __enter__(self) -> "Recorder":
        assert self.made
        return self

    def __exit__(self, *_: object) -> None:
        _library().rpl_recorder_free(ctypes.c_void_p(self.at))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *words: getattr(_library(), f"rpl_{name}")(ctypes.c_void_p(self.at), *words)

    def emit(self, payload: bytes = b"", kind: int = KICK, queue: int = 1) -> None:
        """One record."""
        self.record_begin(kind, queue)
        self.put(payload, len(payload))
        self.record_end()

    def segment(self, which: int = 0) -> bytes | None:
        """That one which is whole, if there is one."""
        size = ctypes.c_size_t(1)
        found = self.record_segment(which, ctypes.byref(size))
        assert bool(found) == (size.value > 0)
        return ctypes.string_at(found, size.value) if found else None

    def take(self) -> list[bytes]:
        """All that are whole, which are given up."""
        taken = []
        while segment := self.segment():
            taken.append(segment)
            self.record_taken()
        return taken

    def tell(self, name: str) -> Any:
        """A field of the structure."""
        return getattr(self.inner, name)

    def set_now(self, later: int) -> None:
        """`now`, in microseconds after the beginning."""
        self.inner.now = self.inner.began + later


def test_a_segment_begins_with_a_checkpoint_that_does_not_count() -> None:
    """The callback's records stand in it; the log counts the others, and each has its number when it ends."""
    with Recorder(inside=lambda recorder: recorder.emit(b"state", STATE, 3)) as recorder:
        recorder.log.records = 41
        recorder.set_now(5000)
        recorder.emit(b"one")
        assert recorder.log.records == 42
        recorder.emit(b"two", CHAIN, 7)
        assert recorder.log.records == 43
        assert recorder.segment() is None
        recorder.record_cut()
        segment = recorder.segment()
        assert segment
        number, time, version, inside, end, rest = checkpoint(segment)
        assert (number, time, version, end) == (42, 5000, 1, b"")
        assert inside == [(STATE, 3, 0, b"state")]
        assert rest == [(KICK, 1, 0, b"one"), (CHAIN, 7, 0, b"two")]


def test_numbers_are_little_endian() -> None:
    """Each rpl_put writes as many bytes as its name says."""
    with Recorder() as recorder:
        recorder.record_begin(KICK, 0)
        recorder.put8(0x01)
        recorder.put16(0x0203)
        recorder.put32(0x04050607)
        recorder.put64(0x08090A0B0C0D0E0F)
        recorder.put(None, 0)
        recorder.record_end()
        recorder.record_cut()
        (segment,) = recorder.take()
        assert checkpoint(segment)[5][0].payload.hex() == "010302070605040f0e0d0c0b0a0908"


def test_time_is_told_in_differences() -> None:
    """Microseconds since the record before; backwards is none; what 32 bits don't hold follows later."""
    with Recorder() as recorder:
        for now in (10, 10, 25, 20, 30, 30 + (1 << 33), 30 + (1 << 33), 30 + (1 << 33), 31 + (1 << 33)):
            recorder.set_now(now)
            recorder.emit()
        recorder.record_cut()
        recorder.set_now(50 + (1 << 33))
        recorder.emit()
        recorder.record_cut()
        first, second = recorder.take()
        most = (1 << 32) - 1
        assert [record.delta for record in checkpoint(first)[5]] == [0, 0, 15, 0, 5, most, most, 2, 1]
        assert checkpoint(first)[1] == 10
        assert checkpoint(second)[1] == 50 + (1 << 33)
        assert checkpoint(second)[5][0].delta == 0


@pytest.mark.parametrize("length", [0, 1, 0xFFFE, 0xFFFF, 0x10000, 0x10001, 2 * MIB - 200])
def test_payloads_of_any_length_come_back(length: int) -> None:
    """From 65,535 bytes on the length takes four bytes more; the record after it is whole, too."""
    payload = bytes(n * 7 % 256 for n in range(251)) * (length // 251 + 1)
    with Recorder() as recorder:
        recorder.set_now(3)
        recorder.emit(b"before")
        recorder.set_now(9)
        recorder.emit(payload[:length])
        recorder.emit(b"after")
        recorder.record_cut()
        (segment,) = recorder.take()
        assert [tuple(record) for record in checkpoint(segment)[5]] == [
            (KICK, 1, 0, b"before"), (KICK, 1, 6, payload[:length]), (KICK, 1, 0, b"after"),
        ]  # fmt: skip


def test_the_flight_recorder_keeps_the_newest() -> None:
    """Without `keep` the older of two is written over, nothing waits, and numbers go on without a gap."""
    with Recorder() as recorder:
        for number in range(1, 41):
            recorder.emit(number.to_bytes(4, "little") + bytes(MIB))
            assert not recorder.tell("waiting")
        recorder.record_cut()
        first, second = recorder.take()
        numbers: list[int] = []
        for segment in (first, second):
            told, *_, rest = checkpoint(segment)
            mine = [int.from_bytes(record.payload[:4], "little") for record in rest]
            assert mine[0] == told
            assert 1 < len(segment) <= 4 * MIB
            numbers += mine
        assert numbers == list(range(numbers[0], 41))
        assert len(numbers) > 2
        assert recorder.segment() is None


def test_what_is_kept_waits_and_nothing_is_lost() -> None:
    """With `keep` a full segment waits; if nobody comes the next grows, until it can be handed on."""
    with Recorder(keep=True) as recorder:
        taken: list[bytes] = []
        for number in range(1, 61):
            recorder.emit(number.to_bytes(4, "little") + bytes(MIB // 2))
            if number in (4, 6):
                assert recorder.tell("waiting") == (number == 6)
            if number in (30, 31):
                taken += recorder.take()
                assert not recorder.tell("waiting")
        recorder.record_cut()
        taken += recorder.take()
        assert max(len(segment) for segment in taken) > 8 * MIB
        rests = [(checkpoint(segment)[0], checkpoint(segment)[5]) for segment in taken]
        assert [rest[0].payload[0] for _, rest in rests] == [told for told, _ in rests]
        everything = [record.payload[0] for _, rest in rests for record in rest]
        assert everything == list(range(1, 61))
        assert not recorder.tell("waiting")
        assert recorder.tell("bytes") == 4 * MIB


def test_a_cut_segment_goes_on_while_the_one_before_waits() -> None:
    """With `keep`, a cut makes nothing be lost, and after it both are there, the older first."""
    with Recorder(keep=True) as recorder:
        for number in range(1, 5):
            recorder.emit(bytes([number]) + bytes(MIB))
        assert recorder.tell("waiting")
        recorder.record_cut()
        assert recorder.segment(1)
        recorder.emit(b"\5")
        assert recorder.segment(1) is None
        recorder.record_cut()
        first, second = recorder.segment(0), recorder.segment(1)
        assert first
        assert second
        assert recorder.segment(2) is None
        assert [record.payload[0] for part in (first, second) for record in checkpoint(part)[5]] == [
            1,
            2,
            3,
            4,
            5,
        ]


def test_an_empty_segment_is_none() -> None:
    """Nothing was recorded: nothing is there to take, however often it is cut and taken."""
    with Recorder(keep=True) as recorder:
        for _ in range(3):
            recorder.record_cut()
            assert recorder.take() == []
            recorder.record_taken()
        recorder.emit(b"x")
        recorder.record_cut()
        recorder.record_cut()
        assert len(recorder.take()) == 1
        assert recorder.take() == []


def _stuff(count: int, size: int) -> Callable[[Recorder], None]:
    def inside(recorder: Recorder) -> None:
        for _ in range(count):
            recorder.emit(bytes(size), STATE)

    return inside


def test_a_long_checkpoint_does_not_eat_up_the_recording() -> None:
    """One longer than a segment is whole, and records worth half a segment follow it before the next."""
    with Recorder(inside=_stuff(20, MIB // 2)) as recorder:
        for _ in range(150):
            recorder.emit(bytes(MIB // 16))
        recorder.record_cut()
        first, second = recorder.take()
        for segment in (first, second):
            inside, end, rest = checkpoint(segment)[3:]
            assert (len(inside), end) == (20, b"")
            assert segment is second or sum(len(record.payload) for record in rest) >= 2 * MIB
        assert recorder.log.records == 150


def test_a_checkpoint_without_end_is_cut_and_says_so() -> None:
    """Records beyond 48 MiB are left out whole; CHECKPOINT_END says how many; what follows has room."""
    with Recorder(keep=True, inside=_stuff(40, 2 * MIB)) as recorder:
        for number in range(10):
            recorder.emit(bytes([number]) * MIB)
        recorder.record_cut()
        taken = recorder.take()
        _, _, _, inside, end, rest = checkpoint(taken[0])
        assert len(inside) == 23
        assert end == (40 - 23).to_bytes(4, "little")
        assert len(taken[0]) <= 64 * MIB
        assert rest[0].payload == bytes(MIB)
        assert sum(len(checkpoint(segment)[5]) for segment in taken) == recorder.log.records == 10


def test_what_cannot_be_kept_shows_as_a_gap() -> None:
    """If nobody takes it, records beyond 64 MiB are left out, and the next checkpoint's number shows it."""
    with Recorder(keep=True) as recorder:
        for _ in range(45):
            recorder.emit(bytes(2 * MIB))
        first, second = recorder.segment(0), recorder.take()[0]
        assert first == second
        recorder.record_cut()
        kept = len(checkpoint(first or b"")[5]) + len(checkpoint(recorder.take()[0])[5])
        assert kept < 45 == recorder.log.records
        recorder.emit()
        recorder.record_cut()
        assert checkpoint(recorder.take()[0])[0] == 46


def test_tallies_and_phases_are_records() -> None:
    """TALLIES has every code that was checked, and only those; PHASE has its text."""
    with Recorder() as recorder:
        for code, numbers in ((5, (9, 2, 4, 6, 8)), (95, ((1 << 64) - 1, 1, 2, 3, 4)), (7, (0, 0, 0, 0, 0))):
            tally = recorder.log.tallies[code]
            tally.checked, tally.failed, tally.record, tally.a, tally.b = numbers
        recorder.record_tallies()
        recorder.record_phase(b'{"x": 1}', 8)
        recorder.record_cut()
        (segment,) = recorder.take()
        tallies, phase = checkpoint(segment)[5]
        assert (tallies.kind, tallies.queue, phase) == (TALLIES, 0xFF, (PHASE, 0xFF, 0, b'{"x": 1}'))
        told = list(struct.iter_unpack("<HQQQQQ", tallies.payload))
        assert told == [(5, 9, 2, 4, 6, 8), (95, (1 << 64) - 1, 1, 2, 3, 4)]
        assert recorder.log.records == 2


@pytest.mark.parametrize("size", [0, 1, 4 * MIB - 1, 1 << 62, (1 << 64) - 1])
def test_buffers_that_no_one_can_have_are_refused(size: int) -> None:
    """Less than 4 MiB is too little, and memory has an end; there is nothing to free then, but it may be."""
    recorder = Recorder(size=size)
    assert not recorder.made
    recorder.recorder_free()


@settings(max_examples=40, deadline=None)
@given(
    keep=st.booleans(),
    steps=st.lists(
        st.tuples(st.sampled_from([0, 5, 3000, 0xFFFF, 300_000, 900_000]), st.integers(0, 9)), max_size=60
    ),
)
def test_any_run_can_be_read_in_order(keep: bool, steps: list[tuple[int, int]]) -> None:
    """Whatever the lengths, cuts and takings: with `keep` all comes back in order, else an end of it."""
    sent: list[tuple[int, bytes]] = []
    read: list[tuple[int, bytes]] = []
    with Recorder(keep=keep, inside=_stuff(2, 100)) as recorder:
        for place, (size, action) in enumerate(steps):
            payload = place.to_bytes(2, "little") + bytes(size)
            recorder.emit(payload)
            sent.append((place + 1, payload))
            if action == 0:
                recorder.record_cut()
            if action in (1, 2) or (keep and recorder.tell("waiting")):
                read += _numbered(recorder.take())
        recorder.record_cut()
        read += _numbered(recorder.take())
    if keep:
        assert read == sent
    else:
        assert [number for number, _ in read] == sorted({number for number, _ in read})
        assert all(sent[number - 1] == (number, payload) for number, payload in read)
        assert read[-1:] == sent[-1:]


def _numbered(segments: list[bytes]) -> list[tuple[int, bytes]]:
    found = []
    for segment in segments:
        number, *_, rest = checkpoint(segment)
        found += [(number + place, record.payload) for place, record in enumerate(rest)]
    return found


@pytest.mark.parametrize("keep", ["0", "1"])
def test_nothing_is_written_outside(keep: str) -> None:
    """Sanitizers watch a random run with long checkpoints, cuts, and buffers that grow and shrink."""
    program = build_program(
        [Path(__file__).parent / "recorder" / "stress.c", SOURCES / "record.c"],
        include=(SOURCES,),
        sanitize=("address", "undefined"),
        extra_flags=WARNINGS,
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [program, seed, "6000", keep], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
