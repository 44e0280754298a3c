"""The canonical run: of all that show the same, always the same one, the shortest and plainest.

Two runs that a search may find differ in what does not matter; here that is chosen once for all. Among the
runs in which the same part of the same property breaks at the last operation and not before, and in which the
reference without the defect breaks nothing, the first is taken by this order:

1. nothing else breaks on the way, if that can be within the length of the run that was found;
2. the fewest operations;
3. the smallest queue, then the fewest features (of those of the run that was found);
4. the fewest values beyond 0 and 1 among the arguments, then the smallest such values;
5. operation by operation, first the action in the order of the model's, then its argument.

It is found by walking all those runs on the reference in that order, not from the run that was found: of that
one only the bounds are taken, that is its length, its size and features and its values. A state met before is
not entered again, which loses no run that comes first. Rounds, which take seconds, stay as they were found,
and so do size and features after them; the search looks for their smallest count already.

Walking is bounded by a count of steps. When it ends so, the run is given back as it was found, and ``whole``
is false.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from types import ModuleType

from ..impl.harness.operations import Code, Op
from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX
from .exploration import Allowance, Explorer, Spent, breaks, signature
from .properties import Mark

_MOST_STEPS = 30_000
_MOST_VALUES = 2
_PLAIN = frozenset((0, 1))
_EVENTS = (0xFFFF,)


@dataclass(frozen=True, slots=True)
class Canonical:
    """The run to show; ``whole`` says that every run before it in the order was looked at."""

    config: QueueConfig
    operations: tuple[Op, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """What a run has to show: the part of a property, and the reference that breaks it."""

    property: str
    conjunct: str
    reference: ModuleType


def canonical(config: QueueConfig, ops: Sequence[Op], fault: Fault, *, most: int = _MOST_STEPS) -> Canonical:
    """The canonical run like ``ops``, which must show ``fault`` at its last operation and nowhere before.

    Its operations must be of those that a search uses, rounds only at the beginning; a run of others is given
    back as it is. ``most`` bounds the steps taken on the reference.
    """
    ops = tuple(ops)
    rounds = tuple(op for op in ops if op.code == Code.ROUNDS)
    if not ops or ops[: len(rounds)] != rounds or any(op.code not in _ORDER for op in ops[len(rounds) :]):
        return Canonical(config, ops, whole=False)
    allowance, configs = Allowance(most), list(_configs(config, fixed=bool(rounds)))
    try:
        for quiet in (True, False):
            walks = [_Walk(other, rounds, fault, allowance, quiet=quiet) for other in configs]
            for length, walk in product(range(1, len(ops) - len(rounds) + 1), walks):
                sets = list(_value_sets(walk.config, ops))
                found = walk.longer(frozenset().union(*sets))
                if found is None:
                    continue
                if not _PLAIN.issuperset(op.a for op in found):
                    runs = (walk.first(length, values) for values in sets)
                    found = next(run for run in runs if run is not None)
                return Canonical(walk.config, (*rounds, *found), whole=True)
    except Spent:
        pass
    return Canonical(config, ops, whole=False)


_ORDER = {
    code: place
    for place, code in enumerate(
        (Code.ADD, Code.READ, Code.COMPLETE, Code.GET, Code.KICK, Code.SET_AVAIL_EVENT, Code.SET_FLAGS)
    )
}


def _configs(config: QueueConfig, *, fixed: bool) -> Iterator[QueueConfig]:
    """Queues no larger and with no other features, the smallest and then the plainest first."""
    if fixed:
        yield config
        return
    bits = [1 << place for place in range(64) if config.features >> place & 1]
    size = 1
    while size < config.queue_size:
        yield from _plainer(config, size, bits)
        size *= 2
    yield from _plainer(config, config.queue_size, bits)


def _plainer(config: QueueConfig, size: int, bits: Sequence[int]) -> Iterator[QueueConfig]:
    for count in range(len(bits) + 1):
        for chosen in combinations(bits, count):
            yield replace(config, queue_size=size, features=sum(chosen))


def _value_sets(config: QueueConfig, ops: Sequence[Op]) -> Iterator[frozenset[int]]:
    """Sets of values for arguments, the smallest sets first; last those that the run has."""
    more = [*range(2, config.queue_size + 2), *_EVENTS]
    for count in range(_MOST_VALUES + 1):
        for chosen in combinations(more, count):
            yield _PLAIN.union(chosen)
    yield _PLAIN.union(op.a for op in ops if op.code != Code.ROUNDS)


class _Walk:
    """All runs on one queue, in order."""

    def __init__(
        self, config: QueueConfig, rounds: tuple[Op, ...], fault: Fault, left: Allowance, *, quiet: bool
    ) -> None:
        self.config, self._rounds, self._fault, self._quiet = config, rounds, fault, quiet
        self._accused = Explorer(config, fault.reference, left)
        self._sound = Explorer(config, None, left)
        self._start: Mark | None = None
        for op in rounds:
            result, found = self._accused.step(op)
            if result is None or breaks(found, fault.property, fault.conjunct) or (quiet and found):
                return
        self._start = self._accused.mark()
        self._ends: list[tuple[Mark, tuple[Op, ...]]] = [(self._start, ())]
        self._known: set[Hashable] = {signature(self._start)}

    def longer(self, values: frozenset[int]) -> tuple[Op, ...] | None:
        """Look at the runs that are one operation longer than at the call before; the first that shows it.

        ``values`` must be the same at each call. Raises Spent.
        """
        if self._start is None:
            return None
        ends: list[tuple[Mark, tuple[Op, ...]]] = []
        for mark, before in self._ends:
            for run, after in self._further(mark, before, values):
                if after is None:
                    return run
                state = signature(after)
                if state not in self._known:
                    self._known.add(state)
                    ends.append((after, run))
        self._ends = ends
        return None

    def first(self, length: int, values: frozenset[int]) -> tuple[Op, ...] | None:
        """The first run of ``length`` operations with arguments of ``values``, or None. Raises Spent."""
        if self._start is None:
            return None
        self._ends, self._known = [(self._start, ())], {signature(self._start)}
        runs = (self.longer(values) for _ in range(length))
        return next((run for run in runs if run is not None), None)

    def _further(
        self, mark: Mark, before: tuple[Op, ...], values: frozenset[int]
    ) -> Iterator[tuple[tuple[Op, ...], Mark | None]]:
        """Each run that has one operation more than ``before``, which led to ``mark``, and where it ends.

        One that shows the fault has no end; one that cannot go on, or breaks what it may not, is left out.
        """
        explorer, fault = self._accused, self._fault
        explorer.back(mark)
        for op in list(self._steps(sorted(values))):
            explorer.back(mark)
            result, found = explorer.step(op)
            run = (*before, op)
            if breaks(found, fault.property, fault.conjunct):
                named = any((one.property, one.conjunct) == (fault.property, fault.conjunct) for one in found)
                if named and self._sound.clean((*self._rounds, *run)):
                    yield run, None
            elif result is not None and not (self._quiet and found):
                yield run, explorer.mark()

    def _steps(self, values: Sequence[int]) -> Iterator[Op]:
        """The operations that make sense at the moment the accused stands at, in order."""
        size = self.config.queue_size
        unread, held, _, _ = self._accused.outstanding
        yield from (Op(Code.ADD, a=a) for a in values if 0 < a <= size + 1)
        if unread:
            yield Op(Code.READ, a=1)
        yield from (Op(Code.COMPLETE, a=pick, c=1) for pick in values if pick < held)
        yield Op(Code.GET)
        yield Op(Code.KICK)
        if self.config.features & F_EVENT_IDX:
            yield from (Op(Code.SET_AVAIL_EVENT, a=event) for event in values)
        yield from (Op(Code.SET_FLAGS, a=flag) for flag in (0, 1))
