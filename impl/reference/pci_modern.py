"""The modern PCI transport (VIRTIO 1.3 section 4.1.4), in the order of later Linux' virtio_pci_modern.c.

Linux 3.11 does not know it; here the same driver runs on both. The registers lie in four regions; the
doorbell of each virtqueue has a place of its own.
"""

from collections.abc import Callable
from errno import ENODEV, ENOENT, ETIMEDOUT

from .arena import Arena
from .pci import ATTEMPTS, STATUS_FEATURES_OK, ProbeError, Registers, VirtioPci
from .profile import F_VERSION_1, Profile
from .virtqueue import Virtqueue

COMMON = 1
NOTIFY = 2
ISR = 3
DEVICE = 4

DEVICE_FEATURE_SELECT = 0
DEVICE_FEATURE = 4
DRIVER_FEATURE_SELECT = 8
DRIVER_FEATURE = 12
DEVICE_STATUS = 20
CONFIG_GENERATION = 21
QUEUE_SELECT = 22
QUEUE_SIZE = 24
QUEUE_ENABLE = 28
QUEUE_NOTIFY_OFF = 30
QUEUE_DESC = 32
QUEUE_DRIVER = 40
QUEUE_DEVICE = 48


class ModernPci(VirtioPci):
    """The modern transport. ``notify_off_multiplier`` is in bytes."""

    layout = "modern"
    status_register = COMMON, DEVICE_STATUS, 1
    isr_register = ISR, 0, 1

    def __init__(
        self, registers: Registers, arena: Arena, profile: Profile, notify_off_multiplier: int
    ) -> None:
        super().__init__(registers, arena, profile)
        self.notify_off_multiplier = notify_off_multiplier

    def get_features(self) -> int:
        """Return the features the device offers (``vp_modern_get_features``).

        Raises ProbeError -ENODEV without VERSION_1: a legacy device, which has no business here.
        """
        features = 0
        for half in (0, 1):
            self.registers.write(COMMON, DEVICE_FEATURE_SELECT, 4, half)
            features |= self.registers.read(COMMON, DEVICE_FEATURE, 4) << 32 * half
        if not features & F_VERSION_1:
            raise ProbeError(-ENODEV)
        return features

    def finalize_features(self, features: int) -> None:
        """Accept features and see whether the device does (``vp_modern_set_features``).

        Raises ProbeError -ENODEV when it does not: VIRTIO 1.3 section 3.1.1, steps 5 and 6.
        """
        self.features = features
        for half in (0, 1):
            self.registers.write(COMMON, DRIVER_FEATURE_SELECT, 4, half)
            self.registers.write(COMMON, DRIVER_FEATURE, 4, features >> 32 * half & 0xFFFF_FFFF)
        self.add_status(STATUS_FEATURES_OK)
        if not self.registers.read(*self.status_register) & STATUS_FEATURES_OK:
            raise ProbeError(-ENODEV)

    def get(self, offset: int, width: int, count: int = 1) -> list[int]:
        """Read a field number by number until no change came in between (VIRTIO 1.3 section 2.5.1)."""
        read = self.registers.read
        for _ in range(ATTEMPTS):
            before = read(COMMON, CONFIG_GENERATION, 1)
            values = [read(DEVICE, offset + width * i, width) for i in range(count)]
            if read(COMMON, CONFIG_GENERATION, 1) == before:
                return values
        raise ProbeError(-ETIMEDOUT)

    def setup_vq(self, index: int, callback: Callable[[], None] | None, smallest: int) -> Virtqueue:
        """Set up a virtqueue: size, the addresses of its three parts, then enable (section 4.1.5.1.3)."""
        write = self.registers.write
        write(COMMON, QUEUE_SELECT, 2, index)
        queue_size = self.registers.read(COMMON, QUEUE_SIZE, 2)
        if self.registers.read(COMMON, QUEUE_ENABLE, 2) or not queue_size:
            raise ProbeError(-ENOENT)
        self.check_size(queue_size, smallest)
        doorbell = self.registers.read(COMMON, QUEUE_NOTIFY_OFF, 2) * self.notify_off_multiplier

        def notify(index: int) -> None:
            """Ring the virtqueue's doorbell (``vp_notify``)."""
            write(NOTIFY, doorbell, 2, index)

        vq, address, layout = self.new_virtqueue(index, queue_size, notify, callback)
        write(COMMON, QUEUE_SIZE, 2, queue_size)
        parts = (QUEUE_DESC, layout.desc), (QUEUE_DRIVER, layout.avail), (QUEUE_DEVICE, layout.used)
        for register, offset in parts:
            write(COMMON, register, 4, address + offset & 0xFFFF_FFFF)
            write(COMMON, register + 4, 4, address + offset >> 32)
        write(COMMON, QUEUE_ENABLE, 2, 1)
        return vq

    def del_vq(self, index: int) -> None:
        """Nothing to tell: a virtqueue is given up by reset alone (section 4.1.4.3.2)."""
