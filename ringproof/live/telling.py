"""What a recording holds around one record, a line for each: what shows a failure to people."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..traces.folding import printable
from .decoding import MalformedError, records_of
from .record_words import RecordWords
from .recording import Recording
from .records import NO_QUEUE, Checkpoint, Record, RecordingError

_WIDEST = 160
MARK = ">"


def excerpt(
    source: Path | Iterable[Record],
    around: int,
    queue: int | None = None,
    before: int = 12,
    after: int = 4,
) -> list[str]:
    """The record number ``around`` in words, with up to ``before`` and ``after`` others; a mark shows it.

    ``source`` is a recording's path, or records that begin with a checkpoint. With ``queue`` only what
    concerns that queue, or all of them, is told besides. Each line is safe for a terminal and has at most
    160 characters. No lines if there is no such record. Raises RecordingError if the file can't be read.
    """
    records = _near(source, around) if isinstance(source, Path) else source
    words_of = RecordWords()
    earlier: deque[str] = deque(maxlen=before)
    lines: list[str] = []
    left = after
    for record in records:
        words = words_of.told(record)
        if words is None:
            continue
        if record.number == around:
            lines = [*earlier, _line(record, words, MARK)]
            if not left:
                break
            continue
        if queue is not None and record.queue not in (queue, NO_QUEUE):
            continue
        line = _line(record, words, " ")
        if not lines:
            if record.number > around:
                break  # It is missing: the device didn't keep it.
            earlier.append(line)
        else:
            lines.append(line)
            left -= 1
            if not left:
                break
    return lines


def _line(record: Record, words: str, mark: str) -> str:
    where = "" if record.queue == NO_QUEUE else f"queue {record.queue}: "
    line = printable(f"{mark} {record.number:>7} {record.at / 1e6:>11.6f} s  {where}{words}")
    return line if len(line) <= _WIDEST else line[: _WIDEST - 3] + "..."


def _near(path: Path, around: int) -> Iterator[Record]:
    """The records of the segment that should hold the one asked for, of that before it, and of all behind."""
    held: deque[tuple[int, bytes]] = deque(maxlen=2)
    passed = False
    for at, segment in Recording(path).segments():
        if not passed and _begins_with(path, at, segment) > around:
            passed = True
            for earlier in held:
                yield from _read(path, *earlier)
            held.clear()
        if passed:
            yield from _read(path, at, segment)
        else:
            held.append((at, segment))
    for earlier in held:
        yield from _read(path, *earlier)


def _begins_with(path: Path, at: int, segment: bytes) -> int:
    """The number of a segment's first record behind its checkpoint."""
    first = next(_read(path, at, segment))
    assert isinstance(first, Checkpoint)
    return first.next_number


def _read(path: Path, at: int, segment: bytes) -> Iterator[Record]:
    try:
        yield from records_of(segment)
    except MalformedError as error:
        where = f"in the segment that begins here, byte {error.byte}: {error.what}"
        raise RecordingError(f"{path}: byte {at}: {where}") from None
