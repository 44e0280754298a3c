"""The network device: probing it, removing it, its queues and interrupts (Linux 3.11 virtio_net.c).

Virtqueues are numbered as section 5.1.2 of VIRTIO 1.3 does: receive queue i is 2 * i, transmit queue i is
2 * i + 1, the control queue comes last. Receive queues are set up and get no buffers: reception is not part
of this driver.
"""

from errno import EINVAL, ENOMEM, ETIMEDOUT
from typing import cast

from .arena import Arena
from .features import F_CTRL_VQ, F_MAC, F_MQ, F_STATUS, UNDERSTOOD, accepted_features
from .network import Memory, SendQueue, Stack
from .pci import (
    ATTEMPTS,
    STATUS_ACKNOWLEDGE,
    STATUS_DRIVER,
    STATUS_DRIVER_OK,
    STATUS_FAILED,
    LegacyPci,
    ProbeError,
    Registers,
    VirtioPci,
)
from .pci_modern import ModernPci
from .profile import F_VERSION_1, Profile
from .skbuff import SkBuff
from .virtqueue import Virtqueue

MOST_PAIRS = 8
"""More pairs of queues are left alone."""
LARGEST_MAX_PAIRS = 0x8000
CONFIG_MAC = 0
CONFIG_STATUS = 6
CONFIG_MAX_PAIRS = 8
LINK_UP = 1

CTRL_MQ = 4
CTRL_MQ_VQ_PAIRS_SET = 0
CTRL_ACK_OK = 0
CTRL_BYTES = 8
"""Of a command's block: class and command, the number of pairs, the acknowledgement; the rest is unused."""
CTRL_PRESET = 0xFF


class VirtnetInfo:
    """A device probed (Linux 3.11 ``struct virtnet_info``).

    ``pairs`` is how many pairs of queues there are, ``pairs_in_use`` how many the stack uses. ``virtqueues``
    are all of them in the order of their indices.
    """

    def __init__(
        self, pci: VirtioPci, arena: Arena, memory: Memory, stack: Stack, features: int, profile: Profile
    ) -> None:
        """``features`` are the accepted ones."""
        self.pci = pci
        self.arena = arena
        self.memory = memory
        self.stack = stack
        self.profile = profile
        self.features = features
        self.mac: bytes | None = None
        self.link_up = True
        self.pairs = 1
        self.pairs_in_use = 1
        self.control_index = 2
        self.cvq: Virtqueue | None = None
        self.send_queues: list[SendQueue] = []
        self._has_multiqueue = features & (F_MQ | F_CTRL_VQ) == F_MQ | F_CTRL_VQ

    @property
    def virtqueues(self) -> list[Virtqueue]:
        """All virtqueues."""
        return self.pci.vqs

    # -- setting up ---------------------------------------------------------------------------------

    def read_config(self) -> None:
        """Read what does not change: the number of pairs and the MAC address. Raises ProbeError.

        The first part of Linux 3.11 ``virtnet_probe``.
        """
        if self._has_multiqueue:
            (pairs,) = self.pci.get(CONFIG_MAX_PAIRS, 2)
            if not 1 <= pairs <= LARGEST_MAX_PAIRS:
                pairs = 1
            self.control_index = 2 * pairs
            self.pairs = min(pairs, MOST_PAIRS)
        if self.features & F_MAC:
            self.mac = bytes(self.pci.get(CONFIG_MAC, 1, 6))

    def find_vqs(self) -> None:
        """Set up all virtqueues. Raises ProbeError. Linux 3.11 ``virtnet_find_vqs``."""
        whole_frame_fits_one = self.profile.takes_queues_of_one or self.features & F_VERSION_1
        for pair in range(self.pairs):
            self.pci.setup_vq(2 * pair, self.skb_recv_done, 1)
            sq = SendQueue(pair, self.arena, self.memory, self.stack, self.features, self.profile)
            sq.attach(self.pci.setup_vq(2 * pair + 1, sq.skb_xmit_done, 1 if whole_frame_fits_one else 2))
            self.send_queues.append(sq)
        if self.features & F_CTRL_VQ:
            self.cvq = self.pci.setup_vq(self.control_index, None, 1)

    def config_changed_work(self) -> None:
        """See whether the link is up. Raises ProbeError. Linux 3.11 ``virtnet_config_changed_work``."""
        if self.features & F_STATUS:
            (status,) = self.pci.get(CONFIG_STATUS, 2)
            self.link_up = bool(status & LINK_UP)

    def remove(self) -> None:
        """Reset the device, free every frame it still held, and give everything back.

        A device that does not finish its reset may still write to its rings and read frames: then all of it
        stays. Linux 3.11 ``virtnet_remove`` and ``virtio_dev_remove``.
        """
        if not self.pci.reset():
            return
        for sq in self.send_queues:
            sq.free_unused_bufs()
        if self.cvq is not None:
            while (command := self.cvq.detach_unused_buf()) is not None:
                self.arena.release(cast(int, command), CTRL_BYTES)
        self.pci.del_vqs()
        self.pci.add_status(STATUS_ACKNOWLEDGE)

    # -- running ------------------------------------------------------------------------------------

    def start_xmit(self, skb: SkBuff, pair: int) -> None:
        """Take a frame for a transmit queue. Linux 3.11 ``start_xmit``."""
        self.send_queues[pair].start_xmit(skb)

    def select_queue(self, skb: SkBuff) -> int:
        """Return the transmit queue of a frame, one of those in use. Linux 3.11 ``virtnet_select_queue``."""
        queue = skb.cpu if skb.recorded_queue is None else skb.recorded_queue
        while queue >= self.pairs_in_use:
            queue -= self.pairs_in_use
        return queue

    def interrupt(self) -> bool:
        """Handle an interrupt; false: not ours. Linux 3.11 ``vp_interrupt``."""
        return self.pci.interrupt()

    def config_changed(self) -> None:
        """Be told of a change; a link that cannot be read stays as it was.

        Linux 3.11 ``virtnet_config_changed``.
        """
        try:
            self.config_changed_work()
        except ProbeError:
            return

    def skb_recv_done(self) -> None:
        """Be told of a frame received: none is, as no receive queue has buffers. ``skb_recv_done``."""

    def set_pairs(self, pairs: int) -> int:
        """Use that many pairs of queues from now on. Returns 0, or an error below zero.

        -EINVAL for a number that cannot be, that the device refuses, or that finds no room in the control
        queue; -ENOMEM; -ETIMEDOUT when the device does not answer: it may still do so, and the command's
        memory is kept until then. Linux 3.11 ``virtnet_set_queues`` and ``virtnet_send_command``, which waits
        without an end.
        """
        if not 1 <= pairs <= self.pairs:
            return -EINVAL
        if self.cvq is None or not self._has_multiqueue:
            return 0
        address = self.arena.allocate(CTRL_BYTES, CTRL_BYTES)
        if address is None:
            return -ENOMEM
        block = self.memory.view(address, CTRL_BYTES)
        block[:5] = bytes([CTRL_MQ, CTRL_MQ_VQ_PAIRS_SET, pairs & 0xFF, pairs >> 8, CTRL_PRESET])
        if self.cvq.add([(address, 2), (address + 2, 2)], [(address + 4, 1)], address):
            self.arena.release(address, CTRL_BYTES)
            return -EINVAL
        self.cvq.kick()
        if not self._await_answer(self.cvq, address):
            return -ETIMEDOUT
        ack = block[4]
        self.arena.release(address, CTRL_BYTES)
        if ack != CTRL_ACK_OK:
            return -EINVAL
        self.pairs_in_use = pairs
        return 0

    def _await_answer(self, cvq: Virtqueue, address: int) -> bool:
        """Wait for a command's answer; one that comes late, to an earlier command, frees its memory."""
        for _ in range(ATTEMPTS):
            done = cvq.get_buf()
            if done is not None:
                command = cast(int, done[0])
                if command == address:
                    return True
                self.arena.release(command, CTRL_BYTES)
        return False


def virtnet_probe(
    registers: Registers,
    arena: Arena,
    memory: Memory,
    stack: Stack,
    *,
    transport: str,
    profile: Profile,
    features: int,
    notify_off_multiplier: int = 4,
) -> VirtnetInfo:
    """Find a network device behind its registers and make it ready to transmit.

    ``transport`` is "legacy" or "modern"; ``features`` are those the driver may accept. Raises ProbeError,
    with everything given back and the device told so, unless it is its reset that failed. Linux 3.11
    ``virtio_pci_probe``, ``virtio_dev_probe`` and ``virtnet_probe``.
    """
    pci: VirtioPci
    if transport == "legacy":
        pci = LegacyPci(registers, arena, profile)
    elif transport == "modern":
        pci = ModernPci(registers, arena, profile, notify_off_multiplier)
    else:
        raise ValueError(f"transport {transport!r} is neither legacy nor modern")
    if not pci.reset():
        raise ProbeError(-ETIMEDOUT)
    try:
        pci.add_status(STATUS_ACKNOWLEDGE)
        pci.add_status(STATUS_DRIVER)
        accepted = accepted_features(pci.get_features(), features & UNDERSTOOD, profile)
        pci.finalize_features(accepted)
        info = VirtnetInfo(pci, arena, memory, stack, accepted, profile)
        info.read_config()
        info.find_vqs()
        info.config_changed_work()
        pci.config_changed = info.config_changed
        pci.add_status(STATUS_DRIVER_OK)
    except ProbeError:
        pci.del_vqs()
        pci.add_status(STATUS_FAILED)
        raise
    return info
