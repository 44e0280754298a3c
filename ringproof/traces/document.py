"""The trace document: a run and what it violates, as ITF JSON that other viewers read too.

ITF is Apalache's format (ADR 015): ``vars`` and one state per step. The run itself, which is what replays,
stands in ``#meta`` as operations; the states are what a reader looks at. State i + 1 is the state after
operation i.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import MOST_SEGMENTS, QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1

VERSION = 1
KINDS = ("search", "validate")
LANES = ("init", "driver", "device", "both")
FEATURE_NAMES = {"INDIRECT_DESC": F_INDIRECT_DESC, "EVENT_IDX": F_EVENT_IDX, "VERSION_1": F_VERSION_1}
MOST_ROUNDS = 1 << 20
"""Of one operation: what a replay still does in seconds."""

_LARGEST_PLAIN = 1 << 53
_FORMAT_DESCRIPTION = "https://apalache-mc.org/docs/adr/015adr-trace.html"
_OP_LIMITS = (0xFF, 0xFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF)
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z", re.IGNORECASE)
_OWN_META = frozenset(
    (
        *("format", "format-description", "description", "ringproof", "kind", "mutant", "property"),
        *("violated", "replayed", "config", "operations"),
    )
)


class TraceError(Exception):
    """A file is no trace document that can be read; the message is one line naming file and place."""


@dataclass(frozen=True, slots=True)
class TraceState:
    """One state: who acted (see LANES), what, with which arguments, and each variable's value after it."""

    lane: str
    action: str
    args: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TraceDocument:
    """A run from creation and what its last operation violates.

    ``property`` is the slug of what broke and ``violated`` one sentence with the numbers; ``replayed`` is
    true only if a run on the reference that carries ``mutant`` showed the same. ``extra`` holds further
    entries of ``#meta``, kept as they are.
    """

    kind: str
    mutant: str | None
    property: str
    violated: str
    replayed: bool
    config: QueueConfig
    operations: tuple[Op, ...]
    states: tuple[TraceState, ...]
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON values, the same for the same run."""
        config = self.config
        meta = {
            "format": "ITF",
            "format-description": _FORMAT_DESCRIPTION,
            "description": self.description,
            "ringproof": VERSION,
            "kind": self.kind,
            "mutant": self.mutant,
            "property": self.property,
            "violated": self.violated,
            "replayed": self.replayed,
            "config": {
                "queue_size": config.queue_size,
                "features": [name for name, bit in FEATURE_NAMES.items() if config.features & bit],
                "layout": config.layout,
                "profile": config.profile,
                "has_callback": config.has_callback,
                "queue_index": config.queue_index,
            },
            "operations": [list(op) for op in self.operations],
            **{key: item for key, item in self.extra.items() if key not in _OWN_META},
        }
        return {
            "#meta": meta,
            "params": [],
            "vars": ["action", "args", "lane", *(self.states[0].values if self.states else ())],
            "states": [
                {
                    "#meta": {"index": index},
                    "action": state.action,
                    "args": _encoded(state.args),
                    "lane": state.lane,
                    **{name: _encoded(value) for name, value in state.values.items()},
                }
                for index, state in enumerate(self.states)
            ],
        }

    def text(self) -> str:
        """The document as text: one line per state, so that it can be read and compared by line."""
        parts = self.to_json()
        lines = ",\n  ".join(json.dumps(state) for state in parts["states"])
        return (
            f'{{"#meta": {json.dumps(parts["#meta"], indent=1)},\n"params": [],\n'
            f'"vars": {json.dumps(parts["vars"])},\n"states": [\n  {lines}\n]}}\n'
        )

    def save(self, path: Path) -> None:
        """Write it to ``path``, whole or not at all. Raises TraceError when it cannot be written."""
        scratch: str | None = None
        try:
            handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.text())
            Path(scratch).chmod(0o644)
            Path(scratch).replace(path)
        except OSError as error:
            if scratch is not None:
                Path(scratch).unlink(missing_ok=True)
            raise TraceError(f"{path}: cannot be written: {error.strerror}") from None


def load(path: Path) -> TraceDocument:
    """Read a document. Raises TraceError for one that is missing, malformed, foreign or newer."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: byte {error.start}: not UTF-8 text") from None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise TraceError(
            f"{path}: line {error.lineno}, column {error.colno}: {_reason(error, text)}"
        ) from None
    except (RecursionError, ValueError) as error:
        raise TraceError(f"{path}: not JSON that can be read: {_one_line(str(error))}") from None
    return from_json(value, str(path))


def from_json(value: object, name: str) -> TraceDocument:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    try:
        return _Reader(name).document(value)
    except RecursionError:
        raise TraceError(f"{name}: values are nested too deeply") from None


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


def _encoded(value: Any) -> Any:
    """ITF values: integers beyond 2^53 as bigint, everything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_PLAIN:
        return {"#bigint": str(value)}
    if isinstance(value, Mapping):
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    return value


class _Reader:
    """Takes plain JSON values apart; every complaint names the place."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _fail(self, place: str, what: str) -> TraceError:
        return TraceError(f"{self._name}: {place}: {_one_line(what)}" if place else f"{self._name}: {what}")

    def document(self, value: object) -> TraceDocument:
        whole = self._record(value, "", "a trace document")
        meta = self._record(whole.get("#meta"), "#meta", "an object")
        if "ringproof" not in meta:
            raise self._fail("#meta", "no entry ringproof: not a trace of this tool")
        version = self._integer(meta["ringproof"], "#meta.ringproof", 1, 1 << 31)
        if version > VERSION:
            raise self._fail(
                "#meta.ringproof", f"version {version} is newer than this tool reads ({VERSION})"
            )
        if meta.get("format") != "ITF":
            raise self._fail("#meta.format", "not ITF")
        operations = self._operations(self._list(meta.get("operations"), "#meta.operations"))
        states = self._states(whole, len(operations) + 1)
        mutant = meta.get("mutant")
        return TraceDocument(
            kind=self._one_of(meta.get("kind"), "#meta.kind", KINDS),
            mutant=None if mutant is None else self._text(mutant, "#meta.mutant"),
            property=self._text(meta.get("property"), "#meta.property"),
            violated=self._text(meta.get("violated"), "#meta.violated"),
            replayed=self._truth(meta.get("replayed"), "#meta.replayed"),
            config=self._config(meta.get("config")),
            operations=operations,
            states=states,
            description=self._text(meta.get("description", ""), "#meta.description"),
            extra={key: item for key, item in meta.items() if key not in _OWN_META},
        )

    def _config(self, value: object) -> QueueConfig:
        place = "#meta.config"
        config = self._record(value, place, "an object")
        features = 0
        for index, name in enumerate(self._list(config.get("features"), f"{place}.features")):
            where = f"{place}.features[{index}]"
            features |= FEATURE_NAMES[self._one_of(name, where, tuple(FEATURE_NAMES))]
        try:
            return QueueConfig(
                queue_size=self._integer(config.get("queue_size"), f"{place}.queue_size", 0, 1 << 31),
                features=features,
                layout=self._text(config.get("layout"), f"{place}.layout"),
                has_callback=self._truth(config.get("has_callback"), f"{place}.has_callback"),
                profile=self._text(config.get("profile"), f"{place}.profile"),
                queue_index=self._integer(config.get("queue_index", 0), f"{place}.queue_index", 0, 0xFFFF),
            )
        except ValueError as error:
            raise self._fail(place, str(error)) from None

    def _operations(self, values: Sequence[object]) -> tuple[Op, ...]:
        found: list[Op] = []
        codes = {int(code) for code in Code}
        for index, value in enumerate(values):
            place = f"#meta.operations[{index}]"
            numbers = self._list(value, place)
            if len(numbers) != len(_OP_LIMITS):
                raise self._fail(place, f"{len(numbers)} numbers where an operation has {len(_OP_LIMITS)}")
            op = Op(
                *(
                    self._integer(number, f"{place}[{at}]", 0, limit)
                    for at, (number, limit) in enumerate(zip(numbers, _OP_LIMITS, strict=True))
                )
            )
            if op.code not in codes:
                raise self._fail(f"{place}[0]", f"there is no operation with code {op.code}")
            if op.code == Code.ADD and op.a + op.in_ > MOST_SEGMENTS:
                raise self._fail(place, f"more than {MOST_SEGMENTS} segments")
            if op.code == Code.ROUNDS and op.a > MOST_ROUNDS:
                raise self._fail(place, f"more than {MOST_ROUNDS} rounds")
            if found and found[-1].code == Code.DETACH_UNUSED and op.code != Code.DETACH_UNUSED:
                raise self._fail(place, "only DETACH_UNUSED may follow DETACH_UNUSED")
            found.append(op)
        return tuple(found)

    def _states(self, whole: Mapping[str, object], count: int) -> tuple[TraceState, ...]:
        names = [
            self._text(name, f"vars[{at}]") for at, name in enumerate(self._list(whole.get("vars"), "vars"))
        ]
        if len(set(names)) != len(names):
            raise self._fail("vars", "a variable is named twice")
        for name in ("action", "args", "lane"):
            if name not in names:
                raise self._fail("vars", f"no variable {name}")
        states = self._list(whole.get("states"), "states")
        if len(states) != count:
            raise self._fail("states", f"{len(states)} states for {count - 1} operations, not {count}")
        return tuple(self._state(state, f"states[{at}]", names) for at, state in enumerate(states))

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
                raise self._fail(place, f"{key!r} is no name of a field")
        return {key: self._value(item, f"{place}.{key}") for key, item in record.items()}

    def _value(self, value: object, place: str) -> Any:
        if isinstance(value, bool | int | str):
            return value
        if isinstance(value, list):
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
        return kinds.get(type(value), "an object")

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
            raise self._fail(place, f"{_shown(value)} is not from {least} to {most}")
        return value

    def _one_of(self, value: object, place: str, allowed: Sequence[str]) -> str:
        text = self._text(value, place)
        if text not in allowed:
            raise self._fail(place, f"{_shown(text)} is none of {', '.join(allowed)}")
        return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
