"""The trace document: a run and what it violates, as ITF JSON that other viewers read too.

The run itself, which is what replays, stands in ``#meta`` as operations; the states are what a reader looks
at. State i + 1 is the state after operation i.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import F_IN_ORDER, F_NOTIFICATION_DATA, MOST_SEGMENTS, QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1
from . import itf
from .entries import EntriesReader
from .itf import LANES, TraceError, TraceState

__all__ = ["LANES", "TraceDocument", "TraceError", "TraceState", "from_json", "load"]

VERSION = 1
KINDS = ("search", "validate")
FEATURE_NAMES = {
    "INDIRECT_DESC": F_INDIRECT_DESC,
    "EVENT_IDX": F_EVENT_IDX,
    "VERSION_1": F_VERSION_1,
    "IN_ORDER": F_IN_ORDER,
    "NOTIFICATION_DATA": F_NOTIFICATION_DATA,
}
MOST_ROUNDS = 1 << 20
"""Of one operation: what a replay still does in seconds."""

_OP_LIMITS = (0xFF, 0xFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF)
_OWN_META = frozenset(
    (
        *("format", "format-description", "description", "ringproof", "kind", "mutant", "property"),
        *("violated", "replayed", "config", "operations"),
    )
)


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

    def alone(self) -> bool:
        """Whether it is a driver's run that no reference can follow."""
        mischief = any(op.code == Code.MISCHIEF for op in self.operations)
        return bool(self.config.hostile or self.config.fail_allocation or mischief or self.extra.get("alone"))

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON values, the same for the same run."""
        config = self.config
        meta = {
            "format": "ITF",
            "format-description": itf.FORMAT_DESCRIPTION,
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
                **({"fail_allocation": config.fail_allocation} if config.fail_allocation else {}),
                **({"hostile": True} if config.hostile else {}),
            },
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


def load(path: Path) -> TraceDocument:
    """Read a document. Raises TraceError for one that is missing, malformed, foreign or newer."""
    return from_json(itf.read(path), str(path))


def from_json(value: object, name: str) -> TraceDocument:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    try:
        return _Reader(name).document(value)
    except RecursionError:
        raise TraceError(f"{name}: values are nested too deeply") from None


class _Reader(EntriesReader):
    """Takes the plain JSON values of a trace document apart."""

    def document(self, value: object) -> TraceDocument:
        whole, meta = self._own(value, VERSION)
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
            extra=self._extra(meta, _OWN_META, len(operations)),
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
                fail_allocation=self._integer(
                    config.get("fail_allocation", 0), f"{place}.fail_allocation", 0, 0xFFFF_FFFF
                ),
                hostile=self._truth(config.get("hostile", False), f"{place}.hostile"),
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
            ends = found and found[-1].code == Code.DETACH_UNUSED
            if ends and op.code not in (Code.DETACH_UNUSED, Code.MISCHIEF):
                raise self._fail(place, "only DETACH_UNUSED may follow DETACH_UNUSED")
            found.append(op)
        return tuple(found)
