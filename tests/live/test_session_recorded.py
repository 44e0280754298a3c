"""What a session records of itself is enough: judged again from it, the run has the same tallies."""

import os
from pathlib import Path

from ringproof.live.offline import judge
from ringproof.live.recording import RecordingWriter
from ringproof.live.session import Behaviour, Trouble
from ringproof.live.tallies import Check

from . import vhost_peer as v
from .vhost_peer import Peer, mem_table, region, state, u64

FRAME = bytes(range(64))


def same(peer: Peer, place: Path) -> dict[Check, int]:
    """Failures by check, after it was shown that the recording gives the very tallies of the session."""
    peer.session.cut()
    writer = RecordingWriter(place / "run.rpl")
    for which in (0, 1):
        segment = peer.session.segment(which)
        if segment is not None:
            writer.add(segment)
    writer.close()
    judged = judge(place / "run.rpl")
    tallies = peer.session.tallies()
    assert judged.tallies == tallies
    assert judged.records == peer.session.records()
    assert not judged.differences
    assert not judged.drifts
    return {code: tally.failed for code, tally in tallies.items() if tally.failed}


def test_a_life(tmp_path: Path) -> None:
    """Status, memory that changes, queues off and on, phases, cuts, stalls: all is in the recording."""
    with Peer() as peer:
        peer.start()
        for status in (1, 3, 0x83, 3, 0):
            peer.send(v.SET_STATUS, u64(status))
        for index in range(30):
            peer.publish(FRAME)
            peer.run(1000, rounds=2)
            if index % 8 == 3:
                peer.send(v.SET_MEM_TABLE, mem_table(region()), [peer.memory])
            elif index == 10:
                peer.session.behave(Behaviour(batch=4, poll=True), '{"phase": "batches"}')
            elif index == 15:
                peer.session.cut()
            elif index in (20, 24):
                peer.send(v.SET_VRING_ENABLE, state(1, index == 24))
            peer.run()
        peer.session.stall(5, 1)
        peer.session.flow(1)
        failed = same(peer, tmp_path)
        assert failed == {Check.STATUS_CLEARED: 1, Check.STATUS_AFTER_FAILED: 1, Check.TRAFFIC_STALLED: 1}


def test_features_that_come_late(tmp_path: Path) -> None:
    """Features that change under a queue, with kicks nobody asked for, and a checkpoint right before."""
    with Peer() as peer:
        peer.start()
        for _ in range(10):
            peer.publish(FRAME)
        os.eventfd_write(peer.kicks[1], 20)
        peer.run(1000, rounds=4)
        peer.session.cut()
        peer.send(v.SET_FEATURES, u64(v.VERSION_1 | v.PROTOCOL | v.EVENT_IDX))
        peer.run()
        assert peer.session.trouble()[0] is Trouble.STILL_RUNS
        assert same(peer, tmp_path)[Check.FEATURES_LATE] == 1


def test_a_queue_that_cannot_start(tmp_path: Path) -> None:
    """A set-up that is judged and not used."""
    with Peer() as peer:
        peer.negotiate()
        peer.share()
        peer.set_up(1, size=3)
        peer.send(v.SET_VRING_KICK, u64(1), [peer.kicks[1]])
        peer.run()
        assert same(peer, tmp_path)[Check.QUEUE_SIZE] == 1
