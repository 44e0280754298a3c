"""What the step-wise theorems say of kicks, interrupts and refusals beyond invariants."""

from collections.abc import Callable
from dataclasses import fields

from ..model.size import WORD, u16
from ..model.steps.invariants import at
from ..model.steps.moment import Moment, Pc
from ..model.steps.queue import DRIVER, HANDLER, Steps
from ..model.term import Flag, any_of, both, either, implies, no
from .steps_induction import Taken, always, claim, every_step

# Kicks.


def _event_is_exact(t: Taken) -> Flag:
    s = t.before
    named = s.kick_from + u16(s.avail_event - s.kick_from)
    event = both(s.avail_event >= 0, s.avail_event < WORD)
    return implies(both(t.queue.event_idx, event), t.after.need == (named < s.published))


KICK_COUNT = (
    claim("with EVENT_IDX, exactly the adds since the last kick are looked at", "decide", _event_is_exact),
    always(
        "between operations num_added is the number of adds since the last kick",
        lambda _, s: (
            both(at(s, Pc.IDLE), s.live),
            both(s.num_added == s.published - s.last_kick, s.num_added < WORD - 1),
        ),
    ),
)


def _not_asleep_over_work(_: Steps, s: Moment) -> tuple[Flag, Flag]:
    kicked = both(at(s, Pc.IDLE), s.live, s.last_kick == s.published)
    return both(kicked, s.asleep, s.read < s.published), s.notified


KICKS_ARRIVE = (
    always("after a kick no device sleeps over work, unless it is being notified", _not_asleep_over_work),
    claim(
        "a kick looks at all since the one before",
        "prepare",
        lambda t: t.after.old_idx == u16(t.before.last_kick),
    ),
    claim("what was decided is done", "decide", lambda t: (t.after.pc == Pc.NOTIFY) == t.after.need),
    claim("the device is notified", "notify", lambda t: t.after.notified),
)


def _follows_feature(t: Taken) -> Flag:
    s, q = t.before, t.queue
    asked = u16(s.avail_idx - s.avail_event - 1) < u16(s.avail_idx - s.old_idx)
    return t.after.need == either(q.event_idx, asked, no(s.no_notify))


def _asks_first(t: Taken) -> tuple[Flag, Flag]:
    return t.queue.mended, t.after.pc != Pc.NOTIFY


def _notifies_at_notify(t: Taken) -> Flag:
    s, u = t.before, t.after
    return both(u.notified == s.notified, implies(at(u, Pc.NOTIFY), at(s, Pc.NOTIFY)))


KICKS_ASKED_FOR = (
    claim("the negotiated suppression alone decides", "decide", _follows_feature),
    claim("a full ring is kicked, not notified", "add_refused", _asks_first),
    *every_step(
        "nobody is notified, nor about to be",
        _notifies_at_notify,
        [name for name in (*DRIVER, *HANDLER) if name not in ("decide", "notify", "add_refused")],
    ),
)
FULL_RING_KICK = (
    claim(
        "Linux 3.11: a full ring is kicked, not notified",
        "add_refused",
        lambda t: (
            both(no(t.queue.mended), no(t.queue.event_idx), t.before.no_notify),
            t.after.pc != Pc.NOTIFY,
        ),
    ),
)


# Interrupts.


def _interrupt_comes(q: Steps, s: Moment) -> tuple[Flag, Flag]:
    passed = either(q.event_idx, s.event < s.used, s.seen < s.used)
    return both(s.waiting, passed), any_of(s.irq, s.handling, s.calling, s.deciding)


def _asks_for_what_comes(q: Steps, s: Moment) -> tuple[Flag, Flag]:
    flight = s.published > s.last_used
    named = both(s.last_used <= s.event, s.event < s.published)
    return both(s.waiting, flight), either(
        q.event_idx, both(named, s.used_event == u16(s.event)), no(s.no_interrupt)
    )


def _decides_right(t: Taken) -> tuple[Flag, Flag]:
    s, q = t.before, t.queue
    due = either(q.event_idx, both(s.signalled <= s.event, s.event < s.used), True)
    return both(s.waiting, due), t.after.irq


def _is_heard(t: Taken) -> tuple[Flag, Flag]:
    return both(t.before.waiting, t.before.last_used < t.before.used), t.after.calling


INTERRUPTS_ARRIVE = (
    always("a driver that waits over completions has an interrupt coming", _interrupt_comes),
    always("a driver that waits with chains in flight has asked for one of them", _asks_for_what_comes),
    claim("the device interrupts for what the driver waits for", "device_signals", _decides_right),
    claim("an interrupt that finds something used calls back", "handle", _is_heard),
    claim(
        "who is called back no longer waits", "call_back", lambda t: both(no(t.after.waiting), t.after.woken)
    ),
    claim(
        "with callbacks on, who finds nothing may wait",
        "look_in_vain",
        lambda t: t.after.waiting == t.before.wanted,
    ),
    claim(
        "an interrupt that comes while another is handled stays pending",
        "handle",
        lambda t: implies(t.before.irq, t.after.irq),
    ),
)


def _three_quarters(t: Taken) -> Flag:
    s, flight = t.before, t.before.published - t.before.last_used
    within = both(4 * t.after.bufs <= 3 * flight, 3 * flight < 4 * (t.after.bufs + 1))
    return both(within, t.after.bufs >= 0, implies(flight > 0, s.last_used + t.after.bufs < s.published))


def _late_past_event(t: Taken) -> Flag:
    return t.queue.is_late(t.before) == (t.before.used > t.before.event)


DELAYED = (
    claim(
        "it waits for three quarters of what is in flight, and never for all",
        "enable_cb_delayed",
        _three_quarters,
    ),
    # Apart, for neither needs to know how three quarters are rounded: together they take a search.
    claim(
        "after a delay it is late just when more was used than that",
        "poll",
        lambda t: (t.before.delayed, _late_past_event(t)),
    ),
    claim(
        "without one it is late just when anything was used",
        "poll",
        lambda t: (no(t.before.delayed), _late_past_event(t)),
    ),
    claim(
        "used_event is the number computed",
        "arm",
        lambda t: implies(t.queue.event_idx, t.after.used_event == u16(t.after.event)),
    ),
)


def _used_event_kept(t: Taken) -> Flag:
    return t.after.used_event == t.before.used_event


_SWITCHES = ("enable_cb", "enable_cb_delayed", "disable_cb", "call_back")
CALLBACKS_OFF = (
    claim(
        "while callbacks are off, get_buf leaves used_event alone",
        "ask",
        lambda t: (no(t.before.wanted), t.after.pc == Pc.IDLE),
    ),
    *every_step(
        "callbacks stay on or off",
        lambda t: both(t.after.wanted == t.before.wanted, t.after.no_interrupt == t.before.no_interrupt),
        [name for name in Steps.steps if name not in _SWITCHES],
    ),
    *every_step(
        "used_event stays",
        _used_event_kept,
        [name for name in (*DRIVER, *HANDLER) if name not in ("arm", "rearm")],
    ),
    *every_step(
        "avail_event and used_idx, the device's, stay",
        lambda t: both(
            t.after.avail_event == t.before.avail_event,
            t.after.used_idx == t.before.used_idx,
            t.after.no_notify == t.before.no_notify,
        ),
    ),
    claim(
        "callbacks are off",
        "disable_cb",
        lambda t: both(no(t.after.wanted), implies(no(t.queue.event_idx), t.after.no_interrupt)),
    ),
    *(
        claim("callbacks are on", name, lambda t: both(t.after.wanted, no(t.after.no_interrupt)))
        for name in ("enable_cb", "enable_cb_delayed")
    ),
    claim(
        "while callbacks are on, get_buf asks for the next completion",
        "rearm",
        lambda t: t.after.used_event == u16(t.after.last_used),
    ),
    claim(
        "get_buf re-arms if callbacks are on, and used_event is heeded",
        "ask",
        lambda t: (both(t.before.wanted, t.queue.event_idx), t.after.pc == Pc.REARM),
    ),
    claim("an interrupt leaves them off", "call_back", lambda t: no(t.after.wanted)),
)


def _flags_zero(mended: bool) -> Callable[[Steps, Moment], tuple[Flag, Flag]]:
    return lambda q, s: (both(q.mended if mended else no(q.mended), q.event_idx), no(s.no_interrupt))


FLAGS_ZERO = (always("with EVENT_IDX avail.flags is 0", _flags_zero(mended=True)),)
FLAGS_ZERO_LINUX = (always("Linux 3.11: with EVENT_IDX avail.flags is 0", _flags_zero(mended=False)),)


# Refused.


def _unchanged(t: Taken) -> Flag:
    s, u = t.before, t.after
    names = [field.name for field in fields(Moment) if field.name not in ("pc", "need")]
    return both(*(getattr(u, name) is getattr(s, name) for name in names))


REFUSED = (
    claim("refused only for want of descriptors", "add_refused", lambda t: t.before.free < t.choice.segments),
    claim("nothing has changed", "add_refused", _unchanged),
    claim(
        "the device is kicked or notified if the chain has anything for it",
        "add_refused",
        lambda t: (t.choice.outs > 0, at(t.after, Pc.PREPARE, Pc.NOTIFY)),
    ),
)
