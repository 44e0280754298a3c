"""A virtio device behind PCI: what both transports share, and the legacy one (Linux 3.11 virtio_pci.c).

The legacy transport is a block of I/O registers (VIRTIO 1.3 section 4.1.4.10). Interrupts are those of the
pin, without MSI-X. Offsets and widths are in bytes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from errno import EINVAL, ENOENT, ENOMEM
from typing import Protocol

from .arena import PAGE, Arena
from .layout import LARGEST_QUEUE, LAYOUTS, Layout
from .profile import FEATURES, Profile
from .virtqueue import Virtqueue, vring_new_virtqueue

STATUS_ACKNOWLEDGE = 1
STATUS_DRIVER = 2
STATUS_DRIVER_OK = 4
STATUS_FEATURES_OK = 8
STATUS_FAILED = 128

ISR_CONFIG = 2
"""The configuration has changed."""

ATTEMPTS = 1000
"""How often a register is read at most until the device says what is waited for."""

IO = 0
IO_DEVICE_FEATURES = 0
IO_DRIVER_FEATURES = 4
IO_QUEUE_PFN = 8
IO_QUEUE_SIZE = 12
IO_QUEUE_SELECT = 14
IO_QUEUE_NOTIFY = 16
IO_STATUS = 18
IO_ISR = 19
IO_CONFIG = 20


class Registers(Protocol):
    """The device's registers, each in a region; ``width`` is 1, 2 or 4."""

    def read(self, region: int, offset: int, width: int, /) -> int:
        """Read a register."""

    def write(self, region: int, offset: int, width: int, value: int, /) -> None:
        """Write a register."""


class ProbeError(Exception):
    """The device cannot be run; ``errno`` is below zero and says why."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


class VirtioPci(ABC):
    """A device behind PCI and its virtqueues (Linux 3.11 ``struct virtio_pci_device``).

    Methods have the names of Linux' functions, without their ``vp_``.
    ``vqs`` are the virtqueues set up, in that order. ``config_changed`` is called by the interrupt.
    """

    layout: str
    """The name of the rings' layout."""
    status_register: tuple[int, int, int]
    isr_register: tuple[int, int, int]
    """Region, offset and width."""

    def __init__(self, registers: Registers, arena: Arena, profile: Profile) -> None:
        self.registers = registers
        self.arena = arena
        self.profile = profile
        self.features = 0
        """Those accepted."""
        self.vqs: list[Virtqueue] = []
        self._rings: list[tuple[int, int]] = []
        self.config_changed: Callable[[], None] = lambda: None

    # -- status -------------------------------------------------------------------------------------

    def add_status(self, bit: int) -> None:
        """Set a bit of the device status. Linux 3.11 ``add_status``."""
        status = self.registers.read(*self.status_register)
        self.registers.write(*self.status_register, status | bit)

    def reset(self) -> bool:
        """Reset the device; tell whether it says that it is done. Linux 3.11 ``vp_reset``."""
        self.registers.write(*self.status_register, 0)
        return any(not self.registers.read(*self.status_register) for _ in range(ATTEMPTS))

    # -- what differs -------------------------------------------------------------------------------

    @abstractmethod
    def get_features(self) -> int:
        """Return the features the device offers (``vp_get_features``). Raises ProbeError."""

    @abstractmethod
    def finalize_features(self, features: int) -> None:
        """Accept features (``vp_finalize_features``). Raises ProbeError when the device refuses them."""

    @abstractmethod
    def get(self, offset: int, width: int, count: int = 1) -> list[int]:
        """Read a field of the configuration: ``count`` numbers of ``width`` bytes (``vp_get``).

        Raises ProbeError when the configuration changes all the time.
        """

    @abstractmethod
    def setup_vq(self, index: int, callback: Callable[[], None] | None, smallest: int) -> Virtqueue:
        """Set up a virtqueue of ``smallest`` descriptors or more. Raises ProbeError."""

    @abstractmethod
    def del_vq(self, index: int) -> None:
        """Tell the device that it has a virtqueue no more."""

    # -- virtqueues ---------------------------------------------------------------------------------

    def check_size(self, queue_size: int, smallest: int) -> None:
        """Raise ProbeError unless the size is a power of two from ``smallest`` up to 32768."""
        if queue_size & (queue_size - 1) or not smallest <= queue_size <= LARGEST_QUEUE:
            raise ProbeError(-EINVAL)

    def new_virtqueue(
        self, index: int, queue_size: int, notify: Callable[[int], None], callback: Callable[[], None] | None
    ) -> tuple[Virtqueue, int, Layout]:
        """Allocate and zero a ring and make its virtqueue; also returns the ring's address and layout.

        Raises ProbeError when there is no memory.
        """
        layout = LAYOUTS[self.layout](queue_size)
        try:
            vq, address = vring_new_virtqueue(
                layout,
                self.arena,
                notify,
                index=index,
                features=self.features & FEATURES,
                profile=self.profile,
                callback=callback,
            )
        except MemoryError:
            raise ProbeError(-ENOMEM) from None
        self.vqs.append(vq)
        self._rings.append((address, layout.size))
        return vq, address, layout

    def del_vqs(self) -> None:
        """Take every virtqueue down and free its ring. Linux 3.11 ``vp_del_vqs``."""
        for vq, ring in zip(self.vqs, self._rings, strict=True):
            self.del_vq(vq.index)
            self.arena.release(*ring)
        self.vqs.clear()
        self._rings.clear()

    def interrupt(self) -> bool:
        """Handle an interrupt; false: not ours. Linux 3.11 ``vp_interrupt`` and ``vp_vring_interrupt``."""
        isr = self.registers.read(*self.isr_register)
        if not isr:
            return False
        handled = False
        if isr & ISR_CONFIG:
            self.config_changed()
            handled = True
        for vq in self.vqs:
            if vq.interrupt():
                handled = True
        return handled


class LegacyPci(VirtioPci):
    """The legacy transport: Linux 3.11's only one."""

    layout = "legacy"
    status_register = IO, IO_STATUS, 1
    isr_register = IO, IO_ISR, 1

    def reset(self) -> bool:
        """Reset the device. Linux 3.11 ``vp_reset`` reads status once and takes it for done."""
        if not self.profile.resets_without_waiting:
            return super().reset()
        self.registers.write(IO, IO_STATUS, 1, 0)
        self.registers.read(IO, IO_STATUS, 1)
        return True

    def get_features(self) -> int:
        """Return the features the device offers. Linux 3.11 ``vp_get_features``."""
        return self.registers.read(IO, IO_DEVICE_FEATURES, 4)

    def finalize_features(self, features: int) -> None:
        """Accept features; the device cannot refuse. Linux 3.11 ``vp_finalize_features``."""
        self.features = features
        self.registers.write(IO, IO_DRIVER_FEATURES, 4, features & 0xFFFF_FFFF)

    def get(self, offset: int, width: int, count: int = 1) -> list[int]:
        """Read a field byte by byte. Linux 3.11 ``vp_get``."""
        read = self.registers.read
        values = bytes(read(IO, IO_CONFIG + offset + i, 1) for i in range(width * count))
        return [int.from_bytes(values[i : i + width], "little") for i in range(0, len(values), width)]

    def setup_vq(self, index: int, callback: Callable[[], None] | None, smallest: int) -> Virtqueue:
        """Set up a virtqueue; the device learns the page its ring begins at. Linux 3.11 ``setup_vq``."""
        self.registers.write(IO, IO_QUEUE_SELECT, 2, index)
        queue_size = self.registers.read(IO, IO_QUEUE_SIZE, 2)
        if self.registers.read(IO, IO_QUEUE_PFN, 4) or not queue_size:
            raise ProbeError(-ENOENT)
        self.check_size(queue_size, smallest)
        vq, address, _ = self.new_virtqueue(index, queue_size, self.notify, callback)
        self.registers.write(IO, IO_QUEUE_PFN, 4, address // PAGE)
        return vq

    def del_vq(self, index: int) -> None:
        """Take the ring's page from the device. Linux 3.11 ``vp_del_vq``."""
        self.registers.write(IO, IO_QUEUE_SELECT, 2, index)
        self.registers.write(IO, IO_QUEUE_PFN, 4, 0)

    def notify(self, index: int) -> None:
        """Ring a virtqueue's doorbell. Linux 3.11 ``vp_notify``."""
        self.registers.write(IO, IO_QUEUE_NOTIFY, 2, index)
