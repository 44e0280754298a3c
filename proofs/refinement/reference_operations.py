"""The operations of the reference's virtqueue: how each is called, and what the model says of its result."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from errno import EINVAL, ENOSPC
from types import ModuleType
from typing import Any

import z3

from ...model.size import OneSize
from ...model.steps.invariants import assumed
from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import Steps
from .explorer import Exploration, Run, explore
from .reference_invariants import any_moment, instances, term_like, widths
from .reference_lockstep import Lockstep
from .reference_object import attributes, is_token, kept, made, private_differences
from .symbolic_int import SymbolicInt, term_of
from .symbolic_ring import Token

Expected = list[tuple[str, Any]]
"""What the model says of a result, in words and as a flag."""


@dataclass(frozen=True)
class Call:
    """A call of one operation, and where it starts.

    ``does`` calls it and returns its result; ``expects`` says what the result is by the model, which has come
    to the end. ``given`` narrows the start down. ``arguments`` are what a counterexample has to tell.
    """

    name: str
    starts: tuple[str, ...]
    does: Callable[[Any, Lockstep], Any]
    expects: Callable[[Lockstep, Any], Expected]
    start: dict[str, Any] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    ends: Pc = Pc.IDLE
    given: Callable[[Moment, Choice], dict[str, Any]] = lambda _, __: {}
    arguments: dict[str, Any] = field(default_factory=dict)
    handler: bool = False
    honest: bool = True
    broken: bool = False


def start_of(call: Call) -> tuple[Moment, Choice]:
    """Return the moment at which a call starts, and what is left open."""
    moment, choice = any_moment()
    return replace(moment, **call.start), replace(choice, **call.choice)


def hypotheses(call: Call, queue_size: int, *, whole: bool) -> dict[str, z3.BoolRef]:
    """Return what is known of a call's start; unless ``whole``, of descriptors only what concerns a few."""
    moment, choice = start_of(call)
    if whole:
        invariants = assumed(Steps(OneSize(queue_size)), moment)
    else:
        invariants = instances(moment, queue_size, (moment.free_head,), (moment.last_used,))
    known = {**invariants, **widths(moment), **call.given(moment, choice)}
    return {name: term_like(fact) for name, fact in known.items() if fact is not True}


def followed(call: Call, queue_size: int, package: ModuleType) -> Exploration[Lockstep]:
    """Run a call on every way there is, with the model beside it, and note what has to be shown."""
    moment, choice = start_of(call)
    shared: dict[Any, Any] = {}

    def program(run: Run) -> Lockstep:
        lockstep = Lockstep(
            run,
            queue_size,
            moment,
            choice,
            call.starts,
            call.ends,
            handler=call.handler,
            honest=call.honest,
            shared=shared,
        )
        queue = made(package, lockstep)
        queue.broken = call.broken
        lockstep.private = lambda: private_differences(lockstep)
        before = attributes(queue)
        try:
            result = call.does(queue, lockstep)
        except Exception as error:
            run.require(f"no {type(error).__name__} is raised: {error}", False)
            return lockstep
        lockstep.finish()
        for what, flag in call.expects(lockstep, result):
            run.require(what, flag)
        for name in kept(queue, before):
            run.require(f"{name} is left alone", False)
        _compare(lockstep, call)
        return lockstep

    return explore(program, hypotheses(call, queue_size, whole=False))


def _compare(lockstep: Lockstep, call: Call) -> None:
    run = lockstep.run
    broken = lockstep.queue.broken
    if call.honest:
        run.require("broken is left alone", broken is call.broken)
    try:
        private = private_differences(lockstep)
    except TypeError as error:
        run.require(f"the private state is of numbers: {error}", False)
        return
    for name, code, model in (*private, *lockstep.after_differences()):
        run.require(f"{name} is as in the model", code == model)
    prepared = "prepare" in lockstep.taken
    run.require("it kicks where the model does", lockstep.kicked <= prepared)
    told = lockstep.taken.count("notify")
    run.require("the device is notified as often as in the model", lockstep.notified == told)
    called = lockstep.taken.count("call_back")
    run.require("the callback is called as often as in the model", lockstep.called == called)


# -- what is expected ---------------------------------------------------------------------------------


def _nothing(_: Lockstep, result: Any) -> Expected:
    return [("nothing is returned", result is None)]


def _truth(result: Any, flag: Any, what: str) -> Expected:
    """Return that a result is a truth value, the one of the flag."""
    if not isinstance(result, bool | SymbolicInt):
        return [(f"{what} is a truth value", False)]
    return [(what, term_of(result) == term_like(flag))]


def _added(lockstep: Lockstep, result: Any) -> Expected:
    taken, model, s, c = lockstep.taken, lockstep.model, lockstep.start, lockstep.choice
    code = 0 if "publish" in taken else -ENOSPC if "add_refused" in taken else -EINVAL
    wanted = z3.And(model.may_add(s, c), model.takes_table(s, c), term_like(model.fits_table(c)))
    tried = lockstep.asked is not None
    return [
        (f"{code} is returned", isinstance(result, int) and result == code),
        ("memory for a table is asked for just where one is wanted", wanted if tried else z3.Not(wanted)),
        ("memory is asked for of the right size", not tried or lockstep.asked == 16 * c.segments),
    ]


def _refused(lockstep: Lockstep, result: Any) -> Expected:
    return [("EINVAL is returned", isinstance(result, int) and result == -EINVAL and not lockstep.taken)]


def _prepared(lockstep: Lockstep, result: Any) -> Expected:
    return _truth(result, lockstep.moment.pc == Pc.NOTIFY, "whether to notify is told as in the model")


def _got(lockstep: Lockstep, result: Any) -> Expected:
    if "read_element" not in lockstep.taken:
        return [("nothing is handed out", result is None)]
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], SymbolicInt):
        return [("a token and a length are handed out", False)]
    lengths = lockstep.base["used_len"](lockstep.model.size.slot(lockstep.start.last_used_idx))
    return [
        ("the token of the model is handed out", is_token(result[0], lockstep.moment.result)),
        ("the length is the one the device wrote", result[1].term == lengths),
    ]


def _broken(lockstep: Lockstep, result: Any) -> Expected:
    found = "look" in lockstep.taken
    return [
        ("nothing is handed out", result is None),
        ("the queue is broken just if something was used", lockstep.queue.broken is found),
    ]


def _detached(lockstep: Lockstep, result: Any) -> Expected:
    if "scan_finds" not in lockstep.taken:
        return [("nothing is handed out", result is None)]
    return [("the token of the model is handed out", is_token(result, lockstep.moment.result))]


def _marked(lockstep: Lockstep, result: Any) -> Expected:
    same = isinstance(result, SymbolicInt) and term_of(result) == lockstep.start.last_used_idx
    return [("last_used_idx is the mark", same)]


def _polled(lockstep: Lockstep, result: Any) -> Expected:
    if "poll" not in lockstep.at:
        return [("the model polls, too", False)]
    late = lockstep.model.is_late(lockstep.at["poll"])
    return _truth(result, late, "whether more was used is told as in the model")


def _enabled(lockstep: Lockstep, result: Any) -> Expected:
    if "poll" not in lockstep.at:
        return [("the model polls, too", False)]
    late = lockstep.model.is_late(lockstep.at["poll"])
    return _truth(result, z3.Not(late), "whether nothing was missed is told as in the model")


def _interrupted(lockstep: Lockstep, result: Any) -> Expected:
    if "handle" not in lockstep.at:
        return [("the model looks, too", False)]
    ours = lockstep.model.calls_back(lockstep.at["handle"])
    return _truth(result, ours, "whether the interrupt is ours is told as in the model")


# -- the calls ----------------------------------------------------------------------------------------


def add(outs: int, ins: int) -> Call:
    """Return a call of add with so many segments to read, and to write."""
    segments = outs + ins

    def does(queue: Any, lockstep: Lockstep) -> Any:
        run, c = lockstep.run, lockstep.choice
        all_segments = [
            (run.address(c.segment_addr(i)), run.number(c.segment_len(i))) for i in range(segments)
        ]
        queue.kick = lockstep.kick
        result = queue.add(all_segments[:outs], all_segments[outs:], Token(run, c.token))
        del queue.kick
        return result

    return Call(
        "add",
        ("add_in_ring", "add_refused"),
        does,
        _added,
        choice={"segments": segments, "outs": outs},
        given=lambda _, c: {
            "a token is not none": c.token != 0,
            **{
                f"segment {i} has a length of 32 bits": z3.And(
                    c.segment_len(i) >= 0,
                    c.segment_len(i) < 1 << 32,
                    c.segment_addr(i) >= 0,
                    c.segment_addr(i) < 1 << 64,
                )
                for i in range(segments)
            },
        },
        arguments={"outs": outs, "ins": ins},
    )


def add_nobody() -> Call:
    """Return a call of add without a token."""

    def does(queue: Any, lockstep: Lockstep) -> Any:
        run, c = lockstep.run, lockstep.choice
        return queue.add([(run.address(c.segment_addr(0)), run.number(c.segment_len(0)))], [], None)

    return Call(
        "add without a token",
        ("add_in_ring", "add_refused"),
        does,
        _refused,
        choice={"segments": 1, "outs": 1, "token": z3.IntVal(0)},
    )


def _operation(name: str, starts: str, expects: Any, **more: Any) -> Call:
    def does(queue: Any, _: Lockstep) -> Any:
        return getattr(queue, name)()

    return Call(more.pop("called", name), (starts,), does, expects, **more)


def _poll() -> Call:
    return Call(
        "poll",
        ("poll",),
        lambda queue, _: queue.poll(queue.last_used_idx),
        _polled,
        start={"pc": Pc.POLL, "bufs": 0, "delayed": False},
    )


_LOOKS = ("look", "look_in_vain")
_RESET = {"live": False}


def _interrupt(s: Moment, _: Choice) -> dict[str, Any]:
    return {"an interrupt is pending": z3.And(s.irq, z3.Not(s.handling), z3.Not(s.calling))}


def calls(queue_size: int) -> Iterator[Call]:
    """Yield every call of every operation on a queue of that size."""
    for segments in range(queue_size + 2):
        for outs in range(segments + 1):
            yield add(outs, segments - outs)
    yield add_nobody()
    yield _operation("kick_prepare", "prepare", _prepared, start={"pc": Pc.PREPARE}, ends=Pc.NOTIFY)
    yield _operation("notify", "notify", _nothing, start={"pc": Pc.NOTIFY})
    yield _operation("kick", "prepare", _nothing, start={"pc": Pc.PREPARE})
    yield replace(_operation("get_buf", "", _got), starts=_LOOKS)
    yield replace(_operation("get_buf", "", _broken, called="get_buf of any id", honest=False), starts=_LOOKS)
    yield replace(
        _operation(
            "get_buf",
            "",
            lambda _, result: [("nothing is handed out", result is None)],
            called="get_buf of a broken queue",
            broken=True,
        ),
        starts=(),
    )
    yield _operation("detach_unused_buf", "scan", _detached, start=_RESET)
    yield _operation("disable_cb", "disable_cb", _nothing)
    yield _operation("enable_cb_prepare", "enable_cb", _marked, ends=Pc.POLL)
    yield _poll()
    yield _operation("enable_cb", "enable_cb", _enabled)
    yield _operation("enable_cb_delayed", "enable_cb_delayed", _enabled)
    yield _operation("interrupt", "interrupt", _interrupted, handler=True, given=_interrupt)
