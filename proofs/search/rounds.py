"""Starts that no bounded search would reach: thousands of rounds at once, by induction on the model at hand.

A round is add(1), kick unless it is a quiet one, read, complete, get. On a ring that is empty it gives
every descriptor back where it was and moves every index by 1, so from creation any index can be reached.
That a given model does this, and breaks nothing on the way, is asked of the solver for that very model; the
answer is how many rounds in a row do it. A model that does it from 0, 1, ... F - 1 rounds is after F rounds
in the state that :func:`after_rounds` describes, and rounds beyond F are never used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import z3

from ...model.unrolled import Unrolled
from ...model.unrolled_state import COUNT_BITS, Bits, State, Truth, leaves
from .counterexample import Budget
from .properties import Conjunct, View
from .solving import Solving

MOST_ROUNDS = 0xFFFF


@dataclass(frozen=True, slots=True)
class Shape:
    """What depends on the model: whether get moves used_event, whether kick leaves num_added alone."""

    event_follows: bool = True
    num_added_kept: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Where a search begins: a state and what is known of its symbols.

    ``kicked`` and ``quiet`` (16 bits, or None) are how many rounds of either kind led there, in that order.
    """

    state: State
    facts: tuple[Truth, ...] = ()
    kicked: Bits | None = None
    quiet: Bits | None = None

    @property
    def batches(self) -> int:
        """How many batches of rounds it takes, 0 to 2."""
        return (self.kicked is not None) + (self.quiet is not None)


def after_rounds(model: Unrolled, shape: Shape, kicked: Bits, quiet: Bits) -> State:
    """The state after ``kicked`` rounds with and then ``quiet`` rounds without a kick (16 bits each)."""
    index, zero = kicked + quiet, z3.BitVecVal(0, 16)
    return replace(
        model.initial(),
        avail_idx=index,
        used_idx=index,
        read_idx=index,
        published=index,
        completed=index,
        returned=index,
        last_used_idx=z3.ZeroExt(model.last_used_bits - 16, index),
        used_event=index if shape.event_follows else zero,
        num_added=index if shape.num_added_kept else quiet,
        unkicked=z3.ZeroExt(1, quiet),
    )


def _round_fails(
    model: Unrolled, before: State, after: State, *, kick: bool, targets: Sequence[Conjunct]
) -> Truth:
    """Whether a round from ``before`` does not go through, breaks a target, or does not end in ``after``."""
    fails, state = [], before
    ways = ("add", "kick", "read", "complete", "get") if kick else ("add", "read", "complete", "get")
    for way in ways:
        match way:
            case "add":
                taken = model.add(state, z3.BitVecVal(1, COUNT_BITS))
                fails.append(taken.outcome.refused)
            case "complete":
                taken = model.complete(state, z3.BitVecVal(0, COUNT_BITS))
            case "read":
                taken = model.read(state)
            case "get":
                taken = model.get(state)
                fails.append(z3.Not(taken.outcome.returned))
            case _:
                taken = model.kick(state)
        action = {name: z3.BoolVal(name == way) for name in ways}
        view = View(model, {**action, "kick": z3.BoolVal(way == "kick")}, state, taken.after, taken.outcome)
        fails += [z3.Not(taken.guard), *(z3.Not(target.holds(view)) for target in targets)]
        state = taken.after
    # How many adds there were only numbers the tokens: nothing depends on it, and the search counts anew.
    fails += [
        got != expected
        for (name, got), (_, expected) in zip(leaves(state), leaves(after), strict=True)
        if name != "adds"
    ]
    return z3.Or(*fails)


def _rounds_that_hold(counter: Bits, others: Sequence[Bits], facts: Sequence[Truth], budget: Budget) -> int:
    """How often in a row a round holds: the smallest ``counter`` from which one can fail, or the most."""
    solving = Solving(budget)
    solving.add(*facts)
    model = solving.smallest([counter, *others])
    return MOST_ROUNDS if model is None else int(model.eval(counter, model_completion=True).as_long())


def kicked_rounds(model: Unrolled, targets: Sequence[Conjunct], budget: Budget) -> tuple[Shape, int]:
    """How many rounds with a kick in a row hold on ``model``, for the shape under which most do."""
    best = (Shape(), 0)
    zero = z3.BitVecVal(0, 16)
    count = z3.BitVec("rounds", 16)
    for follows, kept in product((True, False), (False, True)):
        shape = Shape(follows, kept)
        before = after_rounds(model, shape, count, zero)
        after = after_rounds(model, shape, count + 1, zero)
        fails = _round_fails(model, before, after, kick=True, targets=targets)
        holds = _rounds_that_hold(count, [], [fails], budget)
        if holds > best[1]:
            best = (shape, holds)
        if holds > 1:
            break
    return best


def quiet_rounds(
    model: Unrolled, shape: Shape, most_kicked: int, targets: Sequence[Conjunct], budget: Budget
) -> int:
    """How many quiet rounds in a row hold after up to ``most_kicked`` others, whatever that number is."""
    if shape.num_added_kept:
        return 0
    kicked, quiet = z3.BitVecs("kicked quiet", 16)
    before = after_rounds(model, shape, kicked, quiet)
    after = after_rounds(model, shape, kicked, quiet + 1)
    fails = _round_fails(model, before, after, kick=False, targets=targets)
    return _rounds_that_hold(quiet, [kicked], [z3.ULE(kicked, most_kicked), fails], budget)


def starts(model: Unrolled, targets: Sequence[Conjunct], budget: Budget) -> list[Start]:
    """The accelerated starts of ``model``, those with fewer batches of rounds first; none if no round holds.

    Raises :class:`Exhausted` when the budget ends before the solver has told.
    """
    shape, most_kicked = kicked_rounds(model, targets, budget)
    if not most_kicked:
        return []
    kicked, quiet, zero = z3.BitVec("kicked", 16), z3.BitVec("quiet", 16), z3.BitVecVal(0, 16)
    facts = (kicked != 0, z3.ULE(kicked, most_kicked))
    found = [Start(after_rounds(model, shape, kicked, zero), facts, kicked)]
    most_quiet = quiet_rounds(model, shape, most_kicked, targets, budget)
    if most_quiet:
        some = (quiet != 0, z3.ULE(quiet, most_quiet))
        found.append(Start(after_rounds(model, shape, zero, quiet), some, None, quiet))
        found.append(Start(after_rounds(model, shape, kicked, quiet), (*facts, *some), kicked, quiet))
    return found
