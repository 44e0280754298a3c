"""The step-wise model and the Python reference side by side, kept in step, and compared.

The model runs on plain numbers. What the reference's allocator and the device at hand choose is told to it
(addresses of tables, which chain comes back); every decision of the driver is its own, and memory, private
state, return values and notifications must be the reference's. The reference may be stopped at each access
that begins a statement: device and interrupt handler take steps there, in both.

The model has no broken queue, no lengths of used elements, and a callback always: these are not compared.
"""

import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from errno import EINVAL, ENOSPC
from typing import Any, SupportsIndex

import pytest

from ringproof.impl.reference import virtqueue
from ringproof.impl.reference.arena import Arena
from ringproof.impl.reference.layout import legacy
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, LINUX_3_11, VIRTIO_1_X
from ringproof.impl.reference.virtqueue import Virtqueue
from ringproof.impl.reference.vring import Descriptors, Vring
from ringproof.model.steps.moment import Choice, Pc
from ringproof.model.steps.queue import DEVICE, DRIVER, HANDLER, Steps
from ringproof.proofs.search.steps import HOME, Cells, frozen, nothing

WORD = 1 << 16
BEGINS = {
    "fill_entry": "table.flags=", "end_table": "table.flags=", "take_descriptor": "num_free=",
    "fill_descriptor": "desc.flags=", "end_chain": "desc.flags=", "remember": "data=",
    "write_slot": "avail.ring=", "publish": "avail.idx=", "count_add": "num_added=", "prepare": "num_added=",
    "notify": "notify", "look": "used.idx", "look_in_vain": "used.idx", "read_element": "used.id",
    "detach": "data=", "walk": "desc.flags", "give": "desc.flags", "advance": "last_used_idx=",
    "rearm": "avail.used_event=",
    "disable_cb": "callbacks_wanted=", "enable_cb": "callbacks_wanted=",
    "enable_cb_delayed": "callbacks_wanted=", "poll": "used.idx", "retract": "avail.idx=",
}  # fmt: skip
"""The access of the reference that begins a statement of the model: a load, or with ``=`` a store.

What begins decide, ask and arm depends on what was negotiated, and on the profile.
"""
ASKS = ("avail.flags", "callbacks_wanted")
"""Where the reference keeps whether callbacks are on: get_buf looks, others load it to store it anew."""

TURNS = (*HANDLER, *HANDLER, "handle", "call_back", *DEVICE, "device_reads", "device_stages")
"""Whose turn it is where the driver is stopped: each step as often as it is here."""

Hook = Callable[[str], None]


class Words:
    """An array in memory, of which each access is told."""

    def __init__(self, memory: "memoryview[int]", name: str, hook: Hook) -> None:
        self.memory, self.name, self.hook = memory, name, hook

    def __getitem__(self, index: int) -> int:
        self.hook(self.name)
        return self.memory[index]

    def __setitem__(self, index: int, value: int) -> None:
        self.hook(f"{self.name}=")
        self.memory[index] = value


class Told:
    """A part of a ring, of which each access is told."""

    def __init__(self, part: Any, name: str, hook: Hook, arrays: Iterable[str]) -> None:
        words = {array: Words(getattr(part, array), f"{name}.{array}", hook) for array in arrays}
        self.__dict__.update(words, told=(part, name, hook))

    def __getattr__(self, word: str) -> Any:
        part, name, hook = self.__dict__["told"]
        hook(f"{name}.{word}")
        return getattr(part, word)

    def __setattr__(self, word: str, value: int) -> None:
        part, name, hook = self.__dict__["told"]
        hook(f"{name}.{word}=")
        setattr(part, word, value)


class Tokens(list[Any]):
    """The driver's tokens, of which each store is told."""

    hook: Hook

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        self.hook("data=")
        super().__setitem__(index, value)


class Memory(Arena):
    """An arena that notes what it handed out last."""

    given: int | None = None

    def allocate(self, size: int, alignment: int) -> int | None:
        """Allocate as ever."""
        self.given = super().allocate(size, alignment)
        return self.given


class Watched(Virtqueue):
    """The reference, with stores to its private numbers told, and looks at whether callbacks are on."""

    def __getattribute__(self, name: str) -> Any:
        if name == "callbacks_wanted":
            self.__dict__["hook"](name)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("num_free", "num_added", "last_used_idx", "callbacks_wanted"):
            self.__dict__["hook"](f"{name}=")
        super().__setattr__(name, value)


class Both:
    """The reference and the model, kept in step; ``stopping`` also in mid-operation."""

    def __init__(self, model: Steps, rng: random.Random, start: tuple[int, int], *, stopping: bool) -> None:
        self.model, self.rng, self.stopping = model, rng, stopping
        self.size, (index, unkicked) = int(model.queue_size), start
        self.listening = False
        self.begin: tuple[str, ...] = ()
        self.begun: str | None = None
        self.seen: tuple[tuple[Any, ...], str | None] | None = None
        self.forced = self.questions = 0
        self.choice: Choice = nothing()
        self.notified = self.rung = self.stops = 0
        self.tests_indirect = self.owed = False
        self.taken: set[str] = set()

        layout, self.arena = legacy(self.size), Memory()
        address = self.arena.allocate(layout.size, layout.alignment)
        assert address is not None
        self.ring_address, self.block = address, self.arena.view(address, layout.size)
        self.block[:] = bytes(layout.size)
        self.raw, self.used_at = Vring(self.block, layout), layout.used
        told: Any = Vring(self.block, layout)
        told.desc = Told(self.raw.desc, "desc", self.on, ("addr", "flags", "len", "next"))
        told.avail = Told(self.raw.avail, "avail", self.on, ("ring",))
        told.used = Told(self.raw.used, "used", self.on, ("id", "len"))
        self.queue = Watched.__new__(Watched)
        self.queue.__dict__["hook"] = self.on
        features = model.event_idx * F_EVENT_IDX | model.indirect_desc * F_INDIRECT_DESC
        profile = VIRTIO_1_X if model.mended else LINUX_3_11
        Virtqueue.__init__(
            self.queue, told, self.arena, self.ring, features=features, profile=profile, callback=self.owe
        )
        tokens = Tokens(self.queue.data)
        tokens.hook = self.on
        self.queue.data = tokens

        idx = index % WORD
        self.queue.last_used_idx = self.raw.avail.idx = self.raw.avail.used_event = idx
        self.queue.num_added = unkicked
        self.put(2, idx)
        counts = ("published", "read", "staged", "used", "last_used", "signalled", "seen", "event")
        indices = ("avail_idx", "used_idx", "last_used_idx", "used_event")
        at: dict[str, Any] = dict.fromkeys(counts, index) | dict.fromkeys(indices, idx)
        made = replace(model.initial(), **at, last_kick=index - unkicked, num_added=unkicked)
        self.s = frozen(model, made)
        self.compare()

    def put(self, offset: int, word: int, width: int = 2) -> None:
        """Write into the used ring, as the device does."""
        at = self.used_at + offset
        self.block[at : at + width] = word.to_bytes(width, "little")

    def ring(self, _: int) -> None:
        """Be notified by the reference."""
        self.on("notify")
        self.rung += 1

    def owe(self) -> None:
        """Be called back by the reference's handler. What the callback does comes later, at call_back."""
        assert not self.owed
        self.owed = True

    # The model.

    def go(self, name: str, choice: Choice | None = None) -> None:
        """Let the model take a step, which must be possible."""
        step = self.model.take(name, self.s, choice or self.choice)
        assert step.guard, name
        self.s = frozen(self.model, step.after)
        self.taken.add(name)
        self.notified += name == "notify"
        self.forced += name == "count_add" and self.s.pc == Pc.PREPARE
        self.begun = name if name in self.begin else self.begun
        self.begin = () if self.s.pc != Pc.IDLE or name in self.begin else self.begin
        self.tests_indirect = name == "detach"

    def next(self) -> str | None:
        """Return the driver's next step, of which there is at most one; at rest, that which begins.

        It is looked for where the driver is, and now and then among all its steps.
        """
        table = self.arena.given or 0
        if self.choice.table != table:
            self.choice = replace(self.choice, table=table)
        known = self.s, self.choice, self.begin
        if self.seen is None or any(one is not other for one, other in zip(known, self.seen[0], strict=True)):
            self.questions += 1
            here = (
                DRIVER
                if self.questions % 16 == 0
                else [name for name in DRIVER if HOME.get(name) == self.s.pc]
            )
            begins = self.begin if self.s.pc == Pc.IDLE else here
            possible = [name for name in begins if self.model.take(name, self.s, self.choice).guard]
            assert len(possible) <= 1, possible
            assert possible or self.s.pc == Pc.IDLE
            self.seen = known, possible[0] if possible else None
        return self.seen[1]

    def ahead(self, event: str | None = None) -> bool:
        """Let the driver go on up to the statement that the access begins, or to the end.

        When it is stopped it takes by itself only steps that access no memory.
        """
        while (name := self.next()) is not None:
            begins = BEGINS.get(name)
            if name == "decide":
                begins = "used.avail_event" if self.model.event_idx else "used.flags"
            elif name == "ask":
                begins = ASKS[0] if self.model.switches_flags() else ASKS[1]
            elif name == "arm":
                begins = "avail.used_event=" if self.model.writes_used_event() else None
            if event is not None and begins == event:
                return True
            assert begins is None or not self.stopping, f"the reference: {event}, the model: {name}"
            self.go(name)
        return False

    def on(self, event: str) -> None:
        """Be told of an access of the reference: if it begins a statement, stop there, then take it."""
        if not self.listening or event not in (*BEGINS.values(), *ASKS, "used.flags", "used.avail_event"):
            return
        if event in ASKS and self.begun != "look":
            return  # In the middle of disable_cb, enable_cb and enable_cb_delayed.
        s = self.s
        if event == "desc.flags" and (s.pc != Pc.WALK or self.tests_indirect):
            self.tests_indirect = False  # detach_buf tests for INDIRECT, end_chain loads what it stores.
            return
        if event == "desc.flags=" and s.pc == Pc.REMEMBER and s.tabled:
            return  # The second store of take_descriptor.
        if event == "num_free=" and s.pc != Pc.TAKE:
            return  # In the middle of add_in_ring, walk and give.
        assert self.ahead(event), f"the model is at rest: {event}"
        self.listening = False
        self.compare()
        self.stops += 1
        self.others()
        self.listening = True
        name = self.next()
        if name is not None:
            self.go(name)

    # Device and handler.

    def others(self) -> None:
        """Let device and handler take a few steps, in both."""
        for _ in range(self.rng.choice((0, 0, 1, 1, 2, 4))):
            self.other(self.rng.choice(TURNS))

    def other(self, name: str) -> None:
        """Let device or handler take a step if it is possible; what it reads is read from the reference."""
        before, raw = self.s, self.raw
        held = [h for h in range(self.size) if before.held(h)]
        event = (raw.avail.idx + self.rng.randint(-3, 1)) % WORD
        c = replace(nothing(), head=self.rng.choice(held or [0]), event=event, flag=self.rng.random() < 0.5)
        if not self.model.take(name, before, c).guard:
            return
        if name == "device_reads":
            head = raw.avail.ring[before.read % self.size]
        self.go(name, c)
        after = self.s
        if name == "device_reads":
            assert [head] == [h for h in range(self.size) if after.held(h) and h not in held]
        elif name == "device_stages":
            self.put(4 + 8 * (before.staged % self.size), c.head, 4)
        elif name == "device_publishes":
            self.put(2, after.staged % WORD)
        elif name == "device_signals":
            new, old = raw.used.idx, before.signalled
            passed = (new - raw.avail.used_event - 1) % WORD < (new - old) % WORD
            wanted = passed if self.model.event_idx else not raw.avail.flags
            assert after.irq == (wanted or before.irq)
        elif name == "device_looks":
            assert after.asleep == (raw.avail.idx == before.read % WORD)
        elif name == "handle":
            assert self.queue.interrupt() == self.model.calls_back(before)
            assert self.owed == after.calling
        elif name == "call_back":
            assert self.owed
            self.owed = False
            self.queue.disable_cb()
        if name in ("device_dozes", "device_fidgets"):
            self.put(0, int(after.no_notify))
            self.put(4 + 8 * self.size, after.avail_event)

    # Operations.

    def run(self, begin: tuple[str, ...], operation: Callable[[], Any], choice: Choice | None = None) -> Any:
        """Let the reference do an operation, and the model, too, from the step that begins it."""
        self.begin, self.begun, self.choice = begin, None, choice or nothing()
        self.listening = self.stopping
        result = operation()
        self.listening = False
        self.ahead()
        self.begin = ()
        assert self.s.pc == Pc.IDLE
        self.compare()
        return result

    def add(self) -> None:
        """Add a chain, or fail to: for want of memory, of room, of a token, of segments."""
        rng, queue = self.rng, self.queue
        count = min(rng.randint(0, self.size + 2), rng.randint(1, self.size + 2))
        outs, token = rng.choice((0, count, rng.randint(0, count))), rng.choice((0, *range(1, 30)))
        segments = [(rng.randrange(1 << 48), rng.randrange(1, 1 << 16)) for _ in range(count)]
        c = replace(
            nothing(), token=token, segments=count, outs=outs,
            segment_addr=Cells({i: addr for i, (addr, _) in enumerate(segments)}, 0),
            segment_len=Cells({i: length for i, (_, length) in enumerate(segments)}, 0),
        )  # fmt: skip
        self.arena.fail, self.arena.given = rng.random() < 0.3, None
        wants = self.model.takes_table(self.s, c) and not self.arena.fail

        def add() -> int:
            return queue.add(segments[:outs], segments[outs:], token or None)

        status = self.run(("add_in_table",) if wants else ("add_in_ring", "add_refused"), add, c)
        self.arena.fail = False
        statuses = {"add_in_table": 0, "add_in_ring": 0, "add_refused": -ENOSPC, None: -EINVAL}
        assert status == statuses[self.begun]

    def kick(self) -> None:
        """Prepare a kick, and notify if that says so."""
        queue = self.queue

        def kick() -> bool:
            need = queue.kick_prepare()
            if need:
                queue.notify()
            return need

        assert self.run(("begin_kick",), kick) == self.s.need

    def get(self) -> None:
        """Get a chain back, if one was completed."""
        before = self.s.last_used
        result = self.run(("look", "look_in_vain"), self.queue.get_buf)
        assert (result is None) == (self.s.last_used == before) == (self.begun == "look_in_vain")
        assert (0 if result is None else result[0]) == self.s.result

    def switch(self) -> None:
        """Switch callbacks off, or on in either way."""
        queue = self.queue
        name = self.rng.choice(("disable_cb", "enable_cb", "enable_cb_delayed"))
        if name == "disable_cb":
            self.run((name,), queue.disable_cb)
            return
        calm = self.run((name,), queue.enable_cb if name == "enable_cb" else queue.enable_cb_delayed)
        assert self.s.waiting == (calm and not self.s.woken)

    def drain(self) -> None:
        """Reset the device, and take back what was never completed, until nothing is left."""
        self.go("reset")
        self.owed = False  # The handler is waited for.
        while (token := self.run(("scan",), self.queue.detach_unused_buf)) is not None:
            assert token == self.s.result
        assert (self.s.result, self.queue.num_free) == (0, self.size)

    def play(self, operations: int) -> None:
        """Play so many random operations, and what comes after a reset."""
        todo = [self.add] * 4 + [self.kick] + [self.get] * 3 + [self.switch]

        def table(memory: "memoryview[int]") -> Told:
            return Told(Descriptors(memory), "table", self.on, ("addr", "flags", "len", "next"))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(virtqueue, "Descriptors", table)
            for _ in range(operations):
                self.rng.choice(todo)()
                self.others()
                self.compare()
            self.drain()

    # What must be the same.

    def compare(self) -> None:
        """Compare all memory and all that the driver keeps."""
        s, queue, raw, all_of = self.s, self.queue, self.raw, range(self.size)
        flags = [s.has_next(d) | s.writes(d) << 1 | s.indirect(d) << 2 for d in all_of]
        columns = (s.next, s.addr, s.len, s.avail_ring, s.used_ring, s.data)
        words = (s.avail_idx, s.used_event, s.used_idx, s.avail_event, s.no_interrupt, s.no_notify)
        private = (s.free_head, s.num_free, s.num_added, s.last_used_idx, s.wanted)
        assert flags == list(raw.desc.flags[: self.size])
        assert [[column(d) for d in all_of] for column in columns] == [
            *([*column[: self.size]] for column in (raw.desc.next, raw.desc.addr, raw.desc.len)),
            *([*column[: self.size]] for column in (raw.avail.ring, raw.used.id)),
            [token or 0 for token in queue.data],
        ]
        assert words == (
            *(raw.avail.idx, raw.avail.used_event, raw.used.idx, raw.used.avail_event),
            *(raw.avail.flags, raw.used.flags),
        )
        assert (*private, False, self.notified) == (
            *(queue.free_head, queue.num_free, queue.num_added, queue.last_used_idx),
            *(queue.callbacks_wanted, queue.broken, self.rung),
        )
        live = {at: size // 16 for at, (size, _) in self.arena.live.items() if at != self.ring_address}
        assert {t: s.size(t) for t in self.model.size.tables if s.allocated(t)} == live
        for t, entries in live.items():
            filled = s.count if (s.pc, s.table) == (Pc.TABLE, t) else entries
            assert self.entries(t, filled) == self.arena.view(t, 16 * filled)

    def entries(self, t: int, count: int) -> bytes:
        """Return the first entries of a table as the model has them, byte by byte."""
        s = self.s
        return b"".join(
            struct.pack(
                "<QIHH",
                s.entry_addr(t, i),
                s.entry_len(t, i),
                s.entry_has_next(t, i) | s.entry_writes(t, i) << 1 | s.entry_indirect(t, i) << 2,
                s.entry_next(t, i),
            )
            for i in range(count)
        )
