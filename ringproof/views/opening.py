"""Opening a saved trace of whatever kind: whole, a state at a time, or a window of a very long one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from ..journey import document as network
from ..journey.document import NetReader, NetTrace
from ..traces import document as queue
from ..traces import itf, steps_document
from ..traces.document import QueueReader, TraceDocument
from ..traces.itf import ItfReader, TraceError, TraceState
from ..traces.reading import DocumentReader
from ..traces.steps_document import StepsDocument, StepsReader
from ..traces.streaming import TraceStream

Document: TypeAlias = TraceDocument | NetTrace | StepsDocument

READERS: Mapping[str, type[DocumentReader[Any]]] = {
    **dict.fromkeys(queue.KINDS, QueueReader),
    network.KIND: NetReader,
    steps_document.KIND: StepsReader,
}
"""What reads a document, by its kind."""

MOST_STATES = 20_000
"""Of a trace that is opened whole."""
MOST_BYTES = 50_000_000
"""Of a file that is opened whole."""
WINDOW = 1_000
"""How many steps of a longer trace are shown."""
_LEAST_STATE = 100
"""Bytes; no state takes fewer."""


def load_any(path: Path) -> Document:
    """Read a document of any kind.

    Raises TraceError, one line that names file and place, for one that is missing, truncated, malformed,
    foreign, of a kind nobody knows, or newer.
    """
    return from_json(itf.read(path), str(path))


def from_json(value: object, name: str) -> Document:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    match _Kinds(name).kind(value):
        case network.KIND:
            return network.from_json(value, name)
        case steps_document.KIND:
            return steps_document.from_json(value, name)
        case _:
            return queue.from_json(value, name)


class _Kinds(ItfReader):
    """Tells of which kind a document is."""

    def kind(self, value: object) -> str:
        _, meta = self._own(value, max(reader.version for reader in READERS.values()))
        return self._one_of(meta.get("kind"), "#meta.kind", tuple(READERS))


def stream_any(path: Path) -> TraceStream[Document]:
    """Open a document of any kind to be read a state at a time. Raises TraceError as :func:`load_any`."""
    return TraceStream(path, READERS)


@dataclass(frozen=True, slots=True)
class Window:
    """A document, or the part of a very long one that is shown.

    The states of ``document`` are those from number ``first`` on, of ``total`` in all; where that is not all
    of them it has no operations. ``before`` is the state before the first.
    """

    document: Document
    first: int
    total: int
    before: TraceState | None = None

    @property
    def words(self) -> str:
        """Which part it is, in words; "" if it is the whole."""
        count = len(self.document.states)
        if count == self.total:
            return ""
        return (
            f"steps {self.first:,} to {self.first + count - 1:,} of {self.total - 1:,}: "
            "the trace is too long to be shown whole"
        )


def broken_step(document: Document, total: int) -> int | None:
    """The number of the step that breaks the document's property, of ``total`` states; None if none does.

    A validation may go on after the operation that failed, and says which one it was.
    """
    if not document.property:
        return None
    step = document.extra.get("step")
    if isinstance(step, int) and not isinstance(step, bool) and -1 <= step < total - 1:
        return step + 1
    return total - 1


def load_window(path: Path, around: int | None = None, most: int = WINDOW) -> Window:
    """Read a document, or of one of over MOST_STATES or MOST_BYTES the ``most`` steps around a step.

    ``around`` is that step, the one that breaks the property if it is None. Of a long trace the other states
    are not looked at, and memory does not grow with them. Raises TraceError as :func:`load_any`, and for a
    step that the trace does not have.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None
    stream = stream_any(path) if size > MOST_STATES * _LEAST_STATE else None
    total = _total(stream) if stream is not None else 0
    if stream is None or (size <= MOST_BYTES and total <= MOST_STATES):
        document = load_any(path)
        total = len(document.states)
        _step_of(path, document, around, total)
        return Window(document, 0, total)
    at = _step_of(path, stream.head, around, total)
    end = min(total, max(at + 1 + most // 4, most))
    first = max(0, end - most)
    states = tuple(stream.between(max(first - 1, 0), end))
    if len(states) != end - max(first - 1, 0):
        raise TraceError(f"{path}: states: there are fewer than the {total} for {total - 1} operations")
    before, shown = (states[0], states[1:]) if first else (None, states)
    return Window(replace(stream.head, states=shown), first, total, before)


def _total(stream: TraceStream[Document]) -> int:
    """How many states a trace has: one more than operations; those of a kind without are counted."""
    if stream.length is None:
        return sum(1 for _ in stream.states())
    return stream.length + 1


def _step_of(path: Path, document: Document, around: int | None, total: int) -> int:
    if around is None:
        return broken_step(document, total) or 0
    if not 0 <= around < total:
        raise TraceError(f"{path}: there is no step {around}: the last is {total - 1}")
    return around
