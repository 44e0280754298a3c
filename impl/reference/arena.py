"""The memory a queue lives in: one block of bytes with guest-physical addresses, and its allocator.

The allocator's policy is fixed to the byte, because two implementations that follow it hand out the same
addresses and their rings can then be compared byte for byte. Memory comes in size classes, powers of two;
a released block is the next one its class hands out; every block is followed by a red zone.
"""

import mmap
import sys
from dataclasses import dataclass

ARENA_ADDRESS = 0x0000_0041_0000_0000
ARENA_BYTES = 64 << 20
RED_ZONE = 32
FRESH_BYTE = 0xA5
RED_BYTE = 0xBD
RELEASED_BYTE = 0x5A
SMALLEST_CLASS = 64
PAGE = 4096

_RED = bytes([RED_BYTE]) * RED_ZONE

if sys.byteorder != "little":  # pragma: no cover - the ring's words are little endian
    raise ImportError("the reference runs on little-endian machines only")


class ArenaError(Exception):
    """A block was given back that is not live, with another size, or with its red zone overwritten."""


@dataclass(frozen=True, slots=True)
class ArenaState:
    """What :meth:`Arena.snapshot` keeps: the bytes handed out so far and the allocator's books."""

    memory: bytes
    live: dict[int, tuple[int, int]]
    released: dict[int, tuple[int, ...]]


class Arena:
    """``ARENA_BYTES`` of zeroed memory that begins at guest-physical address ``ARENA_ADDRESS``.

    ``memory`` is the whole of it, byte by byte. ``fail`` makes every allocation fail while it is set.
    """

    def __init__(self) -> None:
        # An anonymous mapping costs nothing until it is touched; a bytearray would be written at once.
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.memory: memoryview[int] = memoryview(mmap.mmap(-1, ARENA_BYTES, flags=private))
        self.fail = False
        self.bump = 0
        self.live: dict[int, tuple[int, int]] = {}
        """Address to size and size class of each block handed out and not given back."""
        self._released: dict[int, list[int]] = {}
        self._fresh: dict[int, bytes] = {}

    def allocate(self, size: int, alignment: int) -> int | None:
        """Hand out ``size`` bytes aligned to ``alignment``, a power of two up to 4096; returns the address.

        The bytes hold ``FRESH_BYTE``, the ``RED_ZONE`` behind them ``RED_BYTE``. None when ``fail`` is set
        or there is no room.
        """
        if self.fail:
            return None
        size_class = _size_class(size, alignment)
        released = self._released.get(size_class)
        if released:
            address = released.pop()
        else:
            offset = _align_up(self.bump, min(size_class, PAGE))
            if offset + size_class > ARENA_BYTES:
                return None
            self.bump = offset + size_class
            address = ARENA_ADDRESS + offset
        self.live[address] = size, size_class
        fresh = self._fresh.get(size)
        if fresh is None:
            fresh = self._fresh[size] = bytes([FRESH_BYTE]) * size + _RED
        offset = address - ARENA_ADDRESS
        self.memory[offset : offset + size + RED_ZONE] = fresh
        return address

    def release(self, address: int, size: int) -> None:
        """Take back the block at ``address``, allocated with that ``size``.

        Raises ArenaError when no live block of that size begins there, or its red zone was written to.
        """
        live_size, size_class = self.live.get(address, (-1, 0))
        if live_size != size:
            raise ArenaError(f"no live block of {size} bytes at address {address:#x}")
        offset = address - ARENA_ADDRESS
        end = offset + size
        if self.memory[end : end + RED_ZONE] != _RED:
            raise ArenaError(f"the red zone behind the {size} bytes at address {address:#x} was written to")
        self.memory[offset:end] = bytes([RELEASED_BYTE]) * size
        del self.live[address]
        self._released.setdefault(size_class, []).append(address)

    def view(self, address: int, size: int) -> memoryview:
        """Return the ``size`` bytes at a guest-physical address. Raises ArenaError outside the arena."""
        offset = address - ARENA_ADDRESS
        if offset < 0 or offset + size > ARENA_BYTES:
            raise ArenaError(f"{size} bytes at address {address:#x} are not in the arena")
        return self.memory[offset : offset + size]

    def snapshot(self) -> ArenaState:
        """Return the state as it is now, for :meth:`restore`; costs a copy of what was ever handed out."""
        released = {size_class: tuple(blocks) for size_class, blocks in self._released.items()}
        return ArenaState(bytes(self.memory[: self.bump]), dict(self.live), released)

    def restore(self, state: ArenaState) -> None:
        """Go back to a state of this arena, or to that of another one."""
        kept = len(state.memory)
        self.memory[:kept] = state.memory
        if self.bump > kept:
            self.memory[kept : self.bump] = bytes(self.bump - kept)
        self.bump = kept
        self.live = dict(state.live)
        self._released = {size_class: list(blocks) for size_class, blocks in state.released.items()}


def _size_class(size: int, alignment: int) -> int:
    """Return the smallest power of two that holds ``size`` bytes and a red zone and is so aligned."""
    return 1 << (max(size + RED_ZONE, SMALLEST_CLASS, alignment) - 1).bit_length()


def _align_up(offset: int, alignment: int) -> int:
    """Return the next multiple of ``alignment``, a power of two, from ``offset`` on."""
    return (offset + alignment - 1) & -alignment
