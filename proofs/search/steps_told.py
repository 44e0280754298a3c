"""A run of the step-wise model in words: who takes each step, and what it does."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...model.steps.invariants import INVARIANTS
from ...model.steps.moment import Choice, Moment, Pc
from .steps import Cells, lane
from .steps_runs import Run


def _segments(c: Choice) -> str:
    kinds = [(c.outs, "to read"), (c.segments - c.outs, "to write")]
    listed = " and ".join(f"{count} {kind}" for count, kind in kinds if count)
    return f"token {c.token}, {c.segments} segment{'s' * (c.segments != 1)}, {listed}"


def _late(s: Moment, u: Moment) -> str:
    if u.waiting:
        return "nothing is late: the driver may wait"
    return "an interrupt came meanwhile" if s.woken else "something was completed: look again"


_WORDS: dict[str, Callable[[Moment, Moment, Choice], str]] = {
    "add_in_table": lambda _, u, c: f"add: {_segments(c)}; table {u.table} is allocated for it",
    "fill_entry": lambda s, _, __: f"fill entry {s.count} of table {s.table}",
    "end_table": lambda s, _, __: f"end table {s.table}: the last entry links to none",
    "take_descriptor": lambda s, _, __: f"take descriptor {s.free_head}, and let it name table {s.table}",
    "add_in_ring": lambda _, __, c: f"add: {_segments(c)}; there is room for it",
    "add_refused": lambda _, __, c: f"add: {_segments(c)}; the ring is full",
    "fill_descriptor": lambda s, _, __: f"fill descriptor {s.cursor}",
    "end_chain": lambda s, _, __: f"end the chain at descriptor {s.previous}",
    "remember": lambda s, _, __: f"remember token {s.token} at head {s.head}",
    "write_slot": lambda s, _, __: f"put head {s.head} into the available ring",
    "publish": lambda _, __, ___: "publish it: from now on the device may read the chain",
    "count_add": lambda _, u, __: "count the add" + "; a kick is forced" * (u.pc == Pc.PREPARE),
    "begin_kick": lambda _, __, ___: "kick",
    "prepare": lambda _, __, ___: "note avail_idx of the kick before, and count anew",
    "decide": lambda _, u, __: f"see what the device asks for: {'notify' if u.need else 'do not notify'} it",
    "notify": lambda _, __, ___: "notify the device",
    "look": lambda s, _, __: f"get: used.idx is {s.used_idx}, so something was completed",
    "read_element": lambda _, u, __: f"read the used element: id {u.head}",
    "detach": lambda s, u, _: f"take token {u.result} from head {s.head}",
    "walk": lambda s, u, _: f"follow NEXT from descriptor {s.cursor} to {u.cursor}",
    "give": lambda s, _, __: f"descriptor {s.cursor} is the last: give the chain back",
    "look_in_vain": lambda s, _, __: f"get: used.idx is {s.used_idx}, so nothing was completed",
    "advance": lambda _, __, ___: "move last_used_idx on",
    "ask": lambda s, _, __: f"see that callbacks are {'on' if s.wanted else 'off'}",
    "rearm": lambda _, __, ___: "ask to be told of the next completion",
    "disable_cb": lambda _, __, ___: "switch callbacks off",
    "enable_cb": lambda _, __, ___: "switch callbacks on",
    "enable_cb_delayed": lambda _, u, __: f"switch callbacks on, to let {u.bufs} completions pass",
    "arm": lambda s, u, _: "write used_event" if u.used_event != s.used_event else "leave used_event alone",
    "poll": lambda s, u, _: f"look at used.idx, {s.used_idx}: {_late(s, u)}",
    "reset": lambda _, __, ___: "reset the device",
    "scan": lambda _, __, ___: "look for a token still held",
    "scan_on": lambda s, _, __: f"there is none at {s.cursor}",
    "scan_finds": lambda s, _, __: f"there is one at {s.cursor}",
    "scan_ends": lambda _, __, ___: "none is left",
    "retract": lambda _, __, ___: "move avail.idx back",
    "interrupt": lambda _, __, ___: "an interrupt is taken",
    "handle": lambda _, u, __: "something was completed" if u.calling else "nothing was completed: not ours",
    "call_back": lambda _, __, ___: "the callback: callbacks off, wake the driver",
    "device_reads": lambda s, u, _: f"take head {_taken(s, u)} off the available ring",
    "device_stages": lambda _, __, c: f"complete head {c.head}: write its used element",
    "device_publishes": lambda _, __, ___: "move used.idx on",
    "device_signals": lambda s, u, _: (
        "interrupt, for that is wanted" if u.irq and not s.irq else "no new interrupt is due"
    ),
    "device_interrupts": lambda _, __, ___: "interrupt without news",
    "device_dozes": lambda _, __, ___: "ask to be notified of the next chain",
    "device_looks": lambda _, u, __: (
        "look once more: nothing, so sleep" if u.asleep else "look once more: there is a chain"
    ),
    "device_wakes": lambda s, _, __: "a notification comes: wake up" if s.notified else "wake up unasked",
    "device_fidgets": lambda _, __, ___: "write its suppression fields, as it may at work",
}


def _taken(s: Moment, u: Moment) -> str:
    assert isinstance(u.held, Cells), "moments of a run are frozen"
    new = [str(head) for head in sorted(u.held.cells) if u.held(head) and not s.held(head)]
    return " and ".join(new) or "that it already has"


class Told(NamedTuple):
    """One step of a run: who takes it, its name, and what it does in words."""

    lane: str
    name: str
    words: str


def steps(run: Run) -> Iterator[Told]:
    """Yield the steps of a run in words."""
    for name, taken in run.taken():
        words = _WORDS[name](taken.before, taken.after, taken.choice) if name in _WORDS else name
        yield Told(lane(name), name, words)


def said(name: str) -> str:
    """Return what a run broke, in words: an invariant, given by name, or a claim, given by its label."""
    return INVARIANTS[name].words if name in INVARIANTS else name
