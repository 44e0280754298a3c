"""Whether the hypotheses of obligations can hold together: a proof from a contradiction proves nothing.

They are looked at on small rings, of several sizes, with every quantifier spelt out. There ``slot`` is the
remainder, so a ring found also satisfies the facts that ``EverySize`` assumes of it. One size shows a claim
not to be empty; some say nothing of the smallest (the second link of a free list needs two descriptors).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import z3

from .cache import Cache
from .fingerprint import key
from .solver import Answer, options, satisfy
from .stages import question, stage
from .theorem import Obligation, Query

SIZES = {2: 12_000_000, 4: 12_000_000, 8: 300_000}
"""Queue sizes, and the resources for a ring of any shape there: at the largest that may take seconds."""

PLAIN = 300_000
"""Resources for each ring of plain shape, which are looked for first: the dearest takes two thirds."""

CHAINS = (1, 0)
"""How many chains a plain ring has ever been given."""


@dataclass(frozen=True)
class Shown:
    """That hypotheses can hold, at one queue size (none if they know none), the answer's key and cost."""

    queue_size: int | None
    key: str | None
    seconds: float = 0.0
    rlimit: int = 0

    def keep(self, cache: Cache) -> None:
        """See to it that the cache has the answer."""
        if self.key and cache.figures("witness", self.key) is None:
            cache.write("witness", self.key, {"seconds": self.seconds, "rlimit": self.rlimit})


@dataclass(frozen=True)
class Witness:
    """Where the hypotheses of each obligation were shown to hold together, in order; and what it cost.

    An obligation for which there is nothing may be empty.
    """

    shown: tuple[tuple[Shown, ...], ...]
    seconds: float
    rlimit: int

    @property
    def vacuous(self) -> bool:
        """Whether some obligation's hypotheses could not be shown to hold together."""
        return not all(self.shown)


@dataclass(frozen=True)
class _Look:
    shown: tuple[Shown, ...]
    seconds: float
    rlimit: int


_looked: dict[tuple[Any, ...], tuple[Query, _Look]] = {}


def witness(obligations: Sequence[Obligation], model: type, cache: Cache | None = None) -> Witness:
    """Look whether the hypotheses of each obligation can hold together.

    Obligations whose hypotheses are the same are looked at once in a process: only then do they take time,
    but their resources count for each group, so counts don't depend on who came first. What is looked at on
    small rings stands for the hypotheses about every size, so it is those that have to be the same.
    """
    seconds, rlimit = 0.0, 0
    shown: list[tuple[Shown, ...]] = []
    met: set[tuple[Any, ...]] = set()
    for obligation in obligations:
        query = question(obligation, model)
        same = (model, cache is None, *(hypothesis.get_id() for hypothesis in query.hypotheses.values()))
        if same not in _looked:
            # The query is kept, and with it the numbers of its terms.
            _looked[same] = query, _look(obligation, query, model, cache)
            seconds += _looked[same][1].seconds
        look = _looked[same][1]
        if same not in met:
            met.add(same)
            rlimit += look.rlimit
            if cache is not None:
                for each in look.shown:
                    each.keep(cache)
        shown.append(look.shown)
    return Witness(tuple(shown), seconds, rlimit)


def _look(obligation: Obligation, query: Query, model: type, cache: Cache | None) -> _Look:
    if not obligation.every_size:
        result, name, answer = _asked(query, None, max(SIZES.values()), cache)
        shown_so = Shown(None, name, answer.seconds, answer.rlimit)
        return _Look((shown_so,) if result else (), answer.seconds, answer.rlimit)
    shown: list[Shown] = []
    seconds, rlimit = 0.0, 0
    for queue_size, budget in SIZES.items():
        small = obligation.build(stage(model, queue_size))
        result, name, answer = _asked(small, queue_size, budget, cache)
        seconds, rlimit = seconds + answer.seconds, rlimit + answer.rlimit
        if result:
            shown.append(Shown(queue_size, name, answer.seconds, answer.rlimit))
    return _Look(tuple(shown), seconds, rlimit)


def _asked(
    query: Query, queue_size: int | None, budget: int, cache: Cache | None
) -> tuple[bool, str | None, Answer]:
    """Tell whether the query's hypotheses can hold together, the answer's key, and what it cost."""
    name = key("witness", query, [options(budget), PLAIN, CHAINS], goal=False) if cache else None
    if cache and name and (known := cache.figures("witness", name)):
        return True, name, Answer("sat", *known)
    answer = Answer("unknown", 0.0, 0)
    seconds, rlimit = 0.0, 0
    for extra, limit in (*((each, PLAIN) for each in _plain(query, queue_size)), ({}, budget)):
        answer = satisfy(replace(query, hypotheses={**query.hypotheses, **extra}), limit)
        seconds, rlimit = seconds + answer.seconds, rlimit + answer.rlimit
        if answer.result == "sat":
            break
    answer = replace(answer, seconds=seconds, rlimit=rlimit, model=None)
    return answer.result == "sat", name, answer


def _plain(query: Query, queue_size: int | None) -> Iterator[dict[str, z3.BoolRef]]:
    """Yield what makes a ring easy to find, if the first state is one: what holds with more holds with less.

    Descriptors lie in their own positions, and the first chain ever, or none, has been added.
    """
    state = next(iter(query.states.values()), None)
    fields = [getattr(state, name, None) for name in ("gpos", "gat", "last_used", "last_kick", "published")]
    gpos, gat, *counts = fields
    if queue_size is None or not (callable(gpos) and callable(gat)):
        return
    if not all(isinstance(count, z3.ArithRef) for count in counts):
        return
    numbers = [z3.IntVal(number) for number in range(queue_size)]
    lies = z3.And([z3.And(gpos(number) == number, gat(number) == number) for number in numbers])
    for chains in CHAINS:
        young = [count == most for count, most in zip(counts, (0, 0, chains), strict=True)]
        yield {"plain order": lies, "plain age": z3.And(young)}
