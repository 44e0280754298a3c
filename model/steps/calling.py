"""Callbacks on and off, and the interrupt that calls them, statement by statement (Linux 3.11).

The interrupt comes between any two statements of the driver: nothing locks it out.
"""

from dataclasses import replace

from ..size import u16
from ..term import Flag, Number, Step, both, either, implies, no, three_quarters
from .moment import Choice, Moment, Pc
from .setting import Setting


class Calling(Setting):
    """How the driver asks for interrupts, and what it does when one comes."""

    def disable_cb(self, s: Moment, _: Choice) -> Step[Moment]:
        """Ask for no more interrupts (virtqueue_disable_cb)."""
        return Step(self.is_idle(s), self.disabled(replace(s, waiting=False)))

    def enable_cb(self, s: Moment, _: Choice) -> Step[Moment]:
        """Ask for interrupts again, at the next completion (virtqueue_enable_cb_prepare)."""
        return Step(self.is_idle(s), replace(self.enabled(s), bufs=0, delayed=False))

    def enable_cb_delayed(self, s: Moment, _: Choice) -> Step[Moment]:
        """Ask for one after three quarters of what is in flight (virtqueue_enable_cb_delayed)."""
        return Step(self.is_idle(s), replace(self.enabled(s), bufs=self.delay(s), delayed=True))

    def arm(self, s: Moment, _: Choice) -> Step[Moment]:
        """Write used_event, if it is written at all."""
        wrote = self.writes_used_event()
        after = replace(
            s,
            pc=Pc.POLL,
            used_event=either(wrote, self.armed_event(s), s.used_event),
            event=s.last_used + s.bufs,
        )
        return Step(s.pc == Pc.EVENT, after)

    def poll(self, s: Moment, _: Choice) -> Step[Moment]:
        """Look whether more was used than is asked to be told of; if not, the driver may go and wait.

        An interrupt that came since callbacks were switched on leaves nothing to wait for (ghost).
        """
        waiting = both(no(self.is_late(s)), no(s.woken))
        return Step(s.pc == Pc.POLL, replace(s, pc=Pc.IDLE, waiting=waiting, seen=s.used))

    # The interrupt: vring_interrupt.

    def interrupt(self, s: Moment, _: Choice) -> Step[Moment]:
        """Take an interrupt that is pending, which acknowledges it."""
        guard = both(s.live, s.irq, no(s.handling), no(s.calling))
        return Step(guard, replace(s, irq=self.irq_after_taken(), handling=True))

    def handle(self, s: Moment, _: Choice) -> Step[Moment]:
        """Look whether something was used: if not, the interrupt is not ours."""
        after = replace(s, handling=False, calling=self.calls_back(s), irq=self.irq_after_handled(s))
        return Step(both(s.live, s.handling), after)

    def call_back(self, s: Moment, _: Choice) -> Step[Moment]:
        """Call the callback: it switches callbacks off and wakes the driver (skb_xmit_done)."""
        woken = replace(s, calling=False, waiting=False, woken=True)
        return Step(both(s.live, s.calling), self.disabled(woken))

    # Decisions.

    def switches_flags(self) -> Flag:
        """Linux 3.11 writes avail.flags always, the mended driver unless EVENT_IDX was negotiated."""
        return implies(self.mended, no(self.event_idx))

    def disabled(self, s: Moment) -> Moment:
        """Return the moment with callbacks off."""
        return replace(s, wanted=False, no_interrupt=either(self.switches_flags(), True, s.no_interrupt))

    def enabled(self, s: Moment) -> Moment:
        """Return the moment with callbacks on, and used_event still to be written."""
        flag = either(self.switches_flags(), False, s.no_interrupt)
        return replace(s, pc=Pc.EVENT, wanted=True, no_interrupt=flag, waiting=False, woken=False)

    def delay(self, s: Moment) -> Number:
        """Return how many completions are let pass: three quarters of the chains in flight."""
        return three_quarters(u16(s.avail_idx - s.last_used_idx))

    def armed_event(self, s: Moment) -> Number:
        """Return used_event as callbacks are switched on."""
        return u16(s.last_used_idx + s.bufs)

    def is_late(self, s: Moment) -> Flag:
        """More was used than is asked to be told of: the driver must look itself."""
        far = u16(s.used_idx - s.last_used_idx) > s.bufs
        return either(s.delayed, far, s.last_used_idx != s.used_idx)

    def irq_after_taken(self) -> Flag:
        """Whether an interrupt is still pending after it was taken."""
        return False

    def irq_after_handled(self, s: Moment) -> Flag:
        """Whether an interrupt is pending after one was handled."""
        return s.irq

    def calls_back(self, s: Moment) -> Flag:
        """Whether the interrupt calls the callback: something was used (more_used)."""
        return s.last_used_idx != s.used_idx
