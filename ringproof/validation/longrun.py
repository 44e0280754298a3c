"""The long run: one queue carried past the wrap of its indices, and what must come back from it."""

from dataclasses import dataclass
from itertools import islice

from ..impl.harness.operations import NUM_FREE_UNKNOWN, OP, RESULT, Code, Result
from ..impl.harness.reference_runner import QueueConfig
from .failure import Failure
from .generator import Generator
from .pairing import Pair
from .shrinking import Deadline

WRAP = 1 << 16
_OPENING = 8  # phases before the indices are carried to the wrap
_UNKICKED = 5_000  # chains without a kick across the wrap; with the rounds more than 65536 await one
_PATIENCE = 4  # times the operations asked for, when refusals keep avail_idx from the wrap


@dataclass(frozen=True, slots=True)
class Carried:
    """What a long run came to, as plain data: see :class:`LongRun`."""

    queue_size: int
    operations: int
    advanced: int
    accepted: int
    shortfall: str

    @property
    def passed_the_wrap(self) -> bool:
        """Whether avail_idx went past 65535."""
        return self.advanced > WRAP


@dataclass(slots=True)
class LongRun:
    """One long run and what it came to.

    ``wanted`` operations are run at least (a ROUNDS is one of them), and until avail_idx has moved on by
    more than 65536. ``advanced`` is by how much it did; ``accepted`` and ``returned`` count
    chains outside of ROUNDS; ``shortfall`` says what did not come back. After ``until`` it comes to its end
    however far it is.
    """

    pair: Pair
    config: QueueConfig
    wanted: int
    seed: int = 0
    operations: int = 0
    advanced: int = 0
    accepted: int = 0
    returned: int = 0
    shortfall: str = ""
    until: Deadline | None = None

    def go(self) -> Failure | None:
        """Do the whole run, destroying the queue included; the first failure ends it."""
        generator = Generator(self.config.queue_size, self.pair.offered, self.seed, self.config.features)
        failure = self.pair.begin(self.config)
        if failure is not None:
            return failure
        for phase in islice(generator.phases(), _OPENING):
            failure = self._run(phase)
            if failure is not None:
                return failure
        free = self._num_free
        failure = self._to_the_wrap(generator)
        while failure is None and not self._enough:
            failure = self._run(generator.phase())
        failure = failure or self._run(generator.drain())
        if failure is not None:
            return failure
        self._judge(free)
        return self._run(generator.whole_ring()) or self.pair.end()

    @property
    def passed_the_wrap(self) -> bool:
        """Whether avail_idx went past 65535."""
        return self.advanced > WRAP

    def carried(self) -> Carried:
        """Return what it came to."""
        return Carried(self.config.queue_size, self.operations, self.advanced, self.accepted, self.shortfall)

    @property
    def _enough(self) -> bool:
        if self.until is not None and self.until.passed():
            return True
        if self.operations >= _PATIENCE * self.wanted:
            return True
        return self.operations >= self.wanted and self.passed_the_wrap

    def _to_the_wrap(self, generator: Generator) -> Failure | None:
        """Go nearly to 65535 by rounds, without a kick if that can be; then across in a ring partly full."""
        margin = min(3 * self.config.queue_size, 300)
        rounds = max(0, WRAP - margin - self.advanced)
        if self.pair.publishes_at_kick:
            return self._run(generator.rounds(rounds))
        return self._run(generator.rounds(rounds, kick=False)) or self._run(generator.unkicked(_UNKICKED))

    def _run(self, operations: bytes) -> Failure | None:
        before = self.advanced & (WRAP - 1)
        failure = self.pair.run(operations)
        if failure is not None:
            return failure
        results = self.pair.results
        self.operations += len(operations) // OP.size
        if operations[0] == Code.ROUNDS:
            self.advanced += Result(*RESULT.unpack_from(results)).status
            return None
        self.advanced += (Result(*RESULT.unpack(results[-RESULT.size :])).avail_idx - before) & (WRAP - 1)
        codes = operations[:: OP.size]
        for code, values in zip(codes, RESULT.iter_unpack(results), strict=True):
            if code == Code.ADD:
                self.accepted += values[0] == 0
            elif code == Code.GET:
                self.returned += values[0] == 1
        return None

    @property
    def _num_free(self) -> int:
        return Result(*RESULT.unpack(self.pair.results[-RESULT.size :])).num_free

    def _judge(self, free: int) -> None:
        if self.accepted != self.returned and Code.GET in self.pair.offered:
            self.shortfall = f"{self.accepted:,} chains were accepted and {self.returned:,} came back"
        elif self._num_free != free and NUM_FREE_UNKNOWN not in (free, self._num_free):
            self.shortfall = f"drained, num_free was {free} at first and is {self._num_free} at the end"
