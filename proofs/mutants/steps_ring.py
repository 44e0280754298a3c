"""The mutants of the step-wise model about descriptors, rings, tokens and loops: one decision changed.

The ids are those of ``catalog`` and ``steps_catalog``. A18, about creation, is seeded into the ring.
"""

from dataclasses import replace
from typing import Any

import z3

from ...model.ring import Ring
from ...model.size import u16
from ...model.state import Map
from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import Steps
from ...model.term import Flag, Number, Step, any_of, both, either, no, store
from .mutation import Mutation, breaks


class _A1(Steps):
    def has_room(self, s: Moment, c: Choice) -> Flag:
        del c
        return s.num_free > 0


class _A2(Steps):
    def follows(self, s: Moment) -> Flag:
        del s
        return False


class _A3(Steps):
    def follows(self, s: Moment) -> Flag:
        return both(super().follows(s), s.count == 0)


class _A5(Steps):
    def num_free_after_add(self, s: Moment, segments: Number) -> Number:
        return s.num_free - segments - 1


class _A6(Steps):
    def next_after_give(self, s: Moment) -> Map:
        return s.next


class _A7(Steps):
    def used_head(self, s: Moment) -> Number:
        return self.size.slot(s.last_used_idx)


class _A10(Steps):
    # A list with an end mark would lead to no descriptor; one whose last link is 0 leads on for ever.
    def has_room(self, s: Moment, c: Choice) -> Flag:
        del c
        return s.free_head < self.queue_size


class _A11(Steps):
    def last_filled(self, s: Moment) -> Number:
        return s.cursor


class _A13(Steps):
    def last_has_next(self) -> Flag:
        return True


class _A14(Steps):
    def initial(self) -> Moment:
        return replace(super().initial(), num_free=2 * self.queue_size)


class _A15(Steps):
    def has_room(self, s: Moment, c: Choice) -> Flag:
        return both(super().has_room(s, c), s.has_next(s.free_head))


class _A18(Ring):
    def admits(self, queue_size: z3.BitVecRef) -> Flag:
        return z3.And(queue_size & (queue_size - 1) == 0, z3.ULE(queue_size, 1 << 15))


class _B1(Steps):
    def avail_idx_after_add(self, s: Moment) -> Number:
        return self.size.slot(s.avail_idx + 1)


class _B2(_B1):
    def avail_slot(self, avail_idx: Number) -> Number:
        # A slot that exists is the same, masked or not.
        return either(avail_idx < self.queue_size, self.size.slot(avail_idx), avail_idx)

    def write_slot(self, s: Moment, c: Choice) -> Step[Moment]:
        # What follows the last slot in memory is used_event.
        step = super().write_slot(s, c)
        beyond = s.avail_idx == self.queue_size
        return replace(step, after=replace(step.after, used_event=either(beyond, s.head, s.used_event)))


class _B3(Steps):
    def sees_used(self, s: Moment) -> Flag:
        return s.last_used_idx < s.used_idx


class _B5(Steps):
    def sees_used(self, s: Moment) -> Flag:
        return self.size.slot(s.last_used_idx) != self.size.slot(s.used_idx)


class _B6(Steps):
    def last_used_idx_after_get(self, s: Moment) -> Number:
        return s.last_used_idx + 1


class _B7(Steps):
    # An add ends with its kick, which is over by the time avail_idx moves on.
    def write_slot(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().write_slot(s, c)
        new, old = u16(s.avail_idx + 1), u16(s.avail_idx - s.num_added)
        asked = self.kick_needed(replace(s, avail_idx=new, old_idx=old))
        return replace(step, after=replace(step.after, notified=any_of(s.notified, asked)))

    def publish(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().publish(s, c)
        kicked = replace(step.after, pc=Pc.IDLE, num_added=0, last_kick=step.after.published)
        return replace(step, after=kicked)


class _B9(Steps):
    def write_slot(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().write_slot(s, c)
        ring = store(s.avail_ring, self.avail_slot(s.avail_idx - s.num_added), self.published_head(s))
        return replace(step, after=replace(step.after, avail_ring=ring))


class _B10(Steps):
    def avail_slot(self, avail_idx: Number) -> Number:
        return avail_idx % (self.queue_size + 1)


class _B11(Steps):
    def forces_kick(self, num_added: Number) -> Flag:
        del num_added
        return False


class _B13(Steps):
    def sees_used(self, s: Moment) -> Flag:
        del s
        return True


class _E1(Steps):
    def is_writable(self, s: Moment, index: Number) -> Flag:
        return index > s.outs


class _X2(Steps):
    def data_after_detach(self, s: Moment) -> Map:
        return s.data


class _X3(Steps):
    def num_free_after_link(self, s: Moment) -> Number:
        return s.num_free


class _X4(Steps):
    def publish(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().publish(s, c)
        several = both(no(s.tabled), s.segments > 1, s.free > s.taking)

        def more(field: str, changed: Number) -> dict[str, Any]:
            return {field: either(several, changed, getattr(step.after, field))}

        one_more = {
            **more("free", step.after.free - 1),
            **more("num_free", s.num_free - 1),
            **more("free_head", s.next(s.free_head)),
        }
        return replace(step, after=replace(step.after, **one_more))


class _X5(Steps):
    def advance(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().advance(s, c)
        spoilt = store(s.used_ring, self.size.slot(self.last_used_idx_after_get(s)), self.queue_size)
        return replace(step, after=replace(step.after, used_ring=spoilt))


class _X6(Steps):
    def published_head(self, s: Moment) -> Number:
        return either(s.tabled, s.head, s.previous)


class _X7(Steps):
    def is_good(self, s: Moment, head: Number) -> Flag:
        return both(super().is_good(s, head), head != 0)


class _X10(Steps):
    def give(self, s: Moment, c: Choice) -> Step[Moment]:
        step, fresh = super().give(s, c), self.initial()
        after = step.after
        empty = after.free == self.queue_size

        def rebuilt(name: str) -> Map:
            new, old = getattr(fresh, name), getattr(after, name)
            return lambda index: either(empty, new(index), old(index))

        maps: dict[str, Any] = {name: rebuilt(name) for name in ("next", "gpos", "gat")}
        free_head = either(empty, fresh.free_head, after.free_head)
        return replace(step, after=replace(after, free_head=free_head, **maps))


class _X27(Steps):
    def publish(self, s: Moment, c: Choice) -> Step[Moment]:
        # What is available is what avail_idx says, also a slot that nobody has written.
        step = super().publish(s, c)
        again = self.avail_idx_after_add(replace(s, avail_idx=step.after.avail_idx))
        return replace(step, after=replace(step.after, avail_idx=again, published=step.after.published + 1))


class _X28(Steps):
    def scan(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().scan(s, c)
        return replace(step, after=replace(step.after, cursor=1))


class _X29(Steps):
    def scan_ends(self, s: Moment, c: Choice) -> Step[Moment]:
        step = super().scan_ends(s, c)
        return replace(step, guard=both(s.pc == Pc.SCAN, s.cursor == self.queue_size - 1))


class _X30(Steps):
    def last_entry_has_next(self) -> Flag:
        return True


_SLOTS = ("published-chain-untouched", "avail-slot-at-every-step", "published-after-written")

MUTANTS: dict[str, Mutation] = {
    "A1": breaks(_A1, "chain-filled-as-asked"),
    "A2": breaks(_A2, "free-list-at-every-step", "num-free-at-every-step", "walks-end"),
    "A3": breaks(_A3, "free-list-at-every-step", "num-free-at-every-step", "walks-end"),
    "A5": breaks(_A5, "num-free-at-every-step"),
    "A6": breaks(_A6, "free-list-at-every-step"),
    "A7": breaks(_A7, "bad-ring-never-at-any-step", "token-once-never-early"),
    "A10": breaks(_A10, "chain-filled-as-asked"),
    "A11": breaks(_A11, "chain-filled-as-asked", "published-chain-untouched"),
    "A13": breaks(_A13, "chain-filled-as-asked"),
    "A14": breaks(_A14, "num-free-at-every-step"),
    "A15": breaks(_A15, "full-ring-refuses-cleanly"),
    "A18": breaks(_A18, "slot-injective"),
    "B1": breaks(_B1, "indices-at-every-step", "published-after-written"),
    "B2": breaks(
        _B2,
        "indices-at-every-step",
        "published-after-written",
        "no-interrupt-lost",
        "callbacks-off-stay-off",
    ),
    "B3": breaks(_B3, "indices-at-every-step", "no-interrupt-lost"),
    "B5": breaks(_B5, "indices-at-every-step", "no-interrupt-lost"),
    "B6": breaks(_B6, "indices-at-every-step"),
    "B7": breaks(_B7, "no-kick-lost", "kick-only-when-asked"),
    "B9": breaks(_B9, *_SLOTS),
    "B10": breaks(_B10, *_SLOTS),
    "B11": breaks(_B11, "kick-count-at-every-step"),
    "B13": breaks(_B13, "token-once-never-early", "indices-at-every-step"),
    "E1": breaks(_E1, "chain-filled-as-asked", "table-filled-as-asked"),
    "X2": breaks(_X2, "token-once-never-early"),
    "X3": breaks(_X3, "num-free-at-every-step"),
    "X4": breaks(_X4, "descriptors-at-every-step"),
    "X5": breaks(_X5, "used-slot-at-every-step"),
    "X6": breaks(_X6, "published-after-written"),
    "X7": breaks(_X7, "bad-ring-never-at-any-step"),
    "X10": breaks(_X10),
    "X27": breaks(
        _X27,
        "avail-slot-at-every-step",
        "device-finds-chains-in-flight",
        "published-after-written",
        "kick-count-at-every-step",
    ),
    "X28": breaks(_X28, "walks-end"),
    "X29": breaks(_X29, "unused-detached-once"),
    "X30": breaks(_X30, "table-filled-as-asked"),
}
"""Every mutant of the catalogs that is seeded here, by id."""
