"""The model of a transmit queue, led beside the code that works on one.

Where the code calls what surrounds it (the virtqueue, the stack) or returns, the model takes the steps that
the call stands for; that it may take them, and that both go the same way, is what has to be shown.
What the virtqueue's functions do is not looked at again: each is taken to do the steps of the model that its
own refinement and the ring's theorems speak of. Before each, the device and the interrupt handler have had
their turn: what they may change is anything that the invariants allow.

Knows no kind of code: a ``Way`` says what holds from here on and what has to be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import z3

from ...model.term import Flag, both, no, symbols
from ...model.transmit import Choice, Frame, Handler, Place, State, Transmit
from ..transmit_claims import ROOM, WAKING

INVARIANTS = (*(each for each in WAKING if each.name == "counts"), *ROOM)
"""What is assumed of a moment. Kept by every step in every setting: ``transmit_invariants`` shows it."""

OTHERS = ("used", "tested", "interrupt", "handler")
"""What the device and the interrupt handler change while somebody holds the transmit lock."""

OTHERS_LINUX = (*OTHERS, "stopped", "no_interrupt")
"""In linux-3.11 the interrupt's callback takes no lock."""

Due = tuple[str, Flag]


@dataclass(frozen=True)
class Point:
    """How far the model has come. ``count`` makes names new."""

    state: State
    count: int = 0


@dataclass(frozen=True)
class Way:
    """One way on: what holds from here on, what had to be shown to come here, and what the call returns."""

    point: Point
    facts: tuple[Flag, ...] = ()
    due: tuple[Due, ...] = ()
    value: Any = None
    choice: Choice | None = None


class Lockstep:
    """Leads the model. ``handling``: the code is the interrupt's callback, not start_xmit."""

    def __init__(self, model: Transmit, *, handling: bool = False) -> None:
        self.model = model
        self.handling = handling

    # Moments.

    def begun(self, place: Place = Place.IDLE) -> tuple[Point, tuple[Flag, ...]]:
        """Return a moment before the code is called, and what is known of it."""
        handler: Any = Handler.CALLED if self.handling else z3.Int("handler")
        s = replace(symbols(State), at=place, callback=False, handler=handler)
        if self.handling and self.model.linux is True:
            s = replace(s, at=z3.Int("at"), callback=z3.Bool("callback"))
        return Point(s), self.known(s)

    def known(self, s: State) -> tuple[Flag, ...]:
        """Return what the invariants, and what a state is, say of a moment."""
        ranges = both(s.tx_packets >= 0, s.tx_bytes >= 0, s.tx_dropped >= 0, s.tx_fifo_errors >= 0)
        return (ranges, *(invariant.holds(self.model, s) for invariant in INVARIANTS))

    def renewed(self, point: Point, names: Sequence[str]) -> tuple[Point, tuple[Flag, ...]]:
        """Return the moment with these fields anything, and what is known of it."""
        count = point.count + 1
        fresh = symbols(State, f"'{count}")
        s = replace(point.state, **{name: getattr(fresh, name) for name in names})
        return Point(s, count), self.known(s)

    def others(self, point: Point) -> tuple[Point, tuple[Flag, ...]]:
        """Return the moment after the others had their turn."""
        if self.handling and self.model.linux is True:
            names = [name for name in State.__dataclass_fields__ if name != "handler"]
        else:
            names = list(OTHERS_LINUX if self.model.linux is True else OTHERS)
        return self.renewed(point, names)

    def choice(self, point: Point) -> tuple[Point, Choice]:
        """Return what a step leaves open, of which nothing is known."""
        count = point.count + 1
        return replace(point, count=count), symbols(Choice, f"'{count}")

    def at(self, point: Point, *places: Place) -> Due:
        """Return that the model is at one of these places, which the code's call needs."""
        names = " or ".join(place.name for place in places)
        here = point.state.at
        right = here in places if isinstance(here, int) else z3.Or([here == place for place in places])
        return f"the model is at {names} (it is at {_named(here)})", right

    # Steps.

    def step(self, point: Point, name: str, choice: Choice, due: Sequence[Due] = ()) -> Way:
        """Take a step that has to be enabled."""
        taken = self.model.take(name, point.state, choice)
        owed = (*due, (f"the step {name} may be taken", taken.guard))
        return Way(replace(point, state=taken.after), (), owed, choice=choice)

    def begin(self, point: Point) -> Way:
        """Let the stack hand over the frame that the ghost looks at; it keeps its promise."""
        point, choice = self.choice(point)
        choice = replace(choice, mine=True)
        taken = self.model.take("begin", point.state, choice)
        return Way(replace(point, state=taken.after), (taken.guard, point.state.frame == Frame.UNBORN))

    def get(self, point: Point) -> list[Way]:
        """virtqueue_get_buf: nothing is used, or a chain comes back; its ``choice`` says which."""
        due = self.at(point, Place.RECLAIM, Place.RECLAIM_AGAIN)
        if due[1] is False:
            return [Way(point, due=(due,))]
        here, facts = self.others(point)
        here, choice = self.choice(here)
        none = self.model.take("got_all", here.state, choice)
        found = [Way(replace(here, state=none.after), (*facts, none.guard), (due,), value=False)]
        some = self.model.take("get", here.state, choice)
        after = self.model.take("rearm", some.after, choice)
        facts = (*facts, some.guard, after.guard, choice.size < 1 << 32)
        there = replace(here, state=after.after)
        more = self.known(there.state)
        return [*found, Way(there, (*facts, *more), (due,), value=True, choice=choice)]

    def again(self, point: Point) -> tuple[Point, tuple[Flag, ...]]:
        """Return the moment of any round of the loop that reclaims, before a chain comes back."""
        changed = ["num_free", "last_used", "tx_packets", "tx_bytes", "used_event", "sent_bytes", "frame"]
        names = [*changed, "times_freed", *(OTHERS_LINUX if self.model.linux is True else OTHERS)]
        return self.renewed(point, names)

    def add(self, point: Point, choice: Choice, segments: Any) -> list[Way]:
        """virtqueue_add of a frame with so many segments: taken, or refused for want of room."""
        due = self.at(point, Place.XMIT)
        if due[1] is False:
            return [Way(point, due=(due,))]
        here, facts = self.others(point)
        model, s = self.model, here.state
        right = ("the chain has the model's segments", segments == model.segments(choice))
        pieces = ("no more pieces than the table takes", model.may_be_sent(choice))
        fits = model.fits(s, choice)
        added = model.take("xmit", s, choice).after
        return [
            Way(replace(here, state=added), (*facts, fits), (due, right, pieces), value=True, choice=choice),
            Way(here, (*facts, no(fits)), (due, right, pieces), value=False, choice=choice),
        ]

    def dropped(self, point: Point, choice: Choice, why: Flag) -> Way:
        """start_xmit frees the frame itself: ``why`` says whether something speaks against sending it."""
        due = self.at(point, Place.XMIT)
        if due[1] is False:
            return Way(point, due=(due,))
        after = self.model.dropped(point.state, choice)
        return Way(replace(point, state=after), due=(due, ("a frame is dropped only for a reason", why)))

    def kick(self, point: Point) -> Way:
        """virtqueue_kick: notifies if the device wishes it."""
        point, choice = self.choice(point)
        return self.step(point, "kick", choice)

    def delayed(self, point: Point) -> list[Way]:
        """virtqueue_enable_cb_delayed: false if more was used than no interrupt may come for."""
        facts: tuple[Flag, ...] = ()
        due: tuple[Due, ...] = ()
        if point.state.at == Place.WAKE:
            point, facts, due = self._moved(point, "wake", Place.ENABLE, "no room, or none is woken")
        right = self.at(point, Place.ENABLE)
        if right[1] is False:
            return [Way(point, facts, (*due, right))]
        here, choice = self.choice(point)
        for name in ("enable", "delay"):
            here, more = self.others(here)
            facts = (*facts, *more)
            here = replace(here, state=self.model.take(name, here.state, choice).after)
        here, more = self.others(here)
        facts = (*facts, *more)
        after = self.model.take("look", here.state, choice).after
        late = _is(after.at, Place.RECLAIM_AGAIN)
        return [
            Way(
                replace(here, state=replace(after, at=place)),
                (*facts, flag),
                (*due, right),
                value=place == Place.IDLE,
            )
            for place, flag in ((Place.RECLAIM_AGAIN, late), (Place.IDLE, no(late)))
        ]

    def disabled(self, point: Point) -> Way:
        """virtqueue_disable_cb: by the callback first of all, else of a queue that was started again."""
        point, choice = self.choice(point)
        handler = point.state.handler
        if self.handling and isinstance(handler, int) and handler == Handler.CALLED:
            return self.step(point, "silence" if self.model.linux is True else "call", choice)
        return self.step(point, "disable", choice)

    def stopped(self, point: Point) -> Way:
        """netif_stop_subqueue."""
        return self._decided(point, "test_room", Place.ROOM, Place.ENABLE, "stopped only for want of room")

    def started(self, point: Point) -> Way:
        """netif_start_subqueue, by start_xmit; netif_wake_subqueue, by the callback."""
        if self.handling and self.model.linux is True:
            point, choice = self.choice(point)
            return self.step(point, "wake_blindly", choice)
        if self.handling and point.state.at == Place.WAKE:
            return self._decided(point, "wake", Place.WAKE, Place.IDLE, "woken only with room")
        what = "started again only with room"
        return self._decided(point, "restart", Place.RESTART, Place.DISABLE, what)

    def returned(self, point: Point) -> Way:
        """The code returns: what it left undone must be what the model leaves undone."""
        name = {Place.ROOM: "test_room", Place.RESTART: "restart"}.get(point.state.at)
        if name is not None and not (self.handling and self.model.linux is True):
            here = Place(point.state.at)
            return self._decided(point, name, here, Place.IDLE, f"nothing is left to do at {here.name}")
        if self.handling and self.model.linux is True:
            done = point.state.handler == Handler.NONE
            return Way(point, due=(("the callback has done all its steps", done),))
        return Way(point, due=(self.at(point, Place.IDLE),))

    def detached(self, point: Point) -> list[Way]:
        """virtqueue_detach_unused_buf, of a device that was reset: a chain in flight, or none."""
        here, choice = self.choice(point)
        s = here.state
        none = Way(here, (s.in_flight == 0,), value=False)
        some = self.model.take("detach", s, choice)
        facts = (s.in_flight >= 1, some.guard, choice.size < 1 << 32)
        there = replace(here, state=some.after)
        return [none, Way(there, (*facts, *self.known(some.after)), value=True, choice=choice)]

    def _decided(self, point: Point, name: str, here: Place, onward: Place, what: str) -> Way:
        right = self.at(point, here)
        if right[1] is False:
            return Way(point, due=(right,))
        point, facts, due = self._moved(point, name, onward, what)
        return Way(point, facts, (right, *due))

    def _moved(
        self, point: Point, name: str, onward: Place, what: str
    ) -> tuple[Point, tuple[Flag, ...], tuple[Due, ...]]:
        """Take a step that decides where to go by itself; the code has decided, too, and alike."""
        point, choice = self.choice(point)
        after = self.model.take(name, point.state, choice).after
        return replace(point, state=replace(after, at=onward)), (), ((what, _is(after.at, onward)),)


def _is(at: Any, place: Place) -> Flag:
    if isinstance(at, int):
        return at == place
    return z3.simplify(at == int(place))


def _named(at: Any) -> str:
    return Place(at).name if isinstance(at, int) else "some place"
