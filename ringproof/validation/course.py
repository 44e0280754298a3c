"""The course of one shard: a driver goes from life to life, and what fails is put aside and written down."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..impl.harness.operations import OP, Code, Op, OpFlag
from ..impl.harness.reference_runner import QueueConfig
from .failure import Failure, Found
from .guided import Covering
from .longrun import Carried
from .outcome import OUT_OF_TIME, Outcome
from .pairing import Pair

CREATION = "create-succeeds"
_MOST_ROUNDS = 30  # checks put aside in one shard
_MOST_LOST = {"hang": 3, "crash": 60}  # a driver that is lost again and again is left alone
_SEED = 0x0101_6B55  # from one ADD's buffers to the next one's
_SHORT_PATIENCE = 1.0  # seconds for an array of operations once the driver has hung


@dataclass(frozen=True, slots=True)
class Habits:
    """What a driver was seen to do on its first queue: where avail_idx moves, and if it tells num_free."""

    publishes_at_kick: bool = False
    knows_num_free: bool = True

    @classmethod
    def of(cls, pair: Pair) -> "Habits":
        """Return what the pair has learned by its probe."""
        return cls(pair.publishes_at_kick, pair.knows_num_free)

    def tell(self, pair: Pair) -> None:
        """Spare another pair the probe."""
        pair.publishes_at_kick, pair.knows_num_free = self.publishes_at_kick, self.knows_num_free


class CourseOver(Exception):  # noqa: N818 - an end before all was done, not an error
    """The course ends here; the message says why, "" when it was asked to."""


class Course:
    """Lives of queues on one pair.

    A failing check is put aside, and what failed is done again without it. With ``fail_fast`` the first one
    ends the course. ``began`` is when the validation did, ``until`` when nothing new is to be begun, both on
    the monotonic clock.
    """

    def __init__(
        self,
        pair: Pair,
        stage: str,
        *,
        seed: int,
        began: float,
        until: float,
        fail_fast: bool,
        variant: str = "",
    ) -> None:
        self.pair = pair
        self.seed = seed
        self._stage = stage
        self._began = began
        self._until = until
        self._fail_fast = fail_fast
        self._variant = variant
        self._lost = {"hang": 0, "crash": 0}
        self._outcome = Outcome()
        self._packed = 0  # operations of this life that were made ready
        self._start = time.monotonic()

    def life(self, config: QueueConfig, *arrays: Sequence[Op] | bytes, destroy: bool = True) -> bool:
        """Go through a queue's life; false when it broke off.

        Operations the driver lacks are left out. Without ``destroy`` the next create ends it.
        """

        def go() -> Failure | None:
            self._outcome.lives += 1
            failure = self.pair.begin(config)
            for operations in ready:
                if failure is None:
                    failure = self.pair.run(operations)
            if failure is None and destroy:
                failure = self.pair.end()
            return failure

        ready = []
        for one in arrays:
            ready.append(one if isinstance(one, bytes) else self._offered(one))
            self._packed += len(one)
        self._packed = 0
        ready = [operations for operations in ready if operations]
        return self.attempt(go)

    def create_without(self, config: QueueConfig, number: int) -> bool:
        """Ask for a queue while the allocation ``number`` fails; whether there is one all the same.

        A driver may decline it; it may not leave anything behind, and one that it creates has to work.
        """
        short = replace(config, fail_allocation=number)
        refused = False

        def go() -> Failure | None:
            nonlocal refused
            self._outcome.lives += 1
            failure = self.pair.begin(short)
            refused = failure is not None
            if failure is not None:
                lawful = failure.check == CREATION and not self.pair.process.failing()
                return None if lawful else failure
            # Of several segments as well: some drivers have tables for those, or have none now.
            adds = [
                Op(Code.ADD, a=min(segments, short.queue_size), b=at)
                for at, segments in enumerate((1, 2, 3, 4, 8, 2, 1, 1, 1))
            ]
            gets = [Op(Code.GET)] * (len(adds) + 1)
            there = [Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, c=len(adds))]
            return self.pair.run(self._offered([*adds, *there, *gets])) or self.pair.end()

        self.attempt(go)
        return not refused

    def attempt(self, go: Callable[[], Failure | None]) -> bool:
        """Do something until it passes, each check that fails put aside; false when it cannot be done."""
        for _ in range(_MOST_ROUNDS):
            self.check_time()
            failure = go()
            if failure is None:
                return True
            known = failure.check in self.pair.known
            if not known:
                self.keep(failure)
            if failure.kind in ("crash", "hang"):
                self._count_lost(failure.kind)
                return False
            if known:
                return False  # such as a create that fails: there is no way around it
        return False

    def put_aside(self, failure: Failure) -> bool:
        """Keep a failure met in a walk that is not this course's own; whether it is worth walking again."""
        self.check_time()
        if failure.check in self.pair.known:
            return False
        self.keep(failure)
        return failure.kind not in ("crash", "hang") and failure.check != CREATION

    def keep(self, failure: Failure) -> None:
        """Write a failure down and put its check aside. Raises CourseOver when the first ends all."""
        found = replace(failure, variant=self._variant)
        seconds = time.monotonic() - self._began
        self._outcome.found.append(Found(found, frozenset(self.pair.known), self._stage, seconds))
        self.pair.ignore({failure.check})
        if self._fail_fast:
            raise CourseOver("")

    def carried(self, run: Carried) -> None:
        """Write down what a long run came to."""
        self._outcome.runs.append(run)

    def leave_out(self, why: str) -> None:
        """Write down what is not gone through."""
        self._outcome.left_out.append(f"{self._stage}: {why}")

    def check_time(self) -> None:
        """Raise CourseOver when the time is up."""
        if time.monotonic() >= self._until:
            raise CourseOver(f"{OUT_OF_TIME} before its end")

    @property
    def seconds_left(self) -> float:
        """Until nothing new is to be begun."""
        return max(0.0, self._until - time.monotonic())

    def outcome(self) -> Outcome:
        """Return what came of it all so far."""
        pair, outcome = self.pair, self._outcome
        outcome.operations, outcome.seconds = pair.operations, time.monotonic() - self._start
        outcome.tallies, outcome.compared = pair.tallies, pair.compared
        outcome.given_up = pair.given_up
        if self._variant and isinstance(pair.process, Covering):
            outcome.coverage = list(pair.process.coverage())
        return outcome

    def rounds(self, count: int, *, kick: bool = True, seed: int = 0) -> Op:
        """Return so many rounds, kicked where the driver needs it."""
        quiet = not kick and not self.pair.publishes_at_kick
        return Op(Code.ROUNDS, OpFlag.NO_KICK if quiet else 0, a=count, b=seed)

    def _offered(self, operations: Sequence[Op]) -> bytes:
        """Pack those that the driver has; each ADD gets buffers of its own: none passes for another."""
        offered = self.pair.offered | {Code.ROUNDS}
        known = [operation for operation in operations if operation.code in offered]
        return b"".join(
            [
                OP.pack(*op) if op.code != Code.ADD else OP.pack(*op[:4], at * _SEED & 0xFFFF_FFFF, op.c)
                for at, op in enumerate(known, self._packed)
            ]
        )

    def _count_lost(self, kind: str) -> None:
        self._lost[kind] += 1
        if kind == "hang":
            self.pair.process.patience = min(self.pair.process.patience, _SHORT_PATIENCE)
        if self._lost[kind] >= _MOST_LOST[kind]:
            word = "crashed" if kind == "crash" else "hung"
            raise CourseOver(f"left off after the driver {word} {self._lost[kind]} times")
