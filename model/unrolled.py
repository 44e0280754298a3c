"""The virtqueue and an honest device as transitions over real fields, at one small queue size.

Where the parametric model proves, this one finds: no ghost permutation, no quantifier, every loop
unrolled, every index a wrapping 16-bit word, so that a solver can walk it step by step and hand back
values. Written from the behaviour of Linux 3.11 (``virtqueue_add``, ``virtqueue_kick_prepare``,
``virtqueue_get_buf``, ``detach_buf``) with direct descriptors and a queue that has a callback.

Each rule a driver can get wrong is a small method of its own, so that a mutant is a short subclass.
Transitions are functions from a :class:`State` to a :class:`State`: given constants they compute,
given symbols they describe.
"""

from dataclasses import dataclass, replace

import z3

from .unrolled_state import (
    COUNT_BITS,
    TOKEN_BITS,
    Bits,
    Outcome,
    State,
    Truth,
    choose,
    select,
    shifted,
    store,
)

ACTIONS = ("add", "read", "complete", "get", "kick", "set_avail_event", "set_flags")
"""What can happen, in the order a search prefers; an action's number is its place here."""

FORCED_KICK_AT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Transition:
    """One way to go on: its action, when it may be taken, and what follows."""

    action: str
    guard: Truth
    after: State
    outcome: Outcome


class Unrolled:
    """The transmit ring with ``queue_size`` descriptors, 1 to 64; raises ValueError outside that.

    ``event_idx`` says whether VIRTIO_F_EVENT_IDX was negotiated.
    """

    last_used_bits = 16

    def __init__(self, queue_size: int, *, event_idx: bool = True) -> None:
        if not 1 <= queue_size <= 64:
            raise ValueError(f"queue size {queue_size}: the unrolled model takes 1 to 64")
        self.queue_size = queue_size
        self.event_idx = event_idx
        self.bits = max(1, (queue_size - 1).bit_length())

    # ---- states ----

    def _shape(self) -> dict[str, int]:
        """Bits of each field, 0 for a truth value."""
        index, word = self.bits, 16
        return {
            **dict.fromkeys(("next", "avail_ring", "used_ring", "free_head"), index),
            **dict.fromkeys(("in_flight", "unread", "unreturned"), index),
            **dict.fromkeys(("has_next", "no_notify", "broken"), 0),
            **dict.fromkeys(("avail_idx", "used_event", "used_idx", "avail_event", "num_added"), word),
            **dict.fromkeys(("read_idx", "published", "completed", "returned"), word),
            **dict.fromkeys(("data", "owner", "adds"), TOKEN_BITS),
            **dict.fromkeys(("num_free", "length"), COUNT_BITS),
            **dict.fromkeys(("in_flight_count", "unread_count", "unreturned_count"), COUNT_BITS),
            "last_used_idx": self.last_used_bits,
            "unkicked": word + 1,
        }

    _TABLES = frozenset(
        (
            *("next", "has_next", "avail_ring", "used_ring", "data", "in_flight"),
            *("owner", "length", "unread", "unreturned"),
        )
    )

    def symbolic(self, prefix: str) -> State:
        """A state of fresh symbols whose names begin with ``prefix``."""

        def symbol(name: str, bits: int) -> z3.ExprRef:
            return z3.BitVec(name, bits) if bits else z3.Bool(name)

        return State(
            **{
                name: tuple(symbol(f"{prefix}.{name}.{place}", bits) for place in range(self.queue_size))
                if name in self._TABLES
                else symbol(f"{prefix}.{name}", bits)
                for name, bits in self._shape().items()
            }
        )

    def initial(self) -> State:
        """The state after creation: all zero, every descriptor free, next[i] = i + 1 but for the last."""

        def zero(bits: int) -> z3.ExprRef:
            return z3.BitVecVal(0, bits) if bits else z3.BoolVal(False)

        state = State(
            **{
                name: (zero(bits),) * self.queue_size if name in self._TABLES else zero(bits)
                for name, bits in self._shape().items()
            }
        )
        links = tuple(place + 1 if place + 1 < self.queue_size else 0 for place in range(self.queue_size))
        return replace(
            state,
            next=tuple(z3.BitVecVal(link, self.bits) for link in links),
            num_free=z3.BitVecVal(self.queue_size, COUNT_BITS),
        )

    def nothing(self) -> Outcome:
        """The outcome of a transition that has none."""
        no = z3.BoolVal(False)
        return Outcome(
            refused=no,
            notified=no,
            kicked=no,
            announced=z3.BitVecVal(0, 17),
            doubled=no,
            lapped_avail=no,
            lapped_used=no,
            head=z3.BitVecVal(0, self.bits),
            returned=no,
            token=z3.BitVecVal(0, TOKEN_BITS),
        )

    # ---- the driver's rules, one method each ----

    def slot(self, index: Bits) -> Bits:
        """The ring slot of a 16-bit index: modulo the queue size."""
        if self.queue_size & (self.queue_size - 1):
            return z3.URem(index, self.queue_size)
        return index & (self.queue_size - 1)

    def has_room(self, state: State, segments: Bits) -> Truth:
        """Whether add may take ``segments`` descriptors."""
        return z3.UGE(state.num_free, segments)

    def taken(self, segments: Bits) -> Bits:
        """What add subtracts from num_free."""
        return segments

    def continues(self, place: int, segments: Bits) -> Truth:
        """Whether descriptor number ``place`` of a chain of ``segments`` gets the NEXT flag."""
        return z3.UGT(segments, place + 1)

    def full_ring_notifies(self) -> bool:
        """Whether add notifies the device when it refuses."""
        return True

    def next_free(self, _state: State, here: Bits, _segments: Bits) -> Bits:
        """free_head after a chain of ``segments`` whose last descriptor linked to ``here``."""
        return here

    def avail_slot(self, state: State) -> Bits:
        """Where add places the head, 16 bits; the word behind the last slot is used_event."""
        return self.slot(state.avail_idx)

    def published_head(self, head: Bits, _last: Bits) -> Bits:
        """What add places there, given the chain's first and last descriptor."""
        return head

    def next_avail_idx(self, state: State) -> Bits:
        """What add stores to avail_idx."""
        return state.avail_idx + 1

    def forces_kick(self, num_added: Bits) -> Truth:
        """Whether add kicks by itself, given num_added with this chain counted."""
        return num_added == FORCED_KICK_AT

    def need_event(self, event: Bits, new: Bits, old: Bits) -> Truth:
        """Whether ``event`` asks for a kick of the chains from ``old`` to ``new`` (VIRTIO 1.3, 2.7.10)."""
        return z3.ULT(new - event - 1, new - old)

    def notifies(self, state: State, needed: Truth) -> Truth:
        """Whether a kick notifies: the event test has its say, or the flag where there is no event."""
        return needed if self.event_idx else z3.Not(state.no_notify)

    def num_added_after_kick(self, _num_added: Bits) -> Bits:
        """num_added once the kick is prepared."""
        return z3.BitVecVal(0, 16)

    def sees_used(self, state: State) -> Truth:
        """Whether get takes a completion to be there."""
        return z3.Extract(15, 0, state.last_used_idx) != state.used_idx

    def used_head(self, state: State) -> Bits:
        """The head get takes for completed."""
        return select(state.used_ring, self.slot(z3.Extract(15, 0, state.last_used_idx)))

    def refuses(self, _head: Bits, token: Bits) -> Truth:
        """Whether get takes ``head`` for a bad one, ``token`` being what its data holds."""
        return token == 0

    def forgets(self, state: State, head: Bits) -> tuple[Bits, ...]:
        """The tokens held once the chain of ``head`` is returned."""
        return store(state.data, head, z3.BitVecVal(0, TOKEN_BITS))

    def detach(self, state: State, head: Bits) -> State:
        """``detach_buf``: the chain of ``head`` goes back on top of the free list."""
        here, count = head, state.num_free
        for _ in range(self.queue_size - 1):
            more = self._flag(state, here)
            count = z3.If(more, count + 1, count)
            here = z3.If(more, select(state.next, here), here)
        return replace(
            state,
            data=self.forgets(state, head),
            next=self.relinked(state, here),
            free_head=head,
            num_free=count + 1,
        )

    def relinked(self, state: State, last: Bits) -> tuple[Bits, ...]:
        """The next fields after detach, ``last`` being the end of the chain given back."""
        return store(state.next, last, state.free_head)

    def rearmed(self, _state: State, last_used_idx: Bits) -> Bits:
        """used_event once get took an entry and moved on to ``last_used_idx``; callbacks are enabled."""
        return z3.Extract(15, 0, last_used_idx)

    # ---- transitions ----

    def _flag(self, state: State, descriptor: Bits) -> Truth:
        return z3.Or(
            *(z3.And(descriptor == place, flag) for place, flag in enumerate(state.has_next)),
        )

    def _prepared(self, state: State) -> tuple[State, Truth]:
        """``virtqueue_kick_prepare``: the state after it and whether the device has to be notified."""
        old, new = state.avail_idx - state.num_added, state.avail_idx
        need = self.notifies(state, self.need_event(state.avail_event, new, old))
        after = replace(
            state,
            num_added=self.num_added_after_kick(state.num_added),
            unkicked=z3.BitVecVal(0, 17),
        )
        return after, need

    def add(self, state: State, segments: Bits) -> Transition:
        """``virtqueue_add`` of 1 to N out segments (COUNT_BITS bits), as direct descriptors."""
        room, head = self.has_room(state, segments), state.free_head
        token = state.adds + 1
        has_next, owner = list(state.has_next), list(state.owner)
        here, last, doubled = head, head, z3.BoolVal(False)
        for place in range(self.queue_size):
            used = z3.UGT(segments, place)
            for number in range(self.queue_size):
                hit = z3.And(used, here == number)
                doubled = z3.Or(doubled, z3.And(hit, owner[number] != 0))
                has_next[number] = z3.If(hit, self.continues(place, segments), has_next[number])
                owner[number] = z3.If(hit, token, owner[number])
            last = z3.If(used, here, last)
            here = z3.If(used, select(state.next, here), here)
        placed = self.published_head(head, last)
        slot = self.avail_slot(state)
        filled = replace(
            state,
            has_next=tuple(has_next),
            free_head=self.next_free(state, here, segments),
            num_free=state.num_free - self.taken(segments),
            data=store(state.data, head, token),
            avail_ring=store(state.avail_ring, slot, placed),
            used_event=z3.If(slot == self.queue_size, z3.ZeroExt(16 - self.bits, placed), state.used_event),
            avail_idx=self.next_avail_idx(state),
            num_added=state.num_added + 1,
            owner=tuple(owner),
            length=store(state.length, head, segments),
            published=state.published + 1,
            unkicked=state.unkicked + 1,
            unread=store(state.unread, state.unread_count, head),
            unread_count=state.unread_count + 1,
        )
        forced = self.forces_kick(filled.num_added)
        kicked, need = self._prepared(filled)
        after = choose(room, choose(forced, kicked, filled), state)
        notified = z3.If(room, z3.And(forced, need), z3.BoolVal(self.full_ring_notifies()))
        outcome = replace(
            self.nothing(),
            refused=z3.Not(room),
            notified=notified,
            kicked=z3.And(room, forced),
            announced=filled.unkicked,
            doubled=z3.And(room, doubled),
            lapped_avail=z3.And(room, z3.UGE(state.unread_count, self.queue_size)),
            head=head,
        )
        guard = z3.And(z3.UGE(segments, 1), z3.ULE(segments, self.queue_size))
        return Transition("add", guard, replace(after, adds=token), outcome)

    def read(self, state: State) -> Transition:
        """The device reads one published chain and holds it; it never holds more than N."""
        head = select(state.avail_ring, self.slot(state.read_idx))
        guard = z3.And(state.read_idx != state.avail_idx, z3.ULT(state.in_flight_count, self.queue_size))
        after = replace(
            state,
            read_idx=state.read_idx + 1,
            in_flight=store(state.in_flight, state.in_flight_count, head),
            in_flight_count=state.in_flight_count + 1,
            unread=shifted(state.unread),
            unread_count=z3.If(state.unread_count == 0, state.unread_count, state.unread_count - 1),
        )
        return Transition("read", guard, after, replace(self.nothing(), head=head))

    def complete(self, state: State, pick: Bits) -> Transition:
        """The device completes number ``pick`` (COUNT_BITS bits) in flight; the last takes its place."""
        head = select(state.in_flight, pick)
        last = select(state.in_flight, state.in_flight_count - 1)
        left = store(state.in_flight, pick, last)
        after = replace(
            state,
            in_flight=store(left, state.in_flight_count - 1, z3.BitVecVal(0, self.bits)),
            in_flight_count=state.in_flight_count - 1,
            used_ring=store(state.used_ring, self.slot(state.used_idx), head),
            used_idx=state.used_idx + 1,
            completed=state.completed + 1,
            unreturned=store(state.unreturned, state.unreturned_count, head),
            unreturned_count=state.unreturned_count + 1,
        )
        outcome = replace(
            self.nothing(), head=head, lapped_used=z3.UGE(state.unreturned_count, self.queue_size)
        )
        return Transition("complete", z3.ULT(pick, state.in_flight_count), after, outcome)

    def get(self, state: State) -> Transition:
        """``virtqueue_get_buf``; a head whose data is empty breaks the queue."""
        seen, head = self.sees_used(state), self.used_head(state)
        token = select(state.data, head)
        refused = self.refuses(head, token)
        bad, good = z3.And(seen, refused), z3.And(seen, z3.Not(refused))
        last_used_idx = state.last_used_idx + 1
        detached = self.detach(state, head)
        free = z3.BitVecVal(0, TOKEN_BITS)
        taken = replace(
            detached,
            last_used_idx=last_used_idx,
            used_event=self.rearmed(state, last_used_idx),
            owner=tuple(z3.If(owner == token, free, owner) for owner in state.owner),
            length=store(state.length, head, z3.BitVecVal(0, COUNT_BITS)),
            returned=state.returned + 1,
            unreturned=shifted(state.unreturned),
            unreturned_count=z3.If(
                state.unreturned_count == 0, state.unreturned_count, state.unreturned_count - 1
            ),
        )
        after = replace(choose(good, taken, state), broken=z3.Or(state.broken, bad))
        outcome = replace(
            self.nothing(),
            head=head,
            returned=good,
            token=z3.If(good, token, free),
        )
        return Transition("get", z3.Not(state.broken), after, outcome)

    def kick(self, state: State) -> Transition:
        """``virtqueue_kick``: prepare, and notify if the device asked for it."""
        after, need = self._prepared(state)
        outcome = replace(self.nothing(), notified=need, kicked=z3.BoolVal(True), announced=state.unkicked)
        return Transition("kick", z3.BoolVal(True), after, outcome)

    def set_avail_event(self, state: State, event: Bits) -> Transition:
        """The device moves avail_event, to any 16-bit value."""
        return Transition(
            "set_avail_event", z3.BoolVal(True), replace(state, avail_event=event), self.nothing()
        )

    def set_flags(self, state: State, flags: Bits) -> Transition:
        """The device stores 0 or 1 to used.flags, which a driver ignores under EVENT_IDX (2.7.10.1)."""
        after = replace(state, no_notify=flags == 1)
        return Transition("set_flags", z3.ULE(flags, 1), after, self.nothing())

    def transitions(self, state: State, argument: Bits) -> tuple[Transition, ...]:
        """Every way on from ``state``; ``argument`` (16 bits) is what the action takes, 0 if nothing."""
        count, none = z3.Extract(COUNT_BITS - 1, 0, argument), argument == 0
        small = z3.ULT(argument, 1 << COUNT_BITS)
        ways = [
            (self.add(state, count), small),
            (self.read(state), none),
            (self.complete(state, count), small),
            (self.get(state), none),
            (self.kick(state), none),
            (self.set_flags(state, argument), z3.BoolVal(True)),
        ]
        if self.event_idx:
            ways.append((self.set_avail_event(state, argument), z3.BoolVal(True)))
        return tuple(replace(way, guard=z3.And(way.guard, fits)) for way, fits in ways)
