"""A virtio-net device over a driver's memory: a :class:`Device` for each queue, and the control queue.

It serves any driver whose memory and registers it can see, in this process or another. Like
:class:`Device` it is honest and safe: what the driver did wrong is a :class:`Violation`, nothing else.

The control queue is served at once when it is notified (VIRTIO 1.3 section 5.1.6.5): every chain published
on it is read, answered and completed, one after the other, each with a store of used_idx; then, with
EVENT_IDX, avail_event is set to the index of the next chain, so that the next command is notified, too. Bit 0
of ISR is set if an interrupt is due for any of them.
"""

from collections.abc import Sequence
from typing import Protocol
from zlib import crc32

from ..harness.net_operations import F_EVENT_IDX, Capture
from .device import Device, Flight, Violation
from .registers import ISR_QUEUE, Placement

CLASS_MQ = 4
"""The class of control commands on multiqueue, and its one command here."""
VQ_PAIRS_SET = 0
ACK_OK = 0
ACK_ERROR = 1
LARGEST_QUEUE = 32768
MOST_BYTES = 1 << 20
"""Of one chain; the device refuses more before it gathers them. A frame is below 64 KiB and a header."""


class RegisterState(Protocol):
    """What a device must know of its registers; :class:`Registers` has it all."""

    @property
    def driver_ok(self) -> bool:
        """Whether the driver has set DRIVER_OK since the last reset."""

    @property
    def epoch(self) -> int:
        """A number that is another one after each reset."""

    @property
    def features(self) -> int:
        """Features accepted, of those offered."""

    @property
    def pairs(self) -> int:
        """Pairs of queues the device has with these features."""

    def placement(self, queue: int) -> Placement | None:
        """Where a queue is; None if it is not set up or there is none of that number."""

    def raise_interrupt(self, bits: int) -> None:
        """Set bits of ISR."""


class _Queue:
    __slots__ = ("device", "epoch", "placement")

    def __init__(self, device: Device, epoch: int, placement: Placement) -> None:
        self.device = device
        self.epoch = epoch
        self.placement = placement


class NetDevice:
    """The device's side of all queues.

    ``captures`` holds what was read from transmit queues, in order, and ``segments`` address, length and
    DESC_F_WRITE or 0 of the segments of each; who has read them may empty both lists. What a queue was doing
    is forgotten when the driver has reset the device or placed the queue elsewhere, or the device has seen it
    taken down.
    """

    def __init__(self, windows: Sequence[tuple[int, memoryview]], registers: RegisterState) -> None:
        """``windows`` are the memory the device can reach: guest-physical address and writable bytes."""
        self.windows = list(windows)
        self.registers = registers
        self.captures: list[Capture] = []
        self.segments: list[list[tuple[int, int, int]]] = []
        self._queues: dict[int, _Queue] = {}
        self._pairs = 1
        self._pairs_epoch = registers.epoch

    @property
    def pairs(self) -> int:
        """How many pairs the driver last asked to use; 1 after a reset."""
        return self._pairs if self._pairs_epoch == self.registers.epoch else 1

    def queue(self, queue: int) -> Device | None:
        """Return the device's side of a queue; None before DRIVER_OK or if it is not set up.

        Raises Violation when the queue was set up where no queue can be.
        """
        registers = self.registers
        placement = registers.placement(queue) if registers.driver_ok else None
        if placement is None:
            self._queues.pop(queue, None)
            return None
        known = self._queues.get(queue)
        if known is None or known.epoch != registers.epoch or known.placement != placement:
            known = self._queues[queue] = _Queue(self._begin(queue, placement), registers.epoch, placement)
        return known.device

    def read(self, queue: int, limit: int) -> tuple[int, int] | None:
        """Read up to ``limit`` chains, all for 0; how many, and the CRC-32 over their device-readable bytes.

        The CRC runs over each chain's count of bytes as ``<I``, then the bytes. Chains of transmit queues are
        added to ``captures``. None as :meth:`queue`. Raises Violation, also for a transmit chain that is
        device-writable in part and for a segment outside the windows.
        """
        device = self.queue(queue)
        if device is None:
            return None
        transmits = bool(queue & 1)
        before = len(device.in_flight)
        count, _ = device.read(limit)
        crc = 0
        for chain in device.in_flight[before:]:
            segments = device.segments(chain)
            data = self._gather(queue, chain.head, segments, transmits)
            crc = crc32(data, crc32(len(data).to_bytes(4, "little"), crc))
            if transmits:
                self.captures.append(Capture(queue, chain.head, data))
                self.segments.append(segments)
        return count, crc

    def complete(self, queue: int, pick: int, stride: int, count: int) -> tuple[int, bool] | None:
        """Complete chains as :meth:`Device.complete` does; sets bit 0 of ISR if an interrupt is due.

        How many, and whether an interrupt is due. None as :meth:`queue`.
        """
        device = self.queue(queue)
        if device is None:
            return None
        done, due = device.complete(pick, stride, count)
        if due:
            self.registers.raise_interrupt(ISR_QUEUE)
        return done, due

    def set_flags(self, queue: int, value: int) -> bool:
        """Store used.flags of a queue. False as None of :meth:`queue`."""
        device = self.queue(queue)
        if device is None:
            return False
        device.set_flags(value)
        return True

    def set_avail_event(self, queue: int, value: int, *, relative: bool = False) -> bool:
        """Store avail_event of a queue as :meth:`Device.set_avail_event` does. False as None of `queue`."""
        device = self.queue(queue)
        if device is None:
            return False
        device.set_avail_event(value, relative=relative)
        return True

    def notified(self, queue: int) -> None:
        """Take a notification: the control queue is served, others wait to be told to read.

        Raises Violation.
        """
        if queue != 2 * self.registers.pairs:
            return
        device = self.queue(queue)
        if device is None:
            return
        due = False
        while device.read(1)[0]:
            self._serve(queue, device, device.in_flight[-1])
            due |= device.complete(len(device.in_flight) - 1, 0, 1)[1]
        if self.registers.features & F_EVENT_IDX:
            device.set_avail_event(device.next_avail)
        if due:
            self.registers.raise_interrupt(ISR_QUEUE)

    def _serve(self, queue: int, device: Device, chain: Flight) -> None:
        """Answer a control command: out class, command and data; in a byte for the answer."""
        segments = device.segments(chain)
        command = self._gather(queue, chain.head, segments, False)
        answers = [(address, length) for address, length, writable in segments if writable and length]
        if not answers:
            raise Violation("control-command", f"the command at head {chain.head} has no room for an answer")
        where = self._find(answers[-1][0] + answers[-1][1] - 1, 1)
        if where is None:
            raise Violation(
                "chain-well-formed",
                f"the answer at head {chain.head} of queue {queue} would go to address {answers[-1][0]:#x}, "
                "where there is no memory",
            )
        pairs = int.from_bytes(command[2:], "little") if len(command) == 4 else 0
        accepted = command[:2] == bytes((CLASS_MQ, VQ_PAIRS_SET)) and 1 <= pairs <= self.registers.pairs
        if accepted:
            self._pairs, self._pairs_epoch = pairs, self.registers.epoch
        where[0] = ACK_OK if accepted else ACK_ERROR

    def _begin(self, queue: int, placement: Placement) -> Device:
        size = placement.queue_size
        if not 1 <= size <= LARGEST_QUEUE or size & (size - 1):
            raise Violation("queue-set-up", f"queue {queue} was set up with {size} descriptors")
        for address, window in self.windows:
            if address <= placement.desc < address + len(window):
                break
        else:
            raise Violation(
                "queue-set-up", f"queue {queue} was set up at address {placement.desc:#x}, no memory"
            )
        try:
            return Device(
                window,
                address,
                desc=placement.desc,
                avail=placement.avail,
                used=placement.used,
                queue_size=size,
                features=self.registers.features,
                windows=self.windows,
            )
        except ValueError as fault:
            raise Violation("queue-set-up", f"queue {queue}: {fault}") from None

    def _gather(
        self, queue: int, head: int, segments: Sequence[tuple[int, int, int]], transmits: bool
    ) -> bytes:
        """Return the device-readable bytes of a chain, in order. Raises Violation as :meth:`read`."""
        parts = []
        total = 0
        for i, (address, length, writable) in enumerate(segments):
            if writable:
                if transmits:
                    raise Violation(
                        "chain-well-formed",
                        f"segment {i} of the chain at head {head} of queue {queue} is device-writable, "
                        "but the queue transmits",
                    )
                continue
            total += length
            if total > MOST_BYTES:
                raise Violation(
                    "chain-well-formed",
                    f"the chain at head {head} of queue {queue} has more than {MOST_BYTES} bytes",
                )
            part = self._find(address, length)
            if part is None:
                raise Violation(
                    "chain-well-formed",
                    f"segment {i} of the chain at head {head} of queue {queue} is not in memory: "
                    f"{length} bytes at address {address:#x}",
                )
            parts.append(part)
        return b"".join(parts)

    def _find(self, address: int, length: int) -> memoryview | None:
        for start, window in self.windows:
            offset = address - start
            if offset >= 0 and offset + length <= len(window):
                return window[offset : offset + length]
        return None
