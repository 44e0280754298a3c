"""Opening a saved trace of whatever kind."""

from pathlib import Path
from typing import TypeAlias

from ..journey import document as network
from ..journey.document import NetTrace
from ..traces import document as queue
from ..traces import itf, steps_document
from ..traces.document import TraceDocument
from ..traces.itf import ItfReader
from ..traces.steps_document import StepsDocument

Document: TypeAlias = TraceDocument | NetTrace | StepsDocument
KINDS = (*queue.KINDS, network.KIND, steps_document.KIND)


def load_any(path: Path) -> Document:
    """Read a document of any kind.

    Raises TraceError, one line that names file and place, for one that is missing, truncated, malformed,
    foreign, of a kind nobody knows, or newer.
    """
    return from_json(itf.read(path), str(path))


def from_json(value: object, name: str) -> Document:
    """A document from plain JSON values; ``name`` stands for the file in messages. Raises TraceError."""
    if network.is_net_trace(value):
        return network.from_json(value, name)
    if steps_document.is_steps_document(value):
        return steps_document.from_json(value, name)
    return _Kinds(name).document(value)


class _Kinds(ItfReader):
    """Tells a document whose kind is no other's."""

    def document(self, value: object) -> Document:
        newest = max(queue.VERSION, network.VERSION, steps_document.VERSION)
        _, meta = self._own(value, newest)
        self._one_of(meta.get("kind"), "#meta.kind", KINDS)
        return queue.from_json(value, self._name)
