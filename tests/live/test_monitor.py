"""The offline monitor on rings and chains: each check fails on a recording, and holds on its neighbour."""

from dataclasses import dataclass

import pytest

from ringproof.live.monitor import Monitor
from ringproof.live.records import RecordingError
from ringproof.live.tallies import Check, Tally, pair
from tests.live.recording_maker import (
    ANY_LAYOUT,
    AVAIL,
    BUFFERS,
    EVENT_IDX,
    IN_ORDER,
    INDIRECT,
    INDIRECT_DESC,
    MEMORY,
    NEXT,
    PLAIN,
    RX,
    START,
    USED,
    VERSION_1,
    WRITE,
    Maker,
    begun,
    descriptor,
)

LINKED = 0x20000
"""Where indirect tables lie."""
SIZE = len(PLAIN)


def judged(maker: Maker) -> Monitor:
    """What the monitor says of one segment."""
    monitor = Monitor()
    for record in maker.records():
        monitor.see(record)
    return monitor


@dataclass(frozen=True)
class Case:
    """``bad`` fails the check, first at ``record``; ``good`` is judged by it, and holds."""

    bad: Maker
    record: int
    a: int
    b: int
    good: Maker
    besides: tuple[Check, ...] = ()
    """Other checks that the bad one fails."""


def one(*lying: tuple[int, bytes], accepted: int = VERSION_1 | INDIRECT_DESC, **rest: object) -> Maker:
    """A run with one chain on the queue that sends; its record is START + 2."""
    rest.setdefault("frame", (SIZE, PLAIN))
    maker = begun(accepted).sample(1)
    return maker.chain(0, rest.pop("head", lying[0][0]), lying, **rest)  # type: ignore[arg-type]


def piece(length: int = SIZE, flags: int = 0, following: int = 0, address: int = BUFFERS) -> bytes:
    """A descriptor of a buffer."""
    return descriptor(address, length, flags, following)


def tabled(*entries: bytes, accepted: int = VERSION_1 | INDIRECT_DESC, flags: int = INDIRECT) -> Maker:
    """A run with one chain in an indirect table."""
    lying = (2, descriptor(LINKED, 16 * len(entries), flags))
    return one(lying, accepted=accepted, table=b"".join(entries))


CHAIN = START + 2
GOOD = one((0, piece()))
GOOD_TABLE = tabled(piece(10, NEXT, 1), piece(SIZE - 10))
ORDERED = VERSION_1 | IN_ORDER | INDIRECT_DESC
MANY = [piece(1, NEXT, place + 1) for place in range(69)] + [piece(SIZE - 69)]

CHAINS = {
    Check.HEAD_RANGE: Case(begun().sample(1).chain(0, 8, []), CHAIN, 8, 8, GOOD),
    Check.SLOT_REPEATED: Case(
        begun().sample(2).sent(0, 3).chain(1, 3, []),
        START + 3,
        pair(1, 3),
        0,
        begun().sample(2).sent(0, 3).sent(1, 4),
    ),
    Check.CHAIN_LOOP: Case(
        one((0, piece(10, NEXT, 1)), (1, piece(SIZE - 10, NEXT, 0))),
        CHAIN,
        0,
        0,
        one((0, piece(10, NEXT, 1)), (1, piece(SIZE - 10))),
    ),
    Check.DESCRIPTOR_REUSED: Case(
        begun()
        .sample(2)
        .chain(0, 0, [(0, piece(10, NEXT, 1)), (1, piece(SIZE - 10))], frame=(SIZE, PLAIN))
        .chain(1, 2, [(2, piece(10, NEXT, 1)), (1, piece(SIZE - 10))], frame=(SIZE, PLAIN)),
        START + 3,
        1,
        pair(2, 0),
        begun().sample(2).sent(0, 0).sent(1, 2),
    ),
    Check.NEXT_RANGE: Case(
        one((0, piece(SIZE, NEXT, 8))),
        CHAIN,
        pair(0, 8),
        8,
        one((0, piece(10, NEXT, 7)), (7, piece(SIZE - 10))),
    ),
    Check.INDIRECT_UNNEGOTIATED: Case(
        tabled(piece(), accepted=VERSION_1), CHAIN, 2, 2, one((0, piece()), accepted=VERSION_1)
    ),
    Check.INDIRECT_AND_NEXT: Case(
        tabled(piece(), flags=INDIRECT | NEXT), CHAIN, 2, INDIRECT | NEXT, GOOD_TABLE
    ),
    Check.INDIRECT_LENGTH: Case(
        one((2, descriptor(LINKED, 24, INDIRECT)), table=piece()), CHAIN, 24, 2, GOOD_TABLE
    ),
    Check.INDIRECT_NESTED: Case(tabled(piece(SIZE, INDIRECT)), CHAIN, 0, 2, GOOD_TABLE),
    Check.CHAIN_TOO_LONG: Case(
        tabled(*[piece(1, NEXT, place + 1) for place in range(8)], piece(SIZE - 8)),
        CHAIN,
        9,
        8,
        tabled(*[piece(1, NEXT, place + 1) for place in range(7)], piece(SIZE - 7)),
    ),
    Check.LENGTH_SUM: Case(
        one((0, piece(1 << 31, NEXT, 1)), (1, piece(1 << 31, NEXT, 2)), (2, piece(1))),
        CHAIN,
        (1 << 32) + 1,
        0,
        one((0, piece(1 << 31, NEXT, 1)), (1, piece(1 << 31))),
        (Check.ADDRESS_UNMAPPED,),
    ),
    Check.MANY_DESCRIPTORS: Case(
        tabled(*MANY), CHAIN, 70, SIZE, GOOD_TABLE, (Check.CHAIN_TOO_LONG,)
    ),
    Check.WRITE_BEFORE_READ: Case(
        one((0, piece(10, WRITE | NEXT, 1)), (1, piece())),
        CHAIN,
        1,
        0,
        one((0, piece(SIZE, NEXT, 1)), (1, piece(10, WRITE))),
        (Check.TX_WRITABLE,),
    ),
    Check.ADDRESS_UNMAPPED: Case(
        one((0, piece(address=sum(MEMORY) - SIZE + 1))),
        CHAIN,
        sum(MEMORY) - SIZE + 1,
        SIZE,
        one((0, piece(address=sum(MEMORY) - SIZE))),
    ),
    Check.FLAG_UNASSIGNED: Case(one((0, piece(SIZE, 0x80))), CHAIN, 0x80, 0, GOOD),
    Check.ZERO_LENGTH: Case(one((0, piece(SIZE, NEXT, 1)), (1, piece(0))), CHAIN, 1, 0, GOOD),
    Check.IN_ORDER_NEXT: Case(
        one((0, piece(10, NEXT, 2)), (2, piece(SIZE - 10)), accepted=ORDERED),
        CHAIN,
        pair(0, 2),
        1,
        one((0, piece(10, NEXT, 1)), (1, piece(SIZE - 10)), accepted=ORDERED),
    ),
    Check.IN_ORDER_HEAD: Case(
        one((2, piece()), accepted=ORDERED), CHAIN, 2, 0, begun(ORDERED).sample(2).sent(0, 0).sent(1, 1)
    ),
    Check.IN_ORDER_TABLE: Case(
        one(
            (0, descriptor(LINKED, 48, INDIRECT)),
            table=piece(10, NEXT, 2) + bytes(16) + piece(SIZE - 10),
            accepted=ORDERED,
        ),
        CHAIN,
        pair(0, 2),
        0,
        one(
            (0, descriptor(LINKED, 32, INDIRECT)),
            table=piece(10, NEXT, 1) + piece(SIZE - 10),
            accepted=ORDERED,
        ),
    ),
    Check.TX_WRITABLE: Case(one((0, piece(SIZE, NEXT, 1)), (1, piece(10, WRITE))), CHAIN, 1, 0, GOOD),
    Check.HEADER_APART: Case(
        one((0, piece(12)), accepted=0, frame=(62, PLAIN[:62])),
        CHAIN,
        12,
        10,
        one((0, piece(10, NEXT, 1)), (1, piece(52)), accepted=0, frame=(62, PLAIN[:62])),
        (Check.LEGACY_LAYOUT,),  # That of `begun` is none of a legacy driver.
    ),
}  # fmt: skip


OUT = begun().sample(1).sent(0, 3)
RINGS = {
    Check.AVAIL_BACKWARDS: Case(
        begun().sample(1).sent(0, 3).sample(0), START + 3, 1, 0, begun().sample(1).sent(0, 3).sample(2)
    ),
    Check.TOO_MANY_OUTSTANDING: Case(
        begun().sample(1).sent(0, 3).sample(9), START + 3, 1, 8, begun().sample(1).sent(0, 3).sample(8)
    ),
    Check.CHAIN_CHANGED: Case(
        begun().sample(1).sent(0, 3).changed(0, 0, 3, bytes(16), bytes(16)),
        START + 3,
        pair(3, 3),
        0,
        begun().sample(1).sent(0, 3).used(0, 1, (0, 3, 0)),
    ),
    Check.TABLE_CHANGED: Case(
        tabled(piece()).changed(0, 1, 5, bytes(16), bytes(16)),
        START + 3,
        pair(5, 2),
        0,
        tabled(piece()).used(0, 1, (0, 2, 0)),
    ),
    Check.HEADER_CHANGED: Case(
        begun().sample(1).sent(0, 3).changed(0, 3, 7, b"a", b"b"),
        START + 3,
        pair(7, 3),
        0,
        begun().sample(1).sent(0, 3).used(0, 1, (0, 3, 0)),
    ),
    Check.UNSETTLED: Case(
        begun().sample(1).sent(0, 3).changed(0, 3, 7, b"a", b"b", at_once=True), START + 3, pair(7, 3), 0, OUT
    ),
    Check.USED_WRITTEN: Case(
        begun().used_changed(2, 3, 9), START + 1, 2, pair(3, 9),
        begun().sample(1).sent(0, 3).used(0, 1, (0, 3, 0)),
    ),
    Check.AVAIL_FLAGS: Case(begun().sample(0, 2), START + 1, 2, 0, begun().sample(0, 1)),
    Check.AVAIL_FLAGS_EVENT: Case(
        begun(VERSION_1 | EVENT_IDX).sample(0, 1), START + 1, 1, 0, begun(VERSION_1 | EVENT_IDX).sample(0, 0)
    ),
    Check.QUEUE_SIZE: Case(
        begun(size=6), START, 6, 0, begun(size=8)
    ),
    Check.PARTS_ALIGNED: Case(begun(used=USED + 2), START, 3, USED + 2, begun()),
    Check.PARTS_PLACED: Case(
        begun(desc=AVAIL - 16 * 8 + 16), START, pair(1, 2), AVAIL, begun(desc=AVAIL - 16 * 8)
    ),
    Check.USED_FLAGS_START: Case(begun(found=(0, 0, 1, 0, 0)), START, 1, 0, begun()),
    Check.AVAIL_IDX_START: Case(
        begun(base=0xFFFE, found=(7, 0, 0, 0, 0)), START, 7, 0xFFFE, begun(base=0xFFFE, found=(6, 0, 0, 0, 0))
    ),
    Check.LEGACY_LAYOUT: Case(
        begun(0, desc=0x4000, avail=0x4080, used=0x6000), START, 3, 0x6000,
        begun(0, desc=0x4000, avail=0x4080, used=0x5000)
    ),
    Check.QUEUE_NOT_ENABLED: Case(
        begun().stop().enable(on=False).start().enable(on=False).sample(2),
        START + 5,
        1,
        2,
        begun().stop().enable(on=False).start().enable().enable(on=False).sample(2),
    ),
    Check.TRAFFIC_STALLED: Case(begun().stall(300), START + 1, 300, 1, begun().flow()),
}  # fmt: skip


@pytest.mark.parametrize("code", [*CHAINS, *RINGS], ids=lambda code: code.name)
def test_each_check_fails_and_holds(code: Check) -> None:
    """A recording that fails a check is told with its numbers; its neighbour is judged, and clean."""
    case = (CHAINS | RINGS)[code]
    tallies = judged(case.bad).tallies
    tally = tallies[code]
    assert (tally.failed, tally.record, tally.a, tally.b) == (1, case.record, case.a, case.b)
    others = {other for other, tally in tallies.items() if tally.failed} - {code}
    assert others == set(case.besides)
    good = judged(case.good).tallies[code]
    assert good.checked > 0
    assert good == Tally(good.checked)


def counts(maker: Maker) -> dict[Check, int]:
    """How often each chain check was made in the last record."""
    whole = judged(maker).tallies
    monitor = Monitor()
    for record in maker.records()[:-1]:
        monitor.see(record)
    return {
        code: tally.checked - monitor.tallies[code].checked
        for code, tally in whole.items()
        if tally.checked != monitor.tallies[code].checked
    }


def test_a_chain_is_counted_piece_by_piece() -> None:
    """Each check is counted as often as there was something to check, and no oftener."""
    maker = begun(VERSION_1 | INDIRECT_DESC, direction=RX).sample(1)
    entries = [piece(10, NEXT | WRITE, 1), piece(10, NEXT | WRITE, 2), piece(10, WRITE)]
    maker.chain(
        0, 1, [(1, piece(5, NEXT, 4)), (4, descriptor(LINKED, 48, INDIRECT))], table=b"".join(entries)
    )
    once = (
        *(Check.HEAD_RANGE, Check.SLOT_REPEATED, Check.CHAIN_TOO_LONG, Check.LENGTH_SUM),
        *(Check.MANY_DESCRIPTORS, Check.UNSETTLED, Check.INDIRECT_AND_NEXT, Check.INDIRECT_LENGTH),
    )
    assert counts(maker) == {
        **dict.fromkeys(once, 1),
        Check.CHAIN_LOOP: 2 + 2,
        Check.DESCRIPTOR_REUSED: 2,
        Check.NEXT_RANGE: 1 + 2,
        Check.ADDRESS_UNMAPPED: 1 + 4,
        Check.INDIRECT_NESTED: 3,
        Check.FLAG_UNASSIGNED: 4,
        Check.WRITE_BEFORE_READ: 4,
        Check.ZERO_LENGTH: 4,
    }


def test_a_table_that_loops_is_left() -> None:
    """A table of two entries that name each other is walked once."""
    tallies = judged(tabled(piece(10, NEXT, 1), piece(SIZE - 10, NEXT, 0))).tallies
    assert tallies[Check.CHAIN_LOOP] == Tally(1 + 2, 1, CHAIN, 0, 2)
    assert tallies[Check.CHAIN_TOO_LONG] == Tally(1)


def test_a_bad_head_is_never_out() -> None:
    """A chain whose head is out of range counts for nothing, and the next has all the room."""
    maker = begun().sample(1).chain(0, 9, []).sample(9)
    for entry in range(1, 9):
        maker.sent(entry, entry - 1)
    tallies = judged(maker).tallies
    assert tallies[Check.TOO_MANY_OUTSTANDING] == Tally(2)
    assert tallies[Check.HEAD_RANGE].failed == 1


def test_a_reused_descriptor_is_the_new_chains() -> None:
    """A descriptor that two chains claim stays the second's, also when the first comes back."""
    both = [(0, piece(10, NEXT, 1)), (1, piece(SIZE - 10))]
    maker = begun().sample(2).chain(0, 0, both, frame=(SIZE, PLAIN))
    maker.chain(1, 1, [(1, piece())], frame=(SIZE, PLAIN))
    maker.used(0, 1, (0, 0, 0)).sample(4).sent(2, 0)
    maker.chain(3, 5, [(5, piece(10, NEXT, 1)), (1, piece(SIZE - 10))], frame=(SIZE, PLAIN))
    tallies = judged(maker).tallies
    assert tallies[Check.DESCRIPTOR_REUSED].failed == 2
    assert tallies[Check.DESCRIPTOR_REUSED].b == pair(1, 0)


def test_a_repeated_slot_names_the_chain_accepted_last() -> None:
    """Of two chains that are out with one head, the later is the one whose slot is met again."""
    maker = begun().sample(3).sent(0, 3).sent(1, 3, PLAIN[:30]).chain(2, 3, [])
    tally = judged(maker).tallies[Check.SLOT_REPEATED]
    assert (tally.failed, tally.a, tally.b) == (1, pair(2, 3), 1)


def test_in_order_a_table_takes_one_slot() -> None:
    """After a chain in a table the next head is the slot behind its one descriptor."""
    table = piece(10, NEXT, 1) + piece(10, NEXT, 2) + piece(SIZE - 20)
    maker = one((0, descriptor(LINKED, 48, INDIRECT)), table=table, accepted=ORDERED).sample(2).sent(1, 1)
    assert judged(maker).tallies[Check.IN_ORDER_HEAD] == Tally(2)


def test_chains_without_a_table_have_none_to_change() -> None:
    """A completion says of a table that it is unchanged only where there is one."""
    tallies = judged(begun().sample(1).sent(0, 3).used(0, 1, (0, 3, 0))).tallies
    assert not tallies[Check.TABLE_CHANGED].checked


def test_event_words_count_where_they_are_used() -> None:
    """A ring that ends with the memory has room for its event word only if there is none."""
    last = sum(MEMORY) - (4 + 8 * 8)
    for accepted, failed in ((VERSION_1, 0), (VERSION_1 | EVENT_IDX, 1)):
        found = None if failed else (0, 0, 0, 0, 0)
        tally = judged(begun(accepted, used=last, found=found)).tallies[Check.PARTS_PLACED]
        assert (tally.failed, tally.a) == (failed, 3 * failed)


def test_parts_outside_of_memory_overlap_nothing() -> None:
    """Two parts at one place are told as such only if that place is in memory."""
    outside = judged(begun(avail=1 << 40, used=1 << 40, found=None)).tallies[Check.PARTS_PLACED]
    assert (outside.checked, outside.failed, outside.a) == (3, 2, 2)
    inside = judged(begun(avail=USED)).tallies[Check.PARTS_PLACED]
    assert (inside.checked, inside.failed, inside.a, inside.b) == (6, 1, pair(2, 3), USED)


def test_a_halted_queue_is_judged_no_more() -> None:
    """After an index that cannot be, or an injection, a queue is not judged until it starts again."""
    for halting in (begun().sample(9), begun().inject()):
        before = {code: tally.checked for code, tally in judged(halting).tallies.items()}
        halting.sample(3, 9).kick().suppress(0, 0, 5, 9).chain(0, 99, []).used_changed(0, 1, 2).quiet().stop()
        assert {code: tally.checked for code, tally in judged(halting).tallies.items()} == before
        halting.start().sample(1, 2).sent(0, 0)
        assert judged(halting).tallies[Check.AVAIL_FLAGS].failed == 1


def test_legacy_header_may_be_anywhere_with_any_layout() -> None:
    """With ANY_LAYOUT or VERSION_1 nothing is asked of where the header lies."""
    for accepted in (ANY_LAYOUT, VERSION_1):
        assert judged(one((0, piece()), accepted=accepted)).tallies[Check.HEADER_APART].checked == 0


def test_memory_that_follows_counts_as_one() -> None:
    """A buffer may lie in two regions that follow each other; a gap of one byte is a finding."""
    for gap in (0, 1):
        maker = begun().memory((0x1000, 0x10000), (0x11000 + gap, 0x10000)).sample(1)
        maker.chain(0, 0, [(0, piece(address=0x11000 - 10))], frame=(SIZE, PLAIN))
        assert judged(maker).tallies[Check.ADDRESS_UNMAPPED].failed == gap


CONTRADICTIONS = {
    "a queue that doesn't run": (begun().sample(1, queue=3), "queue 3): the queue doesn't run"),
    "an entry twice": (begun().sample(2).sent(0, 1).sent(0, 2), "entry 0 is accepted twice"),
    "a completion of nothing": (begun().used(0, 1, (0, 0, 0)), "entry 0 is completed, which is not out"),
    "a change of nothing": (begun().changed(7, 0, 0, b"", b""), "entry 7 is changed, which is not out"),
    "a chain that breaks off": (
        one((0, piece(10, NEXT, 1))),
        "goes on at descriptor 1, which is not recorded",
    ),
    "a chain too long": (one((0, piece()), (1, piece())), "more descriptors are recorded than the chain has"),
    "a table too long": (
        one((2, descriptor(LINKED, 16, INDIRECT)), table=bytes(32)),
        "32 bytes of a table are recorded where 16 are due",
    ),
    "no frame": (one((0, piece()), frame=None), "a chain of a queue that sends, without the frame"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused(name: str) -> None:
    """Records that cannot follow those before are no basis for a verdict: one line says so."""
    maker, words = CONTRADICTIONS[name]
    with pytest.raises(RecordingError) as raised:
        judged(maker)
    assert words in str(raised.value)
    assert str(raised.value).startswith("record ")
