"""The project's own vhost-user front-end: any driver behind ringproof_driver.h, met over a socket.

The other side is ``impl/frontend``; ``frontend --help`` tells its options.
"""

import json
import tempfile
import time
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any

from ..building import build_program, c_sources
from ..errors import BadInputError
from .recipes.front_end import FrontEnd

Value = str | int | float | bool | tuple[int, int] | None
"""An option's value: a range is a pair; True stands for the option alone, None and False for none."""

_BAD_USE = 2
_STEP = 0.005


@dataclass(frozen=True, slots=True)
class FrontendResult:
    """What the front-end says at its end; counters since its start.

    ``outcome`` is "done"; "stalled"; "broken" (the driver called its queue broken); "stray" (it gave back
    what it did not have); "crashed", "hung" or "misplaced" (the driver did); "closed", "refused",
    "unanswered" or "answered-wrongly" (the back-end did); "misbehaved" (as it was asked to); or "killed".
    ``timed`` frames came back in ``seconds``. ``second`` says what became of a second connection.
    """

    outcome: str
    stalled: bool = False
    driver: str = ""
    offered: int = 0
    accepted: int = 0
    sent: int = 0
    completed: int = 0
    timed: int = 0
    seconds: float = 0.0
    received: int = 0
    replies: int = 0
    damaged: int = 0
    kicks: int = 0
    interrupts: int = 0
    refused: int = 0
    stray: int = 0
    restarts: int = 0
    second: str = ""

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.timed / self.seconds if self.seconds > 0 else 0.0


@cache
def build_frontend() -> Path:
    """Build the front-end, or take it from the cache. Raises BuildError."""
    source = Path(str(files("ringproof.impl.frontend")))
    return build_program(
        sorted(source.glob("*.c")),
        include=(source, c_sources()),
        extra_flags=("-Wl,--no-as-needed", "-ldl"),
    )


class Frontend(FrontEnd):
    """The front-end's process, and the directory it works in. A context manager; leaving it ends both."""

    def __init__(self, socket: Path, library: Path, options: dict[str, Value]) -> None:
        """Start it. ``options`` are those of its command line, with ``_`` for ``-``. Raises BuildError."""
        self._directory = tempfile.TemporaryDirectory(prefix="ringproof-")
        try:
            super().__init__(
                [
                    str(build_frontend()),
                    str(socket.absolute()),
                    str(library.absolute()),
                    *_arguments(options),
                ],
                Path(self._directory.name),
                version="the front-end of ringproof",
                facts=_facts,
            )
        except BaseException:
            self._directory.cleanup()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._directory.cleanup()

    def result(self, timeout: float = 30.0) -> FrontendResult:
        """Wait until it has ended and return what it says of it.

        Raises BadInputError with its words if it could not use the command line, the library or the socket,
        TimeoutError if it runs on.
        """
        end = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"the front-end is not done after {timeout:g} s")
            time.sleep(_STEP)
        if status == _BAD_USE:
            lines = self.log().splitlines()
            raise BadInputError(lines[-1] if lines else "the front-end says nothing")
        return _said(self.log()) or FrontendResult("killed")

    def words(self) -> str:
        """The line in which it says why it did not end well, "" if there is none."""
        lines = [line for line in self.log().splitlines() if line.startswith("frontend: ")]
        return lines[-1].removeprefix("frontend: ") if lines else ""


def run_frontend(socket: Path, library: Path, **options: Value) -> Frontend:
    """Start the front-end with the driver in ``library`` against the back-end that listens at ``socket``.

    ``options`` are those of its command line, with ``_`` for ``-``; ``features`` may be a number.
    """
    return Frontend(socket, library, options)


def _arguments(options: dict[str, Value]) -> list[str]:
    words = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append("--" + name.replace("_", "-"))
        if name == "features" and isinstance(value, int):
            words.append(f"{value:x}")
        elif isinstance(value, tuple):
            words.append(f"{value[0]}-{value[1]}")
        elif value is not True:
            words.append(str(value))
    return words


def _said(log: str) -> FrontendResult | None:
    """What it printed about its run, None if it did not come to that."""
    line = next((line for line in log.splitlines() if line.startswith("{")), None)
    if line is None:
        return None
    known = {field.name for field in fields(FrontendResult)}
    values: dict[str, Any] = {name: value for name, value in json.loads(line).items() if name in known}
    for name in ("offered", "accepted"):
        values[name] = int(values[name], 16)
    return FrontendResult(**values)


def _facts(log: str) -> list[str]:
    result = _said(log)
    if result is None:
        return []
    return [
        f"{result.sent} frames sent, {result.completed} of them came back; {result.received} received; "
        f"{result.kicks} kicks, {result.interrupts} interrupts: {result.outcome}"
    ]
