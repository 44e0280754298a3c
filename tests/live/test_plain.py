"""The plain device: gives back what it takes, keeps its word about kicks, stays within its memory."""

import ctypes
import mmap
import os
import re
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ringproof.building import build_library, build_program

from .judging import SOURCES, VERSION_1, WARNINGS

SIZE = 8
MEMORY = 1 << 16
DESC, AVAIL, USED, BUFFERS, TABLES = 0, 4096, 8192, 16384, 32768
EVENT_IDX, NOTIFY_ON_EMPTY = 1 << 29, 1 << 24
NEXT, WRITE, INDIRECT = 1, 2, 4
GUEST_BYTES = 1 << 16  # more than a struct rpl_guest, which nobody looks into here
BASE = 0x10_0000  # guest-physical address of the memory


class Setup(ctypes.Structure):
    """struct rpl_queue_setup."""

    _fields_ = [
        ("size", ctypes.c_uint32), ("desc", ctypes.c_uint64), ("avail", ctypes.c_uint64),
        ("used", ctypes.c_uint64), ("base", ctypes.c_uint16), ("features", ctypes.c_uint64),
        ("sends", ctypes.c_bool), ("mtu", ctypes.c_uint32),
    ]  # fmt: skip


@cache
def _library() -> Any:
    sources = [SOURCES / "plain.c", SOURCES / "guest.c"]
    library = ctypes.CDLL(str(build_library(sources, extra_flags=WARNINGS)))
    library.rpl_plain_new.restype = ctypes.c_void_p
    library.rpl_plain_start.restype = ctypes.c_bool
    library.rpl_plain_service.restype = ctypes.c_bool
    library.rpl_plain_stop.restype = ctypes.c_uint16
    library.rpl_plain_chains.restype = ctypes.c_uint64
    numbers = [ctypes.c_uint64] * 3
    library.rpl_guest_remove.argtypes = (ctypes.c_void_p, *numbers)
    library.rpl_guest_add.argtypes = (ctypes.c_void_p, *numbers, ctypes.c_uint64, ctypes.c_int)
    return library


class Driver:
    """A ring in shared memory, the plain device behind it, and an eventfd for its interrupts."""

    def __init__(self, features: int = VERSION_1, size: int = SIZE, **changed: Any) -> None:
        self.size = size
        self.fd = os.memfd_create("plain")
        os.ftruncate(self.fd, MEMORY)
        self.memory = mmap.mmap(self.fd, MEMORY)
        self.call = os.eventfd(0, os.EFD_NONBLOCK)
        self._guest = ctypes.create_string_buffer(GUEST_BYTES)
        self.guest = ctypes.addressof(self._guest)
        _library().rpl_guest_init(ctypes.c_void_p(self.guest))
        self.add_memory()
        self.plain = ctypes.c_void_p(_library().rpl_plain_new(ctypes.c_void_p(self.guest)))
        _library().rpl_plain_set_call(self.plain, self.call)
        words = {"size": size, "desc": BASE + DESC, "avail": BASE + AVAIL, "used": BASE + USED}
        self.setup = Setup(
            **{**words, "base": 0, "features": features, "sends": True, "mtu": 1500, **changed}
        )

    def close(self) -> None:
        """Everything goes."""
        _library().rpl_plain_free(self.plain)
        _library().rpl_guest_clear(ctypes.c_void_p(self.guest))
        self.memory.close()
        os.close(self.fd)
        os.close(self.call)

    def add_memory(self, offset: int = 0) -> None:
        """Share the memory, at BASE."""
        assert _library().rpl_guest_add(self.guest, BASE, BASE, MEMORY, offset, self.fd) == 0

    def remove_memory(self) -> None:
        """Take it away."""
        assert _library().rpl_guest_remove(self.guest, BASE, BASE, MEMORY) == 0

    def start(self) -> bool:
        """Start the queue."""
        return bool(_library().rpl_plain_start(self.plain, ctypes.byref(self.setup)))

    def service(self, limit: int = 100) -> bool:
        """One round of the device."""
        return bool(_library().rpl_plain_service(self.plain, ctypes.c_uint32(limit)))

    def stop(self) -> int:
        """Stop it: the base it answers."""
        return int(_library().rpl_plain_stop(self.plain))

    @property
    def chains(self) -> int:
        """How many it has taken."""
        return int(_library().rpl_plain_chains(self.plain))

    def put16(self, at: int, value: int) -> None:
        """One word of memory."""
        struct.pack_into("<H", self.memory, at, value & 0xFFFF)

    def get16(self, at: int) -> int:
        """One word of memory."""
        return int(struct.unpack_from("<H", self.memory, at)[0])

    def describe(
        self, index: int, address: int, length: int = 64, flags: int = 0, to: int = 0, table: int = DESC
    ) -> None:
        """One descriptor, of the table at `table`."""
        struct.pack_into("<QIHH", self.memory, table + 16 * index, address, length, flags, to)

    def publish(self, *heads: int) -> None:
        """These heads, in this order."""
        idx = self.get16(AVAIL + 2)
        for place, head in enumerate(heads):
            self.put16(AVAIL + 4 + 2 * ((idx + place) % self.size), head)
        self.put16(AVAIL + 2, idx + len(heads))

    def buffers(self) -> None:
        """Each descriptor a buffer of its own."""
        for index in range(self.size):
            self.describe(index, BASE + BUFFERS + 128 * index)

    @property
    def used_idx(self) -> int:
        """As the device published it."""
        return self.get16(USED + 2)

    def used(self, slot: int) -> tuple[int, int]:
        """The id and length at a slot of the used ring."""
        first, second = struct.unpack_from("<II", self.memory, USED + 4 + 8 * (slot % self.size))
        return int(first), int(second)

    @property
    def asks(self) -> int:
        """avail_event with EVENT_IDX, else used flags."""
        return self.get16(USED + 4 + 8 * self.size if self.setup.features & EVENT_IDX else USED)

    def interrupts(self) -> int:
        """How many came since the last time."""
        try:
            return os.eventfd_read(self.call)
        except BlockingIOError:
            return 0


@pytest.fixture
def driver() -> Iterator[Driver]:
    """Without EVENT_IDX, running, with plain buffers."""
    yield from _driver()


@pytest.fixture
def event_driver() -> Iterator[Driver]:
    """The same with EVENT_IDX."""
    yield from _driver(VERSION_1 | EVENT_IDX)


def _driver(features: int = VERSION_1) -> Iterator[Driver]:
    made = Driver(features)
    made.buffers()
    assert made.start()
    yield made
    made.close()


def test_chains_come_back_in_order(driver: Driver) -> None:
    """Each head once, with length 0, through more than one lap of the ring."""
    sent: list[int] = []
    for heads in ((3,), (1, 0, 7), tuple(range(8)), (5, 4), tuple(reversed(range(8)))):
        driver.publish(*heads)
        before = driver.used_idx
        assert not driver.service()
        assert [driver.used(before + place) for place in range(len(heads))] == [(head, 0) for head in heads]
        sent += heads
        assert driver.used_idx == driver.chains == len(sent)
    assert driver.stop() == len(sent)


def test_a_limit_is_kept(driver: Driver) -> None:
    """No more than asked for in a round, and more is said to be there; kicks are asked for at the end."""
    driver.publish(*range(7))
    assert [(driver.service(3), driver.used_idx, driver.asks) for _ in range(3)] == [
        (True, 3, 1), (True, 6, 1), (False, 7, 0),
    ]  # fmt: skip
    driver.publish(7)
    assert (driver.service(1), driver.asks) == (True, 1)
    assert (driver.service(1), driver.asks) == (False, 0)
    assert driver.service(0)


def test_kicks_are_asked_for_before_it_rests(driver: Driver, event_driver: Driver) -> None:
    """Flags 1 while it works, 0 when it rests; with EVENT_IDX avail_event at the next entry, flags 0."""
    assert driver.asks == 1
    assert not driver.service()
    assert driver.asks == 0
    for count in (1, 5):
        event_driver.publish(*range(count))
        assert not event_driver.service()
        assert event_driver.asks == event_driver.used_idx
        assert event_driver.get16(USED) == 0
    assert event_driver.asks == 6


def test_interrupts_come_when_asked_for(driver: Driver, event_driver: Driver) -> None:
    """By avail flags, or when used_idx passes used_event; none without news."""
    driver.publish(0, 1)
    driver.service()
    assert driver.interrupts() == 1
    driver.service()
    assert driver.interrupts() == 0
    driver.put16(AVAIL, 1)
    driver.publish(2)
    driver.service()
    assert driver.interrupts() == 0

    place = AVAIL + 4 + 2 * SIZE
    for event, heads, wanted in ((0, 1, 1), (3, 2, 0), (3, 1, 1), (2, 1, 0), (7, 2, 0), (7, 3, 1)):
        event_driver.put16(place, event)
        event_driver.publish(*range(heads))
        event_driver.service()
        assert event_driver.interrupts() == wanted
    event_driver.put16(AVAIL, 1)
    event_driver.put16(place, event_driver.used_idx)
    event_driver.publish(0)
    event_driver.service()
    assert event_driver.interrupts() == 1


def test_an_empty_ring_may_be_told_in_any_case() -> None:
    """A legacy driver that accepted NOTIFY_ON_EMPTY hears of the last chain though it wants no interrupt."""
    for driver in _driver(NOTIFY_ON_EMPTY):
        driver.put16(AVAIL, 1)
        driver.publish(0, 1)
        assert (driver.service(1), driver.interrupts()) == (True, 0)
        assert (driver.service(5), driver.interrupts()) == (False, 1)


def test_it_begins_where_the_base_says() -> None:
    """After a stop both indices go on from where they were, through the end of 16 bits."""
    for driver in _driver():
        driver.stop()
        driver.put16(AVAIL + 2, 0xFFFE)
        driver.put16(USED + 2, 0xFFFE)
        driver.setup.base = 0xFFFE
        assert driver.start()
        driver.publish(1, 2, 3)
        assert not driver.service()
        assert (driver.used_idx, driver.stop()) == (1, 1)
        assert [driver.used(slot) for slot in (6, 7, 0)] == [(1, 0), (2, 0), (3, 0)]
        assert not driver.service()


def test_a_receiver_keeps_its_buffers() -> None:
    """Nothing is done with what a driver wants to receive into, and no kick is asked for."""
    for driver in _driver():
        driver.stop()
        driver.setup.sends = False
        assert driver.start()
        driver.publish(*range(8))
        assert not driver.service()
        assert (driver.used_idx, driver.asks, driver.stop()) == (0, 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0}, {"size": 3}, {"size": 65536}, {"size": 32768}, {"desc": 5}, {"avail": BASE + MEMORY - 4},
        {"used": BASE + MEMORY - 64}, {"avail": BASE + AVAIL + 1}, {"used": BASE + USED + 2},
        {"desc": (1 << 64) - 1}, {"used": (1 << 64) - 16},
        {"avail": BASE + MEMORY - 20, "features": EVENT_IDX},
    ],
)  # fmt: skip
def test_parts_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    """Sizes, places out of memory and addresses that no word can be at: it does not start, nor serve."""
    for driver in _driver():
        driver.stop()
        for name, value in wrong.items():
            setattr(driver.setup, name, value)
        assert not driver.start()
        driver.publish(0)
        assert not driver.service()
        assert driver.used_idx == 0


def test_the_last_bytes_of_memory_are_enough() -> None:
    """Parts that end where the memory ends are taken; with EVENT_IDX they are two bytes longer."""
    for features, avail in ((0, BASE + MEMORY - 20), (EVENT_IDX, BASE + MEMORY - 22)):
        made = Driver(features, avail=avail)
        assert made.start()
        made.close()


def test_chains_that_make_no_sense_come_back() -> None:
    """Loops, places outside, tables in tables, of no length or half an entry: given back like any other."""
    for driver in _driver():
        far = BASE + MEMORY
        driver.describe(0, BASE + BUFFERS, 64, NEXT, 0)
        driver.describe(1, far, 64)
        driver.describe(2, far - 8, 64)
        driver.describe(3, (1 << 64) - 8, 64)
        driver.describe(4, BASE + BUFFERS, 64, NEXT, 60000)
        driver.describe(5, BASE + TABLES, 40, INDIRECT)
        driver.describe(6, far - 16, 64, INDIRECT)
        driver.describe(7, BASE + TABLES, 64, INDIRECT)
        driver.describe(0, BASE + TABLES, 64, INDIRECT, table=TABLES)
        driver.publish(*range(8))
        assert not driver.service()
        assert driver.used_idx == 8
        driver.describe(0, BASE + TABLES, 0, INDIRECT)
        driver.describe(1, BASE + TABLES, 64, INDIRECT)
        driver.describe(0, BASE + BUFFERS, 9, NEXT, 3, table=TABLES)
        driver.describe(3, BASE + BUFFERS, 9, NEXT, 0, table=TABLES)
        driver.describe(2, BASE + BUFFERS, 0, 0xFFF8)
        driver.publish(0, 1, 2)
        assert not driver.service()
        assert (driver.used_idx, driver.chains) == (11, 11)


@pytest.mark.parametrize("idx", [9, 1000, 0xFFFF])
def test_an_index_that_makes_no_sense_ends_its_work(driver: Driver, idx: int) -> None:
    """More chains than the ring holds, or fewer than before: nothing of it is served until a new start."""
    driver.put16(AVAIL + 2, idx)
    assert not driver.service()
    driver.put16(AVAIL + 2, 1)
    assert not driver.service()
    assert driver.used_idx == 0
    assert driver.start()
    assert not driver.service()
    assert driver.used_idx == 1


def test_a_head_that_makes_no_sense_ends_its_work(driver: Driver) -> None:
    """Those before it are given back; it and those behind it are not."""
    driver.publish(2, SIZE, 3)
    assert not driver.service()
    assert (driver.used_idx, driver.used(0), driver.stop()) == (1, (2, 0), 1)


def test_memory_may_move_under_it(driver: Driver) -> None:
    """Taken away it ends its work; shared again it finds everything anew."""
    driver.publish(0)
    assert not driver.service()
    driver.remove_memory()
    driver.add_memory()
    driver.publish(1)
    assert not driver.service()
    assert driver.used_idx == 2
    driver.remove_memory()
    driver.publish(2)
    assert not driver.service()
    assert driver.used_idx == 2
    driver.add_memory()
    assert not driver.service()
    assert driver.used_idx == 2


def test_what_it_writes_is_marked() -> None:
    """With a log of dirty pages the pages of the words and slots it wrote are marked, and no other."""
    driver = Driver(VERSION_1 | EVENT_IDX, 1024, desc=BASE + TABLES, base=600)
    log = os.memfd_create("log")
    os.ftruncate(log, 4096)
    _library().rpl_guest_set_log.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int)
    assert _library().rpl_guest_set_log(driver.guest, 4096, 0, log) == 0
    for at in (AVAIL + 2, USED + 2):
        driver.put16(at, 600)
    assert driver.start()
    driver.publish(0)
    pages = []
    for _ in range(2):
        driver.service(1)
        marked = os.pread(log, 4096, 0)
        pages.append([at - (BASE + USED) // 4096 for at in range(4096 * 8) if marked[at // 8] >> at % 8 & 1])
    assert pages == [[0, 1], [0, 1, 2]]  # idx and the slot, then avail_event
    driver.close()
    os.close(log)


@cache
def _race(plain: Path = SOURCES / "plain.c") -> Path:
    own = Path(__file__).parent / "plain" / "race.c"
    return build_program(
        [own, plain, SOURCES / "guest.c"], include=(SOURCES,), extra_flags=(*WARNINGS, "-pthread")
    )  # fmt: skip


@pytest.mark.parametrize("event_idx", ["0", "1"])
@pytest.mark.parametrize("frames", ["0", "60000"])
def test_no_kick_is_lost(frames: str, event_idx: str) -> None:
    """A driver that kicks only when it must never waits for ever; nor in the narrowest moment."""
    done = subprocess.run(
        [_race(), frames, event_idx], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("event_idx", ["0", "1"])
def test_a_device_that_does_not_look_again_is_found_out(event_idx: str, tmp_path: Path) -> None:
    """In the moment that the test above makes, a device that asks and then just rests loses a chain."""
    text = (SOURCES / "plain.c").read_text()
    broken, count = re.subn(r"if \(load\(plain->avail \+ 1\) == plain->taken\)", "if (true)", text)
    assert count == 1
    copy = tmp_path / "plain.c"
    copy.write_text(broken)
    done = subprocess.run(
        [_race(copy), "0", event_idx], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "the device sleeps, a chain is there, and no kick comes\n")
