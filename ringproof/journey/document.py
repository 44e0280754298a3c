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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..impl.harness.frames import Fragment, Frame, Gso, Packet
from ..impl.harness.net_operations import FEATURE_NAMES, MOST_PAIRS, NetCode, NetConfig, Op
from ..traces import itf
from ..traces.itf import TraceError, TraceState
from ..traces.reading import DocumentReader
from ..traces.shapes import Shape, integers
from ..traces.writing import WrittenDocument

__all__ = ["KIND", "NetTrace", "TraceError", "TraceState", "from_json", "load"]

VERSION = 1
KIND = "network"
VARIABLES = ("result", "registers", "events", "queues", "statistics", "journey")
NO_QUEUE = -1
"""Stands for no recorded queue in a state."""

_CODES = frozenset(int(code) for code in NetCode)
_OWN_META = frozenset(
    (
        *("format", "format-description", "description", "ringproof", "kind", "mutant", "property"),
        *("violated", "config", "frames", "operations"),
    )
)
_FLAGS = ("withhold_version_1", "refuses_features")

SHAPES: dict[str, Shape] = {
    "result": integers("status", "length", "pair"),
    "registers": [{"write": bool, "register": str, "region": str, **integers("offset", "width", "value")}],
    "events": [{"kind": str, "value": int}],
    "queues": [
        {
            **integers("queue", "queue_size", "avail_idx", "used_idx", "avail_flags", "used_flags"),
            **integers("used_event", "avail_event", "num_free"),
            "stopped": bool,
        }
    ],
    "statistics": [integers("pair", "tx_packets", "tx_bytes", "tx_fifo_errors", "tx_dropped")],
    "journey": {
        "sent": ["sent"],
        "read": [{**integers("frame", "queue", "head", "bytes"), "leaves": [int]}],
        "used": [{**integers("frame", "queue", "head", "used_idx")}],
        "freed": [int],
    },
}
_NAMED_SHAPES: dict[str, Shape] = {
    "packet": {
        "head": integers("address", "length"),
        "fragments": [integers("page", "offset", "length")],
        "packets": ["packet"],
    },
    "descriptor": integers("number", "address", "length", "flags", "next"),
    "sent": {
        **integers("frame", "pair", "queue"),
        "outcome": str,
        "reason": str,
        "sk_buff": {
            "length": int,
            "packet": "packet",
            "checksum": bool,
            **integers("csum_start", "csum_offset"),
            "gso": str,
            "gso_size": int,
            "ecn": bool,
            **integers("recorded_queue", "cpu", "control"),
        },
        "scatterlist": [{**integers("page", "offset", "length"), "end": bool}],
        "header": [
            {
                "address": int,
                "bytes": str,
                **integers("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset"),
                "num_buffers": int,
            }
        ],
        "head": int,
        "descriptors": ["descriptor"],
        "table": ["descriptor"],
        **integers("slot", "avail_idx"),
        "notified": bool,
        "reclaimed": [int],
    },
}


@dataclass(frozen=True, slots=True)
class NetTrace(WrittenDocument):
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

    def meta(self) -> dict[str, Any]:
        """What stands in ``#meta``, as plain JSON values."""
        own = {
            "property": self.property,
            "violated": self.violated,
            "config": _config_json(self.config),
            "frames": [_frame_json(frame) for frame in self.frames],
            "operations": [list(op) for op in self.operations],
        }
        return self._framed(KIND, VERSION, own)


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


def from_json(value: object, name: str) -> NetTrace:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    head, operations, states = NetReader(name).parts(value)
    return replace(head, operations=operations, states=states)


class NetReader(DocumentReader[NetTrace]):
    """Takes the plain JSON values of a trace of a network driver apart."""

    version = VERSION
    named = _NAMED_SHAPES

    def head(self, meta: Mapping[str, object], last: int) -> NetTrace:
        """Read what is no operation and no state."""
        self._one_of(meta.get("kind"), "#meta.kind", (KIND,))
        mutant = meta.get("mutant")
        return NetTrace(
            config=self._config(meta.get("config")),
            frames=tuple(
                self._frame(frame, f"#meta.frames[{at}]")
                for at, frame in enumerate(self._list(meta.get("frames"), "#meta.frames"))
            ),
            operations=(),
            states=(),
            description=self._text(meta.get("description", ""), "#meta.description"),
            mutant=None if mutant is None else self._text(mutant, "#meta.mutant"),
            property=self._text(meta.get("property"), "#meta.property"),
            violated=self._text(meta.get("violated"), "#meta.violated"),
            extra=self._extra(meta, _OWN_META, last),
        )

    def state(self, value: object, place: str, names: Sequence[str], head: NetTrace) -> TraceState:
        """Read a state, which has exactly the variables of SHAPES."""
        del head
        state = self._state(value, place, names)
        self._conform(dict(state.values), place, SHAPES)
        return state

    def operation(self, value: object, place: str, head: NetTrace, before: Op | None) -> Op:
        """Read an operation; the frame it names exists."""
        op = super().operation(value, place, head, before)
        if op.code not in _CODES:
            raise self._fail(f"{place}[0]", f"there is no operation with code {op.code}")
        if op.code == NetCode.XMIT and op.a >= len(head.frames):
            raise self._fail(f"{place}[3]", f"frame {op.a} of {len(head.frames)} does not exist")
        return op

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
