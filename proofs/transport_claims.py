"""What is claimed of the accesses of probe and remove: invariants, and rules for single steps."""

from collections.abc import Callable
from dataclasses import dataclass

from ..model.term import Flag, any_of, both, implies, no, one_of
from ..model.transport import (
    STATUS,
    Choice,
    Place,
    Stage,
    State,
    Transport,
)
from .stepwise import Invariant, claim, induction
from .theorem import Obligation

SETTING_UP = (Place.SELECT, Place.ALLOCATE, Place.SIZE, Place.ADDRESS, Place.ENABLE)

# Status.


def _bits_when_running(_: Transport, s: State) -> Flag:
    noticed = one_of(s.at, *range(Place.DRIVER, Place.FAILING))
    driven = one_of(s.at, *range(Place.FEATURES, Place.FAILING))
    return both(
        implies(noticed, s.acknowledge),
        implies(driven, s.driver),
        implies(s.at == Place.RUNNING, s.driver_ok),
        implies(both(one_of(s.at, *range(Place.ACKNOWLEDGE, Place.FAILED)), no(s.resetting)), no(s.failed)),
    )


def _reset_unseen(_: Transport, s: State) -> Flag:
    return implies(s.at == Place.RESETTING, s.resetting)


UNSEEN = Invariant("unseen", "a reset is not taken for done before the status is read", _reset_unseen)
BITS = (
    UNSEEN,
    Invariant("bits", "each step of probe stays visible in the device status", _bits_when_running),
)


def status_grows(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    """Return that no bit of the device status was cleared; FEATURES_OK the device may leave clear."""
    del choice
    return both(*(implies(getattr(s, bit), getattr(t, bit)) for bit in STATUS if bit != "features_ok"))


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
        implies(
            both(one_of(s.at, *range(Place.ACKNOWLEDGE, Place.RUNNING)), no(s.resetting)), no(s.driver_ok)
        ),
    )


def _queues(model: Transport, s: State) -> Flag:
    in_range = both(s.queue >= 0, s.queue < model.queues)
    return both(
        implies(one_of(s.at, *SETTING_UP), in_range), implies(s.at == Place.READY, s.queue == model.queues)
    )


ORDER = (
    UNSEEN,
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
    new = both(t.driver_ok, any_of(no(s.driver_ok), both(s.resetting, model.reads_once())))
    return both(s.queue == model.queues, s.stage != Stage.DRIVER_OK, t.stage == Stage.DRIVER_OK, new)


_NEGOTIATED = (Stage.FEATURES, Stage.FEATURES_OK)
# FEATURES_OK.


def _checked(model: Transport, s: State) -> Flag:
    beyond = one_of(s.at, Place.CONFIGURE, *SETTING_UP, Place.READY, Place.RUNNING)
    return implies(both(model.modern, beyond), s.checked)


CHECKED = (Invariant("checked", "modern: nobody gets beyond FEATURES_OK unless it was read back", _checked),)


def _was_checked(model: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return implies(model.modern, s.checked)


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


# Kicks.


def _driver_ok(_: Transport, s: State) -> Flag:
    return implies(s.at == Place.RUNNING, s.driver_ok)


def _is_ready(_: Transport, s: State, choice: Choice, t: State) -> Flag:
    del choice, t
    return s.driver_ok


KICKING = (Invariant("driver-ok", "a running driver has set DRIVER_OK", _driver_ok),)
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


# All of them.


@dataclass(frozen=True)
class Rule:
    """What a step has to observe: a formula of model, state before, choice and state after."""

    step: str
    words: str
    holds: Callable[[Transport, State, Choice, State], Flag]


INVARIANTS: dict[str, tuple[Invariant, ...]] = {
    "status-only-grows": BITS,
    "initialisation-order": ORDER,
    "features-ok-read-back": CHECKED,
    "queue-enabled-last": IN_TURN,
    "no-early-kick": KICKING,
    "rings-outlive-device": REMOVAL,
}
"""The invariants of each theorem about steps: inductive by themselves."""

RULES: dict[str, tuple[Rule, ...]] = {
    "status-only-grows": (
        *(Rule(name, "no bit of the status is cleared", status_grows) for name in Transport.status_steps),
    ),
    "initialisation-order": (
        Rule("set_acknowledge", "the device was reset, and seen to be", _reset_was_seen),
        Rule("set_driver", "ACKNOWLEDGE came before", _after(Stage.ACKNOWLEDGE)),
        Rule("accept_features", "DRIVER came before", _after(Stage.DRIVER)),
        Rule("set_features_ok", "the features came before", _after(Stage.FEATURES)),
        *(
            Rule(name, "after the features, before DRIVER_OK", _after(*_NEGOTIATED))
            for name in ("configure", "select", "write_size", "write_address", "write_enable")
        ),
        Rule("set_driver_ok", "every queue was set up, and DRIVER_OK is new", _all_set_up),
    ),
    "features-ok-read-back": (
        *(
            Rule(name, "FEATURES_OK was read back, and set", _was_checked)
            for name in ("configure", "select", "write_address", "write_enable", "set_driver_ok")
        ),
    ),
    "queue-enabled-last": (
        Rule("write_enable", "memory, size and addresses were there", _last),
        Rule("write_address", "legacy: memory was there for the page frame", _last),
        Rule("set_driver_ok", "every queue is enabled", _everything),
    ),
    "no-early-kick": (Rule("notify", "DRIVER_OK is set", _is_ready),),
    "rings-outlive-device": (
        Rule("clear", "the device was seen reset", _device_is_off),
        Rule("see_removed", "without that, nothing is freed", _kept_for_ever),
        Rule("fail", "the device was never told to begin", _device_never_on),
        Rule("notify", "the ring is there", _has_memory),
    ),
}
"""What each theorem about steps demands of which step."""


def steps_of(theorem: str) -> tuple[Obligation, ...]:
    """Return the obligations of a theorem about steps."""
    invariants = INVARIANTS[theorem]
    rules = (claim(Transport, rule.words, rule.step, invariants, rule.holds) for rule in RULES[theorem])
    return (*induction(Transport, invariants), *rules)
