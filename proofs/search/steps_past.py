"""Starts that no run would reach: thousands of chains that were added and came back, one at a time.

Such a round leaves a queue as it was, but for numbers that grow by the same amount each time; so a model
that is as good as this (a mutant may not be) is after any number of rounds where a straight line leads. That
the shipped ring does it is the theorem ``accelerated-round``. Here it is tried on the very model: for the
first rounds, before and after every power of two on the way, and for the last round.
"""

import functools
from dataclasses import dataclass, fields, replace
from typing import Any

from ...model.size import WORD
from ...model.steps.moment import Moment
from ...model.steps.queue import Steps
from .steps import Cells, asked, frozen, nothing, plain

_ADD = ("add_in_ring", "fill_descriptor", "end_chain", "remember", "write_slot", "publish", "count_add")
_KICK = ("begin_kick", "prepare", "decide", "notify", "device_wakes")
_COMPLETE = ("device_reads", "device_stages", "device_publishes", "device_signals")
_GET = (
    "look",
    "read_element",
    "detach",
    "give",
    "advance",
    "ask",
    "rearm",
    "interrupt",
    "handle",
    "call_back",
)
_IF_ASKED = ("notify", "device_wakes", "rearm", "interrupt", "handle", "call_back")
_SCRATCH = ("old_idx", "kick_from", "need", "order")
"""What prepare and decide write before they read it, and the order of no chains."""


@dataclass(frozen=True, order=True)
class Past:
    """How many rounds there were: first ``kicked`` ones, with a kick, then ``quiet`` ones, without.

    Together fewer than 65536, and fewer quiet ones than 65535.
    """

    kicked: int = 0
    quiet: int = 0

    @property
    def rounds(self) -> int:
        """How many chains there were."""
        return self.kicked + self.quiet


NONE = Past()
"""No past: the queue as made."""


class NoSuchPastError(Exception):
    """The model does not come back to where it was after a round."""


def begun(queue: Steps, past: Past = NONE) -> Moment:
    """Return the queue as made, frozen, after so many rounds.

    Raises ValueError for more rounds than there may be, NoSuchPastError if the model does not do them.
    """
    if past == NONE:
        return frozen(queue, queue.initial())
    if min(past.kicked, past.quiet) < 0 or past.rounds >= WORD or past.quiet >= WORD - 1:
        raise ValueError(f"{past} has too many rounds")
    setting = (bool(queue.event_idx), bool(queue.indirect_desc), bool(queue.mended))
    model: Any = type(queue)
    return _begun(model, int(queue.queue_size), setting, past)


@functools.lru_cache(maxsize=256)
def _begun(model: Any, size: int, setting: tuple[bool, bool, bool], past: Past) -> Moment:
    event_idx, indirect_desc, mended = setting
    queue = plain(size, model, event_idx=event_idx, indirect_desc=indirect_desc, mended=mended)
    s = frozen(queue, queue.initial())
    for kick, count in ((True, past.kicked), (False, past.quiet)):
        s = _along(queue, s, count, kick=kick)
    return s


def _along(queue: Steps, s: Moment, count: int, *, kick: bool) -> Moment:
    """Return the moment so many rounds later: the first ones are played, the rest follow the line."""
    played = int(queue.queue_size) + 1
    for _ in range(min(count, played)):
        s = played_round(queue, s, kick=kick)
    if count <= played:
        return s
    once = played_round(queue, s, kick=kick)
    tried = {1 << bit for bit in range(16)} | {count - played}
    for steps in sorted(tried):
        for at in (steps - 1, steps):
            if at < count - played:
                line, there = _on(s, once, at + 1), played_round(queue, _on(s, once, at), kick=kick)
                if _differ(line, there):
                    raise NoSuchPastError(f"round {at + played + 1} does not do what those before did")
    return _on(s, once, count - played)


def played_round(queue: Steps, s: Moment, *, kick: bool) -> Moment:
    """Add a chain of one descriptor, kick or not, let the device complete it, and get it back.

    Raises NoSuchPastError if that is not possible.
    """
    for name in (*_ADD, *(_KICK if kick else ()), *_COMPLETE, *_GET):
        c = asked(1, 1, 1) if name == "add_in_ring" else replace(nothing(), head=s.head)
        step = queue.take(name, s, c)
        if step.guard:
            s = frozen(queue, step.after)
        elif name not in _IF_ASKED:
            raise NoSuchPastError(f"{name} is not possible in a round")
    return s


def _on(one: Moment, two: Moment, steps: int) -> Moment:
    """Return where the line through two moments a step apart leads in so many steps from the first."""

    def ahead(first: Any, second: Any) -> Any:
        return second if isinstance(second, bool) else first + (second - first) * steps

    found: dict[str, Any] = {}
    for entry in fields(Moment):
        first, second = getattr(one, entry.name), getattr(two, entry.name)
        if not isinstance(second, Cells):
            found[entry.name] = ahead(first, second) if steps else first
        elif entry.name == "order":
            found[entry.name] = Cells({}, 0)
        else:
            cells = {
                key: ahead(first(key), value) if steps else first(key) for key, value in second.cells.items()
            }
            found[entry.name] = Cells(cells, second.beyond)
    return Moment(**found)


def _differ(one: Moment, other: Moment) -> bool:
    """Tell whether two moments differ in anything that matters."""
    for entry in fields(Moment):
        if entry.name not in _SCRATCH:
            first, second = getattr(one, entry.name), getattr(other, entry.name)
            if isinstance(first, Cells):
                if any(first(key) != second(key) for key in {*first.cells, *second.cells}):
                    return True
            elif first != second:
                return True
    return False
