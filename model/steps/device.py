"""An honest device, access by access: it takes chains, completes them in any order, interrupts, and sleeps.

What it may do by VIRTIO 1.3, 2.7.7.2, 2.7.8.2, 2.7.10.2 and 2.7.13.3. While it works it may write anything to
its two suppression fields; before it waits to be notified it asks for that, and looks once more.
"""

from dataclasses import replace

from ..size import WORD, u16
from ..term import Flag, Step, any_of, both, either, no, store
from .moment import Choice, Moment
from .setting import Setting


class Device(Setting):
    """How the other side reads, completes, interrupts and sleeps."""

    def device_reads(self, s: Moment, _: Choice) -> Step[Moment]:
        """Take the next head off the available ring."""
        head = s.avail_ring(self.size.slot(u16(s.read)))
        guard = both(s.live, self.is_awake(s), s.avail_idx != u16(s.read))
        return Step(guard, replace(s, held=store(s.held, head, True), read=s.read + 1))

    def device_stages(self, s: Moment, c: Choice) -> Step[Moment]:
        """Write the used element of any chain it has, behind those written before.

        Out of order, that chain changes places (ghost) with the one whose turn it would have been.
        """
        h, turn = c.head, s.order(s.staged)
        after = replace(
            s,
            used_ring=store(s.used_ring, self.size.slot(u16(s.staged)), h),
            staged=s.staged + 1,
            held=store(s.held, h, False),
            order=store(store(s.order, s.place(h), turn), s.staged, h),
            place=store(store(s.place, turn, s.place(h)), h, s.staged),
        )
        return Step(both(s.live, h >= 0, h < self.queue_size, s.held(h)), after)

    def device_publishes(self, s: Moment, _: Choice) -> Step[Moment]:
        """Move used_idx on over all elements written, also before it has decided on those before."""
        after = replace(s, used_idx=u16(s.staged), used=s.staged, deciding=True)
        return Step(both(s.live, s.used < s.staged, s.staged - s.signalled < WORD), after)

    def device_signals(self, s: Moment, _: Choice) -> Step[Moment]:
        """Read what the driver asks for, and interrupt if it is that."""
        asked = u16(s.used_idx - s.used_event - 1) < u16(s.used_idx - u16(s.signalled))
        wanted = either(self.event_idx, asked, no(s.no_interrupt))
        after = replace(s, deciding=False, signalled=s.used, irq=either(wanted, True, s.irq))
        return Step(both(s.live, s.deciding), after)

    def device_interrupts(self, s: Moment, _: Choice) -> Step[Moment]:
        """Interrupt without news: the driver has to bear it."""
        return Step(s.live, replace(s, irq=True))

    def device_dozes(self, s: Moment, _: Choice) -> Step[Moment]:
        """Ask to be notified of the next chain."""
        after = replace(s, avail_event=u16(s.read), no_notify=False, dozing=True)
        return Step(both(s.live, self.is_awake(s)), after)

    def device_looks(self, s: Moment, _: Choice) -> Step[Moment]:
        """Look once more for an available chain, and sleep if there is none."""
        return Step(both(s.live, s.dozing), replace(s, dozing=False, asleep=s.avail_idx == u16(s.read)))

    def device_wakes(self, s: Moment, _: Choice) -> Step[Moment]:
        """Take a notification, if one is pending, or wake for reasons of its own."""
        guard = both(s.live, any_of(s.notified, s.dozing, s.asleep))
        return Step(guard, replace(s, notified=False, dozing=False, asleep=False))

    def device_fidgets(self, s: Moment, c: Choice) -> Step[Moment]:
        """Write anything to its suppression fields while it works."""
        after = replace(s, avail_event=u16(c.event), no_notify=c.flag)
        return Step(both(s.live, self.is_awake(s)), after)

    def is_awake(self, s: Moment) -> Flag:
        """The device is not about to wait for a notification."""
        return both(no(s.dozing), no(s.asleep))
