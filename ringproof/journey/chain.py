"""What lies in a ring: the chain that a slot of the available ring names, read from the bytes alone."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

F_NEXT, F_WRITE, F_INDIRECT = 1, 2, 4
_DESCRIPTOR = struct.Struct("<QIHH")
_MOST_ENTRIES = 1 << 16

View = Callable[[int, int], memoryview | None]
"""The bytes at a guest-physical address, so many; None where there is no memory."""


class Descriptor(NamedTuple):
    """One entry of a descriptor table (VIRTIO 1.3 section 2.7.5), and its number there."""

    number: int
    address: int
    length: int
    flags: int
    next: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: its descriptors from the head on, and those of the indirect table it ends in, if any."""

    descriptors: tuple[Descriptor, ...]
    table: tuple[Descriptor, ...]

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Address and length of each piece of memory, in order."""
        direct = [each for each in self.descriptors if not each.flags & F_INDIRECT]
        return [(each.address, each.length) for each in (*direct, *self.table)]


class RingWords(NamedTuple):
    """The words of available and used ring beside their entries."""

    queue_size: int
    avail_idx: int
    used_idx: int
    avail_flags: int
    used_flags: int
    used_event: int
    avail_event: int


def ring_words(ring: Sequence[memoryview]) -> RingWords:
    """The words of a ring given as descriptor table, available ring and used ring, event words included."""
    desc, avail, used = ring
    avail_flags, avail_idx = struct.unpack_from("<HH", avail)
    used_flags, used_idx = struct.unpack_from("<HH", used)
    (used_event,) = struct.unpack_from("<H", avail, len(avail) - 2)
    (avail_event,) = struct.unpack_from("<H", used, len(used) - 2)
    size = len(desc) // _DESCRIPTOR.size
    return RingWords(size, avail_idx, used_idx, avail_flags, used_flags, used_event, avail_event)


def avail_entry(ring: Sequence[memoryview], index: int) -> int:
    """The head that the available ring holds for an index."""
    size = len(ring[0]) // _DESCRIPTOR.size
    return int(struct.unpack_from("<H", ring[1], 4 + 2 * (index & (size - 1)))[0])


def used_entry(ring: Sequence[memoryview], index: int) -> int:
    """The head that the used ring holds for an index."""
    size = len(ring[0]) // _DESCRIPTOR.size
    return int(struct.unpack_from("<I", ring[2], 4 + 8 * (index & (size - 1)))[0])


def chain_at(ring: Sequence[memoryview], head: int, view: View) -> Chain:
    """The chain at a head, as far as it can be followed: it is shown, not judged."""
    size = len(ring[0]) // _DESCRIPTOR.size
    descriptors = _follow(ring[0], head, size)
    last = descriptors[-1] if descriptors else None
    table: tuple[Descriptor, ...] = ()
    if last is not None and last.flags & F_INDIRECT:
        entries = min(last.length // _DESCRIPTOR.size, _MOST_ENTRIES)
        memory = view(last.address, entries * _DESCRIPTOR.size)
        if memory is not None and entries:
            table = _follow(memory, 0, entries)
    return Chain(descriptors, table)


def _follow(memory: memoryview, first: int, size: int) -> tuple[Descriptor, ...]:
    found: list[Descriptor] = []
    index = first
    while index < size and len(found) < size:
        found.append(Descriptor(index, *_DESCRIPTOR.unpack_from(memory, _DESCRIPTOR.size * index)))
        if not found[-1].flags & F_NEXT or found[-1].flags & F_INDIRECT:
            break
        index = found[-1].next
    return tuple(found)
