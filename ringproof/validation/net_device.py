"""A worker's network device on this side: the registers it has there, seen through shared memory."""

from ..impl.device.device import Device
from ..impl.device.network import NetDevice
from ..impl.device.registers import DRIVER_OK, Placement
from ..impl.harness.net_operations import F_MQ, NetConfig
from .net_shared import NetSharedMemory, RegisterBlock


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


class SharedDevice(NetDevice):
    """A device whose control queue is served by the worker: how far that is stands in the registers."""

    registers: SharedRegisters

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
        return done

    def complete(self, queue: int, pick: int, stride: int, count: int) -> tuple[int, bool] | None:
        """Complete chains."""
        done = super().complete(queue, pick, stride, count)
        self._keep(queue)
        return done

    def _keep(self, queue: int) -> None:
        known = self._queues.get(queue)
        if known is not None and queue == 2 * self.registers.pairs:
            block = self.registers.block
            block.control_avail, block.control_used = known.device.next_avail, known.device.used_idx
