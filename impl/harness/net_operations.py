"""What is asked of a network driver and its device: configuration, operations, and what comes of them.

Here a driver is a whole one: it finds a PCI device's registers, sets its queues up and transmits frames.
An operation has the 16 bytes of ``operations.Op``, so that traces of both kinds have one form.

The stack. ``XMIT`` (a: frame number) does what Linux' stack does: it asks the driver which transmit queue is
the frame's, and if that queue is not stopped, hands the frame over: ``status`` 0. On a stopped queue the
driver never sees it: ``status`` is -EBUSY. ``pair`` is the number of the transmit queue. The token of frame
number n is n + 1; a frame can be sent again once it was freed, and before that XMIT is an OperationError.

A device can be quick: with XMIT's ``b``, before the driver's first notification of that queue returns, it
has read all chains there and completed ``b`` of them, as NET_COMPLETE does with pick and stride 0; bit 0 of
ISR is set if an interrupt is due, and ``length`` is 1 then.

Virtqueues are numbered as VIRTIO 1.3 section 5.1.2 does: receive queue i is 2 * i, transmit queue i is
2 * i + 1, the control queue comes last. ``in_`` of a device operation is the number of a virtqueue.

Operations of the device, on one queue: ``NET_READ`` (a), ``NET_COMPLETE`` (a, b, c), ``NET_SET_FLAGS`` (a)
and ``NET_SET_AVAIL_EVENT`` (a) are those of ``operations``; ``crc`` of NET_READ is the CRC-32 over the bytes
of the chains read, each chain's count of bytes as ``<I`` before them. NET_COMPLETE sets bit 0 of ISR if an
interrupt is due; ``length`` is 1 then. ``RAISE`` (a) sets bits of ISR: 1 is an interrupt without news, 2 a
configuration change. All but RAISE do nothing before DRIVER_OK, or on a queue that is not set up:
``status`` is -ENODEV.

``INTERRUPT`` calls the driver's interrupt handler whatever ISR holds: it reads ISR.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from .operations import EINVAL, ENOMEM, ENOSPC, Op

__all__ = ["EINVAL", "ENOMEM", "ENOSPC", "Op"]

ENOENT = -2
EBUSY = -16
ENODEV = -19
EMSGSIZE = -90
ETIMEDOUT = -110

F_CSUM = 1 << 0
F_MAC = 1 << 5
F_HOST_TSO4 = 1 << 11
F_HOST_TSO6 = 1 << 12
F_HOST_ECN = 1 << 13
F_HOST_UFO = 1 << 14
F_MRG_RXBUF = 1 << 15
F_STATUS = 1 << 16
F_CTRL_VQ = 1 << 17
F_MQ = 1 << 22
F_INDIRECT_DESC = 1 << 28
F_EVENT_IDX = 1 << 29
F_VERSION_1 = 1 << 32
NET_FEATURES = (
    F_CSUM | F_MAC | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN | F_HOST_UFO | F_MRG_RXBUF | F_STATUS
    | F_CTRL_VQ | F_MQ | F_INDIRECT_DESC | F_EVENT_IDX
)  # fmt: skip
"""The features our drivers understand on either transport; on the modern one VERSION_1, too."""
FEATURE_NAMES = {
    "CSUM": F_CSUM,
    "MAC": F_MAC,
    "HOST_TSO4": F_HOST_TSO4,
    "HOST_TSO6": F_HOST_TSO6,
    "HOST_ECN": F_HOST_ECN,
    "HOST_UFO": F_HOST_UFO,
    "MRG_RXBUF": F_MRG_RXBUF,
    "STATUS": F_STATUS,
    "CTRL_VQ": F_CTRL_VQ,
    "MQ": F_MQ,
    "INDIRECT_DESC": F_INDIRECT_DESC,
    "EVENT_IDX": F_EVENT_IDX,
    "VERSION_1": F_VERSION_1,
}
MAX_SKB_FRAGS = 17
MOST_PAIRS = 8
"""Of one device here; VIRTIO allows 32768."""
NOTIFY_OFF_MULTIPLIER = 16
"""Bytes from one queue's notify address to the next one's on the modern transport."""
NOTIFY_SPREAD = 3
"""queue_notify_off of queue q is NOTIFY_SPREAD * q + 1: no driver can guess it."""


class NetCode(IntEnum):
    """What an operation does. Below 80 the driver acts, from 80 the device."""

    PROBE = 64
    REMOVE = 65
    SET_PAIRS = 66
    XMIT = 67
    INTERRUPT = 68
    NET_READ = 80
    NET_COMPLETE = 81
    NET_SET_FLAGS = 82
    NET_SET_AVAIL_EVENT = 83
    RAISE = 84


class Region(IntEnum):
    """Where a register lies: IO is all of the legacy transport, the others are parts of the modern one."""

    IO = 0
    COMMON = 1
    NOTIFY = 2
    ISR = 3
    DEVICE = 4


class Access(NamedTuple):
    """One access to a register: ``width`` in bytes (1, 2 or 4), ``value`` written, or read."""

    write: bool
    region: int
    offset: int
    width: int
    value: int


class EventKind(IntEnum):
    """What a driver tells the stack. The numbers are those of the driver ABI's log."""

    FREED = 1
    ORPHANED = 2
    STOPPED = 3
    STARTED = 4
    WOKEN = 5


class Event(NamedTuple):
    """One thing a driver told the stack: ``value`` is a token (FREED, ORPHANED) or a transmit queue."""

    kind: int
    value: int


class Statistics(NamedTuple):
    """What a driver counts for one transmit queue; ``num_free`` is of its virtqueue, now."""

    tx_packets: int
    tx_bytes: int
    tx_fifo_errors: int
    tx_dropped: int
    num_free: int


class Capture(NamedTuple):
    """A chain as the device read it from a transmit queue: its head and all bytes of it, header first."""

    queue: int
    head: int
    data: bytes


@dataclass(frozen=True, slots=True)
class NetResult:
    """What came of one operation.

    ``accesses`` and ``events`` are those of this operation, in order. The words of the ring are those of the
    queue concerned (XMIT: the transmit queue chosen; device operations: theirs), 0 where there is none.
    """

    status: int
    length: int = 0
    pair: int = 0
    crc: int = 0
    avail_idx: int = 0
    used_idx: int = 0
    avail_flags: int = 0
    used_event: int = 0
    num_free: int = 0
    accesses: tuple[Access, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class NetConfig:
    """A network device and the driver that is to find it.

    ``features`` are what the device offers; on the modern transport VERSION_1 is added to them unless
    ``withhold_version_1``. ``queue_size`` is that of all its queues, ``pairs`` its max_virtqueue_pairs.
    ``known_features`` are what the driver understands. Raises ValueError, one line, for what cannot be.
    The device may be a bad one: ``reset_reads`` is how often status still reads as before after a reset;
    ``refuses_features`` clears FEATURES_OK; ``missing_queue`` has size 0.
    """

    queue_size: int = 256
    features: int = 0
    transport: str = "legacy"
    profile: str = "virtio-1.x"
    pairs: int = 1
    known_features: int = NET_FEATURES
    mac: bytes = b"\x52\x54\x00\x12\x34\x56"
    withhold_version_1: bool = False
    reset_reads: int = 0
    refuses_features: bool = False
    missing_queue: int | None = None

    def __post_init__(self) -> None:
        if self.transport not in ("legacy", "modern"):
            raise ValueError(f"transport {self.transport!r} is neither legacy nor modern")
        if self.profile not in ("linux-3.11", "virtio-1.x"):
            raise ValueError(f"profile {self.profile!r} is neither linux-3.11 nor virtio-1.x")
        if not 0 <= self.queue_size <= 0xFFFF:
            raise ValueError(f"queue size {self.queue_size} is not from 0 to 65535")
        if not 1 <= self.pairs <= MOST_PAIRS:
            raise ValueError(f"{self.pairs} queue pairs: 1 to {MOST_PAIRS} are possible")
        if len(self.mac) != 6:
            raise ValueError(f"a MAC address of {len(self.mac)} bytes")

    @property
    def offered(self) -> int:
        """What the device offers in all."""
        modern = self.transport == "modern" and not self.withhold_version_1
        return (self.features & ~F_VERSION_1) | (F_VERSION_1 if modern else 0)

    @property
    def understood(self) -> int:
        """What the driver can accept in all."""
        return (self.known_features & ~F_VERSION_1) | (F_VERSION_1 if self.transport == "modern" else 0)
