"""A driver run alone: where no reference can follow, only the device and the process judge it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..impl.harness.operations import RESULT, Code, Op
from ..impl.harness.reference_runner import QueueConfig
from .failure import Failure, FailureKind
from .generator import packed
from .pairing import DriverLost, Seen
from .process import Process


@dataclass(slots=True)
class Alone:
    """A driver in its process without a reference beside it.

    ``results`` are those of the last run, packed; checks named in ``known`` no longer count as failures.
    """

    process: Process
    known: set[str] = field(default_factory=set)
    results: bytes = b""

    @property
    def offered(self) -> frozenset[Code]:
        """The operations that can be asked for, with what only a hostile device does."""
        return self.process.offered | {Code.MISCHIEF}

    def attempt(self, config: QueueConfig, operations: Sequence[Op]) -> Failure | None:
        """Go through a queue's life: create, one array, destroy; what fails first."""
        operations = tuple(operations)
        self.results = b""
        try:
            refused = self.process.create(config, stop_on_finding=not self.known)
            seen = self._worst()
            if seen is not None:
                return self._found(seen, config, operations, -1)
            if refused:
                return self._failure(
                    "finding", "create-succeeds", "oracle: driver ABI", refused, config, operations, -1
                )
            if operations:
                self.results = self.process.run(packed(*operations))
                seen = self._worst()
                if seen is not None:
                    return self._found(seen, config, operations, len(operations) - 1)
            self.process.destroy()
        except DriverLost as lost:
            if lost.command == "run":
                self.results = lost.results
            at = {"create": -1, "destroy": len(operations)}.get(
                lost.command, len(self.results) // RESULT.size
            )
            seen = self._worst()
            if seen is not None and seen.first_operation < at:
                return self._found(seen, config, operations, at)  # it comes first, and explains more
            return self._failure(
                lost.kind, f"no-{lost.kind}", "oracle: process", lost.detail, config, operations, at
            )
        seen = self._worst()
        return self._found(seen, config, operations, len(operations)) if seen is not None else None

    def _worst(self) -> Seen | None:
        """Return the first failing check that is not known yet."""
        failing = [seen for seen in self.process.failing() if seen.check not in self.known]
        return min(failing, key=lambda seen: seen.first_operation, default=None)

    @staticmethod
    def _found(seen: Seen, config: QueueConfig, operations: tuple[Op, ...], step: int) -> Failure:
        step = min(seen.first_operation, step)
        return Failure(
            "finding", seen.check, seen.clause, seen.property, seen.detail, config, operations, step
        )

    @staticmethod
    def _failure(
        kind: FailureKind,
        check: str,
        clause: str,
        detail: str,
        config: QueueConfig,
        operations: tuple[Op, ...],
        step: int,
    ) -> Failure:
        return Failure(kind, check, clause, check, detail, config, operations, step)
