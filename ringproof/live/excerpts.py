"""What shows a failure: the recording around its first time, written down as soon as it is noticed."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from ..validation.report import RECORDING
from .checks import LIVE_CHECKS
from .course import Course
from .outcome import Shown
from .recording import RecordingWriter
from .session import Session
from .tallies import Check
from .telling import excerpt


@dataclass(slots=True)
class Excerpts:
    """Keeps, for the first failure of each check, where it is recorded.

    With a ``writer`` the whole run is recorded, and that is what shows it. Without, the device keeps the last
    two segments in memory, and they are written to a file of their own in the course's folder for traces.
    """

    course: Course
    session: Session
    writer: RecordingWriter | None
    _known: dict[Check, tuple[float, Path | None, int]] = field(default_factory=dict)

    def take(self) -> None:
        """Write the segment that is full, if the whole run is recorded."""
        if self.writer is None:
            return
        segment = self.session.segment(0)
        if segment:
            self.writer.add(segment)
        self.session.segment_taken()

    def noticed(self, seconds: float, *, cut: bool = True) -> None:
        """A check failed that had not before; ``cut`` unless the session has been cut.

        It is written down at once: a fast driver fills what the device remembers in a fraction of a second.
        """
        tallies = self.session.tallies()
        fresh = {code: tally for code, tally in tallies.items() if tally.failed and code not in self._known}
        if not fresh:
            return
        path = self.course.record if self.writer is not None else self._written(next(iter(fresh)), cut)
        for code, tally in fresh.items():
            self._known[code] = (seconds, path, tally.record)

    def finish(self, seconds: float) -> dict[Check, Shown]:
        """Write down what is left, and tell what shows each failure; the session has been cut."""
        if self.writer is not None:
            self._drain(self.writer)
            self.writer.close()
        self.noticed(seconds, cut=False)
        shown = {}
        tallies = self.session.tallies()
        for code, (when, path, record) in self._known.items():
            if code in tallies and tallies[code].failed:
                lines = tuple(excerpt(path, record)) if path is not None else ()
                shown[code] = Shown(path, record, lines, when)
        return shown

    def _drain(self, writer: RecordingWriter) -> None:
        """Write what the device remembers: the older segment, and the newer."""
        for which in (0, 1):
            segment = self.session.segment(which)
            if segment:
                writer.add(segment)

    def _written(self, code: Check, cut: bool) -> Path:
        """Write what the device remembers to a file named for the check."""
        if cut:
            self.session.cut()
        self.course.traces.mkdir(parents=True, exist_ok=True)
        name = f"{self.course.name}-{LIVE_CHECKS[code].name}"
        path = self.course.traces / (re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-") + RECORDING)
        with RecordingWriter(path) as writer:
            self._drain(writer)
        return path
