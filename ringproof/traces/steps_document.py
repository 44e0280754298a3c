"""The trace of the step-wise model: a run statement by statement, in any interleaving with the device.

Like the others it is ITF JSON. Nothing replays it, so there are no operations: ``#meta`` says what the queue
is, what was before the first state, and which theorems the last step breaks. Each state tells in ``words``
what its step does, so that no model is needed to show a run. Variables are named as those of a queue's states
where they mean the same; the others are

- ``words``: what the step does, "" for the first state;
- ``addr``, ``len``: of each descriptor, beside ``flags`` and ``next``;
- ``tables``: the indirect tables there have been, each with whether it is allocated, and its entries;
- ``callbacks``: whether the driver wants to be told of completions;
- ``notified``, ``irq``: a notification or an interrupt is pending; ``asleep``: the device waits for the one;
- ``live``: the device was not reset.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import itf
from .itf import TraceError, TraceState
from .reading import DocumentReader
from .shapes import Shape, integers
from .writing import WrittenDocument

__all__ = ["KIND", "BrokenTheorem", "StepsDocument", "TraceError", "TraceState", "from_json", "load"]

VERSION = 1
KIND = "steps"
PROFILES = ("linux-3.11", "virtio-1.x")
FEATURES = ("EVENT_IDX", "INDIRECT_DESC")
LARGEST_QUEUE = 32768
MOST_BEFORE = 0xFFFF

TABLES = ("next", "flags", "addr", "len", "data", "avail_ring", "used_ring")
"""Variables that have an entry for each descriptor or slot of the queue."""

SHAPES: dict[str, Shape] = {
    "words": str,
    **integers("avail_idx", "used_idx", "last_used_idx", "avail_flags", "used_flags", "used_event"),
    **integers("avail_event", "free_head", "num_free", "num_added", "read_idx"),
    "in_flight": [int],
    **{name: [int] for name in TABLES},
    "tables": [
        {"table": int, "allocated": bool, "entries": [integers("addr", "len", "flags", "next")]},
    ],
    **dict.fromkeys(("callbacks", "notified", "irq", "asleep", "live"), bool),
}
"""The variables of a state beside action, args and lane; every state has all of them."""

_AT_STEP = re.compile(r"([a-z][a-z0-9_]*): ")
"""What begins a sentence about one kind of step: the name of that step."""

_OWN_META = frozenset(
    (
        *("format", "format-description", "description", "ringproof", "kind", "mutant", "change"),
        *("property", "violated", "config", "before", "broken"),
    )
)


@dataclass(frozen=True, slots=True)
class BrokenTheorem:
    """A theorem that the last step breaks: its name and title, and which of its sentences."""

    theorem: str
    title: str
    sentence: str

    @property
    def violated(self) -> str:
        """What went wrong, said as such: a theorem's sentence alone reads as if it held."""
        named = _AT_STEP.match(self.sentence)
        if named:
            return f"at {named[1]} it does not hold that {self.sentence[named.end() :]}"
        return f"it no longer holds that {self.sentence}"


@dataclass(frozen=True, slots=True)
class StepsDocument(WrittenDocument):
    """A run of the step-wise model that carries ``mutant``, from a queue as made or after a past.

    ``broken`` are the theorems that the last step breaks; ``property`` is the name of the first, ``violated``
    says what became of its sentence. ``change`` says what the mutant does otherwise; ``features`` are of
    FEATURES. The past are chains of one descriptor that were added and came back one at a time: first
    ``kicked`` ones, then ``quiet`` ones without a kick. ``extra`` holds further entries of ``#meta``, kept as
    they are.
    """

    mutant: str
    change: str
    property: str
    violated: str
    broken: tuple[BrokenTheorem, ...]
    queue_size: int
    profile: str
    features: tuple[str, ...]
    states: tuple[TraceState, ...]
    kicked: int = 0
    quiet: int = 0
    description: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def meta(self) -> dict[str, Any]:
        """What stands in ``#meta``, as plain JSON values."""
        own = {
            "change": self.change,
            "property": self.property,
            "violated": self.violated,
            "config": {
                "queue_size": self.queue_size,
                "features": list(self.features),
                "profile": self.profile,
            },
            "before": {"kicked": self.kicked, "quiet": self.quiet},
            "broken": [
                {"theorem": each.theorem, "title": each.title, "sentence": each.sentence}
                for each in self.broken
            ],
        }
        return self._framed(KIND, VERSION, own)


def describe(document: StepsDocument) -> str:
    """The queue in words: "queue of 2, EVENT_IDX, profile linux-3.11, after 65,533 chains"."""
    past = document.kicked + document.quiet
    parts = [f"queue of {document.queue_size}", *document.features, f"profile {document.profile}"]
    if past:
        quiet = f", the last {document.quiet:,} without a kick" if document.quiet else ""
        parts.append(f"after {past:,} chains that came back one at a time{quiet}")
    return ", ".join(parts)


def load(path: Path) -> StepsDocument:
    """Read a document. Raises TraceError for one that is missing, malformed, foreign or newer."""
    return from_json(itf.read(path), str(path))


def from_json(value: object, name: str) -> StepsDocument:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    head, _, states = StepsReader(name).parts(value)
    return replace(head, states=states)


class StepsReader(DocumentReader[StepsDocument]):
    """Takes the plain JSON values of a run of the step-wise model apart."""

    version = VERSION
    replays = False

    def head(self, meta: Mapping[str, object], last: int) -> StepsDocument:
        """Read what is no state."""
        self._one_of(meta.get("kind"), "#meta.kind", (KIND,))
        place = "#meta.config"
        config = self._record(meta.get("config"), place, "an object")
        past = self._record(meta.get("before"), "#meta.before", "an object")
        size = self._integer(config.get("queue_size"), f"{place}.queue_size", 1, LARGEST_QUEUE)
        if size & (size - 1):
            raise self._fail(f"{place}.queue_size", f"{size} is not a power of two")
        features = self._list(config.get("features"), f"{place}.features")
        broken = self._list(meta.get("broken"), "#meta.broken")
        return StepsDocument(
            mutant=self._text(meta.get("mutant"), "#meta.mutant"),
            change=self._text(meta.get("change"), "#meta.change"),
            property=self._text(meta.get("property"), "#meta.property"),
            violated=self._text(meta.get("violated"), "#meta.violated"),
            broken=tuple(self._theorem(each, f"#meta.broken[{at}]") for at, each in enumerate(broken)),
            queue_size=size,
            profile=self._one_of(config.get("profile"), f"{place}.profile", PROFILES),
            features=tuple(
                self._one_of(name, f"{place}.features[{at}]", FEATURES) for at, name in enumerate(features)
            ),
            states=(),
            kicked=self._integer(past.get("kicked"), "#meta.before.kicked", 0, MOST_BEFORE),
            quiet=self._integer(past.get("quiet"), "#meta.before.quiet", 0, MOST_BEFORE),
            description=self._text(meta.get("description", ""), "#meta.description"),
            extra=self._extra(meta, _OWN_META, last),
        )

    def _theorem(self, value: object, place: str) -> BrokenTheorem:
        broken = self._record(value, place, "an object")
        return BrokenTheorem(
            **{
                name: self._text(broken.get(name), f"{place}.{name}")
                for name in ("theorem", "title", "sentence")
            }
        )

    def state(self, value: object, place: str, names: Sequence[str], head: StepsDocument) -> TraceState:
        """Read a state, which has exactly the variables of SHAPES, tables as long as the queue."""
        state = self._state(value, place, names)
        self._conform(dict(state.values), place, SHAPES)
        for name in TABLES:
            if len(state.values[name]) != head.queue_size:
                raise self._fail(
                    f"{place}.{name}",
                    f"{len(state.values[name])} entries where the queue has {head.queue_size}",
                )
        return state
