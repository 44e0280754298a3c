"""Judges the chains of one queue as they are accepted, and knows those that are out.

Sources: VIRTIO 1.3 sections 2.7.4, 2.7.5, 2.7.5.3, 2.7.9 and 5.1.6.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from . import negotiated as net
from .frame_monitor import FrameMonitor
from .mapped_memory import MappedMemory
from .records import TABLE_KEPT, Chain, RecordingError
from .tallies import Check, Log, pair

_DESCRIPTOR = Struct("<QIHH")
_NEXT, _WRITE, _INDIRECT = 1, 2, 4
_ASSIGNED = _NEXT | _WRITE | _INDIRECT
_ENTRY = 16
_MOST_ENTRIES = 65_535
_LONGEST_SUM = 1 << 32
_MANY = 64


@dataclass(slots=True)
class Outstanding:
    """A chain that is out: ``descriptors`` are those of the main table that it has."""

    entry: int
    head: int
    descriptors: tuple[int, ...]
    has_table: bool


class _Walk:
    """What is known of a chain so far, in the order of its pieces."""

    __slots__ = ("first_length", "first_writable", "indirect", "length", "pieces")

    def __init__(self) -> None:
        self.pieces = 0
        self.length = 0
        self.first_length = 0
        self.first_writable: int | None = None
        self.indirect: int | None = None


class ChainMonitor:
    """Judges the chains of a queue of ``size`` entries; ``frames`` is None if the driver receives on it."""

    def __init__(
        self, log: Log, memory: MappedMemory, features: int, size: int, frames: FrameMonitor | None
    ) -> None:
        self._log = log
        self._memory = memory
        self._features = features
        self._in_order = features & net.IN_ORDER != 0
        self._size = size
        self._frames = frames
        self._apart = frames is not None and not features & (net.VERSION_1 | net.ANY_LAYOUT)
        self._out: dict[int, Outstanding] = {}
        self._owner: dict[int, Outstanding] = {}
        self.next_head = 0

    @property
    def outstanding(self) -> int:
        """How many chains are out."""
        return len(self._out)

    def chain(self, entry: int) -> Outstanding | None:
        """The chain that is out as ``entry``, if any."""
        return self._out.get(entry)

    def entries(self) -> Iterator[int]:
        """The entries of the chains that are out, in the order in which they were accepted."""
        return iter(self._out)

    def carried(self, record: Chain) -> None:
        """A chain that was out when a checkpoint was made."""
        self._take(record)

    def accepted(self, record: Chain) -> None:
        """Judges a CHAIN record. Raises RecordingError if what it holds cannot be what was walked."""
        check, head, size = self._log.check, record.head, self._size
        check(Check.HEAD_RANGE, head < size, head, size)
        if head >= size:
            return
        again = self._with_head(head) if not record.descriptors else None
        check(
            Check.SLOT_REPEATED,
            bool(record.descriptors),
            pair(record.slot, head),
            again.entry if again else 0,
        )
        if not record.descriptors:
            return
        walk = _Walk()
        self._walk(record, walk)
        if not self._features & net.INDIRECT_DESC:
            met = walk.indirect
            check(Check.INDIRECT_UNNEGOTIATED, met is None, met or 0, head)
        check(Check.CHAIN_TOO_LONG, walk.pieces <= size, walk.pieces, size)
        check(Check.LENGTH_SUM, walk.length <= _LONGEST_SUM, walk.length, head)
        check(Check.MANY_DESCRIPTORS, walk.pieces <= _MANY, walk.pieces, walk.length)
        if self._in_order:
            check(Check.IN_ORDER_HEAD, head == self.next_head, head, self.next_head)
            self.next_head = (head + len(record.descriptors)) % size
        check(Check.UNSETTLED, True)
        if self._frames is not None:
            self._judge_sent(record, walk, self._frames)
        self._take(record)

    def completed(self, entry: int) -> None:
        """A chain comes back in a USED record, unchanged."""
        chain = self._out.pop(entry, None)
        if chain is None:
            raise RecordingError(f"entry {entry} is completed, which is not out")
        self._log.check(Check.CHAIN_CHANGED, True)
        if chain.has_table:
            self._log.check(Check.TABLE_CHANGED, True)
        if self._frames is not None:
            self._log.check(Check.HEADER_CHANGED, True)
        for index in chain.descriptors:
            if self._owner.get(index) is chain:
                del self._owner[index]

    def _judge_sent(self, record: Chain, walk: _Walk, frames: FrameMonitor) -> None:
        writable = walk.first_writable
        self._log.check(Check.TX_WRITABLE, writable is None, writable or 0, record.head)
        if self._apart:
            alone = walk.first_length == frames.header_bytes
            self._log.check(Check.HEADER_APART, alone, walk.first_length, frames.header_bytes)
        if record.frame is None:
            raise RecordingError("a chain of a queue that sends, without the frame")
        frames.judge(record.frame)

    def _walk(self, record: Chain, walk: _Walk) -> None:
        """The main table, from the head on."""
        check, head, size = self._log.check, record.head, self._size
        visited: set[int] = set()
        index = head
        lying = iter(record.descriptors)
        while True:
            check(Check.CHAIN_LOOP, index not in visited, index, head)
            if index in visited:
                break
            visited.add(index)
            owner = self._owner.get(index)
            check(Check.DESCRIPTOR_REUSED, owner is None, index, pair(head, owner.head if owner else 0))
            recorded, data = next(lying, (None, b""))
            if recorded != index:
                raise RecordingError(f"the chain goes on at descriptor {index}, which is not recorded")
            address, length, flags, following = _DESCRIPTOR.unpack(data)
            if flags & _INDIRECT:
                walk.indirect = index
                self._indirect(record, walk, index, address, length, flags)
                break
            self._piece(walk, head, address, length, flags)
            if not flags & _NEXT:
                break
            if self._in_order:
                must = (index + 1) % size
                check(Check.IN_ORDER_NEXT, following == must, pair(index, following), must)
            check(Check.NEXT_RANGE, following < size, pair(index, following), size)
            if following >= size:
                break
            index = following
        if next(lying, None) is not None:
            raise RecordingError("more descriptors are recorded than the chain has")

    def _indirect(
        self, record: Chain, walk: _Walk, index: int, address: int, length: int, flags: int
    ) -> None:
        """A descriptor that names a table, and the table."""
        check, head, table = self._log.check, record.head, record.table
        check(Check.INDIRECT_AND_NEXT, not flags & _NEXT, index, flags)
        fits = length > 0 and length % _ENTRY == 0 and length // _ENTRY <= _MOST_ENTRIES
        check(Check.INDIRECT_LENGTH, fits, length, head)
        covered = self._memory.covers(address, length)
        check(Check.ADDRESS_UNMAPPED, covered, address, length)
        entries = min(length // _ENTRY, TABLE_KEPT // _ENTRY) if covered else 0
        if entries * _ENTRY != len(table):
            raise RecordingError(
                f"{len(table)} bytes of a table are recorded where {entries * _ENTRY} are due"
            )
        if not entries:
            return
        entry = steps = 0
        while True:
            address, length, flags, following = _DESCRIPTOR.unpack_from(table, entry * _ENTRY)
            check(Check.INDIRECT_NESTED, not flags & _INDIRECT, entry, head)
            self._piece(walk, head, address, length, flags)
            if not flags & _NEXT:
                return
            if self._in_order:
                check(Check.IN_ORDER_TABLE, following == entry + 1, pair(entry, following), head)
            check(Check.NEXT_RANGE, following < entries, pair(entry, following), entries)
            if following >= entries:
                return
            check(Check.CHAIN_LOOP, steps + 1 < entries, following, head)
            if steps + 1 >= entries:
                return
            steps += 1
            entry = following

    def _piece(self, walk: _Walk, head: int, address: int, length: int, flags: int) -> None:
        """One piece of the buffer."""
        check, piece = self._log.check, walk.pieces
        check(Check.FLAG_UNASSIGNED, not flags & ~_ASSIGNED, flags, head)
        late = not flags & _WRITE and walk.first_writable is not None
        check(Check.WRITE_BEFORE_READ, not late, piece, head)
        check(Check.ADDRESS_UNMAPPED, self._memory.covers(address, length), address, length)
        check(Check.ZERO_LENGTH, length > 0, piece, head)
        if piece == 0:
            walk.first_length = length
        if flags & _WRITE and walk.first_writable is None:
            walk.first_writable = piece
        walk.pieces += 1
        walk.length += length

    def _take(self, record: Chain) -> None:
        """The chain is out from now on, and has its descriptors, also those that another had."""
        if record.entry in self._out:
            raise RecordingError(f"entry {record.entry} is accepted twice")
        chain = Outstanding(
            record.entry, record.head, tuple(index for index, _ in record.descriptors), bool(record.table)
        )
        self._out[record.entry] = chain
        for index in chain.descriptors:
            self._owner[index] = chain

    def _with_head(self, head: int) -> Outstanding | None:
        """The chain accepted last of those that are out with that head."""
        chains = [chain for chain in self._out.values() if chain.head == head]
        return max(chains, key=lambda chain: chain.entry, default=None)
