"""A worker process, whichever kind of driver runs in it: started, told what to do, waited for, ended.

The other side is ``impl/harness/process.c``; commands and answers are one byte on a pipe each.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from ..impl.harness.net_operations import NetResult
from ..traces.folding import printable
from .library import LibraryError, LibraryInfo
from .sanitizer import in_one_line
from .shared import SharedFile

HeaderType = TypeVar("HeaderType", bound=ctypes.Structure)

ANSWERED_CALLS = tuple(
    f"-Wl,--export-dynamic-symbol={name}" for name in ("__tsan_*", "__wrap_mem*", "__sanitizer_cov_*")
)
"""Flags that link a worker's program so that the calls in instrumented drivers find it.

Nothing else of the program is exported: a driver may have functions of the same names.
"""


_ASAN_OPTIONS = "abort_on_error=1:detect_leaks=0:allocator_may_return_null=1"
_REPORT_BYTES = 1 << 16  # of output in which a sanitizer's report is looked for


class WorkerError(Exception):
    """The worker could not do what it was told, through no fault of the driver; one line says why."""


class DriverStopped(Exception):  # noqa: N818 - a verdict about a driver
    """The driver did not come back; the worker process is gone.

    ``during`` says from what: "load", "create", "operation", "destroy", "idle". In an operation ``op_index``
    is its place among those of this run and ``operation`` its number since create, else both are -1;
    ``results`` are those of the operations before it, packed. ``output`` is the end of what the driver
    printed, and ``report`` what a sanitizer reported in it, in one line, "" when none did. ``net_results``
    are the results before it of a network driver's run.
    """

    report: str = ""
    net_results: tuple[NetResult, ...] = ()

    def __init__(
        self, what: str, during: str, op_index: int, operation: int, results: bytes, output: str
    ) -> None:
        # Steps count from 1, as in every trace.
        place = f"in step {operation + 1}" if op_index >= 0 else f"in {during}"
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


class WorkerProcess(Generic[HeaderType]):
    """A process with a driver's library loaded, and the memory it shares with the tool.

    A context manager; leaving it ends the process. After a :class:`DriverStopped` the process is gone until
    :meth:`restart`.
    """

    commands: ClassVar[dict[int, str]]
    """What the driver is doing while a command is under way, by the command's byte."""

    def __init__(
        self,
        library: LibraryInfo,
        program: Path,
        shared: SharedFile[HeaderType],
        *,
        timeout: float,
        memory_limit: int,
    ) -> None:
        """Load the driver. ``timeout`` is in seconds for each command; ``memory_limit`` in bytes, 0 for none.

        Owns ``shared`` from here on. Raises LibraryError.
        """
        self.library = library
        self.timeout = timeout
        # AddressSanitizer reserves more addresses than any limit allows; it counts what is used by itself.
        self.memory_limit = 0 if library.sanitizer else memory_limit
        self._resident = memory_limit if library.sanitizer else 0
        self._program = program
        self._file = shared
        self._process: subprocess.Popen[bytes] | None = None
        self._commands = self._answers = self._pidfd = -1
        self._output = os.memfd_create("ringproof-output", os.MFD_CLOEXEC)
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

    @property
    def message(self) -> str:
        """Why the last command was not done; one line."""
        return self._file.message()

    def output(self, most: int = 4000) -> str:
        """Return the end of what the driver has printed, ``most`` bytes of it."""
        size = os.fstat(self._output).st_size
        return os.pread(self._output, most, max(0, size - most)).decode("utf-8", "replace")

    def restart(self) -> None:
        """End the process, whatever it is doing, and start another. No queue or device is left."""
        self._stop()
        self._start()

    def close(self) -> None:
        """End the process and give the memory back. Views handed out keep their part of it alive."""
        if self._process is not None:
            self._stop()  # nothing it could still do is of use: no need to ask it kindly
        if self._output >= 0:
            os.close(self._output)
            self._output = -1
        self._file.close()

    def _start(self) -> None:
        """Start the process and wait until the library is loaded. Raises LibraryError."""
        self._file.reset()
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
                        for number in (self._file.file, command_end, answer_end, self.memory_limit)
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(self._file.file, command_end, answer_end),
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

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        runtime = self.library.sanitizer
        if runtime is not None:
            # It insists on being there first; leaks are counted by the harness itself.
            environment["LD_PRELOAD"] = runtime
            environment["ASAN_OPTIONS"] = _ASAN_OPTIONS + (
                f":hard_rss_limit_mb={self._resident >> 20}" if self._resident else ""
            )
        environment["UBSAN_OPTIONS"] = "abort_on_error=1"
        return environment

    def _command(self, command: bytes, timeout: float) -> bytes:
        """Give a command and return the answer. Raises WorkerError when there is no process; Crash, Hang."""
        if self._process is None:
            raise WorkerError("the worker is not running; its driver has stopped it")
        self._file.header.command = command[0]
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
            if answer == b"n":
                self._consulted()
                with contextlib.suppress(BrokenPipeError):
                    os.write(self._commands, b"n")
                continue
            if answer in (b"k", b"f", b"e"):
                return answer
            if ready:
                raise self._crashed()
            if left <= 0:
                raise self._hung(timeout)

    def _consulted(self) -> None:
        """Act while a command waits in the middle: only a worker that asks for it needs more than this."""

    def _where(self) -> tuple[str, int, int, bytes]:
        """Say from what the driver did not come back: a name, two numbers and the results before it."""
        during = self.commands.get(self._file.header.command, "idle")
        if self._file.header.command != ord("R"):
            return during, -1, -1, b""
        header = self._file.header
        return "operation", header.op_current, header.total_ops, self._file.results()

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
                what += f" at address {self._file.header.fault_address:#x}"
            what += ")"
        else:
            what = f"ended the process (exit status {code})"
        crash = Crash(what, *where, self.output())
        crash.report = printable(in_one_line(self.output(_REPORT_BYTES)))
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
