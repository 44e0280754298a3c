"""A state in which the reference's virtqueue fails, replayed on the concrete class and real bytes.

The state is written into an arena's memory word by word and into the object's attributes, the operation is
called, and what it did is compared with what the step-wise model does in plain numbers. Tables get the
addresses that the arena gives them.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from errno import EINVAL, ENOSPC
from types import ModuleType
from typing import Any

from ...model.size import Plain
from ...model.steps.moment import Choice, Moment, Pc
from ...model.steps.queue import Steps
from .follower import Follower, Point
from .reference_object import NUMBERS, module

_INDEX = 5
_BITS = {"addr": 64, "len": 32, "next": 16, "avail_ring": 16, "used_ring": 32, "used_len": 32}
_BITS |= {"used_event": 16, "avail_event": 16, "entry_addr": 64, "entry_len": 32, "entry_next": 16}
_STARTS: dict[str, tuple[str, ...]] = {
    "add": ("add_in_ring", "add_refused"),
    "add without a token": (),
    "kick_prepare": ("prepare",),
    "kick": ("prepare",),
    "notify": ("notify",),
    "get_buf": ("look", "look_in_vain"),
    "get_buf of any id": ("look", "look_in_vain"),
    "get_buf of a broken queue": (),
    "detach_unused_buf": ("scan",),
    "disable_cb": ("disable_cb",),
    "enable_cb_prepare": ("enable_cb",),
    "poll": ("poll",),
    "enable_cb": ("enable_cb",),
    "enable_cb_delayed": ("enable_cb_delayed",),
    "interrupt": ("interrupt", "handle", "call_back"),
}
_ENDS = {"kick_prepare": Pc.NOTIFY, "enable_cb_prepare": Pc.POLL}


class Unreplayable(ValueError):  # noqa: N818
    """A counterexample can't be replayed: others come between, or it is of no operation known here."""


def replay(counterexample: dict[str, Any], package: ModuleType) -> str | None:
    """Run the operation of a counterexample on the concrete reference; return what goes wrong, or None.

    Raises Unreplayable if the counterexample needs somebody to come between two accesses.
    """
    if counterexample["operation"] == "construction":
        return construction(package, counterexample["queue_size"], **counterexample["arguments"])
    if counterexample["operation"] not in _STARTS or not counterexample["undisturbed"]:
        raise Unreplayable("the device or an interrupt comes between two accesses")
    return _Replay(counterexample, package).wrong()


def construction(
    package: ModuleType,
    queue_size: int,
    layout: str,
    mended: bool,
    event: bool,
    indirect: bool,
    callback: bool,
) -> str | None:
    """Make a queue on memory that was never cleared; return how it differs from the model's, or None."""
    model = Steps(Plain(queue_size), event_idx=event, indirect_desc=indirect, mended=mended)
    moment = model.initial()
    if not callback:
        moment = model.disable_cb(moment, _choice({})).after
    native = _Native(package, model, layout, callback=callback)
    return native.difference(moment, [0] * queue_size, set(), broken=False)


class _Native:
    """A concrete queue of the reference, and what is seen of it from outside."""

    def __init__(self, package: ModuleType, model: Steps, layout: str, *, callback: bool = True) -> None:
        code, profiles = module(package, "virtqueue"), module(package, "profile")
        self.count = model.queue_size
        self.arena = module(package, "arena").Arena()
        self.notified: list[Any] = []
        self.called = 0
        features = model.event_idx * (1 << 29) | model.indirect_desc * (1 << 28)
        self.queue, self.address = code.vring_new_virtqueue(
            module(package, "layout").LAYOUTS[layout](self.count),
            self.arena,
            self.notified.append,
            index=_INDEX,
            features=features,
            profile=profiles.VIRTIO_1_X if model.mended else profiles.LINUX_3_11,
            callback=self._call_back if callback else None,
        )
        used_alignment = 4096 if layout == "legacy" else 4
        self.avail = 16 * self.count
        self.used = -(-(self.avail + 6 + 2 * self.count) // used_alignment) * used_alignment
        self.tables: dict[int, int] = {}
        """The address of each of the model's tables."""

    def _call_back(self) -> None:
        self.called += 1
        self.queue.disable_cb()

    def words(self, s: Moment, lengths: Sequence[int]) -> dict[str, tuple[str, int, int]]:
        """Return each word of the ring, and of the tables: its form, its address and its value."""
        words: dict[str, tuple[str, int, int]] = {}

        def put(name: str, form: str, offset: int, value: Any, base: int = self.address) -> None:
            words[name] = form, base + offset, int(value)

        def descriptor(name: str, offset: int, base: int, values: tuple[Any, ...]) -> None:
            addr, length, has_next, writes, indirect, link = values
            put(f"{name}.addr", "<Q", offset, addr, base)
            put(f"{name}.len", "<I", offset + 8, length, base)
            put(f"{name}.flags", "<H", offset + 12, has_next | writes << 1 | indirect << 2, base)
            put(f"{name}.next", "<H", offset + 14, link, base)

        for i in range(self.count):
            addr = self.tables.get(s.addr(i), s.addr(i)) if s.indirect(i) else s.addr(i)
            values = addr, s.len(i), s.has_next(i), s.writes(i), s.indirect(i), s.next(i)
            descriptor(f"desc[{i}]", 16 * i, self.address, values)
            put(f"avail.ring[{i}]", "<H", self.avail + 4 + 2 * i, s.avail_ring(i))
            put(f"used.ring[{i}].id", "<I", self.used + 4 + 8 * i, s.used_ring(i))
            put(f"used.ring[{i}].len", "<I", self.used + 8 + 8 * i, lengths[i])
        put("avail.flags", "<H", self.avail, s.no_interrupt)
        put("avail.idx", "<H", self.avail + 2, s.avail_idx)
        put("avail.used_event", "<H", self.avail + 4 + 2 * self.count, s.used_event)
        put("used.flags", "<H", self.used, s.no_notify)
        put("used.idx", "<H", self.used + 2, s.used_idx)
        put("used.avail_event", "<H", self.used + 4 + 8 * self.count, s.avail_event)
        for t, base in self.tables.items():
            for i in range(s.size(t) if s.allocated(t) else 0):
                values = (
                    s.entry_addr(t, i), s.entry_len(t, i), s.entry_has_next(t, i), s.entry_writes(t, i),
                    s.entry_indirect(t, i), s.entry_next(t, i),
                )  # fmt: skip
                descriptor(f"table {t}, entry {i}", 16 * i, base, values)
        return words

    def difference(self, s: Moment, lengths: Sequence[int], tables: set[int], *, broken: bool) -> str | None:
        """Return the first thing that is not as the model says, or None."""
        queue = self.queue
        for name in NUMBERS:
            if getattr(queue, name) != getattr(s, name):
                return f"{name} is {getattr(queue, name)}, not {getattr(s, name)}"
        if queue.callbacks_wanted != s.wanted:
            return f"callbacks_wanted is {queue.callbacks_wanted}"
        if queue.broken != broken:
            return f"broken is {queue.broken}"
        for i in range(self.count):
            token = queue.data[i]
            if (0 if token is None else token.number) != s.data(i):
                return f"data[{i}] is {token}, not {s.data(i) or None}"
        live = {address for address in self.arena.live if address != self.address}
        if live != {self.tables[t] for t in tables}:
            return f"{len(live)} tables are allocated, not {len(tables)}, or others"
        start = self.arena.memory
        for name, (form, address, value) in self.words(s, lengths).items():
            (found,) = struct.unpack_from(form, start, address - _base(self.arena))
            if found != value:
                return f"{name} is {found}, not {value}"
        return None


@dataclass(frozen=True)
class _Token:
    """A token: an object that stands for a number."""

    number: int


class _Replay:
    """One replay of one counterexample."""

    def __init__(self, shown: dict[str, Any], package: ModuleType) -> None:
        self.shown = shown
        self.operation: str = shown["operation"]
        self.arguments: dict[str, Any] = shown["arguments"]
        queue_size: int = shown["queue_size"]
        self.model = Steps(
            Plain(queue_size),
            event_idx=shown["event_idx"],
            indirect_desc=shown["indirect_desc"],
            mended=shown["mended"],
        )
        self.before = _moment(shown["before"])
        self.lengths = [length % (1 << 32) for length in shown["before"]["used_len"]]
        self.choice = _choice(self.arguments)
        self.native = _Native(package, self.model, "modern")
        self.live = {t for t in range(queue_size + 1) if self.before.allocated(t)}
        self._write()

    def wrong(self) -> str | None:
        """Run queue and model; return what is different."""
        try:
            result = self._call()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        point, bad = self._model()
        after, taken = point.moment, point.taken
        expected = self._expected(after, taken)
        if result != expected:
            return f"{result} is returned, not {expected}"
        notified = [_INDEX] * taken.count("notify")
        if self.native.notified != notified:
            return f"the device is notified {len(self.native.notified)} times, not {len(notified)}"
        if self.native.called != taken.count("call_back"):
            return f"the callback is called {self.native.called} times"
        live = {t for t in range(self.native.count + 1) if after.allocated(t)}
        if not live <= self.native.tables.keys():
            return "no memory is asked for, for a table"
        broken = bad or self.operation == "get_buf of a broken queue"
        return self.native.difference(after, self.lengths, live, broken=broken)

    def _write(self) -> None:
        """Write the state before into memory and object."""
        native, s = self.native, self.before
        for t in sorted(self.live):
            address = native.arena.allocate(16 * s.size(t), 16)
            if address is None:
                raise Unreplayable("the arena has no room for the tables")
            native.tables[t] = address
        for form, address, value in native.words(s, self.lengths).values():
            struct.pack_into(form, native.arena.memory, address - _base(native.arena), value)
        for name in NUMBERS:
            setattr(native.queue, name, getattr(s, name))
        native.queue.callbacks_wanted = s.wanted
        native.queue.broken = self.operation == "get_buf of a broken queue"
        tokens = [s.data(i) for i in range(native.count)]
        native.queue.data = [_Token(token) if token else None for token in tokens]
        native.arena.fail = not self.shown["memory"]
        self._watch_allocation()

    def _watch_allocation(self) -> None:
        """Learn the address of a table that the operation allocates."""
        native, allocate = self.native, self.native.arena.allocate

        def watched(size: int, alignment: int) -> int | None:
            address: int | None = allocate(size, alignment)
            if address is not None:
                native.tables[self.choice.table] = address
            return address

        native.arena.allocate = watched

    def _call(self) -> Any:
        queue, c = self.native.queue, self.arguments
        if self.operation in ("add", "add without a token"):
            segments = list(zip(c["segment_addr"], c["segment_len"], strict=True))
            outs = c.get("outs", 1)
            token = _Token(c["token"]) if self.operation == "add" else None
            return queue.add(segments[:outs], segments[outs:], token)
        if self.operation == "poll":
            return queue.poll(queue.last_used_idx)
        return getattr(queue, self.operation.split()[0])()

    def _model(self) -> tuple[Point, bool]:
        """Lead the model through the operation; tell also whether it met an id that can't be."""
        model, choice, starts = self.model, self.choice, _STARTS[self.operation]
        s = self.before
        if self.operation == "add" and self.shown["memory"] and model.add_in_table(s, choice).guard:
            starts = ("add_in_table",)
        follower = Follower(
            model,
            choice,
            starts[:1] if self.operation == "interrupt" else starts,
            _ENDS.get(self.operation, Pc.IDLE),
        )
        point = Point(s)
        while True:
            if self.operation == "interrupt":
                nth = len(point.taken)
                steps = [(n, model.take(n, point.moment, choice)) for n in starts[nth : nth + 1]]
            else:
                steps = follower.enabled(point)
            enabled = [name for name, step in steps if step.guard]
            if not enabled:
                return point, self.operation == "get_buf of any id" and point.moment.pc == Pc.ELEMENT
            (point,) = follower.take(Point(point.moment, (), point.taken), enabled[0])

    def _expected(self, s: Moment, taken: tuple[str, ...]) -> Any:
        """Return what the operation returns by the model, which has taken these steps."""
        model, before = self.model, self.before
        results: dict[str, Callable[[], Any]] = {
            "add": lambda: 0 if "publish" in taken else -ENOSPC if "add_refused" in taken else -EINVAL,
            "add without a token": lambda: -EINVAL,
            "kick_prepare": lambda: s.pc == Pc.NOTIFY,
            "get_buf": lambda: (
                (_Token(s.result), self.lengths[before.last_used_idx % self.native.count])
                if "read_element" in taken
                else None
            ),
            "detach_unused_buf": lambda: _Token(s.result) if "scan_finds" in taken else None,
            "enable_cb_prepare": lambda: before.last_used_idx,
            "poll": lambda: model.is_late(s),
            "enable_cb": lambda: not model.is_late(s),
            "enable_cb_delayed": lambda: not model.is_late(s),
            "interrupt": lambda: model.calls_back(before),
        }
        return results.get(self.operation, lambda: None)()


def _base(arena: Any) -> int:
    """Return the address at which an arena's memory begins: where the first block lies, which is the ring."""
    return int(min(arena.live))


def _moment(shown: dict[str, Any]) -> Moment:
    """Return the moment of a counterexample in plain numbers, each word cut to its width."""
    parts = {field.name: _part(field.name, shown[field.name]) for field in fields(Moment)}
    return replace(Moment(**parts), pc=Pc(shown["pc"]))


def _part(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return lambda k: value.get(str(k), 0)
    if not isinstance(value, list):
        return _cut(name, value)
    if isinstance(value[0], list):
        nothing = type(value[0][0])()
        return lambda t, i: _cut(name, value[t][i]) if 0 <= t < len(value) and i < len(value[t]) else nothing
    outside = type(value[0])()
    return lambda i: _cut(name, value[i]) if 0 <= i < len(value) else outside


def _cut(name: str, value: Any) -> Any:
    return value % (1 << _BITS[name]) if name in _BITS else value


def _choice(arguments: dict[str, Any]) -> Choice:
    """Return the arguments of a call as the model takes them."""
    addr, length = arguments.get("segment_addr", []), arguments.get("segment_len", [])
    return Choice(
        token=arguments.get("token", 0),
        segments=len(addr),
        outs=arguments.get("outs", 0),
        segment_addr=lambda i: addr[i] if i < len(addr) else 0,
        segment_len=lambda i: length[i] if i < len(length) else 0,
        table=arguments.get("table", 0),
        head=0,
        event=0,
        flag=False,
    )
