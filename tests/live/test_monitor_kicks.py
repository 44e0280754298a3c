"""The offline monitor on kicks: which are owed, which are late, lost, heeded or unwanted."""

import pytest

from ringproof.live.kick_ledger import crosses
from ringproof.live.tallies import Check, Tally, pair
from tests.live.recording_maker import EVENT_IDX, START, VERSION_1, Maker, begun
from tests.live.test_monitor import CHAINS, RINGS, judged
from tests.live.test_monitor_frames import FEATURES, FRAMES

EVENTS = VERSION_1 | EVENT_IDX
BASE = 0xFFFE


def waiting(accepted: int, used_flags: int = 0, avail_event: int = 0, base: int = 0) -> Maker:
    """A run whose device has said what it wants, with no entry yet; 8 records."""
    found = (base, 0, 0, base, 0)
    return begun(accepted, base=base, found=found).suppress(used_flags, avail_event, base)


def grown(maker: Maker, avail_idx: int, *entries: int) -> Maker:
    """A look that shows those entries, accepted."""
    maker.sample(avail_idx)
    for entry in entries:
        maker.sent(entry, entry % 8)
    return maker


AT = START + 1
"""The number of the SUPPRESS of `waiting`."""


@pytest.mark.parametrize("code", [Check.KICK_LOST_FLAGS, Check.KICK_LOST_EVENT])
def test_a_kick_is_lost_when_the_device_was_quiet(code: Check) -> None:
    """A kick that was asked for and doesn't come within the patience is lost; one that comes is not."""
    events = code is Check.KICK_LOST_EVENT
    accepted = EVENTS if events else VERSION_1
    lost = judged(grown(waiting(accepted), 2, 0, 1).quiet()).tallies
    assert lost[code] == Tally(1, 1, AT + 4, 2, pair(2, 0) if events else 2)
    for made in (grown(waiting(accepted), 2, 0, 1).kick(), grown(waiting(accepted).kick(), 2, 0, 1)):
        tallies = judged(made.quiet()).tallies
        assert tallies[code] == Tally(1)
    assert not judged(waiting(accepted).kick().sample(0).quiet()).tallies[code].checked


def test_a_kick_counts_for_one_look() -> None:
    """A kick that a look found nothing behind is spent: what is published later needs one of its own."""
    spent = grown(waiting(VERSION_1).kick().sample(0), 1, 0).quiet()
    assert judged(spent).tallies[Check.KICK_LOST_FLAGS].failed == 1


def test_entries_are_counted_from_the_last_look() -> None:
    """What is told of a lost kick: avail_idx, and the entries since the device looked for itself."""
    made = grown(waiting(VERSION_1, base=BASE), 1, 0, 1, 2).kick()
    made.suppress(0, 1, 1)
    grown(made, 2, 3).quiet()
    tally = judged(made).tallies[Check.KICK_LOST_FLAGS]
    assert (tally.checked, tally.failed, tally.a, tally.b) == (2, 1, 2, 1)


def test_a_late_kick_is_not_lost() -> None:
    """A kick that comes after the patience, but before anything else is published, takes the failure back."""
    made = grown(waiting(VERSION_1), 1, 0).quiet()
    assert judged(made).tallies[Check.KICK_LOST_FLAGS].failed == 1
    assert judged(made.kick()).tallies[Check.KICK_LOST_FLAGS] == Tally(1)
    too_late = grown(grown(waiting(VERSION_1), 1, 0).quiet(), 2, 1).kick()
    assert judged(too_late).tallies[Check.KICK_LOST_FLAGS] == Tally(2, 1, AT + 3, 1, 1)


def test_the_first_failure_stays_when_a_second_is_taken_back() -> None:
    """Taking back one of two failures leaves what the first one told."""
    made = grown(waiting(VERSION_1), 1, 0).quiet()
    grown(made, 2, 1).quiet().kick()
    assert judged(made).tallies[Check.KICK_LOST_FLAGS] == Tally(2, 1, AT + 3, 1, 1)


def test_a_new_wish_forgets_what_was_owed() -> None:
    """When the device looks for itself and says anew what it wants, no kick is owed for what was before."""
    made = grown(waiting(VERSION_1), 1, 0).suppress(0, 0, 1).quiet()
    assert not judged(made).tallies[Check.KICK_LOST_FLAGS].checked
    brought = waiting(VERSION_1).suppress(0, 0, 1).sent(0, 0).quiet()
    assert not judged(brought).tallies[Check.KICK_LOST_FLAGS].checked


def test_nothing_is_owed_where_nothing_was_wanted() -> None:
    """With used flags 1, or an avail_event elsewhere, no kick is owed."""
    for made in (waiting(VERSION_1, used_flags=1), waiting(EVENTS, avail_event=5)):
        tallies = judged(grown(made, 1, 0).quiet()).tallies
        assert not tallies[Check.KICK_LOST_FLAGS].checked
        assert not tallies[Check.KICK_LOST_EVENT].checked


def test_crossing_goes_over_the_wrap() -> None:
    """An entry is crossed if it is among the new ones, also where 65535 is passed."""
    assert crosses(0xFFFF, 0xFFFE, 0x10001)
    assert crosses(0, 0xFFFE, 0x10001)
    assert not crosses(1, 0xFFFE, 0x10001)
    assert not crosses(0xFFFD, 0xFFFE, 0x10001)
    assert not crosses(7, 7, 7)
    made = waiting(EVENTS, avail_event=0, base=BASE)
    tally = judged(grown(made, 1, 0, 1, 2).quiet()).tallies[Check.KICK_LOST_EVENT]
    assert (tally.failed, tally.a, tally.b) == (1, 1, pair(3, 0))


@pytest.mark.parametrize("code", [Check.EVENT_WORD_HEEDED, Check.FLAGS_HEEDED])
def test_a_word_without_influence_is_heeded(code: Check) -> None:
    """Where the other word was moved and the epoch saw no kick, it was heeded; else a kick was lost."""
    events = code is Check.FLAGS_HEEDED
    lost = Check.KICK_LOST_EVENT if events else Check.KICK_LOST_FLAGS
    accepted = EVENTS if events else VERSION_1
    words = (1, 0) if events else (0, 77)
    heeded = judged(grown(waiting(accepted, *words), 1, 0).quiet()).tallies
    assert heeded[code] == Tally(1, 1, AT + 3, 1, 1 if events else 77)
    assert not heeded[lost].checked
    kicked = judged(grown(waiting(accepted, *words), 1, 0).kick()).tallies
    assert kicked[code] == kicked[lost] == Tally(1)
    if not events:  # With EVENT_IDX one word asks for one kick only.
        later = grown(grown(waiting(accepted, *words), 1, 0).kick(), 2, 1).quiet()
        tallies = judged(later).tallies
        assert tallies[code] == Tally(1)
        assert tallies[lost].failed == 1
    undistracted = judged(grown(waiting(accepted), 1, 0).quiet()).tallies
    assert not undistracted[code].checked


@pytest.mark.parametrize("code", [Check.KICK_UNWANTED_FLAGS, Check.KICK_UNWANTED_EVENT])
def test_unwanted_kicks_are_counted_by_epoch(code: Check) -> None:
    """Three kicks more than were asked for are forgiven as late ones; a fourth is not."""
    events = code is Check.KICK_UNWANTED_EVENT
    accepted, flags = (EVENTS, 0) if events else (VERSION_1, 1)
    for count, failed in ((3, 0), (4, 1)):
        made = waiting(accepted, flags, avail_event=9).kick(count).suppress(0, 0, 0)
        tally = judged(made).tallies[code]
        assert (tally.checked, tally.failed) == (1, failed)
        stopped = judged(waiting(accepted, flags, avail_event=9).kick(count).stop()).tallies[code]
        assert (stopped.checked, stopped.failed) == (1, failed)
        if failed:
            assert (tally.record, tally.a, tally.b) == (AT + 2, 4, 0)
    if events:
        asked = grown(waiting(accepted), 1, 0).kick(4).suppress(0, 1, 1)
        assert judged(asked).tallies[code] == Tally(1)


def test_kicks_are_never_unwanted_where_they_were_asked_for() -> None:
    """With used flags 0 and no EVENT_IDX each kick is in order; and an epoch without kicks isn't judged."""
    tallies = judged(waiting(VERSION_1).kick(50).suppress(1, 0, 0).suppress(0, 0, 0).stop()).tallies
    assert not tallies[Check.KICK_UNWANTED_FLAGS].checked


def test_kicks_of_a_queue_that_does_not_run_count_for_nothing() -> None:
    """A kick before the queue starts, or after it stopped, is read and not judged."""
    made = waiting(VERSION_1, used_flags=1).stop().kick(9).kick(9, queue=5).start().suppress(0, 0, 0)
    assert not judged(made).tallies[Check.KICK_UNWANTED_FLAGS].checked


def test_every_check_has_a_recording_that_fails_it() -> None:
    """No check is left out here or in the two files next to this; three can only hold."""
    of_kicks = {code for code in Check if 30 <= code <= 35}
    shown = {*CHAINS, *RINGS, *FRAMES, *FEATURES, *of_kicks, Check.CWR_WITHOUT_ECN}
    assert set(Check) - shown == {Check.VERSION_1, Check.MTU_FEATURE, Check.HDRLEN_FEATURE}
