"""A packet's bytes as segments: skb_to_sgvec of Linux 3.11, part by part, for packets of every shape.

The *parts* of a packet are its linear part (number 0), then its page fragments, then the packets of its list.
The walk looks at each in turn, from where the offset asked for falls, until it has the length asked for. How
many parts there are, and how large, is symbolic: what every step keeps, holds after any number of them.

An entry that is written loses the mark that an earlier frame left on it. Linux 3.11's sg_set_page leaves it,
which does no harm there: its virtio_net counts entries. A fragment lies in one page of 4096 bytes, as frags
of Linux 3.11 need not. The table has as many entries as it takes.

A packet of the list is mapped by a call inside the call. Of that call nothing is known but ``contract``, and
that is just what the proofs show of the call outside: induction over the tree of packets, where each packet
of a list has fewer parts in its tree than the packet whose list it is in.

Every decision a driver is known to get wrong has a method of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import z3

from .state import Flag, Map, Number

MAX_SKB_FRAGS = 17
"""Page fragments of a packet, at most: 64 KiB in pages of 4 KiB, and one more (Linux 3.11, MAX_SKB_FRAGS)."""

PAGE = 4096
LONGEST = 65536 + 14
"""Bytes of the longest packet: 64 KiB behind an Ethernet header."""


@dataclass(frozen=True)
class Packet:
    """A packet of ``1 + fragments + packets`` parts, and sums over them; sizes in bytes."""

    fragments: Number
    packets: Number  # in its list
    length: Number  # of all its data
    size: Map  # part to the bytes it holds; may be 0
    page_offset: Map  # fragment to the byte of its page at which it begins

    # Ghost. Of the parts before the given one:
    begin: Map  # their bytes: the packet position at which the given part begins
    pieces: Map  # their pieces: one for the linear part or a fragment, all pieces of a packet of the list
    touched: Map  # their pieces that hold a byte of the range asked for
    filled: Map  # their pieces that hold a byte at all
    # Of the given part and those after it:
    rank: Map  # how many parts there are, those of the packets of the list and of their lists included
    # Of the tree of a packet of the list:
    pieces_of: Map
    parts_of: Map
    inside: Callable[[Number, Number, Number], Number]  # its pieces that hold a byte from one to another

    @property
    def parts(self) -> Number:
        """How many parts it has."""
        return 1 + self.fragments + self.packets

    def is_fragment(self, part: Number) -> Flag:
        """Tell whether a part is a page fragment."""
        return z3.And(part >= 1, part <= self.fragments)

    def is_packet(self, part: Number) -> Flag:
        """Tell whether a part is a packet of the list."""
        return part > self.fragments

    def home(self, part: Number) -> Number:
        """Where a part begins in its own memory: the linear part, its page, or the data of a packet."""
        return z3.If(self.is_fragment(part), self.page_offset(part), 0)


def arbitrary() -> Packet:
    """Return a packet of which nothing is known."""
    number = z3.IntSort()
    sums = ("begin", "pieces", "touched", "filled", "rank", "pieces_of", "parts_of")
    return Packet(
        fragments=z3.Int("fragments"),
        packets=z3.Int("packets"),
        length=z3.Int("packet_length"),
        inside=z3.Function("inside", number, number, number, number),
        **{name: z3.Function(name, number, number) for name in ("size", "page_offset", *sums)},
    )


@dataclass(frozen=True)
class Walk:
    """One moment of a call of skb_to_sgvec."""

    part: Number  # looked at next
    start: Number  # the packet position at which it begins, as the driver sums it up
    offset: Number  # the packet position of the next byte wanted
    left: Number  # bytes still wanted
    entries: Number  # of the table that are written
    refused: Flag  # a call inside was asked for more than its packet has: a programming error

    # Ghost.
    emitted: Number  # bytes that its segments hold
    in_place: Flag  # each segment names the very bytes that were next
    marked: Flag  # the entry that is watched carries an end mark


@dataclass(frozen=True)
class Call:
    """What a call is asked, and of what: ``length`` bytes from ``offset`` of a packet."""

    offset: Number
    length: Number
    first: Number  # entries written before it
    marked: Flag  # whether the watched entry was marked before it
    data: Number  # bytes the packet has
    pieces: Number  # pieces the packet has
    touched: Number  # those of them that hold a byte asked for


@dataclass(frozen=True)
class Outcome:
    """What came of a call; the fields are those of ``Walk``, for this call alone."""

    emitted: Number
    entries: Number
    refused: Flag
    in_place: Flag
    marked: Flag


@dataclass(frozen=True)
class Step:
    """One part looked at: from ``before``, if ``guard`` holds, to ``after``."""

    before: Walk
    guard: Flag
    after: Walk
    taken: Flag  # something of the part is wanted
    at: Number  # the first byte wanted, in the part's own memory
    copy: Number  # bytes wanted
    inner: tuple[Call, Outcome] | None = None  # the call inside, of a packet of the list


class Scatterlist:
    """The walk of one call over any packet; every entry of the table is watched at once (``entry``)."""

    steps = ("linear", "fragment", "packet")

    def __init__(self, packet: Packet | None = None) -> None:
        self.data = arbitrary() if packet is None else packet
        self.offset = z3.Int("asked_offset")
        self.length = z3.Int("asked_length")
        self.first = z3.Int("first")
        self.entry = z3.Int("entry")
        self.stale = z3.Bool("stale")  # an earlier frame left a mark on the entry

    def take(self, name: str) -> Step:
        """Return the step of that name, from any moment of the walk."""
        step: Step = getattr(self, name)(self.moment())
        return step

    def moment(self) -> Walk:
        """Return a moment of which nothing is known."""
        part, start, offset, left, entries, emitted = z3.Ints("part start offset left entries emitted")
        refused, in_place, marked = z3.Bools("refused in_place marked")
        return Walk(part, start, offset, left, entries, refused, emitted, in_place, marked)

    def call(self) -> Call:
        """Return what is asked of this call."""
        p = self.data
        return Call(
            self.offset, self.length, self.first, self.stale, p.length, p.pieces(p.parts), p.touched(p.parts)
        )

    def begun(self) -> Walk:
        """Return the walk before its first step."""
        zero, no, yes = z3.IntVal(0), z3.BoolVal(False), z3.BoolVal(True)
        return Walk(zero, zero, self.offset, self.length, self.first, no, zero, yes, self.stale)

    # What a packet is, and what its sums are.

    def shape(self, part: Number) -> dict[str, Flag]:
        """Return what is true of every packet, and of one of its parts."""
        p = self.data
        in_page = z3.And(p.page_offset(part) >= 0, p.page_offset(part) + p.size(part) <= PAGE)
        return {
            "counts": z3.And(p.fragments >= 0, p.packets >= 0, part >= 0, part <= p.parts),
            "size": z3.Implies(part < p.parts, p.size(part) >= 0),
            "page": z3.Implies(p.is_fragment(part), in_page),
            "tree": z3.And(p.pieces_of(part) >= 1, p.parts_of(part) >= 1),
            "asked": z3.And(self.offset >= 0, self.length >= 1, self.first >= 0),
        }

    def sums(self, part: Number) -> dict[str, Flag]:
        """Return what each sum is: nothing at its one end; then each part brings what it has."""
        p, here, onward = self.data, part, part + 1
        inner, size, zero = p.is_packet(part), p.size(part), z3.IntVal(0)
        low = z3.If(self.offset > p.begin(here), self.offset - p.begin(here), 0)
        end = self.offset + self.length - p.begin(here)
        high = z3.If(end < size, end, size)
        brought = {
            p.begin: size,
            p.pieces: z3.If(inner, p.pieces_of(part), 1),
            p.touched: z3.If(low < high, z3.If(inner, p.inside(part, low, high), 1), 0),
            p.filled: z3.If(size > 0, z3.If(inner, p.inside(part, zero, size), 1), 0),
        }
        rank = 1 + z3.If(inner, p.parts_of(part), 0)
        return {
            "sums-begin": z3.And([total(zero) == 0 for total in brought]),
            "sums-add": z3.Implies(
                z3.And(part >= 0, part < p.parts),
                z3.And([total(onward) == total(here) + more for total, more in brought.items()]),
            ),
            "length": p.begin(p.parts) == p.length,
            "rank": z3.And(
                p.rank(p.parts) == 0, z3.Implies(part < p.parts, p.rank(here) == rank + p.rank(onward))
            ),
        }

    # The three steps.

    def linear(self, walk: Walk) -> Step:
        """Take what is wanted of the linear part (sg_set_buf)."""
        return self._entered(walk, walk.part == 0, walk.offset)

    def fragment(self, walk: Walk) -> Step:
        """Take what is wanted of a page fragment (sg_set_page)."""
        return self._entered(walk, self.data.is_fragment(walk.part), self.fragment_byte(walk))

    def packet(self, walk: Walk) -> Step:
        """Take what is wanted of a packet of the list, by a call of its own."""
        copy = self.cut(self.reach(walk), walk.left)
        taken = copy > 0
        call = self.inner_call(walk, copy)
        result = self.inner_outcome(walk.part, call)
        position = self.data.begin(walk.part) + call.offset
        after = replace(
            self._passed(walk, taken, copy),
            entries=z3.If(taken, walk.entries + result.entries, walk.entries),
            refused=z3.Or(walk.refused, z3.And(taken, result.refused)),
            emitted=z3.If(taken, walk.emitted + result.emitted, walk.emitted),
            in_place=z3.And(
                walk.in_place,
                z3.Implies(taken, z3.And(result.in_place, position == self.offset + walk.emitted)),
            ),
            marked=z3.If(taken, result.marked, walk.marked),
        )
        guard = self._going_on(walk, self.data.is_packet(walk.part))
        return Step(walk, guard, after, taken, call.offset, copy, (call, result))

    def inner_call(self, walk: Walk, copy: Number) -> Call:
        """Return what is asked of a packet of the list."""
        p, begin = self.data, self.relative_offset(walk)
        return Call(
            offset=begin,
            length=copy,
            first=walk.entries,
            marked=walk.marked,
            data=p.size(walk.part),
            pieces=p.pieces_of(walk.part),
            touched=p.inside(walk.part, begin, begin + copy),
        )

    def inner_outcome(self, part: Number, call: Call) -> Outcome:
        """Return what comes of a call inside: anything; what is known of it is ``contract``."""
        del part, call
        emitted, entries = z3.Ints("inner_emitted inner_entries")
        refused, in_place, marked = z3.Bools("inner_refused inner_in_place inner_marked")
        return Outcome(emitted, entries, refused, in_place, marked)

    def contract(self, call: Call, outcome: Outcome) -> dict[str, Flag]:
        """Return what every call keeps to that asks for at least one byte."""
        within = call.offset + call.length <= call.data
        entries = outcome.entries
        written = z3.And(self.entry >= call.first, self.entry < call.first + entries)
        clauses = {
            "refused": outcome.refused == z3.Not(within),
            "emitted": z3.Implies(within, outcome.emitted == call.length),
            "in-place": outcome.in_place,
            "touched": z3.Implies(within, entries == call.touched),
            "bounds": z3.Implies(within, z3.And(entries <= call.pieces, entries <= call.length)),
            "some": z3.And(entries >= 0, z3.Implies(within, entries >= 1)),
            "marks": outcome.marked == z3.And(call.marked, z3.Not(written)),
        }
        asked = z3.And(call.offset >= 0, call.length >= 1)
        return {name: z3.Implies(asked, clause) for name, clause in clauses.items()}

    def _going_on(self, walk: Walk, here: Flag) -> Flag:
        return z3.And(walk.left != 0, z3.Not(walk.refused), walk.part < self.data.parts, here)

    def _passed(self, walk: Walk, taken: Flag, copy: Number) -> Walk:
        """Return the walk at the next part, with the driver's own sums."""
        return replace(
            walk,
            part=walk.part + 1,
            start=walk.start + self.data.size(walk.part),
            offset=z3.If(taken, walk.offset + copy, walk.offset),
            left=z3.If(taken, walk.left - copy, walk.left),
        )

    def _entered(self, walk: Walk, here: Flag, at: Number) -> Step:
        """Return the step that puts a part of this packet itself into one entry of the table."""
        p, part = self.data, walk.part
        copy = self.cut(self.reach(walk), walk.left)
        taken = self.is_wanted(copy)
        bounds = z3.And(at >= p.home(part), at + copy <= p.home(part) + p.size(part))
        position = p.begin(part) + at - p.home(part)
        after = replace(
            self._passed(walk, taken, copy),
            entries=z3.If(taken, walk.entries + 1, walk.entries),
            emitted=z3.If(taken, walk.emitted + copy, walk.emitted),
            in_place=z3.And(
                walk.in_place,
                z3.Implies(taken, z3.And(bounds, position == self.offset + walk.emitted)),
            ),
            marked=z3.And(walk.marked, z3.Not(z3.And(taken, self.entry == walk.entries))),
        )
        return Step(walk, self._going_on(walk, here), after, taken, at, copy)

    # The driver's decisions.

    def reach(self, walk: Walk) -> Number:
        """How many bytes the part has from the offset on; none if it is not positive."""
        return walk.start + self.data.size(walk.part) - walk.offset

    def cut(self, reach: Number, left: Number) -> Number:
        """Take no more of a part than what is still wanted."""
        return z3.If(reach > left, left, reach)

    def is_wanted(self, copy: Number) -> Flag:
        """Tell whether the part becomes a segment: an empty one does not."""
        return copy > 0

    def fragment_byte(self, walk: Walk) -> Number:
        """Return the byte of its page at which the segment of a fragment begins."""
        return self.data.page_offset(walk.part) + walk.offset - walk.start

    def relative_offset(self, walk: Walk) -> Number:
        """Return the offset that a packet of the list is asked for: one into its own data."""
        return walk.offset - walk.start

    def is_short(self, walk: Walk) -> Flag:
        """Tell, after the last step, whether more was asked than there is: a programming error."""
        return walk.left != 0

    def marks_last(self) -> Flag:
        """Tell whether the last entry gets the end mark (sg_mark_end); the outermost call does it."""
        return z3.BoolVal(True)

    # The end.

    def has_ended(self, walk: Walk) -> Flag:
        """Tell whether no step is left to take."""
        return z3.Or(walk.left == 0, walk.part == self.data.parts, walk.refused)

    def outcome(self, walk: Walk) -> Outcome:
        """Return what came of the call, once the walk has ended."""
        refused = z3.Or(walk.refused, self.is_short(walk))
        return Outcome(walk.emitted, walk.entries - self.first, refused, walk.in_place, walk.marked)

    def marked_at_end(self, walk: Walk) -> Flag:
        """Tell whether the watched entry carries a mark after the outermost call."""
        return z3.Or(walk.marked, z3.And(self.marks_last(), self.entry == walk.entries - 1))

    def intermediates(self, walk: Walk) -> dict[str, Number]:
        """Return every number that a driver computes in a step, in variables of C's type int."""
        return {
            "end of the part": walk.start + self.data.size(walk.part),
            "bytes from the offset on": self.reach(walk),
            "end of the range": walk.offset + walk.left,
            "offset in the part": walk.offset - walk.start,
            "byte in the page": z3.If(self.data.is_fragment(walk.part), self.fragment_byte(walk), 0),
            "entries": walk.entries + 1,
        }
