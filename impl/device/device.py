"""An honest device: does what VIRTIO 1.3 section 2.7 lets a device do, in whatever order it is told to.

It keeps to the rules whatever the driver does. What a driver could not be forgiven (a head that is no
head, a chain without end, an index that jumps) stops it with a :class:`Violation`; it never runs away and
never trips over the driver's numbers.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias
from zlib import crc32

F_INDIRECT_DESC = 1 << 28
F_EVENT_IDX = 1 << 29
F_IN_ORDER = 1 << 35
DESC_F_NEXT = 1
DESC_F_WRITE = 2
DESC_F_INDIRECT = 4
AVAIL_F_NO_INTERRUPT = 1
U16 = 0xFFFF

_DESC = struct.Struct("<QIHH")
_SEGMENT = struct.Struct("<QII")

State: TypeAlias = tuple[int, int, tuple["Flight", ...]]


class Violation(Exception):  # noqa: N818 - a verdict about a driver, not an error of this program
    """A rule was broken: ``property`` is the slug of the property, ``detail`` one sentence with numbers."""

    def __init__(self, property: str, detail: str) -> None:
        super().__init__(f"{property}: {detail}")
        self.property = property
        self.detail = detail
        self.operation = -1
        """Which operation of the run it happened in, counted from 0; -1 outside of a run."""
        self.results = b""
        """The results of the operations before it."""


class Flight(NamedTuple):
    """A chain the device has read and not completed."""

    head: int
    writable: int
    """Bytes in device-writable segments."""
    descriptors: tuple[int, ...]
    """Those of the descriptor table, head first."""
    total: int = 0
    """Bytes in all segments."""


class Device:
    """The device's side of one queue.

    ``in_flight`` holds the chains read and not completed, ``next_avail`` the index of the next to read and
    ``used_idx`` how many were completed; both wrap at 2^16.
    """

    def __init__(
        self,
        memory: memoryview,
        memory_address: int,
        *,
        desc: int,
        avail: int,
        used: int,
        queue_size: int,
        features: int,
        windows: Sequence[tuple[int, memoryview]] = (),
    ) -> None:
        """``memory`` begins at guest-physical ``memory_address``; the three parts are addresses in it.

        ``windows`` are further memory, each with the guest-physical address it begins at: tables of
        descriptors may lie there. Raises ValueError when a part is misaligned or outside the memory.
        """
        self.queue_size = queue_size
        self.indirect = bool(features & F_INDIRECT_DESC)
        self.event = bool(features & F_EVENT_IDX)
        self.in_order = bool(features & F_IN_ORDER)
        self.next_avail = 0
        self.used_idx = 0
        self.in_flight: list[Flight] = []
        self._memory = memory
        self._memory_address = memory_address
        self._windows = windows
        for name, address, size, alignment in (
            ("descriptor table", desc, 16 * queue_size, 16),
            ("available ring", avail, 6 + 2 * queue_size, 2),
            ("used ring", used, 6 + 8 * queue_size, 4),
        ):
            offset = address - memory_address
            if address % alignment or offset < 0 or offset + size > len(memory):
                raise ValueError(f"the {name} at address {address:#x} is misaligned or outside the memory")
        self._desc_at = desc - memory_address
        words: memoryview[int] = memory[avail - memory_address :][: 6 + 2 * queue_size].cast("H")
        self._avail = words
        self._avail_ring = words[2 : 2 + queue_size]
        self._used_event_at = 2 + queue_size
        self._used: memoryview[int] = memory[used - memory_address :][: 6 + 8 * queue_size].cast("H")
        self._avail_event_at = 2 + 4 * queue_size
        entries: memoryview[int] = memory[used - memory_address :][: 4 + 8 * queue_size].cast("I")
        self._used_id = entries[1::2]
        self._used_len = entries[2::2]
        self._taken = bytearray(queue_size)

    def read(self, limit: int) -> tuple[int, int]:
        """Read up to ``limit`` published chains, all there are for 0; how many, and the CRC-32 over them.

        The CRC runs over each segment as ``<QII``: address, length, 1 if device-writable. Each chain joins
        the end of ``in_flight``. Raises Violation.
        """
        pending = (self._avail[1] - self.next_avail) & U16
        if pending > self.queue_size:
            raise Violation(
                "indices-faithful",
                f"avail_idx went from {self.next_avail} or more to {self._avail[1]}: "
                f"backwards, or by more than the {self.queue_size} entries of the ring",
            )
        count = min(limit, pending) if limit else pending
        mask = self.queue_size - 1
        crc = 0
        for _ in range(count):
            crc = self._read_chain(self._avail_ring[self.next_avail & mask], crc)
            self.next_avail = (self.next_avail + 1) & U16
        return count, crc

    def complete(self, pick: int, stride: int, count: int, *, total: bool = False) -> tuple[int, bool]:
        """Complete chains in flight; how many, and whether the driver wants an interrupt for them.

        ``min(count, in flight)`` chains: the j-th is number ``(pick + j * stride) mod in flight`` of the
        list at that moment, and the last of the list takes its place. One store of used_idx publishes all.
        Completing none stores nothing and wants no interrupt. With ``total`` the lengths reported count the
        readable bytes, too, as those of legacy devices do (2.7.8.1). With IN_ORDER the oldest are completed,
        whatever ``pick`` and ``stride`` are, each by a used entry of its own: what section 2.7.9 lets a
        device say in one, told to a driver that knows no batches.
        """
        in_flight = self.in_flight
        count = min(count, len(in_flight))
        if not count:
            return 0, False
        mask = self.queue_size - 1
        for j in range(count):
            if self.in_order:
                chain = in_flight.pop(0)
            else:
                at = (pick + j * stride) % len(in_flight)
                chain = in_flight[at]
                last = in_flight.pop()
                if at < len(in_flight):
                    in_flight[at] = last
            slot = (self.used_idx + j) & mask
            self._used_id[slot] = chain.head
            self._used_len[slot] = chain.total & 0xFFFF_FFFF if total else chain.writable
            for i in chain.descriptors:
                self._taken[i] = 0
        old = self.used_idx
        self.used_idx = (old + count) & U16
        self._used[1] = self.used_idx
        return count, self.interrupt_due(old)

    def interrupt_due(self, old: int) -> bool:
        """Tell whether the suppression words ask for an interrupt, used_idx having been ``old`` (2.7.7)."""
        if self.event:
            used_event = self._avail[self._used_event_at]
            return (self.used_idx - used_event - 1) & U16 < (self.used_idx - old) & U16
        return not self._avail[0] & AVAIL_F_NO_INTERRUPT

    def set_flags(self, value: int) -> None:
        """Store used.flags: 1 asks the driver for no notifications, 0 for all."""
        self._used[0] = value & U16

    def set_avail_event(self, value: int, *, relative: bool = False) -> None:
        """Store avail_event, 16 bits; ``relative`` counts from the driver's avail_idx."""
        self._used[self._avail_event_at] = (value + (self._avail[1] if relative else 0)) & U16

    def words(self) -> tuple[int, int, int, int]:
        """Return avail_idx, used_idx, avail.flags and used_event as the ring holds them."""
        avail = self._avail
        return avail[1], self._used[1], avail[0], avail[self._used_event_at]

    def published(self, index: int) -> int:
        """Return the head in the available ring's entry for avail_idx ``index``; any 16-bit number."""
        return self._avail_ring[index & self.queue_size - 1]

    def completed(self, index: int) -> int:
        """Return the head in the used ring's entry for used_idx ``index``; any 32-bit number."""
        return self._used_id[index & self.queue_size - 1]

    def segments(self, chain: Flight) -> list[tuple[int, int, int]]:
        """Return address, length and DESC_F_WRITE or 0 of each segment of a chain in flight, in order.

        They are as :meth:`read` found them unless the driver has changed the chain since.
        """
        found = []
        memory, at = self._memory, self._desc_at
        for i in chain.descriptors:
            address, length, flags, _ = _DESC.unpack_from(memory, at + 16 * i)
            if flags & DESC_F_INDIRECT:
                table = self._table(address, length) or b""
                following = 0
                for _ in range(len(table) // 16):
                    address, length, flags, following = _DESC.unpack_from(table, 16 * following)
                    found.append((address, length, flags & DESC_F_WRITE))
                    if not flags & DESC_F_NEXT or following >= len(table) // 16:
                        break
            else:
                found.append((address, length, flags & DESC_F_WRITE))
        return found

    def snapshot(self) -> State:
        """Return the private state as it is now, for :meth:`restore`."""
        return self.next_avail, self.used_idx, tuple(self.in_flight)

    def restore(self, state: State) -> None:
        """Take a private state over."""
        self.next_avail, self.used_idx, in_flight = state
        self.in_flight = list(in_flight)
        self._taken = bytearray(self.queue_size)
        for chain in in_flight:
            for i in chain.descriptors:
                self._taken[i] = 1

    def _read_chain(self, head: int, crc: int) -> int:
        """Follow the chain at ``head`` and puts it in flight; the CRC carried on. Raises Violation."""
        queue_size = self.queue_size
        if head >= queue_size:
            raise Violation(
                "device-reads-outstanding",
                f"head {head} is published, but there are only {queue_size} descriptors",
            )
        taken = self._taken
        memory = self._memory
        desc_at = self._desc_at
        descriptors: list[int] = []
        writable = 0
        total = 0
        i = head
        while True:
            if taken[i]:
                self._refuse(head, i, descriptors)
            taken[i] = 1
            descriptors.append(i)
            addr, length, flags, following = _DESC.unpack_from(memory, desc_at + 16 * i)
            if flags & DESC_F_INDIRECT:
                if flags & DESC_F_NEXT:
                    raise Violation(
                        "chain-well-formed",
                        f"descriptor {i} of the chain at head {head} is INDIRECT and NEXT",
                    )
                more, total_more, crc = self._read_table(head, addr, length, crc)
                writable += more
                total += total_more
                break
            total += length
            if flags & DESC_F_WRITE:
                writable += length
                crc = crc32(_SEGMENT.pack(addr, length, 1), crc)
            else:
                crc = crc32(_SEGMENT.pack(addr, length, 0), crc)
            if not flags & DESC_F_NEXT:
                break
            i = following
            if i >= queue_size:
                raise Violation(
                    "chain-well-formed",
                    f"the chain at head {head} goes on at {i}, but there are only {queue_size} descriptors",
                )
        self.in_flight.append(Flight(head, writable & 0xFFFF_FFFF, tuple(descriptors), total))
        return crc

    def _refuse(self, head: int, descriptor: int, descriptors: list[int]) -> None:
        """Say why a chain cannot have this descriptor. Raises Violation always."""
        if descriptor in descriptors:
            raise Violation(
                "chain-well-formed", f"the chain at head {head} comes back to descriptor {descriptor}"
            )
        if descriptor == head and any(chain.head == head for chain in self.in_flight):
            raise Violation("device-reads-outstanding", f"head {head} is published, but already in flight")
        owner = next((chain.head for chain in self.in_flight if descriptor in chain.descriptors), -1)
        raise Violation(
            "no-leak-no-double-allocation",
            f"descriptor {descriptor} is in the chains at heads {owner} and {head} at once",
        )

    def _read_table(self, head: int, address: int, size: int, crc: int) -> tuple[int, int, int]:
        """Follow a table; its writable bytes, all its bytes, the CRC carried on. Raises Violation."""
        count = size // 16
        if not self.indirect:
            raise Violation("chain-well-formed", f"head {head} is INDIRECT, which was not negotiated")
        table = self._table(address, size) if count and not size % 16 else None
        if table is None:
            raise Violation(
                "chain-well-formed", f"head {head} has a table of {size} bytes at address {address:#x}"
            )
        writable = 0
        total = 0
        i = 0
        for _ in range(count):
            addr, length, flags, following = _DESC.unpack_from(table, 16 * i)
            if flags & DESC_F_INDIRECT:
                raise Violation("chain-well-formed", f"entry {i} of the table of head {head} is INDIRECT")
            total += length
            if flags & DESC_F_WRITE:
                writable += length
                crc = crc32(_SEGMENT.pack(addr, length, 1), crc)
            else:
                crc = crc32(_SEGMENT.pack(addr, length, 0), crc)
            if not flags & DESC_F_NEXT:
                return writable, total, crc
            i = following
            if i >= count:
                raise Violation(
                    "chain-well-formed", f"the table of head {head} goes on at entry {i} of {count}"
                )
        raise Violation("chain-well-formed", f"the table of head {head} comes back to an entry it had")

    def _table(self, address: int, size: int) -> memoryview | None:
        """Find ``size`` bytes at a guest-physical address; None where there is no memory."""
        offset = address - self._memory_address
        if offset >= 0 and offset + size <= len(self._memory):
            return self._memory[offset : offset + size]
        for start, window in self._windows:
            offset = address - start
            if offset >= 0 and offset + size <= len(window):
                return window[offset : offset + size]
        return None
