"""The step-wise model on plain numbers: moments that last, and runs of it chosen at random.

A run is a list of actions: the name of a transition, and what it leaves open. Its moments are frozen after
each step: maps become tables of their values, so that a run may be as long as one likes.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from ...model.size import WORD, Plain
from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import DEVICE, DRIVER, HANDLER, Steps


@dataclass(frozen=True)
class Action:
    """One step of a run: the transition's name, and what it left open."""

    name: str
    choice: Choice


class Small(Plain):
    """A queue of plain numbers, and memory without a bound: any number may name a table.

    Quantifiers go over the tables there have been, and over their entries and one more. Of all others the
    invariants say nothing: they are not allocated. ``tables`` is the most entries each has had.
    """

    def __init__(self, queue_size: int) -> None:
        super().__init__(queue_size)
        self.tables: dict[int, int] = {}

    def every_table(self, claim: Callable[[int], bool]) -> bool:
        """Try all tables there have been."""
        return all(claim(t) for t in self.tables)

    def every_entry(self, claim: Callable[[int, int], bool]) -> bool:
        """Try their entries, and one more."""
        return all(claim(t, i) for t, most in self.tables.items() for i in range(most + 1))

    def admits_table(self, table: int, entries: int) -> bool:
        """Admit any."""
        del table, entries
        return True

    def note(self, table: int, entries: int) -> None:
        """Keep a table in mind."""
        self.tables[table] = max(entries, self.tables.get(table, 0))


def plain(size: int, model: type[Steps] = Steps, **setting: bool) -> Steps:
    """Return a queue of plain numbers; ``setting`` is as for :class:`Steps`, absent flags are false."""
    return model(Small(size), **setting)


# Moments.

_KINDS = {field.name: str(field.type) for field in fields(Moment)}
_MAPS = tuple((name, kind) for name, kind in _KINDS.items() if kind not in ("Number", "Flag"))
_BY_TABLE = frozenset(("allocated", "size", "table_outs", "table_head"))
_BY_SEGMENT = frozenset(("segment_addr", "segment_len"))


class Cells:
    """A map, marks or entries as a table: what ``cells`` has, else ``beyond``."""

    __slots__ = ("beyond", "cells")

    def __init__(self, cells: dict[Any, Any], beyond: Any) -> None:
        self.cells, self.beyond = cells, beyond

    def __call__(self, *key: int) -> Any:
        """Return what is at a number, or at a table and an index."""
        return self.cells.get(key if len(key) > 1 else key[0], self.beyond)

    def __repr__(self) -> str:
        return repr(self.cells)


def frozen(queue: Steps, s: Moment) -> Moment:
    """Return the same moment with every map turned into a table of its values, 0 or false beyond them."""
    n, tables = int(queue.queue_size), queue.size.tables
    if s.tabled:
        queue.size.note(s.table, max(s.segments, s.size(s.table)))
    found: dict[str, Any] = {}
    for name, kind in _MAPS:
        value = getattr(s, name)
        if type(value) is Cells:
            continue
        beyond: Any = False if "Marks" in kind else 0
        keys: Iterable[Any] = range(n)
        if kind in ("Entries", "EntryMarks"):
            cells = {(t, i): value(t, i) for t, most in tables.items() for i in range(most + 1)}
            found[name] = Cells(cells, beyond)
            continue
        if name in _BY_TABLE:
            keys = tables
        elif name in _BY_SEGMENT:
            keys = range(s.segments)
        elif name == "order":
            keys = range(s.last_used, s.published + 1)
        found[name] = Cells({key: value(key) for key in keys}, beyond)
    return replace(s, **found)


# Choices.


def nothing() -> Choice:
    """Return the choice of a step that leaves nothing open."""
    return Choice(0, 0, 0, Cells({}, 0), Cells({}, 0), 0, 0, 0, False)


def asked(token: int, segments: int, outs: int, table: int = 0) -> Choice:
    """Return the choice of an add: segments whose addresses and lengths tell token and index apart."""
    addresses = {i: 4096 * token + 256 * i for i in range(segments)}
    lengths = {i: 1 + (token + 3 * i) % 64 for i in range(segments)}
    return replace(
        nothing(),
        token=token, segments=segments, outs=outs, table=table,
        segment_addr=Cells(addresses, 0), segment_len=Cells(lengths, 0),
    )  # fmt: skip


def free_table(s: Moment) -> int:
    """Return the lowest table that is not allocated."""
    t = 0
    while s.allocated(t):
        t += 1
    return t


def choice(queue: Steps, s: Moment, rng: random.Random, name: str) -> Choice:
    """Return what the step of that name leaves open, at random, of values small enough to matter."""
    n = int(queue.queue_size)
    if name in ("add_in_table", "add_in_ring", "add_refused"):
        segments = min(rng.randint(1, n + 2), rng.randint(1, n + 2))
        outs = rng.choice((0, segments, segments, rng.randint(0, segments)))
        return asked(s.published % 99 + 1, segments, outs, free_table(s))
    if name == "device_stages":
        held = [h for h in range(n) if s.held(h)]
        return replace(nothing(), head=rng.choice(held) if held else 0)
    if name == "device_fidgets":
        near = rng.choice((s.read, s.published, s.last_kick, rng.randrange(WORD)))
        return replace(nothing(), event=(near + rng.randint(-1, 1)) % WORD, flag=rng.random() < 0.5)
    return nothing()


# Runs.

HOME: dict[str, Pc] = {
    "fill_entry": Pc.TABLE, "end_table": Pc.TABLE, "take_descriptor": Pc.TAKE,
    "fill_descriptor": Pc.FILL, "end_chain": Pc.FILL, "remember": Pc.REMEMBER, "write_slot": Pc.SLOT,
    "publish": Pc.PUBLISH, "count_add": Pc.COUNT, "prepare": Pc.PREPARE, "decide": Pc.DECIDE,
    "notify": Pc.NOTIFY, "read_element": Pc.ELEMENT, "detach": Pc.DETACH, "walk": Pc.WALK, "give": Pc.WALK,
    "advance": Pc.ADVANCE, "ask": Pc.ASK, "rearm": Pc.REARM, "arm": Pc.EVENT, "poll": Pc.POLL,
    "scan_on": Pc.SCAN, "scan_finds": Pc.SCAN, "scan_ends": Pc.SCAN, "retract": Pc.RETRACT,
}  # fmt: skip
"""Where the driver is when it takes a step; the steps not here begin an operation."""

_OFTEN = {
    "add_in_table": 3.0, "add_in_ring": 3.0, "add_refused": 1.5, "begin_kick": 1.5, "look": 8.0,
    "disable_cb": 0.5, "enable_cb": 0.7, "enable_cb_delayed": 0.7, "reset": 0.03, "scan": 4.0,
    "look_in_vain": 0.7,
    "interrupt": 2.0, "handle": 4.0, "call_back": 4.0,
    "device_reads": 3.0, "device_stages": 3.0, "device_publishes": 3.0, "device_signals": 4.0,
    "device_interrupts": 0.1, "device_dozes": 0.7, "device_looks": 3.0, "device_wakes": 2.0,
    "device_fidgets": 0.3,
}  # fmt: skip
_AT_HOME, _ASTRAY = 12.0, 0.01


def _weights(queue: Steps) -> dict[int, list[tuple[str, float]]]:
    """Return, for each place of the driver, the steps and one by how much each is to be tried early."""
    found: dict[int, list[tuple[str, float]]] = {}
    for pc in Pc:
        row = []
        for name in queue.steps:
            weight = _OFTEN.get(name, 1.0)
            if name in DRIVER:
                home = HOME.get(name, Pc.IDLE)
                weight = _ASTRAY if home != pc else _AT_HOME if pc != Pc.IDLE else weight
            row.append((name, 1.0 / weight))
        found[int(pc)] = row
    return found


def walk(
    queue: Steps, rng: random.Random, steps: int, start: Moment | None = None
) -> Iterator[tuple[Action, Moment]]:
    """Yield a random run: each action and the moment after it, frozen.

    It ends after so many steps, when nothing is possible, or when a search for unused chains finds none.
    Steps that are possible somewhere unusual (in a mutant, say) are tried as well, only not so often.
    """
    s = frozen(queue, queue.initial()) if start is None else start
    weights = _weights(queue)
    for _ in range(steps):
        row = weights.get(s.pc, weights[Pc.IDLE])
        for _, name in sorted((rng.random() ** weight, name) for name, weight in row)[::-1]:
            c = choice(queue, s, rng, name)
            step = queue.take(name, s, c)
            if step.guard:
                s = frozen(queue, step.after)
                yield Action(name, c), s
                break
        else:
            return
        if name == "scan_ends":
            return


def lane(name: str) -> str:
    """Return who takes a step: driver, handler or device."""
    if name in HANDLER:
        return "handler"
    return "device" if name in DEVICE else "driver"
