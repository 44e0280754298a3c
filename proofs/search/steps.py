"""The step-wise model on plain numbers: runs of it, chosen at random, and what they break.

A run is a list of actions: the name of a transition, and what it leaves open. Its moments are frozen after
each step: maps become tables of their values, so that a run may be as long as one likes.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from ...model.size import Plain
from ...model.steps.moment import Choice, Moment
from ...model.steps.queue import Steps

MOST_SEGMENTS = 3
"""Segments of a chain, beyond those the queue has descriptors for."""


@dataclass(frozen=True)
class Action:
    """One step of a run: the transition's name, and what it left open."""

    name: str
    choice: Choice


_KINDS = {field.name: str(field.type) for field in fields(Moment)}
_BY_DESCRIPTOR = frozenset(
    "data next has_next gpos gat outstanding owner length given rank place held addr len writes indirect "
    "avail_ring used_ring chain_outs".split()
)


def frozen(queue: Steps, s: Moment) -> Moment:
    """Return the same moment with every map turned into a table of its values, 0 or false beyond them."""
    n = int(queue.queue_size)
    found: dict[str, Any] = {}
    for name, kind in _KINDS.items():
        value = getattr(s, name)
        if kind in ("Number", "Flag"):
            continue
        beyond: Any = False if "Marks" in kind else 0
        if kind in ("Entries", "EntryMarks"):
            cells = {(t, i): value(t, i) for t in range(n + 1) for i in range(n + 2)}
            found[name] = _Cells(cells, beyond)
        elif name == "order":
            found[name] = _Cells({k: value(k) for k in range(s.last_used, s.published + 1)}, beyond)
        else:
            span = range(n) if name in _BY_DESCRIPTOR else range(n + 2)
            found[name] = _Cells({k: value(k) for k in span}, beyond)
    return replace(s, **found)


class _Cells:
    """A map or marks as a table."""

    def __init__(self, cells: dict[Any, Any], beyond: Any) -> None:
        self.cells, self.beyond = cells, beyond

    def __call__(self, *key: int) -> Any:
        return self.cells.get(key if len(key) > 1 else key[0], self.beyond)

    def __repr__(self) -> str:
        return repr(self.cells)


def choice(queue: Steps, s: Moment, rng: random.Random) -> Choice:
    """Return what a step may leave open, at random, of values small enough to matter."""
    n = int(queue.queue_size)
    segments = rng.randint(1, n + 1)
    held = [h for h in range(n) if s.held(h)]
    free = [t for t in range(n + 1) if not s.allocated(t)]
    base = 16 * rng.randint(1, 9)
    addresses = {i: base + i for i in range(segments)}
    lengths = {i: 1 + (base + i) % 7 for i in range(segments)}
    near = rng.choice((s.read, s.published, s.last_kick, rng.randrange(1 << 16)))
    return Choice(
        token=rng.randint(1, 99),
        segments=segments,
        outs=rng.randint(0, segments),
        segment_addr=_Cells(addresses, 0),
        segment_len=_Cells(lengths, 0),
        table=rng.choice(free) if free else 0,
        head=rng.choice(held) if held else 0,
        event=(near + rng.randint(-1, 1)) % (1 << 16),
        flag=rng.random() < 0.5,
    )


def walk(
    queue: Steps, rng: random.Random, steps: int, start: Moment | None = None
) -> Iterator[tuple[Action, Moment]]:
    """Yield a random run: each action and the moment after it. Ends when nothing is possible any more."""
    s = frozen(queue, queue.initial() if start is None else start)
    names = list(queue.steps)
    rare = {"reset": 0.01, "device_interrupts": 0.1, "device_fidgets": 0.2, "begin_kick": 0.3}
    for _ in range(steps):
        rng.shuffle(names)
        for name in names:
            if rng.random() > rare.get(name, 1.0):
                continue
            c = choice(queue, s, rng)
            step = queue.take(name, s, c)
            if step.guard:
                s = frozen(queue, step.after)
                yield Action(name, c), s
                break


def plain(size: int, model: type[Steps] = Steps, **setting: bool) -> Steps:
    """Return a queue of plain numbers."""
    return model(Plain(size), **setting)
