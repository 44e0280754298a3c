"""The monitor in C and that in Python, written apart: the same tallies of the same recordings, exactly."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringproof.live.frontend import run_frontend
from ringproof.live.listening import Listening
from ringproof.live.monitor import Monitor
from ringproof.live.offline import judge
from ringproof.live.record_words import RecordWords
from ringproof.live.recording import RecordingWriter
from ringproof.live.records import Checkpoint, Record
from ringproof.live.session import Because, Options, Session
from ringproof.live.tallies import Check, Tally
from tests.live.meeting import ORDINARY, driver, mask
from tests.live.mischief import BADLY, WELL, Run, Step, options, take_steps
from tests.live.simulated_driver import EVENT_IDX, PROTOCOL, VERSION_1, SimulatedDriver

INDIRECT_DESC, IN_ORDER, ANY_LAYOUT = 1 << 28, 1 << 35, 1 << 27
ACCEPTED = (
    VERSION_1,
    EVENT_IDX,
    INDIRECT_DESC,
    IN_ORDER,
    ANY_LAYOUT,
    PROTOCOL,
    *(1 << bit for bit in (0, 3, 11, 12, 13, 14, 15, 56, 59)),
)
OFFERED = sum(ACCEPTED)


def ran(seed: int, features: int, size: int, steps: Sequence[Step]) -> tuple[Run, dict[Check, Tally]]:
    """What was recorded of these steps, and what the C monitor counted."""
    with Session(options(OFFERED)) as session, SimulatedDriver(session, features) as driver:
        run = Run(session, driver, size, seed)
        take_steps(run, list(steps))
        return run, session.tallies()


def agree(records: Sequence[Record], live: dict[Check, Tally]) -> Monitor:
    """Judges the records, and compares with what the C monitor counted."""
    monitor = Monitor()
    for record in records:
        monitor.see(record)
    ours = {code: tally for code, tally in monitor.tallies.items() if tally.checked}
    different = {
        code.name: (ours.get(code), live.get(code)) for code in Check if ours.get(code) != live.get(code)
    }
    assert not different, "\n".join([str(different), *told(records, monitor)])
    assert not monitor.drifts, "\n".join([str(monitor.drifts), *told(records, monitor)])
    assert not monitor.differences
    return monitor


def told(records: Sequence[Record], monitor: Monitor) -> list[str]:
    """The records in words."""
    words = RecordWords()
    lines = [f"{record.number} {record.queue} {words.told(record)}" for record in records]
    return [f"{monitor.gaps} gaps", *lines[-400:]]


features = st.sets(st.sampled_from(ACCEPTED)).map(sum)
seeds = st.integers(0, 1 << 32)
sizes = st.sampled_from((4, 8, 16))


@given(seeds, features, sizes, st.lists(st.sampled_from(WELL), min_size=20, max_size=50))
@settings(max_examples=30, deadline=None)
def test_they_agree_about_a_driver_that_does_well(
    seed: int, accepted: int, size: int, steps: list[Step]
) -> None:
    """Honest drivers under every behaviour of the device come to the same tallies, and fail nothing."""
    run, live = ran(seed, accepted, size, steps)
    agree(run.records(), live)
    failed = {code for code, tally in live.items() if tally.failed and code < Check.FEATURE_UNOFFERED}
    assert not failed, "\n".join(told(run.records(), Monitor()))


@given(seeds, features, sizes, st.lists(st.sampled_from((*WELL, *BADLY)), min_size=20, max_size=50))
@settings(max_examples=70, deadline=None)
def test_they_agree_about_a_driver_that_does_badly(
    seed: int, accepted: int, size: int, steps: list[Step]
) -> None:
    """Drivers that break rules come to the same tallies, whatever they break."""
    run, live = ran(seed, accepted, size, steps)
    agree(run.records(), live)


@given(seeds, features, sizes, st.lists(st.sampled_from((*WELL, *BADLY)), min_size=20, max_size=50))
@settings(max_examples=25, deadline=None)
def test_each_checkpoint_is_a_beginning(seed: int, accepted: int, size: int, steps: list[Step]) -> None:
    """Judged from any segment on, a run comes to the tallies that it comes to as a whole."""
    run, live = ran(seed, accepted, size, steps)
    records = run.records()
    begins = [place for place, record in enumerate(records) if isinstance(record, Checkpoint)]
    for place in begins[1:]:
        agree(records[place:], live)


@pytest.mark.parametrize(
    ("withdrawn", "frames"),
    [("EVENT_IDX", 6_000), ("", 6_000), pytest.param("INDIRECT_DESC", 70_000, marks=pytest.mark.slow)],
)
def test_they_agree_about_the_front_end(withdrawn: str, frames: int, tmp_path: Path) -> None:
    """The project's own front-end, in a process of its own and also past 65535: both count the same."""
    offered = ORDINARY & ~mask(withdrawn) if withdrawn else ORDINARY
    device = Options(offered, patience_ms=300, keep=True, segment_bytes=4 << 20)
    path = tmp_path / "run.rpl"
    with (
        Listening(tmp_path / "socket") as listening,
        Session(device) as session,
        run_frontend(listening.path, driver(), frames=frames),
        RecordingWriter(path) as writer,
    ):
        connection = listening.accept(20)
        assert connection is not None
        session.connect(connection.detach())
        because, end, was_cut = Because(0), monotonic() + 30, False
        while not because & (Because.CLOSED | Because.TROUBLE):
            because = session.run(4_000)
            assert monotonic() < end
            if not was_cut and session.view().queues[1].counts.chains:
                session.cut()
                was_cut = True
            _take(session, writer)
        session.cut()
        _take(session, writer)
        live = session.tallies()
    judged = judge(path)
    assert judged.tallies == live
    assert not judged.differences
    assert not judged.drifts
    assert judged.gaps == judged.torn == 0
    assert judged.segments > 1
    assert live[Check.HEAD_RANGE].checked >= frames
    assert not [code for code, tally in live.items() if tally.failed]


def _take(session: Session, writer: RecordingWriter) -> None:
    while segment := session.segment(0):
        writer.add(segment)
        session.segment_taken()
