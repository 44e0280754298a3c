"""The process a pair drives: a worker, with its findings read as checks."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ..impl.harness.operations import EINVAL
from ..impl.harness.reference_runner import QueueConfig
from ..traces.folding import printable
from .failure import FailureKind
from .generator import unpacked
from .narration import in_words
from .pairing import DriverLost, Seen
from .verdicts import VERDICTS, FindingCode, Verdict
from .worker import DriverStopped, Finding, Hang, Instrumented, Worker, WorkerError

_HANGS = 3  # in create or destroy, before a driver is asked no more which queues it declines
_AFTER_A_HANG = 0.5  # seconds a command of these may take from then on

TRAIT_LINUX_3_11 = 1 << 0
TRAIT_VIRTIO_1 = 1 << 1
TRAIT_PUSHES_BUFFERS = 1 << 3


class Process:
    """A driver's library in a worker; a context manager that ends it.

    ``patience`` is in seconds per command. ``follows_the_reference`` says whether the driver declares the
    same bytes as the reference, ``profile`` which profile that has, ``pushes_buffers`` whether tokens come
    back by callback.
    """

    def __init__(self, library: Path, *, patience: float) -> None:
        """Load the library. Raises LibraryError, BuildError."""
        self._worker = Worker(library, timeout=patience)
        self._live = False
        self._hangs = 0
        self.name = self._worker.name
        self.features = self._worker.features
        self.traits = self._worker.traits
        self.offered = self._worker.has
        self.follows_the_reference = bool(self.traits & (TRAIT_LINUX_3_11 | TRAIT_VIRTIO_1))
        self.profile = "linux-3.11" if self.traits & TRAIT_LINUX_3_11 else "virtio-1.x"
        self.pushes_buffers = bool(self.traits & TRAIT_PUSHES_BUFFERS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.close()

    @property
    def patience(self) -> float:
        """How long a command may take before it counts as a hang."""
        return self._worker.timeout

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._worker.timeout = seconds

    @property
    def instrumented(self) -> Instrumented:
        """Which calls the compiler put into the driver, as far as it has made any."""
        return self._worker.instrumented

    def coverage(self) -> tuple[int, ...]:
        """Return the places in an instrumented driver's code that were reached, as ``Worker.coverage``."""
        return self._worker.coverage()

    def create(self, config: QueueConfig, stop_on_finding: bool) -> str:
        """Create a queue; one that is left over is destroyed first."""
        if self._live:
            self._live = False
            # What was wrong with it was reported when it was found.
            with contextlib.suppress(DriverStopped, WorkerError):
                self._worker.destroy()
        self._worker.stop_on_finding = stop_on_finding
        try:
            if not self._worker.create(config):
                return self._worker.message or "the driver did not create the queue"
        except WorkerError as error:
            return str(error)
        except DriverStopped as stopped:
            raise self._lost(stopped, b"") from stopped
        self._live = True
        return ""

    def declines(self, config: QueueConfig) -> bool:
        """Whether create answers RP_EINVAL for this queue, as a driver may that was not made for it.

        A driver that is lost over the question has not declined; the campaign will meet it and report it.
        One that has hung is given little time from then on, and is asked no more when it hangs again: to
        wait for each queue would take minutes.
        """
        if self._hangs >= _HANGS:
            return False
        try:
            with self._shorter_patience():
                created = not self.create(config, stop_on_finding=True)
                if created:
                    self.destroy()
        except DriverLost as lost:
            self._hangs += lost.kind == "hang"
            return False
        answers = {finding.code: finding.a for finding in self._worker.findings() if finding.failed}
        return not created and answers.get(FindingCode.CREATE_FAILED) == EINVAL % (1 << 64)

    @contextlib.contextmanager
    def _shorter_patience(self) -> Iterator[None]:
        before = self.patience
        self.patience = min(before, _AFTER_A_HANG) if self._hangs else before
        try:
            yield
        finally:
            self.patience = before

    def refuses(self, queue_size: int) -> str:
        """Ask for a queue of a size no virtqueue has; what the driver does, or nothing if it declines.

        Raises DriverLost.
        """
        try:
            with self._shorter_patience():
                return "" if self._worker.refuses(queue_size) else "creates it"
        except DriverStopped as stopped:
            raise self._lost(stopped, b"") from stopped

    def run(self, operations: bytes) -> bytes:
        """Run packed operations; fewer results mean that a finding stopped it."""
        try:
            return self._worker.run(operations)
        except DriverStopped as stopped:
            self._live = False
            raise self._lost(stopped, operations) from stopped

    def destroy(self) -> None:
        """Destroy the queue."""
        self._live = False
        try:
            self._worker.destroy()
        except DriverStopped as stopped:
            raise self._lost(stopped, b"") from stopped

    def seen(self) -> list[Seen]:
        """Return every check the device can make, with how often it was made since create."""
        made = {finding.code: finding for finding in self._worker.findings()}
        return [
            self._seen(verdict, made.get(code, Finding(code, 0, 0, 0, 0, 0)))
            for code, verdict in VERDICTS.items()
        ]

    def failing(self) -> list[Seen]:
        """Return the checks that failed since create, warnings left out."""
        found = [finding for finding in self._worker.findings() if finding.failed]
        seen = [self._seen(VERDICTS[FindingCode(finding.code)], finding) for finding in found]
        return [one for one in seen if one.level == "fail"]

    @staticmethod
    def _seen(verdict: Verdict, finding: Finding) -> Seen:
        return Seen(
            verdict.name,
            verdict.clause,
            verdict.property,
            verdict.level,
            finding.checked,
            finding.failed,
            finding.first_op,
            verdict.describe(finding.a, finding.b) if finding.failed else verdict.sentence,
        )

    def ring(self) -> tuple[bytes, bytes, bytes]:
        """Return the three ring parts as they are now."""
        worker = self._worker
        return bytes(worker.desc_view()), bytes(worker.avail_view()), bytes(worker.used_view())

    def _lost(self, stopped: DriverStopped, operations: bytes) -> DriverLost:
        what = str(stopped)
        if stopped.op_index >= 0:
            what += f" ({in_words(unpacked(operations[16 * stopped.op_index :][:16])[0])})"
        if stopped.report:
            what = f"{stopped.report}; {what}"
        elif said := stopped.output.strip().splitlines()[-1:]:
            what += f"; it said: {printable(said[0][:120])}"
        command = stopped.during if stopped.op_index < 0 else "run"
        kind: FailureKind = "hang" if isinstance(stopped, Hang) else "crash"
        lost = DriverLost(
            kind, what, command, stopped.op_index if stopped.op_index >= 0 else None, stopped.results
        )
        if stopped.report:
            lost.check, lost.clause = "no-sanitizer-report", "oracle: sanitizer"
        return lost
