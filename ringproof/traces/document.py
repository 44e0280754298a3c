"""The trace document: a run and what it violates, as ITF JSON that other viewers read too.

The run itself, which is what replays, stands in ``#meta`` as operations; the states are what a reader looks
at. State i + 1 is the state after operation i.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import F_IN_ORDER, F_NOTIFICATION_DATA, MOST_SEGMENTS, QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1
from . import itf
from .itf import LANES, TraceError, TraceState
from .reading import DocumentReader
from .shapes import Shape, integers
from .writing import WrittenDocument

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
"""Of all operations of a run together: what a replay still does in less than a minute."""

TABLES = ("next", "flags", "data", "avail_ring", "used_ring")
"""Variables that have an entry for each descriptor or slot of the queue that is shown."""

VARIABLES: dict[str, Shape] = {
    **integers("avail_idx", "used_idx", "last_used_idx", "avail_flags", "used_flags", "used_event"),
    **integers("avail_event", "free_head", "num_free", "num_added", "read_idx", "notifications"),
    "broken": bool,
    **{name: [int] for name in ("in_flight", *TABLES)},
    "registers": [{"access": str, "register": str, **integers("width", "value", "times")}],
    **dict.fromkeys(("result", "expected", "observed"), "numbers"),
}
"""What a state of a queue may hold, and of which shape: "numbers" are any fields that are integers.

A state may lack any of them, and may hold others.
"""

_CODES = frozenset(int(code) for code in Code)
_OWN_META = frozenset(
    (
        *("format", "format-description", "description", "ringproof", "kind", "mutant", "property"),
        *("violated", "replayed", "config", "operations"),
    )
)


@dataclass(frozen=True, slots=True)
class TraceDocument(WrittenDocument):
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

    def meta(self) -> dict[str, Any]:
        """What stands in ``#meta``, as plain JSON values."""
        config = self.config
        own = {
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
        }
        return self._framed(self.kind, VERSION, own)


def load(path: Path) -> TraceDocument:
    """Read a document. Raises TraceError for one that is missing, malformed, foreign or newer."""
    return from_json(itf.read(path), str(path))


def from_json(value: object, name: str) -> TraceDocument:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    head, operations, states = QueueReader(name).parts(value)
    return replace(head, operations=operations, states=states)


class QueueReader(DocumentReader[TraceDocument]):
    """Takes the plain JSON values of a trace of a virtqueue apart."""

    version = VERSION

    def head(self, meta: Mapping[str, object], last: int) -> TraceDocument:
        """Read what is no operation and no state."""
        mutant = meta.get("mutant")
        return TraceDocument(
            kind=self._one_of(meta.get("kind"), "#meta.kind", KINDS),
            mutant=None if mutant is None else self._text(mutant, "#meta.mutant"),
            property=self._text(meta.get("property"), "#meta.property"),
            violated=self._text(meta.get("violated"), "#meta.violated"),
            replayed=self._truth(meta.get("replayed"), "#meta.replayed"),
            config=self._config(meta.get("config")),
            operations=(),
            states=(),
            description=self._text(meta.get("description", ""), "#meta.description"),
            extra=self._extra(meta, _OWN_META, last),
        )

    def state(self, value: object, place: str, names: Sequence[str], head: TraceDocument) -> TraceState:
        """Read a state; variables that have a meaning here must have their shape."""
        state = self._state(value, place, names)
        for name, item in state.values.items():
            shape = VARIABLES.get(name)
            if shape is int:
                if type(item) is not int:
                    raise self._wrong(item, f"{place}.{name}", "an integer")
            elif shape is not None:
                self._variable(item, f"{place}.{name}", shape)
        # A reference has the next power of two where a driver's queue is of another size.
        sizes = (head.config.queue_size, head.config.reference_size)
        for name in TABLES:
            table = state.values.get(name)
            if table is not None and len(table) not in sizes:
                raise self._fail(f"{place}.{name}", f"{len(table)} entries where the queue has {sizes[0]}")
        return state

    def _variable(self, item: object, place: str, shape: Shape) -> None:
        if shape == "numbers":
            for name, number in self._record(item, place, "an object").items():
                self._conform(number, f"{place}.{name}", int)
        elif shape != [int] or not (type(item) is list and itf.only_integers(item)):
            self._conform(item, place, shape)

    def operations(self, values: Iterable[object], head: TraceDocument) -> Iterator[Op]:
        """Each operation in turn, as long as a replay would not go on and on."""
        rounds = 0
        for at, op in enumerate(super().operations(values, head)):
            rounds += op.a if op.code == Code.ROUNDS else 0
            if rounds > MOST_ROUNDS:
                raise self._fail(f"#meta.operations[{at}]", f"more than {MOST_ROUNDS} rounds in all")
            yield op

    def operation(self, value: object, place: str, head: TraceDocument, before: Op | None) -> Op:
        """Read an operation that can be asked."""
        op = super().operation(value, place, head, before)
        if op.code not in _CODES:
            raise self._fail(f"{place}[0]", f"there is no operation with code {op.code}")
        if op.code == Code.ADD and op.a + op.in_ > MOST_SEGMENTS:
            raise self._fail(place, f"more than {MOST_SEGMENTS} segments")
        ends = before is not None and before.code == Code.DETACH_UNUSED
        if ends and op.code not in (Code.DETACH_UNUSED, Code.MISCHIEF):
            raise self._fail(place, "only DETACH_UNUSED may follow DETACH_UNUSED")
        return op

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
