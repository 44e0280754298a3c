"""What the queue's monitor finds: each code is raised by one ring, and not by the one next to it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from .simulated import (
    ANY_LAYOUT,
    EVENT_IDX,
    IN_ORDER,
    INDIRECT,
    MEMORY,
    NEXT,
    PLAIN,
    SINK,
    TABLE,
    TABLES,
    VERSION_1,
    WANTED,
    WRITE,
    Ring,
    ring,
)

FAR = 1 << 40
Play = Callable[[Ring], None]


@dataclass(frozen=True)
class Case:
    """What a driver does wrong, and the same done right; a and b as findings.h says."""

    code: str
    wrong: Play
    right: Play
    told: tuple[int, int] | None = None
    features: int = VERSION_1
    others: frozenset[str] = frozenset()
    sends: bool = True

    def __str__(self) -> str:
        return self.code


def serve(device: Ring, *heads: int) -> None:
    """Publish and let the device work."""
    device.publish(*heads)
    device.serve()


def one(length: int = 76, flags: int = 0, following: int = 0, address: int | None = None) -> Play:
    """Publish descriptor 0, which looks like this."""

    def play(device: Ring) -> None:
        device.descriptor(0, length, flags, following, address)
        serve(device, 0)

    return play


def head(index: int) -> Play:
    """Publish a head without writing a descriptor."""

    def play(device: Ring) -> None:
        device.descriptor(0, 76)
        serve(device, index)

    return play


def chain(*links: tuple[int, int, int], first: int = 0) -> Play:
    """Publish a chain: descriptor, flags, next."""

    def play(device: Ring) -> None:
        for index, flags, following in links:
            device.descriptor(index, 76, flags, following)
        serve(device, first)

    return play


def table(*links: tuple[int, int], length: int | None = None, flags: int = TABLE, pieces: int = 76) -> Play:
    """Publish a chain with an indirect table: flags, next of its entries."""

    def play(device: Ring) -> None:
        device.write(device.buffer(0), PLAIN)
        device.table(0, *((device.buffer(0), pieces, own, following) for own, following in links))
        if length is not None or flags != TABLE:
            device.descriptor(0, 16 * len(links) if length is None else length, flags, 1, MEMORY + TABLES)
        serve(device, 0)

    return play


def twice(*heads: int) -> Play:
    """Publish heads of one-descriptor chains while those before are out."""

    def play(device: Ring) -> None:
        device.behave(hold_us=10**6)
        for index in heads:
            device.descriptor(index, 76)
            serve(device, index)

    return play


def shared(first: int) -> Play:
    """Publish two chains, the second of which goes on to descriptor `first`."""

    def play(device: Ring) -> None:
        device.behave(hold_us=10**6)
        device.descriptor(0, 76)
        device.descriptor(2, 76)
        serve(device, 0)
        device.descriptor(1, 76, NEXT, first)
        serve(device, 1)

    return play


def later(change: Play, indirect: bool = False) -> Play:
    """Publish a chain that is held, change something, and let it be completed."""

    def play(device: Ring) -> None:
        device.behave(hold_us=1000)
        if indirect:
            device.write(device.buffer(0), PLAIN)
            device.table(0, (device.buffer(0), 76, 0, 0))
        else:
            device.descriptor(0, 76)
        serve(device, 0)
        change(device)
        device.serve(2)
        assert device.outstanding() == 0

    return play


def poke(place: Callable[[Ring], int], value: int) -> Play:
    """Write a word."""
    return lambda device: device.set16(place(device), value)


def nothing(_device: Ring) -> None:
    """Do nothing."""


def index(by: int, out: int = 0) -> Play:
    """Move avail_idx by so much, with that many chains out."""

    def play(device: Ring) -> None:
        device.behave(hold_us=10**6)
        if out:
            device.send(*range(out))
        for number in range(8):
            device.set16(device.avail + 4 + 2 * ((device.idx + number) % 8), number)
            if number >= out:
                device.descriptor(number, 76)
        device.idx = (device.idx + by) & 0xFFFF
        device.publish()
        device.serve()

    return play


def apart(first: int) -> Play:
    """Publish a chain whose first piece has that length."""

    def play(device: Ring) -> None:
        device.descriptor(0, first, NEXT, 1)
        device.descriptor(1, 76)
        device.write(device.buffer(0), bytes(76))
        serve(device, 0)

    return play


def ending(last: int) -> Play:
    """Publish a chain whose last piece has that length."""

    def play(device: Ring) -> None:
        device.descriptor(0, 76, NEXT, 1)
        device.descriptor(1, last)
        serve(device, 0)

    return play


def hidden(device: Ring) -> None:
    """A chain that is published while the queue was never enabled."""
    device.lib.rpl_queue_stop(device.queue)
    device.lib.rpl_queue_enable(device.queue, False)
    device.set16(device.avail + 2, 0)
    device.set16(device.used + 2, 0)
    device.idx = 0
    assert device.start()
    device.send(0)


def lost(kicks: int, polls: bool = False, **behaviour: int) -> Play:
    """Publish once without kicking, while the device sleeps; then wait for longer than it has patience."""

    def play(device: Ring) -> None:
        device.behave(poll=int(polls), seed=3, **behaviour)
        device.send(0)
        device.pass_time(40)
        device.descriptor(1, 76)
        device.publish(1, kicks=kicks)
        device.pass_time(250)

    return play


def misled(kicks: int) -> Play:
    """Publish without kicking in an epoch in which the word that has no influence says not to."""

    def play(device: Ring) -> None:
        word = device.used + (0 if device.features & EVENT_IDX else 4 + 8 * 8)
        device.behave(distract=1, seed=1)
        for _ in range(400):
            device.serve(5)
            if device.get16(word) == 1 or (
                not device.features & EVENT_IDX and device.get16(word) != device.idx
            ):
                break
        device.descriptor(1, 76)
        device.publish(1, kicks=kicks)
        device.pass_time(250)

    return play


def noisy(kicks: int) -> Play:
    """Kick that often while the device says that it wants none."""

    def play(device: Ring) -> None:
        device.behave(suppress=2)
        device.send(0, kicks=0)
        for _ in range(kicks):
            device.lib.rpl_queue_kicked(device.queue, 1)
            device.serve()
        device.stop()

    return play


BAD = {"FRAME_SHORT"}
CASES = [
    Case("HEAD_RANGE", head(8), head(0), (8, 8)),
    Case("NEXT_RANGE", one(flags=NEXT, following=8), chain((0, NEXT, 7), (7, 0, 0)), (8, 8)),
    Case("NEXT_RANGE", table((NEXT, 2), (0, 0)), table((NEXT, 1), (0, 0)), (2, 2), VERSION_1 | INDIRECT),
    Case("CHAIN_LOOP", chain((0, NEXT, 1), (1, NEXT, 0)), chain((0, NEXT, 1), (1, 0, 0)), (0, 0)),
    Case("CHAIN_LOOP", table((NEXT, 1), (NEXT, 0)), table((NEXT, 1), (0, 0)), (0, 0), VERSION_1 | INDIRECT),
    Case("DESCRIPTOR_REUSED", shared(0), shared(2), (0, 1 << 32)),
    Case("TOO_MANY_OUTSTANDING", index(7, out=2), index(6, out=2), (2, 7)),
    Case("AVAIL_BACKWARDS", index(-1, out=2), index(1, out=2), (2, 1)),
    Case("AVAIL_BACKWARDS", index(9), index(8), (0, 9)),
    Case(
        "WRITE_BEFORE_READ",
        chain((0, NEXT | WRITE, 1), (1, 0, 0)),
        chain((0, NEXT, 1), (1, WRITE, 0)),
        (1, 0),
        sends=False,
    ),
    Case("INDIRECT_UNNEGOTIATED", table((0, 0)), one(), (0, 0)),
    Case("INDIRECT_NESTED", table((TABLE, 0)), table((0, 0)), (0, 0), VERSION_1 | INDIRECT),
    Case(
        "CHAIN_TOO_LONG",
        table(*((NEXT, number + 1) for number in range(8)), (0, 0)),
        table(*((NEXT, number + 1) for number in range(7)), (0, 0)),
        (9, 8),
        VERSION_1 | INDIRECT,
    ),
    Case("INDIRECT_AND_NEXT", table((0, 0), flags=TABLE | NEXT), table((0, 0)), (0, 5), VERSION_1 | INDIRECT),
    Case("INDIRECT_LENGTH", table((0, 0), length=17), table((0, 0)), (17, 0), VERSION_1 | INDIRECT),
    Case(
        "INDIRECT_LENGTH",
        table((0, 0), length=0),
        table((0, 0)),
        (0, 0),
        VERSION_1 | INDIRECT,
        frozenset(BAD),
    ),
    Case("ADDRESS_UNMAPPED", one(address=FAR), one(), (FAR, 76)),
    Case(
        "ADDRESS_UNMAPPED",
        one(64, TABLE, address=FAR),
        table((0, 0)),
        (FAR, 64),
        VERSION_1 | INDIRECT,
        frozenset(BAD),
    ),
    Case(
        "LENGTH_SUM",
        table((NEXT, 1), (0, 0), pieces=0xFFFFFFFF),
        table((NEXT, 1), (0, 0), pieces=0x7FFFFFFF),
        (0x1FFFFFFFE, 0),
        VERSION_1 | INDIRECT,
        frozenset({"ADDRESS_UNMAPPED"}),
    ),
    Case("FLAG_UNASSIGNED", one(flags=8), one(), (8, 0)),
    Case(
        "IN_ORDER_NEXT",
        chain((0, NEXT, 2), (2, 0, 0)),
        chain((0, NEXT, 1), (1, 0, 0)),
        (2, 1),
        VERSION_1 | IN_ORDER,
    ),
    Case("IN_ORDER_HEAD", chain((1, 0, 0), first=1), head(0), (1, 0), VERSION_1 | IN_ORDER),
    Case(
        "IN_ORDER_TABLE",
        table((NEXT, 2), (0, 0), (NEXT, 1)),
        table((NEXT, 1), (NEXT, 2), (0, 0)),
        (2, 0),
        VERSION_1 | IN_ORDER | INDIRECT,
    ),
    Case("SLOT_REPEATED", twice(0, 0), twice(0, 1), (1 << 32, 0)),
    Case("ZERO_LENGTH", ending(0), ending(1), (1, 0)),
    Case("CHAIN_CHANGED", later(poke(lambda it: it.desc + 14, 5)), later(nothing), (0, 0)),
    Case(
        "TABLE_CHANGED",
        later(poke(lambda _: TABLES + 14, 5), True),
        later(nothing, True),
        (0, 0),
        VERSION_1 | INDIRECT,
    ),
    Case(
        "HEADER_CHANGED", later(poke(lambda it: it.buffer(0) - MEMORY + 2, 1)), later(nothing), (2 << 32, 0)
    ),
    Case("USED_WRITTEN", later(poke(lambda it: it.used + 4, 7)), later(nothing), (4, 7)),
    Case("USED_WRITTEN", later(poke(lambda it: it.used + 2, 7)), later(nothing), (2, 7)),
    Case("USED_WRITTEN", later(poke(lambda it: it.used, 1)), later(nothing), (0, 1), VERSION_1 | EVENT_IDX),
    Case("AVAIL_FLAGS", later(poke(lambda it: it.avail, 2)), later(poke(lambda it: it.avail, 1)), (2, 0)),
    Case(
        "AVAIL_FLAGS_EVENT",
        later(poke(lambda it: it.avail, 1)),
        later(nothing),
        (1, 0),
        VERSION_1 | EVENT_IDX,
    ),
    Case("KICK_LOST_FLAGS", lost(0), lost(1), (2, 1)),
    Case("KICK_LOST_FLAGS", lost(0, suppress=1), lost(1, suppress=1), (2, 1)),
    Case("KICK_LOST_EVENT", lost(0), lost(1), (2, 1 << 32 | 1), VERSION_1 | EVENT_IDX),
    Case("KICK_LOST_EVENT", lost(0, suppress=1), lost(1, suppress=1), None, VERSION_1 | EVENT_IDX),
    Case("KICK_LOST_EVENT", lost(0, True), lost(1, True), (2, 1 << 32 | 1), VERSION_1 | EVENT_IDX),
    Case("KICK_UNWANTED_FLAGS", noisy(5), noisy(3), (5, 0)),
    Case("KICK_UNWANTED_EVENT", noisy(5), noisy(3), None, VERSION_1 | EVENT_IDX),
    Case("EVENT_WORD_HEEDED", misled(0), misled(1), None),
    Case("FLAGS_HEEDED", misled(0), misled(1), (1, 1), VERSION_1 | EVENT_IDX),
    Case("QUEUE_NOT_ENABLED", hidden, one(), (1, 1)),
    Case("TX_WRITABLE", chain((0, NEXT, 1), (1, WRITE, 0)), chain((0, NEXT, 1), (1, 0, 0)), (1, 0)),
    Case("HEADER_APART", apart(11), apart(10), (11, 10), 0),
    Case("FRAME_SHORT", one(25), one(26), (25, 12)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_check_fails_where_it_must_and_only_there(case: Case) -> None:
    """The wrong one has this finding and its numbers, the right one has not; the offline monitor agrees."""
    with ring(8, features=case.features, sends=case.sends) as device:
        case.wrong(device)
        failed = device.failed()
        assert case.code in failed
        if case.told is not None:
            assert device.told(case.code) == case.told
        assert failed - {case.code, *case.others} == set() or case.told is None
    with ring(8, features=case.features, sends=case.sends) as device:
        case.right(device)
        assert case.code not in device.failed()
        assert device.log[case.code].checked > 0


START = [
    ("QUEUE_SIZE", {"size": 12}, VERSION_1),
    ("PARTS_ALIGNED", {"desc": MEMORY + 0x8008}, VERSION_1),
    ("PARTS_ALIGNED", {"avail": MEMORY + 0x8001}, VERSION_1),
    ("PARTS_ALIGNED", {"used": MEMORY + 0x8002}, VERSION_1),
    ("PARTS_PLACED", {"desc": MEMORY - 16}, VERSION_1),
    ("PARTS_PLACED", {"used": 2**64 - 1}, VERSION_1),
    ("PARTS_PLACED", {"avail": MEMORY + 16}, VERSION_1),
    ("LEGACY_LAYOUT", {"avail": MEMORY + 0x8000}, ANY_LAYOUT),
    ("LEGACY_LAYOUT", {"used": MEMORY + 0x8000}, ANY_LAYOUT),
    ("USED_FLAGS_START", {}, VERSION_1),
    ("AVAIL_IDX_START", {}, VERSION_1),
]


@pytest.mark.parametrize(("code", "changes", "features"), START)
def test_what_is_wrong_from_the_start(code: str, changes: dict[str, int], features: int) -> None:
    """Parts out of place, wrong words to begin with, sizes that may not be: told when the queue starts."""
    with ring(8, features=features, start=False) as device:
        for name, value in changes.items():
            setattr(device.setup, name, value)
        if code == "USED_FLAGS_START":
            device.set16(device.used, 1)
        if code == "AVAIL_IDX_START":
            device.set16(device.avail + 2, 9)
        device.start()
        assert code in device.failed()
        device.serve()
    with ring(8, features=features) as device:
        assert device.failed() == set()
        assert device.log[code].checked > 0


@pytest.mark.parametrize("where", ["descriptor", "table", "header"])
def test_what_changes_at_once_is_told_apart(where: str) -> None:
    """A change seen right after a chain was read is UNSETTLED, not CHANGED; it is told once."""
    with ring(8, features=VERSION_1 | INDIRECT, hold_us=1000) as device:
        places = {"descriptor": 14, "table": TABLES + 14, "header": device.buffer(0) - MEMORY + 2}

        def change(_context: object, _prefix: int, _bytes: int) -> bool:
            device.set16(places[where], 5)
            return False

        calls = WANTED(change), SINK(lambda *_: None)
        device.lib.rpl_queue_sink(device.queue, *calls, None)
        device.write(device.buffer(0), PLAIN)
        device.table(0, (device.buffer(0), 76, 0, 0))
        serve(device, 0)
        device.serve(2)
        assert device.outstanding() == 0
        assert device.failed() == {"UNSETTLED"}
        assert device.log["UNSETTLED"].failed == 1
        assert device.told("UNSETTLED") == (2 << 32 if where == "header" else 0, 0)
    with ring(8) as device:
        device.send(0)
        assert device.log["UNSETTLED"].checked == 1
        assert device.failed() == set()


def test_many_descriptors_are_told() -> None:
    """More than 64 pieces in a chain are a warning; 64 are not."""
    for count in (65, 64):
        with ring(128, features=VERSION_1 | INDIRECT) as device:
            device.write(device.buffer(0), PLAIN)
            entries = [(device.buffer(0), 20, NEXT, number + 1) for number in range(count - 1)]
            device.table(0, *entries, (device.buffer(0), 20, 0, 0))
            serve(device, 0)
            assert ("MANY_DESCRIPTORS" in device.failed()) == (count == 65)


def test_long_tables_are_kept_and_compared() -> None:
    """A table beyond what each chain has room for is compared whole, too."""
    with ring(128, features=VERSION_1 | INDIRECT, hold_us=1000) as device:
        entries = [(device.buffer(0), 20, NEXT, number + 1) for number in range(99)]
        device.write(device.buffer(0), PLAIN)
        device.table(0, *entries, (device.buffer(0), 20, 0, 0))
        serve(device, 0)
        struct.pack_into("<H", device.memory, TABLES + 16 * 98 + 14, 5)
        device.serve(2)
        assert "TABLE_CHANGED" in device.failed()
        assert device.told("TABLE_CHANGED") == (98 << 32, 0)


def test_a_second_failure_is_counted_and_the_first_is_told() -> None:
    """The tally keeps the numbers and the record of the first failure."""
    with ring(8) as device:
        device.descriptor(1, 76)
        serve(device, 9)
        at = device.log["HEAD_RANGE"].record
        serve(device, 10)
        tally = device.log["HEAD_RANGE"]
        assert (tally.failed, tally.record, tally.a) == (2, at, 9)
        assert type(device.records()[at - 1]).__name__ == "Chain"


def test_a_halted_queue_is_left_alone_until_it_starts_again() -> None:
    """After its index went backwards nothing is completed; started anew it is served."""
    with ring(8) as device:
        device.idx = 0x8000
        device.publish()
        device.serve()
        device.idx = 0
        device.send(0)
        assert (device.used_idx, device.failed()) == (0, {"AVAIL_BACKWARDS"})
        device.stop()
        device.idx = 0
        device.set16(device.avail + 2, 0)
        assert device.start()
        device.send(0)
        assert device.used_idx == 1
        assert device.failed() == {"AVAIL_BACKWARDS"}
