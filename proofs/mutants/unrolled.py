"""The mutants as overrides of the unrolled model; the catalog says in words what each one changes."""

from dataclasses import replace

import z3

from ...model.unrolled import Transition, Unrolled
from ...model.unrolled_state import TOKEN_BITS, Bits, State, Truth, choose, select, store


class RoomIfAnyFree(Unrolled):
    """A1."""

    def has_room(self, state: State, segments: Bits) -> Truth:  # noqa: ARG002 - what it forgets
        """True unless the ring is full."""
        return state.num_free != 0


class HeadAloneReturned(Unrolled):
    """A2."""

    def detach(self, state: State, head: Bits) -> State:
        """Give back the head and nothing behind it."""
        return replace(
            state,
            data=store(state.data, head, z3.BitVecVal(0, TOKEN_BITS)),
            next=store(state.next, head, state.free_head),
            free_head=head,
            num_free=state.num_free + 1,
        )


class OneTooManyTaken(Unrolled):
    """A5."""

    def taken(self, segments: Bits) -> Bits:
        """One more than the chain has."""
        return segments + 1


class TailNotLinked(Unrolled):
    """A6."""

    def relinked(self, state: State, last: Bits) -> tuple[Bits, ...]:  # noqa: ARG002 - what it forgets
        """Leave every link as it is."""
        return state.next


class SlotTakenForHead(Unrolled):
    """A7."""

    def used_head(self, state: State) -> Bits:
        """The slot's number, whatever stands in it."""
        return z3.Extract(self.bits - 1, 0, self.slot(state.last_used_idx))


class LastKeepsNext(Unrolled):
    """A13."""

    def continues(self, place: int, segments: Bits) -> Truth:  # noqa: ARG002 - what it forgets
        """Give every descriptor of the chain the flag."""
        return z3.BoolVal(True)


class AvailWrapsAtQueueSize(Unrolled):
    """B1."""

    def next_avail_idx(self, state: State) -> Bits:
        """Stay below the queue size."""
        return self.slot(state.avail_idx + 1)


class UsedOrdered(Unrolled):
    """B3."""

    def sees_used(self, state: State) -> Truth:
        """Compare by order."""
        return z3.ULT(state.last_used_idx, state.used_idx)


class UsedMasked(Unrolled):
    """B5."""

    def sees_used(self, state: State) -> Truth:
        """Compare slots."""
        return self.slot(state.last_used_idx) != self.slot(state.used_idx)


class LastUsedWide(Unrolled):
    """B6. One bit more stands for 32: a bounded search never counts to the second wrap."""

    last_used_bits = 17

    def sees_used(self, state: State) -> Truth:
        """Compare all bits of last_used_idx with the 16 of used_idx."""
        return state.last_used_idx != z3.ZeroExt(1, state.used_idx)


class OneSlotMore(Unrolled):
    """B10."""

    def avail_slot(self, state: State) -> Bits:
        """Modulo the queue size plus one."""
        return z3.URem(state.avail_idx, z3.BitVecVal(self.queue_size + 1, 16))


class NoForcedKick(Unrolled):
    """B11."""

    def forces_kick(self, num_added: Bits) -> Truth:  # noqa: ARG002 - what it forgets
        """Never."""
        return z3.BoolVal(False)


class UsedNotTested(Unrolled):
    """B13."""

    def sees_used(self, state: State) -> Truth:  # noqa: ARG002 - what it forgets
        """Always."""
        return z3.BoolVal(True)


class EventTestNotCut(Unrolled):
    """D1."""

    def need_event(self, event: Bits, new: Bits, old: Bits) -> Truth:
        """Compare as integers with a sign; 18 bits hold every difference."""
        event, new, old = (z3.ZeroExt(2, word) for word in (event, new, old))
        return new - event - 1 < new - old


class UsedEventNotMoved(Unrolled):
    """D3."""

    def rearmed(self, state: State, last_used_idx: Bits) -> Bits:  # noqa: ARG002 - what it forgets
        """Leave used_event as it is."""
        return state.used_event


class SilentWhenFull(Unrolled):
    """D14."""

    def full_ring_notifies(self) -> bool:
        """Never."""
        return False


class NumAddedKept(Unrolled):
    """X1."""

    def num_added_after_kick(self, num_added: Bits) -> Bits:
        """Keep it."""
        return num_added


class TokenKept(Unrolled):
    """X2."""

    def forgets(self, state: State, head: Bits) -> tuple[Bits, ...]:  # noqa: ARG002 - what it forgets
        """Hold it still."""
        return state.data


class OneFreePerChain(Unrolled):
    """X3."""

    def detach(self, state: State, head: Bits) -> State:
        """Count one descriptor whatever the length."""
        return replace(super().detach(state, head), num_free=state.num_free + 1)


class OneSkipped(Unrolled):
    """X4."""

    def taken(self, segments: Bits) -> Bits:
        """One more for a chain of two or more."""
        return z3.If(z3.UGE(segments, 2), segments + 1, segments)

    def next_free(self, _state: State, here: Bits, segments: Bits) -> Bits:
        """One further for a chain of two or more."""
        return z3.If(z3.UGE(segments, 2), select(_state.next, here), here)


class UsedRingWiped(Unrolled):
    """X5."""

    def get(self, state: State) -> Transition:
        """Zero the entry behind the one that is looked at."""
        way = super().get(state)
        behind = self.slot(z3.Extract(15, 0, state.last_used_idx) + 1)
        wiped = store(way.after.used_ring, behind, z3.BitVecVal(0, self.bits))
        cleared = replace(way.after, used_ring=wiped)
        return replace(way, after=choose(self.sees_used(state), cleared, way.after))


class LastPublished(Unrolled):
    """X6."""

    def published_head(self, head: Bits, last: Bits) -> Bits:  # noqa: ARG002 - what it forgets
        """The last descriptor."""
        return last


class ZeroRefused(Unrolled):
    """X7."""

    def refuses(self, head: Bits, token: Bits) -> Truth:
        """Descriptor 0 as well."""
        return z3.Or(head == 0, token == 0)


class FlagObeyed(Unrolled):
    """X9."""

    def notifies(self, state: State, needed: Truth) -> Truth:
        """Only while NO_NOTIFY is clear."""
        return z3.And(super().notifies(state, needed), z3.Not(state.no_notify))


class FreeListRebuilt(Unrolled):
    """X10."""

    def detach(self, state: State, head: Bits) -> State:
        """Start over once every descriptor is free."""
        after, fresh = super().detach(state, head), self.initial()
        rebuilt = replace(after, next=fresh.next, free_head=fresh.free_head)
        return choose(after.num_free == self.queue_size, rebuilt, after)


MUTANTS: dict[str, type[Unrolled]] = {
    "A1": RoomIfAnyFree,
    "A2": HeadAloneReturned,
    "A5": OneTooManyTaken,
    "A6": TailNotLinked,
    "A7": SlotTakenForHead,
    "A13": LastKeepsNext,
    "B1": AvailWrapsAtQueueSize,
    "B3": UsedOrdered,
    "B5": UsedMasked,
    "B6": LastUsedWide,
    "B10": OneSlotMore,
    "B11": NoForcedKick,
    "B13": UsedNotTested,
    "D1": EventTestNotCut,
    "D3": UsedEventNotMoved,
    "D14": SilentWhenFull,
    "X1": NumAddedKept,
    "X2": TokenKept,
    "X3": OneFreePerChain,
    "X4": OneSkipped,
    "X5": UsedRingWiped,
    "X6": LastPublished,
    "X7": ZeroRefused,
    "X9": FlagObeyed,
    "X10": FreeListRebuilt,
}
"""By catalog id."""

UNSEEDED: dict[str, str] = {
    "X8": "the reference that would have to replay it makes no queue of a size that is no power of two",
}
"""The mutants of the catalog that are not among them, and why."""
