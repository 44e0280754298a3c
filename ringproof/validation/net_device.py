"""A worker's network device on this side: the registers it has there, seen through shared memory."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from ..impl.device.device import Device, Flight
from ..impl.device.network import NetDevice
from ..impl.device.registers import DRIVER_OK, Placement
from ..impl.harness.frames import CONTROL_BYTES
from ..impl.harness.net_operations import F_MQ, NetConfig
from ..impl.harness.operations import ARENA_ADDRESS, ARENA_BYTES
from .net_findings import NetFindingCode
from .net_shared import NetSharedMemory, RegisterBlock

Judge: TypeAlias = Callable[[NetFindingCode, bool, int, int], None]
"""Takes a check that was made: its code, whether it held, and the two numbers that go with it."""


class SharedRegisters:
    """The device's registers in the worker, as a device on this side needs them."""

    def __init__(self, shared: NetSharedMemory, config: NetConfig) -> None:
        self.config = config
        self._shared = shared

    @property
    def block(self) -> RegisterBlock:
        """The registers themselves; do not keep it."""
        block: RegisterBlock = self._shared.header.registers
        return block

    @property
    def status(self) -> int:
        """The device status."""
        return int(self.block.status)

    @property
    def isr(self) -> int:
        """The bits of ISR not read yet."""
        return int(self.block.isr)

    @property
    def driver_ok(self) -> bool:
        """Whether the driver has set DRIVER_OK since the last reset."""
        return bool(self.block.status & DRIVER_OK)

    @property
    def epoch(self) -> int:
        """Resets so far."""
        return int(self.block.epoch)

    @property
    def features(self) -> int:
        """Features accepted, of those offered."""
        return int(self.block.driver_features) & self.config.offered

    @property
    def pairs(self) -> int:
        """Pairs of queues the device has with the features accepted so far."""
        return self.config.pairs if self.features & F_MQ else 1

    @property
    def queues(self) -> int:
        """Queues there are with these features; the last one is the control queue."""
        return 2 * self.pairs + 1

    def placement(self, queue: int) -> Placement | None:
        """Where a queue is; None if it is not set up or there is none of that number."""
        if not 0 <= queue < self.queues:
            return None
        block = self.block.queues[queue]
        if not block.placed:
            return None
        desc, avail, used = block.parts
        return Placement(int(block.placed_size), desc, avail, used)

    def raise_interrupt(self, bits: int) -> None:
        """Set bits of ISR."""
        self.block.isr |= bits & 0xFF


class _Kept(NamedTuple):
    """A chain as the device read it: its segments, and the bytes of those the driver wrote itself."""

    segments: list[tuple[int, int, int]]
    parts: list[tuple[int, bytes]]


class SharedDevice(NetDevice):
    """A device whose control queue is served by the worker: how far that is stands in the registers.

    A chain of a transmit queue must be, when it is completed, what it was when it was read: its descriptors,
    and what the driver wrote for the device to read. A frame's own data is the worker's to compare. ``judge``
    is told of each.
    """

    registers: SharedRegisters

    def __init__(
        self, windows: Sequence[tuple[int, memoryview]], registers: SharedRegisters, judge: Judge
    ) -> None:
        """``windows`` and ``registers`` are those of any device."""
        super().__init__(windows, registers)
        self._judge = judge
        self._kept: dict[tuple[int, int], _Kept] = {}

    @property
    def pairs(self) -> int:
        """How many pairs the driver last asked to use; 1 after a reset."""
        return int(self.registers.block.control_pairs)

    def let_go(self) -> None:
        """Give up the memory; what was captured stays."""
        self.windows.clear()
        self._queues.clear()

    def queue(self, queue: int) -> Device | None:
        """Return the device's side of a queue, the control queue's as the worker has left it."""
        device = super().queue(queue)
        if device is not None and queue == 2 * self.registers.pairs:
            block = self.registers.block
            device.next_avail, device.used_idx = block.control_avail, block.control_used
        return device

    def read(self, queue: int, limit: int) -> tuple[int, int] | None:
        """Read chains; of the control queue, those that were published without being notified."""
        done = super().read(queue, limit)
        self._keep(queue)
        if done is not None and done[0] and queue & 1:
            in_flight = self._queues[queue].device.in_flight
            for chain, segments in zip(in_flight[-done[0] :], self.segments[-done[0] :], strict=True):
                self._kept[queue, chain.head] = _Kept(segments, self._written(segments))
        return done

    def complete(self, queue: int, pick: int, stride: int, count: int) -> tuple[int, bool] | None:
        """Complete chains."""
        known = self._queues.get(queue) if queue & 1 else None
        before = known.device.in_flight[:] if known is not None else []
        done = super().complete(queue, pick, stride, count)
        self._keep(queue)
        if done is not None and done[0] and known is not None and self._queues.get(queue) is known:
            left = {chain.head for chain in known.device.in_flight}
            for chain in before:
                if chain.head not in left:
                    self._compare(queue, known.device, chain)
        return done

    def _written(self, segments: Sequence[tuple[int, int, int]]) -> list[tuple[int, bytes]]:
        """Say where a chain's bytes lie that the driver wrote, and what they are.

        In the frames' memory that is a control block. Pieces of a frame's data as short are kept, too.
        """
        parts = []
        for address, length, _ in segments:
            if 0 <= address - ARENA_ADDRESS < ARENA_BYTES or length <= CONTROL_BYTES:
                part = self._find(address, length)
                if part is not None and length:
                    parts.append((address, bytes(part)))
        return parts

    def _compare(self, queue: int, side: Device, chain: Flight) -> None:
        """Judge whether a chain just completed is still what was read."""
        kept = self._kept.pop((queue, chain.head), None)
        if kept is None:
            return
        now = side.segments(chain)
        same = now == kept.segments
        at = 0
        while not same and at < min(len(now), len(kept.segments)) and now[at] == kept.segments[at]:
            at += 1
        self._judge(NetFindingCode.CHAIN_CHANGED, same, chain.head, at)
        for address, before in kept.parts:
            part = self._find(address, len(before))
            after = bytes(part) if part is not None else b""
            same = after == before
            at = next((i for i, byte in enumerate(after) if byte != before[i]), 0)
            seen = after[at] if not same and after else 0
            self._judge(
                NetFindingCode.HEADER_CHANGED, same, address + at, 0 if same else chain.head << 32 | seen
            )

    def _keep(self, queue: int) -> None:
        known = self._queues.get(queue)
        if known is not None and queue == 2 * self.registers.pairs:
            block = self.registers.block
            block.control_avail, block.control_used = known.device.next_avail, known.device.used_idx
