"""The honest device of a symbolic run: what it holds on one path, and what it does between operations.

Words are plain numbers where all is known and bit-vectors where it is not. Nothing here changes in place:
each step gives the device that comes after it, so that paths part without copying.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import z3

from ..impl.harness.reference_runner import QueueConfig
from ..impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1
from ..proofs.machine.words import Flag, Word, add, any_of, at_most, below, both, equal, extract, no, sub
from .symbolic_start import Start

Memory: TypeAlias = Any
"""A :class:`~ringproof.proofs.machine.flat.Memory`; named here for what it is to the device."""

WAKING = ("interrupt", "enable_cb", "enable_cb_delayed", "enable_cb_prepare")
"""Operations of which a driver has none that only polls, and never waits for an interrupt."""
LONGEST_SEGMENT = 1 << 17
"""Bytes; the longest that the harness's own operations offer."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of an offered buffer; ``data`` and ``address`` have 64 bits, ``length`` has 32."""

    data: Word
    address: Word
    length: Word
    write: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """What an add that was not refused has offered."""

    token: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor as it was when its chain was published."""

    at: int
    words: tuple[Word, Word, Word, Word]
    """Address (64 bits), length (32), flags and next (16 each)."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A published chain: its descriptors in the table of the ring, and those of its indirect table, if any.

    ``table`` is where the driver finds that one, 0 for none; ``slot`` the slot of the available ring.
    """

    offer: Offer
    head: int
    slot: int
    descriptors: tuple[Descriptor, ...]
    table: int = 0
    entries: tuple[Descriptor, ...] = ()

    @property
    def writable(self) -> Word:
        """The sum of what the device may write, in bytes: 32 bits."""
        total: Word = 0
        for segment in self.offer.segments:
            if segment.write:
                total = add(total, segment.length, 32)
        return total


@dataclass(frozen=True, slots=True)
class Completion:
    """A used chain whose token has not come back; ``length`` is what the used entry says (32 bits)."""

    token: int
    length: Word
    descriptors: int


@dataclass(frozen=True, slots=True)
class Device:
    """The device and the harness's ledger, on one path, between two operations.

    Counts run from the queue's creation and never wrap. ``unread`` are published chains the device has not
    looked at yet, ``in_flight`` those it has and did not use, in the order of the harness's own list;
    ``waiting`` are used ones that did not come back. ``covered`` and ``kick_base`` are counts of entries as
    in the harness: below them, no notification is due, and the last kick looked. ``used`` are the used
    entries by slot, ``longest`` the longest chains taken so far, without and with writable segments;
    ``pushed`` counts what came back by callback and was not asked for yet. ``wanted`` says that the driver
    waits for interrupts.
    """

    start: Start
    published: int
    offers: tuple[Offer, ...] = ()
    offered: int = 0
    adds: int = 0
    unread: tuple[Chain, ...] = ()
    in_flight: tuple[Chain, ...] = ()
    waiting: tuple[Completion, ...] = ()
    completed: int = 0
    covered: int = 0
    kick_base: int = 0
    offered_at_kick: int = 0
    flags: Word = 0
    avail_event: Word = 0
    used: tuple[tuple[Word, Word], ...] = ()
    longest: tuple[int, int] = (0, 0)
    pushed: int = 0
    wanted: bool = True
    callbacks_on: bool = True
    asleep: bool = True
    due_by: int = 0
    taken_partly: bool = False
    mark: tuple[Word, int] | None = None

    @classmethod
    def at(cls, start: Start, memory: Memory) -> "Device":
        """Return the device of a start: nothing is in flight."""
        n, used = start.config.queue_size, start.pointer(start.parts[2])
        rounds = start.rounds
        wanted = start.config.has_callback and not start.operations.keys().isdisjoint(WAKING)
        return cls(
            start,
            published=rounds,
            offered=rounds,
            adds=rounds,
            completed=rounds,
            covered=rounds,
            kick_base=rounds,
            offered_at_kick=rounds,
            used=tuple(
                (memory.load(used + 4 + 8 * i, 4), memory.load(used + 8 + 8 * i, 4)) for i in range(n)
            ),
            longest=(1 if rounds else 0, 0),
            wanted=wanted,
            callbacks_on=wanted,
            asleep=wanted and not rounds,
        )

    # What there is

    @property
    def config(self) -> QueueConfig:
        """The queue."""
        return self.start.config

    @property
    def event_idx(self) -> bool:
        """Whether EVENT_IDX was negotiated."""
        return bool(self.config.features & F_EVENT_IDX)

    @property
    def indirect(self) -> bool:
        """Whether INDIRECT_DESC was."""
        return bool(self.config.features & F_INDIRECT_DESC)

    @property
    def legacy(self) -> bool:
        """Whether the device knows nothing newer than the legacy interface."""
        return not self.config.features & F_VERSION_1

    @property
    def outstanding(self) -> tuple[Chain, ...]:
        """All chains that are the device's: published and not used."""
        return (*self.in_flight, *self.unread)

    @property
    def owned(self) -> frozenset[int]:
        """The descriptors of those."""
        return frozenset(each.at for chain in self.outstanding for each in chain.descriptors)

    @property
    def held(self) -> int:
        """How many descriptors are in chains whose token has not come back."""
        return len(self.owned) + sum(one.descriptors for one in self.waiting)

    @property
    def pending(self) -> tuple[Offer, ...]:
        """Offers that are not published yet."""
        return self.offers[len(self.offers) - (self.offered - self.published) :] if self._ahead else ()

    @property
    def _ahead(self) -> bool:
        return self.offered > self.published

    @property
    def empty(self) -> bool:
        """Whether the driver has everything back."""
        return not self.outstanding and not self.waiting and not self._ahead

    # Where it is, as the driver finds it

    def descriptor_at(self, number: int) -> int:
        """Descriptor ``number`` of the ring's own table."""
        return self.start.pointer(self.start.parts[0]) + 16 * number

    def avail_at(self, offset: int) -> int:
        """A byte of the available ring."""
        return self.start.pointer(self.start.parts[1]) + offset

    def used_at(self, offset: int) -> int:
        """A byte of the used ring."""
        return self.start.pointer(self.start.parts[2]) + offset

    @property
    def used_event_at(self) -> int:
        """Where used_event is."""
        return self.avail_at(4 + 2 * self.config.queue_size)

    @property
    def avail_event_at(self) -> int:
        """Where avail_event is."""
        return self.used_at(4 + 8 * self.config.queue_size)

    # Who owes whom a signal

    def asked_for(self, since: int) -> Flag:
        """Whether entries published since that count ask for a notification (section 2.7.10)."""
        new = self.published - since
        if new <= 0:
            return False
        if not self.event_idx:
            return equal(extract(self.flags, 0, 1), 0, 1)
        if new > 65535:
            return True
        return below(sub(self.avail_event, since & 0xFFFF, 16), new, 16)

    def interrupts(self, memory: Memory, old: int, new: int) -> Flag:
        """Whether moving used_idx from one count to the other is to interrupt (section 2.7.7)."""
        if not self.event_idx:
            return equal(extract(memory.load(self.avail_at(0), 2), 0, 1), 0, 1)
        event = memory.load(self.used_event_at, 2)
        return below(sub((new - 1) & 0xFFFF, event, 16), new - old, 16)

    # What it does

    def tell(self, memory: Memory, name: str) -> "tuple[Device, Flag]":
        """Write new suppression words, symbols called after ``name``, and look for itself afterwards.

        Returns what they obey: used.flags is 0 or 1.
        """
        flags, event = z3.BitVec(f"{name}!flags", 16), z3.BitVec(f"{name}!avail_event", 16)
        memory.store(self.used_at(0), flags, 2)
        memory.store(self.avail_event_at, event, 2)
        lawful = at_most(flags, 1, 16)
        return replace(self, flags=flags, avail_event=event, covered=self.published), lawful

    def calm(self, memory: Memory) -> "Device":
        """Write suppression words that are known: the next entry is to be notified of."""
        event = self.published & 0xFFFF
        memory.store(self.used_at(0), 0, 2)
        memory.store(self.avail_event_at, event, 2)
        return replace(self, flags=0, avail_event=event, covered=self.published)

    def read(self) -> "Device":
        """Look at all that is published."""
        return replace(self, unread=(), in_flight=(*self.in_flight, *self.unread))

    def complete(self, memory: Memory, pick: int, name: str) -> "tuple[Device, tuple[Flag, ...], Word]":
        """Use the chain at that place of its list, once all was read.

        Returns what the reported length obeys, and that length: up to the writable bytes, a symbol called
        after ``name`` where there are any.
        """
        device = self.read()
        chain, rest = device.in_flight[pick], list(device.in_flight)
        rest[pick] = rest[-1]
        limits: tuple[Flag, ...] = ()
        length: Word = 0
        if any(segment.write for segment in chain.offer.segments):
            length = z3.BitVec(f"{name}!used_length", 32)
            limits = (at_most(length, chain.writable, 32),)
        slot = device.completed % device.config.queue_size
        memory.store(device.used_at(4 + 8 * slot), chain.head, 4)
        memory.store(device.used_at(8 + 8 * slot), length, 4)
        memory.store(device.used_at(2), (device.completed + 1) & 0xFFFF, 2)
        used = list(device.used)
        used[slot] = chain.head, length
        device = replace(
            device,
            in_flight=tuple(rest[:-1]),
            waiting=(*device.waiting, Completion(chain.offer.token, length, len(chain.descriptors))),
            completed=device.completed + 1,
            used=tuple(used),
        )
        return device, limits, length

    # What the driver is known to want

    def told(self, *, on: bool) -> "Device":
        """The driver was told anew what interrupts it is to ask for."""
        return replace(self, callbacks_on=on, asleep=False, due_by=0)


def lawful_segment(segment: Segment) -> Flag:
    """What every offered segment obeys: a length from 1 up, and an end that is not past the last address."""
    fits = both(no(equal(segment.length, 0, 32)), at_most(segment.length, LONGEST_SEGMENT, 32))
    return both(fits, any_of(equal(segment.address, 0, 64), at_most(segment.address, 1 << 63, 64)))
