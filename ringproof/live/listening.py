"""The socket at which front-ends are waited for: a stale one is removed, a living one is left alone."""

import errno
import socket
import stat
import time
from pathlib import Path
from types import TracebackType

from ..errors import BadInputError

_LONGEST = 107
"""Bytes of a path that fits into the address of a unix socket."""


class Listening:
    """A unix socket that listens at ``path``, which it makes and removes again.

    Raises BadInputError when the path is taken by something else than a socket nobody listens at any more, or
    cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.bind(str(path))
            self._socket.listen(4)
        except OSError as error:
            self._socket.close()
            raise BadInputError(f"{path}: cannot listen there: {error.strerror}") from None
        self._inode = path.stat().st_ino

    def accept(self, seconds: float) -> socket.socket | None:
        """The next front-end that connects; None if none does within ``seconds`` (0: looks once)."""
        end = time.monotonic() + seconds
        while True:
            self._socket.settimeout(max(end - time.monotonic(), 0.0) or 0.0)
            try:
                connected, _ = self._socket.accept()
            except (TimeoutError, BlockingIOError):
                return None
            except InterruptedError:
                continue
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                raise
            connected.setblocking(False)
            return connected

    def turn_away(self) -> int:
        """Close whatever else wants to connect meanwhile; how many there were."""
        count = 0
        while (other := self.accept(0)) is not None:
            other.close()
            count += 1
        return count

    def close(self) -> None:
        """Stop listening, and remove the socket if it still is this one."""
        self._socket.close()
        try:
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        except OSError:
            pass  # somebody else has removed it

    def __enter__(self) -> "Listening":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check(path: Path) -> None:
    """Make the path free. Raises BadInputError if it is not to be had."""
    if len(str(path).encode()) > _LONGEST:
        raise BadInputError(f"{path}: too long for a unix socket, which takes {_LONGEST} bytes")
    if not path.parent.is_dir():
        raise BadInputError(f"{path}: cannot listen there: no such directory")
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInputError(f"{path}: cannot listen there: {error.strerror}") from None
    if not stat.S_ISSOCK(there.st_mode):
        raise BadInputError(f"{path}: is there already, and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)  # whoever listened there has gone
            return
        except OSError as error:
            raise BadInputError(f"{path}: cannot listen there: {error.strerror or error}") from None
    raise BadInputError(f"{path}: another program listens there")
