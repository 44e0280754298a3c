"""What memory holds at a moment of the model, byte for byte, as the shared library has laid it out.

``cells`` lists every word that the driver keeps or shares with the device, with its address, size, name and
what a moment says that it holds. What no moment says is anything, by a symbol of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import z3

from ...model.steps.moment import Moment
from ...model.steps.queue import Steps
from ...model.term import both
from .flat import Region
from .layout import Fields, layouts
from .moments import NUMBER, BitSize, differ
from .words import Flag, Word, boolean, choose, extract, vector

VQ, DESC, AVAIL, USED, DATA, OPS, TABLE, LENT = (0x1000_0000 * i for i in range(1, 9))
"""Where each object lies."""

CALLS = 0x50_0000_0000
"""Where the functions of struct rp_vq_ops would lie, 16 bytes apart."""

NAMES = ("allocate", "release", "notify", "callback", "read_segment")

_WANTED = {
    "rp_vq": (
        "desc", "avail", "used", "data", "queue_size", "num_free", "free_head", "num_added", "last_used_idx",
        "queue_index", "broken", "indirect", "event_idx", "little_endian", "mended", "callbacks", "ops",
        "context",
    ),
    "rp_vq_data": ("token", "table", "table_bytes"),
    "rp_vq_ops": NAMES,
    "rp_vq_segment": ("address", "length"),
}  # fmt: skip

NEXT, WRITE, INDIRECT = 1, 2, 4
ENTRY_BYTES = 16


@dataclass(frozen=True)
class Cell:
    """One word of memory: its name, address, size in bytes, and what it holds.

    ``compared`` is the condition under which it matters.
    """

    name: str
    address: int
    size: int
    value: Word
    compared: Flag = True


class Contents:
    """The memory of a virtqueue of one size, as a library's debug information lays it out."""

    def __init__(self, library: Path, size: BitSize) -> None:
        self.size = size
        self.n = size.plain
        self.structs: dict[str, Fields] = layouts(library, _WANTED)
        self.vq, self.data = self.structs["rp_vq"], self.structs["rp_vq_data"]
        self.segment = self.structs["rp_vq_segment"]
        # The table that may be allocated has the last of the names, which are ours to give: as each table
        # allocated is that of one outstanding chain, one name is always free.
        old = [z3.BitVec(f"virtual_{i}", 64) for i in range(len(size.tables) - 1)]
        self.virtual_addresses = [*old, z3.BitVecVal(TABLE, 64)]
        self.queue_index = z3.BitVec("queue_index", 16)
        self.context = z3.BitVec("context", 64)
        self.used_lengths = [z3.BitVec(f"used_length_{i}", 32) for i in range(self.n)]

    def regions(self) -> list[Region]:
        """Return what is mapped. All that others may see or that is asked about is shared."""
        n = self.n
        return [
            Region("vq", VQ, self.vq[""][1], shared=True),
            Region("desc", DESC, ENTRY_BYTES * n, shared=True),
            Region("avail", AVAIL, 6 + 2 * n, shared=True),
            Region("used", USED, 6 + 8 * n, shared=True),
            Region("data", DATA, self.data[""][1] * n, fresh=True),
            Region("ops", OPS, self.structs["rp_vq_ops"][""][1], "r"),
            Region("lent", LENT, 16, fresh=True),
        ]

    def facts(self) -> list[z3.BoolRef]:
        """Return what is known of the symbols here: pointers to tables are not null, and differ."""
        return [*differ(self.virtual_addresses), *(each != 0 for each in self.virtual_addresses)]

    def virtual(self, table: Word) -> Word:
        """Return the pointer to a table of this address."""
        value: Word = self.virtual_addresses[-1]
        for known, pointer in zip(self.size.tables[:-1], self.virtual_addresses, strict=False):
            value = choose(table == known, pointer, value, 64)
        return value

    def fixed(self, model: Steps, *, callback: bool) -> Iterator[Cell]:
        """Yield what does not change while the queue works."""
        pointers = {
            "desc": DESC,
            "avail": AVAIL,
            "used": USED,
            "data": DATA,
            "ops": OPS,
            "context": self.context,
        }
        flags: dict[str, Flag] = {
            "broken": False, "indirect": model.indirect_desc, "event_idx": model.event_idx,
            "little_endian": z3.Bool("version_1"), "mended": model.mended,
        }  # fmt: skip
        words: dict[str, Word] = {
            **pointers,
            "queue_size": self.n,
            "queue_index": self.queue_index,
            **{name: choose(flag, 1, 0, 8) for name, flag in flags.items()},
        }
        for name, word in words.items():
            offset, size = self.vq[name]
            yield Cell(f"vq.{name}", VQ + offset, size, word)
        for i, name in enumerate(NAMES):
            there = callback or name != "callback"
            yield Cell(
                f"ops.{name}", OPS + self.structs["rp_vq_ops"][name][0], 8, CALLS + 16 * i if there else 0
            )

    def cells(self, s: Moment) -> Iterator[Cell]:
        """Yield what a moment between two operations says, word by word."""
        kept: dict[str, Word] = {
            "num_free": s.num_free, "free_head": s.free_head, "num_added": s.num_added,
            "last_used_idx": s.last_used_idx, "callbacks": choose(s.wanted, 1, 0, NUMBER),
        }  # fmt: skip
        for name, word in kept.items():
            offset, size = self.vq[name]
            yield Cell(f"vq.{name}", VQ + offset, size, cut(word, size))
        yield Cell("avail.flags", AVAIL, 2, choose(s.no_interrupt, 1, 0, 16))
        yield Cell("avail.idx", AVAIL + 2, 2, cut(s.avail_idx, 2))
        yield Cell("used_event", AVAIL + 4 + 2 * self.n, 2, cut(s.used_event, 2))
        for i in range(self.n):
            d = z3.BitVecVal(i, NUMBER)
            yield Cell("avail.ring", AVAIL + 4 + 2 * i, 2, cut(s.avail_ring(d), 2))
            yield Cell("desc.addr", DESC + 16 * i, 8, s.addr(d))
            yield Cell("desc.len", DESC + 16 * i + 8, 4, cut(s.len(d), 4))
            flags = _flags(s.has_next(d), s.writes(d), s.indirect(d))
            yield Cell("desc.flags", DESC + 16 * i + 12, 2, flags)
            yield Cell("desc.next", DESC + 16 * i + 14, 2, cut(s.next(d), 2))
            tabled = both(s.outstanding(d), s.indirect(d))
            start = DATA + self.data[""][1] * i
            yield Cell("data.token", start + self.data["token"][0], 8, s.data(d))
            table = choose(tabled, self.virtual(s.addr(d)), 0, 64)
            yield Cell("data.table", start + self.data["table"][0], 8, table)
            size = extend(cut(s.size(s.addr(d)), 4)) * ENTRY_BYTES
            before = z3.BitVec(f"table_bytes_before_{i}", 64)
            held = choose(tabled, size, before, 64)
            yield Cell("data.table_bytes", start + self.data["table_bytes"][0], 8, held, tabled)

    def table_cells(self, s: Moment, entries: int) -> Iterator[Cell]:
        """Yield what the table of the chain being added holds."""
        for i in range(entries):
            k = z3.BitVecVal(i, NUMBER)
            start = TABLE + ENTRY_BYTES * i
            yield Cell("table.addr", start, 8, s.entry_addr(s.table, k))
            yield Cell("table.len", start + 8, 4, cut(s.entry_len(s.table, k), 4))
            flags = _flags(
                s.entry_has_next(s.table, k), s.entry_writes(s.table, k), s.entry_indirect(s.table, k)
            )
            yield Cell("table.flags", start + 12, 2, flags)
            yield Cell("table.next", start + 14, 2, cut(s.entry_next(s.table, k), 2))


def cut(number: Word, size: int) -> Word:
    """Return the low bytes of one of the model's numbers, as a word of ``size`` bytes."""
    return extract(number, 0, 8 * size)


def extend(word: Word, to: int = 64) -> z3.BitVecRef:
    """Return a word of fewer bits widened with zeros."""
    term = vector(word, 32) if isinstance(word, int) else word
    return z3.ZeroExt(to - term.size(), term) if term.size() < to else term


def _flags(has_next: Flag, writes: Flag, indirect: Flag) -> Word:
    parts: Any = [choose(flag, bit, 0, 16) for flag, bit in ((has_next, 1), (writes, 2), (indirect, 4))]
    if all(isinstance(part, int) for part in parts):
        return sum(parts)
    whole = z3.BitVecVal(0, 16)
    for flag, bit in ((has_next, NEXT), (writes, WRITE), (indirect, INDIRECT)):
        whole = whole | z3.If(boolean(flag), z3.BitVecVal(bit, 16), z3.BitVecVal(0, 16))
    return whole
