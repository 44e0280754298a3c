"""What is known of a moment at which code starts: the invariants of the step-wise model, some or all.

Some are instances: what an invariant says of one descriptor or number, and not of all. Most of what code has
to show follows from a few of them, and the solver is the quicker the fewer there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import z3

from ...model.size import OneSize
from ...model.steps.invariants import INVARIANTS
from ...model.steps.moment import Choice, Moment, Pc, unknown
from ...model.steps.queue import Steps
from ...model.term import Flag, Number, both, implies
from .symbolic_ring import in_range


class Instances(OneSize):
    """One queue size, and of what is said of every descriptor, number or table only what it says of some.

    What is said of all of them follows from all instances of it, and each instance from it: those outside the
    range that is spelt out say nothing.
    """

    def __init__(
        self,
        queue_size: int,
        descriptors: Sequence[Any] = (),
        numbers: Sequence[Any] = (),
        tables: Sequence[Any] = (),
    ) -> None:
        super().__init__(queue_size)
        self._count = queue_size
        self._descriptors = descriptors
        self._sequence = numbers
        self._tables = tables

    def every(self, claim: Callable[[Any], Any]) -> Any:
        """Return the claim for some descriptors."""
        return both(*(implies(in_range(d, self._count), claim(d)) for d in self._descriptors))

    def every_pair(self, claim: Callable[[Any, Any], Any]) -> Any:
        """Return the claim for some pairs."""
        return self.every(lambda g: self.every(lambda h: claim(g, h)))

    def between(self, low: Any, high: Any, claim: Callable[[Any], Any]) -> Any:
        """Return the claim for some sequence numbers, of those that ``OneSize`` spells out."""
        return both(
            *(implies(z3.And(low <= k, k < high, k <= low + self._count), claim(k)) for k in self._sequence)
        )

    def every_table(self, claim: Callable[[Any], Any]) -> Any:
        """Return the claim for some tables."""
        return both(*(implies(in_range(t, self._count + 1), claim(t)) for t in self._tables))

    def every_entry(self, claim: Callable[[Any, Any], Any]) -> Any:
        """Return nothing."""
        del claim
        return True


_ASIDE = frozenset(
    (
        "chain-directions", "avail-entries", "held", "room-above", "room-below", "room-between", "one-owner",
        "taken-is-owned", "table-shape", "table-owner", "doze", "kick-due", "signals", "armed", "waiting",
        "interrupt-due",
    )
)  # fmt: skip
"""Invariants that say nothing of which way code goes; they are kept for what is left open without them."""


def instances(
    moment: Moment, queue_size: int, descriptors: Sequence[Any], numbers: Sequence[Any]
) -> dict[str, Flag]:
    """Return what the invariants say of some descriptors, and of some sequence numbers."""
    model = Steps(Instances(queue_size, descriptors, numbers))
    known = {name: each.holds(model, moment) for name, each in INVARIANTS.items() if name not in _ASIDE}
    return {name: fact for name, fact in known.items() if fact is not True}


def widths(moment: Moment) -> dict[str, Any]:
    """Return that words of memory hold as much as they can, where the invariants don't say so."""
    return {
        "used_event has 16 bits": in_range(moment.used_event, 1 << 16),
        "avail_event has 16 bits": in_range(moment.avail_event, 1 << 16),
    }


def any_moment() -> tuple[Moment, Choice]:
    """Return any moment between two operations of a device that was not reset, and any choice."""
    moment: Moment = unknown(Moment)
    choice: Choice = unknown(Choice)
    return replace(moment, pc=Pc.IDLE, live=True), choice


def term_like(value: Number | Flag) -> Any:
    """Return a number or flag of the model as a term."""
    if isinstance(value, bool):
        return z3.BoolVal(value)
    return z3.IntVal(value) if isinstance(value, int) else value
