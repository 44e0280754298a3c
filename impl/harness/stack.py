"""The network stack's side of a driver: what it is told, and the books it keeps on its frames."""

from ..device.device import Violation
from ..device.registers import Registers
from .net_operations import Event, EventKind


class Stack:
    """The network stack's books: what it was told, which frames the driver holds, which queues are stopped.

    Frames are known by their tokens. ``with_device`` are those whose chain the device has not completed;
    that ends with a reset, too. Raises Violation for a frame given back that cannot be.
    """

    def __init__(self, registers: Registers) -> None:
        self.events: list[Event] = []
        self.held: set[int] = set()
        self.stopped: set[int] = set()
        self.with_device: dict[int, int] = {}
        """Token to number of resets before it was handed over."""
        self._heads: dict[tuple[int, int], int] = {}
        self._registers = registers

    def freed(self, token: int) -> None:
        """The frame is the stack's again."""
        if token not in self.held:
            raise Violation(
                "frame-freed-once", f"frame {token - 1} was freed, but it was not with the driver"
            )
        if self.with_device and self.with_device.get(token, -1) == self._registers.epoch:
            raise Violation(
                "frame-freed-once", f"frame {token - 1} was freed before the device was done with it"
            )
        self.with_device.pop(token, None)
        self.held.discard(token)
        self.events.append(Event(int(EventKind.FREED), token))

    def orphaned(self, token: int) -> None:
        """Nobody needs to wait for the frame any more."""
        if token not in self.held:
            raise Violation(
                "frame-freed-once", f"frame {token - 1} was orphaned, but it was not with the driver"
            )
        self.events.append(Event(int(EventKind.ORPHANED), token))

    def stop_queue(self, queue: int) -> None:
        """No frame must come to the transmit queue."""
        self.stopped.add(queue)
        self.events.append(Event(int(EventKind.STOPPED), queue))

    def start_queue(self, queue: int) -> None:
        """Frames may come again."""
        self.stopped.discard(queue)
        self.events.append(Event(int(EventKind.STARTED), queue))

    def wake_queue(self, queue: int) -> None:
        """Frames may come again, said from an interrupt."""
        self.stopped.discard(queue)
        self.events.append(Event(int(EventKind.WOKEN), queue))

    def published(self, queue: int, head: int, token: int) -> None:
        """Note which chain of a virtqueue carries a frame."""
        self._heads[queue, head] = token
        self.with_device[token] = self._registers.epoch

    def completed(self, queue: int, head: int) -> None:
        """Note that the device is done with a chain."""
        self.with_device.pop(self._heads.pop((queue, head), 0), None)
