"""virtqueue_add and virtqueue_kick, statement by statement (Linux 3.11); each decision has a name."""

from dataclasses import replace
from typing import Any

from ..size import WORD, u16
from ..term import Flag, Number, Step, both, either, enter, implies, no, store
from .moment import Choice, Moment, Pc
from .setting import Setting

ENTRY_BYTES = 16
"""The size of a descriptor (VIRTIO 1.3, 2.7.5)."""


class Adding(Setting):
    """How a chain is added, and how the device is notified of it."""

    # A chain in a table of its own: vring_add_indirect.

    def add_in_table(self, s: Moment, c: Choice) -> Step[Moment]:
        """Start to fill a table: INDIRECT_DESC, several segments, a descriptor free, and memory for it."""
        after = replace(
            self.called(s, c),
            pc=Pc.TABLE,
            tabled=True,
            table=c.table,
            taking=1,
            head=s.free_head,
            allocated=store(s.allocated, c.table, True),
            size=store(s.size, c.table, self.table_size(c)),
            table_outs=store(s.table_outs, c.table, c.outs),
        )
        memory = both(no(s.allocated(c.table)), self.size.admits_table(c.table, self.table_size(c)))
        return Step(both(self.may_add(s, c), self.takes_table(s, c), self.fits_table(c), memory), after)

    def fill_entry(self, s: Moment, _: Choice) -> Step[Moment]:
        """Fill the next entry: NEXT, and WRITE unless it is among the first ``outs``."""
        t, i = s.table, s.count
        after = replace(
            s,
            entry_has_next=enter(s.entry_has_next, t, i, True),
            entry_indirect=enter(s.entry_indirect, t, i, False),
            entry_writes=enter(s.entry_writes, t, i, self.is_writable(s, i)),
            entry_addr=enter(s.entry_addr, t, i, s.segment_addr(i)),
            entry_len=enter(s.entry_len, t, i, s.segment_len(i)),
            entry_next=enter(s.entry_next, t, i, self.entry_link(i)),
            count=i + 1,
        )
        return Step(both(s.pc == Pc.TABLE, s.count < s.segments), after)

    def end_table(self, s: Moment, _: Choice) -> Step[Moment]:
        """Clear NEXT and next of the last entry."""
        t, last = s.table, s.segments - 1
        after = replace(
            s,
            pc=Pc.TAKE,
            entry_has_next=enter(s.entry_has_next, t, last, self.last_entry_has_next()),
            entry_next=enter(s.entry_next, t, last, 0),
        )
        return Step(both(s.pc == Pc.TABLE, s.count == s.segments), after)

    def take_descriptor(self, s: Moment, _: Choice) -> Step[Moment]:
        """Take one descriptor off the free list, and let it name the table: INDIRECT, and no other flag."""
        head = s.free_head
        after = replace(
            s,
            pc=Pc.REMEMBER,
            head=head,
            num_free=s.num_free - 1,
            has_next=store(s.has_next, head, self.table_has_next()),
            writes=store(s.writes, head, False),
            indirect=store(s.indirect, head, True),
            addr=store(s.addr, head, s.table),
            len=store(s.len, head, self.table_bytes(s)),
            free_head=s.next(head),
        )
        return Step(s.pc == Pc.TAKE, after)

    # A chain of descriptors: virtqueue_add.

    def add_in_ring(self, s: Moment, c: Choice) -> Step[Moment]:
        """Start to fill descriptors, if as many are free as there are segments: num_free is lowered first.

        Also when a table was wanted and no memory was had for it.
        """
        after = replace(
            self.called(s, c),
            pc=Pc.FILL,
            tabled=False,
            taking=c.segments,
            num_free=self.num_free_after_add(s, c.segments),
            head=s.free_head,
            cursor=s.free_head,
            previous=s.free_head,
        )
        guard = both(self.may_add(s, c), self.fits_ring(s, c), self.has_room(s, c))
        return Step(guard, after)

    def add_refused(self, s: Moment, c: Choice) -> Step[Moment]:
        """Return ENOSPC; first have the device notified if there is anything for it to read.

        Linux 3.11 notifies it whatever it asked for; the mended driver kicks.
        """
        then = either(self.asks_when_full(), Pc.PREPARE, Pc.NOTIFY)
        told = self.notifies_when_full(c)
        after = replace(
            s,
            pc=either(told, then, Pc.IDLE),
            need=either(both(told, no(self.asks_when_full())), True, s.need),
        )
        guard = both(self.may_add(s, c), self.fits_ring(s, c), no(self.has_room(s, c)))
        return Step(guard, after)

    def fill_descriptor(self, s: Moment, _: Choice) -> Step[Moment]:
        """Fill the next free descriptor: NEXT, and WRITE unless it is among the first ``outs``."""
        i = s.cursor
        after = replace(
            s,
            has_next=store(s.has_next, i, True),
            indirect=store(s.indirect, i, False),
            writes=store(s.writes, i, self.is_writable(s, s.count)),
            addr=store(s.addr, i, s.segment_addr(s.count)),
            len=store(s.len, i, s.segment_len(s.count)),
            previous=i,
            cursor=s.next(i),
            count=s.count + 1,
        )
        return Step(both(s.pc == Pc.FILL, s.count < s.segments), after)

    def end_chain(self, s: Moment, _: Choice) -> Step[Moment]:
        """Clear NEXT of the last descriptor; the one it links to leads the free list."""
        after = replace(
            s,
            pc=Pc.REMEMBER,
            has_next=store(s.has_next, self.last_filled(s), self.last_has_next()),
            free_head=s.cursor,
        )
        return Step(both(s.pc == Pc.FILL, s.count == s.segments), after)

    # Either chain is published.

    def remember(self, s: Moment, _: Choice) -> Step[Moment]:
        """Note the token at the head."""
        return Step(s.pc == Pc.REMEMBER, replace(s, pc=Pc.SLOT, data=store(s.data, s.head, s.token)))

    def write_slot(self, s: Moment, _: Choice) -> Step[Moment]:
        """Put the head into the available ring's slot that avail_idx names."""
        ring = store(s.avail_ring, self.avail_slot(s.avail_idx), self.published_head(s))
        return Step(s.pc == Pc.SLOT, replace(s, pc=Pc.PUBLISH, avail_ring=ring))

    def publish(self, s: Moment, _: Choice) -> Step[Moment]:
        """Move avail_idx on: from here on the device may read the chain."""
        after = replace(self.published(s), pc=Pc.COUNT, avail_idx=self.avail_idx_after_add(s))
        return Step(s.pc == Pc.PUBLISH, after)

    def published(self, s: Moment) -> Moment:
        """Return the moment with the new chain outstanding (ghost); its descriptors were the top free."""
        h, free, number = s.head, s.free, s.published

        def owner(d: Number) -> Number:
            return either(both(free - s.taking <= s.gpos(d), s.gpos(d) < free), h, s.owner(d))

        return replace(
            s,
            free=free - s.taking,
            owner=owner,
            length=store(s.length, h, s.taking),
            chain_outs=store(s.chain_outs, h, s.outs),
            table_head=lambda t: either(both(s.tabled, t == s.table), h, s.table_head(t)),
            outstanding=store(s.outstanding, h, True),
            given=store(s.given, h, s.token),
            rank=store(s.rank, h, number - s.last_used),
            order=store(s.order, number, h),
            place=store(s.place, h, number),
            published=number + 1,
        )

    def count_add(self, s: Moment, _: Choice) -> Step[Moment]:
        """Count the add, and kick if num_added is now as large as 16 bits allow."""
        num_added = u16(s.num_added + 1)
        after = replace(s, pc=either(self.forces_kick(num_added), Pc.PREPARE, Pc.IDLE), num_added=num_added)
        return Step(s.pc == Pc.COUNT, after)

    # The device is notified: virtqueue_kick.

    def begin_kick(self, s: Moment, _: Choice) -> Step[Moment]:
        """Begin a kick."""
        return Step(self.is_idle(s), replace(s, pc=Pc.PREPARE))

    def prepare(self, s: Moment, _: Choice) -> Step[Moment]:
        """Note avail_idx at the kick before, and begin to count anew."""
        after = replace(
            s,
            pc=Pc.DECIDE,
            old_idx=u16(s.avail_idx - s.num_added),
            num_added=self.num_added_after_kick(s),
            kick_from=s.last_kick,
            last_kick=s.published,
        )
        return Step(s.pc == Pc.PREPARE, after)

    def decide(self, s: Moment, _: Choice) -> Step[Moment]:
        """Read what the device asks for, by event index if that was negotiated, else by NO_NOTIFY."""
        need = self.kick_needed(s)
        return Step(s.pc == Pc.DECIDE, replace(s, need=need, pc=either(need, Pc.NOTIFY, Pc.IDLE)))

    def notify(self, s: Moment, _: Choice) -> Step[Moment]:
        """Notify the device."""
        return Step(s.pc == Pc.NOTIFY, replace(s, pc=Pc.IDLE, notified=True))

    # Decisions.

    def called(self, s: Moment, c: Choice) -> Moment:
        """Return the moment with the arguments of virtqueue_add in place."""
        return replace(
            s,
            token=c.token,
            segments=c.segments,
            outs=c.outs,
            segment_addr=c.segment_addr,
            segment_len=c.segment_len,
            count=0,
        )

    def may_add(self, s: Moment, c: Choice) -> Flag:
        """The driver is idle, and the call is one that is allowed: a token, and segments."""
        return both(self.is_idle(s), c.token != 0, c.segments >= 1, c.outs >= 0, c.outs <= c.segments)

    def takes_table(self, s: Moment, c: Choice) -> Flag:
        """A table is wanted: INDIRECT_DESC, more than one segment, a descriptor free."""
        return both(self.indirect_desc, c.segments > 1, s.num_free > 0)

    def fits_table(self, c: Choice) -> Flag:
        """The mended driver takes no more segments than the queue has descriptors, Linux 3.11 any number."""
        return implies(self.mended, c.segments <= self.queue_size)

    def table_size(self, c: Choice) -> Number:
        """How many entries are allocated."""
        return c.segments

    def fits_ring(self, s: Moment, c: Choice) -> Flag:
        """No more segments than the queue has descriptors: the rest is a programming error of the caller."""
        del s
        return c.segments <= self.queue_size

    def has_room(self, s: Moment, c: Choice) -> Flag:
        """Enough descriptors are free for the segments."""
        return s.num_free >= c.segments

    def num_free_after_add(self, s: Moment, segments: Number) -> Number:
        """Count the free descriptors, as the driver does, at an add."""
        return s.num_free - segments

    def asks_when_full(self) -> Flag:
        """Whether a full ring is notified of only if the device wants to know."""
        return self.mended

    def notifies_when_full(self, c: Choice) -> Flag:
        """Whether a refused add does anything about the device at all."""
        return c.outs > 0

    def is_writable(self, s: Moment, index: Number) -> Flag:
        """Whether the segment of that index is for the device to write."""
        return index >= s.outs

    def entry_link(self, index: Number) -> Number:
        """Return the next field of the table's entry of that index."""
        return index + 1

    def last_entry_has_next(self) -> Flag:
        """Whether the last entry of a table keeps NEXT."""
        return False

    def table_has_next(self) -> Flag:
        """Whether the descriptor of a table has NEXT, too."""
        return False

    def table_bytes(self, s: Moment) -> Number:
        """Return the length in the descriptor of a table."""
        return s.segments * ENTRY_BYTES

    def last_filled(self, s: Moment) -> Number:
        """Return the descriptor whose NEXT is cleared at the end of a chain."""
        return s.previous

    def last_has_next(self) -> Flag:
        """Whether the last descriptor of a chain keeps NEXT."""
        return False

    def avail_slot(self, avail_idx: Number) -> Number:
        """Return the slot of the available ring that avail_idx names."""
        return self.size.slot(avail_idx)

    def published_head(self, s: Moment) -> Number:
        """Return the descriptor that is put into the available ring."""
        return s.head

    def avail_idx_after_add(self, s: Moment) -> Number:
        """Return the available ring's index after an add."""
        return u16(s.avail_idx + 1)

    def forces_kick(self, num_added: Number) -> Flag:
        """num_added is as large as 16 bits allow, so the next add would lose count."""
        return num_added == WORD - 1

    def num_added_after_kick(self, s: Moment) -> Number:
        """Count the adds since the last kick, as the driver does, after one."""
        del s
        return 0

    def kick_needed(self, s: Moment) -> Flag:
        """Decide by event index if that was negotiated, else by NO_NOTIFY (virtqueue_kick_prepare)."""
        asked = self.need_event(s.avail_event, s.avail_idx, s.old_idx)
        return either(self.event_idx, asked, no(s.no_notify))

    def need_event(self, event: Any, new: Any, old: Any) -> Flag:
        """Tell whether event is one of the indices old to new - 1 (VIRTIO 1.3, 2.7.10; vring_need_event)."""
        return u16(new - event - 1) < u16(new - old)
