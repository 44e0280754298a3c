"""A ring's memory whose words hold any value: it answers ``cast``, slices and strides as bytes would.

What lies in it goes by the names of the step-wise model, each cell a map from index to term, or a term: so
code that does what the model does builds the model's terms. Where the parts lie and how wide words are is
said here once more, from VIRTIO 1.3 sections 2.7.5, 2.7.6 and 2.7.8, not taken from the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import z3

from ...model.term import enter, store
from .explorer import Run
from .symbolic_int import Address, SymbolicInt, term_of

ITEM_BYTES = {"B": 1, "H": 2, "I": 4, "Q": 8}
DESC_FLAGS = {0: "has_next", 1: "writes", 2: "indirect"}
AVAIL_FLAGS = {0: "no_interrupt"}
USED_FLAGS = {0: "no_notify"}
ENTRY = "entry_"
DEVICE_CELLS = ("no_notify", "used_idx", "used_ring", "used_len", "avail_event")
"""What the device writes. Lengths of used elements are not in the model: ``used_len`` is ours."""


class Misfit(Exception):  # noqa: N818
    """Code meets memory where there is no word of that size, or with what is no number."""


@dataclass(frozen=True)
class Field:
    """One field of the ring: ``count`` words of ``size`` bytes, ``stride`` bytes apart, from ``offset`` on.

    ``cell`` names the map, or the number, that it holds; a field of flags has a cell for each of its bits.
    """

    name: str
    cell: str
    offset: int
    size: int
    stride: int = 0
    count: int = 1
    marks: Mapping[int, str] = field(default_factory=dict)


def ring_fields(queue_size: int, avail: int, used: int) -> tuple[Field, ...]:
    """Return the fields of a ring whose parts lie at 0, ``avail`` and ``used``."""
    return (
        *descriptor_fields(queue_size),
        Field("avail.flags", "", avail, 2, marks=AVAIL_FLAGS),
        Field("avail.idx", "avail_idx", avail + 2, 2),
        Field("avail.ring", "avail_ring", avail + 4, 2, 2, queue_size),
        Field("avail.used_event", "used_event", avail + 4 + 2 * queue_size, 2),
        Field("used.flags", "", used, 2, marks=USED_FLAGS),
        Field("used.idx", "used_idx", used + 2, 2),
        Field("used.id", "used_ring", used + 4, 4, 8, queue_size),
        Field("used.len", "used_len", used + 8, 4, 8, queue_size),
        Field("used.avail_event", "avail_event", used + 4 + 8 * queue_size, 2),
    )


def descriptor_fields(count: int, prefix: str = "") -> tuple[Field, ...]:
    """Return the fields of a table of descriptors at 0."""
    marks = {bit: prefix + cell for bit, cell in DESC_FLAGS.items()}
    return (
        Field("desc.addr", f"{prefix}addr", 0, 8, 16, count),
        Field("desc.len", f"{prefix}len", 8, 4, 16, count),
        Field("desc.flags", "", 12, 2, 16, count, marks),
        Field("desc.next", f"{prefix}next", 14, 2, 16, count),
    )


class Watcher(Protocol):
    """Who hears of each access to memory."""

    def reads(self, name: str) -> None:
        """Hear that a field is about to be read."""

    def loaded(self, cell: str, *key: Any) -> None:
        """Hear where an array was read: at an index, or at a table's index."""

    def writes(self, name: str) -> None:
        """Hear that a field is about to be written."""

    def written(self, name: str) -> None:
        """Hear that it was."""


class Memory:
    """All that lies in shared memory, by cell. ``watcher`` is none while nobody minds."""

    def __init__(self, run: Run, cells: Mapping[str, Any]) -> None:
        self.run = run
        self.cells = dict(cells)
        self.watcher: Watcher | None = None


@dataclass(frozen=True)
class Block:
    """A block of memory: its fields, and the table that it is, if it is one."""

    memory: Memory
    size: int
    fields: tuple[Field, ...]
    table: Any = None

    def window(self) -> Window:
        """Return the bytes of the block."""
        return Window(self, 0, self.size)

    def load(self, place: Field, index: Any) -> SymbolicInt:
        """Return the word of the field at an index."""
        run, watcher = self.memory.run, self.memory.watcher
        if watcher is not None:
            watcher.reads(self._named(place))
        if place.marks:
            return run.word({bit: self._held(cell, index) for bit, cell in place.marks.items()})
        value = self._held(place.cell, index)
        if watcher is not None and place.stride:
            watcher.loaded(place.cell, *((index,) if self.table is None else (self.table, index)))
        return run.address(value) if place.cell.endswith("addr") else run.number(value)

    def store(self, place: Field, index: Any, value: Any) -> None:
        """Put a number into the field at an index."""
        if not isinstance(value, int | SymbolicInt):
            raise TypeError(f"a {type(value).__name__} is stored into {place.name}")
        run, watcher = self.memory.run, self.memory.watcher
        if watcher is not None:
            watcher.writes(self._named(place))
        if place.marks:
            self._mark(place, index, value)
        else:
            term = term_of(value)
            if z3.is_bool(term):
                term = z3.If(term, 1, 0)
            if not isinstance(value, Address):
                run.require(f"{place.name} has room for the number", in_range(term, 1 << 8 * place.size))
            self._put(place.cell, index, term)
        if watcher is not None:
            watcher.written(self._named(place))

    def clear(self) -> None:
        """Make every byte zero."""
        for place in self.fields:
            for cell in place.marks.values() or (place.cell,):
                zero: Any = False if place.marks else 0
                self.memory.cells[cell] = (lambda _, zero=zero: zero) if place.stride else zero

    def _mark(self, place: Field, index: Any, value: Any) -> None:
        bits = (
            value.bits
            if isinstance(value, SymbolicInt)
            else {bit: True for bit in range(value.bit_length()) if value >> bit & 1}
        )
        if bits is None or (isinstance(value, int) and value < 0):
            self.memory.run.require(f"{place.name} is given flags", False)
            return
        for bit, flag in bits.items():
            if bit not in place.marks:
                self.memory.run.require(f"{place.name} is given flags that there are", _no(flag))
        for bit, cell in place.marks.items():
            self._put(cell, index, bits.get(bit, False))

    def _held(self, cell: str, index: Any) -> Any:
        held = self.memory.cells[cell]
        if not callable(held):
            return held
        return held(index) if self.table is None else held(self.table, index)

    def _put(self, cell: str, index: Any, value: Any) -> None:
        """Put a value into a cell, unless it is a flag read there before."""
        if z3.is_bool(value) and _same(self._held(cell, index), value):
            return
        held = self.memory.cells[cell]
        if not callable(held):
            self.memory.cells[cell] = value
        elif self.table is None:
            self.memory.cells[cell] = store(held, index, value)
        else:
            self.memory.cells[cell] = enter(held, self.table, index, value)

    def _named(self, place: Field) -> str:
        return place.name if self.table is None else f"table {place.name}"


class Window:
    """Words of a block at equal distances: what a memoryview of its bytes gives when cast and sliced."""

    def __init__(self, block: Block, start: int, count: int, size: int = 1, stride: int = 1) -> None:
        self._block = block
        self._start = start
        self._count = count
        self._size = size
        self._stride = stride

    def cast(self, form: str) -> Window:
        """Return the bytes as words, or words as bytes; raises as a memoryview does."""
        size = ITEM_BYTES.get(form)
        if size is None or (self._size != 1 and size != 1) or self._stride != self._size:
            raise TypeError(f"memory is cast to {form!r}")
        length = self._count * self._size
        if length % size:
            raise TypeError("memoryview: length is not a multiple of itemsize")
        return Window(self._block, self._start, length // size, size, size)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self._count))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            part = range(self._count)[key]
            start, stride = self._start + part.start * self._stride, self._stride * part.step
            return Window(self._block, start, len(part), self._size, stride)
        return self._block.load(*self._place(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            whole = self[key]
            if (whole._start, whole._count) != (0, self._block.size) or value != bytes(self._block.size):
                raise Misfit("a part of memory is written at once")
            self._block.clear()
            return
        self._block.store(*self._place(key), value)

    def _place(self, key: Any) -> tuple[Field, Any]:
        """Return the field that a word lies in, and its index there."""
        if isinstance(key, SymbolicInt):
            return self._any_place(key)
        index = int(key)
        if not -self._count <= index < self._count:
            raise IndexError("index out of bounds on dimension 1")
        at = self._start + (index % self._count) * self._stride
        for place in self._block.fields:
            step = place.stride or place.size
            nth, rest = divmod(at - place.offset, step)
            if rest == 0 and 0 <= nth < place.count and place.size == self._size:
                return place, nth
        raise Misfit(f"no word of {self._size} bytes lies at byte {at}")

    def _any_place(self, key: SymbolicInt) -> tuple[Field, Any]:
        """Return the array that a word of any index lies in; that the index is one of its is to be shown."""
        alike = [
            place
            for place in self._block.fields
            if place.stride == self._stride
            and place.size == self._size
            and (self._start - place.offset) % self._stride == 0
        ]
        if not alike:
            raise Misfit(f"no words of {self._size} bytes lie {self._stride} bytes apart")
        place = min(alike, key=lambda each: abs(self._start - each.offset))
        index = (
            key.term + (self._start - place.offset) // self._stride
            if self._start != place.offset
            else key.term
        )
        self._block.memory.run.require(
            f"the index into {place.name} is in range", in_range(index, place.count)
        )
        return place, index


class Token:
    """A token that was given to the queue: somebody's object, known by a number that is not 0."""

    def __init__(self, run: Run, term: Any) -> None:
        self.run = run
        self.term = term

    def __eq__(self, other: object) -> bool:
        return self.run.decide(self.term == other.term) if isinstance(other, Token) else False

    def __hash__(self) -> int:
        raise TypeError("tokens need not be hashable")

    def __bool__(self) -> bool:
        raise TypeError("tokens need not have a truth value")


class Tokens:
    """The driver's list of a token, or None, for each descriptor."""

    def __init__(self, run: Run, held: Callable[[Any], Any], count: int, watcher: Watcher) -> None:
        self.run = run
        self.held = held
        self.count = count
        self._watcher = watcher

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Token | None]:
        return (self[i] for i in range(self.count))

    def __getitem__(self, key: Any) -> Token | None:
        index = self._index(key)
        value = self.held(index)
        if self.run.decide(value == 0):
            return None
        self._watcher.loaded("data", index)
        return Token(self.run, value)

    def __setitem__(self, key: Any, value: Token | None) -> None:
        index = self._index(key)
        if value is not None and not isinstance(value, Token):
            raise TypeError(f"a {type(value).__name__} is kept as a token")
        self.held = store(self.held, index, 0 if value is None else value.term)

    def _index(self, key: Any) -> Any:
        if isinstance(key, SymbolicInt):
            self.run.require("the index into data is in range", in_range(key.term, self.count))
            return key.term
        if not -self.count <= key < self.count:
            raise IndexError("list index out of range")
        return key % self.count


def in_range(term: Any, bound: int) -> Any:
    """Return whether a term is from 0 to bound - 1."""
    return z3.And(term >= 0, term < bound)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, z3.ExprRef) and isinstance(other, z3.ExprRef):
        return bool(one.eq(other))
    return type(one) is type(other) and bool(one == other)


def _no(flag: Any) -> Any:
    return not flag if isinstance(flag, bool) else z3.Not(flag)
