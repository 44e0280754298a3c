"""The exported functions of the virtqueue: how each is called, which model steps it is, what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import z3

from ...model.steps.moment import Moment, Pc
from ...model.term import Step
from ..refinement.follower import Arrival, Event, Follower, Point
from .contents import LENT, VQ, cut, extend
from .lockstep import CURSOR, Lockstep
from .moments import NUMBER
from .state import State
from .words import Flag, Word, any_of, both, choose, equal, extract, no

EINVAL, ENOSPC = ((1 << 32) - number for number in (22, 28))


@dataclass(frozen=True)
class Function:
    """One function.

    ``starts``: with which of the model's steps it begins, at ``begins``; where it is over, ``ends``.
    ``live``: the device was not reset. ``given``: what else holds of the moment.
    """

    name: str
    linux: str
    title: str
    starts: tuple[str, ...]
    arguments: Callable[[Lockstep, State, Moment], list[Word]]
    returns: Callable[[Lockstep, State, Word], None]
    begins: Pc = Pc.IDLE
    ends: Pc = Pc.IDLE
    live: bool = True
    given: Callable[[Moment], Flag] = lambda _: True


class HandlerFollower(Follower):
    """Leads the interrupt handler, whose steps come at any place of the driver's."""

    def enabled(self, point: Point) -> list[tuple[str, Step[Moment]]]:
        """Return the handler's next step, if there is one."""
        name = "call_back" if point.taken else "handle"
        step = self.model.take(name, point.moment, self.choice)
        return [] if "call_back" in point.taken else [(name, step)]

    def lead(self, point: Point, *_: Any, **__: Any) -> Iterator[Arrival]:
        """Offer the next step, and the end unless a callback is to be called."""
        if point.taken:
            over = True if "call_back" in point.taken else z3.Not(point.moment.calling)
            yield Arrival(point.given(over))
        for name, step in self.enabled(point):
            yield Arrival(
                point.given(step.guard), Event.READ_USED_IDX if name == "handle" else Event.CALL_BACK, name
            )


# Arguments.


def _queue(lock: Lockstep, state: State, s: Moment) -> list[Word]:
    del lock, state, s
    return [VQ]


def _chain(lock: Lockstep, state: State, s: Moment) -> list[Word]:
    del state, s
    outs, ins = OUT, IN
    words = [lock.machine.argument(each, 32) for each in (outs, ins)]
    return [VQ, CURSOR, *words, lock.choice.token]


OUT, IN = z3.BitVec("out", 32), z3.BitVec("in", 32)
"""Of rp_vq_add: how many segments are to be read, and to be written."""


def _mark(lock: Lockstep, state: State, s: Moment) -> list[Word]:
    del state
    return [VQ, lock.machine.argument(cut(s.last_used_idx, 2), 16)]


def _outputs(lock: Lockstep, state: State, s: Moment) -> list[Word]:
    del lock, state, s
    return [VQ, LENT, LENT + 8]


# What is owed at return.


def _over(lock: Lockstep, state: State) -> Iterator[tuple[State, Moment, tuple[str, ...]]]:
    """Lead the model to the end of its operation, and owe that memory is what it says."""
    for there, arrival in lock.arrive(
        state, "the model's operation is over", lambda arrival: arrival.event is None
    ):
        lock.same(there, "at return")
        yield there, arrival.point.moment, arrival.point.taken


def _nothing(lock: Lockstep, state: State, result: Word) -> None:
    del result
    for _ in _over(lock, state):
        pass


def _flag(result: Word) -> Flag:
    """A C bool: its byte is 0 or 1; what lies above in the register means nothing."""
    return equal(extract(result, 0, 8), 1, 8)


def _is_flag(result: Word) -> Flag:
    byte = extract(result, 0, 8)
    return any_of(equal(byte, 0, 8), equal(byte, 1, 8))


def _truth(lock: Lockstep, state: State, result: Word, what: str, expected: Flag) -> None:
    lock.owe(state, f"result: {what}", both(_is_flag(result), _alike(_flag(result), expected)))


def _alike(one: Flag, other: Flag) -> Flag:
    if isinstance(one, bool):
        one, other = other, one
    if isinstance(other, bool):
        return one if other else no(one)
    return one == other


def _added(lock: Lockstep, state: State, result: Word) -> None:
    together = lock.together(state)
    code = extract(result, 0, 32)
    begun = lock.start
    if together.point.taken or not _may_be(lock, state, equal(code, EINVAL, 32)):
        for there, _, taken in _over(lock, state):
            expected = ENOSPC if taken[:1] == ("add_refused",) else 0
            lock.owe(there, "result: 0, or that there is no room", equal(code, expected, 32))
            if "add_in_table" not in taken and not together.refused:
                wanted = lock.model.take("add_in_table", begun, lock.choice).guard
                lock.owe(there, "a table is asked for where one is wanted", no(wanted))
        return
    names = [name for name in lock.follower.starts if not (together.refused and name == "add_in_table")]
    may = any_of(*(lock.model.take(name, begun, lock.choice).guard for name in names))
    lock.owe(state, "result: what is refused as an error is one", both(equal(code, EINVAL, 32), no(may)))
    lock.same(state, "after an error of the caller")


def _may_be(lock: Lockstep, state: State, condition: Flag) -> bool:
    return lock.machine.oracle.possible(state.path, condition)


def _need(lock: Lockstep, state: State, result: Word) -> None:
    for there, arrival in lock.arrive(
        state, "the model has decided", lambda arrival: arrival.event in (None, Event.NOTIFY)
    ):
        lock.same(there, "at return")
        _truth(lock, there, result, "whether to notify", arrival.event is Event.NOTIFY)


def _token(lock: Lockstep, state: State, result: Word) -> None:
    code = extract(result, 0, 32)
    for there, moment, taken in _over(lock, state):
        if taken[:1] == ("look_in_vain",):
            lock.owe(there, "result: 0 for nothing", equal(code, 0, 32))
            continue
        lock.owe(there, "result: 1 for a token", equal(code, 1, 32))
        given = there.memory.load(LENT, 8)
        lock.owe(there, "result: the token is the chain's", equal(given, moment.result, 64))
        slot = lock.model.size.slot(moment.last_used - 1)
        length: Word = lock.contents.used_lengths[-1]
        for i, each in enumerate(lock.contents.used_lengths[:-1]):
            length = choose(slot == i, each, length, 32)
        read = there.memory.load(LENT + 8, 4)
        lock.owe(there, "result: the length is the element's", equal(read, length, 32))
        if "rearm" in taken and "armed" not in lock.together(there).fences:
            lock.owe(there, "a full fence between used_event and the next look at used.idx", False)


def _mark_of(lock: Lockstep, state: State, result: Word) -> None:
    for there, moment, _ in _over(lock, state):
        lock.owe(
            there, "result: a mark for poll", equal(extract(result, 0, 16), cut(moment.last_used_idx, 2), 16)
        )


def _late(lock: Lockstep, state: State, result: Word) -> None:
    late = lock.together(state).late
    for there, _, _ in _over(lock, state):
        _truth(lock, there, result, "whether something was used since", late)


def _in_time(lock: Lockstep, state: State, result: Word) -> None:
    late = lock.together(state).late
    for there, _, _ in _over(lock, state):
        _truth(lock, there, result, "false if it is too late", no(late))


def _ours(lock: Lockstep, state: State, result: Word) -> None:
    for there, _, taken in _over(lock, state):
        _truth(lock, there, result, "true if it is ours", "call_back" in taken)


def _unused(lock: Lockstep, state: State, result: Word) -> None:
    for there, moment, _ in _over(lock, state):
        lock.owe(there, "result: the token of the chain taken back", equal(result, moment.result, 64))


def segments() -> Word:
    """How many segments rp_vq_add is asked to add: a sum that does not wrap."""
    return extend(OUT, NUMBER) + extend(IN, NUMBER)


FUNCTIONS = {
    function.name: function
    for function in (
        Function(
            "rp_vq_add", "virtqueue_add", "adds the chain that was asked for, or refuses",
            ("add_in_table", "add_in_ring", "add_refused"), _chain, _added,
        ),
        Function(
            "rp_vq_kick_prepare", "virtqueue_kick_prepare", "tells whether the device wants to know",
            ("begin_kick",), _queue, _need,
        ),
        Function(
            "rp_vq_kick", "virtqueue_kick", "notifies the device if it wants to know",
            ("begin_kick",), _queue, _nothing,
        ),
        Function(
            "rp_vq_get_buf", "virtqueue_get_buf", "takes the next completed chain back",
            ("look", "look_in_vain"), _outputs, _token,
        ),
        Function(
            "rp_vq_disable_cb", "virtqueue_disable_cb", "asks for no more interrupts",
            ("disable_cb",), _queue, _nothing,
        ),
        Function(
            "rp_vq_enable_cb_prepare", "virtqueue_enable_cb_prepare", "asks for interrupts again",
            ("enable_cb",), _queue, _mark_of, ends=Pc.POLL,
        ),
        Function(
            "rp_vq_poll", "virtqueue_poll", "tells whether something was used since the mark",
            ("poll",), _mark, _late, begins=Pc.POLL, given=lambda s: z3.Not(s.delayed),
        ),
        Function(
            "rp_vq_enable_cb", "virtqueue_enable_cb", "asks for interrupts again, and looks once more",
            ("enable_cb",), _queue, _in_time,
        ),
        Function(
            "rp_vq_enable_cb_delayed", "virtqueue_enable_cb_delayed",
            "asks for an interrupt after three quarters of what is in flight",
            ("enable_cb_delayed",), _queue, _in_time,
        ),
        Function(
            "rp_vq_interrupt", "vring_interrupt", "calls the callback if something was used",
            ("handle",), _queue, _ours, given=lambda s: s.handling,
        ),
        Function(
            "rp_vq_detach_unused_buf", "virtqueue_detach_unused_buf",
            "takes a chain back that never was completed", ("scan",), _queue, _unused, live=False,
        ),
    )
}  # fmt: skip
"""Each function that is a sequence of the model's steps, by name."""
