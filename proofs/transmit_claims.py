"""What is claimed of a transmit queue: invariants, and claims about steps and moments.

Each theorem has invariants of its own that are inductive by themselves, so that none rests on another.
"""

from collections.abc import Iterator

from ..model.term import (
    Flag,
    Number,
    Step,
    any_of,
    both,
    either,
    implies,
    no,
    one_of,
    smaller,
    three_quarters,
)
from ..model.transmit import Choice, Frame, Handler, Place, State, Transmit
from .stepwise import Invariant, between, claim, induction

# Room.


def longest_chain(model: Transmit) -> Number:
    """Return the most descriptors that a frame's chain takes in virtio-1.x."""
    return smaller(model.longest, model.queue_size)


def _started_for_start_xmit(_: Transmit, s: State) -> Flag:
    early = one_of(s.at, Place.RECLAIM, Place.REARM)
    late = one_of(s.at, Place.XMIT, Place.KICK, Place.ROOM)
    return both(
        implies(both(early, no(s.callback)), no(s.stopped)),
        implies(late, both(no(s.stopped), no(s.callback))),
    )


def _room_unless_stopped(model: Transmit, s: State) -> Flag:
    tested = no(one_of(s.at, Place.KICK, Place.ROOM))
    return any_of(model.linux, s.stopped, no(tested), s.num_free >= longest_chain(model))


STARTED = Invariant(
    "started", "start_xmit works on a started queue until it tests for room", _started_for_start_xmit
)
ROOM = (
    STARTED,
    Invariant(
        "room", "virtio-1.x: a queue that is not stopped has room for the longest frame", _room_unless_stopped
    ),
)


def next_frame_fits(model: Transmit, s: State, choice: Choice) -> tuple[Flag, Flag]:
    """Return that virtqueue_add accepts the frame that is about to be put into the ring."""
    about = both(s.at == Place.XMIT, model.may_be_sent(choice))
    return about, any_of(model.linux, both(model.segments(choice) <= s.num_free, model.fits(s, choice)))


def stops_for_want(model: Transmit, s: State, choice: Choice, t: State) -> Flag:
    """Return that the queue is stopped only if the longest frame would not fit."""
    del choice
    short = both(s.num_free < model.longest, any_of(model.linux, s.num_free < longest_chain(model)))
    return implies(both(t.stopped, no(s.stopped)), short)


def starts_with_room(model: Transmit, s: State, choice: Choice, t: State) -> Flag:
    """Return that a stopped queue is started, or woken, only if the longest frame fits.

    But for linux-3.11's interrupt handler.
    """
    del choice
    started = both(s.stopped, no(t.stopped))
    blindly = both(model.linux, s.handler != t.handler)
    return implies(started, any_of(blindly, s.num_free >= longest_chain(model)))


def leave_it(model: Transmit, s: State, choice: Choice) -> tuple[Flag, Flag]:
    """Return that no other step stops the queue, or starts it."""
    steps = (step for name, step in _steps(model, s, choice) if name not in ("test_room", *STARTING))
    return True, both(*(implies(step.guard, step.after.stopped == s.stopped) for step in steps))


def _steps(model: Transmit, s: State, choice: Choice) -> Iterator[tuple[str, Step[State]]]:
    return ((name, model.take(name, s, choice)) for name in model.steps)


STARTING = ("restart", "wake", "wake_blindly")
FRAME_FITS = (
    *induction(Transmit, ROOM),
    between(Transmit, "the frame about to be put into the ring is accepted", ROOM, next_frame_fits),
    claim(Transmit, "stopped only for want of room", "test_room", ROOM, stops_for_want),
    *(claim(Transmit, "started only with room", name, ROOM, starts_with_room) for name in STARTING),
    between(Transmit, "no other step stops the queue, or starts it", ROOM, leave_it),
)

# Waking.


def _in_order(_: Transmit, s: State) -> Flag:
    forgotten = implies(s.at == Place.REMOVED, s.used == s.last_used)
    return both(s.last_used <= s.used, s.used <= s.published, forgotten)


def _counts(model: Transmit, s: State) -> Flag:
    taken = model.queue_size - s.num_free
    return both(
        s.last_used >= 0, _in_order(model, s), s.tested >= 0, s.tested <= s.used,
        s.num_free >= 0, taken >= s.in_flight, taken <= model.longest * s.in_flight,
    )  # fmt: skip


def _places(_: Transmit, s: State) -> Flag:
    busy = one_of(s.at, Place.KICK, Place.ROOM, Place.ENABLE, Place.DELAY, Place.LOOK)
    return both(
        implies(busy, s.in_flight >= 1),
        implies(s.at == Place.DISABLE, no(s.stopped)),
    )


def armed(model: Transmit, s: State) -> Flag:
    """Return that a completion still to be tested for will interrupt, and will find something used."""
    event = both(s.used_event >= s.tested, s.used_event >= s.last_used, s.used_event < s.published)
    flag = both(no(s.no_interrupt), s.tested < s.published, s.last_used < s.published)
    return either(model.event_idx, event, flag)


def due(model: Transmit, s: State) -> Flag:
    """Return that a wake-up is under way: in the handler, by an interrupt with news, or by the device."""
    news = both(any_of(s.interrupt, s.handler == Handler.ASKED), s.used > s.last_used)
    return any_of(one_of(s.handler, Handler.CALLED, Handler.SILENCED), news, armed(model, s))


def _about_to_sleep(model: Transmit, s: State) -> Flag:
    enabled = no(s.no_interrupt)
    delayed = s.used_event == s.last_used + three_quarters(s.in_flight)
    more = any_of(s.used > s.last_used, s.in_flight == 0, s.used_event == s.last_used)
    at_place = {
        Place.IDLE: due(model, s),
        Place.DELAY: enabled,
        Place.LOOK: both(enabled, delayed),
        Place.RECLAIM_AGAIN: both(enabled, more),
        Place.REARM_AGAIN: enabled,
        Place.RESTART: any_of(s.in_flight == 0, due(model, s)),
    }
    safe = (implies(s.at == place, claim) for place, claim in at_place.items())
    return any_of(no(s.stopped), s.handler == Handler.SILENCED, both(*safe))


WAKING = (
    STARTED,
    Invariant("counts", "got back <= completed <= published, and chains have 1 to 19 descriptors", _counts),
    Invariant("places", "a chain is in flight when the callback is enabled", _places),
    Invariant("due", "a stopped queue at rest has a wake-up under way", _about_to_sleep),
)


def is_stuck(_: Transmit, s: State) -> Flag:
    """Return that the queue is stopped, and that only an interrupt without cause might start it."""
    quiet = both(s.handler == Handler.NONE, no(s.interrupt))
    return both(s.at == Place.IDLE, s.stopped, quiet, s.tested == s.used, s.used == s.published)


def not_stuck(model: Transmit, s: State, choice: Choice) -> tuple[Flag, Flag]:
    """Return that a queue is never stuck."""
    del choice
    return _is_large(model), no(is_stuck(model, s))


def wake_up_due(model: Transmit, s: State, choice: Choice) -> tuple[Flag, Flag]:
    """Return that a stopped queue at rest has chains in flight, and a wake-up under way."""
    del choice
    return both(_is_large(model), s.at == Place.IDLE, s.stopped), due(model, s)


def _is_large(model: Transmit) -> Flag:
    return any_of(no(model.linux), model.queue_size >= model.longest)


NO_LOST_WAKE_UP = (
    *induction(Transmit, WAKING, _is_large),
    between(Transmit, "a stopped queue at rest has a wake-up under way", WAKING, wake_up_due),
    between(Transmit, "no queue is stopped, with nothing under way and nothing to come", WAKING, not_stuck),
)

# Frames.


def _freed_once(_: Transmit, s: State) -> Flag:
    return s.times_freed == either(s.frame == Frame.FREED, 1, 0)


FREED = (Invariant("freed-once", "a frame is freed once if it is freed, and else never", _freed_once),)


def freed_when_done(_: Transmit, s: State, choice: Choice, t: State) -> Flag:
    """Return that a frame is freed only if its chain came back, or was never published."""
    del choice
    freed = both(t.frame == Frame.FREED, s.frame != Frame.FREED)
    back = both(s.frame == Frame.IN_RING, s.last_used < s.used)
    never = both(s.frame == Frame.HANDED, t.published == s.published)
    return implies(freed, any_of(back, never))


def freed_when_reset(_: Transmit, s: State, choice: Choice, t: State) -> Flag:
    """Return that a frame is detached only from the ring, and of a device that was reset."""
    del choice
    freed = both(t.frame == Frame.FREED, s.frame != Frame.FREED)
    return implies(freed, both(s.at == Place.REMOVED, s.frame == Frame.IN_RING))


def free_nothing(model: Transmit, s: State, choice: Choice) -> tuple[Flag, Flag]:
    """Return that no other step frees a frame, or takes it for freed."""
    steps = (step for name, step in _steps(model, s, choice) if name not in ("get", "drop", "detach"))

    def is_same(t: State) -> Flag:
        newly = both(t.frame == Frame.FREED, s.frame != Frame.FREED)
        return both(t.times_freed == s.times_freed, no(newly))

    return True, both(*(implies(step.guard, is_same(step.after)) for step in steps))


def _settled(_: Transmit, s: State) -> Flag:
    held = both(one_of(s.at, Place.RECLAIM, Place.REARM, Place.XMIT), no(s.callback))
    return both(implies(s.frame == Frame.HANDED, held), implies(s.at == Place.XMIT, no(s.callback)))


def _in_ring(_: Transmit, s: State) -> Flag:
    return implies(s.frame == Frame.IN_RING, s.in_flight >= 1)


ORDER = Invariant("order", "got back <= completed <= published", _in_order)
SETTLED = (
    ORDER,
    Invariant("settled", "start_xmit returns only when its frame is in the ring or freed", _settled),
    Invariant("in-ring", "a frame in the ring is one of the chains in flight", _in_ring),
)


def dropped_leaves_no_trace(_: Transmit, s: State, choice: Choice, t: State) -> Flag:
    """Return that after a drop the queue is as before, and the frame freed."""
    del choice
    kept = ("stopped", "num_free", "last_used", "published", "no_interrupt", "used_event", "used")
    same = both(*(getattr(t, name) == getattr(s, name) for name in kept))
    freed = implies(s.frame == Frame.HANDED, t.frame == Frame.FREED)
    return both(same, t.at == Place.IDLE, freed)


def all_freed(_: Transmit, s: State, choice: Choice) -> tuple[Flag, Flag]:
    """Return that with nothing in flight and nobody at work, any frame was freed or never handed over."""
    del choice
    rest = both(one_of(s.at, Place.IDLE, Place.REMOVED), s.in_flight == 0)
    return rest, no(one_of(s.frame, Frame.HANDED, Frame.IN_RING))


FRAME_FREED_ONCE = (
    *induction(Transmit, (*FREED, ORDER)),
    claim(
        Transmit, "only a chain that was completed frees its frame", "get", (*FREED, ORDER), freed_when_done
    ),
    claim(
        Transmit, "only a frame that was not published is dropped", "drop", (*FREED, ORDER), freed_when_done
    ),
    claim(
        Transmit, "only a device that was reset loses its frames", "detach", (*FREED, ORDER), freed_when_reset
    ),
    between(Transmit, "no other step frees a frame", (*FREED, ORDER), free_nothing),
)

NO_FRAME_LOST = (
    *induction(Transmit, SETTLED),
    claim(
        Transmit, "the queue is as it was, and the frame is freed", "drop", SETTLED, dropped_leaves_no_trace
    ),
    between(Transmit, "with nothing in flight, every frame handed over was freed", SETTLED, all_freed),
)

# Statistics.


def _statistics(_: Transmit, s: State) -> Flag:
    drops = both(s.tx_dropped == s.dropped, s.tx_fifo_errors == s.dropped)
    return both(s.tx_packets == s.last_used, s.tx_bytes == s.sent_bytes, drops)


COUNTED = Invariant("statistics", "each counter is what its name says", _statistics)
STATISTICS = tuple(induction(Transmit, (COUNTED,)))
