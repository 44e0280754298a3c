"""What the model says of one call: its steps taken in plain numbers, and what memory holds before and after.

A solver's model says what everything is as the call begins, and what others write in their turns. From there
the steps are computed, not asked for: what is expected of the code owes nothing to the code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import z3

from ...model.size import Plain
from ...model.steps.invariants import assumed
from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import Steps
from .c_contents import (
    contents,
    flags_beside,
    has_table,
    queue_index,
    setting,
    table_contents,
    used_length,
    virtual,
    word,
)
from .c_operations import EINVAL, ENOSPC, Operation
from .follower import Arrival, Event, Follower, Point, theirs

Value = Callable[[Any], Any]
"""What a solver's model says a term is: an int or a bool."""

MANY = 64
"""Chains of more segments are not gone through."""


def value_of(model: z3.ModelRef) -> Value:
    """Return what tells the values of terms, symbols of which the model says nothing included."""

    def value(term: Any) -> Any:
        if not isinstance(term, z3.ExprRef):
            return term
        found = model.eval(term.translate(model.ctx), model_completion=True)
        return z3.is_true(found) if z3.is_bool(found) else found.as_long()

    return value


def plain_record(record: Any, value: Value) -> Any:
    """Return a moment or choice in plain numbers: its maps are functions of ints."""

    def of(part: Any) -> Any:
        return cache(lambda *at: value(part(*map(z3.IntVal, at)))) if callable(part) else value(part)

    return replace(record, **{each.name: of(getattr(record, each.name)) for each in fields(record)})


@dataclass
class Expected:
    """What the model says of a call, in plain numbers.

    ``reads``: words that others write, in the order they are read, with what was read. ``told``: what
    surroundings hear, in order. ``result``: what is returned, if anything. ``before`` and ``after`` are
    moments. ``disturbed``: others wrote something between two reads that no memory can hold from the start.
    """

    before: Moment
    after: Moment
    result: int | None = None
    outputs: dict[str, int] = field(default_factory=dict)
    reads: list[tuple[str, int]] = field(default_factory=list)
    told: list[list[Any]] = field(default_factory=list)
    disturbed: bool = False


class Unfollowed(Exception):  # noqa: N818 - the name says it
    """The model's steps can't be taken in plain numbers from here; the message says why."""


def plain_model(queue_size: int, value: Value) -> Steps:
    """Return the model of the setting that a solver's model has found."""
    flags = {name: bool(value(z3.Bool(name))) for name in ("event_idx", "indirect_desc", "mended")}
    return Steps(Plain(queue_size), **flags)


def expected(
    operation: Operation,
    model: Steps,
    start: Moment,
    choice: Choice,
    turns: Sequence[Moment],
    memory: bool,
    value: Value,
) -> Expected:
    """Take the steps of an operation from a moment in plain numbers.

    ``turns`` are moments whose fields of others come into being at the reads after the first; one that the
    invariants don't allow here is left out, with those after it. ``memory``: whether there is some for a
    table. Raises Unfollowed where no step can be taken.
    """
    found = Expected(start, start)
    return _Walk(operation, model, choice, list(turns), value, found).go(memory)


class _Walk:
    def __init__(
        self,
        operation: Operation,
        model: Steps,
        choice: Choice,
        turns: list[Moment],
        value: Value,
        found: Expected,
    ) -> None:
        self.operation, self.model, self.choice = operation, model, choice
        self.turns, self.value, self.found = turns, value, found
        self.late: bool | None = None

    def go(self, memory: bool) -> Expected:
        found, adds = self.found, "add_refused" in self.operation.starts
        starts = self._starts(memory) if adds else self.operation.starts
        if adds and not starts:
            found.result = EINVAL
            return found
        if adds and self.choice.segments > MANY:
            raise Unfollowed(f"a chain of {self.choice.segments} segments is too long to be gone through")
        follower = self.operation.follower(self.model, self.choice, _Nothing())  # type: ignore[arg-type]
        follower.starts, follower.rounds = tuple(starts), None
        point = Point(found.before)
        while True:
            arrival = self._next(follower, point)
            if arrival.event is None:
                break
            if arrival.event is Event.NOTIFY and self.operation.function == "rp_vq_kick_prepare":
                break
            if arrival.event.name.startswith("READ"):
                point = self._disturbed(point)
                arrival = self._next(follower, point)
            self._note(arrival)
            point = next(iter(follower.take(arrival.point, arrival.name)))
        found.after = arrival.point.moment
        self._returned(arrival)
        return found

    def _starts(self, memory: bool) -> tuple[str, ...]:
        """Return with which steps an add begins: the one with a table, if that is what is to be tried."""
        may = {
            name: self.model.take(name, self.found.before, self.choice).guard
            for name in self.operation.starts
        }
        if memory and may["add_in_table"] and self.choice.segments <= 65536:
            return ("add_in_table",)
        return tuple(name for name, guard in may.items() if guard and name != "add_in_table")

    def _next(self, follower: Follower, point: Point) -> Arrival:
        arrivals = [each for each in follower.lead(point) if _holds(each.point.path)]
        if len(arrivals) != 1:
            raise Unfollowed(f"of the model's steps {len(arrivals)} may come after {' '.join(point.taken)}")
        return arrivals[0]

    def _disturbed(self, point: Point) -> Point:
        """Let others have had their turn, at reads after the first."""
        first = not self.found.reads and not any(name.startswith("fill") for name in point.taken)
        if first or not self.turns or point.moment.live is False:
            return point
        turn = self.turns.pop(0)
        moment = replace(point.moment, **{name: getattr(turn, name) for name in theirs()})
        if not all(assumed(self.model, moment).values()):
            self.turns.clear()
            return point
        for name in ("no_interrupt", "wanted"):
            self.found.disturbed |= getattr(moment, name) != getattr(point.moment, name)
        return replace(point, moment=moment)

    def _note(self, arrival: Arrival) -> None:
        """Note what the next step reads or tells."""
        s, found = arrival.point.moment, self.found
        slot = self.model.size.slot(s.last_used_idx)
        match arrival.event:
            case Event.READ_USED_IDX:
                found.reads.append(("used.idx", s.used_idx))
                if arrival.name == "poll":
                    self.late = self.model.is_late(s)
            case Event.READ_ELEMENT:
                found.reads.append((f"used.id[{slot}]", s.used_ring(slot)))
            case Event.READ_WISH if self.model.event_idx:
                found.reads.append((f"used.avail_event[{self.model.queue_size}]", s.avail_event))
            case Event.READ_WISH:
                found.reads.append(("used.flags", word(s.no_notify, 1) + 2 * self.value(flags_beside)))
            case Event.ALLOCATE:
                found.told.append(["allocate", 16 * self.choice.segments])
            case Event.RELEASE:
                table = s.addr(s.head)
                found.told.append(["release", self.value(virtual(z3.IntVal(table))), 16 * s.size(table)])
            case Event.NOTIFY:
                found.told.append(["notify", self.value(queue_index)])
            case Event.CALL_BACK:
                found.told.append(["callback"])

    def _returned(self, arrival: Arrival) -> None:
        """Note what the function returns."""
        s, taken, found = arrival.point.moment, arrival.point.taken, self.found
        match self.operation.function:
            case "rp_vq_add":
                found.result = ENOSPC if taken[:1] == ("add_refused",) else 0
            case "rp_vq_kick_prepare":
                found.result = int(arrival.event is Event.NOTIFY)
            case "rp_vq_get_buf":
                found.result = int(taken[:1] != ("look_in_vain",))
                if found.result:
                    slot = self.model.size.slot(s.last_used - 1)
                    found.outputs = {"token": s.result, "length": self.value(used_length(z3.IntVal(slot)))}
            case "rp_vq_enable_cb_prepare":
                found.result = s.last_used_idx
            case "rp_vq_poll":
                found.result = int(bool(self.late))
            case "rp_vq_enable_cb" | "rp_vq_enable_cb_delayed":
                found.result = int(not self.late)
            case "rp_vq_interrupt":
                found.result = int("call_back" in taken)
            case "rp_vq_detach_unused_buf":
                found.result = s.result


class _Nothing:
    """Stands in for memory: in plain numbers a way can be gone if its conditions hold."""

    @staticmethod
    def feasible(path: Sequence[Any]) -> bool:
        """Return whether it can."""
        return _holds(path)


def _holds(path: Sequence[Any]) -> bool:
    return all(z3.is_true(z3.simplify(each)) if isinstance(each, z3.ExprRef) else each for each in path)


def memory_at(model: Steps, s: Moment, value: Value) -> dict[str, dict[str, Any]]:
    """Return what memory holds at a moment, by object and field, arrays as lists.

    The size of a table is none at heads without one: it may be anything there.
    """
    count = model.queue_size
    held: dict[str, dict[str, Any]] = {}
    for (made, name), content in {**contents(model, s), **setting(model)}.items():
        if not callable(content):
            held.setdefault(made, {})[name] = int(value(content))
            continue
        cells: list[int | None] = [int(value(content(i))) for i in range(count + (name == "ring"))]
        if name == "table_bytes":
            cells = [each if value(has_table(s, h)) else None for h, each in enumerate(cells)]
        held.setdefault(made, {})[name] = cells
    return held


def used_at(model: Steps, s: Moment, value: Value) -> dict[str, Any]:
    """Return what the device's words are at a moment."""
    slots = range(model.queue_size)
    return {
        "flags": word(s.no_notify, 1) + 2 * value(flags_beside),
        "idx": s.used_idx,
        "id": [s.used_ring(i) for i in slots],
        "len": [value(used_length(z3.IntVal(i))) for i in slots],
        "avail_event": [s.avail_event],
    }


def table_at(s: Moment) -> dict[str, list[int]]:
    """Return what the table of the chain that was added holds."""
    return {name: [int(content(i)) for i in range(s.segments)] for name, content in table_contents(s).items()}


__all__ = ["Expected", "Pc", "Unfollowed", "expected", "memory_at", "plain_model", "plain_record", "value_of"]
