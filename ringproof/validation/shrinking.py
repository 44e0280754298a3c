"""Shrinking: from a long run that fails to a short one that fails in the same way.

Everything here works through a predicate and stops at a deadline with the best found so far; what is
returned has always been seen to fail.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product

from ..impl.harness.operations import RESULT, Code, Op, OpFlag, Result
from ..impl.harness.reference_runner import QueueConfig, ReferenceRunner, Violation
from .failure import Failure
from .plainest import plainest

_ROUND = (Op(Code.ADD, a=1), Op(Code.KICK), Op(Code.READ, a=1), Op(Code.COMPLETE, c=1), Op(Code.GET))
_FEW_ROUNDS = 3  # are all written out
_TO_THE_WRAP = (1 << 16, (1 << 16) + 2)  # rounds: as many as there are indices, and a little more
_WORTH_ROUNDS = 8  # operations; fewer need no rounds in their place
_SHORT = 300  # operations; a run this short is shrunk as it is

Fails = Callable[[Sequence[Op]], bool]
"""Runs operations from a new queue and says whether they fail in the way that is being looked for."""

Attempt = Callable[[QueueConfig, list[Op]], Failure | None]
"""Runs operations on a new queue; what fails first."""


class Deadline:
    """A point in time, ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self._at

    @property
    def left(self) -> float:
        """Seconds until then, 0 when passed."""
        return max(0.0, self._at - time.monotonic())


def without_needless(operations: Sequence[Op], fails: Fails, deadline: Deadline) -> list[Op]:
    """Return a subsequence that still fails and from which no single operation can be taken (ddmin).

    ``operations`` must fail. At the deadline it may still hold needless ones.
    """
    kept = list(operations)
    size = max(1, len(kept) // 2)
    while kept:
        at = 0
        removed = False
        while at < len(kept):
            if deadline.passed():
                return kept
            shorter = kept[:at] + kept[at + size :]
            if shorter and fails(shorter):
                kept = shorter
                removed = True
            else:
                at += size
        if size > 1:
            size = max(1, size // 2)
        elif not removed:
            break
    return kept


def simplified(operations: Sequence[Op], fails: Fails, deadline: Deadline) -> list[Op]:
    """Return the same operations with arguments as small and flags as few as still fail."""
    kept = list(operations)
    for at in range(len(kept)):
        for simpler in _simpler(kept[at]):
            if deadline.passed():
                return kept
            if simpler == kept[at]:
                break  # those that follow are no simpler
            attempt = [*kept[:at], simpler, *kept[at + 1 :]]
            if fails(attempt):
                kept = attempt
                break
    return kept


def shortest(operations: Sequence[Op], fails: Fails, deadline: Deadline) -> list[Op]:
    """Both, in turns, until neither helps."""
    kept = list(operations)
    while not deadline.passed():
        shorter = simplified(without_needless(kept, fails, deadline), fails, deadline)
        if shorter == kept:
            break
        kept = shorter
    return kept


def _simpler(operation: Op) -> Iterator[Op]:
    """Simpler operations of the same kind, the simplest first."""
    code = operation.code
    if code == Code.ADD:
        yield Op(code, a=1)
        yield operation._replace(flags=0, b=0)
        for out in range(1, min(operation.a + operation.in_, 4)):
            yield Op(code, operation.flags, a=out)
        yield Op(code, operation.flags, a=operation.a + operation.in_)
        yield operation._replace(b=0)
    elif code == Code.READ:
        yield Op(code, a=1)
        yield Op(code)
    elif code == Code.COMPLETE:
        yield Op(code, c=1)
        yield Op(code, a=1, c=1)
        yield Op(code, c=operation.c)
        yield operation._replace(c=1)
        yield operation._replace(a=operation.a & 1, b=0)
    elif code == Code.SET_AVAIL_EVENT:
        yield Op(code)
        for word in (0, 1, 0xFFFF):
            yield Op(code, OpFlag.RELATIVE, a=word)
    elif code == Code.SET_FLAGS:
        yield Op(code)
    elif code == Code.ROUNDS:
        yield from (operation._replace(a=count) for count in _fewer_rounds(operation.a))
        yield operation._replace(flags=0)
        yield operation._replace(b=0)


def _fewer_rounds(count: int) -> Iterator[int]:
    """Numbers of rounds to try instead: few ones, then those that bring the indices just before a wrap."""
    for fewer in (1, 2, 3, 4, 8):
        if fewer < count:
            yield fewer
    near = count // 2
    while near > 8:  # halving, for failures that need some number of rounds but not a wrap
        yield near
        near //= 4
    for fewer in (0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000, 0x10001):
        if fewer < count:
            yield fewer


def reduced(failure: Failure, attempt: Attempt, seconds: float) -> Failure:
    """Return the failure with as few and as simple operations as ``seconds`` allow to find.

    What is returned failed the same check when ``attempt`` ran it, or is ``failure`` itself when nothing
    shorter did. A short one is then told as plainly as a few more tries allow.
    """
    deadline = Deadline(seconds)
    best = failure.cut()

    def fails(operations: Sequence[Op]) -> bool:
        nonlocal best
        other = attempt(failure.config, list(operations))
        if other is None or not failure.like(other):
            return False
        if _weight(other.cut()) < _weight(best):
            best = other.cut()
        return True

    for start in _starts(failure):
        if deadline.passed():
            break
        if fails(start):
            for later in _later_starts(failure.config, best.operations):
                if deadline.passed() or fails(later):
                    break
            shortest(best.operations, fails, deadline)
            break
    return plainest(_unrolled(best, failure, attempt, deadline), attempt)


def _unrolled(best: Failure, failure: Failure, attempt: Attempt, deadline: Deadline) -> Failure:
    """Write the last of a failure's rounds out, where it fails inside a ROUNDS.

    Longer by a few operations, but it shows the step that fails.
    """
    last = best.operations[-1] if best.operations else None
    if last is None or last.code != Code.ROUNDS:
        return best
    quiet = last.flags & OpFlag.NO_KICK
    once = [operation for operation in _ROUND if not (quiet and operation.code == Code.KICK)]
    before = list(best.operations[:-1])
    if last.a > _FEW_ROUNDS:
        before.append(last._replace(a=last.a - 1))
    written = once * (1 if last.a > _FEW_ROUNDS else last.a)
    clear = best

    def fails(tail: Sequence[Op]) -> bool:
        nonlocal clear
        other = attempt(failure.config, [*before, *tail])
        if other is None or not failure.like(other):
            return False
        clear = other.cut()
        return True

    if fails(written):
        without_needless(written, fails, deadline)
    return clear


def _weight(failure: Failure) -> tuple[int, int]:
    return len(failure.operations), sum(sum(operation) for operation in failure.operations)


def _starts(failure: Failure) -> Iterator[list[Op]]:
    """Where to begin: the end of a long run after nothing, then after rounds that give the same indices."""
    whole = list(failure.cut().operations)
    if len(whole) > _SHORT:
        for flags, rounds in product((0, OpFlag.NO_KICK), _TO_THE_WRAP):
            yield [Op(Code.ROUNDS, flags, a=rounds), Op(Code.KICK), Op(Code.GET), *_ROUND, Op(Code.GET)]
    for at, avail_idx in _marks(failure):
        tail = whole[at:]
        yield tail
        for rounds in (avail_idx, (1 << 16) - 4):
            for flags in (OpFlag.NO_KICK, 0):
                yield [Op(Code.ROUNDS, flags, a=rounds), *tail]
    yield whole


def _later_starts(config: QueueConfig, operations: Sequence[Op]) -> Iterator[list[Op]]:
    """Yield the same end after rounds that replace all before it, up to where everything had come back."""
    if len(operations) < _WORTH_ROUNDS:
        return
    runner = ReferenceRunner(config)
    try:
        results = runner.run(operations)
    except (Violation, ValueError):
        return
    quiet = operations[0].flags if operations[0].code == Code.ROUNDS else 0
    advanced, drained = 0, []
    for at, (operation, values) in enumerate(zip(operations, RESULT.iter_unpack(results), strict=True)):
        result = Result(*values)
        if operation.code == Code.ROUNDS:
            advanced += result.status
        elif operation.code == Code.ADD:
            advanced += result.status == 0
        if result.num_free == config.queue_size and result.avail_idx == result.used_idx:
            drained.append((at + 1, advanced))
    for at, rounds in reversed(drained[:-1] if drained and drained[-1][0] == len(operations) else drained):
        if operations[at - 1].code not in (Code.ROUNDS, Code.KICK):
            yield [Op(Code.ROUNDS, quiet, a=rounds), *operations[at:]]


def _marks(failure: Failure) -> list[tuple[int, int]]:
    """Return the last arrays begun before the failure; none when the run is short anyway."""
    before = [mark for mark in failure.marks if 0 < mark[0] <= failure.step]
    if len(failure.operations) <= _SHORT:
        return []
    return [before[-at] for at in (1, 2, 4) if at <= len(before)]
