"""The model's walk through a packet of a given shape, with sizes, addresses and range left open.

The steps are the model's own (``model.scatterlist``), taken one after the other; a packet of a list is walked
through by the same steps, where the model's own proofs take a contract. What comes out are formulas: how many
segments there are, which bytes each names, whether the call is refused, which entries are marked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import z3

from ...model.scatterlist import PAGE, Call, Outcome, Packet, Scatterlist, Walk
from .header_numbers import value_of

WORD = 1 << 32
ADDRESS = 1 << 64


@dataclass(frozen=True)
class Shape:
    """How many page fragments a packet has, and the packets of its list."""

    fragments: int = 0
    packets: "tuple[Shape, ...]" = ()

    @property
    def pieces(self) -> int:
        """Pieces of memory it has: linear parts and fragments, of it and of all packets inside."""
        return 1 + self.fragments + sum(packet.pieces for packet in self.packets)

    def __str__(self) -> str:
        inside = f", list of {' and '.join(f'({packet})' for packet in self.packets)}" if self.packets else ""
        return f"{self.fragments} fragment{'' if self.fragments == 1 else 's'}{inside}"


SHAPES = (
    Shape(),
    Shape(1),
    Shape(3),
    Shape(0, (Shape(),)),
    Shape(1, (Shape(1),)),
    Shape(0, (Shape(), Shape())),
)
"""No fragment to three; a list of one packet or two, with a fragment."""

NESTED = Shape(0, (Shape(0, (Shape(1),)),))
"""A list in a list: shown of the reference; of rp_skb_copy the solver does not say in good time."""


@dataclass(frozen=True)
class Fragment:
    """A page fragment."""

    page: Any
    offset: Any
    size: Any


@dataclass(frozen=True)
class Sized:
    """A packet of some shape, with sizes and guest-physical addresses of any value."""

    name: str
    address: Any
    size: Any
    """Of the linear part."""
    fragments: tuple[Fragment, ...]
    packets: "tuple[Sized, ...]"

    @property
    def length(self) -> Any:
        """Bytes of all its data."""
        return sum((each.length for each in self.packets), self.own)

    @property
    def own(self) -> Any:
        """Bytes of linear part and fragments."""
        return sum((each.size for each in self.fragments), self.size)

    @property
    def sizes(self) -> list[Any]:
        """Bytes of its pieces, and of those of the packets inside."""
        return [
            self.size,
            *(each.size for each in self.fragments),
            *(s for p in self.packets for s in p.sizes),
        ]

    @property
    def all(self) -> "list[Sized]":
        """It and every packet inside."""
        return [self, *(inside for each in self.packets for inside in each.all)]

    def known(self) -> Iterator[z3.BoolRef]:
        """Yield what is true of every packet: its pieces lie in memory, each fragment in its page."""
        yield z3.And(self.address >= 0, self.size >= 0, self.size < WORD, self.address + self.size <= ADDRESS)
        for each in self.fragments:
            yield z3.And(each.page >= 0, each.offset >= 0, each.size >= 0, each.offset + each.size <= PAGE)
            yield each.page + PAGE <= ADDRESS
        for packet in self.packets:
            yield from packet.known()
        yield self.length < WORD


def sized(shape: Shape, name: str = "packet") -> Sized:
    """Return a packet of a shape, of which nothing else is known."""
    fragments = tuple(
        Fragment(*(z3.Int(f"{name}.{number}.{field}") for field in ("page", "offset", "size")))
        for number in range(shape.fragments)
    )
    packets = tuple(sized(each, f"{name}.list{number}") for number, each in enumerate(shape.packets))
    return Sized(name, z3.Int(f"{name}.address"), z3.Int(f"{name}.size"), fragments, packets)


@dataclass(frozen=True)
class Segment:
    """A segment that may be: if ``there``, entry number ``entry`` names ``length`` bytes from an address on.

    ``position``: how many bytes the segments before it hold. ``piece``: the memory it lies in, as
    ``(packet, number)``, number 0 being the linear part, and ``skip`` bytes behind that memory's start.
    """

    there: Any
    entry: Any
    address: Any
    length: Any
    position: Any
    piece: tuple[str, int]
    skip: Any


@dataclass(frozen=True)
class Walked:
    """What came of a walk."""

    segments: tuple[Segment, ...]
    entries: Any
    refused: Any
    marked: Any
    """Whether the watched entry (``ENTRY``) is marked after the call, if it was (``STALE``) before."""

    def entry(self, number: int) -> tuple[Any, Any]:
        """Return the address and length that the entry of that number names, if there are so many."""
        address: Any = z3.IntVal(0)
        length: Any = z3.IntVal(0)
        for each in reversed(self.segments):
            here = z3.And(each.there, each.entry == number)
            address = z3.If(here, each.address, address)
            length = z3.If(here, each.length, length)
        return address, length

    def is_marked(self, number: int, stale: Any) -> Any:
        """Return whether that entry is marked after the call, if it was ``stale`` before."""
        return z3.substitute(self.marked, (ENTRY, z3.IntVal(number)), (STALE, stale))


ENTRY = z3.Int("entry")
STALE = z3.Bool("stale")


def walk(packet: Sized, offset: Any, length: Any) -> Walked:
    """Return what the model says of a call for ``length`` bytes from ``offset`` on."""
    model = _Walking(packet, offset, length, z3.IntVal(0), z3.BoolVal(True), z3.IntVal(0))
    model.stale = STALE
    end = model.walked()
    outcome = model.outcome(end)
    return Walked(tuple(model.segments), outcome.entries, outcome.refused, model.marked_at_end(end))


class _Walking(Scatterlist):
    """The model on one packet; a call inside is a walk of its own."""

    def __init__(
        self, packet: Sized, offset: Any, length: Any, first: Any, there: Any, position: Any
    ) -> None:
        super().__init__(_described(packet))
        self.packet_of = packet
        self.offset, self.length, self.first = offset, length, first
        self.entry = ENTRY
        self.segments: list[Segment] = []
        self._there = there  # whether this call is made at all
        self._position = position
        self._now: Walk | None = None

    def walked(self) -> Walk:
        """Take all steps, and return the walk at its end."""
        now = self.begun()
        fragments = len(self.packet_of.fragments)
        for part in range(1 + fragments + len(self.packet_of.packets)):
            name = "linear" if part == 0 else "fragment" if part <= fragments else "packet"
            now = self._now = replace(now, part=z3.IntVal(part))
            step = getattr(self, name)(now)
            if step.inner is None:
                piece, base = (self.packet_of.name, part), self._base(part)
                there = z3.And(self._there, step.guard, step.taken)
                home = self.packet_of.fragments[part - 1].offset if part else z3.IntVal(0)
                position = self._position + now.emitted
                self.segments.append(
                    Segment(there, now.entries, base + step.at, step.copy, position, piece, step.at - home)
                )
            now = _either(step.guard, step.after, now)
        return now

    def inner_outcome(self, part: Any, call: Call) -> Outcome:
        now = self._now
        assert now is not None
        number = part.as_long() - 1 - len(self.packet_of.fragments)
        there = z3.And(self._there, self._going_on(now, z3.BoolVal(True)), call.length > 0)
        inner = _Walking(
            self.packet_of.packets[number],
            call.offset,
            call.length,
            call.first,
            there,
            self._position + now.emitted,
        )
        inner.stale = call.marked
        end = inner.walked()
        self.segments += inner.segments
        return inner.outcome(end)

    def _base(self, part: int) -> Any:
        return self.packet_of.address if part == 0 else self.packet_of.fragments[part - 1].page


def _described(packet: Sized) -> Packet:
    """Return the packet as the model describes one; of the ghost sums only ``begin`` is asked for."""
    sizes = [packet.size, *(f.size for f in packet.fragments), *(p.length for p in packet.packets)]

    def number(part: Any) -> int:
        return int(z3.simplify(part).as_long())

    def begin(part: Any) -> Any:
        return sum(sizes[: number(part)], z3.IntVal(0))

    def page_offset(part: Any) -> Any:
        place = number(part)
        return packet.fragments[place - 1].offset if 1 <= place <= len(packet.fragments) else z3.IntVal(0)

    def unasked(*_: Any) -> Any:
        return z3.IntVal(0)

    return Packet(
        fragments=z3.IntVal(len(packet.fragments)),
        packets=z3.IntVal(len(packet.packets)),
        length=packet.length,
        size=lambda part: sizes[number(part)],
        page_offset=page_offset,
        begin=begin,
        pieces=unasked,
        touched=unasked,
        filled=unasked,
        rank=unasked,
        pieces_of=unasked,
        parts_of=unasked,
        inside=unasked,
    )


def _either(flag: Any, one: Walk, other: Walk) -> Walk:
    names = Walk.__dataclass_fields__
    return Walk(**{name: z3.If(flag, getattr(one, name), getattr(other, name)) for name in names})


def shown(packet: Sized, model: z3.ModelRef, **more: Any) -> dict[str, Any]:
    """Return a packet and what was asked, in a model of the solver, as plain data."""

    def said(each: Sized) -> dict[str, Any]:
        return {
            "head": [value_of(each.address, model), value_of(each.size, model)],
            "frags": [[value_of(term, model) for term in (f.page, f.offset, f.size)] for f in each.fragments],
            "frag_list": [said(inside) for inside in each.packets],
        }

    return {"packet": said(packet), **{name: value_of(term, model) for name, term in more.items()}}
