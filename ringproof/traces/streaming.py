"""Traces longer than memory: written a state at a time, and read a state at a time.

A file that is written so is the same, byte for byte, as that of a document that was whole in memory, and any
document can be read so. ``#meta`` stands before the states and holds the operations; a writer that learns of
them one by one keeps both in scratch files until the end, and so needs room for the file twice.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, TypeVar

import ijson

from ..impl.harness.operations import Op
from . import itf
from .itf import ItfReader, TraceError, TraceState
from .reading import UNKNOWN, DocumentReader

_CHUNK = 1 << 16
_STATES_BEGIN = b'"states": [\n'
_OPERATIONS = "operations"
_LONGEST_NUMBER = 4_000  # digits; Python itself reads no more than 4,300
_MANY_DIGITS = b"0" * _LONGEST_NUMBER
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789" else byte for byte in range(256))
_LONG_NUMBER = re.compile(rb"[\s,:\[]-?[0-9]{%d}" % _LONGEST_NUMBER)
_RAW_CONTROL = re.compile(rb"\x7f|\xc2[\x80-\x9f]")
_ESCAPE = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.", re.DOTALL)
_CONTROL = re.compile(rb"\\[bfr]|\\u00(?:0[0-8b-fB-F]|1.|7[fF]|[89].)")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]..\Z", re.DOTALL)
_LONGEST_ESCAPE = 12  # bytes

Head = TypeVar("Head")


class TraceWriter:
    """Writes a document to ``path``, of which the states come one at a time.

    ``meta`` is what a document's ``meta()`` gives; it is written when the block ends, so what is known only
    then may still be entered. Its "operations", if it has any, are replaced by those given with the states.
    As a context manager: left well, the file is there whole; left by an exception, nothing is. Memory does
    not grow with the states. Raises TraceError when it cannot be written.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        """The folder of ``path`` is there."""
        self.meta = dict(meta)
        self.count = 0
        """How many states were added."""
        self._path = path
        self._names: list[str] = []
        self._states: IO[bytes]
        self._operations: IO[bytes]

    def __enter__(self) -> "TraceWriter":
        with _written(self._path):
            self._states = tempfile.TemporaryFile(dir=self._path.parent)
            self._operations = tempfile.TemporaryFile(dir=self._path.parent)
        return self

    def add(self, state: TraceState, op: Op | None = None) -> None:
        """Add a state, with the operation that leads to it (none for the first).

        Raises ValueError for a state of other variables than the first, and for one that should have had an
        operation or should not.
        """
        names = itf.variables(state)
        if not self.count:
            self._names = names
        elif names != self._names and set(names) != set(self._names):
            raise ValueError(f"state {self.count} has other variables than the first")
        if (op is None) == (bool(self.count) and _OPERATIONS in self.meta):
            raise ValueError(f"state {self.count} comes {'without' if op is None else 'with'} an operation")
        with _written(self._path):
            self._states.write(b",\n  " if self.count else b"  ")
            self._states.write(json.dumps(itf.state_json(self.count, state)).encode())
            if op is not None:
                numbers = ",\n   ".join(str(number) for number in op)
                self._operations.write(b",\n" if self.count > 1 else b"")
                self._operations.write(f"  [\n   {numbers}\n  ]".encode())
        self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._states, self._operations:
            if kind is None:
                self._write()

    def _write(self) -> None:
        if not self.count:
            raise ValueError("a trace has at least one state")
        with itf.replacing(self._path) as file:
            file.write(b'{"#meta": ')
            self._write_meta(file)
            file.write(b',\n"params": [],\n"vars": ' + json.dumps(self._names).encode())
            file.write(b',\n"states": [\n')
            self._states.seek(0)
            shutil.copyfileobj(self._states, file, _CHUNK)
            file.write(b"\n]}\n")

    def _write_meta(self, file: IO[bytes]) -> None:
        """What ``json.dumps`` with an indent of 1 makes of ``meta``, with the operations in their place."""
        if _OPERATIONS not in self.meta or self.count < 2:
            given = self.meta | ({_OPERATIONS: []} if _OPERATIONS in self.meta else {})
            file.write(json.dumps(given, indent=1).encode())
            return
        keys = list(self.meta)
        at = keys.index(_OPERATIONS)
        before = {key: self.meta[key] for key in keys[:at]}
        after = {key: self.meta[key] for key in keys[at + 1 :]}
        head = json.dumps(before, indent=1)[:-2] + ",\n" if before else "{\n"
        tail = ",\n" + json.dumps(after, indent=1)[2:] if after else "\n}"
        file.write(f'{head} "{_OPERATIONS}": [\n'.encode())
        self._operations.seek(0)
        shutil.copyfileobj(self._operations, file, _CHUNK)
        file.write(f"\n ]{tail}".encode())


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TraceError(f"{path}: cannot be written: {error.strerror}") from None


class TraceStream(ItfReader, Generic[Head]):
    """A document in a file, read strictly and a part at a time; memory does not grow with the states.

    ``head`` is the document without operations and states, ``length`` the number of its operations (None for
    a kind that has none). Frames of a network driver are part of the head.
    """

    def __init__(self, path: Path, readers: Mapping[str, type[DocumentReader[Head]]]) -> None:
        """Read the head; ``readers`` has one for each kind. Raises TraceError."""
        super().__init__(str(path))
        self._path = path
        found, names, length = self._scanned()
        _, meta = self._own({"#meta": found}, max(reader.version for reader in readers.values()))
        kind = self._one_of(meta.get("kind"), "#meta.kind", tuple(readers))
        self._reader = readers[kind](str(path))
        self.length: int | None = length if self._reader.replays else None
        try:
            self._own({"#meta": found}, self._reader.version)
            if self._reader.replays:
                self._list(meta.get(_OPERATIONS), "#meta.operations")
            self.head: Head = self._reader.head(meta, UNKNOWN if self.length is None else self.length)
            self.names = self._names(names)
        except RecursionError:
            raise self._fail("#meta", "values are nested too deeply") from None

    def operations(self) -> Iterator[Op]:
        """Each operation in turn. Raises TraceError at one that cannot be asked."""
        with self._opened("#meta.operations") as file:
            operations = islice(ijson.items(file, "#meta.operations.item"), self.length or 0)
            yield from self._reader.operations(operations, self.head)

    def states(self) -> Iterator[TraceState]:
        """Each state in turn.

        Raises TraceError at the first that is malformed, naming it, and at the end of a file that is
        truncated or has not as many states as operations.
        """
        at = 0
        with self._opened("states") as file:
            for value in ijson.items(file, "states.item"):
                yield self._reader.state(value, f"states[{at}]", self.names, self.head)
                at += 1
        self._reader.count(at, 0 if self.length is None else self.length)

    def between(self, first: int, end: int) -> list[TraceState]:
        """The states from number ``first`` on, before ``end``; only these are looked at.

        A file as this tool writes it has a line for each state, which says its number: then those before are
        skipped unread. Of any other file they are read. Raises TraceError.
        """
        lines = self._lines(first, end)
        if lines is None:
            return list(islice(self.states(), first, end))
        name = str(self._path)
        _Watched(BytesIO(b"".join(lines)), name).all()
        return [
            self._reader.state(itf.parsed(line), f"states[{at}]", self.names, self.head)
            for at, line in enumerate(lines, first)
        ]

    def _lines(self, first: int, end: int) -> list[bytes] | None:
        """The lines of these states if the file has one for each; None if it is not of that form."""
        with self._opened("states") as watched:
            file = watched.file
            if _STATES_BEGIN not in iter(file.readline, b""):
                return None
            lines = [line.strip().removesuffix(b",") for line in islice(file, first, end)]
        if len(lines) != end - first:
            return None
        for at, line in enumerate(lines, first):
            try:
                value = itf.parsed(line)
            except (ValueError, RecursionError):
                return None
            if not isinstance(value, dict) or value.get("#meta") != {"index": at}:
                return None
        return lines

    @contextmanager
    def _opened(self, place: str) -> Iterator["_Watched"]:
        try:
            with itf.opened(self._path) as file:
                yield _Watched(file, str(self._path))
        except OSError as error:
            raise TraceError(f"{self._path}: cannot be read: {error.strerror}") from None
        except ijson.JSONError as error:
            raise self._fail(place, _reason(error)) from None
        except RecursionError:
            raise self._fail(place, "values are nested too deeply") from None

    def _scanned(self) -> tuple[object, object, int]:
        """``#meta`` without its operations, ``vars``, and how many operations there are.

        Goes no further than the states if both come before them, as this tool writes them.
        """
        found: dict[str, Any] = {}
        count = 0
        with self._opened("the head") as file:
            events = ijson.basic_parse(file)
            if next(events)[0] != "start_map":
                raise self._fail("the whole", "not an object, as a trace document is")
            for event, key in events:
                if event != "map_key":
                    break  # the end of the object; what follows is looked at when the states are read
                if key in found:
                    raise self._fail(key, "stands twice")
                if key == "states" and {"#meta", "vars"} <= found.keys():
                    found[key] = None
                    break
                if key == "#meta":
                    found[key], count = _meta(events)
                else:
                    value = _value(events, keep=key == "vars")
                    found[key] = value
        for key, wanted in (("#meta", "an object"), ("vars", "a list"), ("states", "a list")):
            if key not in found:
                raise self._fail(key, f"is missing; it should be {wanted}")
        return found["#meta"], found["vars"], count


Events = Iterator[tuple[str, Any]]


def _meta(events: Events) -> tuple[object, int]:
    """The value of ``#meta``, its operations left empty, and how many these are."""
    event, value = next(events)
    if event != "start_map":
        return _built(event, value, events, keep=True), 0
    found: dict[str, Any] = {}
    count = 0
    for event, key in events:
        if event == "end_map":
            break
        event, value = next(events)
        if key == _OPERATIONS and event == "start_array":
            found[key], count = [], _counted(events)
        else:
            found[key] = _built(event, value, events, keep=True)
    return found, count


def _counted(events: Events) -> int:
    """How many items an array has whose beginning was read."""
    count = depth = 0
    for event, _ in events:
        if event in ("start_array", "start_map"):
            count += not depth
            depth += 1
        elif event in ("end_array", "end_map"):
            if not depth:
                break
            depth -= 1
        elif not depth:
            count += 1
    return count


def _value(events: Events, *, keep: bool) -> object:
    event, value = next(events)
    return _built(event, value, events, keep=keep)


def _built(event: str, value: object, events: Events, *, keep: bool) -> object:
    """The value that begins with an event; None in its place if it is not kept."""
    if event not in ("start_array", "start_map"):
        return value
    builder = ijson.ObjectBuilder()
    builder.event(event, value)
    depth = 1
    while depth:
        event, value = next(events)
        if keep:
            builder.event(event, value)
        depth += (event in ("start_array", "start_map")) - (event in ("end_array", "end_map"))
    return builder.value if keep else None


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    first = text.splitlines()[0] if text.strip() else "cannot be read"
    if "premature EOF" in first or "ncomplete" in first:
        return "the file ends too soon: it is truncated"
    if "UTF8" in first:
        return "not UTF-8 text"
    return f"not JSON: {first.split(': ', 1)[-1].rstrip('.')}"


class _Watched:
    """A file whose bytes are looked at on their way to the parser.

    Refuses what the parser would let pass, or fall over: text that a terminal would obey, half a surrogate
    pair, and numbers without end.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.file, self._name = file, name
        self._tail = self._escape = b""

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises TraceError."""
        chunk = self.file.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        # Plain searches first: they are many times faster, and mostly find nothing.
        window = self._tail + chunk
        if _MANY_DIGITS in window.translate(_DIGITS) and _LONG_NUMBER.search(window):
            raise TraceError(f"{self._name}: not JSON that can be read: a number of too many digits")
        if (b"\x7f" in window or b"\xc2" in window) and _RAW_CONTROL.search(window):
            raise self._controlled()
        self._tail = window[-_LONGEST_NUMBER - 2 :]
        if self._escape or b"\\" in chunk:
            self._look_at_escapes(chunk)
        return chunk

    def all(self) -> None:
        """Look at every byte. Raises TraceError."""
        while self.read():
            pass

    def _look_at_escapes(self, chunk: bytes) -> None:
        window = self._escape + chunk
        # An escape that begins in the last bytes may not be whole.
        limit = len(window) - _LONGEST_ESCAPE if chunk else len(window)
        done = max(limit, 0)
        for match in _ESCAPE.finditer(window):
            if match.start() >= limit:
                break
            if _CONTROL.match(match[0]):
                raise self._controlled()
            if _SURROGATE.match(match[0]):
                raise TraceError(f"{self._name}: text with half a surrogate pair, which is no character")
            done = max(limit, match.end())
        rest = window[done:]
        self._escape = rest if b"\\" in rest else b""

    def _controlled(self) -> TraceError:
        return TraceError(f"{self._name}: text with a control character, which a terminal would obey")
