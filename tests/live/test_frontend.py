"""The project's own front-end and its own device: clean drivers are found clean, whatever the device does."""

import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.errors import BadInputError
from ringproof.live.frontend import Value, build_frontend, run_frontend
from ringproof.live.listening import Listening
from ringproof.live.partner import Partner
from ringproof.live.schedule import PHASES
from ringproof.live.session import Because, Behaviour, Options, Order, Session, Suppress, Trouble
from ringproof.live.tallies import Check
from ringproof.live.trouble import silence, told
from tests.live.meeting import ORDINARY, PROFILES, Meeting, driver, mask, meet, names, sent

EXAMPLES = Path(__file__).parents[2] / "examples"
WARNINGS = (
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wno-sign-conversion",
    "-Wshadow",
    "-Werror",
    "-O2",
)

# Linux 3.11 sets avail.flags with EVENT_IDX, too.
KNOWN = {"linux-3.11": {Check.AVAIL_FLAGS_EVENT}}


def _clean(meeting: Meeting, expected: set[Check] | None = None) -> None:
    assert meeting.result.outcome == "done", meeting.words
    assert meeting.result.sent == meeting.result.completed == sent(meeting.view) > 0
    assert (meeting.result.stray, meeting.result.damaged) == (0, 0)
    assert meeting.trouble[0] == Trouble.NONE
    assert names(meeting.failed) == names(expected or set())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_compiles_without_a_warning(compiler: str) -> None:
    """Two compilers have nothing to say about the program."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    source = Path(str(files("ringproof.impl.frontend")))
    found = subprocess.run(
        [compiler, *WARNINGS, "-fsyntax-only", f"-I{c_sources()}", *sorted(source.glob("*.c"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("event_idx", [False, True])
@pytest.mark.parametrize("indirect", [False, True])
def test_our_driver_is_clean_in_every_phase(profile: str, event_idx: bool, indirect: bool) -> None:
    """No behaviour of the device makes a check fail or stops the traffic of the driver as shipped."""
    offered = mask("VERSION_1", "CSUM", "MTU", "MAC")
    offered |= mask("EVENT_IDX") * event_idx | mask("INDIRECT_DESC") * indirect
    phases = [phase for phase in PHASES.values() if phase.suits(offered)]
    meeting = meet(
        driver(profile),
        device=Options(offered, patience_ms=1000),
        course=[phase.behaviour for phase in phases],
        each=0.04,
        seconds=60.0,
        mode="paced" if indirect else "flood",
        pause=100,
        segments=(1, 4),
        bytes=(64, 1500),
        batch=(1, 96),
    )
    _clean(meeting, KNOWN.get(profile, set()) if event_idx else set())
    assert len(meeting.frames) == len(phases)
    kicks = Check.KICK_LOST_EVENT if event_idx else Check.KICK_LOST_FLAGS
    assert meeting.tallies[kicks].checked > 0
    for check in (Check.PSEUDO_SUM, Check.CHECKSUM_INCOMPLETE, Check.USED_WRITTEN, Check.HEADER_CHANGED):
        assert meeting.tallies[check].checked > 0
    assert (Check.INDIRECT_LENGTH in meeting.tallies) == indirect


@pytest.mark.parametrize("profile", PROFILES)
def test_legacy_devices_are_served_too(profile: str) -> None:
    """Without VERSION_1 and ANY_LAYOUT the header has its own descriptor, and the ring its legacy layout."""
    phases = [PHASES[name] for name in ("honest", "total-lengths", "silent", "distracting-event")]
    course = [phase.behaviour for phase in phases]
    meeting = meet(driver(profile), offered=mask("MAC"), course=course, each=0.05, seconds=60.0)
    _clean(meeting)
    assert meeting.tallies[Check.HEADER_APART].checked == meeting.result.sent
    assert meeting.tallies[Check.LEGACY_LAYOUT].checked > 0


@pytest.mark.parametrize("queue_size", [1, 2, 32768])
@pytest.mark.parametrize("example", ["virtio-1.x", "lifo"])
def test_queues_of_all_sizes(queue_size: int, example: str) -> None:
    """From one descriptor to the largest queue there is; past 65536 frames where they are quick."""
    library = driver() if example == "virtio-1.x" else build_driver(EXAMPLES / example)
    frames = 80_000 if queue_size > 2 else 500
    _clean(meet(library, queue_size=queue_size, frames=frames, segments=(1, 2)))


@pytest.mark.parametrize("example", ["bitmap", "fifo", "lifo", "minimal"])
def test_the_examples_are_clean(example: str) -> None:
    """Drivers that push, map, keep order or only poll run over a socket as they are."""
    course = [PHASES[name].behaviour for name in ("honest", "batches", "silent", "spurious", "slow")]
    library = build_driver(EXAMPLES / example)
    for options in ({"segments": (1, 3), "batch": (1, 300)}, {"mode": "paced", "queue_size": 32}):
        _clean(meet(library, course=course, each=0.05, offered=ORDINARY, seconds=60.0, **options))


def test_order_is_kept_where_it_was_promised() -> None:
    """With IN_ORDER accepted, one used entry retires a batch, and descriptors are taken in ring order."""
    offered = mask("VERSION_1", "IN_ORDER", "EVENT_IDX")
    course = [PHASES[name].behaviour for name in ("honest", "in-order", "slow")]
    fifo = build_driver(EXAMPLES / "fifo")
    meeting = meet(fifo, offered=offered, course=course, each=0.05, seconds=60.0, segments=(1, 3))
    _clean(meeting)
    assert meeting.tallies[Check.IN_ORDER_HEAD].checked >= meeting.result.sent


def test_queues_are_stopped_and_started_again() -> None:
    """Restarts, drained and in the middle of traffic, leave nothing behind that the device minds."""
    meeting = meet(driver(), frames=20_000, restart=5, mode="paced", pause=20)
    assert (meeting.result.outcome, meeting.result.restarts) == ("done", 5)
    assert names(meeting.failed) == []
    assert [queue.started for queue in meeting.view.queues] == [6, 6]


def test_more_pairs_of_queues() -> None:
    """Three pairs send at once; without MQ there is only one."""
    offered = ORDINARY | mask("MQ", "CTRL_VQ")
    meeting = meet(driver(), device=Options(offered, pairs=3), frames=30_000, pairs=3)
    _clean(meeting)
    assert [queue.counts.chains for queue in meeting.view.queues[1::2]] == [10_000] * 3
    with pytest.raises(BadInputError, match="--pairs 3: MQ and CTRL_VQ are not offered"):
        meet(driver(), device=Options(ORDINARY, pairs=3), frames=100, pairs=3)


@pytest.mark.parametrize("example", ["virtio-1.x", "bitmap"])
def test_questions_are_answered_by_the_partner(tmp_path: Path, example: str) -> None:
    """ARP and echo requests go out, and each answer is awaited by interrupt before the next is sent."""
    library = driver() if example == "virtio-1.x" else build_driver(EXAMPLES / example)
    partner, because = Partner(), Because(0)
    answers: list[tuple[int, bytes]] = []
    options = Options(ORDINARY, partner=bytes.fromhex("525400123401"), frames=True)
    with (
        Listening(tmp_path / "s") as listening,
        Session(options) as session,
        run_frontend(listening.path, library, mode="pingpong", frames=200, bytes=(60, 1500)) as front_end,
    ):
        connection = listening.accept(30)
        assert connection is not None
        session.connect(connection.detach())
        while not because & (Because.CLOSED | Because.TROUBLE):
            because = session.run(2_000)
            for pair, frame in session.frames():
                answers += [(pair, answer) for answer in partner.receive(frame, 0.0)]
            # The receive queue may not be up yet when the first question comes.
            answers = [answer for answer in answers if not session.deliver(*answer)]
        result = front_end.result()
        assert (result.outcome, result.replies, result.damaged) == ("done", 200, 0), front_end.words()
        assert "200 frames sent" in front_end.said()[0]
        assert not [check for check, tally in session.tallies().items() if tally.failed]


def test_it_is_fast_enough_to_measure_with() -> None:
    """Far more frames a second than DPDK's, against the plain device and against the monitored one.

    The figures are those of a loaded machine; `make bench` has the others.
    """
    plain = meet(driver(), device=Options(ORDINARY, plain=True), frames=500_000, queue_size=1024, batch=64)
    assert plain.result.outcome == "done"
    assert plain.result.rate > 300_000
    monitored = meet(driver(), frames=300_000, queue_size=1024, batch=64, poll_completions=True)
    _clean(monitored)
    assert monitored.result.rate > 60_000


def test_a_lost_kick_stalls_it() -> None:
    """Whoever waits for the device is not woken by accident: a device that never looks again is told of."""
    meeting = meet(driver(), inject=11, frames=5_000, patience=300, batch=4, mode="paced")
    assert (meeting.result.outcome, meeting.result.stalled) == ("stalled", True)
    assert "waits for an interrupt" in meeting.words or "are out" in meeting.words


def _misuses() -> Iterator[tuple[dict[str, Value], str]]:
    yield {"queue_size": 3}, "the driver makes no queue of 3 descriptors: -22"
    yield {"queue_size": 0}, "--queue-size 0: not a number from 1 to 32768"
    yield {"frames": "many"}, "--frames many: not a number"
    yield {"mode": "gallop"}, "--mode gallop: there is none of this name"
    yield {"bytes": "70-60"}, "--bytes 60: not a number from 70"
    yield {"seconds": "-1"}, "--seconds -1: not a time"
    yield {"no_such": True}, "--no-such: no such option"


@pytest.mark.parametrize(("options", "words"), list(_misuses()))
def test_bad_use_is_one_line(tmp_path: Path, options: dict[str, Value], words: str) -> None:
    """What makes no sense is said in one line, before anything is sent or when it is found out."""
    with (
        Listening(tmp_path / "s") as listening,
        run_frontend(listening.path, driver(), **options) as front_end,
        Session(Options(ORDINARY)) as session,
    ):
        connection = listening.accept(0.5)
        if connection is not None:
            session.connect(connection.detach())
            while not session.run(1000) & Because.CLOSED:
                pass
        with pytest.raises(BadInputError) as raised:
            front_end.result()
        assert words in str(raised.value)
        assert len(front_end.log().splitlines()) == 1


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A socket nobody listens at, and a library that is none or no driver."""
    assert build_frontend().is_file()
    nobody, empty = tmp_path / "nobody", tmp_path / "empty.so"
    empty.write_bytes(b"")
    for socket, library, words in (
        (nobody, driver(), "nobody: cannot connect: No such file or directory"),
        (nobody, empty, "empty.so: cannot be loaded: file too short"),
        (nobody, tmp_path / "none.so", "none.so: cannot be read"),
    ):
        with run_frontend(socket, library) as front_end, pytest.raises(BadInputError, match=words):
            front_end.result()


TROUBLES = {
    "torn-message": (Trouble.TORN, "went away in the middle of a message: 15 of 20 bytes"),
    "wrong-size": (Trouble.SIZE, "SET_VRING_NUM (8) has a payload of 4 bytes"),
    "no-memory": (Trouble.NOT_SHARED, "share=on"),
    "packed": (Trouble.FEATURES, "packed rings"),
    "truncate": (Trouble.MEMORY_GONE, "made the file of its memory shorter"),
}


@pytest.mark.parametrize("fault", TROUBLES)
def test_a_front_end_that_breaks_the_protocol_gets_one_line(fault: str) -> None:
    """Each way to break it ends the connection, with a line that says what is wrong."""
    trouble, words = TROUBLES[fault]
    meeting = meet(driver(), fault=fault, frames=4_000)
    assert meeting.trouble[0] == trouble
    line = told(*meeting.trouble)
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("loop-chain", Check.CHAIN_LOOP),
        ("bad-descriptor", Check.ADDRESS_UNMAPPED),
        ("backwards", Check.AVAIL_BACKWARDS),
        ("write-used", Check.USED_WRITTEN),
    ],
)
def test_a_ring_that_is_spoilt_is_a_finding(fault: str, check: Check) -> None:
    """What stands in the rings against the rules is judged, and nothing else is found."""
    meeting = meet(driver(), fault=fault, frames=4_000)
    assert meeting.trouble[0] == Trouble.NONE
    assert names(meeting.failed) == [check.name]


def test_a_front_end_that_never_starts_or_dies() -> None:
    """How far it came is told; a death in the middle of traffic is the end of a connection, and no more."""
    never = meet(driver(), fault="never-start", seconds=0.2)
    assert silence(never.view)
    assert not any(queue.started for queue in never.view.queues)
    died = meet(driver(), fault="die", frames=4_000)
    assert (died.result.outcome, died.because & Because.CLOSED) == ("killed", Because.CLOSED)
    assert not died.failed


def test_a_second_connection_is_turned_away() -> None:
    """It is closed, and the first one goes on as if nothing had been."""
    meeting = meet(driver(), fault="twice", frames=4_000)
    _clean(meeting)
    assert (meeting.result.second, meeting.turned_away) == ("closed", 1)


def test_what_it_reports_is_what_the_device_saw() -> None:
    """Frames, kicks and interrupts are counted alike on both sides."""
    course = (Behaviour(order=Order.RANDOM, hold_us=500, suppress=Suppress.NEVER),)
    meeting = meet(driver(), course=course, frames=3_000, mode="paced", pause=50)
    _clean(meeting)
    kicks = sum(queue.counts.kicks for queue in meeting.view.queues)
    assert kicks == meeting.result.kicks
    assert 0 < meeting.result.interrupts <= sum(queue.counts.interrupts for queue in meeting.view.queues)
