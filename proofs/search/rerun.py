"""A run of the unrolled model with the choices given: no solver, the transitions compute.

With it a counterexample is told anew for another run like it, by the model as before and not by what was run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import z3

from ...model.unrolled import ACTIONS, Unrolled
from ...model.unrolled_state import State, Truth
from .counterexample import Counterexample, Step, Value, values
from .properties import View, conjuncts
from .sentences import Failure


def rerun(model: Unrolled, trace: Counterexample, steps: Sequence[tuple[str, int]]) -> Counterexample | None:
    """The counterexample that ``model`` makes of ``steps``, each an action and its argument.

    They begin where those of ``trace`` do, after its rounds if it has any, which takes a model of the same
    queue then. None if the model cannot take them, or if the part that ``trace`` breaks does not break first
    in the last of them.
    """
    (target,) = conjuncts([f"{trace.property}/{trace.conjunct}"])
    start = model.initial()
    state = _state(start, trace.rounds[-1].values) if trace.rounds else start
    taken: list[Step] = []
    before: Mapping[str, Value] = values(state)
    sentence = ""
    for number, (name, argument) in enumerate(steps):
        ways = {way.action: way for way in model.transitions(state, z3.BitVecVal(argument, 16))}
        way = ways.get(name)
        if way is None or not z3.is_true(z3.simplify(way.guard)):
            return None
        action: dict[str, Truth] = {other: z3.BoolVal(other == name) for other in ACTIONS}
        holds = target.holds(View(model, action, state, way.after, way.outcome))
        if z3.is_true(z3.simplify(holds)) == (number == len(steps) - 1):
            return None
        taken.append(Step(name, argument, values(way.outcome), values(way.after)))
        if number == len(steps) - 1:
            failure = Failure(model.queue_size, before, taken[-1].values, taken[-1].outcome)
            sentence = target.sentence(failure)
        before, state = taken[-1].values, _state(start, taken[-1].values)
    return replace(
        trace,
        queue_size=model.queue_size,
        event_idx=model.event_idx,
        sentence=sentence,
        initial=values(start),
        steps=tuple(taken),
    )


def _state(like: State, told: Mapping[str, Value]) -> State:
    """The state of plain values, in constants of the sorts that ``like`` has."""

    def constant(term: z3.ExprRef, value: int | bool) -> z3.ExprRef:
        return z3.BitVecVal(int(value), term.size()) if z3.is_bv(term) else z3.BoolVal(bool(value))

    found: dict[str, Any] = {}
    for name in State.__slots__:
        term, value = getattr(like, name), told[name]
        if isinstance(value, tuple):
            found[name] = tuple(constant(*pair) for pair in zip(term, value, strict=True))
        else:
            found[name] = constant(term, value)
    return State(**found)
