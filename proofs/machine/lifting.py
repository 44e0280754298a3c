"""Machine code as VEX blocks, by pyvex: angr's lifter, on its own."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .errors import LifterMissing, Unmodelled
from .image import Image

_LONGEST = 400  # bytes given to the lifter at a time; it ends a block after 99 instructions, or at a jump
_UD2 = b"\x0f\x0b"


class Lifter:
    """Lifts blocks of an image, each once. Raises LifterMissing where pyvex or archinfo is not installed."""

    def __init__(self, image: Image) -> None:
        try:
            import archinfo
            import pyvex
        except ImportError:
            raise LifterMissing from None
        self.image = image
        self._arch = archinfo.ArchAMD64()
        self._lift = pyvex.lift
        self._blocks: dict[int, Any] = {}

    def block(self, address: int) -> Any:
        """Return the block (a pyvex IRSB) at an address. Raises Unmodelled if none can be lifted.

        At pyvex's optimisation level 1: each statement computes one thing of temporaries and constants.
        """
        found = self._blocks.get(address)
        if found is None:
            contents = self.image.contents(address, _LONGEST)
            if not contents:
                raise Unmodelled("a jump to where no code is", self.image.place(address))
            found = self._lift(contents, address, self._arch, opt_level=1, max_bytes=len(contents))
            if found.size == 0 and not self.is_trap(address):
                raise Unmodelled("an instruction that cannot be lifted", self.image.place(address))
            self._blocks[address] = found
        return found

    def blocks(self) -> list[Any]:
        """Return all blocks lifted so far."""
        return list(self._blocks.values())

    def is_trap(self, address: int) -> bool:
        """Whether the instruction there is ud2, which compilers put where nothing is to arrive."""
        return self.image.contents(address, 2) == _UD2

    @cached_property
    def registers(self) -> dict[str, int]:
        """Where each register lies in VEX's guest state, in bytes."""
        return {
            register.name: register.vex_offset
            for register in self._arch.register_list
            if register.vex_offset is not None
        }
