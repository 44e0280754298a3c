"""The step-wise model, led along beside code that runs.

Code does in one breath what the model does in several steps. Most steps are *silent*: nobody else can tell
when they happen. The others make an ``Event``: an access that device or interrupt handler can tell, or a
call of what surrounds the driver. Where code makes an event, the model is led to the step that makes it,
and takes it; where code returns or comes to a loop, the model is led there, too. Which step comes next, its
guard decides; where two may come the way forks, and that one of them is enabled is something to be shown.

Before each event that reads what others write, these have had their turn: ``interfered`` makes their fields
new, and the invariants, which every step of theirs keeps, are assumed of the moment anew.

Knows no kind of code, and no kind of number: the fields of a moment are Z3's integers or bit-vectors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache
from typing import Any

import z3

from ...model.size import EverySize
from ...model.steps.moment import Choice, Moment, Pc, unknown
from ...model.steps.queue import DEVICE, DRIVER, HANDLER, Steps
from ...model.term import Flag, Step, both, no


class Event(Enum):
    """What somebody else can tell, or answers."""

    ALLOCATE = "a table is allocated"
    RELEASE = "a table is released"
    READ_USED_IDX = "used.idx is read"
    READ_ELEMENT = "the id of a used element is read"
    READ_WISH = "avail_event or used.flags is read"
    READ_WANTED = "whether callbacks are on is read"
    WRITE_AVAIL_IDX = "avail.idx is written"
    WRITE_AVAIL_FLAGS = "avail.flags is written"
    WRITE_USED_EVENT = "used_event is written"
    NOTIFY = "the device is notified"
    CALL_BACK = "the callback is called"


LOOPS = (Pc.TABLE, Pc.FILL, Pc.WALK, Pc.SCAN)
"""Where the model stands in a loop, and takes one step a round."""

_ROUNDS = frozenset({"fill_entry", "fill_descriptor", "walk", "scan_on"})

_EVENTS: dict[str, Event] = {
    "add_in_table": Event.ALLOCATE,
    "publish": Event.WRITE_AVAIL_IDX,
    "retract": Event.WRITE_AVAIL_IDX,
    "decide": Event.READ_WISH,
    "notify": Event.NOTIFY,
    "look": Event.READ_USED_IDX,
    "look_in_vain": Event.READ_USED_IDX,
    "poll": Event.READ_USED_IDX,
    "handle": Event.READ_USED_IDX,
    "read_element": Event.READ_ELEMENT,
    "ask": Event.READ_WANTED,
    "rearm": Event.WRITE_USED_EVENT,
    "call_back": Event.CALL_BACK,
}


@dataclass(frozen=True)
class Point:
    """How far the model has come: its moment, the conditions of the way there, and the steps taken."""

    moment: Moment
    path: tuple[z3.BoolRef, ...] = ()
    taken: tuple[str, ...] = ()

    def given(self, *conditions: Flag) -> "Point":
        """Return the point under further conditions."""
        return replace(self, path=(*self.path, *(each for each in conditions if each is not True)))


@dataclass(frozen=True)
class Arrival:
    """Where silent steps have led.

    ``event`` is what the step ``name`` makes, which is enabled and not taken yet; without one the model
    stands at ``stop``, or its operation is over.
    """

    point: Point
    event: Event | None = None
    name: str = ""


class Follower:
    """Leads a model of one operation, which begins with one of the steps ``starts``.

    ``ends`` is where the operation is over: Pc.IDLE, but for enable_cb_prepare, which leaves off at
    Pc.POLL. ``feasible`` tells whether a way can be gone. ``rounds`` is how many rounds of a loop are gone
    at a time, for code whose loops are cut: ways with more are left out, so whoever asks has to show that
    there are none.
    """

    def __init__(
        self,
        model: Steps,
        choice: Choice,
        starts: Sequence[str],
        ends: Pc = Pc.IDLE,
        feasible: Callable[[tuple[z3.BoolRef, ...]], bool] = lambda _: True,
        rounds: int | None = None,
    ) -> None:
        self.model = model
        self.choice = choice
        self.starts = tuple(starts)
        self.ends = ends
        self.feasible = feasible
        self.rounds = rounds

    def enabled(self, point: Point) -> list[tuple[str, Step[Moment]]]:
        """Return the steps that may come, each with its guard still to be assumed; none after the end."""
        if point.taken and point.moment.pc == self.ends:
            return []
        names = self.starts if not point.taken else _FROM[Pc(int(point.moment.pc))]
        steps = ((name, self.model.take(name, point.moment, self.choice)) for name in names)
        return [(name, step) for name, step in steps if step.guard is not False]

    def lead(
        self, point: Point, stop: Sequence[Pc] = (), *, least: int = 0, gone: int = 0
    ) -> Iterator[Arrival]:
        """Take silent steps up to an event, to one of the places ``stop``, or to the end.

        At ``stop`` only after ``least`` steps, ``gone`` rounds of loops already. That the arrivals which are
        wanted are all there are is for the caller to show.
        """
        if least <= 0 and point.moment.pc in stop and (point.taken or not self.starts):
            yield Arrival(point)
            return
        steps = self.enabled(point)
        if not steps:
            yield Arrival(point)
            return
        for name, step in steps:
            more = gone + (name in _ROUNDS)
            if self.rounds is not None and more > self.rounds:
                continue
            here = point.given(step.guard)
            for event, condition in self.events(name, point.moment):
                if condition is False:
                    continue
                there = here.given(condition)
                forks = len(steps) > 1 or condition is not True
                if forks and not self.feasible(there.path):
                    continue
                if event is not None:
                    yield Arrival(there, event, name)
                    continue
                for after in self.take(there, name):
                    yield from self.lead(after, stop, least=least - 1, gone=more)

    def take(self, point: Point, name: str) -> Iterator[Point]:
        """Take one step, whose guard is among the point's conditions; the ways fork where it leads to two."""
        after = self.model.take(name, point.moment, self.choice).after
        for condition, moment in _settled(after):
            there = replace(point.given(condition), moment=moment, taken=(*point.taken, name))
            if condition is True or self.feasible(there.path):
                yield there

    def events(self, name: str, s: Moment) -> list[tuple[Event | None, Flag]]:
        """Return the events that a step makes at a moment, or none, each with the condition under which."""
        if name == "detach":
            freed = s.indirect(s.head)
            return [(Event.RELEASE, freed), (None, no(freed))]
        if name in ("disable_cb", "enable_cb", "enable_cb_delayed"):
            writes = self.model.switches_flags()
            return [(Event.WRITE_AVAIL_FLAGS, writes), (None, no(writes))]
        if name == "arm":
            writes = self.model.writes_used_event()
            return [(Event.WRITE_USED_EVENT, writes), (None, no(writes))]
        return [(_EVENTS.get(name), True)]


def interfered(moment: Moment, mark: str) -> Moment:
    """Return the moment after others had their turn: what they may change is anything, named with ``mark``.

    Only the invariants say more of it; whoever asks for the moment has to assume these.
    """
    fresh = unknown(Moment)
    return replace(moment, **{name: _renamed(getattr(fresh, name), mark) for name in theirs()})


def changed_by(model: Steps, moment: Moment, choice: Choice, names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that any of these steps may change."""
    afters = [model.take(name, moment, choice).after for name in names]
    return tuple(
        field.name
        for field in fields(Moment)
        if any(getattr(after, field.name) is not getattr(moment, field.name) for after in afters)
    )


def renewed(moment: Moment, names: Sequence[str], mark: str) -> Moment:
    """Return the moment with these fields anything, named with ``mark``; ``pc`` stays."""
    fresh = unknown(Moment)
    return replace(moment, **{name: _renamed(getattr(fresh, name), mark) for name in names if name != "pc"})


@cache
def theirs() -> tuple[str, ...]:
    """Return the fields that device and interrupt handler may change."""
    moment, choice = unknown(Moment), unknown(Choice)
    return changed_by(Steps(EverySize()), moment, choice, (*HANDLER, *DEVICE))


def round_of(pc: Pc) -> tuple[str, ...]:
    """Return the steps that stay in the loop of that place."""
    return {
        Pc.TABLE: ("fill_entry",),
        Pc.FILL: ("fill_descriptor",),
        Pc.WALK: ("walk",),
        Pc.SCAN: ("scan_on",),
    }[pc]


def _renamed(symbol: Any, mark: str) -> Any:
    """Return a symbol like this one under another name."""
    if isinstance(symbol, z3.FuncDeclRef):
        sorts = [symbol.domain(i) for i in range(symbol.arity())]
        return z3.Function(f"{symbol.name()}{mark}", *sorts, symbol.range())
    return z3.Const(f"{symbol.decl().name()}{mark}", symbol.sort())


def _settled(moment: Moment) -> Iterator[tuple[Flag, Moment]]:
    """Yield the moment with its pc known, by case."""
    for condition, pc in _cases(moment.pc):
        yield condition, replace(moment, pc=pc)


def _cases(pc: Any) -> list[tuple[Flag, Pc]]:
    if isinstance(pc, int):
        return [(True, Pc(pc))]
    if z3.is_int_value(pc) or z3.is_bv_value(pc):
        return [(True, Pc(pc.as_long()))]
    if z3.is_app_of(pc, z3.Z3_OP_ITE):
        condition, then, otherwise = pc.children()
        return [
            *((both(condition, more), place) for more, place in _cases(then)),
            *((both(z3.Not(condition), more), place) for more, place in _cases(otherwise)),
        ]
    raise ValueError(f"the model's pc is not known: {pc}")


def _leaving() -> dict[Pc, tuple[str, ...]]:
    """Return the driver's steps by the place where they are taken; without those that begin an operation."""
    model, choice, moment = Steps(EverySize()), unknown(Choice), unknown(Moment)
    begins = [
        name for name in DRIVER if model.take(name, replace(moment, pc=Pc.IDLE), choice).guard is not False
    ]
    return {
        pc: tuple(
            name
            for name in DRIVER
            if name not in begins and model.take(name, replace(moment, pc=pc), choice).guard is not False
        )
        for pc in Pc
    }


_FROM = _leaving()
