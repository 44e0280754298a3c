"""A failure of a driver: which check it fails, why, and the operations that show it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..impl.harness.operations import Op
from ..impl.harness.reference_runner import QueueConfig

FailureKind = Literal["finding", "difference", "crash", "hang"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, on which queue, after which operations.

    ``check`` names the check that fails, ``clause`` what asks for it, ``property`` is the slug a trace
    carries. ``operations`` are all since create; the one numbered ``step`` shows it, and a step equal to
    their number stands for destroying the queue, -1 for creating it. ``marks`` say where arrays of operations
    began: after how many operations, and at which avail_idx. ``variant`` is the build of the driver that
    shows it, "" for the plain one.
    """

    kind: FailureKind
    check: str
    clause: str
    property: str
    detail: str
    config: QueueConfig
    operations: tuple[Op, ...] = ()
    step: int = -1
    marks: tuple[tuple[int, int], ...] = ()
    variant: str = ""

    def like(self, other: "Failure | None") -> bool:
        """Whether the other fails the same check in the same manner, wherever it does."""
        return other is not None and (self.kind, self.check) == (other.kind, other.check)

    def cut(self) -> "Failure":
        """Without the operations after the one that shows it."""
        return replace(self, operations=self.operations[: self.step + 1], marks=())


@dataclass(frozen=True, slots=True)
class Found:
    """A failure as a stage met it: with which checks put aside, in which stage, after how many seconds."""

    failure: Failure
    aside: frozenset[str]
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A failure made presentable.

    ``failure`` is shrunk; ``steps`` are its operations in words; ``trace`` is its document, None where none
    was kept, and ``message`` says why. ``steadiness`` is "deterministic", "flaky (shown 2 of 3)", or "" where
    it was not tried. ``follows`` names the check that its run fails first when nothing is put aside, "" if
    none does. ``seconds`` passed from the start of the validation until the failure was found, in ``stage``.
    ``passes`` says which other choice lets the run pass, "" if none was found.
    """

    failure: Failure
    steps: tuple[str, ...]
    trace: Path | None
    steadiness: str
    follows: str
    seconds: float
    stage: str = ""
    message: str = ""
    passes: str = ""

    @property
    def deterministic(self) -> bool:
        """Whether it showed every time."""
        return self.steadiness == DETERMINISTIC


DETERMINISTIC = "deterministic"
