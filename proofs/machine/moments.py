"""The step-wise model on bit-vectors: a queue of one small size, and its moments, without integers.

Numbers are signed bit-vectors of 40 bits, or plain; addresses and tokens, which are only compared, have 64.
Z3 reads ``<`` and ``%`` of bit-vectors with a sign, so the model's formulas say of these numbers what they
say of integers, as long as nothing overflows, and nothing can: every number begins with far fewer bits, and
an operation adds and multiplies a few of them. Segments of a chain are sums of two 32-bit words.

Each number has just the bits that it can need. Where an invariant says that a number is in range, it has the
bits of that range. Where no invariant says anything of a number (the owner of a free descriptor), it does not
matter. Counts that never wrap have 20 bits: model and invariants speak of their differences, none above
2^16, and their remainders modulo 2^16, so a moment later in time is one of these, too, moved by a multiple
of 2^16. The order of chains in flight, at most queue_size neighbours, is kept by slot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import z3

from ...model.steps.moment import Choice, Moment
from ...model.term import both
from ..refinement.follower import theirs
from .words import plain

NUMBER = 40
WIDE = 64
_COUNT = 20

_WIDE = frozenset({"data", "given", "addr", "entry_addr", "token", "result", "table", "segment_addr"})
_WORDS = frozenset(
    {"num_added", "last_used_idx", "avail_idx", "used_event", "used_idx", "avail_event", "old_idx"}
)
_COUNTS = frozenset({
    "published", "read", "used", "staged", "last_used", "last_kick", "signalled", "event", "seen",
    "kick_from", "place", "bufs",
})  # fmt: skip
_OF_TABLES = frozenset({"allocated", "size", "table_outs", "table_head"})
_OF_SLOTS = frozenset({"avail_ring", "used_ring", "order"})
_OF_SEGMENTS = frozenset({"segment_addr", "segment_len"})


class BitSize:
    """One queue size, with as many indirect tables as can be in use, and one more.

    A table goes by its address for the device: any 64-bit words, all different. As in ``OneSize`` a table
    has at most one entry more than the queue has descriptors.
    """

    def __init__(self, queue_size: int) -> None:
        self.plain = queue_size
        self.queue_size = z3.BitVecVal(queue_size, NUMBER)
        self._numbers = [z3.BitVecVal(number, NUMBER) for number in range(queue_size + 1)]
        self.tables = [z3.BitVec(f"table_{i}", WIDE) for i in range(queue_size + 1)]

    def slot(self, number: Any) -> Any:
        """Return the remainder."""
        return number % self.queue_size

    def facts(self, numbers: tuple[Any, ...]) -> dict[str, Any]:
        """Tables differ from each other."""
        del numbers
        return {"tables-differ": z3.And(differ(self.tables))}

    def every(self, claim: Callable[[Any], Any]) -> Any:
        """Spell out the descriptors."""
        return both(*(claim(d) for d in self._numbers[:-1]))

    def every_pair(self, claim: Callable[[Any, Any], Any]) -> Any:
        """Spell out the pairs."""
        return both(*(claim(g, h) for g in self._numbers[:-1] for h in self._numbers[:-1]))

    def between(self, low: Any, high: Any, claim: Callable[[Any], Any]) -> Any:
        """Spell out the window."""
        numbers = [low + step for step in self._numbers]
        return z3.And([z3.Implies(number < high, claim(number)) for number in numbers])

    def every_table(self, claim: Callable[[Any], Any]) -> Any:
        """Spell out the tables."""
        return both(*(claim(table) for table in self.tables))

    def every_entry(self, claim: Callable[[Any, Any], Any]) -> Any:
        """Spell out the tables and their entries."""
        return both(*(claim(table, i) for table in self.tables for i in self._numbers))

    def admits_table(self, table: Any, entries: Any) -> Any:
        """Admit what is spelt out."""
        return z3.And(z3.Or([table == each for each in self.tables]), entries <= self.queue_size + 1)


def unknown_moment(size: BitSize, mark: str = "", **known: Any) -> Moment:
    """Return a moment of which nothing is known but these fields: symbols named with ``mark``."""
    return Moment(**{
        field.name: known[field.name]
        if field.name in known
        else _symbol(field.name, str(field.type), size, mark)
        for field in fields(Moment)
    })  # fmt: skip


def unknown_choice(size: BitSize, **known: Any) -> Choice:
    """Return a choice of which nothing is known but these fields."""
    return Choice(**{
        field.name: known[field.name]
        if field.name in known
        else _symbol(field.name, str(field.type), size, "", "chosen_")
        for field in fields(Choice)
    })  # fmt: skip


def interfered(size: BitSize, moment: Moment, mark: str) -> Moment:
    """Return the moment after device and interrupt handler had their turn; the invariants say more of it."""
    types = {field.name: str(field.type) for field in fields(Moment)}
    return replace(moment, **{name: _symbol(name, types[name], size, mark) for name in theirs()})


def differ(words: list[Any]) -> list[z3.BoolRef]:
    """Return that no two of these words are the same."""
    return [one != other for i, one in enumerate(words) for other in words[:i]]


def number_of(name: str, bits: int, width: int = NUMBER) -> Any:
    """Return a symbol of some bits as a number."""
    return z3.ZeroExt(width - bits, z3.BitVec(name, bits)) if bits < width else z3.BitVec(name, bits)


def _bits(name: str, size: BitSize) -> int:
    if name in _WIDE:
        return WIDE
    if name in _WORDS or name == "avail_ring":
        return 16
    if name in _COUNTS:
        return _COUNT
    if name in ("used_ring", "len", "entry_len", "segment_len", "num_free"):
        return 32
    if name == "entry_next":
        return 16
    if name in ("free", "length", "size", "table_outs", "chain_outs", "count", "taking", "segments", "outs"):
        return size.plain.bit_length() + 1
    return max((size.plain - 1).bit_length(), 1)  # a descriptor, a position, a rank


def _symbol(name: str, type_: str, size: BitSize, mark: str, prefix: str = "") -> Any:
    bits, width = _bits(name, size), WIDE if name in _WIDE else NUMBER

    def one(place: str) -> Any:
        return number_of(f"{prefix}{name}{place}{mark}", bits, width)

    def flag(place: str) -> Any:
        return z3.Bool(f"{prefix}{name}{place}{mark}")

    if type_ == "Number":
        return one("")
    if type_ == "Flag":
        return flag("")
    make = one if type_ in ("Map", "Entries") else flag
    count = size.plain + (name in _OF_SEGMENTS)
    if type_ in ("Entries", "EntryMarks"):
        rows = [[make(f"_{t}_{i}") for i in range(size.plain + 1)] for t in range(len(size.tables))]
        return lambda t, i: _at_table(size, t, [_at(i, row) for row in rows])
    if name in _OF_TABLES:
        cells = [make(f"_{t}") for t in range(len(size.tables))]
        return lambda t: _at_table(size, t, cells)
    cells = [make(f"_{i}") for i in range(count)]
    if name in _OF_SLOTS:
        return lambda k: _at(k % size.queue_size, cells)
    return lambda d: _at(d, cells)


def _at(index: Any, cells: list[Any]) -> Any:
    """Return the cell of an index; of an index that is none, the last."""
    if not isinstance(index, int):
        index = plain(z3.simplify(index))
    if isinstance(index, int):
        return cells[min(index, len(cells) - 1)]
    value = cells[-1]
    for i in reversed(range(len(cells) - 1)):
        value = z3.If(index == i, cells[i], value)
    return value


def _at_table(size: BitSize, table: Any, cells: list[Any]) -> Any:
    value = cells[-1]
    for i in reversed(range(len(cells) - 1)):
        if table.eq(size.tables[i]):
            return cells[i]
        value = z3.If(table == size.tables[i], cells[i], value)
    return cells[-1] if table.eq(size.tables[-1]) else value
