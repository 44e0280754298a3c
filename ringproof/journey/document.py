"""The trace of a network driver: a configuration, frames, operations, and what could be seen at each step.

Like a trace of a single queue it is ITF JSON. What replays stands in ``#meta``: configuration, frames and
operations; the states are what a reader looks at. State i + 1 is the state after operation i. The variables
of a state beside action, args and lane:

- ``result``: status, length and pair of the operation;
- ``registers``: the accesses of this step, in order, by name;
- ``events``: what the driver told the stack in this step;
- ``queues``: indices, suppression words and free descriptors of each transmit queue;
- ``statistics``: what the driver counts for each of them;
- ``journey``: what became of frames in this step: sent (handed to the driver), read and used (by the device),
  freed. ``leaves`` are the lengths of the frames that leave the device for one it has read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ..impl.harness.frames import Fragment, Frame, Gso, Packet
from ..impl.harness.net_operations import FEATURE_NAMES, MOST_PAIRS, NetCode, NetConfig, Op
from ..traces import itf
from ..traces.entries import EntriesReader
from ..traces.itf import TraceError, TraceState

__all__ = ["KIND", "NetTrace", "TraceError", "TraceState", "from_json", "is_net_trace", "load"]

VERSION = 1
KIND = "network"
VARIABLES = ("result", "registers", "events", "queues", "statistics", "journey")
NO_QUEUE = -1
"""Stands for no recorded queue in a state."""

_OP_LIMITS = (0xFF, 0xFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF)
_OWN_META = frozenset(
    (
        *("format", "format-description", "description", "ringproof", "kind", "mutant", "property"),
        *("violated", "config", "frames", "operations"),
    )
)
_FLAGS = ("withhold_version_1", "refuses_features")

Shape: TypeAlias = type | str | list["Shape"] | dict[str, "Shape"]
"""What a value must look like: a type, the name of a shape, a list of one shape, or fields with theirs."""


def _integers(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, int)


_SHAPES: dict[str, Shape] = {
    "result": _integers("status", "length", "pair"),
    "registers": [{"write": bool, "register": str, "region": str, **_integers("offset", "width", "value")}],
    "events": [{"kind": str, "value": int}],
    "queues": [
        {
            **_integers("queue", "queue_size", "avail_idx", "used_idx", "avail_flags", "used_flags"),
            **_integers("used_event", "avail_event", "num_free"),
            "stopped": bool,
        }
    ],
    "statistics": [_integers("pair", "tx_packets", "tx_bytes", "tx_fifo_errors", "tx_dropped")],
    "journey": {
        "sent": ["sent"],
        "read": [{**_integers("frame", "queue", "head", "bytes"), "leaves": [int]}],
        "used": [{**_integers("frame", "queue", "head", "used_idx")}],
        "freed": [int],
    },
}
_NAMED_SHAPES: dict[str, Shape] = {
    "packet": {
        "head": _integers("address", "length"),
        "fragments": [_integers("page", "offset", "length")],
        "packets": ["packet"],
    },
    "descriptor": _integers("number", "address", "length", "flags", "next"),
    "sent": {
        **_integers("frame", "pair", "queue"),
        "outcome": str,
        "reason": str,
        "sk_buff": {
            "length": int,
            "packet": "packet",
            "checksum": bool,
            **_integers("csum_start", "csum_offset"),
            "gso": str,
            "gso_size": int,
            "ecn": bool,
            **_integers("recorded_queue", "cpu", "control"),
        },
        "scatterlist": [{**_integers("page", "offset", "length"), "end": bool}],
        "header": [
            {
                "address": int,
                "bytes": str,
                **_integers("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset"),
                "num_buffers": int,
            }
        ],
        "head": int,
        "descriptors": ["descriptor"],
        "table": ["descriptor"],
        **_integers("slot", "avail_idx"),
        "notified": bool,
        "reclaimed": [int],
    },
}


@dataclass(frozen=True, slots=True)
class NetTrace:
    """A run of a network driver from before its probe.

    ``property`` and ``violated`` say what broke in the last operation, both empty if nothing did; ``mutant``
    is what the reference carried. ``extra`` holds further entries of ``#meta``, kept as they are.
    """

    config: NetConfig
    frames: tuple[Frame, ...]
    operations: tuple[Op, ...]
    states: tuple[TraceState, ...]
    description: str = ""
    mutant: str | None = None
    property: str = ""
    violated: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON values, the same for the same run."""
        meta = {
            "format": "ITF",
            "format-description": itf.FORMAT_DESCRIPTION,
            "description": self.description,
            "ringproof": VERSION,
            "kind": KIND,
            "mutant": self.mutant,
            "property": self.property,
            "violated": self.violated,
            "config": _config_json(self.config),
            "frames": [_frame_json(frame) for frame in self.frames],
            "operations": [list(op) for op in self.operations],
            **{key: item for key, item in self.extra.items() if key not in _OWN_META},
        }
        return itf.to_json(meta, self.states)

    def text(self) -> str:
        """The document as text: one line per state, so that it can be read and compared by line."""
        return itf.text(self.to_json())

    def save(self, path: Path) -> None:
        """Write it to ``path``, whole or not at all. Raises TraceError when it cannot be written."""
        itf.save(self.text(), path)


def _names(features: int) -> list[str]:
    return [name for name, bit in FEATURE_NAMES.items() if features & bit]


def _config_json(config: NetConfig) -> dict[str, Any]:
    return {
        "queue_size": config.queue_size,
        "features": _names(config.features),
        "transport": config.transport,
        "profile": config.profile,
        "pairs": config.pairs,
        "known_features": _names(config.known_features),
        "mac": config.mac.hex(),
        "withhold_version_1": config.withhold_version_1,
        "reset_reads": config.reset_reads,
        "refuses_features": config.refuses_features,
        "missing_queue": config.missing_queue,
    }


def _packet_json(packet: Packet) -> dict[str, Any]:
    return {
        "head": packet.head.hex(),
        "fragments": [{"offset": each.offset, "data": each.data.hex()} for each in packet.fragments],
        "packets": [_packet_json(following) for following in packet.packets],
    }


def _frame_json(frame: Frame) -> dict[str, Any]:
    return {
        "packet": _packet_json(frame.packet),
        "checksum": frame.checksum,
        "csum_start": frame.csum_start,
        "csum_offset": frame.csum_offset,
        "gso": frame.gso.name,
        "gso_size": frame.gso_size,
        "ecn": frame.ecn,
        "recorded_queue": frame.recorded_queue,
        "cpu": frame.cpu,
    }


def load(path: Path) -> NetTrace:
    """Read a document. Raises TraceError for one that is missing, malformed, foreign or newer."""
    return from_json(itf.read(path), str(path))


def is_net_trace(value: object) -> bool:
    """Whether a JSON value says that it is a trace of a network driver, whatever else is wrong with it."""
    meta = value.get("#meta") if isinstance(value, dict) else None
    return isinstance(meta, dict) and meta.get("kind") == KIND


def from_json(value: object, name: str) -> NetTrace:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    try:
        return _Reader(name).document(value)
    except RecursionError:
        raise TraceError(f"{name}: values are nested too deeply") from None


class _Reader(EntriesReader):
    """Takes the plain JSON values of a document apart; every complaint names the place."""

    def document(self, value: object) -> NetTrace:
        whole, meta = self._own(value, VERSION)
        self._one_of(meta.get("kind"), "#meta.kind", (KIND,))
        frames = tuple(
            self._frame(frame, f"#meta.frames[{at}]")
            for at, frame in enumerate(self._list(meta.get("frames"), "#meta.frames"))
        )
        operations = self._operations(self._list(meta.get("operations"), "#meta.operations"), len(frames))
        states = self._states(whole, len(operations) + 1)
        for at, state in enumerate(states):
            self._conform(dict(state.values), f"states[{at}]", _SHAPES)
        mutant = meta.get("mutant")
        return NetTrace(
            config=self._config(meta.get("config")),
            frames=frames,
            operations=operations,
            states=states,
            description=self._text(meta.get("description", ""), "#meta.description"),
            mutant=None if mutant is None else self._text(mutant, "#meta.mutant"),
            property=self._text(meta.get("property"), "#meta.property"),
            violated=self._text(meta.get("violated"), "#meta.violated"),
            extra=self._extra(meta, _OWN_META, len(operations)),
        )

    def _features(self, value: object, place: str) -> int:
        features = 0
        for index, name in enumerate(self._list(value, place)):
            features |= FEATURE_NAMES[self._one_of(name, f"{place}[{index}]", tuple(FEATURE_NAMES))]
        return features

    def _config(self, value: object) -> NetConfig:
        place = "#meta.config"
        config = self._record(value, place, "an object")
        missing = config.get("missing_queue")
        try:
            return NetConfig(
                queue_size=self._integer(config.get("queue_size"), f"{place}.queue_size", 0, 0xFFFF),
                features=self._features(config.get("features"), f"{place}.features"),
                transport=self._text(config.get("transport"), f"{place}.transport"),
                profile=self._text(config.get("profile"), f"{place}.profile"),
                pairs=self._integer(config.get("pairs"), f"{place}.pairs", 1, MOST_PAIRS),
                known_features=self._features(config.get("known_features"), f"{place}.known_features"),
                mac=self._bytes(config.get("mac"), f"{place}.mac"),
                reset_reads=self._integer(config.get("reset_reads"), f"{place}.reset_reads", 0, 1 << 31),
                missing_queue=None
                if missing is None
                else self._integer(missing, f"{place}.missing_queue", 0, 0xFFFF),
                **{name: self._truth(config.get(name), f"{place}.{name}") for name in _FLAGS},
            )
        except ValueError as error:
            raise self._fail(place, str(error)) from None

    def _frame(self, value: object, place: str) -> Frame:
        frame = self._record(value, place, "an object")
        queue = frame.get("recorded_queue")
        numbers = {
            name: self._integer(frame.get(name), f"{place}.{name}", 0, 0xFFFF)
            for name in ("csum_start", "csum_offset", "gso_size", "cpu")
        }
        packet = self._packet(frame.get("packet"), f"{place}.packet")
        try:
            return Frame(
                packet,
                checksum=self._truth(frame.get("checksum"), f"{place}.checksum"),
                gso=Gso[self._one_of(frame.get("gso"), f"{place}.gso", tuple(kind.name for kind in Gso))],
                ecn=self._truth(frame.get("ecn"), f"{place}.ecn"),
                recorded_queue=None
                if queue is None
                else self._integer(queue, f"{place}.recorded_queue", 0, 0xFFFF),
                **numbers,
            )
        except ValueError as error:
            raise self._fail(place, str(error)) from None

    def _packet(self, value: object, place: str) -> Packet:
        packet = self._record(value, place, "an object")
        fragments = []
        for at, item in enumerate(self._list(packet.get("fragments"), f"{place}.fragments")):
            where = f"{place}.fragments[{at}]"
            fragment = self._record(item, where, "an object")
            offset = self._integer(fragment.get("offset"), f"{where}.offset", 0, 4096)
            try:
                fragments.append(Fragment(offset, self._bytes(fragment.get("data"), f"{where}.data")))
            except ValueError as error:
                raise self._fail(where, str(error)) from None
        head = self._bytes(packet.get("head"), f"{place}.head")
        packets = tuple(
            self._packet(item, f"{place}.packets[{at}]")
            for at, item in enumerate(self._list(packet.get("packets"), f"{place}.packets"))
        )
        try:
            return Packet(head, tuple(fragments), packets)
        except ValueError as error:
            raise self._fail(place, str(error)) from None

    def _bytes(self, value: object, place: str) -> bytes:
        text = self._text(value, place)
        try:
            if any(char.isspace() for char in text):
                raise ValueError
            return bytes.fromhex(text)
        except ValueError:
            raise self._fail(place, "not bytes of two hexadecimal digits each") from None

    def _operations(self, values: Sequence[object], frames: int) -> tuple[Op, ...]:
        found: list[Op] = []
        codes = {int(code) for code in NetCode}
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
            if op.code == NetCode.XMIT and op.a >= frames:
                raise self._fail(f"{place}[3]", f"frame {op.a} of {frames} does not exist")
            found.append(op)
        return tuple(found)

    def _conform(self, value: Any, place: str, shape: Shape) -> None:
        """Raises TraceError, naming the place, unless the value has the shape."""
        if isinstance(shape, str):
            shape = _NAMED_SHAPES[shape]
        if isinstance(shape, dict):
            record = self._record(value, place, "an object")
            for name in shape:
                if name not in record:
                    raise self._fail(f"{place}.{name}", "is missing")
            for name, item in record.items():
                if name not in shape:
                    raise self._fail(f"{place}.{name}", "nothing of that name belongs here")
                self._conform(item, f"{place}.{name}", shape[name])
        elif isinstance(shape, list):
            for at, item in enumerate(self._list(value, place)):
                self._conform(item, f"{place}[{at}]", shape[0])
        elif shape is int:
            self._integer(value, place, -(1 << 63), (1 << 64) - 1)
        elif shape is bool:
            self._truth(value, place)
        else:
            self._text(value, place)
