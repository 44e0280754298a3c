"""Writing a trace document, of whatever kind it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import itf
from .itf import TraceState


class WrittenDocument(ABC):
    """A document as it is written: its states, and what stands in ``#meta``."""

    __slots__ = ()

    states: tuple[TraceState, ...]
    mutant: str | None
    description: str
    extra: Mapping[str, Any]

    @abstractmethod
    def meta(self) -> dict[str, Any]:
        """What stands in ``#meta``, as plain JSON values."""

    def _framed(self, kind: str, version: int, own: Mapping[str, Any]) -> dict[str, Any]:
        """``#meta``: what all kinds begin with, a kind's ``own``, then ``extra`` as far as it is neither."""
        framed = {
            "format": "ITF",
            "format-description": itf.FORMAT_DESCRIPTION,
            "description": self.description,
            "ringproof": version,
            "kind": kind,
            "mutant": self.mutant,
            **own,
        }
        return {**framed, **{key: item for key, item in self.extra.items() if key not in framed}}

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON values, the same for the same run."""
        return itf.to_json(self.meta(), self.states)

    def text(self) -> str:
        """The document as text: one line per state, so that it can be read and compared by line."""
        return itf.text(self.to_json())

    def save(self, path: Path) -> None:
        """Write it to ``path``, whole or not at all. Raises TraceError when it cannot be written."""
        itf.save(self.text(), path)
