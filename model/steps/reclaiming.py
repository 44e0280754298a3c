"""virtqueue_get_buf, detach_buf and virtqueue_detach_unused_buf, statement by statement (Linux 3.11)."""

from dataclasses import replace

from ..size import u16
from ..state import Map
from ..term import Flag, Number, Step, both, either, no, store
from .moment import Choice, Moment, Pc
from .setting import Setting


class Reclaiming(Setting):
    """How a completed chain is given back, and after a reset one that never was completed."""

    def look(self, s: Moment, _: Choice) -> Step[Moment]:
        """Find that something was used. Who looks no longer waits for an interrupt (ghost)."""
        after = replace(s, pc=Pc.ELEMENT, waiting=False, unused=False)
        return Step(both(self.is_idle(s), self.sees_used(s)), after)

    def look_in_vain(self, s: Moment, _: Choice) -> Step[Moment]:
        """Find that nothing was used. With callbacks on the driver may now go and wait (ghost).

        Without EVENT_IDX any completion from now on interrupts.
        """
        after = replace(
            s,
            result=0,
            waiting=s.wanted,
            seen=s.used,
            event=either(self.event_idx, s.event, s.last_used),
        )
        return Step(both(self.is_idle(s), no(self.sees_used(s))), after)

    def read_element(self, s: Moment, _: Choice) -> Step[Moment]:
        """Read the id of the used element, and go on if it is one that can be."""
        head = self.used_head(s)
        return Step(both(s.pc == Pc.ELEMENT, self.is_good(s, head)), replace(s, pc=Pc.DETACH, head=head))

    def detach(self, s: Moment, _: Choice) -> Step[Moment]:
        """Take the token, forget it, and free the table if the descriptor names one."""
        freed = both(self.frees_table(s), s.indirect(s.head))
        after = replace(
            s,
            pc=Pc.WALK,
            result=s.data(s.head),
            data=self.data_after_detach(s),
            allocated=store(s.allocated, s.addr(s.head), both(no(freed), s.allocated(s.addr(s.head)))),
            cursor=s.head,
            count=0,
        )
        return Step(s.pc == Pc.DETACH, after)

    def walk(self, s: Moment, _: Choice) -> Step[Moment]:
        """Follow NEXT, and count the descriptor left behind."""
        after = replace(s, cursor=s.next(s.cursor), num_free=self.num_free_after_link(s), count=s.count + 1)
        return Step(both(s.pc == Pc.WALK, self.follows(s)), after)

    def give(self, s: Moment, _: Choice) -> Step[Moment]:
        """Link the last descriptor to the free list, which the head leads now; count the last descriptor."""
        after = replace(
            self.given_back(s),
            pc=either(s.unused, Pc.RETRACT, Pc.ADVANCE),
            next=self.next_after_give(s),
            free_head=self.free_head_after_give(s),
            num_free=self.num_free_after_give(s),
        )
        return Step(both(s.pc == Pc.WALK, no(self.follows(s))), after)

    def given_back(self, s: Moment) -> Moment:
        """Return the moment with the chain no longer outstanding (ghost).

        Its block moves down to position free, the cells between move up. One that was never completed
        changes places with the chain published last, so that the numbers in flight stay without a gap.
        """
        h, free, length = s.head, s.free, s.length(s.head)
        bottom = s.gpos(h) + 1 - length
        last = s.published - 1

        def gpos(d: Number) -> Number:
            p = s.gpos(d)
            between, block = both(free <= p, p < bottom), both(bottom <= p, p < bottom + length)
            return either(between, p + length, either(block, p - (bottom - free), p))

        def gat(p: Number) -> Number:
            block, between = both(free <= p, p < free + length), both(free + length <= p, p < bottom + length)
            return either(block, s.gat(p + (bottom - free)), either(between, s.gat(p - length), s.gat(p)))

        return replace(
            s,
            free=free + length,
            gpos=gpos,
            gat=gat,
            outstanding=store(s.outstanding, h, False),
            rank=lambda g: either(s.gpos(g) < s.gpos(h), s.rank(g) - 1, s.rank(g)),
            last_used=either(s.unused, s.last_used, s.last_used + 1),
            published=either(s.unused, last, s.published),
            order=lambda k: either(both(s.unused, k == s.place(h)), s.order(last), s.order(k)),
            place=lambda g: either(both(s.unused, g == s.order(last)), s.place(h), s.place(g)),
        )

    def advance(self, s: Moment, _: Choice) -> Step[Moment]:
        """Move last_used_idx on."""
        after = replace(s, pc=Pc.ASK, last_used_idx=self.last_used_idx_after_get(s))
        return Step(s.pc == Pc.ADVANCE, after)

    def ask(self, s: Moment, _: Choice) -> Step[Moment]:
        """Look whether callbacks are on: only then used_event follows."""
        rearms = both(self.writes_used_event(), self.rearms(s))
        return Step(s.pc == Pc.ASK, replace(s, pc=either(rearms, Pc.REARM, Pc.IDLE)))

    def rearm(self, s: Moment, _: Choice) -> Step[Moment]:
        """Ask to be told of the next completion."""
        after = replace(s, pc=Pc.IDLE, used_event=self.used_event_after_get(s), event=s.last_used)
        return Step(s.pc == Pc.REARM, after)

    # After a reset: virtqueue_detach_unused_buf.

    def reset(self, s: Moment, _: Choice) -> Step[Moment]:
        """Let the device be reset: it touches nothing any more, and no interrupt of it is left."""
        return Step(
            self.is_idle(s),
            replace(s, live=False, irq=False, handling=False, calling=False, waiting=False, asleep=False),
        )

    def scan(self, s: Moment, _: Choice) -> Step[Moment]:
        """Begin to look for a token."""
        return Step(both(s.pc == Pc.IDLE, no(s.live)), replace(s, pc=Pc.SCAN, cursor=0, unused=True))

    def scan_on(self, s: Moment, _: Choice) -> Step[Moment]:
        """Pass a descriptor without a token."""
        more = both(s.cursor < self.queue_size, s.data(s.cursor) == 0)
        return Step(both(s.pc == Pc.SCAN, more), replace(s, cursor=s.cursor + 1))

    def scan_finds(self, s: Moment, _: Choice) -> Step[Moment]:
        """Find a token; its chain is given back."""
        found = both(s.cursor < self.queue_size, s.data(s.cursor) != 0)
        return Step(both(s.pc == Pc.SCAN, found), replace(s, pc=Pc.DETACH, head=s.cursor))

    def scan_ends(self, s: Moment, _: Choice) -> Step[Moment]:
        """Find none."""
        return Step(both(s.pc == Pc.SCAN, s.cursor == self.queue_size), replace(s, pc=Pc.IDLE, result=0))

    def retract(self, s: Moment, _: Choice) -> Step[Moment]:
        """Move avail_idx back by one."""
        return Step(s.pc == Pc.RETRACT, replace(s, pc=Pc.IDLE, avail_idx=self.avail_idx_after_retract(s)))

    # Decisions.

    def sees_used(self, s: Moment) -> Flag:
        """Test for a used element not yet taken, as the driver does (more_used)."""
        return s.last_used_idx != s.used_idx

    def used_head(self, s: Moment) -> Number:
        """Return the head that the driver takes to be completed."""
        return s.used_ring(self.size.slot(s.last_used_idx))

    def is_good(self, s: Moment, head: Number) -> Flag:
        """Test a used id as the driver does (BAD_RING): it is in range and has a token."""
        return both(head >= 0, head < self.queue_size, s.data(head) != 0)

    def data_after_detach(self, s: Moment) -> Map:
        """Return the driver's tokens after one was taken."""
        return store(s.data, s.head, 0)

    def frees_table(self, s: Moment) -> Flag:
        """Whether detach_buf looks after the table of a chain."""
        del s
        return True

    def follows(self, s: Moment) -> Flag:
        """Whether the walk down the chain goes on."""
        return s.has_next(s.cursor)

    def num_free_after_link(self, s: Moment) -> Number:
        """Count the free descriptors, as the driver does, after a link was followed."""
        return s.num_free + 1

    def num_free_after_give(self, s: Moment) -> Number:
        """Count the free descriptors, as the driver does, after a chain was given back."""
        return s.num_free + 1

    def next_after_give(self, s: Moment) -> Map:
        """Return the next fields after a chain was given back."""
        return store(s.next, s.cursor, s.free_head)

    def free_head_after_give(self, s: Moment) -> Number:
        """Return what leads the free list after a chain was given back."""
        return s.head

    def last_used_idx_after_get(self, s: Moment) -> Number:
        """Return the driver's own index after an element was taken."""
        return u16(s.last_used_idx + 1)

    def rearms(self, s: Moment) -> Flag:
        """Whether get moves used_event on: callbacks are on."""
        return s.wanted

    def used_event_after_get(self, s: Moment) -> Number:
        """Return used_event after an element was taken while callbacks are on."""
        return s.last_used_idx

    def avail_idx_after_retract(self, s: Moment) -> Number:
        """Return avail_idx after a chain was taken back that was never completed."""
        return u16(s.avail_idx - 1)
