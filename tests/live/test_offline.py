"""Recordings judged from the file alone, and told in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringproof.live.offline import judge
from ringproof.live.recording import Recording, RecordingError, RecordingWriter
from ringproof.live.tallies import Check, Tally
from ringproof.live.telling import MARK, excerpt
from tests.live.recording_maker import (
    BUFFERS,
    EVENT_IDX,
    INDIRECT,
    INDIRECT_DESC,
    MEMORY,
    NEXT,
    PLAIN,
    START,
    VERSION_1,
    WRITE,
    Maker,
    begun,
    descriptor,
)
from tests.live.test_monitor import judged

EVERYTHING = VERSION_1 | EVENT_IDX | INDIRECT_DESC


def as_live(maker: Maker) -> list[tuple[int, int, int, int, int, int]]:
    """What the live monitor must have counted, if it was right."""
    found = judged(maker).tallies.items()
    return [
        (code, tally.checked, tally.failed, tally.record, tally.a, tally.b)
        for code, tally in found
        if tally.checked
    ]


def two_segments(path: Path, wrong: bool = False, missing: int = 0) -> Path:
    """A run in two segments, cut while a chain is out and a kick is owed, with two lost kicks."""
    first = begun().suppress(0, 0, 0).sample(1).sent(0, 3).quiet().phase('{"order": 0}').sample(2).sent(1, 4)
    counted = as_live(first)
    next_number = judged(first).records + 2 + missing
    if wrong:
        counted[0] = (*counted[0][:1], counted[0][1] + 1, *counted[0][2:])
    first.tallies(*counted)
    second = Maker(next_number, at=5_000_000).options(VERSION_1).features(VERSION_1).memory(MEMORY)
    second.start()
    second.state(published=2, avail_idx=2, obliged=1, epoch_wanted=2, lost_at=1, owed_since=1, enabled=1)
    for entry, head in ((0, 3), (1, 4)):
        lying = [(head, descriptor(BUFFERS + 0x800 * head, len(PLAIN)))]
        second.chain(entry, head, lying, frame=(len(PLAIN), PLAIN), flags=1)
    second.tallies(*counted).end().quiet().used(0, 2, (0, 3, 0), (1, 4, 0)).stop()
    with RecordingWriter(path) as writer:
        writer.add(first.data)
        writer.add(second.data)
    return path


def test_a_run_is_judged_over_its_segments(tmp_path: Path) -> None:
    """Tallies, phases and what the live monitor has counted are told of the whole run."""
    found = judge(two_segments(tmp_path / "a.rpl"))
    assert (found.first, found.records, found.segments, found.gaps, found.torn) == (1, 18, 2, 0, 0)
    assert found.seconds == 5.0
    assert [phase.text for phase in found.phases] == ['{"order": 0}']
    assert found.tallies[Check.KICK_LOST_FLAGS] == Tally(2, 2, START + 4, 1, 1)
    assert found.tallies[Check.CHAIN_CHANGED] == Tally(2)
    assert found.differences == ()
    assert found.drifts == ()
    assert found.live is not None
    assert found.live[Check.KICK_LOST_FLAGS] == Tally(1, 1, START + 4, 1, 1)


def test_the_second_segment_alone_is_judged_from_its_checkpoint(tmp_path: Path) -> None:
    """A file that holds the end of a run only comes to the tallies of the whole."""
    whole = judge(two_segments(tmp_path / "a.rpl"))
    last = Recording(tmp_path / "a.rpl").last_segment()
    assert last is not None
    with RecordingWriter(tmp_path / "end.rpl") as writer:
        writer.add(last[1])
    end = judge(tmp_path / "end.rpl")
    assert end.tallies == whole.tallies
    assert (end.first, end.records, end.gaps) == (16, 18, 0)


def test_a_gap_is_counted_and_judged_over(tmp_path: Path) -> None:
    """Where records are missing the checkpoint's state and tallies are taken, and that is said."""
    found = judge(two_segments(tmp_path / "a.rpl", missing=7))
    assert found.gaps == 1
    assert found.tallies[Check.KICK_LOST_FLAGS].failed == 2


def test_where_the_live_monitor_counted_otherwise_is_told(tmp_path: Path) -> None:
    """A TALLIES record that says something else is a difference, with both tallies and its number."""
    found = judge(two_segments(tmp_path / "a.rpl", wrong=True))
    (difference,) = found.differences
    offline = difference.offline
    assert difference.code is min(found.tallies)
    assert difference.live == replace(offline, checked=offline.checked + 1)
    assert difference.record == 15


def test_a_state_that_is_another_is_told(tmp_path: Path) -> None:
    """A checkpoint whose queue stands elsewhere than the records say is a drift."""
    second = Maker(START + 1).options(VERSION_1).features(VERSION_1).memory(MEMORY).start()
    second.state(published=3, enabled=1).end()
    with RecordingWriter(tmp_path / "a.rpl") as writer:
        writer.add(begun().data)
        writer.add(second.data)
    (drift,) = judge(tmp_path / "a.rpl").drifts
    assert (drift.record, drift.queue, drift.name, drift.live, drift.offline) == (7, 1, "published", 3, 0)


def test_a_recording_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """What cannot have happened is no basis for a verdict."""
    begun().used(0, 1, (0, 0, 0)).write(tmp_path / "a.rpl")
    with pytest.raises(RecordingError, match=r"record 8 .* entry 0 is completed"):
        judge(tmp_path / "a.rpl")


STORY = (
    begun(EVERYTHING)
    .suppress(1, 5, 0)
    .sample(1, 0, 9)
    .chain(0, 3, [(3, descriptor(BUFFERS, 10, NEXT, 4)), (4, descriptor(BUFFERS, 66, WRITE))],
           frame=(10, PLAIN[:10]))
    .kick()
    .kick(3)
    .sample(1, 0, 9)
    .used(0, 1, (0, 3, 0), flags=1)
    .put(15, b"\1", 1)
    .changed(0, 0, 3, bytes(16), b"\1" * 16)
    .used_changed(4, 3, 7)
    .quiet(2000)
    .phase('{"order": "\x1b[31mlifo"}')
    .stall(300)
    .flow()
    .tallies((1, 5, 1, 2, 0, 0))
    .chain(1, 2, [(2, descriptor(0x20000, 64, INDIRECT))], table=bytes(64), frame=(0, b""))
    .chain(2, 2, [])
    .inject(3)
    .stop(base=4)
)  # fmt: skip
TOLD = """\
the driver accepts 0x130000000
1 region of memory, 1048576 bytes
device status 0x3 -> 0xb
queue 1: the queue is enabled
queue 1: the queue starts, to send: 8 entries at 0x1000, 0x2000, 0x3000; avail_idx 0, used flags 0
queue 1: the device asks for a kick at entry 5 (and sets used flags 0x1, which mean nothing); avail_idx
queue 1: avail_idx 0 -> 1; used_event 9
queue 1: chain 0: head 3, 2 descriptors, 10 bytes (3: 10 bytes at 0x10000, 4: 66 bytes at 0x10000, writable)
queue 1: kick
queue 1: 3 kicks
queue 1: avail_idx still 1; used_event 9
queue 1: used_idx 0 -> 1: chain 0 (id 3, length 0), interrupt
queue 1: interrupt, though the driver asked for none
queue 1: chain 0: descriptor 3 changed though the device has it: 00 00 00 00 00 00 00 00 .. -> 01 01
queue 1: byte 4 of the used ring holds 7, the device wrote 3
queue 1: the kick that is owed has not come for 2000 ms
the device from now on: {"order": "?[31mlifo"}
queue 1: no traffic for 300 ms
queue 1: the traffic that was waited for comes
5 checks so far, of which 1 failed
queue 1: chain 1: head 2, 1 descriptor, a table of 4 entries, 0 bytes (2: 64 bytes at 0x20000, a table)
queue 1: chain 2: head 2, in slot 2; there is nothing new to read
queue 1: the device breaks the rules: a chain completed twice (0, 0); no more is judged
queue 1: the queue stops at 4
"""


def test_a_recording_is_told_in_words() -> None:
    """Each record is a line that says when, where and what; nothing in it moves a terminal's cursor."""
    lines = excerpt(STORY.records(), 10, before=7, after=30)
    assert len(lines) == len(TOLD.splitlines())
    for line, words in zip(lines, TOLD.splitlines(), strict=True):
        assert words in line
        assert line.isprintable()
        assert len(line) <= 160
    assert [line for line in lines if line.startswith(MARK)] == [lines[7]]
    assert lines[7].split()[:4] == [MARK, "10", "0.000000", "s"]


def test_an_excerpt_is_bounded() -> None:
    """No more lines come before and after than were asked for, and of other queues none."""
    made = begun()
    for _ in range(50):
        made.kick().kick(queue=3)
    lines = excerpt(made.records(), 30, queue=1, before=5, after=3)
    numbers = [int(line[1:].split()[0]) for line in lines]
    assert numbers == [20, 22, 24, 26, 28, 30, 32, 34, 36]
    assert excerpt(made.records(), 1_000) == []
    assert len(excerpt(made.records(), 107)) == 13


def test_an_excerpt_is_found_in_a_file(tmp_path: Path) -> None:
    """The record is found over segments, with what was in the one before; one that is missing is not."""
    path = tmp_path / "a.rpl"
    with RecordingWriter(path) as writer:
        for begins in (1, 11, 21, 51):
            made = Maker(begins).end()
            for _ in range(10):
                made.kick()
            writer.add(made.data)
    for around in (1, 10, 11, 15, 20, 21, 30, 51, 60):
        lines = excerpt(path, around, before=12, after=4)
        assert [line for line in lines if line.startswith(f"{MARK} {around:>7} ")]
    numbers = [int(line[1:].split()[0]) for line in excerpt(path, 12, before=12, after=4)]
    assert numbers == list(range(1, 17))
    assert excerpt(path, 40) == []
    path.write_bytes(b"RPLIVE01" + bytes(16))
    with pytest.raises(RecordingError, match="byte 8"):
        excerpt(path, 1)
