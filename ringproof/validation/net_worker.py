"""The worker process of a whole network driver, with the same operations as the reference's runner.

The other side is ``impl/harness/net/net_worker.c``; the memory between them is laid out by
``net_protocol.h``. The driver, its registers, the control queue and the stack are over there; the device's
operations are done here, by the same :class:`NetDevice` that serves the reference, over the same memory.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from ..building import build_program, c_sources
from ..impl.device.device import Device, Violation
from ..impl.harness.frames import FRAME_ADDRESS, FRAME_BYTES, Frame, FrameMemory, PlacedFrame
from ..impl.harness.net_operations import (
    ENODEV,
    Access,
    Capture,
    Event,
    NetCode,
    NetConfig,
    NetResult,
    Op,
    Statistics,
)
from ..impl.harness.operations import ARENA_ADDRESS, ARENA_BYTES, OpFlag
from ..impl.harness.reference_runner import OperationError
from .library import NET_ENTRY, inspect_library
from .net_device import SharedDevice, SharedRegisters
from .net_findings import NetFinding, NetFindingCode
from .net_shared import (
    NO_HEAD,
    OP_CAPACITY,
    RESULT,
    Lies,
    NetHeader,
    NetSharedMemory,
)
from .shared import Finding
from .worker_process import ANSWERED_CALLS, Crash, DriverStopped, Hang, WorkerError, WorkerProcess

__all__ = [
    "Crash",
    "DriverStopped",
    "Hang",
    "NetWorker",
    "OperationError",
    "Violation",
    "WorkerError",
    "net_worker_program",
]

_TRANSPORT_BITS = {"legacy": 1 << 0, "modern": 1 << 1}
_CODES = frozenset(int(code) for code in NetCode)
_RELATIVE = int(OpFlag.RELATIVE)
_NO_WORDS = (0, 0, 0, 0, 0)


@cache
def net_worker_program() -> Path:
    """Build the program of workers for network drivers, or take it from the cache. Raises BuildError."""
    harness = Path(str(files("ringproof.impl.harness")))
    shared = [harness / name for name in ("accesses.c", "arena.c", "coverage.c", "private.c", "process.c")]
    return build_program(
        [*sorted((harness / "net").glob("*.c")), *shared],
        include=(harness / "net", harness, c_sources()),
        extra_flags=("-Wl,--no-as-needed", "-ldl", *ANSWERED_CALLS),
    )


class NetWorker(WorkerProcess[NetHeader]):
    """A process with a network driver loaded, a device for it, and the operations on both.

    A context manager; leaving it ends the process. ``device`` may be looked into, ``placed`` are the frames
    in memory. ``captures``, ``accesses`` and ``events`` hold all there were since create; who has read them
    may empty them. After a :class:`DriverStopped` the process is gone, but its memory can be looked at;
    :meth:`restart` begins anew with the same device and frames.
    """

    commands: ClassVar = {ord("L"): "load", ord("C"): "create", ord("F"): "frames", ord("R"): "operation"}

    def __init__(
        self,
        library: Path,
        config: NetConfig,
        frames: Sequence[Frame] = (),
        *,
        timeout: float = 10.0,
        memory_limit: int = 1 << 30,
        stop_on_finding: bool = True,
        lies: Lies | None = None,
    ) -> None:
        """Load the driver and lay the frames out; the driver has not seen the device yet.

        ``timeout`` is in seconds for each command, ``memory_limit`` in bytes, 0 for none. With
        ``stop_on_finding`` a run ends after the first operation with a finding. A device with ``lies`` breaks
        the rules, and goes on doing so until they are replaced at the next begin. Raises LibraryError,
        BuildError; ValueError, one line, for a transport that the driver does not know; OutOfRoom.
        """
        self.stop_on_finding = stop_on_finding
        self.lies = lies
        self.placed: list[PlacedFrame] = []
        self.accesses: list[Access] = []
        self.events: list[Event] = []
        info, program = inspect_library(library, NET_ENTRY), net_worker_program()
        self._shared = NetSharedMemory()
        super().__init__(info, program, self._shared, timeout=timeout, memory_limit=memory_limit)
        try:
            self.begin(config, frames)
        except BaseException:
            self.close()
            raise

    # What the driver says of itself

    @property
    def name(self) -> str:
        """The driver's name."""
        return self._shared.driver_name()

    @property
    def features(self) -> int:
        """Feature bits it understands, as masks."""
        return int(self._shared.header.driver_features)

    @property
    def traits(self) -> int:
        """Its RP_NET_TRAIT bits."""
        return int(self._shared.header.driver_traits)

    @property
    def transports(self) -> tuple[str, ...]:
        """The transports it knows."""
        bits = int(self._shared.header.driver_transports)
        return tuple(name for name, bit in _TRANSPORT_BITS.items() if bits & bit)

    # Running

    def step(self, op: Op) -> NetResult:
        """Run one operation. Raises as :meth:`run`."""
        return self.run([op])[0]

    def run(self, ops: Sequence[Op]) -> list[NetResult]:
        """Run operations in order; those of the driver that follow one another cross over at once.

        Fewer results than operations mean that a finding stopped the run after the last of them. Raises
        Violation, with ``operation`` counted from 0 since create, for what the device finds;
        OperationError as the reference's runner does, after the operations before; Crash, Hang.
        """
        done: list[NetResult] = []
        while len(done) < len(ops):
            code = ops[len(done)].code
            if code not in _CODES:
                raise OperationError(f"operation {self.operations}: there is no operation with code {code}")
            if code >= NetCode.NET_READ:
                done.append(self._step_device(ops[len(done)]))
                if self._found and self.stop_on_finding:
                    break
                continue
            end = begin = len(done)
            while end < min(len(ops), begin + OP_CAPACITY) and ops[end].code < NetCode.NET_READ:
                if _is_quick(ops[end]) and end > begin:
                    break
                end += 1
                if _is_quick(ops[end - 1]):
                    break
            try:
                stopped = self._drive(ops[begin:end], done)
            except DriverStopped as gone:
                gone.op_index += begin if gone.op_index >= 0 else 0
                raise
            if stopped or (self._found and self.stop_on_finding):
                break
        return done

    @property
    def operations(self) -> int:
        """Operations run since create."""
        return int(self._shared.header.total_ops)

    def frames(self, frames: Sequence[Frame]) -> None:
        """Lay out other frames in place of those there are; frame numbers count from 0 again.

        Raises OperationError while a frame is with the driver, OutOfRoom when they do not fit.
        """
        header = self._shared.header
        if header.in_flight or header.lost:
            raise OperationError(
                f"{header.in_flight + header.lost} frames are with the driver, so they cannot be replaced"
            )
        self.placed = []
        memory = FrameMemory(self.window())
        self.placed = memory.place(frames)
        self._shared.put_frames(self.placed, memory.used)
        self._told(b"F")
        self._heads.clear()

    # Looking. Views are without copying, and stay valid until close.

    @property
    def captures(self) -> list[Capture]:
        """The chains the device read from transmit queues, in the order it read them."""
        return self.device.captures

    def statistics(self, pair: int) -> Statistics:
        """Return what the driver counts for a transmit queue. Raises OperationError if there is none."""
        header = self._shared.header
        if not header.probed or not 0 <= pair < header.pairs:
            raise OperationError(f"there is no transmit queue {pair}")
        counts = header.statistics[pair]
        return Statistics(
            counts.tx_packets, counts.tx_bytes, counts.tx_fifo_errors, counts.tx_dropped, counts.num_free
        )

    def ring_bytes(self, queue: int) -> tuple[memoryview, memoryview, memoryview]:
        """Return descriptor table, available ring and used ring of a virtqueue, event words included.

        Raises OperationError if it is not set up, or not in memory.
        """
        where = self.registers.placement(queue)
        if where is None:
            raise OperationError(f"queue {queue} is not set up")
        size = where.queue_size
        return (
            self._arena(queue, where.desc, 16 * size),
            self._arena(queue, where.avail, 6 + 2 * size),
            self._arena(queue, where.used, 6 + 8 * size),
        )

    def window(self) -> memoryview:
        """Return the window in which frames and their headers lie; its first byte is at FRAME_ADDRESS."""
        return self._shared.part("window_offset", FRAME_BYTES)

    def arena_bytes(self) -> memoryview:
        """Return what the driver's allocator ever handed out; its first byte is at ARENA_ADDRESS."""
        return self._shared.part("arena_offset", min(self._shared.header.arena_used, ARENA_BYTES))

    def findings(self) -> list[NetFinding]:
        """Return every check that failed since create, in the order of the codes."""
        return [
            NetFinding(NetFindingCode(each.code), each.failed, each.first_op, each.a, each.b)
            for each in self._shared.findings()
            if each.failed
        ]

    def checks(self) -> list[Finding]:
        """Return every check that was made since create, with how often; passed ones too."""
        return self._shared.findings()

    def close(self) -> None:
        """End the process and give the memory back, as soon as no view of it is left."""
        if hasattr(self, "device"):
            self.device.let_go()
        super().close()

    def restart(self) -> None:
        """End the process, whatever it is doing, and begin anew: the same device and frames."""
        frames = [each.frame for each in self.placed]
        super().restart()
        self.begin(self.config, frames)

    def begin(self, config: NetConfig, frames: Sequence[Frame] = ()) -> None:
        """Begin anew with another device and other frames; all that was counted and logged is forgotten.

        The process stays as it is when there is no driver on the device; the driver's static memory, too.
        Raises ValueError, one line, for a transport that the driver does not know; OutOfRoom.
        """
        if self._process is None or self._shared.header.probed:
            super().restart()
        if not self._shared.header.driver_transports & _TRANSPORT_BITS[config.transport]:
            raise ValueError(f"{self.library.path}: the driver does not know {config.transport} devices")
        self.config = config
        self._create()
        self.frames(frames)

    # The driver's operations

    def _create(self) -> None:
        self._shared.describe(self.config, self.stop_on_finding, self.lies)
        self._shared.put_frames((), 0)
        self._told(b"C")
        self.registers = SharedRegisters(self._shared, self.config)
        self.device = SharedDevice(
            [(FRAME_ADDRESS, self.window()), (ARENA_ADDRESS, self._shared.part("arena_offset", ARENA_BYTES))],
            self.registers,
            self._judge,
        )
        self._found = False
        self._heads: dict[tuple[int, int], int] = {}
        self.accesses.clear()
        self.events.clear()

    def _judge(self, code: NetFindingCode, holds: bool, a: int, b: int) -> None:
        """Count a check that is made on this side, as the worker counts its own."""
        header = self._shared.header
        found = header.found[code]
        found.checked = min(found.checked + 1, 0xFFFF_FFFF)
        if holds:
            return
        if not found.count:
            found.first_op, found.a, found.b = min(header.total_ops, 0xFFFF_FFFF), a, b
        found.count = min(found.count + 1, 0xFFFF_FFFF)
        self._found = True

    def _told(self, command: bytes) -> None:
        if self._command(command, self.timeout) == b"e":
            raise WorkerError(self.message)

    def _drive(self, ops: Sequence[Op], done: list[NetResult]) -> bool:
        """Have the driver do operations, adding results to ``done``; whether a finding stopped the run.

        What was done before a driver stopped, or before an operation that cannot be asked, is added, too.
        """
        shared = self._shared
        shared.header.config.stop_on_finding = int(self.stop_on_finding)
        shared.put_operations(b"".join([op.pack() for op in ops]))
        self._quick = ops[0] if _is_quick(ops[0]) else None
        self._quick_due = False
        self._violations: list[Violation] = []
        try:
            answer = self._command(b"R", self.timeout)
        except DriverStopped as stopped:
            self._collect(ops, done)
            stopped.net_results = tuple(done)
            raise
        count = self._collect(ops, done)
        for violation in self._violations:
            violation.operation = self.operations - 1
            raise violation
        if answer == b"e":
            raise OperationError(f"operation {self.operations}: {self.message}")
        if answer == b"f" and self.stop_on_finding:
            return True
        if not count:
            raise WorkerError("the worker has no room for what an operation may do")
        return False

    def _collect(self, ops: Sequence[Op], done: list[NetResult]) -> int:
        """Add what the worker did in its last run to ``done``, ``accesses`` and ``events``; how many ops."""
        accesses, events = self._shared.accesses(), self._shared.events()
        self.accesses += accesses
        self.events += events
        access_at = event_at = count = 0
        for status, pair, avail, used, flags, event, free, access_end, event_end, head in RESULT.iter_unpack(
            self._shared.results()
        ):
            done.append(
                NetResult(
                    status,
                    int(self._quick_due),
                    pair,
                    0,
                    avail,
                    used,
                    flags,
                    event,
                    free,
                    tuple(accesses[access_at:access_end]),
                    tuple(events[event_at:event_end]),
                )
            )
            if head != NO_HEAD and not (_is_quick(ops[count]) and self._quick is None):
                self._heads[2 * pair + 1, head] = ops[count].a
            access_at, event_at = access_end, event_end
            count += 1
        return count

    def _consulted(self) -> None:
        """The driver has notified its queue, and the device is to be quick."""
        op, self._quick = self._quick, None
        if op is None:
            return
        result = RESULT.unpack(self._shared.result(0))
        pair, head = result[1], result[-1]
        queue = 2 * pair + 1
        if head != NO_HEAD:
            self._heads[queue, head] = op.a
        try:
            side = self.device.queue(queue)
            if side is not None:
                self.device.read(queue, 0)
                count, self._quick_due = self.device.complete(queue, 0, 0, op.b) or (0, False)
                self._completed(queue, side, count)
        except Violation as violation:
            self._violations.append(violation)

    # The device's operations

    def _step_device(self, op: Op) -> NetResult:
        try:
            result = self._do_device(op)
        except Violation as violation:
            violation.operation = self.operations
            raise
        self._shared.header.total_ops += 1
        return result

    def _do_device(self, op: Op) -> NetResult:
        device, queue = self.device, op.in_
        if op.code == NetCode.RAISE:
            self.registers.raise_interrupt(op.a)
            return NetResult(0)
        side = device.queue(queue)
        if side is None:
            return NetResult(ENODEV)
        status = length = crc = 0
        if op.code == NetCode.NET_READ:
            status, crc = device.read(queue, op.a) or (0, 0)
        elif op.code == NetCode.NET_COMPLETE:
            status, due = device.complete(queue, op.a, op.b, op.c) or (0, False)
            length = int(due)
            self._completed(queue, side, status)
        elif op.code == NetCode.NET_SET_FLAGS:
            device.set_flags(queue, op.a)
        else:
            device.set_avail_event(queue, op.a, relative=bool(op.flags & _RELATIVE))
        return NetResult(status, length, 0, crc, *side.words(), self._num_free(queue, side))

    def _completed(self, queue: int, side: Device, count: int) -> None:
        """Note whose frames the device is done with."""
        owners = self._shared.part("owner_offset", 4 * len(self.placed)).cast("I")
        for i in range(side.used_idx - count, side.used_idx):
            number = self._heads.pop((queue, side.completed(i)), -1)
            if 0 <= number < len(owners):
                owners[number] = 0

    def _num_free(self, queue: int, side: Device) -> int:
        """What the driver counts for a transmit queue; of others it tells nothing, and they are idle."""
        header = self._shared.header
        if not header.probed or queue > 2 * header.pairs:
            return 0
        if queue & 1:
            return int(header.statistics[queue // 2].num_free)
        return side.queue_size

    def _arena(self, queue: int, address: int, length: int) -> memoryview:
        offset = address - ARENA_ADDRESS
        if not 0 <= offset <= ARENA_BYTES - length:
            raise OperationError(f"queue {queue} is set up at address {address:#x}, where there is no memory")
        return self._shared.part("arena_offset", ARENA_BYTES)[offset : offset + length]


def _is_quick(op: Op) -> bool:
    """Whether the device acts in the middle of an operation."""
    return op.code == NetCode.XMIT and op.b != 0
