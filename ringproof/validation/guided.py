"""The guided search: arrays of operations that reach something new are kept, and changed to reach more.

What is new is told by an instrumented driver (blocks of its code, see :mod:`.coverage`), and of any driver by
its answers: which operation after which other, with what result, in a ring how full. What a driver does wrong
is judged by the pair, as always.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, runtime_checkable

from ..impl.harness.operations import NUM_FREE_UNKNOWN, RESULT, Code, Op, OpFlag
from ..impl.harness.reference_runner import QueueConfig
from .failure import Failure
from .generator import CALLBACK_CODES, packed
from .machine import Runner
from .shrinking import Deadline

EXAMPLES = 100_000
"""Arrays tried at most, so that a search with time to spare ends the same way again."""

_ALL = 0xFFFF_FFFF
_LONGEST = 300  # operations of an array
_MOST_FILLED = 64  # chains of one filling
_NEAR_WRAP = 0x1_0000 - 4  # rounds: the same for all, as the reference's state after them is kept
_WRAPPING_SIZES = (4, 2, 8, 1)
_WRAPPING_ONE_IN = 64
_WRAPPING_SECONDS = 15.0  # the first way to the wrap takes the reference a second or more: too much of less
_FEW_ROUNDS = 9
_EVENTS = (0, 0, 1, 2, 3, 0xFFFF, 0xFFFE, 0x8000)

Operations = list[Op]
_Answer = tuple[int, ...]


@runtime_checkable
class Covering(Protocol):
    """A process whose driver may tell which places of its code were reached."""

    def coverage(self) -> tuple[int, ...]:
        """Return all places reached so far, those of earlier queues included."""


class Recording(Runner, Protocol):
    """What is explored: a driver and the reference in step, with the results of the last array."""

    results: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """An array that reached something new."""

    config: QueueConfig
    operations: tuple[Op, ...]


def explore(
    pair: Recording, configs: Sequence[QueueConfig], *, seed: int, seconds: float, patience: float
) -> Failure | None:
    """Search for a failure on queues of ``configs``; None when there was none.

    Ends after ``seconds``, or EXAMPLES arrays; a command that takes longer than ``patience`` seconds is a
    hang. Goes by the driver's answers alone where it is not instrumented.
    """
    return Exploration(pair, configs, seed=seed, seconds=seconds, patience=patience).go()


@dataclass(slots=True)
class Exploration:
    """One guided search. ``tried`` arrays were run; ``corpus`` holds those that reached something new."""

    pair: Recording
    configs: Sequence[QueueConfig]
    seed: int
    seconds: float
    patience: float
    examples: int = EXAMPLES
    tried: int = 0
    corpus: list[Kept] = field(default_factory=list)
    _random: Random = field(default_factory=Random)
    _answers: set[_Answer] = field(default_factory=set)
    _places: int = 0

    def go(self) -> Failure | None:
        """Search until something fails, or time or examples are used up."""
        if not self.configs:
            return None
        self._random.seed(self.seed)
        process = self.pair.process
        before, process.patience = process.patience, self.patience
        try:
            return self._search(Deadline(self.seconds))
        finally:
            process.patience = before

    def _search(self, deadline: Deadline) -> Failure | None:
        for config, operations in self._proposals():
            if self.tried and (deadline.passed() or self.tried >= self.examples):
                break
            failure = self._try(config, operations)
            if failure is not None:
                return failure
        return None

    def _proposals(self) -> Iterator[tuple[QueueConfig, Operations]]:
        """Yield a first array for every configuration, then changed ones without end."""
        order = list(self.configs)
        self._random.shuffle(order)
        for config in order:
            yield config, self._some(config, 40)
        wrapping = self._wrapping()
        while True:
            chosen = self._chosen()
            config = chosen.config
            operations = [one for one in chosen.operations if one.code != Code.ROUNDS or one.a <= _FEW_ROUNDS]
            for _ in range(1 + self._random.randrange(4)):
                operations = self._random.choice(_CHANGES)(self, config, operations)
            if self._random.randrange(8) == 0:
                config = self._random.choice(self.configs)
            if wrapping and self._random.randrange(_WRAPPING_ONE_IN) == 0:
                config = self._random.choice(wrapping)
                operations = [Op(Code.ROUNDS, a=_NEAR_WRAP), *operations]
            yield config, operations

    def _wrapping(self) -> list[QueueConfig]:
        """Choose two queues whose indices may be carried to the wrap; none where time is short."""
        if self.seconds < _WRAPPING_SECONDS:
            return []
        small = [config for config in self.configs if config.queue_size in _WRAPPING_SIZES]
        small.sort(key=lambda config: (-config.features, _WRAPPING_SIZES.index(config.queue_size)))
        return small[:2]

    def _chosen(self) -> Kept:
        """Choose one of the corpus; every other time one of the newest."""
        if not self.corpus:
            config = self._random.choice(self.configs)
            return Kept(config, tuple(self._some(config, 40)))
        newest = self.corpus[-16:]
        return self._random.choice(newest if self._random.randrange(2) else self.corpus)

    def _try(self, config: QueueConfig, operations: Operations) -> Failure | None:
        self.tried += 1
        operations = self._lawful(config, operations)
        failure = self.pair.begin(config) or self.pair.run(packed(*operations))
        if failure is not None:
            return failure
        new = self._told_new(config, operations)
        failure = self.pair.end()
        if failure is not None:
            return failure
        process = self.pair.process
        places = len(process.coverage()) if isinstance(process, Covering) else 0
        if new or places > self._places:
            self.corpus.append(Kept(config, tuple(operations[:_LONGEST])))
        self._places = places
        return None

    def _told_new(self, config: QueueConfig, operations: Operations) -> bool:
        """Whether an answer came that had not come before."""
        known = len(self._answers)
        last = 0
        for operation, result in zip(operations, RESULT.iter_unpack(self.pair.results), strict=False):
            status, notifies, num_free, callbacks = result[0], result[1], result[9], result[10]
            if num_free == NUM_FREE_UNKNOWN:
                room = -1
            else:
                room = 2 if num_free >= config.queue_size else int(num_free > 0)
            answer = (last, operation.code, operation.flags, min(status, 2), min(notifies, 1))
            self._answers.add((*answer, min(callbacks, 1), room))
            last = operation.code
        return len(self._answers) > known

    # -- operations that may be asked for --------------------------------------------------------------

    def _lawful(self, config: QueueConfig, operations: Operations) -> Operations:
        """Leave out what the driver does not offer, drain where a round must begin so, and end drained."""
        offered, exact = self.pair.offered, self.pair.exact
        lawful: Operations = []
        detached = False
        for at, operation in enumerate(operations[: _LONGEST + 1]):
            if operation.code not in offered or (detached and operation.code != Code.DETACH_UNUSED):
                continue
            detached = detached or operation.code == Code.DETACH_UNUSED
            if operation.code == Code.ROUNDS:
                operation = self._few_rounds(operation, first=at == 0)
                if lawful and not exact:  # where a round stops early is known only of an empty ring
                    lawful += _drained(config, 0, 0)
            lawful.append(operation)
        if not detached:
            lawful += _drained(config, 0, 0)
        return [operation for operation in lawful if operation.code in offered]

    def _few_rounds(self, operation: Op, first: bool) -> Op:
        """Many rounds come first or not at all; those without a kick need a driver that publishes at once."""
        flags = 0 if self.pair.publishes_at_kick else operation.flags
        return operation._replace(flags=flags, a=operation.a if first else min(operation.a, _FEW_ROUNDS))

    def _some(self, config: QueueConfig, count: int) -> Operations:
        return [self._one(config) for _ in range(count)]

    def _one(self, config: QueueConfig) -> Op:
        """Make one operation of any kind."""
        random = self._random
        below = random.randrange
        kind = below(20)
        if kind < 6:
            return self._add(config)
        if kind < 8:
            return Op(Code.KICK)
        if kind < 11:
            return Op(Code.GET)
        if kind < 13:
            return Op(Code.READ, a=random.choice((0, 1, 1, 2, 3)))
        if kind < 15:
            return Op(Code.COMPLETE, a=below(8), b=below(4), c=random.choice((1, 1, 2, 3, _ALL)))
        if kind < 17:
            codes = sorted(CALLBACK_CODES & self.pair.offered)
            return Op(random.choice(codes)) if codes else Op(Code.KICK)
        if kind == 17:
            return Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=random.choice(_EVENTS))
        if kind == 18:
            return Op(Code.SET_FLAGS, a=below(2))
        rare = (
            Op(Code.SET_AVAIL_EVENT, a=below(0x1_0000)),
            Op(Code.ROUNDS, random.choice((0, OpFlag.NO_KICK)), a=1 + below(_FEW_ROUNDS)),
            Op(Code.DETACH_UNUSED) if below(4) == 0 else Op(Code.INTERRUPT),
        )
        return random.choice(rare)

    def _add(self, config: QueueConfig) -> Op:
        below = self._random.randrange
        size = config.queue_size
        longest = min(size, 64)
        segments = self._random.choice((1, 1, 1, 2, 3, 1 + below(longest), size, size + 1, 0))
        if segments > 512:
            segments = 1 + below(longest)
        in_ = below(segments + 1) if below(3) == 0 else 0
        flags = self._random.choice((0, 0, 0, 0, 0, 0, OpFlag.FAIL_ALLOC, OpFlag.NULL_TOKEN))
        return Op(Code.ADD, flags, in_, segments - in_, below(256))

    # -- changes ---------------------------------------------------------------------------------------

    def _slice(self, operations: Operations) -> tuple[int, int]:
        begin = self._random.randrange(len(operations) + 1)
        return begin, min(len(operations), begin + 1 + self._random.randrange(12))

    def _insert(self, config: QueueConfig, operations: Operations) -> Operations:
        at, _ = self._slice(operations)
        return [*operations[:at], *self._some(config, 1 + self._random.randrange(5)), *operations[at:]]

    def _delete(self, _config: QueueConfig, operations: Operations) -> Operations:
        begin, end = self._slice(operations)
        return operations[:begin] + operations[end:]

    def _duplicate(self, _config: QueueConfig, operations: Operations) -> Operations:
        begin, end = self._slice(operations)
        times = 1 + self._random.randrange(4)
        return operations[:end] + operations[begin:end] * times + operations[end:]

    def _splice(self, _config: QueueConfig, operations: Operations) -> Operations:
        if not self.corpus:
            return operations
        other = self._random.choice(self.corpus).operations
        at, _ = self._slice(operations)
        return [*operations[:at], *other[self._random.randrange(len(other) + 1) :]]

    def _swap(self, _config: QueueConfig, operations: Operations) -> Operations:
        if len(operations) < 2:
            return operations
        at = self._random.randrange(len(operations) - 1)
        return [*operations[:at], operations[at + 1], operations[at], *operations[at + 2 :]]

    def _perturb(self, config: QueueConfig, operations: Operations) -> Operations:
        """Change the arguments of one operation: another one of its kind."""
        if not operations:
            return operations
        at = self._random.randrange(len(operations))
        code = operations[at].code
        if code == Code.ADD:
            other = self._add(config)
        else:
            other = next((one for one in self._some(config, 12) if one.code == code), operations[at])
        return [*operations[:at], other, *operations[at + 1 :]]

    def _failing(self, _config: QueueConfig, operations: Operations) -> Operations:
        """Let an allocation of one ADD fail, or no longer."""
        adds = [at for at, operation in enumerate(operations) if operation.code == Code.ADD]
        if not adds:
            return operations
        at = self._random.choice(adds)
        other = operations[at]._replace(flags=operations[at].flags ^ OpFlag.FAIL_ALLOC)
        return [*operations[:at], other, *operations[at + 1 :]]

    def _fill(self, config: QueueConfig, operations: Operations) -> Operations:
        """Fill the ring, and one more."""
        at, _ = self._slice(operations)
        chains = [Op(Code.ADD, a=1)] * (min(config.queue_size, _MOST_FILLED) + self._random.randrange(2))
        return operations[:at] + chains + operations[at:]

    def _drain(self, config: QueueConfig, operations: Operations) -> Operations:
        """Let everything come back in the middle, in another order each time."""
        at, _ = self._slice(operations)
        pick, stride = self._random.randrange(8), self._random.randrange(4)
        return operations[:at] + _drained(config, pick, stride) + operations[at:]


_Change = Callable[[Exploration, QueueConfig, Operations], Operations]
_CHANGES: tuple[_Change, ...] = (
    Exploration._insert,
    Exploration._insert,
    Exploration._delete,
    Exploration._duplicate,
    Exploration._splice,
    Exploration._swap,
    Exploration._perturb,
    Exploration._perturb,
    Exploration._failing,
    Exploration._fill,
    Exploration._drain,
)


def _drained(config: QueueConfig, pick: int, stride: int) -> Operations:
    """Everything read, completed by one store and taken back."""
    taken = [Op(Code.GET)] * (min(config.queue_size, 2 * _MOST_FILLED) + 1)
    return [Op(Code.KICK), Op(Code.READ), Op(Code.COMPLETE, a=pick, b=stride, c=_ALL), *taken]
