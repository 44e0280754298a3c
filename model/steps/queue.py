"""The virtqueue of Linux 3.11 and an honest device: every statement a transition, in any interleaving.

Memory is sequentially consistent: what one side writes the other sees at once, in order. One statement is one
transition where the other side can tell; statements on what the driver alone looks at go together. Loops take
one transition a round. Of the linux-3.11 profile and the mended one, virtio-1.x.

Not here: weak memory, lengths of used elements, more than one context that adds or gets (Linux holds a lock),
a table of more than 65535 entries (its length in bytes would still fit 32 bits, its links would not 16).
"""

from dataclasses import fields, replace
from typing import Any

from ..state import Map
from ..term import Flag, Number, Step, both, either, implies
from .adding import Adding
from .calling import Calling
from .device import Device
from .moment import Choice, Moment
from .reclaiming import Reclaiming

DRIVER = (
    "add_in_table", "fill_entry", "end_table", "take_descriptor",
    "add_in_ring", "add_refused", "fill_descriptor", "end_chain",
    "remember", "write_slot", "publish", "count_add",
    "begin_kick", "prepare", "decide", "notify",
    "look", "look_in_vain", "read_element", "detach", "walk", "give", "advance", "ask", "rearm",
    "disable_cb", "enable_cb", "enable_cb_delayed", "arm", "poll",
    "reset", "scan", "scan_on", "scan_finds", "scan_ends", "retract",
)  # fmt: skip
"""Transitions of the driver, under the lock of its queue."""

HANDLER = ("interrupt", "handle", "call_back")
"""Transitions of its interrupt handler, between any two others."""

DEVICE = (
    "device_reads", "device_stages", "device_publishes", "device_signals", "device_interrupts",
    "device_dozes", "device_looks", "device_wakes", "device_fidgets",
)  # fmt: skip
"""Transitions of the device, between any two others."""


class Steps(Adding, Reclaiming, Calling, Device):
    """The transitions of a virtqueue of the given size (all sizes at once, or one), by name."""

    steps = (*DRIVER, *HANDLER, *DEVICE)

    def take(self, name: str, s: Moment, c: Choice) -> Step[Moment]:
        """Return the transition of that name."""
        step: Step[Moment] = getattr(self, name)(s, c)
        return step

    def facts(self, s: Moment) -> dict[str, Flag]:
        """Return what is known of the queue size and of the slots of the moment's indices."""
        few = self.size.every_table(lambda t: self.size.admits_table(t, s.size(t)))
        named = self.size.every(
            lambda h: implies(
                both(s.outstanding(h), s.indirect(h)), self.size.admits_table(s.addr(h), s.size(s.addr(h)))
            )
        )
        filled = self.size.admits_table(s.table, s.size(s.table))
        slots = self.size.facts((s.published, s.read, s.staged, s.used, s.last_used))
        return {**slots, "tables": both(few, named, filled)}

    def initial(self) -> Moment:
        """Return the queue as made (vring_new_virtqueue), callbacks on and the device awake."""
        size = self.queue_size
        zero: dict[str, Any] = {
            "Number": 0,
            "Flag": False,
            "Map": _nothing,
            "Marks": _never,
            "Entries": _empty,
            "EntryMarks": _unset,
        }
        made: Moment = Moment(**{field.name: zero[str(field.type)] for field in fields(Moment)})
        layout: Map = lambda d: size - 1 - d  # noqa: E731
        return replace(
            made,
            num_free=size, next=lambda d: either(d < size - 1, d + 1, 0),
            wanted=True, live=True, free=size, gpos=layout, gat=layout,
        )  # fmt: skip


def _nothing(_: Number) -> int:
    return 0


def _never(_: Number) -> bool:
    return False


def _empty(_: Number, __: Number) -> int:
    return 0


def _unset(_: Number, __: Number) -> bool:
    return False
