"""The honest device: what it reads, completes and wants, and that no broken driver makes it fail or hang."""

import random
import struct
from zlib import crc32

import pytest

from ringproof.impl.device.device import Device, Violation

ADDRESS = 0x41_0000_0000
DESC, AVAIL, USED = 0, 0x400, 0x800
TABLE = 0x1000
INDIRECT, EVENT = 1 << 28, 1 << 29


class Ring:
    """A ring of 8 written by hand, and a device on it."""

    def __init__(self, features: int = 0, queue_size: int = 8) -> None:
        self.memory = memoryview(bytearray(0x2000))
        self.queue_size = queue_size
        self.published = 0
        self.device = Device(
            self.memory,
            ADDRESS,
            desc=ADDRESS + DESC,
            avail=ADDRESS + AVAIL,
            used=ADDRESS + USED,
            queue_size=queue_size,
            features=features,
        )

    def desc(
        self, i: int, addr: int, length: int, flags: int = 0, following: int = 0, at: int = DESC
    ) -> None:
        """Write a descriptor, or an entry of a table."""
        struct.pack_into("<QIHH", self.memory, at + 16 * i, addr, length, flags, following)

    def publish(self, *heads: int) -> None:
        """Put heads into the available ring."""
        for head in heads:
            slot = self.published % self.queue_size
            struct.pack_into("<H", self.memory, AVAIL + 4 + 2 * slot, head)
            self.published += 1
        struct.pack_into("<H", self.memory, AVAIL + 2, self.published & 0xFFFF)

    def used(self) -> tuple[int, list[tuple[int, int]]]:
        """Return used_idx and the first four used entries."""
        (idx,) = struct.unpack_from("<H", self.memory, USED + 2)
        return idx, [struct.unpack_from("<II", self.memory, USED + 4 + 8 * slot) for slot in range(4)]


def three_chains() -> Ring:
    """Publish chains at 0, 1 and 2, the last with 30 bytes to write, and let the device read them."""
    ring = Ring()
    ring.desc(0, 0x100, 10)
    ring.desc(1, 0x200, 20)
    ring.desc(2, 0x300, 30, flags=2)
    ring.publish(0, 1, 2)
    assert ring.device.read(0)[0] == 3
    return ring


def test_reads_what_is_published() -> None:
    """A chain is read along its links; the CRC is over address, length and direction of each segment."""
    ring = Ring()
    ring.desc(5, 0xAAAA, 100, flags=1, following=2)
    ring.desc(2, 0xBBBB, 200, flags=1 | 2, following=7)
    ring.desc(7, 0xCCCC, 300, flags=2, following=5)
    assert ring.device.read(0) == (0, 0)
    ring.publish(5)
    expected = struct.pack("<QIIQIIQII", 0xAAAA, 100, 0, 0xBBBB, 200, 1, 0xCCCC, 300, 1)
    assert ring.device.read(0) == (1, crc32(expected))
    assert [flight[:3] for flight in ring.device.in_flight] == [(5, 500, (5, 2, 7))]


def test_reads_tables_flat() -> None:
    """A chain in a table has the CRC of the same chain in the open; links inside it are followed."""
    ring = Ring(INDIRECT)
    ring.desc(3, ADDRESS + TABLE, 32, flags=4)
    ring.desc(0, 0xAAAA, 100, flags=1, following=1, at=TABLE)
    ring.desc(1, 0xBBBB, 200, flags=2, at=TABLE)
    ring.publish(3)
    assert ring.device.read(1) == (1, crc32(struct.pack("<QIIQII", 0xAAAA, 100, 0, 0xBBBB, 200, 1)))
    assert [flight[:3] for flight in ring.device.in_flight] == [(3, 200, (3,))]


def test_reads_no_more_than_asked() -> None:
    """A limit stops the reading, 0 is no limit, and the CRC starts afresh at each read."""
    ring = Ring()
    for i in range(4):
        ring.desc(i, 0x1000, 8)
    ring.publish(0, 1, 2, 3)
    one = crc32(struct.pack("<QII", 0x1000, 8, 0))
    assert ring.device.read(1) == (1, one)
    assert ring.device.read(1) == (1, one)
    assert ring.device.read(0)[0] == 2
    assert ring.device.read(0) == (0, 0)


@pytest.mark.parametrize(
    ("pick", "stride", "count", "order", "left"),
    [
        (0, 0, 3, [0, 2, 1], []),  # 2, the last, takes the place of 0
        (1, 0, 1, [1], [0, 2]),
        (2, 0, 1, [2], [0, 1]),
        (1, 1, 2, [1, 0], [2]),  # number (1 + 1) mod 2 of [0, 2] is 0
        (4, 0, 9, [1, 0, 2], []),  # 4 mod 3 = 1; of [0, 2]: 4 mod 2 = 0
        (0xFFFF_FFFF, 0xFFFF_FFFF, 2, [0, 2], [1]),  # without a wrap at 2^32: 0 mod 3, then 0 mod 2 of [2, 1]
    ],
)
def test_completes_in_any_order(
    pick: int, stride: int, count: int, order: list[int], left: list[int]
) -> None:
    """Which chains are completed follows from pick and stride; the last of the list closes the gap."""
    ring = three_chains()
    assert ring.device.complete(pick, stride, count)[0] == len(order)
    idx, entries = ring.used()
    assert idx == len(order)
    assert entries[: len(order)] == [(head, 30 if head == 2 else 0) for head in order]
    assert [chain.head for chain in ring.device.in_flight] == left


def test_completing_nothing_stores_nothing() -> None:
    """With nothing in flight, or none asked for, nothing changes and no interrupt is wanted."""
    ring = Ring()
    before = bytes(ring.memory)
    assert ring.device.complete(3, 1, 5) == (0, False)
    assert bytes(ring.memory) == before
    assert three_chains().device.complete(0, 0, 0) == (0, False)


def test_used_idx_wraps() -> None:
    """used_idx and the index of the next chain to read wrap at 2^16, in the same slots as before."""
    ring = Ring()
    ring.desc(0, 0x100, 10)
    for _ in range(65536 + 3):
        ring.publish(0)
        assert ring.device.read(0)[0] == 1
        ring.device.complete(0, 0, 1)
    assert ring.used()[0] == ring.device.used_idx == ring.device.next_avail == 3


def test_interrupt_by_flags() -> None:
    """Without EVENT_IDX an interrupt is due unless NO_INTERRUPT is set."""
    ring = three_chains()
    assert ring.device.complete(0, 0, 1) == (1, True)
    struct.pack_into("<H", ring.memory, AVAIL, 1)
    assert ring.device.complete(0, 0, 1) == (1, False)


@pytest.mark.parametrize(("event", "due"), [(65535, False), (0, True), (1, True), (2, False), (3, False)])
def test_interrupt_by_event(event: int, due: bool) -> None:
    """With EVENT_IDX it is due when used_event is among what this store passed; flags are ignored."""
    ring = Ring(EVENT)
    for i in range(3):
        ring.desc(i, 0x100, 10)
    ring.publish(0, 1, 2)
    ring.device.read(0)
    struct.pack_into("<H", ring.memory, AVAIL, 1)
    struct.pack_into("<H", ring.memory, AVAIL + 4 + 16, event)
    assert ring.device.complete(0, 0, 2) == (2, due)


def test_suppression_words() -> None:
    """The device stores used.flags and avail_event, the latter also counted from avail_idx."""
    ring = Ring()
    ring.device.set_flags(1)
    ring.device.set_avail_event(0x1FFFF)
    assert struct.unpack_from("<H", ring.memory, USED) == (1,)
    assert struct.unpack_from("<H", ring.memory, USED + 4 + 64) == (0xFFFF,)
    ring.desc(0, 1, 1)
    ring.publish(0)
    ring.device.set_avail_event(0xFFFE, relative=True)
    assert struct.unpack_from("<H", ring.memory, USED + 4 + 64) == (0xFFFF,)


@pytest.mark.parametrize(
    ("slug", "match", "features", "table_bytes", "descriptors", "heads"),
    [
        ("device-reads-outstanding", "head 8 is published", 0, 0, [], [8]),
        ("device-reads-outstanding", "head 65535 is published", 0, 0, [], [65535]),
        ("device-reads-outstanding", "already in flight", 0, 0, [(1, 1, 0, 0)], [0, 0]),
        ("no-leak-no-double-allocation", "heads 0 and 1 at once", 0, 0, [(1, 1, 1, 1), (1, 1, 0, 0)], [0, 1]),
        ("chain-well-formed", "comes back to descriptor 0", 0, 0, [(1, 1, 1, 0)], [0]),
        (
            "chain-well-formed",
            "comes back to descriptor 1",
            0,
            0,
            [(1, 1, 1, 1), (1, 1, 1, 2), (1, 1, 1, 1)],
            [0],
        ),
        ("chain-well-formed", "goes on at 8", 0, 0, [(1, 1, 1, 8)], [0]),
        ("chain-well-formed", "not negotiated", 0, 16, [(ADDRESS + TABLE, 16, 4, 0)], [0]),
        ("chain-well-formed", "INDIRECT and NEXT", INDIRECT, 16, [(ADDRESS + TABLE, 16, 5, 0)], [0]),
        ("chain-well-formed", "a table of 0 bytes", INDIRECT, 0, [(ADDRESS + TABLE, 0, 4, 0)], [0]),
        ("chain-well-formed", "a table of 17 bytes", INDIRECT, 0, [(ADDRESS + TABLE, 17, 4, 0)], [0]),
        ("chain-well-formed", "a table of 16 bytes at", INDIRECT, 0, [(TABLE, 16, 4, 0)], [0]),
        ("chain-well-formed", "a table of 16384 bytes", INDIRECT, 0, [(ADDRESS + TABLE, 16384, 4, 0)], [0]),
        (
            "chain-well-formed",
            "goes on at entry 9 of 2",
            INDIRECT,
            (1, 9),
            [(ADDRESS + TABLE, 32, 4, 0)],
            [0],
        ),
        ("chain-well-formed", "comes back to an entry", INDIRECT, (1, 0), [(ADDRESS + TABLE, 32, 4, 0)], [0]),
        (
            "chain-well-formed",
            "entry 0 of the table of head 0",
            INDIRECT,
            (4, 0),
            [(ADDRESS + TABLE, 32, 4, 0)],
            [0],
        ),
        ("indices-faithful", "avail_idx went from 0", 0, 0, [], [*list(range(8)), 0]),
    ],
)
def test_broken_drivers(
    slug: str,
    match: str,
    features: int,
    table_bytes: int | tuple[int, int],
    descriptors: list[tuple[int, int, int, int]],
    heads: list[int],
) -> None:
    """Each way of breaking the rules stops the device with the property it breaks."""
    ring = Ring(features)
    for i, (addr, length, flags, following) in enumerate(descriptors):
        ring.desc(i, addr, length, flags, following)
    if isinstance(table_bytes, tuple):
        ring.desc(0, 0x100, 1, *table_bytes, at=TABLE)
    ring.publish(*heads)
    with pytest.raises(Violation, match=match) as violation:
        ring.device.read(0)
    assert violation.value.property == slug


def test_avail_idx_backwards() -> None:
    """An avail_idx that steps back is seen, not taken for 65535 new chains."""
    ring = three_chains()
    struct.pack_into("<H", ring.memory, AVAIL + 2, 2)
    with pytest.raises(Violation, match="backwards") as violation:
        ring.device.read(0)
    assert violation.value.property == "indices-faithful"


def test_garbage() -> None:
    """Whatever bytes the ring holds, the device reads, completes and ends: a Violation or a result."""
    rng = random.Random(7)
    outcomes = set()
    for _ in range(2000):
        ring = Ring(rng.choice([0, INDIRECT, EVENT, INDIRECT | EVENT]))
        ring.memory[: AVAIL + 0x20] = rng.randbytes(AVAIL + 0x20)
        for i in range(8):  # half of them close to sensible, so that all paths are met
            if rng.random() < 0.7:
                address = ADDRESS + TABLE + 16 * rng.randrange(64)
                ring.desc(i, address, 16 * rng.randrange(5), rng.randrange(8), rng.randrange(9))
            ring.desc(i, 0x1000, 16, rng.randrange(8), rng.randrange(9), at=TABLE)
        for slot in range(8):
            struct.pack_into("<H", ring.memory, AVAIL + 4 + 2 * slot, rng.randrange(9))
        struct.pack_into("<H", ring.memory, AVAIL + 2, rng.randrange(10))
        try:
            ring.device.read(0)
            outcomes.add("read")
        except Violation as violation:
            outcomes.add(violation.property)
        ring.device.complete(rng.getrandbits(32), rng.getrandbits(32), rng.randrange(10))
    assert outcomes == {
        "read",
        "indices-faithful",
        "chain-well-formed",
        "device-reads-outstanding",
        "no-leak-no-double-allocation",
    }


@pytest.mark.parametrize(
    ("desc", "avail", "used"),
    [(8, 0x400, 0x800), (0, 0x401, 0x800), (0, 0x400, 0x802), (0, 0x400, 0x1FF8), (-16, 0x400, 0x800)],
)
def test_parts_that_cannot_be(desc: int, avail: int, used: int) -> None:
    """Parts that are misaligned or outside the memory are refused in one line."""
    with pytest.raises(ValueError, match=r"is misaligned or outside the memory$"):
        Device(
            memoryview(bytearray(0x2000)),
            ADDRESS,
            desc=ADDRESS + desc,
            avail=ADDRESS + avail,
            used=ADDRESS + used,
            queue_size=8,
            features=0,
        )
