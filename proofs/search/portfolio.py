"""Which sizes and starts a search tries, in what order: fewest operations first, whatever the mutant."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...model.unrolled import Unrolled
from ..mutants.catalog import CATALOG
from ..mutants.unrolled import MUTANTS, UNSEEDED
from .counterexample import Budget, Counterexample, Found, NotFound, Result, Unknown
from .deepening import DEFAULT_BUDGET, Deepening
from .properties import EVERYTHING, conjuncts
from .rounds import Start, starts
from .solving import Exhausted

DEFAULT_DEPTH = 8

ROUNDS_WEIGHT = 4
"""How many operations a batch of rounds counts for: a run from creation wins if it is not much longer."""

PREFERRED: dict[str, tuple[str, ...]] = {
    # num_free is off as well; what matters is that descriptors are gone.
    "A2": ("no-leak-no-double-allocation/none-lost",),
    # As with A2; a smaller ring has no descriptor to lose.
    "X4": ("no-leak-no-double-allocation/none-lost",),
    # The slot does not hold the head either; what matters is what the device makes of it.
    "X6": ("device-reads-outstanding/in-flight",),
    # Both also notify in vain, and sooner; what hurts is the kick that is lost.
    "D1": ("need-event-exact/no-kick-lost",),
    "X1": ("need-event-exact/no-kick-lost",),
}
"""What to look for first, by mutant; everything else is looked for only if that is not found."""


@dataclass(slots=True)
class Lane:
    """One search among those that are interleaved: what its start counts for, and how deep it goes."""

    weight: int
    steps: int
    search: Deepening

    def __str__(self) -> str:
        model, start = self.search.model, self.search.start
        feature = "with EVENT_IDX" if model.event_idx else "without EVENT_IDX"
        rounds = [
            word for word, batch in (("kicked", start.kicked), ("quiet", start.quiet)) if batch is not None
        ]
        begun = f"after {' and '.join(rounds)} rounds" if rounds else "from creation"
        return f"{model.queue_size} descriptors {feature} {begun}: {self.search.depth} operations"


def _lanes(build: Callable[..., Unrolled], targets: Sequence[str], budget: Budget) -> Iterator[Lane]:
    """What the portfolio looks at, the plainest first.

    The bounds keep the lanes about equally dear: a larger ring and free indices make each step cost more.
    """
    wanted = conjuncts(targets)
    plain = ((2, True, 9), (2, False, 6), (4, True, 5))
    for queue_size, event_idx, steps in plain:
        model = build(queue_size, event_idx=event_idx)
        yield Lane(0, steps, Deepening(model, wanted, Start(model.initial()), budget))
    model = build(2, event_idx=True)
    for start in starts(model, wanted, budget):
        # Two free counters make a step dearer than one, and num_added dearer than an index.
        steps = 2 if start.batches == 2 else 5 if start.quiet is None else 3
        yield Lane(ROUNDS_WEIGHT * start.batches, steps, Deepening(model, wanted, start, budget))


def _interleaved(lanes: Sequence[Lane], depth: int) -> Counterexample | None:
    """The violation of least weight over all lanes, earlier lanes first; None up to ``depth``."""
    for weight in range(1, depth + 1):
        for lane in lanes:
            if not lane.weight < weight <= lane.weight + lane.steps:
                continue
            if (found := lane.search.deepen()) is not None:
                return found
    return None


def find(
    build: Callable[..., Unrolled],
    *,
    first: Sequence[str] = (),
    properties: Sequence[str] = EVERYTHING,
    depth: int = DEFAULT_DEPTH,
    budget: int = DEFAULT_BUDGET,
) -> Result:
    """Search the model class ``build`` through the portfolio; ``first`` are looked for before ``properties``.

    ``depth`` bounds the operations of a run, a batch of rounds counting as :data:`ROUNDS_WEIGHT`. No queue is
    looked at any further than its lane goes: ``depth`` of the result is how far all of them were.
    """
    began, allowance = time.monotonic(), Budget(budget)
    found: Counterexample | None = None
    lanes: list[Lane] = []
    try:
        if first:
            found = _interleaved(list(_lanes(build, first, allowance)), depth)
        if found is None:
            lanes = list(_lanes(build, properties, allowance))
            found = _interleaved(lanes, depth)
    except Exhausted as reason:
        return Unknown(str(reason), 0, time.monotonic() - began, allowance.spent)
    seconds = time.monotonic() - began
    if found is None:
        clean = min(lane.search.depth for lane in lanes if not lane.weight)
        return NotFound(clean, seconds, allowance.spent, tuple(str(lane) for lane in lanes))
    return Found(found, seconds, allowance.spent)


def find_trace(mutant: str, *, depth: int = DEFAULT_DEPTH, budget: int = DEFAULT_BUDGET) -> Result:
    """Search the counterexample of one mutant of the catalog.

    Raises KeyError for an id the catalog does not have, LookupError for one the unrolled model lacks.
    """
    name = CATALOG[mutant].id
    if name not in MUTANTS:
        raise LookupError(UNSEEDED.get(name, f"mutant {name} is not seeded into the unrolled model"))
    result = find(MUTANTS[name], first=PREFERRED.get(name, ()), depth=depth, budget=budget)
    if isinstance(result, Found):
        return replace(result, trace=replace(result.trace, mutant=name))
    return result
