"""Writing a trace document, of whatever kind it is."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from . import itf
from .itf import TraceState


class WrittenDocument(ABC):
    """A document as it is written: its states, and what stands in ``#meta``."""

    __slots__ = ()

    states: tuple[TraceState, ...]

    @abstractmethod
    def meta(self) -> dict[str, Any]:
        """What stands in ``#meta``, as plain JSON values."""

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON values, the same for the same run."""
        return itf.to_json(self.meta(), self.states)

    def text(self) -> str:
        """The document as text: one line per state, so that it can be read and compared by line."""
        return itf.text(self.to_json())

    def save(self, path: Path) -> None:
        """Write it to ``path``, whole or not at all. Raises TraceError when it cannot be written."""
        itf.save(self.text(), path)
