"""A failure of a driver: which check it fails, why, and the operations that show it."""

from dataclasses import dataclass, replace
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
    began: after how many operations, and at which avail_idx.
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

    def like(self, other: "Failure | None") -> bool:
        """Whether the other fails the same check in the same manner, wherever it does."""
        return other is not None and (self.kind, self.check) == (other.kind, other.check)

    def cut(self) -> "Failure":
        """Without the operations after the one that shows it."""
        return replace(self, operations=self.operations[: self.step + 1], marks=())
