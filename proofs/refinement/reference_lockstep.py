"""The reference's virtqueue at work, and the step-wise model led beside it.

``Lockstep`` surrounds the queue: it hears of each access to the ring's memory, allocates its tables, and is
whom it notifies. Where the code reads what the device writes, device and interrupt handler have their turn
first, if anybody could tell by then that the operation is under way: until then it may as well start now.
Where the code writes what the device looks at, or notifies it, the model takes the step that does so, and
memory has to be the model's just before and just after.

An access that the model has no step for is let pass: a read gives what the device has written by then, a
write has to leave memory the model's. A step of the model without an access of the code is taken silently.
What is notified, allocated and released has to agree.
"""

from collections.abc import Callable, Sequence
from typing import Any

import z3

from ...model.size import OneSize
from ...model.steps.invariants import INVARIANTS
from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import Steps
from ...model.term import Flag, Step, both, store
from .explorer import Run
from .follower import Event, Follower, Point, interfered
from .reference_invariants import Instances, instances, term_like, widths
from .symbolic_int import Address, term_of
from .symbolic_ring import (
    DESC_FLAGS,
    ENTRY,
    Block,
    Memory,
    Misfit,
    Tokens,
    Window,
    descriptor_fields,
    in_range,
    ring_fields,
)

_READS = {
    "used.idx": Event.READ_USED_IDX,
    "used.id": Event.READ_ELEMENT,
    "used.flags": Event.READ_WISH,
    "used.avail_event": Event.READ_WISH,
}
_WRITES = {
    "avail.idx": Event.WRITE_AVAIL_IDX,
    "avail.flags": Event.WRITE_AVAIL_FLAGS,
    "avail.used_event": Event.WRITE_USED_EVENT,
}
_CALLS = (Event.ALLOCATE, Event.RELEASE, Event.NOTIFY, Event.CALL_BACK)
_DESCRIPTOR = ("addr", "len", *DESC_FLAGS.values(), "next")
SCALARS = ("avail_idx", "no_interrupt", "used_event", "used_idx", "no_notify", "avail_event")
ARRAYS = (*_DESCRIPTOR, "avail_ring", "used_ring")
ENTRIES = tuple(ENTRY + name for name in _DESCRIPTOR)
_DRIVERS = ("avail_idx", "no_interrupt", "used_event", *_DESCRIPTOR, "avail_ring", *ENTRIES)
_DEVICES = ("used_idx", "no_notify", "avail_event", "used_ring")
_WIDTHS = {"len": 32, "next": 16, "avail_ring": 16, "used_ring": 32, "used_len": 32}
_WIDTHS |= {ENTRY + name: bits for name, bits in _WIDTHS.items()}
_TABLE_ALIGNMENT = 16

ANY = z3.Int("any_index")
ANY_TABLE = z3.Int("any_table")
ANY_ENTRY = z3.Int("any_entry")
USED_LEN = z3.Function("used_len", z3.IntSort(), z3.IntSort())


class Lockstep:
    """One run of an operation, and the model of it.

    ``starts`` are the steps that the operation may begin with, ``ends`` where the model is when it is over.
    ``handler`` says that it is the interrupt handler's. ``shared`` is kept by all runs of one exploration:
    what the model does depends on its way alone, so that runs that go the same way build it once.
    """

    def __init__(
        self,
        run: Run,
        queue_size: int,
        moment: Moment,
        choice: Choice,
        starts: Sequence[str],
        ends: Pc = Pc.IDLE,
        *,
        handler: bool = False,
        honest: bool = True,
        shared: dict[Any, Any] | None = None,
    ) -> None:
        self.run = run
        self.queue_size = queue_size
        self.model = Steps(OneSize(queue_size))
        self.choice = choice
        self.follower = Follower(self.model, choice, starts, ends)
        self.handler = handler
        self.honest = honest
        self.start = self.moment = moment
        self.taken: tuple[str, ...] = ()
        self._way: tuple[Any, ...] = (self.follower.starts,)
        """What has happened to the model: the steps it took, and the turns of others."""
        self._shared = {} if shared is None else shared
        self.at: dict[str, Moment] = {}
        """The moment at which each step was taken last."""
        self.anchors = [moment]
        """The moments of which every invariant may be assumed."""
        self.turns: list[tuple[Moment, Moment]] = []
        """The moments before and after others had their turn."""
        cells = {name: getattr(moment, name) for name in (*SCALARS, *ARRAYS, *ENTRIES)}
        self.memory = Memory(run, {**cells, "used_len": USED_LEN})
        self.base = dict(self.memory.cells)
        self.data = Tokens(run, moment.data, queue_size, self)
        self.allocated: Any = moment.allocated
        self.sizes: Any = moment.size
        self.queue: Any = None
        self.index = object()
        self.private: Callable[[], list[tuple[str, Any, Any]]] = list
        """Returns the private state that is not the model's."""
        self.kicked = False
        self.notified = 0
        self.called = 0
        self.asked: int | None = None
        """How many bytes were asked for, for a table."""
        self.got = False
        self._stuck = False
        self._seen = False
        """Whether others could tell, or tell by now, that the operation is under way."""
        self._compared: dict[tuple[int, int], tuple[Any, Any, Any, Any]] = {}
        self._told: dict[int, Any] = {}

    def block(self, avail: int, used: int, size: int) -> Block:
        """Return the ring's memory, its parts at 0, ``avail`` and ``used``."""
        return Block(self.memory, size, ring_fields(self.queue_size, avail, used))

    # -- what surrounds the queue ---------------------------------------------------------------------

    def allocate(self, size: int, alignment: int) -> Address | None:
        """Allocate a table, if there is memory for it."""
        if self.asked is not None:
            raise Misfit("memory is asked for twice")
        self.asked = size
        self.run.require("a table is aligned", alignment % _TABLE_ALIGNMENT == 0)
        self.run.require("a table is of whole descriptors", size % 16 == 0)
        if not self.run.decide(z3.Bool("memory")):
            return None
        table, entries = self.choice.table, size // 16
        free = {
            "the table was free": z3.Not(self.allocated(table)),
            "tables are few": both(self.model.size.admits_table(table, entries)),
        }
        self.run.assume(free)
        self.got = True
        self.follower = Follower(self.model, self.choice, ("add_in_table",), self.follower.ends)
        self._way = (*self._way, self.follower.starts)
        self._call(Event.ALLOCATE)
        self.allocated = store(self.allocated, table, True)
        self.sizes = store(self.sizes, table, entries)
        return self.run.address(table)

    def view(self, address: Any, size: int) -> Window:
        """Return the bytes of a table."""
        table = term_of(address)
        self.run.require(
            "a table is its own memory", both(self.allocated(table), self.sizes(table) * 16 >= size)
        )
        return Block(self.memory, size, descriptor_fields(size // 16, ENTRY), table).window()

    def kick(self) -> None:
        """Stand for the queue's own kick, of which it is shown apart that it takes the model's steps.

        That is shown from any moment at which the model prepares a kick, so the queue has to be as the model
        is there. Afterwards it is as a kick leaves it: nothing is added since, and others had their turn.
        """
        if self._next() is not Event.READ_WISH or self.taken[-1:] != ("prepare",):
            type(self.queue).kick(self.queue)
            return
        after, self.moment = self.moment, self.at["prepare"]
        for name, code, model in (*self.private(), *self.after_differences()):
            self.run.require(f"{name} is as in the model where it kicks", code == model)
        self.moment, self.kicked, self._stuck = after, True, True
        self.queue.num_added = self.run.number(term_like(after.num_added))
        self._interfere()

    def release(self, address: Any, size: Any) -> None:
        """Take a table back."""
        table = term_of(address)
        whole = self.sizes(table) * 16 == term_of(size)
        self.run.require("what is released was allocated", both(self.allocated(table), whole))
        self._call(Event.RELEASE)
        self.allocated = store(self.allocated, table, False)

    def notify(self, index: Any) -> None:
        """Be notified."""
        self.run.require("the device is notified of this queue", index is self.index)
        self.notified += 1
        self._call(Event.NOTIFY)

    def call_back(self) -> None:
        """Be the callback: it switches callbacks off, as Linux 3.11's skb_xmit_done does."""
        self.called += 1
        self._call(Event.CALL_BACK)
        self.queue.disable_cb()

    # -- accesses to memory -----------------------------------------------------------------------------

    def reads(self, name: str) -> None:
        """Have the others their turn before what they write is read."""
        event = _READS.get(name)
        self._seen |= name == "avail.flags"
        if event is not None:
            self._read(event)
        elif name in ("desc.flags", "desc.next"):
            self._catch_up()

    def loaded(self, cell: str, *key: Any) -> None:
        """Take to be known what the invariants, and the width of words, say of what lay there before."""
        if cell == "data":
            if self.follower.starts == ("scan",) and isinstance(key[0], int):
                self.run.assume(self.about(z3.IntVal(key[0]), ()))
            return
        value = self.base[cell](*key)
        if not isinstance(value, z3.ExprRef) or value.get_id() in self._told:
            return
        self._told[value.get_id()] = value
        if cell == "next":
            model = Steps(Instances(self.queue_size, key))
            self.run.assume({"next-in-range": INVARIANTS["next-in-range"].holds(model, self.start)})
        elif cell in _WIDTHS:
            self.run.assume({f"{cell} has its width": in_range(value, 1 << _WIDTHS[cell])})

    def writes(self, name: str) -> None:
        """Lead the model to where it writes what is about to be written."""
        event = _WRITES.get(name)
        if event is None:
            return
        if self._lead(event):
            self.agrees(f"{name} is about to be written")
            self._step()

    def written(self, name: str) -> None:
        """Compare memory after what the device looks at was written."""
        if name in _WRITES:
            self.agrees(f"{name} was written")

    # -- the model ------------------------------------------------------------------------------------

    def about(self, descriptor: Any, numbers: Sequence[Any]) -> dict[str, Flag]:
        """Return what invariants say of a descriptor, and of sequence numbers."""
        anchor = self.anchors[-1]
        known: dict[str, Flag] = self._once(
            ("about", descriptor.get_id()), lambda: instances(anchor, self.queue_size, (descriptor,), numbers)
        )
        return known

    def finish(self) -> None:
        """Lead the model to where its operation is over."""
        while (event := self._next()) is not None:
            if event in _CALLS:
                self.run.require(f"{event.value}, as in the model", False)
                return
            self._step()

    def agrees(self, where: str) -> None:
        """Note that what the driver writes to memory has to be what the model has written."""
        for name, code, model in self.differences((*_DRIVERS, *_DEVICES)):
            self.run.require(f"{name} is as in the model where {where}", code == model)

    def differences(self, names: Sequence[str]) -> list[tuple[str, Any, Any]]:
        """Return the cells that are not the same term in memory and in the model, at any index."""
        found = []
        for name in names:
            code, model = self.memory.cells[name], getattr(self.moment, name)
            if code is model:
                continue
            pair = id(code), id(model)
            if pair not in self._compared:
                self._compared[pair] = code, model, *_at_any(name, code, model)
            _, _, one, other = self._compared[pair]
            if not one.eq(other):
                found.append((name, one, other))
        return found

    def after_differences(self) -> list[tuple[str, Any, Any]]:
        """Return what is not the same term as the model's of memory, the allocator's books included."""
        cells = self.differences((*SCALARS, *ARRAYS, *ENTRIES))
        lengths = self.memory.cells["used_len"](ANY), self.base["used_len"](ANY)
        allocated = self.allocated(ANY_TABLE), self.moment.allocated(ANY_TABLE)
        sizes = self.sizes(ANY_TABLE), self.moment.size(ANY_TABLE)
        pairs = {"used_len": lengths, "allocated": allocated, "size": sizes}
        terms = [(name, term_like(code), term_like(model)) for name, (code, model) in pairs.items()]
        return cells + [(name, code, model) for name, code, model in terms if not code.eq(model)]

    def _call(self, event: Event) -> None:
        matched = self._lead(event)
        self.run.require(f"{event.value} where it is in the model", matched)
        if matched:
            self.agrees(event.value)
            self._step()

    def _read(self, event: Event) -> None:
        matched = self._lead(event)
        # Before anything was done the moment is any as it is; and no interrupt comes while one is handled.
        if self._seen or (self.taken and not self.handler) or not matched:
            self._interfere()
        if matched:
            self._step()

    def _interfere(self) -> None:
        """Have device and handler their turn."""
        self.agrees("the device may look")
        written, given = self.memory.cells["used_len"], self.base["used_len"]
        if written is not given:
            self.run.require("used_len is left alone", written(ANY) == given(ANY))
        wanted = term_of(self.queue.callbacks_wanted) == term_like(self.moment.wanted)
        self.run.require("callbacks_wanted is as in the model where an interrupt may come", wanted)
        mark = self.run.fresh("~")
        before, self._way = self.moment, (*self._way, mark)
        self.moment = self._once("interfered", lambda: interfered(before, mark))
        self.turns.append((before, self.moment))
        for name in (*_DEVICES, "no_interrupt"):
            self.memory.cells[name] = self.base[name] = getattr(self.moment, name)
        lengths = z3.Function(f"used_len{mark}", z3.IntSort(), z3.IntSort())
        self.memory.cells["used_len"] = self.base["used_len"] = lengths
        self.queue.callbacks_wanted = self.run.truth(self.moment.wanted)
        self.run.assume(widths(self.moment))
        self.run.assume({"used_idx has 16 bits": in_range(self.moment.used_idx, 1 << 16)})

    def _lead(self, event: Event) -> bool:
        """Lead the model to the step that makes the event, through steps without and accesses of others."""
        while (found := self._next()) is not event:
            if found is None or found in _CALLS:
                return False
            if found in _READS.values() and event is Event.READ_USED_IDX:
                return False
            self._step()
        return True

    def _enabled(self) -> list[tuple[str, Step[Moment]]]:
        if self._stuck:
            return []
        if not self.handler:
            point = Point(self.moment, (), self.taken)
            steps: list[tuple[str, Step[Moment]]] = self._once(
                "enabled", lambda: self.follower.enabled(point)
            )
            return steps
        names = ("interrupt", "handle", "call_back")[len(self.taken) : len(self.taken) + 1]
        return [(name, self.model.take(name, self.moment, self.choice)) for name in names]

    def _next(self) -> Event | None:
        """Take silent steps up to an event, and return it, or none at the end."""
        while True:
            steps = self._enabled()
            reads = {self._reading(name) for name, _ in steps}
            if len(reads) == 1 and None not in reads:
                return reads.pop()
            name = self._chosen(steps)
            if name is None:
                return None
            event = next(
                event
                for event, condition in self.follower.events(name, self.moment)
                if self.run.settle(condition)
            )
            if event is not None and event is not Event.READ_WANTED:
                return event
            self._take(name)

    def _reading(self, name: str) -> Event | None:
        """Return the event of a step that only makes sense once others have had their turn."""
        (event, _), *_ = self.follower.events(name, self.moment)
        return event if event in _READS.values() else None

    def _chosen(self, steps: Sequence[tuple[str, Step[Moment]]]) -> str | None:
        for name, step in steps:
            if self.run.settle(step.guard):
                return name
        if steps:
            self._stuck = True
            if self.taken and self.taken[-1] != "handle":
                names = " or ".join(name for name, _ in steps)
                self.run.require(f"the model goes on by {names}", False)
        return None

    def _step(self) -> None:
        """Take the step that comes next, which makes an event."""
        self._seen = True
        if self.moment.pc == Pc.ELEMENT:
            head = self.model.used_head(self.moment)
            if not self.honest:
                good = term_like(self.model.is_good(self.moment, head))
                self.run.assume({"the id is not one that can be": z3.Not(good)})
                self._stuck = True
                return
            self.anchors.append(self.moment)
            self.run.assume(self.about(head, (self.moment.last_used,)))
        name = self._chosen(self._enabled())
        if name is not None:
            self._take(name)

    def _take(self, name: str) -> None:
        self.at[name] = self.moment
        here = Point(self.moment, (), self.taken)
        points: list[Point] = self._once(name, lambda: list(self.follower.take(here, name)))
        for nth, point in enumerate(points):
            if all(self.run.settle(condition) for condition in point.path):
                self.moment, self.taken = point.moment, point.taken
                self._way = (*self._way, (name, nth))
                break
        else:
            raise Misfit(f"{name} leads nowhere")
        if self.moment.pc == Pc.WALK:
            walking = self._once("walking", lambda: INVARIANTS["walking"].holds(self.model, self.moment))
            self.run.assume({"walking": walking})

    def _once(self, what: Any, build: Callable[[], Any]) -> Any:
        """Build something of the model on its way so far, unless another run on the same way has built it."""
        key = what, self._way
        if key not in self._shared:
            self._shared[key] = build()
        return self._shared[key]

    def _catch_up(self) -> None:
        """Take the silent steps of which all is decided already."""
        while self.taken or len(self.follower.starts) == 1:
            name = next((name for name, step in self._enabled() if self.run.known(step.guard)), None)
            if name is None:
                return
            events = self.follower.events(name, self.moment)
            if not any(event is None and self.run.known(condition) for event, condition in events):
                return
            self._take(name)


def _at_any(name: str, code: Any, model: Any) -> tuple[Any, Any]:
    """Return what memory and model hold in a cell, at any index."""
    index = (ANY_TABLE, ANY_ENTRY) if name in ENTRIES else (ANY,) if callable(code) else ()
    if index:
        code, model = code(*index), model(*index)
    return term_like(code), term_like(model)
