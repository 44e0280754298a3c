"""What the step-wise theorems say of chains, tables and rings beyond invariants."""

from collections.abc import Callable

from ..model.invariants import in_range
from ..model.size import u16
from ..model.steps.invariants import ADDING, at
from ..model.steps.moment import Choice, Moment, Pc
from ..model.steps.queue import Steps
from ..model.term import Flag, Number, any_of, both, either, implies, no
from .steps_induction import Taken, always, claim, every_step

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


def _copies_call(t: Taken) -> Flag:
    return _same_call(t, t.choice)


def _keeps_call(t: Taken) -> Flag:
    return implies(at(t.before, *ADDING), _same_call(t, t.before))


def _same_call(t: Taken, call: Moment | Choice) -> Flag:
    u = t.after
    numbers = (getattr(u, name) == getattr(call, name) for name in ("token", "segments", "outs"))
    segments = t.queue.size.every_entry(
        lambda _, i: both(u.segment_addr(i) == call.segment_addr(i), u.segment_len(i) == call.segment_len(i))
    )
    return both(*numbers, segments)


_BEGUN = ("add_in_table", "add_in_ring")
CALL_KEPT = (
    *every_step("what is added is what the caller asked for", _copies_call, _BEGUN),
    *every_step(
        "what was asked for stays so while it is added",
        _keeps_call,
        [name for name in Steps.steps if name not in _BEGUN],
    ),
)


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
    *CALL_KEPT,
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
        kept = both(s.allocated(table), in_range(q, h), s.outstanding(h), s.indirect(h), s.addr(h) == table)
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


def _filling(_: Steps, s: Moment) -> Number:
    return s.segments - s.count


def _following(_: Steps, s: Moment) -> Number:
    return s.length(s.head) - 1 - s.count


def _scanning(q: Steps, s: Moment) -> Number:
    return q.queue_size - s.cursor


_LOOPS = {
    "fill_descriptor": (Pc.FILL, _filling),
    "fill_entry": (Pc.TABLE, _filling),
    "walk": (Pc.WALK, _following),
    "scan_on": (Pc.SCAN, _scanning),
}
"""Each loop's round: where the driver is then, and how many rounds are left."""


def _no_further(name: str) -> Callable[[Taken], Flag]:
    """Of every loop but the step's own: as many rounds are left, or it has ended."""

    def formula(t: Taken) -> Flag:
        kept = (
            implies(
                at(t.before, pc),
                any_of(no(at(t.after, pc)), rest(t.queue, t.after) == rest(t.queue, t.before)),
            )
            for own, (pc, rest) in _LOOPS.items()
            if own != name
        )
        return both(*kept)

    return formula


LOOPS_END = (
    *(claim("a round fewer is left", name, _closer(rest)) for name, (_, rest) in _LOOPS.items()),
    *(claim("no other loop has more rounds left", name, _no_further(name)) for name in Steps.steps),
    claim("the walk ends at the last descriptor", "give", lambda t: _following(t.queue, t.before) == 0),
    always(
        "the walk stands on a descriptor of its chain, which is no longer than the queue",
        lambda q, s: (at(s, Pc.WALK), both(s.owner(s.cursor) == s.head, s.length(s.head) <= q.queue_size)),
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
        used = both(s.allocated(t), in_range(q, h), s.outstanding(h), s.indirect(h), s.addr(h) == t)
        return implies(both(used, i < s.size(t)), no(s.entry_indirect(t, i)))

    return True, q.size.every_entry(plain)


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


def _used_ring_kept(t: Taken) -> Flag:
    return t.queue.size.every(lambda slot: t.after.used_ring(slot) == t.before.used_ring(slot))


USED_SLOT = (
    *every_step("the used ring is as it was", _used_ring_kept),
    claim(
        "the element of the next count is not still to be read",
        "device_stages",
        lambda t: t.queue.size.between(
            t.before.last_used,
            t.before.staged,
            lambda k: t.queue.size.slot(k) != t.queue.size.slot(t.before.staged),
        ),
    ),
    claim(
        "the element written is that of the next count",
        "device_stages",
        lambda t: t.queue.size.slot(u16(t.before.staged)) == t.queue.size.slot(t.before.staged),
    ),
)


def _finds_chain(t: Taken) -> Flag:
    s = t.before
    h = s.avail_ring(t.queue.size.slot(u16(s.read)))
    return both(in_range(t.queue, h), s.outstanding(h), no(s.held(h)), h == s.order(s.read))


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
    claim("no token is left at its head", "give", lambda t: t.after.data(t.before.head) == 0),
    *every_step(
        "the token handed out stays what it is",
        lambda t: t.after.result == t.before.result,
        [name for name in Steps.steps if name not in ("detach", "look_in_vain", "scan_ends")],
    ),
    claim(
        "the head had no token",
        "remember",
        lambda t: both(t.before.data(t.before.head) == 0, t.before.token != 0),
    ),
)


# Indices.


def _any_two(_: Steps, s: Moment) -> tuple[Flag, Flag]:
    taken = s.last_used - either(at(s, Pc.ADVANCE), 1, 0)
    pairs = (
        (s.avail_idx, s.used_idx, s.published, s.used),
        (s.avail_idx, s.last_used_idx, s.published, taken),
        (s.used_idx, s.last_used_idx, s.used, taken),
    )
    return s.live, both(*((i == j) == (m == n) for i, j, m, n in pairs))


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
)


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


# Taken back unused.

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
