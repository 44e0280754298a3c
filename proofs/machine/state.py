"""One moment of a run of machine code: registers, memory, the path so far, and what was seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import z3

from .flat import Memory, Region
from .words import Flag, Word, extract, join

UNINITIALISED = "uninitialised!"
"""How names of symbols begin that stand for what was never written."""


@dataclass(frozen=True)
class Access:
    """An access to a region: of ``size`` bytes at ``address``, which can have the ``values`` and no others.

    ``place`` says where the instruction is.
    """

    region: Region
    address: Word
    values: tuple[int, ...]
    size: int
    place: str


@dataclass(frozen=True)
class Load:
    """Shared memory was read."""

    access: Access
    value: Word


@dataclass(frozen=True)
class Store:
    """Shared memory was written."""

    access: Access
    value: Word


@dataclass(frozen=True)
class Fence:
    """Accesses before and after were kept apart: "mfence", "lfence", "sfence", or a "lock" prefix."""

    kind: str
    place: str


@dataclass(frozen=True)
class Call:
    """Something outside was called; the arguments are the six registers that carry integers."""

    address: int
    name: str
    arguments: tuple[Word, ...]
    place: str


Event: TypeAlias = Load | Store | Fence | Call


class Registers:
    """VEX's guest state, in bytes: eight at a time, with parts read and written."""

    def __init__(self, unwritten: Callable[[int], Word], words: dict[int, Word] | None = None) -> None:
        self._unwritten = unwritten  # the word at an offset that was never written
        self._words = words if words is not None else {}

    def copy(self) -> Registers:
        """Return registers of their own with the same contents."""
        return Registers(self._unwritten, dict(self._words))

    def get(self, offset: int, size: int) -> Word:
        """Return ``size`` bytes from a byte offset on."""
        value: Word = 0
        done = 0
        while done < size:
            start, inside = (offset + done) & ~7, (offset + done) & 7
            count = min(8 - inside, size - done)
            word = self._words.get(start)
            if word is None:
                word = self._words[start] = self._unwritten(start)
            piece = extract(word, 8 * inside, 8 * count)
            value = piece if done == 0 else join(piece, 8 * count, value, 8 * done)
            done += count
        return value

    def put(self, offset: int, value: Word, size: int) -> None:
        """Put ``size`` bytes at a byte offset."""
        done = 0
        while done < size:
            start, inside = (offset + done) & ~7, (offset + done) & 7
            count = min(8 - inside, size - done)
            piece = extract(value, 8 * done, 8 * count)
            if count < 8:
                old = self.get(start, 8)
                above = 8 - inside - count
                piece = join(piece, 8 * count, extract(old, 0, 8 * inside), 8 * inside)
                piece = join(extract(old, 64 - 8 * above, 8 * above), 8 * above, piece, 64 - 8 * above)
            self._words[start] = piece
            done += count

    def forget(self, offset: int, size: int, unwritten: Callable[[int], Word]) -> None:
        """Let whole words hold what nobody wrote."""
        for start in range(offset, offset + size, 8):
            self._words[start] = unwritten(start)


@dataclass
class State:
    """A moment on one path. ``extra`` is the environment's own; its values are never changed in place."""

    registers: Registers
    memory: Memory
    path: tuple[z3.BoolRef, ...] = ()
    events: tuple[Event, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def fork(self, *conditions: Flag) -> State:
        """Return a state of its own that is the same, under further conditions."""
        more = tuple(condition for condition in conditions if condition is not True)
        return State(
            self.registers.copy(), self.memory.copy(), (*self.path, *more), self.events, dict(self.extra)
        )

    def saw(self, event: Event) -> None:
        """Note an event, after all others."""
        self.events = (*self.events, event)


@dataclass(frozen=True)
class Outcome:
    """The end of one path: its state, and what rax holds."""

    state: State
    result: Word


class Environment:
    """What surrounds the code. Each answer may fork the state; a state given may be changed, and returned."""

    def on_call(self, call: Call, state: State) -> list[tuple[State, Word | None]] | None:
        """Answer a call with what it returns in rax, or none; None lets the code there run, if it is code.

        Asked of every call whose target is in ``watched``, or is no code of the image.
        """
        del call, state
        return None

    def on_load(self, state: State, access: Access, value: Word) -> list[tuple[State, Word]]:
        """Answer a read of shared memory; ``value`` is what memory holds."""
        del access
        return [(state, value)]

    def on_store(self, state: State, access: Access, value: Word) -> list[State]:
        """Take note of a write to shared memory, which is then done in the states returned."""
        del access, value
        return [state]

    def on_fence(self, state: State, fence: Fence) -> list[State]:
        """Take note of a fence."""
        del fence
        return [state]

    watched: frozenset[int] = frozenset()
    """Addresses of functions in the image that are not run but asked of ``on_call``."""
