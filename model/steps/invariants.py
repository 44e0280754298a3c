"""What holds between any two steps, of driver, handler or device: every invariant, by name and in words.

Most of what ``..invariants`` says between two operations holds between two steps as well, and is taken from
there. The rest says how far memory is ahead of the ghosts, by ``pc``; what a table holds; and what keeps the
two sides from both waiting for one another.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..invariants import INVARIANTS as BETWEEN_OPERATIONS
from ..invariants import in_range
from ..size import WORD, u16
from ..term import Flag, Number, any_of, both, either, implies, no, one_of, three_quarters
from .adding import ENTRY_BYTES
from .moment import Moment, Pc
from .queue import Steps


@dataclass(frozen=True)
class Invariant:
    """One invariant: its name, what it says, and the formula for a queue and one of its moments."""

    name: str
    words: str
    holds: Callable[[Steps, Moment], Flag]


ADDING = (Pc.TABLE, Pc.TAKE, Pc.FILL, Pc.REMEMBER, Pc.SLOT, Pc.PUBLISH)
"""Where an add is under way and its chain not yet published."""

_TAKEN = (Pc.REMEMBER, Pc.SLOT, Pc.PUBLISH)
_AFTER_RESET = (Pc.IDLE, Pc.SCAN, Pc.DETACH, Pc.WALK, Pc.RETRACT)
_BEFORE_REARMED = (Pc.ADVANCE, Pc.ASK, Pc.REARM)
_MAY_WAIT = (*ADDING, Pc.IDLE, Pc.COUNT, Pc.PREPARE, Pc.DECIDE, Pc.NOTIFY)


def at(s: Moment, *pcs: Pc) -> Flag:
    """Return whether the driver is at one of these statements."""
    return one_of(s.pc, *pcs)


def _is_taken_back(s: Moment, h: Number) -> Flag:
    """The chain's token is forgotten, its table freed, and its descriptors not yet on the free list."""
    return both(at(s, Pc.WALK), h == s.head)


def _in_table(s: Moment) -> Flag:
    return both(at(s, *ADDING), s.tabled)


# Where the driver is.


def _program(_: Steps, s: Moment) -> Flag:
    reset = any_of(s.live, at(s, *_AFTER_RESET))
    return both(
        s.pc >= min(Pc),
        s.pc <= max(Pc),
        reset,
        implies(at(s, Pc.SCAN, Pc.RETRACT), no(s.live)),
        implies(at(s, Pc.ELEMENT, Pc.SCAN, Pc.RETRACT, Pc.DETACH, Pc.WALK), s.unused == no(s.live)),
        implies(at(s, Pc.NOTIFY), s.need),
    )


def _arguments(q: Steps, s: Moment) -> Flag:
    call = both(s.token != 0, s.segments >= 1, s.outs >= 0, s.outs <= s.segments)
    room = both(s.taking == either(s.tabled, 1, s.segments), s.taking <= s.free, s.head == s.gat(s.free - 1))
    table = both(q.indirect_desc, s.segments >= 2, implies(q.mended, s.segments <= q.queue_size))
    return both(
        implies(at(s, *ADDING), both(call, room, implies(s.tabled, table))),
        implies(at(s, Pc.TABLE, Pc.TAKE), s.tabled),
        implies(at(s, Pc.FILL), no(s.tabled)),
    )


# The free list.


def _free_head(q: Steps, s: Moment) -> Flag:
    rest = s.free - either(at(s, *_TAKEN), s.taking, 0)
    return both(in_range(q, s.free_head), implies(rest > 0, s.free_head == s.gat(rest - 1)))


def _num_free(_: Steps, s: Moment) -> Flag:
    ahead = either(at(s, Pc.FILL, *_TAKEN), -s.taking, either(at(s, Pc.WALK), s.count, 0))
    return s.num_free == s.free + ahead


def _filling(q: Steps, s: Moment) -> Flag:
    come = both(s.count >= 0, s.count <= s.segments, in_range(q, s.cursor))
    here = implies(s.count < s.free, s.cursor == s.gat(s.free - 1 - s.count))
    behind = implies(s.count > 0, s.previous == s.gat(s.free - s.count))
    return implies(at(s, Pc.FILL), both(come, here, behind))


# The chain being added.


def _descriptors_as_asked(q: Steps, s: Moment) -> Flag:
    done = either(at(s, Pc.FILL), s.count, s.segments)

    def claim(d: Number) -> Flag:
        i = s.free - 1 - s.gpos(d)
        asked = both(
            s.has_next(d) == any_of(at(s, Pc.FILL), i < s.segments - 1),
            no(s.indirect(d)),
            s.writes(d) == (i >= s.outs),
            s.addr(d) == s.segment_addr(i),
            s.len(d) == s.segment_len(i),
        )
        return implies(both(i >= 0, i < done), asked)

    filled = both(at(s, Pc.FILL, *_TAKEN), no(s.tabled))
    return q.size.every(lambda d: implies(filled, claim(d)))


def _table_as_asked(_: Steps, s: Moment) -> Flag:
    h = s.head
    named = both(s.indirect(h), no(s.has_next(h)), no(s.writes(h)))
    taken = both(named, s.addr(h) == s.table, s.len(h) == s.segments * ENTRY_BYTES)
    return implies(both(at(s, *_TAKEN), s.tabled), taken)


def _building(q: Steps, s: Moment) -> Flag:
    fresh = q.size.every(
        lambda h: implies(both(_in_table(s), s.outstanding(h), s.indirect(h)), s.addr(h) != s.table)
    )
    made = both(s.allocated(s.table), s.size(s.table) == s.segments, s.table_outs(s.table) == s.outs)
    counted = implies(at(s, Pc.TABLE), both(s.count >= 0, s.count <= s.segments))
    return both(implies(_in_table(s), both(made, counted)), fresh)


def _entries_as_asked(q: Steps, s: Moment) -> Flag:
    done = either(at(s, Pc.TABLE), s.count, s.segments)

    def claim(t: Number, i: Number) -> Flag:
        asked = both(
            s.entry_addr(t, i) == s.segment_addr(i),
            s.entry_len(t, i) == s.segment_len(i),
            s.entry_writes(t, i) == (i >= s.outs),
            no(s.entry_indirect(t, i)),
            implies(at(s, Pc.TABLE), both(s.entry_has_next(t, i), s.entry_next(t, i) == i + 1)),
        )
        return implies(both(_in_table(s), t == s.table, i < done), asked)

    return q.size.every_entry(claim)


# Chains and tables that the device may read.


def _table_shape(q: Steps, s: Moment) -> Flag:
    def claim(t: Number, i: Number) -> Flag:
        whole = both(s.allocated(t), no(both(at(s, Pc.TABLE), t == s.table)), i < s.size(t))
        last = i == s.size(t) - 1
        linked = both(s.entry_has_next(t, i) == no(last), s.entry_next(t, i) == either(last, 0, i + 1))
        return implies(
            whole, both(linked, s.entry_writes(t, i) == (i >= s.table_outs(t)), no(s.entry_indirect(t, i)))
        )

    return q.size.every_entry(claim)


def _table_owner(q: Steps, s: Moment) -> Flag:
    def claim(t: Number) -> Flag:
        h = s.table_head(t)
        owned = both(
            in_range(q, h), s.outstanding(h), s.indirect(h), s.addr(h) == t, no(_is_taken_back(s, h))
        )
        return implies(s.allocated(t), any_of(both(_in_table(s), t == s.table), owned))

    return q.size.every_table(claim)


def _chain_table(q: Steps, s: Moment) -> Flag:
    def claim(h: Number) -> Flag:
        t = s.addr(h)
        entries = both(s.len(h) == s.size(t) * ENTRY_BYTES, s.size(t) >= 2)
        fits = implies(q.mended, s.size(t) <= q.queue_size)
        alive = both(s.allocated(t), s.table_head(t) == h, entries, fits)
        tabled = both(q.indirect_desc, s.length(h) == 1, any_of(_is_taken_back(s, h), alive))
        return implies(both(s.outstanding(h), s.indirect(h)), tabled)

    return q.size.every(claim)


def _chain_directions(q: Steps, s: Moment) -> Flag:
    def claim(d: Number) -> Flag:
        h = s.owner(d)
        below = s.gpos(h) - s.gpos(d)
        owned = both(s.gpos(d) >= s.free, in_range(q, h), s.outstanding(h), below >= 0, below < s.length(h))
        directed = both(no(s.indirect(d)), s.writes(d) == (below >= s.chain_outs(h)))
        return implies(owned, either(s.indirect(h), no(s.writes(h)), directed))

    return q.size.every(claim)


# The two rings and their indices.


def _slot_written(q: Steps, s: Moment) -> Flag:
    return implies(at(s, Pc.PUBLISH), s.avail_ring(q.size.slot(s.published)) == s.head)


def _avail_entries(q: Steps, s: Moment) -> Flag:
    return q.size.between(
        s.read, s.published, lambda k: implies(s.live, s.avail_ring(q.size.slot(k)) == s.order(k))
    )


def _used_entries(q: Steps, s: Moment) -> Flag:
    return q.size.between(
        s.last_used, s.staged, lambda k: implies(s.live, s.used_ring(q.size.slot(k)) == s.order(k))
    )


def _time(_: Steps, s: Moment) -> Flag:
    passed = both(s.last_used <= s.used, s.used <= s.staged, s.staged <= s.read, s.read <= s.published)
    return both(s.last_used >= 0, s.last_used <= s.published, implies(s.live, passed))


def _held(q: Steps, s: Moment) -> Flag:
    def claim(h: Number) -> Flag:
        return s.held(h) == both(s.outstanding(h), s.staged <= s.place(h), s.place(h) < s.read)

    return q.size.every(lambda h: implies(s.live, claim(h)))


def _indices(_: Steps, s: Moment) -> Flag:
    return both(
        s.used_idx == u16(s.used),
        s.avail_idx == u16(s.published + either(at(s, Pc.RETRACT), 1, 0)),
        s.last_used_idx == u16(s.last_used - either(at(s, Pc.ADVANCE), 1, 0)),
        implies(at(s, Pc.ADVANCE), s.last_used >= 1),
    )


# Chains that come back.


def _tokens(q: Steps, s: Moment) -> Flag:
    def claim(h: Number) -> Flag:
        kept = both(s.given(h) != 0, s.data(h) == either(_is_taken_back(s, h), 0, s.given(h)))
        early = both(at(s, Pc.SLOT, Pc.PUBLISH), h == s.head)
        return either(s.outstanding(h), kept, s.data(h) == either(early, s.token, 0))

    return q.size.every(claim)


def _coming_back(q: Steps, s: Moment) -> Flag:
    completed = both(s.last_used < s.used, s.place(s.head) == s.last_used)
    back = both(in_range(q, s.head), s.outstanding(s.head), implies(s.live, completed))
    return both(implies(at(s, Pc.ELEMENT), s.last_used < s.used), implies(at(s, Pc.DETACH, Pc.WALK), back))


def _walking(_: Steps, s: Moment) -> Flag:
    come = both(s.count >= 0, s.count < s.length(s.head), s.cursor == s.gat(s.gpos(s.head) - s.count))
    return implies(at(s, Pc.WALK), both(come, s.result == s.given(s.head)))


def _scanning(q: Steps, s: Moment) -> Flag:
    passed = q.size.every(lambda d: implies(both(at(s, Pc.SCAN), d < s.cursor), s.data(d) == 0))
    return both(implies(at(s, Pc.SCAN), both(s.cursor >= 0, s.cursor <= q.queue_size)), passed)


# Kicks.


def _adds_since_kick(_: Steps, s: Moment) -> Flag:
    counted = s.last_kick + s.num_added == s.published - either(at(s, Pc.COUNT), 1, 0)
    most = WORD - 2 + either(at(s, Pc.PREPARE), 1, 0)
    return implies(s.live, both(s.last_kick >= 0, s.num_added >= 0, s.num_added <= most, counted))


def _kick_range(_: Steps, s: Moment) -> Flag:
    kept = both(s.old_idx == u16(s.kick_from), s.kick_from >= 0, s.last_kick == s.published)
    adds = s.published - s.kick_from
    return implies(at(s, Pc.DECIDE), both(kept, adds >= 0, adds < WORD))


def _doze(_: Steps, s: Moment) -> Flag:
    return implies(any_of(s.dozing, s.asleep), both(s.avail_event == u16(s.read), no(s.no_notify)))


def _kick_due(_: Steps, s: Moment) -> Flag:
    to_come = any_of(s.last_kick <= s.read, both(at(s, Pc.DECIDE), s.kick_from <= s.read), at(s, Pc.NOTIFY))
    return implies(both(s.live, s.asleep, no(s.notified), s.read < s.published), to_come)


# Interrupts.


def _callbacks(q: Steps, s: Moment) -> Flag:
    return s.no_interrupt == both(q.switches_flags(), no(s.wanted))


def _signals(_: Steps, s: Moment) -> Flag:
    counted = both(s.signalled >= 0, s.signalled <= s.used, s.used - s.signalled < WORD)
    return both(counted, implies(no(s.deciding), s.signalled == s.used))


def _armed(q: Steps, s: Moment) -> Flag:
    low = s.last_used - either(at(s, *_BEFORE_REARMED), 1, 0)
    named = both(low <= s.event, s.event <= s.published, s.used_event == u16(s.event))
    ahead = implies(s.last_used < s.published, s.event < s.published)
    asked = both(s.live, q.event_idx, s.wanted, no(at(s, Pc.EVENT)))
    return implies(asked, both(named, ahead))


def _delaying(_: Steps, s: Moment) -> Flag:
    flight = s.published - s.last_used
    bufs = s.bufs == either(s.delayed, three_quarters(flight), 0)
    return implies(at(s, Pc.EVENT, Pc.POLL), both(bufs, implies(no(s.woken), s.wanted)))


def _arming(q: Steps, s: Moment) -> Flag:
    armed = both(s.event == s.last_used + s.bufs, implies(q.event_idx, s.used_event == u16(s.event)))
    return implies(at(s, Pc.POLL), both(armed, s.bufs >= 0))


def _waiting(q: Steps, s: Moment) -> Flag:
    asked = both(
        s.last_used <= s.event,
        s.event <= s.published,
        implies(s.last_used < s.published, s.event < s.published),
        implies(q.event_idx, s.used_event == u16(s.event)),
    )
    looked = both(s.last_used <= s.seen, s.seen <= s.used)
    return implies(s.waiting, both(s.live, at(s, *_MAY_WAIT), s.wanted, asked, looked))


def _interrupt_due(q: Steps, s: Moment) -> Flag:
    passed = either(q.event_idx, s.event < s.used, s.seen < s.used)
    deciding = both(s.deciding, implies(q.event_idx, s.signalled <= s.event))
    to_come = any_of(s.irq, s.handling, s.calling, deciding)
    return implies(both(s.waiting, passed), to_come)


_KEPT = (
    "free-in-range", "has-position", "has-descriptor", "taken-is-owned", "chain-is-taken", "one-owner",
    "next-in-range", "free-links", "chain-links", "room-above", "room-below", "room-between",
    "in-flight-fits", "numbers-are-chains", "chains-are-numbers",
)  # fmt: skip

_ALL = (
    *(
        Invariant(name, BETWEEN_OPERATIONS[name].words, BETWEEN_OPERATIONS[name].holds)
        for name in _KEPT
    ),
    Invariant("program", "the driver is at one of its statements, after a reset at few", _program),
    Invariant("arguments", "what is being added fits, and goes to the top of the free list", _arguments),
    Invariant("free-head", "free_head is the top of what is still free, and always a descriptor", _free_head),
    Invariant("num-free", "num_free is ahead of the free list by what is taken or walked", _num_free),
    Invariant("filling", "the loop of an add stands on the next free descriptor", _filling),
    Invariant("descriptors-as-asked", "each descriptor filled says what was asked", _descriptors_as_asked),
    Invariant("table-as-asked", "the descriptor of a table names just the table", _table_as_asked),
    Invariant("building", "the table being filled has room for the chain, and is no other's", _building),
    Invariant("entries-as-asked", "each entry filled says what was asked", _entries_as_asked),
    Invariant("table-shape", "a whole table leads through its entries, out before in", _table_shape),
    Invariant("table-owner", "a table allocated is being filled, or an outstanding chain's", _table_owner),
    Invariant("chain-table", "the table of an outstanding chain is allocated, and its alone", _chain_table),
    Invariant("chain-directions", "in a chain the readable descriptors come first", _chain_directions),
    Invariant("slot-written", "the head is in its slot before avail_idx moves", _slot_written),
    Invariant("avail-entries", "an available slot keeps its head until the device reads it", _avail_entries),
    Invariant("used-entries", "a used slot keeps its id until the driver reads it", _used_entries),
    Invariant("time", "got back <= published as used <= written as used <= read <= available", _time),
    Invariant("held", "the device holds what it has read and not completed", _held),
    Invariant("indices", "the 16-bit indices are the true counts modulo 2^16", _indices),
    Invariant("tokens", "data holds the token of each outstanding head, and nothing else", _tokens),
    Invariant("coming-back", "a chain coming back is outstanding, and completed", _coming_back),
    Invariant("walking", "the loop of detach_buf stands on a descriptor of its chain", _walking),
    Invariant("scanning", "the search for tokens has passed none", _scanning),
    Invariant("adds-since-kick", "num_added counts the adds since the last kick", _adds_since_kick),
    Invariant("kick-range", "a kick under way looks at all adds since the one before", _kick_range),
    Invariant("doze", "a device that waits for a notification has asked for the next one", _doze),
    Invariant("kick-due", "a device that sleeps over work has a kick coming", _kick_due),
    Invariant("callbacks", "avail.flags says whether callbacks are on, if it says anything", _callbacks),
    Invariant("signals", "the device decides on an interrupt within 2^16 completions", _signals),
    Invariant("armed", "while callbacks are on, used_event asks for a completion to come", _armed),
    Invariant("delaying", "three quarters of what is in flight are let pass, or none", _delaying),
    Invariant("arming", "used_event asks for the completion that was computed", _arming),
    Invariant("waiting", "a driver that waits has asked for a completion to come", _waiting),
    Invariant("interrupt-due", "whoever waits over completions has an interrupt coming", _interrupt_due),
)  # fmt: skip

INVARIANTS: dict[str, Invariant] = {invariant.name: invariant for invariant in _ALL}
"""Every invariant by name; their conjunction is what the proofs assume before a step."""


def assumed(queue: Steps, moment: Moment) -> dict[str, Flag]:
    """Return all that is known of a moment between two steps: the facts on slots and every invariant."""
    return {
        **queue.facts(moment),
        **{name: invariant.holds(queue, moment) for name, invariant in INVARIANTS.items()},
    }
