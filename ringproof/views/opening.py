"""Opening a saved trace of whatever kind."""

from pathlib import Path
from typing import TypeAlias

from ..journey import document as network
from ..journey.document import NetTrace
from ..traces import document as queue
from ..traces import itf
from ..traces.document import TraceDocument

Document: TypeAlias = TraceDocument | NetTrace


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
    return queue.from_json(value, name)
