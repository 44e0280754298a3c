"""A failure of a network driver: which check it fails, why, and the run that shows it."""

from dataclasses import dataclass, replace
from typing import Literal

from ..impl.harness.frames import Frame
from ..impl.harness.net_operations import NetConfig, Op

NetFailureKind = Literal["clause", "oracle", "finding", "violation", "difference", "crash", "hang"]


@dataclass(frozen=True, slots=True)
class NetFailure:
    """What went wrong, on which device, after which operations.

    ``check`` names the check that fails, ``clause`` what asks for it. Of ``operations``, which begin with
    PROBE, number ``step`` shows it, from 0.
    """

    kind: NetFailureKind
    check: str
    clause: str
    detail: str
    config: NetConfig
    frames: tuple[Frame, ...]
    operations: tuple[Op, ...]
    step: int

    def cut(self) -> "NetFailure":
        """Without the operations after the one that shows it."""
        return replace(self, operations=self.operations[: self.step + 1])
