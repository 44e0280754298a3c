"""The mutants of the parametric model: the shipped ring with one decision changed.

The ids are those of the catalog. ``kills`` says which theorems a mutant breaks, and is checked: a
mutant that breaks one theorem alone shows that this theorem is needed.
"""

from dataclasses import replace
from typing import Any

import z3

from ...model.ring import Ring, Step
from ...model.size import u16
from ...model.state import Flag, Map, Number, State
from ...model.term import store
from .mutation import Mutation, breaks


class _A1(Ring):
    def has_room(self, s: State) -> Flag:
        return s.num_free > 0

    def add(self, s: State) -> Step:
        step = super().add(s)
        # Off the end of the list the walk goes on through next fields, so it ends at some descriptor.
        end = s.gat(s.free - self.segments)
        return replace(step, guard=z3.And(step.guard, end >= 0, end < self.queue_size))


class _A2(Ring):
    def walked(self, s: State, head: Number) -> Number:
        del s, head
        return z3.IntVal(1)


class _A5(Ring):
    def num_free_after_add(self, s: State, taken: Number) -> Number:
        return s.num_free - taken - 1


class _A6(Ring):
    def next_after_get(self, s: State, last: Number) -> Map:
        del last
        return s.next


class _A7(Ring):
    def used_head(self, s: State) -> Number:
        return self.size.slot(s.last_used_idx)


class _A13(Ring):
    def last_has_next(self) -> Flag:
        return z3.BoolVal(True)


class _B1(Ring):
    def avail_idx_after_add(self, s: State) -> Number:
        return self.size.slot(s.avail_idx + 1)


class _B3(Ring):
    def sees_used(self, s: State) -> Flag:
        return s.last_used_idx < s.used_idx


class _B5(Ring):
    def sees_used(self, s: State) -> Flag:
        return self.size.slot(s.last_used_idx) != self.size.slot(s.used_idx)


class _B6(Ring):
    def last_used_idx_after_get(self, s: State) -> Number:
        return s.last_used_idx + 1


class _B10(Ring):
    def avail_slot(self, avail_idx: Number) -> Number:
        return avail_idx % (self.queue_size + 1)


class _B11(Ring):
    def forces_kick(self, s: State) -> Flag:
        del s
        return z3.BoolVal(False)


class _B13(Ring):
    def sees_used(self, s: State) -> Flag:
        del s
        return z3.BoolVal(True)


class _D1(Ring):
    def need_event(self, event: Any, new: Any, old: Any, cut: Any = u16) -> Flag:
        del cut
        return new - event - 1 < new - old


class _D3(Ring):
    def used_event_after_get(self, s: State, last_used_idx: Number) -> Number:
        del last_used_idx
        return s.used_event


class _D14(Ring):
    def notifies_when_full(self) -> Flag:
        return z3.BoolVal(False)


class _X1(Ring):
    def num_added_after_kick(self, s: State) -> Number:
        return s.num_added


class _X2(Ring):
    def data_after_get(self, s: State, head: Number) -> Map:
        del head
        return s.data


class _X3(Ring):
    def num_free_after_get(self, s: State, walked: Number) -> Number:
        del walked
        return s.num_free + 1


class _X4(Ring):
    def taken(self, s: State) -> Number:
        several = z3.And(self.segments > 1, s.free > self.segments)
        return z3.If(several, self.segments + 1, self.segments)


class _X5(Ring):
    def get(self, s: State) -> Step:
        step = super().get(s)
        spoilt = store(s.used_ring, self.size.slot(u16(s.last_used_idx + 1)), self.queue_size)
        return replace(step, after=replace(step.after, used_ring=spoilt))


class _X6(Ring):
    def published_head(self, s: State, last: Number) -> Number:
        del s
        return last


class _X7(Ring):
    def is_good(self, s: State, head: Number) -> Flag:
        return z3.And(super().is_good(s, head), head != 0)


class _X8(Ring):
    def admits(self, queue_size: z3.BitVecRef) -> Flag:
        return z3.And(queue_size != 0, z3.ULE(queue_size, 1 << 15))


class _X9(Ring):
    def kick_needed(self, s: State) -> Flag:
        return z3.And(super().kick_needed(s), z3.Not(s.no_notify))


class _X10(Ring):
    def detached(self, s: State, head: Number) -> State:
        after, fresh = super().detached(s, head), self.initial()
        empty = after.free == self.queue_size

        def either(new: Map, old: Map) -> Map:
            return lambda index: z3.If(empty, new(index), old(index))

        return replace(
            after,
            free_head=z3.If(empty, fresh.free_head, after.free_head),
            next=either(fresh.next, after.next),
            gpos=either(fresh.gpos, after.gpos),
            gat=either(fresh.gat, after.gat),
        )


MUTANTS: dict[str, Mutation] = {
    "A1": breaks(_A1, "no-leak-no-double-allocation", "num-free-exact", "chain-well-formed"),
    "A2": breaks(_A2, "free-list-sound", "num-free-exact"),
    "A5": breaks(_A5, "num-free-exact", "accelerated-round"),
    "A6": breaks(_A6, "free-list-sound"),
    "A7": breaks(_A7, "device-reads-outstanding", "bad-ring-never", "token-returned-once"),
    "A13": breaks(_A13, "chain-well-formed"),
    "B1": breaks(_B1, "indices-faithful", "accelerated-round"),
    "B3": breaks(_B3, "indices-faithful"),
    "B5": breaks(_B5, "indices-faithful"),
    "B6": breaks(_B6, "indices-faithful", "accelerated-round"),
    "B10": breaks(_B10, "avail-slot-not-overwritten"),
    "B11": breaks(_B11, "forced-kick-sufficient"),
    "B13": breaks(
        _B13, "device-reads-outstanding", "bad-ring-never", "token-returned-once", "indices-faithful"
    ),
    "D1": breaks(_D1, "need-event-exact"),
    "D3": breaks(_D3, "callbacks-rearmed"),
    "D14": breaks(_D14, "full-ring-notifies"),
    "X1": breaks(_X1, "forced-kick-sufficient", "accelerated-round"),
    "X2": breaks(_X2, "token-returned-once"),
    "X3": breaks(_X3, "num-free-exact"),
    "X4": breaks(_X4, "no-leak-no-double-allocation"),
    "X5": breaks(_X5, "used-slot-not-overwritten"),
    "X6": breaks(_X6, "device-reads-outstanding"),
    "X7": breaks(_X7, "bad-ring-never"),
    "X8": breaks(_X8, "slot-injective"),
    "X9": breaks(_X9, "kick-follows-feature"),
    "X10": breaks(_X10, "accelerated-round"),
}
"""Every mutant of the catalog that the parametric model can express, by id."""
