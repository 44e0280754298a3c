"""What is claimed of probe and remove: of the accesses, the features and the queue of a frame."""

from collections.abc import Callable
from typing import Any

import z3

from ..model.term import Flag, any_of, both, implies, no, one_of
from ..model.transport import (
    FEATURES,
    MOST_PAIRS,
    STATUS,
    Choice,
    Place,
    Stage,
    State,
    Transport,
    prerequisites_hold,
)
from .stepwise import Invariant, ask, claim, induction, modelled
from .theorem import Obligation, Query, lemma
from .theorem import Stage as ProofStage

SETTING_UP = (Place.SELECT, Place.ALLOCATE, Place.SIZE, Place.ADDRESS, Place.ENABLE)

# Status.


def _bits_when_running(_: Transport, s: State) -> Flag:
    noticed = one_of(s.at, *range(Place.DRIVER, Place.FAILING))
    driven = one_of(s.at, *range(Place.FEATURES, Place.FAILING))
    return both(
        implies(noticed, s.acknowledge),
        implies(driven, s.driver),
        implies(s.at == Place.RUNNING, s.driver_ok),
        implies(one_of(s.at, *range(Place.RESETTING, Place.FAILED)), no(s.failed)),
    )


BITS = (Invariant("bits", "each step of probe stays visible in the device status", _bits_when_running),)


def status_grows(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    """Return that no bit of the device status was cleared; FEATURES_OK the device may leave clear."""
    del choice
    return both(*(implies(getattr(s, bit), getattr(t, bit)) for bit in STATUS if bit != "features_ok"))


STATUS_GROWS = (
    *induction(Transport, BITS),
    *(
        claim(Transport, "no bit of the status is cleared", name, BITS, status_grows)
        for name in Transport.status_steps
    ),
)

# Order.


def _stages(model: Transport, s: State) -> Flag:
    done = {
        Place.RESETTING: (Stage.RESET,),
        Place.ACKNOWLEDGE: (Stage.RESET,),
        Place.DRIVER: (Stage.ACKNOWLEDGE,),
        Place.FEATURES: (Stage.DRIVER,),
        Place.FEATURES_OK: (Stage.FEATURES,),
        Place.CHECK: (Stage.FEATURES_OK,),
        Place.RUNNING: (Stage.DRIVER_OK,),
    }
    asked = implies(model.modern, s.stage == Stage.FEATURES_OK)
    negotiated = both(one_of(s.stage, Stage.FEATURES, Stage.FEATURES_OK), asked)
    return both(
        *(implies(s.at == place, one_of(s.stage, *stages)) for place, stages in done.items()),
        implies(one_of(s.at, Place.CONFIGURE, *SETTING_UP, Place.READY), negotiated),
        implies(
            both(s.resetting, no(model.reads_once())),
            no(one_of(s.at, *range(Place.ACKNOWLEDGE, Place.FAILED))),
        ),
    )


def _queues(model: Transport, s: State) -> Flag:
    in_range = both(s.queue >= 0, s.queue < model.queues)
    return both(
        implies(one_of(s.at, *SETTING_UP), in_range), implies(s.at == Place.READY, s.queue == model.queues)
    )


ORDER = (
    Invariant("stages", "what the device was shown is what comes before the next step", _stages),
    Invariant("queues", "queues are set up one after the other, and all of them", _queues),
)


def _after(*stages: Stage) -> Callable[[Transport, State, Choice, State], Flag]:
    def formula(model: Transport, s: State, choice: Choice, t: State) -> Flag:
        del model, choice, t
        return one_of(s.stage, *stages)

    return formula


def _reset_was_seen(model: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return both(s.stage == Stage.RESET, any_of(no(s.resetting), both(model.linux, no(model.modern))))


def _all_set_up(model: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice
    return both(s.queue == model.queues, s.stage != Stage.DRIVER_OK, t.stage == Stage.DRIVER_OK)


_NEGOTIATED = (Stage.FEATURES, Stage.FEATURES_OK)
INITIALISATION_ORDER = (
    *induction(Transport, ORDER),
    claim(Transport, "the device was reset, and seen to be", "set_acknowledge", ORDER, _reset_was_seen),
    claim(Transport, "ACKNOWLEDGE came before", "set_driver", ORDER, _after(Stage.ACKNOWLEDGE)),
    claim(Transport, "DRIVER came before", "accept_features", ORDER, _after(Stage.DRIVER)),
    claim(Transport, "the features came before", "set_features_ok", ORDER, _after(Stage.FEATURES)),
    *(
        claim(Transport, "after the features, before DRIVER_OK", name, ORDER, _after(*_NEGOTIATED))
        for name in ("configure", "select", "write_size", "write_address", "write_enable")
    ),
    claim(Transport, "every queue was set up, and DRIVER_OK is new", "set_driver_ok", ORDER, _all_set_up),
)

# FEATURES_OK.


def _checked(model: Transport, s: State) -> Flag:
    beyond = one_of(s.at, Place.CONFIGURE, *SETTING_UP, Place.READY, Place.RUNNING)
    return implies(both(model.modern, beyond), s.checked)


CHECKED = (Invariant("checked", "modern: nobody gets beyond FEATURES_OK unless it was read back", _checked),)


def _was_checked(model: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return implies(model.modern, s.checked)


FEATURES_OK = (
    *induction(Transport, CHECKED),
    *(
        claim(Transport, "FEATURES_OK was read back, and set", name, CHECKED, _was_checked)
        for name in ("configure", "select", "write_address", "write_enable", "set_driver_ok")
    ),
)

# Queues.


def _in_turn(model: Transport, s: State) -> Flag:
    complete = both(s.allocated, s.sized, s.addressed, s.enabled)
    mine = s.queue == model.watched
    running = one_of(s.at, *SETTING_UP, Place.READY, Place.RUNNING)
    counted = any_of(no(one_of(s.at, Place.READY, Place.RUNNING)), s.queue == model.queues)
    write = one_of(s.at, Place.SIZE, Place.ADDRESS, Place.ENABLE)
    return both(
        counted,
        implies(both(running, s.queue > model.watched), complete),
        implies(both(running, s.queue < model.watched), no(any_of(s.sized, s.addressed, s.enabled))),
        implies(both(write, mine), both(s.allocated, no(s.enabled))),
        implies(both(one_of(s.at, Place.ADDRESS, Place.ENABLE), mine, model.modern), s.sized),
        implies(both(s.at == Place.ENABLE, mine), s.addressed),
        implies(
            one_of(s.at, *range(Place.CONFIGURE)), no(any_of(s.allocated, s.sized, s.addressed, s.enabled))
        ),
        implies(s.at == Place.CONFIGURE, no(any_of(s.allocated, s.sized, s.addressed, s.enabled))),
        implies(
            both(one_of(s.at, Place.SELECT, Place.ALLOCATE), mine),
            no(any_of(s.sized, s.addressed, s.enabled)),
        ),
    )


IN_TURN = (
    Invariant("queues", "queues are set up one after the other, and all of them", _queues),
    Invariant("in-turn", "a queue has its memory, its size and its addresses before it is live", _in_turn),
)


def _last(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice
    return implies(both(t.enabled, no(s.enabled)), both(s.allocated, t.sized, t.addressed))


def _everything(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return both(s.allocated, s.sized, s.addressed, s.enabled)


QUEUE_ENABLED_LAST = (
    *induction(Transport, IN_TURN),
    claim(Transport, "memory, size and addresses were there", "write_enable", IN_TURN, _last),
    claim(Transport, "legacy: memory was there for the page frame", "write_address", IN_TURN, _last),
    claim(Transport, "every queue is enabled", "set_driver_ok", IN_TURN, _everything),
)

# Kicks.


def _driver_ok(_: Transport, s: State) -> Flag:
    return implies(s.at == Place.RUNNING, s.driver_ok)


def _is_ready(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return s.driver_ok


KICKING = (Invariant("driver-ok", "a running driver has set DRIVER_OK", _driver_ok),)
NO_EARLY_KICK = (
    *induction(Transport, KICKING),
    claim(Transport, "DRIVER_OK is set", "notify", KICKING, _is_ready),
)

# Removal.


def _reset_or_kept(model: Transport, s: State) -> Flag:
    still_live = one_of(s.at, Place.RUNNING, Place.REMOVING, Place.LEFT)
    unseen = both(model.reads_once(), one_of(s.at, Place.CLEARING, Place.GONE))
    return both(
        implies(s.live, any_of(still_live, unseen)),
        implies(s.at == Place.LEFT, s.allocated),
        implies(one_of(s.at, Place.REMOVING, Place.CLEARING), s.allocated),
    )


def _memory_of_live(model: Transport, s: State) -> Flag:
    up = one_of(s.at, Place.READY, Place.RUNNING)
    beyond = both(one_of(s.at, *SETTING_UP), s.queue > model.watched)
    mine = both(one_of(s.at, Place.SIZE, Place.ADDRESS, Place.ENABLE), s.queue == model.watched)
    return both(
        implies(any_of(up, beyond, mine), s.allocated),
        implies(up, s.queue == model.queues),
        implies(one_of(s.at, *SETTING_UP), both(s.queue >= 0, s.queue < model.queues)),
    )


REMOVAL = (
    Invariant("allocated", "a queue that is set up has its memory", _memory_of_live),
    Invariant(
        "reset-or-kept", "memory is freed after the device was seen reset, or not at all", _reset_or_kept
    ),
)


def _device_is_off(model: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return any_of(no(s.live), both(model.linux, no(model.modern)))


def _device_never_on(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return no(s.live)


def _kept_for_ever(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice
    return implies(t.at == Place.LEFT, both(t.allocated, s.allocated))


def _has_memory(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return s.allocated


REMOVED = (
    *induction(Transport, REMOVAL),
    claim(Transport, "the device was seen reset", "clear", REMOVAL, _device_is_off),
    claim(Transport, "without that, nothing is freed", "see_removed", REMOVAL, _kept_for_ever),
    claim(Transport, "the device was never told to begin", "fail", REMOVAL, _device_never_on),
    claim(Transport, "the ring is there", "notify", REMOVAL, _has_memory),
)

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
    used, wanted, most = z3.Ints("in_use wanted max_virtqueue_pairs")
    multiqueue, answer = z3.Bools("multiqueue answer")
    pairs = model.pairs(multiqueue, most)
    after = model.pairs_used(used, wanted, pairs, answer)
    given = both(used >= 1, used <= pairs)
    goal = both(pairs >= 1, pairs <= MOST_PAIRS, after >= 1, after <= pairs)
    values = {"in_use": used, "wanted": wanted, "max_virtqueue_pairs": most, "multiqueue": multiqueue}
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
    states = {"0": s}
    for number, name in enumerate(script, 1):
        step = model.take(name, s, Choice(ok=z3.Bool(f"device_does_{number}_{name}")))
        hypotheses[f"{number}: {name}"] = step.guard
        s = step.after
        states[f"{number}: {name}"] = s
    return ask(model, hypotheses, any_of(s.allocated, no(s.live)), states, {})


SLOW_RESET = (lemma("a device that is slow to reset: no ring is freed before it has done so", _slow_reset),)
