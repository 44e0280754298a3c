"""One meeting of a network driver and a device that breaks the rules: what either does, step by step."""

import struct

from ..impl.device.device import Device
from ..impl.harness.frames import Fragment, Frame, Packet
from ..impl.harness.net_operations import EBUSY, EventKind, NetCode, NetResult, Op
from .net_worker import NetWorker, Violation
from .shapes import pattern

TRANSMIT = 1
"""The queue of the first pair."""
CONFIGURATION, QUEUE = 2, 1
"""Bits of ISR."""
_NEEDS_RESET = 64
_ALL = 0xFFFF_FFFF

FRAMES = tuple(
    Frame(Packet(pattern(60 + at), (Fragment(at * 16, pattern(100)),) if at % 2 else ())) for at in range(24)
)
"""What is sent: frames that ask for nothing, in one piece and in two."""


class Encounter:
    """One driver, and a device that breaks the rules; what is not possible any more is passed over.

    ``steps`` tell in words what was done. ``refused`` says that probe failed at first, ``met`` that the
    device came to break a rule; ``kept`` are the frames with the driver. ``wrong`` is what no finding of the
    worker can say.
    """

    def __init__(self, worker: NetWorker) -> None:
        self.worker = worker
        self.steps: list[str] = []
        self.probed = False
        self.refused = False
        self.met = False
        self.wrong = ""
        self.kept: set[int] = set()
        self._asked = False
        self._broken = False  # the driver's ring makes no sense any more
        self._next = 0

    # -- the driver -----------------------------------------------------------------------------------

    def probe(self) -> bool:
        """Probe the device; whether that succeeded."""
        first, self._asked = not self._asked, True
        result = self._do(Op(NetCode.PROBE), "the driver probes the device")
        self.probed = result.status == 0
        if first:
            self.refused = not self.probed
        if not self.probed:
            self.steps[-1] += ", and refuses it"
        return self.probed

    def send(self, count: int) -> None:
        """Hand over frames, as long as the queue is not stopped."""
        sent = 0
        self.steps.append("")
        for _ in range(len(FRAMES)):
            number, self._next = self._next, (self._next + 1) % len(FRAMES)
            if sent == count or not self.probed:
                break
            if number in self.kept:
                continue
            self.steps[-1] = f"frame {number} is sent" if not sent else f"{sent + 1} frames are sent"
            result = self._run(Op(NetCode.XMIT, a=number))
            if result.status == EBUSY:
                break
            sent += 1
            if result.status == 0 and not _freed(result, number):
                self.kept.add(number)
        if not sent:
            self.steps.pop()

    def interrupt(self) -> None:
        """Call the interrupt handler."""
        if self.probed:
            self._do(Op(NetCode.INTERRUPT), "the interrupt handler is called")

    def remove(self) -> None:
        """Remove the driver."""
        if self.probed:
            self._do(Op(NetCode.REMOVE), "the driver is removed")
            self.probed = False

    # -- the device, as it should be ------------------------------------------------------------------

    def read(self) -> None:
        """Read all chains."""
        self._device(Op(NetCode.NET_READ, in_=TRANSMIT), "the device reads what was sent")

    def complete(self, count: int = _ALL) -> None:
        """Complete chains, the oldest first."""
        told = "all chains" if count == _ALL else f"{count} of the chains"
        self._device(Op(NetCode.NET_COMPLETE, in_=TRANSMIT, c=count), f"it completes {told}")

    # -- the device, as it should not be --------------------------------------------------------------

    def heads(self) -> list[tuple[int, ...]]:
        """Return the descriptors of each chain that the device holds, head first."""
        side = self._side()
        return [chain.descriptors for chain in side.in_flight] if side is not None else []

    def used(self, number: int, length: int = 0) -> None:
        """Say that a chain was used, whichever it is."""
        side = self._side()
        if side is None:
            return
        ring = self.worker.ring_bytes(TRANSMIT)[2]
        struct.pack_into("<II", ring, 4 + 8 * (side.used_idx % side.queue_size), number, length)
        self._index(1, f"the device says that id {number:#x} was used")

    def jump(self, by: int) -> None:
        """Move used_idx, forwards or backwards, with no entry written."""
        self._index(by, f"the device moves used_idx by {by}")

    def again(self) -> None:
        """Say of the chain used last that it was used."""
        side = self._side()
        if side is not None and side.used_idx:
            self.used(side.completed(side.used_idx - 1))

    def lengthen(self, length: int) -> None:
        """Change the length in the last used entry."""
        side = self._side()
        if side is None or not side.used_idx:
            return
        ring = self.worker.ring_bytes(TRANSMIT)[2]
        slot = (side.used_idx - 1) % side.queue_size
        struct.pack_into("<I", ring, 8 + 8 * slot, length)
        self._happens(f"with a length of {length:#x}")

    def raised(self, bits: int, words: str) -> None:
        """Set bits of ISR out of time."""
        self.worker.registers.raise_interrupt(bits)
        self._happens(words)

    def breaks_down(self) -> None:
        """Set DEVICE_NEEDS_RESET, and say that the configuration has changed."""
        if self.probed:
            self.worker.registers.block.status |= _NEEDS_RESET
            self.raised(CONFIGURATION, "the device sets DEVICE_NEEDS_RESET")

    def _index(self, by: int, words: str) -> None:
        side = self._side()
        if side is None:
            return
        side.used_idx = (side.used_idx + by) & 0xFFFF
        struct.pack_into("<H", self.worker.ring_bytes(TRANSMIT)[2], 2, side.used_idx)
        self.worker.registers.raise_interrupt(QUEUE)
        self._happens(words)

    def _happens(self, words: str) -> None:
        self.met = True
        self.steps.append(words)

    # -- all of them ----------------------------------------------------------------------------------

    def _side(self) -> Device | None:
        """Return the device's side of the queue; None where there is none, or none that makes sense."""
        if not self.probed or self._broken:
            return None
        try:
            return self.worker.device.queue(TRANSMIT)
        except Violation:
            self._broken = True
            return None

    def _device(self, op: Op, words: str) -> None:
        if self._side() is None:
            return
        self.steps.append(words)
        try:
            self._run(op)
        except Violation as violation:
            self._broken = True
            self.steps[-1] += f", and stops at once ({violation.detail})"

    def _do(self, op: Op, words: str) -> NetResult:
        self.steps.append(words)
        return self._run(op)

    def _run(self, op: Op) -> NetResult:
        result = self.worker.run([op])[0]
        self.kept -= {value - 1 for kind, value in result.events if kind == EventKind.FREED}
        return result


def _freed(result: NetResult, number: int) -> bool:
    return any(kind == EventKind.FREED and value == number + 1 for kind, value in result.events)
