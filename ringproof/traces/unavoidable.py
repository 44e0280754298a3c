"""The first step from which a violation is unavoidable, found by trying every way on.

A way is what driver and device may do after a moment, of a small alphabet: any step of the run again, add of
1 segment, read 1, complete any chain held, get, kick, flags back to 0 and an event at the next chain if the
run moves those. From creation on it has at most one add more than the run. A way ends where the part breaks,
where driver or device cannot go on, or where the queue is at rest: every chain read, completed, got and
kicked for. If one comes to rest with the part unbroken all along, the violation was still avoidable.

As a way after step k + 1 is one after step k too, what is unavoidable stays so. It is no proof that nothing
else, such as more adds or larger ones, would have avoided it.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from ..impl.harness.operations import Code, Op, OpFlag
from .exploration import Explorer, Spent, breaks, signature
from .properties import Mark

_ONE_MORE = 1
_EVERY_TIME = (Op(Code.KICK), Op(Code.ADD, a=1))


@dataclass(frozen=True, slots=True)
class Unavoidable:
    """From which step on, as states are numbered, and in words what was tried."""

    step: int
    words: str


def unavoidable(
    explorer: Explorer, ops: Sequence[Op], property: str, conjunct: str, broken: int
) -> Unavoidable | None:
    """The first step after which every way on breaks the part that step ``broken`` (from 1) breaks.

    None when too many steps were taken before anything was known.
    """
    marks = [explorer.beginning]
    explorer.back(explorer.beginning)
    try:
        for op in ops[: broken - 1]:
            explorer.step(op)
            marks.append(explorer.mark())
    except Spent:
        return None
    ways = Ways(explorer, ops, property, conjunct)
    for after in range(broken - 1, -1, -1):
        tried = ways.broken, ways.stopped
        try:
            avoidable = ways.well(marks[after], sum(op.code == Code.ADD for op in ops[:after]))
        except Spent:
            beyond = "; whether it was before, there are too many ways to try"
            return None if after + 1 == broken else _told(after + 1, *tried, beyond)
        if avoidable:
            return _only(broken) if after + 1 == broken else _told(after + 1, *tried)
    return _told(0, ways.broken, ways.stopped)


def _only(step: int) -> Unavoidable:
    words = f"only at step {step}: before it, the queue could still come to rest without breaking it"
    return Unavoidable(step, words)


def _told(step: int, breaking: int, stopping: int, beyond: str = "") -> Unavoidable:
    tried = breaking + stopping
    count = f"each of the {tried} ways" if tried > 1 else "the one way"
    ends = "breaks it, or stops driver or device" if stopping else "breaks it"
    words = f"from step {step} on: {count} tried to let the queue come to rest {ends}{beyond}"
    return Unavoidable(step, words)


class Ways:
    """Ways on from moments of one run; a state that was left in vain is never entered again.

    ``broken`` counts the different steps that broke the part, ``stopped`` those after which nothing went on.
    """

    def __init__(self, explorer: Explorer, ops: Sequence[Op], property: str, conjunct: str) -> None:
        self.broken = self.stopped = 0
        self._explorer = explorer
        self._part = property, conjunct
        self._most_adds = sum(op.code == Code.ADD for op in ops) + _ONE_MORE
        own = [op for op in ops if op.code not in (Code.ROUNDS, Code.READ, Code.COMPLETE, Code.DETACH_UNUSED)]
        codes = {op.code for op in own}
        neutral = [
            *([Op(Code.SET_FLAGS)] if Code.SET_FLAGS in codes else []),
            *([Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE)] if Code.SET_AVAIL_EVENT in codes else []),
        ]
        self._others = list(dict.fromkeys((*_EVERY_TIME, *neutral, *own)))
        self._dead: set[Hashable] = set()

    def well(self, start: Mark, adds: int) -> bool:
        """Whether some way on from ``start``, which ``adds`` adds led to, ends well. Raises Spent."""
        explorer = self._explorer
        explorer.back(start)
        if not any(explorer.outstanding):
            return True
        self._dead.add((signature(start), adds))
        stack = [(start, adds, self._steps(adds))]
        while stack:
            mark, adds, steps = stack[-1]
            op = next(steps, None)
            if op is None:
                stack.pop()
                continue
            explorer.back(mark)
            result, found = explorer.step(op)
            if breaks(found, *self._part):
                self.broken += 1
                continue
            if result is None:
                self.stopped += 1
                continue
            if not any(explorer.outstanding):
                return True
            after, adds = explorer.mark(), adds + (op.code == Code.ADD)
            state = (signature(after), adds)
            if state not in self._dead:
                self._dead.add(state)
                stack.append((after, adds, self._steps(adds)))
        return False

    def _steps(self, adds: int) -> Iterator[Op]:
        """The steps to try at the moment the explorer stands at, those that bring it to rest first."""
        unread, held, untaken, _ = self._explorer.outstanding
        steps = [Op(Code.GET)] if untaken else []
        steps += [Op(Code.COMPLETE, a=pick, c=1) for pick in range(held)]
        steps += [Op(Code.READ, a=1)] if unread else []
        steps += [op for op in self._others if op.code != Code.ADD or adds < self._most_adds]
        return iter(steps)
