"""Iterative deepening over one model from one start: the shortest run first, then the smallest values."""

import time
from collections.abc import Mapping, Sequence

import z3

from ...model.unrolled import ACTIONS, Unrolled
from ...model.unrolled_state import TOKEN_BITS, State, Truth, choose, leaves
from .counterexample import Budget, Counterexample, Found, NotFound, Result, Rounds, Step, Unknown, values
from .properties import EVERYTHING, Conjunct, View, conjuncts
from .rounds import Start
from .sentences import Failure
from .solving import Exhausted, Solving

DEFAULT_BUDGET = 400_000_000
ACTION_BITS = 3


class Deepening:
    """A search that goes one step deeper at each call, sharing one incremental solver.

    ``targets`` are what may break; no target breaks before the last step.
    """

    def __init__(self, model: Unrolled, targets: Sequence[Conjunct], start: Start, budget: Budget) -> None:
        self.model, self.targets, self.start = model, tuple(targets), start
        self.depth = 0
        self._solving = Solving(budget)
        self._solving.add(*start.facts)
        self._views: list[View] = []
        self._actions: list[z3.BitVecRef] = []
        self._arguments: list[z3.BitVecRef] = []

    def deepen(self) -> Counterexample | None:
        """Look at all runs with one more step; the first violation in canonical order, or None.

        Raises :class:`Exhausted` when the solver cannot tell. Not to be called again after a find.
        """
        view = self._unroll()
        broken = [z3.Bool(f"broken.{self.depth}.{target.id}") for target in self.targets]
        for flag, target in zip(broken, self.targets, strict=True):
            self._solving.add(flag == z3.Not(target.holds(view)))
        self.depth += 1
        if not self._solving.satisfiable(z3.Or(*broken)):
            self._solving.add(z3.Not(z3.Or(*broken)))
            return None
        first = next(place for place, flag in enumerate(broken) if self._solving.satisfiable(flag))
        steps = [word for pair in zip(self._actions, self._arguments, strict=True) for word in pair]
        rounds = [word for word in (self.start.quiet, self.start.kicked) if word is not None]
        model = self._solving.smallest([*rounds, *steps], broken[first])
        assert model is not None, "a violation was satisfiable a moment ago"
        return self._counterexample(model, self.targets[first])

    def _unroll(self) -> View:
        """Add one step to the solver and give the view of it."""
        if self._views:
            self._solving.add(_moved(self._views[-1]))
        state = self._views[-1].after if self._views else self.start.state
        action = z3.BitVec(f"action.{self.depth}", ACTION_BITS)
        argument = z3.BitVec(f"argument.{self.depth}", 16)
        ways = self.model.transitions(state, argument)
        taken = {way.action: action == ACTIONS.index(way.action) for way in ways}
        if self._views:
            self._solving.add(_in_order(self._views[-1].action, taken))
        self._solving.add(z3.Or(*taken.values()))
        self._solving.add(*(z3.Implies(taken[way.action], way.guard) for way in ways))
        after, outcome = ways[0].after, ways[0].outcome
        for way in ways[1:]:
            after = choose(taken[way.action], way.after, after)
            outcome = choose(taken[way.action], way.outcome, outcome)
        named: State = self.model.symbolic(f"state.{self.depth}")
        self._solving.add(
            *(symbol == term for (_, symbol), (_, term) in zip(leaves(named), leaves(after), strict=True))
        )
        no: dict[str, Truth] = {name: z3.BoolVal(False) for name in ACTIONS}
        view = View(self.model, {**no, **taken}, state, named, outcome)
        self._views.append(view)
        self._actions.append(action)
        self._arguments.append(argument)
        return view

    def _rounds(self, model: z3.ModelRef) -> tuple[Rounds, ...]:
        start = self.start
        found = []
        for word, kick in ((start.kicked, True), (start.quiet, False)):
            if word is None:
                continue
            state = start.state
            if kick and start.quiet is not None:
                # Between the two batches: the same family of states, before the first quiet round.
                pairs = ((start.quiet, z3.BitVecVal(0, 16)),)
                state = State(
                    **{
                        name: tuple(z3.substitute(item, *pairs) for item in value)
                        if isinstance(value, tuple)
                        else z3.substitute(value, *pairs)
                        for name, value in ((n, getattr(state, n)) for n in State.__slots__)
                    }
                )
            count = int(model.eval(word, model_completion=True).as_long())
            found.append(Rounds(count, kick, values(state, model)))
        return tuple(found)

    def _counterexample(self, model: z3.ModelRef, target: Conjunct) -> Counterexample:
        def number(word: z3.BitVecRef) -> int:
            return int(model.eval(word, model_completion=True).as_long())

        steps = tuple(
            Step(
                ACTIONS[number(action)],
                number(argument),
                values(view.outcome, model),
                values(view.after, model),
            )
            for view, action, argument in zip(self._views, self._actions, self._arguments, strict=True)
        )
        before = values(self._views[-1].before, model)
        size = self.model.queue_size
        return Counterexample(
            mutant=None,
            queue_size=size,
            event_idx=self.model.event_idx,
            property=target.property,
            conjunct=target.name,
            sentence=target.sentence(Failure(size, before, steps[-1].values, steps[-1].outcome)),
            initial=values(self.model.initial()),
            rounds=self._rounds(model),
            steps=steps,
        )


def _moved(view: View) -> Truth:
    """Whether the step changed anything that a later one could depend on.

    A step that does not can be left out, so a shortest run has none but the last.
    """
    before, after, outcome, action = view.before, view.after, view.outcome, view.action
    return z3.And(
        z3.Not(outcome.refused),
        z3.Implies(action["get"], z3.Or(outcome.returned, after.broken)),
        z3.Implies(action["kick"], z3.Or(after.num_added != before.num_added, before.unkicked != 0)),
        z3.Implies(action["set_avail_event"], after.avail_event != before.avail_event),
        z3.Implies(action["set_flags"], after.no_notify != before.no_notify),
    )


def _in_order(before: Mapping[str, Truth], now: Mapping[str, Truth]) -> Truth:
    """Whether two steps in a row come in the order in which such a pair is looked at.

    A kick, or the device moving the word a kick looks at, touches nothing that read, complete or get look
    at, nor do they touch what it looks at: either order ends in the same state, so one is enough.
    """
    announcing = [before[name] for name in ("kick", "set_avail_event", "set_flags")]
    moving = [now[name] for name in ("read", "complete", "get")]
    return z3.Not(z3.And(z3.Or(*announcing), z3.Or(*moving)))


def search(
    model: Unrolled,
    *,
    properties: Sequence[str] = EVERYTHING,
    depth: int = 8,
    budget: int = DEFAULT_BUDGET,
    start: Start | None = None,
) -> Result:
    """Search all runs of ``model`` of up to ``depth`` steps from ``start`` (creation if None).

    ``properties`` are slugs or conjunct ids, the preferred ones first; ``budget`` is in Z3 resource units.
    Raises ValueError for a property that does not exist, and for a depth at which tokens would run out.
    """
    if depth >= 1 << TOKEN_BITS:
        raise ValueError(f"depth {depth}: tokens number {(1 << TOKEN_BITS) - 1} adds")
    began, allowance = time.monotonic(), Budget(budget)
    deepening = Deepening(model, conjuncts(properties), start or Start(model.initial()), allowance)
    for reached in range(depth):
        try:
            found = deepening.deepen()
        except Exhausted as reason:
            return Unknown(str(reason), reached, time.monotonic() - began, allowance.spent)
        if found is not None:
            return Found(found, time.monotonic() - began, allowance.spent)
    return NotFound(depth, time.monotonic() - began, allowance.spent)
