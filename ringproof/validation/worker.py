"""The worker process: one driver under test in a process of its own, driven through shared memory.

The other side is ``impl/harness/worker.c``; the memory between them is laid out by ``protocol.h``.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from ..building import build_program, c_sources
from ..impl.harness.operations import OP, RESULT, Code
from .library import LibraryError, inspect_library
from .shared import OP_CAPACITY, Finding, SharedMemory
from .verdicts import FindingCode

__all__ = [
    "ConfigLike",
    "Crash",
    "DriverStopped",
    "Finding",
    "Hang",
    "Worker",
    "WorkerError",
    "worker_program",
]

_LAYOUTS = {"legacy": 0, "modern": 1}
_COMMANDS = {ord("L"): "load", ord("C"): "create", ord("R"): "operation", ord("D"): "destroy"}


class ConfigLike(Protocol):
    """A queue to create: what ``QueueConfig`` of the reference's runner has."""

    @property
    def queue_size(self) -> int:
        """A power of two, 1 to 32768."""

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


class _Impossible(NamedTuple):
    """A queue that QueueConfig would not describe."""

    queue_size: int
    features: int = 0
    layout: str = "legacy"
    has_callback: bool = True
    queue_index: int = 0


class WorkerError(Exception):
    """The worker could not do what it was told, through no fault of the driver; one line says why."""


class DriverStopped(Exception):  # noqa: N818 - a verdict about a driver
    """The driver did not come back; the worker process is gone.

    ``during`` says from what: "load", "create", "operation", "destroy", "idle". In an operation ``op_index``
    is its place among those of this run and ``operation`` its number since create, else both are -1;
    ``results`` are those of the operations before it. ``output`` is the end of what the driver printed.
    """

    def __init__(
        self, what: str, during: str, op_index: int, operation: int, results: bytes, output: str
    ) -> None:
        place = f"in {during} {operation}" if op_index >= 0 else f"in {during}"
        super().__init__(f"the driver {what} {place}")
        self.during = during
        self.op_index = op_index
        self.operation = operation
        self.results = results
        self.output = output


class Crash(DriverStopped):
    """It ended the process: by ``signal`` (its number), or by exiting with ``status``; the other is None."""

    signal: int | None = None
    status: int | None = None


class Hang(DriverStopped):
    """It was given ``seconds`` and killed."""

    seconds: float = 0.0


@cache
def worker_program() -> Path:
    """Build the worker program, or take it from the cache. Raises BuildError."""
    harness = Path(str(files("ringproof.impl.harness")))
    device = Path(str(files("ringproof.impl.device")))
    return build_program(
        sorted([*harness.glob("*.c"), *device.glob("*.c")]),
        include=(harness, device, c_sources()),
        extra_flags=("-Wl,--no-as-needed", "-ldl"),
    )


class Worker:
    """A process with the driver in ``library`` loaded, and at most one queue at a time.

    A context manager; leaving it ends the process. After a :class:`DriverStopped` the process is gone: the
    next :meth:`create`, or :meth:`restart`, starts another, in a few milliseconds.
    """

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
        self.library = inspect_library(library)
        self.timeout = timeout
        self.memory_limit = 0 if self.library.sanitizer else memory_limit
        self.stop_on_finding = stop_on_finding
        self._program = worker_program()
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._commands = self._answers = self._pidfd = -1
        self._output = os.memfd_create("ringproof-output", os.MFD_CLOEXEC)
        self._shared = SharedMemory()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process's id, -1 when there is none; its process group holds whatever the driver starts."""
        return self._process.pid if self._process is not None else -1

    # What the driver says of itself

    @property
    def name(self) -> str:
        """The driver's name."""
        return bytes(self._shared.header.driver_name).decode("utf-8", "replace")

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
        size = config.queue_size
        if not 1 <= size <= 32768 or size & (size - 1):
            raise ValueError(f"queue size {size} is not a power of two from 1 to 32768")
        if not 0 <= config.queue_index <= 0xFFFF:
            raise ValueError(f"queue index {config.queue_index} is not from 0 to 65535")
        if config.layout not in _LAYOUTS:
            raise ValueError(f"layout {config.layout!r} is neither of {', '.join(_LAYOUTS)}")
        missing = config.features & ~self.features
        if missing:
            raise ValueError(f"the driver does not offer the feature bits {missing:#x}")
        if self._ask_for(config):
            return True
        if any(finding.failed for finding in self.findings()):
            return False
        raise WorkerError(self.message)

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
    def message(self) -> str:
        """Why the last command was not done; one line."""
        return self._shared.message()

    @property
    def operations(self) -> int:
        """Operations run since create."""
        return int(self._shared.header.total_ops)

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

    def output(self) -> str:
        """Return the end of what the driver has printed, 4000 characters at most."""
        size = os.fstat(self._output).st_size
        return os.pread(self._output, 4000, max(0, size - 4000)).decode("utf-8", "replace")

    # The process

    def restart(self) -> None:
        """End the process, whatever it is doing, and start another. There is no queue afterwards."""
        self._stop()
        self._start()

    def close(self) -> None:
        """End the process and give the memory back. Views handed out keep their part of it alive."""
        if self._process is not None:
            self._stop()  # nothing it could still do is of use: no need to ask it kindly
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        self._shared.close()

    def _start(self) -> None:
        """Start the process and wait until the library is loaded. Raises LibraryError."""
        self._shared.reset()
        os.truncate(self._output, 0)
        os.lseek(self._output, 0, os.SEEK_SET)
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    self._program,
                    self.library.path,
                    *(
                        str(number)
                        for number in (self._shared.file, command_end, answer_end, self.memory_limit)
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(self._shared.file, command_end, answer_end),
                env=self._environment(),
                start_new_session=True,  # an interrupt from the terminal is the tool's affair
            )
        finally:
            os.close(command_end)
            os.close(answer_end)
        self._pidfd = os.pidfd_open(self._process.pid)
        try:
            answer = self._wait(self.timeout)
        except DriverStopped as stopped:
            raise LibraryError(f"{self.library.path}: {stopped}") from None
        if answer == b"e":
            said = self.message.removeprefix(f"{self.library.path}: ")
            self._stop()
            raise LibraryError(f"{self.library.path}: {said}")

    def _describe(self, config: ConfigLike) -> None:
        ours = self._shared.header.config
        ours.features = config.features
        ours.queue_size = config.queue_size
        ours.queue_index = config.queue_index
        ours.layout = _LAYOUTS[config.layout]
        ours.has_callback = int(config.has_callback)

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        runtime = self.library.sanitizer
        if runtime is not None:
            # It insists on being there first; leaks are counted by the harness itself.
            environment["LD_PRELOAD"] = runtime
            environment["ASAN_OPTIONS"] = "abort_on_error=1:detect_leaks=0:allocator_may_return_null=1"
        return environment

    def _run(self, ops: bytes, timeout: float) -> bytes:
        self._shared.put_operations(ops)
        answer = self._command(b"R", timeout)
        if answer == b"e":
            raise WorkerError(self.message)
        self._stopped = answer == b"f" and self.stop_on_finding
        return self._shared.results()

    def _command(self, command: bytes, timeout: float) -> bytes:
        if self._process is None:
            raise WorkerError("the worker is not running; its driver has stopped it")
        self._shared.header.config.stop_on_finding = int(self.stop_on_finding)
        self._shared.header.command = command[0]
        with contextlib.suppress(BrokenPipeError):  # then it is gone, which _wait finds out
            os.write(self._commands, command)
        return self._wait(timeout)

    def _wait(self, timeout: float) -> bytes:
        """Wait for the answer to a command; ends the process and raises when there is none."""
        poller = select.poll()
        poller.register(self._answers, select.POLLIN)
        poller.register(self._pidfd, select.POLLIN)
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            ready = dict(poller.poll(max(0.0, left * 1000)))
            answer = os.read(self._answers, 1) if ready.get(self._answers, 0) & select.POLLIN else b""
            if answer in (b"k", b"f", b"e"):
                return answer
            if ready:
                raise self._crashed()
            if left <= 0:
                raise self._hung(timeout)

    def _where(self) -> tuple[str, int, int, bytes]:
        """Say from what the driver did not come back: a name, two numbers and the results before it."""
        during = _COMMANDS.get(self._shared.header.command, "idle")
        if self._shared.header.command != ord("R"):
            return during, -1, -1, b""
        header = self._shared.header
        return "operation", header.op_current, header.total_ops, self._shared.results()

    def _crashed(self) -> Crash:
        where = self._where()
        # It ends by itself; only one that closed its end of the pipe has to be made to.
        ended = select.poll()
        ended.register(self._pidfd, select.POLLIN)
        ended.poll(500)
        code = self._stop()
        if code < 0:
            what = f"crashed ({_signal_name(-code)}"
            if -code in (signal.SIGSEGV, signal.SIGBUS):
                what += f" at address {self._shared.header.fault_address:#x}"
            what += ")"
        else:
            what = f"ended the process (exit status {code})"
        crash = Crash(what, *where, self.output())
        crash.signal, crash.status = (-code, None) if code < 0 else (None, code)
        return crash

    def _hung(self, seconds: float) -> Hang:
        where = self._where()
        self._stop()
        hang = Hang(f"did not come back within {seconds:g} s", *where, self.output())
        hang.seconds = seconds
        return hang

    def _stop(self) -> int:
        """End the process with all it started, and wait for it; returns its code as subprocess does."""
        process, self._process = self._process, None
        if process is not None:
            # Not waited for yet, so its number, which is its group's too, belongs to nobody else.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for descriptor in (self._commands, self._answers, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._commands = self._answers = self._pidfd = -1
        return process.returncode if process is not None else 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
