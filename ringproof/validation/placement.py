"""The placement of a queue's ring, as the registers tell it, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..impl.harness.operations import ARENA_ADDRESS, ARENA_BYTES

_PAGE = 4096
_PARTS = ((32, "queue_desc", 16), (40, "queue_driver", 2), (48, "queue_device", 4))


def _inside(address: int, length: int) -> bool:
    return address >= ARENA_ADDRESS and address + length <= ARENA_ADDRESS + ARENA_BYTES


@dataclass(slots=True)
class ModernRing:
    """A queue of the modern transport: three parts, each with an address of its own."""

    size: int = 0
    enabled: bool = False
    _words: dict[int, int] = field(default_factory=dict)

    def write(self, offset: int, value: int) -> None:
        """Take a half of an address; ``offset`` is its register's."""
        self._words[offset] = value

    def _address(self, offset: int) -> int:
        return self._words.get(offset, 0) | self._words.get(offset + 4, 0) << 32

    @property
    def missing(self) -> str:
        """The first part that has no address yet, "" if all have one."""
        return next((name for offset, name, _ in _PARTS if not self._address(offset)), "")

    @property
    def misplaced(self) -> str:
        """What is wrong with the first part that is not where it can be, "" if none is."""
        lengths = (16 * self.size, 6 + 2 * self.size, 6 + 8 * self.size)
        for (offset, name, alignment), length in zip(_PARTS, lengths, strict=True):
            address = self._address(offset)
            if address % alignment:
                return f"{name} {address:#x} is not aligned to {alignment}"
            if not _inside(address, length):
                return f"{name} {address:#x} is not in the driver's memory"
        return ""


@dataclass(frozen=True, slots=True)
class LegacyRing:
    """A queue of the legacy transport: one block from a page on."""

    page: int
    size: int

    @property
    def address(self) -> int:
        """Its first byte's guest-physical address."""
        return self.page * _PAGE

    @property
    def length(self) -> int:
        """Bytes of the block: table and available ring, up to a whole page, then the used ring, likewise."""
        return _pages(18 * self.size + 6) + _pages(8 * self.size + 6)

    def misplaced(self, others: Mapping[int, "LegacyRing"]) -> str:
        """Say what is wrong with where it lies, among others; "" if nothing is."""
        # What pads the last page need not be there for the device to work; the used ring must.
        needed = _pages(18 * self.size + 6) + 8 * self.size + 6
        if not _inside(self.address, needed):
            return f"{needed} bytes at {self.address:#x} are not in the driver's memory"
        for number, other in others.items():
            if self.address < other.address + other.length and other.address < self.address + self.length:
                return f"{self.length} bytes at {self.address:#x} overlap those of queue {number}"
        return ""


def _pages(length: int) -> int:
    return -(-length // _PAGE) * _PAGE
