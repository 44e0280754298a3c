"""The standard streams: what becomes of a report that nobody reads, or that cannot be written."""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class ReaderGone(Exception):  # noqa: N818 - no error: a reader (head, a pager) has what it wanted
    """Nobody reads the standard output any more; what is written from now on is thrown away.

    No OSError: libraries for terminals end the process with codes of their own when they meet EPIPE.
    """


class _Outlet(io.FileIO):
    """A descriptor that fails once at most: after that it leads to /dev/null, so that nothing fails again."""

    def __init__(self, descriptor: int, *, silent: bool) -> None:
        """``silent`` throws away what cannot be written and says nothing: there is nobody to tell."""
        super().__init__(descriptor, "wb", closefd=False)
        self._silent = silent

    def write(self, data: "ReadableBuffer") -> int:
        """Write, and return how many bytes. Raises ReaderGone, OSError."""
        try:
            return super().write(data)
        except BlockingIOError:
            raise
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if self._silent:
                return len(memoryview(data).cast("B"))
            if isinstance(error, BrokenPipeError):
                raise ReaderGone from None
            error.filename = "standard output"
            raise


def prepare_streams() -> None:
    """Open the standard streams that are closed, and have errors of writing told as this module says.

    For the process's first moments: a file opened before would take the number of a closed stream.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the life of the process
    sys.stdout = _stream(1, sys.stdout, silent=False)
    sys.stderr = _stream(2, sys.stderr, silent=True)


def _stream(descriptor: int, before: TextIO | None, *, silent: bool) -> TextIO:
    """A stream like ``before``, None for one that was closed."""
    buffer = io.BufferedWriter(_Outlet(descriptor, silent=silent))
    if not isinstance(before, io.TextIOWrapper):
        return io.TextIOWrapper(buffer, "utf-8", "backslashreplace", line_buffering=silent)
    return io.TextIOWrapper(
        buffer, before.encoding, before.errors,
        line_buffering=before.line_buffering, write_through=before.write_through,
    )  # fmt: skip
