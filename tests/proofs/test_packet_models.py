"""The models of skb_to_sgvec and of the header, computing on concrete packets, against plain Python.

The walk is compared with the reference, too; the header in ``test_header_reference``.
"""

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import pytest
import z3

from ringproof.impl.reference.skbuff import PAGE, Frag, SkBuff, skb_to_sgvec
from ringproof.impl.reference.skbuff import Scatterlist as ScatterlistEntry
from ringproof.model.header import Header
from ringproof.model.scatterlist import Call, Outcome, Packet, Scatterlist, Walk
from ringproof.model.state import Map, Number
from ringproof.proofs.scatterlist_claims import INVARIANTS
from ringproof.proofs.scatterlist_sums import known


@dataclass(frozen=True)
class Tree:
    """A packet: size of the linear part, (page offset, size) of each fragment, the packets of the list."""

    head: int
    fragments: tuple[tuple[int, int], ...]
    packets: tuple["Tree", ...]

    def pieces(self, path: tuple[int, ...] = ()) -> Iterator[list[tuple[tuple[int, ...], int]]]:
        """Yield the bytes of each piece, empty or not: which part they are in, and where in its memory."""
        yield [((*path, 0), byte) for byte in range(self.head)]
        for number, (offset, size) in enumerate(self.fragments, 1):
            yield [((*path, number), byte) for byte in range(offset, offset + size)]
        for number, packet in enumerate(self.packets, 1 + len(self.fragments)):
            yield from packet.pieces((*path, number))

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(map(len, self.pieces()))

    @property
    def parts(self) -> int:
        """How many parts it has, those of the packets of its list included."""
        return 1 + len(self.fragments) + sum(1 + packet.parts for packet in self.packets)


def touched(tree: Tree, low: int, high: int) -> int:
    """Count the pieces that hold a byte from ``low`` to ``high - 1``."""
    count = position = 0
    for piece in tree.pieces():
        count += any(low <= position + byte < high for byte in range(len(piece)))
        position += len(piece)
    return count


def random_tree(rng: random.Random, depth: int = 3) -> Tree:
    """Return a packet of few bytes, many of its pieces empty."""
    sizes = (0, 0, 1, 2, 5)
    fragments = tuple((rng.choice((0, 7, 100)), rng.choice(sizes)) for _ in range(rng.randrange(4)))
    count = rng.randrange(3) if depth else 0
    return Tree(rng.choice(sizes), fragments, tuple(random_tree(rng, depth - 1) for _ in range(count)))


def number(term: Number) -> int:
    """Return the value of a term without symbols."""
    value: int = z3.simplify(term).as_long()
    return value


class Concrete(Scatterlist):
    """The model on one packet: its functions look values up, a call inside is a walk of its own."""

    def __init__(self, tree: Tree, offset: int, length: int, first: int = 1, entry: int = 0) -> None:
        self.tree = tree
        alone = [Tree(0, (), ())]
        leaves = [Tree(size, (), ()) for size in (tree.head, *(size for _, size in tree.fragments))]
        trees = [*leaves, *tree.packets]
        sizes = [each.size for each in trees]
        begins = [sum(sizes[:part]) for part in range(len(sizes))]
        ranges = [(offset - begin, offset + length - begin) for begin in begins]
        calls = [*(0 for _ in leaves), *(each.parts for each in tree.packets)]

        def of(part: Number) -> Tree:
            return ([*trees, *alone * 2])[number(part)]

        def total(values: Sequence[int]) -> Map:
            return lambda part: z3.IntVal(sum(values[: number(part)]))

        super().__init__(
            Packet(
                fragments=z3.IntVal(len(tree.fragments)),
                packets=z3.IntVal(len(tree.packets)),
                length=z3.IntVal(tree.size),
                size=lambda part: z3.IntVal(of(part).size),
                page_offset=lambda part: z3.IntVal(
                    dict(enumerate(tree.fragments, 1)).get(number(part), (0,))[0]
                ),
                begin=total(sizes),
                pieces=total([len(list(each.pieces())) for each in trees]),
                touched=total([touched(each, *span) for each, span in zip(trees, ranges, strict=True)]),
                filled=total([touched(each, 0, each.size) for each in trees]),
                rank=lambda part: z3.IntVal(sum(1 + parts for parts in calls[number(part) :])),
                pieces_of=lambda part: z3.IntVal(len(list(of(part).pieces()))),
                parts_of=lambda part: z3.IntVal(of(part).parts),
                inside=lambda part, low, high: z3.IntVal(touched(of(part), number(low), number(high))),
            )
        )
        self.offset, self.length = z3.IntVal(offset), z3.IntVal(length)
        self.first, self.entry, self.stale = z3.IntVal(first), z3.IntVal(entry), z3.BoolVal(True)
        self.segments: list[tuple[tuple[int, ...], int, int]] = []
        self._inner: list[tuple[tuple[int, ...], int, int]] = []

    def inner_outcome(self, part: Number, call: Call) -> Outcome:
        """Walk the packet of the list."""
        place, length = number(part), number(call.length)
        if place <= len(self.tree.fragments) or length < 1:
            return super().inner_outcome(part, call)
        inner = self.tree.packets[place - 1 - len(self.tree.fragments)]
        walk = Concrete(inner, number(call.offset), length, number(call.first), number(self.entry))
        walk.stale = call.marked
        outcome = walk.outcome(walk.run())
        self._inner = [((place, *path), at, size) for path, at, size in walk.segments]
        return outcome

    def run(self) -> Walk:
        """Take steps until none is left, noting segments; the model's own words hold at every moment."""
        walk = self.begun()
        while True:
            walk = replace(
                walk, **{each.name: z3.simplify(getattr(walk, each.name)) for each in fields(walk)}
            )
            facts = known(self, walk.part)
            facts |= {name: each.holds(self, walk) for name, each in INVARIANTS.items()}
            assert [name for name, fact in facts.items() if not z3.is_true(z3.simplify(fact))] == []
            steps = [getattr(self, name)(walk) for name in self.steps]
            possible = [step for step in steps if z3.is_true(z3.simplify(step.guard))]
            assert len(possible) == (not z3.is_true(z3.simplify(self.has_ended(walk))))
            if not possible:
                return walk
            (step,) = possible
            if z3.is_true(z3.simplify(step.taken)):
                if step.inner is None:
                    self.segments.append(((number(walk.part),), number(step.at), number(step.copy)))
                else:
                    assert all(z3.is_true(z3.simplify(each)) for each in self.contract(*step.inner).values())
                    self.segments += self._inner
            walk = step.after


@pytest.mark.parametrize("seed", range(40))
def test_the_walk_finds_the_bytes_of_a_packet(seed: int) -> None:
    """On random trees and ranges the model's segments are the bytes, counted and refused as in plain Python.

    Every invariant, every sum and the contract of every call inside hold on the way.
    """
    rng = random.Random(seed)
    tree = random_tree(rng)
    data = [byte for piece in tree.pieces() for byte in piece]
    offset, length = rng.randrange(len(data) + 2), rng.randrange(1, len(data) + 2)
    if rng.random() < 0.3:
        offset, length = 0, max(1, len(data))
    walk = Concrete(tree, offset, length, entry=rng.randrange(6))
    end = walk.run()
    outcome = walk.outcome(end)
    found = [(path, byte) for path, at, size in walk.segments for byte in range(at, at + size)]
    assert found == data[offset : offset + length]
    assert all(size > 0 for _, _, size in walk.segments)
    within = offset + length <= len(data)
    assert z3.is_true(z3.simplify(outcome.refused)) is not within
    assert number(end.entries) == 1 + len(walk.segments)
    if within:
        assert len(walk.segments) == touched(tree, offset, offset + length)
        last = len(walk.segments)
        entry = number(walk.entry)
        marked = z3.is_true(z3.simplify(walk.marked_at_end(end)))
        assert marked is (entry == last or not 1 <= entry <= last)


def placed(tree: Tree, memory: dict[tuple[int, ...], int], path: tuple[int, ...] = ()) -> SkBuff:
    """Return the packet for the reference, each part in pages of its own, noted in ``memory``."""

    def page(part: int) -> int:
        memory[*path, part] = (1 + len(memory)) * 4 * PAGE
        return memory[*path, part]

    head = page(0), tree.head
    frags = [Frag(page(part), offset, size) for part, (offset, size) in enumerate(tree.fragments, 1)]
    start = 1 + len(frags)
    return SkBuff(
        head, frags, [placed(each, memory, (*path, i)) for i, each in enumerate(tree.packets, start)]
    )


@pytest.mark.parametrize("seed", range(40, 70))
def test_the_walk_fills_the_entries_that_the_reference_fills(seed: int) -> None:
    """On random trees and ranges: the same segments in the same entries, refused alike, marked alike."""
    rng = random.Random(seed)
    tree = random_tree(rng)
    memory: dict[tuple[int, ...], int] = {}
    skb = placed(tree, memory)
    size = tree.size
    offset, length = rng.randrange(size + 1), rng.randrange(1, size + 2)
    if rng.random() < 0.5:
        offset, length = 0, max(1, size)
    entry = rng.randrange(1, 8)
    walk = Concrete(tree, offset, length, entry=entry)
    end = walk.run()
    table = [ScatterlistEntry(end=True) for _ in range(200)]
    if offset + length > size:
        assert z3.is_true(z3.simplify(walk.outcome(end).refused))
        with pytest.raises(ValueError, match="of a packet of"):
            skb_to_sgvec(skb, table[1:], offset, length)
        return
    count = skb_to_sgvec(skb, table[1:], offset, length)
    found = [(each.page + each.offset, each.length) for each in table[1 : 1 + count]]
    assert found == [(memory[path] + at, copy) for path, at, copy in walk.segments]
    assert number(end.entries) == 1 + count
    assert z3.is_true(z3.simplify(walk.marked_at_end(end))) is table[entry].end


def expected_header(values: dict[str, int], memory: bytes) -> bytes | None:
    """Return what memory holds after the header was written, or nothing if the packet is refused."""
    linux, checksum, gso, ecn = (values[name] for name in ("linux_3_11", "checksum", "gso", "ecn"))
    host = {1: "HOST_TSO4", 2: "HOST_TSO6", 3: "HOST_UFO"}
    if gso and gso not in host:
        return None
    if not linux:
        if gso and not (checksum and values["gso_size"] and values[host[gso]]):
            return None
        if (checksum and not values["CSUM"]) or (ecn and (gso not in (1, 2) or not values["HOST_ECN"])):
            return None
    linear = values["head_length"]
    header = struct.pack(
        "<BBHHHHH",
        1 if checksum else 0,
        ({1: 1, 2: 4, 3: 3}[gso] | (0x80 if ecn else 0)) if gso else 0,
        (linear % 65536 if linux else min(linear, 65535)) if gso else 0,
        values["gso_size"] if gso else 0,
        values["csum_start"] if checksum else 0,
        values["csum_offset"] if checksum else 0,
        0,
    )
    size = 12 if values["MRG_RXBUF"] or (values["VERSION_1"] and not linux) else 10
    return header[:size] + memory[size:]


def test_the_header_has_the_bytes_that_plain_python_packs() -> None:
    """On random packets, features and memory the model's bytes are those of struct.pack, or memory's own."""
    rng = random.Random(7)
    header = Header()
    memory = z3.Function("memory", z3.IntSort(), z3.BitVecSort(8))
    written = [header.written(memory)(z3.IntVal(address)) for address in range(14)]
    features = [getattr(header.features, each.name) for each in fields(header.features)]
    packet = [getattr(header.packet, each.name) for each in fields(header.packet)]
    refused = accepted = 0
    for _ in range(150):
        old = rng.randbytes(14)
        values: dict[str, int] = {}
        pairs = [(memory(z3.IntVal(address)), z3.BitVecVal(old[address], 8)) for address in range(14)]
        for term in (*features, *packet, header.linux):
            if z3.is_bool(term):
                values[str(term)] = int(rng.random() < (0.3 if str(term) == "ecn" else 0.7))
                pairs.append((term, z3.BoolVal(bool(values[str(term)]))))
            else:
                most = 5 if str(term) == "gso" else 65550 if term.size() == 32 else 65535
                values[str(term)] = rng.choice((0, 1, 2, most, rng.randrange(most + 1)))
                pairs.append((term, z3.BitVecVal(values[str(term)], term.size())))
        result = bytes(z3.simplify(z3.substitute(byte, *pairs)).as_long() for byte in written)
        expected = expected_header(values, old)
        assert z3.is_true(z3.simplify(z3.substitute(header.is_refused(), *pairs))) is (expected is None)
        assert result == (old if expected is None else expected)
        refused, accepted = refused + (expected is None), accepted + (expected is not None)
    assert min(refused, accepted) > 30
