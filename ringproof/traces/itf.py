"""ITF JSON, the form of a trace: writing it, and reading it strictly.

ITF is Apalache's format (ADR 015): ``vars`` and one state per step, and ``#meta`` for whatever a tool wants
to say beside.
"""

import json
import math
import os
import re
import secrets
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import BadInputError

LANES = ("init", "driver", "device", "both")
FORMAT_DESCRIPTION = "https://apalache-mc.org/docs/adr/015adr-trace.html"

_LARGEST_PLAIN = 1 << 53
_INTEGER = frozenset((int,))
_LONGEST_PLACE = 160  # characters of it in a message
_SUSPECT = re.compile(r"\\u[dD][89a-fA-F]|\\u00[01789]|\\[bfr]|[\x7f-\x9f]")
_CONTROL = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u00|[bfr])|[\x7f-\x9f]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN|-?[0-9]{4301})')

LARGEST_FILE = 100_000_000
"""Bytes of a file that is read whole: it takes some ten times as many of memory."""


class TraceError(BadInputError):
    """A file is no trace document that can be read; the message is one line naming file and place."""


@dataclass(frozen=True, slots=True)
class TraceState:
    """One state: who acted (see LANES), what, with which arguments, and each variable's value after it."""

    lane: str
    action: str
    args: Mapping[str, Any]
    values: Mapping[str, Any]


def to_json(meta: Mapping[str, Any], states: Sequence[TraceState]) -> dict[str, Any]:
    """A document as plain JSON values: what ``meta`` says, and the states."""
    return {
        "#meta": dict(meta),
        "params": [],
        "vars": variables(states[0]) if states else ["action", "args", "lane"],
        "states": [state_json(index, state) for index, state in enumerate(states)],
    }


def variables(state: TraceState) -> list[str]:
    """The names of the variables of a document with such states, in order."""
    return ["action", "args", "lane", *state.values]


def state_json(index: int, state: TraceState) -> dict[str, Any]:
    """State number ``index`` as plain JSON values."""
    return {
        "#meta": {"index": index},
        "action": state.action,
        "args": encoded(state.args),
        "lane": state.lane,
        **{name: encoded(value) for name, value in state.values.items()},
    }


def text(document: Mapping[str, Any]) -> str:
    """A document as text: one line per state, so that it can be read and compared by line."""
    lines = ",\n  ".join(json.dumps(state) for state in document["states"])
    return (
        f'{{"#meta": {json.dumps(document["#meta"], indent=1)},\n"params": [],\n'
        f'"vars": {json.dumps(document["vars"])},\n"states": [\n  {lines}\n]}}\n'
    )


def save(text: str, path: Path) -> None:
    """Write ``text`` to ``path``, whole or not at all. Raises TraceError when it cannot be written."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` when the block ends well, and is gone when it does not.

    A link is followed. What is there and is no file, such as /dev/null or a pipe, is not replaced but written
    to. Raises TraceError when it cannot be written.
    """
    try:
        mode = _mode(path)
        if stat.S_ISREG(mode):
            with _scratch(Path(os.path.realpath(path)), stat.S_IMODE(mode)) as file:
                yield file
        else:
            # Opening a pipe that nobody reads would wait for ever.
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.set_blocking(handle, True)
            with os.fdopen(handle, "wb") as file:
                yield file
    except OSError as error:
        raise TraceError(f"{path}: cannot be written: {error.strerror}") from None


def _mode(path: Path) -> int:
    """Kind and permissions of what is at ``path``; those of a new file if nothing is."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        umask = os.umask(0o077)
        os.umask(umask)
        return stat.S_IFREG | (0o666 & ~umask)


@contextmanager
def _scratch(path: Path, permissions: int) -> Iterator[IO[bytes]]:
    scratch: Path | None = None
    try:
        handle, scratch = _nameless(path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(handle, permissions)
            if scratch is None:
                scratch = path.with_name(f".ringproof-{os.getpid()}-{secrets.token_hex(4)}")
                # Only given a folder, which an absolute path has no use for, does it follow links.
                os.link(f"/proc/self/fd/{handle}", scratch, src_dir_fd=handle, follow_symlinks=True)
        scratch.replace(path)
        scratch = None
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def _nameless(folder: Path) -> tuple[int, Path | None]:
    """A new file that has no name yet, so that a process that is killed leaves nothing behind.

    It has one where the file system makes no others. Raises OSError.
    """
    if Path("/proc/self/fd").is_dir():
        with suppress(OSError):
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600), None
    handle, name = tempfile.mkstemp(prefix=".ringproof-", dir=folder)
    return handle, Path(name)


def opened(path: Path) -> IO[bytes]:
    """A file, or a pipe that somebody writes to, open for reading. Raises TraceError for anything else."""
    try:
        # Opening a pipe that nobody writes to would wait for ever; so it is an empty file.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
    mode = os.fstat(handle).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        os.close(handle)
        what = "Is a directory" if stat.S_ISDIR(mode) else "neither a file nor a pipe"
        raise TraceError(f"{path}: cannot be read: {what}")
    os.set_blocking(handle, True)
    return open(handle, "rb")  # noqa: PTH123 - a descriptor, no path


def read(path: Path) -> object:
    """The JSON value in a file. Raises TraceError for one that is missing, too large, or no JSON."""
    try:
        with opened(path) as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise TraceError(f"{path}: over {LARGEST_FILE:,} bytes: too long to be read whole")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: byte {error.start}: not UTF-8 text") from None
    try:
        value: object = parsed(text)
        if _SUSPECT.search(text):
            again = json.dumps(value, ensure_ascii=False)
            again.encode()
            if _CONTROL.search(again):
                raise TraceError(f"{path}: text with a control character, which a terminal would obey")
        return value
    except UnicodeEncodeError:
        raise TraceError(f"{path}: text with half a surrogate pair, which is no character") from None
    except json.JSONDecodeError as error:
        raise TraceError(
            f"{path}: line {error.lineno}, column {error.colno}: {_reason(error, text)}"
        ) from None
    except RecursionError:
        raise TraceError(f"{path}: not JSON that can be read: values are nested too deeply") from None
    except ValueError as error:
        said = "a number of too many digits" if "digits" in str(error) else _one_line(str(error))
        raise TraceError(f"{path}: {_number(text)}not JSON that can be read: {said}") from None


def parsed(text: str | bytes) -> Any:
    """The value of JSON text. Raises ValueError for what is none, or says something twice in one object."""
    return json.loads(text, parse_constant=_no_constant, parse_float=_fraction, object_pairs_hook=_said_once)


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"{shown(twice)} stands twice in one object")
    return found


def _fraction(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{shown(digits)} is too large a number")
    return number


def _number(text: str) -> str:
    """Where a number stands that is none, as the head of a message; "" if there is none."""
    for match in _NO_NUMBER.finditer(text):
        if match[1]:
            line_begin = text.rfind("\n", 0, match.start()) + 1
            return (
                f"line {text.count(chr(10), 0, match.start()) + 1}, column {match.start() - line_begin + 1}: "
            )
    return ""


def _no_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "the file is empty"
    if not text[error.pos :].strip():
        return "the file ends too soon: it is truncated"
    return f"not JSON: {error.msg[0].lower()}{error.msg[1:]}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def encoded(value: Any) -> Any:
    """ITF values: integers beyond 2^53 as bigint, everything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_PLAIN:
        return {"#bigint": str(value)}
    if isinstance(value, Mapping):
        return {key: encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    return value


class ItfReader:
    """Takes plain JSON values apart; every complaint names the place, and the file by ``name``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _fail(self, place: str, what: str) -> TraceError:
        place = _one_line(place)  # the name of an entry may be any text
        if len(place) > _LONGEST_PLACE:  # deeply nested
            place = f"{place[: _LONGEST_PLACE // 2]}...{place[-_LONGEST_PLACE // 2 :]}"
        return TraceError(f"{self._name}: {place}: {_one_line(what)}" if place else f"{self._name}: {what}")

    def _own(self, value: object, newest: int) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """The document and its ``#meta``, which must be this tool's, of version ``newest`` or before."""
        whole = self._record(value, "", "a trace document")
        meta = self._record(whole.get("#meta"), "#meta", "an object")
        if "ringproof" not in meta:
            raise self._fail("#meta", "no entry ringproof: not a trace of this tool")
        version = self._integer(meta["ringproof"], "#meta.ringproof", 1, 1 << 31)
        if version > newest:
            raise self._fail("#meta.ringproof", f"version {version} is newer than this tool reads ({newest})")
        if meta.get("format") != "ITF":
            raise self._fail("#meta.format", "not ITF")
        return whole, meta

    def _names(self, value: object) -> list[str]:
        """The variables of the states, from ``vars``."""
        names = [self._text(name, f"vars[{at}]") for at, name in enumerate(self._list(value, "vars"))]
        if len(set(names)) != len(names):
            raise self._fail("vars", "a variable is named twice")
        for name in ("action", "args", "lane"):
            if name not in names:
                raise self._fail("vars", f"no variable {name}")
        return names

    def _state(self, value: object, place: str, names: Sequence[str]) -> TraceState:
        state = self._record(value, place, "an object")
        for name in names:
            if name not in state:
                raise self._fail(f"{place}.{name}", "is missing")
        for name in state:
            if name not in names and name != "#meta":
                raise self._fail(f"{place}.{name}", "is not among the vars")
        args = self._record(state["args"], f"{place}.args", "an object")
        return TraceState(
            lane=self._one_of(state["lane"], f"{place}.lane", LANES),
            action=self._text(state["action"], f"{place}.action"),
            args=self._fields(args, f"{place}.args"),
            values={
                name: self._value(state[name], f"{place}.{name}")
                for name in names
                if name not in ("action", "args", "lane")
            },
        )

    def _fields(self, record: Mapping[str, object], place: str) -> dict[str, Any]:
        for key in record:
            if not _NAME.match(key):
                raise self._fail(place, f"{shown(key)} is no name of a field")
        return {key: self._value(item, f"{place}.{key}") for key, item in record.items()}

    def _value(self, value: object, place: str) -> Any:
        if isinstance(value, bool | int | str):
            return value
        if isinstance(value, list):
            if only_integers(value):  # tables, of which long traces are full
                return value
            return [self._value(item, f"{place}[{at}]") for at, item in enumerate(value)]
        if isinstance(value, dict):
            if set(value) == {"#bigint"}:
                digits = value["#bigint"]
                if not isinstance(digits, str) or not re.fullmatch(r"-?[0-9]{1,100}", digits):
                    raise self._fail(f"{place}.#bigint", "not an integer written in digits")
                return int(digits)
            return self._fields(value, place)
        raise self._fail(place, f"{self._kind(value)} is no value of a state")

    # -- one type at a time -----------------------------------------------------------------------------

    @staticmethod
    def _kind(value: object) -> str:
        if value is None:
            return "nothing"
        kinds = {bool: "a truth value", int: "an integer", float: "a fraction", str: "text", list: "a list"}
        return kinds.get(type(value), "an object" if isinstance(value, Mapping) else "a fraction")

    def _wrong(self, value: object, place: str, wanted: str) -> TraceError:
        if value is None:
            return self._fail(place, f"is missing; it should be {wanted}")
        return self._fail(place, f"{self._kind(value)} where there should be {wanted}")

    def _record(self, value: object, place: str, wanted: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self._wrong(value, place or "the whole", wanted)
        return value

    def _list(self, value: object, place: str) -> list[object]:
        if not isinstance(value, list):
            raise self._wrong(value, place, "a list")
        return value

    def _text(self, value: object, place: str) -> str:
        if not isinstance(value, str):
            raise self._wrong(value, place, "text")
        return value

    def _truth(self, value: object, place: str) -> bool:
        if not isinstance(value, bool):
            raise self._wrong(value, place, "true or false")
        return value

    def _integer(self, value: object, place: str, least: int, most: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(value, place, "an integer")
        if not least <= value <= most:
            raise self._fail(place, f"{shown(value)} is not from {least} to {most}")
        return value

    def _one_of(self, value: object, place: str, allowed: Sequence[str]) -> str:
        text = self._text(value, place)
        if text not in allowed:
            raise self._fail(place, f"{shown(text)} is none of {', '.join(allowed)}")
        return text


def only_integers(values: list[Any]) -> bool:
    """Whether these are integers all, and no truth values."""
    return set(map(type, values)) <= _INTEGER


def shown(value: object) -> str:
    """A value in a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
