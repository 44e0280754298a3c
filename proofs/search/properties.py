"""What must hold at every step of the unrolled model: named conjuncts, each with a sentence for its failure.

A conjunct looks at the state before and after one transition and at what the transition did. The same
slugs name the parametric theorems; these are their finite readings, written on real fields.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

from ...model.unrolled import Bits, Outcome, State, Truth, Unrolled, select

Values = Mapping[str, Any]
"""Plain values by field name, as :func:`..counterexample.values` gives them."""


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
    """One part of a property: ``holds`` is a formula over one transition, ``sentence`` tells a failure.

    ``sentence`` takes the queue size and the values before, after and of the outcome.
    """

    property: str
    name: str
    holds: Callable[[View], Truth]
    sentence: Callable[[int, Values, Values, Values], str]

    @property
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


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"


def _walked(size: int, after: Values) -> list[int]:
    here, seen = after["free_head"], []
    for _ in range(min(size, after["num_free"])):
        seen.append(here)
        here = after["next"][here]
    return seen


def _free(after: Values) -> list[int]:
    return [number for number, owner in enumerate(after["owner"]) if owner == 0]


def _misshapen(size: int, _before: Values, after: Values, _out: Values) -> str:
    """Names the first chain in flight whose NEXT flags do not lead through what it was given."""
    for head, token in enumerate(after["data"]):
        if not token:
            continue
        mine = [number for number, owner in enumerate(after["owner"]) if owner == token]
        here, walk = head, [head]
        while after["has_next"][here] and len(walk) <= size:
            here = after["next"][here]
            walk.append(here)
        if len(walk) != after["length"][head] or any(number not in mine for number in walk):
            followed = " -> ".join(str(number) for number in walk[:size])
            more = " and goes on" if len(walk) > size else ""
            return (
                f"the chain of head {head} was given descriptors {_list(mine)}, "
                f"but following NEXT from it reads {followed}{more}"
            )
    return "a chain in flight does not read back as it was built"


def _displaced(ring: str, start: str, queue: str, count: str, what: str) -> Callable[..., str]:
    def sentence(size: int, _before: Values, after: Values, _out: Values) -> str:
        for place in range(after[count]):
            slot = (after[start] + place) % size
            if after[ring][slot] != after[queue][place]:
                return (
                    f"slot {slot} of the {what} ring should hold head {after[queue][place]}, "
                    f"which nobody has taken yet, but holds {after[ring][slot]}"
                )
        return f"a slot of the {what} ring does not hold the entry that is still to be taken"

    return sentence


def _kick_numbers(_size: int, before: Values, after: Values, out: Values) -> str:
    first = (after["published"] - out["announced"]) % 65536
    return (
        f"{out['announced']} chains were published since the last kick, avail_idx {first} to "
        f"{after['published']}, and avail_event is {before['avail_event']}"
    )


CONJUNCTS: tuple[Conjunct, ...] = (
    Conjunct(
        "bad-ring-never",
        "not-broken",
        lambda v: z3.Not(v.after.broken),
        lambda n, b, a, o: f"get took head {o['head']}, which is not in flight, and broke the queue",
    ),
    Conjunct(
        "no-leak-no-double-allocation",
        "takes-only-free",
        lambda v: z3.Not(v.outcome.doubled),
        lambda n, b, a, o: (
            f"add took a descriptor that belongs to another chain (free were {_list(_free(b))}; "
            f"num_free said {b['num_free']})"
        ),
    ),
    Conjunct(
        "chain-well-formed",
        "reads-back",
        _chains_well_formed,
        _misshapen,
    ),
    Conjunct(
        "num-free-exact",
        "counts-free",
        lambda v: v.after.num_free == _free_count(v),
        lambda n, b, a, o: (
            f"num_free is {a['num_free']}, but {len(_free(a))} descriptors are in no chain "
            f"({_list(_free(a))})"
        ),
    ),
    Conjunct(
        "free-list-sound",
        "holds-only-free",
        _free_list_free,
        lambda n, b, a, o: (
            f"the free list of {a['num_free']} reads {_list(_walked(n, a))}, "
            f"but only {_list(_free(a))} are in no chain"
        ),
    ),
    Conjunct(
        "free-list-sound",
        "no-cycle",
        _free_list_distinct,
        lambda n, b, a, o: f"the free list of {a['num_free']} comes back on itself: {_list(_walked(n, a))}",
    ),
    Conjunct(
        "no-leak-no-double-allocation",
        "none-lost",
        _none_lost,
        lambda n, b, a, o: (
            f"descriptors {_list(d for d in _free(a) if d not in _walked(n, a))} are in no chain "
            "and not on the free list"
        ),
    ),
    Conjunct(
        "avail-slot-not-overwritten",
        "ring-not-lapped",
        lambda v: z3.Not(v.outcome.lapped_avail),
        lambda n, b, a, o: f"add published a chain while all {n} slots held chains the device has not read",
    ),
    Conjunct(
        "avail-slot-not-overwritten",
        "unread-in-place",
        _unread_in_slots,
        _displaced("avail_ring", "read_idx", "unread", "unread_count", "available"),
    ),
    Conjunct(
        "used-slot-not-overwritten",
        "ring-not-lapped",
        lambda v: z3.Not(v.outcome.lapped_used),
        lambda n, b, a, o: f"the device completed while all {n} slots held entries the driver has not taken",
    ),
    Conjunct(
        "used-slot-not-overwritten",
        "untaken-in-place",
        _unreturned_in_slots,
        _displaced("used_ring", "returned", "unreturned", "unreturned_count", "used"),
    ),
    Conjunct(
        "device-reads-outstanding",
        "in-flight",
        _read_outstanding,
        lambda n, b, a, o: f"the device read head {o['head']}, which is no chain in flight",
    ),
    Conjunct(
        "device-reads-outstanding",
        "not-held",
        _read_not_held,
        lambda n, b, a, o: f"the device read head {o['head']}, which it holds already",
    ),
    Conjunct(
        "token-returned-once",
        "due-token-comes",
        lambda v: z3.Implies(_due(v), z3.Or(v.outcome.returned, v.after.broken)),
        lambda n, b, a, o: (
            f"{b['unreturned_count']} completed chains wait (used_idx {b['used_idx']}, last_used_idx "
            f"{b['last_used_idx']}), but get returned nothing"
        ),
    ),
    Conjunct(
        "token-returned-once",
        "right-token",
        lambda v: z3.Implies(z3.And(_due(v), v.outcome.returned), v.outcome.token == _due_token(v)),
        lambda n, b, a, o: (
            f"get returned token {o['token']}, but the chain completed first is that of token "
            f"{b['owner'][b['unreturned'][0]]}"
        ),
    ),
    Conjunct(
        "token-returned-once",
        "nothing-undue",
        lambda v: z3.Implies(
            z3.And(v.action["get"], v.before.unreturned_count == 0), z3.Not(v.outcome.returned)
        ),
        lambda n, b, a, o: f"get returned token {o['token']} though no completed chain waits",
    ),
    Conjunct(
        "indices-faithful",
        "avail_idx",
        lambda v: v.after.avail_idx == v.after.published,
        lambda n, b, a, o: (
            f"avail_idx is {a['avail_idx']} after {a['published']} published chains (modulo 65536)"
        ),
    ),
    Conjunct(
        "indices-faithful",
        "used_idx",
        lambda v: v.after.used_idx == v.after.completed,
        lambda n, b, a, o: (
            f"used_idx is {a['used_idx']} after {a['completed']} completed chains (modulo 65536)"
        ),
    ),
    Conjunct(
        "indices-faithful",
        "last_used_idx",
        lambda v: (
            v.after.last_used_idx == z3.ZeroExt(v.model.last_used_bits - 16, v.after.returned)
        ),
        lambda n, b, a, o: (
            f"last_used_idx is {a['last_used_idx']} after {a['returned']} returned chains (modulo 65536)"
        ),
    ),
    Conjunct(
        "need-event-exact",
        "no-kick-lost",
        _kick_not_lost,
        lambda n, b, a, o: f"{_kick_numbers(n, b, a, o)}: the device asked for a notification and got none",
    ),
    Conjunct(
        "need-event-exact",
        "no-kick-in-vain",
        _kick_not_spurious,
        lambda n, b, a, o: f"{_kick_numbers(n, b, a, o)}: the device was notified without having asked",
    ),
    Conjunct(
        "forced-kick-sufficient",
        "num_added-cannot-wrap",
        lambda v: z3.ULE(v.after.unkicked, 65534),
        lambda n, b, a, o: (
            f"{a['unkicked']} chains were published since the last kick and num_added is {a['num_added']}: "
            "one more and it wraps to 0, and a kick that is asked for is lost"
        ),
    ),
    Conjunct(
        "callbacks-rearmed",
        "used_event-follows",
        _rearmed,
        lambda n, b, a, o: (
            f"callbacks are enabled and last_used_idx moved to {a['last_used_idx']}, "
            f"but used_event is {a['used_event']}"
        ),
    ),
    Conjunct(
        "full-ring-notifies",
        "refusal-notifies",
        lambda v: z3.Implies(v.outcome.refused, v.outcome.notified),
        lambda n, b, a, o: (
            f"add was refused with num_free {b['num_free']} and the device was not notified"
        ),
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
