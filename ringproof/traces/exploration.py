"""Exploring: runs of one reference from any moment on, each step taken once from each state.

What an explanation and a canonical trace ask of a run is asked here of all runs like it, by taking steps
back. The work is counted in steps, not in seconds, so that the same question has the same answer anywhere.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import ModuleType

from ..impl.harness.operations import Code, Op, OpFlag, Result
from ..impl.harness.reference_runner import QueueConfig, ReferenceRunner
from .ledger import Breach
from .properties import Mark, Watched


class Spent(Exception):  # noqa: N818 - an outcome, not an error
    """As many steps were taken as may be."""


@dataclass(slots=True)
class Allowance:
    """How many steps explorers may still take together."""

    left: int


class Explorer:
    """A watched run that can go back, each step taken from ``allowance``."""

    def __init__(self, config: QueueConfig, reference: ModuleType | None, allowance: Allowance) -> None:
        self.config = config
        self._allowance = allowance
        self._watched = Watched(ReferenceRunner(config, reference=reference))
        self.beginning = self.mark()

    def mark(self) -> Mark:
        """The moment as it is now."""
        return self._watched.snapshot()

    def back(self, mark: Mark) -> None:
        """Go back to a moment."""
        self._watched.restore(mark)

    def step(self, op: Op) -> tuple[Result | None, list[Breach]]:
        """Take a step, as :meth:`Watched.step` does. Raises Spent when there were too many."""
        if not self._allowance.left:
            raise Spent
        self._allowance.left -= 1
        return self._watched.step(op)

    def run(self, ops: Sequence[Op]) -> list[tuple[int, Breach]]:
        """Every breach of a run from creation with its operation; it ends early where nothing goes on."""
        self.back(self.beginning)
        found: list[tuple[int, Breach]] = []
        for number, op in enumerate(ops):
            result, breaches = self.step(op)
            found += [(number, breach) for breach in breaches]
            if result is None:
                break
        return found

    def clean(self, ops: Sequence[Op]) -> bool:
        """Whether a run from creation breaks nothing."""
        self.back(self.beginning)
        return not any(self.step(op)[1] for op in ops)

    @property
    def outstanding(self) -> tuple[int, int, int, int]:
        """Chains unread, held by the device, untaken, and published since the last kick; all 0 is rest."""
        return self._watched.outstanding()


def signature(mark: Mark) -> Hashable:
    """What of a moment bears on the steps to come: counts of calls and the like are left out."""
    runner, ledger = mark.runner, mark.ledger
    *registers, data = runner.queue
    return (
        blake2b(runner.arena.memory, digest_size=16).digest(),  # thousands of these are kept
        tuple(sorted(runner.arena.live)),
        tuple(registers),
        tuple(data),
        runner.device,
        tuple(ledger.chains.items()),
        tuple(sorted(ledger.owner.items())),
        ledger.unread,
        ledger.untaken,
        ledger.counters[:4],
        runner.counters[3:],
    )


def breaks(found: Sequence[Breach], property: str, conjunct: str) -> bool:
    """Whether a step broke a part of a property; where driver or device stopped, that counts for each."""
    return any(one.property == property and one.conjunct in ("", conjunct) for one in found)


def settling(ops: Sequence[Op]) -> list[Op]:
    """What brings a queue to rest after ``ops``: a kick, all read and completed, gets enough.

    Nothing after DETACH_UNUSED, which leaves nothing to get.
    """
    if any(op.code == Code.DETACH_UNUSED for op in ops):
        return []
    added = sum(op.code == Code.ADD for op in ops)
    everything = Op(Code.COMPLETE, c=0xFFFF_FFFF)
    return [Op(Code.KICK), Op(Code.READ), everything, *[Op(Code.GET)] * (added + 1)]


def offers(ops: Sequence[Op], others: Sequence[Op], queue_size: int) -> bool:
    """Whether an add of ``others`` can succeed, if ``ops`` have any: else there is nothing to get right."""
    adds, kept = ([op for op in run if op.code == Code.ADD] for run in (ops, others))
    return not adds or any(op.a + op.in_ <= queue_size and not op.flags & OpFlag.FAIL_ALLOC for op in kept)
