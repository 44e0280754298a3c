"""Runs operations on the reference's network driver with the Python device, as a worker does on one in C.

It is also the stack: it hands frames over, sees to it that each comes back exactly once, and knows which
queues are stopped. The reference to run is a parameter, as in ``reference_runner``; what goes wrong inside
it is a :class:`Violation` like what the device finds.
"""

import mmap
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeAlias

from .. import reference as _reference
from ..device.device import Device, Violation
from ..device.network import NetDevice
from ..device.registers import Registers
from .frames import FRAME_ADDRESS, FRAME_BYTES, Frame, FrameMemory, PlacedFrame, PlacedPacket
from .net_operations import (
    EBUSY,
    ENODEV,
    NOTIFY_OFF_MULTIPLIER,
    Access,
    Capture,
    Event,
    NetCode,
    NetConfig,
    NetResult,
    Op,
    Region,
    Statistics,
)
from .operations import ARENA_ADDRESS, OpFlag
from .reference_runner import OperationError
from .stack import Stack

__all__ = ["NetRunner", "OperationError", "Violation"]

_FAIL_ALLOC = int(OpFlag.FAIL_ALLOC)
_RELATIVE = int(OpFlag.RELATIVE)
_U16 = 0xFFFF
_U32 = 0xFFFF_FFFF
_STATUS_REGISTERS = {(int(Region.IO), 18), (int(Region.COMMON), 20)}


_Words: TypeAlias = tuple[int, int, int, int, int]
"""avail_idx, used_idx, avail_flags, used_event and num_free of a result."""
_Outcome: TypeAlias = tuple[int, int, int, int, _Words]
"""Status, length, pair, crc and words of a result."""
_NO_WORDS: _Words = (0, 0, 0, 0, 0)
_NOTHING: _Outcome = (0, 0, 0, 0, _NO_WORDS)
_NO_DEVICE: _Outcome = (ENODEV, 0, 0, 0, _NO_WORDS)


class Memory:
    """Guest memory as the driver sees it: the arena and the window of frames."""

    def __init__(self, arena: Any) -> None:
        # Anonymous mappings cost nothing until they are touched.
        self.frames = memoryview(mmap.mmap(-1, FRAME_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._arena = arena

    def view(self, address: int, size: int) -> memoryview:
        """Return the ``size`` bytes at a guest-physical address. Raises what the arena does outside both."""
        offset = address - FRAME_ADDRESS
        if offset >= 0 and offset + size <= FRAME_BYTES:
            return self.frames[offset : offset + size]
        view: memoryview = self._arena.view(address, size)
        return view


class NetRunner:
    """A network device, the reference's driver for it, and the operations on both.

    ``device``, ``registers``, ``arena`` and ``info``, the driver's own device, None without one, may be
    looked into. ``placed`` are the frames in memory. ``captures``, ``accesses`` and ``events`` hold all there
    were since create; who has read them may empty them.
    """

    def __init__(
        self, config: NetConfig, frames: Sequence[Frame] = (), *, reference: ModuleType | None = None
    ) -> None:
        """Lay the frames out; the driver has not seen the device yet.

        ``reference`` is ``impl.reference`` or a copy of it under another name. Raises OutOfRoom when the
        frames do not fit.
        """
        self._package: Any = _reference if reference is None else reference
        self.config = config
        self.operations = 0
        self.arena: Any = self._package.Arena()
        self.memory = Memory(self.arena)
        self.registers = Registers(config)
        self.device = NetDevice(
            [(FRAME_ADDRESS, self.memory.frames), (ARENA_ADDRESS, self.arena.memory)],
            self.registers,
        )
        # Weakly, or registers and device would keep each other, and the memory, alive.
        runner = weakref.ref(self)

        def notified(queue: int) -> None:
            there = runner()
            if there is not None:
                there.device.notified(queue)
                there._be_quick(queue)

        self.registers.notified = notified
        self._quick_due = False
        self._quick: tuple[int, int, int, int] | None = None
        """Queue, how many chains to complete when it is notified, avail_idx before, and the token sent."""
        self.stack = Stack(self.registers)
        self.info: Any = None
        self._in_use = 1
        self._frames = FrameMemory(self.memory.frames)
        self.placed: list[PlacedFrame] = []
        self._skbs: list[Any] = []
        self.frames(frames)

    # -- running -----------------------------------------------------------------------------------------

    def step(self, op: Op) -> NetResult:
        """Run one operation.

        FAIL_ALLOC lets every allocation of the driver fail meanwhile. Raises Violation, with ``operation``
        counted from 0 since create, where the driver is at fault or its own code fails; OperationError for
        an unknown operation, for PROBE with a device probed, for any other operation of the driver without
        one, and for a frame that is not there or not back yet.
        """
        handler = _HANDLERS.get(op.code)
        if handler is None:
            raise OperationError(f"operation {self.operations}: there is no operation with code {op.code}")
        if op.code < NetCode.NET_READ and (self.info is None) != (op.code == NetCode.PROBE):
            why = "there is no probed device" if self.info is None else "the device is probed already"
            raise OperationError(f"operation {self.operations}: {NetCode(op.code).name}, but {why}")
        log, events = self.registers.log, self.stack.events
        accesses_before, events_before = len(log), len(events)
        if op.flags & _FAIL_ALLOC:
            self.arena.fail = True
        try:
            status, length, pair, crc, words = handler(self, op)
        except Violation as violation:
            violation.operation = self.operations
            raise
        finally:
            self.arena.fail = False
        self.operations += 1
        return NetResult(
            status,
            length,
            pair,
            crc,
            *words,
            tuple(log[accesses_before:]),
            tuple(events[events_before:]),
        )

    def run(self, ops: Sequence[Op]) -> list[NetResult]:
        """Run operations in order. Raises as :meth:`step`."""
        return [self.step(op) for op in ops]

    # -- looking -----------------------------------------------------------------------------------------

    @property
    def captures(self) -> list[Capture]:
        """The chains the device read from transmit queues, in the order it read them."""
        return self.device.captures

    @property
    def accesses(self) -> list[Access]:
        """Every access to a register."""
        return self.registers.log

    @property
    def events(self) -> list[Event]:
        """Everything the driver told the stack."""
        return self.stack.events

    def statistics(self, pair: int) -> Statistics:
        """Return what the driver counts for a transmit queue. Raises OperationError if there is none."""
        if self.info is None or not 0 <= pair < len(self.info.send_queues):
            raise OperationError(f"there is no transmit queue {pair}")
        queue = self.info.send_queues[pair]
        return Statistics._make((*queue.statistics, queue.vq.num_free))

    def ring_bytes(self, queue: int) -> tuple[memoryview, memoryview, memoryview]:
        """Return descriptor table, available ring and used ring of a virtqueue, event words included.

        Raises OperationError if it is not set up, or not in memory.
        """
        where = self.registers.placement(queue)
        if where is None:
            raise OperationError(f"queue {queue} is not set up")
        view, size = self.memory.view, where.queue_size
        try:
            return (
                view(where.desc, 16 * size),
                view(where.avail, 6 + 2 * size),
                view(where.used, 6 + 8 * size),
            )
        except self._package.ArenaError as error:
            raise OperationError(f"queue {queue} is not in memory: {error}") from None

    def window(self) -> memoryview:
        """Return the window in which frames and their headers lie; its first byte is at FRAME_ADDRESS."""
        return self.memory.frames

    def arena_bytes(self) -> memoryview:
        """Return what the driver's allocator ever handed out; its first byte is at ARENA_ADDRESS."""
        view: memoryview = self.arena.memory[: self.arena.bump]
        return view

    def frames(self, frames: Sequence[Frame]) -> None:
        """Lay out other frames in place of those there are; frame numbers count from 0 again.

        Raises OperationError while a frame is with the driver, OutOfRoom when they do not fit.
        """
        if self.stack.held:
            raise OperationError(
                f"{len(self.stack.held)} frames are with the driver, so they cannot be replaced"
            )
        self._skbs = []
        self.placed = []
        self.placed = self._frames.place(frames)
        self._skbs = [None] * len(self.placed)

    # -- one method per operation: status, length, pair, crc and words of its result ----------------------

    def _probe(self, op: Op) -> _Outcome:
        package = self._package
        before = set(self.arena.live)
        try:
            self.info = self._call(
                op,
                package.virtnet_probe,
                self.registers,
                self.arena,
                self.memory,
                self.stack,
                transport=self.config.transport,
                profile=package.PROFILES[self.config.profile],
                features=self.config.understood,
                notify_off_multiplier=NOTIFY_OFF_MULTIPLIER,
            )
        except package.ProbeError as error:
            self._expect_released(before, "a probe that failed")
            return error.errno, 0, 0, 0, _NO_WORDS
        self.stack.stopped.clear()
        self._in_use = 1
        return _NOTHING

    def _remove(self, op: Op) -> _Outcome:
        before = len(self.registers.log)
        self._call(op, self.info.remove)
        self.info = None
        stack = self.stack
        last = self.registers.log[-1] if len(self.registers.log) > before else None
        if last and not last.write and last.value and (last.region, last.offset) in _STATUS_REGISTERS:
            # The driver gave up on a device that would not be reset, and may still read all of this.
            return _NOTHING
        if stack.held:
            first = min(stack.held) - 1
            raise Violation(
                "frame-freed-once", f"{len(stack.held)} frames, frame {first} first, were not freed by remove"
            )
        self._expect_released(set(), "remove")
        return _NOTHING

    def _set_pairs(self, op: Op) -> _Outcome:
        status = self._call(op, self.info.set_pairs, op.a)
        if status == 0:
            self._in_use = op.a
        return status, 0, 0, 0, _NO_WORDS

    def _xmit(self, op: Op) -> _Outcome:
        number = op.a
        token = number + 1
        stack = self.stack
        if not 0 <= number < len(self.placed):
            raise OperationError(
                f"operation {self.operations}: frame {number} of {len(self.placed)} does not exist"
            )
        if token in stack.held:
            raise OperationError(f"operation {self.operations}: frame {number} is still with the driver")
        skb = self._skbs[number]
        if skb is None:
            skb = self._skbs[number] = self._skb(self.placed[number], token)
        pair = self._call(op, self.info.select_queue, skb)
        if not 0 <= pair < self._in_use:
            raise Violation(
                "queue-in-use",
                f"transmit queue {pair} was chosen for frame {number}, of {self._in_use} in use",
            )
        queue = 2 * pair + 1
        if pair in stack.stopped:
            return EBUSY, 0, pair, 0, self._words(queue, self.device.queue(queue))
        device = self.device.queue(queue)
        before = device.words()[0] if device else 0
        stack.held.add(token)
        if op.b:
            self._quick = queue, op.b, before, token
        try:
            self._call(op, self.info.start_xmit, skb, pair)
        finally:
            was_quick, self._quick = bool(op.b) and self._quick is None, None
        device = self.device.queue(queue)
        words = self._words(queue, device)
        published = words[0] - before & _U16
        if was_quick and published == 1:
            return 0, int(self._quick_due), pair, 0, words
        if published != (token in stack.held):
            raise Violation(
                "frame-freed-once",
                f"frame {number} was {'kept' if token in stack.held else 'freed'} by the driver, which "
                f"published {published} chains for it",
            )
        if published and device:
            stack.published(queue, device.published(words[0] - 1), token)
        return 0, 0, pair, 0, words

    def _be_quick(self, queue: int) -> None:
        """Read and complete chains before a notification returns, if the operation says so."""
        if self._quick is None or self._quick[0] != queue:
            return
        _, count, before, token = self._quick
        device = self.device.queue(queue)
        if device is None:
            return
        self._quick = None
        avail_idx = device.words()[0]
        if avail_idx - before & _U16 == 1:
            self.stack.published(queue, device.published(avail_idx - 1), token)
        self.device.read(queue, 0)
        done, self._quick_due = self.device.complete(queue, 0, 0, count) or (0, False)
        self._completed(queue, device, done)

    def _completed(self, queue: int, device: Device, count: int) -> None:
        for i in range(device.used_idx - count, device.used_idx):
            self.stack.completed(queue, device.completed(i))

    def _interrupt(self, op: Op) -> _Outcome:
        return int(bool(self._call(op, self.info.interrupt))), 0, 0, 0, _NO_WORDS

    def _read(self, op: Op) -> _Outcome:
        read = self.device.read(op.in_, op.a)
        if read is None:
            return _NO_DEVICE
        return read[0], 0, 0, read[1], self._words(op.in_, self.device.queue(op.in_))

    def _complete(self, op: Op) -> _Outcome:
        device = self.device.queue(op.in_)
        completed = self.device.complete(op.in_, op.a, op.b, op.c)
        if completed is None or device is None:
            return _NO_DEVICE
        count, due = completed
        self._completed(op.in_, device, count)
        return count, int(due), 0, 0, self._words(op.in_, device)

    def _set_flags(self, op: Op) -> _Outcome:
        if not self.device.set_flags(op.in_, op.a):
            return _NO_DEVICE
        return 0, 0, 0, 0, self._words(op.in_, self.device.queue(op.in_))

    def _set_avail_event(self, op: Op) -> _Outcome:
        if not self.device.set_avail_event(op.in_, op.a, relative=bool(op.flags & _RELATIVE)):
            return _NO_DEVICE
        return 0, 0, 0, 0, self._words(op.in_, self.device.queue(op.in_))

    def _raise(self, op: Op) -> _Outcome:
        self.registers.raise_interrupt(op.a)
        return _NOTHING

    # -- helping them --------------------------------------------------------------------------------------

    def _words(self, queue: int, device: Device | None) -> _Words:
        if device is None:
            return _NO_WORDS
        queues = self.info.virtqueues if self.info is not None else ()
        num_free = queues[queue].num_free & _U32 if queue < len(queues) else 0
        return (*device.words(), num_free)

    def _call(self, op: Op, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the driver; what its code raises but a refusal to probe is its fault."""
        try:
            return function(*args, **kwargs)
        except (Violation, self._package.ProbeError):
            raise
        except Exception as fault:
            slug = "driver-runs"
            if isinstance(fault, self._package.ArenaError):
                slug = "no-leak-no-double-allocation"
            elif isinstance(fault, self._package.LinkLoopError):
                slug = "chain-well-formed"
            name = NetCode(op.code).name
            raise Violation(slug, f"the driver failed in {name}: {type(fault).__name__}: {fault}") from fault

    def _expect_released(self, expected: set[int], when: str) -> None:
        left = sorted(set(self.arena.live) - expected)
        if left:
            raise Violation(
                "no-leak-no-double-allocation",
                f"{len(left)} blocks, the first at address {left[0]:#x}, were not released by {when}",
            )

    def _skb(self, placed: PlacedFrame, token: int) -> Any:
        frame = placed.frame
        head, frags, frag_list = self._data(placed.packet)
        return self._package.SkBuff(
            head,
            frags,
            frag_list,
            control=placed.control,
            checksum=frame.checksum,
            csum_start=frame.csum_start,
            csum_offset=frame.csum_offset,
            gso=int(frame.gso),
            gso_size=frame.gso_size,
            ecn=frame.ecn,
            recorded_queue=frame.recorded_queue,
            cpu=frame.cpu,
            token=token,
        )

    def _data(self, packet: PlacedPacket) -> tuple[tuple[int, int], list[Any], list[Any]]:
        package = self._package
        frags = [package.Frag(each.page, each.offset, each.length) for each in packet.fragments]
        frag_list = [package.SkBuff(*self._data(following)) for following in packet.packets]
        return (packet.head, packet.head_length), frags, frag_list


_HANDLERS: dict[int, Callable[[NetRunner, Op], _Outcome]] = {
    NetCode.PROBE: NetRunner._probe,
    NetCode.REMOVE: NetRunner._remove,
    NetCode.SET_PAIRS: NetRunner._set_pairs,
    NetCode.XMIT: NetRunner._xmit,
    NetCode.INTERRUPT: NetRunner._interrupt,
    NetCode.NET_READ: NetRunner._read,
    NetCode.NET_COMPLETE: NetRunner._complete,
    NetCode.NET_SET_FLAGS: NetRunner._set_flags,
    NetCode.NET_SET_AVAIL_EVENT: NetRunner._set_avail_event,
    NetCode.RAISE: NetRunner._raise,
}
