"""A front-end that runs: a process group of its own, what it prints, an end that leaves nothing behind."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .missing import Missing, program

_POLITE = 3.0  # seconds a front-end has to end by itself once it was asked to
_KEPT = 1 << 22  # bytes of each file of output that are looked at: the last ones
_STEP = 0.02

# Escape sequences of terminals (firmware draws with them), then whatever is not a character to print.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")

# What a driver prints when it finds that its device broke a rule, or went silent.
ACCUSATIONS = re.compile(
    "|".join(
        (
            r"is not a head|id \d+ out of range|Unexpected TXQ|bad gso|virtio.*[Bb]roken",
            r"NETDEV WATCHDOG|TX timeout",
        )
    )
)
# What a kernel, firmware or program prints when something is wrong with itself.
_OWN_TROUBLE = re.compile(
    "|".join(
        (
            r"BUG:|kernel BUG|Oops",
            r"Kernel panic|\bKASAN\b|\bKCSAN\b|\bUBSAN\b|general protection|unable to handle",
            r"WARNING: (?:CPU|possible)|invalid opcode|double fault|Call Trace|page allocation failure",
            r"rcu.*stall|soft lockup|blocked for more than",
            r"[Ss]egmentation fault|\bPANIC\b|\bASSERT\b|X64 Exception|core dumped|terminate called",
        )
    )
)


def printable(text: str) -> str:
    """``text`` as it may go to any terminal: no escape sequences, no control characters but newlines."""
    plain = _SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(letter if letter == "\n" or letter.isprintable() else " " for letter in plain)


def environment(workdir: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a front-end: ours, in plain English; what it leaves goes to ``workdir``."""
    own = {
        "LC_ALL": "C",
        "RUNTIME_DIRECTORY": str(workdir),
        "XDG_RUNTIME_DIR": str(workdir),
        "TMPDIR": str(workdir),
    }
    return {**os.environ, **own, **(extra or {})}


class FrontEnd:
    """A front-end's process and whatever it starts, from now until :meth:`stop`.

    A context manager; leaving it stops the process. Its standard input stays open; what it prints, and the
    guest's serial console where there is one, goes to files in ``workdir``.

    It also ends when the thread that started it does (if ``setpriv`` is there to arrange this), so that
    nothing is left when the tool itself is killed: start it in a thread that lives as long as it shall.
    """

    def __init__(
        self,
        command: Sequence[str],
        workdir: Path,
        *,
        version: str,
        farewell: bytes | None = None,
        console: Path | None = None,
        facts: Callable[[str], list[str]] | None = None,
    ) -> None:
        """Start ``command``.

        ``farewell`` is what its standard input takes as the wish that it end; without one it gets SIGTERM.
        ``facts`` makes lines of facts from all that was printed. Raises Missing if it cannot be started.
        """
        self.command = tuple(command)
        self.version = version
        self._farewell = farewell
        self._facts = facts
        self._output = workdir / "output.txt"
        self._console = console
        self._status: int | None = None
        if shutil.which(command[0]) is None:
            raise Missing(f"{command[0]} cannot be started: there is no such program")
        guard = program("setpriv")
        start = [str(guard), "--pdeathsig", "KILL", "--", *command] if guard is not None else list(command)
        with self._output.open("wb") as output:
            try:
                self._process = subprocess.Popen(
                    start,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(workdir),
                    start_new_session=True,
                )
            except OSError as error:
                raise Missing(f"{command[0]} cannot be started: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's id, which is that of its group, too."""
        return self._process.pid

    def poll(self) -> int | None:
        """How it ended: its exit code, or the negative number of the signal; None as long as it runs."""
        if self._status is None and self._has_ended():
            self._reap()
        return self._status

    def stop(self) -> None:
        """End it: kindly at first, then the whole group at once. Nothing of it is left afterwards."""
        if self._status is not None:
            return
        try:
            if not self._has_ended():
                self._ask()
                deadline = time.monotonic() + _POLITE
                while not self._has_ended() and time.monotonic() < deadline:
                    time.sleep(_STEP)
        finally:
            self._reap()

    def log(self, limit: int = 4000) -> str:
        """The last ``limit`` characters of what it and its guest printed, fit for any terminal."""
        text = "\n".join(part for part in (self._read(self._output), self._read(self._console)) if part)
        lines = (line.rstrip() for line in text.splitlines())
        return "\n".join(line for line in lines if line)[-limit:]

    def said(self) -> list[str]:
        """Facts it printed about its own work, such as frames sent; a line each."""
        return self._facts(self.log(2 * _KEPT)) if self._facts is not None else []

    def complaints(self) -> list[str]:
        """Lines in which it or its guest says that something went wrong: at most the first hundred.

        Those of :meth:`accusations` are among them: a device that keeps the rules gives no cause for them.
        """
        return [line for line in self._lines() if _OWN_TROUBLE.search(line) or ACCUSATIONS.search(line)][:100]

    def accusations(self) -> list[str]:
        """The lines of :meth:`complaints` in which a driver says its device broke the rules, or is silent.

        Where the device did break them, they are to the driver's credit.
        """
        return [line for line in self.complaints() if ACCUSATIONS.search(line)]

    def _lines(self) -> list[str]:
        return self.log(2 * _KEPT).splitlines()

    def _read(self, path: Path | None) -> str:
        if path is None or not path.exists():
            return ""
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _KEPT))
            return printable(stream.read(_KEPT).decode("utf-8", "replace"))

    def _ask(self) -> None:
        """Tell it that it may go."""
        stream = self._process.stdin
        if self._farewell is not None and stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.write(self._farewell)
                stream.flush()
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)

    def _has_ended(self) -> bool:
        """Whether the process has, without taking its id away: its group can still be named by it."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reap(self) -> None:
        """Kill whatever is left of the group, then take the process's status."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._status = self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
