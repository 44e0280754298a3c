"""Files of recordings: what a live run rests on, in segments that can each be read without those before.

A file is the 8 bytes `RPLIVE01`, then segments: u32 flags (1: compressed by zlib), u32 bytes of its records,
u32 bytes stored, u32 CRC-32 of the stored bytes, then those; numbers are little endian. What a segment's
records are says `decoding`. Only whole segments are ever written, one by one, so what a run that was killed
leaves behind can be read up to the last whole one. Memory is bounded by a segment, whatever the file's size.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import IO, Self

from .decoding import MalformedError, records_of
from .records import Record, RecordingError

__all__ = ["MAGIC", "MOST", "Recording", "RecordingError", "RecordingWriter"]

MAGIC = b"RPLIVE01"
MOST = 64 << 20
"""Bytes of records in one segment, at most."""
_COMPRESSED = 1
_HEAD = Struct("<IIII")
_STORED_MOST = MOST + (MOST >> 8) + 64
"""What zlib makes of MOST bytes that cannot be made shorter is surely below that."""


class RecordingWriter:
    """Writes a recording to ``path``, replacing what is there. Raises RecordingError if that fails.

    As a context manager it is closed at the block's end. A segment is handed to the system at once, so that
    nothing of it is lost if the process is killed later.
    """

    def __init__(self, path: Path, compress: bool = True) -> None:
        self._path = path
        self._compress = compress
        self._file: IO[bytes]
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise self._failed(error) from None
        self._write(MAGIC)

    def add(self, segment: bytes) -> None:
        """One segment, as the device recorded it: 1 to MOST bytes."""
        if not 0 < len(segment) <= MOST:
            raise ValueError(f"a segment has 1 to {MOST} bytes, not {len(segment)}")
        stored, flags = bytes(segment), 0
        if self._compress:
            packed = zlib.compress(stored, 1)
            if len(packed) < len(stored):
                stored, flags = packed, _COMPRESSED
        self._write(_HEAD.pack(flags, len(segment), len(stored), zlib.crc32(stored)) + stored)

    def close(self) -> None:
        """Nothing can be added after this; may be called twice."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> RecordingError:
        return RecordingError(f"{self._path}: the recording can't be written: {error.strerror or error}")


class Recording:
    """A recording in a file, read a segment at a time, as often as one likes.

    After `segments` or `records` has come to its end, ``torn`` says how many bytes at the file's end are no
    whole segment: the run was killed while it wrote them, and what they told is lost. Whatever else is wrong
    raises RecordingError, which names the byte.
    """

    def __init__(self, path: Path) -> None:
        """Raises RecordingError if there is no recording at ``path``."""
        self.path = path
        self.torn = 0
        with self._open() as file:
            self._begin(file)

    def segments(self) -> Iterator[tuple[int, bytes]]:
        """Of each whole segment the byte of the file at which it begins, and the bytes of its records."""
        self.torn = 0
        with self._open() as file:
            self._begin(file)
            at = len(MAGIC)
            while head := self._read(file, _HEAD.size):
                if len(head) < _HEAD.size:
                    self.torn = len(head)
                    return
                flags, size, count, crc = _HEAD.unpack(head)
                self._check_head(at, flags, size, count)
                stored = self._read(file, count)
                if len(stored) < count:
                    self.torn = len(head) + len(stored)
                    return
                if zlib.crc32(stored) != crc:
                    raise self._wrong(at, "the segment that begins here was damaged: its checksum is another")
                yield at, self._unpacked(at, stored, size) if flags else stored
                del stored
                at += _HEAD.size + count

    def records(self) -> Iterator[Record]:
        """All records; a `Checkpoint` is the first of each segment."""
        there = False
        for at, segment in self.segments():
            there = True
            try:
                yield from records_of(segment)
            except MalformedError as error:
                where = f"in the segment that begins here, byte {error.byte}: {error.what}"
                raise self._wrong(at, where) from None
        if not there:
            raise RecordingError(f"{self.path}: the recording holds no whole segment")

    def last_segment(self) -> tuple[int, bytes] | None:
        """The last whole segment, as `segments` gives it; None if there is none."""
        last = None
        for last in self.segments():  # noqa: B007 - the last one is wanted
            pass
        return last

    def _open(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise RecordingError(f"{self.path}: can't be read: {error.strerror or error}") from None

    def _begin(self, file: IO[bytes]) -> None:
        if self._read(file, len(MAGIC)) != MAGIC:
            raise self._wrong(0, "no recording of a live run begins like this")

    def _read(self, file: IO[bytes], count: int) -> bytes:
        try:
            return file.read(count)
        except OSError as error:
            raise RecordingError(f"{self.path}: can't be read: {error.strerror or error}") from None

    def _check_head(self, at: int, flags: int, size: int, count: int) -> None:
        if flags not in (0, _COMPRESSED):
            raise self._wrong(at, f"a segment with the flags {flags:#x}, which this program doesn't know")
        if not 0 < size <= MOST:
            raise self._wrong(at, f"a segment of {size} bytes, where 1 to {MOST} are possible")
        if not flags and count != size:
            raise self._wrong(at, f"a segment of {size} bytes, stored as they are in {count}")
        if count > _STORED_MOST:
            raise self._wrong(at, f"a segment stored in {count} bytes, more than it can need")

    def _unpacked(self, at: int, stored: bytes, size: int) -> bytes:
        unpacking = zlib.decompressobj()
        try:
            data = unpacking.decompress(stored, size + 1)
        except zlib.error:
            raise self._wrong(at, "a segment that can't be decompressed") from None
        if len(data) != size or not unpacking.eof or unpacking.unused_data:
            raise self._wrong(at, f"a segment that doesn't decompress to the {size} bytes it announces")
        return data

    def _wrong(self, at: int, what: str) -> RecordingError:
        return RecordingError(f"{self.path}: byte {at}: {what}")
