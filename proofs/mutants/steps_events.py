"""The mutants of the step-wise model about kicks, interrupts and indirect tables: one decision changed.

Two of them need a word more. D10 is about two contexts that write used_event without a common lock: the
second one is the interrupt handler here, which comes between any two statements of the driver. F11 is about
tables in memory that the device cannot read for long: here it is gone as add returns.
"""

from dataclasses import replace
from typing import Any

from ...model.size import u16
from ...model.steps.adding import ENTRY_BYTES
from ...model.steps.moment import Choice, Moment
from ...model.steps.queue import Steps
from ...model.term import Flag, Number, Step, both, no, smaller, store, three_quarters
from .mutation import Mutation, breaks


def _half(number: Number) -> Number:
    """Return half of a number from 0 up, cut to a whole one."""
    return number // 2 if isinstance(number, int) else number / 2


class _D1(Steps):
    def need_event(self, event: Any, new: Any, old: Any) -> Flag:
        return new - event - 1 < new - old


class _D2(Steps):
    def delay(self, s: Moment) -> Number:
        return three_quarters(s.avail_idx - s.last_used_idx)


class _D3(Steps):
    def used_event_after_get(self, s: Moment) -> Number:
        return s.used_event


class _D5(Steps):
    def arm(self, s: Moment, c: Choice) -> Step[Moment]:
        return _misdirected(s, super().arm(s, c))

    def rearm(self, s: Moment, c: Choice) -> Step[Moment]:
        return _misdirected(s, super().rearm(s, c))


def _misdirected(s: Moment, step: Step[Moment]) -> Step[Moment]:
    """Return the step with avail_event written in place of used_event."""
    after = replace(step.after, avail_event=step.after.used_event, used_event=s.used_event)
    return replace(step, after=after)


class _D6(Steps):
    def enabled(self, s: Moment) -> Moment:
        # NO_INTERRUPT is 1, so dividing by it leaves avail.flags as they are.
        return replace(super().enabled(s), no_interrupt=s.no_interrupt)


class _D7(Steps):
    def enabled(self, s: Moment) -> Moment:
        off = self.disabled(s)
        return replace(super().enabled(s), wanted=off.wanted, no_interrupt=off.no_interrupt)


class _D10(Steps):
    def handle(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().handle(s, c)
        return replace(step, after=replace(step.after, used_event=u16(s.last_used_idx - 1)))


class _D11(Steps):
    def rearms(self, s: Moment) -> Flag:
        del s
        return True


class _D14(Steps):
    def notifies_when_full(self, c: Choice) -> Flag:
        del c
        return False


class _D15(Steps):
    def irq_after_taken(self) -> Flag:
        return True

    def irq_after_handled(self, s: Moment) -> Flag:
        del s
        return False


class _F1(Steps):
    def fits_table(self, c: Choice) -> Flag:
        del c
        return True


class _F2(Steps):
    def takes_table(self, s: Moment, c: Choice) -> Flag:
        return both(c.segments > 1, s.num_free > 0)


class _F3(Steps):
    def takes_table(self, s: Moment, c: Choice) -> Flag:
        return both(self.indirect_desc, no(both(c.segments > 1, s.num_free > 0)))


class _F5(Steps):
    def has_room(self, s: Moment, c: Choice) -> Flag:
        return s.num_free >= _half(c.segments * self.queue_size)


class _F6(Steps):
    def table_size(self, c: Choice) -> Number:
        return smaller(c.segments, _half(self.queue_size))


class _F7(Steps):
    def table_bytes(self, s: Moment) -> Number:
        return s.taking * ENTRY_BYTES


class _F11(Steps):
    def count_add(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().count_add(s, c)
        gone = store(s.allocated, s.table, both(no(s.tabled), s.allocated(s.table)))
        return replace(step, after=replace(step.after, allocated=gone))


class _X1(Steps):
    def num_added_after_kick(self, s: Moment) -> Number:
        return s.num_added


class _X9(Steps):
    def kick_needed(self, s: Moment) -> Flag:
        return both(super().kick_needed(s), no(s.no_notify))


class _X31(Steps):
    def switches_flags(self) -> Flag:
        return True


class _X32(Steps):
    def frees_table(self, s: Moment) -> Flag:
        del s
        return False


class _X33(Steps):
    def advance(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().advance(s, c)
        return replace(step, after=self.disabled(step.after))


class _X34(Steps):
    def called(self, s: Moment, c: Choice) -> Moment:
        return replace(super().called(s, c), segment_addr=lambda _: c.segment_addr(0))


class _X35(Steps):
    def call_back(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().call_back(s, c)
        return replace(step, after=replace(step.after, notified=True))


class _X36(Steps):
    def advance(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().advance(s, c)
        return replace(step, after=replace(step.after, result=s.data(s.head)))


MUTANTS: dict[str, Mutation] = {
    "D1": breaks(_D1, "kick-count-at-every-step", "no-kick-lost", "kick-only-when-asked"),
    "D2": breaks(_D2, "delayed-callback-exact"),
    "D3": breaks(_D3, "no-interrupt-lost", "callbacks-off-stay-off"),
    "D5": breaks(
        _D5, "no-kick-lost", "no-interrupt-lost", "delayed-callback-exact", "callbacks-off-stay-off"
    ),
    "D6": breaks(_D6, "no-interrupt-lost", "callbacks-off-stay-off"),
    "D7": breaks(_D7, "delayed-callback-exact", "callbacks-off-stay-off"),
    "D10": breaks(_D10, "no-interrupt-lost", "delayed-callback-exact", "callbacks-off-stay-off"),
    "D11": breaks(_D11, "callbacks-off-stay-off"),
    "D14": breaks(_D14, "full-ring-refuses-cleanly"),
    "D15": breaks(_D15, "no-interrupt-lost"),
    "F1": breaks(_F1, "chain-filled-as-asked", "chain-fits-queue"),
    "F2": breaks(_F2, "chain-filled-as-asked", "indirect-as-negotiated"),
    "F3": breaks(_F3, "chain-filled-as-asked"),
    "F5": breaks(_F5, "chain-filled-as-asked", "full-ring-refuses-cleanly"),
    "F6": breaks(_F6, "table-filled-as-asked"),
    "F7": breaks(_F7, "table-filled-as-asked"),
    "F11": breaks(_F11, "table-lives-until-used"),
    "X1": breaks(_X1, "kick-count-at-every-step"),
    "X9": breaks(_X9, "kick-count-at-every-step", "kick-only-when-asked"),
    "X31": breaks(_X31, "flags-stay-zero"),
    "X32": breaks(_X32, "table-lives-until-used"),
    "X33": breaks(_X33, "callbacks-off-stay-off"),
    "X34": breaks(_X34, "chain-filled-as-asked"),
    "X35": breaks(_X35, "kick-only-when-asked"),
    "X36": breaks(_X36, "token-once-never-early"),
}
"""Every mutant of the catalogs that is seeded here, by id."""
