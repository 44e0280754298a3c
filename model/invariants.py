"""What holds between any two operations: every invariant of the ring, by name and in words.

All of them together are inductive: if all hold before a transition of the ring, all hold after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import z3

from .ring import Ring
from .size import WORD, u16
from .state import Flag, Number, State
from .term import both, either, implies, no


@dataclass(frozen=True)
class Invariant:
    """One invariant: its name, what it says, and the formula for a ring and one of its states."""

    name: str
    words: str
    holds: Callable[[Any, Any], Flag]


def in_range(ring: Any, d: Number) -> Flag:
    """Return whether d is a descriptor of the ring, or of whatever has a ``queue_size``."""
    return both(d >= 0, d < ring.queue_size)


def _in_flight(s: State) -> z3.ArithRef:
    return s.published - s.last_used


def _free_in_range(ring: Ring, s: State) -> Flag:
    return both(s.free >= 0, s.free <= ring.queue_size)


def _has_position(ring: Ring, s: State) -> Flag:
    return ring.size.every(lambda d: both(in_range(ring, s.gpos(d)), s.gat(s.gpos(d)) == d))


def _has_descriptor(ring: Ring, s: State) -> Flag:
    return ring.size.every(lambda p: both(in_range(ring, s.gat(p)), s.gpos(s.gat(p)) == p))


def _taken_is_owned(ring: Ring, s: State) -> Flag:
    def claim(d: z3.ArithRef) -> Flag:
        h = s.owner(d)
        inside = both(s.gpos(d) <= s.gpos(h), s.gpos(h) - s.gpos(d) < s.length(h))
        return implies(
            s.gpos(d) >= s.free, both(in_range(ring, h), s.outstanding(h), s.owner(h) == h, inside)
        )

    return ring.size.every(claim)


def _chain_is_taken(ring: Ring, s: State) -> Flag:
    def claim(h: z3.ArithRef) -> Flag:
        return both(s.owner(h) == h, s.length(h) >= 1, s.free + s.length(h) <= s.gpos(h) + 1)

    return ring.size.every(lambda h: implies(s.outstanding(h), claim(h)))


def _one_owner(ring: Ring, s: State) -> Flag:
    def claim(h: z3.ArithRef, d: z3.ArithRef) -> Flag:
        inside = both(s.gpos(h) - s.length(h) < s.gpos(d), s.gpos(d) <= s.gpos(h))
        return implies(both(s.outstanding(h), inside), s.owner(d) == h)

    return ring.size.every_pair(claim)


def _free_head(ring: Ring, s: State) -> Flag:
    return both(in_range(ring, s.free_head), implies(s.free > 0, s.free_head == s.gat(s.free - 1)))


def _next_in_range(ring: Ring, s: State) -> Flag:
    return ring.size.every(lambda d: in_range(ring, s.next(d)))


def _free_links(ring: Ring, s: State) -> Flag:
    return ring.size.every(lambda p: implies(both(p > 0, p < s.free), s.next(s.gat(p)) == s.gat(p - 1)))


def _num_free(_: Ring, s: State) -> Flag:
    return s.num_free == s.free


def _chain_links(ring: Ring, s: State) -> Flag:
    def claim(d: z3.ArithRef) -> Flag:
        h = s.owner(d)
        below = s.gpos(h) - s.gpos(d)
        owned = both(s.gpos(d) >= s.free, in_range(ring, h), s.outstanding(h))
        inside = both(owned, below >= 0, below < s.length(h))
        linked = both(s.has_next(d), s.next(d) == s.gat(s.gpos(d) - 1))
        return implies(inside, either(below == s.length(h) - 1, no(s.has_next(d)), linked))

    return ring.size.every(claim)


def _room_above(ring: Ring, s: State) -> Flag:
    return ring.size.every(
        lambda h: implies(
            s.outstanding(h), both(s.rank(h) >= 0, s.rank(h) <= ring.queue_size - 1 - s.gpos(h))
        )
    )


def _room_below(ring: Ring, s: State) -> Flag:
    def claim(h: z3.ArithRef) -> Flag:
        chains = _in_flight(s) - 1 - s.rank(h)
        return both(chains >= 0, chains <= s.gpos(h) + 1 - s.length(h) - s.free)

    return ring.size.every(lambda h: implies(s.outstanding(h), claim(h)))


def _room_between(ring: Ring, s: State) -> Flag:
    def claim(g: z3.ArithRef, h: z3.ArithRef) -> Flag:
        below = both(s.outstanding(g), s.outstanding(h), s.gpos(g) < s.gpos(h))
        apart = s.gpos(h) - s.length(h) - s.gpos(g)
        return implies(below, both(s.rank(g) > s.rank(h), apart >= 0, s.rank(g) - s.rank(h) - 1 <= apart))

    return ring.size.every_pair(claim)


def _in_flight_fits(ring: Ring, s: State) -> Flag:
    return _in_flight(s) <= ring.queue_size - s.free


def _avail_entries(ring: Ring, s: State) -> Flag:
    return ring.size.between(s.read, s.published, lambda k: s.avail_ring(ring.size.slot(k)) == s.order(k))


def _used_entries(ring: Ring, s: State) -> Flag:
    return ring.size.between(s.last_used, s.used, lambda k: s.used_ring(ring.size.slot(k)) == s.order(k))


def _time(_: Ring, s: State) -> Flag:
    return both(s.last_used >= 0, s.last_used <= s.used, s.used <= s.read, s.read <= s.published)


def _numbers_are_chains(ring: Ring, s: State) -> Flag:
    def claim(k: z3.ArithRef) -> Flag:
        h = s.order(k)
        return both(in_range(ring, h), s.outstanding(h), s.place(h) == k)

    return ring.size.between(s.last_used, s.published, claim)


def _chains_are_numbers(ring: Ring, s: State) -> Flag:
    def claim(h: z3.ArithRef) -> Flag:
        return both(s.last_used <= s.place(h), s.place(h) < s.published, s.order(s.place(h)) == h)

    return ring.size.every(lambda h: implies(s.outstanding(h), claim(h)))


def _held(ring: Ring, s: State) -> Flag:
    return ring.size.every(
        lambda h: s.held(h) == both(s.outstanding(h), s.used <= s.place(h), s.place(h) < s.read)
    )


def _indices(_: Ring, s: State) -> Flag:
    return both(
        s.avail_idx == u16(s.published), s.used_idx == u16(s.used), s.last_used_idx == u16(s.last_used)
    )


def _tokens(ring: Ring, s: State) -> Flag:
    def claim(h: z3.ArithRef) -> Flag:
        kept = both(s.data(h) == s.given(h), s.given(h) != 0)
        return either(s.outstanding(h), kept, s.data(h) == 0)

    return ring.size.every(claim)


def _adds_since_kick(_: Ring, s: State) -> Flag:
    return both(s.num_added >= 0, s.num_added <= WORD - 2, s.last_kick + s.num_added == s.published)


INVARIANTS: dict[str, Invariant] = {
    invariant.name: invariant
    for invariant in (
        Invariant("free-in-range", "from 0 to queue_size descriptors are free", _free_in_range),
        Invariant("has-position", "every descriptor has a position, which is its alone", _has_position),
        Invariant("has-descriptor", "every position has a descriptor, which is its alone", _has_descriptor),
        Invariant(
            "taken-is-owned", "a descriptor off the free list lies in an outstanding chain", _taken_is_owned
        ),
        Invariant(
            "chain-is-taken", "no descriptor of an outstanding chain is on the free list", _chain_is_taken
        ),
        Invariant("one-owner", "a descriptor inside a chain belongs to that chain alone", _one_owner),
        Invariant("free-head", "free_head is the top of the free list, and always a descriptor", _free_head),
        Invariant("next-in-range", "every next field names a descriptor", _next_in_range),
        Invariant("free-links", "each free descriptor links to the free one below it", _free_links),
        Invariant("num-free", "num_free is the number of descriptors on the free list", _num_free),
        Invariant(
            "chain-links", "NEXT and next lead down a chain, and NEXT is clear on its last", _chain_links
        ),
        Invariant("room-above", "every chain above another takes at least one position", _room_above),
        Invariant("room-below", "every chain below another takes at least one position", _room_below),
        Invariant(
            "room-between", "every chain between two others takes at least one position", _room_between
        ),
        Invariant(
            "in-flight-fits", "no more chains are in flight than descriptors are taken", _in_flight_fits
        ),
        Invariant(
            "avail-entries", "an available slot keeps its head until the device reads it", _avail_entries
        ),
        Invariant("used-entries", "a used slot keeps its id until the driver reads it", _used_entries),
        Invariant("time", "got back <= completed <= read <= published", _time),
        Invariant(
            "numbers-are-chains",
            "each number in flight stands for one outstanding chain",
            _numbers_are_chains,
        ),
        Invariant(
            "chains-are-numbers",
            "each outstanding chain stands for one number in flight",
            _chains_are_numbers,
        ),
        Invariant("held", "the device holds what it has read and not completed", _held),
        Invariant("indices", "the 16-bit indices are the true counts modulo 2^16", _indices),
        Invariant("tokens", "data holds the given token of each outstanding head, and nothing else", _tokens),
        Invariant(
            "adds-since-kick",
            "num_added counts the adds since the last kick: 65534 at most",
            _adds_since_kick,
        ),
    )
}
"""Every invariant by name; their conjunction is what the proofs assume before a step."""


def assumed(ring: Ring, state: State) -> dict[str, Flag]:
    """Return all that is known of a state between two operations: the facts on slots and every invariant."""
    return {
        **ring.facts(state),
        **{name: invariant.holds(ring, state) for name, invariant in INVARIANTS.items()},
    }
