"""A run of the step-wise model in words: a line for each step, with who takes it and what it changes."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...model.steps.invariants import INVARIANTS
from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import Steps
from .steps import Cells, lane
from .steps_past import NONE
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
    new = [str(head) for (head,) in _keys(s, u, "held") if u.held(head)]
    return " and ".join(new) or "that it already has"


_NUMBERS = {
    "avail_idx": "avail.idx",
    "used_event": "used_event",
    "used_idx": "used.idx",
    "avail_event": "avail_event",
    "free_head": "free_head",
    "num_free": "num_free",
    "num_added": "num_added",
    "last_used_idx": "last_used_idx",
}
_SWITCHES = {
    "no_interrupt": ("avail.flags", "NO_INTERRUPT", "0"),
    "no_notify": ("used.flags", "NO_NOTIFY", "0"),
    "wanted": ("callbacks", "on", "off"),
    "notified": ("notification", "pending", "none"),
    "irq": ("interrupt", "pending", "none"),
    "asleep": ("device", "asleep", "awake"),
}
_CELLS = {
    "next": "desc[{}].next",
    "avail_ring": "avail.ring[{}]",
    "used_ring": "used.ring[{}].id",
    "data": "data[{}]",
    "entry_next": "table {}[{}].next",
}
_HEX = {
    "addr": "desc[{}].addr",
    "entry_addr": "table {}[{}].addr",
}
_LENGTHS = {
    "len": "desc[{}].len",
    "entry_len": "table {}[{}].len",
}
_FLAGS = (
    ("desc[{}].flags", ("has_next", "writes", "indirect")),
    ("table {}[{}].flags", ("entry_has_next", "entry_writes", "entry_indirect")),
)


def changes(s: Moment, u: Moment) -> list[str]:
    """Return what a step changed of memory and of what the driver keeps, each with its new value.

    Ghosts are left out, and the arguments and variables of the driver's functions.
    """
    return [*_changed_cells(s, u), *_changed_numbers(s, u)]


def _changed_numbers(s: Moment, u: Moment) -> Iterator[str]:
    for name, shown in _NUMBERS.items():
        old, new = getattr(s, name), getattr(u, name)
        if old != new:
            yield f"{shown} {old} -> {new}"
    for name, (shown, on, off) in _SWITCHES.items():
        if bool(getattr(s, name)) != bool(getattr(u, name)):
            yield f"{shown} {on if getattr(u, name) else off}"


def _keys(s: Moment, u: Moment, *names: str) -> list[tuple[int, ...]]:
    """Return where maps differ."""
    found = set()
    for name in names:
        old, new = getattr(s, name), getattr(u, name)
        if isinstance(new, Cells) and new is not old:
            found |= {key for key in new.cells if _at(old, key) != _at(new, key)}
    return sorted(key if isinstance(key, tuple) else (key,) for key in found)


def _at(cells: Cells, key: int | tuple[int, ...]) -> int | bool:
    value: int | bool = cells(*key) if isinstance(key, tuple) else cells(key)
    return value


def _changed_cells(s: Moment, u: Moment) -> Iterator[str]:
    for shown, names in _FLAGS:
        for key in _keys(s, u, *names):
            words = ("NEXT", "WRITE", "INDIRECT")
            flags = [word for word, name in zip(words, names, strict=True) if getattr(u, name)(*key)]
            yield f"{shown.format(*key)} {'|'.join(flags) or '0'}"
    for name, shown in _HEX.items():
        for key in _keys(s, u, name):
            value = getattr(u, name)(*key)
            tabled = name == "addr" and u.indirect(*key)
            yield f"{shown.format(*key)} {f'table {value}' if tabled else f'{value:#x}'}"
    for name, shown in (_LENGTHS | _CELLS).items():
        for key in _keys(s, u, name):
            value = getattr(u, name)(*key)
            yield f"{shown.format(*key)} {value or 'none' if name == 'data' else value}"
    for key in _keys(s, u, "allocated"):
        yield f"table {key[0]} {'allocated' if u.allocated(*key) else 'freed'}"


def setting(queue: Steps) -> str:
    """Return the size of a queue, its driver's profile and the features negotiated."""
    features = [
        word for word, on in (("EVENT_IDX", queue.event_idx), ("INDIRECT_DESC", queue.indirect_desc)) if on
    ]
    profile = "virtio-1.x" if queue.mended else "linux-3.11"
    return f"queue_size {queue.queue_size}, {profile}, {', '.join(features) or 'no features'}"


class Told(NamedTuple):
    """One step of a run: its number from 1, who takes it, its name, in words, and what it changed."""

    number: int
    lane: str
    name: str
    words: str
    changes: list[str]


def steps(run: Run) -> Iterator[Told]:
    """Yield the steps of a run in words."""
    for number, (name, taken) in enumerate(run.taken(), 1):
        s, u = taken.before, taken.after
        words = _WORDS[name](s, u, taken.choice) if name in _WORDS else name
        yield Told(number, lane(name), name, words, changes(s, u))


def told(run: Run) -> list[str]:
    """Return a run in words: the queue, what was before, a line for each step, what the last one broke."""
    lines = [setting(run.queue)]
    if run.past != NONE:
        kicked, quiet = run.past.kicked, run.past.quiet
        parts = [f"{kicked} with a kick" if kicked else "", f"{quiet} without a kick" if quiet else ""]
        counted = ", then ".join(part for part in parts if part)
        lines.append(f"before: chains of one descriptor are added and come back, one at a time: {counted}")
    width = len(str(len(run.actions)))
    for number, who, _, words, changed in steps(run):
        shown = f"  [{', '.join(changed)}]" if changed else ""
        lines.append(f"{number:>{width}}  {who:<7}  {words}{shown}")
    lines += [f"broken: {said(name)}" for name in run.broken]
    return lines


def said(name: str) -> str:
    """Return what a run broke, in words: an invariant, given by name, or a claim, given by its label."""
    return INVARIANTS[name].words if name in INVARIANTS else name
