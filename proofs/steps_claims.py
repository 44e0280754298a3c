"""What the step-wise theorems say beyond invariants: claims about steps and about any moment."""

from collections.abc import Callable, Iterable
from dataclasses import fields

from ..model.size import WORD, u16
from ..model.steps.invariants import at
from ..model.steps.moment import Moment, Pc
from ..model.steps.queue import DRIVER, HANDLER, Steps
from ..model.term import Flag, Number, any_of, both, either, implies, no
from .steps_induction import Taken, always, claim
from .theorem import Obligation


def every_step(
    label: str,
    formula: Callable[[Taken], Flag | tuple[Flag, Flag]],
    names: Iterable[str] = (*DRIVER, *HANDLER),
) -> tuple[Obligation, ...]:
    """Return the claim of each step of driver and handler, or of those named."""
    return tuple(claim(label, name, formula) for name in names)


def _in_range(q: Steps, d: Number) -> Flag:
    return both(d >= 0, d < q.queue_size)


# Descriptors.

TAKES_FREE_ONES = (
    claim(
        "the descriptor written is free",
        "fill_descriptor",
        lambda t: t.before.gpos(t.before.cursor) < t.before.free,
    ),
    claim(
        "the descriptor taken is free",
        "take_descriptor",
        lambda t: t.before.gpos(t.before.free_head) < t.before.free,
    ),
)


def _room_is_exact(_: Steps, s: Moment) -> tuple[Flag, Flag]:
    segments = s.segments
    return both(at(s, Pc.IDLE), segments >= 1), (s.num_free >= segments) == (s.free >= segments)


ROOM = (always("between operations a chain is accepted just when it fits", _room_is_exact),)


def _chain_as_asked(t: Taken) -> Flag:
    s, u = t.before, t.after

    def asked(d: Number) -> Flag:
        i = u.gpos(u.head) - u.gpos(d)
        last = i == s.segments - 1
        content = both(
            u.addr(d) == s.segment_addr(i), u.len(d) == s.segment_len(i), u.writes(d) == (i >= s.outs)
        )
        linked = both(no(u.indirect(d)), u.has_next(d) == no(last))
        onward = any_of(last, u.next(d) == u.gat(u.gpos(d) - 1))
        return implies(both(i >= 0, i < s.segments), both(content, linked, onward))

    return implies(no(s.tabled), both(u.order(s.published) == u.head, t.queue.size.every(asked)))


CHAIN_AS_ASKED = (
    claim("the chain published says what was asked, segment by segment", "publish", _chain_as_asked),
)


def _table_is_as_asked(t: Taken) -> Flag:
    s, u = t.before, t.after

    def asked(table: Number, i: Number) -> Flag:
        content = both(u.entry_addr(table, i) == s.segment_addr(i), u.entry_len(table, i) == s.segment_len(i))
        directed = both(content, u.entry_writes(table, i) == (i >= s.outs))
        return implies(both(table == u.addr(u.head), i < s.segments), directed)

    named = both(u.order(s.published) == u.head, u.indirect(u.head), u.size(u.addr(u.head)) == s.segments)
    return implies(s.tabled, both(named, t.queue.size.every_entry(asked)))


TABLE_AS_ASKED = (
    claim("the table published says what was asked, segment by segment", "publish", _table_is_as_asked),
    claim(
        "the entry written is inside the table",
        "fill_entry",
        lambda t: both(t.before.count >= 0, t.before.count < t.before.size(t.before.table)),
    ),
    claim("the last entry is inside the table", "end_table", lambda t: t.before.size(t.before.table) >= 1),
)


# What the device may read stays as it is.


def _untouched(t: Taken) -> Flag:
    q, s, u = t.queue, t.before, t.after

    def same(old: Moment, new: Moment, names: tuple[str, ...], *place: Number) -> Flag:
        return both(*(getattr(new, name)(*place) == getattr(old, name)(*place) for name in names))

    def descriptor(d: Number) -> Flag:
        kept = both(s.gpos(d) >= s.free, u.outstanding(s.owner(d)))
        return implies(kept, same(s, u, ("addr", "len", "writes", "indirect", "has_next", "next"), d))

    def entry(table: Number, i: Number) -> Flag:
        h = s.table_head(table)
        kept = both(s.allocated(table), _in_range(q, h), s.outstanding(h), s.indirect(h), s.addr(h) == table)
        names = ("entry_addr", "entry_len", "entry_writes", "entry_indirect", "entry_has_next", "entry_next")
        return implies(both(kept, i < s.size(table)), same(s, u, names, table, i))

    def slot(k: Number) -> Flag:
        return implies(s.live, u.avail_ring(q.size.slot(k)) == s.avail_ring(q.size.slot(k)))

    return both(
        q.size.every(descriptor), q.size.every_entry(entry), q.size.between(s.read, s.published, slot)
    )


UNTOUCHED = every_step("descriptors, tables and slots of chains in flight are as they were", _untouched)


# Loops.


def _closer(rest: Callable[[Steps, Moment], Number]) -> Callable[[Taken], Flag]:
    """The rounds left are fewer after the step, and were at least one."""
    return lambda t: both(rest(t.queue, t.before) >= 1, rest(t.queue, t.after) == rest(t.queue, t.before) - 1)


LOOPS_END = (
    claim(
        "a descriptor fewer is left to fill", "fill_descriptor", _closer(lambda _, s: s.segments - s.count)
    ),
    claim("an entry fewer is left to fill", "fill_entry", _closer(lambda _, s: s.segments - s.count)),
    claim("a link fewer is left to follow", "walk", _closer(lambda _, s: s.length(s.head) - 1 - s.count)),
    claim("a descriptor fewer is left to scan", "scan_on", _closer(lambda q, s: q.queue_size - s.cursor)),
    claim(
        "the walk ends at the last descriptor",
        "give",
        lambda t: t.before.count == t.before.length(t.before.head) - 1,
    ),
    always(
        "the walk stands on a descriptor of its chain",
        lambda _, s: (at(s, Pc.WALK), s.owner(s.cursor) == s.head),
    ),
)


# Tables live as long as they must, and no longer.


def _table_of_device(q: Steps, s: Moment) -> tuple[Flag, Flag]:
    def claim(h: Number) -> Flag:
        with_device = both(s.outstanding(h), s.place(h) >= s.used, s.indirect(h))
        return implies(with_device, s.allocated(s.addr(h)))

    return s.live, q.size.every(claim)


def _frees_completed(t: Taken) -> Flag:
    s, u, h = t.before, t.after, t.before.head
    freed = both(s.allocated(s.addr(h)), no(u.allocated(s.addr(h))))
    completed = implies(s.live, both(s.place(h) == s.last_used, s.last_used < s.used))
    return implies(freed, both(s.indirect(h), s.outstanding(h), s.table_head(s.addr(h)) == h, completed))


TABLE_LIVES = (
    always("until its chain is completed a table is allocated", _table_of_device),
    claim("the table freed is that of the chain taken back", "detach", _frees_completed),
    always(
        "between operations with nothing in flight no table is allocated",
        lambda q, s: (
            both(at(s, Pc.IDLE), s.published == s.last_used),
            q.size.every_table(lambda t: no(s.allocated(t))),
        ),
    ),
    claim(
        "a new table is nobody's",
        "add_in_table",
        lambda t: t.queue.size.every(
            lambda h: implies(
                both(t.before.outstanding(h), t.before.indirect(h)), t.before.addr(h) != t.choice.table
            )
        ),
    ),
)


def _indirect_alone(q: Steps, s: Moment) -> tuple[Flag, Flag]:
    return True, q.size.every(
        lambda h: implies(both(s.outstanding(h), s.indirect(h)), both(q.indirect_desc, no(s.has_next(h))))
    )


def _entries_plain(q: Steps, s: Moment) -> tuple[Flag, Flag]:
    def plain(t: Number, i: Number) -> Flag:
        h = s.table_head(t)
        used = both(s.allocated(t), _in_range(q, h), s.outstanding(h), s.indirect(h), s.addr(h) == t)
        return implies(both(used, i < s.size(t)), no(s.entry_indirect(t, i)))

    return no(at(s, Pc.TABLE)), q.size.every_entry(plain)


def _no_indirect_in_chain(q: Steps, s: Moment) -> tuple[Flag, Flag]:
    def claim(d: Number) -> Flag:
        return implies(both(s.gpos(d) >= s.free, d != s.owner(d)), no(s.indirect(d)))

    return True, q.size.every(claim)


INDIRECT = (
    claim("a table is begun only if that was negotiated", "add_in_table", lambda t: t.queue.indirect_desc),
    claim("a table is used only if that was negotiated", "take_descriptor", lambda t: t.queue.indirect_desc),
    claim(
        "the descriptor of a table is INDIRECT, without NEXT",
        "take_descriptor",
        lambda t: both(t.after.indirect(t.after.head), no(t.after.has_next(t.after.head))),
    ),
    claim(
        "a descriptor of a chain is not INDIRECT",
        "fill_descriptor",
        lambda t: no(t.after.indirect(t.before.cursor)),
    ),
    claim(
        "an entry of a table is not INDIRECT",
        "fill_entry",
        lambda t: no(t.after.entry_indirect(t.before.table, t.before.count)),
    ),
    always("INDIRECT stands alone, without NEXT, and only if negotiated", _indirect_alone),
    always("no entry of a table is INDIRECT", _entries_plain),
    always("no descriptor down a chain is INDIRECT", _no_indirect_in_chain),
)


# Slots of the two rings.


def _slot_is_spent(t: Taken) -> Flag:
    q, s = t.queue, t.before
    return q.size.between(s.read, s.published, lambda k: q.size.slot(k) != q.avail_slot(s.avail_idx))


AVAIL_SLOT = (
    claim("the slot written is not still to be read", "write_slot", _slot_is_spent),
    claim(
        "fewer than queue_size chains were in flight",
        "publish",
        lambda t: t.before.published - t.before.last_used < t.queue.queue_size,
    ),
)

USED_SLOT = (
    claim(
        "the element written is not still to be read",
        "device_stages",
        lambda t: t.queue.size.between(
            t.before.last_used,
            t.before.staged,
            lambda k: t.queue.size.slot(k) != t.queue.size.slot(u16(t.before.staged)),
        ),
    ),
)


def _finds_chain(t: Taken) -> Flag:
    s = t.before
    h = s.avail_ring(t.queue.size.slot(u16(s.read)))
    return both(_in_range(t.queue, h), s.outstanding(h), no(s.held(h)), h == s.order(s.read))


FINDS_CHAINS = (
    claim("the head is of a chain in flight, not yet with the device", "device_reads", _finds_chain),
)


def _id_is_good(q: Steps, s: Moment) -> tuple[Flag, Flag]:
    h = q.used_head(s)
    return at(s, Pc.ELEMENT), both(
        q.is_good(s, h), s.outstanding(h), no(s.held(h)), s.place(h) == s.last_used
    )


GOOD_ID = (always("the id of a used element is good", _id_is_good),)


# Tokens.


def _returns_token(t: Taken) -> Flag:
    s, u, h = t.before, t.after, t.before.head
    completed = implies(s.live, both(s.last_used < s.used, s.order(s.last_used) == h))
    return both(u.result == s.given(h), u.result != 0, u.data(h) == 0, s.outstanding(h), completed)


TOKENS = (
    claim("the token is that of the chain completed, and is forgotten", "detach", _returns_token),
    claim("its chain is outstanding no longer", "give", lambda t: no(t.after.outstanding(t.before.head))),
    claim(
        "the head had no token",
        "remember",
        lambda t: both(t.before.data(t.before.head) == 0, t.before.token != 0),
    ),
)


# Indices.


def _any_two(_: Steps, s: Moment) -> tuple[Flag, Flag]:
    pairs = (
        (s.avail_idx, s.used_idx, s.published, s.used),
        (s.avail_idx, s.last_used_idx, s.published, s.last_used),
        (s.used_idx, s.last_used_idx, s.used, s.last_used),
    )
    still = both(s.live, no(at(s, Pc.ADVANCE)))
    return still, both(*((i == j) == (m == n) for i, j, m, n in pairs))


def _never_back(t: Taken) -> Flag:
    s, u = t.before, t.after
    return implies(s.live, u16(u.avail_idx - s.avail_idx) == u.published - s.published)


INDICES = (
    always("any two of the three indices are equal just when the counts are", _any_two),
    always(
        "the driver sees a used element just when there is one",
        lambda q, s: (both(at(s, Pc.IDLE), s.live), q.sees_used(s) == (s.last_used != s.used)),
    ),
    always(
        "the device sees an available head just when there is one",
        lambda _, s: (s.live, (s.avail_idx != u16(s.read)) == (s.published != s.read)),
    ),
    *every_step("avail_idx moves on by the chains published, and never back", _never_back),
)


def _all_written(t: Taken) -> Flag:
    s, q = t.before, t.queue
    whole = both(s.allocated(s.table), s.addr(s.head) == s.table, s.size(s.table) == s.segments)
    return both(
        s.avail_ring(q.size.slot(s.published)) == s.head,
        s.data(s.head) == s.token,
        implies(s.tabled, whole),
        t.after.avail_idx == u16(s.avail_idx + 1),
    )


WRITTEN_FIRST = (
    claim("slot, token and table are in place, and one chain is published", "publish", _all_written),
    claim("no other driver step is between slot and index", "write_slot", lambda t: t.after.pc == Pc.PUBLISH),
)


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
        "a kick looks at all that was published", "prepare", lambda t: t.after.last_kick == t.after.published
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
    return both(t.after.notified == t.before.notified, t.after.pc != Pc.NOTIFY)


KICKS_ASKED_FOR = (
    claim("the negotiated suppression alone decides", "decide", _follows_feature),
    claim("a full ring is kicked, not notified", "add_refused", _asks_first),
    *every_step(
        "nobody is notified, nor about to be",
        _notifies_at_notify,
        [name for name in DRIVER if name not in ("decide", "notify", "add_refused")],
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
    return both(s.waiting, passed), any_of(s.irq, s.handling, s.deciding)


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
    return both(t.before.waiting, t.before.last_used < t.before.used), no(t.after.waiting)


INTERRUPTS_ARRIVE = (
    always("a driver that waits over completions has an interrupt coming", _interrupt_comes),
    always("a driver that waits with chains in flight has asked for one of them", _asks_for_what_comes),
    claim("the device interrupts for what the driver waits for", "device_signals", _decides_right),
    claim("an interrupt that finds something used wakes the driver", "handle", _is_heard),
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


DELAYED = (
    claim(
        "it waits for three quarters of what is in flight, and never for all",
        "enable_cb_delayed",
        _three_quarters,
    ),
    claim(
        "enable_cb waits for the next completion",
        "enable_cb",
        lambda t: t.after.bufs == 0,
    ),
    claim(
        "it is late just when more was used than that",
        "poll",
        lambda t: t.queue.is_late(t.before) == (t.before.used > t.before.event),
    ),
    claim(
        "used_event is the number computed",
        "arm",
        lambda t: implies(t.queue.event_idx, t.after.used_event == u16(t.after.event)),
    ),
)


def _used_event_kept(t: Taken) -> Flag:
    return t.after.used_event == t.before.used_event


CALLBACKS_OFF = (
    claim(
        "while callbacks are off, get_buf leaves used_event alone",
        "advance",
        lambda t: (no(t.before.wanted), t.after.pc == Pc.IDLE),
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
        "advance",
        lambda t: (both(t.before.wanted, t.queue.event_idx), t.after.pc == Pc.REARM),
    ),
)


def _flags_zero(mended: bool) -> Callable[[Steps, Moment], tuple[Flag, Flag]]:
    return lambda q, s: (both(q.mended if mended else no(q.mended), q.event_idx), no(s.no_interrupt))


FLAGS_ZERO = (always("with EVENT_IDX avail.flags is 0", _flags_zero(mended=True)),)
FLAGS_ZERO_LINUX = (always("Linux 3.11: with EVENT_IDX avail.flags is 0", _flags_zero(mended=False)),)


def _chain_fits(mended: bool) -> Callable[[Steps, Moment], tuple[Flag, Flag]]:
    def formula(q: Steps, s: Moment) -> tuple[Flag, Flag]:
        def fits(h: Number) -> Flag:
            entries = either(both(s.indirect(h), s.allocated(s.addr(h))), s.size(s.addr(h)), s.length(h))
            return implies(s.outstanding(h), entries <= q.queue_size)

        return q.mended if mended else no(q.mended), q.size.every(fits)

    return formula


CHAIN_FITS = (
    claim(
        "a chain begun in a table is no longer than the queue",
        "add_in_table",
        lambda t: (t.queue.mended, t.after.segments <= t.queue.queue_size),
    ),
    claim(
        "a chain begun in the ring is no longer than the queue",
        "add_in_ring",
        lambda t: t.after.segments <= t.queue.queue_size,
    ),
    always("no chain in flight is longer than the queue", _chain_fits(mended=True)),
)
CHAIN_FITS_LINUX = (
    always("Linux 3.11: no chain in flight is longer than the queue", _chain_fits(mended=False)),
)


# Refused, and taken back unused.


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

UNUSED = (
    claim(
        "when none is found, nothing is outstanding",
        "scan_ends",
        lambda t: both(
            t.before.published == t.before.last_used,
            t.queue.size.every(lambda h: no(t.before.outstanding(h))),
        ),
    ),
    claim(
        "the chain found is outstanding",
        "scan_finds",
        lambda t: both(
            t.before.outstanding(t.before.cursor),
            t.before.data(t.before.cursor) == t.before.given(t.before.cursor),
        ),
    ),
    claim(
        "avail_idx counts one chain less", "retract", lambda t: t.after.avail_idx == u16(t.after.published)
    ),
    claim(
        "after a reset one chain less is outstanding, and avail_idx alone lags",
        "give",
        lambda t: (
            no(t.before.live),
            both(t.after.published == t.before.published - 1, t.after.pc == Pc.RETRACT),
        ),
    ),
)
