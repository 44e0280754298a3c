"""The parametric model beside the Python reference: two readings of Linux 3.11, taken step by step.

The model's transitions are evaluated on concrete states; after every operation all that the driver
keeps and all that ring memory holds must be the same in both.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import z3

from ringproof.impl.reference.arena import Arena
from ringproof.impl.reference.layout import legacy
from ringproof.impl.reference.profile import F_EVENT_IDX
from ringproof.impl.reference.virtqueue import Virtqueue, vring_new_virtqueue
from ringproof.impl.reference.vring import AVAIL_F_NO_INTERRUPT, DESC_F_NEXT
from ringproof.model.invariants import INVARIANTS
from ringproof.model.ring import Ring, Step
from ringproof.model.size import OneSize, u16
from ringproof.model.state import State

START = 65528
"""Where all indices start, so that every run crosses the wrap."""

STEPS = 250


class _Reference:
    """The reference on a ring whose device half the test plays."""

    def __init__(self, queue_size: int, event_idx: bool) -> None:
        layout, arena = legacy(queue_size), Arena()
        self.notified = 0
        self.queue: Virtqueue
        self.queue, address = vring_new_virtqueue(
            layout, arena, self._notify, features=F_EVENT_IDX if event_idx else 0, callback=lambda: None
        )
        self._used = arena.view(address, layout.size)[layout.used :]
        self._queue_size = queue_size
        self.queue.avail.idx = self.queue.last_used_idx = START
        self.put(2, START)

    def _notify(self, _: int) -> None:
        self.notified += 1

    def put(self, offset: int, word: int) -> None:
        """Write a 16-bit word of the used ring, as the device does."""
        struct.pack_into("<H", self._used, offset, word)

    def complete(self, head: int) -> None:
        """Put a head into the used ring."""
        used = self.queue.used.idx
        struct.pack_into("<II", self._used, 4 + 8 * (used % self._queue_size), head, 0)
        self.put(2, (used + 1) & 0xFFFF)

    def suppress(self, no_notify: bool, avail_event: int) -> None:
        """Set the device's two wishes."""
        self.put(0, int(no_notify))
        self.put(4 + 8 * self._queue_size, avail_event)

    def state(self) -> dict[str, Any]:
        """Return what the model also has."""
        queue, size = self.queue, self._queue_size
        return {
            "free_head": queue.free_head,
            "num_free": queue.num_free,
            "num_added": queue.num_added,
            "last_used_idx": queue.last_used_idx,
            "data": [token or 0 for token in queue.data],
            "next": list(queue.desc.next[:size]),
            "has_next": [bool(flags & DESC_F_NEXT) for flags in queue.desc.flags[:size]],
            "avail_idx": queue.avail.idx,
            "avail_ring": list(queue.avail.ring[:size]),
            "no_interrupt": bool(queue.avail.flags & AVAIL_F_NO_INTERRUPT),
            "used_event": queue.avail.used_event,
            "used_idx": queue.used.idx,
            "used_ring": list(queue.used.id[:size]),
        }


class _Model:
    """The model's transitions on states of numbers."""

    def __init__(self, queue_size: int, event_idx: bool) -> None:
        self._queue_size = queue_size
        self.ring = Ring(OneSize(queue_size))
        self.ring.event_idx = z3.BoolVal(event_idx)
        start = z3.IntVal(START)
        counts = dict.fromkeys(("published", "read", "used", "last_used", "last_kick"), start)
        indices = dict.fromkeys(("avail_idx", "used_idx", "last_used_idx"), start)
        self.now = self.settled(replace(self.ring.initial(), **counts, **indices))
        self.wish(no_interrupt=False, used_event=0, no_notify=False, avail_event=0)

    def wish(self, **values: int | bool) -> None:
        """Set suppression fields, which their owners may write at any time."""
        terms = {name: z3.BoolVal(v) if isinstance(v, bool) else z3.IntVal(v) for name, v in values.items()}
        self.now = replace(self.now, **terms)

    def can(self, step: Step) -> bool:
        """Tell whether a transition may happen now."""
        return bool(z3.is_true(z3.simplify(step.guard)))

    def take(self, step: Step) -> None:
        """Let a transition happen."""
        assert self.can(step)
        self.now = self.settled(step.after)

    def settled(self, state: State) -> State:
        """Return the same state with every formula worked out, where it means anything."""
        numbers = range(self._queue_size)
        window = range(_number(state.last_used), _number(state.published))
        worked_out: dict[str, Any] = {}
        for field in fields(State):
            part = getattr(state, field.name)
            if callable(part):
                keys = window if field.name == "order" else numbers
                worked_out[field.name] = _table({key: z3.simplify(part(z3.IntVal(key))) for key in keys})
            else:
                worked_out[field.name] = z3.simplify(part)
        return State(**worked_out)

    def state(self, like: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that ``like`` has, as plain values."""
        return {
            name: [_plain(getattr(self.now, name)(z3.IntVal(i))) for i in range(self._queue_size)]
            if isinstance(value, list)
            else _plain(getattr(self.now, name))
            for name, value in like.items()
        }


def _table(values: dict[int, z3.ExprRef]) -> Callable[[z3.ArithRef], z3.ExprRef]:
    def look_up(key: z3.ArithRef) -> z3.ExprRef:
        key = z3.simplify(key)
        if z3.is_int_value(key):
            return values.get(key.as_long(), z3.IntVal(0))
        result: z3.ExprRef = z3.IntVal(0)
        for index, value in values.items():
            result = z3.If(key == index, value, result)
        return result

    return look_up


def _plain(term: z3.ExprRef) -> int | bool:
    term = z3.simplify(term)
    return z3.is_true(term) if z3.is_bool(term) else _number(term)


def _number(term: z3.ExprRef) -> int:
    return int(z3.simplify(term).as_long())


@pytest.mark.parametrize("event_idx", [False, True], ids=["flags", "event-idx"])
@pytest.mark.parametrize("queue_size", [1, 2, 4, 8])
def test_the_model_does_what_the_reference_does(queue_size: int, event_idx: bool) -> None:
    """Through full rings, any order of completion and the wrap, model and reference agree in every field."""
    choose = random.Random(queue_size * 2 + event_idx)
    model, reference = _Model(queue_size, event_idx), _Reference(queue_size, event_idx)
    ring, queue = model.ring, reference.queue
    held: list[int] = []
    seen = dict.fromkeys(("added", "refused", "read", "completed", "got", "notified"), 0)
    for turn in range(STEPS):
        before = reference.notified
        notified: z3.BoolRef = z3.BoolVal(False)
        match choose.choice(["add", "add", "read", "complete", "get", "get", "kick", "wish"]):
            case "add":
                count, has_out = choose.randint(1, min(queue_size, 3)), choose.random() < 0.8
                ring.segments, ring.token = z3.IntVal(count), z3.IntVal(turn + 1)
                ring.has_out = z3.BoolVal(has_out)
                segments = [(0x8000_0000_0000, 1)] * count
                fits = queue.add(segments if has_out else [], [] if has_out else segments, turn + 1) == 0
                step = ring.add(model.now) if fits else ring.refuse(model.now)
                notified = step.notified
                model.take(step)
                seen["added" if fits else "refused"] += 1
            case "read" if model.can(ring.read(model.now)):
                step = ring.read(model.now)
                held.append(_number(step.head))
                model.take(step)
                seen["read"] += 1
            case "complete" if held:
                head = held.pop(choose.randrange(len(held)))
                ring.chosen = z3.IntVal(head)
                reference.complete(head)
                model.take(ring.complete(model.now))
                seen["completed"] += 1
            case "get":
                result = queue.get_buf()
                assert (result is not None) == z3.is_true(z3.simplify(ring.sees_used(model.now)))
                if result is not None:
                    step = ring.get(model.now)
                    assert _number(step.token) == result[0]
                    model.take(step)
                    seen["got"] += 1
            case "kick":
                queue.kick()
                step = ring.kick(model.now)
                notified = step.notified
                model.take(step)
            case "wish":
                no_notify, event = choose.random() < 0.5, (queue.avail.idx + choose.randint(-3, 1)) & 0xFFFF
                reference.suppress(no_notify, event)
                model.wish(no_notify=no_notify, avail_event=event)
                if choose.random() < 0.5:
                    queue.disable_cb()
                else:
                    queue.enable_cb_prepare()
                    model.wish(used_event=_number(u16(model.now.last_used)))
                model.wish(no_interrupt=bool(queue.avail.flags & AVAIL_F_NO_INTERRUPT))
        expected = reference.state()
        assert model.state(expected) == expected, f"step {turn}"
        assert _plain(notified) == (reference.notified > before), f"step {turn}"
        seen["notified"] += reference.notified - before
    assert min(seen.values()) > 0, seen
    assert queue.avail.idx < START, "the run must cross the wrap"
    for invariant in INVARIANTS.values():
        assert z3.is_true(z3.simplify(invariant.holds(ring, model.now))), invariant.name
