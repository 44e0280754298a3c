"""What machine code must not do, recorded as it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import z3

from .state import UNINITIALISED, State
from .words import Flag, symbols


@dataclass(frozen=True)
class Finding:
    """Something machine code must not do, on a path that can be taken.

    ``kind`` is one of null, wild, permission, uninitialised, division, trap, abi, overlap, abort, or what an
    environment names. ``path`` are the conditions under which it happens.
    """

    kind: str
    what: str
    place: str
    path: tuple[z3.BoolRef, ...]


class Over(Exception):  # noqa: N818 - no error: a path has ended, in a finding, or in forks that go on
    """The path that was followed has ended."""


class Findings(list[Finding]):
    """All findings of a run, in the order in which they were met."""

    def __init__(self) -> None:
        super().__init__()
        self._clean: dict[int, tuple[Any, bool]] = {}

    def report(self, state: State, kind: str, what: str, place: str, *conditions: Flag) -> None:
        """Record a finding on a state's path, under further conditions."""
        more = tuple(each for each in conditions if each is not True)
        self.append(Finding(kind, what, place, (*state.path, *more)))

    def end(self, state: State, kind: str, what: str, place: str) -> None:
        """Record a finding that ends the path: always raises Over."""
        self.report(state, kind, what, place)
        raise Over

    def initialised(self, state: State, term: Any, what: str, place: str) -> None:
        """Record it if something depends on what was never written, and end the path."""
        if isinstance(term, int):
            return
        known = self._clean.get(term.get_id())
        if known is None:
            clean = not any(each.decl().name().startswith(UNINITIALISED) for each in symbols(term))
            known = self._clean[term.get_id()] = (term, clean)
        if not known[1]:
            self.end(state, "uninitialised", f"{what} depends on what was never written", place)
