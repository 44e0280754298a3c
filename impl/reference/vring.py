"""A ring's memory, field by field (VIRTIO 1.3 sections 2.7.5, 2.7.6, 2.7.8; Linux 3.11 ``struct vring``).

Everything here is a window on the same bytes: ``desc.next[i]``, ``avail.idx`` and ``used.id[slot]`` load and
store them at once. A store to a 16-bit word keeps the low 16 bits of the number.

As in C, the arrays know no queue size: an index too large meets whatever lies behind, up to the end of
the ring's block.
"""

from .layout import Layout

DESC_F_NEXT = 1
DESC_F_WRITE = 2
DESC_F_INDIRECT = 4
AVAIL_F_NO_INTERRUPT = 1
USED_F_NO_NOTIFY = 1


class Descriptors:
    """A descriptor table, the ring's or an indirect one: one array per field, each indexed by descriptor."""

    __slots__ = ("addr", "flags", "len", "next")

    def __init__(self, memory: memoryview) -> None:
        whole = memory[: len(memory) // 16 * 16]
        self.addr: memoryview[int] = whole.cast("Q")[0::2]
        self.len: memoryview[int] = whole.cast("I")[2::4]
        self.flags: memoryview[int] = whole.cast("H")[6::8]
        self.next: memoryview[int] = whole.cast("H")[7::8]


class Avail:
    """The available ring, which the driver writes: flags, idx, ring[slot], used_event."""

    __slots__ = ("_used_event_at", "_words", "ring")

    def __init__(self, memory: memoryview, queue_size: int) -> None:
        self._words: memoryview[int] = memory.cast("H")
        self._used_event_at = 2 + queue_size
        self.ring: memoryview[int] = self._words[2:]

    @property
    def flags(self) -> int:
        """NO_INTERRUPT, or 0."""
        return self._words[0]

    @flags.setter
    def flags(self, value: int) -> None:
        self._words[0] = value & 0xFFFF

    @property
    def idx(self) -> int:
        """How many heads were published, modulo 2^16."""
        return self._words[1]

    @idx.setter
    def idx(self, value: int) -> None:
        self._words[1] = value & 0xFFFF

    @property
    def used_event(self) -> int:
        """The used index whose completion the driver wants an interrupt for."""
        return self._words[self._used_event_at]

    @used_event.setter
    def used_event(self, value: int) -> None:
        self._words[self._used_event_at] = value & 0xFFFF


class Used:
    """The used ring, which the device writes: flags, idx, id[slot], len[slot], avail_event."""

    __slots__ = ("_avail_event_at", "_words", "id", "len")

    def __init__(self, memory: memoryview, queue_size: int) -> None:
        self._words: memoryview[int] = memory.cast("H")
        self._avail_event_at = 2 + 4 * queue_size
        entries: memoryview[int] = memory[: len(memory) // 4 * 4].cast("I")
        self.id: memoryview[int] = entries[1::2]
        self.len: memoryview[int] = entries[2::2]

    @property
    def flags(self) -> int:
        """NO_NOTIFY, or 0."""
        return self._words[0]

    @property
    def idx(self) -> int:
        """How many chains were completed, modulo 2^16."""
        return self._words[1]

    @property
    def avail_event(self) -> int:
        """The available index whose publication the device wants a notification for."""
        return self._words[self._avail_event_at]


class Vring:
    """The three parts of one ring: ``desc``, ``avail`` and ``used``."""

    __slots__ = ("avail", "desc", "queue_size", "used")

    def __init__(self, block: memoryview, layout: Layout) -> None:
        """``block`` is the ring's memory, ``layout.size`` bytes."""
        self.queue_size = layout.queue_size
        self.desc = Descriptors(block[layout.desc :])
        self.avail = Avail(block[layout.avail :], layout.queue_size)
        self.used = Used(block[layout.used :], layout.queue_size)
