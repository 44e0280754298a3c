"""Queue sizes that no device may offer: create declines them, or bears what comes of them."""

from dataclasses import dataclass
from pathlib import Path

from ..impl.harness.operations import Code, Op
from .generator import packed
from .shared import Finding
from .verdicts import VERDICTS, FindingCode
from .worker import DriverStopped, Worker, WorkerError

SIZES = (0, 3, 6, 100, 32769, 65535, 65536, 0x8000_0000, 0xFFFF_FFFF)
_JUDGED = frozenset(
    (
        *(FindingCode.RED_ZONE, FindingCode.BAD_RELEASE, FindingCode.STRAY_WRITE, FindingCode.CANARY),
        *(FindingCode.MAPPING, FindingCode.HOSTILE_TOKEN),
    )
)
_ROUND = (Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=1), Op(Code.GET))
_LARGEST_USED = 1 << 17


@dataclass(frozen=True, slots=True)
class _Offer:
    """A queue of any size."""

    queue_size: int
    features: int = 0
    layout: str = "legacy"
    has_callback: bool = True
    queue_index: int = 0
    fail_allocation: int = 0
    hostile: bool = True


class _AnySize(Worker):
    """A worker that asks for queues of any size."""

    def life(self, queue_size: int) -> str:
        """Create, use and destroy such a queue; "declined", "took it", or what went wrong.

        Raises DriverStopped.
        """
        if not self._ask_for(_Offer(queue_size)):
            return self._wrong() or "declined"
        if 0 < queue_size <= _LARGEST_USED:
            chain = Op(Code.ADD, a=min(queue_size, 8))
            self.run(packed(*_ROUND * 5, chain, *_ROUND[1:], *_ROUND * 3))
        wrong = self._wrong()
        self.destroy()
        return wrong or self._wrong() or "took it"

    def _wrong(self) -> str:
        """Describe the first finding that no size excuses."""
        for finding in self.findings():
            if finding.failed and finding.code in _JUDGED:
                return _said(finding)
        return ""


def _said(finding: Finding) -> str:
    return VERDICTS[FindingCode(finding.code)].describe(finding.a, finding.b)


@dataclass(frozen=True, slots=True)
class SizesReport:
    """What a driver made of every size: declined, taken, or what went wrong with which size."""

    declined: tuple[int, ...]
    taken: tuple[int, ...]
    wrong: tuple[tuple[int, str], ...]
    lost: frozenset[int]
    """Sizes at which it crashed or hung."""


def offer_sizes(library: Path, patience: float) -> SizesReport:
    """Offer a driver every impossible size. Raises LibraryError, BuildError."""
    declined, taken, wrong, lost = [], [], [], set()
    with _AnySize(library, timeout=patience) as worker:
        for size in SIZES:
            try:
                came = worker.life(size)
            except DriverStopped as stopped:
                wrong.append((size, str(stopped)))
                lost.add(size)
                continue
            except WorkerError:
                continue  # the worker's own want of memory says nothing of the driver
            if came == "declined":
                declined.append(size)
            elif came == "took it":
                taken.append(size)
            else:
                wrong.append((size, came))
    return SizesReport(tuple(declined), tuple(taken), tuple(wrong), frozenset(lost))
