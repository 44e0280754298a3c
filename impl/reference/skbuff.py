"""Frames, scatterlists, and the way from one to the other (Linux 3.11 skbuff.c, scatterlist.h).

A frame's data is its linear part, then its fragments, each in a page, then the packets of its list, each by
the same rule. ``skb_to_sgvec`` names any stretch of those bytes by memory segments.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from errno import EMSGSIZE
from typing import TypeAlias

PAGE = 4096
MAX_SKB_FRAGS = 17
"""Fragments one packet can have, with pages of 4096 bytes."""

GSO_NONE = 0
GSO_TCPV4 = 1
GSO_TCPV6 = 2
GSO_UDP = 3


@dataclass(slots=True)
class Frag:
    """Data in a page: ``size`` bytes from byte ``offset`` of the page at guest-physical ``page``.

    Linux 3.11 ``skb_frag_t``.
    """

    page: int
    offset: int
    size: int


@dataclass(slots=True, eq=False)
class SkBuff:
    """A frame, or a packet in a frame's list, of which only the data counts.

    ``head`` is address and length of the linear part. ``control`` is the address of the frame's ``cb``, which
    holds the virtio header. ``csum_start`` counts bytes from the frame's first, ``csum_offset`` from there;
    they count if ``checksum``. ``gso`` is one of the GSO numbers above, or any other for a kind that virtio
    cannot express. ``token`` is what the stack knows the frame by. Linux 3.11 ``struct sk_buff``.
    """

    head: tuple[int, int]
    frags: Sequence[Frag] = ()
    frag_list: Sequence["SkBuff"] = ()
    control: int = 0
    checksum: bool = False
    csum_start: int = 0
    csum_offset: int = 0
    gso: int = GSO_NONE
    gso_size: int = 0
    ecn: bool = False
    recorded_queue: int | None = None
    cpu: int = 0
    token: int = 0
    len: int = field(init=False)
    """Bytes of all the data."""
    most_frags: int = field(init=False)
    """The number of fragments of the packet that has most, among this one and all in its list."""

    def __post_init__(self) -> None:
        self.len = self.head[1]
        self.most_frags = 0
        if self.frags:
            self.len += sum(frag.size for frag in self.frags)
            self.most_frags = len(self.frags)
        for packet in self.frag_list:
            self.len += packet.len
            self.most_frags = max(self.most_frags, packet.most_frags)


@dataclass(slots=True)
class Scatterlist:
    """One entry of a scatterlist: ``length`` bytes from byte ``offset`` of a page on; ``end`` marks the last.

    An offset and length may reach beyond the page: what is contiguous goes on. Linux 3.11
    ``struct scatterlist``, whose end mark is bit 1 of the page's link.
    """

    page: int = 0
    offset: int = 0
    length: int = 0
    end: bool = False


Segments: TypeAlias = list[tuple[int, int]]
"""Guest-physical address and length in bytes of each."""


def sg_init_table(entries: int) -> list[Scatterlist]:
    """Make empty entries, the last one with the end mark. Linux 3.11 ``sg_init_table``."""
    table = [Scatterlist() for _ in range(entries)]
    sg_mark_end(table[-1])
    return table


def sg_set_page(entry: Scatterlist, page: int, length: int, offset: int) -> None:
    """Let an entry name part of a page. Linux 3.11 ``sg_set_page``.

    The end mark of an earlier list is taken away. Linux leaves it, and its virtio_net counts the entries
    instead of looking for the mark; here the mark is what ends a list.
    """
    entry.page = page
    entry.offset = offset
    entry.length = length
    entry.end = False


def sg_set_buf(entry: Scatterlist, address: int, length: int) -> None:
    """Let an entry name contiguous memory from an address on. Linux 3.11 ``sg_set_buf``."""
    sg_set_page(entry, address & -PAGE, length, address & (PAGE - 1))


def sg_mark_end(entry: Scatterlist) -> None:
    """Make an entry the last of its list. Linux 3.11 ``sg_mark_end``."""
    entry.end = True


def for_each_sg(sg: Sequence[Scatterlist]) -> Iterator[Scatterlist]:
    """Yield the entries of a list up to the one with the end mark. Linux 3.11 ``for_each_sg``."""
    for entry in sg:
        yield entry
        if entry.end:
            return


def skb_to_sgvec(skb: SkBuff, sg: Sequence[Scatterlist], offset: int, length: int) -> int:
    """Let the entries of ``sg`` name bytes ``offset`` up to ``offset + length`` of a packet, in order.

    Returns the number of entries, none of which is empty, and marks the last one; no bytes need none. Returns
    -EMSGSIZE when ``sg`` has too few. Raises ValueError for bytes the packet does not have. Linux 3.11
    ``skb_to_sgvec``, which trusts its caller in both.
    """
    if offset < 0 or length < 0 or offset + length > skb.len:
        raise ValueError(f"bytes {offset} to {offset + length} of a packet of {skb.len}")
    try:
        count = _skb_to_sgvec(skb, sg, 0, offset, length)
    except IndexError:
        return -EMSGSIZE
    if count:
        sg_mark_end(sg[count - 1])
    return count


def _skb_to_sgvec(skb: SkBuff, sg: Sequence[Scatterlist], at: int, offset: int, length: int) -> int:
    """Fill the entries from number ``at`` on; returns the number behind the last one filled.

    ``length`` is what is still wanted, ``offset`` where that begins, and ``end`` where the piece at hand
    ends, both counted from the packet's first byte. Raises IndexError when there are too few entries. Linux
    3.11 ``__skb_to_sgvec``.
    """
    address, end = skb.head
    taken = min(end - offset, length)
    if taken > 0:
        sg_set_buf(sg[at], address + offset, taken)
        at += 1
        offset += taken
        length -= taken

    for frag in skb.frags:
        if not length:
            return at
        start = end
        end += frag.size
        taken = min(end - offset, length)
        if taken > 0:
            sg_set_page(sg[at], frag.page, taken, frag.offset + offset - start)
            at += 1
            offset += taken
            length -= taken

    for packet in skb.frag_list:
        if not length:
            return at
        start = end
        end += packet.len
        taken = min(end - offset, length)
        if taken > 0:
            at = _skb_to_sgvec(packet, sg, at, offset - start, taken)
            offset += taken
            length -= taken
    return at
