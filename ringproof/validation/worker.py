"""The worker process: one driver under test in a process of its own, driven through shared memory.

The other side is ``impl/harness/worker.c``; the memory between them is laid out by ``protocol.h``.
"""

from enum import IntFlag
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

from ..building import build_program, c_sources
from ..impl.harness.operations import OP, RESULT, Code
from .library import inspect_library
from .ordering import own_fences
from .shared import OP_CAPACITY, Finding, Header, SharedMemory
from .verdicts import FindingCode
from .worker_process import ANSWERED_CALLS, Crash, DriverStopped, Hang, WorkerError, WorkerProcess

__all__ = [
    "ConfigLike",
    "Crash",
    "DriverStopped",
    "Finding",
    "Hang",
    "Instrumented",
    "Worker",
    "WorkerError",
    "worker_program",
]

_LAYOUTS = {"legacy": 0, "modern": 1}
_ANY_QUEUE_SIZE = 1 << 5


class Creation(NamedTuple):
    """What came of a queue in whose create an allocation was to fail.

    ``made``: there is a queue. ``struck``: that allocation was asked for, and failed; otherwise create makes
    fewer. Not made, though struck, and no finding: create failed as it had to.
    """

    made: bool
    struck: bool


class ConfigLike(Protocol):
    """A queue to create: what ``QueueConfig`` of the reference's runner has."""

    @property
    def queue_size(self) -> int:
        """1 to 32768; a power of two unless the driver declares RP_TRAIT_ANY_QUEUE_SIZE."""

    @property
    def features(self) -> int:
        """Negotiated feature bits, as masks."""

    @property
    def layout(self) -> str:
        """``legacy`` or ``modern``."""

    @property
    def has_callback(self) -> bool:
        """Whether the queue has a callback."""

    @property
    def queue_index(self) -> int:
        """What a kick must name, 0 to 65535."""

    @property
    def fail_allocation(self) -> int:
        """Which allocation of create fails, from 1; 0 for none."""

    @property
    def hostile(self) -> bool:
        """Whether the device may break the rules."""


class Instrumented(IntFlag):
    """What ``rp_shared.instrumented`` can say."""

    COVERAGE = 1
    ACCESSES = 2


class _Impossible(NamedTuple):
    """A queue that QueueConfig would not describe."""

    queue_size: int
    features: int = 0
    layout: str = "legacy"
    has_callback: bool = True
    queue_index: int = 0
    fail_allocation: int = 0
    hostile: bool = False


@cache
def worker_program() -> Path:
    """Build the worker program, or take it from the cache. Raises BuildError."""
    harness = Path(str(files("ringproof.impl.harness")))
    device = Path(str(files("ringproof.impl.device")))
    return build_program(
        sorted([*harness.glob("*.c"), *device.glob("*.c")]),
        include=(harness, device, c_sources()),
        extra_flags=("-Wl,--no-as-needed", "-ldl", *ANSWERED_CALLS),
    )


class Worker(WorkerProcess[Header]):
    """A process with the driver in ``library`` loaded, and at most one queue at a time.

    A context manager; leaving it ends the process. After a :class:`DriverStopped` the process is gone: the
    next :meth:`create`, or :meth:`restart`, starts another, in a few milliseconds.
    """

    commands: ClassVar = {ord("L"): "load", ord("C"): "create", ord("R"): "operation", ord("D"): "destroy"}

    def __init__(
        self,
        library: Path,
        *,
        timeout: float = 10.0,
        memory_limit: int = 1 << 30,
        stop_on_finding: bool = True,
    ) -> None:
        """Load the driver. ``timeout`` is in seconds for each command; ``memory_limit`` in bytes, 0 for none.

        With ``stop_on_finding`` a run ends after the first operation with a finding that is more than a
        warning. Raises LibraryError, BuildError.
        """
        self.stop_on_finding = stop_on_finding
        self._stopped = False
        self._places: dict[int, None] = {}
        self._places_told = 0
        info, program = inspect_library(library), worker_program()
        self._shared = SharedMemory()
        super().__init__(info, program, self._shared, timeout=timeout, memory_limit=memory_limit)

    # What the driver says of itself

    @property
    def name(self) -> str:
        """The driver's name."""
        return self._shared.driver_name()

    @property
    def features(self) -> int:
        """Feature bits it can negotiate, as masks."""
        return int(self._shared.header.driver_features)

    @property
    def traits(self) -> int:
        """Its RP_TRAIT bits."""
        return int(self._shared.header.driver_traits)

    @property
    def has(self) -> frozenset[Code]:
        """The operations that can be asked for, those of the device included."""
        bits = int(self._shared.header.driver_has)
        return frozenset(code for code in Code if code < 32 and bits >> code & 1) | {Code.ROUNDS}

    # Commands

    def create(self, config: ConfigLike) -> bool:
        """Create a queue. False when the driver did not, or not rightly: then :meth:`findings` says why.

        Raises ValueError, one line, for a queue that cannot be asked of this driver; Crash, Hang.
        """
        if self._checked(config):
            return True
        if any(finding.failed for finding in self.findings()):
            return False
        raise WorkerError(self.message)

    def _checked(self, config: ConfigLike) -> bool:
        size = config.queue_size
        odd = size & (size - 1) and not self.traits & _ANY_QUEUE_SIZE
        if not 1 <= size <= 32768 or odd:
            raise ValueError(f"queue size {size} is not a power of two from 1 to 32768")
        if not 0 <= config.queue_index <= 0xFFFF:
            raise ValueError(f"queue index {config.queue_index} is not from 0 to 65535")
        if config.layout not in _LAYOUTS:
            raise ValueError(f"layout {config.layout!r} is neither of {', '.join(_LAYOUTS)}")
        missing = config.features & ~self.features
        if missing:
            raise ValueError(f"the driver does not offer the feature bits {missing:#x}")
        return self._ask_for(config)

    def try_create(self, config: ConfigLike) -> Creation:
        """Create a queue, the allocation that ``config.fail_allocation`` names failing.

        Whatever was wrong with it is in :meth:`findings`. Raises as :meth:`create` does.
        """
        made = self._checked(config)
        if not made and not self._shared.header.struck and not any(one.failed for one in self.findings()):
            raise WorkerError(self.message)
        return Creation(made, bool(self._shared.header.struck))

    def refuses(self, queue_size: int) -> bool:
        """Whether create declines a queue of a size that no virtqueue has, such as 0 or 3.

        For use while there is no queue. A ring placed where none can be is no refusal. Raises Crash, Hang.
        """
        if self._ask_for(_Impossible(queue_size)):
            self.destroy()
            return False
        return any(one.code == FindingCode.CREATE_FAILED and one.failed for one in self.findings())

    def _ask_for(self, config: ConfigLike) -> bool:
        """Have the driver create a queue; false when there is none afterwards."""
        if self._process is None:
            self._start()
        self._describe(config)
        return self._command(b"C", self.timeout) != b"e"

    def run(self, ops: bytes, timeout: float | None = None) -> bytes:
        """Run packed operations and return their packed results.

        Fewer results than operations mean that a finding stopped the run after the last of them. Raises
        Crash, Hang; WorkerError when there is no queue; ValueError when ``ops`` is not a whole number of
        operations.
        """
        if len(ops) % OP.size:
            raise ValueError(f"{len(ops)} bytes are not a whole number of operations of {OP.size} bytes")
        pieces: list[bytes] = []
        chunk = OP_CAPACITY * OP.size
        for begin in range(0, len(ops), chunk):
            piece = ops[begin : begin + chunk]
            try:
                pieces.append(self._run(piece, self.timeout if timeout is None else timeout))
            except DriverStopped as stopped:
                if stopped.op_index >= 0:
                    stopped.op_index += begin // OP.size
                stopped.results = b"".join([*pieces, stopped.results])
                raise
            if len(pieces[-1]) // RESULT.size < len(piece) // OP.size or self._stopped:
                break
        return b"".join(pieces)

    def destroy(self) -> None:
        """Destroy the queue; leaks and stray writes become findings. Raises Crash, Hang, WorkerError."""
        if self._command(b"D", self.timeout) == b"e":
            raise WorkerError(self.message)

    def findings(self) -> list[Finding]:
        """Return every check that was made since create, in the order of the codes; passed ones too."""
        return self._shared.findings()

    @property
    def operations(self) -> int:
        """Operations run since create."""
        return int(self._shared.header.total_ops)

    # What an instrumented driver tells

    @property
    def instrumented(self) -> Instrumented:
        """Which calls the compiler put into the driver, as far as it made any since it was started."""
        return Instrumented(self._shared.header.instrumented)

    def coverage(self) -> tuple[int, ...]:
        """Return the places in the driver's code that were reached, by any process of this worker.

        Each is an offset from where the library begins, once, in the order of first being reached; places are
        where its calls of the coverage callbacks return to. Empty when it makes none.
        """
        new = self._shared.places(self._places_told)
        self._places_told += len(new)
        self._places.update(dict.fromkeys(new))
        return tuple(self._places)

    # Memory. Views are without copying, and stay valid until close.

    def desc_view(self) -> memoryview:
        """Return the descriptor table's bytes."""
        return self.arena_view(self._shared.header.desc_address, 16 * self._shared.header.config.queue_size)

    def avail_view(self) -> memoryview:
        """Return the available ring's bytes, used_event included."""
        return self.arena_view(
            self._shared.header.avail_address, 6 + 2 * self._shared.header.config.queue_size
        )

    def used_view(self) -> memoryview:
        """Return the used ring's bytes, avail_event included."""
        return self.arena_view(
            self._shared.header.used_address, 6 + 8 * self._shared.header.config.queue_size
        )

    def arena_view(self, address: int, length: int) -> memoryview:
        """Show ``length`` bytes from a guest-physical address on. Raises ValueError outside the arena."""
        return self._shared.arena_view(address, length)

    # Helping

    def _start(self) -> None:
        self.coverage()
        self._places_told = 0
        super()._start()
        if Instrumented.ACCESSES in self.instrumented:
            self._shared.header.own_fences = int(own_fences(self.library.path) is not None)

    def _describe(self, config: ConfigLike) -> None:
        ours = self._shared.header.config
        ours.features = config.features
        ours.queue_size = config.queue_size
        ours.queue_index = config.queue_index
        ours.layout = _LAYOUTS[config.layout]
        ours.has_callback = int(config.has_callback)
        ours.fail_allocation = config.fail_allocation
        ours.hostile = int(config.hostile)
        ours.stop_on_finding = int(self.stop_on_finding)

    def _run(self, ops: bytes, timeout: float) -> bytes:
        self._shared.header.config.stop_on_finding = int(self.stop_on_finding)
        self._shared.put_operations(ops)
        answer = self._command(b"R", timeout)
        if answer == b"e":
            raise WorkerError(self.message)
        self._stopped = answer == b"f" and self.stop_on_finding
        return self._shared.results()
