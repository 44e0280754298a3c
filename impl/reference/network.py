"""A transmit queue: from a frame to the doorbell and back (Linux 3.11 virtio_net.c, its transmit path).

Everything here runs as if under the queue's transmit lock. The stack is told of each frame that is freed or
orphaned, and of each time the queue stops, starts or wakes; it hands no frame to a stopped queue.
"""

from errno import EINVAL, EMSGSIZE, ENOMEM
from typing import Protocol, cast

from .arena import Arena
from .net_header import virtio_net_hdr, virtio_net_hdr_possible, virtio_net_hdr_size
from .profile import F_VERSION_1, Profile
from .skbuff import MAX_SKB_FRAGS, Segments, SkBuff, for_each_sg, sg_init_table, sg_set_buf, skb_to_sgvec
from .virtqueue import Virtqueue

ROOM = 2 + MAX_SKB_FRAGS
"""Segments of the longest frame: the header, the linear part and the fragments."""
LINEAR_ALIGNMENT = 64


class Memory(Protocol):
    """Guest memory: the arena and the window in which frames lie."""

    def view(self, address: int, size: int, /) -> memoryview:
        """Return the ``size`` bytes at a guest-physical address, writable."""


class Stack(Protocol):
    """What the network stack is told; ``token`` is a frame's, ``queue`` the number of a transmit queue."""

    def freed(self, token: int, /) -> None:
        """The frame is the stack's again."""

    def orphaned(self, token: int, /) -> None:
        """Nobody needs to wait for the frame any more."""

    def stop_queue(self, queue: int, /) -> None:
        """No frame must come to the queue (``netif_stop_subqueue``)."""

    def start_queue(self, queue: int, /) -> None:
        """Frames may come again (``netif_start_subqueue``)."""

    def wake_queue(self, queue: int, /) -> None:
        """Frames may come again, and some may be waiting (``netif_wake_subqueue``)."""


class SendQueue:
    """A transmit queue of the device (Linux 3.11 ``struct send_queue``); ``number`` counts them from 0.

    ``vq`` is its virtqueue, set once there is one. ``sg`` is used for one frame after another: the header's
    entry, then those of the data.
    """

    def __init__(
        self, number: int, arena: Arena, memory: Memory, stack: Stack, features: int, profile: Profile
    ) -> None:
        """``features`` are the accepted ones."""
        self.number = number
        self.arena = arena
        self.memory = memory
        self.stack = stack
        self.features = features
        self.profile = profile
        self.header_size = virtio_net_hdr_size(features, profile)
        self.sg = sg_init_table(ROOM)
        self._data_sg = self.sg[1:]
        self.copies: dict[int, tuple[int, int]] = {}
        """Token to address and size of the block that holds a frame made linear."""
        self.tx_packets = 0
        self.tx_bytes = 0
        self.tx_fifo_errors = 0
        self.tx_dropped = 0
        self.room = ROOM
        self.vq: Virtqueue

    def attach(self, vq: Virtqueue) -> None:
        """Use this virtqueue, whose callback is :meth:`skb_xmit_done`."""
        self.vq = vq
        self.room = ROOM if self.profile.wants_room_beyond_ring else min(ROOM, vq.queue_size)

    @property
    def statistics(self) -> tuple[int, int, int, int]:
        """tx_packets, tx_bytes, tx_fifo_errors and tx_dropped."""
        return self.tx_packets, self.tx_bytes, self.tx_fifo_errors, self.tx_dropped

    # -- sending ------------------------------------------------------------------------------------

    def start_xmit(self, skb: SkBuff) -> None:
        """Take a frame: it is sent, or dropped and counted. Linux 3.11 ``start_xmit``."""
        vq = self.vq
        self.free_old_xmit_skbs()
        error = self.xmit_skb(skb)
        if error:
            self.tx_fifo_errors += 1
            self.tx_dropped += 1
            self.stack.freed(skb.token)
            return
        vq.kick()
        self.stack.orphaned(skb.token)
        if vq.num_free < self.room:
            self.stack.stop_queue(self.number)
            if not vq.enable_cb_delayed():
                # More was used in the meantime: perhaps no interrupt will come for it.
                self.free_old_xmit_skbs()
                if vq.num_free >= self.room:
                    self.stack.start_queue(self.number)
                    vq.disable_cb()

    def xmit_skb(self, skb: SkBuff) -> int:
        """Write a frame's header and offer header and data to the device as one chain.

        Returns 0, or what keeps it from being sent: -EINVAL for a frame without data or one whose offloads
        no header can ask for, -EMSGSIZE when it has too many pieces, -ENOMEM when there is no memory to make
        it linear, or what ``virtqueue_add`` says. Linux 3.11 ``xmit_skb``.
        """
        if not skb.len or not virtio_net_hdr_possible(skb, self.features, self.profile):
            return -EINVAL
        if skb.most_frags > MAX_SKB_FRAGS:
            return -EMSGSIZE
        pieces = skb_to_sgvec(skb, self._data_sg, 0, skb.len)
        if pieces < 0:
            return pieces
        virtio_net_hdr(skb, self.memory.view(skb.control, self.header_size), self.profile)
        sg_set_buf(self.sg[0], skb.control, self.header_size)
        if 1 + pieces > self.vq.queue_size and not self.profile.drops_longer_chains:
            return self.xmit_linear(skb, pieces)
        segments = [(entry.page + entry.offset, entry.length) for entry in for_each_sg(self.sg)]
        return self.vq.add(segments, (), skb)

    def xmit_linear(self, skb: SkBuff, pieces: int) -> int:
        """Offer a copy of a frame, for which the queue has too few descriptors.

        Under VERSION_1 the header is copied in front of the data; before it, a header needs a segment of its
        own (VIRTIO 1.3 section 5.1.6.6) and stays where it is. Returns what :meth:`xmit_skb` returns. Linux
        3.11 has nothing of the kind for virtio; elsewhere it is ``skb_linearize``.
        """
        sources = self._data_sg[:pieces]
        segments: Segments = []
        if self.features & F_VERSION_1:
            sources = self.sg[: 1 + pieces]
        else:
            segments.append((skb.control, self.header_size))
        data = b"".join(self.memory.view(entry.page + entry.offset, entry.length) for entry in sources)
        address = self.arena.allocate(len(data), LINEAR_ALIGNMENT)
        if address is None:
            return -ENOMEM
        self.memory.view(address, len(data))[:] = data
        segments.append((address, len(data)))
        error = self.vq.add(segments, (), skb)
        if error:
            self.arena.release(address, len(data))
        else:
            self.copies[skb.token] = address, len(data)
        return error

    # -- taking back --------------------------------------------------------------------------------

    def free_old_xmit_skbs(self) -> None:
        """Free and count the frames that the device has sent. Linux 3.11 ``free_old_xmit_skbs``."""
        while (done := self.vq.get_buf()) is not None:
            skb = cast(SkBuff, done[0])
            self.tx_packets += 1
            self.tx_bytes += skb.len
            self.dev_kfree_skb(skb)

    def free_unused_bufs(self) -> None:
        """After a reset, free the frames the device has not given back. Linux 3.11 ``free_unused_bufs``."""
        while (skb := self.vq.detach_unused_buf()) is not None:
            self.dev_kfree_skb(cast(SkBuff, skb))

    def dev_kfree_skb(self, skb: SkBuff) -> None:
        """Give a frame back that was with the device, and its copy if there is one."""
        if self.copies and skb.token in self.copies:
            self.arena.release(*self.copies.pop(skb.token))
        self.stack.freed(skb.token)

    def skb_xmit_done(self) -> None:
        """Be told that the device has sent something. Linux 3.11 ``skb_xmit_done``.

        Linux 3.11 wakes the queue and leaves the rest to the next ``start_xmit``. Mended, it reclaims here
        and wakes when a frame of any kind has room, else asks to be told of more.
        """
        vq = self.vq
        vq.disable_cb()
        if self.profile.wakes_without_looking:
            self.stack.wake_queue(self.number)
            return
        self.free_old_xmit_skbs()
        if vq.num_free >= self.room:
            self.stack.wake_queue(self.number)
        elif not vq.enable_cb_delayed():
            self.free_old_xmit_skbs()
            if vq.num_free >= self.room:
                self.stack.wake_queue(self.number)
                vq.disable_cb()
