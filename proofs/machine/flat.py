"""Memory as a processor sees it: bytes at addresses, in regions that have a name, bounds and permissions.

What was stored is kept in cells as wide as the stores, split and joined where an access is of another width.
Two accesses at known addresses never meet the solver. Nothing is mapped but the regions; the first and the
last byte of an access lie in the same one, or it is a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import z3

from .image import Image
from .words import Flag, Word, choose, equal, extract, join

Unwritten = Callable[[int], Word]
"""What a byte is that was never written, by its address."""


@dataclass(frozen=True)
class Region:
    """A stretch of memory that may be accessed.

    ``permissions`` are letters of "rwx". ``shared`` says that others read and write it: each access to it
    is an event, and asked of the environment. ``contents`` are its first bytes, where these are known from
    the start; ``fresh`` says that what was never written there is a symbol, flagged as uninitialised, else
    it is zero.
    """

    name: str
    address: int
    size: int
    permissions: str = "rw"
    shared: bool = False
    contents: bytes = b""
    fresh: bool = False

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size

    def holds(self, address: int, size: int) -> bool:
        """Whether an access lies in it."""
        return self.address <= address and address + size <= self.end


class Memory:
    """Regions and their cells. Changed by ``store`` and ``map``; ``copy`` is what a fork takes along.

    ``symbol`` gives the value of a byte in a fresh region that was never written.
    """

    def __init__(self, regions: Iterable[Region] = (), symbol: Unwritten | None = None) -> None:
        self._regions: tuple[Region, ...] = ()
        self._cells: dict[int, tuple[Word, int]] = {}  # address -> value, bytes; cells do not overlap
        self._inside: dict[int, int] = {}  # an address inside a cell, not its first -> its cell's
        self._symbol = symbol or _symbol
        for region in regions:
            self.map(region)

    @property
    def regions(self) -> tuple[Region, ...]:
        """What is mapped, by address."""
        return self._regions

    def copy(self) -> Memory:
        """Return a memory of its own with the same contents."""
        twin = Memory(symbol=self._symbol)
        twin._regions = self._regions
        twin._cells = dict(self._cells)
        twin._inside = dict(self._inside)
        return twin

    def map(self, region: Region) -> None:
        """Add a region. Raises ValueError if it overlaps another, or has no byte."""
        if region.size <= 0 or any(
            region.address < other.end and other.address < region.end for other in self._regions
        ):
            raise ValueError(f"the region {region.name} is empty or overlaps another")
        self._regions = tuple(sorted((*self._regions, region), key=lambda each: each.address))

    def unmap(self, name: str) -> None:
        """Take a region away: an access to it is a finding from now on."""
        self._regions = tuple(region for region in self._regions if region.name != name)

    def share(self, *names: str) -> None:
        """Let the regions of these names be shared from now on."""
        self._regions = tuple(
            replace(region, shared=True) if region.name in names else region for region in self._regions
        )

    def region(self, address: int, size: int = 1) -> Region | None:
        """Return the region that an access lies in, or none."""
        return next((region for region in self._regions if region.holds(address, size)), None)

    def named(self, name: str) -> Region:
        """Return the region of that name. Raises KeyError."""
        for region in self._regions:
            if region.name == name:
                return region
        raise KeyError(name)

    # Known addresses.

    def load(self, address: int, size: int) -> Word:
        """Return the word of ``size`` bytes at a known address, which is mapped, the lowest byte first."""
        cell = self._cells.get(address)
        if cell is not None and cell[1] == size:
            return cell[0]
        value: Word = 0
        done = 0
        while done < size:
            piece, bytes_ = self._piece(address + done, size - done)
            value = piece if done == 0 else join(piece, 8 * bytes_, value, 8 * done)
            done += bytes_
        return value

    def store(self, address: int, value: Word, size: int) -> None:
        """Put a word of ``size`` bytes at a known address, which is mapped."""
        end = address + size
        for start in sorted({self._start(place) for place in range(address, end)} - {None}):  # type: ignore[type-var]
            assert start is not None
            old, bytes_ = self._cells[start]
            self._drop(start, bytes_)
            if start < address:
                self._put(start, extract(old, 0, 8 * (address - start)), address - start)
            if start + bytes_ > end:
                self._put(
                    end, extract(old, 8 * (end - start), 8 * (start + bytes_ - end)), start + bytes_ - end
                )
        self._put(address, value, size)

    # Unknown addresses, all their values known.

    def load_any(self, address: Word, values: list[int], size: int) -> Word:
        """Return the word at an address that is one of ``values``, and there are no others."""
        value = self.load(values[-1], size)
        for each in reversed(values[:-1]):
            value = choose(equal(address, each, 64), self.load(each, size), value, 8 * size)
        return value

    def store_any(self, address: Word, values: list[int], value: Word, size: int) -> None:
        """Put a word at an address that is one of ``values``, and there are no others.

        Values that overlap without being equal are stored one after the other: each changes what it covers.
        """
        if len(values) == 1:
            self.store(values[0], value, size)
            return
        for each in values:
            hit: Flag = equal(address, each, 64)
            self.store(each, choose(hit, value, self.load(each, size), 8 * size), size)

    # Cells.

    def _start(self, place: int) -> int | None:
        return place if place in self._cells else self._inside.get(place)

    def _piece(self, address: int, most: int) -> tuple[Word, int]:
        """Return what one cell, or one byte never written, has of an access."""
        start = self._start(address)
        if start is None:
            return self._unwritten(address, most)
        value, bytes_ = self._cells[start]
        count = min(start + bytes_ - address, most)
        return extract(value, 8 * (address - start), 8 * count), count

    def _unwritten(self, address: int, most: int) -> tuple[Word, int]:
        """Return bytes never written, up to the next cell."""
        region = self.region(address)
        if region is None:
            raise ValueError(f"nothing is mapped at {address:#x}")
        if region.fresh:
            return self._symbol(address), 1
        count = next((i for i in range(1, most) if self._start(address + i) is not None), most)
        low = address - region.address
        return int.from_bytes(region.contents[low : low + count].ljust(count, b"\0"), "little"), count

    def _put(self, address: int, value: Word, size: int) -> None:
        self._cells[address] = (value, size)
        for place in range(address + 1, address + size):
            self._inside[place] = address

    def _drop(self, address: int, size: int) -> None:
        del self._cells[address]
        for place in range(address + 1, address + size):
            del self._inside[place]


def regions_of(image: Image) -> Iterator[Region]:
    """Yield the segments of an image as regions."""
    for segment in image.segments:
        name = f"image {segment.permissions} {segment.address:#x}"
        yield Region(
            name, segment.address, len(segment.contents), segment.permissions, contents=segment.contents
        )


def _symbol(address: int) -> z3.BitVecRef:
    return z3.BitVec(f"uninitialised!{address:#x}", 8)
