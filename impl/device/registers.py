"""The registers of a virtio-net device, as its own side sees them, on both transports.

Legacy: one region of I/O space (VIRTIO 1.3 section 4.1.4.10), without MSI-X. Modern: four regions (sections
4.1.4.3 to 4.1.4.6). Both end with the same device configuration: mac in bytes 0 to 5, status at 6, link up,
and max_virtqueue_pairs at 8 (section 5.1.4).

The device takes every access, whatever it is, and keeps a log of all. What is no register reads as all ones
and takes writes without effect; judging the driver is for those who read the log. There are as many queues
as the features accepted so far make: two for each pair, or two without MQ, and the control queue behind
them. A reset takes effect at once, though status may go on reading as before for a while.
"""

from collections.abc import Callable
from typing import NamedTuple

from ..harness.net_operations import (
    F_MQ,
    MOST_PAIRS,
    NOTIFY_OFF_MULTIPLIER,
    NOTIFY_SPREAD,
    Access,
    NetConfig,
    Region,
)

DRIVER_OK = 4
FEATURES_OK = 8
ISR_QUEUE = 1
ISR_CONFIGURATION = 2
LEGACY_CONFIGURATION = 20
"""Where the device configuration begins in legacy I/O space."""
NO_VECTOR = 0xFFFF
PAGE = 4096

_U32 = 0xFFFF_FFFF
_IO, _COMMON, _NOTIFY, _ISR, _DEVICE = (int(region) for region in Region)
_MOST_QUEUES = 2 * MOST_PAIRS + 1
_MASKS = {1: 0xFF, 2: 0xFFFF, 4: _U32}
"""All ones of each width, in bytes, that an access can have."""


class Placement(NamedTuple):
    """Where a driver says a queue's parts are, guest-physical, and how many descriptors it has."""

    queue_size: int
    desc: int
    avail: int
    used: int


class QueueRegisters:
    """The registers of one queue. ``addresses`` are those of desc, driver and device area, 64 bits each."""

    __slots__ = ("addresses", "enabled", "page_frame", "placement", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.page_frame = 0
        self.enabled = 0
        self.addresses = [0, 0, 0]
        self.placement: Placement | None = None
        """What the device uses: as the driver has set it up; the modern one looks when it is enabled."""


class Registers:
    """The device's side of the registers.

    ``log`` holds every access in order; who has read it may empty it. ``notified`` is called with the number
    of a queue that exists for each write that notifies it. ``driver_ok`` tells whether DRIVER_OK is set,
    ``epoch`` counts resets, ``isr`` holds the bits not read yet. ``driver_features`` are those the driver has
    written, ``features`` those of them that were offered; they make ``pairs`` pairs of queues and
    ``queues`` queues in all, the last one the control queue.
    """

    def __init__(self, config: NetConfig, notified: Callable[[int], None] | None = None) -> None:
        self.config = config
        self.notified = notified
        self.log: list[Access] = []
        self.epoch = -1
        self.status = 0
        self._configuration = config.mac + (1).to_bytes(2, "little") + config.pairs.to_bytes(2, "little")
        legacy = config.transport == "legacy"
        self._reads, self._writes = (_LEGACY_READS, _LEGACY_WRITES) if legacy else (_READS, _WRITES)
        self._configuration_at = (_IO, LEGACY_CONFIGURATION) if legacy else (_DEVICE, 0)
        self._reset()

    # -- the driver's side -------------------------------------------------------------------------------

    def read(self, region: int, offset: int, width: int) -> int:
        """Read a register; all ones where there is none. ``width`` is in bytes."""
        reader = self._reads.get((region, offset, width))
        value = self._read_configuration(region, offset, width) if reader is None else reader(self)
        self.log.append(Access(False, int(region), offset, width, value))
        return value

    def write(self, region: int, offset: int, width: int, value: int) -> None:
        """Write a register; without effect where there is none. Bits beyond ``width`` bytes are lost."""
        value &= _MASKS.get(width, _U32)
        self.log.append(Access(True, int(region), offset, width, value))
        writer = self._writes.get((region, offset, width))
        if writer is not None:
            writer(self, value)

    # -- the device's side -------------------------------------------------------------------------------

    def placement(self, queue: int) -> Placement | None:
        """Say where a queue is; None if it is not set up or there is none of that number."""
        return self._queues[queue].placement if 0 <= queue < self.queues else None

    def raise_interrupt(self, bits: int) -> None:
        """Set bits of ISR."""
        self.isr |= bits & 0xFF

    def _reset(self) -> None:
        config = self.config
        self.epoch += 1
        self._status_before = self.status
        self._reads_before = config.reset_reads
        self.status = 0
        self.driver_ok = False
        self.isr = 0
        self._accept(0)
        self._device_feature_select = 0
        self._driver_feature_select = 0
        self._select = 0
        size = config.queue_size
        self._queues = [QueueRegisters(size) for _ in range(_MOST_QUEUES)]
        if config.missing_queue is not None and 0 <= config.missing_queue < _MOST_QUEUES:
            self._queues[config.missing_queue].size = 0

    def _accept(self, features: int) -> None:
        self.driver_features = features
        self.features = features & self.config.offered
        self.pairs = self.config.pairs if self.features & F_MQ else 1
        self.queues = 2 * self.pairs + 1

    def _selected(self) -> QueueRegisters | None:
        return self._queues[self._select] if self._select < self.queues else None

    def _read_configuration(self, region: int, offset: int, width: int) -> int:
        where, start = self._configuration_at
        at = offset - start
        if width not in _MASKS:
            return _U32
        if region == where and at >= 0 and not offset % width and at + width <= len(self._configuration):
            return int.from_bytes(self._configuration[at : at + width], "little")
        return _MASKS[width]

    # -- both transports ---------------------------------------------------------------------------------

    def _read_status(self) -> int:
        if self._reads_before:
            self._reads_before -= 1
            return self._status_before
        return self.status

    def _write_status(self, value: int) -> None:
        if not value:
            before = self._status_before if self._reads_before else self.status
            self._reset()
            self._status_before = before
            return
        self._reads_before = 0
        if self.config.refuses_features:
            value &= ~FEATURES_OK
        self.status = value
        self.driver_ok = bool(value & DRIVER_OK)

    def _read_isr(self) -> int:
        value, self.isr = self.isr, 0
        return value

    def _read_select(self) -> int:
        return self._select

    def _write_select(self, value: int) -> None:
        self._select = value

    def _read_size(self) -> int:
        queue = self._selected()
        return queue.size if queue else 0

    def _notify(self, queue: int) -> None:
        if self.notified is not None and queue < self.queues:
            self.notified(queue)

    # -- legacy only -------------------------------------------------------------------------------------

    def _read_offered(self) -> int:
        return self.config.offered & _U32

    def _read_accepted(self) -> int:
        return self.driver_features & _U32

    def _write_accepted(self, value: int) -> None:
        self._accept(value)

    def _read_page_frame(self) -> int:
        queue = self._selected()
        return queue.page_frame if queue else 0

    def _write_page_frame(self, value: int) -> None:
        queue = self._selected()
        if not queue or not queue.size:
            return
        queue.page_frame = value
        desc = value * PAGE
        avail = desc + 16 * queue.size
        used = -(-(avail + 6 + 2 * queue.size) // PAGE) * PAGE
        queue.placement = Placement(queue.size, desc, avail, used) if value else None

    # -- modern only -------------------------------------------------------------------------------------

    def _read_device_feature_select(self) -> int:
        return self._device_feature_select

    def _write_device_feature_select(self, value: int) -> None:
        self._device_feature_select = value

    def _read_device_feature(self) -> int:
        return self.config.offered >> 32 * self._device_feature_select & _U32

    def _read_driver_feature_select(self) -> int:
        return self._driver_feature_select

    def _write_driver_feature_select(self, value: int) -> None:
        self._driver_feature_select = value

    def _read_driver_feature(self) -> int:
        return self.driver_features >> 32 * self._driver_feature_select & _U32

    def _write_driver_feature(self, value: int) -> None:
        word = self._driver_feature_select
        if word < 2:
            self._accept(self.driver_features & ~(_U32 << 32 * word) | value << 32 * word)

    def _read_vector(self) -> int:
        return NO_VECTOR

    def _read_num_queues(self) -> int:
        return 2 * self.config.pairs + 1 if self.config.offered & F_MQ else 3

    def _read_generation(self) -> int:
        return 0

    def _write_size(self, value: int) -> None:
        queue = self._selected()
        if queue and queue.size:
            queue.size = value

    def _read_enabled(self) -> int:
        queue = self._selected()
        return queue.enabled if queue else 0

    def _write_enabled(self, value: int) -> None:
        queue = self._selected()
        if queue and queue.size and value == 1:
            queue.enabled = 1
            queue.placement = Placement(queue.size, *queue.addresses)

    def _read_notify_off(self) -> int:
        return NOTIFY_SPREAD * self._select + 1 if self._select < self.queues else 0


_Reader = Callable[[Registers], int]
_Writer = Callable[[Registers, int], None]


def _address_reader(area: int, shift: int) -> _Reader:
    def read(registers: Registers) -> int:
        queue = registers._selected()
        return queue.addresses[area] >> shift & _U32 if queue else 0

    return read


def _address_writer(area: int, shift: int) -> _Writer:
    def write(registers: Registers, value: int) -> None:
        queue = registers._selected()
        if queue:
            queue.addresses[area] = queue.addresses[area] & ~(_U32 << shift) | value << shift

    return write


def _notify_writer(queue: int) -> _Writer:
    def write(registers: Registers, _value: int) -> None:
        registers._notify(queue)

    return write


_LEGACY_READS: dict[tuple[int, int, int], _Reader] = {
    (_IO, 0, 4): Registers._read_offered,
    (_IO, 4, 4): Registers._read_accepted,
    (_IO, 8, 4): Registers._read_page_frame,
    (_IO, 12, 2): Registers._read_size,
    (_IO, 14, 2): Registers._read_select,
    (_IO, 18, 1): Registers._read_status,
    (_IO, 19, 1): Registers._read_isr,
}
_LEGACY_WRITES: dict[tuple[int, int, int], _Writer] = {
    (_IO, 4, 4): Registers._write_accepted,
    (_IO, 8, 4): Registers._write_page_frame,
    (_IO, 14, 2): Registers._write_select,
    (_IO, 16, 2): Registers._notify,
    (_IO, 18, 1): Registers._write_status,
}
_READS: dict[tuple[int, int, int], _Reader] = {
    (_COMMON, 0, 4): Registers._read_device_feature_select,
    (_COMMON, 4, 4): Registers._read_device_feature,
    (_COMMON, 8, 4): Registers._read_driver_feature_select,
    (_COMMON, 12, 4): Registers._read_driver_feature,
    (_COMMON, 16, 2): Registers._read_vector,
    (_COMMON, 18, 2): Registers._read_num_queues,
    (_COMMON, 20, 1): Registers._read_status,
    (_COMMON, 21, 1): Registers._read_generation,
    (_COMMON, 22, 2): Registers._read_select,
    (_COMMON, 24, 2): Registers._read_size,
    (_COMMON, 26, 2): Registers._read_vector,
    (_COMMON, 28, 2): Registers._read_enabled,
    (_COMMON, 30, 2): Registers._read_notify_off,
    (_ISR, 0, 1): Registers._read_isr,
}
_WRITES: dict[tuple[int, int, int], _Writer] = {
    (_COMMON, 0, 4): Registers._write_device_feature_select,
    (_COMMON, 8, 4): Registers._write_driver_feature_select,
    (_COMMON, 12, 4): Registers._write_driver_feature,
    (_COMMON, 20, 1): Registers._write_status,
    (_COMMON, 22, 2): Registers._write_select,
    (_COMMON, 24, 2): Registers._write_size,
    (_COMMON, 28, 2): Registers._write_enabled,
}
for _half in range(6):
    _area, _shift = _half // 2, _half % 2 * 32
    _READS[_COMMON, 32 + 4 * _half, 4] = _address_reader(_area, _shift)
    _WRITES[_COMMON, 32 + 4 * _half, 4] = _address_writer(_area, _shift)
for _queue in range(_MOST_QUEUES):
    _WRITES[_NOTIFY, (NOTIFY_SPREAD * _queue + 1) * NOTIFY_OFF_MULTIPLIER, 2] = _notify_writer(_queue)
