"""What a driver is given in a symbolic run: blocks, mappings, and somebody to notify; on one path."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from ..impl.harness.operations import ARENA_ADDRESS
from ..proofs.machine.words import Flag, Word, both, equal
from .symbolic_device import Segment
from .symbolic_start import Start, room
from .verdicts import FindingCode

BlockKind: TypeAlias = Literal["arena", "private"]
_PAGE = 4096
_MAP_STRIDE = 1 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Memory that the driver was given, by pointer, and has not released."""

    address: int
    size: int
    kind: BlockKind

    @property
    def name(self) -> str:
        """Its name as a region."""
        return f"{self.kind} {self.address:#x}"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A segment made known to the device at an address that is a number."""

    data: Word
    length: Word
    address: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification: the value told, and avail_idx in memory at that time."""

    value: Word
    avail_idx: Word


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment of a driver on one path.

    ``notices``, ``callbacks``, ``pushed`` (tokens with lengths) and ``wrong`` (what the environment
    itself asks for, whether it holds, and what is seen if not) are those of the operation under way.
    ``owned`` are the addresses that chains with the device name. ``asked`` counts the allocations and
    mappings of an add under way, 0 where none may fail; ``failed`` is which of them did, from 1, or 0.
    """

    blocks: tuple[Block, ...] = ()
    maps: tuple[Mapping, ...] = ()
    free_at: int = 0
    next_map: int = 0
    notices: tuple[Notice, ...] = ()
    callbacks: int = 0
    pushed: tuple[tuple[Word, Word], ...] = ()
    wrong: tuple[tuple[FindingCode, Flag, str], ...] = ()
    owned: frozenset[int] = frozenset()
    may_fail: bool = False
    asked: int = 0
    failed: int = 0

    @classmethod
    def at(cls, start: Start) -> "Surroundings":
        """What there is at a start."""
        blocks = tuple(
            Block(region.address, len(region.content), region.kind)
            for region in start.regions
            if region.kind in ("arena", "private")
        )
        return cls(blocks, free_at=start.arena + start.free_at, next_map=start.mapped)

    def begun(self, *, may_fail: bool = False, owned: Iterable[int] = ()) -> "Surroundings":
        """For the next operation: nothing has happened in it yet."""
        return replace(
            self, notices=(), callbacks=0, pushed=(), wrong=(), may_fail=may_fail, asked=0, failed=0,
            owned=frozenset(owned),
        )  # fmt: skip

    def notified(self, notice: Notice) -> "Surroundings":
        """The device was notified."""
        return replace(self, notices=(*self.notices, notice))

    def called_back(self) -> "Surroundings":
        """The queue's callback was called."""
        return replace(self, callbacks=self.callbacks + 1)

    def given_back(self, token: Word, length: Word) -> "Surroundings":
        """A token came back by callback."""
        return replace(self, pushed=(*self.pushed, (token, length)))

    # Blocks

    def block(self, address: int) -> Block | None:
        """The block that begins there."""
        return next((block for block in self.blocks if block.address == address), None)

    def allocated(self, size: int, alignment: int, kind: BlockKind) -> "tuple[Surroundings, Block]":
        """Give another block out."""
        step = max(64, alignment)
        address = (self.free_at + step - 1) // step * step
        block = Block(address, size, kind)
        return replace(self, blocks=(*self.blocks, block), free_at=address + room(size)), block

    def released(self, address: int, size: int, kind: BlockKind) -> "tuple[Surroundings, Block | None]":
        """Take a block back; without one where this is none, or has another size, which is noted."""
        block = self.block(address)
        if block is None or block.size != size or block.kind != kind:
            return self.noting(FindingCode.BAD_RELEASE, f"{size} bytes at {address:#x} were released"), None
        return replace(self, blocks=tuple(one for one in self.blocks if one is not block)), block

    def noting(self, code: FindingCode, seen: str, holds: Flag = False) -> "Surroundings":
        """Note what must hold and perhaps does not, to be claimed when the operation is over."""
        return replace(self, wrong=(*self.wrong, (code, holds, seen)))

    def striking(self) -> "Surroundings":
        """One more was asked for that may fail."""
        return replace(self, asked=self.asked + 1) if self.may_fail else self

    def struck(self) -> "Surroundings":
        """The one asked for last fails."""
        return replace(self, failed=self.asked, may_fail=False)

    def reachable(self, start: Start, address: int, size: int) -> int:
        """Where the driver has what the device finds there, if all of it is in one block; else 0."""
        place = start.pointer(address) if address >= ARENA_ADDRESS else 0
        for block in self.blocks:
            if (
                block.kind == "arena"
                and block.address <= place
                and place + size <= block.address + block.size
            ):
                return place
        return 0

    # Mappings

    def mapped(self, data: Word, length: Word) -> "tuple[Surroundings, Mapping]":
        """Make a segment known to the device."""
        mapping = Mapping(data, length, self.next_map)
        return replace(self, maps=(*self.maps, mapping), next_map=self.next_map + _MAP_STRIDE), mapping

    def unmapped(self, address: int, length: Word) -> "Surroundings":
        """Take a mapping back, noting what must hold then."""
        mapping = next((one for one in self.maps if one.address == address), None)
        if mapping is None:
            return self.noting(FindingCode.MAPPING, f"{address:#x} was unmapped, which was not mapped")
        after = replace(self, maps=tuple(one for one in self.maps if one is not mapping))
        same = both(equal(length, mapping.length, 32), address not in self.owned)
        return after.noting(
            FindingCode.MAPPING, f"{address:#x} was unmapped with another length, or before its time", same
        )

    def names(self, start: Start, address: Word, segment: Segment) -> Flag:
        """Whether an address in a descriptor is that of a segment."""
        if not start.maps:
            return equal(address, segment.address, 64)
        if not isinstance(address, int):
            return False
        mapping = next((one for one in self.maps if one.address == address), None)
        if mapping is None:
            return False
        return both(equal(mapping.data, segment.data, 64), equal(mapping.length, segment.length, 32))


__all__ = ["Block", "BlockKind", "Mapping", "Notice", "Surroundings"]
