"""What does not change while a virtqueue works: its size, what was negotiated, and which driver it is."""

from typing import Any

import z3

from ..size import Plain
from ..term import Flag, both, implies
from .moment import Moment, Pc


class Setting:
    """A queue of the given size: every one at once, one, or one of plain numbers.

    ``mended`` is the profile virtio-1.x, else it is linux-3.11. Of plain numbers the flags are given, else
    they are arbitrary ones.
    """

    takes_size = True

    def __init__(
        self,
        size: Any,
        *,
        event_idx: bool = False,
        indirect_desc: bool = False,
        mended: bool = False,
    ) -> None:
        self.size = size
        self.queue_size = size.queue_size
        plain = isinstance(size, Plain)
        self.event_idx: Flag = event_idx if plain else z3.Bool("event_idx")  # EVENT_IDX was negotiated
        self.indirect_desc: Flag = indirect_desc if plain else z3.Bool("indirect_desc")  # INDIRECT_DESC was
        self.mended: Flag = mended if plain else z3.Bool("mended")

    def is_idle(self, s: Moment) -> Flag:
        """The driver is between two operations, of a device that was not reset."""
        return both(s.pc == Pc.IDLE, s.live)

    def writes_used_event(self) -> Flag:
        """Linux 3.11 writes used_event always, the mended driver only if EVENT_IDX was negotiated."""
        return implies(self.mended, self.event_idx)
