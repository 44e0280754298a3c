"""Which sizes and starts a search tries, in what order: fewest operations first, whatever the mutant."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...model.unrolled import Unrolled
from ..mutants.catalog import CATALOG
from ..mutants.unrolled import MUTANTS
from .counterexample import Budget, Counterexample, Found, NotFound, Result, Unknown
from .deepening import DEFAULT_BUDGET, Deepening
from .properties import EVERYTHING, conjuncts
from .rounds import Start, starts
from .solving import Exhausted

DEFAULT_DEPTH = 8

PREFERRED: dict[str, tuple[str, ...]] = {
    # num_free is off as well; what matters is that descriptors are gone.
    "A2": ("no-leak-no-double-allocation/none-lost",),
    # Both also notify in vain, and sooner; what hurts is the kick that is lost.
    "D1": ("need-event-exact/no-kick-lost",),
    "X1": ("need-event-exact/no-kick-lost",),
}
"""What to look for first, by mutant; everything else is looked for only if that is not found."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model to search from creation and, if ``accelerated``, from its accelerated starts, up to ``depth``."""

    queue_size: int
    event_idx: bool
    accelerated: bool
    depth: int


def candidates(depth: int) -> tuple[Candidate, ...]:
    """What the portfolio looks at when it looks at runs of up to ``depth`` operations, smallest first."""
    return (
        Candidate(2, event_idx=True, accelerated=False, depth=depth),
        Candidate(2, event_idx=False, accelerated=False, depth=min(depth, 6)),
        Candidate(4, event_idx=True, accelerated=False, depth=min(depth, 6)),
        Candidate(2, event_idx=True, accelerated=True, depth=min(depth, 6)),
    )


def _lanes(
    build: Callable[..., Unrolled], targets: Sequence[str], depth: int, budget: Budget
) -> Iterator[tuple[int, int, Deepening]]:
    """The searches to interleave: the operations their start takes, their own depth bound, the search."""
    wanted = conjuncts(targets)
    for candidate in candidates(depth):
        model = build(candidate.queue_size, event_idx=candidate.event_idx)
        begins = (
            starts(model, wanted, budget) if candidate.accelerated else [Start(model.initial())]
        )
        for start in begins:
            taken = (start.kicked is not None) + (start.quiet is not None)
            yield taken, candidate.depth, Deepening(model, wanted, start, budget)


def _interleaved(
    build: Callable[..., Unrolled], targets: Sequence[str], depth: int, budget: Budget
) -> Counterexample | None:
    """The violation with the fewest operations over all lanes, earlier lanes first; None up to ``depth``."""
    lanes = list(_lanes(build, targets, depth, budget))
    for operations in range(1, depth + 1):
        for taken, bound, lane in lanes:
            if taken < operations <= bound and (found := lane.deepen()) is not None:
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
    """Search the model class ``build`` through the portfolio; ``first`` are looked for before ``properties``."""
    began, allowance = time.monotonic(), Budget(budget)
    found: Counterexample | None = None
    try:
        if first:
            found = _interleaved(build, first, depth, allowance)
        if found is None:
            found = _interleaved(build, properties, depth, allowance)
    except Exhausted as reason:
        return Unknown(str(reason), 0, time.monotonic() - began, allowance.spent)
    seconds = time.monotonic() - began
    if found is None:
        return NotFound(depth, seconds, allowance.spent)
    return Found(found, seconds, allowance.spent)


def find_trace(mutant: str, *, depth: int = DEFAULT_DEPTH, budget: int = DEFAULT_BUDGET) -> Result:
    """Search the counterexample of one mutant of the catalog.

    Raises KeyError for an id the catalog does not have, LookupError for one the unrolled model lacks.
    """
    name = CATALOG[mutant].id
    if name not in MUTANTS:
        raise LookupError(f"mutant {name} is not seeded into the unrolled model")
    result = find(MUTANTS[name], first=PREFERRED.get(name, ()), depth=depth, budget=budget)
    if isinstance(result, Found):
        return replace(result, trace=replace(result.trace, mutant=name))
    return result
