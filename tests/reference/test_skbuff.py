"""Scatterlists, and skb_to_sgvec against slicing the packet's bytes."""

from dataclasses import dataclass
from errno import EMSGSIZE

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringproof.impl.reference import (
    Frag,
    Scatterlist,
    SkBuff,
    for_each_sg,
    sg_init_table,
    sg_mark_end,
    sg_set_buf,
    sg_set_page,
    skb_to_sgvec,
)


@dataclass(frozen=True)
class Shape:
    """A packet to be: its linear part, its fragments (offset in the page, bytes), and its list."""

    head: bytes
    fragments: list[tuple[int, bytes]]
    packets: list["Shape"]

    @property
    def data(self) -> bytes:
        """All bytes."""
        parts = [self.head, *(data for _, data in self.fragments), *(packet.data for packet in self.packets)]
        return b"".join(parts)

    @property
    def pieces(self) -> int:
        """How many pieces hold bytes."""
        own = [self.head, *(data for _, data in self.fragments)]
        return sum(bool(data) for data in own) + sum(packet.pieces for packet in self.packets)


class Packets:
    """Builds packets in a memory of its own."""

    def __init__(self) -> None:
        self.memory = bytearray(b"\xee") * (1 << 16)
        self.at = 0x1000

    def build(self, shape: Shape) -> SkBuff:
        """Build a packet."""
        head = self.store(self.at + 3, shape.head)
        frags = []
        for offset, data in shape.fragments:
            page = -(-self.at // 256) * 256
            self.store(page + offset, data)
            frags.append(Frag(page, offset, len(data)))
        return SkBuff((head, len(shape.head)), frags, [self.build(packet) for packet in shape.packets])

    def store(self, address: int, data: bytes) -> int:
        """Put bytes at an address, and nothing else behind them."""
        self.memory[address : address + len(data)] = data
        self.at = address + len(data) + 1
        return address

    def read(self, entries: list[Scatterlist]) -> bytes:
        """Return the bytes that entries name."""
        return b"".join(bytes(self.memory[entry.page + entry.offset :][: entry.length]) for entry in entries)


HEADS = st.binary(max_size=9)
FRAGMENTS = st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=9)), max_size=4)
SHAPES: st.SearchStrategy[Shape] = st.recursive(
    st.builds(Shape, HEADS, FRAGMENTS, st.just([])),
    lambda shapes: st.builds(Shape, HEADS, FRAGMENTS, st.lists(shapes, max_size=3)),
    max_leaves=6,
)


@given(SHAPES, st.data())
def test_segments_are_the_slice(shape: Shape, data: st.DataObject) -> None:
    """Any stretch of any packet: the segments' bytes are its slice, none is empty, the last one is marked."""
    packets = Packets()
    skb, whole = packets.build(shape), shape.data
    assert skb.len == len(whole)
    offset = data.draw(st.integers(0, len(whole)))
    length = data.draw(st.integers(0, len(whole) - offset))
    sg = sg_init_table(128)
    sg_mark_end(sg[data.draw(st.integers(0, 127))])
    count = skb_to_sgvec(skb, sg, offset, length)
    assert packets.read(sg[:count]) == whole[offset : offset + length]
    assert all(entry.length > 0 for entry in sg[:count])
    assert all(0 <= entry.offset < 4096 for entry in sg[:count])
    if length:
        assert len(list(for_each_sg(sg))) == count, "the walk ends at the last entry"
    else:
        assert count == 0


@given(SHAPES)
def test_count_is_of_pieces_with_bytes(shape: Shape) -> None:
    """The whole packet takes one entry for each piece that holds bytes; one entry less is too few."""
    skb, count = Packets().build(shape), shape.pieces
    assert skb_to_sgvec(skb, sg_init_table(128), 0, skb.len) == count
    if count:
        assert skb_to_sgvec(skb, sg_init_table(128)[: count - 1], 0, skb.len) == -EMSGSIZE


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (0, 5), (4, 1), (5, 0)])
def test_bytes_the_packet_has_not(offset: int, length: int) -> None:
    """Bytes before the first or behind the last are refused, and no entry is touched."""
    sg = sg_init_table(2)
    with pytest.raises(ValueError, match="of a packet of 4"):
        skb_to_sgvec(SkBuff((0x1000, 4)), sg, offset, length)
    assert sg == [Scatterlist(), Scatterlist(end=True)]


def test_offsets_within_pieces() -> None:
    """A stretch that begins in a fragment and ends in a packet of the list has the right addresses."""
    inner = SkBuff((0x9000, 10), [Frag(0xA000, 7, 20)])
    skb = SkBuff((0x1010, 100), [Frag(0x5000, 64, 50), Frag(0x6000, 0, 0), Frag(0x7000, 8, 30)], [inner])
    sg = sg_init_table(19)
    assert skb_to_sgvec(skb, sg, 120, 75) == 4
    assert sg[:4] == [
        Scatterlist(0x5000, 84, 30),
        Scatterlist(0x7000, 8, 30),
        Scatterlist(0x9000, 0, 10),
        Scatterlist(0xA000, 7, 5, end=True),
    ]


def test_list_in_a_list() -> None:
    """A packet in the list of a packet in the list is reached with its own offset."""
    third = SkBuff((0x3000, 8))
    second = SkBuff((0x2000, 8), (), [SkBuff((0x2800, 0)), third])
    skb = SkBuff((0x1000, 8), (), [second, SkBuff((0x4000, 8))])
    sg = sg_init_table(4)
    assert skb_to_sgvec(skb, sg, 18, 10) == 2
    assert [(entry.page, entry.offset, entry.length) for entry in sg[:2]] == [(0x3000, 2, 6), (0x4000, 0, 4)]


def test_most_frags_is_of_the_whole_tree() -> None:
    """The packet with most fragments counts, wherever it is."""
    deep = SkBuff((0, 0), [Frag(0x1000, 0, 0)] * 18)
    skb = SkBuff((0x1000, 1), [Frag(0x1000, 0, 1)], [SkBuff((0, 0), (), [deep]), SkBuff((0, 0))])
    assert (skb.most_frags, skb.len) == (18, 2)


def test_buffer_within_its_page() -> None:
    """A buffer's entry has its page, the offset in it, and the whole length even past the page."""
    entry = Scatterlist(end=True)
    sg_set_buf(entry, 0x4_0000_1FF0, 100)
    assert entry == Scatterlist(0x4_0000_1000, 0xFF0, 100)


def test_end_mark() -> None:
    """A fresh table ends at its last entry; setting an entry takes its mark away; a mark ends the walk."""
    sg = sg_init_table(3)
    assert len(list(for_each_sg(sg))) == 3
    sg_mark_end(sg[0])
    assert len(list(for_each_sg(sg))) == 1
    sg_set_page(sg[0], 0x1000, 5, 6)
    assert [entry.end for entry in for_each_sg(sg)] == [False, False, True]
    assert len(list(for_each_sg(sg[:2]))) == 2, "a list without a mark ends where it ends"
