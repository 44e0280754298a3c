"""What is claimed of features, of the queue of a frame, and of one run that ends badly."""

from collections.abc import Callable
from typing import Any

import z3

from ..model.term import Flag, any_of, both, implies, no
from ..model.transport import FEATURES, MOST_PAIRS, Choice, Transport, prerequisites_hold
from .stepwise import ask, modelled, readable
from .theorem import Obligation, Query, lemma
from .theorem import Stage as ProofStage

# Features.


def _features(build: Callable[[Transport], tuple[Flag, Flag]], label: str) -> Obligation:
    def query(stage: ProofStage) -> Query:
        model = modelled(stage, Transport)
        given, goal = build(model)
        accepted = model.accepted()
        values: dict[str, Any] = {}
        for name in FEATURES:
            values[f"{name} is offered"] = model.offered[name]
            values[f"{name} is accepted"] = accepted[name]
        return ask(model, {"given": given}, goal, {}, values)

    return lemma(label, query)


def _only_offered(model: Transport) -> tuple[Flag, Flag]:
    accepted = model.accepted()
    pairs = ((accepted[name], both(model.offered[name], model.understood[name])) for name in FEATURES)
    return True, both(*(implies(taken, allowed) for taken, allowed in pairs))


def _nothing_left_out(model: Transport) -> tuple[Flag, Flag]:
    """All that is offered and understood is accepted, if the offer is consistent (2.2.1e)."""
    wanted = {name: both(model.offered[name], model.understood[name]) for name in FEATURES}
    accepted = model.accepted()
    return prerequisites_hold(wanted), both(*(implies(wanted[name], accepted[name]) for name in FEATURES))


def _prerequisites(model: Transport) -> tuple[Flag, Flag]:
    return no(model.linux), prerequisites_hold(model.accepted())


def _prerequisites_linux(model: Transport) -> tuple[Flag, Flag]:
    return model.linux, prerequisites_hold(model.accepted())


ACCEPTED = (
    _features(_only_offered, "accepted only if offered and understood"),
    _features(_prerequisites, "virtio-1.x: accepted only with what it needs"),
    _features(_nothing_left_out, "of a consistent offer, all that is understood is accepted"),
)
ACCEPTED_LINUX = (_features(_prerequisites_linux, "linux-3.11: accepted only with what it needs"),)

# The queue of a frame.


def _numbers(
    build: Callable[[Transport, Any, Any, Flag], tuple[Flag, Flag]], label: str
) -> Obligation:  # fmt: skip
    def query(stage: ProofStage) -> Query:
        model = modelled(stage, Transport)
        value, used, recorded = z3.Int("value"), z3.Int("in_use"), z3.Bool("recorded")
        given, goal = build(model, value, used, recorded)
        facts = both(value >= 0, used >= 1, used <= MOST_PAIRS, given)
        return ask(model, {"given": facts}, goal, {}, {"value": value, "in_use": used, "recorded": recorded})

    return lemma(label, query)


def _one_reduction(model: Transport, value: Any, used: Any, recorded: Flag) -> tuple[Flag, Flag]:
    less = value - used
    return model.reduces(value, used, recorded), both(less >= 0, less < value, less % used == value % used)


def _reduced(model: Transport, value: Any, used: Any, recorded: Flag) -> tuple[Flag, Flag]:
    return no(model.reduces(value, used, recorded)), both(value < used, value == value % used)


def _pairs_in_use(stage: ProofStage) -> Query:
    model = modelled(stage, Transport)
    used, wanted, there, most = z3.Ints("in_use wanted max_virtqueue_pairs supported")
    multiqueue, answer = z3.Bools("multiqueue answer")
    pairs = model.pairs(multiqueue, there, most)
    after = model.pairs_used(used, wanted, pairs, answer)
    given = both(most >= 1, used >= 1, used <= pairs)
    few = any_of(pairs == 1, both(pairs <= there, pairs <= most))
    goal = both(pairs >= 1, pairs <= MOST_PAIRS, few, after >= 1, after <= pairs)
    values = {
        "in_use": used,
        "wanted": wanted,
        "max_virtqueue_pairs": there,
        "supported": most,
        "multiqueue": multiqueue,
    }
    return ask(model, {"given": given}, goal, {}, values)


SELECTED = (
    lemma("from 1 to all pairs are in use, whatever is asked for and answered", _pairs_in_use),
    _numbers(_one_reduction, "a subtraction leaves a smaller number, not below 0, with the same remainder"),
    _numbers(_reduced, "what is left is a queue in use, and depends on the frame's number alone"),
)

# A run that ends badly.


def _slow_reset(stage: ProofStage) -> Query:
    """Two queues are set up on the legacy transport; at removal the device takes its time to reset."""
    model = modelled(stage, Transport)
    s = model.initial()
    queue = "select allocate write_address"
    start = "reset see_reset set_acknowledge set_driver accept_features configure"
    script = f"{start} {queue} {queue} set_driver_ok remove see_removed clear".split()
    hypotheses: dict[str, Flag] = {"legacy": both(model.linux, no(model.modern), model.queues == 2)}
    states = {"0: before probe": readable(model, s)}
    for number, name in enumerate(script, 1):
        step = model.take(name, s, Choice(ok=z3.Bool(f"device_does_{number}_{name}")))
        hypotheses[f"{number}: {name}"] = step.guard
        s = step.after
        states[f"{number}: {name}"] = readable(model, s)
    return ask(model, hypotheses, any_of(s.allocated, no(s.live)), states, {})


SLOW_RESET = (lemma("a device that is slow to reset: no ring is freed before it has done so", _slow_reset),)
