"""A watch on lines: which lines of some files run, and which of them changed what is looked at."""

import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, TypeAlias

Place: TypeAlias = tuple[str, int]
"""A file by its name and a line of it from 1."""
Look: TypeAlias = Callable[[], Sequence[object]]
"""What is looked at, in the same order every time."""


def nothing() -> Sequence[object]:
    """Look at nothing."""
    return ()


class Watch:
    """Runs calls under a tracer and keeps the lines they went through.

    A change counts for the line after which it is first seen. What changes while no line of these files is
    being run is nobody's.
    """

    def __init__(self, files: frozenset[str], names: Sequence[str], *, most: int, in_all: int) -> None:
        """``files`` are the names of the files that count, ``names`` those of what is looked at, in order.

        ``most`` is how many lines of a call are watched, ``in_all`` of all calls; the rest runs unseen.
        """
        self._files = files
        self._names = names
        self._most = most
        self._left = in_all
        self._end = 0
        self._look: Look = nothing
        self._before: Sequence[object] = ()
        self._at: Place | None = None
        self._depth = 0
        self._seen: dict[Place, set[str]] = {}

    def run(self, call: Callable[[], object], look: Look = nothing) -> Mapping[Place, set[str]]:
        """Call it; the lines run, in the order of their first time, and what each changed, by name.

        What ``call`` raises is raised after the tracer is gone; :meth:`seen` tells of the lines until then.
        """
        self._look, self._seen, self._at, self._depth = look, {}, None, 0
        self._end = max(0, self._left - self._most)
        if self._left <= self._end:
            call()
            return {}
        before = sys.gettrace()
        sys.settrace(self._call)
        try:
            call()
        finally:
            sys.settrace(before)
        return self._seen

    def seen(self) -> Mapping[Place, set[str]]:
        """Return the lines of the last call."""
        return self._seen

    # -- the tracer -------------------------------------------------------------------------------------

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        if self._depth:
            self._compare()
        else:
            self._before = self._look()
        self._depth += 1
        self._at = None
        return self._line

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self._compare()
            self._at = frame.f_code.co_filename, frame.f_lineno
            self._seen.setdefault(self._at, set())
            self._left -= 1
            if self._left <= self._end:
                sys.settrace(None)
                return None
        elif event == "return":
            self._compare()
            self._depth -= 1
            self._at = self._caller(frame.f_back)
        return self._line

    def _caller(self, frame: FrameType | None) -> Place | None:
        """Return the line that waits for a call to end, the innermost that counts."""
        if not self._depth:
            return None
        while frame is not None and frame.f_code.co_filename not in self._files:
            frame = frame.f_back
        return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)

    def _compare(self) -> None:
        now = self._look()
        if now == self._before:
            return
        if self._at is not None:
            changed = self._seen.setdefault(self._at, set())
            for name, old, new in zip(self._names, self._before, now, strict=True):
                if old != new:
                    changed.add(name)
        self._before = now
