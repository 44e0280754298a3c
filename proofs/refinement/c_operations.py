"""The functions of virtqueue.c: how each is called, which steps of the model it is, and what it returns.

A function is called at any moment at which the model may begin the operation. Errors of the caller (no
token, no segments, more than ever fit) are no steps of the model: the function has to say so and to change
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import z3

from ...model.steps.moment import Choice, Moment, Pc, unknown
from ...model.steps.queue import Steps
from ...model.term import Step
from ..symbolic.ir import Place
from ..symbolic.state import State
from ..symbolic.values import NULL, Field, Object, Opaque, Pointer, plain
from .c_contents import used_length
from .c_cutting import CURSOR
from .c_lockstep import Lockstep
from .c_memory import Memory
from .follower import Arrival, Event, Follower, Point

EINVAL, ENOSPC, EBROKEN = ((1 << 32) - number for number in (22, 28, 5))
"""What the functions return, read without sign."""

Arguments = Callable[[Memory, State, Choice, Moment], list[Any]]
Returns = Callable[[Lockstep, State, Any, Place], None]


@dataclass(frozen=True)
class Operation:
    """A function, and the steps of the model it takes.

    ``starts``: with which steps the operation begins, at ``begins``; where it is over, ``ends``. ``live``:
    whether the device was not reset. ``given``: further conditions under which the function is called.
    """

    function: str
    linux: str
    title: str
    statement: str
    starts: tuple[str, ...]
    arguments: Arguments
    returns: Returns
    begins: Pc = Pc.IDLE
    ends: Pc = Pc.IDLE
    live: bool = True
    callback: bool = True
    given: Callable[[Steps, Choice, Moment], tuple[z3.BoolRef, ...]] = lambda *_: ()
    broken_by: tuple[str, ...] = ()

    def moment(self) -> Moment:
        """Return any moment at which the function may be called."""
        moment: Moment = unknown(Moment)
        return replace(moment, pc=self.begins, live=self.live)

    def follower(self, model: Steps, choice: Choice, memory: Memory) -> Follower:
        """Return who leads the model."""
        kind = _HandlerFollower if self.starts == ("handle",) else Follower
        return kind(model, choice, self.starts, self.ends, memory.feasible, rounds=1)


class _HandlerFollower(Follower):
    """Leads the interrupt handler, which is not at a place of the driver's."""

    def enabled(self, point: Point) -> list[tuple[str, Step[Moment]]]:
        """Return the handler's next step."""
        name = "handle" if not point.taken else "call_back"
        if name in point.taken:
            return []
        step = self.model.take(name, point.moment, self.choice)
        return [(name, step)]

    def lead(self, point: Point, stop: Any = (), *, least: int = 0, gone: int = 0) -> Any:
        """Offer the next step, and the end unless there is a callback to be called."""
        del stop, least, gone
        if point.taken:
            over = z3.Not(point.moment.calling) if "call_back" not in point.taken else True
            yield Arrival(point.given(over))
        for name, step in self.enabled(point):
            event = Event.READ_USED_IDX if name == "handle" else Event.CALL_BACK
            yield Arrival(point.given(step.guard), event, name)


# What is owed when a function returns.


def _over(lock: Lockstep, state: State, place: Place) -> list[tuple[State, Moment, tuple[str, ...]]]:
    """Lead the model to the end of its operation, and owe that memory is what it says."""
    found = []
    for there, arrival in lock.arrive(
        state, place, "the model's operation is over", lambda arrival: arrival.event is None
    ):
        lock.same(there, place, "at return")
        found.append((there, arrival.point.moment, arrival.point.taken))
    return found


def _returns_nothing(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    del result
    _over(lock, state, place)


def _returns_added(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    if lock.together(state).point.taken or plain(result) != EINVAL:
        for there, _, taken in _over(lock, state, place):
            expected = ENOSPC if taken[:1] == ("add_refused",) else 0
            lock.record(there, "result", "0, or that there is no room", place, result == expected)
        return
    together = lock.together(state)
    begun = together.point
    starts = [name for name in lock.follower.starts if not (together.refused and name == "add_in_table")]
    may = [lock.model.take(name, begun.moment, lock.choice).guard for name in starts]
    if "add_in_table" in starts:  # The model has no table of more entries: their links have 16 bits.
        may[starts.index("add_in_table")] = z3.And(
            may[starts.index("add_in_table")], lock.choice.segments <= 65536
        )
    lock.record(state, "result", "what is refused as an error is one", place, z3.Not(z3.Or(may)))
    lock.same(state, place, "after an error of the caller")


def _returns_need(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    for there, arrival in lock.arrive(
        state,
        place,
        "the model has decided",
        lambda arrival: arrival.event in (None, Event.NOTIFY),
    ):
        lock.same(there, place, "at return")
        needed = arrival.event is Event.NOTIFY
        lock.record(there, "result", "whether to notify", place, _flag(result) == needed)


def _returns_token(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    for there, moment, taken in _over(lock, state, place):
        if taken[:1] == ("look_in_vain",):
            lock.record(there, "result", "0 for nothing", place, result == 0)
            continue
        lock.record(there, "result", "1 for a token", place, result == 1)
        token, length = there.extra["out"]
        given = there.read(token, "value")
        term = given.term if isinstance(given, Opaque) else given
        lock.record(there, "result", "the token is the chain's", place, term == moment.result)
        slot = lock.model.size.slot(moment.last_used - 1)
        read = there.read(length, "value")
        lock.record(there, "result", "the length is the element's", place, read == used_length(slot))
        if "rearm" in taken:
            what = "a full fence between used_event and the next look at used.idx"
            lock.ordered(there, place, "armed", what)


def _returns_mark(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    for there, moment, _ in _over(lock, state, place):
        lock.record(there, "result", "a mark for poll", place, result == moment.last_used_idx)


def _returns_late(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    late = lock.together(state).late
    for there, _, _ in _over(lock, state, place):
        lock.record(there, "result", "whether something was used since", place, _flag(result) == late)


def _returns_in_time(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    late = lock.together(state).late
    for there, _, _ in _over(lock, state, place):
        lock.record(there, "result", "false if it is too late", place, _flag(result) == z3.Not(late))


def _returns_ours(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    for there, _, taken in _over(lock, state, place):
        ours = "call_back" in taken
        lock.record(there, "result", "true if it is ours", place, _flag(result) == ours)


def _returns_unused(lock: Lockstep, state: State, result: Any, place: Place) -> None:
    for there, moment, _ in _over(lock, state, place):
        token = 0 if result == NULL else result.term if isinstance(result, Opaque) else result
        lock.record(there, "result", "the token of the chain taken back", place, token == moment.result)


def _flag(result: Any) -> Any:
    """A C bool, whichever way it is returned."""
    return result if isinstance(result, bool | z3.BoolRef) else result == 1


# Arguments.


def _queue(memory: Memory, state: State, choice: Choice, moment: Moment) -> list[Any]:
    del state, choice, moment
    return [Pointer(memory.vq)]


def _chain(memory: Memory, state: State, choice: Choice, moment: Moment) -> list[Any]:
    del moment
    outs, ins = choice.outs, choice.segments - choice.outs
    state.within(choice.outs, 0, (1 << 32) - 1)
    state.within(ins, 0, (1 << 32) - 1)
    state.within(choice.segments, 0, (1 << 32) - 1)
    state.within(choice.token, 0, (1 << 64) - 1)
    return [Pointer(memory.vq), Opaque(CURSOR), outs, ins, Opaque(choice.token)]


def _outputs(memory: Memory, state: State, choice: Choice, moment: Moment) -> list[Any]:
    del choice, moment
    token = Object("token", (Field("value", 0, 8, kind="pointer"),))
    length = Object("length", (Field("value", 0, 4),))
    state.extra["out"] = (token, length)
    at_token = state.add(token, lambda _: Opaque(z3.Int("token before")))
    return [Pointer(memory.vq), at_token, state.add(length, lambda _: z3.Int("length before"))]


def _mark(memory: Memory, state: State, choice: Choice, moment: Moment) -> list[Any]:
    del state, choice
    return [Pointer(memory.vq), moment.last_used_idx]


OPERATIONS = (
    Operation(
        "rp_vq_add",
        "virtqueue_add",
        "adds the chain that was asked for, or refuses",
        "For any lists of segments and any token, with and without memory for a table.",
        ("add_in_table", "add_in_ring", "add_refused"),
        _chain,
        _returns_added,
        broken_by=("A1", "A13", "A5", "B1", "B10", "B11", "D14", "X4", "X6"),
    ),
    Operation(
        "rp_vq_kick_prepare",
        "virtqueue_kick_prepare",
        "tells whether the device wants to know",
        "By event index, or by the flag, whatever the device writes meanwhile.",
        ("begin_kick",),
        _queue,
        _returns_need,
        broken_by=("D1", "X1", "X9"),
    ),
    Operation(
        "rp_vq_notify",
        "virtqueue_notify",
        "notifies the device",
        "Once, with the queue's index.",
        ("notify",),
        _queue,
        _returns_nothing,
        begins=Pc.NOTIFY,
    ),
    Operation(
        "rp_vq_kick",
        "virtqueue_kick",
        "notifies the device if it wants to know",
        "Just when kick_prepare says so.",
        ("begin_kick",),
        _queue,
        _returns_nothing,
        broken_by=("D1", "X1", "X9"),
    ),
    Operation(
        "rp_vq_get_buf",
        "virtqueue_get_buf",
        "takes the next completed chain back",
        "Its token and length; the chain goes on top of the free list, its table is released.",
        ("look", "look_in_vain"),
        _outputs,
        _returns_token,
        broken_by=("A2", "A6", "A7", "B13", "B3", "B6", "D3", "X10", "X2", "X3", "X5", "X7"),
    ),
    Operation(
        "rp_vq_disable_cb",
        "virtqueue_disable_cb",
        "asks for no more interrupts",
        "By avail.flags, as far as the profile writes them.",
        ("disable_cb",),
        _queue,
        _returns_nothing,
    ),
    Operation(
        "rp_vq_enable_cb_prepare",
        "virtqueue_enable_cb_prepare",
        "asks for interrupts again",
        "At the next completion; the mark it returns is last_used_idx.",
        ("enable_cb",),
        _queue,
        _returns_mark,
        ends=Pc.POLL,
    ),
    Operation(
        "rp_vq_poll",
        "virtqueue_poll",
        "tells whether something was used since the mark",
        "For the mark of enable_cb_prepare, with nothing taken back since.",
        ("poll",),
        _mark,
        _returns_late,
        begins=Pc.POLL,
        given=lambda _, __, s: (z3.Not(s.delayed),),
    ),
    Operation(
        "rp_vq_enable_cb",
        "virtqueue_enable_cb",
        "asks for interrupts again, and looks once more",
        "False just when something was used that no interrupt will announce.",
        ("enable_cb",),
        _queue,
        _returns_in_time,
    ),
    Operation(
        "rp_vq_enable_cb_delayed",
        "virtqueue_enable_cb_delayed",
        "asks for an interrupt after three quarters of what is in flight",
        "False just when more than that was used.",
        ("enable_cb_delayed",),
        _queue,
        _returns_in_time,
    ),
    Operation(
        "rp_vq_interrupt",
        "vring_interrupt",
        "calls the callback if something was used",
        "And says whether the interrupt was the queue's.",
        ("handle",),
        _queue,
        _returns_ours,
        given=lambda _, __, s: (s.handling,),
    ),
    Operation(
        "rp_vq_detach_unused_buf",
        "virtqueue_detach_unused_buf",
        "takes a chain back that never was completed",
        "After a reset: the first one that has a token, or nothing.",
        ("scan",),
        _queue,
        _returns_unused,
        live=False,
        broken_by=("A2", "A6", "X2", "X3"),
    ),
)
"""Each function that is a sequence of the model's steps."""
