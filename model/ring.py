"""The split virtqueue: what each operation does, as guard and assignments.

One transition per operation: the driver's ``add``, ``refuse``, ``get`` and ``kick`` follow Linux 3.11
(virtqueue_add, virtqueue_get_buf with detach_buf, virtqueue_kick_prepare), the device's ``read`` and
``complete`` follow VIRTIO 1.3, 2.7.13 and 2.7.8. The device is honest and completes in any order.
Nothing constrains the suppression fields (no_interrupt, used_event, no_notify, avail_event): whoever
owns them may change them at any time. An indirect table counts as a chain of one descriptor.

Each operation is one step that nothing interrupts: what the other side may see between two memory accesses
of one operation, and the barriers that order them, are outside this model. So are the addresses, lengths and
WRITE flags of descriptors. An honest device writes the used ring and its two suppression fields only, and
completes what it has read, once.

A chain of any length is taken or given back in one step. That the links really lead through its
descriptors, one by one, is proved as part of ``free-list-sound`` and ``chain-well-formed``.

Every decision a driver is known to get wrong has a method of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import z3

from .size import LARGEST, WORD, Size, u16
from .state import Flag, Map, Marks, Number, State, arbitrary
from .term import store


@dataclass(frozen=True)
class Step:
    """One transition: from ``before``, if ``guard`` holds, to ``after``."""

    before: State
    guard: Flag
    after: State
    notified: Flag  # the device was notified
    head: Number  # the chain it was about
    token: Number  # the token put in or handed back; 0 if none


class Ring:
    """The transitions of a virtqueue of the given size (all sizes at once, or one)."""

    takes_size = True
    steps = ("add", "refuse", "read", "complete", "get", "kick")

    def __init__(self, size: Size) -> None:
        self.size = size
        self.queue_size = size.queue_size
        self.event_idx = z3.Bool("event_idx")  # EVENT_IDX was negotiated
        self.segments = z3.Int("segments")
        self.token = z3.Int("token")
        self.has_out = z3.Bool("has_out")  # the chain has device-readable segments
        self.chosen = z3.Int("chosen")  # the chain the device completes next

    def take(self, name: str) -> Step:
        """Return the transition of that name, its arguments arbitrary, from any state."""
        step: Step = getattr(self, name)(arbitrary())
        return step

    def facts(self, state: State) -> dict[str, Flag]:
        """Return what is known of the queue size and of the slots of the state's indices."""
        return self.size.facts((state.published, state.read, state.used, state.last_used))

    def initial(self) -> State:
        """Return the ring as made: zeroes, and all descriptors free, in order (vring_new_virtqueue)."""
        size = self.queue_size
        zero = z3.IntVal(0)
        nothing: Map = lambda _: zero  # noqa: E731
        never: Marks = lambda _: z3.BoolVal(False)  # noqa: E731
        links: Map = lambda d: z3.If(d < size - 1, d + 1, 0)  # noqa: E731
        layout: Map = lambda d: size - 1 - d  # noqa: E731
        return replace(
            arbitrary(),
            free_head=zero, num_free=size, num_added=zero, last_used_idx=zero, data=nothing,
            next=links, has_next=never, avail_idx=zero, avail_ring=nothing, used_idx=zero, used_ring=nothing,
            free=size, gpos=layout, gat=layout, outstanding=never, held=never,
            published=zero, read=zero, used=zero, last_used=zero, last_kick=zero,
        )  # fmt: skip

    # The driver adds.

    def add(self, s: State) -> Step:
        """Take descriptors off the free list, publish their chain, kick if num_added is about to wrap.

        A null token, no segments at all or more of them than the queue has descriptors are programming
        errors of the caller; nothing is said of them.
        """
        segments, head = self.segments, s.free_head
        last = s.gat(s.free - segments)
        published_head = self.published_head(s, last)
        taken = self.taken(s)

        def in_chain(d: Number) -> Flag:
            return z3.And(s.free - segments <= s.gpos(d), s.gpos(d) < s.free)

        def has_next(d: Number) -> Flag:
            return z3.If(in_chain(d), z3.Or(d != last, self.last_has_next()), s.has_next(d))

        added = replace(
            s,
            num_free=self.num_free_after_add(s, taken),
            free_head=s.next(s.gat(s.free - taken)),
            has_next=has_next,
            data=store(s.data, head, self.token),
            avail_ring=store(s.avail_ring, self.avail_slot(s.avail_idx), published_head),
            avail_idx=self.avail_idx_after_add(s),
            num_added=u16(s.num_added + 1),
            free=s.free - taken,
            owner=lambda d: z3.If(in_chain(d), head, s.owner(d)),
            length=store(s.length, head, segments),
            outstanding=store(s.outstanding, head, z3.BoolVal(True)),
            given=store(s.given, head, self.token),
            rank=store(s.rank, head, s.published - s.last_used),
            order=store(s.order, s.published, published_head),
            place=store(s.place, published_head, s.published),
            published=s.published + 1,
        )
        forced = self.forces_kick(added)
        kicked = self.kicked(added)
        after = replace(
            added,
            num_added=z3.If(forced, kicked.num_added, added.num_added),
            last_kick=z3.If(forced, kicked.last_kick, added.last_kick),
        )
        guard = z3.And(
            self.token != 0, self.segments >= 1, self.segments <= self.queue_size, self.has_room(s)
        )
        return Step(s, guard, after, z3.And(forced, self.kick_needed(added)), head, self.token)

    def refuse(self, s: State) -> Step:
        """Return ENOSPC: only notify the device, if the chain has segments for it to read (virtqueue_add)."""
        guard = z3.And(self.segments >= 1, self.segments <= self.queue_size, z3.Not(self.has_room(s)))
        return Step(s, guard, s, self.notifies_when_full(), z3.IntVal(0), z3.IntVal(0))

    def has_room(self, s: State) -> Flag:
        """Enough descriptors are free for the segments to be added."""
        return s.num_free >= self.segments

    def taken(self, s: State) -> Number:
        """How many descriptors leave the free list at an add."""
        del s
        return self.segments

    def num_free_after_add(self, s: State, taken: Number) -> Number:
        """Count the free descriptors, as the driver does, after an add."""
        return s.num_free - taken

    def last_has_next(self) -> Flag:
        """Whether the last descriptor of a new chain keeps its NEXT flag."""
        return z3.BoolVal(False)

    def published_head(self, s: State, last: Number) -> Number:
        """Return the descriptor put into the available ring, of a chain from free_head to last."""
        del last
        return s.free_head

    def avail_slot(self, avail_idx: Number) -> Number:
        """Return the slot of the available ring that avail_idx names."""
        return self.size.slot(avail_idx)

    def avail_idx_after_add(self, s: State) -> Number:
        """Return the available ring's index after an add."""
        return u16(s.avail_idx + 1)

    def forces_kick(self, s: State) -> Flag:
        """num_added is as large as 16 bits allow, so the next add would lose count (virtqueue_add)."""
        return s.num_added == WORD - 1

    def notifies_when_full(self) -> Flag:
        """Whether a refused add notifies the device."""
        return self.has_out

    # The device reads and completes.

    def read(self, s: State) -> Step:
        """Take the next head off the available ring."""
        head = s.avail_ring(self.size.slot(u16(s.read)))
        after = replace(s, held=store(s.held, head, z3.BoolVal(True)), read=s.read + 1)
        return Step(s, s.avail_idx != u16(s.read), after, z3.BoolVal(False), head, z3.IntVal(0))

    def complete(self, s: State) -> Step:
        """Put any chain the device holds into the used ring.

        Out of order, it changes places (ghost) with the chain whose turn it would have been.
        """
        head = self.chosen
        turn = s.order(s.used)
        after = replace(
            s,
            used_ring=store(s.used_ring, self.size.slot(s.used_idx), head),
            used_idx=u16(s.used_idx + 1),
            used=s.used + 1,
            held=store(s.held, head, z3.BoolVal(False)),
            order=store(store(s.order, s.place(head), turn), s.used, head),
            place=store(store(s.place, turn, s.place(head)), head, s.used),
        )
        guard = z3.And(head >= 0, head < self.queue_size, s.held(head))
        return Step(s, guard, after, z3.BoolVal(False), head, z3.IntVal(0))

    # The driver gets back.

    def get(self, s: State) -> Step:
        """Take one used element, give its chain back and hand out its token (virtqueue_get_buf)."""
        head = self.used_head(s)
        detached = self.detached(s, head)
        last_used_idx = self.last_used_idx_after_get(s)
        after = replace(
            detached,
            last_used_idx=last_used_idx,
            used_event=self.used_event_after_get(s, last_used_idx),
            last_used=s.last_used + 1,
        )
        guard = z3.And(self.sees_used(s), self.is_good(s, head))
        return Step(s, guard, after, z3.BoolVal(False), head, s.data(head))

    def sees_used(self, s: State) -> Flag:
        """Test for a used element not yet taken, as the driver does."""
        return s.last_used_idx != s.used_idx

    def used_head(self, s: State) -> Number:
        """Return the head that the driver takes to be completed."""
        return s.used_ring(self.size.slot(s.last_used_idx))

    def is_good(self, s: State, head: Number) -> Flag:
        """Test a used id as the driver does (BAD_RING): it is in range and has a token."""
        return z3.And(head >= 0, head < self.queue_size, s.data(head) != 0)

    def detached(self, s: State, head: Number) -> State:
        """Give a chain back: its last descriptor links to the old free list, its head leads it (detach_buf).

        Ghost: its block moves down to position free, the cells between move up.
        """
        length, bottom = s.length(head), s.gpos(head) + 1 - s.length(head)
        walked = self.walked(s, head)

        def gpos(d: Number) -> Number:
            p = s.gpos(d)
            moved = z3.If(p < bottom, p + length, z3.If(p < bottom + length, p - (bottom - s.free), p))
            return z3.If(p < s.free, p, moved)

        def gat(p: Number) -> Number:
            moved = z3.If(p < s.free + length, p - s.free + bottom, z3.If(p < bottom + length, p - length, p))
            return s.gat(z3.If(p < s.free, p, moved))

        return replace(
            s,
            data=self.data_after_get(s, head),
            next=self.next_after_get(s, s.gat(s.gpos(head) + 1 - walked)),
            free_head=head,
            num_free=self.num_free_after_get(s, walked),
            free=s.free + length,
            gpos=gpos,
            gat=gat,
            outstanding=store(s.outstanding, head, z3.BoolVal(False)),
            rank=lambda g: z3.If(s.gpos(g) < s.gpos(head), s.rank(g) - 1, s.rank(g)),
        )

    def walked(self, s: State, head: Number) -> Number:
        """How many descriptors detach_buf comes by, following NEXT from the head."""
        return s.length(head)

    def data_after_get(self, s: State, head: Number) -> Map:
        """Return the driver's tokens after a chain was given back."""
        return store(s.data, head, z3.IntVal(0))

    def next_after_get(self, s: State, last: Number) -> Map:
        """Return the next fields after a chain that ends at ``last`` was given back."""
        return store(s.next, last, s.free_head)

    def num_free_after_get(self, s: State, walked: Number) -> Number:
        """Count the free descriptors, as the driver does, after a chain was given back."""
        return s.num_free + walked

    def last_used_idx_after_get(self, s: State) -> Number:
        """Return the driver's own index after an element was taken."""
        return u16(s.last_used_idx + 1)

    def used_event_after_get(self, s: State, last_used_idx: Number) -> Number:
        """Ask for the next interrupt unless callbacks are off (virtqueue_get_buf)."""
        return z3.If(s.no_interrupt, s.used_event, u16(last_used_idx))

    # The driver kicks.

    def kick(self, s: State) -> Step:
        """Notify the device of what was added since the last kick, if it wants to know (virtqueue_kick)."""
        return Step(s, z3.BoolVal(True), self.kicked(s), self.kick_needed(s), z3.IntVal(0), z3.IntVal(0))

    def kicked(self, s: State) -> State:
        """Return the state with the adds since the last kick accounted for."""
        return replace(s, num_added=self.num_added_after_kick(s), last_kick=s.published)

    def num_added_after_kick(self, s: State) -> Number:
        """Count the adds since the last kick, as the driver does, after one."""
        del s
        return z3.IntVal(0)

    def kick_needed(self, s: State) -> Flag:
        """Decide by event index if that was negotiated, else by NO_NOTIFY (virtqueue_kick_prepare)."""
        old = u16(s.avail_idx - s.num_added)
        return z3.If(self.event_idx, self.need_event(s.avail_event, s.avail_idx, old), z3.Not(s.no_notify))

    def need_event(self, event: Any, new: Any, old: Any, cut: Callable[[Any], Any] = u16) -> Flag:
        """Tell whether event is among the indices from old to new - 1 (VIRTIO 1.3, 2.7.10; vring_need_event).

        Integers or 32-bit vectors from 0 to 65535; ``cut`` reduces such a value to 16 bits.
        """
        return cut(new - event - 1) < cut(new - old)

    # Creation.

    def admits(self, queue_size: z3.BitVecRef) -> Flag:
        """Accept a queue size, a 16-bit vector: powers of two up to 32768 (VIRTIO 1.3, 2.7)."""
        return z3.And(queue_size != 0, queue_size & (queue_size - 1) == 0, z3.ULE(queue_size, LARGEST))

    def masked(self, index: z3.BitVecRef, queue_size: z3.BitVecRef) -> z3.BitVecRef:
        """Return the slot of a 16-bit index as drivers compute it, with a mask instead of a division."""
        return index & (queue_size - 1)
