"""The driver's side of a virtqueue: what Linux 3.11's virtio_ring.c does, in our own words.

Each method is named after the function whose behaviour it has. The numbers a device can see are in
``desc``, ``avail`` and ``used``; the rest is private: ``free_head``, ``num_free``, ``num_added``,
``last_used_idx``, ``broken`` and ``data``, the token of each head in flight or None. Indices are 16-bit
numbers: they wrap at 2^16, never at the queue size.
"""

from collections.abc import Callable, Sequence
from errno import EINVAL, ENOSPC
from typing import TypeAlias

from .arena import Arena
from .layout import DESC_BYTES, Layout
from .profile import F_EVENT_IDX, F_INDIRECT_DESC, FEATURES, LINUX_3_11, Profile
from .vring import (
    AVAIL_F_NO_INTERRUPT,
    DESC_F_INDIRECT,
    DESC_F_NEXT,
    DESC_F_WRITE,
    USED_F_NO_NOTIFY,
    Descriptors,
    Vring,
)

Segment: TypeAlias = tuple[int, int]
"""Guest-physical address and length in bytes."""

State: TypeAlias = tuple[int, int, int, int, bool, bool, list[object | None]]

U16 = 0xFFFF
TABLE_ALIGNMENT = 16


class LinkLoopError(Exception):
    """A chain's links do not end within the queue size: where Linux would go round for ever."""


def virtio_mb() -> None:
    """Full barrier. One thread runs everything here, so the barriers only say where they belong."""


def virtio_rmb() -> None:
    """Read barrier."""


def virtio_wmb() -> None:
    """Write barrier."""


def vring_need_event(event_idx: int, new_idx: int, old: int) -> bool:
    """Tell whether ``event_idx`` is among the indices from ``old`` up to, not including, ``new_idx``.

    All three are 16-bit. VIRTIO 1.3 section 2.7.10; Linux 3.11 ``vring_need_event``.
    """
    return (new_idx - event_idx - 1) & U16 < (new_idx - old) & U16


class Virtqueue:
    """One split virtqueue (Linux 3.11 ``struct vring_virtqueue``)."""

    def __init__(
        self,
        vring: Vring,
        arena: Arena,
        notify: Callable[[int], None],
        *,
        index: int = 0,
        features: int = 0,
        profile: Profile = LINUX_3_11,
        callback: Callable[[], None] | None = None,
    ) -> None:
        """Set up a queue on a zeroed ring (``vring_new_virtqueue``).

        ``arena`` gives the indirect tables, ``notify`` is called with ``index`` to ring the doorbell, and
        ``callback`` by :meth:`interrupt`. ``features`` are the negotiated ones, as masks.
        """
        self.queue_size = vring.queue_size
        self.desc = vring.desc
        self.avail = vring.avail
        self.used = vring.used
        self.arena = arena
        self.index = index
        self.profile = profile
        self.indirect = bool(features & F_INDIRECT_DESC)
        self.event = bool(features & F_EVENT_IDX)
        self._notify = notify
        self._callback = callback
        self._switches_flags = not self.event or profile.writes_flags_with_event_idx
        self._writes_used_event = self.event or profile.writes_used_event_always

        self.free_head = 0
        self.num_free = self.queue_size
        self.num_added = 0
        self.last_used_idx = 0
        self.broken = False
        self.callbacks_wanted = True
        self.data: list[object | None] = [None] * self.queue_size
        for i in range(self.queue_size - 1):
            self.desc.next[i] = i + 1
        if callback is None:
            self.disable_cb()

    # -- offering buffers ---------------------------------------------------------------------------

    def add(self, out: Sequence[Segment], in_: Sequence[Segment], token: object | None) -> int:
        """Offer a chain: ``out`` segments for the device to read, then ``in_`` ones for it to write.

        Returns 0, -ENOSPC (nothing changed, the device notified if there are out segments), or -EINVAL
        for what is a programming error in Linux: a null token, no segment, more than ever fit.
        Linux 3.11 ``virtqueue_add``.
        """
        total = len(out) + len(in_)
        if token is None or total == 0:
            return -EINVAL
        if total > self.queue_size and not self.profile.longer_chains_in_tables:
            return -EINVAL

        head = None
        if self.indirect and total > 1 and self.num_free > 0:
            head = self.vring_add_indirect(out, in_)
        if head is None:
            if total > self.queue_size:
                return -EINVAL
            if self.num_free < total:
                if out:
                    self.notify_full_ring()
                return -ENOSPC
            head = self.add_direct(out, in_)

        self.data[head] = token
        self.avail.ring[self.avail.idx & (self.queue_size - 1)] = head
        virtio_wmb()
        self.avail.idx = (self.avail.idx + 1) & U16
        self.num_added = (self.num_added + 1) & U16
        if self.num_added == U16:
            self.kick()
        return 0

    def vring_add_indirect(self, out: Sequence[Segment], in_: Sequence[Segment]) -> int | None:
        """Put the segments into a table of their own and take one descriptor for it.

        Returns the head, or None when there is no memory for the table. Linux 3.11
        ``vring_add_indirect``.
        """
        total = len(out) + len(in_)
        address = self.arena.allocate(DESC_BYTES * total, TABLE_ALIGNMENT)
        if address is None:
            return None
        table = Descriptors(self.arena.view(address, DESC_BYTES * total))
        for i, (addr, length) in enumerate(out):
            table.flags[i] = DESC_F_NEXT
            table.addr[i] = addr
            table.len[i] = length
            table.next[i] = i + 1
        for i, (addr, length) in enumerate(in_, len(out)):
            table.flags[i] = DESC_F_NEXT | DESC_F_WRITE
            table.addr[i] = addr
            table.len[i] = length
            table.next[i] = i + 1
        table.flags[total - 1] &= ~DESC_F_NEXT
        table.next[total - 1] = 0

        self.num_free -= 1
        head = self.free_head
        self.desc.flags[head] = DESC_F_INDIRECT
        self.desc.addr[head] = address
        self.desc.len[head] = DESC_BYTES * total
        self.free_head = self.desc.next[head]
        return head

    def add_direct(self, out: Sequence[Segment], in_: Sequence[Segment]) -> int:
        """Fill as many free descriptors as there are segments; returns the head.

        The links of the free list become those of the chain. The second half of Linux 3.11
        ``virtqueue_add``.
        """
        desc = self.desc
        self.num_free -= len(out) + len(in_)
        head = i = last = self.free_head
        for addr, length in out:
            desc.flags[i] = DESC_F_NEXT
            desc.addr[i] = addr
            desc.len[i] = length
            last = i
            i = desc.next[i]
        for addr, length in in_:
            desc.flags[i] = DESC_F_NEXT | DESC_F_WRITE
            desc.addr[i] = addr
            desc.len[i] = length
            last = i
            i = desc.next[i]
        desc.flags[last] &= ~DESC_F_NEXT
        self.free_head = i
        return head

    # -- notifying the device -----------------------------------------------------------------------

    def notify_full_ring(self) -> None:
        """Tell the device that the ring is full, so that it makes room."""
        if self.profile.notifies_full_ring_always:
            self.notify()
        else:
            self.kick()

    def kick_prepare(self) -> bool:
        """Tell whether the device wants to know of what was added since the last time.

        Linux 3.11 ``virtqueue_kick_prepare``.
        """
        virtio_mb()
        new = self.avail.idx
        old = (new - self.num_added) & U16
        self.num_added = 0
        if self.event:
            return vring_need_event(self.used.avail_event, new, old)
        return not self.used.flags & USED_F_NO_NOTIFY

    def notify(self) -> None:
        """Ring the doorbell with the queue's index. Linux 3.11 ``virtqueue_notify``."""
        self._notify(self.index)

    def kick(self) -> None:
        """Notify the device if it wants to know. Linux 3.11 ``virtqueue_kick``."""
        if self.kick_prepare():
            self.notify()

    # -- taking buffers back ------------------------------------------------------------------------

    def more_used(self) -> bool:
        """Tell whether the device has completed something not yet taken. Linux 3.11 ``more_used``."""
        return self.last_used_idx != self.used.idx

    def get_buf(self) -> tuple[object, int] | None:
        """Take the next completed chain back: its token and the length the device reports, or None.

        None also when the queue is broken, which an id that names no chain in flight makes it.
        Linux 3.11 ``virtqueue_get_buf``.
        """
        if self.broken:
            return None
        if not self.more_used():
            return None
        virtio_rmb()
        slot = self.last_used_idx & (self.queue_size - 1)
        head = self.used.id[slot]
        length = self.used.len[slot]
        if head >= self.queue_size or self.data[head] is None:
            self.broken = True
            return None
        token = self.data[head]
        self.detach_buf(head)
        self.last_used_idx = (self.last_used_idx + 1) & U16
        if self.callbacks_enabled() and self._writes_used_event:
            self.avail.used_event = self.last_used_idx
            virtio_mb()
        return token, length

    def detach_buf(self, head: int) -> None:
        """Forget the token at ``head`` and put the chain on the free list, in front.

        Raises LinkLoopError where the links do not end. Linux 3.11 ``detach_buf``.
        """
        desc = self.desc
        self.data[head] = None
        if desc.flags[head] & DESC_F_INDIRECT:
            self.arena.release(desc.addr[head], desc.len[head])
        i = head
        followed = 0
        while desc.flags[i] & DESC_F_NEXT:
            i = desc.next[i]
            self.num_free += 1
            followed += 1
            if followed >= self.queue_size:
                raise LinkLoopError(f"the chain at head {head} has no end")
        desc.next[i] = self.free_head
        self.free_head = head
        self.num_free += 1

    def detach_unused_buf(self) -> object | None:
        """After a reset, take back one chain the device never completed; its token, or None.

        Linux 3.11 ``virtqueue_detach_unused_buf``.
        """
        for head, token in enumerate(self.data):
            if token is not None:
                self.detach_buf(head)
                self.avail.idx = (self.avail.idx - 1) & U16
                return token
        return None

    # -- callbacks ----------------------------------------------------------------------------------

    def callbacks_enabled(self) -> bool:
        """Tell whether interrupts are wanted now."""
        if self._switches_flags:
            return not self.avail.flags & AVAIL_F_NO_INTERRUPT
        return self.callbacks_wanted

    def disable_cb(self) -> None:
        """Ask for no more interrupts. Linux 3.11 ``virtqueue_disable_cb``."""
        self.callbacks_wanted = False
        if self._switches_flags:
            self.avail.flags |= AVAIL_F_NO_INTERRUPT

    def enable_cb_prepare(self) -> int:
        """Ask for interrupts again; returns a mark for :meth:`poll`.

        Linux 3.11 ``virtqueue_enable_cb_prepare``.
        """
        self._enable_at(self.last_used_idx)
        return self.last_used_idx

    def poll(self, mark: int) -> bool:
        """Tell whether something was completed since the mark was given. Linux 3.11 ``virtqueue_poll``."""
        virtio_mb()
        return mark != self.used.idx

    def enable_cb(self) -> bool:
        """Ask for interrupts again; false if something was completed that none will announce.

        Linux 3.11 ``virtqueue_enable_cb``.
        """
        return not self.poll(self.enable_cb_prepare())

    def enable_cb_delayed(self) -> bool:
        """Ask for an interrupt once three quarters of what is in flight are completed.

        False if more than that already is. Linux 3.11 ``virtqueue_enable_cb_delayed``.
        """
        bufs = ((self.avail.idx - self.last_used_idx) & U16) * 3 // 4
        self._enable_at(self.last_used_idx + bufs)
        virtio_mb()
        return (self.used.idx - self.last_used_idx) & U16 <= bufs

    def _enable_at(self, used_event: int) -> None:
        self.callbacks_wanted = True
        if self._switches_flags:
            self.avail.flags &= ~AVAIL_F_NO_INTERRUPT
        if self._writes_used_event:
            self.avail.used_event = used_event & U16

    def interrupt(self) -> bool:
        """Be interrupted: calls the callback if something was completed; false: not ours.

        Linux 3.11 ``vring_interrupt``.
        """
        if not self.more_used():
            return False
        if not self.broken and self._callback is not None:
            self._callback()
        return True

    # -- private state, for those who look in --------------------------------------------------------

    def snapshot(self) -> State:
        """Return the private state as it is now, for :meth:`restore`. The ring's memory is the arena's."""
        return (
            self.free_head,
            self.num_free,
            self.num_added,
            self.last_used_idx,
            self.broken,
            self.callbacks_wanted,
            self.data.copy(),
        )

    def restore(self, state: State) -> None:
        """Take a private state over."""
        (
            self.free_head,
            self.num_free,
            self.num_added,
            self.last_used_idx,
            self.broken,
            self.callbacks_wanted,
            data,
        ) = state
        self.data = data.copy()


def vring_new_virtqueue(
    layout: Layout,
    arena: Arena,
    notify: Callable[[int], None],
    *,
    index: int = 0,
    features: int = 0,
    profile: Profile = LINUX_3_11,
    callback: Callable[[], None] | None = None,
) -> tuple[Virtqueue, int]:
    """Allocate and zero a ring and set up a queue on it; the queue and the ring's address.

    Raises ValueError for features a queue cannot be given, MemoryError when there is no room.
    Linux 3.11 ``setup_vq`` and ``vring_new_virtqueue``.
    """
    if features & ~FEATURES:
        raise ValueError(f"unknown feature bits {features & ~FEATURES:#x}")
    address = arena.allocate(layout.size, layout.alignment)
    if address is None:
        raise MemoryError(f"no room for a ring of {layout.size} bytes")
    block = arena.view(address, layout.size)
    block[:] = bytes(layout.size)
    queue = Virtqueue(
        Vring(block, layout),
        arena,
        notify,
        index=index,
        features=features,
        profile=profile,
        callback=callback,
    )
    return queue, address
