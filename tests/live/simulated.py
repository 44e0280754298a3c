"""A driver played by a test: it writes a split ring into shared memory, and the C queue is its device.

Memory begins at guest address MEMORY. Time is the test's: it passes in `Ring.serve` only.
"""

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ringproof.building import build_library
from ringproof.live.decoding import records_of
from ringproof.live.monitor import Monitor
from ringproof.live.records import CheckpointEnd, Record, Tallies

from .judging import CODES, SOURCES, VERSION_1, Log

ANY_LAYOUT, INDIRECT, EVENT_IDX, IN_ORDER = 1 << 27, 1 << 28, 1 << 29, 1 << 35
NEXT, WRITE, TABLE = 1, 2, 4
MEMORY, BYTES = 0x100000, 2 << 20
BUFFERS = 0x100000  # from the memory's begin; one of 2048 bytes for each descriptor
TABLES = 0x180000
PLAIN = bytes(12) + b"\xff" * 6 + bytes(6) + b"\x88\xb5" + bytes(50)
"""A header that asks for nothing, and a frame of no known kind."""
WARNINGS = ("-Wall", "-Wextra", "-Werror")
FILES = (
    "guest", "queue", "notice", "walk", "chains", "held", "completing", "delivering", "hostile", "service",
    "record", "frame", "features", "packet",
)  # fmt: skip
RECORD_TALLIES, RECORD_FEATURES, RECORD_MEMORY, RECORD_OPTIONS = 23, 4, 5, 3


class Setup(ctypes.Structure):
    """struct rpl_queue_setup."""

    _fields_ = [
        ("size", ctypes.c_uint32),
        ("desc", ctypes.c_uint64),
        ("avail", ctypes.c_uint64),
        ("used", ctypes.c_uint64),
        ("base", ctypes.c_uint16),
        ("features", ctypes.c_uint64),
        ("sends", ctypes.c_bool),
        ("mtu", ctypes.c_uint32),
    ]
    size: int
    desc: int
    avail: int
    used: int


class Behaviour(ctypes.Structure):
    """struct rpl_behaviour."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            "order", "batch", "hold_us", "keep", "release_us", "suppress", "event", "interrupts", "distract",
            "poll", "total", "seed",
        )
    ]  # fmt: skip


class Counts(ctypes.Structure):
    """struct rpl_queue_counts."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in ("chains", "bytes", "completed", "kicks", "interrupts", "epochs", "wraps")
    ]


CHECKPOINT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
WANTED = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
SINK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)


@cache
def library() -> Any:
    """Return queue, memory, recorder and judges, built."""
    return declare(build_library([SOURCES / f"{name}.c" for name in FILES], extra_flags=WARNINGS))


def declare(path: Path) -> Any:
    """Return the library with the types of what is called."""
    it = ctypes.CDLL(str(path))
    pointer, u16, u32, u64 = ctypes.c_void_p, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64
    flag, number = ctypes.c_bool, ctypes.c_int
    for name, result, *arguments in (
        ("guest_init", None, pointer),
        ("guest_clear", None, pointer),
        ("guest_add", number, pointer, u64, u64, u64, u64, number),
        ("guest_remove", number, pointer, u64, u64, u64),
        ("guest_set_log", number, pointer, u64, u64, number),
        ("guest_at", pointer, pointer, u64, u64),
        ("guest_covers", flag, pointer, u64, u64),
        ("guest_read", flag, pointer, u64, pointer, u64),
        ("guest_write", flag, pointer, u64, ctypes.c_char_p, u64),
        ("guest_from_user", u64, pointer, u64, ctypes.POINTER(u64)),
        ("guest_dirty", None, pointer, u64, u64),
        ("recorder_init", flag, pointer, ctypes.POINTER(Log), ctypes.c_size_t, flag, CHECKPOINT, pointer),
        ("recorder_free", None, pointer),
        ("record_begin", None, pointer, number, ctypes.c_uint8),
        ("record_end", None, pointer),
        ("put", None, pointer, ctypes.c_char_p, ctypes.c_size_t),
        ("record_tallies", None, pointer),
        ("record_cut", None, pointer),
        ("record_segment", pointer, pointer, u32, ctypes.POINTER(ctypes.c_size_t)),
        ("record_taken", None, pointer),
        ("queue_new", pointer, ctypes.c_uint8, pointer, ctypes.POINTER(Log), pointer),
        ("queue_free", None, pointer),
        ("queue_start", flag, pointer, ctypes.POINTER(Setup)),
        ("queue_stop", u16, pointer),
        ("queue_runs", flag, pointer),
        ("queue_enable", None, pointer, flag),
        ("queue_set_call", None, pointer, number),
        ("queue_behave", None, pointer, ctypes.POINTER(Behaviour)),
        ("queue_inject", None, pointer, number),
        ("queue_injected", flag, pointer),
        ("queue_kicked", None, pointer, u64),
        ("queue_service", flag, pointer, u64, u32, u32),
        ("queue_wait", u32, pointer, u64),
        ("queue_deliver", flag, pointer, ctypes.c_char_p, u32),
        ("queue_sink", None, pointer, WANTED, SINK, pointer),
        ("queue_counts", None, pointer, ctypes.POINTER(Counts)),
        ("queue_checkpoint", None, pointer, pointer),
        ("queue_published", u64, pointer),
        ("queue_outstanding", u32, pointer),
    ):
        function = getattr(it, f"rpl_{name}")
        function.restype, function.argtypes = result, arguments
    return it


class Ring:
    """A driver's memory, its one queue, and the device behind it; `size` descriptors."""

    def __init__(
        self,
        size: int = 8,
        features: int = VERSION_1,
        base: int = 0,
        sends: bool = True,
        start: bool = True,
        enable: bool = True,
        lib: Any = None,
        **behaviour: int,
    ) -> None:
        self.lib = lib or library()
        self.size, self.features, self.base, self.sends = size, features, base, sends
        self.file = os.memfd_create("guest")
        os.ftruncate(self.file, BYTES)
        self.memory = mmap.mmap(self.file, BYTES)
        self.desc = 0
        self.avail = 16 * size
        self.used = (self.avail + 6 + 2 * size + 4095) & ~4095
        self.guest = ctypes.create_string_buffer(8192)
        self.recorder = ctypes.create_string_buffer(1024)
        self.log = Log()
        self.queue: int | None = None
        self.call = os.eventfd(0, os.EFD_NONBLOCK)
        self.now, self.patience = 10**9, 100
        self.segments: list[bytes] = []
        self.running = True
        self.idx = base
        self.setup = Setup(
            size, MEMORY + self.desc, MEMORY + self.avail, MEMORY + self.used, base, features, sends, 1500
        )
        self._callback = CHECKPOINT(self._checkpoint)
        self.lib.rpl_guest_init(self.guest)
        assert self.lib.rpl_guest_add(self.guest, MEMORY, 0x7F0000000000, BYTES, 0, self.file) == 0
        assert self.lib.rpl_recorder_init(self.recorder, self.log, 4 << 20, True, self._callback, None)
        self.queue = self.lib.rpl_queue_new(1, self.guest, self.log, self.recorder)
        self.lib.rpl_queue_set_call(self.queue, self.call)
        self.behave(**behaviour)
        self.set16(self.avail + 2, base)
        self.set16(self.used + 2, base)
        if enable:
            self.lib.rpl_queue_enable(self.queue, True)
        if start:
            assert self.start()

    # The device.

    def start(self) -> bool:
        """Start the queue as `setup` says."""
        done: bool = self.lib.rpl_queue_start(self.queue, self.setup)
        return done

    def behave(self, **behaviour: int) -> None:
        """Behave so from now on."""
        self.lib.rpl_queue_behave(self.queue, Behaviour(**behaviour))

    def serve(self, ms: float = 0, turns: int = 64) -> int:
        """Let the device have turns until it wants none, after that time; how many it took."""
        self.now += int(ms * 1000)
        for turn in range(turns):
            if not self.lib.rpl_queue_service(self.queue, self.now, 256, self.patience):
                return turn + 1
            if len(self.segments) < self.log.records >> 12:
                self._collect()
        return turns

    def pass_time(self, ms: int, step: int = 5) -> None:
        """Let that time pass, with turns in between."""
        for _ in range(0, ms, step):
            self.serve(step)

    def stop(self) -> int:
        """Stop the queue; the base it answers."""
        base: int = self.lib.rpl_queue_stop(self.queue)
        return base

    def counts(self) -> Counts:
        """Return what is counted for people."""
        counts = Counts()
        self.lib.rpl_queue_counts(self.queue, counts)
        return counts

    def outstanding(self) -> int:
        """Return how many chains are out."""
        out: int = self.lib.rpl_queue_outstanding(self.queue)
        return out

    def interrupts(self) -> int:
        """Return how many interrupts came since this was last asked."""
        try:
            return os.eventfd_read(self.call)
        except BlockingIOError:
            return 0

    # The driver.

    def get16(self, at: int) -> int:
        """Read a word of memory."""
        word: int = struct.unpack_from("<H", self.memory, at)[0]
        return word

    def set16(self, at: int, value: int) -> None:
        """Write a word of memory."""
        struct.pack_into("<H", self.memory, at, value & 0xFFFF)

    def buffer(self, index: int) -> int:
        """Return the guest address of a descriptor's buffer."""
        return MEMORY + BUFFERS + 2048 * (index % 128)

    def write(self, address: int, data: bytes) -> None:
        """Write at a guest address."""
        self.memory[address - MEMORY : address - MEMORY + len(data)] = data

    def descriptor(
        self, index: int, length: int = 76, flags: int = 0, following: int = 0, address: int | None = None
    ) -> None:
        """Write a descriptor; without an address its own buffer, which gets a plain frame with a header."""
        if address is None:
            address = self.buffer(index)
            self.write(address, PLAIN)
        struct.pack_into("<QIHH", self.memory, self.desc + 16 * index, address, length, flags, following)

    def table(self, index: int, *entries: tuple[int, int, int, int], place: int = TABLES) -> None:
        """Write an indirect table, and the descriptor that has it."""
        for number, entry in enumerate(entries):
            struct.pack_into("<QIHH", self.memory, place + 16 * number, *entry)
        self.descriptor(index, 16 * len(entries), TABLE, 0, MEMORY + place)

    def add(self, head: int) -> None:
        """Put a head into the available ring; it isn't published yet."""
        self.set16(self.avail + 4 + 2 * (self.idx % self.size), head)
        self.idx = (self.idx + 1) & 0xFFFF

    def publish(self, *heads: int, kicks: int = 1) -> None:
        """Add heads, store avail_idx, and kick."""
        for head in heads:
            self.add(head)
        self.set16(self.avail + 2, self.idx)
        if kicks:
            self.lib.rpl_queue_kicked(self.queue, kicks)

    def send(self, *indices: int, kicks: int = 1) -> None:
        """Publish chains of one descriptor each, kick, and let the device work."""
        for index in indices:
            self.descriptor(index, len(PLAIN))
        self.publish(*indices, kicks=kicks)
        self.serve()

    @property
    def used_idx(self) -> int:
        """Where the device's index is."""
        return self.get16(self.used + 2)

    def completed(self, first: int = 0) -> list[tuple[int, int]]:
        """Return id and length of the used entries from `first` (0: the base) on."""
        entries = range(first, (self.used_idx - self.base) & 0xFFFF)
        places = (self.used + 4 + 8 * ((self.base + entry) % self.size) for entry in entries)
        return [struct.unpack_from("<II", self.memory, place) for place in places]

    # What came of it.

    def failed(self) -> set[str]:
        """Return the names of what failed, once the offline monitor has come to the same."""
        self.compare()
        return self.log.failed()

    def told(self, name: str) -> tuple[int, int]:
        """Return the two numbers of a failure."""
        tally = self.log[name]
        assert tally.failed
        return tally.a, tally.b

    def records(self) -> list[Record]:
        """Return all records but the checkpoints', as far as they go."""
        self._collect()
        records: list[Record] = []
        for segment in self.segments:
            inside = True
            for record in records_of(segment):
                if not inside:
                    records.append(record)
                elif isinstance(record, CheckpointEnd):
                    inside = False
        return [record for record in records if not isinstance(record, Tallies)]

    def compare(self) -> None:
        """Judge the recording by the Python monitor, from each segment on: it must come to what C came to."""
        self._collect()
        for first in {0, len(self.segments) // 2}:
            monitor = Monitor()
            for segment in self.segments[first:]:
                for record in records_of(segment):
                    monitor.see(record)
            assert monitor.differences == []
            assert monitor.drifts == []
            for code, tally in monitor.tallies.items():
                mine = self.log.tallies[code]
                assert (tally.checked, tally.failed) == (mine.checked, mine.failed), code.name

    def _collect(self) -> None:
        self.lib.rpl_record_tallies(self.recorder)
        self.lib.rpl_record_cut(self.recorder)
        size = ctypes.c_size_t()
        while at := self.lib.rpl_record_segment(self.recorder, 0, size):
            self.segments.append(ctypes.string_at(at, size.value))
            self.lib.rpl_record_taken(self.recorder)

    def _record(self, kind: int, payload: bytes) -> None:
        self.lib.rpl_record_begin(self.recorder, kind, 0xFF)
        self.lib.rpl_put(self.recorder, payload, len(payload))
        self.lib.rpl_record_end(self.recorder)

    def _checkpoint(self, _context: object, _recorder: object) -> None:
        self._record(RECORD_OPTIONS, struct.pack("<QIH", self.features, self.patience, 1500))
        self._record(RECORD_FEATURES, struct.pack("<QB", self.features, 0))
        self._record(RECORD_MEMORY, struct.pack("<QQ", MEMORY, BYTES))
        if self.queue is not None:
            self.lib.rpl_queue_checkpoint(self.queue, self.recorder)
        self.lib.rpl_record_tallies(self.recorder)

    def close(self) -> None:
        """Give everything back."""
        self.lib.rpl_queue_free(self.queue)
        self.queue = None
        self.lib.rpl_recorder_free(self.recorder)
        self.lib.rpl_guest_clear(self.guest)
        self.memory.close()
        os.close(self.file)
        os.close(self.call)


@contextmanager
def ring(size: int = 8, **how: Any) -> Iterator[Ring]:
    """A driver and its device, for the time of a test."""
    made = Ring(size, **how)
    try:
        yield made
    finally:
        made.close()


__all__ = [
    "ANY_LAYOUT", "BUFFERS", "BYTES", "CODES", "EVENT_IDX", "INDIRECT", "IN_ORDER", "MEMORY", "NEXT", "PLAIN",
    "TABLE", "TABLES", "VERSION_1", "WRITE", "Behaviour", "Ring", "declare", "library", "ring",
]  # fmt: skip
