"""What must hold at every step of the unrolled model: named conjuncts, each with a sentence for its failure.

A conjunct looks at the state before and after one transition and at what the transition did. The same
slugs name the parametric theorems; these are their finite readings, written on real fields.
"""

import builtins
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import z3

from ...model.unrolled import Unrolled
from ...model.unrolled_state import Bits, Outcome, State, Truth, select
from .sentences import Failure, displaced, free, kick_numbers, listed, misshapen, stale_token, walked


@dataclass(frozen=True, slots=True)
class View:
    """One transition as a property sees it."""

    model: Unrolled
    action: Mapping[str, Truth]
    before: State
    after: State
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Conjunct:
    """One part of a property: ``holds`` is a formula over one transition, ``sentence`` tells a failure."""

    property: str
    name: str
    holds: Callable[[View], Truth]
    sentence: Callable[[Failure], str]

    @builtins.property
    def id(self) -> str:
        """Property and name, as ``need-event-exact/no-kick-lost``."""
        return f"{self.property}/{self.name}"


def _free_walk(view: View) -> list[tuple[Truth, Bits]]:
    """The free list, place by place: whether num_free says the place exists, and the descriptor there."""
    state, here, walk = view.after, view.after.free_head, []
    for place in range(view.model.queue_size):
        walk.append((z3.UGT(state.num_free, place), here))
        here = select(state.next, here)
    return walk


def _free_list_free(view: View) -> Truth:
    return z3.And(
        *(z3.Implies(there, select(view.after.owner, here) == 0) for there, here in _free_walk(view))
    )


def _free_list_distinct(view: View) -> Truth:
    walk = _free_walk(view)
    return z3.And(
        *(
            z3.Implies(there, here != before)
            for place, (there, here) in enumerate(walk)
            for _, before in walk[:place]
        )
    )


def _none_lost(view: View) -> Truth:
    walk = _free_walk(view)
    return z3.And(
        *(
            z3.Or(owner != 0, *(z3.And(there, here == number) for there, here in walk))
            for number, owner in enumerate(view.after.owner)
        )
    )


def _free_count(view: View) -> Bits:
    one, zero = (z3.BitVecVal(value, view.after.num_free.size()) for value in (1, 0))
    return sum((z3.If(owner == 0, one, zero) for owner in view.after.owner), zero)


def _chains_well_formed(view: View) -> Truth:
    """From every head in flight, NEXT leads through as many descriptors of the chain as it was given."""
    state, size = view.after, view.model.queue_size
    parts = []
    for head in range(size):
        token, length = state.data[head], state.length[head]
        here: Bits = z3.BitVecVal(head, view.model.bits)
        walk: list[Truth] = []
        for place in range(size):
            inside = z3.UGT(length, place)
            flag = z3.Or(*(z3.And(here == number, f) for number, f in enumerate(state.has_next)))
            goes_on = z3.UGT(length, place + 1)
            walk.append(z3.Implies(inside, z3.And(select(state.owner, here) == token, flag == goes_on)))
            here = select(state.next, here)
        parts.append(z3.Implies(token != 0, z3.And(*walk)))
    return z3.And(*parts)


def _in_slots(view: View, ring: tuple[Bits, ...], start: Bits, queue: tuple[Bits, ...], count: Bits) -> Truth:
    """Whether the ``count`` heads of ``queue`` stand in ``ring`` from index ``start`` on."""
    return z3.And(
        *(
            z3.Implies(z3.UGT(count, place), select(ring, view.model.slot(start + place)) == head)
            for place, head in enumerate(queue)
        )
    )


def _unread_in_slots(view: View) -> Truth:
    state = view.after
    return _in_slots(view, state.avail_ring, state.read_idx, state.unread, state.unread_count)


def _unreturned_in_slots(view: View) -> Truth:
    state = view.after
    return _in_slots(view, state.used_ring, state.returned, state.unreturned, state.unreturned_count)


def _read_outstanding(view: View) -> Truth:
    before, head = view.before, view.outcome.head
    return z3.Implies(view.action["read"], select(before.data, head) != 0)


def _read_not_held(view: View) -> Truth:
    before, head = view.before, view.outcome.head
    held = z3.Or(
        *(
            z3.And(z3.UGT(before.in_flight_count, place), item == head)
            for place, item in enumerate(before.in_flight)
        )
    )
    return z3.Implies(view.action["read"], z3.Not(held))


def _held_are_outstanding(view: View) -> Truth:
    state = view.after
    return z3.And(
        *(z3.Or(token == 0, owner == token) for token, owner in zip(state.data, state.owner, strict=True))
    )


def _due(view: View) -> Truth:
    return z3.And(view.action["get"], view.before.unreturned_count != 0)


def _due_token(view: View) -> Bits:
    return select(view.before.owner, view.before.unreturned[0])


def _wants_kick(view: View) -> Truth:
    """Whether the device asked to be told: its event is among the chains published since the last kick."""
    if not view.model.event_idx:
        return z3.Not(view.before.no_notify)
    announced = view.outcome.announced
    first = view.after.published - z3.Extract(15, 0, announced)
    return z3.ULT(z3.ZeroExt(1, view.before.avail_event - first), announced)


def _kick_not_lost(view: View) -> Truth:
    return z3.Implies(z3.And(view.outcome.kicked, _wants_kick(view)), view.outcome.notified)


def _kick_not_spurious(view: View) -> Truth:
    return z3.Implies(z3.And(view.outcome.kicked, view.outcome.notified), _wants_kick(view))


def _rearmed(view: View) -> Truth:
    if not view.model.event_idx:
        return z3.BoolVal(True)
    taken = z3.And(view.action["get"], view.outcome.returned)
    return z3.Implies(taken, view.after.used_event == z3.Extract(15, 0, view.after.last_used_idx))


CONJUNCTS: tuple[Conjunct, ...] = (
    Conjunct(
        "bad-ring-never",
        "not-broken",
        lambda v: z3.Not(v.after.broken),
        lambda f: f"get took head {f.outcome['head']}, which is not in flight, and broke the queue",
    ),
    Conjunct(
        "no-leak-no-double-allocation",
        "takes-only-free",
        lambda v: z3.Not(v.outcome.doubled),
        lambda f: (
            f"add took a descriptor that belongs to another chain (free were {listed(free(f.before))}; "
            f"num_free said {f.before['num_free']})"
        ),
    ),
    Conjunct(
        "chain-well-formed",
        "reads-back",
        _chains_well_formed,
        misshapen,
    ),
    Conjunct(
        "num-free-exact",
        "counts-free",
        lambda v: v.after.num_free == _free_count(v),
        lambda f: (
            f"num_free is {f.after['num_free']}, but {len(free(f.after))} descriptors are in no chain "
            f"({listed(free(f.after))})"
        ),
    ),
    Conjunct(
        "free-list-sound",
        "holds-only-free",
        _free_list_free,
        lambda f: (
            f"the free list of {f.after['num_free']} reads {listed(walked(f))}, "
            f"but only {listed(free(f.after))} are in no chain"
        ),
    ),
    Conjunct(
        "free-list-sound",
        "no-cycle",
        _free_list_distinct,
        lambda f: f"the free list of {f.after['num_free']} comes back on itself: {listed(walked(f))}",
    ),
    Conjunct(
        "no-leak-no-double-allocation",
        "none-lost",
        _none_lost,
        lambda f: (
            f"descriptors {listed(d for d in free(f.after) if d not in walked(f))} are in no chain "
            "and not on the free list"
        ),
    ),
    Conjunct(
        "avail-slot-not-overwritten",
        "ring-not-lapped",
        lambda v: z3.Not(v.outcome.lapped_avail),
        lambda f: f"add published a chain while all {f.size} slots held chains the device has not read",
    ),
    Conjunct(
        "avail-slot-not-overwritten",
        "unread-in-place",
        _unread_in_slots,
        displaced("avail_ring", "read_idx", "unread", "unread_count", "available"),
    ),
    Conjunct(
        "used-slot-not-overwritten",
        "ring-not-lapped",
        lambda v: z3.Not(v.outcome.lapped_used),
        lambda f: f"the device completed while all {f.size} slots held entries the driver has not taken",
    ),
    Conjunct(
        "used-slot-not-overwritten",
        "untaken-in-place",
        _unreturned_in_slots,
        displaced("used_ring", "returned", "unreturned", "unreturned_count", "used"),
    ),
    Conjunct(
        "device-reads-outstanding",
        "in-flight",
        _read_outstanding,
        lambda f: f"the device read head {f.outcome['head']}, which is no chain in flight",
    ),
    Conjunct(
        "device-reads-outstanding",
        "not-held",
        _read_not_held,
        lambda f: f"the device read head {f.outcome['head']}, which it holds already",
    ),
    Conjunct(
        "token-returned-once",
        "due-token-comes",
        lambda v: z3.Implies(_due(v), z3.Or(v.outcome.returned, v.after.broken)),
        lambda f: (
            f"{f.before['unreturned_count']} completed chains wait (used_idx {f.before['used_idx']}, "
            f"last_used_idx {f.before['last_used_idx']}), but get returned nothing"
        ),
    ),
    Conjunct(
        "token-returned-once",
        "right-token",
        lambda v: z3.Implies(z3.And(_due(v), v.outcome.returned), v.outcome.token == _due_token(v)),
        lambda f: (
            f"get returned token {f.outcome['token']}, but the chain completed first is that of token "
            f"{f.before['owner'][f.before['unreturned'][0]]}"
        ),
    ),
    Conjunct(
        "token-returned-once",
        "nothing-undue",
        lambda v: z3.Implies(
            z3.And(v.action["get"], v.before.unreturned_count == 0), z3.Not(v.outcome.returned)
        ),
        lambda f: f"get returned token {f.outcome['token']} though no completed chain waits",
    ),
    Conjunct(
        "token-returned-once",
        "returned-is-forgotten",
        _held_are_outstanding,
        lambda f: f"the driver still holds token {stale_token(f)} for a chain that was returned",
    ),
    Conjunct(
        "indices-faithful",
        "avail_idx",
        lambda v: v.after.avail_idx == v.after.published,
        lambda f: (
            f"avail_idx is {f.after['avail_idx']} after {f.after['published']} "
            "published chains (modulo 65536)"
        ),
    ),
    Conjunct(
        "indices-faithful",
        "used_idx",
        lambda v: v.after.used_idx == v.after.completed,
        lambda f: (
            f"used_idx is {f.after['used_idx']} after {f.after['completed']} completed chains (modulo 65536)"
        ),
    ),
    Conjunct(
        "indices-faithful",
        "last_used_idx",
        lambda v: v.after.last_used_idx == z3.ZeroExt(v.model.last_used_bits - 16, v.after.returned),
        lambda f: (
            f"last_used_idx is {f.after['last_used_idx']} after {f.after['returned']} "
            "returned chains (modulo 65536)"
        ),
    ),
    Conjunct(
        "need-event-exact",
        "no-kick-lost",
        _kick_not_lost,
        lambda f: f"{kick_numbers(f)}: the device asked for a notification and got none",
    ),
    Conjunct(
        "need-event-exact",
        "no-kick-in-vain",
        _kick_not_spurious,
        lambda f: f"{kick_numbers(f)}: the device was notified without having asked",
    ),
    Conjunct(
        "forced-kick-sufficient",
        "num_added-cannot-wrap",
        lambda v: z3.ULE(v.after.unkicked, 65535),
        lambda f: (
            f"{f.after['unkicked']} chains were published since the last kick and num_added is "
            f"{f.after['num_added']}: it wrapped, and a kick that is asked for now is lost"
        ),
    ),
    Conjunct(
        "callbacks-rearmed",
        "used_event-follows",
        _rearmed,
        lambda f: (
            f"callbacks are enabled and last_used_idx moved to {f.after['last_used_idx']}, "
            f"but used_event is {f.after['used_event']}"
        ),
    ),
    Conjunct(
        "full-ring-notifies",
        "refusal-notifies",
        lambda v: z3.Implies(v.outcome.refused, v.outcome.notified),
        lambda f: f"add was refused with num_free {f.before['num_free']} and the device was not notified",
    ),
)

PROPERTIES: tuple[str, ...] = tuple(dict.fromkeys(conjunct.property for conjunct in CONJUNCTS))
"""Every property."""

EVERYTHING: tuple[str, ...] = tuple(conjunct.id for conjunct in CONJUNCTS)
"""Every conjunct, in the order in which a search names the one that broke."""


def conjuncts(names: Iterable[str]) -> tuple[Conjunct, ...]:
    """The conjuncts meant by ``names``, in that order; a name is a property or a conjunct's id.

    Raises ValueError for a name that is neither.
    """
    found: dict[str, Conjunct] = {}
    for name in names:
        matching = {c.id: c for c in CONJUNCTS if name in (c.property, c.id)}
        if not matching:
            raise ValueError(f"no property or conjunct is called {name!r}")
        found.update({key: value for key, value in matching.items() if key not in found})
    return tuple(found.values())
